//! Changes of settings: checked as a whole, then made as a whole.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::MachineInfo;
use crate::boot::{
    BootEnabled, BootOverride, BootTarget, FirmwareMode, HTTP_BOOT_URI_MAX_BYTES, MAILBOX_BLOCKS_MAX,
    check_target,
};
use crate::control::operate::busy;
use crate::control::{Control, Effect, Now, Op, PendingChange, RequestId, Timer, Waiters};
use crate::error::{BackendError, RequestError};
use crate::event::EventKind;
use crate::firmware::{BootDevice, devices_for};
use crate::request::{ASSET_TAG_MAX_BYTES, Change, Identify, Outcome};
use crate::settings::bios::{BOOT_MODE, POWER_POLICY};
use crate::settings::{Edit, Editable, Settings};
use crate::snapshot::{IdentifyState, Identity};

/// Longest time an identify light may be asked to burn before it goes off by itself.
pub const IDENTIFY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Control {
    pub(super) fn request_change(
        &mut self,
        now: Now,
        id: RequestId,
        change: Box<Change>,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.check_change(&change) {
            effects.push(Effect::Reply(id, Err(error)));
            return;
        }
        match self.op_before(&change) {
            Some(op) => {
                if let Err(error) = self.reachable() {
                    effects.push(Effect::Reply(id, Err(error.into())));
                } else if self.call.is_some() || self.drives.calling() || self.pending_change.is_some() {
                    effects.push(Effect::Reply(id, Err(busy())));
                } else {
                    let planned_on = Arc::clone(&self.record.boot);
                    self.pending_change = Some(PendingChange { id, change, planned_on });
                    self.call(op, Waiters::default(), effects);
                }
            }
            None => {
                let result = self.make_change(now, *change, effects);
                effects.push(Effect::Reply(id, result));
            }
        }
    }

    /// What the machine has to do before the rest of a change is made.
    fn op_before(&self, change: &Change) -> Option<Op> {
        let info = self.info.as_ref();
        match (change.firmware, &change.boot_order) {
            (Some(mode), _) if info.is_none_or(|info| info.firmware != mode) => Some(Op::SetFirmware(mode)),
            (_, Some(order)) if info.is_none_or(|info| info.boot_order != *order) => {
                Some(Op::SetBootOrder(order.clone()))
            }
            _ => None,
        }
    }

    /// What a change was waiting for has ended; the rest of the change happens only if it went well. It is taken as a request of its
    /// own, so that it is undone if it cannot be stored, and not at all if it would undo what another one set meanwhile.
    pub(super) fn machine_changed(
        &mut self,
        op: &Op,
        result: Result<(), BackendError>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(PendingChange { id, mut change, planned_on }) = self.pending_change.take() else { return };
        let overtaken = change.if_revision.is_some() && self.record.boot != planned_on;
        effects.push(match result {
            Err(error) => Effect::Reply(id, Err(error.into())),
            Ok(()) if overtaken => Effect::Reply(id, Err(RequestError::Conflict)),
            Ok(()) => {
                // What the machine did has changed the revision.
                change.if_revision = None;
                if matches!(op, Op::SetFirmware(_)) {
                    change.firmware = None;
                } else {
                    change.boot_order = None;
                }
                Effect::Again(id, change)
            }
        });
    }

    fn check_change(&self, change: &Change) -> Result<(), RequestError> {
        if change.if_revision.is_some_and(|revision| revision != self.revision) {
            return Err(RequestError::Conflict);
        }
        if let Some(boot) = &change.boot {
            self.check_boot_override(boot)?;
        }
        if change.firmware == Some(FirmwareMode::Uefi)
            && let Some(reason) = self.info.as_ref().and_then(|info| info.uefi_missing.as_ref())
        {
            return Err(BackendError::unsupported(reason.as_str()).into());
        }
        // Neither before nor behind a boot that is switching it could this be made true.
        if change.firmware.is_some() && self.call.as_ref().is_some_and(|call| call.bios.names(BOOT_MODE)) {
            return Err(busy());
        }
        if let Some(order) = &change.boot_order {
            self.check_boot_order(order)?;
        }
        if change.boot_options.as_ref().is_some_and(|options| options.mailbox.len() > MAILBOX_BLOCKS_MAX) {
            return Err(invalid("mailbox", format!("at most {MAILBOX_BLOCKS_MAX} blocks are kept")));
        }
        if change.asset_tag.as_ref().is_some_and(|tag| tag.len() > ASSET_TAG_MAX_BYTES) {
            return Err(invalid("asset_tag", format!("at most {ASSET_TAG_MAX_BYTES} bytes are kept")));
        }
        if matches!(change.identify, Some(Identify::For(time)) if time > IDENTIFY_MAX) {
            return Err(invalid("identify", format!("at most {} seconds", IDENTIFY_MAX.as_secs())));
        }
        if let Some((name, password)) = &change.administrator {
            let checked =
                crate::account::check_name(name).and_then(|()| crate::account::check_password(password));
            checked.map_err(|error| invalid("administrator", error.to_string()))?;
        }
        Ok(())
    }

    fn check_boot_override(&self, boot: &BootOverride) -> Result<(), RequestError> {
        if boot.http_uri.as_ref().is_some_and(|uri| uri.len() > HTTP_BOOT_URI_MAX_BYTES) {
            return Err(invalid("http_uri", format!("at most {HTTP_BOOT_URI_MAX_BYTES} bytes are kept")));
        }
        let Some(info) = self.info.as_ref().filter(|_| boot.enabled != BootEnabled::Disabled) else {
            return Ok(());
        };
        check_target(&info.boot_targets, boot.target)?;
        if boot.target == BootTarget::Http
            && boot.http_uri.is_some()
            && let Some(reason) = &info.http_uri_refused
        {
            let message = format!("this machine cannot be told a URI to boot from: {reason}");
            return Err(BackendError::unsupported(message).into());
        }
        match &boot.device {
            Some(device) if named(info, boot.target, device).is_none() => {
                let known: Vec<&str> =
                    devices_for(info, boot.target).map(|device| device.name.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let target = boot.target.as_str();
                let message = format!("this machine has no {target} device {device}; it has: {known}");
                Err(BackendError::unsupported(message).into())
            }
            _ => Ok(()),
        }
    }

    /// Each device is one of the machine's, and none comes twice.
    fn check_boot_order(&self, order: &[String]) -> Result<(), RequestError> {
        let Some(info) = &self.info else {
            return self.reachable().map_err(RequestError::from);
        };
        if order.is_empty() {
            return Err(invalid("boot_order", "at least one device is needed".to_owned()));
        }
        for (at, name) in order.iter().enumerate() {
            if !info.boot_devices.iter().any(|device| device.name == *name) {
                return Err(invalid("boot_order", format!("this machine has no boot device {name}")));
            }
            if order.iter().skip(at + 1).any(|other| other == name) {
                return Err(invalid("boot_order", format!("{name} comes twice")));
            }
        }
        Ok(())
    }

    fn make_change(
        &mut self,
        now: Now,
        change: Change,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RequestError> {
        let before = self.record.clone();
        let made = self.make_each(now, change, effects);
        made.inspect_err(|_| self.record = before)
    }

    fn make_each(
        &mut self,
        now: Now,
        change: Change,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RequestError> {
        if let Some(edit) = &change.edit {
            self.edit(edit)?;
        }
        // Early, because the FRU image may have no room for it.
        let tagged = change.asset_tag.map(|tag| self.tagged(tag)).transpose()?;
        if let Some((name, password)) = change.administrator {
            let accounts = Arc::make_mut(&mut self.record.accounts);
            let set = accounts.set_administrator(&name, password);
            set.map_err(|error| invalid("administrator", error.to_string()))?;
        }
        if let Some(request) = change.watchdog {
            self.watchdog_asked(now, request, effects)?;
        }
        if let Some(mut boot) = change.boot {
            // Clients may write a MAC address in either case.
            if let (Some(info), Some(device)) = (&self.info, &boot.device)
                && let Some(known) = named(info, boot.target, device)
            {
                boot.device = Some(known.name.clone());
            }
            self.record.boot_generation += 1;
            if *self.record.boot != boot {
                let event = EventKind::BootOverrideSet { target: boot.target, enabled: boot.enabled };
                self.record.boot = Arc::new(boot);
                effects.push(Effect::Emit(event));
            }
        }
        if let Some((identity, settings)) = tagged {
            keep_unless_changed(&mut self.record.identity, identity);
            keep_unless_changed(&mut self.record.settings, settings);
        }
        if let Some(options) = change.boot_options {
            self.record.boot_options = Arc::new(options);
        }
        // The last word counts, also over what was to come into force with the next boot.
        if change.firmware.is_some() {
            self.forget_pending_bios(BOOT_MODE);
        }
        if let Some(policy) = change.power_policy {
            self.forget_pending_bios(POWER_POLICY);
            self.record.power_policy = policy;
            self.note_was_on();
        }
        if let Some(clock) = change.clock {
            self.set_clock(now, clock);
        }
        if let Some(identify) = change.identify {
            self.set_identify(identify, effects);
        }
        Ok(Outcome::Done)
    }

    /// The identity with this asset tag, and the settings that go with it.
    fn tagged(&self, tag: String) -> Result<(Arc<Identity>, Arc<Settings>), RequestError> {
        let mut identity = Arc::clone(&self.record.identity);
        Arc::make_mut(&mut identity).asset_tag = tag;
        let mut settings = Arc::clone(&self.record.settings);
        Arc::make_mut(&mut settings).fru.follow(&identity)?;
        Ok((identity, settings))
    }

    /// Makes an edit on copies, which take the place of what they were copied from only if it went well.
    pub(super) fn edit(&mut self, edit: &Edit) -> Result<Outcome, RequestError> {
        let record = &self.record;
        let (mut accounts, mut settings, mut identity) =
            (Arc::clone(&record.accounts), Arc::clone(&record.settings), Arc::clone(&record.identity));
        edit.apply(&mut Editable {
            accounts: Arc::make_mut(&mut accounts),
            settings: Arc::make_mut(&mut settings),
            identity: Arc::make_mut(&mut identity),
        })?;
        if identity != self.record.identity {
            Arc::make_mut(&mut settings).fru.follow(&identity)?;
        }
        // What is as it was stays the same allocation: whoever watches for a change compares no more than that.
        keep_unless_changed(&mut self.record.accounts, accounts);
        keep_unless_changed(&mut self.record.settings, settings);
        keep_unless_changed(&mut self.record.identity, identity);
        Ok(Outcome::Done)
    }

    fn set_identify(&mut self, identify: Identify, effects: &mut Vec<Effect>) {
        self.identify_number += 1;
        self.identify = match identify {
            Identify::Off => IdentifyState::Off,
            Identify::On => IdentifyState::On,
            Identify::For(time) => {
                effects.push(Effect::After(time, Timer::Identify(self.identify_number)));
                IdentifyState::Timed
            }
        };
    }
}

/// The device of a target's class that a client has named.
fn named<'a>(info: &'a MachineInfo, target: BootTarget, name: &str) -> Option<&'a BootDevice> {
    devices_for(info, target).find(|device| device.name.eq_ignore_ascii_case(name))
}

fn keep_unless_changed<T: PartialEq>(kept: &mut Arc<T>, new: Arc<T>) {
    if *kept != new {
        *kept = new;
    }
}

fn invalid(field: &'static str, reason: String) -> RequestError {
    RequestError::Invalid { field, reason }
}
