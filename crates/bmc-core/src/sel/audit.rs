//! Keeps those who guess passwords, and those who come and go, from filling the event log and the machine's inbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::event::EventKind;
use crate::snapshot::Snapshot;

/// A user and source are noted once in this time.
pub(crate) const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Pairs of user and source noted within [`NOTED_EVERY`]; failures beyond that are not noted.
pub(crate) const NOTED_MAX: usize = 16;
/// Those of one source: it does not silence what others do.
pub(crate) const NOTED_PER_SOURCE_MAX: usize = 4;

/// Who was noted of late.
#[derive(Debug, Default)]
struct AuditLimit(Vec<(String, String, Instant)>);

impl AuditLimit {
    /// Whether a failure of this user from this source is to be noted; it counts as noted then.
    fn admits(&mut self, now: Instant, user: &str, source: &str) -> bool {
        self.0.retain(|(_, _, noted)| now.saturating_duration_since(*noted) < NOTED_EVERY);
        let of_source = self.0.iter().filter(|(_, from, _)| from == source);
        let known = of_source.clone().any(|(name, ..)| name == user);
        let admits = !known && of_source.count() < NOTED_PER_SOURCE_MAX && self.0.len() < NOTED_MAX;
        if admits {
            self.0.push((user.to_owned(), source.to_owned(), now));
        }
        admits
    }
}

#[derive(Debug, Default)]
struct Limits {
    failures: AuditLimit,
    locks: AuditLimit,
}

/// Decides, before a machine's owner is told, what of that which happened in a frontend is worth it.
pub(crate) struct Notices {
    clock: Arc<dyn Clock>,
    limits: Mutex<Limits>,
}

impl Notices {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, limits: Mutex::default() }
    }

    /// Whether to tell the owner; a failure counts as told then.
    pub(crate) fn admits(&self, snapshot: &Snapshot, kind: &EventKind) -> bool {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let (limit, user, source) = match kind {
            EventKind::LoginFailed { user, source } => (&mut limits.failures, user, source),
            EventKind::LockedOut { user, source, .. } => (&mut limits.locks, user, source),
            other => return snapshot.settings.sensors.audits(other),
        };
        // Made-up names are one user, whom nobody can multiply. The null user is not told by its name.
        let is_known = snapshot.accounts.by_name(user.as_bytes()).is_some();
        limit.admits(self.clock.now(), if is_known { user } else { "" }, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::control::{Control, tests::record};

    #[test]
    fn once_a_minute_for_each_user_and_source_and_not_too_many_of_them() {
        let mut limit = AuditLimit::default();
        let start = Instant::now();
        assert!(limit.admits(start, "a", "1"));
        assert!(!limit.admits(start, "a", "1"));
        assert!(limit.admits(start, "a", "2"));
        assert!(limit.admits(start, "b", "1"));
        assert!(limit.admits(start + NOTED_EVERY, "a", "1"));
        let later = start + NOTED_EVERY * 3;
        let admitted = |limit: &mut AuditLimit, source: &str| {
            (0..100).filter(|n| limit.admits(later, &n.to_string(), source)).count()
        };
        assert_eq!(admitted(&mut limit, "1"), NOTED_PER_SOURCE_MAX);
        assert_eq!(admitted(&mut limit, "2"), NOTED_PER_SOURCE_MAX, "one source does not silence another");
        let all: usize = (3..100).map(|n| admitted(&mut limit, &n.to_string())).sum();
        assert_eq!(all, NOTED_MAX - 2 * NOTED_PER_SOURCE_MAX);
        assert!(limit.admits(later + NOTED_EVERY, "a", "1"));
    }

    #[test]
    fn made_up_names_and_sessions_that_nobody_asks_about_are_not_told() {
        let snapshot = Control::new("m".into(), record()).snapshot();
        let notices = Notices::new(Arc::new(SystemClock));
        let told = |kinds: &[EventKind]| kinds.iter().filter(|kind| notices.admits(&snapshot, kind)).count();
        let who = |user: &str| (user.to_owned(), "192.0.2.1".to_owned());
        let failed = |name: &str| {
            let (user, source) = who(name);
            EventKind::LoginFailed { user, source }
        };
        let locked = |name: &str| {
            let (user, source) = who(name);
            EventKind::LockedOut { user, source, log: true }
        };
        let made_up: Vec<String> = (0..100).map(|n| format!("name{n}")).collect();
        let failures: Vec<EventKind> = made_up.iter().map(|name| failed(name)).collect();
        let locks: Vec<EventKind> = made_up.iter().map(|name| locked(name)).collect();
        assert_eq!((told(&failures), told(&locks)), (1, 1));
        assert_eq!(told(&[failed("admin"), failed("admin"), locked("admin"), locked("admin")]), 2);
        let (user, source) = who("admin");
        let opened = EventKind::SessionOpened { user, source };
        let (user, source) = who("admin");
        assert_eq!(told(&[opened, EventKind::SessionClosed { user, source }]), 0);
        assert_eq!(told(&[EventKind::BmcReset { cold: false }]), 1);
    }
}
