//! A place in the core's event log, and what comes behind it that concerns a service.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use bmc_core::event::{Event, EventKind, EventLog};
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::scope::Scope;

/// Events taken out of the log at a time.
const BATCH: usize = 32;

/// Whether an event concerns a service: those of its machines, and of operations and tests only its own.
fn concerns(event: &Event, scope: &Scope) -> bool {
    let own = || *event.bmc == *scope.lockout_name();
    match (&event.kind, scope) {
        (EventKind::Operation { .. } | EventKind::Test { .. }, _) | (_, Scope::One { .. }) => own(),
        (_, Scope::All { .. }) => true,
    }
}

/// Reads the log, event by event.
pub(super) struct Follower {
    log: Arc<EventLog>,
    scope: Scope,
    /// The id up to which all was read.
    seen: u64,
    batch: VecDeque<Event>,
    wake: Wake,
}

/// What tells that there may be something to read.
enum Wake {
    /// Any event.
    All(Receiver<Event>),
    /// One of the BMC whose service it is: with many BMCs nobody wakes for the others'.
    One(Arc<Notify>),
}

impl Follower {
    /// Begins behind the event `after`; with one BMC not before the first of its own, for an earlier BMC may have had its name.
    pub(super) fn new(scope: Scope, after: u64) -> Self {
        let log = Arc::clone(scope.fleet().events());
        let wake = match &scope {
            Scope::One { .. } => Wake::One(log.bell(&scope.lockout_name())),
            Scope::All { .. } => Wake::All(log.subscribe()),
        };
        let first = scope.machine().map_or(0, |machine| machine.snapshot().settings.manager.events_before);
        Self { log, scope, seen: after.max(first), batch: VecDeque::new(), wake }
    }

    /// The next event; none when the log is gone. What the ring no longer has is skipped.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.batch.pop_front() {
                return Some(event);
            }
            // First the bell, then the look: nothing that comes in between is missed.
            let scope = &self.scope;
            let look = || self.log.read(self.seen, BATCH, |event| concerns(event, scope));
            match &mut self.wake {
                Wake::All(wake) => {
                    *wake = wake.resubscribe();
                    let (batch, seen) = look();
                    (self.batch, self.seen) = (batch.into(), seen);
                    if self.batch.is_empty() && matches!(wake.recv().await, Err(RecvError::Closed)) {
                        return None;
                    }
                }
                Wake::One(bell) => {
                    let mut rung = pin!(bell.notified());
                    rung.as_mut().enable();
                    let (batch, seen) = look();
                    (self.batch, self.seen) = (batch.into(), seen);
                    if self.batch.is_empty() {
                        rung.await;
                    }
                }
            }
        }
    }
}
