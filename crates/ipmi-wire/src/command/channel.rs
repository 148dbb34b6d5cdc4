//! Channels: how to authenticate, which cipher suites, what they are and who may use them (IPMI 2.0 §22.13 to §22.24).

use alloc::vec::Vec;

use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, PrivilegeLevel, Reader, Writer};

/// The channel number that means "the one this request came over".
pub const PRESENT_CHANNEL: u8 = 0x0e;

/// Get Channel Authentication Capabilities (IPMI 2.0 §22.13); may be asked without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelAuthCapabilities {
    /// Whether the answer shall tell about IPMI 2.0. Consoles that know only IPMI 1.5 leave it out.
    pub extended: bool,
    /// The channel, 0 to 15; see [`PRESENT_CHANNEL`].
    pub channel: u8,
    /// The level that the console will ask for.
    pub privilege: PrivilegeLevel,
}

command!(
    GetChannelAuthCapabilities,
    APP,
    0x38,
    "Get Channel Authentication Capabilities",
    ChannelAuthCapabilities
);

impl Payload for GetChannelAuthCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()?;
        let privilege = PrivilegeLevel::try_from(r.u8()? & 0x0f)?;
        Ok(Self { extended: bit(channel, 7), channel: channel & 0x0f, privilege })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.extended, 7) | self.channel & 0x0f).u8(self.privilege.get());
    }
}

/// The answer to [`GetChannelAuthCapabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelAuthCapabilities {
    /// The channel's real number.
    pub channel: u8,
    /// Authentication types of IPMI 1.5 sessions that the channel offers at the asked level.
    pub types: AuthTypes,
    /// A Kg other than zero is set (two-key log-in).
    pub kg_set: bool,
    /// Single messages are not authenticated.
    pub per_message_auth_disabled: bool,
    /// Commands of User level are not authenticated.
    pub user_level_auth_disabled: bool,
    /// Users with a name exist and are enabled.
    pub named_users: bool,
    /// An enabled user without a name, but with a password, exists.
    pub null_users: bool,
    /// An enabled user without a name and without a password exists.
    pub anonymous_login: bool,
    /// Which versions of sessions the channel offers; present when the request asked for it.
    pub extended: Option<SessionVersions>,
    /// IANA number of the body that defined the OEM authentication type; 0 for none.
    pub oem_id: u32,
    /// Auxiliary data for the OEM authentication type.
    pub oem_aux: u8,
}

/// Authentication types of IPMI 1.5 sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuthTypes {
    /// No authentication.
    pub none: bool,
    /// MD2.
    pub md2: bool,
    /// MD5.
    pub md5: bool,
    /// The password in plain text.
    pub password: bool,
    /// The maker's own.
    pub oem: bool,
}

/// The extended capabilities of IPMI 2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionVersions {
    /// Sessions of IPMI 2.0 (RMCP+).
    pub ipmi20: bool,
    /// Sessions of IPMI 1.5.
    pub ipmi15: bool,
}

impl Payload for ChannelAuthCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let types = r.u8()?;
        let status = r.u8()?;
        let versions = r.u8()?;
        let extended = SessionVersions { ipmi20: bit(versions, 1), ipmi15: bit(versions, 0) };
        Ok(Self {
            channel,
            types: AuthTypes {
                none: bit(types, 0),
                md2: bit(types, 1),
                md5: bit(types, 2),
                password: bit(types, 4),
                oem: bit(types, 5),
            },
            kg_set: bit(status, 5),
            per_message_auth_disabled: bit(status, 4),
            user_level_auth_disabled: bit(status, 3),
            named_users: bit(status, 2),
            null_users: bit(status, 1),
            anonymous_login: bit(status, 0),
            extended: bit(types, 7).then_some(extended),
            oem_id: r.u24_le()?,
            oem_aux: r.u8()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        let types = self.types;
        let versions = self.extended.unwrap_or_default();
        w.u8(self.channel & 0x0f)
            .u8(flag(types.none, 0)
                | flag(types.md2, 1)
                | flag(types.md5, 2)
                | flag(types.password, 4)
                | flag(types.oem, 5)
                | flag(self.extended.is_some(), 7))
            .u8(flag(self.kg_set, 5)
                | flag(self.per_message_auth_disabled, 4)
                | flag(self.user_level_auth_disabled, 3)
                | flag(self.named_users, 2)
                | flag(self.null_users, 1)
                | flag(self.anonymous_login, 0))
            .u8(flag(versions.ipmi20, 1) | flag(versions.ipmi15, 0))
            .u24_le(self.oem_id)
            .u8(self.oem_aux);
    }
}

/// Get Channel Cipher Suites (IPMI 2.0 §22.15); may be asked without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelCipherSuites {
    /// The channel, 0 to 15; see [`PRESENT_CHANNEL`].
    pub channel: u8,
    /// The payload type that the suites are for, 0 to 63; 0 is IPMI.
    pub payload_type: u8,
    /// List whole suites; otherwise the single algorithms.
    pub by_suite: bool,
    /// Which piece of the list, 0 to 63, each of [`CIPHER_SUITES_PIECE`] bytes.
    pub list_index: u8,
}

/// Bytes in one piece of the list of cipher suites; a shorter piece is the last.
pub const CIPHER_SUITES_PIECE: usize = 16;

command!(GetChannelCipherSuites, APP, 0x54, "Get Channel Cipher Suites", ChannelCipherSuites);

impl Payload for GetChannelCipherSuites {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let payload_type = r.u8()? & 0x3f;
        let index = r.u8()?;
        Ok(Self { channel, payload_type, by_suite: bit(index, 7), list_index: index & 0x3f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f)
            .u8(self.payload_type & 0x3f)
            .u8(flag(self.by_suite, 7) | self.list_index & 0x3f);
    }
}

/// The answer to [`GetChannelCipherSuites`]: one piece of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelCipherSuites {
    /// The channel's real number.
    pub channel: u8,
    /// At most [`CIPHER_SUITES_PIECE`] bytes of the list.
    pub piece: Vec<u8>,
}

impl ChannelCipherSuites {
    /// The piece number `list_index` of `list`: empty when the list ends before it.
    #[must_use]
    pub fn piece_of(channel: u8, list: &[u8], list_index: u8) -> Self {
        let piece = list.chunks(CIPHER_SUITES_PIECE).nth(usize::from(list_index)).unwrap_or_default();
        Self { channel, piece: piece.into() }
    }
}

impl Payload for ChannelCipherSuites {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        if r.remaining() > CIPHER_SUITES_PIECE {
            return Err(DecodeError::Length);
        }
        Ok(Self { channel, piece: r.rest().into() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f);
        for byte in self.piece.iter().take(CIPHER_SUITES_PIECE) {
            w.u8(*byte);
        }
    }
}

/// Get Channel Info (IPMI 2.0 §22.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelInfo {
    /// The channel, 0 to 15; see [`PRESENT_CHANNEL`].
    pub channel: u8,
}

command!(GetChannelInfo, APP, 0x42, "Get Channel Info", ChannelInfo);

impl Payload for GetChannelInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()? & 0x0f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f);
    }
}

/// The answer to [`GetChannelInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelInfo {
    /// The channel's real number.
    pub channel: u8,
    /// Medium, 0 to 127 (IPMI 2.0 table 6-3).
    pub medium: u8,
    /// Protocol, 0 to 31 (IPMI 2.0 table 6-2).
    pub protocol: u8,
    /// Whether the channel has sessions, and how many.
    pub session_support: SessionSupport,
    /// Sessions active on the channel, 0 to 63.
    pub sessions_active: u8,
    /// IANA number of the body that defined the protocol; [`ChannelInfo::VENDOR_IPMI`] for those of the specification.
    pub vendor: u32,
    /// For the system interface its interrupts, for OEM channels the maker's; zeros on a LAN.
    pub auxiliary: [u8; 2],
}

impl ChannelInfo {
    /// The medium IPMB (I2C).
    pub const MEDIUM_IPMB: u8 = 0x01;
    /// The medium 802.3 LAN.
    pub const MEDIUM_LAN: u8 = 0x04;
    /// The medium system interface.
    pub const MEDIUM_SYSTEM_INTERFACE: u8 = 0x0c;
    /// The protocol IPMB-1.0, which LAN channels carry.
    pub const PROTOCOL_IPMB: u8 = 0x01;
    /// The protocol of a system interface of the keyboard controller style.
    pub const PROTOCOL_KCS: u8 = 0x05;
    /// The protocol of a block transfer system interface, as of IPMI 1.5.
    pub const PROTOCOL_BT: u8 = 0x08;
    /// The auxiliary byte for an interrupt that the firmware's tables assign.
    pub const INTERRUPT_ASSIGNED: u8 = 0x60;
    /// The IPMI promoters' enterprise number.
    pub const VENDOR_IPMI: u32 = 7154;
}

/// Whether a channel has sessions (IPMI 2.0 §22.24, byte 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SessionSupport {
    /// No sessions.
    None = 0,
    /// One session at a time.
    Single = 1,
    /// Several sessions.
    Multi = 2,
    /// One or several, by configuration.
    SessionBased = 3,
}

impl Payload for ChannelInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let medium = r.u8()? & 0x7f;
        let protocol = r.u8()? & 0x1f;
        let sessions = r.u8()?;
        let session_support = match sessions >> 6 {
            0 => SessionSupport::None,
            1 => SessionSupport::Single,
            2 => SessionSupport::Multi,
            _ => SessionSupport::SessionBased,
        };
        Ok(Self {
            channel,
            medium,
            protocol,
            session_support,
            sessions_active: sessions & 0x3f,
            vendor: r.u24_le()?,
            auxiliary: r.array()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f)
            .u8(self.medium & 0x7f)
            .u8(self.protocol & 0x1f)
            .u8((self.session_support as u8) << 6 | self.sessions_active & 0x3f)
            .u24_le(self.vendor)
            .bytes(&self.auxiliary);
    }
}

/// Get Channel Access (IPMI 2.0 §22.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelAccess {
    /// The channel, 0 to 15; see [`PRESENT_CHANNEL`].
    pub channel: u8,
    /// Which of the two settings.
    pub which: AccessKind,
}

/// Which of a channel's two access settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessKind {
    /// What holds after a start.
    NonVolatile = 1,
    /// What holds now.
    Present = 2,
}

command!(GetChannelAccess, APP, 0x41, "Get Channel Access", ChannelAccess);

impl Payload for GetChannelAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let raw = r.u8()?;
        let which = match raw >> 6 {
            1 => AccessKind::NonVolatile,
            2 => AccessKind::Present,
            _ => return Err(DecodeError::value("access setting", raw)),
        };
        Ok(Self { channel, which })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8((self.which as u8) << 6);
    }
}

/// The answer to [`GetChannelAccess`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelAccess {
    /// No alerts are sent over the channel.
    pub alerting_disabled: bool,
    /// Single messages are not authenticated.
    pub per_message_auth_disabled: bool,
    /// Commands of User level are not authenticated.
    pub user_level_auth_disabled: bool,
    /// When the channel can be used.
    pub mode: AccessMode,
    /// The highest level that a session over the channel can have.
    pub privilege_limit: PrivilegeLevel,
}

/// When a channel can be used (IPMI 2.0 table 6-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessMode {
    /// Never.
    Disabled = 0,
    /// While the system is off or in its firmware.
    PreBoot = 1,
    /// Always.
    Always = 2,
    /// Always, shared with the system.
    Shared = 3,
}

impl TryFrom<u8> for AccessMode {
    type Error = DecodeError;

    fn try_from(raw: u8) -> Result<Self, DecodeError> {
        Ok(match raw {
            0 => Self::Disabled,
            1 => Self::PreBoot,
            2 => Self::Always,
            3 => Self::Shared,
            mode => return Err(DecodeError::value("access mode", mode)),
        })
    }
}

impl Payload for ChannelAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let access = r.u8()?;
        let mode = AccessMode::try_from(access & 0x07)?;
        Ok(Self {
            alerting_disabled: bit(access, 5),
            per_message_auth_disabled: bit(access, 4),
            user_level_auth_disabled: bit(access, 3),
            mode,
            privilege_limit: PrivilegeLevel::try_from(r.u8()? & 0x0f)?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.alerting_disabled, 5)
            | flag(self.per_message_auth_disabled, 4)
            | flag(self.user_level_auth_disabled, 3)
            | self.mode as u8)
            .u8(self.privilege_limit.get());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cipher::CipherSuite;
    use crate::command::tests::{golden, stable};

    #[test]
    fn auth_capabilities() {
        // ipmitool -I lanplus, then the older form that it falls back to.
        let ask = GetChannelAuthCapabilities {
            extended: true,
            channel: PRESENT_CHANNEL,
            privilege: PrivilegeLevel::Administrator,
        };
        golden(&ask, "8e 04", &[]);
        golden(&GetChannelAuthCapabilities { extended: false, ..ask }, "0e 04", &[]);
        assert!(GetChannelAuthCapabilities::decode(&[0x8e, 0x00]).is_err(), "level 0 is reserved");

        let answer = ChannelAuthCapabilities {
            channel: 1,
            named_users: true,
            extended: Some(SessionVersions { ipmi20: true, ipmi15: false }),
            ..Default::default()
        };
        golden(&answer, "01 80 04 02 000000 00", &[]);
        let old = ChannelAuthCapabilities {
            types: AuthTypes { md5: true, password: true, ..Default::default() },
            kg_set: true,
            extended: None,
            ..answer
        };
        golden(&old, "01 14 24 00 000000 00", &[]);
    }

    #[test]
    fn cipher_suites() {
        let ask = GetChannelCipherSuites { channel: 14, payload_type: 0, by_suite: true, list_index: 0 };
        golden(&ask, "0e 00 80", &[]);
        let list: Vec<u8> = [3, 8, 12, 17].iter().flat_map(|id| CipherSuite::ALL[*id].record()).collect();
        let first = ChannelCipherSuites::piece_of(1, &list, 0);
        assert_eq!(hex::encode(first.encode()), "01c003014181c008024281c00c024381c0");
        golden(&ChannelCipherSuites::piece_of(1, &list, 1), "01 11 03 44 81", &(1..=17).collect::<Vec<_>>());
        assert!(ChannelCipherSuites::piece_of(1, &list, 2).piece.is_empty());
        assert!(ChannelCipherSuites::piece_of(1, &list, 63).piece.is_empty());
    }

    #[test]
    fn info() {
        golden(&GetChannelInfo { channel: 14 }, "0e", &[]);
        let info = ChannelInfo {
            channel: 1,
            medium: ChannelInfo::MEDIUM_LAN,
            protocol: ChannelInfo::PROTOCOL_IPMB,
            session_support: SessionSupport::Multi,
            sessions_active: 3,
            vendor: ChannelInfo::VENDOR_IPMI,
            auxiliary: [0; 2],
        };
        golden(&info, "01 04 01 83 f21b00 0000", &[]);
    }

    #[test]
    fn access() {
        golden(&GetChannelAccess { channel: 1, which: AccessKind::Present }, "01 80", &[]);
        golden(&GetChannelAccess { channel: 14, which: AccessKind::NonVolatile }, "0e 40", &[]);
        assert!(GetChannelAccess::decode(&[1, 0]).is_err());
        let access = ChannelAccess {
            alerting_disabled: true,
            per_message_auth_disabled: false,
            user_level_auth_disabled: false,
            mode: AccessMode::Always,
            privilege_limit: PrivilegeLevel::Administrator,
        };
        golden(&access, "22 04", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            stable::<GetChannelAuthCapabilities>(&bytes);
            stable::<ChannelAuthCapabilities>(&bytes);
            stable::<GetChannelCipherSuites>(&bytes);
            stable::<ChannelCipherSuites>(&bytes);
            stable::<GetChannelInfo>(&bytes);
            stable::<ChannelInfo>(&bytes);
            stable::<GetChannelAccess>(&bytes);
            stable::<ChannelAccess>(&bytes);
        }
    }
}
