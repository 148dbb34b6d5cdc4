//! Reading a request's body under a bound.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

/// How much of a body that is too large is read away, so that the client has sent all and gets to read the refusal instead of a reset
/// connection.
pub(crate) const DRAIN_MAX_BYTES: u64 = 16 * 1024 * 1024;

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

/// Reads a body within bounds. `declared` is its Content-Length; `drain` says whether the client sends the rest of a too large one
/// without asking.
pub(crate) async fn read(
    body: Body,
    bounds: Bounds,
    declared: Option<u64>,
    drain: bool,
) -> Result<Bytes, BodyError> {
    let max = bounds.bytes as u64;
    let drains = |declared| drain && declared <= DRAIN_MAX_BYTES;
    if declared.is_some_and(|declared| declared > max && !drains(declared)) {
        return Err(BodyError::TooLarge);
    }
    timeout(bounds.time, read_all(body, max)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn read_all(mut body: Body, max: u64) -> Result<Bytes, BodyError> {
    let mut kept = BytesMut::new();
    let mut seen: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len() as u64;
        if seen > DRAIN_MAX_BYTES {
            break;
        }
        if seen > max {
            kept = BytesMut::new();
        } else {
            kept.extend_from_slice(&data);
        }
    }
    if seen > max { Err(BodyError::TooLarge) } else { Ok(kept.freeze()) }
}
