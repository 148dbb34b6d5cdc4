//! Which machines a hypervisor has, for BMCs that come and go with them.
//!
//! A backend that can tell keeps a [`Listing`] up to date; whoever wants BMCs for some of the machines looks at it whenever it changes. It
//! says what is, not what happened: a change that is seen late, or two that are seen as one, lead to the same.

use std::collections::BTreeMap;

use uuid::Uuid;

/// What a machine's own definition says about its BMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whether it shall have one.
    pub wanted: bool,
    /// How the BMC shall be called; the machine's name if nothing is said.
    pub name: Option<String>,
    /// Where IPMI shall answer, as written there: `ADDR:PORT`.
    pub ipmi: Option<String>,
    /// Where Redfish shall answer, likewise.
    pub redfish: Option<String>,
}

/// A machine that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its present name in the backend.
    pub name: String,
    /// Whether it runs here. On its way from one hypervisor to another a machine is at both, and runs at one of them.
    pub active: bool,
    /// What its definition says about its BMC; `None` if nothing.
    pub mark: Option<Mark>,
}

/// The machines that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Whether the hypervisor has told yet. While it cannot be reached, what it told last stands.
    pub known: bool,
    /// Them, by UUID.
    pub machines: BTreeMap<Uuid, Found>,
}
