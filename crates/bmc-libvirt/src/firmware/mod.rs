//! The firmware of domains: what a host offers, what a domain has, and setting it up for its next boot.
//!
//! libvirt selects the image by the host's descriptors when it starts a domain. So that nothing fails only then, the choice is tried
//! beforehand: libvirt is asked for the emulator's command line of the definition as it would be.

pub mod catalogue;
pub(crate) mod keys;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bmc_core::backend::MachineInfo;
use bmc_core::boot::FirmwareMode;
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::firmware::{FirmwareSetup, KeyReset, SecureBoot};
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as c;

use crate::connection::Failure;
use crate::media::remote_host;
use crate::xml::firmware::{self as xml, Facts, Kind};
use catalogue::{Catalogue, by_word};

/// How long descriptors that were read count as what is there: whoever installs firmware need not start anything afresh.
const CATALOGUE_TIME: Duration = Duration::from_secs(10);
/// The node of the variables on QEMU's command line, as libvirt names it.
const VARIABLES_NODE: &str = "\"libvirt-pflash1-storage\"";

/// The host's firmware, as long as the hypervisor is this host.
#[derive(Debug)]
pub(crate) struct HostFirmware {
    folders: Vec<PathBuf>,
    read: Mutex<Option<(Instant, Arc<Catalogue>)>>,
    templates: keys::Templates,
}

impl HostFirmware {
    /// The firmware described in these folders.
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, read: Mutex::default(), templates: keys::Templates::default() }
    }

    /// What there is; `None` of a hypervisor elsewhere, whose folders cannot be read.
    fn catalogue(&self, connect: &Connect) -> Option<Arc<Catalogue>> {
        let uri = connect.uri().ok()?;
        if remote_host(&uri).is_some() {
            return None;
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, catalogue)) = &*read
            && at.elapsed() < CATALOGUE_TIME
        {
            return Some(Arc::clone(catalogue));
        }
        let catalogue = Arc::new(Catalogue::read(&self.folders));
        *read = Some((Instant::now(), Arc::clone(&catalogue)));
        Some(catalogue)
    }
}

fn kind_of(catalogue: Option<&Catalogue>, facts: &Facts) -> Kind {
    catalogue.map_or_else(|| by_word(facts), |catalogue| catalogue.kind(facts))
}

/// Adds to a domain's make-up what its firmware is and could be.
pub(crate) fn complete(
    connect: &Connect,
    host: &HostFirmware,
    definition: &str,
    info: &mut MachineInfo,
) -> Result<(), BackendError> {
    if !info.firmware_switchable {
        return Ok(());
    }
    let catalogue = host.catalogue(connect);
    let facts = xml::facts(definition)?;
    describe(catalogue.as_deref(), &facts, info);
    Ok(())
}

fn describe(catalogue: Option<&Catalogue>, facts: &Facts, info: &mut MachineInfo) {
    let missing = |kind| catalogue.and_then(|catalogue| catalogue.missing(facts, kind));
    let secure = missing(Kind::Secure { enrolled: true });
    let plain = missing(Kind::Plain);
    if info.firmware == FirmwareMode::Uefi {
        let kind = kind_of(catalogue, facts);
        let (enabled, enrolled) = match kind {
            Kind::Secure { enrolled } => (true, enrolled),
            Kind::Legacy | Kind::Plain => (false, false),
        };
        let resets = [(KeyReset::Default, true), (KeyReset::DeleteAll, false)].into_iter();
        let possible = |(_, enrolled): &(KeyReset, bool)| {
            enabled && missing(Kind::Secure { enrolled: *enrolled }).is_none()
        };
        info.secure_boot = Some(SecureBoot {
            enabled,
            has_platform_key: enrolled,
            fixed: if enabled { plain.clone() } else { secure.clone() },
            key_resets: resets.filter(possible).map(|(reset, _)| reset).collect(),
            databases: None,
            databases_unread: None,
        });
    } else {
        // What comes back with the mode needs no other image than it had.
        info.uefi_missing = plain.filter(|_| secure.is_some());
    }
    info.secure_boot_missing = secure;
}

/// Gives a domain's definition the firmware of its next boot. Returns whether its variables have to be made anew at the start.
pub(crate) fn set_up(
    connect: &Connect,
    domain: &Domain,
    host: &HostFirmware,
    setup: &FirmwareSetup,
) -> Result<bool, Failure> {
    if setup.databases.is_some() {
        return Err(
            BackendError::unsupported("the keys of a libvirt machine can be reset, not edited").into()
        );
    }
    if !domain.is_persistent()? {
        return Err(BackendError::unsupported("a transient domain has no next boot to set up").into());
    }
    let definition = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
    let catalogue = host.catalogue(connect);
    let catalogue = catalogue.as_deref();
    let (now, wanted) = plan(&definition, setup, |facts| kind_of(catalogue, facts))?;
    let renew = matches!(wanted, Kind::Secure { .. }) && setup.keys.is_some();
    // Nothing is told as applied that a boot of the firmware has to bring about, and none follows.
    if (renew || now != wanted) && domain.has_managed_save(0).unwrap_or(false) {
        return Err(BackendError::new(
            BackendErrorKind::InvalidState,
            "the machine has a saved state, which another firmware cannot go on with; remove it with `virsh managedsave-remove`",
        )
        .into());
    }
    if now == wanted {
        return Ok(renew);
    }
    let facts = xml::facts(&definition)?;
    if let Some(reason) = catalogue.and_then(|catalogue| catalogue.missing(&facts, wanted)) {
        return Err(BackendError::unsupported(reason).into());
    }
    let kind = |facts: &Facts| kind_of(catalogue, facts);
    let mut changed = xml::with_firmware(&definition, (now, wanted), kind, None)?;
    if wanted != Kind::Legacy {
        let nvram = try_out(connect, &changed, wanted)?;
        changed = xml::with_firmware(&definition, (now, wanted), kind, Some(&nvram))?;
        try_out(connect, &changed, wanted)?;
    }
    connect.define_domain_xml(&changed)?;
    Ok(renew)
}

/// The firmware that a domain has, and the one that it is to have.
fn plan(
    definition: &str,
    setup: &FirmwareSetup,
    kind_of: impl Fn(&Facts) -> Kind,
) -> Result<(Kind, Kind), BackendError> {
    let info = crate::xml::read::machine_info(definition)?;
    let now = match info.firmware {
        FirmwareMode::Legacy => Kind::Legacy,
        FirmwareMode::Uefi => kind_of(&xml::facts(definition)?),
    };
    if setup.mode.unwrap_or(now.mode()) == FirmwareMode::Legacy {
        if setup.secure_boot == Some(true) || setup.keys.is_some() {
            return Err(BackendError::unsupported("Secure Boot needs UEFI: switch the boot mode first"));
        }
        return Ok((now, Kind::Legacy));
    }
    let before = if now == Kind::Legacy {
        xml::last_kept(definition, |facts| Some(kind_of(facts)))?.unwrap_or(Kind::Plain)
    } else {
        now
    };
    let secure = setup.secure_boot.unwrap_or(matches!(before, Kind::Secure { .. }));
    if !secure {
        return match setup.keys {
            Some(_) => Err(BackendError::unsupported(
                "this machine's firmware image has no Secure Boot, and so no keys: enable Secure Boot first",
            )),
            None => Ok((now, Kind::Plain)),
        };
    }
    let enrolled = match (setup.keys, before) {
        (Some(KeyReset::Default), _) => true,
        (Some(KeyReset::DeleteAll), _) => false,
        (Some(KeyReset::DeletePlatformKey), _) => {
            return Err(BackendError::unsupported(
                "a libvirt machine's platform key cannot be deleted alone; delete all keys instead",
            ));
        }
        (None, Kind::Secure { enrolled }) => enrolled,
        // It may have been in setup mode when Secure Boot was disabled.
        (None, _) => xml::last_kept(definition, |facts| {
            Some(kind_of(facts)).filter(|kind| matches!(kind, Kind::Secure { .. }))
        })?
        .is_none_or(|kind| kind != Kind::Secure { enrolled: false }),
    };
    Ok((now, Kind::Secure { enrolled }))
}

/// Lets libvirt choose the firmware of a definition without starting anything; returns the file of its variables.
fn try_out(connect: &Connect, definition: &str, wanted: Kind) -> Result<String, Failure> {
    let line = match connect.domain_xml_to_native("qemu-argv", definition, 0) {
        Ok(line) => line,
        Err(error) => {
            let secure = if wanted == Kind::Plain { "" } else { " with Secure Boot" };
            return Err(BackendError::unsupported(format!(
                "libvirt has no UEFI firmware{secure} for this machine ({}); install the images on the hypervisor \
                 (ovmf on Debian and Ubuntu, edk2-ovmf on Fedora and Arch), and give the machine type q35 and ACPI",
                error.message()
            ))
            .into());
        }
    };
    variables_file(&line).ok_or_else(|| {
        BackendError::unsupported("libvirt does not tell where it keeps this machine's UEFI variables").into()
    })
}

/// The file of the variables in an emulator's command line.
fn variables_file(line: &str) -> Option<String> {
    let before = &line[..line.find(VARIABLES_NODE)?];
    let name = &before[before.rfind("\"filename\":")? + "\"filename\":".len()..];
    let mut values = serde_json::Deserializer::from_str(name).into_iter::<String>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests;
