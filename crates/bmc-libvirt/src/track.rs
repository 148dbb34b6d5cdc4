//! What is known of one domain, and what libvirt's events make of it. Pure: no calls, no clock; the present time is an argument.
//!
//! Events are the only source of power reports, also for what we did ourselves: an operation notes what it expects ([`Op`]), and waits
//! until the event has come. So reports keep the order of what happened, whoever caused it.
//!
//! ```text
//!   Op::Starting    STARTED  ─► report Running (requested)
//!   Op::Stopping    STOPPED  ─► report Off (requested)
//!   Op::Restarting  STOPPED  ─► nothing     STARTED ─► nothing, done
//!   Op::Preparing   STARTED  ─► nothing     STOPPED ─► nothing, done; a restart that it is part of goes on
//!   Op::Resetting   REBOOT   ─► nothing, done
//!   no operation    STARTED, STOPPED, REBOOT, ... ─► reported with who did it
//! ```

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bmc_core::backend::{MachineInfo, ObservedPower, Report, Trouble};
use bmc_core::error::BackendError;
use bmc_core::power::ChangeCause;
use bmc_core::storage::Backing;
use bmc_core::watchdog::{PreTimeoutInterrupt, TimeoutAction};
use virt_sys as c;

/// One reset of the machine can raise several reboot events: SeaBIOS resets the chipset once more about 40 ms after a warm reboot.
/// Those within this time of the last are its echo.
pub(crate) const REBOOT_ECHO: Duration = Duration::from_secs(1);

/// How many disks' errors are told of one run.
const FAILED_DISKS_MAX: usize = 64;

/// The operation of ours that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Op {
    #[default]
    None,
    /// Waits for the start, of an instance marked with this override.
    Starting { generation: Option<u64> },
    /// Waits for the stop.
    Stopping,
    /// Stops and starts within one reset, unseen.
    Restarting { generation: Option<u64> },
    /// Starts and stops a machine before its first boot, unseen, so that libvirt makes its variable store; possibly in the midst of a
    /// restart, to an instance marked with this override.
    Preparing { restart: Option<u64> },
    /// Waits for the reset's own reboot event.
    Resetting,
    /// Waits until a paused or sleeping machine runs.
    Resuming,
}

impl Op {
    /// What is under way once this is over or given up.
    pub(crate) fn outer(self) -> Self {
        match self {
            Self::Preparing { restart: Some(generation) } => {
                Self::Restarting { generation: Some(generation) }
            }
            _ => Self::None,
        }
    }
}

/// What an event calls for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Tell the owner, first.
    pub(crate) trouble: Option<Trouble>,
    /// Tell the owner.
    pub(crate) report: Option<Report>,
    /// Ask libvirt for the domain's whole state: it was defined, undefined, renamed, or may have vanished.
    pub(crate) refresh: bool,
}

/// One time that a domain runs, as far as we know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instance {
    /// How many starts were seen.
    pub(crate) starts: u64,
    /// How often the domain was lost sight of.
    pub(crate) losses: u64,
}

/// One domain.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// Its power; `None` while it is unavailable.
    pub(crate) power: Option<ObservedPower>,
    /// Why it is unavailable, as last reported.
    pub(crate) lost: Option<BackendError>,
    /// What it is made of, as last reported.
    pub(crate) info: Option<MachineInfo>,
    /// The override that the running instance was started with.
    pub(crate) generation: Option<u64>,
    /// The definition changed while the machine ran: a reset has to start it afresh for that to take effect.
    pub(crate) redefined: bool,
    /// The boot that follows the set-up makes the UEFI variables anew. Every boot asks again for what is pending, so this is for one attempt.
    pub(crate) renew_variables: bool,
    /// The domain vanishes when it stops.
    pub(crate) transient: bool,
    /// The operation under way.
    pub(crate) op: Op,
    /// Grows with every event, so that an older answer of libvirt is recognised as such.
    pub(crate) events: u64,
    /// How many stops were seen, those within operations of ours too.
    pub(crate) stops: u64,
    instance: Instance,
    watchdog: bool,
    /// The guest has panicked since it started.
    panicked: bool,
    /// The disks of which an error was told since the machine runs.
    failed_disks: BTreeSet<String>,
    last_reboot: Option<Instant>,
}

impl Track {
    /// Takes in a lifecycle event.
    pub(crate) fn lifecycle(&mut self, event: u32, detail: u32) -> Step {
        self.events += 1;
        match event {
            c::VIR_DOMAIN_EVENT_DEFINED => {
                self.redefined |= self.power.is_some_and(|power| power != ObservedPower::Off);
                Step { refresh: true, ..Step::default() }
            }
            c::VIR_DOMAIN_EVENT_UNDEFINED => Step { refresh: true, ..Step::default() },
            // Before its first state is known a domain has nothing to report; the answer that is on its way has it all.
            _ if self.power.is_none() => Step { refresh: true, ..Step::default() },
            // A guest that wakes from its sleep is the same instance still.
            c::VIR_DOMAIN_EVENT_STARTED if detail == c::VIR_DOMAIN_EVENT_STARTED_WAKEUP => self.resumed(),
            c::VIR_DOMAIN_EVENT_STARTED => self.started(match detail {
                c::VIR_DOMAIN_EVENT_STARTED_RESTORED | c::VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT => {
                    ChangeCause::Saved
                }
                c::VIR_DOMAIN_EVENT_STARTED_MIGRATED => ChangeCause::Migrated,
                _ => ChangeCause::Outside,
            }),
            c::VIR_DOMAIN_EVENT_STOPPED => self.stopped(detail),
            c::VIR_DOMAIN_EVENT_SHUTDOWN => {
                let cause = match detail {
                    c::VIR_DOMAIN_EVENT_SHUTDOWN_GUEST => ChangeCause::Guest,
                    c::VIR_DOMAIN_EVENT_SHUTDOWN_HOST => ChangeCause::Outside,
                    _ => ChangeCause::Unknown,
                };
                self.change_alive(ObservedPower::Stopping, cause)
            }
            c::VIR_DOMAIN_EVENT_SUSPENDED => {
                let cause = match detail {
                    c::VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG => ChangeCause::Watchdog,
                    c::VIR_DOMAIN_EVENT_SUSPENDED_IOERROR => ChangeCause::DiskError,
                    c::VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED => ChangeCause::Migrated,
                    _ => ChangeCause::Outside,
                };
                self.change_alive(ObservedPower::Paused, cause)
            }
            // A guest that suspends to disk stops next, which is an event of its own.
            c::VIR_DOMAIN_EVENT_PMSUSPENDED if detail == c::VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY => {
                self.change_alive(ObservedPower::Paused, ChangeCause::Guest)
            }
            c::VIR_DOMAIN_EVENT_CRASHED => self.crashed(detail),
            // A starting domain is resumed just before it says that it has started.
            c::VIR_DOMAIN_EVENT_RESUMED => self.resumed(),
            _ => Step::default(),
        }
    }

    /// The guest says that it panicked.
    fn crashed(&mut self, detail: u32) -> Step {
        // That of an instance that a restart of ours ends is no news.
        let news = !matches!(self.op, Op::Restarting { .. } | Op::Preparing { .. })
            && self.power != Some(ObservedPower::Off);
        let trouble = (news && !std::mem::replace(&mut self.panicked, true)).then_some(Trouble::Panicked);
        if detail == c::VIR_DOMAIN_EVENT_CRASHED_CRASHLOADED {
            // It runs on, in a kernel that saves what there is to save.
            return Step { trouble, ..Step::default() };
        }
        // `on_crash=preserve` keeps the emulator, its processors held; otherwise the stop or the reset follows.
        Step { trouble, ..self.change_alive(ObservedPower::Paused, ChangeCause::Panic) }
    }

    /// What lies behind a disk could not be read or written. A guest that tries again and again is told of once.
    pub(crate) fn disk_error(&mut self, path: &str, alias: &str, reason: &str) -> Step {
        self.events += 1;
        let disks = self.info.iter().flat_map(|info| &info.disks);
        let its = |backing: &Option<Backing>| matches!(backing, Some(Backing::Path(its)) if its == path);
        let known = disks.into_iter().find(|disk| !path.is_empty() && its(&disk.backing));
        let disk = match known {
            Some(known) => known.name.clone(),
            None if alias.is_empty() => path.to_owned(),
            None => alias.to_owned(),
        };
        let news = self.power.is_some_and(|power| power != ObservedPower::Off)
            && self.failed_disks.len() < FAILED_DISKS_MAX
            && self.failed_disks.insert(disk.clone());
        let reason = match reason {
            "" => "input/output error",
            "enospc" => "the storage behind it is full",
            other => other,
        };
        let trouble = news.then(|| Trouble::DiskError { disk, reason: reason.to_owned() });
        Step { trouble, ..Step::default() }
    }

    /// The instance that has power, or in words why there is none.
    pub(crate) fn running(&self) -> Result<Instance, String> {
        match self.power {
            Some(ObservedPower::Off) => Err("the machine is off".to_owned()),
            Some(_) => Ok(self.instance),
            None => Err(self
                .lost
                .as_ref()
                .map_or_else(|| "the machine is not known yet".to_owned(), |error| error.message.clone())),
        }
    }

    /// The domain can no longer be seen. True when that is news to be told.
    pub(crate) fn lose(&mut self, error: &BackendError) -> bool {
        self.power = None;
        self.info = None;
        self.op = Op::None;
        self.instance.losses += 1;
        let news = self.lost.as_ref() != Some(error);
        self.lost = Some(error.clone());
        news
    }

    /// Takes in a reboot event.
    pub(crate) fn reboot(&mut self, now: Instant) -> Step {
        self.events += 1;
        let echo = self.last_reboot.is_some_and(|last| now.saturating_duration_since(last) < REBOOT_ECHO);
        self.last_reboot = Some(now);
        self.watchdog = false;
        self.panicked = false;
        match self.op {
            Op::Resetting => {
                self.op = Op::None;
                Step::default()
            }
            Op::Stopping | Op::Restarting { .. } | Op::Preparing { .. } => Step::default(),
            Op::None | Op::Resuming | Op::Starting { .. }
                if echo || self.power.is_none_or(|power| power == ObservedPower::Off) =>
            {
                Step::default()
            }
            Op::None | Op::Resuming | Op::Starting { .. } => {
                Step { report: Some(Report::Rebooted), ..Step::default() }
            }
        }
    }

    /// Takes in a watchdog event: it explains the reboot, stop or pause that follows.
    pub(crate) fn watchdog(&mut self, action: u32) -> Step {
        self.events += 1;
        if self.power.is_none_or(|power| power == ObservedPower::Off) {
            return Step::default();
        }
        let (action, interrupt, changes) = match action {
            c::VIR_DOMAIN_EVENT_WATCHDOG_RESET => (TimeoutAction::HardReset, PreTimeoutInterrupt::None, true),
            c::VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF | c::VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN => {
                (TimeoutAction::PowerDown, PreTimeoutInterrupt::None, true)
            }
            c::VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI => (TimeoutAction::None, PreTimeoutInterrupt::Nmi, false),
            c::VIR_DOMAIN_EVENT_WATCHDOG_PAUSE => (TimeoutAction::None, PreTimeoutInterrupt::None, true),
            _ => (TimeoutAction::None, PreTimeoutInterrupt::None, false),
        };
        self.watchdog = changes;
        Step { trouble: Some(Trouble::Watchdog { action, interrupt }), ..Step::default() }
    }

    /// Changes the power; a report only if it is news.
    pub(crate) fn change(&mut self, power: ObservedPower, cause: ChangeCause) -> Option<Report> {
        if self.power == Some(power) {
            return None;
        }
        self.power = Some(power);
        let cause = if std::mem::take(&mut self.watchdog) { ChangeCause::Watchdog } else { cause };
        Some(Report::Power { power, cause })
    }

    /// What only a running instance has (its port of VNC, its ends of the network) is asked for then, and is no longer so when it stops.
    fn started(&mut self, outside: ChangeCause) -> Step {
        self.panicked = false;
        self.failed_disks.clear();
        self.instance.starts += 1;
        self.redefined = false;
        self.watchdog = false;
        self.last_reboot = None;
        let op = std::mem::take(&mut self.op);
        match op {
            Op::Starting { generation } => {
                self.generation = generation;
                let report = self.change(ObservedPower::Running, ChangeCause::Requested);
                Step { report, refresh: true, ..Step::default() }
            }
            Op::Restarting { generation } => {
                self.generation = generation;
                // Whatever it was before (paused, on its way down), it runs now.
                let report = self.change(ObservedPower::Running, ChangeCause::Requested);
                Step { report, refresh: true, ..Step::default() }
            }
            Op::Preparing { .. } => {
                self.op = op;
                Step::default()
            }
            Op::None | Op::Stopping | Op::Resetting | Op::Resuming => {
                self.op = op;
                self.generation = None;
                Step {
                    report: self.change(ObservedPower::Running, outside),
                    refresh: true,
                    ..Step::default()
                }
            }
        }
    }

    fn resumed(&mut self) -> Step {
        self.failed_disks.clear();
        let step = self.change_alive(ObservedPower::Running, ChangeCause::Outside);
        if self.op == Op::Resuming {
            self.op = Op::None;
        }
        step
    }

    fn stopped(&mut self, detail: u32) -> Step {
        self.stops += 1;
        if matches!(self.op, Op::Restarting { .. }) {
            return Step::default();
        }
        if matches!(self.op, Op::Preparing { .. }) {
            self.op = self.op.outer();
            return Step::default();
        }
        let ours = self.op == Op::Stopping;
        self.op = Op::None;
        self.generation = None;
        let cause = match detail {
            _ if ours => ChangeCause::Requested,
            c::VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN => ChangeCause::Guest,
            c::VIR_DOMAIN_EVENT_STOPPED_SAVED => ChangeCause::Saved,
            c::VIR_DOMAIN_EVENT_STOPPED_MIGRATED => ChangeCause::Migrated,
            c::VIR_DOMAIN_EVENT_STOPPED_CRASHED if self.panicked => ChangeCause::Panic,
            c::VIR_DOMAIN_EVENT_STOPPED_CRASHED | c::VIR_DOMAIN_EVENT_STOPPED_FAILED => ChangeCause::Crash,
            _ => ChangeCause::Outside,
        };
        Step { report: self.change(ObservedPower::Off, cause), refresh: true, ..Step::default() }
    }

    /// A change that only a machine with power can make, and that is not worth telling while an operation of ours is at it.
    fn change_alive(&mut self, power: ObservedPower, cause: ChangeCause) -> Step {
        let is_unseen = matches!(self.op, Op::Restarting { .. } | Op::Preparing { .. });
        if self.power == Some(ObservedPower::Off) || is_unseen {
            return Step::default();
        }
        let cause = if self.op == Op::None { cause } else { ChangeCause::Requested };
        Step { report: self.change(power, cause), ..Step::default() }
    }
}

#[cfg(test)]
mod tests;
