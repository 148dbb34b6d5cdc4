//! Sessions, channels, and who may not get in.

use std::time::Duration;

use polybmc_tests::lab::{self, Lab, PASSWORD, USER};
use testkit::tools::Tool;

use super::{SUITES, assert_status, field, ok};

#[test]
fn sessions_and_channels() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let info = ok(&node, "session info active");
    assert_eq!(field(&info, "active sessions"), "1");
    assert_eq!(field(&info, "user id"), "2");
    assert_eq!(field(&info, "privilege level"), "ADMINISTRATOR");
    assert_eq!(field(&info, "session type"), "IPMIv2/RMCP+");
    // The session of the command before was closed: only its own is left, every time.
    assert_eq!(field(&ok(&node, "session info all"), "active sessions"), "1");

    let channel = ok(&node, "channel info 1");
    assert_eq!(field(&channel, "Channel Medium Type"), "802.3 LAN");
    assert_eq!(field(&channel, "Channel Protocol Type"), "IPMB-1.0");
    assert_eq!(field(&channel, "Session Support"), "multi-session");
    assert_eq!(field(&channel, "Active Session Count"), "1");
    let authcap = ok(&node, "channel authcap 1 4");
    assert_eq!(field(&authcap, "Channel number"), "1");
    assert_eq!(field(&authcap, "IPMI v1.5  auth types"), "");
    assert_eq!(field(&authcap, "KG status"), "default (all zeroes)");
    assert_eq!(field(&authcap, "Non-null user names exist"), "yes");
    let ciphers = ok(&node, "channel getciphers ipmi 1");
    let ids: Vec<&str> = ciphers
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|id| id.parse::<u8>().is_ok())
        .collect();
    assert_eq!(ids, ["3", "17"], "{ciphers}");
}

#[test]
fn who_may_not_get_in() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for suite in SUITES {
        let as_user = |user: &str, password: &str| {
            lab::ipmitool_as(node.ipmi, user, password)
                .args(["-v", "-C", suite, "-R", "1", "power", "status"])
                .fails()
        };
        let wrong = as_user(USER, "wrong");
        assert!(wrong.stderr.contains("RAKP 2 HMAC is invalid"), "{wrong}");
        let unknown = as_user("nobody", PASSWORD);
        assert!(
            unknown.stderr.contains("RAKP 2 message indicates an error : unauthorized name"),
            "{unknown}"
        );
        let null = as_user("", "");
        assert!(null.stderr.contains("RAKP 2 message indicates an error : unauthorized name"), "{null}");
    }
    // Names are audited, made-up ones as one; of the wrong password ipmitool says nothing to the BMC.
    let log = node.ipmitool().args(["sel", "elist"]).ok();
    assert_eq!(log.matches("| Session Audit ").count(), 1, "{log}");
    // A suite that is not offered is refused by its status, at once.
    for suite in ["0", "1", "2", "15", "16"] {
        let ran = node.ipmitool().args(["-v", "-C", suite, "-R", "1", "power", "status"]).fails();
        assert!(ran.stderr.contains("no matching cipher suite"), "suite {suite}: {ran}");
    }
    assert_status(&node, "17", "off");
}

#[test]
fn ipmi_1_5_is_not_offered_and_says_so_at_once() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let (host, port) = (node.ipmi.ip().to_string(), node.ipmi.port().to_string());
    let tool =
        Tool::find("ipmitool").args(["-I", "lan", "-H", &host, "-p", &port, "-U", USER, "-P", PASSWORD]);
    let ran = tool.args(["power", "status"]).fails();
    assert!(ran.took < Duration::from_secs(5), "{ran}");
}

#[test]
fn a_level_that_is_too_low_is_refused() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let at = |level: &str, args: &str| node.ipmitool().args(["-L", level]).args(args.split(' '));
    assert_eq!(at("USER", "power status").ok(), "Chassis Power is on\n");
    assert!(at("USER", "mc info").ok().contains("Device ID"));
    for args in ["power off", "chassis bootdev pxe", "chassis identify", "chassis policy always-on"] {
        // ipmitool says so, but ends well after a refused boot device.
        let ran = at("USER", args).run();
        assert!(ran.all_output().contains("nsufficient privilege level"), "{ran}");
    }
    assert_eq!(node.power(), "on");
    assert_eq!(node.boot()["enabled"], "disabled");
    assert_eq!(at("OPERATOR", "power off").ok(), "Chassis Power Control: Down/Off\n");
    node.await_power("off");
}

/// Two-key logins. (A key that begins with a zero byte counts as none for ipmitool.)
#[test]
fn kg() {
    let lab = Lab::builder(1).defaults("kg = \"0x112233445566778899aabbccddeeff0011223344\"").start();
    let node = lab.node(0);
    let right = ["-y", "112233445566778899aabbccddeeff0011223344"];
    for suite in SUITES {
        let with = |key: &[&str]| {
            node.ipmitool().args(["-v", "-C", suite, "-R", "1"]).args(key).args(["power", "status"]).run()
        };
        let let_in = with(&right);
        assert_eq!(let_in.stdout, "Chassis Power is off\n", "{let_in}");
        for wrong in [&["-y", "ff2233445566778899aabbccddeeff0011223344"][..], &[]] {
            // ipmitool says so, but may end well after it.
            let ran = with(wrong);
            assert_eq!(ran.stdout, "", "{ran}");
            assert!(ran.stderr.contains("RAKP 4 message has invalid integrity check value"), "{ran}");
        }
    }
    let authcap = node.ipmitool().args(right).args(["channel", "authcap", "1", "4"]).ok();
    assert_eq!(field(&authcap, "KG status"), "non-zero");
    assert!(!lab.daemon.log().contains("112233"), "the key was logged");
}
