//! The smallest BMC: one endpoint, one socket, no machine behind it. It answers what a console asks at login, Get
//! Device ID and Get Chassis Status, and everything else with `C1h`.
//!
//! ```text
//! cargo run -p ipmi-session --example minimal -- 127.0.0.1:6230
//! ipmitool -I lanplus -H 127.0.0.1 -p 6230 -U admin -P password -C 17 chassis status
//! ```
#![allow(clippy::print_stderr, reason = "it has nothing but its standard error")]

use std::{
    net::{SocketAddr, UdpSocket},
    time::Instant,
};

use ipmi_session::{Config, Endpoint, Event, Password, Request, User, UserLookup};
use ipmi_wire::{CompletionCode, NetFn, PrivilegeLevel, guid};

/// The machine's UUID, as its owner writes it.
const UUID: [u8; 16] = 0x4c4c_4544_0042_4d43_8056_b7c0_4f57_3132_u128.to_be_bytes();

struct OneUser(Password);

impl UserLookup for OneUser {
    fn named(&self, name: &[u8], _peer: SocketAddr) -> Vec<User> {
        let max_privilege = PrivilegeLevel::Administrator;
        let user = User { id: 2, max_privilege, password: self.0.clone(), ipmi15: true };
        if name == b"admin" { vec![user] } else { Vec::new() }
    }
}

fn answer(config: &Config, request: &Request) -> (CompletionCode, Vec<u8>) {
    let ok = |data: &[u8]| (CompletionCode::OK, data.to_vec());
    match (request.netfn, request.cmd, request.data.as_slice()) {
        (NetFn::APP, 0x01, []) => ok(&[0x20, 1, 0, 1, 2, 0x80, 0, 0, 0, 0, 0]),
        (NetFn::APP, 0x37, []) => ok(&config.guid),
        // RMCP+ only: no 1.5 types but the flag for 2.0 data, names that are not null.
        (NetFn::APP, 0x38, [_, _]) => ok(&[config.channel, 0x80, 0x04, 0x02, 0, 0, 0, 0]),
        (NetFn::APP, 0x54, [_, _, index]) => {
            let records: Vec<u8> = config.suites().iter().flat_map(|p| p.suite.record()).collect();
            let chunk = records.chunks(16).nth(usize::from(index & 0x3f)).unwrap_or_default();
            ok(&[&[config.channel], chunk].concat())
        }
        (NetFn::CHASSIS, 0x01, []) => ok(&[0, 0, 0]),
        _ => (CompletionCode::INVALID_COMMAND, Vec::new()),
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6230".into());
    let socket = UdpSocket::bind(address)?;
    let users = OneUser(Password::new(b"password").unwrap_or_else(|| unreachable!("8 bytes fit")));
    let mut config = Config::new(guid::to_wire(UUID));
    let suites: Option<Vec<u8>> =
        std::env::args().nth(2).map(|s| s.split(',').flat_map(str::parse).collect());
    if let Some(suites) = suites {
        config.set_cipher_suites(&suites).map_err(std::io::Error::other)?;
    }
    let mut endpoint = Endpoint::new(config);
    let mut rng = rand::rng();
    let mut buffer = [0; ipmi_session::limits::MAX_DATAGRAM];
    loop {
        let (n, peer) = socket.recv_from(&mut buffer)?;
        let now = Instant::now();
        let output =
            endpoint.handle_datagram(now, peer, buffer.get(..n).unwrap_or_default(), &users, &mut rng);
        eprintln!("{peer} {:?}", output.received);
        let mut transmits = output.transmits;
        for event in output.events {
            match event {
                Event::Request(request) => {
                    let (code, data) = answer(endpoint.config(), &request);
                    transmits.extend(endpoint.respond(now, request.token, code, &data, &mut rng));
                }
                event => eprintln!("{event:?}"),
            }
        }
        for transmit in transmits {
            socket.send_to(&transmit.bytes, transmit.to)?;
        }
    }
}
