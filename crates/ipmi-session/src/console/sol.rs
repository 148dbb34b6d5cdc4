//! Serial over LAN on the console's side, once Activate Payload (an ordinary request) was answered.

use std::time::Instant;

use ipmi_wire::{
    session::{PayloadType, V20Packet},
    sol::{SolPacket, operation, status},
};
use rand_core::CryptoRng;

use super::{Console, Established, Stage};
use crate::{
    sol::{Arrival, Link, Pace},
    window::{Verdict, next},
};

/// Serial over LAN in one session.
#[derive(Debug)]
pub(super) struct SolClient {
    link: Link,
    pace: Pace,
    printed: Vec<u8>,
    ack: Option<SolPacket>,
    lost: bool,
    unavailable: bool,
    ended: bool,
}

/// What came over Serial over LAN since the last question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SolNews {
    /// What the machine printed.
    pub printed: Vec<u8>,
    /// Characters before or among them were lost.
    pub lost: bool,
    /// The BMC says that no machine listens.
    pub unavailable: bool,
    /// Serial over LAN is over; another session has it, or it was switched off.
    pub ended: bool,
}

impl Console {
    /// Begins Serial over LAN; to be called when Activate Payload was answered. Without a session nothing happens.
    pub fn sol_start(&mut self, pace: Pace) {
        if let Stage::Ready(session) = &mut self.stage {
            session.sol = Some(SolClient {
                link: Link::default(),
                pace,
                printed: Vec::new(),
                ack: None,
                lost: false,
                unavailable: false,
                ended: false,
            });
        }
    }

    /// Types characters, and a break after them if `send_break`. [`Console::sol_poll`] sends them.
    pub fn sol_type(&mut self, now: Instant, characters: &[u8], send_break: bool) {
        if let Some(sol) = self.sol() {
            sol.link.push(now, characters);
            if send_break {
                sol.link.set_bits(now, operation::BREAK);
            }
        }
    }

    /// What came since the last question; `None` without Serial over LAN.
    pub fn sol_news(&mut self) -> Option<SolNews> {
        let sol = self.sol()?;
        Some(SolNews {
            printed: std::mem::take(&mut sol.printed),
            lost: std::mem::take(&mut sol.lost),
            unavailable: sol.unavailable,
            ended: sol.ended,
        })
    }

    /// Whether the BMC has acknowledged all that was typed.
    pub fn sol_is_idle(&mut self) -> bool {
        self.sol().is_none_or(|sol| sol.link.is_idle())
    }

    /// Sends what is due; to be called after typing, after each datagram, and when [`Console::next_timeout`] is reached.
    pub fn sol_poll(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let Stage::Ready(session) = &mut self.stage else { return };
        let Some(sol) = &mut session.sol else { return };
        let packets = [sol.ack.take(), sol.link.poll(now, &sol.pace)];
        for packet in packets.into_iter().flatten() {
            session.out_sequence = next(session.out_sequence);
            let (id, sequence, payload) = (session.session_id, session.out_sequence, packet.encode());
            let sealed = session.protection.seal(PayloadType::Sol, id, sequence, &payload, rng);
            self.transmits.extend(sealed.ok());
        }
    }

    fn sol(&mut self) -> Option<&mut SolClient> {
        match &mut self.stage {
            Stage::Ready(session) => session.sol.as_mut(),
            _ => None,
        }
    }
}

impl Established {
    /// Takes a Serial over LAN packet. What is not verified is ignored.
    pub(super) fn sol_packet(&mut self, now: Instant, packet: &V20Packet<'_>) {
        let Some(sol) = self.sol.as_mut().filter(|_| packet.session_id == self.console_id) else { return };
        let Ok(payload) = self.protection.open(packet) else { return };
        if self.window.note(packet.sequence) != Verdict::New {
            return;
        }
        let Ok(came) = SolPacket::decode(&payload) else { return };
        sol.ended |= came.has(status::DEACTIVATING);
        sol.lost |= came.has(status::OVERRUN);
        sol.unavailable = came.has(status::UNAVAILABLE);
        let arrival = sol.link.take(now, packet.sequence, &came, came.has(status::NACK), &sol.pace);
        match arrival {
            Arrival::Nothing => return,
            Arrival::Repeated(_) => {}
            Arrival::New => {
                sol.printed.extend(&came.characters);
                sol.link.taken(came.sequence, came.characters.len());
            }
        }
        let accepted = u8::try_from(came.characters.len()).unwrap_or(u8::MAX);
        sol.ack = Some(SolPacket { ack: came.sequence, accepted, ..SolPacket::default() });
    }

    /// When something is to be sent over Serial over LAN.
    pub(super) fn sol_timeout(&self) -> Option<Instant> {
        self.sol.as_ref().and_then(|sol| sol.link.next_timeout(&sol.pace))
    }
}
