//! A libvirtd that dies again and again under load, and one that hangs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use polybmc_tests::doors::{CDROM, CYCLE, DOORS, Door, Lasting, Machine, OFF, ON, Reply, Shown};
use polybmc_tests::lab::{Lab, SOON};
use testkit::wait;

use super::{Host, bare};

/// A BMC that answers from what it knows answers at once, whatever its hypervisor does.
const AT_ONCE: Duration = Duration::from_secs(3);
/// A libvirtd that hangs is found out within this.
const FOUND_OUT: Duration = Duration::from_secs(15);

fn serve(host: &Host) -> Lab {
    let config = format!("[backend.lab]\ntype = \"libvirt\"\nuri = {:?}\ndiscover = \"*\"\n", host.uri);
    Lab::builder(0).config(&config).log("info").start()
}

fn problem(lab: &Lab, name: &str) -> Option<String> {
    lab.json(&["show", name, "-o", "json"])["problem"].as_str().map(str::to_owned)
}

/// libvirtd is killed and started `times` while clients work on two of its machines.
fn libvirtd_dies(times: u32) {
    let mut host = Host::start("qemu:///session");
    host.define(&bare("left", 1));
    host.define(&bare("right", 2));
    let lab = serve(&host);
    let pid = lab.daemon.pid();
    let definitions = ["left", "right"].map(|name| host.virsh(&["dumpxml", "--inactive", name]));
    let machines = ["left", "right"].map(|name| Machine::of(&lab, name));
    let [left, right] = &machines;
    left.await_power(false);
    assert_eq!(right.set_boot(Door::Redfish, Some(CDROM), Lasting::Continuous), Some(Reply::Done));
    let ended = AtomicBool::new(false);
    let reads = AtomicU32::new(0);
    std::thread::scope(|scope| {
        // One works on its machine over IPMI, one over Redfish; the answers of these moments are what they are, but they come.
        for (machine, door) in [(left, Door::Ipmi), (right, Door::Redfish)] {
            let ended = &ended;
            scope.spawn(move || {
                for action in [ON, CYCLE, OFF].iter().cycle() {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    machine.power(door, *action);
                }
            });
        }
        let (ended, reads) = (&ended, &reads);
        scope.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                right.redfish.read(&right.system);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..times {
            host.libvirtd.kill();
            wait::eventually("it is said that libvirt is gone", SOON, || problem(&lab, "left").is_some());
            host.libvirtd.start();
            wait::eventually(&format!("all is back in round {round}"), SOON, || {
                problem(&lab, "left").is_none() && problem(&lab, "right").is_none()
            });
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) >= times, "reads went on");
    assert_eq!(lab.daemon.pid(), pid);
    let log = lab.daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    right.assert_boot(&Shown::device(CDROM, Lasting::Continuous));
    for (machine, definition) in machines.iter().zip(&definitions) {
        let name = machine.node.name.clone();
        // Whatever was under way at the end has ended.
        wait::eventually("the machine can be switched on", SOON, || {
            machine.power(Door::Cli, ON) == Reply::Done
        });
        machine.await_power(true);
        wait::eventually("virsh sees it", SOON, || host.virsh(&["domstate", &name]).trim() == "running");
        assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
        machine.await_power(false);
        assert_eq!(host.virsh(&["domstate", &name]).trim(), "shut off");
        assert_eq!(&host.virsh(&["dumpxml", "--inactive", &name]), definition, "not a byte has changed");
    }
    assert_eq!(super::names(&lab), ["left", "right"]);
}

#[test]
fn guest_bmcs_outlive_a_libvirtd_that_dies_under_load() {
    libvirtd_dies(2);
}

#[test]
fn slow_libvirtd_dies_twenty_times_under_load() {
    libvirtd_dies(20);
}

/// A libvirtd that hangs says nothing, and neither closes its connection nor takes a new one.
#[test]
fn guest_bmc_of_a_libvirtd_that_hangs_says_so_and_recovers() {
    let host = Host::start("qemu:///session");
    host.define(&bare("web", 1));
    let lab = serve(&host);
    let machine = Machine::of(&lab, "web");
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    machine.await_power(true);
    let before = lab.last_event();
    // What the tools take on this host, as busy as it is.
    let bare = Instant::now();
    assert!(DOORS.iter().all(|door| machine.is_on(*door)));
    machine.redfish.read(&machine.system);
    let limit = AT_ONCE + bare.elapsed() * 4;

    host.libvirtd.signal("STOP");
    let hung = Instant::now();
    assert_eq!(machine.redfish.read(&machine.system)["PowerState"], "On");
    assert!(machine.is_on(Door::Ipmi), "the last truth");
    assert!(hung.elapsed() < limit, "{:?}", hung.elapsed());
    wait::eventually("it is found out", FOUND_OUT, || problem(&lab, "web").is_some());
    let asked = Instant::now();
    let system = machine.redfish.read(&machine.system);
    assert_eq!(
        (&system["PowerState"], &system["Status"]["State"]),
        (&"On".into(), &"UnavailableOffline".into())
    );
    for (door, words) in [
        (Door::Ipmi, "Destination unavailable"),
        (Door::Redfish, "status: 503"),
        (Door::Cli, "does not answer"),
    ] {
        let Reply::Refused(said) = machine.power(door, CYCLE) else {
            panic!("{door:?} has acknowledged a cycle")
        };
        assert!(said.contains(words), "{door:?}: {said}");
    }
    assert!(asked.elapsed() < limit, "{:?}", asked.elapsed());
    assert!(lab.daemon.cli(["list"]).ok().contains("unknown"));

    host.libvirtd.signal("CONT");
    wait::eventually("it is back by itself", SOON, || problem(&lab, "web").is_none());
    assert!(DOORS.iter().all(|door| machine.is_on(*door)), "nothing that was refused has happened");
    machine.await_power_events(before, &["unavailable", "available"]);
    assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
    machine.await_power(false);
}
