//! Virtual media: what a client asks of a BMC's drives, and the contract of whoever fetches images for them.
//!
//! ```text
//!   insert ─► fetched by the MediaLibrary ─► put into the drive by the backend ─► shown, and held until ejected
//!                 │ fails: nothing stays          │ fails: the image is released
//! ```
//!
//! The drives are the BMC's own, beside those that the machine has: a machine's own drives are never touched.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::Secret;

/// Longest URI of an image in bytes; the schema has no bound, and what is longer is no address but a load.
pub const IMAGE_URI_MAX_BYTES: usize = 4096;
/// Longest user name or password for a media server in bytes.
pub const MEDIA_CREDENTIAL_MAX_BYTES: usize = 256;

/// A drive of the BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaSlot {
    /// A CD or DVD drive.
    Cd,
    /// A removable USB disk; for clients that bring configuration on a floppy or a stick.
    Usb,
}

impl MediaSlot {
    /// Every drive, in the order in which clients see them.
    pub const ALL: [Self; 2] = [Self::Cd, Self::Usb];

    /// The name in the CLI and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cd => "cd",
            Self::Usb => "usb",
        }
    }
}

/// How an image is asked to be transferred (Redfish `TransferMethod`). Either way it is copied before the machine sees it; the wish is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferMethod {
    /// Read from its source while it is used.
    Stream,
    /// Copied first.
    #[default]
    Upload,
}

/// What is asked of the drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaRequest {
    /// Fetches an image and puts it into a drive, in place of what is in it. Answered when it is in, or when it cannot be: at the latest
    /// when the library's and the backend's own limits have passed. The image that is in already is fine; the same request while it
    /// is carried out joins it. Never starts the machine, never touches its boot override.
    Insert(Box<InsertMedia>),
    /// Empties a drive; an insert that is under way ends. An empty drive is fine.
    Eject(MediaSlot),
}

/// An image to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertMedia {
    /// Into which drive.
    pub slot: MediaSlot,
    /// Where it lies: `http:`, `https:` or `file:`, without user information; at most [`IMAGE_URI_MAX_BYTES`].
    pub image: String,
    /// Who asks there; at most [`MEDIA_CREDENTIAL_MAX_BYTES`].
    pub username: Option<String>,
    /// With which password. Never stored.
    pub password: Option<Secret>,
    /// Whether the machine may not write to it. A CD never can be written to.
    pub write_protected: bool,
    /// How the client wants it transferred.
    pub method: TransferMethod,
    /// Where whoever asks sees how far it has come.
    pub transfer: Transfer,
}

/// How far the fetching of an image has come, seen from outside. Cheap to clone; all clones tell the same. Any two are equal: it is no part of
/// what is asked for.
#[derive(Clone, Debug, Default)]
pub struct Transfer(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    received: AtomicU64,
    /// 0 while it is not known.
    total: AtomicU64,
    /// Whose counts are shown instead.
    of: OnceLock<Transfer>,
}

impl PartialEq for Transfer {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Transfer {}

impl Transfer {
    /// Notes how many bytes there are, and how many there will be in all where that is known.
    pub fn note(&self, received: u64, total: Option<u64>) {
        self.0.total.store(total.unwrap_or(0), Ordering::Relaxed);
        self.0.received.store(received, Ordering::Relaxed);
    }

    /// Shows what `other` shows from now on, the first that was named. It must not follow this one in turn.
    pub fn follow(&self, other: &Self) {
        if !Arc::ptr_eq(&self.0, &other.0) {
            // Who follows somebody already goes on doing so.
            let _ = self.0.of.set(other.clone());
        }
    }

    /// How much of the image is there, 0 to 99: it has come when the fetching ends, and not before. `None` while its length is not known.
    pub fn percent(&self) -> Option<u8> {
        let mut shown = self;
        while let Some(other) = shown.0.of.get() {
            shown = other;
        }
        let received = shown.0.received.load(Ordering::Relaxed);
        let percent = received.saturating_mul(100).checked_div(shown.0.total.load(Ordering::Relaxed))?;
        Some(u8::try_from(percent).unwrap_or(99).min(99))
    }
}

/// What a library is asked to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSource {
    /// See [`InsertMedia::image`].
    pub uri: String,
    /// See [`InsertMedia::username`].
    pub username: Option<String>,
    /// See [`InsertMedia::password`].
    pub password: Option<Secret>,
    /// Whether a server's certificate has to be good.
    pub verify_certificate: bool,
    /// Certificates, as PEM, that are trusted beside those that the system trusts.
    pub certificates: Vec<String>,
    /// The holder will write to it: a copy of its own is needed.
    pub private: bool,
    /// Largest image in bytes, where that is less than the library's own bound.
    pub max_bytes: Option<u64>,
    /// Where whoever asks sees how far it has come.
    pub transfer: Transfer,
}

/// An image that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedImage {
    /// The copy. It stays as it is until it is released.
    pub file: PathBuf,
    /// What to release it by.
    pub lease: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its content, in lower-case hexadecimal.
    pub sha256: String,
}

/// Fetches images and keeps them while they are in use. What several holders fetch is one file.
#[async_trait]
pub trait MediaLibrary: Send + Sync + 'static {
    /// Fetches an image. Ends within a bound of the library's own. Dropping the future ends the fetching; nothing is left behind then,
    /// and likewise after a failure.
    ///
    /// # Errors
    /// See [`MediaErrorKind`].
    async fn fetch(&self, source: &MediaSource) -> Result<FetchedImage, MediaError>;

    /// Gives an image back. A lease that is not known is fine.
    fn release(&self, lease: &str);
}

/// The kind of a failure to get an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaErrorKind {
    /// The URI cannot be understood.
    Uri,
    /// The URI's protocol is not one that is spoken here.
    Protocol,
    /// No connection: no such host, nobody listens, no TLS.
    Unreachable,
    /// The server's certificate is not to be trusted.
    Certificate,
    /// The server wants other credentials, or the file may not be read.
    Denied,
    /// There is no such image.
    Missing,
    /// The server answered with a failure of its own, or in a way that cannot be followed.
    Server,
    /// It broke off, or its length is not what was announced.
    Broken,
    /// It is larger than allowed.
    TooLarge,
    /// It took too long.
    Timeout,
    /// There is no place for it.
    NoSpace,
    /// It was ejected before it was in.
    Cancelled,
    /// Anything else; the fault is on this side.
    Internal,
}

impl MediaErrorKind {
    /// Every kind, for the frontends' tables and their tests.
    pub const ALL: [Self; 13] = [
        Self::Uri,
        Self::Protocol,
        Self::Unreachable,
        Self::Certificate,
        Self::Denied,
        Self::Missing,
        Self::Server,
        Self::Broken,
        Self::TooLarge,
        Self::Timeout,
        Self::NoSpace,
        Self::Cancelled,
        Self::Internal,
    ];
}

/// Why an image could not be had: a kind for machines, a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct MediaError {
    /// What kind of failure.
    pub kind: MediaErrorKind,
    /// The image, without credentials.
    pub uri: String,
    /// What happened, without secrets.
    pub message: String,
}

impl MediaError {
    /// A failure of `kind` to get `uri`.
    pub fn new(kind: MediaErrorKind, uri: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, uri: uri.into(), message: message.into() }
    }
}

/// An image as a backend puts it into a drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaImage {
    /// Into which drive.
    pub slot: MediaSlot,
    /// The image's file on this host.
    pub file: PathBuf,
    /// The image's own name, for people.
    pub name: String,
    /// Whether the machine may not write to it.
    pub write_protected: bool,
}

/// The last part of an image's URI: what people call the image.
pub fn image_name(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_called_by_the_end_of_its_path() {
        for (uri, name) in [
            ("http://host/a/live.iso", "live.iso"),
            ("http://host/a/live.iso?token=1/2#x", "live.iso"),
            ("file:///srv/a.img", "a.img"),
            ("http://host/", "host"),
            ("http://host", "host"),
            ("", ""),
        ] {
            assert_eq!(image_name(uri), name, "{uri}");
        }
    }

    #[test]
    fn a_drive_has_one_name() {
        for slot in MediaSlot::ALL {
            assert_eq!(serde_json::to_value(slot).unwrap(), slot.as_str());
        }
    }
}
