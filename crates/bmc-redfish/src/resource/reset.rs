//! The action `ComputerSystem.Reset`: power.
//!
//! Answers 204 when the machine did it, was so already, joined the same action under way, or accepted it and is not done yet: there is
//! no TaskService to point to, and the power state shows the transition.

use bmc_core::power::{Origin, PowerAction};
use bmc_core::request::Request;
use http::StatusCode;

use crate::error::{About, Asked, Problem, request_problem};
use crate::message::{self, Message};
use crate::patch::{is_annotation, shown};
use crate::resource::{Call, Reply, Uris};
use crate::service::resource_id;

/// The action's full name.
const ACTION: &str = "ComputerSystem.Reset";
/// Its one parameter.
pub(super) const PARAMETER: &str = "ResetType";

/// The values of `ResetType` and what they ask of the machine.
pub(crate) const TYPES: [(&str, PowerAction); 9] = [
    ("On", PowerAction::On),
    ("ForceOn", PowerAction::On),
    ("ForceOff", PowerAction::Off),
    ("GracefulShutdown", PowerAction::Soft),
    ("ForceRestart", PowerAction::Reset),
    ("GracefulRestart", PowerAction::GracefulRestart),
    ("PowerCycle", PowerAction::Cycle),
    ("PushPowerButton", PowerAction::PushButton),
    ("Nmi", PowerAction::Nmi),
];

pub(super) async fn post(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let action = read(call)?;
    match machine.request(Request::Power(action, Origin::Client)).await {
        Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(error) => {
            let snapshot = machine.snapshot();
            let (uri, id) = (Uris::of(&snapshot).system, resource_id(&snapshot));
            Err(request_problem(&error, About { asked: Asked::Action(ACTION), uri: &uri, id: &id }))
        }
    }
}

fn read(call: &Call<'_>) -> Result<PowerAction, Problem> {
    let pointer = format!("/{PARAMETER}");
    let mut faults = Vec::new();
    for name in call.body.keys().filter(|name| *name != PARAMETER && !is_annotation(name)) {
        faults.push(Message::new(message::ActionParameterUnknown, [ACTION, name]).about(&format!("/{name}")));
    }
    let mut action = None;
    match call.body.get(PARAMETER) {
        None => faults.push(Message::new(message::ActionParameterMissing, [ACTION, PARAMETER])),
        Some(value) => match value.as_str() {
            None => {
                let args = [&shown(value), PARAMETER, ACTION];
                faults.push(Message::new(message::ActionParameterValueTypeError, args).about(&pointer));
            }
            Some(text) => {
                action = TYPES.iter().find(|(name, _)| *name == text).map(|(_, action)| *action);
                if action.is_none() {
                    let message =
                        Message::new(message::ActionParameterValueNotInList, [text, PARAMETER, ACTION]);
                    faults.push(message.about(&pointer));
                }
            }
        },
    }
    match action {
        Some(action) if faults.is_empty() => Ok(action),
        _ => Err(Problem::bad_request(faults)),
    }
}
