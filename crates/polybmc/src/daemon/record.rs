//! What the store keeps of a BMC beside its machine's record: where it came from and where it answers. Key: `bmc/NAME`.

use std::net::SocketAddr;

use bmc_control::types::Origin;
use bmc_core::account::Secret;
use bmc_core::store::{Expect, Store, StoreError, Write};
use bmc_core::system_interface::SystemInterfaceKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Keys of these records begin so.
pub(super) const PREFIX: &str = "bmc/";

/// An endpoint and who decided on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// Somebody named it; otherwise it was the next free one and may be replaced by another.
    pub(super) chosen: bool,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BmcRecord {
    pub(super) origin: Origin,
    pub(super) backend: String,
    /// The machine's name or UUID, as given.
    pub(super) machine: String,
    pub(super) ipmi: Option<Endpoint>,
    pub(super) redfish: Option<Endpoint>,
    /// The machine's own way to its BMC, where `polybmc system-interface` has added one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) system_interface: Option<SystemInterfaceKind>,
    /// What the socket of that way is called. It goes with the BMC, so that a machine whose definition still names the socket of a BMC that is gone
    /// never reaches the next one of that name. One that an older version stored is given another.
    #[serde(default = "Uuid::new_v4")]
    pub(super) door: Uuid,
    /// `polybmc stop` was the last word.
    #[serde(default)]
    pub(super) stopped: bool,
    /// The account an added BMC was given. What clients made of it since is in the machine's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) administrator: Option<(String, Secret)>,
    /// Since when the machine of a discovered BMC is gone. The record waits for its return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone: Option<Timestamp>,
}

/// All records, in order of name. One that cannot be read is logged and left alone.
pub(super) async fn load_all(store: &dyn Store) -> Result<Vec<(String, BmcRecord)>, StoreError> {
    let mut records = Vec::new();
    for stored in store.list(PREFIX).await? {
        let name = stored.key.trim_start_matches(PREFIX).to_owned();
        match serde_json::from_slice(&stored.value) {
            Ok(record) => records.push((name, record)),
            // The text of the error may quote the record, and the record holds a password.
            Err(_) => {
                tracing::error!(bmc = %name, "the stored BMC cannot be read; was it written by a newer version?")
            }
        }
    }
    Ok(records)
}

/// A write that stores a record, or with `None` deletes it.
pub(super) fn write(name: &str, record: Option<&BmcRecord>) -> Result<Write, StoreError> {
    let value = record.map(serde_json::to_vec).transpose();
    let value =
        value.map_err(|error| StoreError::Failed(format!("the record of {name} has no form: {error}")))?;
    Ok(Write { key: format!("{PREFIX}{name}"), expect: Expect::Anything, value })
}
