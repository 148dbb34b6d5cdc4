//! Login sessions (DSP0266, "Redfish session login authentication").
//!
//! ```text
//!            POST Sessions                     DELETE, unused for SessionTimeout, open for AbsoluteSessionTimeout,
//!   (none) ────────────────► open ─────────────────────────────────────────────► gone
//!                            │  ▲              account gone or password changed, BMC reset
//!                            └──┘ any request with its token
//! ```
//!
//! Sessions live in memory and end with the service, as on a BMC that restarts.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bmc_core::account::{Account, Accounts};
use bmc_core::bmc::BmcState;
use jiff::Timestamp;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

/// Random bytes in a token; shown as twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 24;
/// Random bytes in a session's id.
const ID_BYTES: usize = 5;
/// Shortest `SessionTimeout` and `AbsoluteSessionTimeout` (SessionService schema).
pub(crate) const TIMEOUT_MIN: Duration = Duration::from_secs(30);
/// Longest `SessionTimeout` and `AbsoluteSessionTimeout` (SessionService schema).
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(86_400);

type TokenDigest = [u8; 32];

/// How long a session may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long it may stay unused.
    pub(crate) unused: Duration,
    /// How long it may be open, used or not, where [`absolute_enabled`](Self::absolute_enabled).
    pub(crate) absolute: Duration,
    /// Whether that is heeded.
    pub(crate) absolute_enabled: bool,
}

impl Limits {
    /// Those of a service that starts.
    fn new(unused: Duration) -> Self {
        let unused = unused.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        Self { unused, absolute: TIMEOUT_MAX, absolute_enabled: false }
    }
}

/// A digest of an account's name and password. A short password can be guessed from it, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(TokenDigest);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// One open session, as shown.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) created: Timestamp,
    pub(crate) origin: IpAddr,
    /// What the client wants to know it by.
    pub(crate) context: Option<String>,
    /// Of the account's name and password at login: a changed password ends its sessions.
    fingerprint: Fingerprint,
    /// Of the account as the session's own user is about to make it: what is told of the change must not find the session of before.
    expected: Option<Fingerprint>,
    opened: Instant,
    last_used: Instant,
}

/// Why a session is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// As many are open as may be.
    Limit,
    /// The operating system gave no random bytes.
    Randomness,
}

#[derive(Debug)]
struct Table {
    /// Keyed by the token's digest, so that a look-up's time says nothing about tokens.
    open: HashMap<TokenDigest, Session>,
    limits: Limits,
    /// Resets of the BMC, and the cold ones of them, as far as they are known here.
    resets: (u64, u64),
}

/// The sessions of one service.
#[derive(Debug)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
    max: usize,
    /// The limits until a client sets others.
    limits: Limits,
}

impl Sessions {
    pub(crate) fn new(max: usize, timeout: Duration) -> Self {
        let limits = Limits::new(timeout);
        Self { table: Mutex::new(Table { open: HashMap::new(), limits, resets: (0, 0) }), max, limits }
    }

    /// Opens a session for an account whose password was checked; returns it and its token.
    pub(crate) fn open(
        &self,
        account: &Account,
        origin: IpAddr,
        context: Option<String>,
        now: Instant,
        created: Timestamp,
    ) -> Result<(Session, String), OpenError> {
        let token = random_hex::<TOKEN_BYTES>()?;
        let id = random_hex::<ID_BYTES>()?;
        let mut table = self.live(now);
        if table.open.len() >= self.max {
            return Err(OpenError::Limit);
        }
        let user = account.name.clone();
        let fingerprint = fingerprint(account);
        let expected = None;
        let (opened, last_used) = (now, now);
        let session =
            Session { id, user, created, origin, context, fingerprint, expected, opened, last_used };
        table.open.insert(digest(token.as_bytes()), session.clone());
        Ok((session, token))
    }

    /// The session of a token, now used once more.
    pub(crate) fn by_token(&self, token: &[u8], now: Instant) -> Option<Session> {
        let mut table = self.live(now);
        let session = table.open.get_mut(&digest(token))?;
        session.last_used = now;
        Some(session.clone())
    }

    /// The session with this id, now used once more.
    pub(crate) fn keep(&self, id: &str, now: Instant) -> Option<Session> {
        let mut table = self.live(now);
        let session = table.open.values_mut().find(|session| session.id == id)?;
        session.last_used = now;
        Some(session.clone())
    }

    /// The BMC has been reset so often; if that is news, all sessions end, and a cold reset forgets the limits, which are not kept.
    pub(crate) fn end_older(&self, bmc: &BmcState) {
        let mut table = self.lock();
        let resets = (bmc.resets, bmc.cold_resets);
        let (_, cold_before) = table.resets;
        if table.resets != resets {
            table.resets = resets;
            table.open.clear();
        }
        if cold_before != bmc.cold_resets {
            table.limits = self.limits;
        }
    }

    /// Whether an account is still the one that opened the session.
    pub(crate) fn is_of(session: &Session, account: &Account) -> bool {
        let present = fingerprint(account);
        session.fingerprint == present || session.expected.as_ref() == Some(&present)
    }

    /// The own account of a session is about to become this one, or, after all, is not.
    pub(crate) fn expect(&self, id: &str, account: Option<&Account>) {
        for session in self.lock().open.values_mut().filter(|session| session.id == id) {
            session.expected = account.map(fingerprint);
        }
    }

    /// The session with this id. Looking is not using.
    pub(crate) fn by_id(&self, id: &str, now: Instant) -> Option<Session> {
        self.live(now).open.values().find(|session| session.id == id).cloned()
    }

    /// All open sessions, the oldest first.
    pub(crate) fn all(&self, now: Instant) -> Vec<Session> {
        let mut sessions: Vec<Session> = self.live(now).open.values().cloned().collect();
        sessions.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        sessions
    }

    /// Ends the sessions whose accounts may no longer log in as they did.
    pub(crate) fn end_stale(&self, accounts: &Accounts) {
        let is_live = |session: &Session| {
            accounts.by_name(session.user.as_bytes()).is_some_and(|account| Self::is_of(session, account))
        };
        self.lock().open.retain(|_, session| is_live(session));
    }

    /// Lets a session go on in which the account's own name or password was changed.
    pub(crate) fn renew(&self, id: &str, account: &Account) {
        for session in self.lock().open.values_mut().filter(|session| session.id == id) {
            session.user.clone_from(&account.name);
            session.fingerprint = fingerprint(account);
            session.expected = None;
        }
    }

    /// Ends a session; `false` when there is none with this id.
    pub(crate) fn close(&self, id: &str) -> bool {
        let mut table = self.lock();
        let before = table.open.len();
        table.open.retain(|_, session| session.id != id);
        table.open.len() < before
    }

    /// How long a session may last.
    pub(crate) fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// Changes that, for open sessions too, to what `decide` makes of the present limits; nobody else changes them in between.
    pub(crate) fn change_limits<E>(
        &self,
        decide: impl FnOnce(Limits) -> Result<Limits, E>,
    ) -> Result<Limits, E> {
        let mut table = self.lock();
        table.limits = decide(table.limits)?;
        Ok(table.limits)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table without what has timed out.
    fn live(&self, now: Instant) -> MutexGuard<'_, Table> {
        let mut table = self.lock();
        let limits = table.limits;
        table.open.retain(|_, session| {
            let over =
                limits.absolute_enabled && now.saturating_duration_since(session.opened) >= limits.absolute;
            !over && now.saturating_duration_since(session.last_used) < limits.unused
        });
        table
    }
}

fn digest(bytes: &[u8]) -> TokenDigest {
    Sha256::digest(bytes).into()
}

/// That of an account as it is.
pub(crate) fn fingerprint(account: &Account) -> Fingerprint {
    let mut digest = Sha256::new();
    digest.update(account.name.as_bytes());
    digest.update([0]);
    digest.update(account.password.expose().as_bytes());
    Fingerprint(digest.finalize().into())
}

fn random_hex<const BYTES: usize>() -> Result<String, OpenError> {
    let mut bytes = [0; BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| OpenError::Randomness)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use bmc_core::account::{Role, Secret};

    use super::*;

    #[test]
    fn debug_output_tells_nothing_of_password_or_token() {
        let password = Secret::new("password");
        let account = Account::new(2, "admin", password, Role::Administrator);
        let sessions = Sessions::new(1, TIMEOUT_MIN);
        let now = Instant::now();
        let origin = IpAddr::from([127, 0, 0, 1]);
        let (_, token) = sessions.open(&account, origin, None, now, Timestamp::UNIX_EPOCH).unwrap();
        let shown = format!("{sessions:?}");
        assert!(shown.contains("admin") && !shown.contains(&token));
        assert!(!shown.contains(&format!("{:?}", fingerprint(&account).0)), "{shown}");
    }
}
