//! Virtual media behind the daemon: over Redfish and the command line, on simulated machines and in a real guest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use polybmc_tests::doors::{CDROM, CYCLE, Door, Lasting, Machine, OFF, ON, Reply};
use polybmc_tests::images::Images;
use polybmc_tests::lab::{Lab, SOON};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::guest::{Firmware, Guest, URI};
use testkit::wait;

fn insert(machine: &Machine<'_>, drive: &str, image: &str) -> u16 {
    let action = format!("{}/VirtualMedia/{drive}/Actions/VirtualMedia.InsertMedia", machine.system);
    machine.redfish.post(&action, &json!({"Image": image})).status
}

fn eject(machine: &Machine<'_>, drive: &str) {
    let action = format!("{}/VirtualMedia/{drive}/Actions/VirtualMedia.EjectMedia", machine.system);
    machine.redfish.post(&action, &json!({})).expect(204);
}

fn drive(machine: &Machine<'_>, drive: &str) -> Value {
    machine.redfish.read(&format!("{}/VirtualMedia/{drive}", machine.system))
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// What the simulated machine booted from, by its events.
fn booted(lab: &Lab, after: u64) -> Option<String> {
    let events = lab.events(after);
    let event = events.iter().find(|event| event["kind"] == "booted")?;
    event["from"].as_str().map(str::to_owned)
}

#[test]
fn many_machines_boot_one_image_and_leave_nothing() {
    let images = TempDir::new().unwrap();
    fs::write(images.path().join("live.iso"), vec![7; 3 << 20]).unwrap();
    let server = Images::serve(images.path());
    let mut lab = Lab::builder(3).start();
    let spool = lab.daemon.state_dir().join("media/spool");
    for number in 0..3 {
        let name = format!("node-{number}");
        lab.daemon.cli(["media", &name, "insert", &server.url("live.iso")]).ok();
    }
    assert_eq!(files(&spool), 1, "one image, one file");
    {
        let machine = Machine::of(&lab, "node-0");
        assert_eq!(drive(&machine, "Cd")["Image"], server.url("live.iso"));
        assert_eq!(machine.set_boot(Door::Ipmi, Some(CDROM), Lasting::Once), Some(Reply::Done));
        let before = lab.last_event();
        assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
        wait::eventually("it boots the image", SOON, || {
            booted(&lab, before).as_deref() == Some("cdrom live.iso")
        });
    }

    // What is inserted outlasts a daemon that is killed, and what is not is swept away.
    fs::write(spool.join("6c0d7b9e-2f41-4a53-9d1c-0c5e8a7b3f12"), "x").unwrap();
    lab.daemon.kill();
    lab.daemon.restart();
    assert_eq!(files(&spool), 1);
    let shown = lab.json(&["media", "node-1", "show", "-o", "json"]);
    assert_eq!(shown[0]["image"], server.url("live.iso"));
    assert_eq!(shown[0]["size"], 3 << 20);
    {
        let machine = Machine::of(&lab, "node-0");
        let before = lab.last_event();
        assert_eq!(machine.set_boot(Door::Redfish, Some(CDROM), Lasting::Once), Some(Reply::Done));
        let switch = if machine.is_on(Door::Redfish) { CYCLE } else { ON };
        assert_eq!(machine.power(Door::Ipmi, switch), Reply::Done);
        wait::eventually("the simulator has its medium again", SOON, || {
            booted(&lab, before).as_deref() == Some("cdrom live.iso")
        });
        eject(&machine, "Cd");
        eject(&machine, "Cd");
    }
    lab.daemon.cli(["media", "node-1", "eject"]).ok();
    assert_eq!(files(&spool), 1);
    lab.daemon.cli(["media", "node-2", "eject"]).ok();
    assert_eq!(files(&spool), 0);
}

#[test]
fn a_start_waits_for_what_is_on_its_way() {
    let images = TempDir::new().unwrap();
    fs::write(images.path().join("live.iso"), "an image").unwrap();
    let server = Images::serve(images.path());
    server.hold(true);
    let lab = Lab::builder(1).start();
    let machine = Machine::of(&lab, "node-0");
    assert_eq!(insert(&machine, "Cd", &server.url("live.iso")), 202, "it takes long");
    assert_eq!(machine.set_boot(Door::Redfish, Some(CDROM), Lasting::Once), Some(Reply::Done));
    let before = lab.last_event();
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done, "the client is not kept waiting");
    assert_eq!(machine.redfish.read(&machine.system)["PowerState"], "PoweringOn");
    server.hold(false);
    wait::eventually("it boots the image", SOON, || {
        booted(&lab, before).as_deref() == Some("cdrom live.iso")
    });
    assert_eq!(server.asked(), 1);
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let images = TempDir::new().unwrap();
    let server = Images::serve(images.path());
    let lab = Lab::builder(1).start();
    for (url, words) in [
        (server.url("none.iso"), "404"),
        ("nfs://host/x".to_owned(), "use http, https or file"),
        ("file:///etc/passwd".to_owned(), "folders"),
        ("nonsense".to_owned(), "no URL"),
        ("http://127.0.0.1:1/x".to_owned(), "no connection"),
    ] {
        let ran = lab.daemon.cli(["media", "node-0", "insert", &url]).run();
        assert!(!ran.success() && ran.all_output().contains(words), "{url}: {ran}");
    }
    assert_eq!(files(&lab.daemon.state_dir().join("media/spool")), 0);
}

/// Inserted by URL, booted once, ejected; also while the guest runs. Its own CD, and its definition, are as they were.
fn the_media_of_a_guest(firmware: Firmware, tray: bool) {
    let mut guest = Guest::define(firmware);
    let definition = guest.definition();
    guest.medium("virtual");
    let server = Images::serve(guest.folder());
    let spool = guest.folder().join("media/spool");
    let config = format!(
        "[media]\ndir = {:?}\n[backend.guests]\ntype = \"libvirt\"\nuri = {URI:?}\nmedia_tray = {tray}\n\
         [[bmc]]\nname = \"web\"\nbackend = \"guests\"\nmachine = {:?}\n",
        guest.folder().join("media"),
        guest.name()
    );
    let lab = Lab::builder(0).config(&config).start();
    wait::eventually("the domain was found", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["uuid"] == guest.uuid()
    });
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    let inserted = |image: &str| {
        assert!([202, 204].contains(&insert(&machine, "Cd", &server.url(image))));
        wait::eventually("it is in", SOON, || drive(&machine, "Cd")["Image"] == server.url(image));
    };
    inserted("virtual.img");
    assert_eq!(guest.state(), "shut off", "an insert starts nothing");
    assert!(guest.definition().contains("ua-polybmc-cd"));

    // Once, before the guest's own CD; then the guest's own order.
    assert_eq!(machine.set_boot(Door::Redfish, Some(CDROM), Lasting::Once), Some(Reply::Done));
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    assert_eq!(guest.next_boot().from, "virtual");
    machine.await_power(true);
    assert_eq!(machine.power(Door::Ipmi, CYCLE), Reply::Done);
    assert_eq!(guest.next_boot().from, "disk");
    machine.await_power(true);

    // Out and in again while it runs.
    eject(&machine, "Cd");
    assert_eq!(guest.definition(), definition, "not a byte of the definition has changed");
    assert_eq!(files(&spool), 0);
    let disks = |guest: &Guest| guest.virsh(["domblklist", guest.name()]);
    assert!(!disks(&guest).contains("/spool/"), "{}", disks(&guest));
    inserted("virtual.img");
    assert!(disks(&guest).contains("/spool/"), "{}", disks(&guest));
    assert!(disks(&guest).contains("cdrom.img"), "the guest's own disc is where it was");
    assert!([202, 204].contains(&insert(&machine, "Usb", &server.url("usb.img"))));
    wait::eventually("the stick is in", SOON, || disks(&guest).matches("/spool/").count() == 2);
    eject(&machine, "Usb");
    eject(&machine, "Cd");
    assert!(!disks(&guest).contains("/spool/"), "{}", disks(&guest));
    assert_eq!(guest.definition(), definition);

    // Without a virtual one, the guest's own CD is the CD.
    assert_eq!(machine.set_boot(Door::Redfish, Some(CDROM), Lasting::Once), Some(Reply::Done));
    assert_eq!(machine.power(Door::Ipmi, CYCLE), Reply::Done);
    assert_eq!(guest.next_boot().from, "cdrom");
    machine.await_power(true);

    // A drive that is plugged in while the guest runs is there for its firmware, too. Where there is a tray, it is that.
    let bus = |guest: &Guest| {
        let live = guest.virsh(["dumpxml", guest.name()]);
        let drive = live.split("<disk").find(|disk| disk.contains("ua-polybmc-cd"))?.to_owned();
        Some(if drive.contains("bus='sata'") {
            "sata"
        } else if drive.contains("bus='usb'") {
            "usb"
        } else {
            "?"
        })
    };
    assert_eq!(bus(&guest), tray.then_some("sata"));
    inserted("virtual.img");
    assert_eq!(bus(&guest), Some(if tray { "sata" } else { "usb" }));
    // Another disc takes its place, and an image that is not there leaves it as it is.
    assert!([202, 204].contains(&insert(&machine, "Cd", &server.url("cdrom.img"))));
    wait::eventually("the other one is in", SOON, || {
        drive(&machine, "Cd")["Image"] == server.url("cdrom.img")
    });
    assert!(![202, 204].contains(&insert(&machine, "Cd", &server.url("none.img"))));
    assert_eq!(disks(&guest).matches("/spool/").count(), 1, "{}", disks(&guest));
    inserted("virtual.img");
    assert_eq!(machine.set_boot(Door::Redfish, Some(CDROM), Lasting::Once), Some(Reply::Done));
    assert_eq!(machine.power(Door::Redfish, CYCLE), Reply::Done);
    assert_eq!(guest.next_boot().from, "virtual");
    machine.await_power(true);
    assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
    machine.await_power(false);
    eject(&machine, "Cd");
    assert_eq!(guest.definition(), definition);
}

#[test]
fn guest_of_seabios_boots_what_is_inserted() {
    the_media_of_a_guest(Firmware::SeaBios, false);
}

#[test]
fn guest_of_ovmf_boots_what_is_inserted() {
    the_media_of_a_guest(Firmware::Ovmf, true);
}
