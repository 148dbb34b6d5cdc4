//! The spool against a server that does as it is told: it stalls, lies, breaks off, and wants credentials.

mod cache;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bmc_core::account::Secret;
use bmc_core::media::{FetchedImage, MediaError, MediaErrorKind, MediaLibrary as _, MediaSource, Transfer};
use bmc_core::settings::media::Medium;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::{Limits, REDIRECTS_MAX, RESUMES_MAX, Spool};

/// What the server does with one request.
enum Play {
    /// Sends this, then closes.
    Send(Vec<u8>),
    /// Sends this, then says nothing and stays.
    Stall(Vec<u8>),
}

type Script = dyn Fn(&str) -> Play + Send + Sync;

/// A server on loopback. It ends when dropped.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(script: impl Fn(&str) -> Play + Send + Sync + 'static) -> Self {
        Self::serve(None, Arc::new(script)).await
    }

    async fn serve(tls: Option<ServerConfig>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, script, heard) = (tls.clone(), Arc::clone(&script), Arc::clone(&heard));
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &*script, &heard).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &*script, &heard).await;
                            }
                        }
                    };
                });
            }
        });
        Self { url: format!("{scheme}://127.0.0.1:{port}/image.iso"), asked, task }
    }

    fn requests(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
    heard: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    heard.lock().unwrap().push(head.clone());
    let (Play::Send(bytes) | Play::Stall(bytes)) = &script(&head);
    // The client may have heard enough.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    if matches!(script(&head), Play::Stall(_)) {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn good(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

fn image(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

struct Lab {
    folder: TempDir,
    spool: Spool,
}

fn lab_with(limits: Limits) -> Lab {
    let folder = TempDir::new().unwrap();
    let spool = Spool::open(&folder.path().join("media"), limits, &[]).unwrap();
    Lab { folder, spool }
}

/// What nobody holds goes at once.
fn lab() -> Lab {
    lab_with(Limits { cache_bytes: 0, ..Limits::default() })
}

fn source(uri: &str) -> MediaSource {
    MediaSource {
        uri: uri.to_owned(),
        username: None,
        password: None,
        verify_certificate: true,
        certificates: Vec::new(),
        private: false,
        max_bytes: None,
        transfer: Transfer::default(),
    }
}

impl Lab {
    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path().join("media/spool"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    async fn fetch(&self, uri: &str) -> Result<FetchedImage, MediaError> {
        self.spool.fetch(&source(uri)).await
    }

    /// Fetches in vain; nothing is left.
    async fn fails(&self, uri: &str, kind: MediaErrorKind) -> MediaError {
        self.fails_with(source(uri), kind).await
    }

    async fn fails_with(&self, source: MediaSource, kind: MediaErrorKind) -> MediaError {
        let error = self.spool.fetch(&source).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.uri, source.uri);
        assert_eq!(self.files(), Vec::<PathBuf>::new(), "{error}");
        error
    }
}

#[tokio::test]
async fn an_image_comes_whole_and_goes_with_its_last_holder() {
    let lab = lab();
    let body = image(1 << 20);
    let expected = (hex::encode(Sha256::digest(&body)), body.len() as u64);
    let bytes = good(&body);
    let server = Server::start(move |_| Play::Send(bytes.clone())).await;
    let (one, two) = (lab.fetch(&server.url).await.unwrap(), lab.fetch(&server.url).await.unwrap());
    assert_eq!((one.sha256.clone(), one.size), expected);
    assert_eq!(std::fs::read(&one.file).unwrap(), body);
    assert_eq!(one.file, two.file, "the same content is one file");
    assert_eq!(lab.files().len(), 1);
    lab.spool.release(&one.lease);
    lab.spool.release(&one.lease);
    assert_eq!(lab.files().len(), 1);
    lab.spool.release(&two.lease);
    assert_eq!(lab.files().len(), 0);
    let request = &server.requests()[0];
    assert!(request.starts_with("get /image.iso http/1.1") && request.contains("accept-encoding: identity"));
}

#[tokio::test]
async fn without_a_length_the_end_is_the_end() {
    let lab = lab();
    for headers in ["", "Transfer-Encoding: chunked\r\n"] {
        let body: &[u8] = if headers.is_empty() { b"hello" } else { b"5\r\nhello\r\n0\r\n\r\n" };
        let bytes = answer("200 OK", headers, body);
        let server = Server::start(move |_| Play::Send(bytes.clone())).await;
        let got = lab.fetch(&server.url).await.unwrap();
        assert_eq!(std::fs::read(&got.file).unwrap(), b"hello");
    }
}

#[tokio::test]
async fn a_server_that_lies_or_breaks_off_is_told_and_leaves_nothing() {
    use MediaErrorKind::{Broken, Denied, Missing, Server as Fault};
    let lab = lab();
    let rows: Vec<(Vec<u8>, MediaErrorKind, &str)> = vec![
        (answer("200 OK", "Content-Length: 10\r\n", b"hello"), Broken, "after 5 bytes"),
        (answer("200 OK", "Content-Length: 3\r\n", b"hello"), Broken, "more than the length"),
        (answer("200 OK", "Transfer-Encoding: chunked\r\n", b"5\r\nhel"), Broken, "broke off"),
        (answer("200 OK", "Content-Length: x\r\n", b"hello"), Broken, "no answer"),
        (answer("200 OK", "Content-Encoding: gzip\r\nContent-Length: 1\r\n", b"x"), Fault, "compresses"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), Broken, "no answer"),
        (Vec::new(), Broken, "no answer"),
        (answer("404 Not Found", "", b""), Missing, "404"),
        (answer("410 Gone", "", b""), Missing, "410"),
        (answer("401 Unauthorized", "WWW-Authenticate: Basic\r\n", b""), Denied, "401"),
        (answer("403 Forbidden", "", b""), Denied, "403"),
        (answer("500 Internal Server Error", "", b""), Fault, "500"),
        (answer("206 Partial Content", "Content-Range: bytes 5-9/10\r\n", b"hello"), Fault, "206"),
        (answer("304 Not Modified", "", b""), Fault, "304"),
        (answer("302 Found", "", b""), Fault, "nowhere"),
        (answer("302 Found", "Location: file:///etc/passwd\r\n", b""), Fault, "neither"),
        (answer("302 Found", "Location: ftp://x/\r\n", b""), Fault, "neither"),
    ];
    for (bytes, kind, words) in rows {
        let server = Server::start(move |_| Play::Send(bytes.clone())).await;
        let error = lab.fails(&server.url, kind).await;
        assert!(error.message.contains(words), "{error} lacks `{words}`");
    }
}

#[tokio::test]
async fn redirections_are_followed_not_for_ever() {
    let lab = lab();
    let server = Server::start(|head| {
        Play::Send(if head.starts_with("get /image.iso ") {
            answer("302 Found", "Location: /there/b.iso?x=1\r\n", b"")
        } else {
            good(b"there")
        })
    })
    .await;
    let got = lab.fetch(&server.url).await.unwrap();
    assert_eq!(std::fs::read(&got.file).unwrap(), b"there");
    assert!(server.requests()[1].starts_with("get /there/b.iso?x=1 "));
    lab.spool.release(&got.lease);

    let server = Server::start(|_| Play::Send(answer("307 Again", "Location: /image.iso\r\n", b""))).await;
    lab.fails(&server.url, MediaErrorKind::Server).await;
    assert_eq!(server.requests().len(), REDIRECTS_MAX + 1);
}

#[tokio::test]
async fn credentials_go_where_they_are_for() {
    let lab = lab();
    let elsewhere = Server::start(|_| Play::Send(good(b"x"))).await;
    let there = elsewhere.url.clone();
    let server = Server::start(move |head| {
        Play::Send(if !head.contains("authorization: basic zm9vomjhcg==") {
            answer("401 Unauthorized", "", b"")
        } else if head.starts_with("get /image.iso ") {
            good(b"secret")
        } else {
            answer("302 Found", &format!("Location: {there}\r\n"), b"")
        })
    })
    .await;
    lab.fails(&server.url, MediaErrorKind::Denied).await;
    let with = |uri: &str, password: &str| MediaSource {
        username: Some("foo".to_owned()),
        password: Some(Secret::new(password)),
        ..source(uri)
    };
    let error = lab.fails_with(with(&server.url, "wrong"), MediaErrorKind::Denied).await;
    assert!(!format!("{error:?}").contains("wrong"));
    let got = lab.spool.fetch(&with(&server.url, "bar")).await.unwrap();
    assert_eq!(std::fs::read(&got.file).unwrap(), b"secret");
    // Elsewhere they are nobody's business.
    let uri = server.url.replace("image.iso", "moved");
    lab.spool.fetch(&with(&uri, "bar")).await.unwrap();
    assert!(!elsewhere.requests()[0].contains("authorization"));
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let lab = lab_with(Limits { stall: Duration::from_millis(200), ..Limits::default() });
    for bytes in [Vec::new(), answer("200 OK", "Content-Length: 10\r\n", b"hello")] {
        let server = Server::start(move |_| Play::Stall(bytes.clone())).await;
        lab.fails(&server.url, MediaErrorKind::Timeout).await;
    }
    // One that drips is stopped by the time for the whole.
    let lab = lab_with(Limits { total: Duration::from_millis(300), ..Limits::default() });
    let server = Server::start(|_| Play::Stall(answer("200 OK", "Content-Length: 10\r\n", b"h"))).await;
    let error = lab.fails(&server.url, MediaErrorKind::Timeout).await;
    assert!(error.message.contains("took longer"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_early_or_late() {
    let lab = lab_with(Limits { bytes: 1000, ..Limits::default() });
    let early = answer("200 OK", "Content-Length: 1001\r\n", b"");
    let late = answer("200 OK", "", &image(1001));
    for bytes in [early, late] {
        let server = Server::start(move |_| Play::Send(bytes.clone())).await;
        lab.fails(&server.url, MediaErrorKind::TooLarge).await;
    }
    let server = Server::start(|_| Play::Send(good(&image(1000)))).await;
    assert_eq!(lab.fetch(&server.url).await.unwrap().size, 1000);

    let lab = lab_with(Limits { bytes: u64::MAX, ..Limits::default() });
    let more = answer("200 OK", &format!("Content-Length: {}\r\n", u64::MAX / 2), b"");
    let server = Server::start(move |_| Play::Send(more.clone())).await;
    lab.fails(&server.url, MediaErrorKind::NoSpace).await;
}

/// Sends `body` in pieces of `piece` bytes, each time breaking off, as the ranges it is asked for.
fn in_pieces(head: &str, body: &[u8], piece: usize, etag: &str) -> Play {
    let from: usize =
        head.split("range: bytes=").nth(1).map_or(0, |rest| rest.split('-').next().unwrap().parse().unwrap());
    let to = (from + piece).min(body.len());
    let headers = format!("ETag: {etag}\r\nContent-Length: {}\r\n", body.len() - from);
    Play::Send(if from == 0 {
        answer("200 OK", &headers, &body[..to])
    } else {
        let range = format!("Content-Range: bytes {from}-{}/{}\r\n{headers}", body.len() - 1, body.len());
        answer("206 Partial Content", &range, &body[from..to])
    })
}

#[tokio::test]
async fn what_broke_off_goes_on_where_a_strong_etag_vouches_for_it() {
    let lab = lab();
    let body = image(100_000);
    let sent = body.clone();
    let server = Server::start(move |head| in_pieces(head, &sent, 40_000, "\"v1\"")).await;
    let got = lab.fetch(&server.url).await.unwrap();
    assert_eq!(std::fs::read(&got.file).unwrap(), body);
    assert_eq!(got.sha256, hex::encode(Sha256::digest(&body)));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[1].contains("range: bytes=40000-\r\n") && requests[1].contains("if-range: \"v1\""));
    lab.spool.release(&got.lease);

    for etag in ["W/\"v1\"", "v1"] {
        let sent = body.clone();
        let server = Server::start(move |head| in_pieces(head, &sent, 40_000, etag)).await;
        lab.fails(&server.url, MediaErrorKind::Broken).await;
        assert_eq!(server.requests().len(), 1, "nothing vouches for {etag}");
    }

    // It never ends.
    let sent = body.clone();
    let server = Server::start(move |head| in_pieces(head, &sent, 10, "\"v1\"")).await;
    lab.fails(&server.url, MediaErrorKind::Broken).await;
    assert_eq!(server.requests().len(), RESUMES_MAX + 1);

    // It does not know ranges, or the image has changed: from the start.
    let first = Arc::new(Mutex::new(true));
    let sent = body.clone();
    let server = Server::start(move |head| {
        let first = std::mem::take(&mut *first.lock().unwrap()) || !head.contains("range");
        let headers = format!("ETag: \"v1\"\r\nContent-Length: {}\r\n", sent.len());
        Play::Send(answer("200 OK", &headers, if first { &sent[..30_000] } else { &sent }))
    })
    .await;
    match lab.fetch(&server.url).await {
        Ok(got) => {
            assert_eq!(std::fs::read(&got.file).unwrap(), body);
            lab.spool.release(&got.lease);
        }
        Err(error) => panic!("{error}"),
    }

    // Another part than the one that was asked for, or of another image.
    for (range, etag) in [
        ("bytes 5-9/100000", "\"v1\""),
        ("bytes 40000-99999/7", "\"v1\""),
        ("bytes 40000-99999/100000", "\"v2\""),
    ] {
        let sent = body.clone();
        let server = Server::start(move |head| match head.contains("range:") {
            false => in_pieces(head, &sent, 40_000, "\"v1\""),
            true => Play::Send(answer(
                "206 Partial Content",
                &format!("Content-Range: {range}\r\nETag: {etag}\r\n"),
                &sent[40_000..],
            )),
        })
        .await;
        lab.fails(&server.url, MediaErrorKind::Broken).await;
    }
}

#[tokio::test]
async fn many_who_ask_alike_share_one_download() {
    let lab = lab();
    let gate = Arc::new(std::sync::Barrier::new(1));
    let server = Server::start(move |head| {
        gate.wait();
        Play::Send(if head.contains("if-none-match: \"v1\"") {
            answer("304 Not Modified", "ETag: \"v1\"\r\n", b"")
        } else {
            answer("200 OK", "ETag: \"v1\"\r\nContent-Length: 5\r\n", b"hello")
        })
    })
    .await;
    let wanted = source(&server.url);
    let fetches = (0..100).map(|_| {
        let (spool, wanted) = (lab.spool.clone(), wanted.clone());
        tokio::spawn(async move { spool.fetch(&wanted).await.unwrap() })
    });
    let mut images = Vec::new();
    for fetch in fetches.collect::<Vec<_>>() {
        images.push(fetch.await.unwrap());
    }
    assert_eq!(lab.files().len(), 1);
    let whole =
        |server: &Server| server.requests().iter().filter(|head| !head.contains("if-none-match")).count();
    assert_eq!(whole(&server), 1, "a hundred machines, one download");
    // Later the server is asked whether it is still the same, and the file is the same still.
    images.push(lab.fetch(&server.url).await.unwrap());
    assert_eq!(whole(&server), 1);
    assert_eq!(lab.files().len(), 1);
    // Who will write to it gets its own.
    let private = lab.spool.fetch(&MediaSource { private: true, ..wanted }).await.unwrap();
    assert!(images.iter().all(|image| image.file != private.file));
    images.push(private);
    for image in &images {
        lab.spool.release(&image.lease);
    }
    assert_eq!(lab.files().len(), 0);
}

#[tokio::test]
async fn what_came_unverified_is_fetched_again_to_be_verified() {
    let lab = lab();
    let server = Server::start(|head| {
        Play::Send(if head.contains("if-none-match: \"v1\"") {
            answer("304 Not Modified", "ETag: \"v1\"\r\n", b"")
        } else {
            answer("200 OK", "ETag: \"v1\"\r\nContent-Length: 5\r\n", b"hello")
        })
    })
    .await;
    let verified = source(&server.url);
    let unverified = MediaSource { verify_certificate: false, ..verified.clone() };
    let other = MediaSource { certificates: vec![certificate()], ..verified.clone() };
    for wanted in [&unverified, &unverified, &verified, &other, &verified] {
        lab.spool.fetch(wanted).await.unwrap();
    }
    let again: Vec<_> = server.requests().iter().map(|head| head.contains("if-none-match")).collect();
    assert_eq!(again, [false, true, false, false, true], "only by the same trust is it known");
    assert_eq!(lab.files().len(), 1);
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().cert.pem()
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_and_takes_nothing_from_others() {
    let lab = lab();
    let body = image(200_000);
    let (release, held) = tokio::sync::watch::channel(false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/image.iso", listener.local_addr().unwrap().port());
    let bytes = good(&body);
    let (asked, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (bytes, mut held, asked) = (bytes.clone(), held.clone(), asked.clone());
            tokio::spawn(async move {
                let mut head = [0; 4096];
                assert_ne!(stream.read(&mut head).await.unwrap(), 0);
                stream.write_all(&bytes[..1000]).await.unwrap();
                asked.send(()).unwrap();
                held.wait_for(|open| *open).await.unwrap();
                let _ = stream.write_all(&bytes[1000..]).await;
            });
        }
    });
    let wanted = source(&url);
    let fetch = |spool: Spool, wanted: MediaSource| tokio::spawn(async move { spool.fetch(&wanted).await });
    let (one, two) = (fetch(lab.spool.clone(), wanted.clone()), fetch(lab.spool.clone(), wanted.clone()));
    heard.recv().await.unwrap();
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    release.send_replace(true);
    let got = two.await.unwrap().unwrap();
    assert_eq!(std::fs::read(&got.file).unwrap(), body);
    lab.spool.release(&got.lease);

    release.send_replace(false);
    let last = fetch(lab.spool.clone(), wanted);
    heard.recv().await.unwrap();
    last.abort();
    assert!(last.await.unwrap_err().is_cancelled());
    // The download's own task ends at its next turn.
    while !lab.files().is_empty() {
        tokio::task::yield_now().await;
    }
    server.abort();
}
