//! `cargo xtask bench`: the side-by-side figures of `docs/performance.md`, in one command.
//!
//! Each target is started alone on free loopback ports, measured by the same `polybmc bench` with the same options,
//! and stopped before the next one starts. The tables go to the terminal and between the marks of the document.

mod document;
mod figures;
mod host;
mod peers;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::figures::{FleetRow, IpmiRow, RedfishRow, Run, Tables};
use self::peers::{Peer, Running};
use crate::{setup, shell};

/// How long each measurement by duration takes, in seconds, unless the command line says otherwise.
pub(crate) const DEFAULT_SECONDS: u32 = 5;
/// Sessions or connections of the measurement under load.
const MANY: &str = "8";
/// Sessions that log in and out around each command (and connections that are made anew for each GET), and how many
/// times the sessions do that all together. A count, because
/// VirtualBMC never forgets the source port of a session and stops answering when one comes round again.
const LOGIN_SESSIONS: &str = "4";
const LOGIN_COUNT: &str = "300";
/// How long a target may take from its start to its first answer.
const READY_LIMIT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(200);

/// Measures everything and writes the tables.
pub(crate) fn run(seconds: u32) -> Result<()> {
    setup::packages::install(setup::packages::BUILD, "the build")?;
    setup::packages::install(setup::packages::TEST, "the comparison")?;
    setup::python::prepare()?;
    println!("==> building polybmc (release)");
    shell::run(shell::cargo().args(["build", "--release", "--locked", "-p", "polybmc"]))?;
    let bench = Bench {
        binary: shell::target_dir().join("release/polybmc"),
        dir: shell::target_dir().join("bench"),
        seconds: seconds.to_string(),
    };

    let before = host::Usage::now();
    let mut ipmi = Vec::new();
    for (peer, suite) in peers::IPMI {
        ipmi.push(bench.ipmi(*peer, suite)?);
    }
    let mut redfish = Vec::new();
    for peer in peers::REDFISH {
        redfish.push(bench.redfish(*peer)?);
    }
    let fleet = bench.fleet()?;
    let host = host::describe(before);
    let tables = format!("{host} {}", figures::tables(&Tables { ipmi, redfish, fleet, seconds }));
    println!("\n{tables}");
    document::write(&tables)
}

/// What all measurements share.
struct Bench {
    binary: PathBuf,
    /// Where targets keep their files, and what they said.
    dir: PathBuf,
    seconds: String,
}

impl Bench {
    fn ipmi(&self, peer: Peer, suite: &str) -> Result<IpmiRow> {
        println!("==> {}, IPMI, suite {suite}", peer.name());
        let running = self.start(peer)?;
        let target = running.ipmi.to_string();
        let common = ["ipmi", "--target", &target, "--suite", suite];
        self.await_ready(&running, &common)?;
        let timed = ["--duration", &self.seconds];
        let one = self.measure(&running, &[&common[..], &timed, &["--sessions", "1"]])?;
        let many = self.measure(&running, &[&common[..], &timed, &["--sessions", MANY, "--floor"]])?;
        let logins = ["--login-per-command", "--sessions", LOGIN_SESSIONS, "--count", LOGIN_COUNT];
        let short = ["--timeout", "0.5", "--retries", "1"];
        let logins = self.measure(&running, &[&common[..], &logins, &short])?;
        Ok(IpmiRow { name: peer.name(), suite: suite.to_owned(), one, many, logins })
    }

    fn redfish(&self, peer: Peer) -> Result<RedfishRow> {
        println!("==> {}, Redfish", peer.name());
        let running = self.start(peer)?;
        let auth = peer.redfish_auth();
        let common = ["redfish", "--url", &running.redfish, "--auth", auth, "--insecure"];
        self.await_ready(&running, &common)?;
        let timed = ["--duration", &self.seconds];
        let one = self.measure(&running, &[&common[..], &timed, &["--connections", "1"]])?;
        let many = self.measure(&running, &[&common[..], &timed, &["--connections", MANY, "--floor"]])?;
        let fresh = ["--reconnect", "--connections", LOGIN_SESSIONS];
        let fresh = self.measure(&running, &[&common[..], &timed, &fresh])?;
        Ok(RedfishRow { name: peer.name(), tls: running.redfish.starts_with("https"), one, many, fresh })
    }

    /// What a root over a whole fleet does, one scenario of the load generator after the other.
    fn fleet(&self) -> Result<Vec<FleetRow>> {
        let peer = Peer::PolybmcFleet;
        println!("==> {}, Redfish", peer.name());
        let running = self.start(peer)?;
        let common = ["redfish", "--url", &running.redfish, "--insecure", "--timeout", "30"];
        self.await_ready(&running, &common[..4])?;
        self.await_fleet(&running, &common)?;
        let timed = ["--duration", &self.seconds];
        let mut rows = Vec::new();
        for (scenario, name) in peers::FLEET_SCENARIOS {
            println!("    {name}");
            let scenario = ["--scenario", *scenario];
            let all = |connections| {
                [&common[..], &scenario, &timed, &["--connections", connections, "--floor"]].concat()
            };
            let one = self.measure(&running, &[&all("1")])?;
            let many = self.measure(&running, &[&all(MANY)])?;
            rows.push(FleetRow { name, one, many });
        }
        Ok(rows)
    }

    /// Asks until all machines are there: the root answers while they come.
    fn await_fleet(&self, running: &Running, common: &[&str]) -> Result<()> {
        let started = Instant::now();
        loop {
            let text =
                shell::output(&mut self.command(&[common, &["--scenario", "collection", "--count", "1"]]))?;
            if Run::parse(&text)?.answers_at_least(peers::FLEET_COLLECTION_BYTES) {
                return Ok(());
            }
            if started.elapsed() > READY_LIMIT {
                bail!(
                    "not all machines of the fleet came within {} s\n{}",
                    READY_LIMIT.as_secs(),
                    running.last_words()
                );
            }
            std::thread::sleep(READY_POLL);
        }
    }

    fn start(&self, peer: Peer) -> Result<Running> {
        let dir = self.dir.join(peer.folder());
        peers::start(peer, &self.binary, &dir).with_context(|| format!("cannot start {}", peer.name()))
    }

    /// Asks until the target answers: the measuring program itself is the probe.
    fn await_ready(&self, running: &Running, common: &[&str]) -> Result<()> {
        let started = Instant::now();
        loop {
            let quick = ["--count", "1", "--timeout", "0.5", "--limit", "2"];
            let probe = self.command(&[common, &quick]);
            match shell::output(&mut { probe }) {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > READY_LIMIT => {
                    return Err(error.context(running.last_words()));
                }
                Err(_) => std::thread::sleep(READY_POLL),
            }
        }
    }

    /// One run; a run that failed in parts still has figures.
    fn measure(&self, running: &Running, words: &[&[&str]]) -> Result<Run> {
        let mut command = self.command(words);
        let out = command.output().with_context(|| format!("cannot start {}", self.binary.display()))?;
        let text = String::from_utf8_lossy(&out.stdout);
        match Run::parse(&text) {
            Ok(run) => {
                println!("    {}", run.line());
                Ok(run)
            }
            Err(error) => bail!(
                "{}\n{}\n{error:#}\n{}",
                shell::describe(&command),
                String::from_utf8_lossy(&out.stderr).trim_end(),
                running.last_words()
            ),
        }
    }

    fn command(&self, words: &[&[&str]]) -> std::process::Command {
        let words = words.iter().flat_map(|part| part.iter().map(OsString::from));
        let mut command = shell::command(&self.binary);
        command.arg("bench").args(words).args(["-o", "json"]);
        command
    }
}

/// A folder of its own, empty.
fn fresh_folder(dir: &Path) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}
