//! The system event log, and the event messages that end in it.

use bmc_core::error::RequestError;
use bmc_core::request::{Outcome, Request, SelRequest};
use bmc_core::sel::{SEL_ENTRIES_MAX, SelEntry};
use bmc_core::settings::Editable;
use bmc_core::settings::events::EventReceiver as CoreReceiver;
use bmc_core::snapshot::Snapshot;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::Payload as _;
use ipmi_wire::command::event::{EventReceiver, GetEventReceiver, PlatformEventMessage, SetEventReceiver};
use ipmi_wire::command::sel::{
    AddSelEntry, ClearSel, DeleteSelEntry, FIRST_RECORD, GetSelAllocationInfo, GetSelEntry, GetSelInfo,
    GetSelTime, GetSelTimeUtcOffset, LAST_RECORD, PartialAddSelEntry, ReserveSel, SelAllocationInfo,
    SelEntryPart, SelErasure, SelInfo, SelRecordId, SelReservation, SelSupport, SelTime, SetSelTime,
    SetSelTimeUtcOffset, TIME_UNSPECIFIED, UtcOffset,
};
use ipmi_wire::record::sel::{SelBody, SelRecord};

use crate::sel_guard::PartRefused;
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, OPERATOR, Read, USER};
use crate::{Caller, Context, error};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/sel_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<SetEventReceiver>(ADMINISTRATOR, "29.1", (TESTS, "event_receiver")),
    Entry::read::<GetEventReceiver>(USER, "29.2", (TESTS, "event_receiver")),
    Entry::act::<PlatformEventMessage>(OPERATOR, "29.3", (TESTS, "platform_event")),
    Entry::read::<GetSelInfo>(USER, "31.2", (TESTS, "info")),
    Entry::read::<GetSelAllocationInfo>(USER, "31.3", (TESTS, "info")),
    Entry::read::<ReserveSel>(USER, "31.4", (TESTS, "reservation")),
    Entry::read::<GetSelEntry>(USER, "31.5", (TESTS, "reading")),
    Entry::act::<AddSelEntry>(OPERATOR, "31.6", (TESTS, "adding")),
    Entry::act::<PartialAddSelEntry>(OPERATOR, "31.6.2", (TESTS, "partial_add")),
    Entry::act::<DeleteSelEntry>(OPERATOR, "31.8", (TESTS, "deleting")),
    Entry::act::<ClearSel>(OPERATOR, "31.9", (TESTS, "clearing")),
    Entry::read::<GetSelTime>(USER, "31.10", (TESTS, "time")),
    Entry::act::<SetSelTime>(OPERATOR, "31.11", (TESTS, "time")),
    Entry::read::<GetSelTimeUtcOffset>(USER, "31.11a", (TESTS, "time")),
    Entry::act::<SetSelTimeUtcOffset>(OPERATOR, "31.11b", (TESTS, "time")),
];

/// `80h` of the commands that add a record in parts: the parts are not as long as the record (IPMI 2.0 §31.6.2).
const RECORD_LENGTH_MISMATCH: CompletionCode = CompletionCode(0x80);

/// The generator id of an event that a console sent: software id 40h, "remote console software".
const CONSOLE_SOFTWARE: u8 = 0x81;

/// Sends a request about the log to the machine's owner.
async fn ask(context: &Context, request: SelRequest) -> Answer<Outcome> {
    match context.bmc.machine().request(Request::Sel(request)).await {
        Ok(outcome) => Ok(outcome),
        // Somebody else has erased something since the reservation was checked.
        Err(RequestError::Conflict) => Err(CompletionCode::RESERVATION_CANCELED),
        Err(failure) => {
            tracing::debug!(bmc = %context.bmc.machine().name(), %failure, "event log request refused");
            Err(error::request(&failure))
        }
    }
}

async fn add(context: &Context, body: SelBody) -> Answer<SelRecordId> {
    match ask(context, SelRequest::Add(body)).await? {
        Outcome::Logged(id) => Ok(SelRecordId(id)),
        _ => Err(CompletionCode::UNSPECIFIED),
    }
}

/// The entry that a record id of a request means.
fn find(snapshot: &Snapshot, id: u16) -> Answer<&SelEntry> {
    let entry = match id {
        FIRST_RECORD => snapshot.sel.entries().first(),
        LAST_RECORD => snapshot.sel.entries().last(),
        id => snapshot.sel.entry(id),
    };
    entry.ok_or(CompletionCode::NOT_PRESENT)
}

/// Refuses a reservation that does not hold; otherwise the count of erasures that it holds for.
fn reserved(context: &Context, snapshot: &Snapshot, reservation: u16) -> Answer<u64> {
    let erasures = snapshot.sel.erasures();
    if context.bmc.with_sel_guard(|guard| guard.holds(reservation, erasures)) {
        Ok(erasures)
    } else {
        Err(CompletionCode::RESERVATION_CANCELED)
    }
}

impl Act for SetEventReceiver {
    async fn act(self, context: &Context) -> Answer<()> {
        let EventReceiver { address, lun } = self.receiver;
        let edit = move |editable: &mut Editable<'_>| {
            editable.settings.event_receiver = CoreReceiver { address, lun };
            Ok(())
        };
        context.edit(edit).await
    }
}

impl Read for GetEventReceiver {
    fn answer(self, context: &Context) -> Answer<EventReceiver> {
        let CoreReceiver { address, lun } = context.bmc.snapshot().settings.event_receiver;
        Ok(EventReceiver { address, lun })
    }
}

impl Act for PlatformEventMessage {
    /// A door without sessions is the system interface, where the message names its generator; over the LAN the sender is a console.
    async fn act(self, context: &Context) -> Answer<()> {
        let generator = match (context.caller, self.generator) {
            (Caller::System, Some(generator)) => generator,
            (Caller::Session { .. } | Caller::Unauthenticated, None) => CONSOLE_SOFTWARE,
            _ => return Err(CompletionCode::REQUEST_LENGTH_INVALID),
        };
        let generator = u16::from_le_bytes([generator, (context.channel & 0x0f) << 4]);
        ask(context, SelRequest::Event { generator, event: self.event }).await.map(|_| ())
    }
}

impl Read for GetSelInfo {
    fn answer(self, context: &Context) -> Answer<SelInfo> {
        let sel = &context.bmc.snapshot().sel;
        Ok(SelInfo {
            version: SelInfo::VERSION,
            entries: clamp(sel.entries().len()),
            free_bytes: clamp(sel.room() * SelRecord::LEN),
            last_addition: sel.last_addition().unwrap_or(TIME_UNSPECIFIED),
            last_erase: sel.state().last_erase.unwrap_or(TIME_UNSPECIFIED),
            overflow: sel.state().overflow,
            supports: SelSupport { delete: true, partial_add: true, reserve: true, allocation_info: true },
        })
    }
}

impl Read for GetSelAllocationInfo {
    fn answer(self, context: &Context) -> Answer<SelAllocationInfo> {
        let free = clamp(context.bmc.snapshot().sel.room());
        Ok(SelAllocationInfo {
            units: clamp(SEL_ENTRIES_MAX),
            unit_bytes: clamp(SelRecord::LEN),
            free_units: free,
            largest_free: free,
            largest_record: 1,
        })
    }
}

fn clamp(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

impl Read for ReserveSel {
    fn answer(self, context: &Context) -> Answer<SelReservation> {
        let erasures = context.bmc.snapshot().sel.erasures();
        Ok(SelReservation(context.bmc.with_sel_guard(|guard| guard.reserve(erasures))))
    }
}

impl Read for GetSelEntry {
    fn answer(self, context: &Context) -> Answer<SelEntryPart> {
        let snapshot = context.bmc.snapshot();
        if self.offset != 0 {
            reserved(context, &snapshot, self.reservation)?;
        }
        let entry = find(&snapshot, self.record)?;
        let bytes = entry.record.to_bytes();
        let rest = bytes.get(usize::from(self.offset)..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)?;
        let data = match self.length {
            Self::WHOLE => rest,
            length => rest.get(..usize::from(length)).ok_or(CompletionCode::CANNOT_RETURN_BYTES)?,
        };
        let entries = snapshot.sel.entries();
        let after = entries.iter().find(|other| other.number > entry.number);
        Ok(SelEntryPart { next: after.map_or(LAST_RECORD, |next| next.record.id), data: data.to_vec() })
    }
}

impl Act for AddSelEntry {
    async fn act(self, context: &Context) -> Answer<SelRecordId> {
        add(context, self.record.body).await
    }
}

impl Act for PartialAddSelEntry {
    /// The parts are gathered here and logged as one record. The id that the first part is answered with is the one that the record gets
    /// unless something is logged meanwhile; the answer to the last part tells the one that it got.
    async fn act(self, context: &Context) -> Answer<SelRecordId> {
        let snapshot = context.bmc.snapshot();
        if self.offset != 0 {
            reserved(context, &snapshot, self.reservation)?;
        }
        if snapshot.sel.room() == 0 {
            return Err(CompletionCode::OUT_OF_SPACE);
        }
        let whole = context.bmc.with_sel_guard(|guard| {
            let id = if self.offset == 0 {
                let id = snapshot.sel.next_id();
                guard.begin(id);
                id
            } else {
                self.record
            };
            guard.append(id, self.offset, &self.data)?;
            if self.last { guard.finish().map(Ok) } else { Ok(Err(id)) }
        });
        match whole {
            Ok(Err(id)) => Ok(SelRecordId(id)),
            Ok(Ok(bytes)) => {
                let record = SelRecord::decode(&bytes).map_err(|error| error.completion())?;
                add(context, record.body).await
            }
            Err(PartRefused::OutOfPlace) => Err(CompletionCode::PARAMETER_OUT_OF_RANGE),
            Err(PartRefused::Length) => Err(RECORD_LENGTH_MISMATCH),
        }
    }
}

impl Act for DeleteSelEntry {
    async fn act(self, context: &Context) -> Answer<SelRecordId> {
        let snapshot = context.bmc.snapshot();
        let erasures = reserved(context, &snapshot, self.reservation)?;
        let id = find(&snapshot, self.record)?.record.id;
        ask(context, SelRequest::Delete { id, if_erasures: Some(erasures) }).await?;
        context.bmc.with_sel_guard(|guard| guard.holder_erased(self.reservation, erasures));
        Ok(SelRecordId(id))
    }
}

impl Act for ClearSel {
    /// Clearing is done when it is answered, so that asking how far it is needs no reservation, which clearing has cancelled.
    async fn act(self, context: &Context) -> Answer<SelErasure> {
        if self.initiate {
            let erasures = reserved(context, &context.bmc.snapshot(), self.reservation)?;
            ask(context, SelRequest::Clear { if_erasures: Some(erasures) }).await?;
        }
        Ok(SelErasure { complete: true })
    }
}

impl Read for GetSelTime {
    fn answer(self, context: &Context) -> Answer<SelTime> {
        Ok(SelTime(context.bmc.snapshot().sel.time(context.bmc.clock().timestamp())))
    }
}

impl Act for SetSelTime {
    async fn act(self, context: &Context) -> Answer<()> {
        let Self(SelTime(time)) = self;
        if time == TIME_UNSPECIFIED {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        ask(context, SelRequest::SetTime(time)).await.map(|_| ())
    }
}

impl Read for GetSelTimeUtcOffset {
    fn answer(self, context: &Context) -> Answer<UtcOffset> {
        Ok(UtcOffset(context.bmc.snapshot().sel.state().utc_offset))
    }
}

impl Act for SetSelTimeUtcOffset {
    async fn act(self, context: &Context) -> Answer<()> {
        let Self(UtcOffset(minutes)) = self;
        ask(context, SelRequest::SetUtcOffset(minutes)).await.map(|_| ())
    }
}

#[cfg(test)]
#[path = "sel_tests.rs"]
mod tests;
