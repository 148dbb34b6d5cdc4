//! BMCs that come and go with the machines of a hypervisor: `discover` in a `[backend.NAME]`.
//!
//! What is wanted follows from the listings of all hypervisors, the configuration and what is there; [`Daemon::meet`] makes what is there
//! so. It is run whenever one of them has changed, and does nothing where nothing is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bmc_control::types::Origin;
use bmc_core::discovery::{Found, Listing};
use bmc_core::store::Write;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::record::{self, BmcRecord};
use super::{Daemon, FIRST_REPORT, Present, Serving, plan, reload};
use crate::config::{self, BackendConfig, BmcConfig, Config, Discover, Located, NAME_RULE, is_bmc_name};

/// How many records of BMCs whose machine is gone are kept for its return; the oldest go.
const GONE_KEPT_MAX: usize = 1_000;

/// The hypervisors whose machines are followed.
#[derive(Default)]
pub(super) struct Discovery {
    /// Rung when there may be something to do.
    bell: Arc<Notify>,
    followed: Mutex<BTreeMap<String, Followed>>,
}

struct Followed {
    listing: watch::Receiver<Listing>,
    ringer: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.ringer.abort();
    }
}

/// What a run of [`Daemon::meet`] did; names of BMCs, and sentences for what failed.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) failed: Vec<String>,
}

/// A machine that shall have a BMC.
struct Candidate {
    uuid: Uuid,
    backend: String,
    found: Found,
}

/// Machines that have a BMC which was not discovered: by UUID where that is known, and by hypervisor and name or UUID as given.
struct Others {
    uuids: BTreeSet<Uuid>,
    names: BTreeSet<(String, String)>,
}

impl Discovery {
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// What a hypervisor told.
    fn listing(&self, backend: &str) -> Option<Listing> {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.get(backend).map(|followed| followed.listing.borrow().clone())
    }

    /// The backends whose machines are followed.
    pub(super) fn followed(&self) -> Vec<String> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    fn receivers(&self) -> Vec<watch::Receiver<Listing>> {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.values().map(|followed| followed.listing.clone()).collect()
    }
}

/// Whose machines are discovered.
pub(super) fn discovering(config: &Config) -> impl Iterator<Item = (&str, &Discover)> {
    config.backends.iter().filter_map(|(name, backend)| match backend {
        BackendConfig::Libvirt { discover: Some(discover), .. } => Some((name.as_str(), discover)),
        _ => None,
    })
}

/// A discovered BMC as if the file declared it.
pub(super) fn discovered(config: &Config, name: &str, record: &BmcRecord) -> BmcConfig {
    let mut bmc = config.defaults.bmc(name);
    bmc.backend.clone_from(&record.backend);
    bmc.machine.clone_from(&record.machine);
    // What clients set since is stored with the machine.
    bmc.power_policy = None;
    plan::choose(&mut bmc, Some(record));
    bmc
}

impl Daemon {
    /// Follows the hypervisors that the configuration wants followed, and no others.
    pub(super) fn follow(&self, config: &Config) {
        let wanted: BTreeSet<&str> = discovering(config).map(|(name, _)| name).collect();
        let mut followed = self.discovery.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|name, _| wanted.contains(name.as_str()));
        for name in wanted {
            if followed.get(name).is_some_and(|followed| followed.listing.has_changed().is_ok()) {
                continue;
            }
            let listing = match self.backends.get(name) {
                Ok(backend) => backend.follow(),
                Err(error) => {
                    tracing::error!(backend = name, "its machines cannot be discovered: {error}");
                    continue;
                }
            };
            let Some(listing) = listing else { continue };
            let (bell, mut told) = (Arc::clone(&self.discovery.bell), listing.clone());
            let ringer = tokio::spawn(async move {
                while told.changed().await.is_ok() {
                    bell.notify_one();
                }
            });
            followed.insert(name.to_owned(), Followed { listing, ringer: ringer.abort_handle() });
        }
    }

    /// At a start: gives the BMCs there are to be a moment to be there before the daemon says that it is ready, and keeps them up to date
    /// from then on.
    pub(super) async fn discover(self: &Arc<Self>, present: &mut Present) {
        self.follow(&present.config);
        let all_told = async {
            for mut listing in self.discovery.receivers() {
                // One that ends tells nothing any more.
                let _ = listing.wait_for(|listing| listing.known).await;
            }
        };
        if tokio::time::timeout(FIRST_REPORT, all_told).await.is_err() {
            tracing::info!("a hypervisor has not told yet which machines it has");
        }
        self.meet(present).await;
        let (daemon, bell) = (Arc::downgrade(self), Arc::clone(&self.discovery.bell));
        tokio::spawn(keep_up(daemon, bell));
    }

    /// Makes the discovered BMCs those that are wanted.
    pub(super) async fn meet(&self, present: &mut Present) -> Met {
        let mut met = Met::default();
        let mut writes = Vec::new();
        let mut candidates = self.candidates(&present.config);
        let others = self.others();
        candidates.retain(|candidate| !self.has_other_bmc(&others, candidate));
        self.let_go(present, &candidates, &mut met, &mut writes).await;
        let there = self.discovered_bmcs();
        let mut refused = BTreeMap::new();
        for candidate in &candidates {
            let there = there.get(&candidate.uuid.to_string());
            match self.meet_one(present, candidate, there.map(String::as_str), &mut met, &mut writes).await {
                Ok(()) => {}
                Err(reason) => {
                    let reason = format!(
                        "the domain `{}` of {} gets no BMC: {reason}",
                        candidate.found.name, candidate.backend
                    );
                    if present.refused.get(&candidate.uuid) != Some(&reason) {
                        tracing::warn!("{reason}");
                    }
                    refused.insert(candidate.uuid, reason);
                }
            }
        }
        met.failed = refused.values().cloned().collect();
        present.refused = refused;
        for oldest in oldest(&present.gone, GONE_KEPT_MAX) {
            present.gone.remove(&oldest);
            match self.forget(&oldest).await {
                Ok(()) => write(&oldest, None, &mut writes),
                Err(error) => tracing::error!(bmc = %oldest, "what is stored of it stays: {error}"),
            }
        }
        if !writes.is_empty()
            && let Err(error) = self.store.commit(writes).await
        {
            tracing::error!("what was discovered could not be stored: {error}");
        }
        met
    }

    /// The machines that shall have a BMC, in order of their names.
    fn candidates(&self, config: &Config) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (backend, discover) in discovering(config) {
            let Some(listing) = self.discovery.listing(backend) else { continue };
            let wanted = listing.machines.into_iter().filter(|(_, found)| discover.wants(found));
            candidates.extend(wanted.map(|(uuid, found)| Candidate {
                uuid,
                backend: backend.to_owned(),
                found,
            }));
        }
        // A machine that is on its way from one hypervisor to another is at both for a moment, its definition may stay behind, and a URI may be
        // configured twice: where it runs is where its BMC is, and where that does not tell, the BMC stays.
        let there: BTreeMap<String, String> = {
            let bmcs = self.bmcs();
            bmcs.values().map(|bmc| (bmc.record.machine.clone(), bmc.record.backend.clone())).collect()
        };
        candidates.sort_by_cached_key(|Candidate { uuid, backend, found }| {
            let is_there = there.get(&uuid.to_string()) == Some(backend);
            (found.name.clone(), !found.active, !is_there, backend.clone())
        });
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.uuid));
        candidates
    }

    /// Takes down the BMCs of machines that are gone or no longer wanted. What is stored of them stays.
    async fn let_go(
        &self,
        present: &mut Present,
        candidates: &[Candidate],
        met: &mut Met,
        writes: &mut Vec<Write>,
    ) {
        let wanted: BTreeSet<String> =
            candidates.iter().map(|candidate| candidate.uuid.to_string()).collect();
        let followed: BTreeSet<&str> = discovering(&present.config).map(|(name, _)| name).collect();
        let untold = |backend: &str| {
            followed.contains(backend)
                && !self.discovery.listing(backend).is_some_and(|listing| listing.known)
        };
        let gone: Vec<String> = {
            let bmcs = self.bmcs();
            let discovered = bmcs.iter().filter(|(_, bmc)| bmc.record.origin == Origin::Discovered);
            let gone = discovered
                .filter(|(_, bmc)| !wanted.contains(&bmc.record.machine) && !untold(&bmc.record.backend));
            gone.map(|(name, _)| name.clone()).collect()
        };
        for name in gone {
            match self.take_down(&mut present.ports, &name, false).await {
                Ok(Some(taken)) => {
                    let record = BmcRecord { gone: Some(Timestamp::now()), ..taken.record };
                    write(&name, Some(&record), writes);
                    present.gone.insert(name.clone(), record);
                    tracing::info!(bmc = %name, "its machine is gone, or is to have no BMC any more");
                    met.removed.push(name);
                }
                Ok(None) => {}
                Err(error) => tracing::error!(bmc = %name, "cannot be taken down: {error}"),
            }
        }
    }

    /// Sees to one machine's BMC. An error says why it has none.
    async fn meet_one(
        &self,
        present: &mut Present,
        candidate: &Candidate,
        there: Option<&str>,
        met: &mut Met,
        writes: &mut Vec<Write>,
    ) -> Result<(), String> {
        let there = there.and_then(|name| {
            let bmcs = self.bmcs();
            bmcs.get(name).map(|bmc| (name.to_owned(), bmc.record.clone(), bmc.config.clone()))
        });
        let marked = candidate.found.mark.as_ref().and_then(|mark| mark.name.clone());
        match there {
            Some((name, record, running)) if marked.as_ref().is_none_or(|marked| *marked == name) => {
                let record = BmcRecord { backend: candidate.backend.clone(), ..record };
                let mut wanted = wanted_config(&present.config, &name, candidate, Some(&record))?;
                wanted.power_policy = running.power_policy;
                if reload::unchanged(&running, &record, &wanted) {
                    return Ok(());
                }
                self.take_down(&mut present.ports, &name, false).await.map_err(|error| error.to_string())?;
                self.bring_here(present, &wanted, Some(record), writes).await?;
                met.changed.push(name);
            }
            there => {
                let name = match (marked, &there) {
                    (Some(marked), _) => marked,
                    (None, _) => self.name_for(present, candidate)?,
                };
                if !is_bmc_name(&name) {
                    return Err(format!("a BMC's name {NAME_RULE}, not `{name}`; change its mark"));
                }
                if let Some(other) = self.bmcs().get(&name) {
                    let other = &other.record.machine;
                    return Err(format!(
                        "the name {name} belongs to the BMC of {other}; name another in its mark, <polybmc:bmc name='...'/>"
                    ));
                }
                let had = present.gone.get(&name).cloned();
                let wanted = wanted_config(&present.config, &name, candidate, had.as_ref())?;
                // A mark has named another: the BMC of the old name goes.
                if let Some((old, record, _)) = there {
                    self.take_down(&mut present.ports, &old, false)
                        .await
                        .map_err(|error| error.to_string())?;
                    // As if its machine had gone: it finds all as it was where the mark is taken back.
                    let record = BmcRecord { gone: Some(Timestamp::now()), ..record };
                    write(&old, Some(&record), writes);
                    present.gone.insert(old.clone(), record);
                    met.removed.push(old);
                }
                self.bring_here(present, &wanted, had, writes).await?;
                present.gone.remove(&name);
                met.added.push(name);
            }
        }
        Ok(())
    }

    /// Brings a BMC up, and shows and stores it. Endpoints that cannot be had leave it failed, with the reason in the list.
    async fn bring_here(
        &self,
        present: &mut Present,
        wanted: &BmcConfig,
        record: Option<BmcRecord>,
        writes: &mut Vec<Write>,
    ) -> Result<(), String> {
        let brought_up = self.bring_up(&mut present.ports, wanted, Origin::Discovered, record, None).await;
        let bmc = brought_up.map_err(|error| error.to_string())?;
        write(&wanted.name, Some(&bmc.record), writes);
        let at = |endpoint: Option<record::Endpoint>| endpoint.map(|endpoint| endpoint.address.to_string());
        match &bmc.serving {
            Serving::Failed(failure) => {
                tracing::error!(bmc = %wanted.name, "does not serve: {}", failure.error)
            }
            Serving::Endpoints(_) | Serving::Stopped => tracing::info!(
                bmc = %wanted.name, backend = %wanted.backend, machine = %wanted.machine,
                ipmi = at(bmc.record.ipmi), redfish = at(bmc.record.redfish), "discovered"
            ),
        }
        self.bmcs_mut().insert(wanted.name.clone(), bmc);
        Ok(())
    }

    /// The names of the discovered BMCs by their machines.
    fn discovered_bmcs(&self) -> BTreeMap<String, String> {
        let bmcs = self.bmcs();
        let discovered = bmcs.iter().filter(|(_, bmc)| bmc.record.origin == Origin::Discovered);
        discovered.map(|(name, bmc)| (bmc.record.machine.clone(), name.clone())).collect()
    }

    /// The machines that have a BMC from the file or from somebody.
    fn others(&self) -> Others {
        let bmcs = self.bmcs();
        let others = bmcs.values().filter(|bmc| bmc.record.origin != Origin::Discovered);
        let (mut uuids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for bmc in others {
            uuids.insert(bmc.handle.snapshot().uuid);
            names.insert((self.backends.place(&bmc.record.backend), bmc.record.machine.to_ascii_lowercase()));
        }
        Others { uuids, names }
    }

    /// Whether the file or somebody has given the machine a BMC already.
    fn has_other_bmc(&self, others: &Others, candidate: &Candidate) -> bool {
        let place = self.backends.place(&candidate.backend);
        let is_there = |name: String| others.names.contains(&(place.clone(), name));
        others.uuids.contains(&candidate.uuid)
            || is_there(candidate.found.name.to_ascii_lowercase())
            || is_there(candidate.uuid.to_string())
    }

    /// The name of a machine's BMC where its mark names none: the one it had, or its own.
    fn name_for(&self, present: &Present, candidate: &Candidate) -> Result<String, String> {
        let machine = candidate.uuid.to_string();
        // It may have had several, one after the other.
        let had = present.gone.iter().filter(|(_, record)| record.machine == machine);
        if let Some((had, _)) = had.max_by_key(|(_, record)| record.gone) {
            return Ok(had.clone());
        }
        let discover = discovering(&present.config).find(|(backend, _)| *backend == candidate.backend);
        discover
            .and_then(|(_, discover)| discover.bmc_name(&candidate.found.name))
            .ok_or_else(|| "its name has nothing that a BMC's name can have; name one in its mark".to_owned())
    }
}

/// Meets again whenever the bell rings, for as long as there is a daemon.
async fn keep_up(daemon: Weak<Daemon>, bell: Arc<Notify>) {
    loop {
        bell.notified().await;
        let Some(daemon) = daemon.upgrade() else { return };
        let mut present = daemon.changes.lock().await;
        if present.ended {
            return;
        }
        daemon.meet(&mut present).await;
    }
}

/// The BMC of a machine as if the file declared it, checked as the file would be.
fn wanted_config(
    config: &Config,
    name: &str,
    candidate: &Candidate,
    record: Option<&BmcRecord>,
) -> Result<BmcConfig, String> {
    let mut bmc = config.defaults.bmc(name);
    candidate.backend.clone_into(&mut bmc.backend);
    bmc.machine = candidate.uuid.to_string();
    if record.is_some() {
        bmc.power_policy = None;
    }
    if let Some(mark) = &candidate.found.mark {
        bmc.ipmi = endpoint("ipmi", mark.ipmi.as_deref())?;
        bmc.redfish = endpoint("redfish", mark.redfish.as_deref())?;
    }
    plan::choose(&mut bmc, record);
    if let Some(address) = config::exposed(&bmc, config.defaults.allow_default_password) {
        return Err(format!(
            "it would answer on {address} with the password that everybody knows; {}",
            config::EXPOSED_MEND
        ));
    }
    Ok(bmc)
}

fn endpoint(key: &str, written: Option<&str>) -> Result<Option<Located<SocketAddr>>, String> {
    let Some(written) = written else { return Ok(None) };
    let address = written.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    let address = address.ok_or_else(|| {
        format!("`{key}` in its mark must be an address and a port from 1 on, such as 127.0.0.1:6230, not `{written}`")
    })?;
    Ok(Some(Located { value: address, line: 0 }))
}

/// Those that have been gone for longest, as many as there are too many.
fn oldest(gone: &BTreeMap<String, BmcRecord>, kept_max: usize) -> Vec<String> {
    let mut names: Vec<&String> = gone.keys().collect();
    names.sort_by_key(|name| gone.get(*name).map(|record| record.gone));
    names.truncate(gone.len().saturating_sub(kept_max));
    names.into_iter().cloned().collect()
}

fn write(name: &str, record: Option<&BmcRecord>, writes: &mut Vec<Write>) {
    match record::write(name, record) {
        Ok(write) => {
            // The last word on a name counts, and a commit may have only one.
            writes.retain(|other: &Write| other.key != write.key);
            writes.push(write);
        }
        Err(error) => tracing::error!(bmc = %name, "cannot be stored: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_gone_for_longest_are_forgotten_first() {
        let record = |second| BmcRecord {
            origin: Origin::Discovered,
            backend: "lab".to_owned(),
            machine: Uuid::nil().to_string(),
            ipmi: None,
            redfish: None,
            system_interface: None,
            door: Uuid::nil(),
            stopped: false,
            administrator: None,
            gone: Timestamp::from_second(second).ok(),
        };
        let gone = [("a", 3), ("b", 1), ("c", 2)].map(|(name, second)| (name.to_owned(), record(second)));
        let gone = BTreeMap::from(gone);
        assert_eq!(oldest(&gone, 1), ["b", "c"]);
        assert_eq!(oldest(&gone, 3), [""; 0]);
    }
}
