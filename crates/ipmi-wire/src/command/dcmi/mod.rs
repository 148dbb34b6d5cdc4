//! DCMI: the commands of the group extension with body id DCh (Data Center Manageability Interface 1.5).
//!
//! Every request and every response begins with the body's id. The types of this module do not carry it: [`Dcmi`] puts it around them.

use alloc::vec::Vec;

use crate::command::{Payload, command};
use crate::{DecodeError, Reader, Writer};

mod capabilities;
mod configuration;
mod power;
mod temperature;
mod text;

pub use capabilities::{
    AccessAttributes, Capabilities, CapabilitiesParameter, DcmiCapabilities, GetDcmiCapabilities,
    MandatoryAttributes, PowerAttributes, ROLLING_AVERAGES, RollingAverage, SupportedCapabilities,
};
pub use configuration::{Configuration, ConfigurationParameter, GetConfiguration, SetConfiguration, Setting};
pub use power::{
    ActivatePowerLimit, ExceptionAction, GetPowerLimit, GetPowerReading, PowerLimit, PowerMode, PowerReading,
    SetPowerLimit,
};
pub use temperature::{
    GetSensorInfo, GetTemperatures, GetThermalLimit, INSTANCES_PER_ANSWER, Instances, Part, SensorInfo,
    SetThermalLimit, Temperature, Temperatures, ThermalLimit,
};
pub use text::{
    ASSET_TAG_BYTES_MAX, CONTROLLER_ID_BYTES_MAX, GetAssetTag, GetControllerId, PIECE_BYTES_MAX, Piece,
    ReadPiece, SetAssetTag, SetControllerId, WritePiece, Written,
};

/// The body's id.
pub const BODY_ID: u8 = 0xdc;
/// The version of the specification, major and minor, and the revision of its parameters.
pub const CONFORMANCE: [u8; 3] = [1, 5, 2];

/// A request or response with the body's id in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dcmi<T>(pub T);

impl<T: Payload> Payload for Dcmi<T> {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.u8()? {
            BODY_ID => T::read(r).map(Self),
            other => Err(DecodeError::value("group extension", other)),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.u8(BODY_ID);
        self.0.write(w);
    }
}

command!(Dcmi<GetDcmiCapabilities>, GROUP, 0x01, "DCMI Get DCMI Capabilities Info", Dcmi<DcmiCapabilities>);
command!(Dcmi<GetPowerReading>, GROUP, 0x02, "DCMI Get Power Reading", Dcmi<PowerReading>);
command!(Dcmi<GetPowerLimit>, GROUP, 0x03, "DCMI Get Power Limit", Dcmi<PowerLimit>);
command!(Dcmi<SetPowerLimit>, GROUP, 0x04, "DCMI Set Power Limit", Dcmi<()>);
command!(Dcmi<ActivatePowerLimit>, GROUP, 0x05, "DCMI Activate/Deactivate Power Limit", Dcmi<()>);
command!(Dcmi<GetAssetTag>, GROUP, 0x06, "DCMI Get Asset Tag", Dcmi<Piece>);
command!(Dcmi<GetSensorInfo>, GROUP, 0x07, "DCMI Get DCMI Sensor Info", Dcmi<SensorInfo>);
command!(Dcmi<SetAssetTag>, GROUP, 0x08, "DCMI Set Asset Tag", Dcmi<Written>);
command!(Dcmi<GetControllerId>, GROUP, 0x09, "DCMI Get Management Controller Identifier String", Dcmi<Piece>);
command!(
    Dcmi<SetControllerId>,
    GROUP,
    0x0a,
    "DCMI Set Management Controller Identifier String",
    Dcmi<Written>
);
command!(Dcmi<SetThermalLimit>, GROUP, 0x0b, "DCMI Set Thermal Limit", Dcmi<()>);
command!(Dcmi<GetThermalLimit>, GROUP, 0x0c, "DCMI Get Thermal Limit", Dcmi<ThermalLimit>);
command!(Dcmi<GetTemperatures>, GROUP, 0x10, "DCMI Get Temperature Readings", Dcmi<Temperatures>);
command!(Dcmi<SetConfiguration>, GROUP, 0x12, "DCMI Set DCMI Configuration Parameters", Dcmi<()>);
command!(Dcmi<GetConfiguration>, GROUP, 0x13, "DCMI Get DCMI Configuration Parameters", Dcmi<Configuration>);

/// Reads [`CONFORMANCE`], of any version.
fn read_conformance(r: &mut Reader<'_>) -> Result<[u8; 3], DecodeError> {
    r.array()
}

/// Everything that is left, as an owned buffer.
fn rest(r: &mut Reader<'_>) -> Vec<u8> {
    r.rest().to_vec()
}

#[cfg(test)]
mod tests;
