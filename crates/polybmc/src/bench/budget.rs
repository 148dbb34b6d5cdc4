//! How long a run may go on: a duration or a number of operations, and a limit that holds whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A worker gives up after this many failures in a row: the target is dead, or as good as dead.
pub(crate) const GIVE_UP_AFTER: u32 = 3;

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// New operations start for this long.
    Duration(Duration),
    /// This many operations, all workers together.
    Count(u64),
}

/// The operations that are left, shared by all workers of a run.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: Arc<AtomicU64>,
    start_until: Instant,
    end_by: Instant,
}

impl Budget {
    /// A budget that starts now. Whatever happens, everything ends `limit` from now.
    pub(crate) fn start(goal: Goal, limit: Duration) -> Self {
        let now = Instant::now();
        let end_by = now + limit;
        let (left, start_until) = match goal {
            Goal::Duration(duration) => (u64::MAX, end_by.min(now + duration)),
            Goal::Count(count) => (count, end_by),
        };
        Self { left: Arc::new(AtomicU64::new(left)), start_until, end_by }
    }

    /// Whether one more operation may start; takes it from what is left.
    pub(crate) fn take(&self) -> bool {
        Instant::now() < self.start_until
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    /// When everything ends, finished or not.
    pub(crate) const fn end_by(&self) -> Instant {
        self.end_by
    }

    /// Whether [`Budget::end_by`] is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end_by
    }
}

/// Failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Patience(u32);

impl Patience {
    /// It went well.
    pub(crate) fn renew(&mut self) {
        self.0 = 0;
    }

    /// It failed; whether that was once too often.
    pub(crate) fn lose(&mut self) -> bool {
        self.0 += 1;
        self.0 >= GIVE_UP_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_count_is_shared_and_runs_out() {
        let budget = Budget::start(Goal::Count(3), LIMIT);
        let other = budget.clone();
        assert_eq!([budget.take(), other.take(), budget.take(), other.take()], [true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_duration_ends_new_operations_and_the_limit_ends_all() {
        let budget = Budget::start(Goal::Duration(Duration::from_secs(5)), LIMIT);
        assert!(budget.take());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(!budget.take() && !budget.is_over());
        tokio::time::advance(Duration::from_secs(55)).await;
        assert!(budget.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_for_a_count_too() {
        let budget = Budget::start(Goal::Count(u64::MAX), LIMIT);
        tokio::time::advance(LIMIT).await;
        assert!(!budget.take());
    }

    #[test]
    fn a_success_renews_the_patience() {
        let mut patience = Patience::default();
        assert!(!patience.lose() && !patience.lose());
        patience.renew();
        assert!(!patience.lose() && !patience.lose() && patience.lose());
    }
}
