//! `UpdateService`: new firmware for machines and their BMCs, by URL or sent by the client; and the inventory of it.

use bmc_core::account::Secret;
use bmc_core::fleet::MachineHandle;
use bmc_core::media::{MediaSource, Transfer};
use bmc_core::request::{Change, Request};
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::error::{Problem, sentence};
use crate::message::event::update;
use crate::message::{self, Message};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::apply_time::{self, ApplyTime};
use crate::resource::{Call, Reply, Uris, collection, link, resource, with, write};
use crate::routes::{Route, get, post};
use crate::schema;
use crate::scope::Scope;
use crate::secret;
use crate::service::{Service, resource_id};
use crate::tasks::Progress;
use crate::update::{self as images, Bounds, Component, Image, Unfit};

pub(super) const URI: &str = "/redfish/v1/UpdateService";
const FIRMWARE_URI: &str = "/redfish/v1/UpdateService/FirmwareInventory";
const SOFTWARE_URI: &str = "/redfish/v1/UpdateService/SoftwareInventory";
const PUSH_URI: &str = "/redfish/v1/UpdateService/upload";
const MULTIPART_URI: &str = "/redfish/v1/UpdateService/upload-multipart";
const SIMPLE_UPDATE: &str = "UpdateService.SimpleUpdate";
const PROTOCOLS: [(&str, &str); 2] = [("HTTP", "http"), ("HTTPS", "https")];
const APPLY_TIMES: [ApplyTime; 1] = [ApplyTime::Immediate];
/// Longest URI of an image in characters.
const IMAGE_URI_MAX_CHARS: usize = 4096;
/// What to do about an image that says nothing.
const UNKNOWN_IMAGE: &str = "this is no firmware image that is known here: send a manifest, a UEFI firmware volume or capsule, or name the file \
                             by component and version, as `bios-2.4.1.bin`";

/// The update service.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/UpdateService", verbs: &[get(show, "UpdateService")] },
    Route {
        path: "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(async { simple_update(call) }),
            "fetches an image and installs it: 202 and a Task",
        )
        .secret(&["Password", "Username"])],
    },
    Route {
        path: "/redfish/v1/UpdateService/upload",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(push(call)),
            "installs the image that is the body: 202 and a Task",
        )
        .upload()],
    },
    Route {
        path: "/redfish/v1/UpdateService/upload-multipart",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(push_parts(call)),
            "installs the image in part `UpdateFile`, as `UpdateParameters` says: 202 and a Task",
        )
        .upload()],
    },
    Route {
        path: "/redfish/v1/UpdateService/FirmwareInventory",
        verbs: &[get(firmware_collection, "SoftwareInventoryCollection: `BIOS` and `BMC` of each machine")],
    },
    Route {
        path: "/redfish/v1/UpdateService/FirmwareInventory/{id}",
        verbs: &[get(show_firmware, "SoftwareInventory")],
    },
    Route {
        path: "/redfish/v1/UpdateService/SoftwareInventory",
        verbs: &[get(
            software_collection,
            "SoftwareInventoryCollection, empty: there is nothing but firmware",
        )],
    },
];

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let object = resource(schema::UPDATE_SERVICE, URI, "UpdateService", "Update Service");
    let members = json!({
        "ServiceEnabled": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "HttpPushUri": PUSH_URI,
        "MultipartHttpPushUri": MULTIPART_URI,
        "MaxImageSizeBytes": call.service.config.update_max_bytes,
        "VerifyRemoteServerCertificate": true,
        "FirmwareInventory": link(FIRMWARE_URI),
        "SoftwareInventory": link(SOFTWARE_URI),
        "Actions": {
            "#UpdateService.SimpleUpdate": {
                "target": format!("{URI}/Actions/{SIMPLE_UPDATE}"),
                "TransferProtocol@Redfish.AllowableValues": PROTOCOLS.map(|(name, _)| name),
                "@Redfish.OperationApplyTimeSupport": apply_time::operation_support(&APPLY_TIMES),
            },
        },
    });
    Ok(with(object, members))
}

/// The id of a component in the inventory: alone on a BMC's own root, behind its machine's on the aggregate.
fn inventory_id(scope: &Scope, snapshot: &Snapshot, component: Component) -> String {
    match scope {
        Scope::One { .. } => component.as_str().to_owned(),
        Scope::All { .. } => format!("{}-{}", resource_id(snapshot), component.as_str()),
    }
}

fn firmware_collection(call: &Call<'_>) -> Result<Value, Problem> {
    let scope = &call.service.scope;
    let mut members = Vec::new();
    for machine in scope.machines() {
        let snapshot = machine.snapshot();
        let ids = Component::ALL.map(|component| inventory_id(scope, &snapshot, component));
        members.extend(ids.map(|id| format!("{FIRMWARE_URI}/{id}")));
    }
    let name = "Firmware Inventory";
    Ok(collection::render(schema::SOFTWARE_INVENTORY_COLLECTION, FIRMWARE_URI, name, &members))
}

fn software_collection(_: &Call<'_>) -> Result<Value, Problem> {
    let name = "Software Inventory";
    Ok(collection::render(schema::SOFTWARE_INVENTORY_COLLECTION, SOFTWARE_URI, name, &[]))
}

/// The machine and the component behind an id of the inventory.
fn find_firmware(call: &Call<'_>, id: &str) -> Option<(MachineHandle, Component)> {
    let component = Component::ALL.into_iter().find(|component| id.ends_with(component.as_str()))?;
    let owner = id.strip_suffix(component.as_str())?;
    let machine = match &call.service.scope {
        Scope::One { machine, .. } => machine.clone(),
        scope @ Scope::All { .. } => scope.find(owner.strip_suffix('-')?)?,
    };
    (inventory_id(&call.service.scope, &machine.snapshot(), component) == id).then_some((machine, component))
}

/// The version of a component that is installed.
fn installed(call: &Call<'_>, snapshot: &Snapshot, component: Component) -> String {
    match component {
        Component::Bios => snapshot.settings.bios_version(),
        Component::Bmc => bmc_version(call.service, snapshot),
    }
}

/// The version of a BMC's firmware: what was installed last, else what it came with.
pub(super) fn bmc_version(service: &Service, snapshot: &Snapshot) -> String {
    let installed = snapshot.settings.firmware.bmc.clone();
    installed.unwrap_or_else(|| service.profile().firmware_version.clone())
}

fn show_firmware(call: &Call<'_>) -> Result<Value, Problem> {
    let (machine, component) =
        find_firmware(call, call.id).ok_or_else(|| Problem::not_found("SoftwareInventory", call.id))?;
    let snapshot = machine.snapshot();
    let uris = Uris::of(&snapshot);
    let (name, related) = match component {
        Component::Bios => (format!("Firmware of {}", snapshot.name), uris.system),
        Component::Bmc => (format!("BMC Firmware of {}", snapshot.name), uris.manager),
    };
    let id = inventory_id(&call.service.scope, &snapshot, component);
    let object = resource(schema::SOFTWARE_INVENTORY, &format!("{FIRMWARE_URI}/{id}"), &id, &name);
    let members = json!({
        "Version": installed(call, &snapshot, component),
        "SoftwareId": component.as_str(),
        "Manufacturer": snapshot.identity.manufacturer,
        "Updateable": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "RelatedItem": [link(&related)],
        "RelatedItem@odata.count": 1,
    });
    Ok(with(object, members))
}

/// What is to be updated: a machine, and which of its components where that is said.
#[derive(Clone, Debug)]
struct Target {
    machine: MachineHandle,
    component: Option<Component>,
    /// As the client named it; empty when it named none.
    uri: String,
}

impl Target {
    /// What is updated, for messages: what the client named, else the resource that the component is of.
    fn uri(&self, component: Component) -> String {
        let uris = || Uris::of(&self.machine.snapshot());
        match component {
            _ if !self.uri.is_empty() => self.uri.clone(),
            Component::Bios => uris().system,
            Component::Bmc => uris().manager,
        }
    }
}

/// A resource that a client names as a target. A System's firmware is its BIOS, a Manager's the BMC's.
fn target(call: &Call<'_>, uri: &str) -> Option<Target> {
    let of = |prefix: &str| uri.strip_prefix(prefix)?.strip_prefix('/').filter(|id| !id.contains('/'));
    let scope = &call.service.scope;
    let (machine, component) = if let Some(id) = of(FIRMWARE_URI) {
        find_firmware(call, id)?
    } else if let Some(id) = of(super::manager::COLLECTION_URI) {
        (scope.find(id)?, Component::Bmc)
    } else {
        (scope.find(of(super::system::COLLECTION_URI)?)?, Component::Bios)
    };
    Some(Target { machine, component: Some(component), uri: uri.to_owned() })
}

/// The one machine there is, for requests that name none.
fn only_machine(call: &Call<'_>) -> Option<Target> {
    let machines = call.service.scope.machines();
    let [machine] = machines.as_slice() else { return None };
    Some(Target { machine: machine.clone(), component: None, uri: String::new() })
}

/// Reads `Targets`. An empty list names none, as if it were not there.
fn read_targets(call: &Call<'_>, parameters: &mut Parameters<'_>) -> Vec<Target> {
    let mut targets = Vec::new();
    let named = parameters.optional("Targets");
    match named.filter(|value| value.as_array().is_none_or(|items| !items.is_empty())) {
        None => match only_machine(call) {
            Some(target) => targets.push(target),
            None => {
                let message = Message::new(message::ActionParameterMissing, [SIMPLE_UPDATE, "Targets"]);
                parameters.push(message.about("/Targets"));
            }
        },
        Some(value) => match value.as_array() {
            None => parameters.wrong_type("Targets", value),
            Some(items) => {
                for item in items {
                    // sushy and others send URIs; the type of a reference is taken too.
                    let uri = item.as_str().or_else(|| item.get("@odata.id")?.as_str());
                    match uri.and_then(|uri| target(call, uri.trim_end_matches('/'))) {
                        Some(target) => targets.push(target),
                        None if uri.is_none() => parameters.wrong_type("Targets", item),
                        None => {
                            let wanted =
                                "Name Systems, Managers or members of FirmwareInventory by their URIs.";
                            parameters.not_in_list("Targets", uri.unwrap_or_default(), wanted);
                        }
                    }
                }
            }
        },
    }
    targets
}

fn read_apply_time(body: &Map<String, Value>, parameters: &mut Parameters<'_>) {
    apply_time::read_operation(body, &APPLY_TIMES, |fault| parameters.push(fault));
}

fn simple_update(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut parameters = Parameters::new(SIMPLE_UPDATE, &call.body);
    let protocol = parameters.optional("TransferProtocol");
    let protocol = protocol.and_then(|value| parameters.choice("TransferProtocol", value, &PROTOCOLS));
    let image = parameters.required("ImageURI").and_then(|value| parameters.string("ImageURI", value));
    let url = image.and_then(|image| {
        let url = image_url(image, protocol.unwrap_or("http"));
        if url.is_none() {
            let shown = secret::without_userinfo(image).unwrap_or_else(|| image.to_owned());
            let wanted = "Give a URI of the protocols http, https or file, with a host or a path.";
            parameters.not_in_list("ImageURI", &shown, wanted);
        }
        url
    });
    let mut text = |name: &'static str| {
        let value = parameters.optional(name)?;
        // A secret of a wrong type is not said by showing it.
        if !value.is_string() {
            parameters.wrong_type(name, &Value::from("***"));
        }
        value.as_str().map(str::to_owned)
    };
    let (user, password) = (text("Username"), text("Password"));
    if let Some(value) = parameters.optional("ForceUpdate") {
        parameters.boolean("ForceUpdate", value);
    }
    read_apply_time(&call.body, &mut parameters);
    let targets = read_targets(call, &mut parameters);
    parameters.end()?;
    let url = url.ok_or_else(Problem::internal)?;
    let source = source(url, user, password, call.service.config.update_max_bytes);
    let library = call.service.scope.fleet().media_library();
    let first = targets.iter().map(|target| target.uri.clone()).find(|uri| !uri.is_empty());
    let first = first.unwrap_or_else(|| URI.to_owned());
    let own = call.service.profile().firmware_version.clone();
    call.service.tasks.start(call, "Firmware update", |progress| async move {
        let shown = source.uri.clone();
        progress.message(Message::new(update::TransferringToComponent, [&shown, &first]));
        let unfetched = |reason: &str| failed(update::TransferFailed, &shown, &first, reason);
        let library = library.ok_or_else(|| unfetched("this service fetches no images"))?;
        progress.transfer(source.transfer.clone());
        let image = images::fetch(library, source).await.map_err(|reason| unfetched(&reason))?;
        install(&image, fit(&image, targets)?, &own, &progress).await
    })
}

/// The URL of an image; one without a scheme has that of the protocol.
fn image_url(text: &str, protocol: &str) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("{protocol}://{text}") };
    let url = Url::parse(&text).ok().filter(|url| match url.scheme() {
        "http" | "https" => url.has_host(),
        // Which folders are allowed is the library's to say.
        "file" => url.to_file_path().is_ok(),
        _ => false,
    });
    url.filter(|_| text.chars().count() <= IMAGE_URI_MAX_CHARS)
}

/// What a library is asked for. Who asks the server is said by the parameters, else by the URL itself, which is shown without it.
fn source(mut url: Url, user: Option<String>, password: Option<String>, max_bytes: u64) -> MediaSource {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let within = (!url.username().is_empty())
        .then(|| (decoded(url.username()), url.password().map(decoded).unwrap_or_default()));
    let credentials = user.map(|user| (user, password.unwrap_or_default())).or(within);
    // Only what has no host refuses this, and that has no user either.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    let (username, password) = credentials.unzip();
    MediaSource {
        uri: url.into(),
        username,
        password: password.map(Secret::new),
        verify_certificate: true,
        certificates: Vec::new(),
        // A copy of its own goes when it was read; what others share would stay for the next.
        private: true,
        max_bytes: Some(max_bytes),
        transfer: Transfer::default(),
    }
}

fn bounds(call: &Call<'_>) -> Bounds {
    let config = &call.service.config;
    Bounds { bytes: config.update_max_bytes, stall: config.update_stall, total: config.update_timeout }
}

/// A refusal with a message of the update registry, and with what went wrong in words.
fn failed(entry: &'static message::Entry, image: &str, target: &str, reason: &str) -> Problem {
    let message = Message::new(entry, [image, target]).resolution(sentence(reason));
    Problem::new(StatusCode::BAD_REQUEST, message)
}

/// What an image is installed on.
struct Update {
    target: Target,
    component: Component,
    uri: String,
}

/// Finds what an image is to be installed on.
///
/// # Errors
/// It does not belong on one of the targets, or cannot be told from what is no image.
fn fit(image: &Image, targets: Vec<Target>) -> Result<Vec<Update>, Problem> {
    let name = image.called();
    let fit = |target: Target| match image.fit(target.component) {
        Ok(component) => Ok(Update { uri: target.uri(component), component, target }),
        Err(Unfit::For(of)) => {
            let wanted = target.component.unwrap_or(of);
            let reason = format!("the image is for the {} and not for the {}", of.as_str(), wanted.as_str());
            Err(failed(update::UpdateNotApplicable, name, &target.uri(wanted), &reason))
        }
        Err(Unfit::Unknown) => {
            let uri = target.component.map_or_else(|| URI.to_owned(), |wanted| target.uri(wanted));
            Err(failed(update::VerificationFailed, name, &uri, UNKNOWN_IMAGE))
        }
    };
    targets.into_iter().map(fit).collect()
}

/// Installs an image; `own` is the version that a BMC comes with.
async fn install(
    image: &Image,
    updates: Vec<Update>,
    own: &str,
    progress: &Progress,
) -> Result<Reply, Problem> {
    let name = image.called();
    for Update { uri, .. } in &updates {
        progress.message(Message::new(update::TargetDetermined, [uri, name]));
    }
    for Update { target, component, uri } in updates {
        progress.message(Message::new(update::ApplyingOnComponent, [name, &uri]));
        let (image, own) = (image.clone(), own.to_owned());
        let edit = Edit::new(move |editable| {
            match component {
                Component::Bios => {
                    let version = image.version(&editable.settings.bios_version());
                    editable.settings.set_bios_version(&version);
                }
                Component::Bmc => {
                    let installed = editable.settings.firmware.bmc.as_deref().unwrap_or(&own);
                    editable.settings.firmware.bmc = Some(image.version(installed));
                }
            }
            Ok(())
        });
        let change = Change { edit: Some(edit), ..Change::default() };
        let applied = target.machine.request(Request::Change(Box::new(change))).await;
        applied.map_err(|error| write::change_problem(&error, &target.machine.snapshot()))?;
        progress.message(Message::new(update::UpdateSuccessful, [&uri, name]));
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The image is the body (`HttpPushUri`).
async fn push(call: &Call<'_>) -> Result<Reply, Problem> {
    let targets = only_machine(call).into_iter().collect::<Vec<_>>();
    if targets.is_empty() {
        let message = Message::new(message::ActionParameterMissing, [SIMPLE_UPDATE, "Targets"]);
        let where_to = format!("Name the target: send the image to {MULTIPART_URI}.");
        return Err(Problem::bad_request(vec![message.resolution(where_to)]));
    }
    let image =
        images::receive(call.take_upload(), "", bounds(call)).await.map_err(|why| bad_upload(&why))?;
    begin(call, image, targets)
}

/// The image and what to do with it come in parts (`MultipartHttpPushUri`; DSP0266, "Software update types").
async fn push_parts(call: &Call<'_>) -> Result<Reply, Problem> {
    let kind = call.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|_| {
        let message = Message::new(message::HeaderInvalid, ["Content-Type"]);
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    })?;
    let parts = images::receive_parts(call.take_upload(), &boundary, bounds(call)).await;
    let parts = parts.map_err(|why| bad_upload(&why))?;
    let body = match &parts.parameters {
        Some(bytes) => crate::json::parse_object(bytes)?,
        None => Map::new(),
    };
    let mut parameters = Parameters::new(SIMPLE_UPDATE, &body);
    if let Some(value) = parameters.optional("ForceUpdate") {
        parameters.boolean("ForceUpdate", value);
    }
    read_apply_time(&body, &mut parameters);
    let targets = read_targets(call, &mut parameters);
    parameters.end()?;
    let image = parts.image.ok_or_else(|| bad_upload("there is no part `UpdateFile`"))?;
    begin(call, image, targets)
}

fn bad_upload(reason: &str) -> Problem {
    failed(update::TransferFailed, "image", URI, reason)
}

fn begin(call: &Call<'_>, image: Image, targets: Vec<Target>) -> Result<Reply, Problem> {
    let updates = fit(&image, targets)?;
    let own = call.service.profile().firmware_version.clone();
    call.service.tasks.start(call, "Firmware update", |progress| async move {
        install(&image, updates, &own, &progress).await
    })
}
