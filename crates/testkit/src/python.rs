//! Python clients in the environment that `cargo xtask test` makes from `tests/python/requirements.txt`.

use std::path::PathBuf;

use crate::paths;
use crate::tools::Tool;

/// Where the scripts are, from the workspace root.
const SCRIPTS: &str = "tests/python";

/// The environment: `POLYBMC_VENV` when set, else `venv` in cargo's target folder.
pub fn venv() -> PathBuf {
    match std::env::var_os("POLYBMC_VENV") {
        Some(path) => paths::workspace().join(path),
        None => paths::target_dir().join("venv"),
    }
}

/// A script of `tests/python`, ready for its arguments.
///
/// # Panics
/// When the environment or the script is missing.
#[track_caller]
pub fn script(name: &str) -> Tool {
    let file = paths::workspace().join(SCRIPTS).join(name);
    assert!(file.is_file(), "there is no {}", file.display());
    program("python").arg("-B").arg(file)
}

/// A program that the environment brings, such as `vbmcd` or `sushy-emulator`.
///
/// # Panics
/// When the environment lacks it.
#[track_caller]
pub fn program(name: &str) -> Tool {
    let file = venv().join("bin").join(name);
    assert!(file.is_file(), "missing tool {}: run `cargo xtask setup`", file.display());
    // What the user's own Python set-up says must not reach the pinned one.
    Tool::at(file).without_env("PYTHONPATH").without_env("PYTHONHOME").env("PYTHONUNBUFFERED", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_clients_can_be_imported() {
        let imports = "import sushy, redfish, libvirt; from pyghmi.ipmi import command; print('ready')";
        assert_eq!(program("python").args(["-c", imports]).ok(), "ready\n");
    }

    #[test]
    #[should_panic(expected = "there is no")]
    fn a_missing_script_is_named() {
        script("no-such-script.py");
    }
}
