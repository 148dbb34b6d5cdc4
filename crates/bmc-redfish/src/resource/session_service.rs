//! `SessionService`: how long a session may stay unused, and how long it may be open at all.

use std::time::Duration;

use http::StatusCode;
use http::header::ETAG;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::etag;
use crate::message::{self, Message};
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, link, resource, session, with};
use crate::routes::{Route, get, patch};
use crate::schema;
use crate::session::{Limits, TIMEOUT_MAX, TIMEOUT_MIN};

pub(super) const URI: &str = "/redfish/v1/SessionService";

/// The session service.
pub(crate) static ROUTES: &[Route] = &[Route {
    path: "/redfish/v1/SessionService",
    verbs: &[
        get(show, "SessionService"),
        patch(
            Privilege::ConfigureManager,
            |call| Box::pin(async { update(call) }),
            "`SessionTimeout` and `AbsoluteSessionTimeout`, 30 to 86400 s; `AbsoluteSessionTimeoutEnabled`",
        ),
    ],
}];

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(call.service.sessions.limits()))
}

fn render(limits: Limits) -> Value {
    let object = resource(schema::SESSION_SERVICE, URI, "SessionService", "Session Service");
    let members = json!({
        "ServiceEnabled": true,
        "SessionTimeout": limits.unused.as_secs(),
        "AbsoluteSessionTimeout": limits.absolute.as_secs(),
        "AbsoluteSessionTimeoutEnabled": limits.absolute_enabled,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Sessions": link(session::COLLECTION_URI),
    });
    with(object, members)
}

fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let limits = call.service.sessions.change_limits(|present| {
        let shown = render(present);
        if !etag::may_write(call.headers, &etag::of(&shown)) {
            return Err(Problem::precondition_failed());
        }
        patch::read(&call.body, |faults| {
            let (mut limits, mut anything) = (present, false);
            patch::each_property(&call.body, &shown, "", faults, |name, pointer, value, faults| {
                match name {
                    "SessionTimeout" => {
                        limits.unused = read_timeout(pointer, value, faults).unwrap_or(limits.unused);
                    }
                    "AbsoluteSessionTimeout" => {
                        limits.absolute = read_timeout(pointer, value, faults).unwrap_or(limits.absolute);
                    }
                    "AbsoluteSessionTimeoutEnabled" => {
                        let enabled = faults.boolean(pointer, value);
                        limits.absolute_enabled = enabled.unwrap_or(limits.absolute_enabled);
                    }
                    _ => return false,
                }
                anything = true;
                true
            });
            (limits, anything)
        })
    })?;
    let mut reply = Reply::empty(StatusCode::NO_CONTENT);
    if let Ok(tag) = etag::of(&render(limits)).parse() {
        reply.headers.push((ETAG, tag));
    }
    Ok(reply)
}

fn read_timeout(pointer: &str, value: &Value, faults: &mut patch::Faults) -> Option<Duration> {
    if !value.is_i64() && !value.is_u64() {
        faults.wrong_type(pointer, value);
        return None;
    }
    let timeout = value.as_u64().map(Duration::from_secs);
    let timeout = timeout.filter(|timeout| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(timeout));
    if timeout.is_none() {
        let args = [&patch::shown(value), pointer];
        faults.push(Message::new(message::PropertyValueOutOfRange, args).about(pointer));
    }
    timeout
}
