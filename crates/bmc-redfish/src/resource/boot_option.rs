//! `BootOptions`: what the machine can boot from. Which of it the machine tries, and in which order, is the System's `BootOrder`; what is not
//! in that is not enabled.
//!
//! Where the guest's UEFI variables can be read, these are its own load options, under their own numbers; devices for which it has none have
//! numbers from [`DEVICES_FROM`] on. Elsewhere there is one for each device, and their descriptions say so.

use bmc_core::boot::BootTarget;
use bmc_core::firmware::{BootDevice, BootDeviceKind, BootEntry, boot_entries};
use bmc_core::request::Change;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, Uris, collection, resource, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;

const KIND: &str = "BootOption";

/// The boot options of Systems.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Systems/{id}/BootOptions", verbs: &[get(show_all, "BootOptionCollection")] },
    Route {
        path: "/redfish/v1/Systems/{id}/BootOptions/{member}",
        verbs: &[
            get(show, "BootOption"),
            patch(
                Privilege::ConfigureComponents,
                |call| Box::pin(update(call)),
                "`BootOptionEnabled`: the option goes to the end of the boot order, or out of it",
            ),
        ],
    },
];

/// Where a System's boot options are.
pub(crate) fn collection_uri(snapshot: &Snapshot) -> String {
    format!("{}/BootOptions", Uris::of(snapshot).system)
}

/// The number of the first device for which the guest has no load option; firmware and systems give low numbers.
const DEVICES_FROM: usize = 0x8000;

/// The name under which clients know what a machine can boot from: the guest's own, else that of a load option numbered in the order in which
/// devices were first seen.
fn name_of(snapshot: &Snapshot, entry: &BootEntry<'_>) -> Option<String> {
    let number = match (entry.option, entry.device) {
        (Some(option), _) => usize::from(option.number),
        (None, device) => {
            let number = snapshot.settings.bios.boot_number(&device?.name)?;
            let own = snapshot.info.as_ref()?.load_options.as_ref().filter(|own| !own.is_empty());
            if own.is_some() { DEVICES_FROM + number } else { number }
        }
    };
    Some(format!("Boot{number:04X}"))
}

/// What the machine could boot from if its devices were tried in this order, with the names for clients: first what is tried, as it is tried.
pub(crate) fn options_by<'a>(snapshot: &'a Snapshot, order: &[String]) -> Vec<(String, BootEntry<'a>)> {
    let Some(info) = &snapshot.info else { return Vec::new() };
    let mut named: Vec<(String, BootEntry<'a>)> = Vec::new();
    for entry in boot_entries(info, order) {
        // A guest may have an option with a number that we have given to a device; its own counts.
        match name_of(snapshot, &entry) {
            Some(name) if !named.iter().any(|(other, _)| *other == name) => named.push((name, entry)),
            _ => {}
        }
    }
    named
}

/// What the machine can boot from as it is.
pub(crate) fn options(snapshot: &Snapshot) -> Vec<(String, BootEntry<'_>)> {
    snapshot.info.as_ref().map(|info| options_by(snapshot, &info.boot_order)).unwrap_or_default()
}

/// What an override has to name to boot from an entry.
pub(crate) fn target(entry: &BootEntry<'_>) -> Option<(BootTarget, String)> {
    let device = entry.device?;
    let http = entry.option.is_some_and(|option| option.http);
    Some((if http { BootTarget::Http } else { device.kind.target() }, device.name.clone()))
}

fn in_words(device: &BootDevice) -> String {
    let what = match device.kind {
        BootDeviceKind::Disk => "Disk",
        BootDeviceKind::UsbDisk => "USB disk",
        BootDeviceKind::Cdrom => "CD/DVD drive",
        BootDeviceKind::Floppy => "Floppy drive",
        BootDeviceKind::Network => "Network",
    };
    format!("{what} {}", device.name)
}

fn alias(entry: &BootEntry<'_>) -> Option<&'static str> {
    Some(match entry.device?.kind {
        _ if entry.option.is_some_and(|option| option.http) => "UefiHttp",
        BootDeviceKind::Disk => "Hdd",
        BootDeviceKind::UsbDisk => "Usb",
        BootDeviceKind::Cdrom => "Cd",
        BootDeviceKind::Floppy => "Floppy",
        BootDeviceKind::Network => "Pxe",
    })
}

/// Whose words these are, for whoever wonders.
fn description(snapshot: &Snapshot, entry: &BootEntry<'_>) -> String {
    let device = entry.device.map(in_words).unwrap_or_default();
    let unread = snapshot.info.as_ref().and_then(|info| info.load_options_unread.as_ref());
    match (entry.option, unread) {
        (Some(_), _) if device.is_empty() => "A boot option of the guest's own.".to_owned(),
        (Some(_), _) => format!("A boot option of the guest's own: {device}."),
        (None, Some(why)) => {
            format!(
                "{device}, in the order of the machine's devices; the guest's own boot options are not known: {why}."
            )
        }
        (None, None) => format!("{device}, in the order of the machine's devices."),
    }
}

fn show_all(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let uri = collection_uri(&snapshot);
    let members: Vec<String> = options(&snapshot).iter().map(|(name, _)| format!("{uri}/{name}")).collect();
    Ok(collection::render(schema::BOOT_OPTION_COLLECTION, &uri, "Boot Options", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    render(&snapshot, call.member).ok_or_else(|| Problem::not_found(KIND, call.member))
}

fn render(snapshot: &Snapshot, id: &str) -> Option<Value> {
    let (id, entry) = options(snapshot).into_iter().find(|(name, _)| name == id)?;
    let display = match (entry.option, entry.device) {
        (Some(option), _) if !option.description.is_empty() => option.description.clone(),
        (_, Some(device)) => in_words(device),
        _ => id.clone(),
    };
    let uri = format!("{}/{id}", collection_uri(snapshot));
    let object = resource(schema::BOOT_OPTION, &uri, &id, &display);
    let mut members = json!({
        "Description": description(snapshot, &entry),
        "BootOptionReference": id,
        "DisplayName": display,
        "BootOptionEnabled": entry.tried,
    });
    if let Some(alias) = alias(&entry) {
        members["Alias"] = alias.into();
    }
    if let Some(option) = entry.option {
        members["UefiDevicePath"] = option.path.clone().into();
    }
    Some(with(object, members))
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let gone = || Problem::not_found(KIND, call.member);
    render(&machine.snapshot(), call.member).ok_or_else(gone)?;
    let shown = |snapshot: &Snapshot| render(snapshot, call.member).unwrap_or_default();
    write::change(call, &machine, shown, |snapshot, shown| {
        let wanted = patch::read(&call.body, |faults| {
            let mut wanted = None;
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                if name == "BootOptionEnabled" {
                    wanted = faults.boolean(pointer, value);
                }
                name == "BootOptionEnabled"
            });
            (wanted, wanted.is_some())
        })?;
        let (Some(info), Some(enabled)) = (&snapshot.info, wanted) else { return Err(gone()) };
        let all = options(snapshot);
        let (_, entry) = all.iter().find(|(name, _)| name == call.member).ok_or_else(gone)?;
        let Some(device) = entry.device else {
            let pointer = "/BootOptionEnabled";
            let fault = Message::new(message::PropertyNotWritable, [pointer]).about(pointer);
            let fault = fault.resolution("The firmware decides about boot options that are of no device.");
            return Err(Problem::bad_request(vec![fault]));
        };
        let mut order = info.boot_order.clone();
        order.retain(|name| *name != device.name || enabled);
        if enabled && !order.contains(&device.name) {
            order.push(device.name.clone());
        }
        if order.is_empty() {
            let pointer = "/BootOptionEnabled";
            let fault =
                Message::new(message::PropertyValueConflict, [pointer, "/Boot/BootOrder"]).about(pointer);
            let fault = fault.resolution("Enable another boot option first: a boot order has at least one.");
            return Err(Problem::bad_request(vec![fault]));
        }
        Ok(Change { boot_order: (order != info.boot_order).then_some(order), ..Change::default() })
    })
    .await
}
