//! Sensors: readings from the published state, settings through the machine's owner.
//!
//! A number that no sensor has is `CBh`; what a sensor of that kind cannot do is `CDh`; a threshold that it does not have `CCh`.

use bmc_core::request::Request;
use bmc_core::sensor::model::Shown;
use bmc_core::sensor::{Analog, Hysteresis, Kind, Sensor, SensorReading as CoreReading, Threshold};
use bmc_core::settings::Editable;
use bmc_core::settings::sensors::SensorSettings;
use bmc_core::snapshot::Snapshot;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::sdr::{Reservation, SdrPart};
use ipmi_wire::command::sensor::{
    DeviceSdrInfo, EventMasks, EventSelection, GetDeviceSdr, GetDeviceSdrInfo, GetSensorEventEnable,
    GetSensorEventStatus, GetSensorHysteresis, GetSensorReading, GetSensorReadingFactors,
    GetSensorThresholds, GetSensorType, RearmSensorEvents, ReserveDeviceSdrRepository, SensorEvents,
    SensorHysteresis, SensorKind, SensorReading, SensorReadingFactors, SensorThresholds,
    SetSensorEventEnable, SetSensorHysteresis, SetSensorReading, SetSensorThresholds, SetSensorType,
};

use crate::handlers::sdr;
use crate::table::{Act, Answer, Entry, OPERATOR, Read, USER};
use crate::{Context, error, sdr_repository};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/sensor_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetDeviceSdrInfo>(USER, "35.2", (TESTS, "device_sdrs_")),
    Entry::read::<GetDeviceSdr>(USER, "35.3", (TESTS, "device_sdrs_")),
    Entry::read::<ReserveDeviceSdrRepository>(USER, "35.4", (TESTS, "device_sdrs_")),
    Entry::read::<GetSensorReadingFactors>(USER, "35.5", (TESTS, "factors_")),
    Entry::act::<SetSensorHysteresis>(OPERATOR, "35.6", (TESTS, "hysteresis_")),
    Entry::read::<GetSensorHysteresis>(USER, "35.7", (TESTS, "hysteresis_")),
    Entry::act::<SetSensorThresholds>(OPERATOR, "35.8", (TESTS, "thresholds_")),
    Entry::read::<GetSensorThresholds>(USER, "35.9", (TESTS, "thresholds_")),
    Entry::act::<SetSensorEventEnable>(OPERATOR, "35.10", (TESTS, "event_enable_")),
    Entry::read::<GetSensorEventEnable>(USER, "35.11", (TESTS, "event_enable_")),
    Entry::act::<RearmSensorEvents>(OPERATOR, "35.12", (TESTS, "event_status_")),
    Entry::read::<GetSensorEventStatus>(USER, "35.13", (TESTS, "event_status_")),
    Entry::read::<GetSensorReading>(USER, "35.14", (TESTS, "readings_")),
    Entry::read::<SetSensorType>(OPERATOR, "35.15", (TESTS, "types_")),
    Entry::read::<GetSensorType>(USER, "35.16", (TESTS, "types_")),
    Entry::read::<SetSensorReading>(OPERATOR, "35.17", (TESTS, "types_")),
];

/// Offsets that events can have (IPMI 2.0 §35.10): bit 15 is reserved.
const EVENT_OFFSETS: u16 = 0x7fff;

/// A sensor that is there.
fn find(snapshot: &Snapshot, number: u8) -> Answer<Sensor> {
    let found = snapshot.sensors().iter().find(|sensor| sensor.number == number);
    found.cloned().ok_or(CompletionCode::NOT_PRESENT)
}

/// The analogue part of a sensor that has one.
fn analog(sensor: &Sensor) -> Answer<&Analog> {
    sensor.analog().ok_or(CompletionCode::ILLEGAL_FOR_TYPE)
}

/// A sensor that has a state to read, and what it shows.
fn reading(snapshot: &Snapshot, sensor: &Sensor) -> Answer<CoreReading> {
    if matches!(sensor.kind, Kind::EventOnly { .. }) {
        return Err(CompletionCode::ILLEGAL_FOR_TYPE);
    }
    // A sensor is listed and read from one snapshot; without a reading it has not been read yet.
    snapshot.readings.get(sensor.number).copied().ok_or(CompletionCode::RESPONSE_UNAVAILABLE)
}

/// Changes the settings of a sensor.
async fn edit(
    context: &Context,
    sensor: Sensor,
    edit: impl Fn(&mut SensorSettings, &Sensor) + Send + Sync + 'static,
) -> Answer<()> {
    let edit = move |editable: &mut Editable<'_>| {
        edit(&mut editable.settings.sensors, &sensor);
        Ok(())
    };
    context.edit(edit).await
}

impl Read for GetDeviceSdrInfo {
    fn answer(self, context: &Context) -> Answer<DeviceSdrInfo> {
        let snapshot = context.bmc.snapshot();
        let count = match self.count_records {
            Some(true) => sdr_repository::records(&snapshot).len(),
            Some(false) | None => snapshot.sensors().len(),
        };
        // All sensors are on logical unit 0, and stay while the machine's make-up does.
        Ok(DeviceSdrInfo { count: u8::try_from(count).unwrap_or(u8::MAX), flags: 0x01 })
    }
}

impl Read for GetDeviceSdr {
    fn answer(self, context: &Context) -> Answer<SdrPart> {
        sdr::read(context, self.0)
    }
}

impl Read for ReserveDeviceSdrRepository {
    fn answer(self, context: &Context) -> Answer<Reservation> {
        Ok(sdr::reserve(context))
    }
}

impl Read for GetSensorReadingFactors {
    fn answer(self, context: &Context) -> Answer<SensorReadingFactors> {
        let sensor = find(&context.bmc.snapshot(), self.sensor)?;
        // They are the same for every reading.
        Ok(SensorReadingFactors { next: self.reading, factors: sdr_repository::factors(analog(&sensor)?) })
    }
}

impl Act for SetSensorHysteresis {
    async fn act(self, context: &Context) -> Answer<()> {
        let sensor = find(&context.bmc.snapshot(), self.sensor)?;
        analog(&sensor)?;
        let SensorHysteresis { positive, negative } = self.hysteresis;
        let hysteresis = Hysteresis { positive, negative };
        edit(context, sensor, move |settings, sensor| settings.set_hysteresis(sensor, hysteresis)).await
    }
}

impl Read for GetSensorHysteresis {
    fn answer(self, context: &Context) -> Answer<SensorHysteresis> {
        let snapshot = context.bmc.snapshot();
        let sensor = find(&snapshot, self.sensor)?;
        analog(&sensor)?;
        let Hysteresis { positive, negative } = snapshot.settings.sensors.hysteresis(&sensor);
        Ok(SensorHysteresis { positive, negative })
    }
}

impl Act for SetSensorThresholds {
    async fn act(self, context: &Context) -> Answer<()> {
        let sensor = find(&context.bmc.snapshot(), self.sensor)?;
        let analog = analog(&sensor)?;
        let SensorThresholds { mask, values } = self.thresholds;
        if mask & !analog.thresholds.mask() != 0 {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        edit(context, sensor, move |settings, sensor| {
            for (threshold, value) in Threshold::ALL.into_iter().zip(values) {
                if mask & threshold.bit() != 0 {
                    settings.set_threshold(sensor, threshold, value);
                }
            }
        })
        .await
    }
}

impl Read for GetSensorThresholds {
    fn answer(self, context: &Context) -> Answer<SensorThresholds> {
        let snapshot = context.bmc.snapshot();
        let sensor = find(&snapshot, self.sensor)?;
        analog(&sensor)?;
        let thresholds = snapshot.settings.sensors.thresholds(&sensor);
        let values = Threshold::ALL.map(|threshold| thresholds.get(threshold).unwrap_or(0));
        Ok(SensorThresholds { mask: thresholds.mask(), values })
    }
}

impl Act for SetSensorEventEnable {
    /// Events that the sensor does not have are left out.
    async fn act(self, context: &Context) -> Answer<()> {
        let sensor = find(&context.bmc.snapshot(), self.sensor)?;
        let masks = self.masks;
        edit(context, sensor, move |settings, sensor| {
            let mut enables = settings.enables(sensor);
            (enables.events, enables.scanning) = (self.events, self.scanning);
            match self.selection {
                EventSelection::Keep => {}
                EventSelection::Enable => {
                    enables.assertions |= masks.assertions;
                    enables.deassertions |= masks.deassertions;
                }
                EventSelection::Disable => {
                    enables.assertions &= !masks.assertions;
                    enables.deassertions &= !masks.deassertions;
                }
            }
            settings.set_enables(sensor, enables);
        })
        .await
    }
}

impl Read for GetSensorEventEnable {
    fn answer(self, context: &Context) -> Answer<SensorEvents> {
        let snapshot = context.bmc.snapshot();
        let sensor = find(&snapshot, self.sensor)?;
        let enables = snapshot.settings.sensors.enables(&sensor);
        Ok(SensorEvents {
            events: enables.events,
            scanning: enables.scanning,
            unavailable: false,
            masks: EventMasks { assertions: enables.assertions, deassertions: enables.deassertions },
        })
    }
}

impl Act for RearmSensorEvents {
    async fn act(self, context: &Context) -> Answer<()> {
        let snapshot = context.bmc.snapshot();
        reading(&snapshot, &find(&snapshot, self.sensor)?)?;
        let all = EventMasks { assertions: EVENT_OFFSETS, deassertions: EVENT_OFFSETS };
        let EventMasks { assertions, deassertions } = self.masks.unwrap_or(all);
        let request = Request::RearmSensor { sensor: self.sensor, assertions, deassertions };
        let done = context.bmc.machine().request(request).await;
        done.map(drop).map_err(|failure| error::request(&failure))
    }
}

impl Read for GetSensorEventStatus {
    fn answer(self, context: &Context) -> Answer<SensorEvents> {
        let snapshot = context.bmc.snapshot();
        let sensor = find(&snapshot, self.sensor)?;
        let reading = reading(&snapshot, &sensor)?;
        let enables = snapshot.settings.sensors.enables(&sensor);
        Ok(SensorEvents {
            events: enables.events,
            scanning: enables.scanning,
            unavailable: matches!(reading.shown, Shown::Off | Shown::Unknown),
            masks: EventMasks { assertions: reading.asserted, deassertions: reading.deasserted },
        })
    }
}

impl Read for GetSensorReading {
    fn answer(self, context: &Context) -> Answer<SensorReading> {
        let snapshot = context.bmc.snapshot();
        let sensor = find(&snapshot, self.sensor)?;
        let reading = reading(&snapshot, &sensor)?;
        let enables = snapshot.settings.sensors.enables(&sensor);
        let (raw, low, high) = match (&sensor.kind, reading.shown) {
            (Kind::Analog(_), shown) => {
                let raw = if let Shown::Raw(raw) = shown { raw } else { 0 };
                (raw, reading.beyond, None)
            }
            (_, Shown::States(states)) => {
                let [low, high] = states.to_le_bytes();
                (0, low, Some(high))
            }
            (_, Shown::Raw(_) | Shown::Off | Shown::Unknown) => (0, 0, Some(0)),
        };
        Ok(SensorReading {
            reading: raw,
            events: enables.events,
            scanning: enables.scanning,
            unavailable: matches!(reading.shown, Shown::Off | Shown::Unknown),
            low,
            high,
        })
    }
}

impl Read for SetSensorType {
    /// What a sensor is is decided by the machine it watches.
    fn answer(self, context: &Context) -> Answer<()> {
        find(&context.bmc.snapshot(), self.sensor)?;
        Err(CompletionCode::ILLEGAL_FOR_TYPE)
    }
}

impl Read for GetSensorType {
    fn answer(self, context: &Context) -> Answer<SensorKind> {
        let sensor = find(&context.bmc.snapshot(), self.sensor)?;
        let event_type = sensor.event_type();
        Ok(SensorKind { sensor_type: sensor.sensor_type.code(), event_type })
    }
}

impl Read for SetSensorReading {
    /// No sensor is settable, and none says so in its record.
    fn answer(self, context: &Context) -> Answer<()> {
        find(&context.bmc.snapshot(), self.sensor)?;
        Err(CompletionCode::ILLEGAL_FOR_TYPE)
    }
}

#[cfg(test)]
#[path = "sensor_tests.rs"]
mod tests;
