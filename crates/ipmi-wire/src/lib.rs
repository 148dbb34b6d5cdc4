//! IPMI 1.5 and 2.0 on the wire: bytes to types and back, without state, I/O or a clock.
//!
//! Every type that travels has a decoder that takes hostile bytes and never panics, and an encoder whose output the
//! decoder accepts. Decoders check lengths and reserved encodings, never meaning: whether a session exists or a
//! user may do something is decided above this crate.
//!
//! The layers, outermost first:
//!
//! | module | layer | source |
//! |---|---|---|
//! | [`rmcp`] | the four bytes in front of everything | IPMI 2.0 §13.1.3 |
//! | [`asf`] | presence ping and pong | IPMI 2.0 §13.2.3, ASF 2.0 §3.2.4 |
//! | [`session`] | the IPMI 1.5 and the RMCP+ session headers | IPMI 2.0 §13.6 |
//! | [`rakp`] | Open Session and RAKP 1 to 4 | IPMI 2.0 §13.17 to §13.24 |
//! | [`message`] | the IPMI message: addresses, sequence, checksums | IPMI 2.0 §13.8 |
//! | [`command`] | requests and responses of single commands | IPMI 2.0 §20 and later |
//! | [`vm`] | messages between a virtual machine's IPMI device and its BMC | QEMU's `ipmi-bmc-extern` |
//! | [`record`] | what commands carry whole or in pieces: event records, FRU inventory | IPMI 2.0 §32, FRU 1.0 |
//!
//! The crate is `no_std` (with `alloc`), so that a guest-side or firmware program may use it too.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects
    )
)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod asf;
pub mod cipher;
pub mod command;
pub mod completion;
pub mod error;
pub mod guid;
pub mod message;
pub mod netfn;
pub mod pet;
pub mod privilege;
pub mod rakp;
pub mod reader;
pub mod record;
pub mod rmcp;
pub mod session;
pub mod sol;
pub mod vm;
pub mod writer;

pub use completion::CompletionCode;
pub use error::DecodeError;
pub use message::{LanRequest, LanResponse};
pub use netfn::NetFn;
pub use privilege::PrivilegeLevel;
pub use reader::Reader;
pub use writer::Writer;
