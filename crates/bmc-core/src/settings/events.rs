//! Where the BMC's own events go.

use serde::{Deserialize, Serialize};

/// The BMC's own address on the IPMB: events that go there end in its event log.
pub const BMC_ADDRESS: u8 = 0x20;

/// The event receiver (IPMI 2.0 §29.1). There is no IPMB: events for another receiver than the BMC itself go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventReceiver {
    /// Its address, an even number; FFh for nobody.
    pub address: u8,
    /// Its logical unit, 0 to 3.
    pub lun: u8,
}

impl Default for EventReceiver {
    fn default() -> Self {
        Self { address: BMC_ADDRESS, lun: 0 }
    }
}

impl EventReceiver {
    /// Whether the BMC logs its own events.
    pub fn is_own_log(&self) -> bool {
        self.address == BMC_ADDRESS
    }
}
