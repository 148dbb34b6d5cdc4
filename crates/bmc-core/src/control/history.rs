//! What the power did, written into the record as it happens; and IPMI's rules for what ends its boot flags.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::ObservedPower;
use crate::boot::BootEnabled;
use crate::control::{Control, Effect, Now};
use crate::event::EventKind;
use crate::power::{ChangeCause, Restart, RestartCause};
use crate::power_history::{PowerHistory, PoweredTime};

impl Control {
    pub(super) fn history(&mut self) -> &mut PowerHistory {
        Arc::make_mut(&mut self.record.power)
    }

    /// Takes in what the machine was doing when the daemon came. `mains_return`: it is off because mains power was.
    pub(super) fn history_found(
        &mut self,
        now: Now,
        power: ObservedPower,
        mains_return: bool,
        effects: &mut Vec<Effect>,
    ) {
        let was_on = self.record.power.on_since.is_some();
        match (was_on, power) {
            (true, ObservedPower::Off) => {
                // Nobody saw the end: it counts until it was missed.
                self.run_ended(now, ChangeCause::Unknown);
                self.history().mains_lost = mains_return;
                if mains_return {
                    effects.push(Effect::Emit(EventKind::MainsLost));
                }
            }
            (true, _) => {
                let run = self.record.power.run_by_time_of_day(now.timestamp);
                self.run_from = Some((now.instant, run));
            }
            (false, ObservedPower::Off) => {}
            (false, _) => {
                self.run_began(now);
                self.restarted(now, RestartCause::Unknown.into());
            }
        }
    }

    pub(super) fn run_began(&mut self, now: Now) {
        self.history().on_since = Some(now.timestamp);
        self.run_from = Some((now.instant, Duration::ZERO));
    }

    pub(super) fn run_ended(&mut self, now: Now, cause: ChangeCause) {
        let run = match self.run_from.take() {
            Some((at, before)) => before + now.instant.saturating_duration_since(at),
            None => self.record.power.run_by_time_of_day(now.timestamp),
        };
        let history = self.history();
        history.on_time += run;
        history.on_since = None;
        history.last_off = Some(cause);
        history.mains_lost = false;
    }

    /// The machine starts or restarts.
    pub(super) fn restarted(&mut self, now: Now, restart: Restart) {
        let history = self.history();
        history.restart = restart;
        history.restarted_at = Some(now.timestamp);
    }

    /// What we asked for has begun: notes why, once.
    pub(super) fn wanted_restart_began(&mut self, now: Now) {
        if let Some(restart) = self.wanted_by.take() {
            self.restarted(now, restart);
        }
    }

    pub(super) fn powered(&self) -> PoweredTime {
        let history = &self.record.power;
        match self.run_from {
            Some((at, before)) => PoweredTime { before: history.on_time + before, since: Some(at) },
            None => PoweredTime { before: history.on_time, since: None },
        }
    }

    /// Clears the valid bit of boot flags that IPMI set, where parameter 3 wants it cleared at a restart of this kind (IPMI 2.0 table
    /// 28-14). By default it never does.
    pub(super) fn clear_valid_bit(&mut self, cause: RestartCause, effects: &mut Vec<Effect>) {
        let keep: u8 = match cause {
            RestartCause::PowerButton => 0x01,
            RestartCause::SoftReset => 0x02,
            RestartCause::Watchdog => 0x04,
            RestartCause::FilterReset | RestartCause::FilterCycle => 0x10,
            RestartCause::Unknown
            | RestartCause::ChassisControl
            | RestartCause::PolicyAlwaysOn
            | RestartCause::PolicyPrevious => return,
        };
        let boot = &self.record.boot;
        let kept = self.record.boot_options.valid_bit_clearing & keep != 0;
        if kept || !boot.has_valid_bit || boot.enabled == BootEnabled::Disabled {
            return;
        }
        let boot = Arc::make_mut(&mut self.record.boot);
        boot.enabled = BootEnabled::Disabled;
        effects.push(Effect::Emit(EventKind::BootOverrideSet { target: boot.target, enabled: boot.enabled }));
    }
}
