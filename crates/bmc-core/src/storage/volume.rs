//! Volumes of a RAID controller: what may be made of which drives, and how large it becomes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{BackendError, RequestError};
use crate::storage::{RaidController, RaidDrive};

/// Most volumes of one machine.
pub const VOLUMES_MAX: usize = 16;
/// Volumes are whole multiples of this many bytes, rounded down.
pub const VOLUME_ALIGNMENT: u64 = 1 << 20;
/// Longest name of a volume in bytes.
pub const VOLUME_NAME_MAX_BYTES: usize = 64;

/// How the data of a volume lie on its drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RaidLevel {
    /// Striped, no redundancy.
    Raid0,
    /// Mirrored.
    Raid1,
    /// Striped with one parity.
    Raid5,
    /// Striped with two parities.
    Raid6,
    /// A stripe of mirrors.
    Raid10,
}

impl RaidLevel {
    /// Every level there is.
    pub const ALL: [Self; 5] = [Self::Raid0, Self::Raid1, Self::Raid5, Self::Raid6, Self::Raid10];

    /// Its name: `RAID5`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raid0 => "RAID0",
            Self::Raid1 => "RAID1",
            Self::Raid5 => "RAID5",
            Self::Raid6 => "RAID6",
            Self::Raid10 => "RAID10",
        }
    }

    /// The fewest drives it can be made of.
    pub const fn drives_min(self) -> usize {
        match self {
            Self::Raid0 => 1,
            Self::Raid1 => 2,
            Self::Raid5 => 3,
            Self::Raid6 | Self::Raid10 => 4,
        }
    }

    /// How many of `drives` drives hold data rather than redundancy; `None` where it cannot be made of so many.
    pub fn data_drives(self, drives: usize) -> Option<usize> {
        if drives < self.drives_min() {
            return None;
        }
        match self {
            Self::Raid0 => Some(drives),
            Self::Raid1 => Some(1),
            Self::Raid5 => Some(drives - 1),
            Self::Raid6 => Some(drives - 2),
            Self::Raid10 => drives.is_multiple_of(2).then_some(drives / 2),
        }
    }

    /// The largest volume of drives of these sizes in bytes: of each as much as of the smallest. `None` where it cannot be made of so many.
    pub fn capacity(self, drives: &[u64]) -> Option<u64> {
        let data = u64::try_from(self.data_drives(drives.len())?).ok()?;
        let smallest = drives.iter().min()? / VOLUME_ALIGNMENT * VOLUME_ALIGNMENT;
        Some(smallest.saturating_mul(data))
    }
}

/// How far a volume has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeState {
    /// The backend is making it. One that is found so after a crash is cleaned up.
    Creating,
    /// It is there.
    #[default]
    Present,
    /// The backend is deleting it.
    Deleting,
}

/// A volume that was made on request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Numbers the machine's volumes, from 1; never given again.
    pub number: u32,
    /// Its identity, from which the serial number that the guest reads is made.
    pub uuid: Uuid,
    /// Its name, at most [`VOLUME_NAME_MAX_BYTES`].
    pub name: String,
    /// How it lies on its drives.
    pub raid: RaidLevel,
    /// The names of the drives it is made of. They carry nothing else.
    pub drives: Vec<String>,
    /// Its size as the guest sees it; a multiple of [`VOLUME_ALIGNMENT`].
    pub capacity_bytes: u64,
    /// How far it has come.
    #[serde(default)]
    pub state: VolumeState,
}

impl Volume {
    /// The serial number of its disk: 20 characters, as many as a virtio disk can have.
    pub fn serial(&self) -> String {
        let mut serial = self.uuid.simple().to_string();
        serial.truncate(20);
        serial
    }
}

/// A volume that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name, at most [`VOLUME_NAME_MAX_BYTES`]; `None` for one made of its number.
    pub name: Option<String>,
    /// How it lies on its drives.
    pub raid: RaidLevel,
    /// The drives to make it of; empty to take the first free ones, as few as suffice.
    pub drives: Vec<String>,
    /// Its size; `None` for all there is.
    pub capacity_bytes: Option<u64>,
}

/// What is asked of a machine's volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageRequest {
    /// Makes a volume; answered by [`Outcome::Volume`](crate::request::Outcome::Volume) once the guest has it.
    Create(NewVolume),
    /// Deletes the volume of this number, with what is on it.
    Delete(u32),
    /// Erases what is on the volume of this number.
    Initialize(u32),
}

/// The drives that carry no volume.
pub fn free_drives<'a>(
    raid: &'a RaidController,
    volumes: &'a [Volume],
) -> impl Iterator<Item = &'a RaidDrive> + 'a {
    raid.drives.iter().filter(|drive| user_of(volumes, &drive.name).is_none())
}

fn user_of<'a>(volumes: &'a [Volume], drive: &str) -> Option<&'a Volume> {
    volumes.iter().find(|volume| volume.drives.iter().any(|used| used == drive))
}

/// The drives and the size of the volume that is wanted.
///
/// # Errors
/// What is wrong with the request: `Invalid` (`name`, `drives`, `capacity_bytes`), `Missing` (a drive), `InUse` (a drive), `NoSpace`
/// (too many volumes), and `Unsupported` for a machine without a RAID controller.
pub fn plan(
    raid: Option<&RaidController>,
    volumes: &[Volume],
    wanted: &NewVolume,
) -> Result<(Vec<String>, u64), RequestError> {
    let Some(raid) = raid else {
        return Err(
            BackendError::unsupported("this machine has no RAID controller to make volumes on").into()
        );
    };
    if wanted.name.as_ref().is_some_and(|name| name.len() > VOLUME_NAME_MAX_BYTES) {
        return Err(invalid("name", format!("at most {VOLUME_NAME_MAX_BYTES} bytes are kept")));
    }
    if volumes.len() >= VOLUMES_MAX {
        return Err(RequestError::NoSpace { what: "list of volumes" });
    }
    let chosen: Vec<&RaidDrive> =
        if wanted.drives.is_empty() { choose(raid, volumes, wanted)? } else { named(raid, volumes, wanted)? };
    let sizes: Vec<u64> = chosen.iter().map(|drive| drive.capacity_bytes).collect();
    let Some(most) = wanted.raid.capacity(&sizes) else { return Err(count(wanted.raid, chosen.len())) };
    let size = wanted.capacity_bytes.unwrap_or(most) / VOLUME_ALIGNMENT * VOLUME_ALIGNMENT;
    if size == 0 {
        return Err(invalid("capacity_bytes", format!("a volume has at least {VOLUME_ALIGNMENT} bytes")));
    }
    if wanted.capacity_bytes.is_some_and(|wanted| wanted > most) {
        let reason = format!("{} of these drives has at most {most} bytes", wanted.raid.as_str());
        return Err(invalid("capacity_bytes", reason));
    }
    Ok((chosen.into_iter().map(|drive| drive.name.clone()).collect(), size))
}

fn named<'a>(
    raid: &'a RaidController,
    volumes: &[Volume],
    wanted: &NewVolume,
) -> Result<Vec<&'a RaidDrive>, RequestError> {
    let mut chosen: Vec<&RaidDrive> = Vec::new();
    for name in &wanted.drives {
        let drive = raid.drive(name).ok_or(RequestError::Missing { what: "Drive" })?;
        if chosen.iter().any(|other| other.name == *name) {
            return Err(invalid("drives", format!("drive {name} is named twice")));
        }
        if let Some(user) = user_of(volumes, name) {
            return Err(RequestError::InUse {
                what: format!("drive {name} carries the volume {}", user.name),
            });
        }
        chosen.push(drive);
    }
    Ok(chosen)
}

/// The first free drives, as few as hold what is wanted.
fn choose<'a>(
    raid: &'a RaidController,
    volumes: &'a [Volume],
    wanted: &NewVolume,
) -> Result<Vec<&'a RaidDrive>, RequestError> {
    let free: Vec<&RaidDrive> = free_drives(raid, volumes).collect();
    let sizes: Vec<u64> = free.iter().map(|drive| drive.capacity_bytes).collect();
    let suffices = |count: &usize| {
        let most = sizes.get(..*count).and_then(|sizes| wanted.raid.capacity(sizes));
        most.is_some_and(|most| wanted.capacity_bytes.is_none_or(|wanted| wanted <= most))
    };
    let enough = (wanted.raid.drives_min()..=free.len()).find(suffices);
    match enough {
        Some(count) => Ok(free.into_iter().take(count).collect()),
        None if free.len() < wanted.raid.drives_min() => {
            let what = format!("all but {} of the drives", free.len());
            Err(RequestError::InUse { what })
        }
        None => Err(invalid("capacity_bytes", "the free drives do not have so much".to_owned())),
    }
}

fn count(raid: RaidLevel, drives: usize) -> RequestError {
    let even = if raid == RaidLevel::Raid10 { ", an even number" } else { "" };
    let reason = format!("{} needs at least {} drives{even}, not {drives}", raid.as_str(), raid.drives_min());
    invalid("drives", reason)
}

fn invalid(field: &'static str, reason: String) -> RequestError {
    RequestError::Invalid { field, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn volume(drives: &[&str]) -> Volume {
        Volume {
            number: 1,
            uuid: Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0),
            name: "one".to_owned(),
            raid: RaidLevel::Raid0,
            drives: drives.iter().map(|&name| name.to_owned()).collect(),
            capacity_bytes: GIB,
            state: VolumeState::Present,
        }
    }

    fn wanted(raid: RaidLevel, drives: &[&str], capacity_bytes: Option<u64>) -> NewVolume {
        let drives = drives.iter().map(|&name| name.to_owned()).collect();
        NewVolume { name: None, raid, drives, capacity_bytes }
    }

    #[test]
    fn each_level_has_its_fewest_drives_and_its_capacity() {
        let sizes = [GIB + 5, 2 * GIB, 3 * GIB, 4 * GIB, 5 * GIB];
        for (raid, capacities) in [
            (RaidLevel::Raid0, [None, Some(1), Some(2), Some(3), Some(4), Some(5)]),
            (RaidLevel::Raid1, [None, None, Some(1), Some(1), Some(1), Some(1)]),
            (RaidLevel::Raid5, [None, None, None, Some(2), Some(3), Some(4)]),
            (RaidLevel::Raid6, [None, None, None, None, Some(2), Some(3)]),
            (RaidLevel::Raid10, [None, None, None, None, Some(2), None]),
        ] {
            for (count, expected) in capacities.into_iter().enumerate() {
                let expected = expected.map(|gib: u64| gib * GIB);
                assert_eq!(raid.capacity(&sizes[..count]), expected, "{raid:?} of {count}");
            }
        }
    }

    #[test]
    fn a_plan_takes_what_is_named_or_as_few_free_drives_as_suffice() {
        let raid = RaidController::uniform(6, 10 * GIB, "drive", "S").unwrap();
        let raid = Some(&raid);
        let used = [volume(&["bay0", "bay3"])];
        let plan =
            |wanted: NewVolume| plan(raid, &used, &wanted).map(|(drives, size)| (drives.join(" "), size));
        let ok = |drives: &str, size| Ok((drives.to_owned(), size));
        assert_eq!(plan(wanted(RaidLevel::Raid1, &["bay1", "bay2"], None)), ok("bay1 bay2", 10 * GIB));
        assert_eq!(plan(wanted(RaidLevel::Raid0, &[], Some(GIB + 7))), ok("bay1", GIB));
        assert_eq!(plan(wanted(RaidLevel::Raid0, &[], Some(25 * GIB))), ok("bay1 bay2 bay4", 25 * GIB));
        assert_eq!(plan(wanted(RaidLevel::Raid6, &[], None)), ok("bay1 bay2 bay4 bay5", 20 * GIB));
        let field = |result: Result<_, RequestError>| match result {
            Err(RequestError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        for (bad, expected) in [
            (wanted(RaidLevel::Raid5, &["bay1", "bay2"], None), "drives"),
            (wanted(RaidLevel::Raid1, &["bay1", "bay1"], None), "drives"),
            (wanted(RaidLevel::Raid1, &["bay1", "bay2"], Some(11 * GIB)), "capacity_bytes"),
            (wanted(RaidLevel::Raid0, &[], Some(41 * GIB)), "capacity_bytes"),
            (wanted(RaidLevel::Raid0, &[], Some(1)), "capacity_bytes"),
            (NewVolume { name: Some("x".repeat(65)), ..wanted(RaidLevel::Raid0, &[], None) }, "name"),
        ] {
            assert_eq!(field(plan(bad.clone())), expected, "{bad:?}");
        }
        let in_use = plan(wanted(RaidLevel::Raid0, &["bay3"], None)).unwrap_err();
        assert_eq!(in_use.to_string(), "drive bay3 carries the volume one");
        let missing = plan(wanted(RaidLevel::Raid0, &["sda"], None)).unwrap_err();
        assert_eq!(missing, RequestError::Missing { what: "Drive" });
        let many: Vec<Volume> = (0..VOLUMES_MAX).map(|_| volume(&[])).collect();
        let full = super::plan(raid, &many, &wanted(RaidLevel::Raid0, &[], None));
        assert_eq!(full, Err(RequestError::NoSpace { what: "list of volumes" }));
        assert!(matches!(
            super::plan(None, &[], &wanted(RaidLevel::Raid0, &[], None)),
            Err(RequestError::Backend(_))
        ));
    }

    #[test]
    fn a_serial_number_fits_a_virtio_disk() {
        assert_eq!(volume(&[]).serial(), "123456789abcdef01234");
    }
}
