//! What a subscriber wants to hear of (EventDestination schema).

use serde::{Deserialize, Serialize};

use super::told::Told;

/// Each empty list filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// Prefixes of registries. An event passes if it is of one of these, or if [`message_ids`](Self::message_ids) names it.
    pub(crate) registry_prefixes: Vec<String>,
    /// `Prefix.Key`; a version in between is ignored.
    pub(crate) message_ids: Vec<String>,
    pub(crate) exclude_registry_prefixes: Vec<String>,
    pub(crate) exclude_message_ids: Vec<String>,
    /// Names of schemas of the resource that the event comes from.
    pub(crate) resource_types: Vec<String>,
    /// URIs of resources that the event comes from.
    pub(crate) origins: Vec<String>,
    /// What lies below those counts too.
    pub(crate) subordinate: Option<bool>,
    pub(crate) severities: Vec<String>,
    /// The deprecated `EventType`.
    pub(crate) event_types: Vec<String>,
}

/// The registry's prefix and the message's key of a message id, whatever version is in between.
pub(crate) fn parts(message_id: &str) -> Option<(&str, &str)> {
    let (prefix, rest) = message_id.split_once('.')?;
    let key = rest.rsplit('.').next()?;
    let version = rest.strip_suffix(key)?.trim_end_matches('.');
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_version = version.is_empty() || version.split('.').all(|part| part.parse::<u16>().is_ok());
    (is_name(prefix) && is_name(key) && key.parse::<u16>().is_err() && is_version).then_some((prefix, key))
}

impl Filter {
    /// Whether an event passes.
    pub(crate) fn admits(&self, told: &Told) -> bool {
        let id = parts(&told.message_id);
        let prefix = id.map(|(prefix, _)| prefix);
        let names = |list: &[String]| list.iter().any(|wanted| parts(wanted) == id && id.is_some());
        let has = |list: &[String], value: Option<&str>| {
            value.is_some_and(|value| list.iter().any(|wanted| wanted == value))
        };
        let asked = !(self.registry_prefixes.is_empty() && self.message_ids.is_empty());
        let of_message = !asked || has(&self.registry_prefixes, prefix) || names(&self.message_ids);
        let excluded = has(&self.exclude_registry_prefixes, prefix) || names(&self.exclude_message_ids);
        let any_or = |list: &[String], value: Option<&str>| list.is_empty() || has(list, value);
        of_message
            && !excluded
            && any_or(&self.resource_types, told.resource_type)
            && any_or(&self.severities, Some(&told.severity))
            && any_or(&self.event_types, Some(told.event_type))
            && (self.origins.is_empty() || told.origin.as_deref().is_some_and(|uri| self.is_origin(uri)))
    }

    fn is_origin(&self, uri: &str) -> bool {
        self.origins.iter().map(|origin| origin.trim_end_matches('/')).any(|origin| {
            let below = uri.strip_prefix(origin);
            below.is_some_and(|rest| {
                rest.is_empty() || self.subordinate == Some(true) && rest.starts_with('/')
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_taken_apart() {
        assert_eq!(parts("Base.1.22.Success"), Some(("Base", "Success")));
        assert_eq!(parts("Base.1.22.1.Success"), Some(("Base", "Success")));
        assert_eq!(parts("Base.Success"), Some(("Base", "Success")));
        for broken in ["", "Base", "Base.", ".Success", "Base.1.2", "Base.x.y.Success", "Ba se.Success"] {
            assert_eq!(parts(broken), None, "{broken}");
        }
    }

    #[test]
    fn every_part_of_a_filter_counts() {
        let told = Told {
            id: 1,
            message_id: "TaskEvent.1.0.TaskStarted".to_owned(),
            severity: "OK".to_owned(),
            origin: Some("/redfish/v1/TaskService/Tasks/1".to_owned()),
            resource_type: Some("Task"),
            event_type: "StatusChange",
            record: serde_json::Value::Null,
        };
        let list = |text: &str| vec![text.to_owned()];
        let base = Filter::default();
        let rows: [(bool, Filter); 15] = [
            (true, base.clone()),
            (true, Filter { registry_prefixes: list("TaskEvent"), ..base.clone() }),
            (false, Filter { registry_prefixes: list("Base"), ..base.clone() }),
            (
                true,
                Filter {
                    registry_prefixes: list("Base"),
                    message_ids: list("TaskEvent.TaskStarted"),
                    ..base.clone()
                },
            ),
            (true, Filter { message_ids: list("TaskEvent.9.9.TaskStarted"), ..base.clone() }),
            (false, Filter { message_ids: list("TaskEvent.TaskAborted"), ..base.clone() }),
            (false, Filter { exclude_registry_prefixes: list("TaskEvent"), ..base.clone() }),
            (false, Filter { exclude_message_ids: list("TaskEvent.TaskStarted"), ..base.clone() }),
            (true, Filter { resource_types: list("Task"), ..base.clone() }),
            (false, Filter { resource_types: list("Chassis"), ..base.clone() }),
            (false, Filter { severities: list("Critical"), ..base.clone() }),
            (false, Filter { event_types: list("Alert"), ..base.clone() }),
            (false, Filter { origins: list("/redfish/v1/TaskService"), ..base.clone() }),
            (
                true,
                Filter { origins: list("/redfish/v1/TaskService/"), subordinate: Some(true), ..base.clone() },
            ),
            (
                false,
                Filter { origins: list("/redfish/v1/TaskService/Tasks/11"), subordinate: Some(true), ..base },
            ),
        ];
        for (admitted, filter) in rows {
            assert_eq!(filter.admits(&told), admitted, "{filter:?}");
        }
    }
}
