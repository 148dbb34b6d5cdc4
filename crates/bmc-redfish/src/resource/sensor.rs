//! `Sensor`: the analogue sensors of a Chassis, with the numbers that IPMI's sensors show.

use bmc_core::request::Change;
use bmc_core::sensor::model::Shown;
use bmc_core::sensor::{Analog, Place, Sensor, SensorReading, Severity, Threshold, Unit, number};
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, Uris, collection, link, resource, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;

/// The sensors of the Chassis.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/Sensors",
        verbs: &[get(collection, "SensorCollection: the analogue sensors")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/Sensors/{member}",
        verbs: &[
            get(show, "Sensor, with the value that IPMI's sensor of that name shows"),
            patch(
                Privilege::ConfigureComponents,
                |call| Box::pin(update(call)),
                "`Thresholds` (`Reading` of each that the sensor has): IPMI's thresholds",
            ),
        ],
    },
];

/// The URI of a Chassis' sensors.
pub(super) fn collection_uri(chassis: &str) -> String {
    format!("{chassis}/Sensors")
}

/// A sensor's id: its name without what does not belong in a URL.
pub(super) fn id(sensor: &Sensor) -> String {
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

/// The URI of a sensor.
pub(super) fn uri(chassis: &str, sensor: &Sensor) -> String {
    format!("{}/{}", collection_uri(chassis), id(sensor))
}

/// What a sensor reads, in its unit; `None` where it reads nothing.
pub(super) fn reading(snapshot: &Snapshot, sensor: &Sensor) -> Option<u32> {
    let enabled = snapshot.settings.sensors.enables(sensor).scanning;
    let raw = snapshot.readings.get(sensor.number).and_then(SensorReading::raw).filter(|_| enabled);
    Some(sensor.analog()?.value(raw?))
}

/// A sensor as another resource shows it.
pub(super) fn excerpt(snapshot: &Snapshot, sensor: &Sensor) -> Value {
    json!({"DataSourceUri": uri(&Uris::of(snapshot).chassis, sensor), "Reading": reading(snapshot, sensor)})
}

/// `Status` of a sensor.
pub(super) fn status_of(snapshot: &Snapshot, sensor: &Sensor) -> Value {
    let enabled = snapshot.settings.sensors.enables(sensor).scanning;
    status(snapshot.readings.get(sensor.number), enabled)
}

/// How bad the worst sensor is. One whose events nobody wants to hear of does not count: a machine that works hard is not ill.
pub(super) fn worst(snapshot: &Snapshot) -> Severity {
    let settings = &snapshot.settings.sensors;
    let heard = snapshot.sensors().iter().filter(|sensor| {
        let enables = settings.enables(sensor);
        sensor.analog().is_some() && enables.scanning && enables.events
    });
    let readings = heard.filter_map(|sensor| snapshot.readings.get(sensor.number));
    readings.map(SensorReading::severity).max().unwrap_or_default()
}

/// `Health` of the sensors as a whole.
pub(super) fn health(snapshot: &Snapshot) -> &'static str {
    health_name(worst(snapshot))
}

/// `Health`.
pub(super) fn health_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "OK",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let (sensor, analog) = find(&snapshot, call.member)?;
    Ok(render(&snapshot, sensor, analog))
}

fn find<'a>(snapshot: &'a Snapshot, member: &str) -> Result<(&'a Sensor, &'a Analog), Problem> {
    let found = snapshot.sensors().iter().find_map(|sensor| {
        let analog = sensor.analog().filter(|_| id(sensor) == member)?;
        Some((sensor, analog))
    });
    found.ok_or_else(|| Problem::not_found("Sensor", member))
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("Chassis", call.id)?;
    find(&machine.snapshot(), call.member)?;
    // A sensor does not vanish; one that did would have nothing to show.
    let shown = |snapshot: &Snapshot| {
        find(snapshot, call.member).map_or(Value::Null, |(sensor, analog)| render(snapshot, sensor, analog))
    };
    write::change(call, &machine, shown, |snapshot, shown| {
        let (sensor, analog) = find(snapshot, call.member)?;
        let wanted = patch::read(&call.body, |faults| {
            let mut wanted = Vec::new();
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                name == "Thresholds" && {
                    wanted = read_thresholds(pointer, value, &shown["Thresholds"], analog, faults);
                    true
                }
            });
            let anything = !wanted.is_empty();
            (wanted, anything)
        })?;
        let sensor = sensor.clone();
        let edit = Edit::new(move |editable| {
            for (threshold, raw) in &wanted {
                editable.settings.sensors.set_threshold(&sensor, *threshold, *raw);
            }
            Ok(())
        });
        Ok(Change { edit: Some(edit), ..Change::default() })
    })
    .await
}

/// The thresholds that a PATCH sets, raw: the nearest step of the sensor.
fn read_thresholds(
    pointer: &str,
    value: &Value,
    shown: &Value,
    analog: &Analog,
    faults: &mut Faults,
) -> Vec<(Threshold, u8)> {
    let mut wanted = Vec::new();
    let Value::Object(thresholds) = value else {
        faults.wrong_type(pointer, value);
        return wanted;
    };
    patch::each_property(thresholds, &Value::Null, pointer, faults, |name, pointer, value, faults| {
        let threshold = Threshold::ALL.into_iter().find(|threshold| threshold_name(*threshold) == name);
        let Some(threshold) = threshold.filter(|_| shown.get(name).is_some()) else { return false };
        let Value::Object(object) = value else {
            faults.wrong_type(pointer, value);
            return true;
        };
        patch::each_property(object, &shown[name], pointer, faults, |name, pointer, value, faults| {
            if name != "Reading" {
                return false;
            }
            let Some(number) = value.as_f64() else {
                faults.wrong_type(pointer, value);
                return true;
            };
            let most = f64::from(analog.value(analog.raw_max));
            if (0.0..=most).contains(&number) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it lies within the sensor's range"
                )]
                wanted.push((threshold, analog.raw(number.round() as u32)));
            } else {
                let args = [&patch::shown(value), pointer];
                faults.push(Message::new(message::PropertyValueOutOfRange, args).about(pointer));
            }
            true
        });
        true
    });
    wanted
}

fn threshold_name(threshold: Threshold) -> &'static str {
    match threshold {
        Threshold::LowerNonCritical => "LowerCaution",
        Threshold::LowerCritical => "LowerCritical",
        Threshold::LowerNonRecoverable => "LowerFatal",
        Threshold::UpperNonCritical => "UpperCaution",
        Threshold::UpperCritical => "UpperCritical",
        Threshold::UpperNonRecoverable => "UpperFatal",
    }
}

fn render(snapshot: &Snapshot, sensor: &Sensor, analog: &Analog) -> Value {
    let uris = Uris::of(snapshot);
    let id = id(sensor);
    let uri = format!("{}/{id}", collection_uri(&uris.chassis));
    let reading = snapshot.readings.get(sensor.number);
    let enabled = snapshot.settings.sensors.enables(sensor).scanning;
    let raw = reading.and_then(SensorReading::raw).filter(|_| enabled);
    let (reading_type, units) = units(analog.unit);
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

/// `ReadingType` and `ReadingUnits`.
pub(super) fn units(unit: Unit) -> (&'static str, &'static str) {
    match unit {
        Unit::Percent => ("Percent", "%"),
        Unit::Celsius => ("Temperature", "Cel"),
        Unit::Rpm => ("Rotational", "{rev}/min"),
        Unit::Watts => ("Power", "W"),
    }
}

pub(super) fn context(place: Place) -> &'static str {
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
        let name = threshold_name(threshold);
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
    let health = health_name(reading.map(SensorReading::severity).unwrap_or_default());
    json!({"State": state, "Health": health})
}
