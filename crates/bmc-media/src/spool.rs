//! The spool: which images there are, and who holds them.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use bmc_core::media::{FetchedImage, MediaError, MediaErrorKind, MediaLibrary, MediaSource, Transfer};
use bmc_core::settings::media::Medium;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use crate::download::{Download, Got, Validator};
use crate::limits::Limits;
use crate::local;
use crate::partial::{Partial, Whole};
use crate::room::{Content, Room};
use crate::trust::Trust;

/// The hypervisor may go through the folder, nobody may list it.
const FOLDER_MODE: u32 = 0o711;
/// The folder of the spool's own, in the one that it is given: what else lies there is somebody else's.
const OWN_FOLDER: &str = "spool";

/// A folder of images, and who fetches them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    limits: Limits,
    trust: Trust,
    turns: Semaphore,
    room: Arc<Room>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who holds what.
    leases: HashMap<String, Arc<Content>>,
    /// What there is, by SHA-256; and by how it was fetched, with what tells whether it is still the same.
    by_hash: HashMap<String, Weak<Content>>,
    by_uri: HashMap<Way, (Validator, Weak<Content>)>,
    /// What is being fetched.
    under_way: HashMap<Asked, Weak<Flight>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.leases.values().for_each(|content| content.stay());
        // What is in no drive does not outlive the daemon: what would tell whether it is still the same does not either.
        self.room.clear();
    }
}

/// What makes two fetches one: the same image, asked for by the same right, with the same trust. The password only as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    way: Way,
    username: Option<String>,
    password: Option<String>,
    max_bytes: Option<u64>,
}

/// Where an image comes from, and who is trusted to be that: what came unverified is nothing to who wants it verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Way {
    uri: String,
    verify: bool,
    certificates: Vec<String>,
}

type Landed = Option<Result<Arc<Content>, MediaError>>;

/// A fetch that is under way. It ends with the last who waits for it.
#[derive(Debug)]
struct Flight {
    landed: watch::Receiver<Landed>,
    /// How far it has come.
    transfer: Transfer,
    task: AbortHandle,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Spool {
    /// Opens the spool in a sub-folder of its own, `spool`, of `folder`; both are made if need be. `held` is what was in use when the
    /// daemon last ran; what images else lie in the sub-folder were left by accident and are removed. Nothing but images of the spool
    /// is, and what else is in `folder` is left alone, as are its permissions if it was there.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path, limits: Limits, held: &[Medium]) -> io::Result<Self> {
        let own = folder.join(OWN_FOLDER);
        if !folder.exists() {
            make(folder)?;
        }
        make(&own)?;
        let folder = own.as_path();
        let mut state = State::default();
        let room = Arc::new(Room::new(limits.spool_bytes, limits.cache_bytes));
        for medium in
            held.iter().filter(|medium| medium.file.parent() == Some(folder) && medium.file.is_file())
        {
            let there = state.leases.values().find(|content| content.file == medium.file).cloned();
            let content = there.unwrap_or_else(|| {
                let share = room.there_already(medium.size);
                Arc::new(Content::new(medium.file.clone(), medium.size, medium.sha256.clone(), share))
            });
            if medium.write_protected {
                state.by_hash.insert(medium.sha256.clone(), Arc::downgrade(&content));
            }
            room.hold(&content);
            state.leases.insert(medium.lease.clone(), content);
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if is_ours(&path)
                && !state.leases.values().any(|content| content.file == path)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(file = %path.display(), %error, "what is in nobody's use cannot be removed");
            }
        }
        let turns = Semaphore::new(limits.downloads.max(1));
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            limits,
            trust: Trust::default(),
            turns,
            room,
            state: Mutex::new(state),
        })))
    }

    /// The fetch that `source` is part of, begun if need be.
    fn join(&self, source: &MediaSource) -> Arc<Flight> {
        let asked = asked(source);
        let mut state = self.0.state();
        state.under_way.retain(|_, flight| flight.strong_count() > 0);
        // What will be written to is nobody else's.
        let there = state.under_way.get(&asked).filter(|_| !source.private).and_then(Weak::upgrade);
        if let Some(flight) = there.filter(|flight| flight.landed.borrow().is_none()) {
            return flight;
        }
        let (sender, landed) = watch::channel(None);
        // The task must not keep the spool: a daemon that ends waits for nothing.
        let (inner, transfer) = (Arc::clone(&self.0), Transfer::default());
        let source = MediaSource { transfer: transfer.clone(), ..source.clone() };
        let private = source.private;
        let task = tokio::spawn(async move {
            let content = inner.fetch(&source).await;
            sender.send_replace(Some(content));
        });
        let flight = Arc::new(Flight { landed, transfer, task: task.abort_handle() });
        if !private {
            state.under_way.insert(asked, Arc::downgrade(&flight));
        }
        flight
    }
}

#[async_trait]
impl MediaLibrary for Spool {
    async fn fetch(&self, source: &MediaSource) -> Result<FetchedImage, MediaError> {
        let flight = self.join(source);
        source.transfer.follow(&flight.transfer);
        let mut landed = flight.landed.clone();
        let landed = landed.wait_for(Option::is_some).await;
        let content = match landed.map(|landed| landed.clone()) {
            Ok(Some(content)) => content?,
            Ok(None) | Err(_) => {
                return Err(MediaError::new(
                    MediaErrorKind::Internal,
                    &source.uri,
                    "the download broke down",
                ));
            }
        };
        let image = FetchedImage {
            file: content.file.clone(),
            lease: Uuid::new_v4().to_string(),
            size: content.size,
            sha256: content.sha256.clone(),
        };
        self.0.room.hold(&content);
        self.0.state().leases.insert(image.lease.clone(), content);
        Ok(image)
    }

    fn release(&self, lease: &str) {
        let content = self.0.state().leases.remove(lease);
        // Its file may go now: outside the lock, which a slow disk must not hold.
        if let Some(content) = content {
            self.0.room.let_go(&content);
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, source: &MediaSource) -> Result<Arc<Content>, MediaError> {
        let fetched = async {
            let _turn = self.turns.acquire().await;
            self.fetch_in_turn(source).await
        };
        timeout(self.limits.total, fetched).await.unwrap_or_else(|_| {
            let message = format!("it took longer than {} seconds", self.limits.total.as_secs());
            Err(MediaError::new(MediaErrorKind::Timeout, &source.uri, message))
        })
    }

    async fn fetch_in_turn(&self, source: &MediaSource) -> Result<Arc<Content>, MediaError> {
        let url = Url::parse(&source.uri).map_err(|error| {
            MediaError::new(MediaErrorKind::Uri, &source.uri, format!("this is no URI: {error}"))
        })?;
        let limit = source.max_bytes.map_or(self.limits.bytes, |bytes| bytes.min(self.limits.bytes));
        let file = Partial::create(&self.folder, &source.uri, limit, &self.room).await?;
        let mut file = file.watched(source.transfer.clone());
        match url.scheme() {
            "file" => {
                local::copy(&source.uri, &url, &self.limits.folders, &mut file).await?;
                Ok(self.keep(file.finish().await?, source, None))
            }
            "http" | "https" => {
                let known = self.known(source);
                let download = Download::new(source, url, &self.limits, &self.trust)?;
                match download.run(&mut file, known.as_ref().map(|(validator, _)| validator)).await? {
                    Got::New(validator) => Ok(self.keep(file.finish().await?, source, validator)),
                    Got::Unchanged => known.map(|(_, content)| content).ok_or_else(|| {
                        let message = "the server says that an image is unchanged that it was not asked for";
                        MediaError::new(MediaErrorKind::Server, &source.uri, message)
                    }),
                }
            }
            scheme => {
                let message = format!("{scheme} is not spoken here; use http, https or file");
                Err(MediaError::new(MediaErrorKind::Protocol, &source.uri, message))
            }
        }
    }

    /// The image that came from there last, if it is still there.
    fn known(&self, source: &MediaSource) -> Option<(Validator, Arc<Content>)> {
        if source.private {
            return None;
        }
        let state = self.state();
        let (validator, content) = state.by_uri.get(&way(source))?;
        let content = content.upgrade()?;
        let validator = validator.clone();
        drop(state);
        content.is_whole().then_some((validator, content))
    }

    /// Takes an image in; one of the same content that is there already takes its place.
    fn keep(&self, whole: Whole, source: &MediaSource, validator: Option<Validator>) -> Arc<Content> {
        let new = Arc::new(Content::new(whole.path, whole.size, whole.sha256, whole.share));
        if source.private {
            return new;
        }
        let there = self.state().by_hash.get(&new.sha256).and_then(Weak::upgrade);
        // Asked outside the lock, which a slow disk must not hold.
        let content = there.filter(|content| content.is_whole()).unwrap_or_else(|| Arc::clone(&new));
        let mut state = self.state();
        state.by_hash.retain(|_, content| content.strong_count() > 0);
        state.by_uri.retain(|_, (_, content)| content.strong_count() > 0);
        state.by_hash.insert(content.sha256.clone(), Arc::downgrade(&content));
        match validator {
            Some(validator) => {
                self.room.keep(&content);
                state.by_uri.insert(way(source), (validator, Arc::downgrade(&content)));
            }
            None => drop(state.by_uri.remove(&way(source))),
        }
        drop(state);
        content
    }
}

fn asked(source: &MediaSource) -> Asked {
    let password = source.password.as_ref().map(|password| hex::encode(Sha256::digest(password.expose())));
    Asked { way: way(source), username: source.username.clone(), password, max_bytes: source.max_bytes }
}

fn way(source: &MediaSource) -> Way {
    Way {
        uri: source.uri.clone(),
        verify: source.verify_certificate,
        certificates: source.certificates.clone(),
    }
}

/// Makes a folder that the hypervisor may go through, whatever the process's mask says.
fn make(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(FOLDER_MODE))
}

/// Whether it is a file that the spool made, by its name.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| Uuid::try_parse(name).is_ok_and(|uuid| uuid.to_string() == name))
        && path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
}
