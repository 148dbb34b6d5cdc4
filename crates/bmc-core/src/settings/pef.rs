//! Platform event filtering as a client configured it (IPMI 2.0 §17 and §30): the tables are kept as the specification lays them out, and
//! read through [`EventFilter`] and [`AlertPolicy`].

use std::collections::BTreeMap;

use ipmi_wire::record::sel::EventMessage;
use serde::{Deserialize, Serialize};

use crate::power::PowerAction;

/// Filters, numbered from 1.
pub const EVENT_FILTERS: u8 = 32;
/// Entries of the alert policy table, numbered from 1.
pub const ALERT_POLICIES: u8 = 16;
/// Alert strings, numbered from 1; 0 is the volatile one for immediate alerts.
pub const ALERT_STRINGS: u8 = 8;
/// Bytes of a block of an alert string.
pub const ALERT_STRING_BLOCK_BYTES: usize = 16;
/// Blocks of an alert string.
pub const ALERT_STRING_BLOCKS: u8 = 4;

/// Bits of actions: in a filter, in the global control, and in the capabilities.
pub mod action {
    /// Alerts.
    pub const ALERT: u8 = 0x01;
    /// Power off.
    pub const POWER_OFF: u8 = 0x02;
    /// Reset.
    pub const RESET: u8 = 0x04;
    /// Power cycle.
    pub const POWER_CYCLE: u8 = 0x08;
    /// Diagnostic interrupt.
    pub const DIAGNOSTIC_INTERRUPT: u8 = 0x20;
    /// All that this BMC takes.
    pub const ALL: u8 = ALERT | POWER_OFF | RESET | POWER_CYCLE | DIAGNOSTIC_INTERRUPT;
}

/// Bit 0 of the control: filters are evaluated at all.
pub const CONTROL_ENABLE: u8 = 0x01;
/// Bit 1 of the control: an action is an event itself.
pub const CONTROL_EVENTS: u8 = 0x02;

/// The settings. Nothing is filtered until a client says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PefSettings {
    /// What is on (parameter 1).
    pub control: u8,
    /// Actions that may be taken (parameter 2).
    pub actions: u8,
    /// Seconds after a power-on or a restart before events make filters do something to the machine (parameter 3).
    pub startup_delay: u8,
    /// Seconds after that before alerts are sent (parameter 4).
    pub alert_startup_delay: u8,
    /// Filters by number (parameter 6); one that is missing is all zeros, and off.
    pub filters: BTreeMap<u8, EventFilter>,
    /// Alert policies by number (parameter 9).
    pub policies: BTreeMap<u8, AlertPolicy>,
    /// A GUID for alerts in place of the system's (parameter 10).
    pub guid: Option<[u8; 16]>,
    /// For each alert string: which filter and which set of strings it belongs to (parameter 12).
    pub string_keys: BTreeMap<u8, [u8; 2]>,
    /// Alert strings (parameter 13).
    pub strings: BTreeMap<u8, Vec<u8>>,
    /// The last record that system software has processed.
    pub last_by_software: u16,
    /// The last record that the BMC has processed.
    pub last_by_bmc: u16,
}

/// A filter: 20 bytes as in table 17-2, without the filter's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFilter(pub [u8; 20]);

impl EventFilter {
    /// Whether it is evaluated.
    pub fn is_enabled(&self) -> bool {
        self.0[0] & 0x80 != 0
    }

    /// What it does.
    pub fn actions(&self) -> u8 {
        self.0[1] & action::ALL
    }

    /// Which policy its alerts follow, 0 to 15.
    pub fn policy(&self) -> u8 {
        self.0[2] & 0x0f
    }

    /// How bad its events are, as it tells receivers of alerts.
    pub fn severity(&self) -> u8 {
        self.0[3]
    }

    /// Whether an event passes it (§17.8).
    pub fn matches(&self, generator: u16, event: &EventMessage) -> bool {
        const ANY: u8 = 0xff;
        let f = &self.0;
        let [low, high] = generator.to_le_bytes();
        let kind = u8::from(event.deasserted) << 7 | event.event_type;
        let plain =
            [(f[4], low), (f[5], high), (f[6], event.sensor_type), (f[7], event.sensor_number), (f[8], kind)];
        let offsets = u16::from_le_bytes([f[9], f[10]]);
        let [one, two, three] = event.data;
        plain.iter().all(|(wanted, found)| *wanted == ANY || wanted == found)
            && offsets >> event.offset() & 1 == 1
            && compare(one, [f[11], f[12], f[13]])
            && compare(two, [f[14], f[15], f[16]])
            && compare(three, [f[17], f[18], f[19]])
    }
}

/// Compares a data byte: bits outside the mask do not count; of those in it, all that the first comparison marks must be as the second says,
/// and of the others at least one.
fn compare(data: u8, [mask, exact, wanted]: [u8; 3]) -> bool {
    let agrees = !(data ^ wanted) & mask;
    let (all_of, one_of) = (mask & exact, mask & !exact);
    agrees & all_of == all_of && (one_of == 0 || agrees & one_of != 0)
}

/// An entry of the alert policy table: 3 bytes as in table 17-4, without the entry's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertPolicy(pub [u8; 3]);

impl Default for AlertPolicy {
    /// Off, and for the LAN channel: clients look up the channel of an entry that is off, too.
    fn default() -> Self {
        Self([0, 0x10, 0])
    }
}

impl AlertPolicy {
    /// The policy that it is a part of, 0 to 15.
    pub fn number(&self) -> u8 {
        self.0[0] >> 4
    }

    /// Whether it counts.
    pub fn is_enabled(&self) -> bool {
        self.0[0] & 0x08 != 0
    }

    /// When it counts: 0 always; else not after an alert of the same policy was delivered: 1 to 4 (table 17-4).
    pub fn mode(&self) -> u8 {
        self.0[0] & 0x07
    }

    /// The channel of the destination.
    pub fn channel(&self) -> u8 {
        self.0[1] >> 4
    }

    /// The alert destination.
    pub fn destination(&self) -> u8 {
        self.0[1] & 0x0f
    }
}

/// What an event calls for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is done to the machine: of the actions called for the one that comes first in table 17-1.
    pub power: Option<PowerAction>,
    /// The alert policies to follow, each with how bad the event is; the lowest policy comes first.
    pub alerts: BTreeMap<u8, u8>,
}

impl PefSettings {
    /// What an event calls for that comes so many seconds after the machine's last start; `None` while it is off or its start is not known.
    pub fn evaluate_after(&self, started: Option<i64>, generator: u16, event: &EventMessage) -> Verdict {
        let mut verdict = self.evaluate(generator, event);
        let waits = |delay: u8| started.is_some_and(|seconds| (0..i64::from(delay)).contains(&seconds));
        if waits(self.startup_delay) {
            verdict.power = None;
        }
        if waits(self.alert_startup_delay) {
            verdict.alerts.clear();
        }
        verdict
    }

    /// What an event calls for.
    pub fn evaluate(&self, generator: u16, event: &EventMessage) -> Verdict {
        let mut alerts = BTreeMap::new();
        if self.control & CONTROL_ENABLE == 0 {
            return Verdict::default();
        }
        let passed =
            || self.filters.values().filter(|filter| filter.is_enabled() && filter.matches(generator, event));
        if self.actions & action::ALERT != 0 {
            for filter in passed().filter(|filter| filter.actions() & action::ALERT != 0) {
                alerts.entry(filter.policy()).or_insert_with(|| filter.severity());
            }
        }
        let actions = passed().fold(0, |actions, filter| actions | filter.actions()) & self.actions;
        let order = [
            (action::POWER_OFF, PowerAction::Off),
            (action::POWER_CYCLE, PowerAction::Cycle),
            (action::RESET, PowerAction::Reset),
            (action::DIAGNOSTIC_INTERRUPT, PowerAction::Nmi),
        ];
        let power = order.iter().find(|(bit, _)| actions & bit != 0).map(|(_, power)| *power);
        Verdict { power, alerts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: EventMessage = EventMessage {
        revision: 4,
        sensor_type: 9,
        sensor_number: 0xe0,
        deasserted: false,
        event_type: 0x6f,
        data: [0x05, 0xff, 0xff],
    };

    fn filter(change: impl FnOnce(&mut [u8; 20])) -> EventFilter {
        let mut bytes =
            [0x80, action::RESET, 0, 0, 0xff, 0xff, 9, 0xff, 0x6f, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        change(&mut bytes);
        EventFilter(bytes)
    }

    #[test]
    fn each_part_of_a_filter_counts() {
        let matches = |change: fn(&mut [u8; 20])| filter(change).matches(0x0020, &EVENT);
        assert!(matches(|_| {}));
        assert!(matches(|f| f[4] = 0x20) && !matches(|f| f[4] = 0x22));
        assert!(matches(|f| f[5] = 0) && !matches(|f| f[5] = 0x10));
        assert!(matches(|f| f[6] = 0xff) && !matches(|f| f[6] = 1));
        assert!(matches(|f| f[7] = 0xe0) && !matches(|f| f[7] = 0xe1));
        assert!(matches(|f| f[8] = 0xff) && !matches(|f| f[8] = 0xef), "the direction is a part of it");
        assert!(matches(|f| (f[9], f[10]) = (0x20, 0)) && !matches(|f| (f[9], f[10]) = (0xdf, 0xff)));
        // All of the low nibble exactly; then at least one of two bits.
        assert!(matches(|f| (f[11], f[12], f[13]) = (0x0f, 0x0f, 0x05)));
        assert!(!matches(|f| (f[11], f[12], f[13]) = (0x0f, 0x0f, 0x04)));
        assert!(matches(|f| (f[11], f[12], f[13]) = (0x03, 0x00, 0x01)));
        assert!(!matches(|f| (f[11], f[12], f[13]) = (0x03, 0x00, 0x02)));
    }

    #[test]
    fn the_gravest_action_that_is_allowed_is_taken() {
        let mut pef = PefSettings { actions: action::ALL, ..Default::default() };
        pef.filters.insert(1, filter(|f| f[1] = action::RESET | action::ALERT));
        pef.filters.insert(2, filter(|f| (f[1], f[2], f[3]) = (action::POWER_OFF | action::ALERT, 3, 0x10)));
        assert_eq!(pef.evaluate(0x20, &EVENT), Verdict::default(), "off until a client says so");
        pef.control = CONTROL_ENABLE;
        let alerts = BTreeMap::from([(0, 0), (3, 0x10)]);
        assert_eq!(pef.evaluate(0x20, &EVENT), Verdict { power: Some(PowerAction::Off), alerts });
        (pef.startup_delay, pef.alert_startup_delay) = (10, 20);
        let what = |pef: &PefSettings, started| {
            let verdict = pef.evaluate_after(started, 0x20, &EVENT);
            (verdict.power.is_some(), verdict.alerts.len())
        };
        assert_eq!([Some(0), Some(9)].map(|started| what(&pef, started)), [(false, 0); 2]);
        assert_eq!([Some(10), Some(19)].map(|started| what(&pef, started)), [(true, 0); 2]);
        // A clock that was set back is no start to come, and a machine that is off does not start.
        assert_eq!([Some(20), Some(-1), None].map(|started| what(&pef, started)), [(true, 2); 3]);
        pef.actions = action::RESET;
        let reset = Verdict { power: Some(PowerAction::Reset), ..Default::default() };
        assert_eq!(pef.evaluate(0x20, &EVENT), reset);
        pef.filters.insert(1, filter(|f| f[0] = 0));
        assert_eq!(pef.evaluate(0x20, &EVENT), Verdict::default());
    }
}
