//! The configuration parameters of Serial over LAN, byte by byte.

use crate::Caller;
use crate::handlers::testing::{Bench, bad_lengths};
use ipmi_wire::PrivilegeLevel;

const SET: u8 = 0x21;
const GET: u8 = 0x22;

async fn get(bench: &Bench, parameter: u8) -> (u8, Vec<u8>) {
    bench.raw(0x0c, GET, &[0x0e, parameter, 0, 0]).await
}

async fn set(bench: &Bench, data: &[u8]) -> u8 {
    bench.raw(0x0c, SET, &[&[0x0e], data].concat()).await.0
}

#[tokio::test]
async fn a_new_bmc_has_serial_over_lan_on() {
    let bench = Bench::new().await;
    for (parameter, value) in [
        (0, &[0x00][..]),
        (1, &[0x01]),
        (2, &[0x03]),
        (3, &[4, 96]),
        (4, &[7, 50]),
        (5, &[10]),
        (6, &[10]),
        (7, &[1]),
        (8, &[0x6f, 0x02]),
    ] {
        let want = [&[0x11], value].concat();
        assert_eq!(get(&bench, parameter).await, (0, want), "parameter {parameter}");
        assert_eq!(bench.raw(0x0c, GET, &[0x81, parameter, 0, 0]).await, (0, vec![0x11]), "revision only");
    }
}

#[tokio::test]
async fn what_is_set_is_read_back() {
    let bench = Bench::new().await;
    for value in [&[1, 0][..], &[2, 0xc4], &[2, 0x02], &[3, 255, 1], &[4, 0, 255], &[5, 6], &[6, 7], &[6, 0]]
    {
        assert_eq!(set(&bench, value).await, 0, "{value:02x?}");
        let (code, data) = get(&bench, value[0]).await;
        assert_eq!((code, &data[1..]), (0, &value[1..]), "{value:02x?}");
    }
    let settings = &bench.machine.snapshot().settings.sol;
    assert_eq!((settings.enabled, settings.accumulate_interval, settings.bit_rate), (false, 255, 6));
    // Bits that the parameters do not have are dropped, not kept.
    assert_eq!(set(&bench, &[1, 0xff]).await, 0);
    assert_eq!(set(&bench, &[4, 0xff, 9]).await, 0);
    assert_eq!((get(&bench, 1).await.1, get(&bench, 4).await.1), (vec![0x11, 1], vec![0x11, 7, 9]));
}

#[tokio::test]
async fn bad_parameters_are_refused() {
    let mut bench = Bench::new().await;
    bad_lengths(&bench, 0x0c, GET, &[0x0e, 1], &[4]).await;
    for (good, right) in
        [([0x0e, 1, 1], 3), ([0x0e, 2, 3], 3), ([0x0e, 3, 1], 4), ([0x0e, 4, 7], 4), ([0x0e, 8, 0], 4)]
    {
        bad_lengths(&bench, 0x0c, SET, &good, &[right]).await;
    }
    for (data, code) in [
        (&[0, 3][..], 0xcc),
        (&[2, 0x00], 0xcc),
        (&[2, 0x01], 0xcc),
        (&[2, 0x05], 0xcc),
        (&[2, 0x0f], 0xcc),
        (&[3, 0, 1], 0xcc),
        (&[5, 1], 0xcc),
        (&[6, 11], 0xcc),
        (&[7, 1], 0x82),
        (&[8, 0x6f, 2], 0x82),
        (&[9, 0], 0x80),
        (&[255], 0x80),
    ] {
        assert_eq!(set(&bench, data).await, code, "{data:02x?}");
    }
    for (data, code) in [
        ([0x0e, 9, 0, 0], 0x80),
        ([0x0e, 0xff, 0, 0], 0x80),
        ([0x0e, 1, 1, 0], 0xc9),
        ([0x0e, 1, 0, 1], 0xc9),
        ([0x02, 1, 0, 0], 0xcc),
    ] {
        assert_eq!(bench.raw(0x0c, GET, &data).await.0, code, "{data:02x?}");
    }
    assert_eq!(bench.raw(0x0c, SET, &[0x02, 1, 1]).await.0, 0xcc, "another channel");
    bench.caller(Caller::Session { id: 7, privilege: PrivilegeLevel::Operator });
    assert_eq!(set(&bench, &[1, 1]).await, 0xd4);
    assert_eq!(bench.raw(0x0c, 0x20, &[0; 6]).await.0, 0xc1, "SOL Activating goes the other way");
}

#[tokio::test]
async fn one_session_at_a_time_is_in_the_middle_of_writes() {
    let mut bench = Bench::new().await;
    assert_eq!(set(&bench, &[0, 1]).await, 0);
    assert_eq!(get(&bench, 0).await.1, [0x11, 1]);
    assert_eq!(set(&bench, &[0, 1]).await, 0, "its own");
    bench.caller(Caller::Session { id: 8, privilege: PrivilegeLevel::Administrator });
    assert_eq!(set(&bench, &[0, 1]).await, 0x81);
    bench.context.bmc.session_closed(7);
    assert_eq!(get(&bench, 0).await.1, [0x11, 0], "a session that ends lets go");
    assert_eq!(set(&bench, &[0, 1]).await, 0);
    assert_eq!(set(&bench, &[0, 2]).await, 0);
    assert_eq!(set(&bench, &[0, 0]).await, 0);
    assert_eq!(get(&bench, 0).await.1, [0x11, 0]);
}
