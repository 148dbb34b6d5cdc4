//! A program that one talks to: what it prints is awaited, then it is told the next thing. Consoles need a terminal; `script` gives them one.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testkit::{tools, wait};

use crate::lab::{PASSWORD, USER};

/// How long an answer may take on a busy host, retransmissions over a bad wire included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program under way; it is killed, with all that it started, when this is dropped.
#[derive(Debug)]
pub struct Talk {
    line: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// All that it printed.
    seen: String,
    /// How much of that was awaited.
    read: usize,
}

/// `ipmitool sol activate` as the administrator, in a terminal.
#[track_caller]
pub fn activate(to: SocketAddr) -> Talk {
    let (host, port) = (to.ip().to_string(), to.port().to_string());
    let login = ["-I", "lanplus", "-H", &host, "-p", &port, "-U", USER, "-P", PASSWORD];
    Talk::in_terminal("ipmitool", &[&login[..], &["sol", "activate"]].concat())
}

impl Talk {
    /// A program in a terminal of its own. Arguments have no blanks and nothing that a shell would change.
    ///
    /// # Panics
    /// When it, or `script`, is not installed.
    #[track_caller]
    pub fn in_terminal(program: &str, args: &[&str]) -> Self {
        let path = tools::locate(program)
            .unwrap_or_else(|| panic!("missing tool {program}: run `cargo xtask setup`"));
        let line = format!("{} {}", path.display(), args.join(" "));
        Self::start("script", &["-qefc", &line, "/dev/null"])
    }

    /// A program with pipes.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        // Both streams in one, as a terminal has them.
        let mut child = command
            .args(args)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        let (sender, output) = mpsc::channel();
        let streams: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for mut stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if sender.send(buffer.get(..length).unwrap_or_default().to_vec()).is_err() {
                        return;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        let mut line = program.to_owned();
        for arg in args {
            let _ = write!(line, " {arg}");
        }
        Self { line, child, stdin, output, seen: String::new(), read: 0 }
    }

    /// Waits until it prints `text`, after what was awaited before; returns everything up to it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let news = self.seen.get(self.read..).unwrap_or_default();
            if let Some(at) = news.find(text) {
                let end = at + text.len();
                let found = news.get(..end).unwrap_or_default().to_owned();
                self.read += end;
                return found;
            }
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("{} did not print {text:?} ({why}), but:\n{}", self.line, self.seen),
            }
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When it no longer reads.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it is still talked to");
        let sent = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
        sent.unwrap_or_else(|error| panic!("{} does not read: {error}; it said:\n{}", self.line, self.seen));
    }

    /// Waits for its end; returns the exit status and all that it printed.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = wait::poll(PATIENCE, || self.child.try_wait().ok().flatten());
        let status = status.unwrap_or_else(|| panic!("{} does not end; it said:\n{}", self.line, self.seen));
        drop(self.stdin.take());
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(5)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status.code(), std::mem::take(&mut self.seen))
    }
}

/// It ends without a word to whoever it talks to. Were only `script` killed, the program in its terminal would be told by the terminal that
/// is gone, and end in good order: a console would close its session, sooner or later than the test goes on.
impl Drop for Talk {
    fn drop(&mut self) {
        for descendant in descendants(self.child.id()) {
            // One that has ended already is fine, here and below.
            let _ = Pid::from_raw(descendant).map(|pid| kill_process(pid, Signal::KILL));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that a process started, and those that they did, by their ids.
fn descendants(of: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten();
    // `PID (NAME) STATE PARENT ...`, and a name may have anything in it.
    let parents: Vec<(i32, u32)> = processes
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let (mut found, mut ask) = (Vec::new(), vec![of]);
    while let Some(parent) = ask.pop() {
        for (pid, _) in parents.iter().filter(|(_, theirs)| *theirs == parent) {
            found.push(*pid);
            ask.extend(u32::try_from(*pid));
        }
    }
    found
}
