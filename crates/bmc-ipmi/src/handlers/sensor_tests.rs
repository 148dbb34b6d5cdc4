//! Sensor commands against a machine that does what the test says.

use bmc_core::backend::{ObservedPower, Report, Statistics};
use bmc_core::error::BackendError;
use bmc_core::event::EventKind;
use bmc_core::power::PowerState;
use bmc_core::sensor::number;
use bmc_core::snapshot::Health;

use super::*;
use crate::handlers::testing::{Bench, bad_lengths};

const SENSOR: u8 = 0x04;
/// A number that no sensor has.
const NONE: u8 = 0x7e;
/// A discrete sensor.
const DISCRETE: u8 = number::POWER_UNIT;
const CPU: u8 = number::CPU_TEMPERATURE;

async fn load(bench: &Bench, percent: u8) {
    let statistics = Statistics { cpu_percent: percent, memory_percent: 30, ..Default::default() };
    bench.backend.report(Report::Statistics(statistics));
    bench.until(|snapshot| snapshot.statistics == statistics).await;
}

async fn running() -> Bench {
    let bench = Bench::new().await;
    bench.power(ObservedPower::Running, PowerState::On).await;
    load(&bench, 10).await;
    bench
}

async fn reading(bench: &Bench, sensor: u8) -> SensorReading {
    bench.ask(GetSensorReading { sensor }).await
}

/// The threshold events so far, by sensor and offset.
fn events(bench: &Bench) -> Vec<(u8, u8, bool)> {
    let (events, _) = bench.fleet.events().follow(0);
    let thresholds = events.into_iter().filter_map(|event| match event.kind {
        EventKind::SensorThreshold(event) => Some((event.sensor, event.offset(), event.asserted)),
        _ => None,
    });
    thresholds.collect()
}

#[tokio::test]
async fn readings_follow_the_machine() {
    let bench = running().await;
    load(&bench, 40).await;
    let rows = [
        (number::CPU_LOAD, 40),
        (CPU, 53),
        (number::MEMORY_IN_USE, 30),
        (number::INLET_TEMPERATURE, 22),
        (number::BOARD_TEMPERATURE, 32),
        (number::FAN_1, 108),
        (number::POWER_DRAW, 11),
    ];
    for (sensor, raw) in rows {
        let reading = reading(&bench, sensor).await;
        assert_eq!((reading.reading, reading.unavailable, reading.low), (raw, false, 0), "{sensor:02x}h");
        assert!(reading.scanning);
    }
    assert_eq!(bench.raw(SENSOR, 0x2d, &[number::ACPI_POWER_STATE]).await, (0, vec![0, 0xc0, 0x01, 0x80]));
    bench.power(ObservedPower::Off, PowerState::Off).await;
    assert_eq!(bench.raw(SENSOR, 0x2d, &[number::ACPI_POWER_STATE]).await, (0, vec![0, 0xc0, 0x20, 0x80]));
    assert_eq!(bench.raw(SENSOR, 0x2d, &[CPU]).await, (0, vec![0, 0xe0, 0xc0]), "no reading");
    assert_eq!(reading(&bench, number::INLET_TEMPERATURE).await.reading, 22);
    let reason = BackendError::unavailable("as the test said");
    bench.backend.report(Report::Unavailable(reason.clone()));
    bench.until(|snapshot| snapshot.health == Health::Unavailable(reason.clone())).await;
    assert!(reading(&bench, number::BOARD_TEMPERATURE).await.unavailable);
    assert_eq!(bench.raw(SENSOR, 0x2d, &[NONE]).await.0, 0xcb);
    assert_eq!(bench.raw(SENSOR, 0x2d, &[number::EVENT_LOG]).await.0, 0xcd, "events only");
    bad_lengths(&bench, SENSOR, 0x2d, &[CPU], &[1]).await;
}

#[tokio::test]
async fn factors_are_those_of_the_record() {
    let bench = running().await;
    assert_eq!(bench.raw(SENSOR, 0x23, &[number::FAN_1, 9]).await, (0, vec![9, 50, 0, 0, 0, 0, 0]));
    assert_eq!(bench.raw(SENSOR, 0x23, &[NONE, 9]).await.0, 0xcb);
    assert_eq!(bench.raw(SENSOR, 0x23, &[DISCRETE, 9]).await.0, 0xcd);
    bad_lengths(&bench, SENSOR, 0x23, &[CPU, 0], &[2]).await;
}

#[tokio::test]
async fn hysteresis_is_kept_and_read_back() {
    let bench = running().await;
    assert_eq!(bench.raw(SENSOR, 0x25, &[CPU, 0xff]).await, (0, vec![3, 0]));
    assert_eq!(bench.raw(SENSOR, 0x24, &[CPU, 0xff, 7, 1]).await.0, 0);
    assert_eq!(bench.raw(SENSOR, 0x25, &[CPU, 0xff]).await, (0, vec![7, 1]));
    for (sensor, code) in [(NONE, 0xcb), (DISCRETE, 0xcd)] {
        assert_eq!(bench.raw(SENSOR, 0x24, &[sensor, 0xff, 7, 1]).await.0, code);
        assert_eq!(bench.raw(SENSOR, 0x25, &[sensor, 0xff]).await.0, code);
    }
    bad_lengths(&bench, SENSOR, 0x24, &[CPU, 0xff, 7, 1], &[4]).await;
    bad_lengths(&bench, SENSOR, 0x25, &[CPU, 0xff], &[2]).await;
}

#[tokio::test]
async fn thresholds_are_kept_and_crossed_with_hysteresis() {
    let bench = running().await;
    assert_eq!(bench.raw(SENSOR, 0x27, &[CPU]).await, (0, vec![0x38, 0, 0, 0, 85, 95, 105]));
    assert_eq!(bench.raw(SENSOR, 0x26, &[CPU, 0x08, 9, 9, 9, 60, 9, 9]).await.0, 0);
    assert_eq!(bench.raw(SENSOR, 0x27, &[CPU]).await, (0, vec![0x38, 0, 0, 0, 60, 95, 105]));
    load(&bench, 60).await;
    assert_eq!(reading(&bench, CPU).await.low, 0x08);
    load(&bench, 50).await;
    assert_eq!(reading(&bench, CPU).await.low, 0x08, "57 °C is the threshold less the hysteresis");
    load(&bench, 40).await;
    assert_eq!(reading(&bench, CPU).await.low, 0);
    assert_eq!(events(&bench), [(CPU, 7, true), (CPU, 7, false)]);
    // A threshold that moves below the reading is crossed by that.
    assert_eq!(bench.raw(SENSOR, 0x26, &[CPU, 0x10, 0, 0, 0, 0, 50, 0]).await.0, 0);
    assert_eq!(events(&bench)[2..], [(CPU, 9, true)]);
    // Thresholds that the sensor does not have, no sensor, no thresholds.
    for (data, code) in [
        ([CPU, 0x01, 1, 0, 0, 0, 0, 0], 0xcc),
        ([NONE, 8, 0, 0, 0, 0, 0, 0], 0xcb),
        ([DISCRETE, 8, 0, 0, 0, 0, 0, 0], 0xcd),
    ] {
        assert_eq!(bench.raw(SENSOR, 0x26, &data).await.0, code, "{data:02x?}");
    }
    assert_eq!(bench.raw(SENSOR, 0x27, &[NONE]).await.0, 0xcb);
    assert_eq!(bench.raw(SENSOR, 0x27, &[DISCRETE]).await.0, 0xcd);
    bad_lengths(&bench, SENSOR, 0x26, &[CPU, 0, 0, 0, 0, 0, 0, 0], &[8]).await;
    bad_lengths(&bench, SENSOR, 0x27, &[CPU], &[1]).await;
}

#[tokio::test]
async fn event_enable_decides_what_is_told() {
    let bench = running().await;
    let all = vec![0xc0, 0x80, 0x0a, 0x80, 0x0a];
    assert_eq!(bench.raw(SENSOR, 0x29, &[CPU]).await, (0, all.clone()));
    // Deassertions of offset 7 off; then all events off, single enables kept.
    assert_eq!(bench.raw(SENSOR, 0x28, &[CPU, 0xe0, 0, 0, 0x80, 0]).await.0, 0);
    assert_eq!(bench.raw(SENSOR, 0x29, &[CPU]).await.1, [0xc0, 0x80, 0x0a, 0x00, 0x0a]);
    assert_eq!(bench.raw(SENSOR, 0x26, &[CPU, 0x08, 0, 0, 0, 60, 0, 0]).await.0, 0);
    load(&bench, 60).await;
    load(&bench, 10).await;
    assert_eq!(events(&bench), [(CPU, 7, true)]);
    assert_eq!(bench.raw(SENSOR, 0x28, &[CPU, 0x40]).await.0, 0);
    load(&bench, 60).await;
    assert_eq!(events(&bench).len(), 1);
    // Scanning off: the reading is not to be used.
    assert_eq!(bench.raw(SENSOR, 0x28, &[CPU, 0x80]).await.0, 0);
    assert!(!reading(&bench, CPU).await.scanning);
    // Enabling what there is not changes nothing.
    assert_eq!(bench.raw(SENSOR, 0x28, &[CPU, 0xd0, 0xff, 0xff, 0xff, 0xff]).await.0, 0);
    assert_eq!(bench.raw(SENSOR, 0x29, &[CPU]).await, (0, all));
    assert_eq!(bench.raw(SENSOR, 0x29, &[number::SESSION_AUDIT]).await, (0, vec![0xc0, 0x0c, 0, 0, 0]));
    // Sessions that come and go are told only on request.
    assert_eq!(bench.raw(SENSOR, 0x28, &[number::SESSION_AUDIT, 0xd0, 0x03]).await.0, 0);
    assert_eq!(bench.raw(SENSOR, 0x29, &[number::SESSION_AUDIT]).await, (0, vec![0xc0, 0x0f, 0, 0, 0]));
    assert_eq!(bench.raw(SENSOR, 0x28, &[CPU, 0x30]).await.0, 0xcc, "enable and disable at once");
    assert_eq!(bench.raw(SENSOR, 0x28, &[NONE, 0xc0]).await.0, 0xcb);
    assert_eq!(bench.raw(SENSOR, 0x29, &[NONE]).await.0, 0xcb);
    bad_lengths(&bench, SENSOR, 0x28, &[CPU, 0xc0], &[2, 3, 4, 5, 6]).await;
    bad_lengths(&bench, SENSOR, 0x29, &[CPU], &[1]).await;
}

#[tokio::test]
async fn event_status_and_rearming() {
    let bench = running().await;
    assert_eq!(bench.raw(SENSOR, 0x26, &[CPU, 0x08, 0, 0, 0, 60, 0, 0]).await.0, 0);
    load(&bench, 60).await;
    assert_eq!(bench.raw(SENSOR, 0x2b, &[CPU]).await, (0, vec![0xc0, 0x80, 0, 0, 0]));
    // The condition holds, so that re-arming tells of it anew.
    assert_eq!(bench.raw(SENSOR, 0x2a, &[CPU, 0x80, 0, 0x02]).await.0, 0);
    assert_eq!(events(&bench).len(), 1, "another event");
    assert_eq!(bench.raw(SENSOR, 0x2a, &[CPU, 0x00]).await.0, 0);
    assert_eq!(events(&bench), [(CPU, 7, true), (CPU, 7, true)]);
    load(&bench, 10).await;
    assert_eq!(bench.raw(SENSOR, 0x2b, &[CPU]).await, (0, vec![0xc0, 0, 0, 0x80, 0]));
    bench.power(ObservedPower::Off, PowerState::Off).await;
    assert_eq!(bench.raw(SENSOR, 0x2b, &[CPU]).await.1[0], 0xe0);
    assert_eq!(bench.raw(SENSOR, 0x2b, &[DISCRETE]).await, (0, vec![0xc0, 1, 0, 0, 0]));
    for (sensor, code) in [(NONE, 0xcb), (number::SESSION_AUDIT, 0xcd)] {
        assert_eq!(bench.raw(SENSOR, 0x2a, &[sensor, 0]).await.0, code);
        assert_eq!(bench.raw(SENSOR, 0x2b, &[sensor]).await.0, code);
    }
    bad_lengths(&bench, SENSOR, 0x2a, &[CPU, 0], &[2, 3, 4, 5, 6]).await;
    bad_lengths(&bench, SENSOR, 0x2b, &[CPU], &[1]).await;
}

#[tokio::test]
async fn device_sdrs_are_those_of_the_repository() {
    let bench = running().await;
    let sensors = bench.machine.snapshot().sensors().len() as u8;
    assert_eq!(bench.raw(SENSOR, 0x20, &[]).await, (0, vec![sensors, 1]));
    assert_eq!(bench.raw(SENSOR, 0x20, &[0]).await, (0, vec![sensors, 1]));
    assert_eq!(bench.raw(SENSOR, 0x20, &[1]).await, (0, vec![sensors + 2, 1]));
    let (_, reservation) = bench.raw(SENSOR, 0x22, &[]).await;
    let request = [reservation[0], reservation[1], 0, 0, 5, 4];
    let device = bench.raw(SENSOR, 0x21, &request).await;
    assert_eq!(device.0, 0);
    assert_eq!(bench.raw(0x0a, 0x23, &request).await, device);
    assert_eq!(bench.raw(SENSOR, 0x21, &[0, 0, 0, 0, 5, 4]).await.0, 0xc5);
    bad_lengths(&bench, SENSOR, 0x20, &[0], &[0, 1]).await;
    bad_lengths(&bench, SENSOR, 0x21, &request, &[6]).await;
    bad_lengths(&bench, SENSOR, 0x22, &[], &[0]).await;
}

#[tokio::test]
async fn types_are_told_and_nothing_can_be_forced() {
    let bench = running().await;
    assert_eq!(bench.raw(SENSOR, 0x2f, &[CPU]).await, (0, vec![0x01, 0x01]));
    assert_eq!(bench.raw(SENSOR, 0x2f, &[DISCRETE]).await, (0, vec![0x09, 0x6f]));
    assert_eq!(bench.raw(SENSOR, 0x2f, &[NONE]).await.0, 0xcb);
    for (sensor, code) in [(NONE, 0xcb), (CPU, 0xcd)] {
        assert_eq!(bench.raw(SENSOR, 0x2e, &[sensor, 1, 1]).await.0, code);
        assert_eq!(bench.raw(SENSOR, 0x30, &[sensor, 1, 99]).await.0, code);
    }
    bad_lengths(&bench, SENSOR, 0x2e, &[CPU, 1, 1], &[3]).await;
    bad_lengths(&bench, SENSOR, 0x2f, &[CPU], &[1]).await;
    bad_lengths(&bench, SENSOR, 0x30, &[CPU, 1, 99], &[3, 4, 5, 6, 7, 8, 9, 10]).await;
}
