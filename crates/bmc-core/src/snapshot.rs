//! The published state of a machine: what every read is answered from.

use std::sync::Arc;

use ipmi_wire::record::sel::EventMessage;
use jiff::Timestamp;
use uuid::Uuid;

use crate::account::Accounts;
use crate::backend::{MachineInfo, Statistics};
use crate::bmc::BmcState;
use crate::boot::{BootOptions, BootOverride, BootProgress};
use crate::error::BackendError;
use crate::media::MediaSlot;
use crate::power::{ChangeCause, PowerPolicy, PowerState, RestartCause};
use crate::power_history::PoweredTime;
use crate::power_meter::PowerMeter;
use crate::sel::{BMC_GENERATOR, Sel};
use crate::sensor::{Readings, Sensor};
use crate::settings::Settings;
use crate::settings::bios::Surroundings;
use crate::watchdog::Watchdog;

/// A machine's state at one moment. Immutable and shared; a new one is published after each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows with every change of anything below; starts anew with the daemon.
    pub revision: u64,
    /// The BMC's name.
    pub name: Arc<str>,
    /// The machine's UUID: GUID, Redfish id and UUID. Derived from the BMC's name until the backend has told the real one.
    pub uuid: Uuid,
    /// What the machine is made of; `None` until the backend has been reached once.
    pub info: Option<Arc<MachineInfo>>,
    /// Whether the machine can be controlled now.
    pub health: Health,
    /// Power; while unavailable, the last that was known.
    pub power: PowerState,
    /// An operation that had been acknowledged failed, and none succeeded since (IPMI's power control fault).
    pub power_fault: bool,
    /// Why the power last went off, for Get Chassis Status' last power event.
    pub last_power_off: Option<ChangeCause>,
    /// The power last went off because mains power was lost.
    pub mains_lost: bool,
    /// Whether the machine was last switched on by a command of ours.
    pub last_power_on_by_command: bool,
    /// Why it last started.
    pub restart_cause: RestartCause,
    /// The IPMI channel over which the command to (re)start came; `None` where it was none.
    pub restart_channel: Option<u8>,
    /// When it was last switched on or restarted.
    pub last_reset_time: Option<Timestamp>,
    /// How long it has been on in its life.
    pub powered: PoweredTime,
    /// The watchdog timer.
    pub watchdog: Watchdog,
    /// The boot override.
    pub boot: Arc<BootOverride>,
    /// IPMI's other boot options.
    pub boot_options: Arc<BootOptions>,
    /// Whether the running instance was started with Secure Boot in force; `None` while nothing runs.
    pub secure_boot: Option<bool>,
    /// How far the machine has booted; `None` where that is not known, as of a guest that runs and that nobody looks into.
    pub boot_progress: Option<BootProgress>,
    /// What happens when mains power returns.
    pub power_policy: PowerPolicy,
    /// The identify light.
    pub identify: IdentifyState,
    /// Who may log in.
    pub accounts: Arc<Accounts>,
    /// Identity shown by FRU and Redfish.
    pub identity: Arc<Identity>,
    /// What clients configured.
    pub settings: Arc<Settings>,
    /// What the machine is doing, as last told; all zero while it is off.
    pub statistics: Statistics,
    /// Which sensors it has; [`Snapshot::sensors`] tells them.
    pub(crate) sensors: Arc<[Sensor]>,
    /// What its sensors show.
    pub readings: Arc<Readings>,
    /// The event log.
    pub sel: Arc<Sel>,
    /// The images that are on their way into the BMC's drives, without credentials.
    pub inserting: Vec<(MediaSlot, String)>,
    /// The controller itself.
    pub bmc: BmcState,
    /// What it has drawn.
    pub power_meter: Arc<PowerMeter>,
}

impl Snapshot {
    /// What BIOS attributes get their values from, besides the settings.
    pub fn bios_surroundings(&self) -> Surroundings<'_> {
        Surroundings { info: self.info.as_deref(), policy: self.power_policy }
    }

    /// The machine's sensors, in the order in which clients see them.
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// The sensor that an event of the log is of; none where another controller generated it, or there is no such sensor any more.
    pub fn sensor_of(&self, generator: u16, event: &EventMessage) -> Option<&Sensor> {
        self.sensors
            .iter()
            .find(|sensor| sensor.number == event.sensor_number)
            .filter(|sensor| generator == BMC_GENERATOR && sensor.sensor_type.code() == event.sensor_type)
    }
}

/// Whether a machine can be controlled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Available,
    /// No, for this reason.
    Unavailable(BackendError),
}

/// The identify light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentifyState {
    /// Off.
    #[default]
    Off,
    /// On, and it will go off by itself.
    Timed,
    /// On until switched off.
    On,
}

/// Who the machine says it is; one record behind FRU and Redfish.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Maker, as shown.
    pub manufacturer: String,
    /// Model, as shown.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Asset tag; empty when unset.
    pub asset_tag: String,
    /// Part number; empty when there is none.
    #[serde(default)]
    pub part_number: String,
}
