//! What a stream of server-sent events carries: `$filter` on its URI (DSP0266, "Server-sent events").
//!
//! A condition is looked at with the facts of an event, or of a metric report, as if these were properties; what one of them has not is null.

use serde_json::{Value, json};

use super::filter::parts;
use super::told::Told;
use crate::query::{Filter, Operator};
use crate::resource::telemetry;

/// What conditions may name.
pub(crate) const PROPERTIES: [&str; 7] = [
    "EventFormatType",
    "EventType",
    "MessageId",
    "MetricReportDefinition",
    "OriginResource",
    "RegistryPrefix",
    "ResourceType",
];
/// Those that metric reports have. A condition that names neither is one for events.
const OF_REPORTS: [&str; 2] = ["EventFormatType", "MetricReportDefinition"];

/// A condition for what is streamed. Without any, all events are, and no metric reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Condition {
    filter: Option<Filter>,
    /// Metric reports are looked at, too.
    names_reports: bool,
}

impl Condition {
    /// Takes a `$filter`; `None` for one that names anything else than [`PROPERTIES`], or compares otherwise than for being equal.
    pub(crate) fn new(filter: &Filter) -> Option<Self> {
        let mut filter = filter.clone();
        let mut names_reports = false;
        let good = filter.check(&mut |path, operator, value| {
            let ([name], Value::String(text)) = (path, &mut *value) else { return false };
            names_reports |= OF_REPORTS.contains(&name.as_str());
            if name == "MessageId" {
                // A version in between is ignored, as in subscriptions.
                let Some((prefix, key)) = parts(text) else { return false };
                *value = format!("{prefix}.{key}").into();
            }
            PROPERTIES.contains(&name.as_str()) && matches!(operator, Operator::Equal | Operator::NotEqual)
        });
        good.then_some(Self { filter: Some(filter), names_reports })
    }

    /// Whether an event is streamed.
    pub(crate) fn admits(&self, told: &Told) -> bool {
        let Some(filter) = &self.filter else { return true };
        let id = parts(&told.message_id);
        filter.holds(&json!({
            "EventFormatType": "Event",
            "EventType": told.event_type,
            "MessageId": id.map(|(prefix, key)| format!("{prefix}.{key}")),
            "OriginResource": told.origin,
            "RegistryPrefix": id.map(|(prefix, _)| prefix),
            "ResourceType": told.resource_type,
        }))
    }

    /// Whether the reports of a definition, by its URI, are streamed.
    pub(crate) fn admits_reports_of(&self, definition: &str) -> bool {
        let facts = || json!({"EventFormatType": "MetricReport", "MetricReportDefinition": definition});
        self.names_reports && self.filter.as_ref().is_some_and(|filter| filter.holds(&facts()))
    }

    /// The ids of the reports that are streamed.
    pub(crate) fn reports(&self) -> Vec<&'static str> {
        let ids = telemetry::report_ids().into_iter();
        ids.filter(|id| self.admits_reports_of(&telemetry::definition_uri(id))).collect()
    }
}
