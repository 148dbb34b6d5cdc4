//! `Chassis`: the box a machine would be in. Its asset tag and light are the machine's.

use bmc_core::request::Change;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{
    Call, Reply, Uris, collection, health, label, link, machines, network, pcie, resource, sensor, storage,
    with, write,
};
use crate::routes::{Route, get, patch};
use crate::schema;
use crate::service::resource_id;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Chassis";

/// The Chassis.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Chassis", verbs: &[get(collection, "ChassisCollection")] },
    Route {
        path: "/redfish/v1/Chassis/{id}",
        verbs: &[
            get(show, "Chassis"),
            patch(
                Privilege::ConfigureComponents,
                |call| Box::pin(update(call)),
                "`AssetTag`, `LocationIndicatorActive`, `IndicatorLED`: the System's own",
            ),
        ],
    },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let members = machines(call, COLLECTION_URI);
    Ok(collection::render(schema::CHASSIS_COLLECTION, COLLECTION_URI, "Chassis", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.machine("Chassis", call.id)?.snapshot()))
}

fn render(snapshot: &Snapshot) -> Value {
    let uris = Uris::of(snapshot);
    let identity = &snapshot.identity;
    let name = format!("Chassis of {}", snapshot.name);
    let mut object = resource(schema::CHASSIS, &uris.chassis, &resource_id(snapshot), &name);
    label::put(&mut object, snapshot);
    let drives: Vec<Value> =
        storage::drive_uris(snapshot, &uris.system).iter().map(|uri| link(uri)).collect();
    let members = json!({
        "ChassisType": "StandAlone",
        "Manufacturer": identity.manufacturer,
        "Model": identity.model,
        "SerialNumber": identity.serial,
        "UUID": snapshot.uuid.to_string(),
        "PowerState": if snapshot.power.reads_as_on() { "On" } else { "Off" },
        "Status": {"State": "Enabled", "Health": health(snapshot), "HealthRollup": health(snapshot)},
        // What IPMI's chassis status says of it: nobody can open a virtual machine.
        "PhysicalSecurity": {"IntrusionSensor": "Normal"},
        "Thermal": link(&format!("{}/Thermal", uris.chassis)),
        "ThermalSubsystem": link(&format!("{}/ThermalSubsystem", uris.chassis)),
        "Power": link(&format!("{}/Power", uris.chassis)),
        "PowerSubsystem": link(&format!("{}/PowerSubsystem", uris.chassis)),
        "EnvironmentMetrics": link(&format!("{}/EnvironmentMetrics", uris.chassis)),
        "Assembly": link(&format!("{}/Assembly", uris.chassis)),
        "Sensors": link(&sensor::collection_uri(&uris.chassis)),
        "NetworkAdapters": link(&network::adapter::collection_uri(&uris.chassis)),
        "PCIeDevices": link(&pcie::collection_uri(&uris.chassis)),
        "Links": {
            "ComputerSystems": [link(&uris.system)],
            "ComputerSystems@odata.count": 1,
            "ManagedBy": [link(&uris.manager)],
            "ManagedBy@odata.count": 1,
            "ManagersInChassis": [link(&uris.manager)],
            "ManagersInChassis@odata.count": 1,
            "Drives@odata.count": drives.len(),
            "Drives": drives,
        },
    });
    with(object, members)
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("Chassis", call.id)?;
    write::change(call, &machine, render, |_, shown| {
        let wanted = patch::read(&call.body, |faults| {
            let mut wanted = label::Wanted::default();
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                wanted.take(name, pointer, value, faults)
            });
            let anything = wanted.is_some();
            (wanted, anything)
        })?;
        let mut change = Change::default();
        wanted.put(&mut change);
        Ok(change)
    })
    .await
}
