//! `Ports` and `NetworkDeviceFunctions` of a network adapter. A port tells its neighbour as LLDP does (Ironic's inspection reads it).

use bmc_core::inventory::{LinkId, Neighbor, Nic};
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use super::{ONLY, adapter, ethernet, find, is_up, only};
use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, part_state, pcie, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The parts of the adapters.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/NetworkAdapters/{member}/Ports",
        verbs: &[get(ports, "PortCollection")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/NetworkAdapters/{member}/Ports/{leaf}",
        verbs: &[get(port, "Port: link and neighbour (LLDP)")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/NetworkAdapters/{member}/NetworkDeviceFunctions",
        verbs: &[get(functions, "NetworkDeviceFunctionCollection")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/NetworkAdapters/{member}/NetworkDeviceFunctions/{leaf}",
        verbs: &[get(function, "NetworkDeviceFunction: the Ethernet function of an adapter")],
    },
];

/// The URI of the collection of an adapter's ports.
pub(super) fn ports_uri(adapter: &str) -> String {
    format!("{adapter}/Ports")
}

/// The URI of the collection of an adapter's functions.
pub(super) fn functions_uri(adapter: &str) -> String {
    format!("{adapter}/NetworkDeviceFunctions")
}

/// The URI of the port of the adapter with this id.
pub(super) fn uri(chassis: &str, adapter: &str) -> String {
    format!("{}/{ONLY}", ports_uri(&adapter::uri(chassis, adapter)))
}

/// The URI of the function of the adapter with this id.
pub(in crate::resource) fn function_uri(chassis: &str, adapter: &str) -> String {
    format!("{}/{ONLY}", functions_uri(&adapter::uri(chassis, adapter)))
}

fn ports(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("PortCollection", call.id)?.snapshot();
    let (id, _) = find(&snapshot, "NetworkAdapter", call.member)?;
    let chassis = Uris::of(&snapshot).chassis;
    let all = ports_uri(&adapter::uri(&chassis, &id));
    Ok(collection::render(schema::PORT_COLLECTION, &all, "Ports", &[uri(&chassis, &id)]))
}

fn port(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Port", call.id)?.snapshot();
    let (id, nic) = find(&snapshot, "NetworkAdapter", call.member)?;
    only("Port", call.leaf)?;
    Ok(render(&snapshot, &id, nic))
}

fn render(snapshot: &Snapshot, id: &str, nic: &Nic) -> Value {
    let uris = Uris::of(snapshot);
    let mut object = resource(schema::PORT, &uri(&uris.chassis, id), ONLY, &format!("Port of {id}"));
    if let Some(device) = nic.host_device.as_ref().filter(|_| snapshot.power.reads_as_on()) {
        object.insert("Description".to_owned(), format!("{device} on the host").into());
    }
    let up = is_up(snapshot, nic);
    if let (Some(speed), true) = (nic.speed_mbps, up) {
        object.insert("CurrentSpeedGbps".to_owned(), (f64::from(speed) / 1000.0).into());
    }
    if let Some(mtu) = nic.mtu {
        object.insert("MaxFrameSize".to_owned(), mtu.into());
    }
    let mut ethernet = json!({
        "AssociatedMACAddresses": [nic.mac],
        "LLDPEnabled": nic.neighbor.is_some(),
    });
    if let (Some(neighbor), true) = (&nic.neighbor, up) {
        ethernet["LLDPReceive"] = lldp(neighbor);
    }
    let members = json!({
        "PortId": ONLY,
        "PortProtocol": "Ethernet",
        "PortType": "BidirectionalPort",
        "LinkNetworkTechnology": "Ethernet",
        "InterfaceEnabled": true,
        "LinkState": "Enabled",
        "LinkStatus": if up { "LinkUp" } else { "LinkDown" },
        "Ethernet": ethernet,
        "Status": {"State": part_state(snapshot), "Health": "OK"},
        "Links": {
            "EthernetInterfaces": [link(&format!("{}/{id}", ethernet::collection_uri(&uris.system)))],
            "EthernetInterfaces@odata.count": 1,
        },
    });
    with(object, members)
}

/// What LLDP tells of a neighbour.
fn lldp(neighbor: &Neighbor) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    match &neighbor.chassis_id {
        LinkId::Mac(mac) => {
            put("ChassisId", mac.to_uppercase().into());
            put("ChassisIdSubtype", "MacAddr".into());
        }
        LinkId::Interface(name) => {
            put("ChassisId", name.as_str().into());
            put("ChassisIdSubtype", "IfName".into());
        }
    }
    // The schema has the octets of a port's id, whatever they stand for.
    match &neighbor.port_id {
        LinkId::Mac(mac) => {
            put("PortId", mac.to_uppercase().into());
            put("PortIdSubtype", "MacAddr".into());
        }
        LinkId::Interface(name) => {
            let octets: Vec<String> = name.bytes().map(|octet| format!("{octet:02X}")).collect();
            put("PortId", octets.join(":").into());
            put("PortIdSubtype", "IfName".into());
        }
    }
    if let Some(name) = &neighbor.system_name {
        put("SystemName", name.as_str().into());
    }
    if let Some(description) = &neighbor.system_description {
        put("SystemDescription", description.as_str().into());
    }
    if let Some(address) = neighbor.management_address {
        put("ManagementAddressIPv4", address.to_string().into());
    }
    if let Some(vlan) = neighbor.management_vlan {
        put("ManagementVlanId", vlan.into());
    }
    put("SystemCapabilities", json!(["Bridge"]));
    Value::Object(object)
}

fn functions(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("NetworkDeviceFunctionCollection", call.id)?.snapshot();
    let (id, _) = find(&snapshot, "NetworkAdapter", call.member)?;
    let chassis = Uris::of(&snapshot).chassis;
    let all = functions_uri(&adapter::uri(&chassis, &id));
    let (schema, name) = (schema::NETWORK_DEVICE_FUNCTION_COLLECTION, "Network Device Functions");
    Ok(collection::render(schema, &all, name, &[function_uri(&chassis, &id)]))
}

fn function(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("NetworkDeviceFunction", call.id)?.snapshot();
    let (id, nic) = find(&snapshot, "NetworkAdapter", call.member)?;
    only("NetworkDeviceFunction", call.leaf)?;
    let uris = Uris::of(&snapshot);
    let mut ethernet = json!({"MACAddress": nic.mac, "PermanentMACAddress": nic.mac});
    if let Some(mtu) = nic.mtu {
        ethernet["MTUSize"] = mtu.into();
    }
    let mut links = json!({
        "PhysicalNetworkPortAssignment": link(&uri(&uris.chassis, &id)),
        "EthernetInterfaces": [link(&format!("{}/{id}", ethernet::collection_uri(&uris.system)))],
        "EthernetInterfaces@odata.count": 1,
    });
    if let Some(function) =
        nic.pci.and_then(|address| pcie::function_uri_at(&snapshot, &uris.chassis, address))
    {
        links["PCIeFunction"] = link(&function);
    }
    let members = json!({
        "NetDevFuncType": "Ethernet",
        "NetDevFuncCapabilities": ["Ethernet"],
        "DeviceEnabled": true,
        "Ethernet": ethernet,
        "AssignablePhysicalNetworkPorts": [link(&uri(&uris.chassis, &id))],
        "AssignablePhysicalNetworkPorts@odata.count": 1,
        "Status": {"State": part_state(&snapshot), "Health": "OK"},
        "Links": links,
    });
    let object = resource(
        schema::NETWORK_DEVICE_FUNCTION,
        &function_uri(&uris.chassis, &id),
        ONLY,
        &format!("Ethernet Function of {id}"),
    );
    Ok(with(object, members))
}
