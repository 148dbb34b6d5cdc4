//! The commands, one file per room: a network function or a group of it. Each room lists its commands in `COMMANDS`, with the level each
//! needs, and [`crate::table`] puts them together.

pub(crate) mod access;
pub(crate) mod app;
pub(crate) mod boot;
pub(crate) mod channel;
pub(crate) mod chassis;
pub(crate) mod dcmi;
pub(crate) mod fru;
pub(crate) mod lan;
pub(crate) mod pef;
pub(crate) mod sdr;
pub(crate) mod security;
pub(crate) mod sel;
pub(crate) mod sensor;
pub(crate) mod session;
pub(crate) mod sol;
pub(crate) mod system;
pub(crate) mod system_info;
pub(crate) mod system_interface;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod users;
pub(crate) mod watchdog;
