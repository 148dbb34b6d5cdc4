//! What a reset of the controller to its defaults takes back, row by row of the table in `docs/operating.md`, "Resetting the BMC".

use super::*;
use crate::bmc::{BmcReset, Preserve};
use crate::request::{ClockChange, SelRequest};
use crate::settings::chassis::Buttons;
use crate::settings::dcmi::PowerLimit;
use crate::settings::lan::AlertDestination;
use crate::settings::media::MediaCertificate;
use crate::settings::pef::EventFilter;
use crate::settings::sensors::Enables;
use crate::settings::{BmcKey, Settings, SystemText};
use crate::snapshot::Snapshot;

/// What clients set, each with whether it still stands.
type Row = (&'static str, fn(&mut Settings), fn(&Snapshot) -> bool);

/// Reset with everything, preserved with the network, preserved with network and users: whether it is kept then.
const USERS: [bool; 3] = [false, false, true];
const NETWORK: [bool; 3] = [false, true, true];
const NEVER: [bool; 3] = [false; 3];
const ALWAYS: [bool; 3] = [true; 3];

const SETTINGS: &[([bool; 3], Row)] = &[
    (
        USERS,
        ("lock-out", |s| s.lan.bad_password.threshold = 3, |s| s.settings.lan.bad_password.threshold == 3),
    ),
    (USERS, ("K_G", |s| s.keys.kg = Some(BmcKey::new([1; 20])), |s| s.settings.keys.kg.is_some())),
    (USERS, ("lock of K_G", |s| s.keys.kg_locked = true, |s| s.settings.keys.kg_locked)),
    (
        NETWORK,
        ("address", |s| s.lan.address = Some([192, 0, 2, 1].into()), |s| s.settings.lan.address.is_some()),
    ),
    (NETWORK, ("VLAN", |s| s.lan.vlan_id = 7, |s| s.settings.lan.vlan_id == 7)),
    (
        NETWORK,
        (
            "suites",
            |s| _ = s.lan.cipher_suite_privileges.insert(3, crate::account::Role::User),
            |s| !s.settings.lan.cipher_suite_privileges.is_empty(),
        ),
    ),
    (NETWORK, ("channel", |s| s.channel.alerting = false, |s| !s.settings.channel.alerting)),
    (NETWORK, ("IPMI off", |s| s.manager.ipmi_enabled = false, |s| !s.settings.manager.ipmi_enabled)),
    (NETWORK, ("NTP", |s| s.manager.ntp_enabled = true, |s| s.settings.manager.ntp_enabled)),
    (
        NETWORK,
        (
            "host name",
            |s| s.dcmi.controller_id = Some(b"x".to_vec()),
            |s| s.settings.dcmi.controller_id.is_some(),
        ),
    ),
    (NETWORK, ("discovery", |s| s.dcmi.discovery.option_60 = true, |s| s.settings.dcmi.discovery.option_60)),
    (
        NEVER,
        ("community", |s| s.lan.community = Secret::new("x"), |s| s.settings.lan.community.expose() == "x"),
    ),
    (
        NEVER,
        (
            "destination",
            |s| _ = s.lan.destinations.insert(1, AlertDestination::default()),
            |s| !s.settings.lan.destinations.is_empty(),
        ),
    ),
    (
        NEVER,
        (
            "filter",
            |s| _ = s.pef.filters.insert(1, EventFilter([1; 20])),
            |s| !s.settings.pef.filters.is_empty(),
        ),
    ),
    (
        NEVER,
        (
            "event receiver",
            |s| s.event_receiver.address = 0x22,
            |s| s.settings.event_receiver.address == 0x22,
        ),
    ),
    (
        NEVER,
        (
            "identification",
            |s| s.manager.service_identification = "x".to_owned(),
            |s| s.settings.manager.service_identification == "x",
        ),
    ),
    (
        NEVER,
        (
            "BMC URL",
            |s| _ = s.system.texts.insert(6, SystemText::new("x")),
            |s| s.settings.system.texts.contains_key(&6),
        ),
    ),
    (NEVER, ("event logging", |s| s.system.event_logging = false, |s| !s.settings.system.event_logging)),
    (NEVER, ("SOL", |s| s.sol.enabled = false, |s| !s.settings.sol.enabled)),
    (
        NEVER,
        (
            "power limit",
            |s| s.dcmi.power_limit = Some(PowerLimit::default()),
            |s| s.settings.dcmi.power_limit.is_some(),
        ),
    ),
    (
        NEVER,
        (
            "cycle interval",
            |s| s.chassis.cycle_interval_seconds = 9,
            |s| s.settings.chassis.cycle_interval_seconds == 9,
        ),
    ),
    (
        NEVER,
        (
            "buttons",
            |s| s.chassis.disabled_buttons = Buttons { reset: true, ..Buttons::default() },
            |s| s.settings.chassis.disabled_buttons.reset,
        ),
    ),
    (
        NEVER,
        (
            "media certificate",
            |s| {
                s.media.cd.certificates.push(MediaCertificate { id: 1, pem: String::new() });
            },
            |s| !s.settings.media.cd.certificates.is_empty(),
        ),
    ),
    (
        NEVER,
        (
            "media check",
            |s| s.media.usb.verify_certificate = false,
            |s| !s.settings.media.usb.verify_certificate,
        ),
    ),
    (
        ALWAYS,
        (
            "number of media certificates",
            |s| s.media.cd.next_certificate = 5,
            |s| s.settings.media.cd.next_certificate == 5,
        ),
    ),
    (ALWAYS, ("cleared log", |s| s.manager.log_cleared = 5, |s| s.settings.manager.log_cleared == 5)),
    (ALWAYS, ("first event", |s| s.manager.events_before = 5, |s| s.settings.manager.events_before == 5)),
    (
        ALWAYS,
        ("BMC version", |s| s.firmware.bmc = Some("9".to_owned()), |s| s.settings.firmware.bmc.is_some()),
    ),
    (ALWAYS, ("BIOS version", |s| s.set_bios_version("9.9"), |s| s.settings.bios_version() == "9.9")),
    (
        ALWAYS,
        (
            "system name",
            |s| _ = s.system.texts.insert(2, SystemText::new("x")),
            |s| s.settings.system.texts.contains_key(&2),
        ),
    ),
    (ALWAYS, ("BIOS setting", |s| s.bios.ask_reset(), |s| s.settings.bios.reset_pending())),
    (ALWAYS, ("light of a drive", |s| s.storage.light("d", true), |s| s.settings.storage.is_lit("d"))),
    (ALWAYS, ("volumes made", |s| s.storage.made = 4, |s| s.settings.storage.made == 4)),
];

fn reset(bench: &mut Bench, preserve: Preserve) {
    let id = bench.request(Request::ResetBmc(BmcReset::ToDefaults(preserve)));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
}

const KINDS: [Preserve; 3] = [Preserve::Nothing, Preserve::Network, Preserve::NetworkAndUsers];

#[test]
fn each_setting_is_taken_back_or_kept_as_the_table_says() {
    for (kept, (name, set, is_set)) in SETTINGS {
        for (preserve, kept) in KINDS.into_iter().zip(kept) {
            let mut bench = Bench::new(ObservedPower::Off);
            assert!(!is_set(&bench.control.snapshot()), "{name}: at first");
            let set = *set;
            let edit = Edit::new(move |editable| {
                set(editable.settings);
                Ok(())
            });
            bench.request(Request::Edit(edit));
            assert!(is_set(&bench.control.snapshot()), "{name}: set");
            reset(&mut bench, preserve);
            assert_eq!(is_set(&bench.control.snapshot()), *kept, "{name}: {preserve:?}");
            assert_eq!(bench.control.snapshot().settings.manager.defaults, 1);
        }
    }
}

#[test]
fn accounts_clock_and_sensors_go_and_what_is_the_machines_stays() {
    for (preserve, users) in KINDS.into_iter().zip(USERS) {
        let mut bench = Bench::new(ObservedPower::Running);
        let sensor = bench.control.snapshot().sensors()[0].clone();
        let edit = Edit::new(move |editable| {
            editable.accounts.set_name(3, "guest").map_err(|_| RequestError::Conflict)?;
            let silent = Enables { scanning: false, events: false, assertions: 0, deassertions: 0 };
            editable.settings.sensors.set_enables(&sensor, silent);
            editable.identity.asset_tag = "rack 1".to_owned();
            Ok(())
        });
        let boot =
            BootOverride { target: BootTarget::Pxe, enabled: BootEnabled::Once, ..BootOverride::default() };
        let clock = ClockChange { time: Some(1_000_000), utc_offset: Some(Some(60)) };
        let change = Change {
            edit: Some(edit),
            boot: Some(boot.clone()),
            power_policy: Some(PowerPolicy::AlwaysOn),
            clock: Some(clock),
            ..Change::default()
        };
        assert_eq!(bench.change(change), Ok(Outcome::Done));
        let event = crate::sel::filter_action(PowerAction::Reset);
        bench.request(Request::Sel(SelRequest::Event { generator: 0x20, event }));
        let before = bench.control.snapshot();
        reset(&mut bench, preserve);
        let after = bench.control.snapshot();
        assert_eq!(after.accounts.get(3).unwrap().name == "guest", users, "{preserve:?}");
        let sensor = &after.sensors()[0];
        assert!(after.settings.sensors.enables(sensor).scanning, "{preserve:?}");
        assert_eq!((after.sel.state().clock_offset, after.sel.state().utc_offset), (0, None));
        assert_eq!(after.sel.entries()[..before.sel.entries().len()], before.sel.entries()[..]);
        assert_eq!((&*after.boot, after.power_policy), (&boot, PowerPolicy::AlwaysOn));
        assert_eq!(after.identity.asset_tag, "rack 1");
        assert_eq!(after.power, before.power);
    }
}
