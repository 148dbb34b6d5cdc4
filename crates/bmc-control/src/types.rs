//! What goes over the control socket. An interface: members are added, never renamed or removed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use bmc_core::account::Secret;
use bmc_core::boot::{BootEnabled, BootTarget, FirmwareMode};
use bmc_core::media::MediaSlot;
use bmc_core::power::{PowerAction, PowerPolicy, PowerState};
use bmc_core::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who answers on the socket. That it answers means that every endpoint is bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// The daemon's version.
    pub version: String,
    /// The version of this API.
    pub api: u32,
    /// The daemon's process id.
    pub pid: u32,
    /// When it became ready.
    pub started: Timestamp,
    /// How many BMCs it has.
    pub bmcs: usize,
    /// Where its state lies.
    pub state_dir: PathBuf,
    /// The configuration file, where there is one.
    pub config: Option<PathBuf>,
    /// The Redfish root over all BMCs, where it is on.
    pub redfish: Option<String>,
    /// The hypervisors it has a connection to, or tries to have.
    #[serde(default)]
    pub hypervisors: Vec<Hypervisor>,
}

/// One line of `polybmc hypervisors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypervisor {
    /// The backend's name.
    pub name: String,
    /// Where it is.
    pub uri: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// Why there is none.
    pub problem: Option<String>,
    /// How many BMCs are on it.
    pub bmcs: usize,
    /// How many questions and orders it was given since the daemon began to use it. Reads of BMCs are none.
    pub calls: u64,
}

/// Whether a BMC serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServingState {
    /// Its endpoints answer.
    Serving,
    /// Stopped by `polybmc stop`, or `enabled = false`.
    Stopped,
    /// Its endpoints could not be bound; `problem` says why.
    Failed,
}

impl ServingState {
    /// The name used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// Where a BMC comes from, and so where it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The configuration file.
    File,
    /// `polybmc add`.
    Added,
    /// `polybmc serve --sim N`, or the machines that a daemon without configuration starts.
    Sim,
    /// `discover` of a libvirt backend.
    Discovered,
}

impl Origin {
    /// The name used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Added => "added",
            Self::Sim => "sim",
            Self::Discovered => "discovered",
        }
    }
}

/// One line of `polybmc list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BmcSummary {
    /// The BMC's name.
    pub name: String,
    /// The backend's name: `sim`, one of the configuration, or a libvirt URI.
    pub backend: String,
    /// The machine's name in the backend.
    pub machine: String,
    /// Where the BMC comes from.
    pub origin: Origin,
    /// The machine's UUID.
    pub uuid: Uuid,
    /// The IPMI endpoint, `ADDR:PORT`.
    pub ipmi: Option<String>,
    /// The Redfish endpoint, a URL.
    pub redfish: Option<String>,
    /// The machine's power; while it is not `reachable`, the last that was known.
    pub power: PowerState,
    /// Whether the machine can be reached, and so its power is known.
    pub reachable: bool,
    /// Whether the BMC serves.
    pub state: ServingState,
    /// What is wrong, where something is: endpoints that could not be bound, a machine that cannot be reached.
    pub problem: Option<String>,
}

/// One BMC in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BmcDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: BmcSummary,
    /// The administrator's name (IPMI user 2).
    pub username: String,
    /// An operation that had been acknowledged failed, and none succeeded since.
    pub power_fault: bool,
    /// What happens when mains power returns.
    pub power_policy: PowerPolicy,
    /// The boot override.
    pub boot: BootView,
    /// How the machine's firmware boots; unknown until the machine was reached once.
    pub firmware: Option<FirmwareMode>,
    /// Virtual processors.
    pub processors: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// MAC addresses.
    pub nics: Vec<String>,
    /// Where its screen answers by VNC, ADDR:PORT on the hypervisor; only while the machine runs.
    #[serde(default)]
    pub vnc: Option<String>,
    /// Identity shown by FRU and Redfish.
    pub manufacturer: String,
    /// Identity shown by FRU and Redfish.
    pub model: String,
    /// Identity shown by FRU and Redfish.
    pub serial: String,
    /// Identity shown by FRU and Redfish; empty when unset.
    pub asset_tag: String,
}

/// A new BMC. What is left out comes from `[defaults]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBmc {
    /// Its name.
    pub name: String,
    /// `sim`, a backend of the configuration, or a libvirt URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The machine's name or UUID; by default the BMC's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The IPMI endpoint; by default the next free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipmi: Option<SocketAddr>,
    /// The Redfish endpoint; by default the next free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redfish: Option<SocketAddr>,
    /// The administrator's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The administrator's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// What to change of a BMC; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetBmc {
    /// The IPMI endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipmi: Option<SocketAddr>,
    /// The Redfish endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redfish: Option<SocketAddr>,
    /// The administrator's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The administrator's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// What happens when mains power returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_policy: Option<PowerPolicy>,
    /// The asset tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_tag: Option<String>,
}

impl SetBmc {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A power action asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerRequest {
    /// What to do.
    pub action: PowerAction,
}

/// The machine's power now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerView {
    /// The BMC's name.
    pub name: String,
    /// The machine's power.
    pub power: PowerState,
    /// An operation that had been acknowledged failed, and none succeeded since.
    pub power_fault: bool,
}

/// How an action ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerOutcome {
    /// Done.
    Done,
    /// The machine already was as asked.
    NothingToDo,
    /// The same action was under way.
    Joined,
    /// Accepted and not finished; a failure will be an event.
    Accepted,
}

/// The answer to a power action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerReply {
    /// The BMC's name.
    pub name: String,
    /// What was asked.
    pub action: PowerAction,
    /// How it ended.
    pub outcome: PowerOutcome,
    /// The machine's power after it.
    pub power: PowerState,
}

/// The boot override as read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootView {
    /// What to boot from.
    pub target: BootTarget,
    /// For how long.
    pub enabled: BootEnabled,
    /// Whether a UEFI boot was asked for.
    pub uefi: bool,
    /// Where UEFI HTTP boot loads from.
    pub uri: Option<String>,
    /// The one device of the target's class that is meant; `null` for the first.
    #[serde(default)]
    pub device: Option<String>,
}

/// A machine's own way to its BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInterfaceView {
    /// The BMC's name.
    pub name: String,
    /// Which kind of device the BMC serves; `null` where it serves none.
    pub kind: Option<SystemInterfaceKind>,
    /// The Unix socket that it serves at.
    pub socket: Option<PathBuf>,
    /// Whether an emulator is connected.
    pub connected: bool,
    /// The device in the machine's definition, where polybmc has put one in; it is there from the machine's next start on.
    pub device: Option<SystemInterfaceDevice>,
    /// What an emulator that is started by hand has to be told to be connected, as arguments of QEMU.
    pub arguments: Vec<String>,
    /// What is wrong, where something is.
    pub problem: Option<String>,
}

/// A system interface to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSystemInterface {
    /// Which kind of device.
    pub kind: SystemInterfaceKind,
}

/// A drive for virtual media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveView {
    /// Which drive.
    pub drive: MediaSlot,
    /// What is in it, by where it was fetched, without credentials.
    pub image: Option<String>,
    /// Whether the machine may not write to it; `null` while nothing is in it.
    pub write_protected: Option<bool>,
    /// Its bytes.
    pub size: Option<u64>,
    /// SHA-256 of what was fetched.
    pub sha256: Option<String>,
    /// What is on its way into it.
    pub inserting: Option<String>,
}

/// An image to insert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsertImage {
    /// Where it lies: an `http:`, `https:` or `file:` URL, which may carry a user name and a password.
    pub image: String,
    /// Who asks there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// With which password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The machine may write to it, and what it writes is gone with the image. Not for the CD drive.
    #[serde(default)]
    pub writable: bool,
}

/// The event log of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelView {
    /// The entries, oldest first.
    pub entries: Vec<SelEntryView>,
    /// How many more entries can be added; a full log overwrites nothing.
    pub room: usize,
    /// Events were lost since the log was last cleared, because it was full.
    pub overflow: bool,
}

/// An entry of the event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelEntryView {
    /// Its record id.
    pub id: u16,
    /// When, by the log's clock as it was then, in UTC.
    pub time: Timestamp,
    /// How bad it is: `ok`, `warning` or `critical`.
    pub severity: String,
    /// What happened, in words.
    pub message: String,
    /// The record's 16 bytes in hexadecimal, as IPMI has them.
    pub record: String,
}

/// The boot override as set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetBoot {
    /// What to boot from; `none` clears the override.
    pub target: BootTarget,
    /// For every boot, not just the next one.
    #[serde(default)]
    pub persistent: bool,
    /// Whether to ask for a UEFI boot; by default as the machine's firmware is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uefi: Option<bool>,
    /// Where UEFI HTTP boot loads from; needed for the target `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// One device of the target's class: a disk's or drive's name, a network interface's MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// What a reload did, by names of BMCs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The file that was read.
    pub config: Option<PathBuf>,
    /// New ones.
    pub added: Vec<String>,
    /// Changed ones; those whose endpoints or account changed lost their sessions.
    pub changed: Vec<String>,
    /// Those no longer in the file.
    pub removed: Vec<String>,
    /// How many were left alone.
    pub unchanged: usize,
    /// BMCs that could not be changed, each with the reason.
    pub failed: Vec<String>,
    /// Settings that a restart will apply, each in words.
    pub needs_restart: Vec<String>,
}

/// One sensor now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorView {
    /// Its number, as in IPMI.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// What it measures, e.g. `temperature`.
    pub kind: String,
    /// How it is.
    pub status: SensorStatus,
    /// The reading; only of analogue sensors, and only when there is one.
    pub reading: Option<u32>,
    /// The reading's unit: `%`, `Cel`, `RPM`, `W`.
    pub unit: Option<String>,
    /// The states that hold, by their offsets; only of discrete sensors.
    pub states: Option<Vec<u8>>,
    /// The same in words.
    #[serde(default)]
    pub state_names: Option<Vec<String>>,
    /// The thresholds it has, in the reading's unit, by name.
    pub thresholds: BTreeMap<String, u32>,
}

/// How a sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SensorStatus {
    /// As it should be.
    Ok,
    /// Beyond a non-critical threshold.
    Warning,
    /// Beyond a critical threshold.
    Critical,
    /// What it measures is off.
    Off,
    /// The machine cannot be reached.
    Unknown,
    /// A client switched it off.
    Disabled,
}

impl SensorStatus {
    /// The name used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Off => "off",
            Self::Unknown => "unknown",
            Self::Disabled => "disabled",
        }
    }
}
