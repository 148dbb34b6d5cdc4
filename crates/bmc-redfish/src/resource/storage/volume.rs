//! `Volume`: what clients made of the RAID controller's drives, a disk of the guest each. It is renamed, erased and deleted here; how one is made
//! stands in `volume_create`.

use bmc_core::error::{BackendErrorKind, RequestError};
use bmc_core::fleet::MachineHandle;
use bmc_core::power::PowerState;
use bmc_core::request::{Change, Outcome, Request};
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use bmc_core::storage::{RaidLevel, StorageRequest, VOLUME_NAME_MAX_BYTES, Volume, VolumeState};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{BLOCK_BYTES, Kind, Subsystem, disk_of, subsystem, volume_create};
use crate::error::{About, Asked, BUSY_RETRY_AFTER, Problem, request_problem};
use crate::etag;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::apply_time::{self, ApplyTime};
use crate::resource::{Call, Reply, Uris, collection, link, resource, with, write};
use crate::routes::{Route, delete, get, patch, post};
use crate::schema;
use crate::service::resource_id;
use crate::tasks::Progress;

/// When volumes are made and deleted.
pub(super) const APPLY_TIMES: [ApplyTime; 1] = [ApplyTime::Immediate];
/// The action that erases a volume.
const INITIALIZE: &str = "Volume.Initialize";
/// The kinds of erasure there are: what is left reads as zeros at once.
const INITIALIZE_TYPES: [(&str, ()); 1] = [("Fast", ())];
/// The action returns when it is done.
const INITIALIZE_METHODS: [(&str, ()); 1] = [("Foreground", ())];

/// Volumes.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}/Volumes",
        verbs: &[
            get(collection, "VolumeCollection"),
            post(
                Privilege::ConfigureComponents,
                |call| Box::pin(volume_create::post(call)),
                "a new volume of the RAID controller: `RAIDType`, `CapacityBytes`, `Links.Drives`, `DisplayName`",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}/Volumes/Capabilities",
        verbs: &[get(volume_create::capabilities, "what a new volume needs and may have")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}/Volumes/{leaf}",
        verbs: &[
            get(show, "Volume"),
            patch(Privilege::ConfigureComponents, |call| Box::pin(update(call)), "`DisplayName`"),
            delete(
                Privilege::ConfigureComponents,
                |call| Box::pin(remove(call)),
                "deletes the volume and its disk, also of a running machine",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Storage/{member}/Volumes/{leaf}/Actions/Volume.Initialize",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(initialize(call)),
            "erases the volume of a machine that is off: `InitializeType`, `InitializeMethod`",
        )],
    },
];

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let subsystem = subsystem(&snapshot, call.member)?;
    let system = Uris::of(&snapshot).system;
    let members: Vec<String> =
        subsystem.volumes().iter().map(|volume| subsystem.volume_uri(&system, volume)).collect();
    let uri = format!("{}/Volumes", subsystem.uri(&system));
    let mut value = collection::render(schema::VOLUME_COLLECTION, &uri, "Volumes", &members);
    // Ironic's profile wants it of every collection of volumes, whatever the controller can make.
    value["@Redfish.OperationApplyTimeSupport"] = apply_time::operation_support(&APPLY_TIMES);
    if matches!(subsystem.kind, Kind::Raid(_)) {
        value["@Redfish.CollectionCapabilities"] = volume_create::collection_capabilities(&uri);
    }
    Ok(value)
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    shown(&snapshot, call)
}

fn shown(snapshot: &Snapshot, call: &Call<'_>) -> Result<Value, Problem> {
    let subsystem = subsystem(snapshot, call.member)?;
    let volume = subsystem.volume(call.leaf)?;
    Ok(render(snapshot, &subsystem, volume))
}

/// What clients of the time before `RAIDType` look for.
pub(super) fn volume_type(raid: RaidLevel) -> &'static str {
    match raid {
        RaidLevel::Raid0 => "NonRedundant",
        RaidLevel::Raid1 => "Mirrored",
        RaidLevel::Raid5 | RaidLevel::Raid6 => "StripedWithParity",
        RaidLevel::Raid10 => "SpannedMirrors",
    }
}

pub(super) fn render(snapshot: &Snapshot, subsystem: &Subsystem<'_>, volume: &Volume) -> Value {
    let system = Uris::of(snapshot).system;
    let uri = subsystem.volume_uri(&system, volume);
    let (state, health) = match volume.state {
        VolumeState::Creating => ("Starting", "OK"),
        VolumeState::Deleting => ("Disabled", "OK"),
        VolumeState::Present if disk_of(snapshot, volume).is_some() => ("Enabled", "OK"),
        // Somebody has taken its disk from the machine.
        VolumeState::Present => ("Absent", "Critical"),
    };
    let drives: Vec<Value> =
        volume.drives.iter().map(|drive| link(&subsystem.drive_uri(&system, drive))).collect();
    let controller = format!("{}/Controllers/0", subsystem.uri(&system));
    let members = json!({
        "DisplayName": volume.name,
        "RAIDType": volume.raid.as_str(),
        "VolumeType": volume_type(volume.raid),
        "VolumeUsage": "Data",
        "CapacityBytes": volume.capacity_bytes,
        "BlockSizeBytes": BLOCK_BYTES,
        "Encrypted": false,
        "Identifiers": [{"DurableName": volume.uuid.to_string(), "DurableNameFormat": "UUID"}],
        "Status": {"State": state, "Health": health},
        "@Redfish.OperationApplyTimeSupport": apply_time::operation_support(&APPLY_TIMES),
        "Links": {
            "Drives@odata.count": drives.len(),
            "Drives": drives,
            "Controllers": [link(&controller)],
            "Controllers@odata.count": 1,
        },
        "Actions": {
            "#Volume.Initialize": {
                "target": format!("{uri}/Actions/{INITIALIZE}"),
                "InitializeType@Redfish.AllowableValues": INITIALIZE_TYPES.map(|(name, ())| name),
                "InitializeMethod@Redfish.AllowableValues": INITIALIZE_METHODS.map(|(name, ())| name),
            },
        },
    });
    with(resource(schema::VOLUME, &uri, &volume.number.to_string(), &volume.name), members)
}

/// Takes a volume's name.
pub(super) fn take_name(pointer: &str, value: &Value, faults: &mut Faults) -> Option<String> {
    let name = faults.string(pointer, value)?;
    if name.len() > VOLUME_NAME_MAX_BYTES {
        let limit = VOLUME_NAME_MAX_BYTES.to_string();
        faults.push(Message::new(message::StringValueTooLong, [name, &limit]).about(pointer));
        return None;
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        faults.push(Message::new(message::PropertyValueFormatError, [name, pointer]).about(pointer));
        return None;
    }
    Some(name.to_owned())
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let number = number_of(call, &machine.snapshot())?;
    // A volume that vanishes meanwhile has nothing to show.
    let render = |snapshot: &Snapshot| shown(snapshot, call).unwrap_or_default();
    write::change(call, &machine, render, |_, shown| {
        let name = patch::read(&call.body, |faults| {
            let mut wanted = None;
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                if name != "DisplayName" {
                    return false;
                }
                wanted = take_name(pointer, value, faults);
                true
            });
            let anything = wanted.is_some();
            (wanted.unwrap_or_default(), anything)
        })?;
        let edit = Edit::new(move |editable| {
            let volumes = &mut editable.settings.storage.volumes;
            let volume = volumes.iter_mut().find(|volume| volume.number == number);
            let volume = volume.ok_or(RequestError::Missing { what: "Volume" })?;
            volume.name.clone_from(&name);
            Ok(())
        });
        Ok(Change { edit: Some(edit), ..Change::default() })
    })
    .await
}

fn number_of(call: &Call<'_>, snapshot: &Snapshot) -> Result<u32, Problem> {
    Ok(subsystem(snapshot, call.member)?.volume(call.leaf)?.number)
}

async fn remove(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let snapshot = machine.snapshot();
    let number = number_of(call, &snapshot)?;
    let mut faults = Vec::new();
    apply_time::read_operation(&call.body, &APPLY_TIMES, |fault| faults.push(fault));
    if !faults.is_empty() {
        return Err(Problem::bad_request(faults));
    }
    if !etag::may_write(call.headers, &etag::of(&shown(&snapshot, call)?)) {
        return Err(Problem::precondition_failed());
    }
    let work = |progress: Progress| async move {
        begin(&progress)?;
        ask(&machine, StorageRequest::Delete(number), Asked::Change).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    call.service.tasks.run(call, "Delete volume", work).await
}

async fn initialize(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let snapshot = machine.snapshot();
    let number = number_of(call, &snapshot)?;
    let mut parameters = Parameters::new(INITIALIZE, &call.body);
    if let Some(value) = parameters.optional("InitializeType") {
        parameters.choice("InitializeType", value, &INITIALIZE_TYPES);
    }
    if let Some(value) = parameters.optional("InitializeMethod") {
        parameters.choice("InitializeMethod", value, &INITIALIZE_METHODS);
    }
    parameters.end()?;
    if snapshot.power != PowerState::Off {
        let message = Message::new(message::ChassisPowerStateOffRequired, [&resource_id(&snapshot)]);
        return Err(Problem::new(StatusCode::CONFLICT, message));
    }
    let work = |progress: Progress| async move {
        begin(&progress)?;
        ask(&machine, StorageRequest::Initialize(number), Asked::Action(INITIALIZE)).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    call.service.tasks.run(call, "Erase volume", work).await
}

/// Asks a machine to do something about its volumes.
pub(super) async fn ask(
    machine: &MachineHandle,
    request: StorageRequest,
    asked: Asked<'_>,
) -> Result<Outcome, Problem> {
    machine.request(Request::Storage(request)).await.map_err(|error| match &error {
        RequestError::Backend(error) if error.kind == BackendErrorKind::Unsupported => not_here(),
        _ => {
            let snapshot = machine.snapshot();
            let (uri, id) = (Uris::of(&snapshot).system, resource_id(&snapshot));
            request_problem(&error, About { asked, uri: &uri, id: &id })
        }
    })
}

/// Work on a volume cannot be undone once the machine was asked for it; its owner goes on, whoever stops to wait.
pub(super) fn begin(progress: &Progress) -> Result<(), Problem> {
    let begun = progress.commit();
    begun
        .then_some(())
        .ok_or_else(|| Problem::retry(BUSY_RETRY_AFTER, message::ServiceTemporarilyUnavailable))
}

/// Volumes cannot be made here.
pub(super) fn not_here() -> Problem {
    Problem::not_allowed(HeaderValue::from_static("GET, HEAD"))
}
