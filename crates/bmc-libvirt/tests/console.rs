//! The serial console and the statistics of a real guest, under a libvirtd of the test's own, which can be killed and which nobody else
//! looks at. One guest for everything: it takes seconds to boot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bmc_core::backend::{Backend, Machine, MachineRef, ObservedPower, Report, Reports, Statistics};
use bmc_core::boot::BootPlan;
use bmc_core::console::{Console, ConsoleInput, ConsoleState, InputError, Viewer};
use bmc_libvirt::{ConsolePolicy, LibvirtBackend, Options};
use testkit::guest::{self, Libvirtd};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use virt::connect::Connect;
use virt::stream::Stream;

/// A boot in software emulation, beside other tests.
const LIMIT: Duration = guest::BOOT_LIMIT;
const BOOTED: &str = "TESTGUEST booted-from=kernel";

/// Somebody in front of the screen.
struct Person {
    console: Console,
    viewer: Viewer,
    seen: Vec<u8>,
}

impl Person {
    fn before(console: &Console) -> Self {
        Self { console: console.clone(), viewer: console.view(), seen: Vec::new() }
    }

    /// Waits until the console says `text`, after what was waited for before.
    async fn reads(&mut self, text: &str) {
        let found = async {
            loop {
                self.seen.extend(self.viewer.take(usize::MAX).bytes);
                let place = self.seen.windows(text.len()).position(|part| part == text.as_bytes());
                if let Some(place) = place {
                    self.seen.drain(..place + text.len());
                    return;
                }
                assert!(self.viewer.changed().await, "the console is gone");
            }
        };
        let found = timeout(LIMIT, found).await;
        let (seen, state) = (String::from_utf8_lossy(&self.seen), self.console.state());
        found.unwrap_or_else(|_| panic!("waited in vain for {text:?}; {state:?}, and read:\n{seen}"));
    }

    fn types(&self, text: &str) {
        self.console.send(ConsoleInput::Bytes(text.as_bytes().to_vec())).unwrap();
    }

    /// The guest lives and both directions work.
    async fn pings(&mut self) {
        self.types("ping\n");
        self.reads("TESTGUEST pong").await;
    }
}

/// Waits until the console's state is one that `wanted` picks.
async fn state(console: &Console, wanted: impl Fn(&ConsoleState) -> bool) {
    let mut viewer = console.view_from_now();
    let came = async {
        while !wanted(&console.state()) {
            assert!(viewer.changed().await, "the console is gone");
        }
    };
    let came = timeout(LIMIT, came).await;
    came.unwrap_or_else(|_| panic!("the console stays {:?}", console.state()));
}

async fn open(console: &Console) {
    state(console, |state| *state == ConsoleState::Open).await;
}

async fn closed(console: &Console, why: &str) {
    state(console, |state| matches!(state, ConsoleState::Closed(said) if said.contains(why))).await;
}

async fn report(reports: &mut UnboundedReceiver<Report>, wanted: impl Fn(&Report) -> bool) -> Report {
    let found = async {
        loop {
            let report = reports.recv().await.expect("the backend lives");
            if wanted(&report) {
                return report;
            }
        }
    };
    timeout(LIMIT, found).await.expect("the report comes")
}

async fn statistics(
    reports: &mut UnboundedReceiver<Report>,
    wanted: impl Fn(&Statistics) -> bool,
) -> Statistics {
    let found = report(reports, |report| matches!(report, Report::Statistics(told) if wanted(told))).await;
    let Report::Statistics(found) = found else { panic!("statistics were asked for") };
    found
}

fn attach(backend: &Arc<LibvirtBackend>) -> (Arc<dyn Machine>, UnboundedReceiver<Report>) {
    let (reports, receiver) = Reports::channel();
    (backend.attach(MachineRef { uuid: None, name: "node".to_owned() }, reports), receiver)
}

fn uuid(uri: &str) -> String {
    let connect = Connect::open(Some(uri)).unwrap();
    connect.lookup_domain_by_name("node").unwrap().uuid_string().unwrap()
}

fn start(libvirtd: &mut Libvirtd) {
    libvirtd.start();
    libvirtd.await_ready();
}

fn domain(serial: &str, os: &str) -> String {
    format!(
        "<domain type='qemu'><name>node</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type>{os}</os><features><acpi/></features>\
         <devices>{serial}</devices></domain>"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn guest_console_and_statistics() {
    let mut libvirtd = Libvirtd::new();
    start(&mut libvirtd);
    let uri = libvirtd.uri("qemu:///session");
    let options = Options { statistics_interval: Duration::from_secs(1), ..Options::default() };
    let backend = LibvirtBackend::with(&uri, options);
    let (machine, mut reports) = attach(&backend);
    let (kernel, initrd) = guest::boot_files(&libvirtd.folder().join("guest"));
    let os = format!(
        "<kernel>{}</kernel><initrd>{}</initrd>\
         <cmdline>console=ttyS0,115200 quiet panic=-1 testguest.from=kernel</cmdline>",
        kernel.display(),
        initrd.display()
    );
    report(&mut reports, |report| matches!(report, Report::Unavailable(_))).await;
    let console = machine.console().expect("consoles are held");
    closed(&console, "has no domain").await;
    Connect::open(Some(&uri)).unwrap().define_domain_xml(&domain("<serial type='pty'/>", &os)).unwrap();
    report(&mut reports, |report| matches!(report, Report::Available(_))).await;
    closed(&console, "the machine is off").await;

    // Output, input, and what a late viewer sees.
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    let mut person = Person::before(&console);
    person.reads(BOOTED).await;
    person.pings().await;
    let mut late = Person::before(&console);
    late.reads(BOOTED).await;
    late.pings().await;
    person.reads("TESTGUEST pong").await;

    // A break makes Linux take the next key for itself.
    console.send(ConsoleInput::Break).unwrap();
    person.types("h");
    person.reads("sysrq: HELP").await;

    // Work is load, rest is none.
    person.types("work\n");
    person.reads("TESTGUEST working").await;
    let busy = statistics(&mut reports, |told| told.cpu_percent >= 40).await;
    assert!((1..=100).contains(&busy.memory_percent), "{busy:?}");
    person.types("rest\n");
    person.reads("TESTGUEST resting").await;
    let idle = statistics(&mut reports, |told| told.cpu_percent <= 20).await;
    assert!(idle.cpu_percent < busy.cpu_percent);

    // A restart from inside keeps the line; nobody has to open anything.
    let mut viewer = console.view_from_now();
    person.types("reboot\n");
    person.reads("TESTGUEST rebooting").await;
    person.reads(BOOTED).await;
    assert_eq!((viewer.state(), viewer.take(usize::MAX).skipped), (ConsoleState::Open, 0));
    person.pings().await;
    report(&mut reports, |report| *report == Report::Rebooted).await;

    // A machine that takes no input takes no other machine down with it.
    machine_that_takes_no_input(&backend, &*machine, &mut person).await;

    // Somebody takes the console by force: it is theirs until they leave.
    {
        let other = Connect::open(Some(&uri)).unwrap();
        let stream = Stream::new(&other, virt_sys::VIR_STREAM_NONBLOCK).unwrap();
        let domain = other.lookup_domain_by_name("node").unwrap();
        domain.open_console(None, &stream, virt_sys::VIR_DOMAIN_CONSOLE_FORCE).unwrap();
        closed(&console, "another program holds").await;
        assert_eq!(console.send(ConsoleInput::Break), Err(InputError::Closed));
        stream.abort().unwrap();
    }
    open(&console).await;
    person.pings().await;

    // libvirtd dies; the guest does not notice.
    libvirtd.kill();
    state(&console, |state| *state != ConsoleState::Open).await;
    start(&mut libvirtd);
    open(&console).await;
    person.pings().await;

    // Off and on: the line is open from the beginning, and what was before is kept.
    machine.stop().await.unwrap();
    closed(&console, "the machine is off").await;
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    person.reads(BOOTED).await;
    let mut late = Person::before(&console);
    late.reads("TESTGUEST resting").await;
    late.reads("TESTGUEST pong").await;
    late.reads(BOOTED).await;

    // A reset that has to stop and start, because the definition has changed: as one restart, with the line open again at once.
    let changed = domain("<serial type='pty'/>", &os).replace("</name>", "</name><title>new</title>");
    let changed = changed.replace("<memory", &format!("<uuid>{}</uuid><memory", uuid(&uri)));
    Connect::open(Some(&uri)).unwrap().define_domain_xml(&changed).unwrap();
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    person.reads(BOOTED).await;
    person.pings().await;
    drop(machine);
    closed(&console, "no longer served").await;
}

/// Types into a paused machine until no more is taken; libvirt answers all the while, and what was taken arrives later.
async fn machine_that_takes_no_input(
    backend: &Arc<LibvirtBackend>,
    machine: &dyn Machine,
    person: &mut Person,
) {
    let name = "node".to_owned();
    let (reports, mut told) = Reports::channel();
    let second = backend.attach(MachineRef { uuid: None, name }, reports);
    report(&mut told, |report| matches!(report, Report::Available(_))).await;
    // Through another program, as the core has no pause.
    let connect = Connect::open(Some(backend.name())).unwrap();
    connect.lookup_domain_by_name("node").unwrap().suspend().unwrap();
    report(&mut told, |report| matches!(report, Report::Power { power: ObservedPower::Paused, .. })).await;
    let line = "ping\n".repeat(200);
    let full = async {
        // Full for good is what is wanted, not full for the moment.
        let mut refused = 0;
        while refused < 20 {
            match person.console.send(ConsoleInput::Bytes(line.clone().into_bytes())) {
                Ok(()) => refused = 0,
                Err(error) => {
                    assert_eq!(error, InputError::Full);
                    refused += 1;
                    backend.machines().await.expect("libvirt answers");
                }
            }
        }
    };
    timeout(LIMIT, full).await.expect("there is an end");
    machine.resume().await.unwrap();
    person.pings_after_flood().await;
    assert_eq!(person.console.state(), ConsoleState::Open);
    let lost =
        std::iter::from_fn(|| told.try_recv().ok()).find(|report| matches!(report, Report::Unavailable(_)));
    assert_eq!(lost, None, "the connection was kept");
    drop(second);
}

impl Person {
    /// Waits for the answers to a flood, until there is room to type again.
    async fn pings_after_flood(&mut self) {
        self.reads("TESTGUEST pong").await;
        while self.console.send(ConsoleInput::Bytes(b"\nrest\n".to_vec())) == Err(InputError::Full) {
            self.reads("TESTGUEST pong").await;
        }
        self.reads("TESTGUEST resting").await;
    }
}

#[tokio::test]
async fn a_domain_without_a_shared_line_says_what_to_add_and_off_is_off() {
    let mut libvirtd = Libvirtd::new();
    start(&mut libvirtd);
    let uri = libvirtd.uri("qemu:///session");
    let backend = LibvirtBackend::new(&uri);
    let other = {
        let (_machine, mut reports) = attach(&backend);
        report(&mut reports, |report| matches!(report, Report::Unavailable(_))).await;
        Connect::open(Some(&uri)).unwrap()
    };
    other.define_domain_xml(&domain("<serial type='null'/>", "")).unwrap();
    let (machine, mut reports) = attach(&backend);
    report(&mut reports, |report| matches!(report, Report::Available(_))).await;
    let console = machine.console().unwrap();
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    closed(&console, "`<serial type='pty'/>`").await;
    assert!(matches!(console.state(), ConsoleState::Closed(why) if why.contains("`null`")));
    machine.stop().await.unwrap();
    closed(&console, "the machine is off").await;

    let options = Options { console: ConsolePolicy::Off, ..Options::default() };
    let (machine, _reports) = attach(&LibvirtBackend::with(&uri, options));
    assert!(machine.console().is_none());
}

/// A driver without consoles: the machine works, its console says so, once and for all.
#[tokio::test]
async fn a_hypervisor_without_consoles_says_so() {
    let backend = LibvirtBackend::new("test:///default");
    let (reports, mut receiver) = Reports::channel();
    let machine = backend.attach(MachineRef { uuid: None, name: "test".to_owned() }, reports);
    report(&mut receiver, |report| matches!(report, Report::Available(_))).await;
    let console = machine.console().unwrap();
    closed(&console, "no serial port").await;
}
