//! When a change takes effect: `@Redfish.Settings` and `@Redfish.SettingsApplyTime` of resources whose changes wait for a reset (DSP0266,
//! "Settings resource"), `@Redfish.OperationApplyTimeSupport` and `@Redfish.OperationApplyTime` of operations (DSP0266, "Operation apply
//! time").
#![allow(dead_code, reason = "used as soon as there is an operation that can wait")]

use serde_json::{Map, Value, json};

use crate::message::{self, Message};
use crate::resource::link;

/// In the body of a write to a settings resource: when to apply it.
const SETTINGS_APPLY_TIME: &str = "@Redfish.SettingsApplyTime";
/// In the body of a create, delete or action: when to do it.
const OPERATION_APPLY_TIME: &str = "@Redfish.OperationApplyTime";

/// A time of application. Maintenance windows are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApplyTime {
    /// At once.
    Immediate,
    /// At the next reset.
    OnReset,
}

impl ApplyTime {
    /// Its name in the schema `Settings`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "Immediate",
            Self::OnReset => "OnReset",
        }
    }
}

fn names(times: &[ApplyTime]) -> Vec<&'static str> {
    times.iter().map(|time| time.as_str()).collect()
}

/// The value of `@Redfish.Settings` on a resource: where its future settings are, and when they can be applied. `applied` is the time of the
/// last application and what came of it, `None` before there was one.
pub(super) fn settings(
    settings_uri: &str,
    supported: &[ApplyTime],
    applied: Option<(&str, &[Message])>,
) -> Value {
    let mut value = json!({
        "@odata.type": "#Settings.v1_4_0.Settings",
        "SettingsObject": link(settings_uri),
        "SupportedApplyTimes": names(supported),
    });
    if let Some((time, messages)) = applied {
        value["Time"] = time.into();
        value["Messages"] = messages.iter().map(Message::to_json).collect();
    }
    value
}

/// What a settings resource shows as its own `@Redfish.SettingsApplyTime`: the time that is in force.
pub(super) fn preferred(time: ApplyTime) -> Value {
    json!({"@odata.type": "#Settings.v1_4_0.PreferredApplyTime", "ApplyTime": time.as_str()})
}

/// The apply time that the body of a write to a settings resource asks for; `None` when it says nothing. Faults go to `fault`.
pub(super) fn read_preferred(
    body: &Map<String, Value>,
    supported: &[ApplyTime],
    mut fault: impl FnMut(Message),
) -> Option<ApplyTime> {
    let value = body.get(SETTINGS_APPLY_TIME)?;
    let pointer = format!("/{SETTINGS_APPLY_TIME}");
    let Some(object) = value.as_object() else {
        let args = [&crate::patch::shown(value), pointer.as_str()];
        fault(Message::new(message::PropertyValueTypeError, args).about(&pointer));
        return None;
    };
    let mut time = None;
    for (name, value) in object.iter().filter(|(name, _)| !name.starts_with('@')) {
        let pointer = format!("{pointer}/{name}");
        if name == "ApplyTime" {
            time = one_of(value, &pointer, supported, &mut fault);
        } else {
            fault(Message::new(message::PropertyUnknown, [&pointer]).about(&pointer));
        }
    }
    time
}

/// The value of `@Redfish.OperationApplyTimeSupport`, which stands on the collection, the resource or the action.
pub(super) fn operation_support(supported: &[ApplyTime]) -> Value {
    json!({"@odata.type": "#Settings.v1_4_0.OperationApplyTimeSupport", "SupportedValues": names(supported)})
}

/// The apply time that the body of a create, delete or action asks for; `None` when it says nothing. Faults go to `fault`.
pub(super) fn read_operation(
    body: &Map<String, Value>,
    supported: &[ApplyTime],
    mut fault: impl FnMut(Message),
) -> Option<ApplyTime> {
    one_of(body.get(OPERATION_APPLY_TIME)?, &format!("/{OPERATION_APPLY_TIME}"), supported, &mut fault)
}

fn one_of(
    value: &Value,
    pointer: &str,
    supported: &[ApplyTime],
    fault: &mut impl FnMut(Message),
) -> Option<ApplyTime> {
    let Some(text) = value.as_str() else {
        let args = [&crate::patch::shown(value), pointer];
        fault(Message::new(message::PropertyValueTypeError, args).about(pointer));
        return None;
    };
    let found = supported.iter().copied().find(|time| time.as_str() == text);
    if found.is_none() {
        let message = Message::new(message::PropertyValueNotInList, [text, pointer]).about(pointer);
        fault(message.choices(supported.iter().map(|time| time.as_str())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [ApplyTime; 2] = [ApplyTime::Immediate, ApplyTime::OnReset];

    type Read = fn(&Map<String, Value>, &[ApplyTime], &mut dyn FnMut(Message)) -> Option<ApplyTime>;

    fn read(how: Read, body: Value) -> (Option<ApplyTime>, Vec<(&'static str, String)>) {
        let Value::Object(body) = body else { panic!("an object") };
        let mut faults = Vec::new();
        let time = how(&body, &BOTH, &mut |fault: Message| {
            faults.push((fault.entry.key, fault.property.unwrap_or_default()));
        });
        (time, faults)
    }

    fn of_settings(value: Value) -> (Option<ApplyTime>, Vec<(&'static str, String)>) {
        read(|body, times, fault| read_preferred(body, times, fault), json!({SETTINGS_APPLY_TIME: value}))
    }

    fn of_operation(value: Value) -> (Option<ApplyTime>, Vec<(&'static str, String)>) {
        read(|body, times, fault| read_operation(body, times, fault), json!({OPERATION_APPLY_TIME: value}))
    }

    #[test]
    fn an_apply_time_is_read() {
        let object = json!({"@odata.type": "#Settings.v1_1_0.PreferredApplyTime", "ApplyTime": "OnReset"});
        assert_eq!(of_settings(object), (Some(ApplyTime::OnReset), vec![]));
        assert_eq!(of_operation(json!("Immediate")), (Some(ApplyTime::Immediate), vec![]));
        assert_eq!(read(|body, times, fault| read_operation(body, times, fault), json!({})), (None, vec![]));
        assert_eq!(of_settings(json!({})), (None, vec![]), "no wish is a wish for the default");
    }

    #[test]
    fn what_is_wrong_with_an_apply_time_is_named() {
        let at = |name: &str| format!("/{SETTINGS_APPLY_TIME}{name}");
        for (value, key, pointer) in [
            (json!("OnReset"), "PropertyValueTypeError", at("")),
            (json!(null), "PropertyValueTypeError", at("")),
            (json!({"ApplyTime": 3}), "PropertyValueTypeError", at("/ApplyTime")),
            (json!({"ApplyTime": null}), "PropertyValueTypeError", at("/ApplyTime")),
            (json!({"ApplyTime": "AtMaintenanceWindowStart"}), "PropertyValueNotInList", at("/ApplyTime")),
            (json!({"Time": "now"}), "PropertyUnknown", at("/Time")),
        ] {
            assert_eq!(of_settings(value.clone()), (None, vec![(key, pointer)]), "{value}");
        }
        let at = format!("/{OPERATION_APPLY_TIME}");
        for (value, key) in [
            (json!(7), "PropertyValueTypeError"),
            (json!({"ApplyTime": "OnReset"}), "PropertyValueTypeError"),
            (json!("onreset"), "PropertyValueNotInList"),
        ] {
            assert_eq!(of_operation(value.clone()), (None, vec![(key, at.clone())]), "{value}");
        }
    }

    #[test]
    fn what_is_shown() {
        let shown = settings(
            "/x/Settings",
            &BOTH,
            Some(("2026-01-01T00:00:00Z", &[Message::new(message::NoOperation, [])])),
        );
        assert_eq!(shown["SettingsObject"], json!({"@odata.id": "/x/Settings"}));
        assert_eq!(shown["SupportedApplyTimes"], json!(["Immediate", "OnReset"]));
        assert_eq!(shown["Messages"][0]["MessageId"], "Base.1.22.NoOperation");
        assert!(settings("/x", &BOTH, None).get("Time").is_none());
        assert_eq!(preferred(ApplyTime::OnReset)["ApplyTime"], "OnReset");
        assert_eq!(operation_support(&[ApplyTime::OnReset])["SupportedValues"], json!(["OnReset"]));
    }
}
