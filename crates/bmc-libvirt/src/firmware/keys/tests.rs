//! The keys of machines whose variables are there, are yet to be made, and cannot be reached.

use std::fs;

use bmc_core::firmware::KeyReset;
use bmc_core::firmware::keys::KeyDatabase;

use super::*;

const ENROLLED: &str = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";
const EMPTY: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

fn domain(firmware: &str) -> String {
    format!(
        "<domain type='qemu'><name>n</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory>1</memory><vcpu>1</vcpu>\
         <os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><firmware>{firmware}</firmware></os><devices/></domain>"
    )
}

fn feature(name: &str, enabled: bool) -> String {
    format!("<feature enabled='{}' name='{name}'/>", if enabled { "yes" } else { "no" })
}

/// A host as Debian makes it.
fn catalogue(folder: &Path) -> Catalogue {
    for (name, code, template, features) in [
        ("40", "OVMF_CODE_4M.ms.fd", ENROLLED, r#"["secure-boot", "enrolled-keys", "requires-smm"]"#),
        ("50", "OVMF_CODE_4M.secboot.fd", EMPTY, r#"["secure-boot", "requires-smm"]"#),
        ("60", "OVMF_CODE_4M.fd", EMPTY, "[]"),
    ] {
        let text = format!(
            r#"{{"interface-types": ["uefi"], "features": {features}, "targets": [{{"architecture": "x86_64", "machines": ["pc-q35-*"]}}],
            "mapping": {{"device": "flash", "executable": {{"filename": "/usr/share/OVMF/{code}"}}, "nvram-template": {{"filename": "{template}"}}}}}}"#
        );
        fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
    Catalogue::read(&[folder.to_owned()])
}

#[test]
fn keys_are_those_of_the_variables_or_of_what_they_will_be_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let (host, templates) = (catalogue(folder.path()), Templates::default());
    let file = folder.path().join("n_VARS.fd");
    let seen = |firmware: &str, place: &Result<PathBuf, String>, renewed: bool| {
        let definition = domain(firmware);
        let mut info = crate::xml::read::machine_info(&definition).unwrap();
        let facts = xml::facts(&definition).unwrap();
        super::super::describe(Some(&host), &facts, &mut info);
        describe(Some(&host), &templates, &facts, place, renewed, &mut info);
        info.secure_boot.unwrap()
    };
    let secure = [feature("secure-boot", true), feature("enrolled-keys", true)].concat();
    let setup_mode = [feature("secure-boot", true), feature("enrolled-keys", false)].concat();
    let plain = feature("secure-boot", false);
    let here = Ok(file.clone());

    // No variables yet: the template tells.
    let new = seen(&secure, &here, false);
    let known = new.databases.clone().unwrap();
    let defaults = known.defaults.clone().unwrap();
    assert!(new.enforces() && known.fixed.is_some() && Arc::ptr_eq(&known.now, &defaults));
    assert_eq!(known.now.database(KeyDatabase::Pk).len(), 1);
    let new = seen(&setup_mode, &here, false);
    assert!(new.enabled && !new.has_platform_key);
    let known = new.databases.unwrap();
    assert!(known.now.pk.is_empty());
    assert!(known.defaults.is_some_and(|keys| Arc::ptr_eq(&keys, &defaults)), "what a reset puts back");
    assert_eq!(new.key_resets, [KeyReset::Default, KeyReset::DeleteAll]);
    let none = seen(&plain, &here, false).databases.unwrap();
    assert!(none.now.pk.is_empty() && none.defaults.is_some_and(|keys| keys.pk.is_empty()));

    // The variables are there: they tell, whatever the definition says.
    fs::copy(ENROLLED, &file).unwrap();
    assert!(seen(&setup_mode, &here, false).enforces(), "a guest has enrolled them itself");
    assert!(!seen(&setup_mode, &here, true).has_platform_key, "they are as good as gone");
    assert!(!seen(&plain, &here, false).has_platform_key, "this image has no use for them");
    fs::copy(EMPTY, &file).unwrap();
    let gone = seen(&secure, &here, false);
    assert!(!gone.has_platform_key && gone.databases.is_some_and(|known| known.now.pk.is_empty()));

    // They cannot be reached or read: what the definition says, and why.
    let far = seen(&secure, &Err("they are on hv-3".to_owned()), false);
    assert!(far.has_platform_key && far.databases.is_none());
    assert_eq!(far.databases_unread.as_deref(), Some("they are on hv-3"));
    fs::write(&file, vec![0x5a; 4096]).unwrap();
    let garbage = seen(&secure, &here, false);
    assert!(
        garbage.databases.is_none() && garbage.databases_unread.is_some_and(|why| why.contains("n_VARS.fd"))
    );
}

/// The setup menu of OVMF has a switch of its own, which is not the definition's.
#[test]
fn what_the_firmwares_own_menu_has_disabled_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let (host, file) = (catalogue(folder.path()), folder.path().join("n_VARS.fd"));
    let mut bytes = fs::read(ENROLLED).unwrap();
    let name: Vec<u8> = "SecureBootEnable\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let at = bytes.windows(name.len()).rposition(|window| window == name).unwrap() + name.len();
    assert_eq!(bytes[at], 1);
    bytes[at] = 0;
    fs::write(&file, bytes).unwrap();
    let definition = domain(&[feature("secure-boot", true), feature("enrolled-keys", true)].concat());
    let mut info = crate::xml::read::machine_info(&definition).unwrap();
    let facts = xml::facts(&definition).unwrap();
    super::super::describe(Some(&host), &facts, &mut info);
    describe(Some(&host), &Templates::default(), &facts, &Ok(file), false, &mut info);
    let secure_boot = info.secure_boot.unwrap();
    assert!(!secure_boot.enabled && secure_boot.has_platform_key && !secure_boot.enforces());
    assert!(secure_boot.fixed.is_some_and(|why| why.contains("setup menu")));
}
