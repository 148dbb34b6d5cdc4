//! The watchdog timer at work on the machine.

use crate::backend::ObservedPower;
use crate::control::{Control, Effect, Interval, NMI_CALLS_MAX, Now, Op, RequestId, Timer, Waiters};
use crate::error::BackendError;
use crate::event::EventKind;
use crate::power::{PowerAction, RestartCause};
use crate::request::Outcome;
use crate::watchdog::{
    PreTimeoutInterrupt, TimeoutAction, Watchdog, WatchdogEvent, WatchdogRefusal, WatchdogRequest,
};

impl Control {
    pub(super) fn request_watchdog(
        &mut self,
        now: Now,
        id: RequestId,
        request: WatchdogRequest,
        effects: &mut Vec<Effect>,
    ) {
        let result = self.watchdog_asked(now, request, effects);
        effects.push(Effect::Reply(id, result.map(|()| Outcome::Done).map_err(Into::into)));
    }

    /// Does what is asked of the timer, or nothing.
    pub(super) fn watchdog_asked(
        &mut self,
        now: Now,
        request: WatchdogRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<(), WatchdogRefusal> {
        match request {
            WatchdogRequest::Set { settings, keep_counting, clear } => {
                self.watchdog.set(now.instant, settings, keep_counting, clear);
            }
            WatchdogRequest::Reset => self.watchdog.reset(now.instant)?,
            WatchdogRequest::ClearFlag => {
                self.watchdog.clear_flag();
                return Ok(());
            }
            WatchdogRequest::Forget => self.watchdog = Watchdog::default(),
        }
        // What an earlier timeout has not done yet is overtaken.
        self.watchdog_next = None;
        self.arm_watchdog(now, effects);
        Ok(())
    }

    /// Asks to be called when the timer has something to do next; earlier calls no longer count.
    fn arm_watchdog(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.watchdog_number += 1;
        if let Some(at) = self.watchdog.next() {
            let wait = at.saturating_duration_since(now.instant);
            effects.push(Effect::After(wait, Timer::Watchdog(self.watchdog_number)));
        }
    }

    pub(super) fn watchdog_due(&mut self, now: Now, number: u64, effects: &mut Vec<Effect>) {
        if number != self.watchdog_number {
            return;
        }
        while let Some(event) = self.watchdog.expire(now.instant) {
            match event {
                WatchdogEvent::PreTimeout => self.watchdog_warns(effects),
                WatchdogEvent::Timeout { log } => self.watchdog_expired(log, effects),
            }
        }
        self.arm_watchdog(now, effects);
    }

    fn watchdog_warns(&mut self, effects: &mut Vec<Effect>) {
        let settings = self.watchdog.settings();
        let (timer_use, interrupt) = (settings.timer_use, settings.interrupt);
        effects.push(Effect::Emit(EventKind::WatchdogPreTimeout { timer_use, interrupt }));
        if interrupt != PreTimeoutInterrupt::Nmi || self.observed == ObservedPower::Off {
            return;
        }
        if let Err(error) = self.reachable() {
            self.fault(&error, effects);
        } else if self.nmi_calls.len() < NMI_CALLS_MAX {
            let call = self.next_serial();
            self.nmi_calls.push((call, None));
            effects.push(Effect::Call(call, Op::Nmi));
        }
    }

    fn watchdog_expired(&mut self, log: bool, effects: &mut Vec<Effect>) {
        let settings = self.watchdog.settings();
        let (timer_use, interrupt, action) = (settings.timer_use, settings.interrupt, settings.action);
        effects.push(Effect::Emit(EventKind::WatchdogExpired { timer_use, interrupt, action, log }));
        // What goes off or is restarted the hard way already needs no watchdog.
        let ends_anyway = self.stop_next.is_some()
            || matches!(self.restart, Some((PowerAction::Reset | PowerAction::Cycle, None)))
            || self.call.as_ref().is_some_and(|call| matches!(call.op, Op::Stop | Op::Reset(_)));
        if action == TimeoutAction::None || self.observed == ObservedPower::Off || ends_anyway {
            return;
        }
        match self.reachable() {
            Ok(()) => self.watchdog_next = Some(action),
            // To act when the hypervisor is back would hit a machine that may be well by then.
            Err(error) => self.fault(&BackendError { message: unreached(&error), ..error }, effects),
        }
    }

    /// Does what the timeout wants; nothing else is under way, and the machine is not off.
    pub(super) fn watchdog_acts(&mut self, action: TimeoutAction, effects: &mut Vec<Effect>) {
        // A shutdown that hangs is what a watchdog is for.
        (self.shutdown, self.shutdown_next, self.start_next) = (None, false, None);
        self.interval = Interval::None;
        self.restart = None;
        self.check_boot = false;
        self.filters.forget();
        match action {
            TimeoutAction::None => {}
            TimeoutAction::HardReset => {
                self.restart = Some((PowerAction::Reset, None));
                self.wanted_by = Some(RestartCause::Watchdog.into());
                self.clear_valid_bit(RestartCause::Watchdog, effects);
                self.call(Op::Reset(self.plan()), Waiters::nobody(), effects);
            }
            TimeoutAction::PowerDown => {
                self.wanted_by = None;
                self.watchdog_stops = true;
                self.call(Op::Stop, Waiters::nobody(), effects);
            }
            TimeoutAction::PowerCycle => {
                self.wanted_by = Some(RestartCause::Watchdog.into());
                self.watchdog_stops = true;
                self.clear_valid_bit(RestartCause::Watchdog, effects);
                self.begin_cycle(Waiters::nobody(), effects);
            }
        }
    }

    /// The machine that the timer watched is gone, or begins anew.
    pub(super) fn watchdog_stop(&mut self, now: Now) {
        self.watchdog.stop(now.instant);
        self.watchdog_next = None;
        self.watchdog_number += 1;
    }
}

fn unreached(error: &BackendError) -> String {
    format!("the watchdog timer expired, but its action could not be carried out: {}", error.message)
}
