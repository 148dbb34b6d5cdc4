//! Sessions: privilege, closing, information (IPMI 2.0 §22.18 to §22.20).

use crate::command::{Payload, command};
use crate::{DecodeError, PrivilegeLevel, Reader, Writer};

/// Set Session Privilege Level (IPMI 2.0 §22.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSessionPrivilegeLevel {
    /// The level to change to; `None` (0 on the wire) changes nothing and asks for the present one.
    pub level: Option<PrivilegeLevel>,
}

command!(SetSessionPrivilegeLevel, APP, 0x3b, "Set Session Privilege Level", SessionPrivilegeLevel);

impl Payload for SetSessionPrivilegeLevel {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let raw = r.u8()? & 0x0f;
        // Level 1 cannot be asked for: the specification reserves it here.
        let level = match raw {
            0 => None,
            1 => return Err(DecodeError::value("privilege level", raw)),
            raw => Some(PrivilegeLevel::try_from(raw)?),
        };
        Ok(Self { level })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.level.map_or(0, PrivilegeLevel::get));
    }
}

/// The answer to [`SetSessionPrivilegeLevel`]: the level that holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPrivilegeLevel {
    /// The session's level after the command.
    pub level: PrivilegeLevel,
}

impl Payload for SessionPrivilegeLevel {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { level: PrivilegeLevel::try_from(r.u8()? & 0x0f)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.level.get());
    }
}

/// Close Session (IPMI 2.0 §22.19). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseSession {
    /// The session that the managed system knows by this id; never 0.
    Id(u32),
    /// The session with this handle (an id of 0 on the wire, and a fifth byte).
    Handle(u8),
}

command!(CloseSession, APP, 0x3c, "Close Session", ());

impl Payload for CloseSession {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.u32_le()?;
        match (id, r.is_empty()) {
            // Id 0 without a handle names no session; the caller finds none.
            (id, true) => Ok(Self::Id(id)),
            (0, false) => Ok(Self::Handle(r.u8()?)),
            (_, false) => Err(DecodeError::Trailing),
        }
    }

    fn write(&self, w: &mut Writer) {
        match *self {
            Self::Id(id) => w.u32_le(id),
            Self::Handle(handle) => w.u32_le(0).u8(handle),
        };
    }
}

/// Get Session Info (IPMI 2.0 §22.20): which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetSessionInfo {
    /// The one that the request came over.
    Current,
    /// The n-th active one, counted from 1, up to [`GetSessionInfo::INDEX_MAX`].
    Index(u8),
    /// The one with this handle.
    Handle(u8),
    /// The one with this id.
    Id(u32),
}

impl GetSessionInfo {
    /// The greatest index; the values above it mean something else.
    pub const INDEX_MAX: u8 = 0xfd;
}

command!(GetSessionInfo, APP, 0x3d, "Get Session Info", SessionInfo);

impl Payload for GetSessionInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8()? {
            0x00 => Self::Current,
            0xfe => Self::Handle(r.u8()?),
            0xff => Self::Id(r.u32_le()?),
            index => Self::Index(index),
        })
    }

    fn write(&self, w: &mut Writer) {
        match *self {
            Self::Current => w.u8(0),
            Self::Index(index) => w.u8(index.clamp(1, Self::INDEX_MAX)),
            Self::Handle(handle) => w.u8(0xfe).u8(handle),
            Self::Id(id) => w.u8(0xff).u32_le(id),
        };
    }
}

/// The answer to [`GetSessionInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session's handle; 0 when there is no active session at the index.
    pub handle: u8,
    /// How many sessions there can be, 0 to 63.
    pub sessions_max: u8,
    /// How many are active now, 0 to 63.
    pub sessions_active: u8,
    /// The session, if there is one.
    pub active: Option<ActiveSession>,
}

/// An active session (IPMI 2.0 §22.20, bytes 5 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveSession {
    /// The user's id, 0 to 63.
    pub user_id: u8,
    /// Its present level.
    pub privilege: PrivilegeLevel,
    /// Whether it is an RMCP+ session (IPMI 2.0) and not one of IPMI 1.5.
    pub rmcp_plus: bool,
    /// The channel it came over, 0 to 15.
    pub channel: u8,
    /// The console's address, for a session over a LAN channel.
    pub console: Option<LanConsole>,
}

/// Where a LAN session comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanConsole {
    /// IPv4 address, first byte first; zeros when the console uses IPv6.
    pub ip: [u8; 4],
    /// Hardware address; zeros when unknown.
    pub mac: [u8; 6],
    /// UDP port.
    pub port: u16,
}

impl Payload for SessionInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let handle = r.u8()?;
        let sessions_max = r.u8()? & 0x3f;
        let sessions_active = r.u8()? & 0x3f;
        let active = if r.is_empty() { None } else { Some(ActiveSession::read(r)?) };
        Ok(Self { handle, sessions_max, sessions_active, active })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.handle).u8(self.sessions_max & 0x3f).u8(self.sessions_active & 0x3f);
        if let Some(active) = self.active {
            active.write(w);
        }
    }
}

impl Payload for ActiveSession {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let user_id = r.u8()? & 0x3f;
        let privilege = PrivilegeLevel::try_from(r.u8()? & 0x0f)?;
        let protocol = r.u8()?;
        let console = if r.is_empty() {
            None
        } else {
            Some(LanConsole { ip: r.array()?, mac: r.array()?, port: r.u16_le()? })
        };
        Ok(Self { user_id, privilege, rmcp_plus: protocol >> 4 == 1, channel: protocol & 0x0f, console })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.user_id & 0x3f).u8(self.privilege.get());
        w.u8(u8::from(self.rmcp_plus) << 4 | self.channel & 0x0f);
        if let Some(console) = self.console {
            w.bytes(&console.ip).bytes(&console.mac).u16_le(console.port);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn privilege() {
        golden(&SetSessionPrivilegeLevel { level: None }, "00", &[]);
        golden(&SetSessionPrivilegeLevel { level: Some(PrivilegeLevel::Administrator) }, "04", &[]);
        golden(&SessionPrivilegeLevel { level: PrivilegeLevel::Operator }, "03", &[]);
        for reserved in [0x01, 0x06, 0x0f] {
            assert_eq!(
                SetSessionPrivilegeLevel::decode(&[reserved]),
                Err(DecodeError::value("privilege level", reserved))
            );
        }
    }

    #[test]
    fn close() {
        golden(&CloseSession::Id(0xa0a2_a3a4), "a4a3a2a0", &[]);
        golden(&CloseSession::Handle(3), "00000000 03", &[4]);
        assert_eq!(CloseSession::decode(&[0; 4]), Ok(CloseSession::Id(0)));
    }

    #[test]
    fn info_request() {
        golden(&GetSessionInfo::Current, "00", &[]);
        golden(&GetSessionInfo::Index(2), "02", &[]);
        golden(&GetSessionInfo::Handle(7), "fe 07", &[]);
        golden(&GetSessionInfo::Id(0x0102_0304), "ff 04030201", &[]);
    }

    #[test]
    fn info_response() {
        let none = SessionInfo { handle: 0, sessions_max: 5, sessions_active: 1, active: None };
        assert_eq!(none.encode(), [0x00, 0x05, 0x01]);
        assert_eq!(SessionInfo::decode(&[0x00, 0x05, 0x01]), Ok(none));
        let console = LanConsole { ip: [127, 0, 0, 1], mac: [0; 6], port: 0xc001 };
        let active = ActiveSession {
            user_id: 2,
            privilege: PrivilegeLevel::Administrator,
            rmcp_plus: true,
            channel: 1,
            console: Some(console),
        };
        let info = SessionInfo { handle: 9, active: Some(active), ..none };
        golden(&info, "09 05 01 02 04 11 7f000001 000000000000 01c0", &[3, 6]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            stable::<SetSessionPrivilegeLevel>(&bytes);
            stable::<CloseSession>(&bytes);
            stable::<GetSessionInfo>(&bytes);
            stable::<SessionInfo>(&bytes);
        }
    }
}
