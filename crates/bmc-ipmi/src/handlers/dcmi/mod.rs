//! DCMI: the group extension DCh. What it tells of is told by other commands, too; here it stands in the form that data centers ask for.
//!
//! Nothing is read twice: temperatures and power draw are those of the sensors, the asset tag is the machine's one.

use bmc_core::sel::SEL_ENTRIES_MAX;
use bmc_core::settings::dcmi as settings;
use ipmi_wire::command::dcmi::{
    self, AccessAttributes, Capabilities, CapabilitiesParameter, Dcmi, DcmiCapabilities, ExceptionAction,
    GetAssetTag, GetConfiguration, GetControllerId, GetDcmiCapabilities, GetPowerLimit, GetPowerReading,
    GetSensorInfo, GetTemperatures, GetThermalLimit, MandatoryAttributes, PowerAttributes, ROLLING_AVERAGES,
    SetAssetTag, SetConfiguration, SetControllerId, SetPowerLimit, SetThermalLimit, SupportedCapabilities,
};
use ipmi_wire::message::BMC_ADDRESS;

use crate::Context;
use crate::table::{ADMINISTRATOR, Answer, Entry, OPERATOR, Read, USER};

mod configuration;
mod power;
mod temperature;
mod text;

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/dcmi/tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<Dcmi<GetDcmiCapabilities>>(USER, "DCMI 6.1.1", (TESTS, "capabilities_")),
    Entry::read::<Dcmi<GetPowerReading>>(USER, "DCMI 6.6.1", (TESTS, "power_reading_")),
    Entry::tell::<Dcmi<GetPowerLimit>>(USER, "DCMI 6.6.2", (TESTS, "power_limit_")),
    Entry::act::<Dcmi<SetPowerLimit>>(OPERATOR, "DCMI 6.6.3", (TESTS, "power_limit_")),
    Entry::act::<Dcmi<dcmi::ActivatePowerLimit>>(OPERATOR, "DCMI 6.6.4", (TESTS, "power_limit_")),
    Entry::read::<Dcmi<GetAssetTag>>(USER, "DCMI 6.4.2", (TESTS, "asset_tag_")),
    Entry::read::<Dcmi<GetSensorInfo>>(OPERATOR, "DCMI 6.5.2", (TESTS, "sensor_info_")),
    Entry::act::<Dcmi<SetAssetTag>>(OPERATOR, "DCMI 6.4.3", (TESTS, "asset_tag_")),
    Entry::read::<Dcmi<GetControllerId>>(USER, "DCMI 6.4.6", (TESTS, "controller_id_")),
    Entry::act::<Dcmi<SetControllerId>>(ADMINISTRATOR, "DCMI 6.4.6", (TESTS, "controller_id_")),
    Entry::act::<Dcmi<SetThermalLimit>>(OPERATOR, "DCMI 6.7.1", (TESTS, "thermal_limit_")),
    Entry::read::<Dcmi<GetThermalLimit>>(OPERATOR, "DCMI 6.7.2", (TESTS, "thermal_limit_")),
    Entry::read::<Dcmi<GetTemperatures>>(USER, "DCMI 6.7.3", (TESTS, "temperatures_")),
    Entry::act::<Dcmi<SetConfiguration>>(ADMINISTRATOR, "DCMI 6.1.2", (TESTS, "configuration_")),
    Entry::read::<Dcmi<GetConfiguration>>(OPERATOR, "DCMI 6.1.3", (TESTS, "configuration_")),
];

/// Readings follow what they depend on at once; a second is the least that the field can say.
const TEMPERATURE_SAMPLING_SECONDS: u8 = 1;

impl Read for Dcmi<GetDcmiCapabilities> {
    fn answer(self, context: &Context) -> Answer<Dcmi<DcmiCapabilities>> {
        let capabilities = match self.0.parameter {
            CapabilitiesParameter::Supported => Capabilities::Supported(SupportedCapabilities {
                power_management: true,
                ..Default::default()
            }),
            CapabilitiesParameter::MandatoryAttributes => {
                Capabilities::MandatoryAttributes(MandatoryAttributes {
                    sel_entries: u16::try_from(SEL_ENTRIES_MAX).unwrap_or(u16::MAX),
                    sel_rollover: false,
                    dhcp_host_name: false,
                    asset_tag: true,
                    temperature_sampling_seconds: TEMPERATURE_SAMPLING_SECONDS,
                })
            }
            CapabilitiesParameter::PowerAttributes => Capabilities::PowerAttributes(PowerAttributes {
                address: BMC_ADDRESS,
                channel: 0,
                revision: context.bmc.profile().device_revision,
            }),
            CapabilitiesParameter::AccessAttributes => Capabilities::AccessAttributes(AccessAttributes {
                primary_lan: Some(context.lan.number),
                ..Default::default()
            }),
            CapabilitiesParameter::RollingAverages => {
                Capabilities::RollingAverages(ROLLING_AVERAGES.to_vec())
            }
        };
        Ok(Dcmi(capabilities.into()))
    }
}

fn to_core(action: ExceptionAction) -> settings::ExceptionAction {
    match action {
        ExceptionAction::None => settings::ExceptionAction::None,
        ExceptionAction::PowerOff => settings::ExceptionAction::PowerOff,
        ExceptionAction::LogEvent => settings::ExceptionAction::LogEvent,
    }
}

fn to_wire(action: settings::ExceptionAction) -> ExceptionAction {
    match action {
        settings::ExceptionAction::None => ExceptionAction::None,
        settings::ExceptionAction::PowerOff => ExceptionAction::PowerOff,
        settings::ExceptionAction::LogEvent => ExceptionAction::LogEvent,
    }
}

#[cfg(test)]
mod tests;
