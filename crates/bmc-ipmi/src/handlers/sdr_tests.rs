//! The repository against a simulated machine.

use bmc_core::backend::{MachineInfo, Report};
use ipmi_wire::command::Payload;
use ipmi_wire::record::sdr::{SdrBody, SdrRecord};

use super::*;
use crate::handlers::testing::{Bench, bad_lengths};

const STORAGE: u8 = 0x0a;

fn part(reservation: u16, record: u16, offset: u8, count: u8) -> Vec<u8> {
    SdrRead { reservation, record, offset, count }.encode()
}

/// Reads the whole repository as clients do: header first, then the rest in pieces.
async fn walk(bench: &Bench, piece: u8) -> Vec<SdrRecord> {
    let reservation = bench.ask(ReserveSdrRepository).await.0;
    let (mut record, mut records) = (SdrRead::FIRST, Vec::new());
    loop {
        let header = bench.ask(GetSdr(SdrRead { reservation, record, offset: 0, count: 5 })).await;
        let length = usize::from(header.data[4]) + 5;
        let mut bytes = header.data.clone();
        while bytes.len() < length {
            let offset = bytes.len() as u8;
            let read = SdrRead { reservation, record, offset, count: piece };
            bytes.extend(bench.ask(GetSdr(read)).await.data);
        }
        let whole = bench.ask(GetSdr(SdrRead { reservation: 0, record, offset: 0, count: 0xff })).await;
        assert_eq!(whole.data, bytes);
        records.push(SdrRecord::decode(&bytes).unwrap());
        record = header.next;
        if record == 0xffff {
            return records;
        }
    }
}

async fn disks(bench: &Bench, disks: &[&str]) {
    let info = bench.machine.snapshot().info.as_deref().cloned().unwrap();
    let named = |&name: &&str| bmc_core::storage::Disk { name: name.to_owned(), ..Default::default() };
    let disks: Vec<_> = disks.iter().map(named).collect();
    bench.backend.report(Report::Info(MachineInfo { disks: disks.clone(), ..info }));
    bench.until(|snapshot| snapshot.info.as_ref().is_some_and(|info| info.disks == disks)).await;
}

#[tokio::test]
async fn reading_gives_every_record_whole_and_in_pieces() {
    let bench = Bench::new().await;
    disks(&bench, &["vda", "vdb"]).await;
    let records = walk(&bench, 16).await;
    assert_eq!(walk(&bench, 7).await, records);
    assert_eq!(usize::from(bench.ask(GetSdrRepositoryInfo).await.records), records.len());
    let snapshot = bench.machine.snapshot();
    let sensors = snapshot.sensors();
    let described: Vec<u8> = records
        .iter()
        .filter_map(|record| match &record.body {
            SdrBody::Full(sensor) => Some(sensor.key.number),
            SdrBody::Compact(sensor) => Some(sensor.key.number),
            SdrBody::EventOnly(sensor) => Some(sensor.key.number),
            _ => None,
        })
        .collect();
    assert_eq!(described, sensors.iter().map(|sensor| sensor.number).collect::<Vec<_>>());
    assert!(matches!(records[0].body, SdrBody::Controller(_)) && matches!(records[1].body, SdrBody::Fru(_)));
    for record in &records {
        assert!(record.encode().len() <= usize::from(UNIT_BYTES), "{record:?}");
    }
    // The last record by its own name.
    let last = bench.ask(GetSdr(SdrRead { reservation: 0, record: 0xffff, offset: 0, count: 0xff })).await;
    assert_eq!(SdrRecord::decode(&last.data).as_ref(), Ok(&records[records.len() - 1]));
}

#[tokio::test]
async fn reading_refuses_what_is_not_there() {
    let bench = Bench::new().await;
    let reservation = bench.ask(ReserveSdrRepository).await.0;
    let rows = [
        (part(reservation, 0x00f0, 0, 5), 0x00),
        (part(0, 0x00f0, 0, 5), 0x00),
        (part(0, 0x00f0, 1, 5), 0xc5),
        (part(reservation + 1, 0x00f0, 0, 5), 0xc5),
        (part(reservation, 0x0bad, 0, 5), 0xcb),
        (part(reservation, 0x00f0, 200, 5), 0xc9),
        (part(reservation, 0x00f0, 14, 0xff), 0x00),
        (part(reservation, 0x00f0, 19, 1), 0xc9),
        (part(reservation, 0x00f0, 0, 0), 0xcc),
    ];
    for (data, code) in rows {
        assert_eq!(bench.raw(STORAGE, 0x23, &data).await.0, code, "{data:02x?}");
    }
    bad_lengths(&bench, STORAGE, 0x23, &part(0, 0xf0, 0, 5), &[6]).await;
}

#[tokio::test]
async fn reservation_is_lost_when_the_records_change() {
    let bench = Bench::new().await;
    disks(&bench, &["vda"]).await;
    let before = bench.ask(GetSdrRepositoryInfo).await;
    let (one, other) = (bench.ask(ReserveSdrRepository).await.0, bench.ask(ReserveSdrRepository).await.0);
    assert_ne!(one, other);
    for reservation in [one, other] {
        assert_eq!(bench.raw(STORAGE, 0x23, &part(reservation, 0xf0, 3, 5)).await.0, 0x00);
    }
    // A disk that goes leaves its slot, and the records as they were.
    disks(&bench, &[]).await;
    assert_eq!(bench.raw(STORAGE, 0x23, &part(one, 0xf0, 3, 5)).await.0, 0x00);
    disks(&bench, &["vda", "vdb"]).await;
    assert_eq!(bench.raw(STORAGE, 0x23, &part(one, 0xf0, 3, 5)).await.0, 0xc5);
    let after = bench.ask(GetSdrRepositoryInfo).await;
    assert_eq!(after.records, before.records + 1);
    bad_lengths(&bench, STORAGE, 0x22, &[], &[0]).await;
}

#[tokio::test]
async fn info_tells_what_can_be_done() {
    let bench = Bench::new().await;
    let info = bench.ask(GetSdrRepositoryInfo).await;
    let support = info.support;
    assert!(support.reserve && support.allocation && !support.delete && !support.partial_add);
    assert_eq!(info.free, 0);
    let allocation = bench.ask(GetSdrAllocationInfo).await;
    assert_eq!((allocation.units, allocation.free, allocation.record_max), (info.records, 0, 1));
    bad_lengths(&bench, STORAGE, 0x20, &[], &[0]).await;
    bad_lengths(&bench, STORAGE, 0x21, &[], &[0]).await;
}

#[tokio::test]
async fn writing_is_refused() {
    let bench = Bench::new().await;
    let any: Vec<usize> = (0..24).collect();
    let rows: [(u8, &[u8], &[usize]); 6] = [
        (0x24, &[0, 0, 0x51, 0xc0, 1, 7], &any[5..]),
        (0x25, &[0, 0, 0, 0, 0, 1, 7], &any[7..]),
        (0x26, &[0, 0, 1, 0], &[4]),
        (0x27, &[0, 0, b'C', b'L', b'R', 0xaa], &[6]),
        (0x2a, &[], &[0]),
        (0x2b, &[], &[0]),
    ];
    for (command, data, lengths) in rows {
        assert_eq!(bench.raw(STORAGE, command, data).await.0, 0xd6, "{command:02x}h");
        bad_lengths(&bench, STORAGE, command, data, lengths).await;
    }
    assert_eq!(bench.raw(STORAGE, 0x27, &[0, 0, b'C', b'L', b'S', 0xaa]).await.0, 0xcc);
    assert_eq!(bench.raw(STORAGE, 0x27, &[0, 0, b'C', b'L', b'R', 0x55]).await.0, 0xcc);
    assert_eq!(bench.raw(STORAGE, 0x25, &[0, 0, 0, 0, 0, 2, 7]).await.0, 0xcc);
}

#[tokio::test]
async fn time_is_the_hosts() {
    let bench = Bench::new().await;
    let (before, shown) = (seconds(bench.fleet.clock().timestamp()), bench.ask(GetSdrRepositoryTime).await.0);
    assert!(shown >= before && shown - before < 10);
    assert_eq!(bench.raw(STORAGE, 0x29, &[0, 0, 0, 0]).await.0, 0xd6);
    bad_lengths(&bench, STORAGE, 0x28, &[], &[0]).await;
    bad_lengths(&bench, STORAGE, 0x29, &[0; 4], &[4]).await;
    assert_eq!(seconds(Timestamp::MIN), 0);
    assert_eq!(seconds(Timestamp::MAX), u32::MAX);
}

#[tokio::test]
async fn agent_gives_the_sensors_their_defaults_again() {
    let bench = Bench::new().await;
    assert_eq!(bench.raw(0x04, 0x26, &[2, 0x08, 0, 0, 0, 50, 0, 0]).await.0, 0);
    let threshold = |data: Vec<u8>| data[4];
    assert_eq!(threshold(bench.raw(0x04, 0x27, &[2]).await.1), 50);
    assert_eq!(bench.raw(STORAGE, 0x2c, &[0]).await, (0, vec![1]));
    assert_eq!(threshold(bench.raw(0x04, 0x27, &[2]).await.1), 50, "asking is not running");
    assert_eq!(bench.raw(STORAGE, 0x2c, &[1]).await, (0, vec![1]));
    assert_eq!(threshold(bench.raw(0x04, 0x27, &[2]).await.1), 85);
    bad_lengths(&bench, STORAGE, 0x2c, &[0], &[1]).await;
    bench.break_store();
    assert_eq!(bench.raw(0x04, 0x26, &[2, 0x08, 0, 0, 0, 50, 0, 0]).await.0, 0xff);
}
