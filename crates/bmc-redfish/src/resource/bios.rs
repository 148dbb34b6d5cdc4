//! `Bios`: the BIOS settings in force, those that the next boot applies (`Bios/Settings`), and what can be done to them.
//!
//! Names and values are the core's; a machine does not have each of them. What is pending comes into force with the next boot, however that
//! comes about; what the machine refused then is told in `@Redfish.Settings`.

use bmc_core::account::Secret;
use bmc_core::boot::FirmwareMode;
use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::settings::bios::attributes::{Attribute, Kind, ValueFault, find};
use bmc_core::settings::bios::{BIOS_PASSWORD_MAX_BYTES, BOOT_MODE, BiosValue, SECURE_BOOT};
use bmc_core::snapshot::{Health, Snapshot};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::etag;
use crate::message::{self, Message};
use crate::patch::{self, Faults, shown};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::apply_time::{self, ApplyTime};
use crate::resource::{Call, Reply, Uris, bios_registry, date_time, resource, with, write};
use crate::routes::{Route, get, patch, post};
use crate::schema;

/// When settings can be applied.
const APPLY_TIMES: [ApplyTime; 1] = [ApplyTime::OnReset];
const CHANGE_PASSWORD: &str = "Bios.ChangePassword";
const RESET_BIOS: &str = "Bios.ResetBios";
/// The passwords that can be changed, by `PasswordName`.
const PASSWORDS: [(&str, Who); 2] =
    [("AdministratorPassword", Who::Administrator), ("UserPassword", Who::User)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Administrator,
    User,
}

/// The BIOS.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Systems/{id}/Bios",
        verbs: &[get(show_current, "Bios: the settings in force")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Bios/Settings",
        verbs: &[
            get(show_future, "Bios: the settings after the next boot"),
            patch(
                Privilege::ConfigureComponents,
                |call| Box::pin(update(call)),
                "`Attributes`, applied on reset",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Bios/Actions/Bios.ResetBios",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(reset(call)),
            "default values at the next boot",
        )],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Bios/Actions/Bios.ChangePassword",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(change_password(call)),
            "`PasswordName`, `OldPassword`, `NewPassword`: kept, as no setup screen asks for one",
        )
        .secret(&["OldPassword", "NewPassword"])],
    },
];

/// Where a System's BIOS is.
pub(super) fn uri(system: &str) -> String {
    format!("{system}/Bios")
}

fn settings_uri(system: &str) -> String {
    format!("{system}/Bios/Settings")
}

fn show_current(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.machine("ComputerSystem", call.id)?.snapshot()))
}

fn show_future(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render_future(&call.service.machine("ComputerSystem", call.id)?.snapshot()))
}

fn to_json(value: &BiosValue) -> Value {
    match value {
        BiosValue::Flag(flag) => (*flag).into(),
        BiosValue::Number(number) => (*number).into(),
        BiosValue::Text(text) => text.as_str().into(),
    }
}

fn from_json(value: &Value) -> Option<BiosValue> {
    match value {
        Value::Bool(flag) => Some(BiosValue::Flag(*flag)),
        Value::Number(number) => number.as_i64().map(BiosValue::Number),
        Value::String(text) => Some(BiosValue::Text(text.clone())),
        _ => None,
    }
}

fn attributes<'a>(values: impl Iterator<Item = (&'a str, &'a BiosValue)>) -> Map<String, Value> {
    values.map(|(name, value)| (name.to_owned(), to_json(value))).collect()
}

fn render(snapshot: &Snapshot) -> Value {
    let bios = &snapshot.settings.bios;
    let current = bios.current(snapshot.bios_surroundings());
    let values = attributes(current.iter().map(|(attribute, value)| (attribute.name, value)));
    let mut object = render_with(snapshot, values, bios.reset_pending());
    if let Some(tag) = applied_tag(snapshot) {
        object["@Redfish.Settings"]["ETag"] = tag.into();
    }
    object
}

/// The tag that the BIOS had right after settings were applied to it, whatever happened since.
fn applied_tag(snapshot: &Snapshot) -> Option<String> {
    let applied = snapshot.settings.bios.applied()?;
    let values = attributes(applied.values.iter().map(|(name, value)| (name.as_str(), value)));
    Some(etag::of(&render_with(snapshot, values, false)))
}

fn render_with(snapshot: &Snapshot, mut values: Map<String, Value>, reset_pending: bool) -> Value {
    values.sort_keys();
    let system = Uris::of(snapshot).system;
    let uri = uri(&system);
    let applied = snapshot.settings.bios.applied().map(|applied| {
        let failed = applied.failed.iter().map(|name| {
            let pointer = format!("/Attributes/{name}");
            let message = Message::new(message::PropertyNotUpdated, [&pointer]).about(&pointer);
            match &applied.reason {
                Some(reason) => message.resolution(crate::error::sentence(reason)),
                None => message,
            }
        });
        let mut messages: Vec<Message> = failed.collect();
        if applied.keys_failed {
            let message = Message::new(message::PropertyNotUpdated, ["SecureBootDatabases"]);
            messages.push(match &applied.reason {
                Some(reason) => message.resolution(crate::error::sentence(reason)),
                None => message,
            });
        }
        if messages.is_empty() {
            messages.push(Message::new(message::Success, []));
        }
        (date_time(applied.at), messages)
    });
    let applied = applied.as_ref().map(|(time, messages)| (time.as_str(), messages.as_slice()));
    let object = resource(schema::BIOS, &uri, "Bios", "BIOS Settings in Force");
    let members = json!({
        "AttributeRegistry": bios_registry::ID,
        "Attributes": values,
        "ResetBiosToDefaultsPending": reset_pending,
        "@Redfish.Settings": apply_time::settings(&settings_uri(&system), &APPLY_TIMES, applied),
        "Actions": {
            "#Bios.ResetBios": {"target": format!("{uri}/Actions/{RESET_BIOS}")},
            "#Bios.ChangePassword": {
                "target": format!("{uri}/Actions/{CHANGE_PASSWORD}"),
                "PasswordName@Redfish.AllowableValues": PASSWORDS.map(|(name, _)| name),
            },
        },
    });
    with(object, members)
}

fn render_future(snapshot: &Snapshot) -> Value {
    let future = snapshot.settings.bios.future(snapshot.bios_surroundings());
    let mut values = attributes(future.iter().map(|(attribute, value)| (attribute.name, value)));
    values.sort_keys();
    let uri = settings_uri(&Uris::of(snapshot).system);
    let object = resource(schema::BIOS, &uri, "Settings", "BIOS Settings after the Next Boot");
    let members = json!({
        "AttributeRegistry": bios_registry::ID,
        "Attributes": values,
        "@Redfish.SettingsApplyTime": apply_time::preferred(ApplyTime::OnReset),
    });
    with(object, members)
}

/// What a machine is made of is not known before it was seen: to refuse its attributes would be an untruth.
pub(super) fn known(snapshot: &Snapshot) -> Result<(), Problem> {
    match (&snapshot.info, &snapshot.health) {
        (None, Health::Unavailable(error)) => Err(write::change_problem(&error.clone().into(), snapshot)),
        _ => Ok(()),
    }
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    // Clients write with the tag that `@Redfish.Settings` shows (sushy), which is not the settings resource's own.
    write::change_as(call, &machine, render_future, applied_tag, |snapshot, shown| {
        known(snapshot)?;
        let wanted = patch::read(&call.body, |faults| {
            let mut wanted = Vec::new();
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                if name == "Attributes" {
                    wanted = read(pointer, value, snapshot, faults);
                }
                name == "Attributes"
            });
            let mut wrong = Vec::new();
            apply_time::read_preferred(&call.body, &APPLY_TIMES, |fault| wrong.push(fault));
            wrong.into_iter().for_each(|fault| faults.push(fault));
            let anything = !wanted.is_empty();
            (wanted, anything)
        })?;
        Ok(ask(snapshot, wanted))
    })
    .await
}

/// The change that asks for these values at the next boot.
pub(super) fn ask(snapshot: &Snapshot, wanted: Vec<(&'static Attribute, BiosValue)>) -> Change {
    // The change is planned on this snapshot and made only while the machine still is what it shows.
    let (info, policy) = (snapshot.info.clone(), snapshot.power_policy);
    let edit = Edit::new(move |editable| {
        let around = bmc_core::settings::bios::Surroundings { info: info.as_deref(), policy };
        for (attribute, value) in &wanted {
            editable.settings.bios.ask(attribute, value.clone(), around);
        }
        Ok(())
    });
    Change { edit: Some(edit), ..Change::default() }
}

/// The firmware mode of the next boot.
pub(super) fn next_mode(snapshot: &Snapshot) -> Option<FirmwareMode> {
    snapshot.settings.bios.pending_mode().or_else(|| Some(snapshot.info.as_ref()?.firmware))
}

fn read(
    pointer: &str,
    value: &Value,
    snapshot: &Snapshot,
    faults: &mut Faults,
) -> Vec<(&'static Attribute, BiosValue)> {
    let Some(object) = value.as_object() else {
        faults.wrong_type(pointer, value);
        return Vec::new();
    };
    let future = snapshot.settings.bios.future(snapshot.bios_surroundings());
    let mut wanted = Vec::new();
    for (name, value) in object.iter().filter(|(name, _)| !patch::is_annotation(name)) {
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        // One that becomes UEFI may have it then.
        let later = name == SECURE_BOOT
            && snapshot.info.as_ref().is_some_and(|info| info.firmware == FirmwareMode::Legacy);
        let offered = later || future.iter().any(|(attribute, _)| attribute.name == name);
        let Some(attribute) = find(name).filter(|_| offered) else {
            faults.push(Message::new(message::PropertyUnknown, [&pointer]).about(&pointer));
            continue;
        };
        let checked = match from_json(value) {
            // That nobody can write it is told whatever was sent.
            _ if attribute.is_read_only() => Err(ValueFault::ReadOnly),
            Some(value) => attribute.check(&value).map(|()| value),
            None if value.is_number() => {
                Err(ValueFault::OutOfRange).or_else(|fault| number_fault(attribute, fault))
            }
            None => Err(ValueFault::Type),
        };
        match checked {
            Ok(value) => wanted.push((attribute, value)),
            Err(fault) => faults.push(message_of(attribute, fault, value, &pointer)),
        }
    }
    check_together(pointer, snapshot, &wanted, faults);
    wanted
}

/// A number that is no whole one, or too great for any: out of range where numbers are meant.
fn number_fault(attribute: &Attribute, fault: ValueFault) -> Result<BiosValue, ValueFault> {
    let least = BiosValue::Number(i64::MIN);
    Err(if attribute.check(&least) == Err(ValueFault::OutOfRange) { fault } else { ValueFault::Type })
}

fn message_of(attribute: &Attribute, fault: ValueFault, value: &Value, pointer: &str) -> Message {
    let text = shown(value);
    let message = match fault {
        ValueFault::ReadOnly => Message::new(message::PropertyNotWritable, [pointer]),
        ValueFault::Type => Message::new(message::PropertyValueTypeError, [&text, pointer]),
        ValueFault::NotInList => {
            let names = if let Kind::Choice(names) = attribute.kind { names } else { &[] };
            Message::new(message::PropertyValueNotInList, [&text, pointer]).choices(names.iter().copied())
        }
        ValueFault::OutOfRange => Message::new(message::PropertyValueOutOfRange, [&text, pointer]),
        ValueFault::TooLong(most) => Message::new(message::StringValueTooLong, [&text, &most.to_string()]),
        ValueFault::Format => Message::new(message::PropertyValueFormatError, [&text, pointer]),
    };
    message.about(pointer)
}

/// What can be wrong with values that are right each for itself.
fn check_together(
    pointer: &str,
    snapshot: &Snapshot,
    wanted: &[(&'static Attribute, BiosValue)],
    faults: &mut Faults,
) {
    let asked = |name: &str| wanted.iter().find(|(attribute, _)| attribute.name == name);
    let at = |name: &str| format!("{pointer}/{name}");
    let info = snapshot.info.as_ref();
    let mode_text = |mode| bmc_core::settings::bios::attributes::mode_name(mode);
    let mode = asked(BOOT_MODE).map(|(_, value)| to_json(value));
    if let (Some(mode), Some(info)) = (&mode, info)
        && !info.firmware_switchable
        && *mode != mode_text(info.firmware)
    {
        let fault = Message::new(message::PropertyNotWritable, [&at(BOOT_MODE)]).about(&at(BOOT_MODE));
        faults.push(fault.resolution("The firmware mode of this machine cannot be switched."));
    }
    let uefi_missing = info.and_then(|info| info.uefi_missing.as_ref());
    if let (Some(why), Some(mode)) = (uefi_missing, &mode)
        && *mode == mode_text(FirmwareMode::Uefi)
    {
        let fault = Message::new(message::PropertyNotWritable, [&at(BOOT_MODE)]).about(&at(BOOT_MODE));
        faults.push(fault.resolution(crate::error::sentence(why)));
    }
    let mode = mode.or_else(|| Some(mode_text(next_mode(snapshot)?).into()));
    let secure_boot = asked(SECURE_BOOT).map(|(_, value)| *value == BiosValue::switch(true));
    let now = info.and_then(|info| info.secure_boot.as_ref());
    let is_new = secure_boot.is_some_and(|on| on != now.is_some_and(|now| now.enabled));
    // A machine that is to be UEFI first has nothing to say for itself yet.
    let missing = info.filter(|_| now.is_none() && secure_boot == Some(true));
    let missing = missing.and_then(|info| info.secure_boot_missing.as_ref());
    if let Some(fixed) = now.and_then(|now| now.fixed.as_ref()).filter(|_| is_new).or(missing) {
        let fault = Message::new(message::PropertyNotWritable, [&at(SECURE_BOOT)]).about(&at(SECURE_BOOT));
        faults.push(fault.resolution(crate::error::sentence(fixed)));
    }
    let on = secure_boot.or_else(|| snapshot.settings.bios.pending_secure_boot()) == Some(true);
    if on && mode != Some(mode_text(FirmwareMode::Uefi).into()) {
        let conflict = [at(SECURE_BOOT), at(BOOT_MODE)];
        let fault = Message::new(message::PropertyValueConflict, [&conflict[0], &conflict[1]]);
        let named = if secure_boot.is_some() { SECURE_BOOT } else { BOOT_MODE };
        faults.push(fault.about(&at(named)).resolution("Secure Boot needs UEFI."));
    }
}

async fn reset(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    Parameters::new(RESET_BIOS, &call.body).end()?;
    let edit = Edit::new(|editable| {
        editable.settings.bios.ask_reset();
        Ok(())
    });
    write::edit(&machine, edit).await
}

async fn change_password(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let mut parameters = Parameters::new(CHANGE_PASSWORD, &call.body);
    let who = parameters.required("PasswordName");
    let who = who.and_then(|value| parameters.choice("PasswordName", value, &PASSWORDS));
    let old = parameters.required("OldPassword");
    let old = old.and_then(|value| parameters.hidden("OldPassword", value));
    let new = parameters.required("NewPassword");
    let new = new.and_then(|value| parameters.hidden("NewPassword", value));
    if new.is_some_and(|new| new.len() > BIOS_PASSWORD_MAX_BYTES) {
        let fault = Message::new(message::StringValueTooLong, ["***", &BIOS_PASSWORD_MAX_BYTES.to_string()]);
        parameters.push(fault.about("/NewPassword"));
    }
    parameters.end()?;
    let (Some(who), Some(old), Some(new)) = (who, old, new) else { return Err(Problem::internal()) };
    let (old, new) = (Secret::new(old), Secret::new(new));
    let wrong = || {
        let fault = Message::new(message::ActionParameterValueError, ["OldPassword", CHANGE_PASSWORD]);
        Problem::new(StatusCode::BAD_REQUEST, fault.about("/OldPassword"))
    };
    let bios = &machine.snapshot().settings.bios;
    let passwords = bios.passwords();
    let present = if who == Who::Administrator { &passwords.administrator } else { &passwords.user };
    if *present != old {
        return Err(wrong());
    }
    let edit = Edit::new(move |editable| {
        let passwords = editable.settings.bios.passwords_mut();
        let password =
            if who == Who::Administrator { &mut passwords.administrator } else { &mut passwords.user };
        if *password == old {
            *password = new.clone();
            Ok(())
        } else {
            // Somebody else was faster.
            Err(bmc_core::error::RequestError::Conflict)
        }
    });
    write::edit(&machine, edit).await
}
