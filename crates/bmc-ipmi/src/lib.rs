//! The IPMI frontend of a BMC.
//!
//! ```text
//!  datagrams ──► server ──► ipmi-session ──► dispatch ──► handlers ──► bmc-core
//!                (sockets,   (sessions,       (table,      (one file per
//!                 time)       cryptography)    privilege)   network function)
//! ```
//!
//! * [`mod@dispatch`] is the one place where a command enters and its reply leaves, whatever door it came through. It knows
//!   no socket: a door to the guest can call it as the LAN does.
//! * [`table`] says which commands there are. The coverage document is made from it ([`coverage`]).
//! * [`server`] is the UDP shell, and [`system_interface`] the guest's own door beside it: the only parts with sockets and tasks.
//!
//! What is absent: backends (the core hides them), HTTP, cryptography (`ipmi-session` has it).

mod alerts;
mod boot_guard;
pub mod context;
mod counters;
pub mod coverage;
pub mod dispatch;
pub mod error;
mod handlers;
#[cfg(test)]
mod privilege_tests;
pub mod profile;
mod sdr_repository;
mod sel_guard;
pub mod server;
mod set_guard;
pub mod system_interface;
pub mod table;
mod volatile;

pub use context::{Bmc, Caller, Context, LanChannel};
pub use dispatch::{Reply, dispatch};
pub use profile::DeviceProfile;
pub use server::{BindError, IpmiConfig, IpmiServer, auth_name};
pub use system_interface::{SystemInterface, SystemInterfaceConfig, SystemInterfaceError};
