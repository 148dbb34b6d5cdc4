//! The redb file's tables, and how failures of it read to people.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use bmc_core::store::{Change, Revision, StoreError};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::records::{Records, Stored};

/// Key to revision and value.
const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
/// Numbers about the file itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_SCHEMA: &str = "schema";
const META_REVISION: &str = "revision";
/// The layout of the tables above. A file with a higher number was written by a newer polybmc.
const SCHEMA: u64 = 1;

/// Opens the database anew after a failure.
pub(super) type Reopen = Box<dyn Fn() -> Result<Database, redb::Error> + Send>;

/// The open file.
pub(super) struct Disk {
    pub(super) path: PathBuf,
    /// `None` after a failed write, when redb wants to be opened anew.
    database: Option<Database>,
    reopen: Reopen,
    /// Held for as long as the file is in use.
    _lock: Option<File>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Disk {
    pub(super) fn new(path: PathBuf, database: Database, reopen: Reopen, lock: Option<File>) -> Self {
        Self { path, database: Some(database), reopen, _lock: lock }
    }

    /// Everything in the file.
    pub(super) fn load(&mut self) -> Result<Records, StoreError> {
        let Some(database) = &self.database else {
            return Err(StoreError::Failed(format!("{} is not open", self.path.display())));
        };
        let (schema, records) = load(database).map_err(|error| explain(&self.path, &error))?;
        match schema {
            SCHEMA => Ok(records),
            newer if newer > SCHEMA => Err(StoreError::Failed(format!(
                "{} was written by a newer polybmc (layout {newer}, this one knows up to {SCHEMA}); use that version",
                self.path.display()
            ))),
            _ => Err(damaged(&self.path, "it names no layout")),
        }
    }

    /// Makes `changes` durable. After a failure nothing of them is, or will be: the next call first puts the file back to `before`.
    pub(super) fn write(&mut self, before: &Records, changes: &[&Change]) -> Result<(), StoreError> {
        let result = self.try_write(before, changes);
        if result.is_err() {
            self.database = None;
        }
        result.map_err(|error| explain(&self.path, &error))
    }

    fn try_write(&mut self, before: &Records, changes: &[&Change]) -> Result<(), redb::Error> {
        if self.database.is_none() {
            // Nobody knows whether the failed commit reached the disk. Its caller was told that it did not.
            let database = (self.reopen)()?;
            rewrite(&database, before)?;
            self.database = Some(database);
        }
        match &self.database {
            Some(database) => write(database, changes),
            None => Err(redb::Error::DatabaseClosed),
        }
    }
}

/// Lays out the tables in a new file.
pub(super) fn initialise(database: &Database) -> Result<(), redb::Error> {
    rewrite(database, &Records::default())
}

fn load(database: &Database) -> Result<(u64, Records), redb::Error> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => return Ok((0, Records::default())),
        other => other?,
    };
    let number =
        |key: &str| -> Result<u64, redb::Error> { Ok(meta.get(key)?.map_or(0, |value| value.value())) };
    let schema = number(META_SCHEMA)?;
    if schema != SCHEMA {
        return Ok((schema, Records::default()));
    }
    let mut all = Records { revision: Revision(number(META_REVISION)?), ..Records::default() };
    let table = transaction.open_table(RECORDS)?;
    for entry in table.iter()? {
        let (key, value) = entry?;
        let (revision, value) = value.value();
        all.records
            .insert(key.value().to_owned(), Stored { revision: Revision(revision), value: value.to_vec() });
    }
    Ok((schema, all))
}

fn write(database: &Database, changes: &[&Change]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(RECORDS)?;
        let mut meta = transaction.open_table(META)?;
        for change in changes {
            match &change.value {
                Some(value) => {
                    drop(table.insert(change.key.as_str(), (change.revision.0, value.as_slice()))?)
                }
                None => drop(table.remove(change.key.as_str())?),
            }
        }
        if let Some(last) = changes.last() {
            meta.insert(META_REVISION, last.revision.0)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn rewrite(database: &Database, records: &Records) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.delete_table(RECORDS)?;
    {
        let mut table = transaction.open_table(RECORDS)?;
        let mut meta = transaction.open_table(META)?;
        for (key, stored) in &records.records {
            table.insert(key.as_str(), (stored.revision.0, stored.value.as_slice()))?;
        }
        meta.insert(META_SCHEMA, SCHEMA)?;
        meta.insert(META_REVISION, records.revision.0)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A failure in words, with what to do about it.
pub(super) fn explain(path: &std::path::Path, error: &redb::Error) -> StoreError {
    let path_text = path.display();
    match error {
        redb::Error::Io(io) if io.kind() != io::ErrorKind::InvalidData => explain_io("use", path, io),
        redb::Error::DatabaseAlreadyOpen => in_use(path),
        redb::Error::UpgradeRequired(version) => StoreError::Failed(format!(
            "{path_text} has redb's file format {version}, which this polybmc does not read; use the version that wrote it"
        )),
        redb::Error::Io(_) | redb::Error::Corrupted(_) | redb::Error::RepairAborted => {
            damaged(path, &error.to_string())
        }
        other => StoreError::Failed(format!("cannot use {path_text}: {other}")),
    }
}

/// An operating system's failure in words.
pub(super) fn explain_io(what: &str, path: &std::path::Path, error: &io::Error) -> StoreError {
    let path_text = path.display();
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; give the user that polybmc runs as the right to write there, or choose another --state-dir"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; it is on a read-only file system, choose another --state-dir",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on the disk",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "; choose another --state-dir",
        _ => "",
    };
    StoreError::Failed(format!("cannot {what} {path_text}: {error}{mend}"))
}

pub(super) fn in_use(path: &std::path::Path) -> StoreError {
    let dir = path.parent().unwrap_or(path).display();
    StoreError::Failed(format!(
        "another polybmc uses this state folder ({dir}); stop it or choose another --state-dir"
    ))
}

pub(super) fn damaged(path: &std::path::Path, how: &str) -> StoreError {
    StoreError::Failed(format!(
        "{} is damaged ({how}); restore it from a backup, or move it away to begin anew without the BMCs in it",
        path.display()
    ))
}
