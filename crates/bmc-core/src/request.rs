//! What frontends ask of a machine's owner, and what they are told.

use std::time::Duration;

use crate::account::Secret;
use crate::boot::{BootOptions, BootOverride, FirmwareMode};
use crate::power::{Origin, PowerAction, PowerPolicy};
use crate::settings::Edit;
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
    /// What happens when mains power returns.
    pub power_policy: Option<PowerPolicy>,
    /// The chassis identify light.
    pub identify: Option<Identify>,
    /// The asset tag, at most [`ASSET_TAG_MAX_BYTES`].
    pub asset_tag: Option<String>,
    /// Name and password of user 2, the administrator.
    pub administrator: Option<(String, Secret)>,
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
}

/// How long a request waits for the backend before it is acknowledged as accepted; ipmitool gives up after one second.
pub const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(700);
