//! One machine of libvirt's test driver, seen from within.

use bmc_core::backend::{MachineRef, Report, Reports};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::firmware::HostFirmware;
use crate::storage::RaidOptions;

const LIMIT: Duration = Duration::from_secs(30);
/// How long is waited for what must not happen.
const NOT_MEANWHILE: Duration = Duration::from_millis(300);

/// The driver's only domain, stopped. Each connection of this URI that names a file has a hypervisor of its own.
async fn stopped() -> (LibvirtMachine, UnboundedReceiver<Report>, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::with_suffix(".xml").unwrap();
    let xml = "<node><domain type='test'><name>node</name><uuid>31111111-2222-3333-4444-555555555555</uuid><memory>1024</memory>\
        <vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os></domain></node>";
    std::fs::write(file.path(), xml).unwrap();
    let uri = format!("test://{}", file.path().display());
    let hub = Hub::start(
        Arc::from(uri),
        Duration::from_secs(3600),
        RaidOptions::default(),
        HostFirmware::new(Vec::new()),
    );
    let (reports, mut told) = Reports::channel();
    let watch = hub.watch(MachineRef { uuid: None, name: "node".to_owned() }, reports);
    let machine = LibvirtMachine::new(hub, watch, ConsolePolicy::Off, false);
    let first = timeout(LIMIT, told.recv()).await.unwrap().unwrap();
    assert!(matches!(first, Report::Available(_)), "{first:?}");
    if machine.watch.running().is_ok() {
        machine.stop().await.unwrap();
    }
    while told.try_recv().is_ok() {}
    (machine, told, file)
}

/// Whoever is at the variables of a machine that is off has done with them before it runs, also where it boots in its own order.
#[tokio::test(flavor = "multi_thread")]
async fn no_start_runs_into_a_change_of_the_variables() {
    let (machine, _told, _file) = stopped().await;
    let machine = Arc::new(machine);
    let (taken, is_taken) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let watch = Arc::clone(&machine.watch);
    let holder = tokio::task::spawn_blocking(move || {
        let _held = watch.store.lock().unwrap();
        taken.send(()).unwrap();
        let _ = released.recv();
    });
    is_taken.await.unwrap();
    let starting = Arc::clone(&machine);
    let mut start = tokio::spawn(async move { starting.start(&BootPlan::OwnOrder).await });
    let meanwhile = timeout(NOT_MEANWHILE, &mut start).await;
    assert!(meanwhile.is_err(), "{meanwhile:?}");
    assert!(machine.watch.running().is_err());
    release.send(()).unwrap();
    timeout(LIMIT, start).await.unwrap().unwrap().unwrap();
    assert!(machine.watch.running().is_ok());
    holder.await.unwrap();
}

/// Every boot asks anew for what is pending, so what one that failed was to do is not done by another.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_failed_leaves_no_variables_to_be_made_anew() {
    let (machine, _told, _file) = stopped().await;
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    machine.watch.track().renew_variables = true;
    machine.start(&BootPlan::OwnOrder).await.unwrap_err();
    assert!(!machine.watch.track().renew_variables);
    machine.watch.track().renew_variables = true;
    let keys = bmc_core::firmware::KeyReset::Default;
    let refused =
        machine.set_up(&FirmwareSetup { keys: Some(keys), ..FirmwareSetup::default() }).await.unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::Unsupported, "a BIOS has none");
    assert!(!machine.watch.track().renew_variables);
}
