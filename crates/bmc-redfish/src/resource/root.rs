//! The service root.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::query;
use crate::resource::{
    Call, Content, Uris, account, certificate, chassis, event_service, json_schema, link, manager, registry,
    resource, session, session_service, system, task, telemetry, update_service, with,
};
use crate::routes::{Route, open, show};
use crate::schema;
use crate::scope::Scope;

/// Where it is (DSP0266, "Redfish-defined URIs").
pub(super) const URI: &str = "/redfish/v1/";

/// The version of the specification that is followed.
const REDFISH_VERSION: &str = "1.20.0";

/// What a client finds below the root, by name and URI; the OData service document lists the same.
pub(super) const CHILDREN: [(&str, &str); 12] = [
    ("Systems", system::COLLECTION_URI),
    ("Managers", manager::COLLECTION_URI),
    ("Chassis", chassis::COLLECTION_URI),
    ("AccountService", account::URI),
    ("CertificateService", certificate::URI),
    ("SessionService", session_service::URI),
    ("Tasks", task::URI),
    ("EventService", event_service::URI),
    ("TelemetryService", telemetry::URI),
    ("UpdateService", update_service::URI),
    ("Registries", registry::COLLECTION_URI),
    ("JsonSchemas", json_schema::COLLECTION_URI),
];

/// The versions of the protocol, and the root itself.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish", verbs: &[show(versions, "the protocol's versions")] },
    Route { path: "/redfish/v1", verbs: &[open(show_root, "ServiceRoot")] },
];

fn versions(_: &Call<'_>) -> Result<Content, Problem> {
    Ok(Content::Plain(json!({"v1": URI})))
}

fn show_root(call: &Call<'_>) -> Result<Value, Problem> {
    let service = call.service;
    let mut object = resource(schema::SERVICE_ROOT, URI, "RootService", "Root Service");
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("RedfishVersion", REDFISH_VERSION.into());
    put("UUID", service.uuid().to_string().into());
    put("Product", service.profile().product.as_str().into());
    let mut links = json!({"Sessions": link(session::COLLECTION_URI)});
    let mut vendor = service.profile().vendor.clone();
    if let Scope::One { machine, .. } = &service.scope {
        let snapshot = machine.snapshot();
        vendor = vendor.or_else(|| Some(snapshot.identity.manufacturer.clone()));
        links["ManagerProvidingService"] = link(&Uris::of(&snapshot).manager);
    }
    // Machines may be of many makers; the root over all is the service's own.
    put("Vendor", vendor.unwrap_or_else(|| service.profile().product.clone()).into());
    let features = json!({
        "DeepOperations": {"DeepPATCH": false, "DeepPOST": false},
        "ExcerptQuery": false,
        "ExpandQuery": {
            "ExpandAll": true,
            "Levels": true,
            "Links": true,
            "MaxLevels": query::LEVELS_MAX,
            "NoLinks": true,
        },
        "FilterQuery": true,
        "FilterQueryComparisonOperations": true,
        "FilterQueryCompoundOperations": true,
        "IncludeOriginOfConditionQuery": false,
        "MultipleHTTPRequests": true,
        "OnlyMemberQuery": true,
        "SelectQuery": true,
        "TopSkipQuery": true,
    });
    put("ProtocolFeaturesSupported", features);
    for (name, uri) in CHILDREN {
        put(name, link(uri));
    }
    Ok(with(object, json!({"Links": links})))
}
