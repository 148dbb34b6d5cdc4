//! Firmware images: how they come in, which version they are, and what they are for.
//!
//! ```text
//!   a URL, by the spool ─┐
//!   what a client sends ─┴► read once: size, digest, first bytes ─► component and version ─► settings of the machine
//! ```
//!
//! Nothing runs here that an image could be written to: what an update changes is the version that is shown, and the machine keeps it. What
//! an image says of itself is in [`image`]; one that tells no version has that of the installed firmware with the digest of its content
//! behind it, and what says nothing at all is refused. What is fetched comes by the fleet's library of images, as virtual media do:
//! from the same servers and folders, by the same trust, whole into the same spool. What a client sends is not kept.

mod fetch;
mod image;

pub(crate) use fetch::{Bounds, fetch, receive, receive_parts};
pub(crate) use image::{Component, Image, Unfit};
