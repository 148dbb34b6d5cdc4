//! Changing a machine's resources: what a client saw is what is changed, or it is told that somebody else was faster.

use std::sync::Arc;
use std::time::Duration;

use bmc_core::error::RequestError;
use bmc_core::fleet::MachineHandle;
use bmc_core::request::{Change, Request};
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::error::{About, Asked, Problem, request_problem};
use crate::etag;
use crate::message;
use crate::resource::{Call, Reply, Uris};
use crate::service::resource_id;

/// How often a PATCH is tried again when the machine changes while it is made.
const ATTEMPTS_MAX: usize = 8;

/// A refusal of a change.
pub(super) fn change_problem(error: &RequestError, snapshot: &Snapshot) -> Problem {
    let (uri, id) = (Uris::of(snapshot).system, resource_id(snapshot));
    request_problem(error, About { asked: Asked::Change, uri: &uri, id: &id })
}

/// Makes a change that was planned on what the client saw, and answers 204 with the new ETag.
///
/// The plan is made on one snapshot and only carried out while the machine still has its revision; when somebody else was faster it is
/// made anew. So If-Match holds without a gap, and two partial writes never mix.
pub(super) async fn change(
    call: &Call<'_>,
    machine: &MachineHandle,
    render: impl Fn(&Snapshot) -> Value,
    plan: impl Fn(&Snapshot, &Value) -> Result<Change, Problem>,
) -> Result<Reply, Problem> {
    change_as(call, machine, render, |_| None, plan).await
}

/// An action that edits what the BMC keeps of a machine; answers 204.
pub(super) async fn edit(machine: &MachineHandle, edit: Edit) -> Result<Reply, Problem> {
    match machine.request(Request::Edit(edit)).await {
        Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(error) => Err(change_problem(&error, &machine.snapshot())),
    }
}

/// Makes a change that `plan` derives from what is there, and answers the snapshot that has it. What the plan was made on is what is changed: when
/// the machine changes meanwhile the plan is made anew.
pub(super) async fn planned<T>(
    machine: &MachineHandle,
    plan: impl Fn(&Snapshot) -> Result<(Change, T), Problem>,
) -> Result<(Arc<Snapshot>, T), Problem> {
    for _ in 0..ATTEMPTS_MAX {
        let snapshot = machine.snapshot();
        let (change, made) = plan(&snapshot)?;
        let change = Change { if_revision: Some(snapshot.revision), ..change };
        match machine.request(Request::Change(Box::new(change))).await {
            Ok(_) => return Ok((machine.snapshot(), made)),
            Err(RequestError::Conflict) => {}
            Err(error) => return Err(change_problem(&error, &snapshot)),
        }
    }
    Err(Problem::retry(Duration::from_secs(1), message::ServiceTemporarilyUnavailable))
}

/// [`change`] of a resource that clients may also know by another tag than its own.
pub(super) async fn change_as(
    call: &Call<'_>,
    machine: &MachineHandle,
    render: impl Fn(&Snapshot) -> Value,
    other_tag: impl Fn(&Snapshot) -> Option<String>,
    plan: impl Fn(&Snapshot, &Value) -> Result<Change, Problem>,
) -> Result<Reply, Problem> {
    for _ in 0..ATTEMPTS_MAX {
        let snapshot = machine.snapshot();
        let shown = render(&snapshot);
        let by_other = || other_tag(&snapshot).is_some_and(|tag| etag::may_write(call.headers, &tag));
        if !etag::may_write(call.headers, &etag::of(&shown)) && !by_other() {
            return Err(Problem::precondition_failed());
        }
        let change = Change { if_revision: Some(snapshot.revision), ..plan(&snapshot, &shown)? };
        match machine.request(Request::Change(Box::new(change))).await {
            Ok(_) => {
                let mut reply = Reply::empty(StatusCode::NO_CONTENT);
                if let Ok(tag) = HeaderValue::from_str(&etag::of(&render(&machine.snapshot()))) {
                    reply.headers.push((ETAG, tag));
                }
                return Ok(reply);
            }
            Err(RequestError::Conflict) => {}
            Err(error) => return Err(change_problem(&error, &snapshot)),
        }
    }
    Err(Problem::retry(Duration::from_secs(1), message::ServiceTemporarilyUnavailable))
}
