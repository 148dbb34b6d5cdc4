//! Each thing that can be wrong with a file, with the line and the words it is told in; and what a right file means.

use ipmi_wire::PrivilegeLevel;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("lab.toml"), text)
}

/// A wrong text, the line to be named, and words to be used.
const WRONG: &[(&str, usize, &[&str])] = &[
    // Keys and tables.
    ("[daemon]\nstate-dir = 'x'", 2, &["unknown key `state-dir` in [daemon]", "did you mean `state_dir`?"]),
    ("[deamon]\n", 1, &["unknown table `deamon`", "did you mean `daemon`?"]),
    (
        "\n[[bmc]]\nname = 'a'\nmashine = 'b'",
        4,
        &["unknown key `mashine` in [[bmc]]", "did you mean `machine`?"],
    ),
    ("[defaults]\nflavour = 1", 2, &["unknown key `flavour`", "known here: backend, username"]),
    (
        "[backend.lab]\ntype = 'libvirt'\nurl = 'qemu:///system'",
        3,
        &["unknown key `url`", "did you mean `uri`?"],
    ),
    (
        "[[fleet]]\nname = 'n{n}'\ncuont = 3",
        3,
        &["unknown key `cuont` in [[fleet]]", "did you mean `count`?"],
    ),
    ("[bmc]\nname = 'a'", 1, &["[[bmc]]", "two brackets"]),
    ("daemon = 3", 1, &["`daemon`", "[daemon]"]),
    ("[defaults]\nusername = 'a'\nusername = 'b'", 3, &["duplicate"]),
    ("[defaults]\nusername = ", 2, &[]),
    // Types and values.
    ("[defaults]\nusername = 3", 2, &["`username` in [defaults] must be a text"]),
    ("[defaults]\nusername = 'a b'", 2, &["username", "without spaces"]),
    ("[defaults]\npassword = 'aaaaaaaaaaaaaaaaaaaaa'", 2, &["at most 20 bytes"]),
    ("[defaults]\npassword = 'a'\npassword_file = 'b'", 2, &["`password`", "left out"]),
    ("[defaults]\npassword_file = 'no/such/file'", 2, &["`password_file`", "can be read"]),
    ("[defaults]\npassword_file = '/dev/null'", 2, &["`password_file`", "its first line is empty"]),
    ("[defaults]\naddress = 'localhost'", 2, &["an IP address", "not `localhost`"]),
    ("[defaults]\npool = '127.1.0.5/16'", 2, &["an IPv4 network such as `127.1.0.0/16`"]),
    ("[defaults]\naddress = '127.0.0.1'\npool = '127.1.0.0/16'", 2, &["`address`", "left out"]),
    ("[defaults]\nipmi_port = 0", 2, &["from 1 to 65535"]),
    ("[defaults]\nipmi_port = 70000", 2, &["from 1 to 65535"]),
    ("[defaults]\ntls = 'on'", 2, &["\"auto\", \"off\" or"]),
    ("[defaults]\ntls = { cert = 'c' }", 2, &["\"auto\", \"off\" or"]),
    (
        "[defaults]\ntls = { cert = 'no/such', key = '/dev/null' }",
        2,
        &["`tls`", "files that can be read", "no/such"],
    ),
    ("[defaults]\ncipher_suites = []", 2, &["a list of suites, each once"]),
    ("[defaults]\ncipher_suites = [3, 4]", 2, &["there are 0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17"]),
    ("[defaults]\ncipher_suites = [3, 300]", 2, &["a list of suites"]),
    ("[defaults]\ncipher_suites = [3, 17, 3]", 2, &["each once"]),
    ("[defaults]\ncipher_suites = 3", 2, &["a list of suites"]),
    ("[defaults]\ncipher_suites = ['3']", 2, &["a list of suites"]),
    (
        "[defaults]\ncipher_suites = [{ id = 3, max_privilege = 'opperator' }]",
        2,
        &["one of callback, user, operator, administrator", "did you mean `operator`?"],
    ),
    ("[defaults]\ncipher_suites = [{ max_privilege = 'operator' }]", 2, &["`id` in `cipher_suites`"]),
    ("[defaults]\ncipher_suites = [{ id = 3, level = 'user' }]", 2, &["unknown key `level`"]),
    (
        "[[bmc]]\nname = 'a'\npassword = 's3cret'\nipmi = '192.0.2.1:623'\ncipher_suites = [0, 17]",
        4,
        &["`a`", "cipher suite 0 does not prove", "loopback alone", "192.0.2.1"],
    ),
    (
        "[defaults]\npassword = 's3cret'\naddress = '::'\nipmi15_auth = ['none']\n[[bmc]]\nname = 'a'",
        3,
        &["IPMI 1.5 authentication type `none` asks for no password"],
    ),
    (
        "[[fleet]]\nname = 'a{n}'\ncount = 1\npassword = 's3cret'\npool = '192.0.2.0/24'\nipmi15_auth = ['password']",
        5,
        &["sends the password in plain text"],
    ),
    ("[defaults]\nkg = '0x123'", 2, &["`kg`", "1 to 20 bytes"]),
    ("[defaults]\nkg = 'aaaaaaaaaaaaaaaaaaaaa'", 2, &["`kg`", "1 to 20 bytes"]),
    ("[[bmc]]\nname = 'a'\nkg = ''", 3, &["`kg`", "1 to 20 bytes"]),
    ("[defaults]\nipmi15_auth = ['sha1']", 2, &["none, md2, md5, password", "IPMI 1.5"]),
    ("[defaults]\nipmi15_auth = 'md5'", 2, &["a list of"]),
    (
        "[defaults]\npower_policy = 'allways-on'",
        2,
        &["always-off, previous, always-on", "did you mean `always-on`?"],
    ),
    ("[defaults]\nallow_default_password = true", 2, &["a text in quotes"]),
    ("[defaults]\nallow_default_password = 'yes'", 2, &[ALLOW_DEFAULT_PASSWORD]),
    ("[daemon]\nlog = '=,='", 2, &["a filter such as"]),
    ("[redfish]\nlisten = '127.0.0.1'", 2, &["an address and a port"]),
    ("[redfish]\nenabled = 'no'", 2, &["true or false"]),
    ("[redfish]\nrequire_if_match = 1", 2, &["true or false"]),
    ("[redfish]\nsession_timeout_s = 29", 2, &["a whole number from 30 to 86400"]),
    ("[redfish]\nupdate_max_size = 1", 2, &["update_max_size_mib"]),
    ("[defaults]\nsystem_interface = 'smic'", 2, &["`system_interface`", "kcs"]),
    ("[system_interface]\nmode = 'x'", 2, &["unknown key `mode` in [system_interface]"]),
    ("[media]\ndir = '/srv/a'\nfolders = ['/b', '/srv/a']", 2, &["`dir` in [media]", "apart from those"]),
    ("[media]\nfolders = ['/srv']\ndir = '/srv/a'", 3, &["`dir` in [media]", "within"]),
    ("[media]\ndir = '/srv'\nfolders = ['/srv/a']", 2, &["`dir` in [media]", "around"]),
    ("[backend.x]\ntype = 'qemu'", 2, &["one of sim, libvirt"]),
    ("[backend.x]\n", 1, &["`type` in [backend.x] must be given"]),
    ("[backend.x]\ntype = 'libvirt'", 1, &["`uri` in [backend.x] must be given"]),
    ("[backend.x]\ntype = 'libvirt'\nuri = 'here'", 3, &["a libvirt URI such as"]),
    ("[backend.x]\ntype = 'libvirt'\nuri = 'a://b'\nconsole = 'shared'", 4, &["one of held, off"]),
    ("[backend.sim]\npost_ms = 99999999", 2, &["a whole number from 0 to 3600000"]),
    // BMCs.
    ("[[bmc]]\nipmi = '127.0.0.1:1'", 1, &["`name` in [[bmc]] must be given"]),
    ("[[bmc]]\nname = 'a/b'", 2, &["a BMC's name has 1 to 63 letters", "not `a/b`"]),
    ("[[bmc]]\nname = 'a'\nipmi = '127.0.0.1:0'", 3, &["a port from 1 on"]),
    ("[[bmc]]\nname = 'a'\nserial = \"1\\n2\"", 3, &["`serial`", "on one line"]),
    ("[[bmc]]\nname = 'a'\n[[bmc]]\nname = 'a'\nmachine = 'b'", 4, &["declared already, on line 2"]),
    (
        "[[bmc]]\nname = 'a'\nmachine = 'm'\n[[bmc]]\nname = 'b'\nmachine = 'm'",
        5,
        &["belongs to the BMC `a` already (line 2)"],
    ),
    ("[defaults]\nbackend = 'sym'", 2, &["no backend `sym`", "did you mean `sim`?"]),
    ("[[bmc]]\nname = 'a'\nbackend = 'sym'", 2, &["no backend `sym`", "did you mean `sim`?"]),
    (
        "[[bmc]]\nname = 'a'\nipmi = '127.0.0.1:1'\n[[bmc]]\nname = 'b'\nipmi = '127.0.0.1:1'",
        6,
        &["`ipmi`: 127.0.0.1:1 is taken already, by line 3"],
    ),
    (
        "[[bmc]]\nname = 'a'\nredfish = '127.0.0.1:8000'",
        3,
        &["taken already", "the Redfish root over all BMCs"],
    ),
    ("[[fleet]]\nname = 'node'\ncount = 2", 2, &["a pattern with `{n}`", "not `node`"]),
    ("[[fleet]]\nname = 'n{n}'", 1, &["`count` in [[fleet]] must be given"]),
    ("[[fleet]]\nname = 'n{n}'\ncount = 100001", 3, &["from 0 to 100000"]),
    (
        "[[fleet]]\nname = 'n{n}'\ncount = 2\n[[bmc]]\nname = 'n1'\nmachine = 'x'",
        2,
        &["`n1` is declared already, on line 5"],
    ),
    // The password that everybody knows.
    (
        "[[bmc]]\nname = 'a'\nipmi = '0.0.0.0:623'",
        3,
        &["0.0.0.0:623", "password that everybody knows", ALLOW_DEFAULT_PASSWORD],
    ),
    (
        "[redfish]\nlisten = '192.0.2.1:8000'",
        2,
        &["192.0.2.1:8000", "everybody knows", "`password` in [redfish]"],
    ),
    ("[defaults]\naddress = '192.0.2.1'\n[[bmc]]\nname = 'a'", 2, &["this address", "everybody knows"]),
    ("[defaults]\npool = '10.0.0.0/24'\n[[bmc]]\nname = 'a'", 2, &["this pool", "everybody knows"]),
    ("[[bmc]]\nname = 'a'\npassword = ''\nipmi = '0.0.0.0:623'", 4, &["0.0.0.0:623", "everybody knows"]),
    ("[[fleet]]\nname = 'n{n}'\ncount = 2\npool = '10.0.0.0/24'", 4, &["this pool", "everybody knows"]),
];

#[test]
fn what_is_wrong_is_told_with_its_line_and_a_way_out() {
    for (text, line, words) in WRONG {
        let error = parse(text).map(|config| format!("{config:?}")).unwrap_err();
        let shown = error.to_string();
        let place = format!("lab.toml:{line}: ");
        let told = shown
            .lines()
            .any(|told| told.starts_with(&place) && words.iter().all(|word| told.contains(word)));
        assert!(told, "{text}\nshould be told on line {line} with {words:?}, not:\n{shown}");
        assert_eq!(shown.lines().count(), error.problems.len(), "a line each: {shown}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_order_of_line() {
    let error = parse("[daemon]\nlgo = 'info'\n[redfish]\nlisten = 'x'\n[[bmc]]\nname = ''\n").unwrap_err();
    let lines: Vec<usize> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 4, 6], "{error}");
    assert_eq!(error.to_string().lines().count(), 3);
}

#[test]
fn an_unknown_backend_of_the_defaults_is_told_once() {
    let text = "[defaults]\nbackend = 'sym'\n[[fleet]]\nname = 'n{n}'\ncount = 3";
    assert_eq!(parse(text).unwrap_err().problems.len(), 1);
}

#[test]
fn passwords_never_show() {
    let config = parse("[defaults]\npassword = 'hunter2'\n[[bmc]]\nname = 'a'").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = parse("[defaults]\npassword = 'hunter2hunter2hunter2'").unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn an_empty_file_is_the_defaults_without_bmcs() {
    let config = parse("").unwrap();
    assert_eq!(config, Config { file: Some("lab.toml".into()), ..Config::default() });
    assert_eq!(config.aggregate.listen.unwrap().value.to_string(), "127.0.0.1:8000");
    let bmc = config.defaults.bmc("a");
    assert_eq!((bmc.username.as_str(), bmc.password.expose()), ("admin", "password"));
    assert_eq!((bmc.places.ipmi_port, bmc.places.redfish_port), (6230, 8100));
}

#[test]
fn a_full_file_means_what_it_says() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret\nnot this\n").unwrap();
    std::fs::write(folder.path().join("c.pem"), "").unwrap();
    let text = r#"
[daemon]
state_dir = "state"
control = "/run/lab.sock"
log = "debug"

[redfish]
listen = "127.0.0.1:9000"
username = "root"
password = "calvin"
require_if_match = true
update_max_size_mib = 2
update_timeout_s = 3
update_stall_timeout_s = 4
sessions = 5
session_timeout_s = 60
connections = 7

[backend.slow]
type = "sim"
seed = 7
post_ms = 10
boot_ms = 20
shutdown_ms = 30
disk_gib = 10
raid_drives = 8
raid_drive_gib = 20

[defaults]
backend = "slow"
password_file = "secret"
address = "0.0.0.0"
ipmi_port = 7000
tls = { cert = "c.pem", key = "/dev/null" }
cipher_suites = [17, { id = 3, max_privilege = "operator" }]
power_policy = "previous"
ipmi15_auth = ["md5"]

[[bmc]]
name = "one"
machine = "vm1"
ipmi = "127.0.0.1:623"
serial = "S1"
asset_tag = "A1"
enabled = false
cipher_suites = [0, 2]
ipmi15_auth = []

[[fleet]]
name = "node-{n}"
machine = "vm-{n}"
count = 2
first = 5
backend = "sim"
pool = "127.1.0.0/16"
password = "password"
model = "M"
"#;
    let config = Config::parse(&folder.path().join("lab.toml"), text).unwrap();
    assert_eq!(config.daemon.state_dir.unwrap(), folder.path().join("state"));
    assert_eq!(config.daemon.control.unwrap(), Path::new("/run/lab.sock"));
    assert_eq!(config.aggregate.password.expose(), "calvin");
    assert!(config.aggregate.require_if_match);
    let service = config.aggregate.service();
    assert_eq!((service.update_max_bytes, service.sessions_max, service.connections_max), (2 << 20, 5, 7));
    let times = [service.update_timeout, service.update_stall, service.session_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [3, 4, 60]);
    assert!(!Config::default().aggregate.require_if_match);
    let slow = SimSettings {
        seed: Some(7),
        post_ms: Some(10),
        boot_ms: Some(20),
        shutdown_ms: Some(30),
        disk_gib: Some(10),
        raid: RaidSettings { pool: None, drives: Some(8), drive_gib: Some(20) },
    };
    assert_eq!(config.backends["slow"], BackendConfig::Sim(slow));
    let files = TlsConfig::Files { cert: folder.path().join("c.pem"), key: "/dev/null".into() };
    assert_eq!(config.defaults.tls, files);
    let [one, five, six] = config.bmcs.as_slice() else { panic!("{:?}", config.bmcs) };
    assert_eq!((one.name.as_str(), one.machine.as_str(), one.backend.as_str()), ("one", "vm1", "slow"));
    assert_eq!((one.password.expose(), one.enabled, one.line), ("s3cret", false, 40));
    assert_eq!(one.ipmi.unwrap().value.to_string(), "127.0.0.1:623");
    assert_eq!(one.redfish, None);
    assert_eq!(one.places.ipmi_port, 7000);
    let policy = |id, level| SuitePolicy::new(id, level).unwrap();
    let administrator = PrivilegeLevel::Administrator;
    assert_eq!(one.cipher_suites, [policy(0, administrator), policy(2, administrator)]);
    assert_eq!(five.cipher_suites, [policy(17, administrator), policy(3, PrivilegeLevel::Operator)]);
    assert_eq!((one.ipmi15_auth.as_slice(), five.ipmi15_auth.as_slice()), (&[][..], &[AuthType::Md5][..]));
    assert_eq!(one.power_policy, Some(PowerPolicy::Previous));
    assert_eq!(one.identity.serial.as_deref(), Some("S1"));
    assert_eq!((five.name.as_str(), five.machine.as_str(), five.backend.as_str()), ("node-5", "vm-5", "sim"));
    assert_eq!((six.name.as_str(), six.machine.as_str()), ("node-6", "vm-6"));
    assert_eq!(
        (five.places.ipmi_port, five.places.redfish_port),
        (623, 443),
        "a pool comes with the standard ports"
    );
    assert!(five.places.pool.is_some());
    assert_eq!(five.identity.model.as_deref(), Some("M"));
}

#[test]
fn the_known_password_is_allowed_in_words() {
    let text = format!(
        "[defaults]\naddress = '0.0.0.0'\nallow_default_password = '{ALLOW_DEFAULT_PASSWORD}'\n[[bmc]]\nname = 'a'"
    );
    assert!(parse(&text).unwrap().defaults.allow_default_password);
}

#[test]
fn moving_a_table_changes_nothing() {
    let before = parse("[[bmc]]\nname = 'a'\nipmi = '127.0.0.1:1'").unwrap();
    let after = parse("# a comment\n\n[[bmc]]\nipmi = '127.0.0.1:1'\nname = 'a'").unwrap();
    assert!(before.bmcs[0].same_as(&after.bmcs[0]));
    let other = parse("[[bmc]]\nname = 'a'\nipmi = '127.0.0.1:2'").unwrap();
    assert!(!before.bmcs[0].same_as(&other.bmcs[0]));
}

fn read_of_project(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_documented_samples_are_valid() {
    let document = read_of_project("docs/operating.md");
    let samples: Vec<&str> =
        document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(samples.len(), 2);
    for sample in &samples {
        assert!(sample.contains("allow_default_password") || sample.contains("[[fleet]]"));
    }
    let without_libvirt = |text: &str| {
        let text = text.replace("type = \"libvirt\"\nuri = \"qemu:///system\"", "type = \"sim\"");
        let text = text
            .replace("console = \"held\"", "post_ms = 1")
            .replace("discover = \"web-*\"", "")
            .replace("media_tray = false", "");
        text.replace("raid_pool = \"default\"", "boot_ms = 1")
    };
    for sample in samples {
        if let Err(error) = parse(&without_libvirt(sample)) {
            panic!("{error}");
        }
    }
}

#[test]
fn every_key_is_documented() {
    let document = read_of_project("docs/operating.md");
    // A table with a key that does not exist makes the reader list those that do.
    let tables = [
        "[daemon]\n",
        "[redfish]\n",
        "[backend.x]\ntype = 'sim'\n",
        "[backend.x]\ntype = 'libvirt'\nuri = 'a://b'\n",
        "[defaults]\n",
        "[[bmc]]\nname = 'a'\n",
        "[[fleet]]\nname = 'a{n}'\ncount = 1\n",
    ];
    for table in tables {
        let error = parse(&format!("{table}qqqqqqqqqqqq = 1\n")).unwrap_err().to_string();
        let keys = error.split("known here: ").nth(1).unwrap().lines().next().unwrap();
        for key in keys.split(", ") {
            assert!(
                document.contains(&format!("{key} = ")) || document.contains(&format!("or {key}")),
                "{key} of {table}"
            );
        }
    }
}

#[test]
fn the_examples_are_valid() {
    let simulator = parse(&read_of_project("examples/simulator/polybmc.toml")).unwrap();
    assert_eq!(simulator.bmcs.len(), 6);
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("password"), "s3cret").unwrap();
    let lab =
        Config::parse(&folder.path().join("lab.toml"), &read_of_project("examples/libvirt-lab/polybmc.toml"));
    match lab {
        Ok(lab) => assert_eq!((lab.bmcs.len(), cfg!(feature = "libvirt")), (2, true)),
        Err(error) => {
            assert!(!cfg!(feature = "libvirt") && error.to_string().contains("without libvirt"), "{error}")
        }
    }
}

#[test]
fn discover_has_several_forms_and_wrong_ones_are_told() {
    let backend = |discover: &str| {
        parse(&format!("[backend.x]\ntype = 'libvirt'\nuri = 'test:///default'\n{discover}\n"))
    };
    for right in [
        "discover = 'web-*'",
        "discover = []",
        "discover = ['a', 'b?']",
        "discover = { names = '*', except = ['x'], bmc = 'lab.{name}' }",
    ] {
        if let Err(error) = backend(right) {
            panic!("{right}: {error}");
        }
    }
    for (wrong, words) in [
        ("discover = 1", "must be a pattern of names"),
        ("discover = ['a', 1]", "must be a pattern of names"),
        ("discover = { name = 'x' }", "did you mean `names`?"),
        ("discover = { names = 2 }", "`names` in `discover` must be a pattern"),
        ("discover = { bmc = 'x' }", "`bmc` in `discover` must be a name with `{name}`"),
    ] {
        let error = backend(wrong).unwrap_err().to_string();
        assert!(error.contains(":4: ") && error.contains(words), "{wrong}: {error}");
    }
    let sim = parse("[backend.x]\ntype = 'sim'\ndiscover = '*'").unwrap_err().to_string();
    assert!(sim.contains("unknown key `discover`"), "{sim}");
}

#[test]
fn a_system_interface_is_as_the_nearest_word_says() {
    let config = parse(
        "[system_interface]\ndir = 'doors'\nowner = 'qemu'\n[defaults]\nsystem_interface = 'kcs'\n\
         [[bmc]]\nname = 'a'\n[[bmc]]\nname = 'b'\nsystem_interface = 'off'\n\
         [[fleet]]\nname = 'n{n}'\ncount = 1\nsystem_interface = 'bt'\n",
    )
    .unwrap();
    assert_eq!(config.system_interface.dir.as_deref(), Some(Path::new("doors")));
    assert_eq!(
        (config.system_interface.owner.as_deref(), &config.system_interface.group),
        (Some("qemu"), &None)
    );
    let words: Vec<_> = config.bmcs.iter().map(|bmc| bmc.system_interface).collect();
    let on = |kind| Some(SystemInterfaceWord::On(kind));
    assert_eq!(
        words,
        [on(SystemInterfaceKind::Kcs), Some(SystemInterfaceWord::Off), on(SystemInterfaceKind::Bt)]
    );
    assert_eq!(parse("[[bmc]]\nname = 'a'").unwrap().bmcs[0].system_interface, None);
}
