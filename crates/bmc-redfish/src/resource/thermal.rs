//! Temperatures and fans of a Chassis: `Thermal`, as clients have long read it, and `ThermalSubsystem` with its fans and metrics. All values are those
//! of the sensors.

use bmc_core::sensor::{Analog, Sensor, SensorType, Threshold, Unit};
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, resource, sensor, with};
use crate::routes::{Route, get};
use crate::schema;

/// Temperatures and fans.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/Thermal",
        verbs: &[get(thermal, "Thermal: temperatures and fans, as IPMI's sensors show them")],
    },
    Route { path: "/redfish/v1/Chassis/{id}/ThermalSubsystem", verbs: &[get(subsystem, "ThermalSubsystem")] },
    Route {
        path: "/redfish/v1/Chassis/{id}/ThermalSubsystem/ThermalMetrics",
        verbs: &[get(metrics, "ThermalMetrics: every temperature")],
    },
    Route { path: "/redfish/v1/Chassis/{id}/ThermalSubsystem/Fans", verbs: &[get(fans, "FanCollection")] },
    Route { path: "/redfish/v1/Chassis/{id}/ThermalSubsystem/Fans/{member}", verbs: &[get(fan, "Fan")] },
];

/// The sensors of one unit, in order.
pub(super) fn sensors_in(snapshot: &Snapshot, unit: Unit) -> Vec<(&Sensor, &Analog)> {
    let analog = snapshot.sensors().iter().filter_map(|sensor| Some((sensor, sensor.analog()?)));
    analog.filter(|(_, analog)| analog.unit == unit).collect()
}

/// The names of thresholds in `Thermal`, with what they stand for.
const THRESHOLDS: [(&str, Threshold); 6] = [
    ("LowerThresholdNonCritical", Threshold::LowerNonCritical),
    ("LowerThresholdCritical", Threshold::LowerCritical),
    ("LowerThresholdFatal", Threshold::LowerNonRecoverable),
    ("UpperThresholdNonCritical", Threshold::UpperNonCritical),
    ("UpperThresholdCritical", Threshold::UpperCritical),
    ("UpperThresholdFatal", Threshold::UpperNonRecoverable),
];

fn thermal(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uris = Uris::of(&snapshot);
    let uri = format!("{}/Thermal", uris.chassis);
    let temperatures: Vec<Value> = sensors_in(&snapshot, Unit::Celsius)
        .into_iter()
        .enumerate()
        .map(|(at, (sensor, analog))| {
            let mut object = member(&snapshot, &format!("{uri}#/Temperatures/{at}"), at, sensor, analog);
            object.insert("ReadingCelsius".to_owned(), sensor::reading(&snapshot, sensor).into());
            object.insert("MinReadingRangeTemp".to_owned(), 0.into());
            object.insert("MaxReadingRangeTemp".to_owned(), analog.value(analog.raw_max).into());
            Value::Object(object)
        })
        .collect();
    let fans: Vec<Value> = sensors_in(&snapshot, Unit::Rpm)
        .into_iter()
        .enumerate()
        .map(|(at, (sensor, analog))| {
            let mut object = member(&snapshot, &format!("{uri}#/Fans/{at}"), at, sensor, analog);
            object.insert("Reading".to_owned(), sensor::reading(&snapshot, sensor).into());
            object.insert("ReadingUnits".to_owned(), "RPM".into());
            object.insert("MinReadingRange".to_owned(), 0.into());
            object.insert("MaxReadingRange".to_owned(), analog.value(analog.raw_max).into());
            // A modelled fan has none; Ironic looks for the property.
            object.insert("SerialNumber".to_owned(), Value::Null);
            Value::Object(object)
        })
        .collect();
    let members = json!({
        "Status": {"State": "Enabled", "Health": sensor::health(&snapshot)},
        "Temperatures@odata.count": temperatures.len(),
        "Temperatures": temperatures,
        "Fans@odata.count": fans.len(),
        "Fans": fans,
    });
    Ok(with(resource(schema::THERMAL, &uri, "Thermal", "Thermal"), members))
}

/// What temperatures and fans have in common.
fn member(snapshot: &Snapshot, uri: &str, at: usize, sensor: &Sensor, analog: &Analog) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("@odata.id".to_owned(), uri.into());
    object.insert("MemberId".to_owned(), at.to_string().into());
    object.insert("Name".to_owned(), sensor.name.as_str().into());
    object.insert("SensorNumber".to_owned(), sensor.number.into());
    object.insert("PhysicalContext".to_owned(), sensor::context(sensor.place).into());
    object.insert("Status".to_owned(), sensor::status_of(snapshot, sensor));
    let limits = snapshot.settings.sensors.thresholds(sensor);
    for (name, threshold) in THRESHOLDS {
        if let Some(limit) = limits.get(threshold) {
            object.insert(name.to_owned(), analog.value(limit).into());
        }
    }
    object.insert("RelatedItem".to_owned(), json!([link(&Uris::of(snapshot).system)]));
    object.insert("RelatedItem@odata.count".to_owned(), 1.into());
    object
}

fn subsystem_uri(chassis: &str) -> String {
    format!("{chassis}/ThermalSubsystem")
}

fn subsystem(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = subsystem_uri(&Uris::of(&snapshot).chassis);
    let members = json!({
        "Status": {"State": "Enabled", "Health": sensor::health(&snapshot)},
        "Fans": link(&format!("{uri}/Fans")),
        "ThermalMetrics": link(&format!("{uri}/ThermalMetrics")),
    });
    Ok(with(resource(schema::THERMAL_SUBSYSTEM, &uri, "ThermalSubsystem", "Thermal Subsystem"), members))
}

fn metrics(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = format!("{}/ThermalMetrics", subsystem_uri(&Uris::of(&snapshot).chassis));
    let all = sensors_in(&snapshot, Unit::Celsius);
    let readings: Vec<Value> = all
        .iter()
        .map(|(sensor, _)| {
            let mut excerpt = sensor::excerpt(&snapshot, sensor);
            excerpt["DeviceName"] = sensor.name.as_str().into();
            excerpt["PhysicalContext"] = sensor::context(sensor.place).into();
            excerpt
        })
        .collect();
    let mut summary = Map::new();
    for (sensor, _) in &all {
        let name = match sensor::context(sensor.place) {
            "Intake" => "Intake",
            "SystemBoard" => "Internal",
            _ => continue,
        };
        summary.insert(name.to_owned(), sensor::excerpt(&snapshot, sensor));
    }
    let members = json!({"TemperatureReadingsCelsius": readings, "TemperatureSummaryCelsius": summary});
    Ok(with(resource(schema::THERMAL_METRICS, &uri, "ThermalMetrics", "Thermal Metrics"), members))
}

fn fans(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = format!("{}/Fans", subsystem_uri(&Uris::of(&snapshot).chassis));
    let members: Vec<String> = sensors_in(&snapshot, Unit::Rpm)
        .into_iter()
        .map(|(sensor, _)| format!("{uri}/{}", sensor::id(sensor)))
        .collect();
    Ok(collection::render(schema::FAN_COLLECTION, &uri, "Fans", &members))
}

fn fan(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let found = sensors_in(&snapshot, Unit::Rpm)
        .into_iter()
        .find(|(sensor, _)| sensor.sensor_type == SensorType::Fan && sensor::id(sensor) == call.member);
    let (fan, analog) = found.ok_or_else(|| Problem::not_found("Fan", call.member))?;
    let uri = format!("{}/Fans/{}", subsystem_uri(&Uris::of(&snapshot).chassis), call.member);
    let members = json!({
        "PhysicalContext": "Chassis",
        "SpeedPercent": fan_speed(&snapshot, fan, analog),
        "Status": sensor::status_of(&snapshot, fan),
    });
    Ok(with(resource(schema::FAN, &uri, call.member, &fan.name), members))
}

/// A fan's speed: in percent of the highest it can be read at, and in revolutions.
pub(super) fn fan_speed(snapshot: &Snapshot, fan: &Sensor, analog: &Analog) -> Value {
    let rpm = sensor::reading(snapshot, fan);
    let most = analog.value(analog.raw_max).max(1);
    json!({
        "DataSourceUri": sensor::uri(&Uris::of(snapshot).chassis, fan),
        "Reading": rpm.map(|rpm| rpm * 100 / most),
        "SpeedRPM": rpm,
    })
}
