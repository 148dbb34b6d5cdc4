//! The service in process, on simulated machines. Every answer of every test is checked against DMTF's schemas on its way.

mod account_service;
mod accounts;
mod auth;
mod bios;
mod boot;
mod boot_order;
mod certificates;
mod environment;
mod errors;
mod events;
mod events_input;
mod events_push;
mod events_stream;
mod hostile;
mod inventory;
mod log;
mod manager;
mod manners;
mod media;
mod privileges;
mod query;
mod reads;
mod refusals;
mod schemas;
mod secure_boot;
mod secure_boot_databases;
mod sensors;
mod snapshot;
mod sockets;
mod storage;
mod tasks;
mod telemetry;
mod update;
mod watchdog;
mod writes;

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bmc_core::account::Secret;
use bmc_core::backend::MachineRef;
use bmc_core::clock::SystemClock;
use bmc_core::directory::Directory;
use bmc_core::fleet::{Fleet, MachineHandle, MachineSetup};
use bmc_core::power::PowerState;
use bmc_core::snapshot::{Health, Snapshot};
use bmc_sim::{SimBackend, SimConfig, SimControl};
use bmc_store::MemoryStore;
use flate2::read::GzDecoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use crate::config::RedfishConfig;
use crate::door::Peer;
use crate::scope::Scope;
use crate::service::{Service, router};

/// A fleet of simulated machines `m0`, `m1`, ... and the services in front of it.
struct Lab {
    fleet: Fleet,
    sim: SimBackend,
    /// The service of `m0` alone.
    one: Router,
    /// The service of all.
    all: Router,
    machine: MachineHandle,
}

/// The accounts of a root over all machines, with one administrator.
async fn admin() -> Directory {
    let store = Arc::new(MemoryStore::default());
    Directory::open(store, "admin", Secret::new("password")).await.unwrap()
}

impl Lab {
    async fn new(machines: usize, config: RedfishConfig) -> Self {
        Self::with_sim(machines, config, SimConfig::default()).await
    }

    async fn with_sim(machines: usize, config: RedfishConfig, sim: SimConfig) -> Self {
        let fleet = Fleet::open(Arc::new(MemoryStore::default()), Arc::new(SystemClock)).await.unwrap();
        let sim = SimBackend::new(sim, &Handle::current());
        for n in 0..machines {
            let setup = MachineSetup {
                name: format!("m{n}"),
                machine: MachineRef { uuid: None, name: format!("vm{n}") },
                administrator: ("admin".to_owned(), Secret::new("password")),
                power_policy: None,
                identity: None,
            };
            let handle = fleet.add(setup, Arc::new(sim.clone())).await.unwrap();
            until(&handle, |snapshot| snapshot.health == Health::Available).await;
        }
        let machine = fleet.find("m0").unwrap();
        let one = Scope::One { fleet: fleet.clone(), machine: machine.clone() };
        let all = Scope::All { fleet: fleet.clone(), accounts: Arc::new(admin().await) };
        let [one, all] = [one, all].map(|scope| router(Arc::new(Service::new(scope, config.clone()))));
        Self { fleet, sim, one, all, machine }
    }

    fn control(&self) -> SimControl {
        self.sim.control("vm0").unwrap()
    }

    fn system(&self) -> String {
        format!("/redfish/v1/Systems/{}", self.machine.snapshot().uuid)
    }

    async fn get(&self, path: &str) -> Answer {
        Ask::get(path).send(&self.one).await
    }

    async fn patch(&self, body: Value) -> Answer {
        Ask::new("PATCH", &self.system()).json(&body).send(&self.one).await
    }

    async fn reset(&self, kind: &str) -> Answer {
        let path = format!("{}/Actions/ComputerSystem.Reset", self.system());
        Ask::new("POST", &path).json(&json!({"ResetType": kind})).send(&self.one).await
    }

    async fn until_power(&self, power: PowerState) {
        until(&self.machine, |snapshot| snapshot.power == power).await;
    }
}

async fn lab() -> Lab {
    Lab::new(1, RedfishConfig::default()).await
}

async fn until(machine: &MachineHandle, mut reached: impl FnMut(&Snapshot) -> bool) {
    machine.subscribe().wait_for(|snapshot| reached(snapshot)).await.unwrap();
}

/// A request, by `admin` unless told otherwise.
struct Ask {
    request: http::request::Builder,
    body: Vec<u8>,
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

impl Ask {
    fn anonymous(method: &str, path: &str) -> Self {
        Self { request: Request::builder().method(method).uri(path), body: Vec::new() }
    }

    fn new(method: &str, path: &str) -> Self {
        Self::anonymous(method, path).header(AUTHORIZATION.as_str(), &basic("admin", "password"))
    }

    fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    fn from(mut self, source: &str) -> Self {
        let source: SocketAddr = source.parse().unwrap();
        self.request = self.request.extension(Peer(source));
        self
    }

    fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string().as_bytes())
    }

    fn bytes(mut self, kind: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header(CONTENT_TYPE.as_str(), kind)
    }

    async fn send(self, router: &Router) -> Answer {
        let request = self.request.body(Body::from(self.body)).unwrap();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let sent = body.collect().await.unwrap().to_bytes();
        let mut bytes = sent.to_vec();
        if parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip") && !sent.is_empty() {
            bytes.clear();
            GzDecoder::new(&sent[..]).read_to_end(&mut bytes).unwrap();
        }
        let answer = Answer { status: parts.status, headers: parts.headers, bytes };
        answer.check(&query);
        answer
    }
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        value.to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The registry keys of an error's messages.
    fn messages(&self) -> Vec<String> {
        let json = self.json();
        let info = json["error"]["@Message.ExtendedInfo"].as_array().unwrap();
        let key =
            |message: &Value| message["MessageId"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        info.iter().map(key).collect()
    }

    /// Asserts an error of this status and these messages.
    #[track_caller]
    fn refused(&self, status: u16, messages: &[&str]) {
        assert_eq!(
            (self.status.as_u16(), self.messages()),
            (status, messages.iter().map(ToString::to_string).collect())
        );
    }

    /// What holds for every answer (DSP0266, "Response headers" and "Error responses").
    fn check(&self, query: &str) {
        assert_eq!(self.header("odata-version"), "4.0");
        assert_eq!(self.header("cache-control"), "no-cache");
        if self.bytes.is_empty() {
            return;
        }
        let kind = self.header("content-type");
        if kind.starts_with("application/xml") {
            return;
        }
        assert_eq!(kind, "application/json;charset=utf-8");
        let mut json = self.json();
        let failed = self.status.as_u16() >= 400;
        // Of what is left of a resource, its schema says nothing.
        if failed || !query.contains("$select=") {
            if query.contains("$expand=") {
                schemas::check_embedded(&mut json);
            }
            schemas::check(&json, failed);
        }
        // What shows other resources too has a tag of its own in its header.
        if let Some(tag) = json.get("@odata.etag").and_then(Value::as_str)
            && !query.contains("$expand=")
            && !query.contains("$filter=")
        {
            let tag = tag.trim_end_matches('"');
            assert!([format!("{tag}\""), format!("{tag}-gzip\"")].contains(&self.header("etag").to_owned()));
        }
    }
}
