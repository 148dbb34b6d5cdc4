//! The thread that writes: takes what has queued up during the last flush and makes it durable with the next.

use std::sync::{Arc, PoisonError, RwLock};

use bmc_core::store::{Change, Revision, StoreError, Write};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::GROUP_MAX;
use super::disk::Disk;
use crate::records::{Records, Staging};

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) batch: Vec<Write>,
    pub(super) answer: oneshot::Sender<Result<Revision, StoreError>>,
}

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) disk: Disk,
    pub(super) records: Arc<RwLock<Records>>,
    pub(super) changes: broadcast::Sender<Change>,
}

impl Writer {
    /// Works until the last sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Commit>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Ok(next) = queue.try_recv()
            {
                group.push(next);
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Commit>) {
        let (staged, written) = {
            // Only this thread writes, so the records stay as they are; readers go on reading during the flush.
            let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
            let mut staging = Staging::new(&records);
            let staged: Vec<_> =
                group.into_iter().map(|Commit { batch, answer }| (staging.stage(batch), answer)).collect();
            let changes: Vec<&Change> = staged
                .iter()
                .filter_map(|(result, _)| result.as_ref().ok())
                .flat_map(|(_, changes)| changes)
                .collect();
            let written = if changes.is_empty() { Ok(()) } else { self.disk.write(&records, &changes) };
            (staged, written)
        };
        if let Err(error) = &written {
            tracing::error!(%error, "the store could not be written");
        }
        let mut answers = Vec::with_capacity(staged.len());
        let mut durable = Vec::new();
        for (result, answer) in staged {
            let result = match (result, &written) {
                (Ok(_), Err(error)) => Err(error.clone()),
                (Ok((revision, changes)), Ok(())) => {
                    durable.extend(changes);
                    Ok(revision)
                }
                // It may be in conflict only with a batch of this group that was not written, so the disk is to blame.
                (Err(StoreError::Conflict { .. }), Err(error)) => Err(error.clone()),
                (Err(error), _) => Err(error),
            };
            answers.push((result, answer));
        }
        self.records.write().unwrap_or_else(PoisonError::into_inner).apply(&durable);
        for change in durable {
            // Nobody watching is fine.
            let _ = self.changes.send(change);
        }
        for (result, answer) in answers {
            // Whoever dropped the future no longer wants to know.
            let _ = answer.send(result);
        }
    }
}
