//! The boot override: one record, of which IPMI's boot options and Redfish's `Boot` are two encodings.
//!
//! ```text
//!   Disabled ──set once──► Once ──next boot, however it comes about──► Disabled
//!       │                                                                  ▲
//!       └──set continuous──► Continuous ──── cleared by a client ──────────┘
//! ```

mod progress;

use serde::{Deserialize, Serialize};

pub use progress::{BootProgress, BootStage};

use crate::error::BackendError;

/// Longest HTTP boot URI kept, in bytes.
pub const HTTP_BOOT_URI_MAX_BYTES: usize = 1024;

/// What to boot from. The remote targets exist only in IPMI (IPMI 2.0 §28.13, parameter 5, data 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootTarget {
    /// The machine's own order.
    #[default]
    None,
    /// Network boot by PXE.
    Pxe,
    /// The first disk.
    Disk,
    /// The first disk, in the operating system's safe mode.
    DiskSafeMode,
    /// A diagnostic partition.
    Diagnostics,
    /// The first CD or DVD drive.
    Cdrom,
    /// The firmware's setup screen.
    #[serde(rename = "bios")]
    BiosSetup,
    /// Removable media: a USB stick, or what IPMI calls floppy/primary removable media.
    Usb,
    /// UEFI HTTP boot.
    Http,
    /// Remotely connected floppy or USB image.
    RemoteFloppy,
    /// Remotely connected CD or DVD image.
    RemoteCdrom,
    /// Primary remote media.
    RemoteMedia,
    /// Remotely connected hard disk image.
    RemoteDisk,
}

impl BootTarget {
    /// Every target, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::Pxe,
        Self::Disk,
        Self::DiskSafeMode,
        Self::Diagnostics,
        Self::Cdrom,
        Self::BiosSetup,
        Self::Usb,
        Self::Http,
        Self::RemoteFloppy,
        Self::RemoteCdrom,
        Self::RemoteMedia,
        Self::RemoteDisk,
    ];

    /// The target's name in the CLI and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pxe => "pxe",
            Self::Disk => "disk",
            Self::DiskSafeMode => "disk-safe-mode",
            Self::Diagnostics => "diagnostics",
            Self::Cdrom => "cdrom",
            Self::BiosSetup => "bios",
            Self::Usb => "usb",
            Self::Http => "http",
            Self::RemoteFloppy => "remote-floppy",
            Self::RemoteCdrom => "remote-cdrom",
            Self::RemoteMedia => "remote-media",
            Self::RemoteDisk => "remote-disk",
        }
    }
}

/// For how many boots an override holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootEnabled {
    /// Not at all.
    #[default]
    Disabled,
    /// For the next boot, however it comes about. A start that ends before the firmware has handed over was none.
    Once,
    /// For every boot until it is changed.
    Continuous,
}

impl BootEnabled {
    /// The name used in the CLI and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Once => "once",
            Self::Continuous => "continuous",
        }
    }
}

/// How a machine's firmware boots. A property of the machine, not of the override.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirmwareMode {
    /// PC BIOS.
    #[default]
    Legacy,
    /// UEFI.
    Uefi,
}

/// The bits of IPMI's boot flags that name no device: kept as written and read back, without effect on a virtual machine
/// (IPMI 2.0 §28.13, parameter 5). A write through another protocol clears them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFlagsKept {
    /// Data 2 without the device selector: CMOS clear, lock keyboard, screen blank, lock reset.
    pub data2: u8,
    /// Data 3: verbosity, console redirection, password bypass, lock power button.
    pub data3: u8,
    /// Data 4: BIOS mux and shared mode override.
    pub data4: u8,
    /// Data 5: device instance.
    pub data5: u8,
}

/// The override as clients set and read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootOverride {
    /// What to boot from.
    pub target: BootTarget,
    /// For how long.
    pub enabled: BootEnabled,
    /// The client asked for a UEFI boot (IPMI's EFI bit; `--uefi`). Kept and read back; it never changes the firmware mode.
    pub efi: bool,
    /// Where UEFI HTTP boot loads from; at most [`HTTP_BOOT_URI_MAX_BYTES`].
    pub http_uri: Option<String>,
    /// One device of the target's class, by the backend's name for it (a MAC, a disk target); `None` takes the first.
    pub device: Option<String>,
    /// IPMI bits without effect.
    pub kept: BootFlagsKept,
    /// IPMI set it: then, and only then, [`BootOptions::valid_bit_clearing`] tells what else ends it.
    #[serde(default)]
    pub has_valid_bit: bool,
}

impl BootOverride {
    /// Whether the next boot differs from the machine's own order.
    pub fn is_active(&self) -> bool {
        self.enabled != BootEnabled::Disabled && self.target != BootTarget::None
    }
}

/// IPMI boot option parameters other than the boot flags (IPMI 2.0 §28.13), kept as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootOptions {
    /// Parameter 1: service partition selector.
    pub service_partition: u8,
    /// Parameter 2: service partition scan bits.
    pub service_scan: u8,
    /// Parameter 3: which events do not clear the boot flags' valid bit (bits 0 to 4). All set by default: no timer clears it.
    pub valid_bit_clearing: u8,
    /// Parameter 4: who has acknowledged the boot information (bits 0 to 4).
    pub info_acknowledge: u8,
    /// Parameter 6: boot initiator: channel, session id, boot info timestamp.
    pub initiator_info: [u8; 9],
    /// Parameter 7: boot initiator mailbox, blocks of at most 16 bytes by selector.
    pub mailbox: Vec<Vec<u8>>,
}

/// Blocks in the boot initiator mailbox (IPMI 2.0 §28.13 asks for at least five).
pub const MAILBOX_BLOCKS_MAX: usize = 5;

impl Default for BootOptions {
    fn default() -> Self {
        Self {
            service_partition: 0,
            service_scan: 0,
            valid_bit_clearing: 0x1f,
            info_acknowledge: 0,
            initiator_info: [0; 9],
            mailbox: vec![Vec::new(); MAILBOX_BLOCKS_MAX],
        }
    }
}

/// What a start or restart shall boot from; the core decides, the backend carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BootPlan {
    /// The machine's own definition, untouched.
    #[default]
    OwnOrder,
    /// This target first, the machine's own order behind it.
    Override(OverrideBoot),
}

impl BootPlan {
    /// The generation of the override that this plan carries out, if any.
    pub fn generation(&self) -> Option<u64> {
        match self {
            Self::OwnOrder => None,
            Self::Override(boot) => Some(boot.generation),
        }
    }
}

/// One overridden boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideBoot {
    /// What to boot from; never [`BootTarget::None`].
    pub target: BootTarget,
    /// See [`BootOverride::efi`].
    pub efi: bool,
    /// See [`BootOverride::http_uri`].
    pub http_uri: Option<String>,
    /// See [`BootOverride::device`].
    pub device: Option<String>,
    /// For this boot only: where the backend can, a restart from inside the guest boots the machine's own order although nobody is there to
    /// bring that about.
    pub once: bool,
    /// Which setting of the override this is. A backend whose machines outlive the daemon marks the running instance with it
    /// and reports it in [`Observed::boot_generation`](crate::backend::Observed::boot_generation).
    pub generation: u64,
}

impl OverrideBoot {
    /// The URI to boot from, if this boot is over HTTP and has one.
    pub fn uri(&self) -> Option<&str> {
        self.http_uri.as_deref().filter(|_| self.target == BootTarget::Http)
    }
}

/// Checks that a machine can boot from `target`.
///
/// # Errors
/// [`BackendErrorKind::Unsupported`](crate::error::BackendErrorKind::Unsupported), naming what the machine does offer.
pub fn check_target(offered: &[BootTarget], target: BootTarget) -> Result<(), BackendError> {
    if target == BootTarget::None || offered.contains(&target) {
        return Ok(());
    }
    let names: Vec<&str> = offered.iter().map(|offer| offer.as_str()).collect();
    Err(BackendError::unsupported(format!(
        "this machine cannot boot from {}; it offers: {}",
        target.as_str(),
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_name() {
        for target in BootTarget::ALL {
            assert_eq!(serde_json::to_value(target).unwrap(), target.as_str());
        }
    }

    #[test]
    fn a_target_that_is_not_offered_is_refused_with_what_is() {
        let offered = [BootTarget::Pxe, BootTarget::Disk];
        assert_eq!(check_target(&offered, BootTarget::Disk), Ok(()));
        assert_eq!(check_target(&[], BootTarget::None), Ok(()));
        let refused = check_target(&offered, BootTarget::Cdrom).unwrap_err();
        assert!(refused.message.ends_with("it offers: pxe, disk"), "{refused}");
    }
}
