//! From what the daemon holds to what the control socket shows. Reads snapshots and nothing else.

use bmc_control::types::{
    BmcDetail, BmcSummary, BootView, DriveView, SelEntryView, SelView, SensorStatus, SensorView, ServingState,
};
use bmc_core::boot::BootOverride;
use bmc_core::media::MediaSlot;
use bmc_core::sel::SelEntry;
use bmc_core::sensor::model::Shown;
use bmc_core::sensor::{Kind, Sensor, SensorReading, Severity};
use bmc_core::snapshot::{Health, Snapshot};

use ipmi_wire::record::event_text::{self, EventSeverity, offset_text};
use ipmi_wire::record::sel::SelBody;
use jiff::Timestamp;

use super::{Bmc, Serving};

/// The drives for virtual media.
pub(super) fn media(snapshot: &Snapshot) -> Vec<DriveView> {
    let drives = MediaSlot::ALL.map(|drive| {
        let medium = snapshot.settings.media.drive(drive).medium.as_ref();
        let inserting = snapshot.inserting.iter().find(|(slot, _)| *slot == drive);
        DriveView {
            drive,
            image: medium.map(|medium| medium.image.clone()),
            write_protected: medium.map(|medium| medium.write_protected),
            size: medium.map(|medium| medium.size),
            sha256: medium.map(|medium| medium.sha256.clone()),
            inserting: inserting.map(|(_, image)| image.clone()),
        }
    });
    drives.into()
}

/// The user id of the administrator that the configuration names.
const ADMINISTRATOR_ID: u8 = 2;

pub(super) fn summary(bmc: &Bmc, secure: bool) -> BmcSummary {
    let snapshot = bmc.handle.snapshot();
    let (state, bound) = match &bmc.serving {
        Serving::Endpoints(endpoints) => (ServingState::Serving, endpoints.door.problem().map(str::to_owned)),
        Serving::Stopped => (ServingState::Stopped, None),
        Serving::Failed(failure) => (ServingState::Failed, Some(failure.error.message.clone())),
    };
    let reached = match &snapshot.health {
        Health::Available => None,
        Health::Unavailable(error) => Some(error.message.clone()),
    };
    let scheme = if secure { "https" } else { "http" };
    BmcSummary {
        name: snapshot.name.to_string(),
        backend: bmc.record.backend.clone(),
        machine: snapshot.info.as_ref().map_or_else(|| bmc.record.machine.clone(), |info| info.name.clone()),
        origin: bmc.record.origin,
        uuid: snapshot.uuid,
        ipmi: bmc.record.ipmi.map(|endpoint| endpoint.address.to_string()),
        redfish: bmc.record.redfish.map(|endpoint| format!("{scheme}://{}", endpoint.address)),
        power: snapshot.power,
        reachable: reached.is_none(),
        state,
        problem: bound.or(reached),
    }
}

pub(super) fn detail(bmc: &Bmc, secure: bool) -> BmcDetail {
    let snapshot = bmc.handle.snapshot();
    let info = snapshot.info.as_ref();
    BmcDetail {
        summary: summary(bmc, secure),
        username: username(&snapshot),
        power_fault: snapshot.power_fault,
        power_policy: snapshot.power_policy,
        boot: boot(&snapshot.boot),
        firmware: info.map(|info| info.firmware),
        processors: info.map(|info| info.processors),
        memory_bytes: info.map(|info| info.memory_bytes),
        vnc: info.and_then(|info| info.vnc.as_ref()).map(ToString::to_string),
        nics: info.map(|info| info.nics.iter().map(|nic| nic.mac.clone()).collect()).unwrap_or_default(),
        manufacturer: snapshot.identity.manufacturer.clone(),
        model: snapshot.identity.model.clone(),
        serial: snapshot.identity.serial.clone(),
        asset_tag: snapshot.identity.asset_tag.clone(),
    }
}

const SECONDS_PER_MINUTE: i64 = 60;

/// The event log in words.
pub(super) fn sel(snapshot: &Snapshot) -> SelView {
    let sel = &snapshot.sel;
    SelView {
        entries: sel.entries().iter().map(|entry| sel_entry(snapshot, entry)).collect(),
        room: sel.room(),
        overflow: sel.state().overflow,
    }
}

fn sel_entry(snapshot: &Snapshot, entry: &SelEntry) -> SelEntryView {
    let record = entry.record.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let local = entry.record.timestamp().unwrap_or(entry.added);
    let time = i64::from(local) - i64::from(entry.utc_offset) * SECONDS_PER_MINUTE;
    let (severity, message) = match &entry.record.body {
        SelBody::Event { generator, event, .. } => {
            let sensor = snapshot.sensor_of(*generator, event);
            let name = sensor.map(|sensor| sensor.name.as_str());
            (event_text::severity(event), event_text::describe(event, name))
        }
        SelBody::OemTimestamped { .. } | SelBody::Oem { .. } => {
            let message = format!("maker's own record, type {:02X}h", entry.record.record_type());
            (EventSeverity::Ok, message)
        }
    };
    SelEntryView {
        id: entry.record.id,
        // Every number of 32 bits is a time, and so is what is a day from it.
        time: Timestamp::from_second(time).unwrap_or_default(),
        severity: match severity {
            EventSeverity::Ok => "ok",
            EventSeverity::Warning => "warning",
            EventSeverity::Critical => "critical",
        }
        .to_owned(),
        message,
        record,
    }
}

/// The administrator's present name.
pub(super) fn username(snapshot: &Snapshot) -> String {
    let user = snapshot.accounts.iter().find(|user| user.id == ADMINISTRATOR_ID);
    user.map(|user| user.name.clone()).unwrap_or_default()
}

/// The administrator's present password.
pub(super) fn password(snapshot: &Snapshot) -> bmc_core::account::Secret {
    let user = snapshot.accounts.iter().find(|user| user.id == ADMINISTRATOR_ID);
    user.map(|user| user.password.clone()).unwrap_or_default()
}

pub(super) fn boot(boot: &BootOverride) -> BootView {
    BootView {
        target: boot.target,
        enabled: boot.enabled,
        uefi: boot.efi,
        uri: boot.http_uri.clone(),
        device: boot.device.clone(),
    }
}

/// The sensors that have a reading; those that only send events are left out.
pub(super) fn sensors(snapshot: &Snapshot) -> Vec<SensorView> {
    let sensors = snapshot.sensors();
    let readable = sensors.iter().filter(|sensor| !matches!(sensor.kind, Kind::EventOnly { .. }));
    readable
        .filter_map(|sensor| {
            snapshot.readings.get(sensor.number).map(|reading| view(snapshot, sensor, reading))
        })
        .collect()
}

fn view(snapshot: &Snapshot, sensor: &Sensor, reading: &SensorReading) -> SensorView {
    let settings = &snapshot.settings.sensors;
    let status = match (settings.enables(sensor).scanning, reading.shown) {
        (false, _) => SensorStatus::Disabled,
        (true, Shown::Off) => SensorStatus::Off,
        (true, Shown::Unknown) => SensorStatus::Unknown,
        (true, Shown::Raw(_) | Shown::States(_)) => match reading.severity() {
            Severity::Ok => SensorStatus::Ok,
            Severity::Warning => SensorStatus::Warning,
            Severity::Critical => SensorStatus::Critical,
        },
    };
    let analog = sensor.analog();
    let thresholds = settings.thresholds(sensor);
    let limits = thresholds
        .iter()
        .filter_map(|(threshold, raw)| Some((threshold.as_str().to_owned(), analog?.value(raw))));
    let states: Option<Vec<u8>> = match reading.shown {
        Shown::States(states) => Some((0..15).filter(|offset| states & 1 << offset != 0).collect()),
        Shown::Raw(_) | Shown::Off | Shown::Unknown => None,
    };
    let name_of = |offset: &u8| {
        let known = offset_text(sensor.event_type(), sensor.sensor_type.code(), *offset);
        known.map_or_else(|| format!("state {offset}"), str::to_owned)
    };
    let state_names = states.as_ref().map(|states| states.iter().map(name_of).collect());
    SensorView {
        number: sensor.number,
        name: sensor.name.clone(),
        kind: sensor.sensor_type.as_str().to_owned(),
        status,
        reading: reading
            .raw()
            .filter(|_| status != SensorStatus::Disabled)
            .and_then(|raw| Some(analog?.value(raw))),
        unit: analog.map(|analog| analog.unit.as_str().to_owned()),
        states,
        state_names,
        thresholds: limits.collect(),
    }
}
