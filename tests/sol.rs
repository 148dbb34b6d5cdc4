//! The serial console over its two doors: Serial over LAN by ipmitool, FreeIPMI and pyghmi, and `polybmc console`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER, ipmitool};
use polybmc_tests::relay::Relay;
use polybmc_tests::talk::{Talk, activate};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::python;

const PROMPT: &str = "root@node-0:~$ ";

/// `ipmiconsole` in a terminal, without any workaround flag.
#[track_caller]
fn ipmiconsole(node: &Node<'_>, more: &[&str]) -> Talk {
    let host = node.ipmi.to_string();
    let login = ["-h", &host, "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "-I", "17"];
    Talk::in_terminal("ipmiconsole", &[&login[..], more].concat())
}

#[track_caller]
fn polybmc_console(lab: &Lab, more: &[&str]) -> Talk {
    let control = lab.daemon.control().display().to_string();
    let binary = testkit::paths::polybmc().display().to_string();
    Talk::start(&binary, &[&["--control", &control, "console", "node-0"], more].concat())
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    });
    value.unwrap_or_else(|| panic!("no {name:?} in:\n{text}"))
}

#[test]
fn ipmitool_reads_and_sets_the_parameters() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let ok = |args: &str| node.ipmitool().args(args.split(' ')).ok();
    let info = ok("sol info 1");
    for (name, value) in [
        ("Set in progress", "set-complete"),
        ("Enabled", "true"),
        ("Force Encryption", "false"),
        ("Privilege Level", "OPERATOR"),
        ("Character Accumulate Level (ms)", "20"),
        ("Character Send Threshold", "96"),
        ("Retry Count", "7"),
        ("Retry Interval (ms)", "500"),
        ("Volatile Bit Rate (kbps)", "115.2"),
        ("Payload Channel", "1 (0x01)"),
        ("Payload Port", &node.ipmi.port().to_string()),
    ] {
        assert_eq!(field(&info, name), value, "{name}");
    }
    for (parameter, value, name, shown) in [
        ("force-encryption", "true", "Force Encryption", "true"),
        ("force-authentication", "true", "Force Authentication", "true"),
        ("privilege-level", "admin", "Privilege Level", "ADMINISTRATOR"),
        ("character-accumulate-level", "12", "Character Accumulate Level (ms)", "60"),
        ("character-send-threshold", "200", "Character Send Threshold", "200"),
        ("retry-count", "3", "Retry Count", "3"),
        ("retry-interval", "100", "Retry Interval (ms)", "1000"),
        ("non-volatile-bit-rate", "57.6", "Non-Volatile Bit Rate (kbps)", "57.6"),
        ("volatile-bit-rate", "9.6", "Volatile Bit Rate (kbps)", "9.6"),
        ("enabled", "false", "Enabled", "false"),
    ] {
        ok(&format!("sol set {parameter} {value}"));
        assert_eq!(field(&ok("sol info"), name), shown, "{parameter}");
    }
    assert_eq!(field(&ok("sol info"), "Set in progress"), "set-complete");
    let (code, said) = activate(node.ipmi).end();
    assert!(code != Some(0) && said.contains("SOL payload disabled"), "{said}");
    ok("sol set enabled true");
    // A suite without encryption is not enough now, and there is none here; an operator's session is not either.
    let refused = node.ipmitool().args(["-L", "OPERATOR", "sol", "activate"]).fails();
    assert!(refused.all_output().contains("Insufficient privilege level"), "{refused}");
}

#[test]
fn ipmitool_types_and_reads_and_one_has_the_port() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let mut sol = activate(node.ipmi);
    // What was printed before anybody watched.
    assert!(sol.expect("node-0 login: ").contains("Booting from disk sda"));
    sol.send("root\r");
    sol.expect(PROMPT);
    sol.send("echo over the wire\r");
    sol.expect("\r\nover the wire\r\n");
    sol.send("\r~B");
    sol.expect("Break received.");

    let (code, said) = activate(node.ipmi).end();
    assert!(code != Some(0) && said.contains("SOL payload already active on another session"), "{said}");
    node.ipmitool().args(["sol", "deactivate"]).ok();
    // ipmitool learns that it has lost the port when nobody acknowledges what it sends.
    sol.send("x");
    let (code, said) = sol.end();
    assert!(code != Some(0) && said.contains("SOL session closed by BMC"), "{said}");
    let again = node.ipmitool().args(["sol", "deactivate"]).run();
    assert!(again.all_output().contains("SOL payload already de-activated"), "{again}");

    let mut sol = activate(node.ipmi);
    sol.expect(PROMPT);
    sol.send("\r");
    sol.expect(PROMPT);
    sol.send("~.");
    let (code, said) = sol.end();
    assert_eq!(code, Some(0), "{said}");
    let loops = node.ipmitool().args(["sol", "looptest", "5", "10"]).ok();
    assert_eq!(loops.matches("[SOL Session operational").count(), 5, "{loops}");
}

#[test]
fn the_shell_acts_on_the_machine() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let mut sol = activate(node.ipmi);
    sol.expect("login: ");
    sol.send("root\r");
    sol.expect(PROMPT);
    sol.send("reboot\r");
    sol.expect("Self-test ...");
    sol.expect("login: ");
    sol.send("root\r");
    sol.expect(PROMPT);
    sol.send("poweroff\r");
    sol.expect("Power is off.");
    node.await_power("off");
    // Nobody answers now, and the session stays: the machine may come back.
    sol.send("x");
    node.bring_up();
    sol.expect("login: ");
    sol.send("\r~.");
    assert_eq!(sol.end().0, Some(0));
}

#[test]
fn freeipmi_types_and_reads_and_steals() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let mut first = ipmiconsole(&node, &[]);
    first.expect("login: ");
    first.send("root\r");
    first.expect(PROMPT);
    first.send("echo free\r");
    first.expect("\r\nfree\r\n");
    let (_, said) = ipmiconsole(&node, &["--dont-steal"]).end();
    assert!(said.to_lowercase().contains("in use"), "{said}");
    // Without that it takes the port away from who has it.
    let mut second = ipmiconsole(&node, &[]);
    let (_, said) = first.end();
    assert!(said.contains("SOL session stolen"), "{said}");
    second.expect("free\r\n");
    second.send("\r");
    second.expect(PROMPT);
    second.send("&B");
    second.expect("Break received.");
    let (code, said) = ipmiconsole(&node, &["--deactivate"]).end();
    assert_eq!(code, Some(0), "{said}");
    assert!(second.end().1.contains("SOL session stolen"));
    let mut third = ipmiconsole(&node, &[]);
    third.expect("login: ");
    third.send("&.");
    let (_, said) = third.end();
    assert!(said.contains("closing the connection"), "{said}");
}

#[test]
fn pyghmi_types_and_reads() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let program = format!(
        "
import time
from pyghmi.ipmi import console
seen = []
c = console.Console(bmc={:?}, userid={USER:?}, password={PASSWORD:?}, port={}, iohandler=seen.append, force=True)
def until(text):
    end = time.time() + 30
    while text not in b''.join(x for x in seen if isinstance(x, bytes)):
        assert time.time() < end, seen
        c.wait_for_rsp(0.1)
until(b'login: ')
c.send_data('root\\r')
until(b':~$ ')
c.send_data('echo snake\\r')
until(b'\\r\\nsnake\\r\\n')
c.close()
print('seen')
",
        node.ipmi.ip().to_string(),
        node.ipmi.port(),
    );
    let said = python::program("python").args(["-c", &program]).ok();
    assert!(said.ends_with("seen\n"), "{said}");
}

#[test]
fn two_viewers_see_one_stream() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let mut here = polybmc_console(&lab, &[]);
    here.expect("~. leaves");
    here.send("x\n");
    here.expect("the machine is off");
    node.bring_up();
    here.expect("login: ");
    let mut sol = activate(node.ipmi);
    sol.expect("login: ");
    sol.send("root\r");
    here.expect(PROMPT);
    here.send("echo both\n");
    here.expect("\r\nboth\r\n");
    sol.expect("\r\nboth\r\n");
    here.send("\n~?");
    here.expect("send a break");
    here.send("~B");
    here.expect("Break received.");
    sol.expect("Break received.");
    here.send("~.");
    let (code, said) = here.end();
    assert_eq!(code, Some(0), "{said}");
    // One who comes without history sees nothing old.
    let mut new = polybmc_console(&lab, &["--no-history"]);
    new.expect("~. leaves");
    new.send("echo new\n");
    assert!(!new.expect("\r\nnew\r\n").contains("login"));
}

#[test]
fn the_terminal_is_as_before_when_polybmc_console_ends() {
    let lab = Lab::builder(1).start();
    let control = lab.daemon.control().display().to_string();
    let binary = testkit::paths::polybmc().display().to_string();
    let line = format!(
        "stty -g; {binary} --control {control} console node-0; stty -g; {binary} --control {control} console nobody; stty -g"
    );
    let mut shell = Talk::start("script", &["-qefc", &line, "/dev/null"]);
    shell.expect("~. leaves");
    shell.send("~.");
    let (_, said) = shell.end();
    let settings: Vec<&str> =
        said.lines().map(str::trim).filter(|line| line.matches(':').count() > 20).collect();
    assert!(matches!(settings[..], [a, b, c] if a == b && b == c), "{said}");
    assert!(said.contains("no BMC"), "{said}");
}

/// A wire that loses every fifth datagram of Serial over LAN, either way; by chance, or it would be the same of every exchange. Commands pass:
/// ipmitool takes a late answer to one for the answer to the next.
#[test]
fn a_long_answer_comes_whole_through_a_bad_wire_and_after_reconnecting() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let mut chance = StdRng::seed_from_u64(7);
    let relay = Relay::at_its_port(node.ipmi, move |seen| !seen.is_sol() || !chance.random_bool(0.2));
    for round in ["first", "second"] {
        let mut sol = activate(relay.address());
        sol.expect("[SOL Session operational");
        // Once output is there, ipmitool has its terminal in raw mode, and what is typed is not swallowed.
        sol.expect("login: ");
        if round == "first" {
            sol.send("root\r");
            sol.expect(PROMPT);
        }
        // Behind what is shown of the first round.
        sol.send(&format!("echo {round} ready\r"));
        sol.expect(&format!("\r\n{round} ready\r\n{PROMPT}"));
        for piece in 0..4 {
            let words = format!("{round}-{piece}-{}", "0123456789".repeat(12));
            sol.send(&format!("echo {words}\r"));
            // Echoed and answered, each once and whole.
            let answer = sol.expect(&format!("\r\n{words}\r\n{PROMPT}"));
            assert_eq!(answer, format!("echo {words}\r\n{words}\r\n{PROMPT}"), "piece {piece}");
        }
        if round == "second" {
            sol.send("~.");
            sol.end();
        } else {
            // It vanishes without a word; who comes next takes the port away.
            drop(sol);
            ipmitool(node.ipmi).args(["sol", "deactivate"]).ok();
        }
    }
}
