//! `ResetActionInfo`: the reset action's parameter, for clients that look it up (`@Redfish.ActionInfo`).

use serde_json::{Value, json};

use crate::error::Problem;
use crate::resource::{Call, Uris, reset, resource, with};
use crate::routes::{Route, get};
use crate::schema;

const ID: &str = "ResetActionInfo";

/// Where the reset action of this System is described.
pub(super) fn uri(system: &str) -> String {
    format!("{system}/{ID}")
}

/// The descriptions of actions.
pub(crate) static ROUTES: &[Route] = &[Route {
    path: "/redfish/v1/Systems/{id}/ResetActionInfo",
    verbs: &[get(show, "ActionInfo of the reset action")],
}];

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let uri = uri(&Uris::of(&machine.snapshot()).system);
    let parameter = json!({
        "Name": reset::PARAMETER,
        "Required": true,
        "DataType": "String",
        "AllowableValues": reset::TYPES.map(|(name, _)| name),
    });
    Ok(render(&uri, ID, "Reset Action Info", &json!([parameter])))
}

/// The description of an action: its parameters as the schema `ActionInfo` has them. Other resources use it for their actions.
pub(super) fn render(uri: &str, id: &str, name: &str, parameters: &Value) -> Value {
    with(resource(schema::ACTION_INFO, uri, id, name), json!({"Parameters": parameters}))
}
