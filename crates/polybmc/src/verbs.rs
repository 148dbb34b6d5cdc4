//! The verbs that ask a running daemon.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use bmc_control::types::{AddBmc, BmcDetail, InsertImage, Origin, SetBmc, SetBoot};
use bmc_control::{Client, ClientError};
use bmc_core::account::Secret;
use bmc_core::system_interface::SystemInterfaceKind;

use crate::cli::{
    Add, Boot, Events, Format, Media, MediaVerb, Output, Power, Remove, Screenshot, Sel, SelVerb, Set,
    SystemInterface, SystemInterfaceVerb, Verb,
};
use crate::config::{first_line, read_password};
use crate::output;

/// Runs one of them.
///
/// # Errors
/// What the daemon says, or that there is none.
pub(crate) async fn run(client: &Client, verb: Verb) -> Result<()> {
    match verb {
        Verb::List(list) => {
            let bmcs = client.list().await?;
            print(list.output, &bmcs, |bmcs| output::list(bmcs))
        }
        Verb::Hypervisors(list) => {
            let version = client.version().await?;
            print(list.output, &version.hypervisors, |hypervisors| output::hypervisors(hypervisors))
        }
        Verb::Show(show) => {
            let bmc = client.show(&show.name).await?;
            print(show.output, &bmc, output::show)
        }
        Verb::Add(new) => add(client, new).await,
        Verb::Set(change) => set(client, change).await,
        Verb::Remove(Remove { name, keep_state }) => {
            let origin = client.show(&name).await?.summary.origin;
            client.remove(&name, keep_state).await?;
            let returns = match origin {
                Origin::Sim => "; it belongs to `serve --sim` and comes back when the daemon starts again",
                Origin::File | Origin::Added | Origin::Discovered => "",
            };
            say(&format!("{name} removed{returns}\n"))
        }
        Verb::Start(named) => {
            let bmc = client.start(&named.name).await?;
            say(&format!("{}\n", whereabouts(&bmc)))
        }
        Verb::Stop(named) => {
            let bmc = client.stop(&named.name).await?;
            say(&format!("{} stopped\n", bmc.summary.name))
        }
        Verb::Power(verb) => power(client, verb).await,
        Verb::Boot(verb) => boot(client, verb).await,
        Verb::Media(verb) => media(client, verb).await,
        Verb::Sel(verb) => sel(client, verb).await,
        Verb::SystemInterface(verb) => system_interface(client, verb).await,
        Verb::Console(verb) => crate::console::run(client, verb).await,
        Verb::Screenshot(verb) => screenshot(client, &verb).await,
        Verb::Sensors(show) => {
            let sensors = client.sensors(&show.name).await?;
            print(show.output, &sensors, |sensors| output::sensors(sensors))
        }
        Verb::Events(verb) => events(client, verb).await,
        Verb::Reload(reload) => {
            let report = client.reload().await?;
            print(reload.output, &report, output::reload)?;
            anyhow::ensure!(report.failed.is_empty(), "not everything could be applied");
            Ok(())
        }
        // Those that need no daemon are run elsewhere.
        Verb::Serve(_) | Verb::Bench(_) | Verb::Doctor(_) | Verb::Completions(_) | Verb::Manpage => Ok(()),
    }
}

fn say(text: &str) -> Result<()> {
    output::print(text).context("cannot write to stdout")
}

fn print<T: serde::Serialize>(output: Output, value: &T, table: impl FnOnce(&T) -> String) -> Result<()> {
    match output.format {
        Format::Table => say(&table(value)),
        Format::Json => say(&output::json(value)?),
    }
}

fn whereabouts(bmc: &BmcDetail) -> String {
    let summary = &bmc.summary;
    let off = || "off".to_owned();
    let ipmi = summary.ipmi.clone().unwrap_or_else(off);
    let redfish = summary.redfish.clone().unwrap_or_else(off);
    let problem = summary.problem.as_ref().map(|problem| format!("\nbut: {problem}")).unwrap_or_default();
    format!("{} serves: ipmi {ipmi}, redfish {redfish}{problem}", summary.name)
}

/// The password as given: itself, or the first line of a file or of stdin.
fn password(given: Option<String>, file: Option<&Path>) -> Result<Option<Secret>> {
    match (given, file) {
        (Some(password), _) => Ok(Some(Secret::new(password))),
        (None, Some(file)) if file == Path::new("-") => {
            first_line(std::io::stdin()).context("cannot read the password from stdin").map(Some)
        }
        (None, Some(file)) => {
            let read = read_password(file);
            read.with_context(|| format!("cannot read the password file {}", file.display())).map(Some)
        }
        (None, None) => Ok(None),
    }
}

async fn add(client: &Client, new: Add) -> Result<()> {
    let password = password(new.account.password, new.account.password_file.as_deref())?;
    let bmc = AddBmc {
        name: new.name,
        backend: new.backend,
        machine: new.machine,
        ipmi: new.ipmi,
        redfish: new.redfish,
        username: new.account.username,
        password,
    };
    let bmc = client.add(&bmc).await?;
    print(new.output, &bmc, |bmc| whereabouts(bmc) + "\n")
}

async fn set(client: &Client, set: Set) -> Result<()> {
    let change = set.change;
    let password = password(change.password, change.password_file.as_deref())?;
    let change = SetBmc {
        ipmi: change.ipmi,
        redfish: change.redfish,
        username: change.username,
        password,
        power_policy: change.power_policy.map(Into::into),
        asset_tag: change.asset_tag,
    };
    let bmc = client.set(&set.name, &change).await?;
    print(set.output, &bmc, |bmc| format!("{} changed\n", bmc.summary.name))
}

async fn power(client: &Client, verb: Power) -> Result<()> {
    use bmc_control::types::PowerOutcome;
    let Some(action) = verb.action.action() else {
        let view = client.power(&verb.name).await?;
        let fault = if view.power_fault { " (the last operation failed)" } else { "" };
        return print(verb.output, &view, |view| format!("{}{fault}\n", view.power.as_str()));
    };
    let reply = client.set_power(&verb.name, action).await?;
    print(verb.output, &reply, |reply| {
        let outcome = match reply.outcome {
            PowerOutcome::Done => "done",
            PowerOutcome::NothingToDo => "nothing to do",
            PowerOutcome::Joined => "already under way",
            PowerOutcome::Accepted => "accepted; `polybmc events` tells how it ends",
        };
        format!("{} {}: {outcome}; power {}\n", reply.name, reply.action.as_str(), reply.power.as_str())
    })
}

async fn boot(client: &Client, verb: Boot) -> Result<()> {
    let view = match verb.target.target() {
        None => client.boot(&verb.name).await?,
        Some(target) => {
            let uefi = match (verb.uefi, verb.legacy) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            };
            let (uri, device) = (verb.uri, verb.device);
            let boot = SetBoot { target, persistent: verb.persistent, uefi, uri, device };
            client.set_boot(&verb.name, &boot).await?
        }
    };
    print(verb.output, &view, |view| output::boot(view) + "\n")
}

async fn media(client: &Client, Media { name, output, verb }: Media) -> Result<()> {
    let verb = verb.unwrap_or(MediaVerb::Show { output });
    let (drives, output) = match verb {
        MediaVerb::Show { output } => (client.media(&name).await?, output),
        MediaVerb::Eject { drive, output } => (client.eject(&name, drive.slot()).await?, output),
        MediaVerb::Insert { url, drive, username, password, password_file, writable, output } => {
            let password = self::password(password, password_file.as_deref())?;
            let image = InsertImage { image: url, username, password, writable };
            (client.insert(&name, drive.slot(), &image).await?, output)
        }
    };
    print(output, &drives, |drives| output::media(drives))
}

async fn screenshot(client: &Client, verb: &Screenshot) -> Result<()> {
    let to_stdout = verb.file == Path::new("-");
    anyhow::ensure!(
        !to_stdout || !std::io::stdout().is_terminal(),
        "a terminal cannot show a picture; name a file, or send the output elsewhere"
    );
    let picture = client.screenshot(&verb.name).await?;
    if to_stdout {
        return output::print_bytes(&picture).context("cannot write to stdout");
    }
    std::fs::write(&verb.file, &picture).with_context(|| format!("cannot write {}", verb.file.display()))
}

async fn sel(client: &Client, verb: Sel) -> Result<()> {
    match verb.verb {
        SelVerb::List => print(verb.output, &client.sel(&verb.name).await?, output::sel),
        SelVerb::Clear => {
            client.clear_sel(&verb.name).await?;
            print(verb.output, &client.sel(&verb.name).await?, |_| {
                format!("{}: event log cleared\n", verb.name)
            })
        }
    }
}

async fn system_interface(client: &Client, verb: SystemInterface) -> Result<()> {
    let view = match verb.verb {
        SystemInterfaceVerb::Show => client.system_interface(&verb.name).await?,
        SystemInterfaceVerb::Add => {
            let kind = if verb.bt { SystemInterfaceKind::Bt } else { SystemInterfaceKind::Kcs };
            client.set_system_interface(&verb.name, Some(kind)).await?
        }
        SystemInterfaceVerb::Remove => client.set_system_interface(&verb.name, None).await?,
    };
    print(verb.output, &view, output::system_interface)
}

async fn events(client: &Client, verb: Events) -> Result<()> {
    let mut events = client.events(verb.after, verb.follow).await?;
    while let Some(event) = events.next().await? {
        let line = match verb.output.format {
            Format::Table => output::event(&event),
            Format::Json => serde_json::to_string(&event)?,
        };
        if !output::print_line(&line).context("cannot write to stdout")? {
            return Ok(());
        }
    }
    if verb.follow {
        return Err(ClientError::Broken("it shut down".to_owned()).into());
    }
    Ok(())
}
