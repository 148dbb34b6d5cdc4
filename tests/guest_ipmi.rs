//! The guest's own door: a real guest's `/dev/ipmi0`, and a scripted emulator at a simulated machine's. What is asked from inside is asked over
//! the LAN too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ipmi_wire::NetFn;
use ipmi_wire::vm::{Command, Decoder, Frame, Message};
use polybmc_tests::doors::{Door, Machine, ON};
use polybmc_tests::lab::{Lab, SOON};
use serde_json::Value;
use testkit::guest::{Guest, URI};
use testkit::wait;

/// How long a device takes to connect again: a second, and some.
const RECONNECT: Duration = Duration::from_secs(15);

fn show(lab: &Lab, name: &str) -> Value {
    lab.json(&["system-interface", name, "show", "-o", "json"])
}

fn await_connected(lab: &Lab, name: &str) {
    wait::eventually("the machine is connected", RECONNECT, || show(lab, name)["connected"] == true);
}

/// A line of ipmitool's `sensor` without what is read: name, unit and thresholds stay, of a discrete sensor its state too.
fn without_reading(line: &str) -> String {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    match columns[..] {
        [name, _, unit, _, ref thresholds @ ..] if unit != "discrete" => {
            format!("{name} | {unit} | {}", thresholds.join(" | "))
        }
        _ => line.to_owned(),
    }
}

/// How often the guest is asked the same: the emulator's record of a serial line has now and then a letter twice.
const TRIES: u32 = 3;

/// A line without its layout: a serial console under load has been seen to put a blank too many.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn guest_and_lan_reach_the_same_bmc() {
    let mut guest = Guest::define_with_ipmi();
    let definition = guest.definition();
    let config = format!(
        "[system_interface]\ndir = {:?}\n[backend.guests]\ntype = \"libvirt\"\nuri = {URI:?}\n\
         [[bmc]]\nname = \"web\"\nbackend = \"guests\"\nmachine = {:?}\n",
        guest.folder().join("doors"),
        guest.name()
    );
    let mut lab = Lab::builder(0).config(&config).start();
    wait::eventually("the domain was found", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["uuid"] == guest.uuid()
    });
    assert_eq!(show(&lab, "web")["device"], Value::Null);

    // The verb opens the socket and puts the device into the definition, once.
    let added = lab.json(&["system-interface", "web", "add", "-o", "json"]);
    assert_eq!((&added["kind"], &added["problem"]), (&"kcs".into(), &Value::Null), "{added:#}");
    assert_eq!(added["device"]["socket"], added["socket"]);
    let with_device = guest.definition();
    assert!(with_device.contains("isa-ipmi-kcs") && with_device != definition);
    lab.json(&["system-interface", "web", "add", "-o", "json"]);
    assert_eq!(guest.definition(), with_device);

    Machine::of(&lab, "web").power(Door::Ipmi, ON);
    assert_eq!(guest.next_boot().from, "kernel");
    await_connected(&lab, "web");
    // Something to list.
    assert!(guest.ipmi("event 1").0, "a test event from inside");
    let lan = |lab: &Lab, arguments: &str| {
        let tool = lab.named("web").ipmitool();
        tool.args(arguments.split_whitespace()).ok()
    };
    for arguments in [
        "mc info",
        "mc guid",
        "sel list",
        "lan print 1",
        "user list 1",
        "mc watchdog get",
        "sensor",
        "fru print 0",
    ] {
        // Load, memory and power are measured anew between the two lists.
        let words =
            |line: &str| words(&if arguments == "sensor" { without_reading(line) } else { line.to_owned() });
        for tries_left in (0..TRIES).rev() {
            let (done, inside) = guest.ipmi(arguments);
            assert!(done, "{arguments}: {inside}");
            let wanted = lan(&lab, arguments);
            // The guest has no list of makers.
            let of_maker =
                |line: &String| line.starts_with("Manufacturer Name") || line.starts_with("Product Name");
            // What ipmitool complains about to stderr is on the console too, so there may be more.
            let said: Vec<String> = inside.lines().map(words).collect();
            let missing = wanted.lines().map(words).find(|line| !of_maker(line) && !said.contains(line));
            let Some(line) = missing else { break };
            assert!(tries_left > 0, "{arguments}: no {line:?} in\n{inside}");
        }
    }
    let (done, info) = guest.ipmi("channel info 15");
    assert!(done && info.contains("KCS") && info.contains("session-less"), "{info}");
    assert!(!guest.ipmi("session info active").0, "the system interface has no sessions");

    // What is set on the one side is read on the other.
    assert!(guest.ipmi("user set name 5 inside").0);
    assert!(lan(&lab, "user list 1").contains("inside"));
    lan(&lab, "lan set 1 snmp hush");
    assert!(guest.ipmi("lan print 1").1.contains("hush"));
    assert!(
        guest.ipmi("raw 0x06 0x24 0x04 0x00 0x00 0x00 0x10 0x27").0,
        "a timer of 1000 s, without an action"
    );
    assert!(guest.ipmi("mc watchdog reset").0);
    assert!(lan(&lab, "mc watchdog get").contains("Started/Running"));
    assert!(guest.ipmi("mc watchdog off").0);

    // The daemon goes and comes, the guest runs on.
    assert!(lab.daemon.stop().success());
    assert!(!guest.ipmi("mc guid").0, "nobody is there");
    lab.daemon.restart();
    await_connected(&lab, "web");
    assert!(guest.ipmi("mc guid").0);

    // The guest switches itself off and on. QEMU ends before it could hear the answer.
    let before = lab.last_event();
    let line = guest.type_line("ipmi chassis power cycle");
    assert_eq!(guest.next_boot().from, "kernel");
    drop(line);
    Machine::of(&lab, "web").await_power_events(before, &["powered-off", "powered-on"]);
    await_connected(&lab, "web");
    let (done, cause) = guest.ipmi("chassis restart_cause");
    assert!(done && cause.contains("chassis power control command"), "{cause}");
    let raw = lan(&lab, "raw 0x00 0x07");
    assert_eq!(raw.trim(), "01 0f", "over channel 15");

    // Taken out, not a byte is left.
    Machine::of(&lab, "web").power(Door::Ipmi, polybmc_tests::doors::OFF);
    guest.await_state("shut off");
    let removed = lab.json(&["system-interface", "web", "remove", "-o", "json"]);
    assert_eq!((&removed["kind"], &removed["device"]), (&Value::Null, &Value::Null));
    assert_eq!(guest.definition(), definition);
}

/// An emulator's end of a connection.
struct Emulator {
    stream: UnixStream,
    decoder: Decoder,
}

impl Emulator {
    fn connect(socket: &str) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut emulator = Self { stream, decoder: Decoder::default() };
        assert_eq!(emulator.next(), Frame::Command(Command::Version(1)));
        emulator
    }

    fn next(&mut self) -> Frame {
        let mut byte = [0];
        loop {
            self.stream.read_exact(&mut byte).unwrap();
            if let Some(frame) = self.decoder.push(byte[0]) {
                return frame.unwrap();
            }
        }
    }

    fn ask(&mut self, netfn: NetFn, cmd: u8, data: &[u8]) -> Vec<u8> {
        let request = Message { sequence: 7, netfn, lun: 0, cmd, data: data.into() };
        self.stream.write_all(&request.encode()).unwrap();
        loop {
            if let Frame::Message(answer) = self.next() {
                return answer.data;
            }
        }
    }
}

#[test]
fn an_emulator_at_a_simulated_machine() {
    let mut lab = Lab::builder(2).start();
    let (node, other) = (lab.node(0).name, lab.node(1).name);
    assert_eq!(show(&lab, &node)["kind"], Value::Null, "nobody has asked for one");
    let added = lab.json(&["system-interface", &node, "add", "--bt", "-o", "json"]);
    let socket = added["socket"].as_str().unwrap().to_owned();
    assert_eq!((&added["kind"], &added["device"]), (&"bt".into(), &Value::Null));
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let arguments = added["arguments"].as_array().unwrap();
    assert!(arguments.iter().any(|argument| argument == "isa-ipmi-bt,bmc=bmc"), "{arguments:?}");

    let mut emulator = Emulator::connect(&socket);
    await_connected(&lab, &node);
    // Chassis control acts through the core: it is an event, and the LAN sees it.
    let before = lab.last_event();
    assert_eq!(emulator.ask(NetFn::CHASSIS, 0x02, &[0x01]), [0x00]);
    lab.named(&node).await_power("on");
    lab.await_event(before, &node, "powered-on");
    let guid = lab.named(&node).ipmitool().args(["raw", "0x06", "0x37"]).ok();
    let inside = emulator.ask(NetFn::APP, 0x37, &[]);
    let inside: String = inside[1..].iter().map(|byte| format!(" {byte:02x}")).collect();
    assert_eq!(inside.split_whitespace().collect::<Vec<_>>(), guid.split_whitespace().collect::<Vec<_>>());

    // It is kept; the other machine has none.
    assert!(lab.daemon.stop().success());
    assert!(!Path::new(&socket).exists());
    lab.daemon.restart();
    Emulator::connect(&socket);
    assert_eq!(show(&lab, &node)["kind"], "bt");
    assert_eq!(show(&lab, &other)["socket"], Value::Null);
    let removed = lab.json(&["system-interface", &node, "remove", "-o", "json"]);
    assert_eq!(removed["kind"], Value::Null);
    assert!(!Path::new(&socket).exists());

    // The emulator of a BMC that is gone finds nobody, also where the name is another machine's by now.
    let door =
        || lab.json(&["system-interface", "web", "add", "-o", "json"])["socket"].as_str().unwrap().to_owned();
    lab.daemon.cli(["add", "web"]).ok();
    let before = door();
    lab.daemon.cli(["remove", "web"]).ok();
    lab.daemon.cli(["add", "web"]).ok();
    let after = door();
    assert!(UnixStream::connect(&before).is_err() && before != after, "{after}");
    UnixStream::connect(&after).unwrap();
}
