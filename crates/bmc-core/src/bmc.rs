//! The controller itself: where it serves, when it was last reset, and what a reset takes back. None of this is kept over a restart of the daemon,
//! which is a reset too.

use std::net::SocketAddr;

use jiff::Timestamp;

/// The controller as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BmcState {
    /// Resets since the daemon came, cold ones included: whoever has sessions ends them when this grows.
    pub resets: u64,
    /// Those that were cold: whoever keeps something that a restart would forget forgets it when this grows.
    pub cold_resets: u64,
    /// When it was last reset, or began.
    pub reset_at: Option<Timestamp>,
    /// Where it serves IPMI.
    pub ipmi: Option<Listener>,
    /// Where it serves Redfish; the root over all machines does not count.
    pub redfish: Option<Listener>,
}

/// Where something is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

/// A protocol that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// IPMI over UDP.
    Ipmi,
    /// Redfish over TCP.
    Redfish,
}

/// A reset of the controller, which leaves the machine alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BmcReset {
    /// Sessions end.
    Warm,
    /// As if power came back: what is not kept is forgotten too, and the watchdog timer stops.
    Cold,
    /// What clients configured is as on the first day, then as [`Cold`](Self::Cold).
    ToDefaults(Preserve),
}

/// What a reset to defaults leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preserve {
    /// Nothing.
    Nothing,
    /// How the controller is reached.
    Network,
    /// That, and who may log in.
    NetworkAndUsers,
}
