//! `ipmitool dcmi`: what it discovers, reads and sets, and that other doors tell the same.

use polybmc_tests::doors::Machine;
use polybmc_tests::lab::Lab;
use serde_json::json;

use super::{field, ok, run};

/// The number in front of the unit, of a `Name : value` line.
#[track_caller]
fn number(text: &str, name: &str) -> u32 {
    let value = field(text, name);
    let digits = value.split(' ').next().unwrap_or_default();
    digits.trim_start_matches('+').parse().unwrap_or_else(|_| panic!("{name}: {value:?} in:\n{text}"))
}

#[test]
fn discovers_the_capabilities() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let text = ok(&node, "dcmi discover");
    for said in [
        "Power management available",
        "1024 SEL entries",
        "Asset tag",
        "Slave address of device: 20h (BMC)",
        "Primary LAN channel number: 1 is available",
        "Secondary LAN channel is not available for OOB",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // The pong has DCMI's bit.
    let pong = run(&node, "dcmi oob_discover");
    assert!(!pong.all_output().contains("failed"), "{pong}");
}

#[test]
fn reads_power_and_temperatures_as_the_sensors_have_them() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let watts = |text: &str| number(text, "Instantaneous power reading");
    let off = ok(&node, "dcmi power reading");
    assert_eq!(field(&off, "Power reading state is"), "activated", "{off}");
    node.bring_up();
    let on = ok(&node, "dcmi power reading");
    assert!(watts(&on) > watts(&off), "{on}");
    let (least, most) =
        (number(&on, "Minimum during sampling period"), number(&on, "Maximum during sampling period"));
    assert!(least <= watts(&on) && watts(&on) <= most, "{on}");
    for period in ["5_sec", "1_min", "1_hour"] {
        let text = ok(&node, &format!("dcmi power reading {period}"));
        assert_eq!(field(&text, "Power reading state is"), "activated", "{text}");
    }
    node.put_down();

    // Off, so that nothing moves: the sensor's value is DCMI's.
    let sensors = ok(&node, "sensor");
    let shown = |name: &str| {
        let line = sensors
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {sensors}"));
        line.split('|').nth(1).unwrap().trim().parse::<f64>().unwrap() as u32
    };
    let off = ok(&node, "dcmi power reading");
    assert_eq!(watts(&off), shown("Power"), "{sensors}");
    let temperatures = ok(&node, "dcmi get_temp_reading");
    let inlet = temperatures.lines().find(|line| line.contains("(40h)")).unwrap_or_default();
    assert!(inlet.ends_with(&format!("+{} C", shown("Inlet Temp"))), "{temperatures}");
    let board = temperatures.lines().find(|line| line.contains("(42h)")).unwrap_or_default();
    assert!(board.ends_with(&format!("+{} C", shown("Board Temp"))), "{temperatures}");

    let found = ok(&node, "dcmi sensors");
    for part in
        ["Inlet: 1 temperature sensor", "CPU: 1 temperature sensor", "Baseboard: 1 temperature sensor"]
    {
        assert!(found.contains(part), "{found}");
    }
    assert!(found.contains("Inlet Temp") && found.contains("CPU Temp"), "{found}");
}

#[test]
fn limits_power_and_temperature() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let shown = ok(&node, "dcmi power get_limit");
    assert_eq!(field(&shown, "Current Limit State"), "No Active Power Limit", "{shown}");
    for setting in ["limit 1", "action sel_logging", "correction 100", "sample 30"] {
        ok(&node, &format!("dcmi power set_limit {setting}"));
    }
    let shown = ok(&node, "dcmi power get_limit");
    for (name, value) in [
        ("Current Limit State", "No Active Power Limit"),
        ("Exception actions", "Log Event to SEL"),
        ("Power Limit", "1 Watts"),
        ("Correction time", "100 milliseconds"),
        ("Sampling period", "30 seconds"),
    ] {
        assert_eq!(field(&shown, name), value, "{shown}");
    }
    // Even a machine that is off draws more than that.
    let before = lab.last_event();
    ok(&node, "dcmi power activate");
    assert_eq!(field(&ok(&node, "dcmi power get_limit"), "Current Limit State"), "Power Limit Active");
    let event = lab.await_event(before, "node-0", "limit-exceeded");
    assert_eq!((&event["limited"], &event["limit"]), (&"power".into(), &1.into()), "{event}");
    let log = ok(&node, "sel elist");
    assert!(log.contains("Limit Exceeded"), "{log}");

    // The machine is switched off when it exceeds a limit that says so.
    ok(&node, "dcmi power deactivate");
    for setting in ["limit 20", "action power_off"] {
        ok(&node, &format!("dcmi power set_limit {setting}"));
    }
    node.bring_up();
    let before = lab.last_event();
    ok(&node, "dcmi power activate");
    lab.await_event(before, "node-0", "powered-off");
    assert_eq!(node.power(), "off");
    ok(&node, "dcmi power deactivate");
    let refused = run(&node, "dcmi power set_limit limit 0");
    assert!(refused.all_output().contains("limit out of range"), "{refused}");

    let policy = |args: &str| ok(&node, &format!("dcmi thermalpolicy {args}"));
    policy("set 0x37 1 nonvolatile nopoweroff sel 40 10 0");
    let shown = policy("get 0x37 1");
    assert_eq!(field(&shown, "Persistence flag is"), "set", "{shown}");
    assert_eq!(field(&shown, "Log event to SEL only"), "active", "{shown}");
    assert!(shown.contains("40 degrees"), "{shown}");
}

#[test]
fn names_things() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let machine = Machine::of(&lab, "node-0");
    let tag = "rack 12, shelf 4, left of the second door";
    node.ipmitool().args(["dcmi", "set_asset_tag", tag]).ok();
    assert_eq!(field(&ok(&node, "dcmi asset_tag"), "Asset tag"), tag);
    assert_eq!(machine.redfish.read(&machine.system)["AssetTag"], tag);
    assert_eq!(field(&ok(&node, "fru print 0"), "Product Asset Tag"), tag);
    machine.redfish.patch(&machine.system, &json!({ "AssetTag": "short" })).expect(204);
    assert_eq!(field(&ok(&node, "dcmi asset_tag"), "Asset tag"), "short");

    let id = ok(&node, "dcmi get_mc_id_string");
    assert!(field(&id, "Get Management Controller Identifier String").starts_with("DCMI"), "{id}");
    node.ipmitool().args(["dcmi", "set_mc_id_string", "controller-of-node-0"]).ok();
    let id = ok(&node, "dcmi get_mc_id_string");
    assert_eq!(field(&id, "Get Management Controller Identifier String"), "controller-of-node-0");

    for (parameter, value) in [("dhcp_config", "1"), ("init", "9"), ("timeout", "300"), ("retry", "77")] {
        ok(&node, &format!("dcmi set_conf_param {parameter} {value}"));
    }
    ok(&node, "dcmi set_conf_param activate_dhcp 1");
    let shown = ok(&node, "dcmi get_conf_param");
    for (name, value) in [
        ("Initial timeout interval", "9 seconds"),
        ("Server contact timeout interval", "300 seconds"),
        ("Server contact retry interval", "77 seconds"),
    ] {
        assert_eq!(field(&shown, name), value, "{shown}");
    }
}
