//! A file of the spool that is being written. Dropped before it is whole, it is removed.

use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bmc_core::media::{MediaError, MediaErrorKind, Transfer};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use uuid::Uuid;

use crate::room::{Room, Share};

/// What is gathered before it is written.
const BUFFER_BYTES: usize = 256 << 10;
/// Who is not polybmc may read an image: the hypervisor runs as somebody else. The names cannot be guessed and the folder not listed.
const MODE_WHOLE: u32 = 0o644;
const MODE_PARTIAL: u32 = 0o600;
/// What is left free of the disk: an image must not keep the daemon from storing its state.
const RESERVED_BYTES: u64 = 64 << 20;
/// After how many bytes the disk is looked at again: others fill it at the same time, and not every length is announced.
const CHECK_BYTES: u64 = 2 << 20;

/// A file that is on its way.
#[derive(Debug)]
pub(crate) struct Partial {
    path: Remove,
    uri: String,
    file: BufWriter<File>,
    hash: Sha256,
    length: u64,
    limit: u64,
    reserved: u64,
    /// The length from which on the disk is looked at again.
    check_at: u64,
    room: Arc<Room>,
    /// What it has of the room: what was announced, and no less than it is long.
    share: Share,
    /// The whole length, where the source says it.
    whole: Option<u64>,
    /// Who waits sees by it how far it has come.
    transfer: Transfer,
}

/// A file that is whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) share: Share,
}

/// Removes a file when dropped.
#[derive(Debug)]
struct Remove(Option<PathBuf>);

impl Drop for Remove {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What is not there needs no removing.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Partial {
    /// A new file in `folder` for the image at `uri`, of at most `limit` bytes, which are of this room.
    pub(crate) async fn create(
        folder: &Path,
        uri: &str,
        limit: u64,
        room: &Arc<Room>,
    ) -> Result<Self, MediaError> {
        let path = folder.join(Uuid::new_v4().to_string());
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(MODE_PARTIAL);
        let file = tokio::fs::OpenOptions::from(options).open(&path).await;
        let file = file.map_err(|error| disk(uri, folder, &error))?;
        Ok(Self {
            path: Remove(Some(path)),
            uri: uri.to_owned(),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hash: Sha256::new(),
            length: 0,
            limit,
            reserved: RESERVED_BYTES,
            check_at: 0,
            room: Arc::clone(room),
            share: room.nothing(),
            whole: None,
            transfer: Transfer::default(),
        })
    }

    /// The same, watched by who waits for it.
    pub(crate) fn watched(self, transfer: Transfer) -> Self {
        Self { transfer, ..self }
    }

    /// The bytes so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn folder(&self) -> &Path {
        self.path.0.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"))
    }

    /// Takes the whole length, and says early that what will come has no place.
    pub(crate) async fn announce(&mut self, length: u64) -> Result<(), MediaError> {
        self.whole = Some(length);
        if length > self.limit {
            return Err(self.too_large(Some(length)));
        }
        self.take(length).await?;
        let to_come = length.saturating_sub(self.length);
        self.room_for(to_come, || format!("the image has {length} bytes, and ")).await
    }

    /// Takes so much of the spool's room in all.
    async fn take(&mut self, bytes: u64) -> Result<(), MediaError> {
        if self.room.grow(&mut self.share, bytes).await {
            return Ok(());
        }
        let message = format!(
            "all images together may have {} bytes; eject what is no longer needed, or allow more by `spool_max_mib` in [media] of the configuration",
            self.room.limit()
        );
        Err(MediaError::new(MediaErrorKind::NoSpace, &self.uri, message))
    }

    /// Sees to it that the disk has room, at the cost of what nobody needs.
    async fn room_for(&self, bytes: u64, what: impl FnOnce() -> String) -> Result<(), MediaError> {
        let free = loop {
            let Ok(disk) = rustix::fs::statvfs(self.folder()) else { return Ok(()) };
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if bytes <= free.saturating_sub(self.reserved) {
                return Ok(());
            }
            if !self.room.make_way().await {
                break free;
            }
        };
        let message = format!(
            "{}{} has {free} bytes free; make room there, or eject what is no longer needed",
            what(),
            self.folder().display()
        );
        Err(MediaError::new(MediaErrorKind::NoSpace, &self.uri, message))
    }

    /// Adds bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        if bytes.len() as u64 > self.limit.saturating_sub(self.length) {
            return Err(self.too_large(None));
        }
        self.take(self.length + bytes.len() as u64).await?;
        if self.length >= self.check_at {
            self.room_for(bytes.len() as u64, String::new).await?;
            self.check_at = self.length.saturating_add(CHECK_BYTES);
        }
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        self.transfer.note(self.length, self.whole);
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| disk(&self.uri, self.folder(), &error))
    }

    /// Forgets what was written.
    pub(crate) async fn restart(&mut self) -> Result<(), MediaError> {
        self.hash = Sha256::new();
        self.length = 0;
        self.check_at = 0;
        self.whole = None;
        let emptied = async {
            self.file.flush().await?;
            self.file.get_mut().set_len(0).await?;
            self.file.rewind().await.map(drop)
        };
        let emptied = emptied.await;
        emptied.map_err(|error| disk(&self.uri, self.folder(), &error))
    }

    /// Ends it: everything is on the disk, and others may read it.
    pub(crate) async fn finish(mut self) -> Result<Whole, MediaError> {
        let stored = async {
            self.file.flush().await?;
            let file = self.file.get_mut();
            file.set_permissions(std::fs::Permissions::from_mode(MODE_WHOLE)).await?;
            file.sync_all().await
        };
        let stored = stored.await;
        stored.map_err(|error| disk(&self.uri, self.folder(), &error))?;
        // A local file may have become shorter while it was read.
        self.room.shrink(&mut self.share, self.length);
        let sha256 = hex::encode(self.hash.finalize());
        let path = self.path.0.take().unwrap_or_default();
        Ok(Whole { path, size: self.length, sha256, share: self.share })
    }

    fn too_large(&self, length: Option<u64>) -> MediaError {
        let has = length.map_or("more than that".to_owned(), |length| format!("{length}"));
        let message = format!(
            "an image may have {} bytes, and this one has {has}; `max_size_mib` in [media] of the configuration allows more",
            self.limit
        );
        MediaError::new(MediaErrorKind::TooLarge, &self.uri, message)
    }
}

/// A failure of the spool's disk.
fn disk(uri: &str, folder: &Path, error: &io::Error) -> MediaError {
    let full = [Errno::NOSPC, Errno::DQUOT].map(Errno::raw_os_error);
    if error.raw_os_error().is_some_and(|code| full.contains(&code)) {
        let message = format!(
            "no space is left in {}; make room there, or eject what is no longer needed",
            folder.display()
        );
        return MediaError::new(MediaErrorKind::NoSpace, uri, message);
    }
    MediaError::new(
        MediaErrorKind::Internal,
        uri,
        format!("{} cannot be written to: {error}", folder.display()),
    )
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_disk_that_others_fill_meanwhile_is_noticed() {
        let folder = TempDir::new().unwrap();
        let mut file =
            Partial::create(folder.path(), "http://x/", u64::MAX, &Arc::new(Room::new(u64::MAX, 0)))
                .await
                .unwrap();
        file.announce(1).await.unwrap();
        file.write(b"first").await.unwrap();
        // Somebody else has taken the rest.
        file.reserved = u64::MAX;
        let chunk = vec![0; 1 << 20];
        let mut written = 0;
        let error = loop {
            match file.write(&chunk).await {
                Ok(()) => written += chunk.len() as u64,
                Err(error) => break error,
            }
            assert!(written <= CHECK_BYTES, "the disk was not looked at again");
        };
        assert_eq!(error.kind, MediaErrorKind::NoSpace, "{error}");
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
