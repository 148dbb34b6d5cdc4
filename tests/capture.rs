//! Captured traffic judged by tshark, which shares no code with us or with the clients: every datagram is what it should be, and where the
//! suite does not encrypt, so is every message in it.
//!
//! With `POLYBMC_UPDATE_SEEDS` set, what the clients sent is written to the fuzzers' seeds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test needs and lacks fails it"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use ipmi_wire::session::{Datagram, PayloadType};
use ipmi_wire::{LanRequest, LanResponse};
use polybmc_tests::lab::{Lab, Node, PASSWORD, USER, ipmitool};
use polybmc_tests::relay::{Relay, Seen, Way};
use testkit::tools::Tool;

/// Suites without encryption, inside which tshark sees every message, and the default ones, of which it sees the frames.
const SUITES: [&str; 5] = ["0", "1", "2", "3", "17"];
/// The port of IPMI; tshark goes by it.
const IPMI_PORT: &str = "623";
/// Makes tshark look into the messages, which it leaves alone by default.
const LOOK_INSIDE: &str = "ipmi.dissect_bus_commands:TRUE";
/// Any port for the client.
const CLIENT_PORT: &str = "40000";

fn lab() -> Lab {
    Lab::builder(1).defaults("cipher_suites = [0, 1, 2, 3, 17]").start()
}

/// What `ipmitool` is asked: reads and writes of every kind, good and refused.
const IPMITOOL: &[&str] = &[
    "mc info",
    "mc guid",
    "mc selftest",
    "chassis status",
    "chassis policy list",
    "chassis restart_cause",
    "chassis bootdev pxe options=efiboot",
    "chassis bootparam get 5",
    "chassis bootparam get 7",
    "chassis identify 1",
    "chassis power on",
    "chassis power status",
    "channel info 1",
    "channel getaccess 1",
    "channel getciphers ipmi 1",
    "session info active",
    "lan print 1",
    "user list 1",
    "sdr elist",
    "sensor list",
    "sel info",
    "sel elist",
    "fru print",
    "sol info 1",
    "mc watchdog get",
    "dcmi discover",
    "dcmi power reading",
    "pef info",
    "raw 0x2c 0x01 0x00",
    "raw 0x3e 0x55",
];

/// What FreeIPMI is asked.
const FREEIPMI: &[(&str, &[&str])] = &[
    ("bmc-info", &[]),
    ("ipmi-chassis", &["--get-chassis-status"]),
    ("ipmi-sensors", &["--quiet-cache", "--sdr-cache-recreate"]),
    ("ipmi-sel", &["--quiet-cache"]),
    ("ipmi-fru", &["--quiet-cache"]),
    ("ipmi-dcmi", &["--get-dcmi-capability-info"]),
];

/// A tool of FreeIPMI with its login; what it caches goes to `home`.
fn freeipmi(tool: &str, to: SocketAddr, suite: &str, home: &Path) -> Tool {
    let tool = Tool::find(tool).env("HOME", home);
    let tool = tool.args(["-D", "LAN_2_0", "-u", USER, "-p", PASSWORD, "-l", "ADMIN", "-I", suite]);
    tool.arg("-h").arg(to.to_string())
}

/// What tshark makes of datagrams, in full.
fn dissect(seen: &[Seen]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (text, capture) = (dir.path().join("datagrams.txt"), dir.path().join("datagrams.pcap"));
    let mut dump = String::new();
    for datagram in seen {
        writeln!(dump, "{}", if datagram.way == Way::Request { "I" } else { "O" }).unwrap();
        for (row, bytes) in datagram.bytes.chunks(16).enumerate() {
            write!(dump, "{:06x}", row * 16).unwrap();
            for byte in bytes {
                write!(dump, " {byte:02x}").unwrap();
            }
            dump.push('\n');
        }
    }
    std::fs::write(&text, dump).unwrap();
    let ports = format!("{CLIENT_PORT},{IPMI_PORT}");
    Tool::find("text2pcap").args(["-q", "-D", "-u", &ports]).arg(&text).arg(&capture).ok();
    Tool::find("tshark").args(["-V", "-n", "-o", LOOK_INSIDE, "-r"]).arg(&capture).ok()
}

/// Fails if tshark finds fault with one of the datagrams, or takes one for something else than RMCP.
#[track_caller]
fn assert_clean(seen: &[Seen]) -> String {
    assert!(!seen.is_empty());
    let text = dissect(seen);
    assert_eq!(faults(&text), Vec::<&str>::new(), "{text}");
    let known = text.matches("\nRemote Management Control Protocol").count();
    assert_eq!(known, seen.len(), "each datagram is RMCP: {text}");
    text
}

/// The lines with which tshark finds fault. That it has no parser for a command is none of ours.
fn faults(text: &str) -> Vec<&str> {
    let bad = ["Malformed", "incorrect", "Expert Info (Error", "Expert Info (Warning"];
    let lines = text.lines().filter(|line| bad.iter().any(|word| line.contains(word)));
    lines.filter(|line| !line.contains("PARSER NOT IMPLEMENTED")).collect()
}

/// Runs something against the BMC through a wire of its own and returns what went over it.
fn captured(node: &Node<'_>, client: impl FnOnce(&Relay)) -> Vec<Seen> {
    let relay = Relay::transparent(node.ipmi);
    client(&relay);
    relay.seen()
}

#[test]
fn tshark_finds_no_fault_with_ipmitool_and_us() {
    let lab = lab();
    let node = lab.node(0);
    for suite in SUITES {
        let seen = captured(&node, |relay| {
            let script = IPMITOOL.join("\n") + "\n";
            // One session for all of them; some are refused, which is as good to look at.
            ipmitool(relay.address()).args(["-C", suite, "exec", "/dev/stdin"]).stdin(script).run();
        });
        let text = assert_clean(&seen);
        let inside = text.matches("\nIntelligent Platform Management Bus").count();
        // Encrypted ones are not counted: only the frame is.
        let readable = ["0", "1", "2"].contains(&suite);
        assert!(!readable || inside > 2 * IPMITOOL.len(), "suite {suite}: {inside} messages are readable");
        keep_seeds(&format!("ipmitool-{suite}"), &seen);
    }
}

#[test]
fn tshark_finds_no_fault_with_freeipmi_and_us() {
    let lab = lab();
    let node = lab.node(0);
    for suite in ["0", "2", "17"] {
        for (tool, args) in FREEIPMI {
            let seen = captured(&node, |relay| {
                let dir = tempfile::tempdir().unwrap();
                freeipmi(tool, relay.address(), suite, dir.path()).args(*args).run();
            });
            assert_clean(&seen);
            keep_seeds(&format!("{tool}-{suite}"), &seen);
        }
    }
}

#[test]
fn tshark_finds_no_fault_with_a_presence_ping() {
    let lab = lab();
    let seen = captured(&lab.node(0), |relay| {
        Tool::find("rmcpping").args(["-c", "2"]).arg(relay.address().ip().to_string()).arg("--help").run();
        let socket = std::net::UdpSocket::bind((relay.address().ip(), 0)).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        socket.send_to(&[6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 1, 0, 0], relay.address()).unwrap();
        socket.recv(&mut [0; 64]).unwrap();
    });
    let text = assert_clean(&seen);
    assert!(text.contains("Presence Pong"), "{text}");
}

#[test]
fn a_wrong_checksum_would_be_found() {
    let lab = lab();
    let mut seen = captured(&lab.node(0), |relay| {
        ipmitool(relay.address()).args(["-C", "1", "mc", "guid"]).ok();
    });
    let reply = seen.iter_mut().find(|seen| seen.way == Way::Reply).unwrap();
    *reply.bytes.last_mut().unwrap() ^= 0xff;
    assert_ne!(faults(&dissect(&seen)), Vec::<&str>::new());
}

/// A response: network function, command, completion code, data in hexadecimal.
type Response = (u8, u8, u8, String);

/// The responses that FreeIPMI decrypted, from what its `--debug` prints.
fn decrypted(text: &str) -> Vec<Response> {
    let mut responses = Vec::new();
    let mut lines = text.lines().map(|line| line.split_once(": ").map_or(line, |(_, line)| line));
    while let Some(line) = lines.next() {
        if !line.contains("payload_data[") {
            continue;
        }
        let mut message = Vec::new();
        for row in lines.by_ref() {
            let bytes: Option<Vec<u8>> = row
                .trim_matches(['[', ']', ' '])
                .split_whitespace()
                .map(|byte| u8::from_str_radix(byte.strip_suffix('h')?, 16).ok())
                .collect();
            // The field behind the array ends it: its row has an equal sign.
            let Some(bytes) = bytes else { break };
            message.extend(bytes);
        }
        if let Ok(LanResponse { netfn, cmd, completion, data, .. }) = LanResponse::decode(&message) {
            responses.push((netfn.get() & !1, cmd, completion.0, hex(data)));
        }
    }
    responses
}

/// The responses that the daemon says it sent. Those of the session layer are not among them.
fn said(log: &str) -> Vec<Response> {
    let field = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        Some(rest.split(' ').next()?.trim_matches('"').to_owned())
    };
    let byte = |line: &str, name: &str| {
        field(line, name).and_then(|value| u8::from_str_radix(value.get(..2)?, 16).ok())
    };
    let replies = log.lines().filter(|line| line.contains(": reply "));
    replies
        .map(|line| {
            let [netfn, cmd, code] = ["netfn", "cmd", "code"].map(|name| byte(line, name).unwrap());
            (netfn, cmd, code, field(line, "data").unwrap_or_default())
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn freeipmi_decrypts_what_we_say_we_sent() {
    /// Set Session Privilege Level and Close Session, which the session layer answers.
    const BY_SESSIONS: [u8; 2] = [0x3b, 0x3c];
    let lab = Lab::builder(1).log("bmc_ipmi=trace").start();
    let node = lab.node(0);
    for (tool, args) in FREEIPMI {
        let already = said(&lab.daemon.log()).len();
        let dir = tempfile::tempdir().unwrap();
        let tool = freeipmi(tool, node.ipmi, "17", dir.path()).args(*args);
        let dump = tool.arg("--debug").run().all_output();
        let decrypted: Vec<_> =
            decrypted(&dump).into_iter().filter(|response| !BY_SESSIONS.contains(&response.1)).collect();
        assert!(!decrypted.is_empty(), "{dump}");
        let said = said(&lab.daemon.log()).split_off(already);
        // What came before the session was not encrypted, and is not in the dump's list.
        let in_session = said.iter().skip(said.len() - decrypted.len());
        assert_eq!(decrypted.iter().collect::<Vec<_>>(), in_session.collect::<Vec<_>>());
    }
}

/// Writes what went by to the fuzzers' seeds: the client's datagrams one by one and as a sequence, the BMC's as a sequence, and the
/// commands where they can be read.
fn keep_seeds(name: &str, seen: &[Seen]) {
    /// A seed is no longer than the fuzzers' inputs.
    const INPUT_MAX: usize = 4096;
    if std::env::var_os("POLYBMC_UPDATE_SEEDS").is_none() {
        return;
    }
    let keep = |target: &str, file: &str, mut seed: Vec<u8>| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/fuzz/seeds").join(target);
        std::fs::create_dir_all(&folder).unwrap();
        seed.truncate(INPUT_MAX);
        std::fs::write(folder.join(file), seed).unwrap();
    };
    let piece = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat();
    let (mut asked, mut answered, mut commands) = (vec![0], vec![0], Vec::new());
    let mut lengths = BTreeSet::new();
    for datagram in seen {
        let bytes = &datagram.bytes;
        if datagram.way == Way::Reply {
            answered.extend(piece(bytes));
            continue;
        }
        // From the first address, and no time has passed.
        asked.extend(piece(&[&[0], bytes.as_slice()].concat()));
        // One of each length is enough.
        if lengths.insert(bytes.len()) {
            keep("datagram", &format!("{name}-{}", bytes.len()), bytes.clone());
        }
        if let Ok(Datagram::V20(packet)) = Datagram::decode(bytes)
            && packet.payload_type == PayloadType::Ipmi
            && !packet.encrypted
            && let Ok(request) = LanRequest::decode(packet.payload)
        {
            let command = [&[request.netfn.get(), request.cmd], request.data].concat();
            commands.extend(piece(&command));
            let named = format!("{:02x}-{:02x}-{}", request.netfn.get(), request.cmd, request.data.len());
            keep("payload", &named, command);
        }
    }
    keep("endpoint", name, asked);
    keep("console", name, answered);
    if !commands.is_empty() {
        keep("commands", name, commands);
    }
}
