//! Tables of users: who may log in, what names and passwords are taken.

use super::*;

fn accounts() -> Accounts {
    Accounts::with_administrator("admin", Secret::new("password")).unwrap()
}

#[test]
fn an_entry_is_no_door_before_it_is_whole() {
    let mut accounts = accounts();
    let steps: [fn(&mut Account); 3] = [
        |user| user.enabled = true,
        |user| "eve".clone_into(&mut user.name),
        |user| user.role = Role::Operator,
    ];
    for step in steps {
        accounts.edit(3, step).unwrap();
        assert!(!accounts.get(3).unwrap().may_log_in());
        assert!(accounts.by_name(b"eve").is_none());
    }
    accounts.edit(3, |user| user.password = Secret::new("secret")).unwrap();
    assert_eq!(accounts.by_name(b"eve").map(|user| user.id), Some(3));
    accounts.edit(3, |user| user.role = Role::NoAccess).unwrap();
    assert!(accounts.by_name(b"eve").is_none());
    assert_eq!(accounts.enabled(), 2, "counted all the same");
}

#[test]
fn names_are_unique_and_the_null_user_has_none() {
    let mut accounts = accounts();
    assert_eq!(accounts.set_name(3, "admin"), Err(AccountError::NameTaken(2)));
    assert_eq!(accounts.set_name(2, "admin"), Ok(()), "its own");
    assert_eq!(accounts.set_name(NULL_USER_ID, "null"), Err(AccountError::FixedName));
    assert_eq!(accounts.set_name(NULL_USER_ID, ""), Ok(()));
    for id in [0, USER_ID_MAX + 1, 63] {
        assert_eq!(accounts.set_name(id, "eve"), Err(AccountError::Id));
    }
    accounts.edit(3, |user| user.ipmi_messaging = true).unwrap();
    for name in ["a b", "seventeen-letters", "\u{e9}", "\u{7}"] {
        assert_eq!(accounts.set_name(3, name), Err(AccountError::Name), "{name}");
    }
    accounts.set_name(USER_ID_MAX, "sixteen-letters!").unwrap();
}

#[test]
fn sessions_go_on_when_nothing_of_the_login_changed() {
    let admin = accounts().get(2).unwrap();
    let kept =
        Account { password_size: Some(PasswordSize::Bytes16), link_authentication: true, ..admin.clone() };
    assert!(admin.logs_in_as(&kept));
    for changed in [
        Account { password: Secret::new("other"), ..admin.clone() },
        Account { enabled: false, ..admin.clone() },
        Account { role: Role::Operator, ..admin.clone() },
        Account { ipmi_messaging: false, ..admin.clone() },
        Account { name: "other".to_owned(), ..admin.clone() },
    ] {
        assert!(!admin.logs_in_as(&changed), "{changed:?}");
    }
}

#[test]
fn the_empty_name_gives_the_id_back() {
    let mut accounts = accounts();
    let before = accounts.clone();
    accounts.set_name(4, "eve").unwrap();
    accounts.edit(4, |user| user.password = Secret::new("secret")).unwrap();
    accounts.set_name(4, "").unwrap();
    assert_eq!(accounts, before);
    assert_eq!(accounts.get(4).unwrap(), Account::blank(4));
}

#[test]
fn a_password_is_tested_in_the_form_it_was_set_with() {
    use PasswordSize::{Bytes16, Bytes20};
    let of = |password: &str, size| Account {
        password_size: size,
        ..Account::new(2, "admin", Secret::new(password), Role::Administrator)
    };
    let rows = [
        (of("password", Some(Bytes16)), Bytes16, "password", Ok(())),
        (of("password", Some(Bytes16)), Bytes16, "passwore", Err(PasswordMismatch::Password)),
        (of("password", Some(Bytes16)), Bytes20, "password", Err(PasswordMismatch::Size)),
        (of("password", Some(Bytes20)), Bytes16, "password", Err(PasswordMismatch::Size)),
        (of("password", Some(Bytes20)), Bytes20, "password", Ok(())),
        (of("password", None), Bytes16, "password", Ok(())),
        (of("password", None), Bytes20, "password", Ok(())),
        (of("seventeen-letters", None), Bytes16, "seventeen-letter", Err(PasswordMismatch::Size)),
        (of("seventeen-letters", None), Bytes20, "seventeen-letters", Ok(())),
        (of("seventeen-letters", None), Bytes20, "seventeen-letter", Err(PasswordMismatch::Password)),
    ];
    for (user, size, tested, result) in rows {
        assert_eq!(user.test_password(size, tested.as_bytes()), result, "{user:?} {size:?} {tested}");
    }
}

#[test]
fn what_the_store_holds_from_before_can_be_read() {
    let old = r#"{"users":[{"id":2,"name":"admin","password":"p","enabled":true,"role":"administrator"}]}"#;
    let accounts: Accounts = serde_json::from_str(old).unwrap();
    let admin = accounts.by_name(b"admin").unwrap();
    assert!(admin.ipmi_messaging && admin.sol_payload && admin.password_size.is_none());
}

#[test]
fn long_names_and_passwords_are_for_users_without_ipmi() {
    let mut accounts = accounts();
    let long = "l".repeat(LONG_MAX_BYTES);
    accounts.edit(3, |user| long.clone_into(&mut user.name)).unwrap();
    assert_eq!(accounts.edit(3, |user| user.ipmi_messaging = true), Err(AccountError::Name));
    assert_eq!(accounts.edit(3, |user| user.name.push('l')), Err(AccountError::LongName));
    accounts.edit(3, |user| user.name = "eve".to_owned()).unwrap();
    accounts.edit(3, |user| user.password = Secret::new(&*long)).unwrap();
    assert_eq!(accounts.edit(3, |user| user.ipmi_messaging = true), Err(AccountError::Password));
    let longer = Secret::new(format!("{long}l"));
    assert_eq!(accounts.edit(3, |user| user.password = longer), Err(AccountError::LongPassword));
    accounts.edit(3, |user| user.password = Secret::new("secret")).unwrap();
    accounts.edit(3, |user| user.ipmi_messaging = true).unwrap();
    assert_eq!(
        accounts.edit(3, |user| user.password = Secret::new("l".repeat(21))),
        Err(AccountError::Password)
    );
}

#[test]
fn the_lowest_free_id_is_found_and_a_full_table_has_none() {
    let mut accounts = accounts();
    assert_eq!(accounts.free_id(), Some(3));
    for id in 3..=USER_ID_MAX {
        accounts.set_name(id, &format!("user-{id}")).unwrap();
    }
    assert_eq!(accounts.free_id(), None);
    accounts.set_name(7, "").unwrap();
    assert_eq!(accounts.free_id(), Some(7));
}

#[test]
fn an_administrator_is_one_who_can_log_in() {
    let mut accounts = accounts();
    assert!(accounts.has_administrator());
    accounts.edit(2, |user| user.enabled = false).unwrap();
    assert!(!accounts.has_administrator());
    let accounts = Accounts::without_ipmi("a-rather-long-user-name", Secret::new("p")).unwrap();
    assert!(accounts.has_administrator() && accounts.iter().all(|user| !user.ipmi_messaging));
}
