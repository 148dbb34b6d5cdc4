//! `ComputerSystem`: the machine.

use bmc_core::backend::MachineInfo;
use bmc_core::boot::{BootProgress, BootStage};
use bmc_core::power::{PowerPolicy, PowerState, RestartCause};
use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::settings::system::SYSTEM_TEXT_MAX_BYTES;
use bmc_core::snapshot::{Health, Snapshot};
use serde_json::{Map, Value, json};

use crate::boot;
use crate::error::Problem;
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::manager::ethernet::host_name_of;
use crate::resource::{
    Call, Reply, Uris, action_info, bios, collection, console, date_time, health, label, link, log, machines,
    media, memory, network, pcie, processor, reset, resource, secure_boot, storage, watchdog, with, write,
};
use crate::routes::{Route, get, patch, post};
use crate::schema;
use crate::service::resource_id;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Systems";

const POLICIES: [(&str, PowerPolicy); 3] = [
    ("AlwaysOn", PowerPolicy::AlwaysOn),
    ("AlwaysOff", PowerPolicy::AlwaysOff),
    ("LastState", PowerPolicy::Previous),
];

const GIB: f64 = 1_073_741_824.0;

/// The Systems.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Systems", verbs: &[get(collection, "ComputerSystemCollection")] },
    Route {
        path: "/redfish/v1/Systems/{id}",
        verbs: &[
            get(show, "ComputerSystem"),
            patch(
                Privilege::ConfigureComponents,
                |call| Box::pin(update(call)),
                "`Boot` (`BootSourceOverrideTarget`, `-Enabled`, `-Mode`, `HttpBootUri`, `BootOrder`, `BootNext`), `AssetTag`, `PowerRestorePolicy`, \
                 `LocationIndicatorActive`, `IndicatorLED`, `HostWatchdogTimer`, `HostName` (IPMI's system name)",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Actions/ComputerSystem.Reset",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(reset::post(call)),
            "power: `ResetType`",
        )],
    },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let members = machines(call, COLLECTION_URI);
    Ok(collection::render(schema::COMPUTER_SYSTEM_COLLECTION, COLLECTION_URI, "Computer Systems", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    Ok(render(&machine.snapshot()))
}

/// The power state as clients are to act on it: a machine on its way down still counts as on, as over IPMI.
fn power_state(state: PowerState) -> &'static str {
    match state {
        PowerState::Off => "Off",
        PowerState::PoweringOn => "PoweringOn",
        PowerState::On | PowerState::PoweringOff | PowerState::Paused => "On",
    }
}

/// `Status.State` tells the finer states apart.
fn state(snapshot: &Snapshot) -> &'static str {
    match (&snapshot.health, snapshot.power) {
        (Health::Unavailable(_), _) => "UnavailableOffline",
        (Health::Available, PowerState::Off) => "StandbyOffline",
        (Health::Available, PowerState::PoweringOn) => "Starting",
        (Health::Available, PowerState::On | PowerState::PoweringOff) => "Enabled",
        (Health::Available, PowerState::Paused) => "Quiesced",
    }
}

fn last_reset_cause(cause: RestartCause) -> &'static str {
    match cause {
        RestartCause::Unknown => "Unknown",
        RestartCause::ChassisControl => "ManagementCommand",
        RestartCause::Watchdog => "WatchdogExpiration",
        // An event made the management controller do it.
        RestartCause::FilterReset | RestartCause::FilterCycle => "ManagementCommand",
        RestartCause::PowerButton => "PowerButtonPress",
        RestartCause::PolicyAlwaysOn | RestartCause::PolicyPrevious => "PowerRestorePolicy",
        RestartCause::SoftReset => "OSSoftRestart",
    }
}

fn policy_name(policy: PowerPolicy) -> &'static str {
    POLICIES.iter().find(|(_, known)| *known == policy).map_or("AlwaysOff", |(name, _)| name)
}

/// Gibibytes; a whole number is written as one.
fn gib(bytes: u64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "no machine has so much memory that it shows")]
    let gib = bytes as f64 / GIB;
    if bytes.is_multiple_of(1 << 30) { (bytes >> 30).into() } else { gib.into() }
}

pub(super) fn render(snapshot: &Snapshot) -> Value {
    let uris = Uris::of(snapshot);
    let identity = &snapshot.identity;
    let mut object = resource(schema::COMPUTER_SYSTEM, &uris.system, &resource_id(snapshot), &snapshot.name);
    let members = json!({
        "SystemType": "Virtual",
        "Manufacturer": identity.manufacturer,
        "Model": identity.model,
        "SerialNumber": identity.serial,
        "UUID": snapshot.uuid.to_string(),
        "HostName": snapshot.settings.system.host_name(),
        "BiosVersion": snapshot.settings.bios_version(),
        "PowerState": power_state(snapshot.power),
        "PowerRestorePolicy": policy_name(snapshot.power_policy),
        "PowerRestorePolicy@Redfish.AllowableValues": POLICIES.map(|(name, _)| name),
        "LastResetCause": last_reset_cause(snapshot.restart_cause),
        "HostWatchdogTimer": watchdog::render(snapshot),
        "Status": {"State": state(snapshot), "Health": health(snapshot)},
        "Boot": boot::render(snapshot),
    });
    put_all(&mut object, members);
    label::put(&mut object, snapshot);
    if let Some(time) = snapshot.last_reset_time {
        object.insert("LastResetTime".to_owned(), date_time(time).into());
    }
    if let Some(progress) = snapshot.boot_progress {
        object.insert("BootProgress".to_owned(), boot_progress(progress));
    }
    if let Some(info) = &snapshot.info {
        object.insert("ProcessorSummary".to_owned(), processor_summary(snapshot, info));
        let memory = json!({"TotalSystemMemoryGiB": gib(info.memory_bytes)});
        object.insert("MemorySummary".to_owned(), memory);
    }
    let members = json!({
        "Bios": link(&bios::uri(&uris.system)),
        "SecureBoot": link(&secure_boot::uri(&uris.system)),
        "LogServices": link(&log::services_uri(&uris.system)),
        "Storage": link(&storage::collection_uri(&uris.system)),
        "SimpleStorage": link(&storage::simple::collection_uri(&uris.system)),
        "VirtualMedia": link(&media::collection_uri(&uris.system)),
        "Processors": link(&processor::collection_uri(&uris.system)),
        "Memory": link(&memory::collection_uri(&uris.system)),
        "EthernetInterfaces": link(&network::ethernet::collection_uri(&uris.system)),
        "NetworkInterfaces": link(&network::ethernet::network_interfaces_uri(&uris.system)),
        "PCIeDevices": links(&pcie::uris(snapshot, &uris.chassis)),
        "PCIeDevices@odata.count": pcie::uris(snapshot, &uris.chassis).len(),
        "PCIeFunctions": links(&pcie::function_uris(snapshot, &uris.chassis)),
        "PCIeFunctions@odata.count": pcie::function_uris(snapshot, &uris.chassis).len(),
        "SerialConsole": console::serial(snapshot),
        "GraphicalConsole": console::system_graphical(snapshot),
        "Links": {
            "Chassis": [link(&uris.chassis)],
            "Chassis@odata.count": 1,
            "ManagedBy": [link(&uris.manager)],
            "ManagedBy@odata.count": 1,
        },
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": format!("{}/Actions/ComputerSystem.Reset", uris.system),
                "@Redfish.ActionInfo": action_info::uri(&uris.system),
                "ResetType@Redfish.AllowableValues": reset::TYPES.map(|(name, _)| name),
            },
        },
    });
    with(object, members)
}

/// How far it has booted. Of the steps of a self-test only its beginning is known.
fn boot_progress(progress: BootProgress) -> Value {
    let state = match progress.stage {
        None => "None",
        Some(BootStage::SelfTest) => "PrimaryProcessorInitializationStarted",
        Some(BootStage::Setup) => "SetupEntered",
        Some(BootStage::OsLoading) => "OSBootStarted",
        Some(BootStage::OsRunning) => "OSRunning",
    };
    let mut shown = json!({"LastState": state});
    if let Some(time) = progress.since {
        shown["LastStateTime"] = date_time(time).into();
    }
    shown
}

fn links(uris: &[String]) -> Vec<Value> {
    uris.iter().map(|uri| link(uri)).collect()
}

/// The processors together. `Count` is that of the sockets.
fn processor_summary(snapshot: &Snapshot, info: &MachineInfo) -> Value {
    let sockets = processor::sockets(snapshot);
    let mut summary = json!({
        "Count": sockets.len(),
        "CoreCount": sockets.iter().map(|socket| socket.cores).sum::<u32>(),
        "LogicalProcessorCount": info.processors,
        "ThreadingEnabled": sockets.iter().any(|socket| socket.threads > socket.cores),
    });
    if let Some(model) = &info.cpu.model {
        summary["Model"] = model.as_str().into();
    }
    summary
}

fn put_all(object: &mut Map<String, Value>, members: Value) {
    if let Value::Object(members) = members {
        object.extend(members);
    }
}

/// What a PATCH asks for.
#[derive(Default)]
struct Wanted {
    boot: boot::Wanted,
    label: label::Wanted,
    policy: Option<PowerPolicy>,
    /// A name, or none.
    host_name: Option<Option<String>>,
    watchdog: watchdog::Wanted,
}

fn read(body: &Map<String, Value>, shown: &Value, snapshot: &Snapshot) -> Result<Wanted, Problem> {
    patch::read(body, |faults| {
        let mut wanted = Wanted::default();
        patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
            match name {
                "Boot" => wanted.boot = boot::read(pointer, value, snapshot, faults),
                "HostWatchdogTimer" => {
                    wanted.watchdog = watchdog::Wanted::read(pointer, value, snapshot, faults);
                }
                "HostName" if value.is_null() => wanted.host_name = Some(None),
                "HostName" => {
                    let max = SYSTEM_TEXT_MAX_BYTES;
                    wanted.host_name = host_name_of(pointer, value, max, faults).map(Some);
                }
                "PowerRestorePolicy" => wanted.policy = faults.choice(pointer, value, &POLICIES),
                _ => return wanted.label.take(name, pointer, value, faults),
            }
            true
        });
        let anything = wanted.boot.is_some()
            || wanted.label.is_some()
            || wanted.policy.is_some()
            || wanted.host_name.is_some()
            || wanted.watchdog.is_some();
        (wanted, anything)
    })
}

/// The name is the one that IPMI has as the system's.
fn host_name_edit(name: Option<String>) -> Edit {
    Edit::new(move |editable| {
        editable.settings.system.set_host_name(name.as_deref());
        Ok(())
    })
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    write::change(call, &machine, render, |snapshot, shown| {
        // What a machine can boot from is not known before it was seen: to refuse its targets would be an untruth.
        if let (None, Health::Unavailable(error), true) =
            (&snapshot.info, &snapshot.health, call.body.contains_key("Boot"))
        {
            return Err(write::change_problem(&error.clone().into(), snapshot));
        }
        let wanted = read(&call.body, shown, snapshot)?;
        let firmware = snapshot.info.as_ref().map(|info| info.firmware);
        let boot = boot::merge(&snapshot.boot, firmware, &wanted.boot);
        let mut change = Change {
            boot: boot.map_err(|fault| Problem::bad_request(vec![fault]))?,
            boot_order: wanted.boot.order.clone(),
            firmware: wanted.boot.mode.filter(|mode| Some(*mode) != firmware),
            power_policy: wanted.policy,
            edit: wanted.host_name.clone().map(host_name_edit),
            ..Change::default()
        };
        wanted.label.put(&mut change);
        wanted.watchdog.put(&mut change, snapshot);
        Ok(change)
    })
    .await
}
