//! Events over restarts: the newest of them lie in the store, one record each under `event/<id>`.
//!
//! ```text
//!   emit ─► ring, followers ─► keeper ─► one commit for all that came since the last ─► store
//! ```
//!
//! Nobody waits for it: an event is told at once, and stored right behind. So what was told in the moment before the process is killed may be missing
//! afterwards; its id is not used again. What an event tells *of* is durable before, as everything that is acknowledged.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use tokio::sync::{broadcast, watch};

use crate::event::{Event, EventLog};
use crate::owner::STORE_RETRY_AFTER;
use crate::store::{Expect, Store, StoreError, Write};

/// Events that outlast the daemon, all BMCs together; of more the oldest are forgotten.
pub const EVENTS_STORED_MAX: usize = 4_096;
/// Events stored by one commit.
const BATCH: usize = 256;
/// How the keys of events begin.
const PREFIX: &str = "event/";

/// The key of an event. Keys sort as ids do.
fn key(id: u64) -> String {
    format!("{PREFIX}{id:016x}")
}

/// The id in a key.
fn id_of(key: &str) -> Option<u64> {
    u64::from_str_radix(key.strip_prefix(PREFIX)?, 16).ok()
}

/// The events that are stored, oldest first, and the ids of all. One that cannot be read, because it was stored by another version, is
/// left out; its id is there, so that it is forgotten in its turn.
pub(crate) async fn load(store: &dyn Store) -> Result<(Vec<Event>, VecDeque<u64>), StoreError> {
    let stored = store.list(PREFIX).await?;
    let mut events: Vec<Event> = stored
        .iter()
        .filter_map(|record| {
            let event = serde_json::from_slice(&record.value);
            event
                .inspect_err(
                    |error| tracing::warn!(key = %record.key, %error, "a stored event cannot be read"),
                )
                .ok()
        })
        .collect();
    events.sort_unstable_by_key(|event| event.id);
    let mut ids: Vec<u64> = stored.iter().filter_map(|record| id_of(&record.key)).collect();
    ids.sort_unstable();
    Ok((events, ids.into()))
}

/// Stores what happens, until the log is gone. `stored` are the ids that are in the store; `told` is told up to which id all is.
pub(crate) async fn keep(
    log: Weak<EventLog>,
    store: Arc<dyn Store>,
    mut stored: VecDeque<u64>,
    told: watch::Sender<u64>,
) {
    let Some(mut bell) = log.upgrade().map(|log| log.subscribe()) else { return };
    let mut after = *told.borrow();
    loop {
        // First the bell, then the look: nothing that comes in between is missed.
        bell = bell.resubscribe();
        let Some((events, seen)) = log.upgrade().map(|log| log.read(after, BATCH, |_| true)) else { return };
        if events.is_empty() {
            match bell.recv().await {
                Err(broadcast::error::RecvError::Closed) => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
            }
        }
        let (batch, kept) = batch(&events, &stored);
        match store.commit(batch).await {
            Ok(_) => {
                (stored, after) = (kept, seen);
                told.send_replace(seen);
            }
            Err(failure) => {
                tracing::error!(%failure, "events could not be stored; they are tried again");
                tokio::time::sleep(STORE_RETRY_AFTER).await;
            }
        }
    }
}

/// What stores these events and forgets the oldest that are too many, and the ids that are stored then.
fn batch(events: &[Event], stored: &VecDeque<u64>) -> (Vec<Write>, VecDeque<u64>) {
    let mut kept = stored.clone();
    let mut batch = Vec::with_capacity(events.len() * 2);
    let write = |id, value| Write { key: key(id), expect: Expect::Anything, value };
    for event in events {
        // What cannot be written as JSON there is not; it would be left out.
        if let Ok(value) = serde_json::to_vec(event) {
            batch.push(write(event.id, Some(value)));
            kept.push_back(event.id);
        }
    }
    while kept.len() > EVENTS_STORED_MAX
        && let Some(oldest) = kept.pop_front()
    {
        batch.push(write(oldest, None));
    }
    (batch, kept)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::event::EventKind;
    use crate::store::{Change, Record, Revision};

    /// Full of events that another version has stored.
    struct Foreign;

    #[async_trait]
    impl Store for Foreign {
        async fn get(&self, _: &str) -> Result<Option<Record>, StoreError> {
            Ok(None)
        }

        async fn list(&self, _: &str) -> Result<Vec<Record>, StoreError> {
            let record = |id| Record { key: key(id), value: b"foreign".to_vec(), revision: Revision(1) };
            Ok((1..=EVENTS_STORED_MAX as u64).map(record).collect())
        }

        async fn commit(&self, _: Vec<Write>) -> Result<Revision, StoreError> {
            Ok(Revision(1))
        }

        fn watch(&self) -> broadcast::Receiver<Change> {
            broadcast::Sender::new(1).subscribe()
        }
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_is_forgotten_in_its_turn() {
        let (events, stored) = load(&Foreign).await.unwrap();
        assert_eq!((events, stored.len()), (vec![], EVENTS_STORED_MAX));
        let (time, bmc) = (Timestamp::UNIX_EPOCH, "a".to_owned());
        let event = Event { id: 1 << 32, time, bmc, machine: Uuid::nil(), kind: EventKind::Resumed };
        let (writes, kept) = batch(&[event], &stored);
        assert_eq!((&writes[1].key, &writes[1].value), (&key(1), &None));
        assert_eq!(kept.len(), EVENTS_STORED_MAX);
    }
}
