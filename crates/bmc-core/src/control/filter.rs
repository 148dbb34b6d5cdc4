//! Event filters at work on the machine (IPMI 2.0 §17): from the action that an event calls for to its end.
//!
//! ```text
//!           an event calls for it      accepted: "PEF action" is logged      nothing else is under way
//!   (none) ──────────────────► wanted ─────────────────────────────► next ───────────────────────────► begun
//!                                │ power off and interrupts do not wait                                  ▲
//!                                └───────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Until what was begun is done, what the backend tells is logged and alerted of, and calls for nothing more: an action must not cause itself.

use crate::backend::ObservedPower;
use crate::control::log::Evaluation;
use crate::control::{CallId, Control, Effect, Input, NMI_CALLS_MAX, Now, Op, Waiters};
use crate::error::BackendError;
use crate::power::{Origin, PowerAction};
use crate::power_table::{Decision, decide};
use crate::sel::{BMC_GENERATOR, filter_action};
use crate::settings::pef::CONTROL_EVENTS;

/// Where the actions of event filters stand.
#[derive(Clone, Debug, Default)]
pub(super) struct FilterActions {
    /// What the events of this input call for.
    wanted: Option<PowerAction>,
    /// A reset or power cycle that waits until nothing else is under way.
    pub(super) next: Option<PowerAction>,
    /// What is under way, except interrupts.
    begun: Option<PowerAction>,
    /// Interrupts under way; at most [`NMI_CALLS_MAX`].
    pub(super) interrupts: Vec<CallId>,
}

impl FilterActions {
    /// Something graver makes what waits or is under way void.
    pub(super) fn forget(&mut self) {
        (self.next, self.begun) = (None, None);
    }

    /// What was begun has failed.
    pub(super) fn forget_begun(&mut self) {
        self.begun = None;
    }

    /// What somebody else asks for is begun: what follows from it is not the filters' any more.
    pub(super) fn overtaken_by(&mut self, decision: Decision) {
        if matches!(
            decision,
            Decision::Start
                | Decision::Stop
                | Decision::Shutdown
                | Decision::GracefulRestart
                | Decision::Reset
                | Decision::Cycle
        ) {
            self.begun = None;
        }
    }
}

/// How grave an action is, in the order of table 17-1.
fn gravity(action: PowerAction) -> u8 {
    match action {
        PowerAction::Off => 3,
        PowerAction::Cycle => 2,
        PowerAction::Reset => 1,
        _ => 0,
    }
}

fn graver(one: Option<PowerAction>, other: PowerAction) -> PowerAction {
    one.filter(|one| gravity(*one) >= gravity(other)).unwrap_or(other)
}

impl Control {
    /// Whether what an input tells of goes through the filters.
    pub(super) fn evaluation(&self, input: &Input) -> Evaluation {
        let is_caused = match input {
            Input::Request(..) | Input::Note(_) | Input::Fetched(..) => false,
            Input::CallDone(call, _) if self.filters.interrupts.contains(call) => true,
            Input::CallDone(..) | Input::NotSetUp(..) | Input::Report(_) | Input::Timer(_) => {
                self.filters.begun.is_some()
            }
        };
        if is_caused { Evaluation::OnlyLogged } else { Evaluation::Filtered }
    }

    /// An event calls for an action; of those that one input calls for the gravest is taken.
    pub(super) fn filter_wants(&mut self, action: PowerAction) {
        self.filters.wanted = Some(graver(self.filters.wanted, action));
    }

    /// Does what events have called for, or tells why not; `false` when there is nothing to do.
    pub(super) fn filters_act(&mut self, now: Now, effects: &mut Vec<Effect>) -> bool {
        let Some(action) = self.filters.wanted.take() else { return false };
        let decision = decide(self.power(), self.restart_under_way(now), action);
        let is_done = matches!(decision, Decision::Join | Decision::Nothing | Decision::WrongState);
        let waits_already = self.filters.next.is_some_and(|next| gravity(next) >= gravity(action));
        if is_done || waits_already && action != PowerAction::Nmi {
            return false;
        }
        if let Err(error) = self.reachable() {
            self.filter_failed(action, &error, effects);
            return true;
        }
        match action {
            PowerAction::Nmi if self.nmi_calls.len() >= NMI_CALLS_MAX => {
                let error = BackendError::unavailable("too many diagnostic interrupts are under way");
                self.filter_failed(action, &error, effects);
                return true;
            }
            PowerAction::Nmi => {
                let call = self.next_serial();
                self.nmi_calls.push((call, None));
                self.filters.interrupts.push(call);
                effects.push(Effect::Call(call, Op::Nmi));
            }
            PowerAction::Off => {
                self.want_stop(Waiters::nobody(), effects);
                self.filters.begun = Some(PowerAction::Off);
            }
            _ => self.filters.next = Some(action),
        }
        if self.record.settings.pef.control & CONTROL_EVENTS != 0 {
            // Only what is logged: an action is not filtered again. A full log has said so itself.
            let _ = self.log_event(now, BMC_GENERATOR, filter_action(action));
        }
        true
    }

    /// What waited, once its time has come. A shutdown or a restart that is under way is let come to its end: then the machine is off or
    /// begins anew, and nothing is left to do, or it goes on and is restarted. A reset waits for the backend's work for a drive, too.
    pub(super) fn filter_due(&mut self) -> Option<PowerAction> {
        let waits = self.shutdown.is_some() || self.start_next.is_some();
        let drives_calling = self.drives.calling();
        self.filters.next.take_if(|action| !waits && (*action == PowerAction::Cycle || !drives_calling))
    }

    /// Begins what waited; nothing else is under way, and the machine is not off.
    pub(super) fn filter_begins(&mut self, action: PowerAction, effects: &mut Vec<Effect>) {
        self.shutdown_next = false;
        self.check_boot = false;
        let restart = Origin::EventFilter.restart(action);
        self.clear_valid_bit(restart.cause, effects);
        self.wanted_by = Some(restart);
        self.filters.begun = Some(action);
        if action == PowerAction::Cycle {
            self.begin_cycle(Waiters::nobody(), effects);
        } else {
            self.restart = Some((PowerAction::Reset, None));
            self.call(Op::Reset(self.plan()), Waiters::nobody(), effects);
        }
    }

    /// Notes what has come to its end.
    pub(super) fn filters_settle(&mut self) {
        let idle = self.call.is_none() && self.stop_next.is_none();
        let is_over = match self.filters.begun {
            Some(PowerAction::Off) => idle && !self.lit && self.observed == ObservedPower::Off,
            Some(PowerAction::Cycle) => idle && !matches!(self.restart, Some((PowerAction::Cycle, None))),
            _ => idle,
        };
        if is_over {
            self.filters.begun = None;
        }
    }

    /// The machine cannot be reached any more. To act when it is back would hit one that may be well by then.
    pub(super) fn filters_lost(&mut self, error: &BackendError, effects: &mut Vec<Effect>) {
        if let Some(action) = self.filters.next.take() {
            self.filter_failed(action, error, effects);
        }
    }

    fn filter_failed(&mut self, action: PowerAction, error: &BackendError, effects: &mut Vec<Effect>) {
        let message = format!(
            "an event filter called for {}, which could not be carried out: {}",
            action.as_str(),
            error.message
        );
        self.fault(&BackendError { message, ..error.clone() }, effects);
    }
}
