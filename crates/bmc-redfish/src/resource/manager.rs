//! `Manager`: the BMC itself.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, machines, media, resource, with};
use crate::routes::{Route, get};
use crate::schema;
use crate::service::resource_id;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Managers";

/// The Managers.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Managers", verbs: &[get(collection, "ManagerCollection")] },
    Route { path: "/redfish/v1/Managers/{id}", verbs: &[get(show, "Manager")] },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let members = machines(call, COLLECTION_URI);
    Ok(collection::render(schema::MANAGER_COLLECTION, COLLECTION_URI, "Managers", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Manager", call.id)?.snapshot();
    let uris = Uris::of(&snapshot);
    let profile = call.service.profile();
    let name = format!("BMC of {}", snapshot.name);
    let object = resource(schema::MANAGER, &uris.manager, &resource_id(&snapshot), &name);
    let members = json!({
        "ManagerType": "BMC",
        "Manufacturer": snapshot.identity.manufacturer,
        "Model": profile.manager_model,
        "FirmwareVersion": profile.firmware_version,
        "UUID": snapshot.uuid.to_string(),
        "ServiceEntryPointUUID": call.service.uuid().to_string(),
        "PowerState": "On",
        // The BMC is well whatever its machine does.
        "Status": {"State": "Enabled", "Health": "OK"},
        "VirtualMedia": link(&media::collection_uri(&uris.manager)),
        "Links": {
            "ManagerForServers": [link(&uris.system)],
            "ManagerForServers@odata.count": 1,
            "ManagerForChassis": [link(&uris.chassis)],
            "ManagerForChassis@odata.count": 1,
            "ManagerInChassis": link(&uris.chassis),
        },
    });
    Ok(with(object, members))
}
