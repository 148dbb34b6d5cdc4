//! What the power of a machine did, as far as that must not be forgotten: how long it was on, why it last started, how it last went off.
//!
//! It changes with the power, and is committed with it; while a machine just runs there is nothing to write. A run counts from its
//! start to its end by the clock that only goes forward; over a restart of the daemon by the time of day, which never makes it negative. A run whose
//! end nobody saw counts until it was missed.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::power::{ChangeCause, Restart};

/// The durable part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerHistory {
    /// How long the machine was on, in all runs that have ended.
    pub on_time: Duration,
    /// When the present run began; `None` while it is off.
    pub on_since: Option<Timestamp>,
    /// Why it last started or restarted.
    pub restart: Restart,
    /// When that was.
    pub restarted_at: Option<Timestamp>,
    /// Whether it was last switched on by a command of ours.
    pub on_by_command: bool,
    /// Why it last went off; `None` when it never did.
    pub last_off: Option<ChangeCause>,
    /// It last went off because mains power was lost.
    pub mains_lost: bool,
}

impl PowerHistory {
    /// How long the present run lasts by the time of day; zero where the clock was set back behind its start.
    pub(crate) fn run_by_time_of_day(&self, now: Timestamp) -> Duration {
        let run = self.on_since.map(|since| now.duration_since(since));
        run.and_then(|run| Duration::try_from(run).ok()).unwrap_or_default()
    }
}

/// How long a machine has been on in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoweredTime {
    /// Until `since`, or in all.
    pub before: Duration,
    /// Since when the machine has been on without a break; `None` while it is off.
    pub since: Option<Instant>,
}

impl PoweredTime {
    /// The time at this moment.
    pub fn at(&self, now: Instant) -> Duration {
        self.before + self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }
}
