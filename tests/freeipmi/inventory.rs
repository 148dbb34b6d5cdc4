//! `ipmi-fru` and `ipmi-dcmi`.

use polybmc_tests::doors::Machine;
use polybmc_tests::lab::{Lab, Node};

use super::{field, freeipmi};

#[track_caller]
fn dcmi(node: &Node<'_>, option: &str) -> String {
    freeipmi("ipmi-dcmi", node, "17").args(option.split(' ')).ok()
}

#[test]
fn ipmi_fru_reads_the_machine() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let machine = Machine::of(&lab, "node-0");
    let text = freeipmi("ipmi-fru", &node, "17").args(["--ignore-sdr-cache", "--verbose"]).ok();
    let shown = machine.redfish.read(&machine.system);
    for (name, property) in [
        ("FRU Product Manufacturer Name", "Manufacturer"),
        ("FRU Product Name", "Model"),
        ("FRU Product Serial Number", "SerialNumber"),
        ("FRU Board Serial Number", "SerialNumber"),
        ("FRU Chassis Serial Number", "SerialNumber"),
    ] {
        assert_eq!(field(&text, name), shown[property], "{text}");
    }
    assert!(!text.to_lowercase().contains("error") && !text.contains("checksum"), "{text}");
}

#[test]
fn ipmi_dcmi_reads_and_sets() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let capabilities = dcmi(&node, "--get-dcmi-capability-info");
    for (name, value) in [
        ("DCMI Specification Conformance", "1.5"),
        ("Power Management / Monitoring Support", "Available"),
        ("Number of SEL entries", "1024"),
        ("Asset Tag", "Available"),
        ("Power Management Device Slave Address", "20h"),
        ("Primary LAN Out-of-band Channel Number", "1"),
    ] {
        assert_eq!(field(&capabilities, name), value, "{capabilities}");
    }

    let tag = "a tag that takes three pieces of sixteen";
    freeipmi("ipmi-dcmi", &node, "3").arg(format!("--set-asset-tag={tag}")).ok();
    assert_eq!(dcmi(&node, "--get-asset-tag").trim(), tag);
    let set = "--set-management-controller-identifier-string=controller-7";
    freeipmi("ipmi-dcmi", &node, "17").arg(set).ok();
    assert_eq!(dcmi(&node, "--get-management-controller-identifier-string").trim(), "controller-7");

    let power = dcmi(&node, "--get-system-power-statistics");
    assert_eq!(field(&power, "Power Measurement"), "Active", "{power}");
    let current = field(&power, "Current Power").to_owned();
    let enhanced = dcmi(&node, "--get-enhanced-system-power-statistics");
    assert!(enhanced.contains(&current), "{enhanced}");

    // What is not active is told of as well, and a change of one value keeps the others. The action by its number: for its name the tool sends 0.
    let limit = dcmi(&node, "--get-power-limit");
    assert_eq!(field(&limit, "Power Limit Requested"), "65535 watts", "{limit}");
    dcmi(&node, "--set-power-limit --power-limit-requested=500 --exception-actions=0x11");
    dcmi(&node, "--activate-deactivate-power-limit=ACTIVATE");
    dcmi(&node, "--set-power-limit --power-limit-requested=501");
    let limit = dcmi(&node, "--get-power-limit");
    assert!(field(&limit, "Exception Actions").starts_with("Log event to SEL only"), "{limit}");
    assert_eq!(field(&limit, "Power Limit Requested"), "501 watts", "{limit}");
    let sensors = dcmi(&node, "--get-dcmi-sensor-info");
    assert!(sensors.contains("Inlet"), "{sensors}");
}
