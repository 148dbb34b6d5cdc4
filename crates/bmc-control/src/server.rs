//! The handlers: parse, ask the [`Admin`](crate::Admin), answer in JSON. Every error is a [`ControlError`] body.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bmc_core::event::Event;
use bmc_core::media::MediaSlot;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::error::{ControlError, ErrorKind};
use crate::types::{AddBmc, InsertImage, PowerRequest, PowerView, SetBmc, SetBoot, SetSystemInterface};
use crate::{SharedAdmin, routes};

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) admin: SharedAdmin,
    pub(crate) shutdown: CancellationToken,
}

type Reply = Result<Response, ControlError>;
type Name = Result<Path<String>, PathRejection>;
type Payload = Result<Bytes, BytesRejection>;

/// The media type of an event stream: one JSON object a line.
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        /// An error as the document describes it.
        #[derive(Serialize)]
        struct Envelope {
            error: ControlError,
        }
        let status = self.kind.status();
        with_status(status, &Envelope { error: self })
    }
}

fn with_status<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json<T: Serialize>(value: &T) -> Response {
    with_status(StatusCode::OK, value)
}

fn parse<T: DeserializeOwned>(body: Payload) -> Result<T, ControlError> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ControlError::invalid(format!("the request body is larger than {} bytes", routes::BODY_MAX_BYTES))
        }
        _ => ControlError::invalid(format!("the request body could not be read: {}", error.body_text())),
    })?;
    // serde_json's messages name members and positions; of values they quote at most one of the wrong type, and a password of the
    // wrong type is not a password.
    serde_json::from_slice(&body)
        .map_err(|error| ControlError::invalid(format!("the request body is wrong: {error}")))
}

fn name(path: Name) -> Result<String, ControlError> {
    path.map(|Path(name)| name).map_err(|error| ControlError::invalid(error.body_text()))
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ControlError> {
    query.map(|Query(query)| query).map_err(|error| ControlError::invalid(error.body_text()))
}

pub(crate) async fn version(State(shared): State<Shared>) -> Response {
    json(&shared.admin.version().await)
}

/// The socket answers only once every endpoint is bound, so there is nothing to look up.
pub(crate) async fn ready() -> StatusCode {
    StatusCode::NO_CONTENT
}

pub(crate) async fn list(State(shared): State<Shared>) -> Response {
    json(&shared.admin.list().await)
}

pub(crate) async fn show(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.show(&name(path)?).await?))
}

pub(crate) async fn add(State(shared): State<Shared>, body: Payload) -> Reply {
    let bmc: AddBmc = parse(body)?;
    Ok(with_status(StatusCode::CREATED, &shared.admin.add(bmc).await?))
}

pub(crate) async fn set(State(shared): State<Shared>, path: Name, body: Payload) -> Reply {
    let change: SetBmc = parse(body)?;
    if change.is_empty() {
        return Err(ControlError::invalid("nothing to change: name at least one setting"));
    }
    Ok(json(&shared.admin.set(&name(path)?, change).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveQuery {
    #[serde(default)]
    keep_state: bool,
}

pub(crate) async fn remove(
    State(shared): State<Shared>,
    path: Name,
    options: Result<Query<RemoveQuery>, QueryRejection>,
) -> Reply {
    shared.admin.remove(&name(path)?, query(options)?.keep_state).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn start(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.start(&name(path)?).await?))
}

pub(crate) async fn stop(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.stop(&name(path)?).await?))
}

pub(crate) async fn power(State(shared): State<Shared>, path: Name) -> Reply {
    let bmc = shared.admin.show(&name(path)?).await?;
    if !bmc.summary.reachable {
        // The last power that was known may be wrong by now, and who asks acts on the answer.
        let problem = bmc.summary.problem.unwrap_or_else(|| "the machine cannot be reached".to_owned());
        return Err(ControlError::new(ErrorKind::Unavailable, problem));
    }
    Ok(json(&PowerView { name: bmc.summary.name, power: bmc.summary.power, power_fault: bmc.power_fault }))
}

pub(crate) async fn set_power(State(shared): State<Shared>, path: Name, body: Payload) -> Reply {
    let request: PowerRequest = parse(body)?;
    Ok(json(&shared.admin.power(&name(path)?, request.action).await?))
}

pub(crate) async fn boot(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.boot(&name(path)?).await?))
}

pub(crate) async fn sensors(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.sensors(&name(path)?).await?))
}

pub(crate) async fn set_boot(State(shared): State<Shared>, path: Name, body: Payload) -> Reply {
    let boot: SetBoot = parse(body)?;
    Ok(json(&shared.admin.set_boot(&name(path)?, boot).await?))
}

pub(crate) async fn media(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.media(&name(path)?).await?))
}

type DrivePath = Result<Path<(String, MediaSlot)>, PathRejection>;

fn drive(path: DrivePath) -> Result<(String, MediaSlot), ControlError> {
    path.map(|Path(path)| path).map_err(|error| ControlError::invalid(error.body_text()))
}

pub(crate) async fn insert(State(shared): State<Shared>, path: DrivePath, body: Payload) -> Reply {
    let (name, drive) = drive(path)?;
    let image: InsertImage = parse(body)?;
    shared.admin.insert(&name, drive, image).await?;
    Ok(json(&shared.admin.media(&name).await?))
}

pub(crate) async fn eject(State(shared): State<Shared>, path: DrivePath) -> Reply {
    let (name, drive) = drive(path)?;
    shared.admin.eject(&name, drive).await?;
    Ok(json(&shared.admin.media(&name).await?))
}

pub(crate) async fn sel(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.sel(&name(path)?).await?))
}

pub(crate) async fn clear_sel(State(shared): State<Shared>, path: Name) -> Reply {
    shared.admin.clear_sel(&name(path)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn system_interface(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.system_interface(&name(path)?).await?))
}

pub(crate) async fn set_system_interface(State(shared): State<Shared>, path: Name, body: Payload) -> Reply {
    let wanted: SetSystemInterface = parse(body)?;
    Ok(json(&shared.admin.set_system_interface(&name(path)?, Some(wanted.kind)).await?))
}

pub(crate) async fn remove_system_interface(State(shared): State<Shared>, path: Name) -> Reply {
    Ok(json(&shared.admin.set_system_interface(&name(path)?, None).await?))
}

pub(crate) async fn reload(State(shared): State<Shared>) -> Reply {
    Ok(json(&shared.admin.reload().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    follow: bool,
}

pub(crate) async fn events(
    State(shared): State<Shared>,
    options: Result<Query<EventsQuery>, QueryRejection>,
) -> Reply {
    let EventsQuery { after, follow } = query(options)?;
    let (kept, later) = shared.admin.events(after);
    let body = if follow {
        let Shared { admin, shutdown } = shared;
        let follower = Follower { last: after, waiting: kept.into(), later, admin, shutdown };
        Body::from_stream(stream::unfold(follower, |mut follower| async {
            let line = follower.next_line().await?;
            Some((Ok::<_, Infallible>(line), follower))
        }))
    } else {
        Body::from(kept.iter().flat_map(line).collect::<Vec<u8>>())
    };
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], body).into_response())
}

fn line(event: &Event) -> Vec<u8> {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Someone who follows the events. One that lags behind the broadcast reads what it missed from the ring.
struct Follower {
    last: u64,
    waiting: std::collections::VecDeque<Event>,
    later: broadcast::Receiver<Event>,
    admin: SharedAdmin,
    shutdown: CancellationToken,
}

impl Follower {
    async fn next_line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.last = event.id;
                return Some(line(&event).into());
            }
            let received = tokio::select! {
                received = self.later.recv() => received,
                () = self.shutdown.cancelled() => return None,
            };
            match received {
                Ok(event) => self.waiting.push_back(event),
                Err(RecvError::Lagged(_)) => {
                    let (kept, later) = self.admin.events(self.last);
                    self.waiting = kept.into();
                    self.later = later;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let error = ControlError::invalid(format!("{method} does not exist for {}", uri.path()));
    let mut response = error.into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

pub(crate) async fn no_such_route(uri: Uri) -> ControlError {
    ControlError::new(
        ErrorKind::NotFound,
        format!("{} does not exist; command line and daemon may be of different versions", uri.path()),
    )
}
