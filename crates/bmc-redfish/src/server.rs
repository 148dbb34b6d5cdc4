//! The HTTP server of one endpoint: sockets, TLS, and the bounds that keep hostile clients from holding it.
//!
//! ```text
//!  accept ──► handshake ──► header ──► request ──► answer ──┐        every arrow has a deadline, and the
//!  (permit)   (timeout)     (timeout)  (timeout)            │        whole connection one of its own
//!                              ▲──────── keep-alive ────────┘
//! ```
//!
//! A connection holds a permit from the moment it is accepted; when all are taken, clients wait in the listen queue until one of the
//! deadlines frees one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bmc_core::bmc::{Door, Listener};
use bmc_core::fleet::MachineHandle;
use bmc_core::request::Request as MachineRequest;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::background::Background;
use crate::config::RedfishConfig;
use crate::door::{self, Peer};
use crate::redirect;
use crate::scope::Scope;
use crate::service::{Service, router};
use crate::tls::{Tls, TlsError, server_config};

/// Bytes of a request's header kept at most; more is refused with 431.
const HEADER_MAX_BYTES: usize = 16 * 1024;
/// How long accepting pauses after an error such as too many open files, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why an endpoint does not serve.
#[derive(Debug, Error)]
pub enum BindError {
    /// The address is taken.
    #[error(
        "{0} is in use by another program; give this endpoint another port, or stop that program (`ss -ltnp` names it)"
    )]
    InUse(SocketAddr),
    /// The port needs rights that the process does not have.
    #[error(
        "{0} needs rights this process does not have; use a port above 1023 or grant CAP_NET_BIND_SERVICE"
    )]
    Permission(SocketAddr),
    /// Anything else about the address.
    #[error("cannot listen on {address}: {source}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

/// A serving endpoint. Dropping it stops it without waiting; [`stop`](Self::stop) waits.
#[derive(Debug)]
pub struct RedfishServer {
    address: SocketAddr,
    /// The one machine that is served, if it is one.
    machine: Option<MachineHandle>,
    stopping: CancellationToken,
    tasks: TaskTracker,
    background: Background,
    stop_grace: Duration,
}

impl RedfishServer {
    /// Binds an address (port 0 takes a free one) and serves `scope` there on the present tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`]; nothing is bound then.
    pub async fn bind(
        address: SocketAddr,
        tls: Tls,
        scope: Scope,
        config: RedfishConfig,
    ) -> Result<Self, BindError> {
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied => BindError::Permission(address),
            _ => BindError::Address { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let bound = listener.local_addr().map_err(fail)?;
        let held = tls.held(
            bound.ip(),
            scope.machine().map(|machine| &**machine.name()),
            scope.fleet().clock().timestamp(),
        )?;
        if let (Some(machine), Some(held)) = (scope.machine(), &held) {
            config.keyring.put(machine.name(), held);
        }
        let tls = held.map(server_config).transpose()?.map(TlsAcceptor::from);
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let permits = Arc::new(Semaphore::new(config.connections_max));
        let (limits, stop_grace) = (config.clone(), config.stop_grace);
        let machine = scope.machine().cloned();
        if let Some(machine) = &machine {
            let listener = Listener { address: bound, tls: tls.is_some() };
            // A machine that is gone needs not be told.
            let _ = machine.request(MachineRequest::Serves(Door::Redfish, Some(listener))).await;
        }
        let service = Arc::new(Service::new(scope, config));
        service.events.load().await;
        let background = service.background.clone();
        let router = router(service);
        let endpoint =
            Endpoint { router, tls, limits, permits, stopping: stopping.clone(), tasks: tasks.clone() };
        tasks.spawn(endpoint.accept_all(listener));
        Ok(Self { address: bound, machine, stopping, tasks, background, stop_grace })
    }

    /// Where it serves.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connection is taken, idle ones are closed, requests under way get their answers within
    /// [`RedfishConfig::stop_grace`], and tasks under way are cancelled. The port is free when this returns.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.background.stop();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(machine) = &self.machine {
            let _ = machine.request(MachineRequest::Serves(Door::Redfish, None)).await;
        }
        self.background.ended(self.stop_grace).await;
    }
}

impl Drop for RedfishServer {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.background.stop();
    }
}

#[derive(Clone)]
struct Endpoint {
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: RedfishConfig,
    permits: Arc<Semaphore>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Endpoint {
    async fn accept_all(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = self.accept(&listener) => accepted,
            };
            match accepted {
                Some((stream, peer, permit)) => {
                    let endpoint = self.clone();
                    self.tasks.spawn(async move {
                        endpoint.connection(stream, peer).await;
                        drop(permit);
                    });
                }
                None => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok((stream, peer)) => Some((stream, peer, permit)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                None
            }
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and written whole; waiting to fill a packet only costs time.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.http(stream, peer).await;
        };
        let tls_or_not = tokio::select! {
            () = self.stopping.cancelled() => return,
            first = timeout(self.limits.handshake_timeout, redirect::begins_with_tls(&stream)) => first,
        };
        match tls_or_not {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                return redirect::answer(stream, self.limits.handshake_timeout, HEADER_MAX_BYTES).await;
            }
            Ok(Err(_)) | Err(_) => return tracing::debug!(%peer, "no TLS handshake"),
        }
        let handshake = tokio::select! {
            () = self.stopping.cancelled() => return,
            handshake = timeout(self.limits.handshake_timeout, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) => self.http(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn http(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let streaming = Arc::new(watch::Sender::new(false));
        let service = service_fn(|request: Request<Incoming>| self.request(request, peer, &streaming));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(HEADER_MAX_BYTES)
            // Who has sent all and says so, as `nc -N` does, still gets an answer.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.time_to_end(streaming.subscribe()) => {
                connection.as_mut().graceful_shutdown();
                match timeout(self.limits.stop_grace, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    /// When a connection shall end after the request under way: the server stops, or the connection is old and not a stream's, which has
    /// bounds of its own.
    async fn time_to_end(&self, mut streaming: watch::Receiver<bool>) {
        let lifetime = self.limits.connection_lifetime;
        if timeout(lifetime, self.stopping.cancelled()).await.is_err() {
            tokio::select! {
                () = self.stopping.cancelled() => {}
                _ = streaming.wait_for(|streaming| !streaming) => {}
            }
        }
    }

    async fn request(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        streaming: &Arc<watch::Sender<bool>>,
    ) -> Result<Response, std::convert::Infallible> {
        request.extensions_mut().insert(Peer(peer));
        let request = request.map(Body::new);
        if !door::names_one_host(&request) {
            return Ok(door::refuse_hosts(request).await);
        }
        let response = self.router.clone().oneshot(request).await?;
        let kind = response.headers().get(CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            return Ok(response);
        }
        streaming.send_replace(true);
        Ok(response.map(|body| Body::new(Streaming { body, streaming: Arc::clone(streaming) })))
    }
}

/// The body of an answer that may take longer than a connection otherwise lives.
struct Streaming {
    body: Body,
    streaming: Arc<watch::Sender<bool>>,
}

impl hyper::body::Body for Streaming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.streaming.send_replace(false);
    }
}
