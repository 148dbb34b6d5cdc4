//! Boot options: what clients write, read back, and what is refused.

use ipmi_wire::PrivilegeLevel;

use super::*;
use crate::Caller;
use crate::handlers::testing::{Bench, bad_lengths};

async fn set(bench: &Bench, data: &[u8]) -> u8 {
    let (code, answer) = bench.raw(0x00, 0x08, data).await;
    assert!(answer.is_empty());
    code
}

/// The answer to Get System Boot Options without its version byte.
async fn get(bench: &Bench, parameter: u8, set: u8) -> Vec<u8> {
    let (code, answer) = bench.raw(0x00, 0x09, &[parameter, set, 0]).await;
    assert_eq!(code, 0, "parameter {parameter}");
    assert_eq!(answer.first(), Some(&PARAMETER_VERSION));
    answer.get(1..).unwrap_or_default().to_vec()
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let bench = Bench::new().await;
    let rows: [(&[u8], &[u8]); 17] = [
        // Ironic: the valid bit's timer off.
        (&[3, 0x08], &[3, 0x08]),
        // ipmitool: acknowledged by the firmware. The mask reads as 0.
        (&[4, 0x01, 0x01], &[4, 0x00, 0x01]),
        (&[4, 0x06, 0x04], &[4, 0x00, 0x05]),
        (&[4, 0x1f, 0x00], &[4, 0x00, 0x00]),
        (&[1, 0x05], &[1, 0x05]),
        (&[2, 0x03], &[2, 0x03]),
        (&[6, 1, 0xa1, 0xa2, 0xa3, 0xa4, 1, 2, 3, 4], &[6, 1, 0xa1, 0xa2, 0xa3, 0xa4, 1, 2, 3, 4]),
        (&[5, 0x80, 0x04, 0, 0, 0], &[5, 0x80, 0x04, 0, 0, 0]),
        (&[5, 0xe0, 0x14, 0, 0, 0], &[5, 0xe0, 0x14, 0, 0, 0]),
        (&[5, 0xa0, 0x18, 0, 0, 0], &[5, 0xa0, 0x18, 0, 0, 0]),
        // Bits that name no device.
        (&[5, 0xc0, 0xcb, 0xff, 0x0f, 0x1f], &[5, 0xc0, 0xcb, 0xff, 0x0f, 0x1f]),
        (&[5, 0x00, 0x08, 0, 0, 0], &[5, 0x00, 0x08, 0, 0, 0]),
        // ipmitool's `bootdev none`: nothing is overridden, and real BMCs say so; bits that name no device stand all the same.
        (&[5, 0x80, 0x00, 0, 0, 0], &[5, 0x00, 0x00, 0, 0, 0]),
        (&[5, 0x80, 0x80, 0, 0, 0], &[5, 0x80, 0x80, 0, 0, 0]),
        // FreeIPMI's ipmi-chassis-config, one key after the other: how it is to last or boot, before the device.
        (&[5, 0xc0, 0x00, 0, 0, 0], &[5, 0xc0, 0x00, 0, 0, 0]),
        (&[5, 0xa0, 0x00, 0, 0, 0], &[5, 0xa0, 0x00, 0, 0, 0]),
        // Without a value: only the mark.
        (&[3], &[3, 0x08]),
    ];
    for (write, read) in rows {
        assert_eq!(set(&bench, write).await, 0, "{write:02x?}");
        assert_eq!(get(&bench, write[0], 0).await, read, "{write:02x?}");
    }
}

#[tokio::test]
async fn every_device_is_the_cores_target_and_reads_back() {
    let bench = Bench::new().await;
    for device in DeviceSelector::ALL {
        let byte = (device as u8) << 2;
        let code = set(&bench, &[5, 0x80, byte, 0, 0, 0]).await;
        if device == DeviceSelector::RemoteDisk {
            assert_eq!(code, 0xcc, "the bench's machine has none");
            continue;
        }
        assert_eq!(code, 0, "{device:?}");
        let boot = bench.machine.snapshot().boot.clone();
        let (enabled, valid) = match device {
            DeviceSelector::None => (BootEnabled::Disabled, 0x00),
            _ => (BootEnabled::Once, 0x80),
        };
        assert_eq!((boot.target, boot.enabled), (target_of(device), enabled));
        assert_eq!(device_of(boot.target), device);
        assert_eq!(get(&bench, 5, 0).await, [5, valid, byte, 0, 0, 0]);
    }
    for reserved in [0xa_u8, 0xc, 0xd, 0xe] {
        assert_eq!(set(&bench, &[5, 0x80, reserved << 2, 0, 0, 0]).await, 0xcc);
    }
}

#[tokio::test]
async fn what_another_protocol_sets_is_shown() {
    let bench = Bench::new().await;
    let boot = BootOverride {
        target: BootTarget::Http,
        enabled: BootEnabled::Continuous,
        efi: true,
        http_uri: Some("http://192.0.2.1/boot.efi".to_owned()),
        ..Default::default()
    };
    let change = Change { boot: Some(boot), ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    assert_eq!(get(&bench, 5, 0).await, [5, 0xe0, 0x04, 0, 0, 0]);
    assert_eq!(set(&bench, &[5, 0x80, 0x08, 0, 0, 0]).await, 0);
    let boot = bench.machine.snapshot().boot.clone();
    assert_eq!((boot.target, boot.enabled, boot.efi), (BootTarget::Disk, BootEnabled::Once, false));
    assert!(boot.http_uri.is_some(), "IPMI cannot name it and leaves it alone");
}

#[tokio::test]
async fn a_parameter_marked_invalid_has_no_effect() {
    let bench = Bench::new().await;
    assert_eq!(set(&bench, &[5, 0xc0, 0x04, 0, 0, 0]).await, 0);
    assert_eq!(set(&bench, &[0x85]).await, 0);
    assert_eq!(get(&bench, 5, 0).await[..3], [0x85, 0x00, 0x04]);
    assert!(!bench.machine.snapshot().boot.is_active());
    assert_eq!(set(&bench, &[0x85, 0x80, 0x08, 0, 0, 0]).await, 0);
    assert!(!bench.machine.snapshot().boot.is_active());
    assert_eq!(set(&bench, &[5, 0x80, 0x08, 0, 0, 0]).await, 0);
    assert_eq!(get(&bench, 5, 0).await[..3], [0x05, 0x80, 0x08]);
    assert!(bench.machine.snapshot().boot.is_active());
    // What another protocol sets holds, whatever IPMI said of the flags before.
    assert_eq!(set(&bench, &[0x85]).await, 0);
    let boot =
        BootOverride { target: BootTarget::Pxe, enabled: BootEnabled::Continuous, ..Default::default() };
    let change = Change { boot: Some(boot), ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    assert_eq!(get(&bench, 5, 0).await[..3], [0x05, 0xc0, 0x04]);
}

#[tokio::test]
async fn set_in_progress_is_held_by_one_session() {
    let mut bench = Bench::new().await;
    let session = |id| Caller::Session { id, privilege: PrivilegeLevel::Operator };
    assert_eq!(get(&bench, 0, 0).await, [0, 0]);
    bench.caller(session(1));
    assert_eq!(set(&bench, &[0, 1]).await, 0);
    assert_eq!(get(&bench, 0, 0).await, [0, 1]);
    assert_eq!(set(&bench, &[0, 1]).await, 0, "the holder may say it again");
    assert_eq!(set(&bench, &[0, 2]).await, 0);
    bench.caller(session(2));
    assert_eq!(set(&bench, &[0, 1]).await, 0x81);
    bench.context.bmc.session_closed(2);
    assert_eq!(get(&bench, 0, 0).await, [0, 1], "another session's end changes nothing");
    bench.context.bmc.session_closed(1);
    assert_eq!(get(&bench, 0, 0).await, [0, 0]);
    assert_eq!(set(&bench, &[0, 1]).await, 0);
    assert_eq!(set(&bench, &[0, 0]).await, 0);
    assert_eq!(get(&bench, 0, 0).await, [0, 0]);
    assert_eq!(set(&bench, &[0, 3]).await, 0xcc);
}

#[tokio::test]
async fn mailbox() {
    let bench = Bench::new().await;
    let block = |n: u8| [vec![7, n], (n * 16..n * 16 + 16).collect()].concat();
    for n in 0..5 {
        assert_eq!(set(&bench, &block(n)).await, 0);
    }
    for n in 0..5 {
        assert_eq!(get(&bench, 7, n).await, block(n));
    }
    assert_eq!(set(&bench, &[7, 2, 0xaa, 0xbb]).await, 0);
    assert_eq!(get(&bench, 7, 2).await, [vec![7, 2, 0xaa, 0xbb], vec![0; 14]].concat());
    assert_eq!(get(&bench, 7, 1).await, block(1));
    assert_eq!(set(&bench, &[7, 5, 1]).await, 0xc9);
    assert_eq!(set(&bench, &[vec![7, 0], vec![0; 17]].concat()).await, 0xc7);
    assert_eq!(bench.raw(0x00, 0x09, &[7, 5, 0]).await.0, 0xc9);
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let bench = Bench::new().await;
    for parameter in [8, 0x5f, 0x60, 0x7f] {
        assert_eq!(set(&bench, &[parameter, 1]).await, 0x80);
        assert_eq!(set(&bench, &[parameter]).await, 0x80);
        assert_eq!(bench.raw(0x00, 0x09, &[parameter, 0, 0]).await.0, 0x80);
    }
    for parameter in 0..7 {
        assert_eq!(bench.raw(0x00, 0x09, &[parameter, 1, 0]).await.0, 0xc9, "{parameter}");
        assert_eq!(bench.raw(0x00, 0x09, &[parameter, 0, 1]).await.0, 0xc9, "{parameter}");
    }
    let before = bench.machine.snapshot().revision;
    for (parameter, length) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (5, 5), (6, 9)] {
        // Nothing but the number is legal too: it sets only the mark.
        bad_lengths(&bench, 0x00, 0x08, &[parameter], &[1, 1 + length]).await;
    }
    assert_eq!(set(&bench, &[]).await, 0xc7);
    assert!(bench.machine.snapshot().revision > before, "the right lengths were written");
    bad_lengths(&bench, 0x00, 0x09, &[5], &[3]).await;
}

#[tokio::test]
async fn a_store_that_fails_is_told() {
    let bench = Bench::new().await;
    bench.break_store();
    assert_eq!(set(&bench, &[5, 0x80, 0x04, 0, 0, 0]).await, 0xff);
    assert_eq!(get(&bench, 5, 0).await, [5, 0, 0, 0, 0, 0]);
    assert_eq!(set(&bench, &[3, 0x01]).await, 0xff);
}

#[tokio::test]
async fn two_consoles_that_write_different_parameters_lose_nothing() {
    let bench = Bench::new().await;
    let (a, b, c) =
        tokio::join!(set(&bench, &[1, 9]), set(&bench, &[3, 2]), set(&bench, &[5, 0x80, 0x04, 0, 0, 0]));
    assert_eq!((a, b, c), (0, 0, 0));
    assert_eq!(get(&bench, 1, 0).await, [1, 9]);
    assert_eq!(get(&bench, 3, 0).await, [3, 2]);
    assert_eq!(get(&bench, 5, 0).await, [5, 0x80, 0x04, 0, 0, 0]);
}

/// Data 5 counts the devices of the target's class, whichever door names one of them.
#[tokio::test]
async fn the_device_instance_is_one_device() {
    use bmc_core::backend::{MachineInfo, Report};
    use bmc_core::firmware::{BootDevice, BootDeviceKind};
    let bench = Bench::new().await;
    let info = bench.machine.snapshot().info.as_deref().cloned().unwrap();
    let device = |name: &str, kind| BootDevice { name: name.to_owned(), kind };
    let boot_devices = vec![
        device("vda", BootDeviceKind::Disk),
        device("sda", BootDeviceKind::Cdrom),
        device("vdb", BootDeviceKind::Disk),
    ];
    bench.backend.report(Report::Info(MachineInfo { boot_devices, ..info }));
    bench.until(|snapshot| snapshot.info.as_ref().is_some_and(|info| info.boot_devices.len() == 3)).await;
    for (selector, name) in [(0, None), (1, Some("vda")), (2, Some("vdb")), (0x12, Some("vdb"))] {
        assert_eq!(set(&bench, &[5, 0x80, 0x08, 0, 0, selector]).await, 0);
        assert_eq!(bench.machine.snapshot().boot.device.as_deref(), name, "{selector:#x}");
        assert_eq!(get(&bench, 5, 0).await, [5, 0x80, 0x08, 0, 0, selector]);
    }
    assert_eq!(set(&bench, &[5, 0x80, 0x08, 0, 0, 3]).await, 0xc9, "there is no third disk");
    assert_eq!(bench.machine.snapshot().boot.device.as_deref(), Some("vdb"), "the old one stays");
    let boot = BootOverride {
        target: BootTarget::Cdrom,
        enabled: BootEnabled::Once,
        device: Some("sda".to_owned()),
        ..Default::default()
    };
    let change = Change { boot: Some(boot), ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    assert_eq!(get(&bench, 5, 0).await, [5, 0x80, 0x14, 0, 0, 1], "what another door named is counted");
}
