//! `$metadata`: which schemas are in use and where DMTF publishes them (DSP0266, "OData metadata").

use std::fmt::Write as _;

use crate::error::Problem;
use crate::resource::{Call, Content};
use crate::routes::{Route, show};
use crate::schema;

/// The metadata document.
pub(crate) static ROUTES: &[Route] = &[Route {
    path: "/redfish/v1/$metadata",
    verbs: &[show(show_document, "OData metadata (XML), naming DMTF's published schemas")],
}];

fn show_document(_: &Call<'_>) -> Result<Content, Problem> {
    Ok(Content::Xml(render()))
}

fn render() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <edmx:Edmx xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.0\">\n\
         \x20 <edmx:Reference Uri=\"http://redfish.dmtf.org/schemas/v1/RedfishExtensions_v1.xml\">\n\
         \x20   <edmx:Include Namespace=\"RedfishExtensions.v1_0_0\" Alias=\"Redfish\"/>\n\
         \x20 </edmx:Reference>\n",
    );
    for schema in schema::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(xml, "  <edmx:Reference Uri=\"{}\">", schema.csdl_uri());
        let _ = writeln!(xml, "    <edmx:Include Namespace=\"{}\"/>", schema.name);
        if let Some(version) = schema.version {
            let _ = writeln!(xml, "    <edmx:Include Namespace=\"{}.{version}\"/>", schema.name);
        }
        let _ = writeln!(xml, "  </edmx:Reference>");
    }
    let root = schema::SERVICE_ROOT;
    let _ = write!(
        xml,
        "  <edmx:DataServices>\n\
         \x20   <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"Service\">\n\
         \x20     <EntityContainer Name=\"Service\" Extends=\"{}.{}.ServiceContainer\"/>\n\
         \x20   </Schema>\n\
         \x20 </edmx:DataServices>\n\
         </edmx:Edmx>\n",
        root.name,
        root.version.unwrap_or_default(),
    );
    xml
}
