//! Power and the rest of the chassis: what it says, what it does, and that it does it once.

use std::time::Duration;

use polybmc_tests::lab::{self, Lab};
use polybmc_tests::relay::{Relay, Way};

use super::{SUITES, assert_status, field, ok, refused};

#[test]
fn power_with_both_suites() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for suite in SUITES {
        let mark = lab.last_event();
        let power = |verb: &str, said: &str| {
            let text = node.ipmitool().args(["-C", suite, "power", verb]).ok();
            assert_eq!(text, format!("Chassis Power Control: {said}\n"));
        };
        assert_status(&node, suite, "off");
        power("on", "Up/On");
        node.await_power("on");
        lab.await_event(mark, "node-0", "booted");
        assert_status(&node, suite, "on");
        power("on", "Up/On");

        let mark = lab.last_event();
        power("reset", "Reset");
        lab.await_event(mark, "node-0", "booted");
        assert_eq!(lab.kinds_since(mark, "node-0"), ["reset", "booted"]);

        let mark = lab.last_event();
        power("cycle", "Cycle");
        lab.await_event(mark, "node-0", "powered-on");
        assert_eq!(lab.power_changes_since(mark, "node-0"), ["powered-off", "powered-on"]);

        let mark = lab.last_event();
        power("diag", "Diag");
        lab.await_event(mark, "node-0", "nmi");

        let mark = lab.last_event();
        power("soft", "Soft");
        lab.await_event(mark, "node-0", "powered-off");
        assert_eq!(lab.kinds_since(mark, "node-0"), ["shutdown-requested", "powered-off"]);
        assert_status(&node, suite, "off");

        power("on", "Up/On");
        node.await_power("on");
        power("off", "Down/Off");
        node.await_power("off");
        assert_status(&node, suite, "off");
        power("off", "Down/Off");
    }
}

/// A machine in its self-test cannot hear the power button; the press is kept until somebody can.
#[test]
fn a_soft_power_off_during_the_self_test_is_kept() {
    let lab = Lab::builder(1).post(Duration::from_millis(500)).start();
    let node = lab.node(0);
    ok(&node, "power on");
    let mark = lab.last_event();
    ok(&node, "power soft");
    assert_status(&node, "17", "off");
    lab.await_event(mark, "node-0", "powered-off");
    let changes = lab.power_changes_since(mark, "node-0");
    assert_eq!(changes, ["powered-on", "shutdown-requested", "powered-off"]);
}

#[test]
fn what_needs_a_running_machine_is_refused_when_it_is_off() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for verb in ["soft", "reset", "cycle", "diag"] {
        refused(&node, &format!("chassis power {verb}"), "not supported in present state");
    }
    assert_eq!(node.power(), "off");
}

#[test]
fn chassis_status_names_the_last_power_event() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let status = ok(&node, "chassis status");
    assert_eq!(field(&status, "System Power"), "off");
    assert_eq!(field(&status, "Power Overload"), "false");
    assert_eq!(field(&status, "Power Interlock"), "inactive");
    assert_eq!(field(&status, "Main Power Fault"), "false");
    assert_eq!(field(&status, "Power Control Fault"), "false");
    assert_eq!(field(&status, "Power Restore Policy"), "always-off");
    assert_eq!(field(&status, "Chassis Intrusion"), "inactive");
    assert_eq!(field(&status, "Last Power Event"), "");

    ok(&node, "chassis power on");
    node.await_power("on");
    let status = ok(&node, "chassis status");
    assert_eq!(field(&status, "System Power"), "on");
    assert_eq!(field(&status, "Last Power Event"), "command");
}

#[test]
fn identify_for_a_time_for_ever_and_no_more() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    // ipmitool does not print the light: data 3 of Get Chassis Status, bits 6 (known) and 5 to 4.
    let light = || ok(&node, "raw 0x00 0x01").split_whitespace().nth(2).unwrap_or_default().to_owned();
    let off = light();
    assert_eq!(ok(&node, "chassis identify"), "Chassis identify interval: default (15 seconds)\n");
    let timed = light();
    assert_eq!(ok(&node, "chassis identify force"), "Chassis identify interval: indefinite\n");
    let forced = light();
    assert_eq!(ok(&node, "chassis identify 0"), "Chassis identify interval: off\n");
    assert_eq!(light(), off);
    assert_eq!(ok(&node, "chassis identify 200"), "Chassis identify interval: 200 seconds\n");
    assert_eq!(light(), timed);
    assert_eq!([off.as_str(), &timed, &forced], ["40", "50", "60"]);
}

#[test]
fn restore_policy() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    assert_eq!(
        ok(&node, "chassis policy list"),
        "Supported chassis power policy:  always-off always-on previous\n"
    );
    for policy in ["always-on", "previous", "always-off"] {
        assert_eq!(
            ok(&node, &format!("chassis policy {policy}")),
            format!("Set chassis power restore policy to {policy}\n")
        );
        assert_eq!(field(&ok(&node, "chassis status"), "Power Restore Policy"), policy);
        let shown = lab.json(&["show", "node-0", "-o", "json"]);
        assert_eq!(shown["power_policy"], policy);
    }
}

#[test]
fn restart_cause() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    assert_eq!(ok(&node, "chassis restart_cause").trim_end(), "System restart cause: unknown");
    node.bring_up();
    ok(&node, "chassis power reset");
    assert_eq!(
        ok(&node, "chassis restart_cause").trim_end(),
        "System restart cause: chassis power control command"
    );
}

/// The answer to Chassis Control is lost, and that to its first repetition, so that ipmitool has to send it thrice: after
/// a second and after two more, each time under a new session sequence number.
#[test]
fn a_cycle_whose_replies_are_lost_runs_once() {
    let lab = Lab::builder(1).log("trace").start();
    let node = lab.node(0);
    node.bring_up();
    let mark = lab.last_event();
    // In the session: privilege level, three probes for extensions, device id, and then the command itself.
    let mut replies = 0;
    let relay = Relay::lossy(node.ipmi, move |seen| {
        if seen.way == Way::Reply && seen.in_session() {
            replies += 1;
        }
        seen.way == Way::Request || !(6..=7).contains(&replies)
    });
    lab::ipmitool(relay.address()).args(["-R", "4", "-N", "1", "power", "cycle"]).ok();
    assert_eq!(relay.seen().iter().filter(|seen| !seen.passed).count(), 2, "the replies were not lost");
    let log = lab.daemon.log();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(
        (count("Chassis), cmd: 2 }"), count("received=Repeated")),
        (1, 2),
        "other things were repeated"
    );
    lab.await_event(mark, "node-0", "powered-on");
    assert_eq!(lab.power_changes_since(mark, "node-0"), ["powered-off", "powered-on"]);
}
