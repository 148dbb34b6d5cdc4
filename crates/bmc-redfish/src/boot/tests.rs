//! What a PATCH of some members of `Boot` makes of the record.

use super::*;

fn present(target: BootTarget, enabled: BootEnabled) -> BootOverride {
    BootOverride { target, enabled, ..BootOverride::default() }
}

fn merged(present: &BootOverride, wanted: Wanted) -> (BootTarget, BootEnabled) {
    let record = merge(present, Some(FirmwareMode::Uefi), &wanted).unwrap().unwrap();
    (record.target, record.enabled)
}

fn target(target: BootTarget) -> Wanted {
    Wanted { target: Some(target), ..Wanted::default() }
}

fn enabled(enabled: BootEnabled) -> Wanted {
    Wanted { enabled: Some(enabled), ..Wanted::default() }
}

fn both(target: BootTarget, enabled: BootEnabled) -> Wanted {
    Wanted { target: Some(target), enabled: Some(enabled), ..Wanted::default() }
}

#[test]
fn what_clients_send_in_parts_becomes_a_whole_record() {
    use BootEnabled::{Continuous, Disabled, Once};
    use BootTarget::{Cdrom, Disk, None, Pxe};
    let nothing = present(None, Disabled);
    let pxe_always = present(Pxe, Continuous);
    // (record before, PATCH, record after)
    let rows = [
        (&nothing, both(Pxe, Once), (Pxe, Once)),
        (&nothing, both(Pxe, Continuous), (Pxe, Continuous)),
        (&nothing, target(Cdrom), (Cdrom, Once)),
        (&pxe_always, target(Disk), (Disk, Continuous)),
        (&pxe_always, enabled(Once), (Pxe, Once)),
        (&pxe_always, enabled(Disabled), (None, Disabled)),
        (&pxe_always, target(None), (None, Disabled)),
        (&pxe_always, both(None, Once), (None, Disabled)),
        (&pxe_always, both(Disk, Disabled), (None, Disabled)),
    ];
    for (before, patch, after) in rows {
        assert_eq!(merged(before, patch.clone()), after, "{before:?} {patch:?}");
    }
}

#[test]
fn an_override_without_a_target_is_refused() {
    let nothing = BootOverride::default();
    let refusal = merge(&nothing, None, &enabled(BootEnabled::Once)).unwrap_err();
    assert_eq!(refusal.entry.key, "PropertyValueConflict");
}

#[test]
fn a_mode_alone_leaves_the_override_alone() {
    let wanted = Wanted { mode: Some(FirmwareMode::Uefi), ..Wanted::default() };
    assert_eq!(merge(&present(BootTarget::Pxe, BootEnabled::Once), None, &wanted), Ok(None));
}

#[test]
fn the_uri_stays_until_it_is_changed_and_ipmi_bits_do_not() {
    let mut before = present(BootTarget::Http, BootEnabled::Once);
    before.http_uri = Some("http://a/b".to_owned());
    before.kept.data3 = 0x40;
    before.device = Some("vda".to_owned());
    let after = merge(&before, None, &enabled(BootEnabled::Continuous)).unwrap().unwrap();
    assert_eq!(after.http_uri, before.http_uri);
    assert_eq!(after.device, before.device, "the same target keeps its device");
    assert_eq!(after.kept, BootFlagsKept::default());
    let wanted = Wanted { http_uri: Some(None), ..Wanted::default() };
    assert_eq!(merge(&before, None, &wanted).unwrap().unwrap().http_uri, None);
    assert_eq!(merge(&before, None, &target(BootTarget::Pxe)).unwrap().unwrap().device, None);
}

#[test]
fn the_efi_flag_that_ipmi_reads_back_follows_the_firmware() {
    let efi = |firmware, mode| {
        let wanted = Wanted { mode, ..both(BootTarget::Pxe, BootEnabled::Once) };
        merge(&BootOverride::default(), firmware, &wanted).unwrap().unwrap().efi
    };
    assert!(efi(Some(FirmwareMode::Uefi), None));
    assert!(!efi(Some(FirmwareMode::Legacy), None));
    assert!(efi(Some(FirmwareMode::Legacy), Some(FirmwareMode::Uefi)));
}

#[test]
fn every_target_has_a_name_and_every_written_name_reads_back() {
    for target in BootTarget::ALL {
        assert!(!target_name(target).is_empty());
    }
    for (name, target) in TARGETS {
        assert_eq!(target_name(target), name);
    }
}
