//! Sealing and opening the packets of an IPMI 1.5 session, for both sides (IPMI 2.0 §22.17.1).
//!
//! ```text
//! MD2, MD5   hash(password | session id | message | session sequence number | password)
//! password   the password itself
//! none       nothing
//! ```
//! The password counts with 16 bytes, padded with zeros. Numbers are little-endian. Nothing is encrypted.

use ipmi_wire::{
    DecodeError,
    session::{V15Packet, v15::AuthType},
};
use md2::Md2;
use md5::Md5;

use crate::{
    Password,
    event::DropReason,
    keys::{keyed, same},
};

/// How the packets of one session are authenticated.
#[derive(Clone)]
pub(crate) struct V15Auth {
    auth_type: AuthType,
    password: Password,
    /// Whether packets may come and go without a code, and not only the one that opens the session.
    lenient: bool,
}

impl V15Auth {
    /// `None` for a password that IPMI 1.5 cannot carry, or a type that is not implemented.
    pub(crate) fn new(auth_type: AuthType, password: &Password) -> Option<Self> {
        password.short()?;
        (auth_type != AuthType::Oem).then(|| Self { auth_type, password: password.clone(), lenient: false })
    }

    /// The same without codes in what follows.
    pub(crate) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Whether packets prove where they come from. The password in plain text does not: whoever reads it can send it.
    pub(crate) const fn authenticates(&self) -> bool {
        matches!(self.auth_type, AuthType::Md2 | AuthType::Md5) && !self.lenient
    }

    fn code(&self, session_id: u32, sequence: u32, message: &[u8]) -> Option<[u8; 16]> {
        let password = self.password.short()?;
        let (id, sequence) = (session_id.to_le_bytes(), sequence.to_le_bytes());
        let parts: [&[u8]; 3] = [&id, message, &sequence];
        match self.auth_type {
            AuthType::Md2 => keyed::<Md2>(password, &parts).as_bytes().try_into().ok(),
            AuthType::Md5 => keyed::<Md5>(password, &parts).as_bytes().try_into().ok(),
            AuthType::Password => Some(*password),
            AuthType::None | AuthType::Oem => None,
        }
    }

    /// Whether the packet carries the right code.
    pub(crate) fn verify(&self, packet: &V15Packet<'_>) -> Result<(), DropReason> {
        if self.lenient && packet.auth_type == AuthType::None {
            return Ok(());
        }
        if packet.auth_type != self.auth_type {
            return Err(DropReason::Unprotected);
        }
        match (self.code(packet.session_id, packet.sequence, packet.payload), packet.auth_code) {
            (Some(want), Some(code)) if same(&want, &code) => Ok(()),
            (None, None) => Ok(()),
            _ => Err(DropReason::Integrity),
        }
    }

    /// The datagram with `message`. `full`: with a code even where the session does without.
    pub(crate) fn seal(
        &self,
        session_id: u32,
        sequence: u32,
        message: &[u8],
        full: bool,
    ) -> Result<Vec<u8>, DecodeError> {
        let auth_type = if self.lenient && !full { AuthType::None } else { self.auth_type };
        let auth_code = match auth_type {
            AuthType::None => None,
            _ => self.code(session_id, sequence, message),
        };
        V15Packet { auth_type, sequence, session_id, auth_code, payload: message }.to_datagram()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &[u8] = b"password";

    fn auth(auth_type: AuthType) -> V15Auth {
        V15Auth::new(auth_type, &Password::new(PASSWORD).unwrap()).unwrap()
    }

    /// MD5 by Python: `k = b"password".ljust(16, b"\0")`, `hashlib.md5(k + bytes.fromhex("04030201") + b"message" +
    /// bytes.fromhex("08070605") + k)`. (MD2 is shown by FreeIPMI.)
    #[test]
    fn code_vectors() {
        let code = |auth_type| auth(auth_type).code(0x0102_0304, 0x0506_0708, b"message").map(hex::encode);
        assert_eq!(code(AuthType::Md5).as_deref(), Some("f3ea935026097576dbdcbd1f741c37b1"));
        assert_eq!(code(AuthType::Password), Some(hex::encode(b"password\0\0\0\0\0\0\0\0")));
        assert_eq!(code(AuthType::None), None);
    }

    #[test]
    fn what_is_sealed_opens_and_nothing_else_does() {
        for auth_type in [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::Password] {
            let bytes = auth(auth_type).seal(7, 9, b"message", false).unwrap();
            let packet = |bytes: &[u8]| {
                let ipmi_wire::session::Datagram::V15(packet) =
                    ipmi_wire::session::Datagram::decode(bytes).unwrap()
                else {
                    panic!("not IPMI 1.5")
                };
                auth(auth_type).verify(&packet)
            };
            assert_eq!(packet(&bytes), Ok(()), "{auth_type:?}");
            // The code comes after RMCP header, type, number and id.
            if auth_type != AuthType::None {
                let mut bad = bytes.clone();
                bad[13] ^= 1;
                assert_eq!(packet(&bad), Err(DropReason::Integrity), "{auth_type:?}");
                let bare = auth(AuthType::None).seal(7, 9, b"message", false).unwrap();
                assert_eq!(packet(&bare), Err(DropReason::Unprotected), "{auth_type:?}");
            }
        }
    }

    #[test]
    fn a_password_of_more_than_16_bytes_is_none_here() {
        assert!(V15Auth::new(AuthType::Md5, &Password::new(&[b'x'; 17]).unwrap()).is_none());
        assert!(V15Auth::new(AuthType::Md5, &Password::new(&[b'x'; 16]).unwrap()).is_some());
    }
}
