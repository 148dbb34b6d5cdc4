//! `NetworkAdapters` in a Chassis: a card for each network interface of the machine.

use serde_json::{Value, json};

use super::{find, ids, nics, port};
use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, part_state, pcie, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The adapters.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/NetworkAdapters",
        verbs: &[get(list, "NetworkAdapterCollection")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/NetworkAdapters/{member}",
        verbs: &[get(show, "NetworkAdapter: the card of a network interface")],
    },
];

/// The URI of the collection.
pub(in crate::resource) fn collection_uri(chassis: &str) -> String {
    format!("{chassis}/NetworkAdapters")
}

/// The URI of the adapter with this id.
pub(super) fn uri(chassis: &str, id: &str) -> String {
    format!("{}/{id}", collection_uri(chassis))
}

fn list(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("NetworkAdapterCollection", call.id)?.snapshot();
    let chassis = Uris::of(&snapshot).chassis;
    let members: Vec<String> = ids(&snapshot).map(|id| uri(&chassis, &id)).collect();
    let (uri, name) = (collection_uri(&chassis), "Network Adapters");
    Ok(collection::render(schema::NETWORK_ADAPTER_COLLECTION, &uri, name, &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("NetworkAdapter", call.id)?.snapshot();
    let (id, nic) = find(&snapshot, "NetworkAdapter", call.member)?;
    let chassis = Uris::of(&snapshot).chassis;
    let uri = uri(&chassis, &id);
    let mut object = resource(schema::NETWORK_ADAPTER, &uri, &id, &format!("Network Adapter {id}"));
    if let Some(model) = &nic.model {
        object.insert("Model".to_owned(), model.as_str().into());
    }
    let device = nic.pci.and_then(|address| pcie::uri_at(&snapshot, &chassis, address));
    let devices: Vec<Value> = device.iter().map(|device| link(device)).collect();
    let members = json!({
        // Cards hear their neighbours where the backend tells of them.
        "LLDPEnabled": nics(&snapshot).iter().any(|nic| nic.neighbor.is_some()),
        "Identifiers": [{"DurableNameFormat": "MACAddress", "DurableName": nic.mac.to_uppercase()}],
        "Ports": link(&port::ports_uri(&uri)),
        "NetworkDeviceFunctions": link(&port::functions_uri(&uri)),
        "Controllers": [{
            "ControllerCapabilities": {"NetworkPortCount": 1, "NetworkDeviceFunctionCount": 1},
            "Links": {
                "PCIeDevices@odata.count": devices.len(),
                "PCIeDevices": devices,
                "Ports": [link(&port::uri(&chassis, &id))],
                "Ports@odata.count": 1,
                "NetworkDeviceFunctions": [link(&port::function_uri(&chassis, &id))],
                "NetworkDeviceFunctions@odata.count": 1,
            },
        }],
        "Status": {"State": part_state(&snapshot), "Health": "OK"},
    });
    Ok(with(object, members))
}
