//! Whatever arrives: dropped, or answered as the specification says; never acted upon, never a panic.

use proptest::prelude::*;

use super::*;

/// A station with a session, and a datagram of that session which has not been delivered: "power on".
async fn armed(bench: &Bench) -> (Station, Wire, Vec<u8>) {
    let mut station = station(bench, IpmiConfig::default());
    let mut wire = Wire::new(bench, HERE, login("admin", PASSWORD, 17));
    wire.log_in(bench, &mut station).await.unwrap();
    wire.request(bench, 0x00, 0x02, &[1]);
    let power_on = wire.console.poll_transmit().unwrap();
    (station, wire, power_on)
}

async fn dropped(station: &mut Station, bytes: &[u8], why: &str) {
    let answer = station.datagram(None, HERE.parse().unwrap(), bytes).await;
    assert_eq!(answer, [], "{why}");
    assert!(!station.is_busy(), "{why}");
}

#[tokio::test]
async fn nothing_but_the_very_datagram_is_carried_out() {
    let bench = Bench::new().await;
    let (mut station, mut wire, power_on) = armed(&bench).await;
    for length in 0..power_on.len() {
        dropped(&mut station, &power_on[..length], "truncated").await;
    }
    // The four bytes in front are RMCP's own and not protected by the session.
    for bit in 4 * 8..power_on.len() * 8 {
        let mut bytes = power_on.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        dropped(&mut station, &bytes, "a flipped bit").await;
    }
    for extra in [1, 16, 1_000, 65_000] {
        let bytes = [power_on.as_slice(), &vec![0; extra]].concat();
        let answer = station.datagram(None, HERE.parse().unwrap(), &bytes).await;
        assert_eq!(answer, [], "{extra} bytes too long");
        assert!(!station.is_busy());
    }
    assert!(bench.calls().is_empty());

    // The true one is carried out, once: its repetition is answered from the cache.
    let peer = HERE.parse().unwrap();
    assert_eq!(station.datagram(None, peer, &power_on).await, []);
    assert_eq!(station.datagram(None, peer, &power_on).await, [], "not answered yet");
    let finished = station.next_finished().await.unwrap();
    station.finished(finished).unwrap();
    let mut repeated = station.datagram(None, peer, &power_on).await;
    assert!(!station.is_busy());
    assert_eq!(bench.calls(), ["start"]);

    // And the session is as it was.
    wire.take(&bench, repeated.pop().unwrap());
    assert!(repeated.is_empty());
    let answers = wire.carry(&bench, &mut station).await;
    assert!(matches!(answers.as_slice(), [ConsoleEvent::Response { completion, .. }] if completion.is_ok()));
    assert_eq!(wire.ask(&bench, &mut station, 0x00, 0x01, &[]).await.0, 0);
}

#[tokio::test]
async fn a_datagram_of_a_closed_session_is_dropped() {
    let bench = Bench::new().await;
    let (mut station, mut wire, power_on) = armed(&bench).await;
    let now = bench.fleet.clock().now();
    wire.console.close(now, &mut wire.random);
    assert_eq!(wire.carry(&bench, &mut station).await, [ConsoleEvent::Closed]);
    dropped(&mut station, &power_on, "the session is closed").await;
}

#[tokio::test]
async fn commands_without_a_session_do_nothing() {
    let bench = Bench::new().await;
    let mut station = station(&bench, IpmiConfig::default());
    // Chassis Control, power on, in both frames outside a session.
    let message = ipmi_wire::LanRequest {
        rs_addr: 0x20,
        netfn: NetFn::CHASSIS,
        rs_lun: 0,
        rq_addr: 0x81,
        rq_seq: 1,
        rq_lun: 0,
        cmd: 0x02,
        data: &[1],
    }
    .encode();
    let rmcp = [0x06, 0x00, 0xff, 0x07];
    let length = u8::try_from(message.len()).unwrap();
    let v15 = [&rmcp[..], &[0; 9], &[length], &message].concat();
    let v20 = [&rmcp[..], &[0x06, 0x00], &[0; 8], &[length, 0], &message].concat();
    for datagram in [v15, v20] {
        let answers = station.datagram(None, HERE.parse().unwrap(), &datagram).await;
        assert!(
            answers.iter().all(|answer| answer.transmit.bytes.len() <= datagram.len() + 1),
            "no amplification"
        );
        assert!(!station.is_busy());
    }
    assert!(bench.calls().is_empty());
}

/// Who forges its address makes us send to somebody else. One datagram for one, and at most this many times as long: the pong
/// to a ping, whose 12 bytes are answered by 28, is the worst that the protocol has.
const AMPLIFICATION_MAX: f64 = 28.0 / 12.0;

#[tokio::test]
async fn strangers_get_one_answer_and_none_that_is_much_longer_than_the_question() {
    let bench = Bench::new().await;
    // All suites there are, so that the list has several pieces.
    let config =
        IpmiConfig { suites: suites(&[0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17]), ..Default::default() };
    let mut station = station(&bench, config);
    let rmcp = [0x06, 0x00, 0xff, 0x07];
    let mut datagrams = vec![vec![0x06, 0x00, 0xff, 0x06, 0x00, 0x00, 0x11, 0xbe, 0x80, 0x00, 0x00, 0x00]];
    for netfn in (0..0x40).step_by(2) {
        for (cmd, data) in (0..=0xff).flat_map(|cmd| {
            [&[][..], &[0x8e, 4], &[0x0e, 0, 0x80], &[0x0e, 0, 0x81], &[0x0e, 0, 0]].map(|data| (cmd, data))
        }) {
            let message = ipmi_wire::LanRequest {
                rs_addr: 0x20,
                netfn: NetFn::new(netfn),
                rs_lun: 0,
                rq_addr: 0x81,
                rq_seq: 1,
                rq_lun: 0,
                cmd,
                data,
            }
            .encode();
            let length = u8::try_from(message.len()).unwrap();
            datagrams.push([&rmcp[..], &[0; 9], &[length], &message].concat());
            datagrams.push([&rmcp[..], &[0x06, 0x00], &[0; 8], &[length, 0], &message].concat());
        }
    }
    // The handshake: Open Session, RAKP 1 and RAKP 3 of somebody who has not seen our answers.
    let mut console = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
    datagrams.push(console.console.poll_transmit().unwrap());
    for (payload_type, length) in [(0x10, 8), (0x10, 32), (0x12, 8), (0x12, 28), (RAKP_3, 8), (RAKP_3, 40)] {
        let head = [&rmcp[..], &[0x06, payload_type], &[0; 8], &[length, 0]].concat();
        datagrams.push([head, vec![1; length.into()]].concat());
    }
    let mut answered = 0;
    for (n, datagram) in datagrams.iter().enumerate() {
        let answers = station.datagram(None, HERE.parse().unwrap(), datagram).await;
        assert!(answers.len() <= 1, "{datagram:02x?}");
        answered += answers.len();
        for answer in answers {
            #[expect(clippy::cast_precision_loss, reason = "both are below 100")]
            let times = answer.transmit.bytes.len() as f64 / datagram.len() as f64;
            assert!(times <= AMPLIFICATION_MAX, "{n}: {datagram:02x?} is answered by {times} times as much");
        }
    }
    assert_eq!(answered, datagrams.len(), "nobody is left waiting");
    assert!(bench.calls().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_is_survived(
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..40),
        headed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let (mut station, mut wire, _) = armed(&bench).await;
            for bytes in noise {
                let head: &[u8] = if headed { &[0x06, 0x00, 0xff, 0x07, 0x06] } else { &[] };
                station.datagram(None, HERE.parse().unwrap(), &[head, &bytes].concat()).await;
            }
            assert!(!station.is_busy());
            assert_eq!(wire.ask(&bench, &mut station, 0x06, 0x01, &[]).await.0, 0);
            assert!(bench.calls().is_empty());
        });
    }

    /// Bytes inside a session, rightly protected, with any command and data.
    #[test]
    fn any_command_is_answered(netfn in 0_u8..32, cmd: u8, data in prop::collection::vec(any::<u8>(), 0..40)) {
        // Not those that end the session or change its level.
        prop_assume!(!(netfn == 3 && (0x3b..=0x3c).contains(&cmd)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let mut station = station(&bench, IpmiConfig::default());
            let mut wire = Wire::new(&bench, HERE, login("admin", PASSWORD, 17));
            wire.log_in(&bench, &mut station).await.unwrap();
            wire.request(&bench, netfn * 2, cmd, &data);
            let mut answers = wire.carry(&bench, &mut station).await;
            if station.is_busy() {
                answers.extend(wire.owner(&bench, &mut station).await);
            }
            assert!(matches!(answers.as_slice(), [ConsoleEvent::Response { .. }]), "{answers:?}");
        });
    }
}
