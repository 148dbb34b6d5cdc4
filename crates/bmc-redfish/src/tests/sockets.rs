//! Over real sockets: TLS, time-outs, limits, stopping.

use std::io::ErrorKind;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;
use crate::server::{BindError, RedfishServer};
use crate::tls::Tls;

const HOME: &str = "127.0.0.1:0";
/// No step of these tests may take longer; most take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

async fn serve(tls: Tls, config: RedfishConfig) -> (RedfishServer, Lab) {
    let lab = lab().await;
    let scope = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
    let server = RedfishServer::bind(HOME.parse().unwrap(), tls, scope, config).await.unwrap();
    (server, lab)
}

fn impatient() -> RedfishConfig {
    let short = Duration::from_millis(200);
    RedfishConfig {
        handshake_timeout: short,
        header_timeout: short,
        request_timeout: Duration::from_millis(400),
        ..RedfishConfig::default()
    }
}

/// Reads until the other side closes. A reset is a close too.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes") {
        Ok(_) => {}
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}")
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(stream).await
}

const GET_ROOT: &str = "GET /redfish/v1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn tls_with_the_certificate_that_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _lab) =
        serve(Tls::SelfSigned { dir: dir.path().to_owned() }, RedfishConfig::default()).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.path().join("redfish.crt")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    for name in ["localhost", "127.0.0.1", "::1"] {
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        let answer = ask(&mut stream, GET_ROOT).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("ServiceRoot"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_sent_to_https() {
    let dir = tempfile::tempdir().unwrap();
    let config = RedfishConfig { handshake_timeout: Duration::from_secs(600), ..RedfishConfig::default() };
    let (server, _lab) = serve(Tls::SelfSigned { dir: dir.path().to_owned() }, config).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let answer = ask(&mut stream, GET_ROOT).await;
    assert!(
        answer.starts_with("HTTP/1.1 308") && answer.contains("location: https://x/redfish/v1/\r\n"),
        "{answer}"
    );
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    assert_eq!(ask(&mut stream, "neither the one nor the other\r\n\r\n").await.matches("200").count(), 0);
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    let (server, _lab) = serve(Tls::Off, RedfishConfig::default()).await;
    for (head, status, message) in [
        ("HTTP/1.1\r\n", "400", "HeaderMissing"),
        ("HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "400", "HeaderInvalid"),
        ("HTTP/1.0\r\n", "200", "ServiceRoot"),
        ("HTTP/1.1\r\nHost:\r\n", "200", "ServiceRoot"),
    ] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let answer = ask(&mut stream, &format!("GET /redfish/v1/ {head}Connection: close\r\n\r\n")).await;
        assert!(answer.contains(&format!(" {status} ")) && answer.contains(message), "{head}: {answer}");
        assert!(answer.contains("odata-version: 4.0\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn slow_clients_are_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, _a) = serve(Tls::SelfSigned { dir: dir.path().to_owned() }, impatient()).await;
    let (plain, _b) = serve(Tls::Off, impatient()).await;
    let mut silent = TcpStream::connect(tls.local_addr()).await.unwrap();
    assert_eq!(rest(&mut silent).await, "", "no handshake");
    let mut slow_head = TcpStream::connect(plain.local_addr()).await.unwrap();
    let answer = ask(&mut slow_head, "GET /redfish/v1/ HTTP/1.1\r\nHost:").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    let mut slow_body = TcpStream::connect(plain.local_addr()).await.unwrap();
    let head = "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
    let answer = ask(&mut slow_body, head).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("OperationTimeout"), "{answer}");
    let mut idle = TcpStream::connect(plain.local_addr()).await.unwrap();
    let answer = ask(&mut idle, "GET /redfish HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "answered, kept, and then closed: {answer}");
}

#[tokio::test]
async fn connections_are_bounded_and_slow_ones_do_not_keep_others_out() {
    let config = RedfishConfig { connections_max: 2, ..impatient() };
    let (server, _lab) = serve(Tls::Off, config).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(b"GET /redfish HTTP/1.1\r\nX:").await.unwrap();
        held.push(stream);
    }
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    assert!(
        ask(&mut stream, GET_ROOT).await.starts_with("HTTP/1.1 200"),
        "served once the slow ones were dropped"
    );
}

#[tokio::test]
async fn a_body_of_any_size_gets_an_answer_not_a_reset() {
    let (server, _lab) = serve(Tls::Off, RedfishConfig::default()).await;
    let head = "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let size = 64 << 20;
    for framing in [format!("Content-Length: {size}"), format!("Transfer-Encoding: chunked\r\n\r\n{size:x}")]
    {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let closed = if framing.starts_with("Content") { "\r\n\r\n" } else { "\r\n" };
        stream.write_all(format!("{head}{framing}{closed}").as_bytes()).await.unwrap();
        // All is sent before anything is read: a connection closed over unread bytes would break this off.
        stream.write_all(&vec![b'{'; size]).await.unwrap();
        if !framing.starts_with("Content") {
            stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("PayloadTooLarge"),
            "{framing}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let (server, _lab) = serve(Tls::Off, RedfishConfig::default()).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let head = "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_client_that_asks_first_is_spared_sending_what_is_too_large() {
    let (server, _lab) = serve(Tls::Off, RedfishConfig::default()).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let head = "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n";
    let answer = ask(&mut stream, head).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let (server, _lab) = serve(Tls::Off, RedfishConfig::default()).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!("GET /redfish HTTP/1.1\r\nX-Long: {}\r\n\r\n", "y".repeat(100_000));
    // The server may close while this is still being sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (server, lab) = serve(Tls::Off, RedfishConfig::default()).await;
    let scope = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
    let again = RedfishServer::bind(server.local_addr(), Tls::Off, scope, RedfishConfig::default()).await;
    let error = again.unwrap_err();
    assert!(matches!(error, BindError::InUse(_)));
    assert!(error.to_string().starts_with(&format!("{} is in use", server.local_addr())), "{error}");
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_frees_the_port() {
    let (server, lab) = serve(Tls::Off, RedfishConfig::default()).await;
    let address = server.local_addr();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /redfish HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    timeout(PATIENCE, server.stop()).await.unwrap();
    rest(&mut idle).await;
    let scope = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
    RedfishServer::bind(address, Tls::Off, scope, RedfishConfig::default()).await.unwrap();
}
