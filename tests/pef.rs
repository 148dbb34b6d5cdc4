//! Event filtering as clients see it: ipmitool reads it, FreeIPMI's `ipmi-pef-config` writes it, and traps are judged by tshark and
//! FreeIPMI's `ipmi-pet`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::time::Duration;

use ipmi_wire::pet::Trap;
use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use testkit::tools::{Ran, Tool};

#[track_caller]
fn ipmitool(node: &Node<'_>, args: &str) -> String {
    node.ipmitool().args(args.split(' ')).ok()
}

/// `ipmi-pef-config` without any workaround flag.
fn pef_config(node: &Node<'_>, args: &[&str]) -> Ran {
    let tool = Tool::find("ipmi-pef-config");
    let tool = tool.args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "-I", "17"]);
    tool.arg("-h").arg(node.ipmi.to_string()).args(args).run()
}

/// The file with other values for some keys of a section.
fn edited(file: &str, section: &str, values: &[(&str, &str)]) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in file.lines() {
        if line.starts_with("Section ") || line == "EndSection" {
            inside = line == format!("Section {section}");
        }
        let key = line.trim_start_matches(['\t', '#', ' ']).split_whitespace().next();
        match values.iter().find(|(name, _)| inside && key == Some(name)) {
            Some((name, value)) => text += &format!("\t{name} {value}\n"),
            None => text += &format!("{line}\n"),
        }
    }
    text
}

#[test]
fn ipmitool_shows_filters_and_policies() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for args in ["pef info", "pef status", "pef policy list", "pef filter list"] {
        let said = ipmitool(&node, args);
        assert!(!said.trim().is_empty(), "{args} says nothing");
    }
    let info = ipmitool(&node, "pef info");
    assert!(info.contains("32"), "the size of the filter table: {info}");
    assert_eq!(ipmitool(&node, "pef filter list").matches("disabled").count(), 32);
    ipmitool(&node, "raw 4 0x12 6 3 0x80 4 1 0x10 0xff 0xff 9 0xff 0x6f 1 0 0 0 0 0 0 0 0 0 0");
    ipmitool(&node, "raw 4 0x12 9 2 0x18 0x11 0");
    let filters = ipmitool(&node, "pef filter list");
    assert_eq!(filters.matches("disabled").count(), 31, "{filters}");
    assert!(filters.contains("Reset"), "{filters}");
    let policies = ipmitool(&node, "pef policy list");
    assert!(policies.contains("enabled"), "{policies}");
}

#[test]
fn ipmi_pef_config_is_checked_out_committed_and_compared() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let all = pef_config(&node, &["--checkout"]);
    assert_eq!(all.stderr, "", "{all}");
    assert!(!all.stdout.contains("Unable"), "{all}");
    let sections =
        ["PEF_Conf", "Community_String", "Lan_Alert_Destination_1", "Alert_Policy_16", "Event_Filter_32"];
    for section in sections {
        assert!(all.stdout.contains(&format!("Section {section}\n")), "{section} is missing in {all}");
    }
    let file = lab.daemon.dir().join("pef.conf");
    let name = file.to_str().unwrap();
    let commit = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let ran = pef_config(&node, &["--commit", "--filename", name]);
        assert!(ran.success() && ran.all_output().is_empty(), "{ran}");
    };
    let differs = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let ran = pef_config(&node, &["--diff", "--filename", name]);
        assert_eq!(ran.stderr, "", "{ran}");
        !ran.stdout.is_empty()
    };
    assert!(!differs(&all.stdout), "as it was checked out");
    commit(&all.stdout);
    assert!(!differs(&all.stdout), "as it was committed");
    let mut text = edited(&all.stdout, "Community_String", &[("Community_String", "watchers")]);
    text = edited(
        &text,
        "Lan_Alert_Destination_1",
        &[("Alert_IP_Address", "127.0.0.1"), ("Alert_Retry_Count", "3")],
    );
    text = edited(&text, "PEF_Conf", &[("Enable_PEF", "Yes"), ("Enable_Reset_Action", "Yes")]);
    text = edited(
        &text,
        "Alert_Policy_4",
        &[("Policy_Number", "2"), ("Policy_Enabled", "Yes"), ("Destination_Selector", "1")],
    );
    let filter =
        [("Enable_Filter", "Yes"), ("Sensor_Type", "Power_Unit"), ("Event_Filter_Action_Reset", "Yes")];
    text = edited(&text, "Event_Filter_7", &filter);
    assert!(differs(&text), "a difference is not seen");
    commit(&text);
    assert!(!differs(&text), "as it was edited");
    let policies = ipmitool(&node, "pef policy list");
    assert!(policies.contains("127.0.0.1"), "{policies}");
}

/// What tshark makes of a trap, in full.
fn dissect(trap: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (text, capture) = (dir.path().join("trap.txt"), dir.path().join("trap.pcap"));
    let mut dump = String::new();
    for (row, bytes) in trap.chunks(16).enumerate() {
        write!(dump, "{:06x}", row * 16).unwrap();
        bytes.iter().for_each(|byte| write!(dump, " {byte:02x}").unwrap());
        dump.push('\n');
    }
    std::fs::write(&text, dump).unwrap();
    Tool::find("text2pcap").args(["-q", "-u", "40000,162"]).arg(&text).arg(&capture).ok();
    Tool::find("tshark").args(["-V", "-n", "-r"]).arg(&capture).ok()
}

/// FreeIPMI's reading of a trap, with an acknowledgement to the BMC if wanted.
fn ipmi_pet(node: &Node<'_>, trap: &Trap, bytes: &[u8], acknowledge: bool) -> Ran {
    /// The fields of a trap without those of the maker.
    const VARIABLE_BYTES: usize = 47;
    let cache = tempfile::tempdir().unwrap();
    let tool = Tool::find("ipmi-pet").arg("-h").arg(node.ipmi.to_string());
    let tool = if acknowledge {
        tool.arg("--pet-acknowledge")
    } else {
        let tool = tool.args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-l", "OPERATOR", "-I", "17"]);
        tool.arg("-vv").args(["--quiet-cache", "--sdr-cache-directory"]).arg(cache.path())
    };
    let variable = bytes.iter().skip(bytes.len() - VARIABLE_BYTES).map(|byte| format!("0x{byte:02x}"));
    tool.arg(trap.pet.specific().to_string()).args(variable).run()
}

#[test]
fn an_alert_is_a_trap_that_others_understand_and_acknowledge() {
    let sink = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    sink.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = sink.local_addr().unwrap().port();
    let lab = Lab::builder(1).defaults(&format!("trap_port = {port}")).start();
    let node = lab.node(0);
    let receive = || {
        let mut buffer = [0; 512];
        let (length, _) = sink.recv_from(&mut buffer).expect("no trap came");
        let bytes = buffer.get(..length).unwrap().to_vec();
        (Trap::decode(&bytes).unwrap(), bytes)
    };
    ipmitool(&node, "lan set 1 snmp watchers");
    // Acknowledged, after a minute sent again; to loopback.
    ipmitool(&node, "raw 0x0c 1 1 18 1 0x80 60 3");
    ipmitool(&node, "raw 0x0c 1 1 19 1 0 0 127 0 0 1 0 0 0 0 0 0");
    // Alerts by policy 1 for a power unit that goes off, critical.
    ipmitool(&node, "raw 4 0x12 6 1 0x80 1 1 0x10 0xff 0xff 9 0xff 0x6f 1 0 0 0 0 0 0 0 0 0 0");
    ipmitool(&node, "raw 4 0x12 9 1 0x18 0x11 0");
    ipmitool(&node, "raw 4 0x12 2 1");
    ipmitool(&node, "raw 4 0x12 1 1");
    let event = "raw 4 2 4 9 0xe0 0x6f 0 0xff 0xff";
    ipmitool(&node, event);
    let (trap, bytes) = receive();
    assert_eq!((trap.community.as_slice(), trap.pet.specific()), (&b"watchers"[..], 0x09_6f00));
    assert_eq!((trap.pet.severity, trap.pet.event.sensor_number), (0x10, 0xe0));
    assert_eq!(node.ipmi.ip(), std::net::IpAddr::from(trap.agent), "where it comes from");

    let seen = dissect(&bytes);
    for wanted in [
        "version: version-1 (0)",
        "community: watchers",
        "1.3.6.1.4.1.3183.1.1",
        "enterpriseSpecific (6)",
        "specific-trap: 618240",
    ] {
        assert!(seen.contains(wanted), "{wanted} is missing in {seen}");
    }
    assert!(!seen.contains("Malformed") && !seen.contains("Expert Info (Error"), "{seen}");

    let read = ipmi_pet(&node, &trap, &bytes, false);
    assert!(read.success(), "{read}");
    for wanted in ["Power Unit", "Power Off/Power Down"] {
        assert!(read.stdout.contains(wanted), "{wanted} is missing in {read}");
    }

    // Alert Immediate waits for its acknowledgement, which needs no session.
    ipmitool(&node, "raw 4 0x16 1 1 0 0x20 4 9 0xe0 0x6f 0 0xff 0xff");
    let (trap, bytes) = receive();
    assert_eq!(ipmitool(&node, "raw 4 0x16 1 0x41 0").trim(), "ff");
    let acknowledged = ipmi_pet(&node, &trap, &bytes, true);
    assert!(acknowledged.success(), "{acknowledged}");
    assert_eq!(ipmitool(&node, "raw 4 0x16 1 0x41 0").trim(), "01", "{acknowledged}");

    // An event of the machine itself tells the entity, too.
    node.bring_up();
    ipmitool(&node, "power off");
    let (trap, _) = receive();
    assert_eq!((trap.pet.event.sensor_type, trap.pet.sensor_device), (9, 0x20));
    assert_ne!(trap.pet.entity, [0; 2]);

    // Not over a channel whose alerts are off: what comes next is the alert after they are on again.
    ipmitool(&node, "raw 6 0x40 1 0xa2 0x44");
    assert!(node.ipmitool().args("raw 4 0x16 1 1 0".split(' ')).fails().all_output().contains("0xd5"));
    ipmitool(&node, event);
    ipmitool(&node, "raw 6 0x40 1 0x82 0x44");
    ipmitool(&node, "raw 4 2 4 9 0xe1 0x6f 0 0xff 0xff");
    assert_eq!(receive().0.pet.event.sensor_number, 0xe1);
}
