//! The command line: one definition for parsing, help, completions and the manual page.

use std::net::SocketAddr;
use std::path::PathBuf;

use bmc_core::power::PowerPolicy;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::bench::BenchCommand;

mod machine;

pub(crate) use machine::{
    Boot, Console, Media, MediaVerb, Power, Screenshot, Sel, SelVerb, SystemInterface, SystemInterfaceVerb,
};

/// Every virtual machine gets a baseboard management controller: IPMI and Redfish over one truth.
#[derive(Debug, Parser)]
#[command(
    name = "polybmc",
    version,
    arg_required_else_help = true,
    after_help = "\
Begin here:
  polybmc serve --sim 3 &      three simulated machines, BMCs and all
  polybmc list                 where they answer
  polybmc power node-0 on
  ipmitool -I lanplus -H 127.0.0.1 -p 6230 -U admin -P password power status

Exit status: 0 done, 1 failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    /// The daemon's control socket [default: $POLYBMC_CONTROL, else /run/polybmc.sock as root, else
    /// $XDG_RUNTIME_DIR/polybmc.sock, else in the default state folder]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the daemon in the foreground; logs go to stderr
    #[command(after_help = "\
Example: polybmc serve --config lab.toml
         polybmc serve --sim 5 --state-dir /tmp/lab

Without --config it reads ./polybmc.toml, else /etc/polybmc/polybmc.toml, else
it starts three simulated machines. SIGHUP applies a changed file, SIGTERM and
SIGINT end it. POLYBMC_LOG=debug says more.")]
    Serve(Serve),
    /// Add a BMC at run time; it is kept across restarts
    #[command(after_help = "\
Example: polybmc add web1 --backend qemu:///system --machine web1
         polybmc add spare --ipmi 127.0.0.1:7000 --password-file ./secret")]
    Add(Add),
    /// Change a BMC
    #[command(
        override_usage = "polybmc set [OPTIONS] <NAME>",
        after_help = "\
Example: polybmc set web1 --ipmi 127.0.0.1:7001
         polybmc set web1 --username root --password-file ./secret"
    )]
    Set(Set),
    /// Remove a BMC; its machine is left alone
    #[command(after_help = "Example: polybmc remove web1")]
    Remove(Remove),
    /// Let a stopped BMC answer again
    #[command(after_help = "Example: polybmc start web1")]
    Start(Named),
    /// Close a BMC's endpoints until it is started; its machine is left alone
    #[command(after_help = "Example: polybmc stop web1")]
    Stop(Named),
    /// List the BMCs
    #[command(visible_alias = "ls", after_help = "Example: polybmc list -o json")]
    List(List),
    /// List the hypervisors, and how they are reached
    #[command(after_help = "Example: polybmc hypervisors -o json")]
    Hypervisors(List),
    /// Show one BMC
    #[command(after_help = "Example: polybmc show node-0")]
    Show(Show),
    /// Switch a machine, or read its power
    #[command(after_help = "\
Example: polybmc power node-0 on
         polybmc power node-0 status -o json")]
    Power(Power),
    /// Show or set what a machine boots from
    #[command(after_help = "\
Example: polybmc boot node-0 pxe
         polybmc boot node-0 disk --device vdb
         polybmc boot node-0 http --uri http://192.0.2.1/boot.efi --persistent
         polybmc boot node-0 show")]
    Boot(Boot),
    /// Show, insert or eject virtual media
    #[command(after_help = "\
Example: polybmc media node-0 insert http://192.0.2.1/live.iso
         polybmc media node-0 insert file:///srv/images/config.img --drive usb
         polybmc media node-0 eject
         polybmc media node-0 -o json

Inserting neither starts the machine nor changes what it boots from.")]
    Media(Media),
    /// Show or clear a machine's event log
    #[command(after_help = "\
Example: polybmc sel node-0 list
         polybmc sel node-0 list -o json
         polybmc sel node-0 clear")]
    Sel(Sel),
    /// Show, add or remove a machine's own way to its BMC: /dev/ipmi0 in its guest
    #[command(after_help = "\
Example: polybmc system-interface web1 add
         polybmc system-interface web1 show -o json
         polybmc system-interface web1 remove

Adding opens a socket and puts an IPMI device into the domain's definition; the
guest has it from the machine's next start on. For a simulated machine the
socket is opened, and what QEMU has to be told is shown.")]
    SystemInterface(SystemInterface),
    /// Attach to a machine's serial console
    #[command(after_help = "\
Example: polybmc console node-0

Shows what was printed before, then what comes. At the beginning of a line:
~. leaves, ~B sends a break, ~? lists these, ~~ types ~.")]
    Console(Console),
    /// Save what a machine's screen shows as a PNG picture
    #[command(after_help = "\
Example: polybmc screenshot node-0 screen.png
         polybmc screenshot node-0 - | display

A file that is there already is replaced. `-` is stdout.")]
    Screenshot(Screenshot),
    /// Show what a machine's sensors read
    #[command(after_help = "\
Example: polybmc sensors node-0
         polybmc sensors node-0 -o json")]
    Sensors(Show),
    /// Print what happens on all BMCs, one line each
    #[command(after_help = "\
Example: polybmc events --follow
         polybmc events --after 120 -o json")]
    Events(Events),
    /// Apply a changed configuration file, as SIGHUP does
    #[command(after_help = "Example: polybmc reload")]
    Reload(Reload),
    /// Check this host, and say how to mend what is wrong
    #[command(after_help = "\
Example: polybmc doctor
         polybmc doctor --config lab.toml -o json

Each check is one line: OK, WARN or FAIL with its mend. Exit status 1 when
anything fails.")]
    Doctor(Doctor),
    /// Put load on any BMC, ours or not, and measure it
    #[command(
        subcommand,
        after_help = "\
Example: polybmc bench ipmi --target 127.0.0.1:6230 --sessions 8 --duration 5
         polybmc bench redfish --url https://127.0.0.1:8100 --insecure

Exit status 1 when the target is dead, refuses the login, or fails on the way."
    )]
    Bench(BenchCommand),
    /// Print a shell's completions
    #[command(after_help = "\
Example: polybmc completions bash > /etc/bash_completion.d/polybmc
         polybmc completions zsh > ~/.zfunc/_polybmc
         polybmc completions fish > ~/.config/fish/completions/polybmc.fish")]
    Completions(Completions),
    /// Print the manual page
    #[command(after_help = "Example: polybmc manpage | man -l -")]
    Manpage,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Start N simulated machines node-0 to node-(N-1) beside those of the configuration; 0 for none
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(SIM_MAX)))]
    pub(crate) sim: Option<u32>,
    /// Where state is kept [default: /var/lib/polybmc as root, else ~/.local/state/polybmc]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Most simulated machines of `--sim`.
pub(crate) const SIM_MAX: u32 = 100_000;

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to call the BMC
    pub(crate) name: String,
    /// sim, a backend of the configuration, or a libvirt URI
    #[arg(long, value_name = "sim|URI")]
    pub(crate) backend: Option<String>,
    /// The machine's name or UUID [default: the BMC's name]
    #[arg(long, value_name = "DOMAIN|UUID")]
    pub(crate) machine: Option<String>,
    /// The IPMI endpoint [default: the next free one]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) ipmi: Option<SocketAddr>,
    /// The Redfish endpoint [default: the next free one]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) redfish: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) account: Account,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Account {
    /// The administrator's name
    #[arg(long, value_name = "U")]
    pub(crate) username: Option<String>,
    /// The administrator's password; other users of this host can see it in the process list
    #[arg(long, value_name = "P", conflicts_with = "password_file")]
    pub(crate) password: Option<String>,
    /// A file with the password on its first line, or - for stdin
    #[arg(long, value_name = "F")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The BMC
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) change: SetChange,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SetChange {
    /// The IPMI endpoint
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) ipmi: Option<SocketAddr>,
    /// The Redfish endpoint
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) redfish: Option<SocketAddr>,
    /// The administrator's name
    #[arg(long, value_name = "U")]
    pub(crate) username: Option<String>,
    /// The administrator's password; other users of this host can see it in the process list
    #[arg(long, value_name = "P", conflicts_with = "password_file")]
    pub(crate) password: Option<String>,
    /// A file with the password on its first line, or - for stdin
    #[arg(long, value_name = "F")]
    pub(crate) password_file: Option<PathBuf>,
    /// What happens when mains power returns
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) power_policy: Option<Policy>,
    /// The asset tag
    #[arg(long, value_name = "TAG")]
    pub(crate) asset_tag: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Policy {
    AlwaysOff,
    Previous,
    AlwaysOn,
}

impl From<Policy> for PowerPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::AlwaysOff => Self::AlwaysOff,
            Policy::Previous => Self::Previous,
            Policy::AlwaysOn => Self::AlwaysOn,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The BMC
    pub(crate) name: String,
    /// Keep its boot override, accounts and identity for a later BMC of the same name
    #[arg(long)]
    pub(crate) keep_state: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The BMC
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The BMC's name, its machine's UUID, or its machine's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on with what happens from now on
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only events with an id above this one
    #[arg(long, value_name = "ID", default_value_t = 0)]
    pub(crate) after: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Check for this configuration [default: the one that serve would read]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Check this state folder
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Output {
    /// For people or for programs
    #[arg(
        id = "output",
        long = "output",
        short = 'o',
        value_enum,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[cfg(test)]
mod tests;
