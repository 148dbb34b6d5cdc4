//! Volumes: a request becomes a call of the backend, and what is to be told stands in the record before the backend is called.
//!
//! ```text
//!            request            done
//!   (none) ─────────► Creating ──────► Present ◄─────────┐ failed
//!                        │                │ request      │
//!                        │ failed, or     ▼              │
//!                        └ found so ──► Deleting ────────┘
//!                                         │ done
//!                                         ▼
//!                                       (none)
//! ```
//!
//! So a crash at any moment leaves a volume that is known: what is found half made or half deleted when the backend comes (again) is
//! deleted then.

use std::sync::Arc;

use uuid::Uuid;

use crate::backend::MachineInfo;
use crate::control::operate::busy;
use crate::control::{Control, Effect, Op, RequestId, Waiters};
use crate::error::{BackendError, RequestError};
use crate::event::EventKind;
use crate::request::Outcome;
use crate::settings::storage::StorageSettings;
use crate::storage::{NewVolume, StorageRequest, Volume, VolumeState, plan};

impl Op {
    /// The volume that it is about.
    fn volume(&self) -> Option<&Volume> {
        match self {
            Self::CreateVolume(volume) | Self::DeleteVolume(volume) | Self::InitializeVolume(volume) => {
                Some(volume)
            }
            _ => None,
        }
    }
}

impl Control {
    pub(super) fn request_storage(
        &mut self,
        id: RequestId,
        request: StorageRequest,
        effects: &mut Vec<Effect>,
    ) {
        let op = self.reachable().map_err(RequestError::from).and_then(|()| {
            if self.call.is_some() || self.drives.calling() {
                return Err(busy());
            }
            match request {
                StorageRequest::Create(wanted) => self.volume_to_create(wanted).map(Op::CreateVolume),
                StorageRequest::Delete(number) => {
                    let volume = self.volume_at_rest(number)?;
                    self.set_volume_state(number, VolumeState::Deleting);
                    Ok(Op::DeleteVolume(volume))
                }
                StorageRequest::Initialize(number) => self.volume_at_rest(number).map(Op::InitializeVolume),
            }
        });
        match op {
            Ok(op) => self.call(op, Waiters::one(id), effects),
            Err(error) => effects.push(Effect::Reply(id, Err(error))),
        }
    }

    fn volume_to_create(&mut self, wanted: NewVolume) -> Result<Arc<Volume>, RequestError> {
        let raid = self.info.as_ref().and_then(|info| info.raid.as_ref());
        let storage = &self.record.settings.storage;
        let (drives, capacity_bytes) = plan(raid, &storage.volumes, &wanted)?;
        let number = storage.made.checked_add(1).ok_or(RequestError::NoSpace { what: "list of volumes" })?;
        let volume = Volume {
            number,
            uuid: Uuid::new_v5(&self.uuid(), format!("volume {number}").as_bytes()),
            name: wanted.name.unwrap_or_else(|| format!("Volume {number}")),
            raid: wanted.raid,
            drives,
            capacity_bytes,
            state: VolumeState::Creating,
        };
        let storage = self.storage();
        storage.made = number;
        storage.volumes.push(volume.clone());
        Ok(Arc::new(volume))
    }

    /// A volume that nothing happens to at the moment.
    fn volume_at_rest(&self, number: u32) -> Result<Arc<Volume>, RequestError> {
        let volume = self.record.settings.storage.volume(number);
        let volume = volume.ok_or(RequestError::Missing { what: "Volume" })?;
        if volume.state == VolumeState::Creating { Err(busy()) } else { Ok(Arc::new(volume.clone())) }
    }

    fn storage(&mut self) -> &mut StorageSettings {
        &mut Arc::make_mut(&mut self.record.settings).storage
    }

    fn set_volume_state(&mut self, number: u32, state: VolumeState) {
        if let Some(volume) = self.storage().volumes.iter_mut().find(|volume| volume.number == number) {
            volume.state = state;
        }
    }

    /// A call about a volume has ended.
    pub(super) fn volume_done(
        &mut self,
        op: &Op,
        waiters: Waiters,
        result: &Result<(), BackendError>,
        effects: &mut Vec<Effect>,
    ) {
        let mut outcome = Outcome::Done;
        match (op, result) {
            (Op::CreateVolume(volume), Ok(())) => {
                self.set_volume_state(volume.number, VolumeState::Present);
                outcome = Outcome::Volume(volume.number);
                // What the backend had forgotten and has again is no news.
                if volume.state == VolumeState::Creating {
                    let (name, raid) = (volume.name.clone(), volume.raid.as_str().to_owned());
                    effects.push(Effect::Emit(EventKind::VolumeCreated {
                        number: volume.number,
                        name,
                        raid,
                    }));
                }
            }
            // It may be there in part, and a call that took too long may still succeed.
            (Op::CreateVolume(volume), Err(_)) if volume.state == VolumeState::Creating => {
                self.set_volume_state(volume.number, VolumeState::Deleting);
                self.chores.push_back(Op::DeleteVolume(Arc::clone(volume)));
            }
            (Op::DeleteVolume(volume), Ok(())) => {
                self.storage().volumes.retain(|other| other.number != volume.number);
                // Nobody was told of one that was never made.
                if volume.state != VolumeState::Creating {
                    let name = volume.name.clone();
                    effects.push(Effect::Emit(EventKind::VolumeDeleted { number: volume.number, name }));
                }
            }
            (Op::InitializeVolume(volume), Ok(())) => {
                let name = volume.name.clone();
                effects.push(Effect::Emit(EventKind::VolumeInitialized { number: volume.number, name }));
            }
            (Op::DeleteVolume(volume), Err(_)) if volume.state == VolumeState::Present => {
                self.set_volume_state(volume.number, VolumeState::Present);
            }
            _ => {}
        }
        for request in waiters.requests {
            let result = result.clone().map(|()| outcome).map_err(RequestError::Backend);
            effects.push(Effect::Reply(request, result));
        }
    }

    /// What is left to be done about volumes when the backend has come (again). `restore`: it has forgotten those that were made.
    pub(super) fn volumes_found(&mut self, info: &MachineInfo, restore: bool) {
        let has = |volume: &Volume| {
            let serial = volume.serial();
            info.disks.iter().any(|disk| disk.serial.as_deref() == Some(serial.as_str()))
        };
        let under_way = self.call.as_ref().and_then(|call| call.op.volume()).map(|volume| volume.number);
        self.chores.clear();
        for volume in &self.record.settings.storage.volumes {
            match volume.state {
                // The end of its call decides what becomes of it.
                _ if Some(volume.number) == under_way => {}
                VolumeState::Present if restore && !has(volume) => {
                    self.chores.push_back(Op::CreateVolume(Arc::new(volume.clone())));
                }
                VolumeState::Present => {}
                VolumeState::Creating | VolumeState::Deleting => {
                    self.chores.push_back(Op::DeleteVolume(Arc::new(volume.clone())));
                }
            }
        }
    }

    /// Does what is left to be done, one after the other, when nothing else is.
    pub(super) fn do_chore(&mut self, effects: &mut Vec<Effect>) {
        if self.call.is_some() || self.drives.calling() {
            return;
        }
        while let Some(op) = self.chores.pop_front() {
            if self.is_called_for(&op) {
                self.call(op, Waiters::nobody(), effects);
                return;
            }
        }
    }

    /// Whether the record still says that a chore is to be done: what became of its volume since it was noted may have settled it.
    fn is_called_for(&self, chore: &Op) -> bool {
        let state = chore
            .volume()
            .and_then(|volume| self.record.settings.storage.volume(volume.number))
            .map(|volume| volume.state);
        match (chore, state) {
            (Op::CreateVolume(_), Some(state)) => state == VolumeState::Present,
            (Op::DeleteVolume(_), Some(state)) => state != VolumeState::Present,
            _ => false,
        }
    }
}
