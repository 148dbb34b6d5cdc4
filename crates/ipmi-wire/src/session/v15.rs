//! The IPMI 1.5 session header (IPMI 2.0 table 13-8, left column).

use alloc::vec::Vec;

use crate::{DecodeError, Reader, Writer, rmcp::RmcpHeader};

/// Authentication types of IPMI 1.5 (IPMI 2.0 §22.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuthType {
    /// `0h`: no code.
    None = 0,
    /// `1h`: MD2.
    Md2 = 1,
    /// `2h`: MD5.
    Md5 = 2,
    /// `4h`: the password itself.
    Password = 4,
    /// `5h`: the maker's own.
    Oem = 5,
}

impl AuthType {
    /// The type with the four-bit value `raw`.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::None,
            1 => Self::Md2,
            2 => Self::Md5,
            4 => Self::Password,
            5 => Self::Oem,
            _ => return None,
        })
    }
}

/// An IPMI 1.5 packet after the RMCP header. The authentication code is carried, not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V15Packet<'a> {
    /// How the packet is authenticated.
    pub auth_type: AuthType,
    /// Session sequence number; 0 outside a session.
    pub sequence: u32,
    /// Session id; 0 outside a session.
    pub session_id: u32,
    /// The code, absent exactly when [`V15Packet::auth_type`] is [`AuthType::None`].
    pub auth_code: Option<[u8; 16]>,
    /// The IPMI message, at most 255 bytes.
    pub payload: &'a [u8],
}

impl<'a> V15Packet<'a> {
    /// A packet outside any session.
    #[must_use]
    pub const fn sessionless(payload: &'a [u8]) -> Self {
        Self { auth_type: AuthType::None, sequence: 0, session_id: 0, auth_code: None, payload }
    }

    /// Reads the packet. One byte after the message is accepted: some consoles pad datagrams of certain lengths
    /// for the sake of an old network chip (IPMI 2.0 table 13-8, "Legacy PAD").
    ///
    /// # Errors
    /// [`DecodeError::Value`] for a reserved authentication type, [`DecodeError::Truncated`] or
    /// [`DecodeError::Trailing`] for wrong lengths.
    pub fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let raw = r.u8()?;
        let auth_type = AuthType::from_raw(raw).ok_or(DecodeError::value("authentication type", raw))?;
        let sequence = r.u32_le()?;
        let session_id = r.u32_le()?;
        let auth_code = if auth_type == AuthType::None { None } else { Some(r.array()?) };
        let len = r.u8()?;
        let payload = r.bytes(len.into())?;
        if r.rest().len() > 1 {
            return Err(DecodeError::Trailing);
        }
        Ok(Self { auth_type, sequence, session_id, auth_code, payload })
    }

    /// The whole datagram, RMCP header included.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when the payload is longer than the length byte can say, or the code is there without
    /// its type or the other way round.
    pub fn to_datagram(&self) -> Result<Vec<u8>, DecodeError> {
        let len = u8::try_from(self.payload.len()).map_err(|_| DecodeError::Length)?;
        if self.auth_code.is_some() == (self.auth_type == AuthType::None) {
            return Err(DecodeError::Length);
        }
        let mut w = Writer::with_capacity(self.payload.len().saturating_add(30));
        RmcpHeader::IPMI.write(&mut w);
        w.u8(self.auth_type as u8).u32_le(self.sequence).u32_le(self.session_id);
        if let Some(code) = &self.auth_code {
            w.bytes(code);
        }
        w.u8(len).bytes(self.payload);
        Ok(w.into_vec())
    }
}
