//! What a cold reset of the BMC takes back and no restart needs to know: the present access to the channel, "set in progress" of its
//! parameters, the present bit rate of Serial over LAN, the ACPI power state as software set it.

use bmc_core::settings::{ChannelAccess, Settings};
use jiff::Timestamp;

use crate::set_guard::SetGuard;

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
    /// Of the parameters of Serial over LAN.
    pub(crate) sol_guard: SetGuard,
    /// The present bit rate of Serial over LAN, where one was set apart from the one that holds after a start.
    pub(crate) sol_bit_rate: Option<u8>,
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
        let Self { lan_guard, pef_guard, system_info_guard, sol_guard, .. } = self;
        for guard in [lan_guard, pef_guard, system_info_guard, sol_guard] {
            guard.release(Some(session));
        }
    }
}
