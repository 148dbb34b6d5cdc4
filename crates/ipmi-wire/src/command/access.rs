//! Channels: setting who may use them, and which payloads they carry (IPMI 2.0 §22.22, §24.8 to §24.10). What is read of the access
//! is in [`super::channel`].

use crate::command::channel::{AccessKind, AccessMode};
use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, PrivilegeLevel, Reader, Writer};

/// Set Channel Access (IPMI 2.0 §22.22). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetChannelAccess {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The access, and which of the two settings to change; `None` leaves both.
    pub access: Option<(AccessKind, AccessFlags)>,
    /// The privilege limit, and which of the two settings to change; `None` leaves both.
    pub limit: Option<(AccessKind, PrivilegeLevel)>,
}

/// Access to a channel, without its privilege limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessFlags {
    /// No alerts are sent over the channel.
    pub alerting_disabled: bool,
    /// Single messages are not authenticated.
    pub per_message_auth_disabled: bool,
    /// Commands of User level are not authenticated.
    pub user_level_auth_disabled: bool,
    /// When the channel can be used.
    pub mode: AccessMode,
}

command!(SetChannelAccess, APP, 0x40, "Set Channel Access", ());

fn kind(raw: u8) -> Result<Option<AccessKind>, DecodeError> {
    match raw >> 6 {
        0 => Ok(None),
        1 => Ok(Some(AccessKind::NonVolatile)),
        2 => Ok(Some(AccessKind::Present)),
        _ => Err(DecodeError::value("access setting", raw)),
    }
}

impl Payload for SetChannelAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let access = r.u8()?;
        let limit = r.u8()?;
        let flags = |kind| {
            let mode = AccessMode::try_from(access & 0x07)?;
            let flags = AccessFlags {
                alerting_disabled: bit(access, 5),
                per_message_auth_disabled: bit(access, 4),
                user_level_auth_disabled: bit(access, 3),
                mode,
            };
            Ok((kind, flags))
        };
        let level = |kind| PrivilegeLevel::try_from(limit & 0x0f).map(|level| (kind, level));
        Ok(Self {
            channel,
            access: kind(access)?.map(flags).transpose()?,
            limit: kind(limit)?.map(level).transpose()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        let access = self.access.map_or(0, |(kind, flags)| {
            (kind as u8) << 6
                | flag(flags.alerting_disabled, 5)
                | flag(flags.per_message_auth_disabled, 4)
                | flag(flags.user_level_auth_disabled, 3)
                | flags.mode as u8
        });
        let limit = self.limit.map_or(0, |(kind, level)| (kind as u8) << 6 | level.get());
        w.u8(self.channel & 0x0f).u8(access).u8(limit);
    }
}

/// Get Channel Payload Support (IPMI 2.0 §24.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelPayloadSupport {
    /// The channel, 0 to 15.
    pub channel: u8,
}

command!(GetChannelPayloadSupport, APP, 0x4e, "Get Channel Payload Support", PayloadSupport);

impl Payload for GetChannelPayloadSupport {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()? & 0x0f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f);
    }
}

/// The answer to [`GetChannelPayloadSupport`]: bit n of a field stands for the n-th payload type of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadSupport {
    /// Standard types 00h to 0Fh: bit 0 IPMI messages, bit 1 Serial over LAN.
    pub standard: u16,
    /// Session setup types 10h to 1Fh.
    pub session_setup: u16,
    /// OEM types 20h to 2Fh.
    pub oem: u16,
}

impl Payload for PayloadSupport {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let support = Self { standard: r.u16_le()?, session_setup: r.u16_le()?, oem: r.u16_le()? };
        r.u16_le()?;
        Ok(support)
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.standard).u16_le(self.session_setup).u16_le(self.oem).u16_le(0);
    }
}

/// Get Channel Payload Version (IPMI 2.0 §24.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelPayloadVersion {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The payload type.
    pub payload_type: u8,
}

command!(GetChannelPayloadVersion, APP, 0x4f, "Get Channel Payload Version", PayloadVersion);

impl Payload for GetChannelPayloadVersion {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()? & 0x0f, payload_type: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.payload_type);
    }
}

/// The answer to [`GetChannelPayloadVersion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadVersion {
    /// Major version, 0 to 15.
    pub major: u8,
    /// Minor version, 0 to 15.
    pub minor: u8,
}

impl Payload for PayloadVersion {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.u8()?;
        Ok(Self { major: version >> 4, minor: version & 0x0f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.major << 4 | self.minor & 0x0f);
    }
}

/// Get Channel OEM Payload Info (IPMI 2.0 §24.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelOemPayloadInfo {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The payload type.
    pub payload_type: u8,
    /// IANA number of the maker.
    pub oem: u32,
    /// The maker's number for the payload.
    pub payload_id: u16,
}

command!(GetChannelOemPayloadInfo, APP, 0x50, "Get Channel OEM Payload Info", OemPayloadInfo);

impl Payload for GetChannelOemPayloadInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            channel: r.u8()? & 0x0f,
            payload_type: r.u8()? & 0x3f,
            oem: r.u24_le()?,
            payload_id: r.u16_le()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.payload_type & 0x3f).u24_le(self.oem).u16_le(self.payload_id);
    }
}

/// The answer to [`GetChannelOemPayloadInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OemPayloadInfo {
    /// The payload type.
    pub payload_type: u8,
    /// IANA number of the maker.
    pub oem: u32,
    /// The maker's number for the payload.
    pub payload_id: u16,
    /// Version, major and minor, each 0 to 15.
    pub version: PayloadVersion,
}

impl Payload for OemPayloadInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            payload_type: r.u8()?,
            oem: r.u24_le()?,
            payload_id: r.u16_le()?,
            version: PayloadVersion::read(r)?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.payload_type).u24_le(self.oem).u16_le(self.payload_id);
        self.version.write(w);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn set_access() {
        let flags = AccessFlags {
            alerting_disabled: true,
            per_message_auth_disabled: false,
            user_level_auth_disabled: true,
            mode: AccessMode::Always,
        };
        let set = SetChannelAccess {
            channel: 1,
            access: Some((AccessKind::NonVolatile, flags)),
            limit: Some((AccessKind::Present, PrivilegeLevel::Operator)),
        };
        golden(&set, "01 6a 83", &[]);
        golden(&SetChannelAccess { channel: 1, access: None, limit: None }, "01 00 00", &[]);
        for bad in [[1, 0xc2, 0x44], [1, 0x42, 0xc4], [1, 0x44, 0x44], [1, 0x42, 0x40]] {
            assert!(SetChannelAccess::decode(&bad).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn payloads() {
        golden(&GetChannelPayloadSupport { channel: 0x0e }, "0e", &[]);
        let support = PayloadSupport { standard: 3, session_setup: 0x3f, oem: 0 };
        golden(&support, "0300 3f00 0000 0000", &[]);
        golden(&GetChannelPayloadVersion { channel: 1, payload_type: 1 }, "01 01", &[]);
        golden(&PayloadVersion { major: 1, minor: 0 }, "10", &[]);
        let ask = GetChannelOemPayloadInfo { channel: 1, payload_type: 2, oem: 7154, payload_id: 3 };
        golden(&ask, "01 02 f21b00 0300", &[]);
        let version = PayloadVersion { major: 1, minor: 2 };
        let info = OemPayloadInfo { payload_type: 2, oem: 7154, payload_id: 3, version };
        golden(&info, "02 f21b00 0300 12", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..10)) {
            stable::<SetChannelAccess>(&bytes);
            stable::<PayloadSupport>(&bytes);
            stable::<GetChannelOemPayloadInfo>(&bytes);
        }
    }
}
