//! Events in plain words, as the CLI and the controller's own log tell them.

use super::EventKind;
use crate::account::AccountChange;
use crate::power::ChangeCause;

/// One event.
pub(super) fn words(kind: &EventKind) -> String {
    match kind {
        EventKind::PoweredOn { cause } => format!("powered on{}", by(*cause)),
        EventKind::PoweredOff { cause } => format!("powered off{}", by(*cause)),
        EventKind::Reset => "reset".to_owned(),
        EventKind::Rebooted => "rebooted from inside".to_owned(),
        EventKind::Paused { cause } => format!("paused{}", by(*cause)),
        EventKind::Panicked => "the operating system panicked".to_owned(),
        EventKind::DiskFailed { disk, reason } => format!("disk {disk} failed: {reason}"),
        EventKind::Resumed => "resumed".to_owned(),
        EventKind::ShutdownRequested => "asked to shut down".to_owned(),
        EventKind::MainsLost => "lost mains power".to_owned(),
        EventKind::ShutdownIgnored => "did not shut down in time".to_owned(),
        EventKind::Nmi => "diagnostic interrupt".to_owned(),
        EventKind::PowerFault { reason } => format!("power fault: {reason}"),
        EventKind::MediaInserted { slot, image } => format!("inserted into {}: {image}", slot.as_str()),
        EventKind::MediaEjected { slot, image } => format!("ejected from {}: {image}", slot.as_str()),
        EventKind::MediaFailed { slot, image, reason } => {
            format!("not inserted into {}: {image}: {reason}", slot.as_str())
        }
        EventKind::BootOverrideSet { target, enabled } => {
            format!("boot override: {}, {}", target.as_str(), enabled.as_str())
        }
        EventKind::BootOverrideUsed { target } => format!("boot override used: {}", target.as_str()),
        EventKind::Booted { from } => format!("booted from {from}"),
        EventKind::WatchdogPreTimeout { timer_use, interrupt } => {
            format!("watchdog warns: {}, {}", timer_use.as_str(), interrupt.as_str())
        }
        EventKind::WatchdogExpired { timer_use, action, .. } => {
            format!("watchdog expired: {}, {}", timer_use.as_str(), action.as_str())
        }
        EventKind::Unavailable { reason } => format!("unavailable: {reason}"),
        EventKind::Available => "available".to_owned(),
        EventKind::Started => "BMC started".to_owned(),
        EventKind::Stopped => "BMC stopped".to_owned(),
        EventKind::BmcReset { cold: true } => "BMC reset (cold)".to_owned(),
        EventKind::BmcReset { cold: false } => "BMC reset (warm)".to_owned(),
        EventKind::SensorThreshold(event) => {
            let verb = if event.asserted { "went beyond" } else { "came back from" };
            let limit = format!("{} {} {}", event.threshold.as_str(), event.limit, event.unit);
            let reading =
                event.reading.map_or_else(String::new, |reading| format!(": {reading} {}", event.unit));
            format!("sensor {} {verb} {limit}{reading}", event.name)
        }
        EventKind::SessionOpened { user, source } => format!("IPMI session of {user} opened from {source}"),
        EventKind::SessionClosed { user, source } => format!("IPMI session of {user} from {source} ended"),
        EventKind::LoginFailed { user, source } => format!("wrong user or password: {user} from {source}"),
        EventKind::LimitExceeded { limited, reading, limit, action } => {
            let (unit, done) = (limited.unit(), action.as_str());
            format!("limit exceeded: {} {reading} {unit}, more than {limit} {unit}; {done}", limited.as_str())
        }
        EventKind::LockedOut { user, source, .. } => format!("locked out: {user} from {source}"),
        EventKind::AccountCreated { account, user } => format!("account {account} created: {user}"),
        EventKind::AccountRemoved { account, user } => format!("account {account} removed: {user}"),
        EventKind::AccountChanged { account, user, change } => match change {
            AccountChange::Renamed { from } => format!("account {account} renamed: {from} is {user}"),
            AccountChange::Password => format!("password of account {account} changed: {user}"),
            AccountChange::Enabled => format!("account {account} enabled: {user}"),
            AccountChange::Disabled => format!("account {account} disabled: {user}"),
            AccountChange::Role { from, to } => {
                format!("account {account}: {user} is {} and was {}", to.as_str(), from.as_str())
            }
            AccountChange::Rights => format!("rights of account {account} changed: {user}"),
        },
        EventKind::VolumeCreated { number, name, raid } => format!("volume {number} created: {name}, {raid}"),
        EventKind::VolumeDeleted { number, name } => format!("volume {number} deleted: {name}"),
        EventKind::VolumeInitialized { number, name } => format!("volume {number} erased: {name}"),
        EventKind::Operation { task, name, step } => format!("task {task} {}: {name}", step.as_str()),
        EventKind::Test { message, .. } => format!("test event: {message}"),
    }
}

fn by(cause: ChangeCause) -> &'static str {
    match cause {
        ChangeCause::Unknown => "",
        ChangeCause::Requested => " by request",
        ChangeCause::Guest => " by the guest",
        ChangeCause::Outside => " from outside",
        ChangeCause::Crash => " by a crash",
        ChangeCause::Watchdog => " by a watchdog",
        ChangeCause::Panic => " by a panic",
        ChangeCause::DiskError => " by an error of a disk",
        ChangeCause::Saved => ", with its state saved",
        ChangeCause::Migrated => ", on its way between hosts",
    }
}
