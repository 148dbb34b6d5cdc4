//! Algorithms and cipher suites of RMCP+ (IPMI 2.0 §13.28 and table 22-20).

/// How the four RAKP messages prove the password (IPMI 2.0 table 13-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuthAlgorithm {
    /// `00h` RAKP-none: nothing is proven.
    None = 0,
    /// `01h` RAKP-HMAC-SHA1.
    HmacSha1 = 1,
    /// `02h` RAKP-HMAC-MD5.
    HmacMd5 = 2,
    /// `03h` RAKP-HMAC-SHA256.
    HmacSha256 = 3,
}

impl AuthAlgorithm {
    /// The algorithm with the six-bit value `raw`.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::None,
            1 => Self::HmacSha1,
            2 => Self::HmacMd5,
            3 => Self::HmacSha256,
            _ => return None,
        })
    }

    /// Length of the key exchange code in RAKP 2 and RAKP 3, in bytes: the whole digest.
    #[must_use]
    pub const fn code_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1 => 20,
            Self::HmacMd5 => 16,
            Self::HmacSha256 => 32,
        }
    }

    /// Length of the integrity check value in RAKP 4, in bytes: the digest cut to 96 bits for SHA-1 and to 128
    /// for the others.
    #[must_use]
    pub const fn icv_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1 => 12,
            Self::HmacMd5 | Self::HmacSha256 => 16,
        }
    }
}

/// How packets of a session are authenticated (IPMI 2.0 table 13-18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum IntegrityAlgorithm {
    /// `00h`: not at all.
    None = 0,
    /// `01h` HMAC-SHA1-96.
    HmacSha1_96 = 1,
    /// `02h` HMAC-MD5-128.
    HmacMd5_128 = 2,
    /// `03h` MD5-128.
    Md5_128 = 3,
    /// `04h` HMAC-SHA256-128.
    HmacSha256_128 = 4,
}

impl IntegrityAlgorithm {
    /// The algorithm with the six-bit value `raw`.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::None,
            1 => Self::HmacSha1_96,
            2 => Self::HmacMd5_128,
            3 => Self::Md5_128,
            4 => Self::HmacSha256_128,
            _ => return None,
        })
    }

    /// Length of the AuthCode in the session trailer, in bytes.
    #[must_use]
    pub const fn code_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1_96 => 12,
            Self::HmacMd5_128 | Self::Md5_128 | Self::HmacSha256_128 => 16,
        }
    }
}

/// How payloads of a session are encrypted (IPMI 2.0 table 13-19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConfidentialityAlgorithm {
    /// `00h`: not at all.
    None = 0,
    /// `01h` AES-CBC-128.
    AesCbc128 = 1,
    /// `02h` xRC4-128.
    XRc4_128 = 2,
    /// `03h` xRC4-40.
    XRc4_40 = 3,
}

impl ConfidentialityAlgorithm {
    /// The algorithm with the six-bit value `raw`.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::None,
            1 => Self::AesCbc128,
            2 => Self::XRc4_128,
            3 => Self::XRc4_40,
            _ => return None,
        })
    }
}

/// A cipher suite: one permitted combination of the three algorithms (IPMI 2.0 table 22-20).
///
/// Suites are compared as a whole. Accepting each algorithm by itself would let a console combine, say, SHA-256
/// authentication with no encryption when only suites 0 and 17 are meant to be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite {
    /// The suite's number, 0 to 17.
    pub id: u8,
    /// How the password is proven.
    pub auth: AuthAlgorithm,
    /// How packets are authenticated.
    pub integrity: IntegrityAlgorithm,
    /// How payloads are encrypted.
    pub confidentiality: ConfidentialityAlgorithm,
}

const fn suite(
    id: u8,
    auth: AuthAlgorithm,
    integrity: IntegrityAlgorithm,
    confidentiality: ConfidentialityAlgorithm,
) -> CipherSuite {
    CipherSuite { id, auth, integrity, confidentiality }
}

impl CipherSuite {
    /// All standard suites, by number.
    pub const ALL: [Self; 18] = {
        use AuthAlgorithm as A;
        use ConfidentialityAlgorithm as C;
        use IntegrityAlgorithm as I;
        [
            suite(0, A::None, I::None, C::None),
            suite(1, A::HmacSha1, I::None, C::None),
            suite(2, A::HmacSha1, I::HmacSha1_96, C::None),
            suite(3, A::HmacSha1, I::HmacSha1_96, C::AesCbc128),
            suite(4, A::HmacSha1, I::HmacSha1_96, C::XRc4_128),
            suite(5, A::HmacSha1, I::HmacSha1_96, C::XRc4_40),
            suite(6, A::HmacMd5, I::None, C::None),
            suite(7, A::HmacMd5, I::HmacMd5_128, C::None),
            suite(8, A::HmacMd5, I::HmacMd5_128, C::AesCbc128),
            suite(9, A::HmacMd5, I::HmacMd5_128, C::XRc4_128),
            suite(10, A::HmacMd5, I::HmacMd5_128, C::XRc4_40),
            suite(11, A::HmacMd5, I::Md5_128, C::None),
            suite(12, A::HmacMd5, I::Md5_128, C::AesCbc128),
            suite(13, A::HmacMd5, I::Md5_128, C::XRc4_128),
            suite(14, A::HmacMd5, I::Md5_128, C::XRc4_40),
            suite(15, A::HmacSha256, I::None, C::None),
            suite(16, A::HmacSha256, I::HmacSha256_128, C::None),
            suite(17, A::HmacSha256, I::HmacSha256_128, C::AesCbc128),
        ]
    };

    /// The standard suite number `id`.
    #[must_use]
    pub fn by_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The suite's record as Get Channel Cipher Suites lists it (IPMI 2.0 table 22-18): start byte, number, and the
    /// algorithms with their tag bits.
    #[must_use]
    pub const fn record(self) -> [u8; 5] {
        [0xc0, self.id, self.auth as u8, 0x40 | self.integrity as u8, 0x80 | self.confidentiality as u8]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_stands_at_its_number() {
        for (i, suite) in CipherSuite::ALL.iter().enumerate() {
            assert_eq!(usize::from(suite.id), i);
            assert_eq!(CipherSuite::by_id(suite.id), Some(*suite));
            let same = CipherSuite::ALL.iter().filter(|s| s.record()[2..] == suite.record()[2..]).count();
            assert_eq!(same, 1, "suite {i} is not unique");
        }
        assert_eq!(CipherSuite::by_id(18), None);
    }

    #[test]
    fn records_of_the_default_suites() {
        assert_eq!(CipherSuite::ALL[3].record(), [0xc0, 0x03, 0x01, 0x41, 0x81]);
        assert_eq!(CipherSuite::ALL[17].record(), [0xc0, 0x11, 0x03, 0x44, 0x81]);
    }
}
