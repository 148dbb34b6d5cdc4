//! What the system interface can do.

use bmc_core::system_interface::SystemInterfaceKind;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::system_interface::{
    BtCapabilities, ChannelReceive, EnableMessageChannelReceive, GetBtCapabilities,
    GetSystemInterfaceCapabilities, MessageChannelReceive, SystemInterfaceCapabilities, interface_type,
};

use crate::Context;
use crate::handlers::channel::lan;
use crate::table::{ADMINISTRATOR, Answer, Entry, Read, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/system_interface/tests/commands.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<EnableMessageChannelReceive>(ADMINISTRATOR, "22.5", (TESTS, "message_channel_receive"))
        .once(),
    Entry::read::<GetBtCapabilities>(USER, "22.10", (TESTS, "capabilities_")),
    Entry::read::<GetSystemInterfaceCapabilities>(USER, "22.9", (TESTS, "capabilities_")),
];

/// Longest message in bytes, of QEMU's devices.
const LONGEST: u8 = 0xff;
/// How long an answer may take, in seconds: as QEMU's block transfer device says itself.
const RESPONSE_SECONDS: u8 = 10;

impl Read for EnableMessageChannelReceive {
    /// Only of the LAN channel: the system interface itself cannot be shut. Nothing comes from there either way, because no message can be
    /// sent from channel to channel.
    fn answer(self, context: &Context) -> Answer<MessageChannelReceive> {
        let channel = lan(context, self.channel)?.number;
        let enabled = match self.what {
            ChannelReceive::Get => context.bmc.of_interface(|interface| !interface.lan_disabled),
            ChannelReceive::Disable | ChannelReceive::Enable => context.bmc.with_interface(|interface| {
                interface.lan_disabled = self.what == ChannelReceive::Disable;
                !interface.lan_disabled
            }),
        };
        Ok(MessageChannelReceive { channel, enabled })
    }
}

/// `CCh` unless the machine has this kind of interface.
fn has(context: &Context, kind: SystemInterfaceKind) -> Answer<()> {
    let has = context.bmc.of_interface(|interface| interface.kind == Some(kind));
    has.then_some(()).ok_or(CompletionCode::INVALID_DATA_FIELD)
}

impl Read for GetBtCapabilities {
    /// In the machine QEMU's device answers this itself, with the same.
    fn answer(self, context: &Context) -> Answer<BtCapabilities> {
        has(context, SystemInterfaceKind::Bt).map_err(|_| CompletionCode::INVALID_COMMAND)?;
        Ok(BtCapabilities {
            outstanding: 1,
            input: LONGEST,
            output: LONGEST,
            response_seconds: RESPONSE_SECONDS,
            retries: 0,
        })
    }
}

impl Read for GetSystemInterfaceCapabilities {
    fn answer(self, context: &Context) -> Answer<SystemInterfaceCapabilities> {
        if self.interface != interface_type::KCS {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        has(context, SystemInterfaceKind::Kcs)?;
        Ok(SystemInterfaceCapabilities { version: 0, input: LONGEST })
    }
}
