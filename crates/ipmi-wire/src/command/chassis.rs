//! The chassis: capabilities, status, power, identify light, restore policy (IPMI 2.0 §28.1 to §28.11).

use crate::command::panel::FrontPanelButtons;
use crate::command::{Payload, bare_request, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// Get Chassis Capabilities (IPMI 2.0 §28.1). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChassisCapabilities;

bare_request!(GetChassisCapabilities);
command!(GetChassisCapabilities, CHASSIS, 0x00, "Get Chassis Capabilities", ChassisCapabilities);

/// The answer to [`GetChassisCapabilities`]. Addresses are IPMB addresses of controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChassisCapabilities {
    /// There is a power interlock.
    pub power_interlock: bool,
    /// The front panel has a diagnostic interrupt button.
    pub diagnostic_interrupt: bool,
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

impl Payload for ChassisCapabilities {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = r.u8()?;
        Ok(Self {
            power_interlock: bit(flags, 3),
            diagnostic_interrupt: bit(flags, 2),
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
        w.u8(flag(self.power_interlock, 3)
            | flag(self.diagnostic_interrupt, 2)
            | flag(self.front_panel_lockout, 1)
            | flag(self.intrusion_sensor, 0))
            .u8(self.fru_device)
            .u8(self.sdr_device)
            .u8(self.sel_device)
            .u8(self.system_management_device);
        if let Some(bridge) = self.bridge_device {
            w.u8(bridge);
        }
    }
}

/// Get Chassis Status (IPMI 2.0 §28.2). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChassisStatus;

bare_request!(GetChassisStatus);
command!(GetChassisStatus, CHASSIS, 0x01, "Get Chassis Status", ChassisStatus);

/// The answer to [`GetChassisStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChassisStatus {
    /// What happens when mains power returns; `None` when that is not known.
    pub restore_policy: Option<RestorePolicy>,
    /// The BMC tried to switch the power and the system did not follow.
    pub power_control_fault: bool,
    /// A fault in the main power.
    pub power_fault: bool,
    /// The interlock switched the power off.
    pub interlock: bool,
    /// The power was overloaded.
    pub power_overload: bool,
    /// The power is on.
    pub power_on: bool,
    /// How the power last changed.
    pub last_power_event: LastPowerEvent,
    /// The state of the identify light; `None` when the BMC does not tell.
    pub identify: Option<IdentifyLight>,
    /// A fan failed.
    pub fan_fault: bool,
    /// A drive failed.
    pub drive_fault: bool,
    /// The front panel is locked.
    pub front_panel_lockout: bool,
    /// The chassis was opened.
    pub intrusion: bool,
    /// The front panel's buttons; optional.
    pub front_panel_buttons: Option<FrontPanelButtons>,
}

/// What happens when mains power returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RestorePolicy {
    /// The system stays off.
    AlwaysOff = 0,
    /// The system returns to the state it was in.
    Previous = 1,
    /// The system powers up.
    AlwaysOn = 2,
}

/// How the power last changed; several may be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastPowerEvent {
    /// Switched on by a command over IPMI.
    pub on_by_command: bool,
    /// Switched off by a power fault.
    pub off_by_fault: bool,
    /// Switched off by the interlock.
    pub off_by_interlock: bool,
    /// Switched off by an overload.
    pub off_by_overload: bool,
    /// Mains failed.
    pub ac_failed: bool,
}

/// The identify light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum IdentifyLight {
    /// Off.
    Off = 0,
    /// On for a time.
    Timed = 1,
    /// On until switched off.
    Indefinite = 2,
}

impl Payload for ChassisStatus {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let power = r.u8()?;
        let event = r.u8()?;
        let misc = r.u8()?;
        let identify = match (bit(misc, 6), misc >> 4 & 3) {
            (false, _) => None,
            (true, 0) => Some(IdentifyLight::Off),
            (true, 1) => Some(IdentifyLight::Timed),
            (true, 2) => Some(IdentifyLight::Indefinite),
            (true, _) => return Err(DecodeError::value("identify state", misc)),
        };
        Ok(Self {
            restore_policy: match power >> 5 & 3 {
                0 => Some(RestorePolicy::AlwaysOff),
                1 => Some(RestorePolicy::Previous),
                2 => Some(RestorePolicy::AlwaysOn),
                _ => None,
            },
            power_control_fault: bit(power, 4),
            power_fault: bit(power, 3),
            interlock: bit(power, 2),
            power_overload: bit(power, 1),
            power_on: bit(power, 0),
            last_power_event: LastPowerEvent {
                on_by_command: bit(event, 4),
                off_by_fault: bit(event, 3),
                off_by_interlock: bit(event, 2),
                off_by_overload: bit(event, 1),
                ac_failed: bit(event, 0),
            },
            identify,
            fan_fault: bit(misc, 3),
            drive_fault: bit(misc, 2),
            front_panel_lockout: bit(misc, 1),
            intrusion: bit(misc, 0),
            front_panel_buttons: if r.is_empty() {
                None
            } else {
                Some(FrontPanelButtons::from_byte(r.u8()?))
            },
        })
    }

    fn write(&self, w: &mut Writer) {
        let event = self.last_power_event;
        w.u8(self.restore_policy.map_or(3, |policy| policy as u8) << 5
            | flag(self.power_control_fault, 4)
            | flag(self.power_fault, 3)
            | flag(self.interlock, 2)
            | flag(self.power_overload, 1)
            | flag(self.power_on, 0));
        w.u8(flag(event.on_by_command, 4)
            | flag(event.off_by_fault, 3)
            | flag(event.off_by_interlock, 2)
            | flag(event.off_by_overload, 1)
            | flag(event.ac_failed, 0));
        w.u8(flag(self.identify.is_some(), 6)
            | self.identify.map_or(0, |light| light as u8) << 4
            | flag(self.fan_fault, 3)
            | flag(self.drive_fault, 2)
            | flag(self.front_panel_lockout, 1)
            | flag(self.intrusion, 0));
        if let Some(buttons) = self.front_panel_buttons {
            w.u8(buttons.byte());
        }
    }
}

/// Chassis Control (IPMI 2.0 §28.3). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ChassisControl {
    /// `0h`: power off at once.
    PowerDown = 0,
    /// `1h`: power on.
    PowerUp = 1,
    /// `2h`: power off, then on.
    PowerCycle = 2,
    /// `3h`: reset without removing power.
    HardReset = 3,
    /// `4h`: pulse the diagnostic interrupt.
    DiagnosticInterrupt = 4,
    /// `5h`: ask the operating system to shut down.
    SoftShutdown = 5,
}

command!(ChassisControl, CHASSIS, 0x02, "Chassis Control", ());

impl ChassisControl {
    /// Every control, by value.
    pub const ALL: [Self; 6] = [
        Self::PowerDown,
        Self::PowerUp,
        Self::PowerCycle,
        Self::HardReset,
        Self::DiagnosticInterrupt,
        Self::SoftShutdown,
    ];
}

impl Payload for ChassisControl {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let raw = r.u8()? & 0x0f;
        Self::ALL.get(usize::from(raw)).copied().ok_or(DecodeError::value("chassis control", raw))
    }

    fn write(&self, w: &mut Writer) {
        w.u8(*self as u8);
    }
}

/// Chassis Identify (IPMI 2.0 §28.5). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChassisIdentify {
    /// For how many seconds; 0 switches the light off. `None` takes [`ChassisIdentify::DEFAULT_SECONDS`].
    pub seconds: Option<u8>,
    /// On until switched off, whatever `seconds` says. `None` is an absent byte.
    pub force: Option<bool>,
}

impl ChassisIdentify {
    /// For how long the light is on when the request does not say.
    pub const DEFAULT_SECONDS: u8 = 15;
}

command!(ChassisIdentify, CHASSIS, 0x04, "Chassis Identify", ());

impl Payload for ChassisIdentify {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let seconds = if r.is_empty() { None } else { Some(r.u8()?) };
        let force = if r.is_empty() { None } else { Some(bit(r.u8()?, 0)) };
        Ok(Self { seconds, force })
    }

    fn write(&self, w: &mut Writer) {
        match (self.seconds, self.force) {
            (None, None) => {}
            (Some(seconds), None) => {
                w.u8(seconds);
            }
            // The second byte cannot stand without the first.
            (seconds, Some(force)) => {
                w.u8(seconds.unwrap_or(Self::DEFAULT_SECONDS)).u8(flag(force, 0));
            }
        }
    }
}

/// Set Power Restore Policy (IPMI 2.0 §28.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetPowerRestorePolicy {
    /// The new policy; `None` (3 on the wire) changes nothing and asks which there are.
    pub policy: Option<RestorePolicy>,
}

command!(SetPowerRestorePolicy, CHASSIS, 0x06, "Set Power Restore Policy", RestorePolicySupport);

impl Payload for SetPowerRestorePolicy {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let policy = match r.u8()? & 0x07 {
            0 => Some(RestorePolicy::AlwaysOff),
            1 => Some(RestorePolicy::Previous),
            2 => Some(RestorePolicy::AlwaysOn),
            3 => None,
            raw => return Err(DecodeError::value("power restore policy", raw)),
        };
        Ok(Self { policy })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.policy.map_or(3, |policy| policy as u8));
    }
}

/// The answer to [`SetPowerRestorePolicy`]: which policies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestorePolicySupport {
    /// [`RestorePolicy::AlwaysOn`].
    pub always_on: bool,
    /// [`RestorePolicy::Previous`].
    pub previous: bool,
    /// [`RestorePolicy::AlwaysOff`].
    pub always_off: bool,
}

impl Payload for RestorePolicySupport {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = r.u8()?;
        Ok(Self { always_on: bit(flags, 2), previous: bit(flags, 1), always_off: bit(flags, 0) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.always_on, 2) | flag(self.previous, 1) | flag(self.always_off, 0));
    }
}

/// Get System Restart Cause (IPMI 2.0 §28.11). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSystemRestartCause;

bare_request!(GetSystemRestartCause);
command!(GetSystemRestartCause, CHASSIS, 0x07, "Get System Restart Cause", SystemRestartCause);

/// The answer to [`GetSystemRestartCause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemRestartCause {
    /// Why.
    pub cause: RestartCause,
    /// The channel over which the command came, for causes that are commands; otherwise without meaning.
    pub channel: u8,
}

/// Why the system last started (IPMI 2.0 §28.11, byte 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RestartCause {
    /// Not known.
    Unknown = 0,
    /// A Chassis Control command.
    ChassisControl = 1,
    /// The reset button.
    ResetButton = 2,
    /// The power button.
    PowerButton = 3,
    /// A watchdog.
    Watchdog = 4,
    /// The maker's own.
    Oem = 5,
    /// Power came back and the policy is "always on".
    PolicyAlwaysOn = 6,
    /// Power came back and the policy is "previous state".
    PolicyPrevious = 7,
    /// An event filter's reset.
    PefReset = 8,
    /// An event filter's power cycle.
    PefPowerCycle = 9,
    /// The operating system restarted the machine.
    SoftReset = 10,
    /// The real-time clock switched it on.
    RealTimeClock = 11,
}

impl RestartCause {
    /// Every cause, by value.
    pub const ALL: [Self; 12] = [
        Self::Unknown,
        Self::ChassisControl,
        Self::ResetButton,
        Self::PowerButton,
        Self::Watchdog,
        Self::Oem,
        Self::PolicyAlwaysOn,
        Self::PolicyPrevious,
        Self::PefReset,
        Self::PefPowerCycle,
        Self::SoftReset,
        Self::RealTimeClock,
    ];
}

impl Payload for SystemRestartCause {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let raw = r.u8()? & 0x0f;
        let cause = RestartCause::ALL.get(usize::from(raw)).copied();
        Ok(Self { cause: cause.ok_or(DecodeError::value("restart cause", raw))?, channel: r.u8()? & 0x0f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.cause as u8).u8(self.channel & 0x0f);
    }
}

#[cfg(test)]
mod tests;
