//! The BMC's side: datagrams in; datagrams, events and the next time-out out.

mod legacy;

use std::{collections::HashMap, net::SocketAddr, time::Instant};

use ipmi_wire::{
    CompletionCode, LanRequest, NetFn,
    asf::Asf,
    command::{
        Command,
        login::{ActivateSession, GetSessionChallenge},
        session::{CloseSession, GetSessionInfo, SetSessionPrivilegeLevel},
    },
    rakp::{RakpProof, RakpStatus},
    rmcp,
    session::{Datagram, PayloadType, V15Packet, V20Packet, rmcp_ack, v20::V20Header},
};
use rand_core::CryptoRng;

use crate::{
    CloseReason, Config, Event, Output, Request, RequestToken, SessionInfo, UserLookup,
    challenge::{Challenges, INVALID_SESSION_ID},
    event::{DropReason, Received, Sent, Transmit},
    handshake::{Handshakes, Step},
    keys::same,
    limits,
    replay::State,
    session::{OpenedBy, Session, response},
    sol::{self, Sol},
    window::Verdict,
};

/// In which frame a request outside a session came, and so its answer goes.
#[derive(Debug, Clone, Copy)]
enum Framing {
    V15,
    V20,
}

/// A request that was handed out.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The session's id; `None` outside a session.
    pub(crate) session: Option<u32>,
    framing: Framing,
    peer: SocketAddr,
    header: LanRequest<'static>,
    since: Instant,
}

/// The sessions of one BMC. See the crate's documentation for the states and the promises.
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) sessions: HashMap<u32, Session>,
    pub(crate) pending: HashMap<RequestToken, Pending>,
    handshakes: Handshakes,
    pub(crate) sol: Sol,
    challenges: Challenges,
    next_token: u64,
}

/// What a datagram led to, before it is turned into an [`Output`].
type Handled = Result<Received, DropReason>;

impl Endpoint {
    /// The only commands that reach the handlers without a session: Get System GUID, Get Channel Authentication
    /// Capabilities and Get Channel Cipher Suites.
    pub const SESSIONLESS: [(NetFn, u8); 4] =
        [(NetFn::SENSOR_EVENT, 0x17), (NetFn::APP, 0x37), (NetFn::APP, 0x38), (NetFn::APP, 0x54)];

    /// The commands that never become events because the session layer answers them: Get Session Challenge and
    /// Activate Session (outside a session), Set Session Privilege Level, Close Session, Get Session Info and the commands that
    /// switch payloads on and off (inside).
    pub const OWNED: [(NetFn, u8); 9] = [
        (NetFn::APP, GetSessionChallenge::CODE),
        (NetFn::APP, ActivateSession::CODE),
        (NetFn::APP, SetSessionPrivilegeLevel::CODE),
        (NetFn::APP, CloseSession::CODE),
        (NetFn::APP, GetSessionInfo::CODE),
        (NetFn::APP, sol::COMMANDS[0]),
        (NetFn::APP, sol::COMMANDS[1]),
        (NetFn::APP, sol::COMMANDS[2]),
        (NetFn::APP, sol::COMMANDS[3]),
    ];

    /// An endpoint without sessions.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            sessions: HashMap::new(),
            pending: HashMap::new(),
            handshakes: Handshakes::default(),
            sol: Sol::default(),
            challenges: Challenges::default(),
            next_token: 0,
        }
    }

    /// The present configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration. Active sessions keep what they were opened with; the time-out applies to them too.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
    }

    /// The active sessions, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionInfo> + '_ {
        self.sessions.values().map(|s| s.info)
    }

    /// How many handshakes are under way.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.handshakes.len().saturating_add(self.challenges.len())
    }

    /// Ends the sessions that `which` picks, and returns their [`Event::SessionClosed`].
    pub fn close_sessions(&mut self, mut which: impl FnMut(&SessionInfo) -> bool) -> Vec<Event> {
        let mut ids: Vec<u32> = self.sessions().filter(|s| which(s)).map(|s| s.id).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.end_session(id, CloseReason::ByBmc)).collect()
    }

    /// Takes from these sessions what the session layer gives them: they lose Serial over LAN, and of the commands it answers itself they may
    /// only close themselves (all others: `D4h`). For sessions that are to end, but not before their last answers. What happens meanwhile
    /// to their other requests is for the shell to decide.
    pub fn retire_sessions(&mut self, mut which: impl FnMut(&SessionInfo) -> bool) -> Vec<Event> {
        for session in self.sessions.values_mut().filter(|session| which(&session.info)) {
            session.retired = true;
        }
        self.take_sol_from_retired()
    }

    /// Gives up the handshakes that `which` picks, by the user's id and the console's address. From RAKP 1 or Get Session
    /// Challenge on a handshake is judged by the user as it was then; so whoever changes, removes or locks out a user calls this too.
    pub fn drop_handshakes(&mut self, mut which: impl FnMut(u8, SocketAddr) -> bool) {
        self.handshakes.forget(&mut which);
        self.challenges.forget(which);
    }

    /// When [`Endpoint::handle_timeout`] is to be called next; `None` while there is nothing to wait for.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.values().map(|s| s.last_seen).min();
        let sessions = sessions.and_then(|t| t.checked_add(self.config.inactivity_timeout));
        let waiting = self.pending.values().filter(|p| p.session.is_none()).map(|p| p.since).min();
        let waiting = waiting.and_then(|t| t.checked_add(limits::HALF_OPEN_TIMEOUT));
        [
            sessions,
            waiting,
            self.handshakes.next_timeout(),
            self.challenges.next_timeout(),
            self.sol.next_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lets go of what has waited too long. Calling it early or late does no harm.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Event> {
        self.handshakes.expire(now);
        self.challenges.expire(now);
        self.pending.retain(|_, p| {
            p.session.is_some() || now.saturating_duration_since(p.since) < limits::HALF_OPEN_TIMEOUT
        });
        self.expire_sessions(now)
    }

    /// Takes one datagram. Every datagram of the BMC enters here, and every answer leaves in [`Output::transmits`] or
    /// from [`Endpoint::respond`].
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        datagram: &[u8],
        users: &dyn UserLookup,
        rng: &mut dyn CryptoRng,
    ) -> Output {
        let mut output = Output {
            received: Received::Dropped(DropReason::TooLong),
            transmits: Vec::new(),
            // A session that ran out must not be woken by a datagram that came before the shell's timer.
            events: self.handle_timeout(now),
        };
        if datagram.len() <= limits::MAX_DATAGRAM {
            let handled = match Datagram::decode(datagram) {
                Err(e) => Err(DropReason::Malformed(e)),
                Ok(Datagram::Ack) => Err(DropReason::NotForBmc),
                Ok(Datagram::Asf(asf, sequence)) => asf_message(peer, asf, sequence, &mut output),
                Ok(Datagram::V15(packet)) => self.v15(now, peer, &packet, users, rng, &mut output),
                Ok(Datagram::V20(packet)) => self.v20(now, peer, &packet, users, rng, &mut output),
            };
            output.received = handled.unwrap_or_else(Received::Dropped);
            self.sol_events(&mut output);
        }
        output
    }

    /// Answers a request. `None` when its session has gone meanwhile, or the request was answered already.
    pub fn respond(
        &mut self,
        now: Instant,
        token: RequestToken,
        completion: CompletionCode,
        data: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Option<Transmit> {
        let pending = self.pending.remove(&token)?;
        let Some(id) = pending.session else {
            return sessionless_response(pending.peer, pending.framing, &pending.header, completion, data);
        };
        let timeout = self.config.inactivity_timeout;
        let session = self.sessions.get_mut(&id)?;
        session.pending = session.pending.saturating_sub(1);
        if now.saturating_duration_since(session.last_seen) >= timeout {
            return None;
        }
        let (message, what) = session.response(&pending.header, completion, data);
        let transmit = session.send(pending.peer, &message, what, rng);
        session.cache.answer(token, message, what);
        transmit
    }

    fn v20(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        packet: &V20Packet<'_>,
        users: &dyn UserLookup,
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Handled {
        if packet.session_id != 0 {
            return self.in_session(now, peer, packet, rng, out);
        }
        if packet.authenticated || packet.encrypted {
            return Err(DropReason::UnknownSession);
        }
        match packet.payload_type {
            PayloadType::Ipmi => self.sessionless(now, peer, Framing::V20, packet.payload, out),
            PayloadType::OpenSessionRequest => {
                let full = self.free_handle().is_none();
                let (sessions, challenges) = (&self.sessions, &self.challenges);
                let taken = |id| sessions.contains_key(&id) || challenges.has(id);
                let step =
                    self.handshakes.open_session(now, peer, packet.payload, &self.config, &taken, full, rng);
                finish(peer, step, "Open Session", PayloadType::OpenSessionResponse, out)
            }
            PayloadType::Rakp1 => {
                let sessions = &self.sessions;
                let active = |id| sessions.get(&id).map(|s| s.console_id);
                let step = self.handshakes.rakp1(peer, packet.payload, &self.config, &active, users, rng);
                finish(peer, step, "RAKP 1", PayloadType::Rakp2, out)
            }
            PayloadType::Rakp3 => self.rakp3(now, peer, packet.payload, out),
            PayloadType::OpenSessionResponse | PayloadType::Rakp2 | PayloadType::Rakp4 => {
                Err(DropReason::NotForBmc)
            }
            PayloadType::Sol | PayloadType::OemExplicit { .. } | PayloadType::Other(_) => {
                Err(DropReason::PayloadType)
            }
        }
    }

    fn rakp3(&mut self, now: Instant, peer: SocketAddr, payload: &[u8], out: &mut Output) -> Handled {
        let message = RakpProof::decode(payload).map_err(DropReason::Malformed)?;
        if let Some(session) = self.sessions.get(&message.session_id)
            && !self.handshakes.contains(message.session_id, peer)
        {
            // The console did not get RAKP 4: the same proof earns the same answer.
            let repeated = match &session.opened_by {
                OpenedBy::Rakp3 { proof, answer }
                    if message.status.is_ok()
                        && same(proof.as_bytes(), message.code)
                        && session.info.peer == peer =>
                {
                    Some(answer.clone())
                }
                _ => None,
            };
            let step = if let Some(mut reply) = repeated {
                if let Some(tag) = reply.first_mut() {
                    *tag = message.tag;
                }
                Step { status: RakpStatus::OK, reply: Some(reply), failure: None }
            } else {
                let status = RakpStatus::INACTIVE_SESSION_ID;
                let reply = RakpProof { tag: message.tag, status, session_id: 0, code: &[] };
                Step { status, reply: Some(reply.encode()), failure: None }
            };
            return finish(peer, step, "RAKP 3", PayloadType::Rakp4, out);
        }
        let handle = self.free_handle();
        let (step, opening) = self.handshakes.rakp3(peer, &message, &self.config, handle);
        if let Some(opening) = opening {
            let session = Session::new(opening, now);
            out.events.push(Event::SessionOpened(session.info));
            self.sessions.insert(session.info.id, session);
        }
        finish(peer, step, "RAKP 3", PayloadType::Rakp4, out)
    }

    fn in_session(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        packet: &V20Packet<'_>,
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Handled {
        let id = packet.session_id;
        let session = self.sessions.get_mut(&id).ok_or(DropReason::UnknownSession)?;
        // A console may change its address (NAT, roaming) when its packets prove who it is, and only then.
        if !session.protection.authenticates() && session.info.peer != peer {
            return Err(DropReason::UnknownSession);
        }
        let message = session.protection.open(packet)?;
        match packet.payload_type {
            PayloadType::Ipmi => {}
            PayloadType::Sol => return self.sol_packet(now, peer, packet, &message, out),
            _ => return Err(DropReason::PayloadType),
        }
        self.message(now, peer, id, packet.sequence, &message, rng, out)
    }

    /// Takes a message of the session `id` whose packet was verified.
    #[expect(clippy::too_many_arguments, reason = "what the packet was made of")]
    fn message(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        id: u32,
        sequence: u32,
        message: &[u8],
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Handled {
        let session = self.sessions.get_mut(&id).ok_or(DropReason::UnknownSession)?;
        match session.window.note(sequence) {
            Verdict::Outside => return Err(DropReason::Sequence),
            Verdict::Seen => {
                let state = session.cache.find(sequence, message).cloned();
                return Ok(answer_again(session, peer, state.ok_or(DropReason::Sequence)?, rng, out));
            }
            Verdict::New => {}
        }
        session.last_seen = now;
        session.info.peer = peer;
        self.sol.heard_of(now, id);
        let request = LanRequest::decode(message).map_err(DropReason::Malformed)?;
        let header = request.header();
        if (self.config.changes)(header.netfn, header.cmd)
            && let Some(state) = session.cache.resent(now, message).cloned()
        {
            return Ok(answer_again(session, peer, state, rng, out));
        }
        let busy = session.pending >= limits::MAX_PENDING_PER_SESSION;
        let answer = if !header.is_for_bmc() {
            Some(CompletionCode::DESTINATION_UNAVAILABLE.into())
        } else if let Some(answer) = self.answer_owned(id, &header, request.data) {
            Some(answer)
        } else {
            busy.then(|| CompletionCode::NODE_BUSY.into())
        };
        if let Some(answer) = answer {
            let session = self.sessions.get_mut(&id).ok_or(DropReason::UnknownSession)?;
            let (reply, what) = session.response(&header, answer.completion, &answer.data);
            out.transmits.extend(session.send(peer, &reply, what, rng));
            session.remember(now, sequence, message, State::Answered(reply, what));
            if let Some((target, reason)) = answer.close {
                out.events.extend(self.end_session(target, reason));
            }
            let (netfn, cmd) = (header.netfn, header.cmd);
            return Ok(Received::Answered { session: id, netfn, cmd, completion: answer.completion });
        }
        let token = self.token();
        let data = request.data.to_vec();
        let session = self.sessions.get_mut(&id).ok_or(DropReason::UnknownSession)?;
        session.pending = session.pending.saturating_add(1);
        session.remember(now, sequence, message, State::Pending(token));
        let info = session.info;
        let pending = Pending { session: Some(id), framing: Framing::V20, peer, header, since: now };
        Ok(self.hand_out(token, pending, Some(info), data, out))
    }

    fn sessionless(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        framing: Framing,
        payload: &[u8],
        out: &mut Output,
    ) -> Handled {
        let request = LanRequest::decode(payload).map_err(DropReason::Malformed)?;
        let header = request.header();
        let (netfn, cmd) = (header.netfn, header.cmd);
        if !header.is_for_bmc() {
            return Err(DropReason::NotForBmc);
        }
        if !Self::SESSIONLESS.contains(&(netfn, cmd)) {
            // Not silence, so that a console which lost its session learns it; and at most one byte longer than the question.
            let completion = match framing {
                Framing::V15 if (netfn, cmd) == (NetFn::APP, ActivateSession::CODE) => INVALID_SESSION_ID,
                _ => CompletionCode::INSUFFICIENT_PRIVILEGE,
            };
            out.transmits.extend(sessionless_response(peer, framing, &header, completion, &[]));
            return Ok(Received::Answered { session: 0, netfn, cmd, completion });
        }
        if self.pending.values().filter(|p| p.session.is_none()).count() >= limits::MAX_PENDING_SESSIONLESS {
            return Err(DropReason::Busy);
        }
        let token = self.token();
        let pending = Pending { session: None, framing, peer, header, since: now };
        Ok(self.hand_out(token, pending, None, request.data.to_vec(), out))
    }

    fn hand_out(
        &mut self,
        token: RequestToken,
        pending: Pending,
        session: Option<SessionInfo>,
        data: Vec<u8>,
        out: &mut Output,
    ) -> Received {
        let LanRequest { netfn, rs_lun: lun, cmd, .. } = pending.header;
        out.events.push(Event::Request(Request {
            token,
            session,
            peer: pending.peer,
            channel: self.config.channel,
            netfn,
            lun,
            cmd,
            data,
        }));
        self.pending.insert(token, pending);
        Received::Request { session: session.map_or(0, |s| s.id), netfn, cmd }
    }

    const fn token(&mut self) -> RequestToken {
        self.next_token = self.next_token.wrapping_add(1);
        RequestToken(self.next_token)
    }

    /// The lowest handle that no session has, while another session may become active.
    fn free_handle(&self) -> Option<u8> {
        let slots = self.config.max_sessions.min(limits::MAX_SESSIONS);
        if self.sessions.len() >= slots {
            return None;
        }
        (1..=63).find(|handle| self.sessions.values().all(|s| s.info.handle != *handle))
    }
}

/// Answers a repetition as before; while the first one is pending, its answer will do for both.
fn answer_again(
    session: &mut Session,
    peer: SocketAddr,
    state: State,
    rng: &mut dyn CryptoRng,
    out: &mut Output,
) -> Received {
    if let State::Answered(answer, sent) = state {
        out.transmits.extend(session.send(peer, &answer, repeated(sent), rng));
    }
    Received::Repeated
}

const fn repeated(sent: Sent) -> Sent {
    match sent {
        Sent::Response { session, netfn, cmd, completion, .. } => {
            Sent::Response { session, netfn, cmd, completion, repeated: true }
        }
        other => other,
    }
}

fn asf_message(peer: SocketAddr, asf: Asf, sequence: u8, out: &mut Output) -> Handled {
    let Asf::Ping { tag } = asf else { return Err(DropReason::NotForBmc) };
    if sequence != rmcp::NO_ACK {
        let bytes = rmcp_ack(sequence, rmcp::Class::Asf);
        out.transmits.push(Transmit { to: peer, bytes, what: Sent::Ack });
    }
    let bytes = Asf::Pong { tag, ipmi: true, dcmi: true }.to_datagram();
    out.transmits.push(Transmit { to: peer, bytes, what: Sent::Pong });
    Ok(Received::Ping)
}

/// Sends the answer of a handshake step and reports a failed login.
fn finish(
    peer: SocketAddr,
    step: Step,
    name: &'static str,
    reply_type: PayloadType,
    out: &mut Output,
) -> Handled {
    if let Some(f) = step.failure {
        let (user_name, user_id, reason) = (f.user_name, f.user_id, f.reason);
        out.events.push(Event::LoginFailed { user_name, user_id, peer, reason });
    }
    if let Some(payload) = step.reply {
        let bytes =
            V20Header::sessionless(reply_type).to_datagram(&payload).map_err(DropReason::Malformed)?;
        out.transmits.push(Transmit { to: peer, bytes, what: Sent::Handshake(name, step.status) });
    }
    Ok(Received::Handshake(name, step.status))
}

/// A response outside any session, in the frame that the request came in.
fn sessionless_response(
    to: SocketAddr,
    framing: Framing,
    request: &LanRequest<'_>,
    completion: CompletionCode,
    data: &[u8],
) -> Option<Transmit> {
    let (completion, message) = response(request, completion, data, limits::MAX_MESSAGE_DATA_V15);
    let bytes = match framing {
        Framing::V15 => V15Packet::sessionless(&message).to_datagram(),
        Framing::V20 => V20Header::sessionless(PayloadType::Ipmi).to_datagram(&message),
    };
    let what =
        Sent::Response { session: 0, netfn: request.netfn, cmd: request.cmd, completion, repeated: false };
    Some(Transmit { to, bytes: bytes.ok()?, what })
}
