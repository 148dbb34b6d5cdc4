//! A store that forgets when it is dropped, and whose disk can be made to fail or to stall.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bmc_core::store::{Change, Record, Revision, Store, StoreError, Write};
use tokio::sync::{broadcast, watch};

use crate::WATCH_BACKLOG;
use crate::records::{Records, Staging};

/// The store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    records: Mutex<Records>,
    failure: Mutex<Option<String>>,
    /// Whether commits stall.
    held: watch::Sender<bool>,
    /// Commits that stall now.
    waiting: watch::Sender<usize>,
    changes: broadcast::Sender<Change>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            failure: Mutex::default(),
            held: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            changes: broadcast::Sender::new(WATCH_BACKLOG),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets every commit fail with [`StoreError::Failed`] and this message, or succeed again.
    pub fn fail_commits(&self, message: Option<&str>) {
        *lock(&self.failure) = message.map(str::to_owned);
    }

    /// Lets commits stall until they are let go again, as on a disk that does not answer.
    pub fn hold_commits(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    /// Waits until at least `count` commits stall.
    pub async fn wait_for_held(&self, count: usize) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives in self, so this cannot end early.
        let _ = waiting.wait_for(|waiting| *waiting >= count).await;
    }
}

/// Counts a stalled commit for as long as it is stalled, also when its future is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Batches are applied whole or not at all, so what a panicking holder left behind is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        Ok(lock(&self.records).get(key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        Ok(lock(&self.records).list(prefix))
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, StoreError> {
        let mut held = self.held.subscribe();
        if *held.borrow_and_update() {
            let _waiting = Waiting::new(&self.waiting);
            // The sender lives in self, so this ends only by being let go.
            let _ = held.wait_for(|held| !*held).await;
        }
        if let Some(message) = lock(&self.failure).clone() {
            return Err(StoreError::Failed(message));
        }
        let mut records = lock(&self.records);
        let (revision, changes) = Staging::new(&records).stage(batch)?;
        records.apply(&changes);
        // Under the lock, so that watchers see changes in order of revision.
        for change in changes {
            // Nobody watching is fine.
            let _ = self.changes.send(change);
        }
        Ok(revision)
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bmc_core::store::Expect;

    use super::*;

    fn write(key: &str) -> Vec<Write> {
        vec![Write { key: key.to_owned(), expect: Expect::Anything, value: Some(vec![1]) }]
    }

    #[tokio::test]
    async fn commits_fail_and_change_nothing_while_told_to() {
        let store = MemoryStore::new();
        store.fail_commits(Some("disk on fire"));
        assert_eq!(store.commit(write("a")).await, Err(StoreError::Failed("disk on fire".to_owned())));
        assert_eq!(store.get("a").await, Ok(None));
        store.fail_commits(None);
        store.commit(write("a")).await.unwrap();
    }

    #[tokio::test]
    async fn commits_stall_until_let_go() {
        let store = Arc::new(MemoryStore::new());
        store.hold_commits(true);
        let stalled = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.commit(write("a")).await }
        });
        store.wait_for_held(1).await;
        assert_eq!(store.get("a").await, Ok(None));
        assert!(!stalled.is_finished());
        store.hold_commits(false);
        assert_eq!(stalled.await.unwrap(), Ok(Revision(1)));
        assert!(store.get("a").await.unwrap().is_some());
        assert_eq!(*store.waiting.borrow(), 0);
    }
}
