//! `polybmc serve`: from options to a running daemon, and signals until it ends.
//!
//! ```text
//!   configuration ─► state folder (locked) ─► control path (claimed) ─► endpoints bound ─► control socket answers ─► "ready"
//!                                                                       SIGHUP: reload   SIGTERM, SIGINT: end in order
//! ```

use std::fs::Permissions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bmc_control::{Admin as _, ControlSocket};
use bmc_core::clock::SystemClock;
use bmc_core::fleet::Fleet;
use bmc_core::settings::media::Medium;
use bmc_core::store::Store;
use bmc_media::{Limits, Spool};
use bmc_redfish::Tls;
use bmc_store::RedbStore;
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::backends::Backends;
use crate::cli::Serve;
use crate::config::{Config, TlsConfig};
use crate::daemon::{Daemon, Doors, Setup};
use crate::paths::Environment;

/// The environment variable that rules what is logged.
const LOG_VARIABLE: &str = "POLYBMC_LOG";
/// What is logged unless somebody says otherwise.
const LOG_DEFAULT: &str = "info";
/// Simulated machines of a daemon that nobody configured.
const SIM_DEFAULT: u32 = 3;
/// BMCs named one by one when the daemon is ready.
const ANNOUNCED_MAX: usize = 10;

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// Why it cannot start.
pub(crate) fn run(options: Serve, control: Option<PathBuf>, environment: &Environment) -> Result<()> {
    let file = options.config.or_else(Config::find_file);
    let config = match &file {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    start_logging(config.daemon.log.as_deref())?;
    raise_descriptor_limit();

    let state_dir = options.state_dir.or_else(|| config.daemon.state_dir.clone());
    let state_dir = state_dir.unwrap_or_else(|| environment.state_dir());
    let control = control.or_else(|| config.daemon.control.clone()).unwrap_or_else(|| environment.control());
    let sim = options.sim.unwrap_or(if file.is_some() { 0 } else { SIM_DEFAULT });
    let store = RedbStore::open(&state_dir).map_err(|error| anyhow::anyhow!("{error}"))?;
    let control = ControlSocket::claim(&control)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the async runtime")?.block_on(serve(
        config,
        sim,
        Arc::new(store),
        state_dir,
        control,
    ))
}

async fn serve(
    config: Config,
    sim: u32,
    store: Arc<dyn Store>,
    state_dir: PathBuf,
    control: ControlSocket,
) -> Result<()> {
    // From here on no signal ends the process before it has tidied up.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let tls = match &config.defaults.tls {
        TlsConfig::Auto => Tls::SelfSigned { dir: state_dir.join("tls") },
        TlsConfig::Off => Tls::Off,
        TlsConfig::Files { cert, key } => Tls::Files { cert: cert.clone(), key: key.clone() },
    };
    let fleet = Fleet::open(Arc::clone(&store), Arc::new(SystemClock)).await?;
    let held = fleet.stored_media().await?;
    let folder = config.media.dir.clone().unwrap_or_else(|| state_dir.join("media"));
    let spool = open_spool(&folder, &state_dir, config.media.limits.clone(), &held);
    let spool = spool.with_context(|| format!("cannot use {} for virtual media", folder.display()))?;
    fleet.set_media_library(Arc::new(spool));
    let backends = Backends::new(config.backends.clone(), Handle::current());
    let doors = Doors::new(&config.system_interface, control.path())?;
    let setup = Setup { config, sim, store, fleet, tls, state_dir, backends, doors };
    let daemon = tokio::select! {
        started = Daemon::start(setup) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let path = control.path().to_owned();
    let shutdown = CancellationToken::new();
    let answering = control.serve(Arc::clone(&daemon) as _, shutdown.clone())?;
    announce(&daemon, &path).await;

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                if let Err(error) = daemon.reload().await {
                    tracing::error!("the configuration could not be reloaded: {error}");
                }
            }
        }
    }
    tracing::info!("shutting down");
    shutdown.cancel();
    daemon.shut_down().await;
    answering.await.context("the control socket's task failed")
}

/// Opens the folder of images. Under root the hypervisor runs as another user, who has to get through the state folder to it; nobody gets to
/// read more than names they know.
fn open_spool(folder: &Path, state_dir: &Path, limits: Limits, held: &[Medium]) -> std::io::Result<Spool> {
    let spool = Spool::open(folder, limits, held)?;
    if geteuid().is_root() && folder.starts_with(state_dir) {
        let mode = std::fs::metadata(state_dir)?.permissions().mode();
        std::fs::set_permissions(state_dir, Permissions::from_mode(mode | 0o011))?;
    }
    Ok(spool)
}

/// Says on stderr, whatever the log's filter, that and where everything answers.
async fn announce(daemon: &Daemon, control: &Path) {
    let bmcs = daemon.list().await;
    let mut text = String::new();
    for bmc in bmcs.iter().take(ANNOUNCED_MAX) {
        let off = || bmc.state.as_str().to_owned();
        let ipmi = bmc.ipmi.clone().unwrap_or_else(off);
        let redfish = bmc.redfish.clone().unwrap_or_else(off);
        let problem = bmc.problem.as_ref().map(|problem| format!("; but: {problem}")).unwrap_or_default();
        text.push_str(&format!("  {}  ipmi {ipmi}  redfish {redfish}{problem}\n", bmc.name));
    }
    if bmcs.len() > ANNOUNCED_MAX {
        text.push_str(&format!("  and {} more: polybmc list\n", bmcs.len() - ANNOUNCED_MAX));
    }
    if let Some(url) = daemon.aggregate_url() {
        text.push_str(&format!("  all of them  redfish {url}\n"));
    }
    text.push_str(&format!("polybmc is ready: {} BMCs, control socket {}\n", bmcs.len(), control.display()));
    // A daemon whose stderr is closed still serves.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn start_logging(configured: Option<&str>) -> Result<()> {
    let from_environment = std::env::var(LOG_VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = from_environment.as_deref().or(configured).unwrap_or(LOG_DEFAULT);
    let filter: EnvFilter = filter.parse().with_context(|| {
        format!("{LOG_VARIABLE}={filter} is no filter; write for instance `info` or `polybmc=debug`")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

/// Each BMC has two sockets, and each client one more; the usual soft limit of 1024 is for programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
