//! One HTTP connection of the load generator: TCP, TLS when the URL says so, HTTP/1.1 kept alive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// The largest answer that is read. A collection of ten thousand expanded members stays below.
pub(super) const MAX_BODY: usize = 64 * 1024 * 1024;

/// Why a request came to nothing.
#[derive(Debug, Error)]
pub(super) enum RequestError {
    /// No TCP connection.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// No TLS connection, for instance because of the certificate.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// The connection broke, or what came over it is not HTTP.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The answer's body broke off.
    #[error("the answer broke off: {0}")]
    Body(String),
    /// The answer is longer than [`MAX_BODY`].
    #[error("the answer is longer than {} MiB", MAX_BODY / (1024 * 1024))]
    TooLong,
    /// The answer did not come in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimeOut(Duration),
    /// The request cannot be written, for instance because of a token that is no header value.
    #[error("cannot make the request: {0}")]
    Request(#[from] http::Error),
}

/// Where to connect to, the same for all connections of a run.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// The address that the URL's host stands for.
    pub address: SocketAddr,
    /// The value of the `Host` header.
    pub host: header::HeaderValue,
    /// TLS and the name that the certificate must carry; `None` for plain HTTP.
    pub tls: Option<(TlsConnector, ServerName<'static>)>,
    /// How long connecting may take, and how long one request.
    pub timeout: Duration,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).field("tls", &self.tls.is_some()).finish()
    }
}

/// A connection with HTTP on it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    endpoint: Arc<Endpoint>,
    /// Moves the bytes; ends with the connection.
    driver: JoinHandle<()>,
    /// Whether the server has not said that it closes the connection.
    kept: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects, within the endpoint's time-out and before `end_by`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(super) async fn open(endpoint: Arc<Endpoint>, end_by: Instant) -> Result<Self, RequestError> {
        let deadline = end_by.min(Instant::now() + endpoint.timeout);
        timeout_at(deadline, Self::connect(Arc::clone(&endpoint)))
            .await
            .unwrap_or(Err(RequestError::TimeOut(endpoint.timeout)))
    }

    async fn connect(endpoint: Arc<Endpoint>) -> Result<Self, RequestError> {
        let stream = TcpStream::connect(endpoint.address).await.map_err(RequestError::Connect)?;
        stream.set_nodelay(true).map_err(RequestError::Connect)?;
        let (sender, driver) = match endpoint.tls.clone() {
            Some((connector, name)) => {
                let stream = connector.connect(name, stream).await.map_err(RequestError::Tls)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                (sender, tokio::spawn(drive(connection)))
            }
            None => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                (sender, tokio::spawn(drive(connection)))
            }
        };
        Ok(Self { sender, endpoint, driver, kept: true })
    }

    /// Sends one request and reads the whole answer, within the endpoint's time-out and before `end_by`.
    ///
    /// # Errors
    /// [`RequestError`]; the connection is of no use then.
    pub(super) async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
        end_by: Instant,
    ) -> Result<Response<Bytes>, RequestError> {
        let mut request = Request::builder().method(method).uri(path).body(Full::new(body))?;
        request.headers_mut().extend(headers.clone());
        request.headers_mut().insert(header::HOST, self.endpoint.host.clone());
        let deadline = end_by.min(Instant::now() + self.endpoint.timeout);
        timeout_at(deadline, async {
            self.sender.ready().await?;
            let (parts, body) = self.sender.send_request(request).await?.into_parts();
            self.kept = says_kept(parts.version, &parts.headers);
            let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    RequestError::TooLong
                } else {
                    RequestError::Body(error.to_string())
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        })
        .await
        .unwrap_or(Err(RequestError::TimeOut(self.endpoint.timeout)))
    }

    /// Whether another request may be sent: the server neither closed the connection nor said that it would.
    pub(super) fn is_usable(&self) -> bool {
        self.kept && !self.sender.is_closed()
    }
}

/// Whether an answer leaves the connection open (RFC 9112 §9.3).
fn says_kept(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| {
        let values = headers.get_all(header::CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case(word))
    };
    if version == Version::HTTP_10 { says("keep-alive") } else { !says("close") }
}

/// An error of the connection also reaches the request that waits on it, so it is reported there.
async fn drive<T>(connection: http1::Connection<TokioIo<T>, Full<Bytes>>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let _ = connection.await;
}

/// How an answer is counted: by its status.
pub(super) fn status_name(status: StatusCode) -> String {
    status.to_string()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_an_answer_says_about_its_connection() {
        let kept = |version, value: &'static str| {
            says_kept(version, &HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_static(value))]))
        };
        assert!(
            says_kept(Version::HTTP_11, &HeaderMap::new()) && !says_kept(Version::HTTP_10, &HeaderMap::new())
        );
        assert!(!kept(Version::HTTP_11, "Close") && !kept(Version::HTTP_11, "te, close"));
        assert!(kept(Version::HTTP_11, "te") && kept(Version::HTTP_10, "Keep-Alive"));
    }
}
