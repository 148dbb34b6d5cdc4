//! The machine's own way to its BMC: a device in the machine that is connected with a socket of the BMC.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How software in the machine talks to the device (IPMI 2.0 §9, §11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemInterfaceKind {
    /// Keyboard controller style, byte for byte: what every operating system knows.
    #[default]
    Kcs,
    /// Block transfer.
    Bt,
}

impl SystemInterfaceKind {
    /// The name used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kcs => "kcs",
            Self::Bt => "bt",
        }
    }
}

impl fmt::Display for SystemInterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SystemInterfaceKind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Kcs, Self::Bt].into_iter().find(|kind| kind.as_str() == name).ok_or(())
    }
}

/// The device in a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInterfaceDevice {
    /// How the machine's software talks to it.
    pub kind: SystemInterfaceKind,
    /// The Unix socket that it connects to.
    pub socket: PathBuf,
}
