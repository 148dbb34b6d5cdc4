//! Storage of domains: what lies behind their disks, and volumes made for them.
//!
//! The drives of a domain's RAID controller are shares of a storage pool, thin ones: what is written takes room there, and no more. A volume made
//! of them is a storage volume of that pool, named `polybmc-` and its UUID, and a disk of the domain with the volume's serial number, in
//! the definition and in the running instance. Nothing else in the pool or of the domain is touched.

use std::thread::sleep;
use std::time::Duration;

use bmc_core::backend::MachineInfo;
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::storage::{Backing, RaidController, Volume};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;
use virt_sys as c;

use crate::connection::Failure;
use crate::xml::disk::{self, NewDisk, escape};
use crate::xml::read;

/// Most drives of a RAID controller.
pub const RAID_DRIVES_MAX: u8 = 32;
/// The pool that is taken where neither the configuration nor the domain's disks say which.
const DEFAULT_POOL: &str = "default";
/// How often a guest is looked at that is to let go of a disk, and how long that is waited for.
const DETACH_LOOKS: (u32, Duration) = (60, Duration::from_millis(100));
/// Kinds of pools that are directories: volumes in them can be thin.
const DIRECTORIES: [&str; 3] = ["dir", "fs", "netfs"];

/// The RAID controllers of a backend's domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaidOptions {
    /// The pool that drives are shares of; `None` for the one in which the domain's first disk lies, else `default`.
    pub pool: Option<String>,
    /// How many drives each controller has; without any there is none. At most [`RAID_DRIVES_MAX`].
    pub drives: u8,
    /// Size of each drive in bytes.
    pub drive_bytes: u64,
}

impl Default for RaidOptions {
    fn default() -> Self {
        Self { pool: None, drives: 4, drive_bytes: 32 << 30 }
    }
}

/// Adds to what a domain's XML says of its disks what only libvirt knows.
pub(crate) fn complete(connect: &Connect, domain: &Domain, raid: &RaidOptions, info: &mut MachineInfo) {
    for disk in &mut info.disks {
        let volume = match &disk.backing {
            Some(Backing::Path(path)) => connect.lookup_storage_vol_by_path(path).ok(),
            Some(Backing::Pool { pool, volume }) => connect
                .lookup_storage_pool_by_name(pool)
                .and_then(|pool| pool.lookup_storage_vol_by_name(volume))
                .ok(),
            None => None,
        };
        let known = volume.as_ref().and_then(|volume| volume.info().ok()).map(|info| info.capacity);
        let told = || domain.block_info(&disk.name, 0).ok().map(|info| info.capacity);
        disk.capacity_bytes = known.or_else(told).filter(|bytes| *bytes > 0);
        let place = volume.and_then(|volume| {
            let pool = volume.lookup_storage_pool().and_then(|pool| pool.name()).ok()?;
            Some(Backing::Pool { pool, volume: volume.name().ok()? })
        });
        disk.backing = place.or_else(|| disk.backing.take());
    }
    let drives = raid.drives.min(RAID_DRIVES_MAX);
    if drives > 0 && pool_of(connect, raid, info).is_ok() {
        let mut serial = info.uuid.simple().to_string().to_ascii_uppercase();
        serial.truncate(10);
        let serial = format!("R{serial}");
        info.raid = RaidController::uniform(drives, raid.drive_bytes, "Virtual RAID drive", &serial);
    }
}

/// The pool for a domain's volumes. It has to be active.
fn pool_of(connect: &Connect, raid: &RaidOptions, info: &MachineInfo) -> Result<StoragePool, Failure> {
    let of_disks = info.disks.iter().find_map(|disk| match &disk.backing {
        Some(Backing::Pool { pool, .. }) => Some(pool.as_str()),
        _ => None,
    });
    let name = raid.pool.as_deref().or(of_disks).unwrap_or(DEFAULT_POOL);
    let pool = connect.lookup_storage_pool_by_name(name)?;
    if pool.is_active()? {
        return Ok(pool);
    }
    let message = format!("the storage pool {name} is not active; start it with `virsh pool-start {name}`");
    Err(BackendError::new(BackendErrorKind::InvalidState, message).into())
}

/// Makes a volume and gives it to the domain.
///
/// # Errors
/// `NoSpace` where the pool has no room for it; `InvalidState` where there is no pool; libvirt's. What was made until then is taken away.
pub(crate) fn create(
    connect: &Connect,
    domain: &Domain,
    raid: &RaidOptions,
    volume: &Volume,
) -> Result<(), Failure> {
    let definition = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
    let stored = match find(connect, volume)? {
        Some(stored) => stored,
        None => {
            let mut info = read::machine_info(&definition)?;
            let none = RaidOptions { drives: 0, ..raid.clone() };
            complete(connect, domain, &none, &mut info);
            let pool = pool_of(connect, raid, &info)?;
            check_room(&pool, volume)?;
            allocate(&pool, volume)?
        }
    };
    let given = attach(connect, domain, &definition, volume, &stored);
    if given.is_err() && stored.delete(0).is_err() {
        tracing::warn!(volume = %volume.uuid, "a storage volume that could not be attached could not be deleted either");
    }
    given
}

fn storage_name(volume: &Volume) -> String {
    format!("polybmc-{}", volume.uuid)
}

fn check_room(pool: &StoragePool, volume: &Volume) -> Result<(), Failure> {
    let room = pool.info()?.available;
    if room < volume.capacity_bytes {
        let name = pool.name()?;
        let message = format!(
            "the storage pool {name} has room for {room} bytes and not for {}",
            volume.capacity_bytes
        );
        return Err(BackendError::new(BackendErrorKind::NoSpace, message).into());
    }
    Ok(())
}

fn allocate(pool: &StoragePool, volume: &Volume) -> Result<StorageVol, Failure> {
    let kind = read::pool_type(&pool.xml_desc(0)?)?;
    let directory = DIRECTORIES.contains(&kind.as_str());
    let thin = if directory { "<allocation unit='bytes'>0</allocation>" } else { "" };
    let format = if directory { "<target><format type='raw'/></target>" } else { "" };
    let xml = format!(
        "<volume><name>{}</name><capacity unit='bytes'>{}</capacity>{thin}{format}</volume>",
        escape(&storage_name(volume)),
        volume.capacity_bytes
    );
    Ok(StorageVol::create_xml(pool, &xml, 0)?)
}

/// The storage volume behind a volume, in whatever pool it is.
fn find(connect: &Connect, volume: &Volume) -> Result<Option<StorageVol>, Failure> {
    let name = storage_name(volume);
    for pool in connect.list_all_storage_pools(c::VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)? {
        if let Ok(found) = pool.lookup_storage_vol_by_name(&name) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn attach(
    connect: &Connect,
    domain: &Domain,
    definition: &str,
    volume: &Volume,
    stored: &StorageVol,
) -> Result<(), Failure> {
    let live = if domain.is_active()? { Some(domain.xml_desc(0)?) } else { None };
    let persistent = domain.is_persistent()?;
    let serial = volume.serial();
    let (bus, path) = (disk::best_bus(definition)?, stored.path()?);
    let xmls = [definition, live.as_deref().unwrap_or(definition)];
    let device = NewDisk {
        name: &disk::free_name(&xmls, bus)?,
        bus,
        serial: &serial,
        path: &path,
        block: stored.info()?.kind == c::VIR_STORAGE_VOL_BLOCK,
    }
    .to_xml();
    if persistent && !disk::has(definition, &serial)? {
        connect.define_domain_xml(&disk::with_device(definition, &device)?)?;
    }
    let Some(live) = live else { return Ok(()) };
    if disk::has(&live, &serial)? {
        return Ok(());
    }
    match domain.attach_device_flags(&device, c::VIR_DOMAIN_AFFECT_LIVE) {
        Ok(()) => Ok(()),
        // No free slot, or a bus that knows no hot plug.
        Err(error) if persistent => {
            tracing::warn!(volume = %volume.uuid, %error, "the guest gets this volume at its next start only; a machine of type q35 takes disks while it runs where its definition has \
                 spare controllers `<controller type='pci' model='pcie-root-port'/>`");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes a volume away from the domain, and deletes it.
///
/// # Errors
/// `Busy` when the guest does not let go of the disk: nothing was deleted then; libvirt's.
pub(crate) fn delete(connect: &Connect, domain: &Domain, volume: &Volume) -> Result<(), Failure> {
    let serial = volume.serial();
    if domain.is_active()?
        && let Some(device) = disk::element_of(&domain.xml_desc(0)?, &serial)?
    {
        domain.detach_device_flags(&device, c::VIR_DOMAIN_AFFECT_LIVE)?;
        await_detached(domain, &serial)?;
    }
    if domain.is_persistent()? {
        let definition = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
        if let Some(without) = disk::without(&definition, &serial)? {
            connect.define_domain_xml(&without)?;
        }
    }
    match find(connect, volume)? {
        Some(stored) => Ok(stored.delete(0)?),
        None => Ok(()),
    }
}

/// Waits until the guest has let go of a disk: libvirt asks it, and does not wait long.
fn await_detached(domain: &Domain, serial: &str) -> Result<(), Failure> {
    let (looks, pause) = DETACH_LOOKS;
    for _ in 0..looks {
        if !domain.is_active()? || !disk::has(&domain.xml_desc(0)?, serial)? {
            return Ok(());
        }
        sleep(pause);
    }
    let message =
        "the guest has not let go of the volume; unmount it there and try again, or stop the machine first";
    Err(BackendError::new(BackendErrorKind::Busy, message).into())
}

/// Erases what is on a volume. libvirt wipes it where it lies, so that it is there whatever happens; a thin one is emptied, another one is written over.
///
/// # Errors
/// `InvalidState` while the domain runs; `NotFound` where somebody has deleted it; libvirt's.
pub(crate) fn initialize(connect: &Connect, domain: &Domain, volume: &Volume) -> Result<(), Failure> {
    if domain.is_active()? {
        let message = "a volume is erased while its machine is off only";
        return Err(BackendError::new(BackendErrorKind::InvalidState, message).into());
    }
    let stored = find(connect, volume)?.ok_or_else(|| {
        BackendError::new(BackendErrorKind::NotFound, "the volume is no longer in its storage pool")
    })?;
    match stored.wipe(0) {
        // What libvirt cannot wipe is made anew.
        Err(error)
            if error.code().is(ErrorNumber::NoSupport)
                || error.code().is(ErrorNumber::OperationUnsupported) =>
        {
            make_anew(&stored, volume)
        }
        wiped => Ok(wiped?),
    }
}

fn make_anew(stored: &StorageVol, volume: &Volume) -> Result<(), Failure> {
    let pool = stored.lookup_storage_pool()?;
    stored.delete(0)?;
    // Its place is taken again, so there is nothing to refuse: a pool may well have less room than its thin volumes could take.
    let Err(first) = allocate(&pool, volume) else { return Ok(()) };
    if allocate(&pool, volume).is_ok() {
        return Ok(());
    }
    let why = match first {
        Failure::Libvirt(error) => error.message().to_owned(),
        Failure::Ours(error) => error.message,
    };
    let message = format!(
        "the volume was deleted to be made anew, and that failed ({why}); delete it and make another one"
    );
    Err(BackendError::new(BackendErrorKind::Internal, message).into())
}

#[cfg(test)]
mod tests {
    use bmc_core::storage::{RaidLevel, VolumeState};

    use super::*;

    #[test]
    fn a_volume_is_erased_also_where_its_pool_has_promised_more_than_it_has() {
        const SIZE: u64 = 60 << 30;
        let connect = Connect::open(Some("test:///default")).unwrap();
        let domain = connect.lookup_domain_by_name("test").unwrap();
        domain.destroy().unwrap();
        let pool = connect.lookup_storage_pool_by_name("default-pool").unwrap();
        let volume = Volume {
            number: 1,
            uuid: uuid::Uuid::from_u128(7),
            name: "v".to_owned(),
            raid: RaidLevel::Raid0,
            drives: Vec::new(),
            capacity_bytes: SIZE,
            state: VolumeState::Present,
        };
        allocate(&pool, &volume).unwrap();
        let others = format!(
            "<volume><name>others</name><capacity>{SIZE}</capacity><allocation>{SIZE}</allocation></volume>"
        );
        StorageVol::create_xml(&pool, &others, 0).unwrap();
        assert!(pool.info().unwrap().available < SIZE, "thin volumes had room");
        initialize(&connect, &domain, &volume).unwrap();
        assert!(find(&connect, &volume).unwrap().is_some());
    }
}
