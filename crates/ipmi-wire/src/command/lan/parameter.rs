//! The LAN configuration parameters one by one (IPMI 2.0 table 23-4).

use alloc::vec::Vec;

use super::SetInProgress;
use crate::command::{bit, flag};
use crate::{DecodeError, Reader, Writer};

/// Cipher suites that parameters 23 and 24 can tell of.
pub const SUITE_ENTRIES_MAX: usize = 16;

/// The parameters' numbers.
pub mod number {
    #![allow(missing_docs, reason = "each is told of at its variant of LanParameter")]
    pub const SET_IN_PROGRESS: u8 = 0;
    pub const AUTH_TYPE_SUPPORT: u8 = 1;
    pub const AUTH_TYPE_ENABLES: u8 = 2;
    pub const ADDRESS: u8 = 3;
    pub const ADDRESS_SOURCE: u8 = 4;
    pub const MAC: u8 = 5;
    pub const SUBNET_MASK: u8 = 6;
    pub const IPV4_HEADER: u8 = 7;
    pub const PRIMARY_RMCP_PORT: u8 = 8;
    pub const SECONDARY_RMCP_PORT: u8 = 9;
    pub const ARP_CONTROL: u8 = 10;
    pub const GRATUITOUS_ARP_INTERVAL: u8 = 11;
    pub const GATEWAY: u8 = 12;
    pub const GATEWAY_MAC: u8 = 13;
    pub const BACKUP_GATEWAY: u8 = 14;
    pub const BACKUP_GATEWAY_MAC: u8 = 15;
    pub const COMMUNITY: u8 = 16;
    pub const DESTINATIONS: u8 = 17;
    pub const DESTINATION_TYPE: u8 = 18;
    pub const DESTINATION_ADDRESS: u8 = 19;
    pub const VLAN_ID: u8 = 20;
    pub const VLAN_PRIORITY: u8 = 21;
    pub const SUITE_SUPPORT: u8 = 22;
    pub const SUITES: u8 = 23;
    pub const SUITE_PRIVILEGES: u8 = 24;
    pub const DESTINATION_VLAN: u8 = 25;
    pub const BAD_PASSWORD: u8 = 26;
}

/// A LAN configuration parameter with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LanParameter {
    /// 0: guards a group of writes.
    SetInProgress(SetInProgress),
    /// 1: authentication types of IPMI 1.5 that the channel offers; bits 0 none, 1 MD2, 2 MD5, 4 password, 5 OEM. Read-only.
    AuthTypeSupport(u8),
    /// 2: those that are enabled at callback, user, operator, administrator and OEM level, each a mask as in parameter 1.
    AuthTypeEnables([u8; 5]),
    /// 3: IP address.
    Address([u8; 4]),
    /// 4: where it comes from: 0 unspecified, 1 static, 2 DHCP, 3 firmware or system software, 4 other.
    AddressSource(u8),
    /// 5: MAC address.
    Mac([u8; 6]),
    /// 6: subnet mask.
    SubnetMask([u8; 4]),
    /// 7: time to live, flags, precedence and type of service of IPv4 headers.
    Ipv4Header([u8; 3]),
    /// 8: primary RMCP port.
    PrimaryRmcpPort(u16),
    /// 9: secondary RMCP port.
    SecondaryRmcpPort(u16),
    /// 10: ARPs that the BMC makes: bit 1 responses, bit 0 gratuitous ones.
    ArpControl(u8),
    /// 11: interval of gratuitous ARPs in units of 500 ms.
    GratuitousArpInterval(u8),
    /// 12: default gateway's IP address.
    Gateway([u8; 4]),
    /// 13: default gateway's MAC address.
    GatewayMac([u8; 6]),
    /// 14: backup gateway's IP address.
    BackupGateway([u8; 4]),
    /// 15: backup gateway's MAC address.
    BackupGatewayMac([u8; 6]),
    /// 16: SNMP community, padded with zeros.
    Community([u8; 18]),
    /// 17: how many alert destinations are kept, 0 to 15. Read-only.
    Destinations(u8),
    /// 18: an alert destination's kind and retries.
    DestinationType(DestinationType),
    /// 19: an alert destination's addresses.
    DestinationAddress(DestinationAddress),
    /// 20: 802.1q VLAN.
    VlanId(VlanId),
    /// 21: 802.1q priority, 0 to 7.
    VlanPriority(u8),
    /// 22: how many cipher suites parameter 23 lists, 0 to [`SUITE_ENTRIES_MAX`]. Read-only.
    SuiteSupport(u8),
    /// 23: their numbers, at most [`SUITE_ENTRIES_MAX`]. Read-only.
    Suites(Vec<u8>),
    /// 24: the highest level for each of them, 0 to 15; 0 is unused.
    SuitePrivileges([u8; SUITE_ENTRIES_MAX]),
    /// 25: an alert destination's VLAN tag.
    DestinationVlan {
        /// The destination's number, 0 to 15.
        selector: u8,
        /// Priority, canonical format indicator and VLAN id; `None` is untagged.
        tag: Option<u16>,
    },
    /// 26: when wrong passwords disable a user.
    BadPassword(BadPassword),
    /// A parameter that this crate does not know.
    Other {
        /// Its number.
        number: u8,
        /// Its bytes.
        data: Vec<u8>,
    },
}

/// The value of parameter 18.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationType {
    /// The destination's number, 0 to 15; 0 is for immediate alerts.
    pub selector: u8,
    /// Alerts are acknowledged.
    pub acknowledge: bool,
    /// 0 PET trap, 6 and 7 the maker's own.
    pub kind: u8,
    /// Time-out for the acknowledgement, or interval of retries, in seconds.
    pub timeout: u8,
    /// Retries, 0 to 7.
    pub retries: u8,
}

/// The value of parameter 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationAddress {
    /// The destination's number, 0 to 15.
    pub selector: u8,
    /// 0 IPv4, 1 IPv6; this type holds the first.
    pub format: u8,
    /// Over the backup gateway.
    pub backup_gateway: bool,
    /// IP address.
    pub address: [u8; 4],
    /// MAC address.
    pub mac: [u8; 6],
}

/// The value of parameter 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanId {
    /// Whether it is used.
    pub enabled: bool,
    /// The id, 0 to 4095.
    pub id: u16,
}

/// The value of parameter 26.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BadPassword {
    /// Whether a user that is disabled so is a session audit event.
    pub audit: bool,
    /// Wrong passwords that disable a user; 0 is never.
    pub threshold: u8,
    /// When counting starts anew, in units of 10 seconds; 0 is never.
    pub count_reset_interval: u16,
    /// How long the user is disabled, in units of 10 seconds; 0 is until enabled.
    pub lockout_interval: u16,
}

impl LanParameter {
    /// Parameters that the BMC alone sets (IPMI 2.0 table 23-4, "read only").
    pub const READ_ONLY: [u8; 4] =
        [number::AUTH_TYPE_SUPPORT, number::DESTINATIONS, number::SUITE_SUPPORT, number::SUITES];

    /// The parameter's number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::SetInProgress(_) => number::SET_IN_PROGRESS,
            Self::AuthTypeSupport(_) => number::AUTH_TYPE_SUPPORT,
            Self::AuthTypeEnables(_) => number::AUTH_TYPE_ENABLES,
            Self::Address(_) => number::ADDRESS,
            Self::AddressSource(_) => number::ADDRESS_SOURCE,
            Self::Mac(_) => number::MAC,
            Self::SubnetMask(_) => number::SUBNET_MASK,
            Self::Ipv4Header(_) => number::IPV4_HEADER,
            Self::PrimaryRmcpPort(_) => number::PRIMARY_RMCP_PORT,
            Self::SecondaryRmcpPort(_) => number::SECONDARY_RMCP_PORT,
            Self::ArpControl(_) => number::ARP_CONTROL,
            Self::GratuitousArpInterval(_) => number::GRATUITOUS_ARP_INTERVAL,
            Self::Gateway(_) => number::GATEWAY,
            Self::GatewayMac(_) => number::GATEWAY_MAC,
            Self::BackupGateway(_) => number::BACKUP_GATEWAY,
            Self::BackupGatewayMac(_) => number::BACKUP_GATEWAY_MAC,
            Self::Community(_) => number::COMMUNITY,
            Self::Destinations(_) => number::DESTINATIONS,
            Self::DestinationType(_) => number::DESTINATION_TYPE,
            Self::DestinationAddress(_) => number::DESTINATION_ADDRESS,
            Self::VlanId(_) => number::VLAN_ID,
            Self::VlanPriority(_) => number::VLAN_PRIORITY,
            Self::SuiteSupport(_) => number::SUITE_SUPPORT,
            Self::Suites(_) => number::SUITES,
            Self::SuitePrivileges(_) => number::SUITE_PRIVILEGES,
            Self::DestinationVlan { .. } => number::DESTINATION_VLAN,
            Self::BadPassword(_) => number::BAD_PASSWORD,
            Self::Other { number, .. } => *number,
        }
    }

    /// Reads the value of the parameter with this number.
    ///
    /// # Errors
    /// A wrong length, or a value that the parameter does not define.
    pub fn decode(number: u8, data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(data);
        let parameter = Self::read(number, &mut r)?;
        r.finish()?;
        Ok(parameter)
    }

    /// The bytes of the value, without the parameter's number.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.into_vec()
    }

    /// Takes the value of the parameter with this number.
    pub(super) fn read(number: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match number {
            number::SET_IN_PROGRESS => Self::SetInProgress(match r.u8()? & 3 {
                0 => SetInProgress::Complete,
                1 => SetInProgress::InProgress,
                2 => SetInProgress::Commit,
                raw => return Err(DecodeError::value("set in progress", raw)),
            }),
            number::AUTH_TYPE_SUPPORT => Self::AuthTypeSupport(r.u8()? & 0x3f),
            number::AUTH_TYPE_ENABLES => Self::AuthTypeEnables(r.array()?.map(|mask: u8| mask & 0x3f)),
            number::ADDRESS => Self::Address(r.array()?),
            number::ADDRESS_SOURCE => match r.u8()? & 0x0f {
                source @ 0..=4 => Self::AddressSource(source),
                raw => return Err(DecodeError::value("address source", raw)),
            },
            number::MAC => Self::Mac(r.array()?),
            number::SUBNET_MASK => Self::SubnetMask(r.array()?),
            number::IPV4_HEADER => Self::Ipv4Header(r.array()?),
            number::PRIMARY_RMCP_PORT => Self::PrimaryRmcpPort(r.u16_le()?),
            number::SECONDARY_RMCP_PORT => Self::SecondaryRmcpPort(r.u16_le()?),
            number::ARP_CONTROL => Self::ArpControl(r.u8()? & 0x03),
            number::GRATUITOUS_ARP_INTERVAL => Self::GratuitousArpInterval(r.u8()?),
            number::GATEWAY => Self::Gateway(r.array()?),
            number::GATEWAY_MAC => Self::GatewayMac(r.array()?),
            number::BACKUP_GATEWAY => Self::BackupGateway(r.array()?),
            number::BACKUP_GATEWAY_MAC => Self::BackupGatewayMac(r.array()?),
            number::COMMUNITY => Self::Community(r.array()?),
            number::DESTINATIONS => Self::Destinations(r.u8()? & 0x0f),
            number::DESTINATION_TYPE => {
                let [selector, kind, timeout, retries] = r.array()?;
                Self::DestinationType(DestinationType {
                    selector: selector & 0x0f,
                    acknowledge: bit(kind, 7),
                    kind: kind & 0x07,
                    timeout,
                    retries: retries & 0x07,
                })
            }
            number::DESTINATION_ADDRESS => {
                let [selector, format, gateway] = r.array()?;
                Self::DestinationAddress(DestinationAddress {
                    selector: selector & 0x0f,
                    format: format >> 4,
                    backup_gateway: bit(gateway, 0),
                    address: r.array()?,
                    mac: r.array()?,
                })
            }
            number::VLAN_ID => {
                let raw = r.u16_le()?;
                Self::VlanId(VlanId { enabled: raw >> 15 == 1, id: raw & 0x0fff })
            }
            number::VLAN_PRIORITY => Self::VlanPriority(r.u8()? & 0x07),
            number::SUITE_SUPPORT => Self::SuiteSupport(r.u8()? & 0x1f),
            number::SUITES => {
                r.u8()?;
                if r.remaining() > SUITE_ENTRIES_MAX {
                    return Err(DecodeError::Length);
                }
                Self::Suites(r.rest().into())
            }
            number::SUITE_PRIVILEGES => {
                r.u8()?;
                let packed: [u8; SUITE_ENTRIES_MAX / 2] = r.array()?;
                let mut levels = [0; SUITE_ENTRIES_MAX];
                let nibbles = packed.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
                levels.iter_mut().zip(nibbles).for_each(|(to, from)| *to = from);
                Self::SuitePrivileges(levels)
            }
            number::DESTINATION_VLAN => {
                let [selector, format] = r.array()?;
                let tag = r.u16_le()?;
                match format >> 4 {
                    0 => Self::DestinationVlan { selector: selector & 0x0f, tag: None },
                    1 => Self::DestinationVlan { selector: selector & 0x0f, tag: Some(tag) },
                    raw => return Err(DecodeError::value("address format", raw)),
                }
            }
            number::BAD_PASSWORD => Self::BadPassword(BadPassword {
                audit: bit(r.u8()?, 0),
                threshold: r.u8()?,
                count_reset_interval: r.u16_le()?,
                lockout_interval: r.u16_le()?,
            }),
            _ => Self::Other { number, data: r.rest().into() },
        })
    }

    /// Appends the value, without the parameter's number.
    pub(super) fn write(&self, w: &mut Writer) {
        match self {
            Self::SetInProgress(state) => w.u8(*state as u8),
            Self::AuthTypeSupport(byte)
            | Self::AddressSource(byte)
            | Self::ArpControl(byte)
            | Self::GratuitousArpInterval(byte)
            | Self::Destinations(byte)
            | Self::VlanPriority(byte)
            | Self::SuiteSupport(byte) => w.u8(*byte),
            Self::AuthTypeEnables(masks) => w.bytes(masks),
            Self::Address(ip) | Self::SubnetMask(ip) | Self::Gateway(ip) | Self::BackupGateway(ip) => {
                w.bytes(ip)
            }
            Self::Mac(mac) | Self::GatewayMac(mac) | Self::BackupGatewayMac(mac) => w.bytes(mac),
            Self::Ipv4Header(header) => w.bytes(header),
            Self::PrimaryRmcpPort(port) | Self::SecondaryRmcpPort(port) => w.u16_le(*port),
            Self::Community(community) => w.bytes(community),
            Self::DestinationType(d) => w
                .u8(d.selector & 0x0f)
                .u8(flag(d.acknowledge, 7) | d.kind & 0x07)
                .u8(d.timeout)
                .u8(d.retries & 0x07),
            Self::DestinationAddress(d) => w
                .u8(d.selector & 0x0f)
                .u8(d.format << 4)
                .u8(flag(d.backup_gateway, 0))
                .bytes(&d.address)
                .bytes(&d.mac),
            Self::VlanId(vlan) => w.u16_le(u16::from(vlan.enabled) << 15 | vlan.id & 0x0fff),
            Self::Suites(ids) => w.u8(0).bytes(ids.get(..SUITE_ENTRIES_MAX).unwrap_or(ids)),
            Self::SuitePrivileges(levels) => {
                w.u8(0);
                for pair in levels.chunks(2) {
                    let nibble = |at: usize| pair.get(at).map_or(0, |level| level & 0x0f);
                    w.u8(nibble(1) << 4 | nibble(0));
                }
                w
            }
            Self::DestinationVlan { selector, tag } => {
                w.u8(selector & 0x0f).u8(u8::from(tag.is_some()) << 4).u16_le(tag.unwrap_or(0))
            }
            Self::BadPassword(bad) => w
                .u8(flag(bad.audit, 0))
                .u8(bad.threshold)
                .u16_le(bad.count_reset_interval)
                .u16_le(bad.lockout_interval),
            Self::Other { data, .. } => w.bytes(data),
        };
    }
}
