//! The VM control core: what a BMC knows and does, without any protocol.
//!
//! Data flows one way. A frontend sends a [`Request`](request::Request) through a [`MachineHandle`](fleet::MachineHandle); the machine's one
//! owner decides by a pure state machine ([`control`]), calls the [`Backend`](backend::Backend), commits to the
//! [`Store`](store::Store), and publishes a [`Snapshot`](snapshot::Snapshot), from which every read is answered.
//!
//! What is absent: completion codes, Redfish names, hypervisors, sockets; and below [`owner`], clocks and tasks.

pub mod account;
pub mod alert;
pub mod backend;
pub mod bmc;
pub mod boot;
pub mod clock;
pub mod console;
pub mod control;
pub mod directory;
pub mod disable;
pub mod discovery;
pub mod error;
pub mod event;
pub mod firmware;
pub mod fleet;
pub mod inventory;
pub mod lockout;
pub mod media;
pub mod owner;
pub mod power;
pub mod power_history;
pub mod power_meter;
pub mod power_table;
pub mod request;
pub mod screen;
pub mod sel;
pub mod sensor;
pub mod settings;
pub mod snapshot;
pub mod storage;
pub mod store;
pub mod system_interface;
mod uuids;
pub mod watchdog;
