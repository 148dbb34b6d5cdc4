//! `polybmc doctor`: looks at the host, changes nothing, and says of each thing that stops a newcomer how to mend it.

mod checks;
mod libvirt;
mod system_interface;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use crate::cli::{Doctor, Format};
use crate::config::{BackendConfig, Config};
use crate::output;
use crate::paths::Environment;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) status: Status,
    /// What was found.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), mend: None }
    }

    fn bad(check: &'static str, status: Status, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, status, message: message.into(), mend: Some(mend.into()) }
    }
}

/// What the checks look at.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) state_dir: PathBuf,
    pub(crate) control: PathBuf,
    /// Whether the configuration wants libvirt: its absence is a failure then.
    pub(crate) wants_libvirt: bool,
    pub(crate) session_dir: Option<PathBuf>,
    /// Where this user's own descriptors of firmware lie.
    #[cfg(feature = "libvirt")]
    pub(crate) firmware_dir: Option<PathBuf>,
}

/// Runs every check and prints a line each. The exit status is 1 when one failed.
///
/// # Errors
/// Stdout is closed in a bad way.
pub(crate) fn run(options: Doctor, control: Option<PathBuf>, environment: &Environment) -> Result<ExitCode> {
    let file = options.config.or_else(Config::find_file);
    let mut findings = Vec::new();
    let config = match &file {
        None => {
            findings.push(Finding::ok("config", "none: `polybmc serve` starts three simulated machines"));
            Config::default()
        }
        Some(file) => match Config::read(file) {
            Ok(config) => {
                findings.push(Finding::ok("config", format!("{} is in order", file.display())));
                config
            }
            Err(error) => {
                let problems = error.to_string().replace('\n', " | ");
                findings.push(Finding::bad(
                    "config",
                    Status::Fail,
                    problems,
                    "correct it, then look again; docs/operating.md has every key",
                ));
                Config::default()
            }
        },
    };
    let is_libvirt = |name: &str| {
        name.contains("://") || matches!(config.backends.get(name), Some(BackendConfig::Libvirt { .. }))
    };
    let wants_libvirt =
        is_libvirt(&config.defaults.backend.value) || config.bmcs.iter().any(|bmc| is_libvirt(&bmc.backend));
    let state_dir = options.state_dir.or_else(|| config.daemon.state_dir.clone());
    let host = Host {
        state_dir: state_dir.unwrap_or_else(|| environment.state_dir()),
        control: control.or_else(|| config.daemon.control.clone()).unwrap_or_else(|| environment.control()),
        wants_libvirt,
        session_dir: environment.runtime_dir.as_ref().map(|dir| PathBuf::from(dir).join("libvirt")),
        #[cfg(feature = "libvirt")]
        firmware_dir: environment.firmware_dir(),
        config,
    };
    let (daemon, daemon_runs) = checks::control(&host);
    findings.push(daemon);
    findings.push(checks::state_dir(&host));
    findings.extend(checks::ports(&host, daemon_runs));
    findings.push(checks::descriptors(&host));
    findings.extend(libvirt::checks(&host));
    findings.extend(system_interface::checks(&host, daemon_runs));
    findings.extend(checks::tools());

    let text = match options.output.format {
        Format::Json => output::json(&findings)?,
        Format::Table => table(&findings),
    };
    output::print(&text)?;
    let failed = findings.iter().any(|finding| finding.status == Status::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let lines = findings.iter().map(|finding| {
        let mend = finding.mend.as_ref().map(|mend| format!("; mend: {mend}")).unwrap_or_default();
        format!("{:<4}  {:<width$}  {}{mend}\n", finding.status.word(), finding.check, finding.message)
    });
    lines.collect()
}
