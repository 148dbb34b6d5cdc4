//! Sensor data records (IPMI 2.0 §43): what a BMC tells of its sensors, its inventory and itself.
//!
//! ```text
//!   record id   version (51h)   type   length of what follows   key and body
//!   2 bytes     1               1      1                        up to 59 bytes
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::command::Payload;
use crate::{DecodeError, Reader, Writer};

/// The version of the format, in BCD with the digits swapped: 1.5 and 2.0 use the same.
pub const SDR_VERSION: u8 = 0x51;
/// Bytes in front of the key.
pub const SDR_HEADER_BYTES: usize = 5;
/// Longest id string in bytes.
pub const ID_STRING_MAX: usize = 16;
/// The event/reading type of sensors with thresholds (table 42-1).
pub const TYPE_THRESHOLD: u8 = 0x01;
/// The event/reading type of sensors whose states are those of their sensor type (table 42-1).
pub const TYPE_SENSOR_SPECIFIC: u8 = 0x6f;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdrRecord {
    /// Its id, 0001h to FFFEh.
    pub id: u16,
    /// The rest.
    pub body: SdrBody,
}

/// What a record describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SdrBody {
    /// A sensor, with factors and thresholds (type 01h, §43.1).
    Full(FullSensor),
    /// A sensor without (type 02h, §43.2).
    Compact(CompactSensor),
    /// A sensor that only sends events (type 03h, §43.3).
    EventOnly(EventOnlySensor),
    /// Where FRU inventory is (type 11h, §43.8).
    Fru(FruLocator),
    /// A management controller (type 12h, §43.9).
    Controller(ControllerLocator),
    /// Any other.
    Other {
        /// The type.
        record_type: u8,
        /// Key and body.
        data: Vec<u8>,
    },
}

/// Whose sensor it is and where it sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorKey {
    /// Who has it: the slave address of a controller.
    pub owner: u8,
    /// Channel and logical unit of the owner.
    pub lun: u8,
    /// Its number.
    pub number: u8,
    /// The part it belongs to (table 43-13).
    pub entity: u8,
    /// Which of these parts.
    pub instance: u8,
}

impl SensorKey {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [owner, lun, number, entity, instance] = r.array()?;
        Ok(Self { owner, lun, number, entity, instance })
    }

    fn write(self, w: &mut Writer) {
        w.bytes(&[self.owner, self.lun, self.number, self.entity, self.instance]);
    }
}

/// What full and compact records have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorCommon {
    /// What the initialization agent does with it, and its state at power-up (byte 11).
    pub initialization: u8,
    /// Re-arm, hysteresis, threshold and event message support (byte 12).
    pub capabilities: u8,
    /// Sensor type (table 42-3).
    pub sensor_type: u8,
    /// Event/reading type (table 42-1).
    pub event_type: u8,
    /// Assertion events, and which lower thresholds are compared.
    pub assertions: u16,
    /// Deassertion events, and which upper thresholds are compared.
    pub deassertions: u16,
    /// Which states can be read; or, with thresholds, which can be read (low byte) and set (high byte).
    pub readable: u16,
    /// Data format, rate, modifier, percentage (byte 21).
    pub units: u8,
    /// Base unit (table 43-15).
    pub base_unit: u8,
    /// Modifier unit.
    pub modifier_unit: u8,
}

impl SensorCommon {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            initialization: r.u8()?,
            capabilities: r.u8()?,
            sensor_type: r.u8()?,
            event_type: r.u8()?,
            assertions: r.u16_le()?,
            deassertions: r.u16_le()?,
            readable: r.u16_le()?,
            units: r.u8()?,
            base_unit: r.u8()?,
            modifier_unit: r.u8()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.initialization).u8(self.capabilities).u8(self.sensor_type).u8(self.event_type);
        w.u16_le(self.assertions).u16_le(self.deassertions).u16_le(self.readable);
        w.u8(self.units).u8(self.base_unit).u8(self.modifier_unit);
    }
}

/// How a raw reading becomes a value: (M × raw + B × 10^`b_exponent`) × 10^`r_exponent` (§36.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Factors {
    /// M, 10 bits signed.
    pub m: i16,
    /// B, 10 bits signed.
    pub b: i16,
    /// Exponent of B, 4 bits signed.
    pub b_exponent: i8,
    /// Exponent of the result, 4 bits signed.
    pub r_exponent: i8,
    /// In half raw counts, 6 bits.
    pub tolerance: u8,
    /// In hundredths of a percent, 10 bits.
    pub accuracy: u16,
    /// Exponent of the accuracy, 2 bits.
    pub accuracy_exponent: u8,
}

/// Sign-extends 10 bits, the upper two of which stand at the top of a byte.
fn ten_bits(low: u8, high: u8) -> i16 {
    i16::from_le_bytes([low, high >> 6]) << 6 >> 6
}

impl Factors {
    /// Takes the six bytes of a record or of Get Sensor Reading Factors, and the sensor direction in them.
    fn read(r: &mut Reader<'_>) -> Result<(Self, u8), DecodeError> {
        let [m, m_tolerance, b, b_accuracy, accuracy, exponents] = r.array()?;
        let factors = Self {
            m: ten_bits(m, m_tolerance),
            b: ten_bits(b, b_accuracy),
            b_exponent: (exponents << 4) as i8 >> 4,
            r_exponent: exponents as i8 >> 4,
            tolerance: m_tolerance & 0x3f,
            accuracy: u16::from(b_accuracy & 0x3f) | u16::from(accuracy >> 4) << 6,
            accuracy_exponent: accuracy >> 2 & 3,
        };
        Ok((factors, accuracy & 3))
    }

    fn write(&self, w: &mut Writer, direction: u8) {
        let [m, m_high] = self.m.to_le_bytes();
        let [b, b_high] = self.b.to_le_bytes();
        let [accuracy, accuracy_high] = (self.accuracy >> 6 & 0x0f).to_le_bytes();
        let _ = accuracy_high;
        w.u8(m).u8(m_high << 6 | self.tolerance & 0x3f);
        w.u8(b).u8(b_high << 6 | (self.accuracy & 0x3f) as u8);
        w.u8(accuracy << 4 | (self.accuracy_exponent & 3) << 2 | direction & 3);
        w.u8((self.r_exponent as u8) << 4 | self.b_exponent as u8 & 0x0f);
    }
}

impl Payload for Factors {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(r).map(|(factors, _)| factors)
    }

    fn write(&self, w: &mut Writer) {
        self.write(w, 0);
    }
}

/// A full sensor record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullSensor {
    /// Which sensor.
    pub key: SensorKey,
    /// What it does.
    pub common: SensorCommon,
    /// 0 for linear ones.
    pub linearization: u8,
    /// How readings become values.
    pub factors: Factors,
    /// Whether it is an input (1), an output (2) or unspecified (0).
    pub direction: u8,
    /// Which of nominal reading (bit 0), normal maximum (bit 1) and minimum (bit 2) are given.
    pub characteristics: u8,
    /// Nominal reading, normal maximum, normal minimum, all raw.
    pub nominal: [u8; 3],
    /// Highest and lowest reading there can be, raw.
    pub range: [u8; 2],
    /// The thresholds in the order of the masks: lower non-critical, critical, non-recoverable, then upper.
    pub thresholds: [u8; 6],
    /// Hysteresis for upper and for lower thresholds.
    pub hysteresis: [u8; 2],
    /// Its name.
    pub name: String,
}

/// A compact sensor record. Records shared by several sensors are read and written as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactSensor {
    /// Which sensor.
    pub key: SensorKey,
    /// What it does.
    pub common: SensorCommon,
    /// Sharing and direction, two bytes.
    pub sharing: [u8; 2],
    /// Hysteresis for upper and for lower thresholds.
    pub hysteresis: [u8; 2],
    /// Its name.
    pub name: String,
}

/// Not shared with any other sensor.
pub const NOT_SHARED: [u8; 2] = [1, 0];

/// An event-only record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOnlySensor {
    /// Which sensor.
    pub key: SensorKey,
    /// Sensor type (table 42-3).
    pub sensor_type: u8,
    /// Event type (table 42-1).
    pub event_type: u8,
    /// Sharing and direction, two bytes.
    pub sharing: [u8; 2],
    /// Its name.
    pub name: String,
}

/// A FRU device locator record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FruLocator {
    /// The controller through which it is read.
    pub access_address: u8,
    /// The FRU device's number.
    pub device: u8,
    /// Whether it is a FRU device of the controller (bit 7), its logical unit and bus.
    pub access: u8,
    /// The controller's channel, in the upper four bits.
    pub channel: u8,
    /// Device type and modifier (table 43-12).
    pub device_type: [u8; 2],
    /// The part that it is about.
    pub entity: u8,
    /// Which of these parts.
    pub instance: u8,
    /// Its name.
    pub name: String,
}

/// A management controller device locator record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerLocator {
    /// Its slave address.
    pub address: u8,
    /// Its channel.
    pub channel: u8,
    /// Power state notification and global initialization.
    pub initialization: u8,
    /// What it is, as in Get Device ID.
    pub capabilities: u8,
    /// The part that it is.
    pub entity: u8,
    /// Which of these parts.
    pub instance: u8,
    /// Its name.
    pub name: String,
}

/// 8-bit ASCII + Latin 1.
const STRING_LATIN1: u8 = 0b1100_0000;

fn write_name(w: &mut Writer, name: &str) {
    let bytes = name.as_bytes();
    let bytes = bytes.get(..ID_STRING_MAX).unwrap_or(bytes);
    w.u8(STRING_LATIN1 | bytes.len() as u8).bytes(bytes);
}

/// An id string. Only 8-bit strings are read; of others the length is believed and the text is lost.
fn read_name(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    let code = r.u8()?;
    let bytes = r.bytes(usize::from(code & 0x1f))?;
    if code & STRING_LATIN1 != STRING_LATIN1 {
        return Ok(String::new());
    }
    Ok(bytes.iter().map(|&byte| char::from(byte)).collect())
}

const FULL: u8 = 0x01;
const COMPACT: u8 = 0x02;
const EVENT_ONLY: u8 = 0x03;
const FRU_LOCATOR: u8 = 0x11;
const CONTROLLER_LOCATOR: u8 = 0x12;

impl SdrBody {
    fn record_type(&self) -> u8 {
        match self {
            Self::Full(_) => FULL,
            Self::Compact(_) => COMPACT,
            Self::EventOnly(_) => EVENT_ONLY,
            Self::Fru(_) => FRU_LOCATOR,
            Self::Controller(_) => CONTROLLER_LOCATOR,
            Self::Other { record_type, .. } => *record_type,
        }
    }

    fn read(record_type: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match record_type {
            FULL => Self::Full(FullSensor::read(r)?),
            COMPACT => Self::Compact(CompactSensor::read(r)?),
            EVENT_ONLY => {
                let key = SensorKey::read(r)?;
                let (sensor_type, event_type, sharing) = (r.u8()?, r.u8()?, r.array()?);
                r.bytes(2)?;
                Self::EventOnly(EventOnlySensor {
                    key,
                    sensor_type,
                    event_type,
                    sharing,
                    name: read_name(r)?,
                })
            }
            FRU_LOCATOR => {
                let [access_address, device, access, channel, _, kind, modifier, entity, instance, _] =
                    r.array()?;
                let device_type = [kind, modifier];
                let name = read_name(r)?;
                Self::Fru(FruLocator {
                    access_address,
                    device,
                    access,
                    channel,
                    device_type,
                    entity,
                    instance,
                    name,
                })
            }
            CONTROLLER_LOCATOR => {
                let [address, channel, initialization, capabilities, _, _, _, entity, instance, _] =
                    r.array()?;
                let name = read_name(r)?;
                Self::Controller(ControllerLocator {
                    address,
                    channel,
                    initialization,
                    capabilities,
                    entity,
                    instance,
                    name,
                })
            }
            _ => Self::Other { record_type, data: r.rest().to_vec() },
        })
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Full(sensor) => sensor.write(w),
            Self::Compact(sensor) => sensor.write(w),
            Self::EventOnly(sensor) => {
                sensor.key.write(w);
                w.u8(sensor.sensor_type).u8(sensor.event_type).bytes(&sensor.sharing).zeros(2);
                write_name(w, &sensor.name);
            }
            Self::Fru(fru) => {
                w.u8(fru.access_address).u8(fru.device).u8(fru.access).u8(fru.channel).zeros(1);
                w.bytes(&fru.device_type).u8(fru.entity).u8(fru.instance).zeros(1);
                write_name(w, &fru.name);
            }
            Self::Controller(controller) => {
                w.u8(controller.address).u8(controller.channel).u8(controller.initialization);
                w.u8(controller.capabilities).zeros(3).u8(controller.entity).u8(controller.instance).zeros(1);
                write_name(w, &controller.name);
            }
            Self::Other { data, .. } => drop(w.bytes(data)),
        }
    }
}

impl FullSensor {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (key, common) = (SensorKey::read(r)?, SensorCommon::read(r)?);
        let linearization = r.u8()?;
        let (factors, direction) = Factors::read(r)?;
        let characteristics = r.u8()?;
        let (nominal, range) = (r.array()?, r.array()?);
        let [unr, uc, unc, lnr, lc, lnc] = r.array()?;
        let hysteresis = r.array()?;
        r.bytes(3)?;
        Ok(Self {
            key,
            common,
            linearization,
            factors,
            direction,
            characteristics,
            nominal,
            range,
            thresholds: [lnc, lc, lnr, unc, uc, unr],
            hysteresis,
            name: read_name(r)?,
        })
    }

    fn write(&self, w: &mut Writer) {
        self.key.write(w);
        self.common.write(w);
        w.u8(self.linearization);
        self.factors.write(w, self.direction);
        let [lnc, lc, lnr, unc, uc, unr] = self.thresholds;
        w.u8(self.characteristics).bytes(&self.nominal).bytes(&self.range);
        w.bytes(&[unr, uc, unc, lnr, lc, lnc]).bytes(&self.hysteresis).zeros(3);
        write_name(w, &self.name);
    }
}

impl CompactSensor {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (key, common) = (SensorKey::read(r)?, SensorCommon::read(r)?);
        let (sharing, hysteresis) = (r.array()?, r.array()?);
        r.bytes(4)?;
        Ok(Self { key, common, sharing, hysteresis, name: read_name(r)? })
    }

    fn write(&self, w: &mut Writer) {
        self.key.write(w);
        self.common.write(w);
        w.bytes(&self.sharing).bytes(&self.hysteresis).zeros(4);
        write_name(w, &self.name);
    }
}

impl Payload for SdrRecord {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.u16_le()?;
        // Any version is read as the one that is known; all of 1.5 and 2.0 have it.
        let _version = r.u8()?;
        let record_type = r.u8()?;
        let length = r.u8()?;
        let mut body = Reader::new(r.bytes(usize::from(length))?);
        let record = Self { id, body: SdrBody::read(record_type, &mut body)? };
        body.finish()?;
        Ok(record)
    }

    fn write(&self, w: &mut Writer) {
        let mut body = Writer::new();
        self.body.write(&mut body);
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        w.u16_le(self.id).u8(SDR_VERSION).u8(self.body.record_type()).u8(length);
        w.bytes(body.as_slice().get(..usize::from(length)).unwrap_or_default());
    }
}

#[cfg(test)]
#[path = "sdr_tests.rs"]
mod tests;
