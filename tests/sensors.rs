//! The sensors, read by every client: what one shows the others show, and what one sets the others see.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::time::Duration;

use ipmi_rs::Ipmi;
use ipmi_rs::rmcp::Rmcp;
use ipmi_rs::storage::sdr::record::{IdentifiableSensor as _, RecordContents};
use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use polybmc_tests::redfish::Redfish;
use serde_json::Value;
use testkit::python;
use testkit::tools::Tool;
use testkit::wait;

/// The analogue sensors.
const ANALOG: [&str; 8] =
    ["CPU Load", "CPU Temp", "Memory In Use", "Inlet Temp", "Board Temp", "Fan 1", "Fan 2", "Power Draw"];
/// Those with states to read.
const DISCRETE: [&str; 7] =
    ["PSU 1", "PSU 2", "Disk sda", "Disk sdb", "Power Unit", "ACPI State", "Watchdog"];
/// Those that only send events.
const EVENTS: [&str; 7] = [
    "System Event",
    "System Restart",
    "OS Stop",
    "Diag Interrupt",
    "Session Audit",
    "Event Log",
    "Controller",
];

/// How long a client gets to see what the machine does.
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn ipmitool(node: &Node<'_>, args: &[&str]) -> String {
    node.ipmitool().args(args).ok()
}

/// A tool of FreeIPMI, without any workaround flag, with a cache of its own.
#[track_caller]
fn freeipmi(tool: &str, node: &Node<'_>, cache: &std::path::Path) -> Tool {
    let tool =
        Tool::find(tool).args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "-I", "17"]);
    tool.arg("--sdr-cache-directory").arg(cache).arg("-h").arg(node.ipmi.to_string())
}

/// The cells of a table's rows, by the cell in `column`.
fn table(text: &str, separator: char, column: usize) -> BTreeMap<String, Vec<String>> {
    let rows = text.lines().map(|line| line.split(separator).map(|cell| cell.trim().to_owned()).collect());
    rows.filter_map(|row: Vec<String>| Some((row.get(column)?.clone(), row))).collect()
}

/// The sensors as the command line shows them, by name.
#[track_caller]
fn shown(lab: &Lab) -> BTreeMap<String, Value> {
    let sensors = lab.json(&["sensors", "node-0", "-o", "json"]);
    let sensors = sensors.as_array().unwrap().iter();
    sensors.map(|sensor| (sensor["name"].as_str().unwrap().to_owned(), sensor.clone())).collect()
}

/// Waits until the machine is idle: only then do two clients one after the other see the same.
#[track_caller]
fn await_idle(lab: &Lab) {
    let idle = |sensors: &BTreeMap<String, Value>| {
        sensors["CPU Load"]["reading"].as_u64().is_some_and(|load| load < 10)
            && sensors["Memory In Use"]["reading"].as_u64().is_some_and(|used| used >= 30)
    };
    let reached = wait::poll(SOON, || idle(&shown(lab)).then_some(()));
    assert!(reached.is_some(), "{:#?}", shown(lab));
}

#[track_caller]
fn up() -> Lab {
    let lab = Lab::builder(1).start();
    lab.node(0).bring_up();
    await_idle(&lab);
    lab
}

#[test]
fn every_client_reads_the_same_number() {
    let lab = up();
    let node = lab.node(0);
    let ours = shown(&lab);
    let by_ipmitool = table(&ipmitool(&node, &["sensor", "list"]), '|', 0);
    let cache = tempfile::tempdir().unwrap();
    let arguments = ["--quiet-cache", "--output-sensor-thresholds"];
    let by_freeipmi = table(&freeipmi("ipmi-sensors", &node, cache.path()).args(arguments).ok(), '|', 1);
    let (host, port) = (node.ipmi.ip().to_string(), node.ipmi.port().to_string());
    let script = python::script("pyghmi_client.py").args([&host, &port, USER, PASSWORD]);
    let answers: Value = serde_json::from_str(&script.arg("get_sensor_data").ok()).unwrap();
    let by_pyghmi = answers[0].as_array().unwrap();
    let redfish = Redfish::of(&node);
    let chassis = redfish.read("/redfish/v1/Chassis")["Members"][0]["@odata.id"].as_str().unwrap().to_owned();
    let members = redfish.read(&format!("{chassis}/Sensors"))["Members"].clone();
    assert_eq!(members.as_array().unwrap().len(), ANALOG.len());
    for name in ANALOG {
        let wanted = ours[name]["reading"].as_u64().unwrap();
        let id: String = name.split(' ').collect();
        let sensor = redfish.read(&format!("{chassis}/Sensors/{id}"));
        assert_eq!(sensor["Reading"], wanted, "{sensor:#}");
        assert_eq!(by_ipmitool[name][1], format!("{wanted}.000"), "{name}");
        assert_eq!(by_freeipmi[name][3], format!("{wanted}.00"), "{name}");
        let pyghmi = by_pyghmi.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(pyghmi["value"].as_f64(), Some(wanted as f64), "{name}");
        // The upper critical threshold, where there is one, is the same too.
        let limit = ours[name]["thresholds"].get("upper-critical").and_then(Value::as_u64);
        assert_eq!(by_ipmitool[name][8], limit.map_or("na".to_owned(), |limit| format!("{limit}.000")));
        assert_eq!(by_freeipmi[name][9], limit.map_or("N/A".to_owned(), |limit| format!("{limit}.00")));
        assert_eq!(sensor["Thresholds"]["UpperCritical"]["Reading"].as_u64(), limit, "{sensor:#}");
    }
}

#[test]
fn ipmitool_lists_every_record() {
    let lab = up();
    let node = lab.node(0);
    let all = table(&ipmitool(&node, &["sdr", "elist", "all"]), '|', 0);
    for name in ANALOG.iter().chain(&DISCRETE) {
        assert_eq!(all[*name][2], "ok", "{name}");
    }
    for name in EVENTS {
        assert_eq!(all[name][4], "Event-Only");
    }
    assert!(all["BMC"][4].contains("MC @ 20h") && all["System"][4].starts_with("Logical FRU @00h"));
    assert_eq!(all.len(), ANALOG.len() + DISCRETE.len() + EVENTS.len() + 2);
    assert_eq!(all["PSU 1"][4], "Presence detected");
    assert_eq!(all["ACPI State"][4], "S0/G0: working");
    let temperatures = table(&ipmitool(&node, &["sdr", "type", "Temperature"]), '|', 0);
    assert_eq!(temperatures.len(), 3);
    let info = ipmitool(&node, &["sdr", "info"]);
    assert!(info.contains("Record Count                        : 24"), "{info}");
    let one = ipmitool(&node, &["sdr", "get", "Fan 1"]);
    assert!(one.contains("Sensor Type (Threshold)  : Fan (0x04)"), "{one}");
    let verbose = node.ipmitool().args(["-v", "sdr"]).run().all_output();
    assert!(verbose.contains("Sensor ID              : Power Draw (0xa)"), "{verbose}");
    // A dump of the records stands for them.
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    ipmitool(&node, &["sdr", "dump", dump.to_str().unwrap()]);
    let cached = ipmitool(&node, &["-S", dump.to_str().unwrap(), "sdr", "elist", "all"]);
    assert_eq!(table(&cached, '|', 0).len(), all.len());
    // Off, what does not turn has no reading; the air that comes in has.
    node.put_down();
    let off = table(&ipmitool(&node, &["sdr", "elist"]), '|', 0);
    assert_eq!((off["Fan 1"][2].as_str(), off["Fan 1"][4].as_str()), ("ns", "No Reading"));
    assert_eq!(off["Inlet Temp"][4], "22 degrees C");
}

#[test]
fn ipmitool_sets_thresholds() {
    let lab = up();
    let node = lab.node(0);
    ipmitool(&node, &["sensor", "thresh", "CPU Temp", "upper", "60", "70", "81"]);
    ipmitool(&node, &["sensor", "thresh", "Fan 1", "lnr", "500"]);
    let limits = &shown(&lab)["CPU Temp"]["thresholds"];
    assert_eq!((&limits["upper-critical"], &limits["upper-non-recoverable"]), (&70.into(), &81.into()));
    assert_eq!(shown(&lab)["Fan 1"]["thresholds"]["lower-non-recoverable"], 500);
    let get = ipmitool(&node, &["sensor", "get", "CPU Temp"]);
    assert!(get.contains("Upper Non-Critical    : 60.000"), "{get}");
    let refused = node.ipmitool().args(["sensor", "thresh", "CPU Temp", "lnc", "5"]).run();
    assert!(refused.all_output().contains("Invalid data field"), "{refused}");
}

#[test]
fn freeipmi_shows_every_sensor() {
    let lab = up();
    let node = lab.node(0);
    let cache = tempfile::tempdir().unwrap();
    let all =
        freeipmi("ipmi-sensors", &node, cache.path()).args(["--quiet-cache", "--output-sensor-state"]).ok();
    let all = table(&all, '|', 1);
    for name in ANALOG.iter().chain(&DISCRETE) {
        assert_eq!(all[*name][3], "Nominal", "{name}: {:?}", all[*name]);
    }
    assert_eq!(all.len(), ANALOG.len() + DISCRETE.len() + 1, "and the header");
    let events = ["--quiet-cache", "--shared-sensors", "--ignore-not-available-sensors"];
    let present = table(&freeipmi("ipmi-sensors", &node, cache.path()).args(events).ok(), '|', 1);
    assert_eq!(present["PSU 2"].last().unwrap(), "'Presence detected'");
    assert_eq!(present["Disk sda"].last().unwrap(), "'Drive Presence'");
}

#[test]
fn freeipmi_configures_sensors() {
    let lab = up();
    let node = lab.node(0);
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("sensors.conf");
    let config = || freeipmi("ipmi-sensors-config", &node, cache.path()).arg("--quiet-cache");
    let checkout = config().arg("--checkout").ok();
    assert!(!checkout.contains("ERROR") && !checkout.contains("Unable"), "{checkout}");
    let changed = checkout.replacen("95.000000", "91.000000", 1);
    assert_ne!(changed, checkout);
    std::fs::write(&file, &changed).unwrap();
    let diff = || config().arg("--diff").arg("--filename").arg(&file).run().all_output();
    assert!(diff().contains("Upper_Critical_Threshold"), "{}", diff());
    config().arg("--commit").arg("--filename").arg(&file).ok();
    assert_eq!(shown(&lab)["CPU Temp"]["thresholds"]["upper-critical"], 91);
    assert_eq!(diff().trim(), "");
}

/// ipmi-rs walks the device's records, which are those of the repository.
#[test]
fn ipmi_rs_decodes_every_record() {
    let lab = up();
    let node = lab.node(0);
    let mut rmcp = Rmcp::new(node.ipmi, SOON).unwrap();
    rmcp.activate(true, Some(USER), Some(PASSWORD.as_bytes())).unwrap();
    let records: Vec<_> = Ipmi::new(rmcp).sdrs().collect();
    let mut names = Vec::new();
    for record in &records {
        names.push(match &record.contents {
            RecordContents::FullSensor(full) => {
                let name = full.id_string().to_string();
                let value = full.nominal_value().unwrap();
                if name == "Fan 1" {
                    assert_eq!(value.display(true), "3500.00 rpm");
                    assert_eq!(full.lower_critical_threshold().unwrap().display(true), "800.00 rpm");
                    assert_eq!(full.negative_going_threshold_hysteresis_value, NonZeroU8::new(2));
                }
                name
            }
            RecordContents::CompactSensor(compact) => compact.id_string().to_string(),
            RecordContents::EventOnlySensor(events) => events.id_string().to_string(),
            RecordContents::FruDeviceLocator(fru) => fru.id_string().to_string(),
            RecordContents::McDeviceLocator(controller) => controller.id_string().to_string(),
            other => panic!("{other:?}"),
        });
    }
    names.sort();
    let mut wanted: Vec<&str> =
        ["BMC", "System"].into_iter().chain(ANALOG).chain(DISCRETE).chain(EVENTS).collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
}

/// Loading its operating system the guest is busy: its processors reach 66 °C, and 39 °C at most when it is idle.
#[test]
fn a_threshold_crossed_by_load_is_logged_and_hysteresis_holds() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    ipmitool(&node, &["sensor", "thresh", "CPU Temp", "unc", "60"]);
    let before = lab.last_event();
    node.bring_up();
    let crossed = lab.await_event(before, "node-0", "sensor-threshold");
    assert_eq!((&crossed["name"], &crossed["asserted"]), (&"CPU Temp".into(), &true.into()));
    assert_eq!((&crossed["reading"], &crossed["limit"]), (&66.into(), &60.into()));
    let back = lab.await_event(crossed["id"].as_u64().unwrap(), "node-0", "sensor-threshold");
    assert_eq!(back["asserted"], false);
    let logged = ipmitool(&node, &["sel", "elist"]);
    for direction in ["Asserted", "Deasserted"] {
        let entry = logged.lines().find(|line| {
            line.contains("CPU Temp | Upper Non-critical going high")
                && line.contains(&format!("| {direction}"))
        });
        assert!(entry.is_some_and(|entry| entry.contains("60 degrees C")), "{direction}:\n{logged}");
    }
    // With a hysteresis of 30 °C an idle machine does not come back.
    ipmitool(&node, &["raw", "0x04", "0x24", "0x02", "0xff", "30", "0"]);
    let before = lab.last_event();
    ipmitool(&node, &["power", "reset"]);
    let again = lab.await_event(before, "node-0", "sensor-threshold");
    assert_eq!(again["asserted"], true);
    await_idle(&lab);
    assert_eq!(
        lab.kinds_since(again["id"].as_u64().unwrap(), "node-0")
            .iter()
            .filter(|kind| *kind == "sensor-threshold")
            .count(),
        0
    );
    assert_eq!(shown(&lab)["CPU Temp"]["status"], "warning");
}
