//! `bmc-config`: checked out, committed, compared; without workaround flags.

use super::*;
use testkit::tools::Ran;

fn config(node: &Node<'_>, args: &[&str]) -> Ran {
    freeipmi("bmc-config", node, "17").args(args).run()
}

/// The file with other values for some keys of a section.
fn edited(file: &str, section: &str, values: &[(&str, &str)]) -> String {
    let mut inside = false;
    let mut lines: Vec<String> = Vec::new();
    for line in file.lines() {
        if line.starts_with("Section ") || line == "EndSection" {
            inside = line == format!("Section {section}");
        }
        let key = line.trim_start_matches(['\t', '#', ' ']).split_whitespace().next();
        match values.iter().find(|(name, _)| inside && key == Some(name)) {
            Some((name, value)) => lines.push(format!("\t{name} {value}")),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn bmc_config_is_checked_out_committed_and_compared() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let all = config(&node, &["--checkout"]);
    // Its status tells of sections that no channel of this BMC has, a serial one for instance; nothing may be wrong in the others.
    assert_eq!(all.stderr, "", "{all}");
    assert!(!all.stdout.contains("Unable"), "{all}");
    for section in ["User1", "User15", "Lan_Channel", "Lan_Conf", "Lan_Conf_Misc", "Rmcpplus_Conf_Privilege"]
    {
        assert!(all.stdout.contains(&format!("Section {section}\n")), "{section} is missing in {all}");
    }
    for key in ["Username", "Volatile_Access_Mode", "IP_Address", "MAC_Address", "Bad_Password_Threshold"] {
        assert!(all.stdout.contains(&format!("\t{key} ")), "{key} is missing in {all}");
    }
    let file = lab.daemon.dir().join("bmc.conf");
    let name = file.to_str().unwrap();
    let agrees = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let diff = config(&node, &["--diff", "--filename", name]);
        diff.success() && diff.stdout.is_empty() && diff.stderr.is_empty()
    };
    assert!(agrees(&all.stdout), "as it was checked out");
    let back = config(&node, &["--commit", "--filename", name]);
    assert!(back.success() && back.all_output().is_empty(), "{back}");
    assert!(agrees(&all.stdout), "as it was committed");

    let user = [
        ("Username", "eve"),
        ("Password", "a-long-secret-of-20b"),
        ("Enable_User", "Yes"),
        ("Lan_Enable_IPMI_Msgs", "Yes"),
        ("Lan_Privilege_Limit", "Operator"),
        ("SOL_Payload_Access", "Yes"),
    ];
    let mut text = edited(&all.stdout, "User5", &user);
    text = edited(&text, "Lan_Conf", &[("IP_Address", "192.0.2.10"), ("Subnet_Mask", "255.255.255.0")]);
    text = edited(&text, "Lan_Conf_Misc", &[("Gratuitous_ARP_Interval", "7")]);
    text = edited(&text, "Lan_Channel", &[("Volatile_Enable_Pef_Alerting", "No")]);
    assert!(!agrees(&text), "a difference is not seen");
    let commit = config(&node, &["--commit", "--filename", name]);
    assert!(commit.success() && commit.all_output().is_empty(), "{commit}");
    assert!(agrees(&text), "as it was edited");
    let login = |password: &str| {
        let tool =
            Tool::find("ipmipower").args(["-D", "LAN_2_0", "-u", "eve", "-p", password, "-l", "OPERATOR"]);
        tool.args(["-I", "17", "--stat", "-h"]).arg(node.ipmi.to_string()).run().all_output()
    };
    assert!(login("a-long-secret-of-20b").trim().ends_with(": off"));
    assert!(login("another").contains("password invalid"));

    let core = freeipmi("ipmi-config", &node, "17").args(["--category=core", "--checkout"]).run();
    assert_eq!(core.stderr, "", "{core}");
    assert!(core.stdout.contains("Section User5\n"), "{core}");
}

#[test]
fn bmc_device() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let device = |arg: &str| freeipmi("bmc-device", &node, "17").arg(arg).ok();
    let acpi = device("--get-acpi-power-state");
    assert_eq!(field(&acpi, "ACPI System Power State"), "S5/G2", "{acpi}");
    let enables = device("--get-bmc-global-enables");
    assert_eq!(field(&enables, "System Event Logging"), "enabled", "{enables}");
    let statistics = device("--get-lan-statistics");
    let count = |name: &str| field(&statistics, name).parse::<u32>().unwrap();
    assert!((10..500).contains(&count("Valid RMCP Packets Received")), "{statistics}");
    assert!(count("IP Packets Transmitted") > 10, "{statistics}");
    for reset in ["--cold-reset", "--warm-reset"] {
        assert_eq!(device(reset), "");
    }
    assert!(!device("--get-self-test-results").is_empty(), "it is back");
}
