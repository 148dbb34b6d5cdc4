//! Opening the file: folder, lock, rights, first creation, check for damage.
//!
//! The file is made under another name and renamed when it is complete, so a file under its own name that is empty or cut short
//! is damage and never the trace of an interrupted creation. A separate lock file is held meanwhile, because the rename would pass
//! by a lock on the file itself.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bmc_core::store::StoreError;
use redb::{Builder, Database};

use super::disk::{Disk, damaged, explain, explain_io, in_use, initialise};

/// The store's file in the state folder.
pub const DATABASE_FILE: &str = "polybmc.redb";
/// Held locked by the process that uses the state folder.
pub const LOCK_FILE: &str = "polybmc.lock";

const NEW_FILE: &str = "polybmc.redb.new";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// redb's page cache in bytes. All records are in memory anyway, so it serves writes only.
const CACHE_BYTES: usize = 16 << 20;

pub(super) fn open(dir: &Path) -> Result<Disk, StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .map_err(|error| explain_io("create the state folder", dir, &error))?;
    let lock = lock(&dir.join(LOCK_FILE))?;
    let path = dir.join(DATABASE_FILE);
    match fs::metadata(&path) {
        Ok(metadata) => restrict(&path, &metadata.permissions())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(dir, &path)?,
        Err(error) => return Err(explain_io("look at", &path, &error)),
    }
    let database = open_checked(&path)?;
    let reopen: PathBuf = path.clone();
    Ok(Disk::new(path, database, Box::new(move || Ok(builder().open(&reopen)?)), Some(lock)))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| explain_io("open the lock file", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => Err(explain_io("lock", path, &error)),
    }
}

/// Takes everybody else's rights to the file away: it holds passwords.
fn restrict(path: &Path, permissions: &Permissions) -> Result<(), StoreError> {
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "the store was readable by others; taking that right away");
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
        .map_err(|error| explain_io("take others' rights from", path, &error))
}

fn create(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let new = dir.join(NEW_FILE);
    let io = |error: std::io::Error| explain_io("create", &new, &error);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let file =
        OpenOptions::new().create_new(true).read(true).write(true).mode(FILE_MODE).open(&new).map_err(io)?;
    let database = builder().create_file(file).map_err(|error| explain(&new, &error.into()))?;
    initialise(&database).map_err(|error| explain(&new, &error))?;
    drop(database);
    File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&new, path).map_err(io)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

/// Opens an existing file and reads all of it once, so that damage is found now and not when a record is needed.
fn open_checked(path: &Path) -> Result<Database, StoreError> {
    // redb trusts its file in places and may panic on a damaged one.
    let opened = catch_unwind(AssertUnwindSafe(|| -> Result<(Database, bool), redb::Error> {
        let mut database = builder().open(path)?;
        let sound = database.check_integrity()?;
        Ok((database, sound))
    }));
    match opened {
        Ok(Ok((database, true))) => Ok(database),
        Ok(Ok((_, false))) => Err(StoreError::Failed(format!(
            "{} was damaged and has been put back to its last sound state, the latest changes may be missing; restore it from \
             a backup, or start again to go on with what is there",
            path.display()
        ))),
        Ok(Err(error)) => Err(explain(path, &error)),
        Err(_) => Err(damaged(path, "its structure makes no sense")),
    }
}
