//! What only a store on disk can do: share flushes, meet a failing disk, a damaged file, another process, wrong rights.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Condvar, Mutex};

use bmc_core::store::Expect;
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};
use tempfile::TempDir;

use super::*;

/// A disk in memory that outlives its database and can be made to fail or to stall.
#[derive(Debug, Default)]
struct FakeDisk {
    bytes: InMemoryBackend,
    switches: Mutex<Switches>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Switches {
    full: bool,
    stalled: bool,
    stalls: usize,
    syncs: usize,
}

impl FakeDisk {
    fn switch(&self, switch: impl FnOnce(&mut Switches)) {
        switch(&mut self.switches.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_for_a_stall(&self) {
        let switches = self.switches.lock().unwrap();
        drop(self.changed.wait_while(switches, |switches| switches.stalls == 0).unwrap());
    }

    fn disk(self: &Arc<Self>) -> Disk {
        let database = self.open().unwrap();
        disk::initialise(&database).unwrap();
        let this = Arc::clone(self);
        Disk::new("fake".into(), database, Box::new(move || this.open()), None)
    }

    fn open(self: &Arc<Self>) -> Result<Database, redb::Error> {
        Ok(redb::Builder::new().create_with_backend(Handle(Arc::clone(self)))?)
    }
}

#[derive(Debug)]
struct Handle(Arc<FakeDisk>);

impl StorageBackend for Handle {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.bytes.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut switches = self.0.switches.lock().unwrap();
        if switches.stalled {
            switches.stalls += 1;
            self.0.changed.notify_all();
        }
        let mut switches = self.0.changed.wait_while(switches, |switches| switches.stalled).unwrap();
        switches.syncs += 1;
        if switches.full { Err(io::ErrorKind::StorageFull.into()) } else { self.0.bytes.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.bytes.write(offset, data)
    }
}

fn put(key: &str, expect: Expect) -> Vec<Write> {
    vec![Write { key: key.to_owned(), expect, value: Some(key.as_bytes().to_vec()) }]
}

fn message(result: Result<RedbStore, StoreError>) -> String {
    match result {
        Err(StoreError::Failed(message)) => message,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A folder with a store of some hundred records.
async fn filled() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let batch = (0..300).flat_map(|index| put(&format!("machine/node-{index}"), Expect::Absent)).collect();
    store.commit(batch).await.unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_during_a_flush_shares_the_next_and_fails_alone() {
    const WAITING: usize = 50;
    let fake = Arc::new(FakeDisk::default());
    let store = Arc::new(RedbStore::on(fake.disk()).unwrap());
    store.commit(put("a", Expect::Absent)).await.unwrap();
    let one = {
        let before = fake.switches.lock().unwrap().syncs;
        store.commit(put("b", Expect::Absent)).await.unwrap();
        fake.switches.lock().unwrap().syncs - before
    };
    fake.switch(|switches| switches.stalled = true);
    let spawn = |batch| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(batch).await })
    };
    let first = spawn(put("first", Expect::Absent));
    fake.wait_for_a_stall();
    assert_eq!(store.get("first").await, Ok(None), "not durable, so not to be seen");
    let before = fake.switches.lock().unwrap().syncs;
    // Every other one expects something that is not so.
    let waiting: Vec<_> = (0..WAITING)
        .map(|index| {
            spawn(if index % 2 == 0 {
                put(&format!("w/{index}"), Expect::Absent)
            } else {
                put("a", Expect::Absent)
            })
        })
        .collect();
    let queue = store.queue.as_ref().unwrap();
    while queue.max_capacity() - queue.capacity() < WAITING {
        tokio::task::yield_now().await;
    }
    fake.switch(|switches| switches.stalled = false);
    first.await.unwrap().unwrap();
    for (index, task) in waiting.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().is_ok(), index % 2 == 0);
    }
    let syncs = fake.switches.lock().unwrap().syncs - before;
    assert_eq!(syncs, 2 * one, "one flush for the first, one for all that waited");
    assert_eq!(store.list("w/").await.unwrap().len(), WAITING / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_the_commit_and_a_mended_one_goes_on() {
    let fake = Arc::new(FakeDisk::default());
    let store = RedbStore::on(fake.disk()).unwrap();
    let first = store.commit(put("a", Expect::Absent)).await.unwrap();
    let mut watch = store.watch();
    fake.switch(|switches| switches.full = true);
    for _ in 0..3 {
        let Err(StoreError::Failed(text)) = store.commit(put("b", Expect::Absent)).await else {
            panic!("disk full")
        };
        assert!(text.contains("make room"), "{text}");
    }
    assert_eq!(store.get("b").await, Ok(None));
    assert!(watch.try_recv().is_err());
    fake.switch(|switches| switches.full = false);
    let next = store.commit(put("c", Expect::Absent)).await.unwrap();
    assert!(next > first);
    drop(store);

    let disk =
        Disk::new("fake".into(), fake.open().unwrap(), Box::new(|| Err(redb::Error::DatabaseClosed)), None);
    let store = RedbStore::on(disk).unwrap();
    let keys: Vec<String> = store.list("").await.unwrap().into_iter().map(|record| record.key).collect();
    assert_eq!(keys, ["a", "c"], "what failed must not come back after a restart");
}

#[tokio::test]
async fn folder_and_files_are_for_the_owner_only() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("deep/state");
    drop(RedbStore::open(&state).unwrap());
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join(DATABASE_FILE)), 0o600);
    assert_eq!(mode(&state.join(LOCK_FILE)), 0o600);
    fs::set_permissions(state.join(DATABASE_FILE), fs::Permissions::from_mode(0o644)).unwrap();
    drop(RedbStore::open(&state).unwrap());
    assert_eq!(mode(&state.join(DATABASE_FILE)), 0o600);
}

#[tokio::test]
async fn a_second_user_is_turned_away_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let first = RedbStore::open(dir.path()).unwrap();
    let text = message(RedbStore::open(dir.path()));
    assert!(text.contains("another polybmc uses this state folder"), "{text}");
    drop(first);
    RedbStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn commits_under_way_are_finished_when_the_store_is_dropped() {
    let dir = TempDir::new().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let mut commits: Vec<_> =
        (0..100).map(|index| store.commit(put(&format!("{index:03}"), Expect::Absent))).collect();
    for commit in &mut commits {
        // Once polled, a commit is in the queue.
        assert!(futures_poll(commit).is_none());
    }
    drop(commits);
    drop(store);
    let store = RedbStore::open(dir.path()).unwrap();
    assert_eq!(store.list("").await.unwrap().len(), 100);
}

/// Polls once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn an_interrupted_creation_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("polybmc.redb.new"), b"half").unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    store.commit(put("a", Expect::Absent)).await.unwrap();
    assert!(!dir.path().join("polybmc.redb.new").exists());
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_damage_and_left_alone() {
    let text: &[u8] = b"this is not a database";
    for bytes in [&[][..], text, &text.repeat(1000)[..]] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(DATABASE_FILE);
        fs::write(&path, bytes).unwrap();
        let text = message(RedbStore::open(dir.path()));
        assert!(text.contains("is damaged") && text.contains("backup"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_file_cut_short_is_damage() {
    let dir = filled().await;
    let path = dir.path().join(DATABASE_FILE);
    let length = fs::metadata(&path).unwrap().len();
    for keep in [1, length / 4, length / 2, length - 4096] {
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..usize::try_from(keep).unwrap()]).unwrap();
        let text = message(RedbStore::open(dir.path()));
        assert!(text.contains("damaged"), "{keep}: {text}");
        fs::write(&path, whole).unwrap();
    }
    RedbStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_is_never_served_as_data() {
    let dir = filled().await;
    let path = dir.path().join(DATABASE_FILE);
    let expected = {
        let store = RedbStore::open(dir.path()).unwrap();
        store.list("").await.unwrap()
    };
    let whole = fs::read(&path).unwrap();
    let mut found = 0;
    for offset in (0..whole.len()).step_by(whole.len() / 150) {
        let mut flipped = whole.clone();
        flipped[offset] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        match RedbStore::open(dir.path()) {
            Err(StoreError::Failed(text)) => {
                assert!(!text.is_empty());
                found += 1;
            }
            Ok(store) => assert_eq!(store.list("").await.unwrap(), expected, "offset {offset}"),
            Err(other) => panic!("{other}"),
        }
    }
    // Much of the file is free pages, where a flipped bit is harmless.
    assert!(found > 0, "no flip was noticed");
}

#[tokio::test]
async fn a_newer_layout_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    drop(RedbStore::open(dir.path()).unwrap());
    {
        let database = Database::open(dir.path().join(DATABASE_FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
        transaction.open_table(meta).unwrap().insert("schema", 2).unwrap();
        transaction.commit().unwrap();
    }
    let text = message(RedbStore::open(dir.path()));
    assert!(text.contains("newer polybmc"), "{text}");
}

#[tokio::test]
async fn places_where_nothing_can_be_written_are_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let text = message(RedbStore::open(&file));
    assert!(text.contains(&*file.to_string_lossy()) && text.contains("--state-dir"), "{text}");
    // The kernel's own folder takes no files from anybody, not even from root.
    let text = message(RedbStore::open("/proc"));
    assert!(text.contains("/proc"), "{text}");
    for (kind, mend) in [
        (io::ErrorKind::PermissionDenied, "the right to write"),
        (io::ErrorKind::ReadOnlyFilesystem, "read-only file system"),
        (io::ErrorKind::StorageFull, "make room"),
    ] {
        let text = disk::explain_io("open", &file, &kind.into()).to_string();
        assert!(text.contains(mend), "{text}");
    }
}
