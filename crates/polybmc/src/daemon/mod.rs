//! The daemon: BMCs from the file, from `polybmc add` and from `--sim`, each with its endpoints, and the one place that changes them.
//!
//! ```text
//!            bring_up                 stop, bind failure
//!   wanted ───────────► Serving ◄──────────────────────► Stopped, Failed
//!                          │            start
//!                          └── remove, no longer in the file ──► gone
//! ```
//!
//! Reads look into a map behind a lock that is never held over a wait. Changes are made one after the other, behind
//! [`Daemon::changes`]; so what the store says and what serves cannot drift apart.

mod admin;
mod change;
mod discover;
mod doors;
mod endpoints;
mod plan;
mod ports;
mod record;
mod reload;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bmc_control::ControlError;
use bmc_control::types::Origin;
use bmc_core::backend::MachineRef;
use bmc_core::control::MachineRecord;
use bmc_core::event::EventKind;
use bmc_core::fleet::{Fleet, MachineHandle, MachineSetup};
use bmc_core::snapshot::Identity;
use bmc_core::store::{Store, StoreError};
use bmc_redfish::{RedfishServer, Tls};
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use self::discover::Discovery;
pub(crate) use self::doors::{Doors, folder as doors_folder};
use self::endpoints::{BindFailure, Binder, Endpoints};
use self::plan::Wanted;
use self::ports::{Kind, Ports};
use self::record::BmcRecord;
use crate::backends::Backends;
use crate::config::{self, BmcConfig, Config};

/// What a daemon is started with.
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// How many machines `node-N` of the built-in simulator.
    pub(crate) sim: u32,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fleet: Fleet,
    pub(crate) tls: Tls,
    pub(crate) state_dir: PathBuf,
    pub(crate) backends: Backends,
    /// Where the machines' own ways to their BMCs lie.
    pub(crate) doors: Doors,
}

/// A running daemon.
pub(crate) struct Daemon {
    fleet: Fleet,
    store: Arc<dyn Store>,
    backends: Backends,
    binder: Binder,
    state_dir: PathBuf,
    config_file: Option<PathBuf>,
    started: Timestamp,
    bmcs: RwLock<BTreeMap<String, Bmc>>,
    changes: Mutex<Present>,
    discovery: Discovery,
    aggregate: std::sync::Mutex<Option<RedfishServer>>,
}

/// What changes go by. Whoever holds it is the only one who changes anything.
struct Present {
    config: Config,
    ports: Ports,
    /// Records of discovered BMCs whose machine is gone, for when it comes back.
    gone: BTreeMap<String, BmcRecord>,
    /// Why machines have no BMC although they shall have one, as last logged.
    refused: BTreeMap<Uuid, String>,
    /// The daemon is on its way down.
    ended: bool,
}

/// One BMC.
struct Bmc {
    record: BmcRecord,
    /// What it was brought up with.
    config: BmcConfig,
    handle: MachineHandle,
    serving: Serving,
    /// Held while its system interface is changed, which takes as long as its hypervisor does.
    changing_door: Arc<Mutex<()>>,
}

/// What is left of a BMC that was taken down: enough to bring it up again.
struct TakenDown {
    record: BmcRecord,
    config: BmcConfig,
}

enum Serving {
    Endpoints(Box<Endpoints>),
    Stopped,
    Failed(BindFailure),
}

impl Daemon {
    /// Brings up everything that is wanted. A chosen endpoint of the file that cannot be bound is an error that names its line; one of
    /// `polybmc add` leaves that BMC failed and the others serving.
    ///
    /// # Errors
    /// The store; or each thing of the file that cannot be had, a line each.
    pub(crate) async fn start(setup: Setup) -> anyhow::Result<Arc<Self>> {
        let Setup { config, sim, store, fleet, tls, state_dir, backends, doors } = setup;
        let redfish = config.aggregate.service();
        let binder = Binder { fleet: fleet.clone(), store: Arc::clone(&store), tls, redfish, doors };
        let mut ports = Ports::default();
        plan::check_sim(&config, sim)?;
        let mut stored: BTreeMap<String, BmcRecord> =
            record::load_all(store.as_ref()).await?.into_iter().collect();
        let plan::Plan { wanted, forgotten, gone } = plan::want(&config, sim, &mut stored);
        plan::speak_for(&mut ports, &config, &wanted);

        let aggregate = binder.bind_aggregate(&mut ports, &config.aggregate).await.map_err(|error| {
            let place = place(&config, config.aggregate.listen.map(|listen| listen.line));
            anyhow::anyhow!("{place}the Redfish root over all BMCs: {error}")
        })?;
        let daemon = Arc::new(Self {
            fleet,
            store,
            backends,
            binder,
            state_dir,
            config_file: config.file.clone(),
            started: Timestamp::now(),
            bmcs: RwLock::default(),
            changes: Mutex::new(Present {
                config: config.clone(),
                ports,
                gone,
                refused: BTreeMap::new(),
                ended: false,
            }),
            discovery: Discovery::default(),
            aggregate: std::sync::Mutex::new(aggregate),
        });

        let mut problems = Vec::new();
        let mut writes = Vec::new();
        let mut present = daemon.changes.lock().await;
        for Wanted { config: bmc, origin, record } in wanted {
            let before = record.clone();
            match daemon.bring_up(&mut present.ports, &bmc, origin, record, None).await {
                Ok(brought_up) => {
                    if let Serving::Failed(failure) = &brought_up.serving {
                        match origin {
                            Origin::File => problems.push(bind_problem(&config, &bmc, failure)),
                            _ => tracing::error!(bmc = %bmc.name, "does not serve: {}", failure.error),
                        }
                    }
                    if before.as_ref() != Some(&brought_up.record) {
                        writes.push(record::write(&bmc.name, Some(&brought_up.record))?);
                    }
                    daemon.bmcs_mut().insert(bmc.name.clone(), brought_up);
                }
                Err(error) => match origin {
                    Origin::File => {
                        problems.push(format!("{}{}: {error}", place(&config, Some(bmc.line)), bmc.name))
                    }
                    _ => tracing::error!(bmc = %bmc.name, "cannot be brought up: {error}"),
                },
            }
        }
        anyhow::ensure!(problems.is_empty(), problems.join("\n"));
        for name in forgotten {
            writes.push(record::write(&name, None)?);
        }
        if !writes.is_empty() {
            daemon.store.commit(writes).await?;
        }
        daemon.discover(&mut present).await;
        drop(present);
        let machines: Vec<MachineHandle> = daemon.bmcs().values().map(|bmc| bmc.handle.clone()).collect();
        first_reports(machines).await;
        Ok(daemon)
    }

    /// Attaches a machine and binds its endpoints. Endpoints that cannot be bound leave it [`Serving::Failed`]. What is stored under the BMC's name
    /// is taken up only where it is the same machine's: whoever hands over no record, or knows the machine's UUID, needs no care.
    async fn bring_up(
        &self,
        ports: &mut Ports,
        bmc: &BmcConfig,
        origin: Origin,
        mut stored: Option<BmcRecord>,
        uuid: Option<Uuid>,
    ) -> Result<Bmc, ControlError> {
        let name = bmc.name.as_str();
        let backend = self.backends.get(&bmc.backend)?;
        if !self.is_same_machine(stored.as_ref(), bmc, uuid).await? {
            // Another machine's accounts, event log, boot override and identity are not this one's, and its emulator may still knock.
            self.forget(name).await?;
            if let Some(stored) = &mut stored {
                stored.door = Uuid::new_v4();
                stored.system_interface = None;
                stored.stopped &= origin == Origin::File;
            }
        }
        let administrator = (bmc.username.clone(), bmc.password.clone());
        let setup = MachineSetup {
            name: name.to_owned(),
            machine: machine_ref(&bmc.machine),
            administrator: administrator.clone(),
            power_policy: bmc.power_policy,
            identity: self.identity(bmc).await?,
        };
        let handle =
            self.fleet.add(setup, backend).await.map_err(|error| ControlError::invalid(error.to_string()))?;
        let stopped = stored.as_ref().is_some_and(|stored| stored.stopped);
        let mut record = BmcRecord {
            origin,
            backend: bmc.backend.clone(),
            machine: bmc.machine.clone(),
            ipmi: stored.as_ref().and_then(|stored| stored.ipmi),
            redfish: stored.as_ref().and_then(|stored| stored.redfish),
            system_interface: stored.as_ref().and_then(|stored| stored.system_interface),
            door: stored.as_ref().map_or_else(Uuid::new_v4, |stored| stored.door),
            stopped,
            administrator: (origin == Origin::Added).then_some(administrator),
            gone: None,
        };
        let serving = if stopped || !bmc.enabled {
            Serving::Stopped
        } else {
            match self.binder.bind(ports, bmc, &record, &handle).await {
                Ok((endpoints, ipmi, redfish)) => {
                    record.ipmi = Some(ipmi);
                    record.redfish = Some(redfish);
                    self.announce(&handle);
                    Serving::Endpoints(Box::new(endpoints))
                }
                Err(failure) => Serving::Failed(failure),
            }
        };
        Ok(Bmc { record, config: bmc.clone(), handle, serving, changing_door: Arc::default() })
    }

    /// Whether what is stored under a BMC's name is of the machine that it is to have now, as far as can be told; `uuid` where somebody has seen
    /// that. A UUID means the same machine everywhere.
    async fn is_same_machine(
        &self,
        stored: Option<&BmcRecord>,
        bmc: &BmcConfig,
        uuid: Option<Uuid>,
    ) -> Result<bool, StoreError> {
        let uuid = uuid.or_else(|| Uuid::try_parse(&bmc.machine).ok());
        let kept = self.store.get(&format!("machine/{}", bmc.name)).await?;
        let kept = kept.and_then(|kept| serde_json::from_slice::<MachineRecord>(&kept.value).ok());
        let kept = kept.map(|kept| kept.machine);
        if let Some((uuid, kept)) = uuid.zip(kept.as_ref().and_then(|kept| kept.uuid))
            && uuid != kept
        {
            return Ok(false);
        }
        let means = |text: &str| {
            kept.as_ref().is_some_and(|kept| {
                *text == kept.name
                    || kept.uuid.is_some_and(|kept| Uuid::try_parse(text) == Ok(kept) || uuid == Some(kept))
            })
        };
        let Some(stored) = stored else {
            // Nobody has said whose it is but itself.
            return Ok(kept.is_none() || means(&bmc.machine));
        };
        let same_place = self.backends.place(&stored.backend) == self.backends.place(&bmc.backend);
        if stored.machine == bmc.machine {
            let seen = uuid.is_some() && uuid == kept.as_ref().and_then(|kept| kept.uuid);
            return Ok(same_place || seen || Uuid::try_parse(&bmc.machine).is_ok());
        }
        // What was discovered by its UUID and is declared by its name, or the other way round.
        Ok(same_place && means(&stored.machine) && means(&bmc.machine))
    }

    /// Deletes what is stored under the name of a BMC that is not served.
    async fn forget(&self, name: &str) -> Result<(), StoreError> {
        self.fleet.remove(name, true).await?;
        if let Err(error) = self.binder.tls.forget(name) {
            tracing::warn!(bmc = %name, %error, "the certificate of a BMC that was removed could not be deleted");
        }
        Ok(())
    }

    /// Ends a BMC's endpoints and lets its machine go. Its endpoints are free for others then.
    async fn take_down(
        &self,
        ports: &mut Ports,
        name: &str,
        forget: bool,
    ) -> Result<Option<TakenDown>, StoreError> {
        let Some(bmc) = self.bmcs_mut().remove(name) else { return Ok(None) };
        self.close(&bmc.handle, bmc.serving).await;
        release(ports, name, &bmc.record);
        if forget {
            self.forget(name).await?;
        } else {
            self.fleet.remove(name, false).await?;
        }
        Ok(Some(TakenDown { record: bmc.record, config: bmc.config }))
    }

    /// Ends endpoints, if there are any.
    async fn close(&self, machine: &MachineHandle, serving: Serving) {
        if let Serving::Endpoints(endpoints) = serving {
            endpoints.stop().await;
            emit(&self.fleet, machine, EventKind::Stopped);
        }
    }

    /// Ends connections to hypervisors without BMCs.
    fn drop_unused_backends(&self) {
        let mut used: BTreeSet<String> = self.bmcs().values().map(|bmc| bmc.record.backend.clone()).collect();
        used.extend(self.discovery.followed());
        self.backends.keep_only(|name| used.contains(name));
    }

    /// The identity a machine is configured to have: what the file says over what is stored, and nothing where the file says nothing.
    async fn identity(&self, bmc: &BmcConfig) -> Result<Option<Identity>, StoreError> {
        let wanted = &bmc.identity;
        if *wanted == config::IdentityConfig::default() {
            return Ok(None);
        }
        let stored = self.store.get(&format!("machine/{}", bmc.name)).await?;
        let stored = stored.and_then(|stored| serde_json::from_slice::<MachineRecord>(&stored.value).ok());
        let mut identity = match stored {
            Some(stored) => Identity::clone(&stored.identity),
            None => Identity {
                manufacturer: "polybmc".to_owned(),
                model: "Virtual Machine".to_owned(),
                serial: bmc.name.clone(),
                asset_tag: String::new(),
                part_number: String::new(),
            },
        };
        let fill = |to: &mut String, from: &Option<String>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        fill(&mut identity.manufacturer, &wanted.manufacturer);
        fill(&mut identity.model, &wanted.model);
        fill(&mut identity.serial, &wanted.serial);
        fill(&mut identity.asset_tag, &wanted.asset_tag);
        Ok(Some(identity))
    }

    /// Logs that a BMC serves, once its machine has told who it is: an event carries the machine's own UUID.
    fn announce(&self, machine: &MachineHandle) {
        let (fleet, machine) = (self.fleet.clone(), machine.clone());
        tokio::spawn(async move {
            first_reports([machine.clone()]).await;
            emit(&fleet, &machine, EventKind::Started);
        });
    }

    async fn save(&self, name: &str, record: Option<&BmcRecord>) -> Result<(), StoreError> {
        self.store.commit(vec![record::write(name, record)?]).await.map(drop)
    }

    fn secure(&self) -> bool {
        self.binder.tls != Tls::Off
    }

    fn bmcs(&self) -> RwLockReadGuard<'_, BTreeMap<String, Bmc>> {
        self.bmcs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn bmcs_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Bmc>> {
        self.bmcs.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of the root over all BMCs.
    pub(crate) fn aggregate_url(&self) -> Option<String> {
        let aggregate = self.aggregate.lock().unwrap_or_else(PoisonError::into_inner);
        let scheme = if self.secure() { "https" } else { "http" };
        aggregate.as_ref().map(|server| format!("{scheme}://{}", server.local_addr()))
    }

    /// Ends everything in order: endpoints first, so that no request is taken that nobody will answer.
    pub(crate) async fn shut_down(&self) {
        self.changes.lock().await.ended = true;
        let aggregate = self.aggregate.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bmcs = std::mem::take(&mut *self.bmcs_mut());
        let mut endings = tokio::task::JoinSet::new();
        if let Some(aggregate) = aggregate {
            endings.spawn(aggregate.stop());
        }
        for bmc in bmcs.into_values() {
            if let Serving::Endpoints(endpoints) = bmc.serving {
                emit(&self.fleet, &bmc.handle, EventKind::Stopped);
                endings.spawn(endpoints.stop());
            }
        }
        endings.join_all().await;
        if tokio::time::timeout(EVENTS_STORED_LIMIT, self.fleet.events_stored()).await.is_err() {
            tracing::warn!("the last events could not be stored in time");
        }
    }
}

/// How long the end of the daemon waits for the store to take the last events.
const EVENTS_STORED_LIMIT: Duration = Duration::from_secs(5);

fn release(ports: &mut Ports, name: &str, record: &BmcRecord) {
    if let Some(ipmi) = record.ipmi {
        ports.release(Kind::Ipmi, ipmi.address, name);
    }
    if let Some(redfish) = record.redfish {
        ports.release(Kind::Redfish, redfish.address, name);
    }
}

/// Logs something that happened to a BMC.
fn emit(fleet: &Fleet, machine: &MachineHandle, kind: EventKind) {
    fleet.events().emit(fleet.clock().timestamp(), machine.name(), machine.snapshot().uuid, kind);
}

/// How long backends may take to tell the machines' states before a daemon or a new BMC answers without.
const FIRST_REPORT: Duration = Duration::from_secs(2);

/// Waits until the backends have told each machine's state once, so that whoever is told "ready" reads the truth. A backend that says
/// nothing in time leaves BMCs that say so.
async fn first_reports(machines: impl IntoIterator<Item = MachineHandle>) {
    let all_told = async {
        for machine in machines {
            // A machine that was removed meanwhile tells nothing any more.
            let _ = machine.subscribe().wait_for(|snapshot| snapshot.info.is_some()).await;
        }
    };
    if tokio::time::timeout(FIRST_REPORT, all_told).await.is_err() {
        tracing::debug!("not every machine's state is known yet");
    }
}

/// `FILE:LINE: `, or nothing where no file says so.
fn place(config: &Config, line: Option<usize>) -> String {
    match (&config.file, line) {
        (Some(file), Some(line)) if line > 0 => format!("{}:{line}: ", file.display()),
        _ => String::new(),
    }
}

/// An endpoint of the file that cannot be bound, with the line that names it.
fn bind_problem(config: &Config, bmc: &BmcConfig, BindFailure { kind, error }: &BindFailure) -> String {
    let chosen = match kind {
        Kind::Ipmi => bmc.ipmi,
        Kind::Redfish => bmc.redfish,
    };
    let line = chosen.map_or(bmc.line, |chosen| chosen.line);
    format!("{}`{}` of {}: {error}", place(config, Some(line)), kind.key(), bmc.name)
}

/// A machine given by name or UUID.
fn machine_ref(machine: &str) -> MachineRef {
    MachineRef { uuid: Uuid::try_parse(machine).ok(), name: machine.to_owned() }
}
