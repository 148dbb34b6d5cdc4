//! `Role`: DMTF's three standard roles. They are what they are: nothing of them can be changed, and there are no others.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::privilege::{self, Privilege, ROLES};
use crate::resource::{Call, collection, resource, with};
use crate::schema;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/AccountService/Roles";

pub(super) fn uri(name: &str) -> String {
    format!("{COLLECTION_URI}/{name}")
}

pub(super) fn collection(_: &Call<'_>) -> Result<Value, Problem> {
    let members = ROLES.map(|(name, _)| uri(name));
    Ok(collection::render(schema::ROLE_COLLECTION, COLLECTION_URI, "Roles", &members))
}

pub(super) fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let role = ROLES.iter().find(|(name, _)| *name == call.id);
    let (name, role) = role.ok_or_else(|| Problem::not_found("Role", call.id))?;
    let privileges = Privilege::ALL.into_iter().filter(|privilege| privilege::has(*role, *privilege));
    let object = resource(schema::ROLE, &uri(name), name, name);
    let members = json!({
        "RoleId": name,
        "IsPredefined": true,
        "Restricted": false,
        "AssignedPrivileges": privileges.map(Privilege::as_str).collect::<Vec<_>>(),
    });
    Ok(with(object, members))
}
