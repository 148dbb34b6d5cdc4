//! The program itself: the daemon with simulated machines, and the command line against it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod harness;

use std::io::Read as _;
use std::net::{TcpListener, TcpStream, UdpSocket};

use harness::{Lab, ask, own_address, polybmc};
use serde_json::Value;

/// `admin:password` and others in Base64.
const DEFAULT_LOGIN: &str = "YWRtaW46cGFzc3dvcmQ=";
const SECRET_LOGIN: &str = "YWRtaW46czNjcmV0";
const SYSTEMS: &str = "/redfish/v1/Systems";

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|bmc| bmc["name"].as_str().unwrap()).collect()
}

#[test]
fn power_and_boot_from_the_command_line() {
    let mut lab = Lab::new("");
    lab.start(&["--sim", "2"]);
    let address = lab.address;
    let list = lab.json("list");
    assert_eq!(names(&list), ["node-0", "node-1"]);
    for member in ["name", "backend", "machine", "ipmi", "redfish", "power"] {
        assert!(list[0][member].is_string(), "{member} of {list}");
    }
    assert_eq!(list[1]["ipmi"], format!("{address}:6231"));
    assert_eq!(list[1]["redfish"], format!("http://{address}:8101"));
    assert_eq!(list[0]["power"], "off");
    assert!(lab.ok("list").starts_with("NAME"));

    let events = lab.follow(0);
    let reply = lab.json("power node-0 on");
    assert_eq!((&reply["action"], &reply["outcome"]), (&"on".into(), &"done".into()));
    events.wait_for("node-0", "powered-on");
    assert_eq!(lab.ok("power node-0 status"), "on\n");
    assert_eq!(lab.json("power node-0 on")["outcome"], "nothing-to-do");
    assert!(lab.fails("power node-1 reset").contains("cannot reset while the machine is off"));

    assert_eq!(lab.ok("boot node-0 show"), "none\n");
    let boot = lab.json("boot node-0 pxe --persistent --uefi");
    assert_eq!(
        (&boot["target"], &boot["enabled"], &boot["uefi"]),
        (&"pxe".into(), &"continuous".into(), &true.into())
    );
    assert_eq!(lab.ok("boot node-0 cdrom"), "cdrom, once\n");
    let restarted = lab.json("power node-0 cycle");
    assert_ne!(restarted["outcome"], "nothing-to-do");
    events.wait_for("node-0", "boot-override-used");
    assert!(events.wait_for("node-0", "booted")["from"].as_str().unwrap().contains("cd"));
    assert_eq!(lab.ok("boot node-0 show"), "none\n", "once is once");

    let shown = lab.ok("events");
    assert!(shown.lines().count() >= 5 && shown.contains(" node-0 powered on"), "{shown}");
    let last = lab.ok("events -o json").lines().last().unwrap().to_owned();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(lab.ok(&format!("events --after {}", last["id"])), "");
}

#[test]
fn the_screen_is_a_picture_and_the_drives_show_without_a_word() {
    let mut lab = Lab::new("");
    lab.start(&["--sim", "1"]);
    let file = lab.path().join("screen.png");
    let verb = format!("screenshot node-0 {}", file.display());
    assert!(lab.fails(&verb).contains("is off"));
    assert!(!file.exists());
    assert!(lab.fails("screenshot node-9 x.png").contains("node-9"));
    let events = lab.follow(0);
    lab.json("power node-0 on");
    events.wait_for("node-0", "powered-on");
    std::fs::write(&file, "what was there before").unwrap();
    assert_eq!(lab.ok(&verb), "");
    let png = std::fs::read(&file).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n"), "{png:?}");
    // The firmware may have said more meanwhile; it is a picture of the same size all the same.
    let to_stdout = lab.run("screenshot node-0 -").stdout;
    assert_eq!((to_stdout.get(..24), png.len() > 500), (png.get(..24), true));
    assert!(lab.fails("screenshot node-0 /nonexistent/x.png").contains("/nonexistent/x.png"));

    assert_eq!(lab.ok("media node-0"), lab.ok("media node-0 show"));
    assert_eq!(lab.json("media node-0")[0]["drive"], "cd");
}

#[test]
fn the_life_of_a_bmc() {
    let mut lab = Lab::new("");
    lab.start(&["--sim", "1"]);
    let address = lab.address;
    let added = lab.ok("add spare --password s3cret");
    assert_eq!(added, format!("spare serves: ipmi {address}:6231, redfish http://{address}:8101\n"));
    assert!(lab.get(8101, SYSTEMS, SECRET_LOGIN).starts_with("HTTP/1.1 200"));
    assert!(lab.get(8101, SYSTEMS, DEFAULT_LOGIN).starts_with("HTTP/1.1 401"));
    assert!(!lab.ok("show spare -o json").contains("s3cret"));

    let moved =
        lab.json(&format!("set spare --redfish {address}:9443 --asset-tag shelf-3 --power-policy always-on"));
    assert_eq!(moved["redfish"], format!("http://{address}:9443"));
    assert_eq!((&moved["asset_tag"], &moved["power_policy"]), (&"shelf-3".into(), &"always-on".into()));
    assert!(lab.get(9443, SYSTEMS, SECRET_LOGIN).starts_with("HTTP/1.1 200"));
    assert!(TcpStream::connect((address, 8101)).is_err(), "the old endpoint is gone");
    lab.ok("set spare --password password");
    assert!(lab.get(9443, SYSTEMS, DEFAULT_LOGIN).starts_with("HTTP/1.1 200"));

    lab.ok("stop spare");
    assert_eq!(lab.json("show spare")["state"], "stopped");
    assert!(TcpStream::connect((address, 9443)).is_err());
    assert!(lab.ok("start spare").contains(":9443"));
    assert!(TcpStream::connect((address, 9443)).is_ok());

    for (line, words) in [
        ("add spare", "a BMC spare exists already; choose another name"),
        ("add other --machine spare", "belongs to the BMC spare already"),
        ("add a/b", "cannot be a BMC's name"),
        ("add x --ipmi 127.0.0.1:0", "name a port from 1 on"),
        ("add x --ipmi 0.0.0.0:6999", "password that everybody knows"),
        ("add x --ipmi 0.0.0.0:6999 --password=", "password that everybody knows"),
        ("add x --password-file /dev/null", "its first line is empty"),
        ("add x --password-file -", "its first line is empty"),
        ("add x --backend sym", "no backend `sym`"),
        ("add x --username way-too-long-for-ipmi", "16 printable ASCII characters"),
        ("set spare --ipmi 0.0.0.0:6999", "password that everybody knows"),
        ("set spare --password aaaaaaaaaaaaaaaaaaaaa", "at most 20 bytes"),
        ("show spar", "no BMC `spar`; did you mean `spare`?"),
        ("boot spare usb --uri http://x/", "takes no URI"),
    ] {
        let said = lab.fails(line);
        assert!(said.contains(words), "polybmc {line}: {said}");
    }
    let taken = lab.fails(&format!("add x --ipmi {address}:6230"));
    assert!(taken.contains("belongs to the BMC node-0"), "{taken}");
    assert_eq!(names(&lab.json("list")), ["node-0", "spare"], "a refused BMC leaves nothing behind");

    assert_eq!(lab.ok("remove spare"), "spare removed\n");
    assert_eq!(names(&lab.json("list")), ["node-0"]);
    assert!(TcpStream::connect((address, 9443)).is_err());
    assert_eq!(lab.ok("add spare"), added, "its endpoints are free again");
    assert!(lab.ok("remove node-0").contains("comes back when the daemon starts again"));
    assert!(!lab.log().contains("s3cret"), "a password in the log");
}

#[test]
fn what_was_set_survives_a_power_cut() {
    let mut lab = Lab::new("");
    lab.start(&["--sim", "1"]);
    let address = lab.address;
    lab.ok("add kept --password s3cret");
    lab.ok(&format!("add moved --ipmi {address}:7000"));
    lab.ok("add quiet");
    lab.ok("stop quiet");
    lab.ok("boot kept pxe --persistent");
    lab.ok("boot node-0 cdrom");
    let before = lab.json("list");
    let told = lab.ok("events -o json");
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    lab.kill();
    assert!(lab.fails("list").contains("no daemon answers"));

    lab.start(&["--sim", "1"]);
    assert_eq!(lab.json("list"), before);
    assert_eq!(lab.ok("boot kept show"), "pxe, continuous\n");
    assert_eq!(lab.ok("boot node-0 show"), "cdrom, once\n");
    assert_eq!(lab.json("show quiet")["state"], "stopped");
    assert!(lab.get(8101, SYSTEMS, SECRET_LOGIN).starts_with("HTTP/1.1 200"), "the password too");
    let now = lab.ok("events -o json");
    let newest: Value = serde_json::from_str(now.lines().last().unwrap()).unwrap();
    assert!(newest["id"].as_u64() > last["id"].as_u64(), "event ids grow over restarts");
    // All but what may have been told in the last moment.
    let (older, _) = told.trim_end().rsplit_once('\n').unwrap();
    assert!(now.starts_with(older), "{now}");

    lab.kill();
    lab.start(&["--sim", "0"]);
    assert_eq!(names(&lab.json("list")), ["kept", "moved", "quiet"]);
}

#[test]
fn a_second_daemon_is_refused_with_a_way_out() {
    let mut lab = Lab::new("");
    lab.start(&[]);
    for (control, state, words) in [
        ("other.sock", "state", ["another polybmc", "--state-dir"]),
        ("c.sock", "elsewhere", ["already serves the control socket", "--control PATH"]),
    ] {
        let output = lab.serve_at(control, state, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    assert_eq!(lab.ok("list"), "no BMCs; `polybmc add NAME` makes one\n", "the first one is unharmed");
}

#[test]
fn a_taken_port_of_the_file_is_refused_with_its_line_and_any_other_is_passed_over() {
    let mut lab = Lab::new("");
    let address = lab.address;
    let _ipmi = UdpSocket::bind((address, 6230)).unwrap();
    let _redfish = TcpListener::bind((address, 8101)).unwrap();
    lab.configure(&format!("[[bmc]]\nname = 'a'\nipmi = '{address}:6230'\n"));
    let output = lab.serve(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("{}:12: `ipmi` of a: ", lab.config().display())), "{said}");
    assert!(said.contains(&format!("{address}:6230")), "{said}");

    lab.configure("[[fleet]]\nname = 'n{n}'\ncount = 2\n");
    lab.start(&[]);
    let list = lab.json("list");
    assert_eq!(list[0]["ipmi"], format!("{address}:6231"));
    assert_eq!(list[0]["redfish"], format!("http://{address}:8100"));
    assert_eq!(list[1]["redfish"], format!("http://{address}:8102"));
}

#[test]
fn a_pool_gives_each_bmc_an_address() {
    let mut lab = Lab::new("");
    let [_, second, third, _] = own_address().octets();
    lab.configure(&format!(
        "[[fleet]]\nname = 'n{{n}}'\ncount = 2\npool = '127.{second}.{third}.0/24'\nipmi_port = 10623\nredfish_port = 10443\n"
    ));
    lab.start(&[]);
    let list = lab.json("list");
    for (nth, last) in [(0, 1), (1, 2)] {
        assert_eq!(list[nth]["ipmi"], format!("127.{second}.{third}.{last}:10623"));
        assert_eq!(list[nth]["redfish"], format!("http://127.{second}.{third}.{last}:10443"));
    }
}

#[test]
fn a_changed_file_is_applied_and_what_it_leaves_alone_notices_nothing() {
    let mut lab = Lab::new("[[bmc]]\nname = 'a'\n[[bmc]]\nname = 'b'\n[[bmc]]\nname = 'c'\n");
    lab.start(&[]);
    let address = lab.address;
    lab.ok("add extra");
    lab.ok("boot b pxe --persistent");

    // A client of `a` with its connection open over the reload.
    let mut client = TcpStream::connect((address, 8100)).unwrap();
    let read_answer = |client: &mut TcpStream| {
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        let head = String::from_utf8(seen).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        client.read_exact(&mut body).unwrap();
        head
    };
    ask(&mut client, address, SYSTEMS, DEFAULT_LOGIN, false);
    assert!(read_answer(&mut client).starts_with("http/1.1 200"));

    lab.configure("# moved down\n\n[[bmc]]\nname = 'a'\n[[bmc]]\nname = 'b'\npassword = 's3cret'\n[[bmc]]\nname = 'd'\n");
    let report = lab.json("reload");
    assert_eq!(report["added"], serde_json::json!(["d"]));
    assert_eq!(report["changed"], serde_json::json!(["b"]));
    assert_eq!(report["removed"], serde_json::json!(["c"]));
    assert_eq!(report["unchanged"], 1);
    assert_eq!(names(&lab.json("list")), ["a", "b", "d", "extra"]);
    assert!(lab.get(8101, SYSTEMS, SECRET_LOGIN).starts_with("HTTP/1.1 200"), "the new password");
    assert_eq!(lab.ok("boot b show"), "pxe, continuous\n", "and the old override");
    ask(&mut client, address, SYSTEMS, DEFAULT_LOGIN, false);
    assert!(read_answer(&mut client).starts_with("http/1.1 200"), "the connection outlived the reload");

    // What only a restart can apply is told by each reload until then; a backend that nobody uses needs none.
    let same = std::fs::read_to_string(lab.config()).unwrap();
    let needs = |lab: &Lab, text: String| {
        std::fs::write(lab.config(), text).unwrap();
        lab.json("reload")["needs_restart"].clone()
    };
    let spare = "[backend.spare]\ntype = 'sim'\n";
    assert_eq!(needs(&lab, format!("{same}{spare}")), serde_json::json!([]));
    assert_eq!(needs(&lab, format!("{same}{spare}seed = 2\n")), serde_json::json!([]));
    let other = same.replace("boot_ms = 10", "boot_ms = 11").replace(":8000", ":8001");
    for _ in 0..2 {
        assert_eq!(needs(&lab, other.clone()), serde_json::json!(["[redfish]", "[backend.sim]"]));
    }
    assert_eq!(needs(&lab, same), serde_json::json!([]), "all is as it runs");

    // A wrong file changes nothing and says where it is wrong.
    lab.configure("[[bmc]]\nnmae = 'a'\n");
    let said = lab.fails("reload");
    assert!(said.contains("nothing was changed") && said.contains(":11: unknown key `nmae`"), "{said}");
    assert_eq!(names(&lab.json("list")), ["a", "b", "d", "extra"]);

    // SIGHUP does the same.
    lab.configure("[[bmc]]\nname = 'e'\n");
    let events = lab.follow(0);
    lab.signal("HUP");
    events.wait_for("e", "started");
    let said = lab.fails("remove e");
    assert!(said.contains("lab.toml, line 11") && said.contains("polybmc reload"), "{said}");
}

#[test]
fn it_ends_in_order_on_both_signals() {
    for signal in ["TERM", "INT"] {
        let mut lab = Lab::new("");
        lab.start(&["--sim", "1"]);
        let _follower = lab.follow(0);
        lab.signal(signal);
        assert_eq!(lab.ended(), Some(0), "SIG{signal}");
        assert!(!lab.control().exists());
        assert!(UdpSocket::bind((lab.address, 6230)).is_ok());
    }
}

#[test]
fn without_a_configuration_there_are_three_simulated_machines() {
    let mut lab = Lab::new("");
    let mut command = polybmc();
    command
        .arg("--control")
        .arg(lab.control())
        .args(["serve", "--state-dir", "state"])
        .current_dir(lab.path());
    lab.launch(command.stderr(std::process::Stdio::piped()));
    assert_eq!(names(&lab.json("list")), ["node-0", "node-1", "node-2"]);
    assert!(lab.json("list")[0]["redfish"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert!(lab.fails("reload").contains("--config FILE"));
}

#[test]
fn wrong_files_and_wrong_usage() {
    let lab = Lab::new("[[bmc]]\nname = 'a'\nipim = 'x'\n");
    let output = lab.serve(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(":12: unknown key `ipim` in [[bmc]]; did you mean `ipmi`?"), "{said}");
    assert_eq!(lab.run("power").status.code(), Some(2));

    // The environment names the socket where the command line does not; empty, it says nothing.
    let ask = |variable: &str| {
        let list =
            polybmc().arg("list").env("POLYBMC_CONTROL", variable).env("HOME", lab.path()).output().unwrap();
        (list.status.code(), String::from_utf8(list.stderr).unwrap())
    };
    let (code, said) = ask("/no/such.sock");
    assert!(code == Some(1) && said.contains("no daemon answers on /no/such.sock"), "{said}");
    assert_ne!(ask("").0, Some(2));
    assert_eq!(lab.run("fly").status.code(), Some(2));

    let doctor = polybmc().args(["doctor", "-o", "json", "--config"]).arg(lab.config()).output().unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let config = &findings[0];
    assert_eq!((&config["check"], &config["status"]), (&"config".into(), &"fail".into()));
    assert!(config["mend"].is_string());
}

#[test]
fn completions_and_manual_come_from_the_same_definitions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = polybmc().args(["completions", shell]).output().unwrap().stdout;
        assert!(String::from_utf8(script).unwrap().contains("power-policy"), "{shell}");
    }
    let manual = String::from_utf8(polybmc().arg("manpage").output().unwrap().stdout).unwrap();
    for word in [".TH polybmc", "POLYBMC_CONTROL", "POLYBMC BOOT", "POLYBMC BENCH REDFISH", "power\\-policy"]
    {
        assert!(manual.contains(word), "{word} is not in the manual");
    }
}

#[cfg(feature = "libvirt")]
#[test]
fn a_machine_of_libvirt_by_its_uri() {
    let mut lab = Lab::new("[backend.lab]\ntype = 'libvirt'\nuri = 'test:///default'\n");
    lab.start(&[]);
    let said = lab.fails("add vm --backend test:///default --machine tset");
    assert!(said.contains("no domain tset") && said.contains("test"), "{said}");
    lab.ok("add vm --backend lab --machine test");
    let shown = lab.json("show vm");
    assert_eq!(
        (&shown["machine"], &shown["power"], &shown["problem"]),
        (&"test".into(), &"on".into(), &Value::Null)
    );
    let said = lab.fails("add again --backend test:///default --machine test");
    assert!(said.contains("belongs to the BMC vm already"), "{said}");

    let events = lab.follow(0);
    lab.ok("power vm off");
    events.wait_for("vm", "powered-off");
    assert_eq!(lab.ok("power vm status"), "off\n");
    // Bound by UUID, known by three names.
    let uuid = shown["uuid"].as_str().unwrap();
    assert_eq!(lab.json("show test")["name"], "vm");
    assert_eq!(lab.json(&format!("show {uuid}"))["name"], "vm");

    // A hypervisor that cannot be reached is no reason to refuse: the BMC says so, and recovers by itself.
    let warned = lab.ok("add far --backend qemu+tcp://127.0.0.1:1/system");
    assert!(warned.contains("cannot be reached"), "{warned}");
    assert!(lab.json("show far")["problem"].is_string());
    assert_eq!(lab.json("show far")["reachable"], false);
    assert!(lab.fails("power far status").contains("cannot be reached"), "nobody knows its power");
    let listed = lab.ok("list");
    let far = listed.lines().find(|line| line.starts_with("far ")).unwrap();
    assert!(far.contains("unknown"), "{far}");
    let log_of_start = |lab: &mut Lab| {
        lab.kill();
        lab.start(&[]);
        lab.log()
    };
    assert!(log_of_start(&mut lab).contains("; but: "), "ready, and silent about what is wrong");
}

#[cfg(not(feature = "libvirt"))]
#[test]
fn a_build_without_libvirt_says_so() {
    let mut lab = Lab::new("");
    lab.start(&[]);
    let said = lab.fails("add vm --backend test:///default --machine test");
    assert!(said.contains("was built without libvirt"), "{said}");
    lab.configure("[[bmc]]\nname = 'a'\nbackend = 'qemu:///system'\n");
    let said = lab.fails("reload");
    assert!(said.contains(":11: ") && said.contains("was built without libvirt"), "{said}");
}
