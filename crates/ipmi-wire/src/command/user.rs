//! Users: access, names, passwords, payload access (IPMI 2.0 §22.26 to §22.30, §24.6, §24.7).

use core::fmt;

use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, PrivilegeLevel, Reader, Writer};

/// Bytes of a user name as it travels, padded with zeros.
pub const USER_NAME_BYTES: usize = 16;
/// Bytes of the longer form of a password.
pub const PASSWORD_BYTES: usize = 20;
/// Bytes of the shorter form of a password.
pub const SHORT_PASSWORD_BYTES: usize = 16;

/// A user id as it travels: six bits.
const ID: u8 = 0x3f;
/// The privilege limit "no access".
const NO_ACCESS: u8 = 0x0f;

fn limit_from(raw: u8) -> Result<Option<PrivilegeLevel>, DecodeError> {
    match raw & 0x0f {
        NO_ACCESS => Ok(None),
        raw => PrivilegeLevel::try_from(raw).map(Some),
    }
}

fn limit_to(limit: Option<PrivilegeLevel>) -> u8 {
    limit.map_or(NO_ACCESS, PrivilegeLevel::get)
}

/// What a user may do on a channel besides its privilege limit (IPMI 2.0 §22.26, bits 6 to 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserRights {
    /// Restricted to callback connections.
    pub callback_only: bool,
    /// The name and password are used for link authentication.
    pub link_authentication: bool,
    /// IPMI messages may be sent.
    pub ipmi_messaging: bool,
}

impl UserRights {
    fn from_byte(byte: u8) -> Self {
        Self { callback_only: bit(byte, 6), link_authentication: bit(byte, 5), ipmi_messaging: bit(byte, 4) }
    }

    fn byte(self) -> u8 {
        flag(self.callback_only, 6) | flag(self.link_authentication, 5) | flag(self.ipmi_messaging, 4)
    }
}

/// Set User Access (IPMI 2.0 §22.26). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetUserAccess {
    /// The rights to set; `None` leaves them as they are.
    pub rights: Option<UserRights>,
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The user, 0 to 63.
    pub user_id: u8,
    /// The highest level; `None` is no access.
    pub limit: Option<PrivilegeLevel>,
    /// Sessions that the user may have at a time; 0 is as many as the channel has. May be left out.
    pub session_limit: Option<u8>,
}

command!(SetUserAccess, APP, 0x43, "Set User Access", ());

impl Payload for SetUserAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = r.u8()?;
        let user_id = r.u8()? & ID;
        let limit = r.u8()?;
        let session_limit = if r.is_empty() { None } else { Some(r.u8()? & 0x0f) };
        Ok(Self {
            rights: bit(first, 7).then(|| UserRights::from_byte(first)),
            channel: first & 0x0f,
            user_id,
            limit: limit_from(limit)?,
            session_limit,
        })
    }

    fn write(&self, w: &mut Writer) {
        let rights = self.rights.map_or(0, |rights| flag(true, 7) | rights.byte());
        w.u8(rights | self.channel & 0x0f).u8(self.user_id & ID).u8(limit_to(self.limit));
        if let Some(sessions) = self.session_limit {
            w.u8(sessions & 0x0f);
        }
    }
}

/// Get User Access (IPMI 2.0 §22.27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetUserAccess {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The user, 0 to 63.
    pub user_id: u8,
}

command!(GetUserAccess, APP, 0x44, "Get User Access", UserAccess);

impl Payload for GetUserAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()? & 0x0f, user_id: r.u8()? & ID })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.user_id & ID);
    }
}

/// The answer to [`GetUserAccess`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserAccess {
    /// The highest user id, 1 to 63.
    pub users_max: u8,
    /// Whether the user is enabled; `None` is not told (IPMI 1.5).
    pub enabled: Option<bool>,
    /// How many users are enabled, 0 to 63.
    pub users_enabled: u8,
    /// How many users have names that cannot be changed, the null user included.
    pub fixed_names: u8,
    /// The user's rights.
    pub rights: UserRights,
    /// The user's highest level; `None` is no access.
    pub limit: Option<PrivilegeLevel>,
}

impl Payload for UserAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let users_max = r.u8()? & ID;
        let second = r.u8()?;
        let enabled = match second >> 6 {
            0 => None,
            1 => Some(true),
            2 => Some(false),
            _ => return Err(DecodeError::value("enable status", second)),
        };
        let fixed_names = r.u8()? & ID;
        let last = r.u8()?;
        Ok(Self {
            users_max,
            enabled,
            users_enabled: second & ID,
            fixed_names,
            rights: UserRights::from_byte(last),
            limit: limit_from(last)?,
        })
    }

    fn write(&self, w: &mut Writer) {
        let status: u8 = match self.enabled {
            None => 0,
            Some(true) => 1,
            Some(false) => 2,
        };
        w.u8(self.users_max & ID)
            .u8(status << 6 | self.users_enabled & ID)
            .u8(self.fixed_names & ID)
            .u8(self.rights.byte() | limit_to(self.limit));
    }
}

/// A user name as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameField(pub [u8; USER_NAME_BYTES]);

impl NameField {
    /// The field for a name, of which at most [`USER_NAME_BYTES`] fit.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; USER_NAME_BYTES];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// The name: what stands before the first zero.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl Payload for NameField {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.array()?))
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

/// Set User Name (IPMI 2.0 §22.28). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetUserName {
    /// The user, 0 to 63.
    pub user_id: u8,
    /// The name.
    pub name: NameField,
}

command!(SetUserName, APP, 0x45, "Set User Name", ());

impl Payload for SetUserName {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user_id: r.u8()? & ID, name: NameField::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.user_id & ID);
        self.name.write(w);
    }
}

/// Get User Name (IPMI 2.0 §22.29).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetUserName {
    /// The user, 0 to 63.
    pub user_id: u8,
}

command!(GetUserName, APP, 0x46, "Get User Name", NameField);

impl Payload for GetUserName {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user_id: r.u8()? & ID })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.user_id & ID);
    }
}

/// A password as it travels, in one of its two forms. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PasswordField {
    /// The form of 16 bytes.
    Bytes16([u8; SHORT_PASSWORD_BYTES]),
    /// The form of 20 bytes, which only IPMI 2.0 has.
    Bytes20([u8; PASSWORD_BYTES]),
}

impl PasswordField {
    /// The bytes, without the zeros at the end.
    #[must_use]
    pub fn trimmed(&self) -> &[u8] {
        let bytes: &[u8] = match self {
            Self::Bytes16(bytes) => bytes,
            Self::Bytes20(bytes) => bytes,
        };
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        bytes.get(..end).unwrap_or_default()
    }
}

impl fmt::Debug for PasswordField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes16(_) => "Bytes16(..)",
            Self::Bytes20(_) => "Bytes20(..)",
        })
    }
}

/// Set User Password (IPMI 2.0 §22.30). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetUserPassword {
    /// The user, 0 to 63.
    pub user_id: u8,
    /// What to do.
    pub operation: PasswordOperation,
}

/// What a [`SetUserPassword`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordOperation {
    /// Disables the user.
    Disable,
    /// Enables the user.
    Enable,
    /// Sets the password.
    Set(PasswordField),
    /// Compares the password.
    Test(PasswordField),
}

command!(SetUserPassword, APP, 0x47, "Set User Password", ());

impl SetUserPassword {
    /// Takes the password in the form that the first byte announces.
    fn password(first: u8, r: &mut Reader<'_>) -> Result<PasswordField, DecodeError> {
        Ok(if bit(first, 7) {
            PasswordField::Bytes20(r.array()?)
        } else {
            PasswordField::Bytes16(r.array()?)
        })
    }
}

impl Payload for SetUserPassword {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = r.u8()?;
        let operation = match r.u8()? & 0x03 {
            2 => PasswordOperation::Set(Self::password(first, r)?),
            3 => PasswordOperation::Test(Self::password(first, r)?),
            raw => {
                // A password has no meaning here; some consoles leave it out, some send one of zeros, of either form.
                match r.remaining() {
                    0 | SHORT_PASSWORD_BYTES | PASSWORD_BYTES => r.rest(),
                    _ => return Err(DecodeError::Length),
                };
                if raw == 0 { PasswordOperation::Disable } else { PasswordOperation::Enable }
            }
        };
        Ok(Self { user_id: first & ID, operation })
    }

    fn write(&self, w: &mut Writer) {
        let (code, password) = match &self.operation {
            PasswordOperation::Disable => (0, None),
            PasswordOperation::Enable => (1, None),
            PasswordOperation::Set(password) => (2, Some(password)),
            PasswordOperation::Test(password) => (3, Some(password)),
        };
        let long = matches!(password, Some(PasswordField::Bytes20(_)));
        w.u8(flag(long, 7) | self.user_id & ID).u8(code);
        match password {
            None => w,
            Some(PasswordField::Bytes16(bytes)) => w.bytes(bytes),
            Some(PasswordField::Bytes20(bytes)) => w.bytes(bytes),
        };
    }
}

/// Payload types that a user may activate: bit n of a byte stands for standard payload type n, or OEM payload type 20h + n
/// (IPMI 2.0 §24.6). Bit 0 of the standard ones, IPMI messages, is not controlled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadAccess {
    /// Standard payload types 0 to 7.
    pub standard: u8,
    /// OEM payload types 20h to 27h.
    pub oem: u8,
}

impl PayloadAccess {
    /// The bit of Serial over LAN in [`PayloadAccess::standard`].
    pub const SOL: u8 = 1 << 1;
}

impl Payload for PayloadAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [standard, _, oem, _] = r.array()?;
        Ok(Self { standard, oem })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.standard).u8(0).u8(self.oem).u8(0);
    }
}

/// Set User Payload Access (IPMI 2.0 §24.6). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetUserPayloadAccess {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// Enables the marked payload types; otherwise disables them. Others stay as they are.
    pub enable: bool,
    /// The user, 0 to 63.
    pub user_id: u8,
    /// Which payload types.
    pub payloads: PayloadAccess,
}

command!(SetUserPayloadAccess, APP, 0x4c, "Set User Payload Access", ());

impl Payload for SetUserPayloadAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let second = r.u8()?;
        let payloads = PayloadAccess::read(r)?;
        let enable = match second >> 6 {
            0 => true,
            1 => false,
            _ => return Err(DecodeError::value("operation", second)),
        };
        Ok(Self { channel, enable, user_id: second & ID, payloads })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(flag(!self.enable, 6) | self.user_id & ID);
        self.payloads.write(w);
    }
}

/// Get User Payload Access (IPMI 2.0 §24.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetUserPayloadAccess {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The user, 0 to 63.
    pub user_id: u8,
}

command!(GetUserPayloadAccess, APP, 0x4d, "Get User Payload Access", PayloadAccess);

impl Payload for GetUserPayloadAccess {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()? & 0x0f, user_id: r.u8()? & ID })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.user_id & ID);
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn access() {
        let rights = UserRights { ipmi_messaging: true, ..Default::default() };
        // ipmitool user priv 3 4 1
        let set = SetUserAccess {
            rights: None,
            channel: 1,
            user_id: 3,
            limit: Some(PrivilegeLevel::Administrator),
            session_limit: Some(0),
        };
        golden(&set, "01 03 04 00", &[3]);
        golden(&SetUserAccess { rights: Some(rights), session_limit: None, ..set }, "91 03 04", &[4]);
        golden(&SetUserAccess { limit: None, ..set }, "01 03 0f 00", &[3]);
        assert!(SetUserAccess::decode(&[1, 3, 0]).is_err(), "level 0 is reserved");
        golden(&GetUserAccess { channel: 0x0e, user_id: 2 }, "0e 02", &[]);
        let access = UserAccess {
            users_max: 15,
            enabled: Some(true),
            users_enabled: 2,
            fixed_names: 1,
            rights,
            limit: Some(PrivilegeLevel::Operator),
        };
        golden(&access, "0f 42 01 13", &[]);
        golden(&UserAccess { enabled: Some(false), limit: None, ..access }, "0f 82 01 1f", &[]);
    }

    #[test]
    fn names() {
        let set = SetUserName { user_id: 3, name: NameField::new("eve") };
        golden(&set, "03 65766500000000000000000000000000", &[]);
        assert_eq!(set.name.name(), b"eve");
        assert_eq!(NameField::new("sixteen-letters!").name(), b"sixteen-letters!");
        golden(&GetUserName { user_id: 3 }, "03", &[]);
        golden(&NameField::new(""), "00000000000000000000000000000000", &[]);
    }

    #[test]
    fn passwords() {
        let short = PasswordField::Bytes16(*b"secret\0\0\0\0\0\0\0\0\0\0");
        let long = PasswordField::Bytes20(*b"secret\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let set = |operation| SetUserPassword { user_id: 3, operation };
        golden(&set(PasswordOperation::Disable), "03 00", &[18, 22]);
        golden(&set(PasswordOperation::Enable), "03 01", &[18, 22]);
        golden(&set(PasswordOperation::Set(short)), "03 02 73656372657400000000000000000000", &[]);
        golden(&set(PasswordOperation::Test(long)), "83 03 7365637265740000000000000000000000000000", &[]);
        assert_eq!((short.trimmed(), long.trimmed()), (&b"secret"[..], &b"secret"[..]));
        assert!(!format!("{:?}", set(PasswordOperation::Set(short))).contains("115"), "hidden");
    }

    #[test]
    fn payload_access() {
        let payloads = PayloadAccess { standard: PayloadAccess::SOL, oem: 0 };
        let set = SetUserPayloadAccess { channel: 1, enable: true, user_id: 2, payloads };
        golden(&set, "01 02 02 00 00 00", &[]);
        golden(&SetUserPayloadAccess { enable: false, ..set }, "01 42 02 00 00 00", &[]);
        assert!(SetUserPayloadAccess::decode(&[1, 0x82, 2, 0, 0, 0]).is_err());
        golden(&GetUserPayloadAccess { channel: 1, user_id: 2 }, "01 02", &[]);
        golden(&payloads, "02 00 00 00", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            stable::<SetUserAccess>(&bytes);
            stable::<UserAccess>(&bytes);
            stable::<SetUserName>(&bytes);
            stable::<SetUserPassword>(&bytes);
            stable::<SetUserPayloadAccess>(&bytes);
        }
    }
}
