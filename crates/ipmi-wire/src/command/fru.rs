//! FRU inventory devices (IPMI 2.0 §34). What the bytes mean: [`crate::record::fru`].

use alloc::vec::Vec;

use crate::command::{Payload, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// Get FRU Inventory Area Info (IPMI 2.0 §34.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetFruInventoryAreaInfo {
    /// The device; FFh is reserved.
    pub device: u8,
}

command!(GetFruInventoryAreaInfo, STORAGE, 0x10, "Get FRU Inventory Area Info", FruInventoryAreaInfo);

impl Payload for GetFruInventoryAreaInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { device: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.device);
    }
}

/// The answer to [`GetFruInventoryAreaInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FruInventoryAreaInfo {
    /// Size of the device in bytes.
    pub size: u16,
    /// Offsets and counts are of words and not of bytes.
    pub by_words: bool,
}

impl Payload for FruInventoryAreaInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { size: r.u16_le()?, by_words: bit(r.u8()?, 0) })
    }

    fn write(&self, w: &mut Writer) {
        w.u16_le(self.size).u8(flag(self.by_words, 0));
    }
}

/// Read FRU Data (IPMI 2.0 §34.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadFruData {
    /// The device.
    pub device: u8,
    /// Where to begin.
    pub offset: u16,
    /// How much; 1-based.
    pub count: u8,
}

command!(ReadFruData, STORAGE, 0x11, "Read FRU Data", FruData);

impl Payload for ReadFruData {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { device: r.u8()?, offset: r.u16_le()?, count: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.device).u16_le(self.offset).u8(self.count);
    }
}

/// The answer to [`ReadFruData`]: at most 255 bytes. More are cut off when written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FruData {
    /// What stands there.
    pub data: Vec<u8>,
}

impl Payload for FruData {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = r.u8()?;
        Ok(Self { data: r.bytes(count.into())?.to_vec() })
    }

    fn write(&self, w: &mut Writer) {
        let count = u8::try_from(self.data.len()).unwrap_or(u8::MAX);
        w.u8(count).bytes(self.data.get(..count.into()).unwrap_or_default());
    }
}

/// Write FRU Data (IPMI 2.0 §34.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFruData {
    /// The device.
    pub device: u8,
    /// Where to begin.
    pub offset: u16,
    /// What to write; not empty.
    pub data: Vec<u8>,
}

command!(WriteFruData, STORAGE, 0x12, "Write FRU Data", FruDataWritten);

impl Payload for WriteFruData {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (device, offset, data) = (r.u8()?, r.u16_le()?, r.rest().to_vec());
        if data.is_empty() { Err(DecodeError::Truncated) } else { Ok(Self { device, offset, data }) }
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.device).u16_le(self.offset).bytes(&self.data);
    }
}

/// The answer to [`WriteFruData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FruDataWritten {
    /// How much was written.
    pub count: u8,
}

impl Payload for FruDataWritten {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { count: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.count);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn area_info() {
        golden(&GetFruInventoryAreaInfo { device: 3 }, "03", &[]);
        golden(&FruInventoryAreaInfo { size: 0x0800, by_words: false }, "00 08 00", &[]);
        golden(&FruInventoryAreaInfo { size: 0x0100, by_words: true }, "00 01 01", &[]);
    }

    #[test]
    fn read() {
        golden(&ReadFruData { device: 0, offset: 0x0120, count: 0x10 }, "00 20 01 10", &[]);
        golden(&FruData { data: vec![0xaa, 0xbb] }, "02 aa bb", &[]);
        golden(&FruData { data: vec![] }, "00", &[]);
        assert_eq!(FruData { data: vec![1; 300] }.encode().len(), 256);
    }

    #[test]
    fn write() {
        let any: Vec<usize> = (4..40).collect();
        golden(&WriteFruData { device: 0, offset: 8, data: vec![1, 2] }, "00 08 00 01 02", &any);
        golden(&FruDataWritten { count: 2 }, "02", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            stable::<GetFruInventoryAreaInfo>(&bytes);
            stable::<FruInventoryAreaInfo>(&bytes);
            stable::<ReadFruData>(&bytes);
            stable::<FruData>(&bytes);
            stable::<WriteFruData>(&bytes);
        }
    }
}
