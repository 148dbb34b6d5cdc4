//! `Storage` and `StorageController`: a subsystem, and its one controller in both of the ways clients look for it.

use bmc_core::snapshot::Snapshot;
use bmc_core::storage::{DiskBus, RaidLevel};
use serde_json::{Map, Value, json};

use super::{Kind, RAID_PROTOCOL, Subsystem, collection_uri, protocol, subsystem, subsystems};
use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The id of a subsystem's one controller.
const CONTROLLER: &str = "0";

/// Subsystems and controllers.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Systems/{id}/Storage", verbs: &[get(collection, "StorageCollection")] },
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}",
        verbs: &[get(show, "Storage: the machine's own disks on one bus, or its RAID controller")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}/Controllers",
        verbs: &[get(controllers, "StorageControllerCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}/Controllers/{leaf}",
        verbs: &[get(controller, "StorageController")],
    },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let system = Uris::of(&snapshot).system;
    let members: Vec<String> = subsystems(&snapshot).iter().map(|subsystem| subsystem.uri(&system)).collect();
    Ok(collection::render(schema::STORAGE_COLLECTION, &collection_uri(&system), "Storage", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    Ok(render(&snapshot, &subsystem(&snapshot, call.member)?))
}

fn render(snapshot: &Snapshot, subsystem: &Subsystem<'_>) -> Value {
    let uris = Uris::of(snapshot);
    let uri = subsystem.uri(&uris.system);
    let drives: Vec<Value> = subsystem
        .drives()
        .iter()
        .map(|drive| link(&subsystem.drive_uri(&uris.system, drive.name())))
        .collect();
    let mut inline = Map::new();
    inline.insert("@odata.id".to_owned(), format!("{uri}#/StorageControllers/0").into());
    inline.insert("MemberId".to_owned(), CONTROLLER.into());
    inline.insert("Name".to_owned(), controller_name(subsystem).into());
    let members = json!({
        "Status": {"State": "Enabled", "Health": "OK", "HealthRollup": "OK"},
        "Controllers": link(&format!("{uri}/Controllers")),
        "StorageControllers": [with(inline, facts(subsystem))],
        "StorageControllers@odata.count": 1,
        "Drives@odata.count": drives.len(),
        "Drives": drives,
        "Volumes": link(&format!("{uri}/Volumes")),
        "Links": {"Enclosures": [link(&uris.chassis)], "Enclosures@odata.count": 1},
    });
    with(resource(schema::STORAGE, &uri, subsystem.id(), &name(subsystem)), members)
}

fn name(subsystem: &Subsystem<'_>) -> String {
    match &subsystem.kind {
        Kind::Disks(bus, _) => format!("{} disks", bus_name(*bus)),
        Kind::Raid(_) => "RAID".to_owned(),
    }
}

fn controller_name(subsystem: &Subsystem<'_>) -> String {
    match &subsystem.kind {
        Kind::Disks(bus, _) => format!("{} controller", bus_name(*bus)),
        Kind::Raid(_) => "RAID controller".to_owned(),
    }
}

/// A bus as people write it.
pub(super) fn bus_name(bus: DiskBus) -> &'static str {
    match bus {
        DiskBus::Virtio => "virtio",
        DiskBus::Scsi => "SCSI",
        DiskBus::Sata => "SATA",
        DiskBus::Ide => "IDE",
        DiskBus::Usb => "USB",
        DiskBus::Nvme => "NVMe",
        DiskBus::Other => "Other",
    }
}

/// What both forms of a controller tell.
fn facts(subsystem: &Subsystem<'_>) -> Value {
    let (protocols, levels) = match &subsystem.kind {
        Kind::Disks(bus, _) => (protocol(*bus), Vec::new()),
        Kind::Raid(_) => (Some(RAID_PROTOCOL), RaidLevel::ALL.map(RaidLevel::as_str).to_vec()),
    };
    let protocols: Vec<&str> = protocols.into_iter().collect();
    json!({
        "Status": {"State": "Enabled", "Health": "OK"},
        "SupportedControllerProtocols": ["PCIe"],
        "SupportedDeviceProtocols": protocols,
        // An empty list says that there is no RAID here: Ironic passes such a controller by.
        "SupportedRAIDTypes": levels,
    })
}

fn controllers(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let uri = format!("{}/Controllers", subsystem(&snapshot, call.member)?.uri(&Uris::of(&snapshot).system));
    let members = [format!("{uri}/{CONTROLLER}")];
    Ok(collection::render(schema::STORAGE_CONTROLLER_COLLECTION, &uri, "Storage Controllers", &members))
}

fn controller(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let subsystem = subsystem(&snapshot, call.member)?;
    if call.leaf != CONTROLLER {
        return Err(Problem::not_found("StorageController", call.leaf));
    }
    let system = Uris::of(&snapshot).system;
    let uri = format!("{}/Controllers/{CONTROLLER}", subsystem.uri(&system));
    let mut object = resource(schema::STORAGE_CONTROLLER, &uri, CONTROLLER, &controller_name(&subsystem));
    let volumes: Vec<Value> =
        subsystem.volumes().iter().map(|volume| link(&subsystem.volume_uri(&system, volume))).collect();
    let links = json!({"AttachedVolumes@odata.count": volumes.len(), "AttachedVolumes": volumes});
    object.insert("Links".to_owned(), links);
    Ok(with(object, facts(&subsystem)))
}
