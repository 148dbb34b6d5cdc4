//! The volatile part of the event log: the reservation, and a record that is being written in parts.

use ipmi_wire::record::sel::SelRecord;

/// What no restart needs to know of the event log.
///
/// There is one reservation: a new one cancels the one before (IPMI 2.0 §31.4). Whoever erases something cancels it too, through
/// whatever door, unless it is the holder who erases with it: ipmitool deletes several records with one reservation.
#[derive(Debug, Default)]
pub(crate) struct SelGuard {
    last: u16,
    /// The log's count of erasures that the reservation of `last` holds for.
    holds_at: Option<u64>,
    partial: Option<Partial>,
}

/// A record of which not all parts have come.
#[derive(Debug)]
struct Partial {
    id: u16,
    bytes: Vec<u8>,
}

/// Why a part of a record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartRefused {
    /// It does not follow the part before, or the id is not that of the record being written.
    OutOfPlace,
    /// The record has more bytes or, with its last part, fewer than a record has.
    Length,
}

impl SelGuard {
    /// Makes a reservation of the log as it is after so many erasures.
    pub(crate) fn reserve(&mut self, erasures: u64) -> u16 {
        // 0 is no reservation.
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.holds_at = Some(erasures);
        self.partial = None;
        self.last
    }

    /// Whether this is the reservation that holds.
    pub(crate) fn holds(&self, reservation: u16, erasures: u64) -> bool {
        reservation != 0 && reservation == self.last && self.holds_at == Some(erasures)
    }

    /// The holder of `reservation` has erased something when the count of erasures was `erasures`: the reservation goes on.
    pub(crate) fn holder_erased(&mut self, reservation: u16, erasures: u64) {
        if self.holds(reservation, erasures) {
            self.holds_at = Some(erasures + 1);
        }
    }

    /// Takes the first part of a record that will have this id if nothing comes in between.
    pub(crate) fn begin(&mut self, id: u16) {
        self.partial = Some(Partial { id, bytes: Vec::with_capacity(SelRecord::LEN) });
    }

    /// Takes a part of the record `id`.
    pub(crate) fn append(&mut self, id: u16, offset: u8, part: &[u8]) -> Result<(), PartRefused> {
        let partial = self.partial.as_mut().filter(|partial| partial.id == id);
        let partial = partial.ok_or(PartRefused::OutOfPlace)?;
        if usize::from(offset) != partial.bytes.len() {
            return Err(PartRefused::OutOfPlace);
        }
        if partial.bytes.len() + part.len() > SelRecord::LEN {
            return Err(PartRefused::Length);
        }
        partial.bytes.extend_from_slice(part);
        Ok(())
    }

    /// The bytes of the record whose last part has come.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>, PartRefused> {
        let partial = self.partial.take().ok_or(PartRefused::OutOfPlace)?;
        if partial.bytes.len() == SelRecord::LEN { Ok(partial.bytes) } else { Err(PartRefused::Length) }
    }
}
