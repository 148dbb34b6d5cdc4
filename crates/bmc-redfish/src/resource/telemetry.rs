//! `TelemetryService`: reports of what the sensors read, made each minute for those who subscribe to them, and when they are asked for.

use std::time::Duration;

use bmc_core::sensor::{Analog, Sensor, SensorReading, Unit};
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::error::Problem;
use crate::resource::{Call, Uris, collection, date_time, link, resource, sensor, with};
use crate::routes::{Route, get};
use crate::schema;
use crate::scope::Scope;

/// How often reports are made for subscribers, and the same as the schema writes it.
const PERIOD: Duration = Duration::from_secs(60);
const RECURRENCE: &str = "PT1M";

pub(super) const URI: &str = "/redfish/v1/TelemetryService";
const METRICS_URI: &str = "/redfish/v1/TelemetryService/MetricDefinitions";
const DEFINITIONS_URI: &str = "/redfish/v1/TelemetryService/MetricReportDefinitions";
const REPORTS_URI: &str = "/redfish/v1/TelemetryService/MetricReports";

/// The reports, by id, name and the units of the sensors in them.
const REPORTS: [(&str, &str, &[Unit]); 3] = [
    ("Power", "Power Draw", &[Unit::Watts]),
    ("Thermal", "Temperatures and Fans", &[Unit::Celsius, Unit::Rpm]),
    ("Utilization", "Use of Processors and Memory", &[Unit::Percent]),
];

/// The telemetry service.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/TelemetryService", verbs: &[get(show, "TelemetryService")] },
    Route {
        path: "/redfish/v1/TelemetryService/MetricDefinitions",
        verbs: &[get(metrics, "MetricDefinitionCollection: one for each analogue sensor")],
    },
    Route {
        path: "/redfish/v1/TelemetryService/MetricDefinitions/{id}",
        verbs: &[get(show_metric, "MetricDefinition")],
    },
    Route {
        path: "/redfish/v1/TelemetryService/MetricReportDefinitions",
        verbs: &[get(definitions, "MetricReportDefinitionCollection: `Power`, `Thermal`, `Utilization`")],
    },
    Route {
        path: "/redfish/v1/TelemetryService/MetricReportDefinitions/{id}",
        verbs: &[get(show_definition, "MetricReportDefinition")],
    },
    Route {
        path: "/redfish/v1/TelemetryService/MetricReports",
        verbs: &[get(reports, "MetricReportCollection")],
    },
    Route {
        path: "/redfish/v1/TelemetryService/MetricReports/{id}",
        verbs: &[get(show_report, "MetricReport as it is now; subscribers are sent one each minute")],
    },
];

fn show(_: &Call<'_>) -> Result<Value, Problem> {
    let object = resource(schema::TELEMETRY_SERVICE, URI, "TelemetryService", "Telemetry Service");
    let members = json!({
        "ServiceEnabled": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "MaxReports": REPORTS.len(),
        "MetricDefinitions": link(METRICS_URI),
        "MetricReportDefinitions": link(DEFINITIONS_URI),
        "MetricReports": link(REPORTS_URI),
    });
    Ok(with(object, members))
}

/// The analogue sensors of a machine.
fn sensors(snapshot: &Snapshot) -> impl Iterator<Item = (&Sensor, &Analog)> {
    snapshot.sensors().iter().filter_map(|sensor| Some((sensor, sensor.analog()?)))
}

/// Where a sensor's reading is.
fn property(snapshot: &Snapshot, sensor: &Sensor) -> String {
    let chassis = Uris::of(snapshot).chassis;
    format!("{}/{}/Reading", sensor::collection_uri(&chassis), sensor::id(sensor))
}

/// The metrics, each with a sensor that is one, and where its readings are.
fn all_metrics(call: &Call<'_>) -> Vec<(String, Sensor, Vec<String>)> {
    let mut metrics: Vec<(String, Sensor, Vec<String>)> = Vec::new();
    for machine in call.service.scope.machines() {
        let snapshot = machine.snapshot();
        for (sensor, _) in sensors(&snapshot) {
            let (id, property) = (sensor::id(sensor), property(&snapshot, sensor));
            match metrics.iter_mut().find(|(known, _, _)| *known == id) {
                Some((_, _, properties)) => properties.push(property),
                None => metrics.push((id, sensor.clone(), vec![property])),
            }
        }
    }
    metrics
}

fn metrics(call: &Call<'_>) -> Result<Value, Problem> {
    let members: Vec<String> =
        all_metrics(call).iter().map(|(id, _, _)| format!("{METRICS_URI}/{id}")).collect();
    let name = "Metric Definitions";
    Ok(collection::render(schema::METRIC_DEFINITION_COLLECTION, METRICS_URI, name, &members))
}

fn show_metric(call: &Call<'_>) -> Result<Value, Problem> {
    let missing = || Problem::not_found("MetricDefinition", call.id);
    let found = all_metrics(call).into_iter().find(|(id, _, _)| id == call.id);
    let (id, metric, properties) = found.ok_or_else(missing)?;
    let analog = metric.analog().ok_or_else(missing)?;
    let object = resource(schema::METRIC_DEFINITION, &format!("{METRICS_URI}/{id}"), &id, &metric.name);
    let members = json!({
        "MetricType": "Gauge",
        "MetricDataType": "Decimal",
        "Units": sensor::units(analog.unit).1,
        "Calculable": "NonSummable",
        "IsLinear": true,
        "MinReadingRange": 0,
        "MaxReadingRange": analog.value(analog.raw_max),
        "MetricProperties": properties,
    });
    Ok(with(object, members))
}

fn definitions(_: &Call<'_>) -> Result<Value, Problem> {
    let members = REPORTS.map(|(id, _, _)| format!("{DEFINITIONS_URI}/{id}"));
    let name = "Metric Report Definitions";
    Ok(collection::render(schema::METRIC_REPORT_DEFINITION_COLLECTION, DEFINITIONS_URI, name, &members))
}

fn reports(_: &Call<'_>) -> Result<Value, Problem> {
    let members = REPORTS.map(|(id, _, _)| format!("{REPORTS_URI}/{id}"));
    Ok(collection::render(schema::METRIC_REPORT_COLLECTION, REPORTS_URI, "Metric Reports", &members))
}

fn find(kind: &str, id: &str) -> Result<(&'static str, &'static str, &'static [Unit]), Problem> {
    let found = REPORTS.into_iter().find(|(known, _, _)| *known == id);
    found.ok_or_else(|| Problem::not_found(kind, id))
}

fn is_in(sensor: &Sensor, units: &[Unit]) -> bool {
    sensor.analog().is_some_and(|analog| units.contains(&analog.unit))
}

fn show_definition(call: &Call<'_>) -> Result<Value, Problem> {
    let (id, name, units) = find("MetricReportDefinition", call.id)?;
    let uri = format!("{DEFINITIONS_URI}/{id}");
    let metrics = all_metrics(call);
    let metrics = metrics.iter().filter(|(_, sensor, _)| is_in(sensor, units));
    let metrics: Vec<Value> =
        metrics.map(|(id, _, properties)| json!({"MetricId": id, "MetricProperties": properties})).collect();
    let object = resource(schema::METRIC_REPORT_DEFINITION, &uri, id, name);
    let members = json!({
        "MetricReportDefinitionType": "Periodic",
        "Schedule": {"RecurrenceInterval": RECURRENCE},
        "MetricReportDefinitionEnabled": true,
        "ReportActions": ["LogToMetricReportsCollection", "RedfishEvent"],
        "ReportUpdates": "Overwrite",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Metrics": metrics,
        "MetricReport": link(&format!("{REPORTS_URI}/{id}")),
    });
    Ok(with(object, members))
}

fn show_report(call: &Call<'_>) -> Result<Value, Problem> {
    report(&call.service.scope, call.id).ok_or_else(|| Problem::not_found("MetricReport", call.id))
}

/// When reports are to be made for somebody who came now.
pub(crate) fn periods() -> Interval {
    let mut periods = interval_at(Instant::now() + PERIOD, PERIOD);
    periods.set_missed_tick_behavior(MissedTickBehavior::Delay);
    periods
}

/// The ids of all reports, and of their definitions.
pub(crate) fn report_ids() -> [&'static str; REPORTS.len()] {
    REPORTS.map(|(id, _, _)| id)
}

/// Where the definition of a report is.
pub(crate) fn definition_uri(id: &str) -> String {
    format!("{DEFINITIONS_URI}/{id}")
}

/// A report as it is now; none where there is none with this id.
pub(crate) fn report(scope: &Scope, id: &str) -> Option<Value> {
    let (id, name, units) = REPORTS.into_iter().find(|(known, _, _)| *known == id)?;
    let time = date_time(scope.fleet().clock().timestamp());
    let mut values = Vec::new();
    for machine in scope.machines() {
        let snapshot = machine.snapshot();
        for (sensor, analog) in sensors(&snapshot).filter(|(sensor, _)| is_in(sensor, units)) {
            let enabled = snapshot.settings.sensors.enables(sensor).scanning;
            let raw = snapshot.readings.get(sensor.number).and_then(SensorReading::raw).filter(|_| enabled);
            // What has no reading now, as that of a machine that is off, has no value either.
            let Some(raw) = raw else { continue };
            let metric = sensor::id(sensor);
            values.push(json!({
                "MetricDefinition": link(&format!("{METRICS_URI}/{metric}")),
                "MetricId": metric,
                "MetricProperty": property(&snapshot, sensor),
                "MetricValue": analog.value(raw).to_string(),
                "Timestamp": time,
            }));
        }
    }
    let object = resource(schema::METRIC_REPORT, &format!("{REPORTS_URI}/{id}"), id, name);
    let members = json!({
        "Timestamp": time,
        "MetricReportDefinition": link(&definition_uri(id)),
        "MetricValues": values,
    });
    Some(with(object, members))
}
