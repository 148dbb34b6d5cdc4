//! Power draw over time, and the limits of power and temperature.

use super::*;
use crate::sensor::model::{INLET_CELSIUS, STANDBY_WATTS};
use crate::settings::dcmi::{DcmiSettings, ExceptionAction, PowerLimit, ThermalLimit};
use crate::settings::{Edit, Editable};

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    fn load(&mut self, cpu_percent: u8) {
        self.report(Report::Statistics(Statistics { cpu_percent, ..Default::default() }));
    }

    fn watts(&self) -> u32 {
        let meter = self.control.snapshot().power_meter;
        meter.statistics(self.now.instant, SECOND).unwrap().current
    }

    fn configure(&mut self, edit: impl Fn(&mut DcmiSettings) + Send + Sync + 'static) {
        let edit = Edit::new(move |editable: &mut Editable<'_>| {
            edit(&mut editable.settings.dcmi);
            Ok(())
        });
        let id = self.request(Request::Edit(edit));
        assert_eq!(self.replies[&id], Ok(Outcome::Done));
    }

    fn limit_power(&mut self, action: ExceptionAction, watts: u32) {
        let watts = u16::try_from(watts).unwrap();
        let limit = PowerLimit { active: true, action, watts, correction_ms: 2_000, sampling_seconds: 60 };
        self.configure(move |dcmi| dcmi.power_limit = Some(limit));
    }

    fn exceeded(&mut self) -> Vec<(Limited, u32, u32)> {
        let told = std::mem::take(&mut self.events).into_iter().filter_map(|event| match event {
            EventKind::LimitExceeded { limited, reading, limit, .. } => Some((limited, reading, limit)),
            _ => None,
        });
        told.collect()
    }
}

/// A running machine, and what it draws idle and busy.
fn running() -> (Bench, u32, u32) {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.load(100);
    let busy = bench.watts();
    bench.load(0);
    let idle = bench.watts();
    assert!(STANDBY_WATTS < idle && idle < busy);
    (bench, idle, busy)
}

#[test]
fn the_power_draw_is_metered_without_a_timer() {
    let mut bench = Bench::new(ObservedPower::Off);
    assert_eq!(bench.watts(), STANDBY_WATTS);
    bench.pass(30 * SECOND);
    bench.observe(ObservedPower::Running);
    let idle = bench.watts();
    bench.pass(30 * SECOND);
    bench.load(100);
    let busy = bench.watts();
    bench.pass(60 * SECOND);
    let meter = bench.control.snapshot().power_meter;
    let all = meter.statistics(bench.now.instant, 120 * SECOND).unwrap();
    assert_eq!((all.minimum, all.maximum, all.current), (STANDBY_WATTS, busy, busy));
    assert_eq!((all.average, all.period), ((STANDBY_WATTS + idle + 2 * busy + 2) / 4, 120 * SECOND));
    assert!(bench.timers.is_empty());
    bench.report(Report::Unavailable(broken()));
    let meter = bench.control.snapshot().power_meter;
    assert_eq!(meter.statistics(bench.now.instant, SECOND), None);
}

#[test]
fn a_limit_that_is_exceeded_too_long_is_told_once() {
    let (mut bench, idle, busy) = running();
    bench.limit_power(ExceptionAction::LogEvent, idle);
    bench.pass(10 * SECOND);
    assert!(bench.exceeded().is_empty(), "it is no more than allowed");
    bench.load(100);
    bench.pass(SECOND);
    bench.load(0);
    bench.pass(10 * SECOND);
    assert!(bench.exceeded().is_empty(), "it was corrected in time");
    bench.load(100);
    bench.pass(2 * SECOND);
    assert_eq!(bench.exceeded(), [(Limited::Power, busy, idle)]);
    bench.pass(100 * SECOND);
    bench.load(99);
    bench.load(100);
    bench.pass(100 * SECOND);
    assert!(bench.exceeded().is_empty(), "told once for as long as it lasts");
    bench.load(0);
    bench.load(100);
    bench.pass(2 * SECOND);
    assert_eq!(bench.exceeded().len(), 1, "it is news again");
    assert!(bench.calls.is_empty());
    bench.limit_power(ExceptionAction::LogEvent, idle + 1);
    bench.pass(2 * SECOND);
    assert_eq!(bench.exceeded(), [(Limited::Power, busy, idle + 1)], "another limit is watched anew");
}

#[test]
fn a_limit_may_switch_the_machine_off() {
    let (mut bench, idle, _) = running();
    bench.limit_power(ExceptionAction::PowerOff, idle);
    bench.load(100);
    bench.pass(2 * SECOND);
    assert_eq!(bench.state(), PowerState::PoweringOff);
    bench.observe(ObservedPower::Off);
    assert_eq!(bench.finish(Ok(())), Op::Stop);
    assert_eq!(bench.exceeded().len(), 1);
    assert_eq!((bench.state(), bench.watts()), (PowerState::Off, STANDBY_WATTS));
    bench.pass(100 * SECOND);
    assert!(bench.calls.is_empty() && bench.exceeded().is_empty());
}

#[test]
fn a_hypervisor_that_is_away_makes_the_action_fail_and_that_is_shown() {
    let (mut bench, idle, _) = running();
    bench.limit_power(ExceptionAction::PowerOff, idle);
    bench.load(100);
    bench.report(Report::Unavailable(broken()));
    bench.pass(2 * SECOND);
    assert!(bench.exceeded().is_empty(), "nobody knows what it draws now");
    assert!(bench.calls.is_empty());
}

#[test]
fn limits_that_are_not_active_or_do_nothing_are_not_watched() {
    let (mut bench, idle, _) = running();
    bench.limit_power(ExceptionAction::None, idle);
    bench.load(100);
    bench.limit_power(ExceptionAction::LogEvent, idle);
    bench.configure(|dcmi| dcmi.power_limit.as_mut().unwrap().active = false);
    bench.pass(100 * SECOND);
    assert!(bench.exceeded().is_empty());
}

#[test]
fn the_inlet_has_a_limit_that_may_end_with_the_run() {
    for persistent in [false, true] {
        let mut bench = Bench::new(ObservedPower::Running);
        let limit = ThermalLimit {
            persistent,
            action: ExceptionAction::LogEvent,
            celsius: INLET_CELSIUS - 1,
            seconds: 5,
        };
        bench.configure(move |dcmi| dcmi.thermal_limit = Some(limit));
        bench.pass(5 * SECOND);
        let (is, may) = (u32::from(INLET_CELSIUS), u32::from(limit.celsius));
        assert_eq!(bench.exceeded(), [(Limited::InletTemperature, is, may)]);
        bench.observe(ObservedPower::Off);
        let kept = bench.control.record().settings.dcmi.thermal_limit;
        assert_eq!(kept, persistent.then_some(limit));
    }
}

#[test]
fn a_big_machine_at_full_load_draws_what_it_draws_and_alarms_nobody() {
    let mut bench = Bench::new(ObservedPower::Running);
    let info = (*bench.control.snapshot().info.unwrap()).clone();
    bench.load(0);
    let (small, before) = (bench.watts(), bench.control.snapshot());
    bench.load(50);
    assert!(Arc::ptr_eq(&before.sensors, &bench.control.snapshot().sensors), "the list is made once");
    bench.report(Report::Info(MachineInfo { processors: 256, ..info }));
    let grown = bench.control.snapshot();
    assert!(!Arc::ptr_eq(&before.sensors, &grown.sensors));
    assert_ne!(before.settings.sensors.sensors_changed(), grown.settings.sensors.sensors_changed());
    bench.load(100);
    assert!(small < 100 && bench.watts().abs_diff(40 + 256 * 8) <= 11, "{} W", bench.watts());
    let alarm = |event: &EventKind| matches!(event, EventKind::SensorThreshold(_));
    assert!(!bench.events.iter().any(alarm), "{:?}", bench.events);
}
