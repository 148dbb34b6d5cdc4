//! Resets of the controller, its clock, and where it serves.

use std::sync::Arc;

use crate::account::Accounts;
use crate::bmc::{BmcReset, Door, Listener, Preserve};
use crate::control::{Control, Effect, Now};
use crate::error::RequestError;
use crate::event::EventKind;
use crate::request::{ClockChange, Outcome};
use crate::settings::chassis::ChassisSettings;
use crate::settings::events::EventReceiver;
use crate::settings::pef::PefSettings;
use crate::settings::{ChannelAccess, KeySettings, Settings, SolSettings};
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

    /// Takes back what clients configured of the controller; the table stands in `docs/operating.md`, "Resetting the BMC". What belongs to the
    /// machine stays: its identity, its firmware with its version and settings, what it boots from, its power policy, its disks, volumes and
    /// media, the event log, and the slots of its drives. So does the controller's own firmware.
    fn forget_configuration(&mut self, preserve: Preserve) -> Result<(), RequestError> {
        let (network, users) = (preserve != Preserve::Nothing, preserve == Preserve::NetworkAndUsers);
        if !users {
            let (name, password) = &self.record.configured_administrator;
            let accounts = Accounts::with_administrator(name, password.clone());
            let accounts = accounts.map_err(|error| RequestError::Invalid {
                field: "administrator",
                reason: error.to_string(),
            })?;
            self.record.accounts = Arc::new(accounts);
        }
        let settings = Arc::make_mut(&mut self.record.settings);
        let kept = std::mem::take(settings);
        *settings = Settings {
            fru: kept.fru,
            bios: kept.bios,
            storage: kept.storage,
            firmware: kept.firmware,
            lan: kept.lan.after_defaults(network, users),
            manager: kept.manager.after_defaults(network),
            system: kept.system.after_defaults(),
            media: kept.media.after_defaults(),
            dcmi: kept.dcmi.after_defaults(network),
            channel: if network { kept.channel } else { ChannelAccess::default() },
            keys: if users { kept.keys } else { KeySettings::default() },
            sensors: kept.sensors,
            sol: SolSettings::default(),
            chassis: ChassisSettings::default(),
            event_receiver: EventReceiver::default(),
            pef: PefSettings::default(),
        };
        settings.sensors.reset();
        Arc::make_mut(&mut self.sel).reset_clock();
        self.record.sel = *self.sel.state();
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
