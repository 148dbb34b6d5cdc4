//! A new volume: what a client may ask for, and how it is told what is wrong with it.

use bmc_core::error::RequestError;
use bmc_core::request::Outcome;
use bmc_core::snapshot::Snapshot;
use bmc_core::storage::{NewVolume, RaidLevel, StorageRequest, VOLUME_ALIGNMENT, VOLUMES_MAX, plan};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::volume::{APPLY_TIMES, ask, begin, not_here, render, take_name, volume_type};
use super::{Kind, Subsystem, subsystem};
use crate::error::{Asked, Problem};
use crate::message::{self, Message};
use crate::patch::{self, Faults, shown};
use crate::resource::{Call, Content, Reply, Uris, apply_time, link, resource, with};
use crate::schema;
use crate::tasks::Progress;

/// Properties of a Volume that its controller decides about.
const READ_ONLY: [&str; 8] = [
    "Id",
    "Status",
    "Identifiers",
    "BlockSizeBytes",
    "VolumeUsage",
    "Actions",
    "Operations",
    "InitializeMethod",
];

/// The annotation of the collection that says where the capabilities are.
pub(super) fn collection_capabilities(uri: &str) -> Value {
    json!({
        "@odata.type": schema::COLLECTION_CAPABILITIES.odata_type(),
        "MaxMembers": VOLUMES_MAX,
        "Capabilities": [{
            "CapabilitiesObject": link(&format!("{uri}/Capabilities")),
            "UseCase": "VolumeCreation",
            "Links": {"TargetCollection": link(uri)},
        }],
    })
}

/// What a new volume needs and may have (DSP0266, "Collection capabilities annotation").
pub(super) fn capabilities(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let subsystem = subsystem(&snapshot, call.member)?;
    if !matches!(subsystem.kind, Kind::Raid(_)) {
        return Err(Problem::not_found("Volume", "Capabilities"));
    }
    let uri = format!("{}/Volumes/Capabilities", subsystem.uri(&Uris::of(&snapshot).system));
    let members = json!({
        "RAIDType@Redfish.RequiredOnCreate": true,
        "RAIDType@Redfish.AllowableValues": RaidLevel::ALL.map(RaidLevel::as_str),
        "CapacityBytes@Redfish.OptionalOnCreate": true,
        "DisplayName@Redfish.OptionalOnCreate": true,
        "Links@Redfish.OptionalOnCreate": true,
        "Links": {"Drives@Redfish.OptionalOnCreate": true},
    });
    Ok(with(resource(schema::VOLUME, &uri, "Capabilities", "Capabilities of new volumes"), members))
}

pub(super) async fn post(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let snapshot = machine.snapshot();
    let wanted = {
        let subsystem = subsystem(&snapshot, call.member)?;
        let wanted = read(call, &snapshot, &subsystem)?;
        check(&snapshot, &subsystem, &wanted)?;
        wanted
    };
    let storage = call.member.to_owned();
    let work = |progress: Progress| async move {
        begin(&progress)?;
        let outcome = ask(&machine, StorageRequest::Create(wanted), Asked::Change).await?;
        let Outcome::Volume(number) = outcome else { return Err(Problem::internal()) };
        created(&machine.snapshot(), &storage, number)
    };
    call.service.tasks.run(call, "Create volume", work).await
}

/// The answer to who asked for it.
fn created(snapshot: &Snapshot, storage: &str, number: u32) -> Result<Reply, Problem> {
    let subsystem = subsystem(snapshot, storage)?;
    let volume = subsystem.volume(&number.to_string())?;
    let uri = subsystem.volume_uri(&Uris::of(snapshot).system, volume);
    let location = HeaderValue::from_str(&uri).map_err(|_| Problem::internal())?;
    Ok(Reply {
        status: StatusCode::CREATED,
        headers: vec![(LOCATION, location)],
        content: Content::Resource(render(snapshot, &subsystem, volume)),
    })
}

/// What a body says so far.
#[derive(Default)]
struct Read {
    name: Option<String>,
    raid: Option<RaidLevel>,
    kind: Option<&'static str>,
    capacity: Option<u64>,
    drives: Vec<String>,
}

fn read(call: &Call<'_>, snapshot: &Snapshot, subsystem: &Subsystem<'_>) -> Result<NewVolume, Problem> {
    if !matches!(subsystem.kind, Kind::Raid(_)) {
        return Err(not_here());
    }
    let known: serde_json::Map<String, Value> =
        READ_ONLY.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let known = Value::Object(known);
    patch::read(&call.body, |faults| {
        let mut read = Read::default();
        apply_time::read_operation(&call.body, &APPLY_TIMES, |fault| faults.push(fault));
        patch::each_property(&call.body, &known, "", faults, |name, pointer, value, faults| {
            match name {
                "Name" | "DisplayName" => read.name = take_name(pointer, value, faults).or(read.name.take()),
                "RAIDType" => {
                    let levels = RaidLevel::ALL.map(|level| (level.as_str(), level));
                    read.raid = faults.choice(pointer, value, &levels);
                }
                "VolumeType" => {
                    let kinds = RaidLevel::ALL.map(|level| (volume_type(level), volume_type(level)));
                    read.kind = faults.choice(pointer, value, &kinds);
                }
                "CapacityBytes" => read.capacity = capacity(pointer, value, faults),
                "Encrypted" => encrypted(pointer, value, faults),
                "Links" => read.drives = drives(pointer, value, snapshot, subsystem, faults),
                _ => return false,
            }
            true
        });
        finish(call, read, faults)
    })
}

fn finish(call: &Call<'_>, read: Read, faults: &mut Faults) -> (NewVolume, bool) {
    if !call.body.contains_key("RAIDType") {
        faults
            .push(Message::new(message::CreateFailedMissingReqProperties, ["/RAIDType"]).about("/RAIDType"));
    }
    if let (Some(raid), Some(kind)) = (read.raid, read.kind)
        && volume_type(raid) != kind
    {
        let args = ["/VolumeType", "/RAIDType"];
        faults.push(Message::new(message::PropertyValueConflict, args).about("/VolumeType"));
    }
    let wanted = NewVolume {
        name: read.name,
        raid: read.raid.unwrap_or(RaidLevel::Raid0),
        drives: read.drives,
        capacity_bytes: read.capacity,
    };
    (wanted, true)
}

/// A size; null is as good as none.
fn capacity(pointer: &str, value: &Value, faults: &mut Faults) -> Option<u64> {
    if value.is_null() {
        return None;
    }
    let Some(number) = value.as_number().filter(|number| !number.is_f64()) else {
        faults.wrong_type(pointer, value);
        return None;
    };
    let bytes = number.as_u64().filter(|bytes| *bytes >= VOLUME_ALIGNMENT);
    if bytes.is_none() {
        let args = [&number.to_string(), pointer];
        faults.push(Message::new(message::PropertyValueOutOfRange, args).about(pointer));
    }
    bytes
}

/// Clients say that they want none; there is no other.
fn encrypted(pointer: &str, value: &Value, faults: &mut Faults) {
    if !value.is_null() && faults.boolean(pointer, value) == Some(true) {
        faults.not_in_list(pointer, "true", ["false"]);
    }
}

/// `Links.Drives`: references to drives of this subsystem.
fn drives(
    pointer: &str,
    value: &Value,
    snapshot: &Snapshot,
    subsystem: &Subsystem<'_>,
    faults: &mut Faults,
) -> Vec<String> {
    let Value::Object(links) = value else {
        faults.wrong_type(pointer, value);
        return Vec::new();
    };
    let mut wanted = Vec::new();
    patch::each_property(links, &Value::Null, pointer, faults, |name, pointer, value, faults| {
        if name != "Drives" {
            return false;
        }
        let Value::Array(items) = value else {
            faults.wrong_type(pointer, value);
            return true;
        };
        for (at, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{at}");
            let Some(uri) = item.get("@odata.id").and_then(Value::as_str) else {
                faults.wrong_type(&pointer, item);
                continue;
            };
            match drive_at(uri, snapshot, subsystem) {
                Some(drive) => wanted.push(drive),
                None => {
                    let fault = Message::new(message::PropertyValueNotInList, [uri, pointer.as_str()]);
                    faults
                        .push(fault.about(&pointer).resolution("Name drives of this Storage by their URIs."));
                }
            }
        }
        true
    });
    wanted
}

fn drive_at(uri: &str, snapshot: &Snapshot, subsystem: &Subsystem<'_>) -> Option<String> {
    let system = Uris::of(snapshot).system;
    let uri = uri.strip_suffix('/').unwrap_or(uri);
    let drives = subsystem.drives();
    let found = drives.iter().find(|drive| subsystem.drive_uri(&system, drive.name()) == uri);
    found.map(|drive| drive.name().to_owned())
}

/// What the core would refuse, said in the client's terms.
fn check(snapshot: &Snapshot, subsystem: &Subsystem<'_>, wanted: &NewVolume) -> Result<(), Problem> {
    let Kind::Raid(raid) = subsystem.kind else { return Err(not_here()) };
    let storage = &snapshot.settings.storage;
    let system = Uris::of(snapshot).system;
    for (at, drive) in wanted.drives.iter().enumerate() {
        if let Some(user) = storage.volume_on(drive) {
            let pointer = format!("/Links/Drives/{at}");
            let (uri, user) = (subsystem.drive_uri(&system, drive), subsystem.volume_uri(&system, user));
            let message = Message::new(message::PropertyValueResourceConflict, [&pointer, &uri, &user]);
            return Err(Problem::new(StatusCode::CONFLICT, message.about(&pointer)));
        }
    }
    match plan(Some(raid), &storage.volumes, wanted) {
        Err(RequestError::Invalid { field: "capacity_bytes", reason }) => {
            let pointer = "/CapacityBytes";
            let bytes = wanted.capacity_bytes.unwrap_or_default();
            let value = shown(&bytes.into());
            let message = Message::new(message::PropertyValueOutOfRange, [&value, pointer]);
            Err(Problem::bad_request(vec![message.about(pointer).resolution(reason)]))
        }
        // The core says it again, and the table of errors knows it.
        _ => Ok(()),
    }
}
