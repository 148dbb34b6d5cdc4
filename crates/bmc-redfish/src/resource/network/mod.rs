//! The machine's network: each interface is an `EthernetInterface` of the System, a `NetworkInterface` of the System, and a `NetworkAdapter` in the
//! Chassis with one `Port` and one `NetworkDeviceFunction`.
//!
//! ```text
//!   System ─► EthernetInterfaces/NIC0 ─┐
//!      └────► NetworkInterfaces/NIC0 ──┤     Chassis ─► NetworkAdapters/NIC0 ─► Ports/1
//!                                      └──────────────────────┘      └────────► NetworkDeviceFunctions/1 ─► PCIeFunction
//! ```

pub(crate) mod adapter;
pub(crate) mod ethernet;
pub(crate) mod port;

use bmc_core::inventory::Nic;
use bmc_core::snapshot::Snapshot;

use crate::error::Problem;

/// The id of the only port and the only function of an adapter.
const ONLY: &str = "1";

/// The network interfaces; none until the machine has been seen.
fn nics(snapshot: &Snapshot) -> &[Nic] {
    snapshot.info.as_ref().map_or(&[], |info| &info.nics)
}

/// The id of an interface, by its place among the machine's.
fn id(number: usize) -> String {
    format!("NIC{number}")
}

fn ids(snapshot: &Snapshot) -> impl Iterator<Item = String> + use<> {
    (0..nics(snapshot).len()).map(id)
}

/// The interface that an id in a URL means: its own id, or its MAC address, as sushy-tools names interfaces.
///
/// # Errors
/// 404, naming the kind of resource that was looked for.
fn find<'a>(snapshot: &'a Snapshot, kind: &str, wanted: &str) -> Result<(String, &'a Nic), Problem> {
    let mut all = nics(snapshot).iter().enumerate();
    all.find(|(number, nic)| id(*number) == wanted || nic.mac.eq_ignore_ascii_case(wanted))
        .map(|(number, nic)| (id(number), nic))
        .ok_or_else(|| Problem::not_found(kind, wanted))
}

/// The only part of an adapter of its kind.
///
/// # Errors
/// 404 for every other id.
fn only(kind: &str, wanted: &str) -> Result<(), Problem> {
    if wanted == ONLY { Ok(()) } else { Err(Problem::not_found(kind, wanted)) }
}

/// Whether frames can pass: the machine is on and the cable is plugged in.
fn is_up(snapshot: &Snapshot, nic: &Nic) -> bool {
    snapshot.power.reads_as_on() && !nic.link_down
}

/// The interfaces of the function at this address on the PCI bus, by their ids.
pub(super) fn at_pci(snapshot: &Snapshot, address: bmc_core::inventory::PciAddress) -> Option<String> {
    nics(snapshot).iter().position(|nic| nic.pci == Some(address)).map(id)
}
