//! What a server is told, and why it may not start.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bmc_core::snapshot::Snapshot;
use ipmi_session::{Config, ConfigError, Password, limits};
use ipmi_wire::guid;
use thiserror::Error;

use crate::{DeviceProfile, LanChannel, table};

/// How one BMC serves IPMI.
#[derive(Clone, Debug)]
pub struct IpmiConfig {
    /// The number of the LAN channel, 1 to 11.
    pub channel: u8,
    /// Numbers of the cipher suites that are accepted.
    pub cipher_suites: Vec<u8>,
    /// K_G, the BMC's own key, which consoles must know besides the user's password. One of zeros is none (IPMI 2.0 §13.33).
    pub kg: Option<Password>,
    /// How long a session may be silent.
    pub inactivity_timeout: Duration,
    /// Sessions at a time, at most [`limits::MAX_SESSIONS`].
    pub sessions_max: usize,
    /// Who the controller says it is.
    pub profile: DeviceProfile,
}

impl Default for IpmiConfig {
    fn default() -> Self {
        Self {
            channel: 1,
            cipher_suites: vec![3, 17],
            kg: None,
            inactivity_timeout: limits::INACTIVITY_TIMEOUT,
            sessions_max: limits::DEFAULT_SESSIONS,
            profile: DeviceProfile::default(),
        }
    }
}

impl IpmiConfig {
    /// The session layer's configuration for a machine as it is now.
    pub(crate) fn for_sessions(&self, snapshot: &Snapshot) -> Result<Config, ConfigError> {
        let mut config = Config::new(guid::to_wire(snapshot.uuid.into_bytes()));
        config.set_cipher_suites(&self.cipher_suites)?;
        config.channel = self.channel;
        config.bmc_key = self.kg.clone().filter(|kg| !kg.is_null());
        config.inactivity_timeout = self.inactivity_timeout;
        config.max_sessions = self.sessions_max;
        config.changes = table::changes;
        Ok(config)
    }
}

/// The channel as commands tell of it, from what the session layer was told.
pub(crate) fn lan_channel(config: &Config, port: u16) -> LanChannel {
    LanChannel {
        number: config.channel,
        max_privilege: config.max_privilege,
        cipher_suites: config.cipher_suites().to_vec(),
        kg_set: config.bmc_key.is_some(),
        port,
    }
}

/// Why a server does not start. The message names the address and what to do.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody has the port.
    #[error(
        "UDP {0} is taken by another BMC or program; choose another port, or find out who has it: ss -lunp 'sport = :{port}'",
        port = .0.port()
    )]
    InUse(SocketAddr),
    /// The port needs rights.
    #[error(
        "no right to open UDP {0}; choose a port above 1023, run as root, or grant the capability: setcap cap_net_bind_service=+ep on the program"
    )]
    Forbidden(SocketAddr),
    /// The address is not one of this host.
    #[error(
        "{ip} is no address of this host (wanted UDP {0}); add it first, for instance: ip address add {ip} dev lo, or choose another",
        ip = .0.ip()
    )]
    NoSuchAddress(SocketAddr),
    /// Something else.
    #[error("UDP {address} cannot be opened: {error}")]
    Other {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The configuration.
    #[error("the IPMI configuration is wrong: {0}")]
    Config(#[from] ConfigError),
}

impl BindError {
    pub(crate) fn new(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::Forbidden(address),
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress(address),
            _ => Self::Other { address, error },
        }
    }
}
