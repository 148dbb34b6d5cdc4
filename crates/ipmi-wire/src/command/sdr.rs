//! The repository of sensor data records (IPMI 2.0 §33).

use alloc::vec::Vec;

use crate::command::{Payload, bare_request, bit, command, flag};
use crate::record::sdr::{SDR_HEADER_BYTES, SDR_VERSION};
use crate::{DecodeError, Reader, Writer};

/// Get SDR Repository Info (§33.9). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSdrRepositoryInfo;

bare_request!(GetSdrRepositoryInfo);
command!(GetSdrRepositoryInfo, STORAGE, 0x20, "Get SDR Repository Info", SdrRepositoryInfo);

/// The answer to [`GetSdrRepositoryInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdrRepositoryInfo {
    /// How many records there are.
    pub records: u16,
    /// Bytes free; `0000h` full, `FFFEh` 64 KiB and more, `FFFFh` unspecified.
    pub free: u16,
    /// When a record was last added, in seconds since 1970.
    pub added: u32,
    /// When records were last erased.
    pub erased: u32,
    /// What can be done with it.
    pub support: SdrRepositorySupport,
}

/// What can be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SdrRepositorySupport {
    /// Some records could not be written.
    pub overflow: bool,
    /// How it is updated: 0 unspecified, 1 non-modal, 2 modal, 3 both.
    pub update: u8,
    /// Delete SDR.
    pub delete: bool,
    /// Partial Add SDR.
    pub partial_add: bool,
    /// Reserve SDR Repository.
    pub reserve: bool,
    /// Get SDR Repository Allocation Info.
    pub allocation: bool,
}

impl Payload for SdrRepositoryInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let _version = r.u8()?;
        let (records, free, added, erased, support) =
            (r.u16_le()?, r.u16_le()?, r.u32_le()?, r.u32_le()?, r.u8()?);
        let support = SdrRepositorySupport {
            overflow: bit(support, 7),
            update: support >> 5 & 3,
            delete: bit(support, 3),
            partial_add: bit(support, 2),
            reserve: bit(support, 1),
            allocation: bit(support, 0),
        };
        Ok(Self { records, free, added, erased, support })
    }

    fn write(&self, w: &mut Writer) {
        let support = self.support;
        w.u8(SDR_VERSION).u16_le(self.records).u16_le(self.free).u32_le(self.added).u32_le(self.erased);
        w.u8(flag(support.overflow, 7)
            | (support.update & 3) << 5
            | flag(support.delete, 3)
            | flag(support.partial_add, 2)
            | flag(support.reserve, 1)
            | flag(support.allocation, 0));
    }
}

/// Get SDR Repository Allocation Info (§33.10). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSdrAllocationInfo;

bare_request!(GetSdrAllocationInfo);
command!(GetSdrAllocationInfo, STORAGE, 0x21, "Get SDR Repository Allocation Info", SdrAllocationInfo);

/// The answer to [`GetSdrAllocationInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdrAllocationInfo {
    /// Units there could be; 0 is unspecified.
    pub units: u16,
    /// Bytes in one unit.
    pub unit_bytes: u16,
    /// Units free.
    pub free: u16,
    /// Largest free block in units.
    pub largest_free: u16,
    /// Largest record in units.
    pub record_max: u8,
}

impl Payload for SdrAllocationInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            units: r.u16_le()?,
            unit_bytes: r.u16_le()?,
            free: r.u16_le()?,
            largest_free: r.u16_le()?,
            record_max: r.u8()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.units).u16_le(self.unit_bytes).u16_le(self.free).u16_le(self.largest_free);
        w.u8(self.record_max);
    }
}

/// Reserve SDR Repository (§33.11). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReserveSdrRepository;

bare_request!(ReserveSdrRepository);
command!(ReserveSdrRepository, STORAGE, 0x22, "Reserve SDR Repository", Reservation);

/// The number of a reservation; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation(pub u16);

impl Payload for Reservation {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.u16_le().map(Self)
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.0);
    }
}

/// Get SDR (§33.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSdr(pub SdrRead);

command!(GetSdr, STORAGE, 0x23, "Get SDR", SdrPart);

impl Payload for GetSdr {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        SdrRead::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// Which part of which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdrRead {
    /// The reservation; needed for parts, 0 without one.
    pub reservation: u16,
    /// The record; 0000h is the first, FFFFh the last.
    pub record: u16,
    /// From which byte.
    pub offset: u8,
    /// How many bytes; FFh is all.
    pub count: u8,
}

impl SdrRead {
    /// The whole record.
    pub const ALL: u8 = 0xff;
    /// The first record.
    pub const FIRST: u16 = 0x0000;
    /// The last record.
    pub const LAST: u16 = 0xffff;
}

impl Payload for SdrRead {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reservation: r.u16_le()?, record: r.u16_le()?, offset: r.u8()?, count: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).u16_le(self.record).u8(self.offset).u8(self.count);
    }
}

/// The answer to [`GetSdr`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdrPart {
    /// The record behind this one; FFFFh behind the last.
    pub next: u16,
    /// What was asked for.
    pub data: Vec<u8>,
}

impl Payload for SdrPart {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { next: r.u16_le()?, data: r.rest().to_vec() })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.next).bytes(&self.data);
    }
}

/// Add SDR (§33.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddSdr {
    /// The whole record; its id is ignored.
    pub record: Vec<u8>,
}

command!(AddSdr, STORAGE, 0x24, "Add SDR", RecordId);

impl Payload for AddSdr {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let record = r.rest().to_vec();
        if record.len() < SDR_HEADER_BYTES {
            return Err(DecodeError::Truncated);
        }
        Ok(Self { record })
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.record);
    }
}

/// The id of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId(pub u16);

impl Payload for RecordId {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.u16_le().map(Self)
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.0);
    }
}

/// Partial Add SDR (§33.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialAddSdr {
    /// The reservation.
    pub reservation: u16,
    /// The record begun before, 0 to begin one.
    pub record: u16,
    /// Where in it this belongs.
    pub offset: u8,
    /// Whether this is its last part.
    pub last: bool,
    /// The part.
    pub data: Vec<u8>,
}

command!(PartialAddSdr, STORAGE, 0x25, "Partial Add SDR", RecordId);

impl Payload for PartialAddSdr {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (reservation, record, offset) = (r.u16_le()?, r.u16_le()?, r.u8()?);
        let last = match r.u8()? & 0x0f {
            0 => false,
            1 => true,
            progress => return Err(DecodeError::value("progress", progress)),
        };
        let data = r.rest().to_vec();
        if data.is_empty() {
            return Err(DecodeError::Truncated);
        }
        Ok(Self { reservation, record, offset, last, data })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).u16_le(self.record).u8(self.offset).u8(flag(self.last, 0));
        w.bytes(&self.data);
    }
}

/// Delete SDR (§33.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteSdr {
    /// The reservation.
    pub reservation: u16,
    /// The record.
    pub record: u16,
}

command!(DeleteSdr, STORAGE, 0x26, "Delete SDR", RecordId);

impl Payload for DeleteSdr {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reservation: r.u16_le()?, record: r.u16_le()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).u16_le(self.record);
    }
}

/// Clear SDR Repository (§33.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearSdrRepository {
    /// The reservation.
    pub reservation: u16,
    /// Erase; otherwise tell how far that is.
    pub erase: bool,
}

/// What a client must write so that it cannot clear anything by accident.
const CLEAR_PASSWORD: [u8; 3] = *b"CLR";
const CLEAR_ERASE: u8 = 0xaa;
const CLEAR_PROGRESS: u8 = 0x00;

command!(ClearSdrRepository, STORAGE, 0x27, "Clear SDR Repository", ClearProgress);

impl Payload for ClearSdrRepository {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (reservation, password, action) = (r.u16_le()?, r.array()?, r.u8()?);
        if password != CLEAR_PASSWORD {
            let [first, ..] = password;
            return Err(DecodeError::value("CLR", first));
        }
        let erase = match action {
            CLEAR_ERASE => true,
            CLEAR_PROGRESS => false,
            _ => return Err(DecodeError::value("erase action", action)),
        };
        Ok(Self { reservation, erase })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.reservation).bytes(&CLEAR_PASSWORD);
        w.u8(if self.erase { CLEAR_ERASE } else { CLEAR_PROGRESS });
    }
}

/// How far an erasure is: 0 under way, 1 done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearProgress(pub u8);

impl Payload for ClearProgress {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.u8().map(Self)
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.0);
    }
}

/// Get SDR Repository Time (§33.17). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSdrRepositoryTime;

bare_request!(GetSdrRepositoryTime);
command!(GetSdrRepositoryTime, STORAGE, 0x28, "Get SDR Repository Time", RepositoryTime);

/// Set SDR Repository Time (§33.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSdrRepositoryTime(pub RepositoryTime);

command!(SetSdrRepositoryTime, STORAGE, 0x29, "Set SDR Repository Time", ());

impl Payload for SetSdrRepositoryTime {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        RepositoryTime::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// Seconds since 1970 (§37).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryTime(pub u32);

impl Payload for RepositoryTime {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.u32_le().map(Self)
    }

    fn write(&self, w: &mut Writer) {
        w.u32_le(self.0);
    }
}

/// Enter SDR Repository Update Mode (§33.19). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnterSdrUpdateMode;

bare_request!(EnterSdrUpdateMode);
command!(EnterSdrUpdateMode, STORAGE, 0x2a, "Enter SDR Repository Update Mode", ());

/// Exit SDR Repository Update Mode (§33.20). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitSdrUpdateMode;

bare_request!(ExitSdrUpdateMode);
command!(ExitSdrUpdateMode, STORAGE, 0x2b, "Exit SDR Repository Update Mode", ());

/// Run Initialization Agent (§33.21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunInitializationAgent {
    /// Run it; otherwise tell how far it is.
    pub run: bool,
}

command!(RunInitializationAgent, STORAGE, 0x2c, "Run Initialization Agent", InitializationStatus);

impl Payload for RunInitializationAgent {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { run: bit(r.u8()?, 0) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.run, 0));
    }
}

/// How far the initialization agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializationStatus {
    /// It is done.
    pub completed: bool,
}

impl Payload for InitializationStatus {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { completed: bit(r.u8()?, 0) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.completed, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::golden;

    #[test]
    fn what_the_repository_is() {
        golden(&GetSdrRepositoryInfo, "", &[]);
        let support =
            SdrRepositorySupport { reserve: true, allocation: true, update: 1, ..Default::default() };
        let info = SdrRepositoryInfo { records: 23, free: 0, added: 0x0102_0304, erased: 5, support };
        golden(&info, "51 1700 0000 04030201 05000000 23", &[]);
        golden(&GetSdrAllocationInfo, "", &[]);
        let allocation =
            SdrAllocationInfo { units: 23, unit_bytes: 64, free: 0, largest_free: 0, record_max: 1 };
        golden(&allocation, "1700 4000 0000 0000 01", &[]);
        golden(&ReserveSdrRepository, "", &[]);
        golden(&Reservation(0x1234), "3412", &[]);
    }

    #[test]
    fn reading() {
        golden(
            &GetSdr(SdrRead { reservation: 1, record: 0x0203, offset: 5, count: 16 }),
            "0100 0302 05 10",
            &[],
        );
        let part = SdrPart { next: 0xffff, data: [1, 2].into() };
        let any_longer: Vec<usize> = (2..24).collect();
        golden(&part, "ffff 01 02", &any_longer);
    }

    #[test]
    fn changing() {
        let long: Vec<usize> = (5..40).collect();
        golden(&AddSdr { record: [1, 0, 0x51, 0xc0, 1, 7].into() }, "0100 51 c0 01 07", &long);
        golden(&RecordId(7), "0700", &[]);
        let long: Vec<usize> = (7..40).collect();
        let part = PartialAddSdr { reservation: 1, record: 2, offset: 3, last: true, data: [9, 8].into() };
        golden(&part, "0100 0200 03 01 09 08", &long);
        assert!(PartialAddSdr::decode(&[1, 0, 2, 0, 3, 2, 9]).is_err());
        golden(&DeleteSdr { reservation: 1, record: 2 }, "0100 0200", &[]);
        golden(&ClearSdrRepository { reservation: 1, erase: true }, "0100 434c52 aa", &[]);
        golden(&ClearSdrRepository { reservation: 1, erase: false }, "0100 434c52 00", &[]);
        assert!(ClearSdrRepository::decode(&[1, 0, 0x43, 0x4c, 0x53, 0xaa]).is_err());
        assert!(ClearSdrRepository::decode(&[1, 0, 0x43, 0x4c, 0x52, 0x01]).is_err());
        golden(&ClearProgress(1), "01", &[]);
    }

    #[test]
    fn time_modes_and_agent() {
        golden(&GetSdrRepositoryTime, "", &[]);
        golden(&SetSdrRepositoryTime(RepositoryTime(0x0102_0304)), "04030201", &[]);
        golden(&EnterSdrUpdateMode, "", &[]);
        golden(&ExitSdrUpdateMode, "", &[]);
        golden(&RunInitializationAgent { run: true }, "01", &[]);
        golden(&InitializationStatus { completed: true }, "01", &[]);
    }
}
