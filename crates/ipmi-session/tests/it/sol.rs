//! Serial over LAN: who may have it, and that everything typed and printed arrives once and in order over a bad link.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use ipmi_session::{
    CloseReason, Config, Endpoint, Event, Pace, SolEnd, SolPolicy,
    console::{Console, ConsoleConfig, ConsoleEvent},
    sol,
};
use ipmi_wire::{
    CompletionCode as C, NetFn, PrivilegeLevel,
    command::{
        Payload,
        activation::{PayloadActivated, PayloadActivationStatus, PayloadInstanceInfo},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::{Bench, GUID, Users, console_config, peer};

const ACTIVATE: u8 = 0x48;
const DEACTIVATE: u8 = 0x49;
const STATUS: u8 = 0x4a;
const INSTANCE: u8 = 0x4b;
/// As ipmitool sends it.
const WANT: [u8; 6] = [1, 1, 0xc6, 0, 0, 0];
const DROP: [u8; 6] = [1, 1, 0, 0, 0, 0];

fn policy() -> SolPolicy {
    SolPolicy { enabled: true, ..SolPolicy::default() }
}

fn bench(suites: &[u8]) -> Bench {
    let mut b = Bench::with_suites(suites);
    assert!(b.bmc.set_sol_policy(policy()).is_empty());
    b
}

fn ask(b: &mut Bench, n: u16, console: &mut Console, cmd: u8, data: &[u8]) -> (C, Vec<u8>) {
    let id = console.request(b.now, NetFn::APP, 0, cmd, data, &mut b.rng).unwrap();
    b.pump(peer(n), console);
    match console.poll_event() {
        Some(ConsoleEvent::Response { id: got, completion, data }) if got == id => (completion, data),
        other => panic!("{other:?}"),
    }
}

fn login(b: &mut Bench, n: u16, suite: u8) -> Console {
    let console = b.login(peer(n), console_config("admin", "password", suite)).unwrap();
    b.events.clear();
    console
}

/// Passes everything on both ways until both are quiet; the machine takes `takes` of every input.
fn settle(b: &mut Bench, n: u16, console: &mut Console, takes: usize) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        console.sol_poll(b.now, &mut b.rng);
        let mut out = b.bmc.sol_transmits(b.now, &mut b.rng);
        while let Some(bytes) = console.poll_transmit() {
            let output = b.datagram(peer(n), &bytes);
            for event in &output.events {
                if let Event::SolInput { .. } = event {
                    b.bmc.sol_accept(takes, true);
                }
                seen.push(event.clone());
            }
            out.extend(output.transmits);
            out.extend(b.bmc.sol_transmits(b.now, &mut b.rng));
        }
        if out.is_empty() {
            return seen;
        }
        for transmit in out.into_iter().filter(|t| t.to == peer(n)) {
            console.handle_datagram(b.now, &transmit.bytes, &mut b.rng);
        }
    }
}

#[test]
fn payload_activation_answers_what_clients_check() {
    let mut b = bench(&[3]);
    let mut console = login(&mut b, 1, 3);
    let none = PayloadActivationStatus { capacity: 1, active: 0 }.encode();
    assert_eq!(ask(&mut b, 1, &mut console, STATUS, &[1]), (C::OK, none.clone()));
    assert_eq!(ask(&mut b, 1, &mut console, DEACTIVATE, &DROP).0, C(0x80), "not active");
    let (code, data) = ask(&mut b, 1, &mut console, ACTIVATE, &WANT);
    assert_eq!(code, C::OK);
    let answer = PayloadActivated::decode(&data).unwrap();
    assert_eq!((answer.port, answer.vlan, answer.aux), (623, 0xffff, [0; 4]));
    // FreeIPMI takes 5 to 259; ipmitool types as many characters as fit the whole inbound size.
    assert!((5..=255).contains(&answer.inbound_size) && (5..=259).contains(&answer.outbound_size));
    let id = b.bmc.sol_session().unwrap();
    assert!(matches!(b.events[..], [Event::SolActivated { session }] if session.id == id));

    assert_eq!(ask(&mut b, 1, &mut console, STATUS, &[1]).1, [1, 1, 0]);
    let info = PayloadInstanceInfo::decode(&ask(&mut b, 1, &mut console, INSTANCE, &[1, 1]).1).unwrap();
    assert_eq!((info.session_id, info.info[0]), (id, 1));
    // Its answer may have been lost.
    assert_eq!(ask(&mut b, 1, &mut console, ACTIVATE, &WANT), (C::OK, data));
    assert_eq!(b.events.len(), 1, "and nothing begins anew");
    assert_eq!(ask(&mut b, 1, &mut console, DEACTIVATE, &DROP), (C::OK, vec![]));
    assert!(
        matches!(b.events[1], Event::SolDeactivated { session, reason: SolEnd::ByConsole } if session == id)
    );
    assert_eq!(ask(&mut b, 1, &mut console, STATUS, &[1]).1, none);
    let info = PayloadInstanceInfo::decode(&ask(&mut b, 1, &mut console, INSTANCE, &[1, 1]).1).unwrap();
    assert_eq!(info.session_id, 0);
}

#[test]
fn payload_commands_refuse_bad_data() {
    let mut b = bench(&[3]);
    let mut console = login(&mut b, 1, 3);
    for (cmd, good) in [(ACTIVATE, &WANT[..]), (DEACTIVATE, &DROP), (STATUS, &[1]), (INSTANCE, &[1, 1])] {
        for n in 0..12 {
            let mut data = good.to_vec();
            data.resize(n, 0);
            let (code, _) = ask(&mut b, 1, &mut console, cmd, &data);
            assert_eq!(code == C(0xc7), n != good.len(), "{cmd:02x}h with {n} bytes: {code:?}");
        }
    }
    for (cmd, data, code) in [
        (ACTIVATE, &[0, 1, 0xc0, 0, 0, 0][..], 0xcc),
        (ACTIVATE, &[2, 1, 0xc0, 0, 0, 0], 0xcc),
        (ACTIVATE, &[1, 0, 0xc0, 0, 0, 0], 0xcc),
        (ACTIVATE, &[1, 2, 0xc0, 0, 0, 0], 0x82),
        (DEACTIVATE, &[0, 1, 0, 0, 0, 0], 0xcc),
        (DEACTIVATE, &[1, 0, 0, 0, 0, 0], 0xcc),
        (DEACTIVATE, &[1, 2, 0, 0, 0, 0], 0x80),
        (STATUS, &[0], 0xcc),
        (INSTANCE, &[1, 0], 0xcc),
        (INSTANCE, &[1, 2], 0xcc),
        (INSTANCE, &[3, 1], 0xcc),
    ] {
        assert_eq!(ask(&mut b, 1, &mut console, cmd, data).0, C(code), "{cmd:02x}h {data:02x?}");
    }
}

#[test]
fn payload_activation_obeys_the_policy() {
    let level = PrivilegeLevel::Administrator;
    let of = |change: fn(&mut SolPolicy)| {
        let mut policy = policy();
        change(&mut policy);
        policy
    };
    for (suite, policy, wish, code) in [
        (3, of(|p| p.enabled = false), 0xc0, 0x81),
        (3, of(|p| p.users_without = 1 << 2), 0xc0, 0xd4),
        (3, of(|p| p.users_without = !(1 << 2)), 0xc0, 0x00),
        (3, of(|p| p.force_encryption = true), 0xc0, 0x00),
        (3, policy(), 0x40, 0x84),
        (3, policy(), 0x80, 0x84),
        (2, policy(), 0x40, 0x00),
        // ipmitool always asks for encryption; there is as much as was negotiated.
        (2, policy(), 0xc6, 0x00),
        (2, of(|p| p.force_encryption = true), 0xc6, 0x84),
        (1, policy(), 0x00, 0x00),
        (1, of(|p| p.force_authentication = true), 0xc0, 0x84),
    ] {
        let mut b = Bench::with_suites(&[suite]);
        b.bmc.set_sol_policy(policy);
        let mut console = login(&mut b, 1, suite);
        let want = [1, 1, wish, 0, 0, 0];
        assert_eq!(
            ask(&mut b, 1, &mut console, ACTIVATE, &want).0,
            C(code),
            "suite {suite}, {policy:?}, {wish:02x}h"
        );
    }
    // The session's present level counts.
    let mut b = Bench::with_suites(&[3]);
    b.bmc.set_sol_policy(SolPolicy { privilege: level, ..policy() });
    let config =
        ConsoleConfig { privilege: PrivilegeLevel::Operator, ..console_config("admin", "password", 3) };
    let mut console = b.login(peer(1), config).unwrap();
    assert_eq!(ask(&mut b, 1, &mut console, ACTIVATE, &WANT).0, C(0xd4));
    assert_eq!(ask(&mut b, 1, &mut console, DEACTIVATE, &DROP).0, C(0xd4));
}

#[test]
fn payload_of_another_session_is_in_the_way_until_it_is_taken_away() {
    let mut b = bench(&[17]);
    let mut one = login(&mut b, 1, 17);
    let mut two = login(&mut b, 2, 17);
    assert_eq!(ask(&mut b, 1, &mut one, ACTIVATE, &WANT).0, C::OK);
    one.sol_start(policy().pace);
    assert_eq!(ask(&mut b, 2, &mut two, ACTIVATE, &WANT).0, C(0x80));
    assert_eq!(ask(&mut b, 2, &mut two, DEACTIVATE, &DROP).0, C::OK);
    settle(&mut b, 1, &mut one, usize::MAX);
    assert!(one.sol_news().unwrap().ended, "the one who had it is told");
    assert!(b.events.iter().any(|e| matches!(e, Event::SolDeactivated { reason: SolEnd::BySession(_), .. })));
    assert_eq!(ask(&mut b, 2, &mut two, ACTIVATE, &WANT).0, C::OK);
    two.sol_start(policy().pace);
    // What the first one still types goes nowhere.
    one.sol_start(policy().pace);
    one.sol_type(b.now, b"x", false);
    b.wait(1);
    assert!(settle(&mut b, 1, &mut one, usize::MAX).is_empty());
    assert!(one.sol_news().unwrap().ended, "and it is told again");

    // Its session's end sets it free, and so does switching it off.
    b.bmc.close_sessions(|session| session.peer == peer(2));
    assert_eq!((b.bmc.sol_session(), b.bmc.sol_room()), (None, 0));
    assert_eq!(ask(&mut b, 1, &mut one, ACTIVATE, &WANT).0, C::OK);
    let events = b.bmc.set_sol_policy(SolPolicy::default());
    assert!(matches!(events[..], [Event::SolDeactivated { reason: SolEnd::ByBmc, .. }]));
}

#[test]
fn payload_goes_from_a_session_that_may_not_have_it_any_more() {
    let of = |change: fn(&mut SolPolicy)| {
        let mut policy = policy();
        change(&mut policy);
        policy
    };
    for (suite, policy, ends) in [
        (3, of(|p| p.users_without = 1 << 2), true),
        (3, of(|p| p.users_without = !(1 << 2)), false),
        (3, of(|p| p.privilege = PrivilegeLevel::Oem), true),
        (3, of(|p| p.privilege = PrivilegeLevel::Administrator), false),
        (3, of(|p| p.force_encryption = true), false),
        (2, of(|p| p.force_encryption = true), true),
        (2, of(|p| p.force_authentication = true), false),
        (1, of(|p| p.force_authentication = true), true),
        (3, of(|p| p.port = 1623), false),
    ] {
        let mut b = bench(&[suite]);
        let mut console = login(&mut b, 1, suite);
        let wish = [1, 1, 0xc0, 0, 0, 0];
        assert_eq!(ask(&mut b, 1, &mut console, ACTIVATE, &wish).0, C::OK);
        console.sol_start(policy.pace);
        let events = b.bmc.set_sol_policy(policy);
        let ended = matches!(events[..], [Event::SolDeactivated { reason: SolEnd::ByBmc, .. }]);
        assert_eq!((ended, b.bmc.sol_session().is_none()), (ends, ends), "suite {suite}, {policy:?}");
        settle(&mut b, 1, &mut console, usize::MAX);
        assert_eq!(console.sol_news().is_some_and(|news| news.ended), ends, "the console is told");
    }
}

#[test]
fn a_retired_session_loses_the_payload_and_may_only_close_itself() {
    let mut b = bench(&[3]);
    let mut one = login(&mut b, 1, 3);
    let mut two = login(&mut b, 2, 3);
    assert_eq!(ask(&mut b, 1, &mut one, ACTIVATE, &WANT).0, C::OK);
    one.sol_start(policy().pace);
    let others = b.bmc.retire_sessions(|session| session.handle == 2);
    assert!(others.is_empty(), "it has another session");
    assert_eq!(ask(&mut b, 2, &mut two, DEACTIVATE, &DROP).0, C(0xd4));
    let events = b.bmc.retire_sessions(|session| session.handle == 1);
    assert!(matches!(events[..], [Event::SolDeactivated { reason: SolEnd::ByBmc, .. }]));
    assert_eq!(ask(&mut b, 1, &mut one, ACTIVATE, &WANT).0, C(0xd4));
    // Close Session: by handle, the other one's and its own.
    assert_eq!(ask(&mut b, 1, &mut one, 0x3c, &[0, 0, 0, 0, 2]).0, C(0xd4));
    assert_eq!(ask(&mut b, 1, &mut one, 0x3c, &[0, 0, 0, 0, 1]).0, C::OK);
    assert_eq!(b.bmc.sessions().count(), 1);
}

#[test]
fn payload_goes_when_its_console_is_silent_and_stays_while_it_only_acknowledges() {
    let mut b = bench(&[3]);
    let mut console = login(&mut b, 1, 3);
    ask(&mut b, 1, &mut console, ACTIVATE, &WANT);
    console.sol_start(policy().pace);
    for _ in 0..5 {
        b.wait(45);
        b.bmc.sol_output(b.now, b"tick", false);
        b.wait(1);
        settle(&mut b, 1, &mut console, usize::MAX);
        assert_eq!(console.sol_news().unwrap().printed, b"tick");
    }
    b.wait(61);
    let events = b.bmc.handle_timeout(b.now);
    assert!(matches!(events[..], [Event::SessionClosed { reason: CloseReason::Inactivity, .. }]));
    assert_eq!(b.bmc.sol_session(), None);
}

#[test]
fn characters_wait_for_others_but_not_long() {
    let mut b = bench(&[3]);
    let mut console = login(&mut b, 1, 3);
    ask(&mut b, 1, &mut console, ACTIVATE, &WANT);
    assert_eq!(b.bmc.sol_transmits(b.now, &mut b.rng), []);
    b.bmc.sol_output(b.now, b"a", false);
    assert_eq!(b.bmc.sol_transmits(b.now, &mut b.rng), []);
    b.now += sol::ACTIVATION_PAUSE;
    assert_eq!(b.bmc.next_timeout(), Some(b.now));
    assert_eq!(b.bmc.sol_transmits(b.now, &mut b.rng).len(), 1);
    // One packet at a time, and the same again until it is acknowledged or the retries are used up.
    b.bmc.sol_output(b.now, &[b'b'; 200], false);
    let mut repeated = 0;
    while let Some(at) = b.bmc.next_timeout().filter(|at| *at < b.now + Duration::from_secs(10)) {
        b.now = at;
        repeated += b.bmc.sol_transmits(b.now, &mut b.rng).len();
    }
    assert_eq!(repeated, 7);
    // Any sign of life begins it anew, and nothing is lost.
    console.sol_start(policy().pace);
    ask(&mut b, 1, &mut console, STATUS, &[1]);
    settle(&mut b, 1, &mut console, usize::MAX);
    let want = [&b"a"[..], &[b'b'; 200]].concat();
    assert_eq!(console.sol_news().unwrap().printed, want);
    // As many characters as the threshold go at once.
    b.bmc.sol_output(b.now, &[b'c'; 96], false);
    assert_eq!(b.bmc.sol_transmits(b.now, &mut b.rng).len(), 1);
}

#[test]
fn what_the_machine_does_not_take_comes_again_and_a_break_comes_once() {
    let mut b = bench(&[17]);
    let mut console = login(&mut b, 1, 17);
    ask(&mut b, 1, &mut console, ACTIVATE, &WANT);
    console.sol_start(policy().pace);
    console.sol_type(b.now, b"hello", true);
    let mut typed = Vec::new();
    let mut breaks = 0;
    for _ in 0..10 {
        b.wait(1);
        for event in settle(&mut b, 1, &mut console, 2) {
            if let Event::SolInput { characters, send_break, .. } = event {
                typed.extend(characters.iter().take(2));
                breaks += u32::from(send_break);
            }
        }
    }
    assert_eq!((typed, breaks), (b"hello".to_vec(), 1));
    assert!(console.sol_is_idle());
}

#[test]
fn a_console_learns_that_output_was_lost_and_that_nobody_listens() {
    let mut b = bench(&[17]);
    let mut console = login(&mut b, 1, 17);
    ask(&mut b, 1, &mut console, ACTIVATE, &WANT);
    console.sol_start(policy().pace);
    b.bmc.sol_output(b.now, b"late", true);
    b.wait(1);
    settle(&mut b, 1, &mut console, usize::MAX);
    let news = console.sol_news().unwrap();
    assert_eq!((news.printed.as_slice(), news.lost, news.unavailable), (&b"late"[..], true, false));
    console.sol_type(b.now, b"x", false);
    b.wait(1);
    console.sol_poll(b.now, &mut b.rng);
    let bytes = console.poll_transmit().unwrap();
    assert!(matches!(b.datagram(peer(1), &bytes).events[..], [Event::SolInput { .. }]));
    b.bmc.sol_accept(1, false);
    settle(&mut b, 1, &mut console, usize::MAX);
    assert!(console.sol_news().unwrap().unavailable && console.sol_is_idle());
}

/// What is on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToBmc(Vec<u8>),
    ToConsole(Vec<u8>),
}

/// Console, BMC and machine over a link that loses, repeats, delays and so reorders.
struct World {
    now: Instant,
    rng: StdRng,
    agenda: BinaryHeap<Reverse<(Instant, u64, Way)>>,
    count: u64,
    bmc: Endpoint,
    console: Console,
    alive_at: Instant,
    /// The session of a console that vanished.
    gone: Option<u32>,
    /// What the machine was told, and what it will print.
    heard: Vec<u8>,
    to_print: Vec<u8>,
    to_type: Vec<u8>,
    seen: Vec<u8>,
    breaks: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Instant::now();
        let mut bmc = Endpoint::new(Config::new(GUID));
        bmc.set_sol_policy(policy());
        let config = ConsoleConfig { retries: 60, ..console_config("admin", "password", 17) };
        let console = Console::new(config, now, &mut rng);
        let text = |rng: &mut StdRng, n: usize| (0..n).map(|_| rng.random_range(0..=255)).collect();
        Self {
            now,
            agenda: BinaryHeap::new(),
            count: 0,
            bmc,
            console,
            alive_at: now,
            gone: None,
            heard: Vec::new(),
            to_print: text(&mut rng, 6000),
            to_type: text(&mut rng, 1500),
            seen: Vec::new(),
            breaks: 0,
            rng,
        }
    }

    fn link(&mut self, way: fn(Vec<u8>) -> Way, bytes: &[u8]) {
        let copies = match self.rng.random_range(0..10) {
            0 | 1 => 0,
            2 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let slow = self.rng.random_bool(0.1);
            let delay = Duration::from_millis(self.rng.random_range(0..if slow { 3000 } else { 100 }));
            self.count += 1;
            self.agenda.push(Reverse((self.now + delay, self.count, way(bytes.to_vec()))));
        }
    }

    fn flush(&mut self) {
        self.console.sol_poll(self.now, &mut self.rng);
        while let Some(bytes) = self.console.poll_transmit() {
            self.link(Way::ToBmc, &bytes);
        }
        for transmit in self.bmc.sol_transmits(self.now, &mut self.rng) {
            self.link(Way::ToConsole, &transmit.bytes);
        }
    }

    /// One step in time; a console that has nothing to say asks something every ten seconds, as all clients do.
    fn step(&mut self) {
        self.flush();
        let next = self.agenda.peek().map(|Reverse((t, ..))| *t);
        let timers = [self.console.next_timeout(), self.bmc.next_timeout(), next];
        let alive = self.alive_at + Duration::from_secs(10);
        self.now = timers.into_iter().flatten().chain([alive]).min().unwrap().max(self.now);
        if self.now >= alive {
            self.alive_at = self.now;
            let _ = self.console.request(self.now, NetFn::APP, 0, STATUS, &[1], &mut self.rng);
        }
        if self.agenda.peek().is_some_and(|Reverse((t, ..))| *t <= self.now) {
            match self.agenda.pop().unwrap().0.2 {
                Way::ToConsole(bytes) => self.console.handle_datagram(self.now, &bytes, &mut self.rng),
                Way::ToBmc(bytes) => self.at_bmc(&bytes),
            }
        } else {
            self.console.handle_timeout(self.now);
            for ended in self.bmc.handle_timeout(self.now) {
                assert!(
                    matches!(ended, Event::SessionClosed { session, .. } if Some(session.id) == self.gone),
                    "{ended:?}"
                );
            }
        }
        if let Some(news) = self.console.sol_news() {
            self.seen.extend(news.printed);
        }
    }

    fn at_bmc(&mut self, bytes: &[u8]) {
        let output = self.bmc.handle_datagram(self.now, peer(1), bytes, &Users::default(), &mut self.rng);
        for transmit in output.transmits {
            self.link(Way::ToConsole, &transmit.bytes);
        }
        for event in output.events {
            if let Event::SolInput { characters, send_break, .. } = event {
                // A machine that takes all, some or nothing.
                let takes = match self.rng.random_range(0..4) {
                    0 => self.rng.random_range(0..=characters.len()),
                    _ => characters.len(),
                };
                self.heard.extend(&characters[..takes]);
                self.breaks += u32::from(send_break);
                self.bmc.sol_accept(takes, true);
            }
        }
    }

    fn ask(&mut self, cmd: u8, data: &[u8]) -> (C, Vec<u8>) {
        let id = self.console.request(self.now, NetFn::APP, 0, cmd, data, &mut self.rng).unwrap();
        loop {
            self.step();
            while let Some(event) = self.console.poll_event() {
                match event {
                    ConsoleEvent::Response { id: got, completion, data } if got == id => {
                        return (completion, data);
                    }
                    ConsoleEvent::Response { .. } | ConsoleEvent::Ready { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn connect(&mut self) {
        while !self.console.is_ready() {
            self.step();
        }
        if self.ask(ACTIVATE, &WANT).0 == C(0x80) {
            // As FreeIPMI does with what a console that vanished has left behind. A lost answer makes it "not active".
            self.ask(DEACTIVATE, &DROP);
            assert_eq!(self.ask(ACTIVATE, &WANT).0, C::OK);
        }
        self.console.sol_start(Pace { retries: 200, ..policy().pace });
    }

    /// Types and prints until `typed` and `printed` bytes are through.
    fn talk(&mut self, typed: usize, printed: usize) {
        let (mut at_type, mut at_print) = (0, 0);
        while self.heard.len() < typed || self.seen.len() < printed {
            let piece = self.rng.random_range(1..40);
            if at_type < typed && self.rng.random_bool(0.2) {
                let end = typed.min(at_type + piece);
                let now = self.now;
                self.console.sol_type(now, &self.to_type[at_type..end], false);
                at_type = end;
            }
            if at_print < printed && self.rng.random_bool(0.3) {
                let end = printed.min(at_print + piece * 4).min(at_print + self.bmc.sol_room());
                let now = self.now;
                self.bmc.sol_output(now, &self.to_print[at_print..end], false);
                at_print = end;
            }
            self.step();
        }
    }
}

/// Shows the seed of a run that fails, whatever it fails with.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {}", self.0);
        }
    }
}

#[test]
fn everything_typed_and_printed_arrives_once_and_in_order() {
    for seed in 0..60 {
        let _seed = Seed(seed);
        let mut w = World::new(seed);
        w.connect();
        let (typed, printed) = (w.to_type.len(), w.to_print.len());
        w.talk(typed, printed);
        let now = w.now;
        w.console.sol_type(now, b"", true);
        while !w.console.sol_is_idle() {
            w.step();
        }
        assert!(w.heard == w.to_type, "typed is not what was heard");
        assert!(w.seen == w.to_print, "printed is not what was seen");
        assert_eq!(w.breaks, 1);
    }
}

#[test]
fn a_console_that_vanished_is_replaced_by_another() {
    for seed in 0..20 {
        let _seed = Seed(seed);
        let mut w = World::new(seed);
        w.connect();
        w.talk(300, 900);
        assert!(w.seen == w.to_print[..900] && w.heard == w.to_type[..300]);
        // It is gone without a word, datagrams of it still under way.
        let config = ConsoleConfig { retries: 60, ..console_config("admin", "password", 17) };
        w.gone = w.bmc.sol_session();
        w.console = Console::new(config, w.now, &mut w.rng);
        w.seen.clear();
        w.heard.clear();
        w.connect();
        w.talk(200, 400);
        assert!(w.seen == w.to_print[..400] && w.heard == w.to_type[..200], "the second one sees its own");
    }
}
