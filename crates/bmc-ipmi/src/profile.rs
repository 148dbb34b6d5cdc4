//! Who the controller says it is. Data and not code, so that one BMC can be given another vendor's identity.

/// The identity and manners of the management controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProfile {
    /// Device ID; 0 is unspecified.
    pub device_id: u8,
    /// Hardware revision, 0 to 15.
    pub device_revision: u8,
    /// Firmware version: major (0 to 127) and minor (0 to 99).
    pub firmware: (u8, u8),
    /// Auxiliary firmware revision.
    pub aux_firmware: [u8; 4],
    /// IANA enterprise number of the maker.
    pub manufacturer: u32,
    /// The maker's number for the product.
    pub product: u16,
}

/// The enterprise number of the IPMI promoters themselves. ipmitool's list names it ("Intelligent Platform Management
/// Interface forum"), which Ironic's vendor detection needs, and it is no vendor for which a client has workarounds.
pub const GENERIC_MANUFACTURER: u32 = 7154;

impl Default for DeviceProfile {
    fn default() -> Self {
        let part = |text: &str| text.parse::<u8>().unwrap_or(0);
        Self {
            device_id: 0x20,
            device_revision: 1,
            firmware: (
                part(env!("CARGO_PKG_VERSION_MAJOR")).min(127),
                part(env!("CARGO_PKG_VERSION_MINOR")).min(99),
            ),
            aux_firmware: [part(env!("CARGO_PKG_VERSION_PATCH")), 0, 0, 0],
            manufacturer: GENERIC_MANUFACTURER,
            product: 1,
        }
    }
}
