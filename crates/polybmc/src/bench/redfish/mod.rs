//! `polybmc bench redfish`: one request after the other in a closed loop over kept connections.
//!
//! ```text
//!   log in, do it once ──► one worker per connection: connect ──► request ──► request ──► ... ──► undo, log out
//!            │                                           ▲          │
//!            └─ fails: the run ends here                 └── broken ┘  three in a row: the worker gives up
//! ```

mod client;
mod setup;
#[cfg(test)]
mod tests;
mod tls;
mod work;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::client::{Connection, Endpoint, RequestError, status_name};
use self::work::Work;
use super::args::{Auth, RedfishArgs};
use super::budget::{Budget, Patience};
use super::floor;
use super::report::{Floor, Operation, Report};
use super::stats::{Counts, Series, Shared};

/// How an operation is called that the run's limit cut short.
const OUT_OF_TIME: &str = "the run's time is over";

/// What the workers do, and where.
#[derive(Debug)]
struct Load {
    endpoint: Arc<Endpoint>,
    work: Work,
    headers: HeaderMap,
    /// Whether each request gets a connection of its own.
    reconnect: bool,
}

/// What the workers saw.
#[derive(Debug, Clone)]
struct Tally {
    connects: Series,
    requests: Series,
    logouts: Series,
    statuses: Counts,
    errors: Counts,
    gave_up: u32,
}

impl Tally {
    fn new() -> Self {
        Self {
            connects: Series::new(),
            requests: Series::new(),
            logouts: Series::new(),
            statuses: Counts::default(),
            errors: Counts::default(),
            gave_up: 0,
        }
    }
}

/// Runs the load and says how it went.
///
/// # Errors
/// When the run cannot begin: no such host, no answer, a login that is refused, no System to ask for.
pub(super) async fn run(args: &RedfishArgs) -> Result<Report> {
    let timeout = args.common.timeout;
    // A worker may just have begun to connect when the time is over, and then sends one request.
    let limit = args.common.limit(timeout * 2);
    let service = setup::prepare(args, Instant::now() + limit).await?;

    let load = Arc::new(Load {
        endpoint: Arc::clone(&service.endpoint),
        work: service.work.clone(),
        headers: service.headers.clone(),
        reconnect: args.reconnect,
    });
    let (total, elapsed) = generate(&load, args, limit).await;
    service.leave(Instant::now() + timeout).await;

    let requests = total.requests.summary(elapsed);
    let floor = if args.common.floor {
        Some(measure_floor(args, &load, service.body_len, limit, requests.per_second).await?)
    } else {
        None
    };
    let mut operations = vec![Operation { name: "connect", figures: total.connects.summary(elapsed) }];
    if matches!(load.work, Work::LogIn(_)) {
        operations.push(Operation { name: "logout", figures: total.logouts.summary(elapsed) });
    }
    operations.push(Operation { name: load.work.name(), figures: requests });
    let mut report = Report {
        protocol: "redfish",
        targets: vec![args.url.to_string()],
        parameters: parameters(args, &load, service.body_len),
        seconds: elapsed.as_secs_f64(),
        operations,
        retransmits: 0,
        errors: total.errors,
        statuses: total.statuses,
        gave_up: total.gave_up,
        floor,
        failure: None,
    };
    report.judge();
    Ok(report)
}

fn parameters(args: &RedfishArgs, load: &Load, body_len: usize) -> Map<String, Value> {
    let auth = match args.auth {
        Auth::Basic => "basic",
        Auth::Session => "session",
        Auth::None => "none",
    };
    Map::from_iter([
        ("path".to_owned(), json!(load.work.shown_path())),
        ("bytes".to_owned(), json!(body_len)),
        ("auth".to_owned(), json!(auth)),
        ("tls".to_owned(), json!(load.endpoint.tls.is_some())),
        ("connections".to_owned(), json!(args.connections)),
        ("reconnect".to_owned(), json!(args.reconnect)),
    ])
}

/// Runs all workers to their end. Every wait of a worker has a limit, so the end comes.
async fn generate(load: &Arc<Load>, args: &RedfishArgs, limit: Duration) -> (Tally, Duration) {
    let budget = Budget::start(args.common.goal(), limit);
    let seen = Shared::new(Tally::new());
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..args.connections as usize {
        workers.spawn(work(Arc::clone(load), number, budget.clone(), seen.clone()));
    }
    while let Some(joined) = workers.join_next().await {
        if let Err(error) = joined {
            seen.note(|tally| tally.errors.add(&format!("a worker broke: {error}")));
        }
    }
    (seen.read(), started.elapsed())
}

async fn work(load: Arc<Load>, number: usize, budget: Budget, seen: Shared<Tally>) {
    let mut patience = Patience::default();
    let mut connection: Option<Connection> = None;
    let mut nth = 0;
    while budget.take() {
        nth += 1;
        match one_request(&load, (number, nth), &budget, &mut connection, &seen).await {
            Ok(status) if status.is_success() => {
                patience.renew();
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                connection = None;
                let error = if budget.is_over() { OUT_OF_TIME.to_owned() } else { error.to_string() };
                seen.note(|tally| tally.errors.add(&error));
            }
        }
        if budget.is_over() {
            return;
        }
        if patience.lose() {
            return seen.note(|tally| tally.gave_up += 1);
        }
    }
}

/// One request, over the connection that is there or a new one. A session that it makes is ended, which counts apart.
async fn one_request(
    load: &Load,
    (worker, nth): (usize, u64),
    budget: &Budget,
    connection: &mut Option<Connection>,
    seen: &Shared<Tally>,
) -> Result<StatusCode, RequestError> {
    let mut open = match connection.take().filter(Connection::is_usable) {
        Some(open) => open,
        None => {
            let started = Instant::now();
            let opened = Connection::open(Arc::clone(&load.endpoint), budget.end_by()).await;
            let took = started.elapsed();
            seen.note(|tally| match &opened {
                Ok(_) => tally.connects.ok(took),
                Err(_) => tally.connects.failed(),
            });
            opened?
        }
    };
    let step = load.work.step(worker, nth);
    let nobody = HeaderMap::new();
    let headers = setup::with_type(if step.anonymous { &nobody } else { &load.headers }, &step.body);
    let started = Instant::now();
    let answer = open.request(step.method, &step.path, &headers, step.body, budget.end_by()).await;
    let took = started.elapsed();
    seen.note(|tally| match &answer {
        Ok(answer) => {
            tally.statuses.add(&status_name(answer.status()));
            if answer.status().is_success() { tally.requests.ok(took) } else { tally.requests.failed() }
        }
        Err(_) => tally.requests.failed(),
    });
    let answer = answer?;
    let status = answer.status();
    if matches!(load.work, Work::LogIn(_))
        && let Some((session, token)) = work::log_out(&answer)
    {
        log_out(&mut open, &session, &token, budget, seen).await?;
    }
    if !load.reconnect {
        *connection = Some(open);
    }
    Ok(status)
}

/// Ends a session, so that the target does not run out of them.
async fn log_out(
    open: &mut Connection,
    session: &str,
    token: &HeaderMap,
    budget: &Budget,
    seen: &Shared<Tally>,
) -> Result<(), RequestError> {
    let started = Instant::now();
    let answer = open.request(Method::DELETE, session, token, Bytes::new(), budget.end_by()).await;
    let took = started.elapsed();
    let ended = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
    seen.note(|tally| if ended { tally.logouts.ok(took) } else { tally.logouts.failed() });
    answer.map(|_| ())
}

/// The same clients against an HTTP server that does nothing but send as many bytes, over TLS if the target does.
async fn measure_floor(
    args: &RedfishArgs,
    load: &Load,
    body_len: usize,
    limit: Duration,
    per_second: f64,
) -> Result<Floor> {
    let server = floor::http::start(body_len, load.endpoint.tls.is_some())?;
    let tls = load.endpoint.tls.is_some().then(|| tls::client_config(true, None)).transpose()?;
    let name = rustls_pki_types::ServerName::from(server.address().ip());
    let endpoint = Endpoint {
        address: server.address(),
        host: setup::host_value(&server.address().to_string())?,
        tls: tls.map(|config| (config.into(), name)),
        timeout: load.endpoint.timeout,
    };
    let bare = Arc::new(Load {
        endpoint: Arc::new(endpoint),
        work: load.work.clone(),
        headers: load.headers.clone(),
        reconnect: load.reconnect,
    });
    let (total, elapsed) = generate(&bare, args, limit).await;
    let figures = total.requests.summary(elapsed);
    let ratio = floor::ratio(per_second, figures.per_second);
    Ok(Floor { what: format!("bare answer of {body_len} bytes"), figures, ratio })
}
