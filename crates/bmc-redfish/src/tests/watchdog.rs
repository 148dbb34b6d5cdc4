//! `HostWatchdogTimer`: what Redfish sets is what IPMI reads, and the other way round.

use bmc_core::request::Request;
use bmc_core::watchdog::{PreTimeoutInterrupt, TimeoutAction, TimerUse, WatchdogRequest, WatchdogSettings};

use super::*;

async fn timer(lab: &Lab) -> Value {
    lab.get(&lab.system()).await.json()["HostWatchdogTimer"].clone()
}

async fn patch(lab: &Lab, timer: Value) -> Answer {
    lab.patch(json!({"HostWatchdogTimer": timer})).await
}

#[tokio::test(start_paused = true)]
async fn the_timer_is_one_over_both_protocols() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    let shown = timer(&lab).await;
    assert_eq!(shown["FunctionEnabled"], false);
    assert_eq!((&shown["TimeoutAction"], &shown["WarningAction"]), (&json!("None"), &json!("None")));

    let body = json!({"FunctionEnabled": true, "TimeoutAction": "PowerCycle", "WarningAction": "DiagnosticInterrupt"});
    assert_eq!(patch(&lab, body).await.status, 204);
    let kept = lab.machine.snapshot().watchdog.settings();
    assert_eq!((kept.action, kept.interrupt), (TimeoutAction::PowerCycle, PreTimeoutInterrupt::Nmi));
    assert!(kept.initial > 0, "a start would not expire at once");

    let settings = WatchdogSettings {
        timer_use: TimerUse::OsLoad,
        action: TimeoutAction::HardReset,
        initial: 100,
        ..WatchdogSettings::default()
    };
    let set = WatchdogRequest::Set { settings, keep_counting: false, clear: 0 };
    lab.machine.request(Request::Watchdog(set)).await.unwrap();
    lab.machine.request(Request::Watchdog(WatchdogRequest::Reset)).await.unwrap();
    let shown = timer(&lab).await;
    assert_eq!(
        (&shown["TimeoutAction"], &shown["Status"]["State"]),
        (&json!("ResetSystem"), &json!("Enabled"))
    );

    assert_eq!(patch(&lab, json!({"TimeoutAction": "PowerDown"})).await.status, 204);
    let kept = lab.machine.snapshot().watchdog;
    assert_eq!(kept.settings(), WatchdogSettings { action: TimeoutAction::PowerDown, ..settings });
    assert!(kept.is_counting(), "it counts on");
    lab.until_power(PowerState::Off).await;

    // What it has may be said again; what it has not is not taken and dropped.
    let body = json!({"FunctionEnabled": false, "TimeoutAction": "PowerCycle", "WarningAction": "SMI"});
    patch(&lab, body).await.refused(400, &["PropertyValueConflict", "PropertyValueConflict"]);
    assert_eq!(lab.machine.snapshot().watchdog.settings().action, TimeoutAction::PowerDown);
    let body = json!({"FunctionEnabled": false, "TimeoutAction": "PowerDown", "WarningAction": "None"});
    assert_eq!(patch(&lab, body).await.status, 204);
    assert_eq!(timer(&lab).await["FunctionEnabled"], false);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_set_is_refused_and_nothing_changes() {
    let lab = lab().await;
    for (body, message) in [
        (json!({"TimeoutAction": "Explode"}), "PropertyValueNotInList"),
        (json!({"TimeoutAction": "OEM"}), "PropertyValueNotInList"),
        (json!({"WarningAction": "SCI"}), "PropertyValueNotInList"),
        (json!({"FunctionEnabled": "yes"}), "PropertyValueTypeError"),
        (json!({"Status": {"State": "Enabled"}}), "PropertyNotWritable"),
        (json!({"Timeout": 1}), "PropertyUnknown"),
        (json!(7), "PropertyValueTypeError"),
    ] {
        patch(&lab, body).await.refused(400, &[message]);
    }
    assert!(!lab.machine.snapshot().watchdog.is_set());
    patch(&lab, json!({})).await.refused(400, &["NoOperation"]);
}
