//! The lock-out settings, which are IPMI's LAN parameter 26 where an administrator has set it.

use std::time::Duration;

use bmc_core::account::Role;
use bmc_core::lockout::FAILURES_MAX;
use bmc_core::request::Request;
use bmc_core::settings::{BadPasswordThreshold, Edit};

use super::*;

const URI: &str = "/redfish/v1/AccountService";

async fn patch(lab: &Lab, body: Value) -> Answer {
    Ask::new("PATCH", URI).json(&body).send(&lab.one).await
}

fn bad_password(lab: &Lab) -> BadPasswordThreshold {
    lab.machine.snapshot().settings.lan.bad_password
}

#[tokio::test(start_paused = true)]
async fn the_lockout_is_ipmis_parameter_26_and_off_until_it_is_set() {
    let lab = lab().await;
    let shown = lab.get(URI).await.json();
    assert_eq!((&shown["AccountLockoutThreshold"], bad_password(&lab).threshold), (&json!(0), 0));
    assert_eq!(shown["AccountLockoutDuration"], 300);
    assert_eq!(shown["AccountLockoutCounterResetAfter"], 300);
    assert_eq!(shown["AccountLockoutCounterResetEnabled"], true);
    assert_eq!((&shown["MinPasswordLength"], &shown["MaxPasswordLength"]), (&json!(1), &json!(20)));
    assert_eq!(shown["SupportedAccountTypes"], json!(["Redfish", "IPMI"]));
    let root = Ask::get(URI).send(&lab.all).await.json();
    assert_eq!((&root["AccountLockoutThreshold"], root.get("AccountLockoutDuration")), (&json!(0), None));

    let body = json!({"AccountLockoutThreshold": 3, "AccountLockoutDuration": 60, "AccountLockoutCounterResetAfter": 30});
    let answer = patch(&lab, body).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("etag"), lab.get(URI).await.header("etag"));
    let set = BadPasswordThreshold {
        audit: false,
        threshold: 3,
        count_reset_interval: 3,
        lockout_interval: 6,
        no_time: false,
    };
    assert_eq!(bad_password(&lab), set);

    // No time at all is no lock-out, and not IPMI's zero, which is a lock without an end.
    assert_eq!(patch(&lab, json!({"AccountLockoutDuration": 0})).await.status, 204);
    assert_eq!(bad_password(&lab), BadPasswordThreshold { threshold: 0, no_time: true, ..set });
    assert_eq!(bad_password(&lab).rule(), None);
    let shown = lab.get(URI).await.json();
    assert_eq!((&shown["AccountLockoutThreshold"], &shown["AccountLockoutDuration"]), (&json!(0), &json!(0)));
    patch(&lab, json!({"AccountLockoutThreshold": 3})).await.refused(400, &["PropertyValueConflict"]);
    let body = json!({"AccountLockoutThreshold": 3, "AccountLockoutDuration": 60});
    assert_eq!(patch(&lab, body).await.status, 204);
    assert_eq!(bad_password(&lab), set);
    assert_eq!(patch(&lab, json!({"AccountLockoutThreshold": 0})).await.status, 204);
    assert_eq!(bad_password(&lab), BadPasswordThreshold { threshold: 0, ..set });
    assert_eq!(lab.get(URI).await.json()["AccountLockoutThreshold"], 0);

    let body = json!({"AccountLockoutThreshold": 3, "AccountLockoutCounterResetEnabled": false});
    assert_eq!(patch(&lab, body).await.status, 204);
    assert_eq!(
        bad_password(&lab),
        BadPasswordThreshold { count_reset_interval: 0, lockout_interval: 0, ..set },
        "until an administrator enables the account"
    );
    let shown = lab.get(URI).await.json();
    assert_eq!(shown["AccountLockoutCounterResetEnabled"], false);
    assert!(shown.get("AccountLockoutDuration").is_none());

    let ipmi = BadPasswordThreshold {
        audit: true,
        threshold: 5,
        count_reset_interval: 0,
        lockout_interval: 9,
        no_time: false,
    };
    let edit = Edit::new(move |editable| {
        editable.settings.lan.bad_password = ipmi;
        Ok(())
    });
    lab.machine.request(Request::Edit(edit)).await.unwrap();
    let shown = lab.get(URI).await.json();
    assert_eq!(
        (&shown["AccountLockoutThreshold"], &shown["AccountLockoutDuration"]),
        (&json!(5), &json!(90))
    );
    assert_eq!(patch(&lab, json!({"AccountLockoutThreshold": 6})).await.status, 204);
    assert_eq!(bad_password(&lab), BadPasswordThreshold { threshold: 6, ..ipmi }, "all else stays");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_set_is_refused_by_name() {
    let lab = lab().await;
    let before = bad_password(&lab);
    for (body, message, property) in [
        (json!({"AccountLockoutThreshold": -1}), "PropertyValueOutOfRange", "AccountLockoutThreshold"),
        (json!({"AccountLockoutThreshold": 256}), "PropertyValueOutOfRange", "AccountLockoutThreshold"),
        (json!({"AccountLockoutThreshold": null}), "PropertyValueTypeError", "AccountLockoutThreshold"),
        (json!({"AccountLockoutThreshold": "3"}), "PropertyValueTypeError", "AccountLockoutThreshold"),
        (json!({"AccountLockoutThreshold": 1.5}), "PropertyValueTypeError", "AccountLockoutThreshold"),
        (
            json!({"AccountLockoutDuration": 0, "AccountLockoutThreshold": 3}),
            "PropertyValueConflict",
            "AccountLockoutThreshold",
        ),
        (
            json!({"AccountLockoutCounterResetAfter": 0}),
            "PropertyValueOutOfRange",
            "AccountLockoutCounterResetAfter",
        ),
        (json!({"AccountLockoutDuration": 305}), "PropertyValueOutOfRange", "AccountLockoutDuration"),
        (json!({"AccountLockoutDuration": 655_360}), "PropertyValueOutOfRange", "AccountLockoutDuration"),
        (json!({"AccountLockoutDuration": null}), "PropertyValueTypeError", "AccountLockoutDuration"),
        (json!({"AccountLockoutDuration": 290}), "PropertyValueConflict", "AccountLockoutDuration"),
        (
            json!({"AccountLockoutCounterResetAfter": 310}),
            "PropertyValueConflict",
            "AccountLockoutCounterResetAfter",
        ),
        (
            json!({"AccountLockoutCounterResetAfter": -10}),
            "PropertyValueOutOfRange",
            "AccountLockoutCounterResetAfter",
        ),
        (
            json!({"AccountLockoutCounterResetEnabled": false, "AccountLockoutDuration": 60}),
            "PropertyValueConflict",
            "AccountLockoutDuration",
        ),
        (
            json!({"AccountLockoutCounterResetEnabled": 1}),
            "PropertyValueTypeError",
            "AccountLockoutCounterResetEnabled",
        ),
        (json!({"MaxPasswordLength": 30}), "PropertyNotWritable", "MaxPasswordLength"),
        (json!({"ServiceEnabled": false}), "PropertyNotWritable", "ServiceEnabled"),
        (json!({"Nonsense": 1}), "PropertyUnknown", "Nonsense"),
    ] {
        let answer = patch(&lab, body.clone()).await;
        answer.refused(400, &[message]);
        let related = &answer.json()["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"];
        assert_eq!(*related, json!([format!("#/{property}")]), "{body}");
    }
    assert_eq!(bad_password(&lab), before);
    let stale = Ask::new("PATCH", URI).header("if-match", "\"0\"");
    stale
        .json(&json!({"AccountLockoutThreshold": 3}))
        .send(&lab.one)
        .await
        .refused(412, &["PreconditionFailed"]);
    let answer = Ask::new("PATCH", URI).json(&json!({"AccountLockoutThreshold": 3})).send(&lab.all).await;
    answer.refused(400, &["PropertyNotWritable"]);
}

async fn status(lab: &Lab, password: &str) -> u16 {
    let ask = Ask::anonymous("GET", &lab.system()).header("authorization", &basic("eve", password));
    ask.send(&lab.one).await.status.as_u16()
}

async fn with_eve(rule: Value) -> (Lab, String) {
    let lab = lab().await;
    let body = json!({"UserName": "eve", "Password": "secret", "RoleId": "Operator"});
    let made = Ask::new("POST", "/redfish/v1/AccountService/Accounts").json(&body).send(&lab.one).await;
    assert_eq!(made.status, 201);
    assert_eq!(patch(&lab, rule).await.status, 204);
    (lab, made.header("location").to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_locked_account_is_shown_as_such_and_is_unlocked() {
    let rule = json!({"AccountLockoutThreshold": 2, "AccountLockoutDuration": 60, "AccountLockoutCounterResetAfter": 30});
    let (lab, eve) = with_eve(rule).await;
    assert_eq!(lab.get(&eve).await.json()["Locked"], false);
    for _ in 0..2 {
        assert_eq!(status(&lab, "wrong").await, 401);
    }
    assert_eq!(lab.get(&eve).await.json()["Locked"], true);
    assert_eq!(status(&lab, "secret").await, 401, "from everywhere, loopback too");
    let unlock = |locked: bool| Ask::new("PATCH", &eve).json(&json!({"Locked": locked})).send(&lab.one);
    assert_eq!(unlock(false).await.status, 204);
    assert_eq!(lab.get(&eve).await.json()["Locked"], false);
    assert_eq!(status(&lab, "secret").await, 200);
    unlock(true).await.refused(400, &["PropertyValueNotInList"]);

    for _ in 0..2 {
        status(&lab, "wrong").await;
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(status(&lab, "secret").await, 200, "the time is over");
}

#[tokio::test(start_paused = true)]
async fn a_lock_from_one_address_is_shown_and_lifted_too() {
    let (lab, eve) = with_eve(json!({"AccountLockoutThreshold": 200})).await;
    for _ in 0..FAILURES_MAX {
        let ask =
            Ask::anonymous("GET", "/redfish/v1/Systems").header("authorization", &basic("eve", "wrong"));
        ask.from("192.0.2.1:1000").send(&lab.one).await.refused(401, &["AccessUnauthorized"]);
    }
    assert_eq!(lab.get(&eve).await.json()["Locked"], true);
    assert_eq!(Ask::new("PATCH", &eve).json(&json!({"Locked": false})).send(&lab.one).await.status, 204);
    let ask = Ask::anonymous("GET", "/redfish/v1/Systems").header("authorization", &basic("eve", "secret"));
    assert_eq!(ask.from("192.0.2.1:1000").send(&lab.one).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn where_no_time_is_set_the_account_is_disabled() {
    let rule = json!({"AccountLockoutThreshold": 2, "AccountLockoutCounterResetEnabled": false});
    let (lab, eve) = with_eve(rule).await;
    for _ in 0..2 {
        assert_eq!(status(&lab, "wrong").await, 401);
    }
    until(&lab.machine, |snapshot| !snapshot.accounts.get(3).unwrap().enabled).await;
    let shown = lab.get(&eve).await.json();
    assert_eq!((&shown["Enabled"], &shown["Locked"]), (&json!(false), &json!(false)));
    assert_eq!(Ask::new("PATCH", &eve).json(&json!({"Enabled": true})).send(&lab.one).await.status, 204);
    assert_eq!(status(&lab, "secret").await, 200);
    assert_eq!(lab.machine.snapshot().accounts.get(3).unwrap().role, Role::Operator);
}
