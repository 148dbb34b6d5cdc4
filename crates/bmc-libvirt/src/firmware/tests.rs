//! What a request comes to, for each firmware that a machine may have.

use super::*;

fn domain(os: &str) -> String {
    format!(
        "<domain type='qemu'><name>n</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory>1</memory><vcpu>1</vcpu>{os}<devices/></domain>"
    )
}

const LEGACY: &str = "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>";
const PLAIN: &str = "<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><firmware><feature enabled='no' name='secure-boot'/></firmware></os>";
const SECURE: &str = "<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><firmware><feature enabled='yes' name='secure-boot'/><feature enabled='yes' name='enrolled-keys'/></firmware></os>";

#[test]
fn a_request_comes_to_one_kind_of_firmware() {
    let uefi = FirmwareSetup { mode: Some(FirmwareMode::Uefi), ..FirmwareSetup::default() };
    let on = FirmwareSetup { secure_boot: Some(true), ..FirmwareSetup::default() };
    let off = FirmwareSetup { secure_boot: Some(false), ..FirmwareSetup::default() };
    let keys = |keys| FirmwareSetup { keys: Some(keys), ..FirmwareSetup::default() };
    let both = FirmwareSetup { secure_boot: Some(true), ..uefi.clone() };
    let legacy = FirmwareSetup { mode: Some(FirmwareMode::Legacy), ..FirmwareSetup::default() };
    let secure = Kind::Secure { enrolled: true };
    let setup_mode = Kind::Secure { enrolled: false };
    for (os, setup, wanted) in [
        (LEGACY, &uefi, Some(Kind::Plain)),
        (LEGACY, &both, Some(secure)),
        (LEGACY, &on, None),
        (LEGACY, &off, Some(Kind::Legacy)),
        (LEGACY, &keys(KeyReset::Default), None),
        (PLAIN, &on, Some(secure)),
        (PLAIN, &keys(KeyReset::Default), None),
        (PLAIN, &FirmwareSetup { secure_boot: Some(true), ..keys(KeyReset::DeleteAll) }, Some(setup_mode)),
        (PLAIN, &legacy, Some(Kind::Legacy)),
        (SECURE, &off, Some(Kind::Plain)),
        (SECURE, &keys(KeyReset::Default), Some(secure)),
        (SECURE, &keys(KeyReset::DeleteAll), Some(setup_mode)),
        (SECURE, &keys(KeyReset::DeletePlatformKey), None),
        (SECURE, &uefi, Some(secure)),
    ] {
        let planned = plan(&domain(os), setup, by_word);
        assert_eq!(planned.as_ref().ok().map(|(_, wanted)| *wanted), wanted, "{os} {setup:?}: {planned:?}");
        if let Err(error) = planned {
            assert_eq!(error.kind, BackendErrorKind::Unsupported);
        }
    }
}

#[test]
fn a_machine_says_beforehand_what_it_cannot_have() {
    let none = Catalogue::default();
    let seen = |os: &str, catalogue: Option<&Catalogue>| {
        let definition = domain(os);
        let mut info = crate::xml::read::machine_info(&definition).unwrap();
        describe(catalogue, &xml::facts(&definition).unwrap(), &mut info);
        info
    };
    let legacy = seen(LEGACY, Some(&none));
    assert!(legacy.uefi_missing.is_some_and(|why| why.contains("ovmf")) && legacy.secure_boot.is_none());
    assert!(legacy.secure_boot_missing.is_some_and(|why| why.contains("enrolled-keys")));
    let plain = seen(PLAIN, Some(&none)).secure_boot.unwrap();
    assert!(!plain.enabled && plain.key_resets.is_empty());
    assert!(plain.fixed.is_some_and(|why| why.contains("enrolled-keys")));
    // Of a hypervisor elsewhere nothing is known beforehand.
    let secure = seen(SECURE, None).secure_boot.unwrap();
    assert!(secure.enforces() && secure.fixed.is_none());
    assert_eq!(secure.key_resets, [KeyReset::Default, KeyReset::DeleteAll]);
}

#[test]
fn the_file_of_the_variables_is_read_from_the_command_line() {
    let line = r#"-blockdev '{"driver":"file","filename":"/usr/share/OVMF/C.fd","node-name":"libvirt-pflash0-storage"}' -blockdev '{"driver":"file","filename":"/v/a \"b\"_VARS.fd","node-name":"libvirt-pflash1-storage","discard":"unmap"}'"#;
    assert_eq!(variables_file(line).as_deref(), Some("/v/a \"b\"_VARS.fd"));
    assert_eq!(variables_file("-m 128"), None);
}

/// Keys that are reset need a boot of the firmware; a machine that goes on where it was has none, and its saved memory is not to be lost.
#[test]
fn a_saved_state_keeps_its_keys() {
    let connect = Connect::open(Some("test:///default")).unwrap();
    let xml = domain(SECURE).replace("type='qemu'", "type='test'").replace("<name>n<", "<name>saved-keys<");
    let domain = connect.define_domain_xml(&xml).unwrap();
    let host = HostFirmware::new(Vec::new());
    let keys = FirmwareSetup { keys: Some(KeyReset::Default), ..FirmwareSetup::default() };
    assert!(set_up(&connect, &domain, &host, &keys).unwrap(), "nothing is saved yet");
    domain.create().unwrap();
    domain.managed_save(0).unwrap();
    let refused = set_up(&connect, &domain, &host, &keys);
    let Err(Failure::Ours(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind, BackendErrorKind::InvalidState);
    assert!(error.message.contains("managedsave-remove"), "{error}");
    let nothing = FirmwareSetup { secure_boot: Some(true), ..FirmwareSetup::default() };
    assert!(!set_up(&connect, &domain, &host, &nothing).unwrap(), "what is so already hurts nobody");
    assert!(domain.has_managed_save(0).unwrap());
}
