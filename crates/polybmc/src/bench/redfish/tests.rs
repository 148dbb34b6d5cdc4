//! The load generator against a small Redfish service in this process.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap as Headers, StatusCode as Status};
use axum::routing::{delete, get, post};
use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: RedfishArgs,
}

fn args(url: &str, more: &str) -> RedfishArgs {
    let line = format!("redfish --url {url} {more}");
    Cli::try_parse_from(line.split_whitespace()).unwrap().args
}

const SYSTEM: &str = r#"{"@odata.id": "/redfish/v1/Systems/one", "PowerState": "Off", "AssetTag": "rack"}"#;
const BASIC: &str = "Basic YWRtaW46cGFzc3dvcmQ=";

/// What the service was asked, for tests to look at.
#[derive(Debug, Default)]
struct Seen {
    systems: AtomicU32,
    logins: AtomicU32,
    logouts: AtomicU32,
    /// The bodies of PATCHes.
    tags: std::sync::Mutex<Vec<String>>,
}

fn allowed(headers: &Headers) -> bool {
    headers.get("authorization").is_some_and(|value| value == BASIC)
        || headers.get("x-auth-token").is_some_and(|value| value == "token-1")
}

/// A service with one System, which breaks from request number `broken_from` on.
async fn service(broken_from: u32) -> (String, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let [systems, patches, logins, logouts] = [(); 4].map(|()| Arc::clone(&seen));
    let system = move |headers: Headers| async move {
        let number = systems.systems.fetch_add(1, Ordering::SeqCst);
        match (allowed(&headers), number < broken_from) {
            (false, _) => (Status::UNAUTHORIZED, ""),
            (true, false) => (Status::SERVICE_UNAVAILABLE, ""),
            (true, true) => (Status::OK, SYSTEM),
        }
    };
    let router = Router::new()
        .route(
            "/redfish/v1/Systems",
            get(|| async { r#"{"Members": [{"@odata.id": "/redfish/v1/Systems/one"}]}"# }),
        )
        .route(
            "/redfish/v1/Systems/one",
            get(system).patch(|headers: Headers, body: String| async move {
                assert!(allowed(&headers) && headers["content-type"] == "application/json");
                patches.tags.lock().unwrap().push(body);
                Status::NO_CONTENT
            }),
        )
        .route(
            "/redfish/v1/SessionService/Sessions",
            post(|body: String| async move {
                assert!(body.contains("admin"), "{body}");
                logins.logins.fetch_add(1, Ordering::SeqCst);
                let location = ("location", "/redfish/v1/SessionService/Sessions/1");
                (Status::CREATED, [("x-auth-token", "token-1"), location], "{}")
            }),
        )
        .route(
            "/redfish/v1/SessionService/Sessions/{id}",
            delete(|Path(id): Path<String>, headers: Headers| async move {
                assert!(allowed(&headers) && id == "1");
                logouts.logouts.fetch_add(1, Ordering::SeqCst);
                Status::NO_CONTENT
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum_server::from_tcp(listener).unwrap().serve(router.into_make_service()));
    (format!("http://{address}"), seen)
}

#[tokio::test]
async fn a_count_of_gets_over_several_connections() {
    let (url, seen) = service(u32::MAX).await;
    let report = run(&args(&url, "--connections 3 --count 40")).await.unwrap();
    let [connect, get] = report.operations.as_slice() else { panic!("{report:?}") };
    assert_eq!((get.figures.ok, get.figures.failed, report.failure), (40, 0, None));
    assert!((1..=3).contains(&connect.figures.ok), "{connect:?}");
    assert_eq!(report.statuses.iter().collect::<Vec<_>>(), [("200 OK", 40)]);
    assert_eq!(seen.systems.load(Ordering::SeqCst), 41, "one before the load, to see that it works");
    assert_eq!(report.parameters["bytes"], SYSTEM.len());
}

#[tokio::test]
async fn each_scenario_does_what_its_name_says_and_leaves_no_trace() {
    let (url, seen) = service(u32::MAX).await;
    for (scenario, name, path) in [
        ("system", "GET", "/redfish/v1/Systems/one"),
        ("collection", "GET", "/redfish/v1/Systems"),
        ("expand", "GET", "/redfish/v1/Systems?$expand=.($levels=1)"),
        ("patch", "PATCH", "/redfish/v1/Systems/one"),
        ("login", "login", "/redfish/v1/SessionService/Sessions"),
    ] {
        let report = run(&args(&url, &format!("--connections 2 --count 10 --floor --scenario {scenario}")))
            .await
            .unwrap();
        let main = report.operations.last().unwrap();
        assert_eq!((main.name, main.figures.ok, main.figures.failed), (name, 10, 0), "{scenario}");
        assert_eq!(report.parameters["path"], path, "{scenario}");
        assert_eq!(report.floor.unwrap().figures.ok, 10, "{scenario}");
    }
    assert_eq!((seen.logins.load(Ordering::SeqCst), seen.logouts.load(Ordering::SeqCst)), (11, 11));
    let tags = seen.tags.lock().unwrap();
    let last = |at: usize| tags[tags.len() - at].as_str();
    assert_eq!(
        (tags.len(), last(1)),
        (12, r#"{"AssetTag":"rack"}"#),
        "its own tag before, ten, its own tag after"
    );
    assert!(last(2).contains("bench") && last(2) != last(3), "{tags:?}");
}

#[tokio::test]
async fn each_request_its_own_connection() {
    let (url, _) = service(u32::MAX).await;
    let report = run(&args(&url, "--count 5 --reconnect")).await.unwrap();
    assert_eq!(report.operations[0].figures.ok, 5);
}

#[tokio::test]
async fn one_session_is_made_used_and_ended() {
    let (url, seen) = service(u32::MAX).await;
    let report = run(&args(&url, "--count 5 --auth session")).await.unwrap();
    assert_eq!(report.operations[1].figures.ok, 5);
    assert_eq!((seen.logins.load(Ordering::SeqCst), seen.logouts.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_service_that_breaks_ends_the_run() {
    let (url, _) = service(10).await;
    let report = run(&args(&url, "--count 1000000")).await.unwrap();
    assert_eq!(report.operations[1].figures.ok, 9);
    assert_eq!(report.gave_up, 1);
    assert!(report.failure.is_some());
    assert!(
        report.statuses.iter().any(|entry| entry == ("503 Service Unavailable", 3)),
        "{:?}",
        report.statuses
    );
}

#[tokio::test]
async fn a_wrong_password_is_said_before_the_load() {
    let (url, _) = service(u32::MAX).await;
    let error = run(&args(&url, "-P wrong")).await.unwrap_err();
    assert!(format!("{error:#}").contains("401"), "{error:#}");
}

#[tokio::test]
async fn a_dead_port_is_said_before_the_load() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = run(&args(&url, "")).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
}

#[tokio::test]
async fn a_server_that_never_answers_ends_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let error = run(&args(&url, "--timeout 0.2")).await.unwrap_err();
    assert!(format!("{error:#}").contains("no answer within 0.2 s"), "{error:#}");
    drop(listener);
}

#[tokio::test]
async fn a_certificate_counts_unless_told_otherwise() {
    let server = floor::http::start(10, true).unwrap();
    let url = format!("https://{}", server.address());
    let error = run(&args(&url, "--path / --auth none --ca no-such-file.pem")).await.unwrap_err();
    assert!(format!("{error:#}").contains("no-such-file.pem"), "{error:#}");

    // Another certificate than the server's: the handshake fails.
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("ca.pem");
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&other, made.cert.pem()).unwrap();
    let error =
        run(&args(&url, &format!("--path / --auth none --ca {}", other.display()))).await.unwrap_err();
    assert!(format!("{error:#}").contains("TLS"), "{error:#}");

    let report = run(&args(&url, "--path / --auth none --insecure --count 20 --floor")).await.unwrap();
    assert_eq!(report.operations[1].figures.ok, 20);
    let bare = report.floor.unwrap();
    assert_eq!((bare.figures.ok, bare.figures.failed), (20, 0));
    assert!(bare.ratio > 0.0);
}
