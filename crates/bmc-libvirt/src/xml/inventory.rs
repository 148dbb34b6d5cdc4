//! The parts of a domain, out of its XML: processors, memory modules, network interfaces, the PCI bus, consoles.
//!
//! Numbers of PCI devices are those that QEMU gives its models; of a device whose numbers the XML does not settle, such as one of the host, nothing
//! is told.

use bmc_core::inventory::{
    Attachment, Cpu, Graphics, LinkId, Listening, MemoryModule, Neighbor, Nic, PciAddress, PciDevice,
    Topology, memory_modules,
};
use roxmltree::{Document, Node};

use super::{child, child_text, children};

/// Maker of virtio devices.
const REDHAT_QUMRANET: u16 = 0x1af4;
/// Maker of QEMU's own devices.
const REDHAT: u16 = 0x1b36;
const INTEL: u16 = 0x8086;

/// The processors.
pub(super) fn cpu(domain: Node<'_, '_>) -> Cpu {
    let Some(cpu) = child(domain, "cpu") else { return Cpu::default() };
    let text = |name| child_text(cpu, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let topology = child(cpu, "topology").and_then(|topology| {
        let number = |name| topology.attribute(name).map_or(Some(1), |text| text.parse::<u32>().ok());
        let (dies, clusters) = (number("dies")?, number("clusters")?);
        let cores = number("cores")?.checked_mul(dies)?.checked_mul(clusters)?;
        let topology = Topology { sockets: number("sockets")?, cores, threads: number("threads")? };
        (topology.processors() > 0).then_some(topology)
    });
    Cpu { model: text("model"), vendor: text("vendor"), topology }
}

/// The modules that are plugged in, and before them the rest of the memory, split as firmware tables would.
pub(super) fn memory(domain: Node<'_, '_>, total: u64) -> Vec<MemoryModule> {
    let devices = child(domain, "devices").into_iter().flat_map(|devices| children(devices, "memory"));
    let plugged: Vec<u64> = devices
        .filter(|device| matches!(device.attribute("model"), Some("dimm" | "nvdimm")))
        .filter_map(|device| child(child(device, "target")?, "size"))
        .map(super::read::bytes)
        .collect();
    let base = plugged.iter().fold(total, |rest, bytes| rest.saturating_sub(*bytes));
    let mut modules = memory_modules(base);
    for bytes in plugged {
        modules.push(MemoryModule { locator: format!("DIMM {}", modules.len()), bytes });
    }
    modules
}

/// The network interfaces; one without a MAC address is none yet.
pub(super) fn nics(domain: Node<'_, '_>) -> Vec<Nic> {
    let interfaces = child(domain, "devices").into_iter().flat_map(|devices| children(devices, "interface"));
    interfaces.filter_map(nic).collect()
}

fn nic(interface: Node<'_, '_>) -> Option<Nic> {
    let of = |name: &str, attribute: &str| child(interface, name).and_then(|node| node.attribute(attribute));
    let mac = of("mac", "address")?.to_ascii_lowercase();
    let source = |attribute| of("source", attribute).map(str::to_owned);
    let kind = interface.attribute("type").unwrap_or_default();
    let network = match kind {
        "network" => source("network").map(Attachment::Network),
        "bridge" => source("bridge").map(Attachment::Bridge),
        "direct" => source("dev").map(Attachment::HostDevice),
        "user" => Some(Attachment::User),
        "" => None,
        other => Some(Attachment::Other(other.to_owned())),
    };
    Some(Nic {
        mac,
        model: of("model", "type").map(str::to_owned),
        link_down: of("link", "state") == Some("down"),
        network,
        host_device: None,
        mtu: of("mtu", "size").and_then(|size| size.parse().ok()),
        speed_mbps: None,
        pci: pci_address(interface),
        neighbor: None,
    })
}

/// Adds to the network interfaces what only the running instance tells: its ends on the host. The switch is the host's bridge, and its port
/// the interface there; both have the names that LLDP would tell if bridges spoke it.
pub(crate) fn add_live(nics: &mut [Nic], live_xml: &str) {
    let Ok(document) = Document::parse(live_xml) else { return };
    let devices = child(document.root_element(), "devices");
    for interface in devices.into_iter().flat_map(|devices| children(devices, "interface")) {
        let of =
            |name: &str, attribute: &str| child(interface, name).and_then(|node| node.attribute(attribute));
        let mac = of("mac", "address").map(str::to_ascii_lowercase);
        let Some(nic) = nics.iter_mut().find(|nic| Some(&nic.mac) == mac.as_ref()) else { continue };
        nic.link_down = of("link", "state") == Some("down");
        nic.host_device = of("target", "dev").map(str::to_owned);
        let switch = of("source", "bridge").map(str::to_owned);
        nic.neighbor = nic.host_device.clone().zip(switch).map(|(port_id, chassis_id)| Neighbor {
            chassis_id: LinkId::Interface(chassis_id),
            port_id: LinkId::Interface(port_id),
            system_name: None,
            system_description: None,
            management_address: None,
            management_vlan: None,
        });
    }
}

/// How the screen can be reached.
pub(super) fn graphics(domain: Node<'_, '_>) -> Vec<Graphics> {
    let graphics = child(domain, "devices").into_iter().flat_map(|devices| children(devices, "graphics"));
    let known = graphics.filter_map(|graphics| match graphics.attribute("type") {
        Some("vnc") => Some(Graphics::Vnc),
        Some("spice") => Some(Graphics::Spice),
        _ => None,
    });
    known.collect()
}

/// Where the screen of a running instance answers by VNC. Its password is nobody's business here.
pub(crate) fn vnc(live_xml: &str) -> Option<Listening> {
    let document = Document::parse(live_xml).ok()?;
    let graphics = children(child(document.root_element(), "devices")?, "graphics");
    graphics.filter(|graphics| graphics.attribute("type") == Some("vnc")).find_map(|graphics| {
        let port = graphics.attribute("port")?.parse().ok().filter(|port| *port > 0)?;
        let listen = children(graphics, "listen")
            .find_map(|listen| listen.attribute("address"))
            .or_else(|| graphics.attribute("listen"));
        // What QEMU does when it is not told.
        Some(Listening { address: listen.unwrap_or("127.0.0.1").to_owned(), port })
    })
}

/// How many serial ports there are.
pub(super) fn serial_ports(domain: Node<'_, '_>) -> u32 {
    let ports = child(domain, "devices").map_or(0, |devices| children(devices, "serial").count());
    u32::try_from(ports).unwrap_or(u32::MAX)
}

/// `<address type='pci' .../>` of a device.
pub(super) fn pci_address(device: Node<'_, '_>) -> Option<PciAddress> {
    let address = children(device, "address").find(|address| address.attribute("type") == Some("pci"))?;
    let number = |name| {
        let text = address.attribute(name)?;
        match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let byte = |name| u8::try_from(number(name)?).ok();
    Some(PciAddress {
        domain: number("domain").unwrap_or(0),
        bus: byte("bus")?,
        slot: byte("slot")?,
        function: byte("function").unwrap_or(0),
    })
}

/// What sits on the PCI bus of a machine of QEMU's, in order of address; bridges and ports lead to others and are none themselves.
pub(super) fn pci_devices(domain: Node<'_, '_>) -> Vec<PciDevice> {
    let Some(devices) = child(domain, "devices") else { return Vec::new() };
    let mut found: Vec<PciDevice> = devices
        .children()
        .filter(Node::is_element)
        .filter_map(|device| {
            let address = pci_address(device)?;
            let identity = identity(device, is_express_port(devices, address.bus))?;
            let Identity { vendor, device, class, name } = identity;
            Some(PciDevice { address, vendor, device, class, name: name.to_owned() })
        })
        .collect();
    found.sort_by_key(|device| device.address);
    found.dedup_by_key(|device| device.address);
    found
}

/// Whether a bus is behind a port of PCI Express: virtio devices there are modern ones.
fn is_express_port(devices: Node<'_, '_>, bus: u8) -> bool {
    let index = bus.to_string();
    let is_bus = |controller: &Node<'_, '_>| {
        controller.attribute("type") == Some("pci") && controller.attribute("index") == Some(index.as_str())
    };
    let model = children(devices, "controller").find(is_bus).and_then(|bus| bus.attribute("model"));
    matches!(model, Some("pcie-root-port" | "pcie-switch-downstream-port" | "pcie-expander-bus"))
}

struct Identity {
    vendor: u16,
    device: u16,
    class: u32,
    name: &'static str,
}

/// Which device QEMU makes of an element.
fn identity(element: Node<'_, '_>, express: bool) -> Option<Identity> {
    let model = |name: &str| child(element, name).and_then(|model| model.attribute("type"));
    let own = || element.attribute("model").unwrap_or_default();
    // Older and newer number of a virtio device.
    let virtio = |model: &str, old: u16, new: u16, class, name| {
        let modern = match model {
            "virtio-transitional" => false,
            "virtio-non-transitional" => true,
            _ => express,
        };
        Some(Identity { vendor: REDHAT_QUMRANET, device: if modern { new } else { old }, class, name })
    };
    let plain = |vendor, device, class, name| Some(Identity { vendor, device, class, name });
    match element.tag_name().name() {
        "interface" => match model("model")? {
            virtio_net if virtio_net.starts_with("virtio") => {
                virtio(virtio_net, 0x1000, 0x1041, 0x02_00_00, "Virtio network device")
            }
            "e1000" => plain(INTEL, 0x100e, 0x02_00_00, "Intel 82540EM Gigabit Ethernet Controller"),
            "e1000e" => plain(INTEL, 0x10d3, 0x02_00_00, "Intel 82574L Gigabit Network Connection"),
            "igb" => plain(INTEL, 0x10c9, 0x02_00_00, "Intel 82576 Gigabit Network Connection"),
            "rtl8139" => plain(0x10ec, 0x8139, 0x02_00_00, "Realtek RTL8139 Fast Ethernet"),
            "vmxnet3" => plain(0x15ad, 0x07b0, 0x02_00_00, "VMware VMXNET3 Ethernet Controller"),
            _ => None,
        },
        "disk" => match child(element, "target")?.attribute("bus")? {
            "virtio" => virtio(
                child(element, "driver").and_then(|_| element.attribute("model")).unwrap_or("virtio"),
                0x1001,
                0x1042,
                0x01_00_00,
                "Virtio block device",
            ),
            _ => None,
        },
        "controller" => match (element.attribute("type")?, own()) {
            ("scsi", kind) if kind.starts_with("virtio") => {
                virtio(kind, 0x1004, 0x1048, 0x01_00_00, "Virtio SCSI controller")
            }
            ("scsi", "lsilogic") => plain(0x1000, 0x0012, 0x01_00_00, "LSI 53C895A SCSI controller"),
            ("virtio-serial", kind) => virtio(kind, 0x1003, 0x1043, 0x07_80_00, "Virtio console"),
            ("sata", _) => plain(INTEL, 0x2922, 0x01_06_01, "Intel ICH9 SATA AHCI controller"),
            ("ide", _) => plain(INTEL, 0x7010, 0x01_01_80, "Intel PIIX3 IDE controller"),
            ("nvme", _) => plain(REDHAT, 0x0010, 0x01_08_02, "QEMU NVM Express controller"),
            ("usb", "qemu-xhci") => plain(REDHAT, 0x000d, 0x0c_03_30, "QEMU XHCI Host Controller"),
            ("usb", "nec-xhci") => plain(0x1033, 0x0194, 0x0c_03_30, "NEC uPD720200 XHCI Host Controller"),
            ("usb", "piix3-uhci") => plain(INTEL, 0x7020, 0x0c_03_00, "Intel PIIX3 USB UHCI controller"),
            ("usb", "ich9-ehci1") => plain(INTEL, 0x293a, 0x0c_03_20, "Intel ICH9 USB2 EHCI controller"),
            ("usb", "ich9-uhci1") => plain(INTEL, 0x2934, 0x0c_03_00, "Intel ICH9 USB UHCI controller 1"),
            ("usb", "ich9-uhci2") => plain(INTEL, 0x2935, 0x0c_03_00, "Intel ICH9 USB UHCI controller 2"),
            ("usb", "ich9-uhci3") => plain(INTEL, 0x2936, 0x0c_03_00, "Intel ICH9 USB UHCI controller 3"),
            _ => None,
        },
        "video" => match model("model")? {
            "vga" => plain(0x1234, 0x1111, 0x03_00_00, "QEMU standard VGA"),
            "bochs" => plain(0x1234, 0x1111, 0x03_80_00, "QEMU Bochs display"),
            "cirrus" => plain(0x1013, 0x00b8, 0x03_00_00, "Cirrus Logic GD 5446"),
            "qxl" => plain(REDHAT, 0x0100, 0x03_00_00, "Red Hat QXL"),
            "virtio" => plain(REDHAT_QUMRANET, 0x1050, 0x03_00_00, "Virtio GPU"),
            _ => None,
        },
        "memballoon" if own().starts_with("virtio") => {
            virtio(own(), 0x1002, 0x1045, 0x00_ff_00, "Virtio memory balloon")
        }
        "rng" if own().starts_with("virtio") => virtio(own(), 0x1005, 0x1044, 0x00_ff_00, "Virtio RNG"),
        "sound" => match own() {
            "ich6" => plain(INTEL, 0x2668, 0x04_03_00, "Intel ICH6 High Definition Audio"),
            "ich9" => plain(INTEL, 0x293e, 0x04_03_00, "Intel ICH9 High Definition Audio"),
            "ac97" => plain(INTEL, 0x2415, 0x04_01_00, "Intel AC'97 Audio"),
            _ => None,
        },
        "watchdog" if own() == "i6300esb" => plain(INTEL, 0x25ab, 0x08_80_00, "Intel 6300ESB watchdog timer"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::read::machine_info;

    const PARTS: &str = "<domain type='kvm'><name>a</name><uuid>11111111-2222-3333-4444-555555555555</uuid>\
        <memory unit='GiB'>40</memory><vcpu current='6'>16</vcpu><os><type arch='x86_64'>hvm</type></os>\
        <cpu mode='custom'><model fallback='allow'>Skylake-Server</model><vendor>Intel</vendor>\
        <topology sockets='2' dies='1' cores='4' threads='2'/></cpu><devices>\
        <memory model='dimm'><target><size unit='GiB'>4</size></target></memory>\
        <controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='1' model='pcie-root-port'>\
        <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/></controller>\
        <controller type='sata' index='0'><address type='pci' domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/></controller>\
        <interface type='network'><mac address='52:54:00:AA:00:01'/><source network='default'/><model type='virtio'/>\
        <mtu size='9000'/><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></interface>\
        <interface type='bridge'><mac address='52:54:00:aa:00:02'/><source bridge='br0'/><model type='virtio'/><link state='down'/>\
        <address type='pci' bus='0' slot='3' function='0'/></interface>\
        <interface type='user'><mac address='52:54:00:aa:00:03'/></interface>\
        <hostdev mode='subsystem' type='pci'><address type='pci' bus='0x05' slot='0x00' function='0x0'/></hostdev>\
        <serial type='pty'/><graphics type='vnc'/><graphics type='egl-headless'/>\
        <video><model type='virtio'/><address type='pci' bus='0x00' slot='0x01' function='0x0'/></video></devices></domain>";

    #[test]
    fn parts_are_read_as_they_are() {
        let info = machine_info(PARTS).unwrap();
        assert_eq!(
            (info.cpu.model.as_deref(), info.cpu.vendor.as_deref()),
            (Some("Skylake-Server"), Some("Intel"))
        );
        assert_eq!(info.cpu.topology, Some(Topology { sockets: 2, cores: 4, threads: 2 }));
        assert_eq!(info.cpu.sockets(info.processors).len(), 1, "6 of 16 are plugged in");
        let modules: Vec<_> = info.memory_modules.iter().map(|module| module.bytes >> 30).collect();
        assert_eq!(modules, [16, 16, 4, 4]);
        assert_eq!(info.memory_modules[3].locator, "DIMM 3");
        let [virtio, down, user] = info.nics.as_slice() else { panic!("{:?}", info.nics) };
        assert_eq!((virtio.mac.as_str(), virtio.mtu), ("52:54:00:aa:00:01", Some(9000)));
        assert_eq!(virtio.network, Some(Attachment::Network("default".to_owned())));
        assert!(down.link_down && !virtio.link_down);
        assert_eq!((&user.network, &user.model, user.pci), (&Some(Attachment::User), &None, None));
        assert_eq!((info.graphics.as_slice(), info.serial_ports), (&[Graphics::Vnc][..], 1));
    }

    #[test]
    fn devices_have_the_numbers_that_the_guest_sees() {
        let info = machine_info(PARTS).unwrap();
        let seen: Vec<_> = info
            .pci_devices
            .iter()
            .map(|device| (device.address.to_string(), device.vendor, device.device, device.class))
            .collect();
        assert_eq!(
            seen,
            [
                ("0000:00:01.0".to_owned(), 0x1af4, 0x1050, 0x03_0000),
                ("0000:00:03.0".to_owned(), 0x1af4, 0x1000, 0x02_0000),
                ("0000:00:1f.2".to_owned(), 0x8086, 0x2922, 0x01_0601),
                // Behind a port: a modern one.
                ("0000:01:00.0".to_owned(), 0x1af4, 0x1041, 0x02_0000),
            ]
        );
        let test = PARTS.replace("type='kvm'", "type='test'");
        assert!(machine_info(&test).unwrap().pci_devices.is_empty(), "QEMU's numbers are QEMU's");
    }

    #[test]
    fn a_running_instance_tells_where_its_screen_answers() {
        let of = |graphics: &str| vnc(&format!("<domain><devices>{graphics}</devices></domain>"));
        let here = |address: &str, port| Some(Listening { address: address.to_owned(), port });
        let known = "<graphics type='spice' port='5901'/>\
            <graphics type='vnc' port='5900' autoport='yes' listen='10.0.0.1' passwd='hush'><listen type='address' address='10.0.0.1'/></graphics>";
        assert_eq!(of(known), here("10.0.0.1", 5900));
        assert_eq!(
            of(
                "<graphics type='vnc' port='5902'><listen type='network' network='n' address='10.0.0.2'/></graphics>"
            ),
            here("10.0.0.2", 5902)
        );
        assert_eq!(of("<graphics type='vnc' port='5903'/>"), here("127.0.0.1", 5903));
        for unknown in [
            "",
            "<graphics type='vnc' port='-1' autoport='yes'/>",
            "<graphics type='vnc' socket='/run/x'><listen type='socket' socket='/run/x'/></graphics>",
            "<graphics type='spice' port='5900'/>",
            "<graphics type='vnc' port='70000'/>",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
        assert_eq!(vnc("no XML"), None);
    }

    #[test]
    fn a_running_instance_tells_its_ends_on_the_host() {
        let mut info = machine_info(PARTS).unwrap();
        let live = "<domain><devices><interface type='network'><mac address='52:54:00:aa:00:01'/>\
            <source network='default' bridge='virbr0'/><target dev='vnet7'/></interface></devices></domain>";
        add_live(&mut info.nics, live);
        let [first, second, ..] = info.nics.as_slice() else { panic!() };
        assert_eq!(first.host_device.as_deref(), Some("vnet7"));
        let neighbor = first.neighbor.as_ref().unwrap();
        let [switch, port] = ["virbr0", "vnet7"].map(|name| LinkId::Interface(name.to_owned()));
        assert_eq!((&neighbor.chassis_id, &neighbor.port_id), (&switch, &port));
        assert_eq!((&second.host_device, &second.neighbor), (&None, &None));
        add_live(&mut info.nics, "no XML");
    }
}
