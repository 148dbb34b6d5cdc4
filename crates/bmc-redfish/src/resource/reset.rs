//! The action `ComputerSystem.Reset`: power.
//!
//! Answers 204 when the machine did it, was so already, joined the same action under way, or accepted it and is not done yet: there is
//! no TaskService to point to, and the power state shows the transition.

use bmc_core::power::{Origin, PowerAction};
use bmc_core::request::Request;
use http::StatusCode;

use crate::error::{About, Asked, Problem, request_problem};
use crate::resource::action::Parameters;
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
    let mut parameters = Parameters::new(ACTION, &call.body);
    let value = parameters.required(PARAMETER);
    let action = value.and_then(|value| parameters.choice(PARAMETER, value, &TYPES));
    parameters.end()?;
    action.ok_or_else(Problem::internal)
}
