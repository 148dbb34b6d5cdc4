//! The keys of Secure Boot that a domain's next boot finds: those in its variables, or those of the template that its variables are yet to be
//! made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bmc_core::backend::MachineInfo;
use bmc_core::error::BackendError;
use bmc_core::firmware::keys::KeyDatabases;
use virt::connect::Connect;

use super::catalogue::Catalogue;
use super::{HostFirmware, kind_of};
use crate::nvram::{self, StoredKeys};
use crate::xml::firmware::{self as xml, Facts, Kind};

/// Most templates of which the keys are kept in memory.
const TEMPLATES_MAX: usize = 16;
/// Why single keys cannot be changed.
const FIXED: &str =
    "the keys of this machine are in its own UEFI variables, and cannot be changed one by one";

/// The keys in templates, as long as the files are the same: machines that have the same share them.
#[derive(Debug, Default)]
pub(super) struct Templates(Mutex<BTreeMap<PathBuf, (Stamp, Arc<StoredKeys>)>>);

/// When a file was changed, and its length.
type Stamp = (Option<SystemTime>, u64);

impl Templates {
    fn read(&self, file: &Path) -> Result<Arc<StoredKeys>, String> {
        let gone = || format!("the template of its UEFI variables is not there: {}", file.display());
        let found = std::fs::metadata(file).map_err(|_| gone())?;
        let stamp = (found.modified().ok(), found.len());
        if let Some((known, keys)) = self.lock().get(file)
            && *known == stamp
        {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(nvram::stored_keys(file)?.ok_or_else(gone)?);
        let mut all = self.lock();
        if all.len() >= TEMPLATES_MAX {
            all.clear();
        }
        all.insert(file.to_owned(), (stamp, Arc::clone(&keys)));
        Ok(keys)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, (Stamp, Arc<StoredKeys>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to a domain's make-up what its variables say of Secure Boot. `renewed`: the next start makes them anew.
pub(crate) fn complete(
    connect: &Connect,
    host: &HostFirmware,
    definition: &str,
    place: &Result<PathBuf, String>,
    renewed: bool,
    info: &mut MachineInfo,
) -> Result<(), BackendError> {
    if info.secure_boot.is_some() {
        let facts = xml::facts(definition)?;
        describe(host.catalogue(connect).as_deref(), &host.templates, &facts, place, renewed, info);
    }
    Ok(())
}

fn describe(
    catalogue: Option<&Catalogue>,
    templates: &Templates,
    facts: &Facts,
    place: &Result<PathBuf, String>,
    renewed: bool,
    info: &mut MachineInfo,
) {
    let Some(secure_boot) = &mut info.secure_boot else { return };
    let can_enforce = matches!(kind_of(catalogue, facts), Kind::Secure { .. });
    let own_template = || {
        let described = || Some(catalogue?.image(facts)?.template.clone());
        let file = facts.template.as_ref().map(PathBuf::from).or_else(described);
        let unknown = "it has no UEFI variables yet, and no descriptor tells what they will be made from";
        templates.read(&file.ok_or(unknown)?)
    };
    let stored = place.as_ref().map_err(Clone::clone).and_then(|file| {
        let stored = if renewed { None } else { nvram::stored_keys(file)? };
        stored.map_or_else(own_template, |stored| Ok(Arc::new(stored)))
    });
    let stored = match stored {
        Ok(stored) => stored,
        Err(reason) => {
            secure_boot.databases_unread = Some(reason);
            return;
        }
    };
    // An image without Secure Boot comes with no keys, and looks at none.
    let defaults = if can_enforce {
        let enrolled = catalogue.and_then(|catalogue| catalogue.enrolled(facts));
        enrolled.and_then(|image| templates.read(&image.template).ok()).map(|stored| Arc::clone(&stored.keys))
    } else {
        Some(Arc::default())
    };
    let same = defaults.as_ref().filter(|defaults| **defaults == stored.keys);
    let now = Arc::clone(same.unwrap_or(&stored.keys));
    secure_boot.has_platform_key = can_enforce && stored.platform_key;
    if can_enforce && stored.enabled == Some(false) {
        secure_boot.enabled = false;
        secure_boot.fixed = Some(
            "Secure Boot was disabled in the setup menu of the firmware itself; enable it there, or put the keys back that the firmware comes with"
                .to_owned(),
        );
    }
    secure_boot.databases =
        Some(KeyDatabases { now, defaults, others: stored.others.clone(), fixed: Some(FIXED.to_owned()) });
}

#[cfg(test)]
mod tests;
