//! Thresholds, hysteresis, and which of them a reading is beyond (IPMI 2.0 §35 and §36).
//!
//! ```text
//!            reading ≥ threshold                 (upper; the lower ones are its mirror image)
//!   clear ──────────────────────────► beyond
//!     ▲                                  │
//!     └──────────────────────────────────┘
//!            reading < threshold − hysteresis
//! ```

use serde::{Deserialize, Serialize};

/// One of the six thresholds, in the order of the bits in IPMI's masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// A caution: too low.
    LowerNonCritical,
    /// An alarm: too low.
    LowerCritical,
    /// Damage: too low.
    LowerNonRecoverable,
    /// A caution: too high.
    UpperNonCritical,
    /// An alarm: too high.
    UpperCritical,
    /// Damage: too high.
    UpperNonRecoverable,
}

impl Threshold {
    /// All, in the order of the bits in IPMI's masks.
    pub const ALL: [Self; 6] = [
        Self::LowerNonCritical,
        Self::LowerCritical,
        Self::LowerNonRecoverable,
        Self::UpperNonCritical,
        Self::UpperCritical,
        Self::UpperNonRecoverable,
    ];

    /// Its place, 0 to 5.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its bit in a mask of thresholds.
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Whether it is one of the upper ones.
    pub const fn is_upper(self) -> bool {
        self as u8 >= Self::UpperNonCritical as u8
    }

    /// The event offset of crossing it in the direction of danger (IPMI 2.0 table 42-2): lower ones going low, upper ones going high.
    pub const fn offset(self) -> u8 {
        self as u8 * 2 + self.is_upper() as u8
    }

    /// The name used in the CLI and in events, e.g. `upper-critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LowerNonCritical => "lower-non-critical",
            Self::LowerCritical => "lower-critical",
            Self::LowerNonRecoverable => "lower-non-recoverable",
            Self::UpperNonCritical => "upper-non-critical",
            Self::UpperCritical => "upper-critical",
            Self::UpperNonRecoverable => "upper-non-recoverable",
        }
    }

    /// How bad it is to be beyond it.
    pub const fn severity(self) -> Severity {
        match self {
            Self::LowerNonCritical | Self::UpperNonCritical => Severity::Warning,
            Self::LowerCritical
            | Self::UpperCritical
            | Self::LowerNonRecoverable
            | Self::UpperNonRecoverable => Severity::Critical,
        }
    }
}

/// How a sensor is doing, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    #[default]
    Ok,
    /// Beyond a non-critical threshold.
    Warning,
    /// Beyond a critical or non-recoverable threshold.
    Critical,
}

impl Severity {
    /// The name used in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A value for each threshold, in raw units of the sensor; `None` where the sensor has no such threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds([Option<u8>; 6]);

impl Thresholds {
    /// No threshold at all.
    pub const NONE: Self = Self([None; 6]);

    /// Thresholds in the order of [`Threshold::ALL`].
    pub const fn new(values: [Option<u8>; 6]) -> Self {
        Self(values)
    }

    /// The upper three: non-critical, critical, non-recoverable.
    pub const fn upper(values: [Option<u8>; 3]) -> Self {
        let [a, b, c] = values;
        Self([None, None, None, a, b, c])
    }

    /// The lower three: non-critical, critical, non-recoverable.
    pub const fn lower(values: [Option<u8>; 3]) -> Self {
        let [a, b, c] = values;
        Self([a, b, c, None, None, None])
    }

    /// One of them.
    pub fn get(&self, threshold: Threshold) -> Option<u8> {
        self.0.get(threshold.index()).copied().flatten()
    }

    /// Gives a threshold that the sensor has another value; one that it has not stays away.
    pub fn set(&mut self, threshold: Threshold, value: u8) {
        if let Some(kept @ Some(_)) = self.0.get_mut(threshold.index()) {
            *kept = Some(value);
        }
    }

    /// Which there are, one bit each.
    pub fn mask(&self) -> u8 {
        self.iter().fold(0, |mask, (threshold, _)| mask | threshold.bit())
    }

    /// Those there are.
    pub fn iter(&self) -> impl Iterator<Item = (Threshold, u8)> + '_ {
        Threshold::ALL.into_iter().filter_map(|threshold| Some((threshold, self.get(threshold)?)))
    }

    /// The events there can be, one bit for each offset.
    pub fn events(&self) -> u16 {
        self.iter().fold(0, |events, (threshold, _)| events | 1 << threshold.offset())
    }

    /// Which thresholds a reading is beyond, one bit each; `before` is the answer of the last time, which hysteresis holds on to.
    pub fn beyond(&self, reading: u8, hysteresis: Hysteresis, before: u8) -> u8 {
        self.iter().fold(0, |beyond, (threshold, limit)| {
            let was = before & threshold.bit() != 0;
            let is = match (threshold.is_upper(), was) {
                (true, false) => reading >= limit,
                (true, true) => reading >= limit.saturating_sub(hysteresis.positive),
                (false, false) => reading <= limit,
                (false, true) => reading <= limit.saturating_add(hysteresis.negative),
            };
            if is { beyond | threshold.bit() } else { beyond }
        })
    }
}

/// How far a reading must come back before it no longer counts as beyond a threshold, in raw units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hysteresis {
    /// For the upper thresholds.
    pub positive: u8,
    /// For the lower thresholds.
    pub negative: u8,
}

/// The worst that a mask of thresholds means.
pub fn severity(beyond: u8) -> Severity {
    let hit = Threshold::ALL.into_iter().filter(|threshold| beyond & threshold.bit() != 0);
    hit.map(Threshold::severity).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_specification() {
        assert_eq!(Threshold::ALL.map(Threshold::offset), [0, 2, 4, 7, 9, 11]);
        assert_eq!(Threshold::ALL.map(Threshold::bit), [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn hysteresis_holds_on_the_way_back_only() {
        let upper = Thresholds::upper([Some(80), Some(90), None]);
        let hysteresis = Hysteresis { positive: 3, negative: 5 };
        let (nc, cr) = (Threshold::UpperNonCritical.bit(), Threshold::UpperCritical.bit());
        // Reading and what follows from it, one after the other.
        let steps =
            [(79, 0), (80, nc), (78, nc), (77, nc), (76, 0), (78, 0), (95, nc | cr), (87, nc | cr), (86, nc)];
        let mut beyond = 0;
        for (reading, expected) in steps {
            beyond = upper.beyond(reading, hysteresis, beyond);
            assert_eq!(beyond, expected, "{reading}");
        }
        let lower = Thresholds::lower([Some(20), Some(10), None]);
        let (nc, cr) = (Threshold::LowerNonCritical.bit(), Threshold::LowerCritical.bit());
        let mut beyond = 0;
        for (reading, expected) in
            [(21, 0), (20, nc), (25, nc), (26, 0), (10, nc | cr), (15, nc | cr), (16, nc)]
        {
            beyond = lower.beyond(reading, hysteresis, beyond);
            assert_eq!(beyond, expected, "{reading}");
        }
        assert_eq!(severity(nc | cr), Severity::Critical);
        assert_eq!((severity(nc), severity(0)), (Severity::Warning, Severity::Ok));
        // At the ends of the range nothing wraps round.
        assert_eq!(Thresholds::upper([Some(1), None, None]).beyond(0, hysteresis, 8), 8);
        assert_eq!(Thresholds::lower([Some(254), None, None]).beyond(255, hysteresis, 1), 1);
    }

    #[test]
    fn a_threshold_that_is_not_there_cannot_be_set() {
        let mut thresholds = Thresholds::upper([Some(80), None, None]);
        thresholds.set(Threshold::UpperNonCritical, 70);
        thresholds.set(Threshold::UpperCritical, 75);
        assert_eq!(thresholds, Thresholds::upper([Some(70), None, None]));
        assert_eq!((thresholds.mask(), thresholds.events()), (8, 1 << 7));
    }
}
