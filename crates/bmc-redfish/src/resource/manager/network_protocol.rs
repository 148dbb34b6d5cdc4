//! `NetworkProtocol` of a Manager: where the BMC really listens, and what of it can be changed. Listeners are the configuration's: no write moves one.

use bmc_core::bmc::Listener;
use bmc_core::request::Change;
use bmc_core::settings::manager::{NTP_SERVER_MAX_BYTES, NTP_SERVERS_MAX};
use bmc_core::settings::{ChannelMode, Edit};
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use super::ethernet::host_name;
use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::resource::certificate::https_certificates_uri;
use crate::resource::{Call, Reply, Uris, link, resource, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;
use crate::service::resource_id;

const ID: &str = "NetworkProtocol";
const IPMI_PORT: u16 = 623;
const NTP_PORT: u16 = 123;
const SSDP_PORT: u16 = 1900;

/// The protocols of the Managers.
pub(crate) static ROUTES: &[Route] = &[Route {
    path: "/redfish/v1/Managers/{id}/NetworkProtocol",
    verbs: &[
        get(show, "ManagerNetworkProtocol: where the BMC listens"),
        patch(
            Privilege::ConfigureManager,
            |call| Box::pin(update(call)),
            "`IPMI.ProtocolEnabled` (new sessions over LAN), `NTP` (kept, without effect on the clock)",
        ),
    ],
}];

/// The URI of the resource.
pub(in crate::resource) fn uri(manager: &str) -> String {
    format!("{manager}/{ID}")
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.machine("ManagerNetworkProtocol", call.id)?.snapshot()))
}

/// Whether IPMI takes new sessions: by this switch, and by the access mode of its channel.
fn ipmi_enabled(snapshot: &Snapshot) -> bool {
    let settings = &snapshot.settings;
    settings.manager.ipmi_enabled && settings.channel.mode != ChannelMode::Disabled
}

fn protocol(listener: Option<Listener>) -> Value {
    json!({"ProtocolEnabled": listener.is_some(), "Port": listener.map(|listener| listener.address.port())})
}

fn https(snapshot: &Snapshot, listener: Option<Listener>) -> Value {
    let mut value = protocol(listener);
    value["Certificates"] = link(&https_certificates_uri(&resource_id(snapshot)));
    value
}

fn render(snapshot: &Snapshot) -> Value {
    let uris = Uris::of(snapshot);
    let manager = &snapshot.settings.manager;
    let redfish = snapshot.bmc.redfish;
    let host_name = host_name(snapshot);
    let members = json!({
        "Description": "Where the BMC listens. Ports are those of its configuration.",
        "HostName": host_name,
        "FQDN": host_name,
        "HTTP": protocol(redfish.filter(|listener| !listener.tls)),
        "HTTPS": https(snapshot, redfish.filter(|listener| listener.tls)),
        "IPMI": {
            "ProtocolEnabled": ipmi_enabled(snapshot),
            "Port": snapshot.bmc.ipmi.map_or(IPMI_PORT, |listener| listener.address.port()),
        },
        "NTP": {
            "ProtocolEnabled": manager.ntp_enabled,
            "Port": NTP_PORT,
            "NTPServers": manager.ntp_servers,
        },
        // Nobody announces a BMC, and nobody logs in to one by a shell.
        "SSDP": {"ProtocolEnabled": false, "Port": SSDP_PORT},
        "Status": {"State": "Enabled", "Health": "OK"},
    });
    with(
        resource(schema::MANAGER_NETWORK_PROTOCOL, &uri(&uris.manager), ID, "Manager Network Protocol"),
        members,
    )
}

/// What a PATCH asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    ipmi: Option<bool>,
    ntp: Option<bool>,
    servers: Option<Vec<String>>,
}

fn read(body: &Map<String, Value>, shown: &Value) -> Result<Wanted, Problem> {
    patch::read(body, |faults| {
        let mut wanted = Wanted::default();
        patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
            if shown.get(name).is_none_or(|member| !member.is_object()) || name == "Status" {
                return false;
            }
            let Some(object) = value.as_object() else {
                faults.wrong_type(pointer, value);
                return true;
            };
            patch::each_property(object, &shown[name], pointer, faults, |member, pointer, value, faults| {
                match (name, member) {
                    ("IPMI", "ProtocolEnabled") => wanted.ipmi = faults.boolean(pointer, value),
                    ("NTP", "ProtocolEnabled") => wanted.ntp = faults.boolean(pointer, value),
                    ("NTP", "NTPServers") => {
                        let present = &shown["NTP"]["NTPServers"];
                        wanted.servers = servers(pointer, value, present, faults);
                    }
                    _ => return false,
                }
                true
            });
            true
        });
        let anything = wanted != Wanted::default();
        (wanted, anything)
    })
}

/// The servers of an array: null takes one away, an empty object leaves it (DSP0266, "Updating array properties").
fn servers(pointer: &str, value: &Value, present: &Value, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(array) = value.as_array() else {
        faults.wrong_type(pointer, value);
        return None;
    };
    let mut servers = Vec::new();
    for (index, item) in array.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        if item.is_null() {
            continue;
        }
        if item.as_object().is_some_and(Map::is_empty) {
            servers.extend(present.get(index).and_then(Value::as_str).map(str::to_owned));
            continue;
        }
        let Some(name) = faults.string(&pointer, item) else { continue };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'_');
        if name.len() > NTP_SERVER_MAX_BYTES {
            let limit = NTP_SERVER_MAX_BYTES.to_string();
            faults.push(Message::new(message::StringValueTooLong, [name, &limit]).about(&pointer));
        } else if name.is_empty() || !name.bytes().all(plain) {
            faults.push(Message::new(message::PropertyValueFormatError, [name, &pointer]).about(&pointer));
        } else {
            servers.push(name.to_owned());
        }
    }
    if servers.len() > NTP_SERVERS_MAX {
        let text = value.to_string();
        let fault = Message::new(message::PropertyValueOutOfRange, [&text, pointer]).about(pointer);
        faults.push(fault.resolution(format!("At most {NTP_SERVERS_MAX} servers are kept.")));
    }
    Some(servers)
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ManagerNetworkProtocol", call.id)?;
    write::change(call, &machine, render, |_, shown| {
        let Wanted { ipmi, ntp, servers } = read(&call.body, shown)?;
        let edit = Edit::new(move |edit| {
            let (manager, channel) = (&mut edit.settings.manager, &mut edit.settings.channel);
            if let Some(enabled) = ipmi {
                manager.ipmi_enabled = enabled;
                if enabled && channel.mode == ChannelMode::Disabled {
                    channel.mode = ChannelMode::Always;
                }
            }
            manager.ntp_enabled = ntp.unwrap_or(manager.ntp_enabled);
            if let Some(servers) = &servers {
                manager.ntp_servers.clone_from(servers);
            }
            Ok(())
        });
        Ok(Change { edit: Some(edit), ..Change::default() })
    })
    .await
}
