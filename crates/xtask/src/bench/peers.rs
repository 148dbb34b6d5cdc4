//! What is measured, and how each is started: on free loopback ports, with a folder of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::fresh_folder;
use crate::{setup, shell};

/// How long a target may take to end by itself before it is killed.
const END_LIMIT: Duration = Duration::from_secs(10);
const END_POLL: Duration = Duration::from_millis(50);
/// How much of what a target said goes into an error.
const LAST_WORDS: usize = 2000;

/// One target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    PolybmcSim,
    PolybmcLibvirt,
    PolybmcFleet,
    IpmiSim,
    VirtualBmc,
    SushyLibvirt,
    SushyFake,
}

/// Who is measured over IPMI, with which suite: polybmc with each that it has, the default one first. Suite 3 is the only one that all
/// have. The others are compared with the last.
pub(super) const IPMI: &[(Peer, &str)] = &[
    (Peer::PolybmcSim, "17"),
    (Peer::PolybmcSim, "16"),
    (Peer::PolybmcSim, "15"),
    (Peer::PolybmcSim, "12"),
    (Peer::PolybmcSim, "11"),
    (Peer::PolybmcSim, "8"),
    (Peer::PolybmcSim, "7"),
    (Peer::PolybmcSim, "6"),
    (Peer::PolybmcSim, "3"),
    (Peer::PolybmcSim, "2"),
    (Peer::PolybmcSim, "1"),
    (Peer::PolybmcSim, "0"),
    (Peer::PolybmcLibvirt, "3"),
    (Peer::IpmiSim, "3"),
    (Peer::VirtualBmc, "3"),
];

/// Who is measured over Redfish. The others are compared with the last.
pub(super) const REDFISH: &[Peer] =
    &[Peer::PolybmcSim, Peer::PolybmcLibvirt, Peer::SushyFake, Peer::SushyLibvirt];

/// How many machines the fleet has whose root is measured.
pub(super) const FLEET_MACHINES: u32 = 1000;
/// What the references to so many members take: each carries a UUID.
pub(super) const FLEET_COLLECTION_BYTES: u64 = FLEET_MACHINES as u64
    * r#"{"@odata.id":"/redfish/v1/Systems/00000000-0000-0000-0000-000000000000"},"#.len() as u64;
/// What is asked of it: the load generator's scenarios, and how the table calls them.
pub(super) const FLEET_SCENARIOS: &[(&str, &str)] = &[
    ("system", "GET of a System"),
    ("collection", "GET of the collection"),
    ("expand", "GET of the collection, `$expand`ed"),
    ("patch", "PATCH of a System"),
    ("login", "login"),
];

impl Peer {
    /// As it is called in the tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PolybmcSim => "polybmc, simulator",
            Self::PolybmcLibvirt => "polybmc, libvirt `test:///default`",
            Self::PolybmcFleet => "polybmc, simulator, 1,000 machines",
            Self::IpmiSim => "OpenIPMI `ipmi_sim`",
            Self::VirtualBmc => "VirtualBMC, libvirt `test:///default`",
            Self::SushyLibvirt => "sushy-emulator, libvirt `test:///default`",
            Self::SushyFake => "sushy-emulator `--fake`",
        }
    }

    /// Its folder's name.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::PolybmcSim => "polybmc-sim",
            Self::PolybmcLibvirt => "polybmc-libvirt",
            Self::PolybmcFleet => "polybmc-fleet",
            Self::IpmiSim => "ipmi-sim",
            Self::VirtualBmc => "virtualbmc",
            Self::SushyLibvirt => "sushy-libvirt",
            Self::SushyFake => "sushy-fake",
        }
    }

    /// How it wants to be asked over Redfish: sushy-emulator knows no users unless it is given a file of them.
    pub(super) const fn redfish_auth(self) -> &'static str {
        match self {
            Self::SushyLibvirt | Self::SushyFake => "none",
            _ => "basic",
        }
    }
}

/// A target that was started; ends when dropped.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
    pub ipmi: SocketAddr,
    pub redfish: String,
}

impl Running {
    /// The end of what it said.
    pub(super) fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let text =
            String::from_utf8_lossy(said.get(said.len().saturating_sub(LAST_WORDS)..).unwrap_or_default());
        format!("{} says:\n{}", self.log.display(), text.trim_end())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first: VirtualBMC has a child for each BMC and ends them only when it may.
        let mut ask = shell::command("kill");
        let asked = ask.args(["-s", "TERM", &self.child.id().to_string()]).status();
        let started = Instant::now();
        while asked.is_ok() && started.elapsed() < END_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(END_POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a target, with its files in `dir`, which is emptied first.
pub(super) fn start(peer: Peer, polybmc: &Path, dir: &Path) -> Result<Running> {
    fresh_folder(dir)?;
    let ipmi = free_udp()?;
    let tcp = free_tcp()?;
    let mut command = match peer {
        Peer::PolybmcSim => polybmc_daemon(polybmc, dir, ipmi, tcp, "sim", "node-0")?,
        Peer::PolybmcLibvirt => polybmc_daemon(polybmc, dir, ipmi, tcp, "test:///default", "test")?,
        Peer::PolybmcFleet => polybmc_fleet(polybmc, dir, tcp)?,
        Peer::IpmiSim => ipmi_sim(dir, ipmi)?,
        Peer::VirtualBmc => virtualbmc(dir, ipmi, tcp)?,
        Peer::SushyLibvirt => sushy(tcp, &["--libvirt-uri", "test:///default"]),
        Peer::SushyFake => sushy(tcp, &["--fake"]),
    };
    let log = dir.join("log");
    let said = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    command.current_dir(dir).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    let child = command.spawn().with_context(|| format!("cannot start `{}`", shell::describe(&command)))?;
    let scheme = if matches!(peer, Peer::SushyLibvirt | Peer::SushyFake) { "http" } else { "https" };
    Ok(Running { child, log, ipmi, redfish: format!("{scheme}://{tcp}") })
}

fn free_udp() -> Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free UDP port")?;
    Ok(socket.local_addr()?)
}

fn free_tcp() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port")?;
    Ok(listener.local_addr()?)
}

fn polybmc_daemon(
    binary: &Path,
    dir: &Path,
    ipmi: SocketAddr,
    redfish: SocketAddr,
    backend: &str,
    machine: &str,
) -> Result<Command> {
    let text = format!(
        "[daemon]\nlog = \"warn\"\n[redfish]\nenabled = false\n\
         [[bmc]]\nname = \"bench\"\nbackend = \"{backend}\"\nmachine = \"{machine}\"\n\
         ipmi = \"{ipmi}\"\nredfish = \"{redfish}\"\n\
         cipher_suites = [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17]\n"
    );
    serve(binary, dir, &text)
}

/// A daemon with many machines, each with an address of its own, and a root over all of them.
fn polybmc_fleet(binary: &Path, dir: &Path, root: SocketAddr) -> Result<Command> {
    let text = format!(
        "[daemon]\nlog = \"warn\"\n[redfish]\nlisten = \"{root}\"\n\
         [[fleet]]\nname = \"bench-{{n}}\"\nmachine = \"node-{{n}}\"\nbackend = \"sim\"\ncount = {FLEET_MACHINES}\n\
         pool = \"127.77.0.0/16\"\nipmi_port = 6230\nredfish_port = 8100\n"
    );
    serve(binary, dir, &text)
}

fn serve(binary: &Path, dir: &Path, text: &str) -> Result<Command> {
    let config = dir.join("polybmc.toml");
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = shell::command(binary);
    command.arg("--control").arg(dir.join("control.sock")).arg("serve").arg("--config").arg(config);
    command.arg("--state-dir").arg(dir.join("state"));
    Ok(command)
}

fn ipmi_sim(dir: &Path, ipmi: SocketAddr) -> Result<Command> {
    let all = "none md2 md5 straight";
    let lan = format!(
        "name \"bench\"\nset_working_mc 0x20\n\
         startlan 1\n addr {} {}\n priv_limit admin\n allowed_auths_admin {all}\n\
         guid a123456789abcdefa123456789abcdef\nendlan\n\
         user 2 true \"admin\" \"password\" admin 10 {all}\n",
        ipmi.ip(),
        ipmi.port()
    );
    let emulation = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n";
    fs::write(dir.join("lan.conf"), lan)?;
    fs::write(dir.join("bench.emu"), emulation)?;
    let mut command = shell::command("ipmi_sim");
    command.args(["--nostdio", "--nopersist", "-c", "lan.conf", "-f", "bench.emu", "-s"]).arg(dir);
    Ok(command)
}

fn virtualbmc(dir: &Path, ipmi: SocketAddr, control: SocketAddr) -> Result<Command> {
    let bmcs = dir.join("bmcs");
    fs::create_dir_all(bmcs.join("test"))?;
    // What `vbmc add` and `vbmc start` leave behind; the daemon starts what is marked active.
    let bmc = format!(
        "[VirtualBMC]\nusername = admin\npassword = password\naddress = {}\nport = {}\ndomain_name = test\n\
         libvirt_uri = test:///default\nactive = True\n",
        ipmi.ip(),
        ipmi.port()
    );
    fs::write(bmcs.join("test/config"), bmc)?;
    let config = dir.join("virtualbmc.conf");
    let text = format!(
        "[default]\nconfig_dir = {}\npid_file = {}\nserver_port = {}\n",
        bmcs.display(),
        dir.join("pid").display(),
        control.port()
    );
    fs::write(&config, text)?;
    let mut command = python("vbmcd");
    command.arg("--foreground").env("VIRTUALBMC_CONFIG", config);
    Ok(command)
}

fn sushy(listen: SocketAddr, more: &[&str]) -> Command {
    let mut command = python("sushy-emulator");
    command.args(["-i", &listen.ip().to_string(), "-p", &listen.port().to_string()]).args(more);
    command
}

fn python(program: &str) -> Command {
    let mut command = shell::command(setup::python::venv().join("bin").join(program));
    // What the user's own Python set-up says must not reach the pinned one.
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command
}
