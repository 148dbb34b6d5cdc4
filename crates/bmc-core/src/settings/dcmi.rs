//! What clients configure by DCMI (Data Center Manageability Interface 1.5): limits of power and temperature, the controller's identifier, and
//! how it would be found by DHCP.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::power_meter::HISTORY;
use crate::settings::lan::MacAddress;

/// The longest identifier of the controller in bytes, without the zero byte that ends it on the wire (DCMI 1.5 §6.4.6).
pub const CONTROLLER_ID_MAX_BYTES: usize = 63;

/// Settings of DCMI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DcmiSettings {
    /// The power limit, once somebody has set one.
    pub power_limit: Option<PowerLimit>,
    /// The limit of the inlet temperature, once somebody has set one.
    pub thermal_limit: Option<ThermalLimit>,
    /// The controller's identifier, once somebody has set one; at most [`CONTROLLER_ID_MAX_BYTES`].
    pub controller_id: Option<Vec<u8>>,
    /// The asset tag as bytes, as the last client wrote them piece by piece. The tag itself is in the identity; a piece that ends within a
    /// character cannot be told from that.
    pub asset_tag_written: Vec<u8>,
    /// How the controller would be found.
    pub discovery: Discovery,
}

impl DcmiSettings {
    /// What a reset of the controller to its defaults leaves: with `network` how it is found. The asset tag is the machine's, and so are its bytes.
    pub(crate) fn after_defaults(self, network: bool) -> Self {
        let Self { controller_id, discovery, asset_tag_written, .. } = self;
        let found =
            if network { Self { controller_id, discovery, ..Self::default() } } else { Self::default() };
        Self { asset_tag_written, ..found }
    }

    /// The controller's identifier: the one that was set, else the specification's default, `DCMI` and the controller's MAC address (DCMI 1.5
    /// §6.4.6.1).
    pub fn controller_id_or(&self, mac: MacAddress) -> Vec<u8> {
        self.controller_id.clone().unwrap_or_else(|| {
            let digits: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("DCMI{digits}").into_bytes()
        })
    }
}

/// What to do when a limit is exceeded for longer than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionAction {
    /// Nothing.
    #[default]
    None,
    /// Switch the machine off, and tell.
    PowerOff,
    /// Tell.
    LogEvent,
}

impl ExceptionAction {
    /// The name used in the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PowerOff => "power-off",
            Self::LogEvent => "log-event",
        }
    }
}

/// The power limit (DCMI 1.5 §6.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLimit {
    /// Whether it is watched.
    pub active: bool,
    /// What happens when it is exceeded.
    pub action: ExceptionAction,
    /// The limit in watts, at least 1.
    pub watts: u16,
    /// How long it may be exceeded, in milliseconds; within [`PowerLimit::CORRECTION_MIN`] and [`PowerLimit::CORRECTION_MAX`].
    pub correction_ms: u32,
    /// The period of the statistics in seconds, 1 to [`PowerLimit::SAMPLING_MAX`].
    pub sampling_seconds: u16,
}

impl PowerLimit {
    /// The shortest time that a limit may be exceeded.
    pub const CORRECTION_MIN: Duration = Duration::from_millis(100);
    /// The longest time that a limit may be exceeded.
    pub const CORRECTION_MAX: Duration = Duration::from_secs(60 * 60);
    /// The longest period of statistics: as long as the past is known.
    pub const SAMPLING_MAX: Duration = HISTORY;

    /// How long it may be exceeded.
    pub fn correction(&self) -> Duration {
        Duration::from_millis(self.correction_ms.into())
    }

    /// The period of the statistics.
    pub fn sampling(&self) -> Duration {
        Duration::from_secs(self.sampling_seconds.into())
    }
}

impl Default for PowerLimit {
    /// What is shown while nobody has set one: more than any machine draws, and nothing is done about it.
    fn default() -> Self {
        Self {
            active: false,
            action: ExceptionAction::None,
            watts: u16::MAX,
            correction_ms: 1_000,
            sampling_seconds: 60,
        }
    }
}

/// The limit of the inlet temperature (DCMI 1.5 §6.7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThermalLimit {
    /// Whether it lasts when the machine is switched off.
    pub persistent: bool,
    /// What happens when it is exceeded.
    pub action: ExceptionAction,
    /// The limit in degrees Celsius.
    pub celsius: u8,
    /// How long it may be exceeded, in seconds.
    pub seconds: u16,
}

/// How the controller would get its address by DHCP (DCMI 1.5 §6.1.3). It has one from its configuration: what is set is kept and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Discovery {
    /// Requests name the controller's identifier (option 12).
    pub option_12: bool,
    /// Requests name DCMI as vendor class (options 60 and 43).
    pub option_60: bool,
    /// Attempts are spread at random.
    pub random_back_off: bool,
    /// The first time-out in seconds.
    pub initial_timeout: u8,
    /// How long a server is waited for, in seconds.
    pub contact_timeout: u16,
    /// How long until the next attempt, in seconds.
    pub retry_interval: u16,
}

impl Default for Discovery {
    /// The specification's defaults.
    fn default() -> Self {
        Self {
            option_12: true,
            option_60: false,
            random_back_off: false,
            initial_timeout: 4,
            contact_timeout: 120,
            retry_interval: 64,
        }
    }
}
