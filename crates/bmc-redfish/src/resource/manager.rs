//! `Manager`: the BMC itself. Its clock, its network and its consoles are those that IPMI shows.

pub(super) mod clock;
pub(crate) mod ethernet;
pub(crate) mod log;
pub(crate) mod network_protocol;
mod reset;
pub(crate) mod serial;

use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::settings::manager::SERVICE_IDENTIFICATION_MAX_BYTES;
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::resource::{
    Call, Reply, Uris, collection, console, date_time, label, link, machines, media, resource,
    update_service, with, write,
};
use crate::routes::{Route, get, patch, post};
use crate::schema;
use crate::service::{Service, resource_id};

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Managers";

/// The Managers.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Managers", verbs: &[get(collection, "ManagerCollection")] },
    Route {
        path: "/redfish/v1/Managers/{id}",
        verbs: &[
            get(show, "Manager"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "`DateTime`, `DateTimeLocalOffset` (IPMI's SEL time), `LocationIndicatorActive`, `SerialConsole.ServiceEnabled`, \
                 `ServiceIdentification`",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/Actions/Manager.Reset",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(reset::reset(call)),
            "resets the BMC, as IPMI's warm and cold reset: `ResetType`",
        )],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/Actions/Manager.ResetToDefaults",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(reset::to_defaults(call)),
            "takes back what clients configured of the BMC: `ResetType`",
        )],
    },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let members = machines(call, COLLECTION_URI);
    Ok(collection::render(schema::MANAGER_COLLECTION, COLLECTION_URI, "Managers", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("Manager", call.id)?;
    Ok(render(call.service, &machine.snapshot()))
}

fn render(service: &Service, snapshot: &Snapshot) -> Value {
    let uris = Uris::of(snapshot);
    let profile = service.profile();
    let settings = &snapshot.settings;
    let name = format!("BMC of {}", snapshot.name);
    let mut object = resource(schema::MANAGER, &uris.manager, &resource_id(snapshot), &name);
    clock::put(&mut object, snapshot, service.scope.fleet().clock().timestamp());
    if let Some(time) = snapshot.bmc.reset_at {
        object.insert("LastResetTime".to_owned(), date_time(time).into());
    }
    let members = json!({
        "ManagerType": "BMC",
        "Manufacturer": snapshot.identity.manufacturer,
        "Model": profile.manager_model,
        "FirmwareVersion": update_service::bmc_version(service, snapshot),
        "UUID": snapshot.uuid.to_string(),
        "ServiceEntryPointUUID": service.uuid().to_string(),
        "ServiceIdentification": settings.manager.service_identification,
        "DateTimeSource": if settings.manager.ntp_enabled { "NTP" } else { "Host" },
        "PowerState": "On",
        "LocationIndicatorActive": label::is_lit(snapshot),
        // The BMC is well whatever its machine does.
        "Status": {"State": "Enabled", "Health": "OK"},
        "VirtualMedia": link(&media::collection_uri(&uris.manager)),
        "SerialConsole": console::manager_serial(snapshot),
        "GraphicalConsole": console::graphical(snapshot),
        "CommandShell": {"ServiceEnabled": false, "ConnectTypesSupported": []},
        "NetworkProtocol": link(&network_protocol::uri(&uris.manager)),
        "EthernetInterfaces": link(&ethernet::collection_uri(&uris.manager)),
        "SerialInterfaces": link(&serial::collection_uri(&uris.manager)),
        "LogServices": link(&log::services_uri(&uris.manager)),
        "Links": {
            "ManagerForServers": [link(&uris.system)],
            "ManagerForServers@odata.count": 1,
            "ManagerForChassis": [link(&uris.chassis)],
            "ManagerForChassis@odata.count": 1,
            "ManagerInChassis": link(&uris.chassis),
        },
        "Actions": reset::actions(&uris.manager),
    });
    with(object, members)
}

/// What a PATCH asks for.
#[derive(Default)]
struct Wanted {
    clock: clock::Wanted,
    label: label::Wanted,
    sol: Option<bool>,
    identification: Option<String>,
}

fn read(body: &Map<String, Value>, shown: &Value, snapshot: &Snapshot) -> Result<Wanted, Problem> {
    patch::read(body, |faults| {
        let mut wanted = Wanted::default();
        patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
            match name {
                "LocationIndicatorActive" => return wanted.label.take(name, pointer, value, faults),
                "SerialConsole" => {
                    wanted.sol = console::read_manager_serial(pointer, value, snapshot, faults);
                }
                "ServiceIdentification" => wanted.identification = identification(pointer, value, faults),
                _ => return wanted.clock.take(name, pointer, value, faults),
            }
            true
        });
        let anything = wanted.clock.is_some()
            || wanted.label.is_some()
            || wanted.sol.is_some()
            || wanted.identification.is_some();
        (wanted, anything)
    })
}

fn identification(pointer: &str, value: &Value, faults: &mut Faults) -> Option<String> {
    let text = faults.nullable_string(pointer, value)?.unwrap_or_default();
    if text.len() > SERVICE_IDENTIFICATION_MAX_BYTES {
        let limit = SERVICE_IDENTIFICATION_MAX_BYTES.to_string();
        faults.push(Message::new(message::StringValueTooLong, [text, &limit]).about(pointer));
    } else if text.chars().any(char::is_control) {
        faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
    }
    Some(text.to_owned())
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("Manager", call.id)?;
    let now = call.service.scope.fleet().clock().timestamp();
    write::change(
        call,
        &machine,
        |snapshot| render(call.service, snapshot),
        |snapshot, shown| {
            let Wanted { clock, label, sol, identification } = read(&call.body, shown, snapshot)?;
            let mut change = Change { clock: clock.change(snapshot, now), ..Change::default() };
            label.put(&mut change);
            if sol.is_some() || identification.is_some() {
                change.edit = Some(Edit::new(move |edit| {
                    let settings = &mut *edit.settings;
                    settings.sol.enabled = sol.unwrap_or(settings.sol.enabled);
                    if let Some(text) = &identification {
                        settings.manager.service_identification.clone_from(text);
                    }
                    Ok(())
                }));
            }
            Ok(change)
        },
    )
    .await
}
