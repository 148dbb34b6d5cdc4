//! Who may do what: each route against DMTF's mapping, and each role against each route.

use bmc_core::account::Role;

use super::auth::of_all_roles;
use super::reads::crawl;
use super::*;
use crate::privilege::{self, Privilege};
use crate::privilege_map::needs;
use crate::routes::{self, Access, Kind, Route};
use crate::schema;

const ROLES: [(&str, &str, Role); 3] = [
    ("user", "secret", Role::User),
    ("operator", "secret", Role::Operator),
    ("admin", "password", Role::Administrator),
];

/// The schema of what a route serves: what its GET says, else that of the resource it is an action or a part of.
fn entity(route: &Route) -> Option<&'static str> {
    if route.path.starts_with("/redfish/v1/TaskService/TaskMonitors") {
        return Some("Task");
    }
    let get = route.verbs.iter().find(|verb| verb.kind == Kind::Get);
    let word = get.map(|get| get.what.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap());
    let named = schema::ALL.iter().map(|schema| schema.name).find(|name| Some(*name) == word);
    let above = |path: &'static str| path.rsplit_once('/').map(|(above, _)| above);
    let parents = std::iter::successors(above(route.path), |path| above(path));
    named.or_else(|| {
        let mut parents = parents.filter_map(|path| routes::all().find(|other| other.path == path));
        parents.next().and_then(entity)
    })
}

fn may(access: Access, role: Role) -> bool {
    match access {
        Access::Public => true,
        Access::Needs(needed) => privilege::has(role, needed),
        Access::OwnOr(needed) => {
            privilege::has(role, needed) || privilege::has(role, Privilege::ConfigureSelf)
        }
    }
}

#[test]
fn every_operation_needs_what_dmtf_says() {
    let mut wrong = Vec::new();
    for route in routes::all() {
        let Some(entity) = entity(route) else {
            let writes = route.verbs.iter().any(|verb| verb.kind != Kind::Get);
            assert!(!writes, "{}: of which schema is it? Let the text of its GET begin with it", route.path);
            continue;
        };
        let under = route.path.trim_start_matches("/redfish/v1").split('/').nth(1).unwrap_or_default();
        for verb in route.verbs {
            let any_of = needs(entity, under, verb.kind);
            let is_log_in = entity == "SessionCollection" && verb.kind == Kind::Post;
            let is_open = any_of.is_empty() || is_log_in;
            let same = |role| {
                may(verb.access, role) == (is_open || any_of.iter().any(|one| privilege::has(role, *one)))
            };
            if (verb.access == Access::Public) != is_open || !ROLES.iter().all(|(.., role)| same(*role)) {
                wrong.push(format!(
                    "{} {} ({entity}): {any_of:?}, not {:?}",
                    verb.kind.as_str(),
                    route.path,
                    verb.access
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn whoever_lacks_the_privilege_is_refused_before_anything_else() {
    let (_lab, router) = of_all_roles().await;
    for route in routes::all() {
        let path = route.path.replace("{id}", "nobody").replace("{member}", "x").replace("{leaf}", "y");
        for verb in route.verbs {
            for (user, password, role) in ROLES {
                let denied = match verb.access {
                    Access::Public => false,
                    Access::Needs(needed) | Access::OwnOr(needed) => !privilege::has(role, needed),
                };
                // What may be one's own is decided by the resource.
                if denied && !matches!(verb.access, Access::OwnOr(_)) {
                    let ask = Ask::anonymous(verb.kind.as_str(), &path)
                        .header("authorization", &basic(user, password));
                    ask.json(&json!({"Nonsense": 1}))
                        .send(&router)
                        .await
                        .refused(403, &["InsufficientPrivilege"]);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_privilege_map_shows_what_is_checked() {
    let lab = lab().await;
    let service = lab.get("/redfish/v1/AccountService").await.json();
    let map = lab.get(service["PrivilegeMap"]["@odata.id"].as_str().unwrap()).await.json();
    let of = |entity: &str| {
        let mappings = map["Mappings"].as_array().unwrap();
        mappings.iter().find(|mapping| mapping["Entity"] == entity).unwrap().clone()
    };
    assert_eq!(
        of("ComputerSystem")["OperationMap"]["PATCH"],
        json!([{"Privilege": ["ConfigureComponents"]}])
    );
    assert_eq!(of("ServiceRoot")["OperationMap"]["GET"], json!([{"Privilege": []}]));
    assert_eq!(of("ManagerAccount")["OperationMap"]["DELETE"], json!([{"Privilege": ["ConfigureUsers"]}]));
    assert_eq!(of("ManagerAccount")["PropertyOverrides"][0]["Targets"], json!(["Password"]));
    for uri in crawl(&lab.one).await.keys() {
        assert!(routes::find(uri).is_some(), "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn roles_are_dmtfs_and_cannot_be_changed() {
    let lab = lab().await;
    let roles = "/redfish/v1/AccountService/Roles";
    for (name, privileges) in [
        (
            "Administrator",
            json!(["Login", "ConfigureManager", "ConfigureUsers", "ConfigureSelf", "ConfigureComponents"]),
        ),
        ("Operator", json!(["Login", "ConfigureSelf", "ConfigureComponents"])),
        ("ReadOnly", json!(["Login", "ConfigureSelf"])),
    ] {
        let path = format!("{roles}/{name}");
        let role = lab.get(&path).await.json();
        assert_eq!((&role["RoleId"], &role["AssignedPrivileges"]), (&json!(name), &privileges));
        assert_eq!(role["IsPredefined"], true);
        for method in ["PATCH", "DELETE"] {
            let answer =
                Ask::new(method, &path).json(&json!({"AssignedPrivileges": []})).send(&lab.one).await;
            answer.refused(405, &["OperationNotAllowed"]);
        }
    }
    lab.get(&format!("{roles}/OEM")).await.refused(404, &["ResourceNotFound"]);
}
