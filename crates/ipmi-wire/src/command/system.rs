//! The controller and its system: resets, ACPI power state, global enables, message flags, system info (IPMI 2.0 §20.2 to §20.7, §22.1
//! to §22.9, §22.14a).

use alloc::vec::Vec;

use crate::command::boot::SetInProgress;
use crate::command::{Payload, bare_request, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// Cold Reset (IPMI 2.0 §20.2). No data; the answer carries none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdReset;

bare_request!(ColdReset);
command!(ColdReset, APP, 0x02, "Cold Reset", ());

/// Warm Reset (IPMI 2.0 §20.3). No data; the answer carries none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmReset;

bare_request!(WarmReset);
command!(WarmReset, APP, 0x03, "Warm Reset", ());

/// ACPI power states of a system as IPMI numbers them (IPMI 2.0 table 20-6).
pub mod acpi_system {
    /// S0/G0 working.
    pub const S0_WORKING: u8 = 0x00;
    /// S5/G2 soft-off.
    pub const S5_SOFT_OFF: u8 = 0x05;
    /// The last of the states from S0 up; the others follow from [`LEGACY_ON`].
    pub const OVERRIDE: u8 = 0x0a;
    /// On, without ACPI.
    pub const LEGACY_ON: u8 = 0x20;
    /// Off, without ACPI.
    pub const LEGACY_OFF: u8 = 0x21;
    /// Unknown.
    pub const UNKNOWN: u8 = 0x2a;
}

/// ACPI power states of a device as IPMI numbers them (IPMI 2.0 table 20-6).
pub mod acpi_device {
    /// Working.
    pub const D0: u8 = 0x00;
    /// Off.
    pub const D3: u8 = 0x03;
    /// Unknown.
    pub const UNKNOWN: u8 = 0x2a;
}

/// The state that leaves things as they are, for software that sets only one of the two.
const NO_CHANGE: u8 = 0x7f;

/// Set ACPI Power State (IPMI 2.0 §20.6). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAcpiPowerState {
    /// The system's state, see [`acpi_system`]; `None` leaves it.
    pub system: Option<u8>,
    /// The device's state, see [`acpi_device`]; `None` leaves it.
    pub device: Option<u8>,
}

command!(SetAcpiPowerState, APP, 0x06, "Set ACPI Power State", ());

impl Payload for SetAcpiPowerState {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [system, device] = r.array()?;
        let set = |byte: u8| Some(byte & 0x7f).filter(|state| bit(byte, 7) && *state != NO_CHANGE);
        let (system, device) = (set(system), set(device));
        if let Some(state) = system {
            let is_state = state <= acpi_system::OVERRIDE
                || [acpi_system::LEGACY_ON, acpi_system::LEGACY_OFF, acpi_system::UNKNOWN].contains(&state);
            if !is_state {
                return Err(DecodeError::value("system power state", state));
            }
        }
        if let Some(state) = device.filter(|state| *state > acpi_device::D3 && *state != acpi_device::UNKNOWN)
        {
            return Err(DecodeError::value("device power state", state));
        }
        Ok(Self { system, device })
    }

    fn write(&self, w: &mut Writer) {
        let byte = |state: Option<u8>| state.map_or(0, |state| flag(true, 7) | state & 0x7f);
        w.u8(byte(self.system)).u8(byte(self.device));
    }
}

/// Get ACPI Power State (IPMI 2.0 §20.7). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetAcpiPowerState;

bare_request!(GetAcpiPowerState);
command!(GetAcpiPowerState, APP, 0x07, "Get ACPI Power State", AcpiPowerState);

/// The answer to [`GetAcpiPowerState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcpiPowerState {
    /// The system's state, see [`acpi_system`].
    pub system: u8,
    /// The device's state, see [`acpi_device`].
    pub device: u8,
}

impl Payload for AcpiPowerState {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { system: r.u8()? & 0x7f, device: r.u8()? & 0x7f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.system & 0x7f).u8(self.device & 0x7f);
    }
}

/// What the BMC's global enables say (IPMI 2.0 §22.1, §22.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobalEnables {
    /// The maker's own: OEM 2, 1 and 0 in bits 2 to 0.
    pub oem: u8,
    /// Event messages go to the SEL.
    pub event_logging: bool,
    /// Event messages go to the event message buffer.
    pub event_message_buffer: bool,
    /// An interrupt tells that the event message buffer is full.
    pub event_message_buffer_interrupt: bool,
    /// An interrupt tells of messages in the receive message queue.
    pub receive_message_interrupt: bool,
}

impl Payload for GlobalEnables {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let byte = r.u8()?;
        Ok(Self {
            oem: byte >> 5,
            event_logging: bit(byte, 3),
            event_message_buffer: bit(byte, 2),
            event_message_buffer_interrupt: bit(byte, 1),
            receive_message_interrupt: bit(byte, 0),
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8((self.oem & 0x07) << 5
            | flag(self.event_logging, 3)
            | flag(self.event_message_buffer, 2)
            | flag(self.event_message_buffer_interrupt, 1)
            | flag(self.receive_message_interrupt, 0));
    }
}

/// Set BMC Global Enables (IPMI 2.0 §22.1). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetGlobalEnables(pub GlobalEnables);

command!(SetGlobalEnables, APP, 0x2e, "Set BMC Global Enables", ());

impl Payload for SetGlobalEnables {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        GlobalEnables::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
}

/// Get BMC Global Enables (IPMI 2.0 §22.2). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetGlobalEnables;

bare_request!(GetGlobalEnables);
command!(GetGlobalEnables, APP, 0x2f, "Get BMC Global Enables", GlobalEnables);

/// Clear Message Flags (IPMI 2.0 §22.3): which of the flags of [`MessageFlags`]. The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearMessageFlags(pub u8);

command!(ClearMessageFlags, APP, 0x30, "Clear Message Flags", ());

impl Payload for ClearMessageFlags {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.u8()?))
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.0);
    }
}

/// Get Message Flags (IPMI 2.0 §22.4). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetMessageFlags;

bare_request!(GetMessageFlags);
command!(GetMessageFlags, APP, 0x31, "Get Message Flags", MessageFlags);

/// The answer to [`GetMessageFlags`]: bits 7 to 5 OEM, 3 watchdog pre-timeout, 1 event message buffer full, 0 a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageFlags(pub u8);

impl Payload for MessageFlags {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.u8()?))
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.0);
    }
}

/// Get Message (IPMI 2.0 §22.6). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetMessage;

bare_request!(GetMessage);
command!(GetMessage, APP, 0x33, "Get Message", Message);

/// The answer to [`GetMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The channel that it came over, and its inferred privilege level in the upper nibble.
    pub channel: u8,
    /// The message.
    pub data: Vec<u8>,
}

impl Payload for Message {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { channel: r.u8()?, data: r.rest().into() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel).bytes(&self.data);
    }
}

/// Read Event Message Buffer (IPMI 2.0 §22.8). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadEventMessageBuffer;

bare_request!(ReadEventMessageBuffer);
command!(ReadEventMessageBuffer, APP, 0x35, "Read Event Message Buffer", EventMessage);

/// The answer to [`ReadEventMessageBuffer`]: an event in the form of a SEL record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMessage(pub [u8; 16]);

impl Payload for EventMessage {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.array()?))
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

/// The revision of the parameters that Get System Info Parameters reports.
pub const SYSTEM_INFO_REVISION: u8 = 0x11;

/// Numbers of system info parameters (IPMI 2.0 table 22-16c).
pub mod system_info {
    /// Guards a group of writes.
    pub const SET_IN_PROGRESS: u8 = 0;
    /// System firmware version.
    pub const FIRMWARE_VERSION: u8 = 1;
    /// System name.
    pub const SYSTEM_NAME: u8 = 2;
    /// Primary operating system's name.
    pub const PRIMARY_OS_NAME: u8 = 3;
    /// The running operating system's name.
    pub const OS_NAME: u8 = 4;
    /// The running operating system's version.
    pub const OS_VERSION: u8 = 5;
    /// The URL of the BMC's own interface.
    pub const BMC_URL: u8 = 6;
    /// The URL of the hypervisor's or base operating system's interface.
    pub const HYPERVISOR_URL: u8 = 7;
}

/// Bytes of a block behind its selector.
pub const SYSTEM_INFO_BLOCK: usize = 16;

/// A system info parameter with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemInfo {
    /// 0: guards a group of writes.
    SetInProgress(SetInProgress),
    /// 1 to 7: one block of a text. The first begins with its encoding (bits 3 to 0: 0 ASCII and Latin 1, 1 UTF-8, 2 UTF-16) and length.
    Text {
        /// The parameter's number.
        parameter: u8,
        /// The block's number.
        block: u8,
        /// Its bytes.
        data: [u8; SYSTEM_INFO_BLOCK],
    },
    /// A parameter that this crate does not know.
    Other {
        /// Its number.
        parameter: u8,
        /// Its bytes.
        data: Vec<u8>,
    },
}

impl SystemInfo {
    /// The parameter's number.
    #[must_use]
    pub const fn parameter(&self) -> u8 {
        match self {
            Self::SetInProgress(_) => system_info::SET_IN_PROGRESS,
            Self::Text { parameter, .. } | Self::Other { parameter, .. } => *parameter,
        }
    }

    fn read(parameter: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match parameter {
            system_info::SET_IN_PROGRESS => Self::SetInProgress(match r.u8()? & 3 {
                0 => SetInProgress::Complete,
                1 => SetInProgress::InProgress,
                2 => SetInProgress::Commit,
                raw => return Err(DecodeError::value("set in progress", raw)),
            }),
            system_info::FIRMWARE_VERSION..=system_info::HYPERVISOR_URL => {
                let block = r.u8()?;
                // The last block may be sent without what pads it.
                let sent = r.rest();
                let mut data = [0; SYSTEM_INFO_BLOCK];
                if sent.is_empty() || sent.len() > SYSTEM_INFO_BLOCK {
                    return Err(DecodeError::Length);
                }
                data.iter_mut().zip(sent).for_each(|(to, from)| *to = *from);
                Self::Text { parameter, block, data }
            }
            _ => Self::Other { parameter, data: r.rest().into() },
        })
    }

    /// The bytes of the value, without the parameter's number.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.into_vec()
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::SetInProgress(state) => w.u8(*state as u8),
            Self::Text { block, data, .. } => w.u8(*block).bytes(data),
            Self::Other { data, .. } => w.bytes(data),
        };
    }
}

/// Set System Info Parameters (IPMI 2.0 §22.14a). The answer carries no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSystemInfo(pub SystemInfo);

command!(SetSystemInfo, APP, 0x58, "Set System Info Parameters", ());

impl Payload for SetSystemInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let parameter = r.u8()?;
        SystemInfo::read(parameter, r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.0.parameter());
        self.0.write(w);
    }
}

/// Get System Info Parameters (IPMI 2.0 §22.14b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSystemInfo {
    /// Asks for the revision alone.
    pub revision_only: bool,
    /// The parameter's number.
    pub parameter: u8,
    /// Which block of a text.
    pub set_selector: u8,
    /// 0: no parameter has blocks inside a set.
    pub block_selector: u8,
}

command!(GetSystemInfo, APP, 0x59, "Get System Info Parameters", SystemInfoValue);

impl Payload for GetSystemInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [first, parameter, set_selector, block_selector] = r.array()?;
        Ok(Self { revision_only: bit(first, 7), parameter, set_selector, block_selector })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.revision_only, 7)).u8(self.parameter).u8(self.set_selector).u8(self.block_selector);
    }
}

/// The answer to [`GetSystemInfo`]. It does not say which parameter it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemInfoValue {
    /// The parameters' revision, [`SYSTEM_INFO_REVISION`].
    pub revision: u8,
    /// The parameter's bytes; none when the revision alone was asked for.
    pub data: Vec<u8>,
}

impl Payload for SystemInfoValue {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { revision: r.u8()?, data: r.rest().into() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.revision).bytes(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn requests_without_data_take_none() {
        golden(&ColdReset, "", &[]);
        golden(&WarmReset, "", &[]);
        golden(&GetAcpiPowerState, "", &[]);
        golden(&GetGlobalEnables, "", &[]);
        golden(&GetMessageFlags, "", &[]);
        golden(&GetMessage, "", &[]);
        golden(&ReadEventMessageBuffer, "", &[]);
    }

    #[test]
    fn acpi_power_state() {
        golden(&SetAcpiPowerState { system: Some(acpi_system::S5_SOFT_OFF), device: None }, "85 00", &[]);
        golden(&AcpiPowerState { system: 0, device: acpi_device::D3 }, "00 03", &[]);
        let unchanged = Ok(SetAcpiPowerState { system: None, device: None });
        assert_eq!(SetAcpiPowerState::decode(&[0xff, 0x7f]), unchanged);
        for bad in [[0x8b, 0x00], [0xa2, 0x00], [0x00, 0x84]] {
            assert!(SetAcpiPowerState::decode(&bad).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn enables_and_flags() {
        let enables = GlobalEnables { event_logging: true, oem: 4, ..Default::default() };
        golden(&enables, "88", &[]);
        golden(&SetGlobalEnables(enables), "88", &[]);
        golden(&ClearMessageFlags(0x0b), "0b", &[]);
        golden(&MessageFlags(0), "00", &[]);
        golden(&EventMessage([7; 16]), "07070707070707070707070707070707", &[]);
        assert_eq!(Message { channel: 1, data: vec![2, 3] }.encode(), [1, 2, 3]);
    }

    #[test]
    fn system_info() {
        golden(&SetSystemInfo(SystemInfo::SetInProgress(SetInProgress::InProgress)), "00 01", &[]);
        let data = *b"\0\x06node-0\0\0\0\0\0\0\0\0";
        let name = SystemInfo::Text { parameter: system_info::SYSTEM_NAME, block: 0, data };
        // Without its padding it means the same.
        let shorter: Vec<usize> = (3..18).collect();
        golden(&SetSystemInfo(name), "02 00 00066e6f64652d300000000000000000", &shorter);
        let get = GetSystemInfo { revision_only: false, parameter: 2, set_selector: 1, block_selector: 0 };
        golden(&get, "00 02 01 00", &[]);
        let value = SystemInfoValue { revision: SYSTEM_INFO_REVISION, data: vec![0, 1] };
        assert_eq!(value.encode(), [0x11, 0, 1]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            stable::<SetAcpiPowerState>(&bytes);
            stable::<SetGlobalEnables>(&bytes);
            stable::<SetSystemInfo>(&bytes);
            stable::<GetSystemInfo>(&bytes);
        }
    }
}
