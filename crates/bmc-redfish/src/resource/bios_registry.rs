//! The BIOS attribute registry: which attributes there are, of what kind, and what they may be. It is ours, so it is served here.

use bmc_core::settings::bios::BiosValue;
use bmc_core::settings::bios::attributes::{ATTRIBUTES, Attribute, Kind};
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::privilege::Privilege;
use crate::resource::{Call, Content, registry, resource, with};
use crate::routes::{Access, Route, show};
use crate::schema;

/// Its id, by which the BIOS names it.
pub(super) const ID: &str = "PolybmcBiosAttributeRegistry.v1_0_0";
const VERSION: &str = "1.0.0";
/// As `MessageRegistryFile` names it: prefix, major and minor version.
const REGISTRY: &str = "PolybmcBiosAttributeRegistry.1.0";
const NAME: &str = "BIOS Attribute Registry";

/// The registry itself.
pub(crate) static ROUTES: &[Route] = &[Route {
    path: "/redfish/v1/Registries/PolybmcBiosAttributeRegistry.v1_0_0/Registry",
    verbs: &[show(show_registry, "AttributeRegistry of the BIOS attributes")
        .access(Access::Needs(Privilege::Login))],
}];

/// Where its place in the collection of registries is.
pub(super) fn file_uri() -> String {
    format!("{}/{ID}", registry::COLLECTION_URI)
}

/// Its entry in the collection of registries.
pub(super) fn render_file() -> Value {
    let uri = file_uri();
    let object = resource(schema::REGISTRY_FILE, &uri, ID, NAME);
    let members = json!({
        "Languages": ["en"],
        "Registry": REGISTRY,
        "Location": [{"Language": "en", "Uri": format!("{uri}/Registry")}],
    });
    with(object, members)
}

fn show_registry(_: &Call<'_>) -> Result<Content, Problem> {
    let menu_name = |attribute: &Attribute| attribute.menu.replace(' ', "");
    let mut menus: Vec<Value> = Vec::new();
    for attribute in ATTRIBUTES {
        let name = menu_name(attribute);
        if !menus.iter().any(|menu| menu["MenuName"] == *name) {
            menus.push(json!({
                "MenuName": name,
                "DisplayName": attribute.menu,
                "DisplayOrder": menus.len() + 1,
                "MenuPath": format!("./{name}"),
                "Hidden": false,
                "GrayOut": false,
                "ReadOnly": false,
            }));
        }
    }
    let attributes: Vec<Value> = ATTRIBUTES
        .iter()
        .enumerate()
        .map(|(at, attribute)| render(attribute, at, &menu_name(attribute)))
        .collect();
    Ok(Content::Plain(json!({
        "@odata.type": schema::ATTRIBUTE_REGISTRY.odata_type(),
        "Id": ID,
        "Name": NAME,
        "Description": "Attributes of the BIOS of a virtual machine. Those that only the service keeps say so in their help text.",
        "Language": "en",
        "OwningEntity": "polybmc",
        "RegistryVersion": VERSION,
        "SupportedSystems": [],
        "RegistryEntries": {"Attributes": attributes, "Menus": menus, "Dependencies": []},
    })))
}

fn render(attribute: &Attribute, at: usize, menu: &str) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("AttributeName", attribute.name.into());
    put("DisplayName", attribute.label.into());
    put("DisplayOrder", (at + 1).into());
    put("HelpText", attribute.help.into());
    put("MenuPath", format!("./{menu}").into());
    put("ReadOnly", attribute.is_read_only().into());
    put("Immutable", attribute.is_read_only().into());
    put("WriteOnly", false.into());
    put("Hidden", false.into());
    put("GrayOut", false.into());
    put("ResetRequired", (!attribute.is_read_only()).into());
    let kind = match attribute.kind {
        Kind::Choice(names) => {
            let values: Vec<Value> =
                names.iter().map(|name| json!({"ValueName": name, "ValueDisplayName": name})).collect();
            put("Value", values.into());
            "Enumeration"
        }
        Kind::Text(most) => {
            put("MinLength", 0.into());
            put("MaxLength", most.into());
            "String"
        }
        Kind::Integer(least, greatest) => {
            put("LowerBound", least.into());
            put("UpperBound", greatest.into());
            put("ScalarIncrement", 1.into());
            "Integer"
        }
        Kind::Flag => "Boolean",
    };
    put("Type", kind.into());
    if let Some(default) = attribute.default_value() {
        let default = match default {
            BiosValue::Flag(flag) => flag.into(),
            BiosValue::Number(number) => number.into(),
            BiosValue::Text(text) => text.into(),
        };
        put("DefaultValue", default);
    }
    Value::Object(object)
}
