//! Where a domain's devices are, as UEFI's device paths say it, and where its UEFI variables are.

use std::path::PathBuf;

use bmc_core::error::BackendError;
use bmc_core::inventory::PciAddress;
use roxmltree::Node;

use super::inventory::pci_address;
use super::read::{bootable, core_name, parse};
use super::{child, children};
use crate::nvram::path::{DevicePath, Node as PathNode};

/// Most bridges between a device and its host bridge.
const BRIDGES_MAX: usize = 16;

/// The bootable devices of a domain by the core's name for them, each with its path; without those whose place the XML does not tell.
///
/// # Errors
/// `Internal` when it is no XML.
pub(crate) fn device_paths(xml: &str) -> Result<Vec<(String, DevicePath)>, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    let Some(devices) = child(domain, "devices") else { return Ok(Vec::new()) };
    let known = |(device, _)| Some((core_name(device)?, path_of(devices, device)?));
    Ok(bootable(domain).into_iter().filter_map(known).collect())
}

fn path_of(devices: Node<'_, '_>, device: Node<'_, '_>) -> Option<DevicePath> {
    if let Some(address) = pci_address(device) {
        return Some(DevicePath::of(pci_path(devices, address)?));
    }
    let address = child(device, "address")?;
    let number = |name: &str| address.attribute(name)?.parse::<u16>().ok();
    let bus = child(device, "target")?.attribute("bus")?;
    let (controller, last) = match (bus, address.attribute("type")?) {
        ("sata", "drive") => (number("controller")?, PathNode::sata(number("unit")?)),
        ("scsi", "drive") => (number("controller")?, PathNode::scsi(number("target")?, number("unit")?)),
        ("ide", "drive") => {
            let drive = u8::try_from(number("unit")?).ok()?;
            (number("controller")?, PathNode::ata(u8::try_from(number("bus")?).ok()?, drive))
        }
        ("usb", "usb") => {
            // Libvirt counts ports from 1; what is behind a hub has several numbers, and is not looked for.
            let port = u8::try_from(number("port")?.checked_sub(1)?).ok()?;
            (number("bus")?, PathNode::usb(port))
        }
        _ => return None,
    };
    let controller = controller.to_string();
    let controller = children(devices, "controller").find(|other| {
        other.attribute("type") == Some(bus) && other.attribute("index") == Some(controller.as_str())
    })?;
    let mut nodes = pci_path(devices, pci_address(controller)?)?;
    nodes.push(last);
    Some(DevicePath::of(nodes))
}

/// The way from the host bridge to a function.
fn pci_path(devices: Node<'_, '_>, address: PciAddress) -> Option<Vec<PathNode>> {
    let mut nodes = Vec::new();
    let mut next = address;
    while nodes.len() < BRIDGES_MAX {
        nodes.push(PathNode::pci(next.slot, next.function));
        if next.bus == 0 {
            nodes.push(PathNode::pci_root(0));
            nodes.reverse();
            return Some(nodes);
        }
        let index = next.bus.to_string();
        let bridge = children(devices, "controller").find(|controller| {
            controller.attribute("type") == Some("pci") && controller.attribute("index") == Some(&index)
        })?;
        // An expander is a host bridge of its own, whose number the firmware chooses.
        if bridge.attribute("model").is_some_and(|model| model.contains("expander")) {
            return None;
        }
        next = pci_address(bridge)?;
    }
    None
}

/// What a domain's XML says of where its UEFI variables are: a file, or in words why they are in none. `None` when it leaves that to libvirt.
pub(crate) fn variable_store(xml: &str) -> Option<Result<PathBuf, String>> {
    let document = parse(xml).ok()?;
    let nvram = child(child(document.root_element(), "os")?, "nvram")?;
    if let Some(kind) = nvram.attribute("type").filter(|kind| *kind != "file") {
        return Some(Err(format!("its variable store is of the type {kind}; only files can be read")));
    }
    let source = child(nvram, "source").and_then(|source| source.attribute("file"));
    let file = source.or_else(|| nvram.text()).map(str::trim).filter(|file| !file.is_empty())?;
    Some(Ok(PathBuf::from(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: &str = "<domain type='qemu'><os><nvram template='/t'>/var/x_VARS.fd</nvram></os><devices>\
        <controller type='pci' index='0' model='pcie-root'/>\
        <controller type='pci' index='1' model='pcie-root-port'>\
        <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x1'/></controller>\
        <controller type='sata' index='0'><address type='pci' domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/></controller>\
        <controller type='usb' index='0' model='qemu-xhci'><address type='pci' domain='0' bus='0x01' slot='0' function='0'/></controller>\
        <disk device='disk'><target dev='vda' bus='virtio'/><address type='pci' domain='0' bus='0x01' slot='0x00' function='0x0'/></disk>\
        <disk device='cdrom'><target dev='sda' bus='sata'/><address type='drive' controller='0' bus='0' target='0' unit='1'/></disk>\
        <disk device='disk'><target dev='sdb' bus='usb'/><address type='usb' bus='0' port='2'/></disk>\
        <disk device='disk'><target dev='sdc' bus='usb'/><address type='usb' bus='0' port='2.1'/></disk>\
        <interface type='user'><mac address='52:54:00:AA:00:01'/></interface></devices></domain>";

    #[test]
    fn devices_are_where_the_firmware_finds_them() {
        let paths = device_paths(DEVICES).unwrap();
        let texts: Vec<(&str, String)> = paths.iter().map(|(name, path)| (&**name, path.text())).collect();
        assert_eq!(
            texts,
            [
                ("vda", "PciRoot(0x0)/Pci(0x2,0x1)/Pci(0x0,0x0)".to_owned()),
                ("sda", "PciRoot(0x0)/Pci(0x1f,0x2)/Sata(0x1,0xffff,0x0)".to_owned()),
                ("sdb", "PciRoot(0x0)/Pci(0x2,0x1)/Pci(0x0,0x0)/USB(0x1,0x0)".to_owned()),
            ],
            "without those whose place nobody tells"
        );
    }

    #[test]
    fn the_variable_store_is_a_file_or_out_of_reach() {
        assert_eq!(variable_store(DEVICES), Some(Ok("/var/x_VARS.fd".into())));
        let with = |os: &str| variable_store(&format!("<domain><os>{os}</os></domain>"));
        assert_eq!(with("<nvram type='file'><source file='/a'/></nvram>"), Some(Ok("/a".into())));
        assert_eq!(with("<nvram template='/t'/>"), None);
        assert_eq!(with(""), None);
        assert!(with("<nvram type='network'><source protocol='iscsi'/></nvram>").unwrap().is_err());
    }
}
