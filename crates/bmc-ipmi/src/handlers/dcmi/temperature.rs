//! Temperatures: those of the sensors, by the part of the machine.

use bmc_core::sensor::{Place, Sensor, SensorType};
use bmc_core::settings::dcmi as settings;
use bmc_core::snapshot::Snapshot;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::dcmi::{
    Dcmi, GetSensorInfo, GetTemperatures, GetThermalLimit, Part, SensorInfo, SetThermalLimit, Temperature,
    Temperatures, ThermalLimit,
};

use super::{to_core, to_wire};
use crate::table::{Act, Answer, Read};
use crate::{Context, sdr_repository};

/// The temperature sensors of a part.
fn sensors(snapshot: &Snapshot, part: Part) -> Vec<Sensor> {
    let place = match part {
        Part::Inlet => Place::AirInlet,
        Part::Processor => Place::Processor,
        Part::Board => Place::Board,
    };
    let wanted = |sensor: &&Sensor| sensor.sensor_type == SensorType::Temperature && sensor.place == place;
    snapshot.sensors().iter().filter(wanted).cloned().collect()
}

fn count(sensors: &[Sensor]) -> u8 {
    u8::try_from(sensors.len()).unwrap_or(u8::MAX)
}

impl Read for Dcmi<GetSensorInfo> {
    fn answer(self, context: &Context) -> Answer<Dcmi<SensorInfo>> {
        let Self(GetSensorInfo(wanted)) = self;
        let sensors = sensors(&context.bmc.snapshot(), wanted.part);
        let records = sensors.iter().filter(|sensor| wanted.contain(sensor.instance));
        let records = records.map(|sensor| sdr_repository::sensor_record(sensor.number)).collect();
        Ok(Dcmi(SensorInfo { total: count(&sensors), records }))
    }
}

impl Read for Dcmi<GetTemperatures> {
    /// A sensor without a reading, for instance that of processors that are off, is counted and not told of.
    fn answer(self, context: &Context) -> Answer<Dcmi<Temperatures>> {
        let Self(GetTemperatures(wanted)) = self;
        let snapshot = context.bmc.snapshot();
        let sensors = sensors(&snapshot, wanted.part);
        let read = |sensor: &Sensor| {
            let raw = snapshot.readings.get(sensor.number)?.raw()?;
            let celsius = i8::try_from(sensor.analog()?.value(raw)).unwrap_or(i8::MAX);
            Some(Temperature { celsius, instance: sensor.instance })
        };
        let readings =
            sensors.iter().filter(|sensor| wanted.contain(sensor.instance)).filter_map(read).collect();
        Ok(Dcmi(Temperatures { total: count(&sensors), readings }))
    }
}

/// Only the inlet has a limit, and there is one inlet.
fn check_inlet(part: Part, instance: u8) -> Answer<()> {
    if part != Part::Inlet {
        Err(CompletionCode::INVALID_DATA_FIELD)
    } else if instance > 1 {
        Err(CompletionCode::NOT_PRESENT)
    } else {
        Ok(())
    }
}

impl Act for Dcmi<SetThermalLimit> {
    async fn act(self, context: &Context) -> Answer<Dcmi<()>> {
        let Self(SetThermalLimit { part, instance, limit }) = self;
        check_inlet(part, instance)?;
        let limit = settings::ThermalLimit {
            persistent: limit.persistent,
            action: to_core(limit.action),
            celsius: limit.celsius,
            seconds: limit.seconds,
        };
        context
            .edit(move |editable| {
                editable.settings.dcmi.thermal_limit = Some(limit);
                Ok(())
            })
            .await
            .map(Dcmi)
    }
}

impl Read for Dcmi<GetThermalLimit> {
    fn answer(self, context: &Context) -> Answer<Dcmi<ThermalLimit>> {
        check_inlet(self.0.part, self.0.instance)?;
        let limit = context.bmc.snapshot().settings.dcmi.thermal_limit.unwrap_or_default();
        Ok(Dcmi(ThermalLimit {
            persistent: limit.persistent,
            action: to_wire(limit.action),
            celsius: limit.celsius,
            seconds: limit.seconds,
        }))
    }
}
