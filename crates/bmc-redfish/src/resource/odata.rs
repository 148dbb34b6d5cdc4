//! The OData service document (DSP0266, "OData service document").

use serde_json::{Value, json};

use crate::resource::{root, session};

pub(super) fn get() -> Value {
    let entry = |name: &str, uri: &str| json!({"name": name, "kind": "Singleton", "url": uri});
    let mut entries = vec![entry("Service", root::URI)];
    entries.extend(root::CHILDREN.iter().map(|(name, uri)| entry(name, uri)));
    entries.push(entry("Sessions", session::COLLECTION_URI));
    json!({"@odata.context": "/redfish/v1/$metadata", "value": entries})
}
