//! Fuzz targets: functions that take any bytes and must come back.
//!
//! A target fails by panicking. Besides "no panic" each checks what it can: what was decoded encodes to something that decodes to the
//! same, a reply is never larger than its unauthenticated question invites, a command always has a reply.
//!
//! `cargo xtask fuzz [SECONDS]` runs them under libFuzzer, from the seeds in `seeds/TARGET/`; the test of this crate runs every seed once.
//! Seeds are datagrams that real clients sent, written by the capture test (see CONTRIBUTING.md), and inputs that once failed.

mod commands;
mod endpoint;
mod wire;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "datagram", run: wire::datagram },
    Target { name: "payload", run: wire::payload },
    Target { name: "record", run: wire::record },
    Target { name: "machine", run: wire::machine },
    Target { name: "endpoint", run: endpoint::bmc },
    Target { name: "console", run: endpoint::console },
    Target { name: "commands", run: commands::run },
];

/// The pieces of an input: each is preceded by its length in two bytes, low byte first. The last may be cut short.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let (piece, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        data = rest;
        Some(piece)
    })
}
