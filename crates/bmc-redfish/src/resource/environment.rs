//! `EnvironmentMetrics` and `Assembly` of a Chassis: its surroundings in one place, with DCMI's power limit, and what its FRU inventory says it is
//! put together from.

use bmc_core::sensor::{Place, Unit};
use bmc_core::settings::fru;
use bmc_core::snapshot::Snapshot;
use ipmi_wire::record::fru::{Field, Inventory};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, Uris, date_time, power_limit, resource, sensor, thermal, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;

/// Environment and assembly.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Chassis/{id}/EnvironmentMetrics",
        verbs: &[
            get(show, "EnvironmentMetrics"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "`PowerLimitWatts` (`SetPoint`, `ControlMode`): DCMI's power limit",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/Assembly",
        verbs: &[get(assembly, "Assembly: chassis, board and product of the FRU inventory")],
    },
];

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.machine("Chassis", call.id)?.snapshot()))
}

fn render(snapshot: &Snapshot) -> Value {
    let uri = format!("{}/EnvironmentMetrics", Uris::of(snapshot).chassis);
    let object = resource(schema::ENVIRONMENT_METRICS, &uri, "EnvironmentMetrics", "Environment Metrics");
    let mut members = Map::new();
    let inlet = thermal::sensors_in(snapshot, Unit::Celsius)
        .into_iter()
        .find(|(sensor, _)| sensor.place == Place::AirInlet);
    if let Some((inlet, _)) = inlet {
        members.insert("TemperatureCelsius".to_owned(), sensor::excerpt(snapshot, inlet));
    }
    let draw = thermal::sensors_in(snapshot, Unit::Watts).into_iter().next();
    if let Some((draw, _)) = draw {
        members.insert("PowerWatts".to_owned(), sensor::excerpt(snapshot, draw));
    }
    let fans: Vec<Value> = thermal::sensors_in(snapshot, Unit::Rpm)
        .into_iter()
        .map(|(fan, analog)| {
            let mut speed = thermal::fan_speed(snapshot, fan, analog);
            speed["DeviceName"] = fan.name.as_str().into();
            speed
        })
        .collect();
    members.insert("FanSpeedsPercent@odata.count".to_owned(), fans.len().into());
    members.insert("FanSpeedsPercent".to_owned(), fans.into());
    let watts = draw.and_then(|(draw, _)| sensor::reading(snapshot, draw));
    let limit = power_limit::render(snapshot.settings.dcmi.power_limit, watts);
    members.insert("PowerLimitWatts".to_owned(), limit);
    with(object, Value::Object(members))
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("Chassis", call.id)?;
    write::change(call, &machine, render, |_, shown| {
        let wanted = patch::read(&call.body, |faults| {
            let mut wanted = power_limit::Wanted::default();
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                name == "PowerLimitWatts" && {
                    wanted.take_control(pointer, value, &shown["PowerLimitWatts"], faults);
                    true
                }
            });
            (wanted, wanted.is_some())
        })?;
        Ok(wanted.change())
    })
    .await
}

/// FRU counts the minutes since 1996 (FRU Information Storage Definition §11).
const FRU_EPOCH_SECONDS: i64 = 820_454_400;

fn assembly(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Chassis", call.id)?.snapshot();
    let uri = format!("{}/Assembly", Uris::of(&snapshot).chassis);
    let image = fru::image(&snapshot.settings.fru, &snapshot.identity, snapshot.info.as_deref());
    // An image that a client is in the middle of writing says nothing.
    let inventory = Inventory::decode(&image).ok();
    let mut parts = Vec::new();
    if let Some(chassis) = inventory.as_ref().and_then(|inventory| inventory.chassis.as_ref()) {
        let fields = [("PartNumber", &chassis.part_number), ("SerialNumber", &chassis.serial)];
        parts.push(part("Chassis", "Chassis", 0, &fields));
    }
    if let Some(board) = inventory.as_ref().and_then(|inventory| inventory.board.as_ref()) {
        let fields = [
            ("Producer", &board.manufacturer),
            ("Model", &board.name),
            ("PartNumber", &board.part_number),
            ("SerialNumber", &board.serial),
        ];
        let mut part = part("Board", "SystemBoard", board.language, &fields);
        let since = SignedDuration::from_mins(board.manufactured.into());
        let made =
            Timestamp::from_second(FRU_EPOCH_SECONDS).ok().and_then(|epoch| epoch.checked_add(since).ok());
        if let Some(made) = made.filter(|_| board.manufactured > 0) {
            part.insert("ProductionDate".to_owned(), date_time(made).into());
        }
        parts.push(part);
    }
    if let Some(product) = inventory.as_ref().and_then(|inventory| inventory.product.as_ref()) {
        let fields = [
            ("Vendor", &product.manufacturer),
            ("Model", &product.name),
            ("PartNumber", &product.part_number),
            ("Version", &product.version),
            ("SerialNumber", &product.serial),
        ];
        parts.push(part("Product", "Chassis", product.language, &fields));
    }
    let parts: Vec<Value> = parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| {
            let mut object = Map::new();
            object.insert("@odata.id".to_owned(), format!("{uri}#/Assemblies/{at}").into());
            object.insert("MemberId".to_owned(), at.to_string().into());
            object.extend(part);
            Value::Object(object)
        })
        .collect();
    let members = json!({"Assemblies@odata.count": parts.len(), "Assemblies": parts});
    Ok(with(resource(schema::ASSEMBLY, &uri, "Assembly", "Assembly"), members))
}

/// One part, with the fields that are not empty.
fn part(name: &str, context: &str, language: u8, fields: &[(&str, &Field)]) -> Map<String, Value> {
    let mut part = Map::new();
    part.insert("Name".to_owned(), name.into());
    part.insert("PhysicalContext".to_owned(), context.into());
    for (name, field) in fields {
        let text = field.to_text(language);
        if !text.is_empty() {
            part.insert((*name).to_owned(), text.into());
        }
    }
    part
}
