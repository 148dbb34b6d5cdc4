//! Parameters of actions: what is missing, unknown or of a wrong value is told by the messages that the Base registry has for actions
//! (DSP0266, "POST (action)"). All faults are collected, and one is enough to do nothing.

use serde_json::{Map, Value};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{is_annotation, shown};

/// The parameters of one action, as they are read.
pub(super) struct Parameters<'a> {
    action: &'static str,
    body: &'a Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Message>,
}

impl<'a> Parameters<'a> {
    /// Those in a body; `action` is the action's full name, as `ComputerSystem.Reset`.
    pub(super) fn new(action: &'static str, body: &'a Map<String, Value>) -> Self {
        Self { action, body, known: Vec::new(), faults: Vec::new() }
    }

    /// A parameter that may be there; null is as good as none.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// A parameter that has to be there.
    pub(super) fn required(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        let value = self.body.get(name);
        if value.is_none() {
            self.push(Message::new(message::ActionParameterMissing, [self.action, name]));
        }
        value
    }

    /// The value as a string.
    pub(super) fn string(&mut self, name: &'static str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(name, value);
        }
        text
    }

    /// The value as a string that no answer may show.
    pub(super) fn hidden(&mut self, name: &'static str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(name, &Value::from("***"));
        }
        text
    }

    /// The value as a boolean.
    pub(super) fn boolean(&mut self, name: &'static str, value: &Value) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            self.wrong_type(name, value);
        }
        flag
    }

    /// The value as one of a list of names.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        value: &'a Value,
        names: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(name, value)?;
        let found = names.iter().find(|(known, _)| *known == text).map(|(_, choice)| *choice);
        if found.is_none() {
            self.push(self.unlisted(name, text).choices(names.iter().map(|(known, _)| *known)));
        }
        found
    }

    /// The value is of the wrong JSON type.
    pub(super) fn wrong_type(&mut self, name: &'static str, value: &Value) {
        let args = [&shown(value), name, self.action];
        self.push(Message::new(message::ActionParameterValueTypeError, args).about(&format!("/{name}")));
    }

    /// The value is none of those that it may be; `wanted` says which those are.
    pub(super) fn not_in_list(&mut self, name: &'static str, text: &str, wanted: &str) {
        self.push(self.unlisted(name, text).resolution(wanted));
    }

    fn unlisted(&self, name: &str, text: &str) -> Message {
        let args = [text, name, self.action];
        Message::new(message::ActionParameterValueNotInList, args).about(&format!("/{name}"))
    }

    /// Something else that is wrong.
    pub(super) fn push(&mut self, fault: Message) {
        self.faults.push(fault);
    }

    /// Ends the reading; parameters that were not asked for are unknown ones.
    ///
    /// # Errors
    /// 400 with everything that is wrong.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        for name in self.body.keys().filter(|name| !is_annotation(name)) {
            if !self.known.contains(&name.as_str()) {
                let fault = Message::new(message::ActionParameterUnknown, [self.action, name]);
                self.faults.push(fault.about(&format!("/{name}")));
            }
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::bad_request(self.faults)) }
    }
}
