//! Random actions from IPMI, Redfish, the command line and `virsh` together. After each of them all agree.

use polybmc_tests::doors::{CDROM, CYCLE, DOORS, Door, Lasting, Machine, OFF, ON, PXE, RESET, Reply, Shown};
use polybmc_tests::lab::{Lab, SOON};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use testkit::wait;

use super::{Host, bare};

const NAME: &str = "web";

/// What somebody does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Power(Door, polybmc_tests::doors::Action),
    Boot(Door, Option<polybmc_tests::doors::Device>, Lasting),
    Virsh(&'static str),
}

fn deed(random: &mut StdRng) -> Deed {
    let door = *DOORS.choose(random).unwrap();
    match random.random_range(0..10) {
        0..5 => Deed::Power(door, *[ON, OFF, CYCLE, RESET].choose(random).unwrap()),
        5..7 => {
            let lasting = *[Lasting::Once, Lasting::Continuous].choose(random).unwrap();
            Deed::Boot(door, *[None, Some(PXE), Some(CDROM)].choose(random).unwrap(), lasting)
        }
        _ => Deed::Virsh(["start", "destroy", "suspend", "resume", "reset"].choose(random).unwrap()),
    }
}

/// What `virsh` calls the machine's state, and what the command line and Redfish say to that.
const STATES: [(&str, &str, &str); 3] =
    [("running", "on", "On"), ("shut off", "off", "Off"), ("paused", "paused", "On")];

/// All doors and `virsh` say the same of the power.
fn agree(host: &Host, machine: &Machine<'_>) -> bool {
    let state = host.virsh(&["domstate", NAME]);
    let Some((_, cli, redfish)) = STATES.iter().find(|(virsh, ..)| state.trim() == *virsh) else {
        return false;
    };
    machine.node.power() == *cli
        && machine.redfish.read(&machine.system)["PowerState"] == *redfish
        && machine.is_on(Door::Ipmi) == (*cli != "off")
        // Nothing has happened meanwhile.
        && host.virsh(&["domstate", NAME]) == state
}

fn all_agree_after(rounds: u32, seed: u64) {
    let host = Host::start("qemu:///session");
    host.define(&bare(NAME, 1));
    let definition = host.virsh(&["dumpxml", "--inactive", NAME]);
    let config = format!("[backend.lab]\ntype = \"libvirt\"\nuri = {:?}\ndiscover = \"*\"\n", host.uri);
    let lab = Lab::builder(0).config(&config).start();
    let machine = Machine::of(&lab, NAME);
    machine.await_power(false);
    let mut random = StdRng::seed_from_u64(seed);
    let mut lasting = None;
    let mut done = Vec::new();
    for round in 0..rounds {
        // What chance may leave out of a short run comes first.
        let deed = match round {
            0 => Deed::Power(Door::Ipmi, ON),
            1 => Deed::Virsh("suspend"),
            2 => Deed::Virsh("resume"),
            _ => deed(&mut random),
        };
        let replied = match deed {
            Deed::Power(door, action) => machine.power(door, action),
            Deed::Boot(door, device, how) => {
                let reply = machine.set_boot(door, device, how).expect("every door has words for it");
                assert_eq!(reply, Reply::Done, "round {round}: {deed:?}");
                lasting = device.filter(|_| how == Lasting::Continuous);
                let shown = device.map_or(Shown::Nothing, |device| Shown::device(device, how));
                machine.assert_boot(&shown);
                reply
            }
            Deed::Virsh(verb) => {
                let ran = host.tool(&[verb, NAME]).run();
                if ran.success() { Reply::Done } else { Reply::Refused(ran.all_output()) }
            }
        };
        done.push((deed, replied == Reply::Done));
        wait::eventually(&format!("all agree after {done:?} (seed {seed})"), SOON, || agree(&host, &machine));
        // What was acknowledged has happened.
        let wanted = match (deed, &replied) {
            (Deed::Power(_, action), Reply::Done) => Some(if action == OFF { "off" } else { "on" }),
            (Deed::Virsh("start" | "resume"), Reply::Done) => Some("on"),
            (Deed::Virsh("destroy"), Reply::Done) => Some("off"),
            (Deed::Virsh("suspend"), Reply::Done) => Some("paused"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            let after = format!("it is {wanted} after {done:?} (seed {seed})");
            wait::eventually(&after, SOON, || machine.node.power() == wanted && agree(&host, &machine));
        }
        if let Some(device) = lasting {
            machine.assert_boot(&Shown::device(device, Lasting::Continuous));
        }
    }
    assert!(
        done.iter().filter(|(_, done)| *done).count() as u32 > rounds / 3,
        "most of it did something: {done:?}"
    );
    if host.virsh(&["domstate", NAME]).trim() != "shut off" {
        assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
    }
    machine.await_power(false);
    assert_eq!(host.virsh(&["dumpxml", "--inactive", NAME]), definition, "not a byte has changed");
    assert!(!lab.daemon.log().contains("panicked"), "{}", lab.daemon.log());
}

#[test]
fn guest_all_agree_after_each_of_many_random_actions() {
    all_agree_after(10, 5);
}

#[test]
fn slow_all_agree_after_two_hundred_random_actions() {
    all_agree_after(200, 200);
}
