//! Serial over LAN: its configuration parameters, and the commands by which the session layer switches it on and off.

use bmc_core::account::Role;
use bmc_core::settings::SolSettings;
use ipmi_wire::command::activation::{
    ActivatePayload, DeactivatePayload, GetPayloadActivationStatus, GetPayloadInstanceInfo,
};
use ipmi_wire::command::boot::SetInProgress;
use ipmi_wire::command::sol::{
    GetSolConfiguration, PARAMETER_REVISION, SetSolConfiguration, SolConfiguration, SolParameter,
};
use ipmi_wire::{CompletionCode, PrivilegeLevel};

use crate::Context;
use crate::handlers::channel::lan;
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, Read, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/sol_tests.rs";
/// Where those of the session layer's commands stand.
const SESSION_TESTS: &str = "ipmi-session/tests/it/sol.rs";

/// The commands of this room. SOL Activating (0Ch 20h) is sent by BMCs and not to them.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::session::<ActivatePayload>(USER, "24.1", (SESSION_TESTS, "payload_activation_")),
    Entry::session::<DeactivatePayload>(USER, "24.2", (SESSION_TESTS, "payload_of_another_session_")).once(),
    Entry::session::<GetPayloadActivationStatus>(USER, "24.4", (SESSION_TESTS, "payload_activation_")),
    Entry::session::<GetPayloadInstanceInfo>(USER, "24.5", (SESSION_TESTS, "payload_activation_")),
    Entry::act::<SetSolConfiguration>(ADMINISTRATOR, "26.2", (TESTS, "what_is_set_is_read_back")),
    Entry::read::<GetSolConfiguration>(USER, "26.3", (TESTS, "a_new_bmc_has_")),
];

/// The highest parameter that there is.
const PARAMETER_MAX: u8 = 8;

impl Read for GetSolConfiguration {
    fn answer(self, context: &Context) -> Answer<SolConfiguration> {
        lan(context, self.channel)?;
        if self.parameter > PARAMETER_MAX {
            return Err(CompletionCode::PARAMETER_UNSUPPORTED);
        }
        if (self.set_selector, self.block_selector) != (0, 0) {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
        }
        let value = if self.revision_only { Vec::new() } else { value(context, self.parameter).encode() };
        Ok(SolConfiguration { revision: PARAMETER_REVISION, value })
    }
}

/// The present value of a parameter up to [`PARAMETER_MAX`].
fn value(context: &Context, parameter: u8) -> SolParameter {
    let snapshot = context.bmc.snapshot();
    let sol = &snapshot.settings.sol;
    match parameter {
        0 if context.bmc.with_volatile(|volatile| volatile.sol_guard.in_progress()) => {
            SolParameter::SetInProgress(SetInProgress::InProgress)
        }
        0 => SolParameter::SetInProgress(SetInProgress::Complete),
        1 => SolParameter::Enable(sol.enabled),
        2 => SolParameter::Authentication {
            force_encryption: sol.force_encryption,
            force_authentication: sol.force_authentication,
            privilege: level_of(sol.privilege),
        },
        3 => SolParameter::Accumulate { interval: sol.accumulate_interval, threshold: sol.send_threshold },
        4 => SolParameter::Retry { count: sol.retry_count, interval: sol.retry_interval },
        5 => SolParameter::NonVolatileBitRate(sol.bit_rate),
        6 => {
            let present = context.bmc.with_volatile(|volatile| volatile.sol_bit_rate);
            SolParameter::VolatileBitRate(present.unwrap_or(sol.bit_rate))
        }
        7 => SolParameter::Channel(context.lan.number),
        _ => SolParameter::Port(context.lan.port),
    }
}

impl Act for SetSolConfiguration {
    async fn act(self, context: &Context) -> Answer<()> {
        lan(context, self.channel)?;
        let change: Box<dyn Fn(&mut SolSettings) + Send + Sync> = match self.value {
            SolParameter::SetInProgress(state) => {
                let who = context.caller.session();
                return context.bmc.with_volatile(|volatile| volatile.sol_guard.write(state, who));
            }
            SolParameter::Enable(on) => Box::new(move |sol| sol.enabled = on),
            SolParameter::Authentication { force_encryption, force_authentication, privilege } => {
                let privilege = role_of(privilege)?;
                Box::new(move |sol| {
                    sol.force_encryption = force_encryption;
                    sol.force_authentication = force_authentication;
                    sol.privilege = privilege;
                })
            }
            SolParameter::Accumulate { interval, threshold } => Box::new(move |sol| {
                sol.accumulate_interval = interval;
                sol.send_threshold = threshold;
            }),
            SolParameter::Retry { count, interval } => Box::new(move |sol| {
                sol.retry_count = count;
                sol.retry_interval = interval;
            }),
            SolParameter::NonVolatileBitRate(rate) => Box::new(move |sol| sol.bit_rate = rate),
            SolParameter::VolatileBitRate(rate) => {
                context.bmc.with_volatile(|volatile| volatile.sol_bit_rate = Some(rate));
                return Ok(());
            }
            SolParameter::Channel(_) | SolParameter::Port(_) => {
                return Err(CompletionCode::PARAMETER_READ_ONLY);
            }
            SolParameter::Other { .. } => return Err(CompletionCode::PARAMETER_UNSUPPORTED),
        };
        context
            .edit(move |editable| {
                change(&mut editable.settings.sol);
                Ok(())
            })
            .await
    }
}

/// The level of a role as parameter 2 tells of it; a role that no session has tells of the lowest that there is.
pub(crate) fn level_of(role: Role) -> PrivilegeLevel {
    match role {
        Role::NoAccess | Role::Callback | Role::User => PrivilegeLevel::User,
        Role::Operator => PrivilegeLevel::Operator,
        Role::Administrator => PrivilegeLevel::Administrator,
    }
}

/// The role of a level; nobody has the maker's own.
fn role_of(level: PrivilegeLevel) -> Answer<Role> {
    match level {
        PrivilegeLevel::User => Ok(Role::User),
        PrivilegeLevel::Operator => Ok(Role::Operator),
        PrivilegeLevel::Administrator => Ok(Role::Administrator),
        PrivilegeLevel::Callback | PrivilegeLevel::Oem => Err(CompletionCode::INVALID_DATA_FIELD),
    }
}

#[cfg(test)]
#[path = "sol_tests.rs"]
mod tests;
