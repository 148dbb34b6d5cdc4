//! Power: what the machine draws, and the limit of it.

use std::time::Duration;

use bmc_core::settings::dcmi as settings;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::dcmi::{
    ActivatePowerLimit, Dcmi, GetPowerLimit, GetPowerReading, PowerLimit, PowerMode, PowerReading,
    ROLLING_AVERAGES, SetPowerLimit,
};

use super::{to_core, to_wire};
use crate::Context;
use crate::table::{Act, Answer, Read, Tell};

/// Get Power Limit: the limit is not active.
const NO_ACTIVE_LIMIT: CompletionCode = CompletionCode(0x80);
/// Set Power Limit: the limit itself is out of range.
const LIMIT_OUT_OF_RANGE: CompletionCode = CompletionCode(0x84);
/// Set Power Limit: the correction time is out of range.
const CORRECTION_OUT_OF_RANGE: CompletionCode = CompletionCode(0x85);
/// Set Power Limit: the sampling period is out of range.
const SAMPLING_OUT_OF_RANGE: CompletionCode = CompletionCode(0x89);

impl Read for Dcmi<GetPowerReading> {
    /// While the hypervisor cannot be asked there is no measurement, which the answer can say.
    fn answer(self, context: &Context) -> Answer<Dcmi<PowerReading>> {
        let snapshot = context.bmc.snapshot();
        let window = match self.0.mode {
            PowerMode::System => snapshot.settings.dcmi.power_limit.unwrap_or_default().sampling(),
            PowerMode::Enhanced(time) if ROLLING_AVERAGES.contains(&time) => {
                Duration::from_secs(time.seconds().into())
            }
            PowerMode::Enhanced(_) => return Err(CompletionCode::INVALID_DATA_FIELD),
        };
        let clock = context.bmc.clock();
        let time = snapshot.sel.time(clock.timestamp());
        let Some(statistics) = snapshot.power_meter.statistics(clock.now(), window) else {
            return Ok(Dcmi(PowerReading { time, ..Default::default() }));
        };
        let watts = |watts: u32| u16::try_from(watts).unwrap_or(u16::MAX);
        Ok(Dcmi(PowerReading {
            current: watts(statistics.current),
            minimum: watts(statistics.minimum),
            maximum: watts(statistics.maximum),
            average: watts(statistics.average),
            time,
            period_ms: u32::try_from(statistics.period.as_millis()).unwrap_or(u32::MAX),
            active: true,
        }))
    }
}

impl Tell for Dcmi<GetPowerLimit> {
    /// One that is not active is told of too, so that clients can change one of its values and keep the others.
    fn tell(self, context: &Context) -> Answer<(CompletionCode, Dcmi<PowerLimit>)> {
        let limit = context.bmc.snapshot().settings.dcmi.power_limit.unwrap_or_default();
        let completion = if limit.active { CompletionCode::OK } else { NO_ACTIVE_LIMIT };
        let limit = PowerLimit {
            action: to_wire(limit.action),
            watts: limit.watts,
            correction_ms: limit.correction_ms,
            sampling_seconds: limit.sampling_seconds,
        };
        Ok((completion, Dcmi(limit)))
    }
}

impl Act for Dcmi<SetPowerLimit> {
    async fn act(self, context: &Context) -> Answer<Dcmi<()>> {
        let Self(SetPowerLimit(PowerLimit { action, watts, correction_ms, sampling_seconds })) = self;
        let wanted = settings::PowerLimit {
            active: false,
            action: to_core(action),
            watts,
            correction_ms,
            sampling_seconds,
        };
        if watts == 0 {
            return Err(LIMIT_OUT_OF_RANGE);
        }
        let corrections = settings::PowerLimit::CORRECTION_MIN..=settings::PowerLimit::CORRECTION_MAX;
        if !corrections.contains(&wanted.correction()) {
            return Err(CORRECTION_OUT_OF_RANGE);
        }
        if sampling_seconds == 0 || wanted.sampling() > settings::PowerLimit::SAMPLING_MAX {
            return Err(SAMPLING_OUT_OF_RANGE);
        }
        context
            .edit(move |editable| {
                let limit = &mut editable.settings.dcmi.power_limit;
                let active = limit.is_some_and(|limit| limit.active);
                *limit = Some(settings::PowerLimit { active, ..wanted });
                Ok(())
            })
            .await
            .map(Dcmi)
    }
}

impl Act for Dcmi<ActivatePowerLimit> {
    /// Without a limit there is nothing to activate.
    async fn act(self, context: &Context) -> Answer<Dcmi<()>> {
        let active = self.0.active;
        if active && context.bmc.snapshot().settings.dcmi.power_limit.is_none() {
            return Err(CompletionCode::NOT_IN_PRESENT_STATE);
        }
        context
            .edit(move |editable| {
                if let Some(limit) = &mut editable.settings.dcmi.power_limit {
                    limit.active = active;
                }
                Ok(())
            })
            .await
            .map(Dcmi)
    }
}
