//! Event filters at work on the machine.

use super::*;
use crate::settings::pef::{CONTROL_ENABLE, CONTROL_EVENTS, EventFilter, action};

impl Bench {
    /// A filter that every event passes.
    fn filter_everything(&mut self, actions: u8) {
        let mut filter = [0xff; 20];
        (filter[0], filter[1], filter[2]) = (0x80, actions, 0);
        filter[11..].fill(0);
        self.request(Request::Edit(Edit::new(move |editable| {
            let pef = &mut editable.settings.pef;
            (pef.control, pef.actions) = (CONTROL_ENABLE | CONTROL_EVENTS, action::ALL);
            pef.filters.insert(1, EventFilter(filter));
            Ok(())
        })));
    }

    /// Something happens that is no action's doing.
    fn happen(&mut self) {
        self.input(Input::Note(EventKind::BmcReset { cold: false }));
    }

    fn actions_logged(&self) -> usize {
        logged(self).iter().filter(|entry| entry.0 == 0x12).count()
    }

    /// Ends calls, as a machine does that follows them, until there are none; returns those.
    fn follow(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        while !self.calls.is_empty() {
            assert!(ops.len() < 10, "{ops:?}");
            match &self.calls[0].1 {
                Op::Stop => self.observe(ObservedPower::Off),
                Op::Start(_) => self.observe(ObservedPower::Running),
                _ => {}
            }
            ops.push(self.finish(Ok(())));
        }
        ops
    }
}

#[test]
fn an_action_does_not_cause_itself() {
    let rows = [
        (action::DIAGNOSTIC_INTERRUPT, vec![Op::Nmi]),
        (action::RESET, vec![Op::Reset(BootPlan::OwnOrder)]),
        (action::POWER_CYCLE, vec![Op::Stop, Op::Start(BootPlan::OwnOrder)]),
        (action::POWER_OFF, vec![Op::Stop]),
    ];
    for (actions, ops) in rows {
        let mut bench = Bench::new(ObservedPower::Running);
        bench.filter_everything(actions);
        for _ in 0..2 {
            bench.happen();
            let found = bench.follow();
            assert_eq!(found, ops, "{actions:02x}");
            if actions == action::POWER_OFF {
                break;
            }
            // The next event is evaluated again.
            bench.pass(RESTART_SETTLES);
        }
    }
}

#[test]
fn an_action_waits_for_what_is_under_way() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.filter_everything(action::RESET);
    bench.happen();
    bench.happen();
    assert_eq!((bench.ops().len(), bench.actions_logged()), (1, 1), "accepted, and logged once");
    bench.finish(Ok(()));
    assert_eq!(bench.follow(), [Op::Reset(BootPlan::OwnOrder)]);
    assert!(!bench.control.snapshot().power_fault);
    assert_eq!(bench.actions_logged(), 1);
}

#[test]
fn an_action_that_fails_is_a_fault() {
    for actions in [action::DIAGNOSTIC_INTERRUPT, action::RESET, action::POWER_CYCLE, action::POWER_OFF] {
        let mut bench = Bench::new(ObservedPower::Running);
        bench.filter_everything(actions);
        bench.happen();
        assert_eq!(bench.actions_logged(), 1);
        bench.finish(Err(broken()));
        let fault = EventKind::PowerFault { reason: "broken".to_owned() };
        assert_eq!(bench.events.last(), Some(&fault), "{actions:02x}");
        assert_eq!(bench.ops(), [], "the fault calls for nothing");
        bench.happen();
        assert_eq!(bench.calls.len(), 1, "the next event does");
    }
}

#[test]
fn an_action_on_a_machine_out_of_reach_is_a_fault_and_not_logged_as_done() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.filter_everything(action::RESET);
    bench.report(Report::Unavailable(broken()));
    bench.happen();
    assert_eq!((bench.actions_logged(), bench.ops()), (0, vec![]));
    let faults = bench.events.iter().filter(|kind| matches!(kind, EventKind::PowerFault { .. })).count();
    assert_eq!(faults, 1);
    assert!(bench.control.snapshot().power_fault);
}

#[test]
fn an_action_that_waits_when_the_machine_is_lost_is_a_fault() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.power(PowerAction::Soft);
    bench.filter_everything(action::RESET);
    bench.happen();
    bench.report(Report::Unavailable(broken()));
    assert!(bench.control.snapshot().power_fault);
    let observed =
        Observed { info: info(), power: ObservedPower::Running, boot_generation: None, media: Vec::new() };
    bench.finish(Ok(()));
    bench.report(Report::Available(observed));
    assert_eq!(bench.ops(), [], "it may be well by now");
}

#[test]
fn filters_wait_for_their_time_after_a_start() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    bench.filter_everything(action::RESET);
    let delay = Edit::new(|editable| {
        editable.settings.pef.startup_delay = 30;
        Ok(())
    });
    bench.request(Request::Edit(delay));
    bench.happen();
    assert_eq!((bench.follow(), bench.actions_logged()), (vec![], 0), "it is still starting");
    bench.now.timestamp = Timestamp::from_second(30).unwrap();
    bench.happen();
    assert_eq!(bench.follow(), [Op::Reset(BootPlan::OwnOrder)]);
    // That was a start, too.
    bench.pass(RESTART_SETTLES);
    bench.happen();
    assert_eq!(bench.follow(), []);
}
