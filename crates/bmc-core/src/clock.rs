//! Time, passed in. Nothing in the core asks the operating system; the shells own a [`Clock`].

use std::time::Instant;

use jiff::Timestamp;

/// A source of both kinds of time.
pub trait Clock: Send + Sync + 'static {
    /// Time that only goes forward; for intervals and deadlines.
    fn now(&self) -> Instant;
    /// The time of day; for what people read. May jump.
    fn timestamp(&self) -> Timestamp;
}

/// The operating system's clocks. Follows tokio's clock, so that tests with paused time hold it too.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::now()
    }
}
