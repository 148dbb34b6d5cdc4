//! What an endpoint is told about its BMC.

use std::time::Duration;

use ipmi_wire::{
    NetFn, PrivilegeLevel,
    cipher::{AuthAlgorithm, CipherSuite, ConfidentialityAlgorithm, IntegrityAlgorithm},
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
    #[error("cipher suite {0} is not supported (supported are 0, 1, 2, 3, 15, 16 and 17)")]
    UnsupportedSuite(u8),
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
    /// How long a session may be silent.
    pub inactivity_timeout: Duration,
    /// How many sessions may be active; at most [`limits::MAX_SESSIONS`].
    pub max_sessions: usize,
    /// Which commands change something. When such a message comes again within [`limits::RESEND_WINDOW`], as ipmitool
    /// repeats itself, it is answered as before and not carried out twice. What only reads is read afresh.
    pub changes: fn(NetFn, u8) -> bool,
    suites: Vec<CipherSuite>,
}

impl Config {
    /// The defaults for a machine with this GUID (wire order): channel 1, ADMINISTRATOR, suites 3 and 17, no K_G,
    /// no command that changes something.
    #[must_use]
    pub fn new(guid: [u8; 16]) -> Self {
        Self {
            guid,
            channel: 1,
            max_privilege: PrivilegeLevel::Administrator,
            bmc_key: None,
            inactivity_timeout: limits::INACTIVITY_TIMEOUT,
            max_sessions: limits::DEFAULT_SESSIONS,
            changes: |_, _| false,
            suites: [3, 17].into_iter().filter_map(CipherSuite::by_id).collect(),
        }
    }

    /// The enabled suites, in the order given; a console that leaves the choice open gets the last that fits.
    #[must_use]
    pub fn cipher_suites(&self) -> &[CipherSuite] {
        &self.suites
    }

    /// Enables exactly these suites.
    ///
    /// # Errors
    /// [`ConfigError`] for a suite that does not exist or is not implemented; then nothing changes.
    pub fn set_cipher_suites(&mut self, ids: &[u8]) -> Result<(), ConfigError> {
        self.suites = ids
            .iter()
            .map(|&id| {
                let suite = CipherSuite::by_id(id).ok_or(ConfigError::UnknownSuite(id))?;
                if is_supported(&suite) { Ok(suite) } else { Err(ConfigError::UnsupportedSuite(id)) }
            })
            .collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// Whether this crate has the code for all three algorithms. The MD5 family would be added here and in `keys`.
#[must_use]
pub const fn is_supported(suite: &CipherSuite) -> bool {
    matches!(suite.auth, AuthAlgorithm::None | AuthAlgorithm::HmacSha1 | AuthAlgorithm::HmacSha256)
        && matches!(
            suite.integrity,
            IntegrityAlgorithm::None | IntegrityAlgorithm::HmacSha1_96 | IntegrityAlgorithm::HmacSha256_128
        )
        && matches!(
            suite.confidentiality,
            ConfidentialityAlgorithm::None | ConfidentialityAlgorithm::AesCbc128
        )
}
