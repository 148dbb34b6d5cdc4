//! The log's commands: golden bytes and what is refused.

use super::*;
use crate::command::tests::golden;
use crate::record::sel::SelBody;

#[test]
fn info() {
    golden(&GetSelInfo, "", &[]);
    let supports = SelSupport { delete: true, partial_add: true, reserve: true, allocation_info: true };
    let info = SelInfo {
        version: SelInfo::VERSION,
        entries: 3,
        free_bytes: 16320,
        last_addition: 0x6543_2100,
        last_erase: TIME_UNSPECIFIED,
        overflow: true,
        supports,
    };
    golden(&info, "51 0300 c03f 00214365 ffffffff 8f", &[]);
    golden(&GetSelAllocationInfo, "", &[]);
    let allocation =
        SelAllocationInfo { units: 1024, unit_bytes: 16, free_units: 5, largest_free: 4, largest_record: 1 };
    golden(&allocation, "0004 1000 0500 0400 01", &[]);
}

#[test]
fn reading() {
    golden(&ReserveSel, "", &[]);
    golden(&SelReservation(0x1234), "3412", &[]);
    let get = GetSelEntry { reservation: 0x0102, record: LAST_RECORD, offset: 3, length: GetSelEntry::WHOLE };
    golden(&get, "0201 ffff 03 ff", &[]);
    let part = SelEntryPart { next: LAST_RECORD, data: [7; 16].to_vec() };
    let shorter: Vec<usize> = (2..18).collect();
    golden(&part, "ffff 07070707070707070707070707070707", &shorter);
}

#[test]
fn adding() {
    let record = SelRecord { id: 0, body: SelBody::Oem { record_type: 0xe0, data: [1; 13] } };
    golden(&AddSelEntry { record }, "0000 e0 01010101010101010101010101", &[]);
    golden(&SelRecordId(5), "0500", &[]);
    let part = PartialAddSelEntry {
        reservation: 0x0102,
        record: 0x0304,
        offset: 4,
        last: true,
        data: [9; 12].to_vec(),
    };
    let other: Vec<usize> = (6..=22).collect();
    golden(&part, "0201 0403 04 01 090909090909090909090909", &other);
    assert_eq!(
        PartialAddSelEntry::decode(&[0, 0, 0, 0, 0, 2]),
        Err(DecodeError::value("progress", 2)),
        "a progress that is not defined"
    );
}

#[test]
fn erasing() {
    golden(&DeleteSelEntry { reservation: 0x0102, record: 3 }, "0201 0300", &[]);
    golden(&ClearSel { reservation: 0x0102, initiate: true }, "0201 434c52 aa", &[]);
    golden(&ClearSel { reservation: 0, initiate: false }, "0000 434c52 00", &[]);
    golden(&SelErasure { complete: true }, "01", &[]);
    for wrong in [*b"\0\0CLS\xaa", *b"\0\0XLR\xaa", *b"\0\0CLR\xab", *b"\0\0CLR\x01"] {
        let refused = ClearSel::decode(&wrong);
        assert!(matches!(refused, Err(DecodeError::Value { .. })), "{refused:?}");
    }
}

#[test]
fn time() {
    golden(&GetSelTime, "", &[]);
    golden(&SelTime(0x0102_0304), "04030201", &[]);
    golden(&SetSelTime(SelTime(1)), "01000000", &[]);
    golden(&GetSelTimeUtcOffset, "", &[]);
    golden(&UtcOffset(Some(-60)), "c4ff", &[]);
    golden(&UtcOffset(None), "ff07", &[]);
    golden(&SetSelTimeUtcOffset(UtcOffset(Some(1440))), "a005", &[]);
    for wrong in [1441_i16, -1441, i16::MIN, i16::MAX] {
        assert!(matches!(UtcOffset::decode(&wrong.to_le_bytes()), Err(DecodeError::Value { .. })), "{wrong}");
    }
}
