//! The endpoints of one BMC and of the aggregate root: binding them, with whatever the next free port is where nobody chose one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bmc_control::{ControlError, ErrorKind};
use bmc_core::directory::Directory;
use bmc_core::fleet::{Fleet, MachineHandle};
use bmc_core::store::Store;
use bmc_ipmi::IpmiServer;
use bmc_redfish::{RedfishConfig, RedfishServer, Scope, Tls};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};

use super::doors::{self, Door, Doors};
use super::ports::{Kind, Ports};
use super::record::{BmcRecord, Endpoint};
use crate::config::{AggregateConfig, BmcConfig};

/// Who speaks for the aggregate root's port; no BMC can have this name.
pub(super) const AGGREGATE: &str = "*";
/// Who speaks for a port that another program has; no BMC can have this name.
const FOREIGN: &str = "?";

/// What serves one BMC.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) ipmi: IpmiServer,
    pub(super) redfish: RedfishServer,
    /// The machine's own way in.
    pub(super) door: Door,
}

impl Endpoints {
    /// Ends all; the ports are free when this returns.
    pub(super) async fn stop(self) {
        tokio::join!(self.ipmi.stop(), self.redfish.stop(), self.door.stop());
    }
}

/// What binding needs of the daemon.
#[derive(Clone)]
pub(super) struct Binder {
    pub(super) fleet: Fleet,
    pub(super) store: Arc<dyn Store>,
    pub(super) tls: Tls,
    /// How every Redfish service behaves.
    pub(super) redfish: RedfishConfig,
    pub(super) doors: Doors,
}

/// Why a BMC does not serve, and which of its endpoints is at fault.
#[derive(Clone, Debug)]
pub(super) struct BindFailure {
    pub(super) kind: Kind,
    pub(super) error: ControlError,
}

/// Why one try to bind failed.
enum Refusal {
    /// Somebody has the port; another may be tried.
    Taken(String),
    /// Another port would not help.
    Other(ControlError),
}

impl Binder {
    async fn ipmi(
        &self,
        at: SocketAddr,
        machine: &MachineHandle,
        bmc: &BmcConfig,
    ) -> Result<IpmiServer, Refusal> {
        let random = StdRng::try_from_rng(&mut SysRng).map_err(|error| {
            Refusal::Other(ControlError::internal(format!(
                "the operating system gives no randomness: {error}"
            )))
        })?;
        IpmiServer::bind(at, machine.clone(), &self.fleet, bmc.ipmi_config(), random).await.map_err(|error| {
            match error {
                bmc_ipmi::BindError::InUse(_) => Refusal::Taken(error.to_string()),
                bmc_ipmi::BindError::Forbidden(_) => {
                    Refusal::Other(ControlError::new(ErrorKind::PermissionDenied, error.to_string()))
                }
                _ => Refusal::Other(ControlError::invalid(error.to_string())),
            }
        })
    }

    async fn redfish(&self, at: SocketAddr, scope: Scope) -> Result<RedfishServer, Refusal> {
        let bound = RedfishServer::bind(at, self.tls.clone(), scope, self.redfish.clone()).await;
        bound.map_err(|error| match error {
            bmc_redfish::BindError::InUse(_) => Refusal::Taken(error.to_string()),
            bmc_redfish::BindError::Permission(_) => {
                Refusal::Other(ControlError::new(ErrorKind::PermissionDenied, error.to_string()))
            }
            _ => Refusal::Other(ControlError::invalid(error.to_string())),
        })
    }

    /// Binds the IPMI endpoint of a BMC: the chosen one, else the one it had, else the next free one.
    pub(super) async fn bind_ipmi(
        &self,
        ports: &mut Ports,
        bmc: &BmcConfig,
        had: Option<Endpoint>,
        beside: Option<IpAddr>,
        machine: &MachineHandle,
    ) -> Result<(IpmiServer, Endpoint), ControlError> {
        let chosen = bmc.ipmi.map(|located| located.value);
        let mut search = Search::new(Kind::Ipmi, bmc, chosen, had, beside);
        loop {
            let at = search.candidate(ports)?;
            match self.ipmi(at, machine, bmc).await {
                Ok(server) => return Ok((server, search.found(at))),
                Err(refusal) => search.refused(ports, at, refusal)?,
            }
        }
    }

    /// Binds the Redfish endpoint of a BMC, as [`bind_ipmi`](Self::bind_ipmi).
    pub(super) async fn bind_redfish(
        &self,
        ports: &mut Ports,
        bmc: &BmcConfig,
        had: Option<Endpoint>,
        beside: Option<IpAddr>,
        machine: &MachineHandle,
    ) -> Result<(RedfishServer, Endpoint), ControlError> {
        let chosen = bmc.redfish.map(|located| located.value);
        let mut search = Search::new(Kind::Redfish, bmc, chosen, had, beside);
        loop {
            let at = search.candidate(ports)?;
            let scope = Scope::One { fleet: self.fleet.clone(), machine: machine.clone() };
            match self.redfish(at, scope).await {
                Ok(server) => return Ok((server, search.found(at))),
                Err(refusal) => search.refused(ports, at, refusal)?,
            }
        }
    }

    /// Binds both endpoints of a BMC, and opens its system interface if it is to have one. On an error neither is bound, and what was spoken for on the way is free again.
    pub(super) async fn bind(
        &self,
        ports: &mut Ports,
        bmc: &BmcConfig,
        had: &BmcRecord,
        machine: &MachineHandle,
    ) -> Result<(Endpoints, Endpoint, Endpoint), BindFailure> {
        let beside = bmc.redfish.map(|chosen| chosen.value.ip());
        let ipmi = self.bind_ipmi(ports, bmc, had.ipmi, beside, machine).await;
        let (ipmi, ipmi_at) = ipmi.map_err(|error| BindFailure { kind: Kind::Ipmi, error })?;
        match self.bind_redfish(ports, bmc, had.redfish, Some(ipmi_at.address.ip()), machine).await {
            Ok((redfish, redfish_at)) => {
                let kind = doors::wanted(bmc, had.system_interface);
                let door = self.open_door(&bmc.name, had.door, kind, Arc::clone(ipmi.bmc()));
                Ok((Endpoints { ipmi, redfish, door }, ipmi_at, redfish_at))
            }
            Err(error) => {
                ipmi.stop().await;
                ports.release(Kind::Ipmi, ipmi_at.address, &bmc.name);
                Err(BindFailure { kind: Kind::Redfish, error })
            }
        }
    }

    /// Binds the root over all BMCs. Where the file does not name its port, the next free one does.
    pub(super) async fn bind_aggregate(
        &self,
        ports: &mut Ports,
        config: &AggregateConfig,
    ) -> Result<Option<RedfishServer>, ControlError> {
        let Some(listen) = config.listen else { return Ok(None) };
        let accounts =
            Directory::open(Arc::clone(&self.store), &config.username, config.password.clone()).await;
        let accounts = Arc::new(accounts.map_err(|error| ControlError::invalid(error.to_string()))?);
        let mut at = listen.value;
        loop {
            let taken = match ports.take(Kind::Redfish, at, AGGREGATE) {
                Err(owner) => format!("{at} belongs to the BMC {owner}"),
                Ok(()) => {
                    let scope = Scope::All { fleet: self.fleet.clone(), accounts: Arc::clone(&accounts) };
                    match self.redfish(at, scope).await {
                        Ok(server) => return Ok(Some(server)),
                        Err(Refusal::Other(error)) => return Err(error),
                        Err(Refusal::Taken(reason)) => {
                            ports.release(Kind::Redfish, at, AGGREGATE);
                            reason
                        }
                    }
                }
            };
            let next = at.port().checked_add(1).filter(|_| listen.line == 0);
            let Some(next) = next else { return Err(ControlError::new(ErrorKind::AlreadyExists, taken)) };
            tracing::warn!("{taken}; the Redfish root over all BMCs tries the next port");
            at.set_port(next);
        }
    }
}

/// The search for an endpoint.
struct Search<'c> {
    kind: Kind,
    bmc: &'c BmcConfig,
    chosen: Option<SocketAddr>,
    had: Option<SocketAddr>,
    beside: Option<IpAddr>,
}

impl<'c> Search<'c> {
    fn new(
        kind: Kind,
        bmc: &'c BmcConfig,
        chosen: Option<SocketAddr>,
        had: Option<Endpoint>,
        beside: Option<IpAddr>,
    ) -> Self {
        // One that was chosen once and is no longer goes back to the next free one, and so does one of another address or pool.
        let had = had.filter(|endpoint| !endpoint.chosen && Ports::fits(kind, endpoint.address, &bmc.places));
        Self { kind, bmc, chosen, had: had.map(|endpoint| endpoint.address), beside }
    }

    fn candidate(&mut self, ports: &mut Ports) -> Result<SocketAddr, ControlError> {
        let name = &self.bmc.name;
        if let Some(chosen) = self.chosen {
            return ports.take(self.kind, chosen, name).map(|()| chosen).map_err(|owner| {
                let owner = if *owner == *AGGREGATE {
                    "the Redfish root over all BMCs".to_owned()
                } else {
                    format!("the BMC {owner}")
                };
                ControlError::new(
                    ErrorKind::AlreadyExists,
                    format!("{chosen} belongs to {owner}; choose another port"),
                )
            });
        }
        if let Some(had) = self.had
            && ports.take(self.kind, had, name).is_ok()
        {
            return Ok(had);
        }
        ports.next(self.kind, &self.bmc.places, self.beside, name).ok_or_else(|| {
            let advice = "widen the pool or choose another first port in [defaults], or name an endpoint";
            ControlError::new(
                ErrorKind::AlreadyExists,
                format!("no free {} endpoint is left; {advice}", self.kind.key()),
            )
        })
    }

    fn found(&self, address: SocketAddr) -> Endpoint {
        Endpoint { address, chosen: self.chosen.is_some() }
    }

    fn refused(&mut self, ports: &mut Ports, at: SocketAddr, refusal: Refusal) -> Result<(), ControlError> {
        ports.release(self.kind, at, &self.bmc.name);
        match refusal {
            Refusal::Taken(_) if self.chosen.is_none() => {
                let bmc = &self.bmc.name;
                if self.had.take() == Some(at) {
                    tracing::warn!(%bmc, "{} {at} is taken by another program; the next free one is used", self.kind.key());
                }
                // Another program's: passed over by all searches of this daemon.
                let _ = ports.take(self.kind, at, FOREIGN);
                Ok(())
            }
            Refusal::Taken(reason) => Err(ControlError::new(ErrorKind::AlreadyExists, reason)),
            Refusal::Other(error) => Err(error),
        }
    }
}
