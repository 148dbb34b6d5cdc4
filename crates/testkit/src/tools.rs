//! Client programs, run under a time limit with everything they say captured.
//!
//! ```no_run
//! use testkit::tools::Tool;
//!
//! let ran = Tool::find("ipmitool").args(["-V"]).run();
//! assert!(ran.success(), "{ran}");
//! ```

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::wait;

/// How long a program may run unless told otherwise. Every client has given up by itself long before.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

/// How long the output of a program that has ended may stay open in the hands of programs it left behind.
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);

/// A client program about to be run.
#[derive(Debug)]
pub struct Tool {
    command: Command,
    stdin: Vec<u8>,
    limit: Duration,
}

/// What became of a program.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command line, for messages.
    pub line: String,
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
    /// What it wrote to standard output, with broken UTF-8 replaced.
    pub stdout: String,
    /// What it wrote to standard error, with broken UTF-8 replaced.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Tool {
    /// An installed program, by name.
    ///
    /// # Panics
    /// When it is not installed: a test that needs a tool fails without it.
    #[track_caller]
    pub fn find(name: &str) -> Self {
        let path = locate(name).unwrap_or_else(|| panic!("missing tool {name}: run `cargo xtask setup`"));
        Self::at(path)
    }

    /// The program in this file.
    pub fn at(path: impl AsRef<Path>) -> Self {
        let mut command = Command::new(path.as_ref());
        // A group of its own: Ctrl-C at the terminal ends the tests, whose clean-up then ends their programs.
        command.process_group(0);
        Self { command, stdin: Vec::new(), limit: DEFAULT_LIMIT }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without_env(mut self, key: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Sets the folder that it runs in.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets what it reads from standard input; without this it reads nothing.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Sets how long it may run before it is killed; [`DEFAULT_LIMIT`] without this.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end or to its limit.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn run(mut self) -> Ran {
        let line = describe(&self.command);
        let started = Instant::now();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
        if let Some(mut stdin) = child.stdin.take() {
            let text = std::mem::take(&mut self.stdin);
            // A program that does not want its input closes it, which is no fault of the test.
            thread::spawn(move || stdin.write_all(&text));
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let ended = wait_for(&mut child, self.limit);
        let timed_out = ended.is_none();
        let status = ended.unwrap_or_else(|| {
            signal_group("KILL", child.id());
            child.wait().expect("a killed child can be waited for")
        });
        let text = |output: mpsc::Receiver<Vec<u8>>| {
            String::from_utf8_lossy(&output.recv_timeout(OUTPUT_LIMIT).unwrap_or_default()).into_owned()
        };
        Ran {
            line,
            code: status.code(),
            signal: status.signal(),
            timed_out,
            stdout: text(stdout),
            stderr: text(stderr),
            took: started.elapsed(),
        }
    }

    /// Runs it and returns its standard output.
    ///
    /// # Panics
    /// When it does not end well; the message holds all that it said.
    #[track_caller]
    pub fn ok(self) -> String {
        let ran = self.run();
        assert!(ran.success(), "{ran}");
        ran.stdout
    }

    /// Runs it, expecting it to fail.
    ///
    /// # Panics
    /// When it ends well, or does not end by itself.
    #[track_caller]
    pub fn fails(self) -> Ran {
        let ran = self.run();
        assert!(!ran.success() && !ran.timed_out, "this should have failed by itself:\n{ran}");
        ran
    }
}

impl Ran {
    /// Whether it ended by itself with exit status 0.
    pub fn success(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }

    /// Standard output and standard error, one after the other, for programs that are not particular which they use.
    pub fn all_output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        f.write_str(&self.stdout)?;
        f.write_str(&self.stderr)?;
        match (self.timed_out, self.code, self.signal) {
            (true, _, _) => write!(f, "[killed at its time limit after {:?}]", self.took),
            (_, Some(code), _) => write!(f, "[exit status {code} after {:?}]", self.took),
            (_, None, signal) => {
                write!(f, "[ended by signal {} after {:?}]", signal.unwrap_or_default(), self.took)
            }
        }
    }
}

/// The file of an installed program: `PATH`, and the folders of system programs that a plain user's path lacks.
pub fn locate(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(is_program)
}

/// Waits for a child at most for `limit`; `None` when it still runs then.
///
/// # Panics
/// When the child cannot be waited for.
pub fn wait_for(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    wait::poll(limit, || child.try_wait().expect("an own child can be waited for"))
}

/// Sends a signal by name (`TERM`, `HUP`, `STOP`) to one process; false when there is no such process.
///
/// The caller must have started the process and not yet waited for it, or its id may be somebody else's by now.
pub fn signal(name: &str, pid: u32) -> bool {
    kill(name, &pid.to_string())
}

/// The same for a child that leads a process group, and all that it started.
fn signal_group(name: &str, pid: u32) -> bool {
    kill(name, &format!("-{pid}"))
}

/// Only a shell's own `kill` is certain to be there, and calling the C function would be `unsafe`.
fn kill(name: &str, target: &str) -> bool {
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"$1\"", name, target])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        sender.send(bytes)
    });
    receiver
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    command.get_args().fold(name, |line, arg| line + " " + &arg.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::find("sh").args(["-c", script])
    }

    #[test]
    fn output_and_status_are_captured() {
        let ran = shell("echo out; echo err >&2; exit 3").run();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(3), "out\n", "err\n"));
        assert!(!ran.success());
        assert!(ran.to_string().contains("[exit status 3"), "{ran}");
    }

    #[test]
    fn input_is_passed_on() {
        assert_eq!(Tool::find("cat").stdin("hello").ok(), "hello");
        assert_eq!(Tool::find("cat").ok(), "");
    }

    #[test]
    fn large_output_does_not_block() {
        let ran = shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2").run();
        assert_eq!((ran.stdout.len(), ran.stderr.len()), (1_000_000, 1_000_000));
    }

    #[test]
    fn a_hanging_program_is_killed_with_its_children() {
        let ran = shell("echo begun; sleep 600 & sleep 600").limit(Duration::from_millis(200)).run();
        assert!(ran.timed_out && !ran.success(), "{ran}");
        assert_eq!(ran.signal, Some(9));
        assert_eq!(ran.stdout, "begun\n");
        assert!(ran.took < Duration::from_secs(30), "{ran}");
    }

    #[test]
    #[should_panic(expected = "missing tool no-such-tool: run `cargo xtask setup`")]
    fn a_missing_tool_fails_the_test_with_its_mend() {
        Tool::find("no-such-tool");
    }

    #[test]
    #[should_panic(expected = "false\n[exit status 1")]
    fn ok_shows_what_went_wrong() {
        Tool::find("false").ok();
    }

    #[test]
    #[should_panic(expected = "should have failed")]
    fn fails_refuses_success() {
        Tool::find("true").fails();
    }
}
