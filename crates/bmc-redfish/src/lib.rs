//! The Redfish frontend: one service root per BMC, and one for all of them, from the same code.
//!
//! ```text
//!  server ──► router ──► door ──► auth ──► resource/* ──► door ──► client
//!  (sockets,  (route     (bytes   (who,    (read a snapshot, or   (headers,
//!   TLS,       table)     in)      may?)    ask the machine)       bytes out)
//!   limits)
//! ```
//!
//! A read is answered from the machine's published snapshot and never waits for a hypervisor. A write goes to the machine's owner as a
//! [`Request`](bmc_core::request::Request). `routes` is the one table of what is served: the router, the `Allow` header, the
//! privileges and `docs/protocols/redfish.md` all come from it. Every refusal is made in `error`, in messages of DMTF's Base registry.
//!
//! What is absent: hypervisors, stores, clocks and randomness of its own below [`server`] and `session`; and any resource that is
//! not served: nothing links to what is not there.

mod auth;
mod background;
mod body;
mod boot;
pub mod config;
pub mod coverage;
mod door;
mod error;
mod etag;
mod event;
mod json;
mod message;
mod negotiate;
mod patch;
mod privilege;
mod privilege_map;
mod query;
mod redirect;
mod resource;
mod routes;
mod schema;
mod scope;
mod secret;
pub mod server;
mod service;
mod session;
mod tasks;
pub mod tls;
mod update;

#[cfg(test)]
mod tests;

pub use config::{Profile, RedfishConfig};
pub use scope::Scope;
pub use server::{BindError, RedfishServer};
pub use tls::{Keyring, Tls, TlsError};
