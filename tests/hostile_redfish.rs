//! Whatever comes in over Redfish is hostile: refused by the specification or dropped, the daemon goes on, nothing is leaked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use polybmc_tests::redfish::{Answer, Redfish, SYSTEMS};
use serde_json::{Value, json};
use testkit::tools::Tool;

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
/// The server's limits, the longest of which is 30 s for a whole request, and as much again for a busy host.
const LIMIT: Duration = Duration::from_secs(60);
/// What a client may have to wait while others misbehave.
const AT_ONCE: Duration = Duration::from_secs(5);

fn address(node: &Node<'_>) -> SocketAddr {
    let (_, rest) = node.redfish.split_once("://").expect("a URL");
    rest.parse().expect("an address and a port")
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the daemon listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket takes a time-out");
    stream
}

/// Everything that comes until the server closes the connection, or breaks it.
#[track_caller]
fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
            Err(error) => panic!("the server did not close the connection: {error}"),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends bytes over plain TCP, says that this is all, and returns what comes back.
#[track_caller]
fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(to);
    // The server may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    rest(&mut stream)
}

fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Fails unless the daemon serves as ever and nothing in it has panicked.
#[track_caller]
fn assert_unharmed(lab: &Lab) {
    let node = lab.node(0);
    assert_eq!(Redfish::of(&node).get(&format!("{SYSTEMS}/node-0")).status, 200);
    assert_eq!(node.power(), "off", "nothing hostile has switched the machine");
    assert!(
        !node.boot().to_string().contains("once"),
        "nothing hostile has set a boot override: {}",
        node.boot()
    );
    let log = lab.daemon.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn plain(machines: u32) -> Lab {
    Lab::builder(machines).defaults("tls = \"off\"").start()
}

fn basic(user: &str, password: &str) -> String {
    let encoded = Tool::find("base64").arg("--wrap=0").stdin(format!("{user}:{password}")).ok();
    format!("Authorization: Basic {}", encoded.trim())
}

#[test]
fn hostile_bodies() {
    let lab = Lab::builder(1).start();
    let redfish = Redfish::of(&lab.node(0));
    let nested =
        |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000)).into_bytes();
    let large = |length: usize| format!("{{\"Boot\":\"{}\"}}", "A".repeat(length)).into_bytes();
    let bodies: Vec<(&str, Vec<u8>, u16)> = vec![
        ("10 MB of JSON", large(10_000_000), 413),
        ("30 MB of JSON", large(30_000_000), 413),
        ("a list nested 10,000 deep", nested("[", "]"), 400),
        ("an object nested 10,000 deep", nested("{\"\":", "}"), 400),
        (
            "a list nested deep in a property",
            [b"{\"Boot\":".to_vec(), nested("[", "]"), b"}".to_vec()].concat(),
            400,
        ),
        ("bad UTF-8", b"{\"Boot\":{\"BootSourceOverrideTarget\":\"\xff\xfe\"}}".to_vec(), 400),
        ("overlong UTF-8", b"{\"AssetTag\":\"\xc0\xaf\"}".to_vec(), 400),
        ("half a surrogate pair", b"{\"AssetTag\":\"\\ud800\"}".to_vec(), 400),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec(), 400),
        ("a NUL", b"{\"AssetTag\":\"a\\u0000b\"}".to_vec(), 400),
        ("broken off", b"{\"Boot\":{\"BootSourceOverrideTarget\":\"Px".to_vec(), 400),
        ("nothing", Vec::new(), 400),
        ("white space", b" \r\n\t ".to_vec(), 400),
        ("a list", b"[]".to_vec(), 400),
        ("null", b"null".to_vec(), 400),
        ("a number that is too large", b"{\"Boot\":1e999999}".to_vec(), 400),
        ("two documents", b"{\"AssetTag\":\"a\"}{\"AssetTag\":\"b\"}".to_vec(), 400),
        ("a comment", b"{/* */\"AssetTag\":\"a\"}".to_vec(), 400),
        ("XML", b"<?xml version=\"1.0\"?><x/>".to_vec(), 400),
        ("a long name", format!("{{\"{}\":1}}", "N".repeat(60_000)).into_bytes(), 400),
        (
            "many names",
            format!("{{{}}}", (0..5_000).map(|n| format!("\"p{n}\":1")).collect::<Vec<_>>().join(","))
                .into_bytes(),
            400,
        ),
    ];
    let reset = format!("{SYSTEMS}/node-0/Actions/ComputerSystem.Reset");
    for (method, path) in
        [("PATCH", format!("{SYSTEMS}/node-0")), ("POST", reset), ("POST", SESSIONS.to_owned())]
    {
        for (what, body, wanted) in &bodies {
            let answer = redfish.send_bytes(method, &path, body.clone());
            assert_eq!(answer.status, *wanted, "{what} to {method} {path}: {answer:?}");
            assert!(!answer.messages().is_empty(), "{what} to {method} {path}");
            assert!(
                answer.body.len() < 4 << 20,
                "{what}: a small request is not answered by {} bytes",
                answer.body.len()
            );
        }
    }
    assert_eq!(redfish.read(SESSIONS)["Members@odata.count"], 0, "no session came of it");
    assert_unharmed(&lab);
}

#[test]
fn a_body_that_is_no_json_by_its_own_word() {
    let lab = Lab::builder(1).start();
    let redfish = Redfish::of(&lab.node(0));
    for kind in ["text/plain", "application/xml", "application/json;charset=utf-16", "", "\u{fffd}"] {
        let tool =
            redfish.curl(&format!("{SYSTEMS}/node-0")).args(["--request", "PATCH", "--data-binary", "@-"]);
        let answer = Answer::parse(
            &tool.args(["--header", &format!("Content-Type: {kind}")]).stdin("{\"AssetTag\":\"x\"}").ok(),
        );
        if kind.is_empty() {
            // Without the header it is taken for what it is.
            assert_eq!(answer.status, 204, "{answer:?}");
        } else {
            assert_eq!(
                (answer.status, answer.messages()),
                (415, vec!["HeaderInvalid".to_owned()]),
                "{kind:?}"
            );
        }
    }
    assert_unharmed(&lab);
}

#[test]
fn requests_that_break_off_at_every_byte() {
    let lab = plain(1);
    let to = address(&lab.node(0));
    let body = "{\"ResetType\":\"On\"}";
    let request = format!(
        "POST {SYSTEMS}/node-0/Actions/ComputerSystem.Reset HTTP/1.1\r\nHost: bmc\r\n{}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        basic(USER, PASSWORD),
        body.len()
    );
    for length in 0..request.len() {
        let answer = exchange(to, &request.as_bytes()[..length]);
        let refused = status(&answer).is_none_or(|status| (400..500).contains(&status));
        assert!(refused, "after {length} bytes: {answer}");
    }
    assert_unharmed(&lab);
    // The whole of it is a good request, also from a client that closes its half of the connection behind it.
    assert_eq!(status(&exchange(to, request.as_bytes())), Some(204));
    lab.node(0).await_power("on");
}

#[test]
fn what_is_hardly_http() {
    let lab = plain(1);
    let to = address(&lab.node(0));
    let auth = basic(USER, PASSWORD);
    let head = format!(
        "POST {SYSTEMS}/node-0/Actions/ComputerSystem.Reset HTTP/1.1\r\nHost: x\r\n{auth}\r\nContent-Type: application/json\r\n"
    );
    let on = "{\"ResetType\":\"On\"}";
    let requests: Vec<(&str, Vec<u8>)> = vec![
        (
            "a header flood",
            format!("GET /redfish HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(20_000)).into_bytes(),
        ),
        (
            "a header of 1 MB",
            format!("GET /redfish HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes(),
        ),
        (
            "a header without an end",
            format!("GET /redfish HTTP/1.1\r\nX: {}", "y".repeat(8 << 20)).into_bytes(),
        ),
        ("a path of 1 MB", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20)).into_bytes()),
        ("two lengths", format!("{head}Content-Length: 18\r\nContent-Length: 3\r\n\r\n{on}").into_bytes()),
        ("a negative length", format!("{head}Content-Length: -18\r\n\r\n{on}").into_bytes()),
        (
            "a length without bounds",
            format!("{head}Content-Length: 99999999999999999999999\r\n\r\n{on}").into_bytes(),
        ),
        (
            "a chunk that lies",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{on}").into_bytes(),
        ),
        (
            "a chunk that is no number",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{on}\r\n0\r\n\r\n").into_bytes(),
        ),
        ("another coding", format!("{head}Transfer-Encoding: gzip, deflate\r\n\r\n{on}").into_bytes()),
        ("a version of the future", b"GET /redfish HTTP/9.9\r\nHost: x\r\n\r\n".to_vec()),
        (
            "HTTP/2 out of the blue",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec(),
        ),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("noise", (0..=255_u8).cycle().take(100_000).collect()),
        ("line feeds", b"\n".repeat(100_000)),
        ("a method that is none", b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a header that is none", b"GET /redfish HTTP/1.1\r\nHost: x\r\nA B\r\n\r\n".to_vec()),
        ("a folded header", b"GET /redfish HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\r\n\r\n".to_vec()),
    ];
    for (what, request) in &requests {
        let answer = exchange(to, request);
        assert!(status(&answer).is_none_or(|status| (400..600).contains(&status)), "{what}: {answer}");
        assert!(answer.len() < 64 * 1024, "{what}: answered by {} bytes", answer.len());
    }
    assert_unharmed(&lab);
}

#[test]
fn unknown_paths_and_wrong_methods() {
    let lab = Lab::builder(1).start();
    let root = lab.node(0).redfish;
    let (redfish, stranger) = (Redfish::at(&root), Redfish::anonymous(&root));
    let long = format!("{SYSTEMS}/{}", "x".repeat(8_000));
    let paths = [
        "/",
        "/redfish/v2",
        "/redfish/v1/Nowhere",
        "/redfish/v1/Systems/nobody",
        "/redfish/v1/Systems/node-0/Nothing",
        "/redfish/v1/Systems/node-0/Actions/ComputerSystem.Explode",
        "/redfish/v1/Systems/../../../etc/passwd",
        "/redfish/v1/Systems/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/redfish/v1/Systems/node-0%00",
        "/redfish/v1/Systems/%ff%fe",
        "/redfish/v1/Systems/node-0;x=1",
        "/redfish/v1//Systems",
        "/REDFISH/V1/SYSTEMS",
        "/redfish/v1/SessionService/Sessions/0",
        "/redfish/v1/Systems/00000000-0000-0000-0000-000000000000",
        &long,
    ];
    for path in paths {
        let answer = redfish.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert!(!answer.messages().is_empty(), "{path}");
        // Who is not logged in does not learn what there is.
        let answer = stranger.get(path);
        assert_eq!((answer.status, answer.messages()), (401, vec!["NoValidSession".to_owned()]), "{path}");
    }
    let wrong = [
        ("POST", "/redfish/v1", "GET"),
        ("DELETE", "/redfish/v1/Systems/node-0", "GET"),
        ("PUT", "/redfish/v1/Systems/node-0", "PATCH"),
        ("GET", "/redfish/v1/Systems/node-0/Actions/ComputerSystem.Reset", "POST"),
        ("PATCH", "/redfish/v1/Chassis", "GET"),
        // Methods that no resource knows are not implemented.
        ("TRACE", "/redfish/v1/Systems", "GET"),
        ("BREW", "/redfish/v1/Systems", "GET"),
    ];
    for (method, path, allowed) in wrong {
        let answer = redfish.send(method, path, None);
        let status = if matches!(method, "TRACE" | "BREW") { 501 } else { 405 };
        assert_eq!(
            (answer.status, answer.messages()),
            (status, vec!["OperationNotAllowed".to_owned()]),
            "{method} {path}"
        );
        assert!(
            answer.header("allow").is_some_and(|methods| methods.contains(allowed)),
            "{method} {path}: {answer:?}"
        );
    }
    let answer = redfish.get("/redfish/v1/Systems?$search=x");
    assert_eq!((answer.status, answer.messages()), (501, vec!["QueryParameterUnsupported".to_owned()]));
    assert_unharmed(&lab);
}

#[test]
fn half_a_request_is_closed_in_time_while_others_are_served() {
    let lab = plain(1);
    let node = lab.node(0);
    let to = address(&node);
    let opened = Instant::now();
    let head = format!(
        "PATCH {SYSTEMS}/node-0 HTTP/1.1\r\nHost: bmc\r\n{}\r\nContent-Type: application/json\r\n",
        basic(USER, PASSWORD)
    );
    let halves = [
        "",
        "GE",
        "GET /redfish/v1 HTTP/1.1\r\nHost: b",
        &head,
        &format!("{head}Content-Length: 40\r\n\r\n{{\"Ass"),
    ];
    let mut waiting: Vec<TcpStream> = Vec::new();
    for half in halves.iter().cycle().take(50) {
        let mut stream = connect(to);
        stream.write_all(half.as_bytes()).expect("a new connection takes bytes");
        waiting.push(stream);
    }
    let redfish = Redfish::of(&node);
    for _ in 0..10 {
        let asked = Instant::now();
        assert_eq!(redfish.get("/redfish/v1/Systems/node-0").status, 200);
        assert!(asked.elapsed() < AT_ONCE, "served after {:?}", asked.elapsed());
    }
    // One that always sends a little more is not spared: its pause is the wait for an answer that does not come.
    let mut drip = connect(to);
    drip.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket takes a time-out");
    let mut byte = [0];
    let dripping = Instant::now();
    while drip.write_all(b"X").is_ok() && !matches!(drip.read(&mut byte), Ok(0 | 1)) {
        assert!(dripping.elapsed() < LIMIT, "a dripping client holds its connection");
    }
    for stream in &mut waiting {
        let answer = rest(stream);
        assert!(status(&answer).is_none_or(|status| status == 408), "{answer}");
    }
    assert!(opened.elapsed() < LIMIT + LIMIT, "closed only after {:?}", opened.elapsed());
    assert_unharmed(&lab);
}

#[test]
fn connections_that_say_nothing_are_bounded() {
    // More than one endpoint serves at once.
    const MANY: usize = 400;
    let lab = Lab::builder(2).start();
    let to = address(&lab.node(0));
    let silent: Vec<TcpStream> = (0..MANY).map(|_| connect(to)).collect();
    let asked = Instant::now();
    assert_eq!(Redfish::of(&lab.node(1)).get("/redfish/v1/Systems/node-1").status, 200);
    assert!(asked.elapsed() < AT_ONCE, "another BMC is not held up: {:?}", asked.elapsed());
    lab.node(0).ipmitool().args(["power", "status"]).ok();

    let open = open_files(lab.daemon.pid());
    assert!(open < MANY, "{open} files are open");
    let ran = Redfish::of(&lab.node(0)).curl("/redfish/v1/Systems/node-0").limit(LIMIT).run();
    assert!(
        ran.success() && ran.stdout.starts_with("HTTP/1.1 200"),
        "served once the silent ones are put out: {ran}"
    );
    drop(silent);
    assert_unharmed(&lab);
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon's files can be listed").count()
}

#[test]
fn wrong_tls() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let to = address(&node);
    let hello = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03";
    let noise: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    let wrong: [(&str, &[u8]); 6] = [
        ("plain HTTP", b"GET /redfish/v1 HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("nothing", b""),
        ("half a hello", hello),
        ("noise", &noise),
        ("a record that is too long", b"\x16\x03\x03\xff\xff\x00"),
        ("SSL 2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
    ];
    for (what, bytes) in wrong {
        let answer = exchange(to, bytes);
        assert!(!answer.contains("HTTP/1.1 2"), "{what}: {answer}");
    }
    let redfish = Redfish::of(&node);
    for version in ["1.0", "1.1"] {
        let ran = redfish
            .curl("/redfish/v1")
            .args(["--tls-max", version, "--ciphers", "DEFAULT@SECLEVEL=0"])
            .fails();
        assert_eq!(ran.code, Some(35), "TLS {version} is refused in the handshake: {ran}");
    }
    for version in ["1.2", "1.3"] {
        let tool = redfish.curl("/redfish/v1").args([&format!("--tlsv{version}"), "--tls-max", version]);
        assert_eq!(Answer::parse(&tool.ok()).status, 200, "TLS {version}");
    }
    assert_unharmed(&lab);
}

#[test]
fn sessions_are_bounded_and_none_leaks() {
    let lab = Lab::builder(1).start();
    let root = lab.node(0).redfish;
    let (redfish, stranger) = (Redfish::at(&root), Redfish::anonymous(&root));
    let login = |password: &str| stranger.post(SESSIONS, &json!({ "UserName": USER, "Password": password }));
    let count = || redfish.read(SESSIONS)["Members@odata.count"].as_u64().unwrap_or_default();
    for _ in 0..5 {
        assert_eq!(login("wrong").status, 401);
    }
    assert_eq!(count(), 0);
    let mut opened = Vec::new();
    let refused = loop {
        let answer = login(PASSWORD);
        if answer.status != 201 {
            break answer;
        }
        opened.push(answer.header("location").expect("a session has a place").to_owned());
        assert!(opened.len() <= 64, "there is a bound");
    };
    assert_eq!((refused.status, refused.messages()), (503, vec!["SessionLimitExceeded".to_owned()]));
    assert_eq!(count(), opened.len() as u64);
    // Basic works on, and what is closed is free again.
    let place = opened.pop().expect("a session was opened");
    let place = place.strip_prefix(&root).unwrap_or(&place).to_owned();
    assert_eq!(redfish.send("DELETE", &place, None).status, 204);
    assert_eq!(login(PASSWORD).status, 201);
    assert_unharmed(&lab);
}

#[test]
fn no_secret_is_in_the_log_at_any_level() {
    const SECRET: &str = "Hush-7-Hush";
    const LATER: &str = "Quiet-8-Quiet";
    let lab = Lab::builder(1).log("trace").defaults(&format!("password = \"{SECRET}\"")).start();
    let node = lab.node(0);
    let redfish = Redfish::with_login(&node.redfish, USER, SECRET);
    let stranger = Redfish::anonymous(&node.redfish);
    assert_eq!(redfish.get("/redfish/v1/Systems/node-0").status, 200);
    let answer = stranger.post(SESSIONS, &json!({ "UserName": USER, "Password": SECRET })).expect(201);
    let token = answer.header("x-auth-token").expect("a session has a token").to_owned();
    let tool =
        stranger.curl("/redfish/v1/Systems/node-0").args(["--header", &format!("X-Auth-Token: {token}")]);
    assert_eq!(Answer::parse(&tool.ok()).status, 200);
    // What people do by mistake: the password under a wrong name, of a wrong type, beside too much.
    for body in [
        json!({ "UserName": USER, "password": SECRET }),
        json!({ "UserName": USER, "Password": [SECRET] }),
        json!({ "UserName": USER, "Password": { "Password": SECRET } }),
        json!({ "UserName": USER, "Password": SECRET, "Extra": 1 }),
    ] {
        assert!(matches!(stranger.post(SESSIONS, &body).status, 400 | 401), "{body}");
    }
    let broken = format!("{{\"UserName\":\"{USER}\",\"Password\":\"{SECRET}\"");
    assert_eq!(stranger.send_bytes("POST", SESSIONS, broken).status, 400);
    polybmc_tests::lab::ipmitool_as(node.ipmi, USER, SECRET).args(["power", "status"]).ok();
    polybmc_tests::lab::ipmitool_as(node.ipmi, USER, "Wrong-9-Wrong").args(["power", "status"]).fails();
    lab.daemon.cli(["set", "node-0", "--password-file", "-"]).stdin(LATER).ok();
    assert_eq!(redfish.get("/redfish/v1/Systems/node-0").status, 401);
    assert_eq!(Redfish::with_login(&node.redfish, USER, LATER).get("/redfish/v1/Systems/node-0").status, 200);

    let log = lab.daemon.log();
    assert!(log.contains("TRACE"), "the log says everything it can");
    let in_a_header = |password| basic(USER, password).replace("Authorization: Basic ", "");
    let secrets = [
        SECRET.to_owned(),
        LATER.to_owned(),
        "Wrong-9-Wrong".to_owned(),
        token,
        in_a_header(SECRET),
        in_a_header(LATER),
    ];
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a secret is in the log");
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        let line = log.lines().find(|line| line.contains(bytes));
        assert_eq!(line, None, "a secret is in the log, as bytes");
    }
    // Nor can anybody else read it where it is kept; certificates are for everybody.
    let readable = Tool::find("find")
        .arg(lab.daemon.state_dir())
        .args(["-type", "f", "-not", "-name", "*.crt", "-perm", "/077"])
        .ok();
    assert_eq!(readable, "", "files with secrets are the daemon's own");
    let shown: Value = lab.json(&["show", "node-0", "-o", "json"]);
    assert!(!shown.to_string().contains(LATER));
}
