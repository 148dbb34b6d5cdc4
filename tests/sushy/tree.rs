//! The rest of sushy's methods, by the scenarios of `tests/python/sushy_tree.py`: what Ironic inspects, configures and updates.

use std::time::Duration;

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use serde_json::{Value, json};
use testkit::python;

#[track_caller]
fn tree(node: &Node<'_>, scenario: &str, arguments: &[&str]) -> Value {
    let script = python::script("sushy_tree.py").args([scenario, &node.redfish, USER, PASSWORD]);
    let text = script.args(arguments).limit(Duration::from_secs(180)).ok();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

#[track_caller]
fn ipmi(node: &Node<'_>, command: &str) -> String {
    node.ipmitool().args(command.split(' ')).ok()
}

#[test]
fn inspection_finds_what_ironic_wants_to_know() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let seen = tree(&node, "inventory", &[]);
    assert_eq!(seen["system"][1], node.uuid.as_str(), "{seen:#}");
    let some = |what: &str| seen[what].as_array().map_or(0, Vec::len);
    for what in ["processors", "macs", "simple_disks", "drives", "controllers", "adapters", "ports", "pcie"] {
        assert!(some(what) > 0, "{what} in {seen:#}");
    }
    for what in ["memory_gib", "threads", "simple_max", "drives_max"] {
        assert!(seen[what].as_f64().is_some_and(|value| value > 0.0), "{what} in {seen:#}");
    }
    assert!(seen["architecture"].is_string() && seen["bios_version"].is_string(), "{seen:#}");
}

#[test]
fn sensors_are_those_of_ipmi() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let seen = tree(&node, "sensors", &[]);
    let records = ipmi(&node, "sdr list full");
    for kind in ["temperatures", "fans"] {
        let found = seen[kind].as_object().unwrap();
        assert!(!found.is_empty(), "{kind} in {seen:#}");
        for name in found.keys() {
            assert!(records.contains(name.as_str()), "{name} is a sensor of IPMI too: {records}");
        }
    }
    assert!(!seen["supplies"].as_array().unwrap().is_empty(), "{seen:#}");
}

#[test]
fn chassis_and_manager() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let chassis = tree(&node, "chassis", &[]);
    assert_eq!(chassis["light"], json!(["Lit", "Off"]), "{chassis:#}");
    assert_eq!((&chassis["managers"], &chassis["systems"]), (&1.into(), &1.into()));
    let manager = tree(&node, "manager", &[]);
    assert_eq!((&manager["type"], &manager["offset"]), (&"BMC".into(), &"+02:00".into()), "{manager:#}");
    assert!(manager["reset"].as_array().is_some_and(|kinds| !kinds.is_empty()), "{manager:#}");
    assert_eq!(node.power(), "off", "the machine has not noticed");
}

#[test]
fn firmware_settings_wait_for_the_boot() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let seen = tree(&node, "bios", &[]);
    assert_eq!((&seen["now"], &seen["pending"]), (&true.into(), &true.into()), "{seen:#}");
    let known = seen["known"].as_array().unwrap();
    let attributes = seen["attributes"].as_array().unwrap();
    assert!(
        attributes.iter().all(|name| known.contains(name)),
        "each attribute is in the registry: {seen:#}"
    );
    assert_eq!(seen["unknown"]["status"], 400, "{seen:#}");
}

#[test]
fn secure_boot_and_its_keys() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let seen = tree(&node, "secure_boot", &[]);
    assert_ne!(seen["seen"][0][0], seen["seen"][1][0], "{seen:#}");
    let kinds = json!(["DeleteAllKeys", "DeletePK", "ResetAllKeysToDefault"]);
    assert_eq!(seen["reset_keys"], kinds, "{seen:#}");
    let databases = seen["databases"].as_object().unwrap();
    assert_eq!(databases.len(), 8, "{seen:#}");
    for (name, resets) in databases {
        match name.ends_with("Default") {
            true => assert_eq!(resets["class"], "MissingActionError", "{name}: {seen:#}"),
            false => {
                assert_eq!(*resets, json!(["DeleteAllKeys", "ResetAllKeysToDefault"]), "{name}: {seen:#}")
            }
        }
    }
}

#[test]
fn virtual_media_come_and_go_and_are_booted_from() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let seen = tree(&node, "virtual_media", &[]);
    let drives = seen["drives"].as_array().unwrap();
    assert!(drives.len() >= 2, "{seen:#}");
    for drive in drives {
        assert_eq!(drive["before"][0], false, "{drive:#}");
        assert_eq!(
            (&drive["during"][0], &drive["during"][1]),
            (&true.into(), &"image.iso".into()),
            "{drive:#}"
        );
        assert_eq!(drive["after"], json!([false, null]), "{drive:#}");
        assert!(drive["missing"]["class"].is_string(), "{drive:#}");
    }
    let inserted = tree(&node, "media_inserted", &["CD"]);
    assert_eq!(inserted[0], true);
    let before = lab.last_event();
    node.ipmitool().args(["chassis", "bootdev", "cdrom"]).ok();
    node.ipmitool().args(["power", "on"]).ok();
    let booted = lab.await_event(before, &node.name, "booted");
    assert!(booted["from"].as_str().is_some_and(|from| from.starts_with("cdrom")), "{booted}");
}

#[test]
fn firmware_is_updated_by_a_task() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let seen = tree(&node, "update", &[]);
    assert_eq!(seen["states"][0][0], "Completed", "{seen:#}");
    assert!(seen["asked"].to_string().contains("/bios-9.1.bin"), "{seen:#}");
    let changed = seen["after"].as_object().unwrap().iter();
    let changed = changed.filter(|(id, version)| seen["before"][id.as_str()][0] != **version).count();
    assert!(changed > 0, "a version has changed: {seen:#}");
}

#[test]
fn message_registries_come_from_the_service() {
    let lab = Lab::builder(1).start();
    let seen = tree(&lab.node(0), "registries", &[]);
    assert_eq!(seen["warned"], json!([]), "{seen:#}");
    for (registry, message) in [("Base.1.22", "AccessUnauthorized"), ("Update.1.3", "UpdateSuccessful")] {
        let messages = seen["loaded"][registry].as_array().unwrap_or_else(|| panic!("{seen:#}"));
        assert!(messages.contains(&message.into()), "{seen:#}");
    }
}

#[test]
fn sessions_events_and_certificates() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let sessions = tree(&node, "sessions", &[]);
    assert_eq!(sessions["seen"], json!([USER, true, true]), "{sessions:#}");
    assert_eq!(sessions["gone"], "ResourceNotFoundError", "{sessions:#}");
    let events = tree(&node, "events", &[]);
    assert_eq!((&events["listed"], &events["left"]), (&true.into(), &false.into()), "{events:#}");
    assert_eq!(events["records"], json!([["17", "Base.1.0.Success"]]), "{events:#}");
    let certificates = tree(&node, "certificates", &[]);
    assert!(certificates.to_string().contains("-----BEGIN CERTIFICATE-----"), "{certificates:#}");
}

#[test]
fn a_volume_is_made_and_deleted() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let seen = tree(&node, "storage", &[]);
    assert_eq!(seen["made"][0][0], "RAID0", "{seen:#}");
    assert_eq!(seen["as_before"], true, "{seen:#}");
}
