//! The commands, one file per network function or group.

mod app;
pub(crate) mod boot;
mod channel;
mod chassis;
#[cfg(test)]
pub(crate) mod testing;
