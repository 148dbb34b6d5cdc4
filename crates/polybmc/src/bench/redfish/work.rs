//! What the workers do: one request again and again, as the scenario says.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use serde_json::{Value, json};

use super::setup::TOKEN;
use crate::bench::args::Scenario;

/// The collection of Systems.
pub(super) const SYSTEMS: &str = "/redfish/v1/Systems";
/// The same with its members in full.
const EXPANDED: &str = "/redfish/v1/Systems?$expand=.($levels=1)";
/// Where sessions are made (DSP0266 §13.3.4); its trailing part is the same on every service.
pub(super) const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
/// The property that a PATCH changes: nothing on the machine follows from it.
const PROPERTY: &str = "AssetTag";

/// What one run repeats.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// GET of a path.
    Get(String),
    /// PATCH of Systems, each worker its own one as far as they go; with the tags they had.
    Patch(Vec<(String, Value)>),
    /// A session made and ended, with the credentials to make it by.
    LogIn(Bytes),
}

/// One request of a worker.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Bytes,
    /// Whether the body says who asks, so that no header must.
    pub(super) anonymous: bool,
}

impl Work {
    /// What a scenario gets of a service without knowing its members.
    pub(super) fn path(scenario: Scenario) -> Option<&'static str> {
        match scenario {
            Scenario::Collection => Some(SYSTEMS),
            Scenario::Expand => Some(EXPANDED),
            Scenario::System | Scenario::Patch | Scenario::Login => None,
        }
    }

    /// As the report names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Get(_) => "GET",
            Self::Patch(_) => "PATCH",
            Self::LogIn(_) => "login",
        }
    }

    /// Where it goes, for the report.
    pub(super) fn shown_path(&self) -> &str {
        match self {
            Self::Get(path) => path,
            Self::Patch(systems) => systems.first().map_or(SYSTEMS, |(path, _)| path),
            Self::LogIn(_) => SESSIONS,
        }
    }

    /// The `nth` request of a worker.
    pub(super) fn step(&self, worker: usize, nth: u64) -> Step {
        match self {
            Self::Get(path) => {
                Step { method: Method::GET, path: path.clone(), body: Bytes::new(), anonymous: false }
            }
            Self::Patch(systems) => {
                let path = systems.get(worker % systems.len().max(1)).map_or(SYSTEMS, |(path, _)| path);
                // Each changes something: what changes nothing may cost nothing.
                patch(path, &json!(format!("bench {worker}-{nth}")))
            }
            Self::LogIn(credentials) => Step {
                method: Method::POST,
                path: SESSIONS.to_owned(),
                body: credentials.clone(),
                anonymous: true,
            },
        }
    }

    /// What undoes the load when it is over.
    pub(super) fn undo(&self) -> Vec<Step> {
        match self {
            Self::Patch(systems) => systems.iter().map(|(path, tag)| patch(path, tag)).collect(),
            Self::Get(_) | Self::LogIn(_) => Vec::new(),
        }
    }
}

fn patch(path: &str, tag: &Value) -> Step {
    let body = json!({PROPERTY: tag}).to_string().into();
    Step { method: Method::PATCH, path: path.to_owned(), body, anonymous: false }
}

/// What a PATCH would change of a System, as it is.
pub(super) fn present_tag(system: &[u8]) -> Option<Value> {
    let system: Value = serde_json::from_slice(system).ok()?;
    system.get(PROPERTY).cloned()
}

/// The paths of a collection's members.
pub(super) fn members(collection: &[u8]) -> Vec<String> {
    let collection: Value = serde_json::from_slice(collection).unwrap_or_default();
    let members = collection.get("Members").and_then(Value::as_array).into_iter().flatten();
    let paths = members.filter_map(|member| member.get("@odata.id")?.as_str());
    paths.filter(|path| path.starts_with('/')).map(str::to_owned).collect()
}

/// How to end the session that an answer made: its path, and the header with its token.
pub(super) fn log_out(answer: &Response<Bytes>) -> Option<(String, HeaderMap)> {
    let path = super::setup::path_of(answer.headers().get(header::LOCATION)?)?;
    let mut token: HeaderValue = answer.headers().get(TOKEN)?.clone();
    token.set_sensitive(true);
    Some((path, HeaderMap::from_iter([(TOKEN, token)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_a_collection() {
        let good = br#"{"Members": [{"@odata.id": "/redfish/v1/Systems/a"}, {"@odata.id": "/b"}]}"#;
        assert_eq!(members(good), ["/redfish/v1/Systems/a", "/b"]);
        for wrong in
            ["", "[]", "{}", r#"{"Members": []}"#, r#"{"Members": [{"@odata.id": "http://elsewhere"}]}"#]
        {
            assert_eq!(members(wrong.as_bytes()), Vec::<String>::new(), "{wrong}");
        }
    }

    #[test]
    fn workers_change_systems_of_their_own_and_leave_them_as_they_were() {
        let work = Work::Patch(vec![("/a".to_owned(), json!("A")), ("/b".to_owned(), Value::Null)]);
        let paths: Vec<String> = (0..3).map(|worker| work.step(worker, 0).path).collect();
        assert_eq!(paths, ["/a", "/b", "/a"]);
        assert_ne!(work.step(0, 0).body, work.step(0, 1).body);
        assert_ne!(work.step(0, 0).body, work.step(2, 0).body);
        let undone: Vec<(String, Bytes)> =
            work.undo().into_iter().map(|step| (step.path, step.body)).collect();
        let expected = [("/a", r#"{"AssetTag":"A"}"#), ("/b", r#"{"AssetTag":null}"#)];
        assert_eq!(undone, expected.map(|(path, body)| (path.to_owned(), Bytes::from(body))));
    }
}
