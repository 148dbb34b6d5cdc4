//! Plain HTTP on a port that speaks TLS: who types `http://` is sent to `https://` (DSP0266, "HTTP redirect"). Nothing is served, and nothing
//! that was sent is looked at but the request line and `Host`.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The first byte of every TLS connection: a handshake record (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// Whether a client begins with TLS. Waits for its first byte and leaves it where it is.
pub(crate) async fn begins_with_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let read = stream.peek(&mut first).await?;
    Ok(read == 1 && first == [HANDSHAKE_RECORD])
}

/// Answers one plain request by where to go.
pub(crate) async fn answer(stream: TcpStream, limit: Duration, header_max_bytes: usize) {
    let service =
        service_fn(|request: Request<Incoming>| async move { Ok::<_, Infallible>(elsewhere(&request)) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(header_max_bytes)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Who does not take the answer does not want it.
    let _ = timeout(limit, connection).await;
}

/// 308, so that the method stays what it is; 400 for who does not say which host was meant.
fn elsewhere<B>(request: &Request<B>) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let there =
        host.and_then(|host| HeaderValue::from_str(&format!("https://{}{path}", without_user(&host))).ok());
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        if there.is_some() { StatusCode::PERMANENT_REDIRECT } else { StatusCode::BAD_REQUEST };
    if let Some(there) = there {
        response.headers_mut().insert(LOCATION, there);
    }
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// Host and port alone.
fn without_user(host: &Authority) -> &str {
    host.as_str().rsplit_once('@').map_or(host.as_str(), |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_over_tls() {
        let to = |host: Option<&str>, path: &str| {
            let mut request = Request::builder().uri(path);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let response = elsewhere(&request.body(()).unwrap());
            let there = response.headers().get(LOCATION).map(|there| there.to_str().unwrap().to_owned());
            (response.status().as_u16(), there)
        };
        let there = |uri: &str| (308, Some(uri.to_owned()));
        assert_eq!(to(Some("bmc:8100"), "/redfish/v1?a=b"), there("https://bmc:8100/redfish/v1?a=b"));
        assert_eq!(to(Some("[::1]:443"), "/"), there("https://[::1]:443/"));
        assert_eq!(to(Some("who@bmc"), "http://other/x"), there("https://bmc/x"));
        for bad in [None, Some(""), Some("a b"), Some("a/b"), Some("[::1")] {
            assert_eq!(to(bad, "/"), (400, None), "{bad:?}");
        }
    }
}
