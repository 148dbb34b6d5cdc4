//! Sessions that are to end, and what they still wait for.
//!
//! ```text
//!   open ──(its user changed, the BMC was reset)──► ending ──(answered, and ENDING_GRACE over)──► closed
//!                                                      └──(Close Session)───────────────────────────┘
//! ```
//!
//! Who changes their own password, or resets the BMC, must hear that it was done; so a session ends behind the answers to what it has
//! asked. It may then still be closed by its console: ipmitool waits ten seconds for the answer to that. Nothing else is done for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a session whose own request made it end may still be closed by its console.
pub(crate) const ENDING_GRACE: Duration = Duration::from_secs(1);

/// The sessions of one station, as far as they wait or end.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// How many requests of a session wait for the machine's owner.
    waiting: HashMap<u32, usize>,
    /// When the owner's last answer went to a session.
    answered: HashMap<u32, Instant>,
    /// Sessions to end, and since when.
    ending: HashMap<u32, Instant>,
}

impl Ending {
    /// A request of this session waits for the machine's owner.
    pub(crate) fn asked(&mut self, session: u32) {
        *self.waiting.entry(session).or_default() += 1;
    }

    /// One request of this session has been answered.
    pub(crate) fn answered(&mut self, session: u32, now: Instant) {
        // A session that was closed meanwhile is not to be remembered again.
        let Some(waiting) = self.waiting.get_mut(&session) else { return };
        *waiting = waiting.saturating_sub(1);
        self.waiting.retain(|_, waiting| *waiting > 0);
        self.answered.insert(session, now);
    }

    /// A request is lost, and with it whose it was: nobody shall wait for it.
    pub(crate) fn lost(&mut self) {
        self.waiting.clear();
    }

    /// These sessions are to end.
    pub(crate) fn end(&mut self, sessions: impl IntoIterator<Item = u32>, now: Instant) {
        for session in sessions {
            self.ending.entry(session).or_insert(now);
        }
    }

    /// This session is closed.
    pub(crate) fn closed(&mut self, session: u32) {
        self.ending.remove(&session);
        self.waiting.remove(&session);
        self.answered.remove(&session);
    }

    /// Whether this session is to end.
    pub(crate) fn is_ending(&self, session: u32) -> bool {
        self.ending.contains_key(&session)
    }

    /// Whether this session is to end by now.
    pub(crate) fn is_due(&self, session: u32, now: Instant) -> bool {
        self.due_at(session).is_some_and(|at| at <= now)
    }

    /// When the next session is to end, without what must happen first.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.ending.keys().filter_map(|session| self.due_at(*session)).min()
    }

    /// When this session is to end; `None` while it waits, or if it is not to end.
    fn due_at(&self, session: u32) -> Option<Instant> {
        let since = *self.ending.get(&session)?;
        if self.waiting.contains_key(&session) {
            return None;
        }
        // An answer of long ago was to another request.
        let answered = self.answered.get(&session).and_then(|at| at.checked_add(ENDING_GRACE));
        Some(answered.map_or(since, |grace| grace.max(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_at_once_unless_it_asked_for_something_just_now() {
        let start = Instant::now();
        let mut ending = Ending::default();
        ending.end([1], start);
        assert!(ending.is_due(1, start));
        ending.asked(2);
        ending.end([2], start);
        assert!(ending.is_ending(2) && !ending.is_due(2, start + ENDING_GRACE));
        let later = start + ENDING_GRACE * 3;
        ending.answered(2, later);
        assert!(!ending.is_due(2, later));
        assert!(ending.is_due(2, later + ENDING_GRACE));
        assert_eq!(ending.next_due(), Some(start), "of the first");
        ending.closed(1);
        assert_eq!(ending.next_due(), Some(later + ENDING_GRACE));
        // Answered before the station has seen that it is to end.
        ending.asked(3);
        ending.answered(3, start);
        ending.end([3], start);
        assert!(!ending.is_due(3, start) && ending.is_due(3, start + ENDING_GRACE));
        ending.closed(3);
        ending.lost();
        assert!(!ending.is_ending(3));
    }

    #[test]
    fn nothing_is_kept_of_a_session_that_was_closed_before_its_answer() {
        let start = Instant::now();
        let mut ending = Ending::default();
        ending.asked(1);
        ending.closed(1);
        ending.answered(1, start);
        assert!(ending.waiting.is_empty() && ending.answered.is_empty() && ending.ending.is_empty());
    }
}
