//! A machine's serial console: held open while the domain runs, and connected again whenever it was lost.
//!
//! ```text
//!                  ┌───────────────────────── another start, libvirt back ◄───────────────┐
//!                  ▼                                                                      │
//!   off ──► connecting ──► open ──── off, libvirt gone ──► closed (why) ──────────────────┤
//!                │           └────── ended: taken from us ──► closed (why) ──► pause ──► connecting
//!                ├── no such device, no such function ──► closed (what to do) ────────────┘
//!                └── somebody else has it, or it failed ──► closed (why) ──► pause, longer each time ──► connecting
//! ```
//!
//! One task each, which costs memory and no thread. Output is read without waiting when libvirt's event thread says that there is some.
//! Input goes to the blocking pool, a piece at a time, and is limited by what the guest is known to take (see [`UNANSWERED_MAX_BYTES`]).
//! The console is never taken away from another program.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bmc_core::console::{Console, ConsoleInput, ConsolePort, ConsoleState, console};
use bmc_core::error::{BackendError, BackendErrorKind};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use virt::error::ErrorNumber;

use crate::connection::{CALL_TIMEOUT, Caller, Failure};
use crate::error::from_libvirt;
use crate::sys::{ConsoleStream, Received};
use crate::track::Instance;
use crate::watch::Watch;
use crate::xml::serial::serial_line;

/// First pause before a console that somebody else has, or that failed, is tried again; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(2);
/// Longest pause.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Consoles of one connection that are being opened at a time, so that power control finds free calls when a thousand open at once.
const OPENING_MAX: usize = 1;
/// Pieces of input on their way into one connection's socket at a time.
const SENDING_MAX: usize = 2;
/// Consoles of one connection that are being closed at a time.
const CLOSING_MAX: usize = 2;
/// Input in bytes that is sent without a sign of life, which is output or a start. libvirtd stops reading a connection, with all other
/// machines on it, when a few pieces of input find no room at the emulator; Linux holds about 18 KiB for an emulator that takes none,
/// for instance of a paused machine.
const UNANSWERED_MAX_BYTES: usize = 8 * 1024;
/// Output read in one piece, in bytes.
const PIECE_BYTES: usize = 4096;
/// Pieces that are read before others get their turn.
const PIECES_AT_ONCE: usize = 16;

/// What the consoles of one connection share.
#[derive(Debug)]
pub(crate) struct Streams {
    opening: Arc<Semaphore>,
    sending: Arc<Semaphore>,
    closing: Arc<Semaphore>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            opening: Arc::new(Semaphore::new(OPENING_MAX)),
            sending: Arc::new(Semaphore::new(SENDING_MAX)),
            closing: Arc::new(Semaphore::new(CLOSING_MAX)),
        }
    }
}

/// A console that is kept; dropping this ends it.
pub(crate) struct Kept {
    pub(crate) console: Console,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps the console of a watched domain.
pub(crate) fn keep(runtime: &Handle, caller: Caller, streams: Arc<Streams>, watch: Arc<Watch>) -> Kept {
    let (console, port) = console();
    let keeper = Keeper { runtime: runtime.clone(), caller, streams, watch, port, unanswered: 0, starts: 0 };
    let task = runtime.spawn(keeper.run()).abort_handle();
    Kept { console, task }
}

struct Keeper {
    runtime: Handle,
    caller: Caller,
    streams: Arc<Streams>,
    watch: Arc<Watch>,
    port: ConsolePort,
    /// Bytes of input since the last sign of life.
    unanswered: usize,
    /// The start that was last connected to.
    starts: u64,
}

/// An open console. Closing it asks libvirt, so that is done where it may block.
struct Line {
    stream: Option<Arc<ConsoleStream>>,
    alias: String,
    wake: Arc<Notify>,
    runtime: Handle,
    closing: Arc<Semaphore>,
}

impl Line {
    /// Closes it, and returns once it is closed: until then libvirt would refuse to open it again.
    async fn close(mut self) {
        if let Some(stream) = self.stream.take() {
            close(stream, Arc::clone(&self.closing)).await;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.runtime.spawn(close(stream, Arc::clone(&self.closing)));
        }
    }
}

async fn close(stream: Arc<ConsoleStream>, closing: Arc<Semaphore>) {
    let turn = closing.acquire_owned().await;
    let closed = tokio::task::spawn_blocking(move || {
        drop(stream);
        drop(turn);
    });
    // What libvirt says to it changes nothing.
    let _ = closed.await;
}

/// Why there is no open console.
enum Refused {
    /// Until the domain starts the next time.
    ForNow(String),
    /// It may be different soon.
    Briefly(String),
}

/// Input on its way; what was not taken of it comes back.
type Sending = Pin<Box<dyn Future<Output = Result<Vec<u8>, BackendError>> + Send>>;

impl Keeper {
    async fn run(mut self) {
        let mut pause = RETRY_MIN;
        loop {
            let running = self.watch.running();
            let instance = match &running {
                Ok(instance) => *instance,
                Err(why) => {
                    self.close(why.clone());
                    self.watch.running_changed(&running).await;
                    pause = RETRY_MIN;
                    continue;
                }
            };
            match self.open().await {
                Ok(line) => {
                    pause = RETRY_MIN;
                    self.begin(instance).await;
                    let ended = self.serve(&line, instance).await;
                    if let Some(why) = ended.clone().or_else(|| self.watch.running().err()) {
                        self.close(why);
                    }
                    line.close().await;
                    if ended.is_none() {
                        continue;
                    }
                }
                Err(Refused::Briefly(why)) => self.close(why),
                Err(Refused::ForNow(why)) => {
                    self.close(why);
                    self.watch.running_changed(&running).await;
                    continue;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
                () = self.watch.running_changed(&running) => pause = RETRY_MIN,
            }
        }
    }

    fn close(&self, why: String) {
        self.port.set_state(ConsoleState::Closed(why));
    }

    /// Finds the device in the running domain and opens it.
    async fn open(&self) -> Result<Line, Refused> {
        let wake = Arc::new(Notify::new());
        let Ok(turn) = Arc::clone(&self.streams.opening).acquire_owned().await else {
            return Err(Refused::ForNow("the machine is no longer served".to_owned()));
        };
        let (watch, waker, uri) = (Arc::clone(&self.watch), Arc::clone(&wake), self.caller.uri().to_owned());
        let opened = self.caller.call(CALL_TIMEOUT, "open the console", move |connect| {
            let _turn = turn;
            let domain = watch.look_up(connect)?;
            let line = match serial_line(&domain.xml_desc(0)?)? {
                Ok(line) => line,
                Err(advice) => return Ok(Err(Refused::ForNow(advice))),
            };
            Ok(match ConsoleStream::open(connect, &domain, &line.alias, waker) {
                Ok(stream) => Ok((stream, line.alias)),
                Err(error) if error.code().is(ErrorNumber::OperationFailed) => {
                    Err(Refused::Briefly(format!(
                        "another program holds the machine's console ({}); it is tried again",
                        error.message()
                    )))
                }
                Err(error) => return Err(Failure::Ours(from_libvirt(&uri, &error))),
            })
        });
        let (stream, alias) = match opened.await {
            Ok(opened) => opened?,
            Err(error) if error.kind == BackendErrorKind::Unsupported => {
                return Err(Refused::ForNow(error.message));
            }
            Err(error) => return Err(Refused::Briefly(error.message)),
        };
        Ok(Line {
            stream: Some(Arc::new(stream)),
            alias,
            wake,
            runtime: self.runtime.clone(),
            closing: Arc::clone(&self.streams.closing),
        })
    }

    /// Says that the line is open. What was typed before it was lost belongs to what was on the screen then.
    async fn begin(&mut self, instance: Instance) {
        loop {
            tokio::select! {
                biased;
                input = self.port.input() => if input.is_none() { break },
                () = std::future::ready(()) => break,
            }
        }
        if self.starts != instance.starts {
            self.starts = instance.starts;
            self.unanswered = 0;
        }
        self.port.set_state(ConsoleState::Open);
    }

    /// Passes output and input on. Returns why it ended by itself, or `None` when the instance is no longer the one that runs.
    async fn serve(&mut self, line: &Line, instance: Instance) -> Option<String> {
        let stream = line.stream.as_ref()?;
        let running = Ok(instance);
        // At most one piece is under way, and one more only ever waits for room.
        let mut sending: Option<Sending> = None;
        let mut rest: Vec<u8> = Vec::new();
        let mut typists = true;
        loop {
            let may_type =
                typists && sending.is_none() && rest.is_empty() && self.unanswered < UNANSWERED_MAX_BYTES;
            tokio::select! {
                () = self.watch.running_changed(&running) => return None,
                () = line.wake.notified() => {
                    if let Err(why) = self.take_output(stream, !rest.is_empty()) {
                        return Some(why);
                    }
                    if sending.is_none() && !rest.is_empty() {
                        sending = Some(self.send(stream, std::mem::take(&mut rest)));
                    }
                }
                sent = settled(&mut sending) => {
                    sending = None;
                    match sent {
                        Ok(left) => rest = left,
                        Err(error) => tracing::warn!(machine = self.watch.name(), %error, "console input is lost"),
                    }
                    if !rest.is_empty() && let Err(error) = stream.listen(true) {
                        return Some(error.message().to_owned());
                    }
                }
                input = self.port.input(), if may_type => match input {
                    Some(ConsoleInput::Bytes(bytes)) => {
                        self.unanswered = self.unanswered.saturating_add(bytes.len());
                        sending = Some(self.send(stream, bytes));
                    }
                    Some(ConsoleInput::Break) => sending = Some(self.send_break(&line.alias)),
                    None => typists = false,
                },
            }
        }
    }

    /// Reads what has come and listens for more. `Err` says why nothing more will come.
    fn take_output(&mut self, stream: &ConsoleStream, writable: bool) -> Result<(), String> {
        let mut buffer = [0_u8; PIECE_BYTES];
        for _ in 0..PIECES_AT_ONCE {
            match stream.receive(&mut buffer) {
                Ok(Received::Bytes(length)) => {
                    self.port.output(buffer.get(..length).unwrap_or_default());
                    self.unanswered = 0;
                }
                Ok(Received::Nothing) => break,
                Ok(Received::End) => {
                    return Err(
                        "libvirt has closed the console, or given it to another program; it is tried again"
                            .to_owned(),
                    );
                }
                Err(error) => return Err(error.message().to_owned()),
            }
        }
        // What is left wakes us again at once.
        stream.listen(writable).map_err(|error| error.message().to_owned())
    }

    fn send(&self, stream: &Arc<ConsoleStream>, mut bytes: Vec<u8>) -> Sending {
        let (stream, sending) = (Arc::clone(stream), Arc::clone(&self.streams.sending));
        let uri = self.caller.uri().to_owned();
        Box::pin(async move {
            let Ok(turn) = sending.acquire_owned().await else { return Ok(Vec::new()) };
            let sent = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let taken = stream.send(&bytes).map_err(|error| from_libvirt(&uri, &error))?;
                Ok(bytes.split_off(taken.min(bytes.len())))
            });
            sent.await.unwrap_or_else(|died| {
                Err(BackendError::new(
                    BackendErrorKind::Internal,
                    format!("a libvirt call ended abnormally: {died}"),
                ))
            })
        })
    }

    /// libvirt's streams know no break; QEMU's own protocol does.
    fn send_break(&self, alias: &str) -> Sending {
        let command = format!(r#"{{"execute":"chardev-send-break","arguments":{{"id":"char{alias}"}}}}"#);
        let (caller, watch) = (self.caller.clone(), Arc::clone(&self.watch));
        Box::pin(async move {
            let sent = caller.call(CALL_TIMEOUT, "send a break", move |connect| {
                if connect.driver_type()? != "QEMU" {
                    return Err(
                        BackendError::unsupported("only QEMU can send a break on a serial line").into()
                    );
                }
                // QEMU reports its own errors in the answer.
                let answer = watch.look_up(connect)?.qemu_monitor_command(&command, 0)?;
                if answer.contains("\"error\"") {
                    return Err(BackendError::unsupported(format!("QEMU sends no break: {answer}")).into());
                }
                Ok(Vec::new())
            });
            sent.await
        })
    }
}

/// The end of what is under way, if something is.
async fn settled(sending: &mut Option<Sending>) -> Result<Vec<u8>, BackendError> {
    match sending {
        Some(sending) => sending.await,
        None => pending().await,
    }
}
