//! The OData service document (DSP0266, "OData service document").

use serde_json::json;

use crate::error::Problem;
use crate::resource::{Call, Content, root, session};
use crate::routes::{Route, show};

/// The service document.
pub(crate) static ROUTES: &[Route] =
    &[Route { path: "/redfish/v1/odata", verbs: &[show(show_document, "OData service document")] }];

fn show_document(_: &Call<'_>) -> Result<Content, Problem> {
    let entry = |name: &str, uri: &str| json!({"name": name, "kind": "Singleton", "url": uri});
    let mut entries = vec![entry("Service", root::URI)];
    entries.extend(root::CHILDREN.iter().map(|(name, uri)| entry(name, uri)));
    entries.push(entry("Sessions", session::COLLECTION_URI));
    Ok(Content::Plain(json!({"@odata.context": "/redfish/v1/$metadata", "value": entries})))
}
