//! The `polybmc` program itself: started with a folder of its own, stopped by a signal, gone with the test.
//!
//! ```text
//!   Builder ──start()──► running ──stop(), kill()──► stopped
//!                           ▲                           │
//!                           └─────────restart()─────────┘
//! ```
//!
//! Folder, configuration, state and control path stay the same over a restart and vanish when the [`Daemon`] is
//! dropped; a daemon that still runs then is killed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::tools::{self, Tool};
use crate::{paths, wait};

/// How long a daemon may take until its control socket answers. Debug builds on a busy machine are slow.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a daemon may take to end after it was asked to.
pub const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long one probe of the control socket waits for the first byte.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Any request will do: the first bytes of an HTTP answer are the same for all.
const PROBE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const PROBE_ANSWER: &[u8] = b"HTTP/1.";

/// How to start a daemon.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    binary: Option<PathBuf>,
    config: String,
    sim: Option<u32>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// A daemon of this test's own.
#[derive(Debug)]
pub struct Daemon {
    dir: TempDir,
    builder: Builder,
    child: Option<Child>,
}

/// A daemon that ended, or hung, before its control socket answered.
#[derive(Debug)]
pub struct StartFailure {
    /// How it ended; `None` when it was still running at [`READY_LIMIT`] and was killed.
    pub status: Option<ExitStatus>,
    /// All that it had logged.
    pub log: String,
}

impl Builder {
    /// Sets the program; the workspace's own `polybmc` without this.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Sets the text of the configuration file; empty without this.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Asks for simulated machines beside those of the configuration (`--sim`).
    pub fn sim(mut self, count: u32) -> Self {
        self.sim = Some(count);
        self
    }

    /// Adds an argument behind `serve`.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Starts the daemon and waits until it serves.
    ///
    /// # Panics
    /// When it does not come to serve; the message holds its log.
    #[track_caller]
    pub fn start(self) -> Daemon {
        match self.try_start() {
            Ok(daemon) => daemon,
            Err(StartFailure { status, log }) => panic!("the daemon did not start ({status:?}):\n{log}"),
        }
    }

    /// Starts the daemon and waits until it serves, or does not.
    ///
    /// # Errors
    /// When it ended or hung before it served.
    ///
    /// # Panics
    /// When there is no binary or no folder to run it in.
    pub fn try_start(self) -> Result<Daemon, StartFailure> {
        // Short, because the path of a Unix socket has room for 107 bytes only.
        let dir = tempfile::Builder::new()
            .prefix("pb-")
            .tempdir_in("/tmp")
            .expect("a temporary folder can be made");
        let mut daemon = Daemon { dir, builder: self, child: None };
        fs::write(daemon.config_path(), &daemon.builder.config).expect("a temporary file can be written");
        daemon.launch()?;
        Ok(daemon)
    }
}

impl Daemon {
    /// How to start one: `Daemon::builder().sim(2).start()`.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The control socket.
    pub fn control(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// The folder with the daemon's state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The configuration file; tests may rewrite it and then [`Daemon::signal`] `HUP`.
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("polybmc.toml")
    }

    /// A folder that goes away with the daemon, for what else a test needs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that the daemon has logged, over all its starts.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).expect("the daemon's log can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The process id.
    ///
    /// # Panics
    /// When it is not running.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon was started and not yet stopped").id()
    }

    /// A `polybmc` command line against this daemon.
    pub fn cli<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Tool {
        Tool::at(self.binary()).current_dir(self.dir()).arg("--control").arg(self.control()).args(args)
    }

    /// Sends a signal by name, such as `HUP`, `STOP` or `CONT`.
    ///
    /// # Panics
    /// When the daemon is not running.
    pub fn signal(&self, name: &str) {
        assert!(tools::signal(name, self.pid()), "SIG{name} could not be sent to the daemon");
    }

    /// Asks the daemon to end (SIGTERM) and returns how it did.
    ///
    /// # Panics
    /// When it does not end within [`STOP_LIMIT`].
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut child = self.child.take().expect("a daemon that takes signals is there");
        match tools::wait_for(&mut child, STOP_LIMIT) {
            Some(status) => status,
            None => {
                end(&mut child);
                panic!("the daemon did not end within {STOP_LIMIT:?} after SIGTERM:\n{}", self.log());
            }
        }
    }

    /// Ends the daemon as a power cut would (SIGKILL).
    ///
    /// # Panics
    /// When it is not running, or has ended by itself before.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the daemon was started and not yet stopped");
        let before = child.try_wait().expect("an own child can be waited for");
        assert!(before.is_none(), "the daemon had ended by itself ({before:?}):\n{}", self.log());
        end(&mut child);
    }

    /// Starts a stopped daemon again on the same state, and waits until it serves.
    ///
    /// # Panics
    /// When it still runs, or does not come to serve.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the daemon still runs: stop it or kill it first");
        if let Err(StartFailure { status, log }) = self.launch() {
            panic!("the daemon did not start again ({status:?}):\n{log}");
        }
    }

    fn binary(&self) -> &Path {
        self.builder.binary.as_deref().unwrap_or_else(|| paths::polybmc())
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }

    fn launch(&mut self) -> Result<(), StartFailure> {
        let log =
            File::options().create(true).append(true).open(self.log_path()).expect("a log can be opened");
        let mut command = Command::new(self.binary());
        command.current_dir(self.dir.path()).process_group(0).env_remove("POLYBMC_CONTROL");
        command.arg("--control").arg(self.control()).arg("serve");
        command.arg("--config").arg(self.config_path()).arg("--state-dir").arg(self.state_dir());
        if let Some(count) = self.builder.sim {
            command.args(["--sim", &count.to_string()]);
        }
        command.args(&self.builder.args).envs(self.builder.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("the polybmc binary can be started");

        let control = self.control();
        let ended = wait::poll(READY_LIMIT, || {
            if let Some(status) = child.try_wait().expect("an own child can be waited for") {
                return Some(Err(Some(status)));
            }
            answers(&control).then_some(Ok(()))
        });
        match ended {
            Some(Ok(())) => {
                self.child = Some(child);
                Ok(())
            }
            Some(Err(status)) => Err(StartFailure { status, log: self.log() }),
            None => {
                end(&mut child);
                Err(StartFailure { status: None, log: self.log() })
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
            if std::thread::panicking() {
                // The test failed; what the daemon had to say about it belongs beside that.
                let log = fs::read(self.log_path()).unwrap_or_default();
                let _ =
                    writeln!(std::io::stderr(), "--- log of the daemon\n{}", String::from_utf8_lossy(&log));
            }
        }
    }
}

/// Kills a child and waits for it; a child that has ended already is as good.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Whether an HTTP server answers on the socket. A bare connect would succeed as soon as the kernel queues it.
fn answers(control: &Path) -> bool {
    let probe = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(control)?;
        stream.set_read_timeout(Some(PROBE_LIMIT))?;
        stream.write_all(PROBE)?;
        let mut first = [0; PROBE_ANSWER.len()];
        stream.read_exact(&mut first)?;
        Ok(first == PROBE_ANSWER)
    };
    probe().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn stand_in() -> Builder {
        Daemon::builder().binary(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/daemon/stand_in.py"))
    }

    fn starts(daemon: &Daemon) -> String {
        fs::read_to_string(daemon.state_dir().join("starts")).unwrap()
    }

    #[test]
    fn a_daemon_serves_until_it_is_stopped_and_takes_its_folder_along() {
        let mut daemon = stand_in().sim(2).arg("--extra").start();
        assert!(daemon.log().contains("--sim 2 --extra"), "{}", daemon.log());
        assert_eq!(daemon.cli(["list"]).ok(), "asked: list\n");
        assert!(daemon.stop().success());
        let dir = daemon.dir().to_path_buf();
        drop(daemon);
        assert!(!dir.exists());
    }

    #[test]
    fn state_outlives_a_kill() {
        let mut daemon = stand_in().start();
        let first = daemon.pid();
        daemon.kill();
        daemon.restart();
        assert_ne!(daemon.pid(), first);
        assert_eq!(starts(&daemon), "xx");
    }

    #[test]
    fn a_dropped_daemon_is_gone() {
        let daemon = stand_in().config("deaf = true").start();
        let proc_dir = PathBuf::from(format!("/proc/{}", daemon.pid()));
        assert!(proc_dir.exists());
        drop(daemon);
        assert!(!proc_dir.exists());
    }

    #[test]
    fn a_refused_start_shows_status_and_log() {
        let failure = stand_in().config("refuse = true").try_start().unwrap_err();
        assert_eq!(failure.status.and_then(|status| status.code()), Some(1));
        assert_eq!(failure.log, "polybmc.toml:1: refused\n");
    }

    #[test]
    fn only_an_http_answer_counts_as_ready() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert!(!answers(&path), "no socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            for answer in [&b"nonsense"[..], b"HTTP/1.1 404 Not Found\r\n\r\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; PROBE.len()];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(answer).unwrap();
            }
        });
        assert!(!answers(&path), "something else");
        assert!(answers(&path), "an HTTP server");
        server.join().unwrap();
    }
}
