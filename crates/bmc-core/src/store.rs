//! The contract of the store: small records under string keys, revisions with compare-and-swap, batches that are durable as a
//! whole or not at all, and a watch. Deliberately what a file and a cluster store can both keep.

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::broadcast;

/// Largest value of a record in bytes.
pub const RECORD_MAX_BYTES: usize = 1 << 20;

/// A record's version: grows with every commit of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key, e.g. `machine/node-0`.
    pub key: String,
    /// The revision of the commit that wrote it.
    pub revision: Revision,
    /// Its value.
    pub value: Vec<u8>,
}

/// What a write demands of the record as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Anything,
    /// That it does not exist.
    Absent,
    /// That it was last written by this commit.
    At(Revision),
}

/// One write of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The record's key.
    pub key: String,
    /// What must hold now.
    pub expect: Expect,
    /// The new value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// A record changed; `value` is `None` when it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record's key.
    pub key: String,
    /// The commit that changed it.
    pub revision: Revision,
    /// The new value.
    pub value: Option<Vec<u8>>,
}

/// Why the store did not do it. Nothing was changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// An [`Expect`] did not hold.
    #[error("the record {key} has been changed meanwhile")]
    Conflict {
        /// Which record.
        key: String,
    },
    /// A value is larger than [`RECORD_MAX_BYTES`].
    #[error("the record {key} is too large")]
    TooLarge {
        /// Which record.
        key: String,
    },
    /// The disk or file is at fault; the message says which and what to do.
    #[error("{0}")]
    Failed(String),
}

/// A store. All daemons' state lies in one.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// One record.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError>;

    /// All records whose key starts with `prefix`, in order of key.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    async fn list(&self, prefix: &str) -> Result<Vec<Record>, StoreError>;

    /// Writes all or nothing; when it returns `Ok` the batch is durable. Concurrent commits may share one flush.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, StoreError>;

    /// Every change from now on, in order. A receiver that lags loses the oldest and is told so.
    fn watch(&self) -> broadcast::Receiver<Change>;
}
