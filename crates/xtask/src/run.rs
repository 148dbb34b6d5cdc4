//! `cargo xtask run`: from a fresh clone to three simulated BMCs in one command.
//!
//! The daemon replaces this process, so that Ctrl-C, exit status and logs are its own. A copy of this program stays
//! behind as its child for as long as it takes the daemon to answer, and then prints what to try.

use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{setup, shell};

/// The hidden verb of the waiting half.
pub(crate) const ANNOUNCE_VERB: &str = "announce";

/// How long the daemon may take to bind three simulated machines.
const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(100);
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Shown once the daemon answers.
fn try_these(binary: &Path) -> String {
    let shown = match binary.strip_prefix(shell::root()) {
        Ok(inside) => format!("./{}", inside.display()),
        Err(_) => binary.display().to_string(),
    };
    format!(
        "
polybmc serves three simulated machines: node-0, node-1 and node-2. In another terminal, in this folder:

  ipmitool -I lanplus -H 127.0.0.1 -p 6230 -U admin -P password chassis power on
  curl -sk -u admin:password https://127.0.0.1:8100/redfish/v1/Systems
  {shown} list

Ctrl-C ends it.
"
    )
}

/// Sets the build up, builds, and becomes the daemon. Returns only on failure, or when a daemon runs already.
pub(crate) fn run() -> Result<()> {
    setup::packages::install(setup::packages::BUILD, "the build")?;

    println!("==> building polybmc (release)");
    shell::run(shell::cargo().args(["build", "--release", "--locked", "-p", "polybmc"]))?;
    let binary = shell::target_dir().join("release/polybmc");

    if answers(&binary) {
        println!("==> a polybmc daemon answers already; nothing to start");
        println!("{}", try_these(&binary));
        return Ok(());
    }

    println!("==> polybmc serve --sim 3");
    let myself = std::env::current_exe().context("cannot find this program's own file")?;
    let mut announcer = shell::command(myself);
    announcer.arg(ANNOUNCE_VERB).arg(&binary).arg(std::process::id().to_string()).stdin(Stdio::null());
    // Never waited for: it outlives this program's code and ends by itself.
    announcer.spawn().context("cannot start the waiting half of this program")?;

    let error = shell::command(&binary).args(["serve", "--sim", "3"]).exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}

/// Waits until the daemon, whose process is `daemon`, answers on its control socket; then prints what to try.
pub(crate) fn announce(binary: &Path, daemon: u32) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < READY_LIMIT {
        if parent_id() != daemon {
            // The daemon is gone and has said why.
            return Ok(());
        }
        if answers(binary) {
            println!("{}", try_these(binary));
            return Ok(());
        }
        std::thread::sleep(READY_POLL);
    }
    bail!("the daemon did not answer on its control socket within {} s", READY_LIMIT.as_secs())
}

/// The CLI and the daemon agree on the default control socket, so asking the CLI is the simplest probe.
fn answers(binary: &Path) -> bool {
    let mut list: Command = shell::command(binary);
    shell::succeeds_within(list.arg("list"), PROBE_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_shown_as_one_would_type_it() {
        let inside = shell::root().join("target/release/polybmc");
        assert!(try_these(&inside).contains("  ./target/release/polybmc list"));
        assert!(try_these(Path::new("/elsewhere/polybmc")).contains("  /elsewhere/polybmc list"));
    }

    #[test]
    fn the_read_me_shows_what_is_printed() {
        let read_me = std::fs::read_to_string(shell::root().join("README.md")).unwrap();
        let printed = try_these(&shell::root().join("target/release/polybmc"));
        let commands: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert_eq!(commands.len(), 3);
        for command in commands {
            assert!(read_me.contains(&format!("\n$ {command}\n")), "{command}");
        }
    }
}
