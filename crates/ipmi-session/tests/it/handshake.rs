//! Logins, and every status where it belongs.

use ipmi_session::{
    Config, Event, LoginFailure,
    console::{ConsoleConfig, LoginError},
    limits,
};
use ipmi_wire::{
    PrivilegeLevel,
    cipher::CipherSuite,
    rakp::{OpenSessionRequest, OpenSessionResponse, Proposal, Rakp1, Rakp2, RakpProof, RakpStatus as S},
    session::PayloadType as P,
};

use crate::support::{Bench, console_config, peer, refused, secret};

const A: fn(u8) -> Proposal = Proposal::Algorithm;

fn open(tag: u8, level: u8, console_id: u32, suite: [Proposal; 3]) -> Vec<u8> {
    let [auth, integrity, confidentiality] = suite;
    OpenSessionRequest { tag, max_privilege: level, console_id, auth, integrity, confidentiality }.encode()
}

fn open_suite3(b: &mut Bench, level: u8) -> u32 {
    let reply = b.payload(peer(1), P::OpenSessionRequest, &open(9, level, 0xc0, [A(1); 3]));
    let response = OpenSessionResponse::decode(&reply).unwrap();
    assert_eq!((response.tag, response.status, response.console_id), (9, S::OK, 0xc0));
    response.accepted.unwrap().managed_id
}

fn rakp1(tag: u8, id: u32, role: u8, name: &[u8]) -> Vec<u8> {
    Rakp1 { tag, managed_id: id, random: [3; 16], role, name }.encode().unwrap()
}

#[test]
fn every_supported_suite_logs_in_and_carries_a_request() {
    for suite in [0, 1, 2, 3, 15, 16, 17] {
        let mut b = Bench::with_suites(&[suite]);
        let mut console = b.login(peer(1), console_config("admin", "password", suite)).unwrap();
        let info = b.bmc.sessions().next().unwrap();
        assert_eq!(info.privilege, PrivilegeLevel::Administrator, "suite {suite}");
        assert_eq!((info.user_id, info.user_name.as_bytes()), (2, &b"admin"[..]));
        console.request(b.now, ipmi_wire::NetFn::CHASSIS, 0, 1, &[], &mut b.rng).unwrap();
        b.pump(peer(1), &mut console);
        assert_eq!(b.requests.len(), 1, "suite {suite}");
        assert_eq!(b.requests[0].session, Some(info));
    }
}

#[test]
fn a_suite_that_is_off_is_refused_as_a_whole() {
    let mut b = Bench::with_suites(&[3, 17]);
    for suite in [0, 1, 2, 6, 7, 8, 11, 12, 15, 16] {
        let got = b.login(peer(1), console_config("admin", "password", suite)).err();
        assert_eq!(got, Some(refused("Open Session", S::NO_CIPHER_SUITE_MATCH)), "suite {suite}");
    }
    assert!(Config::new([0; 16]).set_cipher_suites(&[4]).is_err());
    assert!(Config::new([0; 16]).set_cipher_suites(&[18]).is_err());
    assert!(Config::new([0; 16]).set_cipher_suites(&[3, 3]).is_err());
}

#[test]
fn open_session_statuses() {
    let cases: [(u8, u32, [Proposal; 3], S); 11] = [
        (0, 1, [A(1), A(1), A(1)], S::OK),
        (4, 1, [A(3), A(4), A(1)], S::OK),
        (0, 1, [Proposal::Any; 3], S::OK),
        // Each algorithm is on, the combination is not.
        (0, 1, [A(3), A(1), A(1)], S::NO_CIPHER_SUITE_MATCH),
        (0, 1, [A(2), A(2), A(1)], S::NO_CIPHER_SUITE_MATCH),
        (0, 1, [A(4), A(1), A(1)], S::INVALID_AUTH_ALGORITHM),
        (0, 1, [A(1), A(5), A(1)], S::INVALID_INTEGRITY_ALGORITHM),
        (0, 1, [A(1), A(1), A(4)], S::INVALID_CONFIDENTIALITY_ALGORITHM),
        (6, 1, [A(1), A(1), A(1)], S::INVALID_ROLE),
        (5, 1, [A(1), A(1), A(1)], S::UNAUTHORIZED_ROLE),
        (0, 0, [A(1), A(1), A(1)], S::INVALID_SESSION_ID),
    ];
    for (level, console_id, suite, want) in cases {
        let mut b = Bench::new();
        let reply = b.payload(peer(1), P::OpenSessionRequest, &open(0x21, level, console_id, suite));
        let response = OpenSessionResponse::decode(&reply).unwrap();
        assert_eq!((response.tag, response.console_id), (0x21, console_id));
        assert_eq!(response.status, want, "level {level}, {suite:?}");
        if want == S::OK {
            let accepted = response.accepted.unwrap();
            assert_eq!(accepted.max_privilege, PrivilegeLevel::Administrator, "0 is never echoed");
            assert_ne!(accepted.managed_id, 0);
        } else {
            assert_eq!(reply.len(), 8);
            assert_eq!(b.bmc.half_open(), 0);
        }
    }
}

#[test]
fn a_mangled_open_session_is_told_so() {
    let good = open(5, 0, 0xabcd, [A(1); 3]);
    let with = |at: usize, value: u8| {
        let mut payload = good.clone();
        payload[at] = value;
        payload
    };
    for (payload, want) in [
        (good[..20].to_vec(), S::ILLEGAL_PARAMETER),
        ([&good[..], &[0]].concat(), S::ILLEGAL_PARAMETER),
        (with(11, 7), S::ILLEGAL_PARAMETER),
        (with(8, 1), S::NO_MATCHING_AUTH_PAYLOAD),
        (with(16, 2), S::NO_MATCHING_INTEGRITY_PAYLOAD),
        (with(24, 3), S::INVALID_PAYLOAD_TYPE),
    ] {
        let mut b = Bench::new();
        let reply = b.payload(peer(1), P::OpenSessionRequest, &payload);
        let response = OpenSessionResponse::decode(&reply).unwrap();
        assert_eq!((response.tag, response.status, response.console_id), (5, want, 0xabcd));
        assert_eq!((reply.len(), b.bmc.half_open()), (8, 0));
    }
}

#[test]
fn rakp1_statuses() {
    let long = [b'x'; 17];
    let cases: [(u8, u8, &[u8], S); 9] = [
        (0, 0x14, b"admin", S::OK),
        (0, 0x10, b"admin", S::OK),
        (0, 0x12, b"viewer", S::OK),
        (0, 0x16, b"admin", S::INVALID_ROLE),
        (0, 0x14, b"viewer", S::UNAUTHORIZED_ROLE),
        (3, 0x14, b"admin", S::UNAUTHORIZED_ROLE),
        (0, 0x14, &long, S::INVALID_NAME_LENGTH),
        (0, 0x14, b"nobody", S::UNAUTHORIZED_NAME),
        (0, 0x12, b"", S::UNAUTHORIZED_NAME),
    ];
    for (level, role, name, want) in cases {
        let mut b = Bench::new();
        let id = open_suite3(&mut b, level);
        let reply = b.payload(peer(1), P::Rakp1, &rakp1(0x33, id, role, name));
        let response = Rakp2::decode(&reply).unwrap();
        assert_eq!((response.tag, response.status, response.console_id), (0x33, want, 0xc0), "{name:?}");
        if want != S::OK {
            assert_eq!(reply.len(), 8, "an error carries no code");
        }
        let failures: Vec<_> = b
            .events
            .iter()
            .filter_map(|e| match e {
                Event::LoginFailed { reason, .. } => Some(*reason),
                _ => None,
            })
            .collect();
        match want {
            S::OK | S::INVALID_NAME_LENGTH => assert_eq!(failures, []),
            status => {
                assert_eq!(failures, [LoginFailure::Refused(status)]);
                assert!(!failures[0].counts());
            }
        }
    }
}

#[test]
fn ids_and_stages_are_checked() {
    let mut b = Bench::new();
    let status = |b: &mut Bench, from, kind, payload: &[u8]| S(b.payload(peer(from), kind, payload)[1]);
    assert_eq!(status(&mut b, 1, P::Rakp1, &rakp1(0, 77, 0x14, b"admin")), S::INVALID_SESSION_ID);
    let proof = |id, code: &[u8]| RakpProof { tag: 0, status: S::OK, session_id: id, code }.encode();
    assert_eq!(status(&mut b, 1, P::Rakp3, &proof(77, &[0; 20])), S::INVALID_SESSION_ID);
    // RAKP 3 before RAKP 1; and nobody else may go on with a handshake.
    let id = open_suite3(&mut b, 0);
    assert_eq!(status(&mut b, 1, P::Rakp3, &proof(id, &[0; 20])), S::INACTIVE_SESSION_ID);
    assert_eq!(status(&mut b, 2, P::Rakp1, &rakp1(0, id, 0x14, b"admin")), S::INVALID_SESSION_ID);
    assert_eq!(status(&mut b, 1, P::Rakp1, &rakp1(0, id, 0x14, b"admin")), S::OK);
    // A wrong code ends it.
    assert_eq!(status(&mut b, 1, P::Rakp3, &proof(id, &[0; 20])), S::INVALID_INTEGRITY_CHECK);
    assert_eq!(status(&mut b, 1, P::Rakp3, &proof(id, &[0; 20])), S::INVALID_SESSION_ID);
    let Some(Event::LoginFailed { reason, user_id: Some(2), .. }) = b.events.last() else {
        panic!("{:?}", b.events)
    };
    assert!(reason.counts());
    // RAKP 1 for a session that is active.
    b.login(peer(3), console_config("admin", "password", 17)).unwrap();
    let active = b.bmc.sessions().next().unwrap().id;
    assert_eq!(status(&mut b, 3, P::Rakp1, &rakp1(0, active, 0x14, b"admin")), S::INACTIVE_SESSION_ID);
    assert_eq!(status(&mut b, 3, P::Rakp3, &proof(active, &[0; 32])), S::INACTIVE_SESSION_ID);
    assert_eq!(b.bmc.sessions().count(), 1);
}

#[test]
fn a_console_that_gives_up_proves_nothing() {
    let mut b = Bench::new();
    let error = b.login(peer(1), console_config("admin", "wrong", 3)).err();
    assert_eq!(error, Some(LoginError::WrongPassword));
    let [Event::LoginFailed { reason, user_id: Some(2), .. }] = &b.events[..] else {
        panic!("{:?}", b.events)
    };
    assert_eq!(*reason, LoginFailure::ConsoleGaveUp(S::INVALID_INTEGRITY_CHECK));
    assert!(!reason.counts());
    assert_eq!(b.bmc.half_open(), 0);
}

#[test]
fn repeated_messages_get_the_same_answer_but_for_the_tag() {
    let mut b = Bench::new();
    let id = open_suite3(&mut b, 0);
    assert_eq!(open_suite3(&mut b, 0), id, "a repeated Open Session takes no second slot");
    let first = b.payload(peer(1), P::Rakp1, &rakp1(1, id, 0x14, b"admin"));
    let again = b.payload(peer(1), P::Rakp1, &rakp1(2, id, 0x14, b"admin"));
    assert_eq!((first[0], again[0]), (1, 2));
    assert_eq!(first[1..], again[1..]);
}

#[test]
fn name_and_level_pick_the_entry() {
    let mut b = Bench::new();
    let with = |password, privilege| ConsoleConfig {
        name_only: false,
        privilege,
        ..console_config("admin", password, 3)
    };
    for (password, level, want) in [
        ("operate", PrivilegeLevel::Operator, Ok(4)),
        ("password", PrivilegeLevel::Administrator, Ok(2)),
        ("operate", PrivilegeLevel::Administrator, Err(LoginError::WrongPassword)),
    ] {
        let got = b.login(peer(1), with(password, level)).map(|_| b.bmc.sessions().next().unwrap().user_id);
        assert_eq!(got, want);
        b.bmc.close_sessions(|_| true);
    }
}

#[test]
fn the_null_user_exists_only_when_it_is_enabled() {
    let null = ConsoleConfig { privilege: PrivilegeLevel::User, ..console_config("", "", 3) };
    let mut b = Bench::new();
    assert_eq!(b.login(peer(1), null.clone()).err(), Some(refused("RAKP 1", S::UNAUTHORIZED_NAME)));
    b.users.null_user = true;
    assert!(b.login(peer(1), null).is_ok());
}

#[test]
fn a_bmc_key_is_needed_besides_the_password() {
    let mut config = Config::new(crate::support::GUID);
    config.bmc_key = Some(secret("the key of the bmc"));
    let mut b = Bench::with(config);
    let right = ConsoleConfig {
        bmc_key: Some(secret("the key of the bmc")),
        ..console_config("admin", "password", 17)
    };
    assert!(b.login(peer(1), right.clone()).is_ok());
    let wrong = ConsoleConfig { bmc_key: Some(secret("another")), ..right };
    assert_eq!(b.login(peer(1), wrong).err(), Some(LoginError::WrongBmcKey));
}

#[test]
fn the_session_limit_holds_and_a_free_slot_is_used_again() {
    let mut config = Config::new(crate::support::GUID);
    config.max_sessions = 2;
    let mut b = Bench::with(config);
    let login = |b: &mut Bench, n| b.login(peer(n), console_config("admin", "password", 3));
    login(&mut b, 1).unwrap();
    let mut second = login(&mut b, 2).unwrap();
    assert_eq!(login(&mut b, 3).err(), Some(refused("Open Session", S::INSUFFICIENT_RESOURCES)));
    second.close(b.now, &mut b.rng);
    b.pump(peer(2), &mut second);
    login(&mut b, 3).unwrap();
    let mut handles: Vec<u8> = b.bmc.sessions().map(|s| s.handle).collect();
    handles.sort_unstable();
    assert_eq!(handles, [1, 2]);
}

#[test]
fn a_slot_that_is_taken_during_the_handshake_is_noticed() {
    let mut config = Config::new(crate::support::GUID);
    config.max_sessions = 1;
    let mut b = Bench::with(config);
    // `first` waits with its RAKP 3 until another console is in.
    let mut first =
        ipmi_session::console::Console::new(console_config("admin", "password", 3), b.now, &mut b.rng);
    let mut next = first.poll_transmit().unwrap();
    for _ in 0..2 {
        let out = b.datagram(peer(1), &next);
        first.handle_datagram(b.now, &out.transmits[0].bytes, &mut b.rng);
        next = first.poll_transmit().unwrap();
    }
    b.login(peer(2), console_config("admin", "password", 3)).unwrap();
    let out = b.datagram(peer(1), &next);
    let Some(Event::LoginFailed { reason, .. }) = out.events.first() else { panic!("{out:?}") };
    assert_eq!(*reason, LoginFailure::NoResources);
    assert_eq!(b.bmc.sessions().count(), 1);
}

#[test]
fn a_flood_of_open_sessions_locks_nobody_out() {
    let mut b = Bench::new();
    let flood = |b: &mut Bench, source: std::net::SocketAddr, n: u32| {
        let bytes = ipmi_wire::session::v20::V20Header::sessionless(P::OpenSessionRequest)
            .to_datagram(&open(0, 0, n + 1, [A(1); 3]))
            .unwrap();
        b.datagram(source, &bytes);
    };
    for n in 0..1000 {
        flood(&mut b, peer(9), n);
        assert!(b.bmc.half_open() <= limits::MAX_HALF_OPEN_PER_SOURCE);
    }
    for n in 0..1000_u32 {
        let source = std::net::SocketAddr::from(([10, 0, 0, u8::try_from(n % 200).unwrap()], 623));
        flood(&mut b, source, n);
        assert!(b.bmc.half_open() <= limits::MAX_HALF_OPEN);
    }
    // A console from the flooding address too, past RAKP 1 while the flood goes on.
    let mut console =
        ipmi_session::console::Console::new(console_config("admin", "password", 3), b.now, &mut b.rng);
    let mut messages = 0;
    while let Some(bytes) = console.poll_transmit() {
        let out = b.datagram(peer(1), &bytes);
        messages += 1;
        if messages == 2 {
            for n in 0..1000 {
                flood(&mut b, peer(9), n);
            }
        }
        for t in out.transmits {
            console.handle_datagram(b.now, &t.bytes, &mut b.rng);
        }
    }
    assert!(console.is_ready());
    b.wait(limits::HALF_OPEN_TIMEOUT.as_secs());
    b.bmc.handle_timeout(b.now);
    assert_eq!(b.bmc.half_open(), 0);
}

#[test]
fn a_flood_from_many_sources_ends_no_handshake_past_rakp_1() {
    let mut b = Bench::new();
    let id = open_suite3(&mut b, 0);
    assert_eq!(b.payload(peer(1), P::Rakp1, &rakp1(0, id, 0x14, b"admin"))[1], S::OK.0);
    let request = ipmi_wire::session::v20::V20Header::sessionless(P::OpenSessionRequest)
        .to_datagram(&open(0, 0, 1, [A(1); 3]))
        .unwrap();
    for n in 0..1000_u16 {
        let [high, low] = n.to_be_bytes();
        b.datagram(std::net::SocketAddr::from(([10, 0, high, low], 623)), &request);
    }
    assert_eq!(b.bmc.half_open(), limits::MAX_HALF_OPEN);
    let proof = RakpProof { tag: 0, status: S::OK, session_id: id, code: &[0; 20] }.encode();
    let reply = b.payload(peer(1), P::Rakp3, &proof);
    assert_eq!(S(reply[1]), S::INVALID_INTEGRITY_CHECK, "the proof was looked at");
}

#[test]
fn no_secret_is_shown() {
    let config = ConsoleConfig { bmc_key: Some(secret("hush-key")), ..console_config("admin", "hush", 3) };
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(CipherSuite::by_id(3).is_some());
}
