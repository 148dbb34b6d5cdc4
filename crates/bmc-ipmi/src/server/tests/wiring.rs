//! That sessions, accounts, lock-outs, time and the machine's owner are connected as they should be.

use bmc_core::account::Secret;
use bmc_core::event::EventKind;
use bmc_core::lockout::FAILURES_MAX;
use bmc_core::request::{Change, Request};
use ipmi_wire::rakp::RakpStatus;

use super::*;

#[tokio::test]
async fn ten_wrong_passwords_from_one_address_lock_it_out() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    for attempt in 1..=FAILURES_MAX {
        let mut wire = Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 17));
        wire.tamper = |bytes| {
            if bytes.get(PAYLOAD_TYPE) == Some(&RAKP_3) {
                *bytes.last_mut().unwrap() ^= 1;
            }
        };
        let refused = wire.log_in(&bench, &mut station).await.unwrap_err();
        let status = RakpStatus::INVALID_INTEGRITY_CHECK;
        assert_eq!(refused, LoginError::Refused { message: "RAKP 3", status }, "attempt {attempt}");
    }
    // Behind this request the owner has logged all that was told to it before.
    bench.machine.request(Request::Change(Box::default())).await.unwrap();
    let (events, _) = bench.fleet.events().follow(0);
    let locked = EventKind::LockedOut { user: "admin".to_owned(), source: "192.0.2.1".to_owned(), log: true };
    assert_eq!(events.iter().filter(|event| event.kind == locked).count(), 1);

    let mut right = Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 17));
    assert!(right.log_in(&bench, &mut station).await.is_err(), "locked, although the password is right");
    let mut owner = Wire::new(&bench, "192.0.2.2:40000", login("admin", PASSWORD, 17));
    owner.log_in(&bench, &mut station).await.unwrap();
}

/// What the station says to a message of the handshake.
async fn status(station: &mut Station, peer: SocketAddr, bytes: &[u8]) -> RakpStatus {
    // Behind the headers: the tag, then the status.
    const STATUS: usize = 17;
    let answers = station.datagram(None, peer, bytes).await;
    RakpStatus(answers[0].transmit.bytes[STATUS])
}

#[tokio::test]
async fn guesses_begun_before_a_lock_out_are_not_free() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut begun = Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 17));
    let proof = begun.until_rakp_3(&bench, &mut station).await;
    let mut owner = Wire::new(&bench, "192.0.2.2:40000", login("admin", PASSWORD, 17));
    let owners_proof = owner.until_rakp_3(&bench, &mut station).await;
    let now = bench.fleet.clock().now();
    for _ in 1..FAILURES_MAX {
        bench.fleet.lockouts().failed(now, "node", b"admin", begun.peer.ip());
    }
    let mut last = Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 17));
    let mut wrong = last.until_rakp_3(&bench, &mut station).await;
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(status(&mut station, last.peer, &wrong).await, RakpStatus::INVALID_INTEGRITY_CHECK);
    assert_eq!(status(&mut station, begun.peer, &proof).await, RakpStatus::INVALID_SESSION_ID);
    assert_eq!(status(&mut station, owner.peer, &owners_proof).await, RakpStatus::OK, "from elsewhere");
}

#[tokio::test]
async fn a_changed_password_holds_from_the_next_datagram_on() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut old = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    old.log_in(&bench, &mut station).await.unwrap();
    let mut begun = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    let proof = begun.until_rakp_3(&bench, &mut station).await;

    let administrator = Some(("admin".to_owned(), Secret::new("another")));
    let change = Change { administrator, ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    // The shell has not told the station yet.
    assert_eq!(status(&mut station, begun.peer, &proof).await, RakpStatus::INVALID_SESSION_ID);
    old.request(&bench, 0x06, 0x01, &[]);
    assert_eq!(old.carry(&bench, &mut station).await, [], "the session is gone");
    let mut new = Wire::new(&bench, HERE, login("admin", b"another", 17));
    new.log_in(&bench, &mut station).await.unwrap();
    station.refresh().await;
    assert_eq!(new.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0, "the new one stays");
}

#[tokio::test]
async fn a_right_password_forgives_earlier_wrong_ones() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let now = bench.fleet.clock().now();
    let source = ELSEWHERE.parse::<SocketAddr>().unwrap().ip();
    for _ in 1..FAILURES_MAX {
        assert!(!bench.fleet.lockouts().failed(now, "node", b"admin", source));
    }
    Wire::new(&bench, ELSEWHERE, login("admin", PASSWORD, 3)).log_in(&bench, &mut station).await.unwrap();
    assert!(!bench.fleet.lockouts().failed(now, "node", b"admin", source), "counting starts anew");
}

#[tokio::test]
async fn a_changed_password_ends_the_sessions_of_its_user() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    wire.log_in(&bench, &mut station).await.unwrap();
    let unrelated = Change { asset_tag: Some("rack 1".to_owned()), ..Default::default() };
    bench.machine.request(Request::Change(Box::new(unrelated))).await.unwrap();
    station.refresh().await;
    assert_eq!(wire.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0, "other changes do no harm");

    let administrator = Some(("admin".to_owned(), Secret::new("another")));
    let change = Change { administrator, ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    station.refresh().await;
    wire.request(&bench, 0x06, 0x01, &[]);
    assert_eq!(wire.carry(&bench, &mut station).await, [], "the session is gone");
    let mut old = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    assert_eq!(old.log_in(&bench, &mut station).await, Err(LoginError::WrongPassword));
    let mut new = Wire::new(&bench, HERE, login("admin", b"another", 17));
    new.log_in(&bench, &mut station).await.unwrap();
}

/// A request of this session that the machine's owner answers.
async fn act(bench: &Bench, station: &mut Station, wire: &mut Wire, request: (u8, u8, &[u8])) -> u8 {
    wire.request(bench, request.0, request.1, request.2);
    wire.carry(bench, station).await;
    match wire.owner(bench, station).await.as_slice() {
        [ConsoleEvent::Response { completion, .. }] => completion.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_changes_their_own_password_is_told_and_may_close_the_session() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut own = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    own.log_in(&bench, &mut station).await.unwrap();
    let mut other = Wire::new(&bench, "127.0.0.1:40001", login("admin", PASSWORD, 17));
    other.log_in(&bench, &mut station).await.unwrap();
    let set = |password: &[u8]| {
        let mut data = vec![2, 2];
        data.extend(password);
        data.resize(18, 0);
        data
    };
    assert_eq!(act(&bench, &mut station, &mut own, (0x06, 0x47, &set(PASSWORD))).await, 0);
    station.refresh().await;
    assert_eq!(own.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0, "it is the same as before");

    assert_eq!(act(&bench, &mut station, &mut own, (0x06, 0x47, &set(b"another"))).await, 0);
    other.request(&bench, 0x06, 0x01, &[]);
    assert_eq!(other.carry(&bench, &mut station).await, [], "the user's other session is gone");
    assert_eq!(own.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0xd4, "nothing new is done");
    // Nor by the session layer: Set Session Privilege Level, Activate and Deactivate Payload, Close Session of another one.
    let payload = [1, 1, 0xc0, 0, 0, 0];
    let owned: [(u8, &[u8]); 4] = [(0x3b, &[4]), (0x48, &payload), (0x49, &payload), (0x3c, &[1, 0, 0, 0])];
    for (cmd, data) in owned {
        assert_eq!(own.ask(&bench, &mut station, 0x06, cmd, data).await.0, 0xd4, "{cmd:02x}h");
    }
    let grace = station.next_wake().unwrap();
    assert!(grace <= Duration::from_secs(1));
    tokio::time::advance(grace).await;
    station.wake().await;
    own.request(&bench, 0x06, 0x01, &[]);
    assert_eq!(own.carry(&bench, &mut station).await, [], "now it is gone too");
    let mut new = Wire::new(&bench, HERE, login("admin", b"another", 17));
    new.log_in(&bench, &mut station).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_the_sessions_and_the_bmc_serves_on() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut own = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    own.log_in(&bench, &mut station).await.unwrap();
    let mut other = Wire::new(&bench, "127.0.0.1:40001", login("admin", PASSWORD, 17));
    other.log_in(&bench, &mut station).await.unwrap();
    assert_eq!(act(&bench, &mut station, &mut own, (0x06, 0x02, &[])).await, 0);
    assert_eq!(station.next_wake(), Some(Duration::ZERO));
    station.wake().await;
    other.request(&bench, 0x06, 0x01, &[]);
    assert_eq!(other.carry(&bench, &mut station).await, []);
    let mut next = Wire::new(&bench, "127.0.0.1:40002", login("admin", PASSWORD, 17));
    next.log_in(&bench, &mut station).await.unwrap();
    tokio::time::advance(station.next_wake().unwrap()).await;
    station.wake().await;
    own.request(&bench, 0x06, 0x01, &[]);
    assert_eq!(own.carry(&bench, &mut station).await, []);
    assert_eq!(next.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0, "opened after the reset");
}

#[tokio::test]
async fn the_channel_decides_about_new_sessions() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut own = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    own.log_in(&bench, &mut station).await.unwrap();
    // The present limit: operators.
    assert_eq!(act(&bench, &mut station, &mut own, (0x06, 0x40, &[1, 0x00, 0x83])).await, 0);
    let mut high = Wire::new(&bench, "127.0.0.1:40001", login("admin", PASSWORD, 17));
    assert!(high.log_in(&bench, &mut station).await.is_err());
    let operator = |port: u16| {
        let login = ConsoleConfig { privilege: PrivilegeLevel::Operator, ..login("admin", PASSWORD, 17) };
        Wire::new(&bench, &format!("127.0.0.1:{port}"), login)
    };
    operator(40002).log_in(&bench, &mut station).await.unwrap();
    // Disabled for the present.
    assert_eq!(act(&bench, &mut station, &mut own, (0x06, 0x40, &[1, 0x80, 0x00])).await, 0);
    assert!(operator(40003).log_in(&bench, &mut station).await.is_err());
    // Before the boot only: the machine is off.
    assert_eq!(act(&bench, &mut station, &mut own, (0x06, 0x40, &[1, 0x81, 0x84])).await, 0);
    operator(40004).log_in(&bench, &mut station).await.unwrap();
    bench.power(bmc_core::backend::ObservedPower::Running, bmc_core::power::PowerState::On).await;
    assert!(operator(40005).log_in(&bench, &mut station).await.is_err());
}

#[tokio::test]
async fn users_made_over_ipmi_log_in_as_far_as_they_may() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut admin = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    admin.log_in(&bench, &mut station).await.unwrap();
    let mut name = b"\x03eve".to_vec();
    name.resize(17, 0);
    let mut password = b"\x03\x02secret".to_vec();
    password.resize(18, 0);
    let eve = |port: u16| {
        Wire::new(
            &bench,
            &format!("127.0.0.1:{port}"),
            ConsoleConfig { privilege: PrivilegeLevel::User, ..login("eve", b"secret", 17) },
        )
    };
    let steps: [(u8, &[u8], bool); 7] = [
        (0x45, &name, false),
        (0x43, &[0x91, 3, 2], false),
        (0x47, &[3, 1], false),
        (0x47, &password, true),
        (0x43, &[0x81, 3, 2], false),
        (0x43, &[0x91, 3, 2], true),
        (0x43, &[0x91, 3, 0x0f], false),
    ];
    for (n, (cmd, data, opens)) in (0_u16..).zip(steps) {
        assert_eq!(act(&bench, &mut station, &mut admin, (0x06, cmd, data)).await, 0);
        assert_eq!(eve(40_100 + n).log_in(&bench, &mut station).await.is_ok(), opens, "after step {n}");
    }
}

#[tokio::test]
async fn the_kg_must_be_known_when_there_is_one() {
    let bench = Bench::new().await;
    let kg = Password::new(&[0x00, 0xff, 0x13, 0x37]);
    let config = IpmiConfig { kg: kg.clone(), ..Default::default() };
    let mut station = station(&bench, config);
    let mut without = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    assert_eq!(without.log_in(&bench, &mut station).await, Err(LoginError::WrongBmcKey));
    let login = ConsoleConfig { bmc_key: kg, ..login("admin", PASSWORD, 3) };
    let mut with = Wire::new(&bench, HERE, login);
    with.log_in(&bench, &mut station).await.unwrap();
    let (_, capabilities) = with.ask(&bench, &mut station, 0x06, 0x38, &[0x8e, 4]).await;
    assert_eq!(capabilities.get(2), Some(&0x24), "K_G set, named users");
    let (_, capabilities) = with.ask(&bench, &mut station, 0x06, 0x38, &[0x0e, 4]).await;
    assert_eq!(capabilities.get(2), Some(&0x04), "to consoles that know only IPMI 1.5");
}

#[tokio::test]
async fn a_kg_of_zeros_is_none() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig { kg: Password::new(&[0, 0]), ..Default::default() });
    let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    wire.log_in(&bench, &mut station).await.unwrap();
    let (_, capabilities) = wire.ask(&bench, &mut station, 0x06, 0x38, &[0x8e, 4]).await;
    assert_eq!(capabilities.get(2), Some(&0x04), "K_G not set, named users");
}

#[tokio::test]
async fn only_configured_suites_are_accepted_and_listed() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig { suites: suites(&[17]), ..Default::default() });
    let status = RakpStatus::NO_CIPHER_SUITE_MATCH;
    let mut other = Wire::new(&bench, HERE, login("admin", PASSWORD, 3));
    let refused = Err(LoginError::Refused { message: "Open Session", status });
    assert_eq!(other.log_in(&bench, &mut station).await, refused);
    let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    wire.log_in(&bench, &mut station).await.unwrap();
    let list = vec![1, 0xc0, 17, 3, 0x44, 0x81];
    assert_eq!(wire.ask(&bench, &mut station, 0x06, 0x54, &[0x0e, 0, 0x80]).await, (0, list));
}

#[tokio::test]
async fn the_sessions_level_decides() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    for (privilege, code) in [
        (PrivilegeLevel::User, 0xd4),
        (PrivilegeLevel::Operator, 0xd5),
        (PrivilegeLevel::Administrator, 0xd5),
    ] {
        let login = ConsoleConfig { privilege, ..login("admin", PASSWORD, 17) };
        let mut wire = Wire::new(&bench, HERE, login);
        wire.log_in(&bench, &mut station).await.unwrap();
        // A reset of a machine that is off: refused for its state once it is allowed.
        wire.request(&bench, 0x00, 0x02, &[3]);
        let mut events = wire.carry(&bench, &mut station).await;
        if events.is_empty() {
            events = wire.owner(&bench, &mut station).await;
        }
        let [ConsoleEvent::Response { completion, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(completion.0, code, "{privilege}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_ends_and_lets_go_of_the_boot_options() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    wire.log_in(&bench, &mut station).await.unwrap();
    wire.request(&bench, 0x00, 0x08, &[0, 1]);
    wire.carry(&bench, &mut station).await;
    wire.owner(&bench, &mut station).await;
    assert_eq!(wire.ask(&bench, &mut station, 0x00, 0x09, &[0, 0, 0]).await.1, [1, 0, 1]);

    let silence = station.next_wake().unwrap();
    assert!(silence <= limits::INACTIVITY_TIMEOUT);
    tokio::time::advance(silence).await;
    station.wake().await;
    assert_eq!(station.next_wake(), None);
    let mut next = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    next.log_in(&bench, &mut station).await.unwrap();
    assert_eq!(next.ask(&bench, &mut station, 0x00, 0x09, &[0, 0, 0]).await.1, [1, 0, 0]);
}

#[tokio::test]
async fn requests_in_flight_are_bounded_and_reads_go_on() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    bench.hold(true);
    let mut wires = Vec::new();
    for n in 0..11 {
        let peer = format!("127.0.0.1:{}", 40_000 + n);
        let mut wire = Wire::new(&bench, &peer, login("admin", PASSWORD, 17));
        wire.log_in(&bench, &mut station).await.unwrap();
        wires.push(wire);
    }
    let mut busy = 0;
    for wire in wires.iter_mut().take(10) {
        for _ in 0..limits::CONSOLE_IN_FLIGHT {
            wire.request(&bench, 0x00, 0x02, &[1]);
        }
        for event in wire.carry(&bench, &mut station).await {
            let ConsoleEvent::Response { completion, .. } = event else { panic!("{event:?}") };
            assert_eq!(completion.0, 0xc0);
            busy += 1;
        }
    }
    assert_eq!(busy, 10 * limits::CONSOLE_IN_FLIGHT - REQUESTS_IN_FLIGHT_MAX);
    let reader = wires.last_mut().unwrap();
    assert_eq!(reader.ask(&bench, &mut station, 0x00, 0x01, &[]).await.0, 0);
    bench.hold(false);
    while station.is_busy() {
        let finished = station.next_finished().await.unwrap().unwrap().unwrap();
        assert_eq!(finished.reply.completion.0, 0, "one start, which all of them joined");
    }
    assert_eq!(bench.calls(), ["start"]);
}

#[tokio::test]
async fn the_guid_is_the_machines_uuid_in_the_handshake_too() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    let events = wire.carry(&bench, &mut station).await;
    let [ConsoleEvent::Ready { guid, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(ipmi_wire::guid::from_wire(*guid), bench.machine.snapshot().uuid.into_bytes());
}

/// Boot flags, and what became of them after a minute.
async fn flags_after_a_minute(clearing: u8, chassis_control: bool) -> bool {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    wire.log_in(&bench, &mut station).await.unwrap();
    let mut writes: Vec<(u8, &[u8])> = vec![(0x08, &[5, 0xc0, 0x04, 0, 0, 0])];
    let clearing = [3, clearing];
    writes.push((0x08, &clearing));
    if chassis_control {
        writes.push((0x02, &[0]));
    }
    for (cmd, data) in writes {
        wire.request(&bench, 0x00, cmd, data);
        wire.carry(&bench, &mut station).await;
        wire.owner(&bench, &mut station).await;
    }
    assert!(bench.machine.snapshot().boot.is_active());
    tokio::time::advance(Duration::from_secs(59)).await;
    station.wake().await;
    assert!(!station.is_busy(), "not yet");
    tokio::time::advance(Duration::from_secs(1)).await;
    station.wake().await;
    assert_ne!(station.next_wake(), Some(Duration::ZERO), "it does not spin until the owner has answered");
    while let Some(finished) = station.next_finished().await {
        assert!(station.finished(finished).is_none());
    }
    bench.machine.snapshot().boot.is_active()
}

#[tokio::test(start_paused = true)]
async fn the_valid_bit_has_a_time_limit_only_when_asked_for() {
    assert!(flags_after_a_minute(0x1f, false).await, "as after a start");
    assert!(flags_after_a_minute(0x08, false).await, "what Ironic writes");
    assert!(!flags_after_a_minute(0x00, false).await);
    assert!(flags_after_a_minute(0x00, true).await, "used in time");
}

#[tokio::test]
async fn a_session_that_was_closed_stays_closed_when_the_request_comes_again() {
    // Offsets in a datagram without protection: the session sequence number, and the completion code of an answer.
    const SEQUENCE: usize = 10;
    const COMPLETION: usize = 22;
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig { suites: suites(&[0, 17]), ..Default::default() });
    let mut admin = Wire::new(&bench, HERE, login("admin", PASSWORD, 0));
    admin.log_in(&bench, &mut station).await.unwrap();
    let mut other = Wire::new(&bench, "127.0.0.1:40001", login("admin", PASSWORD, 17));
    other.log_in(&bench, &mut station).await.unwrap();
    // By handle: the second session's.
    assert_eq!(admin.ask(&bench, &mut station, 0x06, 0x3c, &[0, 0, 0, 0, 2]).await.0, 0);
    // As ipmitool repeats itself: the same message under the next number.
    let mut again = admin.last.clone();
    again[SEQUENCE] += 1;
    let answers = station.datagram(None, admin.peer, &again).await;
    assert_eq!(answers[0].transmit.bytes[COMPLETION], 0);
}
