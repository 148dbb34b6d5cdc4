//! The commands that change or show sessions, which the session layer therefore answers itself.

use std::{net::IpAddr, time::Instant};

use ipmi_wire::{
    CompletionCode, LanRequest, NetFn, PrivilegeLevel,
    command::{
        Command, Payload,
        session::{
            ActiveSession, CloseSession, GetSessionInfo, LanConsole, SessionInfo as InfoRecord,
            SessionPrivilegeLevel, SetSessionPrivilegeLevel,
        },
    },
};

use crate::{CloseReason, Endpoint, Event, SessionInfo, limits, session::Session, sol};

/// The logical unit that is the BMC itself.
const BMC_LUN: u8 = 0;

/// An answer, and the id of the session that is to end once it is sent.
pub(crate) struct Answer {
    pub(crate) completion: CompletionCode,
    pub(crate) data: Vec<u8>,
    pub(crate) close: Option<(u32, CloseReason)>,
}

impl From<CompletionCode> for Answer {
    fn from(completion: CompletionCode) -> Self {
        Self { completion, data: Vec::new(), close: None }
    }
}

/// What a command came to; the refusals are completion codes.
pub(crate) type Outcome = Result<Answer, CompletionCode>;

pub(crate) fn ok(data: Vec<u8>) -> Outcome {
    Ok(Answer { completion: CompletionCode::OK, data, close: None })
}

/// The request's fields, or the code that says what is wrong with them.
pub(crate) fn decode<T: Payload>(data: &[u8]) -> Result<T, CompletionCode> {
    T::decode(data).map_err(|error| error.completion())
}

impl Endpoint {
    /// Answers a request of the session `id` if the command is ours.
    pub(crate) fn answer_owned(&mut self, id: u32, header: &LanRequest<'_>, data: &[u8]) -> Option<Answer> {
        if (header.netfn, header.rs_lun) != (NetFn::APP, BMC_LUN) {
            return None;
        }
        let session = self.sessions.get(&id)?;
        // A retired session may close itself, as a session of the lowest level may.
        let privilege = if session.retired { PrivilegeLevel::Callback } else { session.info.privilege };
        let needed = match header.cmd {
            SetSessionPrivilegeLevel::CODE | GetSessionInfo::CODE => PrivilegeLevel::User,
            CloseSession::CODE => PrivilegeLevel::Callback,
            cmd if sol::COMMANDS.contains(&cmd) => PrivilegeLevel::User,
            _ => return None,
        };
        if privilege < needed {
            return Some(CompletionCode::INSUFFICIENT_PRIVILEGE.into());
        }
        let outcome = match header.cmd {
            SetSessionPrivilegeLevel::CODE => self.set_session_privilege(id, data),
            CloseSession::CODE => self.close_session(id, privilege, data),
            cmd if sol::COMMANDS.contains(&cmd) => self.sol_command(id, cmd, data),
            _ => self.get_session_info(id, data),
        };
        Some(outcome.unwrap_or_else(Answer::from))
    }

    /// Set Session Privilege Level (IPMI 2.0 §22.18).
    fn set_session_privilege(&mut self, id: u32, data: &[u8]) -> Outcome {
        let request: SetSessionPrivilegeLevel = decode(data)?;
        let session = self.sessions.get_mut(&id).ok_or(CompletionCode::UNSPECIFIED)?;
        match request.level {
            None => {}
            Some(level) if level > session.user_limit => {
                return Err(CompletionCode::PRIVILEGE_NOT_AVAILABLE_FOR_USER);
            }
            Some(level) if level > session.info.max_privilege => {
                return Err(CompletionCode::PRIVILEGE_ABOVE_LIMIT);
            }
            Some(level) => session.info.privilege = level,
        }
        ok(SessionPrivilegeLevel { level: session.info.privilege }.encode())
    }

    /// Close Session (IPMI 2.0 §22.19): one's own; as ADMINISTRATOR, any.
    fn close_session(&self, id: u32, privilege: PrivilegeLevel, data: &[u8]) -> Outcome {
        let (target, unknown) = match decode(data)? {
            CloseSession::Id(wanted) => (self.sessions.get(&wanted), CompletionCode::INVALID_SESSION_ID),
            CloseSession::Handle(handle) => (self.by_handle(handle), CompletionCode::INVALID_SESSION_HANDLE),
        };
        let target = target.map(|session| session.info.id);
        if target != Some(id) && privilege < PrivilegeLevel::Administrator {
            // Before "no such session": others' ids are not to be guessed.
            return Err(CompletionCode::INSUFFICIENT_PRIVILEGE);
        }
        let target = target.ok_or(unknown)?;
        let reason = if target == id { CloseReason::ByConsole } else { CloseReason::BySession(id) };
        Ok(Answer { completion: CompletionCode::OK, data: Vec::new(), close: Some((target, reason)) })
    }

    /// Get Session Info (IPMI 2.0 §22.20): this session, the Nth, by handle or by id.
    fn get_session_info(&self, id: u32, data: &[u8]) -> Outcome {
        let request = decode(data)?;
        let found = match request {
            GetSessionInfo::Current => self.sessions.get(&id),
            GetSessionInfo::Handle(handle) => self.by_handle(handle),
            GetSessionInfo::Id(wanted) => self.sessions.get(&wanted),
            GetSessionInfo::Index(n) => {
                let mut by_handle: Vec<_> = self.sessions.values().collect();
                by_handle.sort_by_key(|s| s.info.handle);
                by_handle.into_iter().nth(usize::from(n).saturating_sub(1))
            }
        };
        // An index past the last is an ordinary answer that ends an enumeration; a wrong name is an error.
        if found.is_none() && matches!(request, GetSessionInfo::Handle(_) | GetSessionInfo::Id(_)) {
            return Err(CompletionCode::NOT_PRESENT);
        }
        let slots = self.config.max_sessions.min(limits::MAX_SESSIONS);
        let [sessions_max, sessions_active] =
            [slots, self.sessions.len()].map(|n| u8::try_from(n).unwrap_or(u8::MAX));
        let record = InfoRecord {
            handle: found.map_or(0, |session| session.info.handle),
            sessions_max,
            sessions_active,
            active: found.map(|session| active_session(&session.info)),
        };
        ok(record.encode())
    }

    fn by_handle(&self, handle: u8) -> Option<&Session> {
        self.sessions.values().find(|session| session.info.handle == handle)
    }

    /// Ends the session `id` and forgets its pending requests.
    pub(crate) fn end_session(&mut self, id: u32, reason: CloseReason) -> Option<Event> {
        let session = self.sessions.remove(&id)?;
        self.sol.forget(id);
        self.pending.retain(|_, p| p.session != Some(id));
        Some(Event::SessionClosed { session: session.info, reason })
    }

    /// Ends the sessions that were silent too long.
    pub(crate) fn expire_sessions(&mut self, now: Instant) -> Vec<Event> {
        let timeout = self.config.inactivity_timeout;
        let silent = |last_seen| now.saturating_duration_since(last_seen) >= timeout;
        let mut ids: Vec<u32> =
            self.sessions.values().filter(|s| silent(s.last_seen)).map(|s| s.info.id).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.end_session(id, CloseReason::Inactivity)).collect()
    }
}

/// The session as Get Session Info tells of it. There is no field for an IPv6 address and no MAC address that we could know.
fn active_session(info: &SessionInfo) -> ActiveSession {
    let ip = match info.peer.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    ActiveSession {
        user_id: info.user_id,
        privilege: info.privilege,
        rmcp_plus: info.rmcp_plus,
        channel: info.channel,
        console: Some(LanConsole { ip, mac: [0; 6], port: info.peer.port() }),
    }
}
