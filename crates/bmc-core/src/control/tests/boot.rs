//! The boot override and the firmware mode: used up once, kept until then, and never half changed.

use super::*;
use crate::boot::BootStage;
use crate::firmware::{BootDevice, BootDeviceKind};

#[test]
fn once_is_used_up_by_the_start_and_kept_when_the_start_fails() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.boot(BootTarget::Pxe, BootEnabled::Once);
    bench.power(PowerAction::On);
    let Op::Start(BootPlan::Override(boot)) = bench.finish(Err(broken())) else { panic!("no override") };
    assert_eq!(boot.target, BootTarget::Pxe);
    assert!(bench.control.snapshot().boot.is_active(), "it has not booted");
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(*bench.control.snapshot().boot, BootOverride::default());
    assert!(bench.events.contains(&EventKind::BootOverrideUsed { target: BootTarget::Pxe }));
}

#[test]
fn a_start_that_is_broken_off_before_it_came_to_boot_leaves_the_override() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.boot(BootTarget::Pxe, BootEnabled::Once);
    let set = bench.events.len();
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Starting);
    bench.finish(Ok(()));
    assert!(bench.control.snapshot().boot.is_active(), "the firmware is at its self-test");
    bench.power(PowerAction::Off);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    assert!(bench.control.snapshot().boot.is_active());
    assert_eq!(bench.events.len(), set, "it was never told to be on: nor is it told to be off");
    // The next start has it still; what the firmware hands over to uses it up, once.
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Starting);
    assert!(matches!(bench.finish(Ok(())), Op::Start(BootPlan::Override(_))));
    bench.report(Report::Booted { from: "network".to_owned() });
    assert!(!bench.control.snapshot().boot.is_active());
    bench.observe(ObservedPower::Running);
    bench.power(PowerAction::Off);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    let told: Vec<&EventKind> = bench.events[set..].iter().collect();
    assert!(
        matches!(
            told[..],
            [
                EventKind::BootOverrideUsed { target: BootTarget::Pxe },
                EventKind::Booted { .. },
                EventKind::PoweredOn { .. },
                EventKind::PoweredOff { .. }
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn an_override_set_while_the_start_is_under_way_is_for_the_next_boot() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.boot(BootTarget::Pxe, BootEnabled::Once);
    bench.power(PowerAction::On);
    bench.boot(BootTarget::Cdrom, BootEnabled::Once);
    bench.finish(Ok(()));
    let boot = bench.control.snapshot().boot;
    assert_eq!((boot.target, boot.enabled), (BootTarget::Cdrom, BootEnabled::Once));
}

#[test]
fn a_reboot_from_inside_uses_a_pending_override_and_ends_a_used_one() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.boot(BootTarget::Pxe, BootEnabled::Once);
    bench.report(Report::Rebooted);
    assert!(matches!(bench.finish(Ok(())), Op::Reset(BootPlan::Override(_))));
    assert!(!bench.control.snapshot().boot.is_active());
    bench.report(Report::Rebooted);
    assert_eq!(bench.finish(Ok(())), Op::Reset(BootPlan::OwnOrder), "the override was for once");
    bench.report(Report::Rebooted);
    assert!(bench.calls.is_empty(), "already boots its own order");
    assert!(!bench.events.contains(&EventKind::Reset), "the guest rebooted; nobody reset it");
}

#[test]
fn a_continuous_override_stays_and_needs_no_help_at_a_reboot() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.boot(BootTarget::Pxe, BootEnabled::Continuous);
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert!(bench.control.snapshot().boot.is_active());
    bench.report(Report::Rebooted);
    assert!(bench.calls.is_empty());
}

#[test]
fn a_start_behind_our_back_follows_the_override() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.boot(BootTarget::Cdrom, BootEnabled::Once);
    bench.report(Report::Power { power: ObservedPower::Running, cause: ChangeCause::Outside });
    assert!(matches!(bench.finish(Ok(())), Op::Reset(BootPlan::Override(_))));
    assert_eq!(bench.control.snapshot().restart_cause, RestartCause::PowerButton);
}

#[test]
fn the_mark_on_the_running_instance_tells_that_the_override_was_used() {
    let mut record = record();
    record.boot_generation = 5;
    let boot =
        BootOverride { target: BootTarget::Pxe, enabled: BootEnabled::Once, ..BootOverride::default() };
    record.boot = Arc::new(boot);
    for (mark, used) in [(None, false), (Some(4), false), (Some(5), true)] {
        let mut control = Control::new("m".into(), record.clone());
        let observed = Observed {
            info: info(),
            power: ObservedPower::Running,
            boot_generation: mark,
            media: Vec::new(),
        };
        let now = Now { instant: Instant::now(), timestamp: Timestamp::UNIX_EPOCH };
        control.handle(now, Input::Report(Box::new(Report::Available(observed))));
        assert_eq!(control.snapshot().boot.is_active(), !used, "mark {mark:?}");
    }
}

#[test]
fn a_firmware_switch_decides_over_the_whole_change() {
    for result in [Ok(()), Err(broken())] {
        let mut bench = Bench::new(ObservedPower::Off);
        let change = Change {
            firmware: Some(FirmwareMode::Uefi),
            asset_tag: Some("a".to_owned()),
            ..Change::default()
        };
        let id = bench.request(Request::Change(Box::new(change)));
        assert!(bench.replies.is_empty());
        bench.finish(result.clone());
        assert_eq!(bench.replies[&id].is_ok(), result.is_ok());
        assert_eq!(bench.control.record().identity.asset_tag == "a", result.is_ok());
    }
}

#[test]
fn a_firmware_switch_does_not_undo_an_override_set_meanwhile() {
    let mut bench = Bench::new(ObservedPower::Off);
    let boot = |target| Some(BootOverride { target, enabled: BootEnabled::Once, ..BootOverride::default() });
    let change = Change {
        if_revision: Some(bench.control.snapshot().revision),
        firmware: Some(FirmwareMode::Uefi),
        boot: boot(BootTarget::Pxe),
        ..Change::default()
    };
    let id = bench.request(Request::Change(Box::new(change)));
    bench.change(Change { boot: boot(BootTarget::Cdrom), ..Change::default() }).unwrap();
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&id], Err(RequestError::Conflict));
    assert_eq!(bench.control.record().boot.target, BootTarget::Cdrom);
}

#[test]
fn an_override_names_one_of_the_machines_devices_and_a_uri_only_where_it_can() {
    let mut bench = Bench::new(ObservedPower::Off);
    let device = |name: &str, kind| BootDevice { name: name.to_owned(), kind };
    let offered = MachineInfo {
        boot_targets: BootTarget::ALL.to_vec(),
        boot_devices: vec![
            device("vda", BootDeviceKind::Disk),
            device("52:54:00:aa:00:01", BootDeviceKind::Network),
        ],
        ..info()
    };
    bench.report(Report::Info(offered.clone()));
    let named = |target, device: &str| {
        let boot = BootOverride { target, enabled: BootEnabled::Once, ..BootOverride::default() };
        Change { boot: Some(BootOverride { device: Some(device.to_owned()), ..boot }), ..Change::default() }
    };
    bench.change(named(BootTarget::Pxe, "52:54:00:AA:00:01")).unwrap();
    assert_eq!(bench.control.snapshot().boot.device.as_deref(), Some("52:54:00:aa:00:01"), "as it is known");
    for (target, device) in
        [(BootTarget::Disk, "vdb"), (BootTarget::Cdrom, "vda"), (BootTarget::BiosSetup, "vda")]
    {
        let Err(RequestError::Backend(refused)) = bench.change(named(target, device)) else {
            panic!("{target:?} {device}")
        };
        assert_eq!(refused.kind, BackendErrorKind::Unsupported);
        assert_eq!(bench.control.snapshot().boot.target, BootTarget::Pxe, "the old one stays");
    }

    let uri = BootOverride {
        target: BootTarget::Http,
        enabled: BootEnabled::Once,
        http_uri: Some("http://x/".to_owned()),
        ..BootOverride::default()
    };
    let change = Change { boot: Some(uri), ..Change::default() };
    bench.change(change.clone()).unwrap();
    let reason = Some("its variables are elsewhere".to_owned());
    bench.report(Report::Info(MachineInfo { http_uri_refused: reason, ..offered }));
    let refused = bench.change(change).unwrap_err();
    assert!(refused.to_string().contains("its variables are elsewhere"), "{refused}");
}

#[test]
fn how_far_it_has_booted_is_what_the_backend_tells_and_nothing_else() {
    let stage = |bench: &Bench| bench.control.snapshot().boot_progress.map(|progress| progress.stage);
    let mut bench = Bench::new(ObservedPower::Off);
    assert_eq!(stage(&bench), Some(None), "off, it does not boot");
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(stage(&bench), None, "it runs; how far it has come nobody has said");
    bench.report(Report::Stage(BootStage::OsRunning));
    assert_eq!(stage(&bench), Some(Some(BootStage::OsRunning)));
    bench.report(Report::Rebooted);
    assert_eq!(stage(&bench), None, "what was true before the restart is so no more");
    bench.report(Report::Stage(BootStage::SelfTest));
    bench.observe(ObservedPower::Off);
    assert_eq!(stage(&bench), Some(None));
    assert!(bench.control.snapshot().boot_progress.unwrap().since.is_some());
    bench.report(Report::Stage(BootStage::OsRunning));
    assert_eq!(stage(&bench), Some(None), "a late word about a machine that is off");
    assert_eq!(stage(&Bench::new(ObservedPower::Running)), None, "it ran before the daemon came");
}
