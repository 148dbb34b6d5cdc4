//! Resets of the controller, its clock, and where it serves.

use std::sync::Arc;

use crate::account::Accounts;
use crate::bmc::{BmcReset, Door, Listener, Preserve};
use crate::control::{Control, Effect, Now};
use crate::error::RequestError;
use crate::event::EventKind;
use crate::request::{ClockChange, Outcome};
use crate::settings::{DcmiSettings, Settings};
use crate::watchdog::WatchdogRequest;

impl Control {
    pub(super) fn reset_bmc(
        &mut self,
        now: Now,
        reset: BmcReset,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RequestError> {
        if let BmcReset::ToDefaults(preserve) = reset {
            self.forget_configuration(preserve)?;
        }
        let cold = reset != BmcReset::Warm;
        if cold {
            // IPMI 2.0 §27.6.
            self.watchdog_asked(now, WatchdogRequest::Forget, effects)?;
            self.bmc.cold_resets += 1;
        }
        self.bmc.resets += 1;
        self.bmc.reset_at = Some(now.timestamp);
        effects.push(Effect::Emit(EventKind::BmcReset { cold }));
        Ok(Outcome::Done)
    }

    /// Takes back what clients configured of the controller. What belongs to the machine stays: its identity, its firmware's settings, its disks and media, the
    /// event log and the slots of its drives.
    fn forget_configuration(&mut self, preserve: Preserve) -> Result<(), RequestError> {
        if preserve != Preserve::NetworkAndUsers {
            let (name, password) = &self.record.configured_administrator;
            let accounts = Accounts::with_administrator(name, password.clone());
            let accounts = accounts.map_err(|error| RequestError::Invalid {
                field: "administrator",
                reason: error.to_string(),
            })?;
            self.record.accounts = Arc::new(accounts);
        }
        let settings = Arc::make_mut(&mut self.record.settings);
        let fresh = Settings::default();
        if preserve == Preserve::Nothing {
            settings.channel = fresh.channel;
            settings.lan = fresh.lan;
            settings.manager = fresh.manager;
            settings.dcmi = fresh.dcmi;
        } else {
            let kept = std::mem::take(&mut settings.dcmi);
            settings.dcmi =
                DcmiSettings { controller_id: kept.controller_id, discovery: kept.discovery, ..fresh.dcmi };
        }
        settings.sol = fresh.sol;
        settings.keys = fresh.keys;
        settings.system = fresh.system;
        settings.chassis = fresh.chassis;
        settings.event_receiver = fresh.event_receiver;
        settings.pef = fresh.pef;
        settings.sensors.reset();
        Ok(())
    }

    /// Sets the clock of the controller, which is that of the event log.
    pub(super) fn set_clock(&mut self, now: Now, change: ClockChange) {
        let sel = Arc::make_mut(&mut self.sel);
        if let Some(time) = change.time {
            sel.set_time(now.timestamp, time);
        }
        if let Some(minutes) = change.utc_offset {
            sel.set_utc_offset(minutes);
        }
        self.record.sel = *self.sel.state();
    }

    /// A frontend serves from now on, or no longer.
    pub(super) fn serves(&mut self, door: Door, at: Option<Listener>) {
        match door {
            Door::Ipmi => self.bmc.ipmi = at,
            Door::Redfish => self.bmc.redfish = at,
        }
    }
}
