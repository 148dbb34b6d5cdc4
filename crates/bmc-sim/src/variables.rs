//! The UEFI variables of a simulated machine that matter to a BMC: Secure Boot and its keys.

use std::sync::{Arc, LazyLock};

use bmc_core::boot::FirmwareMode;
use bmc_core::firmware::keys::{KeyDatabases, KeyEntry, KeyKind, KeySet};
use bmc_core::firmware::{KeyReset, SecureBoot};
use uuid::Uuid;

/// Who put the factory's keys there: the simulator.
const OWNER: Uuid = Uuid::from_u128(0x8d6e_1c5f_20b4_4a0e_9b57_f1c3_55d0_7a64);
/// The SHA-256 hash of nothing, which EDK2 puts into a `dbx` that would be empty otherwise.
const HASH_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The keys that every machine leaves the factory with. Nobody has the private halves.
static FACTORY: LazyLock<Arc<KeySet>> = LazyLock::new(|| {
    let one = |kind, data: &[u8]| vec![KeyEntry { id: 1, owner: OWNER, kind, data: data.to_vec() }];
    Arc::new(KeySet {
        pk: one(KeyKind::X509, include_bytes!("keys/pk.der")),
        kek: one(KeyKind::X509, include_bytes!("keys/kek.der")),
        db: one(KeyKind::X509, include_bytes!("keys/db.der")),
        dbx: one(KeyKind::Sha256, &HASH_OF_NOTHING),
    })
});

/// The variables. A switch to another firmware leaves them alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variables {
    /// Secure Boot is enabled; without a platform key that enforces nothing.
    pub(crate) enabled: bool,
    /// Its keys.
    pub(crate) keys: Arc<KeySet>,
}

impl Default for Variables {
    /// As a machine leaves the factory: off, with keys.
    fn default() -> Self {
        Self { enabled: false, keys: Arc::clone(&FACTORY) }
    }
}

impl Variables {
    /// Secure Boot as a machine in this firmware mode offers it.
    pub(crate) fn secure_boot(&self, firmware: FirmwareMode) -> Option<SecureBoot> {
        (firmware == FirmwareMode::Uefi).then(|| SecureBoot {
            enabled: self.enabled,
            has_platform_key: !self.keys.pk.is_empty(),
            fixed: None,
            key_resets: vec![KeyReset::Default, KeyReset::DeleteAll, KeyReset::DeletePlatformKey],
            databases: Some(KeyDatabases {
                now: Arc::clone(&self.keys),
                defaults: Some(Arc::clone(&FACTORY)),
                others: Vec::new(),
                fixed: None,
            }),
            databases_unread: None,
        })
    }

    /// Does something to all keys.
    pub(crate) fn reset(&mut self, reset: KeyReset) {
        let mut keys = KeySet::clone(&self.keys);
        keys.reset(reset, &FACTORY);
        self.put(Arc::new(keys));
    }

    /// Puts these keys in the place of those that are there.
    pub(crate) fn put(&mut self, keys: Arc<KeySet>) {
        // A thousand machines with the factory's keys hold them once.
        self.keys = if keys == *FACTORY { Arc::clone(&FACTORY) } else { keys };
    }

    /// What is to be kept of them.
    pub(crate) fn kept(&self) -> (Option<bool>, Option<Arc<KeySet>>) {
        let factory = Self::default();
        let keys = (self.keys != factory.keys).then(|| Arc::clone(&self.keys));
        ((self.enabled != factory.enabled).then_some(self.enabled), keys)
    }
}
