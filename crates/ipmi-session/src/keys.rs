//! The keys and codes of the handshake (IPMI 2.0 §13.28 to §13.32), for both sides.
//!
//! ```text
//! K[UID]  the user's password, zero-padded to 20 bytes
//! K[G]    the BMC's key, or K[UID] when it has none
//! RAKP 2  HMAC(K[UID], SIDm | SIDc | Rm | Rc | GUID | role | name length | name)
//! RAKP 3  HMAC(K[UID], Rc | SIDm | role | name length | name)
//! SIK     HMAC(K[G],   Rm | Rc | role | name length | name)
//! K1, K2  HMAC(SIK, 20 times 01h), HMAC(SIK, 20 times 02h), with any hash: ipmitool and FreeIPMI use 20 for all of them
//! RAKP 4  HMAC(SIK, Rm | SIDc | GUID), cut
//! ```
//! SIDm and Rm are the console's session id and random number, SIDc and Rc the BMC's.
//!
//! Packets are authenticated with HMAC under K1, but for MD5-128: that is MD5 over K[UID], packet and K[UID], with
//! all 20 bytes as FreeIPMI, the only client that has it, takes it.

use hmac::{Hmac, KeyInit, Mac};
use ipmi_wire::cipher::{AuthAlgorithm, IntegrityAlgorithm};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Password, UserName};

/// The longest digest of any algorithm here.
const MAX_DIGEST: usize = 32;
/// Length of the constants that K1 and K2 are made from.
const KEY_CONSTANT: usize = 20;

/// A digest of 0 (no algorithm), 16, 20 or 32 bytes, or another secret no longer than that; wiped on drop and never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Digest {
    bytes: [u8; MAX_DIGEST],
    len: usize,
}

impl Digest {
    const EMPTY: Self = Self { bytes: [0; MAX_DIGEST], len: 0 };

    fn from_slice(digest: &[u8]) -> Self {
        let mut this = Self::EMPTY;
        for (to, from) in this.bytes.iter_mut().zip(digest) {
            *to = *from;
        }
        this.len = digest.len().min(MAX_DIGEST);
        this
    }

    /// The whole digest.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.cut(MAX_DIGEST)
    }

    /// The first `n` bytes, or all when there are fewer.
    pub(crate) fn cut(&self, n: usize) -> &[u8] {
        self.bytes.get(..n.min(self.len)).unwrap_or_default()
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Digest {
    // HMAC takes keys of any length; the error cannot occur.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Digest::EMPTY };
    for part in parts {
        mac.update(part);
    }
    Digest::from_slice(&mac.finalize().into_bytes())
}

/// The HMAC of the concatenated `parts`; empty for RAKP-none.
fn hmac(algorithm: AuthAlgorithm, key: &[u8], parts: &[&[u8]]) -> Digest {
    match algorithm {
        AuthAlgorithm::HmacSha1 => mac::<Hmac<Sha1>>(key, parts),
        AuthAlgorithm::HmacSha256 => mac::<Hmac<Sha256>>(key, parts),
        AuthAlgorithm::HmacMd5 => mac::<Hmac<Md5>>(key, parts),
        AuthAlgorithm::None => Digest::EMPTY,
    }
}

/// A random number under K_R: as good as the fresh one, and not to be told from it by who knows how that was made but not the key.
pub(crate) fn keyed_random(key: &Password, fresh: [u8; 16]) -> [u8; 16] {
    let digest = mac::<Hmac<Sha256>>(key.as_bytes(), &[&fresh]);
    let mut random = fresh;
    for (to, from) in random.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    random
}

/// The integrity code of a packet: the digest over `signed`, uncut. `key` is [`SessionKeys::integrity`].
pub(crate) fn integrity(algorithm: IntegrityAlgorithm, key: &Digest, signed: &[u8]) -> Digest {
    let hash = match algorithm {
        IntegrityAlgorithm::HmacSha1_96 => AuthAlgorithm::HmacSha1,
        IntegrityAlgorithm::HmacMd5_128 => AuthAlgorithm::HmacMd5,
        IntegrityAlgorithm::HmacSha256_128 => AuthAlgorithm::HmacSha256,
        IntegrityAlgorithm::Md5_128 => return keyed::<Md5>(key.as_bytes(), &[signed]),
        IntegrityAlgorithm::None => AuthAlgorithm::None,
    };
    hmac(hash, key.as_bytes(), &[signed])
}

/// The hash over key, `parts` and key again: the way of IPMI 1.5, and of MD5-128.
pub(crate) fn keyed<H: md5::Digest>(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut hash = H::new();
    hash.update(key);
    for part in parts {
        hash.update(part);
    }
    hash.update(key);
    Digest::from_slice(&hash.finalize())
}

/// Whether two codes are equal, in a time that depends on their lengths only.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Everything that the codes of one handshake cover.
#[derive(Clone)]
pub(crate) struct Transcript {
    pub(crate) auth: AuthAlgorithm,
    pub(crate) console_id: u32,
    pub(crate) managed_id: u32,
    pub(crate) console_random: [u8; 16],
    pub(crate) managed_random: [u8; 16],
    pub(crate) guid: [u8; 16],
    pub(crate) role: u8,
    pub(crate) name: UserName,
}

impl Transcript {
    fn role_and_name(&self) -> ([u8; 2], &[u8]) {
        let name = self.name.as_bytes();
        ([self.role, u8::try_from(name.len()).unwrap_or_default()], name)
    }

    /// The code in RAKP 2.
    pub(crate) fn rakp2_code(&self, user_key: &Password) -> Digest {
        let (role, name) = self.role_and_name();
        hmac(
            self.auth,
            user_key.as_bytes(),
            &[
                &self.console_id.to_le_bytes(),
                &self.managed_id.to_le_bytes(),
                &self.console_random,
                &self.managed_random,
                &self.guid,
                &role,
                name,
            ],
        )
    }

    /// The code in RAKP 3.
    pub(crate) fn rakp3_code(&self, user_key: &Password) -> Digest {
        let (role, name) = self.role_and_name();
        hmac(
            self.auth,
            user_key.as_bytes(),
            &[&self.managed_random, &self.console_id.to_le_bytes(), &role, name],
        )
    }

    /// The keys of the session that follows. `bmc_key` is K_G, or the user's key again when there is none.
    pub(crate) fn session_keys(
        &self,
        bmc_key: &Password,
        user_key: &Password,
        algorithm: IntegrityAlgorithm,
    ) -> SessionKeys {
        let (role, name) = self.role_and_name();
        let sik =
            hmac(self.auth, bmc_key.as_bytes(), &[&self.console_random, &self.managed_random, &role, name]);
        let derive = |byte| hmac(self.auth, sik.as_bytes(), &[&[byte; KEY_CONSTANT]]);
        let integrity = match algorithm {
            IntegrityAlgorithm::Md5_128 => Digest::from_slice(user_key.as_bytes()),
            _ => derive(1),
        };
        let k2 = derive(2);
        SessionKeys { sik, integrity, k2 }
    }

    /// The check value in RAKP 4, uncut.
    pub(crate) fn rakp4_code(&self, keys: &SessionKeys) -> Digest {
        hmac(
            self.auth,
            keys.sik.as_bytes(),
            &[&self.console_random, &self.managed_id.to_le_bytes(), &self.guid],
        )
    }
}

/// The keys of one session.
#[derive(Clone)]
pub(crate) struct SessionKeys {
    sik: Digest,
    /// Authenticates packets: K1, or the password with MD5-128.
    pub(crate) integrity: Digest,
    /// Its first 16 bytes encrypt packets.
    pub(crate) k2: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(auth: AuthAlgorithm) -> Transcript {
        Transcript {
            auth,
            console_id: 0xa0a1_a2a3,
            managed_id: 0x0102_0304,
            console_random: [0x11; 16],
            managed_random: [0x22; 16],
            guid: [0x33; 16],
            role: 0x14,
            name: UserName::new(b"admin").unwrap(),
        }
    }

    /// Made with Python's `hmac`; `key` is `b"password".ljust(20, b"\0")`:
    /// ```python
    /// sidm, sidc = bytes.fromhex("a3a2a1a0"), bytes.fromhex("04030201")
    /// rm, rc, guid, role = b"\x11"*16, b"\x22"*16, b"\x33"*16, b"\x14\x05admin"
    /// H = lambda k, m: hmac.new(k, m, "sha1").digest()
    /// H(key, sidm+sidc+rm+rc+guid+role), H(key, rc+sidm+role)
    /// sik = H(key, rm+rc+role); H(sik, b"\x01"*20), H(sik, b"\x02"*20), H(sik, rm+sidc+guid)[:12]
    /// ```
    fn vectors(auth: AuthAlgorithm, want: [&str; 5]) {
        let t = transcript(auth);
        let key = Password::new(b"password").unwrap();
        let keys = t.session_keys(&key, &key, IntegrityAlgorithm::HmacSha1_96);
        let got = [
            hex::encode(t.rakp2_code(&key).as_bytes()),
            hex::encode(t.rakp3_code(&key).as_bytes()),
            hex::encode(keys.integrity.as_bytes()),
            hex::encode(keys.k2.as_bytes()),
            hex::encode(t.rakp4_code(&keys).cut(auth.icv_len())),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn sha1_vectors() {
        vectors(AuthAlgorithm::HmacSha1, SHA1);
    }

    #[test]
    fn sha256_vectors() {
        vectors(AuthAlgorithm::HmacSha256, SHA256);
    }

    #[test]
    fn md5_vectors() {
        vectors(AuthAlgorithm::HmacMd5, MD5);
    }

    /// `k = b"password".ljust(20, b"\0")`, `hashlib.md5(k + b"packet" + k).hexdigest()`
    #[test]
    fn md5_128_is_keyed_by_the_padded_password() {
        let key = Password::new(b"password").unwrap();
        let keys = transcript(AuthAlgorithm::HmacMd5).session_keys(&key, &key, IntegrityAlgorithm::Md5_128);
        let code = integrity(IntegrityAlgorithm::Md5_128, &keys.integrity, b"packet");
        assert_eq!(hex::encode(code.as_bytes()), "00231b395e4c4845a0d0e56f804496bd");
    }

    const MD5: [&str; 5] = [
        "81bb22b42266fa486d285a504f183ed6",
        "69a9fc99f58ac1ab5fe77bf435dd7ca2",
        "a8e22dcdcb6d5d1dcddeb7da51b9c317",
        "4bf62c4076d4d27c1825d16180c46a13",
        "b2144f0ab60bbf1b0a15f6029be5bc6b",
    ];
    const SHA1: [&str; 5] = [
        "60525cabe9288739a77e18fc5889c5ebd01bbbf6",
        "094195de25b399112653bebe7e515f027d44a4de",
        "407c12e1ea8aa8f5138e05273e759d24bcc38c30",
        "98685ae46be3ea0f146874e5e06276604e58626e",
        "497cb22deb61593d4b5719bf",
    ];
    const SHA256: [&str; 5] = [
        "dcf166e87d91a70ce9f7437b2a8d172e3b7397e491434ba57eb84f9533ad1261",
        "1a52d60429ea507a5833e041af81675e24a3951eb0b9f2a7f7775a8b24105992",
        "f9827649c9c35fea0bd2d35c206f9843e662ef0a22e76bb5972596e7132b006e",
        "a8bf5d763a517ea61b09f01640e69efc16b9d8a0e258085bc684c24ff1370307",
        "8536b9cf52fb2d033bea0bc5815c3102",
    ];

    #[test]
    fn a_bmc_key_changes_the_session_keys_only() {
        let t = transcript(AuthAlgorithm::HmacSha1);
        let (user, bmc) = (Password::new(b"password").unwrap(), Password::new(b"kg").unwrap());
        let keys = |bmc_key| t.session_keys(bmc_key, &user, IntegrityAlgorithm::HmacSha1_96);
        assert_ne!(keys(&user).integrity.as_bytes(), keys(&bmc).integrity.as_bytes());
    }
}
