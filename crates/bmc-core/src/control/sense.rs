//! Reads the sensors whenever something they depend on has changed: there is no timer for it.

use std::sync::Arc;

use crate::backend::{MachineInfo, Statistics};
use crate::control::{Control, Effect};
use crate::error::RequestError;
use crate::power::PowerState;
use crate::request::Outcome;
use crate::sensor::list_of;
use crate::sensor::model::Conditions;
use crate::settings::Settings;

/// What the readings depend on, as it was when they were made.
#[derive(Clone, Debug)]
pub(super) struct Sensed {
    info: Option<Arc<MachineInfo>>,
    settings: Arc<Settings>,
    power: PowerState,
    power_fault: bool,
    reachable: bool,
    statistics: Statistics,
    watchdog: u16,
}

impl PartialEq for Sensed {
    /// What is shared is compared as such: it is replaced when it changes.
    fn eq(&self, other: &Self) -> bool {
        let same_info = match (&self.info, &other.info) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_info
            && Arc::ptr_eq(&self.settings, &other.settings)
            && (self.power, self.power_fault, self.reachable, self.statistics, self.watchdog)
                == (other.power, other.power_fault, other.reachable, other.statistics, other.watchdog)
    }
}

impl Control {
    /// Reads the sensors if anything they depend on has changed, and tells of the thresholds that were passed.
    pub(super) fn sense(&mut self, effects: &mut Vec<Effect>) {
        let sensed = Sensed {
            info: self.info.clone(),
            settings: Arc::clone(&self.record.settings),
            power: self.power(),
            power_fault: self.power_fault,
            reachable: self.reachable().is_ok(),
            statistics: self.statistics,
            watchdog: self.watchdog.states(),
        };
        if self.sensed.as_ref() == Some(&sensed) {
            return;
        }
        let settings = &sensed.settings.sensors;
        if !self.sensed.as_ref().is_some_and(|before| before.settings.sensors.has_sensors_of(settings)) {
            let sensors = list_of(settings);
            if *self.sensors != *sensors {
                self.sensors = sensors.into();
            }
        }
        let conditions = Conditions {
            info: sensed.info.as_deref(),
            slots: &settings.slots,
            power: sensed.power,
            power_fault: sensed.power_fault,
            reachable: sensed.reachable,
            statistics: sensed.statistics,
            watchdog: sensed.watchdog,
        };
        let mut readings = (*self.readings).clone();
        let events = readings.sense(&self.sensors, settings, &conditions);
        if readings != *self.readings {
            self.readings = Arc::new(readings);
        }
        effects.extend(events.into_iter().map(Effect::Emit));
        self.sensed = Some(sensed);
    }

    pub(super) fn rearm_sensor(
        &mut self,
        sensor: u8,
        assertions: u16,
        deassertions: u16,
    ) -> Result<Outcome, RequestError> {
        if !Arc::make_mut(&mut self.readings).rearm(sensor, assertions, deassertions) {
            let reason = format!("there is no sensor {sensor:02x}h");
            return Err(RequestError::Invalid { field: "sensor", reason });
        }
        self.sensed = None;
        Ok(Outcome::Done)
    }
}
