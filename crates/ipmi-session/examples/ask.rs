//! The smallest console: logs in to any BMC, asks for its GUID, device id and chassis status, and logs out.
//!
//! ```text
//! cargo run -p ipmi-session --example ask -- 127.0.0.1:6230 admin password 17
//! ```
#![allow(clippy::print_stdout, reason = "that is its output")]

use std::{
    io::{Error, Result},
    net::UdpSocket,
    time::{Duration, Instant},
};

use ipmi_session::{
    Password, UserName,
    console::{Console, ConsoleConfig, ConsoleEvent},
};
use ipmi_wire::{NetFn, cipher::CipherSuite};

const QUESTIONS: [(NetFn, u8); 3] = [(NetFn::APP, 0x37), (NetFn::APP, 0x01), (NetFn::CHASSIS, 0x01)];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut arg = |name: &str| args.next().ok_or_else(|| Error::other(format!("{name} is missing")));
    let (address, user, password, suite) = (arg("ADDRESS")?, arg("USER")?, arg("PASSWORD")?, arg("SUITE")?);
    let config = ConsoleConfig::new(
        UserName::new(user.as_bytes()).ok_or_else(|| Error::other("the name is too long"))?,
        Password::new(password.as_bytes()).ok_or_else(|| Error::other("the password is too long"))?,
        suite.parse().ok().and_then(CipherSuite::by_id).ok_or_else(|| Error::other("no such suite"))?,
    );
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    let mut rng = rand::rng();
    let mut console = Console::new(config, Instant::now(), &mut rng);
    let mut buffer = [0; ipmi_session::limits::MAX_DATAGRAM];
    let mut answers = 0;
    while !console.is_done() {
        while let Some(bytes) = console.poll_transmit() {
            socket.send(&bytes)?;
        }
        let due =
            console.next_timeout().map_or(Duration::ZERO, |t| t.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(Some(due.max(Duration::from_millis(1))))?;
        if let Ok(n) = socket.recv(&mut buffer) {
            console.handle_datagram(Instant::now(), buffer.get(..n).unwrap_or_default(), &mut rng);
        }
        let now = Instant::now();
        console.handle_timeout(now);
        while let Some(event) = console.poll_event() {
            println!("{event:02x?}");
            match event {
                ConsoleEvent::Ready { .. } => {
                    for (netfn, cmd) in QUESTIONS {
                        console.request(now, netfn, 0, cmd, &[], &mut rng).map_err(Error::other)?;
                    }
                }
                ConsoleEvent::Response { .. } | ConsoleEvent::TimedOut(_) => {
                    answers += 1;
                    if answers == QUESTIONS.len() {
                        console.close(now, &mut rng);
                    }
                }
                ConsoleEvent::Failed(e) => return Err(Error::other(e)),
                ConsoleEvent::Closed => {}
            }
        }
    }
    while let Some(bytes) = console.poll_transmit() {
        socket.send(&bytes)?;
    }
    Ok(())
}
