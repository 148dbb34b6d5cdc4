//! `redfish_utilities`, DMTF's scripts of the name `rf_*.py`, also known as Redfish-Tacklebox.

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use polybmc_tests::redfish::{Redfish, SYSTEMS};
use testkit::python;
use testkit::tools::Tool;

use super::{await_ipmi_power, ipmi, ipmi_boot, ipmi_lets_in};

pub(super) fn script(node: &Node<'_>, script: &str) -> Tool {
    python::program(script).args(["-u", USER, "-p", PASSWORD, "-r", &node.redfish])
}

/// What a script prints; arguments are separated by blanks.
#[track_caller]
pub(super) fn rf(node: &Node<'_>, name: &str, arguments: &str) -> String {
    script(node, &format!("rf_{name}.py")).args(arguments.split_whitespace()).ok()
}

#[test]
fn power_reset() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let offered = rf(&node, "power_reset", "--info");
    assert!(offered.contains("Current power state: Off"), "{offered}");
    for (kind, power, events) in [
        ("On", "on", &["powered-on"][..]),
        ("ForceRestart", "on", &["reset"]),
        ("PowerCycle", "on", &["powered-off", "powered-on"]),
        ("Nmi", "on", &["nmi"]),
        ("GracefulShutdown", "off", &["shutdown-requested", "powered-off"]),
        ("PushPowerButton", "on", &["powered-on"]),
        ("ForceOff", "off", &["powered-off"]),
    ] {
        assert!(offered.contains(kind), "{kind} is offered: {offered}");
        let before = lab.last_event();
        rf(&node, "power_reset", &format!("-t {kind}"));
        let last = events.last().unwrap();
        lab.await_event(before, &node.name, last);
        await_ipmi_power(&node, power);
        if power == "on" && *last != "nmi" {
            lab.await_event(before, &node.name, "booted");
        }
        assert_eq!(lab.power_changes_since(before, &node.name), events, "{kind}");
    }
    // Without a kind it takes a graceful restart, which needs something to restart.
    let refused = script(&node, "rf_power_reset.py").args(["-t", "ForceRestart"]).fails();
    assert!(refused.to_string().contains("ChassisPowerStateOnRequired"), "{refused}");
}

#[test]
fn boot_override() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    rf(&node, "boot_override", "-t Pxe -m Legacy");
    assert_eq!(ipmi_boot(&node), "Force PXE");
    let shown = rf(&node, "boot_override", "--info");
    assert!(shown.contains("Target: Pxe;") && shown.contains("Enabled: Once;"), "{shown}");
    // It restarts with grace what is on.
    node.bring_up();
    assert_eq!(ipmi_boot(&node), "No override");
    let before = lab.last_event();
    rf(&node, "boot_override", "-t Cd -reset");
    let booted = lab.await_event(before, &node.name, "booted");
    assert!(booted["from"].as_str().is_some_and(|from| from.starts_with("cdrom")), "{booted}");
    assert_eq!(ipmi_boot(&node), "No override");
    rf(&node, "boot_override", "-t Hdd");
    assert_eq!(ipmi_boot(&node), "Force Boot from default Hard-Drive");
    rf(&node, "boot_override", "-t None");
    assert_eq!(ipmi_boot(&node), "No override");
}

#[test]
fn sensor_list() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let listed = rf(&node, "sensor_list", "");
    let over_ipmi = ipmi(&node, "sdr list full");
    let names = over_ipmi.lines().filter_map(|line| line.split('|').next()).map(str::trim);
    let mut found = 0;
    for name in names.filter(|name| !name.is_empty()) {
        assert!(listed.contains(name), "{name} of IPMI is in\n{listed}");
        found += 1;
    }
    assert!(found > 4, "{over_ipmi}");
}

#[test]
fn event_log() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    node.put_down();
    let entries = ipmi(&node, "sel list").lines().count();
    assert!(entries >= 2);
    let sel = rf(&node, "sel", "-details");
    let shown = sel.lines().filter(|line| line.contains("EntryType: SEL")).count();
    assert_eq!(shown, entries, "{sel}");
    let logs = rf(&node, "logs", &format!("-s {} -l SEL", node.uuid));
    assert!(logs.lines().count() > entries, "{logs}");
    rf(&node, "sel", "-clear");
    let left = ipmi(&node, "sel list");
    assert!(left.lines().count() < entries, "cleared: {left}");
}

#[test]
fn accounts() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let listed = rf(&node, "accounts", "");
    assert!(listed.contains(USER), "{listed}");

    rf(&node, "accounts", "-add dora Secret-1 Operator");
    assert!(ipmi_lets_in(&node, "dora", "Secret-1"), "one account for both protocols");
    assert!(
        ipmi(&node, "user list 1").lines().any(|line| line.contains("dora") && line.contains("OPERATOR"))
    );
    let as_dora = Redfish::with_login(&node.redfish, "dora", "Secret-1");
    as_dora.get(SYSTEMS).expect(200);

    rf(&node, "accounts", "-setrole dora ReadOnly");
    assert!(ipmi(&node, "user list 1").lines().any(|line| line.contains("dora") && line.contains("USER")));
    rf(&node, "accounts", "-setpassword dora Secret-2");
    as_dora.get(SYSTEMS).expect(401);
    assert!(!ipmi_lets_in(&node, "dora", "Secret-1") && ipmi_lets_in(&node, "dora", "Secret-2"));
    rf(&node, "accounts", "-disable dora");
    assert!(!ipmi_lets_in(&node, "dora", "Secret-2"));
    rf(&node, "accounts", "-enable dora");
    rf(&node, "accounts", "-setname dora eve");
    assert!(ipmi_lets_in(&node, "eve", "Secret-2") && !ipmi_lets_in(&node, "dora", "Secret-2"));
    rf(&node, "accounts", "-delete eve");
    assert!(!ipmi_lets_in(&node, "eve", "Secret-2"));
    assert!(!rf(&node, "accounts", "").contains("eve"));
}
