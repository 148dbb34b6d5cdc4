//! The room of the spool: what its images take, what of it nobody needs, and who makes way.
//!
//! An image that came with what tells whether it is still the same stays when the last machine has given it up, so that the next one
//! does not fetch it again. Such images go when their own limit is passed, when all images together would pass theirs, and
//! when the disk is full; those that were not in any drive for longest go first.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

/// An image of the spool. When nobody knows it any more its file goes.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) file: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    _share: Share,
    /// How many leases there are on it.
    holders: AtomicUsize,
    /// The daemon ends, the image stays.
    stays: AtomicBool,
}

impl Content {
    pub(crate) fn new(file: PathBuf, size: u64, sha256: String, share: Share) -> Self {
        Self {
            file,
            size,
            sha256,
            _share: share,
            holders: AtomicUsize::new(0),
            stays: AtomicBool::new(false),
        }
    }

    /// Whether its file is as it was: somebody may have cleaned up.
    pub(crate) fn is_whole(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.is_file() && file.len() == self.size)
    }

    pub(crate) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.holders.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if self.stays.load(Ordering::Relaxed) {
            return;
        }
        // The name goes at once. The disk's work, which is long for a large file, comes when it is closed: where nobody waits for it.
        let file = std::fs::File::open(&self.file);
        remove(&self.file);
        if let (Ok(file), Ok(runtime)) = (file, Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(file)));
        }
    }
}

fn remove(file: &Path) {
    if let Err(error) = std::fs::remove_file(file) {
        tracing::warn!(file = %file.display(), %error, "an image cannot be removed");
    }
}

/// Bytes that somebody has of the room. Dropped, they are free.
#[derive(Debug)]
pub(crate) struct Share {
    bytes: u64,
    used: Arc<AtomicU64>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Who has what of the spool's room.
#[derive(Debug)]
pub(crate) struct Room {
    /// What all images may take.
    limit: u64,
    /// What those may take that are in no drive.
    unused_limit: u64,
    used: Arc<AtomicU64>,
    /// The images that may stay without being in a drive, the one that was last in use at the end.
    kept: Mutex<Vec<Arc<Content>>>,
}

impl Room {
    pub(crate) fn new(limit: u64, unused_limit: u64) -> Self {
        Self { limit, unused_limit, used: Arc::default(), kept: Mutex::default() }
    }

    /// What all images may take.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Content>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was there before: whatever the limits say now.
    pub(crate) fn there_already(&self, bytes: u64) -> Share {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Share { bytes, used: Arc::clone(&self.used) }
    }

    /// A share of nothing yet.
    pub(crate) fn nothing(&self) -> Share {
        self.there_already(0)
    }

    /// Makes a share at least this large, at the cost of what nobody needs. False where there is no room for it.
    pub(crate) async fn grow(&self, share: &mut Share, bytes: u64) -> bool {
        let more = bytes.saturating_sub(share.bytes);
        loop {
            let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= self.limit)
            });
            if taken.is_ok() {
                share.bytes += more;
                return true;
            }
            if !self.make_way().await {
                return false;
            }
        }
    }

    /// Gives back what a share has beyond this.
    pub(crate) fn shrink(&self, share: &mut Share, bytes: u64) {
        let less = share.bytes.saturating_sub(bytes);
        share.bytes -= less;
        self.used.fetch_sub(less, Ordering::Relaxed);
    }

    /// Removes the image that nobody has needed for longest. False where there is none.
    pub(crate) async fn make_way(&self) -> bool {
        let oldest = {
            let mut kept = self.kept();
            let oldest = kept.iter().position(|content| !content.is_held());
            oldest.map(|oldest| kept.remove(oldest))
        };
        let Some(oldest) = oldest else { return false };
        tracing::debug!(file = %oldest.file.display(), "an image that is in no drive makes way");
        // Whoever asked needs the room now, so it is waited for; where nobody waits.
        let removed = tokio::task::spawn_blocking(move || {
            if let Some(content) = Arc::into_inner(oldest) {
                remove(&content.file);
                content.stay();
            }
        });
        // A removal that panics has removed nothing, which shows at the next look.
        let _ = removed.await;
        true
    }

    /// This image may stay when nobody has it in a drive any more.
    pub(crate) fn keep(&self, content: &Arc<Content>) {
        let mut kept = self.kept();
        if !kept.iter().any(|other| Arc::ptr_eq(other, content)) {
            kept.push(Arc::clone(content));
        }
    }

    /// One more has this image in a drive.
    pub(crate) fn hold(&self, content: &Arc<Content>) {
        content.holders.fetch_add(1, Ordering::Relaxed);
        used_last(&mut self.kept(), content);
    }

    /// One has it no longer.
    pub(crate) fn let_go(&self, content: &Arc<Content>) {
        let mut kept = self.kept();
        content.holders.fetch_sub(1, Ordering::Relaxed);
        used_last(&mut kept, content);
        let unused = |content: &&Arc<Content>| !content.is_held();
        let mut excess = kept
            .iter()
            .filter(unused)
            .map(|content| content.size)
            .sum::<u64>()
            .saturating_sub(self.unused_limit);
        let mut gone = Vec::new();
        while excess > 0
            && let Some(oldest) = kept.iter().position(|content| !content.is_held())
        {
            let content = kept.remove(oldest);
            excess = excess.saturating_sub(content.size);
            gone.push(content);
        }
        drop(kept);
        // Outside the lock, which a slow disk must not hold.
        drop(gone);
    }

    /// Forgets what it keeps.
    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut *self.kept());
        drop(kept);
    }
}

fn used_last(kept: &mut Vec<Arc<Content>>, content: &Arc<Content>) {
    if let Some(at) = kept.iter().position(|other| Arc::ptr_eq(other, content)) {
        let content = kept.remove(at);
        kept.push(content);
    }
}
