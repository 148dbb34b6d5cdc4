//! What of a machine's life is logged.

use crate::sel::{SEL_AUDITS_MAX, SEL_ENTRIES_MAX};
use crate::sensor::{list, number};
use crate::settings::sensors::Enables;

use super::*;

/// The log's entries as (sensor type, offset, deasserted).
pub(super) fn logged(bench: &Bench) -> Vec<(u8, u8, bool)> {
    let snapshot = bench.control.snapshot();
    let events = snapshot.sel.entries().iter().filter_map(|entry| entry.record.event());
    events.map(|event| (event.sensor_type, event.offset(), event.deasserted)).collect()
}

#[test]
fn each_power_change_is_one_entry_of_the_log() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(logged(&bench), [(0x09, 0, true)]);
    bench.power(PowerAction::Reset);
    bench.finish(Ok(()));
    let reset = *bench.control.snapshot().sel.entries()[1].record.event().unwrap();
    assert_eq!((reset.sensor_type, reset.data), (0x1d, [0xc7, 0x01, 0xff]));
    bench.report(Report::Rebooted);
    let reboot = *bench.control.snapshot().sel.entries()[2].record.event().unwrap();
    assert_eq!((reboot.sensor_type, reboot.data), (0x1d, [0xc7, 0x0a, 0xff]));
    bench.power(PowerAction::Off);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    assert_eq!(logged(&bench)[3..], [(0x09, 0, false)]);
    bench.observe(ObservedPower::Running);
    bench.report(Report::Power { power: ObservedPower::Off, cause: ChangeCause::Crash });
    assert_eq!(logged(&bench)[4..], [(0x09, 0, true), (0x20, 1, false), (0x09, 0, false)]);
    bench.observe(ObservedPower::Running);
    bench.report(Report::Power { power: ObservedPower::Off, cause: ChangeCause::Guest });
    assert_eq!(logged(&bench)[7..], [(0x09, 0, true), (0x20, 3, false), (0x09, 0, false)]);
}

#[test]
fn guesses_at_passwords_have_a_share_of_the_log() {
    let mut bench = Bench::new(ObservedPower::Off);
    let failed = |user: &str| {
        Input::Note(EventKind::LoginFailed { user: user.to_owned(), source: "192.0.2.1".to_owned() })
    };
    bench.input(failed("admin"));
    bench.input(failed("nobody"));
    assert_eq!(logged(&bench), [(0x2a, 2, false), (0x2a, 2, false)]);
    let users: Vec<u8> = bench
        .control
        .snapshot()
        .sel
        .entries()
        .iter()
        .map(|entry| entry.record.event().unwrap().data[1])
        .collect();
    assert_eq!(users, [2, 0], "the administrator's id, and none");
    let (user, source) = ("nobody".to_owned(), "192.0.2.1".to_owned());
    for _ in 0..SEL_ENTRIES_MAX {
        bench.input(failed("nobody"));
        bench.input(Input::Note(EventKind::LockedOut {
            user: user.clone(),
            source: source.clone(),
            log: true,
        }));
    }
    assert_eq!(logged(&bench).len(), SEL_AUDITS_MAX);
    bench.observe(ObservedPower::Running);
    assert_eq!(logged(&bench).last(), Some(&(0x09, 0, true)), "there is room for what the machine does");
}

#[test]
fn sessions_are_logged_only_where_a_client_asked_for_it() {
    let mut bench = Bench::new(ObservedPower::Off);
    let who = || ("admin".to_owned(), "192.0.2.1".to_owned());
    let session = |bench: &mut Bench| {
        let ((user, source), before) = (who(), bench.events.len());
        bench.input(Input::Note(EventKind::SessionOpened { user, source }));
        let (user, source) = who();
        bench.input(Input::Note(EventKind::SessionClosed { user, source }));
        bench.events.len() - before
    };
    assert_eq!(session(&mut bench), 0);
    let enable = |bench: &mut Bench, assertions: u16| {
        bench.request(Request::Edit(Edit::new(move |editable| {
            let sensors = list(&editable.settings.sensors.slots);
            let audit = sensors.iter().find(|sensor| sensor.number == number::SESSION_AUDIT).unwrap();
            let sensors = &mut editable.settings.sensors;
            let enables = sensors.enables(audit);
            sensors.set_enables(audit, Enables { assertions, ..enables });
            Ok(())
        })));
    };
    enable(&mut bench, 0x000f);
    assert_eq!(session(&mut bench), 2);
    assert_eq!(logged(&bench), [(0x2a, 0, false), (0x2a, 1, false)]);
    enable(&mut bench, 0x000e);
    assert_eq!(session(&mut bench), 1);
    assert!(matches!(bench.events.last(), Some(EventKind::SessionClosed { .. })));
}

#[test]
fn a_lockout_is_an_event_and_an_entry_only_where_that_is_wanted() {
    let mut bench = Bench::new(ObservedPower::Off);
    let locked = |log| EventKind::LockedOut { user: "admin".to_owned(), source: "192.0.2.1".to_owned(), log };
    bench.input(Input::Note(locked(false)));
    assert_eq!((bench.events.as_slice(), logged(&bench)), (&[locked(false)][..], vec![]));
    bench.input(Input::Note(locked(true)));
    assert_eq!(logged(&bench), [(0x2a, 3, false)]);
    // As it was told before there was a choice.
    let old = r#"{"kind": "locked-out", "user": "admin", "source": "192.0.2.1"}"#;
    assert_eq!(serde_json::from_str::<EventKind>(old).unwrap(), locked(true));
}

#[test]
fn no_door_changes_an_account_without_a_word() {
    let mut bench = Bench::new(ObservedPower::Off);
    let edit = Edit::new(|editable| editable.accounts.set_name(3, "eve").map_err(|_| RequestError::Conflict));
    bench.request(Request::Edit(edit));
    let administrator = Some(("root".to_owned(), Secret::new("password")));
    bench.change(Change { administrator, ..Change::default() }).unwrap();
    let renamed = crate::account::AccountChange::Renamed { from: "admin".to_owned() };
    let created = EventKind::AccountCreated { account: 3, user: "eve".to_owned() };
    assert_eq!(
        bench.events,
        [created, EventKind::AccountChanged { account: 2, user: "root".to_owned(), change: renamed }]
    );
    bench.change(Change { power_policy: Some(PowerPolicy::AlwaysOn), ..Change::default() }).unwrap();
    assert_eq!((bench.events.len(), logged(&bench)), (2, vec![]));
}
