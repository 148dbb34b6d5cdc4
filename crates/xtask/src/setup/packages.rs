//! System packages: what is needed, how to see whether it is there, how to get it.
//!
//! The need is a program, a file or a library, never a package: so the check is quick, works on every distribution,
//! and is content with what came from elsewhere. Only the getting is Debian's.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// One thing that must be on the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// The Debian package that brings it.
    pub package: &'static str,
    /// How to see that it is there.
    pub probe: Probe,
    /// Why it is needed, shown where it cannot be installed.
    pub purpose: &'static str,
}

/// How to see whether a need is met.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Probe {
    /// A program of this name can be run.
    Program(&'static str),
    /// One of these files exists.
    AnyFile(&'static [&'static str]),
    /// `pkg-config` knows this library.
    Library(&'static str),
    /// `python3` runs this program without an error.
    Python(&'static str),
}

const fn need(package: &'static str, probe: Probe, purpose: &'static str) -> Need {
    Need { package, probe, purpose }
}

/// What building polybmc with its default features needs.
pub(crate) const BUILD: &[Need] = &[
    need("gcc", Probe::Program("cc"), "C compiler and linker"),
    need("libc6-dev", Probe::AnyFile(&["/usr/include/stdlib.h"]), "C headers"),
    need("pkg-config", Probe::Program("pkg-config"), "finds libvirt"),
    need("libvirt-dev", Probe::Library("libvirt"), "the libvirt backend"),
];

/// What the tests need on top.
pub(crate) const TEST: &[Need] = &[
    need("g++", Probe::Program("c++"), "libFuzzer"),
    need("tshark", Probe::Program("tshark"), "an independent reader of captured IPMI traffic"),
    need("git", Probe::Program("git"), "lists the files that tidy looks at"),
    need("curl", Probe::Program("curl"), "Redfish by hand"),
    need("ipmitool", Probe::Program("ipmitool"), "IPMI client"),
    need("freeipmi-tools", Probe::Program("ipmipower"), "IPMI client"),
    need("openipmi", Probe::Program("ipmi_sim"), "IPMI server to compare with"),
    need("python3-venv", Probe::Python("import ensurepip, venv"), "Python clients"),
    need("python3-dev", Probe::Python(PYTHON_HEADERS), "builds libvirt-python"),
    need(QEMU, Probe::Program("qemu-system-x86_64"), "real guests"),
    need("qemu-utils", Probe::Program("qemu-img"), "disk images of guests"),
    need("libvirt-daemon-system", Probe::AnyFile(&["/etc/libvirt/libvirtd.conf"]), "real guests"),
    need("libvirt-daemon", Probe::Program("libvirtd"), "real guests"),
    need("libvirt-clients", Probe::Program("virsh"), "a second opinion on what libvirt thinks"),
    need(
        "ovmf",
        Probe::AnyFile(&["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"]),
        "UEFI guests",
    ),
    need("seabios", Probe::AnyFile(&["/usr/share/seabios/bios-256k.bin"]), "BIOS guests"),
    need(
        "ipxe-qemu",
        Probe::AnyFile(&["/usr/lib/ipxe/qemu/pxe-virtio.rom"]),
        "guests that boot from the network",
    ),
    need("busybox-static", Probe::Program("busybox"), "user land of guests"),
    need("grub-common", Probe::Program("grub-mkrescue"), "bootable media for guests"),
    need("grub-pc-bin", Probe::AnyFile(&["/usr/lib/grub/i386-pc/modinfo.sh"]), "bootable media, BIOS"),
    need(
        "grub-efi-amd64-bin",
        Probe::AnyFile(&["/usr/lib/grub/x86_64-efi/modinfo.sh"]),
        "bootable media, UEFI",
    ),
    need("xorriso", Probe::Program("xorriso"), "bootable media for guests"),
    need("mtools", Probe::Program("mcopy"), "bootable media for guests"),
    need("cpio", Probe::Program("cpio"), "initial RAM disks of guests"),
];

const PYTHON_HEADERS: &str = "import os, sysconfig; os.stat(sysconfig.get_path('include') + '/Python.h')";
const QEMU: &str = "qemu-system-x86";
/// Packages of QEMU that must have the emulator's own version. Where a newer one was backported, apt refuses the
/// emulator with a riddle about held packages instead of taking the older one.
const QEMU_SIBLINGS: &[&str] = &["qemu-utils", "qemu-block-extra", "qemu-system-common", "qemu-system-data"];

impl Probe {
    fn met(self) -> bool {
        match self {
            Self::Program(name) => shell::find_program(name).is_some(),
            Self::AnyFile(paths) => paths.iter().any(|path| Path::new(path).exists()),
            Self::Library(name) => {
                shell::output(shell::command("pkg-config").args(["--exists", name])).is_ok()
            }
            Self::Python(program) => shell::output(shell::command("python3").args(["-c", program])).is_ok(),
        }
    }
}

/// The needs that are not met.
fn missing(needs: &'static [Need]) -> Vec<Need> {
    needs.iter().filter(|need| !need.probe.met()).copied().collect()
}

/// Installs what is missing with apt; without apt, or without the right to use it, fails with the list.
pub(crate) fn install(needs: &'static [Need], what_for: &str) -> Result<()> {
    let absent = missing(needs);
    if absent.is_empty() {
        println!("==> packages: everything for {what_for} is here");
        return Ok(());
    }
    let names: Vec<&str> = absent.iter().map(|need| need.package).collect();
    if shell::find_program("apt-get").is_none() {
        bail!(
            "{what_for} needs the following; please install it with your system's tools:\n{}",
            listing(&absent)
        );
    }
    let Some(privilege) = Privilege::available() else {
        bail!(
            "{what_for} needs packages, and this user may not install them. As root:\n  apt-get install {}",
            names.join(" ")
        );
    };
    println!("==> packages: installing with apt for {what_for}:\n{}", listing(&absent));
    shell::run(privilege.command("apt-get").args(["update", "-qq"]))?;
    let packages = if names.contains(&QEMU) { with_qemu_pinned(&names)? } else { owned(&names) };
    let mut install = privilege.command("apt-get");
    install.args(["install", "-qq", "-o", "Dpkg::Use-Pty=0"]);
    install.args(["--yes", "--no-install-recommends", "--allow-downgrades"]).args(&packages);
    shell::run(&mut install)?;
    let still: Vec<Need> = missing(needs);
    if !still.is_empty() {
        bail!("apt was content, but this is still missing:\n{}", listing(&still));
    }
    Ok(())
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn listing(needs: &[Need]) -> String {
    needs.iter().map(|need| format!("  {:24} {}", need.package, need.purpose)).collect::<Vec<_>>().join("\n")
}

/// Names the version of QEMU and of those of its siblings that are wanted or already installed.
fn with_qemu_pinned(names: &[&str]) -> Result<Vec<String>> {
    let policy = shell::output(shell::command("apt-cache").args(["policy", QEMU]).env("LC_ALL", "C"))?;
    let version = candidate(&policy).with_context(|| format!("apt knows no version of {QEMU}"))?.to_owned();
    let installed: Vec<&str> = QEMU_SIBLINGS.iter().copied().filter(|name| is_installed(name)).collect();
    Ok(pin(names, QEMU_SIBLINGS, &installed, &version))
}

/// Adds `=version` to QEMU's packages, and adds those that are installed in whatever version.
fn pin(names: &[&str], siblings: &[&str], installed: &[&str], version: &str) -> Vec<String> {
    let is_qemu = |name: &str| name == QEMU || siblings.contains(&name);
    let extra = installed.iter().filter(|name| !names.contains(*name));
    let all = names.iter().chain(extra);
    all.map(|name| if is_qemu(name) { format!("{name}={version}") } else { (*name).to_owned() }).collect()
}

/// The version that apt would install, from the text of `apt-cache policy`.
fn candidate(policy: &str) -> Option<&str> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    (version != "(none)").then_some(version)
}

fn is_installed(package: &str) -> bool {
    shell::output(shell::command("dpkg-query").args(["-W", "-f=${Status}", package]))
        .is_ok_and(|status| status.ends_with("ok installed"))
}

/// How this user may act as root.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Privilege {
    /// It is root.
    Root,
    /// It has `sudo`, which may ask for a password.
    Sudo,
}

impl Privilege {
    /// The way that is open, if any.
    pub(crate) fn available() -> Option<Self> {
        let user = shell::output(shell::command("id").arg("-u")).unwrap_or_default();
        if user.trim() == "0" { Some(Self::Root) } else { shell::find_program("sudo").map(|_| Self::Sudo) }
    }

    /// A command that runs as root and asks no questions of its own.
    pub(crate) fn command(self, program: &str) -> Command {
        let mut command = match self {
            Self::Root => shell::command("env"),
            Self::Sudo => {
                let mut sudo = shell::command("sudo");
                sudo.arg("env");
                sudo
            }
        };
        command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPOSSIBLE: &[Need] = &[
        need("nothing", Probe::Program("no-such-program-anywhere"), "shows that absence is seen"),
        need("sh", Probe::Program("sh"), "shows that presence is seen"),
        need("nothing-else", Probe::AnyFile(&["/no/such/file"]), "shows that absence is seen"),
    ];

    #[test]
    fn only_unmet_needs_are_missing() {
        let names: Vec<&str> = missing(IMPOSSIBLE).iter().map(|need| need.package).collect();
        assert_eq!(names, ["nothing", "nothing-else"]);
    }

    #[test]
    fn qemu_and_its_installed_siblings_get_one_version() {
        let pinned = pin(&["ovmf", QEMU], QEMU_SIBLINGS, &["qemu-utils"], "1:7.2");
        assert_eq!(pinned, ["ovmf", "qemu-system-x86=1:7.2", "qemu-utils=1:7.2"]);
        let wanted = pin(&[QEMU, "qemu-utils"], QEMU_SIBLINGS, &["qemu-utils"], "1:7.2");
        assert_eq!(wanted, ["qemu-system-x86=1:7.2", "qemu-utils=1:7.2"]);
    }

    #[test]
    fn the_candidate_is_read_from_the_policy() {
        let policy = "qemu-system-x86:\n  Installed: (none)\n  Candidate: 1:7.2+dfsg-7\n  Version table:\n";
        assert_eq!(candidate(policy), Some("1:7.2+dfsg-7"));
        assert_eq!(candidate("x:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }
}
