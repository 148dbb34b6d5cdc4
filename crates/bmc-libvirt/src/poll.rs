//! Asks for statistics now and then, in one call for all domains of a connection, as long as one of ours runs.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use crate::connection::{CALL_TIMEOUT, Caller};
use crate::hub::Hub;
use crate::sys;
use crate::track::Instance;
use crate::watch::Watch;

/// Calls for statistics under way at a time. A domain whose emulator hangs can hold up one for as long as it likes; the next one does not
/// wait for that domain, and tells of all others.
const UNDER_WAY_MAX: usize = 2;

/// Shortest interval; libvirt takes about as long for a large host.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Polls until the hub is gone.
pub(crate) async fn poll(hub: Weak<Hub>, caller: Caller, interval: Duration) {
    let mut ticks = tokio::time::interval(interval.max(INTERVAL_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    loop {
        ticks.tick().await;
        let Some(running) = hub.upgrade().map(|hub| hub.running()) else { return };
        if running.is_empty() {
            continue;
        }
        let Ok(turn) = Arc::clone(&under_way).try_acquire_owned() else { continue };
        let caller = caller.clone();
        tokio::spawn(async move {
            let answer = caller.call(CALL_TIMEOUT, "tell statistics", move |connect| {
                // Held for as long as the call really takes.
                let _turn = turn;
                let counted = sys::domain_stats(connect)?;
                Ok((Instant::now(), counted))
            });
            match answer.await {
                Ok((at, counted)) => tell(at, &counted, &running),
                // Of a lost connection others tell.
                Err(error) => tracing::debug!(uri = caller.uri(), %error, "no statistics"),
            }
        });
    }
}

fn tell(at: Instant, counted: &[(uuid::Uuid, sys::Counters)], running: &[(Weak<Watch>, Instance)]) {
    let by_uuid: std::collections::HashMap<_, _> =
        counted.iter().map(|(uuid, counters)| (*uuid, counters)).collect();
    for (watch, instance) in running {
        let Some(watch) = watch.upgrade() else { continue };
        if let Some(counters) = watch.uuid().and_then(|uuid| by_uuid.get(&uuid)) {
            watch.counted(at, *instance, counters);
        }
    }
}
