//! The machine driven by hand. [`rules`] drives it by chance.

use std::collections::HashMap;

use super::*;
use crate::account::{Accounts, Secret};
use crate::backend::{MachineRef, Observed, Report};
use crate::boot::{BootOptions, BootOverride, BootTarget};
use crate::error::BackendErrorKind;
use crate::power::{ChangeCause, Origin, PowerPolicy, RestartCause};
use crate::request::{ACKNOWLEDGE_AFTER, Identify};
use crate::sel::SelState;
use crate::settings::Edit;
use crate::snapshot::Identity;

mod bios;
mod boot;
mod defaults;
mod filter;
mod history;
mod limits;
mod log;
mod media;
mod rules;
mod storage;
mod system_interface;
mod trouble;
mod watch;
mod words;

use log::logged;

pub(crate) fn record() -> MachineRecord {
    let administrator = ("admin".to_owned(), Secret::new("password"));
    MachineRecord {
        machine: MachineRef { uuid: None, name: "m".to_owned() },
        boot: Arc::default(),
        boot_generation: 0,
        boot_options: Arc::new(BootOptions::default()),
        power_policy: PowerPolicy::AlwaysOff,
        was_on: false,
        power: Arc::default(),
        accounts: Arc::new(Accounts::with_administrator("admin", Secret::new("password")).unwrap()),
        configured_administrator: administrator,
        identity: Arc::new(Identity {
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            asset_tag: String::new(),
            part_number: String::new(),
        }),
        firmware: None,
        settings: Arc::default(),
        sel: SelState::default(),
    }
}

fn info() -> MachineInfo {
    MachineInfo {
        uuid: Uuid::from_u128(7),
        name: "m".to_owned(),
        processors: 1,
        boot_targets: BootTarget::ALL.into_iter().filter(|target| *target != BootTarget::Http).collect(),
        ..MachineInfo::default()
    }
}

/// A machine in the hand: requests are numbered, calls and timers are kept until the test ends them.
struct Bench {
    control: Control,
    now: Now,
    next_request: RequestId,
    calls: Vec<(CallId, Op)>,
    timers: Vec<(Instant, Timer)>,
    replies: HashMap<RequestId, Result<Outcome, RequestError>>,
    events: Vec<EventKind>,
    fetches: Vec<(CallId, MediaSource)>,
    released: Vec<String>,
}

impl Bench {
    fn new(power: ObservedPower) -> Self {
        Self::with(record(), power)
    }

    fn with(record: MachineRecord, power: ObservedPower) -> Self {
        let mut bench = Self::unreached(record);
        bench.report(Report::Available(Observed {
            info: info(),
            power,
            boot_generation: None,
            media: Vec::new(),
        }));
        bench
    }

    /// Nothing has been heard of the machine yet.
    fn unreached(record: MachineRecord) -> Self {
        let now = Now { instant: Instant::now(), timestamp: Timestamp::UNIX_EPOCH };
        let control = Control::new("m".into(), record);
        Self {
            control,
            now,
            next_request: 0,
            calls: Vec::new(),
            timers: Vec::new(),
            replies: HashMap::new(),
            events: Vec::new(),
            fetches: Vec::new(),
            released: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) {
        for effect in self.control.handle(self.now, input) {
            match effect {
                Effect::Reply(id, result) => {
                    assert!(self.replies.insert(id, result).is_none(), "request {id} was answered twice");
                }
                Effect::Call(id, op) => self.calls.push((id, op)),
                Effect::After(delay, timer) => self.timers.push((self.now.instant + delay, timer)),
                Effect::Emit(kind) => self.events.push(kind),
                Effect::Alert(_) => {}
                Effect::Fetch(id, source) => self.fetches.push((id, *source)),
                Effect::StopFetch(id) => self.fetches.retain(|(under_way, _)| *under_way != id),
                Effect::Release(lease) => self.released.push(lease),
                Effect::Again(id, change) => self.input(Input::Request(id, Request::Change(change))),
            }
        }
    }

    fn power(&mut self, action: PowerAction) -> RequestId {
        self.request(Request::Power(action, Origin::Client))
    }

    fn request(&mut self, request: Request) -> RequestId {
        self.next_request += 1;
        self.input(Input::Request(self.next_request, request));
        self.next_request
    }

    fn change(&mut self, change: Change) -> Result<Outcome, RequestError> {
        let id = self.request(Request::Change(Box::new(change)));
        self.replies[&id].clone()
    }

    fn boot(&mut self, target: BootTarget, enabled: BootEnabled) {
        let boot = BootOverride { target, enabled, ..BootOverride::default() };
        self.change(Change { boot: Some(boot), ..Change::default() }).unwrap();
    }

    fn report(&mut self, report: Report) {
        self.input(Input::Report(Box::new(report)));
    }

    fn observe(&mut self, power: ObservedPower) {
        self.report(Report::Power { power, cause: ChangeCause::Requested });
    }

    /// Ends the oldest call.
    fn finish(&mut self, result: Result<(), BackendError>) -> Op {
        let (id, op) = self.calls.remove(0);
        self.input(Input::CallDone(id, result));
        op
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        let mut due: Vec<_> = self.timers.extract_if(.., |(at, _)| *at <= self.now.instant).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, timer) in due {
            self.input(Input::Timer(timer));
        }
    }

    fn state(&self) -> PowerState {
        self.control.snapshot().power
    }

    fn ops(&self) -> Vec<Op> {
        self.calls.iter().map(|(_, op)| op.clone()).collect()
    }
}

fn broken() -> BackendError {
    BackendError::new(BackendErrorKind::Internal, "broken")
}

#[test]
fn power_on_replies_when_the_backend_has_accepted_and_is_one_event() {
    let mut bench = Bench::new(ObservedPower::Off);
    let on = bench.power(PowerAction::On);
    assert_eq!(bench.state(), PowerState::PoweringOn);
    assert!(bench.replies.is_empty(), "nothing is acknowledged before the backend accepted");
    bench.observe(ObservedPower::Starting);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&on], Ok(Outcome::Done));
    assert_eq!(bench.state(), PowerState::PoweringOn);
    bench.observe(ObservedPower::Running);
    assert_eq!(bench.state(), PowerState::On);
    assert_eq!(bench.events, [EventKind::PoweredOn { cause: ChangeCause::Requested }]);
}

#[test]
fn a_slow_backend_is_acknowledged_after_700_ms_and_its_failure_is_shown() {
    let mut bench = Bench::new(ObservedPower::Off);
    let on = bench.power(PowerAction::On);
    bench.pass(ACKNOWLEDGE_AFTER);
    assert_eq!(bench.replies[&on], Ok(Outcome::Accepted));
    bench.finish(Err(broken()));
    assert_eq!(bench.state(), PowerState::Off);
    assert!(bench.control.snapshot().power_fault);
    assert_eq!(bench.events, [EventKind::PowerFault { reason: "broken".to_owned() }]);
    bench.power(PowerAction::On);
    bench.finish(Ok(()));
    assert!(!bench.control.snapshot().power_fault, "a success clears the fault");
}

#[test]
fn a_failure_that_the_client_is_told_is_no_fault() {
    let mut bench = Bench::new(ObservedPower::Off);
    let on = bench.power(PowerAction::On);
    bench.finish(Err(broken()));
    assert_eq!(bench.replies[&on], Err(RequestError::Backend(broken())));
    assert!(!bench.control.snapshot().power_fault);
    assert_eq!(bench.state(), PowerState::Off);
}

#[test]
fn a_cycle_is_two_events_and_a_repeated_one_joins() {
    let mut bench = Bench::new(ObservedPower::Running);
    let first = bench.power(PowerAction::Cycle);
    let again = bench.power(PowerAction::Cycle);
    let reset = bench.power(PowerAction::Reset);
    assert!(matches!(bench.replies[&reset], Err(RequestError::Busy { .. })));
    assert_eq!(bench.state(), PowerState::PoweringOff);
    bench.observe(ObservedPower::Off);
    assert_eq!(bench.state(), PowerState::PoweringOn, "between stop and start it is on its way up");
    assert_eq!(bench.finish(Ok(())), Op::Stop);
    assert_eq!(bench.ops(), [Op::Start(BootPlan::OwnOrder)]);
    assert!(!bench.replies.contains_key(&first));
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&first], Ok(Outcome::Done));
    assert_eq!(bench.replies[&again], Ok(Outcome::Done));
    assert!(bench.calls.is_empty(), "one cycle");
    let cause = ChangeCause::Requested;
    assert_eq!(bench.events, [EventKind::PoweredOff { cause }, EventKind::PoweredOn { cause }]);

    // FreeIPMI's retry after a lost reply comes about a second later.
    bench.pass(Duration::from_millis(1_000));
    let late = bench.power(PowerAction::Cycle);
    assert_eq!(bench.replies[&late], Ok(Outcome::Joined));
    bench.pass(RESTART_SETTLES);
    bench.power(PowerAction::Cycle);
    assert_eq!(bench.ops(), [Op::Stop], "a later one is a new one");
}

#[test]
fn a_cycle_whose_stop_returns_before_the_machine_is_seen_off_goes_on() {
    let mut bench = Bench::new(ObservedPower::Running);
    let cycle = bench.power(PowerAction::Cycle);
    assert_eq!(bench.finish(Ok(())), Op::Stop);
    assert_eq!(bench.state(), PowerState::PoweringOff);
    let other = bench.power(PowerAction::GracefulRestart);
    assert!(matches!(bench.replies[&other], Err(RequestError::Busy { .. })), "the cycle keeps its turn");
    bench.observe(ObservedPower::Off);
    assert_eq!(bench.finish(Ok(())), Op::Start(BootPlan::OwnOrder));
    assert_eq!(bench.replies[&cycle], Ok(Outcome::Done));
}

#[test]
fn hard_off_wins_over_a_start_under_way() {
    let mut bench = Bench::new(ObservedPower::Off);
    let on = bench.power(PowerAction::On);
    let off = bench.power(PowerAction::Off);
    assert_eq!(bench.ops(), [Op::Start(BootPlan::OwnOrder)], "one call at a time");
    bench.observe(ObservedPower::Running);
    assert_eq!(bench.state(), PowerState::PoweringOff);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&on], Ok(Outcome::Done));
    assert_eq!(bench.ops(), [Op::Stop]);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&off], Ok(Outcome::Done));
    assert_eq!(bench.state(), PowerState::Off);
}

#[test]
fn a_soft_off_during_post_is_kept_until_the_system_is_up() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Starting);
    bench.finish(Ok(()));
    let soft = bench.power(PowerAction::Soft);
    assert_eq!(bench.replies[&soft], Ok(Outcome::Accepted));
    assert!(bench.calls.is_empty());
    bench.observe(ObservedPower::Running);
    assert_eq!(bench.finish(Ok(())), Op::Shutdown);
    assert_eq!(bench.state(), PowerState::PoweringOff);
    bench.observe(ObservedPower::Off);
    assert_eq!(bench.state(), PowerState::Off);
}

#[test]
fn a_guest_that_ignores_the_power_button_is_on_again() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.power(PowerAction::Soft);
    bench.finish(Ok(()));
    let on = bench.power(PowerAction::On);
    assert!(matches!(bench.replies[&on], Err(RequestError::Busy { .. })));
    bench.pass(SHUTDOWN_TIMEOUT);
    assert_eq!(bench.state(), PowerState::On);
    assert_eq!(bench.events.last(), Some(&EventKind::ShutdownIgnored));
}

#[test]
fn a_shutdown_is_told_before_the_power_off_that_comes_of_it() {
    for off_first in [false, true] {
        let mut bench = Bench::new(ObservedPower::Running);
        bench.power(PowerAction::Soft);
        if off_first {
            bench.observe(ObservedPower::Off);
        }
        assert_eq!(bench.finish(Ok(())), Op::Shutdown);
        if !off_first {
            bench.observe(ObservedPower::Off);
        }
        let cause = ChangeCause::Requested;
        assert_eq!(
            bench.events,
            [EventKind::ShutdownRequested, EventKind::PoweredOff { cause }],
            "{off_first}"
        );
    }
}

#[test]
fn a_graceful_restart_comes_up_again() {
    let mut bench = Bench::new(ObservedPower::Running);
    let restart = bench.power(PowerAction::GracefulRestart);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&restart], Ok(Outcome::Done));
    assert_eq!(bench.state(), PowerState::PoweringOff);
    bench.observe(ObservedPower::Off);
    assert_eq!(bench.ops(), [Op::Start(BootPlan::OwnOrder)]);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!(bench.state(), PowerState::On);
}

#[test]
fn unavailable_machines_refuse_and_keep_their_last_state() {
    let mut bench = Bench::new(ObservedPower::Running);
    let gone = BackendError::unavailable("libvirt is gone");
    bench.report(Report::Unavailable(gone.clone()));
    bench.report(Report::Unavailable(gone.clone()));
    let off = bench.power(PowerAction::Off);
    assert_eq!(bench.replies[&off], Err(RequestError::Backend(gone.clone())));
    assert_eq!(bench.state(), PowerState::On);
    bench.report(Report::Available(Observed {
        info: info(),
        power: ObservedPower::Off,
        boot_generation: None,
        media: Vec::new(),
    }));
    assert_eq!(bench.state(), PowerState::Off);
    let expected = [
        EventKind::Unavailable { reason: gone.message },
        EventKind::Available,
        EventKind::PoweredOff { cause: ChangeCause::Unknown },
    ];
    assert_eq!(bench.events, expected, "each told once");
}

#[test]
fn mains_power_that_returns_obeys_the_policy() {
    let cases = [
        (PowerPolicy::AlwaysOff, true, None),
        (PowerPolicy::Previous, false, None),
        (PowerPolicy::Previous, true, Some(RestartCause::PolicyPrevious)),
        (PowerPolicy::AlwaysOn, false, Some(RestartCause::PolicyAlwaysOn)),
    ];
    for (power_policy, was_on, starts) in cases {
        let record = MachineRecord { power_policy, was_on, ..record() };
        let mut control = Control::new("m".into(), record);
        let info = MachineInfo { mains_return: true, ..info() };
        let observed = Observed { info, power: ObservedPower::Off, boot_generation: None, media: Vec::new() };
        let now = Now { instant: Instant::now(), timestamp: Timestamp::UNIX_EPOCH };
        let effects = control.handle(now, Input::Report(Box::new(Report::Available(observed))));
        assert_eq!(!effects.is_empty(), starts.is_some(), "{power_policy:?} {was_on}");
        if let (Some(cause), Some(Effect::Call(id, _))) = (starts, effects.last()) {
            control.handle(now, Input::CallDone(*id, Ok(())));
            assert_eq!(control.snapshot().restart_cause, cause);
        }
    }
}

#[test]
fn the_policy_previous_remembers_that_the_machine_was_on() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.change(Change { power_policy: Some(PowerPolicy::Previous), ..Change::default() }).unwrap();
    assert!(bench.control.record().was_on);
    bench.observe(ObservedPower::Off);
    assert!(!bench.control.record().was_on);
}

#[test]
fn a_change_is_made_as_a_whole_or_not_at_all() {
    let mut bench = Bench::new(ObservedPower::Off);
    let before = bench.control.record().clone();
    let http =
        BootOverride { target: BootTarget::Http, enabled: BootEnabled::Once, ..BootOverride::default() };
    let refused = [
        Change { boot: Some(http), asset_tag: Some("a".to_owned()), ..Change::default() },
        Change {
            asset_tag: Some("a".repeat(64)),
            power_policy: Some(PowerPolicy::AlwaysOn),
            ..Change::default()
        },
        Change { administrator: Some(("a b".to_owned(), Secret::new("p"))), ..Change::default() },
        Change { administrator: Some(("ab".to_owned(), Secret::new("p".repeat(21)))), ..Change::default() },
        Change { if_revision: Some(99), asset_tag: Some("a".to_owned()), ..Change::default() },
    ];
    for change in refused {
        assert!(bench.change(change.clone()).is_err(), "{change:?}");
        assert_eq!(*bench.control.record(), before);
    }
}

#[test]
fn interrupts_under_way_are_bounded() {
    let mut bench = Bench::new(ObservedPower::Running);
    for _ in 0..NMI_CALLS_MAX {
        bench.power(PowerAction::Nmi);
    }
    bench.pass(ACKNOWLEDGE_AFTER);
    let refused = bench.power(PowerAction::Nmi);
    assert!(matches!(bench.replies[&refused], Err(RequestError::Busy { .. })));
    bench.finish(Ok(()));
    let taken = bench.power(PowerAction::Nmi);
    bench.pass(ACKNOWLEDGE_AFTER);
    assert_eq!(bench.replies[&taken], Ok(Outcome::Accepted));
}

#[test]
fn a_power_request_does_not_wait_for_a_firmware_switch_it_has_no_part_in() {
    let mut bench = Bench::new(ObservedPower::Starting);
    bench.request(Request::Change(Box::new(Change {
        firmware: Some(FirmwareMode::Uefi),
        ..Change::default()
    })));
    assert_eq!(bench.ops(), [Op::SetFirmware(FirmwareMode::Uefi)]);
    let on = bench.power(PowerAction::On);
    assert_eq!(bench.replies[&on], Ok(Outcome::Joined), "it is on its way up already");
}

#[test]
fn a_soft_off_kept_for_a_start_that_failed_does_not_switch_the_next_one_off() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.power(PowerAction::Soft);
    bench.finish(Err(broken()));
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!((bench.state(), bench.ops()), (PowerState::On, vec![]));
}

#[test]
fn a_restart_that_ended_in_power_off_is_joined_no_more() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.power(PowerAction::Cycle);
    bench.observe(ObservedPower::Off);
    bench.finish(Ok(()));
    bench.observe(ObservedPower::Starting);
    bench.finish(Ok(()));
    bench.observe(ObservedPower::Off);
    bench.power(PowerAction::On);
    let cycle = bench.power(PowerAction::Cycle);
    assert!(matches!(bench.replies[&cycle], Err(RequestError::Busy { .. })), "that is a start, not a cycle");
}

#[test]
fn a_repeated_resume_joins() {
    let mut bench = Bench::new(ObservedPower::Paused);
    let (first, second) = (bench.power(PowerAction::On), bench.power(PowerAction::On));
    assert_eq!(bench.ops(), [Op::Resume]);
    bench.observe(ObservedPower::Running);
    bench.finish(Ok(()));
    assert_eq!((&bench.replies[&first], &bench.replies[&second]), (&Ok(Outcome::Done), &Ok(Outcome::Done)));
}

#[test]
fn the_identify_light_goes_off_by_itself_unless_set_anew() {
    let mut bench = Bench::new(ObservedPower::Off);
    let identify = |identify| Change { identify: Some(identify), ..Change::default() };
    bench.change(identify(Identify::For(Duration::from_secs(15)))).unwrap();
    assert_eq!(bench.control.snapshot().identify, IdentifyState::Timed);
    bench.pass(Duration::from_secs(10));
    bench.change(identify(Identify::For(Duration::from_secs(15)))).unwrap();
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.control.snapshot().identify, IdentifyState::Timed, "the first timer no longer counts");
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.control.snapshot().identify, IdentifyState::Off);
}

#[test]
fn trouble_is_told_once_however_it_is_worded() {
    let mut bench = Bench::new(ObservedPower::Off);
    let told = |bench: &Bench| {
        let kinds = bench.events.iter();
        kinds.filter(|kind| matches!(kind, EventKind::Unavailable { .. })).count()
    };
    bench.report(Report::Unavailable(BackendError::unavailable("the connection was lost")));
    bench.report(Report::Unavailable(BackendError::unavailable("the connection was refused")));
    assert_eq!(told(&bench), 1);
    let Health::Unavailable(reason) = bench.control.snapshot().health else { panic!("unavailable") };
    assert_eq!(reason.message, "the connection was refused", "the present reason is shown");
    bench.report(Report::Unavailable(BackendError::new(BackendErrorKind::NotFound, "undefined")));
    assert_eq!(told(&bench), 2, "another trouble");
}
