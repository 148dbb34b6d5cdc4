//! A changed configuration file, applied to what runs. BMCs that it leaves as they are notice nothing.

use std::collections::{BTreeMap, BTreeSet};

use bmc_control::types::{Origin, ReloadReport};
use bmc_control::{ControlError, ErrorKind};

use super::record::BmcRecord;
use super::{Daemon, Ports, Present, Serving, bind_problem, place};
use crate::config::{BmcConfig, Config, Defaults};

impl Daemon {
    pub(super) async fn reload_file(&self) -> Result<ReloadReport, ControlError> {
        let mut present = self.changes.lock().await;
        let Some(file) = present.config.file.clone() else {
            let message = "this daemon runs without a configuration file; restart it with `polybmc serve --config FILE`";
            return Err(ControlError::invalid(message));
        };
        let read = file.clone();
        let read = tokio::task::spawn_blocking(move || Config::read(&read)).await;
        let read =
            read.map_err(|error| ControlError::internal(format!("reading the file failed: {error}")))?;
        let new = read.map_err(|error| {
            ControlError::new(ErrorKind::Invalid, format!("nothing was changed:\n{error:#}"))
        })?;

        let mut report = ReloadReport { config: Some(file), ..ReloadReport::default() };
        self.backends.configure(&new.backends);
        let wanted: BTreeMap<&str, &BmcConfig> =
            new.bmcs.iter().map(|bmc| (bmc.name.as_str(), bmc)).collect();

        // Those that go make room first.
        let of_file = |daemon: &Self| -> BTreeSet<String> {
            let bmcs = daemon.bmcs();
            bmcs.iter()
                .filter(|(_, bmc)| bmc.record.origin == Origin::File)
                .map(|(name, _)| name.clone())
                .collect()
        };
        for name in of_file(self).into_iter().filter(|name| !wanted.contains_key(name.as_str())) {
            // Its boot override and accounts stay stored: a line commented out by mistake costs nothing.
            self.take_down(&mut present.ports, &name, false).await?;
            self.save(&name, None).await?;
            report.removed.push(name);
        }

        for bmc in &new.bmcs {
            let before =
                self.bmcs().get(&bmc.name).map(|running| (running.config.clone(), running.record.clone()));
            match before {
                Some((config, record))
                    if record.origin == Origin::File && unchanged(&config, &record, bmc) =>
                {
                    // Lines move; messages that name them must not lie.
                    if let Some(running) = self.bmcs_mut().get_mut(&bmc.name) {
                        running.config.line = bmc.line;
                    }
                    report.unchanged += 1;
                }
                Some(_) => match self.replace_bmc(&mut present.ports, &new, bmc).await {
                    Ok(()) => report.changed.push(bmc.name.clone()),
                    Err(reason) => report.failed.push(reason),
                },
                None => match self.bring_up_gone(&mut present, &new, bmc).await {
                    Ok(()) => report.added.push(bmc.name.clone()),
                    Err(reason) => report.failed.push(reason),
                },
            }
        }
        report.needs_restart = restarts(&present.config, &new);
        report.needs_restart.extend(self.backends.outdated().iter().map(|name| format!("[backend.{name}]")));
        present.config = in_effect(&present.config, new);
        self.follow(&present.config);
        let met = self.meet(&mut present).await;
        report.added.extend(met.added);
        report.changed.extend(met.changed);
        report.removed.extend(met.removed);
        report.failed.extend(met.failed);
        self.drop_unused_backends();
        tracing::info!(
            added = report.added.len(),
            changed = report.changed.len(),
            removed = report.removed.len(),
            unchanged = report.unchanged,
            failed = report.failed.len(),
            "configuration reloaded"
        );
        for failed in &report.failed {
            tracing::error!("{failed}");
        }
        for setting in &report.needs_restart {
            tracing::warn!("{setting} has changed; a restart will apply it");
        }
        Ok(report)
    }

    /// A BMC in its new form. If that cannot serve, the old form comes back.
    async fn replace_bmc(&self, ports: &mut Ports, config: &Config, bmc: &BmcConfig) -> Result<(), String> {
        let failed = |error: ControlError| format!("{}{}: {error}", place(config, Some(bmc.line)), bmc.name);
        let Some(old) =
            self.take_down(ports, &bmc.name, false).await.map_err(|error| failed(error.into()))?
        else {
            return Ok(());
        };
        let Err(reason) = self.bring_up_and_keep(ports, config, bmc, Some(old.record.clone())).await else {
            return Ok(());
        };
        match self.bring_up(ports, &old.config, old.record.origin, Some(old.record), None).await {
            Ok(back) => {
                self.bmcs_mut().insert(bmc.name.clone(), back);
            }
            Err(error) => tracing::error!(bmc = %bmc.name, "could not be brought back either: {error}"),
        }
        Err(reason)
    }

    /// Brings up a BMC of the file that is not there, perhaps under the name of one whose machine is gone.
    async fn bring_up_gone(
        &self,
        present: &mut Present,
        config: &Config,
        bmc: &BmcConfig,
    ) -> Result<(), String> {
        let had = present.gone.get(&bmc.name).cloned();
        self.bring_up_and_keep(&mut present.ports, config, bmc, had).await?;
        present.gone.remove(&bmc.name);
        Ok(())
    }

    /// Brings up a BMC of the file, stores its record and shows it.
    async fn bring_up_and_keep(
        &self,
        ports: &mut Ports,
        config: &Config,
        bmc: &BmcConfig,
        record: Option<BmcRecord>,
    ) -> Result<(), String> {
        let failed = |error: ControlError| format!("{}{}: {error}", place(config, Some(bmc.line)), bmc.name);
        let brought_up = self.bring_up(ports, bmc, Origin::File, record, None).await.map_err(failed)?;
        if let Serving::Failed(failure) = &brought_up.serving {
            let reason = bind_problem(config, bmc, failure);
            self.fleet.remove(&bmc.name, false).await.map_err(|error| failed(error.into()))?;
            return Err(reason);
        }
        self.save(&bmc.name, Some(&brought_up.record)).await.map_err(|error| failed(error.into()))?;
        self.bmcs_mut().insert(bmc.name.clone(), brought_up);
        Ok(())
    }
}

/// Whether the file's new word on a BMC changes nothing: endpoints that were set at run time stay where the file names none.
pub(super) fn unchanged(running: &BmcConfig, record: &BmcRecord, new: &BmcConfig) -> bool {
    let mut expected = new.clone();
    super::plan::choose(&mut expected, Some(record));
    running.same_as(&expected) || running.same_as(new)
}

/// The new configuration with what of the old one stays in effect until a restart: the next reload tells it again.
fn in_effect(old: &Config, new: Config) -> Config {
    Config {
        daemon: old.daemon.clone(),
        system_interface: old.system_interface.clone(),
        aggregate: old.aggregate.clone(),
        defaults: Defaults { tls: old.defaults.tls.clone(), ..new.defaults },
        ..new
    }
}

/// What of the configuration as a whole only a restart can apply, in words.
fn restarts(old: &Config, new: &Config) -> Vec<String> {
    let mut settings = Vec::new();
    let mut differs = |differs: bool, setting: &str| {
        if differs {
            settings.push(setting.to_owned());
        }
    };
    differs(old.daemon != new.daemon, "[daemon]");
    differs(old.media != new.media, "[media]");
    differs(old.system_interface != new.system_interface, "[system_interface]");
    differs(old.aggregate != new.aggregate, "[redfish]");
    differs(old.defaults.tls != new.defaults.tls, "`tls` in [defaults]");
    settings
}
