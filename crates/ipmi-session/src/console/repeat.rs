//! Datagrams that are sent again until they are answered.

use std::time::{Duration, Instant};

use super::ConsoleConfig;

/// A datagram that is sent until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Repeat {
    bytes: Vec<u8>,
    pub(super) due: Instant,
    left: u32,
}

/// Whether a datagram is to be sent again.
pub(super) enum Again {
    NotYet,
    Send(Vec<u8>),
    GiveUp,
}

impl Repeat {
    pub(super) fn new(bytes: Vec<u8>, now: Instant, config: &ConsoleConfig) -> Self {
        Self { bytes, due: now + config.retry_after, left: config.retries }
    }

    pub(super) fn again(&mut self, now: Instant, retry_after: Duration) -> Again {
        if now < self.due {
            return Again::NotYet;
        }
        let Some(left) = self.left.checked_sub(1) else { return Again::GiveUp };
        self.left = left;
        self.due = now + retry_after;
        Again::Send(self.bytes.clone())
    }
}
