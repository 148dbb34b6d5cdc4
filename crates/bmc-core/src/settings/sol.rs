//! Serial over LAN as a client configured it (IPMI 2.0 table 26-5).

use serde::{Deserialize, Serialize};

use crate::account::Role;

/// The parameters. The serial line of a virtual machine has no bit rate; one that is set is kept and read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SolSettings {
    /// Whether Serial over LAN can be activated (parameter 1).
    pub enabled: bool,
    /// Only in sessions that encrypt (parameter 2).
    pub force_encryption: bool,
    /// Only in sessions that authenticate their packets (parameter 2).
    pub force_authentication: bool,
    /// The lowest level that may activate it, from [`Role::User`] up (parameter 2).
    pub privilege: Role,
    /// How long characters may wait for more, in units of 5 ms, 1 to 255 (parameter 3).
    pub accumulate_interval: u8,
    /// From how many characters on they do not wait (parameter 3).
    pub send_threshold: u8,
    /// How often a packet is sent again, 0 to 7 (parameter 4).
    pub retry_count: u8,
    /// How long after it was sent, in units of 10 ms (parameter 4).
    pub retry_interval: u8,
    /// The bit rate after a start, as IPMI encodes it: 0 as the serial port is set, 6 to 10 for 9600 to 115200 bit/s (parameter 5).
    pub bit_rate: u8,
}

impl Default for SolSettings {
    /// On, from operator level up because typing acts on the machine; an echo within a blink; half a second before a packet is sent again.
    fn default() -> Self {
        Self {
            enabled: true,
            force_encryption: false,
            force_authentication: false,
            privilege: Role::Operator,
            accumulate_interval: 4,
            send_threshold: 96,
            retry_count: 7,
            retry_interval: 50,
            bit_rate: 10,
        }
    }
}
