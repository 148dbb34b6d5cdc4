//! The Python environment with the clients that the tests drive.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::shell;

/// What goes into the environment, at exact versions.
const REQUIREMENTS: &str = "tests/python/requirements.txt";
/// The release of Ansible that the one collection is taken from.
const COLLECTIONS: &str = "tests/python/ansible.txt";
/// The collection, and the script that takes it out. The whole of Ansible would be some 20,000 files.
const COLLECTION: &str = "community.general";
const EXTRACT: &str = "tests/python/take_collection.py";
/// Where collections are in the environment.
const COLLECTIONS_FOLDER: &str = "collections";
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
    let wanted = wanted(&requirements)?;
    if is_current(&wanted, &venv)? {
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
    install_collection(&venv)?;
    fs::write(venv.join(STAMP), wanted).context("cannot note what the Python environment was made from")
}

/// Ansible's modules are published in one wheel, or by a server of their own that not every network reaches.
fn install_collection(venv: &Path) -> Result<()> {
    println!("==> python: taking {COLLECTION} out of Ansible's release");
    let folder = venv.join("download");
    let mut download = shell::command(venv.join("bin/pip"));
    download.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    download.args(["--only-binary=:all:", "--dest"]).arg(&folder);
    shell::run(download.arg("-r").arg(shell::root().join(COLLECTIONS)))?;
    let mut extract = shell::command(venv.join("bin/python"));
    extract.arg(shell::root().join(EXTRACT)).arg(&folder).arg(COLLECTION);
    shell::run(extract.arg(venv.join(COLLECTIONS_FOLDER)))?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// What the environment is made from: the texts of both lists.
fn wanted(requirements: &Path) -> Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut wanted = read(requirements)?;
    wanted.extend(read(&shell::root().join(COLLECTIONS))?);
    Ok(wanted)
}

/// Whether the environment was made from the requirements as they are now.
fn is_current(wanted: &[u8], venv: &Path) -> Result<bool> {
    match fs::read(venv.join(STAMP)) {
        Ok(installed) => Ok(installed == wanted),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("cannot read what the Python environment was made from"),
    }
}
