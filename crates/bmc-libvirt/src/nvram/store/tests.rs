//! Stores that Debian's OVMF comes with, stores that we write into, and stores that somebody has broken.

use std::io::{Read as _, Seek as _, Write as _};

use super::super::option::{self, add_first, remove};
use super::super::path::{DevicePath, Node};
use super::*;

/// The stores of the package `ovmf`, which the set-up of the tests installs.
pub(crate) const FRESH: [&str; 2] = ["/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd"];
const KEYS: [&str; 2] = ["/usr/share/OVMF/OVMF_VARS_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"];

pub(crate) fn read(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}; `cargo xtask setup` installs it"))
}

fn uri_path(uri: &str) -> DevicePath {
    DevicePath::of([Node::pci_root(0), Node::pci(2, 0), Node::mac([2; 6]), Node::ip(false), Node::uri(uri)])
}

#[test]
fn stores_of_a_real_firmware_are_read() {
    for path in FRESH {
        let store = Store::parse(read(path)).unwrap();
        assert_eq!(store.variables, [], "{path} is empty");
    }
    for path in KEYS {
        let store = Store::parse(read(path)).unwrap();
        assert!(store.get("PK").is_some_and(|key| key.len() > 500), "{path} holds a platform key");
        assert!(store.names().any(|name| name == "KEK"), "{path} holds a key exchange key");
        assert!(store.variables.iter().any(|variable| variable.name == "db" && variable.vendor != GLOBAL));
    }
}

#[test]
fn what_is_added_is_there_and_what_is_removed_is_gone() {
    for path in FRESH {
        let before = Store::parse(read(path)).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&before.bytes).unwrap();
        let reread = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            Store::parse(bytes).unwrap()
        };

        let (mut store, mut edit) = (before.clone(), Edit::default());
        add_first(&mut store, &mut edit, "one", uri_path("http://one/")).unwrap();
        add_first(&mut store, &mut edit, "two", uri_path("http://two/")).unwrap();
        edit.apply(&file).unwrap();
        let store = reread(&mut file);
        let options = option::options(&store);
        let shown: Vec<(u16, &str, String)> = options
            .iter()
            .map(|option| (option.number, &*option.description, option.path.uri_text().unwrap()))
            .collect();
        assert_eq!(shown, [(1, "two", "http://two/".to_owned()), (0, "one", "http://one/".to_owned())]);
        assert!(options.iter().all(|option| option.boots() && option.is_shown()));
        assert_eq!(option::order(&store), [1, 0]);

        let (mut store, mut edit) = (store, Edit::default());
        remove(&mut store, &mut edit, 1).unwrap();
        edit.apply(&file).unwrap();
        let mut store = reread(&mut file);
        assert_eq!(option::order(&store), [0]);
        assert_eq!(option::options(&store).len(), 1);

        let mut edit = Edit::default();
        remove(&mut store, &mut edit, 0).unwrap();
        edit.apply(&file).unwrap();
        let store = reread(&mut file);
        assert_eq!(option::order(&store), [0_u16; 0]);
        assert_eq!(store.variables, before.variables, "all others are as they were");
    }
}

/// Whatever stops between two steps, the firmware finds the store as before or as after.
#[test]
fn every_step_leaves_a_store_that_holds_the_old_order_or_the_new() {
    let mut store = Store::parse(read(FRESH[0])).unwrap();
    add_first(&mut store, &mut Edit::default(), "one", uri_path("http://one/")).unwrap();
    let mut bytes = store.bytes.clone();
    let mut edit = Edit::default();
    add_first(&mut store, &mut edit, "two", uri_path("http://two/")).unwrap();
    let mut seen = Vec::new();
    for (at, part) in edit.0 {
        bytes[at..at + part.len()].copy_from_slice(&part);
        let order = option::order(&Store::parse(bytes.clone()).unwrap());
        if seen.last() != Some(&order) {
            seen.push(order);
        }
    }
    assert_eq!(seen, [vec![0], vec![1, 0]]);
}

#[test]
fn a_full_store_is_refused_and_stays_as_it_was() {
    let mut store = Store::parse(read(FRESH[1])).unwrap();
    let size = store.free.len();
    store.put(&mut Edit::default(), "Filler", &vec![7; size - 200]).unwrap();
    let (before, mut edit) = (store.bytes.clone(), Edit::default());
    let refusal = store.put(&mut edit, "Boot0000", &[0; 200]).unwrap_err();
    assert!(refusal.contains("full"), "{refusal}");
    assert!(edit.is_empty() && store.bytes == before);
}

#[test]
fn what_is_no_store_is_refused_in_words() {
    assert!(Store::parse(b"QFI\xfb and so on".to_vec()).unwrap_err().contains("qcow2"));
    for bytes in [Vec::new(), vec![0; 100], vec![0xff; 540_672]] {
        assert!(Store::parse(bytes).is_err());
    }
}

/// Neither cut nor twisted stores make anything panic, and none of them makes us write outside it.
#[test]
fn broken_stores_are_read_as_far_as_they_go() {
    let mut store = Store::parse(read(FRESH[1])).unwrap();
    add_first(&mut store, &mut Edit::default(), "one", uri_path("http://one/")).unwrap();
    let whole = store.bytes;
    let used = store.free.start;
    for length in (0..used).step_by(3).chain([whole.len() - 1]) {
        if let Ok(store) = Store::parse(whole[..length].to_vec()) {
            option::options(&store);
        }
    }
    // Each byte of headers and variables, turned into what hurts most.
    for at in 0..used {
        for value in [0x00, 0x7f, 0x80, 0xff, whole[at] ^ 1] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            if let Ok(mut store) = Store::parse(bytes) {
                option::options(&store);
                let _ = add_first(&mut store, &mut Edit::default(), "two", uri_path("http://two/"));
                let _ = remove(&mut store, &mut Edit::default(), 0);
            }
        }
    }
}
