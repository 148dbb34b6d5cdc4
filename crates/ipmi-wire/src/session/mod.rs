//! Session headers: the IPMI 1.5 format and the RMCP+ format (IPMI 2.0 §13.6, table 13-8).
//!
//! The byte after the RMCP header tells them apart: an authentication type below 6 is IPMI 1.5, `06h` is RMCP+.

pub mod v15;
pub mod v20;

use alloc::vec::Vec;

pub use v15::V15Packet;
pub use v20::{PayloadType, V20Packet};

use crate::{DecodeError, Reader, Writer, asf::Asf, rmcp};

/// Everything that may follow an RMCP header of ours, with the session still closed: payloads are not decrypted
/// and codes not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// An ASF message and the RMCP sequence number, which asks for an acknowledge unless it is [`rmcp::NO_ACK`].
    Asf(Asf, u8),
    /// An RMCP acknowledge; nobody waits for one.
    Ack,
    /// An IPMI 1.5 packet.
    V15(V15Packet<'a>),
    /// An RMCP+ packet.
    V20(V20Packet<'a>),
}

impl<'a> Datagram<'a> {
    /// Reads a whole datagram.
    ///
    /// # Errors
    /// Whatever the layer that refused it says; [`DecodeError::Value`] for RMCP classes other than ASF and IPMI.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let header = rmcp::RmcpHeader::read(&mut r)?;
        if header.ack {
            return Ok(Self::Ack);
        }
        match header.class {
            rmcp::Class::Asf => Asf::read(&mut r).map(|asf| Self::Asf(asf, header.sequence)),
            rmcp::Class::Ipmi if r.peek() == Some(v20::AUTH_TYPE) => V20Packet::read(&mut r).map(Self::V20),
            rmcp::Class::Ipmi => V15Packet::read(&mut r).map(Self::V15),
            rmcp::Class::Oem => Err(DecodeError::value("RMCP class", 8)),
            rmcp::Class::Other(class) => Err(DecodeError::value("RMCP class", class)),
        }
    }
}

/// The RMCP acknowledge of a message with the sequence number `sequence` (IPMI 2.0 §13.2.1).
#[must_use]
pub fn rmcp_ack(sequence: u8, class: rmcp::Class) -> Vec<u8> {
    let mut w = Writer::with_capacity(rmcp::HEADER_LEN);
    rmcp::RmcpHeader { sequence, ack: true, class }.write(&mut w);
    w.into_vec()
}

#[cfg(test)]
mod tests;
