//! Every refusal: an HTTP status, messages of the Base registry, and the headers that belong to it; and the one table from the core's
//! errors to them.

use std::time::Duration;

use bmc_core::error::{BackendError, BackendErrorKind, RequestError};
use bmc_core::media::{MediaError, MediaErrorKind};
use bmc_core::power::PowerState;
use http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::message::{self, Message};
use crate::resource::account::account_uri;

/// How long a client is told to wait while the hypervisor cannot be reached or the machine is not there. Libvirt reconnects within this.
pub(crate) const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(10);
/// The same while another operation holds the machine.
pub(crate) const BUSY_RETRY_AFTER: Duration = Duration::from_secs(2);

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) messages: Vec<Message>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: Message) -> Self {
        Self { status, messages: vec![message], headers: Vec::new() }
    }

    /// 400 with everything that is wrong with a body.
    pub(crate) fn bad_request(messages: Vec<Message>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, messages, headers: Vec::new() }
    }

    /// 401: who asks has said who they are, and it is not so. Says nothing about what is wrong (DSP0266, "Error responses" of
    /// authentication).
    pub(crate) fn wrong_credentials() -> Self {
        Self { messages: vec![Message::new(message::AccessUnauthorized, [])], ..Self::unauthorized() }
    }

    /// 401: who asks has not said who they are, or by a session that is not open.
    pub(crate) fn unauthorized() -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, Message::new(message::NoValidSession, []));
        problem.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Redfish\"")));
        problem
    }

    /// 403: logged in, but the role does not allow it.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, Message::new(message::InsufficientPrivilege, []))
    }

    /// 403: logged in, and may do nothing before the password is changed (DSP0266, "Password change required handling").
    pub(crate) fn password_change_required(account: u8) -> Self {
        let uri = account_uri(account);
        Self::new(StatusCode::FORBIDDEN, Message::new(message::PasswordChangeRequired, [&uri]))
    }

    /// 404 for a URI that no resource can have.
    pub(crate) fn missing_at(uri: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Message::new(message::ResourceMissingAtURI, [uri]))
    }

    /// 404 for a member of a collection that is not there.
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Message::new(message::ResourceNotFound, [kind, id]))
    }

    /// 405 with the methods that are allowed.
    pub(crate) fn not_allowed(allow: HeaderValue) -> Self {
        let mut problem =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, Message::new(message::OperationNotAllowed, []));
        problem.headers.push((ALLOW, allow));
        problem
    }

    /// 405 of a resource that only shows what others of its kind let clients change, and why.
    pub(crate) fn only_shown(why: &str) -> Self {
        let message = Message::new(message::OperationNotAllowed, []).resolution(why);
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, message);
        problem.headers.push((ALLOW, HeaderValue::from_static("GET, HEAD")));
        problem
    }

    /// 412: the resource is no longer what the client read.
    pub(crate) fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, Message::new(message::PreconditionFailed, []))
    }

    /// 428: a write must say which state it was made for.
    pub(crate) fn precondition_required() -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, Message::new(message::PreconditionRequired, []))
    }

    /// 503 with Retry-After in whole seconds.
    pub(crate) fn retry(after: Duration, entry: &'static message::Entry) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let seconds = seconds.max(1);
        let text = seconds.to_string();
        let message =
            if entry.args == 1 { Message::new(entry, [text.as_str()]) } else { Message::new(entry, []) };
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
        problem.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        problem
    }

    /// 500: ours is the fault.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Message::new(message::InternalError, []))
    }

    fn resolution(mut self, resolution: String) -> Self {
        if let Some(message) = self.messages.first_mut() {
            *message = message.clone().resolution(resolution);
        }
        self
    }

    /// The error body (DSP0266, "Error responses"). A single message is the error; several stand behind `GeneralError`.
    pub(crate) fn to_json(&self) -> Value {
        let general = Message::new(message::GeneralError, []);
        let head = match self.messages.as_slice() {
            [only] => only,
            _ => &general,
        };
        let info: Vec<Value> = self.messages.iter().map(Message::to_json).collect();
        json!({"error": {"code": head.id(), "message": head.text(), "@Message.ExtendedInfo": info}})
    }
}

/// What was asked of the machine, for messages that name it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// An action, by its full name.
    Action(&'a str),
    /// A change of properties.
    Change,
}

/// The machine a request was about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// What was asked of it.
    pub(crate) asked: Asked<'a>,
    /// The URI of its System.
    pub(crate) uri: &'a str,
    /// The id of its System and Chassis.
    pub(crate) id: &'a str,
}

/// The table from the core's errors to statuses and messages.
pub(crate) fn request_problem(error: &RequestError, about: About<'_>) -> Problem {
    match error {
        RequestError::WrongState { state: PowerState::Off, .. } => {
            conflict(Message::new(message::ChassisPowerStateOnRequired, [about.id]))
        }
        RequestError::WrongState { .. } => conflict(Message::new(message::ResourceInUse, [])),
        RequestError::Busy { retry_after } => {
            Problem::retry(*retry_after, message::ServiceTemporarilyUnavailable)
        }
        RequestError::Conflict => Problem::precondition_failed(),
        RequestError::Invalid { field, reason } => {
            let pointer = property_of(field);
            let message = Message::new(message::PropertyValueError, [pointer]).about(pointer);
            Problem::bad_request(vec![message.resolution(sentence(reason))])
        }
        RequestError::Watchdog(refusal) => {
            conflict(Message::new(message::ResourceInUse, [])).resolution(sentence(&refusal.to_string()))
        }
        RequestError::NoSpace { .. } => Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            Message::new(message::CreateLimitReachedForResource, []),
        )
        .resolution(sentence(&error.to_string())),
        RequestError::InUse { what } => {
            conflict(Message::new(message::ResourceInUse, [])).resolution(sentence(what))
        }
        RequestError::Missing { what } => Problem::not_found(what, about.id),
        RequestError::Media(error) => media_problem(error),
        RequestError::Backend(error) => backend_problem(error, about),
        RequestError::Store(_) => Problem::internal().resolution(sentence(&error.to_string())),
        RequestError::Removed => Problem::not_found("ComputerSystem", about.id),
    }
}

/// The part of the table that is about images that cannot be had. The fault lies with the URI that the client gave, or behind it.
fn media_problem(error: &MediaError) -> Problem {
    let uri = error.uri.as_str();
    let refused = |message: Message| Problem::bad_request(vec![message.about("/Image")]);
    let problem = match error.kind {
        MediaErrorKind::Uri => refused(Message::new(message::InvalidURI, [uri])),
        MediaErrorKind::Protocol => {
            let scheme = uri.split_once(':').map_or(uri, |(scheme, _)| scheme);
            refused(Message::new(message::SourceDoesNotSupportProtocol, [uri, scheme]))
        }
        MediaErrorKind::Unreachable
        | MediaErrorKind::Certificate
        | MediaErrorKind::Server
        | MediaErrorKind::Broken => refused(Message::new(message::CouldNotEstablishConnection, [uri])),
        MediaErrorKind::Denied => refused(Message::new(message::AccessDenied, [uri])),
        MediaErrorKind::Missing => refused(Message::new(message::ResourceMissingAtURI, [uri])),
        MediaErrorKind::TooLarge | MediaErrorKind::NoSpace => {
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, Message::new(message::InsufficientStorage, []))
        }
        MediaErrorKind::Timeout => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Message::new(message::OperationTimeout, []))
        }
        MediaErrorKind::Cancelled => conflict(Message::new(message::ResourceInUse, [])),
        MediaErrorKind::Internal => Problem::internal(),
    };
    problem.resolution(sentence(&error.message))
}

/// The part of the table that is about the backend's failures. The backend's own words, which say what to do, become the resolution.
fn backend_problem(error: &BackendError, about: About<'_>) -> Problem {
    let problem = match error.kind {
        // The BMC is there, its machine is not: it may be defined again, and then all goes on. That is no 404.
        BackendErrorKind::NotFound | BackendErrorKind::Unavailable => {
            Problem::retry(UNAVAILABLE_RETRY_AFTER, message::ServiceTemporarilyUnavailable)
        }
        BackendErrorKind::Unsupported => match about.asked {
            Asked::Action(action) => {
                Problem::bad_request(vec![Message::new(message::ActionNotSupported, [action])])
            }
            Asked::Change => Problem::bad_request(vec![
                Message::new(message::PropertyValueError, ["/Boot"]).about("/Boot"),
            ]),
        },
        BackendErrorKind::InvalidState => conflict(Message::new(message::ResourceInUse, [])),
        BackendErrorKind::Busy => Problem::retry(BUSY_RETRY_AFTER, message::ServiceTemporarilyUnavailable),
        BackendErrorKind::Timeout => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Message::new(message::OperationTimeout, []))
        }
        BackendErrorKind::PermissionDenied => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Message::new(message::ResourceAtUriUnauthorized, [about.uri, &error.message]),
        ),
        BackendErrorKind::NoSpace => {
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, Message::new(message::InsufficientStorage, []))
        }
        BackendErrorKind::Internal => Problem::internal(),
    };
    problem.resolution(sentence(&error.message))
}

fn conflict(message: Message) -> Problem {
    Problem::new(StatusCode::CONFLICT, message)
}

/// The property behind the core's name of a field.
fn property_of(field: &str) -> &str {
    match field {
        "http_uri" => "/Boot/HttpBootUri",
        "asset_tag" => "/AssetTag",
        "boot_order" => "/Boot/BootOrder",
        "identify" => "/LocationIndicatorActive",
        "drives" => "/Links/Drives",
        "capacity_bytes" => "/CapacityBytes",
        "name" => "/DisplayName",
        other => other,
    }
}

/// The core's words as a sentence, as resolutions are.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    sentence.push_str(letters.as_str());
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
