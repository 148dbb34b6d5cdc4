//! The control socket: one daemon a path, mode 0600, and no trace of a dead daemon in the way.
//!
//! ```text
//!   claim: lock PATH.lock ──held──► InUse          (the lock dies with its daemon, however that dies)
//!              │ got it
//!   serve: bind in a private folder ── mode 0600 ── rename to PATH (over a stale socket) ── answer
//! ```

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{SharedAdmin, router};

/// Longest path of a Unix socket in bytes (`sun_path` of Linux has 108 with a NUL).
pub const SOCKET_PATH_MAX_BYTES: usize = 107;

/// How long requests under way may take once the daemon shuts down.
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// Why the control socket cannot be had.
#[derive(Debug, Error)]
pub enum SocketError {
    /// A daemon answers there.
    #[error(
        "a polybmc daemon already serves the control socket {}; stop it first, or give this one its own socket and state with \
         --control PATH --state-dir DIR",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something that is not a socket lies there.
    #[error("{} exists and is not a socket; move it away or choose another path with --control", .0.display())]
    NotASocket(PathBuf),
    /// The path does not fit into a socket address.
    #[error("the control socket's path {} is longer than {SOCKET_PATH_MAX_BYTES} bytes; choose a shorter one with --control", .0.display())]
    TooLong(PathBuf),
    /// The operating system refuses.
    #[error("cannot create the control socket {}: {error}; check that its folder exists and is yours, or choose another with --control", path.display())]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A claimed path of a control socket. Dropping it gives the claim up.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    /// Holds the claim: the lock goes with the file handle.
    _lock: File,
}

impl ControlSocket {
    /// Claims the path for this process, without answering on it yet.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn claim(path: &Path) -> Result<Self, SocketError> {
        let failed = |error| SocketError::Io { path: path.to_owned(), error };
        if path.as_os_str().as_bytes().len() > SOCKET_PATH_MAX_BYTES {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock_path);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SocketError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NotASocket(path.to_owned()));
            }
            // The lock file may have been deleted under a live daemon.
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(SocketError::InUse(path.to_owned())),
            _ => {}
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The claimed path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers on the path from now on, until `shutdown` is cancelled; the task ends when the socket is gone.
    ///
    /// # Errors
    /// [`SocketError::Io`].
    pub fn serve(
        self,
        admin: SharedAdmin,
        shutdown: CancellationToken,
    ) -> Result<JoinHandle<()>, SocketError> {
        let listener =
            bind_private(&self.path).map_err(|error| SocketError::Io { path: self.path.clone(), error })?;
        let router = router(admin, shutdown.clone());
        Ok(tokio::spawn(async move {
            let stopped = shutdown.clone();
            let drained = async move {
                stopped.cancelled().await;
                tokio::time::sleep(DRAIN_TIME).await;
            };
            let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
            tokio::select! {
                result = async { served.await } => {
                    if let Err(error) = result {
                        tracing::error!(%error, "the control socket failed");
                    }
                }
                () = drained => tracing::warn!("control clients were cut off at shutdown"),
            }
            // A socket without a daemon only misleads; if it is gone already, all the better.
            let _ = std::fs::remove_file(&self.path);
        }))
    }
}

/// Binds where nobody else can connect before the mode is set, then moves the socket to its place.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let private = folder.join(format!(".{}", std::process::id()));
    match std::fs::remove_dir_all(&private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => DirBuilder::new().mode(0o700).create(&private)?,
    }
    let bound = private.join("s");
    let listener = UnixListener::bind(&bound).and_then(|listener| {
        std::fs::set_permissions(&bound, Permissions::from_mode(0o600))?;
        std::fs::rename(&bound, path)?;
        Ok(listener)
    });
    let tidied = std::fs::remove_dir_all(&private);
    let listener = listener?;
    tidied?;
    Ok(listener)
}
