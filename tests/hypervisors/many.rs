//! A thousand machines on one connection.

use std::time::{Duration, Instant};

use polybmc_tests::lab::Lab;
use serde_json::Value;
use testkit::tools::Tool;
use testkit::wait;

use super::{Host, domain, list, names};

const MANY: u32 = 1_000;
const LIMIT: Duration = Duration::from_secs(300);

/// The connections to hypervisors as the daemon tells of them.
fn hypervisor(lab: &Lab) -> Value {
    lab.json(&["hypervisors", "-o", "json"])[0].clone()
}

fn calls(lab: &Lab) -> u64 {
    hypervisor(lab)["calls"].as_u64().expect("they are counted")
}

/// Defines domains `vm-N`, all with one `virsh`.
fn define(host: &Host, count: u32) {
    let mut script = String::new();
    for number in 1..=count {
        let file = host.libvirtd.folder().join(format!("vm-{number}.xml"));
        std::fs::write(&file, domain(&format!("vm-{number}"), number, ""))
            .expect("the folder can be written");
        script.push_str(&format!("define {}\n", file.display()));
    }
    Tool::find("virsh").args(["-q", "-c", &host.uri]).stdin(script).limit(LIMIT).ok();
}

fn serve(host: &Host) -> Lab {
    let config = format!("[backend.lab]\ntype = \"libvirt\"\nuri = {:?}\ndiscover = \"vm-*\"\n", host.uri);
    Lab::builder(0).defaults("tls = \"off\"").config(&config).log("info").start()
}

/// No read asks libvirt anything, over whatever door, however often.
#[test]
fn reads_make_no_call_of_libvirt() {
    let host = Host::start("test:///default");
    define(&host, 20);
    let lab = serve(&host);
    wait::eventually("all are there", LIMIT, || {
        list(&lab).iter().filter(|bmc| bmc["reachable"] == true).count() == 20
    });
    let shown = hypervisor(&lab);
    assert_eq!((&shown["connected"], &shown["bmcs"]), (&true.into(), &20.into()), "{shown}");
    // What is under way after the start has ended when two looks see the same.
    let mut before = calls(&lab);
    wait::eventually("it has come to rest", LIMIT, || std::mem::replace(&mut before, calls(&lab)) == before);
    for name in ["vm-1", "vm-20"] {
        let machine = polybmc_tests::doors::Machine::of(&lab, name);
        for _ in 0..5 {
            machine.node.ipmitool().args(["chassis", "status"]).ok();
            machine.node.ipmitool().args(["sdr"]).ok();
            machine.redfish.read(&machine.system);
        }
        machine.node.ipmitool().args(["sel", "list"]).ok();
    }
    assert_eq!(calls(&lab), before, "reads are answered from what is known");
    assert!(lab.daemon.cli(["hypervisors"]).ok().contains("lab"));
}

/// Figures of one run on one host, as ratios: a start with all BMCs, against 20 times what `virsh list` takes there.
#[test]
fn slow_a_thousand_domains() {
    let host = Host::start("test:///default");
    define(&host, MANY);
    let listed = Instant::now();
    for _ in 0..20 {
        host.virsh(&["list", "--all"]);
    }
    let listed = listed.elapsed();

    let started = Instant::now();
    let lab = serve(&host);
    wait::eventually("all are there", LIMIT, || names(&lab).len() == MANY as usize);
    let discovered = started.elapsed();
    wait::eventually("all are known", LIMIT, || list(&lab).iter().all(|bmc| bmc["reachable"] == true));
    let known = started.elapsed();
    assert_eq!(lab.json(&["hypervisors", "-o", "json"]).as_array().map(Vec::len), Some(1), "one connection");

    // Again, with all that was stored: an ordinary start.
    let mut lab = lab;
    assert!(lab.daemon.stop().success());
    let again = Instant::now();
    lab.daemon.restart();
    let ready = again.elapsed();
    wait::eventually("all are known", LIMIT, || list(&lab).iter().all(|bmc| bmc["reachable"] == true));
    let again = again.elapsed();

    let mut before = calls(&lab);
    wait::eventually("it has come to rest", LIMIT, || std::mem::replace(&mut before, calls(&lab)) == before);
    let asked = before;
    let polled = Instant::now();
    assert_eq!(list(&lab).len(), MANY as usize);
    let polled = polled.elapsed();
    assert_eq!(calls(&lab), before);
    println!(
        "virsh list x 20: {listed:?}; first start: BMCs {discovered:?}, states {known:?}; next start: ready {ready:?}, states {again:?}; \
         calls of libvirt for that: {asked}; poll of all: {polled:?}"
    );
    assert!(
        again < listed || again < Duration::from_secs(10),
        "a start takes {again:?}, virsh list x 20 {listed:?}"
    );
    assert!(polled < Duration::from_secs(1), "{polled:?}");
}
