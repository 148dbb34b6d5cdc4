//! The SDR repository: the machine's sensors as records, made from the core's list whenever somebody reads, and the reservations.
//!
//! The records carry the sensors' defaults, so that they change only with the machine's make-up; what a client configured is told by the
//! sensor commands. Nobody can write the repository.

use std::collections::VecDeque;

use bmc_core::sensor::{Analog, Kind, Sensor, SensorType, Threshold, Unit};
use bmc_core::snapshot::Snapshot;
use ipmi_wire::command::Payload;
use ipmi_wire::message::BMC_ADDRESS;
use ipmi_wire::record::sdr::{
    CompactSensor, ControllerLocator, EventOnlySensor, Factors, FruLocator, FullSensor, NOT_SHARED, SdrBody,
    SdrRecord, SensorCommon, SensorKey, TYPE_THRESHOLD,
};
use jiff::Timestamp;

use crate::handlers::app;

/// The id of the controller's record.
const CONTROLLER_RECORD: u16 = 0x00f0;
/// The id of the record of FRU device 0.
const FRU_RECORD: u16 = 0x00f1;
/// The part that the controller is: a system management module (table 43-13).
const ENTITY_CONTROLLER: u8 = 6;
/// The part that FRU device 0 is about: the system board.
const ENTITY_BOARD: u8 = 7;
/// A FRU device that belongs to a controller (table 43-12).
const FRU_DEVICE_TYPE: [u8; 2] = [0x10, 0x00];
/// A FRU device of the controller, on its logical unit 0.
const FRU_LOGICAL: u8 = 0x80;

/// Sensors that are scanned and send events from power-up on, and whose events, thresholds, hysteresis and type the agent sets.
const INITIALIZATION_ANALOG: u8 = 0x7f;
/// The same without thresholds and hysteresis.
const INITIALIZATION_DISCRETE: u8 = 0x67;
/// Re-armed automatically; hysteresis and thresholds readable and settable; single events can be switched.
const CAPABILITIES_ANALOG: u8 = 0x68;
/// Re-armed automatically; single events can be switched.
const CAPABILITIES_DISCRETE: u8 = 0x40;
/// No analogue reading.
const UNITS_NONE: u8 = 0xc0;
/// Percentage.
const UNITS_PERCENT: u8 = 0x01;

/// The records in the order in which clients get them.
pub(crate) fn records(snapshot: &Snapshot) -> Vec<SdrRecord> {
    let controller = ControllerLocator {
        address: BMC_ADDRESS,
        channel: 0,
        initialization: 0,
        capabilities: app::support().byte(),
        entity: ENTITY_CONTROLLER,
        instance: 1,
        name: "BMC".to_owned(),
    };
    let fru = FruLocator {
        access_address: BMC_ADDRESS,
        device: 0,
        access: FRU_LOGICAL,
        channel: 0,
        device_type: FRU_DEVICE_TYPE,
        entity: ENTITY_BOARD,
        instance: 1,
        name: "System".to_owned(),
    };
    let mut records = vec![
        SdrRecord { id: CONTROLLER_RECORD, body: SdrBody::Controller(controller) },
        SdrRecord { id: FRU_RECORD, body: SdrBody::Fru(fru) },
    ];
    let sensor = |sensor: &Sensor| SdrRecord { id: sensor_record(sensor.number), body: body(sensor) };
    records.extend(snapshot.sensors().iter().map(sensor));
    records
}

/// The id of the record of the sensor with this number: the number itself. No sensor has those of the two other records.
pub(crate) fn sensor_record(number: u8) -> u16 {
    number.into()
}

/// When the set of records last changed.
pub(crate) fn changed(snapshot: &Snapshot) -> Timestamp {
    snapshot.settings.sensors.sensors_changed().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A record's bytes.
pub(crate) fn bytes(record: &SdrRecord) -> Vec<u8> {
    record.encode()
}

/// The factors of an analogue sensor: its readings are whole steps of its unit.
pub(crate) fn factors(analog: &Analog) -> Factors {
    Factors { m: i16::try_from(analog.step).unwrap_or(i16::MAX), ..Factors::default() }
}

fn key(sensor: &Sensor) -> SensorKey {
    let (entity, instance) = (sensor.place.entity_id(), sensor.instance);
    SensorKey { owner: BMC_ADDRESS, lun: 0, number: sensor.number, entity, instance }
}

fn body(sensor: &Sensor) -> SdrBody {
    match &sensor.kind {
        Kind::Analog(analog) => SdrBody::Full(full(sensor, analog)),
        Kind::Discrete { states, .. } => SdrBody::Compact(CompactSensor {
            key: key(sensor),
            common: SensorCommon {
                initialization: INITIALIZATION_DISCRETE,
                capabilities: CAPABILITIES_DISCRETE,
                sensor_type: SensorType::code(sensor.sensor_type),
                event_type: sensor.event_type(),
                assertions: sensor.events(),
                deassertions: sensor.deassertions(),
                readable: *states,
                units: UNITS_NONE,
                base_unit: 0,
                modifier_unit: 0,
            },
            sharing: NOT_SHARED,
            hysteresis: [0, 0],
            name: sensor.name.clone(),
        }),
        Kind::EventOnly { .. } => SdrBody::EventOnly(EventOnlySensor {
            key: key(sensor),
            sensor_type: sensor.sensor_type.code(),
            event_type: sensor.event_type(),
            sharing: NOT_SHARED,
            name: sensor.name.clone(),
        }),
    }
}

fn full(sensor: &Sensor, analog: &Analog) -> FullSensor {
    let mask = analog.thresholds.mask();
    let (lower, upper) = (mask & 0x07, mask >> 3);
    let limit = |threshold| analog.thresholds.get(threshold).unwrap_or(0);
    let (units, base_unit) = match analog.unit {
        Unit::Percent => (UNITS_PERCENT, 0),
        Unit::Celsius => (0, 1),
        Unit::Watts => (0, 6),
        Unit::Rpm => (0, 18),
    };
    FullSensor {
        key: key(sensor),
        common: SensorCommon {
            initialization: INITIALIZATION_ANALOG,
            capabilities: CAPABILITIES_ANALOG,
            sensor_type: sensor.sensor_type.code(),
            event_type: TYPE_THRESHOLD,
            assertions: sensor.events() | u16::from(lower) << 12,
            deassertions: sensor.deassertions() | u16::from(upper) << 12,
            readable: u16::from_le_bytes([mask, mask]),
            units,
            base_unit,
            modifier_unit: 0,
        },
        linearization: 0,
        factors: factors(analog),
        direction: 0,
        // The nominal reading is given.
        characteristics: 1,
        nominal: [analog.nominal, 0, 0],
        range: [analog.raw_max, 0],
        thresholds: Threshold::ALL.map(limit),
        hysteresis: [analog.hysteresis.positive, analog.hysteresis.negative],
        name: sensor.name.clone(),
    }
}

/// Reservations that hold at once. Several clients read side by side without disturbing each other; the oldest gives way.
const RESERVATIONS_MAX: usize = 32;

/// Who relies on the records staying as they are (IPMI 2.0 §33.11).
#[derive(Debug)]
pub(crate) struct Reservations {
    next: u16,
    held: VecDeque<u16>,
    /// When the records had last changed when these were given.
    records_of: Option<Timestamp>,
}

impl Default for Reservations {
    fn default() -> Self {
        Self { next: 1, held: VecDeque::new(), records_of: None }
    }
}

impl Reservations {
    /// A new one for records that last changed at `changed`.
    pub(crate) fn reserve(&mut self, changed: Timestamp) -> u16 {
        self.forget_old(changed);
        let id = self.next;
        self.next = self.next.checked_add(1).unwrap_or(1);
        if self.held.len() == RESERVATIONS_MAX {
            self.held.pop_front();
        }
        self.held.push_back(id);
        id
    }

    /// Whether a reservation still holds.
    pub(crate) fn holds(&mut self, id: u16, changed: Timestamp) -> bool {
        self.forget_old(changed);
        self.held.contains(&id)
    }

    fn forget_old(&mut self, changed: Timestamp) {
        if self.records_of != Some(changed) {
            self.held.clear();
            self.records_of = Some(changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_hold_side_by_side_until_the_records_change() {
        let (then, now) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let mut reservations = Reservations::default();
        let first = reservations.reserve(then);
        assert!(first != 0 && !reservations.holds(0, then) && !reservations.holds(first + 1, then));
        let second = reservations.reserve(then);
        assert!(reservations.holds(first, then) && reservations.holds(second, then));
        for _ in 0..RESERVATIONS_MAX - 1 {
            reservations.reserve(then);
        }
        assert!(!reservations.holds(first, then) && reservations.holds(second, then), "the oldest gives way");
        assert!(!reservations.holds(second, now), "other records");
        assert!(!reservations.holds(second, then));
        reservations.next = u16::MAX;
        assert_eq!((reservations.reserve(now), reservations.reserve(now)), (u16::MAX, 1));
    }
}
