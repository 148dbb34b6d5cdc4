//! Collections: a name and references to members.

use serde_json::{Value, json};

use crate::resource::link;
use crate::schema::Schema;

/// A collection of what lies at `members`.
pub(super) fn render(schema: Schema, uri: &str, name: &str, members: &[String]) -> Value {
    json!({
        "@odata.id": uri,
        "@odata.type": schema.odata_type(),
        "Name": name,
        "Members@odata.count": members.len(),
        "Members": members.iter().map(|uri| link(uri)).collect::<Vec<Value>>(),
    })
}
