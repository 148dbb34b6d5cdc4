//! Linux kernels for the guests of the tests: downloaded and unpacked, never installed on the host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use super::packages::Privilege;
use crate::shell;

/// Where the kernel package is unpacked, as `boot/vmlinuz-VERSION` and `lib/modules/VERSION`: `POLYBMC_GUEST_KERNEL`
/// when set, else `guest-kernel` in the target folder.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("POLYBMC_GUEST_KERNEL") {
        Some(path) => shell::root().join(path),
        None => shell::target_dir().join("guest-kernel"),
    }
}

/// One of the kernels.
struct Kernel {
    what: &'static str,
    /// Packages that depend on the newest one.
    meta_packages: &'static [&'static str],
    /// What of its package is unpacked, as `tar` takes patterns; empty: all of it.
    only: &'static [&'static str],
}

/// That of most guests.
const SMALL: Kernel = Kernel {
    what: "guest kernel",
    // Debian's for clouds, then Ubuntu's for virtual machines.
    meta_packages: &["linux-image-cloud-amd64", "linux-image-virtual"],
    only: &[],
};

/// That of guests that talk to their BMC: kernels for clouds have no drivers for that. It is ten times as large, so only what is needed stays.
const WITH_IPMI: Kernel = Kernel {
    what: "guest kernel with IPMI",
    meta_packages: &["linux-image-amd64", "linux-image-generic"],
    only: &[
        "./boot/vmlinuz-*",
        "./lib/modules/*/kernel/drivers/char/ipmi/*",
        "./lib/modules/*/kernel/drivers/acpi/button.ko*",
        "./lib/modules/*/kernel/drivers/input/evdev.ko*",
    ],
};

/// Makes sure that the kernels are there: the small one, and within its folder the one with drivers for IPMI.
pub(crate) fn prepare() -> Result<()> {
    let folder = folder();
    SMALL.prepare(&folder)?;
    WITH_IPMI.prepare(&folder.join("with-ipmi"))
}

impl Kernel {
    fn prepare(&self, folder: &Path) -> Result<()> {
        let what = self.what;
        if let Some(kernel) = kernel_in(folder)? {
            println!("==> {what}: {}", kernel.display());
            return Ok(());
        }
        if shell::find_program("apt-get").is_none() {
            bail!(
                "put a Linux kernel for x86-64 guests ({what}) into {}, as boot/vmlinuz-VERSION with lib/modules/VERSION beside boot",
                folder.display()
            );
        }
        let package = match self.newest_package() {
            Some(package) => package,
            None => {
                let privilege =
                    Privilege::available().context("apt knows no kernel package; as root: apt-get update")?;
                shell::run(privilege.command("apt-get").args(["update", "-qq"]))?;
                self.newest_package().context("apt knows no kernel package for guests")?
            }
        };
        println!("==> {what}: downloading {package} and unpacking it into {}", folder.display());
        let download = folder.with_extension("download");
        remove(&download)?;
        fs::create_dir_all(&download).with_context(|| format!("cannot make {}", download.display()))?;
        let quiet_sandbox = ["-o", "APT::Sandbox::User=root"];
        shell::run(in_dir(&download, "apt-get").args(["download", "-q"]).args(quiet_sandbox).arg(&package))?;
        let archive = fs::read_dir(&download)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ext| ext == "deb"))
            .context("apt downloaded no package")?;
        fs::create_dir_all(download.join("unpacked"))?;
        // Whatever of the patterns is built into a kernel is not there to be unpacked.
        let mut command = in_dir(&download, "sh");
        command.args(["-euc", UNPACK, "unpack"]).arg(&archive).args(self.only);
        shell::run(&mut command)?;
        // Moved as the last act, so that what is there is whole.
        remove(folder)?;
        fs::rename(download.join("unpacked"), folder).context("cannot move the kernel to its place")?;
        remove(&download)?;
        kernel_in(folder)?.map(drop).with_context(|| format!("{package} brought no boot/vmlinuz-*"))
    }

    /// The real package behind the first meta package that apt knows.
    fn newest_package(&self) -> Option<String> {
        self.meta_packages.iter().find_map(|meta| {
            let depends =
                shell::output(shell::command("apt-cache").args(["depends", meta]).env("LC_ALL", "C")).ok()?;
            image_package(&depends).map(str::to_owned)
        })
    }
}

/// Unpacks from the package `$1` what fits the patterns behind it, or all. That a pattern fits nothing is the one thing that tar may complain of: what
/// is put in place half unpacked stays so.
const UNPACK: &str = r#"dpkg-deb --fsys-tarfile "$1" > all.tar
shift
if ! LC_ALL=C tar -C unpacked -xf all.tar --wildcards "$@" 2> complaints; then
    if grep -vE ': Not found in archive$|: Exiting with failure status due to previous errors$' complaints >&2; then
        exit 1
    fi
    test -s complaints
fi
"#;

fn in_dir(dir: &Path, program: &str) -> Command {
    let mut command = shell::command(program);
    command.current_dir(dir);
    command
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn kernel_in(folder: &Path) -> Result<Option<PathBuf>> {
    match fs::read_dir(folder.join("boot")) {
        Ok(entries) => Ok(entries
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"))
            .map(|entry| entry.path())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot list {}", folder.display())),
    }
}

/// The first kernel image in the text of `apt-cache depends`.
fn image_package(depends: &str) -> Option<&str> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends:"))
        .map(str::trim)
        .find(|name| name.starts_with("linux-image-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_package_is_read_from_the_dependencies() {
        let debian = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-41-cloud-amd64\n";
        assert_eq!(image_package(debian), Some("linux-image-6.1.0-41-cloud-amd64"));
        let ubuntu = "linux-image-virtual\n |Depends: crda\n  Depends: linux-firmware\n  Depends: linux-image-6.8.0-90-generic\n";
        assert_eq!(image_package(ubuntu), Some("linux-image-6.8.0-90-generic"));
        assert_eq!(image_package(""), None);
    }

    /// Runs the unpacking on what is inside a package.
    fn unpack(folder: &Path, archive: &Path, only: &[&str]) -> bool {
        let _ = fs::remove_dir_all(folder.join("unpacked"));
        fs::create_dir_all(folder.join("unpacked")).unwrap();
        let script = UNPACK.replace("dpkg-deb --fsys-tarfile", "cat");
        let mut command = in_dir(folder, "sh");
        command.args(["-euc", &script, "unpack"]).arg(archive).args(only);
        command.status().unwrap().success()
    }

    #[test]
    fn a_broken_package_is_not_put_in_place() {
        let folder = std::env::temp_dir().join(format!("polybmc-guest-kernel-{}", std::process::id()));
        fs::create_dir_all(folder.join("boot")).unwrap();
        fs::write(folder.join("boot/vmlinuz-1"), vec![7; 100_000]).unwrap();
        let tar = folder.join("whole.tar");
        let mut make = in_dir(&folder, "tar");
        assert!(make.args(["-cf"]).arg(&tar).arg("boot").status().unwrap().success());
        let half = folder.join("half.tar");
        fs::write(&half, &fs::read(&tar).unwrap()[..50_000]).unwrap();
        let kernel = folder.join("unpacked/boot/vmlinuz-1");

        assert!(unpack(&folder, &tar, &[]) && kernel.exists());
        assert!(
            unpack(&folder, &tar, &["boot/*", "*/built-in.ko"]) && kernel.exists(),
            "what is built in is no module"
        );
        assert!(!unpack(&folder, &half, &[]));
        assert!(!unpack(&folder, &half, &["boot/*", "*/built-in.ko"]));
        fs::remove_dir_all(&folder).unwrap();
    }
}
