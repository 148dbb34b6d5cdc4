//! Serial over LAN at a station: the session that has it is one more viewer of the machine's console.
//!
//! Nothing here runs while nobody has Serial over LAN. Output waits in the console's ring for the session's link, so that a console which
//! listens slowly, or not at all, holds nothing up; if the ring is too short for it, it is told that characters were lost.

use std::future;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bmc_core::console::{Console, ConsoleInput, ConsoleState, InputError, Viewer};
use bmc_core::snapshot::Snapshot;
use ipmi_session::{Endpoint, Pace, SolPolicy};

use crate::handlers::sol::level_of;

/// What a session is shown of earlier output, from the beginning of a line on: about two screens, so that somebody who comes late sees where
/// the machine is, and does not wait for old news over a slow network.
pub const SCROLLBACK_BYTES: usize = 4096;

/// The unit of the accumulate interval (IPMI 2.0 table 26-5, parameter 3).
const ACCUMULATE_UNIT: Duration = Duration::from_millis(5);
/// The unit of the retry interval (parameter 4).
const RETRY_UNIT: Duration = Duration::from_millis(10);

/// The session's place at the console.
#[derive(Debug, Default)]
pub(super) struct SolView {
    viewer: Option<Viewer>,
    /// The address of this host that the session talks to.
    pub(super) local: Option<IpAddr>,
    /// Whether the machine is gone, so that nothing new will come.
    ended: bool,
}

impl SolView {
    /// A session has Serial over LAN from now on.
    pub(super) fn open(&mut self, console: Option<&Console>, local: Option<IpAddr>) {
        *self =
            Self { viewer: console.map(|console| console.view_last(SCROLLBACK_BYTES)), local, ended: false };
    }

    /// Nobody has it any more.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// What waits to be printed is not wanted.
    pub(super) fn flush(&mut self, console: Option<&Console>) {
        if self.viewer.is_some() {
            self.viewer = console.map(Console::view_from_now);
        }
    }

    /// Waits until the machine has printed something; for ever while nobody wants to know.
    pub(super) async fn changed(&mut self) {
        match &mut self.viewer {
            Some(viewer) if !self.ended => self.ended = !viewer.changed().await,
            _ => future::pending().await,
        }
    }

    /// Hands over what has been printed, as much as the link takes.
    pub(super) fn fill(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let Some(viewer) = &mut self.viewer else { return };
        loop {
            let seen = match endpoint.sol_room() {
                0 => return,
                room => viewer.take(room),
            };
            if seen.bytes.is_empty() {
                return;
            }
            endpoint.sol_output(now, &seen.bytes, seen.skipped > 0);
        }
    }
}

/// Types into the machine's console; returns how many characters were taken, and whether a machine listens.
pub(super) fn type_in(console: Option<&Console>, characters: Vec<u8>, send_break: bool) -> (usize, bool) {
    let all = characters.len();
    let Some(console) = console.filter(|console| console.state() == ConsoleState::Open) else {
        return (all, false);
    };
    if all > 0 {
        match console.send(ConsoleInput::Bytes(characters)) {
            Ok(()) => {}
            Err(InputError::Full) => return (0, true),
            Err(InputError::Closed) => return (all, false),
        }
    }
    if send_break && let Err(error) = console.send(ConsoleInput::Break) {
        tracing::debug!(%error, "a break was not sent");
    }
    (all, true)
}

/// The session layer's rules, from the machine as it is configured now.
pub(super) fn policy(snapshot: &Snapshot, has_console: bool, port: u16) -> SolPolicy {
    let sol = &snapshot.settings.sol;
    let without = snapshot.accounts.iter().filter(|user| !user.sol_payload);
    SolPolicy {
        enabled: sol.enabled && has_console,
        force_encryption: sol.force_encryption,
        force_authentication: sol.force_authentication,
        privilege: level_of(sol.privilege),
        users_without: without.fold(0, |mask, user| mask | 1_u64.checked_shl(user.id.into()).unwrap_or(0)),
        pace: Pace {
            accumulate: ACCUMULATE_UNIT * u32::from(sol.accumulate_interval),
            threshold: sol.send_threshold.into(),
            retries: sol.retry_count,
            // No time at all would be a flood.
            retry_after: RETRY_UNIT * u32::from(sol.retry_interval.max(1)),
        },
        port,
    }
}
