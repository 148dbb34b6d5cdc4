//! `Chassis`: the box a machine would be in. Its asset tag and light are the machine's.

use bmc_core::request::Change;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::patch;
use crate::resource::{Call, Reply, Uris, collection, health, label, link, resource, sensor, system, with};
use crate::schema;
use crate::service::{Service, resource_id};

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Chassis";

pub(super) fn collection(service: &Service) -> Value {
    let members: Vec<String> =
        service.scope.machines().iter().map(|machine| Uris::of(&machine.snapshot()).chassis).collect();
    collection::render(schema::CHASSIS_COLLECTION, COLLECTION_URI, "Chassis", &members)
}

pub(super) fn get(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.machine("Chassis", call.id)?.snapshot()))
}

fn render(snapshot: &Snapshot) -> Value {
    let uris = Uris::of(snapshot);
    let identity = &snapshot.identity;
    let name = format!("Chassis of {}", snapshot.name);
    let mut object = resource(schema::CHASSIS, &uris.chassis, &resource_id(snapshot), &name);
    label::put(&mut object, snapshot);
    let members = json!({
        "ChassisType": "StandAlone",
        "Manufacturer": identity.manufacturer,
        "Model": identity.model,
        "SerialNumber": identity.serial,
        "UUID": snapshot.uuid.to_string(),
        "PowerState": if snapshot.power.reads_as_on() { "On" } else { "Off" },
        "Status": {"State": "Enabled", "Health": health(snapshot)},
        "Sensors": link(&sensor::collection_uri(&uris.chassis)),
        "Links": {
            "ComputerSystems": [link(&uris.system)],
            "ComputerSystems@odata.count": 1,
            "ManagedBy": [link(&uris.manager)],
            "ManagedBy@odata.count": 1,
            "ManagersInChassis": [link(&uris.manager)],
            "ManagersInChassis@odata.count": 1,
        },
    });
    with(object, members)
}

pub(super) async fn patch(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("Chassis", call.id)?;
    system::change(call, &machine, render, |_, shown| {
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
