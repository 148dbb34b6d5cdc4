//! `Registries`: where the texts of the messages come from. They are DMTF's own: their published files are named and no copy is kept. For
//! clients that cannot get at those, what is served of each are the messages that this service sends, made from the table that it sends
//! them by. The registry of BIOS attributes is ours.

use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::message::{self, Entry, REGISTRY, REGISTRY_FILE};
use crate::privilege::Privilege;
use crate::resource::{Call, Content, bios_registry, collection, resource, with};
use crate::routes::{Access, Route, get, show as show_plain};
use crate::schema;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Registries";

/// A registry that DMTF publishes.
pub(crate) struct Published {
    /// Its prefix, which is its id in the collection too.
    pub(crate) prefix: &'static str,
    /// What it is about.
    pub(crate) name: &'static str,
    /// Prefix, major and minor version, as a `MessageId` begins.
    pub(crate) registry: &'static str,
    /// Its published file, without `.json`: the full version.
    pub(crate) file: &'static str,
}

/// Every registry whose messages this service sends. A test holds each to its published file.
pub(crate) const PUBLISHED: &[Published] = &[
    Published { prefix: "Base", name: "Base Message Registry", registry: REGISTRY, file: REGISTRY_FILE },
    Published {
        prefix: "ResourceEvent",
        name: "Resource Event Message Registry",
        registry: "ResourceEvent.1.4",
        file: "ResourceEvent.1.4.3",
    },
    Published {
        prefix: "TaskEvent",
        name: "Task Event Message Registry",
        registry: "TaskEvent.1.0",
        file: "TaskEvent.1.0.5",
    },
    Published {
        prefix: "AccountSecurity",
        name: "Account Security Message Registry",
        registry: "AccountSecurity.1.0",
        file: "AccountSecurity.1.0.1",
    },
    Published {
        prefix: "ManagerEvent",
        name: "Manager Event Message Registry",
        registry: "ManagerEvent.1.0",
        file: "ManagerEvent.1.0.0",
    },
    Published {
        prefix: "Platform",
        name: "Platform Message Registry",
        registry: "Platform.1.3",
        file: "Platform.1.3.2",
    },
    Published { prefix: "Power", name: "Power Message Registry", registry: "Power.1.2", file: "Power.1.2.0" },
    Published {
        prefix: "SensorEvent",
        name: "Sensor Event Message Registry",
        registry: "SensorEvent.1.1",
        file: "SensorEvent.1.1.0",
    },
    Published {
        prefix: "Update",
        name: "Update Message Registry",
        registry: "Update.1.3",
        file: "Update.1.3.0",
    },
];

/// The registries.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Registries", verbs: &[get(collection, "MessageRegistryFileCollection")] },
    Route {
        path: "/redfish/v1/Registries/{id}",
        verbs: &[get(
            show,
            "MessageRegistryFile of a registry in use, pointing to DMTF's published file and to what is served of it",
        )],
    },
    Route {
        path: "/redfish/v1/Registries/{id}/Registry",
        verbs: &[show_plain(show_registry, "MessageRegistry: those messages of it that this service sends")
            .access(Access::Needs(Privilege::Login))],
    },
];

fn collection(_: &Call<'_>) -> Result<Value, Problem> {
    let mut members: Vec<String> =
        PUBLISHED.iter().map(|registry| format!("{COLLECTION_URI}/{}", registry.prefix)).collect();
    members.push(bios_registry::file_uri());
    Ok(collection::render(schema::REGISTRY_FILE_COLLECTION, COLLECTION_URI, "Message Registries", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    if call.id == bios_registry::ID {
        return Ok(bios_registry::render_file());
    }
    let found = PUBLISHED.iter().find(|registry| registry.prefix == call.id);
    found.map(render).ok_or_else(|| Problem::not_found("MessageRegistryFile", call.id))
}

fn render(published: &Published) -> Value {
    let uri = format!("{COLLECTION_URI}/{}", published.prefix);
    let object = resource(schema::REGISTRY_FILE, &uri, published.prefix, published.name);
    let file = format!("https://redfish.dmtf.org/registries/{}.json", published.file);
    let members = json!({
        "Languages": ["en"],
        "Registry": published.registry,
        "Location": [{"Language": "en", "Uri": format!("{uri}/Registry"), "PublicationUri": file}],
    });
    with(object, members)
}

/// What this service sends of a registry.
fn show_registry(call: &Call<'_>) -> Result<Content, Problem> {
    let found = PUBLISHED.iter().find(|registry| registry.prefix == call.id);
    let published = found.ok_or_else(|| Problem::not_found("MessageRegistry", call.id))?;
    let ours = message::ALL.iter().copied().chain(message::event::all());
    let ours = ours.filter(|entry| entry.registry.file == published.file);
    let messages: Map<String, Value> = ours.map(|entry| (entry.key.to_owned(), describe(entry))).collect();
    let version = published.file.strip_prefix(published.prefix).and_then(|rest| rest.strip_prefix('.'));
    Ok(Content::Plain(json!({
        "@odata.type": schema::MESSAGE_REGISTRY.odata_type(),
        "Id": published.file,
        "Name": published.name,
        "Description": format!(
            "The messages of DMTF's registry {} that this service sends. The whole registry, with all that it says of them, is what \
             PublicationUri of its MessageRegistryFile names.",
            published.file
        ),
        "Language": "en",
        "RegistryPrefix": published.prefix,
        "RegistryVersion": version,
        "OwningEntity": "DMTF",
        "Messages": messages,
    })))
}

fn describe(entry: &Entry) -> Value {
    let mut message = json!({
        "Description": format!("The message {} of {}.", entry.key, entry.registry.file),
        "Message": entry.text,
        "Severity": entry.severity,
        "MessageSeverity": entry.severity,
        "NumberOfArgs": entry.args,
        "Resolution": entry.resolution,
    });
    if entry.args > 0 {
        message["ParamTypes"] = entry.param_types().collect();
    }
    message
}
