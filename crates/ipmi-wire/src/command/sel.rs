//! The system event log: what it holds, reading, adding, erasing, its clock (IPMI 2.0 §31).

use alloc::vec::Vec;

use crate::command::{Payload, bare_request, bit, command, flag};
use crate::record::sel::SelRecord;
use crate::{DecodeError, Reader, Writer};

/// The record id that means the first record.
pub const FIRST_RECORD: u16 = 0;
/// The record id that means the last record, and in an answer that none follows.
pub const LAST_RECORD: u16 = 0xffff;
/// A time that is not known.
pub const TIME_UNSPECIFIED: u32 = 0xffff_ffff;

/// Get SEL Info (IPMI 2.0 §31.2). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSelInfo;

bare_request!(GetSelInfo);
command!(GetSelInfo, STORAGE, 0x40, "Get SEL Info", SelInfo);

/// The answer to [`GetSelInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelInfo {
    /// Version of the commands: `51h` for IPMI 1.5 and 2.0.
    pub version: u8,
    /// Records in the log.
    pub entries: u16,
    /// Bytes that are free.
    pub free_bytes: u16,
    /// When the last record was added, or [`TIME_UNSPECIFIED`].
    pub last_addition: u32,
    /// When the last record was deleted or the log cleared, or [`TIME_UNSPECIFIED`].
    pub last_erase: u32,
    /// Events were lost since the log was last cleared, because it was full.
    pub overflow: bool,
    /// What is supported besides adding, reading and clearing.
    pub supports: SelSupport,
}

impl SelInfo {
    /// The version of the commands of IPMI 1.5 and 2.0.
    pub const VERSION: u8 = 0x51;
}

/// Commands that a log need not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelSupport {
    /// [`DeleteSelEntry`].
    pub delete: bool,
    /// [`PartialAddSelEntry`].
    pub partial_add: bool,
    /// [`ReserveSel`].
    pub reserve: bool,
    /// [`GetSelAllocationInfo`].
    pub allocation_info: bool,
}

impl Payload for SelInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.u8()?;
        let (entries, free_bytes) = (r.u16_le()?, r.u16_le()?);
        let (last_addition, last_erase) = (r.u32_le()?, r.u32_le()?);
        let flags = r.u8()?;
        Ok(Self {
            version,
            entries,
            free_bytes,
            last_addition,
            last_erase,
            overflow: bit(flags, 7),
            supports: SelSupport {
                delete: bit(flags, 3),
                partial_add: bit(flags, 2),
                reserve: bit(flags, 1),
                allocation_info: bit(flags, 0),
            },
        })
    }

    fn write(&self, w: &mut Writer) {
        let supports = self.supports;
        w.u8(self.version)
            .u16_le(self.entries)
            .u16_le(self.free_bytes)
            .u32_le(self.last_addition)
            .u32_le(self.last_erase)
            .u8(flag(self.overflow, 7)
                | flag(supports.delete, 3)
                | flag(supports.partial_add, 2)
                | flag(supports.reserve, 1)
                | flag(supports.allocation_info, 0));
    }
}

/// Get SEL Allocation Info (IPMI 2.0 §31.3). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSelAllocationInfo;

bare_request!(GetSelAllocationInfo);
command!(GetSelAllocationInfo, STORAGE, 0x41, "Get SEL Allocation Info", SelAllocationInfo);

/// The answer to [`GetSelAllocationInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelAllocationInfo {
    /// Units that there are; 0 when not told.
    pub units: u16,
    /// Bytes of a unit.
    pub unit_bytes: u16,
    /// Units that are free.
    pub free_units: u16,
    /// Units of the largest free block.
    pub largest_free: u16,
    /// Units of the largest record.
    pub largest_record: u8,
}

impl Payload for SelAllocationInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            units: r.u16_le()?,
            unit_bytes: r.u16_le()?,
            free_units: r.u16_le()?,
            largest_free: r.u16_le()?,
            largest_record: r.u8()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.units)
            .u16_le(self.unit_bytes)
            .u16_le(self.free_units)
            .u16_le(self.largest_free)
            .u8(self.largest_record);
    }
}

/// Reserve SEL (IPMI 2.0 §31.4). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReserveSel;

bare_request!(ReserveSel);
command!(ReserveSel, STORAGE, 0x42, "Reserve SEL", SelReservation);

/// A reservation; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelReservation(pub u16);

impl Payload for SelReservation {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.u16_le()?))
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.0);
    }
}

/// Get SEL Entry (IPMI 2.0 §31.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSelEntry {
    /// A reservation, needed to read from elsewhere than the beginning of a record.
    pub reservation: u16,
    /// Which record; [`FIRST_RECORD`] and [`LAST_RECORD`] too.
    pub record: u16,
    /// Where in the record to begin.
    pub offset: u8,
    /// How many bytes; [`GetSelEntry::WHOLE`] for all that follow.
    pub length: u8,
}

impl GetSelEntry {
    /// The length that means the whole rest of the record.
    pub const WHOLE: u8 = 0xff;
}

command!(GetSelEntry, STORAGE, 0x43, "Get SEL Entry", SelEntryPart);

impl Payload for GetSelEntry {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reservation: r.u16_le()?, record: r.u16_le()?, offset: r.u8()?, length: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).u16_le(self.record).u8(self.offset).u8(self.length);
    }
}

/// The answer to [`GetSelEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelEntryPart {
    /// The id of the record that follows, or [`LAST_RECORD`].
    pub next: u16,
    /// The bytes asked for.
    pub data: Vec<u8>,
}

impl Payload for SelEntryPart {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let next = r.u16_le()?;
        if r.remaining() > SelRecord::LEN {
            return Err(DecodeError::Trailing);
        }
        Ok(Self { next, data: r.rest().to_vec() })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.next).bytes(&self.data);
    }
}

/// The id of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelRecordId(pub u16);

impl Payload for SelRecordId {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.u16_le()?))
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.0);
    }
}

/// Add SEL Entry (IPMI 2.0 §31.6). The log gives the record its id and, if its type has one, its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddSelEntry {
    /// The record.
    pub record: SelRecord,
}

command!(AddSelEntry, STORAGE, 0x44, "Add SEL Entry", SelRecordId);

impl Payload for AddSelEntry {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { record: SelRecord::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        self.record.write(w);
    }
}

/// Partial Add SEL Entry (IPMI 2.0 §31.6.2): a record in parts, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialAddSelEntry {
    /// A reservation; not needed for the first part.
    pub reservation: u16,
    /// 0 with the first part, then the id that was answered.
    pub record: u16,
    /// Where in the record this part stands.
    pub offset: u8,
    /// Whether this is the last part.
    pub last: bool,
    /// The part.
    pub data: Vec<u8>,
}

command!(PartialAddSelEntry, STORAGE, 0x45, "Partial Add SEL Entry", SelRecordId);

impl Payload for PartialAddSelEntry {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (reservation, record, offset) = (r.u16_le()?, r.u16_le()?, r.u8()?);
        let progress = r.u8()? & 0x0f;
        if r.remaining() > SelRecord::LEN {
            return Err(DecodeError::Trailing);
        }
        let data = r.rest().to_vec();
        match progress {
            0 | 1 => Ok(Self { reservation, record, offset, last: progress == 1, data }),
            _ => Err(DecodeError::value("progress", progress)),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation)
            .u16_le(self.record)
            .u8(self.offset)
            .u8(u8::from(self.last))
            .bytes(&self.data);
    }
}

/// Delete SEL Entry (IPMI 2.0 §31.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteSelEntry {
    /// A reservation.
    pub reservation: u16,
    /// Which record; [`FIRST_RECORD`] and [`LAST_RECORD`] too.
    pub record: u16,
}

command!(DeleteSelEntry, STORAGE, 0x46, "Delete SEL Entry", SelRecordId);

impl Payload for DeleteSelEntry {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reservation: r.u16_le()?, record: r.u16_le()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).u16_le(self.record);
    }
}

/// Clear SEL (IPMI 2.0 §31.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearSel {
    /// A reservation.
    pub reservation: u16,
    /// Begin to erase; otherwise only tell how far it is.
    pub initiate: bool,
}

command!(ClearSel, STORAGE, 0x47, "Clear SEL", SelErasure);

impl ClearSel {
    const MARK: [u8; 3] = *b"CLR";
    const INITIATE: u8 = 0xaa;
    const STATUS: u8 = 0x00;
}

impl Payload for ClearSel {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let reservation = r.u16_le()?;
        let mark: [u8; 3] = r.array()?;
        let action = r.u8()?;
        let wrong = mark.iter().zip(Self::MARK).find(|(byte, right)| *byte != right);
        match (wrong, action) {
            (Some((byte, _)), _) => Err(DecodeError::value("erase mark", *byte)),
            (None, Self::INITIATE) => Ok(Self { reservation, initiate: true }),
            (None, Self::STATUS) => Ok(Self { reservation, initiate: false }),
            (None, _) => Err(DecodeError::value("erase action", action)),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).bytes(&Self::MARK).u8(if self.initiate {
            Self::INITIATE
        } else {
            Self::STATUS
        });
    }
}

/// The answer to [`ClearSel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelErasure {
    /// The log is erased; otherwise that is still under way.
    pub complete: bool,
}

impl Payload for SelErasure {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { complete: r.u8()? & 0x0f == 1 })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(u8::from(self.complete));
    }
}

/// Get SEL Time (IPMI 2.0 §31.10). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSelTime;

bare_request!(GetSelTime);
command!(GetSelTime, STORAGE, 0x48, "Get SEL Time", SelTime);

/// Seconds since 1970 of the log's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelTime(pub u32);

impl Payload for SelTime {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.u32_le()?))
    }

    fn write(&self, w: &mut Writer) {
        w.u32_le(self.0);
    }
}

/// Set SEL Time (IPMI 2.0 §31.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSelTime(pub SelTime);

command!(SetSelTime, STORAGE, 0x49, "Set SEL Time", ());

impl Payload for SetSelTime {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(SelTime::read(r)?))
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// Get SEL Time UTC Offset (IPMI 2.0 §31.11a). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSelTimeUtcOffset;

bare_request!(GetSelTimeUtcOffset);
command!(GetSelTimeUtcOffset, STORAGE, 0x5c, "Get SEL Time UTC Offset", UtcOffset);

/// How far the log's clock is ahead of UTC, in minutes from [`UtcOffset::MIN`] to [`UtcOffset::MAX`]; `None` when that is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcOffset(pub Option<i16>);

impl UtcOffset {
    /// The least, a day behind.
    pub const MIN: i16 = -1440;
    /// The greatest, a day ahead.
    pub const MAX: i16 = 1440;
    const UNSPECIFIED: i16 = 0x07ff;
}

impl Payload for UtcOffset {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let raw = i16::from_le_bytes(r.array()?);
        match raw {
            Self::UNSPECIFIED => Ok(Self(None)),
            Self::MIN..=Self::MAX => Ok(Self(Some(raw))),
            _ => Err(DecodeError::Value { field: "UTC offset", value: u32::from(raw.cast_unsigned()) }),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0.unwrap_or(Self::UNSPECIFIED).to_le_bytes());
    }
}

/// Set SEL Time UTC Offset (IPMI 2.0 §31.11b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSelTimeUtcOffset(pub UtcOffset);

command!(SetSelTimeUtcOffset, STORAGE, 0x5d, "Set SEL Time UTC Offset", ());

impl Payload for SetSelTimeUtcOffset {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(UtcOffset::read(r)?))
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

#[cfg(test)]
#[path = "sel_tests.rs"]
mod tests;
