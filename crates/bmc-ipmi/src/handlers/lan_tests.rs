//! LAN configuration parameters, written and read.

use uuid::Uuid;

use super::*;
use crate::Caller;
use crate::handlers::testing::{Bench, UUID, bad_lengths};

async fn get(bench: &Bench, parameter: u8, selector: u8) -> (u8, Vec<u8>) {
    let (code, mut data) = bench.raw(0x0c, 0x02, &[1, parameter, selector, 0]).await;
    if code == 0 {
        assert_eq!(data.remove(0), PARAMETER_REVISION);
    }
    (code, data)
}

async fn set(bench: &Bench, parameter: u8, data: &[u8]) -> u8 {
    bench.raw(0x0c, 0x01, &[&[1, parameter], data].concat()).await.0
}

#[tokio::test]
async fn what_is_real_is_shown() {
    let mut bench = Bench::new().await;
    bench.context.local = Some("127.0.0.7".parse().unwrap());
    let rows: [(u8, &[u8]); 20] = [
        (0, &[0]),
        (1, &[0]),
        (2, &[0; 5]),
        (3, &[127, 0, 0, 7]),
        (4, &[1]),
        (6, &[255, 0, 0, 0]),
        (7, &[0x40, 0x40, 0x10]),
        (8, &[0x6f, 0x02]),
        (9, &[0x98, 0x02]),
        (10, &[0]),
        (12, &[0; 4]),
        (16, b"public\0\0\0\0\0\0\0\0\0\0\0\0"),
        (17, &[ALERT_DESTINATIONS]),
        (18, &[0, 0, 0, 0]),
        (20, &[0, 0]),
        (22, &[2]),
        (23, &[0, 3, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (24, &[0, 0, 0x40, 0, 0, 0, 0, 0, 0]),
        (25, &[0; 4]),
        // Off; five minutes of both times for who sets a threshold alone.
        (26, &[0, 0, 30, 0, 30, 0]),
    ];
    for (parameter, value) in rows {
        assert_eq!(get(&bench, parameter, 0).await, (0, value.to_vec()), "parameter {parameter}");
    }
    let (_, mac) = get(&bench, 5, 0).await;
    assert_eq!((mac.len(), mac[0] & 0x03), (6, 0x02), "locally administered, of one station: {mac:02x?}");
    assert_eq!(get(&bench, 5, 0).await.1, mac, "and always the same");
    bench.context.local = Some("::ffff:192.0.2.9".parse().unwrap());
    assert_eq!(get(&bench, 3, 0).await.1, [192, 0, 2, 9]);
    bench.context.local = Some("::1".parse().unwrap());
    assert_eq!(get(&bench, 3, 0).await.1, [0; 4], "there is no IPv4 address");
    assert_eq!(bench.raw(0x0c, 0x02, &[0x81, 3, 0, 0]).await, (0, vec![0x11]), "the revision alone");
}

#[test]
fn mac_addresses_differ_from_machine_to_machine() {
    let mac = LanSettings::derived_mac;
    assert_ne!(mac(UUID), mac(Uuid::from_u128(UUID.as_u128() + 1)));
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let bench = Bench::new().await;
    let rows: [(u8, u8, &[u8]); 24] = [
        (2, 0, &[0; 5]),
        (3, 0, &[192, 0, 2, 1]),
        (4, 0, &[2]),
        (5, 0, &[0x52, 0x54, 0, 1, 2, 3]),
        (6, 0, &[255, 255, 255, 0]),
        (7, 0, &[0x20, 0x00, 0x08]),
        (8, 0, &[0x70, 0x02]),
        (9, 0, &[0x99, 0x02]),
        (10, 0, &[3]),
        (11, 0, &[9]),
        (12, 0, &[192, 0, 2, 254]),
        (13, 0, &[1, 2, 3, 4, 5, 6]),
        (14, 0, &[192, 0, 2, 253]),
        (15, 0, &[6, 5, 4, 3, 2, 1]),
        (16, 0, b"eighteen-bytes-ok!"),
        (18, 1, &[1, 0x80, 5, 3]),
        (18, 4, &[4, 0x00, 9, 7]),
        (19, 1, &[1, 0, 1, 10, 0, 0, 9, 1, 2, 3, 4, 5, 6]),
        (25, 1, &[1, 0x10, 0x64, 0x20]),
        (20, 0, &[0x23, 0x81]),
        (20, 0, &[0x23, 0x01]),
        (21, 0, &[5]),
        (24, 0, &[0, 0x44, 0x34, 0, 0, 0, 0, 0, 0x20]),
        (26, 0, &[1, 3, 30, 0, 60, 1]),
    ];
    for (parameter, selector, value) in rows {
        assert_eq!(set(&bench, parameter, value).await, 0, "parameter {parameter}");
        assert_eq!(get(&bench, parameter, selector).await, (0, value.to_vec()), "parameter {parameter}");
    }
    let lan = bench.machine.snapshot().settings.lan.clone();
    assert_eq!(lan.cipher_suite_privileges.get(&3), Some(&Role::Operator));
    assert_eq!(lan.cipher_suite_privileges.get(&17), None, "it has no entry");
    let first = &lan.destinations[&1];
    assert_eq!((first.address, first.vlan_tag, first.retries), (Ipv4Addr::new(10, 0, 0, 9), Some(0x2064), 3));
    assert_eq!(lan.bad_password.lockout_interval, 316);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let bench = Bench::new().await;
    let rows: [(u8, &[u8], u8); 20] = [
        (0, &[3], 0xcc),
        (1, &[0], 0x82),
        (17, &[4], 0x82),
        (22, &[2], 0x82),
        (23, &[0, 3], 0x82),
        (2, &[0, 0, 0, 4, 0], 0xcc),
        (4, &[5], 0xcc),
        (16, &[0xff; 18], 0xcc),
        (18, &[5, 0, 0, 0], 0xc9),
        (18, &[1, 6, 0, 0], 0xcc),
        (19, &[5, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], 0xc9),
        (19, &[1, 0x10, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], 0xcc),
        (20, &[0x00, 0x80], 0xcc),
        (20, &[0xff, 0x8f], 0xcc),
        (24, &[0, 0x05, 0, 0, 0, 0, 0, 0, 0], 0xcc),
        (24, &[0, 0x0f, 0, 0, 0, 0, 0, 0, 0], 0xcc),
        (25, &[5, 0x10, 0, 0], 0xc9),
        (25, &[1, 0x20, 0, 0], 0xcc),
        (27, &[0], 0x80),
        (192, &[0], 0x80),
    ];
    for (parameter, data, code) in rows {
        assert_eq!(set(&bench, parameter, data).await, code, "parameter {parameter} {data:02x?}");
    }
    // What lan6 print asks for first, and the maker's own.
    for parameter in [27, 49, 50, 51, 102, 192, 255] {
        assert_eq!(get(&bench, parameter, 0).await.0, 0x80, "parameter {parameter}");
    }
    for parameter in [18, 19, 25] {
        assert_eq!(get(&bench, parameter, ALERT_DESTINATIONS + 1).await.0, 0xc9, "parameter {parameter}");
    }
    assert_eq!(bench.raw(0x0c, 0x01, &[2, 3, 1, 1, 1, 1]).await.0, 0xcc, "no such channel");
    assert_eq!(bench.raw(0x0c, 0x02, &[2, 3, 0, 0]).await.0, 0xcc, "no such channel");
    assert_eq!(bench.machine.snapshot().settings.lan, LanSettings::default(), "nothing was changed");
    bench.break_store();
    assert_eq!(set(&bench, 3, &[1, 1, 1, 1]).await, 0xff, "not durable, not done");
}

#[tokio::test]
async fn every_parameter_has_its_length() {
    let bench = Bench::new().await;
    let lengths = [
        (0, 1),
        (2, 5),
        (3, 4),
        (4, 1),
        (5, 6),
        (6, 4),
        (7, 3),
        (8, 2),
        (9, 2),
        (10, 1),
        (11, 1),
        (12, 4),
        (13, 6),
        (14, 4),
        (15, 6),
        (16, 18),
        (18, 4),
        (19, 13),
        (20, 2),
        (21, 1),
        (24, 9),
        (25, 4),
        (26, 6),
    ];
    for (parameter, length) in lengths {
        bad_lengths(&bench, 0x0c, 0x01, &[1, parameter], &[length + 2]).await;
    }
    bad_lengths(&bench, 0x0c, 0x02, &[1, 3, 0, 0], &[4]).await;
    bad_lengths(&bench, 0x0c, 0x04, &[1, 0], &[2]).await;
}

#[tokio::test]
async fn set_in_progress_keeps_a_second_console_out() {
    let mut bench = Bench::new().await;
    let session = |id| Caller::Session { id, privilege: PrivilegeLevel::Administrator };
    bench.caller(session(1));
    assert_eq!(set(&bench, 0, &[1]).await, 0);
    assert_eq!(get(&bench, 0, 0).await.1, [1]);
    bench.caller(session(2));
    assert_eq!(set(&bench, 0, &[1]).await, 0x81);
    assert_eq!(set(&bench, 3, &[192, 0, 2, 1]).await, 0, "only parameter 0 is guarded");
    bench.caller(session(1));
    assert_eq!(set(&bench, 0, &[2]).await, 0);
    assert_eq!(get(&bench, 0, 0).await.1, [1], "a commit ends nothing");
    assert_eq!(set(&bench, 0, &[0]).await, 0);
    bench.caller(session(2));
    assert_eq!(set(&bench, 0, &[1]).await, 0);
    bench.context.bmc.session_closed(2);
    assert_eq!(get(&bench, 0, 0).await.1, [0], "a session that ends lets go");
}

#[tokio::test]
async fn statistics_count_and_are_cleared() {
    let bench = Bench::new().await;
    let counters = bench.context.bmc.counters();
    counters.received(true);
    counters.received(false);
    counters.sent();
    let read = async |clear: u8| bench.raw(0x0c, 0x04, &[1, clear]).await.1;
    let counted = [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0, 0, 0, 0, 0];
    assert_eq!(read(0).await, counted);
    assert_eq!(read(1).await, counted);
    assert_eq!(read(0).await, [0; 18]);
    assert_eq!(bench.raw(0x0c, 0x04, &[3, 0]).await.0, 0xcc, "no such channel");
}
