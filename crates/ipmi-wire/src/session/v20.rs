//! The RMCP+ session header and trailer (IPMI 2.0 table 13-8, right column).
//!
//! ```text
//! 06h | payload type | [OEM IANA, OEM id] | session id | sequence | length | payload
//!     [ integrity pad FFh... | pad length | next header 07h | AuthCode ]      when authenticated
//! ```
//!
//! The trailer's AuthCode covers everything from the `06h` to the next header byte.

use alloc::vec::Vec;

use crate::{DecodeError, Reader, Writer, rmcp, rmcp::RmcpHeader};

/// The value of the first byte that says "RMCP+".
pub const AUTH_TYPE: u8 = 0x06;
/// The "next header" byte of the trailer, reserved for RMCP+ at this value.
pub const NEXT_HEADER: u8 = 0x07;
/// The integrity pad's bytes.
const PAD: u8 = 0xff;
const ENCRYPTED: u8 = 0x80;
const AUTHENTICATED: u8 = 0x40;

/// What an RMCP+ packet carries (IPMI 2.0 table 13-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// `00h`: an IPMI message.
    Ipmi,
    /// `01h`: Serial over LAN.
    Sol,
    /// `02h`: OEM explicit: the number and id that follow say what it is.
    OemExplicit {
        /// IANA enterprise number, with a reserved byte on the wire.
        iana: u32,
        /// The maker's payload id.
        id: u16,
    },
    /// `10h`: Open Session Request.
    OpenSessionRequest,
    /// `11h`: Open Session Response.
    OpenSessionResponse,
    /// `12h`: RAKP message 1.
    Rakp1,
    /// `13h`: RAKP message 2.
    Rakp2,
    /// `14h`: RAKP message 3.
    Rakp3,
    /// `15h`: RAKP message 4.
    Rakp4,
    /// Any other six-bit value: OEM handles `20h..=27h` and reserved ones.
    Other(u8),
}

impl PayloadType {
    /// The six-bit value.
    #[must_use]
    pub const fn raw(self) -> u8 {
        match self {
            Self::Ipmi => 0x00,
            Self::Sol => 0x01,
            Self::OemExplicit { .. } => 0x02,
            Self::OpenSessionRequest => 0x10,
            Self::OpenSessionResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
            Self::Other(v) => v & 0x3f,
        }
    }
}

/// An RMCP+ packet after the RMCP header. Payload and trailer are as they stood on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V20Packet<'a> {
    /// What is inside.
    pub payload_type: PayloadType,
    /// Whether the payload is encrypted.
    pub encrypted: bool,
    /// Whether a trailer with an AuthCode follows the payload.
    pub authenticated: bool,
    /// Session id of the receiver; 0 outside a session.
    pub session_id: u32,
    /// Session sequence number; 0 outside a session.
    pub sequence: u32,
    /// The payload.
    pub payload: &'a [u8],
    /// What follows the payload: empty unless [`V20Packet::authenticated`].
    pub trailer: &'a [u8],
    /// Everything that the AuthCode may cover: from the `06h` on, to the end of the datagram.
    pub signed_and_code: &'a [u8],
}

impl<'a> V20Packet<'a> {
    /// Reads the packet.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]; [`DecodeError::Trailing`] when an unauthenticated packet has a trailer;
    /// [`DecodeError::Value`] when the first byte is not [`AUTH_TYPE`].
    pub fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let signed_and_code = r.clone().rest();
        let auth_type = r.u8()?;
        if auth_type != AUTH_TYPE {
            return Err(DecodeError::value("authentication type of RMCP+", auth_type));
        }
        let kind = r.u8()?;
        let payload_type = match kind & 0x3f {
            0x00 => PayloadType::Ipmi,
            0x01 => PayloadType::Sol,
            0x02 => PayloadType::OemExplicit { iana: r.u32_le()?, id: r.u16_le()? },
            0x10 => PayloadType::OpenSessionRequest,
            0x11 => PayloadType::OpenSessionResponse,
            0x12 => PayloadType::Rakp1,
            0x13 => PayloadType::Rakp2,
            0x14 => PayloadType::Rakp3,
            0x15 => PayloadType::Rakp4,
            other => PayloadType::Other(other),
        };
        let session_id = r.u32_le()?;
        let sequence = r.u32_le()?;
        let len = r.u16_le()?;
        let payload = r.bytes(len.into())?;
        let authenticated = kind & AUTHENTICATED != 0;
        let trailer = r.rest();
        if !authenticated && !trailer.is_empty() {
            return Err(DecodeError::Trailing);
        }
        Ok(Self {
            payload_type,
            encrypted: kind & ENCRYPTED != 0,
            authenticated,
            session_id,
            sequence,
            payload,
            trailer,
            signed_and_code,
        })
    }

    /// Splits what the AuthCode covers from the code, which is the last `code_len` bytes, and checks the trailer's
    /// own fields. The code is returned unverified.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the trailer is too short, [`DecodeError::Length`] when the pad length does not
    /// fit, [`DecodeError::Value`] when the next header is not [`NEXT_HEADER`].
    pub fn split_code(&self, code_len: usize) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        let trailer_len = self.trailer.len().checked_sub(code_len).ok_or(DecodeError::Truncated)?;
        let fields = self.trailer.get(..trailer_len).ok_or(DecodeError::Truncated)?;
        let (pad, [pad_len, next]) = fields.split_last_chunk::<2>().ok_or(DecodeError::Truncated)?;
        if *next != NEXT_HEADER {
            return Err(DecodeError::value("next header", *next));
        }
        if pad.len() != usize::from(*pad_len) {
            return Err(DecodeError::Length);
        }
        let signed = self.signed_and_code.len().checked_sub(code_len).ok_or(DecodeError::Truncated)?;
        self.signed_and_code.split_at_checked(signed).ok_or(DecodeError::Truncated)
    }
}

/// What goes into the header of an outgoing RMCP+ packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V20Header {
    /// What is inside.
    pub payload_type: PayloadType,
    /// Whether the payload was encrypted.
    pub encrypted: bool,
    /// Whether an AuthCode will follow.
    pub authenticated: bool,
    /// Session id of the receiver; 0 outside a session.
    pub session_id: u32,
    /// Session sequence number; 0 outside a session.
    pub sequence: u32,
}

impl V20Header {
    /// The header of a packet outside any session.
    #[must_use]
    pub const fn sessionless(payload_type: PayloadType) -> Self {
        Self { payload_type, encrypted: false, authenticated: false, session_id: 0, sequence: 0 }
    }

    /// The datagram, RMCP header included, up to where the AuthCode goes: with `authenticated`, the pad, its length
    /// and the next header are appended, so that the bytes from [`rmcp::HEADER_LEN`] on are what the code covers.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when the payload is longer than 65535 bytes.
    pub fn to_datagram(&self, payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let len = u16::try_from(payload.len()).map_err(|_| DecodeError::Length)?;
        let mut w = Writer::with_capacity(payload.len().saturating_add(64));
        RmcpHeader::IPMI.write(&mut w);
        let flags =
            if self.encrypted { ENCRYPTED } else { 0 } | if self.authenticated { AUTHENTICATED } else { 0 };
        w.u8(AUTH_TYPE).u8(self.payload_type.raw() | flags);
        if let PayloadType::OemExplicit { iana, id } = self.payload_type {
            w.u32_le(iana).u16_le(id);
        }
        w.u32_le(self.session_id).u32_le(self.sequence).u16_le(len).bytes(payload);
        if self.authenticated {
            // The covered range is padded to a multiple of four, counting the two bytes that follow the pad.
            let covered = w.len().saturating_sub(rmcp::HEADER_LEN).saturating_add(2);
            let pad = covered.next_multiple_of(4).saturating_sub(covered);
            for _ in 0..pad {
                w.u8(PAD);
            }
            // At most 3.
            w.u8(u8::try_from(pad).unwrap_or_default()).u8(NEXT_HEADER);
        }
        Ok(w.into_vec())
    }
}
