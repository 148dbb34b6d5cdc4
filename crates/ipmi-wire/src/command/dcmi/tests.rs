//! The commands of DCMI, byte by byte.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::command::tests::{golden, stable};

/// Any length above `from`.
fn longer(from: usize) -> Vec<usize> {
    (from..from + 40).collect()
}

#[test]
fn capabilities() {
    for (at, parameter) in CapabilitiesParameter::ALL.into_iter().enumerate() {
        golden(&Dcmi(GetDcmiCapabilities { parameter }), &std::format!("dc 0{}", at + 1), &[]);
    }
    for wrong in [0, 6, 0xff] {
        assert!(Dcmi::<GetDcmiCapabilities>::decode(&[0xdc, wrong]).is_err());
    }
    assert_eq!(
        Dcmi::<GetDcmiCapabilities>::decode(&[0xdd, 1]),
        Err(DecodeError::value("group extension", 0xdd))
    );
    let supported =
        SupportedCapabilities { power_management: true, secondary_lan: true, ..Default::default() };
    let mandatory = MandatoryAttributes {
        sel_entries: 0x400,
        sel_rollover: true,
        asset_tag: true,
        dhcp_host_name: false,
        temperature_sampling_seconds: 1,
    };
    let rows = [
        (CapabilitiesParameter::Supported, Capabilities::Supported(supported), "00 01 04"),
        (
            CapabilitiesParameter::MandatoryAttributes,
            Capabilities::MandatoryAttributes(mandatory),
            "00 84 04 00 01",
        ),
        (
            CapabilitiesParameter::PowerAttributes,
            Capabilities::PowerAttributes(PowerAttributes { address: 0x20, channel: 0, revision: 1 }),
            "40 01",
        ),
        (
            CapabilitiesParameter::AccessAttributes,
            Capabilities::AccessAttributes(AccessAttributes { primary_lan: Some(1), ..Default::default() }),
            "01 ff ff",
        ),
        (
            CapabilitiesParameter::RollingAverages,
            Capabilities::RollingAverages(ROLLING_AVERAGES.to_vec()),
            "09 05 0f 1e 41 43 47 4f 5e 81",
        ),
    ];
    for (parameter, capabilities, hex) in rows {
        let answer = DcmiCapabilities::from(capabilities.clone());
        let bytes = hex::decode(std::format!("dc010502{hex}").replace(' ', "")).unwrap();
        assert_eq!(hex::encode(Dcmi(answer.clone()).encode()), hex::encode(&bytes));
        assert_eq!(Dcmi::decode(&bytes), Ok(Dcmi(answer.clone())));
        assert_eq!(Capabilities::read(parameter, &answer.data), Ok(capabilities));
        assert!(Capabilities::read(parameter, &answer.data[..1]).is_err());
    }
}

#[test]
fn rolling_averages_are_times() {
    let seconds: Vec<u32> = ROLLING_AVERAGES.iter().map(|time| time.seconds()).collect();
    assert_eq!(seconds, [5, 15, 30, 60, 180, 420, 900, 1_800, 3_600]);
    assert_eq!(RollingAverage(0xc2).seconds(), 2 * 86_400);
}

#[test]
fn power_reading() {
    golden(&Dcmi(GetPowerReading { mode: PowerMode::System }), "dc 01 00 00", &[]);
    golden(&Dcmi(GetPowerReading { mode: PowerMode::Enhanced(RollingAverage(0x41)) }), "dc 02 41 00", &[]);
    assert!(GetPowerReading::decode(&[3, 0, 0]).is_err());
    let reading = PowerReading {
        current: 100,
        minimum: 40,
        maximum: 0x0201,
        average: 90,
        time: 0x6000_0001,
        period_ms: 60_000,
        active: true,
    };
    golden(&Dcmi(reading), "dc 64 00 28 00 01 02 5a 00 01 00 00 60 60 ea 00 00 40", &[]);
}

#[test]
fn power_limit() {
    golden(&Dcmi(GetPowerLimit), "dc 00 00", &[]);
    let limit = PowerLimit {
        action: ExceptionAction::LogEvent,
        watts: 300,
        correction_ms: 0x0001_0002,
        sampling_seconds: 60,
    };
    golden(&Dcmi(limit), "dc 00 00 11 2c 01 02 00 01 00 00 00 3c 00", &[]);
    golden(&Dcmi(SetPowerLimit(limit)), "dc 00 00 00 11 2c 01 02 00 01 00 00 00 3c 00", &[]);
    golden(&Dcmi(ActivatePowerLimit { active: true }), "dc 01 00 00", &[]);
    assert!(ActivatePowerLimit::decode(&[2, 0, 0]).is_err());
    for action in 0..=255 {
        let mut bytes = vec![0; 14];
        bytes[3] = action;
        assert_eq!(SetPowerLimit::decode(&bytes).is_ok(), [0, 1, 0x11].contains(&action), "{action:02x}");
    }
}

#[test]
fn texts() {
    golden(&Dcmi(GetAssetTag(ReadPiece { offset: 16, count: 8 })), "dc 10 08", &[]);
    golden(&Dcmi(GetControllerId(ReadPiece { offset: 0, count: 1 })), "dc 00 01", &[]);
    golden(&Dcmi(SetAssetTag(WritePiece { offset: 3, data: b"ab".to_vec() })), "dc 03 02 61 62", &[]);
    golden(&Dcmi(SetControllerId(WritePiece { offset: 3, data: vec![] })), "dc 03 00", &[]);
    golden(&Dcmi(Piece { total: 20, data: b"ab".to_vec() }), "dc 14 61 62", &longer(2));
    golden(&Dcmi(Written { total: 20 }), "dc 14", &[]);
}

#[test]
fn temperatures() {
    let all = Instances { part: Part::Processor, instance: 0, start: 9 };
    golden(&Dcmi(GetTemperatures(all)), "dc 01 03 00 09", &[]);
    golden(&Dcmi(GetSensorInfo(all)), "dc 01 03 00 09", &[]);
    for (entity, part) in [(0x40, Part::Inlet), (0x41, Part::Processor), (0x42, Part::Board)] {
        let read = GetTemperatures::decode(&[1, entity, 1, 0]).unwrap();
        assert_eq!(read.0, Instances { part, instance: 1, start: 0 });
    }
    assert!(GetTemperatures::decode(&[2, 0x40, 0, 0]).is_err(), "no temperature");
    assert!(GetTemperatures::decode(&[1, 0x43, 0, 0]).is_err(), "no such part");
    let one = Instances { instance: 2, ..all };
    assert!(one.contain(2) && !one.contain(9) && all.contain(9) && !all.contain(8));

    let hot = Temperature { celsius: 60, instance: 1 };
    let cold = Temperature { celsius: -5, instance: 2 };
    golden(&Dcmi(Temperatures { total: 2, readings: vec![hot, cold] }), "dc 02 02 3c 01 85 02", &[]);
    golden(&Dcmi(SensorInfo { total: 1, records: vec![0x0105] }), "dc 01 01 05 01", &[]);
    assert_eq!(SensorInfo { total: 20, records: vec![7; 20] }.encode().len(), 2 + 2 * INSTANCES_PER_ANSWER);
    assert_eq!(
        Temperatures { total: 20, readings: vec![hot; 20] }.encode().len(),
        2 + 2 * INSTANCES_PER_ANSWER
    );
}

#[test]
fn thermal_limit() {
    let limit =
        ThermalLimit { persistent: true, action: ExceptionAction::LogEvent, celsius: 40, seconds: 300 };
    golden(&Dcmi(SetThermalLimit { part: Part::Inlet, instance: 1, limit }), "dc 37 01 a0 28 2c 01", &[]);
    golden(&Dcmi(GetThermalLimit { part: Part::Inlet, instance: 1 }), "dc 37 01", &[]);
    golden(&Dcmi(limit), "dc a0 28 2c 01", &[]);
    let off = ThermalLimit { action: ExceptionAction::PowerOff, ..limit };
    golden(&Dcmi(off), "dc c0 28 2c 01", &[]);
    assert_eq!(ThermalLimit::decode(&[0xe0, 40, 0x2c, 1]), Ok(off), "switching off logs, too");
}

#[test]
fn configuration() {
    let discovery = Setting::Discovery { option_12: true, option_60: false, random_back_off: true };
    let rows = [
        (Setting::ActivateDhcp(true), "01 00", "01"),
        (discovery, "02 00", "81"),
        (Setting::InitialTimeout(4), "03 00", "04"),
        (Setting::ContactTimeout(120), "04 00", "78 00"),
        (Setting::RetryInterval(0x0140), "05 00", "40 01"),
    ];
    for ((setting, front, value), parameter) in rows.into_iter().zip(ConfigurationParameter::ALL) {
        golden(&Dcmi(SetConfiguration { setting: Some(setting) }), &std::format!("dc {front} {value}"), &[]);
        golden(&Dcmi(GetConfiguration { parameter: Some(parameter) }), &std::format!("dc {front}"), &[]);
        let answer = Configuration::from(setting);
        golden(&Dcmi(answer.clone()), &std::format!("dc 01 05 02 {value}"), &longer(4));
        assert_eq!(answer.setting(parameter), Ok(setting));
    }
    golden(&Dcmi(SetConfiguration { setting: None }), "dc 00 00", &longer(3));
    assert_eq!(GetConfiguration::decode(&[6, 0]), Ok(GetConfiguration { parameter: None }));
}

proptest! {
    #[test]
    fn stable_under_any_input(mut bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        bytes[0] = BODY_ID;
        stable::<Dcmi<GetDcmiCapabilities>>(&bytes);
        stable::<Dcmi<DcmiCapabilities>>(&bytes);
        stable::<Dcmi<GetPowerReading>>(&bytes);
        stable::<Dcmi<PowerReading>>(&bytes);
        stable::<Dcmi<PowerLimit>>(&bytes);
        stable::<Dcmi<SetPowerLimit>>(&bytes);
        stable::<Dcmi<ActivatePowerLimit>>(&bytes);
        stable::<Dcmi<SetAssetTag>>(&bytes);
        stable::<Dcmi<Piece>>(&bytes);
        stable::<Dcmi<GetSensorInfo>>(&bytes);
        stable::<Dcmi<SensorInfo>>(&bytes);
        stable::<Dcmi<Temperatures>>(&bytes);
        stable::<Dcmi<SetThermalLimit>>(&bytes);
        stable::<Dcmi<GetThermalLimit>>(&bytes);
        stable::<Dcmi<SetConfiguration>>(&bytes);
        stable::<Dcmi<Configuration>>(&bytes);
        for parameter in CapabilitiesParameter::ALL {
            let _ = Capabilities::read(parameter, &bytes);
        }
    }
}
