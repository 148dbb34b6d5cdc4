//! The boot override as Redfish's `Boot` object: names, and how a PATCH of some of its members makes a whole record.
//!
//! Clients send parts. What they leave out is taken from the record as it is, with two readings that real BMCs share:
//! * a target alone while no override is in force means the next boot (`Once`): a target that has no effect is nobody's wish;
//! * `Disabled`, or the target `None`, clears the override.

use bmc_core::boot::{
    BootEnabled, BootFlagsKept, BootOverride, BootTarget, FirmwareMode, HTTP_BOOT_URI_MAX_BYTES,
};
use bmc_core::firmware::BootEntry;
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::resource::boot_option;

/// The values of `BootSourceOverrideEnabled`.
pub(crate) const ENABLED: [(&str, BootEnabled); 3] = [
    ("Disabled", BootEnabled::Disabled),
    ("Once", BootEnabled::Once),
    ("Continuous", BootEnabled::Continuous),
];

/// The values of `BootSourceOverrideMode`.
pub(crate) const MODES: [(&str, FirmwareMode); 2] =
    [("Legacy", FirmwareMode::Legacy), ("UEFI", FirmwareMode::Uefi)];

const TARGET: &str = "BootSourceOverrideTarget";
/// The target that stands for the boot option in `BootNext`.
const NEXT: &str = "UefiBootNext";

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
    // IPMI's flags can be valid and override nothing.
    let enabled = if record.is_active() { record.enabled } else { BootEnabled::Disabled };
    put("BootSourceOverrideEnabled", name_of(&ENABLED, &enabled).into());
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
    if let Some(info) = &snapshot.info {
        let options = boot_option::options_by(snapshot, &info.boot_order).into_iter();
        let order = options.filter(|(_, entry)| entry.tried).map(|(name, _)| name);
        put("BootOrder", order.collect::<Vec<String>>().into());
        put("BootOrderPropertySelection", "BootOrder".into());
        put("BootOptions", json!({"@odata.id": boot_option::collection_uri(snapshot)}));
    }
    if offers_next(snapshot) {
        put("BootNext", json!(next(snapshot)));
        if next(snapshot).is_some() {
            put(TARGET, NEXT.into());
        }
        if let Some(Value::Array(names)) = boot.get_mut(&format!("{TARGET}@Redfish.AllowableValues")) {
            names.push(NEXT.into());
        }
    }
    Value::Object(boot)
}

/// Whether the next boot can be sent to one boot option: UEFI has a variable for that.
fn offers_next(snapshot: &Snapshot) -> bool {
    snapshot
        .info
        .as_ref()
        .is_some_and(|info| info.firmware == FirmwareMode::Uefi && !info.boot_devices.is_empty())
}

/// The boot option that the override in force names, if it names one.
fn next(snapshot: &Snapshot) -> Option<String> {
    let device = snapshot.boot.device.as_deref().filter(|_| snapshot.boot.is_active())?;
    // For several boots another door has named it; Redfish has a word only for the next.
    if snapshot.boot.enabled == BootEnabled::Continuous {
        return None;
    }
    let of_device = |(_, entry): &(String, BootEntry<'_>)| entry.device.is_some_and(|is| is.name == device);
    let mut options: Vec<(String, BootEntry<'_>)> =
        boot_option::options(snapshot).into_iter().filter(of_device).collect();
    // Of several for one device, that of the target.
    options.sort_by_key(|(_, entry)| {
        boot_option::target(entry).is_none_or(|(target, _)| target != snapshot.boot.target)
    });
    options.into_iter().next().map(|(name, _)| name)
}

/// What a PATCH asks of `Boot`; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) target: Option<BootTarget>,
    pub(crate) enabled: Option<BootEnabled>,
    pub(crate) mode: Option<FirmwareMode>,
    pub(crate) http_uri: Option<Option<String>>,
    /// One device of the target's class.
    pub(crate) device: Option<String>,
    /// The boot order, as names of devices.
    pub(crate) order: Option<Vec<String>>,
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
    let mut asked = Next::default();
    patch::each_property(object, &shown, pointer, faults, |name, pointer, value, faults| {
        match name {
            TARGET if offers_next(snapshot) && value == NEXT => asked.by_target = true,
            TARGET => wanted.target = faults.choice(pointer, value, &targets),
            "BootSourceOverrideEnabled" => wanted.enabled = faults.choice(pointer, value, &ENABLED),
            "BootSourceOverrideMode" => wanted.mode = faults.choice(pointer, value, &modes),
            "BootOrder" if snapshot.info.is_some() => {
                wanted.order = read_order(pointer, value, snapshot, faults);
            }
            "BootNext" if offers_next(snapshot) => {
                asked.option = read_next(pointer, value, snapshot, faults);
            }
            "HttpBootUri" if shown.get(name).is_some() => wanted.http_uri = read_uri(pointer, value, faults),
            _ => return false,
        }
        true
    });
    if faults.is_empty() {
        asked.put(snapshot, &mut wanted, faults);
    }
    wanted
}

/// What a PATCH asks of the boot option for the next boot.
#[derive(Default)]
struct Next {
    /// The target says that `BootNext` counts.
    by_target: bool,
    /// The device that `BootNext` names; `Some(None)` for null.
    option: Option<Option<(BootTarget, String)>>,
}

impl Next {
    fn put(self, snapshot: &Snapshot, wanted: &mut Wanted, faults: &mut Faults) {
        let is_next = next(snapshot).is_some();
        let mut conflict = |this: &str, that: &str, why: &str| {
            let pointers = [format!("/Boot/{this}"), format!("/Boot/{that}")];
            let fault = Message::new(message::PropertyValueConflict, [&pointers[0], &pointers[1]]);
            faults.push(fault.about(&pointers[0]).resolution(why));
        };
        let stays = self.by_target || is_next && wanted.target.is_none() && self.option != Some(None);
        let asks = self.by_target || matches!(self.option, Some(Some(_)));
        if (stays || asks) && wanted.enabled == Some(BootEnabled::Continuous) {
            return conflict(
                "BootSourceOverrideEnabled",
                TARGET,
                "A boot option can be named for one boot only.",
            );
        }
        match self.option {
            Some(Some(_)) if wanted.target.is_some() => {
                conflict("BootNext", TARGET, "BootNext counts with the target UefiBootNext only.");
            }
            Some(Some((target, device))) => {
                (wanted.target, wanted.device) = (Some(target), Some(device));
            }
            Some(None) | None if self.by_target && (!is_next || self.option.is_some()) => {
                conflict(TARGET, "BootNext", "Send BootNext in the same request.");
            }
            Some(None) if is_next && wanted.target.is_none() => wanted.target = Some(BootTarget::None),
            Some(None) | None => {}
        }
    }
}

/// What a boot option stands for.
fn entry_of<'a>(
    pointer: &str,
    value: &Value,
    options: &[(String, BootEntry<'a>)],
    faults: &mut Faults,
) -> Option<BootEntry<'a>> {
    let text = faults.string(pointer, value)?;
    let found = options.iter().find(|(name, _)| name == text).map(|(_, entry)| *entry);
    if found.is_none() {
        faults.push(Message::new(message::PropertyValueNotInList, [text, pointer]).about(pointer));
    }
    found
}

fn read_next(
    pointer: &str,
    value: &Value,
    snapshot: &Snapshot,
    faults: &mut Faults,
) -> Option<Option<(BootTarget, String)>> {
    if value.is_null() {
        return Some(None);
    }
    let entry = entry_of(pointer, value, &boot_option::options(snapshot), faults)?;
    let target = boot_option::target(&entry);
    if target.is_none() {
        let fault = Message::new(message::PropertyValueNotInList, [value.as_str()?, pointer]).about(pointer);
        faults.push(fault.resolution("Name a boot option that is of a device."));
    }
    target.map(Some)
}

/// A boot order: at least one of the machine's boot options, and none twice. What it leaves out is not tried.
fn read_order(pointer: &str, value: &Value, snapshot: &Snapshot, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(items) = value.as_array() else {
        faults.wrong_type(pointer, value);
        return None;
    };
    if items.is_empty() {
        faults.push(Message::new(message::ArraySizeTooShort, [pointer, "1"]).about(pointer));
    }
    let options = boot_option::options(snapshot);
    let (mut wanted, mut order): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        let pointer = format!("{pointer}/{at}");
        let Some(entry) = entry_of(&pointer, item, &options, faults) else {
            // One fault is enough for an array of nonsense.
            return None;
        };
        let name = item.as_str().unwrap_or_default();
        if wanted.contains(&name) {
            let fault = Message::new(message::PropertyValueError, [&pointer]).about(&pointer);
            faults.push(fault.resolution("Name each boot option once."));
            return None;
        }
        wanted.push(name);
        if let Some(device) = entry.device.filter(|device| !order.contains(&device.name)) {
            order.push(device.name.clone());
        }
    }
    // What would be shown afterwards: a firmware that goes by devices cannot do everything.
    let then = boot_option::options_by(snapshot, &order);
    let then = then.iter().filter(|(_, entry)| entry.tried).map(|(name, _)| &**name);
    if !then.filter(|name| wanted.contains(name)).eq(wanted.iter().copied()) && faults.is_empty() {
        let fault = Message::new(message::PropertyValueError, [pointer]).about(pointer);
        faults.push(fault.resolution(
            "The firmware tries the boot options of one device together, in their own order, and those of no device last.",
        ));
        return None;
    }
    Some(order)
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
    let kept = || present.device.clone().filter(|_| wanted.target.is_none());
    let device = wanted.device.clone().or_else(kept);
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
