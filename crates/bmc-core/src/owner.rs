//! The owners of the machines: a few tasks, each the only one that changes the machines of its shard.
//!
//! An owner takes one input after another, lets the machine's [`Control`] decide, commits the record if it changed, publishes the
//! snapshot and carries out the effects, in this order: nobody is told of what is not durable. While a machine waits for its commit,
//! its further inputs wait in its inbox; other machines go on. A backend call is a task of its own that reports back.
//!
//! ```text
//!  handle ─request─►┐                         ┌─► store commit ─┐
//!  backend ─report─►│ owner: Control::handle ─┤                 ├─► publish, reply, call, emit
//!  timers ─────────►│                         └─ (no change) ───┘
//!  calls ──done────►┘
//! ```
//!
//! An idle machine costs an entry in a map: no task, no timer.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinError};
use tracing::{debug, error};

use crate::alert::Alert;
use crate::backend::{Machine, Report};
use crate::bmc::BmcReset;
use crate::clock::Clock;
use crate::control::{CallId, Control, Effect, Input, Limited, MachineRecord, Now, Op, RequestId, Timer};
use crate::error::{BackendError, BackendErrorKind, RequestError};
use crate::event::{EventKind, EventLog};
use crate::media::{FetchedImage, MediaError, MediaErrorKind, MediaLibrary, MediaSource};
use crate::request::{Outcome, Request};
use crate::screen::Screenshot;
use crate::sel::{SelWrites, StoredEntry, entry_key};
use crate::snapshot::Snapshot;
use crate::store::{Expect, Store, StoreError, Write};
use crate::uuids::Uuids;

/// Numbers a machine for as long as it is served; never used again.
pub(crate) type MachineKey = u64;

/// The way back to who asked. Holds the request's place among the machine's pending ones until it is answered, also when nobody waits for
/// the answer any more: a client that breaks off cannot make room for more work than was bargained for.
pub(crate) struct Answer {
    pub(crate) sender: oneshot::Sender<Result<Outcome, RequestError>>,
    pub(crate) _place: OwnedSemaphorePermit,
}

/// The way back to who wants a picture of the screen. Holds the machine's place for that until the backend has answered, whoever waits.
pub(crate) struct Camera {
    pub(crate) sender: oneshot::Sender<Result<Screenshot, RequestError>>,
    pub(crate) _place: OwnedSemaphorePermit,
}

/// How long after a failed commit the same state is tried again, until it is stored.
pub const STORE_RETRY_AFTER: Duration = Duration::from_secs(10);

/// When a timer runs out, and a number of its own.
type TimerKey = (Instant, u64);

/// What is due when a timer runs out.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// The machine's own affair.
    Control(Timer),
    /// What could not be stored is tried again.
    Store,
}

/// What an owner is told.
pub(crate) enum Message {
    Adopt(MachineKey, Box<Adoption>),
    /// Ends when the machine is released and its last commit is done.
    Release(MachineKey, oneshot::Sender<()>),
    Request(MachineKey, Request, Answer),
    Screenshot(MachineKey, Camera),
    Report(MachineKey, Box<Report>),
    Note(MachineKey, EventKind),
    CallDone(MachineKey, CallId, Result<(), BackendError>),
    Fetched(MachineKey, CallId, Result<FetchedImage, MediaError>),
    /// The firmware could not be set up for a boot; the call goes on.
    NotSetUp(MachineKey, CallId, BackendError),
    Committed(MachineKey, Result<(), StoreError>),
}

/// A machine to take care of.
pub(crate) struct Adoption {
    pub(crate) name: Arc<str>,
    pub(crate) control: Control,
    /// The record as it stands in the store; `None` when it is not there yet.
    pub(crate) committed: Option<MachineRecord>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(crate) alerts: broadcast::Sender<Alert>,
}

/// What all owners share.
pub(crate) struct Surroundings {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) uuids: Uuids,
    /// Who fetches images; nobody until somebody is named.
    pub(crate) media: OnceLock<Arc<dyn MediaLibrary>>,
}

struct Slot {
    name: Arc<str>,
    control: Control,
    committed: Option<MachineRecord>,
    machine: Arc<dyn Machine>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    alerts: broadcast::Sender<Alert>,
    replies: HashMap<RequestId, Answer>,
    next_request: RequestId,
    /// The images that are being fetched.
    fetches: HashMap<CallId, AbortHandle>,
    /// Present while a commit is under way.
    commit: Option<Commit>,
    inbox: VecDeque<Input>,
    /// The newest timer of each kind that runs long: only that one counts, so that only that one is kept.
    shutdown_timer: Option<TimerKey>,
    identify_timer: Option<TimerKey>,
    interval_timer: Option<TimerKey>,
    watchdog_timer: Option<TimerKey>,
    power_limit_timer: Option<TimerKey>,
    inlet_limit_timer: Option<TimerKey>,
    /// Present while the state could not be stored and nothing else has tried again.
    store_timer: Option<TimerKey>,
    released: Option<oneshot::Sender<()>>,
}

/// What waits for a commit.
struct Commit {
    record: MachineRecord,
    effects: Vec<Effect>,
    /// Where to return to if a request's change cannot be stored. A report cannot be undone: its change stays, and is tried again by
    /// `store_timer` or with the next change.
    undo: Option<(RequestId, Box<Control>)>,
}

impl Slot {
    /// Whether everything that is to outlive the daemon is in the store.
    fn is_stored(&self) -> bool {
        self.committed.as_ref() == Some(self.control.record()) && self.control.log_writes().is_empty()
    }
}

pub(crate) struct Owner {
    surroundings: Arc<Surroundings>,
    slots: HashMap<MachineKey, Slot>,
    timers: BTreeMap<TimerKey, (MachineKey, Due)>,
    next_timer: u64,
    sender: mpsc::WeakUnboundedSender<Message>,
}

/// Runs one owner until every handle to it is gone.
pub(crate) async fn run(
    surroundings: Arc<Surroundings>,
    sender: mpsc::WeakUnboundedSender<Message>,
    mut messages: mpsc::UnboundedReceiver<Message>,
) {
    let mut owner =
        Owner { surroundings, slots: HashMap::new(), timers: BTreeMap::new(), next_timer: 0, sender };
    loop {
        let deadline = owner.timers.first_key_value().map(|((at, _), _)| *at);
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => owner.take(message),
                None => return,
            },
            () = sleep_until(deadline) => owner.fire_timers(),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl Owner {
    fn take(&mut self, message: Message) {
        let (key, input) = match message {
            Message::Adopt(key, adoption) => return self.adopt(key, *adoption),
            Message::Release(key, done) => return self.release(key, done),
            Message::Committed(key, result) => return self.committed(key, result),
            Message::Screenshot(key, camera) => return self.take_picture(key, camera),
            Message::Request(key, request, reply) => {
                let Some(slot) = self.slots.get_mut(&key) else {
                    // The sender learns it from the dropped reply.
                    return;
                };
                slot.next_request += 1;
                slot.replies.insert(slot.next_request, reply);
                (key, Input::Request(slot.next_request, request))
            }
            Message::Note(key, kind) => (key, Input::Note(kind)),
            Message::Report(key, report) => (key, Input::Report(report)),
            Message::NotSetUp(key, call, error) => (key, Input::NotSetUp(call, error)),
            Message::CallDone(key, call, result) => (key, Input::CallDone(call, result)),
            Message::Fetched(key, call, result) => {
                let Some(slot) = self.slots.get_mut(&key) else {
                    // The machine is gone, and with it who wanted the image.
                    if let (Ok(image), Some(library)) = (result, self.surroundings.media.get()) {
                        library.release(&image.lease);
                    }
                    return;
                };
                slot.fetches.remove(&call);
                (key, Input::Fetched(call, result))
            }
        };
        self.input(key, input);
    }

    /// Nothing of the machine changes, so nothing waits for it, and it waits for nothing.
    fn take_picture(&self, key: MachineKey, camera: Camera) {
        // A sender that is dropped says that the machine is gone.
        let Some(slot) = self.slots.get(&key) else { return };
        if let Err(error) = slot.control.has_picture() {
            // Whoever asked may have stopped waiting.
            let _ = camera.sender.send(Err(error.into()));
            return;
        }
        let machine = Arc::clone(&slot.machine);
        tokio::spawn(async move {
            let picture = tokio::spawn(async move { machine.screenshot().await }).await;
            let picture = picture.unwrap_or_else(|broken| Err(broke_off(&broken)));
            let _ = camera.sender.send(picture.map_err(RequestError::from));
        });
    }

    fn adopt(&mut self, key: MachineKey, adoption: Adoption) {
        let slot = Slot {
            name: adoption.name,
            control: adoption.control,
            committed: adoption.committed,
            machine: adoption.machine,
            snapshots: adoption.snapshots,
            alerts: adoption.alerts,
            replies: HashMap::new(),
            next_request: 0,
            fetches: HashMap::new(),
            commit: None,
            inbox: VecDeque::new(),
            shutdown_timer: None,
            identify_timer: None,
            interval_timer: None,
            watchdog_timer: None,
            power_limit_timer: None,
            inlet_limit_timer: None,
            store_timer: None,
            released: None,
        };
        self.slots.insert(key, slot);
    }

    fn release(&mut self, key: MachineKey, done: oneshot::Sender<()>) {
        match self.slots.get_mut(&key) {
            Some(slot) if slot.commit.is_some() => slot.released = Some(done),
            _ => {
                if let Some(slot) = self.slots.remove(&key) {
                    slot.fetches.values().for_each(AbortHandle::abort);
                    self.surroundings.uuids.remove(slot.snapshots.borrow().uuid, &slot.name, key);
                }
                // Whoever released the machine may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn input(&mut self, key: MachineKey, input: Input) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.inbox.push_back(input);
        self.work(key);
    }

    /// Takes inputs from a machine's inbox until it is empty or a commit is under way.
    fn work(&mut self, key: MachineKey) {
        loop {
            let Some(slot) = self.slots.get_mut(&key) else { return };
            if slot.commit.is_some() {
                return;
            }
            let Some(input) = slot.inbox.pop_front() else { return };
            let now = Now {
                instant: self.surroundings.clock.now(),
                timestamp: self.surroundings.clock.timestamp(),
            };
            let undo = match &input {
                Input::Request(
                    id,
                    Request::Change(_)
                    | Request::Edit(_)
                    | Request::Sel(_)
                    | Request::Storage(_)
                    | Request::ResetBmc(BmcReset::ToDefaults(_)),
                ) => Some((*id, Box::new(slot.control.clone()))),
                _ => None,
            };
            let effects = slot.control.handle(now, input);
            if slot.is_stored() {
                self.carry_out(key, effects);
            } else {
                self.begin_commit(key, effects, undo);
            }
        }
    }

    fn begin_commit(
        &mut self,
        key: MachineKey,
        effects: Vec<Effect>,
        undo: Option<(RequestId, Box<Control>)>,
    ) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if let Some(timer) = slot.store_timer.take() {
            self.timers.remove(&timer);
        }
        let record = slot.control.record().clone();
        let batch = batch(&slot.name, slot.committed.as_ref(), &record, slot.control.log_writes());
        slot.commit = Some(Commit { record, effects, undo });
        let Some(sender) = self.sender.upgrade() else { return };
        let store = Arc::clone(&self.surroundings.store);
        tokio::spawn(async move {
            let result = match batch {
                Ok(batch) => store.commit(batch).await.map(|_| ()),
                Err(error) => Err(StoreError::Failed(error.to_string())),
            };
            // The owner ends only when the daemon does.
            let _ = sender.send(Message::Committed(key, result));
        });
    }

    fn committed(&mut self, key: MachineKey, result: Result<(), StoreError>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(commit) = slot.commit.take() else { return };
        match result {
            Ok(()) => {
                slot.committed = Some(commit.record);
                // While it was under way the machine took no input.
                slot.control.log_stored();
                self.carry_out(key, commit.effects);
            }
            Err(failure) => {
                error!(bmc = %slot.name, %failure, "the state of this machine could not be stored");
                match commit.undo {
                    Some((request, before)) => {
                        slot.control = *before;
                        let reply = Err(RequestError::Store(failure.to_string()));
                        self.carry_out(key, vec![Effect::Reply(request, reply)]);
                    }
                    None => self.carry_out(key, commit.effects),
                }
                self.store_later(key);
            }
        }
        if let Some(done) = self.slots.get_mut(&key).and_then(|slot| slot.released.take()) {
            self.release(key, done);
        }
        self.work(key);
    }

    /// Sees to it that what could not be stored is tried again, also when nothing happens to the machine any more.
    fn store_later(&mut self, key: MachineKey) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.is_stored() {
            return;
        }
        self.next_timer += 1;
        let at = (self.surroundings.clock.now() + STORE_RETRY_AFTER, self.next_timer);
        slot.store_timer = Some(at);
        self.timers.insert(at, (key, Due::Store));
    }

    fn store_again(&mut self, key: MachineKey) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.store_timer = None;
        // A commit that is under way carries all there is.
        if slot.commit.is_none() && !slot.is_stored() {
            self.begin_commit(key, Vec::new(), None);
        }
    }

    fn carry_out(&mut self, key: MachineKey, effects: Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        publish(slot, key, &self.surroundings.uuids);
        for effect in effects {
            match effect {
                Effect::Reply(id, result) => {
                    if let Some(reply) = slot.replies.remove(&id) {
                        // A client that gave up waiting does not want to know.
                        let _ = reply.sender.send(result);
                    }
                }
                Effect::Call(id, op) => {
                    debug!(bmc = %slot.name, ?op, "calling the backend");
                    let machine = Arc::clone(&slot.machine);
                    let Some(sender) = self.sender.upgrade() else { return };
                    let refused = {
                        let sender = sender.clone();
                        // The owner ends only when the daemon does.
                        move |error| drop(sender.send(Message::NotSetUp(key, id, error)))
                    };
                    tokio::spawn(async move {
                        // A task of its own, so that a backend that panics ends its call and not the machine's life.
                        let result =
                            tokio::spawn(async move { call(machine.as_ref(), op, refused).await }).await;
                        let result = result.unwrap_or_else(|broken| Err(broke_off(&broken)));
                        // The owner ends only when the daemon does.
                        let _ = sender.send(Message::CallDone(key, id, result));
                    });
                }
                Effect::Fetch(id, source) => {
                    let library = self.surroundings.media.get().map(Arc::clone);
                    let Some(sender) = self.sender.upgrade() else { return };
                    let fetching = tokio::spawn(async move {
                        let result = fetch(library, &source).await;
                        // The owner ends only when the daemon does.
                        let _ = sender.send(Message::Fetched(key, id, result));
                    });
                    slot.fetches.insert(id, fetching.abort_handle());
                }
                Effect::StopFetch(id) => {
                    if let Some(fetching) = slot.fetches.remove(&id) {
                        fetching.abort();
                    }
                }
                Effect::Release(lease) => {
                    if let Some(library) = self.surroundings.media.get() {
                        library.release(&lease);
                    }
                }
                Effect::After(delay, timer) => {
                    self.next_timer += 1;
                    let at = (self.surroundings.clock.now() + delay, self.next_timer);
                    let stale = match timer {
                        // Gone within the second.
                        Timer::Acknowledge(_) => None,
                        Timer::Shutdown(_) => slot.shutdown_timer.replace(at),
                        Timer::Identify(_) => slot.identify_timer.replace(at),
                        Timer::Interval(_) => slot.interval_timer.replace(at),
                        Timer::Watchdog(_) => slot.watchdog_timer.replace(at),
                        Timer::Limit(Limited::Power, _) => slot.power_limit_timer.replace(at),
                        Timer::Limit(Limited::InletTemperature, _) => slot.inlet_limit_timer.replace(at),
                    };
                    if let Some(stale) = stale {
                        self.timers.remove(&stale);
                    }
                    self.timers.insert(at, (key, Due::Control(timer)));
                }
                Effect::Again(id, change) => {
                    slot.inbox.push_front(Input::Request(id, Request::Change(change)));
                }
                // Without a frontend that sends alerts there is nobody to tell.
                Effect::Alert(alert) => drop(slot.alerts.send(alert)),
                Effect::Emit(kind) => {
                    let time = self.surroundings.clock.timestamp();
                    self.surroundings.events.emit(time, &slot.name, slot.control.uuid(), kind);
                }
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = self.surroundings.clock.now();
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                return;
            }
            match entry.remove() {
                (key, Due::Control(timer)) => self.input(key, Input::Timer(timer)),
                (key, Due::Store) => self.store_again(key),
            }
        }
    }
}

fn broke_off(broken: &JoinError) -> BackendError {
    BackendError::new(BackendErrorKind::Internal, format!("the call to the backend broke off: {broken}"))
}

/// Publishes the machine's state if it differs from what is public.
fn publish(slot: &mut Slot, key: MachineKey, uuids: &Uuids) {
    let mut snapshot = slot.control.snapshot();
    let public = Arc::clone(&slot.snapshots.borrow());
    if *public == snapshot {
        return;
    }
    // Before the snapshot, so that whoever reads a UUID there finds the machine by it.
    if public.uuid != snapshot.uuid {
        uuids.insert(snapshot.uuid, &slot.name, key);
        uuids.remove(public.uuid, &slot.name, key);
    }
    snapshot.revision += 1;
    slot.control.published(snapshot.revision);
    slot.snapshots.send_replace(Arc::new(snapshot));
}

/// Carries out an operation; `refused` is told when the firmware could not be set up for a boot that takes place all the same.
async fn call(
    machine: &dyn Machine,
    op: Op,
    refused: impl FnOnce(BackendError) + Send,
) -> Result<(), BackendError> {
    let op = match op {
        Op::SetUp(setup, boot) => {
            match machine.set_up(&setup).await {
                Err(error) if is_passing(error.kind) => return Err(error),
                Err(error) => refused(error),
                Ok(()) => {}
            }
            *boot
        }
        op => op,
    };
    match op {
        Op::Start(plan) => machine.start(&plan).await,
        Op::Stop => machine.stop().await,
        Op::Shutdown => machine.shutdown().await,
        Op::Reset(plan) => machine.reset(&plan).await,
        Op::Resume => machine.resume().await,
        Op::Nmi => machine.nmi().await,
        Op::SetFirmware(mode) => machine.set_firmware(mode).await,
        Op::CreateVolume(volume) => machine.create_volume(&volume).await,
        Op::DeleteVolume(volume) => machine.delete_volume(&volume).await,
        Op::InitializeVolume(volume) => machine.initialize_volume(&volume).await,
        Op::InsertMedia(image) => machine.insert_media(&image).await,
        Op::EjectMedia(slot) => machine.eject_media(slot).await,
        Op::SetBootOrder(order) => machine.set_boot_order(&order).await,
        Op::SetSystemInterface(device) => machine.set_system_interface(device.as_deref()).await,
        // One set-up does not stand in another.
        Op::SetUp(..) => Err(BackendError::new(BackendErrorKind::Internal, "a set-up within a set-up")),
    }
}

/// Fetches an image, if there is anybody who does.
async fn fetch(
    library: Option<Arc<dyn MediaLibrary>>,
    source: &MediaSource,
) -> Result<FetchedImage, MediaError> {
    match library {
        Some(library) => library.fetch(source).await,
        None => Err(MediaError::new(
            MediaErrorKind::Internal,
            source.uri.clone(),
            "this service has no place to keep images in",
        )),
    }
}

/// Whether a failure is one of the way to the machine, so that the boot that comes next would fail too, and later both may do.
fn is_passing(kind: BackendErrorKind) -> bool {
    matches!(
        kind,
        BackendErrorKind::NotFound
            | BackendErrorKind::Busy
            | BackendErrorKind::Timeout
            | BackendErrorKind::Unavailable
    )
}

/// What is to be written: the record if it changed, and each entry of the event log that was added or deleted.
fn batch(
    name: &str,
    committed: Option<&MachineRecord>,
    record: &MachineRecord,
    log: &SelWrites,
) -> Result<Vec<Write>, serde_json::Error> {
    let mut batch = Vec::with_capacity(1 + log.len());
    if committed != Some(record) {
        let value = Some(serde_json::to_vec(record)?);
        batch.push(Write { key: record_key(name), expect: Expect::Anything, value });
    }
    for (number, entry) in log {
        let value = entry.as_ref().map(|entry| serde_json::to_vec(&StoredEntry::new(entry))).transpose()?;
        batch.push(Write { key: entry_key(name, *number), expect: Expect::Anything, value });
    }
    Ok(batch)
}

/// Where a machine's record stands in the store.
pub(crate) fn record_key(name: &str) -> String {
    format!("machine/{name}")
}
