//! `SerialInterfaces` of a Manager: the serial port behind Serial over LAN, with the bit rate of IPMI's parameter 5. The line of a virtual machine has no speed:
//! what is set is kept and read back by both protocols.

use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::patch;
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, Uris, collection, resource, with, write};
use crate::routes::{Route, get, patch};
use crate::schema;

/// The id of the only interface.
const ID: &str = "SOL";
/// Bit rates and how IPMI encodes them (IPMI 2.0 table 26-5, parameter 5).
const BIT_RATES: [(&str, u8); 5] = [("9600", 6), ("19200", 7), ("38400", 8), ("57600", 9), ("115200", 10)];

/// The serial ports of the Managers.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Managers/{id}/SerialInterfaces",
        verbs: &[get(list, "SerialInterfaceCollection")],
    },
    Route {
        path: "/redfish/v1/Managers/{id}/SerialInterfaces/{member}",
        verbs: &[
            get(show, "SerialInterface: the port behind Serial over LAN"),
            patch(
                Privilege::ConfigureManager,
                |call| Box::pin(update(call)),
                "IPMI's SOL parameters: `InterfaceEnabled`, `BitRate`",
            ),
        ],
    },
];

/// The URI of the collection.
pub(super) fn collection_uri(manager: &str) -> String {
    format!("{manager}/SerialInterfaces")
}

fn list(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("SerialInterfaceCollection", call.id)?.snapshot();
    let uri = collection_uri(&Uris::of(&snapshot).manager);
    let (schema, name) = (schema::SERIAL_INTERFACE_COLLECTION, "Serial Interfaces");
    Ok(collection::render(schema, &uri, name, &[format!("{uri}/{ID}")]))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let machine = call.service.machine("SerialInterface", call.id)?;
    if call.member != ID {
        return Err(Problem::not_found("SerialInterface", call.member));
    }
    Ok(render(&machine.snapshot()))
}

fn render(snapshot: &Snapshot) -> Value {
    let uri = format!("{}/{ID}", collection_uri(&Uris::of(snapshot).manager));
    let sol = &snapshot.settings.sol;
    let mut object = resource(schema::SERIAL_INTERFACE, &uri, ID, "Serial over LAN");
    // As the serial port is set: not known.
    if let Some((rate, _)) = BIT_RATES.iter().find(|(_, code)| *code == sol.bit_rate) {
        object.insert("BitRate".to_owned(), (*rate).into());
    }
    with(object, json!({"InterfaceEnabled": sol.enabled, "SignalType": "Rs232"}))
}

/// What a PATCH asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    enabled: Option<bool>,
    bit_rate: Option<u8>,
}

fn read(body: &Map<String, Value>, shown: &Value) -> Result<Wanted, Problem> {
    patch::read(body, |faults| {
        let mut wanted = Wanted::default();
        patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
            match name {
                "InterfaceEnabled" => wanted.enabled = faults.boolean(pointer, value),
                "BitRate" => wanted.bit_rate = faults.choice(pointer, value, &BIT_RATES),
                _ => return false,
            }
            true
        });
        (wanted, wanted != Wanted::default())
    })
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let machine = call.service.machine("SerialInterface", call.id)?;
    if call.member != ID {
        return Err(Problem::not_found("SerialInterface", call.member));
    }
    write::change(call, &machine, render, |_, shown| {
        let wanted = read(&call.body, shown)?;
        let edit = Edit::new(move |edit| {
            let sol = &mut edit.settings.sol;
            sol.enabled = wanted.enabled.unwrap_or(sol.enabled);
            sol.bit_rate = wanted.bit_rate.unwrap_or(sol.bit_rate);
            Ok(())
        });
        Ok(Change { edit: Some(edit), ..Change::default() })
    })
    .await
}
