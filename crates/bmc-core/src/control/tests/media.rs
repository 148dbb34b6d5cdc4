//! Virtual media: what waits for what, and what stays when something fails.

use std::path::PathBuf;

use super::*;
use crate::media::{MediaErrorKind, MediaRequest, Transfer, TransferMethod};

const IMAGE: &str = "http://host/live.iso";

fn insert_of(slot: MediaSlot, image: &str) -> Request {
    Request::Media(MediaRequest::Insert(Box::new(crate::media::InsertMedia {
        slot,
        image: image.to_owned(),
        username: None,
        password: None,
        write_protected: true,
        method: TransferMethod::Upload,
        transfer: Transfer::default(),
    })))
}

fn insert() -> Request {
    insert_of(MediaSlot::Cd, IMAGE)
}

fn eject() -> Request {
    Request::Media(MediaRequest::Eject(MediaSlot::Cd))
}

fn image(lease: &str) -> FetchedImage {
    FetchedImage {
        file: format!("/spool/{lease}").into(),
        lease: lease.to_owned(),
        size: 1,
        sha256: String::new(),
    }
}

fn gone() -> BackendError {
    BackendError::unavailable("libvirt is gone")
}

impl Bench {
    /// Ends the oldest fetch.
    fn fetched(&mut self, result: Result<FetchedImage, MediaError>) {
        let (id, _) = self.fetches.remove(0);
        self.input(Input::Fetched(id, result));
    }

    fn in_drive(&self) -> Option<String> {
        let settings = &self.control.record().settings;
        settings.media.cd.medium.as_ref().map(|medium| medium.lease.clone())
    }

    /// With an image inserted.
    fn with_medium(power: ObservedPower) -> Self {
        let mut bench = Self::new(power);
        bench.request(insert());
        bench.fetched(Ok(image("a")));
        bench.finish(Ok(()));
        assert_eq!(bench.in_drive().as_deref(), Some("a"));
        bench.events.clear();
        bench
    }
}

#[test]
fn an_image_is_fetched_then_inserted_then_told() {
    let mut bench = Bench::new(ObservedPower::Off);
    let id = bench.request(insert());
    assert_eq!(bench.fetches[0].1.uri, IMAGE);
    assert!(bench.fetches[0].1.verify_certificate);
    assert_eq!(bench.control.snapshot().inserting, [(MediaSlot::Cd, IMAGE.to_owned())]);
    bench.fetched(Ok(image("a")));
    assert!(matches!(bench.ops()[..], [Op::InsertMedia(_)]));
    assert!(!bench.replies.contains_key(&id), "not before it is in");
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    assert_eq!(bench.events, [EventKind::MediaInserted { slot: MediaSlot::Cd, image: IMAGE.to_owned() }]);
    assert_eq!(bench.in_drive().as_deref(), Some("a"));
    assert_eq!(bench.state(), PowerState::Off, "an insert starts nothing");
    assert_eq!(bench.control.snapshot().inserting, []);

    // Again is fine and does nothing; empty it, and once more.
    let again = bench.request(insert());
    assert_eq!(bench.replies[&again], Ok(Outcome::NothingToDo));
    let out = bench.request(eject());
    assert_eq!(bench.ops(), [Op::EjectMedia(MediaSlot::Cd)]);
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&out], Ok(Outcome::Done));
    assert_eq!((bench.in_drive(), &bench.released[..]), (None, &["a".to_owned()][..]));
    let out = bench.request(eject());
    assert_eq!(bench.replies[&out], Ok(Outcome::NothingToDo));
}

#[test]
fn the_same_insert_joins_and_another_is_refused() {
    let mut bench = Bench::new(ObservedPower::Off);
    let first = bench.request(insert());
    let second = bench.request(insert());
    let other = bench.request(insert_of(MediaSlot::Cd, "http://host/other.iso"));
    assert!(matches!(bench.replies[&other], Err(RequestError::Busy { .. })));
    let stick = bench.request(insert_of(MediaSlot::Usb, "http://host/stick.img"));
    assert_eq!(bench.fetches.len(), 2, "each drive has its own");
    bench.fetched(Ok(image("a")));
    bench.fetched(Ok(image("b")));
    bench.finish(Ok(()));
    bench.finish(Ok(()));
    for id in [first, second, stick] {
        assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    }
}

#[test]
fn another_image_takes_the_place_of_the_one_that_is_in() {
    let mut bench = Bench::with_medium(ObservedPower::Running);
    let id = bench.request(insert_of(MediaSlot::Cd, "http://host/other.iso"));
    bench.fetched(Ok(image("b")));
    assert_eq!(bench.released, [""; 0], "what is in stays in until the other is");
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    assert_eq!((bench.in_drive().as_deref(), &bench.released[..]), (Some("b"), &["a".to_owned()][..]));
    assert!(matches!(bench.events[..], [EventKind::MediaEjected { .. }, EventKind::MediaInserted { .. }]));
}

#[test]
fn what_fails_leaves_nothing() {
    let mut bench = Bench::new(ObservedPower::Off);
    let id = bench.request(insert());
    let error = MediaError::new(MediaErrorKind::Missing, IMAGE, "404");
    bench.fetched(Err(error.clone()));
    assert_eq!(bench.replies[&id], Err(error.into()));
    let id = bench.request(insert());
    bench.fetched(Ok(image("a")));
    bench.finish(Err(broken()));
    assert_eq!(bench.replies[&id], Err(broken().into()));
    assert_eq!((bench.in_drive(), &bench.released[..]), (None, &["a".to_owned()][..]));
    assert!(bench.events.iter().all(|event| matches!(event, EventKind::MediaFailed { .. })));
    assert_eq!(bench.events.len(), 2);
    assert!(!bench.control.snapshot().power_fault, "it has nothing to do with the power");

    // The hypervisor goes while the image comes.
    let id = bench.request(insert());
    bench.report(Report::Unavailable(gone()));
    bench.fetched(Ok(image("b")));
    assert_eq!(bench.replies[&id], Err(gone().into()));
    assert_eq!(bench.released, ["a", "b"]);
    let id = bench.request(insert());
    assert_eq!(bench.replies[&id], Err(gone().into()));
}

#[test]
fn an_eject_ends_an_insert() {
    let mut bench = Bench::new(ObservedPower::Off);
    let id = bench.request(insert());
    let out = bench.request(eject());
    assert!(
        matches!(&bench.replies[&id], Err(RequestError::Media(error)) if error.kind == MediaErrorKind::Cancelled)
    );
    assert_eq!(bench.replies[&out], Ok(Outcome::NothingToDo));
    assert!(bench.fetches.is_empty(), "the fetching was stopped");

    // Its image was on the way here already.
    bench.input(Input::Fetched(1, Ok(image("late"))));
    assert_eq!(bench.released, ["late"]);

    // The backend is at it: the eject follows.
    let id = bench.request(insert());
    bench.fetched(Ok(image("a")));
    let out = bench.request(eject());
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    assert_eq!(bench.ops(), [Op::EjectMedia(MediaSlot::Cd)]);
    bench.finish(Ok(()));
    assert_eq!((&bench.replies[&out], bench.in_drive()), (&Ok(Outcome::Done), None));
}

#[test]
fn a_start_waits_for_an_insert_however_it_ends() {
    for good in [true, false] {
        let mut bench = Bench::new(ObservedPower::Off);
        bench.request(insert());
        let on = bench.power(PowerAction::On);
        assert!(bench.ops().is_empty());
        assert_eq!(bench.state(), PowerState::PoweringOn);
        bench.pass(ACKNOWLEDGE_AFTER);
        assert_eq!(bench.replies[&on], Ok(Outcome::Accepted), "the client is not kept waiting");
        if good {
            bench.fetched(Ok(image("a")));
            assert!(matches!(bench.ops()[..], [Op::InsertMedia(_)]));
            bench.finish(Ok(()));
        } else {
            bench.fetched(Err(MediaError::new(MediaErrorKind::Broken, IMAGE, "")));
        }
        assert!(matches!(bench.ops()[..], [Op::Start(_)]));
    }
    // A hard off takes the start back; the insert goes on.
    let mut bench = Bench::new(ObservedPower::Off);
    bench.request(insert());
    bench.power(PowerAction::On);
    bench.power(PowerAction::Off);
    assert_eq!(bench.state(), PowerState::Off);
    bench.fetched(Ok(image("a")));
    bench.finish(Ok(()));
    assert!(bench.ops().is_empty() && bench.in_drive().is_some());
}

#[test]
fn an_insert_leaves_the_boot_override_alone() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.boot(BootTarget::Pxe, BootEnabled::Once);
    let before = bench.control.snapshot().boot;
    bench.request(insert());
    bench.fetched(Ok(image("a")));
    bench.finish(Ok(()));
    bench.request(eject());
    bench.finish(Ok(()));
    assert_eq!(bench.control.snapshot().boot, before);
}

#[test]
fn no_call_of_a_drive_is_under_way_with_a_start() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.request(insert());
    bench.fetched(Ok(image("a")));
    assert!(matches!(bench.ops()[..], [Op::Start(_)]));
    bench.finish(Ok(()));
    assert!(matches!(bench.ops()[..], [Op::InsertMedia(_)]));
}

#[test]
fn what_the_machine_lost_is_put_back_and_what_it_should_not_have_is_taken_out() {
    let mut bench = Bench::with_medium(ObservedPower::Off);
    let regain = |bench: &mut Bench, media: Vec<(MediaSlot, PathBuf)>| {
        bench.report(Report::Unavailable(gone()));
        let power = ObservedPower::Off;
        bench.report(Report::Available(Observed { info: info(), power, boot_generation: None, media }));
    };
    regain(&mut bench, vec![(MediaSlot::Cd, "/spool/a".into())]);
    assert!(bench.ops().is_empty(), "all is as it should be");
    regain(&mut bench, Vec::new());
    assert!(matches!(bench.ops()[..], [Op::InsertMedia(_)]));
    let on = bench.power(PowerAction::On);
    bench.finish(Ok(()));
    assert!(matches!(bench.ops()[..], [Op::Start(_)]), "the start has waited");
    bench.finish(Ok(()));
    assert_eq!(bench.replies[&on], Ok(Outcome::Done));

    regain(&mut bench, Vec::new());
    bench.finish(Err(broken()));
    assert_eq!(bench.in_drive(), None, "the drive shows what is");
    assert_eq!(bench.released, ["a"]);
    regain(&mut bench, vec![(MediaSlot::Usb, "/spool/old".into())]);
    assert_eq!(bench.ops(), [Op::EjectMedia(MediaSlot::Usb)]);
}

#[test]
fn a_start_that_waits_for_a_drive_is_done_when_somebody_else_starts_the_machine() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.request(insert());
    let on = bench.power(PowerAction::On);
    assert!(bench.calls.is_empty(), "the start waits for the image");
    bench.report(Report::Power { power: ObservedPower::Running, cause: ChangeCause::Outside });
    assert_eq!((bench.state(), &bench.replies[&on]), (PowerState::On, &Ok(Outcome::Done)));
    bench.fetched(Ok(image("a")));
    bench.finish(Ok(()));
    bench.report(Report::Power { power: ObservedPower::Off, cause: ChangeCause::Guest });
    assert_eq!((bench.state(), bench.ops()), (PowerState::Off, vec![]), "it is not started again");
}

#[test]
fn no_reset_begins_while_the_backend_is_at_work_for_a_drive() {
    let mut bench = Bench::new(ObservedPower::Running);
    bench.request(insert());
    bench.fetched(Ok(image("a")));
    let reset = bench.power(PowerAction::Reset);
    assert!(matches!(bench.replies[&reset], Err(RequestError::Busy { .. })));
    assert!(matches!(bench.ops()[..], [Op::InsertMedia(_)]));
    bench.finish(Ok(()));
    bench.power(PowerAction::Reset);
    assert_eq!(bench.finish(Ok(())), Op::Reset(BootPlan::OwnOrder));

    // Nor one of our own, which waits.
    bench.pass(RESTART_SETTLES);
    bench.request(eject());
    bench.boot(BootTarget::Pxe, BootEnabled::Once);
    bench.report(Report::Rebooted);
    assert_eq!(bench.ops(), [Op::EjectMedia(MediaSlot::Cd)]);
    bench.finish(Ok(()));
    assert!(matches!(bench.ops()[..], [Op::Reset(BootPlan::Override(_))]));
}
