//! What the BMC itself logs: the table from the machine's events to events of its sensors.
//!
//! A power change is one entry of the power unit; a cycle is two. A restart without loss of power is one entry that tells its cause. What
//! an operating system did before the power went is an entry of its own.

use ipmi_wire::record::sel::{
    AVAILABILITY, EVM_REVISION, EventMessage, SENSOR_SPECIFIC, THRESHOLD, UNSPECIFIED, sensor_type,
};

use crate::account::Accounts;
use crate::boot::BootTarget;
use crate::event::EventKind;
use crate::power::{ChangeCause, PowerAction, Restart, RestartCause};
use crate::sensor::{Sensor, SensorType, ThresholdEvent, drive_name, number};
use crate::watchdog::{PreTimeoutInterrupt, TimeoutAction, TimerUse};

/// The BMC as the generator of an event: its address, channel 0, LUN 0.
pub const BMC_GENERATOR: u16 = 0x20;

/// Bits 7 and 6 of event data 1: event data 2 is what the sensor's type says.
const DATA_2_BY_TYPE: u8 = 0xc0;
/// Bits 5 and 4: so is event data 3.
const DATA_3_BY_TYPE: u8 = 0x30;
/// Of a threshold event: event data 2 is the reading and 3 the threshold.
const READING_AND_THRESHOLD: u8 = 0x50;
/// Of a threshold event: event data 3 is the threshold.
const THRESHOLD_ONLY: u8 = 0x10;

/// The generic event type of limits (IPMI 2.0 table 42-2).
pub(crate) const LIMIT: u8 = 0x05;
/// Of such an event: the limit is exceeded.
const OFFSET_LIMIT_EXCEEDED: u8 = 1;

/// Of a drive slot's sensor: the drive is at fault.
const OFFSET_DRIVE_FAULT: u8 = 1;

/// What else an entry tells.
pub(crate) struct Circumstances<'a> {
    /// Why the machine last restarted.
    pub(crate) restart: Restart,
    /// Whose names have which ids.
    pub(crate) accounts: &'a Accounts,
    /// The machine's sensors.
    pub(crate) sensors: &'a [Sensor],
}

/// The entries that tell of `kind`, in order; none for what a log of hardware does not care about.
pub(crate) fn events_for(kind: &EventKind, of: &Circumstances<'_>) -> Vec<EventMessage> {
    match kind {
        EventKind::PoweredOn { .. } => vec![EventMessage { deasserted: true, ..power_unit(0) }],
        EventKind::PoweredOff { cause } => {
            let stop = match cause {
                ChangeCause::Guest => Some(os_stop(3)),
                ChangeCause::Crash => Some(os_stop(1)),
                _ => None,
            };
            stop.into_iter().chain([power_unit(0)]).collect()
        }
        EventKind::Panicked => vec![os_stop(1)],
        EventKind::DiskFailed { disk, .. } => drive_fault(disk, of).into_iter().collect(),
        EventKind::MainsLost => vec![power_unit(4)],
        EventKind::PowerFault { .. } => vec![power_unit(5)],
        EventKind::Reset | EventKind::Rebooted => vec![restart(of.restart)],
        EventKind::BootOverrideUsed { target } => {
            let offset = match target {
                BootTarget::Pxe => 3,
                BootTarget::Diagnostics => 4,
                _ => return Vec::new(),
            };
            vec![sensor_event(sensor_type::SYSTEM_RESTART, number::SYSTEM_RESTART, offset)]
        }
        EventKind::ShutdownIgnored => vec![os_stop(5)],
        EventKind::Nmi => {
            vec![sensor_event(sensor_type::CRITICAL_INTERRUPT, number::CRITICAL_INTERRUPT, 0)]
        }
        EventKind::SessionOpened { user, .. } => vec![audit(0, user, of.accounts)],
        EventKind::SessionClosed { user, .. } => vec![audit(1, user, of.accounts)],
        EventKind::LoginFailed { user, .. } => vec![audit(2, user, of.accounts)],
        EventKind::LockedOut { log: false, .. } => Vec::new(),
        EventKind::LockedOut { user, log: true, .. } => vec![audit(3, user, of.accounts)],
        EventKind::WatchdogPreTimeout { timer_use, interrupt } => vec![watchdog(8, *timer_use, *interrupt)],
        EventKind::WatchdogExpired { log: false, .. } => Vec::new(),
        EventKind::WatchdogExpired { timer_use, interrupt, action, log: true } => {
            let offset = match action {
                TimeoutAction::None => 0,
                TimeoutAction::HardReset => 1,
                TimeoutAction::PowerDown => 2,
                TimeoutAction::PowerCycle => 3,
            };
            vec![watchdog(offset, *timer_use, *interrupt)]
        }
        EventKind::SensorThreshold(crossed) => vec![threshold(crossed, of)],
        EventKind::LimitExceeded { limited, .. } => {
            let sensor = limited.sensor();
            let event = sensor_event(type_of(of.sensors, sensor), sensor, OFFSET_LIMIT_EXCEEDED);
            vec![EventMessage { event_type: LIMIT, ..event }]
        }
        // Offset 0 of the availability states: running.
        EventKind::BmcReset { .. } => {
            let event = sensor_event(sensor_type::MICROCONTROLLER, number::CONTROLLER, 0);
            vec![EventMessage { event_type: AVAILABILITY, ..event }]
        }
        // A log of hardware has no sensor for what is in a drive that is none, nor for accounts and for volumes that are well.
        EventKind::MediaInserted { .. }
        | EventKind::AccountCreated { .. }
        | EventKind::AccountRemoved { .. }
        | EventKind::AccountChanged { .. }
        | EventKind::VolumeCreated { .. }
        | EventKind::VolumeDeleted { .. }
        | EventKind::VolumeInitialized { .. }
        | EventKind::MediaEjected { .. }
        | EventKind::MediaFailed { .. }
        | EventKind::Paused { .. }
        | EventKind::Resumed
        | EventKind::ShutdownRequested
        | EventKind::BootOverrideSet { .. }
        | EventKind::Booted { .. }
        | EventKind::Unavailable { .. }
        | EventKind::Available
        | EventKind::Started
        | EventKind::Stopped
        | EventKind::Operation { .. }
        | EventKind::Test { .. } => Vec::new(),
    }
}

/// "PEF action" of the system event sensor: event data 2 has a bit for each kind of action.
pub(crate) fn filter_action(action: PowerAction) -> EventMessage {
    let event = sensor_event(sensor_type::SYSTEM_EVENT, number::SYSTEM_EVENT, 4);
    let bit = match action {
        PowerAction::Off => 0x02,
        PowerAction::Reset => 0x04,
        PowerAction::Cycle => 0x08,
        PowerAction::Nmi => 0x20,
        PowerAction::On | PowerAction::Soft | PowerAction::GracefulRestart | PowerAction::PushButton => 0,
    };
    EventMessage { data: [DATA_2_BY_TYPE | 4, bit, UNSPECIFIED], ..event }
}

/// An asserted event of a sensor whose offsets are defined by its type, with nothing more to tell.
pub(crate) fn sensor_event(sensor_type: u8, sensor_number: u8, offset: u8) -> EventMessage {
    EventMessage {
        revision: EVM_REVISION,
        sensor_type,
        sensor_number,
        deasserted: false,
        event_type: SENSOR_SPECIFIC,
        data: [offset, UNSPECIFIED, UNSPECIFIED],
    }
}

/// 0: power off; 5: did not turn on as told.
fn power_unit(offset: u8) -> EventMessage {
    sensor_event(sensor_type::POWER_UNIT, number::POWER_UNIT, offset)
}

/// 1: stopped while it ran; 3: shut down in order; 5: did not shut down although asked.
fn os_stop(offset: u8) -> EventMessage {
    sensor_event(sensor_type::OS_STOP, number::OS_STOP, offset)
}

/// The fault of a drive. One without a sensor, such as a CD drive, has no entry.
fn drive_fault(disk: &str, of: &Circumstances<'_>) -> Option<EventMessage> {
    let name = drive_name(disk);
    let is_its = |sensor: &&Sensor| sensor.sensor_type == SensorType::DriveSlot && sensor.name == name;
    let sensor = of.sensors.iter().find(is_its)?;
    Some(sensor_event(sensor.sensor_type.code(), sensor.number, OFFSET_DRIVE_FAULT))
}

/// "System restart", with the cause as Get System Restart Cause tells it and, where it was a command, its channel.
fn restart(restart: Restart) -> EventMessage {
    let event = sensor_event(sensor_type::SYSTEM_RESTART, number::SYSTEM_RESTART, 7);
    let (channel_told, channel) = match restart.channel {
        Some(channel) => (DATA_3_BY_TYPE, channel & 0x0f),
        None => (0, UNSPECIFIED),
    };
    EventMessage { data: [DATA_2_BY_TYPE | channel_told | 7, cause_code(restart.cause), channel], ..event }
}

/// 0 to 3: expired, with its action; 8: about to expire.
fn watchdog(offset: u8, timer_use: TimerUse, interrupt: PreTimeoutInterrupt) -> EventMessage {
    let event = sensor_event(sensor_type::WATCHDOG, number::WATCHDOG, offset);
    // Both are numbered in the order of their variants, the uses from 1.
    let detail = (interrupt as u8) << 4 | (timer_use as u8 + 1);
    EventMessage { data: [DATA_2_BY_TYPE | offset, detail, UNSPECIFIED], ..event }
}

/// A threshold was passed, in one direction or back.
fn threshold(crossed: &ThresholdEvent, of: &Circumstances<'_>) -> EventMessage {
    let sensor_type = type_of(of.sensors, crossed.sensor);
    let data = match crossed.raw_reading {
        Some(reading) => [READING_AND_THRESHOLD | crossed.offset(), reading, crossed.raw_limit],
        None => [THRESHOLD_ONLY | crossed.offset(), UNSPECIFIED, crossed.raw_limit],
    };
    let event = sensor_event(sensor_type, crossed.sensor, 0);
    EventMessage { event_type: THRESHOLD, deasserted: !crossed.asserted, data, ..event }
}

/// The type of a sensor.
fn type_of(sensors: &[Sensor], number: u8) -> u8 {
    sensors.iter().find(|sensor| sensor.number == number).map_or(0x0b, |found| found.sensor_type.code())
}

/// 0 and 1: session activated and deactivated; 2: invalid user name or password; 3: user disabled after too many.
fn audit(offset: u8, user: &str, accounts: &Accounts) -> EventMessage {
    let event = sensor_event(sensor_type::SESSION_AUDIT, number::SESSION_AUDIT, offset);
    // 0 stands for a user who is not known.
    let id = accounts.by_name(user.as_bytes()).map_or(0, |account| account.id & 0x3f);
    EventMessage { data: [DATA_2_BY_TYPE | offset, id, UNSPECIFIED], ..event }
}

/// IPMI's number for a restart cause (IPMI 2.0 table 28-11).
fn cause_code(cause: RestartCause) -> u8 {
    match cause {
        RestartCause::Unknown => 0x0,
        RestartCause::ChassisControl => 0x1,
        RestartCause::PowerButton => 0x3,
        RestartCause::PolicyAlwaysOn => 0x6,
        RestartCause::PolicyPrevious => 0x7,
        RestartCause::Watchdog => 0x4,
        RestartCause::FilterReset => 0x8,
        RestartCause::FilterCycle => 0x9,
        RestartCause::SoftReset => 0xa,
    }
}
