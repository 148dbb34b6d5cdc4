//! Who may log in: the core's accounts, as the session layer asks for them.

use std::net::SocketAddr;
use std::sync::Arc;

use bmc_core::account::Role;
use bmc_core::clock::Clock;
use bmc_core::fleet::MachineHandle;
use bmc_core::lockout::Lockouts;
use ipmi_session::{Password, User, UserLookup};
use ipmi_wire::PrivilegeLevel;

use super::station::source_of;

/// The accounts of one BMC.
pub(crate) struct Users {
    pub(crate) machine: MachineHandle,
    pub(crate) lockouts: Arc<Lockouts>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl UserLookup for Users {
    fn named(&self, name: &[u8], peer: SocketAddr) -> Vec<User> {
        if self.lockouts.is_locked(self.clock.now(), self.machine.name(), name, source_of(peer)) {
            return Vec::new();
        }
        let snapshot = self.machine.snapshot();
        let named = snapshot.accounts.iter().filter(|user| user.enabled && user.name.as_bytes() == name);
        named
            .filter_map(|user| {
                Some(User {
                    id: user.id,
                    max_privilege: privilege_of(user.role),
                    password: Password::new(user.password.expose().as_bytes())?,
                })
            })
            .collect()
    }
}

/// The privilege level that a role gives.
fn privilege_of(role: Role) -> PrivilegeLevel {
    match role {
        Role::Callback => PrivilegeLevel::Callback,
        Role::User => PrivilegeLevel::User,
        Role::Operator => PrivilegeLevel::Operator,
        Role::Administrator => PrivilegeLevel::Administrator,
    }
}
