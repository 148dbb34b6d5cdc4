//! The event log as clients see it: ipmitool, FreeIPMI, pyghmi, Redfish and the command line read one log, and a power cut loses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use polybmc_tests::redfish::{Redfish, SYSTEMS};
use serde_json::Value;
use testkit::python;
use testkit::tools::Tool;

#[track_caller]
fn ipmitool(node: &Node<'_>, args: &[&str]) -> String {
    node.ipmitool().args(args).ok()
}

/// ipmi-sel without any workaround flag and without a cache of SDRs that outlives the test.
#[track_caller]
fn ipmi_sel(node: &Node<'_>, cache: &tempfile::TempDir, args: &[&str]) -> String {
    let tool =
        Tool::find("ipmi-sel").args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "-I", "17"]);
    let tool = tool.arg("-h").arg(node.ipmi.to_string());
    let cache = cache.path().to_str().unwrap();
    tool.args(["--quiet-cache", "--sdr-cache-directory", cache]).args(args).ok()
}

/// The log as the command line shows it.
#[track_caller]
fn log(lab: &Lab, node: &Node<'_>) -> Vec<Value> {
    lab.json(&["sel", &node.name, "list", "-o", "json"])["entries"].as_array().unwrap().clone()
}

/// The URIs of the entries over Redfish.
#[track_caller]
fn members(node: &Node<'_>) -> Vec<Value> {
    let uri = format!("{SYSTEMS}/{}/LogServices/SEL/Entries", node.name);
    Redfish::of(node).read(&uri)["Members"].as_array().unwrap().clone()
}

/// What ipmitool lists, one line an entry.
#[track_caller]
fn listed(node: &Node<'_>) -> Vec<String> {
    ipmitool(node, &["sel", "list"]).lines().map(str::to_owned).collect()
}

#[test]
fn each_power_change_is_one_entry_for_every_client() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let cache = tempfile::tempdir().unwrap();
    let mut seen = 0;
    let mut expect = |words: &[&str]| {
        let lines = listed(&node);
        assert_eq!(lines.len(), seen + words.len(), "{lines:#?}");
        for (line, words) in lines.iter().skip(seen).zip(words) {
            assert!(line.contains(words), "{line} has no {words:?}");
        }
        assert_eq!(members(&node).len(), lines.len());
        assert_eq!(log(&lab, &node).len(), lines.len());
        assert_eq!(ipmi_sel(&node, &cache, &["--no-header-output"]).lines().count(), lines.len());
        seen = lines.len();
    };
    node.bring_up();
    expect(&["Power Unit #0xe0 | Power off/down | Deasserted"]);
    let mark = lab.last_event();
    ipmitool(&node, &["power", "cycle"]);
    lab.await_event(mark, "node-0", "booted");
    expect(&["Power off/down | Asserted", "Power off/down | Deasserted"]);
    ipmitool(&node, &["power", "reset"]);
    expect(&["System Boot Initiated #0xe3 | System Restart | Asserted"]);
    node.put_down();
    expect(&["Power off/down | Asserted"]);
    let elist = ipmitool(&node, &["sel", "elist"]);
    assert!(elist.contains("Power Unit Power Unit"), "the sensors have names: {elist}");
}

#[test]
fn ipmitool_works_on_the_log() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let info = ipmitool(&node, &["sel", "info"]);
    for words in ["Entries          : 0", "16368 bytes", "'Delete' 'Partial Add' 'Reserve' 'Get Alloc Info'"]
    {
        assert!(info.contains(words), "{info}");
    }
    ipmitool(&node, &["event", "1"]);
    ipmitool(&node, &["event", "2"]);
    assert!(listed(&node)[0].contains("Temperature #0x30 | Upper Critical going high | Asserted"));
    let shown = ipmitool(&node, &["sel", "get", "1"]);
    assert!(
        shown.contains("Generator ID          : 1081") || shown.contains("Generator ID          : 8110"),
        "{shown}"
    );
    ipmitool(&node, &["sel", "writeraw", &file("raw")]);
    assert_eq!(std::fs::metadata(file("raw")).unwrap().len(), 32, "two records of 16 bytes");
    assert_eq!(ipmitool(&node, &["sel", "readraw", &file("raw")]).lines().count(), 2);
    ipmitool(&node, &["sel", "save", &file("saved")]);
    ipmitool(&node, &["sel", "add", &file("saved")]);
    assert_eq!(listed(&node).len(), 4);
    assert_eq!(ipmitool(&node, &["sel", "delete", "1", "3"]), "Deleted entry 3\nDeleted entry 1\n");
    assert_eq!(listed(&node).len(), 2);
    ipmitool(&node, &["sel", "time", "get"]);
    ipmitool(&node, &["sel", "time", "set", "now"]);
    ipmitool(&node, &["sel", "clear"]);
    assert!(log(&lab, &node).is_empty());
}

#[test]
fn freeipmi_and_pyghmi_work_on_the_log() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let cache = tempfile::tempdir().unwrap();
    let sel = |args: &[&str]| ipmi_sel(&node, &cache, args);
    node.bring_up();
    ipmitool(&node, &["event", "1"]);
    let info = sel(&["--info"]);
    assert!(info.contains("Number of log entries                  : 2"), "{info}");
    assert!(info.contains("Events dropped due to lack of space    : No"), "{info}");
    assert!(sel(&["--no-header-output"]).contains("Power Unit"));
    sel(&["--delete", "1"]);
    assert_eq!(log(&lab, &node)[0]["id"], 2);

    let (host, port) = (node.ipmi.ip().to_string(), node.ipmi.port().to_string());
    let script = python::script("pyghmi_client.py").args([&host, &port, USER, PASSWORD]);
    let answers: Value = serde_json::from_str(&script.arg("event_log").ok()).unwrap();
    assert_eq!(answers[0][0]["record_id"], 2, "{answers:#}");
    assert_eq!(answers[0][0]["component_type"], "Temperature", "{answers:#}");

    sel(&["--clear"]);
    assert!(log(&lab, &node).is_empty());
}

#[test]
fn what_was_logged_survives_a_power_cut() {
    let mut lab = Lab::builder(1).start();
    for sent in 1..=5 {
        ipmitool(&lab.node(0), &["event", "1"]);
        let before = listed(&lab.node(0));
        assert_eq!(before.len(), sent);
        lab.daemon.kill();
        lab.daemon.restart();
        assert_eq!(listed(&lab.node(0)), before);
    }
    lab.daemon.cli(["sel", "node-0", "clear"]).ok();
    lab.daemon.kill();
    lab.daemon.restart();
    assert!(log(&lab, &lab.node(0)).is_empty());
}
