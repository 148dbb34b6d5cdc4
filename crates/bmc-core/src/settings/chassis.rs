//! What clients configure of the chassis.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the chassis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChassisSettings {
    /// How many seconds a power cycle stays off (IPMI 2.0 §28.9).
    pub cycle_interval_seconds: u8,
    /// Which buttons are disabled (IPMI 2.0 §28.6). A virtual machine has none: what is set is shown and has no other effect; a button pressed
    /// by Redfish's `PushPowerButton` is a command of somebody who has logged in, and works all the same.
    pub disabled_buttons: Buttons,
    /// What Get Chassis Capabilities says in place of the truth, once a client has set it (IPMI 2.0 §28.7).
    pub capabilities: Option<Capabilities>,
}

impl ChassisSettings {
    /// How long a power cycle stays off.
    pub fn cycle_interval(&self) -> Duration {
        Duration::from_secs(self.cycle_interval_seconds.into())
    }
}

/// The buttons of a front panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Buttons {
    /// Power off (power on is never disabled).
    pub power: bool,
    /// Reset.
    pub reset: bool,
    /// Diagnostic interrupt.
    pub diagnostic_interrupt: bool,
    /// Standby, or sleep.
    pub standby: bool,
}

/// The settable part of the chassis' capabilities; addresses are IPMB addresses of controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// The front panel can be locked.
    pub front_panel_lockout: bool,
    /// There is an intrusion sensor.
    pub intrusion_sensor: bool,
    /// Who has the chassis' FRU inventory.
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
