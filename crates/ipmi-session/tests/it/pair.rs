//! Console and BMC over a bad link: it loses, repeats, delays and so reorders, all by seed.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

use ipmi_session::{
    AuthPolicy, Config, Endpoint, Event, RequestToken,
    console::{Console, ConsoleConfig, ConsoleEvent},
};
use ipmi_wire::{CompletionCode, NetFn, session::v15::AuthType};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::{GUID, Users, console_config, peer};

const REQUESTS: u16 = 40;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    AtBmc(Vec<u8>),
    AtConsole(Vec<u8>),
    /// The machine has done what this request asked for.
    Done(RequestToken, Vec<u8>),
}

/// All suites that there are.
const SUITES: [u8; 12] = [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17];

/// All ways of IPMI 1.5.
const AUTH_TYPES: [AuthType; 4] = [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::Password];

fn every_suite() -> Config {
    let mut config = Config::new(GUID);
    config.set_cipher_suites(&SUITES).unwrap();
    config.ipmi15_auth = AUTH_TYPES.map(AuthPolicy::everywhere).to_vec();
    config
}

struct World {
    now: Instant,
    rng: StdRng,
    /// What happens when; the number keeps what happens at one time in order.
    agenda: BinaryHeap<Reverse<(Instant, u64, Arrival)>>,
    count: u64,
    bmc: Endpoint,
    console: Console,
    executed: HashMap<u16, u32>,
    answered: HashMap<u16, u32>,
    wanted: HashMap<ipmi_session::console::RequestId, u16>,
    opened: u32,
    closed: u32,
}

impl World {
    fn new(seed: u64, config: ConsoleConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Instant::now();
        // Patient enough that giving up is next to impossible at this loss.
        let config = ConsoleConfig { retries: 40, ..config };
        let console = Console::new(config, now, &mut rng);
        Self {
            now,
            agenda: BinaryHeap::new(),
            count: 0,
            bmc: Endpoint::new(every_suite()),
            console,
            executed: HashMap::new(),
            answered: HashMap::new(),
            wanted: HashMap::new(),
            opened: 0,
            closed: 0,
            rng,
        }
    }

    fn at(&mut self, delay: Duration, arrival: Arrival) {
        self.count += 1;
        self.agenda.push(Reverse((self.now + delay, self.count, arrival)));
    }

    /// The link: one in five is lost, one in ten comes twice, each copy takes up to three seconds.
    fn link(&mut self, arrival: fn(Vec<u8>) -> Arrival, bytes: &[u8]) {
        let copies = match self.rng.random_range(0..10) {
            0 | 1 => 0,
            2 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let slow = self.rng.random_bool(0.1);
            let delay = Duration::from_millis(self.rng.random_range(0..if slow { 3000 } else { 100 }));
            self.at(delay, arrival(bytes.to_vec()));
        }
    }

    fn events(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::SessionOpened(_) => self.opened += 1,
                Event::SessionClosed { .. } => self.closed += 1,
                Event::LoginFailed { reason, .. } => panic!("{reason:?}"),
                event @ (Event::SolActivated { .. }
                | Event::SolDeactivated { .. }
                | Event::SolInput { .. }
                | Event::SolFlush { .. }) => panic!("{event:?}"),
                Event::Request(request) => {
                    let number = u16::from_le_bytes(request.data.as_slice().try_into().unwrap());
                    *self.executed.entry(number).or_default() += 1;
                    let work = Duration::from_millis(self.rng.random_range(0..2000));
                    self.at(work, Arrival::Done(request.token, request.data));
                }
            }
        }
    }

    fn flush(&mut self) {
        while let Some(bytes) = self.console.poll_transmit() {
            self.link(Arrival::AtBmc, &bytes);
        }
    }

    /// One step in time. False when nothing will ever happen again.
    fn step(&mut self) -> bool {
        self.flush();
        let next = self.agenda.peek().map(|Reverse((t, ..))| *t);
        let timers = [self.console.next_timeout(), self.bmc.next_timeout()];
        let Some(time) = timers.into_iter().flatten().chain(next).min() else { return false };
        self.now = self.now.max(time);
        if self.agenda.peek().is_some_and(|Reverse((t, ..))| *t <= self.now) {
            match self.agenda.pop().unwrap().0.2 {
                Arrival::AtConsole(bytes) => self.console.handle_datagram(self.now, &bytes, &mut self.rng),
                Arrival::AtBmc(bytes) => {
                    let users = Users::default();
                    let out = self.bmc.handle_datagram(self.now, peer(1), &bytes, &users, &mut self.rng);
                    for transmit in out.transmits {
                        self.link(Arrival::AtConsole, &transmit.bytes);
                    }
                    self.events(out.events);
                }
                Arrival::Done(token, data) => {
                    let ok = CompletionCode::OK;
                    if let Some(t) = self.bmc.respond(self.now, token, ok, &data, &mut self.rng) {
                        self.link(Arrival::AtConsole, &t.bytes);
                    }
                }
            }
        } else {
            self.console.handle_timeout(self.now);
            let events = self.bmc.handle_timeout(self.now);
            self.events(events);
        }
        true
    }

    fn run(&mut self) {
        let mut next = 0;
        let mut closing = false;
        loop {
            while self.console.is_ready() && next < REQUESTS {
                let data = next.to_le_bytes();
                let Ok(id) = self.console.request(self.now, NetFn::CHASSIS, 0, 2, &data, &mut self.rng)
                else {
                    break;
                };
                self.wanted.insert(id, next);
                next += 1;
            }
            if self.console.is_ready() && self.answered.len() == usize::from(REQUESTS) && !closing {
                closing = true;
                self.console.close(self.now, &mut self.rng);
            }
            if !self.step() {
                break;
            }
            while let Some(event) = self.console.poll_event() {
                match event {
                    ConsoleEvent::Ready { .. } | ConsoleEvent::Closed => {}
                    ConsoleEvent::Response { id, completion, data } => {
                        assert_eq!(completion, CompletionCode::OK);
                        let number = u16::from_le_bytes(data.as_slice().try_into().unwrap());
                        assert_eq!(self.wanted[&id], number, "the answer to another request");
                        *self.answered.entry(number).or_default() += 1;
                    }
                    event @ (ConsoleEvent::Failed(_) | ConsoleEvent::TimedOut(_)) => panic!("{event:?}"),
                }
            }
        }
    }
}

/// Shows the seed of a run that fails, whatever it fails with.
struct Seed(u64, u8);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {} and suite or type {}", self.0, self.1);
        }
    }
}

#[test]
fn every_request_is_executed_and_answered_exactly_once() {
    for seed in 0..300 {
        let suite = SUITES[usize::try_from(seed).unwrap() % SUITES.len()];
        let _seed = Seed(seed, suite);
        let config = console_config("admin", "password", suite);
        run_well(World::new(seed, config));
    }
}

#[test]
fn every_request_is_executed_and_answered_exactly_once_by_ipmi_1_5() {
    for seed in 0..120 {
        let auth_type = AUTH_TYPES[usize::try_from(seed).unwrap() % AUTH_TYPES.len()];
        let _seed = Seed(seed, auth_type as u8);
        let config = ConsoleConfig { ipmi15: Some(auth_type), ..console_config("admin", "password", 3) };
        run_well(World::new(seed, config));
    }
}

fn run_well(mut world: World) {
    world.run();
    for number in 0..REQUESTS {
        assert_eq!(world.executed.get(&number), Some(&1), "request {number} was not executed once");
        assert_eq!(world.answered.get(&number), Some(&1), "request {number} was not answered once");
    }
    assert!(world.console.is_done());
    assert_eq!((world.opened, world.closed), (1, 1));
    assert_eq!((world.bmc.sessions().count(), world.bmc.half_open()), (0, 0), "nothing is left behind");
}
