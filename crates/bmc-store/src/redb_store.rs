//! The store on disk: one redb file, written by one thread.
//!
//! ```text
//!   commit() ──bounded queue──► writer thread ──one transaction for all that waited──► polybmc.redb
//!                                     │ once durable
//!                                     ▼
//!   get(), list() ◄──────────── records in memory ──► watchers ──► answers to the commits
//! ```
//!
//! All records are small and few megabytes together, so they are held in memory and a read touches neither disk nor thread.
//! What is in memory is always durable: a commit shows there only after its flush.

mod disk;
mod open;
mod writer;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bmc_core::store::{Change, Record, Revision, Store, StoreError, Write};
use tokio::sync::{broadcast, mpsc, oneshot};

use self::disk::Disk;
use self::writer::{Commit, Writer};
use crate::WATCH_BACKLOG;
use crate::records::Records;

pub use self::open::{DATABASE_FILE, LOCK_FILE};

/// Batches that may wait for the disk; further commits wait for a place.
pub const QUEUE_MAX: usize = 1024;
/// Batches that share one flush.
pub const GROUP_MAX: usize = 256;

/// The store on disk. Dropping it finishes the commits under way and closes the file, which may take one flush.
#[derive(Debug)]
pub struct RedbStore {
    records: Arc<RwLock<Records>>,
    changes: broadcast::Sender<Change>,
    /// `None` only while dropping.
    queue: Option<mpsc::Sender<Commit>>,
    writer: Option<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the store in `dir`, or makes it: the folder with mode 0700, the file with 0600. Reads the whole file and checks it, so it blocks
    /// for a moment.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with a message for people: another polybmc uses the folder, no permission, read-only, damaged, or written by
    /// a newer version. A damaged file is never replaced by an empty one.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::on(open::open(dir.as_ref())?)
    }

    fn on(mut disk: Disk) -> Result<Self, StoreError> {
        let records = Arc::new(RwLock::new(disk.load()?));
        let changes = broadcast::Sender::new(WATCH_BACKLOG);
        let (queue, commits) = mpsc::channel(QUEUE_MAX);
        let writer = Writer { disk, records: Arc::clone(&records), changes: changes.clone() };
        let writer = std::thread::Builder::new()
            .name("polybmc-store".to_owned())
            .spawn(move || writer.run(commits))
            .map_err(|error| StoreError::Failed(format!("cannot start the store's thread: {error}")))?;
        Ok(Self { records, changes, queue: Some(queue), writer: Some(writer) })
    }

    fn read<T>(&self, read: impl FnOnce(&Records) -> T) -> T {
        read(&self.records.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's thread had ended in a panic");
        }
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.read(|records| records.get(key)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        Ok(self.read(|records| records.list(prefix)))
    }

    /// A commit whose future is dropped may still happen.
    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, StoreError> {
        let stopped = || StoreError::Failed("the store's thread has stopped; restart the daemon".to_owned());
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let (answer, answered) = oneshot::channel();
        queue.send(Commit { batch, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests;
