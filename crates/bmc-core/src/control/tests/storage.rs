//! Volumes: what the record says at each moment, and what is mended after a crash.

use super::*;
use crate::settings::Settings;
use crate::storage::{NewVolume, RaidController, RaidLevel, StorageRequest, Volume, VolumeState};

impl Bench {
    fn arrives(&mut self, mains_return: bool) {
        let raid = RaidController::uniform(4, 1 << 30, "drive", "S");
        let info = MachineInfo { raid, mains_return, ..info() };
        self.report(Report::Available(Observed {
            info,
            power: ObservedPower::Off,
            boot_generation: None,
            media: Vec::new(),
        }));
    }

    fn storage(&mut self, request: StorageRequest) -> RequestId {
        self.request(Request::Storage(request))
    }

    fn create(&mut self) -> RequestId {
        let raid = RaidLevel::Raid1;
        self.storage(StorageRequest::Create(NewVolume {
            name: None,
            raid,
            drives: Vec::new(),
            capacity_bytes: None,
        }))
    }

    fn states(&self) -> Vec<(u32, VolumeState)> {
        let volumes = &self.control.record().settings.storage.volumes;
        volumes.iter().map(|volume| (volume.number, volume.state)).collect()
    }
}

fn failure() -> Result<(), BackendError> {
    Err(BackendError::new(BackendErrorKind::Timeout, "too slow"))
}

#[test]
fn a_volume_is_in_the_record_before_the_backend_is_asked_for_it() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.arrives(false);
    let id = bench.create();
    assert_eq!(bench.states(), [(1, VolumeState::Creating)]);
    let busy = bench.create();
    assert!(matches!(bench.replies[&busy], Err(RequestError::Busy { .. })));
    assert!(matches!(bench.finish(Ok(())), Op::CreateVolume(_)));
    assert_eq!(
        (bench.replies[&id].clone(), bench.states()),
        (Ok(Outcome::Volume(1)), vec![(1, VolumeState::Present)])
    );

    let id = bench.storage(StorageRequest::Delete(1));
    assert_eq!(bench.states(), [(1, VolumeState::Deleting)]);
    bench.finish(failure());
    assert!(bench.replies[&id].is_err());
    assert_eq!(bench.states(), [(1, VolumeState::Present)], "it is there still");
    let id = bench.storage(StorageRequest::Initialize(1));
    assert!(matches!(bench.finish(Ok(())), Op::InitializeVolume(_)));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    let id = bench.storage(StorageRequest::Delete(1));
    bench.finish(Ok(()));
    assert_eq!((bench.replies[&id].clone(), bench.states()), (Ok(Outcome::Done), vec![]));
    let id = bench.storage(StorageRequest::Delete(1));
    assert_eq!(bench.replies[&id], Err(RequestError::Missing { what: "Volume" }));
    bench.create();
    bench.finish(Ok(()));
    assert_eq!(bench.states(), [(2, VolumeState::Present)], "numbers are not given twice");
    let name = || "Volume 1".to_owned();
    let created = |number| EventKind::VolumeCreated {
        number,
        name: format!("Volume {number}"),
        raid: "RAID1".to_owned(),
    };
    let told = [
        created(1),
        EventKind::VolumeInitialized { number: 1, name: name() },
        EventKind::VolumeDeleted { number: 1, name: name() },
        created(2),
    ];
    assert_eq!(bench.events, told, "each once, and nothing of what failed");
    assert_eq!(logged(&bench), []);
}

#[test]
fn what_could_not_be_made_is_cleaned_up_and_is_no_power_fault() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.arrives(false);
    let id = bench.create();
    bench.finish(failure());
    assert!(bench.replies[&id].is_err());
    assert_eq!(bench.states(), [(1, VolumeState::Deleting)]);
    let power = bench.power(PowerAction::On);
    assert!(matches!(bench.replies[&power], Err(RequestError::Busy { .. })), "one call at a time");
    assert!(matches!(bench.finish(failure()), Op::DeleteVolume(_)));
    assert!(bench.calls.is_empty(), "it is not tried for ever");
    assert!(!bench.control.snapshot().power_fault);
    // The next time that the backend comes is the next chance.
    bench.arrives(false);
    bench.finish(Ok(()));
    assert_eq!(bench.states(), []);
}

#[test]
fn volumes_found_half_made_go_and_those_that_a_simulator_forgot_come_back() {
    let volume = |number, state| Volume {
        number,
        uuid: Uuid::from_u128(number.into()),
        name: format!("v{number}"),
        raid: RaidLevel::Raid0,
        drives: vec![format!("bay{number}")],
        capacity_bytes: 1 << 20,
        state,
    };
    let mut settings = Settings::default();
    settings.storage.volumes = vec![
        volume(1, VolumeState::Present),
        volume(2, VolumeState::Creating),
        volume(3, VolumeState::Deleting),
    ];
    let stored = serde_json::to_string(&settings).unwrap();
    let settings: Settings = serde_json::from_str(&stored).unwrap();
    for (mains_return, expected) in [(false, 2), (true, 3)] {
        let record = MachineRecord { settings: Arc::new(settings.clone()), ..record() };
        let mut bench = Bench::unreached(record);
        bench.arrives(mains_return);
        let mut calls = 0;
        while !bench.calls.is_empty() {
            bench.finish(Ok(()));
            calls += 1;
        }
        assert_eq!((calls, bench.states()), (expected, vec![(1, VolumeState::Present)]));
    }
}

#[test]
fn a_backend_that_comes_back_during_a_call_does_not_undo_what_the_call_has_told() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.arrives(false);
    let id = bench.create();
    bench.report(Report::Unavailable(BackendError::unavailable("the connection was lost")));
    bench.arrives(false);
    assert!(matches!(bench.finish(Ok(())), Op::CreateVolume(_)));
    assert_eq!(bench.replies[&id], Ok(Outcome::Volume(1)));
    assert_eq!((bench.ops(), bench.states()), (vec![], vec![(1, VolumeState::Present)]));

    let id = bench.storage(StorageRequest::Delete(1));
    bench.arrives(false);
    bench.finish(failure());
    assert!(bench.replies[&id].is_err());
    assert_eq!(
        (bench.ops(), bench.states()),
        (vec![], vec![(1, VolumeState::Present)]),
        "refused is refused"
    );

    bench.create();
    bench.arrives(false);
    bench.finish(failure());
    assert!(matches!(bench.finish(Ok(())), Op::DeleteVolume(_)), "what failed is cleaned up, once");
    assert_eq!((bench.ops(), bench.states()), (vec![], vec![(1, VolumeState::Present)]));
}

#[test]
fn a_chore_that_was_settled_meanwhile_is_dropped() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.arrives(false);
    bench.create();
    bench.finish(failure());
    bench.finish(failure());
    assert_eq!(bench.states(), [(1, VolumeState::Deleting)]);
    bench.power(PowerAction::On);
    bench.arrives(false);
    // Whatever becomes of the volume before the start has ended decides, not what was noted.
    let edit = Edit::new(|editable| {
        editable.settings.storage.volumes.clear();
        Ok(())
    });
    bench.change(Change { edit: Some(edit), ..Change::default() }).unwrap();
    bench.finish(Ok(()));
    assert_eq!(bench.ops(), []);
}
