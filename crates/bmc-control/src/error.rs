//! The one error that goes over the socket: a kind for programs, a sentence for people.

use bmc_core::error::{BackendError, BackendErrorKind, RequestError};
use bmc_core::media::MediaErrorKind;
use bmc_core::store::StoreError;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What kind of failure; stable names for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// No such BMC, machine or route.
    NotFound,
    /// The name or endpoint is taken.
    AlreadyExists,
    /// A value or body that cannot be.
    Invalid,
    /// The power state forbids it.
    WrongState,
    /// Another operation is under way; try again.
    Busy,
    /// The hypervisor or machine cannot be reached.
    Unavailable,
    /// The machine or hypervisor cannot do that.
    Unsupported,
    /// The hypervisor or operating system refuses the daemon.
    PermissionDenied,
    /// No answer in time.
    Timeout,
    /// Anything else.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::NotFound,
        Self::AlreadyExists,
        Self::Invalid,
        Self::WrongState,
        Self::Busy,
        Self::Unavailable,
        Self::Unsupported,
        Self::PermissionDenied,
        Self::Timeout,
        Self::Internal,
    ];

    /// The HTTP status it travels with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists | Self::WrongState => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A failure as the control socket reports it.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ControlError {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: what happened and what to do. Never holds a secret.
    pub message: String,
}

impl ControlError {
    /// A failure of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl From<BackendErrorKind> for ErrorKind {
    fn from(kind: BackendErrorKind) -> Self {
        match kind {
            BackendErrorKind::NotFound => Self::NotFound,
            BackendErrorKind::Unsupported => Self::Unsupported,
            BackendErrorKind::InvalidState => Self::WrongState,
            BackendErrorKind::Busy => Self::Busy,
            BackendErrorKind::Timeout => Self::Timeout,
            BackendErrorKind::Unavailable => Self::Unavailable,
            BackendErrorKind::PermissionDenied => Self::PermissionDenied,
            BackendErrorKind::NoSpace | BackendErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<BackendError> for ControlError {
    fn from(error: BackendError) -> Self {
        Self::new(error.kind.into(), error.message)
    }
}

impl From<RequestError> for ControlError {
    fn from(error: RequestError) -> Self {
        let kind = match &error {
            RequestError::WrongState { .. } | RequestError::Watchdog(_) | RequestError::InUse { .. } => {
                ErrorKind::WrongState
            }
            RequestError::Busy { .. } | RequestError::NoSpace { .. } => ErrorKind::Busy,
            RequestError::Conflict => ErrorKind::Busy,
            RequestError::Invalid { .. } => ErrorKind::Invalid,
            RequestError::Backend(error) => error.kind.into(),
            RequestError::Media(error) => match error.kind {
                MediaErrorKind::Uri | MediaErrorKind::Protocol => ErrorKind::Invalid,
                MediaErrorKind::Missing => ErrorKind::NotFound,
                MediaErrorKind::Timeout => ErrorKind::Timeout,
                MediaErrorKind::Denied => ErrorKind::PermissionDenied,
                MediaErrorKind::Unreachable
                | MediaErrorKind::Certificate
                | MediaErrorKind::Server
                | MediaErrorKind::Broken => ErrorKind::Unavailable,
                MediaErrorKind::TooLarge | MediaErrorKind::NoSpace => ErrorKind::Unsupported,
                MediaErrorKind::Cancelled => ErrorKind::Busy,
                MediaErrorKind::Internal => ErrorKind::Internal,
            },
            RequestError::Store(_) => ErrorKind::Internal,
            RequestError::Removed | RequestError::Missing { .. } => ErrorKind::NotFound,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::internal(format!("the state could not be stored: {error}"))
    }
}
