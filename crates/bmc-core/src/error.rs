//! What can go wrong below the protocols. Frontends turn these into completion codes and registry messages, each in one
//! exhaustive table; nothing here knows either.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::media::MediaError;
use crate::power::{PowerAction, PowerState};
use crate::watchdog::WatchdogRefusal;

/// The kind of a backend's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendErrorKind {
    /// The machine does not exist (any more).
    NotFound,
    /// This machine or hypervisor cannot do that.
    Unsupported,
    /// The machine is not in a state in which that is possible.
    InvalidState,
    /// Another operation holds the machine.
    Busy,
    /// No answer in time; the operation may still happen.
    Timeout,
    /// The hypervisor cannot be reached.
    Unavailable,
    /// The hypervisor refuses us.
    PermissionDenied,
    /// There is not enough room on the hypervisor's side.
    NoSpace,
    /// Anything else.
    Internal,
}

impl BackendErrorKind {
    /// Every kind, for the frontends' tables and their tests.
    pub const ALL: [Self; 9] = [
        Self::NotFound,
        Self::Unsupported,
        Self::InvalidState,
        Self::Busy,
        Self::Timeout,
        Self::Unavailable,
        Self::PermissionDenied,
        Self::NoSpace,
        Self::Internal,
    ];
}

/// A backend's failure: its kind for machines, a message for people that says what to do next where that is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct BackendError {
    /// What kind of failure.
    pub kind: BackendErrorKind,
    /// What happened, without secrets.
    pub message: String,
}

impl BackendError {
    /// A failure of `kind`.
    pub fn new(kind: BackendErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Shorthand for [`BackendErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(BackendErrorKind::Unsupported, message)
    }

    /// Shorthand for [`BackendErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(BackendErrorKind::Unavailable, message)
    }
}

/// Why a request to a machine was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The power table forbids `action` in `state` (IPMI `D5h`, HTTP 409).
    #[error("cannot {} while the machine is {}", action.as_str(), state.as_str())]
    WrongState {
        /// What was asked.
        action: PowerAction,
        /// Where the machine was.
        state: PowerState,
    },
    /// Another operation is under way (IPMI `C0h`, HTTP 503 with Retry-After).
    #[error("the machine is busy with another operation")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The caller's view is out of date: the snapshot's revision is no longer what it expected (HTTP 412).
    #[error("the machine has changed since it was read")]
    Conflict,
    /// A value the machine cannot take; `field` names it in the core's terms.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which field of the request.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The watchdog timer cannot be started now (IPMI `80h` or `D5h`, HTTP 409).
    #[error(transparent)]
    Watchdog(#[from] WatchdogRefusal),
    /// There is no place left for what was to be kept; nothing was overwritten.
    #[error("the {what} is full")]
    NoSpace {
        /// What is full.
        what: &'static str,
    },
    /// What the request wants is in use for something else; `what` says which and for what.
    #[error("{what}")]
    InUse {
        /// In words.
        what: String,
    },
    /// What the request names is not there.
    #[error("there is no such {what}")]
    Missing {
        /// What was looked for.
        what: &'static str,
    },
    /// An image could not be had (HTTP: by its kind).
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The change could not be made durable; nothing was changed.
    #[error("the change could not be stored: {0}")]
    Store(String),
    /// The machine was removed while the request was on its way.
    #[error("the machine is no longer served")]
    Removed,
}
