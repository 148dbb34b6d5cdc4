//! What IPMI's commands and Redfish's chassis, manager and accounts tell of one machine, value by value.

use std::collections::BTreeMap;

use polybmc_tests::doors::Machine;
use polybmc_tests::lab::Lab;
use polybmc_tests::redfish::Answer;
use serde_json::{Value, json};
use testkit::wait;

/// A machine with the paths that are asked for most.
struct Bmc<'a> {
    machine: Machine<'a>,
    chassis: String,
    manager: String,
}

impl<'a> Bmc<'a> {
    fn of(lab: &'a Lab) -> Self {
        let machine = Machine::of(lab, "node-0");
        let chassis = format!("/redfish/v1/Chassis/{}", machine.node.uuid);
        let manager = format!("/redfish/v1/Managers/{}", machine.node.uuid);
        Self { machine, chassis, manager }
    }

    #[track_caller]
    fn ipmi(&self, command: &str) -> String {
        self.machine.node.ipmitool().args(command.split(' ')).ok()
    }

    /// The value in a `Name : value` line of what ipmitool says.
    #[track_caller]
    fn field(&self, command: &str, name: &str) -> String {
        let text = self.ipmi(command);
        let value = text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        });
        value.unwrap_or_else(|| panic!("no {name} in what {command} says:\n{text}"))
    }

    #[track_caller]
    fn read(&self, path: &str) -> Value {
        self.machine.redfish.read(path)
    }

    #[track_caller]
    fn patch(&self, path: &str, body: &Value) -> Answer {
        self.machine.redfish.patch(path, body).expect(204)
    }

    /// The members of a collection, each read.
    #[track_caller]
    fn members(&self, collection: &str) -> Vec<Value> {
        let list = self.read(collection)["Members"].as_array().cloned().unwrap_or_default();
        list.iter().map(|member| self.read(member["@odata.id"].as_str().unwrap())).collect()
    }
}

#[test]
fn asset_tag_serial_and_intrusion_are_the_same() {
    let lab = Lab::builder(1).start();
    let bmc = Bmc::of(&lab);
    let tags = |wanted: &str| {
        assert_eq!(bmc.field("dcmi asset_tag", "Asset tag"), wanted);
        assert_eq!(bmc.field("fru print 0", "Product Asset Tag"), wanted);
        assert_eq!(bmc.read(&bmc.chassis)["AssetTag"], wanted);
        assert_eq!(bmc.read(&bmc.machine.system)["AssetTag"], wanted);
        assert_eq!(lab.json(&["show", "node-0", "-o", "json"])["asset_tag"], wanted);
    };
    bmc.patch(&bmc.chassis, &json!({ "AssetTag": "rack-7" }));
    tags("rack-7");
    bmc.ipmi("dcmi set_asset_tag rack-8");
    tags("rack-8");

    // The product's serial number is the System's, and the product's in the assembly.
    bmc.ipmi("fru edit 0 field p 4 S-0815");
    assert_eq!(bmc.field("fru print 0", "Product Serial"), "S-0815");
    assert_eq!(bmc.read(&bmc.machine.system)["SerialNumber"], "S-0815");
    let assembly = bmc.read(&format!("{}/Assembly", bmc.chassis));
    let product = assembly["Assemblies"].as_array().unwrap().iter().find(|part| part["Name"] == "Product");
    assert_eq!(product.unwrap()["SerialNumber"], "S-0815", "{assembly:#}");
    assert_eq!(lab.json(&["show", "node-0", "-o", "json"])["serial"], "S-0815");

    let intrusion = &bmc.read(&bmc.chassis)["PhysicalSecurity"]["IntrusionSensor"];
    assert_eq!(
        (intrusion, bmc.field("chassis status", "Chassis Intrusion").as_str()),
        (&"Normal".into(), "inactive")
    );

    // One light: of the chassis, the system and the manager.
    for (lit, command) in [(true, "chassis identify force"), (false, "chassis identify 0")] {
        bmc.ipmi(command);
        for path in [&bmc.chassis, &bmc.machine.system, &bmc.manager] {
            assert_eq!(bmc.read(path)["LocationIndicatorActive"], lit, "{path}");
        }
    }
    for path in [&bmc.chassis, &bmc.manager] {
        for (lit, identify) in [(true, 2), (false, 0)] {
            bmc.patch(path, &json!({ "LocationIndicatorActive": lit }));
            assert_eq!(bmc.machine.raw(&["0x00", "0x01"])[2] >> 4 & 0x3, identify, "{path}");
        }
    }
}

/// A number of `ipmitool sensor`; none where it says `na`.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

#[test]
fn sensors_read_alike_and_warn_at_the_same_values() {
    let lab = Lab::builder(1).start();
    let bmc = Bmc::of(&lab);
    // Off, so that nothing moves.
    let table = || -> BTreeMap<String, Vec<String>> {
        let text = bmc.ipmi("sensor");
        let row = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        text.lines().map(row).map(|row| (row[0].clone(), row)).collect()
    };
    let agree = || {
        let rows = table();
        let sensors = bmc.members(&format!("{}/Sensors", bmc.chassis));
        let analog = rows.values().filter(|row| row[2] != "discrete").count();
        assert_eq!(sensors.len(), analog, "{rows:#?}");
        for sensor in &sensors {
            let name = sensor["Name"].as_str().unwrap();
            let row = rows.get(name).unwrap_or_else(|| panic!("{name} is not in {rows:#?}"));
            assert_eq!(sensor["Reading"].as_f64(), number(&row[1]), "{name}: {row:?}");
            let limits = [
                "LowerFatal",
                "LowerCritical",
                "LowerCaution",
                "UpperCaution",
                "UpperCritical",
                "UpperFatal",
            ];
            for (limit, cell) in limits.iter().zip(&row[4..]) {
                let shown = sensor["Thresholds"][limit]["Reading"].as_f64();
                assert_eq!(shown, number(cell), "{limit} of {name}: {row:?}");
            }
        }
    };
    agree();
    let thresh = ["sensor", "thresh", "Inlet Temp", "ucr", "44"];
    bmc.machine.node.ipmitool().args(thresh).ok();
    let inlet = format!("{}/Sensors/InletTemp", bmc.chassis);
    assert_eq!(bmc.read(&inlet)["Thresholds"]["UpperCritical"]["Reading"], 44);
    bmc.patch(&inlet, &json!({ "Thresholds": { "UpperCaution": { "Reading": 39 } } }));
    assert_eq!(number(&table()["Inlet Temp"][7]), Some(39.0));
    agree();
    // The old style has them too.
    let thermal = bmc.read(&format!("{}/Thermal", bmc.chassis));
    let found =
        thermal["Temperatures"].as_array().unwrap().iter().find(|one| one["Name"] == "Inlet Temp").unwrap();
    assert_eq!(
        (&found["UpperThresholdNonCritical"], &found["UpperThresholdCritical"]),
        (&json!(39), &json!(44)),
        "{found:#}"
    );
}

#[test]
fn the_event_log_is_the_same_entry_by_entry() {
    let lab = Lab::builder(1).start();
    let bmc = Bmc::of(&lab);
    bmc.machine.node.bring_up();
    bmc.machine.node.put_down();
    let log = format!("{}/LogServices/SEL", bmc.machine.system);
    // A record of our own: a fan below its critical threshold (IPMI 2.0 table 42-2), by the BMC's software.
    bmc.ipmi("raw 0x0a 0x44 0 0 2 0 0 0 0 0x41 0 4 4 0x30 1 0x52 0x10 0x20");
    let lines = bmc.ipmi("-c sel list");
    let over_ipmi: Vec<u32> = lines
        .lines()
        .map(|line| u32::from_str_radix(line.split(',').next().unwrap_or_default().trim(), 16).unwrap())
        .collect();
    assert!(over_ipmi.len() > 2, "{lines}");
    let entries = bmc.members(&format!("{log}/Entries"));
    let over_redfish: Vec<u32> =
        entries.iter().map(|entry| entry["Id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(over_redfish, over_ipmi);
    for entry in &entries {
        let id: u16 = entry["Id"].as_str().unwrap().parse().unwrap();
        let [low, high] = id.to_le_bytes().map(|byte| byte.to_string());
        // Get SEL Entry (IPMI 2.0 §31.5): the next id, then the record.
        let record = bmc.machine.raw(&["0x0a", "0x43", "0", "0", &low, &high, "0", "0xff"])[2..].to_vec();
        assert_eq!(entry["SensorNumber"], record[11], "{entry:#}");
        assert_eq!(entry["GeneratorId"], format!("0x{:02X}{:02X}", record[8], record[7]), "{entry:#}");
        // DSP0266's form of an IPMI event: sensor type, the event's direction and type, and its three bytes in one number.
        let data = format!("{:02X}{:02X}{:02X}", record[13], record[14], record[15]);
        let id = entry["MessageId"].as_str().unwrap();
        assert!(id.starts_with("0x") && id.ends_with(&data), "{data}: {entry:#}");
        let asserted = record[12] & 0x80 == 0;
        if entry["EntryCode"] == "Assert" || entry["EntryCode"] == "Deassert" {
            assert_eq!(entry["EntryCode"] == "Assert", asserted, "{entry:#}");
        }
    }
    let clear = format!("{log}/Actions/LogService.ClearLog");
    bmc.machine.redfish.post(&clear, &json!({})).expect(204);
    wait::eventually("IPMI has no more than Redfish", polybmc_tests::lab::SOON, || {
        bmc.ipmi("-c sel list").lines().count() == bmc.members(&format!("{log}/Entries")).len()
    });
    let entries = bmc.members(&format!("{log}/Entries"));
    assert!(entries.len() < over_ipmi.len());
}

#[test]
fn users_are_accounts() {
    let lab = Lab::builder(1).start();
    let bmc = Bmc::of(&lab);
    let accounts = "/redfish/v1/AccountService/Accounts";
    let agree = || {
        let privilege = [("ReadOnly", "USER"), ("Operator", "OPERATOR"), ("Administrator", "ADMINISTRATOR")];
        let text = bmc.ipmi("-c user list 1");
        let users: BTreeMap<String, (String, String)> = text
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
            .filter(|row| !row[1].is_empty())
            .map(|row| (row[1].clone(), (row[0].clone(), row[row.len() - 1].clone())))
            .collect();
        let shown: BTreeMap<String, (String, String)> = bmc
            .members(accounts)
            .iter()
            .map(|account| {
                let text = |key: &str| account[key].as_str().unwrap().to_owned();
                let role = text("RoleId");
                let level = privilege.iter().find(|(name, _)| *name == role).map(|(_, level)| *level);
                (text("UserName"), (text("Id"), level.unwrap_or("another").to_owned()))
            })
            .collect();
        assert_eq!(users, shown, "{text}");
        shown
    };
    let before = agree().len();
    let dora = json!({ "UserName": "dora", "Password": "Secret-1", "RoleId": "Operator" });
    let made = bmc.machine.redfish.post(accounts, &dora).expect(201);
    assert_eq!(agree().len(), before + 1);
    bmc.ipmi("user set name 7 eve");
    bmc.ipmi("user set password 7 Secret-2");
    bmc.ipmi("channel setaccess 1 7 callin=off ipmi=on link=off privilege=2");
    bmc.ipmi("user enable 7");
    assert_eq!(agree().len(), before + 2);
    let eve = bmc.read(&format!("{accounts}/7"));
    assert_eq!((&eve["UserName"], &eve["Enabled"]), (&"eve".into(), &true.into()));
    bmc.patch(&format!("{accounts}/7"), &json!({ "RoleId": "Administrator", "UserName": "zoe" }));
    assert_eq!(agree()["zoe"].1, "ADMINISTRATOR");
    let path = made.header("location").unwrap();
    let path = path.find("/redfish").map_or(path, |at| &path[at..]);
    bmc.machine.redfish.send("DELETE", path, None).expect(204);
    assert_eq!(agree().len(), before + 1);
}

#[test]
fn the_lan_is_one_interface() {
    let lab = Lab::builder(1).start();
    let bmc = Bmc::of(&lab);
    let lan = format!("{}/EthernetInterfaces/LAN", bmc.manager);
    let agree = || {
        let shown = bmc.read(&lan);
        let address = &shown["IPv4Addresses"][0];
        let said = |name: &str| bmc.field("lan print 1", name);
        assert_eq!(address["Address"], said("IP Address"));
        assert_eq!(address["SubnetMask"], said("Subnet Mask"));
        let gateway = said("Default Gateway IP");
        assert_eq!(address["Gateway"].as_str().unwrap_or("0.0.0.0"), gateway);
        let source = if address["AddressOrigin"] == "DHCP" { "DHCP Address" } else { "Static Address" };
        assert_eq!(said("IP Address Source"), source);
        assert_eq!(shown["DHCPv4"]["DHCPEnabled"], address["AddressOrigin"] == "DHCP");
        assert_eq!(shown["MACAddress"], said("MAC Address"));
        let vlan = if shown["VLAN"]["VLANEnable"] == true {
            shown["VLAN"]["VLANId"].to_string()
        } else {
            "Disabled".to_owned()
        };
        assert_eq!(said("802.1q VLAN ID"), vlan);
        shown
    };
    agree();
    bmc.patch(&lan, &json!({ "VLAN": { "VLANEnable": true, "VLANId": 7, "VLANPriority": 3 } }));
    agree();
    assert_eq!(bmc.field("lan print 1", "802.1q VLAN Priority"), "3");
    bmc.ipmi("lan set 1 vlan id off");
    bmc.ipmi("lan set 1 defgw ipaddr 127.0.0.9");
    bmc.ipmi("lan set 1 netmask 255.255.0.0");
    let shown = agree();
    assert_eq!(shown["IPv4Addresses"][0]["Gateway"], "127.0.0.9");
    bmc.patch(&lan, &json!({ "DHCPv4": { "DHCPEnabled": true } }));
    agree();
    bmc.patch(&lan, &json!({ "HostName": "bmc-7" }));
    assert!(bmc.ipmi("dcmi get_mc_id_string").trim_end().ends_with(": bmc-7"));
    bmc.ipmi("dcmi set_mc_id_string bmc-8");
    assert_eq!(bmc.read(&lan)["HostName"], "bmc-8");
}

#[test]
fn locks_and_limits_and_the_watchdog_are_one() {
    let lab = Lab::builder(1).start();
    let bmc = Bmc::of(&lab);
    let service = "/redfish/v1/AccountService";
    let body = json!({ "AccountLockoutThreshold": 4, "AccountLockoutDuration": 600, "AccountLockoutCounterResetAfter": 120 });
    bmc.patch(service, &body);
    for (name, wanted) in [
        ("Bad Password Threshold", "4"),
        ("Attempt Count Reset Int.", "120"),
        ("User Lockout Interval", "600"),
    ] {
        assert_eq!(bmc.field("lan print 1", name), wanted);
    }
    // LAN parameter 26 counts in tens of seconds: flags, threshold, both intervals (IPMI 2.0 table 23-4).
    assert_eq!(bmc.machine.raw(&["0x0c", "0x02", "1", "26", "0", "0"])[2..], [4, 12, 0, 60, 0]);
    bmc.ipmi("lan set 1 bad_pass_thresh 3 0 30 90");
    let shown = bmc.read(service);
    for (name, wanted) in [
        ("AccountLockoutThreshold", 3),
        ("AccountLockoutDuration", 900),
        ("AccountLockoutCounterResetAfter", 300),
    ] {
        assert_eq!(shown[name], wanted, "{name}");
    }

    let metrics = format!("{}/EnvironmentMetrics", bmc.chassis);
    bmc.patch(&metrics, &json!({ "PowerLimitWatts": { "SetPoint": 250, "ControlMode": "Automatic" } }));
    assert_eq!(bmc.field("dcmi power get_limit", "Power Limit"), "250 Watts");
    assert_eq!(bmc.field("dcmi power get_limit", "Current Limit State"), "Power Limit Active");
    bmc.ipmi("dcmi power set_limit limit 300");
    let limit = || bmc.read(&metrics)["PowerLimitWatts"].clone();
    assert_eq!((&limit()["SetPoint"], &limit()["ControlMode"]), (&json!(300), &json!("Automatic")));
    bmc.ipmi("dcmi power deactivate");
    assert_eq!(limit()["ControlMode"], "Disabled");
    assert!(
        bmc.read(&format!("{}/Power", bmc.chassis))["PowerControl"][0]["PowerLimit"]["LimitInWatts"]
            .is_null()
    );

    let watchdog = || bmc.read(&bmc.machine.system)["HostWatchdogTimer"].clone();
    assert_eq!(watchdog()["FunctionEnabled"], false);
    for (action, name, worded) in [
        ("reset", "ResetSystem", "Hard Reset (0x01)"),
        ("poweroff", "PowerDown", "Power Down (0x02)"),
        ("cycle", "PowerCycle", "Power Cycle (0x03)"),
    ] {
        bmc.ipmi(&format!("mc watchdog set action={action} timeout=100 use=sms"));
        assert_eq!(
            (&watchdog()["FunctionEnabled"], &watchdog()["TimeoutAction"]),
            (&json!(true), &json!(name))
        );
        bmc.patch(&bmc.machine.system, &json!({ "HostWatchdogTimer": { "TimeoutAction": "None" } }));
        assert_eq!(bmc.field("mc watchdog get", "Watchdog Timer Action"), "No action (0x00)");
        bmc.patch(&bmc.machine.system, &json!({ "HostWatchdogTimer": { "TimeoutAction": name } }));
        assert_eq!(bmc.field("mc watchdog get", "Watchdog Timer Action"), worded);
    }

    let versions = bmc.field("mc info", "Firmware Revision");
    let shown = bmc.read(&bmc.manager)["FirmwareVersion"].as_str().unwrap().to_owned();
    let [major, minor] = [0, 1].map(|at| shown.split('.').nth(at).unwrap().parse::<u32>().unwrap());
    assert_eq!(versions, format!("{major}.{minor:02}"), "{shown}");
    let bios = bmc.read(&bmc.machine.system)["BiosVersion"].as_str().unwrap().to_owned();
    // Get System Info Parameters, 1: the version of the system's firmware as text (IPMI 2.0 §22.14a).
    let block = bmc.machine.raw(&["0x06", "0x59", "0", "1", "0", "0"]);
    let text: String = block.iter().skip(4).take(block[3].into()).map(|byte| char::from(*byte)).collect();
    assert_eq!(text, bios, "{block:02x?}");
}
