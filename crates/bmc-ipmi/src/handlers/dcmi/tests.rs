//! DCMI over IPMI.

use bmc_core::backend::{ObservedPower, Report, Statistics};
use bmc_core::power::PowerState;
use bmc_core::request::Change;
use bmc_core::request::Request;
use bmc_core::sensor::number;
use ipmi_wire::command::dcmi::ConfigurationParameter;
use ipmi_wire::command::dcmi::{
    ActivatePowerLimit, Instances, Part, PowerLimit, PowerMode, ReadPiece, RollingAverage, Setting,
    Temperature, ThermalLimit, WritePiece,
};

use super::*;
use crate::handlers::testing::Bench;

const GROUP: u8 = 0x2c;

async fn raw(bench: &Bench, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
    let (code, answer) = bench.raw(GROUP, cmd, &[&[0xdc], data].concat()).await;
    assert_eq!(answer.first(), Some(&0xdc), "every answer begins with the body's id");
    (code, answer[1..].to_vec())
}

/// Every length from 0 to 24 other than `right`, the body's id not counted, is refused as `C7h`.
async fn bad_lengths(bench: &Bench, cmd: u8, good: &[u8]) {
    for n in 0..24 {
        let mut data = good.to_vec();
        data.resize(n, 0);
        let (code, _) = raw(bench, cmd, &data).await;
        assert_eq!(code != 0xc7, n == good.len(), "{cmd:02x}h with {n} bytes: {code:02x}h");
    }
}

async fn running() -> Bench {
    let bench = Bench::new().await;
    bench.power(ObservedPower::Running, PowerState::On).await;
    bench
}

async fn load(bench: &Bench, cpu_percent: u8) {
    let statistics = Statistics { cpu_percent, ..Default::default() };
    bench.backend.report(Report::Statistics(statistics));
    bench.until(|snapshot| snapshot.statistics == statistics).await;
}

#[tokio::test]
async fn other_bodies_have_no_commands() {
    let bench = Bench::new().await;
    for cmd in 0..=0x13 {
        for body in [0x00, 0x01, 0x03, 0x52, 0xdb] {
            assert_eq!(bench.raw(GROUP, cmd, &[body, 1]).await, (0xc1, vec![body]));
        }
    }
    assert_eq!(bench.raw(GROUP, 0x01, &[]).await, (0xc7, vec![]));
    for cmd in [0x00, 0x0d, 0x0e, 0x0f, 0x11, 0x14] {
        assert_eq!(raw(&bench, cmd, &[]).await.0, 0xc1, "{cmd:02x}h");
    }
}

#[tokio::test]
async fn capabilities_say_what_there_is() {
    let bench = Bench::new().await;
    let rows: [(u8, &[u8]); 5] = [
        (1, &[0x00, 0x01, 0x00]),
        (2, &[0x00, 0x04, 0x04, 0x00, 0x01]),
        (3, &[0x40, 0x01]),
        (4, &[0x01, 0xff, 0xff]),
        (5, &[9, 0x05, 0x0f, 0x1e, 0x41, 0x43, 0x47, 0x4f, 0x5e, 0x81]),
    ];
    for (parameter, data) in rows {
        assert_eq!(raw(&bench, 0x01, &[parameter]).await, (0, [&[1, 5, 2], data].concat()), "{parameter}");
    }
    for undefined in [0, 6, 0xff] {
        assert_eq!(raw(&bench, 0x01, &[undefined]).await.0, 0xcc);
    }
    bad_lengths(&bench, 0x01, &[1]).await;
}

#[tokio::test]
async fn power_reading_is_the_sensors() {
    let bench = running().await;
    let ask = async |mode| bench.ask(Dcmi(GetPowerReading { mode })).await.0;
    for percent in [0, 100, 37] {
        load(&bench, percent).await;
        let reading = ask(PowerMode::System).await;
        let snapshot = bench.machine.snapshot();
        let sensor = snapshot.sensors().iter().find(|sensor| sensor.number == number::POWER_DRAW).unwrap();
        let raw = snapshot.readings.get(number::POWER_DRAW).unwrap().raw().unwrap();
        assert_eq!(u32::from(reading.current), sensor.analog().unwrap().value(raw), "{percent}");
        assert!(reading.active && reading.minimum <= reading.average && reading.average <= reading.maximum);
    }
    for time in ROLLING_AVERAGES {
        let reading = ask(PowerMode::Enhanced(time)).await;
        assert!(reading.active && reading.period_ms <= time.seconds() * 1_000);
    }
    bench.backend.report(Report::Unavailable(bmc_core::error::BackendError::unavailable("away")));
    bench
        .until(|snapshot| {
            snapshot.power_meter.statistics(std::time::Instant::now(), std::time::Duration::MAX).is_none()
        })
        .await;
    let reading = ask(PowerMode::System).await;
    assert_eq!((reading.active, reading.current), (false, 0));

    for (data, code) in [([2, 0x02, 0], 0xcc), ([2, 0, 0], 0xcc), ([0, 0, 0], 0xcc), ([3, 0, 0], 0xcc)] {
        assert_eq!(raw(&bench, 0x02, &data).await.0, code, "{data:02x?}");
    }
    assert!(!ROLLING_AVERAGES.contains(&RollingAverage(0x02)));
    bad_lengths(&bench, 0x02, &[1, 0, 0]).await;
}

#[tokio::test]
async fn power_limit_is_kept_and_shown_also_while_not_active() {
    let bench = running().await;
    let unset = [0, 0, 0x00, 0xff, 0xff, 0xe8, 0x03, 0, 0, 0, 0, 60, 0];
    assert_eq!(raw(&bench, 0x03, &[0, 0]).await, (0x80, unset.to_vec()));
    assert_eq!(raw(&bench, 0x05, &[1, 0, 0]).await.0, 0xd5, "there is nothing to activate");
    let limit = PowerLimit {
        action: ExceptionAction::LogEvent,
        watts: 300,
        correction_ms: 5_000,
        sampling_seconds: 30,
    };
    bench.ask(Dcmi(SetPowerLimit(limit))).await;
    let (code, data) = raw(&bench, 0x03, &[0, 0]).await;
    assert_eq!((code, data[2..5].to_vec()), (0x80, vec![0x11, 0x2c, 0x01]));
    bench.ask(Dcmi(ActivatePowerLimit { active: true })).await;
    assert_eq!(bench.machine.snapshot().settings.dcmi.power_limit.unwrap().watts, 300);
    let (code, shown) = raw(&bench, 0x03, &[0, 0]).await;
    assert_eq!((code, shown), (0, data));
    // A change of it leaves it active.
    bench.ask(Dcmi(SetPowerLimit(PowerLimit { watts: 301, ..limit }))).await;
    assert_eq!(raw(&bench, 0x03, &[0, 0]).await.0, 0);
    bench.ask(Dcmi(ActivatePowerLimit { active: false })).await;
    assert_eq!(raw(&bench, 0x03, &[0, 0]).await.0, 0x80);
}

#[tokio::test]
async fn power_limit_refuses_bad_data() {
    let bench = running().await;
    let good = [0, 0, 0, 0x11, 0x2c, 0x01, 0xe8, 0x03, 0, 0, 0, 0, 60, 0];
    let with = |changes: &[(usize, u8)]| {
        let mut data = good;
        for (at, value) in changes {
            data[*at] = *value;
        }
        data
    };
    let rows = [
        (with(&[(4, 0), (5, 0)]), 0x84),
        (with(&[(6, 0), (7, 0)]), 0x85),
        (with(&[(9, 0xff)]), 0x85),
        (with(&[(12, 0)]), 0x89),
        (with(&[(13, 0xff)]), 0x89),
        (with(&[(3, 0x02)]), 0xcc),
        (with(&[(3, 0x10)]), 0xcc),
        (with(&[(0, 0xff), (10, 0xff)]), 0x00),
    ];
    for (data, code) in rows {
        assert_eq!(raw(&bench, 0x04, &data).await.0, code, "{data:02x?}");
    }
    assert_eq!(raw(&bench, 0x05, &[2, 0, 0]).await.0, 0xcc);
    bad_lengths(&bench, 0x03, &[0, 0]).await;
    bad_lengths(&bench, 0x04, &good).await;
    bad_lengths(&bench, 0x05, &[0, 0, 0]).await;
    bench.break_store();
    assert_eq!(raw(&bench, 0x04, &with(&[(4, 1)])).await.0, 0xff);
}

/// The whole text, as clients read it.
async fn read_text(bench: &Bench, cmd: u8) -> Vec<u8> {
    let (code, answer) = raw(bench, cmd, &[0, 0]).await;
    assert_eq!((code, answer.len()), (0, 1));
    let total = answer[0];
    let mut text = Vec::new();
    while text.len() < usize::from(total) {
        let left = total - text.len() as u8;
        let (code, answer) = raw(bench, cmd, &[text.len() as u8, left.min(16)]).await;
        assert_eq!((code, answer[0]), (0, total));
        text.extend(&answer[1..]);
    }
    text
}

async fn write_text(bench: &Bench, cmd: u8, text: &[u8]) {
    for (at, data) in text.chunks(16).enumerate() {
        let offset = (at * 16) as u8;
        let piece = WritePiece { offset, data: data.to_vec() };
        let (code, answer) = raw(bench, cmd, &ipmi_wire::command::Payload::encode(&piece)).await;
        assert_eq!((code, answer), (0, vec![offset + data.len() as u8]));
    }
}

#[tokio::test]
async fn asset_tag_is_the_machines() {
    let bench = Bench::new().await;
    assert!(read_text(&bench, 0x06).await.is_empty());
    let long = "a tag that takes four pieces, because it is as long as it can be";
    for tag in ["shelf 4", &long[..63], "exactly sixteen.", "x", "é und Ж, in zwei Stücken: äöüäöüäöü"]
    {
        let marked = if tag.is_ascii() { tag.into() } else { [&[0xef, 0xbb, 0xbf], tag.as_bytes()].concat() };
        write_text(&bench, 0x08, &marked).await;
        assert_eq!(bench.machine.snapshot().identity.asset_tag, tag);
        assert_eq!(read_text(&bench, 0x06).await, marked);
    }
    let change = Change { asset_tag: Some("by another door".to_owned()), ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    assert_eq!(read_text(&bench, 0x06).await, b"by another door");
    bench.ask(Dcmi(SetAssetTag(WritePiece { offset: 3, data: b"other".to_vec() }))).await;
    assert_eq!(bench.machine.snapshot().identity.asset_tag, "by other");
    let piece = bench.ask(Dcmi(GetAssetTag(ReadPiece { offset: 3, count: 16 }))).await.0;
    assert_eq!((piece.total, piece.data.as_slice()), (8, &b"other"[..]));
}

#[tokio::test]
async fn controller_id_has_a_default_and_is_kept() {
    let bench = Bench::new().await;
    // LAN parameter 5.
    let (_, mac) = bench.raw(0x0c, 0x02, &[1, 5, 0, 0]).await;
    let digits: String = mac[1..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(read_text(&bench, 0x09).await, format!("DCMI{digits}").into_bytes());
    write_text(&bench, 0x0a, b"a-controller-with-a-name\0").await;
    assert_eq!(read_text(&bench, 0x09).await, b"a-controller-with-a-name");
    write_text(&bench, 0x0a, &[b'n'; 64]).await;
    assert_eq!(read_text(&bench, 0x09).await, [b'n'; 63], "the last byte is for the zero");
}

#[tokio::test]
async fn asset_tag_and_controller_id_refuse_bad_data() {
    let bench = Bench::new().await;
    for (get, set, max) in [(0x06, 0x08, 63_u8), (0x09, 0x0a, 64)] {
        let rows: [(&[u8], u8); 6] = [
            (&[max, 0], 0x00),
            (&[max - 16, 16], 0x00),
            (&[max - 15, 16], 0xc9),
            (&[0, 17], 0xc9),
            (&[255, 0], 0xc9),
            (&[255, 16], 0xc9),
        ];
        for (data, code) in rows {
            assert_eq!(raw(&bench, get, data).await.0, code, "{get:02x}h {data:02x?}");
        }
        let before = read_text(&bench, get).await;
        let long = [&[0, 17][..], &[b'x'; 17]].concat();
        let rows: [(&[u8], u8); 6] = [
            (&[max, 1, b'x'], 0xc9),
            (&[255, 1, b'x'], 0xc9),
            (&long, 0xc9),
            (&[0, 2, b'x'], 0xc7),
            (&[0, 1, b'x', b'x'], 0xc7),
            (&[0], 0xc7),
        ];
        for (data, code) in rows {
            assert_eq!(raw(&bench, set, data).await.0, code, "{set:02x}h {data:02x?}");
        }
        assert_eq!(read_text(&bench, get).await, before);
        bad_lengths(&bench, get, &[0, 1]).await;
    }
}

fn all(part: Part) -> Instances {
    Instances { part, instance: 0, start: 0 }
}

#[tokio::test]
async fn temperatures_are_the_sensors() {
    let bench = running().await;
    load(&bench, 50).await;
    let snapshot = bench.machine.snapshot();
    for (part, number) in [
        (Part::Inlet, number::INLET_TEMPERATURE),
        (Part::Processor, number::CPU_TEMPERATURE),
        (Part::Board, number::BOARD_TEMPERATURE),
    ] {
        let told = bench.ask(Dcmi(GetTemperatures(all(part)))).await.0;
        let sensor = snapshot.sensors().iter().find(|sensor| sensor.number == number).unwrap();
        let value = sensor.analog().unwrap().value(snapshot.readings.get(number).unwrap().raw().unwrap());
        let reading = Temperature { celsius: value as i8, instance: 1 };
        assert_eq!((told.total, told.readings), (1, vec![reading]), "{part:?}");
        let none = bench.ask(Dcmi(GetTemperatures(Instances { part, instance: 2, start: 0 }))).await.0;
        assert_eq!((none.total, none.readings), (1, vec![]));
        // The numbers of DCMI 1.0 mean the same.
        let old = raw(&bench, 0x10, &[1, part.entity_of_1_0(), 0, 0]).await;
        assert_eq!(old, raw(&bench, 0x10, &[1, part.entity(), 0, 0]).await);
    }
    bench.power(ObservedPower::Off, PowerState::Off).await;
    let cold = bench.ask(Dcmi(GetTemperatures(all(Part::Processor)))).await.0;
    assert_eq!((cold.total, cold.readings), (1, vec![]), "processors that are off have no temperature");
    for data in [[0, 3, 0, 0], [2, 3, 0, 0], [1, 4, 0, 0], [1, 0xff, 0, 0]] {
        assert_eq!(raw(&bench, 0x10, &data).await.0, 0xcc, "{data:02x?}");
    }
    bad_lengths(&bench, 0x10, &[1, 3, 0, 0]).await;
}

#[tokio::test]
async fn sensor_info_names_the_records() {
    let bench = Bench::new().await;
    for (part, number) in [
        (Part::Inlet, number::INLET_TEMPERATURE),
        (Part::Processor, number::CPU_TEMPERATURE),
        (Part::Board, number::BOARD_TEMPERATURE),
    ] {
        let info = bench.ask(Dcmi(GetSensorInfo(all(part)))).await.0;
        assert_eq!((info.total, info.records.len()), (1, 1));
        let [low, high] = info.records[0].to_le_bytes();
        // Get SDR of that record: its header's fifth byte on is the sensor's key, the number its third byte.
        let (code, record) = bench.raw(0x0a, 0x23, &[0, 0, low, high, 0, 0xff]).await;
        assert_eq!((code, record[2..4].to_vec(), record[2 + 7]), (0, vec![low, high], number));
    }
    bad_lengths(&bench, 0x07, &[1, 3, 0, 0]).await;
}

#[tokio::test]
async fn thermal_limit_is_that_of_the_inlet() {
    let bench = Bench::new().await;
    assert_eq!(raw(&bench, 0x0c, &[0x37, 1]).await, (0, vec![0, 0, 0, 0]));
    let limit =
        ThermalLimit { persistent: true, action: ExceptionAction::PowerOff, celsius: 50, seconds: 300 };
    bench.ask(Dcmi(SetThermalLimit { part: Part::Inlet, instance: 1, limit })).await;
    assert_eq!(bench.ask(Dcmi(GetThermalLimit { part: Part::Inlet, instance: 0 })).await.0, limit);
    assert_eq!(raw(&bench, 0x0c, &[0x40, 1]).await, (0, vec![0xc0, 50, 0x2c, 0x01]));
    for (part, code) in [([0x03, 1], 0xcc), ([0x41, 1], 0xcc), ([0x37, 2], 0xcb), ([0x50, 1], 0xcc)] {
        assert_eq!(raw(&bench, 0x0c, &part).await.0, code, "{part:02x?}");
        assert_eq!(raw(&bench, 0x0b, &[part[0], part[1], 0, 1, 1, 1]).await.0, code, "{part:02x?}");
    }
    bad_lengths(&bench, 0x0b, &[0x37, 1, 0, 0, 0, 0]).await;
    bad_lengths(&bench, 0x0c, &[0x37, 1]).await;
}

#[tokio::test]
async fn configuration_is_kept_and_read_back() {
    let bench = Bench::new().await;
    let rows: [(u8, &[u8], &[u8]); 5] = [
        (1, &[0], &[1]),
        (2, &[1], &[0x83]),
        (3, &[4], &[9]),
        (4, &[120, 0], &[1, 2]),
        (5, &[64, 0], &[3, 4]),
    ];
    for (parameter, default, wanted) in rows {
        let shown = async || raw(&bench, 0x13, &[parameter, 0]).await;
        assert_eq!(shown().await, (0, [&[1, 5, 2], default].concat()), "{parameter}");
        assert_eq!(raw(&bench, 0x12, &[&[parameter, 0], wanted].concat()).await, (0, vec![]));
        let after = if parameter == 1 { default } else { wanted };
        assert_eq!(shown().await, (0, [&[1, 5, 2], after].concat()), "{parameter}");
        bad_lengths(&bench, 0x12, &[&[parameter, 0], wanted].concat()).await;
    }
    let read =
        bench.ask(Dcmi(GetConfiguration { parameter: Some(ConfigurationParameter::InitialTimeout) })).await.0;
    assert!(matches!(read.setting(ConfigurationParameter::InitialTimeout), Ok(Setting::InitialTimeout(_))));
    for undefined in [0, 6, 0xff] {
        assert_eq!(raw(&bench, 0x12, &[undefined, 0, 1]).await.0, 0x80);
        assert_eq!(raw(&bench, 0x13, &[undefined, 0]).await.0, 0x80);
    }
    bad_lengths(&bench, 0x13, &[2, 0]).await;
}
