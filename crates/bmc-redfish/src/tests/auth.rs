//! Who may: passwords, sessions, roles, lock-outs.

use std::time::Duration;

use bmc_core::account::{Account, Role};
use bmc_core::event::EventKind;
use bmc_core::lockout::FAILURES_MAX;

use super::*;

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

pub(super) async fn log_in_at(router: &Router, path: &str, user: &str, password: &str) -> Answer {
    let body = json!({"UserName": user, "Password": password});
    Ask::anonymous("POST", path).json(&body).send(router).await
}

pub(super) async fn log_in(router: &Router) -> (String, String) {
    let answer = log_in_at(router, SESSIONS, "admin", "password").await;
    assert_eq!(answer.status, 201);
    (answer.header("x-auth-token").to_owned(), answer.header("location").to_owned())
}

pub(super) async fn with_token(router: &Router, method: &str, path: &str, token: &str) -> Answer {
    Ask::anonymous(method, path).header("x-auth-token", token).send(router).await
}

/// A service for all machines of a lab, with one account of each role.
pub(super) async fn of_all_roles() -> (Lab, Router) {
    let lab = lab().await;
    let accounts = Arc::new(admin().await);
    for (id, name, role) in
        [(3, "callback", Role::Callback), (4, "user", Role::User), (5, "operator", Role::Operator)]
    {
        let added = accounts.change(|accounts| {
            let mut next = accounts.clone();
            let account = Account::new(id, name, Secret::new("secret"), role);
            next.edit(id, |entry| *entry = account).map(|()| (next, ()))
        });
        added.await.unwrap();
    }
    let scope = Scope::All { fleet: lab.fleet.clone(), accounts };
    let router = router(Arc::new(Service::new(scope, RedfishConfig::default())));
    (lab, router)
}

#[tokio::test(start_paused = true)]
async fn a_session_from_log_in_to_log_out() {
    let lab = lab().await;
    for path in
        [SESSIONS, "/redfish/v1/SessionService/Sessions/", "/redfish/v1/SessionService/Sessions/Members"]
    {
        let answer = log_in_at(&lab.one, path, "admin", "password").await;
        assert_eq!(answer.status, 201);
        let (token, location) = (answer.header("x-auth-token"), answer.header("location"));
        assert_eq!(token.len(), 48);
        assert_eq!(answer.json()["@odata.id"], location);
        assert_eq!(answer.json()["UserName"], "admin");
        assert_eq!(answer.json()["Password"], Value::Null);
        assert!(!String::from_utf8_lossy(&answer.bytes).contains(token));
        assert_eq!(with_token(&lab.one, "GET", &lab.system(), token).await.status, 200);
        assert_eq!(
            with_token(&lab.one, "GET", location, token).await.json()["Roles"],
            json!(["Administrator"])
        );
        assert_eq!(with_token(&lab.one, "GET", SESSIONS, token).await.json()["Members@odata.count"], 1);
        assert_eq!(with_token(&lab.one, "DELETE", location, token).await.status, 204);
        with_token(&lab.one, "GET", &lab.system(), token).await.refused(401, &["NoValidSession"]);
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_differ_and_those_of_another_service_open_nothing() {
    let lab = lab().await;
    let ((one, _), (other, _)) = (log_in(&lab.one).await, log_in(&lab.one).await);
    assert_ne!(one, other);
    let elsewhere = with_token(&lab.all, "GET", "/redfish/v1/Systems", &one).await;
    elsewhere.refused(401, &["NoValidSession"]);
}

#[tokio::test(start_paused = true)]
async fn an_unused_session_ends_and_a_used_one_does_not() {
    let lab = lab().await;
    let patch = json!({"SessionTimeout": 30});
    assert_eq!(Ask::new("PATCH", "/redfish/v1/SessionService").json(&patch).send(&lab.one).await.status, 204);
    let (token, location) = log_in(&lab.one).await;
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(with_token(&lab.one, "GET", &lab.system(), &token).await.status, 200, "used in time");
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    with_token(&lab.one, "GET", &lab.system(), &token).await.refused(401, &["NoValidSession"]);
    lab.get(&location).await.refused(404, &["ResourceNotFound"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_used_ends_all_the_same_where_there_is_an_absolute_timeout() {
    let lab = lab().await;
    let uri = "/redfish/v1/SessionService";
    let patch = |body: Value| Ask::new("PATCH", uri).json(&body).send(&lab.one);
    let shown = lab.get(uri).await.json();
    assert_eq!(shown["AbsoluteSessionTimeoutEnabled"], false);
    let (token, location) = log_in(&lab.one).await;
    let used = async |seconds| {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        with_token(&lab.one, "GET", &lab.system(), &token).await
    };
    assert_eq!(patch(json!({"AbsoluteSessionTimeout": 60})).await.status, 204);
    for _ in 0..4 {
        assert_eq!(used(20).await.status, 200, "it is set, and not enabled");
    }
    // It counts for sessions that are open, too, from when they were opened.
    assert_eq!(patch(json!({"AbsoluteSessionTimeout": 120})).await.status, 204);
    assert_eq!(patch(json!({"AbsoluteSessionTimeoutEnabled": true})).await.status, 204);
    assert_eq!(used(39).await.status, 200);
    used(1).await.refused(401, &["NoValidSession"]);
    lab.get(&location).await.refused(404, &["ResourceNotFound"]);
    let shown = lab.get(uri).await.json();
    assert_eq!(
        (&shown["AbsoluteSessionTimeout"], &shown["AbsoluteSessionTimeoutEnabled"]),
        (&json!(120), &json!(true))
    );
    for value in [29, 86_401, -1] {
        let refused = patch(json!({"AbsoluteSessionTimeout": value})).await;
        refused.refused(400, &["PropertyValueOutOfRange"]);
    }
    let wrong = json!({"AbsoluteSessionTimeout": "60", "AbsoluteSessionTimeoutEnabled": 1});
    patch(wrong).await.refused(400, &["PropertyValueTypeError", "PropertyValueTypeError"]);
}

#[tokio::test(start_paused = true)]
async fn the_session_timeout_has_bounds() {
    let lab = lab().await;
    let patch = |value: Value| {
        let ask = Ask::new("PATCH", "/redfish/v1/SessionService");
        ask.json(&json!({"SessionTimeout": value})).send(&lab.one)
    };
    for value in [30, 86_400] {
        assert_eq!(patch(json!(value)).await.status, 204);
        assert_eq!(lab.get("/redfish/v1/SessionService").await.json()["SessionTimeout"], value);
    }
    for value in [29, 86_401, -1] {
        patch(json!(value)).await.refused(400, &["PropertyValueOutOfRange"]);
    }
    for value in [json!("60"), json!(60.5), Value::Null] {
        patch(value).await.refused(400, &["PropertyValueTypeError"]);
    }
    let path = "/redfish/v1/SessionService";
    let read = lab.get(path).await.header("etag").to_owned();
    let patch = |value: i32| {
        Ask::new("PATCH", path)
            .header("if-match", &read)
            .json(&json!({"SessionTimeout": value}))
            .send(&lab.one)
    };
    let written = patch(40).await;
    assert_eq!(written.header("etag"), lab.get(path).await.header("etag"));
    patch(50).await.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_bounded_and_a_closed_one_makes_room() {
    let config = RedfishConfig { sessions_max: 2, ..RedfishConfig::default() };
    let lab = Lab::new(1, config).await;
    let (token, location) = log_in(&lab.one).await;
    log_in(&lab.one).await;
    log_in_at(&lab.one, SESSIONS, "admin", "password").await.refused(503, &["SessionLimitExceeded"]);
    assert_eq!(with_token(&lab.one, "DELETE", &location, &token).await.status, 204);
    log_in(&lab.one).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_ends_the_sessions_it_opened() {
    let lab = lab().await;
    let (token, _) = log_in(&lab.one).await;
    let administrator = Some(("admin".to_owned(), Secret::new("other")));
    let change = bmc_core::request::Change { administrator, ..Default::default() };
    lab.machine.request(bmc_core::request::Request::Change(Box::new(change))).await.unwrap();
    with_token(&lab.one, "GET", &lab.system(), &token).await.refused(401, &["NoValidSession"]);
    Ask::get(&lab.system()).send(&lab.one).await.refused(401, &["AccessUnauthorized"]);
    let ask = Ask::anonymous("GET", &lab.system()).header("authorization", &basic("admin", "other"));
    assert_eq!(ask.send(&lab.one).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_all_answered_alike() {
    let (lab, router) = of_all_roles().await;
    for header in [
        basic("admin", "wrong"),
        basic("nobody", "password"),
        basic("callback", "secret"),
        basic("", ""),
        "Basic %".to_owned(),
    ] {
        let answer =
            Ask::anonymous("GET", &lab.system()).header("authorization", &header).send(&router).await;
        answer.refused(401, &["AccessUnauthorized"]);
    }
    log_in_at(&router, SESSIONS, "callback", "secret").await.refused(401, &["AccessUnauthorized"]);
}

#[tokio::test(start_paused = true)]
async fn roles_may_what_dmtfs_roles_may() {
    let (lab, router) = of_all_roles().await;
    let as_user = |user: &str, method: &str, path: &str, body: Value| {
        let ask = Ask::anonymous(method, path).header("authorization", &basic(user, "secret"));
        let (ask, router) = (ask.json(&body), router.clone());
        async move { ask.send(&router).await }
    };
    let reset = format!("{}/Actions/ComputerSystem.Reset", lab.system());
    let writes = [
        ("PATCH", lab.system(), json!({"AssetTag": "x"}), true),
        ("POST", reset, json!({"ResetType": "On"}), true),
        ("PATCH", "/redfish/v1/SessionService".to_owned(), json!({"SessionTimeout": 60}), false),
    ];
    for user in ["user", "operator"] {
        assert_eq!(as_user(user, "GET", &lab.system(), json!({})).await.status, 200);
        for (method, path, body, operator_may) in writes.clone() {
            let answer = as_user(user, method, &path, body).await;
            if user == "operator" && operator_may {
                assert_eq!(answer.status, 204, "{user} {method} {path}");
            } else {
                answer.refused(403, &["InsufficientPrivilege"]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_closes_ones_own_session_and_administrators_any() {
    let (_lab, router) = of_all_roles().await;
    let open = async |user: &str, password: &str| {
        let answer = log_in_at(&router, SESSIONS, user, password).await;
        (answer.header("x-auth-token").to_owned(), answer.header("location").to_owned())
    };
    let (user, users) = open("user", "secret").await;
    let (administrator, administrators) = open("admin", "password").await;
    with_token(&router, "DELETE", &administrators, &user).await.refused(403, &["InsufficientPrivilege"]);
    assert_eq!(with_token(&router, "DELETE", &users, &user).await.status, 204);
    let (_, operators) = open("operator", "secret").await;
    assert_eq!(with_token(&router, "DELETE", &operators, &administrator).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn too_many_wrong_passwords_lock_that_user_out_from_there_and_it_is_an_event() {
    let lab = lab().await;
    let try_from = |password: &str, source: &str| {
        let ask = Ask::anonymous("GET", &lab.system())
            .header("authorization", &basic("admin", password))
            .from(source);
        let router = lab.one.clone();
        async move { ask.send(&router).await.status.as_u16() }
    };
    let (mallory, owner) = ("192.0.2.1:1000", "192.0.2.2:1000");
    let before = lab.fleet.events().next_id() - 1;
    for _ in 0..FAILURES_MAX {
        assert_eq!(try_from("guess", mallory).await, 401);
    }
    assert_eq!(try_from("password", mallory).await, 401, "locked, even with the right one");
    assert_eq!(try_from("password", owner).await, 200);
    let (user, source) = ("admin".to_owned(), "192.0.2.1".to_owned());
    let failed = EventKind::LoginFailed { user: user.clone(), source: source.clone() };
    assert_eq!(two_events(&lab, before).await, [failed, EventKind::LockedOut { user, source, log: true }]);
    let snapshot = lab.machine.snapshot();
    let logged = snapshot.sel.entries().iter().filter_map(|entry| entry.record.event());
    let logged: Vec<_> = logged.map(|event| (event.sensor_type, event.data)).collect();
    assert_eq!(logged, [(0x2a, [0xc2, 2, 0xff]), (0x2a, [0xc3, 2, 0xff])], "user 2, in the event log too");
    tokio::time::advance(bmc_core::lockout::LOCK_TIME).await;
    assert_eq!(try_from("password", mallory).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_s_name_is_not_kept_whole_in_the_log() {
    let lab = lab().await;
    let before = lab.fleet.events().next_id() - 1;
    for _ in 0..FAILURES_MAX {
        let body = json!({"UserName": "n".repeat(60_000), "Password": "guess"});
        let ask = Ask::anonymous("POST", SESSIONS).json(&body).from("192.0.2.1:1000");
        ask.send(&lab.one).await.refused(401, &["AccessUnauthorized"]);
    }
    let (user, source) = ("n".repeat(64), "192.0.2.1".to_owned());
    let failed = EventKind::LoginFailed { user: user.clone(), source: source.clone() };
    assert_eq!(two_events(&lab, before).await, [failed, EventKind::LockedOut { user, source, log: true }]);
}

#[tokio::test(start_paused = true)]
async fn made_up_names_count_as_one_user_and_lock_nobody_else_out() {
    let lab = lab().await;
    let before = lab.fleet.events().next_id() - 1;
    let system = lab.system();
    let try_as = |name: String, password: &'static str| {
        let ask = Ask::anonymous("GET", &system)
            .header("authorization", &basic(&name, password))
            .from("192.0.2.1:1000");
        let router = lab.one.clone();
        async move { ask.send(&router).await.status.as_u16() }
    };
    for n in 0..10 * FAILURES_MAX {
        assert_eq!(try_as(format!("name{n}"), "guess").await, 401);
    }
    assert_eq!(try_as("admin".to_owned(), "password").await, 200);
    let source = "192.0.2.1".to_owned();
    let failed = EventKind::LoginFailed { user: "name0".to_owned(), source: source.clone() };
    let locked = EventKind::LockedOut { user: "name9".to_owned(), source, log: true };
    assert_eq!(two_events(&lab, before).await, [failed, locked]);
    assert_eq!(lab.machine.snapshot().sel.entries().len(), 2);
}

/// The first two events after `before`, once there are two.
async fn two_events(lab: &Lab, before: u64) -> Vec<EventKind> {
    let (mut events, mut later) = lab.fleet.events().follow(before);
    while events.len() < 2 {
        events.push(later.recv().await.unwrap());
    }
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_log_in_needs_both_names_and_never_shows_a_password() {
    let lab = lab().await;
    let post = |body: Value| Ask::anonymous("POST", SESSIONS).json(&body).send(&lab.one);
    post(json!({})).await.refused(400, &["PropertyMissing", "PropertyMissing"]);
    post(json!({"UserName": "admin"})).await.refused(400, &["PropertyMissing"]);
    post(json!({"UserName": "admin", "Password": "x", "Extra": 1})).await.refused(400, &["PropertyUnknown"]);
    let answer = post(json!({"UserName": "admin", "Password": [1234]})).await;
    answer.refused(400, &["PropertyValueError"]);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("1234"));
}
