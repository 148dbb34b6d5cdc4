//! BIOS settings: what is in force, and what the next boot applies.
//!
//! ```text
//!   clients ──► pending ──next boot, however it comes about──► in force
//!                             │
//!                             └─► the machine's firmware, where an attribute is real
//! ```
//!
//! Some attributes are the machine's own (firmware mode, Secure Boot, power policy): their value is never kept here, only that it is to
//! change. The others are kept and have no effect; [`attributes`] says which is which.

pub mod attributes;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::Secret;
use crate::backend::MachineInfo;
use crate::boot::FirmwareMode;
use crate::firmware::keys::KeySet;
use crate::firmware::{FirmwareSetup, KeyReset};
use crate::power::PowerPolicy;
use crate::settings::bios::attributes::{ATTRIBUTES, Attribute, Meaning, find, policy_of};

/// The name of the attribute behind the firmware mode.
pub const BOOT_MODE: &str = "BootMode";
/// The name of the attribute behind the power restore policy.
pub const POWER_POLICY: &str = "AcPowerRecovery";
/// The name of the attribute behind Secure Boot.
pub const SECURE_BOOT: &str = "SecureBoot";
/// The longest password of the BIOS in bytes.
pub const BIOS_PASSWORD_MAX_BYTES: usize = 32;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BiosValue {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text, or one of a list of names.
    Text(String),
}

impl BiosValue {
    /// `Enabled` or `Disabled`.
    pub fn switch(on: bool) -> Self {
        Self::Text(if on { "Enabled" } else { "Disabled" }.to_owned())
    }
}

/// The BIOS settings of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BiosSettings {
    /// Values in force of attributes that are only kept, where a client set them.
    pub(crate) kept: BTreeMap<String, BiosValue>,
    /// What the next boot applies.
    pub(crate) pending: BTreeMap<String, BiosValue>,
    /// The next boot gives all attributes that have one their default value, before it applies what else is pending.
    pub(crate) reset_pending: bool,
    /// What the next boot does to the keys of Secure Boot.
    pub(crate) keys: Option<KeyReset>,
    /// What the next boot finds in the databases of Secure Boot, where that is to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) databases: Option<Arc<KeySet>>,
    /// How the last application went.
    pub(crate) applied: Option<Applied>,
    /// The passwords that guard the setup screen.
    pub(crate) passwords: BiosPasswords,
    /// The devices that were ever seen to boot from, by the number under which clients know them; the place of one that is gone may be empty.
    pub(crate) boot_numbers: Vec<String>,
}

/// The passwords of the BIOS. They are kept for clients that manage them; a virtual machine's setup screen does not ask for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BiosPasswords {
    /// The administrator's; empty when there is none.
    pub administrator: Secret,
    /// The user's; empty when there is none.
    pub user: Secret,
}

/// How settings were applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// When.
    pub at: Timestamp,
    /// The attributes that were not applied because the machine refused them.
    pub failed: Vec<String>,
    /// The machine refused what was to be done to the keys of Secure Boot.
    #[serde(default)]
    pub keys_failed: bool,
    /// Why it did.
    pub reason: Option<String>,
    /// The attributes in force right after.
    pub values: BTreeMap<String, BiosValue>,
}

/// What was pending when a boot began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BiosPending {
    values: BTreeMap<String, PendingValue>,
    reset: bool,
    keys: Option<KeyReset>,
    databases: Option<PendingDatabases>,
}

/// Databases of Secure Boot that a boot puts in the place of others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PendingDatabases {
    wanted: Arc<KeySet>,
    /// Those in force before, where known.
    before: Option<Arc<KeySet>>,
}

/// A value that a boot takes into force.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PendingValue {
    value: BiosValue,
    /// The one in force before.
    before: Option<BiosValue>,
}

impl BiosPending {
    /// Whether there is nothing to apply.
    pub(crate) fn is_empty(&self) -> bool {
        !self.reset && self.values.is_empty() && self.keys.is_none() && self.databases.is_none()
    }

    /// Whether an attribute gets a value.
    pub(crate) fn names(&self, attribute: &str) -> bool {
        self.values.contains_key(attribute)
    }

    /// It does not, after all.
    pub(crate) fn forget(&mut self, attribute: &str) {
        self.values.remove(attribute);
    }
}

/// Where attributes get values from that are not kept with the settings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// What the machine is made of, once known.
    pub info: Option<&'a MachineInfo>,
    /// What happens when mains power returns.
    pub policy: PowerPolicy,
}

impl BiosSettings {
    /// The attributes that this machine has, with their values in force.
    pub fn current(&self, around: Surroundings<'_>) -> Vec<(&'static Attribute, BiosValue)> {
        let value = |attribute: &'static Attribute| {
            Some((attribute, attribute.value(self, around.info, around.policy)?))
        };
        ATTRIBUTES.iter().filter_map(value).collect()
    }

    /// The same attributes, with their values after the next boot.
    pub fn future(&self, around: Surroundings<'_>) -> Vec<(&'static Attribute, BiosValue)> {
        let mut all = self.current(around);
        // A machine that is to be UEFI may have Secure Boot then.
        if let Some(value) = self.pending.get(SECURE_BOOT)
            && !all.iter().any(|(attribute, _)| attribute.name == SECURE_BOOT)
            && let Some(attribute) = find(SECURE_BOOT)
        {
            all.push((attribute, value.clone()));
        }
        for (attribute, value) in &mut all {
            if let Some(pending) = self.pending.get(attribute.name) {
                *value = pending.clone();
            } else if let Some(default) = attribute.default_value().filter(|_| self.reset_pending) {
                *value = default;
            }
        }
        all
    }

    /// Asks for a value of an attribute at the next boot; asking for the value that it would have anyway takes it back. The value has
    /// to be [one that it may have](Attribute::check).
    pub fn ask(&mut self, attribute: &Attribute, value: BiosValue, around: Surroundings<'_>) {
        if self.pending.get(attribute.name) == Some(&value) {
            // To take it out because a boot under way has brought it already would look as if it had been taken back.
            return;
        }
        self.pending.remove(attribute.name);
        let without = if self.reset_pending { attribute.default_value() } else { None };
        let without = without.or_else(|| attribute.value(self, around.info, around.policy));
        if without.as_ref() != Some(&value) {
            self.pending.insert(attribute.name.to_owned(), value);
        }
    }

    /// Asks for the default values at the next boot. What was pending is taken back, for it was asked for before.
    pub fn ask_reset(&mut self) {
        self.pending.retain(|name, _| find(name).is_some_and(|known| known.default_value().is_none()));
        self.reset_pending = true;
    }

    /// Whether the next boot is to give attributes their default values.
    pub fn reset_pending(&self) -> bool {
        self.reset_pending
    }

    /// Asks for something to be done to the keys of Secure Boot at the next boot; of a machine whose databases nobody can read.
    pub fn ask_keys(&mut self, keys: KeyReset) {
        self.keys = Some(keys);
    }

    /// What the next boot is to do to the keys of Secure Boot.
    pub fn pending_keys(&self) -> Option<KeyReset> {
        self.keys
    }

    /// Asks for this to be in the databases of Secure Boot at the next boot; `now` is what is in them.
    pub fn ask_databases(&mut self, wanted: KeySet, now: &KeySet) {
        // What a boot under way has brought already is not taken back by asking for it again.
        if self.databases.as_deref() != Some(&wanted) {
            self.databases = (wanted != *now).then(|| Arc::new(wanted));
        }
    }

    /// What is to be in the databases of Secure Boot at the next boot, where that is to change.
    pub fn pending_databases(&self) -> Option<&Arc<KeySet>> {
        self.databases.as_ref()
    }

    /// Whether Secure Boot is to be in force at the next boot, where that is to change.
    pub fn pending_secure_boot(&self) -> Option<bool> {
        self.pending.get(SECURE_BOOT).map(|value| *value == BiosValue::switch(true))
    }

    /// The firmware mode of the next boot, where that is to change.
    pub fn pending_mode(&self) -> Option<FirmwareMode> {
        let value = self.pending.get(BOOT_MODE)?;
        [FirmwareMode::Uefi, FirmwareMode::Legacy]
            .into_iter()
            .find(|mode| *value == BiosValue::Text(attributes::mode_name(*mode).to_owned()))
    }

    /// Whether the next boot is to give an attribute another value.
    pub(crate) fn is_pending(&self, attribute: &str) -> bool {
        self.pending.contains_key(attribute)
    }

    /// What stands behind an attribute was set at once, so that nothing of it is left for the next boot.
    pub(crate) fn forget_pending(&mut self, attribute: &str) {
        self.pending.remove(attribute);
    }

    /// How the last application went; `None` before the first.
    pub fn applied(&self) -> Option<&Applied> {
        self.applied.as_ref()
    }

    /// The passwords that guard the setup screen.
    pub fn passwords(&self) -> &BiosPasswords {
        &self.passwords
    }

    /// The same, to be changed.
    pub fn passwords_mut(&mut self) -> &mut BiosPasswords {
        &mut self.passwords
    }

    /// The number under which clients know a boot device.
    pub fn boot_number(&self, device: &str) -> Option<usize> {
        self.boot_numbers.iter().position(|known| known == device)
    }

    /// Gives a number to each boot device that has none yet: a free one where a device has gone, else the next.
    pub(crate) fn number_boot_devices<'a>(&mut self, devices: impl Iterator<Item = &'a str> + Clone) {
        for device in devices.clone() {
            if self.boot_number(device).is_some() {
                continue;
            }
            if self.boot_numbers.len() < BOOT_NUMBERS_MAX {
                self.boot_numbers.push(device.to_owned());
            } else if let Some(free) =
                self.boot_numbers.iter_mut().find(|known| !devices.clone().any(|device| device == *known))
            {
                device.clone_into(free);
            }
        }
    }

    /// What is pending of the machine's own firmware.
    pub(crate) fn setup(&self, info: &MachineInfo) -> FirmwareSetup {
        let mode = self.pending_mode().filter(|mode| *mode != info.firmware);
        let secure_boot = self.pending_secure_boot().filter(|wanted| {
            mode.is_some() || info.secure_boot.as_ref().is_none_or(|now| now.enabled != *wanted)
        });
        let databases = self.databases.clone().filter(|wanted| databases_of(info) != Some(wanted));
        FirmwareSetup { mode, secure_boot, keys: self.keys, databases }
    }

    /// What a boot that begins now takes into force.
    pub(crate) fn pending(&self, around: Surroundings<'_>) -> BiosPending {
        let value = |(name, value): (&String, &BiosValue)| {
            let before = find(name).and_then(|known| known.value(self, around.info, around.policy));
            (name.clone(), PendingValue { value: value.clone(), before })
        };
        BiosPending {
            values: self.pending.iter().map(value).collect(),
            reset: self.reset_pending,
            keys: self.keys,
            databases: self.databases.clone().map(|wanted| PendingDatabases {
                wanted,
                before: around.info.and_then(databases_of).cloned(),
            }),
        }
    }

    /// Takes into force what was pending when the boot began; what has been asked for since stays pending. `refusal` is why the machine's
    /// firmware could not be set up.
    pub(crate) fn apply(
        &mut self,
        taken: BiosPending,
        at: Timestamp,
        refusal: Option<String>,
        policy: &mut PowerPolicy,
    ) {
        if taken.reset {
            self.kept.clear();
            self.reset_pending = false;
        }
        if self.keys == taken.keys {
            self.keys = None;
        }
        let keys_failed = refusal.is_some() && (taken.keys.is_some() || taken.databases.is_some());
        if let Some(PendingDatabases { wanted, before }) = taken.databases {
            self.databases = match self.databases.take() {
                Some(pending) if pending == wanted => None,
                // They were taken back since, but the boot has brought them.
                None if refusal.is_none() => before.filter(|before| *before != wanted),
                asked_for_since => asked_for_since,
            };
        }
        let mut failed = Vec::new();
        for (name, PendingValue { value, before }) in taken.values {
            let Some(attribute) = find(&name) else { continue };
            let default = attribute.default_value();
            let refused =
                refusal.is_some() && matches!(attribute.meaning, Meaning::BootMode | Meaning::SecureBoot);
            match self.pending.get(&name) {
                Some(wanted) if *wanted == value => drop(self.pending.remove(&name)),
                // Another value was asked for since.
                Some(_) => {}
                // It was taken back since: by a reset that is still to come, or by asking for what it was before the boot.
                None if refused || self.reset_pending && default.is_some() => {}
                None => {
                    let wanted = if taken.reset { default.clone().or(before) } else { before };
                    if let Some(wanted) = wanted.filter(|wanted| *wanted != value) {
                        self.pending.insert(name.clone(), wanted);
                    }
                }
            }
            match attribute.meaning {
                _ if refused => failed.push(name),
                Meaning::Kept(_) if default.as_ref() == Some(&value) => drop(self.kept.remove(&name)),
                Meaning::Kept(_) => drop(self.kept.insert(name, value)),
                Meaning::PowerPolicy => *policy = policy_of(&value).unwrap_or(*policy),
                Meaning::BootMode | Meaning::SecureBoot | Meaning::Processors | Meaning::MemoryMib => {}
            }
        }
        self.applied = Some(Applied { at, failed, keys_failed, reason: refusal, values: BTreeMap::new() });
    }

    /// Notes the attributes that are in force after an application.
    pub(crate) fn note_values(&mut self, around: Surroundings<'_>) {
        let values: BTreeMap<String, BiosValue> =
            self.current(around).into_iter().map(|(known, value)| (known.name.to_owned(), value)).collect();
        if let Some(applied) = &mut self.applied {
            applied.values = values;
        }
    }
}

/// What is in the databases of Secure Boot, where the machine can tell.
fn databases_of(info: &MachineInfo) -> Option<&Arc<KeySet>> {
    Some(&info.secure_boot.as_ref()?.databases.as_ref()?.now)
}

/// Boot devices that are told apart by a number of their own.
pub const BOOT_NUMBERS_MAX: usize = 256;
