//! The watchdog timer and what it does to the machine.

use super::*;
use crate::power::RestartCause;
use crate::watchdog::{
    PreTimeoutInterrupt, TimeoutAction, TimerUse, WatchdogRefusal, WatchdogRequest, WatchdogSettings,
};

pub(super) fn set(action: TimeoutAction, interrupt: PreTimeoutInterrupt) -> WatchdogRequest {
    let settings = WatchdogSettings {
        timer_use: TimerUse::SmsOs,
        action,
        interrupt,
        pre_timeout_seconds: 2,
        initial: 100,
        dont_log: false,
    };
    WatchdogRequest::Set { settings, keep_counting: false, clear: 0 }
}

impl Bench {
    pub(super) fn watchdog(&mut self, request: WatchdogRequest) -> Result<Outcome, RequestError> {
        let id = self.request(Request::Watchdog(request));
        self.replies[&id].clone()
    }

    fn start_watchdog(&mut self, action: TimeoutAction, interrupt: PreTimeoutInterrupt) {
        self.watchdog(set(action, interrupt)).unwrap();
        self.watchdog(WatchdogRequest::Reset).unwrap();
    }

    fn counts(&self) -> bool {
        self.control.snapshot().watchdog.is_counting()
    }
}

const NONE: PreTimeoutInterrupt = PreTimeoutInterrupt::None;
const TEN_SECONDS: Duration = Duration::from_secs(10);

#[test]
fn an_expired_timer_resets_the_machine_and_is_the_restart_cause() {
    let mut bench = Bench::new(ObservedPower::Running);
    assert_eq!(bench.watchdog(WatchdogRequest::Reset), Err(WatchdogRefusal::NotSet.into()));
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.pass(Duration::from_secs(9));
    bench.watchdog(WatchdogRequest::Reset).unwrap();
    bench.pass(Duration::from_secs(9));
    assert!(bench.calls.is_empty() && bench.counts(), "it was started over in time");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.finish(Ok(())), Op::Reset(BootPlan::OwnOrder));
    assert_eq!(bench.control.snapshot().restart_cause, RestartCause::Watchdog);
    assert_eq!(bench.control.snapshot().watchdog.expired(), TimerUse::SmsOs.flag());
    let expired = EventKind::WatchdogExpired {
        timer_use: TimerUse::SmsOs,
        interrupt: NONE,
        action: TimeoutAction::HardReset,
        log: true,
    };
    assert_eq!(bench.events, [expired, EventKind::Reset]);
    bench.pass(TEN_SECONDS * 10);
    assert!(bench.calls.is_empty(), "once");
}

#[test]
fn power_down_and_power_cycle_go_the_way_of_every_power_change() {
    for (action, comes_back) in [(TimeoutAction::PowerDown, false), (TimeoutAction::PowerCycle, true)] {
        let mut bench = Bench::new(ObservedPower::Running);
        bench.start_watchdog(action, NONE);
        bench.pass(TEN_SECONDS);
        bench.observe(ObservedPower::Off);
        assert_eq!(bench.finish(Ok(())), Op::Stop);
        let off = EventKind::PoweredOff { cause: ChangeCause::Watchdog };
        assert_eq!(bench.events.last(), Some(&off));
        assert_eq!(bench.calls.len(), usize::from(comes_back));
        if comes_back {
            bench.observe(ObservedPower::Running);
            assert_eq!(bench.finish(Ok(())), Op::Start(BootPlan::OwnOrder));
            let snapshot = bench.control.snapshot();
            assert_eq!(snapshot.restart_cause, RestartCause::Watchdog);
            assert!(!snapshot.last_power_on_by_command);
        }
    }
}

#[test]
fn the_warning_is_a_real_interrupt_and_ends_the_time_for_a_reset() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::None, PreTimeoutInterrupt::Nmi);
    bench.pass(Duration::from_secs(8));
    assert_eq!(bench.finish(Ok(())), Op::Nmi);
    assert_eq!(bench.watchdog(WatchdogRequest::Reset), Err(WatchdogRefusal::PreTimeoutReached.into()));
    bench.watchdog(set(TimeoutAction::None, PreTimeoutInterrupt::Smi)).unwrap();
    assert!(!bench.counts());
    bench.watchdog(WatchdogRequest::Reset).unwrap();
    bench.pass(TEN_SECONDS);
    assert!(bench.calls.is_empty(), "there is no way to deliver an SMI");
    let warning = |interrupt| EventKind::WatchdogPreTimeout { timer_use: TimerUse::SmsOs, interrupt };
    assert!(bench.events.contains(&warning(PreTimeoutInterrupt::Nmi)));
    assert!(bench.events.contains(&warning(PreTimeoutInterrupt::Smi)));
}

#[test]
fn a_machine_that_goes_off_or_restarts_stops_the_timer() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.report(Report::Rebooted);
    assert!(!bench.counts());
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.power(PowerAction::Reset);
    bench.finish(Ok(()));
    assert!(!bench.counts());
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.pass(Duration::from_secs(4));
    bench.observe(ObservedPower::Off);
    assert!(!bench.counts());
    assert_eq!(bench.control.snapshot().watchdog.present(bench.now.instant), 60);
    bench.pass(TEN_SECONDS);
    assert!(bench.calls.is_empty());
    assert_eq!(bench.control.snapshot().watchdog.expired(), 0);
}

#[test]
fn a_hanging_shutdown_does_not_keep_the_watchdog_from_acting() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.power(PowerAction::GracefulRestart);
    bench.pass(TEN_SECONDS);
    assert_eq!(bench.ops(), [Op::Shutdown], "one call at a time");
    bench.finish(Ok(()));
    assert_eq!(bench.finish(Ok(())), Op::Reset(BootPlan::OwnOrder));
    assert_eq!(bench.state(), PowerState::On);
}

#[test]
fn a_timeout_finds_nothing_to_do_where_the_machine_goes_off_anyway() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::PowerCycle, NONE);
    bench.power(PowerAction::Off);
    bench.pass(TEN_SECONDS);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    assert_eq!((bench.state(), bench.ops()), (PowerState::Off, vec![]));
}

#[test]
fn an_action_that_cannot_be_carried_out_is_a_fault_and_not_made_up_for() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.report(Report::Unavailable(BackendError::unavailable("gone")));
    bench.pass(TEN_SECONDS);
    assert!(bench.control.snapshot().power_fault);
    assert!(matches!(bench.events.last(), Some(EventKind::PowerFault { .. })));
    let power = ObservedPower::Running;
    bench.report(Report::Available(Observed {
        info: info(),
        power,
        boot_generation: None,
        media: Vec::new(),
    }));
    assert!(bench.calls.is_empty());

    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::HardReset, NONE);
    bench.pass(TEN_SECONDS);
    bench.finish(Err(broken()));
    assert!(bench.control.snapshot().power_fault);
    assert_eq!(bench.control.snapshot().restart_cause, RestartCause::Unknown, "it did not happen");
}

#[test]
fn the_flags_stay_until_they_are_cleared() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.start_watchdog(TimeoutAction::None, NONE);
    bench.pass(TEN_SECONDS);
    bench.observe(ObservedPower::Off);
    let flag = TimerUse::SmsOs.flag();
    assert_eq!(bench.control.snapshot().watchdog.expired(), flag);
    let WatchdogRequest::Set { settings, .. } = set(TimeoutAction::None, NONE) else { unreachable!() };
    bench.watchdog(WatchdogRequest::Set { settings, keep_counting: false, clear: !flag }).unwrap();
    assert_eq!(bench.control.snapshot().watchdog.expired(), flag);
    bench.watchdog(WatchdogRequest::Set { settings, keep_counting: false, clear: flag }).unwrap();
    assert_eq!(bench.control.snapshot().watchdog.expired(), 0);
    bench.watchdog(WatchdogRequest::Forget).unwrap();
    assert!(!bench.control.snapshot().watchdog.is_set());
}
