//! Configuration parameters: how the controller would get its address by DHCP and be found (DCMI 1.5 §6.1.2 and §6.1.3).

use super::read_conformance;
use crate::command::{Payload, bit, flag};
use crate::{DecodeError, Reader, Writer};

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ConfigurationParameter {
    /// Begin with DHCP now.
    ActivateDhcp = 1,
    /// What DHCP requests say.
    Discovery = 2,
    /// The first time-out, in seconds.
    InitialTimeout = 3,
    /// How long a server is waited for, in seconds.
    ContactTimeout = 4,
    /// How long until the next attempt, in seconds.
    RetryInterval = 5,
}

impl ConfigurationParameter {
    /// All of them, by number from 1.
    pub const ALL: [Self; 5] = [
        Self::ActivateDhcp,
        Self::Discovery,
        Self::InitialTimeout,
        Self::ContactTimeout,
        Self::RetryInterval,
    ];

    /// The parameter with this number.
    #[must_use]
    pub fn by_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| *parameter as u8 == number)
    }
}

/// A parameter with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Parameter 1; writing `true` begins, reading tells `false`.
    ActivateDhcp(bool),
    /// Parameter 2.
    Discovery {
        /// Requests name the controller's identifier (option 12).
        option_12: bool,
        /// Requests name DCMI as vendor class (options 60 and 43).
        option_60: bool,
        /// Attempts are spread at random.
        random_back_off: bool,
    },
    /// Parameter 3.
    InitialTimeout(u8),
    /// Parameter 4.
    ContactTimeout(u16),
    /// Parameter 5.
    RetryInterval(u16),
}

impl Setting {
    fn read(parameter: ConfigurationParameter, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match parameter {
            ConfigurationParameter::ActivateDhcp => Self::ActivateDhcp(bit(r.u8()?, 0)),
            ConfigurationParameter::Discovery => {
                let raw = r.u8()?;
                Self::Discovery {
                    option_12: bit(raw, 0),
                    option_60: bit(raw, 1),
                    random_back_off: bit(raw, 7),
                }
            }
            ConfigurationParameter::InitialTimeout => Self::InitialTimeout(r.u8()?),
            ConfigurationParameter::ContactTimeout => Self::ContactTimeout(r.u16_le()?),
            ConfigurationParameter::RetryInterval => Self::RetryInterval(r.u16_le()?),
        })
    }

    fn write(self, w: &mut Writer) {
        match self {
            Self::ActivateDhcp(begin) => w.u8(flag(begin, 0)),
            Self::Discovery { option_12, option_60, random_back_off } => {
                w.u8(flag(option_12, 0) | flag(option_60, 1) | flag(random_back_off, 7))
            }
            Self::InitialTimeout(seconds) => w.u8(seconds),
            Self::ContactTimeout(seconds) | Self::RetryInterval(seconds) => w.u16_le(seconds),
        };
    }

    fn parameter(self) -> ConfigurationParameter {
        match self {
            Self::ActivateDhcp(_) => ConfigurationParameter::ActivateDhcp,
            Self::Discovery { .. } => ConfigurationParameter::Discovery,
            Self::InitialTimeout(_) => ConfigurationParameter::InitialTimeout,
            Self::ContactTimeout(_) => ConfigurationParameter::ContactTimeout,
            Self::RetryInterval(_) => ConfigurationParameter::RetryInterval,
        }
    }
}

/// Set DCMI Configuration Parameters (§6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetConfiguration {
    /// What to set; `None` for a parameter that the specification does not have, which is an error of its own.
    pub setting: Option<Setting>,
}

impl Payload for SetConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [parameter, _set_selector] = r.array()?;
        let Some(parameter) = ConfigurationParameter::by_number(parameter) else {
            r.rest();
            return Ok(Self { setting: None });
        };
        Ok(Self { setting: Some(Setting::read(parameter, r)?) })
    }

    fn write(&self, w: &mut Writer) {
        let parameter = self.setting.map_or(0, |setting| setting.parameter() as u8);
        w.u8(parameter).u8(0);
        if let Some(setting) = self.setting {
            setting.write(w);
        }
    }
}

/// Get DCMI Configuration Parameters (§6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetConfiguration {
    /// Which; `None` for a parameter that the specification does not have, which is an error of its own.
    pub parameter: Option<ConfigurationParameter>,
}

impl Payload for GetConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [parameter, _set_selector] = r.array()?;
        Ok(Self { parameter: ConfigurationParameter::by_number(parameter) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.parameter.map_or(0, |parameter| parameter as u8)).u8(0);
    }
}

/// The answer to [`GetConfiguration`]. Which parameter it tells of is known only to who asked, so that reading it back takes
/// [`Configuration::setting`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Specification version, major and minor, and parameter revision.
    pub conformance: [u8; 3],
    /// The parameter's data.
    pub data: alloc::vec::Vec<u8>,
}

impl Configuration {
    /// The value of `parameter`.
    ///
    /// # Errors
    /// The data have another length.
    pub fn setting(&self, parameter: ConfigurationParameter) -> Result<Setting, DecodeError> {
        let mut r = Reader::new(&self.data);
        let setting = Setting::read(parameter, &mut r)?;
        r.finish()?;
        Ok(setting)
    }
}

impl From<Setting> for Configuration {
    fn from(setting: Setting) -> Self {
        let mut w = Writer::new();
        setting.write(&mut w);
        Self { conformance: super::CONFORMANCE, data: w.into_vec() }
    }
}

impl Payload for Configuration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { conformance: read_conformance(r)?, data: super::rest(r) })
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.conformance).bytes(&self.data);
    }
}
