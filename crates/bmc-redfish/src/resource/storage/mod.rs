//! Storage of a System: subsystems with their controllers and drives, the volumes of the RAID controller, and simple storage.
//!
//! ```text
//!   Storage/sata     the machine's own disks on that bus, a Drive each; no RAID, its collection of volumes is empty
//!   Storage/RAID     the RAID controller: its drives, and the volumes that clients make of them
//!   SimpleStorage/*  what the guest sees on each bus: its own disks, and the volumes
//! ```

pub(crate) mod drive;
pub(crate) mod simple;
pub(crate) mod subsystem;
pub(crate) mod volume;
mod volume_create;

use bmc_core::snapshot::Snapshot;
use bmc_core::storage::{Disk, DiskBus, RaidController, RaidDrive, Volume};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Problem;

/// The id of the subsystem with the RAID controller.
const RAID: &str = "RAID";

/// What is written as it is in a URI, beside letters and digits.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One storage subsystem of a machine.
struct Subsystem<'a> {
    snapshot: &'a Snapshot,
    kind: Kind<'a>,
}

/// What a subsystem is.
enum Kind<'a> {
    /// The machine's own disks on one bus.
    Disks(DiskBus, Vec<&'a Disk>),
    /// A RAID controller with its drives and volumes.
    Raid(&'a RaidController),
}

/// A drive of a subsystem.
#[derive(Clone, Copy)]
enum Drive<'a> {
    /// One of the machine's own disks.
    Disk(&'a Disk),
    /// A drive of the RAID controller, in this bay.
    Raid(&'a RaidDrive, usize),
}

impl Drive<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Disk(disk) => &disk.name,
            Self::Raid(drive, _) => &drive.name,
        }
    }
}

/// The URI of a System's subsystems.
pub(super) fn collection_uri(system: &str) -> String {
    format!("{system}/Storage")
}

/// The subsystems of a machine, in the order of its disks, the RAID controller last.
fn subsystems(snapshot: &Snapshot) -> Vec<Subsystem<'_>> {
    let Some(info) = &snapshot.info else { return Vec::new() };
    let mut buses: Vec<(DiskBus, Vec<&Disk>)> = Vec::new();
    for disk in info.disks.iter().filter(|disk| volume_of(snapshot, disk).is_none()) {
        match buses.iter_mut().find(|(bus, _)| *bus == disk.bus) {
            Some((_, disks)) => disks.push(disk),
            None => buses.push((disk.bus, vec![disk])),
        }
    }
    let buses = buses.into_iter().map(|(bus, disks)| Kind::Disks(bus, disks));
    let kinds = buses.chain(info.raid.as_ref().map(Kind::Raid));
    kinds.map(|kind| Subsystem { snapshot, kind }).collect()
}

/// The subsystem of that id.
///
/// # Errors
/// 404.
fn subsystem<'a>(snapshot: &'a Snapshot, id: &str) -> Result<Subsystem<'a>, Problem> {
    let found = subsystems(snapshot).into_iter().find(|subsystem| subsystem.id() == id);
    found.ok_or_else(|| Problem::not_found("Storage", id))
}

/// The volume whose disk this is.
fn volume_of<'a>(snapshot: &'a Snapshot, disk: &Disk) -> Option<&'a Volume> {
    let serial = disk.serial.as_deref()?;
    snapshot.settings.storage.volumes.iter().find(|volume| volume.serial() == serial)
}

/// The disk that a volume is for the guest.
fn disk_of<'a>(snapshot: &'a Snapshot, volume: &Volume) -> Option<&'a Disk> {
    let serial = volume.serial();
    let disks = &snapshot.info.as_ref()?.disks;
    disks.iter().find(|disk| disk.serial.as_deref() == Some(serial.as_str()))
}

impl<'a> Subsystem<'a> {
    fn id(&self) -> &'static str {
        match &self.kind {
            Kind::Disks(bus, _) => bus.as_str(),
            Kind::Raid(_) => RAID,
        }
    }

    fn uri(&self, system: &str) -> String {
        format!("{}/{}", collection_uri(system), self.id())
    }

    fn drives(&self) -> Vec<Drive<'a>> {
        match &self.kind {
            Kind::Disks(_, disks) => disks.iter().map(|disk| Drive::Disk(disk)).collect(),
            Kind::Raid(raid) => {
                raid.drives.iter().enumerate().map(|(bay, drive)| Drive::Raid(drive, bay)).collect()
            }
        }
    }

    /// The drive of that id.
    ///
    /// # Errors
    /// 404.
    fn drive(&self, id: &str) -> Result<Drive<'a>, Problem> {
        let found = self.drives().into_iter().find(|drive| drive.name() == id);
        found.ok_or_else(|| Problem::not_found("Drive", id))
    }

    fn drive_uri(&self, system: &str, drive: &str) -> String {
        format!("{}/Drives/{}", self.uri(system), utf8_percent_encode(drive, SEGMENT))
    }

    fn volumes(&self) -> &'a [Volume] {
        match &self.kind {
            Kind::Disks(..) => &[],
            Kind::Raid(_) => &self.snapshot.settings.storage.volumes,
        }
    }

    /// The volume of that id.
    ///
    /// # Errors
    /// 404.
    fn volume(&self, id: &str) -> Result<&'a Volume, Problem> {
        let found = self.volumes().iter().find(|volume| volume.number.to_string() == id);
        found.ok_or_else(|| Problem::not_found("Volume", id))
    }

    fn volume_uri(&self, system: &str, volume: &Volume) -> String {
        format!("{}/Volumes/{}", self.uri(system), volume.number)
    }
}

/// Where a System's volume is, whether or not it is still there.
pub(crate) fn volume_uri(system: &str, number: u32) -> String {
    format!("{}/{RAID}/Volumes/{number}", collection_uri(system))
}

/// The links to a machine's drives, for its Chassis.
pub(super) fn drive_uris(snapshot: &Snapshot, system: &str) -> Vec<String> {
    let all = subsystems(snapshot);
    let uris = all.iter().flat_map(|subsystem| {
        subsystem.drives().into_iter().map(|drive| subsystem.drive_uri(system, drive.name()))
    });
    uris.collect()
}

/// What drives on a bus speak; `None` where Redfish has no name for it.
fn protocol(bus: DiskBus) -> Option<&'static str> {
    match bus {
        DiskBus::Virtio => Some("PCIe"),
        DiskBus::Scsi => Some("SAS"),
        DiskBus::Sata => Some("SATA"),
        DiskBus::Usb => Some("USB"),
        DiskBus::Nvme => Some("NVMe"),
        DiskBus::Ide | DiskBus::Other => None,
    }
}

/// What a drive of the RAID controller speaks.
const RAID_PROTOCOL: &str = "SAS";

/// Sector size where a disk does not say another: that of every virtual disk.
const BLOCK_BYTES: u32 = 512;
