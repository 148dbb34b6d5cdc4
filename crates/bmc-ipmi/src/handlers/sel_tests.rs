//! The event log: what is written, read back and refused.

use bmc_core::backend::ObservedPower;
use bmc_core::power::PowerState;

use super::*;
use crate::handlers::testing::{Bench, bad_lengths};

/// A record that a client adds: ids and time are rubbish, which the log replaces.
const RECORD: [u8; 16] = [0x77, 0x77, 0x02, 9, 9, 9, 9, 0x41, 0, 4, 1, 0x30, 1, 0x59, 1, 2];

async fn storage(bench: &Bench, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
    bench.raw(0x0a, cmd, data).await
}

async fn reserve(bench: &Bench) -> [u8; 2] {
    bench.ask(ReserveSel).await.0.to_le_bytes()
}

/// Adds this many records; returns the last one's id.
async fn fill(bench: &Bench, records: usize) -> u16 {
    let mut last = 0;
    for _ in 0..records {
        let (code, id) = storage(bench, 0x44, &RECORD).await;
        assert_eq!(code, 0);
        last = u16::from_le_bytes([id[0], id[1]]);
    }
    last
}

/// Get SEL Entry: the id that follows and the bytes.
async fn get(bench: &Bench, reservation: [u8; 2], record: u16, offset: u8, length: u8) -> (u8, Vec<u8>) {
    let [low, high] = record.to_le_bytes();
    storage(bench, 0x43, &[reservation[0], reservation[1], low, high, offset, length]).await
}

#[tokio::test]
async fn info_tells_what_there_is() {
    let bench = Bench::new().await;
    let info = bench.ask(GetSelInfo).await;
    assert_eq!((info.entries, info.free_bytes, info.overflow), (0, 1023 * 16, false));
    assert_eq!((info.last_addition, info.last_erase), (TIME_UNSPECIFIED, TIME_UNSPECIFIED));
    bench.ask(SetSelTime(SelTime(1_000_000))).await;
    fill(&bench, 3).await;
    let info = bench.ask(GetSelInfo).await;
    assert_eq!((info.entries, info.free_bytes), (3, 1020 * 16));
    assert!((1_000_000..1_000_060).contains(&info.last_addition));
    let allocation = bench.ask(GetSelAllocationInfo).await;
    assert_eq!((allocation.units, allocation.unit_bytes, allocation.free_units), (1024, 16, 1020));
    bad_lengths(&bench, 0x0a, 0x40, &[], &[0]).await;
    bad_lengths(&bench, 0x0a, 0x41, &[], &[0]).await;
}

#[tokio::test]
async fn adding_gives_a_record_its_id_and_time() {
    let bench = Bench::new().await;
    bench.ask(SetSelTime(SelTime(0x0100_0000))).await;
    assert_eq!(fill(&bench, 2).await, 2);
    let (code, answer) = get(&bench, [0; 2], 1, 0, 0xff).await;
    assert_eq!((code, &answer[..2]), (0, &[2, 0][..]));
    assert_eq!((&answer[2..5], &answer[6..9]), (&[1, 0, 2][..], &[0, 0, 1][..]), "id, type, time");
    assert_eq!(answer[9..], RECORD[7..]);
    let timeless = [[0, 0, 0xe0].as_slice(), &[7; 13]].concat();
    assert_eq!(storage(&bench, 0x44, &timeless).await, (0, vec![3, 0]));
    assert_eq!(get(&bench, [0; 2], 3, 0, 0xff).await.1[5..], [7; 13]);
    bad_lengths(&bench, 0x0a, 0x44, &RECORD, &[16]).await;
    let reserved = [[0, 0, 0x03].as_slice(), &[7; 13]].concat();
    assert_eq!(storage(&bench, 0x44, &reserved).await.0, 0xcc);
    bench.break_store();
    assert_eq!(storage(&bench, 0x44, &RECORD).await.0, 0xff);
    assert_eq!(bench.ask(GetSelInfo).await.entries, 4, "what could not be stored is not there");
}

#[tokio::test]
async fn adding_to_a_full_log_is_refused_and_nothing_is_lost() {
    let bench = Bench::new().await;
    let mut added = 0;
    let refusal = loop {
        match storage(&bench, 0x44, &RECORD).await {
            (0, _) => added += 1,
            (code, _) => break code,
        }
    };
    assert_eq!((refusal, added), (0xc4, SEL_ENTRIES_MAX - 2), "besides: almost full, and full");
    let info = bench.ask(GetSelInfo).await;
    assert_eq!((usize::from(info.entries), info.free_bytes, info.overflow), (SEL_ENTRIES_MAX, 0, true));
    assert_eq!(get(&bench, [0; 2], FIRST_RECORD, 0, 0xff).await.1[9..], RECORD[7..]);
    let last = get(&bench, [0; 2], LAST_RECORD, 0, 0xff).await.1;
    assert_eq!(last[9..], [0x20, 0, 4, 0x10, 0xe8, 0x6f, 4, 0xff, 0xff]);
    assert_eq!(storage(&bench, 0x45, &[0, 0, 0, 0, 0, 0, 1]).await.0, 0xc4);
    let [low, high] = reserve(&bench).await;
    assert_eq!(storage(&bench, 0x47, &[low, high, b'C', b'L', b'R', 0xaa]).await, (0, vec![1]));
    let info = bench.ask(GetSelInfo).await;
    assert_eq!((info.entries, info.free_bytes, info.overflow), (0, 1023 * 16, false));
}

#[tokio::test]
async fn reading_walks_through_the_log() {
    let bench = Bench::new().await;
    assert_eq!(get(&bench, [0; 2], FIRST_RECORD, 0, 0xff).await.0, 0xcb);
    fill(&bench, 3).await;
    let (mut next, mut seen) = (FIRST_RECORD, Vec::new());
    while next != LAST_RECORD {
        let (code, answer) = get(&bench, [0; 2], next, 0, 0xff).await;
        assert_eq!((code, answer.len()), (0, 18));
        seen.push(u16::from_le_bytes([answer[2], answer[3]]));
        next = u16::from_le_bytes([answer[0], answer[1]]);
    }
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(get(&bench, [0; 2], LAST_RECORD, 0, 2).await, (0, vec![0xff, 0xff, 3, 0]));
    assert_eq!(get(&bench, [0; 2], 9, 0, 0xff).await.0, 0xcb);

    let held = reserve(&bench).await;
    assert_eq!(get(&bench, held, 1, 14, 0xff).await, (0, vec![2, 0, 1, 2]));
    assert_eq!(get(&bench, held, 1, 14, 1).await, (0, vec![2, 0, 1]));
    assert_eq!(get(&bench, held, 1, 14, 3).await.0, 0xca);
    assert_eq!(get(&bench, [0; 2], 1, 0, 17).await.0, 0xca);
    assert_eq!(get(&bench, held, 1, 16, 0xff).await.0, 0xc9);
    assert_eq!(get(&bench, [0; 2], 1, 1, 0xff).await.0, 0xc5, "a part needs a reservation");
    bad_lengths(&bench, 0x0a, 0x43, &[0, 0, 1, 0, 0, 0xff], &[6]).await;
}

#[tokio::test]
async fn reservations_end_when_something_is_erased_or_another_one_is_made() {
    let bench = Bench::new().await;
    fill(&bench, 6).await;
    let first = reserve(&bench).await;
    let second = reserve(&bench).await;
    assert_ne!(first, second);
    let delete = |held: [u8; 2], id: u8| [held[0], held[1], id, 0];
    assert_eq!(storage(&bench, 0x46, &delete(first, 1)).await.0, 0xc5);
    assert_eq!(storage(&bench, 0x46, &delete(second, 1)).await, (0, vec![1, 0]));
    assert_eq!(storage(&bench, 0x46, &delete(second, 2)).await, (0, vec![2, 0]), "as ipmitool does");
    fill(&bench, 1).await;
    assert_eq!(get(&bench, second, 3, 4, 1).await.0, 0, "what is added cancels nothing");
    // Through another door.
    bench.machine.request(Request::Sel(SelRequest::Delete { id: 3, if_erasures: None })).await.unwrap();
    assert_eq!(storage(&bench, 0x46, &delete(second, 4)).await.0, 0xc5);
    assert_eq!(get(&bench, second, 4, 4, 1).await.0, 0xc5);
    let third = reserve(&bench).await;
    assert_eq!(storage(&bench, 0x47, &[third[0], third[1], b'C', b'L', b'R', 0xaa]).await.0, 0);
    assert_eq!(storage(&bench, 0x46, &delete(third, 4)).await.0, 0xc5);
    for _ in 0..0x1_0001 {
        assert_ne!(bench.ask(ReserveSel).await.0, 0);
    }
    bad_lengths(&bench, 0x0a, 0x42, &[], &[0]).await;
}

#[tokio::test]
async fn deleting_takes_one_record() {
    let bench = Bench::new().await;
    fill(&bench, 4).await;
    let [low, high] = reserve(&bench).await;
    assert_eq!(storage(&bench, 0x46, &[low, high, 9, 0]).await.0, 0xcb);
    assert_eq!(storage(&bench, 0x46, &[low, high, 2, 0]).await, (0, vec![2, 0]));
    assert_eq!(storage(&bench, 0x46, &[low, high, 0, 0]).await, (0, vec![1, 0]));
    assert_eq!(storage(&bench, 0x46, &[low, high, 0xff, 0xff]).await, (0, vec![4, 0]));
    assert_eq!(storage(&bench, 0x46, &[0, 0, 3, 0]).await.0, 0xc5);
    assert_eq!(bench.ask(GetSelInfo).await.entries, 1);
    assert_ne!(bench.ask(GetSelInfo).await.last_erase, TIME_UNSPECIFIED);
    bad_lengths(&bench, 0x0a, 0x46, &[0, 0, 9, 0], &[4]).await;
}

#[tokio::test]
async fn clearing_needs_a_reservation_and_the_right_word() {
    let bench = Bench::new().await;
    fill(&bench, 2).await;
    let [low, high] = reserve(&bench).await;
    let rows: [(&[u8], u8); 6] = [
        (&[low, high, b'C', b'L', b'X', 0xaa], 0xcc),
        (&[low, high, b'c', b'l', b'r', 0xaa], 0xcc),
        (&[low, high, b'C', b'L', b'R', 0x55], 0xcc),
        (&[0, 0, b'C', b'L', b'R', 0xaa], 0xc5),
        (&[low ^ 0xff, high, b'C', b'L', b'R', 0xaa], 0xc5),
        (&[low, high, b'C', b'L', b'R', 0x00], 0x00),
    ];
    for (request, code) in rows {
        assert_eq!(storage(&bench, 0x47, request).await.0, code, "{request:02x?}");
    }
    assert_eq!(bench.ask(GetSelInfo).await.entries, 2);
    assert_eq!(storage(&bench, 0x47, &[low, high, b'C', b'L', b'R', 0xaa]).await, (0, vec![1]));
    assert_eq!(storage(&bench, 0x47, &[low, high, b'C', b'L', b'R', 0x00]).await, (0, vec![1]));
    assert_eq!(bench.ask(GetSelInfo).await.entries, 0);
    bad_lengths(&bench, 0x0a, 0x47, &[0, 0, b'C', b'L', b'R', 0], &[6]).await;
}

#[tokio::test]
async fn partial_add_gathers_a_record() {
    let bench = Bench::new().await;
    let held = reserve(&bench).await;
    let part = |held: [u8; 2], id: [u8; 2], offset: u8, last: u8, data: &[u8]| {
        [&[held[0], held[1], id[0], id[1], offset, last], data].concat()
    };
    assert_eq!(storage(&bench, 0x45, &part([0; 2], [0; 2], 0, 0, &RECORD[..5])).await, (0, vec![1, 0]));
    assert_eq!(bench.ask(GetSelInfo).await.entries, 0, "nothing is logged before the last part");
    assert_eq!(storage(&bench, 0x45, &part([0; 2], [1, 0], 5, 1, &RECORD[5..])).await.0, 0xc5);
    assert_eq!(storage(&bench, 0x45, &part(held, [1, 0], 6, 1, &RECORD[6..])).await.0, 0xc9);
    assert_eq!(storage(&bench, 0x45, &part(held, [2, 0], 5, 1, &RECORD[5..])).await.0, 0xc9);
    assert_eq!(storage(&bench, 0x45, &part(held, [1, 0], 5, 1, &RECORD)).await.0, 0x80);
    assert_eq!(storage(&bench, 0x45, &part(held, [1, 0], 5, 1, &RECORD[5..])).await, (0, vec![1, 0]));
    assert_eq!(get(&bench, [0; 2], 1, 0, 0xff).await.1[9..], RECORD[7..]);
    assert_eq!(storage(&bench, 0x45, &part(held, [1, 0], 16, 1, &[])).await.0, 0xc9, "it is finished");
    assert_eq!(storage(&bench, 0x45, &part([0; 2], [0; 2], 0, 1, &RECORD[..15])).await.0, 0x80);
    assert_eq!(storage(&bench, 0x45, &part([0; 2], [0; 2], 0, 1, &RECORD)).await, (0, vec![2, 0]));
    let lengths: Vec<usize> = (6..=22).collect();
    bad_lengths(&bench, 0x0a, 0x45, &part([0; 2], [0; 2], 0, 0, &[]), &lengths).await;
    assert_eq!(storage(&bench, 0x45, &part([0; 2], [0; 2], 0, 2, &RECORD)).await.0, 0xcc);
}

#[tokio::test]
async fn time_is_the_logs_own() {
    let bench = Bench::new().await;
    bench.ask(SetSelTime(SelTime(5_000))).await;
    assert!((5_000..5_060).contains(&bench.ask(GetSelTime).await.0));
    assert_eq!(storage(&bench, 0x49, &[0xff; 4]).await.0, 0xcc);
    bad_lengths(&bench, 0x0a, 0x49, &[1, 2, 3, 4], &[4]).await;
    bad_lengths(&bench, 0x0a, 0x48, &[], &[0]).await;
    assert_eq!(bench.ask(GetSelTimeUtcOffset).await, UtcOffset(None));
    for minutes in [Some(-1440), Some(0), Some(1440), None] {
        bench.ask(SetSelTimeUtcOffset(UtcOffset(minutes))).await;
        assert_eq!(bench.ask(GetSelTimeUtcOffset).await, UtcOffset(minutes));
    }
    for wrong in [1441_i16, -1441, i16::MIN] {
        assert_eq!(storage(&bench, 0x5d, &wrong.to_le_bytes()).await.0, 0xcc);
    }
    bad_lengths(&bench, 0x0a, 0x5d, &[0, 0], &[2]).await;
    bad_lengths(&bench, 0x0a, 0x5c, &[], &[0]).await;
}

#[tokio::test]
async fn platform_events_are_logged() {
    let mut bench = Bench::new().await;
    let event = [4, 1, 0x30, 0x81, 0x59, 7, 8];
    assert_eq!(bench.raw(0x04, 0x02, &event).await, (0, vec![]));
    assert_eq!(get(&bench, [0; 2], 1, 0, 0xff).await.1[9..], [0x81, 0x10, 4, 1, 0x30, 0x81, 0x59, 7, 8]);
    bad_lengths(&bench, 0x04, 0x02, &event, &[5, 6, 7]).await;
    bench.caller(Caller::System);
    bench.context.channel = 0x0f;
    assert_eq!(bench.raw(0x04, 0x02, &[[0x41].as_slice(), &event].concat()).await.0, 0);
    assert_eq!(get(&bench, [0; 2], LAST_RECORD, 0, 0xff).await.1[9..11], [0x41, 0xf0]);
    bad_lengths(&bench, 0x04, 0x02, &event, &[8]).await;
}

#[tokio::test]
async fn event_receiver_decides_whether_the_bmc_logs_its_events() {
    let bench = Bench::new().await;
    assert_eq!(bench.ask(GetEventReceiver).await, EventReceiver { address: 0x20, lun: 0 });
    bench.power(ObservedPower::Running, PowerState::On).await;
    assert_eq!(bench.ask(GetSelInfo).await.entries, 1);
    assert_eq!(get(&bench, [0; 2], 1, 0, 0xff).await.1[9..], [0x20, 0, 4, 9, 0xe0, 0xef, 0, 0xff, 0xff]);
    bench.ask(SetEventReceiver { receiver: EventReceiver { address: 0xff, lun: 0 } }).await;
    bench.power(ObservedPower::Off, PowerState::Off).await;
    assert_eq!(bench.ask(GetSelInfo).await.entries, 1);
    assert_eq!(bench.ask(GetEventReceiver).await, EventReceiver { address: 0xff, lun: 0 });
    assert_eq!(bench.raw(0x04, 0x00, &[0x21, 0]).await.0, 0xcc);
    bad_lengths(&bench, 0x04, 0x00, &[0x20, 0], &[2]).await;
    bad_lengths(&bench, 0x04, 0x01, &[], &[0]).await;
}
