//! The load generator against a BMC in this process: the session layer on a socket, and nothing behind it.

use std::collections::HashMap;
use std::sync::Mutex;

use clap::Parser;
use ipmi_session::{AuthPolicy, Config, Endpoint, Event, Request, User, UserLookup};
use ipmi_wire::PrivilegeLevel;
use rand::rngs::StdRng;
use tokio::net::UdpSocket;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: IpmiArgs,
}

fn args(line: &str) -> IpmiArgs {
    let line = format!("ipmi {line}");
    Cli::try_parse_from(line.split_whitespace()).unwrap().args
}

struct OneUser;

impl UserLookup for OneUser {
    fn named(&self, name: &[u8], _: SocketAddr) -> Vec<User> {
        let password = Password::new(b"password").unwrap();
        if name != b"admin" {
            return Vec::new();
        }
        vec![User { id: 2, max_privilege: PrivilegeLevel::Administrator, password, ipmi15: true }]
    }
}

/// How the BMC behaves.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Good,
    /// Each datagram is lost the first time.
    DropsFirst,
    /// Every command is answered with this code.
    Refuses(CompletionCode),
    /// Answers this many commands, then nothing at all.
    DiesAfter(usize),
}

/// Commands by network function and code.
type Seen = Arc<Mutex<HashMap<(u8, u8), usize>>>;

async fn bmc(manner: Manner) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(serve(socket, manner, Arc::clone(&seen)));
    (address, seen)
}

/// All suites that there are.
const SUITES: [u8; 12] = [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17];

async fn serve(socket: UdpSocket, manner: Manner, seen: Seen) {
    let mut config = Config::new([7; 16]);
    config.set_cipher_suites(&SUITES).unwrap();
    config.ipmi15_auth = [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::Password]
        .map(AuthPolicy::everywhere)
        .to_vec();
    let mut endpoint = Endpoint::new(config);
    let mut rng: StdRng = rand::make_rng();
    let mut buffer = [0; 1500];
    let mut dropped: HashMap<Vec<u8>, ()> = HashMap::new();
    let mut answered = 0;
    loop {
        let (len, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let datagram = &buffer[..len];
        if matches!(manner, Manner::DropsFirst) && dropped.insert(datagram.to_vec(), ()).is_none() {
            continue;
        }
        let now = Instant::now().into_std();
        let out = endpoint.handle_datagram(now, peer, datagram, &OneUser, &mut rng);
        let mut transmits = out.transmits;
        for event in out.events {
            let Event::Request(Request { token, netfn, cmd, .. }) = event else { continue };
            *seen.lock().unwrap().entry((netfn.get(), cmd)).or_default() += 1;
            if matches!(manner, Manner::DiesAfter(count) if answered == count) {
                return std::future::pending().await;
            }
            answered += 1;
            let code = if let Manner::Refuses(code) = manner { code } else { CompletionCode::OK };
            transmits.extend(endpoint.respond(now, token, code, &[0x21, 0x10, 0x40], &mut rng));
        }
        for transmit in transmits {
            socket.send_to(&transmit.bytes, transmit.to).await.unwrap();
        }
    }
}

fn count(seen: &Seen, netfn: u8, cmd: u8) -> usize {
    seen.lock().unwrap().get(&(netfn, cmd)).copied().unwrap_or_default()
}

#[tokio::test]
async fn commands_in_kept_sessions_over_two_targets() {
    for suite in SUITES {
        let ((one, seen_one), (two, seen_two)) = (bmc(Manner::Good).await, bmc(Manner::Good).await);
        let report = run(&args(&format!(
            "--target {one} --target {two} --suite {suite} --sessions 4 --count 100 --command device-id"
        )))
        .await
        .unwrap();
        let [login, command] = report.operations.as_slice() else { panic!("{report:?}") };
        assert_eq!((login.figures.ok, command.figures.ok, command.figures.failed), (4, 100, 0));
        assert_eq!((command.name, report.failure, report.retransmits), ("Get Device ID", None, 0));
        let (at_one, at_two) = (count(&seen_one, 6, 1), count(&seen_two, 6, 1));
        assert_eq!(at_one + at_two, 102, "and one each to see that it works");
        assert!(at_one > 1 && at_two > 1, "{at_one} {at_two}");
    }
}

#[tokio::test]
async fn logins_of_ipmi_1_5() {
    for auth_type in ["none", "md2", "md5", "password"] {
        let (target, seen) = bmc(Manner::Good).await;
        let report =
            run(&args(&format!("--target {target} --ipmi15 {auth_type} --login-per-command --count 5")))
                .await;
        let report = report.unwrap();
        assert_eq!((report.operations[2].figures.ok, report.failure), (5, None), "{auth_type}");
        assert_eq!(report.parameters["ipmi15"], auth_type);
        assert_eq!(count(&seen, 0, 1), 6);
    }
}

#[tokio::test]
async fn a_login_around_each_command() {
    let (target, seen) = bmc(Manner::Good).await;
    let report =
        run(&args(&format!("--target {target} --login-per-command --sessions 3 --count 20"))).await.unwrap();
    let figures: Vec<_> =
        report.operations.iter().map(|o| (o.name, o.figures.ok, o.figures.failed)).collect();
    assert_eq!(figures, [("login", 20, 0), ("Get Chassis Status", 20, 0), ("login, command, logout", 20, 0)]);
    assert_eq!(count(&seen, 0, 1), 21);
}

#[tokio::test]
async fn what_is_lost_is_sent_again_and_counted() {
    let (target, seen) = bmc(Manner::DropsFirst).await;
    let report = run(&args(&format!("--target {target} --count 5 --timeout 0.05"))).await.unwrap();
    assert_eq!((report.operations[1].figures.ok, report.failure.as_deref()), (5, None));
    // Three handshake messages, the privilege level, five commands and the logout.
    assert!(report.retransmits >= 9, "{}", report.retransmits);
    assert_eq!(count(&seen, 0, 1), 6, "none was carried out twice");
}

#[tokio::test]
async fn the_floor_stands_beside_the_figures() {
    let (target, _) = bmc(Manner::Good).await;
    let report = run(&args(&format!("--target {target} --sessions 2 --count 50 --floor"))).await.unwrap();
    let bare = report.floor.unwrap();
    assert_eq!(bare.figures.ok, 50);
    assert!(bare.ratio > 0.0 && bare.what.contains("echo"), "{bare:?}");
}

#[tokio::test]
async fn a_dead_port_is_said_before_the_load() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = socket.local_addr().unwrap();
    drop(socket);
    let error = run(&args(&format!("--target {target}"))).await.unwrap_err().to_string();
    assert_eq!(error, format!("{target}: nobody listens on this port"));
}

#[tokio::test]
async fn a_target_that_never_answers_is_said_before_the_load() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = socket.local_addr().unwrap();
    let error =
        run(&args(&format!("--target {target} --timeout 0.05 --retries 1"))).await.unwrap_err().to_string();
    assert!(error.contains("no answer to"), "{error}");
    drop(socket);
}

#[tokio::test]
async fn a_target_that_dies_ends_the_run() {
    let (target, _) = bmc(Manner::DiesAfter(10)).await;
    let line = format!("--target {target} --count 1000 --timeout 0.05 --retries 1");
    let report = run(&args(&line)).await.unwrap();
    assert_eq!((report.operations[1].figures.ok, report.gave_up), (9, 1));
    assert!(report.failure.is_some());
    assert!(
        report.errors.iter().any(|(error, _)| error.contains("no answer to the command")),
        "{:?}",
        report.errors
    );
}

#[tokio::test]
async fn a_refused_command_and_a_wrong_password_are_said_before_the_load() {
    let (target, _) = bmc(Manner::Refuses(CompletionCode::NODE_BUSY)).await;
    let error = run(&args(&format!("--target {target}"))).await.unwrap_err().to_string();
    assert!(error.contains("C0h"), "{error}");
    let error = run(&args(&format!("--target {target} -P wrong"))).await.unwrap_err().to_string();
    assert!(error.contains("wrong password"), "{error}");
    let error = run(&args(&format!("--target {target} -U nobody"))).await.unwrap_err().to_string();
    assert!(error.contains("0Dh"), "{error}");
}

#[tokio::test]
async fn a_limit_ends_even_an_endless_count() {
    let (target, _) = bmc(Manner::Good).await;
    let report = run(&args(&format!("--target {target} --count 1000000000 --limit 0.5"))).await.unwrap();
    assert!(report.seconds < 30.0 && report.operations[1].figures.ok > 0);
}

#[tokio::test]
async fn names_and_passwords_too_long_for_ipmi_are_refused() {
    let error = run(&args("--target 127.0.0.1:1 -U seventeen-letters")).await.unwrap_err().to_string();
    assert!(error.contains("16 bytes"), "{error}");
    let error = run(&args("--target 127.0.0.1:1 -P twenty-one-characters")).await.unwrap_err().to_string();
    assert!(error.contains("20 bytes"), "{error}");
    let error = run(&args("--target 127.0.0.1:1 --suite 4")).await.unwrap_err().to_string();
    assert!(error.contains("suite 4"), "{error}");
}
