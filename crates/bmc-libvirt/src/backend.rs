//! The backend: one connection to one libvirt URI.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bmc_core::backend::{Backend, Link, Machine, MachineInfo, MachineRef, Reports};
use bmc_core::discovery::Listing;
use bmc_core::error::{BackendError, BackendErrorKind};
use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as c;

use crate::connection::{CALL_TIMEOUT, Failure};
use crate::firmware::HostFirmware;
use crate::firmware::catalogue::FIRMWARE_FOLDERS;
use crate::hub::Hub;
use crate::machine::LibvirtMachine;
use crate::storage::RaidOptions;
use crate::xml::read;

/// How many names a [`find`](Backend::find) in vain suggests.
const SUGGESTIONS_MAX: usize = 3;

/// How often a backend asks for statistics, unless told otherwise.
pub const STATISTICS_INTERVAL: Duration = Duration::from_secs(10);

/// What a backend does with its machines' serial consoles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsolePolicy {
    /// Holds each while its domain runs, so that nothing of its output is lost to a late viewer. libvirt lets one program at a time have
    /// a console: `virsh console` then needs `--force`.
    #[default]
    Held,
    /// Leaves them to others; the machines have no console.
    Off,
}

/// How a [`LibvirtBackend`] works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is done with the consoles.
    pub console: ConsolePolicy,
    /// How often statistics are asked for; at most ten times a second.
    pub statistics_interval: Duration,
    /// The machines' RAID controllers.
    pub raid: RaidOptions,
    /// Where the descriptors of this host's firmware lie, as `FIRMWARE_FOLDERS` says.
    pub firmware_folders: Vec<PathBuf>,
    /// Whether machines that are started have the BMC's CD drive from the beginning; otherwise it comes by USB when something is inserted
    /// while they run.
    pub media_tray: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            console: ConsolePolicy::default(),
            statistics_interval: STATISTICS_INTERVAL,
            raid: RaidOptions::default(),
            firmware_folders: FIRMWARE_FOLDERS.iter().map(PathBuf::from).collect(),
            media_tray: false,
        }
    }
}

/// The machines of one libvirt URI.
pub struct LibvirtBackend {
    name: String,
    hub: Arc<Hub>,
    console: ConsolePolicy,
    media_tray: bool,
}

impl LibvirtBackend {
    /// Connects to `uri` (`qemu:///system`, `qemu+ssh://host/system`, `test:///default`, ...) and keeps connected, with a pause that grows
    /// after each failure. Returns at once; calls wait for the end of the first attempt. Needs a tokio runtime with time.
    pub fn new(uri: &str) -> Arc<Self> {
        Self::with(uri, Options::default())
    }

    /// As [`new`](Self::new), with options.
    pub fn with(uri: &str, options: Options) -> Arc<Self> {
        let firmware = HostFirmware::new(options.firmware_folders);
        let hub = Hub::start(Arc::from(uri), options.statistics_interval, options.raid, firmware);
        Arc::new(Self { name: uri.to_owned(), hub, console: options.console, media_tray: options.media_tray })
    }
}

#[async_trait]
impl Backend for LibvirtBackend {
    fn name(&self) -> &str {
        &self.name
    }

    async fn find(&self, name_or_uuid: &str) -> Result<MachineInfo, BackendError> {
        let wanted = name_or_uuid.to_owned();
        let uri = self.name.clone();
        let look = move |connect: &Connect| {
            let found = match Uuid::parse_str(&wanted) {
                // A name may look like a UUID.
                Ok(uuid) => {
                    connect.lookup_domain_by_uuid(uuid).or_else(|_| connect.lookup_domain_by_name(&wanted))
                }
                Err(_) => connect.lookup_domain_by_name(&wanted),
            };
            match found {
                Ok(domain) => info_of(&domain),
                Err(error) if error.code().is(virt::error::ErrorNumber::NoDomain) => {
                    Err(not_found(&uri, &wanted, names(connect)?).into())
                }
                Err(error) => Err(error.into()),
            }
        };
        self.hub.caller.call(CALL_TIMEOUT, "look a domain up", look).await
    }

    async fn machines(&self) -> Result<Vec<MachineInfo>, BackendError> {
        let list = |connect: &Connect| {
            let mut machines = Vec::new();
            for domain in connect.list_all_domains(0)? {
                match info_of(&domain) {
                    Ok(info) => machines.push(info),
                    // A domain can be undefined while they are listed.
                    Err(Failure::Libvirt(error)) if error.code().is(virt::error::ErrorNumber::NoDomain) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(machines)
        };
        self.hub.caller.call(CALL_TIMEOUT, "list the domains", list).await
    }

    fn link(&self) -> Option<Link> {
        Some(self.hub.caller.link())
    }

    fn follow(&self) -> Option<tokio::sync::watch::Receiver<Listing>> {
        Some(self.hub.follow())
    }

    fn attach(&self, machine: MachineRef, reports: Reports) -> Arc<dyn Machine> {
        let watch = self.hub.watch(machine, reports);
        Arc::new(LibvirtMachine::new(Arc::clone(&self.hub), watch, self.console, self.media_tray))
    }
}

fn info_of(domain: &Domain) -> Result<MachineInfo, Failure> {
    Ok(read::machine_info(&domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE)?)?)
}

fn names(connect: &Connect) -> Result<Vec<String>, Failure> {
    connect.list_all_domains(0)?.iter().map(|domain| Ok(domain.name()?)).collect()
}

fn not_found(uri: &str, wanted: &str, mut names: Vec<String>) -> BackendError {
    names.sort_by_cached_key(|name| (distance(wanted, name), name.clone()));
    names.truncate(SUGGESTIONS_MAX);
    let hint = if names.is_empty() {
        "it has no domains (`virsh list --all`)".to_owned()
    } else {
        format!("nearest: {}", names.join(", "))
    };
    BackendError::new(BackendErrorKind::NotFound, format!("libvirt at {uri} has no domain {wanted}; {hint}"))
}

/// How many characters to insert, delete or change to get from one name to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let cost = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_vain_suggests_the_nearest() {
        assert_eq!(distance("node-1", "node-1"), 0);
        assert_eq!(distance("nod1", "node-1"), 2);
        assert_eq!(distance("", "abc"), 3);
        let names = ["zebra", "node-2", "node-10", "web"].map(str::to_owned).to_vec();
        let error = not_found("test:///default", "node-1", names);
        assert!(error.message.ends_with("nearest: node-10, node-2, web"), "{error}");
        assert!(not_found("test:///default", "x", Vec::new()).message.contains("virsh list"));
    }
}
