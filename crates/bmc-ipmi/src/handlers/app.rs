//! The device itself.

use bmc_core::settings::firmware::FirmwareSettings;
use ipmi_wire::command::app::{
    DeviceId, DeviceSupport, GetDeviceGuid, GetDeviceId, GetSelfTestResults, GetSystemGuid, Guid,
    SelfTestResults,
};
use ipmi_wire::{NetFn, guid};

use crate::Context;
use crate::table::{Access, Answer, Entry, Read, USER, find};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/app.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetDeviceId>(USER, "20.1", (TESTS, "device_id")),
    Entry::read::<GetSelfTestResults>(USER, "20.4", (TESTS, "self_test")),
    Entry::read::<GetDeviceGuid>(USER, "20.8", (TESTS, "guids_")),
    Entry::read::<GetSystemGuid>(Access::Anybody, "22.14", (TESTS, "guids_")),
];

// The commands by which a device shows what it is.
const GET_CHASSIS_STATUS: u8 = 0x01;
const SET_EVENT_RECEIVER: u8 = 0x00;
const PLATFORM_EVENT: u8 = 0x02;
const GET_SENSOR_READING: u8 = 0x2d;
const READ_FRU_DATA: u8 = 0x11;
const GET_SDR: u8 = 0x23;
const GET_SEL_ENTRY: u8 = 0x43;

impl Read for GetDeviceId {
    fn answer(self, context: &Context) -> Answer<DeviceId> {
        let profile = context.bmc.profile();
        let installed =
            context.bmc.snapshot().settings.firmware.bmc.as_deref().map(FirmwareSettings::revision);
        let (major, minor, aux) = match installed {
            Some((major, minor, third)) => (major, minor, [third, 0, 0, 0]),
            None => (profile.firmware.0, profile.firmware.1, profile.aux_firmware),
        };
        Ok(DeviceId {
            device_id: profile.device_id,
            provides_device_sdrs: false,
            device_revision: profile.device_revision,
            unavailable: false,
            firmware_major: major,
            firmware_minor: minor,
            ipmi_major: 2,
            ipmi_minor: 0,
            support: support(),
            manufacturer: profile.manufacturer,
            product: profile.product,
            aux_firmware: Some(aux),
        })
    }
}

/// What the controller is, as Get Device ID and its locator record tell it: by the commands that it has.
pub(crate) fn support() -> DeviceSupport {
    let has = |netfn, cmd| find(netfn, cmd).is_some();
    DeviceSupport {
        chassis: has(NetFn::CHASSIS, GET_CHASSIS_STATUS),
        bridge: false,
        event_generator: has(NetFn::SENSOR_EVENT, SET_EVENT_RECEIVER),
        event_receiver: has(NetFn::SENSOR_EVENT, PLATFORM_EVENT),
        fru: has(NetFn::STORAGE, READ_FRU_DATA),
        sel: has(NetFn::STORAGE, GET_SEL_ENTRY),
        sdr_repository: has(NetFn::STORAGE, GET_SDR),
        sensors: has(NetFn::SENSOR_EVENT, GET_SENSOR_READING),
    }
}

impl Read for GetSelfTestResults {
    /// The controller has no parts that could fail by themselves: one that answers has passed. A hypervisor that
    /// cannot be reached is no fault of the controller; Get Chassis Status tells of it.
    fn answer(self, _: &Context) -> Answer<SelfTestResults> {
        Ok(SelfTestResults::PASSED)
    }
}

fn machine_guid(context: &Context) -> Guid {
    Guid(guid::to_wire(context.bmc.snapshot().uuid.into_bytes()))
}

impl Read for GetDeviceGuid {
    /// The machine's UUID: this controller has no life apart from its machine.
    fn answer(self, context: &Context) -> Answer<Guid> {
        Ok(machine_guid(context))
    }
}

impl Read for GetSystemGuid {
    fn answer(self, context: &Context) -> Answer<Guid> {
        Ok(machine_guid(context))
    }
}

#[cfg(test)]
mod tests {
    use ipmi_wire::command::Payload;

    use super::*;
    use crate::handlers::testing::{Bench, bad_lengths};

    #[tokio::test]
    async fn device_id() {
        let bench = Bench::new().await;
        let id = bench.ask(GetDeviceId).await;
        assert!(id.support.chassis && !id.support.bridge);
        for (told, netfn, cmd) in [
            (id.support.sel, 0x0a, 0x43),
            (id.support.sdr_repository, 0x0a, 0x23),
            (id.support.fru, 0x0a, 0x11),
            (id.support.sensors, 0x04, 0x2d),
            (id.support.event_receiver, 0x04, 0x02),
        ] {
            let (code, _) = bench.raw(netfn, cmd, &[0xff; 64]).await;
            assert_eq!(told, code != 0xc1, "{netfn:02x}h {cmd:02x}h");
        }
        let version = format!("{}.{}", id.firmware_major, id.firmware_minor);
        assert!(env!("CARGO_PKG_VERSION").starts_with(&version));
        assert_eq!((id.ipmi_major, id.ipmi_minor, id.manufacturer), (2, 0, 7154));
        bad_lengths(&bench, 0x06, 0x01, &[], &[0]).await;
    }

    #[tokio::test]
    async fn self_test() {
        let bench = Bench::new().await;
        assert_eq!(bench.ask(GetSelfTestResults).await.encode(), [0x55, 0x00]);
        bad_lengths(&bench, 0x06, 0x04, &[], &[0]).await;
    }

    #[tokio::test]
    async fn guids_are_the_machines_uuid() {
        let bench = Bench::new().await;
        let uuid = bench.machine.snapshot().uuid;
        let Guid(device) = bench.ask(GetDeviceGuid).await;
        let Guid(system) = bench.ask(GetSystemGuid).await;
        assert_eq!(device, system);
        assert_eq!(guid::from_wire(device), uuid.into_bytes());
        bad_lengths(&bench, 0x06, 0x08, &[], &[0]).await;
        bad_lengths(&bench, 0x06, 0x37, &[], &[0]).await;
    }
}
