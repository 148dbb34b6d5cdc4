//! Accounts: one table per BMC, the same people for IPMI and Redfish.
//!
//! IPMI needs the password itself (RAKP is keyed by it), so it is kept reversibly: in a store of mode 0600, never in a log,
//! never in an answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// Highest user id of IPMI's table as kept here; ids run from 1 (IPMI 2.0 §22.26 allows up to 63).
pub const USER_ID_MAX: u8 = 15;
/// Longest user name in bytes (IPMI 2.0 §22.28).
pub const USER_NAME_MAX_BYTES: usize = 16;
/// Longest password in bytes (IPMI 2.0 §22.30, 20-byte form).
pub const PASSWORD_MAX_BYTES: usize = 20;

/// A password or key: wiped when dropped, and never shown by `Debug`. `Serialize` exists for the store alone.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret in.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for keying and comparing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a user may do; IPMI's privilege levels and Redfish's roles alike (Callback: no role, User: ReadOnly).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// IPMI callback level: next to nothing.
    Callback,
    /// Read only.
    User,
    /// Power and boot, no configuration.
    Operator,
    /// Everything.
    Administrator,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// 1 to [`USER_ID_MAX`]; 1 is the null user.
    pub id: u8,
    /// At most [`USER_NAME_MAX_BYTES`]; empty only for the null user.
    pub name: String,
    /// At most [`PASSWORD_MAX_BYTES`].
    pub password: Secret,
    /// Whether the user may log in.
    pub enabled: bool,
    /// The most the user may do.
    pub role: Role,
}

/// Why an account cannot be as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Name empty, longer than [`USER_NAME_MAX_BYTES`], or not printable ASCII without spaces.
    #[error(
        "a user name has 1 to {USER_NAME_MAX_BYTES} printable ASCII characters without spaces, because IPMI carries no others"
    )]
    Name,
    /// Password longer than [`PASSWORD_MAX_BYTES`], or with a NUL byte.
    #[error(
        "a password has at most {PASSWORD_MAX_BYTES} bytes and no NUL, because IPMI carries no longer ones"
    )]
    Password,
}

/// The users of one BMC, in order of id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    users: Vec<Account>,
}

impl Accounts {
    /// The table a new BMC has: the null user, disabled, and one administrator as user 2.
    ///
    /// # Errors
    /// The name or password is not one that IPMI can carry.
    pub fn with_administrator(name: &str, password: Secret) -> Result<Self, AccountError> {
        let null = Account {
            id: 1,
            name: String::new(),
            password: Secret::default(),
            enabled: false,
            role: Role::User,
        };
        let mut accounts = Self { users: vec![null] };
        accounts.set_administrator(name, password)?;
        Ok(accounts)
    }

    /// Gives user 2 this name and password, enabled, as administrator; other users stay.
    ///
    /// # Errors
    /// The name or password is not one that IPMI can carry.
    pub fn set_administrator(&mut self, name: &str, password: Secret) -> Result<(), AccountError> {
        check_name(name)?;
        check_password(&password)?;
        self.users.retain(|user| user.id != 2);
        let user =
            Account { id: 2, name: name.to_owned(), password, enabled: true, role: Role::Administrator };
        let at = self.users.partition_point(|other| other.id < user.id);
        self.users.insert(at, user);
        Ok(())
    }

    /// All users in order of id, enabled or not.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.users.iter()
    }

    /// The first enabled user of that name.
    pub fn by_name(&self, name: &[u8]) -> Option<&Account> {
        self.users.iter().find(|user| user.enabled && user.name.as_bytes() == name)
    }
}

/// Checks a user name.
///
/// # Errors
/// [`AccountError::Name`].
pub fn check_name(name: &str) -> Result<(), AccountError> {
    let fits = !name.is_empty() && name.len() <= USER_NAME_MAX_BYTES;
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(AccountError::Name) }
}

/// Checks a password.
///
/// # Errors
/// [`AccountError::Password`].
pub fn check_password(password: &Secret) -> Result<(), AccountError> {
    let bytes = password.expose().as_bytes();
    if bytes.len() <= PASSWORD_MAX_BYTES && !bytes.contains(&0) {
        Ok(())
    } else {
        Err(AccountError::Password)
    }
}
