//! What clients configure of the controller by Redfish and what IPMI has no parameter for.

use serde::{Deserialize, Serialize};

/// Most NTP servers that are kept.
pub const NTP_SERVERS_MAX: usize = 4;
/// Longest name of an NTP server in bytes: that of a host (RFC 1035).
pub const NTP_SERVER_MAX_BYTES: usize = 255;
/// Longest text that identifies the service, in bytes.
pub const SERVICE_IDENTIFICATION_MAX_BYTES: usize = 99;

/// Settings of the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagerSettings {
    /// IPMI over LAN takes new sessions. Apart from the access mode of IPMI's channel, which can be shut too.
    pub ipmi_enabled: bool,
    /// The clock is said to follow NTP. It follows the host's in any case; what is set is kept and read back.
    pub ntp_enabled: bool,
    /// The NTP servers, at most [`NTP_SERVERS_MAX`].
    pub ntp_servers: Vec<String>,
    /// What identifies the service to its users, at most [`SERVICE_IDENTIFICATION_MAX_BYTES`]; empty when unset.
    pub service_identification: String,
    /// Of the controller's own log, events up to this id were cleared away.
    pub log_cleared: u64,
    /// Events up to this id are not this BMC's: they were told before it was added, of another one of its name.
    pub events_before: u64,
    /// How often the controller was reset to its defaults: what a frontend keeps apart from these settings, and what a client has set of it, counts only while
    /// this is what it was then.
    pub defaults: u64,
}

impl ManagerSettings {
    /// What a reset to defaults leaves: with `network` how the controller is reached. What was cleared away of the log does not come back.
    pub(crate) fn after_defaults(self, network: bool) -> Self {
        let reached = if network { self.clone() } else { Self::default() };
        Self {
            service_identification: String::new(),
            log_cleared: self.log_cleared,
            events_before: self.events_before,
            defaults: self.defaults + 1,
            ..reached
        }
    }
}

impl Default for ManagerSettings {
    fn default() -> Self {
        Self {
            ipmi_enabled: true,
            ntp_enabled: false,
            ntp_servers: Vec::new(),
            service_identification: String::new(),
            log_cleared: 0,
            events_before: 0,
            defaults: 0,
        }
    }
}
