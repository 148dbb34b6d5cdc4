//! Keeps those who guess passwords from filling the event log.

use std::time::{Duration, Instant};

/// A user and source are noted once in this time.
pub(crate) const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Pairs of user and source noted within [`NOTED_EVERY`]; failures beyond that are not noted.
pub(crate) const NOTED_MAX: usize = 16;

/// Who was noted of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditLimit(Vec<(String, String, Instant)>);

impl AuditLimit {
    /// Whether a failure of this user from this source is to be noted; it counts as noted then.
    pub(crate) fn admits(&mut self, now: Instant, user: &str, source: &str) -> bool {
        self.0.retain(|(_, _, noted)| now.saturating_duration_since(*noted) < NOTED_EVERY);
        let known = self.0.iter().any(|(name, from, _)| name == user && from == source);
        let admits = !known && self.0.len() < NOTED_MAX;
        if admits {
            self.0.push((user.to_owned(), source.to_owned(), now));
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let admitted = (0..100).filter(|n| limit.admits(later, &n.to_string(), "1")).count();
        assert_eq!(admitted, NOTED_MAX);
        assert!(limit.admits(later + NOTED_EVERY, "a", "1"));
    }
}
