//! `polybmc bench` as a program: against the daemon, against another maker's BMC, against nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use polybmc_tests::lab::Lab;
use serde_json::Value;
use testkit::tools::{Ran, Tool};
use testkit::{paths, ports, wait};

/// Far above what a dead target takes, far below what a hung one would.
const BY_ITSELF: Duration = Duration::from_secs(30);

fn bench(line: &str) -> Tool {
    Tool::at(paths::polybmc()).arg("bench").args(line.split_whitespace()).limit(BY_ITSELF)
}

#[track_caller]
fn report(ran: &Ran) -> Value {
    assert!(ran.success(), "{ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in\n{ran}"))
}

/// Name, good and bad of each kind of operation.
fn operations(report: &Value) -> Vec<(&str, u64, u64)> {
    let all = report["operations"].as_array().expect("operations");
    let figure = |value: &Value| value.as_u64().expect("a count");
    all.iter()
        .map(|one| (one["name"].as_str().expect("a name"), figure(&one["ok"]), figure(&one["failed"])))
        .collect()
}

#[test]
fn ipmi_against_the_daemon() {
    let lab = Lab::builder(2).start();
    let (one, two) = (lab.node(0).ipmi, lab.node(1).ipmi);
    for suite in ["3", "17"] {
        let line =
            format!("ipmi --target {one} --target {two} --suite {suite} --sessions 4 --count 60 -o json");
        let kept = report(&bench(&line).run());
        assert_eq!(operations(&kept), [("login", 4, 0), ("Get Chassis Status", 60, 0)]);
        let rounds = report(&bench(&format!("{line} --login-per-command --command device-id --floor")).run());
        let expected = [("login", 60, 0), ("Get Device ID", 60, 0), ("login, command, logout", 60, 0)];
        assert_eq!(operations(&rounds), expected);
        assert!(rounds["floor"]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{rounds:#}");
    }
    let ran = bench(&format!("ipmi --target {one} -P wrong")).fails();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("wrong password"), "{ran}");
}

#[test]
fn redfish_against_the_daemon() {
    let lab = Lab::builder(1).start();
    let url = lab.node(0).redfish;
    for auth in ["basic", "session"] {
        let line = format!("redfish --url {url} --insecure --auth {auth} --connections 2 --count 30 -o json");
        let seen = report(&bench(&line).run());
        assert_eq!(operations(&seen), [("connect", 2, 0), ("GET", 30, 0)]);
        assert_eq!(seen["statuses"]["200 OK"], 30, "{seen:#}");
    }
    for (scenario, name, status) in [
        ("system", "GET", "200 OK"),
        ("collection", "GET", "200 OK"),
        ("expand", "GET", "200 OK"),
        ("patch", "PATCH", "204 No Content"),
        ("login", "login", "201 Created"),
    ] {
        let line = format!(
            "redfish --url {url} --insecure --scenario {scenario} --connections 2 --count 30 --floor -o json"
        );
        let seen = report(&bench(&line).run());
        let operations = operations(&seen);
        assert_eq!(operations.last(), Some(&(name, 30, 0)), "{seen:#}");
        assert_eq!(operations.iter().find(|(name, ..)| *name == "logout").is_some(), scenario == "login");
        assert_eq!(seen["statuses"][status], 30, "{seen:#}");
        assert!(seen["floor"]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{seen:#}");
    }
    // The daemon's own certificate is nobody's business to trust unasked.
    let ran = bench(&format!("redfish --url {url}")).fails();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("certificate"), "{ran}");
}

#[test]
fn a_dead_port_ends_the_run_with_a_word() {
    let (udp, tcp) = (ports::free_udp(), ports::free_tcp());
    let ran = bench(&format!("ipmi --target {udp}")).fails();
    assert_eq!((ran.code, ran.stderr.contains("nobody listens")), (Some(1), true), "{ran}");
    let ran = bench(&format!("redfish --url https://{tcp} --insecure")).fails();
    assert_eq!((ran.code, ran.stderr.contains("cannot connect")), (Some(1), true), "{ran}");
}

#[test]
fn wrong_usage_is_exit_status_2() {
    for line in ["", "ipmi", "redfish", "ipmi --target a:1 --suite 18", "ipmi --target a:1 --sessions 0"] {
        let ran = bench(line).fails();
        assert_eq!(ran.code, Some(2), "{ran}");
    }
}

/// `ipmi_sim` of OpenIPMI; ends with the test.
struct IpmiSim {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl IpmiSim {
    fn start() -> Self {
        let address = ports::free_udp();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lan = format!(
            "name \"other\"\nset_working_mc 0x20\nstartlan 1\n addr {} {}\n priv_limit admin\n\
             allowed_auths_admin none md5\nguid a123456789abcdefa123456789abcdef\nendlan\n\
             user 2 true \"admin\" \"password\" admin 10 none md5\n",
            address.ip(),
            address.port()
        );
        fs::write(dir.path().join("lan.conf"), lan).expect("a file can be written");
        let commands =
            "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n";
        fs::write(dir.path().join("sim.emu"), commands).expect("a file can be written");
        let log = File::create(dir.path().join("log")).expect("a file can be written");
        let mut command = Command::new("ipmi_sim");
        command.args(["-n", "-p", "-c", "lan.conf", "-f", "sim.emu", "-s", "."]).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        let child = command.spawn().expect("missing tool ipmi_sim: run `cargo xtask test`");
        let this = Self { child, address, _dir: dir };
        wait::eventually("ipmi_sim answers", BY_ITSELF, || {
            bench(&format!("ipmi --target {address} --suite 3 --count 1 --timeout 0.5 --retries 0"))
                .run()
                .success()
        });
        this
    }
}

impl Drop for IpmiSim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ipmi_against_another_makers_bmc() {
    let other = IpmiSim::start();
    let line = format!("ipmi --target {} --sessions 3 --count 50 -o json", other.address);
    let kept = report(&bench(&format!("{line} --suite 3")).run());
    assert_eq!(operations(&kept), [("login", 3, 0), ("Get Chassis Status", 50, 0)]);
    let rounds = report(&bench(&format!("{line} --suite 3 --login-per-command")).run());
    assert_eq!(operations(&rounds)[2], ("login, command, logout", 50, 0));

    // It has no SHA-256, says so in two bytes, and that is what is reported.
    let ran = bench(&format!("{line} --suite 17")).fails();
    assert!(ran.stderr.contains("Open Session was refused: 04h"), "{ran}");
}
