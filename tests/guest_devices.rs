//! What a real guest gets from its BMC, and shows of itself: volumes that it sees come and go, its screen, its load.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::time::Duration;

use polybmc_tests::doors::{Door, Machine, OFF, ON, Reply};
use polybmc_tests::lab::{Lab, SOON};
use polybmc_tests::redfish::Answer;
use serde_json::{Value, json};
use testkit::guest::{Block, Firmware, Guest, SCREEN_PASSWORD, URI};
use testkit::tools::Tool;
use testkit::wait;

/// The capacity of each volume.
const VOLUME: u64 = 64 << 20;
/// Statistics come every ten seconds, and the first ones after two of those.
const STATISTICS: Duration = Duration::from_secs(90);

/// A storage pool in the guest's folder.
struct Pool(String);

impl Pool {
    fn make(guest: &Guest) -> Self {
        let folder = guest.folder().join("pool");
        fs::create_dir(&folder).unwrap();
        let pool = Self(format!("{}-pool", guest.name()));
        pool.virsh(&["pool-create-as", &pool.0, "dir", "--target", &folder.display().to_string()]).ok();
        pool
    }

    fn virsh(&self, args: &[&str]) -> Tool {
        Tool::find("virsh").args(["-q", "-c", URI]).args(args)
    }

    fn volumes(&self) -> usize {
        self.virsh(&["vol-list", &self.0]).ok().lines().filter(|line| line.contains("polybmc-")).count()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // It may be gone already.
        self.virsh(&["pool-destroy", &self.0]).run();
    }
}

fn create(machine: &Machine<'_>, bay: u8, bytes: u64) -> Answer {
    let drive = format!("{}/Storage/RAID/Drives/bay{bay}", machine.system);
    let body =
        json!({"RAIDType": "RAID0", "CapacityBytes": bytes, "Links": {"Drives": [{"@odata.id": drive}]}});
    machine.redfish.post(&format!("{}/Storage/RAID/Volumes", machine.system), &body)
}

fn volume_of(blocks: &[Block], serial: &str) -> Option<u64> {
    blocks.iter().find(|block| block.serial == serial).map(|block| block.bytes)
}

/// What the sensor of the processors' load reads, by each door.
fn load(machine: &Machine<'_>) -> [Option<f64>; 3] {
    let by_ipmi = machine.node.ipmitool().args(["sensor", "reading", "CPU Load"]).run().all_output();
    let by_ipmi = by_ipmi.rsplit('|').next().and_then(|reading| reading.trim().parse().ok());
    let chassis = machine.redfish.read("/redfish/v1/Chassis")["Members"][0]["@odata.id"].clone();
    let sensor = machine.redfish.read(&format!("{}/Sensors/CPULoad", chassis.as_str().unwrap()));
    let sensors = machine.lab.json(&["sensors", "web", "-o", "json"]);
    let by_cli = sensors.as_array().unwrap().iter().find(|sensor| sensor["name"] == "CPU Load");
    [by_ipmi, sensor["Reading"].as_f64(), by_cli.and_then(|sensor| sensor["reading"].as_f64())]
}

#[track_caller]
fn await_load(machine: &Machine<'_>, what: &str, wanted: impl Fn(f64) -> bool) {
    let mut seen = [None; 3];
    let reached = wait::poll(STATISTICS, || {
        seen = load(machine);
        // All doors say the same, unless news came between them.
        let [Some(one), Some(two), Some(three)] = seen else { return None };
        (one == two && two == three && wanted(one)).then_some(())
    });
    assert!(reached.is_some(), "{what}: {seen:?}");
}

#[test]
fn guest_sees_its_volumes_and_shows_its_screen_and_its_load() {
    let mut guest = Guest::define(Firmware::SeaBios);
    let definition = guest.definition();
    let pool = Pool::make(&guest);
    let config = format!(
        "[backend.guests]\ntype = \"libvirt\"\nuri = {URI:?}\nraid_pool = {:?}\nraid_drive_gib = 60000\n\
         [[bmc]]\nname = \"web\"\nbackend = \"guests\"\nmachine = {:?}\n",
        pool.0,
        guest.name()
    );
    let lab = Lab::builder(0).config(&config).start();
    wait::eventually("the domain was found", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["uuid"] == guest.uuid()
    });
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    let graphical = || machine.redfish.read(&machine.system)["GraphicalConsole"].clone();
    assert_eq!((&graphical()["ServiceEnabled"], &graphical()["Port"]), (&json!(true), &Value::Null));
    let picture = lab.daemon.dir().join("screen.png");
    let screenshot = || lab.daemon.cli(["screenshot", "web", &picture.display().to_string()]);
    assert!(screenshot().run().all_output().contains("is off"));

    // Made while it is off: there when it boots.
    let made = create(&machine, 0, VOLUME);
    assert!([201, 202].contains(&made.status), "{made:?}");
    wait::eventually("the volume is in the pool", SOON, || pool.volumes() == 1);
    let volumes = format!("{}/Storage/RAID/Volumes", machine.system);
    let members = |count: usize| {
        wait::eventually("the volumes are shown", SOON, || {
            machine.redfish.read(&volumes)["Members@odata.count"] == count
        });
        let members = machine.redfish.read(&volumes)["Members"].clone();
        members
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["@odata.id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = members(1).remove(0);
    let serial = |volume: &str| {
        let uuid = machine.redfish.read(volume)["Identifiers"][0]["DurableName"].as_str().unwrap().to_owned();
        uuid.replace('-', "")[..20].to_owned()
    };
    let first_serial = serial(&first);
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    assert_eq!(guest.next_boot().from, "disk");
    assert_eq!(volume_of(&guest.blocks(), &first_serial), Some(VOLUME), "{:?}", guest.blocks());

    // The screen, and where it answers; its password nowhere.
    let displayed = guest.virsh(["vncdisplay", guest.name()]);
    let port: u16 = 5900 + displayed.trim().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    wait::eventually("the port is shown", SOON, || graphical()["Port"] == port);
    let shown = lab.daemon.cli(["show", "web"]).ok();
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert!(!format!("{shown}{}", machine.redfish.read(&machine.system)).contains(SCREEN_PASSWORD));
    screenshot().ok();
    let png = fs::read(&picture).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n"));
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert!(
        (320..=1920).contains(&side(16)) && (200..=1200).contains(&side(20)),
        "{} x {}",
        side(16),
        side(20)
    );

    // Made while it runs: there at once. Larger than the pool: refused, and nothing is left.
    let made = create(&machine, 1, VOLUME / 2);
    assert!([201, 202].contains(&made.status), "{made:?}");
    let second = members(2).remove(1);
    let second_serial = serial(&second);
    wait::eventually("the guest sees it", SOON, || {
        volume_of(&guest.blocks(), &second_serial) == Some(VOLUME / 2)
    });
    let refused = create(&machine, 2, 40_000 << 30);
    assert!(refused.status >= 400 && refused.body.contains("room"), "{refused:?}");
    assert_eq!((members(2).len(), pool.volumes()), (2, 2));

    // Deleted while it runs: gone for the guest, the pool and the definition.
    for (volume, left) in [(&second, 1), (&first, 0)] {
        let deleted = machine.redfish.send("DELETE", volume, None);
        assert!([202, 204].contains(&deleted.status), "{deleted:?}");
        wait::eventually("it is gone from the pool", SOON, || pool.volumes() == left);
    }
    let blocks = guest.blocks();
    assert_eq!((volume_of(&blocks, &first_serial), volume_of(&blocks, &second_serial)), (None, None));
    assert_eq!(guest.definition(), definition);
    pool.virsh(&["pool-destroy", &pool.0]).ok();
    let refused = create(&machine, 0, VOLUME);
    assert!(refused.status >= 400 && refused.body.contains(&pool.0), "{refused:?}");

    // What the guest does is what every door reads.
    await_load(&machine, "at rest", |percent| percent < 12.0);
    guest.tell("work");
    await_load(&machine, "at work", |percent| percent > 15.0);
    guest.tell("rest");
    assert_eq!(machine.power(Door::Ipmi, OFF), Reply::Done);
    machine.await_power(false);
    wait::eventually("the port is no longer shown", SOON, || graphical()["Port"].is_null());
}
