//! `CertificateService` and the HTTPS certificates of Managers: shown, requested and replaced while the service runs.
//!
//! The root over all BMCs shows the certificates of the BMCs' own endpoints. It has no Manager of its own, and so none for its own.

mod request;
pub(super) mod show;

use std::sync::Arc;

use bmc_core::fleet::MachineHandle;
use http::StatusCode;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::{Call, Content, Reply, action_info, collection, link, manager, resource, with};
use crate::routes::{Access, Route, get, post};
use crate::schema;
use crate::service::resource_id;
use crate::tls::{Held, ReplaceError};

pub(super) const URI: &str = "/redfish/v1/CertificateService";
const LOCATIONS_URI: &str = "/redfish/v1/CertificateService/CertificateLocations";
const GENERATE: &str = "CertificateService.GenerateCSR";
const REPLACE: &str = "CertificateService.ReplaceCertificate";
const GENERATE_INFO_URI: &str = "/redfish/v1/CertificateService/GenerateCSRActionInfo";
/// The id of the one certificate that an endpoint has.
const ID: &str = "1";

/// The certificate service, and the certificates.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/CertificateService", verbs: &[get(service, "CertificateService")] },
    Route {
        path: "/redfish/v1/CertificateService/CertificateLocations",
        verbs: &[get(locations, "CertificateLocations").access(Access::Needs(Privilege::ConfigureManager))],
    },
    Route {
        path: "/redfish/v1/CertificateService/GenerateCSRActionInfo",
        verbs: &[get(generate_info, "ActionInfo of the request's action")],
    },
    Route {
        path: "/redfish/v1/CertificateService/Actions/CertificateService.GenerateCSR",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(generate(call)),
            "makes a key, and a request to sign a certificate for it",
        )],
    },
    Route {
        path: "/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate",
        verbs: &[post(
            Privilege::ConfigureManager,
            |call| Box::pin(replace(call)),
            "puts another HTTPS certificate in place: PEM, with its key or for one that is there",
        )
        .secret(&["CertificateString", "Password"])],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/NetworkProtocol/HTTPS/Certificates",
        verbs: &[get(https, "CertificateCollection").access(Access::Needs(Privilege::ConfigureManager))],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/NetworkProtocol/HTTPS/Certificates/{member}",
        verbs: &[get(certificate, "Certificate").access(Access::Needs(Privilege::ConfigureManager))],
    },
];

/// Where the HTTPS certificates of a Manager are; `id` is the Manager's.
pub(crate) fn https_certificates_uri(id: &str) -> String {
    format!("{}/{id}/NetworkProtocol/HTTPS/Certificates", manager::COLLECTION_URI)
}

fn uri_of(machine: &MachineHandle) -> String {
    format!("{}/{ID}", https_certificates_uri(&resource_id(&machine.snapshot())))
}

/// The certificate of a BMC's endpoint; none where that is plain HTTP.
fn held(call: &Call<'_>, machine: &MachineHandle) -> Option<Arc<Held>> {
    call.service.config.keyring.get(machine.name())
}

fn service(_: &Call<'_>) -> Result<Value, Problem> {
    let object = resource(schema::CERTIFICATE_SERVICE, URI, "CertificateService", "Certificate Service");
    let members = json!({
        "CertificateLocations": link(LOCATIONS_URI),
        "Actions": {
            "#CertificateService.GenerateCSR": {
                "target": format!("{URI}/Actions/{GENERATE}"),
                "@Redfish.ActionInfo": GENERATE_INFO_URI,
                "KeyPairAlgorithm@Redfish.AllowableValues": request::algorithms(),
                "KeyCurveId@Redfish.AllowableValues": request::curves(),
                "KeyUsage@Redfish.AllowableValues": request::usages(),
            },
            "#CertificateService.ReplaceCertificate": {
                "target": format!("{URI}/Actions/{REPLACE}"),
                "CertificateType@Redfish.AllowableValues": TYPES.map(|(name, ())| name),
            },
        },
    });
    Ok(with(object, members))
}

/// The parameters of `GenerateCSR`: those of the subject are strings, and two have lists to choose from.
fn generate_info(_: &Call<'_>) -> Result<Value, Problem> {
    let parameter = |name: &str, kind: &str, required: bool| json!({"Name": name, "DataType": kind, "Required": required});
    let mut parameters =
        vec![parameter("CertificateCollection", "Object", true), parameter("CommonName", "String", true)];
    for name in ["Organization", "OrganizationalUnit", "City", "State", "Country", "Email"] {
        parameters.push(parameter(name, "String", false));
    }
    let choices = [
        ("AlternativeNames", "StringArray", None),
        ("KeyPairAlgorithm", "String", Some(request::algorithms())),
        ("KeyCurveId", "String", Some(request::curves())),
        ("KeyUsage", "StringArray", Some(request::usages())),
    ];
    for (name, kind, values) in choices {
        let mut one = parameter(name, kind, false);
        if let Some(values) = values {
            one["AllowableValues"] = values.into();
        }
        parameters.push(one);
    }
    Ok(action_info::render(
        GENERATE_INFO_URI,
        "GenerateCSRActionInfo",
        "Generate CSR Action Info",
        &parameters.into(),
    ))
}

fn locations(call: &Call<'_>) -> Result<Value, Problem> {
    let machines = call.service.scope.machines();
    let secured = machines.iter().filter(|machine| held(call, machine).is_some());
    let certificates: Vec<Value> = secured.map(|machine| link(&uri_of(machine))).collect();
    let object = resource(
        schema::CERTIFICATE_LOCATIONS,
        LOCATIONS_URI,
        "CertificateLocations",
        "Certificate Locations",
    );
    let members = json!({
        "Links": {"Certificates@odata.count": certificates.len(), "Certificates": certificates},
    });
    Ok(with(object, members))
}

fn https(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("Manager", call.id)?;
    let uri = https_certificates_uri(&resource_id(&machine.snapshot()));
    let members: Vec<String> = held(call, &machine).map(|_| uri_of(&machine)).into_iter().collect();
    Ok(collection::render(schema::CERTIFICATE_COLLECTION, &uri, "HTTPS Certificates", &members))
}

fn certificate(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("Manager", call.id)?;
    let held = held(call, &machine).filter(|_| call.member == ID);
    let held = held.ok_or_else(|| Problem::not_found("Certificate", call.member))?;
    let object = resource(schema::CERTIFICATE, &uri_of(&machine), ID, "HTTPS Certificate");
    Ok(with(object, show::members(&held.current().cert)))
}

const TYPES: [(&str, ()); 2] = [("PEM", ()), ("PEMchain", ())];

async fn replace(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut parameters = Parameters::new(REPLACE, &call.body);
    let text = parameters.required("CertificateString");
    // Its value may hold a key: its type alone is told to be at fault.
    if text.is_some_and(|value| !value.is_string()) {
        parameters.push(value_error(
            "CertificateString",
            REPLACE,
            "Send the certificate as a string of PEM.",
        ));
    }
    if let Some(value) = parameters.required("CertificateType") {
        parameters.choice("CertificateType", value, &TYPES);
    }
    let place = parameters.required("CertificateUri").cloned();
    let machine = place.and_then(|place| {
        let machine = named(call, &place, uri_of);
        if machine.is_none() {
            let advice = format!("Send the link of a certificate that {LOCATIONS_URI} lists.");
            parameters.push(value_error("CertificateUri", REPLACE, &advice));
        }
        machine
    });
    if parameters.optional("Password").is_some() {
        let args = ["Password", REPLACE];
        parameters.push(Message::new(message::ActionParameterNotSupported, args).about("/Password"));
    }
    parameters.end()?;
    let (Some(machine), Some(text)) = (machine, text.and_then(Value::as_str)) else {
        return Err(Problem::internal());
    };
    let held = held(call, &machine).ok_or_else(|| refused(REPLACE, &plain_http()))?;
    let (text, now) = (text.to_owned(), call.service.scope.fleet().clock().timestamp());
    let replaced = tokio::task::spawn_blocking(move || held.replace(&text, now)).await;
    replaced
        .map_err(|_| Problem::internal())?
        .map_err(|error| problem(REPLACE, "CertificateString", &error))?;
    let by = call.caller.as_ref().map_or("", |caller| caller.user.as_str());
    tracing::info!(bmc = %machine.name(), by, source = %call.source, "the HTTPS certificate was replaced over Redfish");
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

async fn generate(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut parameters = Parameters::new(GENERATE, &call.body);
    let place = |machine: &MachineHandle| https_certificates_uri(&resource_id(&machine.snapshot()));
    let reference = parameters.required("CertificateCollection");
    let machine = reference.and_then(|reference| named(call, reference, place));
    if reference.is_some() && machine.is_none() {
        let advice = "Send the link of the HTTPS certificates of a Manager.";
        parameters.push(value_error("CertificateCollection", GENERATE, advice));
    }
    let subject = request::read(&mut parameters);
    parameters.end()?;
    let Some(machine) = machine else { return Err(Problem::internal()) };
    let held = held(call, &machine).ok_or_else(|| refused(GENERATE, &plain_http()))?;
    let request = tokio::task::spawn_blocking(move || held.request(&subject)).await;
    let request = request.map_err(|_| Problem::internal())?;
    let request = request.map_err(|error| problem(GENERATE, "AlternativeNames", &error))?;
    let answer = json!({"CSRString": request, "CertificateCollection": link(&place(&machine))});
    Ok(Reply::ok(Content::Plain(answer)))
}

/// The machine that a reference means, by the URI that it has for `place`. Other ids of the machine work here too, as in URLs.
fn named(
    call: &Call<'_>,
    reference: &Value,
    place: impl Fn(&MachineHandle) -> String,
) -> Option<MachineHandle> {
    let uri = reference.get("@odata.id")?.as_str()?.trim_end_matches('/');
    let id = uri.strip_prefix(manager::COLLECTION_URI)?.strip_prefix('/')?.split('/').next()?;
    let machine = call.service.scope.find(id)?;
    let canonical = place(&machine);
    let tail = canonical.strip_prefix(manager::COLLECTION_URI)?.split('/').skip(2);
    let given = uri.strip_prefix(manager::COLLECTION_URI)?.split('/').skip(2);
    tail.eq(given).then_some(machine)
}

fn value_error(parameter: &str, action: &str, advice: &str) -> Message {
    let fault = Message::new(message::ActionParameterValueError, [parameter, action]);
    fault.about(&format!("/{parameter}")).resolution(advice)
}

fn plain_http() -> String {
    "This endpoint is plain HTTP and has no certificate; set `tls` in the configuration.".to_owned()
}

/// The action is not for this endpoint.
fn refused(action: &str, advice: &str) -> Problem {
    let message = Message::new(message::ActionNotSupported, [action]).resolution(advice);
    Problem::bad_request(vec![message])
}

fn problem(action: &str, parameter: &str, error: &ReplaceError) -> Problem {
    let mut advice = error.to_string();
    if let Some(first) = advice.get(..1).map(str::to_uppercase) {
        advice.replace_range(..1, &first);
    }
    advice.push('.');
    match error {
        ReplaceError::Fixed => refused(action, &advice),
        ReplaceError::Content(_) | ReplaceError::Key(_) | ReplaceError::Validity(_) => {
            Problem::bad_request(vec![value_error(parameter, action, &advice)])
        }
        ReplaceError::Store(error) => {
            tracing::error!(%error, "a certificate could not be kept");
            Problem::internal()
        }
    }
}
