//! The API in process: a small daemon behind a real socket, asked by the real client.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bmc_core::account::Secret;
use bmc_core::boot::{BootEnabled, BootTarget};
use bmc_core::console::{Console, ConsoleInput, ConsolePort, ConsoleState, console};
use bmc_core::event::{Event, EventKind, EventLog, FOLLOWER_LAG_EVENTS};
use bmc_core::media::MediaSlot;
use bmc_core::power::{PowerAction, PowerPolicy, PowerState};
use bmc_core::screen::Screenshot;
use bmc_core::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::types::*;
use crate::*;

/// Knows one BMC, `node-0`, and says no in instructive ways.
struct Small {
    events: EventLog,
    console: (Console, ConsolePort),
}

fn summary() -> BmcSummary {
    BmcSummary {
        name: "node-0".to_owned(),
        backend: "sim".to_owned(),
        machine: "node-0".to_owned(),
        origin: Origin::Added,
        uuid: Uuid::from_u128(7),
        ipmi: Some("127.0.0.1:6230".to_owned()),
        redfish: Some("https://127.0.0.1:8100".to_owned()),
        power: PowerState::PoweringOn,
        state: ServingState::Serving,
        reachable: true,
        problem: None,
    }
}

fn drive() -> DriveView {
    DriveView {
        drive: MediaSlot::Usb,
        image: Some("http://images/x".to_owned()),
        write_protected: Some(true),
        size: Some(7),
        sha256: Some("00".to_owned()),
        inserting: None,
    }
}

fn interface(kind: Option<SystemInterfaceKind>) -> SystemInterfaceView {
    let socket = PathBuf::from("/run/x.sock");
    SystemInterfaceView {
        name: "node-0".to_owned(),
        kind,
        socket: kind.map(|_| socket.clone()),
        connected: false,
        device: kind.map(|kind| SystemInterfaceDevice { kind, socket }),
        arguments: vec!["-device".to_owned()],
        problem: None,
    }
}

fn boot() -> BootView {
    BootView { target: BootTarget::Pxe, enabled: BootEnabled::Once, uefi: true, uri: None, device: None }
}

fn sensor() -> SensorView {
    SensorView {
        number: 2,
        name: "CPU Temp".to_owned(),
        kind: "temperature".to_owned(),
        status: SensorStatus::Ok,
        reading: Some(41),
        unit: Some("Cel".to_owned()),
        states: None,
        state_names: None,
        thresholds: [("upper-critical".to_owned(), 95)].into(),
    }
}

fn detail() -> BmcDetail {
    BmcDetail {
        summary: summary(),
        username: "admin".to_owned(),
        power_fault: false,
        power_policy: PowerPolicy::AlwaysOff,
        boot: boot(),
        firmware: None,
        processors: Some(2),
        memory_bytes: Some(1 << 30),
        nics: vec!["52:54:00:00:00:01".to_owned()],
        vnc: Some("127.0.0.1:5900".to_owned()),
        manufacturer: "m".to_owned(),
        model: "m".to_owned(),
        serial: "s".to_owned(),
        asset_tag: String::new(),
    }
}

fn known(name: &str) -> Result<(), ControlError> {
    if name == "node-0" { Ok(()) } else { Err(ControlError::not_found(format!("no BMC `{name}`"))) }
}

#[async_trait]
impl Admin for Small {
    async fn version(&self) -> VersionInfo {
        VersionInfo {
            version: "0".to_owned(),
            api: 1,
            pid: 1,
            started: Timestamp::UNIX_EPOCH,
            bmcs: 1,
            state_dir: PathBuf::from("/s"),
            config: None,
            redfish: None,
            hypervisors: Vec::new(),
        }
    }
    async fn list(&self) -> Vec<BmcSummary> {
        vec![summary()]
    }
    async fn show(&self, name: &str) -> Result<BmcDetail, ControlError> {
        known(name).map(|()| detail())
    }
    async fn add(&self, bmc: AddBmc) -> Result<BmcDetail, ControlError> {
        assert_eq!(bmc.password.as_ref().map(Secret::expose), Some("s3cret"));
        Err(ControlError::new(ErrorKind::AlreadyExists, format!("{} exists", bmc.name)))
    }
    async fn set(&self, name: &str, _: SetBmc) -> Result<BmcDetail, ControlError> {
        known(name).map(|()| detail())
    }
    async fn remove(&self, name: &str, keep_state: bool) -> Result<(), ControlError> {
        if keep_state { known(name) } else { Err(ControlError::internal("keep it")) }
    }
    async fn start(&self, name: &str) -> Result<BmcDetail, ControlError> {
        self.show(name).await
    }
    async fn stop(&self, name: &str) -> Result<BmcDetail, ControlError> {
        self.show(name).await
    }
    async fn power(&self, name: &str, action: PowerAction) -> Result<PowerReply, ControlError> {
        known(name)?;
        let power = PowerState::On;
        Ok(PowerReply { name: name.to_owned(), action, outcome: PowerOutcome::Joined, power })
    }
    async fn boot(&self, name: &str) -> Result<BootView, ControlError> {
        known(name).map(|()| boot())
    }
    async fn screenshot(&self, name: &str) -> Result<Screenshot, ControlError> {
        known(name).map(|()| Screenshot::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap())
    }
    async fn sensors(&self, name: &str) -> Result<Vec<SensorView>, ControlError> {
        known(name).map(|()| vec![sensor()])
    }
    async fn set_boot(&self, _: &str, set: SetBoot) -> Result<BootView, ControlError> {
        Ok(BootView { target: set.target, uri: set.uri, ..boot() })
    }
    async fn media(&self, name: &str) -> Result<Vec<DriveView>, ControlError> {
        known(name).map(|()| vec![drive()])
    }
    async fn insert(&self, name: &str, drive: MediaSlot, image: InsertImage) -> Result<(), ControlError> {
        assert_eq!((drive, image.password.as_ref().map(Secret::expose)), (MediaSlot::Cd, Some("s3cret")));
        known(name)
    }
    async fn eject(&self, name: &str, _: MediaSlot) -> Result<(), ControlError> {
        known(name)
    }
    async fn sel(&self, name: &str) -> Result<SelView, ControlError> {
        known(name).map(|()| SelView { entries: Vec::new(), room: 1023, overflow: false })
    }
    async fn clear_sel(&self, name: &str) -> Result<(), ControlError> {
        known(name)
    }

    async fn console(&self, name: &str) -> Result<Console, ControlError> {
        known(name).map(|()| self.console.0.clone())
    }
    fn events(&self, after: u64) -> (Vec<Event>, broadcast::Receiver<Event>) {
        self.events.follow(after)
    }
    async fn system_interface(&self, name: &str) -> Result<SystemInterfaceView, ControlError> {
        known(name).map(|()| interface(Some(SystemInterfaceKind::Kcs)))
    }
    async fn set_system_interface(
        &self,
        name: &str,
        kind: Option<SystemInterfaceKind>,
    ) -> Result<SystemInterfaceView, ControlError> {
        known(name).map(|()| interface(kind))
    }
    async fn reload(&self) -> Result<ReloadReport, ControlError> {
        Ok(ReloadReport { unchanged: 1, ..ReloadReport::default() })
    }
}

struct Served {
    folder: TempDir,
    small: Arc<Small>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let small = Arc::new(Small { events: EventLog::new(1), console: console() });
        let shutdown = CancellationToken::new();
        let socket = ControlSocket::claim(&folder.path().join("c.sock")).unwrap();
        let task = socket.serve(small.clone(), shutdown.clone()).unwrap();
        Self { folder, small, shutdown, task }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    fn client(&self) -> Client {
        Client::new(self.path())
    }

    fn happened(&self) {
        self.small.events.emit(Timestamp::UNIX_EPOCH, "node-0", Uuid::from_u128(7), EventKind::Reset);
    }
}

/// A request by hand, for what the client cannot say.
async fn raw(served: &Served, request: String) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::UnixStream::connect(served.path()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn request(line: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn every_call_comes_through() {
    let served = Served::start();
    let client = served.client();
    assert_eq!(client.version().await.unwrap().api, 1);
    assert_eq!(client.list().await.unwrap(), [summary()]);
    assert_eq!(client.show("node-0").await.unwrap(), detail());
    let change = SetBmc { username: Some("root".to_owned()), ..SetBmc::default() };
    assert_eq!(client.set("node-0", &change).await.unwrap(), detail());
    client.remove("node-0", true).await.unwrap();
    assert_eq!(client.start("node-0").await.unwrap(), detail());
    assert_eq!(client.stop("node-0").await.unwrap(), detail());
    assert_eq!(client.power("node-0").await.unwrap().power, PowerState::PoweringOn);
    let reply = client.set_power("node-0", PowerAction::GracefulRestart).await.unwrap();
    assert_eq!((reply.action, reply.outcome), (PowerAction::GracefulRestart, PowerOutcome::Joined));
    assert_eq!(client.boot("node-0").await.unwrap(), boot());
    assert_eq!(client.sensors("node-0").await.unwrap(), [sensor()]);
    let picture = client.screenshot("node-0").await.unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&picture[..])).read_info().unwrap();
    let mut pixels = [0; 6];
    assert_eq!(reader.next_frame(&mut pixels).unwrap().buffer_size(), 6);
    assert_eq!((reader.info().width, pixels), (2, [1, 2, 3, 4, 5, 6]));
    let set = SetBoot {
        target: BootTarget::Http,
        persistent: true,
        uefi: None,
        uri: Some("http://x/".to_owned()),
        device: None,
    };
    assert_eq!(client.set_boot("node-0", &set).await.unwrap().uri.as_deref(), Some("http://x/"));
    assert_eq!(client.media("node-0").await.unwrap(), [drive()]);
    let image = InsertImage {
        image: "http://x/y.iso".to_owned(),
        username: Some("u".to_owned()),
        password: Some(Secret::new("s3cret")),
        writable: false,
    };
    assert_eq!(client.insert("node-0", MediaSlot::Cd, &image).await.unwrap(), [drive()]);
    assert!(!format!("{image:?}").contains("s3cret"));
    assert_eq!(client.eject("node-0", MediaSlot::Usb).await.unwrap(), [drive()]);
    let kcs = Some(SystemInterfaceKind::Kcs);
    assert_eq!(client.system_interface("node-0").await.unwrap(), interface(kcs));
    for kind in [Some(SystemInterfaceKind::Bt), None] {
        assert_eq!(client.set_system_interface("node-0", kind).await.unwrap(), interface(kind));
    }
    assert_eq!(client.reload().await.unwrap().unchanged, 1);
}

#[tokio::test]
async fn refusals_keep_kind_and_sentence() {
    let served = Served::start();
    let client = served.client();
    let error = client.show("a/b ..").await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(e) if e.kind == ErrorKind::NotFound && e.message == "no BMC `a/b ..`")
    );
    let error = client.show("..").await.unwrap_err();
    assert_eq!(error.to_string(), "no BMC `..`");
    let new =
        AddBmc { name: "node-0".to_owned(), password: Some(Secret::new("s3cret")), ..AddBmc::default() };
    let error = client.add(&new).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(e) if e.kind == ErrorKind::AlreadyExists));
    assert!(!format!("{new:?}").contains("s3cret"));
}

#[tokio::test]
async fn bad_requests_are_refused_in_json() {
    let served = Served::start();
    let deep = "[".repeat(10_000);
    let large = format!("\"{}\"", "x".repeat(routes::BODY_MAX_BYTES));
    for (line, body, status, words) in [
        ("POST /v1/bmcs", "{", 400, "request body is wrong"),
        ("POST /v1/bmcs", r#"{"name":"a","colour":"b"}"#, 400, "unknown field `colour`"),
        ("POST /v1/bmcs", deep.as_str(), 400, "request body is wrong"),
        ("POST /v1/bmcs", large.as_str(), 400, "larger than"),
        ("POST /v1/bmcs", r#"{"name":"a","ipmi":"nowhere"}"#, 400, "request body is wrong"),
        ("PATCH /v1/bmcs/node-0", "{}", 400, "nothing to change"),
        ("PUT /v1/bmcs/node-0/media/tape", r#"{"image":"x"}"#, 400, "tape"),
        ("PUT /v1/bmcs/node-0/system-interface", r#"{"kind":"smic"}"#, 400, "unknown variant"),
        ("PUT /v1/bmcs/node-0/media/cd", r#"{"image":1}"#, 400, "request body is wrong"),
        ("POST /v1/bmcs/node-0/power", r#"{"action":"explode"}"#, 400, "unknown variant"),
        ("GET /v1/bmcs/%ff", "", 400, "invalid"),
        ("GET /v1/events?after=x", "", 400, "invalid"),
        ("GET /v2/anything", "", 404, "/v2/anything does not exist"),
        ("DELETE /v1/version", "", 405, "DELETE does not exist for /v1/version"),
    ] {
        let answer = raw(&served, request(line, body)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        let json: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert!(json["error"]["kind"].is_string(), "{answer}");
        let message = json["error"]["message"].as_str().unwrap();
        assert!(message.to_lowercase().contains(&words.to_lowercase()), "{line}: {message}");
    }
}

#[tokio::test]
async fn events_come_once_each_kept_and_later() {
    let served = Served::start();
    for _ in 0..3 {
        served.happened();
    }
    let mut kept = served.client().events(1, false).await.unwrap();
    let mut ids = Vec::new();
    while let Some(event) = kept.next().await.unwrap() {
        ids.push(event.id);
    }
    assert_eq!(ids, [2, 3]);

    let mut all = served.client().events(0, true).await.unwrap();
    for id in 1..=3 {
        assert_eq!(all.next().await.unwrap().unwrap().id, id);
    }
    // More than a follower may lag behind: it still misses none.
    let last = 3 + 2 * FOLLOWER_LAG_EVENTS as u64;
    for _ in 3..last {
        served.happened();
    }
    for id in 4..=last {
        assert_eq!(all.next().await.unwrap().unwrap().id, id);
    }
    served.shutdown.cancel();
    assert!(all.next().await.unwrap().is_none(), "a follower is told of the end");
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_the_daemon() {
    let served = Served::start();
    let path = served.path();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let claimed = ControlSocket::claim(&path);
    assert!(matches!(claimed, Err(SocketError::InUse(_))), "{claimed:?}");
    let beside: Vec<_> =
        std::fs::read_dir(served.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "only the socket and its lock: {beside:?}");

    let client = served.client();
    served.shutdown.cancel();
    served.task.await.unwrap();
    assert!(!path.exists());
    assert!(matches!(client.list().await, Err(ClientError::NoDaemon { .. })));
}

#[tokio::test]
async fn the_socket_of_a_dead_daemon_is_replaced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("c.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let socket = ControlSocket::claim(&path).unwrap();
    let small = Arc::new(Small { events: EventLog::new(1), console: console() });
    socket.serve(small, CancellationToken::new()).unwrap();
    assert_eq!(Client::new(&path).list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_socket_is_refused() {
    let folder = TempDir::new().unwrap();
    // A daemon whose lock file was deleted.
    let path = folder.path().join("live.sock");
    let _live = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(ControlSocket::claim(&path), Err(SocketError::InUse(_))));

    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(ControlSocket::claim(&file), Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");

    let long = folder.path().join("x".repeat(SOCKET_PATH_MAX_BYTES));
    assert!(matches!(ControlSocket::claim(&long), Err(SocketError::TooLong(_))));
    assert!(matches!(ControlSocket::claim(&folder.path().join("no/such")), Err(SocketError::Io { .. })));
}

#[test]
fn every_kind_of_error_has_a_failing_status_and_is_documented() {
    let document = document();
    for kind in ErrorKind::ALL {
        assert!(kind.status().is_client_error() || kind.status().is_server_error());
        let name = serde_json::to_string(&kind).unwrap();
        assert!(document.contains(name.trim_matches('"')), "{name}");
    }
}

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/control-api.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// Method and path of every operation in the document. The layout is ours: paths are indented by two, methods by four.
fn documented() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document.split_once("\npaths:\n").unwrap().1.split("\ncomponents:\n").next().unwrap();
    let mut path = String::new();
    let mut found = BTreeSet::new();
    for line in paths.lines() {
        let key = line.trim().trim_end_matches(':');
        match line.len() - line.trim_start().len() {
            2 if key.starts_with('/') => path = key.to_owned(),
            4 if ["get", "put", "post", "patch", "delete"].contains(&key) => {
                found.insert((key.to_uppercase(), path.clone()));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_document_names_exactly_the_routes_that_exist() {
    let routes: BTreeSet<_> =
        routes::names().map(|(method, path)| (method.to_string(), path.to_owned())).collect();
    assert_eq!(routes, documented());
    assert_eq!(routes.len(), routes::names().count(), "no route twice");
}

/// A console's far end.
fn far_end(served: &Served) -> &ConsolePort {
    &served.small.console.1
}

#[tokio::test]
async fn the_console_is_watched_and_typed_into() {
    let served = Served::start();
    let client = served.client();
    far_end(&served).output(b"one\r\ntwo\r\n");
    let mut kept = client.console("node-0", None, false).await.unwrap();
    assert_eq!(kept.next().await.unwrap().unwrap(), "one\r\ntwo\r\n");
    assert!(kept.next().await.unwrap().is_none());
    let mut last = client.console("node-0", Some(6), true).await.unwrap();
    assert_eq!(last.next().await.unwrap().unwrap(), "two\r\n");
    let mut none = client.console("node-0", Some(0), true).await.unwrap();

    let error = client.console_type("node-0", b"x").await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(e) if e.kind == ErrorKind::WrongState), "{error}");
    assert!(error.to_string().contains("off"), "{error}");
    far_end(&served).set_state(ConsoleState::Open);
    client.console_type("node-0", &[b'x'; 1500]).await.unwrap();
    client.console_break("node-0").await.unwrap();
    far_end(&served).output(b"three");
    for viewer in [&mut last, &mut none] {
        assert_eq!(viewer.next().await.unwrap().unwrap(), "three");
    }
    let long = raw(&served, request("POST /v1/bmcs/node-0/console", &"x".repeat(1025))).await;
    assert!(long.contains("at most 1024 bytes"), "{long}");
    let error = client.console("nobody", None, true).await.unwrap_err();
    assert_eq!(error.to_string(), "no BMC `nobody`");

    served.shutdown.cancel();
    assert!(last.next().await.unwrap().is_none(), "a viewer is told of the end");
    served.task.await.unwrap();
    let mut small = Arc::into_inner(served.small).unwrap();
    for piece in [1024, 476] {
        assert_eq!(small.console.1.input().await, Some(ConsoleInput::Bytes(vec![b'x'; piece])));
    }
    assert_eq!(small.console.1.input().await, Some(ConsoleInput::Break));
}

#[tokio::test]
async fn a_viewer_that_reads_too_slowly_is_told_what_it_lost() {
    let served = Served::start();
    let mut slow = served.client().console("node-0", None, true).await.unwrap();
    let mut seen = Vec::new();
    // More than all buffers on the way hold.
    while !String::from_utf8_lossy(&seen).contains("bytes of output were lost here]") {
        for _ in 0..200 {
            far_end(&served).output(&[b'x'; 60_000]);
            tokio::task::yield_now().await;
        }
        seen.extend(slow.next().await.unwrap().unwrap());
    }
}
