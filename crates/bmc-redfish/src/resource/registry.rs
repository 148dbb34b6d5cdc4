//! `Registries`: where the texts of the messages come from. Only DMTF's own Base registry is used, so its published file is named and
//! no copy is kept.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::message::{REGISTRY, REGISTRY_FILE};
use crate::resource::{Call, collection, resource, with};
use crate::routes::{Route, get};
use crate::schema;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Registries";
/// The id of the one registry.
const BASE: &str = "Base";

/// The registries.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Registries", verbs: &[get(collection, "MessageRegistryFileCollection")] },
    Route {
        path: "/redfish/v1/Registries/{id}",
        verbs: &[get(show, "MessageRegistryFile of `Base`, pointing to DMTF's published file")],
    },
];

fn collection(_: &Call<'_>) -> Result<Value, Problem> {
    let members = [format!("{COLLECTION_URI}/{BASE}")];
    Ok(collection::render(schema::REGISTRY_FILE_COLLECTION, COLLECTION_URI, "Message Registries", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    if call.id != BASE {
        return Err(Problem::not_found("MessageRegistryFile", call.id));
    }
    let uri = format!("{COLLECTION_URI}/{BASE}");
    let object = resource(schema::REGISTRY_FILE, &uri, BASE, "Base Message Registry");
    let published = format!("https://redfish.dmtf.org/registries/{REGISTRY_FILE}.json");
    let members = json!({
        "Languages": ["en"],
        "Registry": REGISTRY,
        "Location": [{"Language": "en", "PublicationUri": published}],
    });
    Ok(with(object, members))
}
