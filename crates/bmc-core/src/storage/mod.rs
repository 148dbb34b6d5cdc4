//! Storage: the disks that a guest sees, the drives of a RAID controller that it does not see, and the volumes made of them.
//!
//! ```text
//!   Disk (of the machine's own make)  ─────────────────────────────► guest
//!   RaidDrive, RaidDrive, RaidDrive ──► Volume ──► Disk (its serial) ► guest
//!   └────── RaidController ───────┘
//! ```
//!
//! The machine's own disks are never part of a volume, so no client can destroy them through a BMC. What a drive of a RAID controller stands for
//! is the backend's affair; a volume that is made of them is a real disk of the guest.

mod volume;

use serde::{Deserialize, Serialize};

pub use volume::{
    NewVolume, RaidLevel, StorageRequest, VOLUME_ALIGNMENT, VOLUME_NAME_MAX_BYTES, VOLUMES_MAX, Volume,
    VolumeState, free_drives, plan,
};

/// A disk as the guest sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// The backend's name for it (`vda`); no two disks of a machine share one.
    pub name: String,
    /// What it is attached by.
    pub bus: DiskBus,
    /// Which of several controllers of that bus it is attached to, where that is known.
    pub controller: Option<u32>,
    /// Its size, where that is known.
    pub capacity_bytes: Option<u64>,
    /// Its logical sector size where it is said to be another than 512 bytes.
    pub block_bytes: Option<u32>,
    /// The product that it says it is; `None` where it says the emulator's own.
    pub model: Option<String>,
    /// Its serial number, where it has one.
    pub serial: Option<String>,
    /// The guest cannot write to it.
    pub read_only: bool,
    /// It turns (`true`) or has no moving parts (`false`), as far as it says so.
    pub rotational: Option<bool>,
    /// What lies behind it.
    pub backing: Option<Backing>,
}

/// What a disk is attached by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// A virtio block device on PCI.
    #[default]
    Virtio,
    /// SCSI.
    Scsi,
    /// SATA.
    Sata,
    /// IDE.
    Ide,
    /// USB.
    Usb,
    /// NVMe.
    Nvme,
    /// Some other bus.
    Other,
}

impl DiskBus {
    /// Its name in protocols and in libvirt, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Scsi => "scsi",
            Self::Sata => "sata",
            Self::Ide => "ide",
            Self::Usb => "usb",
            Self::Nvme => "nvme",
            Self::Other => "other",
        }
    }

    /// The bus of that name.
    pub fn of(name: &str) -> Self {
        [Self::Virtio, Self::Scsi, Self::Sata, Self::Ide, Self::Usb, Self::Nvme]
            .into_iter()
            .find(|bus| bus.as_str() == name)
            .unwrap_or(Self::Other)
    }
}

/// What lies behind a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// A volume of a storage pool.
    Pool {
        /// The pool's name.
        pool: String,
        /// The volume's name.
        volume: String,
    },
    /// A file or block device of the host, by its path.
    Path(String),
}

/// A RAID controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RaidController {
    /// The drives attached to it, in the order of their bays.
    pub drives: Vec<RaidDrive>,
}

/// A drive of a RAID controller: the guest sees it as part of a volume only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RaidDrive {
    /// Its name, which is that of its bay: the same after a restart.
    pub name: String,
    /// Its size.
    pub capacity_bytes: u64,
    /// The product that it says it is.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// It turns, or has no moving parts.
    pub rotational: bool,
}

impl RaidController {
    /// A controller with `count` drives of one size. Their serial numbers are made of `serial`.
    pub fn uniform(count: u8, capacity_bytes: u64, model: &str, serial: &str) -> Option<Self> {
        let drive = |bay: u8| RaidDrive {
            name: format!("bay{bay}"),
            capacity_bytes,
            model: model.to_owned(),
            serial: format!("{serial}{bay:02}"),
            rotational: false,
        };
        (count > 0 && capacity_bytes > 0).then(|| Self { drives: (0..count).map(drive).collect() })
    }

    /// One of its drives.
    pub fn drive(&self, name: &str) -> Option<&RaidDrive> {
        self.drives.iter().find(|drive| drive.name == name)
    }
}
