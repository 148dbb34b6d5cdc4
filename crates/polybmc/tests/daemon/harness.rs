//! A daemon of the test's own: its own folder, its own loopback address, gone with the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take; a debug build on a busy host is slow.
const LIMIT: Duration = Duration::from_secs(60);
/// What a daemon says when it serves.
const READY: &str = "polybmc is ready";

pub(crate) fn polybmc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polybmc"));
    command.env_remove("POLYBMC_CONTROL").env_remove("POLYBMC_LOG").stdin(Stdio::null());
    command
}

/// A loopback address that no other test uses at the same time.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 128 + NEXT.fetch_add(1, Ordering::Relaxed) % 64, high, low)
}

/// Folder and configuration, and the daemon while it runs.
pub(crate) struct Lab {
    pub(crate) address: Ipv4Addr,
    folder: TempDir,
    child: Option<Child>,
    log: PathBuf,
}

impl Lab {
    /// A folder with a configuration: quick simulated machines on an address of their own without TLS, and `more`.
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("pb").tempdir_in("/tmp").unwrap();
        let lab = Self { address: own_address(), log: folder.path().join("log"), folder, child: None };
        lab.configure(more);
        lab
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, more: &str) {
        let address = self.address;
        let text = format!(
            "[redfish]\nlisten = '{address}:8000'\n[backend.sim]\npost_ms = 10\nboot_ms = 10\nshutdown_ms = 10\n\
             [defaults]\naddress = '{address}'\ntls = 'off'\n{more}"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("lab.toml")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path().join("c.sock")
    }

    /// `polybmc serve` for this lab, not started yet.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Command {
        self.serve_at("c.sock", "state", arguments)
    }

    /// The same with another control socket or state in the same folder.
    pub(crate) fn serve_at(&self, control: &str, state: &str, arguments: &[&str]) -> Command {
        let mut command = polybmc();
        command
            .arg("--control")
            .arg(self.path().join(control))
            .arg("serve")
            .arg("--config")
            .arg(self.config());
        command.arg("--state-dir").arg(state).args(arguments).current_dir(self.path());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits for its word that it serves.
    pub(crate) fn start(&mut self, arguments: &[&str]) {
        let mut command = self.serve(arguments);
        self.launch(command.env("POLYBMC_LOG", "trace"));
    }

    pub(crate) fn launch(&mut self, command: &mut Command) {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        self.child = Some(child);
        let (ready, is_ready) = channel();
        let log = self.log.clone();
        std::thread::spawn(move || {
            let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
            for line in stderr.lines().map_while(Result::ok) {
                writeln!(log, "{line}").unwrap();
                if line.starts_with(READY) {
                    let _ = ready.send(());
                }
            }
        });
        assert!(is_ready.recv_timeout(LIMIT).is_ok(), "the daemon did not start:\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The end of a power cut.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for it to end after a signal, and says how.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.take().unwrap().wait().unwrap().code()
    }

    /// Runs a verb against it.
    pub(crate) fn run(&self, line: &str) -> Output {
        polybmc().arg("--control").arg(self.control()).args(line.split_whitespace()).output().unwrap()
    }

    /// Runs a verb that must do.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "polybmc {line}: {errors}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a verb that must fail with status 1, and returns what it says.
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "polybmc {line}");
        assert!(output.stdout.is_empty(), "polybmc {line} says on stdout what is an error");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs a verb with `-o json`.
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} -o json"))).unwrap()
    }

    /// Follows the events from here on.
    pub(crate) fn follow(&self, after: u64) -> Following {
        let mut command = polybmc();
        command.arg("--control").arg(self.control());
        command.args(["events", "--follow", "-o", "json", "--after", &after.to_string()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
        let (lines, events) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if lines.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Following { child, events }
    }

    /// A Redfish request as `user:password` in Base64; the status line and the rest of the answer.
    pub(crate) fn get(&self, port: u16, path: &str, basic: &str) -> String {
        let mut stream = TcpStream::connect((self.address, port)).unwrap();
        ask(&mut stream, self.address, path, basic, true);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Writes a request, closing or keeping the connection.
pub(crate) fn ask(stream: &mut TcpStream, host: Ipv4Addr, path: &str, basic: &str, close: bool) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let connection = if close { "close" } else { "keep-alive" };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\nConnection: {connection}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `polybmc events --follow` under way.
pub(crate) struct Following {
    child: Child,
    events: Receiver<Value>,
}

impl Following {
    /// The next event of this kind and BMC.
    pub(crate) fn wait_for(&self, bmc: &str, kind: &str) -> Value {
        loop {
            let event =
                self.events.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("no event {kind} of {bmc}"));
            if event["bmc"] == bmc && event["kind"] == kind {
                return event;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
