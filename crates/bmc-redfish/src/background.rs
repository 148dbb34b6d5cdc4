//! What a service does apart from answering: all of it ends when the service stops.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// The work of one service that goes on between requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Background {
    stopping: CancellationToken,
    work: TaskTracker,
}

impl Background {
    /// Starts some work. It has to watch [`stopping`](Self::stopping), and to end soon after.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn(work);
    }

    /// Waits until the service stops.
    pub(crate) fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.stopping.cancelled()
    }

    /// Whether the service stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Asks all work to end.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Waits until all work has ended, `within` this time.
    pub(crate) async fn ended(&self, within: Duration) {
        self.work.close();
        if timeout(within, self.work.wait()).await.is_err() {
            tracing::warn!(left = self.work.len(), "work of a Redfish service did not end in time");
        }
    }
}
