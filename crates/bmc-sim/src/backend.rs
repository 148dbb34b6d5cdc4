//! The shell around the simulated machines: who watches them, and when their time is up.
//!
//! All machines lie behind one lock, which is held only for the few instructions of a transition and for handing over its
//! reports; so reports of one machine are in order and a call that returns has sent its own. All timers lie in one queue served by one
//! task: a machine that does nothing costs its memory and nothing else.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bmc_core::backend::{Backend, Machine, MachineInfo, MachineRef, Report, Reports};
use bmc_core::boot::{BootPlan, FirmwareMode};
use bmc_core::console::{Console, ConsoleInput, InputError};
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::firmware::{FirmwareSetup, KeptFirmware};
use bmc_core::media::{MediaImage, MediaSlot};
use bmc_core::power::ChangeCause;
use bmc_core::screen::Screenshot;
use bmc_core::storage::Volume;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::SimConfig;
use crate::control::SimControl;
use crate::faults::{Fault, Faults, SimOperation};
use crate::hardware;
use crate::machine::{Outcome, SimMachine, Stage, Times};
use crate::screen::TextScreen;
use crate::serial::Serial;
use crate::terminal::Action;

/// The simulator. Cheap to clone; all clones are the same simulator.
#[derive(Clone)]
pub struct SimBackend {
    shared: Arc<Shared>,
}

impl SimBackend {
    /// A simulator without machines. Its one task runs on `runtime`, which needs a timer, and ends with the last handle.
    pub fn new(config: SimConfig, runtime: &Handle) -> Self {
        let wake = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            config: config.bounded(),
            world: Mutex::new(World::default()),
            wake: Arc::clone(&wake),
        });
        runtime.spawn(serve_timers(Arc::downgrade(&shared), wake));
        Self { shared }
    }

    /// The other side of a machine that exists: its guest, its hypervisor, its misfortunes. `None` before the first attach.
    pub fn control(&self, name_or_uuid: &str) -> Option<SimControl> {
        let uuid = self.shared.world().lookup(name_or_uuid)?;
        Some(SimControl::new(Arc::clone(&self.shared), uuid))
    }

    /// The whole simulator becomes unreachable, as a hypervisor whose connection broke: every machine is reported
    /// unavailable and every call fails with `error` until [`reconnect`](Self::reconnect). The machines themselves go on.
    pub fn disconnect(&self, error: BackendError) {
        let mut world = self.shared.world();
        world.outage = Some(error);
        world.each_entry(Entry::announce);
    }

    /// The end of [`disconnect`](Self::disconnect): every machine reports its whole state anew.
    pub fn reconnect(&self) {
        let mut world = self.shared.world();
        if world.outage.take().is_some() {
            world.each_entry(Entry::announce);
        }
    }
}

#[async_trait]
impl Backend for SimBackend {
    fn name(&self) -> &str {
        "sim"
    }

    /// Finds any name or UUID: what is not there yet is described as [`attach`](Self::attach) will make it.
    async fn find(&self, name_or_uuid: &str) -> Result<MachineInfo, BackendError> {
        let world = self.shared.world();
        if let Some(error) = &world.outage {
            return Err(error.clone());
        }
        let known = world.lookup(name_or_uuid).and_then(|uuid| world.entries.get(&uuid));
        Ok(match known {
            Some(entry) => entry.machine.info().clone(),
            None => world.make_up(&self.shared.config, hardware::uuid_of(name_or_uuid), name_or_uuid).0,
        })
    }

    async fn machines(&self) -> Result<Vec<MachineInfo>, BackendError> {
        let world = self.shared.world();
        if let Some(error) = &world.outage {
            return Err(error.clone());
        }
        let mut all: Vec<MachineInfo> =
            world.entries.values().map(|entry| entry.machine.info().clone()).collect();
        all.sort_by(|a, b| (&a.name, a.uuid).cmp(&(&b.name, b.uuid)));
        Ok(all)
    }

    fn attach(&self, machine: MachineRef, reports: Reports) -> Arc<dyn Machine> {
        self.attach_kept(machine, None, reports)
    }

    /// Watches a machine, which comes into being if need be, with this firmware; it stays when nobody watches it any more.
    fn attach_kept(
        &self,
        machine: MachineRef,
        kept: Option<Arc<KeptFirmware>>,
        reports: Reports,
    ) -> Arc<dyn Machine> {
        let mut world = self.shared.world();
        let uuid = machine
            .uuid
            .or_else(|| world.lookup(&machine.name))
            .unwrap_or_else(|| hardware::uuid_of(&machine.name));
        if !world.entries.contains_key(&uuid) {
            world.create(&self.shared, uuid, &machine.name, kept.as_deref());
        }
        let watch = world.next_watch;
        world.next_watch += 1;
        let outage = world.outage.clone();
        if let Some(entry) = world.entries.get_mut(&uuid) {
            for report in entry.standing(outage.as_ref()) {
                reports.send(report);
            }
            entry.watchers.push((watch, reports));
        }
        drop(world);
        Arc::new(AttachedMachine { shared: Arc::clone(&self.shared), uuid, watch })
    }
}

/// What all handles of one simulator share.
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    world: Mutex<World>,
    /// Rung when a timer became the first of the queue, and when the simulator ends.
    wake: Arc<Notify>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Shared {
    /// Transitions are complete or not begun, so what a panicking holder left behind is still whole.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `act` do something to a machine, tells its watchers, and sees to its timer.
    pub(crate) fn act(
        &self,
        uuid: Uuid,
        act: impl FnOnce(&mut SimMachine, Instant) -> Outcome,
    ) -> Result<(), BackendError> {
        let mut world = self.world();
        let rang = world.act(uuid, now(), act)?;
        drop(world);
        if rang {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Somebody types on a machine's serial line. A machine that is paused hears nothing, as no processor does.
    fn typed(&self, uuid: Uuid, input: &ConsoleInput) -> Result<(), InputError> {
        let now = now();
        let mut world = self.world();
        let entry = world.entries.get_mut(&uuid).ok_or(InputError::Closed)?;
        if entry.machine.is_paused() {
            return Ok(());
        }
        let Some(action) = entry.serial.types(now, input) else { return Ok(()) };
        let acted = world.act(uuid, now, |machine, now| match action {
            Action::Reboot => machine.reboot_from_inside(now),
            Action::PowerOff => machine.power_off_from_inside(now),
        });
        drop(world);
        if acted.is_ok_and(|rang| rang) {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// A call of the BMC: as [`act`](Self::act), but it meets outages and planned faults.
    async fn call(
        &self,
        uuid: Uuid,
        operation: SimOperation,
        act: impl FnOnce(&mut SimMachine, Instant) -> Outcome + Send,
    ) -> Result<(), BackendError> {
        let fault = {
            let mut world = self.world();
            world.reachable(uuid)?;
            world.entries.get_mut(&uuid).and_then(|entry| entry.faults.take(operation))
        };
        let limit = self.config.call_timeout;
        match fault {
            None => {}
            Some(Fault::Fail(kind)) => {
                return Err(BackendError::new(
                    kind,
                    format!("the simulator was told to fail this {}", operation.as_str()),
                ));
            }
            Some(Fault::Delay(delay)) if delay < limit => tokio::time::sleep(delay).await,
            Some(Fault::Delay(_) | Fault::Hang) => {
                tokio::time::sleep(limit).await;
                return Err(BackendError::new(
                    BackendErrorKind::Timeout,
                    format!("no answer to {} within {limit:?}", operation.as_str()),
                ));
            }
        }
        if fault.is_some() {
            self.world().reachable(uuid)?;
        }
        self.act(uuid, act)
    }
}

/// All machines of a simulator.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) entries: HashMap<Uuid, Entry>,
    names: HashMap<String, Uuid>,
    mac_pairs: HashSet<u32>,
    timers: BTreeSet<(Instant, Uuid)>,
    /// The whole simulator is unreachable, for this reason.
    outage: Option<BackendError>,
    next_watch: u64,
}

/// A machine and what surrounds it.
pub(crate) struct Entry {
    pub(crate) machine: SimMachine,
    pub(crate) faults: Faults,
    /// This machine alone cannot be controlled, for this reason.
    outage: Option<BackendError>,
    watchers: Vec<(u64, Reports)>,
    /// What the timer queue holds for this machine.
    armed: Option<Instant>,
    /// Its serial line.
    serial: Serial,
}

impl World {
    fn lookup(&self, name_or_uuid: &str) -> Option<Uuid> {
        let by_name = self.names.get(name_or_uuid).copied();
        by_name.or_else(|| Uuid::try_parse(name_or_uuid).ok().filter(|uuid| self.entries.contains_key(uuid)))
    }

    /// The make-up of a new machine, and the pair of MAC addresses in it. Where two machines would like the same pair, the later one
    /// takes the next free.
    fn make_up(&self, config: &SimConfig, uuid: Uuid, name: &str) -> (MachineInfo, u32) {
        let wanted = hardware::preferred_mac_pair(config.seed, uuid);
        let pair = (0..hardware::MAC_PAIRS)
            .map(|step| (wanted + step) % hardware::MAC_PAIRS)
            .find(|pair| !self.mac_pairs.contains(pair))
            .unwrap_or(wanted);
        (hardware::make_up(config, uuid, name, pair), pair)
    }

    fn create(&mut self, shared: &Arc<Shared>, uuid: Uuid, name: &str, kept: Option<&KeptFirmware>) {
        let config = &shared.config;
        let simulator = Arc::downgrade(shared);
        let serial = Serial::new(Arc::new(move |input| match simulator.upgrade() {
            Some(shared) => shared.typed(uuid, &input),
            None => Err(InputError::Closed),
        }));
        let (info, mac_pair) = self.make_up(config, uuid, name);
        let times = Times { post: config.post, boot: config.boot, shutdown: config.shutdown };
        let mut machine = SimMachine::new(info, times, config.seed);
        if let Some(kept) = kept {
            machine.restore(kept);
        }
        let entry = Entry {
            machine,
            faults: Faults::default(),
            outage: None,
            watchers: Vec::new(),
            armed: None,
            serial,
        };
        self.mac_pairs.insert(mac_pair);
        self.names.entry(name.to_owned()).or_insert(uuid);
        self.entries.insert(uuid, entry);
    }

    fn each_entry(&mut self, each: impl Fn(&Entry, Option<&BackendError>)) {
        for entry in self.entries.values() {
            each(entry, self.outage.as_ref());
        }
    }

    fn reachable(&self, uuid: Uuid) -> Result<(), BackendError> {
        let outage =
            self.outage.as_ref().or_else(|| self.entries.get(&uuid).and_then(|entry| entry.outage.as_ref()));
        outage.map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Makes a machine reachable or not, and says so if that is news.
    pub(crate) fn set_outage(&mut self, uuid: Uuid, outage: Option<BackendError>) {
        let whole = self.outage.clone();
        if let Some(entry) = self.entries.get_mut(&uuid)
            && entry.outage != outage
        {
            entry.outage = outage;
            entry.announce(whole.as_ref());
        }
    }

    fn unwatch(&mut self, uuid: Uuid, watch: u64) {
        if let Some(entry) = self.entries.get_mut(&uuid) {
            entry.watchers.retain(|(id, _)| *id != watch);
        }
    }

    /// Returns whether the queue's first timer changed, so that the task must look again.
    fn act(
        &mut self,
        uuid: Uuid,
        now: Instant,
        act: impl FnOnce(&mut SimMachine, Instant) -> Outcome,
    ) -> Result<bool, BackendError> {
        let Self { entries, outage, timers, .. } = self;
        let entry = entries.get_mut(&uuid).ok_or_else(|| {
            BackendError::new(BackendErrorKind::NotFound, format!("there is no simulated machine {uuid}"))
        })?;
        let reports = act(&mut entry.machine, now)?;
        entry.serial.follow(now, &entry.machine);
        let stage = entry.machine.boot_stage_news();
        let statistics = entry.machine.statistics_news();
        if outage.is_none() && entry.outage.is_none() {
            for report in reports.into_iter().chain(stage).chain(statistics) {
                entry.tell(report);
            }
        }
        let first = timers.first().map(|(at, _)| *at);
        let wanted = entry.machine.deadline();
        if entry.armed != wanted {
            if let Some(at) = entry.armed {
                timers.remove(&(at, uuid));
            }
            if let Some(at) = wanted {
                timers.insert((at, uuid));
            }
            entry.armed = wanted;
        }
        Ok(timers.first().map(|(at, _)| *at) != first)
    }

    /// Lets every machine act whose time has come, in the order of their deadlines; returns the next deadline. Each acts as if woken
    /// exactly in time, so that a late wake-up does not add up.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, uuid)) = self.timers.first().copied() {
            if at > now {
                return Some(at);
            }
            let acted = self.act(uuid, at, |machine, at| Ok(machine.expire(at)));
            if acted.is_err() {
                self.timers.remove(&(at, uuid));
            }
        }
        None
    }
}

impl Entry {
    fn tell(&self, report: Report) {
        let Some(((_, last), others)) = self.watchers.split_last() else { return };
        for (_, watcher) in others {
            watcher.send(report.clone());
        }
        last.send(report);
    }

    /// What a new watcher is told first.
    fn standing(&self, outage: Option<&BackendError>) -> Vec<Report> {
        match outage.or(self.outage.as_ref()) {
            Some(error) => vec![Report::Unavailable(error.clone())],
            None => {
                let stage = self.machine.boot_stage();
                // One that is off does nothing, and is not told to.
                let statistics = stage.map(|_| Report::Statistics(self.machine.statistics()));
                let available = Report::Available(self.machine.observed());
                [Some(available), statistics, stage.map(Report::Stage)].into_iter().flatten().collect()
            }
        }
    }

    fn announce(&self, outage: Option<&BackendError>) {
        for report in self.standing(outage) {
            self.tell(report);
        }
    }
}

/// A watched machine's controls.
struct AttachedMachine {
    shared: Arc<Shared>,
    uuid: Uuid,
    watch: u64,
}

impl Drop for AttachedMachine {
    fn drop(&mut self) {
        self.shared.world().unwatch(self.uuid, self.watch);
    }
}

impl AttachedMachine {
    fn call<'a>(
        &'a self,
        operation: SimOperation,
        act: impl FnOnce(&mut SimMachine, Instant) -> Outcome + Send + 'a,
    ) -> impl Future<Output = Result<(), BackendError>> + Send + 'a {
        self.shared.call(self.uuid, operation, act)
    }
}

#[async_trait]
impl Machine for AttachedMachine {
    fn console(&self) -> Option<Console> {
        self.shared.world().entries.get(&self.uuid).map(|entry| entry.serial.console())
    }

    async fn screenshot(&self) -> Result<Screenshot, BackendError> {
        let shown = {
            let world = self.shared.world();
            world.reachable(self.uuid)?;
            let entry = world.entries.get(&self.uuid).filter(|entry| entry.machine.stage() != Stage::Off);
            entry.map(|entry| entry.serial.shown())
        };
        // Drawn outside the lock.
        let picture = shown.and_then(|shown| TextScreen::after(&shown).picture());
        picture.ok_or_else(|| {
            BackendError::new(BackendErrorKind::InvalidState, "the machine is off, and so is its screen")
        })
    }

    async fn start(&self, boot: &BootPlan) -> Result<(), BackendError> {
        self.call(SimOperation::Start, |machine, now| machine.start(now, boot, ChangeCause::Requested)).await
    }

    async fn stop(&self) -> Result<(), BackendError> {
        self.call(SimOperation::Stop, |machine, _| Ok(machine.stop(ChangeCause::Requested))).await
    }

    async fn shutdown(&self) -> Result<(), BackendError> {
        self.call(SimOperation::Shutdown, SimMachine::press_button).await
    }

    async fn reset(&self, boot: &BootPlan) -> Result<(), BackendError> {
        self.call(SimOperation::Reset, |machine, now| machine.reset(now, boot)).await
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.call(SimOperation::Resume, |machine, now| machine.resume(now, ChangeCause::Requested)).await
    }

    async fn nmi(&self) -> Result<(), BackendError> {
        self.call(SimOperation::Nmi, |machine, _| machine.interrupt()).await
    }

    async fn set_firmware(&self, mode: FirmwareMode) -> Result<(), BackendError> {
        self.call(SimOperation::SetFirmware, |machine, _| Ok(machine.set_firmware(mode))).await
    }

    async fn create_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        self.call(SimOperation::CreateVolume, |machine, _| Ok(machine.create_volume(volume))).await
    }

    async fn delete_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        self.call(SimOperation::DeleteVolume, |machine, _| Ok(machine.delete_volume(volume))).await
    }

    async fn initialize_volume(&self, _volume: &Volume) -> Result<(), BackendError> {
        self.call(SimOperation::InitializeVolume, |machine, _| machine.initialize_volume()).await
    }

    async fn insert_media(&self, image: &MediaImage) -> Result<(), BackendError> {
        self.call(SimOperation::InsertMedia, |machine, _| Ok(machine.insert_media(image.clone()))).await
    }

    async fn eject_media(&self, slot: MediaSlot) -> Result<(), BackendError> {
        self.call(SimOperation::EjectMedia, |machine, _| Ok(machine.eject_media(slot))).await
    }

    async fn set_up(&self, setup: &FirmwareSetup) -> Result<(), BackendError> {
        self.call(SimOperation::SetUp, |machine, _| machine.set_up(setup)).await
    }

    async fn set_boot_order(&self, order: &[String]) -> Result<(), BackendError> {
        self.call(SimOperation::SetBootOrder, |machine, _| machine.set_boot_order(order)).await
    }
}

/// Time as tokio sees it, so that paused time in tests holds the machines too.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The one task: sleeps until the earliest deadline of any machine.
async fn serve_timers(shared: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        let next = match shared.upgrade() {
            None => return,
            Some(shared) => shared.world().expire(now()),
        };
        match next {
            None => wake.notified().await,
            // Whether the sleep or the bell came first makes no difference: the queue is looked at again.
            Some(at) => drop(tokio::time::timeout(until(at), wake.notified()).await),
        }
    }
}

fn until(at: Instant) -> Duration {
    at.saturating_duration_since(now())
}

#[cfg(test)]
mod tests;
