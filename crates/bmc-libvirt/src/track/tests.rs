//! Sequences of events as libvirt 9 sends them, and what they report.

use super::*;
use ObservedPower::{Off, Paused, Running, Stopping};

fn tracked(power: ObservedPower) -> Track {
    Track { power: Some(power), info: Some(MachineInfo::default()), ..Track::default() }
}

/// Feeds lifecycle events, and returns the power reports.
fn feed(track: &mut Track, events: &[(u32, u32)]) -> Vec<(ObservedPower, ChangeCause)> {
    let reports = events.iter().filter_map(|&(event, detail)| track.lifecycle(event, detail).report);
    reports
        .map(|report| match report {
            Report::Power { power, cause } => (power, cause),
            other => panic!("unexpected {other:?}"),
        })
        .collect()
}

const STARTED: (u32, u32) = (c::VIR_DOMAIN_EVENT_STARTED, c::VIR_DOMAIN_EVENT_STARTED_BOOTED);
const RESUMED: (u32, u32) = (c::VIR_DOMAIN_EVENT_RESUMED, c::VIR_DOMAIN_EVENT_RESUMED_UNPAUSED);
const SUSPENDED: (u32, u32) = (c::VIR_DOMAIN_EVENT_SUSPENDED, c::VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
const SHUTDOWN_GUEST: (u32, u32) = (c::VIR_DOMAIN_EVENT_SHUTDOWN, c::VIR_DOMAIN_EVENT_SHUTDOWN_GUEST);
const SHUTDOWN_HOST: (u32, u32) = (c::VIR_DOMAIN_EVENT_SHUTDOWN, c::VIR_DOMAIN_EVENT_SHUTDOWN_HOST);
const STOPPED_SHUTDOWN: (u32, u32) = (c::VIR_DOMAIN_EVENT_STOPPED, c::VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
const STOPPED_DESTROYED: (u32, u32) = (c::VIR_DOMAIN_EVENT_STOPPED, c::VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
const STOPPED_CRASHED: (u32, u32) = (c::VIR_DOMAIN_EVENT_STOPPED, c::VIR_DOMAIN_EVENT_STOPPED_CRASHED);

#[test]
fn a_start_of_ours_is_one_report_and_remembers_its_override() {
    let mut track = tracked(Off);
    track.op = Op::Starting { generation: Some(3) };
    assert_eq!(feed(&mut track, &[RESUMED, STARTED]), [(Running, ChangeCause::Requested)]);
    assert_eq!((track.op, track.generation), (Op::None, Some(3)));
}

#[test]
fn what_others_do_is_theirs() {
    let mut track = tracked(Off);
    track.generation = Some(3);
    let all = [RESUMED, STARTED, SUSPENDED, RESUMED, SHUTDOWN_HOST, STOPPED_DESTROYED];
    let outside = |power| (power, ChangeCause::Outside);
    assert_eq!(feed(&mut track, &all), [Running, Paused, Running, Stopping, Off].map(outside));
    assert_eq!(track.generation, None, "an instance of others carries no override of ours");
}

#[test]
fn a_guest_that_powers_off_says_so() {
    let mut track = tracked(Running);
    let guest = |power| (power, ChangeCause::Guest);
    assert_eq!(feed(&mut track, &[SHUTDOWN_GUEST, STOPPED_SHUTDOWN]), [Stopping, Off].map(guest));
}

#[test]
fn a_crash_is_told_from_a_stop() {
    let mut track = tracked(Running);
    let crashed = (c::VIR_DOMAIN_EVENT_CRASHED, c::VIR_DOMAIN_EVENT_CRASHED_PANICKED);
    assert_eq!(track.lifecycle(crashed.0, crashed.1).trouble, Some(Trouble::Panicked));
    assert_eq!(track.lifecycle(crashed.0, crashed.1), Step::default(), "told once");
    assert_eq!(feed(&mut track, &[STOPPED_CRASHED]), [(Off, ChangeCause::Panic)]);
    let mut track = tracked(Running);
    assert_eq!(feed(&mut track, &[STOPPED_CRASHED]), [(Off, ChangeCause::Crash)], "the emulator itself");
}

#[test]
fn a_stop_of_ours_is_requested() {
    let mut track = tracked(Running);
    track.op = Op::Stopping;
    let requested = |power| (power, ChangeCause::Requested);
    assert_eq!(feed(&mut track, &[SHUTDOWN_HOST, STOPPED_DESTROYED]), [Stopping, Off].map(requested));
    assert_eq!(track.op, Op::None);
}

#[test]
fn a_restart_of_ours_is_not_seen() {
    let mut track = tracked(Running);
    track.op = Op::Restarting { generation: None };
    track.generation = Some(9);
    track.redefined = true;
    assert_eq!(feed(&mut track, &[SHUTDOWN_HOST, STOPPED_DESTROYED, RESUMED, STARTED]), []);
    assert_eq!((track.op, track.generation, track.redefined), (Op::None, None, false));
}

#[test]
fn a_reboot_is_one_report_however_often_the_firmware_resets() {
    let mut track = tracked(Running);
    let start = Instant::now();
    let mut rebooted = |after_ms| track.reboot(start + Duration::from_millis(after_ms)).report;
    assert_eq!(rebooted(0), Some(Report::Rebooted));
    assert_eq!(rebooted(40), None);
    assert_eq!(rebooted(80), None);
    assert_eq!(rebooted(5000), Some(Report::Rebooted));
}

#[test]
fn a_reset_of_ours_and_its_echo_are_not_reboots() {
    let mut track = tracked(Running);
    let start = Instant::now();
    track.op = Op::Resetting;
    assert_eq!(track.reboot(start).report, None);
    assert_eq!(track.op, Op::None);
    assert_eq!(track.reboot(start + Duration::from_millis(40)).report, None);
    track.op = Op::Restarting { generation: None };
    assert_eq!(track.reboot(start + Duration::from_secs(60)).report, None);
    assert_eq!(tracked(Off).reboot(start).report, None, "a machine that is off restarts nothing");
}

#[test]
fn a_watchdog_explains_what_follows() {
    let mut track = tracked(Running);
    assert!(track.watchdog(c::VIR_DOMAIN_EVENT_WATCHDOG_RESET).trouble.is_some());
    assert_eq!(feed(&mut track, &[STOPPED_SHUTDOWN]), [(Off, ChangeCause::Watchdog)]);
    let mut track = tracked(Running);
    assert!(track.watchdog(c::VIR_DOMAIN_EVENT_WATCHDOG_RESET).trouble.is_some());
    assert_eq!(track.reboot(Instant::now()).report, Some(Report::Rebooted));
    assert_eq!(
        feed(&mut track, &[STOPPED_SHUTDOWN]),
        [(Off, ChangeCause::Guest)],
        "it explains one thing only"
    );
}

#[test]
fn sleep_is_a_pause_that_waking_ends() {
    let mut track = tracked(Running);
    track.generation = Some(1);
    let asleep = (c::VIR_DOMAIN_EVENT_PMSUSPENDED, c::VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY);
    let wakeup = (c::VIR_DOMAIN_EVENT_STARTED, c::VIR_DOMAIN_EVENT_STARTED_WAKEUP);
    assert_eq!(feed(&mut track, &[asleep]), [(Paused, ChangeCause::Guest)]);
    track.op = Op::Resuming;
    assert_eq!(feed(&mut track, &[wakeup]), [(Running, ChangeCause::Requested)]);
    assert_eq!((track.op, track.generation), (Op::None, Some(1)), "the same instance still");
}

#[test]
fn a_changed_definition_is_asked_for_and_remembered_while_it_runs() {
    let defined =
        |track: &mut Track| track.lifecycle(c::VIR_DOMAIN_EVENT_DEFINED, c::VIR_DOMAIN_EVENT_DEFINED_UPDATED);
    let mut off = tracked(Off);
    assert!(defined(&mut off).refresh && !off.redefined);
    let mut on = tracked(Running);
    assert!(defined(&mut on).refresh && on.redefined);
}

#[test]
fn a_domain_that_is_not_known_yet_only_asks() {
    let mut track = Track::default();
    for (event, detail) in [STARTED, STOPPED_DESTROYED, SUSPENDED] {
        assert_eq!(track.lifecycle(event, detail), Step { refresh: true, ..Step::default() });
    }
    assert_eq!(track.events, 3);
    assert_eq!(track.reboot(Instant::now()), Step::default());
}

#[test]
fn a_transient_domain_is_looked_for_when_it_stopped() {
    let mut track = tracked(Running);
    track.transient = true;
    assert!(track.lifecycle(STOPPED_DESTROYED.0, STOPPED_DESTROYED.1).refresh);
}

#[test]
fn each_start_and_each_loss_makes_another_instance_and_a_reboot_does_not() {
    let mut track = Track::default();
    assert!(track.running().unwrap_err().contains("not known"));
    track.power = Some(Off);
    assert!(track.running().unwrap_err().contains("off"));
    track.lifecycle(c::VIR_DOMAIN_EVENT_STARTED, 0);
    let first = track.running().unwrap();
    track.reboot(Instant::now());
    track.lifecycle(c::VIR_DOMAIN_EVENT_SUSPENDED, 0);
    assert_eq!(track.running(), Ok(first));
    // A restart of ours that nobody else sees.
    track.op = Op::Restarting { generation: None };
    track.lifecycle(c::VIR_DOMAIN_EVENT_STOPPED, 0);
    track.lifecycle(c::VIR_DOMAIN_EVENT_STARTED, 0);
    let second = track.running().unwrap();
    assert_ne!((second.starts, second.losses), (first.starts, first.losses));
    let gone = BackendError::unavailable("libvirt is gone");
    assert!(track.lose(&gone));
    assert!(!track.lose(&gone), "told once");
    assert_eq!(track.running(), Err("libvirt is gone".to_owned()));
    track.power = Some(Running);
    assert_ne!(track.running(), Ok(second));
    assert_eq!(track.running().map(|back| back.starts), Ok(second.starts));
}

#[test]
fn a_kernel_that_saves_what_a_panic_left_runs_on() {
    let mut track = tracked(Running);
    let step = track.lifecycle(c::VIR_DOMAIN_EVENT_CRASHED, c::VIR_DOMAIN_EVENT_CRASHED_CRASHLOADED);
    assert_eq!(step, Step { trouble: Some(Trouble::Panicked), ..Step::default() });
    // `on_crash=restart` resets; what comes then is another kernel.
    track.reboot(Instant::now());
    let again = track.lifecycle(c::VIR_DOMAIN_EVENT_CRASHED, c::VIR_DOMAIN_EVENT_CRASHED_PANICKED);
    let paused = Report::Power { power: Paused, cause: ChangeCause::Panic };
    assert_eq!((again.trouble, again.report), (Some(Trouble::Panicked), Some(paused)));
}

#[test]
fn each_action_of_a_watchdog_device_is_told_and_explains_only_what_it_does() {
    use PreTimeoutInterrupt::{Nmi, None as Nothing};
    use TimeoutAction::{HardReset, None as Stay, PowerDown};
    for (raw, action, interrupt, paused_by) in [
        (c::VIR_DOMAIN_EVENT_WATCHDOG_NONE, Stay, Nothing, ChangeCause::Outside),
        (c::VIR_DOMAIN_EVENT_WATCHDOG_PAUSE, Stay, Nothing, ChangeCause::Watchdog),
        (c::VIR_DOMAIN_EVENT_WATCHDOG_RESET, HardReset, Nothing, ChangeCause::Watchdog),
        (c::VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF, PowerDown, Nothing, ChangeCause::Watchdog),
        (c::VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN, PowerDown, Nothing, ChangeCause::Watchdog),
        (c::VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI, Stay, Nmi, ChangeCause::Outside),
        (1000, Stay, Nothing, ChangeCause::Outside),
    ] {
        let mut track = tracked(Running);
        assert_eq!(track.watchdog(raw).trouble, Some(Trouble::Watchdog { action, interrupt }));
        assert_eq!(feed(&mut track, &[SUSPENDED]), [(Paused, paused_by)], "{raw}");
    }
    assert_eq!(tracked(Off).watchdog(0), Step::default());
}

#[test]
fn an_error_of_a_disk_is_told_once_until_the_machine_runs_on() {
    let disk = bmc_core::storage::Disk {
        name: "vda".to_owned(),
        backing: Some(Backing::Path("/pool/a".to_owned())),
        ..bmc_core::storage::Disk::default()
    };
    let mut track = tracked(Running);
    track.info = Some(MachineInfo { disks: vec![disk], ..MachineInfo::default() });
    let told = |disk: &str, reason: &str| {
        Some(Trouble::DiskError { disk: disk.to_owned(), reason: reason.to_owned() })
    };
    let full = "the storage behind it is full";
    assert_eq!(track.disk_error("/pool/a", "virtio-disk0", "enospc").trouble, told("vda", full));
    assert_eq!(track.disk_error("/pool/a", "virtio-disk0", "enospc").trouble, None);
    let other = "input/output error";
    assert_eq!(track.disk_error("", "virtio-disk1", "").trouble, told("virtio-disk1", other));
    let paused = (c::VIR_DOMAIN_EVENT_SUSPENDED, c::VIR_DOMAIN_EVENT_SUSPENDED_IOERROR);
    let powers = [(Paused, ChangeCause::DiskError), (Running, ChangeCause::Outside)];
    assert_eq!(feed(&mut track, &[paused, RESUMED]), powers);
    assert_eq!(track.disk_error("/pool/a", "virtio-disk0", "").trouble, told("vda", other));
}

#[test]
fn what_goes_on_from_a_file_or_another_host_is_no_boot() {
    let mut track = tracked(Running);
    let saved = (c::VIR_DOMAIN_EVENT_STOPPED, c::VIR_DOMAIN_EVENT_STOPPED_SAVED);
    let restored = (c::VIR_DOMAIN_EVENT_STARTED, c::VIR_DOMAIN_EVENT_STARTED_RESTORED);
    let cause = |cause| move |power| (power, cause);
    assert_eq!(feed(&mut track, &[saved, restored]), [Off, Running].map(cause(ChangeCause::Saved)));
    let away = (c::VIR_DOMAIN_EVENT_STOPPED, c::VIR_DOMAIN_EVENT_STOPPED_MIGRATED);
    let here = (c::VIR_DOMAIN_EVENT_STARTED, c::VIR_DOMAIN_EVENT_STARTED_MIGRATED);
    assert_eq!(feed(&mut track, &[away, here]), [Off, Running].map(cause(ChangeCause::Migrated)));
}

/// Between the stop and the start of a restart, a machine may be started and stopped for the sake of its variables. Nothing of it is seen,
/// whatever comes of it, and the restart goes on.
#[test]
fn a_machine_that_is_prepared_within_a_restart_is_not_seen() {
    let mut track = tracked(Running);
    let restart = Op::Restarting { generation: Some(7) };
    track.op = restart;
    let before = track.stops;
    assert_eq!(feed(&mut track, &[STOPPED_DESTROYED]), []);
    assert_eq!((track.op, track.stops), (restart, before + 1), "what it waits for before it goes on");
    let preparing = Op::Preparing { restart: Some(7) };
    track.op = preparing;
    assert_eq!(feed(&mut track, &[STARTED, SUSPENDED]), []);
    assert_eq!(track.op, preparing);
    assert_eq!(feed(&mut track, &[STOPPED_DESTROYED]), []);
    assert_eq!((track.op, preparing.outer()), (restart, restart), "also where it is given up");
    assert_eq!(feed(&mut track, &[RESUMED, STARTED]), []);
    assert_eq!((track.op, track.generation, track.power), (Op::None, Some(7), Some(Running)));

    let mut track = tracked(Off);
    track.op = Op::Preparing { restart: None };
    assert_eq!(feed(&mut track, &[STARTED, SUSPENDED, STOPPED_DESTROYED]), []);
    assert_eq!((track.op, track.power), (Op::None, Some(Off)));
}
