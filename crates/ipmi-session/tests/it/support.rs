//! A BMC with users, a console that talks to it directly, and builders for single messages.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use ipmi_session::{
    Config, Endpoint, Event, Output, Password, Request, User, UserLookup, UserName,
    console::{Console, ConsoleConfig, ConsoleEvent, LoginError},
};
use ipmi_wire::{
    PrivilegeLevel, cipher::CipherSuite, rakp::RakpStatus, session::Datagram, session::PayloadType,
    session::v20::V20Header,
};
use rand::{SeedableRng, rngs::StdRng};

pub const GUID: [u8; 16] = [0x5a; 16];

pub fn peer(n: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], n))
}

pub fn secret(s: &str) -> Password {
    Password::new(s.as_bytes()).unwrap()
}

/// `admin` (twice: as OPERATOR with another password), `viewer`, and the null user if it is on.
#[derive(Default)]
pub struct Users {
    pub null_user: bool,
}

impl UserLookup for Users {
    fn named(&self, name: &[u8], _: SocketAddr) -> Vec<User> {
        let user = |id, max_privilege, password| User {
            id,
            max_privilege,
            password: secret(password),
            ipmi15: true,
        };
        match name {
            b"" if self.null_user => vec![user(1, PrivilegeLevel::User, "")],
            b"admin" => vec![
                user(2, PrivilegeLevel::Administrator, "password"),
                user(4, PrivilegeLevel::Operator, "operate"),
            ],
            b"viewer" => vec![user(3, PrivilegeLevel::User, "view")],
            _ => Vec::new(),
        }
    }
}

pub fn console_config(name: &str, password: &str, suite: u8) -> ConsoleConfig {
    let name = UserName::new(name.as_bytes()).unwrap();
    ConsoleConfig::new(name, secret(password), CipherSuite::by_id(suite).unwrap())
}

pub struct Bench {
    pub now: Instant,
    pub bmc: Endpoint,
    pub users: Users,
    pub rng: StdRng,
    /// Everything but requests, in order.
    pub events: Vec<Event>,
    pub requests: Vec<Request>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with_suites(&[3, 17])
    }

    pub fn with_suites(suites: &[u8]) -> Self {
        let mut config = Config::new(GUID);
        config.set_cipher_suites(suites).unwrap();
        Self::with(config)
    }

    pub fn with(config: Config) -> Self {
        Self {
            now: Instant::now(),
            bmc: Endpoint::new(config),
            users: Users::default(),
            rng: StdRng::seed_from_u64(7),
            events: Vec::new(),
            requests: Vec::new(),
        }
    }

    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> Output {
        let out = self.bmc.handle_datagram(self.now, from, bytes, &self.users, &mut self.rng);
        for event in &out.events {
            match event {
                Event::Request(r) => self.requests.push(r.clone()),
                event => self.events.push(event.clone()),
            }
        }
        out
    }

    /// One handshake payload in, the payload of the only answer out.
    pub fn payload(&mut self, from: SocketAddr, kind: PayloadType, payload: &[u8]) -> Vec<u8> {
        let bytes = V20Header::sessionless(kind).to_datagram(payload).unwrap();
        let out = self.datagram(from, &bytes);
        assert_eq!(out.transmits.len(), 1, "{:?}", out.received);
        assert_eq!(out.transmits[0].to, from);
        let Ok(Datagram::V20(packet)) = Datagram::decode(&out.transmits[0].bytes) else {
            panic!("not RMCP+")
        };
        packet.payload.to_vec()
    }

    /// Passes datagrams between the console and the BMC until both are quiet.
    pub fn pump(&mut self, from: SocketAddr, console: &mut Console) {
        while let Some(bytes) = console.poll_transmit() {
            for transmit in self.datagram(from, &bytes).transmits {
                console.handle_datagram(self.now, &transmit.bytes, &mut self.rng);
            }
        }
    }

    pub fn login(&mut self, from: SocketAddr, config: ConsoleConfig) -> Result<Console, LoginError> {
        // IPMI 1.5 does not tell it.
        let wanted = if config.ipmi15.is_some() { [0; 16] } else { GUID };
        let mut console = Console::new(config, self.now, &mut self.rng);
        self.pump(from, &mut console);
        match console.poll_event() {
            Some(ConsoleEvent::Ready { guid, .. }) => {
                assert_eq!(guid, wanted);
                Ok(console)
            }
            Some(ConsoleEvent::Failed(e)) => Err(e),
            other => panic!("neither in nor out: {other:?}"),
        }
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

pub fn refused(message: &'static str, status: RakpStatus) -> LoginError {
    LoginError::Refused { message, status }
}
