//! The actions `Manager.Reset` and `Manager.ResetToDefaults`: the controller is reset as by IPMI's Warm Reset and Cold Reset. The machine goes on; all sessions of
//! the BMC end, over Redfish and IPMI.

use bmc_core::bmc::{BmcReset, Preserve};
use bmc_core::request::Request;
use http::StatusCode;
use serde_json::{Value, json};

use crate::error::{About, Asked, Problem, request_problem};
use crate::resource::action::Parameters;
use crate::resource::{Call, Reply, Uris};
use crate::service::resource_id;

const RESET: &str = "Manager.Reset";
const RESET_TYPE: &str = "ResetType";
/// The values of `ResetType`; the first is that of a reset without parameter.
const TYPES: [(&str, BmcReset); 2] = [("GracefulRestart", BmcReset::Warm), ("ForceRestart", BmcReset::Cold)];

const TO_DEFAULTS: &str = "Manager.ResetToDefaults";
/// The values of `ResetType` of a reset to defaults.
const DEFAULTS: [(&str, BmcReset); 3] = [
    ("ResetAll", BmcReset::ToDefaults(Preserve::Nothing)),
    ("PreserveNetwork", BmcReset::ToDefaults(Preserve::Network)),
    ("PreserveNetworkAndUsers", BmcReset::ToDefaults(Preserve::NetworkAndUsers)),
];

/// The actions, as the Manager shows them.
pub(super) fn actions(manager: &str) -> Value {
    json!({
        "#Manager.Reset": {
            "target": format!("{manager}/Actions/{RESET}"),
            "ResetType@Redfish.AllowableValues": TYPES.map(|(name, _)| name),
        },
        "#Manager.ResetToDefaults": {
            "target": format!("{manager}/Actions/{TO_DEFAULTS}"),
            "ResetType@Redfish.AllowableValues": DEFAULTS.map(|(name, _)| name),
        },
    })
}

/// `Manager.Reset`. The type may be left out (Manager schema).
pub(super) async fn reset(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut parameters = Parameters::new(RESET, &call.body);
    let wanted = parameters.optional(RESET_TYPE);
    let wanted = wanted.map(|value| parameters.choice(RESET_TYPE, value, &TYPES));
    parameters.end()?;
    carry_out(call, RESET, wanted.flatten().unwrap_or(BmcReset::Warm)).await
}

/// `Manager.ResetToDefaults`.
pub(super) async fn to_defaults(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut parameters = Parameters::new(TO_DEFAULTS, &call.body);
    let wanted = parameters.required(RESET_TYPE);
    let wanted = wanted.and_then(|value| parameters.choice(RESET_TYPE, value, &DEFAULTS));
    parameters.end()?;
    let wanted = wanted.ok_or_else(Problem::internal)?;
    let reply = carry_out(call, TO_DEFAULTS, wanted).await?;
    call.service.heed_resets();
    if wanted == BmcReset::ToDefaults(Preserve::Nothing) {
        forget_certificate(call)?;
    }
    Ok(reply)
}

/// The certificate is a part of how the BMC is reached; it is kept as a file beside the machine's record. Where it cannot be taken back that is told, and the
/// action can be asked for again.
fn forget_certificate(call: &Call<'_>) -> Result<(), Problem> {
    let machine = call.service.machine("Manager", call.id)?;
    let Some(held) = call.service.config.keyring.get(machine.name()) else { return Ok(()) };
    held.forget().map_err(|error| {
        tracing::error!(bmc = %machine.name(), %error, "the HTTPS certificate could not be taken back");
        Problem::internal()
    })
}

async fn carry_out(call: &Call<'_>, action: &str, reset: BmcReset) -> Result<Reply, Problem> {
    let machine = call.service.machine("Manager", call.id)?;
    match machine.request(Request::ResetBmc(reset)).await {
        Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(error) => {
            let snapshot = machine.snapshot();
            let (uri, id) = (Uris::of(&snapshot).manager, resource_id(&snapshot));
            Err(request_problem(&error, About { asked: Asked::Action(action), uri: &uri, id: &id }))
        }
    }
}
