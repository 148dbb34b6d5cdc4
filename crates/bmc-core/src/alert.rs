//! Alerts: events that people far away are to be told of. Event filters call for them; a frontend that can send them subscribes by
//! [`MachineHandle::alerts`](crate::fleet::MachineHandle::alerts).

use ipmi_wire::record::sel::EventMessage;

/// Alerts of a machine that may wait for the frontend; of more than that the oldest are lost.
pub const ALERTS_PENDING_MAX: usize = 16;

/// An event, and by which policy it is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The alert policy, 0 to 15.
    pub policy: u8,
    /// How bad the filter takes it to be (IPMI 2.0 table 17-2).
    pub severity: u8,
    /// Who saw the event, as in the event log.
    pub generator: u16,
    /// The event.
    pub event: EventMessage,
    /// When, in seconds since 1970 of the event log's clock.
    pub time: u32,
    /// By how many minutes that clock is said to be ahead of UTC.
    pub utc_offset: Option<i16>,
}
