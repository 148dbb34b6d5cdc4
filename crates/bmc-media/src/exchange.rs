//! One request to a media server and its answer, on a connection of its own.
//!
//! The connection is used once and taken back when the answer has ended: what the server has sent behind it shows that the length it
//! announced was a lie.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bmc_core::media::MediaErrorKind;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Parts};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// How long a server may take to close the connection once its answer has ended; one that takes longer has nothing more to say.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Bytes both ways.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
type Wire = TokioIo<Box<dyn Io>>;

/// Why there is no answer, or none that goes on.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: MediaErrorKind,
    pub(crate) message: String,
    /// Whether what came so far is good, and the rest may be had by another request.
    pub(crate) broke_off: bool,
}

impl Trouble {
    pub(crate) fn new(kind: MediaErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), broke_off: false }
    }

    fn broken(message: impl Into<String>) -> Self {
        Self { broke_off: true, ..Self::new(MediaErrorKind::Broken, message) }
    }
}

/// An answer, of which the body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    connection: Connection,
    stall: Duration,
}

/// The task that moves the bytes; it ends with whoever wants the answer.
struct Connection(JoinHandle<hyper::Result<Parts<Wire>>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a GET and waits for the head of its answer.
pub(crate) async fn get(
    url: &Url,
    headers: HeaderMap,
    tls: Option<Arc<ClientConfig>>,
    stall: Duration,
) -> Result<Answer, Trouble> {
    let wire = timeout(stall, connect(url, tls)).await;
    let wire = wire.unwrap_or_else(|_| {
        let message = format!("no connection within {} seconds", stall.as_secs());
        Err(Trouble::new(MediaErrorKind::Unreachable, message))
    })?;
    let asked = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await?;
        let connection = Connection(tokio::spawn(connection.without_shutdown()));
        let mut request = Request::get(path(url)).body(Empty::<Bytes>::new()).unwrap_or_default();
        *request.headers_mut() = headers;
        let answer = sender.send_request(request).await?;
        Ok::<_, hyper::Error>((connection, answer))
    };
    match timeout(stall, asked).await {
        Ok(Ok((connection, answer))) => {
            let (head, body) = answer.into_parts();
            Ok(Answer { status: head.status, headers: head.headers, body, connection, stall })
        }
        Ok(Err(error)) => Err(Trouble::broken(format!("no answer: {}", causes(&error)))),
        Err(_) => Err(stalled(stall)),
    }
}

impl Answer {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            match timeout(self.stall, self.body.frame()).await {
                Err(_) => return Err(stalled(self.stall)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Trouble::broken(format!("it broke off: {}", causes(&error))));
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Whether the server sends more than it announced. To be asked once the body has ended.
    pub(crate) async fn goes_on(mut self) -> bool {
        let more = async {
            let Ok(Ok(Parts { io, read_buf, .. })) = (&mut self.connection.0).await else { return false };
            !read_buf.is_empty() || matches!(io.into_inner().read(&mut [0]).await, Ok(1))
        };
        timeout(CLOSE_LIMIT, more).await.unwrap_or(false)
    }
}

fn stalled(stall: Duration) -> Trouble {
    Trouble::new(MediaErrorKind::Timeout, format!("the server sent nothing for {} seconds", stall.as_secs()))
}

/// Path and query, as a request line has them.
fn path(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// `Host`, with the port where it is not the scheme's own.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

async fn connect(url: &Url, tls: Option<Arc<ClientConfig>>) -> Result<Box<dyn Io>, Trouble> {
    let unreachable = |reason: String| Trouble::new(MediaErrorKind::Unreachable, reason);
    let port = url.port_or_known_default().unwrap_or(80);
    let connected = match url.host() {
        Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
        Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
        Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
        None => Err(io::Error::other("the URI names no host")),
    };
    let stream =
        connected.map_err(|error| unreachable(format!("no connection to {}: {error}", authority(url))))?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(address)) => Some(ServerName::from(std::net::IpAddr::from(address))),
        Some(Host::Ipv6(address)) => Some(ServerName::from(std::net::IpAddr::from(address))),
        None => None,
    };
    let name = name.ok_or_else(|| unreachable("the host's name cannot stand in a certificate".to_owned()))?;
    match TlsConnector::from(tls).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(tls_trouble(&error)),
    }
}

fn tls_trouble(error: &io::Error) -> Trouble {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(reason)) = inner else {
        return Trouble::new(MediaErrorKind::Unreachable, format!("no TLS with the server: {error}"));
    };
    let why = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host"
        }
        CertificateError::UnknownIssuer => {
            "nobody who is trusted has signed it; add who has to the Certificates of the virtual media"
        }
        CertificateError::Revoked => "it was revoked",
        other => {
            return Trouble::new(
                MediaErrorKind::Certificate,
                format!("the server's certificate is not good: {other:?}"),
            );
        }
    };
    Trouble::new(MediaErrorKind::Certificate, format!("the server's certificate is not good: {why}"))
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What every request has.
pub(crate) fn common_headers(url: &Url) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(host) = authority(url).parse() {
        headers.insert(header::HOST, host);
    }
    headers.insert(header::USER_AGENT, http::HeaderValue::from_static("polybmc"));
    headers.insert(header::ACCEPT, http::HeaderValue::from_static("*/*"));
    // What was compressed on the way would have another length and checksum than the image.
    headers.insert(header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
    headers
}
