//! The keys of Secure Boot as the firmware keeps them: variables that hold signature lists (UEFI 2.10, section 32.4.1).
//!
//! ```text
//!   EFI_SIGNATURE_LIST    kind, length of the list, of a header, of each signature
//!   EFI_SIGNATURE_DATA    owner, then a certificate or a hash; as many as the list is long
//!   EFI_SIGNATURE_LIST    ...
//! ```

use std::sync::Arc;

use bmc_core::firmware::keys::{KeyDatabase, KeyKind, KeySet};
use uuid::Uuid;

use super::store::{GLOBAL, Store};

/// `gEfiImageSecurityDatabaseGuid`: the vendor of `db` and `dbx`.
const IMAGE_SECURITY: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];
/// `gEfiSecureBootEnableDisableGuid`: the vendor of EDK2's switch.
const SWITCH: [u8; 16] =
    [0xc7, 0x0b, 0xa3, 0xf0, 0x08, 0xaf, 0x56, 0x45, 0x99, 0xc4, 0x00, 0x10, 0x09, 0xc9, 0x3a, 0x44];
/// `EFI_CERT_X509_GUID`.
const X509: [u8; 16] =
    [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
/// `EFI_CERT_SHA256_GUID`.
const SHA256: [u8; 16] =
    [0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28];
/// Bytes of a list's head, of a signature's owner and of a SHA-256 hash.
const HEAD: usize = 28;
const OWNER: usize = 16;
const HASH: usize = 32;

/// What a store says of Secure Boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredKeys {
    /// What is in the databases, as far as it can be told.
    pub(crate) keys: Arc<KeySet>,
    /// How many signatures are in them beside those.
    pub(crate) others: Vec<(KeyDatabase, usize)>,
    /// There is a platform key, of whatever kind.
    pub(crate) platform_key: bool,
    /// The switch in the firmware's menu, where somebody has ever set it; without, a firmware with a platform key enforces.
    pub(crate) enabled: Option<bool>,
}

impl StoredKeys {
    /// Reads the keys in a store.
    pub(crate) fn of(store: &Store) -> Self {
        let (mut keys, mut others) = (KeySet::default(), Vec::new());
        for database in KeyDatabase::ALL {
            let count = read(&mut keys, database, variable(store, database));
            if count > 0 {
                others.push((database, count));
            }
        }
        let switch = store.get_of(&SWITCH, "SecureBootEnable").and_then(<[u8]>::first);
        Self {
            keys: Arc::new(keys),
            others,
            platform_key: !variable(store, KeyDatabase::Pk).is_empty(),
            enabled: switch.map(|switch| *switch != 0),
        }
    }
}

/// What the variable of a database holds.
fn variable(store: &Store, database: KeyDatabase) -> &[u8] {
    let (vendor, name) = match database {
        KeyDatabase::Pk => (&GLOBAL, "PK"),
        KeyDatabase::Kek => (&GLOBAL, "KEK"),
        KeyDatabase::Db => (&IMAGE_SECURITY, "db"),
        KeyDatabase::Dbx => (&IMAGE_SECURITY, "dbx"),
    };
    store.get_of(vendor, name).unwrap_or_default()
}

/// One signature list.
struct List<'a> {
    kind: [u8; 16],
    /// Bytes of each signature, with its owner.
    each: usize,
    signatures: &'a [u8],
}

/// The signature list that these bytes begin with, and what is behind it; `None` where there is none that fits.
fn list(bytes: &[u8]) -> Option<(List<'_>, &[u8])> {
    let kind: [u8; 16] = *bytes.first_chunk()?;
    let size = |at: usize| -> Option<usize> {
        let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (whole, header, each) = (size(16)?, size(20)?, size(24)?);
    let signatures = bytes.get(HEAD.checked_add(header)?..whole)?;
    (each > OWNER).then_some((List { kind, each, signatures }, bytes.get(whole..)?))
}

/// Puts what signature lists hold into a database; returns how many signatures it has no word or no room for. What is behind a list that
/// is none counts as one of them.
fn read(keys: &mut KeySet, database: KeyDatabase, mut bytes: &[u8]) -> usize {
    let mut others = 0;
    while !bytes.is_empty() {
        let Some((List { kind, each, signatures }, rest)) = list(bytes) else { return others + 1 };
        for signature in signatures.chunks_exact(each) {
            let kind = match kind {
                X509 => Some(KeyKind::X509),
                SHA256 if each == OWNER + HASH => Some(KeyKind::Sha256),
                _ => None,
            };
            let entry = kind.and_then(|kind| {
                let (owner, data) = signature.split_first_chunk::<OWNER>()?;
                keys.add(database, Uuid::from_bytes_le(*owner), kind, data.to_vec()).ok()
            });
            others += usize::from(entry.is_none());
        }
        bytes = rest;
    }
    others
}

#[cfg(test)]
mod tests;
