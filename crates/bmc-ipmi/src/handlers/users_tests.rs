//! User commands against the accounts of a BMC.

use ipmi_wire::PrivilegeLevel;
use ipmi_wire::command::Payload;

use super::*;
use crate::handlers::testing::{Bench, bad_lengths};

const OUTSIDE: [u8; 4] = [0, USER_ID_MAX + 1, 0x20, 0x3f];

/// A request for user `id` with what follows it.
fn of(id: u8, rest: &[u8]) -> Vec<u8> {
    [&[id], rest].concat()
}

fn name(name: &str) -> [u8; 16] {
    NameField::new(name).0
}

fn padded<const N: usize>(password: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..password.len()].copy_from_slice(password.as_bytes());
    bytes
}

async fn access_of(bench: &Bench, id: u8) -> Vec<u8> {
    bench.ask(GetUserAccess { channel: 1, user_id: id }).await.encode()
}

#[tokio::test]
async fn access_is_set_and_counted() {
    let bench = Bench::new().await;
    assert_eq!(access_of(&bench, 1).await, [15, 0x81, 1, 0x02], "the null user is disabled");
    assert_eq!(access_of(&bench, 2).await, [15, 0x41, 1, 0x14]);
    assert_eq!(access_of(&bench, 15).await, [15, 0x81, 1, 0x0f], "nobody yet");
    // ipmitool channel setaccess 1 3 link=on ipmi=on callin=off privilege=3
    assert_eq!(bench.raw(0x06, 0x43, &[0xf1, 3, 3, 0]).await.0, 0);
    assert_eq!(access_of(&bench, 3).await, [15, 0x81, 1, 0x73]);
    assert_eq!(bench.raw(0x06, 0x43, &[0x01, 3, 2]).await.0, 0, "the limit alone");
    assert_eq!(access_of(&bench, 3).await, [15, 0x81, 1, 0x72]);
    assert_eq!(bench.raw(0x06, 0x47, &[3, 1]).await.0, 0);
    assert_eq!(access_of(&bench, 3).await, [15, 0x42, 1, 0x72]);
    assert_eq!(bench.raw(0x06, 0x43, &[0x8e, 3, 0x0f]).await.0, 0);
    assert_eq!(access_of(&bench, 3).await, [15, 0x42, 1, 0x0f], "no access");
    let snapshot = bench.machine.snapshot();
    assert!(!snapshot.accounts.get(3).unwrap().may_log_in());
}

#[tokio::test]
async fn access_that_cannot_be_is_refused() {
    let bench = Bench::new().await;
    let rows: [(&[u8], u8); 7] = [
        (&[0x91, 3, 0], 0xcc),
        (&[0x91, 3, 5], 0xcc),
        (&[0x91, 3, 6], 0xcc),
        (&[0x91, 3, 0x0e], 0xcc),
        (&[0x92, 3, 4], 0xcc),
        (&[0x90, 3, 4], 0xcc),
        (&[0x91, 3, 4, 1], 0xcc),
    ];
    for (data, code) in rows {
        assert_eq!(bench.raw(0x06, 0x43, data).await.0, code, "{data:02x?}");
    }
    for id in OUTSIDE {
        assert_eq!(bench.raw(0x06, 0x43, &[0x91, id, 4]).await.0, 0xc9, "user {id}");
        assert_eq!(bench.raw(0x06, 0x44, &[1, id]).await.0, 0xc9, "user {id}");
    }
    assert_eq!(bench.raw(0x06, 0x44, &[2, 2]).await.0, 0xcc);
    bad_lengths(&bench, 0x06, 0x43, &[0x91, 3, 4, 0], &[3, 4]).await;
    bad_lengths(&bench, 0x06, 0x44, &[1, 3], &[2]).await;
    bench.break_store();
    assert_eq!(bench.raw(0x06, 0x43, &[0x91, 4, 4]).await.0, 0xff);
    assert_eq!(access_of(&bench, 4).await, [15, 0x81, 1, 0x0f], "not durable, not done");
}

#[tokio::test]
async fn names_are_set_and_read_back() {
    let bench = Bench::new().await;
    assert_eq!(bench.raw(0x06, 0x46, &[2]).await, (0, name("admin").to_vec()));
    assert_eq!(bench.raw(0x06, 0x46, &[1]).await, (0, vec![0; 16]));
    assert_eq!(bench.raw(0x06, 0x46, &[9]).await, (0, vec![0; 16]));
    for id in 3..=USER_ID_MAX {
        let each = name(&format!("user-{id}"));
        assert_eq!(bench.raw(0x06, 0x45, &of(id, &each)).await.0, 0);
        assert_eq!(bench.raw(0x06, 0x46, &[id]).await, (0, each.to_vec()));
    }
    assert_eq!(bench.raw(0x06, 0x45, &of(3, b"sixteen-letters!")).await.0, 0);
    assert_eq!(bench.raw(0x06, 0x46, &[3]).await, (0, b"sixteen-letters!".to_vec()));
    assert_eq!(bench.raw(0x06, 0x45, &of(3, b"eve\0rubbish behind"[..16].try_into().unwrap())).await.0, 0);
    assert_eq!(bench.raw(0x06, 0x46, &[3]).await, (0, name("eve").to_vec()));
    assert_eq!(bench.raw(0x06, 0x45, &of(3, &name(""))).await.0, 0);
    assert_eq!(bench.raw(0x06, 0x46, &[3]).await, (0, vec![0; 16]));
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let bench = Bench::new().await;
    let rows = [
        (1, name("null")),
        (3, name("admin")),
        (3, name("a b")),
        (3, name("tab\t")),
        (3, *b"\xff\xfe\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (3, name("\u{e9}")),
    ];
    for (id, name) in rows {
        assert_eq!(bench.raw(0x06, 0x45, &of(id, &name)).await.0, 0xcc, "{id} {name:02x?}");
    }
    assert_eq!(bench.raw(0x06, 0x45, &of(1, &name(""))).await.0, 0, "what it has");
    for id in OUTSIDE {
        assert_eq!(bench.raw(0x06, 0x45, &of(id, &name("eve"))).await.0, 0xc9, "user {id}");
        assert_eq!(bench.raw(0x06, 0x46, &[id]).await.0, 0xc9, "user {id}");
    }
    bad_lengths(&bench, 0x06, 0x45, &of(3, &name("eve")), &[17]).await;
    bad_lengths(&bench, 0x06, 0x46, &[3], &[1]).await;
}

#[tokio::test]
async fn passwords_are_set_and_tested_in_both_sizes() {
    let bench = Bench::new().await;
    let (short, long) = (padded::<16>("secret"), padded::<20>("secret"));
    let wrong = padded::<16>("secreT");
    let test = |first: u8, password: &[u8]| of(first, &[&[3], password].concat());
    assert_eq!(bench.raw(0x06, 0x47, &of(3, &[&[2][..], &short].concat())).await.0, 0);
    for (data, code) in [(test(3, &short), 0), (test(3, &wrong), 0x80), (test(0x83, &long), 0x81)] {
        assert_eq!(bench.raw(0x06, 0x47, &data).await.0, code, "{data:02x?}");
    }
    let twenty = padded::<20>("seventeen-letters");
    assert_eq!(bench.raw(0x06, 0x47, &of(0x83, &[&[2][..], &twenty].concat())).await.0, 0);
    let cut: [u8; 16] = twenty[..16].try_into().unwrap();
    for (data, code) in [(test(0x83, &twenty), 0), (test(0x83, &long), 0x80), (test(3, &cut), 0x81)] {
        assert_eq!(bench.raw(0x06, 0x47, &data).await.0, code, "{data:02x?}");
    }
    // The configured one has no size of its own.
    for data in [
        of(2, &[&[3][..], &padded::<16>("password")].concat()),
        of(0x82, &[&[3][..], &padded::<20>("password")].concat()),
    ] {
        assert_eq!(bench.raw(0x06, 0x47, &data).await.0, 0, "{data:02x?}");
    }
    assert_eq!(bench.machine.snapshot().accounts.get(3).unwrap().password.expose(), "seventeen-letters");
}

#[tokio::test]
async fn passwords_make_users_that_can_be_enabled_and_disabled() {
    let bench = Bench::new().await;
    for data in [of(3, &[1]), of(3, &[&[1][..], &[0; 16]].concat()), of(0x83, &[&[1][..], &[0; 20]].concat())]
    {
        assert_eq!(bench.raw(0x06, 0x47, &data).await.0, 0, "{data:02x?}");
    }
    assert!(bench.machine.snapshot().accounts.get(3).unwrap().enabled);
    assert_eq!(bench.raw(0x06, 0x47, &of(3, &[0])).await.0, 0);
    assert!(!bench.machine.snapshot().accounts.get(3).unwrap().enabled);
}

#[tokio::test]
async fn passwords_that_cannot_be_are_refused() {
    let bench = Bench::new().await;
    let set = |password: &[u8; 16]| of(3, &[&[2], &password[..]].concat());
    assert_eq!(bench.raw(0x06, 0x47, &set(b"two\0words\0\0\0\0\0\0\0")).await.0, 0xcc, "a NUL inside");
    assert_eq!(bench.raw(0x06, 0x47, &set(&[0xff; 16])).await.0, 0xcc, "no text");
    for id in OUTSIDE {
        assert_eq!(bench.raw(0x06, 0x47, &[id, 1]).await.0, 0xc9, "user {id}");
    }
    bad_lengths(&bench, 0x06, 0x47, &of(3, &[1]), &[2, 18, 22]).await;
    bad_lengths(&bench, 0x06, 0x47, &of(3, &[2]), &[18]).await;
    bad_lengths(&bench, 0x06, 0x47, &of(0x83, &[2]), &[22]).await;
    bad_lengths(&bench, 0x06, 0x47, &of(3, &[3]), &[18]).await;
}

#[tokio::test]
async fn payload_access_of_serial_over_lan() {
    let bench = Bench::new().await;
    let sol = async |id| bench.ask(GetUserPayloadAccess { channel: 1, user_id: id }).await.standard;
    assert_eq!((sol(2).await, sol(3).await), (0x02, 0x00));
    assert_eq!(bench.raw(0x06, 0x4c, &[1, 0x03, 0x02, 0, 0, 0]).await.0, 0);
    assert_eq!(sol(3).await, 0x02);
    assert_eq!(bench.raw(0x06, 0x4c, &[1, 0x43, 0x00, 0, 0, 0]).await.0, 0, "nothing marked");
    assert_eq!(sol(3).await, 0x02);
    assert_eq!(bench.raw(0x06, 0x4c, &[1, 0x43, 0xfe, 0, 0xff, 0]).await.0, 0, "all of them");
    assert_eq!(sol(3).await, 0x00);
    let rows: [(&[u8], u8); 6] = [
        (&[1, 0x03, 0x04, 0, 0, 0], 0xcc),
        (&[1, 0x03, 0x02, 0, 1, 0], 0xcc),
        (&[1, 0x83, 0x02, 0, 0, 0], 0xcc),
        (&[2, 0x03, 0x02, 0, 0, 0], 0xcc),
        (&[1, 0x00, 0x02, 0, 0, 0], 0xc9),
        (&[1, 0x10, 0x02, 0, 0, 0], 0xc9),
    ];
    for (data, code) in rows {
        assert_eq!(bench.raw(0x06, 0x4c, data).await.0, code, "{data:02x?}");
    }
    assert_eq!(bench.raw(0x06, 0x4d, &[2, 2]).await.0, 0xcc);
    assert_eq!(bench.raw(0x06, 0x4d, &[1, 16]).await.0, 0xc9);
    bad_lengths(&bench, 0x06, 0x4c, &[1, 3, 2, 0, 0, 0], &[6]).await;
    bad_lengths(&bench, 0x06, 0x4d, &[1, 3], &[2]).await;
}

#[test]
fn the_levels_are_those_of_the_roles() {
    for level in [
        PrivilegeLevel::Callback,
        PrivilegeLevel::User,
        PrivilegeLevel::Operator,
        PrivilegeLevel::Administrator,
    ] {
        assert_eq!(role_of(level).and_then(privilege_of), Some(level));
    }
    assert_eq!((role_of(PrivilegeLevel::Oem), privilege_of(Role::NoAccess)), (None, None));
}
