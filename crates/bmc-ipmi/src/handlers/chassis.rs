//! The chassis: power, status, identify light, restore policy.

use std::time::Duration;

use bmc_core::power::{ChangeCause, Origin, PowerAction, PowerPolicy, RestartCause as CoreCause};
use bmc_core::request::{Change, Identify, Request};
use bmc_core::sensor::{SensorType, Severity};
use bmc_core::settings::Editable;
use bmc_core::settings::chassis::{Buttons as CoreButtons, Capabilities, ChassisSettings};
use bmc_core::snapshot::{Health, IdentifyState, Snapshot};
use ipmi_wire::command::chassis::{
    ChassisCapabilities, ChassisControl, ChassisIdentify, ChassisStatus, GetChassisCapabilities,
    GetChassisStatus, GetSystemRestartCause, IdentifyLight, LastPowerEvent, RestartCause, RestorePolicy,
    RestorePolicySupport, SetPowerRestorePolicy, SystemRestartCause,
};
use ipmi_wire::command::panel::{
    Buttons, FrontPanelButtons, GetPohCounter, PohCounter, SetChassisCapabilities, SetFrontPanelEnables,
    SetPowerCycleInterval,
};
use ipmi_wire::message::BMC_ADDRESS;

use crate::boot_guard::BootGuard;
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, OPERATOR, Read, USER};
use crate::{Context, error};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/chassis_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetChassisCapabilities>(USER, "28.1", (TESTS, "capabilities")),
    Entry::read::<GetChassisStatus>(USER, "28.2", (TESTS, "status_")),
    Entry::act::<ChassisControl>(OPERATOR, "28.3", (TESTS, "control_")),
    Entry::act::<ChassisIdentify>(OPERATOR, "28.5", (TESTS, "identify_")),
    Entry::act::<SetFrontPanelEnables>(ADMINISTRATOR, "28.6", (TESTS, "front_panel_")),
    Entry::act::<SetChassisCapabilities>(ADMINISTRATOR, "28.7", (TESTS, "capabilities")),
    Entry::act::<SetPowerRestorePolicy>(OPERATOR, "28.8", (TESTS, "restore_policy_")),
    Entry::act::<SetPowerCycleInterval>(ADMINISTRATOR, "28.9", (TESTS, "cycle_interval_")),
    Entry::read::<GetSystemRestartCause>(USER, "28.11", (TESTS, "restart_cause_")),
    Entry::read::<GetPohCounter>(USER, "28.14", (TESTS, "power_on_hours")),
];

const SECONDS_PER_MINUTE: u64 = 60;

/// Sends a request to the machine's owner. However it ended well, the client is told `00h`.
async fn ask(context: &Context, request: Request) -> Answer<()> {
    match context.bmc.machine().request(request).await {
        Ok(_) => Ok(()),
        Err(failure) => {
            tracing::debug!(bmc = %context.bmc.machine().name(), %failure, "request refused");
            Err(error::request(&failure))
        }
    }
}

async fn change(context: &Context, change: Change) -> Answer<()> {
    ask(context, Request::Change(Box::new(change))).await
}

/// What is so unless a client has set something else.
const CAPABILITIES: Capabilities = Capabilities {
    front_panel_lockout: false,
    intrusion_sensor: false,
    fru_device: BMC_ADDRESS,
    sdr_device: BMC_ADDRESS,
    sel_device: BMC_ADDRESS,
    system_management_device: BMC_ADDRESS,
    bridge_device: Some(BMC_ADDRESS),
};

/// Changes the chassis' settings.
async fn edit(context: &Context, edit: impl Fn(&mut ChassisSettings) + Send + Sync + 'static) -> Answer<()> {
    let edit = move |editable: &mut Editable<'_>| {
        edit(&mut editable.settings.chassis);
        Ok(())
    };
    context.edit(edit).await
}

impl Read for GetChassisCapabilities {
    fn answer(self, context: &Context) -> Answer<ChassisCapabilities> {
        let kept = context.bmc.snapshot().settings.chassis.capabilities.unwrap_or(CAPABILITIES);
        Ok(ChassisCapabilities {
            power_interlock: false,
            diagnostic_interrupt: true,
            front_panel_lockout: kept.front_panel_lockout,
            intrusion_sensor: kept.intrusion_sensor,
            fru_device: kept.fru_device,
            sdr_device: kept.sdr_device,
            sel_device: kept.sel_device,
            system_management_device: kept.system_management_device,
            // Who names no bridge leaves it to the BMC.
            bridge_device: Some(kept.bridge_device.unwrap_or(BMC_ADDRESS)),
        })
    }
}

impl Act for SetChassisCapabilities {
    async fn act(self, context: &Context) -> Answer<()> {
        let capabilities = Capabilities {
            front_panel_lockout: self.front_panel_lockout,
            intrusion_sensor: self.intrusion_sensor,
            fru_device: self.fru_device,
            sdr_device: self.sdr_device,
            sel_device: self.sel_device,
            system_management_device: self.system_management_device,
            bridge_device: self.bridge_device,
        };
        edit(context, move |chassis| chassis.capabilities = Some(capabilities)).await
    }
}

impl Act for SetFrontPanelEnables {
    async fn act(self, context: &Context) -> Answer<()> {
        let disabled = CoreButtons {
            power: self.disable.power_off,
            reset: self.disable.reset,
            diagnostic_interrupt: self.disable.diagnostic_interrupt,
            standby: self.disable.standby,
        };
        edit(context, move |chassis| chassis.disabled_buttons = disabled).await
    }
}

impl Act for SetPowerCycleInterval {
    async fn act(self, context: &Context) -> Answer<()> {
        edit(context, move |chassis| chassis.cycle_interval_seconds = self.seconds).await
    }
}

impl Read for GetPohCounter {
    fn answer(self, context: &Context) -> Answer<PohCounter> {
        let on = context.bmc.snapshot().powered.at(context.bmc.clock().now());
        let minutes = on.as_secs() / SECONDS_PER_MINUTE;
        Ok(PohCounter { minutes_per_count: 1, count: u32::try_from(minutes).unwrap_or(u32::MAX) })
    }
}

/// Whether a fan is beyond a critical threshold. Drives have no reading that could show a fault.
fn any_fan_is_critical(snapshot: &Snapshot) -> bool {
    let mut fans = snapshot.sensors().iter().filter(|sensor| sensor.sensor_type == SensorType::Fan);
    fans.any(|fan| {
        snapshot.readings.get(fan.number).is_some_and(|reading| reading.severity() == Severity::Critical)
    })
}

impl Read for GetChassisStatus {
    /// A machine that cannot be reached has no status: the last that was known may be wrong by now, and the answer has no
    /// field that could say so.
    fn answer(self, context: &Context) -> Answer<ChassisStatus> {
        let snapshot = context.bmc.snapshot();
        if let Health::Unavailable(reason) = &snapshot.health {
            return Err(error::backend(reason.kind));
        }
        let disabled = snapshot.settings.chassis.disabled_buttons;
        Ok(ChassisStatus {
            restore_policy: Some(match snapshot.power_policy {
                PowerPolicy::AlwaysOff => RestorePolicy::AlwaysOff,
                PowerPolicy::Previous => RestorePolicy::Previous,
                PowerPolicy::AlwaysOn => RestorePolicy::AlwaysOn,
            }),
            power_control_fault: snapshot.power_fault,
            power_on: snapshot.power.reads_as_on(),
            last_power_event: LastPowerEvent {
                on_by_command: snapshot.last_power_on_by_command,
                // An emulator that died took the power away from its guest.
                off_by_fault: snapshot.last_power_off == Some(ChangeCause::Crash),
                ac_failed: snapshot.mains_lost,
                ..Default::default()
            },
            identify: Some(match snapshot.identify {
                IdentifyState::Off => IdentifyLight::Off,
                IdentifyState::Timed => IdentifyLight::Timed,
                IdentifyState::On => IdentifyLight::Indefinite,
            }),
            fan_fault: any_fan_is_critical(&snapshot),
            front_panel_lockout: disabled.power && disabled.reset,
            front_panel_buttons: Some(FrontPanelButtons {
                disable_allowed: Buttons::ALL,
                disabled: Buttons {
                    standby: disabled.standby,
                    diagnostic_interrupt: disabled.diagnostic_interrupt,
                    reset: disabled.reset,
                    power_off: disabled.power,
                },
            }),
            ..Default::default()
        })
    }
}

impl Act for ChassisControl {
    async fn act(self, context: &Context) -> Answer<()> {
        let action = match self {
            Self::PowerDown => PowerAction::Off,
            Self::PowerUp => PowerAction::On,
            Self::PowerCycle => PowerAction::Cycle,
            Self::HardReset => PowerAction::Reset,
            Self::DiagnosticInterrupt => PowerAction::Nmi,
            Self::SoftShutdown => PowerAction::Soft,
        };
        ask(context, Request::Power(action, Origin::Channel(context.channel))).await?;
        context.bmc.with_boot_guard(BootGuard::lift_limit);
        Ok(())
    }
}

impl Act for ChassisIdentify {
    async fn act(self, context: &Context) -> Answer<()> {
        let seconds = self.seconds.unwrap_or(Self::DEFAULT_SECONDS);
        let identify = match (self.force, seconds) {
            (Some(true), _) => Identify::On,
            (_, 0) => Identify::Off,
            (_, seconds) => Identify::For(Duration::from_secs(seconds.into())),
        };
        change(context, Change { identify: Some(identify), ..Default::default() }).await
    }
}

impl Act for SetPowerRestorePolicy {
    async fn act(self, context: &Context) -> Answer<RestorePolicySupport> {
        if let Some(policy) = self.policy {
            let policy = match policy {
                RestorePolicy::AlwaysOff => PowerPolicy::AlwaysOff,
                RestorePolicy::Previous => PowerPolicy::Previous,
                RestorePolicy::AlwaysOn => PowerPolicy::AlwaysOn,
            };
            change(context, Change { power_policy: Some(policy), ..Default::default() }).await?;
        }
        Ok(RestorePolicySupport { always_on: true, previous: true, always_off: true })
    }
}

impl Read for GetSystemRestartCause {
    fn answer(self, context: &Context) -> Answer<SystemRestartCause> {
        let snapshot = context.bmc.snapshot();
        let cause = match snapshot.restart_cause {
            CoreCause::Unknown => RestartCause::Unknown,
            CoreCause::ChassisControl => RestartCause::ChassisControl,
            CoreCause::PowerButton => RestartCause::PowerButton,
            CoreCause::PolicyAlwaysOn => RestartCause::PolicyAlwaysOn,
            CoreCause::PolicyPrevious => RestartCause::PolicyPrevious,
            CoreCause::SoftReset => RestartCause::SoftReset,
            CoreCause::Watchdog => RestartCause::Watchdog,
            CoreCause::FilterReset => RestartCause::PefReset,
            CoreCause::FilterCycle => RestartCause::PefPowerCycle,
        };
        // A command of another protocol came over the same LAN.
        Ok(SystemRestartCause { cause, channel: snapshot.restart_channel.unwrap_or(context.lan.number) })
    }
}

#[cfg(test)]
#[path = "chassis_tests.rs"]
mod tests;
