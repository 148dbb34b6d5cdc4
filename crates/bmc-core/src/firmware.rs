//! A machine's firmware beyond its mode: Secure Boot and its keys, what it can boot from, and what a boot is to change of it.

pub mod keys;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
    /// What is in its databases, where that can be told; it can be changed then.
    #[serde(default)]
    pub databases: Option<KeyDatabases>,
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
    /// What is to be in its databases after that, where the machine can [tell](SecureBoot::databases).
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
