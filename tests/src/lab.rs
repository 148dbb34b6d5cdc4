//! A daemon of the test's own with simulated machines `node-0`, `node-1`, ...
//!
//! ```no_run
//! use polybmc_tests::lab::Lab;
//!
//! let lab = Lab::builder(1).start();
//! let before = lab.last_event();
//! lab.node(0).ipmitool().args(["power", "on"]).ok();
//! lab.node(0).await_power("on");
//! assert_eq!(lab.power_changes_since(before, "node-0"), ["powered-on"]);
//! ```

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;
use testkit::daemon::Daemon;
use testkit::tools::Tool;
use testkit::{ports, wait};

/// The administrator's name, as without configuration.
pub const USER: &str = "admin";
/// The administrator's password, as without configuration.
pub const PASSWORD: &str = "password";
/// How long a simulated machine may take to do what it was asked, on a busy host.
pub const SOON: Duration = Duration::from_secs(30);

/// Ports that one lab has to itself on the test's own address.
const BLOCK: u16 = 1_000;
/// The first port of a block has the aggregate root, IPMI begins here.
const IPMI: u16 = 100;
/// Redfish of the single BMCs begins here.
const REDFISH: u16 = 500;

/// How to start a lab.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    machines: u32,
    defaults: String,
    more: String,
    log: String,
    post: Duration,
    boot: Duration,
    shutdown: Duration,
}

/// A daemon and its machines.
#[derive(Debug)]
pub struct Lab {
    /// The daemon.
    pub daemon: Daemon,
    /// The root over all BMCs, an URL.
    pub aggregate: String,
    nodes: Vec<String>,
}

/// One BMC of a lab.
#[derive(Debug)]
pub struct Node<'a> {
    lab: &'a Lab,
    /// Its name.
    pub name: String,
    /// Where it speaks IPMI.
    pub ipmi: SocketAddr,
    /// Where it speaks Redfish: its root, without a slash at the end.
    pub redfish: String,
    /// The machine's UUID, in lower case with hyphens.
    pub uuid: String,
}

impl Builder {
    /// Adds lines to `[defaults]`.
    pub fn defaults(mut self, lines: &str) -> Self {
        self.defaults.push_str(lines);
        self.defaults.push('\n');
        self
    }

    /// Adds tables to the configuration.
    pub fn config(mut self, tables: &str) -> Self {
        self.more.push_str(tables);
        self
    }

    /// Sets what is logged; `debug` without this.
    pub fn log(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.log);
        self
    }

    /// Sets how long the firmware's self-test takes; some milliseconds without this.
    pub fn post(mut self, time: Duration) -> Self {
        self.post = time;
        self
    }

    /// Sets how long the operating system takes to come up; some milliseconds without this.
    pub fn boot(mut self, time: Duration) -> Self {
        self.boot = time;
        self
    }

    /// Sets how long the operating system takes to shut down; some milliseconds without this.
    pub fn shutdown(mut self, time: Duration) -> Self {
        self.shutdown = time;
        self
    }

    /// Starts the daemon and waits until it serves.
    #[track_caller]
    pub fn start(self) -> Lab {
        static BLOCKS: AtomicU16 = AtomicU16::new(10);
        let first = BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK;
        let address = ports::own_address();
        let config = format!(
            "[daemon]\nlog = {:?}\n\
             [redfish]\nlisten = \"{address}:{first}\"\n\
             [backend.sim]\npost_ms = {}\nboot_ms = {}\nshutdown_ms = {}\n\
             [defaults]\naddress = \"{address}\"\nipmi_port = {}\nredfish_port = {}\n{}\n{}",
            self.log,
            self.post.as_millis(),
            self.boot.as_millis(),
            self.shutdown.as_millis(),
            first + IPMI,
            first + REDFISH,
            self.defaults,
            self.more,
        );
        let daemon = Daemon::builder().config(config).sim(self.machines).start();
        let nodes = (0..self.machines).map(|n| format!("node-{n}")).collect();
        let scheme = if self.defaults.contains("tls = \"off\"") { "http" } else { "https" };
        Lab { daemon, aggregate: format!("{scheme}://{address}:{first}"), nodes }
    }
}

impl Lab {
    /// How to start one with this many simulated machines.
    pub fn builder(machines: u32) -> Builder {
        let short = Duration::from_millis(20);
        Builder {
            machines,
            defaults: String::new(),
            more: String::new(),
            log: "debug".to_owned(),
            post: short,
            boot: short,
            shutdown: short,
        }
    }

    /// The BMC `node-N`, asked for afresh.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn node(&self, number: usize) -> Node<'_> {
        let name = self.nodes.get(number).expect("the lab has this many machines");
        self.named(name)
    }

    /// The BMC of this name, asked for afresh.
    ///
    /// # Panics
    /// When there is none, or it does not serve both protocols.
    #[track_caller]
    pub fn named(&self, name: &str) -> Node<'_> {
        let shown = self.json(&["show", name, "-o", "json"]);
        let text =
            |key: &str| shown[key].as_str().unwrap_or_else(|| panic!("no {key} in {shown:#}")).to_owned();
        let redfish = text("redfish").trim_end_matches('/').to_owned();
        let ipmi = text("ipmi").parse().expect("an address and a port");
        Node { lab: self, name: name.to_owned(), ipmi, redfish, uuid: text("uuid") }
    }

    /// Runs a `polybmc` verb that prints one JSON document.
    ///
    /// # Panics
    /// When it fails, or prints anything else.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.daemon.cli(args).ok();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error} in the output of {args:?}:\n{text}"))
    }

    /// All events with an id above `after`, oldest first.
    ///
    /// # Panics
    /// When they cannot be had.
    #[track_caller]
    pub fn events(&self, after: u64) -> Vec<Value> {
        let text = self.daemon.cli(["events", "-o", "json", "--after", &after.to_string()]).ok();
        text.lines().map(|line| serde_json::from_str(line).expect("an event is one line of JSON")).collect()
    }

    /// The id of the newest event; 0 without any.
    #[track_caller]
    pub fn last_event(&self) -> u64 {
        self.events(0).last().and_then(|event| event["id"].as_u64()).unwrap_or(0)
    }

    /// What happened on one BMC since the event `after`, by kind.
    #[track_caller]
    pub fn kinds_since(&self, after: u64, name: &str) -> Vec<String> {
        let events = self.events(after).into_iter().filter(|event| event["bmc"] == name);
        events.map(|event| event["kind"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The same without what the machine boots from: that is told beside its power, sooner or later by backend.
    #[track_caller]
    pub fn power_changes_since(&self, after: u64, name: &str) -> Vec<String> {
        let kinds = self.kinds_since(after, name).into_iter();
        kinds.filter(|kind| kind != "booted" && !kind.starts_with("boot-override")).collect()
    }

    /// Waits until something of this kind has happened on one BMC since the event `after`, and returns it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn await_event(&self, after: u64, name: &str, kind: &str) -> Value {
        let found = wait::poll(SOON, || {
            self.events(after).into_iter().find(|event| event["bmc"] == name && event["kind"] == kind)
        });
        found.unwrap_or_else(|| panic!("no event {kind} of {name}, only {:#?}", self.events(after)))
    }
}

impl Node<'_> {
    /// The machine's power as `polybmc power NAME status` shows it.
    #[track_caller]
    pub fn power(&self) -> String {
        let view = self.lab.json(&["power", &self.name, "status", "-o", "json"]);
        view["power"].as_str().unwrap_or_else(|| panic!("no power in {view:#}")).to_owned()
    }

    /// Waits until the machine's power is this.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_power(&self, wanted: &str) {
        let reached = wait::poll(SOON, || (self.power() == wanted).then_some(()));
        assert!(reached.is_some(), "{} is {} and not {wanted}", self.name, self.power());
    }

    /// Brings the machine up to its operating system, from off, by the command line.
    #[track_caller]
    pub fn bring_up(&self) {
        let before = self.lab.last_event();
        self.lab.daemon.cli(["power", &self.name, "on"]).ok();
        self.await_power("on");
        self.lab.await_event(before, &self.name, "booted");
    }

    /// Takes the machine's power away, by the command line.
    #[track_caller]
    pub fn put_down(&self) {
        self.lab.daemon.cli(["power", &self.name, "off"]).ok();
        self.await_power("off");
    }

    /// The boot override as `polybmc boot NAME show` has it.
    #[track_caller]
    pub fn boot(&self) -> Value {
        self.lab.json(&["boot", &self.name, "show", "-o", "json"])
    }

    /// `ipmitool -I lanplus` as the administrator, ready for a command. Suite 17, as ipmitool itself prefers.
    #[track_caller]
    pub fn ipmitool(&self) -> Tool {
        ipmitool(self.ipmi)
    }
}

/// `ipmitool -I lanplus` as the administrator, to any address.
#[track_caller]
pub fn ipmitool(to: SocketAddr) -> Tool {
    ipmitool_as(to, USER, PASSWORD)
}

/// `ipmitool -I lanplus` as anyone, to any address.
#[track_caller]
pub fn ipmitool_as(to: SocketAddr, user: &str, password: &str) -> Tool {
    let (host, port) = (to.ip().to_string(), to.port().to_string());
    Tool::find("ipmitool").args(["-I", "lanplus", "-H", &host, "-p", &port, "-U", user, "-P", password])
}
