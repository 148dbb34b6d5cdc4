//! That what clients set holds for sessions at once.

use bmc_core::account::{Account, NULL_USER_ID, Role, Secret};
use bmc_core::event::EventKind;
use bmc_core::request::{Change, Request};
use bmc_core::settings::{BmcKey, Edit, Settings};
use ipmi_wire::rakp::RakpStatus;
use ipmi_wire::session::v15::AuthType;

use super::*;

/// Changes the machine's settings as a client does.
async fn set(bench: &Bench, change: impl Fn(&mut Settings) + Send + Sync + 'static) {
    let edit = Edit::new(move |editable| {
        change(editable.settings);
        Ok(())
    });
    bench.machine.request(Request::Edit(edit)).await.unwrap();
}

#[tokio::test]
async fn a_kg_that_a_client_set_holds_for_the_next_login() {
    let bench = Bench::new().await;
    let config = IpmiConfig { kg: Password::new(b"configured"), ..Default::default() };
    let mut station = station(&bench, config);
    let mut open = Wire::new(
        &bench,
        HERE,
        ConsoleConfig { bmc_key: Password::new(b"configured"), ..login("admin", PASSWORD, 17) },
    );
    open.log_in(&bench, &mut station).await.unwrap();
    let key = *b"the key of a client.";
    set(&bench, move |settings| settings.keys.kg = Some(BmcKey::new(key))).await;
    assert_eq!(open.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0, "who is in stays in");
    for (kg, wanted) in [
        (Some(&key[..]), Ok(())),
        (Some(b"configured"), Err(LoginError::WrongBmcKey)),
        (None, Err(LoginError::WrongBmcKey)),
    ] {
        let bmc_key = kg.and_then(Password::new);
        let config = ConsoleConfig { bmc_key, ..login("admin", PASSWORD, 3) };
        let got = Wire::new(&bench, HERE, config).log_in(&bench, &mut station).await;
        assert_eq!(got, wanted, "{kg:?}");
    }
    set(&bench, |settings| settings.keys.kg = Some(BmcKey::new([0; 20]))).await;
    let without = login("admin", PASSWORD, 17);
    Wire::new(&bench, HERE, without).log_in(&bench, &mut station).await.unwrap();
}

#[tokio::test]
async fn a_suite_goes_as_far_as_clients_left_it() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig { suites: suites(&[3, 8, 17]), ..Default::default() });
    set(&bench, |settings| {
        settings.lan.cipher_suite_privileges.insert(3, Role::Operator);
        settings.lan.cipher_suite_privileges.insert(8, Role::NoAccess);
    })
    .await;
    let refused = |message, status| Err(LoginError::Refused { message, status });
    for (suite, privilege, wanted) in [
        (3, PrivilegeLevel::Operator, Ok(())),
        (3, PrivilegeLevel::Administrator, refused("RAKP 1", RakpStatus::UNAUTHORIZED_ROLE)),
        (8, PrivilegeLevel::User, refused("Open Session", RakpStatus::NO_CIPHER_SUITE_MATCH)),
        (17, PrivilegeLevel::Administrator, Ok(())),
    ] {
        let config = ConsoleConfig { privilege, ..login("admin", PASSWORD, suite) };
        let got = Wire::new(&bench, HERE, config).log_in(&bench, &mut station).await;
        assert_eq!(got, wanted, "suite {suite} at {privilege}");
    }
}

/// A wrong password, from loopback. (A console that knows better gives up before it sends its guess, and that proves nothing.)
async fn guess(bench: &Bench, station: &mut Station) {
    let mut wire = Wire::new(bench, HERE, login("admin", PASSWORD, 17));
    wire.tamper = |bytes| {
        if bytes.get(PAYLOAD_TYPE) == Some(&RAKP_3) {
            *bytes.last_mut().unwrap() ^= 1;
        }
    };
    wire.log_in(bench, station).await.unwrap_err();
}

#[tokio::test]
async fn a_bad_password_threshold_locks_the_user_out_from_everywhere() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    set(&bench, |settings| {
        settings.lan.bad_password.threshold = 2;
        settings.lan.bad_password.lockout_interval = 6;
    })
    .await;
    for _ in 0..2 {
        guess(&bench, &mut station).await;
    }
    let locks = |kind: &EventKind| matches!(kind, EventKind::LockedOut { log: false, .. });
    let told = async |bench: &Bench| loop {
        let (events, mut news) = bench.fleet.events().follow(0);
        if events.iter().any(|event| locks(&event.kind)) {
            return;
        }
        news.recv().await.unwrap();
    };
    told(&bench).await;
    assert!(
        bench
            .machine
            .snapshot()
            .sel
            .entries()
            .iter()
            .all(|entry| { entry.record.event().is_none_or(|event| event.offset() != 3) }),
        "the parameter's first bit asks for no entry"
    );
    let got = Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 17)).log_in(&bench, &mut station).await;
    let locked = LoginError::Refused { message: "RAKP 1", status: RakpStatus::UNAUTHORIZED_NAME };
    assert_eq!(got, Err(locked));
    // Whoever changes the account lets the user in again.
    let administrator = Some(("admin".to_owned(), Secret::new("another")));
    let change = Change { administrator, ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    station.refresh().await;
    Wire::new(&bench, HERE, login("admin", b"another", 17)).log_in(&bench, &mut station).await.unwrap();
}

#[tokio::test]
async fn a_bad_password_threshold_without_a_time_disables_the_account() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    set(&bench, |settings| {
        settings.lan.bad_password.threshold = 1;
        settings.lan.bad_password.lockout_interval = 0;
    })
    .await;
    guess(&bench, &mut station).await;
    bench.until(|snapshot| snapshot.accounts.iter().all(|user| !user.enabled)).await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_disabled_is_locked_until_it_can() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    set(&bench, |settings| {
        settings.lan.bad_password.threshold = 1;
        settings.lan.bad_password.lockout_interval = 0;
    })
    .await;
    bench.break_store();
    guess(&bench, &mut station).await;
    // Behind this request, which fails too, the first try has failed.
    bench.machine.request(Request::Change(Box::default())).await.unwrap_err();
    tokio::task::yield_now().await;
    let got = Wire::new(&bench, HERE, login("admin", PASSWORD, 17)).log_in(&bench, &mut station).await;
    let locked = LoginError::Refused { message: "RAKP 1", status: RakpStatus::UNAUTHORIZED_NAME };
    assert_eq!(got, Err(locked));
    assert!(bench.machine.snapshot().accounts.iter().any(|user| user.enabled));
    bench.store.fail_commits(None);
    bench.until(|snapshot| snapshot.accounts.iter().all(|user| !user.enabled)).await;
    // An administrator decides anew.
    let enabled = Edit::new(|editable| {
        editable.accounts.edit(2, |user| user.enabled = true).unwrap();
        Ok(())
    });
    while station.is_busy() {
        let _ = station.next_finished().await;
    }
    bench.machine.request(Request::Edit(enabled)).await.unwrap();
    Wire::new(&bench, HERE, login("admin", PASSWORD, 17)).log_in(&bench, &mut station).await.unwrap();
}

/// The authentication type of the packets of an IPMI 1.5 session, and what Get Channel Authentication Capabilities tells of it.
async fn packets_of_ipmi15(bench: &Bench, address: &str) -> (u8, bool) {
    // Behind the RMCP header.
    const AUTH_TYPE: usize = 4;
    const PER_MESSAGE_OFF: u8 = 1 << 4;
    let config = IpmiConfig { ipmi15_auth: vec![AuthType::Md5], ..Default::default() };
    let mut station = station_at(bench, address, config);
    let login = ConsoleConfig { ipmi15: Some(AuthType::Md5), ..login("admin", PASSWORD, 17) };
    let mut wire = Wire::new(bench, ELSEWHERE, login);
    wire.log_in(bench, &mut station).await.unwrap();
    let (code, capabilities) = wire.ask(bench, &mut station, 0x06, 0x38, &[0x0e, 4]).await;
    assert_eq!(code, 0);
    (wire.last[AUTH_TYPE], capabilities[2] & PER_MESSAGE_OFF != 0)
}

#[tokio::test]
async fn messages_without_proof_are_for_loopback_alone() {
    let bench = Bench::new().await;
    set(&bench, |settings| settings.channel.per_message_authentication = false).await;
    let (none, md5) = (AuthType::None as u8, AuthType::Md5 as u8);
    assert_eq!(packets_of_ipmi15(&bench, "127.0.0.1:623").await, (none, true));
    assert_eq!(packets_of_ipmi15(&bench, "[::ffff:127.0.0.1]:623").await, (none, true));
    for address in ["192.0.2.9:623", "0.0.0.0:623", "[::]:623"] {
        assert_eq!(packets_of_ipmi15(&bench, address).await, (md5, false), "{address}");
    }
}

#[tokio::test]
async fn a_null_user_without_a_password_is_for_loopback_alone() {
    let bench = Bench::new().await;
    let with = |password: &'static str| {
        let null = Account::new(NULL_USER_ID, "", Secret::new(password), Role::User);
        let edit = Edit::new(move |editable| {
            let null = null.clone();
            editable.accounts.edit(NULL_USER_ID, |user| *user = null).unwrap();
            Ok(())
        });
        bench.machine.request(Request::Edit(edit))
    };
    const NAMED: u8 = 1 << 2;
    const NULL: u8 = 1 << 1;
    const ANONYMOUS: u8 = 1;
    for (address, password, opens, tells) in [
        ("127.0.0.1:623", "", true, NAMED | ANONYMOUS),
        ("192.0.2.9:623", "", false, NAMED),
        ("192.0.2.9:623", "secret", true, NAMED | NULL),
    ] {
        with(password).await.unwrap();
        let mut station = station_at(&bench, address, IpmiConfig::default());
        let null = ConsoleConfig { privilege: PrivilegeLevel::User, ..login("", password.as_bytes(), 17) };
        let got = Wire::new(&bench, ELSEWHERE, null).log_in(&bench, &mut station).await;
        assert_eq!(got.is_ok(), opens, "{address} {password:?}");
        let mut admin = Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 17));
        admin.log_in(&bench, &mut station).await.unwrap();
        let (_, capabilities) = admin.ask(&bench, &mut station, 0x06, 0x38, &[0x0e, 4]).await;
        assert_eq!(capabilities[2], tells, "{address} {password:?}");
    }
}
