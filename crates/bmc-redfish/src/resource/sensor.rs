//! `Sensor`: the analogue sensors of a Chassis, with the numbers that IPMI's sensors show.

use bmc_core::sensor::model::Shown;
use bmc_core::sensor::{Analog, Place, Sensor, SensorReading, Severity, Threshold, Unit, number};
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The sensors of the Chassis.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/Sensors",
        verbs: &[get(collection, "SensorCollection: the analogue sensors")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/Sensors/{member}",
        verbs: &[get(show, "Sensor, with the value that IPMI's sensor of that name shows")],
    },
];

/// The URI of a Chassis' sensors.
pub(super) fn collection_uri(chassis: &str) -> String {
    format!("{chassis}/Sensors")
}

/// A sensor's id: its name without what does not belong in a URL.
fn id(sensor: &Sensor) -> String {
    sensor.name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The URI of the sensor with this number, which has its name whatever the machine is made of.
pub(crate) fn uri_of(chassis: &str, number: u8) -> Option<String> {
    let sensors = bmc_core::sensor::list(&bmc_core::settings::sensors::DriveSlots::default());
    let sensor = sensors.iter().find(|sensor| sensor.number == number)?;
    Some(format!("{}/{}", collection_uri(chassis), id(sensor)))
}

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = collection_uri(&Uris::of(&snapshot).chassis);
    let sensors = snapshot.sensors();
    let analog = sensors.iter().filter(|sensor| sensor.analog().is_some());
    let members: Vec<String> = analog.map(|sensor| format!("{uri}/{}", id(sensor))).collect();
    Ok(collection::render(schema::SENSOR_COLLECTION, &uri, "Sensors", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let sensors = snapshot.sensors();
    let found = sensors.iter().find_map(|sensor| {
        let analog = sensor.analog().filter(|_| id(sensor) == call.member)?;
        Some((sensor, analog))
    });
    let (sensor, analog) = found.ok_or_else(|| Problem::not_found("Sensor", call.member))?;
    Ok(render(&snapshot, sensor, analog))
}

fn render(snapshot: &Snapshot, sensor: &Sensor, analog: &Analog) -> Value {
    let uris = Uris::of(snapshot);
    let id = id(sensor);
    let uri = format!("{}/{id}", collection_uri(&uris.chassis));
    let reading = snapshot.readings.get(sensor.number);
    let enabled = snapshot.settings.sensors.enables(sensor).scanning;
    let raw = reading.and_then(SensorReading::raw).filter(|_| enabled);
    let (reading_type, units) = match analog.unit {
        Unit::Percent => ("Percent", "%"),
        Unit::Celsius => ("Temperature", "Cel"),
        Unit::Rpm => ("Rotational", "{rev}/min"),
        Unit::Watts => ("Power", "W"),
    };
    let members = json!({
        "ReadingType": reading_type,
        "ReadingUnits": units,
        "Reading": raw.map(|raw| analog.value(raw)),
        "ReadingRangeMin": 0,
        "ReadingRangeMax": analog.value(analog.raw_max),
        "PhysicalContext": context(sensor.place),
        "Implementation": implementation(sensor.number),
        "Enabled": enabled,
        "Thresholds": thresholds(snapshot, sensor, analog),
        "Status": status(reading, enabled),
        "RelatedItem": [link(&uris.system)],
        "RelatedItem@odata.count": 1,
    });
    with(resource(schema::SENSOR, &uri, &id, &sensor.name), members)
}

fn context(place: Place) -> &'static str {
    match place {
        Place::Processor => "CPU",
        Place::Disk => "StorageDevice",
        Place::Board => "SystemBoard",
        Place::PowerSupply => "PowerSupply",
        Place::Controller => "Manager",
        Place::Fan => "Fan",
        Place::Memory => "Memory",
        Place::OperatingSystem => "Chassis",
        Place::AirInlet => "Intake",
    }
}

/// Load and memory are told by the hypervisor; everything else is worked out from the load.
fn implementation(number: u8) -> &'static str {
    if matches!(number, number::CPU_LOAD | number::MEMORY_IN_USE) { "Reported" } else { "Synthesized" }
}

fn thresholds(snapshot: &Snapshot, sensor: &Sensor, analog: &Analog) -> Value {
    let settings = &snapshot.settings.sensors;
    let hysteresis = settings.hysteresis(sensor);
    let mut all = Map::new();
    for (threshold, limit) in settings.thresholds(sensor).iter() {
        let name = match threshold {
            Threshold::LowerNonCritical => "LowerCaution",
            Threshold::LowerCritical => "LowerCritical",
            Threshold::LowerNonRecoverable => "LowerFatal",
            Threshold::UpperNonCritical => "UpperCaution",
            Threshold::UpperCritical => "UpperCritical",
            Threshold::UpperNonRecoverable => "UpperFatal",
        };
        let (activation, steps) = if threshold.is_upper() {
            ("Increasing", hysteresis.positive)
        } else {
            ("Decreasing", hysteresis.negative)
        };
        let value = json!({
            "Reading": analog.value(limit),
            "Activation": activation,
            "HysteresisReading": analog.value(steps),
        });
        all.insert(name.to_owned(), value);
    }
    Value::Object(all)
}

fn status(reading: Option<&SensorReading>, enabled: bool) -> Value {
    let state = match reading.map(|reading| reading.shown) {
        _ if !enabled => "Disabled",
        Some(Shown::Raw(_)) => "Enabled",
        Some(Shown::States(_) | Shown::Off | Shown::Unknown) | None => "UnavailableOffline",
    };
    let health = match reading.map(SensorReading::severity).unwrap_or_default() {
        Severity::Ok => "OK",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    };
    json!({"State": state, "Health": health})
}
