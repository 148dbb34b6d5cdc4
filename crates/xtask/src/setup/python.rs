//! The Python environment with the clients that the tests drive.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::shell;

/// What goes into the environment, at exact versions.
const REQUIREMENTS: &str = "tests/python/requirements.txt";
/// The copy of the requirements that the environment was made from; written last, so a broken set-up is repeated.
const STAMP: &str = "requirements-installed.txt";
const CHECK_VERSION: &str = "import sys; sys.exit(sys.version_info < (3, 11))";

/// Where the environment is: `POLYBMC_VENV` when set, else `venv` in the target folder.
pub(crate) fn venv() -> PathBuf {
    match std::env::var_os("POLYBMC_VENV") {
        Some(path) => shell::root().join(path),
        None => shell::target_dir().join("venv"),
    }
}

/// Makes the environment, or brings it up to date with the requirements.
pub(crate) fn prepare() -> Result<()> {
    let venv = venv();
    let requirements = shell::root().join(REQUIREMENTS);
    if is_current(&requirements, &venv)? {
        println!("==> python: {} is up to date", venv.display());
        return Ok(());
    }
    if shell::output(shell::command("python3").args(["-c", CHECK_VERSION])).is_err() {
        bail!("python3 must be version 3.11 or newer");
    }
    println!("==> python: installing {REQUIREMENTS} into {}", venv.display());
    shell::run(shell::command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut install = shell::command(venv.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]).arg(&requirements);
    shell::run(&mut install)?;
    // pip was told to add nothing of its own; this finds what the list lacks.
    shell::run(shell::command(venv.join("bin/pip")).args(["--disable-pip-version-check", "check"]))?;
    fs::copy(&requirements, venv.join(STAMP))
        .context("cannot note what the Python environment was made from")?;
    Ok(())
}

/// Whether the environment was made from the requirements as they are now.
fn is_current(requirements: &Path, venv: &Path) -> Result<bool> {
    let wanted = fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    match fs::read(venv.join(STAMP)) {
        Ok(installed) => Ok(installed == wanted),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("cannot read what the Python environment was made from"),
    }
}
