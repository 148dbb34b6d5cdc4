//! Pushing events, or metric reports, to one subscriber.
//!
//! ```text
//!   next event ─► POST ── 2xx ──► next event
//!      ▲            │ anything else, or no answer in time
//!      │            ▼
//!      │      wait, try again ── used up ──► TerminateAfterRetries: gone
//!      │                             │       SuspendRetries: suspended, until it is resumed
//!      └─────────────────────────────┘       RetryForever...: the same event again
//! ```

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::follow::Follower;
use super::told::{self, Told};
use super::{Events, Format, RetryPolicy, Subscription};
use crate::resource::telemetry;

/// How long connecting to a subscriber may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause of a subscriber that is retried ever more slowly.
const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);

/// Pushes to a subscriber what happens after the event `after`, until it is gone.
pub(super) async fn run(events: Events, id: u64, after: u64, end: CancellationToken) {
    let background = events.0.background.clone();
    tokio::select! {
        () = end.cancelled() => {}
        () = background.stopping() => {}
        () = push_all(&events, id, after) => {}
    }
}

/// What is sent at a time.
enum Message {
    Event(Told),
    Report(Value),
}

impl Message {
    fn to_json(&self, context: Option<&str>) -> Value {
        match self {
            Self::Event(told) => told.to_json(context),
            Self::Report(report) => {
                let mut report = report.clone();
                if let Some(context) = context {
                    report["Context"] = context.into();
                }
                report
            }
        }
    }
}

async fn push_all(events: &Events, id: u64, after: u64) {
    // What a subscription is for never changes.
    match events.subscription(id).map(|subscription| subscription.format) {
        None => {}
        Some(Format::Event) => push_events(events, id, after).await,
        Some(Format::MetricReport) => push_reports(events, id).await,
    }
}

async fn push_reports(events: &Events, id: u64) {
    let mut periods = telemetry::periods();
    loop {
        periods.tick().await;
        events.heed_defaults();
        let Some(subscription) = events.subscription(id) else { return };
        if subscription.suspended {
            continue;
        }
        let wanted = |report: &&str| {
            subscription.reports.is_empty() || subscription.reports.iter().any(|wanted| wanted == report)
        };
        for report in telemetry::report_ids().into_iter().filter(wanted) {
            let Some(report) = telemetry::report(&events.0.scope, report) else { continue };
            if !push(events, id, &Message::Report(report)).await {
                return;
            }
        }
    }
}

async fn push_events(events: &Events, id: u64, after: u64) {
    let mut follower = Follower::new(events.0.scope.clone(), after);
    while let Some(event) = follower.next().await {
        events.heed_defaults();
        let Some(subscription) = events.subscription(id) else { return };
        let Some(told) = told::tell(&event) else { continue };
        if subscription.suspended || !subscription.filter.admits(&told) {
            continue;
        }
        if !push(events, id, &Message::Event(told)).await {
            return;
        }
    }
}

/// Pushes one message; `false` when the subscriber is gone.
async fn push(events: &Events, id: u64, message: &Message) -> bool {
    let mut failures: u32 = 0;
    loop {
        events.heed_defaults();
        // Read anew each time: a change by a client counts at once.
        let Some(subscription) = events.subscription(id) else { return false };
        if subscription.suspended {
            return true;
        }
        let Err(reason) = post(events, &subscription, message).await else {
            events.note(id, None);
            return true;
        };
        failures = failures.saturating_add(1);
        tracing::debug!(subscription = id, failures, %reason, "an event could not be delivered");
        events.note(id, Some(reason.clone()));
        let kept = events.kept();
        if failures > kept.attempts {
            match subscription.policy {
                RetryPolicy::TerminateAfterRetries => {
                    tracing::warn!(subscription = id, %reason, "an event subscription ended: nobody takes its events");
                    give_up(events, id, |kept| drop(kept.subscriptions.remove(&id))).await;
                    return false;
                }
                RetryPolicy::SuspendRetries => {
                    tracing::warn!(subscription = id, %reason, "an event subscription is suspended");
                    give_up(events, id, |kept| {
                        if let Some(subscription) = kept.subscriptions.get_mut(&id) {
                            subscription.suspended = true;
                        }
                    })
                    .await;
                    return true;
                }
                RetryPolicy::RetryForever | RetryPolicy::RetryForeverWithBackoff => {}
            }
        }
        tokio::time::sleep(pause(&subscription, failures, kept.interval_seconds)).await;
    }
}

/// Changes a subscription that failed. Where that cannot be stored, it is tried again with the next event.
async fn give_up(events: &Events, id: u64, change: impl FnOnce(&mut super::Kept)) {
    let changed = events.change(|kept| {
        change(kept);
        Ok(())
    });
    if changed.await.is_err() {
        tracing::error!(subscription = id, "the end of an event subscription could not be stored");
    }
}

fn pause(subscription: &Subscription, failures: u32, interval_seconds: u32) -> Duration {
    let interval = Duration::from_secs(interval_seconds.into());
    match subscription.policy {
        RetryPolicy::RetryForeverWithBackoff => {
            let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
            interval.saturating_mul(doubled).min(BACKOFF_MAX)
        }
        _ => interval,
    }
}

/// Sends a message; else says why it did not arrive.
async fn post(events: &Events, subscription: &Subscription, message: &Message) -> Result<(), String> {
    let client = events.client(subscription.verify).ok_or("there is no HTTP client")?;
    let body = message.to_json(subscription.context.as_deref());
    let mut request = client
        .post(&subscription.destination)
        .timeout(events.0.delivery_timeout)
        .header("Content-Type", "application/json;charset=utf-8")
        .header("OData-Version", "4.0");
    for header in &subscription.headers {
        request = request.header(&header.name, &header.value);
    }
    let sent = request.body(body.to_string()).send().await;
    // An error's own words name the destination, which may be told, and not the headers.
    let response = sent.map_err(|error| reason(&error))?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("the destination answered {status}")) }
}

/// An error with what caused it.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl Events {
    /// The HTTP client for destinations whose certificate has to be good, or need not be. Made when it is first needed.
    fn client(&self, verify: bool) -> Option<&reqwest::Client> {
        let [lenient, strict] = &self.0.clients;
        let cell = if verify { strict } else { lenient };
        let client = cell.get_or_init(|| {
            // The process has one provider of cryptography; the one in use is as good as this.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let built = reqwest::Client::builder()
                // A subscriber is where the client says it is.
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(1)
                .tls_danger_accept_invalid_certs(!verify)
                .build();
            built.inspect_err(|error| tracing::error!(%error, "no HTTP client for events")).ok()
        });
        client.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_only_where_they_are_to() {
        let subscription = |policy| Subscription {
            id: 1,
            user: String::new(),
            destination: String::new(),
            context: None,
            headers: Vec::new(),
            filter: super::super::Filter::default(),
            format: Format::default(),
            reports: Vec::new(),
            verify: false,
            policy,
            suspended: false,
        };
        let seconds =
            |policy| [1, 2, 3, 40].map(|failures| pause(&subscription(policy), failures, 30).as_secs());
        assert_eq!(seconds(RetryPolicy::RetryForever), [30; 4]);
        assert_eq!(seconds(RetryPolicy::RetryForeverWithBackoff), [30, 60, 120, 3_600]);
    }
}
