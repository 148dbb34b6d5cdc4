//! One IPMI session of the load generator: a console and its socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipmi_session::console::{Console, ConsoleConfig, ConsoleEvent, LoginError, RequestError};
use ipmi_session::limits;
use ipmi_wire::{CompletionCode, NetFn};
use rand::rngs::StdRng;
use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// Why a login or a command came to nothing.
#[derive(Debug, Error)]
pub(super) enum SessionError {
    /// The login failed.
    #[error("login: {0}")]
    Login(#[from] LoginError),
    /// The command was sent as often as allowed and not answered.
    #[error("no answer to the command")]
    NoAnswer,
    /// The host says that nobody listens there.
    #[error("nobody listens on this port")]
    PortClosed,
    /// The socket failed.
    #[error("UDP: {0}")]
    Socket(io::Error),
    /// The command could not be sent.
    #[error("cannot send: {0}")]
    Request(#[from] RequestError),
    /// The session ended while a command waited for its answer.
    #[error("the session ended")]
    Ended,
    /// The run's limit is over.
    #[error("the run's time is over")]
    OutOfTime,
}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> Self {
        // What ICMP "port unreachable" becomes on a connected socket.
        if error.kind() == io::ErrorKind::ConnectionRefused { Self::PortClosed } else { Self::Socket(error) }
    }
}

/// A session, from login to logout.
pub(super) struct Session {
    socket: UdpSocket,
    console: Console,
    rng: StdRng,
    buffer: Vec<u8>,
    traffic: Traffic,
}

/// What went over the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Datagrams that were sent again for want of an answer.
    pub retransmits: u64,
    /// Length of the longest datagram since the login, either way.
    pub longest: usize,
}

/// A login that failed, and what it took.
#[derive(Debug)]
pub(super) struct FailedLogin {
    pub error: SessionError,
    pub retransmits: u64,
}

impl Session {
    /// Logs in at `target`; gives up at `end_by` at the latest.
    ///
    /// # Errors
    /// [`FailedLogin`].
    pub(super) async fn log_in(
        target: SocketAddr,
        config: ConsoleConfig,
        end_by: Instant,
    ) -> Result<Self, FailedLogin> {
        let socket = match connect(target).await {
            Ok(socket) => socket,
            Err(error) => return Err(FailedLogin { error: error.into(), retransmits: 0 }),
        };
        let mut rng: StdRng = rand::make_rng();
        let console = Console::new(config, Instant::now().into_std(), &mut rng);
        let buffer = vec![0; limits::MAX_DATAGRAM];
        let mut session = Self { socket, console, rng, buffer, traffic: Traffic::default() };
        let error = match session.next_event(end_by).await {
            Ok(ConsoleEvent::Ready { .. }) => {
                session.traffic.longest = 0;
                return Ok(session);
            }
            Ok(ConsoleEvent::Failed(error)) => error.into(),
            Ok(ConsoleEvent::Response { .. } | ConsoleEvent::TimedOut(_) | ConsoleEvent::Closed) => {
                SessionError::Ended
            }
            Err(error) => error,
        };
        // The last words, if any, tell the BMC that it need not wait for us.
        let _ = session.flush().await;
        Err(FailedLogin { error, retransmits: session.traffic.retransmits })
    }

    /// Sends one command and waits for its answer; gives up at `end_by` at the latest.
    ///
    /// # Errors
    /// [`SessionError`]; the session is of no use then.
    pub(super) async fn command(
        &mut self,
        netfn: NetFn,
        cmd: u8,
        end_by: Instant,
    ) -> Result<CompletionCode, SessionError> {
        let wanted = self.console.request(Instant::now().into_std(), netfn, 0, cmd, &[], &mut self.rng)?;
        loop {
            match self.next_event(end_by).await? {
                ConsoleEvent::Response { id, completion, .. } if id == wanted => return Ok(completion),
                ConsoleEvent::TimedOut(id) if id == wanted => return Err(SessionError::NoAnswer),
                ConsoleEvent::Response { .. } | ConsoleEvent::TimedOut(_) | ConsoleEvent::Ready { .. } => {}
                ConsoleEvent::Failed(error) => return Err(error.into()),
                ConsoleEvent::Closed => return Err(SessionError::Ended),
            }
        }
    }

    /// Logs out, whether or not the BMC answers.
    ///
    /// # Errors
    /// [`SessionError`] when the socket fails or the time is over.
    pub(super) async fn log_out(&mut self, end_by: Instant) -> Result<(), SessionError> {
        self.console.close(Instant::now().into_std(), &mut self.rng);
        while !self.console.is_done() {
            self.next_event(end_by).await?;
        }
        Ok(())
    }

    /// What went over the socket so far.
    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    async fn next_event(&mut self, end_by: Instant) -> Result<ConsoleEvent, SessionError> {
        loop {
            self.flush().await?;
            if let Some(event) = self.console.poll_event() {
                return Ok(event);
            }
            let Some(wake) = self.console.next_timeout() else { return Err(SessionError::Ended) };
            match timeout_at(end_by.min(wake.into()), self.socket.recv(&mut self.buffer)).await {
                Ok(received) => {
                    let datagram = self.buffer.get(..received?).unwrap_or_default();
                    self.traffic.longest = self.traffic.longest.max(datagram.len());
                    self.console.handle_datagram(Instant::now().into_std(), datagram, &mut self.rng);
                }
                Err(_) if Instant::now() >= end_by => return Err(SessionError::OutOfTime),
                Err(_) => {
                    self.console.handle_timeout(Instant::now().into_std());
                    self.traffic.retransmits += self.flush().await?;
                }
            }
        }
    }

    /// Sends what is to be sent; returns how many datagrams that were.
    async fn flush(&mut self) -> Result<u64, SessionError> {
        let mut sent = 0;
        while let Some(datagram) = self.console.poll_transmit() {
            self.traffic.longest = self.traffic.longest.max(datagram.len());
            self.socket.send(&datagram).await?;
            sent += 1;
        }
        Ok(sent)
    }
}

/// A connected socket: the kernel drops what others send, and reports a closed port.
async fn connect(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(socket)
}
