//! The versions of firmware: one truth behind Get Device ID, the system firmware version of IPMI's system info, and Redfish.

use serde::{Deserialize, Serialize};

use crate::settings::{Settings, SystemText};

/// Longest version in bytes.
pub const VERSION_MAX_BYTES: usize = 64;
/// The number of the system info parameter that has the version of the system's firmware (IPMI 2.0 table 22-16c).
const SYSTEM_FIRMWARE_PARAMETER: u8 = 1;
/// The version of the system's firmware until another is set.
const BIOS_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What was installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirmwareSettings {
    /// The version of the BMC's firmware that was installed last; `None` for what it came with.
    pub bmc: Option<String>,
}

impl FirmwareSettings {
    /// The version as Get Device ID tells it (IPMI 2.0 §20.1): major, at most 127, minor, at most 99, and the third number.
    pub fn revision(version: &str) -> (u8, u8, u8) {
        let numbers = version.split(|letter: char| !letter.is_ascii_digit());
        let mut numbers = numbers.filter(|part| !part.is_empty()).map(|part| part.parse().unwrap_or(u8::MAX));
        let mut next = || numbers.next().unwrap_or(0);
        (next().min(127), next().min(99), next())
    }
}

impl Settings {
    /// The version of the system's firmware, whoever set it last: the firmware itself over IPMI, or an update.
    pub fn bios_version(&self) -> String {
        let text = self.system.texts.get(&SYSTEM_FIRMWARE_PARAMETER).map(SystemText::text);
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| BIOS_VERSION.to_owned())
    }

    /// Sets it.
    pub fn set_bios_version(&mut self, version: &str) {
        self.system.texts.insert(SYSTEM_FIRMWARE_PARAMETER, SystemText::new(version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_revisions() {
        for (version, revision) in [
            ("1.2.3", (1, 2, 3)),
            ("v10.4-rc7", (10, 4, 7)),
            ("300.300.300", (127, 99, 255)),
            ("7", (7, 0, 0)),
            ("", (0, 0, 0)),
            ("nonsense", (0, 0, 0)),
        ] {
            assert_eq!(FirmwareSettings::revision(version), revision, "{version}");
        }
    }

    #[test]
    fn the_systems_firmware_version_is_that_of_system_info() {
        let mut settings = Settings::default();
        assert_eq!(settings.bios_version(), BIOS_VERSION);
        settings.set_bios_version("2.4.1");
        assert_eq!(settings.bios_version(), "2.4.1");
        let wide = SystemText { encoding: 2, bytes: vec![b'9', 0, b'.', 0, b'1', 0, 0, 0] };
        settings.system.texts.insert(SYSTEM_FIRMWARE_PARAMETER, wide);
        assert_eq!(settings.bios_version(), "9.1");
    }
}
