//! The verbs that act on one machine: power, boot, media, its event log and console.

use std::path::PathBuf;

use bmc_core::boot::BootTarget;
use bmc_core::media::MediaSlot;
use bmc_core::power::PowerAction;
use clap::{Args, Subcommand, ValueEnum};

use super::Output;

#[derive(Debug, Args)]
pub(crate) struct Power {
    /// The BMC
    pub(crate) name: String,
    /// What to do
    #[arg(value_enum)]
    pub(crate) action: PowerVerb,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PowerVerb {
    /// Power on
    On,
    /// Power off at once
    Off,
    /// Ask the operating system to shut down
    Soft,
    /// Off, then on
    Cycle,
    /// Hard reset
    Reset,
    /// Diagnostic interrupt
    Nmi,
    /// Read the power state
    Status,
}

impl PowerVerb {
    /// The action; `None` for a mere question.
    pub(crate) fn action(self) -> Option<PowerAction> {
        match self {
            Self::On => Some(PowerAction::On),
            Self::Off => Some(PowerAction::Off),
            Self::Soft => Some(PowerAction::Soft),
            Self::Cycle => Some(PowerAction::Cycle),
            Self::Reset => Some(PowerAction::Reset),
            Self::Nmi => Some(PowerAction::Nmi),
            Self::Status => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Boot {
    /// The BMC
    pub(crate) name: String,
    /// What to boot from
    #[arg(value_enum)]
    pub(crate) target: BootVerb,
    /// For the next boot only (this is the default)
    #[arg(long, conflicts_with = "persistent")]
    pub(crate) once: bool,
    /// For every boot until changed
    #[arg(long)]
    pub(crate) persistent: bool,
    /// Ask for a UEFI boot [default: as the machine's firmware is]
    #[arg(long, conflicts_with = "legacy")]
    pub(crate) uefi: bool,
    /// Ask for a BIOS boot
    #[arg(long)]
    pub(crate) legacy: bool,
    /// Where UEFI HTTP boot loads from
    #[arg(long, value_name = "URL", required_if_eq("target", "http"))]
    pub(crate) uri: Option<String>,
    /// One device of several: a disk's or drive's name, a network interface's MAC address [default: the first]
    #[arg(long, value_name = "NAME|MAC")]
    pub(crate) device: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Media {
    /// The BMC
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: Output,
    /// What to do; without a word it shows what is in the drives
    #[command(subcommand)]
    pub(crate) verb: Option<MediaVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MediaVerb {
    /// Show what is in the drives
    Show {
        #[command(flatten)]
        output: Output,
    },
    /// Fetch an image and put it into a drive, in place of what is in it
    Insert {
        /// Where it lies: http, https or file
        url: String,
        /// Which drive
        #[arg(long, value_enum, default_value_t = Drive::Cd)]
        drive: Drive,
        /// User name for the server
        #[arg(long, value_name = "U")]
        username: Option<String>,
        /// Password for the server; everybody on this host can read it while the command runs
        #[arg(long, value_name = "P", conflicts_with = "password_file")]
        password: Option<String>,
        /// File with the password on its first line; `-` is stdin
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Let the machine write to its copy, which is gone with the medium; not for the CD drive
        #[arg(long)]
        writable: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Empty a drive
    Eject {
        /// Which drive
        #[arg(long, value_enum, default_value_t = Drive::Cd)]
        drive: Drive,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drive {
    /// CD or DVD
    Cd,
    /// Removable USB disk
    Usb,
}

impl Drive {
    /// As the core calls it.
    pub(crate) fn slot(self) -> MediaSlot {
        match self {
            Self::Cd => MediaSlot::Cd,
            Self::Usb => MediaSlot::Usb,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Sel {
    /// The BMC
    pub(crate) name: String,
    /// What to do
    #[arg(value_enum, default_value_t = SelVerb::List)]
    pub(crate) verb: SelVerb,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SelVerb {
    /// Show the entries, oldest first
    List,
    /// Delete all entries
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootVerb {
    /// Show the override
    Show,
    /// Clear the override
    None,
    /// Network
    Pxe,
    /// First disk
    Disk,
    /// CD or DVD
    Cdrom,
    /// USB or other removable media
    Usb,
    /// The firmware's setup screen
    Bios,
    /// UEFI HTTP boot
    Http,
}

impl BootVerb {
    /// The target; `None` for a mere question.
    pub(crate) fn target(self) -> Option<BootTarget> {
        match self {
            Self::Show => None,
            Self::None => Some(BootTarget::None),
            Self::Pxe => Some(BootTarget::Pxe),
            Self::Disk => Some(BootTarget::Disk),
            Self::Cdrom => Some(BootTarget::Cdrom),
            Self::Usb => Some(BootTarget::Usb),
            Self::Bios => Some(BootTarget::BiosSetup),
            Self::Http => Some(BootTarget::Http),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Console {
    /// The BMC
    pub(crate) name: String,
    /// Show only what is printed from now on
    #[arg(long)]
    pub(crate) no_history: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Screenshot {
    /// The BMC
    pub(crate) name: String,
    /// Where the picture goes; `-` is stdout
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SystemInterface {
    /// The BMC
    pub(crate) name: String,
    /// What to do
    #[arg(value_enum, default_value_t = SystemInterfaceVerb::Show)]
    pub(crate) verb: SystemInterfaceVerb,
    /// Add a block transfer device [default: a keyboard controller style one]
    #[arg(long)]
    pub(crate) bt: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SystemInterfaceVerb {
    /// Show it
    Show,
    /// Open the socket, and put the device into the machine's definition
    Add,
    /// Take the device out, and close the socket
    Remove,
}
