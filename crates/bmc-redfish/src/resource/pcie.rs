//! `PCIeDevices` in a Chassis and their functions: what sits on the machine's PCI bus, as far as its backend knows. The functions in one slot are
//! one device.

use bmc_core::inventory::{PciAddress, PciDevice};
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::resource::network::{at_pci, ethernet, port};
use crate::resource::{Call, Uris, collection, link, part_state, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The devices.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Chassis/{id}/PCIeDevices", verbs: &[get(list, "PCIeDeviceCollection")] },
    Route {
        path: "/redfish/v1/Chassis/{id}/PCIeDevices/{member}",
        verbs: &[get(show, "PCIeDevice: what sits in a slot")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/PCIeDevices/{member}/PCIeFunctions",
        verbs: &[get(functions, "PCIeFunctionCollection")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/PCIeDevices/{member}/PCIeFunctions/{leaf}",
        verbs: &[get(function, "PCIeFunction: vendor, device and class")],
    },
];

/// Redfish's names of the classes of PCI devices, from 00h.
const CLASSES: [&str; 20] = [
    "UnclassifiedDevice",
    "MassStorageController",
    "NetworkController",
    "DisplayController",
    "MultimediaController",
    "MemoryController",
    "Bridge",
    "CommunicationController",
    "GenericSystemPeripheral",
    "InputDeviceController",
    "DockingStation",
    "Processor",
    "SerialBusController",
    "WirelessController",
    "IntelligentController",
    "SatelliteCommunicationsController",
    "EncryptionController",
    "SignalProcessingController",
    "ProcessingAccelerators",
    "NonEssentialInstrumentation",
];

/// The URI of the collection.
pub(super) fn collection_uri(chassis: &str) -> String {
    format!("{chassis}/PCIeDevices")
}

fn functions_uri(device: &str) -> String {
    format!("{device}/PCIeFunctions")
}

/// The id of the slot: `0000-01-00`.
fn id(PciAddress { domain, bus, slot, .. }: PciAddress) -> String {
    format!("{domain:04x}-{bus:02x}-{slot:02x}")
}

fn all(snapshot: &Snapshot) -> &[PciDevice] {
    snapshot.info.as_ref().map_or(&[], |info| &info.pci_devices)
}

/// The functions in the slot with this id.
fn slot<'a>(snapshot: &'a Snapshot, id_wanted: &str) -> Vec<&'a PciDevice> {
    all(snapshot).iter().filter(|device| id(device.address) == id_wanted).collect()
}

/// The ids of the slots in use, in order of address.
fn ids(snapshot: &Snapshot) -> Vec<String> {
    let mut ids: Vec<String> = all(snapshot).iter().map(|device| id(device.address)).collect();
    ids.dedup();
    ids
}

/// The URIs of all devices.
pub(super) fn uris(snapshot: &Snapshot, chassis: &str) -> Vec<String> {
    let uri = collection_uri(chassis);
    ids(snapshot).iter().map(|id| format!("{uri}/{id}")).collect()
}

/// The URIs of all functions.
pub(super) fn function_uris(snapshot: &Snapshot, chassis: &str) -> Vec<String> {
    all(snapshot).iter().map(|device| function_uri(chassis, device.address)).collect()
}

fn function_uri(chassis: &str, address: PciAddress) -> String {
    let device = format!("{}/{}", collection_uri(chassis), id(address));
    format!("{}/{}", functions_uri(&device), address.function)
}

/// The URI of the device at an address, if it is known.
pub(super) fn uri_at(snapshot: &Snapshot, chassis: &str, address: PciAddress) -> Option<String> {
    let known = all(snapshot).iter().any(|device| device.address == address);
    known.then(|| format!("{}/{}", collection_uri(chassis), id(address)))
}

/// The URI of the function at an address, if it is known.
pub(super) fn function_uri_at(snapshot: &Snapshot, chassis: &str, address: PciAddress) -> Option<String> {
    let known = all(snapshot).iter().any(|device| device.address == address);
    known.then(|| function_uri(chassis, address))
}

fn list(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("PCIeDeviceCollection", call.id)?.snapshot();
    let chassis = Uris::of(&snapshot).chassis;
    let (uri, members) = (collection_uri(&chassis), uris(&snapshot, &chassis));
    Ok(collection::render(schema::PCIE_DEVICE_COLLECTION, &uri, "PCIe Devices", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("PCIeDevice", call.id)?.snapshot();
    let in_slot = slot(&snapshot, call.member);
    let Some(first) = in_slot.first() else { return Err(Problem::not_found("PCIeDevice", call.member)) };
    let uris = Uris::of(&snapshot);
    let uri = format!("{}/{}", collection_uri(&uris.chassis), call.member);
    let members = json!({
        "Model": first.name,
        "DeviceType": if in_slot.len() > 1 { "MultiFunction" } else { "SingleFunction" },
        "PCIeFunctions": link(&functions_uri(&uri)),
        "Status": {"State": part_state(&snapshot), "Health": "OK"},
        "Links": {"Chassis": [link(&uris.chassis)], "Chassis@odata.count": 1},
    });
    Ok(with(resource(schema::PCIE_DEVICE, &uri, call.member, &first.name), members))
}

fn functions(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("PCIeFunctionCollection", call.id)?.snapshot();
    let in_slot = slot(&snapshot, call.member);
    if in_slot.is_empty() {
        return Err(Problem::not_found("PCIeDevice", call.member));
    }
    let chassis = Uris::of(&snapshot).chassis;
    let uri = functions_uri(&format!("{}/{}", collection_uri(&chassis), call.member));
    let members: Vec<String> = in_slot.iter().map(|device| function_uri(&chassis, device.address)).collect();
    Ok(collection::render(schema::PCIE_FUNCTION_COLLECTION, &uri, "PCIe Functions", &members))
}

fn function(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("PCIeFunction", call.id)?.snapshot();
    let in_slot = slot(&snapshot, call.member);
    let found = in_slot.iter().find(|device| device.address.function.to_string() == call.leaf);
    found.map(|device| render(&snapshot, device)).ok_or_else(|| Problem::not_found("PCIeFunction", call.leaf))
}

fn render(snapshot: &Snapshot, device: &PciDevice) -> Value {
    let uris = Uris::of(snapshot);
    let address = device.address;
    let mut links = json!({
        "PCIeDevice": link(&format!("{}/{}", collection_uri(&uris.chassis), id(address))),
    });
    if let Some(nic) = at_pci(snapshot, address) {
        links["EthernetInterfaces"] =
            json!([link(&format!("{}/{nic}", ethernet::collection_uri(&uris.system)))]);
        links["EthernetInterfaces@odata.count"] = 1.into();
        links["NetworkDeviceFunctions"] = json!([link(&port::function_uri(&uris.chassis, &nic))]);
        links["NetworkDeviceFunctions@odata.count"] = 1.into();
    }
    let class = usize::try_from(device.class >> 16).ok().and_then(|class| CLASSES.get(class));
    let members = json!({
        "FunctionId": address.function,
        "FunctionType": "Physical",
        "FunctionProtocol": "PCIe",
        "DeviceClass": class.unwrap_or(&"Other"),
        "ClassCode": format!("0x{:06X}", device.class & 0x00ff_ffff),
        "VendorId": format!("0x{:04X}", device.vendor),
        "DeviceId": format!("0x{:04X}", device.device),
        "SegmentNumber": format!("0x{:04X}", address.domain),
        "BusNumber": format!("0x{:02X}", address.bus),
        "DeviceNumber": format!("0x{:02X}", address.slot),
        "FunctionNumber": format!("0x{:X}", address.function),
        "Enabled": true,
        "Status": {"State": part_state(snapshot), "Health": "OK"},
        "Links": links,
    });
    let id = address.function.to_string();
    with(resource(schema::PCIE_FUNCTION, &function_uri(&uris.chassis, address), &id, &device.name), members)
}
