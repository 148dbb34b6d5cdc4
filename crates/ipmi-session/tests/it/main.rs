//! Both sides of RMCP+ against each other, in virtual time and without sockets.
#![allow(missing_docs, unreachable_pub, reason = "nobody uses a test from outside")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; the exemption for tests does not reach their helpers"
)]

mod handshake;
mod hostile;
mod pair;
mod session;
mod sol;
mod support;
mod v15;
