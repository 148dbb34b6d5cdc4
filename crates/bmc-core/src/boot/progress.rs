//! How far a machine has come with booting.

use jiff::Timestamp;

/// A stage between power on and an operating system that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootStage {
    /// The firmware has begun, and tests and initializes the machine.
    SelfTest,
    /// The firmware's setup screen is shown.
    Setup,
    /// The firmware has handed over; the operating system is being loaded.
    OsLoading,
    /// The operating system is up, or on its way down.
    OsRunning,
}

/// The stage that a machine has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootProgress {
    /// The stage; `None` while the machine is off, when it does not boot.
    pub stage: Option<BootStage>,
    /// When it came to be so; `None` where that was before the daemon looked.
    pub since: Option<Timestamp>,
}
