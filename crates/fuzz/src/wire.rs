//! The decoders. What is decoded encodes to bytes that are decoded and encoded the same again.

use bmc_ipmi::table::find;
use ipmi_wire::command::Payload as _;
use ipmi_wire::rakp::{OpenSessionRequest, OpenSessionResponse, Rakp1, Rakp2, RakpProof};
use ipmi_wire::record::fru::Inventory;
use ipmi_wire::record::sel::SelRecord;
use ipmi_wire::session::Datagram;
use ipmi_wire::sol::SolPacket;
use ipmi_wire::vm::{self, Frame};
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
    same_again(data, |bytes| SolPacket::decode(bytes).map(|packet| packet.encode()));
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

/// The data of a command, which the first two bytes name: as a request and as a response.
pub(crate) fn payload(data: &[u8]) {
    let &[netfn, cmd, ref data @ ..] = data else { return };
    if let Some(entry) = find(NetFn::new(netfn), cmd) {
        same_again(data, entry.recode_request);
        same_again(data, entry.recode_response);
    }
}

/// Records and images that clients write, as they lie in the store: of the event log, of the FRU inventory.
pub(crate) fn record(data: &[u8]) {
    same_again(data, |bytes| SelRecord::decode(bytes).map(|record| record.encode()));
    same_again(data, |bytes| Inventory::decode(bytes)?.encode(bytes.len()));
}

/// What a virtual machine's device sends, and what it is sent.
pub(crate) fn machine(data: &[u8]) {
    let frames = |bytes: &[u8]| -> Vec<Frame> {
        let mut decoder = vm::Decoder::default();
        let frames = bytes.iter().filter_map(|byte| {
            let frame = decoder.push(*byte);
            assert!(decoder.kept() <= vm::FRAME_MAX);
            frame?.ok()
        });
        frames.collect()
    };
    for frame in frames(data) {
        let again = match &frame {
            Frame::Message(message) => message.encode(),
            Frame::Command(command) => command.encode(),
        };
        assert_eq!(frames(&again), [frame]);
    }
}
