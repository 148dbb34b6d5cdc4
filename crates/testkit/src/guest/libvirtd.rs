//! A libvirtd that belongs to one test: it can be killed and started without disturbing anybody.
//!
//! It runs without rights, in a folder of its own, and offers the `test` driver (all connections through one daemon share its state)
//! and real QEMU guests without network rights.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::ANSWER_LIMIT;
use crate::tools::{self, Tool};
use crate::wait;

/// Any user without rights: as root, libvirtd would be the system's.
const NOBODY: &str = "65534";
/// Guests write their output themselves, so that no log daemon is started, which would outlive the test.
const QEMU_CONF: &str = "stdio_handler = \"file\"\n";

/// The daemon. It and its guests end when it is dropped.
#[derive(Debug)]
pub struct Libvirtd {
    folder: TempDir,
    child: Option<Child>,
}

impl Libvirtd {
    /// A daemon that has not been started.
    ///
    /// # Panics
    /// When its folder cannot be made.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("libvirtd").tempdir().expect("a folder can be made");
        let shared = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), shared.clone()).expect("the folder can be shared");
        let config = folder.path().join("libvirt");
        fs::create_dir(&config).expect("the folder can be written");
        fs::set_permissions(&config, shared).expect("the folder can be shared");
        fs::write(config.join("qemu.conf"), QEMU_CONF).expect("the folder can be written");
        Self { folder, child: None }
    }

    /// A folder that its guests can read, gone with the daemon.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URI of a driver of this daemon, given with its path: `test:///default` or `qemu:///session`.
    ///
    /// # Panics
    /// When `driver` has no `:`.
    pub fn uri(&self, driver: &str) -> String {
        let (scheme, rest) = driver.split_once(':').expect("a URI has a scheme");
        format!("{scheme}+unix:{rest}?socket={}", self.folder.path().join("libvirt/libvirt-sock").display())
    }

    /// Starts the daemon, and returns at once.
    ///
    /// # Panics
    /// When a program is missing.
    pub fn start(&mut self) {
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "libvirtd"]);
            command
        } else {
            Command::new("libvirtd")
        };
        let home = self.folder.path();
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home);
        }
        // Where the daemon is not in the path of a plain user.
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("missing libvirtd or setpriv: run `cargo xtask setup`"));
    }

    /// Waits until the daemon answers.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn await_ready(&self) {
        let uri = self.uri("test:///default");
        wait::eventually("libvirtd answers", ANSWER_LIMIT, || {
            Tool::find("virsh").args(["-q", "-c", &uri, "list"]).run().success()
        });
    }

    /// Sends the daemon a signal by name: `STOP` lets it hang, `CONT` ends that.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the daemon was started");
        assert!(tools::signal(name, child.id()), "the daemon is there");
    }

    /// Kills the daemon, without a chance to say good-bye. Guests go on.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the daemon can be killed");
            child.wait().expect("a killed daemon can be waited for");
        }
    }
}

impl Drop for Libvirtd {
    /// Also ends guests whose daemon a failed test has left dead: by the process ids that libvirtd keeps of them.
    fn drop(&mut self) {
        self.kill();
        let run = self.folder.path().join("libvirt/qemu/run");
        for entry in fs::read_dir(run).into_iter().flatten().flatten() {
            let file = entry.path();
            if file.extension().is_some_and(|extension| extension == "pid")
                && let Some(pid) = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u32>().ok())
                // A stale file may name a process that is somebody else's by now.
                && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("qemu"))
            {
                tools::signal("KILL", pid);
            }
        }
    }
}
