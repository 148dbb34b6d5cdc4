//! The boot flags, parameter 5.

use crate::command::{Payload, bit, flag};
use crate::{DecodeError, Reader, Writer};

/// What to boot from, and how (IPMI 2.0 table 28-14, parameter 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootFlags {
    /// The flags hold; the firmware is to obey them.
    pub valid: bool,
    /// They hold for every boot, not only for the next.
    pub persistent: bool,
    /// Boot the UEFI way.
    pub efi: bool,
    /// The device.
    pub device: DeviceSelector,
    /// Data 2 without the device: bit 7 clear CMOS, 6 lock keyboard, 1 blank screen, 0 lock reset buttons.
    pub data2: u8,
    /// Data 3: bit 7 lock power button, 6..5 verbosity, 4 progress events, 3 bypass password, 2 lock sleep button,
    /// 1..0 console redirection.
    pub data3: u8,
    /// Data 4: bit 3 shared mode override, 2..0 mux control.
    pub data4: u8,
    /// Data 5: device instance, bits 4..0.
    pub data5: u8,
}

impl BootFlags {
    /// The bits of data 2 that name the device.
    const DEVICE_BITS: u8 = 0x3c;
}

impl Payload for BootFlags {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [data1, data2, data3, data4, data5] = r.array()?;
        Ok(Self {
            valid: bit(data1, 7),
            persistent: bit(data1, 6),
            efi: bit(data1, 5),
            device: DeviceSelector::from_raw(data2 >> 2 & 0x0f)
                .ok_or(DecodeError::value("boot device", data2 >> 2 & 0x0f))?,
            data2: data2 & !Self::DEVICE_BITS,
            data3,
            data4: data4 & 0x0f,
            data5: data5 & 0x1f,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.valid, 7) | flag(self.persistent, 6) | flag(self.efi, 5))
            .u8(self.data2 & !Self::DEVICE_BITS | (self.device as u8) << 2)
            .u8(self.data3)
            .u8(self.data4 & 0x0f)
            .u8(self.data5 & 0x1f);
    }
}

/// A boot device (IPMI 2.0 table 28-14, parameter 5, data 2, bits 5..2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum DeviceSelector {
    /// No override.
    #[default]
    None = 0x0,
    /// PXE.
    Pxe = 0x1,
    /// The default hard disk.
    Disk = 0x2,
    /// The default hard disk, in safe mode.
    DiskSafeMode = 0x3,
    /// The diagnostic partition.
    Diagnostics = 0x4,
    /// The default CD or DVD.
    Cdrom = 0x5,
    /// Firmware setup.
    Setup = 0x6,
    /// Remotely connected floppy.
    RemoteFloppy = 0x7,
    /// Remotely connected CD or DVD.
    RemoteCdrom = 0x8,
    /// Primary remote media.
    RemoteMedia = 0x9,
    /// Remotely connected hard disk.
    RemoteDisk = 0xb,
    /// Floppy or primary removable media.
    Removable = 0xf,
}

impl DeviceSelector {
    /// Every device that the specification defines, by value.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Pxe,
        Self::Disk,
        Self::DiskSafeMode,
        Self::Diagnostics,
        Self::Cdrom,
        Self::Setup,
        Self::RemoteFloppy,
        Self::RemoteCdrom,
        Self::RemoteMedia,
        Self::RemoteDisk,
        Self::Removable,
    ];

    /// The device with the four-bit value `raw`; `None` for the reserved ones.
    #[must_use]
    pub fn from_raw(raw: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|device| *device as u8 == raw)
    }
}
