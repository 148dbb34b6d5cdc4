//! What clients configured of the sensors, and which disk sits in which slot.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::sensor::{Hysteresis, Sensor, Threshold, Thresholds, model, number};
use crate::storage::Disk;

/// Most drive slots of one machine; disks beyond them have no sensor.
pub const DRIVE_SLOTS_MAX: usize = 32;

/// Of the session audit sensor: a session is activated. Its other events tell of failed logins.
const SESSION_OPENED: u16 = 0b0001;
/// A session is deactivated.
const SESSION_CLOSED: u16 = 0b0010;
const SESSIONS_COME_AND_GO: u16 = SESSION_OPENED | SESSION_CLOSED;

/// The sensors' settings. What nobody set is the sensor's default, and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SensorSettings {
    /// The drive slots.
    pub slots: DriveSlots,
    /// The steps in which the power draw is shown.
    pub power_scale: PowerScale,
    changed: BTreeMap<u8, Changed>,
}

/// What was changed of one sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Changed {
    thresholds: BTreeMap<Threshold, u8>,
    hysteresis: Option<Hysteresis>,
    enables: Option<Enables>,
}

/// What a sensor is allowed to do (IPMI 2.0 §35.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enables {
    /// It is read at all.
    pub scanning: bool,
    /// It sends events.
    pub events: bool,
    /// Which events are sent when they begin, one bit for each offset.
    pub assertions: u16,
    /// Which events are sent when they end, one bit for each offset.
    pub deassertions: u16,
}

/// Events of a sensor that are not sent until a client asks for them: a poller opens and closes sessions all day.
fn quiet_at_first(sensor: &Sensor) -> u16 {
    if sensor.number == number::SESSION_AUDIT { SESSIONS_COME_AND_GO } else { 0 }
}

impl SensorSettings {
    /// The thresholds of a sensor.
    pub fn thresholds(&self, sensor: &Sensor) -> Thresholds {
        let mut thresholds = sensor.analog().map_or(Thresholds::NONE, |analog| analog.thresholds);
        if let Some(changed) = self.changed.get(&sensor.number) {
            for (threshold, value) in &changed.thresholds {
                thresholds.set(*threshold, *value);
            }
        }
        thresholds
    }

    /// The hysteresis of a sensor.
    pub fn hysteresis(&self, sensor: &Sensor) -> Hysteresis {
        let changed = self.changed.get(&sensor.number).and_then(|changed| changed.hysteresis);
        changed.or_else(|| Some(sensor.analog()?.hysteresis)).unwrap_or_default()
    }

    /// What a sensor may do.
    pub fn enables(&self, sensor: &Sensor) -> Enables {
        let changed = self.changed.get(&sensor.number).and_then(|changed| changed.enables);
        changed.unwrap_or_else(|| Enables {
            scanning: true,
            events: sensor.analog().is_none_or(|analog| analog.events),
            assertions: sensor.events() & !quiet_at_first(sensor),
            deassertions: sensor.deassertions(),
        })
    }

    /// Whether what happened in a frontend is to be told: of the opening and the closing of sessions only what a client has enabled.
    pub fn audits(&self, kind: &EventKind) -> bool {
        let event = match kind {
            EventKind::SessionOpened { .. } => SESSION_OPENED,
            EventKind::SessionClosed { .. } => SESSION_CLOSED,
            _ => return true,
        };
        let enables = self.changed.get(&number::SESSION_AUDIT).and_then(|changed| changed.enables);
        enables.is_some_and(|enables| enables.events && enables.assertions & event != 0)
    }

    /// Sets a threshold, raw. One that the sensor does not have stays away.
    pub fn set_threshold(&mut self, sensor: &Sensor, threshold: Threshold, value: u8) {
        self.changed.entry(sensor.number).or_default().thresholds.insert(threshold, value);
    }

    /// Sets the hysteresis.
    pub fn set_hysteresis(&mut self, sensor: &Sensor, hysteresis: Hysteresis) {
        self.changed.entry(sensor.number).or_default().hysteresis = Some(hysteresis);
    }

    /// Sets what a sensor may do; events that it does not have are left out.
    pub fn set_enables(&mut self, sensor: &Sensor, enables: Enables) {
        let enables = Enables {
            assertions: enables.assertions & sensor.events(),
            deassertions: enables.deassertions & sensor.deassertions(),
            ..enables
        };
        self.changed.entry(sensor.number).or_default().enables = Some(enables);
    }

    /// Shows the power draw in the steps of a machine of so many processors. Thresholds that were set stay as many watts as before.
    pub(crate) fn scale_power(&mut self, processors: u32, now: Timestamp) {
        let step = model::watts_per_step(processors);
        let before = self.power_scale.step();
        if step == before {
            return;
        }
        self.power_scale = PowerScale { step, changed: Some(now) };
        let Some(changed) = self.changed.get_mut(&number::POWER_DRAW) else { return };
        for value in changed.thresholds.values_mut() {
            let steps = (u32::from(*value) * u32::from(before)).div_ceil(u32::from(step));
            *value = u8::try_from(steps).unwrap_or(u8::MAX);
        }
    }

    /// When the set of sensors, or what a record says of one, last changed; `None` while it never did.
    pub fn sensors_changed(&self) -> Option<Timestamp> {
        self.slots.changed.max(self.power_scale.changed)
    }

    /// Whether both stand for the same sensors.
    pub(crate) fn has_sensors_of(&self, other: &Self) -> bool {
        self.slots == other.slots && self.power_scale == other.power_scale
    }

    /// Every sensor has its defaults again, as the initialization agent leaves them (IPMI 2.0 §33.6).
    pub fn reset(&mut self) {
        self.changed.clear();
    }
}

/// What one raw step of the power draw stands for: a byte has to hold what the whole machine draws. Kept, so that readings mean the same
/// after a restart while the hypervisor has not told the machine's size yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerScale {
    step: u16,
    /// When it last changed; `None` while it never did.
    pub changed: Option<Timestamp>,
}

impl Default for PowerScale {
    fn default() -> Self {
        Self { step: model::WATTS_PER_STEP_MIN, changed: None }
    }
}

impl PowerScale {
    /// Watts for each raw step, at least 1.
    pub fn step(self) -> u16 {
        self.step.max(1)
    }
}

/// Which disk sits in which slot. A slot stays when its disk goes, so that the sensors behind it keep their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriveSlots {
    names: Vec<String>,
    /// When a slot was last added or given to another disk; `None` while the machine never had a disk.
    pub changed: Option<Timestamp>,
}

impl DriveSlots {
    /// The disk of each slot, also of those that are empty now.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// Gives every disk a slot: its own, an empty one, or a new one.
    pub fn update(&mut self, disks: &[Disk], now: Timestamp) {
        for disk in disks.iter().map(|disk| &disk.name) {
            if self.names.contains(disk) {
                continue;
            }
            let full = self.names.len() >= DRIVE_SLOTS_MAX;
            match self.names.iter_mut().find(|name| !disks.iter().any(|disk| disk.name == **name)) {
                Some(slot) => slot.clone_from(disk),
                None if full => continue,
                None => self.names.push(disk.clone()),
            }
            self.changed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::{list, list_of, number};

    fn named(name: &str) -> Disk {
        Disk { name: name.to_owned(), ..Disk::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_disk_keeps_its_slot_and_a_new_one_takes_an_empty_one() {
        let mut slots = DriveSlots::default();
        let update = |slots: &mut DriveSlots, disks: &[&str], second| {
            let disks: Vec<Disk> = disks.iter().map(|&disk| named(disk)).collect();
            slots.update(&disks, at(second));
            (slots.names().cloned().collect::<Vec<_>>().join(" "), slots.changed.map(Timestamp::as_second))
        };
        assert_eq!(update(&mut slots, &[], 1), (String::new(), None));
        assert_eq!(update(&mut slots, &["vda", "vdb"], 2), ("vda vdb".to_owned(), Some(2)));
        assert_eq!(update(&mut slots, &["vdb", "vda"], 3), ("vda vdb".to_owned(), Some(2)));
        assert_eq!(update(&mut slots, &["vdb"], 4), ("vda vdb".to_owned(), Some(2)), "an empty slot");
        assert_eq!(update(&mut slots, &["vdb", "sda"], 5), ("sda vdb".to_owned(), Some(5)));
        let many: Vec<Disk> = (0..50).map(|n| named(&format!("d{n}"))).collect();
        slots.update(&many, at(6));
        assert_eq!(slots.names().count(), DRIVE_SLOTS_MAX);
    }

    #[test]
    fn only_what_was_set_is_kept() {
        let sensors = list(&DriveSlots::default());
        let sensor = |number| sensors.iter().find(|sensor| sensor.number == number).unwrap();
        let (cpu, unit) = (sensor(number::CPU_TEMPERATURE), sensor(number::POWER_UNIT));
        let mut settings = SensorSettings::default();
        settings.set_threshold(cpu, Threshold::UpperCritical, 70);
        settings.set_threshold(cpu, Threshold::LowerCritical, 7);
        assert_eq!(settings.thresholds(cpu), Thresholds::upper([Some(85), Some(70), Some(105)]));
        assert_eq!(settings.thresholds(unit), Thresholds::NONE);
        settings.set_hysteresis(cpu, Hysteresis { positive: 9, negative: 0 });
        assert_eq!((settings.hysteresis(cpu).positive, settings.hysteresis(unit).positive), (9, 0));
        let all = Enables { scanning: true, events: true, assertions: 0x7fff, deassertions: 0x7fff };
        settings.set_enables(unit, all);
        assert_eq!((settings.enables(unit).assertions, settings.enables(unit).deassertions), (0x33, 1));
        let kept: SensorSettings = serde_json::from_str(&serde_json::to_string(&settings).unwrap()).unwrap();
        assert_eq!(kept, settings);
        assert_eq!(serde_json::from_str::<SensorSettings>("{}").unwrap(), SensorSettings::default());
        settings.reset();
        assert_eq!(settings, SensorSettings::default());
    }

    #[test]
    fn thresholds_of_the_power_draw_keep_their_watts_when_the_machine_grows() {
        let mut settings = SensorSettings::default();
        let draw = |settings: &SensorSettings| {
            list_of(settings).into_iter().find(|sensor| sensor.number == number::POWER_DRAW).unwrap()
        };
        settings.set_threshold(&draw(&settings), Threshold::UpperCritical, 200);
        settings.scale_power(95, at(1));
        assert_eq!((settings.power_scale.step(), settings.sensors_changed()), (4, None));
        settings.scale_power(256, at(2));
        assert_eq!((settings.power_scale.step(), settings.sensors_changed()), (11, Some(at(2))));
        let sensor = draw(&settings);
        let critical = settings.thresholds(&sensor).get(Threshold::UpperCritical).unwrap();
        assert!((800..811).contains(&sensor.analog().unwrap().value(critical)));
    }
}
