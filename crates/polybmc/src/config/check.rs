//! What can only be seen in the configuration as a whole: names and endpoints twice, backends that do not exist, a password
//! everybody knows on an address everybody can reach.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bmc_core::account::Secret;

use super::nearest::nearest;
use super::reader::Notes;
use super::{ALLOW_DEFAULT_PASSWORD, BackendConfig, BmcConfig, Config, DEFAULT_PASSWORD, Located, SIM};

/// Longest name of a BMC in bytes, as of a host name's label.
pub(super) const NAME_MAX_BYTES: usize = 63;
/// What a name has to be, in words.
pub(crate) const NAME_RULE: &str =
    "has 1 to 63 letters, digits, dots, underscores and hyphens, and begins with a letter or digit";

/// Whether a text can name a BMC: it stands in URLs, in store keys and on command lines.
pub(crate) fn is_bmc_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.len() <= NAME_MAX_BYTES
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(inner)
}

/// How to mend a BMC that [`exposed`] finds.
pub(crate) const EXPOSED_MEND: &str =
    "give it another password, or addresses on 127.0.0.1, or see allow_default_password in docs/operating.md";

/// Whether a password keeps nobody out: the default one, or none at all.
fn is_known(password: &Secret) -> bool {
    ["", DEFAULT_PASSWORD].contains(&password.expose())
}

/// The address of a BMC that others can reach although everybody knows its password.
pub(crate) fn exposed(bmc: &BmcConfig, allowed: bool) -> Option<IpAddr> {
    if allowed || !is_known(&bmc.password) {
        return None;
    }
    let chosen = [&bmc.ipmi, &bmc.redfish].into_iter().flatten().map(|endpoint| endpoint.value.ip());
    let allocated = match &bmc.places.pool {
        Some(pool) => pool.value.hosts().next().map(IpAddr::V4),
        None => Some(bmc.places.address.value),
    };
    let allocated = allocated.filter(|_| bmc.ipmi.is_none() || bmc.redfish.is_none());
    chosen.chain(allocated).find(|address| !address.is_loopback())
}

pub(super) fn check(config: &Config, notes: &Notes<'_>) {
    names(config, notes);
    endpoints(config, notes);
    machines(config, notes);
    passwords(config, notes);
    open_doors(config, notes);
    let of_defaults = &config.defaults.backend;
    backend(config, &of_defaults.value, of_defaults.line, notes);
    // Those that have it from the defaults are not told again.
    for bmc in config.bmcs.iter().filter(|bmc| bmc.backend != of_defaults.value) {
        backend(config, &bmc.backend, bmc.line, notes);
    }
}

fn names(config: &Config, notes: &Notes<'_>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for bmc in &config.bmcs {
        if !is_bmc_name(&bmc.name) {
            notes.problem(bmc.line, format!("a BMC's name {NAME_RULE}, not `{}`", bmc.name));
        }
        if let Some(first) = seen.insert(&bmc.name, bmc.line) {
            notes.problem(bmc.line, format!("a BMC `{}` is declared already, on line {first}", bmc.name));
        }
    }
}

/// Two BMCs of one machine would tell two truths.
fn machines(config: &Config, notes: &Notes<'_>) {
    let mut seen: HashMap<(&str, &str), &BmcConfig> = HashMap::new();
    for bmc in &config.bmcs {
        if let Some(first) = seen.insert((&bmc.backend, &bmc.machine), bmc)
            && first.name != bmc.name
        {
            let message = format!(
                "the machine `{}` belongs to the BMC `{}` already (line {})",
                bmc.machine, first.name, first.line
            );
            notes.problem(bmc.line, message);
        }
    }
}

fn endpoints(config: &Config, notes: &Notes<'_>) {
    let mut udp: HashMap<SocketAddr, usize> = HashMap::new();
    let mut tcp: HashMap<SocketAddr, usize> = HashMap::new();
    let aggregate = config.aggregate.listen.iter().map(|listen| ("listen", listen, false));
    let of_bmcs = config.bmcs.iter().flat_map(|bmc| {
        let ipmi = bmc.ipmi.iter().map(|ipmi| ("ipmi", ipmi, true));
        ipmi.chain(bmc.redfish.iter().map(|redfish| ("redfish", redfish, false)))
    });
    for (key, endpoint, is_udp) in aggregate.chain(of_bmcs) {
        let seen = if is_udp { &mut udp } else { &mut tcp };
        let Some(first) = seen.insert(endpoint.value, endpoint.line) else { continue };
        // The root over all BMCs has a line only if the file gives it one.
        let (line, other) = if endpoint.line == 0 { (first, 0) } else { (endpoint.line, first) };
        let by =
            if other == 0 { "the Redfish root over all BMCs".to_owned() } else { format!("line {other}") };
        notes.problem(line, format!("`{key}`: {} is taken already, by {by}", endpoint.value));
    }
}

fn backend(config: &Config, name: &str, line: usize, notes: &Notes<'_>) {
    let wants_libvirt = match config.backends.get(name) {
        Some(BackendConfig::Sim(_)) => Some(false),
        Some(BackendConfig::Libvirt { .. }) => Some(true),
        None if name == SIM => Some(false),
        None => name.contains("://").then_some(true),
    };
    if let Some(wants_libvirt) = wants_libvirt {
        if wants_libvirt && !cfg!(feature = "libvirt") {
            notes.problem(line, format!("backend `{name}`: {}", crate::backends::NO_LIBVIRT));
        }
        return;
    }
    let known = config.backends.keys().map(String::as_str).chain([SIM]);
    let hint =
        nearest(name, known).map(|meant| format!("did you mean `{meant}`? Otherwise ")).unwrap_or_default();
    let message = format!(
        "no backend `{name}`; {hint}use `sim`, a libvirt URI such as `qemu:///system`, or add [backend.{name}]"
    );
    notes.problem(line, message);
}

fn passwords(config: &Config, notes: &Notes<'_>) {
    if config.defaults.allow_default_password {
        return;
    }
    let refuse = |line: usize, what: &str, table: &str| {
        notes.problem(
            line,
            format!(
                "{what} can be reached from other hosts with the password that everybody knows; set `password` in {table}, or \
                 listen on 127.0.0.1, or write in [defaults]: allow_default_password = \"{ALLOW_DEFAULT_PASSWORD}\""
            ),
        );
    };
    if let Some(listen) = &config.aggregate.listen
        && !listen.value.ip().is_loopback()
        && is_known(&config.aggregate.password)
    {
        refuse(listen.line, &listen.value.to_string(), "[redfish]");
    }
    for bmc in config.bmcs.iter().filter(|bmc| is_known(&bmc.password)) {
        let refused = |endpoint: &&Located<SocketAddr>| !endpoint.value.ip().is_loopback();
        for endpoint in [&bmc.ipmi, &bmc.redfish].into_iter().flatten().filter(refused) {
            refuse(endpoint.line, &endpoint.value.to_string(), "its [[bmc]]");
        }
        if bmc.ipmi.is_some() && bmc.redfish.is_some() {
            continue;
        }
        match &bmc.places.pool {
            Some(pool) if !pool.value.is_loopback() => {
                refuse(pool.line, "this pool", "[defaults] or its [[fleet]]")
            }
            None if !bmc.places.address.value.is_loopback() => {
                refuse(bmc.places.address.line, "this address", "[defaults] or its [[fleet]]");
            }
            _ => {}
        }
    }
}

/// What proves nothing is for loopback alone.
fn open_doors(config: &Config, notes: &Notes<'_>) {
    for bmc in &config.bmcs {
        let (line, address) = match (&bmc.ipmi, &bmc.places.pool) {
            (Some(ipmi), _) => (ipmi.line, Some(ipmi.value.ip())),
            (None, Some(pool)) => (pool.line, pool.value.hosts().next().map(IpAddr::V4)),
            (None, None) => (bmc.places.address.line, Some(bmc.places.address.value)),
        };
        if let Some(Err(error)) = address.map(|address| bmc.ipmi_config().check(address)) {
            // An address that the file does not name is loopback and never gets here.
            notes.problem(line, format!("`{}`: {error}", bmc.name));
        }
    }
}
