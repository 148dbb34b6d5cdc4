//! `Drive`: one of the machine's own disks, or a drive of its RAID controller. Its light is kept.

use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use bmc_core::storage::DiskBus;
use serde_json::{Map, Value, json};

use super::{BLOCK_BYTES, Drive, RAID_PROTOCOL, Subsystem, protocol, subsystem};
use crate::error::Problem;
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, Uris, label, link, resource, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;

/// Drives.
pub(crate) static ROUTES: &[Route] = &[Route {
    path: "/redfish/v1/Systems/{id}/Storage/{member}/Drives/{leaf}",
    verbs: &[
        get(show, "Drive"),
        patch(
            Privilege::ConfigureComponents,
            |call| Box::pin(update(call)),
            "`LocationIndicatorActive`, `IndicatorLED`: the drive's own light",
        ),
    ],
}];

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let subsystem = subsystem(&snapshot, call.member)?;
    let drive = subsystem.drive(call.leaf)?;
    Ok(render(&snapshot, &subsystem, drive))
}

/// The name under which a drive's light is kept.
fn light_key(subsystem: &Subsystem<'_>, drive: &str) -> String {
    format!("{}/{drive}", subsystem.id())
}

fn render(snapshot: &Snapshot, subsystem: &Subsystem<'_>, drive: Drive<'_>) -> Value {
    let uris = Uris::of(snapshot);
    let uri = subsystem.drive_uri(&uris.system, drive.name());
    let mut object = resource(schema::DRIVE, &uri, drive.name(), &format!("Drive {}", drive.name()));
    let storage = &snapshot.settings.storage;
    let mut volumes = Vec::new();
    match drive {
        Drive::Disk(disk) => put_facts(
            &mut object,
            json!({
                "CapacityBytes": disk.capacity_bytes,
                "BlockSizeBytes": disk.block_bytes.unwrap_or(BLOCK_BYTES),
                // One that says nothing of it is taken for one that turns, by the guest's kernel too; Ironic wants to know.
                "MediaType": media(disk.rotational.unwrap_or(disk.bus != DiskBus::Nvme)),
                "Protocol": protocol(disk.bus),
                "Model": disk.model,
                "SerialNumber": disk.serial,
                "PhysicalLocation": {"PartLocation": {"ServiceLabel": disk.name}},
            }),
        ),
        Drive::Raid(raid, bay) => {
            let volume = storage.volume_on(&raid.name);
            volumes.extend(volume.map(|volume| link(&subsystem.volume_uri(&uris.system, volume))));
            put_facts(
                &mut object,
                json!({
                    "CapacityBytes": raid.capacity_bytes,
                    "BlockSizeBytes": BLOCK_BYTES,
                    "MediaType": media(raid.rotational),
                    "Protocol": RAID_PROTOCOL,
                    "Model": raid.model,
                    "SerialNumber": raid.serial,
                    "PhysicalLocation": {"PartLocation": {
                        "ServiceLabel": raid.name,
                        "LocationType": "Bay",
                        "LocationOrdinalValue": bay,
                    }},
                }),
            );
        }
    }
    label::put_light(&mut object, storage.is_lit(&light_key(subsystem, drive.name())));
    let members = json!({
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {
            "Chassis": link(&uris.chassis),
            "Storage": link(&subsystem.uri(&uris.system)),
            "Volumes@odata.count": volumes.len(),
            "Volumes": volumes,
        },
    });
    with(object, members)
}

/// Puts what is known into a resource; what is not is left out.
fn put_facts(object: &mut Map<String, Value>, facts: Value) {
    if let Value::Object(facts) = facts {
        object.extend(facts.into_iter().filter(|(_, fact)| !fact.is_null()));
    }
}

fn media(rotational: bool) -> &'static str {
    if rotational { "HDD" } else { "SSD" }
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let find = |snapshot: &Snapshot| {
        let subsystem = subsystem(snapshot, call.member)?;
        let drive = subsystem.drive(call.leaf)?;
        Ok::<_, Problem>((light_key(&subsystem, drive.name()), render(snapshot, &subsystem, drive)))
    };
    let (key, _) = find(&machine.snapshot())?;
    // A drive that vanishes meanwhile has nothing to show.
    let shown = |snapshot: &Snapshot| find(snapshot).map_or(Value::Null, |(_, shown)| shown);
    write::change(call, &machine, shown, |_, shown| {
        let lit = patch::read(&call.body, |faults| {
            let mut wanted = label::Wanted::default();
            patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
                wanted.take_light(name, pointer, value, faults)
            });
            (wanted.light(), wanted.is_some())
        })?;
        let (key, lit) = (key.clone(), lit.unwrap_or_default());
        let edit = Edit::new(move |editable| {
            editable.settings.storage.light(&key, lit);
            Ok(())
        });
        Ok(Change { edit: Some(edit), ..Change::default() })
    })
    .await
}
