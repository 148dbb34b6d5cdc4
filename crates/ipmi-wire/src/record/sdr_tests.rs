//! Golden records, round trips, hostile bytes.

use proptest::prelude::*;

use super::*;

fn key() -> SensorKey {
    SensorKey { owner: 0x20, lun: 0, number: 0x06, entity: 29, instance: 1 }
}

fn common() -> SensorCommon {
    SensorCommon {
        initialization: 0x7f,
        capabilities: 0x68,
        sensor_type: 0x04,
        event_type: TYPE_THRESHOLD,
        assertions: 0x7015,
        deassertions: 0x0015,
        readable: 0x0707,
        units: 0,
        base_unit: 18,
        modifier_unit: 0,
    }
}

fn golden(body: SdrBody, hex_text: &str) {
    let record = SdrRecord { id: 0x0102, body };
    let wanted = hex::decode(hex_text.replace(' ', "")).unwrap();
    assert_eq!(hex::encode(record.encode()), hex::encode(&wanted));
    assert_eq!(SdrRecord::decode(&wanted), Ok(record));
    for n in 0..wanted.len() {
        assert!(SdrRecord::decode(&wanted[..n]).is_err(), "{n} bytes");
    }
}

#[test]
fn full() {
    let factors = Factors { m: 50, ..Default::default() };
    let sensor = FullSensor {
        key: key(),
        common: common(),
        linearization: 0,
        factors,
        direction: 0,
        characteristics: 1,
        nominal: [70, 0, 0],
        range: [240, 0],
        thresholds: [24, 16, 8, 0, 0, 0],
        hysteresis: [0, 2],
        name: "Fan 1".into(),
    };
    golden(
        SdrBody::Full(sensor),
        "0201 51 01 30  20 00 06 1d 01  7f 68 04 01 1570 1500 0707 00 12 00  00 32 00 00 00 00 00  01 46 00 00 f0 00 \
         00 00 00 08 10 18 00 02 0000 00 c5 46616e2031",
    );
}

#[test]
fn compact_and_event_only() {
    let states = SensorCommon { event_type: TYPE_SENSOR_SPECIFIC, units: 0xc0, base_unit: 0, ..common() };
    let compact = CompactSensor {
        key: key(),
        common: states,
        sharing: NOT_SHARED,
        hysteresis: [0, 0],
        name: "PSU 1".into(),
    };
    golden(
        SdrBody::Compact(compact),
        "0201 51 02 20  20 00 06 1d 01  7f 68 04 6f 1570 1500 0707 c0 00 00  01 00 00 00 000000 00 c5 5053552031",
    );
    let events = EventOnlySensor {
        key: key(),
        sensor_type: 0x12,
        event_type: TYPE_SENSOR_SPECIFIC,
        sharing: NOT_SHARED,
        name: "System Event".into(),
    };
    golden(
        SdrBody::EventOnly(events),
        "0201 51 03 18  20 00 06 1d 01  12 6f 01 00 00 00 cc 53797374656d204576656e74",
    );
}

#[test]
fn locators() {
    let fru = FruLocator {
        access_address: 0x20,
        device: 0,
        access: 0x80,
        channel: 0,
        device_type: [0x10, 0],
        entity: 7,
        instance: 1,
        name: "FRU".into(),
    };
    golden(SdrBody::Fru(fru), "0201 51 11 0e  20 00 80 00 00 10 00 07 01 00 c3 465255");
    let controller = ControllerLocator {
        address: 0x20,
        channel: 0,
        initialization: 0,
        capabilities: 0x9f,
        entity: 6,
        instance: 1,
        name: "BMC".into(),
    };
    golden(SdrBody::Controller(controller), "0201 51 12 0e  20 00 00 9f 00 00 00 06 01 00 c3 424d43");
    golden(SdrBody::Other { record_type: 0xc0, data: [1, 2].into() }, "0201 51 c0 02 01 02");
}

#[test]
fn factors_keep_their_signs() {
    for (m, b, b_exponent, r_exponent) in
        [(1, 0, 0, 0), (-512, 511, -8, 7), (511, -512, 7, -8), (-1, -1, -1, -1)]
    {
        let factors =
            Factors { m, b, b_exponent, r_exponent, tolerance: 0x2a, accuracy: 0x155, accuracy_exponent: 2 };
        assert_eq!(Factors::decode(&factors.encode()), Ok(factors));
    }
}

#[test]
fn a_name_that_is_too_long_is_cut() {
    let record = SdrRecord {
        id: 1,
        body: SdrBody::EventOnly(EventOnlySensor {
            key: key(),
            sensor_type: 1,
            event_type: 1,
            sharing: NOT_SHARED,
            name: "a name of more than sixteen".into(),
        }),
    };
    let Ok(SdrRecord { body: SdrBody::EventOnly(read), .. }) = SdrRecord::decode(&record.encode()) else {
        panic!("unreadable");
    };
    assert_eq!(read.name, "a name of more t");
}

proptest! {
    #[test]
    fn whatever_decodes_is_stable(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(record) = SdrRecord::decode(&bytes) {
            let again = SdrRecord::decode(&record.encode());
            prop_assert_eq!(again.is_ok(), true);
        }
    }

    #[test]
    fn a_record_of_any_type_does_not_panic(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..70)) {
        let mut bytes = std::vec![1, 0, SDR_VERSION, kind, body.len() as u8];
        bytes.extend(body);
        let _ = SdrRecord::decode(&bytes);
    }
}
