//! Each action over each door, read back over all of them: the same tables for every kind of machine.
//!
//! What the machine really did is asked of a witness that the test brings: the simulator's event stream, a real guest's serial
//! console.

use serde_json::{Value, json};

use crate::doors::{
    Action, CYCLE, DEVICES, DISK, DOORS, Device, Door, Lasting, Machine, NMI, OFF, ON, PXE, RESET, Reply,
    SOFT, Shown,
};
use crate::redfish::SYSTEMS;

/// Waits until the firmware has handed over, after the event of this number, and says to what: `disk`, `cdrom`, `pxe`.
/// `None` where nobody can know.
pub type Witness<'w> = &'w mut dyn FnMut(u64) -> Option<String>;

/// Does one action over one door, and waits for its end; returns what the machine booted, where it did.
#[track_caller]
fn act(machine: &Machine<'_>, door: Door, action: Action, witness: Witness<'_>) -> Option<String> {
    let before = machine.lab.last_event();
    assert_eq!(machine.power(door, action), Reply::Done, "{action:?} over {door:?}");
    if !action.boots {
        return None;
    }
    let seen = witness(before);
    machine.await_power(true);
    seen
}

/// Every power action over one door from a machine that is off, read back over all doors, with exactly the events that belong to it.
#[track_caller]
pub fn every_power_action(machine: &Machine<'_>, door: Door, witness: Witness<'_>) {
    let begun = machine.lab.last_event();
    machine.await_power(false);

    for action in [SOFT, RESET, CYCLE, NMI] {
        let Reply::Refused(words) = machine.power(door, action) else {
            panic!("{action:?} while off, over {door:?}")
        };
        let reason = match door {
            Door::Ipmi => "Command not supported in present state",
            Door::Redfish => "ChassisPowerStateOnRequired",
            Door::Cli => "off",
        };
        assert!(words.contains(reason), "{action:?} over {door:?}: {words}");
    }

    let rows: [(Action, bool, &[&str]); 9] = [
        (OFF, false, &[]),
        (ON, true, &["powered-on"]),
        (ON, true, &[]),
        (NMI, true, &["nmi"]),
        (RESET, true, &["reset"]),
        (CYCLE, true, &["powered-off", "powered-on"]),
        (SOFT, false, &["shutdown-requested", "powered-off"]),
        (ON, true, &["powered-on"]),
        (OFF, false, &["powered-off"]),
    ];
    for (row, (action, on, events)) in rows.into_iter().enumerate() {
        let before = machine.lab.last_event();
        assert_eq!(machine.power(door, action), Reply::Done, "{action:?} over {door:?}");
        // The last time it is switched off again in the middle of its boot.
        let is_heard = row + 2 < rows.len();
        if action.boots && !events.is_empty() && is_heard {
            witness(before);
        }
        machine.await_power(on);
        machine.await_power_events(before, events);
    }
    // Once more at the end: nothing may have come late, and nothing of what was refused may have happened.
    let all: Vec<&str> = rows.iter().flat_map(|(_, _, events)| events.iter().copied()).collect();
    assert_eq!(machine.power_events(begun), all, "{:#?}", machine.lab.events(begun));
}

/// Every boot device over every door, once and for all boots, read back over all doors; what the machine does not have is refused
/// over all doors alike and changes nothing. Ends with the override cleared, over each door once.
#[track_caller]
pub fn every_boot_override(machine: &Machine<'_>) {
    let boot = machine.redfish.read(&machine.system)["Boot"].clone();
    let offered =
        boot["BootSourceOverrideTarget@Redfish.AllowableValues"].as_array().cloned().unwrap_or_default();
    assert!(offered.len() > 2, "there is something to choose: {boot:#}");
    for door in DOORS {
        machine.set_boot(Door::Cli, Some(DISK), Lasting::Continuous);
        for device in DEVICES {
            for lasting in [Lasting::Once, Lasting::Continuous] {
                let before = machine.node.boot();
                let Some(reply) = machine.set_boot(door, Some(device), lasting) else { continue };
                if offered.contains(&device.redfish.into()) {
                    assert_eq!(reply, Reply::Done, "{device:?} {lasting:?} over {door:?}");
                    machine.assert_boot(&Shown::device(device, lasting));
                } else {
                    assert_ne!(reply, Reply::Done, "{device:?} {lasting:?} over {door:?}");
                    assert_eq!(machine.node.boot(), before, "{device:?} {lasting:?} over {door:?}");
                }
            }
        }
        machine.set_boot(Door::Cli, Some(PXE), Lasting::Continuous);
        machine.assert_boot(&Shown::device(PXE, Lasting::Continuous));
        assert_eq!(machine.set_boot(door, None, Lasting::Once), Some(Reply::Done));
        machine.assert_boot(&Shown::Nothing);
    }
}

/// An override for the next boot is used up by it, whoever set it and however the boot comes about; one for all boots stays. The
/// machine is off before and after.
#[track_caller]
pub fn overrides_are_used_up(machine: &Machine<'_>, device: Device, witness: Witness<'_>) {
    let expect = |seen: Option<String>, wanted: Device, when: &str| {
        if let Some(seen) = seen {
            assert_eq!(seen, wanted.shown, "{when}");
        }
    };
    let ways =
        [(Door::Ipmi, Door::Redfish, ON), (Door::Redfish, Door::Cli, RESET), (Door::Cli, Door::Ipmi, CYCLE)];
    for (setter, switch, action) in ways {
        let before = machine.lab.last_event();
        assert_eq!(machine.set_boot(setter, Some(device), Lasting::Once), Some(Reply::Done));
        let seen = act(machine, switch, action, witness);
        expect(seen, device, "set once");
        machine.lab.await_event(before, &machine.node.name, "boot-override-used");
        machine.assert_boot(&Shown::Nothing);
        let used = machine.lab.kinds_since(before, &machine.node.name);
        assert_eq!(used.iter().filter(|kind| *kind == "boot-override-used").count(), 1, "{used:?}");
    }
    // No action twice in a row: the second would join the first, as a client's repetition does.
    let seen = act(machine, Door::Redfish, RESET, witness);
    expect(seen, DISK, "the boot after");

    assert_eq!(machine.set_boot(Door::Redfish, Some(device), Lasting::Continuous), Some(Reply::Done));
    for (door, action) in [(Door::Ipmi, CYCLE), (Door::Cli, RESET)] {
        let seen = act(machine, door, action, witness);
        expect(seen, device, "set for all boots");
        machine.assert_boot(&Shown::device(device, Lasting::Continuous));
    }
    assert_eq!(machine.set_boot(Door::Ipmi, None, Lasting::Once), Some(Reply::Done));
    let seen = act(machine, Door::Redfish, CYCLE, witness);
    expect(seen, DISK, "cleared");
    machine.assert_boot(&Shown::Nothing);
    act(machine, Door::Cli, OFF, witness);
    machine.await_power(false);
}

/// The identify light, the restore policy and the asset tag, over every door that has them.
#[track_caller]
pub fn light_policy_and_tag(machine: &Machine<'_>) {
    let identify = |machine: &Machine<'_>| machine.raw(&["0x00", "0x01"])[2] >> 4 & 0x3;
    let lit =
        |machine: &Machine<'_>| machine.redfish.read(&machine.system)["LocationIndicatorActive"].clone();
    let patch = |body: Value| machine.redfish.patch(&machine.system, &body).expect(204);

    // IPMI 2.0 §28.2: 0 off, 1 for some time, 2 until told otherwise.
    assert_eq!((identify(machine), lit(machine)), (0, false.into()));
    patch(json!({ "LocationIndicatorActive": true }));
    assert_eq!((identify(machine), lit(machine)), (2, true.into()));
    machine.node.ipmitool().args(["chassis", "identify", "0"]).ok();
    assert_eq!((identify(machine), lit(machine)), (0, false.into()));
    machine.node.ipmitool().args(["chassis", "identify", "60"]).ok();
    assert_eq!((identify(machine), lit(machine)), (1, true.into()));
    patch(json!({ "IndicatorLED": "Off" }));
    assert_eq!((identify(machine), lit(machine)), (0, false.into()));
    machine.node.ipmitool().args(["chassis", "identify", "force"]).ok();
    assert_eq!((identify(machine), lit(machine)), (2, true.into()));
    patch(json!({ "LocationIndicatorActive": false }));

    let policies = [("always-on", "AlwaysOn"), ("previous", "LastState"), ("always-off", "AlwaysOff")];
    for door in DOORS {
        for (word, name) in policies {
            match door {
                Door::Ipmi => drop(machine.node.ipmitool().args(["chassis", "policy", word]).ok()),
                Door::Redfish => drop(patch(json!({ "PowerRestorePolicy": name }))),
                Door::Cli => {
                    drop(machine.lab.daemon.cli(["set", &machine.node.name, "--power-policy", word]).ok());
                }
            }
            let status = machine.node.ipmitool().args(["chassis", "status"]).ok();
            let line = status.lines().find(|line| line.starts_with("Power Restore Policy"));
            assert!(line.is_some_and(|line| line.ends_with(word)), "{word} over {door:?}:\n{status}");
            assert_eq!(machine.redfish.read(&machine.system)["PowerRestorePolicy"], name, "over {door:?}");
            let detail = machine.lab.json(&["show", &machine.node.name, "-o", "json"]);
            assert_eq!(detail["power_policy"], word, "over {door:?}");
        }
    }

    let tag = |machine: &Machine<'_>| {
        let detail = machine.lab.json(&["show", &machine.node.name, "-o", "json"]);
        (machine.redfish.read(&machine.system)["AssetTag"].clone(), detail["asset_tag"].clone())
    };
    patch(json!({ "AssetTag": "rack 7" }));
    assert_eq!(tag(machine), ("rack 7".into(), "rack 7".into()));
    machine.lab.daemon.cli(["set", &machine.node.name, "--asset-tag", "rack 8"]).ok();
    assert_eq!(tag(machine), ("rack 8".into(), "rack 8".into()));
}

/// One identity: name, UUID and GUID are the same behind every door.
#[track_caller]
pub fn one_identity(machine: &Machine<'_>) {
    let system = machine.redfish.read(&machine.system);
    assert_eq!(
        (&system["UUID"], &system["Id"]),
        (&machine.node.uuid.as_str().into(), &machine.node.uuid.as_str().into())
    );
    assert_eq!(system["Name"], machine.node.name.as_str());
    let by_name = machine.redfish.read(&format!("{SYSTEMS}/{}", machine.node.name));
    assert_eq!(by_name, system, "the name is as good as the UUID");
    let root = machine.redfish.read("/redfish/v1/");
    assert_eq!(root["UUID"], machine.node.uuid.as_str());

    // The bytes of a GUID are those of the UUID, last one first (IPMI 2.0 §20.8).
    let plain: String = machine.node.uuid.chars().filter(|letter| *letter != '-').collect();
    for command in [["0x06", "0x37"], ["0x06", "0x08"]] {
        let guid: String = machine.raw(&command).iter().rev().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(guid, plain, "{command:?}");
    }
}
