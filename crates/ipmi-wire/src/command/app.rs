//! The device itself: identity, self test, GUIDs (IPMI 2.0 §20).

use crate::command::{Payload, bare_request, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// Get Device ID (IPMI 2.0 §20.1). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDeviceId;

bare_request!(GetDeviceId);
command!(GetDeviceId, APP, 0x01, "Get Device ID", DeviceId);

/// The answer to [`GetDeviceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId {
    /// The maker's number for this kind of device; 0 is unspecified.
    pub device_id: u8,
    /// Whether the device has SDRs of its own (device SDRs, not the SDR repository).
    pub provides_device_sdrs: bool,
    /// Hardware revision, 0 to 15.
    pub device_revision: u8,
    /// The device is being updated or is still initialising; commands may fail.
    pub unavailable: bool,
    /// Firmware version, major, 0 to 127.
    pub firmware_major: u8,
    /// Firmware version, minor, as a number from 0 to 99; BCD on the wire.
    pub firmware_minor: u8,
    /// The IPMI version, major (2).
    pub ipmi_major: u8,
    /// The IPMI version, minor (0).
    pub ipmi_minor: u8,
    /// What else the device is.
    pub support: DeviceSupport,
    /// IANA enterprise number of the maker, 20 bits used.
    pub manufacturer: u32,
    /// The maker's number for the product.
    pub product: u16,
    /// Auxiliary firmware revision, meaning left to the maker; may be absent.
    pub aux_firmware: Option<[u8; 4]>,
}

/// Additional device support (IPMI 2.0 §20.1, byte 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceSupport {
    /// Chassis device.
    pub chassis: bool,
    /// Bridge.
    pub bridge: bool,
    /// Sends event messages to an event receiver.
    pub event_generator: bool,
    /// Receives event messages.
    pub event_receiver: bool,
    /// FRU inventory.
    pub fru: bool,
    /// System event log.
    pub sel: bool,
    /// SDR repository.
    pub sdr_repository: bool,
    /// Sensors.
    pub sensors: bool,
}

impl DeviceSupport {
    fn from_byte(b: u8) -> Self {
        Self {
            chassis: bit(b, 7),
            bridge: bit(b, 6),
            event_generator: bit(b, 5),
            event_receiver: bit(b, 4),
            fru: bit(b, 3),
            sel: bit(b, 2),
            sdr_repository: bit(b, 1),
            sensors: bit(b, 0),
        }
    }

    /// The byte of Get Device ID and of a controller's locator record.
    pub fn byte(self) -> u8 {
        flag(self.chassis, 7)
            | flag(self.bridge, 6)
            | flag(self.event_generator, 5)
            | flag(self.event_receiver, 4)
            | flag(self.fru, 3)
            | flag(self.sel, 2)
            | flag(self.sdr_repository, 1)
            | flag(self.sensors, 0)
    }
}

/// Two decimal digits, tens in the upper nibble. Numbers above 99 are cut to 99.
fn to_bcd(n: u8) -> u8 {
    let n = n.min(99);
    (n / 10) << 4 | (n % 10)
}

fn from_bcd(field: &'static str, byte: u8) -> Result<u8, DecodeError> {
    let (tens, ones) = (byte >> 4, byte & 0x0f);
    if tens > 9 || ones > 9 {
        return Err(DecodeError::value(field, byte));
    }
    Ok(tens.saturating_mul(10).saturating_add(ones))
}

impl Payload for DeviceId {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let device_id = r.u8()?;
        let revision = r.u8()?;
        let major = r.u8()?;
        let minor = r.u8()?;
        let version = r.u8()?;
        let support = DeviceSupport::from_byte(r.u8()?);
        let manufacturer = r.u24_le()? & 0x000f_ffff;
        let product = r.u16_le()?;
        let aux_firmware = if r.is_empty() { None } else { Some(r.array()?) };
        Ok(Self {
            device_id,
            provides_device_sdrs: bit(revision, 7),
            device_revision: revision & 0x0f,
            unavailable: bit(major, 7),
            firmware_major: major & 0x7f,
            firmware_minor: from_bcd("firmware minor", minor)?,
            ipmi_major: version & 0x0f,
            ipmi_minor: version >> 4,
            support,
            manufacturer,
            product,
            aux_firmware,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.device_id)
            .u8(flag(self.provides_device_sdrs, 7) | self.device_revision & 0x0f)
            .u8(flag(self.unavailable, 7) | self.firmware_major & 0x7f)
            .u8(to_bcd(self.firmware_minor))
            .u8(self.ipmi_minor << 4 | self.ipmi_major & 0x0f)
            .u8(self.support.byte())
            .u24_le(self.manufacturer & 0x000f_ffff)
            .u16_le(self.product);
        if let Some(aux) = self.aux_firmware {
            w.bytes(&aux);
        }
    }
}

/// Get Self Test Results (IPMI 2.0 §20.4). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSelfTestResults;

bare_request!(GetSelfTestResults);
command!(GetSelfTestResults, APP, 0x04, "Get Self Test Results", SelfTestResults);

/// The answer to [`GetSelfTestResults`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTestResults {
    /// `55h` passed, `56h` not implemented, `57h` see the detail, `58h` fatal hardware error, others by the maker.
    pub result: u8,
    /// For `57h` which part is corrupt or inaccessible; `00h` for `55h` and `56h`.
    pub detail: u8,
}

impl SelfTestResults {
    /// All tests passed.
    pub const PASSED: Self = Self { result: 0x55, detail: 0x00 };
}

impl Payload for SelfTestResults {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { result: r.u8()?, detail: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.result).u8(self.detail);
    }
}

/// Get Device GUID (IPMI 2.0 §20.8). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDeviceGuid;

bare_request!(GetDeviceGuid);
command!(GetDeviceGuid, APP, 0x08, "Get Device GUID", Guid);

/// Get System GUID (IPMI 2.0 §22.14). No data; may be asked without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSystemGuid;

bare_request!(GetSystemGuid);
command!(GetSystemGuid, APP, 0x37, "Get System GUID", Guid);

/// A GUID as it travels; [`crate::guid`] turns it into a UUID and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub [u8; 16]);

impl Payload for Guid {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.array()?))
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn requests_without_data_take_none() {
        golden(&GetDeviceId, "", &[]);
        golden(&GetSelfTestResults, "", &[]);
        golden(&GetDeviceGuid, "", &[]);
        golden(&GetSystemGuid, "", &[]);
    }

    #[test]
    fn device_id() {
        let id = DeviceId {
            device_id: 0x20,
            provides_device_sdrs: true,
            device_revision: 1,
            unavailable: false,
            firmware_major: 3,
            firmware_minor: 45,
            ipmi_major: 2,
            ipmi_minor: 0,
            support: DeviceSupport {
                chassis: true,
                fru: true,
                sel: true,
                sensors: true,
                ..Default::default()
            },
            manufacturer: 7154,
            product: 0x1234,
            aux_firmware: Some([1, 2, 3, 4]),
        };
        golden(&id, "20 81 03 45 02 8d f21b00 3412 01020304", &[11]);
        golden(&DeviceId { aux_firmware: None, ..id }, "20 81 03 45 02 8d f21b00 3412", &[15]);
        assert!(DeviceId::decode(&[0x20, 0x81, 3, 0x4a, 2, 0, 0, 0, 0, 0, 0]).is_err(), "no BCD");
    }

    #[test]
    fn self_test_and_guid() {
        golden(&SelfTestResults::PASSED, "55 00", &[]);
        golden(&Guid(core::array::from_fn(|n| n as u8)), "000102030405060708090a0b0c0d0e0f", &[]);
    }

    proptest! {
        #[test]
        fn device_id_is_stable(bytes in prop::collection::vec(any::<u8>(), 0..17)) {
            stable::<DeviceId>(&bytes);
        }
    }
}
