//! A bare HTTP answer: axum with one handler that returns as many bytes as asked for, over TLS or not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use bytes::Bytes;
use http::header;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::oneshot;

/// The server; ends when dropped.
#[derive(Debug)]
pub(in crate::bench) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens.
    pub(in crate::bench) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts one on a free loopback port, with a runtime of its own, as a daemon beside us would have.
///
/// # Errors
/// When loopback cannot be bound, no certificate can be made, or no thread can be started.
pub(in crate::bench) fn start(body_len: usize, tls: bool) -> Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("loopback cannot be bound")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let config = tls.then(server_config).transpose()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("bare-http").build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("bare-http".to_owned()).spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                // A server that fails to start shows as clients that cannot connect.
                _ = serve(listener, config, router(body_len)) => {}
                _ = stopped => {}
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

fn router(body_len: usize) -> Router {
    let body = Bytes::from(vec![b' '; body_len]);
    Router::new().fallback(move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    })
}

async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, router: Router) -> std::io::Result<()> {
    let service = router.into_make_service();
    match tls {
        Some(config) => {
            let config = RustlsConfig::from_config(config);
            axum_server::from_tcp_rustls(listener, config)?.serve(service).await
        }
        None => axum_server::from_tcp(listener)?.serve(service).await,
    }
}

fn server_config() -> Result<Arc<ServerConfig>> {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()])?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}
