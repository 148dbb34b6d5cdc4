//! `SimpleStorage`: the disks that the guest sees on each bus, those that are volumes among them.

use bmc_core::snapshot::Snapshot;
use bmc_core::storage::{Disk, DiskBus};
use serde_json::{Value, json};

use super::subsystem::bus_name;
use super::{RAID, collection_uri as storage_uri, volume_of};
use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// Simple storage.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Systems/{id}/SimpleStorage",
        verbs: &[get(collection, "SimpleStorageCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SimpleStorage/{member}",
        verbs: &[get(show, "SimpleStorage: the disks that the guest sees on one bus")],
    },
];

/// The URI of a System's simple storage.
pub(in crate::resource) fn collection_uri(system: &str) -> String {
    format!("{system}/SimpleStorage")
}

fn buses(snapshot: &Snapshot) -> Vec<DiskBus> {
    let mut buses = Vec::new();
    for disk in snapshot.info.iter().flat_map(|info| &info.disks) {
        if !buses.contains(&disk.bus) {
            buses.push(disk.bus);
        }
    }
    buses
}

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let uri = collection_uri(&Uris::of(&snapshot).system);
    let members: Vec<String> =
        buses(&snapshot).into_iter().map(|bus| format!("{uri}/{}", bus.as_str())).collect();
    Ok(collection::render(schema::SIMPLE_STORAGE_COLLECTION, &uri, "Simple Storage", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let bus = buses(&snapshot).into_iter().find(|bus| bus.as_str() == call.member);
    let bus = bus.ok_or_else(|| Problem::not_found("SimpleStorage", call.member))?;
    let uris = Uris::of(&snapshot);
    let on_bus: Vec<&Disk> =
        snapshot.info.iter().flat_map(|info| &info.disks).filter(|disk| disk.bus == bus).collect();
    let devices: Vec<Value> = on_bus.iter().map(|disk| device(disk)).collect();
    // The subsystem that tells more: that of the own disks, else that of the volumes.
    let own = on_bus.iter().any(|disk| volume_of(&snapshot, disk).is_none());
    let storage = format!("{}/{}", storage_uri(&uris.system), if own { bus.as_str() } else { RAID });
    let uri = format!("{}/{}", collection_uri(&uris.system), bus.as_str());
    let name = format!("{} disks", bus_name(bus));
    let members = json!({
        "Status": {"State": "Enabled", "Health": "OK"},
        "Devices": devices,
        "Links": {"Chassis": link(&uris.chassis), "Storage": link(&storage)},
    });
    Ok(with(resource(schema::SIMPLE_STORAGE, &uri, bus.as_str(), &name), members))
}

fn device(disk: &Disk) -> Value {
    let mut device = json!({"Name": disk.name, "Status": {"State": "Enabled", "Health": "OK"}});
    if let Some(bytes) = disk.capacity_bytes {
        device["CapacityBytes"] = bytes.into();
    }
    if let Some(model) = &disk.model {
        device["Model"] = model.as_str().into();
    }
    device
}
