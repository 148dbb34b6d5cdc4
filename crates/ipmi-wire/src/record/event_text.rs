//! Events in words: types of sensors, what happened, how bad it is (IPMI 2.0 tables 42-1 to 42-3).

use alloc::format;
use alloc::string::{String, ToString as _};

use crate::record::sel::{EventMessage, SENSOR_SPECIFIC, THRESHOLD, sensor_type};

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventSeverity {
    /// As it should be.
    Ok,
    /// Somebody should have a look.
    Warning,
    /// Something has failed.
    Critical,
}

/// The types of sensors from 01h.
const SENSOR_TYPES: [&str; 44] = [
    "temperature",
    "voltage",
    "current",
    "fan",
    "physical security",
    "platform security violation",
    "processor",
    "power supply",
    "power unit",
    "cooling device",
    "other quantity",
    "memory",
    "drive slot",
    "POST memory resize",
    "firmware progress",
    "event logging",
    "watchdog 1",
    "system event",
    "critical interrupt",
    "button or switch",
    "module or board",
    "microcontroller",
    "add-in card",
    "chassis",
    "chip set",
    "other FRU",
    "cable or interconnect",
    "terminator",
    "system restart",
    "boot error",
    "operating system boot",
    "operating system stop",
    "slot or connector",
    "ACPI power state",
    "watchdog",
    "platform alert",
    "entity presence",
    "monitor ASIC",
    "LAN",
    "management subsystem health",
    "battery",
    "session audit",
    "version change",
    "FRU state",
];

/// The type of a sensor in words.
#[must_use]
pub fn sensor_type_name(code: u8) -> String {
    let known = usize::from(code).checked_sub(1).and_then(|at| SENSOR_TYPES.get(at));
    known.map_or_else(|| format!("sensor type {code:02X}h"), |name| (*name).to_string())
}

/// Words for the offsets of an event/reading type that is not about one type of sensor.
fn generic(event_type: u8) -> &'static [&'static str] {
    match event_type {
        THRESHOLD => &[
            "going low past its lower non-critical threshold",
            "going high past its lower non-critical threshold",
            "going low past its lower critical threshold",
            "going high past its lower critical threshold",
            "going low past its lower non-recoverable threshold",
            "going high past its lower non-recoverable threshold",
            "going low past its upper non-critical threshold",
            "going high past its upper non-critical threshold",
            "going low past its upper critical threshold",
            "going high past its upper critical threshold",
            "going low past its upper non-recoverable threshold",
            "going high past its upper non-recoverable threshold",
        ],
        0x02 => &["idle", "active", "busy"],
        0x03 => &["state deasserted", "state asserted"],
        0x04 => &["no failure predicted", "failure predicted"],
        0x05 => &["limit not exceeded", "limit exceeded"],
        0x06 => &["performance met", "performance lags"],
        0x07 => &[
            "back to OK",
            "non-critical from OK",
            "critical from less severe",
            "non-recoverable from less severe",
            "non-critical from more severe",
            "critical from non-recoverable",
            "non-recoverable",
            "monitored",
            "informational",
        ],
        0x08 => &["absent", "present"],
        0x09 => &["disabled", "enabled"],
        0x0a => &[
            "running",
            "in test",
            "power off",
            "on line",
            "off line",
            "off duty",
            "degraded",
            "power save",
            "install error",
        ],
        0x0b => &[
            "fully redundant",
            "redundancy lost",
            "redundancy degraded",
            "not redundant, sufficient from redundant",
            "not redundant, sufficient from insufficient",
            "not redundant, insufficient",
            "redundancy degraded from full",
            "redundancy degraded from none",
        ],
        0x0c => &["D0 power state", "D1 power state", "D2 power state", "D3 power state"],
        _ => &[],
    }
}

/// Words for the offsets that a type of sensor defines itself.
fn specific(sensor_type: u8) -> &'static [&'static str] {
    match sensor_type {
        0x05 => {
            &["chassis opened", "drive bay opened", "card area opened", "processor area opened", "LAN lost"]
        }
        0x07 => &["internal error", "thermal trip", "self-test failed", "hung in POST", "did not start"],
        0x08 => &["present", "failed", "failure predicted", "input lost"],
        sensor_type::POWER_UNIT => &[
            "power off",
            "power cycle",
            "240 VA power down",
            "interlock power down",
            "mains lost",
            "soft power control failure",
            "power unit failure",
            "failure predicted",
        ],
        0x0c => &["correctable error", "uncorrectable error", "parity error", "scrub failed", "disabled"],
        0x0d => &["drive present", "drive fault", "failure predicted", "hot spare", "consistency check"],
        0x0f => &["POST error", "firmware hung", "firmware progress"],
        sensor_type::EVENT_LOGGING => &[
            "correctable memory errors no longer logged",
            "a type of event no longer logged",
            "log cleared",
            "all events no longer logged",
            "log full",
            "log almost full",
        ],
        sensor_type::SYSTEM_EVENT => &[
            "system reconfigured",
            "maker's boot event",
            "unknown hardware failure",
            "entry in an auxiliary log",
            "event filter action",
            "clock set",
        ],
        sensor_type::CRITICAL_INTERRUPT => {
            &["diagnostic interrupt", "bus timeout", "I/O check", "software NMI", "PERR", "SERR"]
        }
        0x14 => &["power button", "sleep button", "reset button", "FRU latch", "service button"],
        sensor_type::SYSTEM_RESTART => &[
            "started by power up",
            "started by hard reset",
            "started by warm reset",
            "PXE boot asked for",
            "boot into diagnostics",
            "hard reset by the operating system",
            "warm reset by the operating system",
            "restarted",
        ],
        0x1e => {
            &["no bootable medium", "no diskette in the drive", "PXE server not found", "bad boot sector"]
        }
        0x1f => &[
            "booted from A:",
            "booted from C:",
            "PXE boot completed",
            "diagnostics booted",
            "booted from CD",
            "booted from ROM",
            "boot completed",
        ],
        sensor_type::OS_STOP => &[
            "stopped while loading",
            "stopped while running",
            "stopped in order",
            "shut down in order",
            "soft shutdown by an event filter",
            "did not shut down when asked",
        ],
        sensor_type::ACPI_POWER_STATE => &[
            "S0: working",
            "S1: sleeping",
            "S2: sleeping",
            "S3: sleeping",
            "S4: hibernating",
            "S5: soft off",
        ],
        sensor_type::WATCHDOG => &[
            "expired",
            "expired: hard reset",
            "expired: power down",
            "expired: power cycle",
            "reserved",
            "reserved",
            "reserved",
            "reserved",
            "about to expire",
        ],
        0x25 => &["present", "absent", "disabled"],
        0x29 => &["low", "failed", "present"],
        sensor_type::SESSION_AUDIT => &[
            "session activated",
            "session deactivated",
            "wrong user name or password",
            "user disabled after wrong passwords",
        ],
        _ => &[],
    }
}

/// What an offset of an event/reading type means, of a sensor of this type; `None` where the specification does not say.
#[must_use]
pub fn offset_text(event_type: u8, sensor_type: u8, offset: u8) -> Option<&'static str> {
    let words = if event_type == SENSOR_SPECIFIC { specific(sensor_type) } else { generic(event_type) };
    words.get(usize::from(offset)).copied()
}

/// What happened, in words. `name` is that of the sensor, where it is known; else its type and number stand for it.
#[must_use]
pub fn describe(event: &EventMessage, name: Option<&str>) -> String {
    let offset = event.offset();
    let what = offset_text(event.event_type, event.sensor_type, offset)
        .map_or_else(|| format!("event {:02X}h/{offset:X}h", event.event_type), String::from);
    let left = if event.deasserted { " (no longer)" } else { "" };
    match name {
        Some(name) => format!("{name}: {what}{left}"),
        None => {
            let sensor = sensor_type_name(event.sensor_type);
            format!("{sensor} {:02X}h: {what}{left}", event.sensor_number)
        }
    }
}

/// How bad an event is. The end of a condition is never bad.
#[must_use]
pub fn severity(event: &EventMessage) -> EventSeverity {
    use EventSeverity::{Critical, Ok, Warning};
    if event.deasserted {
        return Ok;
    }
    match (event.event_type, event.sensor_type, event.offset()) {
        (THRESHOLD, _, 0 | 7) => Warning,
        (THRESHOLD, _, 2 | 4 | 9 | 11) => Critical,
        (0x04..=0x06, _, 1) => Warning,
        (0x07, _, 1 | 4) => Warning,
        (0x07, _, 2 | 3 | 5 | 6) => Critical,
        (0x0a, _, 6 | 8) | (0x0b, _, 2..=4 | 6 | 7) => Warning,
        (0x0b, _, 1 | 5) => Critical,
        (SENSOR_SPECIFIC, 0x05 | 0x06 | 0x0f, _) => Warning,
        (SENSOR_SPECIFIC, 0x07 | 0x0c | 0x0d | 0x08, 1) => Critical,
        (SENSOR_SPECIFIC, 0x08 | 0x0d, 2 | 3) => Warning,
        (SENSOR_SPECIFIC, sensor_type::POWER_UNIT, 4..=6) => Critical,
        (SENSOR_SPECIFIC, sensor_type::EVENT_LOGGING, 3 | 4) => Critical,
        (SENSOR_SPECIFIC, sensor_type::EVENT_LOGGING, 0 | 1 | 5) => Warning,
        (SENSOR_SPECIFIC, sensor_type::SYSTEM_EVENT, 2) => Critical,
        (SENSOR_SPECIFIC, sensor_type::CRITICAL_INTERRUPT, _) => Critical,
        (SENSOR_SPECIFIC, 0x1e, _) => Critical,
        (SENSOR_SPECIFIC, sensor_type::OS_STOP, 0 | 1) => Critical,
        (SENSOR_SPECIFIC, sensor_type::OS_STOP, 5) => Warning,
        (SENSOR_SPECIFIC, sensor_type::WATCHDOG, 1..=3) => Critical,
        (SENSOR_SPECIFIC, sensor_type::WATCHDOG, 0 | 8) => Warning,
        (SENSOR_SPECIFIC, 0x29, 0 | 1) => Critical,
        (SENSOR_SPECIFIC, sensor_type::SESSION_AUDIT, 2 | 3) => Warning,
        _ => Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sel::EVM_REVISION;

    fn event(sensor_type: u8, event_type: u8, deasserted: bool, offset: u8) -> EventMessage {
        let data = [offset, 0xff, 0xff];
        EventMessage {
            revision: EVM_REVISION,
            sensor_type,
            sensor_number: 0x10,
            deasserted,
            event_type,
            data,
        }
    }

    #[test]
    fn events_have_words_and_a_severity() {
        let rows = [
            (event(9, 0x6f, false, 0), "power unit 10h: power off", EventSeverity::Ok),
            (event(9, 0x6f, true, 0), "power unit 10h: power off (no longer)", EventSeverity::Ok),
            (event(9, 0x6f, false, 5), "power unit 10h: soft power control failure", EventSeverity::Critical),
            (
                event(1, 1, false, 0x59),
                "temperature 10h: going high past its upper critical threshold",
                EventSeverity::Critical,
            ),
            (event(0xc0, 0x70, false, 3), "sensor type C0h 10h: event 70h/3h", EventSeverity::Ok),
            (event(0, 0x6f, false, 0), "sensor type 00h 10h: event 6Fh/0h", EventSeverity::Ok),
        ];
        for (event, words, bad) in rows {
            assert_eq!((describe(&event, None).as_str(), severity(&event)), (words, bad));
        }
    }

    #[test]
    fn a_sensor_with_a_name_is_called_by_it() {
        assert_eq!(describe(&event(9, 0x6f, false, 0), Some("Power Unit")), "Power Unit: power off");
        assert_eq!(offset_text(0x6f, 8, 0), Some("present"));
        assert_eq!(offset_text(0x70, 8, 0), None);
    }

    #[test]
    fn every_event_can_be_described() {
        for sensor_type in 0..=0xff {
            for event_type in 0..0x80 {
                for offset in 0..16 {
                    let event = event(sensor_type, event_type, false, offset);
                    assert!(!describe(&event, None).is_empty());
                    assert!(severity(&event) <= EventSeverity::Critical);
                }
            }
        }
    }
}
