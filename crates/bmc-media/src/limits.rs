//! What bounds a fetch.

use std::path::PathBuf;
use std::time::Duration;

/// Redirections that are followed, one after the other.
pub const REDIRECTS_MAX: usize = 5;
/// How often a download that broke off is taken up again.
pub const RESUMES_MAX: usize = 5;

/// Settings of a [`Spool`](crate::Spool).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest image in bytes.
    pub bytes: u64,
    /// What all images together may take of the disk, in bytes.
    pub spool_bytes: u64,
    /// What those of them may take that nobody has in a drive any more; 0: they go at once.
    pub cache_bytes: u64,
    /// Longest time one image may take, from the first connection to the last byte.
    pub total: Duration,
    /// Longest time without any byte from the server, and for its name and connection.
    pub stall: Duration,
    /// Downloads at a time; more wait for their turn, which counts for their time.
    pub downloads: usize,
    /// Folders whose files may be inserted by a `file:` URI; none by default.
    pub folders: Vec<PathBuf>,
    /// A file with certificates, as PEM, that are trusted beside those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Default for Limits {
    /// A live image of a distribution fits, over a slow line too; a stalled server is told from a slow one within half a minute.
    fn default() -> Self {
        Self {
            bytes: 32 << 30,
            spool_bytes: 128 << 30,
            cache_bytes: 8 << 30,
            total: Duration::from_secs(60 * 60),
            stall: Duration::from_secs(30),
            downloads: 8,
            folders: Vec::new(),
            ca_file: None,
        }
    }
}
