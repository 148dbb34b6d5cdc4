//! The FRU inventory device of the machine: device 0, as large as [`FRU_BYTES`]. Any other device would need a locator record.

use std::sync::Arc;

use bmc_core::settings::fru::{self, FRU_BYTES};
use ipmi_wire::CompletionCode;
use ipmi_wire::command::fru::{
    FruData, FruDataWritten, FruInventoryAreaInfo, GetFruInventoryAreaInfo, ReadFruData, WriteFruData,
};

use crate::Context;
use crate::table::{Act, Answer, Entry, OPERATOR, Read, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/fru_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetFruInventoryAreaInfo>(USER, "34.1", (TESTS, "area_info")),
    Entry::read::<ReadFruData>(USER, "34.2", (TESTS, "reads_")),
    Entry::act::<WriteFruData>(OPERATOR, "34.3", (TESTS, "writes_")),
];

/// The machine's inventory device.
const SYSTEM_DEVICE: u8 = 0;

fn check_device(device: u8) -> Answer<()> {
    if device == SYSTEM_DEVICE { Ok(()) } else { Err(CompletionCode::NOT_PRESENT) }
}

impl Read for GetFruInventoryAreaInfo {
    fn answer(self, _: &Context) -> Answer<FruInventoryAreaInfo> {
        check_device(self.device)?;
        let size = u16::try_from(FRU_BYTES).unwrap_or(u16::MAX);
        Ok(FruInventoryAreaInfo { size, by_words: false })
    }
}

impl Read for ReadFruData {
    /// At the end of the device as much as there is: clients that ask in even pieces stop there.
    fn answer(self, context: &Context) -> Answer<FruData> {
        check_device(self.device)?;
        if self.count == 0 {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        let snapshot = context.bmc.snapshot();
        let image = fru::image(&snapshot.settings.fru, &snapshot.identity, snapshot.info.as_deref());
        let left = image.get(usize::from(self.offset)..).unwrap_or_default();
        if left.is_empty() {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
        }
        Ok(FruData { data: left.iter().take(self.count.into()).copied().collect() })
    }
}

impl Act for WriteFruData {
    /// All of it or nothing: a write that begins in the device and ends beyond it is refused.
    async fn act(self, context: &Context) -> Answer<FruDataWritten> {
        check_device(self.device)?;
        let offset = usize::from(self.offset);
        let count =
            u8::try_from(self.data.len()).map_err(|_| CompletionCode::REQUEST_FIELD_LENGTH_EXCEEDED)?;
        if offset.saturating_add(self.data.len()) > FRU_BYTES {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
        }
        let info = context.bmc.snapshot().info.clone();
        let data = Arc::<[u8]>::from(self.data);
        context.edit(move |editable| fru::write(editable, info.as_deref(), offset, &data)).await?;
        Ok(FruDataWritten { count })
    }
}

#[cfg(test)]
#[path = "fru_tests.rs"]
mod tests;
