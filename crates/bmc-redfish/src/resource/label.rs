//! What a System and its Chassis both show: asset tag, part number and identify light. There is one of each per machine; tag and light can be
//! set.

use bmc_core::request::{ASSET_TAG_MAX_BYTES, Change, Identify};
use bmc_core::snapshot::{IdentifyState, Snapshot};
use serde_json::{Map, Value, json};

use crate::message::{self, Message};
use crate::patch::Faults;

/// The values of `IndicatorLED` that are served. `Blinking` is not: the light is either on or off, and what is written reads back.
const LED: [(&str, bool); 2] = [("Lit", true), ("Off", false)];

/// Whether the identify light is on.
pub(super) fn is_lit(snapshot: &Snapshot) -> bool {
    snapshot.identify != IdentifyState::Off
}

/// Puts asset tag and light into a resource.
pub(super) fn put(object: &mut Map<String, Value>, snapshot: &Snapshot) {
    let lit = is_lit(snapshot);
    object.insert("AssetTag".to_owned(), snapshot.identity.asset_tag.as_str().into());
    if !snapshot.identity.part_number.is_empty() {
        object.insert("PartNumber".to_owned(), snapshot.identity.part_number.as_str().into());
    }
    put_light(object, lit);
}

/// Puts a light into a resource.
pub(super) fn put_light(object: &mut Map<String, Value>, lit: bool) {
    // `IndicatorLED` is deprecated in favour of `LocationIndicatorActive`, and it is the one Ironic drives.
    object.insert("IndicatorLED".to_owned(), if lit { "Lit" } else { "Off" }.into());
    object.insert("IndicatorLED@Redfish.AllowableValues".to_owned(), json!(LED.map(|(name, _)| name)));
    object.insert("LocationIndicatorActive".to_owned(), lit.into());
}

/// What a PATCH asks of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    asset_tag: Option<String>,
    lit: Option<bool>,
}

impl Wanted {
    /// Takes a property if it is one of these.
    pub(super) fn take(&mut self, name: &str, pointer: &str, value: &Value, faults: &mut Faults) -> bool {
        match name {
            "AssetTag" => {
                self.take_asset_tag(pointer, value, faults);
                true
            }
            _ => self.take_light(name, pointer, value, faults),
        }
    }

    /// Takes a property if it is the light.
    pub(super) fn take_light(
        &mut self,
        name: &str,
        pointer: &str,
        value: &Value,
        faults: &mut Faults,
    ) -> bool {
        match name {
            "IndicatorLED" => {
                let lit = faults.choice(pointer, value, &LED);
                self.set_light(lit, pointer, "/LocationIndicatorActive", faults);
            }
            "LocationIndicatorActive" => {
                let lit = faults.boolean(pointer, value);
                self.set_light(lit, pointer, "/IndicatorLED", faults);
            }
            _ => return false,
        }
        true
    }

    fn take_asset_tag(&mut self, pointer: &str, value: &Value, faults: &mut Faults) {
        let Some(tag) = faults.nullable_string(pointer, value) else { return };
        let tag = tag.unwrap_or_default();
        if tag.len() > ASSET_TAG_MAX_BYTES {
            let limit = ASSET_TAG_MAX_BYTES.to_string();
            faults.push(Message::new(message::StringValueTooLong, [tag, &limit]).about(pointer));
        } else if tag.chars().any(char::is_control) {
            faults.push(Message::new(message::PropertyValueFormatError, [tag, pointer]).about(pointer));
        } else {
            self.asset_tag = Some(tag.to_owned());
        }
    }

    /// The light has two names; a request that says both and means different things is refused.
    fn set_light(&mut self, lit: Option<bool>, pointer: &str, other: &str, faults: &mut Faults) {
        let Some(lit) = lit else { return };
        if self.lit.is_some_and(|before| before != lit) {
            faults.push(Message::new(message::PropertyValueConflict, [pointer, other]).about(pointer));
        }
        self.lit = Some(lit);
    }

    /// What is wanted of the light.
    pub(super) fn light(&self) -> Option<bool> {
        self.lit
    }

    /// Whether it says anything.
    pub(super) fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// Puts what is wanted into a change.
    pub(super) fn put(&self, change: &mut Change) {
        change.asset_tag.clone_from(&self.asset_tag);
        change.identify = self.lit.map(|lit| if lit { Identify::On } else { Identify::Off });
    }
}
