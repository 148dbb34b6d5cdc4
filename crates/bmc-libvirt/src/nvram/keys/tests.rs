//! Keys of Debian's OVMF, and lists that somebody has broken.

use super::super::store::Edit;
use super::super::store::tests::{FRESH, read as file};
use super::*;

/// The store with Microsoft's and Debian's keys.
const ENROLLED: &str = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";

fn stored(bytes: Vec<u8>) -> Option<StoredKeys> {
    Store::parse(bytes).ok().map(|store| StoredKeys::of(&store))
}

fn kinds(keys: &KeySet, database: KeyDatabase) -> Vec<KeyKind> {
    keys.database(database).iter().map(|entry| entry.kind).collect()
}

/// One list of signatures of one length.
fn a_list(kind: [u8; 16], owner: u8, signatures: &[&[u8]]) -> Vec<u8> {
    let each = OWNER + signatures[0].len();
    let size = |size: usize| u32::try_from(size).unwrap().to_le_bytes();
    let mut list = [&kind[..], &size(HEAD + each * signatures.len()), &size(0), &size(each)].concat();
    for signature in signatures {
        list.extend([owner; OWNER]);
        list.extend(*signature);
    }
    list
}

#[test]
fn the_keys_of_a_real_firmware_are_read() {
    let enrolled = stored(file(ENROLLED)).unwrap();
    assert!(enrolled.platform_key && enrolled.enabled == Some(true) && enrolled.others.is_empty());
    let keys = &enrolled.keys;
    assert_eq!(kinds(keys, KeyDatabase::Pk), [KeyKind::X509]);
    assert!(kinds(keys, KeyDatabase::Kek).len() >= 2 && kinds(keys, KeyDatabase::Db).len() >= 2);
    assert_eq!(kinds(keys, KeyDatabase::Dbx), [KeyKind::Sha256]);
    let microsoft: Uuid = "77fa9abd-0359-4d32-bd60-28f4e78f784b".parse().unwrap();
    for database in [KeyDatabase::Kek, KeyDatabase::Db] {
        let theirs = keys.database(database).iter().find(|entry| entry.owner == microsoft).unwrap();
        let name = b"Microsoft Corporation";
        assert!(theirs.data.windows(name.len()).any(|text| text == name), "{database:?}");
    }
    for fresh in FRESH {
        assert_eq!(stored(file(fresh)).unwrap(), StoredKeys::default());
    }
}

#[test]
fn what_a_guest_has_enrolled_itself_is_read_from_its_store() {
    let mut store = Store::parse(file(FRESH[0])).unwrap();
    store.put(&mut Edit::default(), "PK", &a_list(X509, 7, &[&[1, 2, 3]])).unwrap();
    let keys = StoredKeys::of(&store);
    assert!(keys.platform_key && keys.enabled.is_none());
    let [entry] = &*keys.keys.pk else { panic!("one key") };
    assert_eq!((entry.owner.as_bytes(), &*entry.data), (&[7; 16], &[1, 2, 3][..]));
}

#[test]
fn what_has_no_word_or_no_room_is_counted() {
    let mut keys = KeySet::default();
    let unknown = a_list([9; 16], 1, &[&[0; 48], &[1; 48]]);
    let hashes = a_list(SHA256, 1, &[&[2; HASH], &[3; HASH], &[2; HASH]]);
    let crooked = a_list(SHA256, 1, &[&[2; 20]]);
    let bytes = [unknown, hashes, crooked, vec![0xff; 40]].concat();
    assert_eq!(
        read(&mut keys, KeyDatabase::Dbx, &bytes),
        4,
        "two, one of a wrong length, and what is no list"
    );
    assert_eq!(keys.dbx.len(), 2, "the same twice is one");
    assert_eq!(read(&mut keys, KeyDatabase::Pk, &a_list(X509, 1, &[b"a", b"b"])), 1, "there is one owner");
    let all: Vec<[u8; HASH]> =
        (0..2000_u16).map(|number| [number.to_le_bytes(); 16].concat().try_into().unwrap()).collect();
    let all: Vec<&[u8]> = all.iter().map(|hash| &hash[..]).collect();
    let others = read(&mut keys, KeyDatabase::Db, &a_list(SHA256, 1, &all));
    assert!(others > 0 && keys.db.len() + others == 2000, "{others}");
}

/// Neither cut nor twisted lists, nor a store of such, make anything panic or go on for ever.
#[test]
fn broken_lists_are_read_as_far_as_they_go() {
    let whole = [a_list(SHA256, 1, &[&[2; HASH], &[3; HASH]]), a_list(X509, 1, &[&[4; 50]])].concat();
    for length in 0..whole.len() {
        read(&mut KeySet::default(), KeyDatabase::Db, &whole[..length]);
    }
    for at in 0..whole.len() {
        for value in [0x00, 0x0f, 0x10, 0x11, 0x7f, 0xff, whole[at] ^ 1] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            read(&mut KeySet::default(), KeyDatabase::Db, &bytes);
        }
    }
    // A list that is nothing, one that is all header, one whose signatures are nothing but owners.
    for [size, header, each] in
        [[0_u32, 0, 0], [28, 0, 0], [28, u32::MAX, 48], [u32::MAX, 0, 48], [44, 0, 16]]
    {
        let head =
            [&X509[..], &size.to_le_bytes(), &header.to_le_bytes(), &each.to_le_bytes(), &[0; 16]].concat();
        let mut keys = KeySet::default();
        assert_eq!(
            (read(&mut keys, KeyDatabase::Db, &head), keys.db.len()),
            (1, 0),
            "{size} {header} {each}"
        );
    }
    let whole = file(ENROLLED);
    let used = 0x5000;
    for length in (0..used).step_by(97) {
        stored(whole[..length].to_vec());
        let mut bytes = whole.clone();
        bytes[length..used].fill(0x5a);
        stored(bytes);
    }
}
