//! What clients configure of a BMC and what has no protocol of its own: kept with the machine, over restarts.
//!
//! A frontend reads the settings in the [`Snapshot`](crate::snapshot::Snapshot) and changes them by an [`Edit`].

pub mod bios;
pub mod dcmi;
pub mod fru;
pub mod sensors;
pub mod storage;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Accounts;
use crate::error::RequestError;
use crate::settings::sensors::SensorSettings;
use crate::snapshot::Identity;

pub mod channel;
pub mod keys;
pub mod lan;
pub mod manager;
pub mod media;
pub mod sol;
pub mod system;

pub use channel::{ChannelAccess, ChannelMode};
pub use dcmi::DcmiSettings;
pub use keys::{BmcKey, KeySettings};
pub use lan::{AlertDestination, BadPasswordThreshold, LanSettings};
pub use manager::ManagerSettings;
pub use sol::SolSettings;
pub use system::{SystemSettings, SystemText};
pub mod chassis;
pub mod events;
pub mod firmware;
pub mod pef;

/// The settings of one BMC, by subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Who may use the LAN channel, after a start.
    pub channel: ChannelAccess,
    /// The LAN channel's parameters.
    pub lan: LanSettings,
    /// Serial over LAN.
    pub sol: SolSettings,
    /// The BMC's own keys.
    pub keys: KeySettings,
    /// What the BMC keeps for the system: names, versions, what it logs.
    pub system: SystemSettings,
    /// The chassis.
    pub chassis: chassis::ChassisSettings,
    /// The FRU image that a client wrote.
    pub fru: fru::FruSettings,
    /// The sensors.
    pub sensors: SensorSettings,
    /// Where the BMC's own events go.
    pub event_receiver: events::EventReceiver,
    /// What is configured by DCMI.
    pub dcmi: DcmiSettings,
    /// The BIOS settings.
    pub bios: bios::BiosSettings,
    /// Platform event filtering.
    pub pef: pef::PefSettings,
    /// Volumes and the lights of drives.
    pub storage: storage::StorageSettings,
    /// The drives for virtual media.
    pub media: media::MediaSettings,
    /// The controller, as far as only Redfish configures it.
    pub manager: ManagerSettings,
    /// Versions of firmware.
    pub firmware: firmware::FirmwareSettings,
}

impl Settings {
    /// Those of a new BMC, whose first event has at least this id.
    pub(crate) fn of_new(next_event: u64) -> Self {
        let events_before = next_event.saturating_sub(1);
        let manager = ManagerSettings { events_before, ..ManagerSettings::default() };
        Self { manager, ..Self::default() }
    }
}

/// What an [`Edit`] may change.
#[derive(Debug)]
pub struct Editable<'a> {
    /// Who may log in.
    pub accounts: &'a mut Accounts,
    /// The settings.
    pub settings: &'a mut Settings,
    /// Who the machine says it is.
    pub identity: &'a mut Identity,
}

/// A change of settings that reads what it changes: carried out by the machine's owner, so that no other change comes in between, and as a
/// whole or not at all.
#[derive(Clone)]
pub struct Edit(Arc<EditFn>);

type EditFn = dyn Fn(&mut Editable<'_>) -> Result<(), RequestError> + Send + Sync;

impl Edit {
    /// The change that `edit` makes. It must not wait; when it fails, nothing it did stays.
    pub fn new(edit: impl Fn(&mut Editable<'_>) -> Result<(), RequestError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Makes the change.
    ///
    /// # Errors
    /// Those of the change; what it did before is to be thrown away then.
    pub(crate) fn apply(&self, editable: &mut Editable<'_>) -> Result<(), RequestError> {
        (self.0)(editable)
    }
}

/// Two are equal when they are the same one.
impl PartialEq for Edit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Edit {}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edit")
    }
}
