//! The attributes of the BIOS: the one table behind what is shown, what may be written, and the attribute registry.

use crate::backend::MachineInfo;
use crate::boot::FirmwareMode;
use crate::power::PowerPolicy;
use crate::settings::bios::{BiosSettings, BiosValue};

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name, which is unique.
    pub name: &'static str,
    /// What a setup screen would call it.
    pub label: &'static str,
    /// What it is about, for people.
    pub help: &'static str,
    /// The menu it would be in.
    pub menu: &'static str,
    /// What values it may have.
    pub kind: Kind,
    /// What stands behind it.
    pub meaning: Meaning,
}

/// What values an attribute may have.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One of these names.
    Choice(&'static [&'static str]),
    /// A text of at most so many bytes.
    Text(usize),
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// Yes or no.
    Flag,
}

/// What stands behind an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is kept and shown, and has no other effect on a virtual machine. This is its value until a client sets another.
    Kept(DefaultValue),
    /// The machine's firmware mode.
    BootMode,
    /// Secure Boot; there where the machine has it to offer.
    SecureBoot,
    /// What happens when mains power returns.
    PowerPolicy,
    /// The number of processors; read only.
    Processors,
    /// The memory in MiB; read only.
    MemoryMib,
}

/// The value of a kept attribute until a client sets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// A name or a text.
    Text(&'static str),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// What is wrong with a value for an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// The attribute can only be read.
    ReadOnly,
    /// The value is of another type.
    Type,
    /// It is none of the names.
    NotInList,
    /// It is too small or too great.
    OutOfRange,
    /// It has more bytes than this.
    TooLong(usize),
    /// It has characters that no text on a setup screen has.
    Format,
}

/// The longest text of an attribute in bytes.
pub const TEXT_MAX_BYTES: usize = 64;

const SWITCH: Kind = Kind::Choice(&["Enabled", "Disabled"]);
const PROCESSOR: &str = "Processor Options";
const BOOT: &str = "Boot Options";
const SERIAL: &str = "Serial Port Options";
const SECURITY: &str = "Server Security";
const AVAILABILITY: &str = "Server Availability";
const OWNER: &str = "Server Asset Text";

/// Every attribute, in the order in which clients see them.
pub const ATTRIBUTES: &[Attribute] = &[
    Attribute {
        name: "BootMode",
        label: "Boot Mode",
        help: "The firmware that the machine boots with.",
        menu: BOOT,
        kind: Kind::Choice(&["Uefi", "LegacyBios"]),
        meaning: Meaning::BootMode,
    },
    Attribute {
        name: "SecureBoot",
        label: "Secure Boot",
        help: "Whether UEFI starts signed software only. Needs the boot mode Uefi.",
        menu: SECURITY,
        kind: SWITCH,
        meaning: Meaning::SecureBoot,
    },
    Attribute {
        name: "AcPowerRecovery",
        label: "AC Power Recovery",
        help: "What happens when mains power returns.",
        menu: AVAILABILITY,
        kind: Kind::Choice(&["AlwaysOn", "AlwaysOff", "LastState"]),
        meaning: Meaning::PowerPolicy,
    },
    Attribute {
        name: "ProcCount",
        label: "Number of Processors",
        help: "How many processors the machine has.",
        menu: PROCESSOR,
        kind: Kind::Integer(1, 65_535),
        meaning: Meaning::Processors,
    },
    Attribute {
        name: "MemorySizeMiB",
        label: "Memory Size",
        help: "How much memory the machine has, in MiB.",
        menu: PROCESSOR,
        kind: Kind::Integer(0, i64::MAX),
        meaning: Meaning::MemoryMib,
    },
    kept_switch("ProcVirtualization", "Processor Virtualization", PROCESSOR, "Enabled"),
    kept_switch("ProcHyperthreading", "Simultaneous Multithreading", PROCESSOR, "Enabled"),
    kept_switch("ProcTurboMode", "Turbo Mode", PROCESSOR, "Enabled"),
    kept_switch("Sriov", "SR-IOV", PROCESSOR, "Enabled"),
    kept_switch("Numa", "NUMA", PROCESSOR, "Enabled"),
    kept_choice(
        "WorkloadProfile",
        "Workload Profile",
        PROCESSOR,
        &["Balanced", "Performance", "PowerSaving", "LowLatency"],
        "Balanced",
    ),
    kept_switch("SerialConsoleRedirection", "Serial Console Redirection", SERIAL, "Enabled"),
    kept_choice(
        "SerialConsoleBaudRate",
        "Serial Console Baud Rate",
        SERIAL,
        &["9600", "19200", "38400", "57600", "115200"],
        "115200",
    ),
    kept_flag("QuietBoot", "Quiet Boot", BOOT, false),
    kept_flag("NumLock", "Num Lock at Boot", BOOT, true),
    kept_number("BootTimeoutSeconds", "Boot Menu Timeout in Seconds", BOOT, (0, 60), 5),
    kept_switch("OsWatchdog", "Operating System Watchdog", AVAILABILITY, "Disabled"),
    kept_number(
        "OsWatchdogMinutes",
        "Operating System Watchdog Timeout in Minutes",
        AVAILABILITY,
        (1, 30),
        10,
    ),
    kept_text("AdminName", "Administrator's Name", OWNER),
    kept_text("AdminPhone", "Administrator's Phone Number", OWNER),
    kept_text("ServerNote", "Note on the Server", OWNER),
];

/// What the help says of attributes that are kept only.
const KEPT_HELP: &str = "Kept and shown; without effect on a virtual machine.";

const fn kept(
    (name, label, menu): (&'static str, &'static str, &'static str),
    kind: Kind,
    default: DefaultValue,
) -> Attribute {
    Attribute { name, label, help: KEPT_HELP, menu, kind, meaning: Meaning::Kept(default) }
}

const fn kept_switch(
    name: &'static str,
    label: &'static str,
    menu: &'static str,
    default: &'static str,
) -> Attribute {
    kept((name, label, menu), SWITCH, DefaultValue::Text(default))
}

const fn kept_choice(
    name: &'static str,
    label: &'static str,
    menu: &'static str,
    names: &'static [&'static str],
    default: &'static str,
) -> Attribute {
    kept((name, label, menu), Kind::Choice(names), DefaultValue::Text(default))
}

const fn kept_flag(name: &'static str, label: &'static str, menu: &'static str, default: bool) -> Attribute {
    kept((name, label, menu), Kind::Flag, DefaultValue::Flag(default))
}

const fn kept_number(
    name: &'static str,
    label: &'static str,
    menu: &'static str,
    (least, greatest): (i64, i64),
    default: i64,
) -> Attribute {
    kept((name, label, menu), Kind::Integer(least, greatest), DefaultValue::Number(default))
}

const fn kept_text(name: &'static str, label: &'static str, menu: &'static str) -> Attribute {
    kept((name, label, menu), Kind::Text(TEXT_MAX_BYTES), DefaultValue::Text(""))
}

/// The attribute with this name.
pub fn find(name: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.name == name)
}

impl Attribute {
    /// Whether clients can only read it.
    pub fn is_read_only(&self) -> bool {
        matches!(self.meaning, Meaning::Processors | Meaning::MemoryMib)
    }

    /// The value that a reset of the BIOS gives it; `None` for what is the machine's and not the BIOS' to forget.
    pub fn default_value(&self) -> Option<BiosValue> {
        match self.meaning {
            Meaning::Kept(default) => Some(match default {
                DefaultValue::Text(text) => BiosValue::Text(text.to_owned()),
                DefaultValue::Number(number) => BiosValue::Number(number),
                DefaultValue::Flag(flag) => BiosValue::Flag(flag),
            }),
            _ => None,
        }
    }

    /// Checks a value that a client wants it to have.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, value: &BiosValue) -> Result<(), ValueFault> {
        if self.is_read_only() {
            return Err(ValueFault::ReadOnly);
        }
        match (self.kind, value) {
            (Kind::Choice(names), BiosValue::Text(text)) => {
                if names.contains(&text.as_str()) {
                    Ok(())
                } else {
                    Err(ValueFault::NotInList)
                }
            }
            (Kind::Text(most), BiosValue::Text(text)) if text.len() > most => Err(ValueFault::TooLong(most)),
            (Kind::Text(_), BiosValue::Text(text)) if text.chars().any(char::is_control) => {
                Err(ValueFault::Format)
            }
            (Kind::Integer(least, greatest), BiosValue::Number(number)) => {
                if (least..=greatest).contains(number) { Ok(()) } else { Err(ValueFault::OutOfRange) }
            }
            (Kind::Text(_), BiosValue::Text(_)) | (Kind::Flag, BiosValue::Flag(_)) => Ok(()),
            _ => Err(ValueFault::Type),
        }
    }

    /// Its value in force; `None` for what this machine does not have, or has not told yet.
    pub fn value(
        &self,
        settings: &BiosSettings,
        info: Option<&MachineInfo>,
        policy: PowerPolicy,
    ) -> Option<BiosValue> {
        let text = |text: &str| BiosValue::Text(text.to_owned());
        match self.meaning {
            Meaning::Kept(_) => settings.kept.get(self.name).cloned().or_else(|| self.default_value()),
            Meaning::BootMode => Some(text(mode_name(info?.firmware))),
            Meaning::SecureBoot => {
                let secure_boot = info?.secure_boot.as_ref()?;
                Some(text(if secure_boot.enabled { "Enabled" } else { "Disabled" }))
            }
            Meaning::PowerPolicy => Some(text(policy_name(policy))),
            Meaning::Processors => Some(BiosValue::Number(info?.processors.into())),
            Meaning::MemoryMib => {
                Some(BiosValue::Number(i64::try_from(info?.memory_bytes >> 20).unwrap_or(i64::MAX)))
            }
        }
    }
}

/// The value of `BootMode` for a mode.
pub fn mode_name(mode: FirmwareMode) -> &'static str {
    match mode {
        FirmwareMode::Uefi => "Uefi",
        FirmwareMode::Legacy => "LegacyBios",
    }
}

fn policy_name(policy: PowerPolicy) -> &'static str {
    match policy {
        PowerPolicy::AlwaysOn => "AlwaysOn",
        PowerPolicy::AlwaysOff => "AlwaysOff",
        PowerPolicy::Previous => "LastState",
    }
}

/// The policy that a value of `AcPowerRecovery` names.
pub(crate) fn policy_of(value: &BiosValue) -> Option<PowerPolicy> {
    [PowerPolicy::AlwaysOn, PowerPolicy::AlwaysOff, PowerPolicy::Previous]
        .into_iter()
        .find(|policy| *value == BiosValue::Text(policy_name(*policy).to_owned()))
}
