//! Serial over LAN on the BMC's side: who has it, and the link to them (IPMI 2.0 chapter 15, §24, §26).
//!
//! ```text
//!              Activate Payload
//!   Inactive ────────────────────► Active: one session, one link ([`link`])
//!      ▲                             │ Deactivate Payload, of the session itself or of another one (which then is told)
//!      │                             │ the session ends or is retired; Serial over LAN is switched off, or forbidden to it
//!      └─────────────────────────────┘
//! ```
//!
//! There is one instance: one serial port. The shell connects it to the machine's console:
//! * [`Event::SolActivated`]: output begins to flow: as long as [`Endpoint::sol_room`] is more than 0, [`Endpoint::sol_output`] takes some.
//! * [`Event::SolInput`]: the shell passes the characters on and says by [`Endpoint::sol_accept`] how many were taken; the rest comes again.
//! * [`Endpoint::sol_transmits`] is to be called after each datagram and each of these calls, and when [`Endpoint::next_timeout`] is
//!   reached.
//!
//! Characters are never printed or typed twice or out of order, whatever the network does; lost are only those that a console which does
//! not listen leaves in the shell's hands, and then it is told (overrun).

mod link;

use std::time::{Duration, Instant};

use ipmi_wire::{
    CompletionCode, PrivilegeLevel,
    command::{
        Command, Payload,
        activation::{
            self, ActivatePayload, DeactivatePayload, GetPayloadActivationStatus, GetPayloadInstanceInfo,
            PayloadActivated, PayloadActivationStatus, PayloadInstanceInfo, sol_aux,
        },
    },
    session::{PayloadType, V20Packet},
    sol::{MAX_CHARACTERS, SolPacket, operation, status},
};
use rand_core::CryptoRng;

use crate::{
    DropReason, Endpoint, Event, Output,
    event::{Received, Sent, Transmit},
    owned::{Outcome, decode, ok},
    protect::Protection,
    window::Verdict,
};
pub use link::Pace;
pub(crate) use link::{Arrival, Link};

/// How many sessions can have Serial over LAN at a time: a machine has one serial port.
pub const INSTANCES: u8 = 1;
/// Longest payload in bytes, either way. ipmitool fills a payload of this size with characters alone and puts the header before
/// them, and more than 255 characters cannot be acknowledged.
pub const PAYLOAD_MAX: u16 = 255;
/// Characters that wait in the endpoint to be sent to the console; the shell keeps the rest.
pub const OUTPUT_WAITING_MAX: usize = 2 * MAX_CHARACTERS;
/// How long the first output waits after an activation. A console that has not digested the answer yet throws output away (FreeIPMI) or
/// takes it for the answer to its next command (ipmitool).
pub const ACTIVATION_PAUSE: Duration = Duration::from_millis(100);
/// The commands of this file, all of netFn App.
pub(crate) const COMMANDS: [u8; 4] = [
    ActivatePayload::CODE,
    DeactivatePayload::CODE,
    GetPayloadActivationStatus::CODE,
    GetPayloadInstanceInfo::CODE,
];

/// The rules of Serial over LAN: its configuration parameters as far as they act (IPMI 2.0 table 26-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolPolicy {
    /// Whether it can be activated at all.
    pub enabled: bool,
    /// Only in sessions that encrypt.
    pub force_encryption: bool,
    /// Only in sessions that authenticate their packets.
    pub force_authentication: bool,
    /// The lowest level, of the session now, that may activate and deactivate it.
    pub privilege: PrivilegeLevel,
    /// Bit `n` is set when the user with id `n` may not have it.
    pub users_without: u64,
    /// When packets are sent, and sent again.
    pub pace: Pace,
    /// The UDP port that consoles are told, which is that of their session: clients refuse any other.
    pub port: u16,
}

impl Default for SolPolicy {
    /// Off; otherwise what `bmc-core` gives to a new BMC.
    fn default() -> Self {
        Self {
            enabled: false,
            force_encryption: false,
            force_authentication: false,
            privilege: PrivilegeLevel::User,
            users_without: 0,
            pace: Pace {
                accumulate: Duration::from_millis(20),
                threshold: 96,
                retries: 7,
                retry_after: Duration::from_millis(500),
            },
            port: 623,
        }
    }
}

/// Why Serial over LAN ended for a session that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolEnd {
    /// The session itself deactivated it.
    ByConsole,
    /// Another session, whose id this is, deactivated it.
    BySession(u32),
    /// It was switched off, or the session may not have it any more.
    ByBmc,
}

/// The session that has the serial port.
#[derive(Debug)]
struct Active {
    session: u32,
    link: Link,
    /// The packet whose characters the shell has: its number, and how many they are.
    asked: Option<(u8, usize)>,
    /// An acknowledgement to send.
    ack: Option<SolPacket>,
    /// Whether output has begun.
    begun: bool,
}

/// Serial over LAN of one BMC.
#[derive(Debug, Default)]
pub(crate) struct Sol {
    policy: SolPolicy,
    active: Option<Active>,
    /// The session that is to be told that it has lost the port.
    farewell: Option<u32>,
    /// What happened and was not handed out yet.
    events: Vec<Event>,
}

impl Sol {
    fn of(&mut self, session: u32) -> Option<&mut Active> {
        self.active.as_mut().filter(|active| active.session == session)
    }

    /// The session ends.
    pub(crate) fn forget(&mut self, session: u32) {
        self.active.take_if(|active| active.session == session);
        self.farewell.take_if(|id| *id == session);
    }

    /// The session lives: its console may hear now what it did not before.
    pub(crate) fn heard_of(&mut self, now: Instant, session: u32) {
        let pace = self.policy.pace;
        if let Some(active) = self.of(session) {
            active.link.revive(now, &pace);
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.active.as_ref().and_then(|active| active.link.next_timeout(&self.policy.pace))
    }

    fn end(&mut self, reason: SolEnd) {
        if let Some(active) = self.active.take() {
            if reason != SolEnd::ByConsole {
                self.farewell = Some(active.session);
            }
            self.events.push(Event::SolDeactivated { session: active.session, reason });
        }
    }
}

impl Endpoint {
    /// The present rules of Serial over LAN.
    #[must_use]
    pub const fn sol_policy(&self) -> &SolPolicy {
        &self.sol.policy
    }

    /// Changes the rules. A session that has Serial over LAN loses it if it could not activate it now.
    pub fn set_sol_policy(&mut self, policy: SolPolicy) -> Vec<Event> {
        self.sol.policy = policy;
        let may = |id| {
            let is_weak = self.sessions.get(&id).is_none_or(|session| is_weak(&session.protection, &policy));
            !is_weak && self.check_sol_access(id, INSTANCES).is_ok()
        };
        if self.sol_session().is_some_and(|id| !may(id)) {
            self.sol.end(SolEnd::ByBmc);
        }
        std::mem::take(&mut self.sol.events)
    }

    /// Ends Serial over LAN if the session that has it is retired.
    pub(crate) fn take_sol_from_retired(&mut self) -> Vec<Event> {
        let is_retired = |id| self.sessions.get(&id).is_some_and(|session| session.retired);
        if self.sol_session().is_some_and(is_retired) {
            self.sol.end(SolEnd::ByBmc);
        }
        std::mem::take(&mut self.sol.events)
    }

    /// The session that has Serial over LAN.
    #[must_use]
    pub fn sol_session(&self) -> Option<u32> {
        self.sol.active.as_ref().map(|active| active.session)
    }

    /// How many characters [`Endpoint::sol_output`] takes now; 0 while nobody has Serial over LAN.
    #[must_use]
    pub fn sol_room(&self) -> usize {
        self.sol.active.as_ref().map_or(0, |active| OUTPUT_WAITING_MAX.saturating_sub(active.link.waiting()))
    }

    /// The machine has printed this; `lost` says that characters before it are lost. At most [`Endpoint::sol_room`] characters are
    /// taken.
    pub fn sol_output(&mut self, now: Instant, characters: &[u8], lost: bool) {
        let room = self.sol_room();
        if let Some(active) = &mut self.sol.active {
            if !std::mem::replace(&mut active.begun, true) {
                active.link.hold(now.checked_add(ACTIVATION_PAUSE));
            }
            if lost {
                active.link.set_bits(now, status::OVERRUN);
            }
            active.link.push(now, characters.get(..room).unwrap_or(characters));
        }
    }

    /// Answers the last [`Event::SolInput`]: so many of its characters were taken, and whether a machine listens at all.
    pub fn sol_accept(&mut self, taken: usize, available: bool) {
        let Some(active) = &mut self.sol.active else { return };
        let Some((sequence, all)) = active.asked.take() else { return };
        let taken = taken.min(all);
        active.link.taken(sequence, taken);
        active.ack = Some(acknowledgement(sequence, taken, all, available));
    }

    /// What is to be sent over Serial over LAN now.
    pub fn sol_transmits(&mut self, now: Instant, rng: &mut dyn CryptoRng) -> Vec<Transmit> {
        let mut packets = Vec::new();
        if let Some(session) = self.sol.farewell.take() {
            packets.push((session, SolPacket { bits: status::DEACTIVATING, ..SolPacket::default() }));
        }
        let pace = self.sol.policy.pace;
        if let Some(active) = &mut self.sol.active {
            packets.extend(active.ack.take().map(|ack| (active.session, ack)));
            packets.extend(active.link.poll(now, &pace).map(|packet| (active.session, packet)));
        }
        let sent = packets.into_iter().filter_map(|(id, packet)| {
            let session = self.sessions.get_mut(&id)?;
            let what = Sent::Sol { session: id, sequence: packet.sequence, ack: packet.ack };
            session.send_payload(PayloadType::Sol, session.info.peer, &packet.encode(), what, rng)
        });
        sent.collect()
    }

    /// What has happened to Serial over LAN by a command.
    pub(crate) fn sol_events(&mut self, output: &mut Output) {
        output.events.append(&mut self.sol.events);
    }

    /// A packet of the session `packet.session_id`, verified and decrypted.
    pub(crate) fn sol_packet(
        &mut self,
        now: Instant,
        peer: std::net::SocketAddr,
        packet: &V20Packet<'_>,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<Received, DropReason> {
        let id = packet.session_id;
        let session = self.sessions.get_mut(&id).ok_or(DropReason::UnknownSession)?;
        let verdict = session.window.note(packet.sequence);
        let sol = SolPacket::decode(payload).map_err(DropReason::Malformed)?;
        let pace = self.sol.policy.pace;
        if verdict == Verdict::Outside {
            return Err(DropReason::Sequence);
        }
        if verdict == Verdict::New {
            session.last_seen = now;
            session.info.peer = peer;
        }
        let Some(active) = self.sol.of(id) else {
            // The console may not have got our farewell, or takes no notice of one that it did not ask for.
            if verdict == Verdict::New && sol.sequence != 0 {
                self.sol.farewell = Some(id);
            }
            return Err(DropReason::PayloadType);
        };
        if verdict == Verdict::Seen {
            // A console may send the very same datagram again when our acknowledgement got lost.
            let taken = active.link.again(&sol).ok_or(DropReason::Sequence)?;
            active.ack = Some(acknowledgement(sol.sequence, taken, sol.characters.len(), true));
            return Ok(Received::Repeated);
        }
        let arrival = active.link.take(now, packet.sequence, &sol, sol.has(operation::NACK), &pace);
        if sol.has(operation::FLUSH_OUTBOUND) {
            active.link.flush();
            output.events.push(Event::SolFlush { session: id });
        }
        match arrival {
            Arrival::Nothing => {}
            Arrival::Repeated(taken) => {
                active.ack = Some(acknowledgement(sol.sequence, taken, sol.characters.len(), true));
            }
            Arrival::New => {
                active.asked = Some((sol.sequence, sol.characters.len()));
                let send_break = sol.has(operation::BREAK);
                let characters = sol.characters;
                output.events.push(Event::SolInput { session: id, characters, send_break });
            }
        }
        Ok(Received::Sol { session: id })
    }

    /// Carries out one of [`COMMANDS`] for the session `id`.
    pub(crate) fn sol_command(&mut self, id: u32, cmd: u8, data: &[u8]) -> Outcome {
        match cmd {
            ActivatePayload::CODE => self.activate_payload(id, data),
            DeactivatePayload::CODE => self.deactivate_payload(id, data),
            GetPayloadActivationStatus::CODE => {
                let GetPayloadActivationStatus { payload_type } = decode(data)?;
                check_type(payload_type)?;
                let active = u16::from(self.sol.active.is_some());
                ok(PayloadActivationStatus { capacity: INSTANCES, active }.encode())
            }
            _ => {
                let GetPayloadInstanceInfo { payload_type, instance } = decode(data)?;
                check_type(payload_type)?;
                if !(1..=INSTANCES).contains(&instance) {
                    return Err(CompletionCode::INVALID_DATA_FIELD);
                }
                // The first byte is the serial port's number.
                let info = [1, 0, 0, 0, 0, 0, 0, 0];
                ok(PayloadInstanceInfo { session_id: self.sol_session().unwrap_or(0), info }.encode())
            }
        }
    }

    /// Activate Payload (IPMI 2.0 §24.1). In a session that has it already it is answered as before: the first answer may be lost.
    fn activate_payload(&mut self, id: u32, data: &[u8]) -> Outcome {
        let request: ActivatePayload = decode(data)?;
        check_type(request.payload_type)?;
        self.check_sol_access(id, request.instance)?;
        if request.instance > INSTANCES {
            return Err(CompletionCode::PAYLOAD_LIMIT);
        }
        let session = self.sessions.get(&id).ok_or(CompletionCode::UNSPECIFIED)?;
        let [wish, ..] = request.aux;
        check_protection(wish, &session.protection, &self.sol.policy)?;
        match &mut self.sol.active {
            Some(active) if active.session != id => return Err(CompletionCode::PAYLOAD_ACTIVE_ELSEWHERE),
            Some(active) => active.link.expect_first(),
            None => {
                self.sol.active =
                    Some(Active { session: id, link: Link::default(), asked: None, ack: None, begun: false });
                self.sol.events.push(Event::SolActivated { session: session.info });
            }
        }
        ok(PayloadActivated {
            aux: [0; 4],
            inbound_size: PAYLOAD_MAX,
            outbound_size: PAYLOAD_MAX,
            port: self.sol.policy.port,
            vlan: PayloadActivated::NO_VLAN,
        }
        .encode())
    }

    /// Deactivate Payload (IPMI 2.0 §24.2), whoever has it.
    fn deactivate_payload(&mut self, id: u32, data: &[u8]) -> Outcome {
        let request: DeactivatePayload = decode(data)?;
        check_type(request.payload_type)?;
        self.check_sol_access(id, request.instance)?;
        let holder = self.sol_session().filter(|_| request.instance <= INSTANCES);
        let holder = holder.ok_or(CompletionCode::PAYLOAD_NOT_ACTIVE)?;
        self.sol.end(if holder == id { SolEnd::ByConsole } else { SolEnd::BySession(id) });
        ok(Vec::new())
    }

    /// Whether the session `id` may have Serial over LAN now.
    fn check_sol_access(&self, id: u32, instance: u8) -> Result<(), CompletionCode> {
        let policy = &self.sol.policy;
        let info = self.sessions.get(&id).ok_or(CompletionCode::UNSPECIFIED)?.info;
        if instance == 0 {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        if !info.rmcp_plus {
            // Sessions of IPMI 1.5 carry no payloads.
            return Err(CompletionCode::NOT_IN_PRESENT_STATE);
        }
        let without = policy.users_without.checked_shr(info.user_id.into()).is_some_and(|bits| bits & 1 == 1);
        if info.privilege < policy.privilege || without {
            return Err(CompletionCode::INSUFFICIENT_PRIVILEGE);
        }
        if policy.enabled { Ok(()) } else { Err(CompletionCode::PAYLOAD_DISABLED) }
    }
}

/// Only Serial over LAN can be switched on and off.
const fn check_type(payload_type: u8) -> Result<(), CompletionCode> {
    if payload_type == activation::SOL { Ok(()) } else { Err(CompletionCode::INVALID_DATA_FIELD) }
}

/// Payloads are protected as their session is. So a console may ask for more than that, which the specification leaves to what the session
/// negotiated, but not for less.
fn check_protection(wish: u8, session: &Protection, policy: &SolPolicy) -> Result<(), CompletionCode> {
    let (encrypts, authenticates) = (session.encrypts(), session.authenticates());
    let less =
        encrypts && wish & sol_aux::ENCRYPTION == 0 || authenticates && wish & sol_aux::AUTHENTICATION == 0;
    if less || is_weak(session, policy) {
        Err(CompletionCode::PAYLOAD_NOT_WITHOUT_ENCRYPTION)
    } else {
        Ok(())
    }
}

/// Whether a session protects less than is forced.
fn is_weak(session: &Protection, policy: &SolPolicy) -> bool {
    policy.force_encryption && !session.encrypts() || policy.force_authentication && !session.authenticates()
}

/// Acknowledges the first `taken` of `all` characters. While no machine listens they are taken all the same, as a line without anybody at
/// its end takes them, and the console is told: FreeIPMI asks without end when they are refused.
fn acknowledgement(sequence: u8, taken: usize, all: usize, available: bool) -> SolPacket {
    let nack = if taken < all { status::NACK } else { 0 };
    let unavailable = if available { 0 } else { status::UNAVAILABLE };
    let accepted = u8::try_from(taken).unwrap_or(u8::MAX);
    SolPacket { sequence: 0, ack: sequence, accepted, bits: nack | unavailable, characters: Vec::new() }
}
