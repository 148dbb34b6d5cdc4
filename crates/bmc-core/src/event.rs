//! What happens on all BMCs: numbered, kept in a bounded ring, and broadcast to whoever follows.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use crate::account::AccountChange;
use crate::boot::{BootEnabled, BootTarget};
use crate::control::Limited;
use crate::media::MediaSlot;
use crate::power::ChangeCause;
use crate::sensor::ThresholdEvent;
use crate::settings::dcmi::ExceptionAction;
use crate::watchdog::{PreTimeoutInterrupt, TimeoutAction, TimerUse};

pub(crate) mod stored;
mod words;

pub use stored::EVENTS_STORED_MAX;

/// Events kept in memory for late readers, all BMCs together.
pub const EVENT_RING_ENTRIES: usize = 10_000;
/// Events a follower may lag behind before it is told that it missed some.
pub const FOLLOWER_LAG_EVENTS: usize = 1_024;

/// How an operation that takes time gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationStep {
    /// It has begun.
    Started,
    /// It was done.
    Completed,
    /// It failed.
    Failed,
    /// It was ended before it was done.
    Cancelled,
    /// Nobody can ask about it any more.
    Removed,
}

impl OperationStep {
    /// The name used in the CLI and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Removed => "removed",
        }
    }
}

/// What happened. A power change is one event; a cycle is two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventKind {
    /// The machine is on.
    PoweredOn {
        /// Who or what did it.
        cause: ChangeCause,
    },
    /// The machine is off.
    PoweredOff {
        /// Who or what did it.
        cause: ChangeCause,
    },
    /// Mains power was lost, and is back now.
    MainsLost,
    /// The machine was reset without losing power.
    Reset,
    /// The guest restarted itself.
    Rebooted,
    /// The hypervisor holds the machine.
    Paused {
        /// Who or what did it.
        #[serde(default)]
        cause: ChangeCause,
    },
    /// The machine runs on after a pause.
    Resumed,
    /// The guest's operating system panicked.
    Panicked,
    /// What lies behind a disk of the machine could not be read or written.
    DiskFailed {
        /// The disk's name.
        disk: String,
        /// Why.
        reason: String,
    },
    /// A shutdown was asked of the operating system.
    ShutdownRequested,
    /// The operating system did not shut down in time; the machine stays on.
    ShutdownIgnored,
    /// A diagnostic interrupt was delivered.
    Nmi,
    /// An operation that had been acknowledged failed.
    PowerFault {
        /// What failed and why.
        reason: String,
    },
    /// The boot override was set or cleared.
    BootOverrideSet {
        /// The new target.
        target: BootTarget,
        /// For how long.
        enabled: BootEnabled,
    },
    /// A one-time boot override was used up by a boot.
    BootOverrideUsed {
        /// What it named.
        target: BootTarget,
    },
    /// The firmware handed over.
    Booted {
        /// To what, in plain words.
        from: String,
    },
    /// The watchdog timer will expire soon.
    WatchdogPreTimeout {
        /// What the timer is used for.
        timer_use: TimerUse,
        /// What warns the machine.
        interrupt: PreTimeoutInterrupt,
    },
    /// The watchdog timer has expired. What its action does to the machine is an event of its own.
    WatchdogExpired {
        /// What the timer was used for.
        timer_use: TimerUse,
        /// What warned the machine before.
        interrupt: PreTimeoutInterrupt,
        /// What is done to the machine.
        action: TimeoutAction,
        /// The event belongs in the event log of the machine; "don't log" was not set.
        log: bool,
    },
    /// The machine cannot be controlled.
    Unavailable {
        /// Why, and what to do.
        reason: String,
    },
    /// The machine can be controlled again.
    Available,
    /// The BMC serves.
    Started,
    /// The BMC no longer serves.
    Stopped,
    /// A client reset the BMC, not the machine: sessions ended.
    BmcReset {
        /// A cold reset, which also took settings that are not kept back to what they are after a start.
        cold: bool,
    },
    /// An image is in a drive of the BMC.
    MediaInserted {
        /// Which drive.
        slot: MediaSlot,
        /// From where it was fetched, without credentials.
        image: String,
    },
    /// An image is no longer in a drive of the BMC.
    MediaEjected {
        /// Which drive.
        slot: MediaSlot,
        /// From where it had been fetched.
        image: String,
    },
    /// An image could not be put into a drive of the BMC, or got lost from it.
    MediaFailed {
        /// Which drive.
        slot: MediaSlot,
        /// From where it was to be fetched.
        image: String,
        /// Why.
        reason: String,
    },
    /// A sensor's reading went beyond a threshold or came back.
    SensorThreshold(ThresholdEvent),
    /// A wrong user name or password.
    LoginFailed {
        /// The name that was given.
        user: String,
        /// From where.
        source: String,
    },
    /// A limit that a client set (DCMI) was exceeded for as long as it may be.
    LimitExceeded {
        /// What was limited.
        limited: Limited,
        /// What it was, in its unit.
        reading: u32,
        /// What it may be.
        limit: u32,
        /// What was done about it.
        action: ExceptionAction,
    },
    /// Somebody opened an IPMI session. Only where the session audit sensor's event enables ask for it: a poller does that all day.
    SessionOpened {
        /// Who.
        user: String,
        /// From where.
        source: String,
    },
    /// An IPMI session ended, however that came about. Likewise.
    SessionClosed {
        /// Whose.
        user: String,
        /// From where it was used last.
        source: String,
    },
    /// Too many wrong passwords.
    LockedOut {
        /// Whose.
        user: String,
        /// From where the last one came.
        source: String,
        /// The event belongs in the event log of the machine: the BMC's own rule (IPMI's LAN parameter 26) says whether what it locks does.
        #[serde(default = "yes")]
        log: bool,
    },
    /// Somebody may log in who could not before: an account got a name.
    AccountCreated {
        /// Its id. (`id` is the event's own, beside which this stands when stored and told.)
        account: u8,
        /// Its name.
        user: String,
    },
    /// An account was given up.
    AccountRemoved {
        /// Its id.
        account: u8,
        /// The name that it had.
        user: String,
    },
    /// An account is another than before.
    AccountChanged {
        /// Its id.
        account: u8,
        /// Its name, the new one if that is what changed.
        user: String,
        /// In which way.
        change: AccountChange,
    },
    /// A volume was made.
    VolumeCreated {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
        /// Its RAID level, in words.
        raid: String,
    },
    /// A volume is gone.
    VolumeDeleted {
        /// Its number.
        number: u32,
        /// The name that it had.
        name: String,
    },
    /// A volume was erased.
    VolumeInitialized {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// An operation that takes time, and that a client asked a frontend for, came to another step.
    Operation {
        /// Its number among those of that frontend.
        task: u64,
        /// What it does, in a few words.
        name: String,
        /// How far it came.
        step: OperationStep,
    },
    /// A client wanted an event, to see who hears of it. Nothing happened.
    Test {
        /// The message, in the terms of the frontend that was asked.
        message: String,
        /// What else the event shall say, likewise.
        details: serde_json::Value,
    },
}

fn yes() -> bool {
    true
}

/// In plain words, as people read it.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::words(self))
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by at least one from event to event, also over restarts.
    pub id: u64,
    /// When.
    pub time: Timestamp,
    /// The BMC's name.
    pub bmc: String,
    /// The machine's UUID.
    pub machine: Uuid,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The events of all BMCs of this daemon.
#[derive(Debug)]
pub struct EventLog {
    ring: Mutex<Ring>,
    followers: broadcast::Sender<Event>,
    /// Who waits for events of one BMC only, by its name.
    bells: Mutex<HashMap<String, Weak<Notify>>>,
}

#[derive(Debug)]
struct Ring {
    next_id: u64,
    events: VecDeque<Event>,
}

impl EventLog {
    /// An empty log whose first event has id `first_id`.
    pub fn new(first_id: u64) -> Self {
        Self::with_past(first_id, Vec::new())
    }

    /// A log that goes on from these events, oldest first and all with ids below `first_id`.
    pub(crate) fn with_past(first_id: u64, past: Vec<Event>) -> Self {
        let ring = Ring { next_id: first_id, events: past.into() };
        Self {
            ring: Mutex::new(ring),
            followers: broadcast::Sender::new(FOLLOWER_LAG_EVENTS),
            bells: Mutex::default(),
        }
    }

    /// Numbers an event, keeps it and tells the followers.
    pub fn emit(&self, time: Timestamp, bmc: &str, machine: Uuid, kind: EventKind) {
        // The lock is held over the broadcast so that followers see ids in order; neither step waits.
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event { id: ring.next_id, time, bmc: bmc.to_owned(), machine, kind };
        ring.next_id += 1;
        // The past may have been longer than the ring.
        while ring.events.len() >= EVENT_RING_ENTRIES {
            ring.events.pop_front();
        }
        ring.events.push_back(event.clone());
        // No follower is a normal state.
        let _ = self.followers.send(event);
        drop(ring);
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(bmc).and_then(Weak::upgrade) {
            bell.notify_waiters();
        }
    }

    /// What rings after each event of this BMC and of no other; to be listened to before [`read`](Self::read).
    pub fn bell(&self, bmc: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(bmc).and_then(Weak::upgrade) {
            return bell;
        }
        bells.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::new(Notify::new());
        bells.insert(bmc.to_owned(), Arc::downgrade(&bell));
        bell
    }

    /// The kept events with an id above `after`, oldest first, and a receiver of all later ones without a gap.
    pub fn follow(&self, after: u64) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = ring.events.iter().filter(|event| event.id > after).cloned().collect();
        (kept, self.followers.subscribe())
    }

    /// The first kept events with an id above `after` that `wanted` lets pass, at most `max`, oldest first; and the id up to which all were
    /// looked at.
    pub fn read(&self, after: u64, max: usize, wanted: impl Fn(&Event) -> bool) -> (Vec<Event>, u64) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut seen) = (Vec::new(), after);
        let first = ring.events.partition_point(|event| event.id <= after);
        for event in ring.events.range(first..) {
            if found.len() == max {
                break;
            }
            seen = event.id;
            if wanted(event) {
                found.push(event.clone());
            }
        }
        (found, seen)
    }

    /// A receiver of all events from now on; good as a bell too.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.followers.subscribe()
    }

    /// The last `most` kept events of one BMC with an id above `after`, oldest first.
    pub fn last_of(&self, bmc: &str, after: u64, most: usize) -> Vec<Event> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = ring.events.iter().rev().take_while(|event| event.id > after);
        let mut events: Vec<Event> = newest.filter(|event| event.bmc == bmc).take(most).cloned().collect();
        events.reverse();
        events
    }

    /// The id the next event will have.
    pub fn next_id(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).next_id
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[test]
    fn a_bell_rings_for_its_own_bmc() {
        let log = EventLog::new(1);
        let emit = |bmc: &str| log.emit(Timestamp::UNIX_EPOCH, bmc, Uuid::nil(), EventKind::Resumed);
        let (bell, same) = (log.bell("a"), log.bell("a"));
        let mut heard = [pin!(bell.notified()), pin!(same.notified())];
        let mut rung = || heard.iter_mut().map(|heard| heard.as_mut().enable()).collect::<Vec<_>>();
        assert_eq!(rung(), [false, false]);
        emit("b");
        assert_eq!(rung(), [false, false], "another's event");
        emit("a");
        assert_eq!(rung(), [true, true]);
        let other = log.bell("b");
        drop((other, log.bell("c")));
        log.bell("d");
        assert_eq!(log.bells.lock().unwrap().len(), 2, "bells that nobody hears are forgotten");
    }
}
