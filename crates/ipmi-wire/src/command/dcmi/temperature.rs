//! Temperatures: which sensors there are, what they read, and the limit at the inlet (DCMI 1.5 §6.5.2 and §6.7).

use alloc::vec::Vec;

use super::ExceptionAction;
use crate::command::{Payload, bit, flag};
use crate::{DecodeError, Reader, Writer};

/// The most instances that one answer tells of.
pub const INSTANCES_PER_ANSWER: usize = 8;
/// The sensor type that these commands are about: temperature.
const TEMPERATURE: u8 = 0x01;

/// A part of the machine with a temperature of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Where air comes in.
    Inlet,
    /// The processors.
    Processor,
    /// The board.
    Board,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inlet, Self::Processor, Self::Board];

    /// The entity id of IPMI.
    #[must_use]
    pub const fn entity(self) -> u8 {
        match self {
            Self::Inlet => 0x37,
            Self::Processor => 0x03,
            Self::Board => 0x07,
        }
    }

    /// The entity id of DCMI 1.0, which clients still use.
    #[must_use]
    pub const fn entity_of_1_0(self) -> u8 {
        match self {
            Self::Inlet => 0x40,
            Self::Processor => 0x41,
            Self::Board => 0x42,
        }
    }

    fn read(entity: u8) -> Result<Self, DecodeError> {
        let part = Self::ALL.into_iter().find(|part| [part.entity(), part.entity_of_1_0()].contains(&entity));
        part.ok_or(DecodeError::value("entity id", entity))
    }
}

/// Which instances of a part are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instances {
    /// The part.
    pub part: Part,
    /// One instance, from 1; 0 for all.
    pub instance: u8,
    /// Where to begin when all are meant; 0 is the first, as 1 is.
    pub start: u8,
}

impl Instances {
    /// Whether this instance, from 1, is meant.
    #[must_use]
    pub const fn contain(&self, instance: u8) -> bool {
        if self.instance == 0 { instance >= self.start } else { instance == self.instance }
    }
}

impl Payload for Instances {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [kind, entity, instance, start] = r.array()?;
        if kind != TEMPERATURE {
            return Err(DecodeError::value("sensor type", kind));
        }
        Ok(Self { part: Part::read(entity)?, instance, start })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(TEMPERATURE).u8(self.part.entity()).u8(self.instance).u8(self.start);
    }
}

/// Get DCMI Sensor Info (§6.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSensorInfo(pub Instances);

impl Payload for GetSensorInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Instances::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// The answer to [`GetSensorInfo`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorInfo {
    /// How many instances there are.
    pub total: u8,
    /// The ids of their records in the SDR repository, at most [`INSTANCES_PER_ANSWER`]; more are cut off.
    pub records: Vec<u16>,
}

impl Payload for SensorInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (total, count) = (r.u8()?, r.u8()?);
        let records = (0..count.min(8)).map(|_| r.u16_le()).collect::<Result<_, _>>()?;
        Ok(Self { total, records })
    }

    fn write(&self, w: &mut Writer) {
        let records = self.records.iter().take(INSTANCES_PER_ANSWER);
        w.u8(self.total).u8(u8::try_from(records.len()).unwrap_or(0));
        for record in records {
            w.u16_le(*record);
        }
    }
}

/// Get Temperature Readings (§6.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetTemperatures(pub Instances);

impl Payload for GetTemperatures {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Instances::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// The answer to [`GetTemperatures`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Temperatures {
    /// How many instances there are.
    pub total: u8,
    /// What they read, at most [`INSTANCES_PER_ANSWER`]; more are cut off.
    pub readings: Vec<Temperature>,
}

/// What one instance reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temperature {
    /// Degrees Celsius, -127 to 127.
    pub celsius: i8,
    /// The instance.
    pub instance: u8,
}

impl Payload for Temperatures {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (total, count) = (r.u8()?, r.u8()?);
        let one = |_| {
            let [raw, instance] = r.array()?;
            // Sign and magnitude.
            let magnitude = i8::try_from(raw & 0x7f).unwrap_or(0);
            let celsius = if bit(raw, 7) { magnitude.saturating_neg() } else { magnitude };
            Ok(Temperature { celsius, instance })
        };
        Ok(Self { total, readings: (0..count.min(8)).map(one).collect::<Result<_, _>>()? })
    }

    fn write(&self, w: &mut Writer) {
        let readings = self.readings.iter().take(INSTANCES_PER_ANSWER);
        w.u8(self.total).u8(u8::try_from(readings.len()).unwrap_or(0));
        for Temperature { celsius, instance } in readings {
            w.u8(flag(*celsius < 0, 7) | celsius.unsigned_abs().min(0x7f)).u8(*instance);
        }
    }
}

/// The thermal limit: the answer to [`GetThermalLimit`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThermalLimit {
    /// It lasts over power cycles of the machine.
    pub persistent: bool,
    /// What happens when it is exceeded.
    pub action: ExceptionAction,
    /// The limit in degrees Celsius.
    pub celsius: u8,
    /// How long it may be exceeded, in seconds.
    pub seconds: u16,
}

impl Payload for ThermalLimit {
    /// Of two actions the harder one is taken: switching off logs, too.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = r.u8()?;
        let action = match (bit(flags, 6), bit(flags, 5)) {
            (true, _) => ExceptionAction::PowerOff,
            (false, true) => ExceptionAction::LogEvent,
            (false, false) => ExceptionAction::None,
        };
        Ok(Self { persistent: bit(flags, 7), action, celsius: r.u8()?, seconds: r.u16_le()? })
    }

    fn write(&self, w: &mut Writer) {
        let flags = flag(self.persistent, 7)
            | flag(self.action == ExceptionAction::PowerOff, 6)
            | flag(self.action == ExceptionAction::LogEvent, 5);
        w.u8(flags).u8(self.celsius).u16_le(self.seconds);
    }
}

/// Set Thermal Limit (§6.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetThermalLimit {
    /// The part; only the inlet has a limit.
    pub part: Part,
    /// Which of several, from 1.
    pub instance: u8,
    /// The limit.
    pub limit: ThermalLimit,
}

impl Payload for SetThermalLimit {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (entity, instance, limit) = (r.u8()?, r.u8()?, ThermalLimit::read(r)?);
        Ok(Self { part: Part::read(entity)?, instance, limit })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.part.entity()).u8(self.instance);
        self.limit.write(w);
    }
}

/// Get Thermal Limit (§6.7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetThermalLimit {
    /// The part; only the inlet has a limit.
    pub part: Part,
    /// Which of several, from 1.
    pub instance: u8,
}

impl Payload for GetThermalLimit {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [entity, instance] = r.array()?;
        Ok(Self { part: Part::read(entity)?, instance })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.part.entity()).u8(self.instance);
    }
}
