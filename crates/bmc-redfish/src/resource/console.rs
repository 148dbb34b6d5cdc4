//! `SerialConsole` and `GraphicalConsole`, of a System and of its Manager: Serial over LAN as IPMI's parameters have it, and the machine's screen where it has
//! one.

use bmc_core::inventory::Graphics;
use bmc_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::patch::{self, Faults};

/// Sessions of Serial over LAN at a time (IPMI 2.0 §24.1: instances of the payload).
const SERIAL_SESSIONS_MAX: u32 = 1;
/// The port of IPMI while nobody listens.
const IPMI_PORT: u16 = 623;

/// The machine can be reached through a serial port.
fn has_serial(snapshot: &Snapshot) -> bool {
    snapshot.info.as_ref().is_some_and(|info| info.serial_ports > 0)
}

fn has_screen(snapshot: &Snapshot) -> bool {
    snapshot.info.as_ref().is_some_and(|info| info.graphics.contains(&Graphics::Vnc))
}

/// `SerialConsole` of a System: how its serial port is reached.
pub(super) fn serial(snapshot: &Snapshot) -> Value {
    json!({
        "MaxConcurrentSessions": SERIAL_SESSIONS_MAX,
        "IPMI": {
            "ServiceEnabled": snapshot.settings.sol.enabled && has_serial(snapshot),
            "Port": snapshot.bmc.ipmi.map_or(IPMI_PORT, |listener| listener.address.port()),
            "SharedWithManagerCLI": false,
        },
    })
}

/// `GraphicalConsole` of a System: as the Manager's, and while the machine runs the port.
pub(super) fn system_graphical(snapshot: &Snapshot) -> Value {
    let mut console = graphical(snapshot);
    if let Some(vnc) = snapshot.info.as_ref().and_then(|info| info.vnc.as_ref()) {
        console["Port"] = vnc.port.into();
    }
    console
}

/// `GraphicalConsole` of a Manager: enabled where the machine offers VNC.
pub(super) fn graphical(snapshot: &Snapshot) -> Value {
    if has_screen(snapshot) {
        json!({"ServiceEnabled": true, "ConnectTypesSupported": ["KVMIP"]})
    } else {
        json!({"ServiceEnabled": false, "ConnectTypesSupported": []})
    }
}

/// `SerialConsole` of a Manager: whether Serial over LAN can be activated.
pub(super) fn manager_serial(snapshot: &Snapshot) -> Value {
    json!({
        "ServiceEnabled": snapshot.settings.sol.enabled,
        "MaxConcurrentSessions": SERIAL_SESSIONS_MAX,
        "ConnectTypesSupported": ["IPMI"],
    })
}

/// Reads the Manager's member of a PATCH: whether Serial over LAN is to be enabled.
pub(super) fn read_manager_serial(
    pointer: &str,
    value: &Value,
    snapshot: &Snapshot,
    faults: &mut Faults,
) -> Option<bool> {
    let Some(object) = value.as_object() else {
        faults.wrong_type(pointer, value);
        return None;
    };
    let mut enabled = None;
    let shown = manager_serial(snapshot);
    patch::each_property(object, &shown, pointer, faults, |name, pointer, value, faults| {
        let known = name == "ServiceEnabled";
        if known {
            enabled = faults.boolean(pointer, value);
        }
        known
    });
    enabled
}
