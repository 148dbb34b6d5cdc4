//! Firmware images: how they come in, which version they are, and what they are for.
//!
//! ```text
//!   a URL, or what a client sends ─► read once, not kept: size, digest, first bytes ─► component and version ─► settings of the machine
//! ```
//!
//! Nothing runs here that an image could be written to: what an update changes is the version that is shown, and the machine keeps it. An
//! image says what it is by a manifest, which is the whole image then, `{"Component": "BIOS", "Version": "2.4.1"}`; or by its file name,
//! `bmc-2.4.1.bin`. One that tells no version has that of the installed firmware with the digest of its content behind it.

mod fetch;
mod image;

pub(crate) use fetch::{Bounds, fetch, receive, receive_parts};
pub(crate) use image::{Component, Image};
