//! Pushing events to subscribers on real sockets: good ones, slow ones, and those that are gone.

use std::time::Duration;

use bmc_core::event::EventKind;
use bmc_core::power::ChangeCause;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

pub(super) const SUBSCRIPTIONS: &str = "/redfish/v1/EventService/Subscriptions";

/// A subscriber that answers with a status.
struct Subscriber {
    url: String,
    got: mpsc::UnboundedReceiver<(String, Value)>,
}

impl Subscriber {
    async fn plain(status: u16) -> Self {
        Self::new(status, None).await
    }

    async fn new(status: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/events", listener.local_addr().unwrap());
        let (sender, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, status, sender).await,
                        Some(tls) => {
                            // A client that does not trust us is to be expected.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, status, sender).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, got }
    }

    async fn next(&mut self) -> (String, Value) {
        let (head, event) = self.got.recv().await.unwrap();
        schemas::check(&event, false);
        (head, event)
    }

    async fn next_message(&mut self) -> String {
        self.next().await.1["Events"][0]["MessageId"].as_str().unwrap().to_owned()
    }
}

/// Serves one connection, request by request.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    status: u16,
    got: mpsc::UnboundedSender<(String, Value)>,
) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let length: usize = length.trim().parse().unwrap();
        if bytes.len() < end + 4 + length {
            continue;
        }
        let event = serde_json::from_slice(&bytes[end + 4..end + 4 + length]).unwrap();
        bytes.drain(..end + 4 + length);
        let _ = got.send((head, event));
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A service of `m0`, with its subscriptions taken up.
struct Desk {
    lab: Lab,
    service: Arc<Service>,
    router: Router,
}

impl Desk {
    async fn new() -> Self {
        Self::of(Lab::new(2, RedfishConfig::default()).await).await
    }

    async fn of(lab: Lab) -> Self {
        let scope = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
        let config =
            RedfishConfig { delivery_timeout: Duration::from_millis(300), ..RedfishConfig::default() };
        let service = Arc::new(Service::new(scope, config));
        service.events.load().await;
        let router = router(Arc::clone(&service));
        Self { lab, service, router }
    }

    async fn subscribe(&self, body: Value) -> String {
        let answer = Ask::new("POST", SUBSCRIPTIONS).json(&body).send(&self.router).await;
        assert_eq!(answer.status, 201, "{:?}", String::from_utf8_lossy(&answer.bytes));
        let location = answer.header("location").to_owned();
        assert_eq!(answer.json()["@odata.id"], location);
        location
    }

    async fn get(&self, path: &str) -> Answer {
        Ask::get(path).send(&self.router).await
    }

    async fn patch(&self, path: &str, body: Value) {
        assert_eq!(Ask::new("PATCH", path).json(&body).send(&self.router).await.status, 204);
    }

    async fn retries(&self, attempts: u32) {
        let body = json!({"DeliveryRetryAttempts": attempts, "DeliveryRetryIntervalSeconds": 1});
        self.patch("/redfish/v1/EventService", body).await;
    }

    fn happen(&self, machine: &MachineHandle, kind: EventKind) {
        let fleet = &self.lab.fleet;
        fleet.events().emit(fleet.clock().timestamp(), machine.name(), machine.snapshot().uuid, kind);
    }

    fn power(&self) {
        self.happen(&self.lab.machine, EventKind::PoweredOn { cause: ChangeCause::Requested });
    }

    async fn until(&self, path: &str, mut reached: impl FnMut(&Answer) -> bool) -> Answer {
        loop {
            let answer = self.get(path).await;
            if reached(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_subscriber_hears_of_its_machine_and_of_no_other() {
    let desk = Desk::new().await;
    let mut subscriber = Subscriber::plain(204).await;
    let body = json!({"Destination": subscriber.url, "Protocol": "Redfish", "Context": "mine",
        "HttpHeaders": [{"X-Auth-Token": "secret"}], "EventTypes": ["StatusChange"]});
    let uri = desk.subscribe(body).await;
    let shown = desk.get(&uri).await.json();
    assert_eq!((&shown["HttpHeaders"], &shown["Context"]), (&json!([]), &json!("mine")));
    assert_eq!(shown["Status"], json!({"State": "Enabled", "Health": "OK"}));

    let other = desk.lab.fleet.find("m1").unwrap();
    desk.happen(&other, EventKind::PoweredOn { cause: ChangeCause::Requested });
    desk.happen(&desk.lab.machine, EventKind::Nmi);
    desk.power();
    let (head, event) = subscriber.next().await;
    assert!(head.starts_with("post /events http/1.1"), "{head}");
    assert!(head.contains("x-auth-token: secret"), "{head}");
    assert_eq!(event["Context"], "mine");
    assert_eq!(event["Events"][0]["MessageId"], "ResourceEvent.1.4.ResourcePoweredOn");
    assert_eq!(event["Events"][0]["OriginOfCondition"]["@odata.id"], desk.lab.system());
    let before: u64 = event["Id"].as_str().unwrap().parse().unwrap();

    desk.patch(&uri, json!({"Context": null, "HttpHeaders": []})).await;
    desk.happen(&desk.lab.machine, EventKind::PoweredOff { cause: ChangeCause::Requested });
    let (head, event) = subscriber.next().await;
    assert!(event.get("Context").is_none() && !head.contains("x-auth-token"));
    assert!(event["Id"].as_str().unwrap().parse::<u64>().unwrap() > before);

    assert_eq!(Ask::new("DELETE", &uri).send(&desk.router).await.status, 204);
    desk.get(&uri).await.refused(404, &["ResourceNotFound"]);
    desk.power();
    // The connection is kept for the next event, and ends with the subscription's client.
    assert_eq!(desk.get(SUBSCRIPTIONS).await.json()["Members@odata.count"], 0);
}

#[tokio::test]
async fn a_real_power_on_and_a_test_event_are_told() {
    let desk = Desk::new().await;
    let mut subscriber = Subscriber::plain(200).await;
    let body = json!({"Destination": subscriber.url, "Protocol": "Redfish",
        "MessageIds": ["ResourceEvent.1.0.ResourcePoweredOn", "Base.1.0.Success", "ResourceEvent.TestMessage"]});
    desk.subscribe(body).await;
    let reset = format!("{}/Actions/ComputerSystem.Reset", desk.lab.system());
    assert_eq!(
        Ask::new("POST", &reset).json(&json!({"ResetType": "On"})).send(&desk.router).await.status,
        204
    );
    assert_eq!(subscriber.next_message().await, "ResourceEvent.1.4.ResourcePoweredOn");

    let submit = "/redfish/v1/EventService/Actions/EventService.SubmitTestEvent";
    let body = json!({"MessageId": "Base.1.22.Success", "MessageArgs": ["x"], "EventId": "77", "EventType": "Alert",
        "MessageSeverity": "Warning", "EventTimestamp": "2026-01-01T00:00:00Z", "EventGroupId": 3,
        "Message": "Hello", "OriginOfCondition": "/redfish/v1/Systems"});
    assert_eq!(Ask::new("POST", submit).json(&body).send(&desk.router).await.status, 204);
    let record = subscriber.next().await.1["Events"][0].clone();
    for (name, value) in body.as_object().unwrap() {
        let expected = if name == "OriginOfCondition" { &json!({"@odata.id": value}) } else { value };
        assert_eq!(&record[name], expected, "{name}");
    }
    let test = "/redfish/v1/EventService/Actions/EventService.TestEventSubscription";
    assert_eq!(Ask::new("POST", test).json(&json!({})).send(&desk.router).await.status, 204);
    assert_eq!(subscriber.next_message().await, "ResourceEvent.1.4.TestMessage");
}

#[tokio::test]
async fn a_subscriber_that_is_gone_is_given_up_as_it_asked_for() {
    let desk = Desk::new().await;
    desk.retries(0).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let body = |policy| json!({"Destination": nobody, "Protocol": "Redfish", "DeliveryRetryPolicy": policy});
    let ends = desk.subscribe(body("TerminateAfterRetries")).await;
    let rests = desk.subscribe(body("SuspendRetries")).await;
    let goes_on = desk.subscribe(body("RetryForever")).await;
    desk.power();
    desk.until(&ends, |answer| answer.status == 404).await;
    let shown = desk.until(&rests, |answer| answer.json()["Status"]["State"] == "Disabled").await.json();
    assert_eq!(shown["Status"]["Health"], "Warning");
    let reason = shown["Status"]["Conditions"][0]["Message"].as_str().unwrap();
    assert!(reason.contains("Connection refused"), "{reason}");
    let shown = desk.until(&goes_on, |answer| answer.json()["Status"]["Health"] == "Warning").await.json();
    assert_eq!(shown["Status"]["State"], "Enabled");

    let resume = format!("{rests}/Actions/EventDestination.ResumeSubscription");
    assert_eq!(Ask::new("POST", &resume).json(&json!({})).send(&desk.router).await.status, 204);
    assert_eq!(desk.get(&rests).await.json()["Status"], json!({"State": "Enabled", "Health": "OK"}));
    let suspend = format!("{rests}/Actions/EventDestination.SuspendSubscription");
    assert_eq!(Ask::new("POST", &suspend).json(&json!({})).send(&desk.router).await.status, 204);
    assert_eq!(desk.get(&rests).await.json()["Status"]["State"], "Disabled");
}

#[tokio::test]
async fn a_subscriber_that_hangs_or_refuses_disturbs_nobody() {
    let desk = Desk::new().await;
    desk.retries(0).await;
    // It listens, and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = format!("http://{}/", hanging.local_addr().unwrap());
    let refusing = Subscriber::plain(503).await;
    let mut good = Subscriber::plain(204).await;
    let body = |url: &str| json!({"Destination": url, "Protocol": "Redfish", "DeliveryRetryPolicy": "SuspendRetries"});
    let hangs = desk.subscribe(body(&hangs)).await;
    let refuses = desk.subscribe(body(&refusing.url)).await;
    desk.subscribe(body(&good.url)).await;
    for _ in 0..3 {
        desk.power();
    }
    for _ in 0..3 {
        assert_eq!(good.next_message().await, "ResourceEvent.1.4.ResourcePoweredOn");
    }
    for (uri, why) in [(hangs, "timed out"), (refuses, "503")] {
        let shown = desk.until(&uri, |answer| answer.json()["Status"]["State"] == "Disabled").await.json();
        let reason = shown["Status"]["Conditions"][0]["Message"].as_str().unwrap().to_owned();
        assert!(reason.contains(why), "{reason}");
    }
}

#[tokio::test]
async fn a_certificate_has_to_be_good_where_that_is_asked_for() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let mut subscriber = Subscriber::new(204, Some(TlsAcceptor::from(Arc::new(config)))).await;

    let desk = Desk::new().await;
    desk.retries(1).await;
    let body = json!({"Destination": subscriber.url, "Protocol": "Redfish", "VerifyCertificate": true,
        "DeliveryRetryPolicy": "RetryForever"});
    let uri = desk.subscribe(body).await;
    desk.power();
    let shown = desk.until(&uri, |answer| answer.json()["Status"]["Health"] == "Warning").await.json();
    let reason = shown["Status"]["Conditions"][0]["Message"].as_str().unwrap();
    assert!(reason.contains("certificate"), "{reason}");
    assert!(subscriber.got.try_recv().is_err(), "nothing was sent to who is not trusted");
    desk.patch(&uri, json!({"VerifyCertificate": false})).await;
    assert_eq!(subscriber.next_message().await, "ResourceEvent.1.4.ResourcePoweredOn");
    desk.until(&uri, |answer| answer.json()["Status"]["Health"] == "OK").await;
}

#[tokio::test]
async fn subscriptions_survive_a_restart_and_go_with_their_bmc() {
    let desk = Desk::new().await;
    let mut subscriber = Subscriber::plain(204).await;
    let body = json!({"Destination": subscriber.url, "Protocol": "Redfish", "Context": "kept",
        "HttpHeaders": [{"X-Mine": "secret"}], "OriginResources": [{"@odata.id": desk.lab.system()}],
        "SubordinateResources": true, "Severities": ["OK"]});
    let uri = desk.subscribe(body).await;
    desk.retries(5).await;
    let shown = desk.get(&uri).await.json();
    let Desk { lab, service, .. } = desk;
    service.background.stop();
    service.background.ended(Duration::from_secs(60)).await;

    let desk = Desk::of(lab).await;
    assert_eq!(desk.get(&uri).await.json(), shown);
    assert_eq!(desk.get("/redfish/v1/EventService").await.json()["DeliveryRetryAttempts"], 5);
    desk.power();
    let (head, event) = subscriber.next().await;
    assert!(head.contains("x-mine: secret"));
    assert_eq!(event["Context"], "kept");
    assert_eq!(Ask::new("DELETE", &uri).send(&desk.router).await.status, 204);
    let next = desk.subscribe(json!({"Destination": subscriber.url, "Protocol": "Redfish"})).await;
    assert_ne!(next, uri, "an id is not used twice");

    let key = format!("{}redfish/events", bmc_core::fleet::frontend_prefix("m0"));
    assert!(desk.lab.fleet.store().get(&key).await.unwrap().is_some());
    desk.lab.fleet.remove("m0", true).await.unwrap();
    assert!(desk.lab.fleet.store().get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn the_aggregate_hears_of_all_machines() {
    let lab = Lab::new(2, RedfishConfig::default()).await;
    let mut subscriber = Subscriber::plain(204).await;
    let body = json!({"Destination": subscriber.url, "Protocol": "Redfish"});
    assert_eq!(Ask::new("POST", SUBSCRIPTIONS).json(&body).send(&lab.all).await.status, 201);
    for name in ["m0", "m1"] {
        let machine = lab.fleet.find(name).unwrap();
        let uuid = machine.snapshot().uuid;
        lab.fleet.events().emit(lab.fleet.clock().timestamp(), name, uuid, EventKind::Reset);
        let event = subscriber.next().await.1;
        let origin = event["Events"][0]["OriginOfCondition"]["@odata.id"].as_str().unwrap().to_owned();
        assert_eq!(origin, format!("/redfish/v1/Systems/{uuid}"));
    }
}

#[tokio::test]
async fn metric_reports_are_pushed_when_their_time_has_come() {
    let desk = Desk::new().await;
    let mut subscriber = Subscriber::plain(204).await;
    let definition = |id: &str| format!("/redfish/v1/TelemetryService/MetricReportDefinitions/{id}");
    let body = json!({"Destination": subscriber.url, "Protocol": "Redfish", "Context": "mine",
        "EventFormatType": "MetricReport",
        "MetricReportDefinitions": [{"@odata.id": definition("Thermal")}, {"@odata.id": definition("Power")}]});
    let uri = desk.subscribe(body.clone()).await;
    let shown = desk.get(&uri).await.json();
    for name in ["EventFormatType", "Context"] {
        assert_eq!(shown[name], body[name]);
    }
    assert_eq!(shown["MetricReportDefinitions"].as_array().unwrap().len(), 2);
    let minute = async || {
        // Who was just subscribed gets its clock before the time goes on.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
    };
    desk.power();
    for _ in 0..2 {
        minute().await;
        for id in ["Power", "Thermal"] {
            let (head, report) = subscriber.next().await;
            assert!(head.starts_with("post /events http/1.1"), "{head}");
            assert_eq!((&report["Id"], &report["Context"]), (&json!(id), &json!("mine")));
            assert_eq!(report["MetricReportDefinition"]["@odata.id"], definition(id));
            let shown = desk.get(report["@odata.id"].as_str().unwrap()).await.json();
            // The second in which a report is made is its own.
            let values = |report: &Value| {
                let mut values = report["MetricValues"].as_array().unwrap().clone();
                values.iter_mut().for_each(|value| value["Timestamp"] = Value::Null);
                values
            };
            assert_eq!(values(&report), values(&shown));
        }
    }
    let conflict = json!({"Destination": subscriber.url, "Protocol": "Redfish", "EventFormatType": "MetricReport",
        "Severities": ["OK"]});
    let answer = Ask::new("POST", SUBSCRIPTIONS).json(&conflict).send(&desk.router).await;
    answer.refused(400, &["PropertyValueConflict"]);
}
