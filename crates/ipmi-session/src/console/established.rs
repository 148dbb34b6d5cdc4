//! A session from the console's side: what is on its way, and the packets of both versions.

use std::time::Instant;

use ipmi_wire::{
    LanRequest, NetFn,
    message::{BMC_ADDRESS, REMOTE_CONSOLE_ADDRESS},
    session::{PayloadType, V15Packet},
};
use rand_core::CryptoRng;

use super::{ConsoleConfig, Purpose, Repeat, sol::SolClient};
use crate::{
    limits,
    protect::Protection,
    window::{Verdict, Window, next},
};

/// A request on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) purpose: Purpose,
    pub(super) netfn: NetFn,
    pub(super) cmd: u8,
    pub(super) rq_seq: u8,
    pub(super) sequence: u32,
    pub(super) repeat: Repeat,
}

/// A session from the console's side.
pub(super) struct Established {
    pub(super) session_id: u32,
    pub(super) console_id: u32,
    pub(super) guid: [u8; 16],
    pub(super) protection: Protection,
    pub(super) window: Window,
    pub(super) out_sequence: u32,
    pub(super) rq_seq: u8,
    pub(super) in_flight: Vec<InFlight>,
    pub(super) sol: Option<SolClient>,
}

impl Established {
    pub(super) fn new(session_id: u32, console_id: u32, guid: [u8; 16], protection: Protection) -> Self {
        Self {
            session_id,
            console_id,
            guid,
            protection,
            window: Window::new(),
            out_sequence: 0,
            rq_seq: 0,
            in_flight: Vec::new(),
            sol: None,
        }
    }

    pub(super) fn verify(&mut self, packet: &V15Packet<'_>) -> Result<(), crate::DropReason> {
        if packet.session_id != self.console_id {
            return Err(crate::DropReason::UnknownSession);
        }
        self.protection.verify(packet)?;
        match self.window.note(packet.sequence) {
            Verdict::New => Ok(()),
            Verdict::Seen | Verdict::Outside => Err(crate::DropReason::Sequence),
        }
    }

    /// Whether one more request keeps all that are on the way inside the BMC's window.
    pub(super) fn has_room(&self) -> bool {
        let newest = next(self.out_sequence);
        let reach = u32::try_from(limits::RETRANSMIT_CACHE).unwrap_or(1);
        self.in_flight.len() < limits::CONSOLE_IN_FLIGHT
            && self.in_flight.iter().all(|f| newest.wrapping_sub(f.sequence) < reach)
    }

    pub(super) fn send(
        &mut self,
        now: Instant,
        config: &ConsoleConfig,
        purpose: Purpose,
        (netfn, rs_lun, cmd): (NetFn, u8, u8),
        data: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Option<Vec<u8>> {
        self.out_sequence = next(self.out_sequence);
        self.rq_seq = self.rq_seq.wrapping_add(1) & 0x3f;
        let message = LanRequest {
            rs_addr: BMC_ADDRESS,
            netfn,
            rs_lun,
            rq_addr: REMOTE_CONSOLE_ADDRESS,
            rq_seq: self.rq_seq,
            rq_lun: 0,
            cmd,
            data,
        }
        .encode();
        let bytes = self
            .protection
            .seal(PayloadType::Ipmi, self.session_id, self.out_sequence, &message, rng)
            .ok()?;
        self.in_flight.push(InFlight {
            purpose,
            netfn,
            cmd,
            rq_seq: self.rq_seq,
            sequence: self.out_sequence,
            repeat: Repeat::new(bytes.clone(), now, config),
        });
        Some(bytes)
    }

    pub(super) fn open(
        &mut self,
        packet: &ipmi_wire::session::V20Packet<'_>,
    ) -> Result<Vec<u8>, crate::DropReason> {
        if packet.session_id != self.console_id || packet.payload_type != PayloadType::Ipmi {
            return Err(crate::DropReason::UnknownSession);
        }
        let message = self.protection.open(packet)?;
        match self.window.note(packet.sequence) {
            Verdict::New => Ok(message),
            Verdict::Seen | Verdict::Outside => Err(crate::DropReason::Sequence),
        }
    }
}
