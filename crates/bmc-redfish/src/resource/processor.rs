//! `Processors` of a System: one for each socket of the machine.

use bmc_core::backend::MachineInfo;
use bmc_core::inventory::Socket;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::resource::{Call, Uris, collection, link, part_state, resource, with};
use crate::routes::{Route, get};
use crate::schema;

/// The processors.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/Systems/{id}/Processors", verbs: &[get(list, "ProcessorCollection")] },
    Route {
        path: "/redfish/v1/Systems/{id}/Processors/{member}",
        verbs: &[get(show, "Processor: a socket of the machine")],
    },
];

/// The URI of the collection.
pub(super) fn collection_uri(system: &str) -> String {
    format!("{system}/Processors")
}

/// The URIs of the processors.
pub(super) fn uris(system: &str, snapshot: &Snapshot) -> Vec<String> {
    let uri = collection_uri(system);
    (0..sockets(snapshot).len()).map(|number| format!("{uri}/{}", id(number))).collect()
}

fn id(number: usize) -> String {
    format!("CPU{number}")
}

/// The sockets in use; none until the machine has been seen.
pub(super) fn sockets(snapshot: &Snapshot) -> Vec<Socket> {
    snapshot.info.as_ref().map(|info| info.cpu.sockets(info.processors)).unwrap_or_default()
}

/// Architecture and instruction set by QEMU's name of them; `None` for one that Redfish has no name for.
fn architecture(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "x86_64" => ("x86", "x86-64"),
        "i686" | "i386" => ("x86", "x86"),
        "aarch64" => ("ARM", "ARM-A64"),
        "armv7l" | "arm" | "armv6l" => ("ARM", "ARM-A32"),
        "ppc64" | "ppc64le" | "ppc" => ("Power", "PowerISA"),
        "riscv64" => ("RISC-V", "RV64"),
        "riscv32" => ("RISC-V", "RV32"),
        "mips" | "mipsel" => ("MIPS", "MIPS32"),
        "mips64" | "mips64el" => ("MIPS", "MIPS64"),
        _ => return None,
    })
}

fn list(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ProcessorCollection", call.id)?.snapshot();
    let system = Uris::of(&snapshot).system;
    let members = uris(&system, &snapshot);
    Ok(collection::render(schema::PROCESSOR_COLLECTION, &collection_uri(&system), "Processors", &members))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("Processor", call.id)?.snapshot();
    let sockets = sockets(&snapshot);
    let found = sockets.iter().enumerate().find(|(number, _)| id(*number) == call.member);
    match (found, &snapshot.info) {
        (Some((number, socket)), Some(info)) => Ok(render(&snapshot, info, number, *socket)),
        _ => Err(Problem::not_found("Processor", call.member)),
    }
}

fn render(snapshot: &Snapshot, info: &MachineInfo, number: usize, socket: Socket) -> Value {
    let uris = Uris::of(snapshot);
    let id = id(number);
    let uri = format!("{}/{id}", collection_uri(&uris.system));
    let mut object = resource(schema::PROCESSOR, &uri, &id, &format!("Processor {number}"));
    if let Some((architecture, instructions)) = architecture(&info.architecture) {
        object.insert("ProcessorArchitecture".to_owned(), architecture.into());
        object.insert("InstructionSet".to_owned(), instructions.into());
    }
    if let Some(model) = &info.cpu.model {
        object.insert("Model".to_owned(), model.as_str().into());
    }
    if let Some(vendor) = &info.cpu.vendor {
        object.insert("Manufacturer".to_owned(), vendor.as_str().into());
    }
    let members = json!({
        "ProcessorType": "CPU",
        "Socket": format!("CPU {number}"),
        "TotalCores": socket.cores,
        "TotalEnabledCores": socket.cores,
        "TotalThreads": socket.threads,
        "Status": {"State": part_state(snapshot), "Health": "OK"},
        "Links": {"Chassis": link(&uris.chassis)},
    });
    with(object, members)
}
