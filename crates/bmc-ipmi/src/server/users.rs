//! Who may log in: the core's accounts, as the session layer asks for them.

use std::net::SocketAddr;
use std::sync::Arc;

use bmc_core::account::{Account, PasswordSize, Role};
use bmc_core::clock::Clock;
use bmc_core::lockout::Lockouts;
use ipmi_session::{Password, User, UserLookup};
use ipmi_wire::PrivilegeLevel;

use super::station::source_of;
use crate::Bmc;

/// The accounts of one BMC, as far as its channel lets them in.
pub(crate) struct Users {
    pub(crate) bmc: Arc<Bmc>,
    pub(crate) lockouts: Arc<Lockouts>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the channel listens on loopback alone.
    pub(crate) loopback: bool,
}

impl UserLookup for Users {
    fn named(&self, name: &[u8], peer: SocketAddr) -> Vec<User> {
        let machine = self.bmc.machine();
        let (now, bmc) = (self.clock.now(), machine.name());
        let is_locked = self.lockouts.is_locked(now, bmc, name, source_of(peer))
            || self.lockouts.is_user_locked(now, bmc, name);
        if is_locked || !self.bmc.channel_is_open() {
            return Vec::new();
        }
        let snapshot = machine.snapshot();
        // IPMI cannot tell a user to change the password first, so there is no way in before that is done.
        let may = |user: &&Account| {
            may_log_in(user, self.loopback) && user.ipmi_messaging && !user.password_change_required
        };
        let named = snapshot.accounts.iter().filter(may).filter(|user| user.name.as_bytes() == name);
        named
            .filter_map(|user| {
                Some(User {
                    id: user.id,
                    max_privilege: privilege_of(user.role)?,
                    password: Password::new(user.password.expose().as_bytes())?,
                    ipmi15: user.password_size != Some(PasswordSize::Bytes20),
                })
            })
            .collect()
    }
}

/// Whether a user may log in over a channel. Without a password, as the null user can be, only where the channel is for `loopback` alone:
/// elsewhere that would be a door for everybody.
pub(crate) fn may_log_in(user: &Account, loopback: bool) -> bool {
    user.may_log_in() && (loopback || !user.password.expose().is_empty())
}

/// The privilege level that a role gives; `None` for no access.
pub(crate) fn privilege_of(role: Role) -> Option<PrivilegeLevel> {
    match role {
        Role::NoAccess => None,
        Role::Callback => Some(PrivilegeLevel::Callback),
        Role::User => Some(PrivilegeLevel::User),
        Role::Operator => Some(PrivilegeLevel::Operator),
        Role::Administrator => Some(PrivilegeLevel::Administrator),
    }
}

/// The role with this privilege level; `None` for the maker's own, which nobody has here.
pub(crate) fn role_of(level: PrivilegeLevel) -> Option<Role> {
    match level {
        PrivilegeLevel::Callback => Some(Role::Callback),
        PrivilegeLevel::User => Some(Role::User),
        PrivilegeLevel::Operator => Some(Role::Operator),
        PrivilegeLevel::Administrator => Some(Role::Administrator),
        PrivilegeLevel::Oem => None,
    }
}
