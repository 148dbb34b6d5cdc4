//! Accounts: one table per BMC, the same people for IPMI and Redfish.
//!
//! IPMI needs the password itself (RAKP is keyed by it), so it is kept reversibly: in a store of mode 0600, never in a log,
//! never in an answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

mod changes;

pub use changes::AccountChange;

/// Highest user id of IPMI's table as kept here; ids run from 1 (IPMI 2.0 §22.26 allows up to 63).
pub const USER_ID_MAX: u8 = 15;
/// The id of the null user, who has no name and cannot be given one (IPMI 2.0 §6.9).
pub const NULL_USER_ID: u8 = 1;
/// Longest user name in bytes (IPMI 2.0 §22.28).
pub const USER_NAME_MAX_BYTES: usize = 16;
/// Longest password in bytes (IPMI 2.0 §22.30, 20-byte form).
pub const PASSWORD_MAX_BYTES: usize = 20;
/// Longest name, and longest password, in bytes of a user who may not use IPMI.
pub const LONG_MAX_BYTES: usize = 64;

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
    /// Nothing at all: the user cannot log in, over any protocol (IPMI's "no access", `Fh`).
    NoAccess,
    /// IPMI callback level: next to nothing.
    Callback,
    /// Read only.
    User,
    /// Power and boot, no configuration.
    Operator,
    /// Everything.
    Administrator,
}

impl Role {
    /// The name used in the CLI and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAccess => "no-access",
            Self::Callback => "callback",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

/// Which form of Set User Password a password was set with (IPMI 2.0 §22.30); a test with the other form fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasswordSize {
    /// 16 bytes: usable for sessions of IPMI 1.5 and 2.0.
    Bytes16,
    /// 20 bytes: only for sessions of IPMI 2.0.
    Bytes20,
}

impl PasswordSize {
    /// The size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bytes16 => 16,
            Self::Bytes20 => PASSWORD_MAX_BYTES,
        }
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// 1 to [`USER_ID_MAX`]; [`NULL_USER_ID`] is the null user.
    pub id: u8,
    /// At most [`USER_NAME_MAX_BYTES`], or [`LONG_MAX_BYTES`] without IPMI; empty for the null user, and for others that have been
    /// given everything but a name.
    pub name: String,
    /// At most [`PASSWORD_MAX_BYTES`], or [`LONG_MAX_BYTES`] without IPMI; empty until one is set.
    pub password: Secret,
    /// The form it was set with; `None` when no form was named (a configuration file), then each form that holds it fits.
    #[serde(default)]
    pub password_size: Option<PasswordSize>,
    /// Whether the user may log in.
    pub enabled: bool,
    /// The most the user may do. IPMI's limit for the LAN channel, Redfish's role.
    pub role: Role,
    /// Whether the user may send IPMI messages over the LAN channel (IPMI 2.0 §22.26, "IPMI messaging").
    #[serde(default = "yes")]
    pub ipmi_messaging: bool,
    /// Whether the name and password may be used for link authentication. Kept; a LAN channel has none.
    #[serde(default)]
    pub link_authentication: bool,
    /// Whether the user is restricted to callback connections. Kept; a LAN channel has no callback.
    #[serde(default)]
    pub callback_only: bool,
    /// Whether the user may activate Serial over LAN (IPMI 2.0 §24.6, standard payload 1).
    #[serde(default = "yes")]
    pub sol_payload: bool,
    /// Whether the user has to change the password before anything else (DSP0266, "Password change required handling"). IPMI has no way
    /// to say so: there the user cannot log in meanwhile.
    #[serde(default)]
    pub password_change_required: bool,
}

fn yes() -> bool {
    true
}

impl Account {
    /// An enabled user with the rights that go with its role.
    pub fn new(id: u8, name: &str, password: Secret, role: Role) -> Self {
        Self {
            id,
            name: name.to_owned(),
            password,
            password_size: None,
            enabled: true,
            role,
            ipmi_messaging: true,
            link_authentication: false,
            callback_only: false,
            sol_payload: true,
            password_change_required: false,
        }
    }

    /// The entry of an id that nobody has used: no name, no password, no rights.
    pub fn blank(id: u8) -> Self {
        Self {
            enabled: false,
            ipmi_messaging: false,
            sol_payload: false,
            ..Self::new(id, "", Secret::default(), Role::NoAccess)
        }
    }

    /// Whether the user may log in at all. Only the null user may lack a name or a password: that of others was not set yet, and an
    /// entry that is being made, value by value, must not be a door meanwhile.
    pub fn may_log_in(&self) -> bool {
        let is_whole = !self.name.is_empty() && !self.password.expose().is_empty();
        self.enabled && self.role != Role::NoAccess && (is_whole || self.id == NULL_USER_ID)
    }

    /// Whether sessions that this user opened may go on under `other`, the same user later: name, password and rights to log in are as
    /// they were. What is merely kept beside them may differ.
    pub fn logs_in_as(&self, other: &Self) -> bool {
        let login = |user: &Self| {
            let rights = (user.enabled, user.role, user.ipmi_messaging, user.password_change_required);
            (user.id, user.name.clone(), user.password.clone(), rights)
        };
        login(self) == login(other)
    }

    /// Compares a password in the form it would be set with; takes as long for a wrong one as for the right one.
    ///
    /// # Errors
    /// The two ways in which it can differ.
    pub fn test_password(&self, size: PasswordSize, password: &[u8]) -> Result<(), PasswordMismatch> {
        let kept = self.password.expose().as_bytes();
        if self.password_size.is_some_and(|kept| kept != size) || kept.len() > size.bytes() {
            return Err(PasswordMismatch::Size);
        }
        let padded = |bytes: &[u8]| {
            let mut all = [0; PASSWORD_MAX_BYTES];
            all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            all
        };
        let differs =
            padded(kept).iter().zip(padded(password)).fold(0, |seen, (one, other)| seen | (one ^ other));
        if differs == 0 && password.len() <= PASSWORD_MAX_BYTES {
            Ok(())
        } else {
            Err(PasswordMismatch::Password)
        }
    }
}

/// Why a tested password is not the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordMismatch {
    /// It is another one.
    Password,
    /// The password was set with the other form.
    Size,
}

/// Why an account cannot be as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Name empty, longer than [`USER_NAME_MAX_BYTES`], or not printable ASCII without spaces.
    #[error(
        "a user name has 1 to {USER_NAME_MAX_BYTES} printable ASCII characters without spaces, because IPMI carries no others"
    )]
    Name,
    /// The same for a user who may not use IPMI.
    #[error("a user name has 1 to {LONG_MAX_BYTES} printable ASCII characters without spaces")]
    LongName,
    /// Password longer than [`LONG_MAX_BYTES`], or with a NUL byte, of a user who may not use IPMI.
    #[error("a password has at most {LONG_MAX_BYTES} bytes and no NUL")]
    LongPassword,
    /// Password longer than [`PASSWORD_MAX_BYTES`], or with a NUL byte.
    #[error(
        "a password has at most {PASSWORD_MAX_BYTES} bytes and no NUL, because IPMI carries no longer ones"
    )]
    Password,
    /// An id outside 1 to [`USER_ID_MAX`].
    #[error("user ids run from 1 to {USER_ID_MAX}")]
    Id,
    /// The null user's name cannot be set.
    #[error("user {NULL_USER_ID} is the null user and has no name")]
    FixedName,
    /// Another user has the name; Redfish finds users by name alone.
    #[error("user {0} has that name already")]
    NameTaken(u8),
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
        let null = Account { role: Role::User, ..Account::blank(NULL_USER_ID) };
        let mut accounts = Self { users: vec![null] };
        accounts.set_administrator(name, password)?;
        Ok(accounts)
    }

    /// The table of what has no IPMI: one administrator as user 2, no null user.
    ///
    /// # Errors
    /// The name or password is none for a user without IPMI.
    pub fn without_ipmi(name: &str, password: Secret) -> Result<Self, AccountError> {
        let mut accounts = Self { users: Vec::new() };
        accounts.set_administrator_without_ipmi(name, password)?;
        Ok(accounts)
    }

    /// As [`set_administrator`](Self::set_administrator), of a user who may not use IPMI.
    ///
    /// # Errors
    /// The name or password is none for a user without IPMI, or another user has the name.
    pub fn set_administrator_without_ipmi(
        &mut self,
        name: &str,
        password: Secret,
    ) -> Result<(), AccountError> {
        self.edit(2, |user| {
            let rights = Account::new(2, name, password, Role::Administrator);
            *user = Account { ipmi_messaging: false, sol_payload: false, ..rights };
        })
    }

    /// Gives user 2 this name and password, enabled, as administrator; other users stay.
    ///
    /// # Errors
    /// The name or password is not one that IPMI can carry.
    pub fn set_administrator(&mut self, name: &str, password: Secret) -> Result<(), AccountError> {
        check_name(name)?;
        check_password(&password)?;
        self.put(Account::new(2, name, password, Role::Administrator));
        Ok(())
    }

    /// All users that have an entry, in order of id, enabled or not.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.users.iter()
    }

    /// The first user of that name who may log in.
    pub fn by_name(&self, name: &[u8]) -> Option<&Account> {
        self.users.iter().find(|user| user.may_log_in() && user.name.as_bytes() == name)
    }

    /// The entry of an id; a blank one for an id that nobody has used.
    ///
    /// # Errors
    /// [`AccountError::Id`].
    pub fn get(&self, id: u8) -> Result<Account, AccountError> {
        if !(1..=USER_ID_MAX).contains(&id) {
            return Err(AccountError::Id);
        }
        Ok(self.users.iter().find(|user| user.id == id).cloned().unwrap_or_else(|| Account::blank(id)))
    }

    /// The lowest id that nobody has, beside the null user's; `None` when the table is full.
    pub fn free_id(&self) -> Option<u8> {
        (NULL_USER_ID + 1..=USER_ID_MAX).find(|id| self.users.iter().all(|user| user.id != *id))
    }

    /// Whether anybody can log in who may do everything, by name.
    pub fn has_administrator(&self) -> bool {
        let is_one =
            |user: &Account| user.may_log_in() && !user.name.is_empty() && user.role == Role::Administrator;
        self.users.iter().any(is_one)
    }

    /// How many users are enabled, as Get User Access counts them.
    pub fn enabled(&self) -> usize {
        self.users.iter().filter(|user| user.enabled).count()
    }

    /// Changes one entry, made for the purpose if there is none. An entry that ends up blank is not kept.
    ///
    /// # Errors
    /// [`AccountError::Id`], and what the name and password are refused for; then nothing changes.
    pub fn edit(&mut self, id: u8, edit: impl FnOnce(&mut Account)) -> Result<(), AccountError> {
        let before = self.get(id)?;
        let mut user = before.clone();
        edit(&mut user);
        user.id = id;
        if user.name != before.name || user.ipmi_messaging && !before.ipmi_messaging {
            self.check_new_name(&user, &before)?;
        }
        if user.ipmi_messaging {
            check_password(&user.password)?;
        } else if !is_password(&user.password, LONG_MAX_BYTES) {
            return Err(AccountError::LongPassword);
        }
        self.put(user);
        Ok(())
    }

    /// Gives a user a name. The empty name gives the id back: password and rights of the user that was go with it.
    ///
    /// # Errors
    /// As [`Accounts::edit`].
    pub fn set_name(&mut self, id: u8, name: &str) -> Result<(), AccountError> {
        if name.is_empty() && id != NULL_USER_ID {
            return self.edit(id, |user| *user = Account::blank(id));
        }
        self.edit(id, |user| name.clone_into(&mut user.name))
    }

    fn check_new_name(&self, user: &Account, before: &Account) -> Result<(), AccountError> {
        if user.id == NULL_USER_ID && user.name != before.name {
            return Err(AccountError::FixedName);
        }
        if user.name.is_empty() {
            return Ok(());
        }
        if user.ipmi_messaging {
            check_name(&user.name)?;
        } else if !is_name(&user.name, LONG_MAX_BYTES) {
            return Err(AccountError::LongName);
        }
        let other = self.users.iter().find(|other| other.id != user.id && other.name == user.name);
        other.map_or(Ok(()), |other| Err(AccountError::NameTaken(other.id)))
    }

    fn put(&mut self, user: Account) {
        self.users.retain(|other| other.id != user.id);
        if user != Account::blank(user.id) {
            let at = self.users.partition_point(|other| other.id < user.id);
            self.users.insert(at, user);
        }
    }
}

/// Checks the name of a user who may use IPMI.
///
/// # Errors
/// [`AccountError::Name`].
pub fn check_name(name: &str) -> Result<(), AccountError> {
    if is_name(name, USER_NAME_MAX_BYTES) { Ok(()) } else { Err(AccountError::Name) }
}

/// Checks the password of a user who may use IPMI.
///
/// # Errors
/// [`AccountError::Password`].
pub fn check_password(password: &Secret) -> Result<(), AccountError> {
    if is_password(password, PASSWORD_MAX_BYTES) { Ok(()) } else { Err(AccountError::Password) }
}

fn is_name(name: &str, max_bytes: usize) -> bool {
    !name.is_empty() && name.len() <= max_bytes && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_password(password: &Secret, max_bytes: usize) -> bool {
    let bytes = password.expose().as_bytes();
    bytes.len() <= max_bytes && !bytes.contains(&0)
}

#[cfg(test)]
mod tests;
