//! Preparing the host: packages, Python clients, cargo subcommands, libvirt, a kernel for guests.

pub(crate) mod cargo_tools;
pub(crate) mod guest_kernel;
pub(crate) mod libvirt;
pub(crate) mod packages;
pub(crate) mod python;
