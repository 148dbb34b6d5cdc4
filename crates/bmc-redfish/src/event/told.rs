//! The table from what happens to what Redfish tells of it: a message of a published registry, the resource it comes from, and its kind.

use bmc_core::account::{AccountChange, Role};
use bmc_core::control::Limited;
use bmc_core::event::{Event, EventKind, OperationStep};
use bmc_core::media::MediaSlot;
use bmc_core::sensor::{Threshold, ThresholdEvent};
use bmc_core::watchdog::TimeoutAction;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::filter;
use crate::boot;
use crate::message::event::{
    account_security, manager_event, platform, power, resource_event, sensor_event, task_event,
};
use crate::message::{Entry, Message};
use crate::privilege;
use crate::resource::{Uris, date_time, link, media, sensor, storage, task};
use crate::schema;

/// What wrong passwords come over; the core does not tell the protocols apart.
const INTERFACE: &str = "the management LAN";

/// The resources that events come from, by the names of their schemas (`ResourceTypes`).
pub(crate) const RESOURCE_TYPES: [&str; 6] =
    ["Chassis", "ComputerSystem", "Manager", "Sensor", "Task", "Volume"];
/// The kinds of events that are told (`EventTypesForSubscription`, deprecated, and what Ironic subscribes by).
pub(crate) const EVENT_TYPES: [&str; 6] =
    ["Alert", "Other", "ResourceAdded", "ResourceRemoved", "ResourceUpdated", "StatusChange"];

/// An event as it is told, and what it is filtered by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// The core's id of it.
    pub(crate) id: u64,
    pub(crate) message_id: String,
    pub(crate) severity: String,
    /// The URI of the resource it comes from, where there is one.
    pub(crate) origin: Option<String>,
    /// That resource's schema.
    pub(crate) resource_type: Option<&'static str>,
    pub(crate) event_type: &'static str,
    /// The `EventRecord`.
    pub(crate) record: Value,
}

impl Told {
    /// The `Event` that is sent.
    pub(crate) fn to_json(&self, context: Option<&str>) -> Value {
        let mut event = json!({
            "@odata.type": schema::EVENT.odata_type(),
            "Id": self.id.to_string(),
            "Name": "Event",
            "Events": [self.record],
            "Events@odata.count": 1,
        });
        if let (Some(context), Some(object)) = (context, event.as_object_mut()) {
            object.insert("Context".to_owned(), context.into());
        }
        event
    }
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    System,
    Manager,
    Chassis,
    /// A sensor of the Chassis, by its number.
    Sensor(u8),
    /// A drive for virtual media of the System.
    Drive(MediaSlot),
    /// A task of the service.
    Task(u64),
    /// A volume of the System, by its number.
    Volume(u32),
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// Something somebody should look at.
    Alert,
    /// A state or a health is another.
    StatusChange,
    /// Properties are others.
    ResourceUpdated,
    /// There is one more.
    ResourceAdded,
    /// There is one less.
    ResourceRemoved,
}

/// An event as Redfish tells it; none for what has no resource to come from.
pub(crate) fn tell(event: &Event) -> Option<Told> {
    if let EventKind::Test { message, details } = &event.kind {
        return Some(test(event, message, details));
    }
    let (message, origin, kind) = row(&event.kind, &event.bmc)?;
    let (origin, resource_type) = place(origin, event.machine);
    let event_type = match kind {
        Type::Alert => "Alert",
        Type::StatusChange => "StatusChange",
        Type::ResourceUpdated => "ResourceUpdated",
        Type::ResourceAdded => "ResourceAdded",
        Type::ResourceRemoved => "ResourceRemoved",
    };
    let mut record = head(event);
    record.insert("EventType".to_owned(), event_type.into());
    record.insert("EventTimestamp".to_owned(), date_time(event.time).into());
    record.insert("MessageId".to_owned(), message.id().into());
    record.insert("Message".to_owned(), message.text().into());
    record.insert("MessageArgs".to_owned(), json!(message.args));
    record.insert("MessageSeverity".to_owned(), message.entry.severity.into());
    record.insert("Severity".to_owned(), message.entry.severity.into());
    record.insert("Resolution".to_owned(), message.entry.resolution.into());
    if let Some(origin) = &origin {
        record.insert("OriginOfCondition".to_owned(), link(origin));
    }
    Some(Told {
        id: event.id,
        message_id: message.id(),
        severity: message.entry.severity.to_owned(),
        resource_type: origin.is_some().then_some(resource_type),
        origin,
        event_type,
        record: Value::Object(record),
    })
}

fn head(event: &Event) -> Map<String, Value> {
    let mut record = Map::new();
    record.insert("MemberId".to_owned(), "0".into());
    record.insert("EventId".to_owned(), event.id.to_string().into());
    record
}

/// A test event says what the client wanted it to say.
fn test(event: &Event, message: &str, details: &Value) -> Told {
    let mut record = head(event);
    record.insert("EventType".to_owned(), "Other".into());
    record.insert("EventTimestamp".to_owned(), date_time(event.time).into());
    record.insert("MessageId".to_owned(), message.into());
    record.insert("MessageSeverity".to_owned(), "OK".into());
    if let Value::Object(details) = details {
        record.extend(details.clone());
    }
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let event_type =
        EVENT_TYPES.into_iter().find(|known| text("EventType") == Some(known)).unwrap_or("Other");
    let origin = record.get("OriginOfCondition").and_then(|origin| origin.get("@odata.id")?.as_str());
    Told {
        id: event.id,
        message_id: message.to_owned(),
        severity: text("MessageSeverity").unwrap_or("OK").to_owned(),
        origin: origin.map(str::to_owned),
        resource_type: None,
        event_type,
        record: Value::Object(record),
    }
}

fn place(origin: Origin, machine: Uuid) -> (Option<String>, &'static str) {
    // What happened at the aggregate root happened to no machine.
    let uris = (!machine.is_nil()).then(|| Uris::of_id(&machine.to_string()));
    match origin {
        Origin::System => (uris.map(|uris| uris.system), "ComputerSystem"),
        Origin::Manager => (uris.map(|uris| uris.manager), "Manager"),
        Origin::Chassis => (uris.map(|uris| uris.chassis), "Chassis"),
        Origin::Sensor(number) => (uris.and_then(|uris| sensor::uri_of(&uris.chassis, number)), "Sensor"),
        Origin::Drive(slot) => (uris.map(|uris| media::drive_uri(&uris.system, slot)), "VirtualMedia"),
        Origin::Task(id) => (Some(task::uri(id)), "Task"),
        Origin::Volume(number) => (uris.map(|uris| storage::volume_uri(&uris.system, number)), "Volume"),
    }
}

/// One row of the table. `bmc` is the BMC's name, which is that of its System and Chassis.
fn row(kind: &EventKind, bmc: &str) -> Option<(Message, Origin, Type)> {
    use Origin::{Manager, System};
    use Type::{Alert, ResourceUpdated, StatusChange};
    let manager = format!("BMC of {bmc}");
    let state = |name: &str, state| Message::new(resource_event::ResourceStateChanged, [name, state]);
    let faulty =
        |property, what: &str| Message::new(resource_event::ResourceErrorsDetected, [property, what]);
    let reset = |kind| Message::new(platform::PlatformReset, [kind]);
    Some(match kind {
        EventKind::PoweredOn { .. } => {
            (Message::new(resource_event::ResourcePoweredOn, [bmc]), System, StatusChange)
        }
        EventKind::PoweredOff { .. } => {
            (Message::new(resource_event::ResourcePoweredOff, [bmc]), System, StatusChange)
        }
        EventKind::Reset => (reset("ForceRestart"), System, StatusChange),
        EventKind::Rebooted => (reset("GracefulRestart"), System, StatusChange),
        EventKind::Nmi => (reset("Nmi"), System, Alert),
        EventKind::Panicked => (faulty("Status", "the operating system has panicked"), System, Alert),
        EventKind::DiskFailed { disk, reason } => {
            (faulty("Storage", &format!("the disk {disk} failed: {reason}")), System, Alert)
        }
        EventKind::Paused { .. } => {
            (Message::new(resource_event::ResourcePaused, [bmc]), System, StatusChange)
        }
        EventKind::Resumed => (state(bmc, "Enabled"), System, StatusChange),
        EventKind::ShutdownRequested => {
            (Message::new(resource_event::ResourcePoweringOff, [bmc]), System, StatusChange)
        }
        EventKind::ShutdownIgnored => {
            (faulty("PowerState", "the operating system did not shut down in time"), System, Alert)
        }
        EventKind::MainsLost => (Message::new(power::LineInputPowerFault, [bmc]), Origin::Chassis, Alert),
        EventKind::PowerFault { reason } => (faulty("PowerState", reason), System, Alert),
        EventKind::BootOverrideSet { target, .. } => {
            let args = ["/Boot/BootSourceOverrideTarget", boot::target_name(*target)];
            (Message::new(resource_event::PropertyValueModifiedByClient, args), System, ResourceUpdated)
        }
        EventKind::MediaInserted { slot, image } => {
            let args = ["/Image", image];
            let message = Message::new(resource_event::PropertyValueModifiedByClient, args);
            (message, Origin::Drive(*slot), ResourceUpdated)
        }
        EventKind::MediaEjected { slot, .. } => {
            (Message::new(resource_event::ResourceChanged, []), Origin::Drive(*slot), ResourceUpdated)
        }
        EventKind::MediaFailed { slot, reason, .. } => (faulty("Image", reason), Origin::Drive(*slot), Alert),
        EventKind::BootOverrideUsed { .. } => {
            (Message::new(resource_event::ResourceChanged, []), System, ResourceUpdated)
        }
        EventKind::Booted { .. } => (state(bmc, "Enabled"), System, StatusChange),
        EventKind::WatchdogPreTimeout { .. } => {
            (faulty("HostWatchdogTimer", "the watchdog timer is about to expire"), System, Alert)
        }
        EventKind::WatchdogExpired { action, .. } => (expired(*action), System, Alert),
        EventKind::Unavailable { .. } => {
            let args = [bmc, "Critical"];
            (Message::new(resource_event::ResourceStatusChangedCritical, args), System, Alert)
        }
        EventKind::Available => {
            (Message::new(resource_event::ResourceStatusChangedOK, [bmc, "OK"]), System, StatusChange)
        }
        EventKind::Started => (state(&manager, "Enabled"), Manager, StatusChange),
        EventKind::Stopped => (state(&manager, "Disabled"), Manager, StatusChange),
        EventKind::BmcReset { cold } => {
            let kind = if *cold { "ForceRestart" } else { "GracefulRestart" };
            (Message::new(manager_event::ManagerReset, [&manager, kind]), Manager, StatusChange)
        }
        EventKind::SensorThreshold(crossed) => (threshold(crossed), Origin::Sensor(crossed.sensor), Alert),
        EventKind::LimitExceeded { limited, reading, .. } => {
            let units = match limited {
                Limited::Power => "W",
                Limited::InletTemperature => "Cel",
            };
            let args = [limited.as_str(), &reading.to_string(), units];
            (Message::new(sensor_event::ReadingCritical, args), Origin::Sensor(limited.sensor()), Alert)
        }
        EventKind::LoginFailed { source, .. } => {
            (Message::new(account_security::InvalidCredentials, [source, INTERFACE]), Manager, Alert)
        }
        EventKind::LockedOut { user, .. } => {
            (Message::new(account_security::AccountLocked, [user]), Manager, Alert)
        }
        // The accounts of a BMC are no resources of the root over all, so that they are told as what happens to the Manager.
        EventKind::AccountCreated { user, .. } => {
            (Message::new(account_security::AccountCreated, [user]), Manager, StatusChange)
        }
        EventKind::AccountRemoved { user, .. } => {
            (Message::new(account_security::AccountRemoved, [user]), Manager, StatusChange)
        }
        EventKind::AccountChanged { user, change, .. } => (account(user, change), Manager, StatusChange),
        EventKind::VolumeCreated { number, .. } => {
            (Message::new(resource_event::ResourceCreated, []), Origin::Volume(*number), Type::ResourceAdded)
        }
        EventKind::VolumeDeleted { number, .. } => {
            let message = Message::new(resource_event::ResourceRemoved, []);
            (message, Origin::Volume(*number), Type::ResourceRemoved)
        }
        EventKind::VolumeInitialized { number, .. } => {
            (Message::new(resource_event::ResourceChanged, []), Origin::Volume(*number), ResourceUpdated)
        }
        EventKind::SessionOpened { user, source } => {
            let args = [user.as_str(), source, "IPMI"];
            (Message::new(account_security::SuccessfulLogin, args), Manager, StatusChange)
        }
        // No published message tells of the end of a session that is no resource.
        EventKind::SessionClosed { .. } => return None,
        EventKind::Operation { task, step, .. } => {
            let entry = match step {
                OperationStep::Started => task_event::TaskStarted,
                OperationStep::Completed => task_event::TaskCompletedOK,
                OperationStep::Failed => task_event::TaskAborted,
                OperationStep::Cancelled => task_event::TaskCancelled,
                OperationStep::Removed => task_event::TaskRemoved,
            };
            (Message::new(entry, [&task.to_string()]), Origin::Task(*task), StatusChange)
        }
        EventKind::Test { .. } => return None,
    })
}

/// What became of an account.
fn account(user: &str, change: &AccountChange) -> Message {
    // Levels of IPMI that are no roles go by their own names.
    let role = |role: Role| privilege::role_id(role).unwrap_or(role.as_str());
    match change {
        AccountChange::Renamed { .. } => {
            Message::new(resource_event::PropertyValueModifiedByClient, ["UserName", user])
        }
        AccountChange::Password => Message::new(account_security::PasswordModified, [user]),
        AccountChange::Enabled => Message::new(account_security::AccountEnabled, [user]),
        AccountChange::Disabled => Message::new(account_security::AccountDisabled, [user]),
        AccountChange::Role { from, to } => {
            Message::new(account_security::ManagerAccountRoleChanged, [user, role(*from), role(*to)])
        }
        AccountChange::Rights => Message::new(resource_event::ResourceChanged, []),
    }
}

fn expired(action: TimeoutAction) -> Message {
    let reset = |kind| Message::new(platform::PlatformResetWatchdogTimer, [kind]);
    match action {
        TimeoutAction::None => {
            let args = ["HostWatchdogTimer", "the watchdog timer has expired"];
            Message::new(resource_event::ResourceErrorsDetected, args)
        }
        TimeoutAction::HardReset => reset("ForceRestart"),
        TimeoutAction::PowerDown => reset("ForceOff"),
        TimeoutAction::PowerCycle => reset("PowerCycle"),
    }
}

/// A threshold was passed, or come back from. What has no reading any more has come back because the machine is off.
fn threshold(crossed: &ThresholdEvent) -> Message {
    use Threshold::{
        LowerCritical, LowerNonCritical, LowerNonRecoverable, UpperCritical, UpperNonCritical,
        UpperNonRecoverable,
    };
    let Some(reading) = crossed.reading else {
        return Message::new(sensor_event::SensorDisconnected, [&crossed.name]);
    };
    // The units of `ReadingUnits`.
    let units = if crossed.unit == "RPM" { "{rev}/min" } else { &crossed.unit };
    let (reading, limit) = (reading.to_string(), crossed.limit.to_string());
    let entry: &'static Entry = match (crossed.threshold, crossed.asserted) {
        (UpperNonCritical, true) => sensor_event::ReadingAboveUpperCautionThreshold,
        (UpperCritical, true) => sensor_event::ReadingAboveUpperCriticalThreshold,
        (UpperNonRecoverable, true) => sensor_event::ReadingAboveUpperFatalThreshold,
        (LowerNonCritical, true) => sensor_event::ReadingBelowLowerCautionThreshold,
        (LowerCritical, true) => sensor_event::ReadingBelowLowerCriticalThreshold,
        (LowerNonRecoverable, true) => sensor_event::ReadingBelowLowerFatalThreshold,
        (UpperCritical, false) => sensor_event::ReadingBelowUpperCriticalThreshold,
        (UpperNonRecoverable, false) => sensor_event::ReadingBelowUpperFatalThreshold,
        (LowerCritical, false) => sensor_event::ReadingAboveLowerCriticalThreshold,
        (LowerNonRecoverable, false) => sensor_event::ReadingAboveLowerFatalThreshold,
        (UpperNonCritical | LowerNonCritical, false) => {
            let args = [crossed.name.as_str(), &reading, units];
            return Message::new(sensor_event::SensorReadingNormalRange, args);
        }
    };
    Message::new(entry, [&crossed.name, &reading, units, &limit])
}

/// The prefixes of the registries that events come from (`RegistryPrefixes`).
pub(crate) fn registry_prefixes() -> Vec<&'static str> {
    let names = crate::message::event::REGISTRIES.iter().map(|registry| registry.name);
    let mut prefixes: Vec<&str> = names.filter_map(|name| name.split('.').next()).collect();
    prefixes.sort_unstable();
    prefixes
}

/// Whether a text can be the id of a message.
pub(crate) fn is_message_id(text: &str) -> bool {
    filter::parts(text).is_some()
}
