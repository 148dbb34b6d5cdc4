//! The handshake of RMCP+: Open Session and RAKP messages 1 to 4 (IPMI 2.0 §13.17 to §13.24).
//!
//! ```text
//! console                          BMC
//!    | -- Open Session Request -->  |   algorithms, console's session id
//!    | <-- Open Session Response -- |   the suite, BMC's session id
//!    | -------- RAKP 1 ---------->  |   console's random number, role, user name
//!    | <------- RAKP 2 -----------  |   BMC's random number, GUID, code over all of it
//!    | -------- RAKP 3 ---------->  |   the console's code: the password is proven
//!    | <------- RAKP 4 -----------  |   check value: the session is active
//! ```
//!
//! A response whose status is not [`RakpStatus::OK`] ends after the console's session id: eight bytes, no code.

use alloc::vec::Vec;
use core::fmt;

use crate::{DecodeError, PrivilegeLevel, Reader, Writer};

/// The longest user name, in bytes.
pub const MAX_USER_NAME: usize = 16;
/// The longest password, in bytes (IPMI 2.0 §22.30).
pub const MAX_PASSWORD: usize = 20;

/// The status byte of RMCP+ responses and of RAKP 3 (IPMI 2.0 table 13-15).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RakpStatus(pub u8);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl RakpStatus {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// All statuses that the specification names, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The meaning; `None` for reserved values.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match self { $(Self::$name => Some($text),)* _ => None }
            }
        }
    };
}

statuses! {
    /// `00h`: no errors.
    OK = 0x00, "no errors";
    /// `01h`: no resources to create a session.
    INSUFFICIENT_RESOURCES = 0x01, "insufficient resources to create a session";
    /// `02h`: no such session id.
    INVALID_SESSION_ID = 0x02, "invalid session id";
    /// `03h`: the payload type is wrong.
    INVALID_PAYLOAD_TYPE = 0x03, "invalid payload type";
    /// `04h`: the authentication algorithm is unknown.
    INVALID_AUTH_ALGORITHM = 0x04, "invalid authentication algorithm";
    /// `05h`: the integrity algorithm is unknown.
    INVALID_INTEGRITY_ALGORITHM = 0x05, "invalid integrity algorithm";
    /// `06h`: no matching authentication payload.
    NO_MATCHING_AUTH_PAYLOAD = 0x06, "no matching authentication payload";
    /// `07h`: no matching integrity payload.
    NO_MATCHING_INTEGRITY_PAYLOAD = 0x07, "no matching integrity payload";
    /// `08h`: the session id belongs to no session that waits for this message.
    INACTIVE_SESSION_ID = 0x08, "inactive session id";
    /// `09h`: the role is not one.
    INVALID_ROLE = 0x09, "invalid role";
    /// `0Ah`: the user may not have the role.
    UNAUTHORIZED_ROLE = 0x0a, "unauthorized role or privilege level requested";
    /// `0Bh`: no resources for a session at this role.
    INSUFFICIENT_RESOURCES_FOR_ROLE = 0x0b, "insufficient resources to create a session at the requested role";
    /// `0Ch`: the name is too long.
    INVALID_NAME_LENGTH = 0x0c, "invalid name length";
    /// `0Dh`: no such user, or one that is disabled.
    UNAUTHORIZED_NAME = 0x0d, "unauthorized name";
    /// `0Eh`: the console does not accept the GUID.
    UNAUTHORIZED_GUID = 0x0e, "unauthorized GUID";
    /// `0Fh`: a code is wrong: the passwords or the keys differ.
    INVALID_INTEGRITY_CHECK = 0x0f, "invalid integrity check value";
    /// `10h`: the confidentiality algorithm is unknown.
    INVALID_CONFIDENTIALITY_ALGORITHM = 0x10, "invalid confidentiality algorithm";
    /// `11h`: the algorithms are known, their combination is not offered.
    NO_CIPHER_SUITE_MATCH = 0x11, "no cipher suite match with proposed security algorithms";
    /// `12h`: a parameter is illegal or unrecognized.
    ILLEGAL_PARAMETER = 0x12, "illegal or unrecognized parameter";
}

impl RakpStatus {
    /// Whether the handshake goes on.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for RakpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RakpStatus({self})")
    }
}

impl fmt::Display for RakpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}h {}", self.0, self.text().unwrap_or("reserved"))
    }
}

/// One algorithm field of Open Session: a number, or "whatever you like".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposal {
    /// The length byte was 0: the BMC chooses.
    Any,
    /// The six-bit algorithm number, known or not.
    Algorithm(u8),
}

impl Proposal {
    fn read(r: &mut Reader<'_>, payload_type: u8) -> Result<Self, DecodeError> {
        let [kind, _, _, len, algorithm, _, _, _] = r.array()?;
        if kind != payload_type {
            return Err(DecodeError::value("algorithm payload type", kind));
        }
        match len {
            0 => Ok(Self::Any),
            8 => Ok(Self::Algorithm(algorithm & 0x3f)),
            _ => Err(DecodeError::Length),
        }
    }

    fn write(self, w: &mut Writer, payload_type: u8) {
        let (len, algorithm) = match self {
            Self::Any => (0, 0),
            Self::Algorithm(a) => (8, a & 0x3f),
        };
        w.bytes(&[payload_type, 0, 0, len, algorithm, 0, 0, 0]);
    }
}

/// Open Session Request (IPMI 2.0 table 13-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionRequest {
    /// Echoed in the response.
    pub tag: u8,
    /// The highest level that the console will ask for, a four-bit value; 0 means the highest that the suite allows.
    pub max_privilege: u8,
    /// The session id that the console wants to see in packets to it; not 0.
    pub console_id: u32,
    /// Authentication algorithm.
    pub auth: Proposal,
    /// Integrity algorithm.
    pub integrity: Proposal,
    /// Confidentiality algorithm.
    pub confidentiality: Proposal,
}

impl OpenSessionRequest {
    /// Reads the payload.
    ///
    /// # Errors
    /// [`DecodeError`] for wrong lengths or algorithm payloads out of order.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let [tag, privilege, _, _] = r.array()?;
        let this = Self {
            tag,
            max_privilege: privilege & 0x0f,
            console_id: r.u32_le()?,
            auth: Proposal::read(&mut r, 0)?,
            integrity: Proposal::read(&mut r, 1)?,
            confidentiality: Proposal::read(&mut r, 2)?,
        };
        r.finish()?;
        Ok(this)
    }

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(32);
        w.bytes(&[self.tag, self.max_privilege & 0x0f, 0, 0]).u32_le(self.console_id);
        self.auth.write(&mut w, 0);
        self.integrity.write(&mut w, 1);
        self.confidentiality.write(&mut w, 2);
        w.into_vec()
    }
}

/// Open Session Response (IPMI 2.0 table 13-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionResponse {
    /// The tag of the request.
    pub tag: u8,
    /// How it went.
    pub status: RakpStatus,
    /// The console's session id; 0 when an error came without it.
    pub console_id: u32,
    /// What was agreed; absent exactly when the status is an error.
    pub accepted: Option<OpenSessionAccepted>,
}

/// The second half of a successful [`OpenSessionResponse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionAccepted {
    /// The highest level the session can have. FreeIPMI refuses 0 and anything below what it asked for; where a BMC
    /// sends 0 all the same, it is read as ADMINISTRATOR.
    pub max_privilege: PrivilegeLevel,
    /// The session id that the BMC wants to see in packets to it; not 0.
    pub managed_id: u32,
    /// Authentication algorithm number.
    pub auth: u8,
    /// Integrity algorithm number.
    pub integrity: u8,
    /// Confidentiality algorithm number.
    pub confidentiality: u8,
}

impl OpenSessionResponse {
    /// Reads the payload.
    ///
    /// # Errors
    /// [`DecodeError`] for wrong lengths, algorithm payloads out of order and levels that are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let [tag, status] = r.array()?;
        let status = RakpStatus(status);
        if !status.is_ok() {
            // Some BMCs send the whole form with errors too; OpenIPMI's ends after the status.
            let console_id = r.bytes(2).and_then(|_| r.u32_le()).unwrap_or(0);
            return Ok(Self { tag, status, console_id, accepted: None });
        }
        let [privilege, _] = r.array()?;
        let console_id = r.u32_le()?;
        let managed_id = r.u32_le()?;
        let mut algorithm = |kind| match Proposal::read(&mut r, kind)? {
            Proposal::Algorithm(a) => Ok(a),
            Proposal::Any => Err(DecodeError::Length),
        };
        let accepted = OpenSessionAccepted {
            max_privilege: match privilege & 0x0f {
                // OpenIPMI's BMC echoes the request's "highest that the suite allows".
                0 => PrivilegeLevel::Administrator,
                level => PrivilegeLevel::try_from(level)?,
            },
            managed_id,
            auth: algorithm(0)?,
            integrity: algorithm(1)?,
            confidentiality: algorithm(2)?,
        };
        r.finish()?;
        Ok(Self { tag, status, console_id, accepted: Some(accepted) })
    }

    /// Writes the payload: 36 bytes, or 8 when nothing was accepted.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(36);
        let privilege = self.accepted.map_or(0, |a| a.max_privilege.get());
        w.bytes(&[self.tag, self.status.0, privilege, 0]).u32_le(self.console_id);
        if let Some(a) = &self.accepted {
            w.u32_le(a.managed_id);
            Proposal::Algorithm(a.auth).write(&mut w, 0);
            Proposal::Algorithm(a.integrity).write(&mut w, 1);
            Proposal::Algorithm(a.confidentiality).write(&mut w, 2);
        }
        w.into_vec()
    }
}

/// RAKP message 1 (IPMI 2.0 table 13-11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rakp1<'a> {
    /// Echoed in RAKP 2.
    pub tag: u8,
    /// The BMC's session id.
    pub managed_id: u32,
    /// The console's random number.
    pub random: [u8; 16],
    /// The role byte as it travels; it enters the codes as it is. See [`Rakp1::name_only`] and [`Rakp1::privilege`].
    pub role: u8,
    /// The user name; empty for the null user. Longer than [`MAX_USER_NAME`] only when the length byte says so, which
    /// the receiver answers with [`RakpStatus::INVALID_NAME_LENGTH`].
    pub name: &'a [u8],
}

impl<'a> Rakp1<'a> {
    /// The bit of the role byte that asks for a look-up by name alone.
    pub const NAME_ONLY: u8 = 0x10;

    /// Whether the user is to be found by name alone; otherwise by name and privilege together.
    #[must_use]
    pub const fn name_only(&self) -> bool {
        self.role & Self::NAME_ONLY != 0
    }

    /// The requested level, a four-bit value; 0 means the highest.
    #[must_use]
    pub const fn privilege(&self) -> u8 {
        self.role & 0x0f
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the name is shorter than its length byte says, [`DecodeError::Trailing`] when
    /// it is longer.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let [tag, _, _, _] = r.array()?;
        let managed_id = r.u32_le()?;
        let random = r.array()?;
        let [role, _, _, len] = r.array()?;
        let name = r.bytes(len.into())?;
        r.finish()?;
        Ok(Self { tag, managed_id, random, role, name })
    }

    /// Writes the payload.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when the name is longer than 255 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let len = u8::try_from(self.name.len()).map_err(|_| DecodeError::Length)?;
        let mut w = Writer::with_capacity(44);
        w.bytes(&[self.tag, 0, 0, 0]).u32_le(self.managed_id).bytes(&self.random);
        w.bytes(&[self.role, 0, 0, len]).bytes(self.name);
        Ok(w.into_vec())
    }
}

/// RAKP message 2 (IPMI 2.0 table 13-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rakp2<'a> {
    /// The tag of RAKP 1.
    pub tag: u8,
    /// How it went.
    pub status: RakpStatus,
    /// The console's session id.
    pub console_id: u32,
    /// The rest; absent exactly when the status is an error.
    pub body: Option<Rakp2Body<'a>>,
}

/// The second half of a successful [`Rakp2`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rakp2Body<'a> {
    /// The BMC's random number.
    pub random: [u8; 16],
    /// The system's GUID in wire order, see [`crate::guid`].
    pub guid: [u8; 16],
    /// The key exchange authentication code.
    pub code: &'a [u8],
}

impl<'a> Rakp2<'a> {
    /// Reads the payload; the code is everything after the GUID.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (tag, status, console_id) = read_head(&mut r)?;
        let body = if status.is_ok() {
            Some(Rakp2Body { random: r.array()?, guid: r.array()?, code: r.rest() })
        } else {
            None
        };
        Ok(Self { tag, status, console_id, body })
    }

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = head(self.tag, self.status, self.console_id);
        if let Some(b) = &self.body {
            w.bytes(&b.random).bytes(&b.guid).bytes(b.code);
        }
        w.into_vec()
    }
}

/// RAKP messages 3 and 4, which look alike (IPMI 2.0 tables 13-13 and 13-14): a session id and a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RakpProof<'a> {
    /// Chosen by the console in RAKP 3, echoed in RAKP 4.
    pub tag: u8,
    /// RAKP 3: an error means that the console gives up. RAKP 4: how it went.
    pub status: RakpStatus,
    /// The receiver's session id.
    pub session_id: u32,
    /// RAKP 3: the key exchange code. RAKP 4: the integrity check value. Empty with an error.
    pub code: &'a [u8],
}

impl<'a> RakpProof<'a> {
    /// Reads the payload; the code is everything after the session id.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (tag, status, session_id) = read_head(&mut r)?;
        Ok(Self { tag, status, session_id, code: r.rest() })
    }

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = head(self.tag, self.status, self.session_id);
        w.bytes(self.code);
        w.into_vec()
    }
}

fn read_head(r: &mut Reader<'_>) -> Result<(u8, RakpStatus, u32), DecodeError> {
    let [tag, status, _, _] = r.array()?;
    Ok((tag, RakpStatus(status), r.u32_le()?))
}

fn head(tag: u8, status: RakpStatus, session_id: u32) -> Writer {
    let mut w = Writer::with_capacity(72);
    w.bytes(&[tag, status.0, 0, 0]).u32_le(session_id);
    w
}

#[cfg(test)]
mod tests;
