//! Sealing and opening the packets of a session, for both sides (IPMI 2.0 §13.28.4, §13.29).

use aes::Aes128;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
use ipmi_wire::{
    DecodeError,
    cipher::{CipherSuite, ConfidentialityAlgorithm, IntegrityAlgorithm},
    rmcp,
    session::{PayloadType, V15Packet, V20Packet, v20::V20Header},
};
use rand_core::CryptoRng;

use crate::{
    event::DropReason,
    keys::{SessionKeys, integrity, same},
    limits,
    v15::V15Auth,
};

/// AES block and initialization vector, in bytes.
const BLOCK: usize = 16;

/// The protection that the packets of one session have.
pub(crate) enum Protection {
    /// RMCP+: what the suite gives.
    V20(V20Protection),
    /// IPMI 1.5.
    V15(V15Auth),
}

impl Protection {
    /// RMCP+ with this suite.
    pub(crate) const fn v20(suite: CipherSuite, keys: SessionKeys) -> Self {
        Self::V20(V20Protection { suite, keys })
    }

    /// Whether packets cannot be read on the way.
    pub(crate) fn encrypts(&self) -> bool {
        match self {
            Self::V20(protection) => protection.encrypts(),
            Self::V15(_) => false,
        }
    }

    /// Whether packets prove where they come from.
    pub(crate) fn authenticates(&self) -> bool {
        match self {
            Self::V20(protection) => protection.authenticates(),
            Self::V15(auth) => auth.authenticates(),
        }
    }

    /// Verifies and decrypts the payload of an RMCP+ packet.
    pub(crate) fn open(&self, packet: &V20Packet<'_>) -> Result<Vec<u8>, DropReason> {
        match self {
            Self::V20(protection) => protection.open(packet),
            Self::V15(_) => Err(DropReason::UnknownSession),
        }
    }

    /// Verifies a packet of IPMI 1.5.
    pub(crate) fn verify(&self, packet: &V15Packet<'_>) -> Result<(), DropReason> {
        match self {
            Self::V20(_) => Err(DropReason::UnknownSession),
            Self::V15(auth) => auth.verify(packet),
        }
    }

    /// The datagram that carries `payload`. IPMI 1.5 knows no payload but messages.
    pub(crate) fn seal(
        &self,
        payload_type: PayloadType,
        session_id: u32,
        sequence: u32,
        payload: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::V20(protection) => protection.seal(payload_type, session_id, sequence, payload, rng),
            Self::V15(auth) if payload_type == PayloadType::Ipmi => {
                auth.seal(session_id, sequence, payload, false)
            }
            Self::V15(_) => Err(DecodeError::value("payload type", payload_type.raw())),
        }
    }

    /// The most response data that a packet carries.
    pub(crate) const fn max_data(&self) -> usize {
        match self {
            Self::V20(_) => limits::MAX_MESSAGE_DATA,
            Self::V15(_) => limits::MAX_MESSAGE_DATA_V15,
        }
    }
}

/// The protection that a suite gives to the packets of one session.
pub(crate) struct V20Protection {
    suite: CipherSuite,
    keys: SessionKeys,
}

impl V20Protection {
    fn encrypts(&self) -> bool {
        self.suite.confidentiality != ConfidentialityAlgorithm::None
    }

    fn authenticates(&self) -> bool {
        self.suite.integrity != IntegrityAlgorithm::None
    }

    fn aes_key(&self) -> Option<[u8; BLOCK]> {
        self.keys.k2.cut(BLOCK).try_into().ok()
    }

    /// Verifies and decrypts the payload of `packet`, which must be protected exactly as the suite says: a console
    /// that agreed on encryption has no reason to send anything without.
    fn open(&self, packet: &V20Packet<'_>) -> Result<Vec<u8>, DropReason> {
        if packet.authenticated != self.authenticates() || packet.encrypted != self.encrypts() {
            return Err(DropReason::Unprotected);
        }
        if packet.authenticated {
            let code_len = self.suite.integrity.code_len();
            let (signed, code) = packet.split_code(code_len).map_err(DropReason::Malformed)?;
            let want = integrity(self.suite.integrity, &self.keys.integrity, signed);
            if !same(want.cut(code_len), code) {
                return Err(DropReason::Integrity);
            }
        }
        if packet.encrypted { self.decrypt(packet.payload) } else { Ok(packet.payload.to_vec()) }
    }

    /// The datagram that carries `payload`, protected as the suite says.
    fn seal(
        &self,
        payload_type: PayloadType,
        session_id: u32,
        sequence: u32,
        payload: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, DecodeError> {
        let header = V20Header {
            payload_type,
            encrypted: self.encrypts(),
            authenticated: self.authenticates(),
            session_id,
            sequence,
        };
        let mut datagram = if header.encrypted {
            header.to_datagram(&self.encrypt(payload, rng).ok_or(DecodeError::Length)?)?
        } else {
            header.to_datagram(payload)?
        };
        if header.authenticated {
            let signed = datagram.get(rmcp::HEADER_LEN..).unwrap_or_default();
            let code = integrity(self.suite.integrity, &self.keys.integrity, signed);
            datagram.extend_from_slice(code.cut(self.suite.integrity.code_len()));
        }
        Ok(datagram)
    }

    /// IV, then the encrypted data with its pad `01 02 03 ...` and the pad's length, which does not count itself.
    fn encrypt(&self, payload: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let mut iv = [0; BLOCK];
        rng.fill_bytes(&mut iv);
        let padded = payload.len().checked_add(1)?.checked_next_multiple_of(BLOCK)?;
        let pad = u8::try_from(padded.checked_sub(payload.len())?.checked_sub(1)?).ok()?;
        let mut plain = Vec::with_capacity(padded);
        plain.extend_from_slice(payload);
        plain.extend(1..=pad);
        plain.push(pad);
        let cipher = cbc::Encryptor::<Aes128>::new(&self.aes_key()?.into(), &iv.into());
        cipher.encrypt_padded::<NoPadding>(&mut plain, padded).ok()?;
        Some([&iv[..], &plain].concat())
    }

    fn decrypt(&self, payload: &[u8]) -> Result<Vec<u8>, DropReason> {
        let (iv, secret) = payload.split_first_chunk::<BLOCK>().ok_or(DropReason::Decryption)?;
        let key = self.aes_key().ok_or(DropReason::Decryption)?;
        let mut plain = secret.to_vec();
        // Refuses a length that is not a multiple of the block.
        cbc::Decryptor::<Aes128>::new(&key.into(), &(*iv).into())
            .decrypt_padded::<NoPadding>(&mut plain)
            .map_err(|_| DropReason::Decryption)?;
        let pad = plain.pop().ok_or(DropReason::Decryption)?;
        let data_len = plain.len().checked_sub(pad.into()).ok_or(DropReason::Decryption)?;
        let tail = plain.get(data_len..).unwrap_or_default();
        if usize::from(pad) >= BLOCK || !tail.iter().copied().eq(1..=pad) {
            return Err(DropReason::Decryption);
        }
        plain.truncate(data_len);
        Ok(plain)
    }
}
