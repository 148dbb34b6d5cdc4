//! The boot override as Redfish's `Boot` object: names, and how a PATCH of some of its members makes a whole record.
//!
//! Clients send parts. What they leave out is taken from the record as it is, with two readings that real BMCs share:
//! * a target alone while no override is in force means the next boot (`Once`): a target that has no effect is nobody's wish;
//! * `Disabled`, or the target `None`, clears the override.

use bmc_core::boot::{
    BootEnabled, BootFlagsKept, BootOverride, BootTarget, FirmwareMode, HTTP_BOOT_URI_MAX_BYTES,
};
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::message::{self, Message};
use crate::patch::{self, Faults};

/// The values of `BootSourceOverrideEnabled`.
pub(crate) const ENABLED: [(&str, BootEnabled); 3] = [
    ("Disabled", BootEnabled::Disabled),
    ("Once", BootEnabled::Once),
    ("Continuous", BootEnabled::Continuous),
];

/// The values of `BootSourceOverrideMode`.
pub(crate) const MODES: [(&str, FirmwareMode); 2] =
    [("Legacy", FirmwareMode::Legacy), ("UEFI", FirmwareMode::Uefi)];

/// The values of `BootSourceOverrideTarget` that can be written, where the machine offers them.
const TARGETS: [(&str, BootTarget); 8] = [
    ("None", BootTarget::None),
    ("Pxe", BootTarget::Pxe),
    ("Cd", BootTarget::Cdrom),
    ("Usb", BootTarget::Usb),
    ("Hdd", BootTarget::Disk),
    ("BiosSetup", BootTarget::BiosSetup),
    ("Diags", BootTarget::Diagnostics),
    ("UefiHttp", BootTarget::Http),
];

/// The Redfish name of any target. IPMI knows finer ones; they read as the nearest.
pub(crate) fn target_name(target: BootTarget) -> &'static str {
    match target {
        BootTarget::None => "None",
        BootTarget::Pxe => "Pxe",
        BootTarget::Disk | BootTarget::DiskSafeMode => "Hdd",
        BootTarget::Diagnostics => "Diags",
        BootTarget::Cdrom | BootTarget::RemoteCdrom => "Cd",
        BootTarget::BiosSetup => "BiosSetup",
        BootTarget::Usb | BootTarget::RemoteMedia => "Usb",
        BootTarget::Http => "UefiHttp",
        BootTarget::RemoteFloppy => "Floppy",
        BootTarget::RemoteDisk => "RemoteDrive",
    }
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, known)| known == value).map_or("", |(name, _)| name)
}

/// The targets this machine can be told to boot from.
fn offered_targets(snapshot: &Snapshot) -> Vec<(&'static str, BootTarget)> {
    let offered = snapshot.info.as_ref().map(|info| info.boot_targets.as_slice()).unwrap_or_default();
    let can = |target: &BootTarget| *target == BootTarget::None || offered.contains(target);
    TARGETS.into_iter().filter(|(_, target)| can(target)).collect()
}

/// The firmware modes this machine can be in.
fn offered_modes(snapshot: &Snapshot) -> Vec<(&'static str, FirmwareMode)> {
    let Some(info) = &snapshot.info else { return Vec::new() };
    MODES.into_iter().filter(|(_, mode)| info.firmware_switchable || *mode == info.firmware).collect()
}

fn values<T>(names: &[(&'static str, T)]) -> Value {
    names.iter().map(|(name, _)| Value::from(*name)).collect()
}

/// The `Boot` object.
pub(crate) fn render(snapshot: &Snapshot) -> Value {
    let record = &snapshot.boot;
    let targets = offered_targets(snapshot);
    let mut boot = Map::new();
    let mut put = |name: &str, value: Value| boot.insert(name.to_owned(), value);
    put("BootSourceOverrideEnabled", name_of(&ENABLED, &record.enabled).into());
    put("BootSourceOverrideEnabled@Redfish.AllowableValues", values(&ENABLED));
    put("BootSourceOverrideTarget", target_name(record.target).into());
    put("BootSourceOverrideTarget@Redfish.AllowableValues", values(&targets));
    if let Some(info) = &snapshot.info {
        put("BootSourceOverrideMode", name_of(&MODES, &info.firmware).into());
        put("BootSourceOverrideMode@Redfish.AllowableValues", values(&offered_modes(snapshot)));
    }
    if targets.iter().any(|(_, target)| *target == BootTarget::Http) {
        put("HttpBootUri", json!(record.http_uri));
    }
    Value::Object(boot)
}

/// What a PATCH asks of `Boot`; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) target: Option<BootTarget>,
    pub(crate) enabled: Option<BootEnabled>,
    pub(crate) mode: Option<FirmwareMode>,
    pub(crate) http_uri: Option<Option<String>>,
}

impl Wanted {
    /// Whether it says anything.
    pub(crate) fn is_some(&self) -> bool {
        *self != Self::default()
    }
}

/// Reads the `Boot` member of a PATCH.
pub(crate) fn read(pointer: &str, value: &Value, snapshot: &Snapshot, faults: &mut Faults) -> Wanted {
    let mut wanted = Wanted::default();
    let Some(object) = value.as_object() else {
        faults.wrong_type(pointer, value);
        return wanted;
    };
    let (shown, targets, modes) = (render(snapshot), offered_targets(snapshot), offered_modes(snapshot));
    patch::each_property(object, &shown, pointer, faults, |name, pointer, value, faults| {
        match name {
            "BootSourceOverrideTarget" => wanted.target = faults.choice(pointer, value, &targets),
            "BootSourceOverrideEnabled" => wanted.enabled = faults.choice(pointer, value, &ENABLED),
            "BootSourceOverrideMode" => wanted.mode = faults.choice(pointer, value, &modes),
            "HttpBootUri" if shown.get(name).is_some() => wanted.http_uri = read_uri(pointer, value, faults),
            _ => return false,
        }
        true
    });
    wanted
}

fn read_uri(pointer: &str, value: &Value, faults: &mut Faults) -> Option<Option<String>> {
    let Some(uri) = faults.nullable_string(pointer, value)? else { return Some(None) };
    if uri.len() > HTTP_BOOT_URI_MAX_BYTES {
        let limit = HTTP_BOOT_URI_MAX_BYTES.to_string();
        faults.push(Message::new(message::StringValueTooLong, [uri, &limit]).about(pointer));
        return None;
    }
    // Clients clear it with an empty string as well as with null.
    if uri.is_empty() {
        return Some(None);
    }
    let parsed = uri.parse::<http::Uri>().ok();
    let is_web =
        parsed.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !is_web {
        faults.push(Message::new(message::PropertyValueFormatError, [uri, pointer]).about(pointer));
        return None;
    }
    Some(Some(uri.to_owned()))
}

/// The record that a PATCH makes of the present one; `None` when it does not touch the override.
///
/// # Errors
/// An override in force without a target: it would be acknowledged and do nothing.
pub(crate) fn merge(
    present: &BootOverride,
    firmware: Option<FirmwareMode>,
    wanted: &Wanted,
) -> Result<Option<BootOverride>, Message> {
    if wanted.target.is_none() && wanted.enabled.is_none() && wanted.http_uri.is_none() {
        return Ok(None);
    }
    let http_uri = wanted.http_uri.clone().unwrap_or_else(|| present.http_uri.clone());
    let cleared = BootOverride { http_uri: http_uri.clone(), ..BootOverride::default() };
    let target = wanted.target.unwrap_or(present.target);
    let enabled = match (wanted.enabled, present.enabled) {
        (Some(enabled), _) => enabled,
        (None, BootEnabled::Disabled) if wanted.target.is_some() => BootEnabled::Once,
        (None, enabled) => enabled,
    };
    if enabled == BootEnabled::Disabled || wanted.target == Some(BootTarget::None) {
        return Ok(Some(cleared));
    }
    if target == BootTarget::None {
        let (this, that) = ("/Boot/BootSourceOverrideEnabled", "/Boot/BootSourceOverrideTarget");
        let message = Message::new(message::PropertyValueConflict, [this, that]).about(this);
        return Err(message.resolution("Send BootSourceOverrideTarget in the same request."));
    }
    let device = (target == present.target).then(|| present.device.clone()).flatten();
    let efi = wanted.mode.or(firmware) == Some(FirmwareMode::Uefi);
    Ok(Some(BootOverride {
        target,
        enabled,
        efi,
        http_uri,
        device,
        kept: BootFlagsKept::default(),
        has_valid_bit: false,
    }))
}

#[cfg(test)]
mod tests;
