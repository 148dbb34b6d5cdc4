//! What was acknowledged survives `kill -9` at any moment.
//!
//! The parent runs this same test program again as its child. The child counts up several counters, each by compare-and-swap and each
//! together with a twin, and says so on its standard output after the commit was acknowledged. The parent kills it, opens the store
//! and looks.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly too")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bmc_core::store::{Expect, Store, Write};
use bmc_store::RedbStore;
use tempfile::TempDir;

/// Tells the child where to write; its absence makes the child's test do nothing.
const DIR_VARIABLE: &str = "BMC_STORE_CRASH_DIR";
const ROUNDS: u64 = 20;
const COUNTERS: usize = 4;
const ACKNOWLEDGED: &str = "acknowledged";

async fn read(store: &RedbStore, key: &str) -> Option<(bmc_core::store::Revision, u64)> {
    let record = store.get(key).await.unwrap()?;
    let value = u64::from_le_bytes(record.value.try_into().unwrap());
    Some((record.revision, value))
}

async fn count(store: Arc<RedbStore>, counter: usize) {
    let (key, twin) = (format!("counter/{counter}"), format!("twin/{counter}"));
    loop {
        let (expect, value) = match read(&store, &key).await {
            Some((revision, value)) => (Expect::At(revision), value + 1),
            None => (Expect::Absent, 1),
        };
        let bytes = Some(value.to_le_bytes().to_vec());
        let batch = vec![
            Write { key: key.clone(), expect, value: bytes.clone() },
            Write { key: twin.clone(), expect: Expect::Anything, value: bytes },
        ];
        store.commit(batch).await.unwrap();
        // Straight to the file descriptor: the test harness captures what print! writes.
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{ACKNOWLEDGED} {counter} {value}").unwrap();
        stdout.flush().unwrap();
    }
}

/// Not a test of its own: the child's body.
#[test]
fn child_counts_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(RedbStore::open(dir).unwrap());
        let counters: Vec<_> =
            (0..COUNTERS).map(|counter| tokio::spawn(count(Arc::clone(&store), counter))).collect();
        for counter in counters {
            counter.await.unwrap();
        }
    });
}

/// Runs a child, kills it after `acknowledgements` of them (at once if 0), and returns the last value acknowledged of each counter.
fn crash(dir: &Path, acknowledgements: u64) -> BTreeMap<usize, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_counts_until_it_is_killed", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = BTreeMap::new();
    let mut seen = 0;
    if acknowledgements == 0 {
        child.kill().unwrap();
    }
    // What the child wrote before it died is still in the pipe, and was acknowledged.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(rest) = line.strip_prefix(ACKNOWLEDGED) else { continue };
        let mut numbers = rest.split_whitespace().map(|number| number.parse::<u64>().unwrap());
        let (counter, value) = (numbers.next().unwrap(), numbers.next().unwrap());
        last.insert(usize::try_from(counter).unwrap(), value);
        seen += 1;
        if seen == acknowledgements {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "the child ends only by being killed: {status}");
    last
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let dir = TempDir::new().unwrap();
    let mut before = [0; COUNTERS];
    let mut crashes = 0;
    // A fixed sequence that looks random: the moments differ, the test does not.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let acknowledgements = if round % 5 == 0 { 0 } else { 1 + (random >> 33) % 60 };
        let last = crash(dir.path(), acknowledgements);
        crashes += u64::from(!last.is_empty());
        let store = RedbStore::open(dir.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for (counter, before) in before.iter_mut().enumerate() {
                let found = read(&store, &format!("counter/{counter}")).await.map_or(0, |(_, value)| value);
                let twin = read(&store, &format!("twin/{counter}")).await.map_or(0, |(_, value)| value);
                let acknowledged = last.get(&counter).copied().unwrap_or(*before);
                assert!(
                    found == acknowledged || found == acknowledged + 1,
                    "round {round}: counter {counter} is {found}, but {acknowledged} was acknowledged last"
                );
                assert_eq!(found, twin, "round {round}: half a batch of counter {counter}");
                *before = found;
            }
        });
    }
    assert_eq!(crashes, ROUNDS - ROUNDS.div_ceil(5), "every round that was to write did");
}
