//! Who shall be there when a daemon starts, from the file, the store and `--sim`; and which endpoints are spoken for before anyone is
//! given the next free one.

use std::collections::{BTreeMap, HashSet};

use bmc_control::types::Origin;
use bmc_core::account::Secret;

use super::discover;
use super::endpoints::AGGREGATE;
use super::ports::{Kind, Ports};
use super::record::{self, BmcRecord};
use crate::config::{self, BmcConfig, Config, Located};

/// A BMC to bring up at start.
pub(super) struct Wanted {
    pub(super) config: BmcConfig,
    pub(super) origin: Origin,
    pub(super) record: Option<BmcRecord>,
}

/// Simulated machines of `--sim` have the defaults' account, and that must not be the known one where others can reach it.
pub(super) fn check_sim(config: &Config, sim: u32) -> anyhow::Result<()> {
    let exposed = config::exposed(&config.defaults.bmc("node-0"), config.defaults.allow_default_password);
    match exposed {
        Some(address) if sim > 0 => anyhow::bail!(
            "--sim: the machines would answer on {address} with the password that everybody knows; {}",
            config::EXPOSED_MEND
        ),
        _ => Ok(()),
    }
}

/// Who shall be there when a daemon starts, and what becomes of the other records.
pub(super) struct Plan {
    /// The file's, `--sim`'s, those that were added, and those that were discovered.
    pub(super) wanted: Vec<Wanted>,
    /// Whose records are to be forgotten.
    pub(super) forgotten: Vec<String>,
    /// Records of discovered BMCs whose machine is gone.
    pub(super) gone: BTreeMap<String, BmcRecord>,
}

/// Who shall be there.
pub(super) fn want(config: &Config, sim: u32, stored: &mut BTreeMap<String, BmcRecord>) -> Plan {
    let mut wanted: Vec<Wanted> = Vec::new();
    for bmc in &config.bmcs {
        let record = stored.remove(&bmc.name);
        if record.as_ref().is_some_and(|record| record.origin == Origin::Added) {
            tracing::warn!(bmc = %bmc.name, "was added at run time and is in the file now; the file rules");
        }
        wanted.push(Wanted { config: bmc.clone(), origin: Origin::File, record });
    }
    let declared: HashSet<&str> = config.bmcs.iter().map(|bmc| bmc.name.as_str()).collect();
    for number in 0..sim {
        let name = format!("node-{number}");
        let added = stored.get(&name).is_some_and(|record| record.origin == Origin::Added);
        if added || declared.contains(name.as_str()) {
            continue;
        }
        let mut bmc = config.defaults.bmc(&name);
        bmc.backend = config::SIM.to_owned();
        let record = stored.remove(&name);
        if record.is_some() {
            // What was set since is stored with the machine.
            bmc.power_policy = None;
        }
        choose(&mut bmc, record.as_ref());
        wanted.push(Wanted { config: bmc, origin: Origin::Sim, record });
    }
    let (mut forgotten, mut gone) = (Vec::new(), BTreeMap::new());
    let discovers = |name: &str| discover::discovering(config).any(|(backend, _)| backend == name);
    for (name, record) in std::mem::take(stored) {
        match record.origin {
            Origin::Added => wanted.push(Wanted {
                config: added(config, &name, &record),
                origin: Origin::Added,
                record: Some(record),
            }),
            // Also while its hypervisor cannot be reached: the BMC answers and says so.
            Origin::Discovered if record.gone.is_none() && discovers(&record.backend) => {
                wanted.push(Wanted {
                    config: discover::discovered(config, &name, &record),
                    origin: Origin::Discovered,
                    record: Some(record),
                })
            }
            Origin::Discovered => {
                gone.insert(name, record);
            }
            Origin::File | Origin::Sim => forgotten.push(name),
        }
    }
    Plan { wanted, forgotten, gone }
}

/// An added BMC as if the file declared it.
fn added(config: &Config, name: &str, record: &BmcRecord) -> BmcConfig {
    let mut bmc = config.defaults.bmc(name);
    bmc.backend.clone_from(&record.backend);
    bmc.machine.clone_from(&record.machine);
    // What clients set since is stored with the machine.
    bmc.power_policy = None;
    if let Some((username, password)) = &record.administrator {
        bmc.username.clone_from(username);
        bmc.password = Secret::clone(password);
    }
    choose(&mut bmc, Some(record));
    bmc
}

/// Endpoints that somebody chose at run time are as good as the file's.
pub(super) fn choose(bmc: &mut BmcConfig, record: Option<&BmcRecord>) {
    let chosen = |endpoint: Option<record::Endpoint>| {
        endpoint
            .filter(|endpoint| endpoint.chosen)
            .map(|endpoint| Located { value: endpoint.address, line: 0 })
    };
    if let Some(record) = record {
        bmc.ipmi = bmc.ipmi.or(chosen(record.ipmi));
        bmc.redfish = bmc.redfish.or(chosen(record.redfish));
    }
}

/// Speaks for what was chosen and what was had, before anyone is given the next free one. The file comes first.
pub(super) fn speak_for(ports: &mut Ports, config: &Config, wanted: &[Wanted]) {
    if let Some(listen) = config.aggregate.listen {
        // The first to speak cannot be refused.
        let _ = ports.take(Kind::Redfish, listen.value, AGGREGATE);
    }
    let mut take = |kind: Kind, address: Option<std::net::SocketAddr>, name: &str| {
        // Whoever comes too late learns it when it is brought up.
        let _ = address.map(|address| ports.take(kind, address, name));
    };
    for Wanted { config, .. } in wanted {
        take(Kind::Ipmi, config.ipmi.map(|located| located.value), &config.name);
        take(Kind::Redfish, config.redfish.map(|located| located.value), &config.name);
    }
    for Wanted { config, record, .. } in wanted {
        let Some(record) = record else { continue };
        if config.ipmi.is_none() {
            take(Kind::Ipmi, record.ipmi.map(|endpoint| endpoint.address), &config.name);
        }
        if config.redfish.is_none() {
            take(Kind::Redfish, record.redfish.map(|endpoint| endpoint.address), &config.name);
        }
    }
}
