//! What is told to whoever asked to hear of events: subscriptions that are pushed to, and streams that are read.
//!
//! ```text
//!                    ┌─► told (table: registry message, origin, severity) ─► filter ─► push: POST, retried   (one task each,
//!  the core's log ───┤                                                                                        a place in the log,
//!  (ring, ids grow)  └─► told ─► filter ─► stream: server-sent events                                         no queue)
//! ```
//!
//! There is no queue per subscriber: each has its place in the core's ring and reads on from there. A subscriber that hangs costs one task
//! and one connection; what it cannot take in time is lost to it when the ring has turned, and to nobody else.
//!
//! Metric reports go the same two ways, each when its time has come: whoever wants them has a clock of its own, and without anybody there is none.
//!
//! Subscriptions are kept over restarts, streams are not. A subscription that was just kept hears of what happens from then on.

pub(crate) mod condition;
mod filter;
mod follow;
mod push;
pub(crate) mod stream;
pub(crate) mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bmc_core::fleet::frontend_prefix;
use bmc_core::store::{Expect, Write};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::error::Problem;
use crate::scope::Scope;

pub(crate) use condition::Condition;
pub(crate) use filter::Filter;

/// Subscriptions at once, streams apart; one more is refused.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 32;
/// Streams at once; one more is refused.
pub(crate) const STREAMS_MAX: usize = 16;
/// `DeliveryRetryAttempts` at first, and at most.
const ATTEMPTS: u32 = 3;
pub(crate) const ATTEMPTS_MAX: u32 = 100;
/// `DeliveryRetryIntervalSeconds` at first, and what it may be.
const INTERVAL_SECONDS: u32 = 30;
pub(crate) const INTERVAL_SECONDS_MIN: u32 = 1;
pub(crate) const INTERVAL_SECONDS_MAX: u32 = 3_600;

/// What happens when the retries of a delivery are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RetryPolicy {
    /// The subscription ends.
    #[default]
    TerminateAfterRetries,
    /// Nothing is sent until somebody resumes the subscription.
    SuspendRetries,
    /// It goes on.
    RetryForever,
    /// It goes on, ever more slowly.
    RetryForeverWithBackoff,
}

impl RetryPolicy {
    /// As the schema names them.
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("TerminateAfterRetries", Self::TerminateAfterRetries),
        ("SuspendRetries", Self::SuspendRetries),
        ("RetryForever", Self::RetryForever),
        ("RetryForeverWithBackoff", Self::RetryForeverWithBackoff),
    ];
}

/// What is sent (`EventFormatType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Format {
    /// Events.
    #[default]
    Event,
    /// Metric reports.
    MetricReport,
}

impl Format {
    /// As the schema names them.
    pub(crate) const NAMES: [(&'static str, Self); 2] =
        [("Event", Self::Event), ("MetricReport", Self::MetricReport)];

    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "Event",
            Self::MetricReport => "MetricReport",
        }
    }
}

/// A header to be sent with every event; its value may be a secret and is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretHeader {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretHeader").field(&self.name).finish()
    }
}

/// Somebody to whom events are pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: u64,
    /// Who asked for it.
    pub(crate) user: String,
    /// Where to: `http:` or `https:`.
    pub(crate) destination: String,
    pub(crate) context: Option<String>,
    pub(crate) headers: Vec<SecretHeader>,
    pub(crate) filter: Filter,
    #[serde(default)]
    pub(crate) format: Format,
    /// The ids of the metric reports that are sent; all where there are none.
    #[serde(default)]
    pub(crate) reports: Vec<String>,
    /// Whether the destination's certificate has to be good.
    pub(crate) verify: bool,
    pub(crate) policy: RetryPolicy,
    /// Nothing is sent.
    pub(crate) suspended: bool,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    pub(crate) attempts: u32,
    pub(crate) interval_seconds: u32,
    last_id: u64,
    pub(crate) subscriptions: BTreeMap<u64, Subscription>,
    /// How often the BMC had been reset to its defaults: all this counts until it is again.
    defaults: u64,
}

impl Default for Kept {
    fn default() -> Self {
        let subscriptions = BTreeMap::new();
        Self {
            attempts: ATTEMPTS,
            interval_seconds: INTERVAL_SECONDS,
            last_id: 0,
            subscriptions,
            defaults: 0,
        }
    }
}

/// A stream that somebody reads.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) condition: Condition,
    close: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    kept: Kept,
    streams: BTreeMap<u64, Stream>,
    /// The tasks that push, and why the last delivery failed, where it did.
    pushing: BTreeMap<u64, Pushing>,
}

/// A delivery that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) time: Timestamp,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
struct Pushing {
    end: CancellationToken,
    failure: Option<Failure>,
}

/// The subscriptions and streams of one service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Events(Arc<Inner>);

struct Inner {
    scope: Scope,
    background: Background,
    delivery_timeout: Duration,
    state: Mutex<State>,
    /// Held while what is kept is changed, so that changes are stored in the order in which they are made.
    changing: tokio::sync::Mutex<()>,
    clients: [OnceLock<Option<reqwest::Client>>; 2],
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.lock()).finish()
    }
}

impl Events {
    pub(crate) fn new(scope: Scope, background: Background, delivery_timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            scope,
            background,
            delivery_timeout,
            state: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            clients: Default::default(),
        }))
    }

    /// Takes up what was kept, and begins to push.
    pub(crate) async fn load(&self) {
        let store = self.0.scope.fleet().store();
        let stored = match store.get(&self.key()).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(%error, "the event subscriptions could not be read");
                return;
            }
        };
        let kept = stored.map(|record| serde_json::from_slice::<Kept>(&record.value));
        match kept {
            None => {}
            Some(Ok(kept)) => self.take_up(self.unless_reset(kept)),
            Some(Err(error)) => {
                tracing::error!(%error, "the stored event subscriptions cannot be understood")
            }
        }
    }

    /// How often the BMC was reset to its defaults; the root over all BMCs never is.
    fn defaults(&self) -> u64 {
        self.0.scope.machine().map_or(0, |machine| machine.snapshot().settings.manager.defaults)
    }

    /// What is left of what was kept when the BMC may have been reset to its defaults since: the ids that were used.
    fn unless_reset(&self, kept: Kept) -> Kept {
        let defaults = self.defaults();
        if kept.defaults == defaults {
            kept
        } else {
            Kept { defaults, last_id: kept.last_id, ..Kept::default() }
        }
    }

    /// Forgets all subscriptions and settings if the BMC was reset to its defaults. What is stored does not count any more, whether or not it is still there.
    pub(crate) fn heed_defaults(&self) {
        let kept = self.kept();
        if kept.defaults != self.defaults() {
            self.take_up(self.unless_reset(kept));
        }
    }

    fn key(&self) -> String {
        format!("{}redfish/events", frontend_prefix(&self.0.scope.lockout_name()))
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> Kept {
        self.lock().kept.clone()
    }

    /// The subscription with this id.
    pub(crate) fn subscription(&self, id: u64) -> Option<Subscription> {
        self.lock().kept.subscriptions.get(&id).cloned()
    }

    /// Why the last delivery to a subscriber failed; none where it did not.
    pub(crate) fn failure(&self, id: u64) -> Option<Failure> {
        self.lock().pushing.get(&id)?.failure.clone()
    }

    /// The streams that are open.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        self.lock().streams.values().cloned().collect()
    }

    /// Changes what is kept, as a whole or not at all; when this returns well the change is durable.
    ///
    /// # Errors
    /// Those of the change, and 500 when it cannot be stored.
    pub(crate) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Kept) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let _order = self.0.changing.lock().await;
        self.heed_defaults();
        let mut kept = self.kept();
        let outcome = change(&mut kept)?;
        if kept != self.kept() {
            let value = serde_json::to_vec(&kept).map_err(|_| Problem::internal())?;
            let write = Write { key: self.key(), expect: Expect::Anything, value: Some(value) };
            self.0.scope.fleet().store().commit(vec![write]).await.map_err(|error| {
                tracing::error!(%error, "the event subscriptions could not be stored");
                Problem::internal()
            })?;
            self.take_up(kept);
        }
        Ok(outcome)
    }

    /// Makes what is kept what is so: begins to push to who is new, and ends for who is gone.
    fn take_up(&self, kept: Kept) {
        let mut state = self.lock();
        state.pushing.retain(|id, pushing| {
            let stays = kept.subscriptions.contains_key(id);
            if !stays {
                pushing.end.cancel();
            }
            stays
        });
        let next = self.0.scope.fleet().events().next_id();
        for id in kept.subscriptions.keys() {
            if !state.pushing.contains_key(id) {
                let pushing = Pushing::default();
                let push = push::run(self.clone(), *id, next.saturating_sub(1), pushing.end.clone());
                self.0.background.spawn(push);
                state.pushing.insert(*id, pushing);
            }
        }
        let last_id = state.kept.last_id.max(kept.last_id);
        state.kept = Kept { last_id, ..kept };
    }

    /// Ends a stream; `false` when there is none with this id.
    pub(crate) fn close(&self, id: u64) -> bool {
        let stream = self.lock().streams.remove(&id);
        if let Some(stream) = &stream {
            stream.close.cancel();
        }
        stream.is_some()
    }

    /// Opens a stream; none when there are too many.
    fn open(&self, user: &str, condition: Condition) -> Option<Stream> {
        let mut state = self.lock();
        if state.streams.len() >= STREAMS_MAX || self.0.background.is_stopping() {
            return None;
        }
        // Ids of streams are not kept, and must not be those of subscriptions to come.
        state.kept.last_id += 1;
        let id = state.kept.last_id;
        let stream = Stream { id, user: user.to_owned(), condition, close: CancellationToken::new() };
        state.streams.insert(id, stream.clone());
        Some(stream)
    }

    /// Forgets that the last delivery to a subscriber failed.
    pub(crate) fn forgive(&self, id: u64) {
        self.note(id, None);
    }

    /// Notes how the last delivery went.
    fn note(&self, id: u64, failure: Option<String>) {
        let time = self.0.scope.fleet().clock().timestamp();
        let failure = failure.map(|reason| Failure { time, reason });
        if let Some(pushing) = self.lock().pushing.get_mut(&id) {
            pushing.failure = failure;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The id of a new subscription.
    pub(crate) fn take_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
