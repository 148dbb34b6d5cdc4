//! Helpers for tests of the whole: the real daemon, real client programs, real guests.
//!
//! Everything here blocks and is built on `std`, so that a client test reads top to bottom. A missing program or a
//! daemon that does not start fails the test at once, with what to do about it; nothing is skipped.
//!
//! | module | for |
//! |---|---|
//! | [`wait`] | waiting for a condition instead of for some time |
//! | [`ports`] | addresses and ports that no other test uses |
//! | [`tools`] | client programs under a time limit |
//! | [`python`] | the same for Python clients in their pinned environment |
//! | [`daemon`] | the `polybmc` program itself, with a state folder that goes away |
//! | [`guest`] | real guests under a real libvirtd |
//! | [`paths`] | where the workspace, its target folder and the tested binary are |
#![allow(clippy::panic, clippy::expect_used, reason = "a helper for tests fails the test, and says why")]

pub mod daemon;
pub mod guest;
pub mod paths;
pub mod ports;
pub mod python;
pub mod tools;
pub mod wait;
