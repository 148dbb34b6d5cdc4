//! What a boot changes of the firmware: pending BIOS settings come into force with the boot that follows, however it comes about.
//!
//! ```text
//!   start, reset         set up the firmware, then boot; applied when the call has ended well: what was pending when it began
//!   reboot from inside,  nothing real is pending: applied at once
//!   started by others    something is: a reset, as above
//! ```

use std::sync::Arc;

use crate::backend::ObservedPower;
use crate::control::{CallId, Control, Now, Op};
use crate::error::BackendError;
use crate::firmware::FirmwareSetup;
use crate::settings::bios::{BOOT_MODE, BiosPending, Surroundings};

impl Op {
    /// Whether it changes what the machine is rather than what it does.
    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::SetFirmware(_) | Self::SetBootOrder(_))
    }
}

impl Control {
    /// What is pending that the machine itself has to do.
    fn setup(&self) -> Option<FirmwareSetup> {
        let setup = self.record.settings.bios.setup(self.info.as_ref()?);
        (!setup.is_empty()).then_some(setup)
    }

    /// An operation with what has to be done before it.
    pub(super) fn with_setup(&mut self, op: Op) -> Op {
        match (&op, self.setup()) {
            (Op::Start(_) | Op::Reset(_), Some(setup)) => {
                self.setup_refused = None;
                Op::SetUp(setup, Box::new(op))
            }
            _ => op,
        }
    }

    /// Whether the running instance has to be started afresh in order to be what the next boot is to be.
    pub(super) fn needs_fresh_boot(&self) -> bool {
        self.outdated || self.setup().is_some()
    }

    pub(super) fn not_set_up(&mut self, call: CallId, error: BackendError) {
        if self.call.as_ref().is_some_and(|under_way| under_way.id == call) {
            self.setup_refused = Some(error);
        }
    }

    /// The machine was started or reset by us.
    pub(super) fn booted_afresh(&mut self, now: Now, bios: BiosPending) {
        self.outdated = false;
        // This boot is ours: that of the device came too late or not at all.
        self.device_watchdog_resets = false;
        self.learn_secure_boot();
        self.apply_bios(now, bios);
    }

    /// The machine boots without our doing. Where its firmware has to be set up first, a reset that does it follows.
    pub(super) fn booted_as_it_was(&mut self, now: Now) {
        if self.setup().is_none() {
            // A call under way finds nothing left to apply.
            if let Some(call) = &mut self.call {
                call.bios = BiosPending::default();
            }
            self.apply_bios(now, self.bios_pending());
        }
    }

    /// What a boot that begins now brings into force.
    pub(super) fn bios_pending(&self) -> BiosPending {
        let around = Surroundings { info: self.info.as_deref(), policy: self.record.power_policy };
        self.record.settings.bios.pending(around)
    }

    fn apply_bios(&mut self, now: Now, bios: BiosPending) {
        let refusal = self.setup_refused.take().map(|error| error.message);
        if !bios.is_empty() {
            let settings = Arc::make_mut(&mut self.record.settings);
            settings.bios.apply(bios, now.timestamp, refusal, &mut self.record.power_policy);
            let around = Surroundings { info: self.info.as_deref(), policy: self.record.power_policy };
            settings.bios.note_values(around);
            self.note_was_on();
        }
    }

    /// A boot begins: the firmware finds its variables as they are now.
    pub(super) fn learn_secure_boot(&mut self) {
        let secure_boot = self.info.as_ref().and_then(|info| info.secure_boot.as_ref());
        self.secure_boot = Some(secure_boot.is_some_and(crate::firmware::SecureBoot::enforces));
    }

    /// The machine was made another by `op`; one that runs is what it was until it boots afresh.
    pub(super) fn definition_changed(&mut self, op: &Op) {
        self.outdated |= self.observed != ObservedPower::Off;
        if matches!(op, Op::SetFirmware(_)) {
            self.forget_pending_bios(BOOT_MODE);
        }
    }

    /// What stands behind an attribute was set through another door: nothing of it is left for the next boot, nor for one under way.
    pub(super) fn forget_pending_bios(&mut self, attribute: &str) {
        if let Some(call) = &mut self.call {
            call.bios.forget(attribute);
        }
        if self.record.settings.bios.is_pending(attribute) {
            Arc::make_mut(&mut self.record.settings).bios.forget_pending(attribute);
        }
    }
}
