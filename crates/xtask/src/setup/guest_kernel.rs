//! A Linux kernel for the guests of the tests: downloaded and unpacked, never installed on the host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use super::packages::Privilege;
use crate::shell;

/// Packages that depend on the newest small kernel: Debian's for clouds, then Ubuntu's for virtual machines.
const META_PACKAGES: &[&str] = &["linux-image-cloud-amd64", "linux-image-virtual"];

/// Where the kernel package is unpacked, as `boot/vmlinuz-VERSION` and `lib/modules/VERSION`: `POLYBMC_GUEST_KERNEL`
/// when set, else `guest-kernel` in the target folder.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("POLYBMC_GUEST_KERNEL") {
        Some(path) => shell::root().join(path),
        None => shell::target_dir().join("guest-kernel"),
    }
}

/// Makes sure that the kernel is there.
pub(crate) fn prepare() -> Result<()> {
    let folder = folder();
    if let Some(kernel) = kernel_in(&folder)? {
        println!("==> guest kernel: {}", kernel.display());
        return Ok(());
    }
    if shell::find_program("apt-get").is_none() {
        bail!(
            "put a Linux kernel for x86-64 guests into {}, as boot/vmlinuz-VERSION with lib/modules/VERSION beside boot",
            folder.display()
        );
    }
    let package = match newest_package() {
        Some(package) => package,
        None => {
            let privilege =
                Privilege::available().context("apt knows no kernel package; as root: apt-get update")?;
            shell::run(privilege.command("apt-get").args(["update", "-qq"]))?;
            newest_package().context("apt knows no kernel package for guests")?
        }
    };
    println!("==> guest kernel: downloading {package} and unpacking it into {}", folder.display());
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
    shell::run(in_dir(&download, "dpkg-deb").arg("--extract").arg(&archive).arg("unpacked"))?;
    // Moved as the last act, so that what is there is whole.
    remove(&folder)?;
    fs::rename(download.join("unpacked"), &folder).context("cannot move the kernel to its place")?;
    remove(&download)?;
    kernel_in(&folder)?.map(drop).with_context(|| format!("{package} brought no boot/vmlinuz-*"))
}

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

/// The real package behind the first meta package that apt knows.
fn newest_package() -> Option<String> {
    META_PACKAGES.iter().find_map(|meta| {
        let depends =
            shell::output(shell::command("apt-cache").args(["depends", meta]).env("LC_ALL", "C")).ok()?;
        image_package(&depends).map(str::to_owned)
    })
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
}
