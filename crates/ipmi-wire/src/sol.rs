//! Serial over LAN packets: the payload of type 1 of an RMCP+ session (IPMI 2.0 §15.9, table 15-2).
//!
//! ```text
//! packet sequence | acknowledged sequence | accepted characters | operation or status | characters
//! ```
//!
//! A packet has a number of its own, 1 to 15, if it carries something that is to be acknowledged, and 0 if it only acknowledges. The
//! fourth byte is an [`operation`] on the way to the BMC and a [`status`] on the way back.

use alloc::vec::Vec;

use crate::{DecodeError, Reader, Writer};

/// Bytes before the characters.
pub const HEADER_LEN: usize = 4;
/// Most characters of one packet: the count of accepted ones is a byte.
pub const MAX_CHARACTERS: usize = 255;
/// The highest packet sequence number; the next one after it is 1.
pub const MAX_SEQUENCE: u8 = 15;

/// Bits of the fourth byte on the way from the console to the BMC.
pub mod operation {
    /// The acknowledged packet was not taken as a whole and is to be sent again.
    pub const NACK: u8 = 0x40;
    /// Assert ring indicate, which can wake the system.
    pub const RING: u8 = 0x20;
    /// Send a break to the system, after the characters.
    pub const BREAK: u8 = 0x10;
    /// Deassert CTS: the system is to pause.
    pub const DEASSERT_CTS: u8 = 0x08;
    /// Deassert DCD and DSR: the line hangs up.
    pub const DEASSERT_DCD: u8 = 0x04;
    /// Throw away what waits to be sent to the system.
    pub const FLUSH_INBOUND: u8 = 0x02;
    /// Throw away what waits to be sent to the console.
    pub const FLUSH_OUTBOUND: u8 = 0x01;
}

/// Bits of the fourth byte on the way from the BMC to the console.
pub mod status {
    /// The acknowledged packet was not taken as a whole.
    pub const NACK: u8 = 0x40;
    /// Characters do not reach the system now, for instance because it is off.
    pub const UNAVAILABLE: u8 = 0x20;
    /// Serial over LAN is over for this session.
    pub const DEACTIVATING: u8 = 0x10;
    /// Characters of the system were lost before these.
    pub const OVERRUN: u8 = 0x08;
    /// The system sent a break.
    pub const BREAK: u8 = 0x04;
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SolPacket {
    /// Its number, 1 to 15; 0 when it only acknowledges.
    pub sequence: u8,
    /// The number of the packet that is acknowledged; 0 for none.
    pub ack: u8,
    /// How many characters of that packet were taken.
    pub accepted: u8,
    /// The [`operation`] or [`status`].
    pub bits: u8,
    /// At most [`MAX_CHARACTERS`] characters.
    pub characters: Vec<u8>,
}

impl SolPacket {
    /// Reads a packet. Reserved bits are ignored.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] below [`HEADER_LEN`] bytes, [`DecodeError::Length`] above [`MAX_CHARACTERS`] characters.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(payload);
        let [sequence, ack, accepted, bits] = r.array()?;
        if r.remaining() > MAX_CHARACTERS {
            return Err(DecodeError::Length);
        }
        Ok(Self {
            sequence: sequence & MAX_SEQUENCE,
            ack: ack & MAX_SEQUENCE,
            accepted,
            bits,
            characters: r.rest().into(),
        })
    }

    /// The bytes. Characters past [`MAX_CHARACTERS`] are cut off.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let characters = self.characters.get(..MAX_CHARACTERS).unwrap_or(&self.characters);
        let mut w = Writer::with_capacity(HEADER_LEN.saturating_add(characters.len()));
        w.u8(self.sequence & MAX_SEQUENCE).u8(self.ack & MAX_SEQUENCE).u8(self.accepted).u8(self.bits);
        w.bytes(characters);
        w.into_vec()
    }

    /// Whether all of `bits` are set in the operation or status.
    #[must_use]
    pub const fn has(&self, bits: u8) -> bool {
        self.bits & bits == bits
    }
}

/// The packet sequence number after `number`: 1 to 15, and 1 again.
#[must_use]
pub const fn next_sequence(number: u8) -> u8 {
    if number >= MAX_SEQUENCE { 1 } else { number.wrapping_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_ipmitool_is_read_and_written() {
        // Typed "ls\r" as its third packet, acknowledging nothing.
        let bytes = [0x03, 0x00, 0x00, 0x00, b'l', b's', b'\r'];
        let packet = SolPacket { sequence: 3, characters: b"ls\r".to_vec(), ..SolPacket::default() };
        assert_eq!(SolPacket::decode(&bytes), Ok(packet.clone()));
        assert_eq!(packet.encode(), bytes);
        // An acknowledgement of 12 characters of packet 15.
        let bytes = [0x00, 0x0f, 0x0c, 0x00];
        let packet = SolPacket { ack: 15, accepted: 12, ..SolPacket::default() };
        assert_eq!(SolPacket::decode(&bytes), Ok(packet.clone()));
        assert_eq!(packet.encode(), bytes);
    }

    #[test]
    fn lengths_are_checked_and_reserved_bits_ignored() {
        for n in 0..HEADER_LEN {
            assert_eq!(SolPacket::decode(&[0; HEADER_LEN][..n]), Err(DecodeError::Truncated));
        }
        assert!(SolPacket::decode(&[0; HEADER_LEN + MAX_CHARACTERS]).is_ok());
        assert_eq!(SolPacket::decode(&[0; HEADER_LEN + MAX_CHARACTERS + 1]), Err(DecodeError::Length));
        let packet = SolPacket::decode(&[0xf1, 0xf2, 0, 0x10]).unwrap();
        assert_eq!((packet.sequence, packet.ack, packet.has(operation::BREAK)), (1, 2, true));
        let long = SolPacket { characters: std::vec![b'x'; 300], ..SolPacket::default() };
        assert_eq!(long.encode().len(), HEADER_LEN + MAX_CHARACTERS);
    }

    #[test]
    fn sequence_numbers_run_from_one_to_fifteen() {
        assert_eq!((next_sequence(0), next_sequence(1), next_sequence(14), next_sequence(15)), (1, 2, 15, 1));
    }
}
