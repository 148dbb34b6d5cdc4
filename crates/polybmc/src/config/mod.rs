//! `polybmc.toml`: read, checked as a whole, and resolved so that the rest of the program cannot hold a bad value.
//!
//! All problems of a file are told at once, each as `FILE:LINE: what is wrong and what would be right`.

mod check;
mod discover;
mod kg;
mod nearest;
mod parse;
mod pool;
mod reader;
mod suites;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bmc_core::account::Secret;
use bmc_core::power::PowerPolicy;
use bmc_core::system_interface::SystemInterfaceKind;
use bmc_media::Limits;
use bmc_redfish::RedfishConfig;
use ipmi_session::SuitePolicy;
use ipmi_wire::session::v15::AuthType;
use thiserror::Error;

pub(crate) use check::{EXPOSED_MEND, NAME_RULE, exposed, is_bmc_name};
pub(crate) use discover::Discover;
use kg::Kg;
pub(crate) use nearest::nearest;
pub(crate) use parse::{first_line, read_password};
pub(crate) use pool::Pool;

/// The file looked for in the working folder.
pub(crate) const FILE_HERE: &str = "polybmc.toml";
/// The file looked for next.
pub(crate) const FILE_SYSTEM: &str = "/etc/polybmc/polybmc.toml";
/// First IPMI port of BMCs that share an address.
pub(crate) const IPMI_PORT: u16 = 6230;
/// First Redfish port of BMCs that share an address.
pub(crate) const REDFISH_PORT: u16 = 8100;
/// Port of the Redfish root over all BMCs.
pub(crate) const AGGREGATE_PORT: u16 = 8000;
/// IPMI port of a BMC with an address of its own (RMCP, IANA).
pub(crate) const IPMI_STANDARD_PORT: u16 = 623;
/// Redfish port of a BMC with an address of its own.
pub(crate) const REDFISH_STANDARD_PORT: u16 = 443;
/// Administrator's name without configuration.
pub(crate) const DEFAULT_USERNAME: &str = "admin";
/// Administrator's password without configuration; refused off loopback.
pub(crate) const DEFAULT_PASSWORD: &str = "password";
/// What `allow_default_password` has to say.
pub(crate) const ALLOW_DEFAULT_PASSWORD: &str = "I know that anyone on this network can log in";
/// The built-in simulator's name as a backend.
pub(crate) const SIM: &str = "sim";

/// A value and the line it stands on. Two are equal when their values are: moving a line changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

impl<T> Located<T> {
    fn with<U>(&self, value: U) -> Located<U> {
        Located { value, line: self.line }
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// One thing wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Everything wrong with the file.
#[derive(Debug, Error)]
pub(crate) struct ConfigError {
    pub(crate) file: PathBuf,
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.problems.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: {}", self.file.display(), problem.line, problem.message)?;
        }
        Ok(())
    }
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// Where it was read from; `None` for the built-in one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) daemon: DaemonConfig,
    pub(crate) media: MediaConfig,
    pub(crate) system_interface: SystemInterfacePlace,
    pub(crate) aggregate: AggregateConfig,
    pub(crate) backends: BTreeMap<String, BackendConfig>,
    pub(crate) defaults: Defaults,
    /// The BMCs of `[[bmc]]` and `[[fleet]]`, defaults filled in, in the file's order.
    pub(crate) bmcs: Vec<BmcConfig>,
}

/// `[daemon]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DaemonConfig {
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) control: Option<PathBuf>,
    pub(crate) log: Option<String>,
}

/// `[media]`: where images for virtual media are kept, and what bounds them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MediaConfig {
    /// `None`: `media` in the state folder.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) limits: Limits,
}

/// `[system_interface]`: where the machines' own ways to their BMCs lie, and whose emulators may connect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SystemInterfacePlace {
    /// `None`: `polybmc-system-interface` beside the control socket.
    pub(crate) dir: Option<PathBuf>,
    /// The name of the user; `None`: under root libvirt's emulators', else the daemon's own.
    pub(crate) owner: Option<String>,
    /// The name of a group whose members may connect too.
    pub(crate) group: Option<String>,
}

/// `[redfish]`: the root over all BMCs, and what all Redfish services have in common.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregateConfig {
    /// `None` when it is off.
    pub(crate) listen: Option<Located<SocketAddr>>,
    pub(crate) username: String,
    pub(crate) password: Secret,
    /// Whether a PATCH must come with `If-Match`; for every service.
    pub(crate) require_if_match: bool,
    /// What bounds every service.
    pub(crate) limits: RedfishLimits,
}

/// What bounds a Redfish service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedfishLimits {
    /// Largest firmware image in bytes.
    pub(crate) update_max_bytes: u64,
    /// How long a client may take to send one.
    pub(crate) update_timeout: Duration,
    /// How long it may stop doing so.
    pub(crate) update_stall: Duration,
    /// Sessions open at once.
    pub(crate) sessions: usize,
    /// How long a session may stay unused until a client says otherwise.
    pub(crate) session_timeout: Duration,
    /// Connections served at once.
    pub(crate) connections: usize,
}

impl Default for RedfishLimits {
    fn default() -> Self {
        let service = RedfishConfig::default();
        Self {
            update_max_bytes: service.update_max_bytes,
            update_timeout: service.update_timeout,
            update_stall: service.update_stall,
            sessions: service.sessions_max,
            session_timeout: service.session_timeout,
            connections: service.connections_max,
        }
    }
}

impl AggregateConfig {
    /// How each service behaves.
    pub(crate) fn service(&self) -> RedfishConfig {
        RedfishConfig {
            require_if_match: self.require_if_match,
            update_max_bytes: self.limits.update_max_bytes,
            update_timeout: self.limits.update_timeout,
            update_stall: self.limits.update_stall,
            sessions_max: self.limits.sessions,
            session_timeout: self.limits.session_timeout,
            connections_max: self.limits.connections,
            ..RedfishConfig::default()
        }
    }
}

/// `[backend.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BackendConfig {
    Sim(SimSettings),
    Libvirt {
        uri: String,
        /// Whether the machines' serial consoles are held, and served, or left to others.
        console: bool,
        /// Whether machines have the BMC's CD drive from their start on.
        media_tray: bool,
        raid: RaidSettings,
        /// Which of its domains get a BMC by themselves; `None`: none.
        discover: Option<Discover>,
    },
}

impl BackendConfig {
    /// What the backend itself is made by.
    pub(crate) fn without_discover(mut self) -> Self {
        if let Self::Libvirt { discover, .. } = &mut self {
            *discover = None;
        }
        self
    }
}

/// A simulator's manners; what is `None` is the simulator's own default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SimSettings {
    pub(crate) seed: Option<u64>,
    pub(crate) post_ms: Option<u64>,
    pub(crate) boot_ms: Option<u64>,
    pub(crate) shutdown_ms: Option<u64>,
    /// Size of each of a machine's own disks.
    pub(crate) disk_gib: Option<u64>,
    pub(crate) raid: RaidSettings,
}

/// The RAID controllers of a backend's machines; what is `None` is the backend's own default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RaidSettings {
    /// The storage pool of libvirt that drives are shares of.
    pub(crate) pool: Option<String>,
    pub(crate) drives: Option<u8>,
    pub(crate) drive_gib: Option<u64>,
}

/// How Redfish endpoints are secured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum TlsConfig {
    /// A self-signed certificate, made once and kept.
    #[default]
    Auto,
    /// Plain HTTP.
    Off,
    /// PEM files.
    Files { cert: PathBuf, key: PathBuf },
}

/// `[defaults]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Defaults {
    pub(crate) backend: Located<String>,
    pub(crate) username: String,
    pub(crate) password: Secret,
    pub(crate) allow_default_password: bool,
    pub(crate) places: Places,
    pub(crate) tls: TlsConfig,
    pub(crate) cipher_suites: Vec<SuitePolicy>,
    /// Authentication types of IPMI 1.5 sessions; empty: none are offered.
    pub(crate) ipmi15_auth: Vec<AuthType>,
    /// The BMC key; `None`: one-key logins.
    pub(crate) kg: Option<Kg>,
    /// The UDP port at the destinations of alerts.
    pub(crate) trap_port: u16,
    pub(crate) power_policy: Option<PowerPolicy>,
    /// As in [`BmcConfig`].
    pub(crate) system_interface: Option<SystemInterfaceWord>,
}

/// Where BMCs without an endpoint of their own get one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Places {
    /// The address they share; unused with a pool.
    pub(crate) address: Located<IpAddr>,
    /// An address each.
    pub(crate) pool: Option<Located<Pool>>,
    /// First port, or with a pool the port.
    pub(crate) ipmi_port: u16,
    /// First port, or with a pool the port.
    pub(crate) redfish_port: u16,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            address: Located { value: IpAddr::V4(Ipv4Addr::LOCALHOST), line: 0 },
            pool: None,
            ipmi_port: IPMI_PORT,
            redfish_port: REDFISH_PORT,
        }
    }
}

/// Identity for FRU and Redfish, as far as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct IdentityConfig {
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) asset_tag: Option<String>,
}

/// One BMC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BmcConfig {
    pub(crate) name: String,
    /// Where its table begins.
    pub(crate) line: usize,
    pub(crate) backend: String,
    pub(crate) machine: String,
    /// `None`: allocated from `places` and kept.
    pub(crate) ipmi: Option<Located<SocketAddr>>,
    /// `None`: allocated from `places` and kept.
    pub(crate) redfish: Option<Located<SocketAddr>>,
    pub(crate) places: Places,
    pub(crate) username: String,
    pub(crate) password: Secret,
    pub(crate) power_policy: Option<PowerPolicy>,
    pub(crate) identity: IdentityConfig,
    pub(crate) enabled: bool,
    pub(crate) cipher_suites: Vec<SuitePolicy>,
    /// Authentication types of IPMI 1.5 sessions; empty: none are offered.
    pub(crate) ipmi15_auth: Vec<AuthType>,
    /// The BMC key; `None`: one-key logins.
    pub(crate) kg: Option<Kg>,
    /// The UDP port at the destinations of alerts.
    pub(crate) trap_port: u16,
    /// The machine's own way to the BMC; `None`: as `polybmc system-interface` has last said.
    pub(crate) system_interface: Option<SystemInterfaceWord>,
}

/// What a file says of a system interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemInterfaceWord {
    /// There is none.
    Off,
    /// There is one of this kind.
    On(SystemInterfaceKind),
}

impl BmcConfig {
    /// Whether nothing has to be done when the one takes the other's place. On which line it stands does not matter.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        *self == Self { line: self.line, ..other.clone() }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            backend: Located { value: SIM.to_owned(), line: 0 },
            username: DEFAULT_USERNAME.to_owned(),
            password: Secret::new(DEFAULT_PASSWORD),
            allow_default_password: false,
            places: Places::default(),
            tls: TlsConfig::default(),
            cipher_suites: suites::default_suites(),
            ipmi15_auth: Vec::new(),
            kg: None,
            trap_port: ipmi_wire::pet::PORT,
            power_policy: None,
            system_interface: None,
        }
    }
}

impl Default for Config {
    /// What a daemon without a file runs by.
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, AGGREGATE_PORT));
        Self {
            file: None,
            daemon: DaemonConfig::default(),
            media: MediaConfig::default(),
            system_interface: SystemInterfacePlace::default(),
            aggregate: AggregateConfig {
                listen: Some(Located { value: listen, line: 0 }),
                username: DEFAULT_USERNAME.to_owned(),
                password: Secret::new(DEFAULT_PASSWORD),
                require_if_match: false,
                limits: RedfishLimits::default(),
            },
            backends: BTreeMap::new(),
            defaults: Defaults::default(),
            bmcs: Vec::new(),
        }
    }
}

impl Defaults {
    /// A BMC with nothing of its own but a name.
    pub(crate) fn bmc(&self, name: &str) -> BmcConfig {
        BmcConfig {
            name: name.to_owned(),
            line: 0,
            backend: self.backend.value.clone(),
            machine: name.to_owned(),
            ipmi: None,
            redfish: None,
            places: self.places.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            power_policy: self.power_policy,
            identity: IdentityConfig::default(),
            enabled: true,
            cipher_suites: self.cipher_suites.clone(),
            ipmi15_auth: self.ipmi15_auth.clone(),
            kg: self.kg.clone(),
            trap_port: self.trap_port,
            system_interface: self.system_interface,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| anyhow::anyhow!("cannot read the configuration {}: {error}", file.display()))?;
        Ok(Self::parse(file, &text)?)
    }

    /// Reads and checks a text; `file` names it in messages and anchors relative paths.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        parse::parse(file, text)
    }

    /// The file a daemon started without `--config` uses, if there is one.
    pub(crate) fn find_file() -> Option<PathBuf> {
        [FILE_HERE, FILE_SYSTEM].into_iter().map(PathBuf::from).find(|file| file.exists())
    }
}
