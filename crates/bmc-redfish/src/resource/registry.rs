//! `Registries`: where the texts of the messages come from. Only DMTF's own Base registry is used, so its published file is named and
//! no copy is kept.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::message::{REGISTRY, REGISTRY_FILE};
use crate::resource::{Call, collection, resource, with};
use crate::schema;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/Registries";
/// The id of the one registry.
const BASE: &str = "Base";

pub(super) fn collection() -> Value {
    let members = [format!("{COLLECTION_URI}/{BASE}")];
    collection::render(schema::REGISTRY_FILE_COLLECTION, COLLECTION_URI, "Message Registries", &members)
}

pub(super) fn get(call: &Call<'_>) -> Result<Value, Problem> {
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
