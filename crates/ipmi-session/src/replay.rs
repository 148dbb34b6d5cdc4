//! What a session remembers of its last requests, so that a repetition is not carried out twice.
//!
//! Consoles repeat themselves in three ways. Some send the same datagram again: the same session sequence number tells.
//! ipmitool and pyghmi seal the same message again under the next session sequence number: there the message itself,
//! with its own sequence number, is what tells. FreeIPMI raises that, too; only what the command means can tell then.

use std::time::Instant;

use crate::{
    event::{RequestToken, Sent},
    limits,
    window::{Verdict, Window},
};

/// How far a remembered request has come.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Handed out under this token.
    Pending(RequestToken),
    /// Answered with this message. It is sealed anew each time: under its first sequence number it could lie outside
    /// the console's window by now.
    Answered(Vec<u8>, Sent),
}

#[derive(Debug)]
struct Entry {
    sequence: u32,
    /// The decrypted message. Two packets with one sequence number are the same request only if this is equal too;
    /// the ciphertext is not compared, because a console may encrypt again with a new vector.
    message: Vec<u8>,
    at: Instant,
    state: State,
}

impl State {
    /// Whether the request was or will be carried out. One that failed did nothing, and may be tried again.
    const fn stands(&self) -> bool {
        match self {
            Self::Pending(_) => true,
            Self::Answered(_, Sent::Response { completion, .. }) => completion.is_ok(),
            Self::Answered(..) => false,
        }
    }
}

/// The last requests of one session by session sequence number.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: Vec<Entry>,
}

impl Cache {
    /// What became of the request with this number and message.
    pub(crate) fn find(&self, sequence: u32, message: &[u8]) -> Option<&State> {
        self.entries.iter().find(|e| e.sequence == sequence && e.message == message).map(|e| &e.state)
    }

    /// What became of the latest request, if this message under another number is a repetition of it.
    ///
    /// Only the latest counts, and not for ever: a console that gives all its messages the same sequence number, or
    /// comes round to this one again, means a new request.
    pub(crate) fn resent(&self, now: Instant, message: &[u8]) -> Option<&State> {
        let latest = self.entries.last()?;
        let recent = now.saturating_duration_since(latest.at) < limits::RESEND_WINDOW;
        (recent && latest.message == message && latest.state.stands()).then_some(&latest.state)
    }

    /// Remembers a request, and forgets those that the window has left behind: the rest has as many entries as the
    /// window has numbers, [`limits::RETRANSMIT_CACHE`]. Age would be the wrong measure, because requests overtake
    /// each other on the way.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        sequence: u32,
        message: Vec<u8>,
        state: State,
        window: &Window,
    ) {
        self.entries.retain(|e| window.judge(e.sequence) == Verdict::Seen);
        if self.entries.len() < limits::RETRANSMIT_CACHE {
            self.entries.push(Entry { sequence, message, at: now, state });
        }
    }

    /// Notes the answer to the pending request `token`.
    pub(crate) fn answer(&mut self, token: RequestToken, message: Vec<u8>, sent: Sent) {
        let entry = self.entries.iter_mut().find(|e| matches!(e.state, State::Pending(t) if t == token));
        if let Some(entry) = entry {
            entry.state = State::Answered(message, sent);
        }
    }
}
