//! IPMI 1.5: logins, packets, and everything that is refused.

use ipmi_session::{AuthPolicy, Config, DropReason, Event, LoginFailure, Password, Received};
use ipmi_wire::{
    CompletionCode, LanRequest, LanResponse, NetFn, PrivilegeLevel,
    command::{
        Payload,
        login::{ActivateSession, GetSessionChallenge, SessionActivated, SessionChallenge},
        session::{ActiveSession, GetSessionInfo, SessionInfo},
    },
    message::{BMC_ADDRESS, REMOTE_CONSOLE_ADDRESS},
    session::{Datagram, V15Packet, v15::AuthType},
};
use md5::{Digest, Md5};

use crate::support::{Bench, GUID, Users, peer};

const CHALLENGE: u8 = 0x39;
const ACTIVATE: u8 = 0x3a;
const OUTBOUND: u32 = 0x1000;

fn config(types: &[AuthType]) -> Config {
    let mut config = Config::new(GUID);
    config.ipmi15_auth = types.iter().map(|auth_type| AuthPolicy::everywhere(*auth_type)).collect();
    config
}

fn bench(types: &[AuthType]) -> Bench {
    Bench::with(config(types))
}

/// A console of IPMI 1.5 that does as the test says, written apart from the library's own.
struct Caller {
    auth_type: AuthType,
    password: [u8; 16],
    id: u32,
    sequence: u32,
    rq_seq: u8,
}

impl Caller {
    fn new(auth_type: AuthType, password: &str) -> Self {
        let mut padded = [0; 16];
        padded[..password.len()].copy_from_slice(password.as_bytes());
        Self { auth_type, password: padded, id: 0, sequence: 0, rq_seq: 0 }
    }

    fn code(&self, id: u32, sequence: u32, message: &[u8]) -> Option<[u8; 16]> {
        let text = [&self.password[..], &id.to_le_bytes(), message, &sequence.to_le_bytes(), &self.password];
        match self.auth_type {
            AuthType::Md5 => Some(Md5::digest(text.concat()).into()),
            AuthType::Md2 => Some(md2::Md2::digest(text.concat()).into()),
            AuthType::Password => Some(self.password),
            _ => None,
        }
    }

    fn message(&mut self, cmd: u8, data: &[u8]) -> Vec<u8> {
        self.rq_seq = (self.rq_seq + 1) & 0x3f;
        let (rs_addr, rq_addr) = (BMC_ADDRESS, REMOTE_CONSOLE_ADDRESS);
        let (netfn, rq_seq) = (NetFn::APP, self.rq_seq);
        LanRequest { rs_addr, netfn, rs_lun: 0, rq_addr, rq_seq, rq_lun: 0, cmd, data }.encode()
    }

    fn packet(&self, id: u32, sequence: u32, message: &[u8]) -> Vec<u8> {
        let auth_code = self.code(id, sequence, message);
        let packet =
            V15Packet { auth_type: self.auth_type, sequence, session_id: id, auth_code, payload: message };
        packet.to_datagram().unwrap()
    }

    /// Sends a datagram, checks the code of the answer and returns its header and contents.
    fn carry(&self, bench: &mut Bench, bytes: &[u8]) -> Option<(u32, u8, Vec<u8>)> {
        let out = bench.datagram(peer(1), bytes);
        assert!(out.transmits.len() <= 1);
        let bytes = &out.transmits.first()?.bytes;
        let Ok(Datagram::V15(packet)) = Datagram::decode(bytes) else { panic!("not IPMI 1.5") };
        if packet.session_id != 0 {
            assert_eq!(packet.auth_code, self.code(packet.session_id, packet.sequence, packet.payload));
        }
        let response = LanResponse::decode(packet.payload).unwrap();
        Some((packet.sequence, response.completion.0, response.data.to_vec()))
    }

    fn challenge(&mut self, bench: &mut Bench, name: &str) -> Result<SessionChallenge, u8> {
        let mut padded = [0; 16];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        let ask = GetSessionChallenge { auth_type: self.auth_type, name: padded };
        let message = self.message(CHALLENGE, &ask.encode());
        let bytes = V15Packet::sessionless(&message).to_datagram().unwrap();
        let (_, code, data) = self.carry(bench, &bytes).unwrap();
        if code == 0 { Ok(SessionChallenge::decode(&data).unwrap()) } else { Err(code) }
    }

    fn activation(&mut self, given: &SessionChallenge, level: PrivilegeLevel) -> Vec<u8> {
        let ask = ActivateSession {
            auth_type: self.auth_type,
            max_privilege: level,
            challenge: given.challenge,
            outbound: OUTBOUND,
        };
        let message = self.message(ACTIVATE, &ask.encode());
        self.packet(given.session_id, 0, &message)
    }

    fn log_in(&mut self, bench: &mut Bench, name: &str, level: PrivilegeLevel) -> Result<(), u8> {
        let given = self.challenge(bench, name)?;
        let bytes = self.activation(&given, level);
        let (sequence, code, data) = self.carry(bench, &bytes).ok_or(0xff)?;
        if code != 0 {
            return Err(code);
        }
        assert_eq!(sequence, OUTBOUND);
        let activated = SessionActivated::decode(&data).unwrap();
        assert_eq!((activated.auth_type, activated.max_privilege), (self.auth_type, level));
        self.id = activated.session_id;
        self.sequence = activated.inbound;
        Ok(())
    }

    /// A datagram of the session, under the next number.
    fn sealed(&mut self, cmd: u8, data: &[u8]) -> Vec<u8> {
        let message = self.message(cmd, data);
        let bytes = self.packet(self.id, self.sequence, &message);
        self.sequence = self.sequence.wrapping_add(1).max(1);
        bytes
    }

    fn ask(&mut self, bench: &mut Bench, cmd: u8, data: &[u8]) -> Option<(u8, Vec<u8>)> {
        let bytes = self.sealed(cmd, data);
        self.carry(bench, &bytes).map(|(_, code, data)| (code, data))
    }
}

const ALL: [AuthType; 4] = [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::Password];

#[test]
fn activate_opens_a_session_with_every_type() {
    for auth_type in ALL {
        let mut b = bench(&ALL);
        let mut caller = Caller::new(auth_type, "password");
        assert_eq!(caller.log_in(&mut b, "admin", PrivilegeLevel::Administrator), Ok(()), "{auth_type:?}");
        let session = b.bmc.sessions().next().unwrap();
        assert_eq!((session.user_id, session.privilege), (2, PrivilegeLevel::User));
        assert!(!session.rmcp_plus);
        assert_eq!(b.bmc.half_open(), 0);

        let raised = caller.ask(&mut b, 0x3b, &[4]).unwrap();
        assert_eq!(raised, (0, vec![4]));
        let (code, data) = caller.ask(&mut b, 0x3d, &GetSessionInfo::Current.encode()).unwrap();
        let info = SessionInfo::decode(&data).unwrap().active.unwrap();
        assert!(matches!(info, ActiveSession { user_id: 2, rmcp_plus: false, .. }), "{info:?}");
        assert_eq!(code, 0);

        // A command for the handlers, and its answer.
        let bytes = caller.sealed(0x01, &[]);
        assert_eq!(caller.carry(&mut b, &bytes), None);
        let token = b.requests.last().unwrap().token;
        let answer = b.bmc.respond(b.now, token, CompletionCode::OK, &[7], &mut b.rng).unwrap();
        let Ok(Datagram::V15(packet)) = Datagram::decode(&answer.bytes) else { panic!("not IPMI 1.5") };
        assert_eq!(packet.auth_code, caller.code(caller.id, packet.sequence, packet.payload));
        assert_eq!(packet.sequence, OUTBOUND + 3);
        assert_eq!(LanResponse::decode(packet.payload).unwrap().data, [7]);
        // The same datagram again is answered again and not executed again.
        let (sequence, ..) = caller.carry(&mut b, &bytes).unwrap();
        assert_eq!((sequence, b.requests.len()), (OUTBOUND + 4, 1));

        let close = caller.id.to_le_bytes();
        assert_eq!(caller.ask(&mut b, 0x3c, &close).unwrap().0, 0);
        assert_eq!(b.bmc.sessions().count(), 0);
    }
}

#[test]
fn challenge_refuses_what_is_off_and_who_is_unknown() {
    let mut b = bench(&[AuthType::Md5]);
    for auth_type in [AuthType::None, AuthType::Md2, AuthType::Password, AuthType::Oem] {
        assert_eq!(Caller::new(auth_type, "password").challenge(&mut b, "admin"), Err(0xcc), "{auth_type:?}");
    }
    let mut caller = Caller::new(AuthType::Md5, "password");
    assert_eq!(caller.challenge(&mut b, "nobody"), Err(0x81));
    assert_eq!(caller.challenge(&mut b, ""), Err(0x82));
    assert!(matches!(b.events[..], [Event::LoginFailed { .. }, Event::LoginFailed { .. }]));
    b.users = Users { null_user: true };
    assert!(caller.challenge(&mut b, "").is_ok());
    let mut off = Bench::new();
    assert_eq!(caller.challenge(&mut off, "admin"), Err(0xcc), "off by default");
    assert_eq!((off.bmc.half_open(), off.bmc.sessions().count()), (0, 0));
    for length in [0, 1, 16, 18] {
        let message = caller.message(CHALLENGE, &vec![2; length]);
        let bytes = V15Packet::sessionless(&message).to_datagram().unwrap();
        assert_eq!(caller.carry(&mut b, &bytes).unwrap().1, 0xc7, "{length} bytes");
    }
}

#[test]
fn challenge_repeated_is_the_same_and_takes_no_second_place() {
    let mut b = bench(&ALL);
    let mut caller = Caller::new(AuthType::Md5, "password");
    let first = caller.challenge(&mut b, "admin").unwrap();
    assert_eq!(caller.challenge(&mut b, "admin"), Ok(first));
    assert_eq!(b.bmc.half_open(), 1);
    b.wait(21);
    b.bmc.handle_timeout(b.now);
    assert_eq!(b.bmc.half_open(), 0);
    let bytes = caller.activation(&first, PrivilegeLevel::User);
    assert_eq!(caller.carry(&mut b, &bytes).unwrap().1, 0x85, "the challenge is forgotten");
}

#[test]
fn challenge_flood_is_bounded() {
    let mut b = bench(&ALL);
    for n in 0..2000_u16 {
        let message = Caller::new(AuthType::Md5, "x").message(
            CHALLENGE,
            &GetSessionChallenge { auth_type: AuthType::Md5, name: *b"admin\0\0\0\0\0\0\0\0\0\0\0" }.encode(),
        );
        b.datagram(peer(n), &V15Packet::sessionless(&message).to_datagram().unwrap());
    }
    assert_eq!(b.bmc.half_open(), ipmi_session::limits::MAX_HALF_OPEN_PER_SOURCE);
}

#[test]
fn activate_with_a_wrong_password_is_silence_and_counts() {
    for auth_type in [AuthType::Md2, AuthType::Md5, AuthType::Password] {
        let mut b = bench(&ALL);
        let mut caller = Caller::new(auth_type, "wrong");
        assert_eq!(caller.log_in(&mut b, "admin", PrivilegeLevel::User), Err(0xff), "no answer");
        let [Event::LoginFailed { user_id: Some(2), reason, .. }] = &b.events[..] else {
            panic!("{:?}", b.events)
        };
        assert_eq!(*reason, LoginFailure::WrongPassword);
        assert!(reason.counts());
        assert_eq!((b.bmc.half_open(), b.bmc.sessions().count()), (0, 0), "one guess a challenge");
    }
}

#[test]
fn activate_names_what_is_wrong() {
    let mut b = bench(&ALL);
    let mut caller = Caller::new(AuthType::Md5, "view");
    assert_eq!(caller.log_in(&mut b, "viewer", PrivilegeLevel::Operator), Err(0x86));
    let mut caller = Caller::new(AuthType::Md5, "password");
    let given = caller.challenge(&mut b, "admin").unwrap();
    let good = ActivateSession {
        auth_type: AuthType::Md5,
        max_privilege: PrivilegeLevel::User,
        challenge: given.challenge,
        outbound: 1,
    };
    for (ask, code) in [
        (ActivateSession { outbound: 0, ..good }, 0x84),
        (ActivateSession { challenge: [0; 16], ..good }, 0xcc),
        (ActivateSession { auth_type: AuthType::Md2, ..good }, 0xcc),
        (good, 0x00),
    ] {
        let message = caller.message(ACTIVATE, &ask.encode());
        let bytes = caller.packet(given.session_id, 0, &message);
        assert_eq!(caller.carry(&mut b, &bytes).unwrap().1, code, "{ask:?}");
    }
    // An id that was never given out.
    let message = caller.message(ACTIVATE, &good.encode());
    assert_eq!(caller.carry(&mut b, &caller.packet(0x1234, 0, &message)).unwrap().1, 0x85);
}

#[test]
fn activate_obeys_the_levels_of_a_type() {
    let mut config = config(&[AuthType::Md5]);
    config.ipmi15_auth[0].levels = vec![PrivilegeLevel::User];
    let mut b = Bench::with(config);
    let mut caller = Caller::new(AuthType::Md5, "password");
    assert_eq!(caller.log_in(&mut b, "admin", PrivilegeLevel::Operator), Err(0x86));
    assert_eq!(caller.log_in(&mut b, "admin", PrivilegeLevel::User), Ok(()));
}

#[test]
fn activate_when_no_session_is_free() {
    let mut config = config(&ALL);
    config.max_sessions = 1;
    let mut b = Bench::with(config);
    let mut first = Caller::new(AuthType::Md5, "password");
    first.log_in(&mut b, "admin", PrivilegeLevel::User).unwrap();
    let mut second = Caller::new(AuthType::Md2, "password");
    assert_eq!(second.log_in(&mut b, "admin", PrivilegeLevel::User), Err(0x81));
    assert_eq!(b.bmc.sessions().count(), 1);
}

#[test]
fn activate_repeated_leaves_one_session() {
    let mut b = bench(&ALL);
    let mut caller = Caller::new(AuthType::Md5, "password");
    let given = caller.challenge(&mut b, "admin").unwrap();
    let bytes = caller.activation(&given, PrivilegeLevel::User);
    let first = caller.carry(&mut b, &bytes).unwrap();
    let again = caller.carry(&mut b, &bytes).unwrap();
    assert_eq!((first.0, again.0), (OUTBOUND, OUTBOUND + 1), "each packet has its number");
    assert_eq!(first.2, again.2);
    // FreeIPMI counts the message up when it says it again.
    let bytes = caller.activation(&given, PrivilegeLevel::User);
    assert_eq!(caller.carry(&mut b, &bytes).unwrap().2, first.2);
    assert_eq!(b.bmc.sessions().count(), 1);
    assert_eq!(b.events.len(), 1);
    // Another level is another question.
    let other = caller.activation(&given, PrivilegeLevel::Operator);
    assert_eq!(b.datagram(peer(1), &other).received, Received::Dropped(DropReason::Sequence));
    // And from elsewhere it is nobody's.
    assert_eq!(b.datagram(peer(2), &bytes).received, Received::Dropped(DropReason::Sequence));
}

#[test]
fn a_password_of_twenty_bytes_is_not_for_ipmi_1_5() {
    use ipmi_session::{User, UserLookup};
    struct Long(bool);
    impl UserLookup for Long {
        fn named(&self, _: &[u8], _: std::net::SocketAddr) -> Vec<User> {
            let password = if self.0 { "seventeen letters" } else { "short" };
            vec![User {
                id: 2,
                max_privilege: PrivilegeLevel::User,
                password: Password::new(password.as_bytes()).unwrap(),
                ipmi15: self.0,
            }]
        }
    }
    for long in [true, false] {
        let mut b = bench(&ALL);
        let ask = GetSessionChallenge { auth_type: AuthType::Md5, name: [b'x'; 16] };
        let message = Caller::new(AuthType::Md5, "").message(CHALLENGE, &ask.encode());
        let bytes = V15Packet::sessionless(&message).to_datagram().unwrap();
        let out = b.bmc.handle_datagram(b.now, peer(1), &bytes, &Long(long), &mut b.rng);
        let Received::Answered { completion, .. } = out.received else { panic!("{out:?}") };
        assert_eq!(completion.0, 0x81);
    }
}

#[test]
fn packets_that_prove_nothing_change_nothing() {
    for auth_type in [AuthType::Md2, AuthType::Md5] {
        let mut b = bench(&ALL);
        let mut caller = Caller::new(auth_type, "password");
        caller.log_in(&mut b, "admin", PrivilegeLevel::User).unwrap();
        let good = caller.sealed(0x01, &[]);
        for at in 4..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let out = b.datagram(peer(1), &bad);
                assert!(matches!(out.received, Received::Dropped(_)), "byte {at} bit {bit}: {out:?}");
                assert!(out.transmits.is_empty());
            }
        }
        let mut stranger = Caller { auth_type: AuthType::None, ..Caller::new(auth_type, "") };
        (stranger.id, stranger.sequence) = (caller.id, caller.sequence);
        let bare = stranger.sealed(0x01, &[]);
        assert_eq!(b.datagram(peer(1), &bare).received, Received::Dropped(DropReason::Unprotected));
        assert!(b.requests.is_empty());
        // The console may move, for its packets prove themselves.
        assert!(matches!(b.datagram(peer(9), &good).received, Received::Request { .. }));
    }
    for auth_type in [AuthType::None, AuthType::Password] {
        let mut b = bench(&ALL);
        let mut caller = Caller::new(auth_type, "password");
        caller.log_in(&mut b, "admin", PrivilegeLevel::User).unwrap();
        let bytes = caller.sealed(0x01, &[]);
        assert_eq!(b.datagram(peer(9), &bytes).received, Received::Dropped(DropReason::UnknownSession));
    }
}

#[test]
fn without_authentication_of_each_message_none_is_needed_after_the_login() {
    let mut config = config(&ALL);
    config.per_message_auth = false;
    let mut b = Bench::with(config);
    let mut caller = Caller::new(AuthType::Md5, "password");
    let given = caller.challenge(&mut b, "admin").unwrap();
    let bytes = caller.activation(&given, PrivilegeLevel::User);
    let (_, _, data) = caller.carry(&mut b, &bytes).unwrap();
    let activated = SessionActivated::decode(&data).unwrap();
    assert_eq!(activated.auth_type, AuthType::None);
    caller.auth_type = AuthType::None;
    (caller.id, caller.sequence) = (activated.session_id, activated.inbound);
    assert_eq!(caller.ask(&mut b, 0x3b, &[0]), Some((0, vec![2])));
}

#[test]
fn answers_that_are_too_long_for_ipmi_1_5_say_so() {
    let mut b = bench(&ALL);
    let mut caller = Caller::new(AuthType::Md5, "password");
    caller.log_in(&mut b, "admin", PrivilegeLevel::User).unwrap();
    for (length, code) in [(247, 0x00), (248, 0xce)] {
        let bytes = caller.sealed(0x01, &[]);
        assert_eq!(caller.carry(&mut b, &bytes), None);
        let token = b.requests.last().unwrap().token;
        let answer = b.bmc.respond(b.now, token, CompletionCode::OK, &vec![0; length], &mut b.rng).unwrap();
        let Ok(Datagram::V15(packet)) = Datagram::decode(&answer.bytes) else { panic!("not IPMI 1.5") };
        assert_eq!(LanResponse::decode(packet.payload).unwrap().completion.0, code, "{length} bytes");
    }
}

#[test]
fn the_two_kinds_of_sessions_do_not_take_each_others_packets() {
    let mut b = bench(&ALL);
    b.login(peer(2), crate::support::console_config("admin", "password", 3)).unwrap();
    let plus = b.bmc.sessions().next().unwrap().id;
    let mut caller = Caller::new(AuthType::Md5, "password");
    caller.log_in(&mut b, "admin", PrivilegeLevel::User).unwrap();
    (caller.id, caller.sequence) = (plus, 5);
    let bytes = caller.sealed(0x01, &[]);
    assert_eq!(b.datagram(peer(2), &bytes).received, Received::Dropped(DropReason::UnknownSession));
    assert_eq!(b.bmc.sessions().count(), 2);
}

/// The library's own console, which knows IPMI 1.5 too.
#[test]
fn a_console_logs_in_and_learns_what_is_wrong() {
    use crate::support::console_config;
    use ipmi_session::console::{ConsoleConfig, LoginError};

    let mut b = bench(&ALL);
    let by = |auth_type, name: &str, password: &str| ConsoleConfig {
        ipmi15: Some(auth_type),
        ..console_config(name, password, 3)
    };
    for auth_type in ALL {
        assert!(b.login(peer(1), by(auth_type, "admin", "password")).unwrap().is_ready(), "{auth_type:?}");
    }
    let refused = |message, code| LoginError::RefusedV15 { message, completion: CompletionCode(code) };
    let unknown = b.login(peer(1), by(AuthType::Md5, "nobody", "password")).err();
    assert_eq!(unknown, Some(refused("Get Session Challenge", 0x81)));
    let level = b.login(peer(1), by(AuthType::Md5, "viewer", "view")).err();
    assert_eq!(level, Some(refused("Activate Session", 0x86)));
    let long = b.login(peer(1), by(AuthType::Md5, "admin", "more than 16 bytes")).err();
    assert_eq!(long, Some(LoginError::NotForV15));
}

#[test]
fn two_consoles_do_not_disturb_each_other() {
    use crate::support::console_config;
    use ipmi_session::console::{ConsoleConfig, ConsoleEvent};

    // Each kind beside each other, and two of a kind.
    let mut b = bench(&ALL);
    let plus = console_config("admin", "password", 17);
    let old = ConsoleConfig { ipmi15: Some(AuthType::Md5), ..plus.clone() };
    let mut consoles: Vec<_> = [(1, &plus), (2, &old), (3, &plus), (4, &old)]
        .map(|(n, config)| (peer(n), b.login(peer(n), config.clone()).unwrap()))
        .into();
    for round in 0..50_u8 {
        let mut wanted = Vec::new();
        for (n, (from, console)) in consoles.iter_mut().enumerate() {
            let data = [round, u8::try_from(n).unwrap()];
            wanted.push((console.request(b.now, NetFn::CHASSIS, 0, 2, &data, &mut b.rng).unwrap(), data));
            b.pump(*from, console);
        }
        // Answered the other way round.
        for request in std::mem::take(&mut b.requests).into_iter().rev() {
            let answer = b.bmc.respond(b.now, request.token, CompletionCode::OK, &request.data, &mut b.rng);
            let answer = answer.unwrap();
            for (_, console) in &mut consoles {
                console.handle_datagram(b.now, &answer.bytes, &mut b.rng);
            }
        }
        for ((_, console), (wanted, sent)) in consoles.iter_mut().zip(wanted) {
            let Some(ConsoleEvent::Response { id, data, .. }) = console.poll_event() else {
                panic!("no answer")
            };
            assert_eq!((id, data.as_slice()), (wanted, &sent[..]));
            assert_eq!(console.poll_event(), None);
        }
    }
    let (from, mut first) = consoles.remove(0);
    first.close(b.now, &mut b.rng);
    b.pump(from, &mut first);
    assert_eq!(b.bmc.sessions().count(), 3, "one that leaves takes no other with it");
}
