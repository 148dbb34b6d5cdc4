//! Golden bytes of the chassis commands, and any input.

use proptest::prelude::*;

use super::*;
use crate::command::tests::{golden, stable};

#[test]
fn capabilities() {
    golden(&GetChassisCapabilities, "", &[]);
    let capabilities = ChassisCapabilities {
        power_interlock: true,
        diagnostic_interrupt: false,
        front_panel_lockout: false,
        intrusion_sensor: true,
        fru_device: 0x20,
        sdr_device: 0x22,
        sel_device: 0x24,
        system_management_device: 0x26,
        bridge_device: Some(0x28),
    };
    golden(&capabilities, "09 20 22 24 26 28", &[5]);
}

#[test]
fn status() {
    golden(&GetChassisStatus, "", &[]);
    let status = ChassisStatus {
        restore_policy: Some(RestorePolicy::Previous),
        power_on: true,
        last_power_event: LastPowerEvent { on_by_command: true, ..Default::default() },
        identify: Some(IdentifyLight::Timed),
        ..Default::default()
    };
    golden(&status, "21 10 50", &[4]);
    golden(
        &ChassisStatus { front_panel_buttons: Some(FrontPanelButtons::default()), ..status },
        "21 10 50 00",
        &[3],
    );
    golden(&ChassisStatus { power_control_fault: true, ..ChassisStatus::default() }, "70 00 00", &[4]);
    assert!(ChassisStatus::decode(&[0, 0, 0x70]).is_err());
}

#[test]
fn control() {
    for (raw, control) in ChassisControl::ALL.into_iter().enumerate() {
        golden(&control, &std::format!("0{raw}"), &[]);
    }
    for raw in 6..16 {
        assert_eq!(ChassisControl::decode(&[raw]), Err(DecodeError::value("chassis control", raw)));
    }
}

#[test]
fn identify() {
    golden(&ChassisIdentify { seconds: None, force: None }, "", &[1, 2]);
    golden(&ChassisIdentify { seconds: Some(0), force: None }, "00", &[0, 2]);
    golden(&ChassisIdentify { seconds: Some(60), force: Some(true) }, "3c 01", &[0, 1]);
}

#[test]
fn restore_policy() {
    golden(&SetPowerRestorePolicy { policy: None }, "03", &[]);
    golden(&SetPowerRestorePolicy { policy: Some(RestorePolicy::AlwaysOn) }, "02", &[]);
    assert!(SetPowerRestorePolicy::decode(&[4]).is_err());
    let support = RestorePolicySupport { always_on: true, previous: true, always_off: true };
    golden(&support, "07", &[]);
}

#[test]
fn restart_cause() {
    golden(&GetSystemRestartCause, "", &[]);
    for (raw, cause) in RestartCause::ALL.into_iter().enumerate() {
        golden(&SystemRestartCause { cause, channel: 1 }, &std::format!("0{raw:x}01"), &[]);
    }
    assert!(SystemRestartCause::decode(&[12, 1]).is_err());
}

proptest! {
    #[test]
    fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
        stable::<ChassisCapabilities>(&bytes);
        stable::<ChassisStatus>(&bytes);
        stable::<ChassisControl>(&bytes);
        stable::<ChassisIdentify>(&bytes);
        stable::<SetPowerRestorePolicy>(&bytes);
        stable::<RestorePolicySupport>(&bytes);
        stable::<SystemRestartCause>(&bytes);
    }
}
