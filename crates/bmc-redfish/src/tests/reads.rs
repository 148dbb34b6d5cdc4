//! What a client reads: the tree, its links, its headers.

use std::collections::{BTreeMap, VecDeque};

use axum::Router;

use super::*;
use crate::routes::{self, Access};

/// Everything `@odata.id` and `target` of an answer name.
fn links(value: &Value, found: &mut VecDeque<String>, targets: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value.as_str() {
                    Some(uri) if name == "@odata.id" || name == "@Redfish.ActionInfo" => {
                        // What lies in another resource is reached through that.
                        let resource = uri.split('#').next().unwrap_or_default();
                        found.push_back(resource.to_owned());
                    }
                    Some(uri) if name == "target" => targets.push(uri.to_owned()),
                    _ => links(value, found, targets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| links(item, found, targets)),
        _ => {}
    }
}

/// All resources reachable from the root, by URI.
pub(super) async fn crawl(router: &Router) -> BTreeMap<String, Value> {
    let (mut queue, mut targets, mut seen) =
        (VecDeque::from(["/redfish/v1/".to_owned()]), Vec::new(), BTreeMap::new());
    while let Some(uri) = queue.pop_front() {
        if seen.contains_key(&uri) {
            continue;
        }
        let answer = Ask::get(&uri).send(router).await;
        assert_eq!(answer.status, 200, "{uri}");
        let json = answer.json();
        assert_eq!(json["@odata.id"], uri, "a resource says where it is");
        assert!(answer.header("allow").contains("GET"), "{uri}");
        let tag = answer.header("etag").trim_matches('"');
        assert!(tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let kind = json["@odata.type"].as_str().unwrap().trim_start_matches('#').rsplit_once('.').unwrap().0;
        let described = answer.header("link");
        assert!(described.starts_with("<http://redfish.dmtf.org/schemas/"), "{described}");
        assert!(described.ends_with(&format!("/v1/{kind}.json>; rel=describedby")), "{described}");
        links(&json, &mut queue, &mut targets);
        seen.insert(uri, json);
    }
    for target in targets {
        let answer = Ask::get(&target).send(router).await;
        answer.refused(405, &["OperationNotAllowed"]);
        assert_eq!(answer.header("allow"), "POST", "{target}");
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn one_bmc_has_exactly_one_of_each_and_no_dangling_link() {
    let lab = Lab::new(3, RedfishConfig::default()).await;
    let tree = crawl(&lab.one).await;
    for collection in ["Systems", "Managers", "Chassis"] {
        let members = &tree[&format!("/redfish/v1/{collection}")];
        assert_eq!(members["Members@odata.count"], 1);
        let uri = format!("/redfish/v1/{collection}/{}", lab.machine.snapshot().uuid);
        assert_eq!(members["Members"], json!([{"@odata.id": uri}]));
    }
    let root = &tree["/redfish/v1/"];
    assert_eq!(root["UUID"], lab.machine.snapshot().uuid.to_string());
    assert_eq!(root["Links"]["Sessions"], root_sessions());
}

fn root_sessions() -> Value {
    json!({"@odata.id": "/redfish/v1/SessionService/Sessions"})
}

#[tokio::test(start_paused = true)]
async fn the_aggregate_has_all_machines_also_those_that_come_later() {
    let lab = Lab::new(3, RedfishConfig::default()).await;
    let tree = crawl(&lab.all).await;
    assert_eq!(tree["/redfish/v1/Systems"]["Members@odata.count"], 3);
    assert!(lab.fleet.remove("m2", false).await.unwrap());
    let fewer = crawl(&lab.all).await;
    assert_eq!(fewer["/redfish/v1/Systems"]["Members@odata.count"], 2);
    assert!(lab.fleet.remove("m1", false).await.unwrap());
    let least = crawl(&lab.all).await.len();
    assert_eq!(
        tree.len() - fewer.len(),
        fewer.len() - least,
        "each machine has as many resources as another"
    );
}

#[tokio::test(start_paused = true)]
async fn names_and_uuids_work_in_urls_and_the_uuid_is_canonical() {
    let lab = Lab::new(2, RedfishConfig::default()).await;
    let uuid = lab.machine.snapshot().uuid.to_string();
    for router in [&lab.one, &lab.all] {
        for id in ["m0", "vm0", &uuid, &uuid.to_uppercase()] {
            for collection in ["Systems", "Managers", "Chassis"] {
                let answer = Ask::get(&format!("/redfish/v1/{collection}/{id}")).send(router).await;
                assert_eq!(answer.json()["@odata.id"], format!("/redfish/v1/{collection}/{uuid}"));
            }
        }
    }
    let other = lab.fleet.find("m1").unwrap().snapshot().uuid;
    for id in ["m1", &other.to_string(), "m", "%ff", "..", "m0%2f"] {
        let answer = lab.get(&format!("/redfish/v1/Systems/{id}")).await;
        assert_eq!(answer.status, 404, "{id}: not a machine of this BMC");
    }
}

#[tokio::test(start_paused = true)]
async fn a_system_shows_its_machine() {
    let lab = lab().await;
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["PowerState"], "Off");
    assert_eq!(system["Status"], json!({"State": "StandbyOffline", "Health": "OK"}));
    assert_eq!(system["SystemType"], "Virtual");
    assert_eq!(system["ProcessorSummary"]["LogicalProcessorCount"], 2);
    assert_eq!(system["MemorySummary"]["TotalSystemMemoryGiB"], 4);
    assert_eq!(system["Boot"]["BootSourceOverrideEnabled"], "Disabled");
    assert_eq!(system["Boot"]["BootSourceOverrideTarget"], "None");
    assert_eq!(system["Boot"]["BootSourceOverrideMode"], "Legacy");
    let targets = &system["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"];
    assert_eq!(
        *targets,
        json!(["None", "Pxe", "Cd", "Usb", "Hdd", "BiosSetup", "Diags"]),
        "no HTTP boot under legacy"
    );
    let action = &system["Actions"]["#ComputerSystem.Reset"];
    let info = lab.get(action["@Redfish.ActionInfo"].as_str().unwrap()).await.json();
    assert_eq!(info["Parameters"][0]["AllowableValues"], action["ResetType@Redfish.AllowableValues"]);
}

#[tokio::test(start_paused = true)]
async fn a_system_shows_how_far_it_has_booted() {
    let lab = lab().await;
    let shown = async || lab.get(&lab.system()).await.json()["BootProgress"].clone();
    assert_eq!(shown().await, json!({"LastState": "None"}), "it was off before anybody looked");
    assert_eq!(lab.reset("On").await.status, 204);
    let mut seen = Vec::new();
    while seen.last() != Some(&json!("OSRunning")) {
        let progress = shown().await;
        assert!(progress["LastStateTime"].is_string(), "{progress}");
        if seen.last() != Some(&progress["LastState"]) {
            seen.push(progress["LastState"].clone());
        }
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(seen, ["PrimaryProcessorInitializationStarted", "OSBootStarted", "OSRunning"]);
    assert_eq!(lab.reset("ForceOff").await.status, 204);
    let off = shown().await;
    assert_eq!(off["LastState"], "None");
    assert!(off["LastStateTime"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_machine_out_of_reach_is_shown_as_such_with_its_last_state() {
    let lab = lab().await;
    lab.sim.disconnect(bmc_core::error::BackendError::unavailable("the hypervisor is gone"));
    until(&lab.machine, |snapshot| snapshot.health != Health::Available).await;
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["Status"], json!({"State": "UnavailableOffline", "Health": "Critical"}));
    assert_eq!(system["PowerState"], "Off");
    let answer = lab.reset("On").await;
    answer.refused(503, &["ServiceTemporarilyUnavailable"]);
    assert_eq!(answer.header("retry-after"), "10");
    let resolution = &answer.json()["error"]["@Message.ExtendedInfo"][0]["Resolution"];
    assert_eq!(resolution, "The hypervisor is gone.");
    lab.sim.reconnect();
    until(&lab.machine, |snapshot| snapshot.health == Health::Available).await;
    assert_eq!(lab.reset("On").await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_needs_to_log_in_is_open_to_all_and_nothing_else_is() {
    let lab = lab().await;
    for route in routes::all() {
        for verb in route.verbs {
            let path = route.path.replace("{id}", "m0").replace("Sensors/{member}", "Sensors/Fan1");
            let answer = Ask::anonymous(verb.kind.as_str(), &path).send(&lab.one).await;
            if verb.access == Access::Public {
                assert_ne!(answer.status, 401, "{} {path}", verb.kind.as_str());
            } else {
                answer.refused(401, &["NoValidSession"]);
                assert!(answer.header("www-authenticate").starts_with("Basic"));
            }
        }
    }
    Ask::anonymous("GET", "/redfish/v1/nothing").send(&lab.one).await.refused(401, &["NoValidSession"]);
    Ask::anonymous("PUT", "/redfish/v1").send(&lab.one).await.refused(401, &["NoValidSession"]);
}

#[tokio::test(start_paused = true)]
async fn the_fixed_uris() {
    let lab = lab().await;
    assert_eq!(Ask::anonymous("GET", "/redfish").send(&lab.one).await.json(), json!({"v1": "/redfish/v1/"}));
    let odata = Ask::anonymous("GET", "/redfish/v1/odata").send(&lab.one).await.json();
    assert_eq!(odata["@odata.context"], "/redfish/v1/$metadata");
    for entry in odata["value"].as_array().unwrap() {
        assert_eq!(lab.get(entry["url"].as_str().unwrap()).await.status, 200, "{entry}");
    }
    let metadata = Ask::anonymous("GET", "/redfish/v1/$metadata").send(&lab.one).await;
    assert_eq!(metadata.header("content-type"), "application/xml;charset=utf-8");
    let xml = String::from_utf8(metadata.bytes).unwrap();
    assert!(xml.contains("http://redfish.dmtf.org/schemas/v1/ComputerSystem_v1.xml"));
    assert!(xml.contains("Namespace=\"ComputerSystem.v1_27_0\""));
    assert!(xml.contains("Extends=\"ServiceRoot.v1_20_0.ServiceContainer\""));
}

#[tokio::test(start_paused = true)]
async fn a_trailing_slash_and_head_and_options_work_everywhere() {
    let lab = lab().await;
    let documents = ["/redfish", "/redfish/v1", "/redfish/v1/odata", "/redfish/v1/$metadata"];
    let resources = crawl(&lab.one).await;
    for path in resources.keys().map(String::as_str).chain(documents) {
        let path = path.trim_end_matches('/');
        let (plain, slash) = (lab.get(path).await, lab.get(&format!("{path}/")).await);
        assert_eq!((plain.status, slash.status), (StatusCode::OK, StatusCode::OK), "{path}");
        let head = Ask::new("HEAD", path).send(&lab.one).await;
        assert!(head.bytes.is_empty());
        // What tells the time may have gone on.
        if String::from_utf8_lossy(&plain.bytes).contains("\"DateTime\"")
            || String::from_utf8_lossy(&plain.bytes).contains("\"Timestamp\"")
        {
            continue;
        }
        assert_eq!(plain.bytes, slash.bytes, "{path}");
        assert_eq!(head.header("content-length"), plain.bytes.len().to_string());
        assert_eq!(head.headers.get("etag"), plain.headers.get("etag"));
    }
    for route in routes::all() {
        let path = route.path.replace("{id}", "m0").replace("{member}", "x").replace("{leaf}", "x");
        let options = Ask::new("OPTIONS", &path).send(&lab.one).await;
        assert_eq!(options.status, 204);
        assert_eq!(options.headers["allow"], route.allow(), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn if_none_match_spares_the_body() {
    let lab = lab().await;
    let tag = lab.get(&lab.system()).await.header("etag").to_owned();
    let again = Ask::get(&lab.system()).header("if-none-match", &tag).send(&lab.one).await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    assert_eq!(again.header("etag"), tag);
    assert_eq!(lab.patch(json!({"AssetTag": "x"})).await.status, 204);
    let changed = Ask::get(&lab.system()).header("if-none-match", &tag).send(&lab.one).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_registries_in_use_are_served_with_the_messages_that_are_sent() {
    let lab = lab().await;
    let registries = lab.get("/redfish/v1/Registries").await.json();
    let mut texts = std::collections::HashMap::new();
    for member in registries["Members"].as_array().unwrap() {
        let file = lab.get(member["@odata.id"].as_str().unwrap()).await.json();
        let registry = lab.get(file["Location"][0]["Uri"].as_str().unwrap()).await.json();
        let Some(messages) = registry["Messages"].as_object() else { continue };
        assert!(
            file["Location"][0]["PublicationUri"]
                .as_str()
                .unwrap()
                .contains(registry["Id"].as_str().unwrap())
        );
        assert!(!messages.is_empty(), "{file}");
        for (key, message) in messages {
            let kinds = message["ParamTypes"].as_array().map_or(0, Vec::len);
            assert_eq!(message["NumberOfArgs"], kinds, "{key}");
            texts.insert(format!("{}.{key}", file["Registry"].as_str().unwrap()), message.clone());
        }
    }
    // What is sent is found there by its id, and says the same.
    let answer = lab.reset("Explode").await.json();
    let sent = &answer["error"]["@Message.ExtendedInfo"][0];
    let mut text = texts[sent["MessageId"].as_str().unwrap()]["Message"].as_str().unwrap().to_owned();
    for (n, arg) in sent["MessageArgs"].as_array().unwrap().iter().enumerate() {
        text = text.replace(&format!("%{}", n + 1), arg.as_str().unwrap());
    }
    assert_eq!(sent["Message"], text);
    assert!(texts.contains_key("Update.1.3.UpdateSuccessful"), "{:?}", texts.keys());
    lab.get("/redfish/v1/Registries/Nothing/Registry").await.refused(404, &["ResourceNotFound"]);
    Ask::anonymous("GET", "/redfish/v1/Registries/Base/Registry")
        .send(&lab.one)
        .await
        .refused(401, &["NoValidSession"]);
}
