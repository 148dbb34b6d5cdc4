//! What the power did: hours, causes, the interval of a power cycle, and what ends IPMI's boot flags.

use super::*;
use crate::settings::Edit;
use crate::settings::chassis::ChassisSettings;

const HOUR: Duration = Duration::from_secs(3600);

impl Bench {
    fn on_time(&self) -> Duration {
        self.control.snapshot().powered.at(self.now.instant)
    }

    pub(super) fn set_cycle_interval(&mut self, seconds: u8) {
        let edit = Edit::new(move |editable| {
            let chassis = ChassisSettings { cycle_interval_seconds: seconds, ..Default::default() };
            editable.settings.chassis = chassis;
            Ok(())
        });
        self.request(Request::Edit(edit));
    }

    /// What another daemon makes of this one's record after `time`.
    fn restart_daemon(&self, time: Duration, power: ObservedPower, mains_return: bool) -> Self {
        let now = Now {
            instant: Instant::now(),
            timestamp: self.now.timestamp + jiff::SignedDuration::try_from(time).unwrap(),
        };
        let mut bench = Self {
            control: Control::new("m".into(), self.control.record().clone()),
            now,
            ..Self::new(power)
        };
        let info = MachineInfo { mains_return, ..info() };
        bench.report(Report::Available(Observed { info, power, boot_generation: None, media: Vec::new() }));
        bench
    }

    fn cause(&self) -> (RestartCause, Option<u8>) {
        let snapshot = self.control.snapshot();
        (snapshot.restart_cause, snapshot.restart_channel)
    }

    fn set_valid_bit(&mut self, clearing: u8) {
        let boot = BootOverride {
            target: BootTarget::Pxe,
            enabled: BootEnabled::Continuous,
            has_valid_bit: true,
            ..BootOverride::default()
        };
        let options = BootOptions { valid_bit_clearing: clearing, ..BootOptions::default() };
        self.change(Change { boot: Some(boot), boot_options: Some(options), ..Change::default() }).unwrap();
    }
}

#[test]
fn hours_count_while_the_machine_is_on_and_without_a_commit() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.pass(HOUR);
    bench.observe(ObservedPower::Starting);
    let record = bench.control.record().clone();
    bench.pass(HOUR);
    assert_eq!(bench.on_time(), HOUR);
    assert_eq!(*bench.control.record(), record);
    bench.observe(ObservedPower::Running);
    bench.observe(ObservedPower::Paused);
    bench.pass(HOUR);
    bench.observe(ObservedPower::Off);
    bench.pass(HOUR);
    assert_eq!(bench.on_time(), 2 * HOUR);
    bench.observe(ObservedPower::Running);
    // The clock on the wall is set back: the one that only goes forward counts.
    bench.now.timestamp = Timestamp::MIN;
    bench.pass(HOUR);
    bench.observe(ObservedPower::Off);
    assert_eq!(bench.on_time(), 3 * HOUR);
}

#[test]
fn hours_survive_the_daemon() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.observe(ObservedPower::Running);
    // Nothing was said when the daemon died.
    let mut later = bench.restart_daemon(5 * HOUR, ObservedPower::Running, false);
    assert_eq!(later.on_time(), 5 * HOUR);
    later.pass(HOUR);
    later.observe(ObservedPower::Off);
    assert_eq!(later.on_time(), 6 * HOUR);
    assert_eq!(later.restart_daemon(HOUR, ObservedPower::Off, false).on_time(), 6 * HOUR);
    let gone = bench.restart_daemon(HOUR, ObservedPower::Off, false);
    assert_eq!(gone.on_time(), HOUR);
    assert!(!gone.control.snapshot().mains_lost);

    bench.now.timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    bench.observe(ObservedPower::Off);
    bench.observe(ObservedPower::Running);
    bench.now.timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
    let set_back = bench.restart_daemon(HOUR, ObservedPower::Running, false);
    assert_eq!(set_back.on_time(), Duration::ZERO, "never negative");
}

#[test]
fn a_machine_whose_power_went_with_the_daemon_has_lost_mains_power() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.observe(ObservedPower::Running);
    let mut later = bench.restart_daemon(HOUR, ObservedPower::Off, true);
    assert!(later.control.snapshot().mains_lost);
    later.observe(ObservedPower::Running);
    later.report(Report::Power { power: ObservedPower::Off, cause: ChangeCause::Crash });
    let snapshot = later.control.snapshot();
    assert_eq!((snapshot.mains_lost, snapshot.last_power_off), (false, Some(ChangeCause::Crash)));
}

#[test]
fn the_restart_cause_is_kept_over_the_daemon_with_its_channel() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.request(Request::Power(PowerAction::On, Origin::Channel(1)));
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    let kept = (RestartCause::ChassisControl, Some(1));
    assert_eq!(bench.cause(), kept);
    assert_eq!(bench.restart_daemon(HOUR, ObservedPower::Running, false).cause(), kept);
    bench.power(PowerAction::Reset);
    assert_eq!(bench.cause(), kept, "not before it happens");
    bench.finish(Err(broken()));
    assert_eq!(bench.cause(), kept, "not when it does not happen");
    bench.power(PowerAction::Reset);
    bench.finish(Ok(()));
    assert_eq!(bench.cause(), (RestartCause::ChassisControl, None));
    for (action, cause) in
        [(PowerAction::Reset, RestartCause::FilterReset), (PowerAction::Cycle, RestartCause::FilterCycle)]
    {
        bench.pass(HOUR);
        bench.request(Request::Power(action, Origin::EventFilter));
        if action == PowerAction::Cycle {
            bench.observe(ObservedPower::Off);
            bench.finish(Ok(()));
            bench.observe(ObservedPower::Running);
        }
        bench.finish(Ok(()));
        assert_eq!(bench.cause(), (cause, None));
    }
    bench.observe(ObservedPower::Off);
    bench.report(Report::Power { power: ObservedPower::Running, cause: ChangeCause::Watchdog });
    assert_eq!(bench.cause(), (RestartCause::Watchdog, None), "the hypervisor's own watchdog");
    let mut record = record();
    record.power_policy = PowerPolicy::AlwaysOff;
    assert_eq!(Bench::with(record, ObservedPower::Running).cause(), (RestartCause::Unknown, None));
}

#[test]
fn a_power_cycle_stays_off_for_its_interval() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.set_cycle_interval(5);
    let cycle = bench.power(PowerAction::Cycle);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    assert!(bench.calls.is_empty());
    assert_eq!(bench.state(), PowerState::PoweringOn);
    let again = bench.power(PowerAction::Cycle);
    bench.pass(ACKNOWLEDGE_AFTER);
    assert_eq!(bench.replies[&cycle], Ok(Outcome::Accepted));
    assert_eq!(bench.replies[&again], Ok(Outcome::Accepted));
    let reset = bench.power(PowerAction::Reset);
    assert!(matches!(bench.replies[&reset], Err(RequestError::Busy { .. })));
    bench.pass(Duration::from_secs(4));
    assert!(bench.calls.is_empty());
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.ops(), [Op::Start(BootPlan::OwnOrder)]);
    bench.finish(Err(broken()));
    assert!(bench.control.snapshot().power_fault, "whoever was told \"accepted\" is told of the failure");
}

#[test]
fn hard_off_cancels_a_power_cycle_that_waits() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.set_cycle_interval(5);
    let cycle = bench.power(PowerAction::Cycle);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    let off = bench.power(PowerAction::Off);
    assert_eq!(bench.replies[&off], Ok(Outcome::Done));
    assert!(matches!(bench.replies[&cycle], Err(RequestError::Busy { .. })));
    bench.pass(Duration::from_secs(60));
    assert_eq!((bench.state(), bench.ops()), (PowerState::Off, vec![]));
    // The next start is not held up by it.
    bench.power(PowerAction::On);
    assert_eq!(bench.ops(), [Op::Start(BootPlan::OwnOrder)]);
}

#[test]
fn a_power_cycle_that_waits_is_done_when_somebody_else_starts_the_machine() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.set_cycle_interval(5);
    let cycle = bench.power(PowerAction::Cycle);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    bench.report(Report::Power { power: ObservedPower::Running, cause: ChangeCause::Outside });
    assert_eq!(bench.replies[&cycle], Ok(Outcome::Done));
    bench.pass(Duration::from_secs(60));
    assert_eq!((bench.state(), bench.ops()), (PowerState::On, vec![]));
    assert_eq!(bench.cause(), (RestartCause::PowerButton, None));
}

#[test]
fn each_kind_of_restart_clears_the_valid_bit_where_parameter_3_says_so() {
    type Restart = fn(&mut Bench);
    let by_button: Restart = |bench| {
        bench.observe(ObservedPower::Off);
        bench.report(Report::Power { power: ObservedPower::Running, cause: ChangeCause::Outside });
    };
    let by_guest: Restart = |bench| bench.report(Report::Rebooted);
    let by_watchdog: Restart = |bench| {
        bench
            .watchdog(watch::set(TimeoutAction::HardReset, crate::watchdog::PreTimeoutInterrupt::None))
            .unwrap();
        bench.watchdog(crate::watchdog::WatchdogRequest::Reset).unwrap();
        bench.pass(Duration::from_secs(10));
    };
    let by_filter: Restart = |bench| {
        bench.request(Request::Power(PowerAction::Reset, Origin::EventFilter));
    };
    let by_command: Restart = |bench| {
        bench.power(PowerAction::Reset);
    };
    let rows =
        [(by_button, 0x01), (by_guest, 0x02), (by_watchdog, 0x04), (by_filter, 0x10), (by_command, 0x00)];
    for (n, (restart, keep)) in rows.into_iter().enumerate() {
        for (clearing, by_ipmi) in [(0x1f, true), (0x1f & !keep, true), (0, false), (0, true)] {
            let mut bench = Bench::new(ObservedPower::Running);
            bench.set_valid_bit(clearing);
            if !by_ipmi {
                bench.boot(BootTarget::Pxe, BootEnabled::Continuous);
            }
            restart(&mut bench);
            let stays = clearing & keep != 0 || keep == 0 || !by_ipmi;
            let boot = bench.control.snapshot().boot;
            assert_eq!(boot.is_active(), stays, "row {n}, parameter 3 {clearing:02x}, by IPMI {by_ipmi}");
            assert_eq!(boot.target, BootTarget::Pxe, "only the bit is cleared");
            match bench.ops().first() {
                Some(Op::Reset(plan)) => assert_eq!(*plan != BootPlan::OwnOrder, stays, "row {n}"),
                None => assert!(!stays, "row {n}: the running instance does not follow the override"),
                other => panic!("row {n}: {other:?}"),
            }
        }
    }
}
