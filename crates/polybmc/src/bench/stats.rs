//! What the workers saw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies are kept to three digits, which is more than a shared machine repeats.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Different error texts kept by one run. They come from the network; the rest is counted together.
const MAX_ERROR_KINDS: usize = 32;
/// Where errors are counted once [`MAX_ERROR_KINDS`] are there.
const OTHER_ERRORS: &str = "other errors";

/// One kind of operation: how many went well, how many did not, and how long the good ones took.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    failed: u64,
    /// Nanoseconds.
    latencies: Histogram<u64>,
}

impl Series {
    /// An empty series.
    pub(crate) fn new() -> Self {
        // The only error of `new` is a number of digits above five.
        let latencies =
            Histogram::new(SIGNIFICANT_DIGITS).unwrap_or_else(|_| unreachable!("three digits are allowed"));
        Self { failed: 0, latencies }
    }

    /// One that went well after `took`.
    pub(crate) fn ok(&mut self, took: Duration) {
        // A histogram that grows by itself refuses nothing that its counters can index.
        let _ = self.latencies.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// One that did not.
    pub(crate) fn failed(&mut self) {
        self.failed += 1;
    }

    /// How many went well.
    pub(crate) fn good(&self) -> u64 {
        self.latencies.len()
    }

    /// How many did not.
    #[cfg(test)]
    pub(crate) const fn bad(&self) -> u64 {
        self.failed
    }

    /// The figures, for a run of this length.
    pub(crate) fn summary(&self, elapsed: Duration) -> Summary {
        let at = |quantile: f64| micros(self.latencies.value_at_quantile(quantile));
        let latency = (self.good() > 0).then(|| Latency {
            min: micros(self.latencies.min()),
            mean: self.latencies.mean() / NANOS_PER_MICRO,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(self.latencies.max()),
        });
        Summary {
            ok: self.good(),
            failed: self.failed,
            per_second: self.good() as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
            latency_us: latency,
        }
    }
}

const NANOS_PER_MICRO: f64 = 1000.0;

fn micros(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MICRO
}

/// The figures of a [`Series`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Operations that went well.
    pub ok: u64,
    /// Operations that did not.
    pub failed: u64,
    /// Good ones per second of the run.
    pub per_second: f64,
    /// How long the good ones took; absent when there were none.
    pub latency_us: Option<Latency>,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// The quickest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half of all took at most this.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// What all workers of a run write into. One for all of them: a histogram of its own for each of ten thousand
/// sessions would need gigabytes, and next to a system call the lock is nothing.
#[derive(Debug)]
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Shared<T> {
    /// Begins with this.
    pub(crate) fn new(inner: T) -> Self {
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Writes something down.
    pub(crate) fn note(&self, write: impl FnOnce(&mut T)) {
        // Each entry is complete by itself, so what a worker that broke left behind is good.
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was written down.
    pub(crate) fn read(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Things counted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// One more of `what`.
    pub(crate) fn add(&mut self, what: &str) {
        if let Some(known) = self.0.get_mut(what) {
            *known += 1;
        } else if self.0.len() < MAX_ERROR_KINDS {
            self.0.insert(what.to_owned(), 1);
        } else {
            *self.0.entry(OTHER_ERRORS.to_owned()).or_default() += 1;
        }
    }

    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, count)| (what.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_known_series() {
        let mut series = Series::new();
        for ms in 1..=1000 {
            series.ok(Duration::from_millis(ms));
        }
        series.failed();
        let summary = series.summary(Duration::from_secs(10));
        assert_eq!((summary.ok, summary.failed), (1000, 1));
        assert!((summary.per_second - 100.0).abs() < 1e-9);
        let latency = summary.latency_us.unwrap();
        for (value, expected) in
            [(latency.p50, 500e3), (latency.p99, 990e3), (latency.max, 1e6), (latency.mean, 500.5e3)]
        {
            assert!((value / expected - 1.0).abs() < 2e-3, "{value} is not about {expected}");
        }
    }

    #[test]
    fn two_workers_write_into_one_series() {
        let total = Shared::new(Series::new());
        let other = total.clone();
        total.note(|series| series.ok(Duration::from_micros(10)));
        std::thread::spawn(move || {
            other.note(|series| series.ok(Duration::from_secs(20)));
            other.note(Series::failed);
        })
        .join()
        .unwrap();
        let series = total.read();
        assert_eq!((series.good(), series.bad()), (2, 1));
        assert!(series.summary(Duration::from_secs(1)).latency_us.unwrap().max > 19e6);
    }

    #[test]
    fn a_series_without_a_success_has_no_latency() {
        assert_eq!(Series::new().summary(Duration::ZERO).latency_us, None);
    }

    #[test]
    fn names_from_the_network_do_not_pile_up() {
        let mut counts = Counts::default();
        for number in 0..1000 {
            counts.add(&format!("error {number}"));
        }
        assert!(counts.iter().count() <= MAX_ERROR_KINDS + 1);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 1000);
    }
}
