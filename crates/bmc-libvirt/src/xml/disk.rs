//! Disks in domain XML: what they are, and changed copies with one more or one less.

use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::storage::{Backing, Disk, DiskBus};
use roxmltree::Node;

use super::media;
use super::read::{is_container, parse};
use super::splice::Splices;
use super::{child, child_text, children};

/// Disks of one bus that are tried for a free name.
const NAMES_MAX: usize = 26 * 27;

/// A disk to add to a domain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewDisk<'a> {
    /// Its name in the domain, from [`free_name`].
    pub(crate) name: &'a str,
    pub(crate) bus: DiskBus,
    pub(crate) serial: &'a str,
    /// Where its raw data lie on the host.
    pub(crate) path: &'a str,
    /// The path is a block device and not a file.
    pub(crate) block: bool,
}

/// The disks of a domain, in order, without removable drives.
pub(super) fn disks(domain: Node<'_, '_>) -> Vec<Disk> {
    elements(domain).filter_map(disk).collect()
}

fn elements<'a, 'i>(domain: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    let disks = child(domain, "devices").into_iter().flat_map(|devices| children(devices, "disk"));
    disks
        .filter(|disk| matches!(disk.attribute("device").unwrap_or("disk"), "disk" | "lun"))
        .filter(|disk| media::slot_of(*disk).is_none())
}

fn disk(element: Node<'_, '_>) -> Option<Disk> {
    let target = child(element, "target")?;
    let name = target.attribute("dev")?.to_owned();
    let bus = match target.attribute("bus") {
        Some(bus) => DiskBus::of(bus),
        // As libvirt takes it where nothing is said.
        None if name.starts_with("hd") => DiskBus::Ide,
        None if name.starts_with("sd") => DiskBus::Scsi,
        None => DiskBus::Virtio,
    };
    let words = [child_text(element, "vendor"), child_text(element, "product")];
    let model = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let block = child(element, "blockio").and_then(|block| block.attribute("logical_block_size"));
    // 1 is what says that nothing turns (SCSI Block Commands 3).
    let turns = target.attribute("rotation_rate").and_then(|rate| rate.parse::<u32>().ok());
    Some(Disk {
        name,
        bus,
        controller: child(element, "address")
            .and_then(|address| address.attribute("controller"))
            .and_then(|number| number.parse().ok()),
        capacity_bytes: None,
        block_bytes: block.and_then(|bytes| bytes.parse().ok()),
        model: Some(model).filter(|model| !model.is_empty()),
        serial: child_text(element, "serial").map(str::to_owned),
        read_only: child(element, "readonly").is_some(),
        rotational: turns.map(|rate| rate > 1),
        backing: child(element, "source").and_then(backing),
    })
}

fn backing(source: Node<'_, '_>) -> Option<Backing> {
    if let (Some(pool), Some(volume)) = (source.attribute("pool"), source.attribute("volume")) {
        return Some(Backing::Pool { pool: pool.to_owned(), volume: volume.to_owned() });
    }
    let path = source.attribute("file").or_else(|| source.attribute("dev"));
    path.map(|path| Backing::Path(path.to_owned()))
}

/// Whether a domain has a disk with this serial number.
///
/// # Errors
/// `Internal`: it is no XML.
pub(crate) fn has(xml: &str, serial: &str) -> Result<bool, BackendError> {
    Ok(element_of(xml, serial)?.is_some())
}

/// The element of the disk with this serial number, as it is written.
///
/// # Errors
/// `Internal`: it is no XML.
pub(crate) fn element_of(xml: &str, serial: &str) -> Result<Option<String>, BackendError> {
    let document = parse(xml)?;
    let found = elements(document.root_element()).find(|disk| child_text(*disk, "serial") == Some(serial));
    Ok(found.map(|disk| xml.get(disk.range()).unwrap_or_default().to_owned()))
}

/// A copy of a domain's XML without the disk of this serial number; `None` where there is none.
///
/// # Errors
/// `Internal`: it is no XML.
pub(crate) fn without(xml: &str, serial: &str) -> Result<Option<String>, BackendError> {
    let document = parse(xml)?;
    let found = elements(document.root_element()).find(|disk| child_text(*disk, "serial") == Some(serial));
    Ok(found.map(|disk| {
        let mut splices = Splices::new(xml);
        splices.remove(disk);
        splices.apply()
    }))
}

/// A copy of a domain's XML with a device more.
///
/// # Errors
/// `Internal`: it is no XML. `Unsupported`: it is a container's.
pub(crate) fn with_device(xml: &str, device: &str) -> Result<String, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    if is_container(domain) {
        return Err(BackendError::unsupported("a container has no disks"));
    }
    let mut splices = Splices::new(xml);
    match child(domain, "devices") {
        Some(devices) => splices.append_child(devices, device),
        None => splices.append_child(domain, &format!("<devices>{device}</devices>")),
    }
    Ok(splices.apply())
}

/// What a new disk is best attached by: as the machine's first one, as far as there can be many of that.
///
/// # Errors
/// `Internal`: it is no XML.
pub(crate) fn best_bus(xml: &str) -> Result<DiskBus, BackendError> {
    let document = parse(xml)?;
    let first = elements(document.root_element()).find_map(disk).map(|disk| disk.bus);
    Ok(match first {
        Some(bus @ (DiskBus::Scsi | DiskBus::Sata | DiskBus::Usb)) => bus,
        _ => DiskBus::Virtio,
    })
}

/// A name for a new disk that none of these domains' drives has, removable ones included.
///
/// # Errors
/// `Internal` where one is no XML, or no name is free.
pub(crate) fn free_name(xmls: &[&str], bus: DiskBus) -> Result<String, BackendError> {
    let mut taken = Vec::new();
    for xml in xmls {
        let document = parse(xml)?;
        let disks = child(document.root_element(), "devices")
            .into_iter()
            .flat_map(|devices| children(devices, "disk"))
            .filter_map(|disk| child(disk, "target")?.attribute("dev"));
        taken.extend(disks.map(str::to_owned));
    }
    let prefix = if bus == DiskBus::Virtio { "vd" } else { "sd" };
    let mut names = (0..NAMES_MAX).map(|number| format!("{prefix}{}", letters(number)));
    names.find(|name| !taken.contains(name)).ok_or_else(|| {
        BackendError::new(BackendErrorKind::Internal, "no name is left for another disk".to_owned())
    })
}

/// `a` to `z`, `aa`, `ab`, ...
fn letters(number: usize) -> String {
    let letter = |at: usize| ('a'..='z').nth(at % 26).unwrap_or('a');
    match number.checked_sub(26) {
        None => letter(number).to_string(),
        Some(rest) => [letter(rest / 26), letter(rest)].iter().collect(),
    }
}

impl NewDisk<'_> {
    /// Its element.
    pub(crate) fn to_xml(self) -> String {
        let (kind, attribute) = if self.block { ("block", "dev") } else { ("file", "file") };
        format!(
            "<disk type='{kind}' device='disk'><driver name='qemu' type='raw'/><source {attribute}='{}'/>\
             <target dev='{}' bus='{}'/><serial>{}</serial></disk>",
            escape(self.path),
            escape(self.name),
            self.bus.as_str(),
            escape(self.serial),
        )
    }
}

/// A text as it stands in an attribute or an element.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain type='kvm'><name>n</name><devices>\
        <disk type='file' device='disk'><source file='/a'/><target dev='sda' bus='scsi' rotation_rate='7200'/>\
        <vendor>ACME</vendor><product>Disk 5</product><serial>S1</serial><address type='drive' controller='2'/></disk>\
        <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vda' bus='virtio'/><readonly/>\
        <blockio logical_block_size='4096'/></disk>\
        <disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='sdb' bus='sata' rotation_rate='1'/></disk>\
        <disk type='file' device='cdrom'><target dev='sdc' bus='sata'/></disk></devices></domain>";

    #[test]
    fn disks_say_what_they_are() {
        let document = parse(XML).unwrap();
        let [one, two, three] = disks(document.root_element()).try_into().unwrap();
        let expected = Disk {
            name: "sda".to_owned(),
            bus: DiskBus::Scsi,
            controller: Some(2),
            model: Some("ACME Disk 5".to_owned()),
            serial: Some("S1".to_owned()),
            rotational: Some(true),
            backing: Some(Backing::Path("/a".to_owned())),
            ..Disk::default()
        };
        assert_eq!(one, expected);
        let pool = Backing::Pool { pool: "p".to_owned(), volume: "v".to_owned() };
        assert_eq!((two.backing, two.read_only, two.block_bytes), (Some(pool), true, Some(4096)));
        assert_eq!((three.backing, three.rotational, three.bus), (None, Some(false), DiskBus::Sata));
    }

    #[test]
    fn a_disk_is_added_and_taken_away_and_nothing_else_changes() {
        let name = free_name(&[XML], best_bus(XML).unwrap()).unwrap();
        assert_eq!(name, "sdd", "the CD drive has a name, too");
        let disk = NewDisk { name: &name, bus: DiskBus::Scsi, serial: "S2", path: "/it's/<a>", block: false };
        let more = with_device(XML, &disk.to_xml()).unwrap();
        assert!(has(&more, "S2").unwrap() && !has(XML, "S2").unwrap());
        assert_eq!(element_of(&more, "S2").unwrap(), Some(disk.to_xml()));
        let document = parse(&more).unwrap();
        let added = disks(document.root_element()).pop().unwrap();
        assert_eq!(added.backing, Some(Backing::Path("/it's/<a>".to_owned())));
        assert_eq!(without(&more, "S2").unwrap().as_deref(), Some(XML));
        assert_eq!(without(XML, "S2").unwrap(), None);
    }

    #[test]
    fn names_go_on_after_the_last_letter() {
        assert_eq!([0, 25, 26, 52, 701].map(letters), ["a", "z", "aa", "ba", "zz"]);
        assert_eq!(free_name(&["<domain/>"], DiskBus::Virtio).unwrap(), "vda");
    }
}
