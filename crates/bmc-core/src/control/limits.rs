//! The limits of DCMI at work on the machine: power draw and inlet temperature (DCMI 1.5 §6.6.3 and §6.7.1).
//!
//! ```text
//!          reading above the limit              the time it may be so is over
//!   Kept ─────────────────────────► Exceeded ─────────────────────────────────► Acted
//!    ▲                                  │                                         │
//!    └──────────────────────────────────┴──────── reading back, or other limit ───┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::control::{Control, Effect, Now, Timer, Waiters};
use crate::event::EventKind;
use crate::sensor::{Readings, number};
use crate::settings::dcmi::ExceptionAction;

/// What has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// The power draw, in watts.
    Power,
    /// The temperature of the air that comes in, in degrees Celsius.
    InletTemperature,
}

impl Limited {
    const ALL: [Self; 2] = [Self::Power, Self::InletTemperature];

    /// The sensor that reads it.
    pub const fn sensor(self) -> u8 {
        match self {
            Self::Power => number::POWER_DRAW,
            Self::InletTemperature => number::INLET_TEMPERATURE,
        }
    }

    /// The name used in the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::InletTemperature => "inlet-temperature",
        }
    }

    /// Its unit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Power => "W",
            Self::InletTemperature => "Cel",
        }
    }
}

/// A limit that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    value: u32,
    time: Duration,
    action: ExceptionAction,
}

/// Where a limit stands; the states are drawn above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watch {
    #[default]
    Kept,
    /// The timer with this number runs.
    Exceeded(Limit, u64),
    Acted(Limit),
}

/// What the limits are watched by.
#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    power: Watch,
    inlet: Watch,
    /// The readings that were looked at last.
    seen: Option<Arc<Readings>>,
    watts: Option<u32>,
    celsius: Option<u32>,
}

impl Watches {
    fn of(&mut self, limited: Limited) -> &mut Watch {
        match limited {
            Limited::Power => &mut self.power,
            Limited::InletTemperature => &mut self.inlet,
        }
    }

    fn reading(&self, limited: Limited) -> Option<u32> {
        match limited {
            Limited::Power => self.watts,
            Limited::InletTemperature => self.celsius,
        }
    }
}

impl Control {
    /// Notes what the machine draws, and whether a limit is passed.
    pub(super) fn watch_limits(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !self.watches.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &self.readings)) {
            self.watches.watts = self.sensed_value(Limited::Power.sensor());
            self.watches.celsius = self.sensed_value(Limited::InletTemperature.sensor());
            self.watches.seen = Some(Arc::clone(&self.readings));
            if self.power_meter.changes(self.watches.watts) {
                Arc::make_mut(&mut self.power_meter).note(now.instant, self.watches.watts);
            }
        }
        for limited in Limited::ALL {
            let reading = self.watches.reading(limited);
            let passed = self.limit(limited).filter(|limit| reading.is_some_and(|value| value > limit.value));
            let number = self.serial + 1;
            let watch = self.watches.of(limited);
            *watch = match (passed, *watch) {
                (None, _) => Watch::Kept,
                (Some(limit), Watch::Exceeded(before, _) | Watch::Acted(before)) if limit == before => *watch,
                (Some(limit), _) => {
                    self.serial = number;
                    effects.push(Effect::After(limit.time, Timer::Limit(limited, number)));
                    Watch::Exceeded(limit, number)
                }
            };
        }
    }

    fn limit(&self, limited: Limited) -> Option<Limit> {
        let settings = &self.record.settings.dcmi;
        let limit = match limited {
            Limited::Power => {
                let limit = settings.power_limit.filter(|limit| limit.active)?;
                Limit { value: limit.watts.into(), time: limit.correction(), action: limit.action }
            }
            Limited::InletTemperature => {
                let limit = settings.thermal_limit?;
                let time = Duration::from_secs(limit.seconds.into());
                Limit { value: limit.celsius.into(), time, action: limit.action }
            }
        };
        Some(limit).filter(|limit| limit.action != ExceptionAction::None)
    }

    fn sensed_value(&self, sensor: u8) -> Option<u32> {
        let raw = self.readings.get(sensor)?.raw()?;
        let sensor = self.sensors.iter().find(|listed| listed.number == sensor)?;
        sensor.analog().map(|analog| analog.value(raw))
    }

    /// A limit was passed for as long as it may be.
    pub(super) fn limit_due(&mut self, limited: Limited, number: u64, effects: &mut Vec<Effect>) {
        let reading = self.watches.reading(limited);
        let watch = self.watches.of(limited);
        let (Watch::Exceeded(limit, running), Some(reading)) = (*watch, reading) else { return };
        if running != number {
            return;
        }
        *watch = Watch::Acted(limit);
        let (action, limit) = (limit.action, limit.value);
        effects.push(Effect::Emit(EventKind::LimitExceeded { limited, reading, limit, action }));
        if action == ExceptionAction::PowerOff {
            match self.reachable() {
                Ok(()) => self.want_stop(Waiters::nobody(), effects),
                Err(error) => self.fault(&error, effects),
            }
        }
    }

    /// The machine was switched off: a limit for this run of it is over.
    pub(super) fn forget_passing_limit(&mut self) {
        if self.record.settings.dcmi.thermal_limit.is_some_and(|limit| !limit.persistent) {
            Arc::make_mut(&mut self.record.settings).dcmi.thermal_limit = None;
        }
    }
}
