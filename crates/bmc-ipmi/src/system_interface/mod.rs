//! The guest's own door: a Unix socket for each BMC, to which the IPMI device in the virtual machine is connected (QEMU's
//! `ipmi-bmc-extern`, in [`ipmi_wire::vm`]'s protocol). What comes over it goes through the same handlers as the LAN's requests.
//!
//! ```text
//!   guest ──► KCS or BT device ──► emulator ──► socket ──► link ──► dispatch ──► bmc-core
//! ```
//!
//! Whoever can connect is a full administrator, as software on a machine is for the BMC in it: the socket's owner and mode are the lock.
//! One machine is connected at a time; whoever comes meanwhile is turned away, and comes again. An interface without a machine is a task that
//! waits for one.

mod link;
mod socket;
mod state;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bmc_core::system_interface::SystemInterfaceKind;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use socket::{SOCKET_PATH_MAX_BYTES, SystemInterfaceError};
pub(crate) use state::{Interface, Signals, message_flag};

use crate::Bmc;

/// The number of the system interface's channel (IPMI 2.0 table 6-1).
pub const SYSTEM_INTERFACE_CHANNEL: u8 = 0x0f;
/// How long a socket that cannot be accepted from is left alone.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);
/// After one connection was turned away, the next one waits so long: a program that tries without end does not keep the daemon busy.
const TURN_AWAY_PAUSE: Duration = Duration::from_millis(100);

/// Where a system interface is to be had, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemInterfaceConfig {
    /// The Unix socket. Its folder is made if it is not there.
    pub socket: PathBuf,
    /// Which kind of device the machine has.
    pub kind: SystemInterfaceKind,
    /// The user whose programs may connect; `None`: the daemon's own.
    pub owner: Option<u32>,
    /// The group whose members may connect; `None`: no group's.
    pub group: Option<u32>,
}

/// The system interface of one BMC. Dropping it ends it without waiting.
#[derive(Debug)]
pub struct SystemInterface {
    config: SystemInterfaceConfig,
    bmc: Arc<Bmc>,
    connected: Arc<AtomicBool>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl SystemInterface {
    /// Opens the socket for the BMC that an [`IpmiServer`](crate::IpmiServer) serves, whose handlers it shares. When this returns, a machine can connect.
    ///
    /// # Errors
    /// See [`SystemInterfaceError`].
    pub fn bind(config: SystemInterfaceConfig, bmc: Arc<Bmc>) -> Result<Self, SystemInterfaceError> {
        let listener = socket::bind(&config)?;
        bmc.with_interface(|interface| interface.kind = Some(config.kind));
        let connected = Arc::new(AtomicBool::new(false));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, Arc::clone(&bmc), Arc::clone(&connected), stop.clone()));
        Ok(Self { config, bmc, connected, stop: stop.drop_guard(), task })
    }

    /// What it was opened with.
    pub fn config(&self) -> &SystemInterfaceConfig {
        &self.config
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.config.socket
    }

    /// Whether a machine is connected.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Ends it: the machine is disconnected, and the socket is gone when this returns.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(socket = %self.config.socket.display(), %error, "the system interface ended abnormally");
        }
        self.bmc.with_interface(|interface| *interface = Interface::default());
        // Somebody else's, or gone already: that is as well.
        let _ = std::fs::remove_file(&self.config.socket);
    }
}

async fn serve(listener: UnixListener, bmc: Arc<Bmc>, connected: Arc<AtomicBool>, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            stream = accept(&listener) => stream,
        };
        connected.store(true, Ordering::Relaxed);
        let name = bmc.machine().name().clone();
        tracing::info!(bmc = %name, "a machine is connected to its system interface");
        let end = tokio::select! {
            () = stop.cancelled() => return,
            () = turn_away(&listener, &name) => return,
            end = link::run(stream, &bmc) => end,
        };
        connected.store(false, Ordering::Relaxed);
        bmc.with_interface(Interface::reset);
        tracing::info!(bmc = %name, %end, "the machine is disconnected from its system interface");
    }
}

async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken on a system interface");
                tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
            }
        }
    }
}

/// Ends every further connection at once.
async fn turn_away(listener: &UnixListener, name: &str) {
    loop {
        drop(accept(listener).await);
        tracing::debug!(bmc = %name, "another connection to the system interface was turned away: one machine has it");
        tokio::time::sleep(TURN_AWAY_PAUSE).await;
    }
}
