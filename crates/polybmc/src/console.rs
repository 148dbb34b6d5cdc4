//! `polybmc console`: the terminal as one more viewer of a machine's serial console.
//!
//! What is typed goes to the machine as it is, except escapes at the beginning of a line: `~.` leaves, `~B` sends a break, `~?` shows them, `~~`
//! types a tilde. A terminal is in raw mode meanwhile and restored however this ends; pipes work, too.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bmc_control::{Client, ClientError, ErrorKind};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::Console;

/// Most bytes read from the terminal at a time: less than one piece of input of the control API, so that a refused one can be tried again.
const READ_MAX_BYTES: usize = 512;
/// Pieces of input that wait for the daemon; the terminal waits then.
const PIECES_WAITING: usize = 16;
/// How long input waits that the machine had no room for.
const FULL_PAUSE: Duration = Duration::from_millis(50);

const HELP: &str = "\
\r\nAt the beginning of a line:\r
 ~.  leave\r
 ~B  send a break\r
 ~?  this list\r
 ~~  type ~\r
";

/// What came of something typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// Characters for the machine.
    Text(Vec<u8>),
    Break,
    Help,
    Leave,
}

/// Finds the escapes in what is typed.
#[derive(Debug)]
struct Escapes {
    at_line_start: bool,
    /// Whether a tilde at the beginning of a line waits for what follows.
    tilde: bool,
}

impl Escapes {
    const fn new() -> Self {
        Self { at_line_start: true, tilde: false }
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut all = Vec::new();
        let mut text = Vec::new();
        for byte in bytes {
            if std::mem::take(&mut self.tilde) {
                let escape = match byte {
                    b'.' => Some(Typed::Leave),
                    b'B' => Some(Typed::Break),
                    b'?' => Some(Typed::Help),
                    _ => None,
                };
                if let Some(escape) = escape {
                    if !text.is_empty() {
                        all.push(Typed::Text(std::mem::take(&mut text)));
                    }
                    all.push(escape);
                    self.at_line_start = true;
                    continue;
                }
                text.push(b'~');
                self.at_line_start = false;
                if *byte == b'~' {
                    continue;
                }
            } else if self.at_line_start && *byte == b'~' {
                self.tilde = true;
                continue;
            }
            text.push(*byte);
            self.at_line_start = matches!(byte, b'\r' | b'\n');
        }
        if !text.is_empty() {
            all.push(Typed::Text(text));
        }
        all
    }
}

/// The terminal in raw mode; restored when dropped. Nothing where stdin is no terminal.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        if !isatty(&stdin) {
            return Ok(Self(None));
        }
        let before = tcgetattr(&stdin).context("cannot read the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Drain, &raw).context("cannot set the terminal to raw mode")?;
        Ok(Self(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs nothing any more.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
        }
    }
}

fn show(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

fn note(text: &str) {
    // With stderr closed there is nobody to tell.
    let _ = write!(std::io::stderr(), "{text}\r\n");
}

/// Reads the terminal in a thread of its own, which ends with the process: a read from a terminal cannot be called off.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    std::thread::spawn(move || {
        let mut buffer = [0; READ_MAX_BYTES];
        let mut stdin = std::io::stdin().lock();
        while let Ok(length @ 1..) = stdin.read(&mut buffer) {
            if sender.blocking_send(buffer.get(..length).unwrap_or_default().to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs until the user leaves, stdin ends, or the console does.
///
/// # Errors
/// What the daemon says, that it went away, or that the terminal cannot be used.
pub(crate) async fn run(client: &Client, verb: Console) -> Result<()> {
    let history = if verb.no_history { Some(0) } else { None };
    let mut output = client.console(&verb.name, history, true).await?;
    let _raw = Raw::enter()?;
    note(&format!("[console of {}; ~. leaves, ~? helps]", verb.name));
    let printing = async {
        while let Some(bytes) = output.next().await? {
            show(&bytes)?;
        }
        anyhow::bail!("the console has ended: the BMC is gone, or the daemon shut down")
    };
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hung_up = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let result = tokio::select! {
        ended = printing => ended,
        left = typing(client, &verb.name) => left,
        _ = terminated.recv() => Ok(()),
        _ = hung_up.recv() => Ok(()),
    };
    note("");
    result
}

async fn typing(client: &Client, name: &str) -> Result<()> {
    let mut input = read_stdin();
    let mut escapes = Escapes::new();
    let mut told = false;
    while let Some(bytes) = input.recv().await {
        for typed in escapes.read(&bytes) {
            let sent = match typed {
                Typed::Leave => return Ok(()),
                Typed::Help => {
                    show(HELP.as_bytes())?;
                    continue;
                }
                Typed::Text(text) => send_text(client, name, &text).await,
                Typed::Break => client.console_break(name).await,
            };
            match sent {
                Ok(()) => told = false,
                // A machine that is off may come back; once is enough to say it.
                Err(ClientError::Refused(refusal)) => {
                    if !std::mem::replace(&mut told, true) {
                        note(&format!("[{}]", refusal.message));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Types, and waits while the machine has no room.
async fn send_text(client: &Client, name: &str, text: &[u8]) -> Result<(), ClientError> {
    loop {
        match client.console_type(name, text).await {
            Err(ClientError::Refused(refusal)) if refusal.kind == ErrorKind::Busy => {
                tokio::time::sleep(FULL_PAUSE).await;
            }
            sent => return sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Typed {
        Typed::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn escapes_are_found_only_at_the_beginning_of_a_line() {
        for (pieces, want) in [
            (&["~."][..], vec![Typed::Leave]),
            (&["~", "."], vec![Typed::Leave]),
            (&["ls ~.\r~.rest"], vec![text("ls ~.\r"), Typed::Leave, text("rest")]),
            (&["a\r~B~?"], vec![text("a\r"), Typed::Break, Typed::Help]),
            (&["~~.\r"], vec![text("~.\r")]),
            (&["~x"], vec![text("~x")]),
            (&["~\r~."], vec![text("~\r"), Typed::Leave]),
            (&["x", "~."], vec![text("x"), text("~.")]),
        ] {
            let mut escapes = Escapes::new();
            let got: Vec<Typed> = pieces.iter().flat_map(|piece| escapes.read(piece.as_bytes())).collect();
            assert_eq!(got, want, "{pieces:?}");
        }
    }
}
