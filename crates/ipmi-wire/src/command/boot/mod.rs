//! System boot options: Set and Get, and their parameters 0 to 7 (IPMI 2.0 §28.12 to §28.14).

use alloc::vec::Vec;

use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

mod flags;
#[cfg(test)]
mod tests;

pub use flags::{BootFlags, DeviceSelector};

/// Bytes in one block of the boot initiator mailbox.
pub const MAILBOX_BLOCK: usize = 16;
/// The version of the parameters that Get System Boot Options reports.
pub const PARAMETER_VERSION: u8 = 1;

/// Set System Boot Options (IPMI 2.0 §28.12). The answer carries no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSystemBootOptions {
    /// Marks the parameter as invalid (locked); otherwise as valid.
    pub mark_invalid: bool,
    /// What to write.
    pub write: BootWrite,
}

/// What a [`SetSystemBootOptions`] writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootWrite {
    /// Only the mark of the parameter with this number, 0 to 127; its value stays.
    Mark(u8),
    /// A value.
    Value(BootOption),
}

command!(SetSystemBootOptions, CHASSIS, 0x08, "Set System Boot Options", ());

impl Payload for SetSystemBootOptions {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = r.u8()?;
        let parameter = first & 0x7f;
        let write = if r.is_empty() {
            BootWrite::Mark(parameter)
        } else {
            BootWrite::Value(BootOption::read(parameter, r)?)
        };
        Ok(Self { mark_invalid: bit(first, 7), write })
    }

    fn write(&self, w: &mut Writer) {
        let mark = flag(self.mark_invalid, 7);
        match &self.write {
            BootWrite::Mark(parameter) => {
                w.u8(mark | parameter & 0x7f);
            }
            BootWrite::Value(value) => {
                w.u8(mark | value.parameter() & 0x7f);
                value.write(w);
            }
        }
    }
}

/// Get System Boot Options (IPMI 2.0 §28.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSystemBootOptions {
    /// The parameter's number, 0 to 127.
    pub parameter: u8,
    /// Which set of the parameter; 0 where it has none. For the mailbox the number of the block.
    pub set_selector: u8,
    /// Which block of the set; 0 where it has none.
    pub block_selector: u8,
}

command!(GetSystemBootOptions, CHASSIS, 0x09, "Get System Boot Options", SystemBootOptions);

impl Payload for GetSystemBootOptions {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { parameter: r.u8()? & 0x7f, set_selector: r.u8()?, block_selector: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.parameter & 0x7f).u8(self.set_selector).u8(self.block_selector);
    }
}

/// The answer to [`GetSystemBootOptions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemBootOptions {
    /// The parameters' version, 0 to 15; [`PARAMETER_VERSION`].
    pub version: u8,
    /// The parameter is marked as invalid (locked).
    pub invalid: bool,
    /// Its value.
    pub value: BootOption,
}

impl Payload for SystemBootOptions {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.u8()? & 0x0f;
        let second = r.u8()?;
        Ok(Self { version, invalid: bit(second, 7), value: BootOption::read(second & 0x7f, r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.version & 0x0f).u8(flag(self.invalid, 7) | self.value.parameter() & 0x7f);
        self.value.write(w);
    }
}

/// A boot option parameter with its value (IPMI 2.0 table 28-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootOption {
    /// 0: guards a group of writes.
    SetInProgress(SetInProgress),
    /// 1: the service partition's number.
    ServicePartition(u8),
    /// 2: bit 1 asks for a scan for the service partition, bit 0 says that it was found.
    ServiceScan(u8),
    /// 3: the events that do not clear the valid bit of the boot flags, bits 0 to 4.
    ValidBitClearing(u8),
    /// 4: who has handled the boot information.
    Acknowledge {
        /// Which bits of `data` a write changes; reads as 0.
        mask: u8,
        /// Bits 0 to 4: firmware, loader, service partition, SMS, OEM.
        data: u8,
    },
    /// 5: what to boot from.
    Flags(BootFlags),
    /// 6: who asked for the boot.
    Initiator(BootInitiator),
    /// 7: one block of the mailbox.
    Mailbox {
        /// The block's number.
        block: u8,
        /// Its bytes, at most [`MAILBOX_BLOCK`].
        data: Vec<u8>,
    },
    /// A parameter that this crate does not know.
    Other {
        /// Its number, 8 to 127.
        parameter: u8,
        /// Its bytes.
        data: Vec<u8>,
    },
}

/// The value of parameter 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum SetInProgress {
    /// Nobody is in the middle of a group of writes.
    #[default]
    Complete = 0,
    /// Somebody is.
    InProgress = 1,
    /// Makes the writes of the group hold; only written, never read.
    Commit = 2,
}

/// The value of parameter 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootInitiator {
    /// The channel that delivered the boot command, 0 to 15.
    pub channel: u8,
    /// The session's id; 0 for none.
    pub session_id: u32,
    /// When, in seconds since 1970.
    pub timestamp: u32,
}

impl BootOption {
    /// The parameter's number, 0 to 127.
    #[must_use]
    pub const fn parameter(&self) -> u8 {
        match self {
            Self::SetInProgress(_) => 0,
            Self::ServicePartition(_) => 1,
            Self::ServiceScan(_) => 2,
            Self::ValidBitClearing(_) => 3,
            Self::Acknowledge { .. } => 4,
            Self::Flags(_) => 5,
            Self::Initiator(_) => 6,
            Self::Mailbox { .. } => 7,
            Self::Other { parameter, .. } => *parameter,
        }
    }

    /// Takes the value of the parameter with this number.
    fn read(parameter: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match parameter {
            0 => Self::SetInProgress(match r.u8()? & 3 {
                0 => SetInProgress::Complete,
                1 => SetInProgress::InProgress,
                2 => SetInProgress::Commit,
                raw => return Err(DecodeError::value("set in progress", raw)),
            }),
            1 => Self::ServicePartition(r.u8()?),
            2 => Self::ServiceScan(r.u8()? & 0x03),
            3 => Self::ValidBitClearing(r.u8()? & 0x1f),
            4 => Self::Acknowledge { mask: r.u8()?, data: r.u8()? },
            5 => Self::Flags(BootFlags::read(r)?),
            6 => Self::Initiator(BootInitiator {
                channel: r.u8()? & 0x0f,
                session_id: r.u32_le()?,
                timestamp: r.u32_le()?,
            }),
            7 => {
                let block = r.u8()?;
                if r.remaining() > MAILBOX_BLOCK {
                    return Err(DecodeError::Length);
                }
                Self::Mailbox { block, data: r.rest().into() }
            }
            _ => Self::Other { parameter, data: r.rest().into() },
        })
    }

    /// Appends the value, without the parameter's number.
    fn write(&self, w: &mut Writer) {
        match self {
            Self::SetInProgress(state) => w.u8(*state as u8),
            Self::ServicePartition(byte) => w.u8(*byte),
            Self::ServiceScan(bits) => w.u8(bits & 0x03),
            Self::ValidBitClearing(bits) => w.u8(bits & 0x1f),
            Self::Acknowledge { mask, data } => w.u8(*mask).u8(*data),
            Self::Flags(flags) => {
                flags.write(w);
                w
            }
            Self::Initiator(initiator) => {
                w.u8(initiator.channel & 0x0f).u32_le(initiator.session_id).u32_le(initiator.timestamp)
            }
            Self::Mailbox { block, data } => {
                w.u8(*block).bytes(data.get(..MAILBOX_BLOCK).unwrap_or(data.as_slice()))
            }
            Self::Other { data, .. } => w.bytes(data),
        };
    }
}
