//! Machines that do not behave.

use super::link::{BROKEN_FRAMES_MAX, End, WRITE_LIMIT};
use super::*;

const GET_DEVICE_ID: [u8; 5] = [0x00, 0x18, 0x01, 0xe7, 0xa0];

#[tokio::test]
async fn one_machine_at_a_time() {
    let door = Door::new().await;
    let mut first = door.machine().await;
    let mut second = Machine::connect(&door.interface).await;
    assert!(second.next().await.is_none(), "turned away");
    assert_eq!(first.ask(0x06, 0x01, &[]).await.0, 0, "who was there first has noticed nothing");
    drop(first);
    // The end of the first and the beginning of another are two events: whoever comes between them comes again.
    let third = async {
        loop {
            let mut third = Machine::connect(&door.interface).await;
            if third.next().await.is_some() {
                return third;
            }
        }
    };
    let mut third = tokio::time::timeout(LIMIT, third).await.unwrap();
    assert_eq!(
        [third.command().await, third.command().await],
        [Command::DisableInterrupt, Command::NoAttention]
    );
    assert_eq!(third.ask(0x06, 0x01, &[]).await.0, 0);
}

#[tokio::test]
async fn broken_frames_are_passed_over() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    for broken in [
        &[0x00, 0x18, 0x01, 0x00, 0xa0][..],         // a wrong checksum
        &[0x00, 0x18, 0xa0],                         // too short
        &[0xaa, 0xa0],                               // ends within an escape
        &[0xa0, 0xa1, 0xa0],                         // nothing at all
        &[0x05, 0x1c, 0x01, 0x00, 0x20, 0xbe, 0xa0], // an answer
        &[0x03, 0xa1],                               // a BMC's command
        &[0x7f, 0xa1],                               // nobody's command
        &[0xff, 0x09, 0xa1],                         // an unknown version
    ] {
        machine.send(broken).await;
        assert_eq!(machine.ask(0x06, 0x01, &[]).await.0, 0, "after {broken:02x?}");
    }
    machine.send(&[0x55; 100_000]).await;
    machine.send(&[0xa0]).await;
    assert_eq!(machine.ask(0x06, 0x01, &[]).await.0, 0);
    // In the smallest of pieces.
    let request = machine.request(0x06, 0x01, &[]);
    for byte in request {
        machine.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(machine.message().await.data[0], 0);
    for _ in 0..BROKEN_FRAMES_MAX {
        machine.send(&[0x00, 0x18, 0xa0]).await;
    }
    assert!(machine.next().await.is_none(), "garbage without end");
}

#[tokio::test]
async fn a_flood_is_answered_in_its_order() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    let first = machine.sequence;
    let flood: Vec<u8> = (0..500).flat_map(|_| machine.request(0x00, 0x01, &[])).collect();
    let (mut reader, mut writer) = machine.stream.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&flood).await.unwrap();
        writer
    });
    let mut expected = first;
    let mut decoder = vm::Decoder::default();
    let mut answers = 0;
    let mut buffer = [0; 256];
    while answers < 500 {
        let length = tokio::time::timeout(LIMIT, reader.read(&mut buffer)).await.unwrap().unwrap();
        for frame in buffer[..length].iter().filter_map(|byte| decoder.push(*byte)) {
            let Frame::Message(answer) = frame.unwrap() else { continue };
            expected = expected.wrapping_add(1);
            assert_eq!((answer.sequence, answer.data[0]), (expected, 0));
            answers += 1;
        }
    }
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_read_is_left() {
    let door = Door::new().await;
    let bmc = Arc::clone(door.server.bmc());
    let (ours, mut theirs) = tokio::io::duplex(64);
    let link = tokio::spawn(async move { link::run(ours, &bmc).await });
    for _ in 0..8 {
        theirs.write_all(&GET_DEVICE_ID).await.unwrap();
    }
    let before = tokio::time::Instant::now();
    let end = link.await.unwrap();
    assert!(matches!(end, End::Stalled), "{end}");
    assert!(before.elapsed() >= WRITE_LIMIT);
}
