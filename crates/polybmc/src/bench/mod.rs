//! `polybmc bench`: a load generator against any BMC, ours or not.
//!
//! ```text
//!   options ─► probe each target ─► workers in a closed loop ─► figures of all workers added up ─► table or JSON
//!                   │ dead                │ three failures in a row
//!                   └────► exit 1         └────► the worker gives up; exit 1
//! ```
//!
//! Every run has an end: operations start only for a duration or up to a count, each has a time-out, and a limit holds
//! for all of it. Latency is that of the client: from the first attempt of a request to its answer, retries included.

mod args;
mod budget;
mod floor;
mod ipmi;
mod redfish;
mod report;
mod stats;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

pub(crate) use self::args::BenchCommand;
use crate::output;

/// Runs the load and prints what it saw. The exit status says whether the run went well; the figures are printed
/// either way.
///
/// # Errors
/// When the run cannot begin, because the target is dead or refuses the login, or when stdout cannot be written.
pub(crate) fn run(command: &BenchCommand) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the async runtime")?;
    let (report, format) = runtime.block_on(async {
        anyhow::Ok(match command {
            BenchCommand::Ipmi(args) => (ipmi::run(args).await?, args.common.output.format),
            BenchCommand::Redfish(args) => (redfish::run(args).await?, args.common.output.format),
        })
    })?;
    output::print(&report.render(format)?)?;
    Ok(if report.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
