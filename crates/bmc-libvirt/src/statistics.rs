//! From libvirt's counters to [`Statistics`]. Pure: the time comes in as an argument.
//!
//! | statistic | from |
//! |---|---|
//! | processors | `cpu.time` gained since the last sample, out of what all `vcpu.current` processors could have used |
//! | memory | with a balloon driver in the guest: what it does not call available; else what the emulator occupies of what the guest was given |
//! | disks | `block.N.rd.bytes` and `block.N.wr.bytes` gained, of all N |
//! | network | `net.N.rx.bytes` and `net.N.tx.bytes` gained, of all N |

use std::time::{Duration, Instant};

use bmc_core::backend::Statistics;

use crate::sys::Counters;
use crate::track::Instance;

/// What was counted at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    at: Instant,
    /// Which start of the domain was counted.
    instance: Instance,
    /// Nanoseconds of processor time since that start.
    cpu_time_ns: Option<u64>,
    vcpus: u64,
    memory_percent: Option<u8>,
    disk_bytes: Option<u64>,
    network_bytes: Option<u64>,
}

/// Makes statistics of one domain's samples.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<Sample>,
    told: Option<Statistics>,
}

impl Meter {
    /// Takes in what was counted; returns what has changed of the statistics. The first sample of an instance gives none: rates need two.
    pub(crate) fn take(
        &mut self,
        at: Instant,
        instance: Instance,
        counters: &Counters,
    ) -> Option<Statistics> {
        let sample = Sample::new(at, instance, counters);
        let before = self.last.replace(sample.clone()).filter(|before| before.instance == instance);
        let Some(before) = before else {
            // The owner forgets what a machine did when it goes off.
            self.told = None;
            return None;
        };
        let statistics = between(&before, &sample, self.told.unwrap_or_default())?;
        (self.told.replace(statistics) != Some(statistics)).then_some(statistics)
    }
}

impl Sample {
    fn new(at: Instant, instance: Instance, counters: &Counters) -> Self {
        let sum = |group: &str, counted: [&str; 2]| {
            let count = *counters.get(&format!("{group}.count"))?;
            let names = (0..count.min(counters.len() as u64))
                .flat_map(|number| counted.iter().map(move |counted| format!("{group}.{number}.{counted}")));
            // None at all means that they were not told this time, not that they are zero.
            names
                .filter_map(|name| counters.get(&name))
                .fold(None, |sum, bytes| Some(sum.unwrap_or(0_u64).saturating_add(*bytes)))
        };
        Self {
            at,
            instance,
            cpu_time_ns: counters.get("cpu.time").copied(),
            vcpus: counters.get("vcpu.current").copied().unwrap_or(1).max(1),
            memory_percent: memory_percent(counters),
            disk_bytes: sum("block", ["rd.bytes", "wr.bytes"]),
            network_bytes: sum("net", ["rx.bytes", "tx.bytes"]),
        }
    }
}

/// The guest's driver tells how much the guest has and how much of that a new program could get (`usable`; older ones only what lies idle,
/// `unused`, which leaves out caches). Without it there is only the emulator's own size to go by.
fn memory_percent(counters: &Counters) -> Option<u8> {
    let get = |name: &str| counters.get(name).copied();
    let free = get("balloon.usable").or_else(|| get("balloon.unused"));
    if let (Some(all @ 1..), Some(free)) = (get("balloon.available"), free) {
        return Some(percent(all.saturating_sub(free).into(), all.into()));
    }
    let given = get("balloon.current").filter(|&given| given > 0)?;
    Some(percent(get("balloon.rss")?.into(), given.into()))
}

/// The statistics of the time between two samples. What was not counted this time stays as it was `told`.
fn between(before: &Sample, now: &Sample, told: Statistics) -> Option<Statistics> {
    let elapsed = now.at.checked_duration_since(before.at).filter(|elapsed| !elapsed.is_zero())?;
    let rate = |before: Option<u64>, now: Option<u64>, told: u64| match (before, now) {
        (Some(before), Some(now)) => per_second(now.saturating_sub(before), elapsed),
        _ => told,
    };
    let cpu_percent = match (before.cpu_time_ns, now.cpu_time_ns) {
        (Some(before), Some(used)) => {
            let possible = elapsed.as_nanos().saturating_mul(now.vcpus.into());
            percent(used.saturating_sub(before).into(), possible)
        }
        _ => told.cpu_percent,
    };
    Some(Statistics {
        cpu_percent,
        memory_percent: now.memory_percent.unwrap_or(told.memory_percent),
        disk_bytes_per_second: rate(before.disk_bytes, now.disk_bytes, told.disk_bytes_per_second),
        network_bytes_per_second: rate(
            before.network_bytes,
            now.network_bytes,
            told.network_bytes_per_second,
        ),
    })
}

/// Rounded, and at most 100: an emulator also works for itself, and occupies more than its guest.
fn percent(part: u128, whole: u128) -> u8 {
    let rounded = part.saturating_mul(100).saturating_add(whole / 2).checked_div(whole).unwrap_or(0);
    u8::try_from(rounded.min(100)).unwrap_or(100)
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let rate = (u128::from(bytes) * 1_000_000_000).checked_div(elapsed.as_nanos()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const FIRST: Instance = Instance { starts: 1, losses: 0 };
    const SECOND_START: Instance = Instance { starts: 2, losses: 0 };

    fn counters(pairs: &[(&str, u64)]) -> Counters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    fn busy(seconds_used: u64, bytes: u64) -> Counters {
        counters(&[
            ("cpu.time", seconds_used * SECOND),
            ("vcpu.current", 2),
            ("vcpu.maximum", 4),
            ("balloon.current", 1000),
            ("balloon.rss", 255),
            ("block.count", 2),
            ("block.0.rd.bytes", bytes),
            ("block.0.wr.bytes", bytes),
            ("block.1.rd.bytes", bytes),
            ("block.1.rd.reqs", 77),
            ("net.count", 1),
            ("net.0.rx.bytes", bytes),
            ("net.0.tx.bytes", 3 * bytes),
        ])
    }

    #[test]
    fn two_samples_make_rates_and_what_stays_is_not_told_again() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(meter.take(at(0), FIRST, &busy(100, 1000)), None, "rates need two");
        let expected = Statistics {
            cpu_percent: 25,
            memory_percent: 26,
            disk_bytes_per_second: 300,
            network_bytes_per_second: 400,
        };
        assert_eq!(meter.take(at(10), FIRST, &busy(105, 2000)), Some(expected));
        assert_eq!(meter.take(at(20), FIRST, &busy(110, 3000)), None, "the same");
        let quiet = Statistics { memory_percent: 26, ..Statistics::default() };
        assert_eq!(meter.take(at(30), FIRST, &busy(110, 3000)), Some(quiet));
        assert_eq!(meter.take(at(30), FIRST, &busy(110, 3000)), None, "no time has passed");
    }

    #[test]
    fn a_new_instance_counts_from_zero() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        meter.take(at(0), FIRST, &busy(10, 10));
        meter.take(at(10), FIRST, &busy(20, 20));
        assert_eq!(meter.take(at(20), SECOND_START, &busy(0, 0)), None);
        assert_eq!(meter.take(at(30), SECOND_START, &busy(10, 0)).unwrap().cpu_percent, 50);
        // A device that was unplugged, or an instance whose start went unseen, takes its counts along.
        let after =
            meter.take(at(40), SECOND_START, &counters(&[("cpu.time", 0), ("vcpu.current", 2)])).unwrap();
        assert_eq!((after.cpu_percent, after.disk_bytes_per_second), (0, 0));
    }

    #[test]
    fn what_a_busy_domain_does_not_tell_stays_as_it_was() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        meter.take(at(0), FIRST, &busy(0, 0));
        let told = meter.take(at(10), FIRST, &busy(20, 1000)).unwrap();
        assert_eq!(told.cpu_percent, 100);
        let some = counters(&[("cpu.time", 30 * SECOND), ("vcpu.current", 2)]);
        assert_eq!(meter.take(at(20), FIRST, &some), Some(Statistics { cpu_percent: 50, ..told }));
        assert_eq!(meter.take(at(30), FIRST, &counters(&[])), None);
    }

    #[test]
    fn memory_is_what_the_guest_says_or_what_the_emulator_occupies() {
        for (told, expected) in [
            (&[("balloon.available", 800), ("balloon.usable", 600), ("balloon.unused", 100)][..], Some(25)),
            (&[("balloon.available", 800), ("balloon.unused", 200), ("balloon.rss", 1)], Some(75)),
            (
                &[
                    ("balloon.available", 0),
                    ("balloon.unused", 0),
                    ("balloon.current", 4),
                    ("balloon.rss", 1),
                ],
                Some(25),
            ),
            (&[("balloon.current", 4), ("balloon.rss", 5)], Some(100)),
            (&[("balloon.current", 0), ("balloon.rss", 5)], None),
            (&[("balloon.current", 4)], None),
        ] {
            assert_eq!(memory_percent(&counters(told)), expected, "{told:?}");
        }
    }

    #[test]
    fn absurd_counters_do_no_harm() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let absurd = counters(&[
            ("cpu.time", u64::MAX),
            ("vcpu.current", 0),
            ("block.count", u64::MAX),
            ("block.0.rd.bytes", u64::MAX),
            ("block.0.wr.bytes", u64::MAX),
        ]);
        meter.take(start, FIRST, &counters(&[("cpu.time", 0), ("block.count", 1), ("block.0.rd.bytes", 0)]));
        let after = meter.take(start + Duration::from_nanos(1), FIRST, &absurd).unwrap();
        assert_eq!((after.cpu_percent, after.disk_bytes_per_second), (100, u64::MAX));
    }
}
