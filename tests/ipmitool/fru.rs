//! `ipmitool fru`: what it prints, what it edits, and that Redfish tells the same.

use std::fs;

use polybmc_tests::doors::Machine;
use polybmc_tests::lab::Lab;
use serde_json::json;

use super::{field, ok, run};

#[test]
fn prints_the_machine() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let machine = Machine::of(&lab, "node-0");
    let text = ok(&node, "fru print 0");
    let shown = machine.redfish.read(&machine.system);
    for (name, property) in [
        ("Product Manufacturer", "Manufacturer"),
        ("Product Name", "Model"),
        ("Product Serial", "SerialNumber"),
        ("Board Mfg", "Manufacturer"),
        ("Board Serial", "SerialNumber"),
        ("Chassis Serial", "SerialNumber"),
    ] {
        assert_eq!(field(&text, name), shown[property], "{text}");
    }
    assert_eq!(field(&text, "Chassis Type"), "Main Server Chassis", "{text}");
    assert!(text.contains("MAC 52:54:00:") && !text.to_lowercase().contains("checksum"), "{text}");
    let all = run(&node, "fru");
    assert!(all.stdout.contains("Product Manufacturer"), "{all}");
    let absent = run(&node, "fru print 7");
    assert!(absent.all_output().contains("Requested sensor, data, or record not found"), "{absent}");
}

#[test]
fn edits_become_the_identity() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let machine = Machine::of(&lab, "node-0");
    let shown = |property: &str| machine.redfish.read(&machine.system)[property].clone();

    // The same length as before is written in place, any other moves what lies behind; ipmitool calls that a failure although it is done.
    ok(&node, "fru edit 0 field p 4 edon-0");
    assert_eq!(shown("SerialNumber"), "edon-0");
    for (field, value, property) in [
        ("p 4", "a-much-longer-serial-number", "SerialNumber"),
        ("p 1", "Maschine", "Model"),
        ("b 1", "a board with a name of its own", "Model"),
    ] {
        let mut args = vec!["fru", "edit", "0", "field"];
        args.extend(field.split(' '));
        let ran = node.ipmitool().args(args).arg(value).run();
        assert!(ran.stdout.ends_with("Done.\n"), "{ran}");
        let wanted = if field.starts_with('b') { "Maschine" } else { value };
        assert_eq!(shown(property), wanted, "{ran}");
    }
    assert_eq!(shown("Model"), "Maschine");
    let text = ok(&node, "fru print 0");
    assert_eq!(field(&text, "Product Serial"), "a-much-longer-serial-number", "{text}");
    assert_eq!(field(&text, "Board Serial"), "node-0", "the board is another thing: {text}");
    assert_eq!(field(&text, "Board Product"), "a board with a name of its own", "{text}");

    // A tag set over Redfish stands in what was edited, and nothing else has changed.
    machine.redfish.patch(&machine.system, &json!({ "AssetTag": "shelf 4, left" })).expect(204);
    let after = ok(&node, "fru print 0");
    assert_eq!(field(&after, "Product Asset Tag"), "shelf 4, left", "{after}");
    let others = |text: &str| {
        text.lines().filter(|line| !line.contains("Asset Tag")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(others(&after), others(&text));

    assert_eq!(lab.json(&["show", "node-0", "-o", "json"])["asset_tag"], "shelf 4, left");
}

#[test]
fn reads_and_writes_files() {
    let lab = Lab::builder(2).start();
    let (node, other) = (lab.node(0), lab.node(1));
    let file = lab.daemon.dir().join("fru.bin");
    let path = file.to_str().unwrap();
    ok(&node, &format!("fru read 0 {path}"));
    let image = fs::read(&file).unwrap();
    assert_eq!(image.len(), 2_048);
    ok(&other, &format!("fru write 0 {path}"));
    ok(&other, &format!("fru read 0 {path}"));
    assert_eq!(fs::read(&file).unwrap(), image);
    let machine = Machine::of(&lab, "node-1");
    assert_eq!(machine.redfish.read(&machine.system)["SerialNumber"], "node-0", "it is what was written");
    assert_eq!(ok(&other, "fru print 0"), ok(&node, "fru print 0"));
}
