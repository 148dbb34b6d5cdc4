//! Power of a Chassis: `Power`, as clients have long read it, with DCMI's power reading and limit, and `PowerSubsystem` with its supplies.

use std::time::Duration;

use bmc_core::power_meter::HISTORY;
use bmc_core::sensor::model::Shown;
use bmc_core::sensor::{Sensor, SensorType, Unit};
use bmc_core::settings::dcmi::ExceptionAction;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{
    Call, Reply, Uris, collection, link, power_limit, resource, sensor, thermal, with, write,
};
use crate::routes::{Route, get, patch};
use crate::schema;

/// Power.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/Power",
        verbs: &[
            get(power, "Power: DCMI's power reading and limit, and the power supplies"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "`PowerControl[0].PowerLimit` (`LimitInWatts`, `LimitException`, `CorrectionInMs`): DCMI's power limit",
            ),
        ],
    },
    Route { path: "/redfish/v1/Chassis/{id}/PowerSubsystem", verbs: &[get(subsystem, "PowerSubsystem")] },
    Route {
        path: "/redfish/v1/Chassis/{id}/PowerSubsystem/PowerSupplies",
        verbs: &[get(supplies, "PowerSupplyCollection")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/PowerSubsystem/PowerSupplies/{member}",
        verbs: &[get(supply, "PowerSupply")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/PowerSubsystem/PowerSupplies/{member}/Metrics",
        verbs: &[get(supply_metrics, "PowerSupplyMetrics")],
    },
];

/// Of a power supply's states (IPMI 2.0 table 42-3, type 08h).
const PRESENT: u16 = 1 << 0;
const FAILED: u16 = 1 << 1;
const PREDICTED: u16 = 1 << 2;
const INPUT_LOST: u16 = 1 << 3;

fn supply_sensors(snapshot: &Snapshot) -> impl Iterator<Item = &Sensor> {
    snapshot.sensors().iter().filter(|sensor| sensor.sensor_type == SensorType::PowerSupply)
}

fn states(snapshot: &Snapshot, sensor: &Sensor) -> u16 {
    match snapshot.readings.get(sensor.number).map(|reading| reading.shown) {
        Some(Shown::States(states)) => states,
        _ => 0,
    }
}

fn supply_status(states: u16) -> Value {
    let state = if states & PRESENT == 0 { "Absent" } else { "Enabled" };
    let health = if states & (FAILED | INPUT_LOST) != 0 {
        "Critical"
    } else if states & PREDICTED != 0 {
        "Warning"
    } else {
        "OK"
    };
    json!({"State": state, "Health": health})
}

/// What the machine draws, as its sensor shows it.
fn draw(snapshot: &Snapshot) -> Option<u32> {
    let (draw, _) = thermal::sensors_in(snapshot, Unit::Watts).into_iter().next()?;
    sensor::reading(snapshot, draw)
}

/// What it can draw at most, as its sensor shows it.
fn capacity(snapshot: &Snapshot) -> Option<u32> {
    let (_, analog) = thermal::sensors_in(snapshot, Unit::Watts).into_iter().next()?;
    Some(analog.value(analog.raw_max))
}

/// What one of the supplies gives: those that work share the load.
fn output(snapshot: &Snapshot, sensor: &Sensor) -> Option<u32> {
    let gives = |sensor: &Sensor| states(snapshot, sensor) & (PRESENT | FAILED | INPUT_LOST) == PRESENT;
    let sharing = u32::try_from(supply_sensors(snapshot).filter(|sensor| gives(sensor)).count()).ok()?;
    if gives(sensor) { draw(snapshot)?.checked_div(sharing) } else { Some(0) }
}

fn power(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    Ok(render(&snapshot, call))
}

fn render(snapshot: &Snapshot, call: &Call<'_>) -> Value {
    let uris = Uris::of(snapshot);
    let uri = format!("{}/Power", uris.chassis);
    let supplies: Vec<Value> = supply_sensors(snapshot)
        .enumerate()
        .map(|(at, sensor)| {
            json!({
                "@odata.id": format!("{uri}#/PowerSupplies/{at}"),
                "MemberId": at.to_string(),
                "Name": sensor.name,
                "LastPowerOutputWatts": output(snapshot, sensor),
                "PowerCapacityWatts": capacity(snapshot),
                // Nothing is known of these; Ironic looks for them.
                "LineInputVoltage": null,
                "SerialNumber": null,
                "Status": supply_status(states(snapshot, sensor)),
                "RelatedItem": [link(&uris.chassis)],
                "RelatedItem@odata.count": 1,
            })
        })
        .collect();
    let members = json!({
        "PowerControl": [control(snapshot, call, &uri)],
        "PowerControl@odata.count": 1,
        "PowerSupplies@odata.count": supplies.len(),
        "PowerSupplies": supplies,
    });
    with(resource(schema::POWER, &uri, "Power", "Power"), members)
}

fn control(snapshot: &Snapshot, call: &Call<'_>, uri: &str) -> Value {
    let limit = snapshot.settings.dcmi.power_limit.unwrap_or_default();
    let mut control = json!({
        "@odata.id": format!("{uri}#/PowerControl/0"),
        "MemberId": "0",
        "Name": "System Power",
        "PhysicalContext": "Chassis",
        "PowerConsumedWatts": null,
        "PowerCapacityWatts": capacity(snapshot),
        "PowerLimit": {
            "LimitInWatts": limit.active.then_some(limit.watts),
            "LimitException": exception_name(limit.action),
            "CorrectionInMs": limit.correction_ms,
        },
        "Status": {"State": "Enabled", "Health": "OK"},
        "RelatedItem": [link(&Uris::of(snapshot).system)],
        "RelatedItem@odata.count": 1,
    });
    if let Some(past) = snapshot.power_meter.statistics(call.service.now(), HISTORY) {
        control["PowerConsumedWatts"] = past.current.into();
        control["PowerMetrics"] = json!({
            "IntervalInMin": minutes(past.period),
            "MinConsumedWatts": past.minimum,
            "MaxConsumedWatts": past.maximum,
            "AverageConsumedWatts": past.average,
        });
    }
    control
}

/// Whole minutes, at least one: the schema knows no shorter time.
fn minutes(period: Duration) -> u64 {
    (period.as_secs() / 60).max(1)
}

pub(super) const EXCEPTIONS: [(&str, ExceptionAction); 3] = [
    ("NoAction", ExceptionAction::None),
    ("HardPowerOff", ExceptionAction::PowerOff),
    ("LogEventOnly", ExceptionAction::LogEvent),
];

fn exception_name(action: ExceptionAction) -> &'static str {
    EXCEPTIONS.iter().find(|(_, known)| *known == action).map_or("NoAction", |(name, _)| name)
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("Chassis", call.id)?;
    write::change(
        call,
        &machine,
        |snapshot| render(snapshot, call),
        |_, shown| {
            let wanted = patch::read(&call.body, |faults| {
                let mut wanted = power_limit::Wanted::default();
                patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                    if name != "PowerControl" {
                        return false;
                    }
                    let Value::Array(items) = value else {
                        faults.wrong_type(pointer, value);
                        return true;
                    };
                    for (at, item) in items.iter().enumerate() {
                        let pointer = format!("{pointer}/{at}");
                        match (at, item) {
                            (0, Value::Object(control)) => {
                                let shown = shown.pointer("/PowerControl/0").unwrap_or(&Value::Null);
                                patch::each_property(
                                    control,
                                    shown,
                                    &pointer,
                                    faults,
                                    |name, pointer, value, faults| {
                                        name == "PowerLimit" && {
                                            wanted.take_limit(pointer, value, faults);
                                            true
                                        }
                                    },
                                );
                            }
                            (0, _) => faults.wrong_type(&pointer, item),
                            _ => faults
                                .push(Message::new(message::PropertyUnknown, [&pointer]).about(&pointer)),
                        }
                    }
                    true
                });
                (wanted, wanted.is_some())
            })?;
            Ok(wanted.change())
        },
    )
    .await
}

fn subsystem_uri(chassis: &str) -> String {
    format!("{chassis}/PowerSubsystem")
}

fn subsystem(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = subsystem_uri(&Uris::of(&snapshot).chassis);
    let members = json!({
        "CapacityWatts": capacity(&snapshot),
        "PowerSupplies": link(&format!("{uri}/PowerSupplies")),
        "Status": {"State": "Enabled", "Health": "OK"},
    });
    Ok(with(resource(schema::POWER_SUBSYSTEM, &uri, "PowerSubsystem", "Power Subsystem"), members))
}

fn supplies(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = format!("{}/PowerSupplies", subsystem_uri(&Uris::of(&snapshot).chassis));
    let members: Vec<String> =
        supply_sensors(&snapshot).map(|sensor| format!("{uri}/{}", sensor::id(sensor))).collect();
    Ok(collection::render(schema::POWER_SUPPLY_COLLECTION, &uri, "Power Supplies", &members))
}

/// The supply that a URI names, its sensor and its own URI.
fn find<'a>(snapshot: &'a Snapshot, id: &str) -> Result<(&'a Sensor, String), Problem> {
    let found = supply_sensors(snapshot).find(|sensor| sensor::id(sensor) == id);
    let sensor = found.ok_or_else(|| Problem::not_found("PowerSupply", id))?;
    Ok((sensor, format!("{}/PowerSupplies/{id}", subsystem_uri(&Uris::of(snapshot).chassis))))
}

fn supply(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let (sensor, uri) = find(&snapshot, call.member)?;
    let states = states(&snapshot, sensor);
    let input = if states & INPUT_LOST == 0 { "Normal" } else { "LossOfInput" };
    let members = json!({
        "PowerCapacityWatts": capacity(&snapshot),
        "LineInputStatus": input,
        "Metrics": link(&format!("{uri}/Metrics")),
        "Status": supply_status(states),
    });
    Ok(with(resource(schema::POWER_SUPPLY, &uri, call.member, &sensor.name), members))
}

fn supply_metrics(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let (sensor, uri) = find(&snapshot, call.member)?;
    let members = json!({
        "OutputPowerWatts": {"Reading": output(&snapshot, sensor)},
        "Status": supply_status(states(&snapshot, sensor)),
    });
    let name = format!("Metrics of {}", sensor.name);
    Ok(with(resource(schema::POWER_SUPPLY_METRICS, &format!("{uri}/Metrics"), "Metrics", &name), members))
}
