//! From TOML to [`Config`]: one function a table.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use bmc_core::account::{Secret, check_name, check_password};
use bmc_core::power::PowerPolicy;
use bmc_core::request::ASSET_TAG_MAX_BYTES;
use bmc_core::system_interface::SystemInterfaceKind;
use toml::de::DeTable;

use super::reader::{Notes, Reader};
use super::{
    ALLOW_DEFAULT_PASSWORD, AggregateConfig, BackendConfig, BmcConfig, Config, ConfigError, DaemonConfig,
    Defaults, IPMI_STANDARD_PORT, IdentityConfig, Kg, Located, MediaConfig, Places, Pool, Problem,
    REDFISH_STANDARD_PORT, RaidSettings, RedfishLimits, SIM, SimSettings, SystemInterfacePlace,
    SystemInterfaceWord, TlsConfig, check, discover, is_bmc_name, suites,
};

/// Most machines of one `[[fleet]]`.
const FLEET_MAX: u64 = 100_000;
/// Largest size of an image that may be configured, in MiB: 16 TiB.
const MEDIA_SIZE_MAX_MIB: u64 = 16 << 20;
/// Longest time for an image that may be configured, in seconds: a day.
const MEDIA_TIME_MAX_S: u64 = 24 * 60 * 60;
/// Most downloads at a time that may be configured.
const MEDIA_DOWNLOADS_MAX: u64 = 256;
/// How long a session may be allowed to stay unused, in seconds, as clients may set it too.
const SESSION_TIMEOUT_S: RangeInclusive<u64> = 30..=86_400;
/// Most Redfish sessions of a service that may be configured.
const REDFISH_SESSIONS_MAX: u64 = 4096;
/// Most connections of a Redfish service that may be configured.
const REDFISH_CONNECTIONS_MAX: u64 = 65_536;
/// Longest time a simulated machine may be told to take, in milliseconds: an hour.
const SIM_TIME_MAX_MS: u64 = 3_600_000;
/// Most drives of a RAID controller.
const RAID_DRIVES_MAX: u64 = 32;
/// The largest disk or drive: a PiB.
const DISK_GIB_MAX: u64 = 1 << 20;
/// Longest manufacturer, model or serial number in bytes (a FRU field's length has six bits).
const IDENTITY_MAX_BYTES: usize = 63;

const POWER_POLICIES: [(&str, PowerPolicy); 3] = [
    ("always-off", PowerPolicy::AlwaysOff),
    ("previous", PowerPolicy::Previous),
    ("always-on", PowerPolicy::AlwaysOn),
];

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let notes = Notes::new(file, text);
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| notes.line_of(span.start));
        let message = error.message().replace('\n', "; ");
        ConfigError { file: file.to_owned(), problems: vec![Problem { line, message }] }
    })?;
    let mut root = Reader::new(&notes, document.get_ref(), "the file", 1);

    let daemon = root.table("daemon").map(daemon).unwrap_or_default();
    let media = root.table("media").map(media).unwrap_or_default();
    let system_interface = root.table("system_interface").map(system_interface).unwrap_or_default();
    let backends = root.table("backend").map(|table| backends(&table)).unwrap_or_default();
    let defaults = root.table("defaults").map(defaults).unwrap_or_default();
    let aggregate = aggregate(root.table("redfish"));
    let mut bmcs: Vec<BmcConfig> =
        root.tables("bmc").into_iter().filter_map(|table| bmc(table, &defaults)).collect();
    for table in root.tables("fleet") {
        bmcs.extend(fleet(table, &defaults));
    }
    root.finish();

    let config = Config {
        file: Some(file.to_owned()),
        daemon,
        media,
        system_interface,
        aggregate,
        backends,
        defaults,
        bmcs,
    };
    check::check(&config, &notes);
    notes.finish()?;
    Ok(config)
}

fn daemon(mut table: Reader<'_>) -> DaemonConfig {
    let mut path = |key| table.string(key).map(|path| table.notes().path(&path.value));
    let state_dir = path("state_dir");
    let control = path("control");
    let log = table.string("log").and_then(|log| {
        let filter = log.value.parse::<tracing_subscriber::EnvFilter>();
        if filter.is_err() {
            table.wrong(log.line, "log", "a filter such as `info` or `polybmc=debug,bmc_ipmi=trace`");
        }
        filter.is_ok().then_some(log.value)
    });
    table.finish();
    DaemonConfig { state_dir, control, log }
}

fn media(mut table: Reader<'_>) -> MediaConfig {
    let dir = table.string("dir").map(|dir| (table.notes().path(&dir.value), dir.line));
    let mut media = MediaConfig { dir: dir.as_ref().map(|(dir, _)| dir.clone()), ..MediaConfig::default() };
    media.limits.ca_file = table.string("ca_file").map(|file| table.notes().path(&file.value));
    if let Some(mib) = table.integer("max_size_mib", 1..=MEDIA_SIZE_MAX_MIB) {
        media.limits.bytes = mib.value << 20;
    }
    if let Some(mib) = table.integer("spool_max_mib", 1..=MEDIA_SIZE_MAX_MIB) {
        media.limits.spool_bytes = mib.value << 20;
    }
    if let Some(mib) = table.integer("cache_mib", 0..=MEDIA_SIZE_MAX_MIB) {
        media.limits.cache_bytes = mib.value << 20;
    }
    let mut seconds =
        |key| table.integer(key, 1..=MEDIA_TIME_MAX_S).map(|time| Duration::from_secs(time.value));
    if let Some(total) = seconds("timeout_s") {
        media.limits.total = total;
    }
    if let Some(stall) = seconds("stall_timeout_s") {
        media.limits.stall = stall;
    }
    if let Some(downloads) = table.integer("downloads", 1..=MEDIA_DOWNLOADS_MAX) {
        media.limits.downloads = usize::try_from(downloads.value).unwrap_or(1);
    }
    if let Some(found) = table.value("folders") {
        let folders = found.value.as_array().and_then(|items| {
            items.iter().map(|item| Some(table.notes().path(item.get_ref().as_str()?))).collect()
        });
        match folders {
            Some(folders) => media.limits.folders = folders,
            None => table.wrong(found.line, "folders", "a list of folders, such as [\"/srv/images\"]"),
        }
    }
    // Else the daemon's copies, of everybody's images, could be inserted by `file:`.
    if let Some((dir, line)) = dir
        && media.limits.folders.iter().any(|folder| folder.starts_with(&dir) || dir.starts_with(folder))
    {
        table.wrong(line, "dir", "a folder apart from those in `folders`: neither within one nor around one");
    }
    table.finish();
    media
}

fn system_interface(mut table: Reader<'_>) -> SystemInterfacePlace {
    let dir = table.string("dir").map(|dir| table.notes().path(&dir.value));
    let mut name = |key| table.string(key).map(|name| name.value);
    let place = SystemInterfacePlace { dir, owner: name("owner"), group: name("group") };
    table.finish();
    place
}

/// `system_interface = "kcs"`, `"bt"` or `"off"`.
fn system_interface_word(table: &mut Reader<'_>) -> Option<SystemInterfaceWord> {
    const WORDS: [(&str, SystemInterfaceWord); 3] = [
        ("kcs", SystemInterfaceWord::On(SystemInterfaceKind::Kcs)),
        ("bt", SystemInterfaceWord::On(SystemInterfaceKind::Bt)),
        ("off", SystemInterfaceWord::Off),
    ];
    table.word("system_interface", &WORDS).map(|word| word.value)
}

fn aggregate(table: Option<Reader<'_>>) -> AggregateConfig {
    let mut aggregate = Config::default().aggregate;
    let Some(mut table) = table else { return aggregate };
    if let Some(listen) = endpoint(&mut table, "listen") {
        aggregate.listen = Some(listen);
    }
    if table.boolean("enabled") == Some(false) {
        aggregate.listen = None;
    }
    if let Some(username) = username(&mut table) {
        aggregate.username = username;
    }
    if let Some(password) = password(&mut table) {
        aggregate.password = password;
    }
    aggregate.require_if_match = table.boolean("require_if_match").unwrap_or(aggregate.require_if_match);
    redfish_limits(&mut table, &mut aggregate.limits);
    table.finish();
    aggregate
}

fn redfish_limits(table: &mut Reader<'_>, limits: &mut RedfishLimits) {
    if let Some(mib) = table.integer("update_max_size_mib", 1..=MEDIA_SIZE_MAX_MIB) {
        limits.update_max_bytes = mib.value << 20;
    }
    let mut seconds = |key, range| table.integer(key, range).map(|time| Duration::from_secs(time.value));
    limits.update_timeout =
        seconds("update_timeout_s", 1..=MEDIA_TIME_MAX_S).unwrap_or(limits.update_timeout);
    limits.update_stall =
        seconds("update_stall_timeout_s", 1..=MEDIA_TIME_MAX_S).unwrap_or(limits.update_stall);
    limits.session_timeout =
        seconds("session_timeout_s", SESSION_TIMEOUT_S).unwrap_or(limits.session_timeout);
    let mut count = |key, max| {
        let found = table.integer(key, 1..=max)?;
        usize::try_from(found.value).ok()
    };
    limits.sessions = count("sessions", REDFISH_SESSIONS_MAX).unwrap_or(limits.sessions);
    limits.connections = count("connections", REDFISH_CONNECTIONS_MAX).unwrap_or(limits.connections);
}

fn backends(table: &Reader<'_>) -> BTreeMap<String, BackendConfig> {
    let mut backends = BTreeMap::new();
    for (name, value) in table.entries() {
        let title = format!("[backend.{}]", name.value);
        let Some(found) = value.get_ref().as_table() else {
            table.wrong(name.line, name.value, &format!("a table: write {title} on a line of its own"));
            continue;
        };
        if !is_bmc_name(name.value) {
            table.notes().problem(name.line, format!("a backend's name {}", check::NAME_RULE));
        }
        let reader = Reader::new(table.notes(), found, title, name.line);
        if let Some(backend) = backend(name.value, reader) {
            backends.insert(name.value.to_owned(), backend);
        }
    }
    backends
}

#[derive(Clone, Copy)]
enum BackendType {
    Sim,
    Libvirt,
}

fn backend(name: &str, mut table: Reader<'_>) -> Option<BackendConfig> {
    let kind = table.word("type", &[("sim", BackendType::Sim), ("libvirt", BackendType::Libvirt)]);
    let kind = match kind {
        Some(kind) => kind.value,
        // The built-in simulator may be tuned without saying again what it is.
        None if name == SIM => BackendType::Sim,
        None => {
            table.required("type", "given: \"sim\" or \"libvirt\"");
            return None;
        }
    };
    let backend = match kind {
        BackendType::Sim => {
            let mut time = |key| table.integer(key, 0..=SIM_TIME_MAX_MS).map(|time| time.value);
            let (post_ms, boot_ms, shutdown_ms) = (time("post_ms"), time("boot_ms"), time("shutdown_ms"));
            let seed = table.integer("seed", 0..=u64::MAX).map(|seed| seed.value);
            let disk_gib = table.integer("disk_gib", 1..=DISK_GIB_MAX).map(|size| size.value);
            let raid = raid(&mut table);
            Some(BackendConfig::Sim(SimSettings { seed, post_ms, boot_ms, shutdown_ms, disk_gib, raid }))
        }
        BackendType::Libvirt => {
            let uri = table.parsed("uri", "a libvirt URI such as `qemu:///system`", |uri| {
                uri.contains("://").then(|| uri.to_owned())
            });
            table.required("uri", "given, for instance \"qemu:///system\"");
            let console = table.word("console", &[("held", true), ("off", false)]);
            let console = console.is_none_or(|console| console.value);
            let media_tray = table.boolean("media_tray").unwrap_or(false);
            if name == SIM {
                table.wrong(
                    table.line(),
                    "type",
                    "\"sim\" for the backend of that name; choose another name",
                );
            }
            let pool = table.string("raid_pool").map(|pool| pool.value);
            let raid = RaidSettings { pool, ..raid(&mut table) };
            let discover = discover::discover(&mut table);
            uri.map(|uri| BackendConfig::Libvirt { uri: uri.value, console, media_tray, raid, discover })
        }
    };
    table.finish();
    backend
}

fn raid(table: &mut Reader<'_>) -> RaidSettings {
    let drives = table.integer("raid_drives", 0..=RAID_DRIVES_MAX);
    let drive_gib = table.integer("raid_drive_gib", 1..=DISK_GIB_MAX).map(|size| size.value);
    RaidSettings { pool: None, drives: drives.and_then(|count| u8::try_from(count.value).ok()), drive_gib }
}

fn defaults(mut table: Reader<'_>) -> Defaults {
    let mut defaults = Defaults::default();
    if let Some(backend) = table.string("backend") {
        defaults.backend = backend;
    }
    if let Some(username) = username(&mut table) {
        defaults.username = username;
    }
    if let Some(password) = password(&mut table) {
        defaults.password = password;
    }
    if let Some(words) = table.string("allow_default_password") {
        defaults.allow_default_password = words.value == ALLOW_DEFAULT_PASSWORD;
        if !defaults.allow_default_password {
            table.wrong(
                words.line,
                "allow_default_password",
                &format!("exactly \"{ALLOW_DEFAULT_PASSWORD}\""),
            );
        }
    }
    defaults.places = places(&mut table, &defaults.places);
    defaults.tls = tls(&mut table);
    if let Some(found) = suites::cipher_suites(&mut table) {
        defaults.cipher_suites = found;
    }
    if let Some(found) = suites::ipmi15_auth(&mut table) {
        defaults.ipmi15_auth = found;
    }
    defaults.kg = kg(&mut table);
    if let Some(port) = table.port("trap_port") {
        defaults.trap_port = port;
    }
    defaults.system_interface = system_interface_word(&mut table);
    defaults.power_policy = table.word("power_policy", &POWER_POLICIES).map(|policy| policy.value);
    table.finish();
    defaults
}

/// `tls = "auto"`, `"off"`, or `{ cert = "FILE", key = "FILE" }`.
fn tls(table: &mut Reader<'_>) -> TlsConfig {
    const WANTED: &str = "\"auto\", \"off\" or { cert = \"FILE\", key = \"FILE\" }";
    let Some(found) = table.value("tls") else { return TlsConfig::default() };
    match (found.value.as_str(), found.value.as_table()) {
        (Some("auto"), _) => TlsConfig::Auto,
        (Some("off"), _) => TlsConfig::Off,
        (_, Some(files)) => {
            let notes = table.notes();
            let mut files = Reader::new(notes, files, "`tls`", found.line);
            let mut file = |key| files.string(key).map(|file| notes.path(&file.value));
            let pair = (file("cert"), file("key"));
            files.finish();
            match pair {
                (Some(cert), Some(key)) => {
                    for file in [&cert, &key] {
                        if let Err(error) = std::fs::File::open(file) {
                            let wanted = format!("files that can be read ({}: {error})", file.display());
                            table.wrong(found.line, "tls", &wanted);
                        }
                    }
                    TlsConfig::Files { cert, key }
                }
                _ => {
                    table.wrong(found.line, "tls", WANTED);
                    TlsConfig::Auto
                }
            }
        }
        _ => {
            table.wrong(found.line, "tls", WANTED);
            TlsConfig::Auto
        }
    }
}

fn places(table: &mut Reader<'_>, outer: &Places) -> Places {
    let address =
        table.parsed("address", "an IP address such as `127.0.0.1`", |text| text.parse::<IpAddr>().ok());
    let pool = table.parsed("pool", "an IPv4 network such as `127.1.0.0/16`", Pool::parse);
    if let (Some(address), Some(_)) = (&address, &pool) {
        table.wrong(address.line, "address", "left out where a `pool` gives each BMC an address");
    }
    let mut places = outer.clone();
    if let Some(address) = address {
        places.address = address;
        places.pool = None;
    }
    if let Some(pool) = pool {
        // Addresses of their own come with the standard ports, unless other ports are written down here.
        places.pool = Some(pool);
        places.ipmi_port = IPMI_STANDARD_PORT;
        places.redfish_port = REDFISH_STANDARD_PORT;
    }
    places.ipmi_port = table.port("ipmi_port").unwrap_or(places.ipmi_port);
    places.redfish_port = table.port("redfish_port").unwrap_or(places.redfish_port);
    places
}

fn bmc(mut table: Reader<'_>, defaults: &Defaults) -> Option<BmcConfig> {
    let name = table.string("name");
    let ipmi = endpoint(&mut table, "ipmi");
    let redfish = endpoint(&mut table, "redfish");
    let serial = identity_text(&mut table, "serial", IDENTITY_MAX_BYTES);
    let asset_tag = identity_text(&mut table, "asset_tag", ASSET_TAG_MAX_BYTES);
    let enabled = table.boolean("enabled").unwrap_or(true);
    let machine = table.string("machine").map(|machine| machine.value);
    let mut shared = shared(&mut table, defaults);
    table.required("name", "given: it is how the command line and URLs call the BMC");
    table.finish();
    let name = name?;
    shared.identity.serial = serial;
    shared.identity.asset_tag = asset_tag;
    Some(BmcConfig {
        machine: machine.unwrap_or_else(|| name.value.clone()),
        name: name.value,
        line: name.line,
        ipmi,
        redfish,
        enabled,
        ..shared
    })
}

/// `[[fleet]]`: `count` BMCs, `{n}` in a pattern standing for each one's number.
fn fleet(mut table: Reader<'_>, defaults: &Defaults) -> Vec<BmcConfig> {
    let numbered = "a pattern with `{n}`, such as `node-{n}`";
    let pattern = |text: &str| text.contains("{n}").then(|| text.to_owned());
    let name = table.parsed("name", numbered, pattern);
    let machine = table.parsed("machine", numbered, pattern);
    let count = table.integer("count", 0..=FLEET_MAX);
    let first = table.integer("first", 0..=u64::from(u32::MAX)).map_or(0, |first| first.value);
    let mut shared = shared(&mut table, defaults);
    shared.places = places(&mut table, &defaults.places);
    table.required("name", &format!("given: {numbered}"));
    table.required("count", "given: how many BMCs");
    table.finish();
    let (Some(name), Some(count)) = (name, count) else { return Vec::new() };
    let bmcs = (first..first + count.value).map(|n| {
        let fill = |pattern: &str| pattern.replace("{n}", &n.to_string());
        let machine = machine.as_ref().unwrap_or(&name);
        BmcConfig {
            name: fill(&name.value),
            machine: fill(&machine.value),
            line: name.line,
            ..shared.clone()
        }
    });
    bmcs.collect()
}

/// What `[[bmc]]` and `[[fleet]]` have in common.
fn shared(table: &mut Reader<'_>, defaults: &Defaults) -> BmcConfig {
    let mut bmc = defaults.bmc("");
    if let Some(backend) = table.string("backend") {
        bmc.backend = backend.value;
    }
    if let Some(username) = username(table) {
        bmc.username = username;
    }
    if let Some(password) = password(table) {
        bmc.password = password;
    }
    if let Some(found) = suites::cipher_suites(table) {
        bmc.cipher_suites = found;
    }
    if let Some(found) = suites::ipmi15_auth(table) {
        bmc.ipmi15_auth = found;
    }
    if let Some(kg) = kg(table) {
        bmc.kg = Some(kg);
    }
    if let Some(word) = system_interface_word(table) {
        bmc.system_interface = Some(word);
    }
    if let Some(policy) = table.word("power_policy", &POWER_POLICIES) {
        bmc.power_policy = Some(policy.value);
    }
    bmc.identity = IdentityConfig {
        manufacturer: identity_text(table, "manufacturer", IDENTITY_MAX_BYTES),
        model: identity_text(table, "model", IDENTITY_MAX_BYTES),
        serial: None,
        asset_tag: None,
    };
    bmc
}

fn endpoint(table: &mut Reader<'_>, key: &'static str) -> Option<Located<SocketAddr>> {
    let wanted = "an address and a port from 1 on, such as `127.0.0.1:6230` or `[::1]:6230`";
    table.parsed(key, wanted, |text| text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0))
}

fn identity_text(table: &mut Reader<'_>, key: &'static str, most: usize) -> Option<String> {
    let found = table.string(key)?;
    let fits = found.value.len() <= most && !found.value.chars().any(char::is_control);
    if !fits {
        table.wrong(found.line, key, &format!("at most {most} bytes of text on one line"));
    }
    fits.then_some(found.value)
}

fn username(table: &mut Reader<'_>) -> Option<String> {
    let found = table.string("username")?;
    let checked = check_name(&found.value);
    if let Err(error) = &checked {
        table.notes().problem(found.line, format!("`username`: {error}"));
    }
    checked.is_ok().then_some(found.value)
}

/// The BMC key. The message does not repeat what was written: it is a secret.
fn kg(table: &mut Reader<'_>) -> Option<Kg> {
    let found = table.string("kg")?;
    let kg = Kg::parse(&found.value);
    if kg.is_none() {
        table.wrong(found.line, "kg", Kg::WANTED);
    }
    kg
}

/// `password`, or the first line of `password_file`.
fn password(table: &mut Reader<'_>) -> Option<Secret> {
    let written = table.string("password");
    let file = table.string("password_file");
    let (line, password) = match (written, file) {
        (Some(written), Some(_)) => {
            table.wrong(written.line, "password", "left out where `password_file` is given");
            return None;
        }
        (Some(written), None) => (written.line, Secret::new(written.value)),
        (None, Some(file)) => match read_password(&table.notes().path(&file.value)) {
            Ok(password) => (file.line, password),
            Err(error) => {
                table.wrong(
                    file.line,
                    "password_file",
                    &format!("a file that can be read ({}: {error})", file.value),
                );
                return None;
            }
        },
        (None, None) => return None,
    };
    if let Err(error) = check_password(&password) {
        table.notes().problem(line, error.to_string());
        return None;
    }
    Some(password)
}

/// The first line of a file, without its end.
pub(crate) fn read_password(file: &Path) -> std::io::Result<Secret> {
    first_line(std::fs::File::open(file)?)
}

/// The password on a source's first line. An empty one is a slip, such as a variable that was not set: an error.
pub(crate) fn first_line(source: impl std::io::Read) -> std::io::Result<Secret> {
    let text = std::io::read_to_string(source)?;
    match text.lines().next() {
        None | Some("") => {
            Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "its first line is empty"))
        }
        Some(password) => Ok(Secret::new(password)),
    }
}
