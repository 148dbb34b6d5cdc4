//! A machine's serial console over the control socket: one response that streams what the machine prints, and one request for each piece that is
//! typed. There is no state between the two, so any number of viewers may come and go.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use bmc_core::console::{Console, ConsoleInput, ConsoleState, INPUT_MAX_BYTES, InputError, Viewer};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, ClientError, bmc};
use crate::error::{ControlError, ErrorKind};
use crate::server::Shared;

/// Most bytes of output in one piece.
const PIECE_MAX_BYTES: usize = 16 * 1024;
/// The media type of both directions.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchQuery {
    #[serde(default)]
    follow: bool,
    history: Option<usize>,
}

/// `GET /v1/bmcs/{name}/console`.
pub(crate) async fn watch(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    options: Result<Query<WatchQuery>, QueryRejection>,
) -> Result<Response, ControlError> {
    let Path(name) = path.map_err(|error| ControlError::invalid(error.body_text()))?;
    let Query(WatchQuery { follow, history }) =
        options.map_err(|error| ControlError::invalid(error.body_text()))?;
    let console = shared.admin.console(&name).await?;
    let viewer = match history {
        None => console.view(),
        Some(0) => console.view_from_now(),
        Some(max_bytes) => console.view_last(max_bytes),
    };
    let mut watcher = Watcher { viewer, shutdown: shared.shutdown, waiting: VecDeque::new() };
    let body = if follow {
        Body::from_stream(stream::unfold(watcher, |mut watcher| async {
            let piece = watcher.next().await?;
            Some((Ok::<_, Infallible>(piece), watcher))
        }))
    } else {
        Body::from(watcher.viewer.take(usize::MAX).bytes)
    };
    Ok(([(header::CONTENT_TYPE, OCTETS)], body).into_response())
}

/// Somebody who watches. What was lost because it read too slowly is said in the stream.
struct Watcher {
    viewer: Viewer,
    shutdown: CancellationToken,
    waiting: VecDeque<Bytes>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Some(piece);
            }
            let seen = self.viewer.take(PIECE_MAX_BYTES);
            if seen.skipped > 0 {
                let lost = format!("\r\n[{} bytes of output were lost here]\r\n", seen.skipped);
                self.waiting.push_back(lost.into());
            }
            if !seen.bytes.is_empty() {
                self.waiting.push_back(seen.bytes.into());
                continue;
            }
            tokio::select! {
                more = self.viewer.changed() => if !more { return None },
                () = self.shutdown.cancelled() => return None,
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypeQuery {
    #[serde(default, rename = "break")]
    send_break: bool,
}

/// `POST /v1/bmcs/{name}/console`.
pub(crate) async fn type_in(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    options: Result<Query<TypeQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ControlError> {
    let Path(name) = path.map_err(|error| ControlError::invalid(error.body_text()))?;
    let Query(TypeQuery { send_break }) =
        options.map_err(|error| ControlError::invalid(error.body_text()))?;
    let typed = body.map_err(|error| ControlError::invalid(error.body_text()))?;
    if typed.len() > INPUT_MAX_BYTES {
        let problem = format!("a piece of input has at most {INPUT_MAX_BYTES} bytes; send it in several");
        return Err(ControlError::invalid(problem));
    }
    let console = shared.admin.console(&name).await?;
    if !typed.is_empty() {
        send(&console, ConsoleInput::Bytes(typed.into()))?;
    }
    if send_break {
        send(&console, ConsoleInput::Break)?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn send(console: &Console, input: ConsoleInput) -> Result<(), ControlError> {
    console.send(input).map_err(|error| match error {
        InputError::Full => ControlError::new(ErrorKind::Busy, error.to_string()),
        InputError::Closed => {
            let why = match console.state() {
                ConsoleState::Closed(why) => format!("the console is not connected: {why}"),
                ConsoleState::Open => error.to_string(),
            };
            ControlError::new(ErrorKind::WrongState, why)
        }
    })
}

/// What a machine prints, as it comes.
#[derive(Debug)]
pub struct ConsoleOutput {
    body: Incoming,
}

impl ConsoleOutput {
    /// The next piece; `None` when the machine is no longer served, or the daemon shut down.
    ///
    /// # Errors
    /// The daemon hung up.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(ClientError::Broken(error.to_string())),
                None => return Ok(None),
            }
        }
    }
}

impl Client {
    /// Watches a machine's serial console: at most the last `history` bytes that are kept (all of them for `None`), and with `follow`
    /// what comes.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn console(
        &self,
        name: &str,
        history: Option<usize>,
        follow: bool,
    ) -> Result<ConsoleOutput, ClientError> {
        let history = history.map(|bytes| format!("&history={bytes}")).unwrap_or_default();
        let path = bmc(name, &format!("/console?follow={follow}{history}"));
        Ok(ConsoleOutput { body: self.open(http::Method::GET, &path, None::<&()>).await? })
    }

    /// Types into a machine's serial console, in pieces as the daemon takes them.
    ///
    /// # Errors
    /// As every call: [`ClientError`]; pieces before the one that was refused were typed.
    pub async fn console_type(&self, name: &str, typed: &[u8]) -> Result<(), ClientError> {
        for piece in typed.chunks(INPUT_MAX_BYTES) {
            self.post_octets(&bmc(name, "/console"), Bytes::copy_from_slice(piece)).await?;
        }
        Ok(())
    }

    /// Sends a break over a machine's serial console.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn console_break(&self, name: &str) -> Result<(), ClientError> {
        self.post_octets(&bmc(name, "/console?break=true"), Bytes::new()).await
    }
}
