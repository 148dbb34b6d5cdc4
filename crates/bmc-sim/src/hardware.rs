//! A simulated machine's make-up, derived from the seed and its UUID, and what a boot plan means on it.
//!
//! Every machine has two disks with an operating system on each, a RAID controller with drives that the guest sees as volumes only, a CD-ROM
//! drive, and two network interfaces; no USB stick. A network boot
//! always finds a server. Removable drives are empty unless somebody inserted something, and an empty drive falls through to
//! the first disk, as firmware does.

use std::net::Ipv4Addr;

use bmc_core::backend::MachineInfo;
use bmc_core::boot::{BootPlan, BootTarget, FirmwareMode, OverrideBoot, check_target};
use bmc_core::error::BackendError;
use bmc_core::firmware::{BootDevice, BootDeviceKind};
use bmc_core::inventory::{Attachment, Cpu, LinkId, Neighbor, Nic, PciAddress, PciDevice, memory_modules};
use bmc_core::storage::{Disk, DiskBus, RaidController, Volume};
use uuid::Uuid;

use crate::config::SimConfig;
use crate::variables::Variables;

/// The disks, in boot order.
pub const DISKS: [&str; 2] = ["sda", "sdb"];
/// The CD-ROM drive.
pub const CDROM: &str = "sr0";
/// The network interfaces, in boot order, as boot reports name them; an override may name one so or by MAC.
pub const NICS: [&str; 2] = ["nic0", "nic1"];
/// The model of the processors: what QEMU calls the plain one.
pub const CPU_MODEL: &str = "qemu64";
/// The slot of the first network interface; the others are in those behind it.
const NIC_SLOT: u8 = 3;
/// The slot of the RAID controller, which is one that QEMU has, too.
const RAID_SLOT: u8 = 7;
/// How fast the interfaces are, in megabits per second.
const NIC_MBPS: u32 = 10_000;
/// Pairs of MAC addresses there are below QEMU's prefix `52:54:00`: the lowest bit tells a machine's two interfaces apart.
pub const MAC_PAIRS: u32 = 1 << 23;

/// Names become UUIDs in this namespace. Changing it would change every simulated machine's identity.
const NAMESPACE: Uuid = Uuid::from_u128(0x3f6d_2a51_9c1e_5b7a_8f04_6e2d_71c9_b3a8);

/// The UUID of the machine called `name`: a version 5 UUID, so that it is the same in every process. A name that is a UUID itself stands for it.
pub fn uuid_of(name: &str) -> Uuid {
    Uuid::try_parse(name).unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// Which pair of MAC addresses the machine would like; below [`MAC_PAIRS`].
pub fn preferred_mac_pair(seed: u64, uuid: Uuid) -> u32 {
    let hash = Uuid::new_v5(&uuid, &seed.to_be_bytes());
    let bytes = hash.as_bytes();
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 1
}

/// What the machine is made of.
pub fn make_up(config: &SimConfig, uuid: Uuid, name: &str, mac_pair: u32) -> MachineInfo {
    let nic = |index: u8| {
        let [_, a, b, c] = ((mac_pair % MAC_PAIRS) << 1 | u32::from(index)).to_be_bytes();
        Nic {
            mac: format!("52:54:00:{a:02x}:{b:02x}:{c:02x}"),
            model: Some("virtio".to_owned()),
            network: Some(Attachment::Network("sim".to_owned())),
            speed_mbps: Some(NIC_MBPS),
            pci: Some(pci_slot(NIC_SLOT + index)),
            neighbor: Some(neighbor(index, mac_pair)),
            ..Nic::default()
        }
    };
    let nics: Vec<Nic> = (0..NICS.len() as u8).map(nic).collect();
    let device = |kind, name: &str| BootDevice { name: name.to_owned(), kind };
    let mut boot_devices: Vec<BootDevice> =
        DISKS.iter().map(|disk| device(BootDeviceKind::Disk, disk)).collect();
    boot_devices.push(device(BootDeviceKind::Cdrom, CDROM));
    boot_devices.extend(nics.iter().map(|nic| device(BootDeviceKind::Network, &nic.mac)));
    MachineInfo {
        secure_boot: Variables::default().secure_boot(config.firmware),
        boot_order: boot_devices.iter().map(|device| device.name.clone()).collect(),
        boot_devices,
        uuid,
        name: name.to_owned(),
        processors: config.processors,
        architecture: "x86_64".to_owned(),
        memory_bytes: config.memory_bytes,
        firmware: config.firmware,
        firmware_switchable: true,
        boot_targets: boot_targets(config.firmware),
        // A socket for each processor, as QEMU has it by default.
        cpu: Cpu { model: Some(CPU_MODEL.to_owned()), ..Cpu::default() },
        memory_modules: memory_modules(config.memory_bytes),
        nics,
        pci_devices: pci_devices(config.raid_drives > 0),
        graphics: Vec::new(),
        vnc: None,
        serial_ports: 1,
        disks: DISKS.iter().zip(1_u8..).map(|(name, number)| disk(config, uuid, name, number)).collect(),
        raid: RaidController::uniform(
            config.raid_drives,
            config.raid_drive_bytes,
            "Simulated RAID drive",
            &serial(uuid, "R"),
        ),
        system_interface: None,
        mains_return: true,
        ..MachineInfo::default()
    }
}

fn pci_slot(slot: u8) -> PciAddress {
    PciAddress { slot, ..PciAddress::default() }
}

/// The devices on the bus: the network interfaces, the controller of disks and CD-ROM, and the RAID controller where there is one.
fn pci_devices(has_raid: bool) -> Vec<PciDevice> {
    let nic = |index: u8| PciDevice {
        address: pci_slot(NIC_SLOT + index),
        vendor: 0x1af4,
        device: 0x1000,
        class: 0x02_00_00,
        name: "Virtio network device".to_owned(),
    };
    let sata = PciDevice {
        address: PciAddress { slot: 0x1f, function: 2, ..PciAddress::default() },
        vendor: 0x8086,
        device: 0x2922,
        class: 0x01_06_01,
        name: "Intel ICH9 SATA AHCI controller".to_owned(),
    };
    let raid = has_raid.then(|| PciDevice {
        address: pci_slot(RAID_SLOT),
        vendor: 0x1000,
        device: 0x0060,
        class: 0x01_04_00,
        name: "MegaRAID SAS 1078".to_owned(),
    });
    (0..NICS.len() as u8).map(nic).chain(raid).chain([sata]).collect()
}

/// The switch that an interface is plugged into: the first ones all into one, the second ones into another, each machine into a port of its own.
fn neighbor(nic: u8, mac_pair: u32) -> Neighbor {
    let [_, a, b, c] = mac_pair.to_be_bytes();
    Neighbor {
        chassis_id: LinkId::Mac(format!("02:00:00:00:00:{nic:02x}")),
        port_id: LinkId::Mac(format!("02:01:{nic:02x}:{a:02x}:{b:02x}:{c:02x}")),
        system_name: Some(format!("sim-switch-{nic}")),
        system_description: Some("polybmc simulated switch".to_owned()),
        // The addresses that documents use (RFC 5737).
        management_address: Some(Ipv4Addr::new(192, 0, 2, nic + 1)),
        management_vlan: Some(1),
    }
}

/// One of the machine's own disks.
fn disk(config: &SimConfig, uuid: Uuid, name: &str, number: u8) -> Disk {
    Disk {
        name: name.to_owned(),
        bus: DiskBus::Sata,
        controller: Some(0),
        capacity_bytes: Some(config.disk_bytes),
        model: Some("Simulated disk".to_owned()),
        serial: Some(format!("{}{number:02}", serial(uuid, "D"))),
        rotational: Some(false),
        ..Disk::default()
    }
}

/// The beginning of serial numbers of a machine's parts.
fn serial(uuid: Uuid, kind: &str) -> String {
    let mut serial = uuid.simple().to_string().to_ascii_uppercase();
    serial.truncate(10);
    format!("{kind}{serial}")
}

/// The disk that a volume is for the guest. Its name is made of the volume's number, so that boot orders and overrides that have it mean the same disk
/// after a restart, whatever volumes have gone.
pub fn volume_disk(volume: &Volume) -> Disk {
    Disk {
        name: disk_name(u64::from(volume.number) + DISKS.len() as u64),
        bus: DiskBus::Scsi,
        controller: Some(0),
        capacity_bytes: Some(volume.capacity_bytes),
        model: Some(format!("Simulated {} volume", volume.raid.as_str())),
        serial: Some(volume.serial()),
        rotational: Some(false),
        ..Disk::default()
    }
}

/// The name of the disk of a number, from 1, as Linux counts: `sda` to `sdz`, then `sdaa`.
fn disk_name(mut number: u64) -> String {
    let mut letters = Vec::new();
    while number > 0 {
        number -= 1;
        letters.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    format!("sd{}", letters.iter().rev().collect::<String>())
}

/// A volume's disk as a device to boot from.
pub fn volume_boot_device(disk: &Disk) -> BootDevice {
    BootDevice { name: disk.name.clone(), kind: BootDeviceKind::Disk }
}

/// What a machine in this firmware mode can be told to boot from: everything, but HTTP only under UEFI.
pub fn boot_targets(firmware: FirmwareMode) -> Vec<BootTarget> {
    BootTarget::ALL
        .into_iter()
        .filter(|target| match target {
            BootTarget::None => false,
            BootTarget::Http => firmware == FirmwareMode::Uefi,
            _ => true,
        })
        .collect()
}

/// What firmware will do when its self-test is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// Boot a device that is always there; in plain words.
    Device(String),
    /// Boot what is in this drive at that moment, or fall through.
    Removable(Removable),
    /// Look for media of this kind, of which there never are any, and fall through.
    Missing(&'static str),
    /// Stay in the setup screen.
    Setup,
}

/// A drive whose medium comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removable {
    /// A CD-ROM drive: the BMC's with a medium in it, else the machine's own.
    Cdrom,
    /// The BMC's CD-ROM drive.
    RemoteCdrom,
    /// The BMC's USB disk.
    Usb,
    /// The same, as IPMI calls it.
    RemoteMedia,
}

/// What is in the drives, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted<'a> {
    /// In the first CD-ROM drive that has something in it.
    pub cdrom: Option<&'a str>,
    /// In the BMC's CD-ROM drive.
    pub remote_cdrom: Option<&'a str>,
    /// In the BMC's USB disk.
    pub usb: Option<&'a str>,
}

/// What `plan` makes the machine boot.
///
/// # Errors
/// `Unsupported` when the machine has no such target or device.
pub fn handover(info: &MachineInfo, plan: &BootPlan) -> Result<Handover, BackendError> {
    let OverrideBoot { target, device, .. } = match plan {
        BootPlan::OwnOrder => return Ok(own_order(info)),
        BootPlan::Override(boot) => boot,
    };
    check_target(&info.boot_targets, *target)?;
    let device = device.as_deref();
    let disks: Vec<&str> = info.disks.iter().map(|disk| disk.name.as_str()).collect();
    let disk = || pick("disk", &disks, device);
    Ok(match target {
        BootTarget::None | BootTarget::Disk => Handover::Device(format!("disk {}", disk()?)),
        BootTarget::DiskSafeMode => Handover::Device(format!("disk {} (safe mode)", disk()?)),
        BootTarget::Diagnostics => Handover::Device(format!("disk {} (diagnostics)", disk()?)),
        BootTarget::Pxe => Handover::Device(format!("network {}", nic(info, device)?)),
        BootTarget::Http => Handover::Device(format!("http {}", nic(info, device)?)),
        BootTarget::Cdrom => {
            pick("CD-ROM drive", &[CDROM], device)?;
            Handover::Removable(Removable::Cdrom)
        }
        BootTarget::BiosSetup => Handover::Setup,
        BootTarget::Usb => Handover::Removable(Removable::Usb),
        BootTarget::RemoteFloppy => Handover::Missing("remote floppy"),
        BootTarget::RemoteCdrom => Handover::Removable(Removable::RemoteCdrom),
        BootTarget::RemoteMedia => Handover::Removable(Removable::RemoteMedia),
        BootTarget::RemoteDisk => Handover::Missing("remote disk"),
    })
}

/// What comes first in the machine's own order.
fn own_order(info: &MachineInfo) -> Handover {
    let first =
        info.boot_order.first().and_then(|name| info.boot_devices.iter().find(|device| device.name == *name));
    match first {
        Some(BootDevice { kind: BootDeviceKind::Cdrom, .. }) => Handover::Removable(Removable::Cdrom),
        Some(device) => Handover::Device(in_words(info, device)),
        None => Handover::Device(format!("disk {}", DISKS[0])),
    }
}

fn in_words(info: &MachineInfo, device: &BootDevice) -> String {
    match device.kind {
        BootDeviceKind::Network => {
            let index = info.nics.iter().position(|nic| nic.mac == device.name);
            format!("network {}", index.and_then(|index| NICS.get(index)).unwrap_or(&NICS[0]))
        }
        BootDeviceKind::Cdrom => format!("cdrom {}", device.name),
        BootDeviceKind::Disk | BootDeviceKind::UsbDisk | BootDeviceKind::Floppy => {
            format!("disk {}", device.name)
        }
    }
}

/// What is booted when a removable drive is empty: the next of the own order that is none, or the first disk.
fn fallback(info: &MachineInfo) -> String {
    let in_order = info
        .boot_order
        .iter()
        .filter_map(|name| info.boot_devices.iter().find(|device| device.name == *name));
    let next = in_order.into_iter().find(|device| device.kind != BootDeviceKind::Cdrom);
    next.map_or_else(|| format!("disk {}", DISKS[0]), |device| in_words(info, device))
}

/// What the handover came to, in the words of [`Report::Booted`](bmc_core::backend::Report::Booted).
pub fn booted_from(info: &MachineInfo, handover: &Handover, inserted: &Inserted<'_>) -> String {
    let removable = |drive: &str, image: Option<&str>| match image {
        Some(image) => format!("{drive} {image}"),
        None => format!("{drive} (empty), then {}", fallback(info)),
    };
    match handover {
        Handover::Device(device) => device.clone(),
        Handover::Removable(Removable::Cdrom) => removable("cdrom", inserted.cdrom),
        Handover::Removable(Removable::RemoteCdrom) => removable("remote cdrom", inserted.remote_cdrom),
        Handover::Removable(Removable::Usb) => removable("usb", inserted.usb),
        Handover::Removable(Removable::RemoteMedia) => removable("remote media", inserted.usb),
        Handover::Missing(media) => removable(media, None),
        Handover::Setup => "firmware setup".to_owned(),
    }
}

fn pick<'a>(kind: &str, offered: &[&'a str], wanted: Option<&str>) -> Result<&'a str, BackendError> {
    let found = match wanted {
        None => offered.first(),
        Some(wanted) => offered.iter().find(|offer| **offer == wanted),
    };
    found.copied().ok_or_else(|| {
        let wanted = wanted.unwrap_or_default();
        BackendError::unsupported(format!(
            "this machine has no {kind} {wanted}; it has: {}",
            offered.join(", ")
        ))
    })
}

fn nic(info: &MachineInfo, wanted: Option<&str>) -> Result<&'static str, BackendError> {
    let by_mac = wanted
        .and_then(|wanted| info.nics.iter().position(|nic| nic.mac.eq_ignore_ascii_case(wanted)))
        .and_then(|index| NICS.get(index).copied());
    match by_mac {
        Some(name) => Ok(name),
        None => pick("network interface", &NICS, wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(firmware: FirmwareMode) -> MachineInfo {
        let config = SimConfig { firmware, ..SimConfig::default() };
        let uuid = uuid_of("node-0");
        make_up(&config, uuid, "node-0", preferred_mac_pair(config.seed, uuid))
    }

    #[test]
    fn a_volume_has_its_disk_by_its_number() {
        assert_eq!([1, 2].map(disk_name), DISKS);
        let names = [3, 4, 26, 27, 52, 53, 702, 703].map(disk_name);
        assert_eq!(names, ["sdc", "sdd", "sdz", "sdaa", "sdaz", "sdba", "sdzz", "sdaaa"]);
    }

    fn plan(target: BootTarget, device: Option<&str>) -> BootPlan {
        BootPlan::Override(OverrideBoot {
            target,
            efi: false,
            http_uri: None,
            device: device.map(str::to_owned),
            once: true,
            generation: 1,
        })
    }

    fn boots(info: &MachineInfo, plan: &BootPlan) -> String {
        booted_from(info, &handover(info, plan).unwrap(), &Inserted::default())
    }

    #[test]
    fn identity_follows_from_name_and_seed() {
        // A literal, so that a change of namespace does not go unnoticed: stored BMCs would lose their machines.
        assert_eq!(uuid_of("node-0").to_string(), "5dd7c351-6f3e-536e-877e-b5362208b3fe");
        assert_eq!(uuid_of("node-0").get_version_num(), 5);
        let given = "6c0cf1a4-1f6e-4f8c-9d0e-3d2b8f1c7a55";
        assert_eq!(uuid_of(given).to_string(), given);
        let uuid = uuid_of("node-0");
        assert_eq!(preferred_mac_pair(7, uuid), preferred_mac_pair(7, uuid));
        assert_ne!(preferred_mac_pair(7, uuid), preferred_mac_pair(8, uuid));
    }

    #[test]
    fn macs_are_two_neighbours_below_qemus_prefix() {
        let info = make_up(&SimConfig::default(), uuid_of("a"), "a", MAC_PAIRS - 1);
        let macs: Vec<&str> = info.nics.iter().map(|nic| nic.mac.as_str()).collect();
        assert_eq!(macs, ["52:54:00:ff:ff:fe", "52:54:00:ff:ff:ff"]);
    }

    #[test]
    fn every_target_boots_what_it_names() {
        let info = info(FirmwareMode::Uefi);
        assert_eq!(boots(&info, &BootPlan::OwnOrder), "disk sda");
        for (target, from) in [
            (BootTarget::Pxe, "network nic0"),
            (BootTarget::Disk, "disk sda"),
            (BootTarget::DiskSafeMode, "disk sda (safe mode)"),
            (BootTarget::Diagnostics, "disk sda (diagnostics)"),
            (BootTarget::Cdrom, "cdrom (empty), then disk sda"),
            (BootTarget::BiosSetup, "firmware setup"),
            (BootTarget::Usb, "usb (empty), then disk sda"),
            (BootTarget::Http, "http nic0"),
            (BootTarget::RemoteFloppy, "remote floppy (empty), then disk sda"),
            (BootTarget::RemoteCdrom, "remote cdrom (empty), then disk sda"),
            (BootTarget::RemoteMedia, "remote media (empty), then disk sda"),
            (BootTarget::RemoteDisk, "remote disk (empty), then disk sda"),
        ] {
            assert_eq!(boots(&info, &plan(target, None)), from, "{target:?}");
        }
        let inserted = Inserted { cdrom: Some("live.iso"), remote_cdrom: None, usb: Some("stick.img") };
        let boots = |drive| booted_from(&info, &Handover::Removable(drive), &inserted);
        assert_eq!(boots(Removable::Cdrom), "cdrom live.iso");
        assert_eq!(boots(Removable::RemoteCdrom), "remote cdrom (empty), then disk sda");
        assert_eq!(boots(Removable::Usb), "usb stick.img");
        assert_eq!(boots(Removable::RemoteMedia), "remote media stick.img");
    }

    #[test]
    fn the_own_order_can_begin_with_anything() {
        let mut info = info(FirmwareMode::Legacy);
        for (order, from) in [
            (vec!["sdb".to_owned(), "sda".to_owned()], "disk sdb"),
            (vec![info.nics[1].mac.clone()], "network nic1"),
            (vec!["sr0".to_owned(), "sdb".to_owned()], "cdrom (empty), then disk sdb"),
            (Vec::new(), "disk sda"),
        ] {
            info.boot_order = order;
            assert_eq!(boots(&info, &BootPlan::OwnOrder), from);
        }
    }

    #[test]
    fn http_needs_uefi() {
        let error = handover(&info(FirmwareMode::Legacy), &plan(BootTarget::Http, None)).unwrap_err();
        assert_eq!(error.kind, bmc_core::error::BackendErrorKind::Unsupported);
    }

    #[test]
    fn one_device_of_a_class_can_be_named() {
        let info = info(FirmwareMode::Legacy);
        assert_eq!(boots(&info, &plan(BootTarget::Disk, Some("sdb"))), "disk sdb");
        assert_eq!(boots(&info, &plan(BootTarget::Pxe, Some("nic1"))), "network nic1");
        assert_eq!(
            boots(&info, &plan(BootTarget::Pxe, Some(&info.nics[1].mac.to_uppercase()))),
            "network nic1"
        );
        let error = handover(&info, &plan(BootTarget::Disk, Some("vdz"))).unwrap_err();
        assert_eq!(error.message, "this machine has no disk vdz; it has: sda, sdb");
    }
}
