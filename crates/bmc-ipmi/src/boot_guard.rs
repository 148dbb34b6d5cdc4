//! The volatile part of the boot options: who is in the middle of a group of writes, which parameters are marked invalid, and how
//! long the boot flags hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bmc_core::snapshot::Snapshot;

use crate::set_guard::SetGuard;

/// How long boot flags wait for a Chassis Control command before their valid bit is cleared, if parameter 3 does not forbid it
/// (IPMI 2.0 table 28-14, parameter 3, bit 3).
pub(crate) const FLAGS_USE_WITHIN: Duration = Duration::from_secs(60);

/// What no restart needs to know of the boot options (IPMI 2.0 §28.12).
#[derive(Debug, Default)]
pub(crate) struct BootGuard {
    /// Who has set "set in progress".
    pub(crate) progress: SetGuard,
    /// One bit for each parameter that is marked invalid.
    invalid: u128,
    /// Boot flags whose valid bit has a time limit.
    limited: Option<Limited>,
}

/// Boot flags that are cleared unless they are used in time.
#[derive(Debug)]
struct Limited {
    until: Instant,
    /// The machine just after they were set.
    set: Arc<Snapshot>,
}

impl BootGuard {
    /// Marks a parameter (0 to 127) as invalid or valid.
    pub(crate) fn mark(&mut self, parameter: u8, invalid: bool) {
        let bit = 1_u128 << (parameter & 0x7f);
        self.invalid = if invalid { self.invalid | bit } else { self.invalid & !bit };
    }

    /// Whether a parameter is marked as invalid.
    pub(crate) fn is_marked(&self, parameter: u8) -> bool {
        self.invalid >> (parameter & 0x7f) & 1 == 1
    }

    /// Limits the boot flags that were just set; `set` is the machine as it is since then.
    pub(crate) fn limit(&mut self, now: Instant, set: Arc<Snapshot>) {
        self.limited = now.checked_add(FLAGS_USE_WITHIN).map(|until| Limited { until, set });
    }

    /// The boot flags hold without limit: they were used, or others have taken their place.
    pub(crate) fn lift_limit(&mut self) {
        self.limited = None;
    }

    /// When the limit is reached.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.limited.as_ref().map(|limited| limited.until)
    }

    /// Takes the limit away if it is reached, and tells how the machine was when the flags were set.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Arc<Snapshot>> {
        self.limited.take_if(|limited| limited.until <= now).map(|limited| limited.set)
    }
}
