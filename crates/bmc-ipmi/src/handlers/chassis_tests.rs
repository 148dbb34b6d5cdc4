//! Chassis commands against a simulated machine.

use bmc_core::backend::{ObservedPower, Report};
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::power::PowerState;
use ipmi_wire::command::Payload;

use super::*;
use crate::handlers::testing::{Bench, bad_lengths};

const OFF: u8 = 0;
const ON: u8 = 1;
const CYCLE: u8 = 2;
const RESET: u8 = 3;
const DIAG: u8 = 4;
const SOFT: u8 = 5;

async fn control(bench: &Bench, control: u8) -> u8 {
    bench.raw(0x00, 0x02, &[control]).await.0
}

#[tokio::test]
async fn capabilities() {
    let bench = Bench::new().await;
    let capabilities = bench.ask(GetChassisCapabilities).await;
    assert_eq!(capabilities.encode(), [0x04, 0x20, 0x20, 0x20, 0x20, 0x20]);
    bad_lengths(&bench, 0x00, 0x00, &[], &[0]).await;

    // What a client sets takes the place of the truth, but not of what cannot be set.
    let rows: [(&[u8], &[u8]); 2] = [
        (&[0x03, 0x20, 0x22, 0x24, 0x26, 0x28], &[0x07, 0x20, 0x22, 0x24, 0x26, 0x28]),
        (&[0xfe, 0x00, 0x20, 0x20, 0x20], &[0x06, 0x00, 0x20, 0x20, 0x20, 0x20]),
    ];
    for (write, read) in rows {
        assert_eq!(bench.raw(0x00, 0x05, write).await, (0, vec![]));
        assert_eq!(bench.raw(0x00, 0x00, &[]).await.1, read);
    }
    bad_lengths(&bench, 0x00, 0x05, &[0, 0x20, 0x20, 0x20, 0x20, 0x20], &[5, 6]).await;
}

#[tokio::test]
async fn front_panel_buttons_are_kept_and_shown() {
    let bench = Bench::new().await;
    // What is disabled, the lock-out in byte 3, and byte 4.
    for (disable, locked, buttons) in [
        (0x00_u8, 0x00_u8, 0xf0_u8),
        (0x01, 0x00, 0xf1),
        (0x03, 0x02, 0xf3),
        (0xff, 0x02, 0xff),
        (0x0c, 0x00, 0xfc),
    ] {
        assert_eq!(bench.raw(0x00, 0x0a, &[disable]).await, (0, vec![]));
        let (_, status) = bench.raw(0x00, 0x01, &[]).await;
        assert_eq!((status[2] & 0x0f, status[3]), (locked, buttons), "{disable:02x}");
    }
    bad_lengths(&bench, 0x00, 0x0a, &[0], &[1]).await;
}

#[tokio::test(start_paused = true)]
async fn cycle_interval_is_waited_for_between_off_and_on() {
    let bench = Bench::new().await;
    assert_eq!(bench.raw(0x00, 0x0b, &[10]).await, (0, vec![]));
    bench.power(ObservedPower::Running, PowerState::On).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(control(&bench, CYCLE).await, 0);
    let answered = begin.elapsed();
    assert!(answered < Duration::from_secs(1), "clients give up after a second: {answered:?}");
    assert_eq!(bench.calls(), ["stop"]);
    bench.until(|snapshot| snapshot.power == PowerState::On).await;
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(bench.calls(), ["start"]);
    bad_lengths(&bench, 0x00, 0x0b, &[0], &[1]).await;
}

#[tokio::test(start_paused = true)]
async fn power_on_hours_count_minutes_while_the_machine_is_on() {
    let bench = Bench::new().await;
    let hours = || async { bench.raw(0x00, 0x0f, &[]).await };
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(hours().await, (0, vec![1, 0, 0, 0, 0]));
    bench.power(ObservedPower::Running, PowerState::On).await;
    tokio::time::advance(Duration::from_secs(61 * 60)).await;
    assert_eq!(hours().await, (0, vec![1, 61, 0, 0, 0]));
    bench.power(ObservedPower::Off, PowerState::Off).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(hours().await, (0, vec![1, 61, 0, 0, 0]));
    bad_lengths(&bench, 0x00, 0x0f, &[], &[0]).await;
}

/// Every command that only reads, while the machine's call hangs. Time stands still: what has to wait would never come.
#[tokio::test(start_paused = true)]
async fn control_that_hangs_delays_no_read() {
    let bench = Bench::new().await;
    bench.hold(true);
    assert_eq!(control(&bench, ON).await, 0, "accepted after 700 ms");
    assert_eq!(bench.calls(), ["start"]);
    let begin = tokio::time::Instant::now();
    for entry in
        crate::table::TABLE.iter().filter(|entry| matches!(entry.handler, crate::table::Handler::Read(_)))
    {
        let mut data = vec![1];
        // Some need data, and which is of no matter here: a refusal is an answer.
        for _ in 0..8 {
            bench.raw(entry.netfn.get(), entry.cmd, &data).await;
            data.push(0);
        }
        bench.raw(entry.netfn.get(), entry.cmd, &[]).await;
    }
    assert!(!bench.ask(GetChassisStatus).await.power_on);
    // Settings wait for the store, never for the machine.
    assert_eq!(bench.raw(0x00, 0x04, &[5]).await.0, 0);
    assert_eq!(bench.raw(0x00, 0x08, &[5, 0x80, 0x04, 0, 0, 0]).await.0, 0);
    assert_eq!(bench.raw(0x00, 0x0b, &[1]).await.0, 0);
    assert!(begin.elapsed() < Duration::from_millis(50));
    bench.hold(false);
    bench.until(|snapshot| snapshot.power == PowerState::On).await;
}

#[tokio::test]
async fn status_reads_on_and_off_as_clients_expect_it() {
    let bench = Bench::new().await;
    let rows = [
        (ObservedPower::Starting, PowerState::PoweringOn, false),
        (ObservedPower::Running, PowerState::On, true),
        (ObservedPower::Paused, PowerState::Paused, true),
        (ObservedPower::Stopping, PowerState::PoweringOff, true),
        (ObservedPower::Off, PowerState::Off, false),
    ];
    for (observed, state, on) in rows {
        bench.power(observed, state).await;
        assert_eq!(bench.ask(GetChassisStatus).await.power_on, on, "{state:?}");
    }
    bad_lengths(&bench, 0x00, 0x01, &[], &[0]).await;
}

#[tokio::test]
async fn status_tells_how_the_power_last_changed() {
    let bench = Bench::new().await;
    assert_eq!(control(&bench, ON).await, 0);
    bench.until(|snapshot| snapshot.power == PowerState::On).await;
    let status = bench.ask(GetChassisStatus).await;
    assert!(status.last_power_event.on_by_command && !status.power_control_fault);
    bench.backend.report(Report::Power { power: ObservedPower::Off, cause: ChangeCause::Crash });
    bench.until(|snapshot| snapshot.power == PowerState::Off).await;
    assert!(bench.ask(GetChassisStatus).await.last_power_event.off_by_fault);
}

#[tokio::test]
async fn status_of_a_machine_that_cannot_be_reached_is_an_error() {
    let bench = Bench::new().await;
    for kind in BackendErrorKind::ALL {
        let reason = BackendError::new(kind, "as the test said");
        bench.backend.report(Report::Unavailable(reason.clone()));
        bench.until(|snapshot| snapshot.health == Health::Unavailable(reason.clone())).await;
        assert_eq!(bench.raw(0x00, 0x01, &[]).await.0, error::backend(kind).0, "{kind:?}");
        assert_ne!(control(&bench, ON).await, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn control_follows_the_power_table() {
    let bench = Bench::new().await;
    for refused in [RESET, CYCLE, DIAG, SOFT] {
        assert_eq!(control(&bench, refused).await, 0xd5, "{refused}");
    }
    assert_eq!(control(&bench, OFF).await, 0);
    assert!(bench.calls().is_empty());
    let steps: [(u8, &[&str]); 5] =
        [(ON, &["start"]), (ON, &[]), (RESET, &["reset"]), (DIAG, &["nmi"]), (CYCLE, &["stop", "start"])];
    for (step, calls) in steps {
        assert_eq!(control(&bench, step).await, 0, "{step}");
        bench.until(|snapshot| snapshot.power == PowerState::On).await;
        assert_eq!(bench.calls(), calls, "{step}");
    }
    assert_eq!(control(&bench, SOFT).await, 0);
    bench.until(|snapshot| snapshot.power == PowerState::PoweringOff).await;
    assert_eq!(control(&bench, ON).await, 0xc0, "on its way down");
    assert_eq!(control(&bench, OFF).await, 0);
    bench.until(|snapshot| snapshot.power == PowerState::Off).await;
    assert_eq!(bench.calls(), ["shutdown", "stop"]);
}

#[tokio::test]
async fn control_tells_the_backends_failure() {
    let bench = Bench::new().await;
    for kind in BackendErrorKind::ALL {
        bench.fail(Some(kind));
        assert_eq!(control(&bench, ON).await, error::backend(kind).0, "{kind:?}");
    }
}

#[tokio::test]
async fn control_refuses_bad_data() {
    let bench = Bench::new().await;
    for undefined in 6..16 {
        assert_eq!(control(&bench, undefined).await, 0xcc);
    }
    bad_lengths(&bench, 0x00, 0x02, &[OFF], &[1]).await;
    assert!(bench.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn identify_burns_for_a_time_or_until_switched_off() {
    let bench = Bench::new().await;
    // The light as bits 6..4 of the status' third byte.
    let rows: [(&[u8], u8); 7] = [
        (&[], 0x50),
        (&[0], 0x40),
        (&[60], 0x50),
        (&[0, 1], 0x60),
        (&[0, 0], 0x40),
        (&[5, 1], 0x60),
        (&[5, 0], 0x50),
    ];
    for (data, misc) in rows {
        assert_eq!(bench.raw(0x00, 0x04, data).await.0, 0, "{data:02x?}");
        assert_eq!(bench.raw(0x00, 0x01, &[]).await.1.get(2), Some(&misc), "{data:02x?}");
    }
    // Time is virtual: the light goes off by itself after its five seconds.
    bench.until(|snapshot| snapshot.identify == IdentifyState::Off).await;
    bad_lengths(&bench, 0x00, 0x04, &[1], &[0, 1, 2]).await;
}

#[tokio::test]
async fn restore_policy_is_kept_and_read_back() {
    let bench = Bench::new().await;
    for (policy, bits) in [(1_u8, 0x20_u8), (2, 0x40), (3, 0x40), (0, 0x00), (3, 0x00)] {
        assert_eq!(bench.raw(0x00, 0x06, &[policy]).await, (0, vec![0x07]));
        let (_, status) = bench.raw(0x00, 0x01, &[]).await;
        assert_eq!(status.first().map(|byte| byte & 0x60), Some(bits), "policy {policy}");
    }
    for undefined in 4..8 {
        assert_eq!(bench.raw(0x00, 0x06, &[undefined]).await.0, 0xcc);
    }
    bad_lengths(&bench, 0x00, 0x06, &[3], &[1]).await;
}

#[tokio::test]
async fn restart_cause_is_the_last_one() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.raw(0x00, 0x07, &[]).await, (0, vec![0, 1]));
    assert_eq!(control(&bench, ON).await, 0);
    bench.until(|snapshot| snapshot.power == PowerState::On).await;
    assert_eq!(bench.ask(GetSystemRestartCause).await.cause, RestartCause::ChassisControl);
    bench.backend.report(Report::Rebooted);
    bench.until(|snapshot| snapshot.restart_cause == CoreCause::SoftReset).await;
    assert_eq!(bench.ask(GetSystemRestartCause).await.cause, RestartCause::SoftReset);
    bench.power(ObservedPower::Off, PowerState::Off).await;
    bench.power(ObservedPower::Running, PowerState::On).await;
    assert_eq!(bench.ask(GetSystemRestartCause).await.cause, RestartCause::PowerButton);
    bench.context.channel = 3;
    assert_eq!(control(&bench, RESET).await, 0);
    assert_eq!(bench.raw(0x00, 0x07, &[]).await, (0, vec![1, 3]));
    bad_lengths(&bench, 0x00, 0x07, &[], &[0]).await;
}

#[tokio::test]
async fn status_tells_of_a_fan_that_is_too_slow() {
    let bench = Bench::new().await;
    bench.power(ObservedPower::Running, PowerState::On).await;
    let fan =
        bench.context.bmc.snapshot().sensors().iter().find(|one| one.sensor_type == SensorType::Fan).cloned();
    let fan = fan.unwrap().number;
    assert!(!bench.ask(GetChassisStatus).await.fan_fault);
    // Its lower critical threshold goes above what any fan turns.
    assert_eq!(bench.raw(0x04, 0x26, &[fan, 0x02, 0, 0xff, 0, 0, 0, 0]).await.0, 0);
    assert!(bench.ask(GetChassisStatus).await.fan_fault);
    bench.power(ObservedPower::Off, PowerState::Off).await;
    assert!(!bench.ask(GetChassisStatus).await.fan_fault, "a fan that stands still because it may is none");
}
