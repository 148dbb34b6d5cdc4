//! Hostile datagrams against the daemon: it answers by the specification or drops them, goes on serving, and neither
//! panics, leaks a session, obeys a stranger, nor writes a secret to its log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use std::net::UdpSocket;

use ipmi_session::console::LoginError;
use ipmi_session::{Password, UserName};
use ipmi_wire::rakp::RakpStatus;
use polybmc_tests::console::{self, Session};
use polybmc_tests::lab::{self, Builder, Lab, USER};
use polybmc_tests::relay::{Relay, Way};
use rand::{RngExt as _, SeedableRng as _};

/// A password that is found in a log if it is there.
const SECRET: &str = "Hush-7c4e1b90";
/// Sends as many datagrams before it waits for the daemon to have taken them: a socket's buffer has an end.
const BATCH: usize = 32;
/// The limits that the daemon states for one BMC (`ipmi_session::limits`).
const SESSIONS: usize = ipmi_session::limits::DEFAULT_SESSIONS;

const POWER_ON: (u8, u8, &[u8]) = (0x00, 0x02, &[0x01]);

/// A lab whose password is the secret, and which logs all it can.
fn hostile_lab() -> Builder {
    Lab::builder(1).defaults(&format!("password = \"{SECRET}\"")).log("trace")
}

/// The administrator's login with the lab's password.
fn login(suite: u8) -> ipmi_session::console::ConsoleConfig {
    let mut config = console::login(suite);
    config.password = Password::new(SECRET.as_bytes()).unwrap();
    config
}

#[track_caller]
fn session(lab: &Lab) -> Session {
    Session::try_open(lab.node(0).ipmi, login(17)).unwrap()
}

/// Checks what must hold whatever was sent: the daemon serves, has not panicked, and has kept its secret.
#[track_caller]
fn assert_unharmed(lab: &Lab) {
    let node = lab.node(0);
    let said = lab::ipmitool_as(node.ipmi, USER, SECRET).args(["session", "info", "active"]).ok();
    let active = said.lines().find_map(|line| line.strip_prefix("active sessions")).unwrap_or_default();
    assert!(active.ends_with(": 1"), "sessions are left over:\n{said}");
    let log = lab.daemon.log();
    for word in ["panic", "ended abnormally"] {
        assert!(!log.contains(word), "{word} in the daemon's log");
    }
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal = format!("{:?}", SECRET.as_bytes());
    let decimal = decimal.trim_matches(['[', ']']);
    assert!(log.contains("IPMI session opened"), "nothing was logged, so nothing was shown");
    for form in [SECRET, &hex, &hex.to_uppercase(), decimal] {
        assert!(!log.contains(form), "the password is in the daemon's log as {form}");
    }
}

/// Sends datagrams, taking care that the daemon has seen them all, and throws away what it answers.
struct Gun {
    socket: UdpSocket,
    unsettled: usize,
    tag: u8,
}

impl Gun {
    fn new(lab: &Lab) -> Self {
        Self { socket: console::socket(lab.node(0).ipmi), unsettled: 0, tag: 0 }
    }

    fn fire(&mut self, datagram: &[u8]) {
        self.socket.send(datagram).expect("loopback takes datagrams");
        self.unsettled += 1;
        if self.unsettled == BATCH {
            self.settle();
        }
    }

    /// Opens the first half of a session and returns the id that the BMC gave it.
    #[track_caller]
    fn begin(&mut self) -> [u8; 4] {
        self.settle();
        self.socket.send(&open_session(0, 0x0102_0304)).expect("loopback takes datagrams");
        let answer = console::receive(&self.socket);
        assert_eq!(answer[17], 0, "Open Session was refused: {answer:02x?}");
        [answer[24], answer[25], answer[26], answer[27]]
    }

    /// Waits until the daemon has answered a ping behind all that was sent.
    #[track_caller]
    fn settle(&mut self) {
        self.unsettled = 0;
        self.tag = (self.tag + 1) % 0xff;
        self.socket.send(&ping(self.tag)).expect("loopback takes datagrams");
        while !is_pong(&console::receive(&self.socket), self.tag) {}
    }
}

fn ping(tag: u8) -> Vec<u8> {
    vec![0x06, 0x00, 0xff, 0x06, 0x00, 0x00, 0x11, 0xbe, 0x80, tag, 0x00, 0x00]
}

fn is_pong(datagram: &[u8], tag: u8) -> bool {
    datagram.len() == 28 && datagram[3] == 0x06 && datagram[8..10] == [0x40, tag]
}

/// A datagram of RMCP+ outside any session.
fn sessionless(payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
    [&[0x06, 0x00, 0xff, 0x07, 0x06, payload_type, 0, 0, 0, 0, 0, 0, 0, 0], &length[..], payload].concat()
}

/// An Open Session Request for suite 3.
fn open_session(tag: u8, console_id: u32) -> Vec<u8> {
    let algorithm = |kind: u8| [kind, 0, 0, 8, 1, 0, 0, 0];
    let head = [[tag, 0, 0, 0], console_id.to_le_bytes()].concat();
    sessionless(0x10, &[&head[..], &algorithm(0), &algorithm(1), &algorithm(2)].concat())
}

/// An IPMI message to the BMC, with its checksums.
fn message(netfn: u8, cmd: u8, data: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    let head = [0x20, netfn << 2];
    let body = [&[0x81, 0x04, cmd], data].concat();
    [&head[..], &[sum(&head)], &body, &[sum(&body)]].concat()
}

/// The same in a datagram of IPMI 1.5 outside any session.
fn sessionless_15(message: &[u8]) -> Vec<u8> {
    let length = u8::try_from(message.len()).unwrap();
    [&[0x06, 0x00, 0xff, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, length], message].concat()
}

/// All that ipmitool sends in one call.
fn captured(lab: &Lab, args: &str) -> Vec<Vec<u8>> {
    let relay = Relay::transparent(lab.node(0).ipmi);
    lab::ipmitool_as(relay.address(), USER, SECRET).args(args.split(' ')).ok();
    relay.seen().into_iter().filter(|seen| seen.way == Way::Request).map(|seen| seen.bytes).collect()
}

#[test]
fn a_replayed_conversation_does_nothing() {
    let lab = hostile_lab().start();
    let node = lab.node(0);
    let on = captured(&lab, "power on");
    node.await_power("on");
    node.put_down();
    let mark = lab.last_event();
    let mut gun = Gun::new(&lab);
    for _ in 0..3 {
        for datagram in &on {
            gun.fire(datagram);
        }
    }
    gun.settle();
    assert_eq!(node.power(), "off");
    assert_eq!(lab.kinds_since(mark, "node-0"), [""; 0]);
    assert_unharmed(&lab);
}

#[test]
fn every_cut_and_every_wrong_byte_of_a_conversation() {
    let lab = hostile_lab().start();
    let node = lab.node(0);
    let on = captured(&lab, "power on");
    node.await_power("on");
    node.put_down();
    let mark = lab.last_event();
    let mut gun = Gun::new(&lab);
    for datagram in &on {
        for length in 0..datagram.len() {
            gun.fire(&datagram[..length]);
        }
        for index in 0..datagram.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut wrong = datagram.clone();
                wrong[index] ^= mask;
                gun.fire(&wrong);
            }
        }
        gun.fire(&[&datagram[..], &[0]].concat());
        gun.fire(&[&datagram[..], datagram].concat());
    }
    gun.settle();
    assert_eq!(node.power(), "off");
    assert_eq!(lab.kinds_since(mark, "node-0"), [""; 0]);
    assert_unharmed(&lab);
}

#[test]
fn noise_of_every_size() {
    let lab = hostile_lab().start();
    let mut gun = Gun::new(&lab);
    let mut random = rand::rngs::StdRng::seed_from_u64(0x1b3f_55aa);
    // Headers that lead ever deeper into the parsers.
    let heads: [&[u8]; 7] = [
        &[],
        &[0x06, 0x00, 0xff, 0x06],
        &[0x06, 0x00, 0xff, 0x07],
        &[0x06, 0x00, 0xff, 0x07, 0x00, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x00, 0xff, 0x07, 0x06, 0x10, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x00, 0xff, 0x07, 0x06, 0x12, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x00, 0xff, 0x07, 0x06, 0xc0],
    ];
    for round in 0..4_000 {
        let head = heads[round % heads.len()];
        let length = random.random_range(0..120);
        let tail: Vec<u8> = (0..length).map(|_| random.random()).collect();
        gun.fire(&[head, &tail].concat());
    }
    for size in [1_499, 1_500, 1_501, 9_000, 65_507] {
        for head in heads {
            let mut large = vec![0x5a; size];
            large[..head.len()].copy_from_slice(head);
            gun.fire(&large);
            gun.settle();
        }
    }
    gun.settle();
    assert_unharmed(&lab);
}

/// Handshakes that begin well and go wrong at every place: cut, with a wrong byte, with lengths that lie.
#[test]
fn handshakes_that_go_wrong_half_way() {
    let lab = hostile_lab().start();
    let mut gun = Gun::new(&lab);
    let tail = |id: [u8; 4], name_length: u8, name: &[u8]| {
        [&[7, 0, 0, 0][..], &id, &[0x5a; 16], &[0x14, 0, 0, name_length], name].concat()
    };
    let whole = |id| tail(id, 5, USER.as_bytes());
    let length = whole([0; 4]).len();
    for cut in 0..length {
        let id = gun.begin();
        gun.fire(&sessionless(0x12, &whole(id)[..cut]));
    }
    for index in 0..length {
        let id = gun.begin();
        let mut wrong = whole(id);
        wrong[index] ^= 0xff;
        gun.fire(&sessionless(0x12, &wrong));
    }
    for name_length in [0, 1, 4, 6, 16, 17, 128, 255] {
        let id = gun.begin();
        gun.fire(&sessionless(0x12, &tail(id, name_length, USER.as_bytes())));
        gun.fire(&sessionless(0x12, &tail(id, name_length, &[b'x'; 255])));
    }
    for status in [0x00, 0x01, 0x0f, 0x12, 0xff] {
        for code in [0, 1, 19, 20, 21, 32, 64, 1_000] {
            let id = gun.begin();
            gun.fire(&sessionless(0x12, &whole(id)));
            let proof = [&[8, status, 0, 0][..], &id, &vec![0x11; code]].concat();
            for cut in [proof.len(), 8, 7, 3] {
                gun.fire(&sessionless(0x14, &proof[..cut]));
            }
        }
    }
    gun.settle();
    let log = lab.daemon.log();
    assert!(log.contains("\"RAKP 1\"") && log.contains("\"RAKP 3\""), "no handshake came so far");
    assert_unharmed(&lab);
}

/// Nothing but what the specification allows works without a session, in either framing.
#[test]
fn without_a_session_nothing_is_obeyed() {
    let lab = hostile_lab().start();
    let node = lab.node(0);
    let mark = lab.last_event();
    let mut gun = Gun::new(&lab);
    for netfn in (0..0x40).step_by(2) {
        for cmd in 0..=0xff {
            let message = message(netfn, cmd, &[0x01]);
            gun.fire(&sessionless_15(&message));
            gun.fire(&sessionless(0x00, &message));
            // Claims to be signed and encrypted, in no session and in one that does not exist.
            gun.fire(&sessionless(0xc0, &message));
            let mut stranger = sessionless(0xc0, &message);
            stranger[6..10].copy_from_slice(&[1, 2, 3, 4]);
            gun.fire(&stranger);
        }
    }
    gun.settle();
    assert_eq!(node.power(), "off");
    assert_eq!(lab.kinds_since(mark, "node-0"), [""; 0]);
    assert_unharmed(&lab);
}

#[test]
fn in_a_session_only_the_true_datagram_counts_and_it_counts_once() {
    for suite in [3, 17] {
        let lab = hostile_lab().start();
        let node = lab.node(0);
        let mut session = Session::try_open(node.ipmi, login(suite)).unwrap();
        let mark = lab.last_event();
        let (netfn, cmd, data) = POWER_ON;
        let genuine = session.seal(netfn, cmd, data);

        let mut gun = Gun::new(&lab);
        gun.socket = session.socket.try_clone().unwrap();
        for length in 0..genuine.len() {
            gun.fire(&genuine[..length]);
        }
        for index in 0..genuine.len() {
            // The RMCP header's reserved byte and its sequence number are nobody's secret and signed by nobody.
            if [1, 2].contains(&index) {
                continue;
            }
            for mask in [0x01, 0x80, 0xff] {
                let mut wrong = genuine.clone();
                wrong[index] ^= mask;
                gun.fire(&wrong);
            }
        }
        gun.settle();
        assert_eq!(lab.kinds_since(mark, "node-0"), [""; 0], "an altered datagram was obeyed");

        session.socket.send(&genuine).unwrap();
        assert_eq!(session.answer(), (0, vec![]));
        node.await_power("on");
        node.put_down();
        let mark = lab.last_event();
        // Repeated, it is answered and does nothing.
        for _ in 0..3 {
            session.socket.send(&genuine).unwrap();
            console::receive(&session.socket);
        }
        // From elsewhere, too, it does nothing.
        let mut elsewhere = Gun::new(&lab);
        elsewhere.fire(&genuine);
        elsewhere.settle();
        assert_eq!(lab.kinds_since(mark, "node-0"), [""; 0], "a repetition was obeyed");
        assert_eq!(node.power(), "off");

        // The session has not suffered.
        assert_eq!(session.ask(0x00, 0x01, &[]).0, 0);
        session.close();
        assert_unharmed(&lab);
    }
}

/// A repeated `power cycle` runs once: the very same datagram, as ipmitool and pyghmi repeat it.
#[test]
fn a_repeated_cycle_runs_once() {
    let lab = hostile_lab().start();
    let node = lab.node(0);
    node.bring_up();
    let mut session = session(&lab);
    let mark = lab.last_event();
    let cycle = session.seal(0x00, 0x02, &[0x02]);
    session.socket.send(&cycle).unwrap();
    assert_eq!(session.answer(), (0, vec![]));
    lab.await_event(mark, "node-0", "powered-on");
    for _ in 0..5 {
        session.socket.send(&cycle).unwrap();
        console::receive(&session.socket);
    }
    assert_eq!(session.ask(0x00, 0x01, &[]).0, 0);
    assert_eq!(lab.power_changes_since(mark, "node-0"), ["powered-off", "powered-on"]);
    // Off, so that a cycle that had been taken for a new one would be refused: the repetition is answered as before.
    node.put_down();
    let mark = lab.last_event();
    session.socket.send(&cycle).unwrap();
    console::receive(&session.socket);
    assert_eq!(lab.kinds_since(mark, "node-0"), [""; 0]);
    session.close();
    assert_unharmed(&lab);
}

#[test]
fn a_flood_of_handshakes_locks_nobody_out() {
    let lab = hostile_lab().start();
    let mut gun = Gun::new(&lab);
    for number in 0..3_000_u32 {
        let tag = number.to_le_bytes()[0];
        gun.fire(&open_session(tag, number + 1));
        if number % 500 == 499 {
            gun.settle();
            // From the flood's own address, in the middle of it.
            session(&lab).close();
        }
    }
    gun.settle();
    assert_unharmed(&lab);
}

/// The table of sessions has an end, says so by its status, and is as free as before when they are closed.
#[test]
fn sessions_are_limited_and_come_back() {
    let lab = hostile_lab().start();
    let node = lab.node(0);
    for _ in 0..2 {
        let sessions: Vec<Session> = (0..SESSIONS).map(|_| session(&lab)).collect();
        let refused = Session::try_open(node.ipmi, login(17)).map(|_| ()).unwrap_err();
        let status = RakpStatus::INSUFFICIENT_RESOURCES;
        assert!(matches!(refused, LoginError::Refused { status: said, .. } if said == status), "{refused:?}");
        let ran = lab::ipmitool_as(node.ipmi, USER, SECRET).args(["-R", "1", "power", "status"]).fails();
        assert!(
            ran.stderr.contains("insufficient resources for session"),
            "Ironic waits for these words: {ran}"
        );
        for session in sessions {
            session.close();
        }
    }
    assert_unharmed(&lab);
}

/// Wrong logins of every kind leave no session behind, and a name cannot forge a line of the log.
#[test]
fn failed_logins_leave_nothing_behind() {
    let lab = hostile_lab().start();
    let node = lab.node(0);
    for _ in 0..2 * SESSIONS {
        let mut wrong = login(3);
        wrong.password = Password::new(b"wrong").unwrap();
        assert_eq!(Session::try_open(node.ipmi, wrong).map(|_| ()).unwrap_err(), LoginError::WrongPassword);
        let mut stranger = login(17);
        stranger.user_name = UserName::new(b"x\nFORGED \x1b[31m").unwrap();
        let refused = Session::try_open(node.ipmi, stranger).map(|_| ()).unwrap_err();
        assert_eq!(refused, LoginError::Refused { message: "RAKP 1", status: RakpStatus::UNAUTHORIZED_NAME });
    }
    let log = lab.daemon.log();
    assert!(log.contains("FORGED"), "the failure was not logged, so nothing was shown");
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "a name broke out of its line");
    assert!(!log.contains("\x1b[31m"), "a name reached the terminal");
    assert_unharmed(&lab);
}
