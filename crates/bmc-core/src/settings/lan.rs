//! The LAN channel's parameters as a client set them (IPMI 2.0 table 23-4). `None` is "never set": then the frontend shows what is real,
//! such as the address it listens on. None of them moves the listener: that is the configuration's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::{Role, Secret};
use crate::lockout::UserRule;

/// Alert destinations that are kept, besides number 0 for immediate alerts. They are numbered from 1.
pub const ALERT_DESTINATIONS: u8 = 4;
/// Longest community string in bytes (parameter 16).
pub const COMMUNITY_STRING_MAX_BYTES: usize = 18;
/// The unit of the times in parameter 26.
pub const BAD_PASSWORD_TIME_UNIT_SECONDS: u64 = 10;

/// A hardware address.
pub type MacAddress = [u8; 6];

/// Where an address comes from (parameter 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSource {
    /// Not told.
    Unspecified,
    /// Configured.
    #[default]
    Static,
    /// From a DHCP server.
    Dhcp,
    /// From the firmware or system software.
    System,
    /// Otherwise.
    Other,
}

/// The parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LanSettings {
    /// Authentication types of IPMI 1.5 that are enabled, as a mask of those offered, for callback, user, operator, administrator and
    /// OEM level (parameter 2). `None`: all that are offered.
    pub auth_type_enables: Option<[u8; 5]>,
    /// IP address (parameter 3).
    pub address: Option<Ipv4Addr>,
    /// Where the address comes from (parameter 4).
    pub address_source: AddressSource,
    /// MAC address (parameter 5).
    pub mac: Option<MacAddress>,
    /// Subnet mask (parameter 6).
    pub subnet_mask: Option<Ipv4Addr>,
    /// Time to live, flags, type of service of IPv4 headers (parameter 7).
    pub ipv4_header: [u8; 3],
    /// Primary RMCP port (parameter 8).
    pub primary_rmcp_port: Option<u16>,
    /// Secondary RMCP port (parameter 9).
    pub secondary_rmcp_port: u16,
    /// BMC-generated ARPs: bit 1 responses, bit 0 gratuitous ones (parameter 10).
    pub arp_control: u8,
    /// Interval of gratuitous ARPs in units of 500 ms (parameter 11).
    pub gratuitous_arp_interval: u8,
    /// Default gateway's address and MAC address (parameters 12, 13).
    pub default_gateway: (Ipv4Addr, MacAddress),
    /// Backup gateway's address and MAC address (parameters 14, 15).
    pub backup_gateway: (Ipv4Addr, MacAddress),
    /// SNMP community of alerts, at most [`COMMUNITY_STRING_MAX_BYTES`] (parameter 16).
    pub community: Secret,
    /// Alert destinations by number, 0 to [`ALERT_DESTINATIONS`]; one that is missing was never set (parameters 18, 19, 25).
    pub destinations: BTreeMap<u8, AlertDestination>,
    /// 802.1q VLAN id; kept also while it is not enabled (parameter 20).
    pub vlan_id: u16,
    /// Whether the VLAN id is used (parameter 20).
    pub vlan_enabled: bool,
    /// VLAN priority, 0 to 7 (parameter 21).
    pub vlan_priority: u8,
    /// The highest level that a session with a cipher suite, by its number, can have; [`Role::NoAccess`] shuts a suite. A suite
    /// that is missing has no limit of its own (parameter 24).
    pub cipher_suite_privileges: BTreeMap<u8, Role>,
    /// When wrong passwords disable a user (parameter 26).
    pub bad_password: BadPasswordThreshold,
}

impl Default for LanSettings {
    fn default() -> Self {
        Self {
            auth_type_enables: None,
            address: None,
            address_source: AddressSource::default(),
            mac: None,
            subnet_mask: None,
            // Time to live 64, don't fragment, minimal delay: the specification's defaults.
            ipv4_header: [0x40, 0x40, 0x10],
            primary_rmcp_port: None,
            secondary_rmcp_port: 664,
            arp_control: 0,
            // Two seconds, as the specification recommends.
            gratuitous_arp_interval: 3,
            default_gateway: (Ipv4Addr::UNSPECIFIED, [0; 6]),
            backup_gateway: (Ipv4Addr::UNSPECIFIED, [0; 6]),
            community: Secret::new("public"),
            destinations: BTreeMap::new(),
            vlan_id: 0,
            vlan_enabled: false,
            vlan_priority: 0,
            cipher_suite_privileges: BTreeMap::new(),
            bad_password: BadPasswordThreshold::default(),
        }
    }
}

/// The name space in which MAC addresses are derived from machines' UUIDs; chosen once, never to change.
const MAC_NAMESPACE: Uuid = Uuid::from_u128(0x6d61_6320_6f66_4c00_a1b2_706f_6c79_626d);

impl LanSettings {
    /// What a reset of the controller to its defaults leaves: with `network` how it is reached, with `users` also what becomes of those who give wrong
    /// passwords. Where alerts go, and under which name, never stays.
    pub(crate) fn after_defaults(self, network: bool, users: bool) -> Self {
        let fresh = Self::default();
        let bad_password = if users { self.bad_password } else { fresh.bad_password };
        let (community, destinations) = (fresh.community.clone(), fresh.destinations.clone());
        let reached = if network { self } else { fresh };
        Self { community, destinations, bad_password, ..reached }
    }

    /// The MAC address of a machine's controller while none is set: a locally administered one that is the machine's for ever.
    pub fn derived_mac(machine: Uuid) -> MacAddress {
        let [first, second, third, fourth, fifth, sixth, ..] =
            Uuid::new_v5(&MAC_NAMESPACE, machine.as_bytes()).into_bytes();
        // Locally administered, and not a group's.
        [first & 0xfc | 0x02, second, third, fourth, fifth, sixth]
    }

    /// The MAC address: the one that was set, or [`derived_mac`](Self::derived_mac).
    pub fn mac_of(&self, machine: Uuid) -> MacAddress {
        self.mac.unwrap_or_else(|| Self::derived_mac(machine))
    }

    /// The address that was set, else the one where the controller really is, as far as that is IPv4.
    pub fn address_or(&self, real: Option<IpAddr>) -> Ipv4Addr {
        let real = match real.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address,
            Some(IpAddr::V6(_)) | None => Ipv4Addr::UNSPECIFIED,
        };
        self.address.unwrap_or(real)
    }

    /// The subnet mask that was set, else that of a network which is known by an address in it alone: loopback. That of others is not known here.
    pub fn subnet_mask_or(&self, address: Ipv4Addr) -> Ipv4Addr {
        let known = if address.is_loopback() { Ipv4Addr::new(255, 0, 0, 0) } else { Ipv4Addr::UNSPECIFIED };
        self.subnet_mask.unwrap_or(known)
    }
}

/// Where alerts go: a PET trap over IPv4 (IPMI 2.0 table 23-4, parameters 18, 19 and 25).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertDestination {
    /// Whether an alert counts only once it is acknowledged.
    pub acknowledge: bool,
    /// How long to wait for the acknowledgement, or before the next try, in seconds.
    pub timeout_seconds: u8,
    /// How often an alert is sent again, 0 to 7.
    pub retries: u8,
    /// Over the backup gateway.
    pub backup_gateway: bool,
    /// IP address; unspecified: nobody.
    pub address: Ipv4Addr,
    /// MAC address; zeros: by ARP.
    pub mac: MacAddress,
    /// 802.1q tag with priority and VLAN id, if tagged.
    pub vlan_tag: Option<u16>,
}

impl Default for AlertDestination {
    fn default() -> Self {
        Self {
            acknowledge: false,
            timeout_seconds: 0,
            retries: 0,
            backup_gateway: false,
            address: Ipv4Addr::UNSPECIFIED,
            mac: [0; 6],
            vlan_tag: None,
        }
    }
}

/// When wrong passwords disable a user (IPMI 2.0 table 23-4, parameter 26), which is Redfish's lock-out of accounts. Off by default; whoever sets a
/// threshold alone gets five minutes of both times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredThreshold")]
pub struct BadPasswordThreshold {
    /// Whether a user that is disabled so is an entry of the event log.
    pub audit: bool,
    /// Wrong passwords that disable a user; 0 is never.
    pub threshold: u8,
    /// After how long without a wrong password counting starts anew, in units of [`BAD_PASSWORD_TIME_UNIT_SECONDS`]; 0 is never.
    pub count_reset_interval: u16,
    /// For how long the user is disabled, in the same unit; 0 is until an administrator enables it.
    pub lockout_interval: u16,
    /// A client wanted users to be locked for no time at all, which IPMI has no word for: then the threshold is 0.
    pub no_time: bool,
}

/// The threshold as it is stored.
#[derive(Deserialize)]
#[serde(default)]
struct StoredThreshold {
    audit: bool,
    threshold: u8,
    count_reset_interval: u16,
    lockout_interval: u16,
    no_time: Option<bool>,
}

impl Default for StoredThreshold {
    fn default() -> Self {
        let BadPasswordThreshold { audit, threshold, count_reset_interval, lockout_interval, no_time: _ } =
            BadPasswordThreshold::default();
        Self { audit, threshold, count_reset_interval, lockout_interval, no_time: None }
    }
}

impl From<StoredThreshold> for BadPasswordThreshold {
    fn from(stored: StoredThreshold) -> Self {
        let StoredThreshold { audit, threshold, count_reset_interval, lockout_interval, no_time } = stored;
        // Where nobody had set anything, earlier versions stored zeros, which would disable a user for ever once a threshold is set.
        if (threshold, count_reset_interval, lockout_interval, no_time) == (0, 0, 0, None) {
            return Self { audit, ..Self::default() };
        }
        Self { audit, threshold, count_reset_interval, lockout_interval, no_time: no_time.unwrap_or(false) }
    }
}

/// Five minutes in [`BAD_PASSWORD_TIME_UNIT_SECONDS`].
const FIVE_MINUTES: u16 = 30;

impl Default for BadPasswordThreshold {
    fn default() -> Self {
        Self {
            audit: false,
            threshold: 0,
            count_reset_interval: FIVE_MINUTES,
            lockout_interval: FIVE_MINUTES,
            no_time: false,
        }
    }
}

impl BadPasswordThreshold {
    /// What it means for [`Lockouts`](crate::lockout::Lockouts); `None` when it is off.
    pub fn rule(&self) -> Option<UserRule> {
        let time = |units: u16| {
            (units != 0).then(|| Duration::from_secs(u64::from(units) * BAD_PASSWORD_TIME_UNIT_SECONDS))
        };
        (self.threshold != 0).then(|| UserRule {
            failures: u32::from(self.threshold),
            forget_after: time(self.count_reset_interval),
            lock_for: time(self.lockout_interval),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_that_nobody_had_set_has_times_whatever_version_stored_it() {
        let read = |text: &str| serde_json::from_str::<BadPasswordThreshold>(text).unwrap();
        let old = r#"{"audit":true,"threshold":0,"count_reset_interval":0,"lockout_interval":0}"#;
        assert_eq!(read(old), BadPasswordThreshold { audit: true, ..BadPasswordThreshold::default() });
        assert_eq!(read("{}"), BadPasswordThreshold::default());
        let set = r#"{"audit":false,"threshold":3,"count_reset_interval":0,"lockout_interval":0}"#;
        assert_eq!((read(set).threshold, read(set).lockout_interval), (3, 0), "set so by a client");
        let off = BadPasswordThreshold { count_reset_interval: 0, lockout_interval: 0, ..read("{}") };
        assert_eq!(read(&serde_json::to_string(&off).unwrap()), off, "set so since");
    }
}
