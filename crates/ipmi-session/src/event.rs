//! What comes out of an endpoint.

use std::net::SocketAddr;

use ipmi_wire::{CompletionCode, DecodeError, NetFn, PrivilegeLevel, rakp::RakpStatus};

use crate::{UserName, sol::SolEnd};

/// Names a request until it is answered. Never reused by the same endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestToken(pub(crate) u64);

/// Who is behind a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// The BMC's session id.
    pub id: u32,
    /// The session's handle, 1 to 63, as Get Session Info shows it.
    pub handle: u8,
    /// The channel it came in by.
    pub channel: u8,
    /// The user's id.
    pub user_id: u8,
    /// The user's name.
    pub user_name: UserName,
    /// The level at which commands are judged now.
    pub privilege: PrivilegeLevel,
    /// The level that Set Session Privilege Level may raise it to.
    pub max_privilege: PrivilegeLevel,
    /// Where its last verified datagram came from.
    pub peer: SocketAddr,
    /// Whether it is a session of RMCP+ (IPMI 2.0) and not of IPMI 1.5.
    pub rmcp_plus: bool,
}

/// A request to be answered by [`crate::Endpoint::respond`], soon or later, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the request in the answer.
    pub token: RequestToken,
    /// The session, or `None` for one of [`crate::Endpoint::SESSIONLESS`].
    pub session: Option<SessionInfo>,
    /// Where the datagram came from.
    pub peer: SocketAddr,
    /// The channel it came in by.
    pub channel: u8,
    /// Network function, always even.
    pub netfn: NetFn,
    /// Logical unit, 0 to 3.
    pub lun: u8,
    /// Command.
    pub cmd: u8,
    /// Data.
    pub data: Vec<u8>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Close Session from the session itself.
    ByConsole,
    /// Close Session from another session, whose id this is.
    BySession(u32),
    /// It was silent too long.
    Inactivity,
    /// The shell asked for it: user changed, or the BMC stops.
    ByBmc,
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFailure {
    /// RAKP 1, or in IPMI 1.5 Get Session Challenge, was refused: no such user or level, see the status.
    Refused(RakpStatus),
    /// RAKP 3, or Activate Session, carried a wrong code: the password (or K_G) is wrong. The only reason that counts towards a lock-out.
    WrongPassword,
    /// RAKP 3 reported an error of the console's own making. It proves nothing: anyone can send it.
    ConsoleGaveUp(RakpStatus),
    /// The password was right, but no session was free.
    NoResources,
}

impl LoginFailure {
    /// Whether the attempt showed a wrong password and so counts towards a lock-out.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::WrongPassword)
    }

    /// Whether a name or a password was not right: what a session audit tells of (IPMI 2.0 table 42-3, type 2Ah). A name is not proven by
    /// anything, so whoever records it bounds how often.
    #[must_use]
    pub const fn is_audited(self) -> bool {
        matches!(self, Self::WrongPassword | Self::Refused(RakpStatus::UNAUTHORIZED_NAME))
    }
}

/// Something that the shell must act on or may record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command to carry out and answer.
    Request(Request),
    /// A session became active.
    SessionOpened(SessionInfo),
    /// A session ended; its unanswered requests need no answer any more.
    SessionClosed {
        /// The session as it was.
        session: SessionInfo,
        /// Why.
        reason: CloseReason,
    },
    /// A session has got Serial over LAN.
    SolActivated {
        /// The session.
        session: SessionInfo,
    },
    /// A session that goes on has lost Serial over LAN. A session that ends loses it without this event.
    SolDeactivated {
        /// The session's id.
        session: u32,
        /// Why.
        reason: SolEnd,
    },
    /// Somebody typed; to be answered by [`crate::Endpoint::sol_accept`].
    SolInput {
        /// The session's id.
        session: u32,
        /// What was typed; may be nothing.
        characters: Vec<u8>,
        /// Whether a break is to be sent after it.
        send_break: bool,
    },
    /// Output that waits for the console is to be thrown away.
    SolFlush {
        /// The session's id.
        session: u32,
    },
    /// Somebody could not log in.
    LoginFailed {
        /// The name that was given.
        user_name: UserName,
        /// The id of the entry that the name found.
        user_id: Option<u8>,
        /// From where.
        peer: SocketAddr,
        /// Why.
        reason: LoginFailure,
    },
}

/// What a datagram turned out to be: the decoded half of a journal line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// An ASF presence ping.
    Ping,
    /// A handshake message of this name, answered with this status.
    Handshake(&'static str, RakpStatus),
    /// A request, handed to the shell.
    Request {
        /// The session's id, 0 outside a session.
        session: u32,
        /// Network function.
        netfn: NetFn,
        /// Command.
        cmd: u8,
    },
    /// A request that the session layer answered itself.
    Answered {
        /// The session's id, 0 outside a session.
        session: u32,
        /// Network function.
        netfn: NetFn,
        /// Command.
        cmd: u8,
        /// The answer.
        completion: CompletionCode,
    },
    /// A Serial over LAN packet.
    Sol {
        /// The session's id.
        session: u32,
    },
    /// A repetition, swallowed or answered from the cache.
    Repeated,
    /// Nothing to act on.
    Dropped(DropReason),
}

/// Why a datagram was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is not what it should be.
    Malformed(DecodeError),
    /// It is longer than [`crate::limits::MAX_DATAGRAM`].
    TooLong,
    /// An RMCP acknowledge, or a message that only consoles receive.
    NotForBmc,
    /// No such session.
    UnknownSession,
    /// It is not protected as the session's suite says.
    Unprotected,
    /// The integrity code is wrong.
    Integrity,
    /// Decryption failed.
    Decryption,
    /// The sequence number is outside the window, or was seen with another message.
    Sequence,
    /// The session does not carry this payload type.
    PayloadType,
    /// Too many requests outside a session are pending.
    Busy,
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The whole datagram.
    pub bytes: Vec<u8>,
    /// What it is: the decoded half of a journal line.
    pub what: Sent,
}

/// What a datagram to send is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// An ASF presence pong.
    Pong,
    /// An RMCP acknowledge.
    Ack,
    /// A handshake message of this name with this status.
    Handshake(&'static str, RakpStatus),
    /// A Serial over LAN packet.
    Sol {
        /// The session's id.
        session: u32,
        /// The packet's number; 0 when it only acknowledges.
        sequence: u8,
        /// The number of the packet that it acknowledges; 0 for none.
        ack: u8,
    },
    /// An alert, which the frontend made.
    Alert,
    /// A response.
    Response {
        /// The session's id, 0 outside a session.
        session: u32,
        /// Network function of the request.
        netfn: NetFn,
        /// Command.
        cmd: u8,
        /// Completion code.
        completion: CompletionCode,
        /// Whether it is sent again, from the cache.
        repeated: bool,
    },
}

/// What one datagram led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What it was.
    pub received: Received,
    /// What to send, in this order.
    pub transmits: Vec<Transmit>,
    /// What to act on, in this order, after sending.
    pub events: Vec<Event>,
}
