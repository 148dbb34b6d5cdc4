//! The drives: one piece of work at a time in each.
//!
//! ```text
//!   insert ──► Fetching ──fetched──► Ready ──► Calling ──done──► the medium is in
//!                 │ fails, ejected     │ unreachable  │ fails
//!                 ▼                    ▼              ▼
//!               nothing has changed; the image is released
//!
//!   eject  ──► Ready ──► Calling ──done──► the drive is empty
//! ```
//!
//! The calls of the drives are beside the one call that the machine itself may have under way, but none begins while the machine is
//! being started, reset or changed, and no start begins while any drive is at work: so what was asked for before the
//! start is in the drive when the firmware looks.

use std::path::PathBuf;

use crate::backend::Observed;
use crate::control::{CallId, Control, Effect, Op, RequestId};
use crate::error::{BackendError, RequestError};
use crate::event::EventKind;
use crate::media::{
    FetchedImage, InsertMedia, MediaError, MediaErrorKind, MediaRequest, MediaSlot, MediaSource,
};
use crate::request::Outcome;
use crate::settings::media::Medium;

/// What the drives are doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Drives([Option<Work>; MediaSlot::ALL.len()]);

/// What a drive is doing.
#[derive(Clone, Debug)]
struct Work {
    task: Task,
    stage: Stage,
    waiters: Vec<RequestId>,
    /// Those who want the drive emptied once this is done.
    eject_next: Vec<RequestId>,
}

#[derive(Clone, Debug)]
enum Task {
    Insert(Box<InsertMedia>),
    /// Puts in again what the machine should have in it and has not.
    Restore,
    Eject,
}

#[derive(Clone, Debug)]
enum Stage {
    Fetching(CallId),
    /// With what is to be put in.
    Ready(Option<Box<Medium>>),
    Calling(CallId, Option<Box<Medium>>),
}

impl Drives {
    /// Whether any drive is at work: a start waits for it.
    pub(super) fn at_work(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// Whether the backend is at work for a drive.
    pub(super) fn calling(&self) -> bool {
        self.0.iter().flatten().any(|work| matches!(work.stage, Stage::Calling(..)))
    }

    /// The images that are on their way into a drive.
    pub(super) fn inserting(&self) -> Vec<(MediaSlot, String)> {
        let inserting = MediaSlot::ALL.into_iter().zip(&self.0).filter_map(|(slot, work)| match work {
            Some(Work { task: Task::Insert(insert), .. }) => Some((slot, insert.image.clone())),
            _ => None,
        });
        inserting.collect()
    }

    fn get(&mut self, slot: MediaSlot) -> &mut Option<Work> {
        &mut self.0[slot as usize]
    }

    fn position(&self, find: impl Fn(&Stage) -> bool) -> Option<MediaSlot> {
        MediaSlot::ALL
            .into_iter()
            .zip(&self.0)
            .find(|(_, work)| work.as_ref().is_some_and(|work| find(&work.stage)))
            .map(|(slot, _)| slot)
    }
}

impl Control {
    pub(super) fn request_media(&mut self, id: RequestId, request: MediaRequest, effects: &mut Vec<Effect>) {
        let result = match request {
            MediaRequest::Insert(insert) => self.insert(id, insert, effects),
            MediaRequest::Eject(slot) => self.eject(id, slot, effects),
        };
        if let Some(result) = result.transpose() {
            effects.push(Effect::Reply(id, result));
        }
    }

    /// The medium in a drive.
    fn medium(&self, slot: MediaSlot) -> Option<&Medium> {
        self.record.settings.media.drive(slot).medium.as_ref()
    }

    /// Changes what is in a drive; returns what was in it.
    fn set_medium(&mut self, slot: MediaSlot, medium: Option<Medium>) -> Option<Medium> {
        let settings = std::sync::Arc::make_mut(&mut self.record.settings);
        std::mem::replace(&mut settings.media.drive_mut(slot).medium, medium)
    }

    /// Begins an insert; `None` where the answer comes later.
    fn insert(
        &mut self,
        id: RequestId,
        insert: Box<InsertMedia>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, RequestError> {
        self.reachable()?;
        let slot = insert.slot;
        match self.drives.get(slot) {
            Some(Work { task: Task::Insert(under_way), waiters, eject_next, .. })
                if *under_way == insert && eject_next.is_empty() =>
            {
                insert.transfer.follow(&under_way.transfer);
                waiters.push(id);
                return Ok(None);
            }
            Some(_) => return Err(super::operate::busy()),
            None => {}
        }
        let same = self.medium(slot).is_some_and(|medium| {
            medium.image == insert.image
                && medium.username == insert.username
                && medium.write_protected == insert.write_protected
        });
        if same {
            return Ok(Some(Outcome::NothingToDo));
        }
        let settings = self.record.settings.media.drive(slot);
        let source = MediaSource {
            uri: insert.image.clone(),
            username: insert.username.clone(),
            password: insert.password.clone(),
            verify_certificate: settings.verify_certificate,
            certificates: settings.certificates.iter().map(|kept| kept.pem.clone()).collect(),
            private: !insert.write_protected,
            max_bytes: None,
            transfer: insert.transfer.clone(),
        };
        let call = self.next_serial();
        let stage = Stage::Fetching(call);
        *self.drives.get(slot) =
            Some(Work { task: Task::Insert(insert), stage, waiters: vec![id], eject_next: Vec::new() });
        effects.push(Effect::Fetch(call, Box::new(source)));
        Ok(None)
    }

    fn eject(
        &mut self,
        id: RequestId,
        slot: MediaSlot,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, RequestError> {
        match self.drives.get(slot) {
            None => {}
            Some(Work { task: Task::Eject, waiters, .. }) => {
                waiters.push(id);
                return Ok(None);
            }
            Some(Work { stage: Stage::Calling(..), eject_next, .. }) => {
                eject_next.push(id);
                return Ok(None);
            }
            Some(_) => self.abandon(slot, effects),
        }
        if self.medium(slot).is_none() {
            return Ok(Some(Outcome::NothingToDo));
        }
        self.reachable()?;
        self.begin_eject(slot, vec![id]);
        Ok(None)
    }

    fn begin_eject(&mut self, slot: MediaSlot, waiters: Vec<RequestId>) {
        *self.drives.get(slot) =
            Some(Work { task: Task::Eject, stage: Stage::Ready(None), waiters, eject_next: Vec::new() });
    }

    /// Ends an insert of which the backend has not heard yet.
    fn abandon(&mut self, slot: MediaSlot, effects: &mut Vec<Effect>) {
        let Some(work) = self.drives.get(slot).take() else { return };
        match (work.stage, &work.task) {
            (Stage::Fetching(call), _) => effects.push(Effect::StopFetch(call)),
            (Stage::Ready(Some(medium)), Task::Insert(_)) => effects.push(Effect::Release(medium.lease)),
            _ => {}
        }
        if let Task::Insert(insert) = work.task {
            let error = MediaError::new(
                MediaErrorKind::Cancelled,
                insert.image,
                "it was ejected before it was inserted",
            );
            reply(work.waiters, &Err(error.into()), effects);
        }
    }

    /// An image has come, or not.
    pub(super) fn fetched(
        &mut self,
        call: CallId,
        result: Result<FetchedImage, MediaError>,
        effects: &mut Vec<Effect>,
    ) {
        let fetching = |stage: &Stage| matches!(stage, Stage::Fetching(under_way) if *under_way == call);
        let Some(slot) = self.drives.position(fetching) else {
            // The insert was abandoned while the image was on its way here.
            effects.extend(result.ok().map(|image| Effect::Release(image.lease)));
            return;
        };
        let Some(mut work) = self.drives.get(slot).take() else { return };
        match (result, &work.task) {
            (Ok(image), Task::Insert(insert)) => {
                let medium = Medium {
                    image: insert.image.clone(),
                    username: insert.username.clone(),
                    write_protected: insert.write_protected,
                    method: insert.method,
                    file: image.file,
                    lease: image.lease,
                    size: image.size,
                    sha256: image.sha256,
                };
                work.stage = Stage::Ready(Some(Box::new(medium)));
                *self.drives.get(slot) = Some(work);
            }
            (Ok(image), _) => effects.push(Effect::Release(image.lease)),
            (Err(error), _) => {
                let (image, reason) = (error.uri.clone(), error.message.clone());
                effects.push(Effect::Emit(EventKind::MediaFailed { slot, image, reason }));
                reply(work.waiters, &Err(error.into()), effects);
            }
        }
    }

    /// Gives the backend what is ready for it, one call at a time.
    pub(super) fn advance_media(&mut self, effects: &mut Vec<Effect>) {
        if let Err(error) = self.reachable() {
            self.media_lost(&error, effects);
            return;
        }
        let op = self.call.as_ref().map(|call| &call.op);
        if self.drives.calling() || op.is_some_and(|op| !matches!(op, Op::Stop | Op::Shutdown | Op::Resume)) {
            return;
        }
        let Some(slot) = self.drives.position(|stage| matches!(stage, Stage::Ready(_))) else { return };
        let call = self.next_serial();
        let Some(work) = self.drives.get(slot) else { return };
        let Stage::Ready(medium) = &mut work.stage else { return };
        let medium = medium.take();
        let op = match &medium {
            Some(medium) => Op::InsertMedia(medium.image_in(slot)),
            None => Op::EjectMedia(slot),
        };
        work.stage = Stage::Calling(call, medium);
        effects.push(Effect::Call(call, op));
    }

    /// The backend cannot be reached: what waits for it has failed. What it should have is looked after when it is back.
    fn media_lost(&mut self, error: &BackendError, effects: &mut Vec<Effect>) {
        while let Some(slot) = self.drives.position(|stage| matches!(stage, Stage::Ready(_))) {
            let Some(work) = self.drives.get(slot).take() else { return };
            if let (Stage::Ready(Some(medium)), Task::Insert(_)) = (work.stage, &work.task) {
                self.insert_failed(slot, *medium, error, effects);
            }
            reply(work.waiters, &Err(error.clone().into()), effects);
        }
    }

    fn insert_failed(
        &mut self,
        slot: MediaSlot,
        medium: Medium,
        error: &BackendError,
        effects: &mut Vec<Effect>,
    ) {
        let reason = error.message.clone();
        effects.push(Effect::Emit(EventKind::MediaFailed { slot, image: medium.image, reason }));
        effects.push(Effect::Release(medium.lease));
    }

    /// Takes the end of a call, if it was one of the drives'; returns whether it was.
    pub(super) fn media_call_done(
        &mut self,
        call: CallId,
        result: &Result<(), BackendError>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let ours = |stage: &Stage| matches!(stage, Stage::Calling(under_way, _) if *under_way == call);
        let Some(slot) = self.drives.position(ours) else { return false };
        let Some(work) = self.drives.get(slot).take() else { return false };
        let Stage::Calling(_, medium) = work.stage else { return false };
        match (&work.task, medium.map(|medium| *medium), result) {
            (Task::Insert(_), Some(medium), Ok(())) => {
                let image = medium.image.clone();
                if let Some(old) = self.set_medium(slot, Some(medium)) {
                    effects.push(Effect::Emit(EventKind::MediaEjected { slot, image: old.image }));
                    effects.push(Effect::Release(old.lease));
                }
                effects.push(Effect::Emit(EventKind::MediaInserted { slot, image }));
            }
            (Task::Insert(_), Some(medium), Err(error)) => self.insert_failed(slot, medium, error, effects),
            // The machine is without its medium, so the drive is too.
            (Task::Restore, Some(medium), Err(error)) => {
                self.set_medium(slot, None);
                self.insert_failed(slot, medium, error, effects);
            }
            (Task::Eject, _, Ok(())) => {
                if let Some(old) = self.set_medium(slot, None) {
                    effects.push(Effect::Emit(EventKind::MediaEjected { slot, image: old.image }));
                    effects.push(Effect::Release(old.lease));
                }
            }
            (Task::Insert(_) | Task::Restore | Task::Eject, _, _) => {}
        }
        let answer = result.clone().map(|()| Outcome::Done).map_err(RequestError::from);
        reply(work.waiters, &answer, effects);
        if !work.eject_next.is_empty() {
            if self.medium(slot).is_some() {
                self.begin_eject(slot, work.eject_next);
            } else {
                reply(work.eject_next, &Ok(Outcome::NothingToDo), effects);
            }
        }
        true
    }

    /// The machine tells what is in its drives, after (re)connecting: what is not as it should be is put right.
    pub(super) fn media_found(&mut self, observed: &Observed) {
        for slot in MediaSlot::ALL {
            let found: Option<&PathBuf> =
                observed.media.iter().find(|(found, _)| *found == slot).map(|(_, file)| file);
            let medium = self.medium(slot).cloned();
            if self.drives.get(slot).is_some() || medium.as_ref().map(|medium| &medium.file) == found {
                continue;
            }
            let (task, stage) = match medium {
                Some(medium) => (Task::Restore, Stage::Ready(Some(Box::new(medium)))),
                None => (Task::Eject, Stage::Ready(None)),
            };
            *self.drives.get(slot) = Some(Work { task, stage, waiters: Vec::new(), eject_next: Vec::new() });
        }
    }
}

fn reply(waiters: Vec<RequestId>, result: &Result<Outcome, RequestError>, effects: &mut Vec<Effect>) {
    effects.extend(waiters.into_iter().map(|id| Effect::Reply(id, result.clone())));
}
