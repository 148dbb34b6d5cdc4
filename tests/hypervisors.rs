//! Many machines, and hypervisors that others work on: BMCs that come and go with the domains.
//!
//! The hypervisor is a libvirtd of the test's own, with the `test` driver where no guest has to run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "hypervisors/discovery.rs"]
mod discovery;
#[path = "hypervisors/lifecycle.rs"]
mod lifecycle;
#[path = "hypervisors/many.rs"]
mod many;
#[path = "hypervisors/rounds.rs"]
mod rounds;
#[path = "hypervisors/trouble.rs"]
mod trouble;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use polybmc_tests::lab::{Lab, SOON};
use serde_json::Value;
use testkit::guest::Libvirtd;
use testkit::tools::{Ran, Tool};
use testkit::wait;

/// A libvirtd of the test's own, and `virsh` as a second hand.
struct Host {
    libvirtd: Libvirtd,
    uri: String,
    /// The `test` driver forgets everything with its last connection.
    held: Child,
    _said: Lines<BufReader<ChildStdout>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.held.kill();
        let _ = self.held.wait();
    }
}

impl Host {
    /// Starts one; `driver` is `test:///default` or `qemu:///session`.
    fn start(driver: &str) -> Self {
        let mut libvirtd = Libvirtd::new();
        libvirtd.start();
        libvirtd.await_ready();
        let uri = libvirtd.uri(driver);
        let mut held = Command::new("virsh");
        held.args(["-q", "-c", &uri]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut held = held.spawn().expect("virsh is installed");
        held.stdin.as_mut().expect("it has one").write_all(b"list\necho connected\n").expect("virsh reads");
        let mut said = BufReader::new(held.stdout.take().expect("it has one")).lines();
        assert!(
            said.any(|line| line.is_ok_and(|line| line.contains("connected"))),
            "virsh has no connection"
        );
        Self { libvirtd, uri, held, _said: said }
    }

    fn tool(&self, args: &[&str]) -> Tool {
        Tool::find("virsh").args(["-q", "-c", &self.uri]).args(args)
    }

    #[track_caller]
    fn virsh(&self, args: &[&str]) -> String {
        self.tool(args).ok()
    }

    #[track_caller]
    fn refuses(&self, args: &[&str]) -> Ran {
        self.tool(args).fails()
    }

    #[track_caller]
    fn define(&self, xml: &str) {
        let file = self.libvirtd.folder().join("define.xml");
        std::fs::write(&file, xml).expect("the folder can be written");
        self.virsh(&["define", &file.display().to_string()]);
    }
}

/// A domain of the `test` driver with a UUID that its number makes, and something in its metadata.
fn domain(name: &str, number: u32, metadata: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{}</uuid><metadata>{metadata}</metadata>\
         <memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os></domain>",
        uuid(number)
    )
}

/// A machine of QEMU with nothing to boot: it is on within a second, and then waits.
fn bare(name: &str, number: u32) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><uuid>{}</uuid><memory unit='MiB'>32</memory>\
         <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>\
         <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>\
         <interface type='user'><model type='virtio'/></interface></devices></domain>",
        uuid(number)
    )
}

fn uuid(number: u32) -> String {
    format!("11111111-2222-3333-4444-{number:012}")
}

/// `polybmc list` as JSON.
#[track_caller]
fn list(lab: &Lab) -> Vec<Value> {
    lab.json(&["list", "-o", "json"]).as_array().expect("a list").clone()
}

/// The names of all BMCs.
#[track_caller]
fn names(lab: &Lab) -> Vec<String> {
    list(lab).iter().map(|bmc| bmc["name"].as_str().expect("a name").to_owned()).collect()
}

#[track_caller]
fn await_names(lab: &Lab, wanted: &[&str]) {
    let reached = wait::poll(SOON, || (names(lab) == wanted).then_some(()));
    assert!(reached.is_some(), "{:?} and not {wanted:?}\n{}", names(lab), lab.daemon.log());
}
