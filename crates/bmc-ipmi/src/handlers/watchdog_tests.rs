//! The watchdog timer as clients set, start and read it, and what it does to the machine.

use std::time::Duration;

use bmc_core::backend::ObservedPower;
use bmc_core::power::{PowerState, RestartCause};

use crate::handlers::testing::{Bench, bad_lengths};

async fn set(bench: &Bench, data: &[u8]) -> u8 {
    bench.raw(0x06, 0x24, data).await.0
}

async fn reset(bench: &Bench) -> u8 {
    bench.raw(0x06, 0x22, &[]).await.0
}

async fn get(bench: &Bench) -> Vec<u8> {
    let (code, data) = bench.raw(0x06, 0x25, &[]).await;
    assert_eq!(code, 0);
    data
}

#[tokio::test(start_paused = true)]
async fn what_is_set_is_read_back() {
    let bench = Bench::new().await;
    assert_eq!(get(&bench).await, [0x04, 0, 0, 0, 0, 0, 0, 0], "nothing is set yet");
    let rows: [(&[u8], &[u8]); 4] = [
        (&[0x04, 0x01, 0, 0, 0x58, 0x02], &[0x04, 0x01, 0, 0, 0x58, 0x02, 0x58, 0x02]),
        (&[0x81, 0x12, 10, 0, 0xff, 0xff], &[0x81, 0x12, 10, 0, 0xff, 0xff, 0xff, 0xff]),
        (&[0x42, 0x33, 1, 0x3e, 10, 0], &[0x02, 0x33, 1, 0, 10, 0, 10, 0]),
        // Reserved bits are left out.
        (&[0x3d, 0x88, 0, 0xc1, 1, 0], &[0x05, 0x00, 0, 0, 1, 0, 1, 0]),
    ];
    for (write, read) in rows {
        assert_eq!(set(&bench, write).await, 0, "{write:02x?}");
        assert_eq!(get(&bench).await, read, "{write:02x?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_counts_down_and_acts_on_the_machine() {
    let bench = Bench::new().await;
    bench.power(ObservedPower::Running, PowerState::On).await;
    assert_eq!(reset(&bench).await, 0x80, "it has not been set");
    assert_eq!(set(&bench, &[0x04, 0x21, 2, 0, 100, 0]).await, 0);
    assert_eq!(get(&bench).await[0], 0x04, "it has not been started");
    assert_eq!(reset(&bench).await, 0);
    tokio::time::advance(Duration::from_millis(2_500)).await;
    assert_eq!(get(&bench).await, [0x44, 0x21, 2, 0, 100, 0, 75, 0]);
    assert_eq!(reset(&bench).await, 0);
    assert_eq!(get(&bench).await[6], 100);
    bench.until(|snapshot| snapshot.watchdog.pre_timeout_reached()).await;
    assert_eq!(reset(&bench).await, 0xd5, "only a set stops it now");
    assert_eq!(bench.raw(0x06, 0x31, &[]).await, (0, vec![0x08]), "the message flag");
    assert_eq!(bench.raw(0x06, 0x30, &[0x01]).await.0, 0);
    assert_eq!(bench.raw(0x06, 0x31, &[]).await, (0, vec![0x08]));
    assert_eq!(bench.raw(0x06, 0x30, &[0x08]).await.0, 0);
    assert_eq!(bench.raw(0x06, 0x31, &[]).await, (0, vec![0]));
    bench.until(|snapshot| snapshot.restart_cause == RestartCause::Watchdog).await;
    assert_eq!(bench.calls(), ["nmi", "reset"]);
    assert_eq!(get(&bench).await, [0x04, 0x21, 2, 0x10, 100, 0, 0, 0]);
    assert_eq!(bench.raw(0x00, 0x07, &[]).await.1[0], 4);
    assert_eq!(set(&bench, &[0x04, 0x00, 0, 0x10, 100, 0]).await, 0);
    assert_eq!(get(&bench).await[3], 0);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_says_dont_stop_lets_it_count_on() {
    let bench = Bench::new().await;
    assert_eq!(set(&bench, &[0x45, 0x00, 0, 0, 100, 0]).await, 0);
    assert_eq!(get(&bench).await[0], 0x05, "what does not run is not started");
    assert_eq!(reset(&bench).await, 0);
    assert_eq!(set(&bench, &[0x45, 0x00, 0, 0, 200, 0]).await, 0);
    assert_eq!(get(&bench).await, [0x45, 0x00, 0, 0, 200, 0, 200, 0]);
    assert_eq!(set(&bench, &[0x05, 0x00, 0, 0, 200, 0]).await, 0);
    assert_eq!(get(&bench).await[0], 0x05);
}

#[tokio::test(start_paused = true)]
async fn a_cold_reset_of_the_bmc_forgets_it_and_a_warm_one_does_not() {
    let bench = Bench::new().await;
    assert_eq!(set(&bench, &[0x05, 0x00, 0, 0, 100, 0]).await, 0);
    assert_eq!(reset(&bench).await, 0);
    assert_eq!(bench.raw(0x06, 0x03, &[]).await.0, 0);
    assert_eq!(get(&bench).await[0], 0x45);
    assert_eq!(bench.raw(0x06, 0x02, &[]).await.0, 0);
    assert_eq!(get(&bench).await, [0x04, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(reset(&bench).await, 0x80);
}

#[tokio::test]
async fn bad_data_is_refused() {
    let bench = Bench::new().await;
    let rows: [&[u8]; 9] = [
        &[0x00, 0x00, 0, 0, 1, 0],
        &[0x06, 0x00, 0, 0, 1, 0],
        &[0x47, 0x00, 0, 0, 1, 0],
        &[0x04, 0x04, 0, 0, 1, 0],
        &[0x04, 0x07, 0, 0, 1, 0],
        &[0x04, 0x40, 0, 0, 1, 0],
        &[0x04, 0x70, 0, 0, 1, 0],
        &[0x04, 0x11, 1, 0, 9, 0],
        &[0x04, 0x21, 255, 0, 0, 0],
    ];
    for data in rows {
        assert_eq!(set(&bench, data).await, 0xcc, "{data:02x?}");
    }
    assert!(!bench.machine.snapshot().watchdog.is_set());
    bad_lengths(&bench, 0x06, 0x24, &[0x04, 0x01, 0, 0, 100, 0], &[6]).await;
    bad_lengths(&bench, 0x06, 0x24, &[0x00, 0x77, 0, 0, 100, 0], &[6]).await;
    bad_lengths(&bench, 0x06, 0x22, &[], &[0]).await;
    bad_lengths(&bench, 0x06, 0x25, &[], &[0]).await;
}
