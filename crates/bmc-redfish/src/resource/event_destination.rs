//! `EventDestination`: who is told of events, by push or by stream.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, HeaderName, LOCATION, TRANSFER_ENCODING,
};
use http::{HeaderValue, StatusCode};
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::etag;
use crate::event::told::{EVENT_TYPES, RESOURCE_TYPES, is_message_id, registry_prefixes};
use crate::event::{
    Failure, Filter, Format, Kept, RetryPolicy, SUBSCRIPTIONS_MAX, SecretHeader, Stream, Subscription,
};
use crate::message::event::resource_event;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::event_service::SEVERITIES;
use crate::resource::telemetry;
use crate::resource::{Call, Content, Reply, collection, date_time, link, resource, with};
use crate::routes::{Access, Route, delete, get, patch, post};
use crate::schema;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/EventService/Subscriptions";
/// Longest destination in characters.
const DESTINATION_MAX_CHARS: usize = 2048;
/// Longest context and longest item of a list in characters.
const TEXT_MAX_CHARS: usize = 1024;
/// Items of a list at most.
const ITEMS_MAX: usize = 64;
/// Headers sent with an event at most.
const HEADERS_MAX: usize = 16;
/// Headers that are not a client's to set.
const RESERVED: [HeaderName; 5] = [HOST, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, CONNECTION];
/// Properties that filter events.
const EVENT_FILTERS: [&str; 9] = [
    "/RegistryPrefixes",
    "/ExcludeRegistryPrefixes",
    "/ResourceTypes",
    "/Severities",
    "/EventTypes",
    "/MessageIds",
    "/ExcludeMessageIds",
    "/OriginResources",
    "/SubordinateResources",
];
const SECRETS: &[&str] = &["HttpHeaders"];
const SUSPEND: &str = "EventDestination.SuspendSubscription";
const RESUME: &str = "EventDestination.ResumeSubscription";

/// One's own, or any for an administrator.
const OWN: Access = Access::OwnOr(Privilege::ConfigureManager);

/// The subscriptions.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/EventService/Subscriptions",
        verbs: &[
            get(collection, "EventDestinationCollection"),
            post(
                Privilege::ConfigureComponents,
                |call| Box::pin(create(call)),
                "subscribes: 201, `Location`",
            )
            .secret(SECRETS),
        ],
    },
    Route {
        path: "/redfish/v1/EventService/Subscriptions/{id}",
        verbs: &[
            get(show, "EventDestination; a stream of server-sent events is one too"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "`Context`, `DeliveryRetryPolicy`, `HttpHeaders`, `VerifyCertificate`",
            )
            .access(OWN)
            .secret(SECRETS),
            delete(
                Privilege::ConfigureManager,
                |call| Box::pin(remove(call)),
                "ends a subscription or a stream: one's own, or any for an administrator",
            )
            .access(OWN),
        ],
    },
    Route {
        path: "/redfish/v1/EventService/Subscriptions/{id}/Actions/EventDestination.SuspendSubscription",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(suspend(call, SUSPEND, true)),
            "sends nothing until it is resumed",
        )
        .access(OWN)],
    },
    Route {
        path: "/redfish/v1/EventService/Subscriptions/{id}/Actions/EventDestination.ResumeSubscription",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(suspend(call, RESUME, false)),
            "sends again what happens from now on",
        )
        .access(OWN)],
    },
];

fn uri(id: u64) -> String {
    format!("{COLLECTION_URI}/{id}")
}

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let events = &call.service.events;
    let kept = events.kept();
    let mut ids: Vec<u64> = kept.subscriptions.keys().copied().collect();
    ids.extend(events.streams().iter().map(|stream| stream.id));
    ids.sort_unstable();
    let members: Vec<String> = ids.into_iter().map(uri).collect();
    let name = "Event Subscriptions";
    Ok(collection::render(schema::EVENT_DESTINATION_COLLECTION, COLLECTION_URI, name, &members))
}

/// Something that is told of events.
enum Destination {
    Push(Subscription),
    Stream(Stream),
}

impl Destination {
    fn user(&self) -> &str {
        match self {
            Self::Push(subscription) => &subscription.user,
            Self::Stream(stream) => &stream.user,
        }
    }
}

fn missing(call: &Call<'_>) -> Problem {
    Problem::not_found("EventDestination", call.id)
}

fn find(call: &Call<'_>) -> Result<(u64, Destination), Problem> {
    let id: u64 = call.id.parse().map_err(|_| missing(call))?;
    if id.to_string() != call.id {
        return Err(missing(call));
    }
    let events = &call.service.events;
    if let Some(subscription) = events.subscription(id) {
        return Ok((id, Destination::Push(subscription)));
    }
    let stream = events.streams().into_iter().find(|stream| stream.id == id);
    stream.map(|stream| (id, Destination::Stream(stream))).ok_or_else(|| missing(call))
}

/// The same, for who may change it.
fn find_own(call: &Call<'_>) -> Result<(u64, Destination), Problem> {
    let (id, destination) = find(call)?;
    let caller = call.caller.as_ref().ok_or_else(Problem::unauthorized)?;
    if caller.user != destination.user() {
        caller.require(Privilege::ConfigureManager)?;
    }
    Ok((id, destination))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(match find(call)? {
        (id, Destination::Push(subscription)) => {
            render(&subscription, call.service.events.failure(id).as_ref())
        }
        (_, Destination::Stream(stream)) => render_stream(&stream),
    })
}

fn render_stream(stream: &Stream) -> Value {
    let id = stream.id.to_string();
    let object = resource(schema::EVENT_DESTINATION, &uri(stream.id), &id, "Event Stream");
    let members = json!({
        "SubscriptionType": "SSE",
        "Protocol": "Redfish",
        // One that carries both is named by what has to be asked for.
        "EventFormatType": if stream.condition.reports().is_empty() { Format::Event } else { Format::MetricReport }.as_str(),
        "Context": stream.user,
        "Status": {"State": "Enabled", "Health": "OK"},
    });
    with(object, members)
}

fn render(subscription: &Subscription, failure: Option<&Failure>) -> Value {
    let uri = uri(subscription.id);
    let id = subscription.id.to_string();
    let mut object = resource(schema::EVENT_DESTINATION, &uri, &id, "Event Subscription");
    let filter = &subscription.filter;
    let policy = RetryPolicy::NAMES.iter().find(|(_, policy)| *policy == subscription.policy);
    let mut status = json!({
        "State": if subscription.suspended { "Disabled" } else { "Enabled" },
        "Health": if failure.is_some() { "Warning" } else { "OK" },
    });
    if let Some(failure) = failure {
        let message = Message::new(resource_event::ResourceErrorsDetected, ["Destination", &failure.reason]);
        status["Conditions"] = json!([{
            "MessageId": message.id(),
            "Message": message.text(),
            "MessageArgs": message.args,
            "Severity": message.entry.severity,
            "Timestamp": date_time(failure.time),
        }]);
    }
    let members = json!({
        "SubscriptionType": "RedfishEvent",
        "Protocol": "Redfish",
        "EventFormatType": subscription.format.as_str(),
        "Destination": subscription.destination,
        "Context": subscription.context,
        // Never shown, says the schema.
        "HttpHeaders": [],
        "VerifyCertificate": subscription.verify,
        "DeliveryRetryPolicy": policy.map(|(name, _)| name),
        "Status": status,
        "Actions": {
            "#EventDestination.SuspendSubscription": {"target": format!("{uri}/Actions/{SUSPEND}")},
            "#EventDestination.ResumeSubscription": {"target": format!("{uri}/Actions/{RESUME}")},
        },
    });
    let lists = [
        ("RegistryPrefixes", &filter.registry_prefixes),
        ("MessageIds", &filter.message_ids),
        ("ExcludeRegistryPrefixes", &filter.exclude_registry_prefixes),
        ("ExcludeMessageIds", &filter.exclude_message_ids),
        ("ResourceTypes", &filter.resource_types),
        ("Severities", &filter.severities),
        ("EventTypes", &filter.event_types),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        object.insert(name.to_owned(), json!(list));
    }
    if !filter.origins.is_empty() {
        let origins: Vec<Value> = filter.origins.iter().map(|origin| link(origin)).collect();
        object.insert("OriginResources@odata.count".to_owned(), origins.len().into());
        object.insert("OriginResources".to_owned(), origins.into());
    }
    if !subscription.reports.is_empty() {
        let reports: Vec<Value> =
            subscription.reports.iter().map(|id| link(&telemetry::definition_uri(id))).collect();
        object.insert("MetricReportDefinitions@odata.count".to_owned(), reports.len().into());
        object.insert("MetricReportDefinitions".to_owned(), reports.into());
    }
    if let Some(subordinate) = filter.subordinate {
        object.insert("SubordinateResources".to_owned(), subordinate.into());
    }
    with(object, members)
}

/// Subscribes. 201 with the subscription and where it is.
async fn create(call: &Call<'_>) -> Result<Reply, Problem> {
    let user = call.caller.as_ref().map(|caller| caller.user.clone()).unwrap_or_default();
    let wanted = read_new(&call.body, user)?;
    let subscription = call.service.events.change(|kept: &mut Kept| {
        if kept.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let message = Message::new(message::CreateLimitReachedForResource, []);
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, message));
        }
        let subscription = Subscription { id: kept.take_id(), ..wanted };
        kept.subscriptions.insert(subscription.id, subscription.clone());
        Ok(subscription)
    });
    let subscription = subscription.await?;
    let location = HeaderValue::from_str(&uri(subscription.id)).map_err(|_| Problem::internal())?;
    let content = Content::Resource(render(&subscription, None));
    Ok(Reply { status: StatusCode::CREATED, headers: vec![(LOCATION, location)], content })
}

/// Reads what is asked for; every fault is told.
fn read_new(body: &Map<String, Value>, user: String) -> Result<Subscription, Problem> {
    let mut faults = Faults::default();
    let mut wanted = Subscription {
        id: 0,
        user,
        destination: String::new(),
        context: None,
        headers: Vec::new(),
        filter: Filter::default(),
        format: Format::default(),
        reports: Vec::new(),
        verify: false,
        policy: RetryPolicy::default(),
        suspended: false,
    };
    for name in ["Destination", "Protocol"].into_iter().filter(|name| !body.contains_key(*name)) {
        let pointer = format!("/{name}");
        faults.push(Message::new(message::PropertyMissing, [&pointer]).about(&pointer));
    }
    let shown = json!({"Id": "", "Name": "", "Status": {}, "Actions": {}});
    patch::each_property(body, &shown, "", &mut faults, |name, pointer, value, faults| {
        let only = |text: &'static str, faults: &mut Faults| {
            faults.choice(pointer, value, &[(text, ())]);
        };
        let filter = &mut wanted.filter;
        match name {
            "Destination" => wanted.destination = destination(pointer, value, faults).unwrap_or_default(),
            "Protocol" => only("Redfish", faults),
            "SubscriptionType" if !value.is_null() => only("RedfishEvent", faults),
            "EventFormatType" if !value.is_null() => {
                wanted.format = faults.choice(pointer, value, &Format::NAMES).unwrap_or_default();
            }
            "MetricReportDefinitions" => wanted.reports = reports(pointer, value, faults),
            "SubscriptionType" | "EventFormatType" => {}
            "RegistryPrefixes" => {
                filter.registry_prefixes = list(pointer, value, Some(&registry_prefixes()), faults);
            }
            "ExcludeRegistryPrefixes" => {
                filter.exclude_registry_prefixes = list(pointer, value, Some(&registry_prefixes()), faults);
            }
            "ResourceTypes" => filter.resource_types = list(pointer, value, Some(&RESOURCE_TYPES), faults),
            "Severities" => filter.severities = list(pointer, value, Some(&SEVERITIES), faults),
            "EventTypes" => filter.event_types = list(pointer, value, Some(&EVENT_TYPES), faults),
            "MessageIds" => filter.message_ids = message_ids(pointer, value, faults),
            "ExcludeMessageIds" => filter.exclude_message_ids = message_ids(pointer, value, faults),
            "OriginResources" => filter.origins = origins(pointer, value, faults),
            "SubordinateResources" if value.is_null() => {}
            "SubordinateResources" => filter.subordinate = faults.boolean(pointer, value),
            _ => return take_writable(&mut wanted, name, pointer, value, faults),
        }
        true
    });
    // What is filtered by has to be in what is sent.
    let idle = match wanted.format {
        Format::Event if !wanted.reports.is_empty() => Some("/MetricReportDefinitions"),
        Format::MetricReport if wanted.filter != Filter::default() => {
            EVENT_FILTERS.into_iter().find(|pointer| body.contains_key(&pointer[1..]))
        }
        Format::Event | Format::MetricReport => None,
    };
    if let Some(pointer) = idle {
        let args = [pointer, "/EventFormatType"];
        faults.push(Message::new(message::PropertyValueConflict, args).about(pointer));
    }
    if faults.is_empty() { Ok(wanted) } else { Err(Problem::bad_request(faults.into_messages())) }
}

/// Takes a property that may be written at any time; `false` when it is none of these.
fn take_writable(
    wanted: &mut Subscription,
    name: &str,
    pointer: &str,
    value: &Value,
    faults: &mut Faults,
) -> bool {
    match name {
        "Context" => {
            let context = faults.nullable_string(pointer, value).flatten();
            wanted.context = context.and_then(|text| short(pointer, text, TEXT_MAX_CHARS, faults));
        }
        "HttpHeaders" if value.is_null() => wanted.headers.clear(),
        "HttpHeaders" => wanted.headers = headers(pointer, value, faults),
        "VerifyCertificate" if value.is_null() => wanted.verify = false,
        "VerifyCertificate" => wanted.verify = faults.boolean(pointer, value).unwrap_or_default(),
        "DeliveryRetryPolicy" if value.is_null() => wanted.policy = RetryPolicy::default(),
        "DeliveryRetryPolicy" => {
            wanted.policy = faults.choice(pointer, value, &RetryPolicy::NAMES).unwrap_or_default();
        }
        _ => return false,
    }
    true
}

fn short(pointer: &str, text: &str, max: usize, faults: &mut Faults) -> Option<String> {
    if text.chars().count() > max {
        let args = [text, &max.to_string()];
        faults.push(Message::new(message::StringValueTooLong, args).about(pointer));
        return None;
    }
    Some(text.to_owned())
}

fn wrong_format(pointer: &str, text: &str, faults: &mut Faults) {
    faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
}

/// An HTTP URL. A password in it would be shown; `HttpHeaders` has a place for one that is not.
fn destination(pointer: &str, value: &Value, faults: &mut Faults) -> Option<String> {
    let text = short(pointer, faults.string(pointer, value)?, DESTINATION_MAX_CHARS, faults)?;
    let url = Url::parse(&text).ok().filter(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if url.is_none() {
        let shown = crate::secret::without_userinfo(&text).unwrap_or_else(|| text.clone());
        wrong_format(pointer, &shown, faults);
    }
    url.map(|_| text)
}

/// The items of an array with their pointers; a value of another type is a fault.
fn items<'a>(pointer: &str, value: &'a Value, faults: &mut Faults) -> Vec<(String, &'a Value)> {
    let Some(items) = value.as_array() else {
        faults.wrong_type(pointer, value);
        return Vec::new();
    };
    if items.len() > ITEMS_MAX {
        faults.push(Message::new(message::PropertyValueError, [pointer]).about(pointer));
        return Vec::new();
    }
    items.iter().enumerate().map(|(n, item)| (format!("{pointer}/{n}"), item)).collect()
}

/// Strings, each one of those known where there are only some.
fn list(pointer: &str, value: &Value, known: Option<&[&str]>, faults: &mut Faults) -> Vec<String> {
    let mut list = Vec::new();
    for (pointer, item) in items(pointer, value, faults) {
        let Some(text) = faults.string(&pointer, item) else { continue };
        let Some(text) = short(&pointer, text, TEXT_MAX_CHARS, faults) else { continue };
        if let Some(known) = known.filter(|known| !known.contains(&text.as_str())) {
            faults.not_in_list(&pointer, &text, known.iter().copied());
        } else if !list.contains(&text) {
            list.push(text);
        }
    }
    list
}

fn message_ids(pointer: &str, value: &Value, faults: &mut Faults) -> Vec<String> {
    let ids = list(pointer, value, None, faults);
    for (n, id) in ids.iter().enumerate().filter(|(_, id)| !is_message_id(id)) {
        wrong_format(&format!("{pointer}/{n}"), id, faults);
    }
    ids
}

/// References to definitions of metric reports, as their ids.
fn reports(pointer: &str, value: &Value, faults: &mut Faults) -> Vec<String> {
    let known = telemetry::report_ids().map(|id| (telemetry::definition_uri(id), id));
    let names = || known.iter().map(|(uri, _)| uri.as_str());
    let mut reports = Vec::new();
    for (pointer, item) in items(pointer, value, faults) {
        let Some(uri) = item.get("@odata.id") else {
            faults.wrong_type(&pointer, item);
            continue;
        };
        let Some(uri) = faults.string(&pointer, uri) else { continue };
        match known.iter().find(|(known, _)| known == uri.trim_end_matches('/')) {
            None => faults.not_in_list(&pointer, uri, names()),
            Some((_, id)) if !reports.iter().any(|known| known == id) => reports.push((*id).to_owned()),
            Some(_) => {}
        }
    }
    reports
}

/// References to resources.
fn origins(pointer: &str, value: &Value, faults: &mut Faults) -> Vec<String> {
    let mut origins = Vec::new();
    for (pointer, item) in items(pointer, value, faults) {
        let Some(uri) = item.get("@odata.id") else {
            faults.wrong_type(&pointer, item);
            continue;
        };
        let Some(uri) = faults.string(&pointer, uri) else { continue };
        let Some(uri) = short(&pointer, uri, TEXT_MAX_CHARS, faults) else { continue };
        if uri.starts_with("/redfish/v1") { origins.push(uri) } else { wrong_format(&pointer, &uri, faults) }
    }
    origins
}

/// Objects of names and values. What is wrong with a value is not said by showing it.
fn headers(pointer: &str, value: &Value, faults: &mut Faults) -> Vec<SecretHeader> {
    let mut headers = Vec::new();
    for (pointer, item) in items(pointer, value, faults) {
        let fault = Message::new(message::PropertyValueError, [&pointer]).about(&pointer);
        let Some(object) = item.as_object() else {
            faults.push(fault);
            continue;
        };
        for (name, value) in object {
            let known = HeaderName::try_from(name.as_str()).ok().filter(|name| !RESERVED.contains(name));
            let good = value.as_str().filter(|value| HeaderValue::from_str(value).is_ok() && known.is_some());
            match good {
                Some(value) => headers.push(SecretHeader { name: name.clone(), value: value.to_owned() }),
                None => faults.push(fault.clone()),
            }
        }
    }
    if headers.len() > HEADERS_MAX {
        faults.push(Message::new(message::PropertyValueError, [pointer]).about(pointer));
    }
    headers
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let (id, destination) = find_own(call)?;
    let events = &call.service.events;
    let Destination::Push(_) = destination else {
        let shown = show(call)?;
        // A stream has nothing that could be written.
        return patch::read(&call.body, |faults| {
            patch::each_property(&call.body, &shown, "", faults, |_, _, _, _| false);
            ((), false)
        })
        .map(|()| Reply::empty(StatusCode::NO_CONTENT));
    };
    let failure = events.failure(id);
    let changed = events.change(|kept: &mut Kept| {
        let subscription = kept.subscriptions.get_mut(&id).ok_or_else(|| missing(call))?;
        let shown = render(subscription, failure.as_ref());
        if !etag::may_write(call.headers, &etag::of(&shown)) {
            return Err(Problem::precondition_failed());
        }
        let mut wanted = subscription.clone();
        patch::read(&call.body, |faults| {
            let mut anything = false;
            patch::each_property(&call.body, &shown, "", faults, |name, pointer, value, faults| {
                let taken = take_writable(&mut wanted, name, pointer, value, faults);
                anything |= taken;
                taken
            });
            ((), anything)
        })?;
        *subscription = wanted;
        Ok(subscription.clone())
    });
    let mut reply = Reply::empty(StatusCode::NO_CONTENT);
    if let Ok(tag) = etag::of(&render(&changed.await?, failure.as_ref())).parse() {
        reply.headers.push((ETAG, tag));
    }
    Ok(reply)
}

async fn remove(call: &Call<'_>) -> Result<Reply, Problem> {
    let events = &call.service.events;
    match find_own(call)? {
        (id, Destination::Stream(_)) => {
            events.close(id);
        }
        (id, Destination::Push(_)) => {
            events
                .change(|kept: &mut Kept| {
                    kept.subscriptions.remove(&id).map(drop).ok_or_else(|| missing(call))
                })
                .await?;
        }
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Suspends a subscription, or resumes it.
async fn suspend(call: &Call<'_>, action: &'static str, suspended: bool) -> Result<Reply, Problem> {
    let (id, destination) = find_own(call)?;
    Parameters::new(action, &call.body).end()?;
    let Destination::Push(_) = destination else {
        return Err(Problem::bad_request(vec![Message::new(message::ActionNotSupported, [action])]));
    };
    let change = |kept: &mut Kept| {
        let subscription = kept.subscriptions.get_mut(&id).ok_or_else(|| missing(call))?;
        subscription.suspended = suspended;
        Ok(())
    };
    call.service.events.change(change).await?;
    if !suspended {
        call.service.events.forgive(id);
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
