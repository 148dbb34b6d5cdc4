//! Event filtering: what is written is read back, and a filter acts on the machine.

use bmc_core::backend::ObservedPower;
use bmc_core::power::PowerState;
use ipmi_wire::command::sel::GetSelInfo;

use super::*;
use crate::Caller;
use crate::handlers::testing::{Bench, bad_lengths};

async fn set(bench: &Bench, data: &[u8]) -> u8 {
    bench.raw(0x04, 0x12, data).await.0
}

async fn get(bench: &Bench, parameter: u8, set: u8, block: u8) -> (u8, Vec<u8>) {
    bench.raw(0x04, 0x13, &[parameter, set, block]).await
}

/// A filter for every power-off of the power unit, with these actions.
fn filter(number: u8, actions: u8) -> Vec<u8> {
    let mut data = vec![6, number, 0x80, actions, 0x01, 0x10, 0xff, 0xff, 0x09, 0xff, 0x6f, 0x01, 0x00];
    data.resize(22, 0);
    data
}

#[tokio::test]
async fn capabilities_name_what_there_is() {
    let bench = Bench::new().await;
    assert_eq!(bench.raw(0x04, 0x10, &[]).await, (0, vec![0x51, 0x2f, EVENT_FILTERS]));
    bad_lengths(&bench, 0x04, 0x10, &[], &[0]).await;
}

#[tokio::test]
async fn parameters_are_read_back_as_written() {
    let bench = Bench::new().await;
    let filter = filter(3, 0x05);
    /// What is written; which parameter, set and block is read back; what it reads.
    type Row<'a> = (&'a [u8], (u8, u8, u8), &'a [u8]);
    let rows: [Row<'_>; 10] = [
        (&[1, 0x03], (1, 0, 0), &[0x03]),
        (&[2, 0xff], (2, 0, 0), &[0x2f]),
        (&[3, 60], (3, 0, 0), &[60]),
        (&[4, 61], (4, 0, 0), &[61]),
        (&filter, (6, 3, 0), &filter[1..]),
        (&[7, 3, 0x00], (7, 3, 0), &[3, 0x00]),
        (&[9, 2, 0x18, 0x11, 0x80], (9, 2, 0), &[2, 0x18, 0x11, 0x80]),
        (
            &[10, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            (10, 0, 0),
            &[1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        ),
        (&[12, 1, 5, 6], (12, 1, 0), &[1, 5, 6]),
        (&[13, 1, 1, b'h', b'i', 0], (13, 1, 1), &[1, 1, b'h', b'i', 0]),
    ];
    for (write, (parameter, number, block), read) in rows {
        assert_eq!(set(&bench, write).await, 0, "{write:02x?}");
        let answer = [&[PefParameter::REVISION], read].concat();
        assert_eq!(get(&bench, parameter, number, block).await, (0, answer), "parameter {parameter}");
    }
    for (parameter, count) in [(5, EVENT_FILTERS), (8, ALERT_POLICIES), (11, ALERT_STRINGS)] {
        assert_eq!(get(&bench, parameter, 0, 0).await.1, [PefParameter::REVISION, count]);
        assert_eq!(set(&bench, &[parameter, 1]).await, 0x82);
    }
    assert_eq!(get(&bench, 0x80 | 6, 0, 0).await, (0, vec![PefParameter::REVISION]));
    // An entry that was never set is for the LAN channel.
    assert_eq!(get(&bench, 9, 5, 0).await.1, [PefParameter::REVISION, 5, 0, 0x10, 0]);
}

#[tokio::test]
async fn parameters_that_are_wrong_are_refused() {
    let bench = Bench::new().await;
    for parameter in [14, 15, 96, 127] {
        assert_eq!(set(&bench, &[parameter, 1]).await, 0x80);
        assert_eq!(get(&bench, parameter, 0, 0).await.0, 0x80);
    }
    for (parameter, number, block) in
        [(6, 0, 0), (6, 33, 0), (7, 0, 0), (9, 17, 0), (12, 9, 0), (13, 1, 5), (6, 1, 1)]
    {
        assert_eq!(get(&bench, parameter, number, block).await.0, 0xc9, "{parameter} {number} {block}");
    }
    for wrong in [&[7, 0, 1][..], &[7, 33, 1], &[9, 0, 1, 2, 3], &[12, 9, 1, 2], &[13, 1, 5, b'x']] {
        assert_eq!(set(&bench, wrong).await, 0xc9, "{wrong:02x?}");
    }
    for (parameter, length) in [(1, 1), (2, 1), (3, 1), (4, 1), (6, 21), (7, 2), (9, 4), (10, 17), (12, 3)] {
        bad_lengths(&bench, 0x04, 0x12, &[parameter, 1], &[1 + length]).await;
    }
    bad_lengths(&bench, 0x04, 0x13, &[1, 0, 0], &[3]).await;
    bad_lengths(&bench, 0x04, 0x14, &[0, 0, 0], &[3]).await;
    bad_lengths(&bench, 0x04, 0x15, &[], &[0]).await;
    bad_lengths(&bench, 0x04, 0x16, &[1, 0x40, 0], &[3, 11]).await;
    bad_lengths(&bench, 0x04, 0x17, &[], &[12]).await;
    bench.break_store();
    assert_eq!(set(&bench, &[3, 99]).await, 0xff);
}

#[tokio::test]
async fn parameters_in_a_group_are_held_by_one_session() {
    let mut bench = Bench::new().await;
    assert_eq!(set(&bench, &[0, 1]).await, 0);
    assert_eq!(get(&bench, 0, 0, 0).await.1, [PefParameter::REVISION, 1]);
    bench.caller(Caller::Session { id: 99, privilege: ipmi_wire::PrivilegeLevel::Administrator });
    assert_eq!(set(&bench, &[0, 1]).await, 0x81);
    assert_eq!(set(&bench, &[0, 0]).await, 0);
    assert_eq!(set(&bench, &[0, 1]).await, 0);
    assert_eq!(set(&bench, &[0, 3]).await, 0xcc);
}

#[tokio::test]
async fn last_processed_events_are_kept() {
    let bench = Bench::new().await;
    let last = bench.ask(GetLastProcessedEvent).await;
    assert_eq!((last.last_record, last.last_addition), (0xffff, TIME_UNSPECIFIED));
    bench.ask(SetLastProcessedEvent { by_bmc: false, record: 3 }).await;
    bench.ask(SetLastProcessedEvent { by_bmc: true, record: 4 }).await;
    let last = bench.ask(GetLastProcessedEvent).await;
    assert_eq!((last.by_software, last.by_bmc), (3, 4));
}

#[tokio::test]
async fn a_filter_acts_on_the_machine_and_that_is_an_event() {
    let bench = Bench::new().await;
    bench.power(ObservedPower::Running, PowerState::On).await;
    assert_eq!(set(&bench, &filter(1, action::RESET)).await, 0);
    // A soft power control failure, sent by a console.
    let mut other = filter(2, action::DIAGNOSTIC_INTERRUPT);
    other[11] = 0x20;
    assert_eq!(set(&bench, &other).await, 0);
    let event = [4, 9, 0x30, 0x6f, 5, 0xff, 0xff];
    assert_eq!(bench.raw(0x04, 0x02, &event).await.0, 0);
    assert!(bench.calls().is_empty(), "filters are off until they are switched on");
    assert_eq!(set(&bench, &[1, 0x03]).await, 0);
    assert_eq!(set(&bench, &[2, 0x3f]).await, 0);
    let before = bench.ask(GetSelInfo).await.entries;
    assert_eq!(bench.raw(0x04, 0x02, &event).await.0, 0);
    // The event, the action as an event, and the interrupt.
    bench.until(|snapshot| snapshot.sel.entries().len() >= usize::from(before) + 3).await;
    assert_eq!(bench.calls(), ["nmi"]);
    let kinds: Vec<u8> = bench
        .machine
        .snapshot()
        .sel
        .entries()
        .iter()
        .skip(usize::from(before))
        .filter_map(|entry| Some(entry.record.event()?.sensor_type))
        .collect();
    assert_eq!(kinds, [0x09, 0x12, 0x13]);
}

#[tokio::test]
async fn alert_immediate_sends_where_somebody_is() {
    let bench = Bench::new().await;
    let now = bench.context.bmc.clock().now();
    for (wrong, code) in [
        (&[2, 0x01, 0][..], 0xcc),
        (&[1, 0xc1, 0], 0xcc),
        // Nobody is at the destination, or it does not exist.
        (&[1, 0x01, 0], 0xcc),
        (&[1, 0x0f, 0], 0xcc),
    ] {
        assert_eq!(bench.raw(0x04, 0x16, wrong).await, (code, vec![]), "{wrong:02x?}");
    }
    assert_eq!(bench.raw(0x04, 0x16, &[1, 0x41, 0]).await, (0, vec![0x00]));
    let address = [0x0c, 0x01, 1, 19, 1, 0, 0, 127, 0, 0, 9, 0, 0, 0, 0, 0, 0];
    assert_eq!(bench.raw(address[0], address[1], &address[2..]).await.0, 0);
    assert_eq!(bench.raw(0x04, 0x16, &[1, 0x01, 0x89]).await.0, 0xc9);
    let event = [1, 0x01, 0, 0x41, 4, 9, 0xe0, 0x6f, 5, 0xff, 0xff];
    assert_eq!(bench.raw(0x04, 0x16, &event).await, (0, vec![]));
    assert_eq!(bench.raw(0x04, 0x16, &event).await.0, 0x81);
    assert_eq!(bench.raw(0x04, 0x16, &[1, 0x41, 0]).await, (0, vec![0xff]));
    let later = now + std::time::Duration::from_secs(60);
    let sent = bench.context.bmc.with_alerts(|alerts| alerts.poll(later));
    let trap = ipmi_wire::pet::Trap::decode(&sent[0].bytes).unwrap();
    assert_eq!((sent.len(), sent[0].to), (1, std::net::Ipv4Addr::new(127, 0, 0, 9)));
    assert_eq!((trap.community.as_slice(), trap.pet.specific()), (&b"public"[..], 0x09_6f05));
    assert_eq!((trap.pet.sensor_device, trap.pet.sequence), (0x41, 1));
    bench.context.bmc.with_alerts(|alerts| alerts.poll(later + std::time::Duration::from_secs(60)));
    assert_eq!(bench.raw(0x04, 0x16, &[1, 0x41, 0]).await, (0, vec![0x01]));
    assert_eq!(bench.raw(0x04, 0x16, &[1, 0x81, 0]).await, (0, vec![]));
    assert_eq!(bench.raw(0x04, 0x16, &[1, 0x41, 0]).await, (0, vec![0x00]));
    bench.context.bmc.with_volatile(|volatile| volatile.channel.alerting = false);
    assert_eq!(bench.raw(0x04, 0x16, &event).await.0, 0xd5);
}

#[tokio::test]
async fn the_last_event_processed_is_the_last_that_went_through_the_filters() {
    let bench = Bench::new().await;
    let last_by_bmc = async || {
        let (_, data) = bench.raw(0x04, 0x15, &[]).await;
        u16::from_le_bytes([data[8], data[9]])
    };
    let event = [0x04, 0x01, 0x20, 0x01, 0x57, 0xff, 0xff];
    assert_eq!(set(&bench, &[1, 0x00]).await, 0);
    assert_eq!(bench.raw(0x04, 0x02, &event).await.0, 0);
    assert_eq!(last_by_bmc().await, 0, "the filters are off");
    assert_eq!(set(&bench, &[1, 0x01]).await, 0);
    assert_eq!(bench.raw(0x04, 0x02, &event).await.0, 0);
    assert_eq!(last_by_bmc().await, bench.context.bmc.snapshot().sel.entries().last().unwrap().record.id);
}
