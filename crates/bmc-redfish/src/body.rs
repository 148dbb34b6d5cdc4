//! Reading a request's body under a bound.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

/// Why a body cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed.
    TooLarge,
    /// It broke off or is wrongly framed.
    Broken,
    /// It did not arrive in time.
    TooSlow,
}

/// How much of a body is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Its bytes.
    pub(crate) bytes: usize,
    /// The time it takes to arrive.
    pub(crate) time: Duration,
}

/// Reads a body within bounds. `declared` is its Content-Length; `linger` says whether the client sends the rest of a too large one
/// without asking.
///
/// A body that is too large is refused at once. Its rest is read away meanwhile, for as long as a good body may take: were the connection
/// closed over unread bytes, TCP would reset it and take the refusal from the client, which may read only after it has sent all.
pub(crate) async fn read(
    mut body: Body,
    bounds: Bounds,
    declared: Option<u64>,
    linger: bool,
) -> Result<Bytes, BodyError> {
    let too_large = declared.is_some_and(|declared| declared > bounds.bytes as u64);
    let read = if too_large {
        Err(BodyError::TooLarge)
    } else {
        timeout(bounds.time, read_all(&mut body, bounds.bytes)).await.unwrap_or(Err(BodyError::TooSlow))
    };
    if linger && read == Err(BodyError::TooLarge) {
        tokio::spawn(timeout(bounds.time, read_away(body)));
    }
    read
}

async fn read_all(body: &mut Body, max: usize) -> Result<Bytes, BodyError> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max - kept.len() {
            return Err(BodyError::TooLarge);
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.freeze())
}

/// Reads a body away that nobody wants, for as long as a good one may take.
pub(crate) fn linger(body: Body, bounds: Bounds) {
    tokio::spawn(timeout(bounds.time, read_away(body)));
}

async fn read_away(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}
