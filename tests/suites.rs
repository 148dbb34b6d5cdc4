//! Every way to log in, by the clients that know it: ipmitool aborts on suites 11 and 12 and knows no MD2, FreeIPMI knows all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use polybmc_tests::lab::{self, Lab, Node, PASSWORD, USER};
use testkit::daemon::Daemon;
use testkit::tools::{Ran, Tool};

/// All suites, each for every level.
const ALL: &str = "cipher_suites = [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17]";
/// Those with a login, by ipmitool.
const IPMITOOL: [&str; 9] = ["1", "2", "3", "6", "7", "8", "15", "16", "17"];
/// Those with a login.
const SUITES: [&str; 11] = ["1", "2", "3", "6", "7", "8", "11", "12", "15", "16", "17"];
/// A BMC key for both clients.
const KG: &str = "0x112233445566778899aabbccddeeff0011223344";

#[track_caller]
fn freeipmi(tool: &str, node: &Node<'_>, args: &[&str]) -> Ran {
    // Short times: a login of IPMI 1.5 with a wrong password ends with them.
    let times = ["--session-timeout=4000", "--retransmission-timeout=900"];
    Tool::find(tool).args(args).args(times).arg("-h").arg(node.ipmi.to_string()).run()
}

/// What `ipmipower --stat` says with this suite.
#[track_caller]
fn stat(node: &Node<'_>, suite: &str, args: &[&str]) -> String {
    let login = ["-D", "LAN_2_0", "-I", suite, "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "--stat"];
    let said = freeipmi("ipmipower", node, &[&login, args].concat()).all_output();
    said.trim().rsplit_once(": ").unwrap_or_else(|| panic!("no result in {said:?}")).1.to_owned()
}

/// The same by a login of IPMI 1.5.
#[track_caller]
fn stat_v15(node: &Node<'_>, auth_type: &str, args: &[&str]) -> String {
    let login = ["-D", "LAN", "-a", auth_type, "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "--stat"];
    let said = freeipmi("ipmipower", node, &[&login, args].concat()).all_output();
    said.trim().rsplit_once(": ").unwrap_or_else(|| panic!("no result in {said:?}")).1.to_owned()
}

#[track_caller]
fn ipmitool(node: &Node<'_>, suite: &str, user: &str, password: &str, args: &[&str]) -> Ran {
    let tool = lab::ipmitool_as(node.ipmi, user, password);
    tool.args(["-v", "-C", suite, "-R", "1"]).args(args).args(["power", "status"]).run()
}

#[test]
fn every_suite_lets_in_and_keeps_out() {
    let lab = Lab::builder(1).defaults(ALL).start();
    let node = lab.node(0);
    for suite in IPMITOOL {
        let status = ipmitool(&node, suite, USER, PASSWORD, &[]);
        assert_eq!(status.stdout, "Chassis Power is off\n", "suite {suite}: {status}");
        let wrong = ipmitool(&node, suite, USER, "wrong", &[]);
        assert!(wrong.stderr.contains("RAKP 2 HMAC is invalid"), "suite {suite}: {wrong}");
        let unknown = ipmitool(&node, suite, "nobody", PASSWORD, &[]);
        assert!(unknown.stderr.contains("unauthorized name"), "suite {suite}: {unknown}");
        let key = ipmitool(&node, suite, USER, PASSWORD, &["-k", "a key that is not"]);
        assert!(key.stderr.contains("RAKP 4 message has invalid integrity check"), "suite {suite}: {key}");
    }
    for suite in SUITES {
        assert_eq!(stat(&node, suite, &[]), "off", "suite {suite}");
        assert_eq!(stat(&node, suite, &["-p", "wrong"]), "password invalid", "suite {suite}");
        assert_eq!(stat(&node, suite, &["-u", "nobody"]), "username invalid", "suite {suite}");
        assert_eq!(stat(&node, suite, &["-k", "another"]), "k_g invalid", "suite {suite}");
        let info = ["-D", "LAN_2_0", "-I", suite, "-u", USER, "-p", PASSWORD, "-l", "ADMIN"];
        let info = freeipmi("bmc-info", &node, &[&info[..], &["--get-device-id"]].concat());
        assert!(info.stdout.contains("Device ID"), "suite {suite}: {info}");
    }
    // Suite 0 asks for a user and for nothing else.
    assert_eq!(ipmitool(&node, "0", USER, "any", &[]).stdout, "Chassis Power is off\n");
    assert_eq!(stat(&node, "0", &["-p", "any"]), "off");
    assert_eq!(stat(&node, "0", &["-u", "nobody"]), "username invalid");

    let listed = node.ipmitool().args(["channel", "getciphers", "ipmi", "1"]).ok();
    let ids = listed.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u8>().ok());
    assert_eq!(ids.collect::<Vec<_>>(), [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17], "{listed}");
}

#[test]
fn every_suite_with_a_bmc_key() {
    let lab = Lab::builder(1).defaults(&format!("{ALL}\nkg = \"{KG}\"")).start();
    let node = lab.node(0);
    for suite in SUITES {
        assert_eq!(stat(&node, suite, &["-k", KG]), "off", "suite {suite}");
        assert_eq!(stat(&node, suite, &[]), "k_g invalid", "suite {suite}");
    }
    for suite in IPMITOOL {
        let status = ipmitool(&node, suite, USER, PASSWORD, &["-y", &KG[2..]]);
        assert_eq!(status.stdout, "Chassis Power is off\n", "suite {suite}: {status}");
    }
}

/// A suite that is limited gives no more, however the console asks: in Open Session or only in RAKP 1.
#[test]
fn a_suite_goes_as_far_as_it_may() {
    let lab = Lab::builder(1)
        .defaults("cipher_suites = [{ id = 3, max_privilege = \"operator\" }, { id = 8, max_privilege = \"user\" }, 17]")
        .start();
    let node = lab.node(0);
    for (suite, level, may) in [
        ("3", "USER", true),
        ("3", "OPERATOR", true),
        ("3", "ADMIN", false),
        ("8", "USER", true),
        ("8", "OPERATOR", false),
        ("17", "ADMIN", true),
    ] {
        // FreeIPMI asks for the highest level in Open Session, and with its workaround for the level itself.
        for workaround in [&[][..], &["-W", "opensesspriv"]] {
            let wanted = if may { "off" } else { "privilege level cannot be obtained for this user" };
            let said = stat(&node, suite, &[&["-l", level], workaround].concat());
            assert_eq!(said, wanted, "suite {suite} at {level} {workaround:?}");
        }
        let long = if level == "ADMIN" { "ADMINISTRATOR" } else { level };
        let status = ipmitool(&node, suite, USER, PASSWORD, &["-L", long]);
        if may {
            assert_eq!(status.stdout, "Chassis Power is off\n", "suite {suite} at {level}: {status}");
        } else {
            assert!(status.stderr.contains("unauthorized role"), "suite {suite} at {level}: {status}");
        }
    }
    let off = ipmitool(&node, "16", USER, PASSWORD, &[]);
    assert!(off.stderr.contains("no matching cipher suite"), "{off}");
    assert_eq!(stat(&node, "16", &[]), "cipher suite id unavailable");
}

fn ipmitool_v15(node: &Node<'_>, auth_type: &str, password: &str) -> Tool {
    let (host, port) = (node.ipmi.ip().to_string(), node.ipmi.port().to_string());
    let login = ["-I", "lan", "-H", &host, "-p", &port, "-U", USER, "-P", password, "-R", "1", "-N", "1"];
    Tool::find("ipmitool").args(login).args(["-A", auth_type])
}

#[test]
fn ipmi_1_5_where_it_is_on() {
    let lab = Lab::builder(1).defaults("ipmi15_auth = [\"none\", \"md2\", \"md5\", \"password\"]").start();
    let node = lab.node(0);
    for auth_type in ["NONE", "MD5", "PASSWORD"] {
        let tool = || ipmitool_v15(&node, auth_type, PASSWORD);
        assert_eq!(tool().args(["power", "status"]).ok(), "Chassis Power is off\n", "{auth_type}");
        let info = tool().args(["session", "info", "active"]).ok();
        assert!(info.contains("IPMIv1.5") && info.contains("ADMINISTRATOR"), "{info}");
        if auth_type != "NONE" {
            ipmitool_v15(&node, auth_type, "wrong").args(["power", "status"]).fails();
        }
    }
    for auth_type in ["NONE", "MD2", "MD5"] {
        assert_eq!(stat_v15(&node, auth_type, &[]), "off", "{auth_type}");
        assert_eq!(stat_v15(&node, auth_type, &["-u", "nobody"]), "username invalid", "{auth_type}");
        if auth_type != "NONE" {
            let wrong = stat_v15(&node, auth_type, &["-p", "wrong"]);
            assert_eq!(wrong, "password verification timeout", "{auth_type}");
        }
    }
    // ipmipower never takes an answer that carries a plain password; FreeIPMI's library does.
    for auth_type in ["NONE", "MD2", "MD5", "STRAIGHT_PASSWORD_KEY"] {
        let login = ["-D", "LAN", "-a", auth_type, "-u", USER, "-p", PASSWORD, "-l", "ADMIN"];
        let status = freeipmi("ipmi-chassis", &node, &[&login[..], &["--get-chassis-status"]].concat());
        assert!(status.stdout.contains("System Power"), "{auth_type}: {status}");
    }
    ipmitool_v15(&node, "MD5", PASSWORD).args(["power", "on"]).ok();
    node.await_power("on");

    let authcap = node.ipmitool().args(["channel", "authcap", "1", "4"]).ok();
    assert!(authcap.contains("NONE MD2 MD5 PASSWORD"), "{authcap}");
    assert!(authcap.contains("Channel supports IPMI v1.5 : yes"), "{authcap}");
}

#[test]
fn ipmi_1_5_as_far_as_it_is_on() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for auth_type in ["NONE", "MD2", "MD5", "STRAIGHT_PASSWORD_KEY"] {
        assert_eq!(
            stat_v15(&node, auth_type, &[]),
            "authentication type unavailable for attempted privilege level"
        );
    }
    let lab = Lab::builder(1).defaults("ipmi15_auth = [\"md5\"]").start();
    let node = lab.node(0);
    assert_eq!(stat_v15(&node, "MD5", &[]), "off");
    assert_eq!(stat_v15(&node, "MD2", &[]), "authentication type unavailable for attempted privilege level");
    ipmitool_v15(&node, "PASSWORD", PASSWORD).args(["power", "status"]).fails();
}

/// What proves nothing is refused with its reason before anything listens.
#[test]
fn what_proves_nothing_is_not_served_off_loopback() {
    for (line, why) in [
        ("cipher_suites = [0, 17]", "cipher suite 0 does not prove where packets come from"),
        ("cipher_suites = [15]", "cipher suite 15 does not prove where packets come from"),
        ("ipmi15_auth = ['none']", "asks for no password"),
        ("ipmi15_auth = ['md5', 'password']", "sends the password in plain text"),
    ] {
        let bmc = format!("[[bmc]]\nname = 'a'\nipmi = '192.0.2.1:623'\npassword = 's3cret'\n{line}\n");
        let failure = Daemon::builder().config(bmc).try_start().unwrap_err().log;
        assert!(failure.contains(why) && failure.contains("loopback alone"), "{failure}");
    }
}

/// K_G as FreeIPMI's bmc-config reads and commits it. It holds for the next login and over a restart, and is in no log.
#[test]
fn a_bmc_key_that_a_client_sets() {
    let mut lab = Lab::builder(1).log("trace").start();
    let config = |lab: &Lab, key: &[&str], args: &[&str]| {
        let login = ["-D", "LAN_2_0", "-I", "17", "-u", USER, "-p", PASSWORD, "-l", "ADMIN"];
        freeipmi("bmc-config", &lab.node(0), &[&login[..], key, args].concat())
    };
    let whole = config(&lab, &[], &["--checkout", "-S", "Lan_Conf_Security_Keys"]);
    assert!(whole.success() && whole.stdout.contains("K_R") && whole.stdout.contains("K_G"), "{whole}");
    let read = ["--checkout", "-e", "Lan_Conf_Security_Keys:K_G"];
    let none = "0x0000000000000000000000000000000000000000";
    let checkout = config(&lab, &[], &read);
    assert!(checkout.success() && checkout.stdout.contains(none), "{checkout}");
    let pair = format!("Lan_Conf_Security_Keys:K_G={KG}");
    let commit = config(&lab, &[], &["--commit", "-e", &pair]);
    assert!(commit.success(), "{commit}");
    for restarted in [false, true] {
        if restarted {
            lab.daemon.kill();
            lab.daemon.restart();
        }
        assert_eq!(stat(&lab.node(0), "17", &[]), "k_g invalid");
        assert_eq!(stat(&lab.node(0), "3", &["-k", KG]), "off");
        let checkout = config(&lab, &["-k", KG], &read);
        assert!(checkout.success() && checkout.stdout.contains(KG), "{checkout}");
        let diff = config(&lab, &["-k", KG], &["--diff", "-e", &pair]);
        assert!(diff.success() && diff.stdout.is_empty(), "{diff}");
    }
    assert!(!lab.daemon.log().contains("112233"), "the key was logged");
}

/// LAN parameter 26: so many wrong passwords, and the user is locked out by whatever way.
#[test]
fn a_bad_password_threshold() {
    let lab = Lab::builder(1).defaults("ipmi15_auth = [\"md5\"]").start();
    let node = lab.node(0);
    node.ipmitool().args("lan set 1 bad_pass_thresh 2 1 0 60".split(' ')).ok();
    let print = node.ipmitool().args(["lan", "print", "1"]).ok();
    assert!(print.contains("Bad Password Threshold  : 2"), "{print}");
    let mark = lab.last_event();
    // With IPMI 1.5 the console cannot tell that the password is wrong: it sends its guess.
    for _ in 0..2 {
        ipmitool_v15(&node, "MD5", "wrong").args(["power", "status"]).fails();
    }
    let locked = ipmitool(&node, "17", USER, PASSWORD, &[]);
    assert!(locked.stderr.contains("unauthorized name"), "{locked}");
    assert_eq!(stat_v15(&node, "MD5", &[]), "username invalid");
    lab.await_event(mark, "node-0", "locked-out");
}
