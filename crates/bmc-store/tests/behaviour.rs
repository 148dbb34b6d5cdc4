//! The contract of a store, held against both of ours, and against a model by random commits.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly too")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bmc_core::store::{Change, Expect, RECORD_MAX_BYTES, Revision, Store, StoreError, Write};
use bmc_store::{KEY_MAX_BYTES, MemoryStore, RedbStore, WATCH_BACKLOG};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Both stores, empty. The folder is removed after its store is closed.
fn stores() -> Vec<(&'static str, Arc<dyn Store>, Option<TempDir>)> {
    let dir = TempDir::new().unwrap();
    let redb = RedbStore::open(dir.path()).unwrap();
    vec![("memory", Arc::new(MemoryStore::new()), None), ("redb", Arc::new(redb), Some(dir))]
}

fn put(key: &str, expect: Expect, value: &str) -> Write {
    Write { key: key.to_owned(), expect, value: Some(value.as_bytes().to_vec()) }
}

fn delete(key: &str, expect: Expect) -> Write {
    Write { key: key.to_owned(), expect, value: None }
}

fn conflict(key: &str) -> Result<Revision, StoreError> {
    Err(StoreError::Conflict { key: key.to_owned() })
}

async fn value(store: &dyn Store, key: &str) -> Option<String> {
    store.get(key).await.unwrap().map(|record| String::from_utf8(record.value).unwrap())
}

#[tokio::test]
async fn what_is_written_is_read_with_its_revision() {
    for (name, store, _dir) in stores() {
        assert_eq!(store.get("a").await, Ok(None), "{name}");
        let first = store.commit(vec![put("a", Expect::Anything, "1")]).await.unwrap();
        let second = store.commit(vec![put("b", Expect::Anything, "2")]).await.unwrap();
        assert!(second > first, "{name}: revisions grow");
        let record = store.get("a").await.unwrap().unwrap();
        assert_eq!(
            (record.key.as_str(), record.revision, record.value),
            ("a", first, b"1".to_vec()),
            "{name}"
        );
        let third = store.commit(vec![delete("a", Expect::Anything)]).await.unwrap();
        assert!(third > second, "{name}: deleting is a commit");
        assert_eq!(store.get("a").await, Ok(None), "{name}");
        assert_eq!(store.commit(Vec::new()).await, Ok(third), "{name}: nothing to do is no commit");
    }
}

#[tokio::test]
async fn a_prefix_lists_its_records_in_order() {
    for (name, store, _dir) in stores() {
        for key in ["machine/b", "machine/a", "machine", "machine0", "bmc/a", "machine/\u{10ffff}"] {
            store.commit(vec![put(key, Expect::Anything, key)]).await.unwrap();
        }
        let keys = |records: Vec<bmc_core::store::Record>| -> Vec<String> {
            records.into_iter().map(|record| record.key).collect()
        };
        let listed = keys(store.list("machine/").await.unwrap());
        assert_eq!(listed, ["machine/a", "machine/b", "machine/\u{10ffff}"], "{name}");
        assert_eq!(store.list("").await.unwrap().len(), 6, "{name}");
        assert!(store.list("zzz").await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn expectations_are_held_to() {
    for (name, store, _dir) in stores() {
        let first = store.commit(vec![put("a", Expect::Absent, "1")]).await.unwrap();
        assert_eq!(store.commit(vec![put("a", Expect::Absent, "x")]).await, conflict("a"), "{name}");
        let second = store.commit(vec![put("a", Expect::At(first), "2")]).await.unwrap();
        assert_eq!(store.commit(vec![put("a", Expect::At(first), "x")]).await, conflict("a"), "{name}");
        assert_eq!(store.commit(vec![put("none", Expect::At(first), "x")]).await, conflict("none"), "{name}");
        assert_eq!(store.commit(vec![delete("a", Expect::At(first))]).await, conflict("a"), "{name}");
        assert_eq!(value(&*store, "a").await.as_deref(), Some("2"), "{name}");
        store.commit(vec![delete("a", Expect::At(second))]).await.unwrap();
        store.commit(vec![put("a", Expect::Absent, "3")]).await.unwrap();
        assert_eq!(
            store.commit(vec![put("a", Expect::At(second), "x")]).await,
            conflict("a"),
            "{name}: a record that came anew is not the old one"
        );
    }
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    for (name, store, _dir) in stores() {
        store.commit(vec![put("there", Expect::Anything, "old")]).await.unwrap();
        let mut watch = store.watch();
        let batch = vec![put("a", Expect::Absent, "1"), put("there", Expect::Absent, "new")];
        assert_eq!(store.commit(batch).await, conflict("there"), "{name}");
        assert_eq!(store.get("a").await, Ok(None), "{name}");
        assert_eq!(watch.try_recv(), Err(TryRecvError::Empty), "{name}: nothing happened");
        let batch = vec![put("a", Expect::Absent, "1"), delete("there", Expect::Anything)];
        let revision = store.commit(batch).await.unwrap();
        assert_eq!(store.get("a").await.unwrap().unwrap().revision, revision, "{name}");
        assert_eq!(store.get("there").await, Ok(None), "{name}");
        let batch = vec![put("twice", Expect::Absent, "1"), put("twice", Expect::Absent, "2")];
        store.commit(batch).await.unwrap();
        assert_eq!(value(&*store, "twice").await.as_deref(), Some("2"), "{name}: the last write holds");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    for (name, store, _dir) in stores() {
        let sized = |bytes: usize| {
            vec![Write { key: "a".to_owned(), expect: Expect::Anything, value: Some(vec![7; bytes]) }]
        };
        assert_eq!(
            store.commit(sized(RECORD_MAX_BYTES + 1)).await,
            Err(StoreError::TooLarge { key: "a".to_owned() }),
            "{name}"
        );
        store.commit(sized(RECORD_MAX_BYTES)).await.unwrap();
        let long = "k".repeat(KEY_MAX_BYTES + 1);
        assert_eq!(
            store.commit(vec![put(&long, Expect::Anything, "")]).await,
            Err(StoreError::TooLarge { key: long.clone() }),
            "{name}"
        );
        store.commit(vec![put(&long[1..], Expect::Anything, "")]).await.unwrap();
    }
}

#[tokio::test]
async fn watchers_see_every_change_in_order() {
    for (name, store, _dir) in stores() {
        store.commit(vec![put("before", Expect::Anything, "")]).await.unwrap();
        let mut watch = store.watch();
        let revision = store
            .commit(vec![put("a", Expect::Anything, "1"), put("b", Expect::Anything, "2")])
            .await
            .unwrap();
        let deleted = store.commit(vec![delete("a", Expect::Anything)]).await.unwrap();
        let mut seen = Vec::new();
        while let Ok(Change { key, revision, value }) = watch.try_recv() {
            seen.push((key, revision, value));
        }
        assert_eq!(
            seen,
            [
                ("a".to_owned(), revision, Some(b"1".to_vec())),
                ("b".to_owned(), revision, Some(b"2".to_vec())),
                ("a".to_owned(), deleted, None),
            ],
            "{name}: and all of it before the commit returned"
        );
    }
}

#[tokio::test]
async fn a_watcher_that_lags_is_told() {
    let store = MemoryStore::new();
    let mut watch = store.watch();
    for _ in 0..=WATCH_BACKLOG {
        store.commit(vec![put("a", Expect::Anything, "")]).await.unwrap();
    }
    assert_eq!(watch.recv().await, Err(RecvError::Lagged(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_with_one_expectation_one_wins() {
    const WRITERS: usize = 64;
    for (name, store, _dir) in stores() {
        let base = store.commit(vec![put("a", Expect::Anything, "base")]).await.unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = Arc::clone(&store);
                let batch = vec![
                    put("a", Expect::At(base), &writer.to_string()),
                    put(&format!("won/{writer}"), Expect::Absent, ""),
                ];
                tokio::spawn(async move { store.commit(batch).await })
            })
            .collect();
        let mut won = Vec::new();
        for (writer, task) in writers.into_iter().enumerate() {
            match task.await.unwrap() {
                Ok(_) => won.push(writer),
                lost => assert_eq!(lost, conflict("a"), "{name}"),
            }
        }
        assert_eq!(won.len(), 1, "{name}");
        assert_eq!(value(&*store, "a").await, Some(won[0].to_string()), "{name}");
        assert_eq!(store.list("won/").await.unwrap().len(), 1, "{name}: losers left nothing behind");
    }
}

/// One write of a random batch; revisions are named by how many commits ago they were.
#[derive(Clone, Debug)]
struct Step {
    key: u8,
    expect: u8,
    value: Option<u8>,
}

fn batches() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = (0..4_u8, 0..6_u8, proptest::option::weighted(0.7, any::<u8>()))
        .prop_map(|(key, expect, value)| Step { key, expect, value });
    proptest::collection::vec(proptest::collection::vec(step, 0..4), 1..40)
}

/// The contract in a few lines: what a commit comes to, and what is there afterwards.
fn model(
    records: &mut BTreeMap<String, (Revision, Vec<u8>)>,
    revision: &mut Revision,
    batch: &[Write],
) -> Result<Revision, StoreError> {
    for write in batch {
        let found = records.get(&write.key).map(|(revision, _)| *revision);
        let met = match write.expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::At(revision) => found == Some(revision),
        };
        if !met {
            return Err(StoreError::Conflict { key: write.key.clone() });
        }
    }
    if !batch.is_empty() {
        revision.0 += 1;
    }
    for write in batch {
        match &write.value {
            Some(value) => drop(records.insert(write.key.clone(), (*revision, value.clone()))),
            None => drop(records.remove(&write.key)),
        }
    }
    Ok(*revision)
}

async fn agrees(store: &dyn Store, batches: Vec<Vec<Step>>) {
    let (mut records, mut revision) = (BTreeMap::new(), Revision::default());
    for steps in batches {
        let batch: Vec<Write> = steps
            .iter()
            .map(|step| Write {
                key: format!("key/{}", step.key),
                expect: match step.expect {
                    0 | 1 => Expect::Anything,
                    2 => Expect::Absent,
                    ago => Expect::At(Revision(revision.0.saturating_sub(u64::from(ago - 3)))),
                },
                value: step.value.map(|value| vec![value]),
            })
            .collect();
        let expected = model(&mut records, &mut revision, &batch);
        assert_eq!(store.commit(batch).await, expected);
        let found: BTreeMap<_, _> = store
            .list("")
            .await
            .unwrap()
            .into_iter()
            .map(|record| (record.key, (record.revision, record.value)))
            .collect();
        assert_eq!(found, records);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn memory_agrees_with_the_model(batches in batches()) {
        block_on(agrees(&MemoryStore::new(), batches));
    }
}

proptest! {
    // Each case makes a file and flushes it a few dozen times.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn redb_agrees_with_the_model_and_remembers(batches in batches()) {
        let dir = TempDir::new().unwrap();
        let store = RedbStore::open(dir.path()).unwrap();
        let before = block_on(async {
            agrees(&store, batches).await;
            (store.list("").await.unwrap(), store.commit(Vec::new()).await.unwrap())
        });
        drop(store);
        let store = RedbStore::open(dir.path()).unwrap();
        let after = block_on(async { (store.list("").await.unwrap(), store.commit(Vec::new()).await.unwrap()) });
        prop_assert_eq!(after, before);
    }
}
