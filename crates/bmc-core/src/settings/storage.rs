//! What is kept of a machine's storage: the volumes that were made, and which drives' lights burn.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::storage::Volume;

/// Lights that are kept; there are never so many drives.
pub const LIGHTS_MAX: usize = 256;

/// Storage of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSettings {
    /// The volumes, in the order in which they were made; at most [`VOLUMES_MAX`](crate::storage::VOLUMES_MAX).
    pub volumes: Vec<Volume>,
    /// How many volumes were made in this machine's life: numbers are not given twice.
    pub made: u32,
    /// The drives whose light burns, by name.
    lit: BTreeSet<String>,
}

impl StorageSettings {
    /// The volume of a number.
    pub fn volume(&self, number: u32) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.number == number)
    }

    /// The volume that a drive carries.
    pub fn volume_on(&self, drive: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.drives.iter().any(|used| used == drive))
    }

    /// Whether the light of a drive burns.
    pub fn is_lit(&self, drive: &str) -> bool {
        self.lit.contains(drive)
    }

    /// Switches the light of a drive.
    pub fn light(&mut self, drive: &str, lit: bool) {
        if !lit {
            self.lit.remove(drive);
        } else if self.lit.len() < LIGHTS_MAX {
            self.lit.insert(drive.to_owned());
        }
    }
}
