//! One connection of a machine: requests in, answers and signals out.
//!
//! One request is carried out at a time, and nothing is read meanwhile: what a machine sends without waiting stays in the socket, and
//! what it does not read ends its connection.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ipmi_wire::CompletionCode;
use ipmi_wire::vm::{self, Capabilities, Frame, Message};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use super::SYSTEM_INTERFACE_CHANNEL;
use super::state::{Interface, Signals};
use crate::dispatch::Command;
use crate::table::{shown_request, shown_response};
use crate::{Bmc, Caller, Context, Reply, dispatch};

/// How many bytes are read at a time; no more requests than these hold wait.
const READ_BYTES: usize = 512;
/// How long a machine may let an answer lie. QEMU gives up on a request after four seconds.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(4);
/// So many frames in a row that are none are no machine's.
pub(super) const BROKEN_FRAMES_MAX: u32 = 64;

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The machine has closed it.
    Closed,
    /// The machine reads no more.
    Stalled,
    /// What is sent is not the protocol.
    Garbage,
    /// The socket.
    Failed(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("it closed the connection"),
            Self::Stalled => f.write_str("it does not read its answers"),
            Self::Garbage => f.write_str("it sends what is not the protocol of an IPMI device"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// A request under way, without its data, and what will be answered.
struct UnderWay {
    request: Message,
    reply: JoinHandle<Reply>,
}

struct Link<'b, S> {
    stream: S,
    bmc: &'b Arc<Bmc>,
    decoder: vm::Decoder,
    /// Requests that came together with the one under way.
    waiting: VecDeque<Message>,
    broken: u32,
    /// What the device was last told; `None`: nothing since it began.
    told: Option<Signals>,
}

/// Serves a machine until it goes.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(stream: S, bmc: &Arc<Bmc>) -> End {
    let decoder = vm::Decoder::default();
    let mut link = Link { stream, bmc, decoder, waiting: VecDeque::new(), broken: 0, told: None };
    match link.serve().await {
        Ok(()) => End::Closed,
        Err(end) => end,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<'_, S> {
    async fn serve(&mut self) -> Result<(), End> {
        let mut snapshots = self.bmc.machine().subscribe();
        let mut machine_is_there = true;
        let sel = Arc::clone(&snapshots.borrow_and_update().sel);
        self.bmc.with_interface(|interface| interface.know(&sel));
        let mut buffer = [0; READ_BYTES];
        let mut under_way: Option<UnderWay> = None;
        self.write(&vm::Command::Version(vm::VERSION).encode()).await?;
        loop {
            self.signal().await?;
            if under_way.is_none() {
                under_way = self.waiting.pop_front().map(|request| self.begin(request));
            }
            tokio::select! {
                read = self.stream.read(&mut buffer), if under_way.is_none() => {
                    let length = read?;
                    if length == 0 {
                        return Ok(());
                    }
                    self.take(buffer.get(..length).unwrap_or_default())?;
                }
                reply = finished(&mut under_way) => {
                    if let Some(UnderWay { request, .. }) = under_way.take() {
                        self.answer(&request, reply).await?;
                    }
                }
                changed = snapshots.changed(), if machine_is_there => {
                    machine_is_there = changed.is_ok();
                    let snapshot = Arc::clone(&snapshots.borrow_and_update());
                    self.bmc.heed_resets();
                    self.bmc.with_interface(|interface| interface.heed(&snapshot.sel));
                }
                () = self.bmc.interface_changed() => {}
            }
        }
    }

    /// Takes bytes apart.
    fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        let name = self.bmc.machine().name();
        for byte in bytes {
            match self.decoder.push(*byte) {
                None => {}
                Some(Ok(frame)) => {
                    self.broken = 0;
                    match frame {
                        Frame::Message(message) if message.netfn.is_response() => {}
                        Frame::Message(message) => self.waiting.push_back(message),
                        Frame::Command(command) => self.heed(command),
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(bmc = %name, %error, "a broken frame on the system interface");
                    self.broken += 1;
                    if self.broken >= BROKEN_FRAMES_MAX {
                        return Err(End::Garbage);
                    }
                }
            }
        }
        Ok(())
    }

    fn heed(&mut self, command: vm::Command) {
        let name = self.bmc.machine().name();
        match command {
            vm::Command::Version(vm::VERSION) => {}
            vm::Command::Version(version) => {
                tracing::warn!(bmc = %name, version, "the machine's IPMI device speaks an unknown version of its protocol");
            }
            vm::Command::Capabilities(capabilities) => {
                let attention = capabilities.has(Capabilities::ATTENTION);
                tracing::debug!(bmc = %name, ?capabilities, attention, "the machine's IPMI device");
            }
            vm::Command::Reset => {
                self.bmc.with_interface(Interface::reset);
                self.told = None;
            }
            other => {
                tracing::debug!(bmc = %name, ?other, "the machine's IPMI device says what only a BMC does")
            }
        }
    }

    /// Has a request carried out, to its end whatever becomes of the machine: one that switches itself off is gone before it is answered.
    fn begin(&self, mut request: Message) -> UnderWay {
        let data = std::mem::take(&mut request.data);
        let Message { netfn, lun, cmd, .. } = request;
        tracing::trace!(
            bmc = %self.bmc.machine().name(), %netfn, cmd = %format_args!("{cmd:02x}h"), data = shown_request(netfn, cmd, &data),
            "command of the machine itself"
        );
        let view = self.bmc.lan_view();
        let bmc = Arc::clone(self.bmc);
        let reply = tokio::spawn(async move {
            // Between the making of a BMC and that of its station nobody asks.
            let Some(view) = view else {
                return Reply { completion: CompletionCode::INITIALIZING, data: Vec::new() };
            };
            let context = Context {
                bmc,
                caller: Caller::System,
                channel: SYSTEM_INTERFACE_CHANNEL,
                lan: view.lan,
                sessions_active: view.sessions_active,
                local: view.address,
            };
            dispatch(&context, &Command { netfn, lun, cmd, data }).await
        });
        UnderWay { request, reply }
    }

    async fn answer(&mut self, request: &Message, reply: Result<Reply, JoinError>) -> Result<(), End> {
        let name = self.bmc.machine().name();
        let Reply { completion, data } = reply.unwrap_or_else(|error| {
            tracing::error!(bmc = %name, %error, "a command handler ended abnormally");
            Reply { completion: CompletionCode::UNSPECIFIED, data: Vec::new() }
        });
        let Message { sequence, netfn, lun, cmd, .. } = *request;
        tracing::trace!(
            bmc = %name, %netfn, cmd = %format_args!("{cmd:02x}h"), code = %completion, data = shown_response(netfn, cmd, &data),
            "reply to the machine itself"
        );
        let with_code = |completion: CompletionCode, data: &[u8]| Message {
            sequence,
            netfn: netfn.response(),
            lun,
            cmd,
            data: [&[completion.0], data].concat(),
        };
        let mut response = with_code(completion, &data);
        if !response.fits() {
            response = with_code(CompletionCode::CANNOT_RETURN_BYTES, &[]);
        }
        self.write(&response.encode()).await
    }

    /// Tells the device what has changed of what it is to show.
    async fn signal(&mut self) -> Result<(), End> {
        let signals = self.bmc.signals();
        let news: Vec<u8> = signals.since(self.told).into_iter().flat_map(vm::Command::encode).collect();
        self.told = Some(signals);
        if news.is_empty() { Ok(()) } else { self.write(&news).await }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(WRITE_LIMIT, self.stream.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::Stalled),
        }
    }
}

/// Waits for the end of the request under way; for ever while there is none.
async fn finished(under_way: &mut Option<UnderWay>) -> Result<Reply, JoinError> {
    match under_way {
        Some(under_way) => (&mut under_way.reply).await,
        None => std::future::pending().await,
    }
}
