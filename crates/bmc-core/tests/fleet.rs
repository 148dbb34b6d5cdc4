//! Owner, fleet and store together: what is acknowledged is durable, and what cannot be stored did not happen.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on shall fail")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bmc_core::account::Secret;
use bmc_core::backend::{
    Backend, Machine, MachineInfo, MachineRef, Observed, ObservedPower, Report, Reports,
};
use bmc_core::boot::{BootEnabled, BootOverride, BootPlan, BootTarget, FirmwareMode};
use bmc_core::clock::SystemClock;
use bmc_core::error::{BackendError, BackendErrorKind, RequestError};
use bmc_core::event::EventKind;
use bmc_core::fleet::{AddError, Fleet, MachineHandle, MachineSetup, REQUESTS_PENDING_MAX};
use bmc_core::owner::STORE_RETRY_AFTER;
use bmc_core::power::{ChangeCause, Origin, PowerAction, PowerState};
use bmc_core::request::{ACKNOWLEDGE_AFTER, Change, Identify, Outcome, Request, SelRequest};
use bmc_core::snapshot::IdentifyState;
use bmc_core::store::{Change as StoreChange, Record, Revision, Store, StoreError, Write};
use ipmi_wire::record::sel::SelBody;
use tokio::sync::{Notify, Semaphore, broadcast};
use uuid::Uuid;

/// Reads and commits a test lets through when it does not care.
const PLENTY: usize = 1_000;

/// A store whose disk can be full, and slow.
struct Disk {
    records: Mutex<BTreeMap<String, Record>>,
    full: AtomicBool,
    reads: Semaphore,
    writes: Semaphore,
    /// Told of each commit that was made.
    stored: Notify,
}

impl Disk {
    fn new() -> Arc<Self> {
        let [reads, writes] = [(); 2].map(|()| Semaphore::new(PLENTY));
        Arc::new(Self {
            records: Mutex::default(),
            full: AtomicBool::new(false),
            reads,
            writes,
            stored: Notify::new(),
        })
    }

    fn text(&self, key: &str) -> String {
        let records = self.records.lock().unwrap();
        records.get(key).map(|record| String::from_utf8(record.value.clone()).unwrap()).unwrap_or_default()
    }
}

#[async_trait]
impl Store for Disk {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.reads.acquire().await.unwrap().forget();
        Ok(self.records.lock().unwrap().get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        let records = self.records.lock().unwrap();
        Ok(records.values().filter(|record| record.key.starts_with(prefix)).cloned().collect())
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, StoreError> {
        // Events are stored beside all else, whenever they come.
        if !batch.iter().all(|write| write.key.starts_with("event/")) {
            self.writes.acquire().await.unwrap().forget();
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Failed("no space left".to_owned()));
        }
        let mut records = self.records.lock().unwrap();
        for Write { key, value, .. } in batch {
            match value {
                Some(value) => {
                    records.insert(key.clone(), Record { key, revision: Revision(1), value });
                }
                None => {
                    records.remove(&key);
                }
            }
        }
        self.stored.notify_waiters();
        Ok(Revision(1))
    }

    fn watch(&self) -> broadcast::Receiver<StoreChange> {
        broadcast::channel(1).1
    }
}

/// A backend whose machines obey at once, or hang.
#[derive(Default)]
struct Obedient {
    hangs: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    attached: AtomicUsize,
}

struct ObedientMachine {
    info: MachineInfo,
    reports: Reports,
    hangs: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl ObedientMachine {
    async fn go(&self, power: ObservedPower) -> Result<(), BackendError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.panics.load(Ordering::SeqCst) {
            std::panic::panic_any("the backend has a bug");
        }
        self.reports.send(Report::Power { power, cause: ChangeCause::Requested });
        Ok(())
    }
}

#[async_trait]
impl Machine for ObedientMachine {
    async fn start(&self, _: &BootPlan) -> Result<(), BackendError> {
        self.go(ObservedPower::Running).await
    }
    async fn stop(&self) -> Result<(), BackendError> {
        self.go(ObservedPower::Off).await
    }
    async fn shutdown(&self) -> Result<(), BackendError> {
        self.go(ObservedPower::Off).await
    }
    async fn reset(&self, _: &BootPlan) -> Result<(), BackendError> {
        Ok(())
    }
    async fn resume(&self) -> Result<(), BackendError> {
        self.go(ObservedPower::Running).await
    }
    async fn nmi(&self) -> Result<(), BackendError> {
        Ok(())
    }
    async fn set_firmware(&self, firmware: FirmwareMode) -> Result<(), BackendError> {
        self.reports.send(Report::Info(MachineInfo { firmware, ..self.info.clone() }));
        Ok(())
    }
}

const MACHINE: Uuid = Uuid::from_u128(0x42);

#[async_trait]
impl Backend for Obedient {
    fn name(&self) -> &str {
        "obedient"
    }
    async fn find(&self, _: &str) -> Result<MachineInfo, BackendError> {
        Ok(MachineInfo::default())
    }
    async fn machines(&self) -> Result<Vec<MachineInfo>, BackendError> {
        Ok(Vec::new())
    }
    fn attach(&self, machine: MachineRef, reports: Reports) -> Arc<dyn Machine> {
        self.attached.fetch_add(1, Ordering::SeqCst);
        let info = MachineInfo {
            uuid: machine.uuid.unwrap_or(MACHINE),
            name: "domain".to_owned(),
            boot_targets: vec![BootTarget::Pxe],
            ..MachineInfo::default()
        };
        // Before `attach` has returned: the fleet must not lose it.
        let observed = Observed {
            info: info.clone(),
            power: ObservedPower::Off,
            boot_generation: None,
            media: Vec::new(),
        };
        reports.send(Report::Available(observed));
        let (hangs, panics) = (Arc::clone(&self.hangs), Arc::clone(&self.panics));
        Arc::new(ObedientMachine { info, reports, hangs, panics })
    }
}

/// A backend that tells nothing until it is told to.
#[derive(Default)]
struct Silent {
    attached: Mutex<Option<Reports>>,
}

impl Silent {
    fn tell(&self, uuid: Uuid) {
        let info = MachineInfo { uuid, ..MachineInfo::default() };
        let observed = Observed { info, power: ObservedPower::Off, boot_generation: None, media: Vec::new() };
        self.attached.lock().unwrap().as_ref().unwrap().send(Report::Available(observed));
    }
}

#[async_trait]
impl Backend for Silent {
    fn name(&self) -> &str {
        "silent"
    }
    async fn find(&self, _: &str) -> Result<MachineInfo, BackendError> {
        Ok(MachineInfo::default())
    }
    async fn machines(&self) -> Result<Vec<MachineInfo>, BackendError> {
        Ok(Vec::new())
    }
    fn attach(&self, _: MachineRef, reports: Reports) -> Arc<dyn Machine> {
        *self.attached.lock().unwrap() = Some(reports.clone());
        let (hangs, panics) = (Arc::default(), Arc::default());
        Arc::new(ObedientMachine { info: MachineInfo::default(), reports, hangs, panics })
    }
}

fn setup(name: &str) -> MachineSetup {
    MachineSetup {
        name: name.to_owned(),
        machine: MachineRef { uuid: None, name: "domain".to_owned() },
        administrator: ("admin".to_owned(), Secret::new("password")),
        power_policy: None,
        identity: None,
    }
}

async fn fleet(disk: &Arc<Disk>) -> Fleet {
    Fleet::open(Arc::clone(disk) as Arc<dyn Store>, Arc::new(SystemClock)).await.unwrap()
}

async fn served(fleet: &Fleet, backend: &Arc<Obedient>) -> MachineHandle {
    let handle = fleet.add(setup("bmc"), Arc::clone(backend) as Arc<dyn Backend>).await.unwrap();
    handle.subscribe().wait_for(|snapshot| snapshot.info.is_some()).await.unwrap();
    handle
}

fn pxe_once() -> Request {
    let boot =
        BootOverride { target: BootTarget::Pxe, enabled: BootEnabled::Once, ..BootOverride::default() };
    Request::Change(Box::new(Change { boot: Some(boot), ..Change::default() }))
}

fn in_background(
    handle: &MachineHandle,
    request: Request,
) -> tokio::task::JoinHandle<Result<Outcome, RequestError>> {
    let handle = handle.clone();
    tokio::spawn(async move { handle.request(request).await })
}

#[tokio::test]
async fn what_is_acknowledged_is_stored_and_taken_up_again() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let last_event = {
        let fleet = fleet(&disk).await;
        let handle = served(&fleet, &backend).await;
        assert_eq!(handle.snapshot().uuid, MACHINE);
        assert_eq!(handle.request(pxe_once()).await, Ok(Outcome::Done));
        assert!(disk.text("machine/bmc").contains("pxe"));
        assert!(matches!(fleet.add(setup("bmc"), backend.clone()).await, Err(AddError::Exists(_))));
        fleet.events().follow(0).0.last().unwrap().id
    };
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    assert_eq!(handle.snapshot().boot.target, BootTarget::Pxe);
    assert_eq!(handle.request(Request::Power(PowerAction::On, Origin::Client)).await, Ok(Outcome::Done));
    assert_eq!(handle.snapshot().power, PowerState::On, "a client that was told reads the new state");
    assert!(!disk.text("machine/bmc").contains("pxe"), "the override is used up on disk too");
    let events = fleet.events().follow(last_event).0;
    assert!(events.len() > 1, "event ids grow over restarts");
    assert_eq!(events.iter().filter(|event| matches!(event.kind, EventKind::PoweredOn { .. })).count(), 1);
}

#[tokio::test]
async fn what_cannot_be_stored_did_not_happen() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    disk.full.store(true, Ordering::SeqCst);
    assert!(matches!(handle.request(pxe_once()).await, Err(RequestError::Store(_))));
    assert!(!handle.snapshot().boot.is_active());
    assert!(fleet.events().follow(0).0.is_empty(), "no event tells of it");
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(handle.request(pxe_once()).await, Ok(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn what_happened_and_could_not_be_stored_is_tried_again_without_another_input() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    let before = disk.text("machine/bmc");
    disk.full.store(true, Ordering::SeqCst);
    // The machine runs, whatever the disk says.
    assert_eq!(handle.request(Request::Power(PowerAction::On, Origin::Client)).await, Ok(Outcome::Done));
    tokio::time::advance(STORE_RETRY_AFTER * 5 / 2).await;
    assert_eq!(disk.text("machine/bmc"), before);
    disk.full.store(false, Ordering::SeqCst);
    let events = handle.snapshot().sel.entries().len();
    assert!(events > 0);
    // The store speaks up, and the clock that stands still goes on when everybody waits.
    disk.stored.notified().await;
    assert_ne!(disk.text("machine/bmc"), before);
    assert_eq!(disk.list("sel/").await.unwrap().len(), events);
}

#[tokio::test]
async fn what_cannot_be_stored_beside_a_firmware_switch_did_not_happen_either() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    let Request::Change(change) = pxe_once() else { unreachable!() };
    let change = Change { firmware: Some(FirmwareMode::Uefi), ..*change };
    disk.full.store(true, Ordering::SeqCst);
    let asked = handle.request(Request::Change(Box::new(change.clone()))).await;
    assert!(matches!(asked, Err(RequestError::Store(_))), "{asked:?}");
    assert!(!handle.snapshot().boot.is_active());
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(handle.request(Request::Change(Box::new(change))).await, Ok(Outcome::Done));
    assert!(disk.text("machine/bmc").contains("pxe"));
}

#[tokio::test]
async fn nobody_reads_what_is_not_durable_yet() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    disk.writes.forget_permits(PLENTY);
    let change = in_background(&handle, pxe_once());
    let reset = in_background(&handle, Request::Power(PowerAction::Reset, Origin::Client));
    // Both requests are with the owner once this runtime has had its turns.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!change.is_finished() && !reset.is_finished(), "what follows a commit waits for it");
    assert!(!handle.snapshot().boot.is_active());
    disk.writes.add_permits(10);
    assert_eq!(change.await.unwrap(), Ok(Outcome::Done));
    assert!(matches!(reset.await.unwrap(), Err(RequestError::WrongState { .. })));
    assert!(handle.snapshot().boot.is_active());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_backend_delays_no_read_and_no_answer_past_700_ms() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    backend.hangs.store(true, Ordering::SeqCst);
    let before = tokio::time::Instant::now();
    assert_eq!(handle.request(Request::Power(PowerAction::On, Origin::Client)).await, Ok(Outcome::Accepted));
    let took = before.elapsed();
    assert!((Duration::from_millis(700)..=Duration::from_millis(702)).contains(&took), "{took:?}");
    assert_eq!(handle.snapshot().power, PowerState::PoweringOn);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_is_refused_not_queued() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    backend.hangs.store(true, Ordering::SeqCst);
    let flood: Vec<_> = (0..REQUESTS_PENDING_MAX + 5)
        .map(|_| in_background(&handle, Request::Power(PowerAction::On, Origin::Client)))
        .collect();
    let mut busy = 0;
    for request in flood {
        busy += usize::from(matches!(request.await.unwrap(), Err(RequestError::Busy { .. })));
    }
    assert_eq!(busy, 5);
}

#[tokio::test(start_paused = true)]
async fn clients_that_break_off_make_no_room_for_more() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    backend.hangs.store(true, Ordering::SeqCst);
    for _ in 0..REQUESTS_PENDING_MAX {
        let on = handle.request(Request::Power(PowerAction::On, Origin::Client));
        assert!(tokio::time::timeout(Duration::from_millis(1), on).await.is_err(), "it breaks off");
    }
    let one_more = handle.request(Request::Power(PowerAction::On, Origin::Client)).await;
    assert!(matches!(one_more, Err(RequestError::Busy { .. })), "{one_more:?}");
    // Time is paused: this passes as soon as all else rests, with every request acknowledged.
    tokio::time::sleep(ACKNOWLEDGE_AFTER).await;
    assert_eq!(handle.request(Request::Power(PowerAction::On, Origin::Client)).await, Ok(Outcome::Joined));
}

#[tokio::test]
async fn a_backend_that_panics_ends_its_call_and_no_more() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    backend.panics.store(true, Ordering::SeqCst);
    let asked = handle.request(Request::Power(PowerAction::On, Origin::Client)).await;
    let Err(RequestError::Backend(error)) = asked else { unreachable!("{asked:?}") };
    assert_eq!(error.kind, BackendErrorKind::Internal);
    backend.panics.store(false, Ordering::SeqCst);
    assert_eq!(handle.request(Request::Power(PowerAction::On, Origin::Client)).await, Ok(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn an_add_that_breaks_off_leaves_its_name_free() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    disk.reads.forget_permits(PLENTY);
    let add = fleet.add(setup("bmc"), backend.clone());
    assert!(tokio::time::timeout(Duration::from_millis(1), add).await.is_err(), "it breaks off");
    disk.reads.add_permits(PLENTY);
    assert!(fleet.add(setup("bmc"), backend.clone()).await.is_ok());
}

#[tokio::test]
async fn a_removed_machine_answers_that_it_is_gone_and_can_be_forgotten() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    assert!(fleet.find("bmc").is_some() && fleet.find("domain").is_some());
    assert!(fleet.find(&MACHINE.to_string()).is_some() && fleet.find("other").is_none());
    assert!(fleet.remove("bmc", true).await.unwrap());
    assert!(!fleet.remove("bmc", true).await.unwrap());
    assert_eq!(handle.request(pxe_once()).await, Err(RequestError::Removed));
    assert_eq!(disk.text("machine/bmc"), "");
    assert!(fleet.find("bmc").is_none());
}

/// What happened to the one before is not the new one's to tell.
#[tokio::test]
async fn a_new_bmc_of_an_old_name_begins_behind_the_events_of_the_old_one() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    served(&fleet, &backend).await.request(Request::Power(PowerAction::On, Origin::Client)).await.unwrap();
    let events = |after| fleet.events().last_of("bmc", after, 100);
    assert!(!events(0).is_empty());
    fleet.remove("bmc", false).await.unwrap();
    let kept = served(&fleet, &backend).await;
    assert!(!events(kept.snapshot().settings.manager.events_before).is_empty(), "the same one, served again");
    fleet.remove("bmc", true).await.unwrap();
    let old = events(0).last().unwrap().id;
    let new = served(&fleet, &backend).await;
    assert!(new.snapshot().settings.manager.events_before >= old);
}

#[tokio::test(start_paused = true)]
async fn of_two_identify_timers_the_newer_counts() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    let before = tokio::time::Instant::now();
    for seconds in [10, 30, 20] {
        let identify = Some(Identify::For(Duration::from_secs(seconds)));
        handle.request(Request::Change(Box::new(Change { identify, ..Change::default() }))).await.unwrap();
    }
    assert_eq!(handle.snapshot().identify, IdentifyState::Timed);
    handle.subscribe().wait_for(|snapshot| snapshot.identify == IdentifyState::Off).await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn a_machine_is_found_by_the_uuid_it_shows_and_no_other() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let found =
        |uuid: Uuid| fleet.find(&uuid.to_string().to_uppercase()).map(|found| found.name().to_string());
    let silent = Arc::new(Silent::default());
    let handle = fleet.add(setup("b"), Arc::clone(&silent) as Arc<dyn Backend>).await.unwrap();
    let derived = handle.snapshot().uuid;
    assert_eq!(found(derived).as_deref(), Some("b"), "by the one derived from its name");
    silent.tell(MACHINE);
    handle.subscribe().wait_for(|snapshot| snapshot.uuid == MACHINE).await.unwrap();
    assert_eq!((found(derived), found(MACHINE).as_deref()), (None, Some("b")));

    let twin = fleet.add(setup("a"), backend.clone()).await.unwrap();
    twin.subscribe().wait_for(|snapshot| snapshot.uuid == MACHINE).await.unwrap();
    assert_eq!(found(MACHINE).as_deref(), Some("a"), "the first in order of name");
    fleet.remove("a", true).await.unwrap();
    assert_eq!(found(MACHINE).as_deref(), Some("b"));
    fleet.remove("b", true).await.unwrap();
    assert_eq!(found(MACHINE), None);
}

#[tokio::test]
async fn a_changed_configured_password_is_applied_and_an_unchanged_one_is_not() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    let handle = served(&fleet, &backend).await;
    let new = ("admin".to_owned(), Secret::new("set-by-a-client"));
    let change = Change { administrator: Some(new), ..Change::default() };
    handle.request(Request::Change(Box::new(change))).await.unwrap();
    let password = |handle: &MachineHandle| {
        let accounts = Arc::clone(&handle.snapshot().accounts);
        accounts.by_name(b"admin").unwrap().password.expose().to_owned()
    };
    fleet.remove("bmc", false).await.unwrap();
    let handle = served(&fleet, &backend).await;
    assert_eq!(password(&handle), "set-by-a-client");
    fleet.remove("bmc", false).await.unwrap();
    let configured = ("admin".to_owned(), Secret::new("new-config"));
    let setup = MachineSetup { administrator: configured, ..setup("bmc") };
    let handle = fleet.add(setup, backend.clone()).await.unwrap();
    assert_eq!(password(&handle), "new-config");
}

#[tokio::test]
async fn names_that_cannot_stand_in_a_url_are_refused() {
    let (disk, backend) = (Disk::new(), Arc::new(Obedient::default()));
    let fleet = fleet(&disk).await;
    for name in ["", ".hidden", "a b", "a/b", "ä", &"n".repeat(65)] {
        let added = fleet.add(setup(name), backend.clone()).await;
        assert!(matches!(added, Err(AddError::Name(_))), "{name:?}");
    }
    assert_eq!(backend.attached.load(Ordering::SeqCst), 0);
}

fn logged(machine: &MachineHandle) -> Vec<u16> {
    machine.snapshot().sel.entries().iter().map(|entry| entry.record.id).collect()
}

#[tokio::test(start_paused = true)]
async fn the_event_log_is_stored_with_what_it_tells_of() {
    let disk = Disk::new();
    let backend = Arc::new(Obedient::default());
    let machine = served(&fleet(&disk).await, &backend).await;
    machine.request(Request::Power(PowerAction::On, Origin::Client)).await.unwrap();
    let body = SelBody::Oem { record_type: 0xe0, data: [1; 13] };
    assert_eq!(machine.request(Request::Sel(SelRequest::Add(body))).await, Ok(Outcome::Logged(2)));
    machine.request(Request::Sel(SelRequest::Add(body))).await.unwrap();
    let delete = SelRequest::Delete { id: 2, if_erasures: Some(0) };
    machine.request(Request::Sel(delete)).await.unwrap();
    assert_eq!(machine.request(Request::Sel(delete)).await, Err(RequestError::Conflict));
    machine.request(Request::Sel(SelRequest::SetTime(99))).await.unwrap();

    disk.full.store(true, Ordering::SeqCst);
    for refused in [SelRequest::Add(body), SelRequest::Clear { if_erasures: None }, SelRequest::SetTime(5)] {
        assert!(matches!(machine.request(Request::Sel(refused)).await, Err(RequestError::Store(_))));
    }
    let before = machine.snapshot();
    disk.full.store(false, Ordering::SeqCst);

    let other = fleet(&disk).await;
    let again = served(&other, &Arc::new(Obedient::default())).await;
    assert_eq!(logged(&again), [1, 3]);
    assert_eq!(again.snapshot().sel.state(), before.sel.state());
    again.request(Request::Sel(SelRequest::Clear { if_erasures: None })).await.unwrap();
    again.request(Request::Sel(SelRequest::Add(body))).await.unwrap();
    assert_eq!(logged(&again), [1]);

    assert!(other.remove("bmc", true).await.unwrap());
    assert_eq!(disk.list("sel/").await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn events_outlast_the_daemon_with_their_ids_as_many_as_are_kept() {
    use bmc_core::event::EVENTS_STORED_MAX;
    let disk = Disk::new();
    let open = || Fleet::open(disk.clone() as Arc<dyn Store>, Arc::new(SystemClock));
    let fleet = open().await.unwrap();
    let machine = Uuid::from_u128(7);
    let happens = |fleet: &Fleet, kind| fleet.events().emit(fleet.clock().timestamp(), "m", machine, kind);
    happens(&fleet, EventKind::Reset);
    happens(&fleet, EventKind::PoweredOff { cause: ChangeCause::Guest });
    fleet.events_stored().await;
    let (told, _) = fleet.events().follow(0);
    drop(fleet);

    let again = open().await.unwrap();
    let (kept, _) = again.events().follow(0);
    assert_eq!(kept, told);
    happens(&again, EventKind::Nmi);
    let (all, _) = again.events().follow(0);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "{all:?}");
    // While the disk refuses they wait, and are stored when it takes them again.
    disk.full.store(true, Ordering::SeqCst);
    happens(&again, EventKind::Paused { cause: ChangeCause::default() });
    tokio::time::sleep(STORE_RETRY_AFTER / 2).await;
    disk.full.store(false, Ordering::SeqCst);
    for _ in 0..EVENTS_STORED_MAX {
        happens(&again, EventKind::Resumed);
    }
    again.events_stored().await;
    let stored = disk.list("event/").await.unwrap();
    assert_eq!(stored.len(), EVENTS_STORED_MAX);
    // What another version has stored and this one cannot read is in nobody's way.
    let write = |key: &str| Write {
        key: key.to_owned(),
        expect: bmc_core::store::Expect::Anything,
        value: Some(b"{}".to_vec()),
    };
    disk.commit(vec![write("event/0000000000000000")]).await.unwrap();
    drop(again);
    let (kept, _) = open().await.unwrap().events().follow(0);
    assert_eq!(kept.len(), EVENTS_STORED_MAX);
    assert!(kept.iter().all(|event| event.kind == EventKind::Resumed));
}
