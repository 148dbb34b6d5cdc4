//! Changes of single BMCs at run time: add, set, remove, start, stop.

use std::net::SocketAddr;

use bmc_control::types::{AddBmc, BmcDetail, BmcSummary, Origin, SetBmc};
use bmc_control::{ControlError, ErrorKind};
use bmc_core::error::BackendErrorKind;
use bmc_core::fleet::MachineHandle;
use bmc_core::request::{Change, Request};
use uuid::Uuid;

use super::ports::Kind;
use super::record::{BmcRecord, Endpoint};
use super::{Bmc, Daemon, Present, Serving, first_reports, release, view};
use crate::config::{self, BmcConfig, Located, NAME_RULE, is_bmc_name, nearest};

impl Daemon {
    pub(super) async fn add_bmc(&self, new: AddBmc) -> Result<BmcDetail, ControlError> {
        let mut present = self.changes.lock().await;
        let added = self.try_to_add(&mut present, new).await;
        if added.is_err() {
            self.drop_unused_backends();
        }
        added
    }

    async fn try_to_add(&self, present: &mut Present, new: AddBmc) -> Result<BmcDetail, ControlError> {
        let bmc = self.wanted(present, new)?;
        let uuid = self.check_machine(&bmc).await?;
        let name = bmc.name.as_str();
        let kept = self.store.get(&format!("machine/{name}")).await?.is_some();
        // Whoever adds it wants it served.
        let had = present.gone.get(name).map(|had| BmcRecord { stopped: false, ..had.clone() });
        let brought_up = self.bring_up(&mut present.ports, &bmc, Origin::Added, had, uuid).await?;
        if let Serving::Failed(failure) = brought_up.serving {
            self.fleet.remove(name, !kept).await?;
            return Err(failure.error);
        }
        if let Err(error) = self.save(name, Some(&brought_up.record)).await {
            release(&mut present.ports, name, &brought_up.record);
            self.fleet.remove(name, !kept).await?;
            return Err(error.into());
        }
        present.gone.remove(name);
        first_reports([brought_up.handle.clone()]).await;
        let detail = view::detail(&brought_up, self.secure());
        self.bmcs_mut().insert(name.to_owned(), brought_up);
        let BmcSummary { ipmi, redfish, .. } = &detail.summary;
        tracing::info!(bmc = %name, ipmi = ipmi.as_deref(), redfish = redfish.as_deref(), "added");
        Ok(detail)
    }

    /// A new BMC as if the file declared it, checked as the file would be.
    fn wanted(&self, present: &Present, new: AddBmc) -> Result<BmcConfig, ControlError> {
        let defaults = &present.config.defaults;
        if !is_bmc_name(&new.name) {
            let message = format!("`{}` cannot be a BMC's name, which {NAME_RULE}", new.name);
            return Err(ControlError::invalid(message));
        }
        if self.bmcs().contains_key(&new.name) {
            let message = format!(
                "a BMC {0} exists already; choose another name, or change it with `polybmc set {0}`",
                new.name
            );
            return Err(ControlError::new(ErrorKind::AlreadyExists, message));
        }
        let mut bmc = defaults.bmc(&new.name);
        bmc.backend = new.backend.unwrap_or(bmc.backend);
        bmc.machine = new.machine.unwrap_or(bmc.machine);
        bmc.ipmi = new.ipmi.map(|address| usable(address).map(unlined)).transpose()?;
        bmc.redfish = new.redfish.map(|address| usable(address).map(unlined)).transpose()?;
        bmc.username = new.username.unwrap_or(bmc.username);
        bmc.password = new.password.unwrap_or(bmc.password);
        check_exposed(present, &bmc)?;
        Ok(bmc)
    }

    /// Refuses a machine that does not exist, or has a BMC, and a backend that never can be asked. A hypervisor that cannot be asked now is no
    /// reason: it may come back. Tells the machine's UUID where that is known.
    async fn check_machine(&self, bmc: &BmcConfig) -> Result<Option<Uuid>, ControlError> {
        let backend = self.backends.get(&bmc.backend)?;
        let uuid = if self.backends.makes_machines(&bmc.backend) {
            None
        } else {
            match backend.find(&bmc.machine).await {
                Ok(info) => Some(info.uuid),
                Err(error) if !may_come_back(error.kind) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(bmc = %bmc.name, "added without having seen its machine: {error}");
                    None
                }
            }
        };
        let taken = self
            .bmcs()
            .values()
            .find(|other| {
                let same_name = other.record.backend == bmc.backend && other.record.machine == bmc.machine;
                same_name || uuid.is_some_and(|uuid| other.handle.snapshot().uuid == uuid)
            })
            .map(|other| other.config.name.clone());
        match taken {
            None => Ok(uuid),
            Some(other) => {
                let message = format!(
                    "the machine {} belongs to the BMC {other} already; remove that first: polybmc remove {other}",
                    bmc.machine
                );
                Err(ControlError::new(ErrorKind::AlreadyExists, message))
            }
        }
    }

    pub(super) async fn set_bmc(&self, name: &str, change: SetBmc) -> Result<BmcDetail, ControlError> {
        let mut present = self.changes.lock().await;
        let name = self.resolve(name)?;
        let (handle, mut record, mut config, serves) = {
            let bmcs = self.bmcs();
            let bmc = bmcs.get(&name).ok_or_else(|| no_bmc(&name))?;
            (
                bmc.handle.clone(),
                bmc.record.clone(),
                bmc.config.clone(),
                matches!(bmc.serving, Serving::Endpoints(_)),
            )
        };
        refuse_what_the_file_says(&present, &config, record.origin, &change)?;
        let ipmi = moved(change.ipmi, record.ipmi)?;
        let redfish = moved(change.redfish, record.redfish)?;
        config.ipmi = ipmi.map(unlined).or(config.ipmi);
        config.redfish = redfish.map(unlined).or(config.redfish);

        // What would be exposed: where it serves from now on, with the password it has from now on.
        let mut future = config.clone();
        future.ipmi = config.ipmi.or(record.ipmi.map(|endpoint| unlined(endpoint.address)));
        future.redfish = config.redfish.or(record.redfish.map(|endpoint| unlined(endpoint.address)));
        future.password = change.password.clone().unwrap_or_else(|| view::password(&handle.snapshot()));
        check_exposed(&present, &future)?;

        // The new endpoints are bound before anything is changed, so that a refusal leaves all as it was.
        let new_ipmi = match ipmi.filter(|_| serves) {
            Some(_) => Some(self.binder.bind_ipmi(&mut present.ports, &config, None, None, &handle).await?),
            None => None,
        };
        let new_redfish = match redfish.filter(|_| serves) {
            Some(_) => match self.binder.bind_redfish(&mut present.ports, &config, None, None, &handle).await
            {
                Ok(bound) => Some(bound),
                Err(error) => {
                    if let Some((_, at)) = new_ipmi {
                        present.ports.release(Kind::Ipmi, at.address, &name);
                    }
                    return Err(error);
                }
            },
            None => None,
        };
        if let Err(error) = change_machine(&handle, &change).await {
            if let Some((_, at)) = new_ipmi {
                present.ports.release(Kind::Ipmi, at.address, &name);
            }
            if let Some((_, at)) = new_redfish {
                present.ports.release(Kind::Redfish, at.address, &name);
            }
            return Err(error);
        }

        let old = record.clone();
        let chosen = |address: SocketAddr| Endpoint { address, chosen: true };
        record.ipmi = ipmi.map(chosen).or(record.ipmi);
        record.redfish = redfish.map(chosen).or(record.redfish);
        for (kind, before, after) in
            [(Kind::Ipmi, old.ipmi, record.ipmi), (Kind::Redfish, old.redfish, record.redfish)]
        {
            if let Some(before) =
                before.filter(|before| Some(before.address) != after.map(|after| after.address))
            {
                present.ports.release(kind, before.address, &name);
            }
        }
        let (mut old_ipmi, mut old_redfish) = (None, None);
        let detail = {
            let mut bmcs = self.bmcs_mut();
            let bmc = bmcs.get_mut(&name).ok_or_else(|| no_bmc(&name))?;
            if let Serving::Endpoints(endpoints) = &mut bmc.serving {
                old_ipmi = new_ipmi.map(|(server, _)| std::mem::replace(&mut endpoints.ipmi, server));
                old_redfish =
                    new_redfish.map(|(server, _)| std::mem::replace(&mut endpoints.redfish, server));
            }
            bmc.record = record.clone();
            bmc.config = config.clone();
            view::detail(bmc, self.secure())
        };
        if let Some(server) = old_ipmi {
            server.stop().await;
            // The machine's own way leads to what answers now. Why it cannot be had is shown.
            let kind = super::doors::wanted(&config, record.system_interface);
            let _ = self.reopen_door(&name, kind).await;
        }
        if let Some(server) = old_redfish {
            server.stop().await;
        }
        if record != old {
            self.save(&name, Some(&record)).await?;
        }
        Ok(detail)
    }

    pub(super) async fn remove_bmc(&self, name: &str, keep_state: bool) -> Result<(), ControlError> {
        let mut present = self.changes.lock().await;
        let name = self.resolve(name)?;
        let from_file =
            self.bmcs().get(&name).filter(|bmc| bmc.record.origin == Origin::File).map(|bmc| bmc.config.line);
        if let Some(line) = from_file {
            let file = file_of(&present);
            let message = format!(
                "{name} is declared in {file}, line {line}; remove it there and run `polybmc reload`, or stop it: polybmc stop {name}"
            );
            return Err(ControlError::invalid(message));
        }
        let discovered = |bmc: &&Bmc| bmc.record.origin == Origin::Discovered;
        let backend = self.bmcs().get(&name).filter(discovered).map(|bmc| bmc.record.backend.clone());
        if let Some(backend) = backend {
            let message = format!(
                "{name} was discovered and would be again; change `discover` in [backend.{backend}] and run `polybmc reload`, mark its \
                 domain with <polybmc:bmc xmlns:polybmc='urn:polybmc:bmc:1' enabled='no'/>, or stop it: polybmc stop {name}"
            );
            return Err(ControlError::invalid(message));
        }
        // Its record goes first: after a power cut in between, nothing half comes back.
        self.save(&name, None).await?;
        self.take_down(&mut present.ports, &name, !keep_state).await?;
        self.drop_unused_backends();
        // Its machine may be one that has a BMC by itself.
        self.discovery.ring();
        tracing::info!(bmc = %name, "removed");
        Ok(())
    }

    pub(super) async fn start_bmc(&self, name: &str) -> Result<BmcDetail, ControlError> {
        let mut present = self.changes.lock().await;
        let name = self.resolve(name)?;
        let (handle, mut record, config) = {
            let bmcs = self.bmcs();
            let bmc = bmcs.get(&name).ok_or_else(|| no_bmc(&name))?;
            if matches!(bmc.serving, Serving::Endpoints(_)) {
                return Ok(view::detail(bmc, self.secure()));
            }
            (bmc.handle.clone(), bmc.record.clone(), bmc.config.clone())
        };
        if !config.enabled {
            let file = file_of(&present);
            let message = format!(
                "{name} has `enabled = false` in {file}, near line {}; change it there and run `polybmc reload`",
                config.line
            );
            return Err(ControlError::invalid(message));
        }
        let bound = self.binder.bind(&mut present.ports, &config, &record, &handle).await;
        let (endpoints, ipmi, redfish) = bound.map_err(|failure| failure.error)?;
        record.ipmi = Some(ipmi);
        record.redfish = Some(redfish);
        record.stopped = false;
        self.save(&name, Some(&record)).await?;
        self.announce(&handle);
        self.replace(&name, record, Serving::Endpoints(Box::new(endpoints))).map(|(detail, _)| detail)
    }

    pub(super) async fn stop_bmc(&self, name: &str) -> Result<BmcDetail, ControlError> {
        let _alone = self.changes.lock().await;
        let name = self.resolve(name)?;
        let (handle, mut record) = {
            let bmcs = self.bmcs();
            let bmc = bmcs.get(&name).ok_or_else(|| no_bmc(&name))?;
            (bmc.handle.clone(), bmc.record.clone())
        };
        record.stopped = true;
        self.save(&name, Some(&record)).await?;
        let (detail, before) = self.replace(&name, record, Serving::Stopped)?;
        self.close(&handle, before).await;
        Ok(detail)
    }

    /// Puts a new record and state in place, and hands out the state before.
    fn replace(
        &self,
        name: &str,
        record: BmcRecord,
        serving: Serving,
    ) -> Result<(BmcDetail, Serving), ControlError> {
        let mut bmcs = self.bmcs_mut();
        let bmc: &mut Bmc = bmcs.get_mut(name).ok_or_else(|| no_bmc(name))?;
        bmc.record = record;
        let before = std::mem::replace(&mut bmc.serving, serving);
        Ok((view::detail(bmc, self.secure()), before))
    }

    /// The name of the BMC that a name, a UUID or a machine's name means.
    pub(super) fn resolve(&self, name: &str) -> Result<String, ControlError> {
        if self.bmcs().contains_key(name) {
            return Ok(name.to_owned());
        }
        if let Some(found) = self.fleet.find(name) {
            return Ok(found.name().to_string());
        }
        let meant = nearest(name, self.bmcs().keys().map(String::as_str)).map(str::to_owned);
        Err(match meant {
            Some(meant) => ControlError::not_found(format!("no BMC `{name}`; did you mean `{meant}`?")),
            None => no_bmc(name),
        })
    }
}

pub(super) fn no_bmc(name: &str) -> ControlError {
    ControlError::not_found(format!("no BMC `{name}`; `polybmc list` shows those there are"))
}

fn unlined(address: SocketAddr) -> Located<SocketAddr> {
    Located { value: address, line: 0 }
}

fn usable(address: SocketAddr) -> Result<SocketAddr, ControlError> {
    if address.port() == 0 {
        return Err(ControlError::invalid(format!(
            "{address}: name a port from 1 on, or leave the endpoint out for the next free one"
        )));
    }
    Ok(address)
}

/// The endpoint asked for, if it is another than the present one.
fn moved(wanted: Option<SocketAddr>, present: Option<Endpoint>) -> Result<Option<SocketAddr>, ControlError> {
    let wanted = wanted.map(usable).transpose()?;
    Ok(wanted.filter(|wanted| present.is_none_or(|present| present.address != *wanted)))
}

fn check_exposed(present: &Present, bmc: &BmcConfig) -> Result<(), ControlError> {
    match config::exposed(bmc, present.config.defaults.allow_default_password) {
        None => Ok(()),
        Some(address) => Err(ControlError::invalid(format!(
            "{} would answer on {address} with the password that everybody knows; {}",
            bmc.name,
            config::EXPOSED_MEND
        ))),
    }
}

/// What the file says is changed in the file: the next start would undo anything else.
fn refuse_what_the_file_says(
    present: &Present,
    config: &BmcConfig,
    origin: Origin,
    change: &SetBmc,
) -> Result<(), ControlError> {
    let line = |endpoint: &Option<Located<SocketAddr>>| {
        endpoint.map(|endpoint| endpoint.line).filter(|line| *line > 0)
    };
    let refused = match origin {
        Origin::File => [
            ("ipmi", line(&config.ipmi).filter(|_| change.ipmi.is_some())),
            ("redfish", line(&config.redfish).filter(|_| change.redfish.is_some())),
            (
                "power_policy",
                config.power_policy.map(|_| config.line).filter(|_| change.power_policy.is_some()),
            ),
            (
                "asset_tag",
                config
                    .identity
                    .asset_tag
                    .as_ref()
                    .map(|_| config.line)
                    .filter(|_| change.asset_tag.is_some()),
            ),
        ]
        .into_iter()
        .find_map(|(key, line)| line.map(|line| (key, line))),
        Origin::Added | Origin::Sim | Origin::Discovered => None,
    };
    match refused {
        None => Ok(()),
        Some((key, line)) => {
            let file = file_of(present);
            Err(ControlError::invalid(format!(
                "`{key}` of {} is set in {file}, near line {line}; change it there and run `polybmc reload`",
                config.name
            )))
        }
    }
}

fn file_of(present: &Present) -> String {
    present
        .config
        .file
        .as_ref()
        .map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string())
}

/// Account, policy and asset tag belong to the machine's record.
async fn change_machine(handle: &MachineHandle, change: &SetBmc) -> Result<(), ControlError> {
    let administrator = (change.username.is_some() || change.password.is_some()).then(|| {
        let snapshot = handle.snapshot();
        let username = change.username.clone().unwrap_or_else(|| view::username(&snapshot));
        (username, change.password.clone().unwrap_or_else(|| view::password(&snapshot)))
    });
    if administrator.is_none() && change.power_policy.is_none() && change.asset_tag.is_none() {
        return Ok(());
    }
    let change = Change {
        administrator,
        power_policy: change.power_policy,
        asset_tag: change.asset_tag.clone(),
        ..Change::default()
    };
    handle.request(Request::Change(Box::new(change))).await?;
    Ok(())
}

/// Whether waiting may mend it.
fn may_come_back(kind: BackendErrorKind) -> bool {
    match kind {
        BackendErrorKind::Unavailable
        | BackendErrorKind::PermissionDenied
        | BackendErrorKind::Timeout
        | BackendErrorKind::Busy => true,
        BackendErrorKind::NotFound
        | BackendErrorKind::Unsupported
        | BackendErrorKind::InvalidState
        | BackendErrorKind::NoSpace
        | BackendErrorKind::Internal => false,
    }
}
