//! Collections: a name and references to members, or the members themselves.

use serde_json::{Value, json};

use crate::resource::link;
use crate::schema::Schema;

/// A collection of what lies at `members`.
pub(super) fn render(schema: Schema, uri: &str, name: &str, members: &[String]) -> Value {
    render_expanded(schema, uri, name, members.iter().map(|uri| link(uri)).collect())
}

/// A collection with its members whole, as the schema wants it of the few that it marks `OData.AutoExpand`.
pub(super) fn render_expanded(schema: Schema, uri: &str, name: &str, members: Vec<Value>) -> Value {
    json!({
        "@odata.id": uri,
        "@odata.type": schema.odata_type(),
        "Name": name,
        "Members@odata.count": members.len(),
        "Members": members,
    })
}
