//! What the sensors of a virtual machine read.
//!
//! Load and memory are the backend's own figures. Nothing else can be measured on a virtual machine, so it is modelled, by simple straight
//! lines that a person can check in their head:
//!
//! | reading | on | off |
//! |---|---|---|
//! | inlet temperature | 22 °C | 22 °C |
//! | processor temperature | 35 °C idle, 80 °C at full load | none |
//! | board temperature | 28 °C idle, 38 °C at full load | 24 °C |
//! | fans | 3000 RPM idle, 9000 RPM at full load | none |
//! | power draw | 40 W and 2 W for each processor idle, 8 W for each at full load | 8 W of standby power |
//!
//! A modelled value never raises an alarm by itself: at full load of a machine of any size every sensor that sends events by default stays
//! within its thresholds. The power draw is shown in larger steps where the machine is larger ([`watts_per_step`]).

use crate::backend::{MachineInfo, Statistics};
use crate::power::PowerState;
use crate::sensor::{Kind, Sensor, number};
use crate::settings::sensors::DriveSlots;

/// Temperature of the air that comes in.
pub const INLET_CELSIUS: u8 = 22;
/// What a machine that is off draws, in watts.
pub const STANDBY_WATTS: u32 = 8;
/// Most processors that count towards the power draw, so that DCMI can tell all of it in its sixteen bits.
pub const PROCESSORS_MAX: u32 = 8_000;
/// What one raw step of the power draw stands for at least, in watts.
pub const WATTS_PER_STEP_MIN: u16 = 4;
/// The highest raw reading of the power draw that load alone can cause. Its thresholds lie above.
const FULL_LOAD_RAW: u32 = 200;

/// What the readings depend on.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    /// What the machine is made of, once known.
    pub info: Option<&'a MachineInfo>,
    /// Its drive slots.
    pub slots: &'a DriveSlots,
    /// Its power.
    pub power: PowerState,
    /// An operation that had been acknowledged failed.
    pub power_fault: bool,
    /// Whether the backend can be asked; while it cannot, what depends on the load is not known.
    pub reachable: bool,
    /// What it is doing.
    pub statistics: Statistics,
    /// The watchdog timer's states, one bit for each offset.
    pub watchdog: u16,
}

/// What a sensor shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A raw reading.
    Raw(u8),
    /// States, one bit for each offset.
    States(u16),
    /// Nothing now: what it measures is off.
    Off,
    /// Nothing now: the backend cannot be asked.
    Unknown,
}

/// What a sensor shows under these conditions.
pub fn show(sensor: &Sensor, conditions: &Conditions<'_>) -> Shown {
    match &sensor.kind {
        Kind::Analog(analog) => match value(sensor.number, conditions) {
            Ok(value) => Shown::Raw(analog.raw(value)),
            Err(nothing) => nothing,
        },
        Kind::Discrete { .. } => Shown::States(states(sensor.number, conditions)),
        Kind::EventOnly { .. } => Shown::Off,
    }
}

/// Power drawn by a machine of so many processors, in watts.
pub fn watts(processors: u32, load_percent: u8) -> u32 {
    let load = u32::from(load_percent.min(100));
    let processors = processors.clamp(1, PROCESSORS_MAX);
    40 + processors * 2 + processors * 6 * load / 100
}

/// The watts that one raw step of the power draw stands for in a machine of so many processors: the smallest step with which work is no alarm.
pub fn watts_per_step(processors: u32) -> u16 {
    let step = watts(processors, 100).div_ceil(FULL_LOAD_RAW);
    u16::try_from(step).unwrap_or(u16::MAX).max(WATTS_PER_STEP_MIN)
}

/// An analogue value in its unit.
fn value(number: u8, conditions: &Conditions<'_>) -> Result<u32, Shown> {
    if number == number::INLET_TEMPERATURE {
        return Ok(INLET_CELSIUS.into());
    }
    let inlet = u32::from(INLET_CELSIUS);
    if !conditions.reachable {
        return Err(Shown::Unknown);
    }
    let on = conditions.power != PowerState::Off;
    let load = u32::from(conditions.statistics.cpu_percent.min(100));
    let processors = conditions.info.map_or(1, |info| info.processors);
    match (number, on) {
        (number::BOARD_TEMPERATURE, false) => Ok(inlet + 2),
        (number::POWER_DRAW, false) => Ok(STANDBY_WATTS),
        (_, false) => Err(Shown::Off),
        (number::CPU_LOAD, true) => Ok(load),
        (number::MEMORY_IN_USE, true) => Ok(conditions.statistics.memory_percent.min(100).into()),
        (number::CPU_TEMPERATURE, true) => Ok(inlet + 13 + load * 45 / 100),
        (number::BOARD_TEMPERATURE, true) => Ok(inlet + 6 + load / 10),
        (number::FAN_1 | number::FAN_2, true) => Ok(3000 + load * 60),
        (number::POWER_DRAW, true) => Ok(watts(processors, conditions.statistics.cpu_percent)),
        (_, true) => Err(Shown::Off),
    }
}

/// The states of a discrete sensor.
fn states(number: u8, conditions: &Conditions<'_>) -> u16 {
    let on = conditions.power.reads_as_on();
    match number {
        // Presence detected.
        number::POWER_SUPPLY_1 | number::POWER_SUPPLY_2 => 1 << 0,
        number::ACPI_POWER_STATE if on => 1 << 0,
        number::ACPI_POWER_STATE => 1 << 5,
        number::POWER_UNIT => u16::from(!on) | u16::from(conditions.power_fault) << 5,
        number::WATCHDOG => conditions.watchdog,
        number => {
            let slot = number.checked_sub(number::DRIVE_SLOT_FIRST).map(usize::from);
            let disk = slot.and_then(|slot| conditions.slots.names().nth(slot));
            let disks = conditions.info.map_or(&[][..], |info| &info.disks);
            u16::from(disk.is_some_and(|disk| disks.iter().any(|present| present.name == *disk)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::list;

    fn shown(power: PowerState, load: u8, reachable: bool) -> Vec<(String, Shown)> {
        let info = MachineInfo {
            processors: 4,
            disks: vec![crate::storage::Disk { name: "vda".to_owned(), ..Default::default() }],
            ..Default::default()
        };
        let mut slots = DriveSlots::default();
        let disk = |name: &str| crate::storage::Disk { name: name.to_owned(), ..Default::default() };
        slots.update(&[disk("vda"), disk("vdb")], jiff::Timestamp::UNIX_EPOCH);
        let statistics = Statistics { cpu_percent: load, memory_percent: 42, ..Default::default() };
        let conditions = Conditions {
            info: Some(&info),
            slots: &slots,
            power,
            power_fault: false,
            reachable,
            statistics,
            watchdog: 0,
        };
        list(&slots).iter().map(|sensor| (sensor.name.clone(), show(sensor, &conditions))).collect()
    }

    fn of(all: &[(String, Shown)], name: &str) -> Shown {
        all.iter().find(|(other, _)| other == name).unwrap().1
    }

    #[test]
    fn readings_follow_the_load() {
        let (idle, busy) = (shown(PowerState::On, 0, true), shown(PowerState::On, 100, true));
        let rows = [
            ("CPU Load", 0, 100),
            ("CPU Temp", 35, 80),
            ("Memory In Use", 42, 42),
            ("Inlet Temp", 22, 22),
            ("Board Temp", 28, 38),
            ("Fan 1", 60, 180),
            ("Fan 2", 60, 180),
            ("Power Draw", 12, 18),
        ];
        for (name, low, high) in rows {
            assert_eq!((of(&idle, name), of(&busy, name)), (Shown::Raw(low), Shown::Raw(high)), "{name}");
        }
        assert_eq!((watts(4, 0), watts(4, 100)), (48, 72));
        assert_eq!(of(&idle, "ACPI State"), Shown::States(1));
        assert_eq!(of(&idle, "Power Unit"), Shown::States(0));
        assert_eq!((of(&idle, "Disk vda"), of(&idle, "Disk vdb")), (Shown::States(1), Shown::States(0)));
        assert_eq!(of(&idle, "PSU 2"), Shown::States(1));
    }

    #[test]
    fn a_machine_that_is_off_keeps_its_standby_readings() {
        let off = shown(PowerState::Off, 0, true);
        for name in ["CPU Load", "CPU Temp", "Memory In Use", "Fan 1"] {
            assert_eq!(of(&off, name), Shown::Off, "{name}");
        }
        assert_eq!(of(&off, "Inlet Temp"), Shown::Raw(22));
        assert_eq!(of(&off, "Board Temp"), Shown::Raw(24));
        assert_eq!(of(&off, "Power Draw"), Shown::Raw(2));
        assert_eq!(of(&off, "ACPI State"), Shown::States(1 << 5));
        assert_eq!(of(&off, "Power Unit"), Shown::States(1));
    }

    #[test]
    fn what_the_backend_alone_can_tell_is_unknown_without_it() {
        let cut_off = shown(PowerState::On, 10, false);
        for name in ["CPU Load", "CPU Temp", "Memory In Use", "Board Temp", "Fan 2", "Power Draw"] {
            assert_eq!(of(&cut_off, name), Shown::Unknown, "{name}");
        }
        assert_eq!(of(&cut_off, "Inlet Temp"), Shown::Raw(22));
    }
}
