//! What events are told as.

use std::collections::BTreeSet;

use bmc_core::account::{AccountChange, Role};
use bmc_core::boot::{BootEnabled, BootTarget};
use bmc_core::control::Limited;
use bmc_core::event::{Event, EventKind, OperationStep};
use bmc_core::power::ChangeCause;
use bmc_core::sensor::{Threshold, ThresholdEvent};
use bmc_core::settings::dcmi::ExceptionAction;
use bmc_core::watchdog::{PreTimeoutInterrupt, TimeoutAction, TimerUse};
use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::event::told::{EVENT_TYPES, RESOURCE_TYPES, registry_prefixes, tell};

fn threshold(threshold: Threshold, asserted: bool, reading: Option<u32>) -> EventKind {
    EventKind::SensorThreshold(ThresholdEvent {
        sensor: bmc_core::sensor::number::FAN_1,
        name: "Fan 1".to_owned(),
        threshold,
        asserted,
        reading,
        limit: 500,
        unit: "RPM".to_owned(),
        raw_reading: None,
        raw_limit: 5,
    })
}

/// One of each kind, with the message that it is told as; none for what is not told.
fn kinds() -> Vec<(EventKind, Option<&'static str>)> {
    let cause = ChangeCause::Requested;
    let (user, source) = ("admin".to_owned(), "192.0.2.1".to_owned());
    let reason = "broken".to_owned();
    let (timer_use, interrupt) = (TimerUse::BiosPost, PreTimeoutInterrupt::Nmi);
    let expired = |action| EventKind::WatchdogExpired { timer_use, interrupt, action, log: true };
    let limited =
        |limited| EventKind::LimitExceeded { limited, reading: 90, limit: 80, action: ExceptionAction::None };
    let step = |step| EventKind::Operation { task: 7, name: "Test".to_owned(), step };
    let resource = |key: &str| -> Option<&'static str> { Some(format!("ResourceEvent.1.4.{key}").leak()) };
    let sensor = |key: &str| -> Option<&'static str> { Some(format!("SensorEvent.1.1.{key}").leak()) };
    let account = |key: &str| -> Option<&'static str> { Some(format!("AccountSecurity.1.0.{key}").leak()) };
    let changed = |change| EventKind::AccountChanged { account: 3, user: "admin".to_owned(), change };
    let mut kinds = vec![
        (EventKind::PoweredOn { cause }, resource("ResourcePoweredOn")),
        (EventKind::PoweredOff { cause }, resource("ResourcePoweredOff")),
        (EventKind::Reset, Some("Platform.1.3.PlatformReset")),
        (EventKind::Rebooted, Some("Platform.1.3.PlatformReset")),
        (EventKind::Paused { cause: ChangeCause::Outside }, resource("ResourcePaused")),
        (EventKind::Panicked, resource("ResourceErrorsDetected")),
        (
            EventKind::DiskFailed { disk: "vda".to_owned(), reason: reason.clone() },
            resource("ResourceErrorsDetected"),
        ),
        (EventKind::Resumed, resource("ResourceStateChanged")),
        (EventKind::ShutdownRequested, resource("ResourcePoweringOff")),
        (EventKind::MainsLost, Some("Power.1.2.LineInputPowerFault")),
        (EventKind::ShutdownIgnored, resource("ResourceErrorsDetected")),
        (EventKind::Nmi, Some("Platform.1.3.PlatformReset")),
        (EventKind::PowerFault { reason: reason.clone() }, resource("ResourceErrorsDetected")),
        (
            EventKind::BootOverrideSet { target: BootTarget::Pxe, enabled: BootEnabled::Once },
            resource("PropertyValueModifiedByClient"),
        ),
        (EventKind::BootOverrideUsed { target: BootTarget::Pxe }, resource("ResourceChanged")),
        (EventKind::Booted { from: "disk".to_owned() }, resource("ResourceStateChanged")),
        (EventKind::WatchdogPreTimeout { timer_use, interrupt }, resource("ResourceErrorsDetected")),
        (expired(TimeoutAction::None), resource("ResourceErrorsDetected")),
        (expired(TimeoutAction::HardReset), Some("Platform.1.3.PlatformResetWatchdogTimer")),
        (expired(TimeoutAction::PowerDown), Some("Platform.1.3.PlatformResetWatchdogTimer")),
        (expired(TimeoutAction::PowerCycle), Some("Platform.1.3.PlatformResetWatchdogTimer")),
        (EventKind::Unavailable { reason }, resource("ResourceStatusChangedCritical")),
        (EventKind::Available, resource("ResourceStatusChangedOK")),
        (EventKind::Started, resource("ResourceStateChanged")),
        (EventKind::Stopped, resource("ResourceStateChanged")),
        (EventKind::BmcReset { cold: true }, Some("ManagerEvent.1.0.ManagerReset")),
        (limited(Limited::Power), sensor("ReadingCritical")),
        (limited(Limited::InletTemperature), sensor("ReadingCritical")),
        (
            EventKind::LoginFailed { user: user.clone(), source: source.clone() },
            Some("AccountSecurity.1.0.InvalidCredentials"),
        ),
        (
            EventKind::LockedOut { user: user.clone(), source: source.clone(), log: false },
            Some("AccountSecurity.1.0.AccountLocked"),
        ),
        (EventKind::AccountCreated { account: 3, user: user.clone() }, account("AccountCreated")),
        (EventKind::AccountRemoved { account: 3, user: user.clone() }, account("AccountRemoved")),
        (changed(AccountChange::Password), account("PasswordModified")),
        (changed(AccountChange::Enabled), account("AccountEnabled")),
        (changed(AccountChange::Disabled), account("AccountDisabled")),
        (
            changed(AccountChange::Role { from: Role::Callback, to: Role::User }),
            account("ManagerAccountRoleChanged"),
        ),
        (
            changed(AccountChange::Renamed { from: "eve".to_owned() }),
            resource("PropertyValueModifiedByClient"),
        ),
        (changed(AccountChange::Rights), resource("ResourceChanged")),
        (
            EventKind::VolumeCreated { number: 1, name: user.clone(), raid: "RAID0".to_owned() },
            resource("ResourceCreated"),
        ),
        (EventKind::VolumeDeleted { number: 1, name: user.clone() }, resource("ResourceRemoved")),
        (EventKind::VolumeInitialized { number: 1, name: user.clone() }, resource("ResourceChanged")),
        (
            EventKind::SessionOpened { user: user.clone(), source: source.clone() },
            Some("AccountSecurity.1.0.SuccessfulLogin"),
        ),
        (EventKind::SessionClosed { user, source }, None),
        (step(OperationStep::Started), Some("TaskEvent.1.0.TaskStarted")),
        (step(OperationStep::Completed), Some("TaskEvent.1.0.TaskCompletedOK")),
        (step(OperationStep::Failed), Some("TaskEvent.1.0.TaskAborted")),
        (step(OperationStep::Cancelled), Some("TaskEvent.1.0.TaskCancelled")),
        (step(OperationStep::Removed), Some("TaskEvent.1.0.TaskRemoved")),
        (
            EventKind::Test { message: "Base.1.22.Success".to_owned(), details: json!({"MessageArgs": []}) },
            Some("Base.1.22.Success"),
        ),
    ];
    for (side, above, below) in [("Upper", "Above", "Below"), ("Lower", "Below", "Above")] {
        let of = |upper, lower| if side == "Upper" { upper } else { lower };
        let grades = [
            ("Caution", of(Threshold::UpperNonCritical, Threshold::LowerNonCritical)),
            ("Critical", of(Threshold::UpperCritical, Threshold::LowerCritical)),
            ("Fatal", of(Threshold::UpperNonRecoverable, Threshold::LowerNonRecoverable)),
        ];
        for (grade, which) in grades {
            let there = sensor(&format!("Reading{above}{side}{grade}Threshold"));
            let back = match grade {
                "Caution" => sensor("SensorReadingNormalRange"),
                _ => sensor(&format!("Reading{below}{side}{grade}Threshold")),
            };
            kinds.push((threshold(which, true, Some(400)), there));
            kinds.push((threshold(which, false, Some(600)), back));
            kinds.push((threshold(which, false, None), sensor("SensorDisconnected")));
        }
    }
    kinds
}

fn event(kind: EventKind, machine: Uuid) -> Event {
    Event { id: 9, time: Timestamp::UNIX_EPOCH, bmc: "m0".to_owned(), machine, kind }
}

/// No field of a kind may have the name of one that every event has: it could be written, and not be read again.
#[test]
fn every_kind_is_read_back_as_it_was_written() {
    for (kind, _) in kinds() {
        let written = event(kind, Uuid::nil());
        let text = serde_json::to_string(&written).unwrap();
        let read: Event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read, written);
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_event_is_told_as_its_registry_says() {
    let lab = lab().await;
    let machine = lab.machine.snapshot().uuid;
    let mut origins = BTreeSet::new();
    for (kind, expected) in kinds() {
        let told = tell(&event(kind.clone(), machine));
        assert_eq!(told.as_ref().map(|told| told.message_id.as_str()), expected, "{kind:?}");
        let Some(told) = told else { continue };
        let json = told.to_json(Some("mine"));
        schemas::check(&json, false);
        assert_eq!((&json["Id"], &json["Context"]), (&json!("9"), &json!("mine")));
        let record = &json["Events"][0];
        assert_eq!(record["MessageId"], told.message_id);
        assert_eq!(record["MessageSeverity"], told.severity);
        assert!(EVENT_TYPES.contains(&told.event_type));
        assert!(!record["Message"].as_str().unwrap_or_default().contains('%'), "{record}");
        if let EventKind::Test { .. } = kind {
            continue;
        }
        let prefix = told.message_id.split('.').next().unwrap();
        assert!(registry_prefixes().contains(&prefix), "{prefix}");
        assert!(RESOURCE_TYPES.contains(&told.resource_type.unwrap()));
        origins.insert(told.origin.unwrap());
        // What happened to no machine comes from none, and is told all the same.
        let told = tell(&event(kind.clone(), Uuid::nil())).unwrap();
        assert!(told.origin.is_none() || matches!(kind, EventKind::Operation { .. }));
        schemas::check(&told.to_json(None), false);
    }
    let may_be_gone = |origin: &str| origin.contains("/Tasks/") || origin.contains("/Volumes/");
    for origin in origins.iter().filter(|origin| !may_be_gone(origin)) {
        assert_eq!(lab.get(origin).await.status, 200, "{origin}");
    }
    assert!(origins.iter().any(|origin| origin.ends_with("/Sensors/Fan1")), "{origins:?}");
}

#[tokio::test(start_paused = true)]
async fn arguments_are_what_the_registry_says_they_are() {
    let args = |kind| {
        let told = tell(&event(kind, Uuid::from_u128(1))).unwrap();
        told.record["MessageArgs"].clone()
    };
    let beyond = threshold(Threshold::LowerCritical, true, Some(400));
    assert_eq!(args(beyond), json!(["Fan 1", "400", "{rev}/min", "500"]));
    let set = EventKind::BootOverrideSet { target: BootTarget::Disk, enabled: BootEnabled::Once };
    assert_eq!(args(set), json!(["/Boot/BootSourceOverrideTarget", "Hdd"]));
    assert_eq!(args(EventKind::Started), json!(["BMC of m0", "Enabled"]));
    assert_eq!(args(EventKind::Nmi), json!(["Nmi"]));
    let change = AccountChange::Role { from: Role::Callback, to: Role::User };
    let changed = EventKind::AccountChanged { account: 3, user: "eve".to_owned(), change };
    assert_eq!(args(changed), json!(["eve", "callback", "ReadOnly"]));
}
