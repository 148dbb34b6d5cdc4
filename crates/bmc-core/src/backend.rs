//! The contract between the core and what runs the machines.
//!
//! A [`Backend`] knows machines; a [`Machine`] carries out one operation at a time; everything that happens to a machine,
//! whoever caused it, comes back as a [`Report`]. The core never asks for a state: it is told.
//!
//! Ordering rules a backend keeps:
//! * a call that returns `Ok` has already sent the reports of what it did (so a client that was told "done" reads the new state);
//! * reports of one machine arrive in the order in which things happened;
//! * after every (re)connection the first report of each attached machine is [`Report::Available`] with its whole state.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::boot::{BootPlan, BootStage, BootTarget, FirmwareMode};
use crate::console::Console;
use crate::discovery::Listing;
use crate::error::BackendError;
use crate::firmware::{BootDevice, FirmwareSetup, KeptFirmware, LoadOption, SecureBoot};
use crate::inventory::{Cpu, Graphics, Listening, MemoryModule, Nic, PciDevice};
use crate::media::{MediaImage, MediaSlot};
use crate::power::ChangeCause;
use crate::screen::Screenshot;
use crate::storage::{Disk, RaidController, Volume};
use crate::system_interface::SystemInterfaceDevice;
use crate::watchdog::{PreTimeoutInterrupt, TimeoutAction};

/// Which machine of a backend a BMC belongs to. Bound by UUID once that is known; the name finds it the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRef {
    /// The machine's UUID, once known.
    pub uuid: Option<Uuid>,
    /// The machine's name in the backend; used only while `uuid` is `None`.
    pub name: String,
}

/// What a machine is made of, as far as frontends show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineInfo {
    /// The machine's UUID; its identity in every protocol.
    pub uuid: Uuid,
    /// The machine's present name in the backend.
    pub name: String,
    /// Virtual processors, at least 1.
    pub processors: u32,
    /// Instruction set, as QEMU names it: `x86_64`, `aarch64`, ...
    pub architecture: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// How its firmware boots.
    pub firmware: FirmwareMode,
    /// Whether [`Machine::set_firmware`] can switch the mode.
    pub firmware_switchable: bool,
    /// Which targets a boot override may name; without [`BootTarget::None`], which always is allowed.
    pub boot_targets: Vec<BootTarget>,
    /// Which processors these are, and how they are spread.
    pub cpu: Cpu,
    /// Its memory modules, in order; together they are `memory_bytes`.
    pub memory_modules: Vec<MemoryModule>,
    /// UEFI Secure Boot as the next boot has it; `None` where the firmware has none to offer, as no PC BIOS does.
    pub secure_boot: Option<SecureBoot>,
    /// Why [`Machine::set_firmware`] cannot switch it to UEFI, and how to mend that, where it is known: the hypervisor has no firmware for it.
    pub uefi_missing: Option<String>,
    /// Why it could not have Secure Boot in force, were it UEFI, and how to mend that, where it is known.
    pub secure_boot_missing: Option<String>,
    /// What of its firmware the backend itself forgets; [`KeptFirmware`] says what becomes of it.
    pub kept: Option<Arc<KeptFirmware>>,
    /// The devices that it can boot from, in an order that does not depend on the boot order.
    pub boot_devices: Vec<BootDevice>,
    /// The names of those that it tries, in this order, when no override is in force.
    pub boot_order: Vec<String>,
    /// The load options of the guest's own, those in its `BootOrder` first and in that order, where they can be read.
    pub load_options: Option<Vec<LoadOption>>,
    /// Why they cannot be read, of a machine that has some.
    pub load_options_unread: Option<String>,
    /// Why this machine cannot be told a URI to boot from over HTTP; `None` where it can.
    pub http_uri_refused: Option<String>,
    /// Its network interfaces, in order.
    pub nics: Vec<Nic>,
    /// What sits on its PCI bus, as far as the backend knows, in order of address.
    pub pci_devices: Vec<PciDevice>,
    /// How its screen can be reached; empty for a machine that has none.
    pub graphics: Vec<Graphics>,
    /// Where its screen answers by VNC: only while it runs, as many take the next free port then.
    pub vnc: Option<Listening>,
    /// How many serial ports it has.
    pub serial_ports: u32,
    /// The disks that its guest sees, in order, those of volumes among them; removable drives are none.
    pub disks: Vec<Disk>,
    /// The RAID controller on which volumes can be made.
    #[serde(default)]
    pub raid: Option<RaidController>,
    /// The device by which its guest reaches its BMC, where its definition has one that polybmc has put in.
    #[serde(default)]
    pub system_interface: Option<SystemInterfaceDevice>,
    /// Mains power comes back when the daemon starts (a simulated machine): the power restore policy applies then.
    pub mains_return: bool,
}

/// A machine's power as the backend sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedPower {
    /// Not running.
    Off,
    /// Started, not up yet (firmware self-test); only backends that know report it.
    Starting,
    /// Running.
    Running,
    /// Running, on its way down.
    Stopping,
    /// Held by the hypervisor.
    Paused,
}

/// A machine's whole state, after (re)connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What it is made of.
    pub info: MachineInfo,
    /// Its power.
    pub power: ObservedPower,
    /// The generation of the boot override that the running instance was started with, where the backend marked it.
    pub boot_generation: Option<u64>,
    /// What is in the BMC's drives.
    pub media: Vec<(MediaSlot, PathBuf)>,
}

/// What a machine that runs is doing, in whole numbers, so that what has hardly changed is no change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Load of all its processors together, 0 to 100 percent.
    pub cpu_percent: u8,
    /// Memory in use, 0 to 100 percent of what it has.
    pub memory_percent: u8,
    /// Bytes read from and written to its disks, per second.
    pub disk_bytes_per_second: u64,
    /// Bytes received and sent by its network interfaces, per second.
    pub network_bytes_per_second: u64,
}

/// Something bad that happened within a machine. What it does to the power is a report of its own, that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The guest's operating system said that it panicked.
    Panicked,
    /// The guest no longer feeds a watchdog that the machine has as a device. (The BMC's own watchdog is the core's.)
    Watchdog {
        /// What the hypervisor does about it.
        action: TimeoutAction,
        /// The interrupt that it raises instead.
        interrupt: PreTimeoutInterrupt,
    },
    /// The hypervisor could not read or write what lies behind a disk. Told once for each disk, until the machine starts or runs on.
    DiskError {
        /// The disk's name, as in [`Disk`]; where that is not known, what the hypervisor calls it.
        disk: String,
        /// Why, in a few words.
        reason: String,
    },
}

/// Something that happened to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The machine can be controlled; this is its state. Sent after attaching, reconnecting, and when it is defined again.
    Available(Observed),
    /// The machine cannot be controlled: hypervisor gone, domain undefined, permission denied. The last state stands.
    Unavailable(BackendError),
    /// Its make-up or name changed.
    Info(MachineInfo),
    /// Its power changed.
    Power {
        /// The new state.
        power: ObservedPower,
        /// Why.
        cause: ChangeCause,
    },
    /// The guest restarted itself from inside; it is at the very start of its boot. Never sent for a reset of ours.
    Rebooted,
    /// Something bad happened within it.
    Trouble(Trouble),
    /// What it is doing has changed. Told now and then while it runs; off, it does nothing.
    Statistics(Statistics),
    /// Firmware handed over to what it found; a device in plain words, e.g. `disk vda`. Only backends that can know send it.
    Booted {
        /// What it booted from.
        from: String,
    },
    /// The machine, which is not off, has come to this stage of its boot, also again. Only backends that can know send it, and they send
    /// every stage that they know of.
    Stage(BootStage),
}

/// The way reports take from a backend to the machine's owner. Cheap to clone; sending never blocks.
///
/// There is no bound: dropping a report would make the snapshot lie, and their number is bounded by what machines do.
#[derive(Clone)]
pub struct Reports(Arc<dyn Fn(Report) + Send + Sync>);

impl Reports {
    /// Delivers reports by calling `deliver`, which must not block.
    pub fn new(deliver: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(deliver))
    }

    /// Reports into a channel; for tests of backends.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Report>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let deliver = move |report| {
            // A test that dropped its receiver no longer wants to know.
            let _ = sender.send(report);
        };
        (Self::new(deliver), receiver)
    }

    /// Tells the owner.
    pub fn send(&self, report: Report) {
        (self.0)(report);
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reports")
    }
}

/// How a backend that has to be reached is reached at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where to: a URI.
    pub uri: String,
    /// Why it cannot be reached; `None` while it is.
    pub problem: Option<String>,
    /// How many questions and orders it was given since the backend was made. Reads of BMCs are none.
    pub calls: u64,
}

/// A hypervisor, or what plays one.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The name users give it: `sim` or a libvirt URI.
    fn name(&self) -> &str;

    /// Finds a machine by name or UUID.
    ///
    /// # Errors
    /// `NotFound` with the nearest names, or why the hypervisor cannot be asked.
    async fn find(&self, name_or_uuid: &str) -> Result<MachineInfo, BackendError>;

    /// Every machine there is.
    ///
    /// # Errors
    /// Why the hypervisor cannot be asked.
    async fn machines(&self) -> Result<Vec<MachineInfo>, BackendError>;

    /// How it is reached; `None` where there is nothing to reach.
    fn link(&self) -> Option<Link> {
        None
    }

    /// Which machines there are, kept up to date from now on for as long as the receiver and the backend live; `None` where machines only
    /// come into being when they are attached to.
    fn follow(&self) -> Option<watch::Receiver<Listing>> {
        None
    }

    /// Watches a machine. Never fails and never blocks: a machine or hypervisor that is not there is reported as
    /// [`Report::Unavailable`] and watched until it is. Watching ends when the returned machine is dropped.
    fn attach(&self, machine: MachineRef, reports: Reports) -> Arc<dyn Machine>;

    /// As [`attach`](Self::attach), with what the machine's [`MachineInfo::kept`] was when it was last known. It is not for a backend that
    /// keeps all by itself, nor for a machine that has been there ever since.
    fn attach_kept(
        &self,
        machine: MachineRef,
        kept: Option<Arc<KeptFirmware>>,
        reports: Reports,
    ) -> Arc<dyn Machine> {
        let _ = kept;
        self.attach(machine, reports)
    }
}

/// One machine's controls. The owner has at most one call under way, except [`nmi`](Self::nmi), [`screenshot`](Self::screenshot) and one of
/// [`insert_media`](Self::insert_media) and [`eject_media`](Self::eject_media); of these none is under way with a start, a reset or a switch of the firmware. Every call ends within a bound of the
/// backend's own (`Timeout`).
///
/// # Errors
/// Every call: the backend's failure; the machine is then in the state that the reports say.
#[async_trait]
pub trait Machine: Send + Sync + 'static {
    /// The machine's serial console, the same one at every call; `None` when the backend cannot offer any.
    fn console(&self) -> Option<Console> {
        None
    }
    /// What its screen shows now; may be under way beside any other call.
    async fn screenshot(&self) -> Result<Screenshot, BackendError> {
        Err(BackendError::unsupported("this machine's backend cannot take pictures of its screen"))
    }
    /// Starts a machine that is off.
    async fn start(&self, boot: &BootPlan) -> Result<(), BackendError>;
    /// Removes power at once. A machine that is off already is fine.
    async fn stop(&self) -> Result<(), BackendError>;
    /// Presses the ACPI power button; returns when pressed, not when the guest is down.
    async fn shutdown(&self) -> Result<(), BackendError>;
    /// Resets a running machine so that it boots as `boot` says. A backend that must stop and start for that reports neither.
    async fn reset(&self, boot: &BootPlan) -> Result<(), BackendError>;
    /// Lets a paused machine run.
    async fn resume(&self) -> Result<(), BackendError>;
    /// Injects a non-maskable interrupt.
    async fn nmi(&self) -> Result<(), BackendError>;
    /// Puts an image into a drive of the BMC, in place of what is in it, also while the machine runs. The image that is in it already is fine.
    async fn insert_media(&self, image: &MediaImage) -> Result<(), BackendError> {
        let _ = image;
        Err(BackendError::unsupported("this machine's backend has no virtual media"))
    }
    /// Empties a drive of the BMC. One that is empty, or not there, is fine.
    async fn eject_media(&self, slot: MediaSlot) -> Result<(), BackendError> {
        let _ = slot;
        Err(BackendError::unsupported("this machine's backend has no virtual media"))
    }
    /// Switches the firmware mode for the next boot, and reports [`Report::Info`].
    async fn set_firmware(&self, mode: FirmwareMode) -> Result<(), BackendError> {
        let _ = mode;
        Err(BackendError::unsupported("this machine's firmware mode cannot be switched"))
    }
    /// Gives the guest a new, empty disk of the volume's capacity with the volume's serial number, at once if it runs and in any case at its
    /// next start, and reports [`Report::Info`]. One that is there already is fine.
    async fn create_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        let _ = volume;
        Err(BackendError::unsupported("volumes cannot be made on this machine"))
    }
    /// Takes the disk of a volume away from the guest, and what is on it, and reports [`Report::Info`]. What is left of one that is there in
    /// part goes; one that is not there is fine. Nothing but what [`create_volume`](Self::create_volume) made is touched.
    async fn delete_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        let _ = volume;
        Err(BackendError::unsupported("volumes cannot be deleted on this machine"))
    }
    /// Erases what is on a volume.
    async fn initialize_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        let _ = volume;
        Err(BackendError::unsupported("volumes cannot be erased on this machine"))
    }
    /// Changes the firmware for the boot that follows at once, and reports [`Report::Info`]. Whatever it changed has to be in force in the
    /// instance that the next [`start`](Self::start) or [`reset`](Self::reset) makes run. To be asked for what is so already is fine.
    async fn set_up(&self, setup: &FirmwareSetup) -> Result<(), BackendError> {
        match setup {
            FirmwareSetup { mode: Some(mode), secure_boot: None, keys: None, databases: None } => {
                self.set_firmware(*mode).await
            }
            setup if setup.is_empty() => Ok(()),
            _ => Err(BackendError::unsupported("this machine has no Secure Boot to set up")),
        }
    }
    /// Makes the machine try these devices, by name and in this order, from its next boot on, and no others; reports [`Report::Info`].
    async fn set_boot_order(&self, order: &[String]) -> Result<(), BackendError> {
        let _ = order;
        Err(BackendError::unsupported("this machine's boot order cannot be changed"))
    }
    /// Gives the machine a device by which its guest reaches its BMC, in place of one that was put in before, or takes it out; from the next
    /// start on. Reports [`Report::Info`]. What is so already is fine; a device of somebody else's is left alone, and refused where both cannot be.
    async fn set_system_interface(&self, device: Option<&SystemInterfaceDevice>) -> Result<(), BackendError> {
        let _ = device;
        Err(BackendError::unsupported(
            "this machine's backend has no machine that a system interface could be put into; point an emulator at the socket by hand",
        ))
    }
}
