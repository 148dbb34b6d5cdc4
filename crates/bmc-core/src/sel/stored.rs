//! How entries lie in the store: one record each, under `sel/<name of the BMC>/<number>`.

use ipmi_wire::DecodeError;
use ipmi_wire::command::Payload as _;
use ipmi_wire::record::sel::SelRecord;
use serde::{Deserialize, Serialize};

use crate::sel::SelEntry;

/// The value of an entry's record in the store, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredEntry {
    /// The record's bytes as IPMI has them.
    record: [u8; SelRecord::LEN],
    added: u32,
    /// Records of before there was this have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    utc_offset: Option<i16>,
}

impl StoredEntry {
    pub(crate) fn new(entry: &SelEntry) -> Self {
        Self { record: entry.record.to_bytes(), added: entry.added, utc_offset: Some(entry.utc_offset) }
    }

    /// The entry; `present` is the offset from UTC of one that tells none.
    pub(crate) fn entry(&self, number: u64, present: i16) -> Result<SelEntry, DecodeError> {
        let utc_offset = self.utc_offset.unwrap_or(present);
        Ok(SelEntry { number, record: SelRecord::decode(&self.record)?, added: self.added, utc_offset })
    }
}

/// What the keys of all entries of a BMC begin with.
pub(crate) fn entry_prefix(bmc: &str) -> String {
    format!("sel/{bmc}/")
}

/// The key of an entry. Keys sort as numbers do.
pub(crate) fn entry_key(bmc: &str, number: u64) -> String {
    format!("sel/{bmc}/{number:016x}")
}

/// The number in an entry's key.
pub(crate) fn entry_number(key: &str) -> Option<u64> {
    u64::from_str_radix(key.rsplit('/').next()?, 16).ok()
}
