//! The resources, one file each, and what they have in common.

mod action_info;
mod chassis;
mod collection;
mod label;
mod log;
mod manager;
mod metadata;
mod odata;
mod registry;
mod reset;
mod root;
mod sensor;
mod session;
mod session_service;
mod system;
mod watchdog;

use std::net::IpAddr;

use bmc_core::snapshot::{Health, Snapshot};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::error::Problem;
use crate::routes::{Operation, Verb};
use crate::schema::Schema;
use crate::service::{Service, resource_id};

pub(crate) use reset::TYPES as RESET_TYPES;

/// A request that may be carried out.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) verb: &'static Verb,
    /// Who asks; nobody for public operations.
    pub(crate) caller: Option<Caller>,
    /// The variable part of the URI, empty where there is none.
    pub(crate) id: &'a str,
    /// The second variable part of the URI, empty where there is none.
    pub(crate) member: &'a str,
    /// The body, empty for methods that have none.
    pub(crate) body: Map<String, Value>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) source: IpAddr,
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
    /// JSON that is no resource.
    Plain(Value),
    Xml(String),
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), content: Content::None }
    }

    fn ok(content: Content) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), content }
    }
}

impl From<&Problem> for Reply {
    fn from(problem: &Problem) -> Self {
        let content = Content::Plain(problem.to_json());
        Self { status: problem.status, headers: problem.headers.clone(), content }
    }
}

/// Carries an operation out.
pub(crate) async fn carry_out(call: Call<'_>) -> Result<Reply, Problem> {
    let service = call.service;
    let resource = |value: Value| Ok(Reply::ok(Content::Resource(value)));
    match call.verb.operation {
        Operation::GetVersions => Ok(Reply::ok(Content::Plain(json!({"v1": root::URI})))),
        Operation::GetRoot => resource(root::get(service)),
        Operation::GetOdata => Ok(Reply::ok(Content::Plain(odata::get()))),
        Operation::GetMetadata => Ok(Reply::ok(Content::Xml(metadata::get()))),
        Operation::GetSystems => resource(system::collection(service)),
        Operation::GetSystem => resource(system::get(&call)?),
        Operation::PatchSystem => system::patch(&call).await,
        Operation::GetResetActionInfo => resource(action_info::get(&call)?),
        Operation::ResetSystem => reset::post(&call).await,
        Operation::GetLogServices => resource(log::services(&call)?),
        Operation::GetLogService => resource(log::service(&call)?),
        Operation::ClearLog => log::clear(&call).await,
        Operation::GetLogEntries => resource(log::entries(&call)?),
        Operation::GetLogEntry => resource(log::entry(&call)?),
        Operation::GetManagers => resource(manager::collection(service)),
        Operation::GetManager => resource(manager::get(&call)?),
        Operation::GetChassisCollection => resource(chassis::collection(service)),
        Operation::GetChassis => resource(chassis::get(&call)?),
        Operation::PatchChassis => chassis::patch(&call).await,
        Operation::GetSensors => resource(sensor::collection(&call)?),
        Operation::GetSensor => resource(sensor::get(&call)?),
        Operation::GetSessionService => resource(session_service::get(service)),
        Operation::PatchSessionService => session_service::patch(&call),
        Operation::GetSessions => resource(session::collection(service)),
        Operation::PostSession => session::post(&call),
        Operation::GetSession => resource(session::get(&call)?),
        Operation::DeleteSession => session::delete(&call),
        Operation::GetRegistries => resource(registry::collection()),
        Operation::GetRegistry => resource(registry::get(&call)?),
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
fn link(uri: &str) -> Value {
    json!({"@odata.id": uri})
}

/// The URIs of a machine's three resources.
struct Uris {
    system: String,
    manager: String,
    chassis: String,
}

impl Uris {
    fn of(snapshot: &Snapshot) -> Self {
        let id = resource_id(snapshot);
        Self {
            system: format!("{}/{id}", system::COLLECTION_URI),
            manager: format!("{}/{id}", manager::COLLECTION_URI),
            chassis: format!("{}/{id}", chassis::COLLECTION_URI),
        }
    }
}

/// `Health` of a machine: whether it can be controlled, and whether the last operation failed after it had been acknowledged.
fn health(snapshot: &Snapshot) -> &'static str {
    match (&snapshot.health, snapshot.power_fault) {
        (Health::Unavailable(_), _) => "Critical",
        (Health::Available, true) => "Warning",
        (Health::Available, false) => "OK",
    }
}

/// A time as Redfish writes it (DSP0266, "Date-time values").
fn date_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
