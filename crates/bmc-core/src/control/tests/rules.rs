//! The machine driven by chance, against the rules that hold in any order.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::watchdog::{PreTimeoutInterrupt, TimeoutAction, WatchdogRequest, WatchdogSettings};

#[derive(Clone, Copy, Debug)]
enum Step {
    Power(PowerAction),
    Boot(BootTarget, BootEnabled),
    Firmware(FirmwareMode),
    Observe(ObservedPower),
    Reboot,
    Lose,
    Regain(ObservedPower),
    Finish(bool),
    Pass(u64),
    Watchdog(WatchdogRequest),
    Interval(u8),
}

fn step() -> impl Strategy<Value = Step> {
    use ObservedPower::{Off, Paused, Running, Starting, Stopping};
    let observed = || prop::sample::select(vec![Off, Starting, Running, Stopping, Paused]);
    let targets = prop::sample::select(vec![BootTarget::None, BootTarget::Pxe, BootTarget::Cdrom]);
    let enabled =
        prop::sample::select(vec![BootEnabled::Disabled, BootEnabled::Once, BootEnabled::Continuous]);
    let modes = prop::sample::select(vec![FirmwareMode::Legacy, FirmwareMode::Uefi]);
    let watchdog = (
        prop::sample::select(TimeoutAction::ALL.to_vec()),
        prop::sample::select(PreTimeoutInterrupt::ALL.to_vec()),
        0u16..100,
        any::<bool>(),
    );
    let watchdog = watchdog.prop_map(|(action, interrupt, initial, keep_counting)| {
        let settings = WatchdogSettings { action, interrupt, initial, ..WatchdogSettings::default() };
        Step::Watchdog(WatchdogRequest::Set { settings, keep_counting, clear: 0 })
    });
    prop_oneof![
        1 => watchdog,
        1 => Just(Step::Watchdog(WatchdogRequest::Reset)),
        1 => (0u8..4).prop_map(Step::Interval),
        6 => prop::sample::select(PowerAction::ALL.to_vec()).prop_map(Step::Power),
        2 => (targets, enabled).prop_map(|(target, enabled)| Step::Boot(target, enabled)),
        1 => modes.prop_map(Step::Firmware),
        4 => observed().prop_map(Step::Observe),
        1 => Just(Step::Reboot),
        1 => Just(Step::Lose),
        1 => observed().prop_map(Step::Regain),
        6 => any::<bool>().prop_map(Step::Finish),
        3 => (0u64..130_000).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no request is answered twice or never, at most one call is under way beside interrupts, the power
    /// events alternate and agree with what is read, a one-time override is used at most once, somebody waits for a watchdog
    /// that counts, and the machine was never on for longer than time has passed.
    #[test]
    fn the_rules_hold_in_any_order(steps in prop::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new(ObservedPower::Off);
        let begin = bench.now.instant;
        for step in steps {
            match step {
                Step::Power(action) => { bench.power(action); }
                Step::Boot(target, enabled) => bench.boot(target, enabled),
                Step::Firmware(mode) => {
                    let change = Change { firmware: Some(mode), ..Change::default() };
                    bench.request(Request::Change(Box::new(change)));
                }
                Step::Observe(power) => bench.observe(power),
                Step::Reboot => bench.report(Report::Rebooted),
                Step::Lose => bench.report(Report::Unavailable(BackendError::unavailable("gone"))),
                Step::Regain(power) =>
                    bench.report(Report::Available(Observed { info: info(), power, boot_generation: None, media: Vec::new() })),
                Step::Finish(well) => if !bench.calls.is_empty() {
                    bench.finish(if well { Ok(()) } else { Err(broken()) });
                }
                Step::Watchdog(request) => { bench.request(Request::Watchdog(request)); }
                Step::Interval(seconds) => bench.set_cycle_interval(seconds),
                Step::Pass(milliseconds) => bench.pass(Duration::from_millis(milliseconds)),
            }
            let exclusive = bench.ops().iter().filter(|op| **op != Op::Nmi).count();
            prop_assert!(exclusive <= 1, "{:?}", bench.ops());
            let powered = bench.control.snapshot().powered;
            prop_assert!(powered.at(bench.now.instant) <= bench.now.instant - begin);
            prop_assert_eq!(powered.since.is_some(), bench.control.record().power.on_since.is_some());
            let due = bench.control.snapshot().watchdog.next();
            prop_assert!(due.is_none_or(|due| bench.timers.iter().any(|(at, _)| *at == due)), "nobody waits for the watchdog");
        }
        // Every request is answered by the acknowledge time at the latest, whatever the backend does; a firmware switch takes what it takes.
        bench.pass(ACKNOWLEDGE_AFTER);
        while let Some(at) = bench.ops().iter().position(|op| matches!(op, Op::SetFirmware(_))) {
            let (id, _) = bench.calls.remove(at);
            bench.input(Input::CallDone(id, Ok(())));
        }
        let answered: HashSet<_> = bench.replies.keys().copied().collect();
        prop_assert_eq!(answered.len() as u64, bench.next_request);

        let flips: Vec<bool> = bench.events.iter().filter_map(|event| match event {
            EventKind::PoweredOn { .. } => Some(true),
            EventKind::PoweredOff { .. } => Some(false),
            _ => None,
        }).collect();
        prop_assert!(flips.iter().enumerate().all(|(n, on)| *on == (n % 2 == 0)), "{:?}", flips);
        let used = bench.events.iter().filter(|event| matches!(event, EventKind::BootOverrideUsed { .. })).count();
        let set = bench.events.iter()
            .filter(|event| matches!(event, EventKind::BootOverrideSet { enabled: BootEnabled::Once, .. })).count();
        prop_assert!(used <= set);
    }
}
