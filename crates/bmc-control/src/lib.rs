//! The admin API of the daemon: HTTP with JSON on a Unix socket, and its client.
//!
//! The daemon implements [`Admin`] and serves it with [`ControlSocket`]; the command line uses [`Client`]. What goes over the socket
//! are the types of [`types`]: an interface that stays stable, described by `docs/control-api.yaml`. The route table in [`routes`] is
//! compared with that document by a test.
//!
//! What is absent: protocols, backends, the store. Passwords travel to the daemon and never back.

mod client;
mod console;
mod error;
pub mod routes;
mod screen;
mod server;
mod socket;
#[cfg(test)]
mod tests;
pub mod types;

use std::sync::Arc;

use async_trait::async_trait;
use bmc_core::console::Console;
use bmc_core::event::Event;
use bmc_core::media::MediaSlot;
use bmc_core::power::PowerAction;
use bmc_core::screen::Screenshot;
use bmc_core::system_interface::SystemInterfaceKind;
use tokio::sync::broadcast;

pub use client::{Client, ClientError, EventLines};
pub use console::ConsoleOutput;
pub use error::{ControlError, ErrorKind};
pub use routes::router;
pub use socket::{ControlSocket, SOCKET_PATH_MAX_BYTES, SocketError};
use types::{
    AddBmc, BmcDetail, BmcSummary, BootView, DriveView, InsertImage, PowerReply, ReloadReport, SelView,
    SensorView, SetBmc, SetBoot, SystemInterfaceView, VersionInfo,
};

/// What the daemon can be told over its control socket.
///
/// `name` is everywhere a BMC's name, its machine's UUID or its machine's name in the backend.
///
/// # Errors
/// Every fallible call: a [`ControlError`] whose sentence says what to do.
#[async_trait]
pub trait Admin: Send + Sync + 'static {
    /// Who answers.
    async fn version(&self) -> VersionInfo;
    /// All BMCs in order of name.
    async fn list(&self) -> Vec<BmcSummary>;
    /// One BMC.
    async fn show(&self, name: &str) -> Result<BmcDetail, ControlError>;
    /// A new BMC, kept across restarts; returns when it serves.
    async fn add(&self, bmc: AddBmc) -> Result<BmcDetail, ControlError>;
    /// Changes a BMC; sessions end only where its endpoints or account change.
    async fn set(&self, name: &str, change: SetBmc) -> Result<BmcDetail, ControlError>;
    /// Ends a BMC; `keep_state` keeps its boot override, accounts and identity for a later BMC of the same name.
    async fn remove(&self, name: &str, keep_state: bool) -> Result<(), ControlError>;
    /// Lets a stopped BMC serve again.
    async fn start(&self, name: &str) -> Result<BmcDetail, ControlError>;
    /// Closes a BMC's endpoints, until it is started; kept across restarts. The machine is left alone.
    async fn stop(&self, name: &str) -> Result<BmcDetail, ControlError>;
    /// A power action on the machine.
    async fn power(&self, name: &str, action: PowerAction) -> Result<PowerReply, ControlError>;
    /// The boot override.
    async fn boot(&self, name: &str) -> Result<BootView, ControlError>;
    /// Sets or clears the boot override.
    async fn set_boot(&self, name: &str, boot: SetBoot) -> Result<BootView, ControlError>;
    /// The drives for virtual media.
    async fn media(&self, name: &str) -> Result<Vec<DriveView>, ControlError>;
    /// Fetches an image and puts it into a drive; returns when it is in.
    async fn insert(&self, name: &str, drive: MediaSlot, image: InsertImage) -> Result<(), ControlError>;
    /// Empties a drive.
    async fn eject(&self, name: &str, drive: MediaSlot) -> Result<(), ControlError>;
    /// The event log.
    async fn sel(&self, name: &str) -> Result<SelView, ControlError>;
    /// Deletes all entries of the event log.
    async fn clear_sel(&self, name: &str) -> Result<(), ControlError>;
    /// The machine's serial console.
    async fn console(&self, name: &str) -> Result<Console, ControlError>;
    /// What the machine's screen shows now.
    async fn screenshot(&self, name: &str) -> Result<Screenshot, ControlError>;
    /// The sensors with a reading.
    async fn sensors(&self, name: &str) -> Result<Vec<SensorView>, ControlError>;
    /// Kept events with an id above `after`, and all later ones without a gap.
    fn events(&self, after: u64) -> (Vec<Event>, broadcast::Receiver<Event>);
    /// The machine's own way to its BMC.
    async fn system_interface(&self, name: &str) -> Result<SystemInterfaceView, ControlError>;
    /// Serves a device of this kind, and puts it into the machine's definition where there is one; with `None` takes it out, and serves none.
    async fn set_system_interface(
        &self,
        name: &str,
        kind: Option<SystemInterfaceKind>,
    ) -> Result<SystemInterfaceView, ControlError>;
    /// Applies a changed configuration file.
    async fn reload(&self) -> Result<ReloadReport, ControlError>;
}

/// The daemon, as handlers hold it.
pub type SharedAdmin = Arc<dyn Admin>;
