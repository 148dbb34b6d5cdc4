//! What a cold reset of the BMC takes back and no restart needs to know: the present access to the channel, "set in progress" of the LAN
//! and system info parameters, the ACPI power state as software set it.

use bmc_core::settings::{ChannelAccess, Settings};
use jiff::Timestamp;

/// "Set in progress" of one group of parameters (IPMI 2.0 §23.1, parameter 0): a second console cannot take it while the first has it. A
/// session that ends gives back what it holds.
#[derive(Debug, Default)]
pub(crate) struct SetGuard {
    /// Who has it; the inner `None` is a door without sessions.
    holder: Option<Option<u32>>,
}

impl SetGuard {
    /// Whether somebody is in the middle of a group of writes.
    pub(crate) fn in_progress(&self) -> bool {
        self.holder.is_some()
    }

    /// Takes the guard for `who`; `false` when another one has it.
    pub(crate) fn take(&mut self, who: Option<u32>) -> bool {
        let free = self.holder.is_none_or(|holder| holder == who);
        if free {
            self.holder = Some(who);
        }
        free
    }

    /// Gives the guard back if `who` has it.
    pub(crate) fn release(&mut self, who: Option<u32>) {
        if self.holder == Some(who) {
            self.holder = None;
        }
    }

    /// Gives the guard back, whoever has it.
    pub(crate) fn release_any(&mut self) {
        self.holder = None;
    }
}

/// An ACPI power state that software told the BMC. It holds while the machine runs on: a power change or reset makes it stale.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AcpiNote {
    /// The system's state.
    pub(crate) system: Option<u8>,
    /// The device's state.
    pub(crate) device: Option<u8>,
    /// When the machine had last been switched on or reset at that time.
    pub(crate) since: Option<Timestamp>,
}

/// The volatile state of a BMC, besides that of the boot options.
#[derive(Debug, Default)]
pub(crate) struct Volatile {
    /// Access to the channel as it is now.
    pub(crate) channel: ChannelAccess,
    /// Of the LAN parameters.
    pub(crate) lan_guard: SetGuard,
    /// Of the event filtering parameters.
    pub(crate) pef_guard: SetGuard,
    /// Of the system info parameters.
    pub(crate) system_info_guard: SetGuard,
    /// The ACPI power state that was set.
    pub(crate) acpi: AcpiNote,
    /// A reset was asked for and is carried out once it has been answered.
    pub(crate) reset_due: bool,
}

impl Volatile {
    /// As after a start with these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { channel: settings.channel, ..Self::default() }
    }

    /// Forgets what the session with this id held.
    pub(crate) fn session_closed(&mut self, session: u32) {
        self.lan_guard.release(Some(session));
        self.pef_guard.release(Some(session));
        self.system_info_guard.release(Some(session));
    }
}
