//! Fetches images by URL into a spool: streamed, bounded, shared, and nothing left behind.
//!
//! ```text
//!  Spool::fetch ─► join one under way, or begin ─► download: http, https    ─► the spool's folder
//!                                                  local:    file, allowed      one file per content, held by leases
//! ```
//!
//! A lease keeps a file. When the last one is released, the file goes, or stays for the next who asks, as long as there is room for such. What several holders fetch is one file: those who ask alike while it
//! comes share the download; who asks later is given the file that is there if the server says, to the new request and its
//! credentials, that it is still the same; and what turns out to be of the same content is kept once.
//!
//! What is absent: machines, drives, protocols of BMCs. Clocks only as limits.

mod download;
mod exchange;
mod limits;
mod local;
mod partial;
mod room;
mod spool;
#[cfg(test)]
mod tests;
mod trust;

pub use limits::{Limits, REDIRECTS_MAX, RESUMES_MAX};
pub use spool::Spool;
