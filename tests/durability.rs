//! A power cut at any moment: what was acknowledged over any door is there when the daemon comes back.
//!
//! ```text
//!   four writers, each on records of its own ──► acknowledged, one by one ──► SIGKILL after a random number of them
//!          ▲                                                                              │
//!          └─────────────────── again ◄── compare with what is there ◄── restart ◄────────┘
//! ```
//!
//! Of the one change that a writer had under way nobody knows whether it was made: both are right, anything else is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use polybmc_tests::doors::Machine;
use polybmc_tests::lab::{Lab, PASSWORD, USER, ipmitool, ipmitool_as};
use polybmc_tests::redfish::{Redfish, SYSTEMS};
use serde_json::{Value, json};
use testkit::tools::Tool;
use testkit::{paths, wait};

const ROUNDS: usize = 8;
/// The power is cut after at most so many acknowledged changes of a round.
const MOST: usize = 40;
/// How long those may take.
const LIMIT: Duration = Duration::from_secs(60);
/// A writer's client gives up soon when the daemon is gone.
const GONE: Duration = Duration::from_secs(20);

/// What a writer knows of one record.
#[derive(Debug, Clone)]
struct Known<T> {
    /// As last acknowledged.
    is: T,
    /// As last asked for without an answer.
    may_be: Option<T>,
}

impl<T: Clone + PartialEq + std::fmt::Debug> Known<T> {
    fn new(is: T) -> Self {
        Self { is, may_be: None }
    }

    /// Asks for one change after another, until one is not acknowledged.
    fn write(&mut self, count: &AtomicUsize, values: impl Iterator<Item = T>, ask: impl Fn(&T) -> bool) {
        for value in values {
            if !ask(&value) {
                self.may_be = Some(value);
                return;
            }
            self.is = value;
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what is there after the restart for what is.
    #[track_caller]
    fn compare(&mut self, what: &str, found: T) {
        let fits = found == self.is || self.may_be.as_ref() == Some(&found);
        assert!(fits, "{what} is {found:?} after a power cut, and should be {self:?}");
        *self = Self::new(found);
    }
}

/// Where the writers write. It holds nothing of the lab, which is killed under their hands.
#[derive(Debug)]
struct Doors {
    ipmi: SocketAddr,
    redfish: Redfish,
    account: SocketAddr,
    control: PathBuf,
}

impl Doors {
    fn of(lab: &Lab) -> Self {
        Self {
            ipmi: lab.node(0).ipmi,
            redfish: Redfish::of(&lab.node(1)),
            account: lab.node(2).ipmi,
            control: lab.daemon.control(),
        }
    }

    fn cli(&self, args: &[&str]) -> Tool {
        Tool::at(paths::polybmc()).arg("--control").arg(&self.control).args(args).limit(GONE)
    }

    fn boot_over_ipmi(&self, (target, lasting): &(String, String)) -> bool {
        let options = (lasting == "continuous").then_some("options=persistent");
        let tool =
            ipmitool(self.ipmi).args(["-N", "1", "-R", "1", "chassis", "bootdev", target]).args(options);
        let ran = tool.limit(GONE).run();
        ran.success() && ran.stdout.contains("Set Boot Device to") && !ran.stderr.contains("failed")
    }

    fn boot_and_tag_over_redfish(&self, (target, tag): &(String, String)) -> bool {
        let boot = json!({ "BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": "Continuous" });
        let body = json!({ "Boot": boot, "AssetTag": tag }).to_string();
        let tool =
            self.redfish.curl(&format!("{SYSTEMS}/node-1")).args(["--request", "PATCH", "--max-time", "10"]);
        let ran = tool
            .args(["--header", "Content-Type: application/json", "--data-binary", "@-"])
            .stdin(body)
            .run();
        ran.stdout.starts_with("HTTP/1.1 204")
    }

    fn password(&self, password: &String) -> bool {
        self.cli(&["set", "node-2", "--password-file", "-"]).stdin(password.as_bytes()).run().success()
    }
}

/// BMCs added and removed: the present ones with their endpoints, and the one that is on its way in or out.
#[derive(Debug, Default)]
struct Added {
    present: BTreeMap<String, (Value, Value)>,
    unsure: Option<String>,
    next: usize,
}

impl Added {
    fn write(&mut self, count: &AtomicUsize, doors: &Doors) {
        loop {
            // Every third time one goes.
            let goes = (self.next % 3 == 2).then(|| self.present.keys().next().cloned()).flatten();
            let name = goes.clone().unwrap_or_else(|| format!("added-{:03}", self.next));
            self.next += 1;
            let verb = if goes.is_some() { vec!["remove", &name] } else { vec!["add", &name, "-o", "json"] };
            let ran = doors.cli(&verb).run();
            if !ran.success() {
                self.unsure = Some(name);
                return;
            }
            if goes.is_some() {
                self.present.remove(&name);
            } else {
                let bmc: Value = serde_json::from_str(&ran.stdout).expect("a BMC is shown as JSON");
                self.present.insert(name, (bmc["ipmi"].clone(), bmc["redfish"].clone()));
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn compare(&mut self, lab: &Lab) {
        let list = lab.json(&["list", "-o", "json"]);
        let list = list.as_array().expect("a list of BMCs");
        let added = |bmc: &&Value| bmc["name"].as_str().is_some_and(|name| name.starts_with("added-"));
        let found: BTreeMap<String, (Value, Value)> = list
            .iter()
            .filter(added)
            .map(|bmc| {
                (
                    bmc["name"].as_str().unwrap_or_default().to_owned(),
                    (bmc["ipmi"].clone(), bmc["redfish"].clone()),
                )
            })
            .collect();
        let sure = |all: &BTreeMap<String, (Value, Value)>| {
            let mut all = all.clone();
            if let Some(unsure) = &self.unsure {
                all.remove(unsure);
            }
            all
        };
        assert_eq!(sure(&found), sure(&self.present), "unsure of {:?}", self.unsure);
        assert!(list.iter().all(|bmc| bmc["state"] == "serving"), "{list:#?}");
        *self = Self { present: found, unsure: None, next: self.next };
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    let mut lab = Lab::builder(3).log("info").start();
    let pair = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    let mut over_ipmi = Known::new(pair("none", "disabled"));
    let mut over_redfish = Known::new(pair("None", ""));
    let mut password = Known::new(PASSWORD.to_owned());
    let mut added = Added::default();

    for round in 0..ROUNDS {
        let doors = Doors::of(&lab);
        let cut_after = rand::random_range(1..=MOST);
        let count = AtomicUsize::new(0);
        let last_event = std::thread::scope(|scope| {
            let devices = ["pxe", "disk", "cdrom"].iter().cycle().zip(["once", "continuous"].iter().cycle());
            let devices = devices.map(|(device, lasting)| pair(device, lasting));
            scope.spawn(|| over_ipmi.write(&count, devices, |value| doors.boot_over_ipmi(value)));
            let targets = ["Pxe", "Hdd", "Cd"].iter().cycle().zip(0..);
            let tagged = targets.map(|(target, number)| pair(target, &format!("tag {round}.{number}")));
            scope
                .spawn(|| over_redfish.write(&count, tagged, |value| doors.boot_and_tag_over_redfish(value)));
            let passwords = (0..).map(|number| format!("Word-{round}-{number}"));
            scope.spawn(|| password.write(&count, passwords, |value| doors.password(value)));
            scope.spawn(|| added.write(&count, &doors));

            let reached = wait::poll(LIMIT, || (count.load(Ordering::Relaxed) >= cut_after).then_some(()));
            let last_event = lab.last_event();
            // First the cut: writers whose daemon lives never end.
            lab.daemon.kill();
            assert!(reached.is_some(), "{cut_after} changes were not acknowledged within {LIMIT:?}");
            last_event
        });
        lab.daemon.restart();

        let boot = lab.node(0).boot();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        over_ipmi.compare("the boot override over IPMI", (text(&boot["target"]), text(&boot["enabled"])));
        let system = Redfish::of(&lab.node(1)).read(&format!("{SYSTEMS}/node-1"));
        let found = (text(&system["Boot"]["BootSourceOverrideTarget"]), text(&system["AssetTag"]));
        over_redfish.compare("the boot override and the asset tag over Redfish", found);
        let candidates = [Some(password.is.clone()), password.may_be.clone()].into_iter().flatten();
        let mut works = candidates
            .filter(|word| ipmitool_as(lab.node(2).ipmi, USER, word).args(["mc", "guid"]).run().success());
        let found = works.next().unwrap_or_else(|| panic!("no password works any more: {password:?}"));
        password.compare("the password", found);
        added.compare(&lab);
        let events = lab.events(0);
        let ids: Vec<u64> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "no id is given twice: {ids:?}");
        let started =
            events.iter().rfind(|event| event["kind"] == "started").expect("a start makes an event");
        assert!(
            started["id"].as_u64() > Some(last_event),
            "ids grow over a power cut: {started} after {last_event}"
        );
        assert_eq!(lab.node(2).ipmi, doors.account, "endpoints stay");
    }
    assert!(!lab.daemon.log().contains("panicked"), "{}", lab.daemon.log());
}

/// What a simulated machine has in its firmware's memory: both protocols tell the same after a power cut, and what they told before.
#[test]
fn the_firmware_of_a_simulated_machine_survives_a_power_cut() {
    let mut lab = Lab::builder(1).log("info").start();
    let system = format!("{SYSTEMS}/node-0");
    let seen = |lab: &Lab| {
        let machine = Machine::of(lab, "node-0");
        let redfish = Redfish::of(&lab.node(0));
        let read = |path: &str| redfish.read(&format!("{system}{path}"));
        let boot = read("")["Boot"].clone();
        let secure = read("/SecureBoot");
        json!({
            "mode": boot["BootSourceOverrideMode"],
            "target": boot["BootSourceOverrideTarget"],
            "uri": boot["HttpBootUri"],
            "order": boot["BootOrder"],
            "enable": secure["SecureBootEnable"],
            "keys": secure["SecureBootMode"],
            "attributes": read("/Bios")["Attributes"],
            "ipmi": machine.boot_flags(),
        })
    };
    let redfish = Redfish::of(&lab.node(0));
    let patch = |path: &str, body: Value| {
        redfish.patch(&format!("{system}{path}"), &body).expect(204);
    };
    let order = redfish.read(&system)["Boot"]["BootOrder"].as_array().cloned().unwrap_or_default();
    let reversed: Vec<Value> = order.iter().rev().cloned().collect();
    assert!(reversed.len() > 1 && reversed != order);
    patch("", json!({"Boot": {"BootSourceOverrideMode": "UEFI"}}));
    patch("", json!({"Boot": {"BootOrder": reversed}}));
    patch("/SecureBoot", json!({"SecureBootEnable": true}));
    let reset = format!("{system}/SecureBoot/Actions/SecureBoot.ResetKeys");
    redfish.post(&reset, &json!({"ResetKeysType": "DeletePK"})).expect(204);
    lab.node(0).bring_up();
    patch(
        "",
        json!({"Boot": {
            "BootSourceOverrideTarget": "UefiHttp",
            "BootSourceOverrideEnabled": "Continuous",
            "HttpBootUri": "http://192.0.2.1/boot.efi",
        }}),
    );
    let before = seen(&lab);
    assert_eq!((&before["enable"], &before["keys"]), (&json!(true), &json!("SetupMode")));
    assert_eq!((&before["mode"], &before["order"]), (&json!("UEFI"), &json!(reversed)));
    assert_eq!(before["uri"], "http://192.0.2.1/boot.efi");
    for _ in 0..2 {
        lab.daemon.kill();
        lab.daemon.restart();
        assert_eq!(seen(&lab), before);
    }
    // And back: nothing is left of it.
    let patch = |path: &str, body: Value| {
        Redfish::of(&lab.node(0)).patch(&format!("{system}{path}"), &body).expect(204);
    };
    patch("", json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}}));
    patch("", json!({"Boot": {"BootSourceOverrideMode": "Legacy"}}));
    let before = seen(&lab);
    assert_eq!(before["mode"], "Legacy");
    lab.daemon.kill();
    lab.daemon.restart();
    assert_eq!(seen(&lab), before);
}
