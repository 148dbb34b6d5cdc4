//! A machine's serial console: one stream of bytes out, which any number of viewers see, and one in, into which any of them types.
//!
//! ```text
//!   backend ──output──► scroll-back (the last bytes) ──► Viewer, Viewer, ...   each at its own place
//!   backend ◄──input─── queue ◄─────────────────────────  type_bytes, send_break
//! ```
//!
//! The backend holds the [`ConsolePort`], everybody else a [`Console`]. Output never waits for a viewer: one that is too slow loses the
//! oldest bytes and is told how many.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::{mpsc, watch};

/// Bytes of output kept for late viewers.
pub const SCROLLBACK_BYTES: usize = 64 * 1024;
/// Inputs that may wait for the backend; what is typed beyond that is refused.
pub const INPUTS_PENDING_MAX: usize = 64;
/// Longest piece of input in bytes.
pub const INPUT_MAX_BYTES: usize = 1024;

/// What is sent into a machine's serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleInput {
    /// Characters.
    Bytes(Vec<u8>),
    /// A break condition on the line.
    Break,
}

/// Whether somebody is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleState {
    /// The line is connected.
    Open,
    /// It is not, for this reason: what is typed goes nowhere.
    Closed(String),
}

/// Why input was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InputError {
    /// The machine takes it too slowly; later it may.
    #[error("the machine does not take its console input as fast as it is typed")]
    Full,
    /// Nobody is at the other end.
    #[error("the console is not connected")]
    Closed,
}

/// What a viewer sees next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that were lost before these, because the viewer was too slow.
    pub skipped: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Takes input at once, without waiting; for backends that need no queue.
pub type TakeInput = dyn Fn(ConsoleInput) -> Result<(), InputError> + Send + Sync;

/// Where input goes.
#[derive(Clone)]
enum Input {
    Queue(mpsc::Sender<ConsoleInput>),
    Direct(Arc<TakeInput>),
}

/// A machine's console. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    shared: Arc<Shared>,
    input: Input,
    news: watch::Receiver<News>,
}

/// The backend's end of a console. The console closes when it is dropped.
#[derive(Debug)]
pub struct ConsolePort {
    shared: Arc<Shared>,
    /// `None` where input goes directly to the backend.
    input: Option<mpsc::Receiver<ConsoleInput>>,
    news: watch::Sender<News>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Console").field(&self.state()).finish()
    }
}

/// One viewer's place in the output.
#[derive(Clone, Debug)]
pub struct Viewer {
    shared: Arc<Shared>,
    news: watch::Receiver<News>,
    /// How many bytes of all output it has behind it.
    place: u64,
}

#[derive(Debug, Default)]
struct Shared(Mutex<VecDeque<u8>>);

/// What wakes viewers.
#[derive(Clone, Debug)]
struct News {
    /// Bytes of output since the beginning.
    written: u64,
    state: ConsoleState,
}

/// A console and the backend's end of it, closed at first.
pub fn console() -> (Console, ConsolePort) {
    let (sender, receiver) = mpsc::channel(INPUTS_PENDING_MAX);
    connected(Input::Queue(sender), Some(receiver))
}

/// A console whose input goes to `take` at once, so that nobody has to wait for [`ConsolePort::input`]; closed at first.
pub fn direct_console(take: Arc<TakeInput>) -> (Console, ConsolePort) {
    connected(Input::Direct(take), None)
}

fn connected(input: Input, queued: Option<mpsc::Receiver<ConsoleInput>>) -> (Console, ConsolePort) {
    let shared = Arc::new(Shared::default());
    let closed = ConsoleState::Closed("the machine is off".to_owned());
    let (news, heard) = watch::channel(News { written: 0, state: closed });
    let console = Console { shared: Arc::clone(&shared), input, news: heard };
    (console, ConsolePort { shared, input: queued, news })
}

impl Console {
    /// A viewer who sees the kept output first and then what comes.
    pub fn view(&self) -> Viewer {
        Viewer { shared: Arc::clone(&self.shared), news: self.news.clone(), place: 0 }
    }

    /// A viewer who sees at most the last `max_bytes` of the kept output first, from the beginning of a line on, and then what comes.
    pub fn view_last(&self, max_bytes: usize) -> Viewer {
        let kept = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.news.borrow().written;
        let skipped = kept.len().saturating_sub(max_bytes);
        // Without a line in reach it begins in the middle of one.
        let line = if skipped == 0 {
            0
        } else {
            kept.iter().skip(skipped).position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
        };
        let ahead = kept.len() - skipped - line;
        drop(kept);
        Viewer { place: written - ahead as u64, ..self.view() }
    }

    /// A viewer who sees only what comes from now on.
    pub fn view_from_now(&self) -> Viewer {
        Viewer { place: self.news.borrow().written, ..self.view() }
    }

    /// Whether the line is connected.
    pub fn state(&self) -> ConsoleState {
        self.news.borrow().state.clone()
    }

    /// Sends something into the machine's serial port. Never waits.
    ///
    /// # Errors
    /// See [`InputError`]; nothing was sent then.
    pub fn send(&self, input: ConsoleInput) -> Result<(), InputError> {
        if self.news.borrow().state != ConsoleState::Open {
            return Err(InputError::Closed);
        }
        match &self.input {
            Input::Direct(take) => take(input),
            Input::Queue(queue) => queue.try_send(input).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => InputError::Full,
                mpsc::error::TrySendError::Closed(_) => InputError::Closed,
            }),
        }
    }
}

impl ConsolePort {
    /// The machine has written this.
    pub fn output(&self, bytes: &[u8]) {
        let mut kept = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes_kept = bytes.get(bytes.len().saturating_sub(SCROLLBACK_BYTES)..).unwrap_or_default();
        let excess = (kept.len() + bytes_kept.len()).saturating_sub(SCROLLBACK_BYTES);
        kept.drain(..excess);
        kept.extend(bytes_kept);
        // Under the lock, so that place and bytes always fit together.
        self.news.send_modify(|news| news.written += bytes.len() as u64);
    }

    /// The line was connected or lost.
    pub fn set_state(&self, state: ConsoleState) {
        self.news.send_if_modified(|news| {
            let changed = news.state != state;
            news.state = state;
            changed
        });
    }

    /// What somebody typed next; `None` when nobody can type any more, and for a [`direct_console`].
    pub async fn input(&mut self) -> Option<ConsoleInput> {
        self.input.as_mut()?.recv().await
    }
}

impl Drop for ConsolePort {
    fn drop(&mut self) {
        self.set_state(ConsoleState::Closed("the machine is no longer served".to_owned()));
    }
}

impl Viewer {
    /// What is there to see now, at most `max_bytes` of it, without waiting; no bytes when there is nothing new.
    pub fn take(&mut self, max_bytes: usize) -> Seen {
        let kept = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.news.borrow_and_update().written;
        let oldest = written - kept.len() as u64;
        let skipped = oldest.saturating_sub(self.place);
        // A viewer from the beginning has missed nothing that it was promised.
        let skipped = if self.place == 0 { 0 } else { skipped };
        let from = self.place.max(oldest);
        let at = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = kept.iter().skip(at).take(max_bytes).copied().collect();
        self.place = from + bytes.len() as u64;
        Seen { skipped, bytes }
    }

    /// Waits until there is something to see, or the line was connected or lost. `false` when nothing will come any more.
    pub async fn changed(&mut self) -> bool {
        self.news.changed().await.is_ok()
    }

    /// Whether the line is connected.
    pub fn state(&self) -> ConsoleState {
        self.news.borrow().state.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_viewer_sees_the_whole_stream_and_a_late_one_what_is_kept() {
        let (console, mut port) = console();
        port.set_state(ConsoleState::Open);
        let mut early = console.view();
        let mut now = console.view_from_now();
        port.output(b"login: ");
        assert!(early.changed().await && now.changed().await);
        let all = Seen { skipped: 0, bytes: b"login: ".to_vec() };
        assert_eq!((early.take(100), now.take(100)), (all.clone(), all.clone()));
        assert_eq!(console.view().take(100), all);
        assert_eq!(console.view_from_now().take(100), Seen::default());
        assert_eq!(console.view().take(3).bytes, b"log");
        console.send(ConsoleInput::Bytes(b"root".to_vec())).unwrap();
        console.send(ConsoleInput::Break).unwrap();
        assert_eq!(port.input().await, Some(ConsoleInput::Bytes(b"root".to_vec())));
        assert_eq!(port.input().await, Some(ConsoleInput::Break));
        drop(port);
        assert!(early.changed().await, "the end is news");
        assert!(!early.changed().await);
        assert_eq!(console.send(ConsoleInput::Break), Err(InputError::Closed));
    }

    #[test]
    fn a_viewer_of_the_last_output_begins_with_a_line() {
        let (console, port) = console();
        port.output(b"one\r\ntwo\r\nthree");
        let last = |max| console.view_last(max).take(100);
        assert_eq!(last(100).bytes, b"one\r\ntwo\r\nthree");
        assert_eq!(last(9).bytes, b"three");
        assert_eq!(last(11), Seen { skipped: 0, bytes: b"two\r\nthree".to_vec() });
        assert_eq!(last(3).bytes, b"ree", "a line that is too long");
        port.output(&[b'x'; SCROLLBACK_BYTES]);
        assert_eq!(last(5), Seen { skipped: 0, bytes: b"xxxxx".to_vec() });
    }

    #[test]
    fn a_slow_viewer_is_told_what_it_lost() {
        let (console, port) = console();
        port.output(b"x");
        let mut slow = console.view_from_now();
        port.output(&[b'a'; SCROLLBACK_BYTES]);
        port.output(b"bcd");
        let seen = slow.take(usize::MAX);
        assert_eq!((seen.skipped, seen.bytes.len()), (3, SCROLLBACK_BYTES));
        assert!(seen.bytes.ends_with(b"abcd"));
        assert_eq!(console.view().take(1), Seen { skipped: 0, bytes: b"a".to_vec() });
    }

    #[tokio::test]
    async fn direct_input_needs_nobody_who_waits_for_it() {
        let typed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&typed);
        let take: Arc<TakeInput> = Arc::new(move |input| {
            sink.lock().unwrap().push(input);
            Ok(())
        });
        let (console, mut port) = direct_console(take);
        assert_eq!(console.send(ConsoleInput::Break), Err(InputError::Closed));
        port.set_state(ConsoleState::Open);
        console.send(ConsoleInput::Break).unwrap();
        assert_eq!(*typed.lock().unwrap(), [ConsoleInput::Break]);
        assert_eq!(port.input().await, None);
    }

    #[test]
    fn input_is_bounded_and_goes_nowhere_while_the_line_is_not_connected() {
        let (console, port) = console();
        assert_eq!(console.send(ConsoleInput::Break), Err(InputError::Closed));
        port.set_state(ConsoleState::Open);
        for _ in 0..INPUTS_PENDING_MAX {
            console.send(ConsoleInput::Break).unwrap();
        }
        assert_eq!(console.send(ConsoleInput::Break), Err(InputError::Full));
    }
}
