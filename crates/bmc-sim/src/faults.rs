//! What a machine was told to do wrong, per operation and for a number of calls.

use std::time::Duration;

use bmc_core::error::{BackendError, BackendErrorKind};

/// Faults that may be planned on one machine at a time; further ones are refused.
pub const PLANNED_FAULTS_MAX: usize = 64;

/// The calls of [`Machine`](bmc_core::backend::Machine) that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimOperation {
    /// Start.
    Start,
    /// Hard stop.
    Stop,
    /// Press of the ACPI power button.
    Shutdown,
    /// Reset.
    Reset,
    /// Resume from pause.
    Resume,
    /// Non-maskable interrupt.
    Nmi,
    /// Switch of the firmware mode.
    SetFirmware,
    /// Making of a volume.
    CreateVolume,
    /// Deletion of a volume.
    DeleteVolume,
    /// Erasure of a volume.
    InitializeVolume,
    /// An image into a drive of the BMC.
    InsertMedia,
    /// A drive of the BMC emptied.
    EjectMedia,
    /// Set-up of the firmware for the boot that follows.
    SetUp,
    /// Change of the boot order.
    SetBootOrder,
}

impl SimOperation {
    /// Every operation, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Stop,
        Self::Shutdown,
        Self::Reset,
        Self::Resume,
        Self::Nmi,
        Self::SetFirmware,
        Self::CreateVolume,
        Self::DeleteVolume,
        Self::InitializeVolume,
        Self::InsertMedia,
        Self::EjectMedia,
        Self::SetUp,
        Self::SetBootOrder,
    ];

    /// The operation's name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Shutdown => "shutdown",
            Self::Reset => "reset",
            Self::Resume => "resume",
            Self::Nmi => "nmi",
            Self::SetFirmware => "set-firmware",
            Self::CreateVolume => "create-volume",
            Self::DeleteVolume => "delete-volume",
            Self::InitializeVolume => "initialize-volume",
            Self::InsertMedia => "insert-media",
            Self::EjectMedia => "eject-media",
            Self::SetUp => "set-up",
            Self::SetBootOrder => "set-boot-order",
        }
    }
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails at once and nothing happens.
    Fail(BackendErrorKind),
    /// It takes this long, then does what it should; past the configured time-out it fails with `Timeout` and nothing happens.
    Delay(Duration),
    /// It never gets an answer: `Timeout` after the configured time, and nothing happens.
    Hang,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    operation: SimOperation,
    fault: Fault,
    calls: u32,
}

/// The faults planned on one machine, in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Faults(Vec<Planned>);

impl Faults {
    /// Plans `fault` for the next `calls` calls of `operation` that no earlier plan covers; 0 calls plan nothing.
    ///
    /// # Errors
    /// `Busy` when [`PLANNED_FAULTS_MAX`] are planned already.
    pub fn plan(&mut self, operation: SimOperation, fault: Fault, calls: u32) -> Result<(), BackendError> {
        if calls == 0 {
            return Ok(());
        }
        if self.0.len() >= PLANNED_FAULTS_MAX {
            return Err(BackendError::new(
                BackendErrorKind::Busy,
                format!("this machine has {PLANNED_FAULTS_MAX} faults planned already; clear them first"),
            ));
        }
        self.0.push(Planned { operation, fault, calls });
        Ok(())
    }

    /// Forgets every plan.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// What goes wrong with a call of `operation` that begins now.
    pub fn take(&mut self, operation: SimOperation) -> Option<Fault> {
        let index = self.0.iter().position(|planned| planned.operation == operation)?;
        let planned = self.0.get_mut(index)?;
        let fault = planned.fault;
        planned.calls -= 1;
        if planned.calls == 0 {
            self.0.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_used_up_in_order_and_per_operation() {
        let mut faults = Faults::default();
        faults.plan(SimOperation::Start, Fault::Fail(BackendErrorKind::Busy), 2).unwrap();
        faults.plan(SimOperation::Stop, Fault::Hang, 1).unwrap();
        faults.plan(SimOperation::Start, Fault::Hang, 1).unwrap();
        faults.plan(SimOperation::Nmi, Fault::Hang, 0).unwrap();
        assert_eq!(faults.take(SimOperation::Start), Some(Fault::Fail(BackendErrorKind::Busy)));
        assert_eq!(faults.take(SimOperation::Start), Some(Fault::Fail(BackendErrorKind::Busy)));
        assert_eq!(faults.take(SimOperation::Start), Some(Fault::Hang));
        assert_eq!(faults.take(SimOperation::Start), None);
        assert_eq!(faults.take(SimOperation::Nmi), None);
        assert_eq!(faults.take(SimOperation::Stop), Some(Fault::Hang));
    }

    #[test]
    fn the_number_of_plans_is_bounded() {
        let mut faults = Faults::default();
        for _ in 0..PLANNED_FAULTS_MAX {
            faults.plan(SimOperation::Start, Fault::Hang, u32::MAX).unwrap();
        }
        assert_eq!(
            faults.plan(SimOperation::Start, Fault::Hang, 1).unwrap_err().kind,
            BackendErrorKind::Busy
        );
        faults.clear();
        assert_eq!(faults.take(SimOperation::Start), None);
    }
}
