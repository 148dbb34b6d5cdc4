//! Inside a session: sequence numbers, repetitions, privilege, time-outs, the commands of the session layer.

use std::time::Duration;

use ipmi_session::{
    CloseReason, Config, DropReason, Endpoint, Event, Received,
    console::{Console, ConsoleConfig, ConsoleEvent, RequestId},
    event::Sent,
    limits,
};
use ipmi_wire::{
    CompletionCode as C, LanRequest, LanResponse, NetFn, PrivilegeLevel,
    session::{Datagram, PayloadType, V15Packet, v20::V20Header},
};

use crate::support::{Bench, GUID, console_config, peer};

fn login(b: &mut Bench, n: u16) -> Console {
    b.login(peer(n), console_config("admin", "password", 17)).unwrap()
}

fn send(b: &mut Bench, console: &mut Console, cmd: u8, data: &[u8]) -> (RequestId, Vec<u8>) {
    let id = console.request(b.now, NetFn::APP, 0, cmd, data, &mut b.rng).unwrap();
    (id, console.poll_transmit().unwrap())
}

/// A command of the session layer, answered at once.
fn ask(b: &mut Bench, n: u16, console: &mut Console, cmd: u8, data: &[u8]) -> (C, Vec<u8>) {
    let id = console.request(b.now, NetFn::APP, 0, cmd, data, &mut b.rng).unwrap();
    b.pump(peer(n), console);
    match console.poll_event() {
        Some(ConsoleEvent::Response { id: got, completion, data }) if got == id => (completion, data),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repetition_is_swallowed_while_pending_and_answered_from_the_cache_after() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    let (id, bytes) = send(&mut b, &mut console, 0x01, &[]);
    let out = b.datagram(peer(1), &bytes);
    assert!(out.transmits.is_empty() && out.events.len() == 1);
    let out = b.datagram(peer(1), &bytes);
    assert_eq!((out.received, out.transmits.len(), out.events.len()), (Received::Repeated, 0, 0));

    b.now += Duration::from_millis(700);
    let token = b.requests[0].token;
    let answer = b.bmc.respond(b.now, token, C::OK, b"abc", &mut b.rng).unwrap();
    assert!(b.bmc.respond(b.now, token, C::OK, b"abc", &mut b.rng).is_none(), "answered once");
    let out = b.datagram(peer(1), &bytes);
    assert_eq!(out.transmits.len(), 1);
    assert!(matches!(out.transmits[0].what, Sent::Response { repeated: true, completion: C::OK, .. }));
    assert_eq!(b.requests.len(), 1);

    for bytes in [&out.transmits[0].bytes, &answer.bytes, &answer.bytes] {
        console.handle_datagram(b.now, bytes, &mut b.rng);
    }
    let want = ConsoleEvent::Response { id, completion: C::OK, data: b"abc".to_vec() };
    assert_eq!((console.poll_event(), console.poll_event()), (Some(want), None));

    // The same command under a new session sequence number is a new request.
    let (_, bytes) = send(&mut b, &mut console, 0x01, &[]);
    b.datagram(peer(1), &bytes);
    assert_eq!(b.requests.len(), 2);
}

#[test]
fn answers_may_come_in_any_order() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    let ids: Vec<RequestId> = (0..5)
        .map(|n| {
            let (id, bytes) = send(&mut b, &mut console, 0x01, &[n]);
            b.datagram(peer(1), &bytes);
            id
        })
        .collect();
    for n in [3, 0, 4, 2, 1] {
        let (token, data) = (b.requests[n].token, b.requests[n].data.clone());
        let answer = b.bmc.respond(b.now, token, C::OK, &data, &mut b.rng).unwrap();
        console.handle_datagram(b.now, &answer.bytes, &mut b.rng);
        let data = vec![u8::try_from(n).unwrap()];
        let want = ConsoleEvent::Response { id: ids[n], completion: C::OK, data };
        assert_eq!(console.poll_event(), Some(want));
    }
}

#[test]
fn too_many_pending_requests_are_told_busy() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    let mut replies = 0;
    for n in 0..limits::MAX_PENDING_PER_SESSION + 1 {
        // Answers that are lost let the console forget; the BMC still has the requests.
        let bytes = loop {
            match console.request(b.now, NetFn::APP, 0, 1, &[], &mut b.rng) {
                Ok(_) => break console.poll_transmit().unwrap(),
                Err(_) => {
                    b.now += Duration::from_secs(1);
                    console.handle_timeout(b.now);
                    while console.poll_transmit().is_some() {}
                }
            }
        };
        let out = b.datagram(peer(1), &bytes);
        replies += out.transmits.len();
        assert_eq!(out.transmits.len(), usize::from(n == limits::MAX_PENDING_PER_SESSION));
        if let Received::Answered { completion, .. } = out.received {
            assert_eq!(completion, C::NODE_BUSY);
        }
    }
    assert_eq!(replies, 1);
    assert_eq!(b.requests.len(), limits::MAX_PENDING_PER_SESSION);
}

#[test]
fn privilege_begins_at_user_and_is_raised_within_limits() {
    let mut b = Bench::new();
    let config = ConsoleConfig { privilege: PrivilegeLevel::User, ..console_config("admin", "password", 3) };
    let mut user = b.login(peer(1), config).unwrap();
    assert_eq!(b.bmc.sessions().next().unwrap().privilege, PrivilegeLevel::User);
    assert_eq!(ask(&mut b, 1, &mut user, 0x3b, &[0]), (C::OK, vec![2]));
    // RAKP 1 asked for USER: more is above the session's limit, though the user could have it.
    assert_eq!(ask(&mut b, 1, &mut user, 0x3b, &[4]), (C::PRIVILEGE_ABOVE_LIMIT, vec![]));
    assert_eq!(ask(&mut b, 1, &mut user, 0x3b, &[5]), (C::PRIVILEGE_NOT_AVAILABLE_FOR_USER, vec![]));

    let mut admin = login(&mut b, 2);
    for (request, want) in [
        (&[0][..], (C::OK, vec![4])),
        (&[3], (C::OK, vec![3])),
        (&[0], (C::OK, vec![3])),
        (&[1], (C::INVALID_DATA_FIELD, vec![])),
        (&[6], (C::INVALID_DATA_FIELD, vec![])),
        (&[], (C::REQUEST_LENGTH_INVALID, vec![])),
        (&[4, 0], (C::REQUEST_LENGTH_INVALID, vec![])),
    ] {
        assert_eq!(ask(&mut b, 2, &mut admin, 0x3b, request), want, "{request:?}");
    }
    assert!(b.requests.is_empty(), "none of it reaches the handlers");
}

#[test]
fn close_session_frees_ones_own_and_an_admin_may_close_any() {
    let mut b = Bench::new();
    let viewer = ConsoleConfig { privilege: PrivilegeLevel::User, ..console_config("viewer", "view", 3) };
    let mut viewer = b.login(peer(1), viewer).unwrap();
    let mut admin = login(&mut b, 2);
    let by_name = |b: &Bench, name: &[u8]| b.bmc.sessions().find(|s| s.user_name.as_bytes() == name).unwrap();
    let (viewer_info, admin_info) = (by_name(&b, b"viewer"), by_name(&b, b"admin"));

    let id = admin_info.id.to_le_bytes();
    assert_eq!(ask(&mut b, 1, &mut viewer, 0x3c, &id).0, C::INSUFFICIENT_PRIVILEGE);
    assert_eq!(ask(&mut b, 2, &mut admin, 0x3c, &[1, 2, 3, 4]).0, C::INVALID_SESSION_ID);
    assert_eq!(ask(&mut b, 2, &mut admin, 0x3c, &[0, 0, 0, 0, 63]).0, C::INVALID_SESSION_HANDLE);
    assert_eq!(ask(&mut b, 2, &mut admin, 0x3c, &[1]).0, C::REQUEST_LENGTH_INVALID);
    assert_eq!(ask(&mut b, 2, &mut admin, 0x3c, &[0, 0, 0, 0, viewer_info.handle]).0, C::OK);
    let Some(Event::SessionClosed { session, reason }) = b.events.last() else { panic!() };
    assert_eq!((session.id, *reason), (viewer_info.id, CloseReason::BySession(admin_info.id)));

    admin.close(b.now, &mut b.rng);
    b.pump(peer(2), &mut admin);
    assert_eq!(admin.poll_event(), Some(ConsoleEvent::Closed));
    let Some(Event::SessionClosed { reason: CloseReason::ByConsole, .. }) = b.events.last() else { panic!() };
    assert_eq!((b.bmc.sessions().count(), b.bmc.next_timeout()), (0, None));
}

#[test]
fn other_logical_units_do_not_have_the_session_commands() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    let id = b.bmc.sessions().next().unwrap().id.to_le_bytes();
    for (cmd, data) in [(0x3b, &[2][..]), (0x3c, &id), (0x3d, &[0])] {
        console.request(b.now, NetFn::APP, 2, cmd, data, &mut b.rng).unwrap();
        b.pump(peer(1), &mut console);
        let request = b.requests.pop().unwrap();
        assert_eq!((request.lun, request.cmd), (2, cmd), "for the handlers to refuse");
    }
    assert_eq!(b.bmc.sessions().next().unwrap().privilege, PrivilegeLevel::Administrator);
}

#[test]
fn a_request_of_a_closed_session_needs_no_answer() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    let (_, bytes) = send(&mut b, &mut console, 0x01, &[]);
    b.datagram(peer(1), &bytes);
    let closed = b.bmc.close_sessions(|s| s.user_id == 2);
    assert!(matches!(closed[..], [Event::SessionClosed { reason: CloseReason::ByBmc, .. }]));
    let token = b.requests[0].token;
    assert!(b.bmc.respond(b.now, token, C::OK, &[], &mut b.rng).is_none());
    assert_eq!(b.datagram(peer(1), &bytes).received, Received::Dropped(DropReason::UnknownSession));
}

#[test]
fn get_session_info_shows_the_table() {
    let mut b = Bench::new();
    let mut one = login(&mut b, 0x0102);
    let info = b.bmc.sessions().next().unwrap();
    let want = [&[info.handle, 32, 1, 2, 4, 0x11, 127, 0, 0, 1][..], &[0; 6], &[0x02, 0x01]].concat();
    let id = info.id.to_le_bytes();
    let by_id = [&[0xff][..], &id].concat();
    for request in [&[0][..], &[1], &[0xfe, info.handle], &by_id] {
        assert_eq!(ask(&mut b, 0x0102, &mut one, 0x3d, request), (C::OK, want.clone()), "{request:?}");
    }
    assert_eq!(ask(&mut b, 0x0102, &mut one, 0x3d, &[2]), (C::OK, vec![0, 32, 1]));
    assert_eq!(ask(&mut b, 0x0102, &mut one, 0x3d, &[0xfe, 9]).0, C::NOT_PRESENT);
    assert_eq!(ask(&mut b, 0x0102, &mut one, 0x3d, &[]).0, C::REQUEST_LENGTH_INVALID);
    assert_eq!(ask(&mut b, 0x0102, &mut one, 0x3d, &[0xff, 1]).0, C::REQUEST_LENGTH_INVALID);
}

#[test]
fn a_silent_session_ends_and_a_busy_one_lives() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    for _ in 0..5 {
        b.wait(59);
        assert!(b.bmc.handle_timeout(b.now).is_empty());
        ask(&mut b, 1, &mut console, 0x3b, &[0]);
    }
    assert_eq!(b.bmc.next_timeout(), Some(b.now + limits::INACTIVITY_TIMEOUT));
    b.wait(60);
    // A datagram that comes before the timer does not wake it.
    let (_, bytes) = send(&mut b, &mut console, 0x01, &[]);
    let out = b.datagram(peer(1), &bytes);
    assert_eq!(out.received, Received::Dropped(DropReason::UnknownSession));
    let [Event::SessionClosed { reason: CloseReason::Inactivity, .. }] = out.events[..] else { panic!() };
}

#[test]
fn a_console_may_change_its_address_when_it_can_prove_itself() {
    let mut b = Bench::with_suites(&[1, 3]);
    let mut console = b.login(peer(1), console_config("admin", "password", 3)).unwrap();
    assert_eq!(ask(&mut b, 5, &mut console, 0x3b, &[0]).0, C::OK);
    assert_eq!(b.bmc.sessions().next().unwrap().peer, peer(5));
    // Suite 1 has no integrity code: only the address vouches for the console.
    b.bmc.close_sessions(|_| true);
    let mut console = b.login(peer(1), console_config("admin", "password", 1)).unwrap();
    let (_, bytes) = send(&mut b, &mut console, 0x01, &[]);
    assert_eq!(b.datagram(peer(5), &bytes).received, Received::Dropped(DropReason::UnknownSession));
}

#[test]
fn outside_a_session_only_three_commands_are_handed_out_in_either_frame() {
    let mut b = Bench::new();
    for netfn in (0..0x40).step_by(2) {
        for cmd in 0..=255_u8 {
            let message = LanRequest {
                rs_addr: 0x20,
                netfn: NetFn::new(netfn),
                rs_lun: 0,
                rq_addr: 0x81,
                rq_seq: 5,
                rq_lun: 0,
                cmd,
                data: &[0x8e, 4],
            }
            .encode();
            let v15 = V15Packet::sessionless(&message).to_datagram().unwrap();
            let v20 = V20Header::sessionless(PayloadType::Ipmi).to_datagram(&message).unwrap();
            for (frame, bytes) in [(15, v15), (20, v20)] {
                let out = b.datagram(peer(1), &bytes);
                let allowed = Endpoint::SESSIONLESS.contains(&(NetFn::new(netfn), cmd));
                let reply = if allowed {
                    assert!(out.transmits.is_empty());
                    let request = b.requests.pop().unwrap();
                    assert_eq!((request.session, request.cmd), (None, cmd));
                    b.bmc.respond(b.now, request.token, C::OK, &[1, 2], &mut b.rng).unwrap()
                } else {
                    assert!(out.events.is_empty(), "{netfn:#x} {cmd:#x}");
                    out.transmits[0].clone()
                };
                let payload = match (frame, Datagram::decode(&reply.bytes)) {
                    (15, Ok(Datagram::V15(p))) => p.payload,
                    (20, Ok(Datagram::V20(p))) => p.payload,
                    (_, other) => panic!("the reply to frame {frame} is {other:?}"),
                };
                let response = LanResponse::decode(payload).unwrap();
                assert_eq!((response.rq_seq, response.cmd), (5, cmd));
                let want = match (allowed, frame, netfn, cmd) {
                    (true, ..) => C::OK,
                    (_, 15, 6, 0x39) => C::INVALID_DATA_FIELD,
                    (_, 15, 6, 0x3a) => C(0x85),
                    _ => C::INSUFFICIENT_PRIVILEGE,
                };
                assert_eq!(response.completion, want, "{netfn:#x} {cmd:#x} {frame}");
                assert!(allowed || reply.bytes.len() <= bytes.len(), "no amplification");
            }
        }
    }
    assert_eq!(b.bmc.next_timeout(), None, "nothing is left waiting");
}

#[test]
fn unanswered_requests_outside_a_session_do_not_block_for_ever() {
    let mut b = Bench::new();
    let message = LanRequest {
        rs_addr: 0x20,
        netfn: NetFn::APP,
        rs_lun: 0,
        rq_addr: 0x81,
        rq_seq: 0,
        rq_lun: 0,
        cmd: 0x38,
        data: &[],
    }
    .encode();
    let bytes = V15Packet::sessionless(&message).to_datagram().unwrap();
    for _ in 0..limits::MAX_PENDING_SESSIONLESS {
        assert_eq!(b.datagram(peer(1), &bytes).events.len(), 1);
    }
    assert_eq!(b.datagram(peer(1), &bytes).received, Received::Dropped(DropReason::Busy));
    b.now = b.bmc.next_timeout().unwrap();
    assert_eq!(b.datagram(peer(1), &bytes).events.len(), 1);
}

#[test]
fn answers_that_are_too_long_become_an_error() {
    let mut b = Bench::new();
    let mut console = login(&mut b, 1);
    let (id, bytes) = send(&mut b, &mut console, 0x01, &[]);
    b.datagram(peer(1), &bytes);
    let data = vec![0; limits::MAX_MESSAGE_DATA + 1];
    let answer = b.bmc.respond(b.now, b.requests[0].token, C::OK, &data, &mut b.rng).unwrap();
    console.handle_datagram(b.now, &answer.bytes, &mut b.rng);
    let want = ConsoleEvent::Response { id, completion: C::RESPONSE_UNAVAILABLE, data: vec![] };
    assert_eq!(console.poll_event(), Some(want));
}

/// A session without protection, whose datagrams a test can number as it likes.
struct Bare {
    bench: Bench,
    session: u32,
    sequence: u32,
}

impl Bare {
    fn new() -> Self {
        let mut config = Config::new(GUID);
        config.set_cipher_suites(&[0]).unwrap();
        config.changes = |netfn, cmd| (netfn, cmd) == (NetFn::CHASSIS, 0x02);
        let mut bench = Bench::with(config);
        let login =
            ConsoleConfig { privilege: PrivilegeLevel::User, ..console_config("admin", "password", 0) };
        bench.login(peer(1), login).unwrap();
        let session = bench.bmc.sessions().next().unwrap().id;
        Self { bench, session, sequence: 0 }
    }

    /// A chassis command under the next session sequence number.
    fn send(&mut self, rq_seq: u8, cmd: u8, data: &[u8]) -> Received {
        let message = LanRequest {
            rs_addr: 0x20,
            netfn: NetFn::CHASSIS,
            rs_lun: 0,
            rq_addr: 0x81,
            rq_seq,
            rq_lun: 0,
            cmd,
            data,
        };
        self.sequence += 1;
        let header = V20Header {
            payload_type: PayloadType::Ipmi,
            encrypted: false,
            authenticated: false,
            session_id: self.session,
            sequence: self.sequence,
        };
        let bytes = header.to_datagram(&message.encode()).unwrap();
        self.bench.datagram(peer(1), &bytes).received
    }

    fn answer(&mut self, completion: C) {
        let token = self.bench.requests.last().unwrap().token;
        self.bench.bmc.respond(self.bench.now, token, completion, &[], &mut self.bench.rng).unwrap();
    }

    fn carried_out(&self) -> usize {
        self.bench.requests.len()
    }
}

#[test]
fn what_changes_something_is_known_again_under_another_session_sequence_number() {
    let mut b = Bare::new();
    assert!(matches!(b.send(5, 0x02, &[2]), Received::Request { .. }));
    assert_eq!(b.send(5, 0x02, &[2]), Received::Repeated, "while it is pending");
    b.answer(C::OK);
    b.bench.wait(18);
    assert_eq!(b.send(5, 0x02, &[2]), Received::Repeated, "and when it is answered");
    assert_eq!(b.carried_out(), 1);
}

#[test]
fn what_is_no_repetition_is_carried_out() {
    let carried_out = |steps: &dyn Fn(&mut Bare)| {
        let mut b = Bare::new();
        b.send(5, 0x02, &[2]);
        b.answer(C::OK);
        steps(&mut b);
        b.carried_out()
    };
    let renumbered = |b: &mut Bare| {
        b.send(6, 0x02, &[2]);
    };
    assert_eq!(carried_out(&renumbered), 2, "another request sequence number");
    let other = |b: &mut Bare| {
        b.send(5, 0x02, &[3]);
    };
    assert_eq!(carried_out(&other), 2, "other data");
    let late = |b: &mut Bare| {
        b.bench.now += limits::RESEND_WINDOW;
        b.send(5, 0x02, &[2]);
    };
    assert_eq!(carried_out(&late), 2, "long after");
    // A console that numbers everything alike, and does one thing, another, and the first again.
    let alternating = |b: &mut Bare| {
        b.send(5, 0x02, &[0]);
        b.answer(C::OK);
        b.send(5, 0x02, &[2]);
    };
    assert_eq!(carried_out(&alternating), 3, "something else came between");
    // What only reads is read afresh.
    let reading = |b: &mut Bare| {
        b.send(5, 0x01, &[]);
        b.answer(C::OK);
        b.send(5, 0x01, &[]);
    };
    assert_eq!(carried_out(&reading), 3, "a question");
    let mut refused = Bare::new();
    refused.send(5, 0x02, &[2]);
    refused.answer(C::NODE_BUSY);
    refused.send(5, 0x02, &[2]);
    assert_eq!(refused.carried_out(), 2, "refused before");
}
