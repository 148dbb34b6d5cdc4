//! The system event log of one machine: linear, bounded, durable; one log behind IPMI's SEL and Redfish's LogService `SEL`.
//!
//! ```text
//!            add             add: SEL_ENTRIES_MAX - 2 held
//!  room ───────────► room ───────────────────────────────► full (the last place tells so)
//!   ▲                                                        │  ▲
//!   │ delete, clear                                          │  │ add: refused, the overflow flag is set
//!   └────────────────────────────────────────────────────────┘  │
//!                                                             └─┘
//! ```
//!
//! Nothing is ever overwritten. The log is a part of [`Control`](crate::control::Control), which keeps what is still to be stored beside it;
//! the [owner](crate::owner) stores that in the same batch as the machine's record, before anyone is told. In the store, every entry
//! is a record of its own, so that adding one costs one small write.
//!
//! What the BMC itself logs is made in `feed` from the events of the machine; `audit` keeps wrong passwords from flooding it.

use std::collections::BTreeMap;

use ipmi_wire::record::sel::{EventMessage, SelBody, SelRecord, sensor_type};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sensor::number;

mod audit;
mod feed;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use audit::Notices;
pub use feed::BMC_GENERATOR;
pub(crate) use feed::{Circumstances, LIMIT, events_for, filter_action};
pub(crate) use stored::{StoredEntry, entry_key, entry_number, entry_prefix};

/// Places for entries. The last one is kept for the entry that tells that the log is full.
pub const SEL_ENTRIES_MAX: usize = 1024;
/// With so many entries the log tells, once, that it is almost full.
pub const SEL_ALMOST_FULL: usize = SEL_ENTRIES_MAX / 4 * 3;
/// Below so many entries the log may tell again that it is almost full.
const SEL_HALF_FULL: usize = SEL_ENTRIES_MAX / 2;

/// Entries that tell of sessions and wrong passwords: strangers cause those, and must not take the places of what the hardware has to say.
pub const SEL_AUDITS_MAX: usize = SEL_ENTRIES_MAX / 4;

/// Offsets of the sensor type Event Logging Disabled.
const OFFSET_FULL: u8 = 4;
const OFFSET_ALMOST_FULL: u8 = 5;

/// Record ids run from 1 to this and begin again.
const RECORD_ID_MAX: u64 = 0xfffe;

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelEntry {
    /// Grows from entry to entry and is never used again, also when record ids begin anew.
    pub number: u64,
    /// The record, with its id and, where its type has one, its time.
    pub record: SelRecord,
    /// When it was added, in seconds since 1970 of the log's clock.
    pub added: u32,
    /// By how many minutes the log's clock was said to be ahead of UTC then: another offset that is set later does not move what has happened.
    pub utc_offset: i16,
}

/// What the log keeps besides its entries; a part of the machine's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelState {
    /// By how many seconds the log's clock is ahead of the daemon's.
    pub clock_offset: i64,
    /// By how many minutes the log's clock is said to be ahead of UTC (IPMI 2.0 §31.11b), -1440 to 1440.
    pub utc_offset: Option<i16>,
    /// When something was last erased, in seconds since 1970 of the log's clock.
    pub last_erase: Option<u32>,
    /// An event was lost since the log was last cleared, because there was no place.
    pub overflow: bool,
    /// The log has told that it is almost full.
    almost_full_told: bool,
    /// The number of the entry that tells that the log is full, while it is held. An entry that only looks like it is an ordinary one.
    full_mark: Option<u64>,
    /// No entry from now on has a lower number; kept true only where the entries do not tell it themselves.
    next_number: u64,
}

/// There is no place for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelFull;

/// What is to be stored: entries by number, `None` where one is to be deleted.
pub(crate) type SelWrites = BTreeMap<u64, Option<SelEntry>>;

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sel {
    /// In order of number.
    entries: Vec<SelEntry>,
    state: SelState,
    /// Counts deletions and clearings, for those who must know whether the log is still as they saw it.
    erasures: u64,
}

impl Sel {
    /// The log as it was stored; `entries` in any order.
    pub fn load(state: SelState, mut entries: Vec<SelEntry>) -> Self {
        entries.sort_unstable_by_key(|entry| entry.number);
        Self { entries, state, erasures: 0 }
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[SelEntry] {
        &self.entries
    }

    /// The entry whose record has this id.
    pub fn entry(&self, id: u16) -> Option<&SelEntry> {
        self.entries.iter().find(|entry| entry.record.id == id)
    }

    /// What is kept besides the entries.
    pub fn state(&self) -> &SelState {
        &self.state
    }

    /// How many more entries can be added.
    pub fn room(&self) -> usize {
        let ordinary = self.entries.len().saturating_sub(usize::from(self.state.full_mark.is_some()));
        (SEL_ENTRIES_MAX - 1).saturating_sub(ordinary)
    }

    /// Whether another entry would change nothing: there is no place, and the log knows and tells that.
    pub(crate) fn is_shut(&self) -> bool {
        self.room() == 0 && self.state.overflow && self.tells_full()
    }

    /// Whether the last place has been used.
    fn tells_full(&self) -> bool {
        self.state.full_mark.is_some() || self.entries.len() >= SEL_ENTRIES_MAX
    }

    /// How many entries tell of sessions and of wrong passwords.
    pub(crate) fn audits(&self) -> usize {
        let audits = |entry: &&SelEntry| {
            entry.record.event().is_some_and(|event| event.sensor_type == sensor_type::SESSION_AUDIT)
        };
        self.entries.iter().filter(audits).count()
    }

    /// Grows whenever something is erased; starts anew with the daemon.
    pub fn erasures(&self) -> u64 {
        self.erasures
    }

    /// When the last entry was added, in seconds since 1970 of the log's clock.
    pub fn last_addition(&self) -> Option<u32> {
        self.entries.last().map(|entry| entry.added)
    }

    /// The time of the log's clock, in seconds since 1970.
    pub fn time(&self, now: Timestamp) -> u32 {
        let seconds = now.as_second().saturating_add(self.state.clock_offset);
        // The greatest value means "unknown".
        u32::try_from(seconds.max(0)).unwrap_or(u32::MAX).min(u32::MAX - 1)
    }

    /// The id that the next record gets.
    pub fn next_id(&self) -> u16 {
        id_of(self.next_number())
    }

    fn next_number(&self) -> u64 {
        let after_last = self.entries.last().map_or(1, |entry| entry.number + 1);
        let mut number = after_last.max(self.state.next_number);
        // After 65534 records ids begin anew; one that is still in use is passed over. One of so many ids is free, since there are fewer
        // entries than ids.
        for _ in &self.entries {
            if self.entry(id_of(number)).is_none() {
                break;
            }
            number += 1;
        }
        number
    }

    /// Sets the log's clock.
    pub(crate) fn set_time(&mut self, now: Timestamp, time: u32) {
        self.state.clock_offset = i64::from(time) - now.as_second();
    }

    /// Notes by how much the log's clock is said to be ahead of UTC.
    pub(crate) fn set_utc_offset(&mut self, minutes: Option<i16>) {
        self.state.utc_offset = minutes;
    }

    /// The clock goes as the daemon's does, and is said to be nothing.
    pub(crate) fn reset_clock(&mut self) {
        (self.state.clock_offset, self.state.utc_offset) = (0, None);
    }

    /// Adds a record, and what the log has to say about itself then. Returns the record's id.
    pub(crate) fn add(
        &mut self,
        now: Timestamp,
        body: SelBody,
        writes: &mut SelWrites,
    ) -> Result<u16, SelFull> {
        let time = self.time(now);
        if self.room() == 0 {
            self.state.overflow = true;
            self.tell_full(time, writes);
            return Err(SelFull);
        }
        let id = self.push(time, body, writes);
        if self.entries.len() >= SEL_ALMOST_FULL && !self.state.almost_full_told && self.room() > 1 {
            self.state.almost_full_told = true;
            // Not the last place, so it fits.
            self.push(time, own_event(OFFSET_ALMOST_FULL), writes);
        }
        if self.room() == 0 {
            self.tell_full(time, writes);
        }
        Ok(id)
    }

    /// The last place of the log tells that the log is full.
    fn tell_full(&mut self, time: u32, writes: &mut SelWrites) {
        if !self.tells_full() {
            let number = self.next_number();
            self.push_as(number, time, own_event(OFFSET_FULL), writes);
            self.state.full_mark = Some(number);
        }
    }

    fn push(&mut self, time: u32, body: SelBody, writes: &mut SelWrites) -> u16 {
        self.push_as(self.next_number(), time, body, writes)
    }

    fn push_as(&mut self, number: u64, time: u32, body: SelBody, writes: &mut SelWrites) -> u16 {
        let record = SelRecord { id: id_of(number), body }.stamped(time);
        let utc_offset = self.state.utc_offset.unwrap_or(0);
        let entry = SelEntry { number, record, added: time, utc_offset };
        self.entries.push(entry);
        writes.insert(number, Some(entry));
        record.id
    }

    /// Deletes the record with this id; `false` when there is none.
    pub(crate) fn delete(&mut self, now: Timestamp, id: u16, writes: &mut SelWrites) -> bool {
        let Some(at) = self.entries.iter().position(|entry| entry.record.id == id) else { return false };
        self.erased(now);
        let number = self.entries.remove(at).number;
        writes.insert(number, None);
        self.state.full_mark.take_if(|mark| *mark == number);
        self.state.almost_full_told &= self.entries.len() >= SEL_HALF_FULL;
        true
    }

    /// Deletes all entries. The next record is number 1 again.
    pub(crate) fn clear(&mut self, now: Timestamp, writes: &mut SelWrites) {
        self.erased(now);
        writes.extend(self.entries.drain(..).map(|entry| (entry.number, None)));
        self.state.overflow = false;
        self.state.almost_full_told = false;
        self.state.full_mark = None;
        // A multiple of the ids there are, so that ids begin anew and numbers do not.
        self.state.next_number = self.state.next_number.div_ceil(RECORD_ID_MAX) * RECORD_ID_MAX + 1;
    }

    fn erased(&mut self, now: Timestamp) {
        self.state.next_number = self.next_number();
        self.state.last_erase = Some(self.time(now));
        self.erasures += 1;
    }
}

fn id_of(number: u64) -> u16 {
    // At most RECORD_ID_MAX, so it fits.
    u16::try_from(number.saturating_sub(1) % RECORD_ID_MAX + 1).unwrap_or(1)
}

/// An event of the log itself.
fn own_event(offset: u8) -> SelBody {
    let event = feed::sensor_event(sensor_type::EVENT_LOGGING, number::EVENT_LOG, offset);
    let percent = u8::try_from(SEL_ALMOST_FULL * 100 / SEL_ENTRIES_MAX).unwrap_or(100);
    // Event data 3 tells how full the log is: bits 5 and 4 of event data 1 say so.
    let event = match offset {
        OFFSET_ALMOST_FULL => EventMessage { data: [0x30 | offset, event.data[1], percent], ..event },
        _ => event,
    };
    SelBody::Event { timestamp: 0, generator: BMC_GENERATOR, event }
}
