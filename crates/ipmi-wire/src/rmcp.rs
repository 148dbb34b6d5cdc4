//! The RMCP header: the first four bytes of every datagram (IPMI 2.0 §13.1.3, ASF 2.0 §3.2.2).

use crate::{DecodeError, Reader, Writer};

/// The RMCP version that this crate speaks, RMCP 1.0.
pub const VERSION: u8 = 0x06;
/// The RMCP sequence number that asks for no RMCP acknowledge; IPMI messages always carry it.
pub const NO_ACK: u8 = 0xff;
/// Header length in bytes.
pub const HEADER_LEN: usize = 4;
/// The bit of the class byte that makes the message an acknowledge.
const ACK_BIT: u8 = 0x80;

/// What an RMCP message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `06h`: ASF, used for presence pings.
    Asf,
    /// `07h`: IPMI.
    Ipmi,
    /// `08h`: OEM.
    Oem,
    /// Any other five-bit value; reserved.
    Other(u8),
}

impl Class {
    const fn from_raw(raw: u8) -> Self {
        match raw & 0x1f {
            6 => Self::Asf,
            7 => Self::Ipmi,
            8 => Self::Oem,
            other => Self::Other(other),
        }
    }

    const fn raw(self) -> u8 {
        match self {
            Self::Asf => 6,
            Self::Ipmi => 7,
            Self::Oem => 8,
            Self::Other(v) => v & 0x1f,
        }
    }
}

/// The RMCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RmcpHeader {
    /// RMCP sequence number; [`NO_ACK`] when none is wanted.
    pub sequence: u8,
    /// Whether this message only acknowledges one.
    pub ack: bool,
    /// What follows.
    pub class: Class,
}

impl RmcpHeader {
    /// The header in front of every IPMI message.
    pub const IPMI: Self = Self { sequence: NO_ACK, ack: false, class: Class::Ipmi };
    /// The header in front of an ASF message that wants no acknowledge.
    pub const ASF: Self = Self { sequence: NO_ACK, ack: false, class: Class::Asf };

    /// Reads the header from the front of `r`. The reserved byte and bits are ignored.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::Value`] for another RMCP version.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [version, _, sequence, class] = r.array()?;
        if version != VERSION {
            return Err(DecodeError::value("RMCP version", version));
        }
        Ok(Self { sequence, ack: class & ACK_BIT != 0, class: Class::from_raw(class) })
    }

    /// Writes the header.
    pub fn write(&self, w: &mut Writer) {
        let ack = if self.ack { ACK_BIT } else { 0 };
        w.u8(VERSION).u8(0).u8(self.sequence).u8(self.class.raw() | ack);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ipmi_header_is_the_one_that_clients_send() {
        let mut w = Writer::new();
        RmcpHeader::IPMI.write(&mut w);
        assert_eq!(w.as_slice(), [0x06, 0x00, 0xff, 0x07]);
    }

    #[test]
    fn another_version_is_refused() {
        let err = RmcpHeader::read(&mut Reader::new(&[0x05, 0, 0xff, 7]));
        assert_eq!(err, Err(DecodeError::Value { field: "RMCP version", value: 5 }));
    }

    proptest! {
        #[test]
        fn round_trip(sequence: u8, ack: bool, class: u8) {
            let header = RmcpHeader { sequence, ack, class: Class::from_raw(class) };
            let mut w = Writer::new();
            header.write(&mut w);
            prop_assert_eq!(RmcpHeader::read(&mut Reader::new(w.as_slice())), Ok(header));
        }
    }
}
