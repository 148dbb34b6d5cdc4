//! Which machines have a UUID: kept by their owners, so that a URL with a UUID costs a look-up and no walk over the fleet.
//!
//! A machine's UUID can change: until the backend has told the real one it is derived from the BMC's name.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use crate::owner::MachineKey;

/// The UUIDs shown by all machines. Two machines may show the same one; then the first in order of name has it.
#[derive(Debug, Default)]
pub(crate) struct Uuids(RwLock<BTreeSet<(Uuid, Arc<str>, MachineKey)>>);

impl Uuids {
    /// Notes that a machine shows this UUID.
    pub(crate) fn insert(&self, uuid: Uuid, name: &Arc<str>, key: MachineKey) {
        let mut uuids = self.0.write().unwrap_or_else(PoisonError::into_inner);
        uuids.insert((uuid, Arc::clone(name), key));
    }

    /// Notes that it does no longer.
    pub(crate) fn remove(&self, uuid: Uuid, name: &Arc<str>, key: MachineKey) {
        let mut uuids = self.0.write().unwrap_or_else(PoisonError::into_inner);
        uuids.remove(&(uuid, Arc::clone(name), key));
    }

    /// The first machine with this UUID that `find` knows by its name and key.
    pub(crate) fn find<T>(
        &self,
        uuid: Uuid,
        mut find: impl FnMut(&str, MachineKey) -> Option<T>,
    ) -> Option<T> {
        let uuids = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let first = (uuid, Arc::from(""), 0);
        uuids.range(first..).take_while(|(of, ..)| *of == uuid).find_map(|(_, name, key)| find(name, *key))
    }
}
