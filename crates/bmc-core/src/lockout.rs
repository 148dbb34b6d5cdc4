//! Lock-out after wrong passwords, shared by every protocol of a BMC: per BMC, user and source address, so that nobody locks the
//! owner out from another address. Loopback sources are never locked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::account::LONG_MAX_BYTES;

/// Wrong passwords within [`FAILURE_WINDOW`] that lock.
pub const FAILURES_MAX: u32 = 10;
/// How long a failure counts.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(5 * 60);
/// How long a lock holds.
pub const LOCK_TIME: Duration = Duration::from_secs(5 * 60);
/// Users and sources watched at once, all BMCs together. Where there is no place, the one that failed longest ago gives way, of those that
/// are not locked; a lock holds until its time is over, and when all are locks, newcomers are not watched.
pub const WATCHED_MAX: usize = 4_096;
/// Those of one source: it pushes out none of another's. A source that has so many locks at once is locked as a whole.
pub const WATCHED_PER_SOURCE_MAX: usize = 512;

/// When wrong passwords lock a user out wherever they come from, loopback too: what an administrator chose for a BMC (IPMI 2.0
/// table 23-4, parameter 26), beside the lock-out by source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRule {
    /// Wrong passwords that lock, from 1 on.
    pub failures: u32,
    /// After how long without a wrong password counting starts anew; `None` is never.
    pub forget_after: Option<Duration>,
    /// For how long the user is locked; `None`: until an administrator enables the account, which the caller has to disable.
    pub lock_for: Option<Duration>,
}

/// Bytes of a user's name that tell users apart: one more than any account's name has, so that a longer name is never taken for one.
const NAME_KEPT_BYTES: usize = LONG_MAX_BYTES + 1;

/// Stands for all names that no account has: they count together, so that a source cannot make itself places by making up names. No
/// account's name has a space.
pub const UNKNOWN_USER: &[u8] = b"(no such account)";

type Key = (Box<str>, Box<[u8]>, IpAddr);

fn key(bmc: &str, user: &[u8], source: IpAddr) -> Key {
    (bmc.into(), user[..user.len().min(NAME_KEPT_BYTES)].into(), source)
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    failures: u32,
    first: Instant,
    last: Instant,
    locked_until: Option<Instant>,
}

impl Watched {
    fn is_locked(&self, now: Instant) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }
}

type UserKey = (Box<str>, Box<[u8]>);

/// The wrong passwords of late.
#[derive(Debug, Default)]
pub struct Lockouts {
    watched: Mutex<HashMap<Key, Watched>>,
    /// Those of users, by [`UserRule`]. Only names that accounts have are counted here, so that there are not many.
    users: Mutex<HashMap<UserKey, Watched>>,
}

impl Lockouts {
    /// Whether this user of this BMC may not log in from this source now. `user` is the account's name, else [`UNKNOWN_USER`].
    pub fn is_locked(&self, now: Instant, bmc: &str, user: &[u8], source: IpAddr) -> bool {
        if source.is_loopback() {
            return false;
        }
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match watched.get(&key(bmc, user, source)) {
            Some(entry) => entry.is_locked(now),
            None if watched.len() < WATCHED_PER_SOURCE_MAX => false,
            None => {
                let locks =
                    watched.iter().filter(|((.., from), entry)| *from == source && entry.is_locked(now));
                locks.count() >= WATCHED_PER_SOURCE_MAX
            }
        }
    }

    /// Counts a wrong password; `true` when this one locks. `user` as in [`Lockouts::is_locked`]. A message that only reports an error proves
    /// nothing: do not count it.
    pub fn failed(&self, now: Instant, bmc: &str, user: &[u8], source: IpAddr) -> bool {
        if source.is_loopback() {
            return false;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(bmc, user, source);
        if !watched.contains_key(&key) && !make_room(&mut watched, now, source) {
            return false;
        }
        let fresh = Watched { failures: 0, first: now, last: now, locked_until: None };
        let entry = watched.entry(key).or_insert(fresh);
        let lock_is_over = entry.locked_until.is_some_and(|until| now >= until);
        if lock_is_over || now.saturating_duration_since(entry.first) > FAILURE_WINDOW {
            *entry = fresh;
        }
        entry.failures += 1;
        entry.last = now;
        let locks = entry.failures >= FAILURES_MAX && entry.locked_until.is_none();
        if locks {
            entry.locked_until = Some(now + LOCK_TIME);
        }
        locks
    }

    /// Whether a [`UserRule`] keeps this user of this BMC out now.
    pub fn is_user_locked(&self, now: Instant, bmc: &str, user: &[u8]) -> bool {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = users.get(&(bmc.into(), user.into()));
        entry.and_then(|entry| entry.locked_until).is_some_and(|until| now < until)
    }

    /// Counts a wrong password of an account's name by the BMC's rule; `true` when this one locks.
    pub fn user_failed(&self, now: Instant, bmc: &str, user: &[u8], rule: UserRule) -> bool {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Watched { failures: 0, first: now, last: now, locked_until: None };
        let entry = users.entry((bmc.into(), user.into())).or_insert(fresh);
        let lock_is_over = entry.locked_until.is_some_and(|until| now >= until);
        let quiet = now.saturating_duration_since(entry.last);
        if lock_is_over || rule.forget_after.is_some_and(|after| quiet > after) {
            *entry = fresh;
        }
        entry.failures += 1;
        entry.last = now;
        let locks = entry.failures >= rule.failures && entry.locked_until.is_none();
        match rule.lock_for {
            Some(time) if locks => entry.locked_until = Some(now + time),
            // The account itself is disabled: there is nothing to remember.
            None if locks => {
                users.remove(&(bmc.into(), user.into()));
            }
            _ => {}
        }
        locks
    }

    /// Forgets the failures of a user by its BMC's rule, and the lock: after a right password, and when its account is changed.
    pub fn forgive_user(&self, bmc: &str, user: &[u8]) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).remove(&(bmc.into(), user.into()));
    }

    /// Whether this user of this BMC is locked out from anywhere now, by whichever rule.
    pub fn is_locked_anywhere(&self, now: Instant, bmc: &str, user: &[u8]) -> bool {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let here = watched
            .iter()
            .any(|((of, name, _), entry)| **of == *bmc && **name == *user && entry.is_locked(now));
        drop(watched);
        here || self.is_user_locked(now, bmc, user)
    }

    /// Lifts all locks of a user of a BMC and forgets the failures: what an administrator does.
    pub fn unlock(&self, bmc: &str, user: &[u8]) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|(of, name, _), _| **of != *bmc || **name != *user);
        drop(watched);
        self.forgive_user(bmc, user);
    }

    /// Forgets the failures after a right password.
    pub fn succeeded(&self, bmc: &str, user: &[u8], source: IpAddr) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.remove(&key(bmc, user, source));
    }
}

/// Makes room for another user of `source`; `false` when locks hold all the places it could have.
fn make_room(watched: &mut HashMap<Key, Watched>, now: Instant, source: IpAddr) -> bool {
    let of_source = watched.keys().filter(|(.., from)| *from == source).count();
    let full = watched.len() >= WATCHED_MAX;
    if of_source < WATCHED_PER_SOURCE_MAX && !full {
        return true;
    }
    let own_only = of_source >= WATCHED_PER_SOURCE_MAX;
    let may_go =
        |((.., from), entry): &(&Key, &Watched)| !entry.is_locked(now) && (!own_only || *from == source);
    let oldest =
        watched.iter().filter(may_go).min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone());
    oldest.is_some_and(|oldest| watched.remove(&oldest).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ANOTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn ten_failures_lock_that_user_from_that_source_for_five_minutes() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for n in 1..=FAILURES_MAX {
            assert!(!lockouts.is_locked(start, "b", b"admin", ELSEWHERE));
            assert_eq!(lockouts.failed(start, "b", b"admin", ELSEWHERE), n == FAILURES_MAX);
        }
        assert!(lockouts.is_locked(start, "b", b"admin", ELSEWHERE));
        assert!(!lockouts.is_locked(start, "b", b"admin", ANOTHER), "the owner elsewhere is not locked out");
        assert!(!lockouts.is_locked(start, "b", b"other", ELSEWHERE));
        assert!(!lockouts.is_locked(start, "c", b"admin", ELSEWHERE));
        assert!(!lockouts.is_locked(start + LOCK_TIME, "b", b"admin", ELSEWHERE));
        assert!(
            !lockouts.failed(start + LOCK_TIME, "b", b"admin", ELSEWHERE),
            "counting starts anew after a lock"
        );
    }

    #[test]
    fn old_failures_do_not_count() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for _ in 1..FAILURES_MAX {
            lockouts.failed(start, "b", b"admin", ELSEWHERE);
        }
        let later = start + FAILURE_WINDOW + Duration::from_secs(1);
        assert!(!lockouts.failed(later, "b", b"admin", ELSEWHERE));
    }

    #[test]
    fn loopback_is_never_locked() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        let home = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..100 {
            assert!(!lockouts.failed(start, "b", b"admin", home));
        }
        assert!(!lockouts.is_locked(start, "b", b"admin", home));
    }

    #[test]
    fn the_table_is_bounded() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for n in 0..2 * WATCHED_MAX {
            let source = IpAddr::from([192, 0, 2, (n % 200) as u8]);
            lockouts.failed(start + Duration::from_micros(n as u64), "b", &n.to_le_bytes(), source);
        }
        assert_eq!(lockouts.watched.lock().unwrap().len(), WATCHED_MAX);
    }

    #[test]
    fn a_lock_is_not_shaken_off_by_failing_with_other_names() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            lockouts.failed(start, "b", b"admin", ELSEWHERE);
        }
        lockouts.failed(start, "b", b"admin", ANOTHER);
        let later = start + Duration::from_secs(1);
        for n in 0..2 * WATCHED_MAX {
            lockouts.failed(later, "b", &n.to_le_bytes(), ELSEWHERE);
        }
        assert!(lockouts.is_locked(later, "b", b"admin", ELSEWHERE));
        let watched = lockouts.watched.lock().unwrap();
        assert_eq!(watched.len(), WATCHED_PER_SOURCE_MAX + 1);
        assert_eq!(watched[&key("b", b"admin", ANOTHER)].failures, 1, "nobody else was pushed out");
    }

    #[test]
    fn a_source_with_locks_in_all_its_places_is_locked_as_a_whole() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for n in 0..WATCHED_PER_SOURCE_MAX {
            assert!(!lockouts.is_locked(start, "b", b"admin", ELSEWHERE));
            for _ in 0..FAILURES_MAX {
                lockouts.failed(start, "b", &n.to_le_bytes(), ELSEWHERE);
            }
        }
        assert!(lockouts.is_locked(start, "b", b"admin", ELSEWHERE));
        assert!(!lockouts.is_locked(start, "b", b"admin", ANOTHER));
        assert!(!lockouts.is_locked(start + LOCK_TIME, "b", b"admin", ELSEWHERE));
    }

    #[test]
    fn a_known_user_needs_no_room() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for n in 0..WATCHED_PER_SOURCE_MAX {
            lockouts.failed(start, "b", &n.to_le_bytes(), ELSEWHERE);
        }
        lockouts.failed(start, "b", &1_usize.to_le_bytes(), ELSEWHERE);
        assert_eq!(lockouts.watched.lock().unwrap().len(), WATCHED_PER_SOURCE_MAX);
        assert!(lockouts.watched.lock().unwrap().contains_key(&key("b", &0_usize.to_le_bytes(), ELSEWHERE)));
    }

    #[test]
    fn a_long_name_is_not_kept_whole_nor_taken_for_a_shorter_one() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        let longest = [b'n'; LONG_MAX_BYTES];
        for _ in 0..FAILURES_MAX {
            lockouts.failed(start, "b", &[b'n'; 60_000], ELSEWHERE);
        }
        assert!(lockouts.is_locked(start, "b", &[b'n'; 60_000], ELSEWHERE));
        assert!(!lockouts.is_locked(start, "b", &longest, ELSEWHERE));
        assert!(lockouts.watched.lock().unwrap().keys().all(|(_, name, _)| name.len() <= NAME_KEPT_BYTES));
    }

    const RULE: UserRule = UserRule {
        failures: 3,
        forget_after: Some(Duration::from_secs(60)),
        lock_for: Some(Duration::from_secs(30)),
    };

    #[test]
    fn a_rule_locks_a_user_wherever_the_passwords_come_from() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        let fail = |now, rule| lockouts.user_failed(now, "b", b"admin", rule);
        assert_eq!([fail(start, RULE), fail(start, RULE)], [false; 2]);
        assert!(!lockouts.is_user_locked(start, "b", b"admin"));
        assert!(fail(start, RULE));
        assert!(!fail(start, RULE), "it is locked already");
        assert!(lockouts.is_user_locked(start, "b", b"admin"));
        assert!(!lockouts.is_user_locked(start, "b", b"other"));
        assert!(!lockouts.is_user_locked(start, "c", b"admin"));
        let later = start + Duration::from_secs(30);
        assert!(!lockouts.is_user_locked(later, "b", b"admin"));
        assert_eq!([fail(later, RULE), fail(later, RULE), fail(later, RULE)], [false, false, true]);
        lockouts.forgive_user("b", b"admin");
        assert!(!lockouts.is_user_locked(later, "b", b"admin"));
    }

    #[test]
    fn a_rule_forgets_after_a_while_or_never() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        let minutes = |n: u64| start + Duration::from_secs(61 * n);
        for n in 0..10 {
            assert!(!lockouts.user_failed(minutes(n), "b", b"admin", RULE));
        }
        let rule = UserRule { forget_after: None, lock_for: None, ..RULE };
        let locks: Vec<bool> =
            (0..4).map(|n| lockouts.user_failed(minutes(n), "b", b"other", rule)).collect();
        assert_eq!(locks, [false, false, true, false]);
        assert!(!lockouts.is_user_locked(minutes(3), "b", b"other"), "the account is disabled, not locked");
    }

    #[test]
    fn unlocking_lifts_every_lock_of_that_user_alone() {
        let lockouts = Lockouts::default();
        let start = Instant::now();
        for source in [ELSEWHERE, ANOTHER] {
            for user in [b"admin", b"other"] {
                (0..FAILURES_MAX).for_each(|_| _ = lockouts.failed(start, "b", user, source));
            }
        }
        (0..3).for_each(|_| _ = lockouts.user_failed(start, "b", b"admin", RULE));
        assert!(lockouts.is_locked_anywhere(start, "b", b"admin"));
        assert!(!lockouts.is_locked_anywhere(start, "c", b"admin"));
        lockouts.unlock("b", b"admin");
        assert!(!lockouts.is_locked_anywhere(start, "b", b"admin"));
        assert!(lockouts.is_locked_anywhere(start, "b", b"other"));
        assert!(!lockouts.is_locked_anywhere(start + LOCK_TIME, "b", b"other"));
    }
}
