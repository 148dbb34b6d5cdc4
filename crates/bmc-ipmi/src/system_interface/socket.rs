//! The socket of a system interface: only one user's programs can ever connect, and no trace of a dead daemon is in the way.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::UnixListener;

use super::SystemInterfaceConfig;

/// Longest path of a Unix socket in bytes (`sun_path` of Linux has 108 with a NUL).
pub const SOCKET_PATH_MAX_BYTES: usize = 107;
/// Everybody may go through the folder to a socket whose name he knows, and nobody may look into it.
const FOLDER_MODE: u32 = 0o711;
/// The bits of a mode that let group and others write.
const OTHERS_WRITE: u32 = 0o022;

/// Why a system interface cannot be had.
#[derive(Debug, Error)]
pub enum SystemInterfaceError {
    /// A daemon answers there.
    #[error("the system interface {} is served by another daemon; give this one a folder of its own: `dir` in [system_interface]", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket lies there.
    #[error("{} exists and is not a socket; move it away, or choose another folder: `dir` in [system_interface]", .0.display())]
    NotASocket(PathBuf),
    /// Others than the daemon's user and root could put their own sockets into the folder.
    #[error("{} must be a folder that belongs to root or to this daemon's user and in which nobody else can write; mend or remove it, or choose another: `dir` in [system_interface]", .0.display())]
    Unsafe(PathBuf),
    /// The path does not fit into a socket address.
    #[error("the system interface's path {} is longer than {SOCKET_PATH_MAX_BYTES} bytes; choose a shorter folder: `dir` in [system_interface]", .0.display())]
    TooLong(PathBuf),
    /// The operating system refuses.
    #[error("cannot open the system interface {}: {error}; check `dir`, `owner` and `group` in [system_interface]", path.display())]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Opens the socket in place of one that nobody serves any more.
pub(super) fn bind(config: &SystemInterfaceConfig) -> Result<UnixListener, SystemInterfaceError> {
    let path = config.socket.as_path();
    if path.as_os_str().as_bytes().len() > SOCKET_PATH_MAX_BYTES {
        return Err(SystemInterfaceError::TooLong(path.to_owned()));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SystemInterfaceError::NotASocket(path.to_owned()));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(SystemInterfaceError::InUse(path.to_owned()));
        }
        _ => {}
    }
    let failed = |error| SystemInterfaceError::Io { path: path.to_owned(), error };
    let folder = path.parent().unwrap_or(Path::new("."));
    if !is_safe(folder).map_err(failed)? {
        return Err(SystemInterfaceError::Unsafe(folder.to_owned()));
    }
    bind_private(config, folder).map_err(failed)
}

/// Makes the folder if it is not there. Whether nobody but root and our own user can change what is in it.
fn is_safe(folder: &Path) -> io::Result<bool> {
    if fs::symlink_metadata(folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        if let Some(above) = folder.parent() {
            DirBuilder::new().recursive(true).create(above)?;
        }
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            // Whoever was faster is looked at below.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
            // A umask may have taken from it.
            Ok(()) => fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?,
        }
    }
    // A link would lead elsewhere tomorrow.
    let found = fs::symlink_metadata(folder)?;
    let ours = [0, nix::unistd::geteuid().as_raw()].contains(&found.uid());
    Ok(found.is_dir() && ours && found.mode() & OTHERS_WRITE == 0)
}

/// Binds where nobody else can connect before owner and mode are set, then moves the socket to its place.
fn bind_private(config: &SystemInterfaceConfig, folder: &Path) -> io::Result<UnixListener> {
    let path = config.socket.as_path();
    let private = folder.join(format!(".{}", std::process::id()));
    match fs::remove_dir_all(&private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => DirBuilder::new().mode(0o700).create(&private)?,
    }
    let bound = private.join("s");
    let listener = UnixListener::bind(&bound).and_then(|listener| {
        let mode = if config.group.is_some() { 0o660 } else { 0o600 };
        fs::set_permissions(&bound, Permissions::from_mode(mode))?;
        if config.owner.is_some() || config.group.is_some() {
            std::os::unix::fs::lchown(&bound, config.owner, config.group)?;
        }
        fs::rename(&bound, path)?;
        Ok(listener)
    });
    let tidied = fs::remove_dir_all(&private);
    let listener = listener?;
    tidied?;
    Ok(listener)
}
