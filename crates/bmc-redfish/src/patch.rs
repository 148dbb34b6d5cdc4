//! Reading a PATCH body: what may be written, what is refused and how (DSP0266, "PATCH (update)").
//!
//! A PATCH is all or nothing: every fault of the body is collected, and one is enough to change nothing.

use serde_json::{Map, Value};

use crate::error::Problem;
use crate::message::{self, Message};

/// Collects what is wrong with a body while it is read.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Message>);

impl Faults {
    pub(crate) fn push(&mut self, message: Message) {
        self.0.push(message);
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is wrong.
    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.0
    }

    /// A string.
    pub(crate) fn string<'a>(&mut self, pointer: &str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(pointer, value);
        }
        text
    }

    /// A string or null.
    pub(crate) fn nullable_string<'a>(&mut self, pointer: &str, value: &'a Value) -> Option<Option<&'a str>> {
        if value.is_null() { Some(None) } else { self.string(pointer, value).map(Some) }
    }

    /// A string that no answer may show, or null.
    pub(crate) fn nullable_hidden<'a>(&mut self, pointer: &str, value: &'a Value) -> Option<Option<&'a str>> {
        if !value.is_null() && !value.is_string() {
            self.wrong_type(pointer, &Value::from("***"));
            return None;
        }
        Some(value.as_str())
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, pointer: &str, value: &Value) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            self.wrong_type(pointer, value);
        }
        flag
    }

    /// One of a list of names.
    pub(crate) fn choice<T: Copy>(&mut self, pointer: &str, value: &Value, names: &[(&str, T)]) -> Option<T> {
        let text = self.string(pointer, value)?;
        let found = names.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if found.is_none() {
            self.not_in_list(pointer, text, names.iter().map(|(name, _)| *name));
        }
        found
    }

    /// A value that is none of those that it may be.
    pub(crate) fn not_in_list<'n>(
        &mut self,
        pointer: &str,
        text: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) {
        let message = Message::new(message::PropertyValueNotInList, [text, pointer]).about(pointer);
        self.push(message.choices(names));
    }

    /// A value of the wrong JSON type.
    pub(crate) fn wrong_type(&mut self, pointer: &str, value: &Value) {
        let shown = shown(value);
        self.push(Message::new(message::PropertyValueTypeError, [&shown, pointer]).about(pointer));
    }
}

/// A value as message arguments show it: strings bare, all else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a member is an annotation rather than a property; those are ignored in requests (DSP0266, "PATCH (update)").
pub(crate) fn is_annotation(name: &str) -> bool {
    ["@odata.", "@Redfish.", "@Message."].iter().any(|kind| name.contains(kind))
}

/// Gives each property of `object` to `take`, which returns whether it is a writable one and reports bad values itself. What is not
/// taken is read-only if the resource shows it, else unknown. `pointer` is that of `object`.
pub(crate) fn each_property(
    object: &Map<String, Value>,
    shown: &Value,
    pointer: &str,
    faults: &mut Faults,
    mut take: impl FnMut(&str, &str, &Value, &mut Faults) -> bool,
) {
    for (name, value) in object.iter().filter(|(name, _)| !is_annotation(name)) {
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        if take(name, &pointer, value, faults) {
            continue;
        }
        let entry =
            if shown.get(name).is_some() { message::PropertyNotWritable } else { message::PropertyUnknown };
        faults.push(Message::new(entry, [&pointer]).about(&pointer));
    }
}

/// Reads a PATCH body with `read`, which returns whether anything at all was asked for.
///
/// # Errors
/// 400 with every fault; `EmptyJSON` for `{}`; `NoOperation` for a body of annotations only.
pub(crate) fn read<T>(
    body: &Map<String, Value>,
    read: impl FnOnce(&mut Faults) -> (T, bool),
) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::bad_request(vec![Message::new(message::EmptyJSON, [])]));
    }
    let mut faults = Faults::default();
    let (wanted, anything) = read(&mut faults);
    if !faults.0.is_empty() {
        return Err(Problem::bad_request(faults.0));
    }
    if !anything {
        return Err(Problem::bad_request(vec![Message::new(message::NoOperation, [])]));
    }
    Ok(wanted)
}
