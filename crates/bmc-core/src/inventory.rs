//! What a machine is made of, part by part, as its backend tells it: processors, memory modules, network interfaces, devices on the PCI bus, consoles.
//! Nothing here is invented: what a backend does not know is absent.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The largest memory module of a machine whose modules nobody has told, in bytes: 16 GiB, as QEMU's firmware tables split it.
pub const MEMORY_MODULE_BYTES: u64 = 16 << 30;
/// Most memory modules of one machine; where more would be needed, they are larger.
pub const MEMORY_MODULES_MAX: u64 = 64;

/// How virtual processors are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Sockets, at least 1.
    pub sockets: u32,
    /// Cores of each socket, at least 1.
    pub cores: u32,
    /// Threads of each core, at least 1.
    pub threads: u32,
}

impl Topology {
    /// What the whole has.
    pub fn processors(self) -> u32 {
        self.sockets.saturating_mul(self.cores).saturating_mul(self.threads)
    }
}

/// The processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Which model the machine sees, as the backend names it: `Skylake-Server`; `None` where it is not told, such as the host's own.
    pub model: Option<String>,
    /// Its maker.
    pub vendor: Option<String>,
    /// How they are spread; `None`: a socket for each, as QEMU does.
    pub topology: Option<Topology>,
}

/// What sits in one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Cores of it that the machine has.
    pub cores: u32,
    /// Threads of all these cores that the machine has.
    pub threads: u32,
}

impl Cpu {
    /// The sockets in use of a machine with so many virtual processors. Processors that are not plugged in yet are missing from the last ones.
    pub fn sockets(&self, processors: u32) -> Vec<Socket> {
        let one = Topology { sockets: processors, cores: 1, threads: 1 };
        let Topology { cores, threads, .. } = self.topology.unwrap_or(one);
        let per_socket = cores.saturating_mul(threads).max(1);
        let sockets = processors.max(1).div_ceil(per_socket);
        let socket = |number: u32| {
            let threads_here =
                processors.max(1).saturating_sub(number.saturating_mul(per_socket)).min(per_socket);
            Socket { cores: threads_here.div_ceil(threads.max(1)), threads: threads_here }
        };
        (0..sockets).map(socket).collect()
    }
}

/// A memory module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryModule {
    /// The name of its slot: `DIMM 0`.
    pub locator: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Splits memory whose modules nobody has told: full ones, and one with the rest. The same memory is always split in the same way.
pub fn memory_modules(bytes: u64) -> Vec<MemoryModule> {
    let mut size = MEMORY_MODULE_BYTES;
    while bytes.div_ceil(size) > MEMORY_MODULES_MAX {
        size = size.saturating_mul(2);
    }
    let module = |number: u64| MemoryModule {
        locator: format!("DIMM {number}"),
        bytes: (bytes - number * size).min(size),
    };
    (0..bytes.div_ceil(size)).map(module).collect()
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nic {
    /// Its MAC address, lower case with colons.
    pub mac: String,
    /// The model of the card, as the backend names it: `virtio`, `e1000e`.
    pub model: Option<String>,
    /// Its cable is pulled, or its backend said that the link is down.
    pub link_down: bool,
    /// What it is connected to.
    pub network: Option<Attachment>,
    /// Its name on the host while the machine runs: `vnet3`.
    pub host_device: Option<String>,
    /// Largest packet in bytes, where it is configured.
    pub mtu: Option<u32>,
    /// Speed in megabits per second, where one is known.
    pub speed_mbps: Option<u32>,
    /// Where it sits.
    pub pci: Option<PciAddress>,
    /// Who is at the other end of the cable, as LLDP would tell.
    pub neighbor: Option<Neighbor>,
}

/// What a network interface is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Attachment {
    /// A virtual network of the hypervisor.
    Network(String),
    /// A bridge of the host.
    Bridge(String),
    /// An interface of the host.
    HostDevice(String),
    /// The user-mode network of the hypervisor, which has no name.
    User,
    /// Another kind, as the backend names it.
    Other(String),
}

impl Attachment {
    /// The name of what it is connected to, where it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Network(name) | Self::Bridge(name) | Self::HostDevice(name) => Some(name),
            Self::User | Self::Other(_) => None,
        }
    }
}

/// The other end of a cable (IEEE 802.1AB).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbor {
    /// The switch.
    pub chassis_id: LinkId,
    /// The port of the switch.
    pub port_id: LinkId,
    /// The switch's name.
    pub system_name: Option<String>,
    /// What the switch is.
    pub system_description: Option<String>,
    /// Where the switch is managed.
    pub management_address: Option<Ipv4Addr>,
    /// The VLAN of its management.
    pub management_vlan: Option<u16>,
}

/// How LLDP names a switch or a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum LinkId {
    /// By its MAC address, with colons.
    Mac(String),
    /// By the name of its interface.
    Interface(String),
}

/// An address on the PCI bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PciAddress {
    /// Domain, or segment.
    pub domain: u16,
    /// Bus.
    pub bus: u8,
    /// Slot, or device, 0 to 31.
    pub slot: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

impl fmt::Display for PciAddress {
    /// As `lspci` writes it: `0000:01:00.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, slot, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    }
}

/// A function on the PCI bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciDevice {
    /// Where it sits.
    pub address: PciAddress,
    /// Its maker's number.
    pub vendor: u16,
    /// Its maker's number for it.
    pub device: u16,
    /// Class, subclass and programming interface, a byte each.
    pub class: u32,
    /// What it is, in plain words.
    pub name: String,
}

/// How the machine's screen can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Graphics {
    /// The RFB protocol of VNC.
    Vnc,
    /// SPICE.
    Spice,
}

/// Where something on the hypervisor listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// The address, as the hypervisor has it; `0.0.0.0` and `::` are all that it has.
    pub address: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.contains(':') {
            write!(f, "[{}]:{}", self.address, self.port)
        } else {
            write!(f, "{}:{}", self.address, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_fill_their_sockets() {
        let sockets = |topology, processors| {
            let cpu = Cpu { topology, ..Cpu::default() };
            cpu.sockets(processors).iter().map(|socket| (socket.cores, socket.threads)).collect::<Vec<_>>()
        };
        assert_eq!(sockets(None, 3), [(1, 1); 3]);
        assert_eq!(sockets(None, 0), [(1, 1)]);
        let topology = Some(Topology { sockets: 2, cores: 2, threads: 2 });
        assert_eq!(sockets(topology, 8), [(2, 4), (2, 4)]);
        assert_eq!(sockets(topology, 5), [(2, 4), (1, 1)], "some are not plugged in");
        assert_eq!(
            sockets(Some(Topology { sockets: 1, cores: 0, threads: 0 }), 2).len(),
            2,
            "no division by zero"
        );
    }

    #[test]
    fn memory_is_split_whole_and_always_the_same() {
        for (bytes, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (4 << 30, vec![4 << 30]),
            (40 << 30, vec![16 << 30, 16 << 30, 8 << 30]),
        ] {
            let modules = memory_modules(bytes);
            assert_eq!(modules.iter().map(|module| module.bytes).collect::<Vec<_>>(), sizes);
            assert_eq!(modules, memory_modules(bytes));
        }
        for bytes in [1 << 40, 1 << 50, u64::MAX] {
            let modules = memory_modules(bytes);
            assert!(modules.len() <= 64);
            assert_eq!(modules.iter().map(|module| module.bytes).sum::<u64>(), bytes);
        }
    }

    #[test]
    fn an_address_is_written_as_lspci_does() {
        assert_eq!(PciAddress { domain: 0, bus: 1, slot: 31, function: 2 }.to_string(), "0000:01:1f.2");
    }
}
