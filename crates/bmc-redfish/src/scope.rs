//! Which machines a service shows, and whose accounts open it.

use std::sync::Arc;

use bmc_core::account::Accounts;
use bmc_core::directory::Directory;
use bmc_core::fleet::{Fleet, MachineHandle};
use uuid::Uuid;

/// What a service root stands for.
#[derive(Clone, Debug)]
pub enum Scope {
    /// One BMC: exactly one System, Manager and Chassis; its own accounts.
    One {
        /// The fleet the machine is part of: clock, events and lock-outs come from it.
        fleet: Fleet,
        /// The machine.
        machine: MachineHandle,
    },
    /// All machines of a fleet, whatever is added later included; accounts of its own.
    All {
        /// The fleet.
        fleet: Fleet,
        /// Who may log in here.
        accounts: Arc<Directory>,
    },
}

/// The name under which wrong passwords at the aggregate root are counted; no BMC can have it.
const AGGREGATE: &str = "*";

impl Scope {
    pub(crate) fn fleet(&self) -> &Fleet {
        match self {
            Self::One { fleet, .. } | Self::All { fleet, .. } => fleet,
        }
    }

    /// All machines shown, in order of name.
    pub(crate) fn machines(&self) -> Vec<MachineHandle> {
        match self {
            Self::One { machine, .. } => vec![machine.clone()],
            Self::All { fleet, .. } => fleet.machines(),
        }
    }

    /// The machine that an id in a URL means: the machine's UUID, its name in the backend, or the BMC's name.
    pub(crate) fn find(&self, id: &str) -> Option<MachineHandle> {
        match self {
            Self::All { fleet, .. } => fleet.find(id),
            Self::One { machine, .. } => {
                let snapshot = machine.snapshot();
                let is_name =
                    *snapshot.name == *id || snapshot.info.as_ref().is_some_and(|info| info.name == id);
                let is_it = is_name || Uuid::try_parse(id).is_ok_and(|uuid| uuid == snapshot.uuid);
                is_it.then(|| machine.clone())
            }
        }
    }

    /// Who may log in.
    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        match self {
            Self::One { machine, .. } => Arc::clone(&machine.snapshot().accounts),
            Self::All { accounts, .. } => accounts.accounts(),
        }
    }

    /// The name under which lock-outs are counted: a BMC's own, so that IPMI and Redfish share them.
    pub(crate) fn lockout_name(&self) -> Arc<str> {
        match self {
            Self::One { machine, .. } => Arc::clone(machine.name()),
            Self::All { .. } => AGGREGATE.into(),
        }
    }

    /// The one machine whose BMC this is; none for the aggregate.
    pub(crate) fn machine(&self) -> Option<&MachineHandle> {
        match self {
            Self::One { machine, .. } => Some(machine),
            Self::All { .. } => None,
        }
    }
}
