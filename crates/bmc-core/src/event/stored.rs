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

/// The events that are stored, oldest first. One that cannot be read, because it was stored by another version, is left out.
pub(crate) async fn load(store: &dyn Store) -> Result<Vec<Event>, StoreError> {
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
    Ok(events)
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
