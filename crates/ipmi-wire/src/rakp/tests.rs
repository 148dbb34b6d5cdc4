//! The handshake messages: golden bytes, round trips, hostile input.

use proptest::prelude::*;

use super::*;

fn proposal() -> impl Strategy<Value = Proposal> {
    prop_oneof![Just(Proposal::Any), (0_u8..64).prop_map(Proposal::Algorithm)]
}

#[test]
fn statuses_are_numbered_as_in_the_table() {
    let numbers: Vec<u8> = RakpStatus::ALL.iter().map(|s| s.0).collect();
    assert_eq!(numbers, (0..=0x12).collect::<Vec<u8>>());
    assert_eq!(RakpStatus(0x13).text(), None);
}

#[test]
fn a_reply_with_an_error_is_eight_bytes() {
    let open = OpenSessionResponse {
        tag: 7,
        status: RakpStatus::NO_CIPHER_SUITE_MATCH,
        console_id: 0xa0a2_a3a4,
        accepted: None,
    };
    assert_eq!(open.encode(), [0x07, 0x11, 0, 0, 0xa4, 0xa3, 0xa2, 0xa0]);
    let rakp2 = Rakp2 { tag: 0, status: RakpStatus::UNAUTHORIZED_NAME, console_id: 1, body: None };
    assert_eq!(rakp2.encode(), [0x00, 0x0d, 0, 0, 1, 0, 0, 0]);
}

/// What OpenIPMI's `ipmi_sim` 2.0.33 sends: its level is the request's 0.
#[test]
fn an_open_session_response_with_level_0_is_understood() {
    let bytes =
        hex::decode("00000000221bed1a8a020000000000080100000001000008010000000200000801000000").unwrap();
    let accepted = OpenSessionResponse::decode(&bytes).unwrap().accepted.unwrap();
    assert_eq!((accepted.max_privilege, accepted.managed_id), (PrivilegeLevel::Administrator, 0x28a));
}

/// `ipmi_sim` sends two bytes, ours are eight, others send all 36.
#[test]
fn an_open_session_response_with_an_error_is_understood_at_any_length() {
    let mut bytes = [0_u8; 36];
    bytes[..8].copy_from_slice(&[0x07, 0x04, 0, 0, 0xa4, 0xa3, 0xa2, 0xa0]);
    for (len, console_id) in [(2, 0), (8, 0xa0a2_a3a4), (36, 0xa0a2_a3a4)] {
        let status = RakpStatus::INVALID_AUTH_ALGORITHM;
        let expected = OpenSessionResponse { tag: 7, status, console_id, accepted: None };
        assert_eq!(OpenSessionResponse::decode(&bytes[..len]), Ok(expected));
    }
    assert_eq!(OpenSessionResponse::decode(&bytes[..1]), Err(DecodeError::Truncated));
}

#[test]
fn algorithm_payloads_out_of_order_are_refused() {
    let mut bytes = OpenSessionRequest {
        tag: 0,
        max_privilege: 0,
        console_id: 1,
        auth: Proposal::Algorithm(1),
        integrity: Proposal::Algorithm(1),
        confidentiality: Proposal::Algorithm(1),
    }
    .encode();
    bytes[16] = 0;
    assert_eq!(
        OpenSessionRequest::decode(&bytes),
        Err(DecodeError::Value { field: "algorithm payload type", value: 0 })
    );
}

#[test]
fn rakp1_name_must_have_the_length_it_says() {
    let bytes =
        Rakp1 { tag: 0, managed_id: 1, random: [0; 16], role: 0x14, name: b"admin" }.encode().unwrap();
    assert_eq!(Rakp1::decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Truncated));
    let mut longer = bytes.clone();
    longer.push(b'x');
    assert_eq!(Rakp1::decode(&longer), Err(DecodeError::Trailing));
    assert!(Rakp1::decode(&bytes).unwrap().name_only());
}

proptest! {
    #[test]
    fn open_session_request_round_trip(tag: u8, max_privilege in 0_u8..16, console_id: u32, auth in proposal(),
                                       integrity in proposal(), confidentiality in proposal()) {
        let m = OpenSessionRequest { tag, max_privilege, console_id, auth, integrity, confidentiality };
        prop_assert_eq!(OpenSessionRequest::decode(&m.encode()), Ok(m));
    }

    #[test]
    fn open_session_response_round_trip(tag: u8, console_id: u32, managed_id: u32, level in 1_u8..6,
                                        algorithms in proptest::array::uniform3(0_u8..64), error in 0_u8..0x13) {
        let [auth, integrity, confidentiality] = algorithms;
        let max_privilege = PrivilegeLevel::from_raw(level).unwrap();
        let accepted = (error == 0).then_some(
            OpenSessionAccepted { max_privilege, managed_id, auth, integrity, confidentiality });
        let m = OpenSessionResponse { tag, status: RakpStatus(error), console_id, accepted };
        prop_assert_eq!(OpenSessionResponse::decode(&m.encode()), Ok(m));
    }

    #[test]
    fn rakp_round_trips(tag: u8, id: u32, random: [u8; 16], guid: [u8; 16], role: u8,
                        name in proptest::collection::vec(any::<u8>(), 0..=255), code: Vec<u8>) {
        let m = Rakp1 { tag, managed_id: id, random, role, name: &name };
        let bytes = m.encode().unwrap();
        prop_assert_eq!(Rakp1::decode(&bytes), Ok(m));

        let body = Some(Rakp2Body { random, guid, code: &code });
        let m = Rakp2 { tag, status: RakpStatus::OK, console_id: id, body };
        let bytes = m.encode();
        prop_assert_eq!(Rakp2::decode(&bytes), Ok(m));

        let m = RakpProof { tag, status: RakpStatus::OK, session_id: id, code: &code };
        let bytes = m.encode();
        prop_assert_eq!(RakpProof::decode(&bytes), Ok(m));
    }

    #[test]
    fn decoding_never_panics(bytes: Vec<u8>) {
        let _ = OpenSessionRequest::decode(&bytes);
        let _ = OpenSessionResponse::decode(&bytes);
        let _ = Rakp1::decode(&bytes);
        let _ = Rakp2::decode(&bytes);
        let _ = RakpProof::decode(&bytes);
    }
}
