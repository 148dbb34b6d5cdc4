//! What happens within a guest, or to it behind the BMC's back, is told over all doors: a panic, a watchdog device, an error of a disk, a
//! saved state, an emulator that dies.
//!
//! No guest is needed to bring these about: the emulator's monitor writes to the ports of the devices as a guest's driver would.

use std::io::{Seek as _, SeekFrom, Write as _};

use polybmc_tests::doors::{CDROM, CYCLE, Door, Lasting, Machine, OFF, ON, Reply, Shown};
use polybmc_tests::lab::{Lab, SOON};
use serde_json::Value;
use testkit::tools::Tool;
use testkit::wait;

use super::{Host, bare};

const NAME: &str = "web";
/// Of the panic device (QEMU's pvpanic, docs/specs/pvpanic): the guest has panicked.
const PANIC: &str = "o /b 0x505 1";
/// Of the watchdog ib700: start it with its shortest time, two seconds.
const START_WATCHDOG: &str = "o /b 0x443 0xe";

fn define(host: &Host, on_crash: &str, devices: &str) {
    let xml = bare(NAME, 1).replace("</os>", &format!("</os><on_crash>{on_crash}</on_crash>"));
    host.define(&xml.replace("</devices>", &format!("{devices}</devices>")));
}

fn serve(host: &Host) -> Lab {
    let config = format!("[backend.lab]\ntype = \"libvirt\"\nuri = {:?}\ndiscover = \"*\"\n", host.uri);
    Lab::builder(0).config(&config).log("info").start()
}

fn monitor(host: &Host, command: &str) {
    host.virsh(&["qemu-monitor-command", NAME, "--hmp", command]);
}

/// The event log over IPMI and over Redfish: both hold these words, in this order, and as many entries.
#[track_caller]
fn assert_logged(machine: &Machine<'_>, words: &[&str]) {
    let sel = machine.node.ipmitool().args(["sel", "elist"]).ok();
    let mut rest = sel.as_str();
    for word in words {
        let (_, after) =
            rest.split_once(word).unwrap_or_else(|| panic!("no {word:?} in its place in\n{sel}"));
        rest = after;
    }
    let entries = machine.redfish.read(&format!("{}/LogServices/SEL/Entries", machine.system));
    assert_eq!(entries["Members@odata.count"], sel.lines().count(), "{entries:#}");
}

#[test]
fn guest_panics_and_its_watchdog_expires() {
    let host = Host::start("qemu:///session");
    define(&host, "preserve", "<panic model='isa'/><watchdog model='ib700' action='reset'/>");
    let lab = serve(&host);
    let machine = Machine::of(&lab, NAME);
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    machine.await_power(true);
    machine.node.ipmitool().args(["sel", "clear"]).ok();

    let before = lab.last_event();
    monitor(&host, PANIC);
    lab.await_event(before, NAME, "panicked");
    // libvirt tells of the pause first, and not why.
    assert_eq!(lab.power_changes_since(before, NAME), ["paused", "panicked"]);
    assert_eq!(host.virsh(&["domstate", NAME]).trim(), "crashed");
    assert!(machine.node.power() == "paused" && machine.is_on(Door::Redfish) && machine.is_on(Door::Ipmi));
    assert_logged(&machine, &["OS Stop", "Run-time critical stop"]);
    assert!(lab.daemon.cli(["events"]).ok().contains("the operating system panicked"));

    // Whoever finds it so switches it off and on.
    let before = lab.last_event();
    assert_eq!(machine.power(Door::Redfish, CYCLE), Reply::Done);
    lab.await_event(before, NAME, "powered-on");
    machine.await_power(true);
    assert_eq!(host.virsh(&["domstate", NAME]).trim(), "running");

    let before = lab.last_event();
    monitor(&host, START_WATCHDOG);
    let expired = lab.await_event(before, NAME, "watchdog-expired");
    assert_eq!((&expired["action"], &expired["timer_use"]), (&"hard-reset".into(), &"sms-os".into()));
    lab.await_event(before, NAME, "rebooted");
    let cause = machine.node.ipmitool().args(["chassis", "restart_cause"]).ok();
    assert!(cause.contains("watchdog"), "{cause}");
    assert_logged(&machine, &["Watchdog", "Hard reset"]);
    assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
    machine.await_power(false);
}

#[test]
fn guest_is_saved_and_restored_and_its_emulator_dies() {
    let host = Host::start("qemu:///session");
    define(&host, "destroy", "<panic model='isa'/>");
    let lab = serve(&host);
    let machine = Machine::of(&lab, NAME);
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    machine.await_power(true);
    assert_eq!(machine.set_boot(Door::Ipmi, Some(CDROM), Lasting::Once), Some(Reply::Done));

    // What goes on where it was is no boot: the override waits, and nothing is reset.
    let before = lab.last_event();
    host.virsh(&["managedsave", NAME]);
    machine.await_power(false);
    host.virsh(&["start", NAME]);
    machine.await_power(true);
    machine.assert_boot(&Shown::device(CDROM, Lasting::Once));
    assert_eq!(lab.power_changes_since(before, NAME), ["paused", "powered-off", "powered-on"]);
    let causes: Vec<Value> = lab.events(before).into_iter().map(|event| event["cause"].clone()).collect();
    assert_eq!(causes, ["outside", "saved", "saved"]);

    // A panic whose consequence libvirt draws by itself: one entry for the stop, one for the power.
    machine.node.ipmitool().args(["sel", "clear"]).ok();
    let before = lab.last_event();
    monitor(&host, PANIC);
    machine.await_power(false);
    assert_eq!(lab.await_event(before, NAME, "powered-off")["cause"], "panic");
    assert_logged(&machine, &["Run-time critical stop", "Power off/down"]);
    let sel = machine.node.ipmitool().args(["sel", "elist"]).ok();
    assert_eq!(sel.matches("Run-time critical stop").count(), 1, "{sel}");

    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    machine.await_power(true);
    machine.assert_boot(&Shown::Nothing);
    let before = lab.last_event();
    let pid = std::fs::read_to_string(host.libvirtd.folder().join("libvirt/qemu/run/web.pid")).unwrap();
    Tool::find("sh").args(["-c", "kill -9 \"$0\"", pid.trim()]).ok();
    machine.await_power(false);
    assert_eq!(lab.await_event(before, NAME, "powered-off")["cause"], "crash");
}

/// A disk whose image is broken where the firmware reads first, and a machine that is held when a read fails.
#[test]
fn guest_whose_disk_fails_is_paused_and_the_drive_is_told() {
    let host = Host::start("qemu:///session");
    let image = host.libvirtd.folder().join("disk.qcow2");
    Tool::find("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("64M").ok();
    // The first entry of the table of tables points to a place where no table can be (QEMU, docs/interop/qcow2).
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&image).unwrap();
    let mut header = [0; 48];
    std::io::Read::read_exact(&mut file, &mut header).unwrap();
    let table = u64::from_be_bytes(header[40..48].try_into().unwrap());
    file.seek(SeekFrom::Start(table)).unwrap();
    file.write_all(&0x8000_0000_0003_0200_u64.to_be_bytes()).unwrap();
    drop(file);
    let disk = format!(
        "<disk type='file'><driver name='qemu' type='qcow2' error_policy='stop' rerror_policy='stop'/>\
         <source file='{}'/><target dev='vda' bus='virtio'/><readonly/></disk>",
        image.display()
    );
    define(&host, "destroy", &disk);
    let lab = serve(&host);
    let machine = Machine::of(&lab, NAME);
    machine.node.ipmitool().args(["sel", "clear"]).ok();
    let before = lab.last_event();
    machine.power(Door::Ipmi, ON);
    let failed = lab.await_event(before, NAME, "disk-failed");
    assert_eq!(failed["disk"], "vda", "{failed}");
    assert_eq!(lab.await_event(before, NAME, "paused")["cause"], "disk-error");
    assert!(host.virsh(&["domstate", "--reason", NAME]).contains("I/O error"));
    wait::eventually("the drive's fault is logged", SOON, || {
        machine.node.ipmitool().args(["sel", "elist"]).ok().contains("Disk vda | Drive Fault")
    });
    // It tries again, which fails again, and is told again.
    let before = lab.last_event();
    host.virsh(&["resume", NAME]);
    lab.await_event(before, NAME, "disk-failed");
    assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
    machine.await_power(false);
}
