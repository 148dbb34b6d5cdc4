//! Checks of what real machines need: libvirt, KVM, UEFI firmware.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{Finding, Host, Status};

/// The sockets of `qemu:///system`: of the one daemon, and of the modular one.
const SYSTEM_SOCKETS: [&str; 2] = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"];
/// The same of `qemu:///session`, under the session's folder.
const SESSION_SOCKETS: [&str; 2] = ["libvirt-sock", "virtqemud-sock"];
const KVM: &str = "/dev/kvm";

pub(super) fn checks(host: &Host) -> Vec<Finding> {
    if !cfg!(feature = "libvirt") {
        let status = if host.wants_libvirt { Status::Fail } else { Status::Ok };
        let mend = host
            .wants_libvirt
            .then(|| "build it with the feature `libvirt`, or use the backend `sim`".to_owned());
        let message = "this polybmc was built without it; simulated machines work".to_owned();
        return vec![Finding { check: "libvirt", status, message, mend }];
    }
    let bad = if host.wants_libvirt { Status::Fail } else { Status::Warn };
    let sockets = SYSTEM_SOCKETS.iter().map(PathBuf::from);
    let session = host.session_dir.iter().flat_map(|dir| SESSION_SOCKETS.map(|name| dir.join(name)));
    let libvirt = libvirt(&sockets.chain(session).collect::<Vec<_>>(), bad);
    let kvm = kvm(Path::new(KVM), bad);
    vec![
        libvirt,
        kvm,
        #[cfg(feature = "libvirt")]
        firmware(&firmware_folders(host)),
    ]
}

/// Whether one of libvirt's sockets takes a connection from us.
pub(super) fn libvirt(sockets: &[PathBuf], bad: Status) -> Finding {
    const CHECK: &str = "libvirt";
    let mut denied = None;
    let mut dead = None;
    for socket in sockets {
        match UnixStream::connect(socket).map_err(|error| error.kind()) {
            Ok(_) => return Finding::ok(CHECK, format!("{} answers", socket.display())),
            Err(ErrorKind::PermissionDenied) => denied = denied.or(Some(socket)),
            Err(ErrorKind::ConnectionRefused) => dead = dead.or(Some(socket)),
            Err(_) => {}
        }
    }
    if let Some(socket) = denied {
        let mend = "sudo usermod --append --groups libvirt $USER, and log in anew";
        return Finding::bad(CHECK, bad, format!("no permission for {}", socket.display()), mend);
    }
    let start = "sudo systemctl start libvirtd; without systemd, as root: virtlogd -d; libvirtd -d";
    if let Some(socket) = dead {
        return Finding::bad(
            CHECK,
            bad,
            format!("{} is there, but its daemon is not", socket.display()),
            start,
        );
    }
    let mend = format!("sudo apt-get install libvirt-daemon-system qemu-system-x86, then {start}");
    let message = if bad == Status::Fail {
        "no socket of libvirt"
    } else {
        "no socket of libvirt; simulated machines work"
    };
    Finding::bad(CHECK, bad, message, mend)
}

/// `/dev/kvm` for root alone makes libvirt find KVM and its guests not: every define and start probes QEMU anew, over a minute each.
pub(super) fn kvm(device: &Path, bad: Status) -> Finding {
    const CHECK: &str = "kvm";
    let Ok(found) = std::fs::metadata(device) else {
        return Finding::ok(
            CHECK,
            format!("no {}: guests are emulated, which works and is slow", device.display()),
        );
    };
    let mode = found.permissions().mode() & 0o777;
    let for_others = mode & 0o006 == 0o006;
    let for_a_group = mode & 0o060 == 0o060 && found.gid() != 0;
    if for_others || for_a_group {
        return Finding::ok(CHECK, format!("{} has mode {mode:04o}", device.display()));
    }
    let shown = device.display();
    Finding::bad(
        CHECK,
        bad,
        format!(
            "{shown} has mode {mode:04o}, group {}: libvirt would stall for a minute at each start",
            found.gid()
        ),
        format!("sudo chgrp kvm {shown} && sudo chmod 0660 {shown}"),
    )
}

/// Where the descriptors of firmware lie; the last counts most.
#[cfg(feature = "libvirt")]
fn firmware_folders(host: &Host) -> Vec<PathBuf> {
    let all = bmc_libvirt::firmware::catalogue::FIRMWARE_FOLDERS.iter().map(PathBuf::from);
    all.chain(host.firmware_dir.clone()).collect()
}

/// What firmware there is for UEFI guests, with Secure Boot and without.
#[cfg(feature = "libvirt")]
pub(super) fn firmware(folders: &[PathBuf]) -> Finding {
    const CHECK: &str = "firmware";
    const MEND: &str = "install it: ovmf on Debian and Ubuntu, edk2-ovmf on Fedora and Arch, qemu-efi-aarch64 or edk2-aarch64 for ARM";
    let catalogue = bmc_libvirt::firmware::catalogue::Catalogue::read(folders);
    let (there, gone): (Vec<_>, Vec<_>) = catalogue.images().iter().partition(|image| image.is_there());
    let secure = there.iter().find(|image| image.enforces());
    let plain = there.iter().find(|image| !image.has("secure-boot"));
    let broken = gone.first().map(|image| {
        format!("; {} names {}, which is not there with its variables", image.name, image.code.display())
    });
    let broken = broken.unwrap_or_default();
    match (plain, secure) {
        (Some(plain), Some(secure)) => Finding::ok(
            CHECK,
            format!(
                "{} images; without Secure Boot {}, with its keys {}{broken}",
                there.len(),
                plain.code.display(),
                secure.template.display()
            ),
        ),
        (Some(plain), None) => Finding::bad(
            CHECK,
            Status::Warn,
            format!(
                "{} and none with enrolled keys: Secure Boot cannot be enabled{broken}",
                plain.code.display()
            ),
            MEND,
        ),
        (None, Some(secure)) => Finding::bad(
            CHECK,
            Status::Warn,
            format!("{} and none without Secure Boot: it cannot be disabled{broken}", secure.code.display()),
            MEND,
        ),
        (None, None) => Finding::bad(
            CHECK,
            Status::Warn,
            format!("no UEFI firmware for guests; BIOS guests and simulated machines work{broken}"),
            MEND,
        ),
    }
}
