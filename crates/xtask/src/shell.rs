//! Running other programs, and knowing where the project and its tools are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a program under a time limit is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` when set, else `target` beside the workspace's `Cargo.toml`.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where `test` keeps the cargo subcommands that it had to build.
pub(crate) fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// A command that runs in the workspace root and finds our own tools as well as the administrator's.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("PATH", search_path());
    command
}

/// The same as [`command`] for the cargo that started us.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `PATH` with our own tools behind the user's, and the `sbin` folders that a plain user's path lacks.
fn search_path() -> std::ffi::OsString {
    let users = std::env::var_os("PATH").unwrap_or_default();
    let extra =
        [tools_dir().join("bin"), "/usr/local/sbin".into(), "/usr/sbin".into(), "/sbin".into()].into_iter();
    // Joining fails only for a folder with a colon in its name; then the user's path alone has to do.
    std::env::join_paths(std::env::split_paths(&users).chain(extra)).unwrap_or(users)
}

/// The full path of a program, or nothing when it is not installed.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|dir| dir.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a command with our terminal; a bad exit status is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = describe(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs a command quietly and returns what it wrote to standard output; on failure its error text is in the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = describe(command);
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !out.status.success() {
        bail!("`{shown}` failed: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether a command, run silently, ends well within `limit`. It is killed when it does not.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let started = Instant::now();
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = silent.spawn() else {
        return false;
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if started.elapsed() < limit => std::thread::sleep(POLL_INTERVAL),
            Ok(None) | Err(_) => {
                // It may have ended in between; either way nothing of it is left after the wait.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// The command line as a person would type it, for messages.
pub(crate) fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    command.get_args().fold(name, |line, arg| line + " " + &arg.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn programs_are_found_by_name_only_when_they_can_run() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-anywhere").is_none());
    }

    #[test]
    fn a_failing_command_is_an_error_that_carries_its_words() {
        let error = output(command("sh").args(["-c", "echo no luck >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("no luck") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_hanging_command_is_ended_at_its_limit() {
        let started = Instant::now();
        assert!(!succeeds_within(command("sleep").arg("60"), Duration::from_millis(100)));
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(succeeds_within(&mut command("true"), Duration::from_secs(30)));
    }
}
