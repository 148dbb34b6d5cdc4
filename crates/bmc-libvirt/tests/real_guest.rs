//! Real QEMU guests under a real libvirtd. The guest's own words on its serial console are the witness for what it booted from,
//! `virsh` for what libvirt thinks. Without libvirtd these tests fail; `cargo xtask setup` provides it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bmc_core::backend::{Backend, Machine, MachineRef, Observed, ObservedPower, Report, Reports};
use bmc_core::boot::{BootPlan, BootTarget, FirmwareMode, OverrideBoot};
use bmc_core::console::ConsoleInput;
use bmc_core::error::BackendErrorKind;
use bmc_core::power::ChangeCause;
use bmc_libvirt::LibvirtBackend;
use testkit::guest::{self, Firmware, Guest, SerialLine, Web};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use uuid::Uuid;

const REPORT_LIMIT: Duration = Duration::from_secs(60);

struct Attached {
    backend: Arc<LibvirtBackend>,
    machine: Arc<dyn Machine>,
    reports: UnboundedReceiver<Report>,
    first: Observed,
}

async fn attach(guest: &Guest) -> Attached {
    let backend = LibvirtBackend::new(guest::URI);
    let (reports, mut receiver) = Reports::channel();
    let uuid = Some(Uuid::parse_str(&guest.uuid()).unwrap());
    let machine = backend.attach(MachineRef { uuid, name: guest.name().to_owned() }, reports);
    let Report::Available(first) = next(&mut receiver).await else { panic!("not available") };
    Attached { backend, machine, reports: receiver, first }
}

/// The next report of something that happened; statistics come when they like, and what a running instance tells of itself.
async fn next(reports: &mut UnboundedReceiver<Report>) -> Report {
    next_of(reports, |report| !matches!(report, Report::Statistics(_) | Report::Info(_))).await
}

async fn next_of(reports: &mut UnboundedReceiver<Report>, wanted: impl Fn(&Report) -> bool) -> Report {
    loop {
        let report = timeout(REPORT_LIMIT, reports.recv()).await;
        let report = report.expect("a report comes").expect("the backend lives");
        if wanted(&report) {
            return report;
        }
    }
}

/// What has been reported up to now. What a running instance tells of itself beside (its port of VNC) comes when it comes.
fn all(reports: &mut UnboundedReceiver<Report>) -> Vec<Report> {
    let reports = std::iter::from_fn(|| reports.try_recv().ok());
    reports.filter(|report| !matches!(report, Report::Statistics(_) | Report::Info(_))).collect()
}

fn boot(target: BootTarget, generation: u64) -> BootPlan {
    BootPlan::Override(OverrideBoot {
        target,
        efi: false,
        http_uri: None,
        device: None,
        once: true,
        generation,
    })
}

fn power(power: ObservedPower, cause: ChangeCause) -> Report {
    Report::Power { power, cause }
}

/// The witness blocks; the runtime must not.
async fn blocking<T: Send + 'static>(
    guest: Guest,
    work: impl FnOnce(&mut Guest) -> T + Send + 'static,
) -> (Guest, T) {
    tokio::task::spawn_blocking(move || {
        let mut guest = guest;
        let result = work(&mut guest);
        (guest, result)
    })
    .await
    .unwrap()
}

async fn boots_from(guest: Guest, firmware: Firmware, medium: &'static str) -> Guest {
    let (guest, boot) = blocking(guest, Guest::next_boot).await;
    let mode = match firmware {
        Firmware::SeaBios => "bios",
        Firmware::Ovmf => "efi",
    };
    assert_eq!((boot.from.as_str(), boot.firmware.as_str()), (medium, mode));
    guest
}

/// A CD once, then a restart from inside: the disk again; nothing of the definition has changed.
async fn once_then_own_order(firmware: Firmware) {
    let (guest, definition) = blocking(Guest::define(firmware), |guest| guest.definition()).await;
    let Attached { backend: _backend, machine, mut reports, first } = attach(&guest).await;
    assert_eq!(first.power, ObservedPower::Off);
    assert_eq!(first.info.memory_bytes, 256 << 20);

    machine.start(&boot(BootTarget::Cdrom, 7)).await.unwrap();
    assert_eq!(all(&mut reports), [power(ObservedPower::Running, ChangeCause::Requested)]);
    let guest = boots_from(guest, firmware, "cdrom").await;

    // A daemon that starts now sees that this instance is the override's.
    assert_eq!(attach(&guest).await.first.boot_generation, Some(7));

    let (guest, ()) = blocking(guest, |guest| guest.tell("reboot")).await;
    assert_eq!(next(&mut reports).await, Report::Rebooted);
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    let guest = boots_from(guest, firmware, "disk").await;
    assert_eq!(all(&mut reports), [], "a restart of ours is not reported");
    assert_eq!(attach(&guest).await.first.boot_generation, None);

    // Nothing pending: the guest restarts by itself, which is one event, and a reset keeps the instance.
    let (guest, ()) = blocking(guest, |guest| guest.tell("reboot")).await;
    let guest = boots_from(guest, firmware, "disk").await;
    assert_eq!(all(&mut reports), [Report::Rebooted]);
    let (guest, before) = blocking(guest, |guest| guest.virsh(["domid", guest.name()])).await;
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    let guest = boots_from(guest, firmware, "disk").await;
    let (guest, after) = blocking(guest, |guest| guest.virsh(["domid", guest.name()])).await;
    assert_eq!(before, after, "a plain reset keeps the instance");
    assert_eq!(all(&mut reports), []);

    machine.shutdown().await.unwrap();
    assert_eq!(next(&mut reports).await, power(ObservedPower::Stopping, ChangeCause::Guest));
    assert_eq!(next(&mut reports).await, power(ObservedPower::Off, ChangeCause::Guest));
    let (_guest, now) = blocking(guest, |guest| guest.definition()).await;
    assert_eq!(now, definition);
}

#[tokio::test]
async fn seabios_boots_the_cd_once_and_then_its_disk() {
    once_then_own_order(Firmware::SeaBios).await;
}

#[tokio::test]
async fn ovmf_boots_the_cd_once_and_then_its_disk() {
    once_then_own_order(Firmware::Ovmf).await;
}

/// Every other medium, one after the other on the same machine, by resets.
async fn every_medium(firmware: Firmware) {
    let (mut guest, definition) = blocking(Guest::define(firmware), |guest| guest.definition()).await;
    let Attached { backend: _backend, machine, .. } = attach(&guest).await;
    machine.start(&boot(BootTarget::Pxe, 1)).await.unwrap();
    guest = boots_from(guest, firmware, "pxe").await;
    machine.reset(&boot(BootTarget::Usb, 2)).await.unwrap();
    guest = boots_from(guest, firmware, "usb").await;
    machine.reset(&boot(BootTarget::Disk, 3)).await.unwrap();
    guest = boots_from(guest, firmware, "disk").await;
    machine.stop().await.unwrap();
    let (_guest, now) = blocking(guest, |guest| guest.definition()).await;
    assert_eq!(now, definition);
}

#[tokio::test]
async fn seabios_boots_every_medium() {
    every_medium(Firmware::SeaBios).await;
}

#[tokio::test]
async fn ovmf_boots_every_medium() {
    every_medium(Firmware::Ovmf).await;
}

#[tokio::test]
async fn firmware_switches_and_comes_back_as_it_was() {
    let (guest, definition) = blocking(Guest::define(Firmware::Ovmf), |guest| guest.definition()).await;
    let Attached { backend: _backend, machine, mut reports, first } = attach(&guest).await;
    assert_eq!((first.info.firmware, first.info.firmware_switchable), (FirmwareMode::Uefi, true));
    machine.set_firmware(FirmwareMode::Legacy).await.unwrap();
    let told = next_of(&mut reports, |report| matches!(report, Report::Info(_))).await;
    let Report::Info(info) = told else { panic!("the make-up has changed") };
    assert_eq!(info.firmware, FirmwareMode::Legacy);
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    let guest = boots_from(guest, Firmware::SeaBios, "disk").await;

    // While it runs: takes effect with a reset.
    machine.set_firmware(FirmwareMode::Uefi).await.unwrap();
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    let guest = boots_from(guest, Firmware::Ovmf, "disk").await;
    let (_guest, now) = blocking(guest, |guest| guest.definition()).await;
    assert_eq!(now, definition);
}

#[tokio::test]
async fn what_others_do_is_reported_as_theirs() {
    let guest = Guest::define(Firmware::SeaBios);
    let Attached { backend: _backend, machine, mut reports, .. } = attach(&guest).await;
    let (guest, ()) = blocking(guest, |guest| {
        for verb in ["start", "suspend", "resume", "destroy"] {
            guest.virsh([verb, guest.name()]);
        }
    })
    .await;
    use ObservedPower::{Off, Paused, Running, Stopping};
    let mut seen = Vec::new();
    while seen.last() != Some(&power(Off, ChangeCause::Outside)) {
        seen.push(next(&mut reports).await);
    }
    seen.retain(|report| *report != power(Stopping, ChangeCause::Outside));
    assert_eq!(seen, [Running, Paused, Running, Off].map(|state| power(state, ChangeCause::Outside)));

    // Undefined and defined again: gone, then back.
    let (guest, xml) = blocking(guest, |guest| {
        let xml = guest.definition();
        guest.virsh(["undefine", guest.name()]);
        xml
    })
    .await;
    let Report::Unavailable(error) = next(&mut reports).await else { panic!("the domain is gone") };
    assert_eq!(error.kind, BackendErrorKind::NotFound);
    assert_eq!(machine.start(&BootPlan::OwnOrder).await.unwrap_err().kind, BackendErrorKind::NotFound);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), xml).unwrap();
    let (_guest, _) =
        blocking(guest, move |guest| guest.virsh(["define".as_ref(), file.path().as_os_str()])).await;
    let Report::Available(again) = next(&mut reports).await else { panic!("the domain is back") };
    assert_eq!(again.power, Off);
}

/// Setup leaves the firmware in its menus; its own words are the witness, and its own order is back after a reset.
#[tokio::test]
async fn ovmf_opens_its_setup() {
    let firmware = Firmware::Ovmf;
    let (guest, definition) = blocking(Guest::define(firmware), |guest| guest.definition()).await;
    let Attached { backend: _backend, machine, .. } = attach(&guest).await;
    machine.start(&boot(BootTarget::BiosSetup, 1)).await.unwrap();
    let (guest, _) =
        blocking(guest, |guest| guest.next_words("Boot Maintenance Manager", guest::BOOT_LIMIT)).await;
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    let guest = boots_from(guest, firmware, "disk").await;
    machine.stop().await.unwrap();
    let (_guest, now) = blocking(guest, |guest| guest.definition()).await;
    assert_eq!(now, definition);
}

#[tokio::test]
async fn seabios_has_no_setup_to_open() {
    let guest = Guest::define(Firmware::SeaBios);
    let Attached { backend: _backend, machine, first, .. } = attach(&guest).await;
    assert!(!first.info.boot_targets.contains(&BootTarget::BiosSetup));
    let refused = machine.start(&boot(BootTarget::BiosSetup, 1)).await.unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::Unsupported);
    assert_eq!(guest.state(), "shut off");
}

#[tokio::test]
async fn ovmf_tries_http() {
    let (guest, definition) = blocking(Guest::define(Firmware::Ovmf), |guest| guest.definition()).await;
    let Attached { backend: _backend, machine, first, .. } = attach(&guest).await;
    assert!(first.info.boot_targets.contains(&BootTarget::Http));
    machine.start(&boot(BootTarget::Http, 1)).await.unwrap();
    // The guest's network has no HTTP server; that the firmware asks for one is what the override is about.
    let (guest, ()) =
        blocking(guest, |guest| guest.next_words("Start HTTP Boot over IPv4", guest::BOOT_LIMIT)).await;
    machine.stop().await.unwrap();
    let (_guest, now) = blocking(guest, |guest| guest.definition()).await;
    assert_eq!(now, definition);
}

/// A machine that has never run is told a URI, boots from it, and from its disk when it restarts itself, with nobody there to see to it. Its
/// variables are its own again when it is off, and say what it did.
#[tokio::test]
async fn slow_ovmf_boots_from_the_uri_it_is_told() {
    let (guest, (definition, program)) =
        blocking(Guest::define(Firmware::Ovmf), |guest| (guest.definition(), guest.program("http"))).await;
    let web = Web::serve(program);
    let Attached { backend: _backend, machine, mut reports, first } = attach(&guest).await;
    assert!(
        first.info.load_options.is_none() && first.info.load_options_unread.is_some(),
        "it has never run"
    );
    assert_eq!(first.info.http_uri_refused, None);
    let uri = web.url("/boot/loader.efi");
    let BootPlan::Override(plain) = boot(BootTarget::Http, 1) else { unreachable!() };
    let told = OverrideBoot { http_uri: Some(uri), ..plain };
    machine.start(&BootPlan::Override(told)).await.unwrap();
    assert_eq!(all(&mut reports), [power(ObservedPower::Running, ChangeCause::Requested)]);
    let guest = boots_from(guest, Firmware::Ovmf, "http").await;
    assert!(web.asked().iter().any(|line| line.starts_with("GET /boot/loader.efi ")), "{:?}", web.asked());

    let (guest, ()) = blocking(guest, |guest| guest.tell("reboot")).await;
    let guest = boots_from(guest, Firmware::Ovmf, "disk").await;
    machine.stop().await.unwrap();
    let Attached { first, .. } = attach(&guest).await;
    let options = first.info.load_options.unwrap();
    assert!(options.iter().all(|option| !option.description.contains("polybmc")), "{options:#?}");
    assert_eq!(options[0].device.as_deref(), Some("vda"), "{options:#?}");
    let (_guest, now) = blocking(guest, |guest| guest.definition()).await;
    assert_eq!(now, definition);
}

/// The line that people share is witnessed all the same: firmware, loader and system on the console are what the log says.
#[tokio::test]
async fn a_shared_line_shows_on_the_console_what_the_guest_said() {
    let guest = Guest::define_with(Firmware::SeaBios, SerialLine::Pty);
    let Attached { backend: _backend, machine, .. } = attach(&guest).await;
    let console = machine.console().unwrap();
    let mut viewer = console.view();
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    let guest = boots_from(guest, Firmware::SeaBios, "disk").await;
    let mut said = Vec::new();
    let seen = async {
        loop {
            said.extend(viewer.take(usize::MAX).bytes);
            let text = String::from_utf8_lossy(&said);
            if text.contains("TESTGUEST booted-from=disk") {
                return text.contains("Booting from Hard Disk") && text.contains("GRUB");
            }
            assert!(viewer.changed().await, "the console stays");
        }
    };
    let all = timeout(REPORT_LIMIT, seen).await;
    assert_eq!(all, Ok(true), "{}", String::from_utf8_lossy(&said));
    let typed = ConsoleInput::Bytes(b"ping\n".to_vec());
    console.send(typed).unwrap();
    let (_guest, _) = blocking(guest, |guest| guest.next_line("TESTGUEST pong", guest::ANSWER_LIMIT)).await;
}
