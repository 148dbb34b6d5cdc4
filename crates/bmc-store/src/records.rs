//! The records and what a batch means for them, without any storage.
//!
//! Batches are staged one after the other on top of the records that are durable; each is checked against what the ones before it
//! will have written. Only when the storage has them all are they applied.

use std::collections::BTreeMap;
use std::ops::Bound;

use bmc_core::store::{Change, Expect, RECORD_MAX_BYTES, Record, Revision, StoreError, Write};

use crate::KEY_MAX_BYTES;

/// A record's value and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The commit.
    pub revision: Revision,
    /// The value.
    pub value: Vec<u8>,
}

/// All records of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// By key.
    pub records: BTreeMap<String, Stored>,
    /// The latest commit; 0 before the first.
    pub revision: Revision,
}

impl Records {
    /// One record.
    pub fn get(&self, key: &str) -> Option<Record> {
        self.records.get(key).map(|stored| record(key, stored))
    }

    /// All records below `prefix`, in order of key.
    pub fn list(&self, prefix: &str) -> Vec<Record> {
        self.records
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, stored)| record(key, stored))
            .collect()
    }

    /// Makes staged changes real. They carry their revisions, which grow.
    pub fn apply(&mut self, changes: &[Change]) {
        for Change { key, revision, value } in changes {
            self.revision = self.revision.max(*revision);
            match value {
                Some(value) => {
                    self.records.insert(key.clone(), Stored { revision: *revision, value: value.clone() });
                }
                None => {
                    self.records.remove(key);
                }
            }
        }
    }
}

fn record(key: &str, stored: &Stored) -> Record {
    Record { key: key.to_owned(), revision: stored.revision, value: stored.value.clone() }
}

/// Batches on their way to the storage, on top of the records that are there.
#[derive(Debug)]
pub struct Staging<'a> {
    base: &'a Records,
    /// Revision of each key that a staged batch touches; `None` when it deletes it.
    touched: BTreeMap<String, Option<Revision>>,
    revision: Revision,
}

impl<'a> Staging<'a> {
    /// Nothing staged yet.
    pub fn new(base: &'a Records) -> Self {
        Self { base, touched: BTreeMap::new(), revision: base.revision }
    }

    /// Checks a batch and stages it whole, or leaves it out whole. What each write expects is what was there before the batch; where
    /// a batch writes a key twice, the last write holds. An empty batch makes no commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::TooLarge`].
    pub fn stage(&mut self, batch: Vec<Write>) -> Result<(Revision, Vec<Change>), StoreError> {
        for write in &batch {
            let size = write.value.as_ref().map_or(0, Vec::len);
            if size > RECORD_MAX_BYTES || write.key.len() > KEY_MAX_BYTES {
                return Err(StoreError::TooLarge { key: write.key.clone() });
            }
            let met = match (write.expect, self.revision_of(&write.key)) {
                (Expect::Anything, _) | (Expect::Absent, None) => true,
                (Expect::At(expected), Some(found)) => expected == found,
                (Expect::Absent, Some(_)) | (Expect::At(_), None) => false,
            };
            if !met {
                return Err(StoreError::Conflict { key: write.key.clone() });
            }
        }
        if batch.is_empty() {
            return Ok((self.revision, Vec::new()));
        }
        let revision = Revision(self.revision.0.saturating_add(1));
        self.revision = revision;
        let changes: Vec<Change> =
            batch.into_iter().map(|Write { key, value, .. }| Change { key, revision, value }).collect();
        for change in &changes {
            self.touched.insert(change.key.clone(), change.value.is_some().then_some(revision));
        }
        Ok((revision, changes))
    }

    fn revision_of(&self, key: &str) -> Option<Revision> {
        match self.touched.get(key) {
            Some(touched) => *touched,
            None => self.base.records.get(key).map(|stored| stored.revision),
        }
    }
}
