//! Who is asking: HTTP Basic and session tokens, against the accounts that IPMI shares (DSP0266, "Authentication").

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
#[cfg(test)]
use bmc_core::account::Secret;
use bmc_core::account::{Account, LONG_MAX_BYTES, Role};
use bmc_core::disable::{disable, held};
use bmc_core::event::EventKind;
use bmc_core::lockout::UNKNOWN_USER;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::error::Problem;
use crate::privilege::{self, Privilege};
use crate::service::Service;
use crate::session::{Fingerprint, Sessions, fingerprint};

/// The header that carries a session's token.
pub(crate) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Somebody who has proved who they are.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) role: Role,
    /// The id of the account.
    pub(crate) account: u8,
    /// The session, if it is not Basic authentication.
    pub(crate) session: Option<String>,
    /// The password has to be changed before anything else.
    pub(crate) must_change_password: bool,
}

impl Caller {
    fn new(account: &Account, session: Option<String>) -> Self {
        Self {
            user: account.name.clone(),
            role: account.role,
            account: account.id,
            session,
            must_change_password: account.password_change_required,
        }
    }

    /// Somebody who may do everything.
    #[cfg(test)]
    pub(crate) fn administrator() -> Self {
        Self::new(&Account::new(2, "admin", Secret::new("password"), Role::Administrator), None)
    }

    /// Refuses the caller without the privilege.
    pub(crate) fn require(&self, privilege: Privilege) -> Result<(), Problem> {
        if privilege::has(self.role, privilege) { Ok(()) } else { Err(Problem::forbidden()) }
    }
}

/// A caller whose answer goes on: whether they might still ask for it.
#[derive(Debug)]
pub(crate) struct Standing {
    /// An answer does not keep its service.
    service: Weak<Service>,
    user: String,
    session: Option<String>,
    /// Of the account, when the answer began.
    fingerprint: Fingerprint,
    resets: Option<u64>,
}

impl Standing {
    /// That of a caller; none when the account has changed since they were let in.
    pub(crate) fn of(service: &Arc<Service>, caller: &Caller) -> Option<Self> {
        let accounts = service.scope.accounts();
        let account =
            accounts.by_name(caller.user.as_bytes()).filter(|account| account.id == caller.account)?;
        Some(Self {
            service: Arc::downgrade(service),
            user: caller.user.clone(),
            session: caller.session.clone(),
            fingerprint: fingerprint(account),
            resets: resets(service),
        })
    }

    /// Whether the account is still there with its password and may still log in, its session is open, and the BMC was not reset. Asking
    /// is using the session.
    pub(crate) fn holds(&self) -> bool {
        let Some(service) = self.service.upgrade() else { return false };
        if resets(&service) != self.resets {
            return false;
        }
        let accounts = service.scope.accounts();
        let account = match &self.session {
            Some(id) => {
                service.heed_resets();
                service.sessions.keep(id, service.now()).and_then(|session| {
                    let account = accounts.by_name(session.user.as_bytes());
                    account.filter(|account| Sessions::is_of(&session, account))
                })
            }
            None => accounts
                .by_name(self.user.as_bytes())
                .filter(|account| fingerprint(account) == self.fingerprint),
        };
        account.is_some_and(|account| {
            privilege::has(account.role, Privilege::Login) && !account.password_change_required
        })
    }
}

/// How often the BMC was reset; none for the root over all machines.
fn resets(service: &Service) -> Option<u64> {
    service.scope.machine().map(|machine| machine.snapshot().bmc.resets)
}

/// Who sent these headers.
///
/// # Errors
/// 401 without credentials or with wrong ones. A token counts before Basic, as clients that send both mean it.
pub(crate) fn authenticate(
    service: &Service,
    headers: &HeaderMap,
    source: IpAddr,
) -> Result<Caller, Problem> {
    if let Some(token) = headers.get(X_AUTH_TOKEN) {
        return by_token(service, token.as_bytes()).ok_or_else(Problem::unauthorized);
    }
    let header = headers.get(AUTHORIZATION).ok_or_else(Problem::unauthorized)?;
    let credentials = header.to_str().ok().and_then(basic_credentials);
    let (user, password) = credentials.ok_or_else(Problem::wrong_credentials)?;
    let account = log_in(service, &user, &password, source)?;
    Ok(Caller::new(&account, None))
}

fn by_token(service: &Service, token: &[u8]) -> Option<Caller> {
    service.heed_resets();
    let session = service.sessions.by_token(token, service.now())?;
    let accounts = service.scope.accounts();
    let account =
        accounts.by_name(session.user.as_bytes()).filter(|account| Sessions::is_of(&session, account));
    let Some(account) = account else {
        service.sessions.close(&session.id);
        return None;
    };
    Some(Caller::new(account, Some(session.id)))
}

/// User and password of `Basic ...` (RFC 7617). The password may contain colons and any bytes.
fn basic_credentials(header: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

/// Checks a password, counting failures towards the lock-out that all protocols of a BMC share.
///
/// # Errors
/// 401, always the same: for an unknown user, a wrong password, a locked source and a role that may not log in.
pub(crate) fn log_in(
    service: &Service,
    user: &[u8],
    password: &[u8],
    source: IpAddr,
) -> Result<Account, Problem> {
    service.heed_resets();
    let fleet = service.scope.fleet();
    let (lockouts, bmc, now) = (fleet.lockouts(), service.scope.lockout_name(), service.now());
    let accounts = service.scope.accounts();
    // IPMI's null user has no name that HTTP could carry.
    let account = accounts.by_name(user).filter(|account| !account.name.is_empty());
    // An unknown user costs the same comparison as a known one.
    let expected = account.map_or("", |account| account.password.expose());
    let right = same(expected.as_bytes(), password);
    let counted = account.map_or(UNKNOWN_USER, |account| account.name.as_bytes());
    if lockouts.is_locked(now, &bmc, counted, source) || lockouts.is_user_locked(now, &bmc, counted) {
        return Err(Problem::wrong_credentials());
    }
    match account {
        Some(account) if right && privilege::has(account.role, Privilege::Login) => {
            lockouts.succeeded(&bmc, counted, source);
            lockouts.forgive_user(&bmc, counted);
            Ok(account.clone())
        }
        _ => {
            let here = lockouts.failed(now, &bmc, counted, source);
            let everywhere = account.and_then(|account| count_by_rule(service, account));
            // Stranger's text: the log keeps no more of it than a name can have.
            let user: String = String::from_utf8_lossy(user).chars().take(LONG_MAX_BYTES).collect();
            let source = source.to_string();
            tell(service, EventKind::LoginFailed { user: user.clone(), source: source.clone() });
            if here || everywhere.is_some() {
                let log = here || everywhere == Some(true);
                tell(service, EventKind::LockedOut { user, source, log });
            }
            Err(Problem::wrong_credentials())
        }
    }
}

/// Counts a wrong password by the rule that an administrator has set for this BMC, whatever protocol it came over; when this one locks, whether the event log is
/// to tell of it.
fn count_by_rule(service: &Service, account: &Account) -> Option<bool> {
    let machine = service.scope.machine()?;
    let threshold = machine.snapshot().settings.lan.bad_password;
    let rule = threshold.rule()?;
    let (fleet, name) = (service.scope.fleet(), account.name.as_bytes());
    let locks = fleet.lockouts().user_failed(service.now(), machine.name(), name, held(rule));
    if locks && rule.lock_for.is_none() {
        let (lockouts, clock) = (Arc::clone(fleet.lockouts()), Arc::clone(fleet.clock()));
        tokio::spawn(disable(machine.clone(), lockouts, clock, account.id, name.to_vec()));
    }
    locks.then_some(threshold.audit)
}

/// Tells of a failed login: the machine whose BMC it was, where there is one; its owner decides what of it is worth an event.
fn tell(service: &Service, event: EventKind) {
    if let Some(machine) = service.scope.machine() {
        machine.note(event);
    } else if matches!(event, EventKind::LockedOut { .. }) {
        let fleet = service.scope.fleet();
        let (bmc, time) = (service.scope.lockout_name(), fleet.clock().timestamp());
        fleet.events().emit(time, &bmc, Uuid::nil(), event);
    }
}

/// Compares without telling by its time where, or in what length, the two differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_split_at_the_first_colon() {
        let header = format!("bAsIc {}", STANDARD.encode("admin:pass:word"));
        assert_eq!(basic_credentials(&header), Some((b"admin".to_vec(), b"pass:word".to_vec())));
        for broken in ["Basic", "Basic !!!", "Bearer YTpi", "Basic YWRtaW4=", ""] {
            assert_eq!(basic_credentials(broken), None, "{broken}");
        }
    }

    #[test]
    fn passwords_are_compared_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secret", b"secre"));
        assert!(!same(b"", b"x"));
    }
}
