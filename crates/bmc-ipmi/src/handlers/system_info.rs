//! System info parameters: names, versions and URLs that software keeps with the BMC.

use bmc_core::error::RequestError;
use bmc_core::settings::SystemText;
use bmc_core::snapshot::Snapshot;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::boot::SetInProgress;
use ipmi_wire::command::system::{
    GetSystemInfo, SYSTEM_INFO_BLOCK, SYSTEM_INFO_REVISION, SetSystemInfo, SystemInfo, SystemInfoValue,
    system_info,
};

use crate::Context;
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, Read, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/system_info.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<SetSystemInfo>(ADMINISTRATOR, "22.14a", (TESTS, "texts_")),
    Entry::read::<GetSystemInfo>(USER, "22.14b", (TESTS, "texts_")),
];

/// The highest encoding of a text: UTF-16.
const ENCODING_MAX: u8 = 2;

impl Act for SetSystemInfo {
    /// The first block begins a text anew with the length it announces; later ones fill it.
    async fn act(self, context: &Context) -> Answer<()> {
        match self.0 {
            SystemInfo::SetInProgress(state) => {
                let who = context.caller.session();
                context.bmc.with_volatile(|volatile| volatile.system_info_guard.write(state, who))
            }
            SystemInfo::Other { .. } => Err(CompletionCode::PARAMETER_UNSUPPORTED),
            SystemInfo::Text { parameter, block: 0, data } => {
                let [encoding, length, first @ ..] = data;
                let encoding = encoding & 0x0f;
                if encoding > ENCODING_MAX {
                    return Err(CompletionCode::INVALID_DATA_FIELD);
                }
                context
                    .edit(move |edit| {
                        let text = SystemText::begin(encoding, length, first);
                        edit.settings.system.texts.insert(parameter, text);
                        Ok(())
                    })
                    .await
            }
            SystemInfo::Text { parameter, block, data } => {
                if text(&context.bmc.snapshot(), parameter).block(block).is_none() {
                    return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
                }
                context
                    .edit(move |edit| {
                        let text = edit.settings.system.texts.get_mut(&parameter);
                        // The text that is shown until one is set cannot be written in parts.
                        let written = text.is_some_and(|text| text.write_block(block, data));
                        let behind = || RequestError::Invalid {
                            field: "block",
                            reason: "the text ends before it; write its first block first".to_owned(),
                        };
                        if written { Ok(()) } else { Err(behind()) }
                    })
                    .await
            }
        }
    }
}

/// A text as it is shown: the system's name is the BMC's until another is set, its firmware has the version that Redfish shows, the others
/// are empty.
fn text(snapshot: &Snapshot, parameter: u8) -> SystemText {
    match snapshot.settings.system.texts.get(&parameter) {
        Some(text) => text.clone(),
        None if parameter == system_info::SYSTEM_NAME => SystemText::new(&snapshot.name),
        None if parameter == system_info::FIRMWARE_VERSION => {
            SystemText::new(&snapshot.settings.bios_version())
        }
        None => SystemText::default(),
    }
}

impl Read for GetSystemInfo {
    fn answer(self, context: &Context) -> Answer<SystemInfoValue> {
        let snapshot = context.bmc.snapshot();
        let value = match self.parameter {
            system_info::SET_IN_PROGRESS => {
                let in_progress =
                    context.bmc.with_volatile(|volatile| volatile.system_info_guard.in_progress());
                let state = if in_progress { SetInProgress::InProgress } else { SetInProgress::Complete };
                SystemInfo::SetInProgress(state)
            }
            system_info::FIRMWARE_VERSION..=system_info::HYPERVISOR_URL => {
                let text = text(&snapshot, self.parameter);
                let bytes = text.block(self.set_selector).filter(|_| self.block_selector == 0);
                let bytes = bytes.ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)?;
                let length = u8::try_from(text.bytes.len()).unwrap_or(u8::MAX);
                let head = if self.set_selector == 0 { &[text.encoding, length][..] } else { &[] };
                let mut data = [0; SYSTEM_INFO_BLOCK];
                data.iter_mut().zip(head.iter().chain(&bytes)).for_each(|(to, from)| *to = *from);
                SystemInfo::Text { parameter: self.parameter, block: self.set_selector, data }
            }
            _ => return Err(CompletionCode::PARAMETER_UNSUPPORTED),
        };
        let data = if self.revision_only { Vec::new() } else { value.encode() };
        Ok(SystemInfoValue { revision: SYSTEM_INFO_REVISION, data })
    }
}

#[cfg(test)]
mod tests {
    use ipmi_wire::PrivilegeLevel;

    use crate::Caller;
    use crate::handlers::testing::{Bench, bad_lengths};

    async fn get(bench: &Bench, parameter: u8, block: u8) -> (u8, Vec<u8>) {
        bench.raw(0x06, 0x59, &[0, parameter, block, 0]).await
    }

    fn block(head: &[u8], text: &[u8]) -> Vec<u8> {
        let mut data = [head, text].concat();
        data.resize(head.len() + 16 - usize::from(head.len() == 4) * 2, 0);
        data
    }

    #[tokio::test]
    async fn texts_are_written_and_read_by_blocks() {
        let bench = Bench::new().await;
        // The BMC's name stands for the system's.
        assert_eq!(get(&bench, 2, 0).await, (0, block(&[0x11, 0, 0, 4], b"node")));
        // The firmware has a version from the start.
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let length = u8::try_from(version.len()).unwrap();
        assert_eq!(get(&bench, 1, 0).await, (0, block(&[0x11, 0, 0, length], version)));
        for parameter in [3, 4, 5, 6, 7] {
            assert_eq!(get(&bench, parameter, 0).await, (0, block(&[0x11, 0, 0, 0], b"")), "{parameter}");
            let write = block(&[parameter, 0, 1, 20], b"Debian GNU/Lin");
            assert_eq!(bench.raw(0x06, 0x58, &write).await.0, 0);
            assert_eq!(bench.raw(0x06, 0x58, &block(&[parameter, 1], b"ux 13!")).await.0, 0);
            assert_eq!(get(&bench, parameter, 0).await, (0, block(&[0x11, 0, 1, 20], b"Debian GNU/Lin")));
            assert_eq!(get(&bench, parameter, 1).await.1[..8], *b"\x11\x01ux 13!");
            assert_eq!(get(&bench, parameter, 2).await.0, 0xc9, "behind its end");
        }
        assert_eq!(bench.raw(0x06, 0x58, &block(&[2, 0, 0, 3], b"web")).await.0, 0);
        assert_eq!(get(&bench, 2, 0).await.1, block(&[0x11, 0, 0, 3], b"web"));
        assert_eq!(bench.raw(0x06, 0x59, &[0x80, 2, 0, 0]).await, (0, vec![0x11]), "the revision alone");
    }

    #[tokio::test]
    async fn texts_that_cannot_be_are_refused() {
        let bench = Bench::new().await;
        let rows = [
            (block(&[2, 0, 3, 4], b"web!"), 0xcc),
            (block(&[2, 1], b"no second block"), 0xc9),
            (block(&[3, 17], b"too far"), 0xc9),
            (vec![8, 0, 0], 0x80),
            (vec![0xc0, 0, 0], 0x80),
            (vec![0, 3], 0xcc),
        ];
        for (data, code) in rows {
            assert_eq!(bench.raw(0x06, 0x58, &data).await.0, code, "{data:02x?}");
        }
        for parameter in [8, 0xc0, 0xe4] {
            assert_eq!(get(&bench, parameter, 0).await.0, 0x80, "{parameter}");
        }
        assert_eq!(bench.raw(0x06, 0x59, &[0, 2, 0, 1]).await.0, 0xc9, "there are no blocks in a set");
        bad_lengths(&bench, 0x06, 0x58, &[0, 0], &[2]).await;
        bad_lengths(&bench, 0x06, 0x58, &[2, 0], &(3..=18).collect::<Vec<_>>()).await;
        bad_lengths(&bench, 0x06, 0x59, &[0, 2, 0, 0], &[4]).await;
    }

    #[tokio::test]
    async fn set_in_progress_keeps_a_second_console_out() {
        let mut bench = Bench::new().await;
        let session = |id| Caller::Session { id, privilege: PrivilegeLevel::Administrator };
        for (id, state, code) in [(1, 1, 0), (2, 1, 0x81), (1, 2, 0), (2, 1, 0x81), (1, 0, 0), (2, 1, 0)] {
            bench.caller(session(id));
            assert_eq!(bench.raw(0x06, 0x58, &[0, state]).await.0, code, "session {id}, {state}");
        }
        assert_eq!(get(&bench, 0, 0).await, (0, vec![0x11, 1]));
    }
}
