//! Against a libvirtd of the test's own, without rights: the `test` driver for the semantics, QEMU for what outlives the daemon, and
//! what happens when the daemon goes away and comes back. One test does without a daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use bmc_core::backend::{Backend, Machine, MachineRef, ObservedPower, Report, Reports};
use bmc_core::boot::{BootPlan, BootTarget, FirmwareMode, OverrideBoot};
use bmc_core::error::BackendErrorKind;
use bmc_core::power::ChangeCause;
use bmc_libvirt::LibvirtBackend;
use tempfile::NamedTempFile;
use testkit::guest::Libvirtd;
use testkit::wait;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use uuid::Uuid;
use virt::connect::Connect;

const LIMIT: Duration = Duration::from_secs(30);
const UUID: &str = "11111111-2222-3333-4444-555555555555";

/// A domain with a disk, a CD drive and a network interface.
fn domain() -> String {
    format!(
        "<domain type='test'><name>node</name><uuid>{UUID}</uuid><memory unit='MiB'>512</memory><vcpu>2</vcpu>\
         <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os><devices>\
         <disk type='file' device='disk'><source file='/d'/><target dev='vda' bus='virtio'/></disk>\
         <disk type='file' device='cdrom'><source file='/c'/><target dev='hdc' bus='ide'/></disk>\
         <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>\
         </devices></domain>"
    )
}

/// A hypervisor of this test alone, with [`domain`] running: within one daemon all connections to the driver share its state.
struct Hypervisor {
    uri: String,
    /// Another tool's connection to the same hypervisor.
    other: Connect,
    _libvirtd: Libvirtd,
}

impl Hypervisor {
    /// Starts it and attaches a backend, which comes first because it registers the event loop.
    async fn attach(uuid: Option<Uuid>, name: &str) -> (Self, Attached) {
        let mut libvirtd = Libvirtd::new();
        libvirtd.start();
        let uri = libvirtd.uri("test:///default");
        let first = LibvirtBackend::new(&uri);
        let other = wait::poll(LIMIT, || Connect::open(Some(&uri)).ok()).expect("libvirtd answers");
        drop(first);
        other.define_domain_xml(&domain()).unwrap().create_with_flags(0).unwrap();
        let attached = attach(&uri, uuid, name).await;
        (Self { uri, other, _libvirtd: libvirtd }, attached)
    }
}

struct Attached {
    backend: Arc<LibvirtBackend>,
    machine: Arc<dyn Machine>,
    reports: UnboundedReceiver<Report>,
}

async fn attach(uri: &str, uuid: Option<Uuid>, name: &str) -> Attached {
    let backend = LibvirtBackend::new(uri);
    let (reports, receiver) = Reports::channel();
    let machine = backend.attach(MachineRef { uuid, name: name.to_owned() }, reports);
    Attached { backend, machine, reports: receiver }
}

/// The next report that is not about what the machine is made of: a running one is told with more of it, whenever that is known.
async fn next(reports: &mut UnboundedReceiver<Report>) -> Report {
    loop {
        let report =
            timeout(LIMIT, reports.recv()).await.expect("a report comes").expect("the backend lives");
        if !matches!(report, Report::Info(_)) {
            return report;
        }
    }
}

/// What was reported and not read yet, likewise.
fn unread_powers(reports: &mut UnboundedReceiver<Report>) -> Vec<Report> {
    let unread = std::iter::from_fn(|| reports.try_recv().ok());
    unread.filter(|report| !matches!(report, Report::Info(_))).collect()
}

fn power(power: ObservedPower, cause: ChangeCause) -> Report {
    Report::Power { power, cause }
}

fn override_boot(target: BootTarget) -> BootPlan {
    BootPlan::Override(OverrideBoot {
        target,
        efi: false,
        http_uri: None,
        device: None,
        once: true,
        generation: 5,
    })
}

fn definition(connect: &Connect) -> String {
    connect.lookup_domain_by_name("node").unwrap().xml_desc(virt_sys::VIR_DOMAIN_XML_INACTIVE).unwrap()
}

#[tokio::test]
async fn power_by_name_and_an_override_that_leaves_the_definition() {
    let (hypervisor, attached) = Hypervisor::attach(None, "node").await;
    let Attached { backend, machine, mut reports } = attached;
    let Report::Available(first) = next(&mut reports).await else { panic!("available first") };
    assert_eq!((first.power, first.info.uuid.to_string().as_str()), (ObservedPower::Running, UUID));
    assert_eq!((first.info.processors, first.info.memory_bytes), (2, 512 << 20));
    let other = &hypervisor.other;
    let before = definition(other);

    machine.stop().await.unwrap();
    assert_eq!(unread_powers(&mut reports), [power(ObservedPower::Off, ChangeCause::Requested)]);
    machine.stop().await.unwrap();
    assert_eq!(unread_powers(&mut reports), [], "off already: nothing happened");

    machine.start(&override_boot(BootTarget::Cdrom)).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [power(ObservedPower::Running, ChangeCause::Requested)]);
    let live = other.lookup_domain_by_name("node").unwrap().xml_desc(0).unwrap();
    assert!(live.contains("generation='5'") || live.contains("generation=\"5\""), "{live}");
    let (again, mut seen) = Reports::channel();
    let _second = backend.attach(MachineRef { uuid: Some(first.info.uuid), name: String::new() }, again);
    let Report::Available(observed) = next(&mut seen).await else { panic!("available first") };
    assert_eq!(observed.boot_generation, Some(5));

    assert_eq!(machine.start(&BootPlan::OwnOrder).await.unwrap_err().kind, BackendErrorKind::InvalidState);
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [], "a restart of ours is not reported");
    assert!(!other.lookup_domain_by_name("node").unwrap().xml_desc(0).unwrap().contains("generation="));
    // Now a plain reset is enough; this driver raises no event for it, which must not be waited for.
    timeout(Duration::from_secs(3), machine.reset(&BootPlan::OwnOrder)).await.unwrap().unwrap();
    assert_eq!(unread_powers(&mut reports), []);
    machine.nmi().await.unwrap();
    machine.stop().await.unwrap();
    assert_eq!(definition(other), before);
}

#[tokio::test]
async fn a_boot_order_is_the_definitions_and_an_override_on_top_leaves_it() {
    let (hypervisor, attached) = Hypervisor::attach(None, "node").await;
    let Attached { backend: _backend, machine, mut reports } = attached;
    let Report::Available(first) = next(&mut reports).await else { panic!("available first") };
    assert_eq!(first.info.boot_order, ["vda"]);
    let order = ["52:54:00:00:00:01".to_owned(), "vda".to_owned()];
    machine.set_boot_order(&order).await.unwrap();
    let unread = std::iter::from_fn(|| reports.try_recv().ok());
    let Some(Report::Info(info)) = unread.last() else { panic!("told before the call returns") };
    assert_eq!(info.boot_order, order);
    let ordered = definition(&hypervisor.other);
    assert!(!ordered.contains("<boot dev"), "{ordered}");
    machine.reset(&override_boot(BootTarget::Cdrom)).await.unwrap();
    machine.stop().await.unwrap();
    assert_eq!(definition(&hypervisor.other), ordered);
    let unknown = machine.set_boot_order(&["vdz".to_owned()]).await.unwrap_err();
    assert_eq!(unknown.kind, BackendErrorKind::Unsupported);
}

#[tokio::test]
async fn what_cannot_be_booted_is_refused_and_nothing_stops() {
    // In this process, without any daemon.
    let mut file = NamedTempFile::with_suffix(".xml").unwrap();
    let network = "<network><name>default</name><uuid>21111111-2222-3333-4444-555555555555</uuid></network>";
    write!(file, "<node>{}{network}</node>", domain()).unwrap();
    let uri = format!("test://{}", file.path().display());
    let Attached { backend: _backend, machine, mut reports } = attach(&uri, None, "node").await;
    next(&mut reports).await;
    let error = machine.reset(&override_boot(BootTarget::Usb)).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unsupported);
    assert!(error.message.contains("cdrom"), "{error}");
    assert_eq!(unread_powers(&mut reports), []);
    let error = machine.set_firmware(FirmwareMode::Uefi).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unsupported);
}

#[tokio::test]
async fn others_pause_rename_undefine_and_define() {
    let uuid = Some(Uuid::parse_str(UUID).unwrap());
    let (hypervisor, attached) = Hypervisor::attach(uuid, "an old name").await;
    let Attached { backend, machine, mut reports } = attached;
    next(&mut reports).await;
    assert_eq!(backend.name(), hypervisor.uri);
    let other = &hypervisor.other;
    let domain = other.lookup_domain_by_name("node").unwrap();
    domain.suspend().unwrap();
    assert_eq!(next(&mut reports).await, power(ObservedPower::Paused, ChangeCause::Outside));
    machine.resume().await.unwrap();
    assert_eq!(unread_powers(&mut reports), [power(ObservedPower::Running, ChangeCause::Requested)]);

    let xml = definition(other);
    domain.destroy().unwrap();
    assert_eq!(next(&mut reports).await, power(ObservedPower::Off, ChangeCause::Outside));
    domain.undefine().unwrap();
    let Report::Unavailable(error) = next(&mut reports).await else { panic!("it is gone") };
    assert_eq!(error.kind, BackendErrorKind::NotFound);
    assert_eq!(machine.start(&BootPlan::OwnOrder).await.unwrap_err().kind, BackendErrorKind::NotFound);

    other.define_domain_xml(&xml.replace("<name>node<", "<name>new<")).unwrap();
    let Report::Available(back) = next(&mut reports).await else { panic!("it is back") };
    assert_eq!((back.info.name.as_str(), back.power), ("new", ObservedPower::Off));
    assert_eq!(backend.find("new").await.unwrap().uuid, back.info.uuid);
    assert_eq!(backend.find(UUID).await.unwrap().name, "new");
    let error = backend.find("now").await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::NotFound);
    assert!(error.message.contains("nearest: new"), "{error}");
    assert_eq!(backend.machines().await.unwrap().len(), 2, "the driver brings one of its own");
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [power(ObservedPower::Running, ChangeCause::Requested)]);
}

#[tokio::test]
async fn a_machine_that_does_not_exist_yet_is_served_once_it_does() {
    let (hypervisor, attached) = Hypervisor::attach(None, "later").await;
    let Attached { backend: _backend, machine: _machine, mut reports } = attached;
    let Report::Unavailable(error) = next(&mut reports).await else { panic!("not there yet") };
    assert_eq!(error.kind, BackendErrorKind::NotFound);
    let other = &hypervisor.other;
    let xml = definition(other)
        .replace("<name>node<", "<name>later<")
        .replace(UUID, "31111111-2222-3333-4444-555555555555");
    other.define_domain_xml(&xml.replace("52:54:00:00:00:01", "52:54:00:00:00:02")).unwrap();
    let Report::Available(now) = next(&mut reports).await else { panic!("there now") };
    assert_eq!(now.info.name, "later");
}

#[tokio::test]
async fn a_libvirtd_that_goes_and_comes_is_said_and_survived() {
    let mut libvirtd = Libvirtd::new();
    let Attached { backend, machine, mut reports } =
        attach(&libvirtd.uri("test:///default"), None, "test").await;
    let Report::Unavailable(error) = next(&mut reports).await else { panic!("nobody is there yet") };
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(error.message.contains("libvirtd -d"), "{error}");

    for round in 0..2 {
        libvirtd.start();
        loop {
            match next(&mut reports).await {
                // The socket may refuse while the daemon starts.
                Report::Unavailable(error) => {
                    assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error}")
                }
                Report::Available(observed) => {
                    assert_eq!(observed.power, ObservedPower::Running, "round {round}");
                    break;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        machine.stop().await.unwrap();
        let off = power(ObservedPower::Off, ChangeCause::Requested);
        assert_eq!(unread_powers(&mut reports), [off], "events are back, too");
        libvirtd.kill();
        let Report::Unavailable(error) = next(&mut reports).await else { panic!("the daemon is gone") };
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error}");
        assert_eq!(machine.start(&BootPlan::OwnOrder).await.unwrap_err().kind, BackendErrorKind::Unavailable);
        assert_eq!(backend.machines().await.unwrap_err().kind, BackendErrorKind::Unavailable);
    }
}

/// Real QEMU behind the daemon, with nothing to boot: what counts is what the daemon remembers.
#[tokio::test]
async fn an_override_survives_the_death_of_libvirtd_and_leaves_the_definition() {
    let mut libvirtd = Libvirtd::new();
    libvirtd.start();
    libvirtd.await_ready();
    let uri = libvirtd.uri("qemu:///session");
    let Attached { backend, machine, mut reports } = attach(&uri, None, "node").await;
    let Report::Unavailable(error) = next(&mut reports).await else { panic!("not defined yet") };
    assert_eq!(error.kind, BackendErrorKind::NotFound);
    let xml = "<domain type='qemu'><name>node</name><memory unit='MiB'>32</memory>\
               <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>\
               <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>\
               </devices></domain>";
    let before = {
        let other = Connect::open(Some(&uri)).unwrap();
        other.define_domain_xml(xml).unwrap().set_autostart(true).unwrap();
        definition(&other)
    };
    let Report::Available(_) = next(&mut reports).await else { panic!("defined now") };
    machine.start(&override_boot(BootTarget::Pxe)).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [power(ObservedPower::Running, ChangeCause::Requested)]);

    libvirtd.kill();
    let Report::Unavailable(_) = next(&mut reports).await else { panic!("the daemon is gone") };
    libvirtd.start();
    let observed = loop {
        match next(&mut reports).await {
            Report::Unavailable(_) => {}
            Report::Available(observed) => break observed,
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!((observed.power, observed.boot_generation), (ObservedPower::Running, Some(5)));
    machine.stop().await.unwrap();
    let other = Connect::open(Some(&uri)).unwrap();
    assert_eq!(definition(&other), before);
    assert!(other.lookup_domain_by_name("node").unwrap().autostart().unwrap());
    drop(backend);
}

/// Real QEMU with UEFI and nothing to boot. A reset into a boot from a URI is nothing but a reset, also where the machine's variables have to
/// be made anew in the midst of it; and a saved state is not used up by that.
#[tokio::test]
async fn a_boot_from_a_uri_is_one_reset_and_spares_what_is_saved() {
    let mut libvirtd = Libvirtd::new();
    libvirtd.start();
    libvirtd.await_ready();
    let uri = libvirtd.uri("qemu:///session");
    let Attached { backend: _backend, machine, mut reports } = attach(&uri, None, "node").await;
    let Report::Unavailable(_) = next(&mut reports).await else { panic!("not defined yet") };
    let folder = tempfile::tempdir().unwrap();
    // Whoever this libvirtd runs as makes the file.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let store = folder.path().join("vars.fd");
    let xml = format!(
        "<domain type='qemu'><name>node</name><memory unit='MiB'>64</memory><features><acpi/></features>\
         <os><type arch='x86_64' machine='q35'>hvm</type>\
         <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>\
         <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>{}</nvram><boot dev='hd'/></os><devices>\
         <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>\
         </devices></domain>",
        store.display()
    );
    let other = Connect::open(Some(&uri)).unwrap();
    let domain = other.define_domain_xml(&xml).unwrap();
    let Report::Available(_) = next(&mut reports).await else { panic!("defined now") };
    let requested = |state| power(state, ChangeCause::Requested);
    let BootPlan::Override(plain) = override_boot(BootTarget::Http) else { unreachable!() };
    let http = |generation| {
        let http_uri = Some("http://192.0.2.1/loader.efi".to_owned());
        BootPlan::Override(OverrideBoot { http_uri, generation, ..plain.clone() })
    };
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [requested(ObservedPower::Running)]);
    machine.reset(&http(6)).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [], "a reset");
    std::fs::remove_file(&store).unwrap();
    machine.reset(&http(7)).await.unwrap();
    assert_eq!(unread_powers(&mut reports), [], "a reset that makes the variables");
    assert!(store.exists());
    // The mark of the override is on what runs: another reset for it is one that keeps the instance.
    let instance = domain.id();
    machine.reset(&http(7)).await.unwrap();
    assert_eq!(domain.id(), instance);

    domain.managed_save(0).unwrap();
    std::fs::remove_file(&store).unwrap();
    let refused = machine.start(&http(8)).await.unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::InvalidState, "{refused}");
    assert!(domain.has_managed_save(0).unwrap() && !store.exists());
}
