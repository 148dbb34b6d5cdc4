//! Power requests, the calls they become, and how those end.

use crate::backend::ObservedPower;
use crate::control::{
    BUSY_RETRY_AFTER, CallId, Control, Effect, Interval, NMI_CALLS_MAX, Now, Op, RESTART_SETTLES, RequestId,
    SHUTDOWN_TIMEOUT, Timer, Waiters,
};
use crate::error::{BackendError, BackendErrorKind, RequestError};
use crate::event::EventKind;
use crate::power::{Origin, PowerAction, PowerState};
use crate::power_table::{Decision, decide};
use crate::request::{ACKNOWLEDGE_AFTER, Outcome};
use crate::settings::bios::BiosPending;
use crate::snapshot::{Health, IdentifyState};
use crate::watchdog::TimeoutAction;

impl Control {
    pub(super) fn request_power(
        &mut self,
        now: Now,
        id: RequestId,
        (action, origin): (PowerAction, Origin),
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.reachable() {
            effects.push(Effect::Reply(id, Err(error.into())));
            return;
        }
        let state = self.power();
        let mut decision = decide(state, self.restart_under_way(now), action);
        let needs_idle_backend = !matches!(
            decision,
            Decision::Stop
                | Decision::Nmi
                | Decision::Join
                | Decision::Nothing
                | Decision::KeepShutdown
                | Decision::WrongState
        );
        if needs_idle_backend && let Some(call) = &self.call {
            // A resume does not show in the state, so the table cannot tell that one is under way.
            let same = decision == Decision::Resume && call.op == Op::Resume;
            decision = if same { Decision::Join } else { Decision::Busy };
        }
        // Both may define the machine anew.
        if decision == Decision::Reset && self.drives.calling() {
            decision = Decision::Busy;
        }
        if matches!(decision, Decision::Start | Decision::GracefulRestart | Decision::Reset | Decision::Cycle)
        {
            let restart = origin.restart(action);
            self.clear_valid_bit(restart.cause, effects);
            self.wanted_by = Some(restart);
        }
        self.filters.overtaken_by(decision);
        if action == PowerAction::On {
            // The last word counts: a shutdown that was kept for later is taken back.
            self.shutdown_next = false;
        }
        match decision {
            Decision::Start => {
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                self.want_start(Waiters::one(id), effects);
            }
            Decision::Stop => {
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                self.want_stop(Waiters::one(id), effects);
            }
            Decision::Shutdown | Decision::GracefulRestart => {
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                if decision == Decision::GracefulRestart {
                    self.restart = Some((action, None));
                    self.start_next = Some(Waiters::nobody());
                    self.interval = Interval::None;
                }
                self.begin_shutdown(Waiters::one(id), effects);
            }
            Decision::KeepShutdown => {
                self.shutdown_next = true;
                effects.push(Effect::Reply(id, Ok(Outcome::Accepted)));
            }
            Decision::Reset => {
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                self.restart = Some((action, None));
                self.call(Op::Reset(self.plan()), Waiters::one(id), effects);
            }
            Decision::Cycle => {
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                self.begin_cycle(Waiters::one(id), effects);
            }
            Decision::Nmi if self.nmi_calls.len() >= NMI_CALLS_MAX => {
                effects.push(Effect::Reply(id, Err(busy())));
            }
            Decision::Nmi => {
                let call = self.next_serial();
                self.nmi_calls.push((call, Some(id)));
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                effects.push(Effect::Call(call, Op::Nmi));
            }
            Decision::Resume => {
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
                self.call(Op::Resume, Waiters::one(id), effects);
            }
            Decision::Join => self.join(id, effects),
            Decision::Nothing => effects.push(Effect::Reply(id, Ok(Outcome::NothingToDo))),
            Decision::WrongState => {
                effects.push(Effect::Reply(id, Err(RequestError::WrongState { action, state })));
            }
            Decision::Busy => effects.push(Effect::Reply(id, Err(busy()))),
        }
    }

    /// Whether the machine can be controlled.
    pub(super) fn reachable(&self) -> Result<(), BackendError> {
        match &self.health {
            Some(Health::Available) => Ok(()),
            Some(Health::Unavailable(error)) => Err(error.clone()),
            None => Err(BackendError::unavailable("the backend has not answered yet; try again in a moment")),
        }
    }

    /// Whether there is anything on the screen.
    pub(crate) fn has_picture(&self) -> Result<(), BackendError> {
        self.reachable()?;
        if self.power() == PowerState::Off {
            let message = "the machine is off, and so is its screen; switch it on first";
            return Err(BackendError::new(BackendErrorKind::InvalidState, message));
        }
        Ok(())
    }

    pub(super) fn restart_under_way(&self, now: Now) -> Option<PowerAction> {
        let (action, settles) = self.restart?;
        settles.is_none_or(|until| now.instant < until).then_some(action)
    }

    /// A request that joins shares the fate of what is under way.
    fn join(&mut self, id: RequestId, effects: &mut Vec<Effect>) {
        // A firmware switch, or work on a volume, is nobody's power request: it may be under way beside a start or shutdown whose call has ended.
        let call = self.call.as_mut().filter(|call| call.op.is_power());
        let under_way = self.start_next.as_mut().or_else(|| call.map(|call| &mut call.waiters));
        match under_way {
            Some(waiters) if !waiters.acknowledged => {
                waiters.requests.push(id);
                effects.push(Effect::After(ACKNOWLEDGE_AFTER, Timer::Acknowledge(id)));
            }
            _ => effects.push(Effect::Reply(id, Ok(Outcome::Joined))),
        }
    }

    /// Starts a machine that is off, once its drives are done with what they are at.
    pub(super) fn want_start(&mut self, waiters: Waiters, effects: &mut Vec<Effect>) {
        if self.drives.at_work() {
            self.interval = Interval::None;
            self.start_next = Some(waiters);
        } else {
            self.call(Op::Start(self.plan()), waiters, effects);
        }
    }

    /// Removes power; the start waits until the machine is off, and then as long as the settings want.
    pub(super) fn begin_cycle(&mut self, waiters: Waiters, effects: &mut Vec<Effect>) {
        let time = self.record.settings.chassis.cycle_interval();
        self.interval = if time.is_zero() { Interval::None } else { Interval::Due(time) };
        self.restart = Some((PowerAction::Cycle, None));
        self.start_next = Some(waiters);
        self.call(Op::Stop, Waiters { requests: Vec::new(), acknowledged: false }, effects);
    }

    /// Hard off wins over everything: what was to follow is dropped, and those who waited for it are told.
    pub(super) fn want_stop(&mut self, waiters: Waiters, effects: &mut Vec<Effect>) {
        self.shutdown = None;
        self.shutdown_next = false;
        self.restart = None;
        self.watchdog_next = None;
        self.filters.forget();
        self.interval = Interval::None;
        if let Some(start) = self.start_next.take() {
            self.wanted_by = None;
            for request in start.requests {
                effects.push(Effect::Reply(request, Err(busy())));
            }
        }
        match (&mut self.call, &mut self.stop_next) {
            // A power cycle that waited is all that was under way.
            (None, None) if self.observed == ObservedPower::Off => {
                for id in waiters.requests {
                    effects.push(Effect::Reply(id, Ok(Outcome::Done)));
                }
            }
            (Some(call), None) if call.op == Op::Stop => call.waiters.join(waiters),
            (_, Some(others)) => others.join(waiters),
            (Some(_), None) => self.stop_next = Some(waiters),
            (None, None) => self.call(Op::Stop, waiters, effects),
        }
    }

    pub(super) fn begin_shutdown(&mut self, waiters: Waiters, effects: &mut Vec<Effect>) {
        let number = self.next_serial();
        self.shutdown = Some(number);
        effects.push(Effect::After(SHUTDOWN_TIMEOUT, Timer::Shutdown(number)));
        self.call(Op::Shutdown, waiters, effects);
    }

    pub(super) fn call(&mut self, op: Op, waiters: Waiters, effects: &mut Vec<Effect>) {
        let id = self.next_serial();
        let issued = self.with_setup(op.clone());
        effects.push(Effect::Call(id, issued));
        let boots = matches!(op, Op::Start(_) | Op::Reset(_));
        let bios = if boots { self.bios_pending() } else { BiosPending::default() };
        self.call = Some(super::Call { id, op, waiters, bios });
    }

    pub(super) fn call_done(
        &mut self,
        now: Now,
        id: CallId,
        result: Result<(), BackendError>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(at) = self.nmi_calls.iter().position(|(call, _)| *call == id) {
            let (_, request) = self.nmi_calls.swap_remove(at);
            match (&result, request) {
                (Ok(()), _) => effects.push(Effect::Emit(EventKind::Nmi)),
                (Err(error), None) => self.fault(error, effects),
                (Err(_), Some(_)) => {}
            }
            self.filters.interrupts.retain(|call| *call != id);
            if let Some(request) = request {
                effects.push(Effect::Reply(request, done(result)));
            }
            return;
        }
        if self.media_call_done(id, &result, effects) {
            return;
        }
        let Some(call) = self.call.take_if(|call| call.id == id) else { return };
        if result.is_err() {
            self.filters.forget_begun();
        }
        match &result {
            Ok(()) => self.call_succeeded(now, &call.op, call.bios, effects),
            Err(error) => self.call_failed(&call.op, error, effects),
        }
        match (&call.op, &result) {
            (Op::CreateVolume(_) | Op::DeleteVolume(_) | Op::InitializeVolume(_), _) => {
                self.volume_done(&call.op, call.waiters, &result, effects);
                return;
            }
            (op, _) if op.is_change() => {
                self.machine_changed(op, result, effects);
                return;
            }
            (Op::SetSystemInterface(_), _) => {}
            (_, Ok(())) => self.power_fault = false,
            (_, Err(error)) if call.waiters.acknowledged => self.fault(error, effects),
            (_, Err(_)) => {}
        }
        for request in call.waiters.requests {
            effects.push(Effect::Reply(request, done(result.clone())));
        }
    }

    fn call_succeeded(&mut self, now: Now, op: &Op, bios: BiosPending, effects: &mut Vec<Effect>) {
        match op {
            Op::Start(plan) => {
                self.wanted_restart_began(now);
                self.booted_afresh(now, bios);
                self.boot_began(plan.generation(), effects);
            }
            Op::Reset(plan) => {
                // One that only makes the machine boot as it should have booted has no cause of its own.
                self.wanted_restart_began(now);
                self.watchdog_stop(now);
                if let Some((PowerAction::Reset, settles)) = &mut self.restart {
                    *settles = Some(now.instant + RESTART_SETTLES);
                    effects.push(Effect::Emit(EventKind::Reset));
                }
                self.booted_afresh(now, bios);
                self.boot_began(plan.generation(), effects);
            }
            // Where it is off already, this was told before that.
            Op::Shutdown if self.lit => effects.push(Effect::Emit(EventKind::ShutdownRequested)),
            Op::SetFirmware(_) | Op::SetBootOrder(_) | Op::SetSystemInterface(_) => {
                self.definition_changed(op);
            }
            Op::Shutdown
            | Op::Stop
            | Op::Resume
            | Op::Nmi
            | Op::SetUp(..)
            | Op::CreateVolume(_)
            | Op::DeleteVolume(_)
            | Op::InitializeVolume(_)
            | Op::InsertMedia(_)
            | Op::EjectMedia(_) => {}
        }
    }

    /// Takes back what a failed call was to bring about.
    fn call_failed(&mut self, op: &Op, error: &BackendError, effects: &mut Vec<Effect>) {
        match op {
            Op::Start(_) => {
                self.restart = None;
                self.wanted_by = None;
                self.shutdown_next = false;
            }
            Op::Reset(_) => {
                self.restart = None;
                self.wanted_by = None;
            }
            Op::Stop | Op::Shutdown => {
                self.shutdown = None;
                self.restart = None;
                self.wanted_by = None;
                self.interval = Interval::None;
                self.watchdog_stops = false;
                if let Some(start) = self.start_next.take() {
                    for request in start.requests {
                        effects.push(Effect::Reply(request, Err(error.clone().into())));
                    }
                    if start.acknowledged && matches!(op, Op::Stop) {
                        self.fault(error, effects);
                    }
                }
            }
            Op::Resume
            | Op::Nmi
            | Op::SetFirmware(_)
            | Op::SetBootOrder(_)
            | Op::SetSystemInterface(_)
            | Op::SetUp(..)
            | Op::CreateVolume(_)
            | Op::DeleteVolume(_)
            | Op::InitializeVolume(_)
            | Op::InsertMedia(_)
            | Op::EjectMedia(_) => {}
        }
        self.setup_refused = None;
    }

    pub(super) fn fault(&mut self, error: &BackendError, effects: &mut Vec<Effect>) {
        self.power_fault = true;
        effects.push(Effect::Emit(EventKind::PowerFault { reason: error.message.clone() }));
    }

    pub(super) fn timer(&mut self, now: Now, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Watchdog(number) => self.watchdog_due(now, number, effects),
            Timer::Limit(limited, number) => self.limit_due(limited, number, effects),
            Timer::Interval(number) => {
                if self.interval == Interval::Waiting(number) {
                    self.interval = Interval::None;
                }
            }
            Timer::Acknowledge(id) => self.acknowledge(id, effects),
            Timer::Shutdown(number) => {
                if self.shutdown.take_if(|under_way| *under_way == number).is_some() {
                    self.start_next = None;
                    self.restart = None;
                    self.wanted_by = None;
                    effects.push(Effect::Emit(EventKind::ShutdownIgnored));
                }
            }
            Timer::Identify(number) => {
                if self.identify_number == number && self.identify == IdentifyState::Timed {
                    self.identify = IdentifyState::Off;
                }
            }
        }
    }

    /// The backend is slow: tells the client that its request was accepted, and remembers that a failure has to be shown.
    fn acknowledge(&mut self, id: RequestId, effects: &mut Vec<Effect>) {
        let interrupt = self.nmi_calls.iter_mut().find(|(_, request)| *request == Some(id));
        if let Some((_, request)) = interrupt {
            *request = None;
            effects.push(Effect::Reply(id, Ok(Outcome::Accepted)));
            return;
        }
        let call = self.call.as_mut().map(|call| &mut call.waiters);
        for waiters in [call, self.stop_next.as_mut(), self.start_next.as_mut()].into_iter().flatten() {
            if let Some(at) = waiters.requests.iter().position(|request| *request == id) {
                waiters.requests.swap_remove(at);
                waiters.acknowledged = true;
                effects.push(Effect::Reply(id, Ok(Outcome::Accepted)));
            }
        }
    }

    /// Starts what was waiting, once nothing else is under way. The order is the order of precedence.
    pub(super) fn advance(&mut self, effects: &mut Vec<Effect>) {
        if self.call.is_some() || self.reachable().is_err() {
            return;
        }
        let off = self.observed == ObservedPower::Off;
        // Resets wait for it: both may define the machine anew.
        let drives_calling = self.drives.calling();
        if let Some(waiters) = self.stop_next.take() {
            if off {
                for request in waiters.requests {
                    effects.push(Effect::Reply(request, Ok(Outcome::Done)));
                }
            } else {
                self.call(Op::Stop, waiters, effects);
            }
        } else if off {
            if self.start_next.is_some()
                && self.interval_is_over(effects)
                && !self.drives.at_work()
                && let Some(waiters) = self.start_next.take()
            {
                self.call(Op::Start(self.plan()), waiters, effects);
            }
        } else if let Some(action) =
            self.watchdog_next.take_if(|action| *action != TimeoutAction::HardReset || !drives_calling)
        {
            self.watchdog_acts(action, effects);
        } else if let Some(action) = self.filter_due() {
            self.filter_begins(action, effects);
        } else if self.shutdown_next && self.observed == ObservedPower::Running {
            self.shutdown_next = false;
            self.begin_shutdown(Waiters::nobody(), effects);
        } else if self.check_boot && !drives_calling {
            self.check_boot = false;
            let plan = self.plan();
            if plan.generation() != self.running_boot || self.needs_fresh_boot() {
                self.call(Op::Reset(plan), Waiters::nobody(), effects);
            }
        }
        self.do_chore(effects);
    }
}

impl Control {
    /// Whether a machine that is off may be started; the first question starts the time that has to pass.
    fn interval_is_over(&mut self, effects: &mut Vec<Effect>) -> bool {
        match self.interval {
            Interval::None => true,
            Interval::Waiting(_) => false,
            Interval::Due(time) => {
                let number = self.next_serial();
                self.interval = Interval::Waiting(number);
                effects.push(Effect::After(time, Timer::Interval(number)));
                false
            }
        }
    }
}

fn done(result: Result<(), BackendError>) -> Result<Outcome, RequestError> {
    result.map(|()| Outcome::Done).map_err(RequestError::Backend)
}

pub(super) fn busy() -> RequestError {
    RequestError::Busy { retry_after: BUSY_RETRY_AFTER }
}
