//! What a machine asks, and what it is told unasked.

use bmc_core::backend::ObservedPower;
use bmc_core::power::PowerState;

use super::*;

/// An event of a sensor that nobody has, as it comes over the LAN.
const EVENT: [u8; 7] = [0x04, 0x01, 0x30, 0x6f, 0x01, 0xff, 0xff];

#[tokio::test]
async fn requests_reach_the_same_bmc_as_over_the_lan() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    assert!(door.interface.is_connected());
    for (netfn, cmd, data) in [
        (0x06, 0x01, &[][..]),       // Get Device ID
        (0x06, 0x37, &[]),           // Get System GUID
        (0x00, 0x01, &[]),           // Get Chassis Status
        (0x06, 0x44, &[0x01, 0x02]), // Get User Access
        (0x06, 0x46, &[0x02]),       // Get User Name
        (0x0c, 0x02, &[1, 0, 0, 0]), // LAN parameter 0
        (0x0c, 0x02, &[1, 5, 0, 0]), // LAN parameter 5, the hardware address
        (0x0a, 0x40, &[]),           // Get SEL Info
        (0x0a, 0x20, &[]),           // Get SDR Repository Info
        (0x06, 0x25, &[]),           // Get Watchdog Timer
        (0x06, 0x42, &[0x01]),       // Get Channel Info of the LAN
    ] {
        let mut over_lan = door.bench.raw(netfn, cmd, data).await;
        if cmd == 0x42 {
            // Here nobody has a session.
            over_lan.1[3] = 0x80;
        }
        assert_eq!(over_lan.0, 0, "{cmd:02x}h");
        assert_eq!(machine.ask(netfn, cmd, data).await, over_lan, "{netfn:02x}h {cmd:02x}h {data:02x?}");
    }
    assert_eq!(machine.ask(0x06, 0xfe, &[]).await.0, 0xc1);
    assert_eq!(machine.ask(0x06, 0x01, &[1]).await.0, 0xc7);
    // Users and sessions are the LAN channel's, whatever software calls it.
    assert_eq!(machine.ask(0x06, 0x44, &[0x0e, 0x02]).await, machine.ask(0x06, 0x44, &[0x01, 0x02]).await);
    let address = machine.ask(0x0c, 0x02, &[1, 3, 0, 0]).await;
    assert_eq!(address, (0, vec![0x11, 127, 0, 0, 1]), "where the LAN listens");
    door.interface.stop().await;
    assert!(machine.next().await.is_none());
    door.server.stop().await;
}

#[tokio::test]
async fn what_needs_a_session_is_refused() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    for (cmd, data) in [
        (0x39, &[0x12; 17][..]),           // Get Session Challenge
        (0x3a, &[0x04; 22]),               // Activate Session
        (0x3b, &[0x04]),                   // Set Session Privilege Level
        (0x3c, &[1, 0, 0, 0]),             // Close Session
        (0x3d, &[0x00]),                   // Get Session Info
        (0x48, &[0x01, 0x01, 0, 0, 0, 0]), // Activate Payload
    ] {
        assert_eq!(machine.ask(0x06, cmd, data).await, (0xd5, vec![]), "{cmd:02x}h");
    }
}

#[tokio::test]
async fn the_channel_is_told_of_where_there_is_one() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    let info = (0, vec![0x0f, 0x0c, 0x05, 0x00, 0xf2, 0x1b, 0x00, 0x60, 0x60]);
    for channel in [0x0e, 0x0f] {
        assert_eq!(machine.ask(0x06, 0x42, &[channel]).await, info, "{channel:x}h");
    }
    assert_eq!(machine.ask(0x06, 0x42, &[0x07]).await.0, 0xcc);
    assert_eq!(door.bench.raw(0x06, 0x42, &[0x0f]).await.0, 0xcc, "another BMC, which has none");
}

#[tokio::test]
async fn capabilities_are_those_of_the_device() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    assert_eq!(machine.ask(0x06, 0x57, &[0x01]).await, (0, vec![0, 0, 0xff]));
    for other in [0x00, 0x02, 0x03] {
        assert_eq!(machine.ask(0x06, 0x57, &[other]).await.0, 0xcc);
    }
    assert_eq!(machine.ask(0x06, 0x36, &[]).await.0, 0xc1, "it is no block transfer device");
    let Door { server, interface, folder, .. } = door;
    interface.stop().await;
    let config = SystemInterfaceConfig { kind: SystemInterfaceKind::Bt, ..config(&folder) };
    let interface = SystemInterface::bind(config, Arc::clone(server.bmc())).unwrap();
    let mut machine = Machine::connect(&interface).await;
    for _ in 0..3 {
        machine.command().await;
    }
    assert_eq!(machine.ask(0x06, 0x36, &[]).await, (0, vec![1, 0xff, 0xff, 10, 0]));
    assert_eq!(machine.ask(0x06, 0x57, &[0x01]).await.0, 0xcc);
    assert_eq!(machine.ask(0x06, 0x42, &[0x0f]).await.1[2], 0x08);
}

#[tokio::test]
async fn message_channel_receive_is_kept_for_the_lan_channel() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    for (data, answer) in [([1, 2], 1), ([1, 0], 0), ([1, 2], 0), ([0x0e, 1], 1), ([1, 2], 1)] {
        assert_eq!(machine.ask(0x06, 0x32, &data).await, (0, vec![1, answer]), "{data:?}");
    }
    assert_eq!(machine.ask(0x06, 0x32, &[0x0f, 0]).await.0, 0xcc, "it cannot shut its own door");
    assert_eq!(machine.ask(0x06, 0x32, &[1, 3]).await.0, 0xcc);
}

#[tokio::test]
async fn an_event_waits_in_the_buffer_and_calls_for_attention() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    assert_eq!(machine.ask(0x06, 0x2e, &[0x20]).await.0, 0xcc, "nothing of a maker's");
    assert_eq!(machine.ask(0x06, 0x2e, &[0x0f]).await.0, 0);
    assert_eq!(machine.command().await, Command::EnableInterrupt);
    assert_eq!(machine.ask(0x06, 0x2f, &[]).await, (0, vec![0x0f]));
    assert_eq!(machine.ask(0x06, 0x35, &[]).await.0, 0x80, "nothing has happened");
    // Over the system interface an event names who generated it; what the machine says itself it needs not be told.
    assert_eq!(machine.ask(0x04, 0x02, &[&[0x41], &EVENT[..]].concat()).await.0, 0);
    door.bench.until(|snapshot| snapshot.sel.entries().len() == 1).await;
    let own = door.bench.machine.snapshot().sel.entries()[0].record.to_bytes();
    assert_eq!((&own[7..9], own[11]), (&[0x41, 0xf0][..], 0x30));
    assert_eq!(machine.ask(0x06, 0x35, &[]).await.0, 0x80);
    // What comes over the LAN it is told.
    assert_eq!(door.bench.raw(0x04, 0x02, &EVENT).await.0, 0);
    assert_eq!(machine.command().await, Command::AttentionInterrupt);
    assert_eq!(machine.ask(0x06, 0x31, &[]).await, (0, vec![0x02]));
    // Another one finds the buffer full, and is in the log alone.
    assert_eq!(door.bench.raw(0x04, 0x02, &[0x04, 0x01, 0x31, 0x6f, 0x02, 0xff, 0xff]).await.0, 0);
    door.bench.until(|snapshot| snapshot.sel.entries().len() == 3).await;
    let (code, record) = machine.ask(0x06, 0x35, &[]).await;
    assert_eq!((code, record[11], record[13]), (0, 0x30, 0x01));
    assert_eq!(record, door.bench.machine.snapshot().sel.entries()[1].record.to_bytes());
    assert_eq!(machine.command().await, Command::NoAttention);
    assert_eq!(machine.ask(0x06, 0x35, &[]).await.0, 0x80);
    // Cleared unread.
    assert_eq!(door.bench.raw(0x04, 0x02, &EVENT).await.0, 0);
    assert_eq!(machine.command().await, Command::AttentionInterrupt);
    assert_eq!(machine.ask(0x06, 0x30, &[0x02]).await.0, 0);
    assert_eq!(machine.command().await, Command::NoAttention);
    assert_eq!(machine.ask(0x06, 0x33, &[]).await.0, 0x80, "no message ever waits");
}

#[tokio::test]
async fn what_software_has_set_goes_with_a_reset() {
    let door = Door::new().await;
    let mut machine = door.machine().await;
    assert_eq!(machine.ask(0x06, 0x2e, &[0x0d]).await.0, 0);
    assert_eq!(machine.command().await, Command::EnableInterrupt);
    assert_eq!(door.bench.raw(0x04, 0x02, &EVENT).await.0, 0);
    assert_eq!(machine.command().await, Command::Attention, "the interrupt for events is off");
    machine.send(&Command::Reset.encode()).await;
    assert_eq!(machine.command().await, Command::DisableInterrupt);
    assert_eq!(machine.command().await, Command::NoAttention);
    assert_eq!(machine.ask(0x06, 0x2f, &[]).await, (0, vec![0x08]), "but events are logged");
    assert_eq!(machine.ask(0x06, 0x31, &[]).await, (0, vec![0]));
    // So does a cold reset of the BMC, over whichever door.
    assert_eq!(machine.ask(0x06, 0x2e, &[0x0d]).await.0, 0);
    assert_eq!(machine.command().await, Command::EnableInterrupt);
    assert_eq!(machine.ask(0x06, 0x02, &[]).await.0, 0);
    assert_eq!(machine.command().await, Command::DisableInterrupt);
}

#[tokio::test]
async fn the_watchdogs_warning_calls_for_attention() {
    let door = Door::new().await;
    door.bench.power(ObservedPower::Running, PowerState::On).await;
    let mut machine = door.machine().await;
    assert_eq!(machine.ask(0x06, 0x2e, &[0x09]).await.0, 0);
    assert_eq!(machine.command().await, Command::EnableInterrupt);
    // Warns by a message interrupt one second before it would expire, that is at once.
    assert_eq!(machine.ask(0x06, 0x24, &[0x44, 0x30, 1, 0, 11, 0]).await.0, 0);
    assert_eq!(machine.ask(0x06, 0x22, &[]).await.0, 0);
    assert_eq!(machine.command().await, Command::AttentionInterrupt);
    assert_eq!(machine.ask(0x06, 0x31, &[]).await, (0, vec![0x08]));
    assert_eq!(machine.ask(0x06, 0x30, &[0x08]).await.0, 0);
    assert_eq!(machine.command().await, Command::NoAttention);
}

#[tokio::test]
async fn a_machine_that_switches_itself_off_is_off() {
    let door = Door::new().await;
    door.bench.power(ObservedPower::Running, PowerState::On).await;
    door.bench.calls();
    let mut machine = door.machine().await;
    door.bench.hold(true);
    let request = machine.request(0x00, 0x02, &[0x00]);
    machine.send(&request).await;
    drop(machine);
    door.bench.hold(false);
    door.bench.until(|snapshot| snapshot.power == PowerState::Off).await;
    assert_eq!(door.bench.calls(), ["stop"]);
}
