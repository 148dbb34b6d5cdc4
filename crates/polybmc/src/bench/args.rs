//! The options of `polybmc bench`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use http::Uri;
use ipmi_wire::session::v15::AuthType;

use super::budget::Goal;
use crate::cli::Output;
use crate::config;

/// The password when none is given: that of a fresh BMC.
const DEFAULT_PASSWORD: &str = "password";
/// The most sessions or connections of one run: each is a socket.
const MAX_WORKERS: i64 = 10_000;
/// The run's length when neither a duration nor a count is given.
const DEFAULT_DURATION: Duration = Duration::from_secs(5);
/// How long a run by count may take when no limit is given.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// IPMI over LAN: logins and commands
    #[command(
        after_help = "Example: polybmc bench ipmi --target 127.0.0.1:6230 --suite 17 --sessions 8 --duration 5"
    )]
    Ipmi(IpmiArgs),
    /// Redfish: reads, writes and logins over kept connections
    #[command(
        after_help = "Example: polybmc bench redfish --url https://127.0.0.1:8100 --insecure --connections 8 --duration 5"
    )]
    Redfish(RedfishArgs),
}

/// Options of both protocols.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    /// User name
    #[arg(long, short = 'U', default_value = "admin")]
    pub user: String,
    /// Password [default: password]
    #[arg(long, short = 'P', conflicts_with = "password_file", hide_default_value = true)]
    password: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Start operations for this many seconds [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "count")]
    duration: Option<Duration>,
    /// Do this many operations, all sessions or connections together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after this many seconds, whatever happens [default: 300, or the duration and a request's time-out]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    limit: Option<Duration>,
    /// How long one request waits for its answer, in seconds; over IPMI it is sent again then
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub timeout: Duration,
    /// Also measure a bare answer on loopback (a UDP echo, an HTTP server that does nothing) with the same clients
    #[arg(long)]
    pub floor: bool,
    #[command(flatten)]
    pub output: Output,
}

/// Options of `bench ipmi`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IpmiArgs {
    /// The BMC's address and port; may be repeated, sessions are spread over all
    #[arg(long, value_name = "HOST:PORT", required = true)]
    pub target: Vec<String>,
    /// Cipher suite: 17 (SHA-256) or 3 (SHA-1), both with AES, or any other without RC4 that the BMC has on
    #[arg(long, default_value_t = 17, value_parser = clap::value_parser!(u8).range(0..=17))]
    pub suite: u8,
    /// Log in by IPMI 1.5 with this authentication type, and not by a cipher suite
    #[arg(long, value_name = "TYPE", value_enum, conflicts_with = "suite")]
    pub ipmi15: Option<Ipmi15>,
    /// Sessions at a time, each with one request on the way
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_WORKERS))]
    pub sessions: u32,
    /// How often a request is sent again before it counts as failed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub retries: u32,
    /// The command to send
    #[arg(long, value_enum, default_value_t)]
    pub command: IpmiCommand,
    /// Log in and out around each command, as Ironic does
    #[arg(long)]
    pub login_per_command: bool,
    /// How load is made: in a closed loop each session sends its next request when the last was answered
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    #[command(flatten)]
    pub common: CommonArgs,
}

/// An authentication type of IPMI 1.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ipmi15 {
    /// No code at all
    None,
    /// MD2 over each message
    Md2,
    /// MD5 over each message
    Md5,
    /// The password itself
    Password,
}

impl From<Ipmi15> for AuthType {
    fn from(auth_type: Ipmi15) -> Self {
        match auth_type {
            Ipmi15::None => Self::None,
            Ipmi15::Md2 => Self::Md2,
            Ipmi15::Md5 => Self::Md5,
            Ipmi15::Password => Self::Password,
        }
    }
}

/// A command without effect on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum IpmiCommand {
    /// Get Chassis Status: what a power poll asks
    #[default]
    Status,
    /// Get Device ID
    DeviceId,
}

/// How load is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Mode {
    /// The next request follows the answer
    #[default]
    Closed,
}

/// Options of `bench redfish`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RedfishArgs {
    /// The service: scheme, host and port
    #[arg(long, value_name = "URL")]
    pub url: Uri,
    /// What to do
    #[arg(long, value_enum, default_value_t)]
    pub scenario: Scenario,
    /// What to GET [default: the first System]
    #[arg(long, value_name = "PATH", value_parser = path, conflicts_with = "scenario")]
    pub path: Option<String>,
    /// How to authenticate
    #[arg(long, value_enum, default_value_t)]
    pub auth: Auth,
    /// Connections at a time, each with one request on the way
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_WORKERS))]
    pub connections: u32,
    /// Open a connection for each request
    #[arg(long)]
    pub reconnect: bool,
    /// Accept any certificate
    #[arg(long, short = 'k', conflicts_with = "ca")]
    pub insecure: bool,
    /// Certificates to trust, as a PEM file [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What a Redfish client does, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Scenario {
    /// GET the first System, or --path
    #[default]
    System,
    /// GET the collection of Systems
    Collection,
    /// GET the collection of Systems with all members in full
    Expand,
    /// PATCH the asset tag of a System; it gets its own back at the end
    Patch,
    /// Make a session and end it
    Login,
}

/// How a Redfish client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Auth {
    /// User and password with each request
    #[default]
    Basic,
    /// One session, its token with each request
    Session,
    /// Not at all
    None,
}

impl CommonArgs {
    /// What ends the run.
    pub(crate) fn goal(&self) -> Goal {
        self.count.map_or(Goal::Duration(self.duration.unwrap_or(DEFAULT_DURATION)), Goal::Count)
    }

    /// What ends the run whatever happens, when an operation may take up to `longest`.
    pub(crate) fn limit(&self, longest: Duration) -> Duration {
        self.limit.unwrap_or_else(|| match self.goal() {
            Goal::Duration(duration) => duration.saturating_add(longest),
            Goal::Count(_) => DEFAULT_LIMIT,
        })
    }

    /// The password, from wherever it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read_password(&self) -> Result<String> {
        let Some(file) = &self.password_file else {
            return Ok(self.password.clone().unwrap_or_else(|| DEFAULT_PASSWORD.to_owned()));
        };
        let password = config::read_password(file)
            .with_context(|| format!("cannot read the password file {}", file.display()))?;
        Ok(password.expose().to_owned())
    }
}

/// A positive number of seconds, with a fraction if need be.
fn seconds(text: &str) -> Result<Duration, String> {
    /// Longer runs than a week are a slip of the finger, and overflow no clock below this.
    const MOST: f64 = 7.0 * 24.0 * 3600.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("a number of seconds above 0 and at most {MOST} is wanted")),
    }
}

/// A path on the server, as it goes into the request line.
fn path(text: &str) -> Result<String, String> {
    match text.parse::<http::uri::PathAndQuery>() {
        Ok(parsed) if text.starts_with('/') => Ok(parsed.to_string()),
        Ok(_) => Err("a path begins with /".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: BenchCommand,
    }

    fn ipmi(line: &str) -> Result<IpmiArgs, clap::Error> {
        let words = format!("bench ipmi {line}");
        match Cli::try_parse_from(words.split_whitespace())?.command {
            BenchCommand::Ipmi(args) => Ok(args),
            BenchCommand::Redfish(_) => unreachable!("ipmi was asked for"),
        }
    }

    #[test]
    fn the_run_ends_by_duration_by_count_or_after_five_seconds() {
        let goal = |line: &str| ipmi(&format!("--target a:1 {line}")).map(|args| args.common.goal());
        assert_eq!(goal("").unwrap(), Goal::Duration(DEFAULT_DURATION));
        assert_eq!(goal("--duration 0.5").unwrap(), Goal::Duration(Duration::from_millis(500)));
        assert_eq!(goal("--count 7").unwrap(), Goal::Count(7));
        for wrong in
            ["--duration 1 --count 1", "--duration 0", "--duration -1", "--duration NaN", "--count 0"]
        {
            assert!(goal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_by_duration_is_over_one_operation_later() {
        let args = ipmi("--target a:1 --duration 5").unwrap();
        assert_eq!(args.common.limit(Duration::from_secs(8)), Duration::from_secs(13));
        let args = ipmi("--target a:1 --duration 5 --limit 2").unwrap();
        assert_eq!(args.common.limit(Duration::from_secs(8)), Duration::from_secs(2));
    }

    #[test]
    fn the_password_is_the_first_line_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "se cret\nmore\n").unwrap();
        let mut args = ipmi("--target a:1").unwrap();
        assert_eq!(args.common.read_password().unwrap(), "password");
        args.common.password_file = Some(file);
        assert_eq!(args.common.read_password().unwrap(), "se cret");
    }

    #[test]
    fn paths_that_would_break_the_request_line_are_refused() {
        assert_eq!(path("/redfish/v1/Systems?$top=1").unwrap(), "/redfish/v1/Systems?$top=1");
        for wrong in ["redfish", "", "/a b", "/a\r\nX: y"] {
            assert!(path(wrong).is_err(), "{wrong:?}");
        }
    }
}
