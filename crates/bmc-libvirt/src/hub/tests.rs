//! What a storm of events makes the connection do.

use std::time::Duration;

use bmc_core::boot::FirmwareMode;

use super::*;

const REBOOTS: u64 = 50;

/// A guest that reboots in a loop is asked about what it has become, not about each time, and leaves no task behind for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_reboots_in_a_loop_is_asked_once_it_has_ended() {
    let hub = Hub::start(
        Arc::from("test:///default"),
        Duration::from_secs(3600),
        RaidOptions::default(),
        HostFirmware::new(Vec::new()),
    );
    let (reports, mut told) = Reports::channel();
    let watch = hub.watch(MachineRef { uuid: None, name: "test".to_owned() }, reports);
    told.recv().await.unwrap();
    let uuid = loop {
        if hub.watches().bound.keys().next().is_some() {
            break watch.uuid().unwrap();
        }
        tokio::task::yield_now().await;
    };
    watch.track().info.as_mut().unwrap().firmware = FirmwareMode::Uefi;
    let metrics = Handle::current().metrics();
    let (tasks, calls) = (metrics.num_alive_tasks(), hub.caller.link().calls);
    {
        // Nothing is answered until all have come.
        let _one = watch.refreshing.lock().await;
        for _ in 0..REBOOTS {
            watch.track().info.as_mut().unwrap().firmware = FirmwareMode::Uefi;
            hub.dispatch(RawEvent::Reboot { uuid });
        }
    }
    // The answer says that the firmware is another after all.
    while watch.is_uefi() {
        tokio::task::yield_now().await;
    }
    drop(watch.refreshing.lock().await);
    assert!(hub.caller.link().calls - calls <= 3, "{}", hub.caller.link().calls - calls);
    while metrics.num_alive_tasks() > tasks + 1 {
        assert!(metrics.num_alive_tasks() < tasks + 10, "one waits for the boot to settle");
        tokio::task::yield_now().await;
    }
}
