//! sushy, the client inside Ironic: sessions, power, boot, ETags, refusals, on both kinds of root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "sushy/tree.rs"]
mod tree;

use std::time::Duration;

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use serde_json::{Value, json};
use testkit::python;
use testkit::tools::Tool;

/// One scenario of `tests/python/sushy_client.py`, as the administrator.
#[track_caller]
fn sushy(root: &str, scenario: &str, arguments: &[&str]) -> Value {
    read(client(root, scenario, PASSWORD).args(arguments))
}

fn client(root: &str, scenario: &str, password: &str) -> Tool {
    python::script("sushy_client.py").args([scenario, root, USER, password]).limit(Duration::from_secs(120))
}

#[track_caller]
fn read(tool: Tool) -> Value {
    let text = tool.ok();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

/// What happened on a BMC since the event `after`, without what the machine did by itself.
fn events(lab: &Lab, after: u64, node: &Node<'_>, kinds: &[&str]) -> Vec<Value> {
    let mut events = lab.events(after);
    events.retain(|event| {
        event["bmc"] == node.name.as_str() && kinds.contains(&event["kind"].as_str().unwrap_or_default())
    });
    events
}

#[test]
fn every_way_to_log_in_gets_in_and_leaves_no_session() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for (kind, token) in [("session", true), ("basic", false), ("auto", true)] {
        let seen = sushy(&node.redfish, "login", &[kind]);
        let sessions = u64::from(token);
        let wanted = json!({
            "token": token,
            "own_is_listed": token,
            "during": sessions,
            "after": 0,
            "uuid": node.uuid,
            "manager": seen["manager"],
        });
        assert_eq!(seen, wanted, "{kind}");
    }
}

#[test]
fn a_wrong_password_is_an_access_error_whatever_the_way() {
    let lab = Lab::builder(1).start();
    for kind in ["session", "basic", "auto"] {
        let seen = read(client(&lab.node(0).redfish, "wrong_password", "Passw0rd").arg(kind));
        assert_eq!((&seen["class"], &seen["status"]), (&"AccessError".into(), &401.into()), "{kind}: {seen}");
    }
    assert!(!lab.daemon.log().contains("Passw0rd"));
}

#[test]
fn a_session_that_was_closed_is_opened_again() {
    let lab = Lab::builder(1).start();
    let seen = sushy(&lab.node(0).redfish, "session_lost", &[]);
    assert_eq!((&seen["other"], &seen["left"]), (&true.into(), &0.into()), "{seen}");
    assert!(seen["refused"].as_u64().is_some_and(|refused| refused > 0), "the old token was refused: {seen}");
}

#[test]
fn every_power_action() {
    // A self-test long enough to be seen by a client that looks every now and then.
    let lab = Lab::builder(1).post(Duration::from_secs(1)).start();
    let node = lab.node(0);
    let before = lab.last_event();
    sushy(&node.redfish, "power", &[]);
    let power = ["powered-on", "powered-off", "reset", "nmi", "shutdown-requested"];
    let seen: Vec<Value> =
        events(&lab, before, &node, &power).into_iter().map(|event| event["kind"].clone()).collect();
    let wanted = [
        "powered-on", // On; ForceOn finds it on
        "reset",      // ForceRestart
        "nmi",        // Nmi
        "powered-off",
        "powered-on", // PowerCycle
        "shutdown-requested",
        "powered-off",
        "powered-on", // GracefulRestart
        "shutdown-requested",
        "powered-off", // GracefulShutdown; ForceOff finds it off
        "powered-on",  // PushPowerButton
        "shutdown-requested",
        "powered-off", // PushPowerButton
        "powered-on",
        "powered-off", // ForceOn, ForceOff
    ];
    assert_eq!(seen, wanted, "{:#?}", lab.events(before));
    assert_eq!(node.power(), "off");
}

#[test]
fn every_boot_target_once_and_continuous_in_both_modes() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let before = lab.last_event();
    let done = sushy(&node.redfish, "boot", &[]);
    let done = done.as_array().expect("a list of what was set");
    assert!(done.len() >= 2 * 2 * 6, "{done:?}");

    // What sushy read back is what everybody else sees.
    let shown = |event: &Value| (event["target"].clone(), event["enabled"].clone());
    let mut set: Vec<(Value, Value)> =
        events(&lab, before, &node, &["boot-override-set"]).iter().map(shown).collect();
    let mut wanted: Vec<(Value, Value)> = done
        .iter()
        .map(|row| {
            let target = match row[1].as_str().unwrap_or_default() {
                "None" => return ("none".into(), "disabled".into()),
                "Pxe" => "pxe",
                "Hdd" => "disk",
                "Cd" => "cdrom",
                "Usb" => "usb",
                "BiosSetup" => "bios",
                "Diags" => "diagnostics",
                "UefiHttp" => "http",
                other => panic!("what is {other}?"),
            };
            (target.into(), if row[2] == "Once" { "once" } else { "continuous" }.into())
        })
        .collect();
    wanted.push(("none".into(), "disabled".into()));
    // What is set again as it was is no event.
    wanted.dedup();
    set.dedup();
    assert_eq!(set, wanted);
}

#[test]
fn a_one_time_boot_is_taken_back_by_the_boot() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for (enabled, after) in [("Once", ("None", "Disabled")), ("Continuous", ("Pxe", "Continuous"))] {
        let before = lab.last_event();
        sushy(&node.redfish, "boot_set", &["Pxe", enabled]);
        sushy(&node.redfish, "power_one", &["On", "On"]);
        let event = lab.await_event(before, &node.name, "booted");
        assert!(event["from"].as_str().is_some_and(|from| from.starts_with("network")), "{event}");
        let seen = sushy(&node.redfish, "boot_get", &[]);
        assert_eq!((&seen["target"], &seen["enabled"]), (&after.0.into(), &after.1.into()));
        sushy(&node.redfish, "power_one", &["ForceOff", "Off"]);
    }
}

#[test]
fn etags_guard_a_change() {
    let lab = Lab::builder(1).start();
    let seen = sushy(&lab.node(0).redfish, "etags", &[]);
    let wanted = json!({
        "same": true,
        "strong": true,
        "moved": true,
        // sushy goes on without the tag, as Ironic's users expect.
        "with_old": [412, 204],
        "with_present": [204],
        "refused": { "class": "HTTPError", "status": 412, "messages": ["PreconditionFailed"] },
        "unchanged": 304,
        "asset_tag": "",
    });
    assert_eq!(seen, wanted);
}

#[test]
fn refusals_are_the_errors_that_sushy_knows() {
    let lab = Lab::builder(1).start();
    let seen = sushy(&lab.node(0).redfish, "errors", &[]);
    let error = |class: &str, status: u16, message: &str| json!({ "class": class, "status": status, "messages": [message] });
    let bad = |message: &str| error("BadRequestError", 400, message);
    let wanted = json!({
        "unknown system": error("ResourceNotFoundError", 404, "ResourceNotFound"),
        "unknown path": error("ResourceNotFoundError", 404, "ResourceMissingAtURI"),
        "unknown reset type": bad("ActionParameterValueNotInList"),
        "no reset type": bad("ActionParameterMissing"),
        "reset type of a wrong type": bad("ActionParameterValueTypeError"),
        "unknown parameter": bad("ActionParameterUnknown"),
        "off and reset": error("HTTPError", 409, "ChassisPowerStateOnRequired"),
        "unknown property": bad("PropertyUnknown"),
        "read-only property": bad("PropertyNotWritable"),
        "unknown target": bad("PropertyValueNotInList"),
        "target of a wrong type": bad("PropertyValueTypeError"),
        "boot of a wrong type": bad("PropertyValueTypeError"),
        "nothing": bad("EmptyJSON"),
        "not a method": error("HTTPError", 405, "OperationNotAllowed"),
        "refused by sushy": { "class": "InvalidParameterValueError" },
    });
    assert_eq!(seen, wanted);
}

#[test]
fn the_light_as_ironic_drives_it() {
    let lab = Lab::builder(1).start();
    assert_eq!(sushy(&lab.node(0).redfish, "identify", &[]), json!(["Lit", "Off"]));
}

#[test]
fn the_root_over_all_bmcs_knows_every_machine_by_name_and_by_uuid() {
    let lab = Lab::builder(3).start();
    let nodes = [0, 1, 2].map(|number| lab.node(number));
    let ids: Vec<&str> = nodes.iter().flat_map(|node| [node.name.as_str(), node.uuid.as_str()]).collect();
    let seen = sushy(&lab.aggregate, "aggregate", &ids);
    for node in &nodes {
        let uuid = Value::from(node.uuid.as_str());
        assert_eq!(seen["systems"][&node.name], uuid, "{seen:#}");
        assert_eq!((&seen["by_id"][&node.name], &seen["by_id"][&node.uuid]), (&uuid, &uuid), "{seen:#}");
    }
    assert_eq!(seen["systems"].as_object().map(|systems| systems.len()), Some(3));
    assert_eq!((&seen["managers"], &seen["chassis"]), (&3.into(), &3.into()));
    assert_eq!(seen["ambiguous"]["class"], "UnknownDefaultError", "sushy asks which one is meant");

    // A single BMC's root knows its own machine only.
    let own = sushy(&nodes[0].redfish, "login", &["session"]);
    assert_eq!(own["uuid"], nodes[0].uuid.as_str());
    let stranger = client(&nodes[0].redfish, "aggregate", PASSWORD).arg(&nodes[1].name).fails();
    assert!(stranger.stderr.contains("ResourceNotFoundError"), "{stranger}");
}
