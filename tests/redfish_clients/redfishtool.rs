//! redfishtool, DMTF's older command-line client.

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use polybmc_tests::redfish::{Redfish, SYSTEMS};
use serde_json::{Value, json};
use testkit::python;

use super::{await_ipmi_power, ipmi, ipmi_boot, ipmi_lets_in};

/// What it prints; arguments are separated by blanks.
#[track_caller]
fn tool(node: &Node<'_>, arguments: &str) -> String {
    let (scheme, host) = node.redfish.split_once("://").unwrap();
    assert_eq!(scheme, "https", "it never sends a password in the clear");
    let login = ["-r", host, "-u", USER, "-p", PASSWORD, "-S", "Always"];
    python::program("redfishtool").args(login).args(arguments.split_whitespace()).ok()
}

#[track_caller]
fn read(node: &Node<'_>, arguments: &str) -> Value {
    let text = tool(node, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in what {arguments} printed: {text}"))
}

#[test]
fn systems() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    assert_eq!(read(&node, "versions"), json!({"v1": "/redfish/v1/"}));
    assert_eq!(read(&node, "root")["UUID"], node.uuid.as_str());
    assert!(tool(&node, "metadata").contains("edmx:Edmx"));
    assert_eq!(read(&node, "Systems list")["Members"][0]["Id"], node.uuid.as_str());
    for found in [
        format!("Systems -I {}", node.uuid),
        format!("Systems -M Name:{}", node.name),
        "Systems -F".to_owned(),
        "Systems -1".to_owned(),
    ] {
        assert_eq!(read(&node, &found)["UUID"], node.uuid.as_str(), "{found}");
    }

    for (kind, power) in [
        ("On", "on"),
        ("ForceRestart", "on"),
        ("GracefulShutdown", "off"),
        ("ForceOn", "on"),
        ("ForceOff", "off"),
    ] {
        let before = lab.last_event();
        tool(&node, &format!("Systems -F reset {kind}"));
        await_ipmi_power(&node, power);
        if power == "on" {
            lab.await_event(before, &node.name, "booted");
        }
    }
    assert_eq!(read(&node, "Systems -F setAssetTag rack-7")["AssetTag"], "rack-7");
    let detail = lab.json(&["show", &node.name, "-o", "json"]);
    assert_eq!(detail["asset_tag"], "rack-7");
    assert_eq!(read(&node, "Systems -F setIndicatorLed Lit")["IndicatorLED"], "Lit");
    // IPMI 2.0 §28.2: bits 5:4 of the third byte are 2 until told otherwise.
    let status = ipmi(&node, "raw 0x00 0x01");
    assert_eq!(status.split_whitespace().nth(2).map(|byte| &byte[..1]), Some("6"), "{status}");
    tool(&node, "Systems -F setBootOverride Continuous Pxe");
    assert_eq!(ipmi_boot(&node), "Force PXE");
    tool(&node, "Systems -F setBootOverride Disabled");
    assert_eq!(ipmi_boot(&node), "No override");
    let patched = read(&node, "Systems -F patch {\"PowerRestorePolicy\":\"AlwaysOn\"}");
    assert_eq!(patched["PowerRestorePolicy"], "AlwaysOn");
    assert!(ipmi(&node, "chassis status").contains("always-on"));
}

#[test]
fn logs_and_sensors() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let logs = read(&node, "Systems -F Logs list");
    assert_eq!(logs["Members"][0]["Id"], "SEL", "{logs}");
    let entries = read(&node, "Systems -F Logs -i SEL -E");
    let shown = entries["Members"].as_array().unwrap_or_else(|| panic!("no entries: {entries:#}")).len();
    assert_eq!(shown, ipmi(&node, "sel list").lines().count());
    let clear = format!("{SYSTEMS}/{}/LogServices/SEL/Actions/LogService.ClearLog", node.uuid);
    tool(&node, &format!("raw POST {clear} -d {{}}"));
    assert!(ipmi(&node, "sel list").lines().count() < shown, "cleared");
    assert_eq!(read(&node, "Managers -F")["ManagerType"], "BMC");
    assert_eq!(read(&node, "Chassis -F")["ChassisType"], "StandAlone");
}

#[test]
fn sessions() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let session = read(&node, "SessionService login");
    let location = session["SessionLocation"].as_str().unwrap();
    let shown = Redfish::of(&node).read(location);
    assert_eq!(shown["UserName"], USER);
    assert_eq!(read(&node, "SessionService Sessions list")["Members@odata.count"], 1);
    let token = session["X-Auth-Token"].as_str().unwrap();
    let by_token = format!("-t {token} -A Session Systems -F -P UUID");
    assert_eq!(read(&node, &by_token)["UUID"], node.uuid.as_str());
    assert_eq!(read(&node, "SessionService setSessionTimeout 600")["SessionTimeout"], 600);
    tool(&node, &format!("SessionService logout -l {location}"));
    Redfish::of(&node).get(location).expect(404);
}

#[test]
fn accounts() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    tool(&node, "AccountService adduser dora Secret-1 Operator");
    assert!(ipmi_lets_in(&node, "dora", "Secret-1"));
    let accounts = read(&node, "AccountService Accounts list");
    assert!(accounts.to_string().contains("dora"), "{accounts:#}");
    tool(&node, "AccountService setpassword dora Secret-2");
    assert!(ipmi_lets_in(&node, "dora", "Secret-2"));
    tool(&node, "AccountService useradmin dora disable");
    assert!(!ipmi_lets_in(&node, "dora", "Secret-2"));
    tool(&node, "AccountService useradmin dora enable");
    tool(&node, "AccountService useradmin dora setRoleId ReadOnly");
    assert!(ipmi(&node, "user list 1").lines().any(|line| line.contains("dora") && line.contains("USER")));
    tool(&node, "AccountService deleteuser dora");
    assert!(!ipmi_lets_in(&node, "dora", "Secret-2"));
    assert_eq!(
        read(&node, "AccountService Roles list")["Members@odata.count"].as_u64().map(|roles| roles >= 3),
        Some(true)
    );
}
