//! In memory where the clock or the peer's address matters, over a real socket where the socket does.

mod hostile;
mod settings;
mod socket;
mod wiring;

use std::net::SocketAddr;

use ipmi_session::Password;
use ipmi_session::SuitePolicy;
use ipmi_session::UserName;
use ipmi_session::console::{Console, ConsoleConfig, ConsoleEvent, LoginError, RequestId};
use ipmi_wire::NetFn;
use ipmi_wire::PrivilegeLevel;
use ipmi_wire::cipher::CipherSuite;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::handlers::testing::Bench;

const PASSWORD: &[u8] = b"password";
const HERE: &str = "127.0.0.1:40000";
const ELSEWHERE: &str = "192.0.2.1:40000";
/// Offset of the payload type in a datagram of IPMI 2.0.
const PAYLOAD_TYPE: usize = 5;
const RAKP_3: u8 = 0x14;

fn login(user: &str, password: &[u8], suite: u8) -> ConsoleConfig {
    let user = UserName::new(user.as_bytes()).unwrap();
    ConsoleConfig::new(user, Password::new(password).unwrap(), CipherSuite::by_id(suite).unwrap())
}

fn suites(ids: &[u8]) -> Vec<SuitePolicy> {
    ids.iter().map(|id| SuitePolicy::new(*id, PrivilegeLevel::Administrator).unwrap()).collect()
}

fn random(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn station(bench: &Bench, config: IpmiConfig) -> Station {
    station_at(bench, "127.0.0.1:623", config)
}

/// A station that listens at an address.
fn station_at(bench: &Bench, address: &str, config: IpmiConfig) -> Station {
    let address = address.parse().unwrap();
    Station::new(bench.machine.clone(), &bench.fleet, config, address, Box::new(random(1))).unwrap()
}

/// A console connected to a station without a network.
struct Wire {
    console: Console,
    peer: SocketAddr,
    random: StdRng,
    /// Changes what the console sends.
    tamper: fn(&mut Vec<u8>),
    /// What the console sent last.
    last: Vec<u8>,
}

impl Wire {
    fn new(bench: &Bench, peer: &str, login: ConsoleConfig) -> Self {
        let mut random = random(2);
        let now = bench.fleet.clock().now();
        let console = Console::new(login, now, &mut random);
        Self { console, peer: peer.parse().unwrap(), random, tamper: |_| {}, last: Vec::new() }
    }

    /// Carries datagrams to and fro until both sides are silent; returns what happened at the console.
    async fn carry(&mut self, bench: &Bench, station: &mut Station) -> Vec<ConsoleEvent> {
        while let Some(mut bytes) = self.console.poll_transmit() {
            (self.tamper)(&mut bytes);
            self.last.clone_from(&bytes);
            for outgoing in station.datagram(None, self.peer, &bytes).await {
                self.take(bench, outgoing);
            }
        }
        std::iter::from_fn(|| self.console.poll_event()).collect()
    }

    /// Takes the answer of the machine's owner, which must be under way.
    async fn owner(&mut self, bench: &Bench, station: &mut Station) -> Vec<ConsoleEvent> {
        let finished = station.next_finished().await.unwrap();
        let outgoing = station.finished(finished).unwrap();
        self.take(bench, outgoing);
        self.carry(bench, station).await
    }

    fn take(&mut self, bench: &Bench, Outgoing { transmit, .. }: Outgoing) {
        assert_eq!(transmit.to, self.peer);
        let now = bench.fleet.clock().now();
        self.console.handle_datagram(now, &transmit.bytes, &mut self.random);
    }

    /// Carries Open Session and RAKP 1; returns RAKP 3, which is not sent.
    async fn until_rakp_3(&mut self, bench: &Bench, station: &mut Station) -> Vec<u8> {
        loop {
            let bytes = self.console.poll_transmit().unwrap();
            if bytes.get(PAYLOAD_TYPE) == Some(&RAKP_3) {
                return bytes;
            }
            for outgoing in station.datagram(None, self.peer, &bytes).await {
                self.take(bench, outgoing);
            }
        }
    }

    async fn log_in(&mut self, bench: &Bench, station: &mut Station) -> Result<(), LoginError> {
        match self.carry(bench, station).await.as_slice() {
            [ConsoleEvent::Ready { .. }] => Ok(()),
            [ConsoleEvent::Failed(error)] => Err(*error),
            other => panic!("{other:?}"),
        }
    }

    fn request(&mut self, bench: &Bench, netfn: u8, cmd: u8, data: &[u8]) -> RequestId {
        let now = bench.fleet.clock().now();
        self.console.request(now, NetFn::new(netfn), 0, cmd, data, &mut self.random).unwrap()
    }

    /// Sends a request that is answered at once; returns completion code and data.
    async fn ask(
        &mut self,
        bench: &Bench,
        station: &mut Station,
        netfn: u8,
        cmd: u8,
        data: &[u8],
    ) -> (u8, Vec<u8>) {
        self.request(bench, netfn, cmd, data);
        match self.carry(bench, station).await.as_slice() {
            [ConsoleEvent::Response { completion, data, .. }] => (completion.0, data.clone()),
            other => panic!("{other:?}"),
        }
    }
}
