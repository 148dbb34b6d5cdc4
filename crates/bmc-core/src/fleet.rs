//! The machines of this daemon, by name and UUID, and the handle through which frontends reach one.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use uuid::Uuid;

use crate::account::{AccountError, Accounts, Secret};
use crate::alert::{ALERTS_PENDING_MAX, Alert};
use crate::backend::{Backend, MachineRef, Reports};
use crate::boot::{BootOptions, BootOverride};
use crate::clock::Clock;
use crate::console::Console;
use crate::control::{BUSY_RETRY_AFTER, Control, MachineRecord};
use crate::error::RequestError;
use crate::event::{EventKind, EventLog, stored};
use crate::lockout::Lockouts;
use crate::media::{MediaLibrary, MediaRequest, MediaSlot};
use crate::owner::{self, Adoption, Answer, Camera, MachineKey, Message, Surroundings, record_key};
use crate::power::PowerPolicy;
use crate::request::{Outcome, Request};
use crate::screen::Screenshot;
use crate::sel::{Notices, Sel, SelEntry, SelState, StoredEntry, entry_number, entry_prefix};
use crate::settings::Settings;
use crate::settings::media::Medium;
use crate::snapshot::{Identity, Snapshot};
use crate::store::{Expect, Store, StoreError, Write};
use crate::uuids::Uuids;

/// Owner tasks; machines are dealt out to them in turn.
pub const OWNERS: usize = 4;
/// Requests that may wait for one machine; one more is refused as busy.
pub const REQUESTS_PENDING_MAX: usize = 64;
/// Longest name of a BMC in bytes.
pub const BMC_NAME_MAX_BYTES: usize = 64;
/// How long the machine of a BMC that goes for good may take to give up the medium in a drive.
const EJECT_LIMIT: Duration = Duration::from_secs(10);
/// Event ids taken at each start of the daemon: ids keep growing over restarts without a commit per event.
const EVENT_IDS_PER_START: u64 = 1 << 32;
const EVENT_ID_KEY: &str = "core/first-event-id";

/// A frontend's way to one machine. Cheap to clone.
#[derive(Clone)]
pub struct MachineHandle {
    name: Arc<str>,
    key: MachineKey,
    owner: mpsc::UnboundedSender<Message>,
    pending: Arc<Semaphore>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    alerts: broadcast::WeakSender<Alert>,
    console: Option<Console>,
    /// Its one permit is held while a picture of the screen is taken.
    screen: Arc<Semaphore>,
    notices: Arc<Notices>,
}

impl fmt::Debug for MachineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MachineHandle").field(&self.name).finish()
    }
}

impl MachineHandle {
    /// The BMC's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The state as last published. Never waits, never calls a hypervisor.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// A receiver that wakes at every newly published state.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// The alerts from now on; `None` once the machine is gone. Whoever is slow loses the oldest of more than [`ALERTS_PENDING_MAX`].
    pub fn alerts(&self) -> Option<broadcast::Receiver<Alert>> {
        self.alerts.upgrade().map(|alerts| alerts.subscribe())
    }

    /// The machine's serial console, if its backend offers one.
    pub fn console(&self) -> Option<&Console> {
        self.console.as_ref()
    }

    /// Takes a picture of the machine's screen, which the backend is asked for: one at a time.
    ///
    /// # Errors
    /// `Busy` while another is taken; the backend's, `InvalidState` for a machine that is off and `Unsupported` for one without a screen.
    pub async fn screenshot(&self) -> Result<Screenshot, RequestError> {
        let Ok(place) = Arc::clone(&self.screen).try_acquire_owned() else {
            return Err(RequestError::Busy { retry_after: BUSY_RETRY_AFTER });
        };
        let (sender, picture) = oneshot::channel();
        let message = Message::Screenshot(self.key, Camera { sender, _place: place });
        self.owner.send(message).map_err(|_| RequestError::Removed)?;
        picture.await.unwrap_or(Err(RequestError::Removed))
    }

    /// Tells the machine's owner of something that happened in a frontend: it becomes an event of the machine. Not everything that strangers do is worth one.
    pub fn note(&self, kind: EventKind) {
        if !self.notices.admits(&self.snapshot(), &kind) {
            return;
        }
        // An owner that is gone has no machine to log it for.
        let _ = self.owner.send(Message::Note(self.key, kind));
    }

    /// Asks the machine's owner, which carries the request out also if this future is dropped. Answers at the latest after [`ACKNOWLEDGE_AFTER`](crate::request::ACKNOWLEDGE_AFTER) plus the time of a
    /// commit; a change that switches the firmware mode takes as long as the backend does, and virtual
    /// media as long as the fetching of an image may take.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, request: Request) -> Result<Outcome, RequestError> {
        let Ok(place) = Arc::clone(&self.pending).try_acquire_owned() else {
            return Err(RequestError::Busy { retry_after: BUSY_RETRY_AFTER });
        };
        let (sender, answer) = oneshot::channel();
        let message = Message::Request(self.key, request, Answer { sender, _place: place });
        self.owner.send(message).map_err(|_| RequestError::Removed)?;
        answer.await.unwrap_or(Err(RequestError::Removed))
    }
}

/// A machine to serve.
#[derive(Clone, Debug)]
pub struct MachineSetup {
    /// The BMC's name: 1 to [`BMC_NAME_MAX_BYTES`] of ASCII letters, digits, `.`, `_`, `-`, not starting with a dot. Unique.
    pub name: String,
    /// The machine behind it. A UUID bound earlier and kept in the store wins over a bare name.
    pub machine: MachineRef,
    /// Name and password of the administrator, as configured.
    pub administrator: (String, Secret),
    /// The power restore policy; `None` keeps what is stored.
    pub power_policy: Option<PowerPolicy>,
    /// Who the machine says it is; `None` keeps what is stored, or a plain default.
    pub identity: Option<Identity>,
}

/// Why a machine is not served.
#[derive(Debug, Error)]
pub enum AddError {
    /// The name cannot stand in a URL or is too long.
    #[error(
        "{0:?} is no name for a BMC: use 1 to {BMC_NAME_MAX_BYTES} letters, digits, '.', '_' or '-', not starting with a dot"
    )]
    Name(String),
    /// There is one already.
    #[error("a BMC named {0} exists already")]
    Exists(String),
    /// The administrator's name or password.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds for this name is not readable; it is left as it is.
    #[error(
        "the stored state of {name} cannot be read ({reason}); remove the BMC with `polybmc remove {name}` to start afresh"
    )]
    Record {
        /// Whose.
        name: String,
        /// Why.
        reason: String,
    },
}

#[derive(Default)]
struct Registry {
    by_name: BTreeMap<Arc<str>, MachineHandle>,
    /// Names taken by an `add` that has not finished.
    arriving: HashSet<String>,
}

struct Inner {
    surroundings: Arc<Surroundings>,
    owners: Vec<mpsc::UnboundedSender<Message>>,
    registry: RwLock<Registry>,
    next_key: AtomicU64,
    lockouts: Arc<Lockouts>,
    /// Up to which id the events are stored.
    events_stored: watch::Receiver<u64>,
}

/// Every machine this daemon serves. Cheap to clone.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("owners", &self.0.owners.len()).finish_non_exhaustive()
    }
}

impl Fleet {
    /// An empty fleet over a store. Starts the owner tasks on the present tokio runtime.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let first_event_id = take_event_ids(store.as_ref()).await?;
        let (past, kept) = stored::load(store.as_ref()).await?;
        let events = Arc::new(EventLog::with_past(first_event_id, past));
        let (told, events_stored) = watch::channel(first_event_id.saturating_sub(1));
        tokio::spawn(stored::keep(Arc::downgrade(&events), Arc::clone(&store), kept, told));
        let surroundings =
            Arc::new(Surroundings { store, clock, events, uuids: Uuids::default(), media: OnceLock::new() });
        let owners = (0..OWNERS)
            .map(|_| {
                let (sender, messages) = mpsc::unbounded_channel();
                tokio::spawn(owner::run(Arc::clone(&surroundings), sender.downgrade(), messages));
                sender
            })
            .collect();
        Ok(Self(Arc::new(Inner {
            surroundings,
            owners,
            registry: RwLock::default(),
            next_key: AtomicU64::new(1),
            lockouts: Arc::default(),
            events_stored,
        })))
    }

    /// Waits until all events so far are stored, for the daemon's orderly end.
    pub async fn events_stored(&self) {
        let last = self.events().next_id().saturating_sub(1);
        // Who stores them ends with the fleet only.
        let _ = self.0.events_stored.clone().wait_for(|stored| *stored >= last).await;
    }

    /// Names who fetches images for virtual media; the first one stays. Without one, nothing can be inserted.
    pub fn set_media_library(&self, library: Arc<dyn MediaLibrary>) {
        // A second one is a mistake of the shell's that does no harm.
        let _ = self.0.surroundings.media.set(library);
    }

    /// Who fetches images, if somebody was named.
    pub fn media_library(&self) -> Option<Arc<dyn MediaLibrary>> {
        self.0.surroundings.media.get().map(Arc::clone)
    }

    /// What is in the drives of all stored machines, served or not.
    ///
    /// # Errors
    /// The store cannot be read. A record that cannot be read holds nothing.
    pub async fn stored_media(&self) -> Result<Vec<Medium>, StoreError> {
        let records = self.0.surroundings.store.list(&record_key("")).await?;
        let settings = records
            .iter()
            .filter_map(|record| serde_json::from_slice::<MachineRecord>(&record.value).ok())
            .map(|record| record.settings);
        let media = settings
            .flat_map(|settings| MediaSlot::ALL.map(|slot| settings.media.drive(slot).medium.clone()));
        Ok(media.flatten().collect())
    }

    /// Takes out what is in a machine's drives, as well as that can be done now.
    async fn empty_drives(&self, handle: &MachineHandle) {
        for slot in MediaSlot::ALL {
            if handle.snapshot().settings.media.drive(slot).medium.is_none() {
                continue;
            }
            let eject = handle.request(Request::Media(MediaRequest::Eject(slot)));
            if !matches!(tokio::time::timeout(EJECT_LIMIT, eject).await, Ok(Ok(_))) {
                tracing::warn!(bmc = %handle.name, slot = slot.as_str(), "the medium could not be taken out");
            }
        }
        let media = &handle.snapshot().settings.media;
        let left = MediaSlot::ALL.into_iter().filter_map(|slot| media.drive(slot).medium.as_ref());
        if let Some(library) = self.0.surroundings.media.get() {
            left.for_each(|medium| library.release(&medium.lease));
        }
    }

    /// Serves a machine: takes up what is stored under its name, attaches the backend and publishes a first snapshot, which says that the
    /// backend has not answered until it has.
    ///
    /// # Errors
    /// See [`AddError`]; nothing is served then.
    pub async fn add(
        &self,
        setup: MachineSetup,
        backend: Arc<dyn Backend>,
    ) -> Result<MachineHandle, AddError> {
        if !is_bmc_name(&setup.name) {
            return Err(AddError::Name(setup.name));
        }
        let reserved = self.reserve(&setup.name)?;
        let handle = self.add_reserved(setup, backend).await?;
        self.registry_mut().by_name.insert(Arc::clone(&handle.name), handle.clone());
        drop(reserved);
        Ok(handle)
    }

    fn reserve(&self, name: &str) -> Result<Reserved<'_>, AddError> {
        let mut registry = self.registry_mut();
        if registry.by_name.contains_key(name) || !registry.arriving.insert(name.to_owned()) {
            return Err(AddError::Exists(name.to_owned()));
        }
        Ok(Reserved { fleet: self, name: name.to_owned() })
    }

    async fn add_reserved(
        &self,
        setup: MachineSetup,
        backend: Arc<dyn Backend>,
    ) -> Result<MachineHandle, AddError> {
        let name: Arc<str> = setup.name.as_str().into();
        let stored = self.0.surroundings.store.get(&record_key(&name)).await?;
        let committed: Option<MachineRecord> =
            match stored {
                Some(record) => Some(serde_json::from_slice(&record.value).map_err(|error| {
                    AddError::Record { name: setup.name.clone(), reason: error.to_string() }
                })?),
                None => None,
            };
        let record = starting_record(setup, committed.clone(), self.events().next_id())?;

        let key = self.0.next_key.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "any spread will do")]
        let owner = self.0.owners[key as usize % self.0.owners.len()].clone();
        let (machine_ref, kept) = (record.machine.clone(), record.firmware.clone());
        // An entry that was stored without an offset from UTC counts as it was shown until then.
        let offset = record.sel.utc_offset.unwrap_or(0);
        let log = Sel::load(record.sel, self.stored_log(&name, offset).await?);
        let control = Control::new(Arc::clone(&name), record).with_log(log);
        let (snapshots, receiver) = watch::channel(Arc::new(control.snapshot()));
        // Before the owner knows the machine: from then on the owner keeps it.
        self.0.surroundings.uuids.insert(control.uuid(), &name, key);

        // The weak sender lets the owners end although backends hold on to their reports.
        let reports = owner.downgrade();
        let reports = Reports::new(move |report| {
            if let Some(owner) = reports.upgrade() {
                // The owner ends only when the daemon does.
                let _ = owner.send(Message::Report(key, Box::new(report)));
            }
        });
        // The owner must know the machine before its first report arrives, and the backend reports at once: so the owner is told of the
        // machine through the same queue, before the backend could possibly have spoken.
        let gate = Gate::default();
        let machine = backend.attach_kept(machine_ref, kept, gate.guard(reports));
        let console = machine.console();
        let (alerts, _) = broadcast::channel(ALERTS_PENDING_MAX);
        let weak_alerts = alerts.downgrade();
        let adoption = Adoption { name: Arc::clone(&name), control, committed, machine, snapshots, alerts };
        // An owner outlives every fleet.
        let _ = owner.send(Message::Adopt(key, Box::new(adoption)));
        gate.open();

        let pending = Arc::new(Semaphore::new(REQUESTS_PENDING_MAX));
        let notices = Arc::new(Notices::new(Arc::clone(&self.0.surroundings.clock)));
        Ok(MachineHandle {
            notices,
            name,
            key,
            owner,
            pending,
            snapshots: receiver,
            alerts: weak_alerts,
            console,
            screen: Arc::new(Semaphore::new(1)),
        })
    }

    /// The entries of a BMC's event log.
    async fn stored_log(&self, name: &str, utc_offset: i16) -> Result<Vec<SelEntry>, AddError> {
        let stored = self.0.surroundings.store.list(&entry_prefix(name)).await?;
        let entries = stored.iter().map(|record| {
            let unreadable = |reason: String| AddError::Record {
                name: name.to_owned(),
                reason: format!("entry {} of its event log: {reason}", record.key),
            };
            let number = entry_number(&record.key).ok_or_else(|| unreadable("no number".to_owned()))?;
            let stored: StoredEntry =
                serde_json::from_slice(&record.value).map_err(|error| unreadable(error.to_string()))?;
            stored.entry(number, utc_offset).map_err(|error| unreadable(error.to_string()))
        });
        entries.collect()
    }

    /// Serves a machine no longer; `forget` also deletes what is stored under its name. `false` when there is none of that name.
    ///
    /// # Errors
    /// The stored state could not be deleted; the machine is not served all the same.
    pub async fn remove(&self, name: &str, forget: bool) -> Result<bool, StoreError> {
        let handle = self.registry_mut().by_name.remove(name);
        if let Some(handle) = &handle {
            if forget {
                self.empty_drives(handle).await;
            }
            let (done, released) = oneshot::channel();
            if handle.owner.send(Message::Release(handle.key, done)).is_ok() {
                // An owner that is gone has released everything.
                let _ = released.await;
            }
        }
        if forget {
            let store = &self.0.surroundings.store;
            let mut records = store.list(&entry_prefix(name)).await?;
            records.extend(store.list(&frontend_prefix(name)).await?);
            let keys = records.into_iter().map(|record| record.key).chain([record_key(name)]);
            let batch = keys.map(|key| Write { key, expect: Expect::Anything, value: None }).collect();
            store.commit(batch).await?;
        }
        Ok(handle.is_some())
    }

    /// The machine of the BMC with this name, else with this machine UUID, else with this name in its backend. Only the last is looked for
    /// from machine to machine.
    pub fn find(&self, name_or_uuid: &str) -> Option<MachineHandle> {
        let registry = self.0.registry.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = registry.by_name.get(name_or_uuid) {
            return Some(handle.clone());
        }
        if let Ok(uuid) = Uuid::try_parse(name_or_uuid) {
            let known = |name: &str, key| registry.by_name.get(name).filter(|handle| handle.key == key);
            return self.0.surroundings.uuids.find(uuid, known).cloned();
        }
        let has_name = |handle: &&MachineHandle| {
            handle.snapshots.borrow().info.as_ref().is_some_and(|info| info.name == name_or_uuid)
        };
        registry.by_name.values().find(has_name).cloned()
    }

    /// All machines, in order of name.
    pub fn machines(&self) -> Vec<MachineHandle> {
        let registry = self.0.registry.read().unwrap_or_else(PoisonError::into_inner);
        registry.by_name.values().cloned().collect()
    }

    /// What happens on all machines.
    pub fn events(&self) -> &Arc<EventLog> {
        &self.0.surroundings.events
    }

    /// Where frontends keep what is theirs alone, under [`frontend_prefix`].
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.surroundings.store
    }

    /// The wrong passwords of late, shared by all protocols.
    pub fn lockouts(&self) -> &Arc<Lockouts> {
        &self.0.lockouts
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.surroundings.clock
    }

    fn registry_mut(&self) -> std::sync::RwLockWriteGuard<'_, Registry> {
        self.0.registry.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the keys of what a frontend keeps for a BMC begin. It goes when the BMC is removed for good.
pub fn frontend_prefix(bmc: &str) -> String {
    format!("frontend/{bmc}/")
}

/// A name that no other `add` can take until this is dropped, also when the `add` breaks off.
struct Reserved<'a> {
    fleet: &'a Fleet,
    name: String,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.fleet.registry_mut().arriving.remove(&self.name);
    }
}

/// Holds a backend's reports back until the owner has been told of the machine, keeping their order.
#[derive(Clone, Default)]
struct Gate(Arc<std::sync::Mutex<GateState>>);

#[derive(Default)]
struct GateState {
    open: bool,
    held: Vec<(Reports, crate::backend::Report)>,
}

impl Gate {
    fn guard(&self, reports: Reports) -> Reports {
        let gate = Arc::clone(&self.0);
        Reports::new(move |report| {
            let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            if gate.open {
                reports.send(report);
            } else {
                gate.held.push((reports.clone(), report));
            }
        })
    }

    fn open(&self) {
        let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gate.open = true;
        for (reports, report) in gate.held.drain(..) {
            reports.send(report);
        }
    }
}

/// The record to start with: what is stored, brought up to date with the configuration. A new BMC's events begin with `next_event`.
fn starting_record(
    setup: MachineSetup,
    stored: Option<MachineRecord>,
    next_event: u64,
) -> Result<MachineRecord, AccountError> {
    let (user, password) = &setup.administrator;
    let mut record = match stored {
        Some(mut record) => {
            if record.configured_administrator != setup.administrator {
                Arc::make_mut(&mut record.accounts).set_administrator(user, password.clone())?;
                record.configured_administrator.clone_from(&setup.administrator);
            }
            if setup.machine.uuid.is_some() {
                record.machine = setup.machine;
            }
            record
        }
        None => MachineRecord {
            boot: Arc::new(BootOverride::default()),
            boot_generation: 0,
            boot_options: Arc::new(BootOptions::default()),
            power_policy: PowerPolicy::default(),
            was_on: false,
            power: Arc::default(),
            accounts: Arc::new(Accounts::with_administrator(user, password.clone())?),
            identity: Arc::new(default_identity(&setup.name)),
            firmware: None,
            settings: Arc::new(Settings::of_new(next_event)),
            sel: SelState::default(),
            machine: setup.machine,
            configured_administrator: setup.administrator,
        },
    };
    if let Some(policy) = setup.power_policy {
        record.power_policy = policy;
    }
    if let Some(identity) = setup.identity {
        // Where a client left no room in the image for what is configured, the configuration still holds, and the image is the client's.
        if Arc::make_mut(&mut record.settings).fru.follow(&identity).is_err() {
            tracing::warn!(machine = %record.machine.name, "the FRU image has no room for the configured identity");
        }
        record.identity = Arc::new(identity);
    }
    Ok(record)
}

fn default_identity(name: &str) -> Identity {
    Identity {
        manufacturer: "polybmc".to_owned(),
        model: "Virtual Machine".to_owned(),
        serial: name.to_owned(),
        asset_tag: String::new(),
        part_number: String::new(),
    }
}

/// Whether a string can name a BMC; see [`MachineSetup::name`].
pub fn is_bmc_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty()
        && name.len() <= BMC_NAME_MAX_BYTES
        && !name.starts_with('.')
        && name.bytes().all(allowed)
}

async fn take_event_ids(store: &dyn Store) -> Result<u64, StoreError> {
    let stored = store.get(EVENT_ID_KEY).await?;
    let last: u64 = match &stored {
        Some(record) => serde_json::from_slice(&record.value)
            .map_err(|error| StoreError::Failed(format!("the stored event id cannot be read: {error}")))?,
        None => 0,
    };
    let first = last + EVENT_IDS_PER_START;
    let first = if stored.is_some() { first } else { 1 };
    let value = Some(first.to_string().into_bytes());
    store.commit(vec![Write { key: EVENT_ID_KEY.to_owned(), expect: Expect::Anything, value }]).await?;
    Ok(first)
}
