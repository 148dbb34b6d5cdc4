//! Where the workspace, its target folder and the tested binary are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// The folder of the build profile that this test was built with, such as `target/debug`.
///
/// # Panics
/// When the running test is not where cargo puts tests.
pub fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a file");
    test.ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .unwrap_or_else(|| panic!("{} is not in a `deps` folder of cargo", test.display()))
        .to_path_buf()
}

/// Cargo's target folder.
///
/// # Panics
/// As [`profile_dir`].
pub fn target_dir() -> PathBuf {
    let profile = profile_dir();
    profile.parent().unwrap_or(&profile).to_path_buf()
}

/// The folder with a Linux kernel for guests, unpacked as `boot/vmlinuz-VERSION` and `lib/modules/VERSION`:
/// `POLYBMC_GUEST_KERNEL` when set, else `guest-kernel` in cargo's target folder.
///
/// # Panics
/// When there is none: a test that needs a guest fails without its kernel.
pub fn guest_kernel() -> PathBuf {
    let folder = match std::env::var_os("POLYBMC_GUEST_KERNEL") {
        Some(path) => workspace().join(path),
        None => target_dir().join("guest-kernel"),
    };
    assert!(
        folder.join("boot").is_dir(),
        "missing guest kernel in {}: run `cargo xtask setup`",
        folder.display()
    );
    folder
}

/// The folder with a Linux kernel that has drivers for IPMI, unpacked likewise.
///
/// # Panics
/// As [`guest_kernel`].
pub fn guest_kernel_with_ipmi() -> PathBuf {
    let folder = guest_kernel().join("with-ipmi");
    assert!(
        folder.join("boot").is_dir(),
        "missing guest kernel with IPMI in {}: run `cargo xtask setup`",
        folder.display()
    );
    folder
}

/// The `polybmc` program: the one that `POLYBMC_BIN` names, else the workspace's own, brought up to date by cargo.
///
/// # Panics
/// When the named file is missing, or the build fails.
pub fn polybmc() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("POLYBMC_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "POLYBMC_BIN names {}, which is no file", path.display());
            path
        }
        None => build_polybmc(),
    })
}

/// A test of another package does not get the binary from cargo, so cargo is asked for it.
fn build_polybmc() -> PathBuf {
    let profile = profile_dir();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--locked", "-p", "polybmc", "--target-dir"]);
    cargo.arg(target_dir());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let out = cargo.output().expect("cargo can be started");
    assert!(out.status.success(), "cannot build polybmc:\n{}", String::from_utf8_lossy(&out.stderr));
    profile.join("polybmc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_and_its_target_folder_are_found() {
        assert!(workspace().join("Cargo.lock").is_file());
        assert!(profile_dir().join("deps").is_dir());
        assert!(profile_dir().starts_with(target_dir()));
    }
}
