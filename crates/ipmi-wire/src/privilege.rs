//! Privilege levels.

use core::fmt;

use crate::DecodeError;

/// What a session or a user may do, lowest first (IPMI 2.0 §6.8). The order of the variants is the order of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PrivilegeLevel {
    /// `1h`: may only ask to be called back.
    Callback = 1,
    /// `2h`: may read.
    User = 2,
    /// `3h`: may do everything but configure.
    Operator = 3,
    /// `4h`: may do everything.
    Administrator = 4,
    /// `5h`: the maker's own level.
    Oem = 5,
}

impl PrivilegeLevel {
    /// The four-bit value.
    #[must_use]
    pub const fn get(self) -> u8 {
        self as u8
    }

    /// The level with the four-bit value `raw`; `None` for 0 ("highest" or "no change", by context), `0Fh` ("no
    /// access") and the reserved values.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Callback,
            2 => Self::User,
            3 => Self::Operator,
            4 => Self::Administrator,
            5 => Self::Oem,
            _ => return None,
        })
    }

    /// The name in capitals, as ipmitool prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Callback => "CALLBACK",
            Self::User => "USER",
            Self::Operator => "OPERATOR",
            Self::Administrator => "ADMINISTRATOR",
            Self::Oem => "OEM",
        }
    }
}

impl TryFrom<u8> for PrivilegeLevel {
    type Error = DecodeError;

    fn try_from(raw: u8) -> Result<Self, DecodeError> {
        Self::from_raw(raw).ok_or(DecodeError::value("privilege level", raw))
    }
}

impl fmt::Display for PrivilegeLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
