//! The resources, one file each, and what they have in common.

pub(crate) mod account;
mod action;
pub(crate) mod action_info;
mod apply_time;
pub(crate) mod bios;
pub(crate) mod bios_registry;
pub(crate) mod boot_option;
pub(crate) mod certificate;
pub(crate) mod chassis;
mod collection;
mod console;
pub(crate) mod environment;
pub(crate) mod event_destination;
pub(crate) mod event_service;
pub(crate) mod json_schema;
mod label;
pub(crate) mod log;
pub(crate) mod manager;
pub(crate) mod media;
pub(crate) mod memory;
pub(crate) mod metadata;
pub(crate) mod network;
pub(crate) mod odata;
pub(crate) mod pcie;
pub(crate) mod power;
mod power_limit;
pub(crate) mod processor;
pub(crate) mod registry;
mod reset;
pub(crate) mod root;
pub(crate) mod secure_boot;
pub(crate) mod sensor;
pub(crate) mod session;
pub(crate) mod session_service;
pub(crate) mod storage;
pub(crate) mod system;
pub(crate) mod task;
pub(crate) mod telemetry;
pub(crate) mod thermal;
pub(crate) mod update_service;
mod watchdog;
mod write;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bmc_core::sensor::Severity;
use bmc_core::snapshot::{Health, Snapshot};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::error::Problem;
use crate::event::stream::StreamBody;
use crate::routes::{Ids, Verb};
use crate::schema::Schema;
use crate::service::{Service, resource_id};

pub(crate) use reset::TYPES as RESET_TYPES;

/// A request that may be carried out.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Arc<Service>,
    /// Who asks; nobody for public operations.
    pub(crate) caller: Option<Caller>,
    /// The path of the URI, as it was sent.
    pub(crate) path: &'a str,
    /// It is HEAD rather than GET.
    pub(crate) is_head: bool,
    /// The operation.
    pub(crate) verb: &'static Verb,
    /// The variable part of the URI, empty where there is none.
    pub(crate) id: &'a str,
    /// The second variable part of the URI, empty where there is none.
    pub(crate) member: &'a str,
    /// The third variable part of the URI, empty where there is none.
    pub(crate) leaf: &'a str,
    /// The body, empty for methods that have none.
    pub(crate) body: Map<String, Value>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) source: IpAddr,
    /// The body of an operation that takes it as it comes.
    pub(crate) upload: Mutex<Option<Body>>,
}

impl Call<'_> {
    /// The same caller's GET of another resource.
    pub(crate) fn of<'b>(&'b self, path: &'b str, verb: &'static Verb, ids: &'b Ids) -> Call<'b> {
        let Ids { id, member, leaf } = ids;
        let (service, headers, source) = (self.service, self.headers, self.source);
        let (caller, body) = (self.caller.clone(), Map::new());
        Call {
            service,
            caller,
            path,
            is_head: false,
            verb,
            id,
            member,
            leaf,
            body,
            headers,
            source,
            upload: Mutex::default(),
        }
    }

    /// The body of an operation that takes it as it comes, the first time.
    pub(crate) fn take_upload(&self) -> Body {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

/// An answer before it is put into bytes.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Content,
}

/// What an answer carries.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    None,
    /// A resource: it gets an ETag and a link to its schema.
    Resource(Value),
    /// What query options left of a resource or added to it; with the resource's tag, where that stands for all that is shown.
    Tailored(Value, Option<String>),
    /// JSON that is no resource.
    Plain(Value),
    Xml(String),
    /// Server-sent events.
    Stream(OpenStream),
}

/// A stream that is sent once.
#[derive(Clone, Debug)]
pub(crate) struct OpenStream(Arc<Mutex<Option<StreamBody>>>);

impl OpenStream {
    pub(crate) fn new(body: StreamBody) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// The stream, the first time.
    pub(crate) fn take(&self) -> Option<StreamBody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), content: Content::None }
    }

    pub(crate) fn ok(content: Content) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), content }
    }
}

impl From<&Problem> for Reply {
    fn from(problem: &Problem) -> Self {
        let content = Content::Plain(problem.to_json());
        Self { status: problem.status, headers: problem.headers.clone(), content }
    }
}

/// The members every resource begins with, in the order clients expect to see them.
fn resource(schema: Schema, uri: &str, id: &str, name: &str) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("@odata.id".to_owned(), uri.into());
    object.insert("@odata.type".to_owned(), schema.odata_type().into());
    object.insert("Id".to_owned(), id.into());
    object.insert("Name".to_owned(), name.into());
    object
}

/// A resource's members, written as one JSON object, behind those it begins with.
fn with(mut object: Map<String, Value>, members: Value) -> Value {
    if let Value::Object(members) = members {
        object.extend(members);
    }
    Value::Object(object)
}

/// A reference to another resource.
pub(crate) fn link(uri: &str) -> Value {
    json!({"@odata.id": uri})
}

/// The URIs of a machine's three resources.
pub(crate) struct Uris {
    pub(crate) system: String,
    pub(crate) manager: String,
    pub(crate) chassis: String,
}

impl Uris {
    fn of(snapshot: &Snapshot) -> Self {
        Self::of_id(&resource_id(snapshot))
    }

    /// Those of the machine with this id.
    pub(crate) fn of_id(id: &str) -> Self {
        Self {
            system: format!("{}/{id}", system::COLLECTION_URI),
            manager: format!("{}/{id}", manager::COLLECTION_URI),
            chassis: format!("{}/{id}", chassis::COLLECTION_URI),
        }
    }
}

/// The URIs of the members that a collection has for the machines that the service shows.
fn machines(call: &Call<'_>, collection: &str) -> Vec<String> {
    let machines = call.service.scope.machines();
    machines.iter().map(|machine| format!("{collection}/{}", resource_id(&machine.snapshot()))).collect()
}

/// `Health` of a machine: whether it can be controlled, whether the last operation failed after it had been acknowledged, and how its sensors
/// are doing.
fn health(snapshot: &Snapshot) -> &'static str {
    let sensors = sensor::worst(snapshot);
    match (&snapshot.health, snapshot.power_fault) {
        (Health::Unavailable(_), _) => "Critical",
        (Health::Available, true) => sensor::health_name(sensors.max(Severity::Warning)),
        (Health::Available, false) => sensor::health_name(sensors),
    }
}

/// `State` of a part of the machine, which is as much in use as the whole.
fn part_state(snapshot: &Snapshot) -> &'static str {
    if snapshot.power.reads_as_on() { "Enabled" } else { "StandbyOffline" }
}

/// A time as Redfish writes it (DSP0266, "Date-time values").
pub(crate) fn date_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
