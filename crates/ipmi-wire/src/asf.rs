//! ASF presence ping and pong, by which consoles find BMCs (IPMI 2.0 §13.2.3 and §13.2.4).

use alloc::vec::Vec;

use crate::{DecodeError, Reader, Writer, rmcp::RmcpHeader};

/// The enterprise number in every ASF message.
pub const ASF_IANA: u32 = 4542;
const PONG: u8 = 0x40;
const PING: u8 = 0x80;
/// Supported entities: IPMI, ASF 1.0.
const ENTITY_IPMI: u8 = 0x80;
const ENTITY_ASF1: u8 = 0x01;
/// Supported interactions: security extensions (none), and the DCMI bit.
const INTERACTION_DCMI: u8 = 0x20;
/// Length of the pong's data.
const PONG_LEN: u8 = 16;

/// An ASF message that consoles and BMCs exchange, after the RMCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asf {
    /// Presence ping.
    Ping {
        /// Echoed in the pong; `FFh` asks for no answer that could be told apart.
        tag: u8,
    },
    /// Presence pong.
    Pong {
        /// The tag of the ping.
        tag: u8,
        /// Whether the responder speaks IPMI.
        ipmi: bool,
        /// Whether the responder speaks DCMI.
        dcmi: bool,
    },
}

impl Asf {
    /// Reads the message that follows the RMCP header.
    ///
    /// # Errors
    /// [`DecodeError::Value`] for another enterprise number or message type, [`DecodeError::Truncated`] and
    /// [`DecodeError::Length`] for wrong lengths.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let iana = r.u32_be()?;
        if iana != ASF_IANA {
            return Err(DecodeError::Value { field: "ASF enterprise number", value: iana });
        }
        let kind = r.u8()?;
        let tag = r.u8()?;
        let _reserved = r.u8()?;
        let len = r.u8()?;
        let mut data = Reader::new(r.bytes(len.into())?);
        match kind {
            PING => Ok(Self::Ping { tag }),
            PONG if len >= PONG_LEN => {
                // The responder's own enterprise number and its OEM field say nothing that anyone uses.
                let _oem = data.bytes(8)?;
                let [entities, interactions] = data.array()?;
                Ok(Self::Pong {
                    tag,
                    ipmi: entities & ENTITY_IPMI != 0,
                    dcmi: interactions & INTERACTION_DCMI != 0,
                })
            }
            PONG => Err(DecodeError::Length),
            other => Err(DecodeError::value("ASF message type", other)),
        }
    }

    /// The whole datagram, RMCP header included.
    #[must_use]
    pub fn to_datagram(self) -> Vec<u8> {
        let mut w = Writer::with_capacity(28);
        RmcpHeader::ASF.write(&mut w);
        w.u32_be(ASF_IANA);
        match self {
            Self::Ping { tag } => {
                w.u8(PING).u8(tag).u8(0).u8(0);
            }
            Self::Pong { tag, ipmi, dcmi } => {
                let entities = ENTITY_ASF1 | if ipmi { ENTITY_IPMI } else { 0 };
                let interactions = if dcmi { INTERACTION_DCMI } else { 0 };
                w.u8(PONG).u8(tag).u8(0).u8(PONG_LEN);
                w.u32_be(ASF_IANA).u32_be(0).u8(entities).u8(interactions).zeros(6);
            }
        }
        w.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Asf, DecodeError> {
        let mut r = Reader::new(bytes);
        RmcpHeader::read(&mut r)?;
        Asf::read(&mut r)
    }

    /// The ping of FreeIPMI's `rmcpping`, tag 0x42.
    #[test]
    fn ping_and_pong_bytes() {
        let ping = hex::decode("0600ff06000011be80420000").unwrap();
        assert_eq!(decode(&ping), Ok(Asf::Ping { tag: 0x42 }));
        assert_eq!(Asf::Ping { tag: 0x42 }.to_datagram(), ping);
        let pong = Asf::Pong { tag: 0x42, ipmi: true, dcmi: false }.to_datagram();
        assert_eq!(hex::encode(pong), "0600ff06000011be40420010000011be000000008100000000000000");
    }

    proptest! {
        #[test]
        fn round_trip(tag: u8, ipmi: bool, dcmi: bool) {
            let pong = Asf::Pong { tag, ipmi, dcmi };
            prop_assert_eq!(decode(&pong.to_datagram()), Ok(pong));
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Asf::read(&mut Reader::new(&bytes));
        }
    }
}
