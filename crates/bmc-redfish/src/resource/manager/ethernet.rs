//! `EthernetInterfaces` of a Manager: the LAN channel, by the parameters that IPMI shows and sets (IPMI 2.0 table 23-4). Whatever is written, the BMC goes on
//! listening where its configuration says.

use std::net::Ipv4Addr;

use bmc_core::request::Change;
use bmc_core::settings::dcmi::CONTROLLER_ID_MAX_BYTES;
use bmc_core::settings::lan::{AddressSource, MacAddress};
use bmc_core::settings::{Edit, LanSettings};
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, Uris, collection, link, resource, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;

/// The id of the only interface.
const ID: &str = "LAN";
/// VLAN ids that can be used (IEEE 802.1Q).
const VLAN_IDS: std::ops::RangeInclusive<u64> = 1..=4094;
const VLAN_PRIORITY_MAX: u64 = 7;

/// The interfaces of the Managers.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Managers/{id}/EthernetInterfaces",
        verbs: &[get(list, "EthernetInterfaceCollection")],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/EthernetInterfaces/{member}",
        verbs: &[
            get(show, "EthernetInterface: the LAN channel of IPMI"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "IPMI's LAN parameters: `IPv4StaticAddresses`, `DHCPv4.DHCPEnabled`, `MACAddress`, `HostName`, `VLAN`",
            ),
        ],
    },
];

/// The URI of the collection.
pub(super) fn collection_uri(manager: &str) -> String {
    format!("{manager}/EthernetInterfaces")
}

fn list(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("EthernetInterfaceCollection", call.id)?.snapshot();
    let uri = collection_uri(&Uris::of(&snapshot).manager);
    let name = "Ethernet Interfaces of the BMC";
    Ok(collection::render(schema::ETHERNET_INTERFACE_COLLECTION, &uri, name, &[format!("{uri}/{ID}")]))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("EthernetInterface", call.id)?;
    if call.member != ID {
        return Err(Problem::not_found("EthernetInterface", call.member));
    }
    Ok(render(&machine.snapshot()))
}

/// The controller's host name: what DCMI calls its identifier, by which it asks for an address.
pub(super) fn host_name(snapshot: &Snapshot) -> String {
    let settings = &snapshot.settings;
    String::from_utf8_lossy(&settings.dcmi.controller_id_or(settings.lan.mac_of(snapshot.uuid))).into_owned()
}

fn mac_text(mac: MacAddress) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The address that is shown: what was set, else where IPMI is served, else where Redfish is.
fn address(snapshot: &Snapshot) -> Ipv4Addr {
    let listener = snapshot.bmc.ipmi.or(snapshot.bmc.redfish);
    snapshot.settings.lan.address_or(listener.map(|listener| listener.address.ip()))
}

fn origin(source: AddressSource) -> Option<&'static str> {
    match source {
        AddressSource::Static => Some("Static"),
        AddressSource::Dhcp => Some("DHCP"),
        AddressSource::Unspecified | AddressSource::System | AddressSource::Other => None,
    }
}

fn render(snapshot: &Snapshot) -> Value {
    let uris = Uris::of(snapshot);
    let lan = &snapshot.settings.lan;
    let address = address(snapshot);
    let host_name = host_name(snapshot);
    let mask = lan.subnet_mask_or(address).to_string();
    let gateway = Some(lan.default_gateway.0).filter(|gateway| !gateway.is_unspecified());
    let gateway = gateway.map(|gateway| gateway.to_string());
    let fixed = lan.address_source == AddressSource::Static;
    let one = json!({"Address": address.to_string(), "SubnetMask": mask, "Gateway": gateway});
    let mut shown = one.clone();
    shown["AddressOrigin"] = origin(lan.address_source).into();
    let members = json!({
        "Description": "The LAN channel, as IPMI's LAN parameters tell it.",
        "EthernetInterfaceType": "Virtual",
        "MACAddress": mac_text(lan.mac_of(snapshot.uuid)),
        "PermanentMACAddress": mac_text(LanSettings::derived_mac(snapshot.uuid)),
        "InterfaceEnabled": true,
        "LinkStatus": "LinkUp",
        // No wire has the same speed for every client.
        "SpeedMbps": null,
        "HostName": host_name,
        "FQDN": host_name,
        "NameServers": [],
        "StaticNameServers": [],
        "DHCPv4": {"DHCPEnabled": lan.address_source == AddressSource::Dhcp},
        "DHCPv6": {"OperatingMode": "Disabled"},
        "IPv4Addresses": [shown],
        "IPv4StaticAddresses": if fixed { vec![one] } else { Vec::new() },
        "IPv6Addresses": [],
        "IPv6StaticAddresses": [],
        "IPv6StaticDefaultGateways": [],
        "IPv6AddressPolicyTable": [],
        "MaxIPv6StaticAddresses": 0,
        "VLAN": {
            "VLANEnable": lan.vlan_enabled,
            // The schema has no id for a VLAN that was never set.
            "VLANId": Some(lan.vlan_id).filter(|id| VLAN_IDS.contains(&u64::from(*id))),
            "VLANPriority": lan.vlan_priority,
        },
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"Chassis": link(&uris.chassis)},
    });
    let uri = format!("{}/{ID}", collection_uri(&uris.manager));
    with(resource(schema::ETHERNET_INTERFACE, &uri, ID, "LAN Channel"), members)
}

/// What a PATCH asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    address: Option<Ipv4Addr>,
    mask: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
    dhcp: Option<bool>,
    mac: Option<MacAddress>,
    host_name: Option<String>,
    vlan_enabled: Option<bool>,
    vlan_id: Option<u16>,
    vlan_priority: Option<u8>,
}

impl Wanted {
    fn take(&mut self, name: &str, pointer: &str, value: &Value, shown: &Value, faults: &mut Faults) -> bool {
        match name {
            "MACAddress" => self.mac = mac(pointer, value, faults),
            "HostName" => self.host_name = host_name_of(pointer, value, CONTROLLER_ID_MAX_BYTES, faults),
            "IPv4StaticAddresses" => self.take_addresses(pointer, value, &shown[name], faults),
            "DHCPv4" => members(pointer, value, &shown[name], faults, |member, pointer, value, faults| {
                let known = member == "DHCPEnabled";
                if known {
                    self.dhcp = faults.boolean(pointer, value);
                }
                known
            }),
            "VLAN" => members(pointer, value, &shown[name], faults, |member, pointer, value, faults| {
                match member {
                    "VLANEnable" => self.vlan_enabled = faults.boolean(pointer, value),
                    "VLANId" => {
                        let id = number(pointer, value, *VLAN_IDS.start(), *VLAN_IDS.end(), faults);
                        self.vlan_id = id.and_then(|id| u16::try_from(id).ok());
                    }
                    "VLANPriority" => {
                        let priority = number(pointer, value, 0, VLAN_PRIORITY_MAX, faults);
                        self.vlan_priority = priority.and_then(|priority| u8::try_from(priority).ok());
                    }
                    _ => return false,
                }
                true
            }),
            _ => return false,
        }
        true
    }

    /// There is one address; it can be changed and not taken away.
    fn take_addresses(&mut self, pointer: &str, value: &Value, shown: &Value, faults: &mut Faults) {
        let Some(array) = value.as_array() else {
            faults.wrong_type(pointer, value);
            return;
        };
        if array.len() != 1 {
            let text = value.to_string();
            let fault = Message::new(message::PropertyValueOutOfRange, [&text, pointer]).about(pointer);
            faults.push(fault.resolution("Give exactly one address: the LAN channel has one."));
        }
        let Some(first) = array.first() else { return };
        let pointer = format!("{pointer}/0");
        let present = shown.get(0).cloned().unwrap_or_else(|| json!({}));
        members(&pointer, first, &present, faults, |member, pointer, value, faults| {
            let part = match member {
                "Address" => &mut self.address,
                "SubnetMask" => &mut self.mask,
                "Gateway" => &mut self.gateway,
                _ => return false,
            };
            *part = ipv4(pointer, value, faults);
            if let (Some(mask), true) = (*part, member == "SubnetMask")
                && u32::from(mask).leading_ones() != u32::from(mask).count_ones()
            {
                let text = mask.to_string();
                faults.push(Message::new(message::PropertyValueFormatError, [&text, pointer]).about(pointer));
            }
            true
        });
    }

    /// What the LAN parameters are after it.
    fn put(&self, lan: &mut LanSettings) {
        let addressed = self.address.is_some() || self.mask.is_some() || self.gateway.is_some();
        lan.address = self.address.or(lan.address);
        lan.subnet_mask = self.mask.or(lan.subnet_mask);
        lan.default_gateway.0 = self.gateway.unwrap_or(lan.default_gateway.0);
        lan.mac = self.mac.or(lan.mac);
        if self.dhcp == Some(true) {
            lan.address_source = AddressSource::Dhcp;
        } else if addressed || self.dhcp == Some(false) && lan.address_source == AddressSource::Dhcp {
            lan.address_source = AddressSource::Static;
        }
        lan.vlan_enabled = self.vlan_enabled.unwrap_or(lan.vlan_enabled);
        lan.vlan_id = self.vlan_id.unwrap_or(lan.vlan_id);
        lan.vlan_priority = self.vlan_priority.unwrap_or(lan.vlan_priority);
    }
}

fn members(
    pointer: &str,
    value: &Value,
    shown: &Value,
    faults: &mut Faults,
    take: impl FnMut(&str, &str, &Value, &mut Faults) -> bool,
) {
    match value.as_object() {
        Some(object) => patch::each_property(object, shown, pointer, faults, take),
        None => faults.wrong_type(pointer, value),
    }
}

fn number(pointer: &str, value: &Value, min: u64, max: u64, faults: &mut Faults) -> Option<u64> {
    if !value.is_i64() && !value.is_u64() {
        faults.wrong_type(pointer, value);
        return None;
    }
    let number = value.as_u64().filter(|number| (min..=max).contains(number));
    if number.is_none() {
        let text = value.to_string();
        faults.push(Message::new(message::PropertyValueOutOfRange, [&text, pointer]).about(pointer));
    }
    number
}

fn ipv4(pointer: &str, value: &Value, faults: &mut Faults) -> Option<Ipv4Addr> {
    let text = faults.string(pointer, value)?;
    let address = text.parse().ok();
    if address.is_none() {
        faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
    }
    address
}

/// Six hexadecimal numbers with `:` or `-` between them (EthernetInterface schema), and not a group's.
fn mac(pointer: &str, value: &Value, faults: &mut Faults) -> Option<MacAddress> {
    let text = faults.string(pointer, value)?;
    let part = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    let bytes: Option<Vec<u8>> = text.split([':', '-']).map(part).collect();
    let mac = bytes.and_then(|bytes| MacAddress::try_from(bytes).ok()).filter(|mac| mac[0] & 1 == 0);
    if mac.is_none() {
        faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
    }
    mac
}

/// A label or labels of letters, digits and hyphens (RFC 1123).
pub(in crate::resource) fn host_name_of(
    pointer: &str,
    value: &Value,
    max_bytes: usize,
    faults: &mut Faults,
) -> Option<String> {
    let text = faults.string(pointer, value)?;
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.len() > max_bytes {
        let limit = max_bytes.to_string();
        faults.push(Message::new(message::StringValueTooLong, [text, &limit]).about(pointer));
    } else if !text.split('.').all(label) {
        faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
    }
    Some(text.to_owned())
}

fn read(body: &Map<String, Value>, shown: &Value) -> Result<Wanted, Problem> {
    patch::read(body, |faults| {
        let mut wanted = Wanted::default();
        patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
            wanted.take(name, pointer, value, shown, faults)
        });
        if wanted.dhcp == Some(true) && body.contains_key("IPv4StaticAddresses") {
            let names = ["/DHCPv4/DHCPEnabled", "/IPv4StaticAddresses"];
            faults.push(Message::new(message::PropertyValueConflict, names).about(names[0]));
        }
        let enabled = wanted.vlan_enabled == Some(true);
        if enabled && wanted.vlan_id.is_none() && shown["VLAN"]["VLANId"].is_null() {
            let names = ["/VLAN/VLANEnable", "/VLAN/VLANId"];
            faults.push(Message::new(message::PropertyValueConflict, names).about(names[0]));
        }
        let anything = wanted != Wanted::default();
        (wanted, anything)
    })
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("EthernetInterface", call.id)?;
    if call.member != ID {
        return Err(Problem::not_found("EthernetInterface", call.member));
    }
    write::change(call, &machine, render, |_, shown| {
        let wanted = read(&call.body, shown)?;
        let edit = Edit::new(move |edit| {
            wanted.put(&mut edit.settings.lan);
            if let Some(name) = &wanted.host_name {
                edit.settings.dcmi.controller_id = Some(name.clone().into_bytes());
            }
            Ok(())
        });
        Ok(Change { edit: Some(edit), ..Change::default() })
    })
    .await
}
