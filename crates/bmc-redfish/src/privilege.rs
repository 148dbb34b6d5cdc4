//! What roles may do: DMTF's three standard roles and their privileges (DSP0266, "Redfish service operation-to-privilege mapping"), on
//! the accounts that IPMI shares. The mapping of operations is that of DMTF's Redfish_1.7 privilege registry, as far as it is served.

use bmc_core::account::Role;

/// A privilege of the standard registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// Log in and read.
    Login,
    /// Change the BMC itself.
    ConfigureManager,
    /// Change who may log in.
    ConfigureUsers,
    /// Change one's own password, and end one's own sessions.
    ConfigureSelf,
    /// Operate and change the machine: power, boot, tags.
    ConfigureComponents,
}

impl Privilege {
    /// Every privilege, in the registry's order.
    pub(crate) const ALL: [Self; 5] = [
        Self::Login,
        Self::ConfigureManager,
        Self::ConfigureUsers,
        Self::ConfigureSelf,
        Self::ConfigureComponents,
    ];

    /// Its name in the registry.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "Login",
            Self::ConfigureManager => "ConfigureManager",
            Self::ConfigureUsers => "ConfigureUsers",
            Self::ConfigureSelf => "ConfigureSelf",
            Self::ConfigureComponents => "ConfigureComponents",
        }
    }
}

/// The roles, by their Redfish names.
pub(crate) const ROLES: [(&str, Role); 3] =
    [("Administrator", Role::Administrator), ("Operator", Role::Operator), ("ReadOnly", Role::User)];

/// Whether a role has a privilege. IPMI's callback level is no Redfish role: it may not even log in.
pub(crate) fn has(role: Role, privilege: Privilege) -> bool {
    match privilege {
        Privilege::Login | Privilege::ConfigureSelf => role >= Role::User,
        Privilege::ConfigureComponents => role >= Role::Operator,
        Privilege::ConfigureManager | Privilege::ConfigureUsers => role >= Role::Administrator,
    }
}

/// The Redfish name of a role; `None` for IPMI's callback level and for no access.
pub(crate) fn role_id(role: Role) -> Option<&'static str> {
    ROLES.iter().find(|(_, known)| *known == role).map(|(name, _)| *name)
}
