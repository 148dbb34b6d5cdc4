//! `PrivilegeMap`: which operation needs which privilege, as the routes have it.

use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::privilege::Privilege;
use crate::privilege_map::{entities, needs};
use crate::resource::{Call, resource, with};
use crate::routes::Kind;
use crate::schema;

pub(super) const URI: &str = "/redfish/v1/AccountService/PrivilegeMap";

pub(super) fn show(_: &Call<'_>) -> Result<Value, Problem> {
    let object = resource(schema::PRIVILEGE_REGISTRY, URI, "PrivilegeMap", "Privilege Map");
    let members = json!({
        "PrivilegesUsed": Privilege::ALL.map(Privilege::as_str),
        "OEMPrivilegesUsed": [],
        "Mappings": entities().map(mapping).collect::<Vec<Value>>(),
    });
    Ok(with(object, members))
}

fn mapping(entity: &str) -> Value {
    let map = operations(entity, "");
    let mut mapping = json!({"Entity": entity, "OperationMap": map});
    if entity == "ManagerAccount" {
        // Of one's own, nothing but the password.
        let own =
            json!({"PATCH": [privilege(Privilege::ConfigureUsers), privilege(Privilege::ConfigureSelf)]});
        mapping["PropertyOverrides"] = json!([{"Targets": ["Password"], "OperationMap": own}]);
        mapping["OperationMap"]["PATCH"] = json!([privilege(Privilege::ConfigureUsers)]);
    }
    let mut overrides = Vec::new();
    for (under, parent) in [("Systems", "ComputerSystem"), ("Chassis", "Chassis"), ("Managers", "Manager")] {
        let there = operations(entity, under);
        if there == map {
            continue;
        }
        let collection = (!entity.ends_with("Collection")).then(|| format!("{entity}Collection"));
        let targets: Vec<String> = [parent.to_owned()].into_iter().chain(collection).collect();
        overrides.push(json!({"Targets": targets, "OperationMap": there}));
    }
    if !overrides.is_empty() {
        mapping["SubordinateOverrides"] = overrides.into();
    }
    mapping
}

fn operations(entity: &str, under: &str) -> Map<String, Value> {
    let rows = [
        ("GET", Kind::Get),
        ("HEAD", Kind::Get),
        ("PATCH", Kind::Patch),
        ("POST", Kind::Post),
        // What is not served is as PATCH in the registry.
        ("PUT", Kind::Patch),
        ("DELETE", Kind::Delete),
    ];
    let row = |(method, kind): (&str, Kind)| {
        let any_of: Vec<Value> = needs(entity, under, kind).iter().copied().map(privilege).collect();
        let any_of = if any_of.is_empty() { vec![json!({"Privilege": []})] } else { any_of };
        (method.to_owned(), Value::Array(any_of))
    };
    rows.map(row).into_iter().collect()
}

fn privilege(privilege: Privilege) -> Value {
    json!({"Privilege": [privilege.as_str()]})
}
