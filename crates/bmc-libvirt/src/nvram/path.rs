//! UEFI device paths: nodes out of bytes, the text that firmware and `efibootmgr` show, and the few nodes that we write.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

/// Most nodes read of one path.
const NODES_MAX: usize = 64;
/// Most bytes of a node of an unknown kind that its text shows.
const UNKNOWN_BYTES_MAX: usize = 64;
/// Type and subtype of the nodes that are looked into elsewhere.
const PCI: (u8, u8) = (1, 1);
const ACPI: (u8, u8) = (2, 1);
const USB: (u8, u8) = (3, 5);
const MAC: (u8, u8) = (3, 11);
const IPV4: (u8, u8) = (3, 12);
const IPV6: (u8, u8) = (3, 13);
const SATA: (u8, u8) = (3, 18);
const SCSI: (u8, u8) = (3, 2);
const ATA: (u8, u8) = (3, 1);
const URI: (u8, u8) = (3, 24);
const HARD_DRIVE: (u8, u8) = (4, 1);
const FILE: (u8, u8) = (4, 4);
/// The `_HID` of a PCI host bridge, `PNP0A03`, and of a PCI Express one.
const HOST_BRIDGES: [u32; 2] = [0x0a03_41d0, 0x0a08_41d0];
/// The type of nodes that end something; the second value is the subtype that ends a whole path.
const END: (u8, u8) = (0x7f, 0xff);

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    kind: (u8, u8),
    data: Vec<u8>,
}

/// A device path. What is behind an end of an instance belongs to the path, as a node of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DevicePath(Vec<Node>);

impl Node {
    fn new(kind: (u8, u8), data: impl Into<Vec<u8>>) -> Self {
        Self { kind, data: data.into() }
    }

    /// A PCI host bridge, by its number.
    pub(crate) fn pci_root(number: u32) -> Self {
        let [bridge, _] = HOST_BRIDGES;
        Self::new(ACPI, [bridge.to_le_bytes(), number.to_le_bytes()].concat())
    }

    /// A function on the PCI bus that the nodes before it lead to.
    pub(crate) fn pci(device: u8, function: u8) -> Self {
        Self::new(PCI, [function, device])
    }

    /// A port of a SATA controller.
    pub(crate) fn sata(port: u16) -> Self {
        Self::new(SATA, [port.to_le_bytes(), [0xff, 0xff], [0, 0]].concat())
    }

    /// A port of a USB controller, from 0.
    pub(crate) fn usb(port: u8) -> Self {
        Self::new(USB, [port, 0])
    }

    /// A unit on a SCSI bus.
    pub(crate) fn scsi(target: u16, unit: u16) -> Self {
        Self::new(SCSI, [target.to_le_bytes(), unit.to_le_bytes()].concat())
    }

    /// A drive of an IDE controller.
    pub(crate) fn ata(channel: u8, drive: u8) -> Self {
        Self::new(ATA, [channel, drive, 0, 0])
    }

    /// An Ethernet address.
    pub(crate) fn mac(address: [u8; 6]) -> Self {
        let mut data = vec![0; 33];
        data[..6].copy_from_slice(&address);
        // Ethernet, in IANA's numbers of interface types.
        data[32] = 1;
        Self::new(MAC, data)
    }

    /// IPv4, or IPv6, configured by the firmware itself.
    pub(crate) fn ip(version_6: bool) -> Self {
        if version_6 { Self::new(IPV6, vec![0; 56]) } else { Self::new(IPV4, vec![0; 23]) }
    }

    /// Where to load from.
    pub(crate) fn uri(uri: &str) -> Self {
        Self::new(URI, uri)
    }

    fn u16(&self, at: usize) -> u16 {
        let byte = |at: usize| self.data.get(at).copied().unwrap_or(0);
        u16::from_le_bytes([byte(at), byte(at + 1)])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    fn guid(&self, at: usize) -> String {
        let bytes = self.data.get(at..at + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        Uuid::from_bytes_le(bytes.unwrap_or_default()).hyphenated().to_string().to_uppercase()
    }

    /// As EDK2 writes it; what we do not know, as the specification's generic form.
    fn text(&self) -> String {
        let data = &self.data;
        let byte = |at: usize| data.get(at).copied().unwrap_or(0);
        match (self.kind, data.len()) {
            (PCI, 2) => format!("Pci({:#x},{:#x})", byte(1), byte(0)),
            ((1, 4), 16..) => format!("VenHw({})", self.guid(0)),
            (ACPI, 8) if HOST_BRIDGES.contains(&self.u32(0)) => format!("PciRoot({:#x})", self.u32(4)),
            (ACPI, 8) => format!("Acpi({:#010x},{:#x})", self.u32(0), self.u32(4)),
            (ATA, 4) => {
                let channel = if byte(0) == 0 { "Primary" } else { "Secondary" };
                let drive = if byte(1) == 0 { "Master" } else { "Slave" };
                format!("Ata({channel},{drive},{:#x})", self.u16(2))
            }
            (SCSI, 4) => format!("Scsi({:#x},{:#x})", self.u16(0), self.u16(2)),
            (USB, 2) => format!("USB({:#x},{:#x})", byte(0), byte(1)),
            ((3, 10), 16..) => format!("VenMsg({})", self.guid(0)),
            (MAC, 33) => {
                let length = if byte(32) <= 1 { 6 } else { 32 };
                let address: String = data.iter().take(length).map(|byte| format!("{byte:02X}")).collect();
                format!("MAC({address},{:#x})", byte(32))
            }
            (IPV4, 15 | 23) => {
                let remote = Ipv4Addr::new(byte(4), byte(5), byte(6), byte(7));
                format!("IPv4({remote})")
            }
            (IPV6, 35 | 56) => {
                let remote = data.get(16..32).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                format!("IPv6({})", Ipv6Addr::from(remote.unwrap_or_default()))
            }
            (SATA, 6) => format!("Sata({:#x},{:#x},{:#x})", self.u16(0), self.u16(2), self.u16(4)),
            ((3, 23), 12) => {
                let id: Vec<String> = data.iter().skip(4).rev().map(|byte| format!("{byte:02X}")).collect();
                format!("NVMe({:#x},{})", self.u32(0), id.join("-"))
            }
            (URI, _) => format!("Uri({})", String::from_utf8_lossy(data)),
            (HARD_DRIVE, 38) => {
                let (start, length) = (self.u64(4), self.u64(12));
                let (kind, id) = match byte(37) {
                    2 => ("GPT", self.guid(20)),
                    _ => ("MBR", format!("{:#010x}", self.u32(20))),
                };
                format!("HD({},{kind},{id},{start:#x},{length:#x})", self.u32(0))
            }
            ((4, 2), 20) => format!("CDROM({:#x})", self.u32(0)),
            (FILE, _) => super::store::utf16(data).map(|(name, _)| name).unwrap_or_default(),
            ((4, 6), 16) => format!("FvFile({})", self.guid(0)),
            ((4, 7), 16) => format!("Fv({})", self.guid(0)),
            ((kind, subtype), _) => {
                let bytes: String =
                    data.iter().take(UNKNOWN_BYTES_MAX).map(|byte| format!("{byte:02X}")).collect();
                format!("Path({kind},{subtype},{bytes})")
            }
        }
    }
}

impl DevicePath {
    /// Puts nodes together.
    pub(crate) fn of(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self(nodes.into_iter().collect())
    }

    /// This path and nodes behind it.
    pub(crate) fn followed_by(mut self, nodes: impl IntoIterator<Item = Node>) -> Self {
        self.0.extend(nodes);
        self
    }

    /// Reads a path up to its end; `None` for bytes that are none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut nodes, mut rest) = (Vec::new(), bytes);
        while nodes.len() < NODES_MAX {
            let (header, _) = rest.split_at_checked(4)?;
            let [kind, subtype, low, high] = *header else { return None };
            let length = usize::from(u16::from_le_bytes([low, high]));
            let (node, behind) = rest.split_at_checked(length)?;
            if (kind, subtype) == END {
                return Some(Self(nodes));
            }
            nodes.push(Node::new((kind, subtype), node.get(4..)?));
            rest = behind;
        }
        None
    }

    /// The bytes, with their end.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let end = Node::new(END, []);
        let nodes = self.0.iter().chain([&end]).map(|node| {
            let length = u16::try_from(node.data.len() + 4).unwrap_or(u16::MAX).to_le_bytes();
            [&[node.kind.0, node.kind.1][..], &length, &node.data].concat()
        });
        nodes.collect::<Vec<_>>().concat()
    }

    /// The text, such as `PciRoot(0x0)/Pci(0x1,0x0)/Pci(0x0,0x0)`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.0 {
            if node.kind.0 == END.0 {
                text.push(',');
            } else if text.is_empty() || text.ends_with(',') {
                text.push_str(&node.text());
            } else {
                // Writing to a string does not fail.
                let _ = write!(text, "/{}", node.text());
            }
        }
        text
    }

    /// Whether it leads to the same place or further.
    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        !other.0.is_empty() && self.0.starts_with(&other.0)
    }

    /// The network interface that it goes through, as libvirt writes its address.
    pub(crate) fn mac_text(&self) -> Option<String> {
        let mac = self.0.iter().find(|node| node.kind == MAC)?;
        let octets: Vec<String> = mac.data.get(..6)?.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(octets.join(":"))
    }

    /// Where it loads from, if it says so; empty where the firmware asks for it.
    pub(crate) fn uri_text(&self) -> Option<String> {
        let uri = self.0.iter().find(|node| node.kind == URI)?;
        Some(String::from_utf8_lossy(&uri.data).into_owned())
    }

    /// Whether it starts at a partition, wherever the disk is.
    pub(crate) fn starts_at_partition(&self) -> bool {
        self.0.first().is_some_and(|node| node.kind == HARD_DRIVE)
    }

    /// Whether it starts at a PCI host bridge.
    pub(crate) fn starts_at_pci(&self) -> bool {
        self.0.first().is_some_and(|node| node.kind == ACPI && HOST_BRIDGES.contains(&node.u32(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a guest of Debian's OVMF wrote.
    const DISK: &str = "02010c00d041030a000000000101060002020101060000007fff0400";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_path_of_firmware_is_read_and_written() {
        let path = DevicePath::parse(&bytes(DISK)).unwrap();
        assert_eq!(path.text(), "PciRoot(0x0)/Pci(0x2,0x2)/Pci(0x0,0x0)");
        assert_eq!(path.to_bytes(), bytes(DISK));
        let made = DevicePath::of([Node::pci_root(0), Node::pci(2, 2), Node::pci(0, 0)]);
        assert_eq!(made, path);
        assert!(path.starts_with(&DevicePath::of([Node::pci_root(0), Node::pci(2, 2)])));
        assert!(!path.starts_with(&DevicePath::default()));
    }

    #[test]
    fn every_node_has_a_text() {
        let nodes = [
            Node::pci_root(0),
            Node::mac([0x52, 0x54, 0, 0, 0, 1]),
            Node::ip(false),
            Node::ip(true),
            Node::uri("http://10.0.2.2/x.efi"),
            Node::sata(1),
            Node::usb(2),
            Node::scsi(3, 4),
            Node::ata(1, 0),
            Node::new((4, 7), [0; 16]),
            Node::new(FILE, super::super::store::to_utf16("\\EFI\\debian\\shimx64.efi")),
            Node::new((3, 99), [1, 2]),
        ];
        let path = DevicePath::of(nodes);
        assert_eq!(
            path.text(),
            "PciRoot(0x0)/MAC(525400000001,0x1)/IPv4(0.0.0.0)/IPv6(::)/Uri(http://10.0.2.2/x.efi)\
             /Sata(0x1,0xffff,0x0)/USB(0x2,0x0)/Scsi(0x3,0x4)/Ata(Secondary,Master,0x0)\
             /Fv(00000000-0000-0000-0000-000000000000)/\\EFI\\debian\\shimx64.efi/Path(3,99,0102)"
        );
        assert_eq!(DevicePath::parse(&path.to_bytes()), Some(path.clone()));
        assert_eq!(path.mac_text().as_deref(), Some("52:54:00:00:00:01"));
        assert_eq!(path.uri_text().as_deref(), Some("http://10.0.2.2/x.efi"));
    }

    #[test]
    fn cut_and_twisted_paths_are_no_paths() {
        let whole = bytes(DISK);
        for length in 0..whole.len() {
            assert_eq!(DevicePath::parse(&whole[..length]), None);
        }
        // A node that is shorter than its own header would never end.
        assert_eq!(DevicePath::parse(&[1, 1, 0, 0, 0x7f, 0xff, 4, 0]), None);
        assert_eq!(DevicePath::parse(&[1, 1, 3, 0, 0x7f, 0xff, 4, 0]), None);
    }
}
