//! What the backend tells, and what follows from it.

use std::sync::Arc;

use crate::backend::{MachineInfo, Observed, ObservedPower, Report, Statistics, Trouble};
use crate::boot::BootProgress;
use crate::control::{Control, Effect, Interval, Now, Op, RESTART_SETTLES, Waiters};
use crate::event::EventKind;
use crate::power::{ChangeCause, PowerPolicy, RestartCause};
use crate::request::Outcome;
use crate::snapshot::Health;
use crate::watchdog::{TimeoutAction, TimerUse};

impl Control {
    pub(super) fn report(&mut self, now: Now, report: Report, effects: &mut Vec<Effect>) {
        match report {
            Report::Available(observed) => self.available(now, observed, effects),
            Report::Unavailable(error) => {
                // Another wording of the same trouble, such as the next failed attempt to connect, is no news.
                let known = matches!(&self.health, Some(Health::Unavailable(now)) if now.kind == error.kind);
                if !known {
                    effects.push(Effect::Emit(EventKind::Unavailable { reason: error.message.clone() }));
                }
                self.filters_lost(&error, effects);
                self.health = Some(Health::Unavailable(error));
            }
            Report::Info(info) => self.learn(now, info),
            Report::Stage(stage) => {
                if self.observed != ObservedPower::Off {
                    self.boot_progress =
                        Some(BootProgress { stage: Some(stage), since: Some(now.timestamp) });
                }
            }
            Report::Power { power, cause } => self.power_changed(now, power, cause, effects),
            Report::Rebooted => {
                effects.push(Effect::Emit(EventKind::Rebooted));
                let by_watchdog = std::mem::take(&mut self.device_watchdog_resets);
                let cause = if by_watchdog { RestartCause::Watchdog } else { RestartCause::SoftReset };
                self.restarted(now, cause.into());
                self.watchdog_stop(now);
                self.clear_valid_bit(cause, effects);
                self.booted_as_it_was(now);
                // How far it has come is not known until the backend says so, if it can.
                self.boot_progress = None;
                self.check_boot = true;
            }
            Report::Trouble(trouble) => self.trouble(trouble, effects),
            Report::Statistics(statistics) => self.statistics = statistics,
            Report::Booted { from } => {
                self.boot_took_place(effects);
                effects.push(Effect::Emit(EventKind::Booted { from }));
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble, effects: &mut Vec<Effect>) {
        effects.push(Effect::Emit(match trouble {
            Trouble::Panicked => EventKind::Panicked,
            Trouble::DiskError { disk, reason } => EventKind::DiskFailed { disk, reason },
            Trouble::Watchdog { action, interrupt } => {
                self.device_watchdog_resets = action == TimeoutAction::HardReset;
                // It is fed by the operating system that runs, whoever that is.
                EventKind::WatchdogExpired { timer_use: TimerUse::SmsOs, interrupt, action, log: true }
            }
        }));
    }

    /// The whole state after attaching or reconnecting: whatever happened meanwhile is caught up with.
    fn available(&mut self, now: Now, observed: Observed, effects: &mut Vec<Effect>) {
        let first = self.info.is_none();
        let mains = observed.info.mains_return;
        let mains_return = first && mains && observed.power == ObservedPower::Off;
        if matches!(self.health, Some(Health::Unavailable(_))) {
            effects.push(Effect::Emit(EventKind::Available));
        }
        self.health = Some(Health::Available);
        self.volumes_found(&observed.info, first && mains);
        self.media_found(&observed);
        self.learn(now, observed.info);
        if first {
            // What the machine was before the daemon came is no change.
            self.observed = observed.power;
            if observed.power == ObservedPower::Off {
                self.boot_progress = Some(BootProgress { stage: None, since: None });
            } else {
                self.learn_secure_boot();
            }
            self.history_found(now, observed.power, mains, effects);
            self.lit = matches!(
                observed.power,
                ObservedPower::Running | ObservedPower::Paused | ObservedPower::Stopping
            );
        } else {
            self.power_changed(now, observed.power, ChangeCause::Unknown, effects);
        }
        // The mark on the running instance is the truth about a one-time override, also when the daemon died between starting the machine
        // and storing that the override was used.
        self.boot_began(observed.boot_generation, effects);
        self.check_boot = false;
        if mains_return {
            self.mains_returned(effects);
        }
    }

    fn learn(&mut self, now: Now, info: MachineInfo) {
        let machine = &mut self.record.machine;
        machine.uuid = Some(info.uuid);
        machine.name.clone_from(&info.name);
        let mut sensors = self.record.settings.sensors.clone();
        sensors.slots.update(&info.disks, now.timestamp);
        sensors.scale_power(info.processors, now.timestamp);
        if sensors != self.record.settings.sensors {
            Arc::make_mut(&mut self.record.settings).sensors = sensors;
        }
        let mut bios = self.record.settings.bios.clone();
        bios.number_boot_devices(info.boot_devices.iter().map(|device| device.name.as_str()));
        if bios != self.record.settings.bios {
            Arc::make_mut(&mut self.record.settings).bios = bios;
        }
        if self.record.firmware != info.kept {
            self.record.firmware.clone_from(&info.kept);
        }
        self.info = Some(Arc::new(info));
    }

    /// The power restore policy (IPMI 2.0 §28.8), for machines whose mains power comes with the daemon.
    fn mains_returned(&mut self, effects: &mut Vec<Effect>) {
        let cause = match self.record.power_policy {
            PowerPolicy::AlwaysOn => RestartCause::PolicyAlwaysOn,
            PowerPolicy::Previous if self.record.was_on => RestartCause::PolicyPrevious,
            PowerPolicy::Previous | PowerPolicy::AlwaysOff => return,
        };
        self.wanted_by = Some(cause.into());
        self.want_start(Waiters::nobody(), effects);
    }

    fn power_changed(
        &mut self,
        now: Now,
        power: ObservedPower,
        cause: ChangeCause,
        effects: &mut Vec<Effect>,
    ) {
        let before = std::mem::replace(&mut self.observed, power);
        match power {
            ObservedPower::Off => {
                let ours = std::mem::take(&mut self.watchdog_stops) && cause == ChangeCause::Requested;
                let cause = if ours { ChangeCause::Watchdog } else { cause };
                if before != ObservedPower::Off {
                    self.boot_progress = Some(BootProgress { stage: None, since: Some(now.timestamp) });
                    self.run_ended(now, cause);
                    self.watchdog_stop(now);
                    self.filters.next = None;
                }
                self.shutdown = None;
                self.shutdown_next = false;
                self.statistics = Statistics::default();
                self.check_boot = false;
                self.device_watchdog_resets = false;
                (self.outdated, self.secure_boot) = (false, None);
                self.running_boot = None;
                let goes_on = self.start_next.is_some()
                    || self.call.as_ref().is_some_and(|call| matches!(call.op, Op::Start(_)));
                if !goes_on {
                    self.restart = None;
                }
                if std::mem::take(&mut self.lit) {
                    self.forget_passing_limit();
                    // A machine without an operating system is off before the call that asked for it returns.
                    if self.call.as_ref().is_some_and(|call| call.op == Op::Shutdown) {
                        effects.push(Effect::Emit(EventKind::ShutdownRequested));
                    }
                    effects.push(Effect::Emit(EventKind::PoweredOff { cause }));
                }
            }
            ObservedPower::Starting
            | ObservedPower::Running
            | ObservedPower::Paused
            | ObservedPower::Stopping => {
                let ours = self.call.as_ref().is_some_and(|call| matches!(call.op, Op::Start(_)));
                if before == ObservedPower::Off {
                    self.boot_progress = None;
                    self.learn_secure_boot();
                    self.run_began(now);
                    if ours {
                        // Policies and watchdogs are no commands.
                        let cause = self.wanted_by.map(|restart| restart.cause);
                        self.history().on_by_command = cause == Some(RestartCause::ChassisControl);
                        self.wanted_restart_began(now);
                    } else {
                        self.started_by_others(now, cause, effects);
                    }
                }
                if power != ObservedPower::Starting {
                    self.came_up(now, before, power, cause, effects);
                }
            }
        }
        self.note_was_on();
    }

    /// The next boot uses the override however it comes about, so a start behind our back is made to follow it too.
    fn started_by_others(&mut self, now: Now, cause: ChangeCause, effects: &mut Vec<Effect>) {
        // What goes on where it was does not boot: a reset for the sake of an override would throw its memory away.
        let boots = !matches!(cause, ChangeCause::Saved | ChangeCause::Migrated);
        let cause = match cause {
            ChangeCause::Watchdog => RestartCause::Watchdog,
            _ => RestartCause::PowerButton,
        };
        self.wanted_by = None;
        self.history().on_by_command = false;
        if boots {
            self.restarted(now, cause.into());
            self.clear_valid_bit(cause, effects);
            self.booted_as_it_was(now);
        }
        self.check_boot = boots;
        // A start that waits, for the end of a power cycle's time off or for a drive, has found the machine started.
        self.interval = Interval::None;
        for request in self.start_next.take().into_iter().flat_map(|start| start.requests) {
            effects.push(Effect::Reply(request, Ok(Outcome::Done)));
        }
    }

    fn came_up(
        &mut self,
        now: Now,
        before: ObservedPower,
        power: ObservedPower,
        cause: ChangeCause,
        effects: &mut Vec<Effect>,
    ) {
        self.boot_took_place(effects);
        if !std::mem::replace(&mut self.lit, true) {
            effects.push(Effect::Emit(EventKind::PoweredOn { cause }));
        } else if power == ObservedPower::Paused && before != power {
            effects.push(Effect::Emit(EventKind::Paused { cause }));
        } else if before == ObservedPower::Paused && power == ObservedPower::Running {
            effects.push(Effect::Emit(EventKind::Resumed));
        }
        if let Some((_, settles @ None)) = &mut self.restart
            && power == ObservedPower::Running
            && self.start_next.is_none()
            && before != ObservedPower::Running
        {
            *settles = Some(now.instant + RESTART_SETTLES);
        }
    }

    /// Keeps the durable "was on" true, but only where the policy will ask for it. (A power change is a commit in any case: its time and
    /// cause are part of the record.)
    pub(super) fn note_was_on(&mut self) {
        if self.record.power_policy == PowerPolicy::Previous {
            self.record.was_on = self.lit;
        }
    }
}
