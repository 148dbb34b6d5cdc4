//! The BMC's drives in domain XML: devices of its own, known by their aliases. The machine's own drives are nobody's business here.
//!
//! A drive is in the definition while something is in it, and leaves it as it was when that is ejected. In a running instance a CD drive
//! that is there stays until the instance ends, empty or not, as a drive of sheet metal would; where there is none, one is plugged in by USB
//! with the disc, and unplugged with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::media::{MediaImage, MediaSlot};
use roxmltree::Node;

use super::read::{is_container, parse};
use super::splice::Splices;
use super::{child, children};

/// Units on a SATA controller of QEMU's.
const SATA_UNITS: u32 = 6;
/// Buses of an IDE controller and units on each, those that machines' own drives take last first.
const IDE_PLACES: [(u32, u32); 4] = [(1, 1), (1, 0), (0, 1), (0, 0)];

/// The alias by which a drive is known; libvirt keeps aliases that begin with `ua-` as they are.
fn alias(slot: MediaSlot) -> &'static str {
    match slot {
        MediaSlot::Cd => "ua-polybmc-cd",
        MediaSlot::Usb => "ua-polybmc-usb",
    }
}

/// The drive that a device is, if it is one of the BMC's.
pub(super) fn slot_of(device: Node<'_, '_>) -> Option<MediaSlot> {
    let name = child(device, "alias")?.attribute("name")?;
    MediaSlot::ALL.into_iter().find(|slot| alias(*slot) == name)
}

fn disks<'a, 'i>(domain: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    child(domain, "devices").into_iter().flat_map(|devices| children(devices, "disk"))
}

fn drive<'a, 'i>(domain: Node<'a, 'i>, slot: MediaSlot) -> Option<Node<'a, 'i>> {
    disks(domain).find(|disk| slot_of(*disk) == Some(slot))
}

/// What is in the BMC's drives.
pub(crate) fn media(xml: &str) -> Result<Vec<(MediaSlot, PathBuf)>, BackendError> {
    let document = parse(xml)?;
    let media = disks(document.root_element()).filter_map(|disk| {
        let file = child(disk, "source")?.attribute("file")?;
        Some((slot_of(disk)?, PathBuf::from(file)))
    });
    Ok(media.collect())
}

/// The definition with this image in its drive.
///
/// # Errors
/// `Unsupported` for a machine with no place for the drive.
pub(crate) fn with_medium(xml: &str, image: &MediaImage) -> Result<String, BackendError> {
    let without = without_medium(xml, image.slot)?;
    let document = parse(&without)?;
    let domain = document.root_element();
    let device = device(domain, image)?;
    let mut splices = Splices::new(&without);
    match child(domain, "devices") {
        Some(devices) => splices.append_child(devices, &device),
        None => splices.append_child(domain, &format!("<devices>{device}</devices>")),
    }
    Ok(splices.apply())
}

/// The XML with the BMC's CD drive, empty where it is not there. As it is where the chipset has no place for it: by USB it can be
/// plugged in at any time.
pub(crate) fn with_tray(xml: &str) -> Result<String, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    let mut splices = Splices::new(xml);
    if drive(domain, MediaSlot::Cd).is_none()
        && let Some(devices) = child(domain, "devices")
        && let Some(place) = sata_place(domain).or_else(|| ide_place(domain))
    {
        splices.append_child(devices, &element(MediaSlot::Cd, None, &place)?);
    }
    Ok(splices.apply())
}

/// The definition without this drive.
pub(crate) fn without_medium(xml: &str, slot: MediaSlot) -> Result<String, BackendError> {
    let document = parse(xml)?;
    let mut splices = Splices::new(xml);
    if let Some(drive) = drive(document.root_element(), slot) {
        splices.remove(drive);
    }
    Ok(splices.apply())
}

/// What to do to a running instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Live {
    /// It is as it should be.
    Nothing,
    /// Change what is in the drive.
    Update(String),
    /// Plug the drive in, after unplugging it where it is there with something else in it.
    Attach { first_detach: Option<String>, device: String },
    /// Unplug it.
    Detach(String),
}

/// How this image gets into a running instance, whose XML this is.
///
/// # Errors
/// `Unsupported` for a machine without USB: nothing else can be plugged in while it runs.
pub(crate) fn insert_live(live: &str, image: &MediaImage) -> Result<Live, BackendError> {
    let document = parse(live)?;
    let domain = document.root_element();
    let there = drive(domain, image.slot);
    if let Some(there) = there {
        let file = child(there, "source").and_then(|source| source.attribute("file"));
        if file.map(Path::new) == Some(image.file.as_path()) {
            return Ok(Live::Nothing);
        }
        if has_tray(there) {
            return Ok(Live::Update(with_disc(live, there, Some(image))?));
        }
    }
    let device = element(image.slot, Some(image), &usb_place(domain, image.slot)?)?;
    Ok(Live::Attach { first_detach: there.map(|there| live[there.range()].to_owned()), device })
}

/// How a drive of a running instance is emptied.
pub(crate) fn eject_live(live: &str, slot: MediaSlot) -> Result<Live, BackendError> {
    let document = parse(live)?;
    let Some(there) = drive(document.root_element(), slot) else { return Ok(Live::Nothing) };
    Ok(match has_tray(there) {
        true if child(there, "source").is_none() => Live::Nothing,
        true => Live::Update(with_disc(live, there, None)?),
        false => Live::Detach(live[there.range()].to_owned()),
    })
}

/// How a drive of a running instance, whose XML is `now`, gets what was in it `before` something went wrong half-way.
pub(crate) fn restore_live(before: &str, now: &str, slot: MediaSlot) -> Result<Live, BackendError> {
    let (before_document, now_document) = (parse(before)?, parse(now)?);
    let file = |drive| Some(child(drive, "source")?.attribute("file")?.to_owned());
    let former = drive(before_document.root_element(), slot);
    let Some((former, there_was)) = former.and_then(|former| Some((former, file(former)?))) else {
        return eject_live(now, slot);
    };
    let device = before[former.range()].to_owned();
    Ok(match drive(now_document.root_element(), slot) {
        Some(there) if file(there) == Some(there_was) => Live::Nothing,
        Some(there) if has_tray(there) => Live::Update(device),
        there => Live::Attach { first_detach: there.map(|there| now[there.range()].to_owned()), device },
    })
}

/// Whether what is in a drive can be taken out of it. What libvirt makes of a CD drive on USB is a disk for QEMU, "not removable": that
/// is unplugged as a whole, as a USB disk is.
fn has_tray(drive: Node<'_, '_>) -> bool {
    slot_of(drive) == Some(MediaSlot::Cd)
        && child(drive, "target").and_then(|target| target.attribute("bus")) != Some("usb")
}

/// Where a drive is.
struct Place {
    bus: String,
    target: String,
    address: Option<String>,
}

/// A CD drive that is there with another disc, or none. libvirt takes no change of anything else, so all else stays as it is written.
fn with_disc(live: &str, drive: Node<'_, '_>, image: Option<&MediaImage>) -> Result<String, BackendError> {
    let text = &live[drive.range()];
    let document = parse(text)?;
    let drive = document.root_element();
    let mut splices = Splices::new(text);
    for element in
        drive.children().filter(|element| ["source", "backingStore"].contains(&element.tag_name().name()))
    {
        splices.remove(element);
    }
    if let Some(image) = image {
        splices.append_child(drive, &source(image)?);
    }
    Ok(splices.apply())
}

/// A machine must start although somebody has taken the file away.
fn source(image: &MediaImage) -> Result<String, BackendError> {
    let file = image.file.to_str().ok_or_else(|| {
        let file = image.file.display();
        BackendError::unsupported(format!("libvirt cannot take a path that is not UTF-8: {file}"))
    })?;
    Ok(format!("<source file='{}' startupPolicy='optional'/>", escaped(file)))
}

fn device(domain: Node<'_, '_>, image: &MediaImage) -> Result<String, BackendError> {
    let place = match image.slot {
        MediaSlot::Cd => cd_place(domain)?,
        MediaSlot::Usb => usb_place(domain, image.slot)?,
    };
    element(image.slot, Some(image), &place)
}

/// Whether the BMC's CD drive is in a domain, or there is a place for it.
pub(super) fn has_place(domain: Node<'_, '_>) -> bool {
    drive(domain, MediaSlot::Cd).is_some() || cd_place(domain).is_ok()
}

fn cd_place(domain: Node<'_, '_>) -> Result<Place, BackendError> {
    sata_place(domain).or_else(|| ide_place(domain)).map_or_else(|| usb_place(domain, MediaSlot::Cd), Ok)
}

fn element(slot: MediaSlot, image: Option<&MediaImage>, place: &Place) -> Result<String, BackendError> {
    let (kind, removable) = match slot {
        MediaSlot::Cd => ("cdrom", ""),
        MediaSlot::Usb => ("disk", " removable='on'"),
    };
    let mut xml = format!("<disk type='file' device='{kind}'><driver name='qemu' type='raw'/>");
    if let Some(image) = image {
        xml.push_str(&source(image)?);
    }
    let _ =
        write!(xml, "<target dev='{}' bus='{}'{removable}/>", escaped(&place.target), escaped(&place.bus));
    if slot == MediaSlot::Cd || image.is_some_and(|image| image.write_protected) {
        xml.push_str("<readonly/>");
    }
    let _ =
        write!(xml, "<alias name='{}'/>{}</disk>", alias(slot), place.address.as_deref().unwrap_or_default());
    Ok(xml)
}

/// A free place on the machine's SATA controller, which its chipset has (`q35`).
fn sata_place(domain: Node<'_, '_>) -> Option<Place> {
    controllers(domain, "sata").find(|controller| controller.attribute("index") == Some("0"))?;
    let free = (0..SATA_UNITS).rev().find(|unit| !is_taken(domain, "sata", 0, *unit))?;
    Some(Place {
        bus: "sata".to_owned(),
        target: free_target(domain, "sd")?,
        address: Some(address(0, free)),
    })
}

/// A free place on the machine's IDE controller, which its chipset has (`pc`).
fn ide_place(domain: Node<'_, '_>) -> Option<Place> {
    controllers(domain, "ide").find(|controller| controller.attribute("index") == Some("0"))?;
    let (bus, unit) = IDE_PLACES.into_iter().find(|(bus, unit)| !is_taken(domain, "ide", *bus, *unit))?;
    Some(Place {
        bus: "ide".to_owned(),
        target: free_target(domain, "hd")?,
        address: Some(address(bus, unit)),
    })
}

/// A place on the machine's USB.
fn usb_place(domain: Node<'_, '_>, slot: MediaSlot) -> Result<Place, BackendError> {
    let has_usb = controllers(domain, "usb").any(|controller| controller.attribute("model") != Some("none"));
    let none = |what: &str| {
        let message = format!("this machine has no {what} for the {} drive of virtual media", slot.as_str());
        BackendError::new(BackendErrorKind::Unsupported, message)
    };
    if is_container(domain) {
        return Err(BackendError::unsupported("a container has no drives, and so no virtual media"));
    }
    if !has_usb {
        return Err(none("USB controller; add one to its definition (`virsh edit`)"));
    }
    let target = free_target(domain, "sd").ok_or_else(|| none("free name of a disk"))?;
    Ok(Place { bus: "usb".to_owned(), target, address: None })
}

fn controllers<'a, 'i>(domain: Node<'a, 'i>, kind: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    child(domain, "devices")
        .into_iter()
        .flat_map(|devices| children(devices, "controller"))
        .filter(move |controller| controller.attribute("type") == Some(kind))
}

fn is_taken(domain: Node<'_, '_>, kind: &str, bus: u32, unit: u32) -> bool {
    disks(domain).any(|disk| {
        let on = child(disk, "target").and_then(|target| target.attribute("bus"));
        let number =
            |name| child(disk, "address").and_then(|address| address.attribute(name)?.parse::<u32>().ok());
        on == Some(kind)
            && number("controller").unwrap_or(0) == 0
            && number("bus").unwrap_or(0) == bus
            && number("unit").is_none_or(|taken| taken == unit)
    })
}

fn address(bus: u32, unit: u32) -> String {
    format!("<address type='drive' controller='0' bus='{bus}' target='0' unit='{unit}'/>")
}

/// A name that no disk has, from the end of the alphabet: libvirt sorts disks by it, and the machine's own shall come first.
fn free_target(domain: Node<'_, '_>, prefix: &str) -> Option<String> {
    // An IDE disk's name says where it is unless its address does, and libvirt knows four.
    let letters = if prefix == "hd" { 'a'..='d' } else { 'a'..='z' };
    let mut names = letters.rev().map(|letter| format!("{prefix}{letter}"));
    names.find(|name| {
        disks(domain)
            .all(|disk| child(disk, "target").and_then(|target| target.attribute("dev")) != Some(name))
    })
}

/// A text within an attribute in single quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(slot: MediaSlot) -> MediaImage {
        MediaImage { slot, file: "/spool/it's<1>".into(), name: "live.iso".to_owned(), write_protected: true }
    }

    fn domain(devices: &str) -> String {
        format!("<domain type='kvm'><name>m</name><devices>{devices}</devices></domain>")
    }

    const OWN: &str = "<disk type='file' device='cdrom'><source file='/own.iso'/><target dev='sda' bus='sata'/><readonly/><address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>";
    const SATA: &str = "<controller type='sata' index='0'/>";
    const IDE: &str = "<controller type='ide' index='0'/>";
    const USB: &str = "<controller type='usb' index='0' model='qemu-xhci'/>";

    #[test]
    fn a_drive_comes_and_goes_and_nothing_else_changes() {
        for (devices, slot, target) in [
            (format!("{SATA}{USB}{OWN}"), MediaSlot::Cd, "dev='sdz' bus='sata'"),
            (format!("{IDE}{USB}"), MediaSlot::Cd, "dev='hdd' bus='ide'"),
            (format!("{USB}{OWN}"), MediaSlot::Cd, "dev='sdz' bus='usb'"),
            (format!("{SATA}{USB}{OWN}"), MediaSlot::Usb, "dev='sdz' bus='usb' removable='on'"),
        ] {
            let before = domain(&devices);
            let with = with_medium(&before, &image(slot)).unwrap();
            assert!(with.contains(target) && with.contains("<readonly/>"), "{with}");
            assert_eq!(media(&with).unwrap(), [(slot, PathBuf::from("/spool/it's<1>"))]);
            assert_eq!(with_medium(&with, &image(slot)).unwrap(), with, "again is the same");
            assert_eq!(without_medium(&with, slot).unwrap(), before);
            assert_eq!(without_medium(&before, slot).unwrap(), before);
            assert_eq!(media(&before).unwrap(), []);
        }
    }

    #[test]
    fn a_place_that_is_taken_is_left_alone() {
        let taken: String = (0..6)
            .map(|unit| format!("<disk><target dev='sd{unit}' bus='sata'/><address type='drive' controller='0' bus='0' unit='{unit}'/></disk>"))
            .collect();
        let five = taken
            .replace("unit='2'/></disk>", "unit='2' controller='1'/></disk>")
            .replace("controller='0' bus='0' unit='2' ", "bus='0' unit='2' ");
        assert!(
            with_medium(&domain(&format!("{SATA}{five}")), &image(MediaSlot::Cd))
                .unwrap()
                .contains("unit='2'/></disk></devices>")
        );
        let full = domain(&format!("{SATA}{USB}{taken}"));
        assert!(with_medium(&full, &image(MediaSlot::Cd)).unwrap().contains("bus='usb'"));
        let none = domain("<controller type='usb' model='none'/>");
        for slot in MediaSlot::ALL {
            assert_eq!(with_medium(&none, &image(slot)).unwrap_err().kind, BackendErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_running_machine_gets_another_disc_or_a_drive() {
        let bare = domain(&format!("{USB}{OWN}"));
        let cd = image(MediaSlot::Cd);
        let Live::Attach { first_detach: None, device } = insert_live(&bare, &cd).unwrap() else {
            panic!("no drive")
        };
        assert!(device.contains("bus='usb'"));
        let with = with_medium(&domain(&format!("{SATA}{USB}{OWN}")), &cd).unwrap();
        assert_eq!(insert_live(&with, &cd).unwrap(), Live::Nothing);
        let other = MediaImage { file: "/spool/other".into(), ..cd.clone() };
        let Live::Update(device) = insert_live(&with, &other).unwrap() else { panic!("a drive") };
        assert!(device.contains("/spool/other") && device.contains("dev='sdz' bus='sata'"));
        let Live::Update(device) = eject_live(&with, MediaSlot::Cd).unwrap() else { panic!("a drive") };
        assert!(!device.contains("<source"));
        assert_eq!(eject_live(&bare, MediaSlot::Cd).unwrap(), Live::Nothing);

        let stick = image(MediaSlot::Usb);
        let with = with_medium(&bare, &stick).unwrap();
        let Live::Detach(device) = eject_live(&with, MediaSlot::Usb).unwrap() else { panic!("a stick") };
        assert!(device.starts_with("<disk") && device.contains("ua-polybmc-usb"));
        let other = MediaImage { file: "/spool/other".into(), ..stick.clone() };
        assert!(matches!(insert_live(&with, &other), Ok(Live::Attach { first_detach: Some(_), .. })));
        let no_usb = domain(OWN);
        assert_eq!(insert_live(&no_usb, &stick).unwrap_err().kind, BackendErrorKind::Unsupported);
    }

    #[test]
    fn a_cd_drive_on_usb_is_changed_and_emptied_as_a_whole() {
        let disc = image(MediaSlot::Cd);
        let live = with_medium(&domain(&format!("{USB}{OWN}")), &disc).unwrap();
        let other = MediaImage { file: "/spool/other".into(), ..disc.clone() };
        match insert_live(&live, &other).unwrap() {
            Live::Attach { first_detach: Some(there), device } => {
                assert!(
                    there.contains("/spool/it")
                        && device.contains("/spool/other")
                        && device.contains("bus='usb'")
                );
            }
            step => panic!("{step:?}"),
        }
        assert!(matches!(eject_live(&live, MediaSlot::Cd), Ok(Live::Detach(_))));
        assert_eq!(insert_live(&live, &disc).unwrap(), Live::Nothing);
    }

    #[test]
    fn a_tray_is_put_where_the_disc_would_be() {
        let bare = domain(&format!("{SATA}{USB}{OWN}"));
        let with = with_tray(&bare).unwrap();
        assert_eq!(with_tray(&with).unwrap(), with, "there is one");
        assert_eq!(without_medium(&with, MediaSlot::Cd).unwrap(), bare);
        assert_eq!(media(&with).unwrap(), []);
        let disc = image(MediaSlot::Cd);
        let of = |xml: &str| {
            let document = parse(xml).unwrap();
            let drive = drive(document.root_element(), MediaSlot::Cd).unwrap();
            let [bus, target] = ["bus", "dev"]
                .map(|name| child(drive, "target").unwrap().attribute(name).unwrap().to_owned());
            (bus, target, child(drive, "address").unwrap().attribute("unit").unwrap().to_owned())
        };
        assert_eq!(of(&with), of(&with_medium(&bare, &disc).unwrap()));
        // A disc goes into it, and out of it.
        let Ok(Live::Update(update)) = insert_live(&with, &disc) else { panic!("it is there") };
        assert!(update.contains("/spool/it"));
        let filled = with_medium(&bare, &disc).unwrap();
        assert_eq!(with_tray(&filled).unwrap(), filled);
        // Without a place for it there is none.
        let no_place = domain(&format!("{USB}{OWN}"));
        assert_eq!(with_tray(&no_place).unwrap(), no_place);
    }

    #[test]
    fn what_was_there_before_a_failure_comes_back() {
        let cd_drive = domain(&format!("{SATA}{USB}{OWN}"));
        let bare = domain(&format!("{USB}{OWN}"));
        for (without, slot) in [(&cd_drive, MediaSlot::Cd), (&bare, MediaSlot::Usb)] {
            let old = image(slot);
            let new = MediaImage { file: "/spool/other".into(), ..old.clone() };
            let (before, after) = (with_medium(without, &old).unwrap(), with_medium(without, &new).unwrap());
            let old_device = |device: &str| device.starts_with("<disk") && device.contains("/spool/it");
            // Nothing has happened yet.
            assert_eq!(restore_live(&before, &before, slot).unwrap(), Live::Nothing);
            // The new one is in.
            match restore_live(&before, &after, slot).unwrap() {
                Live::Update(device) if slot == MediaSlot::Cd => assert!(old_device(&device)),
                Live::Attach { first_detach: Some(there), device } if slot == MediaSlot::Usb => {
                    assert!(there.contains("/spool/other") && old_device(&device));
                }
                other => panic!("{other:?}"),
            }
            // The old one is out, and the new one did not come.
            let Live::Attach { first_detach: None, device } = restore_live(&before, without, slot).unwrap()
            else {
                panic!("nothing comes back")
            };
            assert!(old_device(&device));
            // There was nothing: it is ejected.
            assert_eq!(restore_live(without, &after, slot).unwrap(), eject_live(&after, slot).unwrap());
        }
    }
}
