//! The BMC's own keys, as clients set them (IPMI 2.0 §22.25): K_G of two-key logins, and K_R for random numbers.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Length of K_G in bytes.
pub const BMC_KEY_BYTES: usize = 20;

/// A key of the BMC: wiped when dropped, and never shown by `Debug`. `Serialize` exists for the store alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BmcKey(Zeroizing<[u8; BMC_KEY_BYTES]>);

impl BmcKey {
    /// Takes a key in. K_G of zeros is none (IPMI 2.0 §13.33).
    pub fn new(key: [u8; BMC_KEY_BYTES]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The key itself, for keying and for those who may read it back.
    pub fn expose(&self) -> &[u8; BMC_KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for BmcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BmcKey(..)")
    }
}

/// The keys of the BMC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeySettings {
    /// K_G as a client set it; zeros: a client set it to none. `None`: no client did, the configuration's holds.
    pub kg: Option<BmcKey>,
    /// Whether K_G can be neither read nor set any more. Only a reset of the controller to its defaults
    /// that does not preserve the users unlocks it, and forgetting the machine's record.
    pub kg_locked: bool,
    /// K_R, which the random numbers of logins are keyed with; `None`: they are as they come.
    pub kr: Option<BmcKey>,
    /// Whether K_R can be neither read nor set any more.
    pub kr_locked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_not_shown() {
        let key = Some(BmcKey::new([0xa7; BMC_KEY_BYTES]));
        let keys = KeySettings { kg: key.clone(), kg_locked: true, kr: key, kr_locked: false };
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<KeySettings>(&text).unwrap(), keys);
        assert_eq!(
            format!("{keys:?}"),
            "KeySettings { kg: Some(BmcKey(..)), kg_locked: true, kr: Some(BmcKey(..)), kr_locked: false }"
        );
        assert_eq!(serde_json::from_str::<KeySettings>("{}").unwrap(), KeySettings::default());
    }
}
