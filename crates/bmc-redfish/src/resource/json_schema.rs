//! `JsonSchemas`: which schemas the resources follow, and where DMTF publishes them (DSP0266, "Schema file naming"). The files are named and no
//! copy is kept.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::resource::{Call, collection, resource, with};
use crate::routes::{Route, get};
use crate::schema::{self, Schema};

pub(super) const COLLECTION_URI: &str = "/redfish/v1/JsonSchemas";

/// The schemas.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/JsonSchemas", verbs: &[get(collection, "JsonSchemaFileCollection")] },
    Route {
        path: "/redfish/v1/JsonSchemas/{id}",
        verbs: &[get(show, "JsonSchemaFile of a schema in use, pointing to DMTF's published file")],
    },
];

fn collection(_: &Call<'_>) -> Result<Value, Problem> {
    let members: Vec<String> =
        schema::ALL.iter().map(|schema| format!("{COLLECTION_URI}/{}", schema.file())).collect();
    Ok(collection::render(schema::JSON_SCHEMA_FILE_COLLECTION, COLLECTION_URI, "JSON Schemas", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let found = schema::ALL.iter().find(|schema| schema.file() == call.id);
    found.map(render).ok_or_else(|| Problem::not_found("JsonSchemaFile", call.id))
}

fn render(described: &Schema) -> Value {
    let id = described.file();
    let name = format!("{} Schema File", described.name);
    let object = resource(schema::JSON_SCHEMA_FILE, &format!("{COLLECTION_URI}/{id}"), &id, &name);
    let members = json!({
        "Languages": ["en"],
        "Schema": described.odata_type(),
        "Location": [{"Language": "en", "PublicationUri": described.json_uri()}],
    });
    with(object, members)
}
