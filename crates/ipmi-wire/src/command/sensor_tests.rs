//! Golden bytes of the sensor commands.

use super::*;
use crate::command::tests::golden;

#[test]
fn device_sdrs() {
    golden(&GetDeviceSdrInfo { count_records: Some(true) }, "01", &[0]);
    golden(&GetDeviceSdrInfo { count_records: None }, "", &[1]);
    golden(&DeviceSdrInfo { count: 21, flags: 1 }, "15 01", &[]);
    let read = SdrRead { reservation: 1, record: 0x0203, offset: 5, count: 0xff };
    golden(&GetDeviceSdr(read), "0100 0302 05 ff", &[]);
    golden(&ReserveDeviceSdrRepository, "", &[]);
}

#[test]
fn factors_hysteresis_and_thresholds() {
    golden(&GetSensorReadingFactors { sensor: 6, reading: 0x40 }, "06 40", &[]);
    let factors = Factors { m: 50, ..Default::default() };
    golden(&SensorReadingFactors { next: 0, factors }, "00 32 00 00 00 00 00", &[]);
    let hysteresis = SensorHysteresis { positive: 3, negative: 2 };
    golden(&SetSensorHysteresis { sensor: 2, hysteresis }, "02 ff 03 02", &[]);
    golden(&GetSensorHysteresis { sensor: 2 }, "02 ff", &[]);
    golden(&hysteresis, "03 02", &[]);
    let thresholds = SensorThresholds { mask: 0x18, values: [0, 0, 0, 80, 90, 0] };
    golden(&SetSensorThresholds { sensor: 2, thresholds }, "02 18 00 00 00 50 5a 00", &[]);
    golden(&GetSensorThresholds { sensor: 2 }, "02", &[]);
    golden(&thresholds, "18 00 00 00 50 5a 00", &[]);
}

#[test]
fn events() {
    let masks = EventMasks { assertions: 0x0a80, deassertions: 0x7a95 };
    let enable = SetSensorEventEnable {
        sensor: 2,
        events: true,
        scanning: true,
        selection: EventSelection::Enable,
        masks,
    };
    golden(&enable, "02 d0 800a 957a", &[2, 3, 4, 5]);
    let disable = SetSensorEventEnable { events: false, selection: EventSelection::Disable, ..enable };
    golden(&disable, "02 60 800a 957a", &[2, 3, 4, 5]);
    let keep = SetSensorEventEnable::decode(&[2, 0xc0]).unwrap();
    assert_eq!((keep.selection, keep.masks), (EventSelection::Keep, EventMasks::default()));
    assert!(SetSensorEventEnable::decode(&[2, 0xf0]).is_err(), "both at once");
    golden(&GetSensorEventEnable { sensor: 2 }, "02", &[]);
    golden(&GetSensorEventStatus { sensor: 2 }, "02", &[]);
    let events = SensorEvents { events: true, scanning: true, unavailable: false, masks };
    golden(&events, "c0 800a 957a", &[1, 2, 3, 4]);
    golden(&SensorEvents { unavailable: true, ..events }, "e0 800a 957a", &[1, 2, 3, 4]);
    golden(&RearmSensorEvents { sensor: 2, masks: Some(masks) }, "02 80 800a 957a", &[2, 3, 4, 5]);
    assert_eq!(RearmSensorEvents::decode(&[2, 0]).unwrap().masks, None);
}

#[test]
fn readings_and_types() {
    golden(&GetSensorReading { sensor: 2 }, "02", &[]);
    let reading =
        SensorReading { reading: 0x2a, events: true, scanning: true, unavailable: false, low: 8, high: None };
    golden(&reading, "2a c0 c8", &[4]);
    golden(&SensorReading { low: 0x21, high: Some(1), ..reading }, "2a c0 21 81", &[3]);
    golden(&GetSensorType { sensor: 2 }, "02", &[]);
    let kind = SensorKind { sensor_type: 1, event_type: 1 };
    golden(&kind, "01 01", &[]);
    golden(&SetSensorType { sensor: 2, kind }, "02 01 01", &[]);
    let set = SetSensorReading { sensor: 2, operation: 1, fields: [0x2a].into() };
    golden(&set, "02 01 2a", &[4, 5, 6, 7, 8, 9, 10]);
}
