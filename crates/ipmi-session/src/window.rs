//! The sliding window over inbound session sequence numbers (IPMI 2.0 §6.12.13).

/// How far ahead of the highest number a new one may be.
const FORWARD: u32 = 15;
/// How far behind the highest number one may still be.
const BACKWARD: u32 = 16;

/// What the window says about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not seen before, now noted.
    New,
    /// Inside the window and seen before.
    Seen,
    /// Outside the window, or 0, which no session packet carries.
    Outside,
}

/// Accepts each number once, from 16 behind the highest to 15 ahead of it. Numbers start at 1, wrap around and skip 0.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    highest: u32,
    /// Bit `n` stands for `highest - n`.
    seen: u32,
}

impl Window {
    /// The window of a new session: 1 to 15 are acceptable, nothing was seen.
    pub(crate) const fn new() -> Self {
        // 0 and what lies "before" it count as seen.
        Self { highest: 0, seen: u32::MAX }
    }

    /// The window of a new session whose first number was agreed on.
    pub(crate) const fn from(first: u32) -> Self {
        Self { highest: first.wrapping_sub(1), seen: u32::MAX }
    }

    /// Judges `number` without noting it.
    pub(crate) const fn judge(&self, number: u32) -> Verdict {
        let ahead = number.wrapping_sub(self.highest);
        let behind = self.highest.wrapping_sub(number);
        if number == 0 {
            Verdict::Outside
        } else if behind <= BACKWARD {
            if self.seen & (1 << behind) != 0 { Verdict::Seen } else { Verdict::New }
        } else if ahead <= FORWARD {
            Verdict::New
        } else {
            Verdict::Outside
        }
    }

    /// Judges `number`, and notes it when it is new. Call it only for packets whose integrity was verified.
    pub(crate) const fn note(&mut self, number: u32) -> Verdict {
        let verdict = self.judge(number);
        if let Verdict::New = verdict {
            let ahead = number.wrapping_sub(self.highest);
            if ahead <= FORWARD {
                self.highest = number;
                self.seen = self.seen << ahead | 1;
            } else {
                self.seen |= 1 << self.highest.wrapping_sub(number);
            }
        }
        verdict
    }
}

/// The number after `number`; never 0.
pub(crate) const fn next(number: u32) -> u32 {
    match number.wrapping_add(1) {
        0 => 1,
        n => n,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_session_takes_one_to_fifteen() {
        for n in [0, 16, 17, u32::MAX, u32::MAX - 5] {
            let verdict = Window::new().note(n);
            assert_ne!(verdict, Verdict::New, "{n}");
        }
        for n in 1..=15 {
            assert_eq!(Window::new().note(n), Verdict::New, "{n}");
        }
    }

    #[test]
    fn the_window_crosses_the_wrap_and_skips_zero() {
        let mut w = Window { highest: u32::MAX - 1, seen: 1 };
        assert_eq!(w.note(2), Verdict::New);
        assert_eq!(w.note(u32::MAX), Verdict::New);
        assert_eq!(w.note(u32::MAX - 1), Verdict::Seen);
        assert_eq!(w.note(0), Verdict::Outside);
        assert_eq!(next(u32::MAX), 1);
    }

    #[test]
    fn a_window_may_begin_anywhere() {
        for first in [1, 2, 0x8000_0000, u32::MAX] {
            assert_eq!(Window::from(first).judge(first), Verdict::New);
            assert_ne!(Window::from(first).judge(first.wrapping_sub(1)), Verdict::New);
            assert_ne!(Window::from(first).judge(first.wrapping_add(15)), Verdict::New);
        }
    }

    proptest! {
        /// Against a model that remembers everything: each number once, and exactly the numbers of the window.
        #[test]
        fn each_number_once(steps in prop::collection::vec(-20_i64..20, 1..300)) {
            let mut w = Window::new();
            let mut seen = BTreeSet::new();
            let mut highest = 0_i64;
            for step in steps {
                let n = (highest + step).max(1);
                let verdict = w.note(u32::try_from(n).unwrap());
                let inside = n - highest <= 15 && highest - n <= 16;
                let want = match (inside, seen.contains(&n)) {
                    (false, _) => Verdict::Outside,
                    (true, true) => Verdict::Seen,
                    (true, false) => Verdict::New,
                };
                prop_assert_eq!(verdict, want, "{} with highest {}", n, highest);
                if verdict == Verdict::New {
                    seen.insert(n);
                    highest = highest.max(n);
                }
            }
        }
    }
}
