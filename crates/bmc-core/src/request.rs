//! What frontends ask of a machine's owner, and what they are told.

use std::time::Duration;

use ipmi_wire::record::sel::{EventMessage, SelBody};

use crate::account::Secret;
use crate::bmc::{BmcReset, Door, Listener};
use crate::boot::{BootOptions, BootOverride, FirmwareMode};
use crate::media::MediaRequest;
use crate::power::{Origin, PowerAction, PowerPolicy};
use crate::settings::Edit;
use crate::storage::StorageRequest;
use crate::system_interface::SystemInterfaceDevice;
use crate::watchdog::WatchdogRequest;

/// One request to a machine.
#[derive(Clone, Debug)]
pub enum Request {
    /// Power; the table in [`crate::power_table`] says what it does.
    Power(PowerAction, Origin),
    /// Changes settings: all of them or, on an error, none.
    Change(Box<Change>),
    /// Changes what the change itself has to read first.
    Edit(Edit),
    /// The watchdog timer.
    Watchdog(WatchdogRequest),
    /// Forgets events of a sensor, so that a condition that holds is told anew (IPMI 2.0 §35.12).
    RearmSensor {
        /// Its number.
        sensor: u8,
        /// Which events that began, one bit for each offset.
        assertions: u16,
        /// Which events that ended.
        deassertions: u16,
    },
    /// Does something to the event log.
    Sel(SelRequest),
    /// Does something to the volumes; answered when it is done, which may take as long as the backend does.
    Storage(StorageRequest),
    /// Virtual media.
    Media(MediaRequest),
    /// Resets the controller, not the machine.
    ResetBmc(BmcReset),
    /// Puts a device by which the guest reaches its BMC into the machine, or takes it out; answered when it is done.
    SetSystemInterface(Option<Box<SystemInterfaceDevice>>),
    /// A frontend tells where it serves this BMC from now on; `None`: no longer.
    Serves(Door, Option<Listener>),
}

/// What is asked of the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelRequest {
    /// Adds a record. The log gives it its id and, where its type has one, its time; answered by [`Outcome::Logged`].
    Add(SelBody),
    /// Takes an event message, which goes to the log if events are logged; answered by [`Outcome::Logged`] or [`Outcome::NothingToDo`].
    Event {
        /// Who generated it, as [`SelBody::Event`] has it.
        generator: u16,
        /// What happened.
        event: EventMessage,
    },
    /// Deletes a record.
    Delete {
        /// Its id.
        id: u16,
        /// Only if nothing was erased since the log had this count of [erasures](crate::sel::Sel::erasures).
        if_erasures: Option<u64>,
    },
    /// Deletes all records.
    Clear {
        /// Only if nothing was erased since the log had this count of [erasures](crate::sel::Sel::erasures).
        if_erasures: Option<u64>,
    },
    /// Sets the log's clock, in seconds since 1970.
    SetTime(u32),
    /// Sets by how many minutes, -1440 to 1440, the log's clock is said to be ahead of UTC; `None` for unspecified.
    SetUtcOffset(Option<i16>),
}

/// Settings to change; `None` leaves a setting as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Only if the snapshot still has this revision (HTTP If-Match).
    pub if_revision: Option<u64>,
    /// The whole boot override.
    pub boot: Option<BootOverride>,
    /// IPMI's other boot options.
    pub boot_options: Option<BootOptions>,
    /// The firmware mode for the next boot.
    pub firmware: Option<FirmwareMode>,
    /// The names of the devices to boot from when no override is in force, in their order; others are not tried.
    pub boot_order: Option<Vec<String>>,
    /// What happens when mains power returns.
    pub power_policy: Option<PowerPolicy>,
    /// The chassis identify light.
    pub identify: Option<Identify>,
    /// The asset tag, at most [`ASSET_TAG_MAX_BYTES`].
    pub asset_tag: Option<String>,
    /// The watchdog timer.
    pub watchdog: Option<WatchdogRequest>,
    /// Name and password of user 2, the administrator.
    pub administrator: Option<(String, Secret)>,
    /// The clock of the controller.
    pub clock: Option<ClockChange>,
    /// What else is changed, before all this.
    pub edit: Option<Edit>,
}

/// What is changed of the controller's clock, which is that of the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// What it shows now, in seconds since 1970.
    pub time: Option<u32>,
    /// By how many minutes, -1440 to 1440, it is said to be ahead of UTC; the inner `None` is unspecified.
    pub utc_offset: Option<Option<i16>>,
}

/// Longest asset tag in bytes (DCMI 1.5 §6.4.2).
pub const ASSET_TAG_MAX_BYTES: usize = 63;

/// What to do with the identify light (IPMI 2.0 §28.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// Off.
    Off,
    /// On for so long, then off.
    For(Duration),
    /// On until switched off.
    On,
}

/// How a request ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and the snapshot shows it.
    Done,
    /// The machine already was as asked.
    NothingToDo,
    /// The same action is under way; this request is part of it now.
    Joined,
    /// Accepted, and not finished within [`ACKNOWLEDGE_AFTER`]: the snapshot shows the transition, and a failure will be an event.
    Accepted,
    /// The record was logged under this id.
    Logged(u16),
    /// The volume of this number was made.
    Volume(u32),
}

/// How long a request waits for the backend before it is acknowledged as accepted; ipmitool gives up after one second.
pub const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(700);
