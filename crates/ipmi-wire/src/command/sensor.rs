//! Sensors as a device has them: readings, thresholds, hysteresis, events (IPMI 2.0 §35).

use alloc::vec::Vec;

use crate::command::sdr::{Reservation, SdrPart, SdrRead};
use crate::command::{Payload, bare_request, bit, command, flag};
use crate::record::sdr::Factors;
use crate::{DecodeError, Reader, Writer};

/// Get Device SDR Info (§35.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDeviceSdrInfo {
    /// Count the records instead of the sensors; old clients send no such byte, and mean sensors.
    pub count_records: Option<bool>,
}

command!(GetDeviceSdrInfo, SENSOR_EVENT, 0x20, "Get Device SDR Info", DeviceSdrInfo);

impl Payload for GetDeviceSdrInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count_records = if r.is_empty() { None } else { Some(bit(r.u8()?, 0)) };
        Ok(Self { count_records })
    }

    fn write(&self, w: &mut Writer) {
        if let Some(records) = self.count_records {
            w.u8(flag(records, 0));
        }
    }
}

/// The answer to [`GetDeviceSdrInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSdrInfo {
    /// Sensors of this logical unit, or records of the device.
    pub count: u8,
    /// Which logical units have sensors, bits 0 to 3; bit 7: the population changes while it runs.
    pub flags: u8,
}

impl Payload for DeviceSdrInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { count: r.u8()?, flags: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.count).u8(self.flags);
    }
}

/// Get Device SDR (§35.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDeviceSdr(pub SdrRead);

command!(GetDeviceSdr, SENSOR_EVENT, 0x21, "Get Device SDR", SdrPart);

impl Payload for GetDeviceSdr {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        SdrRead::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// Reserve Device SDR Repository (§35.4). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReserveDeviceSdrRepository;

bare_request!(ReserveDeviceSdrRepository);
command!(ReserveDeviceSdrRepository, SENSOR_EVENT, 0x22, "Reserve Device SDR Repository", Reservation);

/// A request that names a sensor and nothing else.
macro_rules! sensor_request {
    ($(#[$doc:meta])* $request:ident, $code:literal, $name:literal, $response:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $request {
            /// The sensor's number.
            pub sensor: u8,
        }

        command!($request, SENSOR_EVENT, $code, $name, $response);

        impl Payload for $request {
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { sensor: r.u8()? })
            }

            fn write(&self, w: &mut Writer) {
                w.u8(self.sensor);
            }
        }
    };
}

/// Get Sensor Reading Factors (§35.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSensorReadingFactors {
    /// The sensor's number.
    pub sensor: u8,
    /// The raw reading to get the factors for.
    pub reading: u8,
}

command!(GetSensorReadingFactors, SENSOR_EVENT, 0x23, "Get Sensor Reading Factors", SensorReadingFactors);

impl Payload for GetSensorReadingFactors {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { sensor: r.u8()?, reading: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor).u8(self.reading);
    }
}

/// The answer to [`GetSensorReadingFactors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorReadingFactors {
    /// The next raw reading that has other factors.
    pub next: u8,
    /// The factors.
    pub factors: Factors,
}

impl Payload for SensorReadingFactors {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { next: r.u8()?, factors: Payload::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.next);
        Payload::write(&self.factors, w);
    }
}

/// What a hysteresis mask must be: reserved for later, written as FFh.
pub const HYSTERESIS_MASK: u8 = 0xff;

/// Set Sensor Hysteresis (§35.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSensorHysteresis {
    /// The sensor's number.
    pub sensor: u8,
    /// Its new hysteresis.
    pub hysteresis: SensorHysteresis,
}

command!(SetSensorHysteresis, SENSOR_EVENT, 0x24, "Set Sensor Hysteresis", ());

impl Payload for SetSensorHysteresis {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sensor, _mask) = (r.u8()?, r.u8()?);
        Ok(Self { sensor, hysteresis: Payload::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor).u8(HYSTERESIS_MASK);
        self.hysteresis.write(w);
    }
}

/// Get Sensor Hysteresis (§35.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSensorHysteresis {
    /// The sensor's number.
    pub sensor: u8,
}

command!(GetSensorHysteresis, SENSOR_EVENT, 0x25, "Get Sensor Hysteresis", SensorHysteresis);

impl Payload for GetSensorHysteresis {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sensor, _mask) = (r.u8()?, r.u8()?);
        Ok(Self { sensor })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor).u8(HYSTERESIS_MASK);
    }
}

/// How far a reading must come back, raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorHysteresis {
    /// For upper thresholds ("positive-going").
    pub positive: u8,
    /// For lower thresholds ("negative-going").
    pub negative: u8,
}

impl Payload for SensorHysteresis {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { positive: r.u8()?, negative: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.positive).u8(self.negative);
    }
}

/// Set Sensor Thresholds (§35.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSensorThresholds {
    /// The sensor's number.
    pub sensor: u8,
    /// Which to set, and to what.
    pub thresholds: SensorThresholds,
}

command!(SetSensorThresholds, SENSOR_EVENT, 0x26, "Set Sensor Thresholds", ());

impl Payload for SetSensorThresholds {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { sensor: r.u8()?, thresholds: Payload::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor);
        self.thresholds.write(w);
    }
}

sensor_request! {
    /// Get Sensor Thresholds (§35.9).
    GetSensorThresholds, 0x27, "Get Sensor Thresholds", SensorThresholds
}

/// Thresholds, raw, with a mask of those that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorThresholds {
    /// Bits 0 to 5, in the order of the values.
    pub mask: u8,
    /// Lower non-critical, critical, non-recoverable, then upper.
    pub values: [u8; 6],
}

impl Payload for SensorThresholds {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { mask: r.u8()? & 0x3f, values: r.array()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.mask & 0x3f).bytes(&self.values);
    }
}

/// Assertion and deassertion events, one bit for each offset; 15 offsets are defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventMasks {
    /// Events that begin.
    pub assertions: u16,
    /// Events that end.
    pub deassertions: u16,
}

impl EventMasks {
    /// Bytes that are not there count as zero: clients leave those out at the end.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut bytes = [0; 4];
        for byte in &mut bytes {
            if !r.is_empty() {
                *byte = r.u8()?;
            }
        }
        let [a, b, c, d] = bytes;
        Ok(Self { assertions: u16::from_le_bytes([a, b]), deassertions: u16::from_le_bytes([c, d]) })
    }

    fn write(self, w: &mut Writer) {
        w.u16_le(self.assertions).u16_le(self.deassertions);
    }
}

/// What to do with single events in [`SetSensorEventEnable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSelection {
    /// Leave them as they are.
    Keep,
    /// Enable those in the masks.
    Enable,
    /// Disable those in the masks.
    Disable,
}

/// Set Sensor Event Enable (§35.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSensorEventEnable {
    /// The sensor's number.
    pub sensor: u8,
    /// It may send events.
    pub events: bool,
    /// It is read.
    pub scanning: bool,
    /// What to do with those in `masks`.
    pub selection: EventSelection,
    /// Which single events.
    pub masks: EventMasks,
}

command!(SetSensorEventEnable, SENSOR_EVENT, 0x28, "Set Sensor Event Enable", ());

impl Payload for SetSensorEventEnable {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sensor, flags) = (r.u8()?, r.u8()?);
        let selection = match flags >> 4 & 3 {
            0 => EventSelection::Keep,
            1 => EventSelection::Enable,
            2 => EventSelection::Disable,
            _ => return Err(DecodeError::value("event selection", flags)),
        };
        let masks = EventMasks::read(r)?;
        Ok(Self { sensor, events: bit(flags, 7), scanning: bit(flags, 6), selection, masks })
    }

    fn write(&self, w: &mut Writer) {
        let selection = match self.selection {
            EventSelection::Keep => 0,
            EventSelection::Enable => 1 << 4,
            EventSelection::Disable => 2 << 4,
        };
        w.u8(self.sensor).u8(flag(self.events, 7) | flag(self.scanning, 6) | selection);
        self.masks.write(w);
    }
}

sensor_request! {
    /// Get Sensor Event Enable (§35.11).
    GetSensorEventEnable, 0x29, "Get Sensor Event Enable", SensorEvents
}

sensor_request! {
    /// Get Sensor Event Status (§35.13).
    GetSensorEventStatus, 0x2b, "Get Sensor Event Status", SensorEvents
}

/// Which events are enabled, or have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorEvents {
    /// The sensor may send events.
    pub events: bool,
    /// It is read.
    pub scanning: bool,
    /// It has no reading now (of Get Sensor Event Status only).
    pub unavailable: bool,
    /// The events.
    pub masks: EventMasks,
}

impl Payload for SensorEvents {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = r.u8()?;
        let masks = EventMasks::read(r)?;
        Ok(Self { events: bit(flags, 7), scanning: bit(flags, 6), unavailable: bit(flags, 5), masks })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.events, 7) | flag(self.scanning, 6) | flag(self.unavailable, 5));
        self.masks.write(w);
    }
}

/// Re-arm Sensor Events (§35.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RearmSensorEvents {
    /// The sensor's number.
    pub sensor: u8,
    /// Which events; `None` is all.
    pub masks: Option<EventMasks>,
}

command!(RearmSensorEvents, SENSOR_EVENT, 0x2a, "Re-arm Sensor Events", ());

impl Payload for RearmSensorEvents {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sensor, flags) = (r.u8()?, r.u8()?);
        let masks = EventMasks::read(r)?;
        Ok(Self { sensor, masks: bit(flags, 7).then_some(masks) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor).u8(flag(self.masks.is_some(), 7));
        self.masks.unwrap_or_default().write(w);
    }
}

sensor_request! {
    /// Get Sensor Reading (§35.14).
    GetSensorReading, 0x2d, "Get Sensor Reading", SensorReading
}

/// The answer to [`GetSensorReading`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorReading {
    /// The raw reading; to be ignored where the sensor has none.
    pub reading: u8,
    /// The sensor may send events.
    pub events: bool,
    /// It is read.
    pub scanning: bool,
    /// It has no reading now.
    pub unavailable: bool,
    /// Thresholds that the reading is beyond (bits 0 to 5), or states 0 to 7.
    pub low: u8,
    /// States 8 to 14 of a discrete sensor; sensors with thresholds leave it out.
    pub high: Option<u8>,
}

impl Payload for SensorReading {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (reading, flags, low) = (r.u8()?, r.u8()?, r.u8()?);
        let high = if r.is_empty() { None } else { Some(r.u8()? & 0x7f) };
        let low = if high.is_none() { low & 0x3f } else { low };
        let (events, scanning, unavailable) = (bit(flags, 7), bit(flags, 6), bit(flags, 5));
        Ok(Self { reading, events, scanning, unavailable, low, high })
    }

    /// Reserved bits of the states are ones.
    fn write(&self, w: &mut Writer) {
        w.u8(self.reading);
        w.u8(flag(self.events, 7) | flag(self.scanning, 6) | flag(self.unavailable, 5));
        match self.high {
            None => drop(w.u8(self.low | 0xc0)),
            Some(high) => drop(w.u8(self.low).u8(high | 0x80)),
        }
    }
}

/// Set Sensor Type (§35.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSensorType {
    /// The sensor's number.
    pub sensor: u8,
    /// Its new type.
    pub kind: SensorKind,
}

command!(SetSensorType, SENSOR_EVENT, 0x2e, "Set Sensor Type", ());

impl Payload for SetSensorType {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { sensor: r.u8()?, kind: Payload::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor);
        self.kind.write(w);
    }
}

sensor_request! {
    /// Get Sensor Type (§35.16).
    GetSensorType, 0x2f, "Get Sensor Type", SensorKind
}

/// What a sensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorKind {
    /// Sensor type (table 42-3).
    pub sensor_type: u8,
    /// Event/reading type (table 42-1), 7 bits.
    pub event_type: u8,
}

impl Payload for SensorKind {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { sensor_type: r.u8()?, event_type: r.u8()? & 0x7f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor_type).u8(self.event_type & 0x7f);
    }
}

/// Most bytes behind the operation in [`SetSensorReading`].
const SET_READING_REST_MAX: usize = 8;

/// Set Sensor Reading And Event Status (§35.17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSensorReading {
    /// The sensor's number.
    pub sensor: u8,
    /// Which of the fields to write.
    pub operation: u8,
    /// Reading, assertion and deassertion bits, event data: 1 to 8 bytes, as many as the client sends.
    pub fields: Vec<u8>,
}

command!(SetSensorReading, SENSOR_EVENT, 0x30, "Set Sensor Reading And Event Status", ());

impl Payload for SetSensorReading {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sensor, operation, fields) = (r.u8()?, r.u8()?, r.rest().to_vec());
        if fields.is_empty() || fields.len() > SET_READING_REST_MAX {
            return Err(DecodeError::Length);
        }
        Ok(Self { sensor, operation, fields })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.sensor).u8(self.operation).bytes(&self.fields);
    }
}

#[cfg(test)]
#[path = "sensor_tests.rs"]
mod tests;
