//! Users as the handshake needs them.

use std::{fmt, net::SocketAddr};

use ipmi_wire::{
    PrivilegeLevel,
    rakp::{MAX_PASSWORD, MAX_USER_NAME},
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A user name: at most 16 bytes, usually ASCII, empty for the null user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UserName {
    bytes: [u8; MAX_USER_NAME],
    len: u8,
}

impl UserName {
    /// The name; `None` when it is longer than 16 bytes.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_USER_NAME];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { bytes, len: u8::try_from(name.len()).ok()? })
    }

    /// The bytes, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from the network: nothing that could move a terminal's cursor goes to a log.
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A password or a BMC key (K_G): at most 20 bytes, padded with zeros as IPMI stores it. Wiped on drop, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password([u8; MAX_PASSWORD]);

impl Password {
    /// The password; `None` when it is longer than 20 bytes.
    #[must_use]
    pub fn new(password: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_PASSWORD];
        bytes.get_mut(..password.len())?.copy_from_slice(password);
        Some(Self(bytes))
    }

    /// Whether it is all zeros: as a password the empty one, as K_G none.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.ct_eq(&[0; MAX_PASSWORD]).into()
    }

    /// The bytes, padded with zeros, for whoever may read a key back. Never for a log.
    #[must_use]
    pub const fn expose(&self) -> &[u8; MAX_PASSWORD] {
        &self.0
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The password as IPMI 1.5 knows it; `None` when it is longer than the 16 bytes that exist there.
    pub(crate) fn short(&self) -> Option<&[u8; 16]> {
        let (short, rest) = self.0.split_first_chunk::<16>()?;
        bool::from(rest.ct_eq(&[0; 4])).then_some(short)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// One entry of the user table, as far as the LAN channel is concerned.
#[derive(Debug, Clone)]
pub struct User {
    /// The user id, 1 to 63.
    pub id: u8,
    /// The highest level that the user may have on this channel.
    pub max_privilege: PrivilegeLevel,
    /// The password.
    pub password: Password,
    /// Whether sessions of IPMI 1.5 may use the password; one that was set as 20 bytes is for IPMI 2.0 alone (§22.30).
    pub ipmi15: bool,
}

/// Where the endpoint finds users. Implemented by whoever owns the accounts.
pub trait UserLookup {
    /// The entries that may log in under `name` from `peer` now, by ascending id: enabled, with access to this
    /// channel, and not locked out. Several entries may share a name (with different levels and passwords); an empty
    /// name is the null user.
    fn named(&self, name: &[u8], peer: SocketAddr) -> Vec<User>;
}
