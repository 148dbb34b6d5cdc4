//! Disabling a user after too many wrong passwords, where an administrator wants it so (IPMI 2.0 table 23-4, parameter 26).

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::RequestError;
use crate::fleet::MachineHandle;
use crate::lockout::{Lockouts, UserRule};
use crate::request::Request;
use crate::settings::Edit;

/// How long a user is locked who is to be disabled: longer than that takes.
const UNTIL_DISABLED: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The first pause between two tries.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The rule by which to count: a user who is to be disabled is locked until that is done.
pub fn held(rule: UserRule) -> UserRule {
    UserRule { lock_for: rule.lock_for.or(Some(UNTIL_DISABLED)), ..rule }
}

/// Disables a user until an administrator enables it again. While that cannot be done it is tried again, and the user is locked; who
/// changes the account meanwhile lifts the lock, and has decided.
pub async fn disable(
    machine: MachineHandle,
    lockouts: Arc<Lockouts>,
    clock: Arc<dyn Clock>,
    id: u8,
    user: Vec<u8>,
) {
    let mut pause = PAUSE_MIN;
    while lockouts.is_user_locked(clock.now(), machine.name(), &user) {
        let edit = Edit::new(move |editable| {
            let disabled = editable.accounts.edit(id, |user| user.enabled = false);
            disabled.map_err(|error| RequestError::Invalid { field: "user", reason: error.to_string() })
        });
        match machine.request(Request::Edit(edit)).await {
            // There is nobody to lock out any more.
            Ok(_) | Err(RequestError::Invalid { .. } | RequestError::Removed) => {
                lockouts.forgive_user(machine.name(), &user)
            }
            Err(error) => {
                tracing::error!(bmc = %machine.name(), user = id, %error, "a user with too many wrong passwords is locked and cannot be disabled yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}
