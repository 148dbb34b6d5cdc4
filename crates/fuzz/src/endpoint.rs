//! The two sides of a session against hostile datagrams.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipmi_session::config::AuthPolicy;
use ipmi_session::console::{Console, ConsoleConfig};
use ipmi_session::{Config, Endpoint, Event, Output, Password, User, UserLookup, UserName};
use ipmi_wire::cipher::CipherSuite;
use ipmi_wire::session::v15::AuthType;
use ipmi_wire::{CompletionCode, PrivilegeLevel};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::pieces;

/// Pieces of one input that are looked at.
const PIECES_MAX: usize = 64;
/// The suites that are on: those without encryption, in which a change of a byte is a change of what is decoded, and some others.
const SUITES: [u8; 8] = [0, 1, 2, 3, 6, 8, 12, 17];
/// A sessionless answer may be longer than its question by the cipher suites and the GUID, never much more.
const AMPLIFIED_MAX: usize = 64;

struct Users;

impl UserLookup for Users {
    fn named(&self, name: &[u8], _: SocketAddr) -> Vec<User> {
        let password = if name == b"admin" { Password::new(b"password") } else { None };
        password
            .map(|password| User {
                id: 2,
                max_privilege: PrivilegeLevel::Administrator,
                password,
                ipmi15: true,
            })
            .into_iter()
            .collect()
    }
}

struct Bmc {
    endpoint: Endpoint,
    now: Instant,
    rng: StdRng,
}

impl Bmc {
    fn new() -> Self {
        let mut config = Config::new([0x5a; 16]);
        // They are all implemented; otherwise the default ones stay on.
        let _ = config.set_cipher_suites(&SUITES);
        let types = [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::Password];
        config.ipmi15_auth = types.into_iter().map(AuthPolicy::everywhere).collect();
        Self { endpoint: Endpoint::new(config), now: Instant::now(), rng: StdRng::seed_from_u64(7) }
    }

    /// Takes a datagram, answers the requests it carried, and returns what was sent.
    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let output = self.endpoint.handle_datagram(self.now, from, bytes, &Users, &mut self.rng);
        let Output { transmits, events, .. } = output;
        let mut sent: Vec<_> = transmits.into_iter().map(|transmit| transmit.bytes).collect();
        for event in events {
            if let Event::Request(request) = event {
                let data = request.data.get(..16.min(request.data.len())).unwrap_or_default();
                let reply =
                    self.endpoint.respond(self.now, request.token, CompletionCode::OK, data, &mut self.rng);
                sent.extend(reply.map(|transmit| transmit.bytes));
            }
        }
        sent
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A console that logs in by suite `suite`.
fn new_console(suite: u8, now: Instant, rng: &mut StdRng) -> Option<Console> {
    let config =
        ConsoleConfig::new(UserName::new(b"admin")?, Password::new(b"password")?, CipherSuite::by_id(suite)?);
    Some(Console::new(config, now, rng))
}

/// The BMC's side: the first byte says whether a session is open already, and of which suite; the pieces are datagrams, each behind a
/// byte that says from where it comes and how much time has passed.
pub(crate) fn bmc(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else { return };
    let mut bmc = Bmc::new();
    let suite = SUITES.get(usize::from(kind & 0x07)).copied().unwrap_or_default();
    if kind & 0x80 != 0
        && let Some(mut console) = new_console(suite, bmc.now, &mut StdRng::seed_from_u64(11))
    {
        let mut rng = StdRng::seed_from_u64(13);
        while let Some(bytes) = console.poll_transmit() {
            for answer in bmc.datagram(address(1), &bytes) {
                console.handle_datagram(bmc.now, &answer, &mut rng);
            }
        }
    }
    for piece in pieces(rest).take(PIECES_MAX) {
        let Some((&circumstances, bytes)) = piece.split_first() else { continue };
        bmc.now += Duration::from_secs(u64::from(circumstances >> 4));
        let before = bmc.endpoint.sessions().count();
        let sent = bmc.datagram(address(u16::from(circumstances & 0x03) + 1), bytes);
        let answered: usize = sent.iter().map(Vec::len).sum();
        if before == 0 {
            assert!(answered <= bytes.len() + AMPLIFIED_MAX, "{} bytes answered by {answered}", bytes.len());
        }
        // Nobody wrote a session's sequence right and knew its key by chance: sessions open only by a proof.
        assert!(bmc.endpoint.half_open() <= ipmi_session::limits::MAX_HALF_OPEN);
        if let Some(wake) = bmc.endpoint.next_timeout() {
            assert!(wake > bmc.now, "a time-out that has run out is not waited for again");
        }
    }
}

/// The console's side: the pieces are answers of a BMC that means no good, at any moment of the login and after it.
pub(crate) fn console(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else { return };
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(11);
    let suite = SUITES.get(usize::from(kind & 0x07)).copied().unwrap_or_default();
    let Some(mut console) = new_console(suite, now, &mut rng) else { return };
    // So many steps of the login go well.
    let mut bmc = Bmc::new();
    let mut steps = usize::from(kind >> 3) % 8;
    while steps > 0
        && let Some(bytes) = console.poll_transmit()
    {
        steps -= 1;
        for answer in bmc.datagram(address(1), &bytes) {
            console.handle_datagram(now, &answer, &mut rng);
        }
    }
    for piece in pieces(rest).take(PIECES_MAX) {
        console.handle_datagram(now, piece, &mut rng);
        while console.poll_transmit().is_some() {}
        while console.poll_event().is_some() {}
    }
}
