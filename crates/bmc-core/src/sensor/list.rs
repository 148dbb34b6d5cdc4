//! Which sensors a machine has.

use crate::sensor::{Analog, Hysteresis, Kind, Place, Sensor, SensorType, Thresholds, Unit, model, number};
use crate::settings::sensors::{DriveSlots, PowerScale, SensorSettings};

/// Longest sensor name in characters (IPMI 2.0 §43.1, the id string).
pub const NAME_MAX: usize = 16;

/// Every sensor of a machine, in the order in which clients see them. Who has its snapshot finds them there, already made.
pub fn list_of(settings: &SensorSettings) -> Vec<Sensor> {
    scaled(&settings.slots, settings.power_scale)
}

/// The same for a machine with these drive slots whose power draw is shown in the smallest steps.
pub fn list(slots: &DriveSlots) -> Vec<Sensor> {
    scaled(slots, PowerScale::default())
}

fn scaled(slots: &DriveSlots, scale: PowerScale) -> Vec<Sensor> {
    let mut sensors = vec![
        analog(number::CPU_LOAD, "CPU Load", SensorType::Other, Place::Processor, CPU_LOAD),
        analog(
            number::CPU_TEMPERATURE,
            "CPU Temp",
            SensorType::Temperature,
            Place::Processor,
            CPU_TEMPERATURE,
        ),
        analog(number::MEMORY_IN_USE, "Memory In Use", SensorType::Other, Place::Memory, MEMORY_IN_USE),
        analog(number::INLET_TEMPERATURE, "Inlet Temp", SensorType::Temperature, Place::AirInlet, INLET),
        analog(number::BOARD_TEMPERATURE, "Board Temp", SensorType::Temperature, Place::Board, BOARD),
        analog(number::FAN_1, "Fan 1", SensorType::Fan, Place::Fan, FAN),
        Sensor { instance: 2, ..analog(number::FAN_2, "Fan 2", SensorType::Fan, Place::Fan, FAN) },
        power_supply(number::POWER_SUPPLY_1, 1),
        power_supply(number::POWER_SUPPLY_2, 2),
        analog(number::POWER_DRAW, "Power Draw", SensorType::Other, Place::Board, power_draw(scale)),
    ];
    sensors.extend(slots.names().zip(number::DRIVE_SLOT_FIRST..).zip(1..).map(
        |((disk, number), instance)| {
            Sensor {
                instance,
                // Drive presence, drive fault.
                ..states(number, &drive_name(disk), SensorType::DriveSlot, Place::Disk, 0x0003, 0x0001)
            }
        },
    ));
    sensors.extend([
        // Off (left again when it is on), cycle, mains lost, soft control failure.
        states(number::POWER_UNIT, "Power Unit", SensorType::PowerUnit, Place::Board, 0x0033, 0x0001),
        // S0/G0, S5/G2.
        states(number::ACPI_POWER_STATE, "ACPI State", SensorType::AcpiPowerState, Place::Board, 0x0021, 0),
        // Timer expired, hard reset, power down, power cycle, timer interrupt.
        states(number::WATCHDOG, "Watchdog", SensorType::Watchdog, Place::Controller, 0x010f, 0),
        events(number::SYSTEM_EVENT, "System Event", SensorType::SystemEvent, Place::Board, 0x003f),
        events(number::SYSTEM_RESTART, "System Restart", SensorType::SystemRestart, Place::Board, 0x00ff),
        events(number::OS_STOP, "OS Stop", SensorType::OsStop, Place::OperatingSystem, 0x003f),
        events(
            number::CRITICAL_INTERRUPT,
            "Diag Interrupt",
            SensorType::CriticalInterrupt,
            Place::Board,
            0x0001,
        ),
        events(number::SESSION_AUDIT, "Session Audit", SensorType::SessionAudit, Place::Controller, 0x000f),
        events(number::EVENT_LOG, "Event Log", SensorType::EventLog, Place::Controller, 0x003f),
        // Running, again.
        events(number::CONTROLLER, "Controller", SensorType::Controller, Place::Controller, 0x0001),
    ]);
    sensors
}

const CPU_LOAD: Analog = Analog {
    unit: Unit::Percent,
    step: 1,
    raw_max: 100,
    nominal: 10,
    thresholds: Thresholds::upper([Some(90), Some(98), None]),
    hysteresis: Hysteresis { positive: 5, negative: 0 },
    // A machine that works hard is not ill. Who wants to know of it enables the events.
    events: false,
};

const MEMORY_IN_USE: Analog =
    Analog { nominal: 50, thresholds: Thresholds::upper([Some(95), None, None]), ..CPU_LOAD };

const CPU_TEMPERATURE: Analog = Analog {
    unit: Unit::Celsius,
    step: 1,
    raw_max: 127,
    nominal: 40,
    thresholds: Thresholds::upper([Some(85), Some(95), Some(105)]),
    hysteresis: Hysteresis { positive: 3, negative: 0 },
    events: true,
};

const INLET: Analog = Analog {
    nominal: model::INLET_CELSIUS,
    thresholds: Thresholds::new([Some(5), Some(2), None, Some(38), Some(42), Some(47)]),
    hysteresis: Hysteresis { positive: 2, negative: 2 },
    ..CPU_TEMPERATURE
};

const BOARD: Analog =
    Analog { nominal: 30, thresholds: Thresholds::upper([Some(70), Some(80), Some(90)]), ..CPU_TEMPERATURE };

const FAN: Analog = Analog {
    unit: Unit::Rpm,
    step: 50,
    raw_max: 240,
    nominal: 70,
    thresholds: Thresholds::lower([Some(24), Some(16), Some(8)]),
    hysteresis: Hysteresis { positive: 0, negative: 2 },
    events: true,
};

const POWER_DRAW: Analog = Analog {
    unit: Unit::Watts,
    step: model::WATTS_PER_STEP_MIN,
    raw_max: 250,
    nominal: 16,
    thresholds: Thresholds::upper([Some(235), Some(245), None]),
    hysteresis: Hysteresis { positive: 2, negative: 0 },
    events: true,
};

/// The power draw in the steps of this machine.
fn power_draw(scale: PowerScale) -> Analog {
    // Where the steps are larger a machine at full load reads about 200, and idle a quarter of it.
    let nominal = if scale.step() > POWER_DRAW.step { 125 } else { POWER_DRAW.nominal };
    Analog { step: scale.step(), nominal, ..POWER_DRAW }
}

fn sensor(number: u8, name: &str, sensor_type: SensorType, place: Place, kind: Kind) -> Sensor {
    Sensor { number, name: name.to_owned(), sensor_type, place, instance: 1, kind }
}

fn analog(number: u8, name: &str, sensor_type: SensorType, place: Place, analog: Analog) -> Sensor {
    sensor(number, name, sensor_type, place, Kind::Analog(analog))
}

fn states(number: u8, name: &str, sensor_type: SensorType, place: Place, states: u16, ends: u16) -> Sensor {
    sensor(number, name, sensor_type, place, Kind::Discrete { states, ends })
}

fn events(number: u8, name: &str, sensor_type: SensorType, place: Place, states: u16) -> Sensor {
    sensor(number, name, sensor_type, place, Kind::EventOnly { states })
}

fn power_supply(number: u8, instance: u8) -> Sensor {
    // Presence detected, failure detected, predictive failure, input lost.
    let sensor = states(
        number,
        &format!("PSU {instance}"),
        SensorType::PowerSupply,
        Place::PowerSupply,
        0x000f,
        0x000f,
    );
    Sensor { instance, ..sensor }
}

/// The name of a slot: that of its disk as far as it fits and can be shown.
pub(crate) fn drive_name(disk: &str) -> String {
    let shown = disk.chars().filter(|c| c.is_ascii_graphic());
    "Disk ".chars().chain(shown).take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_names_and_parts_are_unambiguous() {
        let mut slots = DriveSlots::default();
        let disk = |n| crate::storage::Disk { name: format!("vd{n}"), ..Default::default() };
        let disks: Vec<_> = (0..40).map(disk).collect();
        slots.update(&disks, jiff::Timestamp::UNIX_EPOCH);
        let sensors = list(&slots);
        let numbers: BTreeSet<u8> = sensors.iter().map(|sensor| sensor.number).collect();
        let names: BTreeSet<&str> = sensors.iter().map(|sensor| sensor.name.as_str()).collect();
        assert_eq!(numbers.len(), sensors.len());
        assert_eq!(names.len(), sensors.len());
        assert!(!numbers.contains(&0) && !numbers.contains(&255));
        for sensor in &sensors {
            assert!(sensor.name.len() <= NAME_MAX, "{sensor:?}");
            assert!(sensor.name.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{sensor:?}");
        }
    }

    #[test]
    fn values_and_raw_readings_are_the_same_numbers() {
        for sensor in list(&DriveSlots::default()) {
            let Some(analog) = sensor.analog() else { continue };
            for raw in 0..=analog.raw_max {
                assert_eq!(analog.raw(analog.value(raw)), raw, "{}", sensor.name);
            }
            assert_eq!(analog.raw(u32::MAX), analog.raw_max);
            assert!(analog.nominal <= analog.raw_max);
            for (threshold, limit) in analog.thresholds.iter() {
                assert!(limit <= analog.raw_max, "{} {threshold:?}", sensor.name);
            }
        }
    }

    #[test]
    fn what_cannot_be_shown_of_a_disk_is_left_out() {
        assert_eq!(drive_name("vda"), "Disk vda");
        assert_eq!(drive_name("v\u{e4}\nd a/very-long-name"), "Disk vda/very-lo");
    }
}
