//! The rest of the chassis: its front panel, what it says it can do, how long a power cycle stays off, and how long it has been on (IPMI
//! 2.0 §28.6, §28.7, §28.9, §28.14).

use crate::command::{Payload, bare_request, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// The buttons of a front panel, each as a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buttons {
    /// Standby, or sleep.
    pub standby: bool,
    /// Diagnostic interrupt.
    pub diagnostic_interrupt: bool,
    /// Reset.
    pub reset: bool,
    /// Power off; power on cannot be disabled.
    pub power_off: bool,
}

impl Buttons {
    /// All of them.
    pub const ALL: Self = Self { standby: true, diagnostic_interrupt: true, reset: true, power_off: true };

    /// From bits 3 to 0.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            standby: bit(bits, 3),
            diagnostic_interrupt: bit(bits, 2),
            reset: bit(bits, 1),
            power_off: bit(bits, 0),
        }
    }

    /// As bits 3 to 0.
    #[must_use]
    pub const fn bits(self) -> u8 {
        flag(self.standby, 3)
            | flag(self.diagnostic_interrupt, 2)
            | flag(self.reset, 1)
            | flag(self.power_off, 0)
    }
}

/// The front panel's part of Get Chassis Status, byte 4 (IPMI 2.0 §28.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrontPanelButtons {
    /// Which can be disabled.
    pub disable_allowed: Buttons,
    /// Which are disabled.
    pub disabled: Buttons,
}

impl FrontPanelButtons {
    /// From its byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self { disable_allowed: Buttons::from_bits(byte >> 4), disabled: Buttons::from_bits(byte) }
    }

    /// As its byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.disable_allowed.bits() << 4 | self.disabled.bits()
    }
}

/// Set Front Panel Enables (IPMI 2.0 §28.6). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetFrontPanelEnables {
    /// Which buttons are to be disabled; the others are enabled.
    pub disable: Buttons,
}

command!(SetFrontPanelEnables, CHASSIS, 0x0a, "Set Front Panel Enables", ());

impl Payload for SetFrontPanelEnables {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { disable: Buttons::from_bits(r.u8()?) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.disable.bits());
    }
}

/// Set Chassis Capabilities (IPMI 2.0 §28.7). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetChassisCapabilities {
    /// The front panel can be locked.
    pub front_panel_lockout: bool,
    /// There is an intrusion sensor.
    pub intrusion_sensor: bool,
    /// Who has the chassis' FRU inventory; 0 for unspecified.
    pub fru_device: u8,
    /// Who has the SDRs.
    pub sdr_device: u8,
    /// Who has the event log.
    pub sel_device: u8,
    /// Who is the system management controller.
    pub system_management_device: u8,
    /// Who is the bridge; the BMC when absent.
    pub bridge_device: Option<u8>,
}

command!(SetChassisCapabilities, CHASSIS, 0x05, "Set Chassis Capabilities", ());

impl Payload for SetChassisCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = r.u8()?;
        Ok(Self {
            front_panel_lockout: bit(flags, 1),
            intrusion_sensor: bit(flags, 0),
            fru_device: r.u8()?,
            sdr_device: r.u8()?,
            sel_device: r.u8()?,
            system_management_device: r.u8()?,
            bridge_device: if r.is_empty() { None } else { Some(r.u8()?) },
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.front_panel_lockout, 1) | flag(self.intrusion_sensor, 0))
            .u8(self.fru_device)
            .u8(self.sdr_device)
            .u8(self.sel_device)
            .u8(self.system_management_device);
        if let Some(bridge) = self.bridge_device {
            w.u8(bridge);
        }
    }
}

/// Set Power Cycle Interval (IPMI 2.0 §28.9). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetPowerCycleInterval {
    /// How many seconds a power cycle stays off; 0 for no longer than it takes.
    pub seconds: u8,
}

command!(SetPowerCycleInterval, CHASSIS, 0x0b, "Set Power Cycle Interval", ());

impl Payload for SetPowerCycleInterval {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seconds: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.seconds);
    }
}

/// Get POH Counter (IPMI 2.0 §28.14). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPohCounter;

bare_request!(GetPohCounter);
command!(GetPohCounter, CHASSIS, 0x0f, "Get POH Counter", PohCounter);

/// The answer to [`GetPohCounter`]: for how long the system has been on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PohCounter {
    /// Minutes that one count stands for.
    pub minutes_per_count: u8,
    /// Counts.
    pub count: u32,
}

impl Payload for PohCounter {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { minutes_per_count: r.u8()?, count: r.u32_le()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.minutes_per_count).u32_le(self.count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn buttons() {
        golden(&SetFrontPanelEnables { disable: Buttons::ALL }, "0f", &[]);
        golden(&SetFrontPanelEnables { disable: Buttons { reset: true, ..Buttons::default() } }, "02", &[]);
        let panel = FrontPanelButtons {
            disable_allowed: Buttons::ALL,
            disabled: Buttons { power_off: true, ..Buttons::default() },
        };
        assert_eq!(panel.byte(), 0xf1);
        for byte in 0..=u8::MAX {
            assert_eq!(FrontPanelButtons::from_byte(byte).byte(), byte);
        }
    }

    #[test]
    fn capabilities() {
        let capabilities = SetChassisCapabilities {
            front_panel_lockout: true,
            intrusion_sensor: false,
            fru_device: 0x20,
            sdr_device: 0x22,
            sel_device: 0x24,
            system_management_device: 0x26,
            bridge_device: None,
        };
        golden(&capabilities, "02 20 22 24 26", &[6]);
        golden(
            &SetChassisCapabilities { bridge_device: Some(0x28), ..capabilities },
            "02 20 22 24 26 28",
            &[5],
        );
    }

    #[test]
    fn interval_and_hours() {
        golden(&SetPowerCycleInterval { seconds: 5 }, "05", &[]);
        golden(&GetPohCounter, "", &[]);
        golden(&PohCounter { minutes_per_count: 60, count: 0x1234_5678 }, "3c 78 56 34 12", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            stable::<SetFrontPanelEnables>(&bytes);
            stable::<SetChassisCapabilities>(&bytes);
            stable::<SetPowerCycleInterval>(&bytes);
            stable::<PohCounter>(&bytes);
        }
    }
}
