//! What became of accounts, told from the table before and after: so that no door can change one and say nothing of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::account::{Account, Accounts, NULL_USER_ID, Role};
use crate::event::EventKind;

/// The name by which events call the null user; no account's name has a space.
const NULL_USER: &str = "(null user)";

/// In which way an account is another than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChange {
    /// It has another name.
    Renamed {
        /// The name of before.
        from: String,
    },
    /// It has another password.
    Password,
    /// Its user may log in again.
    Enabled,
    /// Its user may not log in any more.
    Disabled,
    /// It may do more or less.
    Role {
        /// The role of before.
        from: Role,
        /// The new one.
        to: Role,
    },
    /// Something else of what it may do.
    Rights,
}

impl Accounts {
    /// The events that tell how `self` became `after`, in order of id; none where nothing of an account is another. An entry without a name is none yet, except for
    /// the null user's.
    pub fn changes(&self, after: &Self) -> Vec<EventKind> {
        let ids: BTreeSet<u8> = self.iter().chain(after.iter()).map(|account| account.id).collect();
        ids.into_iter().flat_map(|id| changes_of(self.get(id).ok(), after.get(id).ok())).collect()
    }
}

fn name(account: &Account) -> String {
    let name = if account.id == NULL_USER_ID { NULL_USER } else { &account.name };
    name.to_owned()
}

fn changes_of(before: Option<Account>, after: Option<Account>) -> Vec<EventKind> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let (id, user) = (after.id, name(&after));
    match (name(&before).is_empty(), user.is_empty()) {
        (true, true) => return Vec::new(),
        (true, false) => return vec![EventKind::AccountCreated { account: id, user }],
        (false, true) => return vec![EventKind::AccountRemoved { account: id, user: name(&before) }],
        (false, false) => {}
    }
    let mut changes = Vec::new();
    if before.name != after.name {
        changes.push(AccountChange::Renamed { from: before.name.clone() });
    }
    if before.password != after.password {
        changes.push(AccountChange::Password);
    }
    if before.role != after.role {
        changes.push(AccountChange::Role { from: before.role, to: after.role });
    }
    match (before.enabled, after.enabled) {
        (false, true) => changes.push(AccountChange::Enabled),
        (true, false) => changes.push(AccountChange::Disabled),
        _ => {}
    }
    let told = Account {
        name: after.name.clone(),
        password: after.password.clone(),
        password_size: after.password_size,
        role: after.role,
        enabled: after.enabled,
        ..before
    };
    if told != after {
        changes.push(AccountChange::Rights);
    }
    let event = |change| EventKind::AccountChanged { account: id, user: user.clone(), change };
    changes.into_iter().map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Secret;

    /// What an edit of account 3 is told as, of a table in which `made` made it before.
    fn told(made: impl FnOnce(&mut Account), edit: impl FnOnce(&mut Account)) -> Vec<EventKind> {
        let mut before = Accounts::with_administrator("admin", Secret::new("password")).unwrap();
        before.edit(3, made).unwrap();
        let mut after = before.clone();
        after.edit(3, edit).unwrap();
        before.changes(&after)
    }

    #[test]
    fn what_becomes_of_an_account_is_told_once_and_for_each_part() {
        let eve =
            |account: &mut Account| *account = Account::new(3, "eve", Secret::new("secret"), Role::User);
        let (id, user) = (3, "eve".to_owned());
        let changed =
            |user: &str, change| EventKind::AccountChanged { account: id, user: user.to_owned(), change };
        assert_eq!(told(|_| {}, eve), [EventKind::AccountCreated { account: id, user: user.clone() }]);
        assert_eq!(
            told(eve, |account| *account = Account::blank(3)),
            [EventKind::AccountRemoved { account: id, user }]
        );
        assert_eq!(told(eve, |_| {}), []);
        // Before it has a name it is nobody's.
        assert_eq!(told(|_| {}, |account| account.enabled = true), []);
        assert_eq!(
            told(eve, |account| account.name = "bob".to_owned()),
            [changed("bob", AccountChange::Renamed { from: "eve".to_owned() })]
        );
        let password = told(eve, |account| account.password = Secret::new("another"));
        assert_eq!(password, [changed("eve", AccountChange::Password)]);
        assert!(!format!("{password:?}").contains("another"));
        let role = AccountChange::Role { from: Role::User, to: Role::Administrator };
        assert_eq!(
            told(eve, |account| (account.role, account.enabled) = (Role::Administrator, false)),
            [changed("eve", role), changed("eve", AccountChange::Disabled)]
        );
        assert_eq!(told(eve, |account| account.sol_payload = false), [changed("eve", AccountChange::Rights)]);
    }

    #[test]
    fn the_null_user_is_told_of_by_a_name_that_nobody_has() {
        let before = Accounts::with_administrator("admin", Secret::new("password")).unwrap();
        let mut after = before.clone();
        after.edit(NULL_USER_ID, |user| user.enabled = true).unwrap();
        let user = NULL_USER.to_owned();
        let change = AccountChange::Enabled;
        assert_eq!(
            before.changes(&after),
            [EventKind::AccountChanged { account: NULL_USER_ID, user, change }]
        );
    }
}
