//! Everything about a simulated machine that is not its BMC: the guest, other tools on the hypervisor, bad luck.

use std::sync::Arc;
use std::time::Duration;

use bmc_core::backend::Observed;
use bmc_core::boot::BootPlan;
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::power::ChangeCause;
use uuid::Uuid;

use crate::backend::{Entry, Shared};
use crate::faults::{Fault, SimOperation};
use crate::load::SimLoad;

/// The other side of one simulated machine. Cheap to clone. None of its calls meets planned faults or outages.
#[derive(Clone)]
pub struct SimControl {
    shared: Arc<Shared>,
    uuid: Uuid,
}

impl SimControl {
    pub(crate) fn new(shared: Arc<Shared>, uuid: Uuid) -> Self {
        Self { shared, uuid }
    }

    /// The machine as it really is, whatever its BMC was told.
    ///
    /// # Errors
    /// `NotFound`; machines do not go away while their simulator lives, so this is not to be expected.
    pub fn observed(&self) -> Result<Observed, BackendError> {
        self.read(|entry| entry.machine.observed())
    }

    /// What this run booted from; `None` while off and until firmware has handed over.
    pub fn booted_from(&self) -> Option<String> {
        self.read(|entry| entry.machine.booted_from().map(str::to_owned)).ok().flatten()
    }

    /// Non-maskable interrupts delivered so far.
    pub fn nmi_count(&self) -> u64 {
        self.read(|entry| entry.machine.interrupts()).unwrap_or_default()
    }

    /// The guest restarts the machine: [`Report::Rebooted`](bmc_core::backend::Report::Rebooted), POST, then its own boot order unless the BMC resets it.
    ///
    /// # Errors
    /// `InvalidState` while no operating system (or setup screen) is up.
    pub fn reboot(&self) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, now| machine.reboot_from_inside(now))
    }

    /// The guest shuts down by itself.
    ///
    /// # Errors
    /// `InvalidState` while no operating system is up.
    pub fn power_off(&self) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, now| machine.power_off_from_inside(now))
    }

    /// The machine falls over and is off. Nothing happens when it is off already.
    ///
    /// # Errors
    /// As [`observed`](Self::observed).
    pub fn crash(&self) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, _| Ok(machine.stop(ChangeCause::Crash)))
    }

    /// Another tool starts the machine, in its own boot order.
    ///
    /// # Errors
    /// `InvalidState` unless it is off.
    pub fn start(&self) -> Result<(), BackendError> {
        self.shared
            .act(self.uuid, |machine, now| machine.start(now, &BootPlan::OwnOrder, ChangeCause::Outside))
    }

    /// Another tool removes power. Nothing happens when it is off already.
    ///
    /// # Errors
    /// As [`observed`](Self::observed).
    pub fn stop(&self) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, _| Ok(machine.stop(ChangeCause::Outside)))
    }

    /// Another tool pauses the machine; its time stands still.
    ///
    /// # Errors
    /// `InvalidState` when off.
    pub fn pause(&self) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, now| machine.pause(now, ChangeCause::Outside))
    }

    /// Another tool lets it run again.
    ///
    /// # Errors
    /// `InvalidState` when off.
    pub fn resume(&self) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, now| machine.resume(now, ChangeCause::Outside))
    }

    /// Puts an image into the CD-ROM drive, or takes it out; the next boot finds it.
    ///
    /// # Errors
    /// As [`observed`](Self::observed).
    pub fn set_cdrom(&self, image: Option<String>) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, _| {
            machine.set_cdrom(image);
            Ok(Vec::new())
        })
    }

    /// Whether the guest shuts down when its ACPI button is pressed; it does at first.
    ///
    /// # Errors
    /// As [`observed`](Self::observed).
    pub fn set_heeds_button(&self, heeds: bool) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, _| {
            machine.set_heeds_button(heeds);
            Ok(Vec::new())
        })
    }

    /// Makes the operating system this busy, or idle again with `None`; shows while it is up.
    ///
    /// # Errors
    /// As [`observed`](Self::observed).
    pub fn set_load(&self, load: Option<SimLoad>) -> Result<(), BackendError> {
        self.shared.act(self.uuid, |machine, _| {
            machine.set_load(load);
            Ok(Vec::new())
        })
    }

    /// Makes the next `calls` calls of `operation` fail at once.
    ///
    /// # Errors
    /// `Busy` when too many faults are planned.
    pub fn fail_next(
        &self,
        operation: SimOperation,
        calls: u32,
        kind: BackendErrorKind,
    ) -> Result<(), BackendError> {
        self.plan(operation, Fault::Fail(kind), calls)
    }

    /// Makes the next `calls` calls of `operation` take `delay` before they happen; past the configured time-out they fail instead.
    ///
    /// # Errors
    /// `Busy` when too many faults are planned.
    pub fn delay_next(
        &self,
        operation: SimOperation,
        calls: u32,
        delay: Duration,
    ) -> Result<(), BackendError> {
        self.plan(operation, Fault::Delay(delay), calls)
    }

    /// Makes the next `calls` calls of `operation` hang until the configured time-out.
    ///
    /// # Errors
    /// `Busy` when too many faults are planned.
    pub fn hang_next(&self, operation: SimOperation, calls: u32) -> Result<(), BackendError> {
        self.plan(operation, Fault::Hang, calls)
    }

    /// Forgets all planned faults.
    pub fn clear_faults(&self) {
        if let Some(entry) = self.shared.world().entries.get_mut(&self.uuid) {
            entry.faults.clear();
        }
    }

    /// Takes the machine out of the BMC's reach with `error`, or brings it back with `None`; the BMC is told if that is news. The
    /// machine itself goes on meanwhile.
    pub fn set_outage(&self, error: Option<BackendError>) {
        self.shared.world().set_outage(self.uuid, error);
    }

    fn plan(&self, operation: SimOperation, fault: Fault, calls: u32) -> Result<(), BackendError> {
        match self.shared.world().entries.get_mut(&self.uuid) {
            Some(entry) => entry.faults.plan(operation, fault, calls),
            None => Err(self.not_found()),
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Entry) -> T) -> Result<T, BackendError> {
        self.shared.world().entries.get(&self.uuid).map(read).ok_or_else(|| self.not_found())
    }

    fn not_found(&self) -> BackendError {
        BackendError::new(BackendErrorKind::NotFound, format!("there is no simulated machine {}", self.uuid))
    }
}
