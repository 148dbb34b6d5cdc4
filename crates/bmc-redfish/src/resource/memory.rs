//! `Memory` of a System: its modules. Their sizes add up to the machine's memory.

use bmc_core::inventory::MemoryModule;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, part_state, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The memory modules.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Systems/{id}/Memory", verbs: &[get(list, "MemoryCollection")] },
    Route { path: "/redfish/v1/Systems/{id}/Memory/{member}", verbs: &[get(show, "Memory: a module")] },
];

/// The URI of the collection.
pub(super) fn collection_uri(system: &str) -> String {
    format!("{system}/Memory")
}

fn id(number: usize) -> String {
    format!("DIMM{number}")
}

fn modules(snapshot: &Snapshot) -> &[MemoryModule] {
    snapshot.info.as_ref().map_or(&[], |info| &info.memory_modules)
}

fn list(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("MemoryCollection", call.id)?.snapshot();
    let uri = collection_uri(&Uris::of(&snapshot).system);
    let members: Vec<String> =
        (0..modules(&snapshot).len()).map(|number| format!("{uri}/{}", id(number))).collect();
    Ok(collection::render(schema::MEMORY_COLLECTION, &uri, "Memory", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Memory", call.id)?.snapshot();
    let found = modules(&snapshot).iter().enumerate().find(|(number, _)| id(*number) == call.member);
    found
        .map(|(number, module)| render(&snapshot, number, module))
        .ok_or_else(|| Problem::not_found("Memory", call.member))
}

fn render(snapshot: &Snapshot, number: usize, module: &MemoryModule) -> Value {
    let uris = Uris::of(snapshot);
    let id = id(number);
    let uri = format!("{}/{id}", collection_uri(&uris.system));
    let members = json!({
        "MemoryType": "DRAM",
        "CapacityMiB": module.bytes >> 20,
        "MemoryLocation": {"Slot": number},
        "Location": {"PartLocation": {"ServiceLabel": module.locator, "LocationType": "Slot", "LocationOrdinalValue": number}},
        "Status": {"State": part_state(snapshot), "Health": "OK"},
        "Links": {"Chassis": link(&uris.chassis)},
    });
    with(resource(schema::MEMORY, &uri, &id, &module.locator), members)
}
