//! One connection to one libvirt URI, and bounded calls on it.
//!
//! Every libvirt call blocks, some for long. Each runs on tokio's blocking pool, holds a permit for as long as it really runs (also
//! past its time-out), and there are few permits, because libvirtd serves few requests of one client at a time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bmc_core::backend::Link;
use bmc_core::error::{BackendError, BackendErrorKind};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use virt::connect::Connect;
use virt::error::Error;

use crate::error::{from_libvirt, not_opened};
use crate::sys::{Registration, Sink, start_event_loop};

/// Calls in flight on one connection. libvirtd's default `max_client_requests` is 5: one is left for keepalive.
pub(crate) const CALLS_IN_FLIGHT_MAX: usize = 4;
/// Time-out of a call that only asks or that the hypervisor answers at once.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Time-out of a start: QEMU is set up, disks are opened, perhaps over a network.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Time-out of a hard stop: libvirt itself kills the emulator after about 30 s.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(45);
/// Time-out of opening a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds between keepalive messages, and how many may stay unanswered before the connection counts as dead.
/// A daemon that hangs is found out after the first times one more than the second; one that is merely busy answers these all the same.
const KEEPALIVE: (i32, u32) = (2, 3);

/// A live connection with its callbacks. The callbacks go before the connection, as libvirt needs it.
pub(crate) struct Live {
    registration: Option<Registration>,
    pub(crate) connect: Connect,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.registration.take();
    }
}

/// The way to make calls on the connection that is there at the moment, if one is.
#[derive(Clone)]
pub(crate) struct Caller {
    uri: Arc<str>,
    /// `None` until the first attempt has ended.
    state: watch::Sender<Option<Result<Arc<Live>, BackendError>>>,
    permits: Arc<Semaphore>,
    /// How many calls were begun.
    calls: Arc<AtomicU64>,
}

impl Caller {
    pub(crate) fn new(uri: Arc<str>) -> Self {
        Self {
            uri,
            state: watch::Sender::new(None),
            permits: Arc::new(Semaphore::new(CALLS_IN_FLIGHT_MAX)),
            calls: Arc::default(),
        }
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// How it is reached, and how much it was asked.
    pub(crate) fn link(&self) -> Link {
        let problem = match &*self.state.borrow() {
            None => Some("the first attempt to connect is under way".to_owned()),
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error.message.clone()),
        };
        Link { uri: self.uri.to_string(), problem, calls: self.calls.load(Ordering::Relaxed) }
    }

    /// The connection, or why there is none; waits for the end of the first attempt.
    async fn live(&self) -> Result<Arc<Live>, BackendError> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(Option::is_some).await;
        known.ok().and_then(|known| known.clone()).unwrap_or_else(|| {
            Err(BackendError::unavailable(format!("libvirt at {} is no longer used", self.uri)))
        })
    }

    /// Replaces the connection. The old one is closed where closing may block.
    pub(crate) fn set(&self, state: Result<Arc<Live>, BackendError>) {
        if let Some(Ok(live)) = self.state.send_replace(Some(state)) {
            tokio::task::spawn_blocking(move || drop(live));
        }
    }

    /// Begins to open a connection and to register for its events. A libvirt that hangs holds this for as long as it hangs.
    pub(crate) fn open(&self, sink: impl Fn() -> Sink + Send + 'static) -> Opening {
        let uri = Arc::clone(&self.uri);
        Opening(tokio::task::spawn_blocking(move || {
            start_event_loop().map_err(|reason| BackendError::new(BackendErrorKind::Internal, reason))?;
            let connect = Connect::open(Some(&uri)).map_err(|error| not_opened(&uri, &error))?;
            if let Err(error) = connect.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
                // Local drivers have no transport to keep alive.
                tracing::debug!(%uri, %error, "no keepalive");
            }
            let registration =
                Registration::new(&connect, sink).map_err(|error| from_libvirt(&uri, &error))?;
            Ok(Arc::new(Live { registration: Some(registration), connect }))
        }))
    }

    /// Runs `work` on the connection.
    ///
    /// # Errors
    /// `Unavailable` without a connection, `Timeout` when `limit` passes (the call goes on by itself), or libvirt's.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        what: &'static str,
        work: impl FnOnce(&Connect) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, BackendError> {
        let uri = Arc::clone(&self.uri);
        bounded(limit, what, async {
            let live = self.live().await?;
            let permits = Arc::clone(&self.permits);
            let permit = permits.acquire_owned().await;
            self.calls.fetch_add(1, Ordering::Relaxed);
            let run = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                work(&live.connect).map_err(|failure| match failure {
                    Failure::Libvirt(error) => from_libvirt(&uri, &error),
                    Failure::Ours(error) => error,
                })
            });
            run.await.unwrap_or_else(|join| Err(died(&join)))
        })
        .await
    }
}

/// A connection that is being opened.
pub(crate) struct Opening(tokio::task::JoinHandle<Result<Arc<Live>, BackendError>>);

impl Opening {
    /// Its end; or `None` after [`CONNECT_TIMEOUT`], when it goes on and can be waited for again. It is not given up for another attempt,
    /// which would occupy one more thread.
    pub(crate) async fn end(&mut self) -> Option<Result<Arc<Live>, BackendError>> {
        let ended = tokio::time::timeout(CONNECT_TIMEOUT, &mut self.0).await.ok()?;
        Some(ended.unwrap_or_else(|join| Err(died(&join))))
    }
}

/// What stops a piece of work: libvirt, or our own reading of what it said.
#[derive(Debug)]
pub(crate) enum Failure {
    Libvirt(Error),
    Ours(BackendError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Libvirt(error)
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self::Ours(error)
    }
}

async fn bounded<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    timeout_at(Instant::now() + limit, work).await.unwrap_or_else(|_| {
        let message = format!("libvirt did not {what} within {} s; it may still happen", limit.as_secs());
        Err(BackendError::new(BackendErrorKind::Timeout, message))
    })
}

fn died(join: &tokio::task::JoinError) -> BackendError {
    BackendError::new(BackendErrorKind::Internal, format!("a libvirt call ended abnormally: {join}"))
}
