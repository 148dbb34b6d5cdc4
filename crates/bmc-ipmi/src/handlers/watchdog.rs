//! The watchdog timer: IPMI's encoding of the core's.

use bmc_core::request::Request;
use bmc_core::watchdog::{self as core, WatchdogRequest, WatchdogSettings};
use ipmi_wire::CompletionCode;
use ipmi_wire::command::watchdog::{
    GetWatchdogTimer, PreTimeoutInterrupt, ResetWatchdogTimer, SetWatchdogTimer, TimeoutAction, TimerUse,
    WatchdogTimer,
};

use crate::table::{Act, Answer, Entry, OPERATOR, Read, USER};
use crate::{Context, error};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/watchdog_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<ResetWatchdogTimer>(OPERATOR, "27.5", (TESTS, "a_timer_counts")).repeatable(),
    Entry::act::<SetWatchdogTimer>(OPERATOR, "27.6", (TESTS, "what_is_set")),
    Entry::read::<GetWatchdogTimer>(USER, "27.7", (TESTS, "what_is_set")),
];

/// Countdown units in a second.
const UNITS_PER_SECOND: u16 = 10;

pub(crate) async fn ask(context: &Context, request: WatchdogRequest) -> Answer<()> {
    let asked = context.bmc.machine().request(Request::Watchdog(request)).await;
    asked.map(|_| ()).map_err(|failure| error::request(&failure))
}

impl Act for ResetWatchdogTimer {
    async fn act(self, context: &Context) -> Answer<()> {
        ask(context, WatchdogRequest::Reset).await
    }
}

impl Act for SetWatchdogTimer {
    /// A warning that would come before the timer starts is refused: such a timer could never be started over.
    async fn act(self, context: &Context) -> Answer<()> {
        let warns = self.interrupt != PreTimeoutInterrupt::None;
        if warns && u16::from(self.pre_timeout) * UNITS_PER_SECOND > self.initial {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        let settings = WatchdogSettings {
            timer_use: match self.timer_use {
                TimerUse::BiosFrb2 => core::TimerUse::BiosFrb2,
                TimerUse::BiosPost => core::TimerUse::BiosPost,
                TimerUse::OsLoad => core::TimerUse::OsLoad,
                TimerUse::SmsOs => core::TimerUse::SmsOs,
                TimerUse::Oem => core::TimerUse::Oem,
            },
            dont_log: self.dont_log,
            action: match self.action {
                TimeoutAction::None => core::TimeoutAction::None,
                TimeoutAction::HardReset => core::TimeoutAction::HardReset,
                TimeoutAction::PowerDown => core::TimeoutAction::PowerDown,
                TimeoutAction::PowerCycle => core::TimeoutAction::PowerCycle,
            },
            interrupt: match self.interrupt {
                PreTimeoutInterrupt::None => core::PreTimeoutInterrupt::None,
                PreTimeoutInterrupt::Smi => core::PreTimeoutInterrupt::Smi,
                PreTimeoutInterrupt::Nmi => core::PreTimeoutInterrupt::Nmi,
                PreTimeoutInterrupt::Messaging => core::PreTimeoutInterrupt::Messaging,
            },
            pre_timeout_seconds: self.pre_timeout,
            initial: self.initial,
        };
        ask(context, WatchdogRequest::Set { settings, keep_counting: self.dont_stop, clear: self.clear })
            .await
    }
}

impl Read for GetWatchdogTimer {
    fn answer(self, context: &Context) -> Answer<WatchdogTimer> {
        let timer = context.bmc.snapshot().watchdog;
        let settings = timer.settings();
        Ok(WatchdogTimer {
            dont_log: settings.dont_log,
            running: timer.is_counting(),
            timer_use: match settings.timer_use {
                core::TimerUse::BiosFrb2 => TimerUse::BiosFrb2,
                core::TimerUse::BiosPost => TimerUse::BiosPost,
                core::TimerUse::OsLoad => TimerUse::OsLoad,
                core::TimerUse::SmsOs => TimerUse::SmsOs,
                core::TimerUse::Oem => TimerUse::Oem,
            },
            interrupt: match settings.interrupt {
                core::PreTimeoutInterrupt::None => PreTimeoutInterrupt::None,
                core::PreTimeoutInterrupt::Smi => PreTimeoutInterrupt::Smi,
                core::PreTimeoutInterrupt::Nmi => PreTimeoutInterrupt::Nmi,
                core::PreTimeoutInterrupt::Messaging => PreTimeoutInterrupt::Messaging,
            },
            action: match settings.action {
                core::TimeoutAction::None => TimeoutAction::None,
                core::TimeoutAction::HardReset => TimeoutAction::HardReset,
                core::TimeoutAction::PowerDown => TimeoutAction::PowerDown,
                core::TimeoutAction::PowerCycle => TimeoutAction::PowerCycle,
            },
            pre_timeout: settings.pre_timeout_seconds,
            expired: timer.expired(),
            initial: settings.initial,
            present: timer.present(context.bmc.clock().now()),
        })
    }
}

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod tests;
