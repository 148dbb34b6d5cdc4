//! The doors to a machine - IPMI (`ipmitool`), Redfish (`curl`) and the command line (`polybmc`) - in one vocabulary: what each calls
//! an action or a boot device, and what each shows.

use serde_json::{Value, json};
use testkit::tools::Ran;
use testkit::wait;

use crate::lab::{Lab, Node, SOON};
use crate::redfish::{Redfish, SYSTEMS};

/// A way to reach a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// IPMI over LAN.
    Ipmi,
    /// The BMC's own Redfish root.
    Redfish,
    /// The command line, over the control socket.
    Cli,
}

/// All of them.
pub const DOORS: [Door; 3] = [Door::Ipmi, Door::Redfish, Door::Cli];

/// What the doors call one power action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    ipmi: &'static str,
    redfish: &'static str,
    cli: &'static str,
    /// Whether the machine's firmware starts with it, when it is on then.
    pub boots: bool,
}

/// Power on.
pub const ON: Action = Action { ipmi: "on", redfish: "On", cli: "on", boots: true };
/// Power off at once.
pub const OFF: Action = Action { ipmi: "off", redfish: "ForceOff", cli: "off", boots: false };
/// Ask the operating system to shut down.
pub const SOFT: Action = Action { ipmi: "soft", redfish: "GracefulShutdown", cli: "soft", boots: false };
/// Off, then on.
pub const CYCLE: Action = Action { ipmi: "cycle", redfish: "PowerCycle", cli: "cycle", boots: true };
/// Hard reset.
pub const RESET: Action = Action { ipmi: "reset", redfish: "ForceRestart", cli: "reset", boots: true };
/// Shut down by the operating system, then on. Only Redfish has a word for it.
pub const GRACEFUL_RESTART: Action =
    Action { ipmi: "graceful-restart", redfish: "GracefulRestart", cli: "graceful-restart", boots: true };
/// Diagnostic interrupt.
pub const NMI: Action = Action { ipmi: "diag", redfish: "Nmi", cli: "nmi", boots: false };

/// What the doors call one boot device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    ipmi: &'static str,
    /// The selector in data 2 of the boot flags (IPMI 2.0 §28.13, parameter 5), in place.
    selector: u8,
    /// Redfish's name.
    pub redfish: &'static str,
    /// The verb of `polybmc boot`; none where it has no word for it.
    cli: Option<&'static str>,
    /// The name in `polybmc boot NAME show -o json`.
    pub shown: &'static str,
}

const fn device(
    ipmi: &'static str,
    selector: u8,
    redfish: &'static str,
    cli: Option<&'static str>,
    shown: &'static str,
) -> Device {
    Device { ipmi, selector, redfish, cli, shown }
}

/// Network boot.
pub const PXE: Device = device("pxe", 0x04, "Pxe", Some("pxe"), "pxe");
/// The first disk.
pub const DISK: Device = device("disk", 0x08, "Hdd", Some("disk"), "disk");
/// The first CD drive.
pub const CDROM: Device = device("cdrom", 0x14, "Cd", Some("cdrom"), "cdrom");
/// The first removable disk.
pub const USB: Device = device("floppy", 0x3c, "Usb", Some("usb"), "usb");

/// Every device that at least two doors can name.
pub const DEVICES: [Device; 6] = [
    PXE,
    DISK,
    CDROM,
    USB,
    device("bios", 0x18, "BiosSetup", Some("bios"), "bios"),
    device("diag", 0x10, "Diags", None, "diagnostics"),
];

/// For how many boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// The next one.
    Once,
    /// All.
    Continuous,
}

/// The boot override as one door shows it, in the words of [`Device::shown`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The next boot is the machine's own.
    Nothing,
    /// The next boot is this.
    Override(String, Lasting),
}

impl Shown {
    /// This device.
    pub fn device(device: Device, lasting: Lasting) -> Self {
        Self::Override(device.shown.to_owned(), lasting)
    }
}

/// What a door said to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It was acknowledged.
    Done,
    /// It was refused, in these words.
    Refused(String),
}

/// A machine with its doors.
#[derive(Debug)]
pub struct Machine<'a> {
    /// The daemon.
    pub lab: &'a Lab,
    /// The BMC.
    pub node: Node<'a>,
    /// Its own Redfish root.
    pub redfish: Redfish,
    /// The path of its System.
    pub system: String,
}

impl<'a> Machine<'a> {
    /// The machine behind the BMC of this name.
    #[track_caller]
    pub fn of(lab: &'a Lab, name: &str) -> Self {
        let node = lab.named(name);
        let redfish = Redfish::of(&node);
        let system = format!("{SYSTEMS}/{}", node.uuid);
        Self { lab, node, redfish, system }
    }

    fn cli(&self, args: &[&str]) -> Ran {
        self.lab.daemon.cli(args).run()
    }

    fn said(ran: &Ran) -> Reply {
        assert!(!ran.timed_out, "{ran}");
        if ran.success() { Reply::Done } else { Reply::Refused(ran.all_output()) }
    }

    /// Asks for a power action.
    #[track_caller]
    pub fn power(&self, door: Door, action: Action) -> Reply {
        match door {
            Door::Ipmi => Self::said(&self.node.ipmitool().args(["chassis", "power", action.ipmi]).run()),
            Door::Redfish => {
                let reset = format!("{}/Actions/ComputerSystem.Reset", self.system);
                let answer = self.redfish.post(&reset, &json!({ "ResetType": action.redfish }));
                if answer.status == 204 { Reply::Done } else { Reply::Refused(format!("{answer:?}")) }
            }
            Door::Cli => Self::said(&self.cli(&["power", &self.node.name, action.cli])),
        }
    }

    /// Whether the machine is on, as clients of a door are to take it.
    #[track_caller]
    pub fn is_on(&self, door: Door) -> bool {
        match door {
            Door::Ipmi => match self.node.ipmitool().args(["chassis", "power", "status"]).ok().trim() {
                "Chassis Power is on" => true,
                "Chassis Power is off" => false,
                other => panic!("what does {other:?} mean?"),
            },
            Door::Redfish => self.redfish.read(&self.system)["PowerState"] == "On",
            Door::Cli => matches!(self.node.power().as_str(), "on" | "powering-off" | "paused"),
        }
    }

    /// Waits until every door shows this.
    #[track_caller]
    pub fn await_power(&self, on: bool) {
        for door in DOORS {
            let what = format!("{door:?} shows {} as {}", self.node.name, if on { "on" } else { "off" });
            wait::eventually(&what, SOON, || self.is_on(door) == on);
        }
    }

    /// Sets the boot override, or clears it with no device. `None` where the door has no word for it.
    #[track_caller]
    pub fn set_boot(&self, door: Door, device: Option<Device>, lasting: Lasting) -> Option<Reply> {
        let reply = match door {
            Door::Ipmi => {
                let name = device.map_or("none", |device| device.ipmi);
                let tool = self.node.ipmitool().args(["chassis", "bootdev", name]);
                let ran = tool.args((lasting == Lasting::Continuous).then_some("options=persistent")).run();
                // This command of ipmitool ends well even when the BMC refuses.
                let refused = ran.stderr.contains("failed");
                if refused { Reply::Refused(ran.all_output()) } else { Self::said(&ran) }
            }
            Door::Redfish => {
                let enabled = match (device, lasting) {
                    (None, _) => "Disabled",
                    (_, Lasting::Once) => "Once",
                    (_, Lasting::Continuous) => "Continuous",
                };
                let target = device.map_or("None", |device| device.redfish);
                let boot =
                    json!({ "BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled });
                let answer = self.redfish.patch(&self.system, &json!({ "Boot": boot }));
                if answer.status == 204 { Reply::Done } else { Reply::Refused(format!("{answer:?}")) }
            }
            Door::Cli => {
                let target = device.map_or(Some("none"), |device| device.cli)?;
                let lasting = if lasting == Lasting::Once { "--once" } else { "--persistent" };
                Self::said(&self.cli(&["boot", &self.node.name, target, lasting]))
            }
        };
        Some(reply)
    }

    /// The boot override as a door shows it.
    #[track_caller]
    pub fn boot(&self, door: Door) -> Shown {
        match door {
            Door::Ipmi => self.boot_over_ipmi(),
            Door::Redfish => {
                let boot = self.redfish.read(&self.system)["Boot"].clone();
                let target = |name: &Value| DEVICES.iter().find(|device| *name == device.redfish);
                shown(&boot["BootSourceOverrideEnabled"], &boot["BootSourceOverrideTarget"], |name| {
                    target(name).map(|device| device.shown)
                })
            }
            Door::Cli => {
                let boot = self.node.boot();
                shown(&boot["enabled"], &boot["target"], |name| {
                    DEVICES.iter().find(|device| *name == device.shown).map(|device| device.shown)
                })
            }
        }
    }

    /// The bytes of boot option parameter 5 behind version and number.
    #[track_caller]
    pub fn boot_flags(&self) -> Vec<u8> {
        let bytes = self.raw(&["0x00", "0x09", "0x05", "0x00", "0x00"]);
        assert_eq!(bytes.get(..2), Some(&[0x01, 0x05][..]), "{bytes:02x?}");
        bytes.get(2..).unwrap_or_default().to_vec()
    }

    /// Sends a raw IPMI command and returns the answer behind the completion code.
    #[track_caller]
    pub fn raw(&self, bytes: &[&str]) -> Vec<u8> {
        let text = self.node.ipmitool().arg("raw").args(bytes).ok();
        let byte = |word: &str| u8::from_str_radix(word, 16).unwrap_or_else(|_| panic!("no hex: {text:?}"));
        text.split_whitespace().map(byte).collect()
    }

    fn boot_over_ipmi(&self) -> Shown {
        let flags = self.boot_flags();
        let (data1, selector) = (flags[0], flags[1] & 0x3c);
        if data1 & 0x80 == 0 || selector == 0 {
            return Shown::Nothing;
        }
        let device = DEVICES.iter().find(|device| device.selector == selector);
        let device = device.unwrap_or_else(|| panic!("no such selector: {flags:02x?}"));
        let lasting = if data1 & 0x40 == 0 { Lasting::Once } else { Lasting::Continuous };
        Shown::device(*device, lasting)
    }

    /// Fails unless every door shows this.
    #[track_caller]
    pub fn assert_boot(&self, wanted: &Shown) {
        for door in DOORS {
            assert_eq!(self.boot(door), *wanted, "as {door:?} shows it, {}", self.node.boot());
        }
    }

    /// What happened to the machine's power since the event `after`.
    #[track_caller]
    pub fn power_events(&self, after: u64) -> Vec<String> {
        let mut kinds = self.lab.kinds_since(after, &self.node.name);
        kinds.retain(|kind| !["booted", "boot-override-set", "boot-override-used"].contains(&kind.as_str()));
        kinds
    }

    /// Waits until exactly this has happened to the machine's power since the event `after`.
    #[track_caller]
    pub fn await_power_events(&self, after: u64, wanted: &[&str]) {
        wait::poll(SOON, || (self.power_events(after).len() >= wanted.len()).then_some(()));
        assert_eq!(self.power_events(after), wanted, "{:#?}", self.lab.events(after));
    }
}

fn shown(enabled: &Value, target: &Value, name: impl Fn(&Value) -> Option<&'static str>) -> Shown {
    let lasting = match enabled.as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "disabled" => return Shown::Nothing,
        "once" => Lasting::Once,
        "continuous" => Lasting::Continuous,
        other => panic!("what does {other:?} mean?"),
    };
    if target.as_str().is_some_and(|target| target.eq_ignore_ascii_case("none")) {
        return Shown::Nothing;
    }
    let name = name(target).unwrap_or_else(|| panic!("what does {target} mean?"));
    Shown::Override(name.to_owned(), lasting)
}
