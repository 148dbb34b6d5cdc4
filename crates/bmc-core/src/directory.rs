//! A table of users that belongs to no machine: who may log in to the root over all machines. Kept in the store, like a BMC's own.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::account::{AccountError, Accounts, Secret};
use crate::store::{Expect, Store, StoreError, Write};

/// Where the table lies in the store.
const KEY: &str = "redfish/accounts";

/// The durable state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DirectoryRecord {
    accounts: Accounts,
    /// The administrator as the configuration last named it: a changed configuration is applied, an unchanged one does not undo what a
    /// client set since.
    configured_administrator: (String, Secret),
}

/// Why there is no table.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The administrator's name or password.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored cannot be read; it is left as it is.
    #[error("the stored accounts of the root over all BMCs cannot be read ({0})")]
    Record(String),
}

/// Why a change was not made.
#[derive(Debug, PartialEq, Eq)]
pub enum ChangeError<E> {
    /// The change itself refused.
    Refused(E),
    /// It could not be made durable.
    Store(StoreError),
}

/// The users. Reads never wait; changes are made one after the other, and are durable when they return.
pub struct Directory {
    store: Arc<dyn Store>,
    present: RwLock<Arc<Accounts>>,
    record: Mutex<DirectoryRecord>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    /// Takes up what is stored, with the administrator whom the configuration names.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn open(store: Arc<dyn Store>, name: &str, password: Secret) -> Result<Self, DirectoryError> {
        let configured = (name.to_owned(), password.clone());
        let stored = store.get(KEY).await?;
        let record = match &stored {
            Some(stored) => {
                let mut record: DirectoryRecord = serde_json::from_slice(&stored.value)
                    .map_err(|error| DirectoryError::Record(error.to_string()))?;
                if record.configured_administrator != configured {
                    record.accounts.set_administrator_without_ipmi(name, password)?;
                    record.configured_administrator = configured;
                    commit(store.as_ref(), &record).await?;
                }
                record
            }
            // Nothing is stored before somebody changes something: then the configuration alone rules.
            None => DirectoryRecord {
                accounts: Accounts::without_ipmi(name, password)?,
                configured_administrator: configured,
            },
        };
        let present = RwLock::new(Arc::new(record.accounts.clone()));
        Ok(Self { store, present, record: Mutex::new(record) })
    }

    /// The users as they are.
    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the table by what `change` makes of it; nobody else changes it in between.
    ///
    /// # Errors
    /// See [`ChangeError`]; then nothing is changed.
    pub async fn change<T, E>(
        &self,
        change: impl FnOnce(&Accounts) -> Result<(Accounts, T), E>,
    ) -> Result<T, ChangeError<E>> {
        let mut record = self.record.lock().await;
        let (accounts, answer) = change(&record.accounts).map_err(ChangeError::Refused)?;
        if accounts != record.accounts {
            let next = DirectoryRecord { accounts, ..record.clone() };
            commit(self.store.as_ref(), &next).await.map_err(ChangeError::Store)?;
            *self.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next.accounts.clone());
            *record = next;
        }
        Ok(answer)
    }
}

async fn commit(store: &dyn Store, record: &DirectoryRecord) -> Result<(), StoreError> {
    let value = serde_json::to_vec(record).map_err(|error| StoreError::Failed(error.to_string()))?;
    let write = Write { key: KEY.to_owned(), expect: Expect::Anything, value: Some(value) };
    store.commit(vec![write]).await.map(drop)
}
