//! What a machine must not forget: the part of its state that is committed to the store before anyone is told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::{Accounts, Secret};
use crate::backend::MachineRef;
use crate::boot::{BootOptions, BootOverride};
use crate::firmware::KeptFirmware;
use crate::power::PowerPolicy;
use crate::power_history::PowerHistory;
use crate::sel::SelState;
use crate::settings::Settings;
use crate::snapshot::Identity;

/// A machine's durable state. Kept in the store as JSON under `machine/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The machine behind the BMC; bound to its UUID when first seen.
    pub machine: MachineRef,
    /// The boot override.
    pub boot: Arc<BootOverride>,
    /// Counts the settings of the boot override, so that a running instance can be matched with the one it carries out.
    pub boot_generation: u64,
    /// IPMI's other boot options.
    pub boot_options: Arc<BootOptions>,
    /// What happens when mains power returns.
    pub power_policy: PowerPolicy,
    /// Whether the machine was on; kept true only while the policy is [`PowerPolicy::Previous`].
    pub was_on: bool,
    /// What the power did.
    #[serde(default)]
    pub power: Arc<PowerHistory>,
    /// Who may log in.
    pub accounts: Arc<Accounts>,
    /// The administrator as the configuration last named it: a changed configuration is applied, an unchanged one does not
    /// undo what a client set since.
    pub configured_administrator: (String, Secret),
    /// Who the machine says it is.
    pub identity: Arc<Identity>,
    /// What of the machine's firmware its backend forgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Arc<KeptFirmware>>,
    /// What clients configured.
    #[serde(default)]
    pub settings: Arc<Settings>,
    /// What the event log keeps besides its entries, which are records of their own.
    #[serde(default)]
    pub sel: SelState,
}
