//! `BootOptions`: the devices that the machine can boot from, one option each. Which of them it tries, and in which order, is the System's
//! `BootOrder`; what is not in that is not enabled.

use bmc_core::firmware::{BootDevice, BootDeviceKind};
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

/// The name under which clients know a boot device: that of a UEFI load option, numbered in the order in which devices were first seen.
pub(crate) fn reference(snapshot: &Snapshot, device: &str) -> Option<String> {
    Some(format!("Boot{:04X}", snapshot.settings.bios.boot_number(device)?))
}

/// The machine's boot devices with their names for clients: first those in the boot order, as they stand there.
pub(crate) fn options(snapshot: &Snapshot) -> Vec<(String, &BootDevice)> {
    let Some(info) = &snapshot.info else { return Vec::new() };
    let in_order =
        info.boot_order.iter().filter_map(|name| info.boot_devices.iter().find(|d| d.name == *name));
    let others = info.boot_devices.iter().filter(|device| !info.boot_order.contains(&device.name));
    in_order.chain(others).filter_map(|device| Some((reference(snapshot, &device.name)?, device))).collect()
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
    let (id, device) = options(snapshot).into_iter().find(|(name, _)| name == id)?;
    let (what, alias) = match device.kind {
        BootDeviceKind::Disk => ("Disk", "Hdd"),
        BootDeviceKind::UsbDisk => ("USB disk", "Usb"),
        BootDeviceKind::Cdrom => ("CD/DVD drive", "Cd"),
        BootDeviceKind::Floppy => ("Floppy drive", "Floppy"),
        BootDeviceKind::Network => ("Network", "Pxe"),
    };
    let display = format!("{what} {}", device.name);
    let uri = format!("{}/{id}", collection_uri(snapshot));
    let object = resource(schema::BOOT_OPTION, &uri, &id, &display);
    let enabled = snapshot.info.as_ref().is_some_and(|info| info.boot_order.contains(&device.name));
    let members = json!({
        "BootOptionReference": id,
        "DisplayName": display,
        "Alias": alias,
        "BootOptionEnabled": enabled,
    });
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
        let (_, device) = all.iter().find(|(name, _)| name == call.member).ok_or_else(gone)?;
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
