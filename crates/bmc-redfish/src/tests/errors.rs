//! The error table, row by row.

use std::time::Duration;

use bmc_core::error::{BackendError, BackendErrorKind, RequestError};
use bmc_core::media::{MediaError, MediaErrorKind};
use bmc_core::power::{PowerAction, PowerState};
use bmc_sim::SimOperation;

use super::*;
use crate::error::{About, Asked, Problem, request_problem};

fn row(error: &RequestError, asked: Asked<'_>) -> (u16, String, Option<String>) {
    let problem = request_problem(error, About { asked, uri: "/redfish/v1/Systems/x", id: "x" });
    schemas::check(&problem.to_json(), true);
    let retry = problem.headers.iter().find(|(name, _)| name == http::header::RETRY_AFTER);
    let retry = retry.map(|(_, value)| value.to_str().unwrap().to_owned());
    let [message] = problem.messages.as_slice() else { panic!("one message: {problem:?}") };
    (problem.status.as_u16(), message.entry.key.to_owned(), retry)
}

const ACTION: Asked<'static> = Asked::Action("ComputerSystem.Reset");

#[test]
fn requests() {
    let wrong = |state| RequestError::WrongState { action: PowerAction::Reset, state };
    let invalid = |field| RequestError::Invalid { field, reason: "too odd".to_owned() };
    let busy = |retry_after| RequestError::Busy { retry_after };
    let rows = [
        (wrong(PowerState::Off), 409, "ChassisPowerStateOnRequired", None),
        (wrong(PowerState::PoweringOn), 409, "ResourceInUse", None),
        (wrong(PowerState::On), 409, "ResourceInUse", None),
        (wrong(PowerState::PoweringOff), 409, "ResourceInUse", None),
        (wrong(PowerState::Paused), 409, "ResourceInUse", None),
        (busy(Duration::from_millis(200)), 503, "ServiceTemporarilyUnavailable", Some("1")),
        (busy(Duration::ZERO), 503, "ServiceTemporarilyUnavailable", Some("1")),
        (busy(Duration::from_millis(2_001)), 503, "ServiceTemporarilyUnavailable", Some("3")),
        (RequestError::Conflict, 412, "PreconditionFailed", None),
        (invalid("asset_tag"), 400, "PropertyValueError", None),
        (RequestError::Store("disk full".to_owned()), 500, "InternalError", None),
        (RequestError::Removed, 404, "ResourceNotFound", None),
        (RequestError::NoSpace { what: "log" }, 507, "CreateLimitReachedForResource", None),
        (RequestError::Missing { what: "LogEntry" }, 404, "ResourceNotFound", None),
        (RequestError::InUse { what: "drive 1".to_owned() }, 409, "ResourceInUse", None),
    ];
    for (error, status, message, retry) in rows {
        let expected = (status, message.to_owned(), retry.map(str::to_owned));
        assert_eq!(row(&error, ACTION), expected, "{error:?}");
        assert_eq!(row(&error, Asked::Change), expected, "{error:?}");
    }
}

/// What each kind must be, as an action and as a change. No `_`: a new kind must be decided on here too.
fn expected(kind: BackendErrorKind) -> [(u16, &'static str, Option<&'static str>); 2] {
    let both = |row| [row, row];
    match kind {
        BackendErrorKind::NotFound | BackendErrorKind::Unavailable => {
            both((503, "ServiceTemporarilyUnavailable", Some("10")))
        }
        BackendErrorKind::Unsupported => {
            [(400, "ActionNotSupported", None), (400, "PropertyValueError", None)]
        }
        BackendErrorKind::InvalidState => both((409, "ResourceInUse", None)),
        BackendErrorKind::Busy => both((503, "ServiceTemporarilyUnavailable", Some("2"))),
        BackendErrorKind::Timeout => both((500, "OperationTimeout", None)),
        BackendErrorKind::PermissionDenied => both((500, "ResourceAtUriUnauthorized", None)),
        BackendErrorKind::NoSpace => both((507, "InsufficientStorage", None)),
        BackendErrorKind::Internal => both((500, "InternalError", None)),
    }
}

#[test]
fn media() {
    for kind in MediaErrorKind::ALL {
        let expected = match kind {
            MediaErrorKind::Uri => (400, "InvalidURI"),
            MediaErrorKind::Protocol => (400, "SourceDoesNotSupportProtocol"),
            MediaErrorKind::Unreachable
            | MediaErrorKind::Certificate
            | MediaErrorKind::Server
            | MediaErrorKind::Broken => (400, "CouldNotEstablishConnection"),
            MediaErrorKind::Denied => (400, "AccessDenied"),
            MediaErrorKind::Missing => (400, "ResourceMissingAtURI"),
            MediaErrorKind::TooLarge | MediaErrorKind::NoSpace => (507, "InsufficientStorage"),
            MediaErrorKind::Timeout => (500, "OperationTimeout"),
            MediaErrorKind::Cancelled => (409, "ResourceInUse"),
            MediaErrorKind::Internal => (500, "InternalError"),
        };
        let error = RequestError::Media(MediaError::new(kind, "http://h/x", "it is so"));
        let (status, message, retry) = row(&error, ACTION);
        assert_eq!((status, message.as_str(), retry), (expected.0, expected.1, None), "{kind:?}");
    }
}

#[test]
fn backends() {
    for kind in BackendErrorKind::ALL {
        let error = RequestError::Backend(BackendError::new(kind, "what happened"));
        for (asked, (status, message, retry)) in [ACTION, Asked::Change].into_iter().zip(expected(kind)) {
            assert_eq!(
                row(&error, asked),
                (status, message.to_owned(), retry.map(str::to_owned)),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn the_backends_words_reach_the_client() {
    let error = BackendError::new(BackendErrorKind::PermissionDenied, "add polybmc to the group libvirt");
    let about = About { asked: ACTION, uri: "/redfish/v1/Systems/x", id: "x" };
    let json = request_problem(&error.into(), about).to_json();
    let message = &json["error"]["@Message.ExtendedInfo"][0];
    assert_eq!(message["Resolution"], "Add polybmc to the group libvirt.");
    assert_eq!(message["MessageArgs"][0], "/redfish/v1/Systems/x");
}

#[test]
fn an_argument_is_never_taken_for_a_placeholder() {
    let json = Problem::not_found("%2", "100 %1").to_json();
    assert_eq!(json["error"]["message"], "The requested resource of type %2 named '100 %1' was not found.");
}

#[tokio::test(start_paused = true)]
async fn a_failing_hypervisor_is_told_over_http() {
    for kind in BackendErrorKind::ALL {
        let lab = lab().await;
        lab.control().fail_next(SimOperation::Start, 1, kind).unwrap();
        let [(status, message, _), _] = expected(kind);
        lab.reset("On").await.refused(status, &[message]);
        assert_eq!(lab.machine.snapshot().power, PowerState::Off);
        assert_eq!(lab.reset("On").await.status, 204, "and it can be tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_hypervisor_is_answered_in_time_and_its_failure_shows_later() {
    let lab = lab().await;
    lab.control().hang_next(SimOperation::Start, 1).unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(lab.reset("On").await.status, 204);
    assert!(asked.elapsed() < Duration::from_secs(1));
    until(&lab.machine, |snapshot| snapshot.power_fault).await;
    assert_eq!(lab.get(&lab.system()).await.json()["Status"]["Health"], "Warning");
}
