//! Where alerts go, how often, and what ends them.

use ipmi_wire::record::sel::EventMessage;

use super::*;

const EVENT: EventMessage = EventMessage {
    revision: 4,
    sensor_type: 9,
    sensor_number: 0xe0,
    deasserted: false,
    event_type: 0x6f,
    data: [5, 0xff, 0xff],
};

fn trap() -> Trap {
    let pet = Pet {
        guid: [1; 16],
        sequence: 0,
        time: 1000,
        utc_offset: 0,
        severity: 0x10,
        sensor_device: 0x20,
        entity: [0; 2],
        event: EVENT,
        manufacturer: 0,
        system: 1,
    };
    Trap { community: b"public".to_vec(), agent: [127, 0, 0, 1], uptime: 0, pet }
}

fn step(mode: u8, last: u8, retries: u8, acknowledge: bool) -> Step {
    let address = Ipv4Addr::new(127, 0, 0, last);
    let destination =
        AlertDestination { acknowledge, timeout_seconds: 2, retries, address, ..Default::default() };
    Step { mode, destination }
}

/// Lets all time pass; returns who is sent something, and after how many seconds.
fn run(alerts: &mut Alerts, from: Instant) -> Vec<(u64, u8)> {
    let mut sent = Vec::new();
    while let Some(due) = alerts.next_due() {
        let traps = alerts.poll(due);
        sent.extend(traps.iter().map(|trap| ((due - from).as_secs(), trap.to.octets()[3])));
    }
    sent
}

fn ack(sequence: u16) -> PetAcknowledge {
    PetAcknowledge {
        sequence,
        time: 1000,
        source: SOURCE_IPMI,
        sensor_device: 0x20,
        sensor_number: EVENT.sensor_number,
        data: EVENT.data,
    }
}

#[test]
fn a_policy_names_destinations_in_order() {
    let rows = [
        [0x28, 0x11, 0],
        [0x20, 0x12, 0],
        [0x38, 0x13, 0],
        [0x28, 0x24, 0],
        [0x2a, 0x14, 0],
        [0x28, 0x10, 0],
    ];
    let policies = rows.map(AlertPolicy);
    let destination = |number: u8| {
        let address = Ipv4Addr::new(if number == 0 { 0 } else { 127 }, 0, 0, number);
        Some(AlertDestination { address, ..Default::default() })
    };
    let steps = steps(policies.iter(), 2, 1, destination);
    let found: Vec<(u8, u8)> =
        steps.iter().map(|step| (step.mode, step.destination.address.octets()[3])).collect();
    assert_eq!(found, [(0, 1), (2, 4)], "neither off, nor of another policy or channel, nor unset");
}

#[test]
fn unacknowledged_alerts_are_sent_as_often_as_configured() {
    let (mut alerts, now) = (Alerts::default(), Instant::now());
    assert!(alerts.submit(now, trap(), [step(0, 1, 2, false), step(0, 2, 0, false)].into()));
    assert_eq!(run(&mut alerts, now), [(0, 1), (3, 1), (6, 1), (6, 2)]);
}

#[test]
fn an_alert_that_nobody_acknowledges_goes_on_to_the_next() {
    let (mut alerts, now) = (Alerts::default(), Instant::now());
    let steps = [step(0, 1, 1, true), step(1, 2, 0, false), step(1, 3, 0, false), step(0, 4, 0, false)];
    assert!(alerts.submit(now, trap(), steps.into()));
    assert_eq!(run(&mut alerts, now), [(0, 1), (3, 1), (6, 2), (6, 4)], "the third not after the second");
    assert!(alerts.submit(
        now,
        trap(),
        [step(0, 1, 0, false), step(2, 2, 0, false), step(0, 3, 0, false)].into()
    ));
    assert_eq!(run(&mut alerts, now), [(0, 1)]);
}

#[test]
fn an_acknowledged_alert_is_over() {
    let (mut alerts, now) = (Alerts::default(), Instant::now());
    assert!(alerts.submit(now, trap(), [step(0, 1, 7, true), step(2, 2, 0, false)].into()));
    assert_eq!(alerts.poll(now).len(), 1);
    let wrong: [fn(&mut PetAcknowledge); 6] = [
        |ack| ack.sequence += 1,
        |ack| ack.time += 1,
        |ack| ack.source += 1,
        |ack| ack.sensor_device += 1,
        |ack| ack.sensor_number += 1,
        |ack| ack.data[0] += 1,
    ];
    for change in wrong {
        let mut ack = ack(1);
        change(&mut ack);
        alerts.acknowledge(now, &ack);
        assert_ne!(alerts.next_due(), Some(now), "{ack:?}");
    }
    alerts.acknowledge(now, &ack(1));
    assert_eq!(run(&mut alerts, now), []);
    assert_eq!(alerts.next_due(), None);
}

#[test]
fn immediate_alerts_come_one_by_one_and_tell_how_they_ended() {
    let (mut alerts, now) = (Alerts::default(), Instant::now());
    assert_eq!(alerts.immediate_status(), AlertImmediateStatus::NONE);
    assert!(alerts.submit_immediate(now, trap(), step(0, 1, 0, true).destination));
    assert_eq!(alerts.immediate_status(), AlertImmediateStatus::IN_PROGRESS);
    assert!(!alerts.submit_immediate(now, trap(), step(0, 1, 0, true).destination));
    run(&mut alerts, now);
    assert_eq!(alerts.immediate_status(), AlertImmediateStatus::TIMED_OUT);
    assert!(alerts.submit_immediate(now, trap(), step(0, 1, 0, true).destination));
    alerts.poll(now);
    alerts.acknowledge(now, &ack(2));
    run(&mut alerts, now);
    assert_eq!(alerts.immediate_status(), AlertImmediateStatus::DELIVERED);
    alerts.clear_immediate_status();
    assert_eq!(alerts.immediate_status(), AlertImmediateStatus::NONE);
}

#[test]
fn alerts_have_a_bound() {
    let (mut alerts, now) = (Alerts::default(), Instant::now());
    for _ in 0..ALERTS_IN_FLIGHT_MAX {
        assert!(alerts.submit(now, trap(), [step(0, 1, 0, true)].into()));
    }
    assert!(!alerts.submit(now, trap(), [step(0, 1, 0, true)].into()));
    run(&mut alerts, now);
    assert!(alerts.submit(now, trap(), [step(0, 1, 0, true)].into()));
    alerts.last_sequence = u16::MAX;
    assert_eq!(alerts.next_sequence(), 1, "never 0");
}
