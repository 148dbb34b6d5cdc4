//! An IPMI session that the test itself holds, so that it can repeat, alter or withhold single datagrams.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ipmi_session::console::{Console, ConsoleConfig, ConsoleEvent, LoginError};
use ipmi_session::{Password, UserName};
use ipmi_wire::NetFn;
use ipmi_wire::cipher::CipherSuite;
use testkit::ports;

use crate::lab::{PASSWORD, USER};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest datagram there is.
const LARGEST: usize = 65_536;

/// A session with the socket it runs over.
pub struct Session {
    /// The socket, connected to the BMC.
    pub socket: UdpSocket,
    console: Console,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A socket of this test's own address, connected to a BMC.
///
/// # Panics
/// When loopback cannot be bound.
pub fn socket(bmc: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ports::own_address(), 0)).expect("loopback can be bound");
    socket.connect(bmc).expect("a loopback socket can be connected");
    socket.set_read_timeout(Some(ANSWER)).expect("a socket takes a time-out");
    socket
}

/// The next datagram of the BMC.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; LARGEST];
    let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no answer from the BMC: {error}"));
    buffer.truncate(length);
    buffer
}

/// The administrator's login with this cipher suite.
///
/// # Panics
/// When there is no such suite.
pub fn login(suite: u8) -> ConsoleConfig {
    let name = UserName::new(USER.as_bytes()).expect("the name fits");
    let password = Password::new(PASSWORD.as_bytes()).expect("the password fits");
    ConsoleConfig::new(name, password, CipherSuite::by_id(suite).expect("a suite of the specification"))
}

impl Session {
    /// Logs in as the administrator.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn open(bmc: SocketAddr, suite: u8) -> Self {
        Self::try_open(bmc, login(suite)).unwrap_or_else(|error| panic!("cannot log in: {error}"))
    }

    /// Logs in.
    ///
    /// # Errors
    /// Why it failed.
    ///
    /// # Panics
    /// When the BMC is silent.
    #[track_caller]
    pub fn try_open(bmc: SocketAddr, config: ConsoleConfig) -> Result<Self, LoginError> {
        let socket = socket(bmc);
        let console = Console::new(config, Instant::now(), &mut rand::rng());
        let mut session = Self { socket, console };
        match session.next_event() {
            ConsoleEvent::Ready { .. } => Ok(session),
            ConsoleEvent::Failed(error) => Err(error),
            other => panic!("not an outcome of a login: {other:?}"),
        }
    }

    /// Sends a command to the BMC and waits for its completion code and data.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn ask(&mut self, netfn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        let datagram = self.seal(netfn, cmd, data);
        self.socket.send(&datagram).expect("loopback takes datagrams");
        self.answer()
    }

    /// Makes the datagram of a command without sending it. The answer to it is what [`Session::answer`] waits for.
    ///
    /// # Panics
    /// When the session is not open.
    #[track_caller]
    pub fn seal(&mut self, netfn: u8, cmd: u8, data: &[u8]) -> Vec<u8> {
        let netfn = NetFn::new(netfn);
        self.console
            .request(Instant::now(), netfn, 0, cmd, data, &mut rand::rng())
            .unwrap_or_else(|error| panic!("cannot send: {error}"));
        self.console.poll_transmit().expect("a request is a datagram")
    }

    /// Waits for the answer to a command that was sent.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn answer(&mut self) -> (u8, Vec<u8>) {
        match self.next_event() {
            ConsoleEvent::Response { completion, data, .. } => (completion.0, data),
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// Closes the session.
    ///
    /// # Panics
    /// When the BMC does not answer.
    #[track_caller]
    pub fn close(mut self) {
        self.console.close(Instant::now(), &mut rand::rng());
        assert_eq!(self.next_event(), ConsoleEvent::Closed);
    }

    #[track_caller]
    fn next_event(&mut self) -> ConsoleEvent {
        loop {
            while let Some(datagram) = self.console.poll_transmit() {
                self.socket.send(&datagram).expect("loopback takes datagrams");
            }
            if let Some(event) = self.console.poll_event() {
                return event;
            }
            let datagram = receive(&self.socket);
            self.console.handle_datagram(Instant::now(), &datagram, &mut rand::rng());
        }
    }
}
