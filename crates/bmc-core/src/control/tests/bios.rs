//! BIOS settings, Secure Boot and the boot order: pending until the machine boots, however that comes about.

use super::*;
use crate::boot::FirmwareMode;
use crate::firmware::keys::{KeyDatabase, KeyDatabases, KeyKind, KeySet};
use crate::firmware::{BootDevice, BootDeviceKind, FirmwareSetup, KeyReset, SecureBoot};
use crate::settings::bios::{BiosValue, SECURE_BOOT, Surroundings, attributes};

fn text(text: &str) -> BiosValue {
    BiosValue::Text(text.to_owned())
}

fn secure(enabled: bool) -> Option<SecureBoot> {
    Some(SecureBoot {
        enabled,
        has_platform_key: true,
        fixed: None,
        key_resets: vec![KeyReset::Default],
        databases: None,
        databases_unread: None,
    })
}

fn uefi() -> MachineInfo {
    let device = |name: &str, kind| BootDevice { name: name.to_owned(), kind };
    MachineInfo {
        firmware: FirmwareMode::Uefi,
        secure_boot: secure(false),
        boot_devices: vec![
            device("vda", BootDeviceKind::Disk),
            device("52:54:00:00:00:01", BootDeviceKind::Network),
        ],
        boot_order: vec!["vda".to_owned()],
        ..info()
    }
}

impl Bench {
    fn uefi(power: ObservedPower) -> Self {
        let mut bench = Self::new(power);
        bench.report(Report::Info(uefi()));
        bench
    }

    fn ask(&mut self, name: &'static str, value: BiosValue) {
        let attribute = attributes::find(name).unwrap();
        attribute.check(&value).unwrap();
        let info = self.control.snapshot().info;
        let edit = Edit::new(move |editable| {
            let around = Surroundings { info: info.as_deref(), policy: PowerPolicy::AlwaysOff };
            editable.settings.bios.ask(attribute, value.clone(), around);
            Ok(())
        });
        self.change(Change { edit: Some(edit), ..Change::default() }).unwrap();
    }

    fn value(&self, name: &str) -> Option<BiosValue> {
        let snapshot = self.control.snapshot();
        let current = snapshot.settings.bios.current(snapshot.bios_surroundings());
        current.into_iter().find(|(attribute, _)| attribute.name == name).map(|(_, value)| value)
    }

    fn is_pending(&self) -> bool {
        let bios = &self.control.record().settings.bios;
        bios.reset_pending() || !bios.pending.is_empty() || bios.pending_keys().is_some()
    }
}

#[test]
fn what_is_pending_comes_into_force_with_each_kind_of_boot() {
    type Boot = fn(&mut Bench);
    let boots: [(&str, ObservedPower, Boot); 5] = [
        ("power on", ObservedPower::Off, |bench| {
            bench.power(PowerAction::On);
            bench.observe(ObservedPower::Running);
            bench.finish(Ok(()));
        }),
        ("reset", ObservedPower::Running, |bench| {
            bench.power(PowerAction::Reset);
            bench.finish(Ok(()));
        }),
        ("cycle", ObservedPower::Running, |bench| {
            bench.power(PowerAction::Cycle);
            bench.observe(ObservedPower::Off);
            bench.finish(Ok(()));
            bench.observe(ObservedPower::Running);
            bench.finish(Ok(()));
        }),
        ("reboot from inside", ObservedPower::Running, |bench| bench.report(Report::Rebooted)),
        ("started by others", ObservedPower::Off, |bench| {
            bench.report(Report::Power { power: ObservedPower::Running, cause: ChangeCause::Outside });
        }),
    ];
    for (name, power, boot) in boots {
        let mut bench = Bench::new(power);
        bench.ask("NumLock", BiosValue::Flag(false));
        bench.ask("AcPowerRecovery", text("AlwaysOn"));
        assert_eq!(bench.value("NumLock"), Some(BiosValue::Flag(true)), "{name}: not before the boot");
        boot(&mut bench);
        assert_eq!(bench.value("NumLock"), Some(BiosValue::Flag(false)), "{name}");
        assert_eq!(bench.control.record().power_policy, PowerPolicy::AlwaysOn, "{name}: one truth with IPMI");
        assert!(!bench.is_pending() && bench.calls.is_empty(), "{name}");
        let applied = bench.control.record().settings.bios.applied.clone().unwrap();
        assert_eq!((applied.failed, applied.values["NumLock"].clone()), (vec![], BiosValue::Flag(false)));
    }
}

#[test]
fn a_boot_that_fails_applies_nothing_and_a_restart_of_the_daemon_forgets_nothing() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.ask("QuietBoot", BiosValue::Flag(true));
    bench.power(PowerAction::On);
    bench.finish(Err(broken()));
    assert!(bench.is_pending());
    let stored = serde_json::to_vec(bench.control.record()).unwrap();
    let mut bench = Bench::with(serde_json::from_slice(&stored).unwrap(), ObservedPower::Off);
    assert!(bench.is_pending());
    bench.power(PowerAction::On);
    bench.finish(Ok(()));
    assert_eq!(bench.value("QuietBoot"), Some(BiosValue::Flag(true)));
    let stored = serde_json::to_vec(bench.control.record()).unwrap();
    let bench = Bench::with(serde_json::from_slice(&stored).unwrap(), ObservedPower::Off);
    assert_eq!(bench.value("QuietBoot"), Some(BiosValue::Flag(true)));
}

#[test]
fn what_is_real_is_set_up_before_the_boot() {
    let setup = FirmwareSetup { secure_boot: Some(true), ..FirmwareSetup::default() };
    let mut bench = Bench::uefi(ObservedPower::Off);
    bench.ask(SECURE_BOOT, text("Enabled"));
    bench.power(PowerAction::On);
    let ops = bench.ops();
    assert_eq!(ops, [Op::SetUp(setup.clone(), Box::new(Op::Start(BootPlan::OwnOrder)))]);
    assert_eq!(bench.state(), PowerState::PoweringOn);
    bench.report(Report::Info(MachineInfo { secure_boot: secure(true), ..uefi() }));
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(bench.control.snapshot().secure_boot, Some(true));
    assert!(!bench.is_pending());

    let mut bench = Bench::uefi(ObservedPower::Running);
    bench.ask(SECURE_BOOT, text("Enabled"));
    bench.report(Report::Rebooted);
    assert_eq!(bench.ops(), [Op::SetUp(setup, Box::new(Op::Reset(BootPlan::OwnOrder)))]);
    assert!(bench.is_pending(), "the guest's own reboot does not set up firmware");
    bench.report(Report::Info(MachineInfo { secure_boot: secure(true), ..uefi() }));
    bench.finish(Ok(()));
    assert_eq!(bench.value(SECURE_BOOT), Some(text("Enabled")));
    bench.report(Report::Rebooted);
    assert!(bench.calls.is_empty());
}

#[test]
fn a_firmware_that_refuses_does_not_keep_the_machine_from_booting() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    bench.ask(SECURE_BOOT, text("Enabled"));
    bench.ask("NumLock", BiosValue::Flag(false));
    let on = bench.power(PowerAction::On);
    let call = bench.calls[0].0;
    bench.input(Input::NotSetUp(call, BackendError::unsupported("no such firmware")));
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&on], Ok(Outcome::Done));
    let applied = bench.control.record().settings.bios.applied.clone().unwrap();
    assert_eq!(
        (applied.failed, applied.reason.as_deref()),
        (vec![SECURE_BOOT.to_owned()], Some("no such firmware"))
    );
    assert_eq!(bench.value("NumLock"), Some(BiosValue::Flag(false)), "the others are applied");
    assert!(!bench.is_pending(), "and it is not tried for ever");
}

#[test]
fn keys_that_the_firmware_refuses_are_told_as_refused() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    let keys = Edit::new(|editable| {
        editable.settings.bios.ask_keys(KeyReset::DeleteAll);
        Ok(())
    });
    bench.change(Change { edit: Some(keys), ..Change::default() }).unwrap();
    bench.power(PowerAction::On);
    let call = bench.calls[0].0;
    bench.input(Input::NotSetUp(call, BackendError::unsupported("it has a saved state")));
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    let applied = bench.control.record().settings.bios.applied.clone().unwrap();
    assert!(applied.failed.is_empty() && applied.keys_failed);
    assert_eq!(applied.reason.as_deref(), Some("it has a saved state"));
    assert!(!bench.is_pending());
}

/// With one key in `db` for each of these numbers.
fn keys(numbers: &[u8]) -> Arc<KeySet> {
    let mut keys = KeySet::default();
    for number in numbers {
        keys.add(KeyDatabase::Db, Uuid::nil(), KeyKind::X509, vec![*number]).unwrap();
    }
    Arc::new(keys)
}

fn with_databases(now: &Arc<KeySet>) -> MachineInfo {
    let (now, defaults) = (Arc::clone(now), Some(Arc::default()));
    let databases = Some(KeyDatabases { now, defaults, others: Vec::new(), fixed: None });
    let secure_boot = secure(false).map(|secure_boot| SecureBoot { databases, ..secure_boot });
    MachineInfo { secure_boot, ..uefi() }
}

#[test]
fn a_key_that_is_taken_back_while_a_boot_brings_it_goes_with_the_next() {
    let (without, with) = (keys(&[1]), keys(&[1, 2]));
    let ask = |bench: &mut Bench, wanted: &Arc<KeySet>, now: &Arc<KeySet>| {
        let (wanted, now) = (Arc::clone(wanted), Arc::clone(now));
        let edit = Edit::new(move |editable| {
            editable.settings.bios.ask_databases(KeySet::clone(&wanted), &now);
            Ok(())
        });
        bench.change(Change { edit: Some(edit), ..Change::default() }).unwrap();
    };
    let pending = |bench: &Bench| bench.control.record().settings.bios.pending_databases().cloned();
    let mut bench = Bench::uefi(ObservedPower::Running);
    bench.report(Report::Info(with_databases(&without)));
    ask(&mut bench, &with, &without);
    bench.power(PowerAction::Reset);
    ask(&mut bench, &without, &without);
    assert_eq!(pending(&bench), None);
    bench.report(Report::Info(with_databases(&with)));
    bench.finish(Ok(()));
    assert_eq!(pending(&bench), Some(Arc::clone(&without)), "what was deleted goes");

    // A boot that fails behind what has been set up leaves nothing to set up again; and asking again takes nothing back.
    bench.report(Report::Info(with_databases(&without)));
    ask(&mut bench, &with, &without);
    bench.pass(RESTART_SETTLES);
    bench.power(PowerAction::Reset);
    bench.report(Report::Info(with_databases(&with)));
    ask(&mut bench, &with, &with);
    bench.finish(Err(BackendError::unsupported("no room")));
    assert_eq!(pending(&bench), Some(with));
    bench.report(Report::Rebooted);
    assert_eq!((bench.ops(), pending(&bench)), (vec![], None));
}

#[test]
fn a_switch_at_once_is_the_last_word_over_a_pending_mode() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    bench.ask("BootMode", text("LegacyBios"));
    let change = Change { firmware: Some(FirmwareMode::Legacy), ..Change::default() };
    bench.request(Request::Change(Box::new(change)));
    bench.report(Report::Info(info()));
    bench.finish(Ok(()));
    assert!(!bench.is_pending());
}

#[test]
fn a_reset_to_defaults_spares_what_is_the_machines() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    bench.ask("NumLock", BiosValue::Flag(false));
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    bench.ask("QuietBoot", BiosValue::Flag(true));
    bench.ask(SECURE_BOOT, text("Enabled"));
    let edit = Edit::new(|editable| {
        editable.settings.bios.ask_reset();
        Ok(())
    });
    bench.change(Change { edit: Some(edit), ..Change::default() }).unwrap();
    assert!(bench.control.record().settings.bios.reset_pending());
    bench.power(PowerAction::Reset);
    bench.finish(Ok(()));
    assert_eq!(bench.value("NumLock"), Some(BiosValue::Flag(true)));
    assert_eq!(
        bench.value("QuietBoot"),
        Some(BiosValue::Flag(false)),
        "what was pending before is taken back"
    );
    assert_eq!(bench.value("BootMode"), Some(text("Uefi")));
}

#[test]
fn asking_for_what_is_so_takes_a_wish_back() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    for (name, other, present) in [
        ("NumLock", BiosValue::Flag(false), BiosValue::Flag(true)),
        ("BootMode", text("LegacyBios"), text("Uefi")),
    ] {
        bench.ask(name, other);
        assert!(bench.is_pending());
        bench.ask(name, present);
        assert!(!bench.is_pending(), "{name}");
    }
}

#[test]
fn a_boot_order_is_the_machines_and_waits_for_a_fresh_boot() {
    let order = vec!["52:54:00:00:00:01".to_owned(), "vda".to_owned()];
    let mut bench = Bench::uefi(ObservedPower::Running);
    let change = |order: &[String]| Change { boot_order: Some(order.to_vec()), ..Change::default() };
    for (bad, why) in [
        (vec![], "at least one"),
        (vec!["vdz".to_owned()], "no boot device vdz"),
        (vec!["vda".to_owned(), "vda".to_owned()], "twice"),
    ] {
        let Err(RequestError::Invalid { field, reason }) = bench.change(change(&bad)) else {
            panic!("{why}")
        };
        assert!(field == "boot_order" && reason.contains(why), "{reason}");
    }
    let id = bench.request(Request::Change(Box::new(change(&order))));
    assert_eq!(bench.ops(), [Op::SetBootOrder(order.clone())]);
    bench.report(Report::Info(MachineInfo { boot_order: order, ..uefi() }));
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    bench.report(Report::Rebooted);
    assert_eq!(bench.finish(Ok(())), Op::Reset(BootPlan::OwnOrder), "what runs has the old order");
    bench.report(Report::Rebooted);
    assert!(bench.calls.is_empty());
}

#[test]
fn boot_devices_keep_their_numbers() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    let mut other = uefi();
    other.boot_devices.reverse();
    other.boot_devices.insert(0, BootDevice { name: "vdb".to_owned(), kind: BootDeviceKind::Disk });
    bench.report(Report::Info(other));
    let number = |name: &str| bench.control.record().settings.bios.boot_number(name);
    assert_eq!(
        (number("vda"), number("52:54:00:00:00:01"), number("vdb"), number("vdc")),
        (Some(0), Some(1), Some(2), None)
    );
}

#[test]
fn what_is_asked_for_while_a_boot_is_under_way_waits_for_the_next() {
    let mut bench = Bench::uefi(ObservedPower::Off);
    bench.ask("NumLock", BiosValue::Flag(false));
    bench.ask("QuietBoot", BiosValue::Flag(true));
    bench.power(PowerAction::On);
    bench.ask(SECURE_BOOT, text("Enabled"));
    bench.ask("NumLock", BiosValue::Flag(true));
    let keys = Edit::new(|editable| {
        editable.settings.bios.ask_keys(KeyReset::Default);
        Ok(())
    });
    bench.change(Change { edit: Some(keys), ..Change::default() }).unwrap();
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    let bios = bench.control.record().settings.bios.clone();
    assert_eq!(
        (bench.value("NumLock"), bench.value("QuietBoot"), bench.value(SECURE_BOOT)),
        (Some(BiosValue::Flag(false)), Some(BiosValue::Flag(true)), Some(text("Disabled")))
    );
    assert_eq!(bios.pending_secure_boot(), Some(true), "asked for since");
    assert_eq!(bios.pending.get("NumLock"), Some(&BiosValue::Flag(true)), "taken back since");
    assert_eq!((bios.pending.len(), bios.pending_keys()), (2, Some(KeyReset::Default)));

    bench.power(PowerAction::Reset);
    let setup =
        FirmwareSetup { secure_boot: Some(true), keys: Some(KeyReset::Default), ..FirmwareSetup::default() };
    assert_eq!(bench.ops(), [Op::SetUp(setup, Box::new(Op::Reset(BootPlan::OwnOrder)))]);
    let reset = Edit::new(|editable| {
        editable.settings.bios.ask_reset();
        Ok(())
    });
    bench.change(Change { edit: Some(reset), ..Change::default() }).unwrap();
    bench.report(Report::Info(MachineInfo { secure_boot: secure(true), ..uefi() }));
    bench.finish(Ok(()));
    let bios = bench.control.record().settings.bios.clone();
    assert!(bios.reset_pending() && bios.pending.is_empty() && bios.pending_keys().is_none());
    assert_eq!(bench.value("QuietBoot"), Some(BiosValue::Flag(true)), "not before the next boot");
    bench.pass(RESTART_SETTLES);
    bench.power(PowerAction::Reset);
    bench.finish(Ok(()));
    assert_eq!(bench.value("QuietBoot"), Some(BiosValue::Flag(false)));
    assert!(!bench.is_pending());
}

#[test]
fn a_reboot_from_inside_during_a_reset_leaves_the_reset_nothing_to_apply() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.ask("NumLock", BiosValue::Flag(false));
    bench.power(PowerAction::Reset);
    bench.report(Report::Rebooted);
    bench.finish(Ok(()));
    assert_eq!(bench.value("NumLock"), Some(BiosValue::Flag(false)));
    assert!(!bench.is_pending());
}

#[test]
fn a_newer_word_through_another_door_is_not_undone_by_what_was_pending() {
    let policy = |power_policy| Change { power_policy: Some(power_policy), ..Change::default() };
    let mut bench = Bench::uefi(ObservedPower::Off);
    bench.ask("AcPowerRecovery", text("AlwaysOn"));
    bench.change(policy(PowerPolicy::Previous)).unwrap();
    assert!(!bench.is_pending());
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(bench.control.record().power_policy, PowerPolicy::Previous);
    // The other way round the pending one is the last.
    bench.change(policy(PowerPolicy::AlwaysOff)).unwrap();
    bench.ask("AcPowerRecovery", text("AlwaysOn"));
    bench.power(PowerAction::Reset);
    // And while the boot that is to bring it about is under way.
    bench.change(policy(PowerPolicy::Previous)).unwrap();
    bench.finish(Ok(()));
    assert_eq!(bench.control.record().power_policy, PowerPolicy::Previous);
    assert!(!bench.is_pending());

    // Asking for the mode that the machine has is a word, too.
    let mode = |mode| Change { firmware: Some(mode), ..Change::default() };
    bench.ask("BootMode", text("LegacyBios"));
    bench.change(mode(FirmwareMode::Uefi)).unwrap();
    assert!(!bench.is_pending());
    bench.ask("BootMode", text("LegacyBios"));
    bench.pass(RESTART_SETTLES);
    bench.power(PowerAction::Reset);
    assert!(matches!(bench.change(mode(FirmwareMode::Uefi)), Err(RequestError::Busy { .. })));
}
