//! Server-sent events (DSP0266, "Server-sent events").
//!
//! A stream lives as long as its reader reads: it ends when the reader is gone or does not take what is sent, when its `EventDestination`
//! is deleted, when its reader might no longer open it (account, password, session, reset of the BMC), which is seen before anything is
//! sent, and when the service stops. What happened since `Last-Event-ID` comes first, as far as the core's ring has it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bmc_core::event::Event;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::follow::Follower;
use super::{Condition, Events, Stream, told};
use crate::auth::Standing;
use crate::resource::telemetry;

/// How often a stream on which nothing happens shows that it is alive, so that readers and what lies between do not give it up.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader may leave what was sent in its connection.
const SLOWEST_READER: Duration = Duration::from_secs(60);
/// What waits for the connection at most.
const CHUNKS_MAX: usize = 16;

/// The body of an answer that is a stream.
#[derive(Debug)]
pub(crate) struct StreamBody(mpsc::Receiver<Bytes>);

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

impl Events {
    /// Opens a stream of what happens after the event `after`, or from now on; none when there are too many.
    pub(crate) fn stream(
        &self,
        user: &str,
        standing: Standing,
        condition: Condition,
        after: Option<u64>,
    ) -> Option<StreamBody> {
        let stream = self.open(user, condition)?;
        let now = self.0.scope.fleet().events().next_id().saturating_sub(1);
        let (chunks, body) = mpsc::channel(CHUNKS_MAX);
        let (events, background) = (self.clone(), self.0.background.clone());
        self.0.background.spawn(async move {
            let id = stream.id;
            let after = after.map_or(now, |after| after.min(now));
            tokio::select! {
                () = background.stopping() => {}
                () = stream.close.cancelled() => {}
                () = chunks.closed() => {}
                () = send_all(&events, &stream, &standing, after, &chunks) => {}
            }
            events.close(id);
        });
        Some(StreamBody(body))
    }
}

/// What a stream has to tell.
enum News {
    /// An event.
    Event(Event),
    /// The time for metric reports has come.
    Reports,
    /// Only that it is alive.
    None,
}

async fn send_all(
    events: &Events,
    stream: &Stream,
    standing: &Standing,
    after: u64,
    chunks: &mpsc::Sender<Bytes>,
) {
    let mut follower = Follower::new(events.0.scope.clone(), after);
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reports = stream.condition.reports();
    let mut periods = telemetry::periods();
    loop {
        let news = tokio::select! {
            biased;
            event = follower.next() => {
                let Some(event) = event else { return };
                News::Event(event)
            }
            _ = periods.tick(), if !reports.is_empty() => News::Reports,
            _ = heartbeat.tick() => News::None,
        };
        if !standing.holds() {
            return;
        }
        let chunk = match news {
            News::Event(event) => {
                let told = told::tell(&event).filter(|told| stream.condition.admits(told));
                let Some(told) = told else { continue };
                heartbeat.reset();
                // JSON has no line breaks of its own here, so that one line holds it.
                format!("id: {}\ndata: {}\n\n", told.id, told.to_json(None))
            }
            News::Reports => {
                heartbeat.reset();
                // They are no events to be taken up again at, and have no id.
                let made = reports.iter().filter_map(|id| telemetry::report(&events.0.scope, id));
                made.map(|report| format!("data: {report}\n\n")).collect()
            }
            News::None => ": still here\n\n".to_owned(),
        };
        let sent = timeout(SLOWEST_READER, chunks.send(Bytes::from(chunk))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
