//! A running libvirt for the tests with real guests, also on a host without systemd.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::packages::Privilege;
use crate::shell;

const KVM: &str = "/dev/kvm";
/// The mode that udev gives the device, and the one found where no udev ran.
const KVM_MODE: &str = "0660";
const KVM_MODE_BROKEN: u32 = 0o600;

/// The first connection probes the emulators, which takes seconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const START_LIMIT: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(200);

/// Makes sure that `qemu:///system` answers this user.
pub(crate) fn prepare() -> Result<()> {
    mend_kvm()?;
    if answers() {
        println!("==> libvirt: qemu:///system answers");
        return Ok(());
    }
    let Some(privilege) = Privilege::available() else {
        bail!(
            "libvirtd does not answer this user; as root: `virtlogd -d; libvirtd -d`, or start its service"
        );
    };
    if Path::new("/run/systemd/system").exists() {
        println!("==> libvirt: systemctl start libvirtd");
        shell::run(privilege.command("systemctl").args(["start", "libvirtd"]))?;
    } else {
        for daemon in ["virtlogd", "libvirtd"] {
            if is_running(daemon) {
                continue;
            }
            println!("==> libvirt: starting {daemon} (no systemd here)");
            shell::run(privilege.command(daemon).arg("-d"))?;
        }
    }
    let started = Instant::now();
    while started.elapsed() < START_LIMIT {
        if answers() {
            return Ok(());
        }
        std::thread::sleep(START_POLL);
    }
    bail!(
        "qemu:///system still does not answer this user (as a plain user you must be in the group `libvirt`); \
         `virsh -c qemu:///system version` says why"
    )
}

/// Where `/dev/kvm` is for root alone, libvirt finds KVM as root and misses it as the guests' user, and then probes
/// QEMU anew at each call: everything works, a hundred times too slowly.
fn mend_kvm() -> Result<()> {
    let Ok(meta) = Path::new(KVM).metadata() else {
        return Ok(());
    };
    if meta.permissions().mode() & 0o777 != KVM_MODE_BROKEN {
        return Ok(());
    }
    let privilege =
        Privilege::available().with_context(|| format!("{KVM} has mode 0600, which only root can mend"))?;
    println!("==> libvirt: {KVM} is for root alone; giving it to the group kvm");
    shell::run(privilege.command("chgrp").args(["kvm", KVM]))?;
    shell::run(privilege.command("chmod").args([KVM_MODE, KVM]))
}

fn answers() -> bool {
    shell::succeeds_within(
        shell::command("virsh").args(["-q", "-c", "qemu:///system", "version"]),
        CONNECT_LIMIT,
    )
}

fn is_running(daemon: &str) -> bool {
    // The kernel keeps 15 bytes of a program's name, more than these have.
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|process| {
        std::fs::read_to_string(process.path().join("comm")).is_ok_and(|name| name.trim() == daemon)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_programs_are_seen_by_name() {
        let own = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert!(is_running(own.trim()));
        assert!(!is_running("no-such-daemon"));
    }
}
