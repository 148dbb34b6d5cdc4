//! The rest of `redfish_utilities`: the scripts that configure a machine and its BMC, and those that list what there is.

use polybmc_tests::images::Images;
use polybmc_tests::lab::{Lab, Node};
use polybmc_tests::redfish::{Redfish, SYSTEMS};
use serde_json::json;

use super::utilities::{rf, script};
use super::{ipmi, ipmi_field, ipmi_lets_in};

/// What a script that has to fail prints.
#[track_caller]
fn refused(node: &Node<'_>, name: &str, arguments: &str) -> String {
    script(node, &format!("rf_{name}.py")).args(arguments.split_whitespace()).fails().to_string()
}

/// Whether one line of a text has all of these in it.
fn has_line(text: &str, parts: &[&str]) -> bool {
    text.lines().any(|line| parts.iter().all(|part| line.contains(part)))
}

#[test]
fn virtual_media_and_updates() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("image.iso"), vec![7; 70_000]).unwrap();
    std::fs::write(folder.path().join("new.bin"), r#"{"Component": "BIOS", "Version": "7.1.2"}"#).unwrap();
    std::fs::write(folder.path().join("bmc-3.4.bin"), vec![7; 70_000]).unwrap();
    let images = Images::serve(folder.path());
    let lab = Lab::builder(1).start();
    let node = lab.node(0);

    let shown = || lab.json(&["media", &node.name, "show", "-o", "json"]).to_string();
    let iso = images.url("image.iso");
    rf(&node, "virtual_media", &format!("insert --image {iso}"));
    assert!(
        has_line(&rf(&node, "virtual_media", "info"), &["Image: ", &iso]),
        "the drive for an .iso is found"
    );
    assert!(shown().contains(&iso), "{}", shown());
    let before = lab.last_event();
    ipmi(&node, "chassis bootdev cdrom");
    node.bring_up();
    let booted = lab.await_event(before, &node.name, "booted");
    assert!(booted["from"].as_str().is_some_and(|from| from.starts_with("cdrom")), "{booted}");
    let full = refused(&node, "virtual_media", &format!("insert --image {iso}"));
    assert!(full.contains("No acceptable virtual media"), "{full}");
    rf(&node, "virtual_media", "eject --id Cd");
    assert!(!shown().contains(&iso), "{}", shown());
    let missing = refused(&node, "virtual_media", &format!("insert --image {}", images.url("none.iso")));
    assert!(missing.contains("HTTP 4"), "{missing}");

    // Fetched by the BMC, and sent by the script: one goes to the BIOS, the other to the BMC.
    let said = rf(&node, "update", &format!("-i {}", images.url("new.bin")));
    assert!(said.contains("Task is Done"), "{said}");
    assert_eq!(ipmi(&node, "mc getsysinfo system_fw_version").trim(), "7.1.2");
    let said =
        rf(&node, "update", &format!("-i {} -at Immediate", folder.path().join("bmc-3.4.bin").display()));
    assert!(said.contains("Task is Done"), "{said}");
    assert_eq!(ipmi_field(&node, "mc info", "Firmware Revision"), "3.04");
    let inventory = rf(&node, "firmware_inventory", "-details");
    for version in ["7.1.2", "3.4"] {
        assert!(inventory.contains(&format!("Version: {version}")), "{inventory}");
    }
    let said = rf(&node, "update", &format!("-i {iso}"));
    assert!(said.contains("VerificationFailed"), "{said}");
    let said = refused(&node, "update", &format!("-i {iso} -at OnReset"));
    assert!(said.contains("PropertyValueNotInList") || said.contains("ActionParameter"), "{said}");
}

#[test]
fn bios_settings() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let set = "-a AcPowerRecovery LastState -a BootTimeoutSeconds 9 -a QuietBoot true -a BootMode Uefi";
    rf(&node, "bios_settings", set);
    let pending = rf(&node, "bios_settings", "");
    for (name, now, then) in [
        ("AcPowerRecovery", "AlwaysOff", "LastState"),
        ("BootTimeoutSeconds", "5", "9"),
        ("QuietBoot", "False", "True"),
        ("BootMode", "LegacyBios", "Uefi"),
    ] {
        let row = pending.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells, [name, now, then], "{pending}");
    }
    assert_eq!(ipmi_field(&node, "chassis status", "Power Restore Policy"), "always-off");
    node.bring_up();
    assert_eq!(ipmi_field(&node, "chassis status", "Power Restore Policy"), "previous");
    assert_eq!(lab.json(&["show", &node.name, "-o", "json"])["firmware"], "uefi");
    let applied = rf(&node, "bios_settings", "");
    assert!(!applied.lines().any(|line| line.contains("LegacyBios")), "{applied}");
    for (wrong, message) in [
        ("-a BootTimeoutSeconds 100000", "PropertyValueOutOfRange"),
        ("-a AcPowerRecovery Sometimes", "PropertyValueNotInList"),
    ] {
        let said = refused(&node, "bios_settings", wrong);
        assert!(said.contains(message), "{said}");
    }
    // What is the machine's own, such as its policy, a reset of the settings leaves (docs/operating.md); the rest goes back.
    rf(&node, "bios_settings", "--reset");
    node.put_down();
    node.bring_up();
    let back = rf(&node, "bios_settings", "");
    assert!(
        has_line(&back, &["BootTimeoutSeconds", "| 5 "]) && has_line(&back, &["QuietBoot", "| False"]),
        "{back}"
    );
    assert!(has_line(&back, &["AcPowerRecovery", "| LastState"]), "{back}");
    assert_eq!(ipmi_field(&node, "chassis status", "Power Restore Policy"), "previous");
}

#[test]
fn the_manager() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let manager = |arguments: &str| rf(&node, "manager_config", arguments);
    let info = manager("info");
    assert!(has_line(&info, &["UUID: ", &node.uuid]), "{info}");

    manager("settime -dt 2031-02-03T04:05:06Z");
    let said = ipmi(&node, "sel time get");
    assert!(said.starts_with("02/03/31 04:05:") || said.starts_with("02/03/31 04:06:"), "{said}");
    manager("settime -o +02:00");
    assert!(has_line(&manager("info"), &["DateTimeLocalOffset: +02:00"]));
    // Get SEL Time UTC Offset (IPMI 2.0 §31.11a) counts minutes.
    assert_eq!(ipmi(&node, "raw 0x0a 0x5c").trim(), "78 00");

    let net = manager("getnet");
    let mac = ipmi_field(&node, "lan print 1", "MAC Address");
    assert!(has_line(&net, &["MACAddress: ", &mac]), "{net}");
    manager("setnet -vlan On -vlanid 7 -vlanpriority 3");
    assert_eq!(ipmi_field(&node, "lan print 1", "802.1q VLAN ID"), "7");
    manager("setnet -hostname bmc-7");
    assert_eq!(
        ipmi_field(&node, "dcmi get_mc_id_string", "Get Management Controller Identifier String"),
        "bmc-7"
    );
    let address = node.ipmi.ip();
    manager(&format!("setnet -ipv4address {address} -ipv4netmask 255.255.0.0 -ipv4gateway 127.0.0.9"));
    assert_eq!(ipmi_field(&node, "lan print 1", "Subnet Mask"), "255.255.0.0");
    assert_eq!(ipmi_field(&node, "lan print 1", "Default Gateway IP"), "127.0.0.9");
    manager("setnet -dhcpv4 On");
    assert_eq!(ipmi_field(&node, "lan print 1", "IP Address Source"), "DHCP Address");
    let said = refused(&node, "manager_config", "setnet -nameservers 192.0.2.1");
    assert!(said.contains("PropertyNotWritable"), "no name is ever resolved: {said}");

    assert!(has_line(&manager("getprotocol"), &["IPMI", "True", &node.ipmi.port().to_string()]));
    manager("setprotocol -prot IPMI -dis");
    let deaf = || !ipmi_lets_in(&node, polybmc_tests::lab::USER, polybmc_tests::lab::PASSWORD);
    assert!(deaf(), "nobody is let in");
    manager("setprotocol -prot IPMI -en");
    assert!(!deaf());
    manager("setserviceid -i rack-7");
    assert!(has_line(&manager("info"), &["ServiceIdentification: rack-7"]));

    let kinds = manager("resettodefaults --info");
    assert!(kinds.contains("PreserveNetworkAndUsers"), "{kinds}");
    ipmi(&node, "user set name 7 dora");
    // The script's own session ends with the BMC's, which it takes amiss at its logout.
    let tool = script(&node, "rf_manager_config.py");
    tool.args(["resettodefaults", "--type", "ResetAll"]).run();
    testkit::wait::eventually("the user is gone", polybmc_tests::lab::SOON, || {
        let listed = node.ipmitool().args(["user", "list", "1"]).run();
        listed.success() && !listed.stdout.contains("dora")
    });
    assert_eq!(ipmi_field(&node, "lan print 1", "802.1q VLAN ID"), "Disabled");
}

#[test]
fn events_and_certificates() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}/events", listener.local_addr().unwrap());
    let subscribe = format!("subscribe -dest {to} -c seven -f Event -rt ComputerSystem -hh X-Who:polybmc");
    let made = rf(&node, "event_service", &subscribe);
    assert!(made.contains("Created subscription '/redfish/v1/EventService/Subscriptions/1'"), "{made}");
    let info = rf(&node, "event_service", "info");
    for said in [format!("Destination: {to}"), "Context: seven".to_owned(), "ComputerSystem".to_owned()] {
        assert!(info.contains(&said), "{said}: {info}");
    }
    // What IPMI does is told to whom a Redfish script subscribed.
    ipmi(&node, "chassis power on");
    let (stream, _) = listener.accept().unwrap();
    let mut reader = std::io::BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(std::io::BufRead::read_line(&mut reader, &mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /events ") && head.contains("x-who: polybmc"), "{head}");
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body).unwrap();
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["Context"], "seven", "{event:#}");
    let origin = event["Events"][0]["OriginOfCondition"]["@odata.id"].as_str().unwrap();
    assert_eq!(origin, format!("{SYSTEMS}/{}", node.uuid), "{event:#}");
    drop((stream, listener));
    rf(&node, "event_service", "unsubscribe -i 1");
    assert!(rf(&node, "event_service", "info").contains("No subscriptions"));

    let listed = rf(&node, "certificates", "info -details");
    let uri = listed.lines().find_map(|line| line.strip_prefix("Certificate: ")).unwrap().trim().to_owned();
    let (collection, _) = uri.rsplit_once('/').unwrap();
    let options = rf(&node, "certificates", "csrinfo");
    assert!(options.contains("TPM_ECC_NIST_P384"), "{options}");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let openssl = |line: &str| {
        testkit::tools::Tool::find("openssl").current_dir(folder.path()).args(line.split(' ')).ok()
    };
    let csr =
        format!("csr -col {collection} -cn bmc.example.org -o polybmc -out {}", file("bmc.csr").display());
    rf(&node, "certificates", &csr);
    assert!(openssl("req -in bmc.csr -noout -verify -subject").contains("bmc.example.org"));
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout ca.key -out ca.pem -days 2",
    );
    // Of version 3, as every authority makes them; TLS takes no other.
    std::fs::write(file("v3.cnf"), "subjectAltName=DNS:bmc.example.org\n").unwrap();
    openssl(
        "x509 -req -extfile v3.cnf -in bmc.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out bmc.pem -days 2",
    );
    rf(&node, "certificates", &format!("install -dest {uri} -cert {}", file("bmc.pem").display()));
    let listed = rf(&node, "certificates", "info -details");
    assert!(listed.contains("bmc.example.org") && has_line(&listed, &["Issuer", "CN=ca"]), "{listed}");
    let answers = Redfish::of(&node).curl("/redfish/v1/").args(["--verbose"]).run().all_output();
    assert!(answers.contains("bmc.example.org"), "it serves with it: {answers}");
    let said = refused(&node, "certificates", &format!("delete -cert {uri}"));
    assert!(said.contains("HTTP 405"), "the only one stays: {said}");
}

#[test]
fn what_there_is() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let detail = lab.json(&["show", &node.name, "-o", "json"]);
    let inventory = rf(&node, "sys_inventory", "-details");
    assert!(
        inventory.contains(&format!("{}MB DRAM", detail["memory_bytes"].as_u64().unwrap() >> 20)),
        "{inventory}"
    );
    let processors = inventory.lines().filter(|line| line.contains("Processor: ")).count();
    assert_eq!(detail["processors"], processors, "{inventory}");
    let folder = tempfile::tempdir().unwrap();
    script(&node, "rf_sys_inventory.py").args(["-w", "all"]).current_dir(folder.path()).ok();
    assert!(
        folder
            .path()
            .read_dir()
            .unwrap()
            .flatten()
            .any(|file| file.file_name().to_string_lossy().ends_with(".xlsx"))
    );

    // What a virtual machine has none of is said to be none, and nothing fails.
    for (tool, command, said) in [
        ("thermal_equipment", "list", "does not contain any thermal equipment"),
        ("power_equipment", "list", "does not contain any power equipment"),
        ("licenses", "info", "does not contain a license service"),
        ("component_integrity", "list", "ComponentIntegrity"),
    ] {
        let text = script(&node, &format!("rf_{tool}.py")).args([command]).run().all_output();
        assert!(text.contains(said) && !text.contains("Traceback"), "{tool}: {text}");
    }

    let assembly = format!("-a /redfish/v1/Chassis/{}/Assembly info", node.uuid);
    let parts = rf(&node, "assembly", &assembly);
    let serial = ipmi_field(&node, "fru print 0", "Product Serial");
    assert!(has_line(&parts, &["SerialNumber: ", &serial]), "{parts}");
    let entries = ipmi(&node, "sel list").lines().count();
    let system = rf(&node, "logs", &format!("-s {} -l SEL -details", node.uuid));
    assert_eq!(system.lines().filter(|line| line.contains("EntryType: SEL")).count(), entries, "{system}");
    assert!(rf(&node, "logs", "-m").contains("Enabled"), "the BMC's own log");
    rf(&node, "logs", &format!("-s {} -l SEL -clear", node.uuid));
    assert!(ipmi(&node, "sel list").lines().count() < entries);
    let said = refused(&node, "diagnostic_data", "-m");
    assert!(said.contains("does not support collecting diagnostic data"), "{said}");
    let patched = json!({ "AssetTag": "rack-7" });
    let path = format!("{SYSTEMS}/{}", node.uuid);
    script(&node, "rf_raw_request.py")
        .args(["-req", &path, "-m", "PATCH", "-b"])
        .arg(patched.to_string())
        .ok();
    assert_eq!(ipmi_field(&node, "dcmi asset_tag", "Asset tag"), "rack-7");
}
