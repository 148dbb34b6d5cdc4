//! `EthernetInterfaces` and `NetworkInterfaces` of a System.

use bmc_core::inventory::Nic;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use super::{adapter, find, ids, is_up, port};
use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, part_state, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The interfaces of the Systems.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Systems/{id}/EthernetInterfaces",
        verbs: &[get(interfaces, "EthernetInterfaceCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/EthernetInterfaces/{member}",
        verbs: &[get(interface, "EthernetInterface: a network interface of the machine")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/NetworkInterfaces",
        verbs: &[get(network_interfaces, "NetworkInterfaceCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/NetworkInterfaces/{member}",
        verbs: &[get(network_interface, "NetworkInterface: links to the adapter's parts")],
    },
];

/// The URI of the collection of a System's Ethernet interfaces.
pub(in crate::resource) fn collection_uri(system: &str) -> String {
    format!("{system}/EthernetInterfaces")
}

/// The URI of the collection of a System's network interfaces.
pub(in crate::resource) fn network_interfaces_uri(system: &str) -> String {
    format!("{system}/NetworkInterfaces")
}

fn interfaces(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("EthernetInterfaceCollection", call.id)?.snapshot();
    let uri = collection_uri(&Uris::of(&snapshot).system);
    let members: Vec<String> = ids(&snapshot).map(|id| format!("{uri}/{id}")).collect();
    let name = "Ethernet Interfaces";
    Ok(collection::render(schema::ETHERNET_INTERFACE_COLLECTION, &uri, name, &members))
}

fn interface(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("EthernetInterface", call.id)?.snapshot();
    let (id, nic) = find(&snapshot, "EthernetInterface", call.member)?;
    Ok(render(&snapshot, &id, nic))
}

fn render(snapshot: &Snapshot, id: &str, nic: &Nic) -> Value {
    let uris = Uris::of(snapshot);
    let uri = format!("{}/{id}", collection_uri(&uris.system));
    let mut object = resource(schema::ETHERNET_INTERFACE, &uri, id, &format!("Network Interface {id}"));
    if let Some(network) = nic.network.as_ref().and_then(|network| network.name()) {
        object.insert("Description".to_owned(), format!("Connected to {network}").into());
    }
    if let Some(speed) = nic.speed_mbps {
        object.insert("SpeedMbps".to_owned(), speed.into());
    }
    if let Some(mtu) = nic.mtu {
        object.insert("MTUSize".to_owned(), mtu.into());
    }
    let members = json!({
        "EthernetInterfaceType": "Virtual",
        "MACAddress": nic.mac,
        "PermanentMACAddress": nic.mac,
        "InterfaceEnabled": true,
        "LinkStatus": if is_up(snapshot, nic) { "LinkUp" } else { "LinkDown" },
        // Ironic looks at interfaces that are enabled and well, also of a machine that is off.
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {
            "Chassis": link(&uris.chassis),
            "NetworkDeviceFunctions": [link(&port::function_uri(&uris.chassis, id))],
            "NetworkDeviceFunctions@odata.count": 1,
            "Ports": [link(&port::uri(&uris.chassis, id))],
            "Ports@odata.count": 1,
        },
    });
    with(object, members)
}

fn network_interfaces(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("NetworkInterfaceCollection", call.id)?.snapshot();
    let uri = network_interfaces_uri(&Uris::of(&snapshot).system);
    let members: Vec<String> = ids(&snapshot).map(|id| format!("{uri}/{id}")).collect();
    Ok(collection::render(schema::NETWORK_INTERFACE_COLLECTION, &uri, "Network Interfaces", &members))
}

fn network_interface(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("NetworkInterface", call.id)?.snapshot();
    let (id, _) = find(&snapshot, "NetworkInterface", call.member)?;
    let uris = Uris::of(&snapshot);
    let uri = format!("{}/{id}", network_interfaces_uri(&uris.system));
    let adapter = adapter::uri(&uris.chassis, &id);
    let members = json!({
        "NetworkDeviceFunctions": link(&port::functions_uri(&adapter)),
        "Ports": link(&port::ports_uri(&adapter)),
        "Status": {"State": part_state(&snapshot), "Health": "OK"},
        "Links": {"NetworkAdapter": link(&adapter)},
    });
    Ok(with(resource(schema::NETWORK_INTERFACE, &uri, &id, &format!("Network Interface {id}")), members))
}
