//! One end of a Serial over LAN link, the same for the BMC and the console (IPMI 2.0 §15.11).
//!
//! ```text
//!             characters wait long enough, or are enough
//!   Idle ────────────────────────────────────────────────► InFlight ──┐ no answer: again, the same packet
//!    ▲                                                       │  ▲  ▲──┘
//!    └───────────── acknowledged, as a whole or in part ─────┘  │ the other side is heard of
//!                                                      retries  ▼ used up
//!                                                            Stalled
//! ```
//!
//! At most one packet is on its way. What is not acknowledged stays at the front of what is to be sent: nothing is given up while the
//! session lives, because a hole in a console's output is worse than a delay. A packet that comes again is known by its number; one that
//! was overtaken on the way is dropped, because its number may be in use again by now.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use ipmi_wire::sol::{MAX_CHARACTERS, SolPacket, next_sequence};

/// When packets are sent, and sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long characters may wait for more of them.
    pub accumulate: Duration,
    /// From how many characters on they do not wait.
    pub threshold: usize,
    /// How often a packet is sent again without a sign of life from the other side.
    pub retries: u8,
    /// How long after it was sent.
    pub retry_after: Duration,
}

/// A packet on its way.
#[derive(Debug)]
struct InFlight {
    packet: SolPacket,
    /// When it is sent again; `None` when it was sent often enough.
    due: Option<Instant>,
    left: u8,
}

/// What a packet that came brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Nothing but an acknowledgement, or something that was overtaken.
    Nothing,
    /// Something that did not come before.
    New,
    /// A packet that came before, of which so many characters were taken.
    Repeated(usize),
}

/// One end of a link.
#[derive(Debug, Default)]
pub(crate) struct Link {
    queue: VecDeque<u8>,
    /// Since when the first of them waits.
    waits_since: Option<Instant>,
    /// Nothing new is sent before this, because the other side had no room.
    not_before: Option<Instant>,
    /// Operation or status bits for the next packet that is to be acknowledged, and since when they wait.
    bits: Option<(u8, Instant)>,
    /// The number of the last packet that was sent.
    sequence: u8,
    in_flight: Option<InFlight>,
    /// The session sequence number of the newest packet that came.
    newest: Option<u32>,
    /// The number of the last packet that was answered, and how many of its characters were taken.
    received: Option<(u8, usize)>,
}

impl Link {
    /// Characters that wait to be sent for the first time.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether all that was to be sent has been acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_none() && self.bits.is_none()
    }

    /// Takes characters to send.
    pub(crate) fn push(&mut self, now: Instant, characters: &[u8]) {
        if !characters.is_empty() {
            self.waits_since.get_or_insert(now);
            self.queue.extend(characters);
        }
    }

    /// Sets bits of the next packet that is to be acknowledged. They do not wait for characters.
    pub(crate) fn set_bits(&mut self, now: Instant, bits: u8) {
        let (set, since) = self.bits.unwrap_or((0, now));
        self.bits = Some((set | bits, since));
    }

    /// Sends nothing new before `until`.
    pub(crate) const fn hold(&mut self, until: Option<Instant>) {
        self.not_before = until;
    }

    /// Throws away what waits; what is on its way cannot be called back.
    pub(crate) fn flush(&mut self) {
        self.queue.clear();
        self.waits_since = None;
    }

    /// The other side lives: a packet that was sent often enough may be sent again.
    pub(crate) fn revive(&mut self, now: Instant, pace: &Pace) {
        if let Some(in_flight) = self.in_flight.as_mut().filter(|f| f.due.is_none()) {
            in_flight.due = Some(now);
            in_flight.left = pace.retries.max(1);
        }
    }

    /// The other side begins anew with its numbers.
    pub(crate) const fn expect_first(&mut self) {
        self.received = None;
    }

    /// The next packet to send now.
    pub(crate) fn poll(&mut self, now: Instant, pace: &Pace) -> Option<SolPacket> {
        if let Some(in_flight) = &mut self.in_flight {
            if in_flight.due.is_none_or(|due| due > now) {
                return None;
            }
            let Some(left) = in_flight.left.checked_sub(1) else {
                in_flight.due = None;
                return None;
            };
            in_flight.left = left;
            in_flight.due = now.checked_add(pace.retry_after);
            return Some(in_flight.packet.clone());
        }
        if self.ready_at(pace)? > now {
            return None;
        }
        self.not_before = None;
        let count = self.queue.len().min(MAX_CHARACTERS);
        let characters = self.queue.drain(..count).collect();
        self.waits_since = (!self.queue.is_empty()).then_some(now);
        self.sequence = next_sequence(self.sequence);
        let bits = self.bits.take().map_or(0, |(bits, _)| bits);
        let packet = SolPacket { sequence: self.sequence, ack: 0, accepted: 0, bits, characters };
        let due = now.checked_add(pace.retry_after);
        self.in_flight = Some(InFlight { packet: packet.clone(), due, left: pace.retries });
        Some(packet)
    }

    /// When [`Link::poll`] has something next; `None` while there is nothing to wait for.
    pub(crate) fn next_timeout(&self, pace: &Pace) -> Option<Instant> {
        match &self.in_flight {
            Some(in_flight) => in_flight.due,
            None => self.ready_at(pace),
        }
    }

    /// When the characters that wait may go.
    fn ready_at(&self, pace: &Pace) -> Option<Instant> {
        let at = if let Some((_, since)) = self.bits {
            Some(since)
        } else if self.queue.len() >= pace.threshold.max(1) {
            self.waits_since
        } else {
            self.waits_since.and_then(|since| since.checked_add(pace.accumulate))
        };
        at.map(|at| self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// Takes what a packet with the session sequence number `number` acknowledges, and says what else it brings.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        number: u32,
        packet: &SolPacket,
        nack: bool,
        pace: &Pace,
    ) -> Arrival {
        let overtaken = self.newest.is_some_and(|newest| {
            let ahead = number.wrapping_sub(newest);
            ahead == 0 || ahead > u32::MAX / 2
        });
        if overtaken {
            return Arrival::Nothing;
        }
        self.newest = Some(number);
        if packet.ack != 0 {
            self.acknowledged(now, packet.ack, packet.accepted.into(), nack, pace);
        }
        self.revive(now, pace);
        self.judge(packet)
    }

    /// What a packet brings beside its acknowledgement.
    fn judge(&self, packet: &SolPacket) -> Arrival {
        let len = packet.characters.len();
        match self.received {
            _ if packet.sequence == 0 => Arrival::Nothing,
            // It is answered as before even if more could be taken now (or if there is more in it, as IPMI 2.0 §15.11 allows): the first
            // answer may only be late, and then the rest is already coming under the next number.
            Some((last, taken)) if last == packet.sequence => Arrival::Repeated(taken.min(len)),
            _ => Arrival::New,
        }
    }

    /// What a datagram that came before brings: at most a repetition of the last packet.
    pub(crate) fn again(&self, packet: &SolPacket) -> Option<usize> {
        match self.judge(packet) {
            Arrival::Repeated(taken) => Some(taken),
            Arrival::New | Arrival::Nothing => None,
        }
    }

    /// The first `taken` characters of the packet `sequence` were taken.
    pub(crate) const fn taken(&mut self, sequence: u8, taken: usize) {
        self.received = Some((sequence, taken));
    }

    fn acknowledged(&mut self, now: Instant, ack: u8, accepted: usize, nack: bool, pace: &Pace) {
        let Some(in_flight) = self.in_flight.take_if(|f| f.packet.sequence == ack) else { return };
        let rest = in_flight.packet.characters.get(accepted..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        // A side that had no room is not pressed at once.
        self.not_before =
            now.checked_add(if nack || accepted == 0 { pace.retry_after } else { Duration::ZERO });
        self.waits_since = Some(now);
        for character in rest.iter().rev() {
            self.queue.push_front(*character);
        }
    }
}
