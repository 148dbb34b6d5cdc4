//! Images of this host: `file:` URIs within folders that the configuration allows.
//!
//! The name is resolved first, and where it leads is asked of what it led to: nobody can change a name or a link in between. Only what lies
//! in an allowed folder is opened at all: to open a device or a pipe may do something to this host. It is copied, so that what changes
//! there later does not change under a machine.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use bmc_core::media::{MediaError, MediaErrorKind};
use rustix::fs::{Mode, OFlags};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::partial::Partial;

/// What is read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Copies the file that `url` names, which was asked for as `uri`.
pub(crate) async fn copy(
    uri: &str,
    url: &Url,
    folders: &[PathBuf],
    into: &mut Partial,
) -> Result<(), MediaError> {
    let refused = |message: String| MediaError::new(MediaErrorKind::Denied, uri, message);
    let host = url.host_str().filter(|host| *host != "localhost");
    let path = url.to_file_path().ok().filter(|_| host.is_none()).ok_or_else(|| {
        MediaError::new(MediaErrorKind::Uri, uri, "a file's URI is `file:///PATH`, on this host")
    })?;
    if folders.is_empty() {
        let message = "files of this host may not be inserted; name their folders in `folders` in [media] of the configuration";
        return Err(refused(message.to_owned()));
    }
    let opened = tokio::task::spawn_blocking({
        let (path, folders) = (path.clone(), folders.to_vec());
        move || open(&path, &folders)
    });
    let opened = opened.await.unwrap_or_else(|error| Err(Refusal::Other(error.to_string())));
    let file = opened.map_err(|refusal| match refusal {
        // What lies outside is not told apart from what is not there: nobody may search this host by inserting.
        Refusal::Outside => refused(format!("{} is not in an allowed folder", path.display())),
        Refusal::NoFile => MediaError::new(
            MediaErrorKind::Missing,
            uri,
            format!("{} is no file that can be read", path.display()),
        ),
        Refusal::Other(reason) => MediaError::new(MediaErrorKind::Internal, uri, reason),
    })?;
    let mut file = File::from_std(file);
    if let Ok(metadata) = file.metadata().await {
        into.announce(metadata.len()).await?;
    }
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).await.map_err(|error| {
            MediaError::new(MediaErrorKind::Broken, uri, format!("the file cannot be read: {error}"))
        })?;
        match chunk.get(..read) {
            Some([]) | None => return Ok(()),
            Some(bytes) => into.write(bytes).await?,
        }
    }
}

enum Refusal {
    Outside,
    NoFile,
    Other(String),
}

fn open(path: &Path, folders: &[PathBuf]) -> Result<std::fs::File, Refusal> {
    let allowed = |real: &Path| {
        folders.iter().filter_map(|folder| folder.canonicalize().ok()).any(|folder| real.starts_with(folder))
    };
    // Only the place: neither a device nor a pipe notices.
    let place = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    // What is not there at all is looked at as far as it is: its folder must be allowed.
    let Ok(place) = place.map(std::fs::File::from) else {
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        return Err(if folder.is_some_and(|folder| allowed(&folder)) {
            Refusal::NoFile
        } else {
            Refusal::Outside
        });
    };
    let handle = format!("/proc/self/fd/{}", place.as_raw_fd());
    let real = std::fs::read_link(&handle);
    let real = real.map_err(|error| Refusal::Other(format!("/proc cannot be read: {error}")))?;
    if !allowed(&real) {
        return Err(Refusal::Outside);
    }
    if !place.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Refusal::NoFile);
    }
    std::fs::File::open(handle).map_err(|_| Refusal::NoFile)
}
