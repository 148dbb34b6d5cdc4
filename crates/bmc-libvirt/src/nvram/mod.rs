//! The guest's UEFI variables: its boot options are read from the file that libvirt keeps them in, and a URI to boot from is written into it
//! while the machine is off.
//!
//! [`store`] is the file, [`path`] are device paths, [`option`](mod@option) the boot manager's variables, [`keys`] those of Secure Boot.

mod keys;
mod option;
pub(crate) mod path;
mod store;

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bmc_core::backend::MachineInfo;
use bmc_core::boot::FirmwareMode;
use bmc_core::firmware::{BootDevice, BootDeviceKind, LoadOption};

use crate::media::remote_host;
use crate::xml::place;
pub(crate) use keys::StoredKeys;
use path::{DevicePath, Node};
use store::{Edit, FILE_BYTES_MAX, Store};

/// Where a system-wide libvirtd keeps the variables of domains that name no file of their own.
const SYSTEM_FOLDER: &str = "/var/lib/libvirt/qemu/nvram";
/// What the boot option is called through which a machine boots from a URI; also the mark by which it is found again.
const OURS: &str = "polybmc HTTP boot";

/// Where a domain's variables are.
///
/// # Errors
/// In words why they cannot be reached.
pub(crate) fn place(uri: &str, name: &str, definition: &str, live: Option<&str>) -> Result<PathBuf, String> {
    if let Some(host) = remote_host(uri) {
        return Err(format!("its UEFI variables are on {host}; run polybmc there to reach them"));
    }
    if !uri.starts_with("qemu") {
        return Err("this hypervisor keeps no UEFI variables in a file".to_owned());
    }
    let said = live.and_then(place::variable_store).or_else(|| place::variable_store(definition));
    if let Some(said) = said {
        return said;
    }
    if !uri.ends_with("/system") {
        return Err("libvirt tells where its UEFI variables are only while it runs".to_owned());
    }
    // As libvirt names it; the name is a file's because libvirt allows no slash in it.
    Ok(Path::new(SYSTEM_FOLDER).join(format!("{name}_VARS.fd")))
}

/// Adds what the guest's own variables say to what a machine is.
pub(crate) fn complete(info: &mut MachineInfo, place: &Result<PathBuf, String>, definition: &str) {
    if info.firmware != FirmwareMode::Uefi {
        return;
    }
    match place.as_ref().map_err(Clone::clone).and_then(|file| load(file)) {
        Ok(Some(store)) => {
            let paths = place::device_paths(definition).unwrap_or_default();
            info.load_options = Some(load_options(&store, &info.boot_devices, &paths));
            info.http_uri_refused = place.as_ref().ok().and_then(|file| unwritable(file));
        }
        Ok(None) => {
            info.load_options_unread =
                Some("it has no UEFI variables yet: libvirt makes them with its first start".to_owned());
        }
        Err(reason) => {
            info.load_options_unread = Some(reason.clone());
            info.http_uri_refused = Some(reason);
        }
    }
}

/// Reads a store; `None` when there is no file.
fn load(file: &Path) -> Result<Option<Store>, String> {
    let failed =
        |why: &dyn Display| format!("its UEFI variables cannot be opened: {}: {why}", file.display());
    match fs::metadata(file) {
        // Opening some of what is no file waits for somebody at the other end.
        Ok(found) if !found.is_file() => return Err(failed(&"it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(_) | Err(_) => {}
    }
    let opened = File::open(file).map_err(|error| failed(&error))?;
    read(file, &opened).map(Some)
}

/// The keys of Secure Boot in a store; `None` when there is no file.
///
/// # Errors
/// In words why it cannot be read.
pub(crate) fn stored_keys(file: &Path) -> Result<Option<StoredKeys>, String> {
    Ok(load(file)?.as_ref().map(StoredKeys::of))
}

/// Why a store that can be read cannot be changed.
fn unwritable(file: &Path) -> Option<String> {
    let error = OpenOptions::new().write(true).open(file).err()?;
    Some(format!("its UEFI variables cannot be changed: {}: {error}", file.display()))
}

fn read(file: &Path, opened: &File) -> Result<Store, String> {
    let failed = |reason: String| format!("its UEFI variables cannot be read: {}: {reason}", file.display());
    let mut bytes = Vec::new();
    let read = opened.take(FILE_BYTES_MAX as u64).read_to_end(&mut bytes);
    read.map_err(|error| failed(error.to_string()))?;
    Store::parse(bytes).map_err(failed)
}

fn load_options(store: &Store, devices: &[BootDevice], paths: &[(String, DevicePath)]) -> Vec<LoadOption> {
    let order = option::order(store);
    let mut disks = devices.iter().filter(|device| device.kind == BootDeviceKind::Disk);
    let only_disk = disks.next().filter(|_| disks.next().is_none());
    let device_of = |path: &DevicePath| -> Option<String> {
        if let Some(mac) = path.mac_text() {
            return devices.iter().find(|device| device.name == mac).map(|device| device.name.clone());
        }
        if path.starts_at_partition() {
            // It says which partition, not which disk.
            return only_disk.map(|disk| disk.name.clone());
        }
        paths.iter().find(|(_, place)| path.starts_with(place)).map(|(name, _)| name.clone())
    };
    let shown = option::options(store).into_iter().filter(option::LoadOption::is_shown);
    shown
        .map(|option| {
            let device = device_of(&option.path);
            let places_itself = option.path.starts_at_pci() || option.path.starts_at_partition();
            let fallback = !places_itself && option.boots() && order.contains(&option.number);
            LoadOption {
                number: option.number,
                http: option.path.uri_text().is_some(),
                path: option.path.text(),
                fallback: fallback && device.is_none(),
                description: option.description,
                device,
            }
        })
        .collect()
}

/// Whether a file has yet to be made by libvirt.
pub(crate) fn is_missing(file: &Path) -> bool {
    matches!(file.try_exists(), Ok(false))
}

/// Makes the boot manager try this URI first on this network interface. Nobody may have the store open.
///
/// # Errors
/// In words why not; the store is then as it was.
pub(crate) fn enter_uri(file: &Path, nic: &(String, DevicePath), uri: &str) -> Result<(), String> {
    let (mac, place) = nic;
    let mut address = [0; 6];
    let mut octets = mac.split(':');
    for byte in &mut address {
        let octet = octets.next().and_then(|octet| u8::from_str_radix(octet, 16).ok());
        *byte = octet.ok_or_else(|| format!("{mac} is no Ethernet address"))?;
    }
    let host = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path =
        place.clone().followed_by([Node::mac(address), Node::ip(host.starts_with('[')), Node::uri(uri)]);
    change(file, |store, edit| {
        remove_ours(store, edit)?;
        option::add_first(store, edit, OURS, path)
    })
}

/// Removes what [`enter_uri`] has left. Nobody may have the store open.
///
/// # Errors
/// In words why not.
pub(crate) fn clear_uri(file: &Path) -> Result<(), String> {
    if is_missing(file) {
        return Ok(());
    }
    change(file, remove_ours)
}

/// Whether the guest's boot options hold what [`enter_uri`] has written.
pub(crate) fn has_uri(info: &MachineInfo) -> bool {
    info.load_options.iter().flatten().any(|option| option.description == OURS)
}

fn remove_ours(store: &mut Store, edit: &mut Edit) -> Result<(), String> {
    let ours = option::options(store).into_iter().filter(|option| option.description == OURS);
    for option in ours {
        option::remove(store, edit, option.number)?;
    }
    Ok(())
}

fn change(
    file: &Path,
    change: impl FnOnce(&mut Store, &mut Edit) -> Result<(), String>,
) -> Result<(), String> {
    let failed =
        |error: io::Error| format!("its UEFI variables cannot be changed: {}: {error}", file.display());
    let opened = OpenOptions::new().read(true).write(true).open(file).map_err(failed)?;
    let mut store = read(file, &opened)?;
    let mut edit = Edit::default();
    change(&mut store, &mut edit)?;
    if edit.is_empty() {
        return Ok(());
    }
    edit.apply(&opened).map_err(failed)
}

#[cfg(test)]
mod tests;
