//! `polybmc bench ipmi`: logins and commands in a closed loop.
//!
//! ```text
//!   each target once: log in, command, log out ──► fails: the run ends here
//!        │
//!        ├─ sessions kept: all log in ──► one worker per session: command ──► command ──► ... ──► log out
//!        └─ login per command: one worker per session: (log in ──► command ──► log out) again and again
//! ```

mod session;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ipmi_session::console::ConsoleConfig;
use ipmi_session::{Password, UserName, config::is_supported};
use ipmi_wire::cipher::CipherSuite;
use ipmi_wire::command::Command;
use ipmi_wire::session::v15::AuthType;
use ipmi_wire::{CompletionCode, NetFn};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::session::{Session, SessionError};
use super::args::{IpmiArgs, IpmiCommand};
use super::budget::{Budget, Patience};
use super::floor::{self, udp::Exchange};
use super::report::{Floor, Operation, Report};
use super::stats::{Counts, Series, Shared};

/// The port of IPMI over LAN, where a target names none.
const IPMI_PORT: u16 = 623;
/// Logins under way before the load. BMCs bound the handshakes of one source; the load itself is not held back.
const LOGINS_AT_ONCE: usize = 8;
/// How long the logins before the load may take, all together.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// Dead targets that are named one by one.
const NAMED_FAILURES: usize = 5;

/// What every worker needs to know.
#[derive(Debug)]
struct Load {
    targets: Vec<SocketAddr>,
    console: ConsoleConfig,
    netfn: NetFn,
    cmd: u8,
}

impl Load {
    /// A target for each of so many workers: all in turn.
    fn each_workers_target(&self, workers: u32) -> impl Iterator<Item = SocketAddr> {
        self.targets.iter().copied().cycle().zip(0..workers).map(|(target, _)| target)
    }
}

/// What the workers saw.
#[derive(Debug, Clone)]
struct Tally {
    logins: Series,
    commands: Series,
    /// Login, command and logout together.
    cycles: Series,
    retransmits: u64,
    statuses: Counts,
    errors: Counts,
    gave_up: u32,
}

impl Tally {
    fn new() -> Self {
        Self {
            logins: Series::new(),
            commands: Series::new(),
            cycles: Series::new(),
            retransmits: 0,
            statuses: Counts::default(),
            errors: Counts::default(),
            gave_up: 0,
        }
    }
}

/// Runs the load and says how it went.
///
/// # Errors
/// When the run cannot begin: a target that is no address, does not answer or refuses the login.
pub(super) async fn run(args: &IpmiArgs) -> Result<Report> {
    let load = Arc::new(load(args).await?);
    let one_wait = args.common.timeout.saturating_mul(args.retries.saturating_add(1));
    let limit = args.common.limit(LOGIN_LIMIT.saturating_add(one_wait));
    let datagram = probe(&load, Instant::now() + limit.min(LOGIN_LIMIT)).await?;

    let mut report = if args.login_per_command {
        with_logins(args, &load, limit).await
    } else {
        with_sessions(args, &load, limit).await
    };
    report.targets.clone_from(&args.target);
    report.parameters = parameters(args, datagram);
    if args.common.floor {
        let exchange = Exchange { size: datagram, timeout: args.common.timeout };
        let (series, elapsed) =
            floor::udp::measure(args.sessions, exchange, args.common.goal(), limit).await?;
        let figures = series.summary(elapsed);
        let reached = report.main_operation().map_or(0.0, |operation| operation.figures.per_second);
        let ratio = floor::ratio(reached, figures.per_second);
        report.floor = Some(Floor { what: format!("bare UDP echo of {datagram} bytes"), figures, ratio });
    }
    report.judge();
    Ok(report)
}

fn parameters(args: &IpmiArgs, datagram: usize) -> Map<String, Value> {
    let (command, ..) = codes(args.command);
    Map::from_iter([
        ("command".to_owned(), json!(command)),
        ("bytes".to_owned(), json!(datagram)),
        match args.ipmi15 {
            None => ("suite".to_owned(), json!(args.suite)),
            Some(auth_type) => ("ipmi15".to_owned(), json!(bmc_ipmi::auth_name(auth_type.into()))),
        },
        ("sessions".to_owned(), json!(args.sessions)),
        ("login_per_command".to_owned(), json!(args.login_per_command)),
        ("timeout_seconds".to_owned(), json!(args.common.timeout.as_secs_f64())),
        ("retries".to_owned(), json!(args.retries)),
    ])
}

async fn load(args: &IpmiArgs) -> Result<Load> {
    let user =
        UserName::new(args.common.user.as_bytes()).context("an IPMI user name has at most 16 bytes")?;
    let password = Password::new(args.common.read_password()?.as_bytes())
        .context("an IPMI password has at most 20 bytes")?;
    let suite = CipherSuite::by_id(args.suite)
        .filter(is_supported)
        .with_context(|| format!("cipher suite {} is not supported", args.suite))?;
    let mut console = ConsoleConfig::new(user, password, suite);
    console.ipmi15 = args.ipmi15.map(AuthType::from);
    console.retry_after = args.common.timeout;
    console.retries = args.retries;
    let mut targets = Vec::new();
    for target in &args.target {
        targets.push(resolve(target, args.common.timeout).await?);
    }
    let (_, netfn, cmd) = codes(args.command);
    Ok(Load { targets, console, netfn, cmd })
}

/// Name and codes of a command. Neither has request data.
fn codes(command: IpmiCommand) -> (&'static str, NetFn, u8) {
    const fn of<C: Command>() -> (&'static str, NetFn, u8) {
        (C::NAME, C::NETFN, C::CODE)
    }
    match command {
        IpmiCommand::Status => of::<ipmi_wire::command::chassis::GetChassisStatus>(),
        IpmiCommand::DeviceId => of::<ipmi_wire::command::app::GetDeviceId>(),
    }
}

/// The address of a target: `host`, `host:port`, `address`, `[address]:port`.
async fn resolve(target: &str, timeout: Duration) -> Result<SocketAddr> {
    if let Ok(address) = target.parse::<IpAddr>() {
        return Ok((address, IPMI_PORT).into());
    }
    let target = if target.contains(':') { target.to_owned() } else { format!("{target}:{IPMI_PORT}") };
    let found = tokio::time::timeout(timeout, tokio::net::lookup_host(target.as_str())).await;
    found
        .with_context(|| format!("no address for {target} in time"))?
        .with_context(|| format!("no address for {target}"))?
        .next()
        .with_context(|| format!("no address for {target}"))
}

/// Tries each target once. Returns the length of the longest datagram of the command.
async fn probe(load: &Arc<Load>, end_by: Instant) -> Result<usize> {
    let permits = Arc::new(Semaphore::new(LOGINS_AT_ONCE));
    let mut probes = JoinSet::new();
    for &target in &load.targets {
        let (load, permits) = (Arc::clone(load), Arc::clone(&permits));
        probes.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            probe_one(&load, target, end_by).await.map_err(|error| format!("{target}: {error}"))
        });
    }
    let mut longest = 0;
    let mut failures = Vec::new();
    while let Some(joined) = probes.join_next().await {
        match joined? {
            Ok(length) => longest = longest.max(length),
            Err(failure) => failures.push(failure),
        }
    }
    failures.sort();
    match failures.len() {
        0 => Ok(longest),
        1..=NAMED_FAILURES => bail!("{}", failures.join("\n")),
        many => {
            failures.truncate(NAMED_FAILURES);
            bail!("{}\nand {} more", failures.join("\n"), many - NAMED_FAILURES)
        }
    }
}

async fn probe_one(load: &Load, target: SocketAddr, end_by: Instant) -> Result<usize> {
    let mut session =
        Session::log_in(target, load.console.clone(), end_by).await.map_err(|failed| failed.error)?;
    let completion = session.command(load.netfn, load.cmd, end_by).await?;
    let longest = session.traffic().longest;
    session.log_out(end_by).await?;
    if !completion.is_ok() {
        bail!("the command was answered with {completion}");
    }
    Ok(longest)
}

/// All sessions log in, then the load begins.
async fn with_sessions(args: &IpmiArgs, load: &Arc<Load>, limit: Duration) -> Report {
    let end_by = Instant::now() + limit;
    let seen = Shared::new(Tally::new());
    let (sessions, login_time) = log_all_in(args, load, limit.min(LOGIN_LIMIT), &seen).await;

    let started = Instant::now();
    let budget = Budget::start(args.common.goal(), end_by.saturating_duration_since(started));
    let mut workers = JoinSet::new();
    for (target, session) in sessions {
        workers.spawn(work_in_session(Arc::clone(load), target, session, budget.clone(), seen.clone()));
    }
    join(workers, &seen, drop).await;
    let elapsed = started.elapsed();
    let total = seen.read();
    let operations = vec![
        Operation { name: "login", figures: total.logins.summary(login_time) },
        Operation { name: codes(args.command).0, figures: total.commands.summary(elapsed) },
    ];
    report(operations, total, elapsed)
}

/// The sessions that could be opened, and how long that took.
async fn log_all_in(
    args: &IpmiArgs,
    load: &Arc<Load>,
    limit: Duration,
    seen: &Shared<Tally>,
) -> (Vec<(SocketAddr, Session)>, Duration) {
    let started = Instant::now();
    let end_by = started + limit;
    let permits = Arc::new(Semaphore::new(LOGINS_AT_ONCE));
    let mut logins = JoinSet::new();
    for target in load.each_workers_target(args.sessions) {
        let (load, permits, seen) = (Arc::clone(load), Arc::clone(&permits), seen.clone());
        logins.spawn(async move {
            let _permit = permits.acquire().await;
            (target, timed_login(&load, target, end_by, &seen).await)
        });
    }
    let mut sessions = Vec::new();
    join(logins, seen, |(target, session)| match session {
        Some(session) => sessions.push((target, session)),
        None => seen.note(|tally| tally.gave_up += 1),
    })
    .await;
    (sessions, started.elapsed())
}

async fn timed_login(
    load: &Load,
    target: SocketAddr,
    end_by: Instant,
    seen: &Shared<Tally>,
) -> Option<Session> {
    let started = Instant::now();
    let login = Session::log_in(target, load.console.clone(), end_by).await;
    let took = started.elapsed();
    seen.note(|tally| match &login {
        Ok(_) => tally.logins.ok(took),
        Err(failed) => {
            tally.retransmits += failed.retransmits;
            tally.logins.failed();
            tally.errors.add(&format!("{target}: {}", failed.error));
        }
    });
    login.ok()
}

async fn work_in_session(
    load: Arc<Load>,
    target: SocketAddr,
    mut session: Session,
    budget: Budget,
    seen: Shared<Tally>,
) {
    let mut patience = Patience::default();
    while budget.take() {
        let answered = timed_command(&load, target, &mut session, &budget, &seen).await;
        if matches!(answered, Ok(completion) if completion.is_ok()) {
            patience.renew();
            continue;
        }
        if budget.is_over() {
            break;
        }
        if patience.lose() {
            seen.note(|tally| tally.gave_up += 1);
            break;
        }
        if answered.is_err() {
            // The BMC may have dropped the session: another one is as good.
            let another = timed_login(&load, target, budget.end_by(), &seen).await;
            let Some(another) = another else {
                seen.note(|tally| tally.gave_up += 1);
                break;
            };
            let old = std::mem::replace(&mut session, another);
            seen.note(|tally| tally.retransmits += old.traffic().retransmits);
        }
    }
    // What counts has been measured; a logout that fails changes nothing.
    let _ = session.log_out(budget.end_by()).await;
    seen.note(|tally| tally.retransmits += session.traffic().retransmits);
}

async fn timed_command(
    load: &Load,
    target: SocketAddr,
    session: &mut Session,
    budget: &Budget,
    seen: &Shared<Tally>,
) -> Result<CompletionCode, SessionError> {
    let started = Instant::now();
    let answered = session.command(load.netfn, load.cmd, budget.end_by()).await;
    let took = started.elapsed();
    seen.note(|tally| match &answered {
        Ok(completion) => {
            tally.statuses.add(&completion.to_string());
            if completion.is_ok() { tally.commands.ok(took) } else { tally.commands.failed() }
        }
        Err(error) => {
            tally.commands.failed();
            tally.errors.add(&format!("{target}: {error}"));
        }
    });
    answered
}

/// Each worker logs in and out around each command.
async fn with_logins(args: &IpmiArgs, load: &Arc<Load>, limit: Duration) -> Report {
    let seen = Shared::new(Tally::new());
    let started = Instant::now();
    let budget = Budget::start(args.common.goal(), limit);
    let mut workers = JoinSet::new();
    for target in load.each_workers_target(args.sessions) {
        workers.spawn(work_with_logins(Arc::clone(load), target, budget.clone(), seen.clone()));
    }
    join(workers, &seen, drop).await;
    let elapsed = started.elapsed();
    let total = seen.read();
    let operations = vec![
        Operation { name: "login", figures: total.logins.summary(elapsed) },
        Operation { name: codes(args.command).0, figures: total.commands.summary(elapsed) },
        Operation { name: "login, command, logout", figures: total.cycles.summary(elapsed) },
    ];
    report(operations, total, elapsed)
}

async fn work_with_logins(load: Arc<Load>, target: SocketAddr, budget: Budget, seen: Shared<Tally>) {
    let mut patience = Patience::default();
    while budget.take() {
        let started = Instant::now();
        if cycle(&load, target, &budget, &seen).await {
            let took = started.elapsed();
            seen.note(|tally| tally.cycles.ok(took));
            patience.renew();
            continue;
        }
        seen.note(|tally| tally.cycles.failed());
        if budget.is_over() {
            return;
        }
        if patience.lose() {
            return seen.note(|tally| tally.gave_up += 1);
        }
    }
}

/// Login, command, logout; whether all went well.
async fn cycle(load: &Load, target: SocketAddr, budget: &Budget, seen: &Shared<Tally>) -> bool {
    let Some(mut session) = timed_login(load, target, budget.end_by(), seen).await else { return false };
    let mut good = false;
    if let Ok(completion) = timed_command(load, target, &mut session, budget, seen).await {
        match session.log_out(budget.end_by()).await {
            Ok(()) => good = completion.is_ok(),
            Err(error) => seen.note(|tally| tally.errors.add(&format!("{target}: {error}"))),
        }
    }
    seen.note(|tally| tally.retransmits += session.traffic().retransmits);
    good
}

/// Waits for all workers and hands on what they return.
async fn join<T: 'static>(mut workers: JoinSet<T>, seen: &Shared<Tally>, mut done: impl FnMut(T)) {
    while let Some(joined) = workers.join_next().await {
        match joined {
            Ok(returned) => done(returned),
            Err(error) => seen.note(|tally| tally.errors.add(&format!("a worker broke: {error}"))),
        }
    }
}

fn report(operations: Vec<Operation>, total: Tally, elapsed: Duration) -> Report {
    Report {
        protocol: "ipmi",
        targets: Vec::new(),
        parameters: Map::new(),
        seconds: elapsed.as_secs_f64(),
        operations,
        retransmits: total.retransmits,
        errors: total.errors,
        statuses: total.statuses,
        gave_up: total.gave_up,
        floor: None,
        failure: None,
    }
}
