//! The libvirt backend: real virtual machines, lifecycle events, boot overrides that leave the definition alone, serial consoles,
//! statistics.
//!
//! | module | does |
//! |---|---|
//! | `backend` | `bmc_core::backend::Backend` over one libvirt URI |
//! | `machine` | `bmc_core::backend::Machine`: the operations |
//! | `hub` | keeps the connection, finds who is concerned by an event, asks for states after (re)connecting |
//! | `watch` | one watched domain: takes news in, sends reports |
//! | `track` | pure: what libvirt's events mean for one domain |
//! | `console` | a machine's serial console: opens it, holds it, opens it again |
//! | `discovery` | which domains there are, for BMCs that come and go with them |
//! | `nvram` | the guest's UEFI variables: boot options read, a URI to boot from written |
//! | `once` | what a start with a boot override does beside running the copy |
//! | `poll` | asks for statistics now and then |
//! | `statistics` | pure: from libvirt's counters to percent and bytes per second |
//! | `firmware` | what UEFI images a host has, and setting a domain's firmware up |
//! | `storage` | what lies behind disks, and volumes made, given to a domain and deleted |
//! | `connection` | bounded calls with time-outs |
//! | `xml` | reading domain XML, and making changed copies by splicing |
//! | `setup_key` | the key press that opens the firmware's setup |
//! | `error` | libvirt's error codes in the core's terms |
//! | `sys` | the C interface that `virt` lacks; the only `unsafe` |
//!
//! What is absent: redefining a domain for a boot override (a start runs a changed copy instead), state kept on disk, and any
//! libvirt call on a read path.

mod backend;
mod connection;
mod console;
mod discovery;
mod error;
pub mod firmware;
mod hub;
mod machine;
mod media;
mod nvram;
mod once;
mod poll;
mod screen;
mod setup_key;
mod statistics;
mod storage;
mod sys;
mod track;
mod watch;
mod xml;

pub use backend::{ConsolePolicy, LibvirtBackend, Options, STATISTICS_INTERVAL};
pub use storage::{RAID_DRIVES_MAX, RaidOptions};
