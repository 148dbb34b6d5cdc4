//! One machine, every door, one truth: the simulator, and libvirt's own test driver inside the daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "agreement/resources.rs"]
mod resources;

use polybmc_tests::agreement::{
    every_boot_override, every_power_action, light_policy_and_tag, one_identity, overrides_are_used_up,
};
use polybmc_tests::doors::{CDROM, DOORS, Door, Lasting, Machine, PXE, Reply};
use polybmc_tests::lab::Lab;
use serde_json::json;

/// What a simulated machine says that it booted from.
fn simulated(lab: &Lab) -> impl FnMut(u64) -> Option<String> {
    |after| {
        let event = lab.await_event(after, "node-0", "booted");
        let words = event["from"].as_str().unwrap_or_default();
        let device = ["disk", "network", "cdrom"].into_iter().find(|kind| words.starts_with(kind));
        let device = device.unwrap_or_else(|| panic!("what is {words:?}?"));
        Some(if device == "network" { "pxe" } else { device }.to_owned())
    }
}

#[test]
fn simulated_machines_obey_power_actions_over_every_door() {
    let lab = Lab::builder(1).start();
    let machine = Machine::of(&lab, "node-0");
    for door in DOORS {
        every_power_action(&machine, door, &mut simulated(&lab));
    }
}

#[test]
fn simulated_machines_show_the_same_boot_override_over_every_door() {
    let lab = Lab::builder(1).start();
    every_boot_override(&Machine::of(&lab, "node-0"));
}

#[test]
fn simulated_machines_use_up_an_override_for_one_boot() {
    let lab = Lab::builder(1).start();
    overrides_are_used_up(&Machine::of(&lab, "node-0"), PXE, &mut simulated(&lab));
}

#[test]
fn simulated_machines_have_one_light_policy_and_tag() {
    let lab = Lab::builder(1).start();
    light_policy_and_tag(&Machine::of(&lab, "node-0"));
}

#[test]
fn simulated_machines_have_one_identity() {
    let lab = Lab::builder(2).start();
    one_identity(&Machine::of(&lab, "node-0"));
    one_identity(&Machine::of(&lab, "node-1"));
}

#[test]
fn the_uefi_flag_and_the_firmware_are_two_things() {
    let lab = Lab::builder(1).start();
    let machine = Machine::of(&lab, "node-0");
    let firmware = || lab.json(&["show", "node-0", "-o", "json"])["firmware"].clone();
    let mode = || machine.redfish.read(&machine.system)["Boot"]["BootSourceOverrideMode"].clone();
    assert_eq!((firmware(), mode()), ("legacy".into(), "Legacy".into()));

    // IPMI's EFI bit is kept and read back; the machine boots as it is.
    machine.node.ipmitool().args(["chassis", "bootdev", "pxe", "options=efiboot,persistent"]).ok();
    assert_eq!(machine.boot_flags(), [0xe0, 0x04, 0, 0, 0]);
    assert_eq!(machine.node.boot()["uefi"], true);
    assert_eq!((firmware(), mode()), ("legacy".into(), "Legacy".into()));

    // Redfish's mode switches the firmware.
    let boot = json!({ "BootSourceOverrideMode": "UEFI", "BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once" });
    machine.redfish.patch(&machine.system, &json!({ "Boot": boot })).expect(204);
    assert_eq!((firmware(), mode()), ("uefi".into(), "UEFI".into()));
    assert_eq!(machine.boot_flags(), [0xa0, 0x14, 0, 0, 0]);

    // IPMI without the bit never turns it back.
    machine.node.ipmitool().args(["chassis", "bootdev", "pxe"]).ok();
    assert_eq!(machine.boot_flags(), [0x80, 0x04, 0, 0, 0]);
    assert_eq!((firmware(), mode()), ("uefi".into(), "UEFI".into()));

    // UEFI HTTP boot has no name of its own in IPMI: it is a network boot there.
    lab.daemon.cli(["boot", "node-0", "http", "--uri", "http://192.0.2.7/boot.efi", "--persistent"]).ok();
    let shown = machine.redfish.read(&machine.system)["Boot"].clone();
    assert_eq!(
        (&shown["BootSourceOverrideTarget"], &shown["HttpBootUri"]),
        (&"UefiHttp".into(), &"http://192.0.2.7/boot.efi".into())
    );
    assert_eq!(machine.boot_flags()[1], 0x04);
}

fn test_driver() -> Lab {
    let config = "[backend.tests]\ntype = \"libvirt\"\nuri = \"test:///default\"\n\
                  [[bmc]]\nname = \"web\"\nbackend = \"tests\"\nmachine = \"test\"\n";
    let lab = Lab::builder(0).config(config).start();
    // Its one domain runs at first.
    let machine = Machine::of(&lab, "web");
    machine.await_power(true);
    lab
}

/// Nobody knows what a domain of the test driver boots.
fn nobody(_: u64) -> Option<String> {
    None
}

#[test]
fn libvirts_test_driver_obeys_power_actions_over_every_door() {
    let lab = test_driver();
    let machine = Machine::of(&lab, "web");
    // It tells of no reset; that one was done must not depend on being told.
    assert_eq!(lab.json(&["power", "web", "reset", "-o", "json"])["outcome"], "done");
    lab.daemon.cli(["power", "web", "off"]).ok();
    for door in DOORS {
        every_power_action(&machine, door, &mut nobody);
    }
}

#[test]
fn libvirts_test_driver_shows_the_same_boot_override_over_every_door() {
    let lab = test_driver();
    every_boot_override(&Machine::of(&lab, "web"));
}

#[test]
fn libvirts_test_driver_uses_up_an_override_for_one_boot() {
    let lab = test_driver();
    let machine = Machine::of(&lab, "web");
    lab.daemon.cli(["power", "web", "off"]).ok();
    machine.await_power(false);
    overrides_are_used_up(&machine, PXE, &mut nobody);
}

#[test]
fn libvirts_test_driver_has_one_light_policy_tag_and_identity() {
    let lab = test_driver();
    let machine = Machine::of(&lab, "web");
    light_policy_and_tag(&machine);
    one_identity(&machine);
}

/// A device that the machine does not have is refused over every door, and what was set before stays.
#[test]
fn a_missing_boot_device_is_refused_alike() {
    let lab = test_driver();
    let machine = Machine::of(&lab, "web");
    assert_eq!(machine.set_boot(Door::Cli, Some(PXE), Lasting::Continuous), Some(Reply::Done));
    let before = machine.node.boot();
    for door in DOORS {
        let reply = machine.set_boot(door, Some(CDROM), Lasting::Once);
        let Some(Reply::Refused(words)) = reply else {
            panic!("there is no CD drive, yet {door:?} said {reply:?}")
        };
        let reason = match door {
            Door::Ipmi => "Invalid data field",
            Door::Redfish => "status: 400",
            Door::Cli => "cannot boot from cdrom",
        };
        assert!(words.contains(reason), "{door:?}: {words}");
        assert_eq!(machine.node.boot(), before);
    }
}
