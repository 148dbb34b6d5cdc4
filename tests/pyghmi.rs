//! pyghmi against the daemon: the client library of OpenStack and of xCAT's heirs. It tries SHA-256 first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use serde_json::{Value, json};
use testkit::python;

#[track_caller]
fn calls_as(node: &Node<'_>, user: &str, password: &str, calls: &[&str]) -> Vec<Value> {
    let (host, port) = (node.ipmi.ip().to_string(), node.ipmi.port().to_string());
    let script = python::script("pyghmi_client.py").args([&host, &port, user, password]);
    let text = script.args(calls).ok();
    let answers: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(answers.len(), calls.len());
    answers
}

/// The answers to calls in one session of the administrator.
#[track_caller]
fn calls(node: &Node<'_>, calls: &[&str]) -> Vec<Value> {
    calls_as(node, USER, PASSWORD, calls)
}

#[track_caller]
fn call(node: &Node<'_>, what: &str) -> Value {
    calls(node, &[what]).remove(0)
}

#[test]
fn power() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    assert_eq!(calls(&node, &["get_power", "set_power on"])[0], json!({"powerstate": "off"}));
    node.await_power("on");
    assert_eq!(call(&node, "get_power"), json!({"powerstate": "on"}));
    for (state, kind) in [("reset", "reset"), ("diag", "nmi"), ("shutdown", "powered-off")] {
        let mark = lab.last_event();
        let answer = call(&node, &format!("set_power {state}"));
        assert!(answer.get("error").is_none(), "{answer}");
        lab.await_event(mark, "node-0", kind);
    }
    // "boot" is "on" when off, and "reset" when on.
    call(&node, "set_power boot");
    node.await_power("on");
    call(&node, "set_power off");
    node.await_power("off");
    let refused = call(&node, "set_power reset");
    assert!(
        refused["error"].as_str().unwrap_or_default().contains("not supported in present state"),
        "{refused}"
    );
}

#[test]
fn boot_device() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    assert_eq!(call(&node, "get_bootdev")["bootdev"], "default");
    // No more than needed: where an answer is quicker than pyghmi's own event loop, that waits for its time-out.
    for (device, flags, name) in [
        ("network", "", "pxe"),
        ("network", " persist uefi", "pxe"),
        ("hd", " persist", "disk"),
        ("safe", "", "disk-safe-mode"),
        ("optical", " uefi", "cdrom"),
        ("setup", "", "bios"),
        ("floppy", " persist", "usb"),
    ] {
        let answers = calls(&node, &[&format!("set_bootdev {device}{flags}"), "get_bootdev"]);
        let persistent = flags.contains("persist");
        let read = json!({"bootdev": device, "persistent": persistent, "uefimode": flags.contains("uefi")});
        assert_eq!(answers, [json!({"bootdev": device}), read], "{flags}");
        assert_eq!(node.boot()["target"], name);
    }
    assert_eq!(calls(&node, &["set_bootdev default", "get_bootdev"])[1]["bootdev"], "default");
    assert_eq!(node.boot()["enabled"], "disabled");
}

#[test]
fn identity() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let answers = calls(&node, &["guid", "channel_info", "channel_access", "identify on", "identify off"]);
    let wire = answers[0].as_str().unwrap();
    // On the wire the GUID is the UUID back to front.
    let bytes: Vec<&str> = (0..16).rev().map(|index| &wire[index * 2..index * 2 + 2]).collect();
    assert_eq!(bytes.concat(), node.uuid.replace('-', ""));
    assert_eq!(answers[1]["Channel Medium type"], "802.3 LAN", "{}", answers[1]);
    assert_eq!(answers[2]["privilege_level"], "administrator", "{}", answers[2]);
    for identify in &answers[3..] {
        assert!(identify.get("error").is_none(), "{identify}");
    }
}

#[test]
fn inventory() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let answers = calls(&node, &["inventory"]);
    let shown = |name: &str| answers[0][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(shown("Manufacturer"), "polybmc", "{}", answers[0]);
    assert_eq!(shown("Serial Number"), "node-0", "{}", answers[0]);
    assert_eq!(shown("Chassis type"), "Main Server Chassis", "{}", answers[0]);
}

#[test]
fn wrong_logins_are_told_apart_from_silence() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let failed = |user: &str, password: &str| {
        let answer = calls_as(&node, user, password, &["get_power"]).remove(0);
        answer["error"].as_str().unwrap_or_else(|| panic!("no error but {answer}")).to_owned()
    };
    let wrong = failed(USER, "wrong");
    assert!(wrong.contains("ncorrect password"), "{wrong}");
    let unknown = failed("nobody", PASSWORD);
    assert!(unknown.contains("nauthorized"), "{unknown}");
}

/// One session of many commands: its sequence numbers pass the width of every window.
#[test]
fn unknown_commands_and_long_sessions() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let mut steps = vec!["raw 0x2c 0x00 0x00", "raw 0x0a 0x60"];
    steps.extend(["get_power"; 200]);
    let answers = calls(&node, &steps);
    assert_eq!(answers[0], json!({"code": 0xc1, "data": [0]}));
    assert_eq!(answers[1], json!({"code": 0xc1, "data": []}));
    assert!(answers[2..].iter().all(|answer| *answer == json!({"powerstate": "off"})));
}
