//! Each behaviour of the pure machine, on a clock that is a number.

use BackendErrorKind::InvalidState;
use ChangeCause::{Crash, Guest, Outside, Requested};
use ObservedPower::{Off, Paused, Running, Starting, Stopping};
use bmc_core::boot::{BootTarget, OverrideBoot};

use super::*;
use crate::config::SimConfig;

const POST: Duration = Duration::from_secs(10);
const BOOT: Duration = Duration::from_secs(5);
const SHUTDOWN: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(1);

/// A machine, a clock, and everything reported so far.
struct Bench {
    machine: SimMachine,
    now: Instant,
    reports: Vec<Report>,
}

impl Bench {
    fn new() -> Self {
        let info = hardware::make_up(&SimConfig::default(), hardware::uuid_of("m"), "m", 1);
        let times = Times { post: POST, boot: BOOT, shutdown: SHUTDOWN };
        Self { machine: SimMachine::new(info, times, 0), now: Instant::now(), reports: Vec::new() }
    }

    fn up() -> Self {
        let mut bench = Self::new();
        bench.start(&BootPlan::OwnOrder);
        bench.wait(POST + BOOT);
        assert_eq!(bench.machine.phase, Phase::Up);
        bench.reports.clear();
        bench
    }

    fn did(&mut self, outcome: Outcome) -> &mut Self {
        self.reports.extend(outcome.unwrap());
        self
    }

    fn start(&mut self, plan: &BootPlan) {
        let outcome = self.machine.start(self.now, plan, Requested);
        self.did(outcome);
    }

    fn press(&mut self) {
        let outcome = self.machine.press_button(self.now);
        self.did(outcome);
    }

    fn reset(&mut self, plan: &BootPlan) {
        let outcome = self.machine.reset(self.now, plan);
        self.did(outcome);
    }

    fn pause(&mut self) {
        let outcome = self.machine.pause(self.now, Outside);
        self.did(outcome);
    }

    fn resume(&mut self) {
        let outcome = self.machine.resume(self.now, Requested);
        self.did(outcome);
    }

    /// Lets time pass as the shell does: from deadline to deadline.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.machine.deadline().filter(|at| *at <= end) {
            let reports = self.machine.expire(at);
            self.reports.extend(reports);
        }
        self.now = end;
    }

    #[track_caller]
    fn reported(&mut self, expected: &[Report]) {
        assert_eq!(self.reports, expected);
        self.reports.clear();
    }
}

fn power(power: ObservedPower, cause: ChangeCause) -> Report {
    Report::Power { power, cause }
}

fn booted(from: &str) -> Report {
    Report::Booted { from: from.to_owned() }
}

fn boot_from(target: BootTarget) -> BootPlan {
    BootPlan::Override(OverrideBoot {
        target,
        efi: false,
        http_uri: None,
        device: None,
        once: true,
        generation: 7,
    })
}

fn kind(outcome: Outcome) -> BackendErrorKind {
    outcome.unwrap_err().kind
}

#[test]
fn a_start_takes_post_and_boot() {
    let mut bench = Bench::new();
    assert_eq!(bench.machine.power(), Off);
    bench.start(&BootPlan::OwnOrder);
    bench.reported(&[power(Starting, Requested)]);
    bench.wait(POST - TICK);
    bench.reported(&[]);
    bench.wait(TICK);
    bench.reported(&[booted("disk sda")]);
    assert_eq!(bench.machine.power(), Starting);
    bench.wait(BOOT);
    bench.reported(&[power(Running, Requested)]);
    assert_eq!(bench.machine.deadline(), None);
    assert_eq!(kind(bench.machine.start(bench.now, &BootPlan::OwnOrder, Requested)), InvalidState);
}

#[test]
fn an_override_boots_what_it_names_and_is_marked_until_the_next_boot() {
    let mut bench = Bench::new();
    bench.start(&boot_from(BootTarget::Pxe));
    assert_eq!(bench.machine.observed().boot_generation, Some(7));
    bench.wait(POST + BOOT);
    bench.reported(&[power(Starting, Requested), booted("network nic0"), power(Running, Requested)]);
    assert_eq!(bench.machine.booted_from(), Some("network nic0"));
    let outcome = bench.machine.reboot_from_inside(bench.now);
    bench.did(outcome);
    assert_eq!(bench.machine.observed().boot_generation, None);
    assert_eq!(bench.machine.booted_from(), None);
    bench.wait(POST + BOOT);
    bench.reported(&[Report::Rebooted, booted("disk sda")]);
}

#[test]
fn a_plan_the_machine_cannot_boot_changes_nothing() {
    let mut bench = Bench::new();
    assert_eq!(
        kind(bench.machine.start(bench.now, &boot_from(BootTarget::Http), Requested)),
        BackendErrorKind::Unsupported
    );
    assert_eq!(bench.machine.power(), Off);
    let mut bench = Bench::up();
    assert_eq!(
        kind(bench.machine.reset(bench.now, &boot_from(BootTarget::Http))),
        BackendErrorKind::Unsupported
    );
    assert_eq!(bench.machine.phase, Phase::Up);
}

#[test]
fn the_button_shuts_the_operating_system_down() {
    let mut bench = Bench::up();
    bench.press();
    bench.reported(&[power(Stopping, Requested)]);
    bench.press();
    bench.wait(SHUTDOWN - TICK);
    bench.reported(&[]);
    bench.wait(TICK);
    bench.reported(&[power(Off, Requested)]);
    assert_eq!(kind(bench.machine.press_button(bench.now)), InvalidState);
    bench.start(&BootPlan::OwnOrder);
    bench.wait(POST + BOOT + SHUTDOWN);
    assert_eq!(bench.machine.power(), Running, "a second press while going down must not outlive the run");
}

#[test]
fn a_press_during_post_is_kept_until_the_operating_system_is_up() {
    let mut bench = Bench::new();
    bench.start(&BootPlan::OwnOrder);
    bench.press();
    bench.reported(&[power(Starting, Requested)]);
    bench.wait(POST + BOOT + SHUTDOWN);
    bench.reported(&[
        booted("disk sda"),
        power(Running, Requested),
        power(Stopping, Requested),
        power(Off, Requested),
    ]);
}

#[test]
fn a_kept_press_survives_a_reset_but_not_a_power_cut() {
    let mut bench = Bench::new();
    bench.start(&BootPlan::OwnOrder);
    bench.press();
    bench.wait(TICK);
    bench.reset(&BootPlan::OwnOrder);
    bench.wait(POST + BOOT + SHUTDOWN);
    assert_eq!(bench.machine.power(), Off);
    bench.start(&BootPlan::OwnOrder);
    bench.press();
    bench.machine.stop(Requested);
    bench.start(&BootPlan::OwnOrder);
    bench.wait(POST + BOOT + SHUTDOWN);
    assert_eq!(bench.machine.power(), Running);
}

#[test]
fn a_guest_that_sleeps_through_the_press_stays_up() {
    let mut bench = Bench::up();
    bench.machine.set_heeds_button(false);
    bench.press();
    bench.machine.set_heeds_button(true);
    bench.wait(SHUTDOWN * 2);
    bench.reported(&[]);
    bench.press();
    bench.reported(&[power(Stopping, Requested)]);
}

#[test]
fn a_reset_boots_again_without_a_power_change() {
    let mut bench = Bench::up();
    bench.reset(&boot_from(BootTarget::Pxe));
    assert_eq!(bench.machine.power(), Running);
    bench.wait(POST + BOOT);
    bench.reported(&[booted("network nic0")]);
    assert_eq!(bench.machine.power(), Running);
    let mut off = Bench::new();
    assert_eq!(kind(off.machine.reset(off.now, &BootPlan::OwnOrder)), InvalidState);
}

#[test]
fn a_reset_during_post_begins_it_anew() {
    let mut bench = Bench::new();
    bench.start(&BootPlan::OwnOrder);
    bench.wait(POST - TICK);
    bench.reset(&boot_from(BootTarget::Pxe));
    bench.wait(POST - TICK);
    bench.reported(&[power(Starting, Requested)]);
    bench.wait(TICK + BOOT);
    bench.reported(&[booted("network nic0"), power(Running, Requested)]);
}

#[test]
fn a_reset_ends_a_shutdown_and_a_pause() {
    let mut bench = Bench::up();
    bench.press();
    bench.reset(&BootPlan::OwnOrder);
    bench.wait(POST + BOOT + SHUTDOWN);
    bench.reported(&[power(Stopping, Requested), power(Running, Requested), booted("disk sda")]);
    bench.pause();
    bench.reset(&BootPlan::OwnOrder);
    bench.wait(POST + BOOT);
    bench.reported(&[power(Paused, Outside), power(Running, Requested), booted("disk sda")]);
}

#[test]
fn the_core_may_reset_a_machine_that_just_rebooted_itself() {
    let mut bench = Bench::up();
    let outcome = bench.machine.reboot_from_inside(bench.now);
    bench.did(outcome);
    bench.wait(TICK);
    bench.reset(&boot_from(BootTarget::Cdrom));
    bench.machine.set_cdrom(Some("live.iso".to_owned()));
    bench.wait(POST + BOOT);
    bench.reported(&[Report::Rebooted, booted("cdrom live.iso")]);
}

#[test]
fn power_is_removed_at_once_from_any_state() {
    for wait in [Duration::ZERO, POST, POST + BOOT] {
        let mut bench = Bench::new();
        bench.start(&BootPlan::OwnOrder);
        bench.wait(wait);
        bench.reports.clear();
        let reports = bench.machine.stop(Requested);
        assert_eq!(reports, [power(Off, Requested)]);
        assert_eq!(bench.machine.stop(Requested), [], "off already: nothing to report");
        bench.wait(POST * 10);
        bench.reported(&[]);
    }
    let mut paused = Bench::up();
    paused.pause();
    assert_eq!(paused.machine.stop(Crash), [power(Off, Crash)]);
}

#[test]
fn a_pause_stops_the_machines_time() {
    let mut bench = Bench::new();
    bench.start(&BootPlan::OwnOrder);
    bench.wait(POST - TICK);
    bench.pause();
    bench.pause();
    bench.wait(POST * 100);
    bench.reported(&[power(Starting, Requested), power(Paused, Outside)]);
    assert_eq!(kind(bench.machine.reboot_from_inside(bench.now)), InvalidState);
    bench.resume();
    bench.resume();
    bench.reported(&[power(Starting, Requested)]);
    bench.wait(TICK);
    bench.reported(&[booted("disk sda")]);
    let mut off = Bench::new();
    assert_eq!(kind(off.machine.pause(off.now, Outside)), InvalidState);
    assert_eq!(kind(off.machine.resume(off.now, Requested)), InvalidState);
}

#[test]
fn a_press_while_paused_is_heard_after_resuming() {
    let mut bench = Bench::up();
    bench.pause();
    bench.press();
    bench.wait(SHUTDOWN);
    bench.reported(&[power(Paused, Outside)]);
    bench.resume();
    bench.reported(&[power(Running, Requested), power(Stopping, Requested)]);
}

#[test]
fn the_guest_goes_down_by_itself() {
    let mut bench = Bench::up();
    let outcome = bench.machine.power_off_from_inside(bench.now);
    bench.did(outcome);
    bench.wait(SHUTDOWN);
    bench.reported(&[power(Stopping, Guest), power(Off, Guest)]);
    assert_eq!(kind(bench.machine.power_off_from_inside(bench.now)), InvalidState);
    assert_eq!(kind(bench.machine.reboot_from_inside(bench.now)), InvalidState);
}

#[test]
fn a_start_by_somebody_else_says_so_to_the_end() {
    let mut bench = Bench::new();
    let outcome = bench.machine.start(bench.now, &BootPlan::OwnOrder, Outside);
    bench.did(outcome);
    bench.wait(POST + BOOT);
    bench.reported(&[power(Starting, Outside), booted("disk sda"), power(Running, Outside)]);
}

#[test]
fn the_setup_screen_is_running_and_ends_with_reset_or_button() {
    let mut bench = Bench::new();
    bench.start(&boot_from(BootTarget::BiosSetup));
    bench.wait(POST * 10);
    bench.reported(&[power(Starting, Requested), booted("firmware setup"), power(Running, Requested)]);
    assert_eq!(kind(bench.machine.power_off_from_inside(bench.now)), InvalidState);
    bench.reset(&BootPlan::OwnOrder);
    bench.wait(POST + BOOT);
    bench.reported(&[booted("disk sda")]);
    bench.reset(&boot_from(BootTarget::BiosSetup));
    bench.wait(POST);
    bench.press();
    bench.reported(&[booted("firmware setup"), power(Off, Requested)]);
}

#[test]
fn interrupts_are_counted_while_it_has_power() {
    let mut bench = Bench::new();
    assert_eq!(kind(bench.machine.interrupt()), InvalidState);
    bench.start(&BootPlan::OwnOrder);
    bench.machine.interrupt().unwrap();
    bench.machine.interrupt().unwrap();
    assert_eq!(bench.machine.interrupts(), 2);
}

#[test]
fn the_firmware_mode_can_be_switched_and_brings_http() {
    let mut bench = Bench::up();
    let reports = bench.machine.set_firmware(FirmwareMode::Uefi);
    assert_eq!(reports, [Report::Info(bench.machine.info().clone())]);
    assert_eq!(bench.machine.info().firmware, FirmwareMode::Uefi);
    bench.reset(&boot_from(BootTarget::Http));
    bench.wait(POST);
    bench.reported(&[booted("http nic0")]);
    bench.machine.set_firmware(FirmwareMode::Legacy);
    assert!(!bench.machine.info().boot_targets.contains(&BootTarget::Http));
}

#[test]
fn time_that_has_not_come_changes_nothing() {
    let mut bench = Bench::new();
    bench.start(&BootPlan::OwnOrder);
    bench.reports.clear();
    assert_eq!(bench.machine.expire(bench.now + POST - TICK), []);
    assert_eq!(bench.machine.deadline(), Some(bench.now + POST));
}
