//! The key databases of UEFI Secure Boot: who may sign what a machine boots (UEFI specification, "Secure Boot and Driver Signing").

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::RequestError;
use crate::firmware::KeyReset;

/// Most entries of one database that are not hashes.
pub const CERTIFICATES_MAX: usize = 32;
/// Most bytes of one database in the firmware's own form: what OVMF gives one authenticated variable (`PcdMaxAuthVariableSize`).
pub const DATABASE_MAX_BYTES: usize = 0x8400;
/// Bytes of a signature list's head (`EFI_SIGNATURE_LIST`) and of an entry's owner (`EFI_SIGNATURE_DATA`).
const LIST_HEAD_BYTES: usize = 28;
const OWNER_BYTES: usize = 16;

/// One of the four databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDatabase {
    /// The platform key: who owns the machine.
    Pk,
    /// The key exchange keys: who may change the other two.
    Kek,
    /// What may be booted.
    Db,
    /// What may not, whoever signed it.
    Dbx,
}

impl KeyDatabase {
    /// All of them, the highest first.
    pub const ALL: [Self; 4] = [Self::Pk, Self::Kek, Self::Db, Self::Dbx];
}

/// What an entry of a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// A certificate, DER (`EFI_CERT_X509_GUID`).
    X509,
    /// The SHA-256 hash of an image (`EFI_CERT_SHA256_GUID`).
    Sha256,
}

/// An entry of a database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Tells it from the others of its database; from 1.
    pub id: u32,
    /// Who put it there, as the UEFI specification has it; nil where nobody said.
    pub owner: Uuid,
    /// What it is.
    pub kind: KeyKind,
    /// The certificate or the hash, hexadecimal in the store.
    #[serde(with = "hexadecimal")]
    pub data: Vec<u8>,
}

impl fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEntry({} {:?} {} bytes)", self.id, self.kind, self.data.len())
    }
}

/// What is in the four databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeySet {
    /// The platform key; at most one.
    pub pk: Vec<KeyEntry>,
    /// The key exchange keys.
    pub kek: Vec<KeyEntry>,
    /// What may be booted.
    pub db: Vec<KeyEntry>,
    /// What may not.
    pub dbx: Vec<KeyEntry>,
}

impl KeySet {
    /// The entries of a database.
    pub fn database(&self, database: KeyDatabase) -> &[KeyEntry] {
        match database {
            KeyDatabase::Pk => &self.pk,
            KeyDatabase::Kek => &self.kek,
            KeyDatabase::Db => &self.db,
            KeyDatabase::Dbx => &self.dbx,
        }
    }

    /// The same, to be changed.
    pub fn database_mut(&mut self, database: KeyDatabase) -> &mut Vec<KeyEntry> {
        match database {
            KeyDatabase::Pk => &mut self.pk,
            KeyDatabase::Kek => &mut self.kek,
            KeyDatabase::Db => &mut self.db,
            KeyDatabase::Dbx => &mut self.dbx,
        }
    }

    /// Puts an entry into a database; returns its id. One that is there already is that one.
    ///
    /// # Errors
    /// `NoSpace`: the database is full; of platform keys there is one.
    pub fn add(
        &mut self,
        database: KeyDatabase,
        owner: Uuid,
        kind: KeyKind,
        data: Vec<u8>,
    ) -> Result<u32, RequestError> {
        let full = RequestError::NoSpace { what: "Secure Boot database" };
        let entries = self.database_mut(database);
        if let Some(known) =
            entries.iter().find(|known| known.owner == owner && known.kind == kind && known.data == data)
        {
            return Ok(known.id);
        }
        if database == KeyDatabase::Pk && !entries.is_empty() {
            return Err(full);
        }
        let certificates = entries.iter().filter(|known| known.kind == KeyKind::X509).count();
        if kind == KeyKind::X509 && certificates >= CERTIFICATES_MAX {
            return Err(full);
        }
        let id =
            entries.iter().map(|known| known.id).max().unwrap_or(0).checked_add(1).ok_or(full.clone())?;
        entries.push(KeyEntry { id, owner, kind, data });
        if stored_bytes(entries) > DATABASE_MAX_BYTES {
            entries.pop();
            return Err(full);
        }
        Ok(id)
    }

    /// What is left of these keys after a reset to `defaults`.
    pub fn reset(&mut self, reset: KeyReset, defaults: &Self) {
        match reset {
            KeyReset::Default => self.clone_from(defaults),
            KeyReset::DeleteAll => *self = Self::default(),
            KeyReset::DeletePlatformKey => self.pk.clear(),
        }
    }
}

/// How long a database is as the firmware stores it: hashes in one list, each certificate in a list of its own.
fn stored_bytes(entries: &[KeyEntry]) -> usize {
    let hashes = entries.iter().filter(|entry| entry.kind == KeyKind::Sha256).count().min(1);
    let lists = hashes + entries.iter().filter(|entry| entry.kind == KeyKind::X509).count();
    let data: usize = entries.iter().map(|entry| OWNER_BYTES + entry.data.len()).sum();
    lists * LIST_HEAD_BYTES + data
}

/// The databases of a machine that can tell what is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDatabases {
    /// What is in them.
    pub now: Arc<KeySet>,
    /// What the firmware comes with, where that is known.
    pub defaults: Option<Arc<KeySet>>,
    /// Signatures of kinds that a [`KeySet`] has no word for, or for which it has no room: how many, in which database.
    #[serde(default)]
    pub others: Vec<(KeyDatabase, usize)>,
    /// Why single entries cannot be changed; `None` when they can.
    #[serde(default)]
    pub fixed: Option<String>,
}

impl KeyDatabases {
    /// How many signatures of a database are not in its [`KeySet`].
    pub fn others_in(&self, database: KeyDatabase) -> usize {
        self.others.iter().filter(|(of, _)| *of == database).map(|(_, count)| count).sum()
    }
}

/// Bytes as hexadecimal text.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_bounded_as_the_variables_of_a_firmware_are() {
        let mut keys = KeySet::default();
        let add = |keys: &mut KeySet, database, kind, data| keys.add(database, Uuid::nil(), kind, data);
        assert_eq!(add(&mut keys, KeyDatabase::Pk, KeyKind::X509, vec![1]), Ok(1));
        assert_eq!(add(&mut keys, KeyDatabase::Pk, KeyKind::X509, vec![1]), Ok(1), "it is there");
        assert!(add(&mut keys, KeyDatabase::Pk, KeyKind::X509, vec![2]).is_err(), "there is one owner");
        let mut most = 0;
        while add(&mut keys, KeyDatabase::Dbx, KeyKind::Sha256, vec![most as u8, (most >> 8) as u8, 0, 0])
            .is_ok()
        {
            most += 1;
        }
        assert_eq!(most, (DATABASE_MAX_BYTES - LIST_HEAD_BYTES) / (OWNER_BYTES + 4));
        for number in 0..CERTIFICATES_MAX {
            assert!(add(&mut keys, KeyDatabase::Db, KeyKind::X509, vec![number as u8]).is_ok());
        }
        assert!(add(&mut keys, KeyDatabase::Db, KeyKind::X509, vec![255]).is_err());
        let stored = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<KeySet>(&stored).unwrap(), keys);
    }
}
