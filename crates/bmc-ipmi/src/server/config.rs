//! What a server is told, and why it may not start.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bmc_core::settings::{ChannelAccess, LanSettings};
use bmc_core::snapshot::Snapshot;
use ipmi_session::config::proves_packets;
use ipmi_session::{AuthPolicy, Config, ConfigError, Password, SuitePolicy, limits};
use ipmi_wire::session::v15::AuthType;
use ipmi_wire::{PrivilegeLevel, guid};
use thiserror::Error;

use super::users::privilege_of;
use crate::{DeviceProfile, LanChannel, table};

/// How one BMC serves IPMI. What clients set within it is kept in the machine's settings.
#[derive(Clone, Debug)]
pub struct IpmiConfig {
    /// The number of the LAN channel, 1 to 11.
    pub channel: u8,
    /// The cipher suites that are accepted, with the highest level of each.
    pub suites: Vec<SuitePolicy>,
    /// The authentication types of IPMI 1.5 sessions; empty: there are no such sessions.
    pub ipmi15_auth: Vec<AuthType>,
    /// K_G, the BMC's own key, which consoles must know besides the user's password, until a client sets another. One of zeros
    /// is none (IPMI 2.0 §13.33).
    pub kg: Option<Password>,
    /// How long a session may be silent.
    pub inactivity_timeout: Duration,
    /// Sessions at a time, at most [`limits::MAX_SESSIONS`].
    pub sessions_max: usize,
    /// The UDP port at the destinations of alerts.
    pub trap_port: u16,
    /// Who the controller says it is.
    pub profile: DeviceProfile,
}

impl Default for IpmiConfig {
    fn default() -> Self {
        let full = |id| SuitePolicy::new(id, PrivilegeLevel::Administrator).ok();
        Self {
            channel: 1,
            suites: [3, 17].into_iter().filter_map(full).collect(),
            ipmi15_auth: Vec::new(),
            kg: None,
            inactivity_timeout: limits::INACTIVITY_TIMEOUT,
            sessions_max: limits::DEFAULT_SESSIONS,
            trap_port: ipmi_wire::pet::PORT,
            profile: DeviceProfile::default(),
        }
    }
}

impl IpmiConfig {
    /// The session layer's configuration for a machine as it is now: the server's own, within what clients have set. What proves
    /// nothing is for those who listen on `loopback` alone.
    pub(crate) fn for_sessions(
        &self,
        snapshot: &Snapshot,
        access: &ChannelAccess,
        loopback: bool,
    ) -> Result<Config, ConfigError> {
        let mut config = Config::new(guid::to_wire(snapshot.uuid.into_bytes()));
        let settings = &snapshot.settings;
        config.set_suites(within(&self.suites, &settings.lan))?;
        config.channel = self.channel;
        config.max_privilege = privilege_of(access.privilege_limit).unwrap_or(PrivilegeLevel::Callback);
        config.per_message_auth = access.per_message_authentication || !loopback;
        config.bmc_key = match &settings.keys.kg {
            Some(key) => Password::new(key.expose()),
            None => self.kg.clone(),
        };
        config.bmc_key = config.bmc_key.filter(|kg| !kg.is_null());
        config.random_key = settings.keys.kr.as_ref().and_then(|key| Password::new(key.expose()));
        config.ipmi15_auth =
            self.ipmi15_auth.iter().map(|auth_type| for_levels(*auth_type, &settings.lan)).collect();
        config.ipmi15_auth.retain(|policy| !policy.levels.is_empty());
        config.inactivity_timeout = self.inactivity_timeout;
        config.max_sessions = self.sessions_max;
        config.changes = table::changes;
        Ok(config)
    }

    /// The channel as commands tell of it, from what the session layer was told, at the address that it listens on.
    pub(crate) fn channel_of(&self, config: &Config, address: SocketAddr) -> LanChannel {
        LanChannel {
            number: config.channel,
            max_privilege: config.max_privilege,
            suites: config.suites().to_vec(),
            configured_suites: self.suites.clone(),
            ipmi15_auth: config.ipmi15_auth.clone(),
            configured_ipmi15_auth: self.ipmi15_auth.clone(),
            per_message_auth: config.per_message_auth,
            kg: config.bmc_key.clone(),
            loopback: is_loopback(address.ip()),
            port: address.port(),
        }
    }

    /// What of this is for loopback alone, in words: whoever reaches the port could act without proving who he is.
    fn is_open(&self) -> Option<String> {
        let suite = self.suites.iter().map(|policy| &policy.suite).find(|suite| !proves_packets(suite));
        if let Some(suite) = suite {
            return Some(format!("cipher suite {} does not prove where packets come from", suite.id));
        }
        let bare = |auth_type: &&AuthType| matches!(auth_type, AuthType::None | AuthType::Password);
        let bare = self.ipmi15_auth.iter().find(bare)?;
        let what =
            if *bare == AuthType::None { "asks for no password" } else { "sends the password in plain text" };
        Some(format!("the IPMI 1.5 authentication type `{}` {what}", auth_name(*bare)))
    }

    /// Whether this may be served at an address.
    ///
    /// # Errors
    /// [`BindError::Open`] off loopback for what proves nothing.
    pub fn check(&self, address: IpAddr) -> Result<(), BindError> {
        match self.is_open() {
            Some(what) if !is_loopback(address) => Err(BindError::Open { address, what }),
            _ => Ok(()),
        }
    }
}

/// Whether only this host reaches what listens at an address.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The name of an authentication type in configurations.
pub const fn auth_name(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::None => "none",
        AuthType::Md2 => "md2",
        AuthType::Md5 => "md5",
        AuthType::Password => "password",
        AuthType::Oem => "oem",
    }
}

/// The suites with the levels that clients left them (LAN parameter 24); one without any level is off.
fn within(suites: &[SuitePolicy], lan: &LanSettings) -> Vec<SuitePolicy> {
    let limited =
        suites.iter().filter_map(|policy| match lan.cipher_suite_privileges.get(&policy.suite.id) {
            None => Some(*policy),
            Some(role) => {
                let max_privilege = privilege_of(*role)?.min(policy.max_privilege);
                Some(SuitePolicy { max_privilege, ..*policy })
            }
        });
    limited.collect()
}

/// The levels at which clients left an authentication type of IPMI 1.5 on (LAN parameter 2).
fn for_levels(auth_type: AuthType, lan: &LanSettings) -> AuthPolicy {
    let mut policy = AuthPolicy::everywhere(auth_type);
    if let Some(enables) = &lan.auth_type_enables {
        let mut masks = enables.iter();
        policy.levels.retain(|_| masks.next().is_some_and(|mask| mask >> (auth_type as u8) & 1 == 1));
    }
    policy
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
    /// What the configuration allows would let others in without proof.
    #[error(
        "{what}, so it is for loopback alone and not for {address}: listen on 127.0.0.1, or take it out of the configuration"
    )]
    Open {
        /// Where it was to listen.
        address: IpAddr,
        /// What is wrong with it.
        what: String,
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
