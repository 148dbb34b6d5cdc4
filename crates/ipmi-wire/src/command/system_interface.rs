//! The system interface: what it can do, and which channels' messages it hears (IPMI 2.0 §22.5, §22.9, §22.10).

use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// What Enable Message Channel Receive does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelReceive {
    /// Messages of the channel are no longer taken into the receive message queue.
    Disable = 0,
    /// They are.
    Enable = 1,
    /// Nothing: asks for the state.
    Get = 2,
}

/// Enable Message Channel Receive (IPMI 2.0 §22.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnableMessageChannelReceive {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// What to do.
    pub what: ChannelReceive,
}

command!(EnableMessageChannelReceive, APP, 0x32, "Enable Message Channel Receive", MessageChannelReceive);

impl Payload for EnableMessageChannelReceive {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [channel, state] = r.array()?;
        let what = match state & 3 {
            0 => ChannelReceive::Disable,
            1 => ChannelReceive::Enable,
            2 => ChannelReceive::Get,
            raw => return Err(DecodeError::value("channel state", raw)),
        };
        Ok(Self { channel: channel & 0x0f, what })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.what as u8);
    }
}

/// The answer to [`EnableMessageChannelReceive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageChannelReceive {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// Whether its messages are taken.
    pub enabled: bool,
}

impl Payload for MessageChannelReceive {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [channel, state] = r.array()?;
        Ok(Self { channel: channel & 0x0f, enabled: bit(state, 0) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(flag(self.enabled, 0));
    }
}

/// Get BT Interface Capabilities (IPMI 2.0 §22.10). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBtCapabilities;

crate::command::bare_request!(GetBtCapabilities);
command!(GetBtCapabilities, APP, 0x36, "Get BT Interface Capabilities", BtCapabilities);

/// The answer to [`GetBtCapabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BtCapabilities {
    /// How many requests may be outstanding, at least 1.
    pub outstanding: u8,
    /// Bytes of a request that the interface takes.
    pub input: u8,
    /// Bytes of a response that it gives.
    pub output: u8,
    /// How long the BMC may take for an answer, in seconds, 1 to 30.
    pub response_seconds: u8,
    /// How often a request should be repeated.
    pub retries: u8,
}

impl Payload for BtCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [outstanding, input, output, response_seconds, retries] = r.array()?;
        Ok(Self { outstanding, input, output, response_seconds, retries })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.outstanding).u8(self.input).u8(self.output).u8(self.response_seconds).u8(self.retries);
    }
}

/// Kinds of system interfaces that [`GetSystemInterfaceCapabilities`] can ask for (IPMI 2.0 table 22-10).
pub mod interface_type {
    /// SMBus system interface.
    pub const SSIF: u8 = 0;
    /// Keyboard controller style.
    pub const KCS: u8 = 1;
    /// Server management interface chip.
    pub const SMIC: u8 = 2;
}

/// Get System Interface Capabilities (IPMI 2.0 §22.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSystemInterfaceCapabilities {
    /// Which kind, see [`interface_type`].
    pub interface: u8,
}

command!(
    GetSystemInterfaceCapabilities,
    APP,
    0x57,
    "Get System Interface Capabilities",
    SystemInterfaceCapabilities
);

impl Payload for GetSystemInterfaceCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { interface: r.u8()? & 0x0f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.interface & 0x0f);
    }
}

/// The answer to [`GetSystemInterfaceCapabilities`] for KCS and SMIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemInterfaceCapabilities {
    /// The version of the interface; 0 is version 1.
    pub version: u8,
    /// Bytes of the longest request.
    pub input: u8,
}

impl Payload for SystemInterfaceCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [_, version, input] = r.array()?;
        Ok(Self { version: version & 7, input })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(0).u8(self.version & 7).u8(self.input);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn capabilities() {
        golden(&GetBtCapabilities, "", &[]);
        let bt = BtCapabilities { outstanding: 1, input: 255, output: 255, response_seconds: 10, retries: 0 };
        golden(&bt, "01 ff ff 0a 00", &[]);
        golden(&GetSystemInterfaceCapabilities { interface: interface_type::KCS }, "01", &[]);
        golden(&SystemInterfaceCapabilities { version: 0, input: 255 }, "00 00 ff", &[]);
    }

    #[test]
    fn message_channel_receive() {
        golden(&EnableMessageChannelReceive { channel: 1, what: ChannelReceive::Get }, "01 02", &[]);
        golden(&MessageChannelReceive { channel: 1, enabled: true }, "01 01", &[]);
        assert!(EnableMessageChannelReceive::decode(&[1, 3]).is_err());
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            stable::<EnableMessageChannelReceive>(&bytes);
            stable::<MessageChannelReceive>(&bytes);
            stable::<BtCapabilities>(&bytes);
            stable::<GetSystemInterfaceCapabilities>(&bytes);
            stable::<SystemInterfaceCapabilities>(&bytes);
        }
    }
}
