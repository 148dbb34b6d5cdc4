//! The two commands of an IPMI 1.5 login (IPMI 2.0 §22.16, §22.17).
//!
//! ```text
//! console                                BMC
//!    | -- Get Session Challenge ----->    |   user name
//!    | <- session id, challenge -------   |
//!    | -- Activate Session ---------->    |   the challenge, signed with the password
//!    | <- first sequence number -------   |   the session is active
//! ```

use crate::command::{Payload, command};
use crate::session::v15::AuthType;
use crate::{DecodeError, PrivilegeLevel, Reader, Writer, rakp::MAX_USER_NAME};

/// Get Session Challenge (IPMI 2.0 §22.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSessionChallenge {
    /// How the session is to be authenticated.
    pub auth_type: AuthType,
    /// The user's name, padded with zeros; all zeros for the null user.
    pub name: [u8; MAX_USER_NAME],
}

command!(GetSessionChallenge, APP, 0x39, "Get Session Challenge", SessionChallenge);

fn auth_type(r: &mut Reader<'_>) -> Result<AuthType, DecodeError> {
    let raw = r.u8()?;
    AuthType::from_raw(raw & 0x0f).ok_or(DecodeError::value("authentication type", raw))
}

impl Payload for GetSessionChallenge {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { auth_type: auth_type(r)?, name: r.array()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.auth_type as u8).bytes(&self.name);
    }
}

/// The answer to [`GetSessionChallenge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionChallenge {
    /// The session id to put into the header of Activate Session; not 0.
    pub session_id: u32,
    /// What Activate Session has to give back.
    pub challenge: [u8; 16],
}

impl Payload for SessionChallenge {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { session_id: r.u32_le()?, challenge: r.array()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u32_le(self.session_id).bytes(&self.challenge);
    }
}

/// Activate Session (IPMI 2.0 §22.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivateSession {
    /// How the session is to be authenticated, as in [`GetSessionChallenge`].
    pub auth_type: AuthType,
    /// The highest level that the session is to have.
    pub max_privilege: PrivilegeLevel,
    /// The challenge.
    pub challenge: [u8; 16],
    /// The number of the BMC's first packet; not 0.
    pub outbound: u32,
}

command!(ActivateSession, APP, 0x3a, "Activate Session", SessionActivated);

impl Payload for ActivateSession {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            auth_type: auth_type(r)?,
            max_privilege: PrivilegeLevel::try_from(r.u8()? & 0x0f)?,
            challenge: r.array()?,
            outbound: r.u32_le()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.auth_type as u8).u8(self.max_privilege.get());
        w.bytes(&self.challenge).u32_le(self.outbound);
    }
}

/// The answer to [`ActivateSession`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionActivated {
    /// How the packets that follow are authenticated: as asked, or not at all.
    pub auth_type: AuthType,
    /// The session's id; not 0.
    pub session_id: u32,
    /// The number of the console's next packet; not 0.
    pub inbound: u32,
    /// The highest level that the session has.
    pub max_privilege: PrivilegeLevel,
}

impl Payload for SessionActivated {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            auth_type: auth_type(r)?,
            session_id: r.u32_le()?,
            inbound: r.u32_le()?,
            max_privilege: PrivilegeLevel::try_from(r.u8()? & 0x0f)?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.auth_type as u8).u32_le(self.session_id).u32_le(self.inbound);
        w.u8(self.max_privilege.get());
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn challenge() {
        let name = *b"admin\0\0\0\0\0\0\0\0\0\0\0";
        let ask = GetSessionChallenge { auth_type: AuthType::Md5, name };
        golden(&ask, "02 61646d696e0000000000000000000000", &[]);
        assert_eq!(GetSessionChallenge::decode(&[3; 17]), Err(DecodeError::value("authentication type", 3)));
        let answer = SessionChallenge { session_id: 0x0102_0304, challenge: [0xab; 16] };
        golden(&answer, &format!("04030201 {}", "ab".repeat(16)), &[]);
    }

    #[test]
    fn activate() {
        let ask = ActivateSession {
            auth_type: AuthType::Md2,
            max_privilege: PrivilegeLevel::Administrator,
            challenge: [0xcd; 16],
            outbound: 0x1122_3344,
        };
        golden(&ask, &format!("01 04 {} 44332211", "cd".repeat(16)), &[]);
        let mut bytes = ask.encode();
        for reserved in [0, 6, 15] {
            bytes[1] = reserved;
            assert!(ActivateSession::decode(&bytes).is_err(), "level {reserved}");
        }
        let answer = SessionActivated {
            auth_type: AuthType::None,
            session_id: 0x0102_0304,
            inbound: 0x0506_0708,
            max_privilege: PrivilegeLevel::Operator,
        };
        golden(&answer, "00 04030201 08070605 03", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            stable::<GetSessionChallenge>(&bytes);
            stable::<SessionChallenge>(&bytes);
            stable::<ActivateSession>(&bytes);
            stable::<SessionActivated>(&bytes);
        }
    }
}
