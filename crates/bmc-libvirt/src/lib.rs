//! The libvirt backend: real virtual machines, lifecycle events, boot overrides that leave the definition alone.
//!
//! | module | does |
//! |---|---|
//! | `backend` | `bmc_core::backend::Backend` over one libvirt URI |
//! | `machine` | `bmc_core::backend::Machine`: the operations |
//! | `hub` | keeps the connection, finds who is concerned by an event, asks for states after (re)connecting |
//! | `watch` | one watched domain: takes news in, sends reports |
//! | `track` | pure: what libvirt's events mean for one domain |
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
mod error;
mod hub;
mod machine;
mod setup_key;
mod sys;
mod track;
mod watch;
mod xml;

pub use backend::LibvirtBackend;
