//! Waiting for a condition, within a limit.

use std::time::{Duration, Instant};

/// The first pause between two looks; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Looks until `look` finds something, at most for `limit`; it is looked at once even when `limit` is zero.
/// `None` when the time is over.
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let left = limit.checked_sub(started.elapsed()).filter(|left| !left.is_zero())?;
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not hold within `limit`; `what` says in the message what was waited for.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    if poll(limit, || condition().then_some(())).is_none() {
        panic!("waited {limit:?} in vain until {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        eventually("it was looked at three times", Duration::from_secs(30), || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    #[should_panic(expected = "until pigs fly")]
    fn a_condition_that_stays_false_fails_the_test() {
        eventually("pigs fly", Duration::from_millis(20), || false);
    }

    #[test]
    fn even_without_time_there_is_one_look() {
        assert_eq!(poll(Duration::ZERO, || Some(7)), Some(7));
        assert_eq!(poll(Duration::ZERO, || None::<u8>), None);
    }
}
