//! The sensors of a machine: one model behind SDR, Redfish and the command line.
//!
//! ```text
//!  drive slots, processors ──► list_of() ─► Sensor (what it is, its defaults)
//!                                             │
//!  power, statistics ─────────► model ────────┤ raw reading
//!  settings ──────────────────────────────────┤ thresholds, hysteresis, enables
//!                                             ▼
//!                                     Readings::sense ──► Readings (published in the snapshot), events
//! ```
//!
//! Readings are whole raw steps of 0 to 255, as IPMI carries them; [`Analog::value`] makes the number in its unit, and every door shows that
//! number. What the hypervisor does not know (temperatures, fans, power draw) is modelled from the load; see [`model`].

mod list;
pub mod model;
pub mod number;
mod reading;
mod threshold;

use ipmi_wire::record::sel::{AVAILABILITY, SENSOR_SPECIFIC, THRESHOLD};

pub(crate) use list::drive_name;
pub use list::{NAME_MAX, list, list_of};
pub use reading::{Readings, SensorReading, ThresholdEvent};
pub use threshold::{Hysteresis, Severity, Threshold, Thresholds, severity};

/// What a sensor measures or watches (IPMI 2.0 table 42-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorType {
    /// Temperature.
    Temperature,
    /// Fan.
    Fan,
    /// Power supply.
    PowerSupply,
    /// Power unit: the machine's power as a whole.
    PowerUnit,
    /// Some other quantity in its own unit.
    Other,
    /// Drive slot (bay).
    DriveSlot,
    /// Event logging.
    EventLog,
    /// System event.
    SystemEvent,
    /// Critical interrupt.
    CriticalInterrupt,
    /// The controller itself: a microcontroller.
    Controller,
    /// System boot or restart initiated.
    SystemRestart,
    /// Operating system stop or shutdown.
    OsStop,
    /// System ACPI power state.
    AcpiPowerState,
    /// Watchdog, the kind with a timer use in its events.
    Watchdog,
    /// Session audit.
    SessionAudit,
}

impl SensorType {
    /// The specification's number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Temperature => 0x01,
            Self::Fan => 0x04,
            Self::PowerSupply => 0x08,
            Self::PowerUnit => 0x09,
            Self::Other => 0x0b,
            Self::DriveSlot => 0x0d,
            Self::EventLog => 0x10,
            Self::SystemEvent => 0x12,
            Self::CriticalInterrupt => 0x13,
            Self::Controller => 0x16,
            Self::SystemRestart => 0x1d,
            Self::OsStop => 0x20,
            Self::AcpiPowerState => 0x22,
            Self::Watchdog => 0x23,
            Self::SessionAudit => 0x2a,
        }
    }

    /// The name used in the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Fan => "fan",
            Self::PowerSupply => "power-supply",
            Self::PowerUnit => "power-unit",
            Self::Other => "other",
            Self::DriveSlot => "drive-slot",
            Self::EventLog => "event-log",
            Self::SystemEvent => "system-event",
            Self::CriticalInterrupt => "critical-interrupt",
            Self::Controller => "controller",
            Self::SystemRestart => "system-restart",
            Self::OsStop => "os-stop",
            Self::AcpiPowerState => "acpi-power-state",
            Self::Watchdog => "watchdog",
            Self::SessionAudit => "session-audit",
        }
    }
}

/// What part of the machine a sensor belongs to (IPMI 2.0 table 43-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The processors.
    Processor,
    /// A disk.
    Disk,
    /// The board.
    Board,
    /// A power supply.
    PowerSupply,
    /// The controller itself.
    Controller,
    /// A fan.
    Fan,
    /// The memory.
    Memory,
    /// The operating system.
    OperatingSystem,
    /// Where air comes in.
    AirInlet,
}

impl Place {
    /// The specification's entity id.
    pub const fn entity_id(self) -> u8 {
        match self {
            Self::Processor => 3,
            Self::Disk => 4,
            Self::Controller => 6,
            Self::Board => 7,
            Self::PowerSupply => 10,
            Self::Fan => 29,
            Self::Memory => 32,
            Self::OperatingSystem => 35,
            Self::AirInlet => 55,
        }
    }
}

/// The unit of an analogue reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Percent,
    /// Degrees Celsius.
    Celsius,
    /// Revolutions per minute.
    Rpm,
    /// Watts.
    Watts,
}

impl Unit {
    /// The name used in the CLI and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Celsius => "Cel",
            Self::Rpm => "RPM",
            Self::Watts => "W",
        }
    }
}

/// A sensor: what it is and how it behaves before anybody configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// Its number, 1 to 254; see [`number`].
    pub number: u8,
    /// Its name, at most 16 characters of printable ASCII.
    pub name: String,
    /// What it measures.
    pub sensor_type: SensorType,
    /// Where it sits.
    pub place: Place,
    /// Which of several such parts, from 1.
    pub instance: u8,
    /// How it reads.
    pub kind: Kind,
}

/// How a sensor reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, perhaps with thresholds.
    Analog(Analog),
    /// States, one bit for each offset that it can show; the offsets are those of its type (IPMI 2.0 table 42-3).
    Discrete {
        /// Which it can show.
        states: u16,
        /// Which of them are told of when they end, too.
        ends: u16,
    },
    /// No reading: its events alone tell of it.
    EventOnly {
        /// Which events there are.
        states: u16,
    },
}

/// An analogue sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Analog {
    /// The unit.
    pub unit: Unit,
    /// What one raw step stands for, in the unit.
    pub step: u16,
    /// The highest raw reading there can be; the lowest is 0.
    pub raw_max: u8,
    /// What is usual, raw.
    pub nominal: u8,
    /// The thresholds it has, with their defaults.
    pub thresholds: Thresholds,
    /// The default hysteresis.
    pub hysteresis: Hysteresis,
    /// Whether crossing a threshold is an event before anybody configures it.
    pub events: bool,
}

impl Analog {
    /// A raw reading as a number in the unit.
    pub fn value(&self, raw: u8) -> u32 {
        u32::from(raw) * u32::from(self.step)
    }

    /// The raw reading that comes nearest, as far as the range goes.
    pub fn raw(&self, value: u32) -> u8 {
        let step = u32::from(self.step.max(1));
        let steps = value.saturating_add(step / 2) / step;
        u8::try_from(steps).unwrap_or(u8::MAX).min(self.raw_max)
    }
}

impl Sensor {
    /// Its analogue part.
    pub fn analog(&self) -> Option<&Analog> {
        match &self.kind {
            Kind::Analog(analog) => Some(analog),
            Kind::Discrete { .. } | Kind::EventOnly { .. } => None,
        }
    }

    /// What its events and states mean (IPMI 2.0 table 42-1): thresholds, the states of its type, or those of a generic type.
    pub fn event_type(&self) -> u8 {
        match (&self.kind, self.sensor_type) {
            (Kind::Analog(_), _) => THRESHOLD,
            // The type of microcontrollers has no states of its own.
            (_, SensorType::Controller) => AVAILABILITY,
            (Kind::Discrete { .. } | Kind::EventOnly { .. }, _) => SENSOR_SPECIFIC,
        }
    }

    /// Which events it can send, one bit for each offset.
    pub fn events(&self) -> u16 {
        match &self.kind {
            Kind::Analog(analog) => analog.thresholds.events(),
            Kind::Discrete { states, .. } | Kind::EventOnly { states } => *states,
        }
    }

    /// Which of its events end, so that there is a deassertion to tell of.
    pub fn deassertions(&self) -> u16 {
        match &self.kind {
            Kind::Analog(analog) => analog.thresholds.events(),
            Kind::Discrete { ends, .. } => *ends,
            Kind::EventOnly { .. } => 0,
        }
    }
}
