//! `LogServices` of a Manager: what happened, as `polybmc events` tells it. The system event log, which IPMI shows too, is the System's.
//!
//! The daemon keeps the last events of all its BMCs, the newest of them over restarts; ids grow for ever. Clearing hides what came before, also after a restart.

use bmc_core::account::AccountChange;
use bmc_core::event::{EVENT_RING_ENTRIES, Event, EventKind, OperationStep};
use bmc_core::request::Request;
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use http::StatusCode;
use serde_json::{Value, json};

use super::clock;
use crate::error::{About, Asked, Problem, request_problem};
use crate::event::told;
use crate::message::Message;
use crate::message::event::resource_event;
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::{Call, Reply, Uris, collection, date_time, link, resource, with};
use crate::routes::{Route, get, post};
use crate::schema;
use crate::service::resource_id;

/// The action's full name.
const CLEAR: &str = "LogService.ClearLog";
/// The id of the log.
const LOG: &str = "Events";
/// Most entries that are shown: the newest.
const ENTRIES_MAX: usize = 1_000;

/// The logs of the Managers.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Managers/{id}/LogServices", verbs: &[get(services, "LogServiceCollection")] },
    Route {
        path: "/redfish/v1/Managers/{id}/LogServices/Events",
        verbs: &[get(service, "LogService: what happened to machine and BMC")],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/LogServices/Events/Actions/LogService.ClearLog",
        verbs: &[post(Privilege::ConfigureManager, |call| Box::pin(clear(call)), "clears the log")],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/LogServices/Events/Entries",
        verbs: &[get(entries, "LogEntryCollection")],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/LogServices/Events/Entries/{member}",
        verbs: &[get(entry, "LogEntry: an event")],
    },
];

/// The URI of the collection of a Manager's logs.
pub(super) fn services_uri(manager: &str) -> String {
    format!("{manager}/LogServices")
}

fn log_uri(manager: &str) -> String {
    format!("{manager}/LogServices/{LOG}")
}

fn entries_uri(manager: &str) -> String {
    format!("{}/Entries", log_uri(manager))
}

fn services(call: &Call<'_>) -> Result<Value, Problem> {
    let manager = Uris::of(&call.service.machine("LogServiceCollection", call.id)?.snapshot()).manager;
    let uri = services_uri(&manager);
    Ok(collection::render(schema::LOG_SERVICE_COLLECTION, &uri, "Log Services", &[log_uri(&manager)]))
}

fn service(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("LogService", call.id)?.snapshot();
    let manager = Uris::of(&snapshot).manager;
    let uri = log_uri(&manager);
    let mut object = resource(schema::LOG_SERVICE, &uri, LOG, "Events");
    clock::put(&mut object, &snapshot, call.service.scope.fleet().clock().timestamp());
    let members = json!({
        "Description": "What happened to the machine and its BMC.",
        "LogEntryType": "Event",
        "LogPurposes": ["Operations", "Security"],
        "MaxNumberOfRecords": ENTRIES_MAX.min(EVENT_RING_ENTRIES),
        "OverWritePolicy": "WrapsWhenFull",
        "Persistency": true,
        "ServiceEnabled": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Entries": link(&entries_uri(&manager)),
        "Actions": {"#LogService.ClearLog": {"target": format!("{uri}/Actions/{CLEAR}")}},
    });
    Ok(with(object, members))
}

fn events(call: &Call<'_>, snapshot: &Snapshot) -> Vec<Event> {
    let manager = &snapshot.settings.manager;
    let cleared = manager.log_cleared.max(manager.events_before);
    call.service.scope.fleet().events().last_of(&snapshot.name, cleared, ENTRIES_MAX)
}

fn entries(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("LogEntryCollection", call.id)?.snapshot();
    let uris = Uris::of(&snapshot);
    let members = events(call, &snapshot).iter().map(|event| render(event, &uris)).collect();
    let uri = entries_uri(&uris.manager);
    Ok(collection::render_expanded(schema::LOG_ENTRY_COLLECTION, &uri, "Event Entries", members))
}

fn entry(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("LogEntry", call.id)?.snapshot();
    let events = events(call, &snapshot);
    let event = events.iter().find(|event| event.id.to_string() == call.member);
    let event = event.ok_or_else(|| Problem::not_found("LogEntry", call.member))?;
    Ok(render(event, &Uris::of(&snapshot)))
}

/// An event as an entry: the message that subscribers get, and the event in its own words.
fn render(event: &Event, uris: &Uris) -> Value {
    let id = event.id.to_string();
    let uri = format!("{}/{id}", entries_uri(&uris.manager));
    let origin = if is_of_bmc(&event.kind) { &uris.manager } else { &uris.system };
    let mut words = event.kind.to_string();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut members = json!({
        "Description": format!("{words}."),
        "EntryType": "Event",
        "Created": date_time(event.time),
        "EventTimestamp": date_time(event.time),
        "EventId": id,
        "Severity": severity(&event.kind),
        "Links": {"OriginOfCondition": link(origin)},
    });
    match told::tell(event) {
        Some(told) => {
            for name in ["MessageId", "Message", "MessageArgs"] {
                if let Some(value) = told.record.get(name) {
                    members[name] = value.clone();
                }
            }
        }
        // Subscribers are not told of it, and OCP wants a message of every entry.
        None => {
            let message = Message::new(resource_event::ResourceChanged, []);
            members["MessageId"] = message.id().into();
            members["Message"] = message.text().into();
        }
    }
    with(resource(schema::LOG_ENTRY, &uri, &id, &format!("Event {id}")), members)
}

/// Whether an event is the BMC's own and not the machine's.
fn is_of_bmc(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Started
            | EventKind::Stopped
            | EventKind::BmcReset { .. }
            | EventKind::SessionOpened { .. }
            | EventKind::SessionClosed { .. }
            | EventKind::LoginFailed { .. }
            | EventKind::LockedOut { .. }
            | EventKind::AccountCreated { .. }
            | EventKind::AccountRemoved { .. }
            | EventKind::AccountChanged { .. }
    )
}

/// How bad it is.
fn severity(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::PowerFault { .. } | EventKind::Unavailable { .. } => "Critical",
        EventKind::Operation { step: OperationStep::Failed, .. } => "Critical",
        EventKind::Operation { step: OperationStep::Cancelled, .. } => "Warning",
        EventKind::AccountChanged { change: AccountChange::Disabled, .. } => "Warning",
        EventKind::ShutdownIgnored
        | EventKind::Nmi
        | EventKind::WatchdogPreTimeout { .. }
        | EventKind::WatchdogExpired { .. }
        | EventKind::LoginFailed { .. }
        | EventKind::LimitExceeded { .. }
        | EventKind::MediaFailed { .. }
        | EventKind::LockedOut { .. } => "Warning",
        EventKind::SensorThreshold(event) if event.asserted => "Warning",
        _ => "OK",
    }
}

/// Hides what there is.
async fn clear(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("LogService", call.id)?;
    Parameters::new(CLEAR, &call.body).end()?;
    let next = call.service.scope.fleet().events().next_id();
    let edit = Edit::new(move |edit| {
        edit.settings.manager.log_cleared = next.saturating_sub(1);
        Ok(())
    });
    match machine.request(Request::Edit(edit)).await {
        Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(error) => {
            let snapshot = machine.snapshot();
            let (uri, id) = (Uris::of(&snapshot).manager, resource_id(&snapshot));
            Err(request_problem(&error, About { asked: Asked::Action(CLEAR), uri: &uri, id: &id }))
        }
    }
}
