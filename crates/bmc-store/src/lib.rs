//! Stores for what a BMC must not forget: [`RedbStore`] on disk, and [`MemoryStore`] for tests and for daemons that shall forget.
//!
//! Both keep the contract of [`bmc_core::store`] and are held to it by the same tests. What they share, the records with their
//! revisions and the check of a batch, is [`records`]; it knows neither disk nor threads.

pub mod memory;
pub mod records;
pub mod redb_store;

pub use memory::MemoryStore;
pub use redb_store::RedbStore;

/// Longest key of a record in bytes; a longer one is refused as too large.
pub const KEY_MAX_BYTES: usize = 1024;

/// Changes a watcher may lag behind before it loses the oldest.
pub const WATCH_BACKLOG: usize = 4096;
