//! Checks of what every daemon needs, with or without libvirt.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};

use super::{Finding, Host, Status};

/// How many ports from the first on are looked at: those of a daemon that nobody configured.
const PORTS_LOOKED_AT: u16 = 3;
/// Descriptors beside those of BMCs: clients, the store, the runtime.
const DESCRIPTORS_BESIDE: u64 = 256;
/// Descriptors of one BMC: its two sockets, and a client on each.
const DESCRIPTORS_PER_BMC: u64 = 4;

/// Whether the control socket can be had, or a daemon has it.
pub(super) fn control(host: &Host) -> (Finding, bool) {
    const CHECK: &str = "control";
    let path = host.control.as_path();
    let shown = path.display();
    if UnixStream::connect(path).is_ok() {
        return (Finding::ok(CHECK, format!("a daemon answers on {shown}")), true);
    }
    let finding = match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Finding::bad(
            CHECK,
            Status::Fail,
            format!("{shown} is not a socket"),
            "move it away, or choose another path with --control",
        ),
        Ok(_) if access(path, Access::WRITE_OK).is_err() => Finding::bad(
            CHECK,
            Status::Fail,
            format!("{shown} belongs to another user"),
            "run polybmc as that user or with sudo, or choose another path with --control",
        ),
        Ok(_) => {
            Finding::ok(CHECK, format!("{shown} is left from a daemon that died; the next one replaces it"))
        }
        Err(_) => match writable_ancestor(
            path.parent().unwrap_or(Path::new("/")),
            path.starts_with(&host.state_dir),
        ) {
            Ok(()) => Finding::ok(CHECK, format!("{shown} is free; no daemon runs")),
            Err(reason) => Finding::bad(
                CHECK,
                Status::Fail,
                format!("{shown} cannot be made: {reason}"),
                "choose another path with --control or POLYBMC_CONTROL",
            ),
        },
    };
    (finding, false)
}

/// Whether something can be made in a folder; with `may_make`, one that will be made with its parents.
fn writable_ancestor(folder: &Path, may_make: bool) -> Result<(), String> {
    let found = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    if found != folder && !may_make {
        return Err(format!("the folder {} does not exist", folder.display()));
    }
    if !found.is_dir() {
        return Err(format!("{} is not a folder", found.display()));
    }
    let writable = access(found, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if writable { Ok(()) } else { Err(format!("{} is not yours to write in", found.display())) }
}

/// Whether state can be kept, and kept private.
pub(super) fn state_dir(host: &Host) -> Finding {
    const CHECK: &str = "state";
    let dir = host.state_dir.as_path();
    let shown = dir.display();
    if let Err(reason) = writable_ancestor(dir, true) {
        let mend = "give it to your user (sudo chown), or choose another with --state-dir";
        return Finding::bad(CHECK, Status::Fail, format!("{shown} cannot be used: {reason}"), mend);
    }
    match std::fs::metadata(dir) {
        Err(_) => Finding::ok(CHECK, format!("{shown} will be made")),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Finding::bad(
            CHECK,
            Status::Warn,
            format!("others may look into {shown}, which holds passwords"),
            format!("chmod 0700 {shown}"),
        ),
        Ok(_) => Finding::ok(CHECK, format!("{shown} is private and can be written")),
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Udp,
    Tcp,
}

fn bind(protocol: Protocol, address: SocketAddr) -> std::io::Result<()> {
    match protocol {
        Protocol::Udp => UdpSocket::bind(address).map(drop),
        Protocol::Tcp => TcpListener::bind(address).map(drop),
    }
}

/// Whether the ports are free: those of the file must be, of the others the next free ones are taken.
pub(super) fn ports(host: &Host, daemon_runs: bool) -> Vec<Finding> {
    const CHECK: &str = "ports";
    if daemon_runs {
        return vec![Finding::ok(CHECK, "not looked at: the daemon that runs has its ports")];
    }
    let places = &host.config.defaults.places;
    let first_ones = |first: u16, protocol: Protocol| {
        let ports = first..first.saturating_add(PORTS_LOOKED_AT);
        ports.map(move |port| (SocketAddr::new(places.address.value, port), protocol))
    };
    let mut looked_at: Vec<(SocketAddr, Protocol, Status)> = Vec::new();
    let aggregate = host.config.aggregate.listen;
    looked_at.extend(aggregate.map(|listen| {
        (listen.value, Protocol::Tcp, if listen.line == 0 { Status::Warn } else { Status::Fail })
    }));
    for bmc in &host.config.bmcs {
        looked_at.extend(bmc.ipmi.map(|at| (at.value, Protocol::Udp, Status::Fail)));
        looked_at.extend(bmc.redfish.map(|at| (at.value, Protocol::Tcp, Status::Fail)));
    }
    if places.pool.is_none() {
        let automatic =
            first_ones(places.ipmi_port, Protocol::Udp).chain(first_ones(places.redfish_port, Protocol::Tcp));
        let automatic: Vec<_> = automatic.map(|(at, protocol)| (at, protocol, Status::Warn)).collect();
        looked_at.extend(automatic);
    }
    let count = looked_at.len();
    let refused = looked_at.into_iter().filter_map(|(at, protocol, status)| {
        let error = bind(protocol, at).err()?;
        let (name, list) = match protocol {
            Protocol::Udp => ("UDP", "ss -lunp"),
            Protocol::Tcp => ("TCP", "ss -ltnp"),
        };
        let mend = match (error.kind(), status) {
            (std::io::ErrorKind::PermissionDenied, _) => {
                "grant the right (AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit), or use ports above 1023".to_owned()
            }
            (std::io::ErrorKind::AddrNotAvailable, _) => "give the address to an interface of this host, or choose another".to_owned(),
            (_, Status::Fail) => format!("choose another in the configuration, or stop who has it (`{list}` tells)"),
            _ => format!("nothing, if the next free one will do; `{list}` tells who has it"),
        };
        Some(Finding::bad(CHECK, status, format!("{name} {at}: {error}"), mend))
    });
    let refused: Vec<Finding> = refused.collect();
    if refused.is_empty() {
        vec![Finding::ok(CHECK, format!("{count} looked at, all free"))]
    } else {
        refused
    }
}

/// Whether there are descriptors enough.
pub(super) fn descriptors(host: &Host) -> Finding {
    const CHECK: &str = "descriptors";
    let bmcs = host.config.bmcs.len() as u64;
    let needed = bmcs * DESCRIPTORS_PER_BMC + DESCRIPTORS_BESIDE;
    // The daemon raises its soft limit to the hard one.
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < needed => Finding::bad(
            CHECK,
            Status::Fail,
            format!("at most {limit} open files; {bmcs} BMCs need about {needed}"),
            format!(
                "raise the hard limit: LimitNOFILE={needed} in the unit, or `ulimit -Hn {needed}` as root"
            ),
        ),
        Some(limit) => {
            let room = limit.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_PER_BMC;
            Finding::ok(CHECK, format!("{limit} open files: room for about {room} BMCs"))
        }
        None => Finding::ok(CHECK, "no limit of open files"),
    }
}

/// Whether the usual clients are there.
pub(super) fn tools() -> Vec<Finding> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    [("ipmitool", "to try IPMI"), ("curl", "to try Redfish")]
        .map(|(tool, why)| self::tool(&folders, tool, why))
        .into()
}

pub(super) fn tool(folders: &[PathBuf], tool: &'static str, why: &str) -> Finding {
    let found =
        folders.iter().map(|folder| folder.join(tool)).find(|file| access(file, Access::EXEC_OK).is_ok());
    match found {
        Some(file) => Finding::ok(tool, file.display().to_string()),
        None => Finding::bad(
            tool,
            Status::Warn,
            format!("not found; it is not needed, only handy {why}"),
            format!("install it, for instance: sudo apt-get install {tool}"),
        ),
    }
}
