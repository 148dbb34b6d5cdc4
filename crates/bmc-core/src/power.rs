//! Power: the states a machine can be in, what may be asked of it, and what happens when it is asked.
//!
//! ```text
//!            on                    OS is up (or the hypervisor runs the guest)
//!   Off ───────────► PoweringOn ───────────────────────────► On ◄──── resume ──── Paused
//!    ▲                   │ off                               │  │                   ▲
//!    │                   ▼                                   │  └──── pause ────────┘
//!    └───────────── PoweringOff ◄──────── off, soft, cycle ──┘
//! ```

use serde::{Deserialize, Serialize};

/// Where a machine stands between off and on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerState {
    /// No power.
    #[default]
    Off,
    /// A start was accepted; firmware or hypervisor has not handed over yet.
    PoweringOn,
    /// Running.
    On,
    /// A shutdown or a hard stop is under way.
    PoweringOff,
    /// Running, but its processors are held by the hypervisor.
    Paused,
}

impl PowerState {
    /// Whether a plain on/off question is answered "on" (IPMI Get Chassis Status bit 0): true for everything but
    /// [`Off`](Self::Off) and [`PoweringOn`](Self::PoweringOn).
    pub fn reads_as_on(self) -> bool {
        matches!(self, Self::On | Self::PoweringOff | Self::Paused)
    }

    /// The state's name in the CLI and in events, e.g. `powering-on`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::PoweringOn => "powering-on",
            Self::On => "on",
            Self::PoweringOff => "powering-off",
            Self::Paused => "paused",
        }
    }
}

/// What a client may ask; the one vocabulary behind IPMI Chassis Control, Redfish ResetType and `polybmc power`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerAction {
    /// Power on.
    On,
    /// Hard power off.
    Off,
    /// Ask the operating system to shut down (ACPI power button).
    Soft,
    /// Hard reset without removing power.
    Reset,
    /// Hard off, then on.
    Cycle,
    /// Non-maskable (diagnostic) interrupt.
    Nmi,
    /// Soft off, then on.
    GracefulRestart,
    /// Press the power button: on when off, soft otherwise.
    PushButton,
}

impl PowerAction {
    /// Every action, for tables and tests.
    pub const ALL: [Self; 8] = [
        Self::On,
        Self::Off,
        Self::Soft,
        Self::Reset,
        Self::Cycle,
        Self::Nmi,
        Self::GracefulRestart,
        Self::PushButton,
    ];

    /// The action's name in the CLI and in events, e.g. `graceful-restart`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Soft => "soft",
            Self::Reset => "reset",
            Self::Cycle => "cycle",
            Self::Nmi => "nmi",
            Self::GracefulRestart => "graceful-restart",
            Self::PushButton => "push-button",
        }
    }
}

/// What the chassis does when mains power returns (IPMI 2.0 §28.8, Redfish `PowerRestorePolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerPolicy {
    /// Stay off.
    #[default]
    AlwaysOff,
    /// Return to the state power was lost in.
    Previous,
    /// Power on.
    AlwaysOn,
}

/// Why the machine last started or restarted (IPMI 2.0 §28.11, Get System Restart Cause).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartCause {
    /// Not known, for instance started before the BMC watched.
    #[default]
    Unknown,
    /// A chassis control command, over any protocol.
    ChassisControl,
    /// The power button, that is: somebody started the machine behind the BMC's back.
    PowerButton,
    /// Power restore policy "always on".
    PolicyAlwaysOn,
    /// Power restore policy "previous state".
    PolicyPrevious,
    /// The operating system restarted the machine from inside.
    SoftReset,
    /// A watchdog: the BMC's own, or the hypervisor's.
    Watchdog,
    /// An event filter's reset.
    FilterReset,
    /// An event filter's power cycle.
    FilterCycle,
}

/// A start or restart of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Restart {
    /// Why.
    pub cause: RestartCause,
    /// The IPMI channel over which the command came, 0 to 15; `None` where it was no IPMI command.
    pub channel: Option<u8>,
}

impl From<RestartCause> for Restart {
    fn from(cause: RestartCause) -> Self {
        Self { cause, channel: None }
    }
}

/// Who asks for a power action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client that does not speak IPMI: Redfish, the command line.
    Client,
    /// A client over this IPMI channel, 0 to 15.
    Channel(u8),
    /// An event filter (IPMI 2.0 §17.1).
    EventFilter,
}

impl Origin {
    /// The restart that an action asked for so comes to.
    pub fn restart(self, action: PowerAction) -> Restart {
        match self {
            Self::Client => RestartCause::ChassisControl.into(),
            Self::Channel(channel) => Restart { cause: RestartCause::ChassisControl, channel: Some(channel) },
            Self::EventFilter if action == PowerAction::Cycle => RestartCause::FilterCycle.into(),
            Self::EventFilter => RestartCause::FilterReset.into(),
        }
    }
}

/// Why a machine changed its power state without, or following, a request; told by the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeCause {
    /// The backend cannot tell.
    #[default]
    Unknown,
    /// A call of ours.
    Requested,
    /// The guest did it itself.
    Guest,
    /// Another tool did it through the hypervisor (`virsh`).
    Outside,
    /// The emulator crashed, or the guest in a way that nothing more is known of.
    Crash,
    /// A watchdog fired.
    Watchdog,
    /// The guest's operating system panicked, which was told before.
    Panic,
    /// The hypervisor could not read or write a disk, which was told before.
    DiskError,
    /// Its state was saved to a file, or it goes on from one: this is no boot.
    Saved,
    /// It moved to another host, or came from one: this is no boot.
    Migrated,
}
