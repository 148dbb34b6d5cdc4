//! The BMC key K_G of two-key logins (IPMI 2.0 §13.33), as it is written in the file.

use std::fmt;

use bmc_core::account::Secret;
use ipmi_session::Password;

/// Longest key in bytes.
const KG_MAX_BYTES: usize = 20;

/// A key: text of 1 to 20 bytes, or `0x` and 2 to 40 hexadecimal digits, as ipmitool's `-k` and `-y` take them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Kg(Secret);

impl Kg {
    /// What a key is written as, for messages.
    pub(super) const WANTED: &str = "1 to 20 bytes of text, or `0x` and up to 40 hexadecimal digits";

    /// Reads a key; `None` when it is no key.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let kg = Self(Secret::new(text));
        kg.bytes().is_some_and(|bytes| (1..=KG_MAX_BYTES).contains(&bytes.len())).then_some(kg)
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        let text = self.0.expose();
        match text.strip_prefix("0x") {
            Some(digits) => hex::decode(digits).ok(),
            None => Some(text.as_bytes().to_vec()),
        }
    }

    /// The key as the session layer wants it.
    pub(crate) fn key(&self) -> Option<Password> {
        self.bytes().and_then(|bytes| Password::new(&bytes))
    }
}

impl fmt::Debug for Kg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kg(..)")
    }
}
