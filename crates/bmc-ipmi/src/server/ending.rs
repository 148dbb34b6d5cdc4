//! Sessions that are to end, and what they still wait for.
//!
//! ```text
//!   open ──(its user changed, the BMC was reset)──► ending ──(its requests are answered)──► closed
//! ```
//!
//! Who changes their own password, or resets the BMC, must hear that it was done; so a session ends behind the answers to what it has
//! asked, and nothing new is taken from it meanwhile.

use std::collections::{HashMap, HashSet};

/// The sessions of one station, as far as they wait or end.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// How many requests of a session wait for the machine's owner.
    waiting: HashMap<u32, usize>,
    /// Sessions to end.
    ending: HashSet<u32>,
}

impl Ending {
    /// A request of this session waits for the machine's owner.
    pub(crate) fn asked(&mut self, session: u32) {
        *self.waiting.entry(session).or_default() += 1;
    }

    /// One request of this session has been answered.
    pub(crate) fn answered(&mut self, session: u32) {
        if let Some(waiting) = self.waiting.get_mut(&session) {
            *waiting = waiting.saturating_sub(1);
        }
        self.waiting.retain(|_, waiting| *waiting > 0);
    }

    /// A request is lost, and with it whose it was: nobody shall wait for it.
    pub(crate) fn lost(&mut self) {
        self.waiting.clear();
    }

    /// These sessions are to end.
    pub(crate) fn end(&mut self, sessions: impl IntoIterator<Item = u32>) {
        self.ending.extend(sessions);
    }

    /// This session is closed.
    pub(crate) fn closed(&mut self, session: u32) {
        self.ending.remove(&session);
        self.waiting.remove(&session);
    }

    /// Whether this session is to end.
    pub(crate) fn is_ending(&self, session: u32) -> bool {
        self.ending.contains(&session)
    }

    /// Whether this session is to end now.
    pub(crate) fn is_due(&self, session: u32) -> bool {
        self.is_ending(session) && !self.waiting.contains_key(&session)
    }

    /// Whether any session is to end now.
    pub(crate) fn any_due(&self) -> bool {
        self.ending.iter().any(|session| self.is_due(*session))
    }

    /// Whether a request waits.
    pub(crate) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether all that was to end has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ending.is_empty()
    }
}
