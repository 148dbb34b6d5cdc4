//! Boot option parameters: golden bytes, round trips, refusals.

use std::vec;

use proptest::prelude::*;

use super::*;
use crate::command::tests::{golden, stable};

fn set(value: BootOption) -> SetSystemBootOptions {
    SetSystemBootOptions { mark_invalid: false, write: BootWrite::Value(value) }
}

fn pxe_once() -> BootFlags {
    BootFlags { valid: true, device: DeviceSelector::Pxe, ..Default::default() }
}

#[test]
fn what_ipmitool_sends_for_bootdev() {
    golden(&set(BootOption::SetInProgress(SetInProgress::InProgress)), "00 01", &[1]);
    golden(&set(BootOption::Acknowledge { mask: 1, data: 1 }), "04 01 01", &[1]);
    golden(&set(BootOption::Flags(pxe_once())), "05 80 04 00 00 00", &[1]);
    golden(&set(BootOption::SetInProgress(SetInProgress::Commit)), "00 02", &[1]);
    golden(&set(BootOption::SetInProgress(SetInProgress::Complete)), "00 00", &[1]);
}

#[test]
fn what_ironic_sends() {
    golden(&set(BootOption::ValidBitClearing(0x08)), "03 08", &[1]);
    let flags = BootFlags { persistent: true, efi: true, device: DeviceSelector::Cdrom, ..pxe_once() };
    golden(&set(BootOption::Flags(flags)), "05 e0 14 00 00 00", &[1]);
}

#[test]
fn the_other_parameters() {
    golden(&set(BootOption::ServicePartition(7)), "01 07", &[1]);
    golden(&set(BootOption::ServiceScan(3)), "02 03", &[1]);
    let initiator = BootInitiator { channel: 1, session_id: 0x0403_0201, timestamp: 0x6655_4433 };
    golden(&set(BootOption::Initiator(initiator)), "06 01 01020304 33445566", &[1]);
    let mailbox = BootOption::Mailbox { block: 2, data: (0..16).collect() };
    golden(&set(mailbox), "07 02 000102030405060708090a0b0c0d0e0f", &(1..18).collect::<Vec<_>>());
    assert_eq!(
        SetSystemBootOptions::decode(&[0x60, 1, 2]),
        Ok(set(BootOption::Other { parameter: 0x60, data: vec![1, 2] }))
    );
}

#[test]
fn the_mark_can_be_written_alone() {
    let mark = SetSystemBootOptions { mark_invalid: true, write: BootWrite::Mark(5) };
    golden(&mark, "85", &[6]);
    let marked = SetSystemBootOptions { mark_invalid: true, ..set(BootOption::Flags(pxe_once())) };
    golden(&marked, "85 80 04 00 00 00", &[1]);
}

#[test]
fn every_device_stands_at_its_place() {
    for raw in 0..16_u8 {
        let bytes = [5, 0x80, raw << 2, 0, 0, 0];
        match DeviceSelector::from_raw(raw) {
            Some(device) => {
                let flags = BootFlags { device, ..pxe_once() };
                assert_eq!(SetSystemBootOptions::decode(&bytes), Ok(set(BootOption::Flags(flags))));
            }
            None => {
                assert!([0xa, 0xc, 0xd, 0xe].contains(&raw));
                assert_eq!(SetSystemBootOptions::decode(&bytes), Err(DecodeError::value("boot device", raw)));
            }
        }
    }
}

#[test]
fn all_bits_of_the_flags_come_back() {
    let bytes = [5, 0xe0, 0xff, 0xff, 0x0f, 0x1f];
    assert_eq!(SetSystemBootOptions::decode(&bytes).unwrap().encode(), bytes);
}

#[test]
fn reading() {
    let get = GetSystemBootOptions { parameter: 5, set_selector: 0, block_selector: 0 };
    golden(&get, "05 00 00", &[]);
    let answer = SystemBootOptions {
        version: PARAMETER_VERSION,
        invalid: false,
        value: BootOption::Flags(pxe_once()),
    };
    golden(&answer, "01 05 80 04 00 00 00", &[]);
    let locked = SystemBootOptions { invalid: true, value: BootOption::ServicePartition(0), ..answer };
    golden(&locked, "01 81 00", &[]);
}

proptest! {
    #[test]
    fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..22)) {
        stable::<SetSystemBootOptions>(&bytes);
        stable::<GetSystemBootOptions>(&bytes);
        stable::<SystemBootOptions>(&bytes);
    }

    #[test]
    fn stable_for_known_parameters(parameter in 0_u8..8, bytes in prop::collection::vec(any::<u8>(), 0..18)) {
        let mut request = vec![parameter];
        request.extend(&bytes);
        stable::<SetSystemBootOptions>(&request);
    }
}
