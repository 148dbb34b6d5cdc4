//! The SDR repository: read by everybody, written by nobody.

use bmc_core::settings::Editable;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::sdr::{
    AddSdr, ClearProgress, ClearSdrRepository, DeleteSdr, EnterSdrUpdateMode, ExitSdrUpdateMode, GetSdr,
    GetSdrAllocationInfo, GetSdrRepositoryInfo, GetSdrRepositoryTime, InitializationStatus, PartialAddSdr,
    RecordId, RepositoryTime, Reservation, ReserveSdrRepository, RunInitializationAgent, SdrAllocationInfo,
    SdrPart, SdrRead, SdrRepositoryInfo, SdrRepositorySupport, SetSdrRepositoryTime,
};
use jiff::Timestamp;

use crate::table::{Act, Answer, Entry, OPERATOR, Read, USER};
use crate::{Context, sdr_repository};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/sdr_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetSdrRepositoryInfo>(USER, "33.9", (TESTS, "info_")),
    Entry::read::<GetSdrAllocationInfo>(USER, "33.10", (TESTS, "info_")),
    Entry::read::<ReserveSdrRepository>(USER, "33.11", (TESTS, "reservation_")),
    Entry::read::<GetSdr>(USER, "33.12", (TESTS, "reading_")),
    Entry::read::<AddSdr>(OPERATOR, "33.13", (TESTS, "writing_")),
    Entry::read::<PartialAddSdr>(OPERATOR, "33.14", (TESTS, "writing_")),
    Entry::read::<DeleteSdr>(OPERATOR, "33.15", (TESTS, "writing_")),
    Entry::read::<ClearSdrRepository>(OPERATOR, "33.16", (TESTS, "writing_")),
    Entry::read::<GetSdrRepositoryTime>(USER, "33.17", (TESTS, "time_")),
    Entry::read::<SetSdrRepositoryTime>(OPERATOR, "33.18", (TESTS, "time_")),
    Entry::read::<EnterSdrUpdateMode>(OPERATOR, "33.19", (TESTS, "writing_")),
    Entry::read::<ExitSdrUpdateMode>(OPERATOR, "33.20", (TESTS, "writing_")),
    Entry::act::<RunInitializationAgent>(OPERATOR, "33.21", (TESTS, "agent_")),
];

/// What a write is refused with: the function is there, and disabled (IPMI 2.0 table 5-2).
const READ_ONLY: CompletionCode = CompletionCode::SUBFUNCTION_DISABLED;

/// Bytes of an allocation unit; every record fits into one.
const UNIT_BYTES: u16 = 64;

/// A time as IPMI tells it; before 1970 and after 2106 the nearest there is.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_second().max(0)).unwrap_or(u32::MAX)
}

impl Read for GetSdrRepositoryInfo {
    /// Clients keep the records in a cache and compare these times, so they change exactly when the records do.
    fn answer(self, context: &Context) -> Answer<SdrRepositoryInfo> {
        let snapshot = context.bmc.snapshot();
        let changed = seconds(sdr_repository::changed(&snapshot));
        let records = sdr_repository::records(&snapshot).len();
        Ok(SdrRepositoryInfo {
            records: u16::try_from(records).unwrap_or(u16::MAX),
            free: 0,
            added: changed,
            erased: changed,
            support: SdrRepositorySupport { reserve: true, allocation: true, ..Default::default() },
        })
    }
}

impl Read for GetSdrAllocationInfo {
    fn answer(self, context: &Context) -> Answer<SdrAllocationInfo> {
        let records = sdr_repository::records(&context.bmc.snapshot()).len();
        Ok(SdrAllocationInfo {
            units: u16::try_from(records).unwrap_or(u16::MAX),
            unit_bytes: UNIT_BYTES,
            free: 0,
            largest_free: 0,
            record_max: 1,
        })
    }
}

/// A new reservation.
pub(super) fn reserve(context: &Context) -> Reservation {
    let changed = sdr_repository::changed(&context.bmc.snapshot());
    Reservation(context.bmc.with_sdr_reservations(|reservations| reservations.reserve(changed)))
}

/// Part of a record, of the repository or of the device, which are the same here.
///
/// A part needs a reservation that holds (`C5h`), a record read from its beginning may do without one (0000h). A record that is not
/// there is `CBh`; an offset behind its end `C9h`.
pub(super) fn read(context: &Context, read: SdrRead) -> Answer<SdrPart> {
    let snapshot = context.bmc.snapshot();
    let changed = sdr_repository::changed(&snapshot);
    let needs_reservation = read.offset != 0 || read.reservation != 0;
    if needs_reservation
        && !context.bmc.with_sdr_reservations(|reservations| reservations.holds(read.reservation, changed))
    {
        return Err(CompletionCode::RESERVATION_CANCELED);
    }
    let records = sdr_repository::records(&snapshot);
    let at = match read.record {
        SdrRead::FIRST => Some(0),
        SdrRead::LAST => records.len().checked_sub(1),
        id => records.iter().position(|record| record.id == id),
    };
    let at = at.ok_or(CompletionCode::NOT_PRESENT)?;
    let bytes = records.get(at).map(sdr_repository::bytes).ok_or(CompletionCode::NOT_PRESENT)?;
    let rest = bytes.get(usize::from(read.offset)..).filter(|rest| !rest.is_empty());
    let rest = rest.ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)?;
    let count = match read.count {
        0 => return Err(CompletionCode::INVALID_DATA_FIELD),
        SdrRead::ALL => rest.len(),
        count => rest.len().min(count.into()),
    };
    Ok(SdrPart {
        next: records.get(at + 1).map_or(SdrRead::LAST, |record| record.id),
        data: rest.get(..count).unwrap_or(rest).to_vec(),
    })
}

impl Read for ReserveSdrRepository {
    fn answer(self, context: &Context) -> Answer<Reservation> {
        Ok(reserve(context))
    }
}

impl Read for GetSdr {
    fn answer(self, context: &Context) -> Answer<SdrPart> {
        read(context, self.0)
    }
}

impl Read for AddSdr {
    fn answer(self, _: &Context) -> Answer<RecordId> {
        Err(READ_ONLY)
    }
}

impl Read for PartialAddSdr {
    fn answer(self, _: &Context) -> Answer<RecordId> {
        Err(READ_ONLY)
    }
}

impl Read for DeleteSdr {
    fn answer(self, _: &Context) -> Answer<RecordId> {
        Err(READ_ONLY)
    }
}

impl Read for ClearSdrRepository {
    fn answer(self, _: &Context) -> Answer<ClearProgress> {
        Err(READ_ONLY)
    }
}

impl Read for EnterSdrUpdateMode {
    fn answer(self, _: &Context) -> Answer<()> {
        Err(READ_ONLY)
    }
}

impl Read for ExitSdrUpdateMode {
    fn answer(self, _: &Context) -> Answer<()> {
        Err(READ_ONLY)
    }
}

impl Read for GetSdrRepositoryTime {
    fn answer(self, context: &Context) -> Answer<RepositoryTime> {
        Ok(RepositoryTime(seconds(context.bmc.clock().timestamp())))
    }
}

impl Read for SetSdrRepositoryTime {
    /// The repository follows the clock of the host.
    fn answer(self, _: &Context) -> Answer<()> {
        Err(READ_ONLY)
    }
}

impl Act for RunInitializationAgent {
    /// The agent sets every sensor as its record says: to its defaults.
    async fn act(self, context: &Context) -> Answer<InitializationStatus> {
        if self.run {
            let edit = |editable: &mut Editable<'_>| {
                editable.settings.sensors.reset();
                Ok(())
            };
            context.edit(edit).await?;
        }
        Ok(InitializationStatus { completed: true })
    }
}

#[cfg(test)]
#[path = "sdr_tests.rs"]
mod tests;
