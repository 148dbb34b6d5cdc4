//! Users and the channel: made, tried, limited and removed as an administrator does it.

use super::*;
use polybmc_tests::redfish::Redfish;
use serde_json::json;

/// The row of a user in `user list`.
#[track_caller]
fn row(node: &Node<'_>, id: u8) -> String {
    let list = ok(node, "user list 1");
    let row = list.lines().find(|line| line.split_whitespace().next() == Some(&id.to_string()));
    row.unwrap_or_else(|| panic!("no user {id} in:\n{list}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn as_user(node: &Node<'_>, user: &str, password: &str, args: &str) -> Ran {
    lab::ipmitool_as(node.ipmi, user, password).args(args.split(' ')).run()
}

#[test]
fn a_user_from_name_to_removal() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let summary = ok(&node, "user summary 1");
    for (name, value) in [("Maximum IDs", "15"), ("Enabled User Count", "1"), ("Fixed Name Count", "1")] {
        assert_eq!(field(&summary, name), value, "{summary}");
    }
    assert_eq!(row(&node, 2), "2 admin true false true ADMINISTRATOR");
    ok(&node, "user set name 3 eve");
    ok(&node, "user set password 3 secret 16");
    ok(&node, "user test 3 16 secret");
    refused(&node, "user test 3 16 Secret", "password incorrect");
    refused(&node, "user test 3 20 secret", "wrong password size");
    ok(&node, "user enable 3");
    assert!(!as_user(&node, "eve", "secret", "-L USER power status").success(), "no access yet");
    ok(&node, "channel setaccess 1 3 ipmi=on privilege=3");
    assert!(row(&node, 3).ends_with("true OPERATOR"), "{}", row(&node, 3));
    let access = ok(&node, "channel getaccess 1 3");
    for (name, value) in [("User Name", "eve"), ("Privilege Level", "OPERATOR"), ("Enable Status", "enabled")]
    {
        assert_eq!(field(&access, name), value, "{access}");
    }
    assert!(as_user(&node, "eve", "secret", "-L OPERATOR power on").success());
    let high = as_user(&node, "eve", "secret", "-L ADMINISTRATOR power status");
    assert!(!high.success(), "{high}");

    ok(&node, "user priv 3 2 1");
    assert!(as_user(&node, "eve", "secret", "-L USER power status").success());
    assert!(!as_user(&node, "eve", "secret", "-L USER power off").success(), "a user only looks");
    ok(&node, "user set password 3 twenty-bytes-long-pw 20");
    ok(&node, "user test 3 20 twenty-bytes-long-pw");
    assert!(as_user(&node, "eve", "twenty-bytes-long-pw", "-L USER power status").success());
    ok(&node, "user disable 3");
    assert!(!as_user(&node, "eve", "twenty-bytes-long-pw", "-L USER power status").success());

    refused(&node, "user set name 4 admin", "Invalid data field");
    refused(&node, "user set name 1 null", "Invalid data field");
    for id in 4..=15 {
        ok(&node, &format!("user set name {id} user-{id}"));
    }
    assert!(ok(&node, "user list 1").contains("user-15"));
}

#[test]
fn redfish_knows_the_same_people() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let status = |user: &str, password: &str| {
        Redfish::with_login(&node.redfish, user, password).get("/redfish/v1/Systems").status
    };
    assert_eq!(status("eve", "secret"), 401);
    for args in [
        "user set name 3 eve",
        "user set password 3 secret",
        "channel setaccess 1 3 ipmi=on privilege=2",
        "user enable 3",
    ] {
        ok(&node, args);
    }
    assert_eq!(status("eve", "secret"), 200);
    ok(&node, "user priv 3 15 1");
    assert_eq!(status("eve", "secret"), 401, "no access is none anywhere");
}

#[test]
fn one_account_is_the_same_over_both_protocols() {
    const ACCOUNTS: &str = "/redfish/v1/AccountService/Accounts";
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let admin = Redfish::of(&node);
    let over_redfish = |password: &str| {
        Redfish::with_login(&node.redfish, "eve", password).get("/redfish/v1/Systems").status
    };
    let over_ipmi = |password: &str, level: &str| {
        as_user(&node, "eve", password, &format!("-L {level} power status")).success()
    };

    let body = json!({"UserName": "eve", "Password": "secret", "RoleId": "Operator"});
    let made = admin.post(ACCOUNTS, &body).expect(201);
    let eve = made.header("location").unwrap().to_owned();
    assert!(row(&node, 3).starts_with("3 eve") && row(&node, 3).ends_with("OPERATOR"), "{}", row(&node, 3));
    ok(&node, "user test 3 16 secret");
    assert!(over_ipmi("secret", "OPERATOR") && !over_ipmi("secret", "ADMINISTRATOR"));
    assert_eq!(over_redfish("secret"), 200);

    ok(&node, "user priv 3 4 1");
    assert_eq!(admin.read(&eve)["RoleId"], "Administrator");
    ok(&node, "user set password 3 better 16");
    assert_eq!((over_redfish("secret"), over_redfish("better")), (401, 200));
    ok(&node, "user disable 3");
    assert_eq!((admin.read(&eve)["Enabled"].as_bool(), over_redfish("better")), (Some(false), 401));
    let patch = |body: serde_json::Value| drop(admin.patch(&eve, &body).expect(204));
    patch(json!({"Enabled": true, "RoleId": "ReadOnly"}));
    assert!(over_ipmi("better", "USER") && !over_ipmi("better", "OPERATOR"));
    patch(json!({"Password": "best"}));
    assert!(over_ipmi("best", "USER") && !over_ipmi("better", "USER"));
    patch(json!({"AccountTypes": ["Redfish"]}));
    assert!(!over_ipmi("best", "USER"));
    assert_eq!(over_redfish("best"), 200);
    patch(json!({"AccountTypes": ["Redfish", "IPMI"], "PasswordChangeRequired": true}));
    assert!(!over_ipmi("best", "USER"), "IPMI cannot say that the password has to be changed");
    assert_eq!(over_redfish("best"), 403);
    let own = Redfish::with_login(&node.redfish, "eve", "best");
    own.patch(&eve, &json!({"Password": "secret"})).expect(204);
    assert!(over_ipmi("secret", "USER"));

    let rule = json!({"AccountLockoutThreshold": 2, "AccountLockoutDuration": 600, "AccountLockoutCounterResetAfter": 600});
    admin.patch("/redfish/v1/AccountService", &rule).expect(204);
    assert_eq!((over_redfish("wrong"), over_redfish("wrong")), (401, 401));
    assert!(!over_ipmi("secret", "USER"), "locked out of both");
    assert_eq!(admin.read(&eve)["Locked"], true);
    patch(json!({"Locked": false}));
    assert!(over_ipmi("secret", "USER"));

    admin.send("DELETE", &eve, None).expect(204);
    assert!(!over_ipmi("secret", "USER"));
    ok(&node, "user set name 3 bob");
    assert_eq!(admin.read(&eve)["UserName"], "bob");
}

#[test]
fn who_changes_the_own_password_does_not_wait() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let ran = run(&node, "user set password 2 another");
    assert!(ran.success() && !ran.all_output().contains("Close Session command failed"), "{ran}");
    assert!(!run(&node, "power status").success(), "the old one");
    assert!(as_user(&node, USER, "another", "power status").success());
}

#[test]
fn the_channel_and_its_access() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let info = ok(&node, "channel info 1");
    assert_eq!(info.matches("always available").count(), 2, "{info}");
    assert_eq!(field(&info, "Alerting"), "enabled", "{info}");
    // `lan set 1 alert off` of ipmitool 1.8.19 clears the bit that disables alerts.
    ok(&node, "raw 0x06 0x40 0x01 0xa2 0x00");
    assert_eq!(field(&ok(&node, "channel info 1"), "Alerting"), "disabled");
    ok(&node, "lan set 1 access on");
    // Present limit: user. It holds for new sessions.
    ok(&node, "raw 0x06 0x40 0x01 0x00 0x82");
    let high = run(&node, "power on");
    assert!(!high.success(), "{high}");
    assert!(as_user(&node, USER, PASSWORD, "-L USER power status").success());
}

#[test]
fn the_controller_is_reset_and_comes_back() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for kind in ["cold", "warm"] {
        let mark = lab.last_event();
        let said = ok(&node, &format!("mc reset {kind}"));
        assert_eq!(said, format!("Sent {kind} reset command to MC\n"));
        let event = lab.await_event(mark, "node-0", "bmc-reset");
        assert_eq!(event["cold"], kind == "cold", "{event}");
        assert_eq!(ok(&node, "mc selftest"), "Selftest: passed\n");
    }
}

#[test]
fn system_info_and_enables() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    assert_eq!(ok(&node, "mc getsysinfo system_name"), "node-0\n");
    let long = "Debian GNU/Linux 13 (trixie) with a long name";
    for what in ["system_name", "primary_os_name", "os_name", "system_fw_version"] {
        node.ipmitool().args(["mc", "setsysinfo", what, long]).ok();
        assert_eq!(ok(&node, &format!("mc getsysinfo {what}")), format!("{long}\n"), "{what}");
    }
    let enables = ok(&node, "mc getenables");
    assert_eq!(field(&enables, "System Event Logging"), "enabled", "{enables}");
    ok(&node, "raw 0x06 0x2e 0x00");
    assert_eq!(field(&ok(&node, "mc getenables"), "System Event Logging"), "disabled");
    refused(&node, "raw 0x06 0x2e 0x04", "rsp=0xcc");
    assert_eq!(ok(&node, "raw 0x06 0x07").trim(), "05 03");
}
