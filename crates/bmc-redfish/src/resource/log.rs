//! The System's `LogServices`: the one event log that IPMI calls SEL, and its entries.

use bmc_core::request::{Request, SelRequest};
use bmc_core::sel::{SEL_ENTRIES_MAX, SelEntry};
use bmc_core::snapshot::Snapshot;
use http::StatusCode;
use ipmi_wire::record::event_text::{EventSeverity, describe, severity};
use ipmi_wire::record::sel::{EventMessage, SENSOR_SPECIFIC, SelBody};
use serde_json::{Value, json};

use crate::error::{About, Asked, Problem, request_problem};
use crate::message::{self, Message};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::manager::clock;
use crate::resource::{Call, Reply, Uris, collection, link, resource, with};
use crate::routes::{Route, get, post};
use crate::schema;
use crate::service::resource_id;

/// The action's full name.
const CLEAR: &str = "LogService.ClearLog";
/// The id of the log.
const LOG: &str = "SEL";

/// The URI of the collection of a System's logs.
pub(super) fn services_uri(system: &str) -> String {
    format!("{system}/LogServices")
}

fn log_uri(system: &str) -> String {
    format!("{system}/LogServices/{LOG}")
}

fn entries_uri(system: &str) -> String {
    format!("{system}/LogServices/{LOG}/Entries")
}

/// The logs of the Systems.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Systems/{id}/LogServices", verbs: &[get(services, "LogServiceCollection")] },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL",
        verbs: &[get(service, "LogService: IPMI's system event log")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL/Actions/LogService.ClearLog",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(clear(call)),
            "clears the log; `LogEntriesETag` makes it conditional",
        )],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL/Entries",
        verbs: &[get(entries, "LogEntryCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL/Entries/{member}",
        verbs: &[get(entry, "LogEntry: a record of the log")],
    },
];

fn services(call: &Call<'_>) -> Result<Value, Problem> {
    let system = Uris::of(&call.service.machine("LogServiceCollection", call.id)?.snapshot()).system;
    let uri = services_uri(&system);
    Ok(collection::render(schema::LOG_SERVICE_COLLECTION, &uri, "Log Services", &[log_uri(&system)]))
}

fn service(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("LogService", call.id)?.snapshot();
    let system = Uris::of(&snapshot).system;
    let uri = log_uri(&system);
    let mut object = resource(schema::LOG_SERVICE, &uri, LOG, "System Event Log");
    clock::put(&mut object, &snapshot, call.service.scope.fleet().clock().timestamp());
    let members = json!({
        "Description": "The system event log, which IPMI shows too.",
        "LogEntryType": "SEL",
        "MaxNumberOfRecords": SEL_ENTRIES_MAX,
        "OverWritePolicy": "NeverOverWrites",
        "Overflow": snapshot.sel.state().overflow,
        "ServiceEnabled": snapshot.settings.system.event_logging,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Entries": link(&entries_uri(&system)),
        "Actions": {"#LogService.ClearLog": {"target": format!("{uri}/Actions/{CLEAR}")}},
    });
    Ok(with(object, members))
}

fn entries(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("LogEntryCollection", call.id)?.snapshot();
    let uri = entries_uri(&Uris::of(&snapshot).system);
    let members = snapshot.sel.entries().iter().map(|entry| render(&snapshot, entry)).collect();
    Ok(collection::render_expanded(schema::LOG_ENTRY_COLLECTION, &uri, "System Event Log Entries", members))
}

fn entry(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("LogEntry", call.id)?.snapshot();
    let id = call.member.parse().ok().filter(|id: &u16| id.to_string() == call.member);
    let entry = id.and_then(|id| snapshot.sel.entry(id));
    entry.map(|entry| render(&snapshot, entry)).ok_or_else(|| Problem::not_found("LogEntry", call.member))
}

fn render(snapshot: &Snapshot, entry: &SelEntry) -> Value {
    let id = entry.record.id.to_string();
    let uri = format!("{}/{id}", entries_uri(&Uris::of(snapshot).system));
    let mut object = resource(schema::LOG_ENTRY, &uri, &id, &format!("Log Entry {id}"));
    let written = |time| clock::written(snapshot, time, entry.utc_offset);
    object.insert("Created".to_owned(), written(entry.record.timestamp().unwrap_or(entry.added)).into());
    if let Some(time) = entry.record.timestamp() {
        object.insert("EventTimestamp".to_owned(), written(time).into());
    }
    let members = match &entry.record.body {
        SelBody::Event { generator, event, .. } => event_members(snapshot, *generator, event),
        SelBody::OemTimestamped { .. } | SelBody::Oem { .. } => {
            let bytes: String = entry.record.to_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
            json!({
                "EntryType": "Oem",
                "OemRecordFormat": format!("IPMI SEL record type {:02X}h", entry.record.record_type()),
                "Severity": "OK",
                "Message": bytes,
            })
        }
    };
    with(object, members)
}

fn event_members(snapshot: &Snapshot, generator: u16, event: &EventMessage) -> Value {
    let [one, two, three] = event.data;
    let sensor = snapshot.sensor_of(generator, event);
    let kind = u8::from(event.deasserted) << 7 | event.event_type;
    let mut members = json!({
        "EntryType": "SEL",
        "EntryCode": entry_code(event),
        "GeneratorId": format!("0x{generator:04X}"),
        "MessageId": format!("0x{kind:02X}{one:02X}{two:02X}{three:02X}"),
        "Message": describe(event, sensor.map(|sensor| sensor.name.as_str())),
        "SensorNumber": event.sensor_number,
        "Severity": match severity(event) {
            EventSeverity::Ok => "OK",
            EventSeverity::Warning => "Warning",
            EventSeverity::Critical => "Critical",
        },
    });
    let sensor_type = usize::from(event.sensor_type).checked_sub(1).and_then(|at| SENSOR_TYPES.get(at));
    members["SensorType"] = (*sensor_type.unwrap_or(&"OEM")).into();
    members
}

/// Redfish's names of the sensor types from 01h.
const SENSOR_TYPES: [&str; 44] = [
    "Temperature",
    "Voltage",
    "Current",
    "Fan",
    "Physical Chassis Security",
    "Platform Security Violation Attempt",
    "Processor",
    "Power Supply / Converter",
    "PowerUnit",
    "CoolingDevice",
    "Other Units-based Sensor",
    "Memory",
    "Drive Slot/Bay",
    "POST Memory Resize",
    "System Firmware Progress",
    "Event Logging Disabled",
    "Watchdog",
    "System Event",
    "Critical Interrupt",
    "Button/Switch",
    "Module/Board",
    "Microcontroller/Coprocessor",
    "Add-in Card",
    "Chassis",
    "ChipSet",
    "Other FRU",
    "Cable/Interconnect",
    "Terminator",
    "SystemBoot/Restart",
    "Boot Error",
    "BaseOSBoot/InstallationStatus",
    "OS Stop/Shutdown",
    "Slot/Connector",
    "System ACPI PowerState",
    "Watchdog",
    "Platform Alert",
    "Entity Presence",
    "Monitor ASIC/IC",
    "LAN",
    "Management Subsystem Health",
    "Battery",
    "Session Audit",
    "Version Change",
    "FRUState",
];

/// Redfish's names of the event/reading types from 01h, by offset.
const ENTRY_CODES: [&[&str]; 12] = [
    &[
        "Lower Non-critical - going low",
        "Lower Non-critical - going high",
        "Lower Critical - going low",
        "Lower Critical - going high",
        "Lower Non-recoverable - going low",
        "Lower Non-recoverable - going high",
        "Upper Non-critical - going low",
        "Upper Non-critical - going high",
        "Upper Critical - going low",
        "Upper Critical - going high",
        "Upper Non-recoverable - going low",
        "Upper Non-recoverable - going high",
    ],
    &["Transition to Idle", "Transition to Active", "Transition to Busy"],
    &["State Deasserted", "State Asserted"],
    &["Predictive Failure deasserted", "Predictive Failure asserted"],
    &["Limit Not Exceeded", "Limit Exceeded"],
    &["Performance Met", "Performance Lags"],
    &[
        "Transition to OK",
        "Transition to Non-Critical from OK",
        "Transition to Critical from less severe",
        "Transition to Non-recoverable from less severe",
        "Transition to Non-Critical from more severe",
        "Transition to Critical from Non-recoverable",
        "Transition to Non-recoverable",
        "Monitor",
        "Informational",
    ],
    &["Device Removed / Device Absent", "Device Inserted / Device Present"],
    &["Device Disabled", "Device Enabled"],
    &[
        "Transition to Running",
        "Transition to In Test",
        "Transition to Power Off",
        "Transition to On Line",
        "Transition to Off Line",
        "Transition to Off Duty",
        "Transition to Degraded",
        "Transition to Power Save",
        "Install Error",
    ],
    &[
        "Fully Redundant",
        "Redundancy Lost",
        "Redundancy Degraded",
        "Non-redundant:Sufficient Resources from Redundant",
        "Non-redundant:Sufficient Resources from Insufficient Resources",
        "Non-redundant:Insufficient Resources",
        "Redundancy Degraded from Fully Redundant",
        "Redundancy Degraded from Non-redundant",
    ],
    &["D0 Power State", "D1 Power State", "D2 Power State", "D3 Power State"],
];

/// What kind of event. Where the offset is defined by the type of the sensor, only whether it began or ended is said here.
fn entry_code(event: &EventMessage) -> &'static str {
    let plain = if event.deasserted { "Deassert" } else { "Assert" };
    if event.event_type == SENSOR_SPECIFIC {
        return plain;
    }
    let codes = usize::from(event.event_type).checked_sub(1).and_then(|at| ENTRY_CODES.get(at));
    match codes.map(|codes| codes.get(usize::from(event.offset()))) {
        Some(Some(code)) => code,
        Some(None) => plain,
        None => "OEM",
    }
}

/// Clears the log. There is no parameter but the ETag of the entries.
async fn clear(call: &Call<'_>) -> Result<Reply, Problem> {
    const ETAG: &str = "LogEntriesETag";
    let machine = call.service.machine("LogService", call.id)?;
    let mut parameters = Parameters::new(CLEAR, &call.body);
    let wanted = parameters.optional(ETAG);
    parameters.end()?;
    let mut if_erasures = None;
    if let Some(wanted) = wanted {
        let mut shown = entries(call)?;
        let tag = crate::etag::stamp(&mut shown);
        if wanted.as_str() != Some(tag.as_str()) {
            let problem = Message::new(message::PreconditionFailed, []);
            return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, problem));
        }
        if_erasures = Some(machine.snapshot().sel.erasures());
    }
    match machine.request(Request::Sel(SelRequest::Clear { if_erasures })).await {
        Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(error) => {
            let snapshot = machine.snapshot();
            let (uri, id) = (log_uri(&Uris::of(&snapshot).system), resource_id(&snapshot));
            Err(request_problem(&error, About { asked: Asked::Action(CLEAR), uri: &uri, id: &id }))
        }
    }
}
