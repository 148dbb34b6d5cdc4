//! Accounts: made, changed and ended over Redfish, on the table that IPMI shares.

use bmc_core::account::{Account, Role, USER_ID_MAX};
use bmc_core::request::Request;
use bmc_core::settings::Edit;

use super::auth::{log_in_at, with_token};
use super::*;

const ACCOUNTS: &str = "/redfish/v1/AccountService/Accounts";
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

fn eve() -> Value {
    json!({"UserName": "eve", "Password": "secret", "RoleId": "Operator"})
}

async fn post(router: &Router, body: &Value) -> Answer {
    Ask::new("POST", ACCOUNTS).json(body).send(router).await
}

async fn patch(router: &Router, uri: &str, body: Value) -> Answer {
    Ask::new("PATCH", uri).json(&body).send(router).await
}

async fn made(router: &Router, body: &Value) -> String {
    let answer = post(router, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.json());
    answer.header("location").to_owned()
}

async fn as_user(router: &Router, method: &str, path: &str, login: (&str, &str), body: Value) -> Answer {
    let ask = Ask::anonymous(method, path).header("authorization", &basic(login.0, login.1));
    ask.json(&body).send(router).await
}

fn account(lab: &Lab, id: u8) -> Account {
    lab.machine.snapshot().accounts.get(id).unwrap()
}

/// Changes the table as IPMI would.
async fn over_ipmi(lab: &Lab, id: u8, edit: fn(&mut Account)) {
    let edit = Edit::new(move |editable| {
        editable.accounts.edit(id, edit).unwrap();
        Ok(())
    });
    lab.machine.request(Request::Edit(edit)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_account_from_beginning_to_end() {
    let lab = lab().await;
    let answer = post(&lab.one, &eve()).await;
    assert_eq!(answer.status, 201);
    let uri = answer.header("location").to_owned();
    assert_eq!(uri, format!("{ACCOUNTS}/3"), "the id is IPMI's, the lowest that is free");
    let shown = answer.json();
    assert_eq!(shown["@odata.id"], uri);
    assert_eq!((&shown["UserName"], &shown["Password"]), (&json!("eve"), &Value::Null));
    assert_eq!((&shown["RoleId"], &shown["Enabled"]), (&json!("Operator"), &json!(true)));
    assert_eq!(shown["AccountTypes"], json!(["Redfish", "IPMI"]));
    assert_eq!(lab.get(&uri).await.header("etag"), answer.header("etag"));
    let kept = account(&lab, 3);
    assert!(
        kept.ipmi_messaging
            && kept.sol_payload
            && kept.role == Role::Operator
            && kept.password_size.is_none()
    );
    assert_eq!(lab.get(ACCOUNTS).await.json()["Members@odata.count"], 2);

    let body =
        json!({"UserName": "eva", "Password": "geheim", "RoleId": "ReadOnly", "AccountTypes": ["Redfish"]});
    let answer = patch(&lab.one, &uri, body).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("etag"), lab.get(&uri).await.header("etag"));
    let kept = account(&lab, 3);
    assert_eq!((&*kept.name, kept.role, kept.ipmi_messaging), ("eva", Role::User, false));
    assert_eq!(as_user(&lab.one, "GET", &uri, ("eva", "geheim"), json!({})).await.status, 200);
    as_user(&lab.one, "GET", &uri, ("eva", "secret"), json!({})).await.refused(401, &["AccessUnauthorized"]);

    assert_eq!(Ask::new("DELETE", &uri).send(&lab.one).await.status, 204);
    lab.get(&uri).await.refused(404, &["ResourceNotFound"]);
    Ask::new("DELETE", &uri).send(&lab.one).await.refused(404, &["ResourceNotFound"]);
    assert_eq!(account(&lab, 3), Account::blank(3));
    as_user(&lab.one, "GET", ACCOUNTS, ("eva", "geheim"), json!({}))
        .await
        .refused(401, &["AccessUnauthorized"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_new_account_cannot_be() {
    let lab = lab().await;
    let long = "l".repeat(65);
    let with = |name: &str, value: Value| {
        let mut body = eve();
        body[name] = value;
        body
    };
    let redfish_only = |name: &str, value: Value| {
        let mut body = with(name, value);
        body["AccountTypes"] = json!(["Redfish"]);
        body
    };
    for (body, message, property) in [
        (json!({"Password": "p", "RoleId": "Operator"}), "CreateFailedMissingReqProperties", "UserName"),
        (json!({"UserName": "u", "RoleId": "Operator"}), "CreateFailedMissingReqProperties", "Password"),
        (json!({"UserName": "u", "Password": "p"}), "CreateFailedMissingReqProperties", "RoleId"),
        (with("UserName", json!(1)), "PropertyValueTypeError", "UserName"),
        (with("UserName", Value::Null), "PropertyValueTypeError", "UserName"),
        (with("UserName", json!("")), "PropertyValueFormatError", "UserName"),
        (with("UserName", json!("a b")), "PropertyValueFormatError", "UserName"),
        (with("UserName", json!("\u{e9}ve")), "PropertyValueFormatError", "UserName"),
        (with("UserName", json!("seventeen-letters")), "StringValueTooLong", "UserName"),
        (redfish_only("UserName", json!(long)), "StringValueTooLong", "UserName"),
        (with("Password", json!(12_345_678)), "PropertyValueError", "Password"),
        (with("Password", Value::Null), "PropertyValueError", "Password"),
        (with("Password", json!("")), "PasswordIncorrectLength", "Password"),
        (with("Password", json!("twenty-one-bytes-long")), "PasswordIncorrectLength", "Password"),
        (with("Password", json!("nul\u{0}")), "PropertyValueError", "Password"),
        (redfish_only("Password", json!(long)), "PasswordIncorrectLength", "Password"),
        (with("RoleId", json!("Callback")), "PropertyValueNotInList", "RoleId"),
        (with("RoleId", json!(4)), "PropertyValueTypeError", "RoleId"),
        (with("Enabled", json!("yes")), "PropertyValueTypeError", "Enabled"),
        (with("Enabled", Value::Null), "PropertyValueTypeError", "Enabled"),
        (with("Locked", json!(true)), "PropertyValueNotInList", "Locked"),
        (with("Locked", json!("no")), "PropertyValueTypeError", "Locked"),
        (with("AccountTypes", json!("Redfish")), "PropertyValueTypeError", "AccountTypes"),
        (with("AccountTypes", json!(["Redfish", "SNMP"])), "PropertyValueNotInList", "AccountTypes/1"),
        (with("AccountTypes", json!(["Redfish", 1])), "PropertyValueTypeError", "AccountTypes/1"),
        (with("AccountTypes", json!(["IPMI"])), "PropertyValueError", "AccountTypes"),
        (with("AccountTypes", json!([])), "PropertyValueError", "AccountTypes"),
        (with("PasswordChangeRequired", json!(1)), "PropertyValueTypeError", "PasswordChangeRequired"),
        (with("StrictAccountTypes", json!(1)), "PropertyValueTypeError", "StrictAccountTypes"),
        (with("Oem", json!({})), "PropertyUnknown", "Oem"),
    ] {
        let answer = post(&lab.one, &body).await;
        answer.refused(400, &[message]);
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(text.contains(&format!("\"#/{property}\"")), "{body}: {text}");
        let password = body.get("Password").filter(|password| !password.is_null());
        let password = password.map(|password| password.to_string().trim_matches('"').to_owned());
        if let Some(password) = password.filter(|password| property == "Password" && !password.is_empty()) {
            assert!(!text.contains(&password), "{text}");
        }
    }
    assert_eq!(lab.get(ACCOUNTS).await.json()["Members@odata.count"], 1, "nothing was made");
    post(&lab.one, &with("UserName", json!("admin"))).await.refused(409, &["ResourceAlreadyExists"]);
    let many = post(&lab.one, &json!({"Enabled": 1, "Nonsense": 2})).await;
    assert_eq!(many.messages().len(), 5, "every fault is told");
}

#[tokio::test(start_paused = true)]
async fn ipmis_bounds_hold_while_the_account_may_use_it() {
    let lab = lab().await;
    let long = json!({"UserName": "a-rather-long-user-name", "Password": "a password of more than twenty bytes",
        "RoleId": "ReadOnly", "AccountTypes": ["Redfish"]});
    let uri = made(&lab.one, &long).await;
    let login = ("a-rather-long-user-name", "a password of more than twenty bytes");
    assert_eq!(as_user(&lab.one, "GET", &uri, login, json!({})).await.status, 200);
    let both = json!({"AccountTypes": ["Redfish", "IPMI"]});
    patch(&lab.one, &uri, both.clone())
        .await
        .refused(400, &["StringValueTooLong", "PasswordIncorrectLength"]);
    let mut all = both;
    (all["UserName"], all["Password"]) = (json!("short"), json!("short"));
    assert_eq!(patch(&lab.one, &uri, all).await.status, 204);
    assert!(account(&lab, 3).ipmi_messaging);
    let answer = patch(&lab.one, &uri, json!({"Password": "twenty-one-bytes-long"})).await;
    answer.refused(400, &["PasswordIncorrectLength"]);
    let resolution = answer.json()["error"]["@Message.ExtendedInfo"][0]["Resolution"].to_string();
    assert!(resolution.contains("IPMI") && resolution.contains("20"), "{resolution}");
    let mut strict = eve();
    strict["StrictAccountTypes"] = json!(true);
    let uri = made(&lab.one, &strict).await;
    assert_eq!(lab.get(&uri).await.json()["AccountTypes"], json!(["Redfish"]), "nothing is added");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_all_or_nothing_and_keeps_if_match() {
    let lab = lab().await;
    let uri = made(&lab.one, &eve()).await;
    let tag = lab.get(&uri).await.header("etag").to_owned();
    for (body, messages) in [
        (json!({"RoleId": "ReadOnly", "Enabled": 3}), vec!["PropertyValueTypeError"]),
        (json!({"Id": "4"}), vec!["PropertyNotWritable"]),
        (json!({"Links": {}}), vec!["PropertyNotWritable"]),
        (json!({"Nonsense": true}), vec!["PropertyUnknown"]),
        (json!({"UserName": ""}), vec!["PropertyValueFormatError"]),
        (json!({}), vec!["EmptyJSON"]),
        (json!({"@odata.id": uri}), vec!["NoOperation"]),
    ] {
        patch(&lab.one, &uri, body).await.refused(400, &messages);
    }
    patch(&lab.one, &uri, json!({"UserName": "admin"})).await.refused(409, &["ResourceAlreadyExists"]);
    assert_eq!(lab.get(&uri).await.header("etag"), tag, "nothing has changed");
    let conditional = |tag: &str| {
        let ask = Ask::new("PATCH", &uri).header("if-match", tag).json(&json!({"RoleId": "ReadOnly"}));
        let router = lab.one.clone();
        async move { ask.send(&router).await }
    };
    assert_eq!(conditional(&tag).await.status, 204);
    conditional(&tag).await.refused(412, &["PreconditionFailed"]);
    let stale = Ask::new("DELETE", &uri).header("if-match", &tag).send(&lab.one).await;
    stale.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_table_takes_no_more_and_a_free_place_is_taken() {
    let lab = lab().await;
    let named = |name: String| json!({"UserName": name, "Password": "p", "RoleId": "ReadOnly"});
    for id in 3..=USER_ID_MAX {
        assert_eq!(made(&lab.one, &named(format!("user-{id}"))).await, format!("{ACCOUNTS}/{id}"));
    }
    post(&lab.one, &eve()).await.refused(507, &["CreateLimitReachedForResource"]);
    assert_eq!(Ask::new("DELETE", &format!("{ACCOUNTS}/7")).send(&lab.one).await.status, 204);
    assert_eq!(made(&lab.one, &eve()).await, format!("{ACCOUNTS}/7"));
}

#[tokio::test(start_paused = true)]
async fn the_last_administrator_stays_one() {
    for root in ["one", "all"] {
        let lab = lab().await;
        let router = if root == "one" { &lab.one } else { &lab.all };
        let admin = format!("{ACCOUNTS}/2");
        Ask::new("DELETE", &admin).send(router).await.refused(409, &["ResourceCannotBeDeleted"]);
        for body in [json!({"RoleId": "Operator"}), json!({"Enabled": false})] {
            patch(router, &admin, body).await.refused(409, &["AccountNotModified"]);
        }
        made(router, &json!({"UserName": "root", "Password": "p", "RoleId": "Administrator"})).await;
        assert_eq!(Ask::new("DELETE", &admin).send(router).await.status, 204, "also one's own");
        Ask::get(&admin).send(router).await.refused(401, &["AccessUnauthorized"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ipmi_sets_is_shown() {
    let lab = lab().await;
    assert_eq!(lab.get(ACCOUNTS).await.json()["Members@odata.count"], 1, "the null user is not shown");
    over_ipmi(&lab, 5, |user| user.enabled = true).await;
    assert_eq!(lab.get(ACCOUNTS).await.json()["Members@odata.count"], 1, "nor is one without a name");
    lab.get(&format!("{ACCOUNTS}/5")).await.refused(404, &["ResourceNotFound"]);
    over_ipmi(&lab, 5, |user| user.name = "eve".to_owned()).await;
    let uri = format!("{ACCOUNTS}/5");
    let shown = lab.get(&uri).await.json();
    assert!(shown.get("RoleId").is_none(), "no access is no role: {shown}");
    assert_eq!(shown["AccountTypes"], json!([]));
    over_ipmi(&lab, 5, |user| user.role = Role::Callback).await;
    over_ipmi(&lab, 5, |user| user.ipmi_messaging = true).await;
    assert_eq!(lab.get(&uri).await.json()["AccountTypes"], json!(["IPMI"]));
    over_ipmi(&lab, 5, |user| user.role = Role::User).await;
    let shown = lab.get(&uri).await.json();
    assert_eq!((&shown["RoleId"], &shown["AccountTypes"]), (&json!("ReadOnly"), &json!(["Redfish", "IPMI"])));
}

#[tokio::test(start_paused = true)]
async fn users_see_and_change_their_own_and_nothing_else() {
    let lab = lab().await;
    let uri = made(&lab.one, &eve()).await;
    let own = |method: &'static str, path: String, body: Value| {
        let router = lab.one.clone();
        async move { as_user(&router, method, &path, ("eve", "secret"), body).await }
    };
    assert_eq!(own("GET", uri.clone(), json!({})).await.json()["UserName"], "eve");
    assert_eq!(own("GET", ACCOUNTS.to_owned(), json!({})).await.status, 200);
    for path in [format!("{ACCOUNTS}/2"), format!("{ACCOUNTS}/9")] {
        own("GET", path.clone(), json!({})).await.refused(403, &["InsufficientPrivilege"]);
        own("PATCH", path, json!({"Password": "x"})).await.refused(403, &["InsufficientPrivilege"]);
    }
    for body in [json!({"RoleId": "Administrator"}), json!({"Password": "x", "Enabled": true})] {
        own("PATCH", uri.clone(), body).await.refused(403, &["InsufficientPrivilege"]);
    }
    own("DELETE", uri.clone(), json!({})).await.refused(403, &["InsufficientPrivilege"]);
    own("POST", ACCOUNTS.to_owned(), eve()).await.refused(403, &["InsufficientPrivilege"]);
    assert_eq!(own("PATCH", uri.clone(), json!({"Password": "better"})).await.status, 204);
    assert_eq!(as_user(&lab.one, "GET", &uri, ("eve", "better"), json!({})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn sessions_end_with_the_login_they_came_from() {
    let lab = lab().await;
    let uri = made(&lab.one, &eve()).await;
    let open = async |password: &str| {
        let answer = log_in_at(&lab.one, SESSIONS, "eve", password).await;
        (answer.header("x-auth-token").to_owned(), answer.header("location").to_owned())
    };
    let alive = async |token: &str| with_token(&lab.one, "GET", SESSIONS, token).await.status == 200;

    let ((here, _), (elsewhere, location)) = (open("secret").await, open("secret").await);
    let change = Ask::anonymous("PATCH", &uri).header("x-auth-token", &here);
    assert_eq!(change.json(&json!({"Password": "better"})).send(&lab.one).await.status, 204);
    assert!(alive(&here).await, "who changes the own password goes on");
    lab.get(&location).await.refused(404, &["ResourceNotFound"]);
    assert!(!alive(&elsewhere).await);

    for (off, on) in [
        (json!({"Enabled": false}), json!({"Enabled": true})),
        (json!({"UserName": "eva"}), json!({"UserName": "eve"})),
        (json!({"Password": "x"}), json!({"Password": "better"})),
    ] {
        let (token, _) = open("better").await;
        assert!(alive(&token).await);
        assert_eq!(patch(&lab.one, &uri, off).await.status, 204);
        assert_eq!(patch(&lab.one, &uri, on).await.status, 204);
        assert!(!alive(&token).await, "ended, and not merely asleep");
    }
    let (token, location) = open("better").await;
    assert_eq!(patch(&lab.one, &uri, json!({"RoleId": "ReadOnly"})).await.status, 204);
    assert_eq!(with_token(&lab.one, "GET", &location, &token).await.json()["Roles"], json!(["ReadOnly"]));
    over_ipmi(&lab, 3, |user| user.enabled = false).await;
    lab.get(&location).await.refused(404, &["ResourceNotFound"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_must_change_the_password_can_do_that_and_nothing_else() {
    let lab = lab().await;
    let mut body = eve();
    (body["RoleId"], body["PasswordChangeRequired"]) = (json!("Administrator"), json!(true));
    let uri = made(&lab.one, &body).await;
    assert_eq!(lab.get(&uri).await.json()["PasswordChangeRequired"], true);

    let session = log_in_at(&lab.one, SESSIONS, "eve", "secret").await;
    assert_eq!(session.status, 201);
    let told = &session.json()["@Message.ExtendedInfo"][0];
    assert!(told["MessageId"].as_str().unwrap().ends_with("PasswordChangeRequired"));
    assert_eq!(told["MessageArgs"], json!([uri]));
    let token = session.header("x-auth-token").to_owned();

    let own = |method: &'static str, path: String, body: Value| {
        let (router, token) = (lab.one.clone(), token.clone());
        async move { Ask::anonymous(method, &path).header("x-auth-token", &token).json(&body).send(&router).await }
    };
    for (method, path) in [
        ("GET", lab.system()),
        ("GET", SESSIONS.to_owned()),
        ("GET", "/redfish/v1/nothing".to_owned()),
        ("GET", format!("{ACCOUNTS}/2")),
        ("PATCH", lab.system()),
        ("DELETE", uri.clone()),
        ("POST", ACCOUNTS.to_owned()),
    ] {
        let answer = own(method, path.clone(), json!({})).await;
        answer.refused(403, &["PasswordChangeRequired"]);
        assert!(String::from_utf8_lossy(&answer.bytes).contains(&uri), "{method} {path}");
    }
    as_user(&lab.one, "GET", &lab.system(), ("eve", "secret"), json!({}))
        .await
        .refused(403, &["PasswordChangeRequired"]);
    // What is open to all stays so, but not what lies behind it.
    assert_eq!(own("GET", "/redfish/v1".to_owned(), json!({})).await.status, 200);
    let all = "/redfish/v1?$expand=*($levels=6)";
    own("GET", all.to_owned(), json!({})).await.refused(403, &["PasswordChangeRequired"]);
    as_user(&lab.one, "GET", all, ("eve", "secret"), json!({}))
        .await
        .refused(403, &["PasswordChangeRequired"]);
    assert_eq!(own("GET", uri.clone(), json!({})).await.status, 200);
    for body in [json!({"PasswordChangeRequired": false}), json!({"Password": "x", "RoleId": "ReadOnly"})] {
        own("PATCH", uri.clone(), body).await.refused(403, &["PasswordChangeRequired"]);
    }
    own("PATCH", uri.clone(), json!({"Password": "secret"})).await.refused(400, &["PropertyValueError"]);
    assert_eq!(own("PATCH", uri.clone(), json!({"Password": "better"})).await.status, 204);
    assert_eq!(own("GET", lab.system(), json!({})).await.status, 200, "in the same session");
    assert_eq!(lab.get(&uri).await.json()["PasswordChangeRequired"], false);
}

#[tokio::test(start_paused = true)]
async fn the_root_over_all_machines_has_accounts_of_its_own_without_ipmis_bounds() {
    let lab = lab().await;
    let body = json!({"UserName": "a-rather-long-user-name", "Password": "a password of more than twenty bytes",
        "RoleId": "Administrator"});
    let uri = made(&lab.all, &body).await;
    assert_eq!(Ask::get(&uri).send(&lab.all).await.json()["AccountTypes"], json!(["Redfish"]));
    assert_eq!(lab.get(ACCOUNTS).await.json()["Members@odata.count"], 1, "not those of a BMC");
    let login = ("a-rather-long-user-name", "a password of more than twenty bytes");
    assert_eq!(as_user(&lab.all, "GET", "/redfish/v1/Systems", login, json!({})).await.status, 200);
    let answer = patch(&lab.all, &uri, json!({"AccountTypes": ["Redfish", "IPMI"]})).await;
    answer.refused(400, &["PropertyValueNotInList"]);
    let service = Ask::get("/redfish/v1/AccountService").send(&lab.all).await.json();
    assert_eq!(service["MaxPasswordLength"], 64);
    assert_eq!(service["SupportedAccountTypes"], json!(["Redfish"]));
    for _ in 0..bmc_core::lockout::FAILURES_MAX {
        let ask =
            Ask::anonymous("GET", "/redfish/v1/Systems").header("authorization", &basic(login.0, "guess"));
        ask.from("192.0.2.1:1000").send(&lab.all).await.refused(401, &["AccessUnauthorized"]);
    }
    assert_eq!(Ask::get(&uri).send(&lab.all).await.json()["Locked"], true);
    assert_eq!(patch(&lab.all, &uri, json!({"Locked": false})).await.status, 204);
    assert_eq!(Ask::get(&uri).send(&lab.all).await.json()["Locked"], false);
}

#[tokio::test(start_paused = true)]
async fn the_accounts_of_the_root_over_all_machines_survive_and_follow_the_configuration() {
    let store: Arc<dyn bmc_core::store::Store> = Arc::new(MemoryStore::default());
    let open = |password: &'static str| Directory::open(Arc::clone(&store), "admin", Secret::new(password));
    let directory = open("password").await.unwrap();
    let changed = directory.change(|accounts| {
        let mut next = accounts.clone();
        next.edit(2, |user| user.password = Secret::new("better")).map(|()| (next, ()))
    });
    changed.await.unwrap();
    drop(directory);
    let kept = open("password").await.unwrap().accounts().get(2).unwrap();
    assert_eq!(kept.password, Secret::new("better"), "an unchanged configuration undoes nothing");
    let kept = open("other").await.unwrap().accounts().get(2).unwrap();
    assert_eq!(kept.password, Secret::new("other"), "a changed one holds");
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_what_its_client_wants_to_know_it_by() {
    let lab = lab().await;
    let log_in = |context: Value| {
        let body = json!({"UserName": "admin", "Password": "password", "Context": context});
        Ask::anonymous("POST", SESSIONS).json(&body).send(&lab.one)
    };
    let answer = log_in(json!("pipeline 7")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["Context"]), (201, &json!("pipeline 7")));
    log_in(json!(7)).await.refused(400, &["PropertyValueTypeError"]);
    log_in(json!("c".repeat(257))).await.refused(400, &["StringValueTooLong"]);
    assert!(log_in(Value::Null).await.json().get("Context").is_none());
}

/// What was told of the accounts of a service, in words.
fn told(lab: &Lab, bmc: &str) -> Vec<String> {
    let (events, _) = lab.fleet.events().follow(0);
    let of_accounts =
        events.iter().filter(|event| event.bmc == bmc && event.kind.to_string().contains("account"));
    of_accounts.map(|event| event.kind.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_accounts_is_told_of_a_bmc_and_of_the_root_over_all() {
    let lab = lab().await;
    let eve = json!({"UserName": "eve", "Password": "secret", "RoleId": "Operator"});
    for (router, bmc, id) in [(&lab.one, "m0", 3), (&lab.all, "*", 3)] {
        let made = Ask::new("POST", "/redfish/v1/AccountService/Accounts").json(&eve).send(router).await;
        assert_eq!(made.status, 201);
        let uri = made.header("location").to_owned();
        let again = Ask::new("POST", "/redfish/v1/AccountService/Accounts").json(&eve).send(router).await;
        assert_eq!(again.status, 409);
        let change = json!({"Password": "better", "RoleId": "ReadOnly"});
        assert_eq!(Ask::new("PATCH", &uri).json(&change).send(router).await.status, 204);
        assert_eq!(Ask::new("DELETE", &uri).send(router).await.status, 204);
        let expected = [
            format!("account {id} created: eve"),
            format!("password of account {id} changed: eve"),
            format!("account {id}: eve is user and was operator"),
            format!("account {id} removed: eve"),
        ];
        assert_eq!(told(&lab, bmc), expected);
    }
    let log = format!("{}/LogServices/Events/Entries", lab.system().replace("Systems", "Managers"));
    let entries = lab.get(&log).await.json();
    let created =
        entries["Members"].as_array().unwrap().iter().find(|entry| entry["MessageArgs"] == json!(["eve"]));
    let created = created.unwrap();
    assert_eq!(created["MessageId"], "AccountSecurity.1.0.AccountCreated");
    assert!(lab.machine.snapshot().sel.entries().is_empty(), "nothing that hardware logs");
}
