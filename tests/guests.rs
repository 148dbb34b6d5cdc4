//! Real QEMU guests behind the daemon, over both protocols. The guest's own words on its serial console say what it booted from,
//! `virsh` says what libvirt thinks. What libvirt's backend does below the daemon, its own tests show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use polybmc_tests::agreement::{every_boot_override, every_power_action};
use polybmc_tests::doors::{
    CDROM, CYCLE, DISK, Door, Lasting, Machine, OFF, ON, PXE, RESET, Reply, SOFT, Shown,
};
use polybmc_tests::lab::{Lab, SOON, ipmitool};
use polybmc_tests::relay::Relay;
use polybmc_tests::talk::{Talk, activate};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use testkit::guest::{ANSWER_LIMIT, BOOT_LIMIT, Firmware, Guest, Libvirtd, SerialLine, URI, Web};
use testkit::tools::Tool;
use testkit::wait;

/// A daemon with one BMC `web` for a domain.
fn serve(uri: &str, domain: &str) -> Lab {
    let config = format!(
        "[backend.guests]\ntype = \"libvirt\"\nuri = {uri:?}\n\
         [[bmc]]\nname = \"web\"\nbackend = \"guests\"\nmachine = {domain:?}\n"
    );
    Lab::builder(0).config(&config).start()
}

fn serve_guest(guest: &Guest) -> Lab {
    let lab = serve(URI, guest.name());
    wait::eventually("the domain was found", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["uuid"] == guest.uuid()
    });
    lab
}

/// What the matrix of boots (`boot_matrix.rs`) does not show: the firmware's mode, the power button, events, what others do with `virsh`;
/// and at the end a definition without a changed byte.
fn the_life_of_a_guest(firmware: Firmware) {
    let mut guest = Guest::define(firmware);
    let definition = guest.definition();
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    let mode = machine.redfish.read(&machine.system)["Boot"]["BootSourceOverrideMode"].clone();
    assert_eq!(mode, if firmware == Firmware::Ovmf { "UEFI" } else { "Legacy" });

    // IPMI says it, Redfish switches on; IPMI's flags name no firmware mode, and the guest keeps its own.
    assert_eq!(machine.set_boot(Door::Ipmi, Some(CDROM), Lasting::Once), Some(Reply::Done));
    machine.assert_boot(&Shown::device(CDROM, Lasting::Once));
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    let boot = guest.next_boot();
    assert_eq!(boot.from, "cdrom");
    assert_eq!(boot.firmware, if firmware == Firmware::Ovmf { "efi" } else { "bios" });
    machine.assert_boot(&Shown::Nothing);
    machine.await_power(true);

    // The power button, pressed over IPMI, obeyed by the guest.
    let before = lab.last_event();
    assert_eq!(machine.power(Door::Ipmi, SOFT), Reply::Done);
    guest.next_line("TESTGUEST power-button", ANSWER_LIMIT);
    machine.await_power(false);
    machine.await_power_events(before, &["shutdown-requested", "powered-off"]);
    guest.await_state("shut off");
    assert_eq!(guest.definition(), definition, "not a byte of the definition has changed");

    // What others do is seen by both protocols, as theirs, and as one event each.
    let before = lab.last_event();
    guest.virsh(["start", guest.name()]);
    machine.await_power(true);
    assert_eq!(guest.next_boot().from, "disk");
    guest.virsh(["suspend", guest.name()]);
    wait::eventually("it is shown as paused", SOON, || machine.node.power() == "paused");
    assert!(machine.is_on(Door::Ipmi) && machine.is_on(Door::Redfish));
    guest.virsh(["resume", guest.name()]);
    wait::eventually("it is shown as on", SOON, || machine.node.power() == "on");
    guest.virsh(["destroy", guest.name()]);
    machine.await_power(false);
    machine.await_power_events(before, &["powered-on", "paused", "resumed", "powered-off"]);
    let causes: Vec<Value> = lab.events(before).into_iter().map(|event| event["cause"].clone()).collect();
    assert!(causes.iter().all(|cause| cause.is_null() || cause == "outside"), "{causes:?}");
    assert_eq!(guest.definition(), definition);
}

#[test]
fn guest_life_under_seabios() {
    the_life_of_a_guest(Firmware::SeaBios);
}

#[test]
fn guest_life_under_ovmf() {
    the_life_of_a_guest(Firmware::Ovmf);
}

/// The tables of the agreement on a guest that really boots.
fn agrees(firmware: Firmware, doors: &[Door]) {
    let mut guest = Guest::define(firmware);
    let definition = guest.definition();
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    for door in doors {
        every_power_action(&machine, *door, &mut |_| Some(guest.next_boot().from));
    }
    every_boot_override(&machine);
    assert_eq!(guest.definition(), definition);
}

#[test]
fn guest_of_seabios_obeys_over_ipmi() {
    agrees(Firmware::SeaBios, &[Door::Ipmi]);
}

#[test]
fn guest_of_ovmf_obeys_over_redfish() {
    agrees(Firmware::Ovmf, &[Door::Redfish]);
}

/// The rest of the matrix.
mod guests {
    use super::*;

    #[test]
    fn slow_seabios_obeys_over_redfish_and_the_command_line() {
        agrees(Firmware::SeaBios, &[Door::Redfish, Door::Cli]);
    }

    #[test]
    fn slow_ovmf_obeys_over_ipmi_and_the_command_line() {
        agrees(Firmware::Ovmf, &[Door::Ipmi, Door::Cli]);
    }

    #[test]
    fn slow_keys_are_deleted_and_come_back() {
        let mut guest = Guest::define(Firmware::Ovmf);
        let lab = serve_guest(&guest);
        let machine = Machine::of(&lab, "web");
        machine.await_power(false);
        let reset = |kind: &str| {
            let path = format!("{}/SecureBoot/Actions/SecureBoot.ResetKeys", machine.system);
            machine.redfish.post(&path, &json!({"ResetKeysType": kind})).expect(204);
        };
        ask_secure_boot(&machine, true);
        assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
        is_refused_by_firmware(&mut guest);
        // In setup mode nothing is enforced, although it is enabled.
        reset("DeleteAllKeys");
        assert_eq!(machine.power(Door::Ipmi, RESET), Reply::Done);
        // The loader is the witness: this image leaves it too little of the guest's memory for the rest.
        guest.next_words("Welcome to GRUB", BOOT_LIMIT);
        assert_eq!(secure_boot_shown(&machine), (json!(true), json!("Disabled"), json!("SetupMode")));
        reset("ResetAllKeysToDefault");
        assert_eq!(machine.power(Door::Redfish, CYCLE), Reply::Done);
        is_refused_by_firmware(&mut guest);
        assert_eq!(secure_boot_shown(&machine), (json!(true), json!("Enabled"), json!("UserMode")));
        assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
        machine.await_power(false);
    }

    #[test]
    fn slow_a_legacy_guest_is_given_uefi_and_secure_boot_at_once() {
        let mut guest = Guest::define(Firmware::SeaBios);
        let lab = serve_guest(&guest);
        let machine = Machine::of(&lab, "web");
        machine.await_power(false);
        let ask = |attributes: Value| {
            let path = format!("{}/Bios/Settings", machine.system);
            machine.redfish.patch(&path, &json!({ "Attributes": attributes })).expect(204);
        };
        ask(json!({"BootMode": "Uefi", "SecureBoot": "Enabled"}));
        assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
        is_refused_by_firmware(&mut guest);
        ask(json!({"BootMode": "LegacyBios"}));
        assert_eq!(machine.power(Door::Ipmi, CYCLE), Reply::Done);
        assert_eq!(guest.next_boot().firmware, "bios");
        // The UEFI that it left is the one that it comes back to.
        ask(json!({"BootMode": "Uefi"}));
        assert_eq!(machine.power(Door::Ipmi, CYCLE), Reply::Done);
        is_refused_by_firmware(&mut guest);
        assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
        machine.await_power(false);
    }
}

/// Typing and reading on the guest's own serial line, beside another viewer, over a bad wire, after reconnecting and through a restart.
#[test]
fn guest_is_typed_to_over_serial_over_lan() {
    let mut guest = Guest::define_with(Firmware::SeaBios, SerialLine::Pty);
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    let node = lab.named("web");
    let mut first = activate(node.ipmi);
    first.expect("[SOL Session operational");
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    assert_eq!(guest.next_boot().from, "disk");
    first.expect("TESTGUEST booted-from=disk");
    first.send("ping\r");
    first.expect("TESTGUEST pong");

    let control = lab.daemon.control().display().to_string();
    let binary = testkit::paths::polybmc().display().to_string();
    let mut beside = Talk::start(&binary, &["--control", &control, "console", "web"]);
    beside.expect("TESTGUEST pong");
    beside.send("ping\n");
    first.expect("TESTGUEST pong");
    beside.expect("TESTGUEST pong");

    // It vanishes without a word; the next one has a wire that loses every fifth datagram, either way.
    drop(first);
    ipmitool(node.ipmi).args(["sol", "deactivate"]).ok();
    let mut chance = StdRng::seed_from_u64(7);
    let relay = Relay::at_its_port(node.ipmi, move |seen| !seen.is_sol() || !chance.random_bool(0.2));
    let mut second = activate(relay.address());
    second.expect("[SOL Session operational");
    second.expect("TESTGUEST pong");
    second.expect("TESTGUEST pong");
    second.send("ping\r");
    second.expect("TESTGUEST pong");
    second.send("reboot\r");
    second.expect("TESTGUEST rebooting");
    assert_eq!(guest.next_boot().from, "disk");
    second.expect("TESTGUEST booted-from=disk");
    beside.expect("TESTGUEST booted-from=disk");
    assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
}

/// Redfish's mode switches the firmware, and IPMI's next boot does not switch it back.
#[test]
fn guest_boots_in_the_mode_that_redfish_asked_for() {
    let mut guest = Guest::define(Firmware::SeaBios);
    let definition = guest.definition();
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    let mode = |mode: &str| {
        machine
            .redfish
            .patch(&machine.system, &json!({ "Boot": { "BootSourceOverrideMode": mode } }))
            .expect(204);
        let shown = machine.redfish.read(&machine.system)["Boot"]["BootSourceOverrideMode"].clone();
        assert_eq!(shown, mode);
    };
    mode("UEFI");
    assert_eq!(machine.set_boot(Door::Ipmi, Some(DISK), Lasting::Once), Some(Reply::Done));
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    assert_eq!(guest.next_boot().firmware, "efi");
    mode("Legacy");
    assert_eq!(machine.power(Door::Cli, CYCLE), Reply::Done);
    assert_eq!(guest.next_boot().firmware, "bios");
    assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
    machine.await_power(false);
    assert_eq!(guest.definition(), definition, "there and back leaves the definition as it was");
}

/// What Redfish shows of Secure Boot: enabled for the next boot, enforced in this one, the state of the keys.
fn secure_boot_shown(machine: &Machine<'_>) -> (Value, Value, Value) {
    let mut shown = machine.redfish.read(&format!("{}/SecureBoot", machine.system));
    let mut take = |name: &str| shown[name].take();
    (take("SecureBootEnable"), take("SecureBootCurrentBoot"), take("SecureBootMode"))
}

fn ask_secure_boot(machine: &Machine<'_>, enable: bool) {
    let path = format!("{}/SecureBoot", machine.system);
    machine.redfish.patch(&path, &json!({"SecureBootEnable": enable})).expect(204);
}

/// The loaders of the test media are signed by nobody.
fn is_refused_by_firmware(guest: &mut Guest) {
    guest.next_words("Access Denied", BOOT_LIMIT);
}

#[test]
fn guest_boots_what_nobody_signed_only_without_secure_boot() {
    let mut guest = Guest::define(Firmware::Ovmf);
    let definition = guest.definition();
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    assert_eq!(secure_boot_shown(&machine), (json!(false), Value::Null, json!("SetupMode")));
    // Its databases are there, empty, and who would edit them is told what can be done.
    let databases = format!("{}/SecureBoot/SecureBootDatabases", machine.system);
    assert_eq!(machine.redfish.read(&databases)["Members@odata.count"], 8);
    let owners = || machine.redfish.read(&format!("{databases}/PK/Certificates"))["Members"].take();
    assert_eq!(owners(), json!([]));
    let refused = machine.redfish.post(&format!("{databases}/db/Certificates"), &json!({})).expect(405);
    assert!(refused.json().to_string().contains("SecureBoot.ResetKeys"), "{}", refused.json());
    ask_secure_boot(&machine, true);
    assert_eq!(guest.definition(), definition, "it is for the next boot");
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    is_refused_by_firmware(&mut guest);
    assert_eq!(secure_boot_shown(&machine), (json!(true), json!("Enabled"), json!("UserMode")));
    let signer = machine.redfish.read(&format!("{databases}/db/Certificates/1"));
    assert_eq!(signer["Issuer"]["Organization"], "Microsoft Corporation");
    assert_eq!(owners().as_array().map(Vec::len), Some(1));
    ask_secure_boot(&machine, false);
    assert_eq!(secure_boot_shown(&machine).1, "Enabled", "still");
    assert_eq!(machine.power(Door::Redfish, CYCLE), Reply::Done);
    // Had the refused one booted all the same, it would have said so here.
    assert_eq!(guest.next_boot().from, "disk");
    assert_ne!(guest.secure_boot(), "1");
    assert_eq!(secure_boot_shown(&machine), (json!(false), json!("Disabled"), json!("SetupMode")));
    assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
    machine.await_power(false);
    assert_eq!(guest.definition(), definition, "there and back leaves the definition as it was");
}

/// A machine type without system management mode has no Secure Boot, and says so when it is asked, not when it boots.
#[test]
fn guest_of_a_machine_type_without_secure_boot_says_so_at_once() {
    let guest = Guest::define(Firmware::SeaBios);
    let bare = BARE.replace("q35", "pc").replace("<devices>", "<features><acpi/></features><devices>");
    let name = format!("{}-pc", guest.name());
    let file = guest.folder().join("pc.xml");
    std::fs::write(&file, bare.replace("bare", &name)).expect("the guest's folder can be written");
    guest.virsh(["define".as_ref(), file.as_os_str()]);
    let lab = serve("qemu:///system", &name);
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    let both = json!({"Attributes": {"BootMode": "Uefi", "SecureBoot": "Enabled"}});
    let refused = machine.redfish.patch(&format!("{}/Bios/Settings", machine.system), &both).expect(400);
    let words = refused.json().to_string();
    assert!(words.contains("PropertyNotWritable") && words.contains("pc-q35"), "{words}");
    // UEFI it can have, and then it says the same.
    let uefi = json!({"Boot": {"BootSourceOverrideMode": "UEFI"}});
    machine.redfish.patch(&machine.system, &uefi).expect(204);
    let enable = json!({"SecureBootEnable": true});
    let refused = machine.redfish.patch(&format!("{}/SecureBoot", machine.system), &enable).expect(400);
    assert!(refused.json().to_string().contains("pc-q35"), "{}", refused.json());
    guest.virsh(["undefine", "--nvram", &name]);
}

/// What both protocols say about a machine that cannot be controlled.
#[track_caller]
fn assert_unavailable(machine: &Machine<'_>, ipmi: &str, reason: &str) {
    let shown = || machine.redfish.read(&machine.system)["Status"]["State"].clone();
    wait::eventually("Redfish says that it is away", SOON, || shown() == "UnavailableOffline");
    let Reply::Refused(words) = machine.power(Door::Ipmi, ON) else {
        panic!("IPMI has acknowledged a power on")
    };
    assert!(words.contains(ipmi), "{words}");
    let Reply::Refused(words) = machine.power(Door::Redfish, CYCLE) else {
        panic!("Redfish has acknowledged a cycle")
    };
    assert!(words.contains("status: 503") && words.contains("retry-after"), "{words}");
    assert!(words.to_lowercase().contains(reason), "{words}");
    let Reply::Refused(words) = machine.power(Door::Cli, RESET) else {
        panic!("the command line has acknowledged a reset")
    };
    assert!(words.to_lowercase().contains(reason), "{words}");
    // The BMC itself is there. IPMI has no way to say "as far as I know", Redfish has.
    machine.node.ipmitool().args(["mc", "guid"]).ok();
    let status = machine.node.ipmitool().args(["chassis", "status"]).fails();
    assert!(status.stderr.contains(ipmi), "a power state that may be wrong is not told: {status}");
    let detail = machine.lab.json(&["show", "web", "-o", "json"]);
    assert!(
        detail["problem"].as_str().is_some_and(|problem| problem.to_lowercase().contains(reason)),
        "{detail:#}"
    );
}

#[track_caller]
fn await_available(machine: &Machine<'_>) {
    wait::eventually("the machine can be controlled again", SOON, || {
        machine.lab.json(&["show", "web", "-o", "json"])["problem"].is_null()
    });
    let shown = machine.redfish.read(&machine.system)["Status"]["State"].clone();
    assert_ne!(shown, "UnavailableOffline");
}

const BARE: &str = "<domain type='qemu'><name>bare</name><uuid>11111111-2222-3333-4444-555555555555</uuid>\
    <memory unit='MiB'>32</memory><os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>\
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface></devices></domain>";

/// A definition with an order of its own at each device, beside the secrets, the foreign notes and the QEMU arguments that every guest has.
fn with_order_at_devices(guest: &Guest) -> String {
    let definition = guest.definition();
    let order = |xml: String, device: &str, place: u32| {
        let at = xml.find(device).expect("the device is there") + device.len();
        format!("{}<boot order='{place}'/>{}", &xml[..at], &xml[at..])
    };
    let xml = definition.replace("<boot dev='hd'/>", "");
    let xml = order(xml, "<target dev='vda' bus='virtio'/>", 2);
    let xml = order(xml, "<mac address='52:54:00:00:00:01'/>", 1);
    let file = guest.folder().join("ordered.xml");
    std::fs::write(&file, xml).expect("the guest's folder can be written");
    guest.virsh(["define".as_ref(), file.as_os_str()]);
    guest.definition()
}

/// The guest's boot options as Redfish shows them: first those in the boot order.
fn boot_options(machine: &Machine<'_>) -> Vec<Value> {
    let read = |uri: &Value| machine.redfish.read(uri.as_str().expect("a URI"));
    let all = machine.redfish.read(&format!("{}/BootOptions", machine.system));
    all["Members"].as_array().into_iter().flatten().map(|member| read(&member["@odata.id"])).collect()
}

fn boot_order(machine: &Machine<'_>) -> Vec<String> {
    let order = machine.redfish.read(&machine.system)["Boot"]["BootOrder"].clone();
    serde_json::from_value(order).expect("an array of names")
}

/// Boot options are the guest's own once it has any; their order is what the guest does; a URI is booted from once; and a guest that restarts
/// itself while the daemon is dead boots its own order.
#[test]
fn guest_of_ovmf_shows_its_own_boot_options_and_boots_from_a_uri() {
    let mut guest = Guest::define(Firmware::Ovmf);
    with_order_at_devices(&guest);
    let web = Web::serve(guest.program("http"));
    let mut lab = serve_guest(&guest);
    let definition = {
        let machine = Machine::of(&lab, "web");
        machine.await_power(false);
        // It has never run: its devices stand for its options, and say so.
        let options = boot_options(&machine);
        let words = options[0]["Description"].as_str().unwrap();
        assert!(words.contains("are not known") && words.contains("first start"), "{words}");
        let named = |alias: &str| {
            let option = options.iter().find(|option| option["Alias"] == alias);
            option.unwrap_or_else(|| panic!("no {alias} in {options:#?}"))["Id"].as_str().unwrap().to_owned()
        };
        assert_eq!(boot_order(&machine), [named("Pxe"), named("Hdd")]);
        let wanted = [named("Hdd"), named("Pxe")];
        machine.redfish.patch(&machine.system, &json!({ "Boot": { "BootOrder": wanted } })).expect(204);
        let definition = guest.definition();
        assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
        assert_eq!(guest.next_boot().from, "disk");
        assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
        wait::eventually("the guest's own options are shown", SOON, || {
            boot_options(&machine)[0]["UefiDevicePath"].is_string()
        });
        let options = boot_options(&machine);
        let (first, second) = (&options[0], &options[1]);
        assert_eq!(
            (&first["Alias"], &second["BootOptionEnabled"]),
            (&json!("Hdd"), &json!(true)),
            "{options:#?}"
        );
        let path = second["UefiDevicePath"].as_str().unwrap();
        assert!(path.contains("MAC(525400000001"), "{path}");
        // What is shown is what the guest has written.
        let file = format!("/var/lib/libvirt/qemu/nvram/{}_VARS.fd", guest.name());
        assert!(Path::new(&file).exists(), "this is where they come from");

        let from_uri = json!({ "Boot": { "BootSourceOverrideTarget": "UefiHttp", "HttpBootUri": web.url("/x/loader.efi") } });
        machine.redfish.patch(&machine.system, &from_uri).expect(204);
        assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
        assert_eq!(guest.next_boot().from, "http");
        machine.assert_boot(&Shown::Nothing);

        // A reset into it is one boot, and no power-off that somebody else has brought about.
        machine.redfish.patch(&machine.system, &from_uri).expect(204);
        let before = lab.last_event();
        assert_eq!(machine.power(Door::Ipmi, RESET), Reply::Done);
        assert_eq!(guest.next_boot().from, "http", "by a reset");
        machine.assert_boot(&Shown::Nothing);
        machine.await_power_events(before, &["reset"]);
        definition
    };

    lab.daemon.kill();
    guest.tell("reboot");
    assert_eq!(guest.next_boot().from, "disk", "with nobody there to bring it about");
    lab.daemon.restart();
    let machine = Machine::of(&lab, "web");
    wait::eventually("the machine is seen again", SOON, || machine.node.power() == "on");
    machine.assert_boot(&Shown::Nothing);
    assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
    machine.await_power(false);
    wait::eventually("the option of the URI is gone", SOON, || {
        let options = boot_options(&machine);
        !options
            .iter()
            .any(|option| option["DisplayName"].as_str().is_some_and(|name| name.contains("polybmc")))
    });
    assert_eq!(boot_options(&machine)[0]["Alias"], "Hdd");
    assert_eq!(guest.definition(), definition, "not a byte of the definition has changed");
}

/// libvirtd dies under a running guest and comes back: both protocols say so, and nothing has to be restarted.
#[test]
fn guest_outlives_libvirtd_which_comes_back() {
    let mut libvirtd = Libvirtd::new();
    let uri = libvirtd.uri("qemu:///session");
    let virsh = |args: &[&str]| Tool::find("virsh").args(["-q", "-c", &uri]).args(args).ok();
    libvirtd.start();
    libvirtd.await_ready();
    let lab = serve(&uri, "bare");
    let file = lab.daemon.dir().join("bare.xml");
    std::fs::write(&file, BARE).expect("the lab's folder can be written");
    virsh(&["define", &file.display().to_string()]);
    wait::eventually("the domain was found", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["problem"].is_null()
    });
    let machine = Machine::of(&lab, "web");
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    machine.await_power(true);
    assert_eq!(machine.set_boot(Door::Ipmi, Some(PXE), Lasting::Continuous), Some(Reply::Done));
    let before = lab.last_event();

    libvirtd.kill();
    assert_unavailable(&machine, "Destination unavailable", "libvirt");
    assert!(machine.is_on(Door::Redfish), "the last that was known");
    lab.await_event(before, "web", "unavailable");

    libvirtd.start();
    await_available(&machine);
    machine.await_power(true);
    machine.await_power_events(before, &["unavailable", "available"]);
    machine.assert_boot(&Shown::device(PXE, Lasting::Continuous));

    // What happens meanwhile is seen afterwards.
    let (_, socket) = uri.split_once("?socket=").expect("the URI names the socket");
    let emulator = Path::new(socket).with_file_name("qemu/run/bare.pid");
    let before = lab.last_event();
    libvirtd.kill();
    lab.await_event(before, "web", "unavailable");
    let pid = std::fs::read_to_string(emulator).expect("libvirtd keeps the emulator's process id");
    Tool::find("sh").args(["-c", "kill -9 \"$0\"", pid.trim()]).ok();
    libvirtd.start();
    await_available(&machine);
    machine.await_power(false);
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    machine.await_power(true);
    assert_eq!(machine.power(Door::Cli, OFF), Reply::Done);
}

/// The domain is undefined while it is served, and defined again.
#[test]
fn guest_is_undefined_and_defined_again() {
    let guest = Guest::define(Firmware::SeaBios);
    let definition = guest.definition();
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    assert_eq!(machine.set_boot(Door::Redfish, Some(CDROM), Lasting::Once), Some(Reply::Done));

    guest.virsh(["undefine", guest.name()]);
    assert_unavailable(&machine, "Requested sensor, data, or record not found", "has no domain");

    let file = lab.daemon.dir().join("domain.xml");
    std::fs::write(&file, &definition).expect("the lab's folder can be written");
    guest.virsh(["define".as_ref(), file.as_os_str()]);
    await_available(&machine);
    machine.assert_boot(&Shown::device(CDROM, Lasting::Once));
    let mut guest = guest;
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    assert_eq!(guest.next_boot().from, "cdrom");
    assert_eq!(machine.power(Door::Ipmi, OFF), Reply::Done);
    machine.await_power(false);
}

/// A domain is bound by its UUID: it may be renamed while it is off.
#[test]
fn guest_is_renamed() {
    let guest = Guest::define(Firmware::SeaBios);
    let lab = serve_guest(&guest);
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    let other = format!("{}-renamed", guest.name());
    guest.virsh(["domrename", guest.name(), &other]);
    wait::eventually("the new name is shown", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["machine"] == other.as_str()
    });
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    machine.await_power(true);
    assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
    machine.await_power(false);
    guest.virsh(["domrename", &other, guest.name()]);
}
