//! The BMC's side of Open Session and RAKP 1 to 4, up to the moment a session is active.
//!
//! A handshake is known by the session id that the BMC chose and bound to the address that opened it. Messages may be
//! repeated at any point: the answer to a repetition differs in nothing but the tag, so that a console that takes
//! either answer comes to the same keys.

use std::{cmp::Reverse, collections::HashMap, net::SocketAddr, time::Instant};

use ipmi_wire::{
    PrivilegeLevel, Reader,
    cipher::{AuthAlgorithm, CipherSuite, ConfidentialityAlgorithm, IntegrityAlgorithm},
    rakp::{
        OpenSessionAccepted, OpenSessionRequest, OpenSessionResponse, Proposal, Rakp1, Rakp2, Rakp2Body,
        RakpProof, RakpStatus,
    },
};
use rand_core::CryptoRng;

use crate::{
    Config, LoginFailure, Password, SessionInfo, User, UserLookup, UserName,
    config::SuitePolicy,
    keys::{Digest, SessionKeys, Transcript, same},
    limits,
    protect::Protection,
    session::{OpenedBy, Opening},
    window::Window,
};

/// A handshake under way.
struct HalfOpen {
    peer: SocketAddr,
    started: Instant,
    console_id: u32,
    suite: CipherSuite,
    /// The highest level that RAKP 1 may ask for.
    agreed: PrivilegeLevel,
    /// Present from RAKP 1 on.
    challenge: Option<Box<Challenge>>,
}

/// What RAKP 1 led to: all codes and keys, so that the password need not be kept.
struct Challenge {
    transcript: Transcript,
    user_id: u8,
    user_limit: PrivilegeLevel,
    max_privilege: PrivilegeLevel,
    rakp2: Digest,
    rakp3: Digest,
    rakp4: Digest,
    keys: SessionKeys,
}

/// A login that failed, for the event.
pub(crate) struct Failure {
    pub(crate) user_name: UserName,
    pub(crate) user_id: Option<u8>,
    pub(crate) reason: LoginFailure,
}

/// What a handshake message led to.
pub(crate) struct Step {
    pub(crate) status: RakpStatus,
    /// The payload of the answer, if there is to be one.
    pub(crate) reply: Option<Vec<u8>>,
    pub(crate) failure: Option<Failure>,
}

impl Step {
    const fn reply(status: RakpStatus, payload: Vec<u8>) -> Self {
        Self { status, reply: Some(payload), failure: None }
    }

    const fn silent(status: RakpStatus) -> Self {
        Self { status, reply: None, failure: None }
    }

    fn failed(mut self, user_name: UserName, user_id: Option<u8>, reason: LoginFailure) -> Self {
        self.failure = Some(Failure { user_name, user_id, reason });
        self
    }
}

/// The handshakes of one endpoint, by the BMC's session id.
#[derive(Default)]
pub(crate) struct Handshakes {
    table: HashMap<u32, HalfOpen>,
}

impl Handshakes {
    /// Drops handshakes that took too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.table.retain(|_, h| now.duration_since(h.started) < limits::HALF_OPEN_TIMEOUT);
    }

    /// Drops handshakes past RAKP 1 by the user's id and the console's address.
    pub(crate) fn forget(&mut self, mut which: impl FnMut(u8, SocketAddr) -> bool) {
        self.table.retain(|_, h| !h.challenge.as_ref().is_some_and(|c| which(c.user_id, h.peer)));
    }

    /// When [`Handshakes::expire`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.table.values().map(|h| h.started).min().and_then(|t| t.checked_add(limits::HALF_OPEN_TIMEOUT))
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Open Session Request. `taken` says whether an id belongs to an active session, `full` whether no further
    /// session could become active.
    #[expect(clippy::too_many_arguments, reason = "the parts of an endpoint that a handshake sees")]
    pub(crate) fn open_session(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        payload: &[u8],
        config: &Config,
        taken: &dyn Fn(u32) -> bool,
        full: bool,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        let request = match OpenSessionRequest::decode(payload) {
            Ok(request) => request,
            Err(_) => {
                // With tag and id there is someone to tell.
                let mut r = Reader::new(payload);
                let status = unreadable(payload);
                return match (r.array::<4>(), r.u32_le()) {
                    (Ok([tag, ..]), Ok(console_id)) => Step::reply(
                        status,
                        OpenSessionResponse { tag, status, console_id, accepted: None }.encode(),
                    ),
                    _ => Step::silent(status),
                };
            }
        };
        let agreed = agree(&request, config).and_then(|agreed| {
            let known = self.table.iter().find(|(_, h)| {
                (h.peer, h.console_id, h.suite, h.agreed) == (peer, request.console_id, agreed.0, agreed.1)
                    && h.challenge.is_none()
            });
            match known {
                // A repetition: the same answer, the same slot.
                Some((id, _)) => Ok((agreed, *id)),
                None if full => Err(RakpStatus::INSUFFICIENT_RESOURCES),
                None => Ok((agreed, 0)),
            }
        });
        let (status, accepted) = match agreed {
            Err(status) => (status, None),
            Ok(((suite, level), known)) => {
                let managed_id = if known == 0 {
                    self.make_room(peer);
                    let id = self.fresh_id(taken, rng);
                    let half = HalfOpen {
                        peer,
                        started: now,
                        console_id: request.console_id,
                        suite,
                        agreed: level,
                        challenge: None,
                    };
                    self.table.insert(id, half);
                    id
                } else {
                    known
                };
                let accepted = OpenSessionAccepted {
                    max_privilege: level,
                    managed_id,
                    auth: suite.auth as u8,
                    integrity: suite.integrity as u8,
                    confidentiality: suite.confidentiality as u8,
                };
                (RakpStatus::OK, Some(accepted))
            }
        };
        let response =
            OpenSessionResponse { tag: request.tag, status, console_id: request.console_id, accepted };
        Step::reply(status, response.encode())
    }

    /// RAKP 1. `active` gives the console's id of an active session.
    pub(crate) fn rakp1(
        &mut self,
        peer: SocketAddr,
        payload: &[u8],
        config: &Config,
        active: &dyn Fn(u32) -> Option<u32>,
        users: &dyn UserLookup,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        let decoded = Rakp1::decode(payload);
        let (tag, id) = match &decoded {
            Ok(m) => (m.tag, m.managed_id),
            Err(_) => {
                let mut r = Reader::new(payload);
                match (r.array::<4>(), r.u32_le()) {
                    (Ok([tag, ..]), Ok(id)) => (tag, id),
                    _ => return Step::silent(RakpStatus::ILLEGAL_PARAMETER),
                }
            }
        };
        let error =
            |status, console_id| Step::reply(status, Rakp2 { tag, status, console_id, body: None }.encode());
        // A handshake belongs to the address that began it; to others it does not exist.
        let Some(half) = self.table.get_mut(&id).filter(|h| h.peer == peer) else {
            return match active(id) {
                Some(_) => error(RakpStatus::INACTIVE_SESSION_ID, 0),
                None => error(RakpStatus::INVALID_SESSION_ID, 0),
            };
        };
        let Ok(message) = decoded else { return error(RakpStatus::ILLEGAL_PARAMETER, half.console_id) };
        let Some(name) = UserName::new(message.name) else {
            return error(RakpStatus::INVALID_NAME_LENGTH, half.console_id);
        };
        let repeated = half.challenge.as_ref().is_some_and(|c| {
            let t = &c.transcript;
            (t.console_random, t.role, t.name) == (message.random, message.role, name)
        });
        if !repeated {
            let mut managed_random = [0; 16];
            rng.fill_bytes(&mut managed_random);
            if let Some(key) = &config.random_key {
                managed_random = crate::keys::keyed_random(key, managed_random);
            }
            let transcript = Transcript {
                auth: half.suite.auth,
                console_id: half.console_id,
                managed_id: id,
                console_random: message.random,
                managed_random,
                guid: config.guid,
                role: message.role,
                name,
            };
            match challenge(transcript, &half.suite, &message, half.agreed, config, peer, users, rng) {
                Ok(challenge) => half.challenge = Some(Box::new(challenge)),
                Err((status, user_id)) => {
                    let step = error(status, half.console_id);
                    self.table.remove(&id);
                    return step.failed(name, user_id, LoginFailure::Refused(status));
                }
            }
        }
        let Some(c) = &half.challenge else { return Step::silent(RakpStatus::ILLEGAL_PARAMETER) };
        let body = Rakp2Body {
            random: c.transcript.managed_random,
            guid: c.transcript.guid,
            code: c.rakp2.as_bytes(),
        };
        let reply = Rakp2 { tag, status: RakpStatus::OK, console_id: half.console_id, body: Some(body) };
        Step::reply(RakpStatus::OK, reply.encode())
    }

    /// RAKP 3 for a handshake that is under way. `handle` is the slot that the session would get, if one is free.
    pub(crate) fn rakp3(
        &mut self,
        peer: SocketAddr,
        message: &RakpProof<'_>,
        config: &Config,
        handle: Option<u8>,
    ) -> (Step, Option<Opening>) {
        let id = message.session_id;
        let error = |status, session_id| {
            let reply = RakpProof { tag: message.tag, status, session_id, code: &[] };
            Step::reply(status, reply.encode())
        };
        let Some(half) = self.table.get(&id).filter(|h| h.peer == peer) else {
            return (error(RakpStatus::INVALID_SESSION_ID, 0), None);
        };
        let console_id = half.console_id;
        if half.challenge.is_none() {
            return (error(RakpStatus::INACTIVE_SESSION_ID, console_id), None);
        }
        // From here on the handshake ends, one way or the other.
        let Some(HalfOpen { suite, challenge: Some(c), .. }) = self.table.remove(&id) else {
            return (Step::silent(RakpStatus::INVALID_SESSION_ID), None);
        };
        let (name, user) = (c.transcript.name, Some(c.user_id));
        if !message.status.is_ok() {
            let reason = LoginFailure::ConsoleGaveUp(message.status);
            return (Step::silent(message.status).failed(name, user, reason), None);
        }
        if !same(c.rakp3.as_bytes(), message.code) {
            let step = error(RakpStatus::INVALID_INTEGRITY_CHECK, console_id);
            return (step.failed(name, user, LoginFailure::WrongPassword), None);
        }
        let Some(handle) = handle else {
            let step = error(RakpStatus::INSUFFICIENT_RESOURCES, console_id);
            return (step.failed(name, user, LoginFailure::NoResources), None);
        };
        let icv = c.rakp4.cut(suite.auth.icv_len());
        let rakp4 = RakpProof { tag: message.tag, status: RakpStatus::OK, session_id: console_id, code: icv }
            .encode();
        let info = SessionInfo {
            id,
            handle,
            channel: config.channel,
            user_id: c.user_id,
            user_name: name,
            privilege: c.max_privilege.min(PrivilegeLevel::User),
            max_privilege: c.max_privilege,
            peer,
            rmcp_plus: true,
        };
        let opening = Opening {
            info,
            user_limit: c.user_limit,
            console_id,
            protection: Protection::v20(suite, c.keys),
            window: Window::new(),
            out_sequence: 0,
            opened_by: OpenedBy::Rakp3 { proof: c.rakp3, answer: rakp4.clone() },
        };
        (Step::reply(RakpStatus::OK, rakp4), Some(opening))
    }

    /// Whether `id` is taken.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.table.contains_key(&id)
    }

    /// Whether `id` names a handshake of `peer`.
    pub(crate) fn contains(&self, id: u32, peer: SocketAddr) -> bool {
        self.table.get(&id).is_some_and(|h| h.peer == peer)
    }

    fn fresh_id(&self, taken: &dyn Fn(u32) -> bool, rng: &mut dyn CryptoRng) -> u32 {
        // Ends at once: of 2^32 ids at most a few hundred are in use.
        loop {
            let id = rng.next_u32();
            if id != 0 && !taken(id) && !self.table.contains_key(&id) {
                return id;
            }
        }
    }

    /// Makes room for one more handshake of `peer`.
    fn make_room(&mut self, peer: SocketAddr) {
        let entries = self.table.iter().map(|(id, h)| Entry {
            id: *id,
            peer: h.peer,
            started: h.started,
            late: h.challenge.is_some(),
        });
        if let Some(id) = victim(&entries.collect::<Vec<_>>(), peer) {
            self.table.remove(&id);
        }
    }
}

/// A login under way, as [`victim`] sees it.
pub(crate) struct Entry {
    pub(crate) id: u32,
    pub(crate) peer: SocketAddr,
    pub(crate) started: Instant,
    /// Whether it got past its first step.
    pub(crate) late: bool,
}

/// Which login gives way to one more of `peer`, if one must.
///
/// A source that has its share loses one of its own. When the whole table is full, logins that got past their first step
/// go last, and among the others the source with the most loses one: whoever only floods first steps, from one address or
/// from many, displaces others like it.
pub(crate) fn victim(entries: &[Entry], peer: SocketAddr) -> Option<u32> {
    let mut shares = HashMap::new();
    for entry in entries {
        *shares.entry(entry.peer.ip()).or_insert(0_usize) += 1;
    }
    let share = |entry: &Entry| shares.get(&entry.peer.ip()).copied().unwrap_or(0);
    let own_only = shares.get(&peer.ip()).is_some_and(|own| *own >= limits::MAX_HALF_OPEN_PER_SOURCE);
    if !own_only && entries.len() < limits::MAX_HALF_OPEN {
        return None;
    }
    entries
        .iter()
        .filter(|entry| !own_only || entry.peer.ip() == peer.ip())
        .min_by_key(|entry| (entry.late, Reverse(share(entry)), entry.started, entry.id))
        .map(|entry| entry.id)
}

/// The status for an Open Session Request that cannot be read.
fn unreadable(payload: &[u8]) -> RakpStatus {
    /// Length of the request.
    const LEN: usize = 32;
    /// Where the kind of each algorithm payload stands, which kind it must be, and the status if it is another. For
    /// confidentiality there is none of its own.
    const KINDS: [(usize, u8, RakpStatus); 3] = [
        (8, 0, RakpStatus::NO_MATCHING_AUTH_PAYLOAD),
        (16, 1, RakpStatus::NO_MATCHING_INTEGRITY_PAYLOAD),
        (24, 2, RakpStatus::INVALID_PAYLOAD_TYPE),
    ];
    let other = KINDS.into_iter().find(|(at, kind, _)| payload.get(*at) != Some(kind));
    match other {
        Some((_, _, status)) if payload.len() == LEN => status,
        _ => RakpStatus::ILLEGAL_PARAMETER,
    }
}

/// The suite and the level for an Open Session Request.
fn agree(request: &OpenSessionRequest, config: &Config) -> Result<(CipherSuite, PrivilegeLevel), RakpStatus> {
    if request.console_id == 0 {
        return Err(RakpStatus::INVALID_SESSION_ID);
    }
    // 0 is "the highest": a real level must be answered, FreeIPMI takes 0 for less than it asked for.
    let wanted = match request.max_privilege {
        0 => None,
        raw => Some(PrivilegeLevel::from_raw(raw).ok_or(RakpStatus::INVALID_ROLE)?),
    };
    let unknown = |proposal, known: fn(u8) -> bool| match proposal {
        Proposal::Any => false,
        Proposal::Algorithm(a) => !known(a),
    };
    if unknown(request.auth, |a| AuthAlgorithm::from_raw(a).is_some()) {
        return Err(RakpStatus::INVALID_AUTH_ALGORITHM);
    }
    if unknown(request.integrity, |a| IntegrityAlgorithm::from_raw(a).is_some()) {
        return Err(RakpStatus::INVALID_INTEGRITY_ALGORITHM);
    }
    if unknown(request.confidentiality, |a| ConfidentialityAlgorithm::from_raw(a).is_some()) {
        return Err(RakpStatus::INVALID_CONFIDENTIALITY_ALGORITHM);
    }
    let fits = |proposal, algorithm| proposal == Proposal::Any || proposal == Proposal::Algorithm(algorithm);
    let fitting = config.suites().iter().rev().filter(|SuitePolicy { suite, .. }| {
        fits(request.auth, suite.auth as u8)
            && fits(request.integrity, suite.integrity as u8)
            && fits(request.confidentiality, suite.confidentiality as u8)
    });
    let mut refusal = RakpStatus::NO_CIPHER_SUITE_MATCH;
    for SuitePolicy { suite, max_privilege } in fitting {
        let limit = config.max_privilege.min(*max_privilege);
        let level = wanted.unwrap_or(limit);
        if level <= limit {
            return Ok((*suite, level));
        }
        refusal = RakpStatus::UNAUTHORIZED_ROLE;
    }
    Err(refusal)
}

/// Judges RAKP 1 and prepares all codes. The error carries the id of the user that was found.
#[expect(clippy::too_many_arguments, reason = "everything that a login depends on")]
fn challenge(
    transcript: Transcript,
    suite: &CipherSuite,
    message: &Rakp1<'_>,
    agreed: PrivilegeLevel,
    config: &Config,
    peer: SocketAddr,
    users: &dyn UserLookup,
    rng: &mut dyn CryptoRng,
) -> Result<Challenge, (RakpStatus, Option<u8>)> {
    let requested = match message.privilege() {
        0 => None,
        raw => Some(PrivilegeLevel::from_raw(raw).ok_or((RakpStatus::INVALID_ROLE, None))?),
    };
    if requested.is_some_and(|level| level > agreed) {
        return Err((RakpStatus::UNAUTHORIZED_ROLE, None));
    }
    let candidates = users.named(message.name, peer);
    let found = select(&candidates, if message.name_only() { None } else { requested });
    // The work is the same whether the name exists or not: a stand-in password takes the place of the missing one.
    let mut stand_in = [0; 20];
    rng.fill_bytes(&mut stand_in);
    let stand_in = Password::new(&stand_in);
    let Some(password) = found.map(|u| &u.password).or(stand_in.as_ref()) else {
        return Err((RakpStatus::UNAUTHORIZED_NAME, None));
    };
    let bmc_key = config.bmc_key.as_ref().unwrap_or(password);
    let keys = transcript.session_keys(bmc_key, password, suite.integrity);
    let (rakp2, rakp3, rakp4) =
        (transcript.rakp2_code(password), transcript.rakp3_code(password), transcript.rakp4_code(&keys));
    let Some(user) = found else { return Err((RakpStatus::UNAUTHORIZED_NAME, None)) };
    if requested.is_some_and(|level| level > user.max_privilege) {
        return Err((RakpStatus::UNAUTHORIZED_ROLE, Some(user.id)));
    }
    let max_privilege = requested.unwrap_or(agreed).min(user.max_privilege);
    Ok(Challenge {
        transcript,
        user_id: user.id,
        user_limit: user.max_privilege,
        max_privilege,
        rakp2,
        rakp3,
        rakp4,
        keys,
    })
}

/// The entry among those with one name. By name alone it is the first; with a level it is the one made for that
/// level, else the weakest that reaches it, else any, which is then refused for its level and not for its name.
fn select(candidates: &[User], level: Option<PrivilegeLevel>) -> Option<&User> {
    let Some(level) = level else { return candidates.first() };
    candidates
        .iter()
        .filter(|u| u.max_privilege >= level)
        .min_by_key(|u| (u.max_privilege, u.id))
        .or_else(|| candidates.first())
}
