//! Platform event filtering: capabilities, configuration, processed events (IPMI 2.0 §30).

use alloc::vec::Vec;

use crate::command::{Payload, bare_request, command};
use crate::record::sel::EventMessage;
use crate::{DecodeError, Reader, Writer};

/// Get PEF Capabilities (IPMI 2.0 §30.1). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPefCapabilities;

bare_request!(GetPefCapabilities);
command!(GetPefCapabilities, SENSOR_EVENT, 0x10, "Get PEF Capabilities", PefCapabilities);

/// The answer to [`GetPefCapabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PefCapabilities {
    /// Version: `51h`.
    pub version: u8,
    /// Actions: bit 0 alert, 1 power off, 2 reset, 3 power cycle, 4 OEM, 5 diagnostic interrupt, 7 OEM filtering.
    pub actions: u8,
    /// Filters that there are.
    pub filters: u8,
}

impl Payload for PefCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { version: r.u8()?, actions: r.u8()?, filters: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.version).u8(self.actions).u8(self.filters);
    }
}

/// Set PEF Configuration Parameters (IPMI 2.0 §30.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPefConfig {
    /// The parameter, 0 to 127.
    pub parameter: u8,
    /// Its data; tables 30-6 say how much of it.
    pub data: Vec<u8>,
}

command!(SetPefConfig, SENSOR_EVENT, 0x12, "Set PEF Configuration Parameters", ());

impl SetPefConfig {
    /// The longest data: a filter with its number.
    pub const DATA_MAX: usize = 21;
}

impl Payload for SetPefConfig {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let parameter = r.u8()? & 0x7f;
        if r.is_empty() {
            return Err(DecodeError::Truncated);
        }
        if r.remaining() > Self::DATA_MAX {
            return Err(DecodeError::Trailing);
        }
        Ok(Self { parameter, data: r.rest().to_vec() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.parameter).bytes(&self.data);
    }
}

/// Get PEF Configuration Parameters (IPMI 2.0 §30.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPefConfig {
    /// Only the revision is wanted.
    pub revision_only: bool,
    /// The parameter, 0 to 127.
    pub parameter: u8,
    /// Which of a table.
    pub set: u8,
    /// Which block of that.
    pub block: u8,
}

command!(GetPefConfig, SENSOR_EVENT, 0x13, "Get PEF Configuration Parameters", PefParameter);

impl Payload for GetPefConfig {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = r.u8()?;
        let (set, block) = (r.u8()?, r.u8()?);
        Ok(Self { revision_only: first & 0x80 != 0, parameter: first & 0x7f, set, block })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(u8::from(self.revision_only) << 7 | self.parameter & 0x7f).u8(self.set).u8(self.block);
    }
}

/// The answer to [`GetPefConfig`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PefParameter {
    /// Revision of the parameters: `11h`.
    pub revision: u8,
    /// The value; none when only the revision was wanted.
    pub data: Vec<u8>,
}

impl PefParameter {
    /// The revision of IPMI 1.5 and 2.0.
    pub const REVISION: u8 = 0x11;
}

impl Payload for PefParameter {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { revision: r.u8()?, data: r.rest().to_vec() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.revision).bytes(&self.data);
    }
}

/// Set Last Processed Event ID (IPMI 2.0 §30.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetLastProcessedEvent {
    /// Processed by the BMC; otherwise by system software.
    pub by_bmc: bool,
    /// The record.
    pub record: u16,
}

command!(SetLastProcessedEvent, SENSOR_EVENT, 0x14, "Set Last Processed Event ID", ());

impl Payload for SetLastProcessedEvent {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { by_bmc: r.u8()? & 1 == 1, record: r.u16_le()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(u8::from(self.by_bmc)).u16_le(self.record);
    }
}

/// Get Last Processed Event ID (IPMI 2.0 §30.6). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetLastProcessedEvent;

bare_request!(GetLastProcessedEvent);
command!(GetLastProcessedEvent, SENSOR_EVENT, 0x15, "Get Last Processed Event ID", LastProcessedEvent);

/// The answer to [`GetLastProcessedEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastProcessedEvent {
    /// When the last record was added to the log, in seconds since 1970 of its clock; all ones when unknown.
    pub last_addition: u32,
    /// The last record of the log; FFFFh when it is empty.
    pub last_record: u16,
    /// The last record that system software has processed.
    pub by_software: u16,
    /// The last record that the BMC has processed.
    pub by_bmc: u16,
}

impl Payload for LastProcessedEvent {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            last_addition: r.u32_le()?,
            last_record: r.u16_le()?,
            by_software: r.u16_le()?,
            by_bmc: r.u16_le()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u32_le(self.last_addition).u16_le(self.last_record).u16_le(self.by_software).u16_le(self.by_bmc);
    }
}

/// Alert Immediate (IPMI 2.0 §30.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertImmediate {
    /// The channel of the destination.
    pub channel: u8,
    /// What to do.
    pub operation: AlertOperation,
    /// The destination; 0 is the volatile one.
    pub destination: u8,
    /// An alert string, if one is to be sent; 0 is the volatile one.
    pub string: Option<u8>,
    /// The event to tell, and who saw it.
    pub event: Option<(u8, EventMessage)>,
}

/// What Alert Immediate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertOperation {
    /// Sends an alert.
    Send,
    /// Tells how the last one ended.
    Status,
    /// Forgets that.
    ClearStatus,
}

command!(AlertImmediate, SENSOR_EVENT, 0x16, "Alert Immediate", AlertImmediateStatus);

impl Payload for AlertImmediate {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let second = r.u8()?;
        let operation = match second >> 6 {
            0 => AlertOperation::Send,
            1 => AlertOperation::Status,
            2 => AlertOperation::ClearStatus,
            _ => return Err(DecodeError::value("alert operation", second)),
        };
        let third = r.u8()?;
        let string = (third & 0x80 != 0).then_some(third & 0x7f);
        let event = if r.is_empty() { None } else { Some((r.u8()?, EventMessage::read(r)?)) };
        Ok(Self { channel, operation, destination: second & 0x0f, string, event })
    }

    fn write(&self, w: &mut Writer) {
        let operation = match self.operation {
            AlertOperation::Send => 0,
            AlertOperation::Status => 0x40,
            AlertOperation::ClearStatus => 0x80,
        };
        w.u8(self.channel & 0x0f).u8(operation | self.destination & 0x0f);
        w.u8(self.string.map_or(0, |string| 0x80 | string));
        if let Some((generator, event)) = &self.event {
            w.u8(*generator);
            event.write(w);
        }
    }
}

/// The answer to [`AlertImmediate`]: one of its constants where the status was asked for, nothing otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertImmediateStatus(pub Option<u8>);

impl AlertImmediateStatus {
    /// No alert was sent.
    pub const NONE: u8 = 0x00;
    /// It was delivered, or sent where nobody acknowledges.
    pub const DELIVERED: u8 = 0x01;
    /// Nobody has acknowledged it.
    pub const TIMED_OUT: u8 = 0x03;
    /// It is under way.
    pub const IN_PROGRESS: u8 = 0xff;
}

impl Payload for AlertImmediateStatus {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(if r.is_empty() { None } else { Some(r.u8()?) }))
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_slice());
    }
}

/// PET Acknowledge (IPMI 2.0 §30.8): the fields of a trap that was received. Needs no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PetAcknowledge {
    /// The trap's number.
    pub sequence: u16,
    /// The trap's time.
    pub time: u32,
    /// The trap's event source type.
    pub source: u8,
    /// Who saw the event.
    pub sensor_device: u8,
    /// The sensor's number.
    pub sensor_number: u8,
    /// The event data.
    pub data: [u8; 3],
}

command!(PetAcknowledge, SENSOR_EVENT, 0x17, "PET Acknowledge", ());

impl Payload for PetAcknowledge {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            sequence: r.u16_le()?,
            time: r.u32_le()?,
            source: r.u8()?,
            sensor_device: r.u8()?,
            sensor_number: r.u8()?,
            data: r.array()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.sequence).u32_le(self.time).u8(self.source).u8(self.sensor_device);
        w.u8(self.sensor_number).bytes(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::golden;

    #[test]
    fn golden_bytes() {
        golden(&GetPefCapabilities, "", &[]);
        golden(&PefCapabilities { version: 0x51, actions: 0x2f, filters: 32 }, "51 2f 20", &[]);
        let all: Vec<usize> = (2..=22).collect();
        golden(&SetPefConfig { parameter: 7, data: [1, 0x80].to_vec() }, "07 01 80", &all);
        let get = GetPefConfig { revision_only: true, parameter: 6, set: 2, block: 3 };
        golden(&get, "86 02 03", &[]);
        golden(&SetLastProcessedEvent { by_bmc: true, record: 0x0102 }, "01 0201", &[]);
        golden(&GetLastProcessedEvent, "", &[]);
        let last = LastProcessedEvent { last_addition: 1, last_record: 2, by_software: 3, by_bmc: 4 };
        golden(&last, "01000000 0200 0300 0400", &[]);
        let event = EventMessage {
            revision: 4,
            sensor_type: 9,
            sensor_number: 0xe0,
            deasserted: true,
            event_type: 0x6f,
            data: [1, 2, 3],
        };
        let operation = AlertOperation::Status;
        let plain = AlertImmediate { channel: 1, operation, destination: 2, string: Some(3), event: None };
        golden(&plain, "01 42 83", &[11]);
        golden(
            &AlertImmediate { event: Some((0x20, event)), ..plain },
            "01 42 83 20 04 09 e0 ef 010203",
            &[3],
        );
        golden(&AlertImmediateStatus(None), "", &[1]);
        golden(&AlertImmediateStatus(Some(3)), "03", &[0]);
        let ack = PetAcknowledge {
            sequence: 0x0102,
            time: 0x0304_0506,
            source: 0x20,
            sensor_device: 0x21,
            sensor_number: 0xe0,
            data: [1, 2, 3],
        };
        golden(&ack, "0201 06050403 20 21 e0 010203", &[]);
    }
}
