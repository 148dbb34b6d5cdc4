//! A machine's firmware beyond its mode: Secure Boot and its keys, what it can boot from, and what a boot is to change of it.

pub mod keys;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend::MachineInfo;
use crate::boot::{BootTarget, FirmwareMode};
use crate::firmware::keys::{KeyDatabases, KeySet};

/// What a machine can boot from: one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootDevice {
    /// The backend's name for it: a disk's target (`vda`), a network interface's MAC address in lower case.
    pub name: String,
    /// What it is.
    pub kind: BootDeviceKind,
}

/// Kinds of boot devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootDeviceKind {
    /// A fixed disk.
    Disk,
    /// A disk on a USB bus.
    UsbDisk,
    /// A CD or DVD drive.
    Cdrom,
    /// A floppy drive.
    Floppy,
    /// A network interface.
    Network,
}

impl BootDeviceKind {
    /// Whether an override with this target may name a device of this kind.
    pub fn serves(self, target: BootTarget) -> bool {
        match target {
            BootTarget::Pxe | BootTarget::Http => self == Self::Network,
            BootTarget::Disk | BootTarget::DiskSafeMode | BootTarget::Diagnostics => {
                matches!(self, Self::Disk | Self::UsbDisk)
            }
            BootTarget::Cdrom | BootTarget::RemoteCdrom => self == Self::Cdrom,
            BootTarget::Usb | BootTarget::RemoteFloppy | BootTarget::RemoteMedia => {
                matches!(self, Self::UsbDisk | Self::Floppy)
            }
            BootTarget::RemoteDisk => self == Self::UsbDisk,
            BootTarget::None | BootTarget::BiosSetup => false,
        }
    }

    /// Which override target boots from devices of this kind.
    pub fn target(self) -> BootTarget {
        match self {
            Self::Disk => BootTarget::Disk,
            Self::UsbDisk | Self::Floppy => BootTarget::Usb,
            Self::Cdrom => BootTarget::Cdrom,
            Self::Network => BootTarget::Pxe,
        }
    }
}

/// A load option of a UEFI guest's own: a variable `Boot####` that its firmware or its system wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadOption {
    /// Its number.
    pub number: u16,
    /// What it is called in the firmware's menus.
    pub description: String,
    /// Its device path, as UEFI writes them in text.
    pub path: String,
    /// The name of the [`BootDevice`] that it boots from, where it is one of those.
    pub device: Option<String>,
    /// It boots over HTTP.
    pub http: bool,
    /// It boots from no device, such as a shell in the firmware: it is tried behind all devices.
    pub fallback: bool,
}

/// What a machine can boot from, as clients see it: a load option of the guest's own, or a device for which the guest has none (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootEntry<'a> {
    /// The guest's load option.
    pub option: Option<&'a LoadOption>,
    /// The device.
    pub device: Option<&'a BootDevice>,
    /// The next boot without an override tries it.
    pub tried: bool,
}

/// The devices that an override with this target may name, in the order in which they are counted.
pub fn devices_for(info: &MachineInfo, target: BootTarget) -> impl Iterator<Item = &BootDevice> {
    info.boot_devices.iter().filter(move |device| device.kind.serves(target))
}

/// What a machine boots from if its devices are tried in this order: first what is tried, as it is tried, then the rest.
///
/// OVMF puts the load options of QEMU's devices first, in the order of the devices and those of one device in the order of its variable
/// `BootOrder`, and behind them those that are of no device. Options of other devices it deletes.
pub fn boot_entries<'a>(info: &'a MachineInfo, order: &[String]) -> Vec<BootEntry<'a>> {
    let options = info.load_options.as_deref().unwrap_or_default();
    let of_device = |device: &'a BootDevice, tried: bool| {
        let own: Vec<BootEntry<'a>> = options
            .iter()
            .filter(|option| option.device.as_deref() == Some(&*device.name))
            .map(|option| BootEntry { option: Some(option), device: Some(device), tried })
            .collect();
        if own.is_empty() { vec![BootEntry { option: None, device: Some(device), tried }] } else { own }
    };
    let find = |name: &String| info.boot_devices.iter().find(|device| device.name == *name);
    let tried = order.iter().filter_map(find).flat_map(|device| of_device(device, true));
    let others = info.boot_devices.iter().filter(|device| !order.contains(&device.name));
    let others = others.flat_map(|device| of_device(device, false));
    let no_device = |option: &&LoadOption| {
        let device = option.device.as_ref();
        !device.is_some_and(|name| info.boot_devices.iter().any(|device| device.name == *name))
    };
    let without = |fallback: bool| {
        options
            .iter()
            .filter(no_device)
            .filter(move |option| option.fallback == fallback)
            .map(move |option| BootEntry { option: Some(option), device: None, tried: fallback })
    };
    tried.chain(without(true)).chain(others).chain(without(false)).collect()
}

/// What the UEFI variables are that the next boot finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecureBoot {
    /// Secure Boot is to be in force at the next boot.
    pub enabled: bool,
    /// There is a platform key, so that the firmware is in user mode; in setup mode nothing is enforced.
    pub has_platform_key: bool,
    /// Whether [`FirmwareSetup::secure_boot`] can change it; if not, why.
    pub fixed: Option<String>,
    /// What can be done to the keys as a whole.
    pub key_resets: Vec<KeyReset>,
    /// What is in its databases, where that can be told.
    #[serde(default)]
    pub databases: Option<KeyDatabases>,
    /// Why it cannot be told, in words: whether there is a platform key is then what the machine's definition says, not what its variables do.
    #[serde(default)]
    pub databases_unread: Option<String>,
}

impl SecureBoot {
    /// Whether a boot with these settings enforces signatures.
    pub fn enforces(&self) -> bool {
        self.enabled && self.has_platform_key
    }
}

/// What to do to all keys of Secure Boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyReset {
    /// Put back those that the firmware comes with.
    Default,
    /// Delete all of them.
    DeleteAll,
    /// Delete the platform key, which puts the firmware into setup mode.
    DeletePlatformKey,
}

/// What is to be changed of a machine's firmware before it boots next; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareSetup {
    /// How it boots.
    pub mode: Option<FirmwareMode>,
    /// Whether Secure Boot is in force.
    pub secure_boot: Option<bool>,
    /// What happens to its keys.
    pub keys: Option<KeyReset>,
    /// What is to be in its databases after that, where they can be [changed](KeyDatabases::fixed).
    pub databases: Option<Arc<KeySet>>,
}

impl FirmwareSetup {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a backend's machine keeps in its firmware's memory, where the backend itself forgets it when the daemon ends: the core stores it
/// with the machine's record and [gives it back](crate::backend::Backend::attach_kept). `None` is what the machine leaves the factory with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptFirmware {
    /// How it boots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FirmwareMode>,
    /// Whether Secure Boot is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// The keys of Secure Boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Arc<KeySet>>,
    /// The devices that it boots from, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_order: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_come_first_and_what_is_of_no_device_last() {
        let device = |name: &str, kind| BootDevice { name: name.to_owned(), kind };
        let option = |number, device: Option<&str>| LoadOption {
            number,
            description: String::new(),
            path: String::new(),
            device: device.map(str::to_owned),
            http: false,
            fallback: device.is_none(),
        };
        let info = MachineInfo {
            boot_devices: vec![
                device("vda", BootDeviceKind::Disk),
                device("sda", BootDeviceKind::Cdrom),
                device("net", BootDeviceKind::Network),
            ],
            load_options: Some(vec![
                option(1, Some("vda")),
                option(2, None),
                option(4, Some("net")),
                option(5, Some("net")),
                option(6, Some("gone")),
            ]),
            ..MachineInfo::default()
        };
        let shown = |order: &[&str]| -> Vec<(Option<u16>, Option<&str>, bool)> {
            let order: Vec<String> = order.iter().map(|name| (*name).to_owned()).collect();
            let entries = boot_entries(&info, &order).into_iter();
            entries
                .map(|entry| {
                    let device = entry.device.map(|device| &*device.name);
                    let name = ["vda", "sda", "net"].into_iter().find(|name| Some(*name) == device);
                    (entry.option.map(|option| option.number), name, entry.tried)
                })
                .collect()
        };
        assert_eq!(
            shown(&["net", "sda"]),
            [
                (Some(4), Some("net"), true),
                (Some(5), Some("net"), true),
                (None, Some("sda"), true),
                (Some(2), None, true),
                (Some(1), Some("vda"), false),
                (Some(6), None, false),
            ]
        );
    }
}
