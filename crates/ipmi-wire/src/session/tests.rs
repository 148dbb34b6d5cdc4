//! Session headers of both versions: golden bytes, round trips, hostile input.

use std::{panic, vec, vec::Vec};

use proptest::prelude::*;

use super::{v15::AuthType, v20::V20Header, *};

fn payload_type() -> impl Strategy<Value = PayloadType> {
    prop_oneof![
        Just(PayloadType::Ipmi),
        Just(PayloadType::Sol),
        (any::<u32>(), any::<u16>()).prop_map(|(iana, id)| PayloadType::OemExplicit { iana, id }),
        Just(PayloadType::OpenSessionRequest),
        Just(PayloadType::Rakp4),
        (0x20_u8..0x40).prop_map(PayloadType::Other),
    ]
}

/// The first datagram of every `ipmitool -I lanplus` run.
#[test]
fn ipmitool_first_datagram() {
    let bytes = hex::decode("0600ff07000000000000000000092018c88100388e04b5").unwrap();
    let Ok(Datagram::V15(packet)) = Datagram::decode(&bytes) else { panic!("not IPMI 1.5") };
    assert_eq!((packet.auth_type, packet.sequence, packet.session_id), (AuthType::None, 0, 0));
    assert_eq!(packet.payload.len(), 9);
    assert_eq!(packet.to_datagram().unwrap(), bytes);
}

#[test]
fn the_trailer_aligns_what_the_code_covers() {
    for n in 0..9 {
        let header = V20Header {
            payload_type: PayloadType::Ipmi,
            encrypted: true,
            authenticated: true,
            session_id: 1,
            sequence: 1,
        };
        let mut bytes = header.to_datagram(&vec![0; n]).unwrap();
        assert_eq!((bytes.len() - rmcp::HEADER_LEN) % 4, 0, "payload of {n}");
        bytes.extend([0xaa; 12]);
        let Ok(Datagram::V20(packet)) = Datagram::decode(&bytes) else { panic!("not RMCP+") };
        let (signed, code) = packet.split_code(12).unwrap();
        assert_eq!(signed, &bytes[rmcp::HEADER_LEN..bytes.len() - 12]);
        assert_eq!(code, [0xaa; 12]);
        assert!(packet.split_code(13).is_err());
    }
}

#[test]
fn other_rmcp_classes_are_refused_and_acks_are_told_apart() {
    assert!(Datagram::decode(&[6, 0, 0xff, 8]).is_err());
    assert!(Datagram::decode(&[6, 0, 0xff, 1]).is_err());
    assert_eq!(Datagram::decode(&rmcp_ack(3, rmcp::Class::Asf)), Ok(Datagram::Ack));
}

proptest! {
    #[test]
    fn v15_round_trip(kind in prop::sample::select(vec![0_u8, 1, 2, 4, 5]), sequence: u32, session_id: u32,
                      code: [u8; 16], payload in prop::collection::vec(any::<u8>(), 0..=255), pad: bool) {
        let auth_type = AuthType::from_raw(kind).unwrap();
        let auth_code = (auth_type != AuthType::None).then_some(code);
        let packet = V15Packet { auth_type, sequence, session_id, auth_code, payload: &payload };
        let mut bytes = packet.to_datagram().unwrap();
        if pad {
            bytes.push(0);
        }
        prop_assert_eq!(Datagram::decode(&bytes), Ok(Datagram::V15(packet)));
    }

    #[test]
    fn v20_round_trip(payload_type in payload_type(), encrypted: bool, authenticated: bool, session_id: u32,
                      sequence: u32, payload in prop::collection::vec(any::<u8>(), 0..600)) {
        let header = V20Header { payload_type, encrypted, authenticated, session_id, sequence };
        let bytes = header.to_datagram(&payload).unwrap();
        let Ok(Datagram::V20(p)) = Datagram::decode(&bytes) else { panic!("not RMCP+") };
        prop_assert_eq!(p.payload, &payload[..]);
        prop_assert_eq!(header, V20Header {
            payload_type: p.payload_type, encrypted: p.encrypted, authenticated: p.authenticated,
            session_id: p.session_id, sequence: p.sequence,
        });
        prop_assert_eq!(p.trailer.is_empty(), !authenticated);
    }

    #[test]
    fn decoding_never_panics(mut bytes: Vec<u8>, class in prop::sample::select(vec![6_u8, 7]), code_len in 0_usize..40) {
        let mut framed = vec![6, 0, 0xff, class];
        framed.append(&mut bytes);
        if let Ok(Datagram::V20(p)) = Datagram::decode(&framed) {
            let _ = p.split_code(code_len);
        }
    }
}
