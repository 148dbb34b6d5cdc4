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
    /// Operate and change the machine: power, boot, tags.
    ConfigureComponents,
}

impl Privilege {
    /// Its name in the registry.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "Login",
            Self::ConfigureManager => "ConfigureManager",
            Self::ConfigureComponents => "ConfigureComponents",
        }
    }
}

/// Whether a role has a privilege. IPMI's callback level is no Redfish role: it may not even log in.
pub(crate) fn has(role: Role, privilege: Privilege) -> bool {
    match privilege {
        Privilege::Login => role >= Role::User,
        Privilege::ConfigureComponents => role >= Role::Operator,
        Privilege::ConfigureManager => role >= Role::Administrator,
    }
}

/// The Redfish name of a role; `None` for IPMI's callback level and for no access.
pub(crate) fn role_id(role: Role) -> Option<&'static str> {
    match role {
        Role::NoAccess | Role::Callback => None,
        Role::User => Some("ReadOnly"),
        Role::Operator => Some("Operator"),
        Role::Administrator => Some("Administrator"),
    }
}
