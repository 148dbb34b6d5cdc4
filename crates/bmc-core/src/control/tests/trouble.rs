//! What happens within a guest, and what is no boot although the machine comes on.

use super::*;
use crate::backend::Trouble;
use crate::watchdog::{PreTimeoutInterrupt, TimeoutAction, TimerUse};

impl Bench {
    /// The event log: sensor type and offset.
    fn logged(&self) -> Vec<(u8, u8)> {
        let snapshot = self.control.snapshot();
        let events = snapshot.sel.entries().iter().filter_map(|entry| entry.record.event());
        events.map(|event| (event.sensor_type, event.offset())).collect()
    }
}

#[test]
fn a_disk_that_fails_is_a_fault_of_its_drive() {
    let mut bench = Bench::new(ObservedPower::Running);
    let disks =
        ["vda", "vdb"].map(|name| crate::storage::Disk { name: name.to_owned(), ..Default::default() });
    bench.report(Report::Info(MachineInfo { disks: disks.to_vec(), ..info() }));
    for disk in ["vdb", "sdz"] {
        let (disk, reason) = (disk.to_owned(), "the storage behind it is full".to_owned());
        bench.report(Report::Trouble(Trouble::DiskError { disk: disk.clone(), reason: reason.clone() }));
        assert_eq!(bench.events.pop(), Some(EventKind::DiskFailed { disk, reason }));
    }
    assert_eq!(bench.logged(), [(0x0d, 1)], "one without a sensor has no entry");
    let snapshot = bench.control.snapshot();
    let event = *snapshot.sel.entries()[0].record.event().unwrap();
    let sensor = snapshot.sensors().iter().find(|sensor| sensor.number == event.sensor_number).unwrap();
    assert_eq!(sensor.name, "Disk vdb");
    bench.report(Report::Power { power: ObservedPower::Paused, cause: ChangeCause::DiskError });
    assert_eq!(bench.events, [EventKind::Paused { cause: ChangeCause::DiskError }]);
}

#[test]
fn a_panic_is_told_before_what_becomes_of_it() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.report(Report::Trouble(Trouble::Panicked));
    let cause = ChangeCause::Panic;
    bench.report(Report::Power { power: ObservedPower::Paused, cause });
    bench.report(Report::Power { power: ObservedPower::Off, cause });
    let told = [EventKind::Panicked, EventKind::Paused { cause }, EventKind::PoweredOff { cause }];
    assert_eq!(bench.events, told);
    assert_eq!(bench.control.snapshot().last_power_off, Some(cause));
    assert_eq!(bench.logged(), [(0x20, 1), (0x09, 0)], "a run-time stop, once, and the power");
}

#[test]
fn a_watchdog_device_is_a_watchdog_and_the_cause_of_its_reboot_alone() {
    let mut bench = Bench::new(ObservedPower::Running);
    let (action, interrupt) = (TimeoutAction::HardReset, PreTimeoutInterrupt::None);
    bench.report(Report::Trouble(Trouble::Watchdog { action, interrupt }));
    let expired = EventKind::WatchdogExpired { timer_use: TimerUse::SmsOs, interrupt, action, log: true };
    assert_eq!(bench.events, [expired]);
    assert_eq!(bench.logged(), [(0x23, 1)]);
    bench.report(Report::Rebooted);
    assert_eq!(bench.control.snapshot().restart_cause, RestartCause::Watchdog);
    bench.report(Report::Rebooted);
    assert_eq!(bench.control.snapshot().restart_cause, RestartCause::SoftReset);
    // A reset of ours that comes first takes the place of the device's.
    bench.report(Report::Trouble(Trouble::Watchdog { action, interrupt }));
    bench.power(PowerAction::Reset);
    bench.finish(Ok(()));
    bench.report(Report::Rebooted);
    assert_eq!(bench.control.snapshot().restart_cause, RestartCause::SoftReset);
}

/// A reset for the sake of the override would throw away the memory that was saved.
#[test]
fn what_goes_on_from_a_saved_state_is_left_to_run_and_the_override_waits() {
    for cause in [ChangeCause::Saved, ChangeCause::Migrated] {
        let mut bench = Bench::new(ObservedPower::Running);
        bench.boot(BootTarget::Pxe, BootEnabled::Once);
        bench.report(Report::Rebooted);
        bench.finish(Ok(()));
        bench.boot(BootTarget::Pxe, BootEnabled::Once);
        let restart = bench.control.record().power.clone();
        bench.now.timestamp += Duration::from_secs(3_600);
        bench.report(Report::Power { power: ObservedPower::Off, cause });
        bench.report(Report::Power { power: ObservedPower::Running, cause });
        assert_eq!(bench.ops(), [], "{cause:?}");
        assert_eq!(bench.state(), PowerState::On);
        assert_eq!(bench.control.snapshot().boot.enabled, BootEnabled::Once);
        let since = &bench.control.record().power;
        assert_eq!((since.restart, since.restarted_at), (restart.restart, restart.restarted_at));
        // A boot is one, whoever brings it about.
        bench.report(Report::Rebooted);
        assert!(matches!(bench.ops()[..], [Op::Reset(_)]), "{:?}", bench.ops());
    }
}
