//! FreeIPMI against the daemon, without any of its workaround flags: it checks more of the protocol than ipmitool does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

#[path = "freeipmi/chassis.rs"]
mod chassis;
#[path = "freeipmi/config.rs"]
mod config;
#[path = "freeipmi/inventory.rs"]
mod inventory;

use std::net::SocketAddr;
use std::time::Duration;

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use polybmc_tests::relay::{Relay, Way};
use testkit::tools::Tool;

/// The suites that BMCs offer by default.
const SUITES: [&str; 2] = ["3", "17"];

/// A tool of FreeIPMI with its login. No `-W`: that would be a workaround.
#[track_caller]
fn freeipmi_at(tool: &str, to: SocketAddr, suite: &str) -> Tool {
    let tool =
        Tool::find(tool).args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "-I", suite]);
    tool.arg("-h").arg(to.to_string())
}

#[track_caller]
fn freeipmi(tool: &str, node: &Node<'_>, suite: &str) -> Tool {
    freeipmi_at(tool, node.ipmi, suite)
}

/// The value of a `Name : value` line.
#[track_caller]
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    });
    value.unwrap_or_else(|| panic!("no {name:?} in:\n{text}"))
}

/// `ipmipower` answers `host: word`, and ends well even when the word is an error.
#[track_caller]
fn power(node: &Node<'_>, suite: &str, verb: &str) -> String {
    let said = freeipmi("ipmipower", node, suite).arg(verb).ok();
    let (_, word) = said.trim().rsplit_once(": ").unwrap_or_else(|| panic!("no result in {said:?}"));
    word.to_owned()
}

#[test]
fn ipmipower_with_both_suites() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for suite in SUITES {
        assert_eq!(power(&node, suite, "--stat"), "off");
        let mark = lab.last_event();
        assert_eq!(power(&node, suite, "--on"), "ok");
        node.await_power("on");
        lab.await_event(mark, "node-0", "booted");
        assert_eq!(power(&node, suite, "--stat"), "on");

        for (verb, kinds) in [
            ("--reset", &["reset"][..]),
            ("--cycle", &["powered-off", "powered-on"]),
            ("--pulse", &["nmi"]),
            ("--soft", &["shutdown-requested", "powered-off"]),
        ] {
            let mark = lab.last_event();
            assert_eq!(power(&node, suite, verb), "ok", "{verb}");
            lab.await_event(mark, "node-0", kinds.last().unwrap());
            assert_eq!(lab.power_changes_since(mark, "node-0"), kinds, "{verb}");
        }
        assert_eq!(power(&node, suite, "--stat"), "off");
        assert_eq!(power(&node, suite, "--on"), "ok");
        node.await_power("on");
        assert_eq!(power(&node, suite, "--off"), "ok");
        node.await_power("off");
    }
}

#[test]
fn ipmipower_waits_for_what_it_did() {
    let lab = Lab::builder(1).post(Duration::from_millis(300)).start();
    let node = lab.node(0);
    let waiting = |verb: &[&str]| freeipmi("ipmipower", &node, "17").args(verb).ok();
    assert!(waiting(&["--on", "--wait-until-on"]).trim().ends_with(": ok"));
    assert_eq!(node.power(), "on");
    assert!(waiting(&["--off", "--wait-until-off"]).trim().ends_with(": ok"));
    assert_eq!(node.power(), "off");
}

#[test]
fn ipmipower_on_many_hosts_at_once() {
    let lab = Lab::builder(4).start();
    let nodes: Vec<_> = (0..4).map(|n| lab.node(n)).collect();
    let hosts: Vec<String> = nodes.iter().map(|node| node.ipmi.to_string()).collect();
    let all = |verb: &str| {
        let tool = Tool::find("ipmipower").args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-I", "17"]);
        let said = tool.arg("-h").arg(hosts.join(",")).arg(verb).ok();
        let mut words: Vec<String> =
            said.lines().filter_map(|line| line.rsplit_once(": ")).map(|(_, word)| word.to_owned()).collect();
        words.sort();
        words
    };
    assert_eq!(all("--stat"), ["off"; 4]);
    assert_eq!(all("--on"), ["ok"; 4]);
    for node in &nodes {
        node.await_power("on");
    }
    nodes[2].put_down();
    assert_eq!(all("--stat"), ["off", "on", "on", "on"]);
}

#[test]
fn ipmipower_names_what_is_wrong() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let said = |user: &str, password: &str, level: &str, suite: &str, verb: &str| {
        let tool = Tool::find("ipmipower")
            .args(["-D", "LAN_2_0", "-u", user, "-p", password, "-l", level, "-I", suite]);
        tool.arg("-h").arg(node.ipmi.to_string()).arg(verb).run().all_output()
    };
    for suite in SUITES {
        assert!(said(USER, "wrong", "ADMIN", suite, "--stat").contains("password invalid"));
        assert!(said("nobody", PASSWORD, "ADMIN", suite, "--stat").contains("username invalid"));
    }
    assert!(said(USER, PASSWORD, "ADMIN", "1", "--stat").contains("cipher suite id unavailable"));
    assert!(said(USER, PASSWORD, "USER", "17", "--on").contains("privilege"));
    assert_eq!(node.power(), "off");
}

#[test]
fn kg() {
    let key = "0x00112233445566778899aabbccddeeff00112233";
    let lab = Lab::builder(1).defaults(&format!("kg = \"{key}\"")).start();
    let node = lab.node(0);
    for suite in SUITES {
        let stat =
            |key: &[&str]| freeipmi("ipmipower", &node, suite).args(key).arg("--stat").run().all_output();
        assert!(stat(&["-k", key]).trim().ends_with(": off"));
        assert!(stat(&[]).contains("k_g invalid"));
        assert!(stat(&["-k", "another"]).contains("k_g invalid"));
    }
}

#[test]
fn ipmi_chassis() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for suite in SUITES {
        let chassis = |arg: &str| freeipmi("ipmi-chassis", &node, suite).arg(arg).ok();
        let capabilities = chassis("--get-chassis-capabilities");
        assert_eq!(field(&capabilities, "Diagnostic Interrupt"), "provided", "{capabilities}");

        let status = chassis("--get-chassis-status");
        assert_eq!(field(&status, "System Power"), "off", "{status}");
        assert_eq!(field(&status, "Power overload"), "false", "{status}");
        assert_eq!(field(&status, "Power control fault"), "false", "{status}");

        assert_eq!(chassis("--chassis-identify=FORCE"), "");
        assert_eq!(field(&chassis("--get-chassis-status"), "Chassis Identify state"), "Indefinite on");
        chassis("--chassis-identify=TURN-OFF");
        assert_eq!(field(&chassis("--get-chassis-status"), "Chassis Identify state"), "off");
        chassis("--chassis-identify=30");

        chassis("--chassis-control=POWER-UP");
        node.await_power("on");
        chassis("--chassis-control=POWER-CYCLE");
        node.await_power("on");
        chassis("--chassis-control=HARD-RESET");
        chassis("--chassis-control=DIAGNOSTIC-INTERRUPT");
        let cause = chassis("--get-system-restart-cause");
        assert!(cause.contains("Chassis control command"), "{cause}");
        chassis("--chassis-control=SOFT-SHUTDOWN");
        node.await_power("off");
        chassis("--chassis-control=POWER-DOWN");
    }
}

#[test]
fn ipmi_chassis_config() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let file = lab.daemon.dir().join("chassis.conf");
    for suite in SUITES {
        let config = |args: &[&str]| freeipmi("ipmi-chassis-config", &node, suite).args(args).run();
        let all = config(&["--checkout", "--verbose"]);
        assert!(all.success(), "{all}");
        for key in ["Boot_Flags_Persistent", "BIOS_Boot_Type", "Boot_Device", "Power_Restore_Policy"] {
            assert!(all.stdout.contains(key), "{key} is missing in {all}");
        }

        let wanted = [
            ("Boot_Flags_Persistent", "Yes"),
            ("BIOS_Boot_Type", "EFI"),
            ("CMOS_Clear", "Yes"),
            ("Lock_Keyboard", "Yes"),
            ("Screen_Blank", "No"),
            ("Boot_Device", "CD-DVD"),
            ("Lock_Out_Reset_Button", "Yes"),
            ("Firmware_Bios_Verbosity", "Verbose"),
            ("User_Password_Bypass", "No"),
        ];
        for (key, value) in wanted {
            let ran = config(&["--commit", &format!("--key-pair=Chassis_Boot_Flags:{key}={value}")]);
            assert!(ran.success(), "{ran}");
        }
        for (key, value) in wanted {
            let ran = config(&["--diff", &format!("--key-pair=Chassis_Boot_Flags:{key}={value}")]);
            assert!(ran.success() && ran.stdout.is_empty(), "{ran}");
        }
        let differs = config(&["--diff", "--key-pair=Chassis_Boot_Flags:Boot_Device=PXE"]);
        assert!(!differs.stdout.is_empty(), "a difference is not seen: {differs}");
        let boot = node.boot();
        assert_eq!(
            (boot["target"].as_str(), boot["enabled"].as_str()),
            (Some("cdrom"), Some("continuous")),
            "{boot}"
        );
        assert_eq!(boot["uefi"], true, "{boot}");

        // What was read can be written back, and is the same afterwards.
        let flags = config(&["--checkout", "--section=Chassis_Boot_Flags"]);
        assert!(flags.success(), "{flags}");
        std::fs::write(&file, &flags.stdout).unwrap();
        let name = file.to_str().unwrap();
        let back = config(&["--commit", "--filename", name]);
        assert!(back.success(), "{back}");
        let diff = config(&["--diff", "--filename", name]);
        assert!(diff.success() && diff.stdout.is_empty(), "{diff}");

        for device in [
            "NO-OVERRIDE",
            "PXE",
            "HARD-DRIVE",
            "HARD-DRIVE-SAFE-MODE",
            "DIAGNOSTIC_PARTITION",
            "BIOS-SETUP",
            "FLOPPY",
        ] {
            let pair = format!("--key-pair=Chassis_Boot_Flags:Boot_Device={device}");
            let ran = config(&["--commit", &pair]);
            assert!(ran.success(), "{ran}");
            let ran = config(&["--diff", &pair]);
            assert!(ran.success() && ran.stdout.is_empty(), "{ran}");
        }

        let policy =
            config(&["--commit", "--key-pair=Chassis_Power_Conf:Power_Restore_Policy=On_State_AC_Apply"]);
        assert!(policy.success(), "{policy}");
        assert_eq!(lab.json(&["show", "node-0", "-o", "json"])["power_policy"], "always-on");
        let policy =
            config(&["--commit", "--key-pair=Chassis_Power_Conf:Power_Restore_Policy=Off_State_AC_Apply"]);
        assert!(policy.success(), "{policy}");
    }
}

#[test]
fn bmc_info() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for suite in SUITES {
        let info = freeipmi("bmc-info", &node, suite).ok();
        assert_eq!(field(&info, "Device GUID"), node.uuid, "{info}");
        assert_eq!(field(&info, "System GUID"), node.uuid, "{info}");
        assert_eq!(field(&info, "Device ID"), "32", "{info}");
        assert_eq!(field(&info, "IPMI Version"), "2.0", "{info}");
        assert_eq!(field(&info, "Device Available"), "yes (normal operation)", "{info}");
        assert_eq!(field(&info, "Chassis Device"), "supported", "{info}");
        assert_eq!(field(&info, "SEL Device"), "supported", "{info}");
        // There are the IPMB and the LAN. Below them FreeIPMI 1.6.10 prints slots of its table that it never filled: what they
        // hold differs from call to call, while each of the other channels was refused with CCh.
        let (_, channels) =
            info.split_once("Channel Information").unwrap_or_else(|| panic!("no channels in {info}"));
        let mut channels = channels.trim_start().split("\n\n");
        for (number, medium, sessions) in
            [("0", "IPMB (I2C)", "session-less"), ("1", "802.3 LAN", "multi-session")]
        {
            let channel = channels.next().unwrap_or_else(|| panic!("no channel {number} in {info}"));
            assert_eq!(field(channel, "Channel Number"), number, "{info}");
            assert_eq!(field(channel, "Medium Type"), medium, "{info}");
            assert_eq!(field(channel, "Session Support"), sessions, "{info}");
        }
        for which in ["--get-device-guid", "--get-system-guid"] {
            let guid = freeipmi("bmc-info", &node, suite).arg(which).ok();
            assert_eq!(guid.trim(), node.uuid, "{which}");
        }
    }
}

/// What MAAS runs for a power cycle: its boot order by a file, then its power command.
#[test]
fn maas() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let file = lab.daemon.dir().join("maas.conf");
    std::fs::write(
        &file,
        "Section Chassis_Boot_Flags\n\tBoot_Flags_Persistent No\n\tBIOS_Boot_Type EFI\n\tBoot_Device PXE\nEndSection\n",
    )
    .unwrap();
    let host = node.ipmi.to_string();
    for (suite, workarounds) in
        [("3", &["-W", "opensesspriv"][..]), ("17", &["-W", "opensesspriv"]), ("3", &[]), ("17", &[])]
    {
        let login = |tool: &str| {
            let tool = Tool::find(tool).args(workarounds).args([
                "--driver-type",
                "LAN_2_0",
                "-h",
                &host,
                "-u",
                USER,
            ]);
            tool.args(["-p", PASSWORD, "-I", suite, "-l", "OPERATOR"])
        };
        let power = |args: &[&str]| login("ipmipower").args(args).ok();
        login("ipmi-chassis-config").args(["--commit", "--filename"]).arg(&file).ok();
        let boot = node.boot();
        assert_eq!(
            (boot["target"].as_str(), boot["enabled"].as_str()),
            (Some("pxe"), Some("once")),
            "{boot}"
        );
        assert_eq!(boot["uefi"], true);
        let mark = lab.last_event();
        assert!(power(&["--cycle", "--on-if-off"]).trim().ends_with(": ok"));
        lab.await_event(mark, "node-0", "powered-on");
        assert_eq!(lab.power_changes_since(mark, "node-0"), ["powered-on"]);
        assert!(power(&["--stat"]).trim().ends_with(": on"));
        assert!(power(&["--soft"]).trim().ends_with(": ok"));
        node.await_power("off");
        assert!(power(&["--off"]).trim().ends_with(": ok"));
        assert!(power(&["--stat"]).trim().ends_with(": off"));
    }
}

/// FreeIPMI raises both sequence numbers when it repeats itself, so that a repetition is a command of its own to the
/// session layer. The cycle that is under way, or was a moment ago, takes it in.
#[test]
fn a_cycle_whose_replies_are_lost_runs_once() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let mark = lab.last_event();
    // Replies in the session: 1 to Set Session Privilege Level, 2 to Chassis Control (and its first repetitions).
    let mut replies = 0;
    let relay = Relay::lossy(node.ipmi, move |seen| {
        if seen.way == Way::Reply && seen.in_session() {
            replies += 1;
            return !(2..=3).contains(&replies);
        }
        true
    });
    let tool =
        freeipmi_at("ipmipower", relay.address(), "17").args(["--retransmission-timeout=400", "--cycle"]);
    let said = tool.ok();
    assert!(said.trim().ends_with(": ok"), "{said}");
    assert_eq!(relay.seen().iter().filter(|seen| !seen.passed).count(), 2, "the replies were not lost");
    lab.await_event(mark, "node-0", "powered-on");
    assert_eq!(lab.power_changes_since(mark, "node-0"), ["powered-off", "powered-on"]);
}

/// Strict as it is, FreeIPMI still has nothing to wait for.
#[test]
fn no_call_stalls() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for suite in SUITES {
        for (tool, arg) in [
            ("ipmipower", "--stat"),
            ("ipmi-chassis", "--get-chassis-status"),
            ("bmc-info", "--get-device-id"),
            ("bmc-info", "--get-channel-info"),
        ] {
            let relay = Relay::transparent(node.ipmi);
            let ran = freeipmi_at(tool, relay.address(), suite).arg(arg).run();
            assert!(ran.success(), "{ran}");
            relay.assert_in_step();
        }
    }
}
