//! What the core wants to know about a domain, out of its XML.

use std::collections::HashSet;

use bmc_core::backend::MachineInfo;
use bmc_core::boot::{BootTarget, FirmwareMode};
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::firmware::{BootDevice, BootDeviceKind};
use roxmltree::{Document, Node};
use uuid::Uuid;

use super::{BOOT_NS, child, child_text, children, inventory};

/// Most nodes of a domain's XML: as many `<a/>` as fit into the longest string that libvirt sends, of 4 MiB.
const NODES_MAX: u32 = 1 << 20;

/// Parses what libvirt gave us.
///
/// # Errors
/// `Internal`: libvirt gave us something that is no XML.
pub(crate) fn parse(xml: &str) -> Result<Document<'_>, BackendError> {
    let options = roxmltree::ParsingOptions { nodes_limit: NODES_MAX, ..Default::default() };
    Document::parse_with_options(xml, options).map_err(|error| {
        BackendError::new(BackendErrorKind::Internal, format!("the domain's XML cannot be read: {error}"))
    })
}

/// Which kind of boot device an element of `<devices>` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceClass {
    Disk,
    UsbDisk,
    Cdrom,
    Floppy,
    Nic,
    /// A host or redirected device: bootable, but what it is shows only at run time.
    Other,
}

/// The class of a device that may carry `<boot order>`, `None` for all others.
pub(super) fn class_of(device: Node<'_, '_>) -> Option<DeviceClass> {
    match device.tag_name().name() {
        "disk" => match device.attribute("device").unwrap_or("disk") {
            "cdrom" => Some(DeviceClass::Cdrom),
            "floppy" => Some(DeviceClass::Floppy),
            _ if child(device, "target").and_then(|target| target.attribute("bus")) == Some("usb") => {
                Some(DeviceClass::UsbDisk)
            }
            _ => Some(DeviceClass::Disk),
        },
        "interface" => Some(DeviceClass::Nic),
        "hostdev" | "redirdev" => Some(DeviceClass::Other),
        _ => None,
    }
}

/// The classes that serve a target, the best first; empty for a target that names no device.
///
/// A virtual machine knows no difference between local and remote media: what IPMI calls remote is the same drive. A diagnostic
/// partition and safe mode are matters of the operating system on the disk.
pub(super) fn classes_for(target: BootTarget) -> &'static [DeviceClass] {
    match target {
        BootTarget::Pxe | BootTarget::Http => &[DeviceClass::Nic],
        BootTarget::Disk | BootTarget::DiskSafeMode | BootTarget::Diagnostics => {
            &[DeviceClass::Disk, DeviceClass::UsbDisk]
        }
        BootTarget::Cdrom | BootTarget::RemoteCdrom => &[DeviceClass::Cdrom],
        BootTarget::Usb | BootTarget::RemoteFloppy | BootTarget::RemoteMedia => {
            &[DeviceClass::UsbDisk, DeviceClass::Floppy]
        }
        BootTarget::RemoteDisk => &[DeviceClass::UsbDisk],
        BootTarget::None | BootTarget::BiosSetup => &[],
    }
}

/// Whether a device can do what a target asks of its class: OVMF boots over HTTP only through network cards that it drives itself,
/// which are virtio's; for others it needs the card's boot ROM, which is iPXE and would boot by TFTP.
pub(super) fn serves(device: Node<'_, '_>, target: BootTarget) -> bool {
    let model = || child(device, "model").and_then(|model| model.attribute("type"));
    target != BootTarget::Http || model().is_some_and(|model| model.starts_with("virtio"))
}

/// Whether a domain has a screen, with or without a way to it.
pub(crate) fn has_screen(xml: &str) -> Result<bool, BackendError> {
    let document = parse(xml)?;
    let devices = child(document.root_element(), "devices");
    let mut models =
        devices.into_iter().flat_map(|devices| children(devices, "video")).map(|video| child(video, "model"));
    Ok(models.any(|model| model.and_then(|model| model.attribute("type")) != Some("none")))
}

/// Reads a domain's XML.
///
/// # Errors
/// `Internal` when it is no XML or has no UUID or name.
pub(crate) fn machine_info(xml: &str) -> Result<MachineInfo, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    let missing = |what: &str| {
        BackendError::new(BackendErrorKind::Internal, format!("the domain's XML has no readable {what}"))
    };
    let uuid = child_text(domain, "uuid")
        .and_then(|text| Uuid::parse_str(text).ok())
        .ok_or_else(|| missing("uuid"))?;
    let name = child_text(domain, "name").ok_or_else(|| missing("name"))?.to_owned();
    let kind = child(domain, "os").and_then(|os| child(os, "type"));
    let architecture = kind.and_then(|kind| kind.attribute("arch")).unwrap_or("x86_64").to_owned();
    let firmware = firmware_mode(domain);
    let memory_bytes = child(domain, "memory").map_or(0, bytes);
    Ok(MachineInfo {
        secure_boot: None,
        load_options: None,
        load_options_unread: None,
        http_uri_refused: None,
        boot_devices: boot_devices(domain),
        boot_order: boot_order(domain),
        uuid,
        name,
        processors: processors(domain),
        cpu: inventory::cpu(domain),
        memory_bytes,
        memory_modules: inventory::memory(domain, memory_bytes),
        firmware,
        firmware_switchable: is_qemu(domain) && matches!(architecture.as_str(), "x86_64" | "i686"),
        boot_targets: boot_targets(domain, firmware),
        nics: inventory::nics(domain),
        pci_devices: if is_qemu(domain) { inventory::pci_devices(domain) } else { Vec::new() },
        graphics: inventory::graphics(domain),
        vnc: None,
        serial_ports: inventory::serial_ports(domain),
        disks: super::disk::disks(domain),
        raid: None,
        system_interface: super::system_interface::device(domain),
        architecture,
        mains_return: false,
        ..MachineInfo::default()
    })
}

/// The kind of a storage pool, from its XML.
///
/// # Errors
/// `Internal` when it is no XML.
pub(crate) fn pool_type(xml: &str) -> Result<String, BackendError> {
    Ok(parse(xml)?.root_element().attribute("type").unwrap_or_default().to_owned())
}

/// What a client calls a device: a network interface by its MAC, a disk by its target.
pub(super) fn name_of<'a>(device: Node<'a, '_>) -> Option<&'a str> {
    child(device, "mac")
        .and_then(|mac| mac.attribute("address"))
        .or_else(|| child(device, "target").and_then(|target| target.attribute("dev")))
}

/// The name under which the core knows a boot device.
pub(super) fn core_name(device: Node<'_, '_>) -> Option<String> {
    let name = name_of(device)?;
    Some(if device.has_tag_name("interface") { name.to_ascii_lowercase() } else { name.to_owned() })
}

/// Whether a domain is a container: it runs a program of its host's, and boots from nothing.
pub(super) fn is_container(domain: Node<'_, '_>) -> bool {
    child(domain, "os").and_then(|os| child_text(os, "type")) == Some("exe")
}

/// The devices that may carry `<boot order>`, in document order.
pub(super) fn bootable<'a, 'i>(domain: Node<'a, 'i>) -> Vec<(Node<'a, 'i>, DeviceClass)> {
    child(domain, "devices")
        .filter(|_| !is_container(domain))
        .into_iter()
        .flat_map(|devices| devices.children())
        .filter_map(|device| Some((device, class_of(device)?)))
        .collect()
}

/// Those that the core knows. A host device shows only at run time what it is. Of two interfaces with one address the first is meant.
fn boot_devices(domain: Node<'_, '_>) -> Vec<BootDevice> {
    let kind = |class| match class {
        DeviceClass::Disk => Some(BootDeviceKind::Disk),
        DeviceClass::UsbDisk => Some(BootDeviceKind::UsbDisk),
        DeviceClass::Cdrom => Some(BootDeviceKind::Cdrom),
        DeviceClass::Floppy => Some(BootDeviceKind::Floppy),
        DeviceClass::Nic => Some(BootDeviceKind::Network),
        DeviceClass::Other => None,
    };
    let known = |(device, class)| Some(BootDevice { name: core_name(device)?, kind: kind(class)? });
    let mut known: Vec<BootDevice> = bootable(domain).into_iter().filter_map(known).collect();
    let mut seen = HashSet::new();
    known.retain(|device| seen.insert(device.name.clone()));
    known
}

fn boot_order(domain: Node<'_, '_>) -> Vec<String> {
    let devices = bootable(domain);
    let own = super::edit::own_order(domain, &devices).into_iter();
    let known = own.filter_map(|at| devices.get(at)).filter(|(_, class)| *class != DeviceClass::Other);
    let mut seen = HashSet::new();
    known.filter_map(|(device, _)| core_name(*device)).filter(|name| seen.insert(name.clone())).collect()
}

/// The override that a running instance was started with, from its live XML.
pub(crate) fn boot_generation(live_xml: &str) -> Option<u64> {
    let document = Document::parse(live_xml).ok()?;
    child(document.root_element(), "metadata")?
        .children()
        .find(|node| node.has_tag_name((BOOT_NS, "boot")))?
        .attribute("generation")?
        .parse()
        .ok()
}

pub(super) fn is_qemu(domain: Node<'_, '_>) -> bool {
    matches!(domain.attribute("type"), Some("qemu" | "kvm"))
}

fn processors(domain: Node<'_, '_>) -> u32 {
    let vcpu = child(domain, "vcpu");
    let current = vcpu.and_then(|vcpu| vcpu.attribute("current"));
    current.or_else(|| vcpu?.text()).and_then(|text| text.trim().parse().ok()).unwrap_or(1).max(1)
}

/// `<memory unit='KiB'>`; the units are libvirt's (decimal for `KB`, binary for `k`, `K`, `KiB`), the default is KiB.
pub(super) fn bytes(memory: Node<'_, '_>) -> u64 {
    let number: u64 = memory.text().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let factor = match memory.attribute("unit").unwrap_or("KiB") {
        "b" | "bytes" => 1,
        "KB" => 1_000,
        "M" | "MiB" => 1 << 20,
        "MB" => 1_000_000,
        "G" | "GiB" => 1 << 30,
        "GB" => 1_000_000_000,
        "T" | "TiB" => 1 << 40,
        "TB" => 1_000_000_000_000,
        _ => 1 << 10,
    };
    number.saturating_mul(factor)
}

/// Automatic selection says it in `<os firmware>`; a firmware named by hand is UEFI when it is a flash image or has variables.
fn firmware_mode(domain: Node<'_, '_>) -> FirmwareMode {
    let Some(os) = child(domain, "os") else { return FirmwareMode::Legacy };
    match os.attribute("firmware") {
        Some("efi") => return FirmwareMode::Uefi,
        Some(_) => return FirmwareMode::Legacy,
        None => {}
    }
    let loader = child(os, "loader");
    let by_type = loader.and_then(|loader| loader.attribute("type")) == Some("pflash");
    let by_name = loader.and_then(|loader| loader.text()).is_some_and(|path| {
        let path = path.to_ascii_lowercase();
        ["ovmf", "aavmf", "edk2", "efi"].iter().any(|mark| path.contains(mark))
    });
    if by_type || by_name || child(os, "nvram").is_some() { FirmwareMode::Uefi } else { FirmwareMode::Legacy }
}

fn boot_targets(domain: Node<'_, '_>, firmware: FirmwareMode) -> Vec<BootTarget> {
    let present = bootable(domain);
    let has_drive = is_qemu(domain) && super::media::has_place(domain);
    BootTarget::ALL
        .into_iter()
        .filter(|&target| match target {
            BootTarget::None => false,
            // SeaBIOS has no setup, only a menu of what to boot from.
            BootTarget::BiosSetup => is_qemu(domain) && firmware == FirmwareMode::Uefi,
            // The BMC's own drive is there, as on any BMC, although the domain has it only while a disc is in.
            BootTarget::Cdrom | BootTarget::RemoteCdrom if has_drive => true,
            BootTarget::Http if firmware != FirmwareMode::Uefi => false,
            _ => present
                .iter()
                .any(|(device, class)| classes_for(target).contains(class) && serves(*device, target)),
        })
        .collect()
}
