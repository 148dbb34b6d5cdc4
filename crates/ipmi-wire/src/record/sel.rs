//! The records of the system event log: 16 bytes each (IPMI 2.0 §32).
//!
//! ```text
//!   0  1   2      3        4     6        7          8        9       10          11       12        13..16
//!  record  type   seconds since 1970      generator  EvMRev  sensor  sensor      event    direction  event
//!  id      02h                            id                 type    number                and type   data
//!          C0h..DFh  seconds              IANA number of the maker    6 bytes of the maker's
//!          E0h..FFh  13 bytes of the maker's
//! ```

use crate::command::Payload;
use crate::{DecodeError, Reader, Writer};

/// The record type of a system event.
pub const SYSTEM_EVENT: u8 = 0x02;
/// The event message revision of IPMI 1.5 and 2.0.
pub const EVM_REVISION: u8 = 0x04;
/// What an event's data byte holds that says nothing.
pub const UNSPECIFIED: u8 = 0xff;
/// The event/reading type of events that are about thresholds.
pub const THRESHOLD: u8 = 0x01;
/// The event/reading type of events about availability: running, in test, power off, and so on.
pub const AVAILABILITY: u8 = 0x0a;
/// The event/reading type of events whose offsets are defined by the type of the sensor.
pub const SENSOR_SPECIFIC: u8 = 0x6f;

/// Types of sensors (IPMI 2.0 table 42-3) that a BMC itself has events of.
pub mod sensor_type {
    /// Power unit.
    pub const POWER_UNIT: u8 = 0x09;
    /// Event logging disabled: the log's own events.
    pub const EVENT_LOGGING: u8 = 0x10;
    /// System event.
    pub const SYSTEM_EVENT: u8 = 0x12;
    /// Critical interrupt.
    pub const CRITICAL_INTERRUPT: u8 = 0x13;
    /// Microcontroller or coprocessor.
    pub const MICROCONTROLLER: u8 = 0x16;
    /// System boot or restart initiated.
    pub const SYSTEM_RESTART: u8 = 0x1d;
    /// Operating system stop or shutdown.
    pub const OS_STOP: u8 = 0x20;
    /// System ACPI power state.
    pub const ACPI_POWER_STATE: u8 = 0x22;
    /// Watchdog, as of IPMI 1.5.
    pub const WATCHDOG: u8 = 0x23;
    /// Session audit.
    pub const SESSION_AUDIT: u8 = 0x2a;
}

/// What happened at a sensor: the part that an event message and a system event record share (IPMI 2.0 §29.7, table 32-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventMessage {
    /// Revision of the layout: [`EVM_REVISION`], or 3 from controllers of IPMI 1.0.
    pub revision: u8,
    /// Type of the sensor.
    pub sensor_type: u8,
    /// Number of the sensor.
    pub sensor_number: u8,
    /// The event is that the state was left.
    pub deasserted: bool,
    /// Event/reading type, 0 to 7Fh: which table the offset is from.
    pub event_type: u8,
    /// Event data 1 to 3. The low four bits of the first are the offset; the high ones tell what the other two hold.
    pub data: [u8; 3],
}

impl EventMessage {
    /// The offset within the table that the event/reading type names, 0 to 15.
    #[must_use]
    pub const fn offset(&self) -> u8 {
        self.data[0] & 0x0f
    }
}

impl Payload for EventMessage {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (revision, sensor_type, sensor_number) = (r.u8()?, r.u8()?, r.u8()?);
        let kind = r.u8()?;
        Ok(Self {
            revision,
            sensor_type,
            sensor_number,
            deasserted: kind & 0x80 != 0,
            event_type: kind & 0x7f,
            data: r.array()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.revision)
            .u8(self.sensor_type)
            .u8(self.sensor_number)
            .u8(u8::from(self.deasserted) << 7 | self.event_type & 0x7f)
            .bytes(&self.data);
    }
}

/// What a record says, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelBody {
    /// `02h`: an event of a sensor.
    Event {
        /// When, in seconds since 1970 of the log's clock.
        timestamp: u32,
        /// Who tells: the low byte is a controller's address or, with bit 0 set, a software id; the high byte is channel and LUN.
        generator: u16,
        /// What.
        event: EventMessage,
    },
    /// `C0h` to `DFh`: the maker's own, with a time.
    OemTimestamped {
        /// The record type.
        record_type: u8,
        /// When.
        timestamp: u32,
        /// IANA enterprise number of the maker, 24 bits.
        manufacturer: u32,
        /// The rest.
        data: [u8; 6],
    },
    /// `E0h` to `FFh`: the maker's own, without a time.
    Oem {
        /// The record type.
        record_type: u8,
        /// The rest.
        data: [u8; 13],
    },
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SelRecord {
    /// Its number, 1 to FFFEh. In a record that is to be added it means nothing.
    pub id: u16,
    /// What it says.
    pub body: SelBody,
}

impl SelRecord {
    /// Bytes of a record.
    pub const LEN: usize = 16;

    /// The time it carries, in seconds since 1970 of the log's clock.
    #[must_use]
    pub const fn timestamp(&self) -> Option<u32> {
        match self.body {
            SelBody::Event { timestamp, .. } | SelBody::OemTimestamped { timestamp, .. } => Some(timestamp),
            SelBody::Oem { .. } => None,
        }
    }

    /// The record with this time, if it is of a type that carries one.
    #[must_use]
    pub const fn stamped(mut self, time: u32) -> Self {
        match &mut self.body {
            SelBody::Event { timestamp, .. } | SelBody::OemTimestamped { timestamp, .. } => *timestamp = time,
            SelBody::Oem { .. } => {}
        }
        self
    }

    /// The event, unless it is a record of a maker's.
    #[must_use]
    pub const fn event(&self) -> Option<&EventMessage> {
        match &self.body {
            SelBody::Event { event, .. } => Some(event),
            SelBody::OemTimestamped { .. } | SelBody::Oem { .. } => None,
        }
    }

    /// The record type.
    #[must_use]
    pub const fn record_type(&self) -> u8 {
        match self.body {
            SelBody::Event { .. } => SYSTEM_EVENT,
            SelBody::OemTimestamped { record_type, .. } | SelBody::Oem { record_type, .. } => record_type,
        }
    }

    /// The record's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (to, from) in bytes.iter_mut().zip(self.encode()) {
            *to = from;
        }
        bytes
    }
}

impl Payload for SelRecord {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.u16_le()?;
        let body = match r.u8()? {
            SYSTEM_EVENT => SelBody::Event {
                timestamp: r.u32_le()?,
                generator: r.u16_le()?,
                event: EventMessage::read(r)?,
            },
            record_type @ 0xc0..=0xdf => SelBody::OemTimestamped {
                record_type,
                timestamp: r.u32_le()?,
                manufacturer: r.u24_le()?,
                data: r.array()?,
            },
            record_type @ 0xe0.. => SelBody::Oem { record_type, data: r.array()? },
            record_type => {
                // A wrong length is told before a wrong value.
                r.bytes(13)?;
                return Err(DecodeError::value("record type", record_type));
            }
        };
        Ok(Self { id, body })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.id).u8(self.record_type());
        match &self.body {
            SelBody::Event { timestamp, generator, event } => {
                w.u32_le(*timestamp).u16_le(*generator);
                event.write(w);
            }
            SelBody::OemTimestamped { timestamp, manufacturer, data, .. } => {
                w.u32_le(*timestamp).u24_le(*manufacturer).bytes(data);
            }
            SelBody::Oem { data, .. } => {
                w.bytes(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_type() {
        let event = EventMessage {
            revision: EVM_REVISION,
            sensor_type: sensor_type::POWER_UNIT,
            sensor_number: 0xe0,
            deasserted: true,
            event_type: SENSOR_SPECIFIC,
            data: [0, UNSPECIFIED, UNSPECIFIED],
        };
        let rows = [
            (
                SelRecord {
                    id: 0x0102,
                    body: SelBody::Event { timestamp: 0x6543_2100, generator: 0x0020, event },
                },
                "0201 02 00214365 2000 04 09 e0 ef 00ffff",
            ),
            (
                SelRecord {
                    id: 1,
                    body: SelBody::OemTimestamped {
                        record_type: 0xc1,
                        timestamp: 5,
                        manufacturer: 7154,
                        data: [1, 2, 3, 4, 5, 6],
                    },
                },
                "0100 c1 05000000 f21b00 010203040506",
            ),
            (
                SelRecord { id: 2, body: SelBody::Oem { record_type: 0xff, data: [9; 13] } },
                "0200 ff 09090909090909090909090909",
            ),
        ];
        for (record, golden) in rows {
            let bytes = hex::decode(golden.replace(' ', "")).unwrap();
            assert_eq!(record.to_bytes().as_slice(), bytes);
            assert_eq!(SelRecord::decode(&bytes), Ok(record));
            for n in 0..32 {
                let mut other = bytes.clone();
                other.resize(n, 0);
                assert_eq!(SelRecord::decode(&other).is_ok(), n == 16);
            }
        }
        assert_eq!(rows[0].0.stamped(9).timestamp(), Some(9));
        assert_eq!(rows[2].0.stamped(9), rows[2].0);
    }

    #[test]
    fn other_record_types_are_refused() {
        for record_type in (0..0xc0).filter(|byte| *byte != SYSTEM_EVENT) {
            let mut bytes = [0; 16];
            bytes[2] = record_type;
            assert_eq!(
                SelRecord::decode(&bytes),
                Err(DecodeError::value("record type", record_type)),
                "{record_type:02x}h"
            );
        }
    }
}
