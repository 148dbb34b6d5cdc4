//! Power: readings and the limit (DCMI 1.5 §6.6).

use super::RollingAverage;
use crate::command::{Payload, bit, flag};
use crate::{DecodeError, Reader, Writer};

/// Get Power Reading (§6.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPowerReading {
    /// Over which time.
    pub mode: PowerMode,
}

/// Over which time power is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerMode {
    /// The sampling period that was set with the power limit.
    System,
    /// One of the times that the capabilities name.
    Enhanced(RollingAverage),
}

impl Payload for GetPowerReading {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [mode, attributes, _] = r.array()?;
        let mode = match mode {
            1 => PowerMode::System,
            2 => PowerMode::Enhanced(RollingAverage(attributes)),
            other => return Err(DecodeError::value("power reading mode", other)),
        };
        Ok(Self { mode })
    }

    fn write(&self, w: &mut Writer) {
        match self.mode {
            PowerMode::System => w.u8(1).u8(0),
            PowerMode::Enhanced(time) => w.u8(2).u8(time.0),
        }
        .u8(0);
    }
}

/// The answer to [`GetPowerReading`]. Power in watts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerReading {
    /// Now.
    pub current: u16,
    /// The least over the period.
    pub minimum: u16,
    /// The most over the period.
    pub maximum: u16,
    /// The mean over the period.
    pub average: u16,
    /// When this was so: seconds since the beginning of 1970.
    pub time: u32,
    /// The period in milliseconds.
    pub period_ms: u32,
    /// There is a measurement.
    pub active: bool,
}

impl Payload for PowerReading {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            current: r.u16_le()?,
            minimum: r.u16_le()?,
            maximum: r.u16_le()?,
            average: r.u16_le()?,
            time: r.u32_le()?,
            period_ms: r.u32_le()?,
            active: bit(r.u8()?, 6),
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.current).u16_le(self.minimum).u16_le(self.maximum).u16_le(self.average);
        w.u32_le(self.time).u32_le(self.period_ms).u8(flag(self.active, 6));
    }
}

/// Get Power Limit (§6.6.2). Two reserved bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPowerLimit;

impl Payload for GetPowerLimit {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.u16_le().map(|_| Self)
    }

    fn write(&self, w: &mut Writer) {
        w.zeros(2);
    }
}

/// What to do when a limit is exceeded for longer than it may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ExceptionAction {
    /// Nothing.
    #[default]
    None = 0x00,
    /// Switch the machine off and log an event.
    PowerOff = 0x01,
    /// Log an event.
    LogEvent = 0x11,
}

impl ExceptionAction {
    fn read(raw: u8) -> Result<Self, DecodeError> {
        match raw {
            0x00 => Ok(Self::None),
            0x01 => Ok(Self::PowerOff),
            0x11 => Ok(Self::LogEvent),
            // 02h to 10h belong to makers.
            other => Err(DecodeError::value("exception action", other)),
        }
    }
}

/// The power limit: the answer to [`GetPowerLimit`], which has it also where it is not active, beside the completion code 80h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerLimit {
    /// What happens when it is exceeded.
    pub action: ExceptionAction,
    /// The limit in watts.
    pub watts: u16,
    /// How long it may be exceeded, in milliseconds.
    pub correction_ms: u32,
    /// The period of the statistics, in seconds.
    pub sampling_seconds: u16,
}

impl Payload for PowerLimit {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let _reserved = r.u16_le()?;
        read_limit(r)
    }

    fn write(&self, w: &mut Writer) {
        w.zeros(2);
        write_limit(self, w);
    }
}

/// Set Power Limit (§6.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetPowerLimit(pub PowerLimit);

impl Payload for SetPowerLimit {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let _reserved = r.u24_le()?;
        read_limit(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        w.zeros(3);
        write_limit(&self.0, w);
    }
}

fn read_limit(r: &mut Reader<'_>) -> Result<PowerLimit, DecodeError> {
    let (action, watts, correction_ms) = (r.u8()?, r.u16_le()?, r.u32_le()?);
    let _reserved = r.u16_le()?;
    let sampling_seconds = r.u16_le()?;
    Ok(PowerLimit { action: ExceptionAction::read(action)?, watts, correction_ms, sampling_seconds })
}

fn write_limit(limit: &PowerLimit, w: &mut Writer) {
    w.u8(limit.action as u8).u16_le(limit.watts).u32_le(limit.correction_ms);
    w.zeros(2).u16_le(limit.sampling_seconds);
}

/// Activate/Deactivate Power Limit (§6.6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatePowerLimit {
    /// Activate it.
    pub active: bool,
}

impl Payload for ActivatePowerLimit {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let raw = r.u8()?;
        let _reserved = r.u16_le()?;
        match raw {
            0 | 1 => Ok(Self { active: raw == 1 }),
            other => Err(DecodeError::value("power limit activation", other)),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.active, 0)).zeros(2);
    }
}
