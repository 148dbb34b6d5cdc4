//! The BMC's side of IPMI 1.5 logins: Get Session Challenge and Activate Session (IPMI 2.0 §22.16, §22.17).
//!
//! ```text
//!            Get Session Challenge              Activate Session, code right
//!   (none) -----------------------> Challenged -----------------------------> Active
//!                                       |
//!              time-out, wrong code     v
//!                                    (none)
//! ```
//! As with RMCP+, a login is bound to the address that began it and may repeat itself at any point. The session keeps the
//! id that the login had.

use std::{collections::HashMap, net::SocketAddr, time::Instant};

use ipmi_wire::{
    CompletionCode, LanRequest, PrivilegeLevel,
    command::{
        Command, Payload,
        login::{ActivateSession, GetSessionChallenge, SessionActivated, SessionChallenge},
    },
    rakp::RakpStatus,
    session::{V15Packet, v15::AuthType},
};
use rand_core::CryptoRng;

use crate::{
    Config, DropReason, LoginFailure, SessionInfo, UserLookup, UserName,
    handshake::{Entry, Failure, victim},
    keys::same,
    limits,
    protect::Protection,
    session::{OpenedBy, Opening},
    v15::V15Auth,
    window::Window,
};

/// Get Session Challenge: no such user (IPMI 2.0 §22.16).
const INVALID_USER_NAME: CompletionCode = CompletionCode(0x81);
/// Get Session Challenge: the null user may not log in (IPMI 2.0 §22.16).
const NULL_USER_NOT_ENABLED: CompletionCode = CompletionCode(0x82);
/// Activate Session: no session slot is free (IPMI 2.0 §22.17).
const NO_SLOT: CompletionCode = CompletionCode(0x81);
/// Activate Session: the console's first number is 0 (IPMI 2.0 §22.17).
const SEQUENCE_OUT_OF_RANGE: CompletionCode = CompletionCode(0x84);
/// Activate Session: no login waits under the id of the session header (IPMI 2.0 §22.17).
pub(crate) const INVALID_SESSION_ID: CompletionCode = CompletionCode(0x85);
/// Activate Session: the level is above the user's or the channel's, or not for this type (IPMI 2.0 §22.17).
const LEVEL_TOO_HIGH: CompletionCode = CompletionCode(0x86);

/// A login that was given its challenge.
struct Challenged {
    peer: SocketAddr,
    started: Instant,
    auth_type: AuthType,
    auth: V15Auth,
    name: UserName,
    user_id: u8,
    user_limit: PrivilegeLevel,
    challenge: [u8; 16],
}

/// What Get Session Challenge led to.
pub(crate) struct Given {
    pub(crate) completion: CompletionCode,
    pub(crate) data: Vec<u8>,
    pub(crate) failure: Option<Failure>,
}

impl Given {
    const fn refused(completion: CompletionCode) -> Self {
        Self { completion, data: Vec::new(), failure: None }
    }
}

/// What Activate Session led to.
pub(crate) enum Activated {
    /// An answer, to be sealed by `auth` as the login's; and the session, unless it was refused.
    Answer { completion: CompletionCode, data: Vec<u8>, auth: V15Auth, opening: Option<Box<Opening>> },
    /// Nothing to say, and the login has failed.
    WrongPassword(Failure),
    /// Nothing to say.
    Dropped(DropReason),
}

/// The 1.5 logins of one endpoint, by session id.
#[derive(Default)]
pub(crate) struct Challenges {
    table: HashMap<u32, Challenged>,
}

impl Challenges {
    pub(crate) fn expire(&mut self, now: Instant) {
        self.table.retain(|_, c| now.duration_since(c.started) < limits::HALF_OPEN_TIMEOUT);
    }

    pub(crate) fn forget(&mut self, mut which: impl FnMut(u8, SocketAddr) -> bool) {
        self.table.retain(|_, c| !which(c.user_id, c.peer));
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.table.values().map(|c| c.started).min().and_then(|t| t.checked_add(limits::HALF_OPEN_TIMEOUT))
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn has(&self, id: u32) -> bool {
        self.table.contains_key(&id)
    }

    /// Get Session Challenge. `taken` says whether an id belongs to anything else.
    #[expect(clippy::too_many_arguments, reason = "the parts of an endpoint that a login sees")]
    pub(crate) fn give(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        data: &[u8],
        config: &Config,
        taken: &dyn Fn(u32) -> bool,
        users: &dyn UserLookup,
        rng: &mut dyn CryptoRng,
    ) -> Given {
        let request = match GetSessionChallenge::decode(data) {
            Ok(request) => request,
            Err(error) => return Given::refused(error.completion()),
        };
        if !config.ipmi15_auth.iter().any(|policy| policy.auth_type == request.auth_type) {
            return Given::refused(CompletionCode::INVALID_DATA_FIELD);
        }
        let end = request.name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        let Some(name) = request.name.get(..end).and_then(UserName::new) else {
            return Given::refused(INVALID_USER_NAME);
        };
        let users = users.named(name.as_bytes(), peer);
        let found = users.iter().find_map(|user| {
            let auth = V15Auth::new(request.auth_type, &user.password).filter(|_| user.ipmi15)?;
            Some((user.id, user.max_privilege, auth))
        });
        let Some((user_id, user_limit, auth)) = found else {
            let completion = if end == 0 { NULL_USER_NOT_ENABLED } else { INVALID_USER_NAME };
            let reason = LoginFailure::Refused(RakpStatus::UNAUTHORIZED_NAME);
            let failure = Failure { user_name: name, user_id: None, reason };
            return Given { failure: Some(failure), ..Given::refused(completion) };
        };
        let known = self.table.iter().find(|(_, c)| {
            (c.peer, c.auth_type, c.name, c.user_id) == (peer, request.auth_type, name, user_id)
        });
        let answer = match known {
            Some((id, c)) => SessionChallenge { session_id: *id, challenge: c.challenge },
            None => {
                self.make_room(peer);
                let mut challenge = [0; 16];
                rng.fill_bytes(&mut challenge);
                // Ends at once: of 2^32 ids at most a few hundred are in use.
                let session_id = loop {
                    let id = rng.next_u32();
                    if id != 0 && !self.has(id) && !taken(id) {
                        break id;
                    }
                };
                let auth_type = request.auth_type;
                let entry =
                    Challenged { peer, started: now, auth_type, auth, name, user_id, user_limit, challenge };
                self.table.insert(session_id, entry);
                SessionChallenge { session_id, challenge }
            }
        };
        Given { completion: CompletionCode::OK, data: answer.encode(), failure: None }
    }

    /// A packet for a login: Activate Session. `handle` is the slot that the session would get, if one is free.
    pub(crate) fn activate(
        &mut self,
        peer: SocketAddr,
        packet: &V15Packet<'_>,
        request: &LanRequest<'_>,
        config: &Config,
        handle: Option<u8>,
        rng: &mut dyn CryptoRng,
    ) -> Activated {
        let id = packet.session_id;
        // A login belongs to the address that began it.
        let Some(login) = self.table.get(&id).filter(|c| c.peer == peer) else {
            return Activated::Dropped(DropReason::UnknownSession);
        };
        if packet.sequence != 0 {
            return Activated::Dropped(DropReason::Sequence);
        }
        match login.auth.verify(packet) {
            Ok(()) => {}
            Err(DropReason::Integrity) => {
                // Silence, as the specification has it; and one guess a challenge.
                let reason = LoginFailure::WrongPassword;
                let failure = Failure { user_name: login.name, user_id: Some(login.user_id), reason };
                self.table.remove(&id);
                return Activated::WrongPassword(failure);
            }
            Err(reason) => return Activated::Dropped(reason),
        }
        if request.cmd != ActivateSession::CODE || request.netfn != ActivateSession::NETFN {
            return Activated::Dropped(DropReason::UnknownSession);
        }
        let auth = login.auth.clone();
        let (completion, data, opening) = match login.open(id, request.data, config, handle, rng) {
            Ok((data, opening)) => {
                self.table.remove(&id);
                (CompletionCode::OK, data, Some(Box::new(opening)))
            }
            Err(completion) => (completion, Vec::new(), None),
        };
        Activated::Answer { completion, data, auth, opening }
    }

    fn make_room(&mut self, peer: SocketAddr) {
        let entries =
            self.table.iter().map(|(id, c)| Entry { id: *id, peer: c.peer, started: c.started, late: false });
        if let Some(id) = victim(&entries.collect::<Vec<_>>(), peer) {
            self.table.remove(&id);
        }
    }
}

impl Challenged {
    /// The session that Activate Session asks for, and the data of the answer.
    fn open(
        &self,
        id: u32,
        data: &[u8],
        config: &Config,
        handle: Option<u8>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Opening), CompletionCode> {
        let request = ActivateSession::decode(data).map_err(|error| error.completion())?;
        if request.auth_type != self.auth_type || !same(&request.challenge, &self.challenge) {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        if request.outbound == 0 {
            return Err(SEQUENCE_OUT_OF_RANGE);
        }
        let max_privilege = request.max_privilege;
        let policy = config.ipmi15_auth.iter().find(|policy| policy.auth_type == self.auth_type);
        let allowed = policy.is_some_and(|policy| policy.allows(max_privilege));
        if !allowed || max_privilege > self.user_limit.min(config.max_privilege) {
            return Err(LEVEL_TOO_HIGH);
        }
        let handle = handle.ok_or(NO_SLOT)?;
        let inbound = rng.next_u32().max(1);
        let (auth, auth_type) = if config.per_message_auth {
            (self.auth.clone(), self.auth_type)
        } else {
            (self.auth.clone().lenient(), AuthType::None)
        };
        let answer = SessionActivated { auth_type, session_id: id, inbound, max_privilege }.encode();
        let info = SessionInfo {
            id,
            handle,
            channel: config.channel,
            user_id: self.user_id,
            user_name: self.name,
            privilege: max_privilege.min(PrivilegeLevel::User),
            max_privilege,
            peer: self.peer,
            rmcp_plus: false,
        };
        let opening = Opening {
            info,
            user_limit: self.user_limit,
            console_id: id,
            protection: Protection::V15(auth),
            window: Window::from(inbound),
            // The answer to Activate Session takes the first number.
            out_sequence: request.outbound,
            opened_by: OpenedBy::Activate { data: data.to_vec(), answer: answer.clone() },
        };
        Ok((answer, opening))
    }
}
