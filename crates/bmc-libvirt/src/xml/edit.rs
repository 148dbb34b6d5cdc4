//! Changed copies of a domain's XML: for a start with a boot override, and with another boot order.

use bmc_core::boot::{BootTarget, OverrideBoot};
use bmc_core::error::{BackendError, BackendErrorKind};
use roxmltree::Node;

use super::media;
use super::place::device_paths;
use super::read::{DeviceClass, bootable, classes_for, core_name, machine_info, name_of, parse, serves};
use super::splice::Splices;
use super::{BOOT_NS, child, children};
use crate::nvram::path::DevicePath;

/// How long the firmware waits for a key when its setup was asked for, in milliseconds; the largest value QEMU takes.
const SETUP_WAIT_MS: u32 = 65_535;
/// Switches of OVMF that leave HTTP as the only way to boot from the network, once the card's own boot ROM is off.
const NO_PXE_ENTRIES: [&str; 2] = ["opt/org.tianocore/IPv4PXESupport", "opt/org.tianocore/IPv6PXESupport"];
/// Elements of `<os>` that make QEMU load a kernel itself, past every boot order.
const DIRECT_BOOT: [&str; 4] = ["kernel", "initrd", "cmdline", "dtb"];

/// A copy of an inactive domain's XML that boots from the override's target first and then as the domain itself would, marked with
/// the override's generation. Everything else is as it was.
///
/// # Errors
/// `Unsupported`: the domain has no device for the target, or not the one that was asked for.
pub(crate) fn override_copy(xml: &str, boot: &OverrideBoot) -> Result<String, BackendError> {
    let info = machine_info(xml)?;
    bmc_core::boot::check_target(&info.boot_targets, boot.target)?;
    let document = parse(xml)?;
    let domain = document.root_element();
    let mut splices = Splices::new(xml);
    if boot.target == BootTarget::BiosSetup {
        wait_for_setup_key(domain, &mut splices);
    } else {
        reorder(domain, boot, &mut splices)?;
    }
    if boot.target == BootTarget::Http {
        let entries: String =
            NO_PXE_ENTRIES.iter().map(|name| format!("<entry name='{name}'>n</entry>")).collect();
        match children(domain, "sysinfo").find(|info| info.attribute("type") == Some("fwcfg")) {
            Some(info) => splices.append_child(info, &entries),
            None => splices.append_child(domain, &format!("<sysinfo type='fwcfg'>{entries}</sysinfo>")),
        }
    }
    let mark = format!(
        "<polybmc:boot xmlns:polybmc='{BOOT_NS}' generation='{}' target='{}'/>",
        boot.generation,
        boot.target.as_str()
    );
    set_metadata(domain, (BOOT_NS, "boot"), Some(&mark), &mut splices);
    Ok(splices.apply())
}

/// Puts the override's device first and the domain's own order behind it, as `<boot order>` of each device: libvirt allows either
/// that or `<os><boot dev>`, and only the former can name one device of several.
fn reorder(domain: Node<'_, '_>, boot: &OverrideBoot, splices: &mut Splices<'_>) -> Result<(), BackendError> {
    let devices = bootable(domain);
    let own = own_order(domain, &devices);
    let first = match choose(&devices, &own, boot) {
        // The BMC's own drive without a disc: the firmware goes on to what comes next.
        Err(_) if boot.device.is_none() && classes_for(boot.target) == [DeviceClass::Cdrom] => None,
        chosen => Some(chosen?),
    };
    if let (BootTarget::Http, Some(first)) = (boot.target, first) {
        let nic = devices[first].0;
        if let Some(rom) = child(nic, "rom") {
            splices.remove(rom);
        }
        splices.append_child(nic, "<rom enabled='no'/>");
    }
    let rest = own.into_iter().filter(|&index| Some(index) != first);
    let order: Vec<usize> = first.into_iter().chain(rest).collect();

    if let Some(os) = child(domain, "os") {
        for element in os.children().filter(|element| DIRECT_BOOT.contains(&element.tag_name().name())) {
            splices.remove(element);
        }
    }
    number(domain, &devices, &order, splices);
    Ok(())
}

/// A copy of a domain's definition that boots these devices, by name and in this order, and no others. Everything else is as it was; a
/// kernel that QEMU loads itself too, which goes past every order.
///
/// # Errors
/// `Unsupported`: there is no such device, or none at all.
pub(crate) fn with_boot_order(xml: &str, names: &[String]) -> Result<String, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    let devices = bootable(domain);
    if devices.is_empty() {
        return Err(BackendError::unsupported("this machine has no boot devices"));
    }
    let mut order = Vec::with_capacity(names.len());
    for name in names {
        let found = devices.iter().position(|(device, class)| {
            *class != DeviceClass::Other && core_name(*device).as_ref() == Some(name)
        });
        order.push(
            found.ok_or_else(|| {
                BackendError::unsupported(format!("this machine has no boot device {name}"))
            })?,
        );
    }
    let mut splices = Splices::new(xml);
    number(domain, &devices, &order, &mut splices);
    for (index, (device, _)) in devices.iter().enumerate() {
        if let Some(boot) = child(*device, "boot").filter(|_| !order.contains(&index)) {
            splices.remove(boot);
        }
    }
    Ok(splices.apply())
}

/// Writes the order at the devices themselves, and takes away the other form of it.
fn number(
    domain: Node<'_, '_>,
    devices: &[(Node<'_, '_>, DeviceClass)],
    order: &[usize],
    splices: &mut Splices<'_>,
) {
    for boot in child(domain, "os").into_iter().flat_map(|os| children(os, "boot")) {
        splices.remove(boot);
    }
    for (index, (device, _)) in devices.iter().enumerate() {
        let place = order.iter().position(|&at| at == index).map(|place| place + 1);
        match (child(*device, "boot"), place) {
            (Some(present), Some(place)) => match present.attribute_node("order") {
                Some(attribute) => splices.replace(attribute.range_value(), place.to_string()),
                None => splices.add_attribute(present, &format!("order='{place}'")),
            },
            (None, Some(place)) => splices.append_child(*device, &format!("<boot order='{place}'/>")),
            (_, None) => {}
        }
    }
}

/// The domain's own boot order, as places in `devices`.
///
/// `<os><boot dev>` names classes; libvirt gives each class's boot index to its first device in document order. Without either
/// form libvirt boots the first disk.
pub(super) fn own_order(domain: Node<'_, '_>, devices: &[(Node<'_, '_>, DeviceClass)]) -> Vec<usize> {
    let mut numbered: Vec<(u32, usize)> = devices
        .iter()
        .enumerate()
        .filter_map(|(index, (device, _))| {
            Some((child(*device, "boot")?.attribute("order")?.parse().ok()?, index))
        })
        .collect();
    if !numbered.is_empty() {
        numbered.sort_unstable();
        return numbered.into_iter().map(|(_, index)| index).collect();
    }
    let named: Vec<&str> = child(domain, "os")
        .into_iter()
        .flat_map(|os| children(os, "boot"))
        .filter_map(|boot| boot.attribute("dev"))
        .collect();
    let named = if named.is_empty() { vec!["hd"] } else { named };
    named
        .into_iter()
        .filter_map(|name| {
            devices.iter().position(|(_, class)| match name {
                "hd" => matches!(class, DeviceClass::Disk | DeviceClass::UsbDisk),
                "cdrom" => *class == DeviceClass::Cdrom,
                "fd" => *class == DeviceClass::Floppy,
                "network" => *class == DeviceClass::Nic,
                _ => false,
            })
        })
        .collect()
}

/// The device an override means: the one it names, else the first of its class in the domain's own order, else in document order.
fn choose(
    devices: &[(Node<'_, '_>, DeviceClass)],
    own: &[usize],
    boot: &OverrideBoot,
) -> Result<usize, BackendError> {
    let ranked = own.iter().copied().chain((0..devices.len()).filter(|index| !own.contains(index)));
    // What was inserted over the BMC was inserted to be booted: its drives come before the machine's own, but are no disks.
    let is_disk = classes_for(boot.target).contains(&DeviceClass::Disk);
    let is_medium = |index: &usize| media::slot_of(devices[*index].0).is_some();
    let mut ranked: Vec<usize> = ranked.filter(|index| !(is_disk && is_medium(index))).collect();
    ranked.sort_by_key(|index| !is_medium(index));
    for class in classes_for(boot.target) {
        let found = ranked.iter().copied().find(|&index| {
            let (device, is) = devices[index];
            is == *class
                && serves(device, boot.target)
                && boot.device.as_deref().is_none_or(|wanted| {
                    name_of(device).is_some_and(|name| name.eq_ignore_ascii_case(wanted))
                })
        });
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let message = match &boot.device {
        Some(device) => format!("this machine has no {} device named {device}", boot.target.as_str()),
        None => format!("this machine has no device to boot {} from", boot.target.as_str()),
    };
    Err(BackendError::new(BackendErrorKind::Unsupported, message))
}

/// The network interface that comes first in a copy that boots over the network: its address, and where the firmware finds it.
///
/// # Errors
/// `Unsupported`: the XML does not tell.
pub(crate) fn first_nic(copy: &str) -> Result<(String, DevicePath), BackendError> {
    let document = parse(copy)?;
    let devices = bootable(document.root_element());
    let first = |(device, class): &(Node<'_, '_>, DeviceClass)| {
        let is_first = child(*device, "boot").and_then(|boot| boot.attribute("order")) == Some("1");
        (is_first && *class == DeviceClass::Nic).then(|| core_name(*device)).flatten()
    };
    let mac = devices.iter().find_map(first);
    let path = |mac: &String| device_paths(copy).ok()?.into_iter().find(|(name, _)| name == mac);
    mac.as_ref().and_then(path).ok_or_else(|| {
        BackendError::unsupported(
            "where the firmware finds the network interface is not known, so it cannot be told a URI",
        )
    })
}

/// The boot index of each bootable device of a running domain, by its alias, that makes its next reset boot as its definition says: first all
/// without one, since no two may be the same, then those of the own order.
///
/// # Errors
/// `Internal`: either is no XML.
pub(crate) fn own_indexes(definition: &str, live: &str) -> Result<Vec<(String, i64)>, BackendError> {
    let (definition, live) = (parse(definition)?, parse(live)?);
    let (domain, running) = (definition.root_element(), live.root_element());
    // It goes into QEMU's own protocol as it is.
    let plain =
        |alias: &&str| alias.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let alias =
        |device: Node<'_, '_>| child(device, "alias")?.attribute("name").filter(plain).map(str::to_owned);
    let running: Vec<(Option<String>, String)> = bootable(running)
        .into_iter()
        .filter(|(device, _)| child(*device, "boot").is_some())
        .filter_map(|(device, _)| Some((core_name(device), alias(device)?)))
        .collect();
    let own = bootable(domain);
    let order = own_order(domain, &own).into_iter().filter_map(|at| core_name(own.get(at)?.0));
    let places = order.zip(1..).filter_map(|(name, place)| {
        let (_, alias) = running.iter().find(|(other, _)| other.as_ref() == Some(&name))?;
        Some((alias.clone(), place))
    });
    Ok(running.iter().map(|(_, alias)| (alias.clone(), -1)).chain(places).collect())
}

/// Makes the firmware wait long for the key that opens its menus.
fn wait_for_setup_key(domain: Node<'_, '_>, splices: &mut Splices<'_>) {
    let Some(os) = child(domain, "os") else { return };
    if let Some(menu) = child(os, "bootmenu") {
        splices.remove(menu);
    }
    splices.append_child(os, &format!("<bootmenu enable='yes' timeout='{SETUP_WAIT_MS}'/>"));
}

/// Sets or removes one top-level element of `<metadata>`, leaving all others alone. A `<metadata>` that holds nothing else, not even a
/// remark, goes too.
pub(super) fn set_metadata(
    domain: Node<'_, '_>,
    name: (&str, &str),
    xml: Option<&str>,
    splices: &mut Splices<'_>,
) {
    let metadata = child(domain, "metadata");
    let old = metadata.and_then(|metadata| metadata.children().find(|node| node.has_tag_name(name)));
    match (xml, old, metadata) {
        (Some(xml), Some(old), _) => splices.replace(old.range(), xml),
        (Some(xml), None, Some(metadata)) => splices.append_child(metadata, xml),
        (Some(xml), None, None) => {
            let xml = format!("<metadata>{xml}</metadata>");
            match child(domain, "name") {
                Some(name) => splices.insert_after(name, xml),
                None => splices.append_child(domain, &xml),
            }
        }
        (None, Some(old), Some(metadata)) => {
            let is_blank = |node: Node<'_, '_>| node.text().is_some_and(|text| text.trim().is_empty());
            let alone = metadata.children().all(|node| node == old || node.is_text() && is_blank(node));
            splices.remove(if alone { metadata } else { old });
        }
        (None, _, _) => {}
    }
}

#[cfg(test)]
mod tests;
