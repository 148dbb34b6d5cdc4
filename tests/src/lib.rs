//! Cross-crate and client tests; each area is a `[[test]]` target beside this folder.
//!
//! | module | for |
//! |---|---|
//! | [`lab`] | a daemon with simulated machines, the client programs aimed at them, what they left behind |
//! | [`relay`] | a UDP wire between client and BMC that records, and loses what it is told to |
//! | [`agreement`] | each action over each door, read back over all of them |
//! | [`doors`] | IPMI, Redfish and the command line in one vocabulary |
//! | [`redfish`] | a Redfish client of few words |
//! | [`talk`] | a program in a terminal that one talks to |
//! | [`images`] | a media server on loopback |
//! | [`judge`] | DMTF's validators, and the tables of what they may find |
//! | [`console`] | an IPMI session held by the test itself, down to single datagrams |
#![allow(clippy::panic, clippy::expect_used, reason = "a helper for tests fails the test, and says why")]

pub mod agreement;
pub mod console;
pub mod doors;
pub mod images;
pub mod judge;
pub mod lab;
pub mod redfish;
pub mod relay;
pub mod talk;
