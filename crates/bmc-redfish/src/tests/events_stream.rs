//! Server-sent events.

use bmc_core::event::EventKind;
use http::HeaderValue;
use http_body_util::BodyExt as _;

use super::events_push::SUBSCRIPTIONS;
use super::*;
use crate::event::STREAMS_MAX;

const STREAM: &str = "/redfish/v1/EventService/SSE";

/// A reader of a stream.
struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    async fn open(router: &Router, last: Option<&str>) -> Self {
        Self::open_by(router, ("authorization", &basic("admin", "password")), last).await
    }

    /// With these credentials.
    async fn open_by(router: &Router, by: (&str, &str), last: Option<&str>) -> Self {
        Self::open_at(router, STREAM, by, last).await
    }

    /// Of what a filter wants.
    async fn filtered(router: &Router, filter: &str) -> Self {
        let uri = format!("{STREAM}?$filter={}", filter.replace(' ', "%20"));
        Self::open_at(router, &uri, ("authorization", &basic("admin", "password")), None).await
    }

    async fn open_at(router: &Router, uri: &str, (name, value): (&str, &str), last: Option<&str>) -> Self {
        let ask = Ask::anonymous("GET", uri).header(name, value);
        let mut request = ask.header("accept", "text/event-stream").request;
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = HeaderValue::from_static("text/event-stream;charset=utf-8");
        assert_eq!(response.headers()["content-type"], kind);
        assert_eq!(response.headers()["cache-control"], "no-cache");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next block; none at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let bytes = self.body.frame().await?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// What comes until the end, which comes soon.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        for _ in 0..10 {
            match self.block().await {
                Some(block) => rest.push_str(&block),
                None => return rest,
            }
        }
        panic!("it goes on: {rest}");
    }

    /// The next event and its id.
    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.unwrap();
            let Some((id, data)) = block.split_once('\n') else {
                assert!(block.starts_with(':'), "{block}");
                continue;
            };
            let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            schemas::check(&event, false);
            return (id.strip_prefix("id: ").unwrap().to_owned(), event);
        }
    }
}

impl Reader {
    /// The next metric report.
    async fn report(&mut self) -> Value {
        loop {
            let block = self.block().await.unwrap();
            if let Some(data) = block.strip_prefix("data: ") {
                let report: Value = serde_json::from_str(data).unwrap();
                schemas::check(&report, false);
                return report;
            }
            assert!(block.starts_with(':'), "{block}");
        }
    }
}

fn happen(lab: &Lab, kind: EventKind) {
    let fleet = &lab.fleet;
    fleet.events().emit(fleet.clock().timestamp(), "m0", lab.machine.snapshot().uuid, kind);
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_what_happens_and_what_happened_since() {
    let lab = lab().await;
    let mut reader = Reader::open(&lab.one, None).await;
    assert!(reader.block().await.unwrap().starts_with(':'), "it shows that it is there");
    happen(&lab, EventKind::Reset);
    happen(&lab, EventKind::Nmi);
    let (first, event) = reader.event().await;
    assert_eq!(event["Id"], first);
    assert_eq!(event["Events"][0]["MessageArgs"], json!(["ForceRestart"]));
    let (second, _) = reader.event().await;
    // Nothing happens: time passes, and the stream shows that it is alive.
    assert!(reader.block().await.unwrap().starts_with(':'));
    drop(reader);

    happen(&lab, EventKind::Paused { cause: bmc_core::power::ChangeCause::Outside });
    let mut reader = Reader::open(&lab.one, Some(&first)).await;
    assert_eq!(reader.event().await.0, second);
    assert_eq!(reader.event().await.1["Events"][0]["MessageId"], "ResourceEvent.1.4.ResourcePaused");
    // An id that is yet to come, as of another service: what happens from now on.
    let mut reader = Reader::open(&lab.one, Some("18446744073709551615")).await;
    happen(&lab, EventKind::Resumed);
    assert_eq!(reader.event().await.1["Events"][0]["MessageId"], "ResourceEvent.1.4.ResourceStateChanged");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_a_destination_until_either_ends() {
    let lab = lab().await;
    let mut reader = Reader::open(&lab.one, None).await;
    let shown = lab.get(SUBSCRIPTIONS).await.json();
    let uri = shown["Members"][0]["@odata.id"].as_str().unwrap().to_owned();
    let shown = lab.get(&uri).await.json();
    assert_eq!(shown["SubscriptionType"], "SSE");
    assert!(shown["Context"].is_string() && shown.get("Destination").is_none());
    let patch = Ask::new("PATCH", &uri).json(&json!({"Context": "x"})).send(&lab.one).await;
    patch.refused(400, &["PropertyNotWritable"]);
    assert_eq!(Ask::new("DELETE", &uri).send(&lab.one).await.status, 204);
    while reader.block().await.is_some() {}
    lab.get(&uri).await.refused(404, &["ResourceNotFound"]);

    let reader = Reader::open(&lab.one, None).await;
    drop(reader);
    while lab.get(SUBSCRIPTIONS).await.json()["Members@odata.count"] != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_right_to_read_it() {
    let lab = lab().await;
    let eve = json!({"UserName": "eve", "Password": "secret", "RoleId": "ReadOnly"});
    let accounts = "/redfish/v1/AccountService/Accounts";
    for change in [
        None,
        Some(json!({"Enabled": false})),
        Some(json!({"Password": "better"})),
        Some(json!({"PasswordChangeRequired": true})),
    ] {
        let uri = Ask::new("POST", accounts).json(&eve).send(&lab.one).await.header("location").to_owned();
        let mut reader = Reader::open_by(&lab.one, ("authorization", &basic("eve", "secret")), None).await;
        assert!(reader.block().await.unwrap().starts_with(':'));
        let answer = match &change {
            None => Ask::new("DELETE", &uri).send(&lab.one).await,
            Some(change) => Ask::new("PATCH", &uri).json(change).send(&lab.one).await,
        };
        assert_eq!(answer.status, 204, "{change:?}");
        happen(&lab, EventKind::Reset);
        assert!(!reader.rest().await.contains("data:"), "{change:?}");
        if change.is_some() {
            assert_eq!(Ask::new("DELETE", &uri).send(&lab.one).await.status, 204);
        }
    }

    let (token, session) = auth::log_in(&lab.one).await;
    let mut reader = Reader::open_by(&lab.one, ("x-auth-token", &token), None).await;
    // Who changes the own password goes on, in the same session.
    let own = Ask::anonymous("PATCH", &format!("{accounts}/2")).header("x-auth-token", &token);
    assert_eq!(own.json(&json!({"Password": "better"})).send(&lab.one).await.status, 204);
    happen(&lab, EventKind::Reset);
    while !reader.block().await.unwrap().contains("ForceRestart") {}
    let ended = auth::with_token(&lab.one, "DELETE", &session, &token).await;
    assert_eq!(ended.status, 204);
    reader.rest().await;

    let admin = basic("admin", "better");
    let mut reader = Reader::open_by(&lab.one, ("authorization", &admin), None).await;
    let reset = format!("{}/Actions/Manager.Reset", lab.system().replace("Systems", "Managers"));
    let reset = Ask::anonymous("POST", &reset).header("authorization", &admin).json(&json!({}));
    assert_eq!(reset.send(&lab.one).await.status, 204);
    reader.rest().await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_what_is_wrong_is_refused() {
    let lab = lab().await;
    let json = Ask::get(STREAM).header("accept", "application/json").send(&lab.one).await;
    json.refused(406, &["HeaderInvalid"]);
    let id = Ask::get(STREAM).header("last-event-id", "x").send(&lab.one).await;
    id.refused(400, &["HeaderInvalid"]);
    Ask::anonymous("GET", STREAM).send(&lab.one).await.refused(401, &["NoValidSession"]);
    let mut readers = Vec::new();
    for _ in 0..STREAMS_MAX {
        readers.push(Reader::open(&lab.one, None).await);
    }
    Ask::get(STREAM).send(&lab.one).await.refused(503, &["CreateLimitReachedForResource"]);
    let head = Ask::new("HEAD", STREAM).send(&lab.one).await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_is_given_up() {
    let lab = lab().await;
    let _reader = Reader::open(&lab.one, None).await;
    for _ in 0..100 {
        happen(&lab, EventKind::Reset);
    }
    while lab.get(SUBSCRIPTIONS).await.json()["Members@odata.count"] != 0 {
        // Time is virtual.
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_stream_outlives_other_connections_and_ends_with_its_server() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let lab = lab().await;
    let scope = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
    let lifetime = std::time::Duration::from_millis(50);
    let config = RedfishConfig { connection_lifetime: lifetime, ..RedfishConfig::default() };
    let address = "127.0.0.1:0".parse().unwrap();
    let server = crate::RedfishServer::bind(address, crate::Tls::Off, scope, config).await.unwrap();
    let open = |path: &'static str| {
        let address = server.local_addr();
        async move {
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            let secret = basic("admin", "password");
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            socket
        }
    };
    let mut stream = open(STREAM).await;
    // Another connection, as old, has ended by then.
    let mut other = open("/redfish/v1").await;
    other.read_to_end(&mut Vec::new()).await.unwrap();
    happen(&lab, EventKind::Reset);
    let mut text = String::new();
    while !text.contains("PlatformReset") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    server.stop().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "it ends in order");
}

#[tokio::test(start_paused = true)]
async fn a_filtered_stream_tells_what_its_filter_admits() {
    let lab = lab().await;
    let system = lab.system();
    let paused = EventKind::Paused { cause: bmc_core::power::ChangeCause::Outside };
    for (filter, wanted) in [
        ("MessageId eq 'Platform.1.0.PlatformReset'".to_owned(), "PlatformReset"),
        ("MessageId eq 'ResourceEvent.ResourcePaused'".to_owned(), "ResourcePaused"),
        ("RegistryPrefix eq 'ResourceEvent'".to_owned(), "ResourcePaused"),
        ("RegistryPrefix ne 'ResourceEvent' and EventFormatType eq Event".to_owned(), "PlatformReset"),
        (
            format!(
                "(ResourceType eq 'Task' or ResourceType eq 'ComputerSystem') and OriginResource eq '{system}' \
                 and not (RegistryPrefix eq 'Platform')"
            ),
            "ResourcePaused",
        ),
        ("EventType eq 'Other' or MessageId eq 'ResourceEvent.ResourcePaused'".to_owned(), "ResourcePaused"),
    ] {
        let mut reader = Reader::filtered(&lab.one, &filter).await;
        happen(&lab, EventKind::Reset);
        happen(&lab, paused.clone());
        let told = reader.event().await.1["Events"][0]["MessageId"].clone();
        assert!(told.as_str().unwrap().ends_with(wanted), "{filter}: {told}");
        drop(reader);
    }
    for filter in [
        "MessageId eq 'x'",
        "MessageId gt 'Base.Success'",
        "Severity eq 'OK'",
        "SubordinateResources eq true",
        "RegistryPrefix eq 1",
        "RegistryPrefix eq Base",
        "RegistryPrefix",
        "",
    ] {
        let uri = format!("{STREAM}?$filter={}", filter.replace(' ', "%20"));
        Ask::get(&uri).send(&lab.one).await.refused(400, &["QueryParameterValueFormatError"]);
    }
    let uri = format!("{STREAM}?$top=1");
    Ask::get(&uri).send(&lab.one).await.refused(400, &["QueryNotSupportedOnResource"]);
}

#[tokio::test(start_paused = true)]
async fn metric_reports_are_streamed_each_minute_to_who_asks_for_them() {
    let lab = lab().await;
    let begun = tokio::time::Instant::now();
    let mut reader = Reader::filtered(&lab.one, "EventFormatType eq MetricReport").await;
    happen(&lab, EventKind::Reset);
    for minute in 1..=2 {
        for id in ["Power", "Thermal", "Utilization"] {
            let report = reader.report().await;
            assert_eq!(report["Id"], id);
            assert_eq!(begun.elapsed().as_secs() / 60, minute);
            let shown = lab.get(report["@odata.id"].as_str().unwrap()).await.json();
            assert_eq!(report["MetricValues"], shown["MetricValues"]);
        }
    }
    let shown = lab.get(SUBSCRIPTIONS).await.json();
    let shown = lab.get(shown["Members"][0]["@odata.id"].as_str().unwrap()).await.json();
    assert_eq!(shown["EventFormatType"], "MetricReport");
    let definition = "/redfish/v1/TelemetryService/MetricReportDefinitions/Thermal";
    let mut one = Reader::filtered(&lab.one, &format!("MetricReportDefinition eq '{definition}'")).await;
    for _ in 0..2 {
        assert_eq!(one.report().await["MetricReportDefinition"]["@odata.id"], definition);
    }
}
