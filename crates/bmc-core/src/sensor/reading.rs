//! What the sensors show now, which of their thresholds are passed, and the events that follow from a change.

use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::sensor::model::{self, Conditions, Shown};
use crate::sensor::{Analog, Kind, Sensor, Severity, Threshold, Unit, severity};
use crate::settings::sensors::SensorSettings;

/// One sensor now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorReading {
    /// The sensor's number.
    pub number: u8,
    /// What it shows.
    pub shown: Shown,
    /// Thresholds it is beyond, one bit each ([`Threshold::bit`]).
    pub beyond: u8,
    /// Events that have happened and hold, one bit for each offset.
    pub asserted: u16,
    /// Events that have happened and ended since they were last armed, one bit for each offset.
    pub deasserted: u16,
}

impl SensorReading {
    fn new(number: u8) -> Self {
        Self { number, shown: Shown::Off, beyond: 0, asserted: 0, deasserted: 0 }
    }

    /// The raw reading, if there is one.
    pub fn raw(&self) -> Option<u8> {
        match self.shown {
            Shown::Raw(raw) => Some(raw),
            Shown::States(_) | Shown::Off | Shown::Unknown => None,
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        severity(self.beyond)
    }
}

/// All sensors of a machine now; those without a reading are there too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings(Vec<SensorReading>);

/// A reading went beyond a threshold or came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdEvent {
    /// The sensor's number; [`list`](crate::sensor::list) tells the rest of it.
    pub sensor: u8,
    /// Its name.
    pub name: String,
    /// Which threshold.
    pub threshold: Threshold,
    /// Beyond it now; otherwise it has come back.
    pub asserted: bool,
    /// The reading in its unit; `None` when the reading ended, because the machine is off.
    pub reading: Option<u32>,
    /// The threshold in the reading's unit.
    pub limit: u32,
    /// The unit: `%`, `Cel`, `RPM`, `W`.
    pub unit: String,
    /// The reading in raw steps, for IPMI.
    pub raw_reading: Option<u8>,
    /// The threshold in raw steps, for IPMI.
    pub raw_limit: u8,
}

impl ThresholdEvent {
    /// The event offset (IPMI 2.0 table 42-2, event type 01h).
    pub const fn offset(&self) -> u8 {
        self.threshold.offset()
    }
}

impl Readings {
    /// The reading of a sensor.
    pub fn get(&self, number: u8) -> Option<&SensorReading> {
        self.0.iter().find(|reading| reading.number == number)
    }

    /// All, in the order of the sensors' list.
    pub fn iter(&self) -> impl Iterator<Item = &SensorReading> {
        self.0.iter()
    }

    /// Forgets the events of a sensor (of these offsets), so that a condition that holds is a new event; whether there is such a sensor.
    pub(crate) fn rearm(&mut self, number: u8, assertions: u16, deassertions: u16) -> bool {
        let Some(reading) = self.0.iter_mut().find(|reading| reading.number == number) else { return false };
        reading.asserted &= !assertions;
        reading.deasserted &= !deassertions;
        true
    }

    /// Reads every sensor; returns the events that follow from what has changed since the last time.
    pub(crate) fn sense(
        &mut self,
        sensors: &[Sensor],
        settings: &SensorSettings,
        conditions: &Conditions<'_>,
    ) -> Vec<EventKind> {
        let mut events = Vec::new();
        let readings = sensors.iter().map(|sensor| {
            let before = self.get(sensor.number).copied();
            let mut reading = before.unwrap_or_else(|| SensorReading::new(sensor.number));
            reading.shown = model::show(sensor, conditions);
            match &sensor.kind {
                Kind::Analog(analog) => compare(&mut reading, sensor, analog, settings, &mut events),
                Kind::Discrete { .. } => {
                    let states = match reading.shown {
                        Shown::States(states) => states,
                        Shown::Raw(_) | Shown::Off | Shown::Unknown => 0,
                    };
                    reading.deasserted = (reading.deasserted | reading.asserted & !states) & !states;
                    reading.asserted = states;
                }
                Kind::EventOnly { .. } => {}
            }
            reading
        });
        self.0 = readings.collect();
        events
    }
}

/// Compares a reading with its thresholds.
fn compare(
    reading: &mut SensorReading,
    sensor: &Sensor,
    analog: &Analog,
    settings: &SensorSettings,
    events: &mut Vec<EventKind>,
) {
    let raw = match reading.shown {
        // Nothing is known of it, so nothing has happened to it.
        Shown::Unknown => return,
        Shown::Raw(raw) => Some(raw),
        Shown::States(_) | Shown::Off => None,
    };
    let thresholds = settings.thresholds(sensor);
    let hysteresis = settings.hysteresis(sensor);
    let enables = settings.enables(sensor);
    let scanned = raw.filter(|_| enables.scanning);
    reading.beyond = scanned.map_or(0, |raw| thresholds.beyond(raw, hysteresis, reading.beyond));
    for (threshold, limit) in thresholds.iter() {
        let event = 1 << threshold.offset();
        let (was, is) = (reading.asserted & event != 0, reading.beyond & threshold.bit() != 0);
        if was == is {
            continue;
        }
        let enabled = if is {
            reading.asserted |= event;
            reading.deasserted &= !event;
            enables.assertions
        } else {
            reading.asserted &= !event;
            reading.deasserted |= event;
            enables.deassertions
        };
        if enables.events && enabled & event != 0 {
            let happened = ThresholdEvent {
                sensor: sensor.number,
                name: sensor.name.clone(),
                threshold,
                asserted: is,
                reading: raw.map(|raw| analog.value(raw)),
                limit: analog.value(limit),
                unit: Unit::as_str(analog.unit).to_owned(),
                raw_reading: raw,
                raw_limit: limit,
            };
            events.push(EventKind::SensorThreshold(happened));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{MachineInfo, Statistics};
    use crate::power::PowerState;
    use crate::sensor::{list, list_of, number};
    use crate::settings::sensors::DriveSlots;

    struct Bench {
        sensors: Vec<Sensor>,
        settings: SensorSettings,
        readings: Readings,
    }

    impl Bench {
        fn new() -> Self {
            let mut bench = Self {
                sensors: list(&DriveSlots::default()),
                settings: SensorSettings::default(),
                readings: Readings::default(),
            };
            assert!(bench.load(PowerState::On, 0).is_empty());
            bench
        }

        fn sense(&mut self, power: PowerState, load: u8, reachable: bool) -> Vec<String> {
            let statistics = Statistics { cpu_percent: load, ..Default::default() };
            let slots = DriveSlots::default();
            let conditions = Conditions {
                info: None,
                slots: &slots,
                power,
                power_fault: false,
                reachable,
                statistics,
                watchdog: 0,
            };
            let events = self.readings.sense(&self.sensors, &self.settings, &conditions);
            let told = events.into_iter().map(|event| match event {
                EventKind::SensorThreshold(event) => {
                    let sign = if event.asserted { '+' } else { '-' };
                    format!("{sign}{} {} {:?}", event.name, event.threshold.as_str(), event.reading)
                }
                other => panic!("{other:?}"),
            });
            told.collect()
        }

        fn load(&mut self, power: PowerState, load: u8) -> Vec<String> {
            self.sense(power, load, true)
        }

        fn cpu(&self) -> SensorReading {
            *self.readings.get(number::CPU_TEMPERATURE).unwrap()
        }

        fn sensor(&self, number: u8) -> Sensor {
            self.sensors.iter().find(|sensor| sensor.number == number).unwrap().clone()
        }
    }

    #[test]
    fn a_load_that_crosses_a_threshold_is_one_event_each_way() {
        let mut bench = Bench::new();
        let cpu = bench.sensor(number::CPU_TEMPERATURE);
        bench.settings.set_threshold(&cpu, Threshold::UpperNonCritical, 60);
        assert!(bench.load(PowerState::On, 40).is_empty());
        assert_eq!(bench.load(PowerState::On, 60), ["+CPU Temp upper-non-critical Some(62)"]);
        assert_eq!((bench.cpu().beyond, bench.cpu().asserted), (8, 1 << 7));
        assert!(bench.load(PowerState::On, 65).is_empty());
        // 57 °C is the threshold less the hysteresis.
        assert!(bench.load(PowerState::On, 50).is_empty(), "hysteresis holds");
        assert_eq!(bench.load(PowerState::On, 48), ["-CPU Temp upper-non-critical Some(56)"]);
        assert_eq!((bench.cpu().asserted, bench.cpu().deasserted), (0, 1 << 7));
        assert_eq!(bench.load(PowerState::On, 60), ["+CPU Temp upper-non-critical Some(62)"]);
        assert_eq!(bench.cpu().deasserted, 0);
        // While nothing is known nothing happens; off, the condition ends.
        assert!(bench.sense(PowerState::On, 0, false).is_empty());
        assert_eq!((bench.cpu().shown, bench.cpu().asserted), (Shown::Unknown, 1 << 7));
        assert_eq!(bench.load(PowerState::Off, 0), ["-CPU Temp upper-non-critical None"]);
    }

    #[test]
    fn what_is_not_enabled_is_state_and_no_event() {
        let mut bench = Bench::new();
        assert!(bench.load(PowerState::On, 100).is_empty(), "a machine may work");
        let load = *bench.readings.get(number::CPU_LOAD).unwrap();
        assert_eq!((load.severity(), load.asserted), (Severity::Critical, 1 << 7 | 1 << 9));
        bench.load(PowerState::On, 0);
        let sensor = bench.sensor(number::CPU_LOAD);
        let mut enables = bench.settings.enables(&sensor);
        enables.events = true;
        enables.assertions = 1 << 9;
        enables.deassertions = 1 << 7;
        bench.settings.set_enables(&sensor, enables);
        assert_eq!(bench.load(PowerState::On, 100), ["+CPU Load upper-critical Some(100)"]);
        assert_eq!(bench.load(PowerState::On, 0), ["-CPU Load upper-non-critical Some(0)"]);
        enables.scanning = false;
        bench.settings.set_enables(&sensor, enables);
        assert!(bench.load(PowerState::On, 100).is_empty());
        assert_eq!(bench.readings.get(number::CPU_LOAD).unwrap().beyond, 0);
    }

    #[test]
    fn rearming_makes_a_condition_that_holds_a_new_event() {
        let mut bench = Bench::new();
        let cpu = bench.sensor(number::CPU_TEMPERATURE);
        bench.settings.set_threshold(&cpu, Threshold::UpperNonCritical, 60);
        assert_eq!(bench.load(PowerState::On, 60).len(), 1);
        assert!(bench.readings.rearm(cpu.number, 1 << 9, 1 << 9), "another event");
        assert!(bench.load(PowerState::On, 60).is_empty());
        assert!(bench.readings.rearm(cpu.number, u16::MAX, u16::MAX));
        assert_eq!(bench.load(PowerState::On, 60).len(), 1);
        assert!(!bench.readings.rearm(0xee, u16::MAX, u16::MAX));
    }

    #[test]
    fn work_is_no_alarm_in_a_machine_of_any_size() {
        for processors in [0, 1, 4, 95, 96, 113, 118, 256, 1024, 4096, 20_000, u32::MAX] {
            let mut settings = SensorSettings::default();
            settings.scale_power(processors, jiff::Timestamp::UNIX_EPOCH);
            let sensors = list_of(&settings);
            let info = MachineInfo { processors, ..Default::default() };
            let mut readings = Readings::default();
            for (power, load) in [(PowerState::Off, 0), (PowerState::On, 0), (PowerState::On, 100)] {
                let statistics = Statistics { cpu_percent: load, memory_percent: load, ..Default::default() };
                let conditions = Conditions {
                    info: Some(&info),
                    slots: &settings.slots,
                    power,
                    power_fault: false,
                    reachable: true,
                    statistics,
                    watchdog: 0,
                };
                let events = readings.sense(&sensors, &settings, &conditions);
                assert!(events.is_empty(), "{processors} processors: {events:?}");
            }
            let draw = sensors.iter().find(|sensor| sensor.number == number::POWER_DRAW).unwrap();
            let reading = readings.get(draw.number).unwrap();
            let analog = draw.analog().unwrap();
            let (shown, drawn) = (analog.value(reading.raw().unwrap()), model::watts(processors, 100));
            assert!(
                shown.abs_diff(drawn) <= analog.step.into(),
                "{processors} processors: {shown} of {drawn} W"
            );
            assert!(u16::try_from(shown).is_ok(), "DCMI can tell it");
            // The factor of a record has ten bits, one of them its sign.
            assert!(reading.beyond == 0 && analog.step < 512, "{processors} processors");
        }
    }
}
