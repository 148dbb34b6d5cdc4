//! Bytes that nobody honest sends.

use ipmi_session::{DropReason, Received, console::Console};
use ipmi_wire::{NetFn, session::PayloadType, session::v20::V20Header};
use proptest::prelude::*;

use crate::support::{Bench, console_config, peer};

fn in_session(suite: u8) -> (Bench, Console, Vec<u8>) {
    let mut b = Bench::with_suites(&[suite]);
    let mut console = b.login(peer(1), console_config("admin", "password", suite)).unwrap();
    console.request(b.now, NetFn::CHASSIS, 0, 2, &[2], &mut b.rng).unwrap();
    let bytes = console.poll_transmit().unwrap();
    (b, console, bytes)
}

#[test]
fn every_flipped_bit_and_every_cut_is_dropped_without_a_trace() {
    for suite in [2, 3, 17] {
        let (mut b, _, good) = in_session(suite);
        // The RMCP header is not covered by the integrity code; its reserved and sequence bytes mean nothing here.
        for bit in 4 * 8..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let out = b.datagram(peer(1), &bytes);
            assert!(
                matches!(out.received, Received::Dropped(_)),
                "suite {suite} bit {bit}: {:?}",
                out.received
            );
            assert!(out.transmits.is_empty() && out.events.is_empty());
        }
        for n in 0..good.len() {
            let out = b.datagram(peer(1), &good[..n]);
            assert!(matches!(out.received, Received::Dropped(_)), "suite {suite} cut at {n}");
        }
        // None of that moved the window: the honest packet is still new.
        b.datagram(peer(1), &good);
        assert_eq!(b.requests.len(), 1);
    }
}

#[test]
fn a_session_with_protection_takes_nothing_without() {
    let (mut b, _, _) = in_session(3);
    let id = b.bmc.sessions().next().unwrap().id;
    for (encrypted, authenticated) in [(false, false), (true, false), (false, true)] {
        let header = V20Header {
            payload_type: PayloadType::Ipmi,
            encrypted,
            authenticated,
            session_id: id,
            sequence: 5,
        };
        let mut bytes = header.to_datagram(&[0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7a]).unwrap();
        if authenticated {
            bytes.extend([0; 12]);
        }
        assert_eq!(b.datagram(peer(1), &bytes).received, Received::Dropped(DropReason::Unprotected));
    }
}

#[test]
fn datagrams_beyond_the_limit_are_not_looked_at() {
    let mut b = Bench::new();
    let bytes = vec![6; 1501];
    assert_eq!(b.datagram(peer(1), &bytes).received, Received::Dropped(DropReason::TooLong));
}

#[test]
fn the_console_ignores_what_is_not_verified() {
    let (mut b, mut console, bytes) = in_session(17);
    b.datagram(peer(1), &bytes);
    let token = b.requests[0].token;
    let good = b.bmc.respond(b.now, token, ipmi_wire::CompletionCode::OK, &[], &mut b.rng).unwrap().bytes;
    for bit in 4 * 8..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        console.handle_datagram(b.now, &bytes, &mut b.rng);
        assert_eq!(console.poll_event(), None, "bit {bit}");
    }
    console.handle_datagram(b.now, &good, &mut b.rng);
    assert!(console.poll_event().is_some());
}

proptest! {
    #[test]
    fn neither_side_panics(datagrams in prop::collection::vec(
        (prop::sample::select(vec![6_u8, 7]), prop::sample::select(vec![0_u8, 6]),
         prop::sample::select(vec![0_u8, 0xc0, 0x10, 0x12, 0x14, 0x11, 0x13, 0x15, 1, 2]), any::<bool>(),
         prop::collection::vec(any::<u8>(), 0..120)), 1..20)) {
        let (mut b, mut console, _) = in_session(3);
        let id = b.bmc.sessions().next().unwrap().id;
        for (class, auth_type, kind, known, tail) in datagrams {
            let session_id = if known { id } else { 0 };
            let mut bytes = vec![6, 0, 0xff, class, auth_type, kind];
            bytes.extend(session_id.to_le_bytes());
            bytes.extend([0, 0, 0, 0]);
            bytes.extend(u16::try_from(tail.len()).unwrap().to_le_bytes());
            bytes.extend(tail);
            b.datagram(peer(1), &bytes);
            console.handle_datagram(b.now, &bytes, &mut b.rng);
        }
        prop_assert_eq!(b.bmc.sessions().count(), 1);
    }
}
