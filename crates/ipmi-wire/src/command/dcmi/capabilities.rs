//! What the controller can do (DCMI 1.5 §6.1).

use alloc::vec::Vec;

use super::{CONFORMANCE, read_conformance};
use crate::command::{Payload, bit, flag};
use crate::{DecodeError, Reader, Writer};

/// Get DCMI Capabilities Info (§6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDcmiCapabilities {
    /// What about.
    pub parameter: CapabilitiesParameter,
}

/// What to tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CapabilitiesParameter {
    /// Which capabilities there are.
    Supported = 1,
    /// Event log, identification, temperatures.
    MandatoryAttributes = 2,
    /// Who manages power.
    PowerAttributes = 3,
    /// Over which channels the controller is reached.
    AccessAttributes = 4,
    /// Over which times power is averaged.
    RollingAverages = 5,
}

impl CapabilitiesParameter {
    /// All of them, by number from 1.
    pub const ALL: [Self; 5] = [
        Self::Supported,
        Self::MandatoryAttributes,
        Self::PowerAttributes,
        Self::AccessAttributes,
        Self::RollingAverages,
    ];
}

impl Payload for GetDcmiCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let raw = r.u8()?;
        let parameter = CapabilitiesParameter::ALL.into_iter().find(|parameter| *parameter as u8 == raw);
        Ok(Self { parameter: parameter.ok_or(DecodeError::value("capabilities parameter", raw))? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.parameter as u8);
    }
}

/// The answer to [`GetDcmiCapabilities`]. Which parameter it tells of is known only to who asked, so that reading it back takes
/// [`Capabilities::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DcmiCapabilities {
    /// Specification version, major and minor, and parameter revision.
    pub conformance: [u8; 3],
    /// The parameter's data.
    pub data: Vec<u8>,
}

impl From<Capabilities> for DcmiCapabilities {
    fn from(capabilities: Capabilities) -> Self {
        let mut w = Writer::new();
        capabilities.write(&mut w);
        Self { conformance: CONFORMANCE, data: w.into_vec() }
    }
}

impl Payload for DcmiCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { conformance: read_conformance(r)?, data: super::rest(r) })
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.conformance).bytes(&self.data);
    }
}

/// The data of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capabilities {
    /// Parameter 1.
    Supported(SupportedCapabilities),
    /// Parameter 2.
    MandatoryAttributes(MandatoryAttributes),
    /// Parameter 3.
    PowerAttributes(PowerAttributes),
    /// Parameter 4.
    AccessAttributes(AccessAttributes),
    /// Parameter 5.
    RollingAverages(Vec<RollingAverage>),
}

/// Which capabilities there are. What revision 2 of the parameters took for granted is reserved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SupportedCapabilities {
    /// Power is monitored and limited.
    pub power_management: bool,
    /// There is a system interface to the machine itself.
    pub system_interface: bool,
    /// There is a serial port in terminal mode.
    pub serial_terminal_mode: bool,
    /// There is a second LAN channel.
    pub secondary_lan: bool,
}

/// Event log, identification, temperatures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MandatoryAttributes {
    /// Entries that the event log holds, at most 4095.
    pub sel_entries: u16,
    /// The newest entries take the place of the oldest.
    pub sel_rollover: bool,
    /// The controller's identifier is sent as DHCP host name.
    pub dhcp_host_name: bool,
    /// There is an asset tag.
    pub asset_tag: bool,
    /// Temperatures are read once in so many seconds.
    pub temperature_sampling_seconds: u8,
}

/// Who manages power.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerAttributes {
    /// The controller's address on the IPMB, 8 bits.
    pub address: u8,
    /// The channel it sits on, four bits.
    pub channel: u8,
    /// Its revision, four bits.
    pub revision: u8,
}

/// Over which channels the controller is reached; `None` where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccessAttributes {
    /// The primary LAN channel.
    pub primary_lan: Option<u8>,
    /// The secondary LAN channel.
    pub secondary_lan: Option<u8>,
    /// The serial port in terminal mode.
    pub serial: Option<u8>,
}

/// A time over which power is averaged, as one byte: a number in the lower six bits and its unit above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollingAverage(pub u8);

/// The times that controllers in the field offer, and ipmitool knows by name: 5, 15 and 30 seconds, 1, 3, 7, 15 and 30 minutes, 1 hour.
pub const ROLLING_AVERAGES: [RollingAverage; 9] = [
    RollingAverage(0x05),
    RollingAverage(0x0f),
    RollingAverage(0x1e),
    RollingAverage(0x41),
    RollingAverage(0x43),
    RollingAverage(0x47),
    RollingAverage(0x4f),
    RollingAverage(0x5e),
    RollingAverage(0x81),
];

impl RollingAverage {
    /// The time in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        let number = (self.0 & 0x3f) as u32;
        number.saturating_mul(match self.0 >> 6 {
            0 => 1,
            1 => 60,
            2 => 60 * 60,
            _ => 24 * 60 * 60,
        })
    }
}

const NO_CHANNEL: u8 = 0xff;

impl Capabilities {
    /// Reads the data of `parameter`.
    ///
    /// # Errors
    /// Too few bytes.
    pub fn read(parameter: CapabilitiesParameter, data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(data);
        let channel = |raw: u8| Some(raw).filter(|raw| *raw != NO_CHANNEL);
        let read = match parameter {
            CapabilitiesParameter::Supported => {
                let [_, optional, access] = r.array()?;
                Self::Supported(SupportedCapabilities {
                    power_management: bit(optional, 0),
                    system_interface: bit(access, 0),
                    serial_terminal_mode: bit(access, 1),
                    secondary_lan: bit(access, 2),
                })
            }
            CapabilitiesParameter::MandatoryAttributes => {
                let sel = r.u16_le()?;
                let [identification, _, sampling] = r.array()?;
                Self::MandatoryAttributes(MandatoryAttributes {
                    sel_entries: sel & 0x0fff,
                    sel_rollover: sel & 0x8000 != 0,
                    dhcp_host_name: bit(identification, 1),
                    asset_tag: bit(identification, 2),
                    temperature_sampling_seconds: sampling,
                })
            }
            CapabilitiesParameter::PowerAttributes => {
                let [address, place] = r.array()?;
                // The address stands shifted by one, as the field has seven bits above a reserved one.
                let address = address & 0xfe;
                Self::PowerAttributes(PowerAttributes {
                    address: address >> 1,
                    channel: place >> 4,
                    revision: place & 0x0f,
                })
            }
            CapabilitiesParameter::AccessAttributes => {
                let [primary, secondary, serial] = r.array()?;
                Self::AccessAttributes(AccessAttributes {
                    primary_lan: channel(primary),
                    secondary_lan: channel(secondary),
                    serial: channel(serial),
                })
            }
            CapabilitiesParameter::RollingAverages => {
                let count = r.u8()?;
                Self::RollingAverages(r.bytes(count.into())?.iter().copied().map(RollingAverage).collect())
            }
        };
        Ok(read)
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Supported(supported) => {
                let access = flag(supported.system_interface, 0)
                    | flag(supported.serial_terminal_mode, 1)
                    | flag(supported.secondary_lan, 2);
                w.u8(0).u8(flag(supported.power_management, 0)).u8(access);
            }
            Self::MandatoryAttributes(attributes) => {
                let rollover = if attributes.sel_rollover { 0x8000 } else { 0 };
                w.u16_le(attributes.sel_entries.min(0x0fff) | rollover);
                w.u8(flag(attributes.dhcp_host_name, 1) | flag(attributes.asset_tag, 2));
                w.u8(0).u8(attributes.temperature_sampling_seconds);
            }
            Self::PowerAttributes(PowerAttributes { address, channel, revision }) => {
                w.u8(address << 1).u8(channel << 4 | revision & 0x0f);
            }
            Self::AccessAttributes(AccessAttributes { primary_lan, secondary_lan, serial }) => {
                for channel in [primary_lan, secondary_lan, serial] {
                    w.u8(channel.unwrap_or(NO_CHANNEL));
                }
            }
            Self::RollingAverages(times) => {
                let count = u8::try_from(times.len()).unwrap_or(u8::MAX);
                w.u8(count);
                for time in times.iter().take(count.into()) {
                    w.u8(time.0);
                }
            }
        }
    }
}
