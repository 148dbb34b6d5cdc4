//! Who is asking: HTTP Basic and session tokens, against the accounts that IPMI shares (DSP0266, "Authentication").

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bmc_core::account::{Account, Role, USER_NAME_MAX_BYTES};
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
use crate::session::Sessions;

/// The header that carries a session's token.
pub(crate) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Somebody who has proved who they are.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) role: Role,
}

impl Caller {
    /// Refuses the caller without the privilege.
    pub(crate) fn require(&self, privilege: Privilege) -> Result<(), Problem> {
        if privilege::has(self.role, privilege) { Ok(()) } else { Err(Problem::forbidden()) }
    }
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
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (user, password) = header.and_then(basic_credentials).ok_or_else(Problem::unauthorized)?;
    let account = log_in(service, &user, &password, source)?;
    Ok(Caller { user: account.name, role: account.role })
}

fn by_token(service: &Service, token: &[u8]) -> Option<Caller> {
    let session = service.sessions.by_token(token, service.now())?;
    let accounts = service.scope.accounts();
    let account =
        accounts.by_name(session.user.as_bytes()).filter(|account| Sessions::is_of(&session, account));
    let Some(account) = account else {
        service.sessions.close(&session.id);
        return None;
    };
    Some(Caller { user: account.name.clone(), role: account.role })
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
    let fleet = service.scope.fleet();
    let (lockouts, bmc, now) = (fleet.lockouts(), service.scope.lockout_name(), service.now());
    let accounts = service.scope.accounts();
    // IPMI's null user has no name that HTTP could carry.
    let account = accounts.by_name(user).filter(|account| !account.name.is_empty());
    // An unknown user costs the same comparison as a known one.
    let expected = account.map_or("", |account| account.password.expose());
    let right = same(expected.as_bytes(), password);
    let counted = account.map_or(&UNKNOWN_USER[..], |account| account.name.as_bytes());
    if lockouts.is_locked(now, &bmc, counted, source) {
        return Err(Problem::unauthorized());
    }
    match account {
        Some(account) if right && privilege::has(account.role, Privilege::Login) => {
            lockouts.succeeded(&bmc, counted, source);
            Ok(account.clone())
        }
        _ => {
            let locks = lockouts.failed(now, &bmc, counted, source);
            // Stranger's text: the log keeps no more of it than a name can have.
            let user: String = String::from_utf8_lossy(user).chars().take(USER_NAME_MAX_BYTES).collect();
            let source = source.to_string();
            tell(service, EventKind::LoginFailed { user: user.clone(), source: source.clone() });
            if locks {
                tell(service, EventKind::LockedOut { user, source });
            }
            Err(Problem::unauthorized())
        }
    }
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
