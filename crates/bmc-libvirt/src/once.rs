//! What a start with a boot override does beside running the copy: the order for the boot after it, and where the UEFI variables are into
//! which a URI goes.

use std::path::PathBuf;

use bmc_core::error::BackendError;
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as c;

use crate::connection::Failure;
use crate::nvram;
use crate::xml::edit;

/// Where a domain's UEFI variables are.
pub(crate) fn store_of(connect: &Connect, domain: &Domain) -> Result<PathBuf, Failure> {
    let definition = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE)?;
    let place = nvram::place(&connect.uri()?, &domain.name()?, &definition, None);
    Ok(place.map_err(BackendError::unsupported)?)
}

/// Gives the running copy the own order of its definition for its next reset. Firmware reads the order at the start of a boot, and QEMU hands
/// out the one that holds at the last reset: so the boot under way has the override's order, and a restart from inside the guest has its own,
/// also when we are not there to see to it.
pub(crate) fn own_order_next(connect: &Connect, domain: &Domain) {
    let indexes = || -> Result<Vec<(String, i64)>, Failure> {
        if connect.driver_type()? != "QEMU" {
            return Ok(Vec::new());
        }
        let definition = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE)?;
        Ok(edit::own_indexes(&definition, &domain.xml_desc(0)?)?)
    };
    let set = |alias: &str, place: i64| -> Result<(), String> {
        let command = format!(
            r#"{{"execute":"qom-set","arguments":{{"path":"/machine/peripheral/{alias}","property":"bootindex","value":{place}}}}}"#
        );
        // QEMU reports its own errors in the answer.
        let answer = domain.qemu_monitor_command(&command, 0).map_err(|error| error.to_string())?;
        if answer.contains("\"error\"") { Err(answer) } else { Ok(()) }
    };
    match indexes() {
        // What one device refuses the others need not miss.
        Ok(indexes) => {
            for (alias, place) in indexes {
                if let Err(reason) = set(&alias, place) {
                    tracing::info!(%alias, %reason, "a device keeps the override's boot order over a restart from inside");
                }
            }
        }
        Err(failure) => {
            tracing::info!(
                ?failure,
                "the machine keeps the override's boot order over a restart from inside"
            );
        }
    }
}
