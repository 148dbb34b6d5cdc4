//! What an endpoint is told about its BMC.

use std::time::Duration;

use ipmi_wire::{
    NetFn, PrivilegeLevel,
    cipher::{AuthAlgorithm, CipherSuite, ConfidentialityAlgorithm, IntegrityAlgorithm},
    session::v15::AuthType,
};
use thiserror::Error;

use crate::{Password, limits};

/// Why a configuration was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// No standard suite has this number.
    #[error("there is no cipher suite {0}")]
    UnknownSuite(u8),
    /// The suite's algorithms are not implemented here.
    #[error("cipher suite {0} is not supported (supported are 0 to 3, 6 to 8, 11, 12 and 15 to 17)")]
    UnsupportedSuite(u8),
    /// A suite stands there twice.
    #[error("cipher suite {0} is listed twice")]
    SuiteTwice(u8),
}

/// A suite that is on, and how far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuitePolicy {
    /// The suite.
    pub suite: CipherSuite,
    /// The highest level that a session with this suite can have.
    pub max_privilege: PrivilegeLevel,
}

impl SuitePolicy {
    /// A standard suite.
    ///
    /// # Errors
    /// [`ConfigError`] for a suite that does not exist or is not implemented.
    pub fn new(id: u8, max_privilege: PrivilegeLevel) -> Result<Self, ConfigError> {
        let suite = CipherSuite::by_id(id).ok_or(ConfigError::UnknownSuite(id))?;
        if is_supported(&suite) {
            Ok(Self { suite, max_privilege })
        } else {
            Err(ConfigError::UnsupportedSuite(id))
        }
    }
}

/// A way to authenticate sessions of IPMI 1.5, and for which levels it may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthPolicy {
    /// The authentication type.
    pub auth_type: AuthType,
    /// The levels that Activate Session may ask for with it.
    pub levels: Vec<PrivilegeLevel>,
}

impl AuthPolicy {
    /// The type for every level.
    #[must_use]
    pub fn everywhere(auth_type: AuthType) -> Self {
        use PrivilegeLevel as P;
        Self { auth_type, levels: vec![P::Callback, P::User, P::Operator, P::Administrator, P::Oem] }
    }

    /// Whether sessions of this level may use the type.
    #[must_use]
    pub fn allows(&self, level: PrivilegeLevel) -> bool {
        self.levels.contains(&level)
    }
}

/// The configuration of one BMC's endpoint.
#[derive(Debug, Clone)]
pub struct Config {
    /// The system's GUID in wire order ([`ipmi_wire::guid::to_wire`]).
    pub guid: [u8; 16],
    /// The number of the LAN channel.
    pub channel: u8,
    /// The highest level that the channel gives to anyone.
    pub max_privilege: PrivilegeLevel,
    /// K_G, the BMC's own key: consoles must know it besides the user's password.
    pub bmc_key: Option<Password>,
    /// K_R: what the random numbers of RAKP 2 are keyed with besides (IPMI 2.0 §22.25).
    pub random_key: Option<Password>,
    /// How long a session may be silent.
    pub inactivity_timeout: Duration,
    /// How many sessions may be active; at most [`limits::MAX_SESSIONS`].
    pub max_sessions: usize,
    /// Which commands change something. When such a message comes again within [`limits::RESEND_WINDOW`], as ipmitool
    /// repeats itself, it is answered as before and not carried out twice. What only reads is read afresh.
    pub changes: fn(NetFn, u8) -> bool,
    /// How sessions of IPMI 1.5 may be opened; empty: none are offered.
    pub ipmi15_auth: Vec<AuthPolicy>,
    /// Whether every message of a 1.5 session must prove its origin, not only the one that opens the session.
    pub per_message_auth: bool,
    suites: Vec<SuitePolicy>,
}

impl Config {
    /// The defaults for a machine with this GUID (wire order): channel 1, ADMINISTRATOR, suites 3 and 17, no K_G,
    /// no command that changes something, no sessions of IPMI 1.5.
    #[must_use]
    pub fn new(guid: [u8; 16]) -> Self {
        Self {
            guid,
            channel: 1,
            max_privilege: PrivilegeLevel::Administrator,
            bmc_key: None,
            random_key: None,
            inactivity_timeout: limits::INACTIVITY_TIMEOUT,
            max_sessions: limits::DEFAULT_SESSIONS,
            changes: |_, _| false,
            ipmi15_auth: Vec::new(),
            per_message_auth: true,
            suites: [3, 17]
                .into_iter()
                .filter_map(|id| SuitePolicy::new(id, PrivilegeLevel::Administrator).ok())
                .collect(),
        }
    }

    /// The enabled suites, in the order given; a console that leaves the choice open gets the last that fits.
    #[must_use]
    pub fn suites(&self) -> &[SuitePolicy] {
        &self.suites
    }

    /// Enables exactly these suites, for every level.
    ///
    /// # Errors
    /// [`ConfigError`] for a suite that does not exist or is not implemented; then nothing changes.
    pub fn set_cipher_suites(&mut self, ids: &[u8]) -> Result<(), ConfigError> {
        let policies = ids
            .iter()
            .map(|&id| SuitePolicy::new(id, PrivilegeLevel::Administrator))
            .collect::<Result<_, _>>()?;
        self.set_suites(policies)
    }

    /// Enables exactly these suites.
    ///
    /// # Errors
    /// [`ConfigError::SuiteTwice`]; then nothing changes.
    pub fn set_suites(&mut self, policies: Vec<SuitePolicy>) -> Result<(), ConfigError> {
        let mut seen = Vec::new();
        for SuitePolicy { suite, .. } in &policies {
            if seen.contains(&suite.id) {
                return Err(ConfigError::SuiteTwice(suite.id));
            }
            seen.push(suite.id);
        }
        self.suites = policies;
        Ok(())
    }
}

/// Whether this crate has the code for all three algorithms: for all suites but those with xRC4.
#[must_use]
pub const fn is_supported(suite: &CipherSuite) -> bool {
    // Exhaustive, so that a new algorithm must be thought of here.
    match (suite.auth, suite.integrity) {
        (
            AuthAlgorithm::None
            | AuthAlgorithm::HmacSha1
            | AuthAlgorithm::HmacMd5
            | AuthAlgorithm::HmacSha256,
            IntegrityAlgorithm::None
            | IntegrityAlgorithm::HmacSha1_96
            | IntegrityAlgorithm::HmacMd5_128
            | IntegrityAlgorithm::Md5_128
            | IntegrityAlgorithm::HmacSha256_128,
        ) => matches!(
            suite.confidentiality,
            ConfidentialityAlgorithm::None | ConfidentialityAlgorithm::AesCbc128
        ),
    }
}

/// Whether a session with this suite proves who it is with every packet. What does not is for loopback only.
#[must_use]
pub const fn proves_packets(suite: &CipherSuite) -> bool {
    !matches!(suite.auth, AuthAlgorithm::None) && !matches!(suite.integrity, IntegrityAlgorithm::None)
}
