//! Who may use the LAN channel (IPMI 2.0 §22.22, §22.23). What is kept here holds after a start; the present values, which a client may
//! set apart from these, live in the IPMI frontend.

use serde::{Deserialize, Serialize};

use crate::account::Role;

/// When a channel can be used (IPMI 2.0 table 6-4). "Shared" is for serial channels and does not exist here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelMode {
    /// Never.
    Disabled,
    /// While the machine is off or its firmware has not handed over.
    PreBoot,
    /// Always.
    #[default]
    Always,
}

/// Access to the LAN channel. It decides about new sessions; open ones go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelAccess {
    /// When the channel can be used.
    pub mode: ChannelMode,
    /// Whether alerts (PET traps) are sent over the channel.
    pub alerting: bool,
    /// Whether each message of an IPMI 1.5 session is authenticated. Off loopback each is, whatever is kept here.
    pub per_message_authentication: bool,
    /// The highest level that a session over the channel can have, from [`Role::Callback`] up.
    pub privilege_limit: Role,
}

impl Default for ChannelAccess {
    fn default() -> Self {
        Self {
            mode: ChannelMode::Always,
            alerting: true,
            per_message_authentication: true,
            privilege_limit: Role::Administrator,
        }
    }
}
