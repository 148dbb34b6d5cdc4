//! nv-redfish, an independent client whose types are made from DMTF's schemas: whatever it cannot read into them is an error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use nv_redfish::ServiceRoot;
use nv_redfish::account::AccountServiceConfig;
use nv_redfish::bmc_http::reqwest::Client;
use nv_redfish::bmc_http::{BmcCredentials, CacheSettings, HttpBmc};
use nv_redfish::chassis::Chassis;
use nv_redfish::computer_system::ComputerSystem;
use nv_redfish::core::ModificationResponse;
use nv_redfish::log_service::LogService;
use nv_redfish::manager::Manager;
use nv_redfish::schema::computer_system::{BootSource, BootSourceOverrideEnabled};
use nv_redfish::schema::resource::{PowerState, ResetType};
use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};

type Bmc = HttpBmc<Client>;

/// A client of this service, which trusts the daemon's own certificate and no other.
fn connect(lab: &Lab, root: &str, user: &str, password: &str) -> Arc<Bmc> {
    // The first test of a process does it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(lab.certificate()).unwrap();
    let client = reqwest12::Client::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(reqwest12::Certificate::from_pem(&pem).unwrap())
        .redirect(reqwest12::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let credentials = BmcCredentials::new(user.to_owned(), password.to_owned());
    let bmc = HttpBmc::new(
        Client::with_client(client),
        root.parse().unwrap(),
        credentials,
        CacheSettings::default(),
    );
    Arc::new(bmc)
}

async fn root(lab: &Lab, url: &str) -> ServiceRoot<Bmc> {
    ServiceRoot::new(connect(lab, url, USER, PASSWORD)).await.unwrap()
}

async fn system(root: &ServiceRoot<Bmc>) -> ComputerSystem<Bmc> {
    let members = root.systems().await.unwrap().expect("Systems").members().await.unwrap();
    members.into_iter().next().expect("a System")
}

/// A change that is not done when it is answered would be a task.
#[track_caller]
fn done<T>(answer: Result<ModificationResponse<T>, nv_redfish::Error<Bmc>>) {
    match answer.unwrap() {
        ModificationResponse::Task(task) => panic!("not done yet: {task:?}"),
        ModificationResponse::Entity(_) | ModificationResponse::Message(_) | ModificationResponse::Empty => {}
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// How many resources a walk has read, by kind.
type Seen = Vec<(&'static str, usize)>;

async fn read_logs(logs: Option<Vec<LogService<Bmc>>>, seen: &mut Seen) {
    for log in logs.into_iter().flatten() {
        let entries = log.entries().await.unwrap().unwrap_or_default();
        seen.push(("log entries", entries.len()));
    }
}

async fn read_system(system: &ComputerSystem<Bmc>, seen: &mut Seen) {
    let count = |found: Option<usize>| found.unwrap_or(0);
    seen.push(("processors", count(system.processors().await.unwrap().map(|all| all.len()))));
    seen.push(("memory", count(system.memory_modules().await.unwrap().map(|all| all.len()))));
    let interfaces = match system.ethernet_interfaces().await.unwrap() {
        Some(collection) => collection.members().await.unwrap().len(),
        None => 0,
    };
    seen.push(("interfaces", interfaces));
    for storage in system.storage_controllers().await.unwrap().unwrap_or_default() {
        seen.push(("drives", count(storage.drives().await.unwrap().map(|all| all.len()))));
        seen.push(("controllers", count(storage.controllers().await.unwrap().map(|all| all.len()))));
        if let Some(volumes) = storage.volumes() {
            seen.push(("volumes", volumes.members().await.unwrap().len()));
        }
    }
    if let Some(bios) = system.bios().await.unwrap() {
        seen.push(("bios settings", usize::from(bios.settings().await.unwrap().is_some())));
    }
    if let Some(secure) = system.secure_boot().await.unwrap() {
        let databases = match secure.databases().await.unwrap() {
            Some(databases) => databases.members().await.unwrap().len(),
            None => 0,
        };
        seen.push(("key databases", databases));
    }
    if let Some(options) = system.boot_options().await.unwrap() {
        seen.push(("boot options", options.members().await.unwrap().len()));
    }
    read_logs(system.log_services().await.unwrap(), seen).await;
}

async fn read_manager(manager: &Manager<Bmc>, seen: &mut Seen) {
    seen.push(("protocols", usize::from(manager.network_protocol().await.unwrap().is_some())));
    let interfaces = match manager.ethernet_interfaces().await.unwrap() {
        Some(collection) => collection.members().await.unwrap().len(),
        None => 0,
    };
    seen.push(("interfaces of the BMC", interfaces));
    read_logs(manager.log_services().await.unwrap(), seen).await;
}

async fn read_chassis(root: &ServiceRoot<Bmc>, chassis: &Chassis<Bmc>, seen: &mut Seen) {
    let sensors = chassis.sensor_links().await.unwrap().unwrap_or_default();
    let mut read = 0;
    for sensor in sensors {
        sensor.fetch().await.unwrap();
        read += 1;
    }
    seen.push(("sensors", read));
    seen.push(("power supplies", chassis.power_supplies().await.unwrap().len()));
    seen.push(("power", usize::from(chassis.power().await.unwrap().is_some())));
    seen.push(("thermal", usize::from(chassis.thermal().await.unwrap().is_some())));
    seen.push(("environment", usize::from(chassis.environment_metrics().await.unwrap().is_some())));
    for adapter in chassis.network_adapters().await.unwrap().unwrap_or_default() {
        let ports = match adapter.ports().await.unwrap() {
            Some(ports) => ports.members().await.unwrap().len(),
            None => 0,
        };
        seen.push(("ports", ports));
    }
    if let Some(devices) = chassis.pcie_devices().await.unwrap() {
        seen.push(("PCIe devices", devices.members().await.unwrap().len()));
    }
    read_logs(chassis.log_services().await.unwrap(), seen).await;
    assert!(root.redfish_version().is_some());
}

/// Everything that the client knows how to read, at one root.
async fn walk(lab: &Lab, url: &str) -> Seen {
    let root = root(lab, url).await;
    let mut seen = Seen::new();
    for system in root.systems().await.unwrap().unwrap().members().await.unwrap() {
        read_system(&system, &mut seen).await;
    }
    for manager in root.managers().await.unwrap().unwrap().members().await.unwrap() {
        read_manager(&manager, &mut seen).await;
    }
    for chassis in root.chassis().await.unwrap().unwrap().members().await.unwrap() {
        read_chassis(&root, &chassis, &mut seen).await;
    }
    if let Some(sessions) = root.session_service().await.unwrap() {
        sessions.sessions().await.unwrap().unwrap().members().await.unwrap();
    }
    if let Some(accounts) = root.account_service(AccountServiceConfig::standard()).await.unwrap() {
        let accounts = accounts.accounts().await.unwrap().unwrap().all_accounts_data().await.unwrap();
        seen.push(("accounts", accounts.len()));
    }
    if let Some(updates) = root.update_service().await.unwrap() {
        seen.push(("firmware", updates.firmware_inventories().await.unwrap().map_or(0, |all| all.len())));
    }
    if let Some(events) = root.event_service().await.unwrap() {
        seen.push(("subscriptions", events.subscriptions().await.unwrap().len()));
    }
    if let Some(tasks) = root.task_service().await.unwrap() {
        seen.push(("tasks", tasks.tasks().unwrap().member_links().await.unwrap().len()));
    }
    if let Some(telemetry) = root.telemetry_service().await.unwrap() {
        let reports = telemetry.metric_report_links().await.unwrap().unwrap_or_default();
        seen.push(("metric reports", reports.len()));
    }
    seen
}

/// Of what a simulated machine has at least one.
const SIMULATED: &[&str] = &[
    "accounts",
    "bios settings",
    "boot options",
    "controllers",
    "drives",
    "environment",
    "firmware",
    "interfaces of the BMC",
    "interfaces",
    "log entries",
    "memory",
    "metric reports",
    "PCIe devices",
    "ports",
    "power supplies",
    "power",
    "processors",
    "protocols",
    "sensors",
    "thermal",
];

#[track_caller]
fn assert_seen(seen: &Seen, wanted: &[&str]) {
    for wanted in wanted {
        let found: usize = seen.iter().filter(|(kind, _)| kind == wanted).map(|(_, count)| count).sum();
        assert!(found > 0, "no {wanted} in {seen:?}");
    }
}

/// The power that IPMI shows.
fn ipmi_power(node: &Node<'_>) -> String {
    node.ipmitool().args(["chassis", "power", "status"]).ok()
}

#[test]
fn everything_is_as_the_schemas_say() {
    let driver = "[backend.driver]\ntype = \"libvirt\"\nuri = \"test:///default\"\n\
                  [[bmc]]\nname = \"web\"\nbackend = \"driver\"\nmachine = \"test\"\n";
    let lab = Lab::builder(2).config(driver).start();
    lab.node(0).bring_up();
    let [simulated, driver] = [lab.node(0).redfish, lab.named("web").redfish];
    assert_seen(&run(walk(&lab, &simulated)), SIMULATED);
    // A machine of libvirt's test driver has no past to tell of.
    assert_seen(&run(walk(&lab, &driver)), &["sensors"]);
    assert_seen(&run(walk(&lab, &lab.aggregate)), SIMULATED);
}

#[test]
fn power_boot_and_log() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let before = lab.last_event();
    run(async {
        let root = root(&lab, &node.redfish).await;
        let system = system(&root).await;
        assert_eq!(system.power_state(), Some(PowerState::Off));
        let once = BootSourceOverrideEnabled::Once;
        done(system.set_boot_source_override(BootSource::Pxe, once, None, None).await);
        done(system.reset(Some(ResetType::On)).await);
    });
    let booted = lab.await_event(before, &node.name, "booted");
    assert!(booted["from"].as_str().is_some_and(|from| from.starts_with("network")), "{booted}");
    assert_eq!(ipmi_power(&node), "Chassis Power is on\n");
    run(async {
        let root = root(&lab, &node.redfish).await;
        let on = system(&root).await;
        assert_eq!(on.power_state(), Some(PowerState::On));
        let logs = on.log_services().await.unwrap().unwrap();
        let entries = logs[0].entries().await.unwrap().unwrap();
        assert_eq!(entries.len(), node.ipmitool().args(["sel", "list"]).ok().lines().count());
        done(on.reset(Some(ResetType::ForceOff)).await);
        assert_eq!(system(&root).await.power_state(), Some(PowerState::Off));
        let refused = on.reset(Some(ResetType::ForceRestart)).await;
        assert!(refused.is_err(), "{refused:?}");
        done(logs[0].clear_log(None).await);
    });
    assert_eq!(ipmi_power(&node), "Chassis Power is off\n");
    assert!(node.ipmitool().args(["sel", "list"]).ok().lines().count() <= 1);
}
