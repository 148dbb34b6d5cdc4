//! `Session` and its collection: logging in and out (DSP0266, "Redfish session login authentication").

use bmc_core::account::Account;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::auth::{self, X_AUTH_TOKEN};
use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{Faults, is_annotation};
use crate::privilege::{self, Privilege};
use crate::resource::{Call, Content, Reply, collection, date_time, resource, with};
use crate::routes::{Access, Route, Verb, delete, get, post};
use crate::schema;
use crate::service::Service;
use crate::session::{OpenError, Session, Sessions};

pub(super) const COLLECTION_URI: &str = "/redfish/v1/SessionService/Sessions";

/// Longest `Context` of a session in bytes.
const CONTEXT_MAX_BYTES: usize = 256;

/// Logging in; open to anybody.
const LOG_IN: Verb = post(
    Privilege::Login,
    |call| Box::pin(async { open(call) }),
    "opens a session: 201, `X-Auth-Token`, `Location`",
)
.access(Access::Public)
.secret(&["Password"]);

/// The sessions.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/SessionService/Sessions",
        verbs: &[get(collection, "SessionCollection"), LOG_IN],
    },
    Route { path: "/redfish/v1/SessionService/Sessions/Members", verbs: &[LOG_IN] },
    Route {
        path: "/redfish/v1/SessionService/Sessions/{id}",
        verbs: &[
            get(show, "Session"),
            delete(
                Privilege::ConfigureManager,
                |call| Box::pin(async { close(call) }),
                "closes a session: one's own, or any for an administrator",
            )
            .access(Access::OwnOr(Privilege::ConfigureManager)),
        ],
    },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let sessions = live(call.service).all(call.service.now());
    let members: Vec<String> = sessions.iter().map(|session| uri(&session.id)).collect();
    Ok(collection::render(schema::SESSION_COLLECTION, COLLECTION_URI, "Sessions", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let session = live(call.service).by_id(call.id, call.service.now());
    let session = session.ok_or_else(|| Problem::not_found("Session", call.id))?;
    Ok(render(call.service, &session))
}

/// The sessions, without those whose accounts have changed meanwhile, perhaps over IPMI.
fn live(service: &Service) -> &Sessions {
    service.sessions.end_stale(&service.scope.accounts());
    &service.sessions
}

fn uri(id: &str) -> String {
    format!("{COLLECTION_URI}/{id}")
}

fn render(service: &Service, session: &Session) -> Value {
    let object = resource(schema::SESSION, &uri(&session.id), &session.id, "User Session");
    let accounts = service.scope.accounts();
    let role = accounts.by_name(session.user.as_bytes()).and_then(|account| privilege::role_id(account.role));
    let members = json!({
        "UserName": session.user,
        // Always null in an answer, says the schema.
        "Password": null,
        "SessionType": "Redfish",
        "Roles": role.into_iter().collect::<Vec<_>>(),
        "CreatedTime": date_time(session.created),
        "ClientOriginIPAddress": session.origin.to_string(),
    });
    let mut shown = with(object, members);
    if let Some(context) = &session.context {
        shown["Context"] = context.as_str().into();
    }
    shown
}

/// Opens a session. 201 with the session, its token and where it is.
fn open(call: &Call<'_>) -> Result<Reply, Problem> {
    let (account, context) = log_in(call)?;
    let service = call.service;
    let created = service.scope.fleet().clock().timestamp();
    let opened = service.sessions.open(&account, call.source, context, service.now(), created);
    let (session, token) = opened.map_err(|error| {
        let (status, entry) = match error {
            OpenError::Limit => (StatusCode::SERVICE_UNAVAILABLE, message::SessionLimitExceeded),
            OpenError::Randomness => (StatusCode::INTERNAL_SERVER_ERROR, message::InternalError),
        };
        Problem::new(status, Message::new(entry, []))
    })?;
    let header = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Message::new(message::InternalError, []))
        })
    };
    let mut secret = header(&token)?;
    secret.set_sensitive(true);
    let headers = vec![(X_AUTH_TOKEN, secret), (LOCATION, header(&uri(&session.id))?)];
    let mut shown = render(service, &session);
    if account.password_change_required {
        let told = Problem::password_change_required(account.id).messages;
        shown["@Message.ExtendedInfo"] = told.iter().map(Message::to_json).collect();
    }
    let content = Content::Resource(shown);
    Ok(Reply { status: StatusCode::CREATED, headers, content })
}

/// Who logs in, and what the client wants to know the session by.
fn log_in(call: &Call<'_>) -> Result<(Account, Option<String>), Problem> {
    let mut faults = Faults::default();
    let mut required = |name: &str| {
        let pointer = format!("/{name}");
        let Some(value) = call.body.get(name) else {
            faults.push(Message::new(message::PropertyMissing, [&pointer]).about(&pointer));
            return None;
        };
        // The value of a password must not come back in a message: its type alone is at fault.
        if !value.is_string() {
            faults.push(Message::new(message::PropertyValueError, [&pointer]).about(&pointer));
        }
        value.as_str().map(str::to_owned)
    };
    let (user, password) = (required("UserName"), required("Password"));
    for name in call.body.keys().filter(|name| !is_annotation(name)) {
        if !["UserName", "Password", "Context"].contains(&name.as_str()) {
            let pointer = format!("/{name}");
            faults.push(Message::new(message::PropertyUnknown, [&pointer]).about(&pointer));
        }
    }
    let context = call.body.get("Context").filter(|value| !value.is_null());
    let context = context.and_then(|value| faults.string("/Context", value)).map(str::to_owned);
    if let Some(context) = context.as_ref().filter(|context| context.len() > CONTEXT_MAX_BYTES) {
        let args = [context.as_str(), &CONTEXT_MAX_BYTES.to_string()];
        faults.push(Message::new(message::StringValueTooLong, args).about("/Context"));
    }
    match (user, password) {
        (Some(user), Some(password)) if faults.is_empty() => {
            let account = auth::log_in(call.service, user.as_bytes(), password.as_bytes(), call.source)?;
            Ok((account, context))
        }
        _ => Err(Problem::bad_request(faults.into_messages())),
    }
}

/// Closes a session: one's own, or any for who may configure the BMC.
fn close(call: &Call<'_>) -> Result<Reply, Problem> {
    let session = call.service.sessions.by_id(call.id, call.service.now());
    let session = session.ok_or_else(|| Problem::not_found("Session", call.id))?;
    let caller = call.caller.as_ref().ok_or_else(Problem::unauthorized)?;
    if caller.user != session.user {
        caller.require(Privilege::ConfigureManager)?;
    }
    call.service.sessions.close(&session.id);
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
