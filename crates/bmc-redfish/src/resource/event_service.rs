//! `EventService`: how events are delivered, test events, and the stream of server-sent events.

use bmc_core::event::EventKind;
use http::StatusCode;
use http::header::{ETAG, HeaderName};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::auth::Standing;
use crate::error::Problem;
use crate::etag;
use crate::event::condition::PROPERTIES;
use crate::event::told::{EVENT_TYPES, RESOURCE_TYPES, is_message_id, registry_prefixes};
use crate::event::{ATTEMPTS_MAX, Condition, Format, INTERVAL_SECONDS_MAX, INTERVAL_SECONDS_MIN, Kept};
use crate::message::event::resource_event;
use crate::message::{self, Message};
use crate::negotiate;
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::query;
use crate::resource::action::Parameters;
use crate::resource::{Call, Content, OpenStream, Reply, event_destination, link, resource, with};
use crate::routes::{Route, answer_filtered, get, patch, post};
use crate::schema;

pub(super) const URI: &str = "/redfish/v1/EventService";
const STREAM_URI: &str = "/redfish/v1/EventService/SSE";
const SUBMIT_TEST: &str = "EventService.SubmitTestEvent";
const TEST_SUBSCRIPTION: &str = "EventService.TestEventSubscription";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Longest text of a test event in characters.
const TEXT_MAX_CHARS: usize = 1024;
/// The severities of messages.
pub(super) const SEVERITIES: [&str; 3] = ["OK", "Warning", "Critical"];

/// The event service.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/EventService",
        verbs: &[
            get(show, "EventService"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "`DeliveryRetryAttempts`, 0 to 100; `DeliveryRetryIntervalSeconds`, 1 to 3600",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/EventService/SSE",
        verbs: &[answer_filtered(
            stream,
            "server-sent events, from `Last-Event-ID` on, and metric reports; `$filter`",
        )],
    },
    Route {
        path: "/redfish/v1/EventService/Actions/EventService.SubmitTestEvent",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(async { submit_test(call) }),
            "tells all subscribers of a test event",
        )],
    },
    Route {
        path: "/redfish/v1/EventService/Actions/EventService.TestEventSubscription",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(async { test_subscription(call) }),
            "tells all subscribers of `ResourceEvent.TestMessage`",
        )],
    },
];

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.events.kept()))
}

fn render(kept: &Kept) -> Value {
    let object = resource(schema::EVENT_SERVICE, URI, "EventService", "Event Service");
    let members = json!({
        "ServiceEnabled": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "DeliveryRetryAttempts": kept.attempts,
        "DeliveryRetryIntervalSeconds": kept.interval_seconds,
        "EventFormatTypes": Format::NAMES.map(|(name, _)| name),
        "EventTypesForSubscription": EVENT_TYPES,
        "RegistryPrefixes": registry_prefixes(),
        "ResourceTypes": RESOURCE_TYPES,
        "Severities": SEVERITIES,
        "OriginResourcesSupported": true,
        "SubordinateResourcesSupported": true,
        "ExcludeMessageId": true,
        "ExcludeRegistryPrefix": true,
        "IncludeOriginOfConditionSupported": false,
        "SSEIncludeOriginOfConditionSupported": false,
        "ServerSentEventUri": STREAM_URI,
        "SSEFilterPropertiesSupported": filter_properties(),
        "Subscriptions": link(event_destination::COLLECTION_URI),
        "Actions": {
            "#EventService.SubmitTestEvent": {
                "target": format!("{URI}/Actions/{SUBMIT_TEST}"),
                "EventType@Redfish.AllowableValues": EVENT_TYPES,
                "MessageSeverity@Redfish.AllowableValues": SEVERITIES,
            },
            "#EventService.TestEventSubscription": {"target": format!("{URI}/Actions/{TEST_SUBSCRIPTION}")},
        },
    });
    with(object, members)
}

/// Which properties a stream can be filtered by.
fn filter_properties() -> Value {
    let mut supported: Map<String, Value> =
        PROPERTIES.into_iter().map(|name| (name.to_owned(), true.into())).collect();
    supported.insert("SubordinateResources".to_owned(), false.into());
    Value::Object(supported)
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let kept = call.service.events.change(|kept| {
        let shown = render(kept);
        if !etag::may_write(call.headers, &etag::of(&shown)) {
            return Err(Problem::precondition_failed());
        }
        let (attempts, interval) = patch::read(&call.body, |faults| {
            let (mut attempts, mut interval, mut anything) = (None, None, false);
            patch::each_property(&call.body, &shown, "", faults, |name, pointer, value, faults| {
                match name {
                    "DeliveryRetryAttempts" => attempts = number(pointer, value, 0, ATTEMPTS_MAX, faults),
                    "DeliveryRetryIntervalSeconds" => {
                        let (least, most) = (INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX);
                        interval = number(pointer, value, least, most, faults);
                    }
                    _ => return false,
                }
                anything = true;
                true
            });
            ((attempts, interval), anything)
        })?;
        kept.attempts = attempts.unwrap_or(kept.attempts);
        kept.interval_seconds = interval.unwrap_or(kept.interval_seconds);
        Ok(kept.clone())
    });
    let mut reply = Reply::empty(StatusCode::NO_CONTENT);
    if let Ok(tag) = etag::of(&render(&kept.await?)).parse() {
        reply.headers.push((ETAG, tag));
    }
    Ok(reply)
}

fn number(pointer: &str, value: &Value, least: u32, most: u32, faults: &mut Faults) -> Option<u32> {
    if !value.is_i64() && !value.is_u64() {
        faults.wrong_type(pointer, value);
        return None;
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (least..=most).contains(number));
    if number.is_none() {
        let args = [&patch::shown(value), pointer];
        faults.push(Message::new(message::PropertyValueOutOfRange, args).about(pointer));
    }
    number
}

/// Opens a stream.
fn stream(call: &Call<'_>, filter: Option<&query::Filter>) -> Result<Reply, Problem> {
    let condition = match filter {
        None => Condition::default(),
        Some(filter) => Condition::new(filter).ok_or_else(|| {
            let names = PROPERTIES.join(", ");
            query::wrong_format(&format!("compare {names} by eq or ne"), "$filter")
        })?,
    };
    let refuse = |status, name| Err(Problem::new(status, Message::new(message::HeaderInvalid, [name])));
    if !negotiate::takes_type(call.headers, "text/event-stream") {
        return refuse(StatusCode::NOT_ACCEPTABLE, "Accept");
    }
    let after = match call.headers.get(&LAST_EVENT_ID).map(|id| id.to_str().ok()?.parse().ok()) {
        Some(None) => return refuse(StatusCode::BAD_REQUEST, "Last-Event-ID"),
        Some(after) => after,
        None => None,
    };
    let user = call.caller.as_ref().map(|caller| caller.user.as_str()).unwrap_or_default();
    if call.is_head {
        // HEAD opens nothing.
        return Ok(Reply::empty(StatusCode::OK));
    }
    let standing = call.caller.as_ref().and_then(|caller| Standing::of(call.service, caller));
    let standing = standing.ok_or_else(Problem::unauthorized)?;
    let stream = call.service.events.stream(user, standing, condition, after);
    let stream = stream.ok_or_else(|| {
        let message = Message::new(message::CreateLimitReachedForResource, []);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    Ok(Reply::ok(Content::Stream(OpenStream::new(stream))))
}

/// Tells all subscribers of an event that says what the client wants it to say.
fn submit_test(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut parameters = Parameters::new(SUBMIT_TEST, &call.body);
    let mut details = Map::new();
    let id = parameters.required("MessageId").and_then(|value| parameters.string("MessageId", value));
    if let Some(id) = id.filter(|id| !is_message_id(id)) {
        let wanted = "Name a message as REGISTRY.MAJOR.MINOR.KEY, such as ResourceEvent.1.4.TestMessage.";
        parameters.not_in_list("MessageId", id, wanted);
    }
    for name in ["Message", "EventId", "OriginOfCondition", "Severity", "EventTimestamp"] {
        let Some(value) = parameters.optional(name) else { continue };
        let Some(text) = parameters.string(name, value) else { continue };
        let fits = match name {
            "EventTimestamp" => text.parse::<Timestamp>().is_ok(),
            "OriginOfCondition" => text.starts_with('/'),
            _ => true,
        };
        if !fits || text.chars().count() > TEXT_MAX_CHARS {
            let wanted = match name {
                "EventTimestamp" => "Give a time as 2026-01-31T12:00:00Z.",
                "OriginOfCondition" => {
                    "Give the URI of a resource of this service, of at most 1024 characters."
                }
                _ => "Give a shorter text.",
            };
            parameters.not_in_list(name, text, wanted);
        } else if name == "OriginOfCondition" {
            details.insert(name.to_owned(), link(text));
        } else {
            details.insert(name.to_owned(), text.into());
        }
    }
    let types = EVENT_TYPES.map(|name| (name, name));
    let severities = SEVERITIES.map(|name| (name, name));
    for (name, names) in [("EventType", &types[..]), ("MessageSeverity", &severities[..])] {
        let value = parameters.optional(name);
        if let Some(choice) = value.and_then(|value| parameters.choice(name, value, names)) {
            details.insert(name.to_owned(), choice.into());
        }
    }
    if let Some(value) = parameters.optional("EventGroupId") {
        if value.is_i64() || value.is_u64() {
            details.insert("EventGroupId".to_owned(), value.clone());
        } else {
            parameters.wrong_type("EventGroupId", value);
        }
    }
    if let Some(value) = parameters.optional("MessageArgs") {
        let short = |item: &Value| item.as_str().is_some_and(|text| text.chars().count() <= TEXT_MAX_CHARS);
        if value.as_array().is_some_and(|items| items.iter().all(short)) {
            details.insert("MessageArgs".to_owned(), value.clone());
        } else {
            parameters.wrong_type("MessageArgs", value);
        }
    }
    parameters.end()?;
    Ok(emit(call, id.unwrap_or_default().to_owned(), details))
}

fn test_subscription(call: &Call<'_>) -> Result<Reply, Problem> {
    Parameters::new(TEST_SUBSCRIPTION, &call.body).end()?;
    let message = Message::new(resource_event::TestMessage, []);
    let mut details = Map::new();
    details.insert("Message".to_owned(), message.text().into());
    details.insert("MessageArgs".to_owned(), json!(message.args));
    Ok(emit(call, message.id(), details))
}

fn emit(call: &Call<'_>, message: String, details: Map<String, Value>) -> Reply {
    let scope = &call.service.scope;
    let machine = scope.machine().map_or(Uuid::nil(), |machine| machine.snapshot().uuid);
    let kind = EventKind::Test { message, details: Value::Object(details) };
    let fleet = scope.fleet();
    fleet.events().emit(fleet.clock().timestamp(), &scope.lockout_name(), machine, kind);
    Reply::empty(StatusCode::NO_CONTENT)
}
