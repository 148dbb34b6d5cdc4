//! Counters of the LAN channel's packets (IPMI 2.0 §23.4).

use std::sync::atomic::{AtomicU32, Ordering};

/// Packets since the counters were last cleared. A client reads 16 bits of each: a counter that is full stays so.
#[derive(Debug, Default)]
pub(crate) struct LanCounters {
    received: AtomicU32,
    sent: AtomicU32,
    rmcp: AtomicU32,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LanCounts {
    /// Datagrams received.
    pub(crate) received: u16,
    /// Datagrams sent.
    pub(crate) sent: u16,
    /// Datagrams received that were well-formed RMCP.
    pub(crate) rmcp: u16,
}

impl LanCounters {
    /// Counts a datagram that came.
    pub(crate) fn received(&self, well_formed: bool) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.rmcp.fetch_add(u32::from(well_formed), Ordering::Relaxed);
    }

    /// Counts a datagram that leaves.
    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters, which are zero afterwards if `clear` says so.
    pub(crate) fn read(&self, clear: bool) -> LanCounts {
        let read = |counter: &AtomicU32| {
            let count =
                if clear { counter.swap(0, Ordering::Relaxed) } else { counter.load(Ordering::Relaxed) };
            u16::try_from(count).unwrap_or(u16::MAX)
        };
        LanCounts { received: read(&self.received), sent: read(&self.sent), rmcp: read(&self.rmcp) }
    }
}
