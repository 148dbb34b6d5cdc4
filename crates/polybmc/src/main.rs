//! polybmc: a baseboard management controller for every virtual machine.
//!
//! The program wires the parts together and is the only crate that knows them all: [`config`] and [`cli`] say what is wanted, [`serve`]
//! and [`daemon`] run it, [`verbs`] ask a running daemon, [`doctor`] looks at the host, [`mod@bench`] measures BMCs.

mod backends;
mod bench;
mod cli;
mod config;
mod console;
mod daemon;
mod doctor;
mod output;
mod paths;
mod serve;
mod verbs;

use std::io::Write as _;
use std::iter;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use bmc_control::Client;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Verb};
use crate::paths::Environment;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // With stderr closed there is nobody to tell; the exit status stays.
            let _ = writeln!(std::io::stderr(), "polybmc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { control, verb }: Cli) -> Result<ExitCode> {
    let environment = Environment::of_process();
    let control = control.or_else(|| environment.control_named());
    match verb {
        Verb::Serve(options) => serve::run(options, control, &environment)?,
        Verb::Bench(command) => return bench::run(&command),
        Verb::Doctor(options) => return doctor::run(options, control, &environment),
        Verb::Completions(options) => {
            let mut script = Vec::new();
            clap_complete::generate(options.shell, &mut Cli::command(), "polybmc", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
        }
        Verb::Manpage => output::print(&manpage()?)?,
        verb => {
            let client = Client::new(control.unwrap_or_else(|| environment.control()));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("cannot start the async runtime")?.block_on(verbs::run(&client, verb))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the manual says beside what the command line's definition says.
const MANUAL_END: &str = r#".SH ENVIRONMENT
.TP
\fBPOLYBMC_CONTROL\fR
The control socket, where \fB\-\-control\fR does not name it.
.TP
\fBPOLYBMC_LOG\fR
What the daemon logs, such as \fIdebug\fR or \fIinfo,bmc_ipmi=trace\fR.
.SH FILES
.TP
\fI./polybmc.toml\fR, \fI/etc/polybmc/polybmc.toml\fR
The configuration that \fBserve\fR reads without \fB\-\-config\fR: the first that exists.
.TP
\fI/var/lib/polybmc\fR, \fI~/.local/state/polybmc\fR
State, of root and of other users. It holds passwords that IPMI needs as they are.
"#;

/// The manual: one page for the program and all its verbs.
fn manpage() -> Result<String> {
    let mut command = Cli::command();
    command.build();
    let mut roff = Vec::new();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(&mut roff)?;
    page.render_name_section(&mut roff)?;
    page.render_synopsis_section(&mut roff)?;
    page.render_description_section(&mut roff)?;
    page.render_options_section(&mut roff)?;
    let not_help = |verb: &&clap::Command| verb.get_name() != "help";
    let verbs = command.get_subcommands().filter(not_help);
    for verb in verbs.flat_map(|verb| iter::once(verb).chain(verb.get_subcommands().filter(not_help))) {
        let page = clap_mangen::Man::new(verb.clone());
        let mut sections = Vec::new();
        page.render_synopsis_section(&mut sections)?;
        page.render_description_section(&mut sections)?;
        page.render_options_section(&mut sections)?;
        page.render_extra_section(&mut sections)?;
        let title = verb.get_bin_name().unwrap_or_else(|| verb.get_name());
        roff.extend(format!(".SH \"{}\"\n", title.to_uppercase()).bytes());
        // A verb's own sections are parts of the program's.
        roff.extend(
            String::from_utf8_lossy(&sections)
                .replace(".SH EXTRA", ".SS EXAMPLES")
                .replace(".SH ", ".SS ")
                .bytes(),
        );
    }
    roff.extend(MANUAL_END.bytes());
    page.render_extra_section(&mut roff)?;
    Ok(String::from_utf8_lossy(&roff).into_owned())
}
