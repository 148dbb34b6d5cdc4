//! The console's side: logs in to any BMC, sends requests, repeats them until they are answered.
//!
//! ```text
//! Opening -> Rakp1 -> Rakp3 -> Raising -> Ready -> Closing -> Done
//!    \________\________\__________\____ Failed ____________/
//! ```
//! With IPMI 1.5, Get Session Challenge and Activate Session take the place of the first three.
//! `Raising` is Set Session Privilege Level, left out for levels up to USER, at which sessions begin.
//!
//! A datagram that is not answered is sent again with the very same bytes, so that the BMC can tell a repetition from
//! a second request.

mod established;
mod login;
mod login15;
mod repeat;
mod sol;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use ipmi_wire::{
    CompletionCode, LanResponse, NetFn, PrivilegeLevel,
    cipher::CipherSuite,
    command::{
        Command, Payload,
        session::{CloseSession, SetSessionPrivilegeLevel},
    },
    rakp::RakpStatus,
    session::{Datagram, PayloadType, V15Packet, v15::AuthType},
};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::{Password, UserName, limits};
use established::Established;
use login::{Login, Progress};
use login15::LoginV15;
use repeat::{Again, Repeat};
pub use sol::SolNews;

/// How to log in.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// The user.
    pub user_name: UserName,
    /// The user's password.
    pub password: Password,
    /// K_G, if the BMC has one.
    pub bmc_key: Option<Password>,
    /// The level to work at.
    pub privilege: PrivilegeLevel,
    /// Log in by IPMI 1.5 with this authentication type, and not by RMCP+ with the suite.
    pub ipmi15: Option<AuthType>,
    /// The suite to propose; see [`crate::config::is_supported`].
    pub suite: CipherSuite,
    /// Whether the BMC is to find the user by name alone, as ipmitool asks, or by name and level.
    pub name_only: bool,
    /// How long to wait for an answer before a datagram is sent again.
    pub retry_after: Duration,
    /// How often a datagram is sent again before giving up.
    pub retries: u32,
}

impl ConsoleConfig {
    /// ADMINISTRATOR with the given suite, look-up by name, one second and four repetitions as ipmitool has them.
    #[must_use]
    pub const fn new(user_name: UserName, password: Password, suite: CipherSuite) -> Self {
        Self {
            user_name,
            password,
            bmc_key: None,
            privilege: PrivilegeLevel::Administrator,
            ipmi15: None,
            suite,
            name_only: true,
            retry_after: Duration::from_secs(1),
            retries: 4,
        }
    }
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LoginError {
    /// Nothing (valid) came back to the named message.
    #[error("no answer to {0}")]
    Timeout(&'static str),
    /// The BMC answered the named message with an error.
    #[error("{message} was refused: {status}")]
    Refused {
        /// What was refused.
        message: &'static str,
        /// The BMC's status.
        status: RakpStatus,
    },
    /// RAKP 2 does not show that the BMC knows the password: it is wrong, here or there.
    #[error("wrong password")]
    WrongPassword,
    /// RAKP 4 is wrong although the password is right: K_G differs.
    #[error("wrong BMC key")]
    WrongBmcKey,
    /// The BMC chose other algorithms than those proposed.
    #[error("the BMC chose another cipher suite")]
    OtherSuite,
    /// The BMC answered the named message of an IPMI 1.5 login with an error. (A wrong password it does not answer at all.)
    #[error("{message} was refused: {completion}")]
    RefusedV15 {
        /// What was refused.
        message: &'static str,
        /// The BMC's answer.
        completion: CompletionCode,
    },
    /// IPMI 1.5 carries 16 bytes of password, and the maker's own authentication type is not known here.
    #[error("IPMI 1.5 cannot carry this login")]
    NotForV15,
    /// Set Session Privilege Level failed.
    #[error("the privilege level was refused: {0}")]
    Privilege(CompletionCode),
}

/// Names a request until its answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

/// Why a request cannot be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Not logged in, or closed.
    #[error("there is no session")]
    NoSession,
    /// [`limits::CONSOLE_IN_FLIGHT`] are on the way, or the oldest would fall out of the BMC's window.
    #[error("too many requests are waiting for answers")]
    Full,
    /// The data is longer than [`limits::MAX_MESSAGE_DATA`].
    #[error("the request is too long")]
    TooLong,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleEvent {
    /// Logged in, at the level that was configured.
    Ready {
        /// The BMC's session id.
        session_id: u32,
        /// The system's GUID in wire order; zeros with IPMI 1.5, where a login does not tell it.
        guid: [u8; 16],
    },
    /// Not logged in; the console is done.
    Failed(LoginError),
    /// An answer.
    Response {
        /// To this request.
        id: RequestId,
        /// How it went.
        completion: CompletionCode,
        /// The data after the completion code.
        data: Vec<u8>,
    },
    /// A request was repeated as often as configured and not answered. It may or may not have been carried out.
    TimedOut(RequestId),
    /// The session was closed; the console is done.
    Closed,
}

/// Why a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Raise,
    User(RequestId),
    Close,
}

enum Stage {
    Login(Box<Login>),
    LoginV15(Box<LoginV15>),
    Raising(Established),
    Ready(Established),
    Closing(Established),
    Done,
}

/// One console with one session. See the module's documentation.
pub struct Console {
    config: ConsoleConfig,
    stage: Stage,
    next_id: u64,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<ConsoleEvent>,
}

impl Console {
    /// Begins to log in.
    #[must_use]
    pub fn new(config: ConsoleConfig, now: Instant, rng: &mut dyn CryptoRng) -> Self {
        let (stage, first) = match config.ipmi15 {
            None => {
                let (login, first) = Login::new(&config, now, rng);
                (Stage::Login(Box::new(login)), Some(first))
            }
            Some(auth_type) => match LoginV15::new(&config, auth_type, now, rng) {
                Some((login, first)) => (Stage::LoginV15(Box::new(login)), Some(first)),
                None => (Stage::Done, None),
            },
        };
        let failed = first.is_none().then_some(ConsoleEvent::Failed(LoginError::NotForV15));
        Self {
            stage,
            config,
            next_id: 0,
            transmits: first.into_iter().collect(),
            events: failed.into_iter().collect(),
        }
    }

    /// The next datagram to send to the BMC.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<ConsoleEvent> {
        self.events.pop_front()
    }

    /// Whether [`Console::request`] may succeed.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`RequestError`]; then nothing is sent.
    pub fn request(
        &mut self,
        now: Instant,
        netfn: NetFn,
        lun: u8,
        cmd: u8,
        data: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<RequestId, RequestError> {
        let Stage::Ready(session) = &mut self.stage else { return Err(RequestError::NoSession) };
        if data.len() > limits::MAX_MESSAGE_DATA {
            return Err(RequestError::TooLong);
        }
        if !session.has_room() {
            return Err(RequestError::Full);
        }
        self.next_id = self.next_id.wrapping_add(1);
        let id = RequestId(self.next_id);
        let bytes = session
            .send(now, &self.config, Purpose::User(id), (netfn, lun, cmd), data, rng)
            .ok_or(RequestError::TooLong)?;
        self.transmits.push_back(bytes);
        Ok(id)
    }

    /// Closes the session; [`ConsoleEvent::Closed`] follows in any case. Requests on the way are given up.
    pub fn close(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Ready(mut session) | Stage::Raising(mut session) => {
                session.in_flight.clear();
                let data = CloseSession::Id(session.session_id).encode();
                let command = (NetFn::APP, 0, CloseSession::CODE);
                let bytes = session.send(now, &self.config, Purpose::Close, command, &data, rng);
                self.transmits.extend(bytes);
                self.stage = Stage::Closing(session);
            }
            Stage::Login(_) | Stage::LoginV15(_) => self.events.push_back(ConsoleEvent::Closed),
            closing @ (Stage::Closing(_) | Stage::Done) => self.stage = closing,
        }
    }

    /// Takes a datagram from the BMC. Whatever does not belong to this session, or is not verified, is ignored.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8], rng: &mut dyn CryptoRng) {
        let packet = match Datagram::decode(datagram) {
            Ok(Datagram::V20(packet)) => packet,
            Ok(Datagram::V15(packet)) => return self.handle_v15(now, &packet, rng),
            _ => return,
        };
        match &mut self.stage {
            Stage::Login(login) if packet.session_id == 0 => {
                let progress = login.handle(now, &self.config, packet.payload_type, packet.payload);
                self.progress(now, progress, rng);
            }
            Stage::Raising(session) | Stage::Ready(session) | Stage::Closing(session) => {
                if packet.payload_type == PayloadType::Sol {
                    return session.sol_packet(now, &packet);
                }
                if let Ok(message) = session.open(&packet) {
                    self.message(&message);
                }
            }
            Stage::Login(_) | Stage::LoginV15(_) | Stage::Done => {}
        }
    }

    fn handle_v15(&mut self, now: Instant, packet: &V15Packet<'_>, rng: &mut dyn CryptoRng) {
        match &mut self.stage {
            Stage::LoginV15(login) => {
                let progress = login.handle(now, &self.config, packet);
                self.progress(now, progress, rng);
            }
            Stage::Raising(session) | Stage::Ready(session) | Stage::Closing(session) => {
                if session.verify(packet).is_ok() {
                    self.message(packet.payload);
                }
            }
            Stage::Login(_) | Stage::Done => {}
        }
    }

    fn progress(&mut self, now: Instant, progress: Progress, rng: &mut dyn CryptoRng) {
        match progress {
            Progress::None => {}
            Progress::Send(bytes) => self.transmits.push_back(bytes),
            Progress::Fail(error, last_words) => {
                self.transmits.extend(last_words);
                self.fail(error);
            }
            Progress::Done(session) => self.established(now, *session, rng),
        }
    }

    /// Takes a message of the session whose packet was verified.
    fn message(&mut self, message: &[u8]) {
        let (Stage::Raising(session) | Stage::Ready(session) | Stage::Closing(session)) = &mut self.stage
        else {
            return;
        };
        let Ok(response) = LanResponse::decode(message) else { return };
        let found = session.in_flight.iter().position(|f| {
            (f.rq_seq, f.netfn.response(), f.cmd) == (response.rq_seq, response.netfn, response.cmd)
        });
        if let Some(index) = found {
            let purpose = session.in_flight.swap_remove(index).purpose;
            self.answered(purpose, response.completion, response.data);
        }
    }

    /// When [`Console::handle_timeout`] is to be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Login(login) => Some(login.repeat.due),
            Stage::LoginV15(login) => Some(login.repeat.due),
            Stage::Raising(s) | Stage::Ready(s) | Stage::Closing(s) => {
                s.in_flight.iter().map(|f| f.repeat.due).chain(s.sol_timeout()).min()
            }
            Stage::Done => None,
        }
    }

    /// Sends again what was not answered, and gives up what was sent often enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        let retry_after = self.config.retry_after;
        let mut expired = Vec::new();
        match &mut self.stage {
            Stage::Login(login) => match login.repeat.again(now, retry_after) {
                Again::NotYet => {}
                Again::Send(bytes) => self.transmits.push_back(bytes),
                Again::GiveUp => {
                    let error = LoginError::Timeout(login.waiting_for());
                    self.fail(error);
                }
            },
            Stage::LoginV15(login) => match login.repeat.again(now, retry_after) {
                Again::NotYet => {}
                Again::Send(bytes) => self.transmits.push_back(bytes),
                Again::GiveUp => {
                    let error = LoginError::Timeout(login.waiting_for());
                    self.fail(error);
                }
            },
            Stage::Raising(s) | Stage::Ready(s) | Stage::Closing(s) => {
                let transmits = &mut self.transmits;
                s.in_flight.retain_mut(|f| match f.repeat.again(now, retry_after) {
                    Again::NotYet => true,
                    Again::Send(bytes) => {
                        transmits.push_back(bytes);
                        true
                    }
                    Again::GiveUp => {
                        expired.push(f.purpose);
                        false
                    }
                });
            }
            Stage::Done => {}
        }
        for purpose in expired {
            match purpose {
                Purpose::Raise => self.fail(LoginError::Timeout("Set Session Privilege Level")),
                Purpose::User(id) => self.events.push_back(ConsoleEvent::TimedOut(id)),
                Purpose::Close => self.finish(ConsoleEvent::Closed),
            }
        }
    }

    fn established(&mut self, now: Instant, mut session: Established, rng: &mut dyn CryptoRng) {
        if self.config.privilege <= PrivilegeLevel::User {
            return self.ready(session);
        }
        let command = (NetFn::APP, 0, SetSessionPrivilegeLevel::CODE);
        let level = SetSessionPrivilegeLevel { level: Some(self.config.privilege) }.encode();
        let bytes = session.send(now, &self.config, Purpose::Raise, command, &level, rng);
        self.transmits.extend(bytes);
        self.stage = Stage::Raising(session);
    }

    fn ready(&mut self, session: Established) {
        let (session_id, guid) = (session.session_id, session.guid);
        self.stage = Stage::Ready(session);
        self.events.push_back(ConsoleEvent::Ready { session_id, guid });
    }

    fn answered(&mut self, purpose: Purpose, completion: CompletionCode, data: &[u8]) {
        match purpose {
            Purpose::User(id) => {
                self.events.push_back(ConsoleEvent::Response { id, completion, data: data.to_vec() });
            }
            Purpose::Close => self.finish(ConsoleEvent::Closed),
            Purpose::Raise if !completion.is_ok() => self.fail(LoginError::Privilege(completion)),
            Purpose::Raise => {
                if let Stage::Raising(session) = std::mem::replace(&mut self.stage, Stage::Done) {
                    self.ready(session);
                }
            }
        }
    }

    fn fail(&mut self, error: LoginError) {
        self.finish(ConsoleEvent::Failed(error));
    }

    fn finish(&mut self, event: ConsoleEvent) {
        self.stage = Stage::Done;
        self.events.push_back(event);
    }
}
