//! LAN configuration parameters and statistics (IPMI 2.0 §23.1 to §23.4).

use alloc::vec::Vec;

use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

mod parameter;
#[cfg(test)]
mod tests;

pub use parameter::{
    BadPassword, DestinationAddress, DestinationType, LanParameter, SUITE_ENTRIES_MAX, VlanId, number,
};

use super::boot::SetInProgress;

/// The revision of the parameters that Get LAN Configuration Parameters reports: present 1.1, oldest 1.1.
pub const PARAMETER_REVISION: u8 = 0x11;

/// Set LAN Configuration Parameters (IPMI 2.0 §23.1). The answer carries no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLanConfiguration {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The parameter with its value.
    pub parameter: LanParameter,
}

command!(SetLanConfiguration, TRANSPORT, 0x01, "Set LAN Configuration Parameters", ());

impl Payload for SetLanConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let number = r.u8()?;
        Ok(Self { channel, parameter: LanParameter::read(number, r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.parameter.number());
        self.parameter.write(w);
    }
}

/// Get LAN Configuration Parameters (IPMI 2.0 §23.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetLanConfiguration {
    /// Asks for the revision alone.
    pub revision_only: bool,
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The parameter's number.
    pub parameter: u8,
    /// Which set of the parameter; 0 where it has none.
    pub set_selector: u8,
    /// Which block of the set; 0 where it has none.
    pub block_selector: u8,
}

command!(GetLanConfiguration, TRANSPORT, 0x02, "Get LAN Configuration Parameters", LanConfiguration);

impl Payload for GetLanConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [first, parameter, set_selector, block_selector] = r.array()?;
        Ok(Self {
            revision_only: bit(first, 7),
            channel: first & 0x0f,
            parameter,
            set_selector,
            block_selector,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.revision_only, 7) | self.channel & 0x0f);
        w.u8(self.parameter).u8(self.set_selector).u8(self.block_selector);
    }
}

/// The answer to [`GetLanConfiguration`]. It does not say which parameter it is of: [`LanParameter::decode`] must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanConfiguration {
    /// The parameters' revision, [`PARAMETER_REVISION`].
    pub revision: u8,
    /// The parameter's bytes; none when the revision alone was asked for.
    pub data: Vec<u8>,
}

impl Payload for LanConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { revision: r.u8()?, data: r.rest().into() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.revision).bytes(&self.data);
    }
}

/// Get IP/UDP/RMCP Statistics (IPMI 2.0 §23.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetLanStatistics {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// Sets the counters to zero once they are read.
    pub clear: bool,
}

command!(GetLanStatistics, TRANSPORT, 0x04, "Get IP/UDP/RMCP Statistics", LanStatistics);

impl Payload for GetLanStatistics {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()? & 0x0f, clear: bit(r.u8()?, 0) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(flag(self.clear, 0));
    }
}

/// The answer to [`GetLanStatistics`]: packets since the counters were zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LanStatistics {
    /// IP packets received.
    pub ip_received: u16,
    /// IP packets received with a bad header.
    pub ip_header_errors: u16,
    /// IP packets received for another address.
    pub ip_address_errors: u16,
    /// Fragments received.
    pub ip_fragments: u16,
    /// IP packets sent.
    pub ip_sent: u16,
    /// UDP packets received.
    pub udp_received: u16,
    /// Valid RMCP packets received.
    pub rmcp_received: u16,
    /// UDP proxy packets received.
    pub proxy_received: u16,
    /// UDP proxy packets dropped.
    pub proxy_dropped: u16,
}

impl Payload for LanStatistics {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ip_received: r.u16_le()?,
            ip_header_errors: r.u16_le()?,
            ip_address_errors: r.u16_le()?,
            ip_fragments: r.u16_le()?,
            ip_sent: r.u16_le()?,
            udp_received: r.u16_le()?,
            rmcp_received: r.u16_le()?,
            proxy_received: r.u16_le()?,
            proxy_dropped: r.u16_le()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.ip_received)
            .u16_le(self.ip_header_errors)
            .u16_le(self.ip_address_errors)
            .u16_le(self.ip_fragments)
            .u16_le(self.ip_sent)
            .u16_le(self.udp_received)
            .u16_le(self.rmcp_received)
            .u16_le(self.proxy_received)
            .u16_le(self.proxy_dropped);
    }
}
