//! LAN configuration parameters against golden bytes.

use std::vec;

use proptest::prelude::*;

use super::*;
use crate::command::tests::{golden, stable};

#[test]
fn requests() {
    let get = GetLanConfiguration {
        revision_only: false,
        channel: 1,
        parameter: number::BAD_PASSWORD,
        set_selector: 0,
        block_selector: 0,
    };
    golden(&get, "01 1a 00 00", &[]);
    golden(&GetLanConfiguration { revision_only: true, ..get }, "81 1a 00 00", &[]);
    // ipmitool lan set 1 ipaddr 192.0.2.1
    let set = SetLanConfiguration { channel: 1, parameter: LanParameter::Address([192, 0, 2, 1]) };
    golden(&set, "01 03 c0000201", &[]);
    golden(&GetLanStatistics { channel: 1, clear: true }, "01 01", &[]);
    let statistics = LanStatistics { ip_received: 0x0102, rmcp_received: 3, ..Default::default() };
    golden(&statistics, "0201 0000 0000 0000 0000 0000 0300 0000 0000", &[]);
    let answer = LanConfiguration { revision: PARAMETER_REVISION, data: vec![1, 2] };
    assert_eq!(answer.encode(), [0x11, 1, 2]);
}

#[test]
fn every_parameter_has_its_bytes() {
    let mut levels = [0; SUITE_ENTRIES_MAX];
    levels[0] = 4;
    levels[1] = 3;
    let rows: [(LanParameter, &str); 27] = [
        (LanParameter::SetInProgress(SetInProgress::Commit), "02"),
        (LanParameter::AuthTypeSupport(0x04), "04"),
        (LanParameter::AuthTypeEnables([0, 4, 4, 4, 0]), "0004040400"),
        (LanParameter::Address([127, 0, 0, 1]), "7f000001"),
        (LanParameter::AddressSource(1), "01"),
        (LanParameter::Mac([2, 1, 2, 3, 4, 5]), "020102030405"),
        (LanParameter::SubnetMask([255, 255, 255, 0]), "ffffff00"),
        (LanParameter::Ipv4Header([0x40, 0x40, 0x10]), "404010"),
        (LanParameter::PrimaryRmcpPort(623), "6f02"),
        (LanParameter::SecondaryRmcpPort(664), "9802"),
        (LanParameter::ArpControl(3), "03"),
        (LanParameter::GratuitousArpInterval(3), "03"),
        (LanParameter::Gateway([10, 0, 0, 1]), "0a000001"),
        (LanParameter::GatewayMac([2, 0, 0, 0, 0, 1]), "020000000001"),
        (LanParameter::BackupGateway([10, 0, 0, 2]), "0a000002"),
        (LanParameter::BackupGatewayMac([2, 0, 0, 0, 0, 2]), "020000000002"),
        (LanParameter::Community(*b"public\0\0\0\0\0\0\0\0\0\0\0\0"), "7075626c6963000000000000000000000000"),
        (LanParameter::Destinations(4), "04"),
        (
            LanParameter::DestinationType(DestinationType {
                selector: 1,
                acknowledge: true,
                kind: 0,
                timeout: 5,
                retries: 2,
            }),
            "01800502",
        ),
        (
            LanParameter::DestinationAddress(DestinationAddress {
                selector: 1,
                format: 0,
                backup_gateway: true,
                address: [10, 0, 0, 9],
                mac: [0; 6],
            }),
            "0100010a000009000000000000",
        ),
        (LanParameter::VlanId(VlanId { enabled: true, id: 0x123 }), "2381"),
        (LanParameter::VlanPriority(5), "05"),
        (LanParameter::SuiteSupport(2), "02"),
        (LanParameter::Suites(vec![3, 17]), "000311"),
        (LanParameter::SuitePrivileges(levels), "003400000000000000"),
        (LanParameter::DestinationVlan { selector: 1, tag: Some(0x2064) }, "01106420"),
        (
            LanParameter::BadPassword(BadPassword {
                audit: true,
                threshold: 3,
                count_reset_interval: 30,
                lockout_interval: 0x102,
            }),
            "01031e000201",
        ),
    ];
    for (n, (parameter, hex)) in rows.iter().enumerate() {
        let number = u8::try_from(n).unwrap();
        assert_eq!(parameter.number(), number);
        assert_eq!(hex::encode(parameter.encode()), *hex, "{parameter:?}");
        let bytes = hex::decode(hex).unwrap();
        assert_eq!(LanParameter::decode(number, &bytes).as_ref(), Ok(parameter));
        let short = &bytes[..bytes.len() - 1];
        let listed = number == number::SUITES;
        assert_eq!(LanParameter::decode(number, short).is_err(), !listed, "{parameter:?}");
        let mut long = bytes.clone();
        long.resize(if listed { 18 } else { bytes.len() + 1 }, 0);
        assert!(LanParameter::decode(number, &long).is_err(), "{parameter:?}");
    }
    let other = LanParameter::Other { number: 50, data: vec![1, 2] };
    assert_eq!(LanParameter::decode(50, &[1, 2]), Ok(other));
    for (number, bad) in [(0, &[3][..]), (4, &[5]), (25, &[1, 0x20, 0, 0])] {
        let refused = LanParameter::decode(number, bad);
        assert!(matches!(refused, Err(DecodeError::Value { .. })), "{number}: {refused:?}");
    }
}

proptest! {
    #[test]
    fn stable_under_any_input(number in 0_u8..28, bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut request = vec![1, number];
        request.extend(bytes);
        stable::<SetLanConfiguration>(&request);
        stable::<LanStatistics>(&request);
    }
}
