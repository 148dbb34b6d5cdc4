//! What the machine has drawn in the past hour: averages, extremes, over any time in it.
//!
//! Nothing is sampled. The power draw changes when something that it depends on does, and each change is noted; between two of them it was
//! what it was. So an idle machine costs nothing, and an average is exact at every moment that it is asked for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far the past is known.
pub const HISTORY: Duration = Duration::from_secs(60 * 60);
/// Changes that are kept; where there were more in the hour, less of it is known, and the statistics say how much.
pub const CHANGES_MAX: usize = 512;

/// The power draw over the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PowerMeter {
    changes: VecDeque<Change>,
}

/// From a moment on the machine drew so much; `None` while nothing was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    at: Instant,
    watts: Option<u32>,
}

/// The power draw over a time that ends now, in watts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerStatistics {
    /// Now.
    pub current: u32,
    /// The least.
    pub minimum: u32,
    /// The most.
    pub maximum: u32,
    /// The mean over time, rounded.
    pub average: u32,
    /// The time: what was asked for, or as much of it as is known.
    pub period: Duration,
}

impl PowerMeter {
    /// Whether this is another power draw than the last one.
    pub(crate) fn changes(&self, watts: Option<u32>) -> bool {
        self.changes.back().map_or(watts.is_some(), |last| last.watts != watts)
    }

    /// Notes that the machine draws so much from now on; whether that is a change.
    pub(crate) fn note(&mut self, now: Instant, watts: Option<u32>) -> bool {
        if !self.changes(watts) {
            return false;
        }
        self.changes.push_back(Change { at: now, watts });
        // The first one that is kept is what was so at the beginning of the hour.
        while self.changes.get(1).is_some_and(|second| now.saturating_duration_since(second.at) >= HISTORY) {
            self.changes.pop_front();
        }
        while self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        true
    }

    /// The statistics over the `window` before `now`; `None` while nothing is known of the present.
    pub fn statistics(&self, now: Instant, window: Duration) -> Option<PowerStatistics> {
        let current = self.changes.back()?.watts?;
        let begin = now.checked_sub(window.min(HISTORY));
        let ends = self.changes.iter().skip(1).map(|change| change.at).chain([now]);
        let (mut minimum, mut maximum) = (current, current);
        let (mut period, mut energy) = (Duration::ZERO, 0_u128);
        for (change, end) in self.changes.iter().zip(ends) {
            let from = begin.map_or(change.at, |begin| change.at.max(begin));
            let span = end.saturating_duration_since(from);
            if let (Some(watts), false) = (change.watts, span.is_zero()) {
                minimum = minimum.min(watts);
                maximum = maximum.max(watts);
                period += span;
                energy += u128::from(watts) * span.as_nanos();
            }
        }
        let nanos = period.as_nanos();
        let average = (energy + nanos / 2).checked_div(nanos).and_then(|watts| u32::try_from(watts).ok());
        Some(PowerStatistics { current, minimum, maximum, average: average.unwrap_or(current), period })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn row(meter: &PowerMeter, now: Instant, window: Duration) -> Option<[u32; 5]> {
        let it = meter.statistics(now, window)?;
        Some([it.current, it.minimum, it.maximum, it.average, it.period.as_secs() as u32])
    }

    #[test]
    fn averages_follow_the_time_and_not_the_number_of_changes() {
        let start = Instant::now();
        let mut meter = PowerMeter::default();
        assert_eq!(row(&meter, start, SECOND), None);
        assert!(!meter.note(start, None), "that nothing is known is no news");
        assert!(meter.note(start, Some(100)));
        assert_eq!(row(&meter, start, SECOND), Some([100, 100, 100, 100, 0]));
        assert!(!meter.note(start + 4 * SECOND, Some(100)));
        assert!(meter.note(start + 8 * SECOND, Some(200)));
        assert!(meter.note(start + 9 * SECOND, Some(40)));
        let now = start + 10 * SECOND;
        assert_eq!(row(&meter, now, HISTORY), Some([40, 40, 200, 104, 10]));
        assert_eq!(row(&meter, now, 2 * SECOND), Some([40, 40, 200, 120, 2]));
        assert_eq!(row(&meter, now, SECOND), Some([40, 40, 40, 40, 1]));
        assert_eq!(row(&meter, now, Duration::ZERO), Some([40, 40, 40, 40, 0]));
        assert_eq!(row(&meter, now, Duration::MAX), Some([40, 40, 200, 104, 10]));
    }

    #[test]
    fn what_is_not_known_does_not_count() {
        let start = Instant::now();
        let mut meter = PowerMeter::default();
        meter.note(start, Some(10));
        meter.note(start + 5 * SECOND, None);
        assert_eq!(row(&meter, start + 6 * SECOND, HISTORY), None);
        meter.note(start + 15 * SECOND, Some(30));
        assert_eq!(row(&meter, start + 20 * SECOND, HISTORY), Some([30, 10, 30, 20, 10]));
    }

    #[test]
    fn the_past_is_forgotten() {
        let start = Instant::now();
        let mut meter = PowerMeter::default();
        for second in 0..10_000_u32 {
            meter.note(start + second * SECOND, Some(second % 7));
        }
        assert_eq!(meter.changes.len(), CHANGES_MAX);
        let now = start + 10_000 * SECOND;
        assert_eq!(row(&meter, now, HISTORY).unwrap()[4], CHANGES_MAX as u32, "it says how much it knows");
        meter.note(now + 2 * HISTORY, Some(1_000));
        assert_eq!(meter.changes.len(), 2);
        let last = 9_999 % 7;
        assert_eq!(row(&meter, now + 2 * HISTORY, HISTORY), Some([1_000, last, 1_000, last, 3_600]));
    }
}
