//! ipmitool against the daemon: each command that a power driver or an administrator sends, with both cipher suites.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

#[path = "ipmitool/boot.rs"]
mod boot;
#[path = "ipmitool/chassis.rs"]
mod chassis;
#[path = "ipmitool/dcmi.rs"]
mod dcmi;
#[path = "ipmitool/fru.rs"]
mod fru;
#[path = "ipmitool/lan.rs"]
mod lan;
#[path = "ipmitool/power.rs"]
mod power;
#[path = "ipmitool/session.rs"]
mod session;
#[path = "ipmitool/users.rs"]
mod users;

use std::time::Duration;

use polybmc_tests::lab::{self, Lab, Node, PASSWORD, USER};
use polybmc_tests::relay::Relay;
use testkit::tools::{Ran, Tool};

/// The suites that BMCs offer by default.
const SUITES: [&str; 2] = ["3", "17"];

#[track_caller]
fn run(node: &Node<'_>, args: &str) -> Ran {
    node.ipmitool().args(args.split(' ')).run()
}

#[track_caller]
fn ok(node: &Node<'_>, args: &str) -> String {
    node.ipmitool().args(args.split(' ')).ok()
}

/// The completion code in ipmitool's words, or in `rsp=0x..` of a raw command.
#[track_caller]
fn refused(node: &Node<'_>, args: &str, why: &str) {
    let ran = node.ipmitool().args(args.split(' ')).fails();
    assert!(ran.all_output().contains(why), "{ran}");
}

/// The value of a `Name : value` line.
#[track_caller]
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim().trim_start_matches("- ") == name).then_some(value.trim())
    });
    value.unwrap_or_else(|| panic!("no {name:?} in:\n{text}"))
}

#[track_caller]
fn assert_status(node: &Node<'_>, suite: &str, wanted: &str) {
    // Ironic compares the whole of it.
    let said = node.ipmitool().args(["-C", suite, "power", "status"]).ok();
    assert_eq!(said, format!("Chassis Power is {wanted}\n"));
}

/// The very commands of Ironic's ipmitool driver, with its switches.
#[test]
fn ironic() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let password = lab.daemon.dir().join("ironic-password");
    std::fs::write(&password, PASSWORD).unwrap();
    let (host, port) = (node.ipmi.ip().to_string(), node.ipmi.port().to_string());
    let ironic = |args: &str| {
        let tool =
            Tool::find("ipmitool").args(["-I", "lanplus", "-H", &host, "-L", "ADMINISTRATOR", "-p", &port]);
        let tool = tool.args(["-U", USER, "-v", "-R", "1", "-N", "5", "-f"]).arg(&password);
        let ran = tool.args(args.split(' ')).run();
        assert!(ran.success(), "{ran}");
        ran.stdout
    };
    assert!(ironic("mc info").contains("IPMI Version              : 2.0\n"));
    // The time-out of the valid bit off; an error would abort the deployment.
    ironic("raw 0x00 0x08 0x03 0x08");
    assert_eq!(ok(&node, "raw 0x00 0x09 0x03 0x00 0x00").trim(), "01 03 08");
    ironic("raw 0x00 0x08 0x05 0xe0 0x08 0x00 0x00 0x00");
    let text = ironic("chassis bootparam get 5");
    assert!(text.contains("Options apply to all future boots"), "{text}");
    assert!(text.contains("BIOS EFI boot"), "{text}");
    assert!(text.contains("Boot Device Selector : Force Boot from default Hard-Drive"), "{text}");
    ironic("raw 0x00 0x08 0x05 0xa0 0x04 0x00 0x00 0x00");
    let text = ironic("chassis bootparam get 5");
    assert!(text.contains("Options apply to only next boot") && text.contains("Force PXE"), "{text}");
    for device in ["0x04", "0x08", "0x0c", "0x14", "0x18", "0x24"] {
        ironic(&format!("raw 0x00 0x08 0x05 0xa0 {device} 0x00 0x00 0x00"));
        let read = ok(&node, "raw 0x00 0x09 0x05 0x00 0x00");
        assert_eq!(read.trim(), format!("01 05 a0 {} 00 00 00", &device[2..]));
    }
    ironic("chassis bootdev pxe options=persistent");
    assert!(ironic("power status").ends_with("Chassis Power is off\n"));
    ironic("power on");
    node.await_power("on");
    assert!(ironic("power status").ends_with("Chassis Power is on\n"));
    ironic("power reset");
    ironic("power diag");
    ironic("power soft");
    node.await_power("off");
    ironic("power off");
}

#[test]
fn the_controller_and_its_identity() {
    let lab = Lab::builder(2).start();
    let node = lab.node(1);
    let info = ok(&node, "mc info");
    for (name, value) in [
        ("Device ID", "32"),
        ("Device Revision", "1"),
        ("IPMI Version", "2.0"),
        ("Device Available", "yes"),
        ("Provides Device SDRs", "no"),
    ] {
        assert_eq!(field(&info, name), value, "{info}");
    }
    assert!(info.contains("    Chassis Device\n"), "{info}");
    let manufacturer = field(&info, "Manufacturer Name");
    assert!(!manufacturer.starts_with("Unknown"), "{info}");

    let guid = ok(&node, "mc guid");
    assert_eq!(field(&guid, "System GUID"), node.uuid, "{guid}");
    assert_eq!(field(&guid, "GUID Encoding"), "IPMI", "{guid}");
    assert_ne!(lab.node(0).uuid, node.uuid);
    assert_eq!(ok(&node, "mc selftest"), "Selftest: passed\n");
    assert_eq!(ok(&node, "chassis selftest"), "Self Test Results    : passed\n");
}

#[test]
fn unknown_commands_are_refused_at_once() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for raw in ["0x2c 0x00", "0x2e 0x01 0x57 0x01 0x00", "0x30 0x70", "0x3a 0x01", "0x04 0x3f 0x01"] {
        let ran = node.ipmitool().arg("raw").args(raw.split(' ')).fails();
        assert!(ran.stderr.contains("rsp=0xc1"), "{ran}");
    }
    for args in [
        "sel info",
        "sdr info",
        "sensor list",
        "mc getenables",
        "mc watchdog get",
        "user list 1",
        "lan print 1",
        "sol info",
        "channel getaccess 1 2",
        "chassis poh",
    ] {
        let ran = run(&node, args);
        assert!(!ran.timed_out && ran.took < Duration::from_secs(5), "{ran}");
    }
}

/// No time-out and no repetition in a whole call: each datagram has its answer before the next one.
#[test]
fn no_call_stalls() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let calls = [
        "power status",
        "power on",
        "chassis status",
        "chassis bootdev pxe options=persistent,efiboot",
        "chassis bootparam get 5",
        "mc info",
        "mc guid",
        "mc selftest",
        "chassis policy list",
        "chassis restart_cause",
        "session info active",
        "channel info 1",
        "channel getciphers ipmi 1",
        "raw 0x2c 0x00",
        "sel info",
        "sdr info",
        "lan print 1",
        "user list 1",
        "sol info",
        "power off",
    ];
    for suite in [&["-C", "3"][..], &["-C", "17"], &[]] {
        for call in calls {
            let relay = Relay::transparent(node.ipmi);
            let ran = lab::ipmitool(relay.address()).args(suite).args(call.split(' ')).run();
            assert!(!ran.timed_out, "{ran}");
            relay.assert_in_step();
        }
    }
}
