//! `discover`: BMCs for the domains that a pattern or a mark wants.

use polybmc_tests::doors::{Door, Machine, OFF, ON, Reply};
use polybmc_tests::lab::Lab;

use super::{Host, await_names, bare, domain, list, names, uuid};

const MARK: &str = "<polybmc:bmc xmlns:polybmc='urn:polybmc:bmc:1'/>";

fn backend(host: &Host, discover: &str) -> String {
    format!("[backend.lab]\ntype = \"libvirt\"\nuri = {:?}\n{discover}\n", host.uri)
}

fn serve(host: &Host, discover: &str) -> Lab {
    Lab::builder(0).config(&backend(host, discover)).start()
}

/// Changes lines of the configuration.
fn configure(lab: &Lab, from: &str, to: &str) {
    let text = std::fs::read_to_string(lab.daemon.config_path()).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(lab.daemon.config_path(), text.replace(from, to)).unwrap();
}

#[test]
fn domains_come_and_go_and_so_do_their_bmcs() {
    let host = Host::start("test:///default");
    host.define(&domain("web-1", 1, ""));
    let mut lab = serve(&host, "discover = \"web-*\"");
    assert_eq!(names(&lab), ["web-1"], "what is there is served when the daemon is ready");
    let first = list(&lab).remove(0);
    assert_eq!((&first["origin"], &first["machine"]), (&"discovered".into(), &"web-1".into()));
    assert!(lab.daemon.cli(["list"]).ok().contains("discovered"));

    host.define(&domain("web-2", 2, ""));
    host.define(&domain("db-1", 3, ""));
    await_names(&lab, &["web-1", "web-2"]);
    let machine = Machine::of(&lab, "web-2");
    assert_eq!(machine.power(Door::Ipmi, ON), Reply::Done);
    machine.await_power(true);
    assert!(host.virsh(&["domstate", "web-2"]).contains("running"));
    assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
    machine.await_power(false);
    lab.daemon.cli(["set", "web-2", "--asset-tag", "rack 7"]).ok();
    let before = lab.named("web-2");
    let (ipmi, redfish) = (before.ipmi, before.redfish.clone());

    // A new name: the same machine, the same BMC.
    host.virsh(&["domrename", "web-2", "web-2b"]);
    testkit::wait::eventually("the new name is shown", polybmc_tests::lab::SOON, || {
        lab.json(&["show", "web-2", "-o", "json"])["machine"] == "web-2b"
    });
    assert_eq!(names(&lab), ["web-1", "web-2"]);

    // It goes; and comes back as it was, also over a restart of the daemon.
    host.virsh(&["undefine", "web-2b"]);
    await_names(&lab, &["web-1"]);
    assert!(lab.daemon.stop().success());
    lab.daemon.restart();
    assert_eq!(names(&lab), ["web-1"]);
    host.define(&domain("web-2b", 2, ""));
    await_names(&lab, &["web-1", "web-2"]);
    let again = lab.named("web-2");
    assert_eq!((again.ipmi, again.redfish.clone(), again.uuid.clone()), (ipmi, redfish, uuid(2)));
    assert_eq!(lab.json(&["show", "web-2", "-o", "json"])["asset_tag"], "rack 7");

    // Another machine of that name is another machine: nothing of the old one is shown.
    host.virsh(&["undefine", "web-2b"]);
    await_names(&lab, &["web-1"]);
    host.define(&domain("web-2", 12, ""));
    await_names(&lab, &["web-1", "web-2"]);
    let other = lab.json(&["show", "web-2", "-o", "json"]);
    assert_eq!((&other["asset_tag"], &other["uuid"]), (&"".into(), &uuid(12).into()));

    let refused = lab.daemon.cli(["remove", "web-1"]).fails();
    assert!(refused.stderr.contains("[backend.lab]"), "{refused}");
    lab.daemon.cli(["stop", "web-1"]).ok();
    lab.daemon.kill();
    lab.daemon.restart();
    assert_eq!(list(&lab)[0]["state"], "stopped");
}

#[test]
fn a_mark_goes_before_all_patterns() {
    let host = Host::start("test:///default");
    host.define(&domain("marked", 1, MARK));
    host.define(&domain("web-1", 2, "<polybmc:bmc xmlns:polybmc='urn:polybmc:bmc:1' enabled='no'/>"));
    host.define(&domain("web-2", 3, ""));
    let lab = serve(&host, "discover = { names = \"web-*\", except = [\"*-old\"], bmc = \"lab.{name}\" }");
    assert_eq!(names(&lab), ["lab.marked", "lab.web-2"]);

    // Marked and unmarked while it is served, without a new definition.
    let mark = |domain: &str, mark: &str| {
        host.virsh(&["metadata", domain, "urn:polybmc:bmc:1", "--key", "polybmc", "--set", mark, "--config"]);
    };
    mark("web-1", "<bmc/>");
    await_names(&lab, &["lab.marked", "lab.web-1", "lab.web-2"]);
    mark("web-2", "<bmc enabled='no'/>");
    await_names(&lab, &["lab.marked", "lab.web-1"]);
    host.virsh(&["metadata", "marked", "urn:polybmc:bmc:1", "--remove", "--config"]);
    await_names(&lab, &["lab.web-1"]);

    // It names the BMC, and where that answers.
    let ip = lab.named("lab.web-1").ipmi.ip();
    mark("web-2", &format!("<bmc name='two' ipmi='{ip}:4444'/>"));
    await_names(&lab, &["lab.web-1", "two"]);
    assert_eq!(lab.named("two").ipmi.port(), 4444);

    // What cannot be had is said, and nothing else is held up by it.
    mark("marked", "<bmc name='not a name'/>");
    host.define(&domain("exposed", 5, "<p:bmc xmlns:p='urn:polybmc:bmc:1' ipmi='0.0.0.0:4445'/>"));
    host.define(&domain("taken", 6, "<p:bmc xmlns:p='urn:polybmc:bmc:1' name='two'/>"));
    host.define(&domain("wrong", 7, "<p:bmc xmlns:p='urn:polybmc:bmc:1' redfish='here'/>"));
    host.define(&domain("web-old", 8, ""));
    host.define(&domain("web-3", 9, ""));
    await_names(&lab, &["lab.web-1", "lab.web-3", "two"]);
    let log = lab.daemon.log();
    for words in [
        "`marked` of lab gets no BMC: a BMC's name has",
        "`exposed` of lab gets no BMC: it would answer on 0.0.0.0",
        "`taken` of lab gets no BMC: the name two belongs",
        "`wrong` of lab gets no BMC: `redfish` in its mark must be",
    ] {
        assert_eq!(log.matches(words).count(), 1, "{words}:\n{log}");
    }
}

/// A name is given again, and nothing that was another machine's comes with it: not by a mark, by `add`, nor by the file.
#[test]
fn a_name_that_is_given_again_brings_nothing_along() {
    let host = Host::start("test:///default");
    let named = |name: &str| format!("<p:bmc xmlns:p='urn:polybmc:bmc:1' name='{name}'/>");
    host.define(&domain("one", 1, &named("web")));
    host.define(&domain("other", 9, "<p:bmc xmlns:p='urn:polybmc:bmc:1' enabled='no'/>"));
    let lab = serve(&host, "discover = \"*\"");
    await_names(&lab, &["test", "web"]);
    let tag = |name: &str| lab.json(&["show", name, "-o", "json"])["asset_tag"].clone();
    let machine = |name: &str| lab.json(&["show", name, "-o", "json"])["uuid"].clone();
    lab.daemon.cli(["set", "web", "--asset-tag", "one's"]).ok();
    let socket = |name: &str| lab.json(&["system-interface", name, "show", "-o", "json"])["socket"].clone();

    // The mark names another, and the next domain gets the name; each finds its own again.
    host.define(&domain("one", 1, &named("moved")));
    await_names(&lab, &["moved", "test"]);
    host.define(&domain("two", 2, &named("web")));
    await_names(&lab, &["moved", "test", "web"]);
    assert_eq!((machine("web"), tag("web")), (uuid(2).into(), "".into()));
    lab.daemon.cli(["set", "web", "--asset-tag", "two's"]).ok();

    // It is gone, and somebody gives its name to a domain that has none.
    host.virsh(&["undefine", "two"]);
    await_names(&lab, &["moved", "test"]);
    lab.daemon.cli(["add", "web", "--backend", "lab", "--machine", "other"]).ok();
    assert_eq!((machine("web"), tag("web")), (uuid(9).into(), "".into()));
    assert_eq!(socket("web"), serde_json::Value::Null);
    lab.daemon.cli(["remove", "web"]).ok();

    // The same by the file.
    host.define(&domain("two", 2, &named("web")));
    await_names(&lab, &["moved", "test", "web"]);
    assert_eq!(tag("web"), "", "what another has had since is not its own");
    lab.daemon.cli(["set", "web", "--asset-tag", "two's"]).ok();
    host.virsh(&["undefine", "two"]);
    await_names(&lab, &["moved", "test"]);
    let declared = "[[bmc]]\nname = \"web\"\nbackend = \"lab\"\nmachine = \"other\"\n";
    configure(&lab, "[backend.lab]", &format!("{declared}[backend.lab]"));
    let report = lab.json(&["reload", "-o", "json"]);
    assert_eq!(report["added"], serde_json::json!(["web"]), "{report:#}");
    testkit::wait::eventually("it is the other domain's", polybmc_tests::lab::SOON, || {
        machine("web") == uuid(9)
    });
    assert_eq!(tag("web"), "");
}

/// Of two hypervisors that know a domain, its BMC is at the one where it runs, whatever their names; and stays there when it is off.
#[test]
fn a_definition_that_stays_behind_keeps_no_bmc() {
    let (old, new) = (Host::start("qemu:///session"), Host::start("qemu:///session"));
    old.define(&bare("web", 1));
    old.virsh(&["start", "web"]);
    let to = |name: &str, host: &Host| {
        format!("[backend.{name}]\ntype = \"libvirt\"\nuri = {:?}\ndiscover = \"*\"\n", host.uri)
    };
    let mut lab = Lab::builder(0).config(&format!("{}{}", to("a-old", &old), to("b-new", &new))).start();
    assert_eq!(list(&lab)[0]["backend"], "a-old");
    // As after `virsh migrate --persistent` without `--undefinesource`.
    new.define(&bare("web", 1));
    old.virsh(&["destroy", "web"]);
    new.virsh(&["start", "web"]);
    let at_new = |lab: &Lab| list(lab).iter().all(|bmc| bmc["backend"] == "b-new");
    testkit::wait::eventually("the BMC has moved", polybmc_tests::lab::SOON, || at_new(&lab));
    let machine = Machine::of(&lab, "web");
    machine.await_power(true);
    assert_eq!(machine.power(Door::Ipmi, OFF), Reply::Done);
    machine.await_power(false);
    assert!(at_new(&lab));
    assert!(lab.daemon.stop().success());
    lab.daemon.restart();
    assert!(at_new(&lab), "{:#?}", list(&lab));
    assert_eq!(old.virsh(&["domstate", "web"]).trim(), "shut off");
    new.virsh(&["undefine", "web"]);
}

#[test]
fn a_domain_that_has_a_bmc_gets_no_second_one() {
    let host = Host::start("test:///default");
    for (name, number) in [("web-1", 1), ("web-2", 2), ("web-3", 3)] {
        host.define(&domain(name, number, ""));
    }
    let declared = "[[bmc]]\nname = \"mine\"\nbackend = \"lab\"\nmachine = \"web-1\"\n";
    let config = format!("{}{declared}", backend(&host, "discover = [\"web-?\"]"));
    let lab = Lab::builder(0).config(&config).start();
    assert_eq!(names(&lab), ["mine", "web-2", "web-3"]);
    let refused = lab.daemon.cli(["add", "other", "--backend", "lab", "--machine", "web-2"]).fails();
    assert!(refused.stderr.contains("belongs to the BMC web-2"), "{refused}");

    // The file lets go of it: then it is discovered; and the other way round, with all that is stored.
    let port = lab.named("web-2").ipmi.port();
    lab.daemon.cli(["set", "web-2", "--asset-tag", "kept"]).ok();
    configure(&lab, declared, "[[bmc]]\nname = \"web-2\"\nbackend = \"lab\"\n");
    let report = lab.json(&["reload", "-o", "json"]);
    assert_eq!(report["failed"], serde_json::json!([]), "{report:#}");
    assert_eq!(names(&lab), ["web-1", "web-2", "web-3"]);
    let shown = lab.json(&["show", "web-2", "-o", "json"]);
    assert_eq!((&shown["origin"], &shown["asset_tag"]), (&"file".into(), &"kept".into()));
    assert_eq!(lab.named("web-2").ipmi.port(), port);

    // A changed pattern, and none.
    configure(&lab, "\"web-?\"", "\"web-1\"");
    let report = lab.json(&["reload", "-o", "json"]);
    assert_eq!(report["removed"], serde_json::json!(["web-3"]), "{report:#}");
    assert_eq!(report["needs_restart"], serde_json::json!([]), "{report:#}");
    assert_eq!(names(&lab), ["web-1", "web-2"]);
    configure(&lab, "discover = [\"web-1\"]", "");
    lab.daemon.cli(["reload"]).ok();
    assert_eq!(names(&lab), ["web-2"]);
    configure(&lab, "type = \"libvirt\"", "type = \"libvirt\"\ndiscover = \"*\"");
    lab.daemon.cli(["reload"]).ok();
    assert_eq!(names(&lab), ["test", "web-1", "web-2", "web-3"]);
    assert!(host.refuses(&["domstate", "nobody"]).stderr.contains("nobody"));
}

/// A hypervisor that is away takes no BMC with it, also over a restart of the daemon; what changed meanwhile is caught up with.
#[test]
fn a_hypervisor_that_is_away_keeps_its_bmcs() {
    let mut host = Host::start("qemu:///session");
    host.define(&bare("web-1", 1));
    host.define(&bare("web-2", 2));
    let mut lab = serve(&host, "discover = \"*\"");
    assert_eq!(names(&lab), ["web-1", "web-2"]);
    let port = lab.named("web-2").ipmi.port();
    host.libvirtd.kill();
    assert!(lab.daemon.stop().success());
    lab.daemon.restart();
    assert_eq!(names(&lab), ["web-1", "web-2"], "they answer and say that their machines are away");
    assert!(list(&lab).iter().all(|bmc| bmc["reachable"] == false && bmc["state"] == "serving"));
    host.libvirtd.start();
    host.libvirtd.await_ready();
    host.virsh(&["undefine", "web-1"]);
    host.define(&bare("web-3", 3));
    await_names(&lab, &["web-2", "web-3"]);
    assert_eq!(lab.named("web-2").ipmi.port(), port);
    let machine = Machine::of(&lab, "web-3");
    machine.await_power(false);
    assert_eq!(machine.power(Door::Redfish, ON), Reply::Done);
    machine.await_power(true);

    // A transient domain has its BMC for as long as there is one.
    let file = host.libvirtd.folder().join("create.xml");
    std::fs::write(&file, bare("passing", 4)).unwrap();
    host.virsh(&["create", &file.display().to_string()]);
    await_names(&lab, &["passing", "web-2", "web-3"]);
    host.virsh(&["destroy", "passing"]);
    await_names(&lab, &["web-2", "web-3"]);
    assert_eq!(machine.power(Door::Ipmi, OFF), Reply::Done);
    machine.await_power(false);
}
