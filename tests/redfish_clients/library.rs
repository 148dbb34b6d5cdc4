//! `redfish`, DMTF's Python library, which the scripts and many programs of users are made with.

use polybmc_tests::images::Images;
use polybmc_tests::lab::{Lab, PASSWORD, USER};
use serde_json::{Value, json};
use testkit::python;

use super::{ipmi, ipmi_field, ipmi_lets_in};

#[test]
fn one_session_of_everything() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new.bin"), r#"{"Component": "BIOS", "Version": "7.1.2"}"#).unwrap();
    let images = Images::serve(folder.path());
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let tool = python::script("redfish_client.py").args([&node.redfish, USER, PASSWORD]);
    let text = tool.arg(lab.certificate()).args([&node.uuid, &images.url("new.bin")]).ok();
    let seen: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&seen["root"], &seen["sessions"]), (&json!(node.uuid), &json!(1)), "{seen:#}");
    assert_eq!((&seen["patched"], &seen["stale"]), (&json!(204), &json!(412)), "{seen:#}");
    assert_eq!(seen["made"], json!([201, "dora"]), "{seen:#}");
    assert_eq!(seen["deleted"], json!([204, 404]), "{seen:#}");
    assert_eq!(seen["head"], 200, "{seen:#}");
    assert_eq!(seen["args"], "rack-7", "{seen:#}");
    assert_eq!(seen["bad"], json!([400, "PropertyNotWritable"]), "{seen:#}");
    assert_eq!((&seen["left"], &seen["refused"].is_string()), (&json!(0), &true), "{seen:#}");
    assert_eq!(seen["task"]["first"], 202, "{seen:#}");
    assert!(seen["task"]["last"].as_u64().is_some_and(|status| (200..300).contains(&status)), "{seen:#}");

    assert_eq!(ipmi_field(&node, "dcmi asset_tag", "Asset tag"), "rack-7");
    assert!(ipmi_lets_in(&node, "dora", "Secret-1") && !ipmi_lets_in(&node, "gone", "Secret-1"));
    assert_eq!(ipmi(&node, "mc getsysinfo system_fw_version").trim(), "7.1.2");
}
