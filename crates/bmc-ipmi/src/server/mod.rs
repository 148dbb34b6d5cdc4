//! The UDP shell: one socket, one task and one station for each BMC.
//!
//! ```text
//!   socket ──► Station::datagram ──┐
//!   timer  ──► Station::wake       ├──► send, from the address that the question came to
//!   owner  ──► Station::finished ──┘
//!   console ─► Station::work
//!   snapshot ► Station::refresh
//! ```
//!
//! A slow power command runs in a task of its own; the socket is read on meanwhile. The station knows no socket, so that
//! one socket can serve several BMCs, told apart by local address, with another loop than `serve`.

mod config;
mod ending;
mod sol;
mod station;
#[cfg(test)]
mod tests;
mod udp;
mod users;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bmc_core::bmc::{Door, Listener};
use bmc_core::fleet::{Fleet, MachineHandle};
use bmc_core::request::Request;
use ipmi_session::limits;
use rand_core::CryptoRng;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Bmc;

pub use config::{BindError, IpmiConfig, auth_name};
pub use sol::SCROLLBACK_BYTES as SOL_SCROLLBACK_BYTES;
pub use station::REQUESTS_IN_FLIGHT_MAX;
use station::{Outgoing, Station};
use udp::Socket;
pub(crate) use users::{may_log_in, privilege_of, role_of};

/// How long a server that is told to stop waits for commands under way, so that their senders hear how they ended.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long a socket that cannot be read is left alone.
const READ_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The IPMI endpoint of one BMC. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct IpmiServer {
    local_addr: SocketAddr,
    bmc: Arc<Bmc>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl IpmiServer {
    /// Opens the socket and serves the machine on it. When this returns, datagrams are answered.
    ///
    /// `fleet` lends its clock, lock-outs and event log; `random` must be unpredictable, since session keys depend on it.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn bind(
        address: SocketAddr,
        machine: MachineHandle,
        fleet: &Fleet,
        config: IpmiConfig,
        random: impl CryptoRng + Send + 'static,
    ) -> Result<Self, BindError> {
        config.check(address.ip())?;
        let socket = Socket::bind(address).await.map_err(|error| BindError::new(address, error))?;
        let local_addr = socket.local_addr().map_err(|error| BindError::new(address, error))?;
        let station = Station::new(machine.clone(), fleet, config, local_addr, Box::new(random))?;
        station.listens_on(local_addr.ip());
        let listener = Listener { address: local_addr, tls: false };
        // A machine that is gone needs not be told.
        let _ = machine.request(Request::Serves(Door::Ipmi, Some(listener))).await;
        let stop = CancellationToken::new();
        let bmc = Arc::clone(station.bmc());
        let task = tokio::spawn(serve(socket, station, machine, stop.clone()));
        Ok(Self { local_addr, bmc, stop: stop.drop_guard(), task })
    }

    /// Where it listens; the real port when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What the doors of this BMC share; for [`SystemInterface`](crate::SystemInterface).
    pub fn bmc(&self) -> &Arc<Bmc> {
        &self.bmc
    }

    /// Stops: nothing new is read, commands under way are answered within [`STOP_GRACE`], sessions end, the port is free when this
    /// returns.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(address = %self.local_addr, %error, "the IPMI endpoint ended abnormally");
        }
    }
}

async fn serve(socket: Socket, mut station: Station, machine: MachineHandle, stop: CancellationToken) {
    // One byte more than is looked at shows that a datagram is too long.
    let mut buffer = vec![0; limits::MAX_DATAGRAM + 1];
    let mut snapshots = machine.subscribe();
    let mut machine_is_there = true;
    loop {
        let wake = station.next_wake();
        let timer = async {
            match wake {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            received = socket.receive(&mut buffer) => match received {
                Ok(received) => {
                    let datagram = buffer.get(..received.length).unwrap_or_default();
                    send(&socket, station.datagram(received.local, received.peer, datagram).await).await;
                }
                Err(error) => read_failed(&error).await,
            },
            work = station.next_work() => send(&socket, station.work(work)).await,
            changed = snapshots.changed(), if machine_is_there => match changed {
                Ok(()) => send(&socket, station.refresh().await).await,
                Err(_) => machine_is_there = false,
            },
            () = timer => send(&socket, station.wake().await).await,
        }
    }
    let drain = async {
        while station.is_busy() {
            if let Some(finished) = station.next_finished().await {
                send(&socket, station.finished(finished)).await;
            }
        }
    };
    // What has not ended by now is answered by nobody; its outcome is an event of the machine.
    let _ = tokio::time::timeout(STOP_GRACE, drain).await;
    station.close().await;
    let _ = machine.request(Request::Serves(Door::Ipmi, None)).await;
}

/// Where every datagram leaves. One that cannot be sent is lost, as the network may lose any; its sender asks again.
async fn send(socket: &Socket, outgoing: impl IntoIterator<Item = Outgoing>) {
    for Outgoing { transmit, local } in outgoing {
        if let Err(error) = socket.send(&transmit.bytes, transmit.to, local).await {
            tracing::debug!(to = %transmit.to, %error, "datagram not sent");
        }
    }
}

async fn read_failed(error: &io::Error) {
    tracing::warn!(%error, "the IPMI socket cannot be read");
    tokio::time::sleep(READ_ERROR_PAUSE).await;
}
