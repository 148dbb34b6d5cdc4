//! `$select`: some of a resource's properties (DSP0266, "Use of the `$select` query parameter").

use std::collections::BTreeMap;

use serde_json::Value;

/// What is always there, so that a client knows what it has before it.
const ALWAYS: [&str; 4] = ["@odata.id", "@odata.type", "@odata.etag", "@odata.context"];

/// The properties asked for, by name; one with nothing below it is asked for as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Select(BTreeMap<String, Select>);

impl Select {
    /// Reads a list of names and paths, such as `Name,Status/State`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut select = Self::default();
        for path in text.split(',').map(str::trim) {
            let names: Vec<&str> = path.split('/').collect();
            if !names.iter().all(|name| is_name(name)) {
                return None;
            }
            select.add(&names, true);
        }
        Some(select)
    }

    fn add(&mut self, names: &[&str], first: bool) {
        // What was asked for as a whole stays so, whatever else is asked of it.
        if self.0.is_empty() && !first {
            return;
        }
        if let [name, rest @ ..] = names {
            let known = self.0.contains_key(*name);
            let below = self.0.entry((*name).to_owned()).or_default();
            if rest.is_empty() {
                below.0.clear();
            } else {
                below.add(rest, !known);
            }
        }
    }

    /// Leaves of a resource what is asked for. What it does not have is not missed.
    pub(super) fn apply(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.retain(|name, value| {
                    // An annotation goes with its property.
                    let property = name.split_once('@').map_or(name.as_str(), |(property, _)| property);
                    if let Some(below) = self.0.get(name) {
                        if !below.0.is_empty() {
                            below.apply(value);
                        }
                        return true;
                    }
                    ALWAYS.contains(&name.as_str()) || (!property.is_empty() && self.0.contains_key(property))
                });
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            _ => {}
        }
    }
}

/// Whether a text can be the name of a property or an annotation (DSP0266, "Properties").
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_@.#-".contains(&byte))
}
