//! The decoders. What is decoded encodes to bytes that are decoded and encoded the same again.

use ipmi_wire::command::{Command, Payload, app, boot, channel, chassis, session};
use ipmi_wire::rakp::{OpenSessionRequest, OpenSessionResponse, Rakp1, Rakp2, RakpProof};
use ipmi_wire::session::Datagram;
use ipmi_wire::{DecodeError, LanRequest, LanResponse, NetFn};

/// A whole datagram and what is inside it; and the input as if it were that.
pub(crate) fn datagram(data: &[u8]) {
    match Datagram::decode(data) {
        Ok(Datagram::V15(packet)) => message(packet.payload),
        Ok(Datagram::V20(packet)) => {
            message(packet.payload);
            handshake(packet.payload);
        }
        Ok(Datagram::Ack | Datagram::Asf(..)) | Err(_) => {}
    }
    message(data);
    handshake(data);
}

fn message(data: &[u8]) {
    same_again(data, |bytes| LanRequest::decode(bytes).map(|request| request.encode()));
    same_again(data, |bytes| LanResponse::decode(bytes).map(|response| response.encode()));
}

fn handshake(data: &[u8]) {
    same_again(data, |bytes| OpenSessionRequest::decode(bytes).map(|message| message.encode()));
    same_again(data, |bytes| OpenSessionResponse::decode(bytes).map(|message| message.encode()));
    same_again(data, |bytes| Rakp1::decode(bytes)?.encode());
    same_again(data, |bytes| Rakp2::decode(bytes).map(|message| message.encode()));
    same_again(data, |bytes| RakpProof::decode(bytes).map(|message| message.encode()));
}

/// `recode` decodes and encodes. Whatever it makes of the input, it makes the same of what it made.
fn same_again(data: &[u8], recode: impl Fn(&[u8]) -> Result<Vec<u8>, DecodeError>) {
    if let Ok(once) = recode(data) {
        assert_eq!(recode(&once).as_ref(), Ok(&once));
    }
}

/// A command's request and response.
struct Codec {
    netfn: NetFn,
    cmd: u8,
    check: fn(&[u8]),
}

const fn codec<C: Command>() -> Codec {
    fn check<C: Command>(data: &[u8]) {
        same_again(data, |bytes| C::decode(bytes).map(|request| request.encode()));
        same_again(data, |bytes| C::Response::decode(bytes).map(|response| response.encode()));
    }
    Codec { netfn: C::NETFN, cmd: C::CODE, check: check::<C> }
}

/// Every command; a test compares it with the dispatch table.
const CODECS: &[Codec] = &[
    codec::<chassis::GetChassisCapabilities>(),
    codec::<chassis::GetChassisStatus>(),
    codec::<chassis::ChassisControl>(),
    codec::<chassis::ChassisIdentify>(),
    codec::<chassis::SetPowerRestorePolicy>(),
    codec::<chassis::GetSystemRestartCause>(),
    codec::<boot::SetSystemBootOptions>(),
    codec::<boot::GetSystemBootOptions>(),
    codec::<app::GetDeviceId>(),
    codec::<app::GetSelfTestResults>(),
    codec::<app::GetDeviceGuid>(),
    codec::<app::GetSystemGuid>(),
    codec::<channel::GetChannelAuthCapabilities>(),
    codec::<session::SetSessionPrivilegeLevel>(),
    codec::<session::CloseSession>(),
    codec::<session::GetSessionInfo>(),
    codec::<channel::GetChannelAccess>(),
    codec::<channel::GetChannelInfo>(),
    codec::<channel::GetChannelCipherSuites>(),
];

/// The data of a command, which the first two bytes name.
pub(crate) fn payload(data: &[u8]) {
    let &[netfn, cmd, ref data @ ..] = data else { return };
    let found = CODECS.iter().find(|codec| (codec.netfn.get(), codec.cmd) == (netfn, cmd));
    if let Some(codec) = found {
        (codec.check)(data);
    }
}

#[cfg(test)]
mod tests {
    use bmc_ipmi::table::TABLE;

    use super::*;

    #[test]
    fn every_command_is_here() {
        let table: Vec<_> = TABLE.iter().map(|entry| (entry.netfn, entry.cmd)).collect();
        let here: Vec<_> = CODECS.iter().map(|codec| (codec.netfn, codec.cmd)).collect();
        assert_eq!(here, table);
    }
}
