//! `SecureBoot`: UEFI Secure Boot, and its keys. What is asked for comes into force with the next boot.

pub(crate) mod database;

use bmc_core::boot::FirmwareMode;
use bmc_core::firmware::KeyReset;
use bmc_core::settings::Edit;
use bmc_core::settings::bios::attributes::find;
use bmc_core::settings::bios::{BiosValue, SECURE_BOOT};
use bmc_core::snapshot::Snapshot;
use http::StatusCode;
use serde_json::{Value, json};

use crate::error::{Problem, sentence};
use crate::message::{self, Message};
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::{Call, Reply, Uris, bios, link, resource, with, write};
use crate::routes::{Route, get, patch, post};
use crate::schema;

const RESET_KEYS: &str = "SecureBoot.ResetKeys";
const RESET_TYPE: &str = "ResetKeysType";
const RESETS: [(&str, KeyReset); 3] = [
    ("ResetAllKeysToDefault", KeyReset::Default),
    ("DeleteAllKeys", KeyReset::DeleteAll),
    ("DeletePK", KeyReset::DeletePlatformKey),
];

/// Secure Boot of Systems.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot",
        verbs: &[
            get(show, "SecureBoot"),
            patch(
                Privilege::ConfigureComponents,
                |call| Box::pin(update(call)),
                "`SecureBootEnable`, from the next boot on",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/Actions/SecureBoot.ResetKeys",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(reset_keys(call)),
            "keys at the next boot: `ResetKeysType`",
        )],
    },
];

/// Where a System's Secure Boot is.
pub(super) fn uri(system: &str) -> String {
    format!("{system}/SecureBoot")
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    Ok(render(&call.service.machine("ComputerSystem", call.id)?.snapshot()))
}

/// What can be done to the keys of this machine.
fn resets(snapshot: &Snapshot) -> Vec<(&'static str, KeyReset)> {
    let secure_boot = snapshot.info.as_ref().and_then(|info| info.secure_boot.as_ref());
    let offered =
        |reset: &KeyReset| secure_boot.is_some_and(|secure_boot| secure_boot.key_resets.contains(reset));
    RESETS.into_iter().filter(|(_, reset)| offered(reset)).collect()
}

fn render(snapshot: &Snapshot) -> Value {
    let uri = uri(&Uris::of(snapshot).system);
    let object = resource(schema::SECURE_BOOT, &uri, "SecureBoot", "UEFI Secure Boot");
    let secure_boot = snapshot.info.as_ref().and_then(|info| info.secure_boot.as_ref());
    let pending = snapshot.settings.bios.pending_secure_boot();
    let enable = pending.unwrap_or_else(|| secure_boot.is_some_and(|secure_boot| secure_boot.enabled));
    let current = snapshot.secure_boot.map(|enforced| if enforced { "Enabled" } else { "Disabled" });
    let mut members = json!({"SecureBootEnable": enable, "SecureBootCurrentBoot": current});
    if let Some(secure_boot) = secure_boot {
        members["SecureBootMode"] =
            if secure_boot.has_platform_key { "UserMode" } else { "SetupMode" }.into();
        members["SecureBootDatabases"] = link(&database::collection_uri(snapshot));
        if let Some(reason) = &secure_boot.databases_unread {
            members["Description"] = database::unread(reason).into();
        }
    }
    let resets = resets(snapshot);
    if !resets.is_empty() {
        let names: Vec<&str> = resets.iter().map(|(name, _)| *name).collect();
        members["Actions"] = json!({
            "#SecureBoot.ResetKeys": {
                "target": format!("{uri}/Actions/{RESET_KEYS}"),
                "ResetKeysType@Redfish.AllowableValues": names,
            },
        });
    }
    with(object, members)
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    write::change(call, &machine, render, |snapshot, shown| {
        bios::known(snapshot)?;
        let wanted = patch::read(&call.body, |faults| {
            let mut wanted = None;
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                if name == "SecureBootEnable" {
                    wanted = faults.boolean(pointer, value);
                }
                name == "SecureBootEnable"
            });
            (wanted, wanted.is_some())
        })?;
        let enable = wanted.unwrap_or_default();
        if let Some(fault) = refusal(snapshot, enable) {
            return Err(Problem::bad_request(vec![fault]));
        }
        let attribute = find(SECURE_BOOT).ok_or_else(Problem::internal)?;
        Ok(bios::ask(snapshot, vec![(attribute, BiosValue::switch(enable))]))
    })
    .await
}

/// Why Secure Boot cannot be switched so.
fn refusal(snapshot: &Snapshot, enable: bool) -> Option<Message> {
    let pointer = "/SecureBootEnable";
    let now = snapshot.info.as_ref().and_then(|info| info.secure_boot.as_ref());
    if enable && bios::next_mode(snapshot) != Some(FirmwareMode::Uefi) {
        let mode = "/Boot/BootSourceOverrideMode";
        let fault = Message::new(message::PropertyValueConflict, [pointer, mode]).about(pointer);
        return Some(fault.resolution("Secure Boot needs UEFI: switch the boot mode of the System first."));
    }
    if enable
        && now.is_none()
        && snapshot.info.as_ref().is_some_and(|info| info.firmware == FirmwareMode::Uefi)
    {
        let fault = Message::new(message::PropertyNotWritable, [pointer]).about(pointer);
        return Some(fault.resolution("The firmware of this machine has no Secure Boot to offer."));
    }
    let missing = snapshot.info.as_ref().filter(|_| now.is_none() && enable);
    let missing = missing.and_then(|info| info.secure_boot_missing.as_ref());
    let fixed = now.filter(|now| now.enabled != enable).and_then(|now| now.fixed.as_ref()).or(missing)?;
    Some(Message::new(message::PropertyNotWritable, [pointer]).about(pointer).resolution(sentence(fixed)))
}

async fn reset_keys(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let snapshot = machine.snapshot();
    bios::known(&snapshot)?;
    let resets = resets(&snapshot);
    if resets.is_empty() {
        let fault = Message::new(message::ActionNotSupported, [RESET_KEYS]);
        let why = "This machine's firmware has no Secure Boot keys that could be reset.";
        return Err(Problem::bad_request(vec![fault.resolution(why)]));
    }
    let mut parameters = Parameters::new(RESET_KEYS, &call.body);
    let reset = parameters.required(RESET_TYPE);
    let reset = reset.and_then(|value| parameters.choice(RESET_TYPE, value, &resets));
    parameters.end()?;
    let reset = reset.ok_or_else(Problem::internal)?;
    if database::of(&snapshot).is_some_and(|databases| databases.fixed.is_none()) {
        return database::alter(&machine, |keys, defaults| {
            keys.reset(reset, defaults);
            Ok(())
        })
        .await
        .map(|_| Reply::empty(StatusCode::NO_CONTENT));
    }
    let edit = Edit::new(move |editable| {
        editable.settings.bios.ask_keys(reset);
        Ok(())
    });
    write::edit(&machine, edit).await
}
