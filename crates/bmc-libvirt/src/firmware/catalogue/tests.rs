//! Descriptors as distributions ship them.

use serde_json::json;

use super::*;

fn descriptor(features: &[&str], machines: &[&str], code: &Path, template: &Path) -> String {
    json!({
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": code, "format": "raw"},
            "nvram-template": {"filename": template, "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": machines}],
        "features": features,
        "tags": [],
    })
    .to_string()
}

/// Debian's three, with files that exist.
fn debian(folder: &Path) -> Catalogue {
    for name in ["code", "code.secboot", "vars", "vars.ms"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let file = |name: &str| folder.join(name);
    let secure = ["secure-boot", "requires-smm"];
    let enrolled = ["secure-boot", "requires-smm", "enrolled-keys"];
    for (name, text) in [
        ("40-enrolled.json", descriptor(&enrolled, &["pc-q35-*"], &file("code.secboot"), &file("vars.ms"))),
        ("50-secure.json", descriptor(&secure, &["pc-q35-*"], &file("code.secboot"), &file("vars"))),
        ("60-plain.json", descriptor(&[], &["pc-i440fx-*", "pc-q35-*"], &file("code"), &file("vars"))),
        ("70-broken.json", "{".to_owned()),
        ("80-bios.json", json!({"interface-types": ["bios"], "mapping": {"device": "memory"}}).to_string()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    Catalogue::read(&[folder.to_owned()])
}

fn facts(machine: &str) -> Facts {
    Facts { architecture: "x86_64".to_owned(), machine: machine.to_owned(), ..Facts::default() }
}

#[test]
fn the_kind_is_what_libvirt_would_select() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = debian(folder.path());
    assert_eq!(catalogue.images().len(), 3);
    let automatic = Facts { automatic: Some("efi".to_owned()), ..facts("pc-q35-7.2") };
    assert_eq!(catalogue.kind(&automatic), Kind::Secure { enrolled: true }, "the first that fits");
    let with = |features: &[(&str, bool)]| Facts {
        features: features.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect(),
        ..automatic.clone()
    };
    assert_eq!(catalogue.kind(&with(&[("secure-boot", false)])), Kind::Plain);
    assert_eq!(catalogue.kind(&with(&[("enrolled-keys", false)])), Kind::Secure { enrolled: false });
    assert_eq!(
        catalogue.kind(&Facts { machine: "pc-i440fx-7.2".to_owned(), ..automatic.clone() }),
        Kind::Plain
    );
    assert_eq!(catalogue.kind(&Facts { smm: Some(false), ..automatic.clone() }), Kind::Plain);
    let path = |name: &str| Some(folder.path().join(name).display().to_string());
    let by_hand = Facts { loader: path("code.secboot"), template: path("vars"), ..facts("pc-q35-7.2") };
    assert_eq!(catalogue.kind(&by_hand), Kind::Secure { enrolled: false });
    let unknown = Facts { loader: path("other"), loader_secure: Some(true), ..facts("pc-q35-7.2") };
    assert_eq!(catalogue.kind(&unknown), Kind::Secure { enrolled: true });
}

#[test]
fn what_is_missing_is_named_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = debian(folder.path());
    let secure = Kind::Secure { enrolled: true };
    let reason =
        |catalogue: &Catalogue, facts: &Facts, kind| catalogue.missing(facts, kind).unwrap_or_default();
    for kind in [secure, Kind::Secure { enrolled: false }, Kind::Plain, Kind::Legacy] {
        assert_eq!(catalogue.missing(&facts("pc-q35-7.2"), kind), None, "{kind:?}");
    }
    let why = reason(&catalogue, &facts("pc-i440fx-7.2"), secure);
    assert!(why.contains("pc-q35-*") && why.contains("pc-i440fx-7.2"), "{why}");
    assert_eq!(catalogue.missing(&facts("pc-i440fx-7.2"), Kind::Plain), None);
    let why = reason(&catalogue, &Facts { smm: Some(false), ..facts("pc-q35-7.2") }, secure);
    assert!(why.contains("smm"), "{why}");
    std::fs::remove_file(folder.path().join("vars.ms")).unwrap();
    let why = reason(&catalogue, &facts("pc-q35-7.2"), secure);
    assert!(why.contains("40-enrolled.json") && why.contains("vars.ms"), "{why}");
    // An administrator's empty file hides a distribution's descriptor.
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("40-enrolled.json"), "").unwrap();
    let catalogue = Catalogue::read(&[folder.path().to_owned(), own.path().to_owned()]);
    let why = reason(&catalogue, &facts("pc-q35-7.2"), secure);
    assert!(why.contains("enrolled-keys") && why.contains("ovmf"), "{why}");
    let why = reason(&Catalogue::default(), &facts("pc-q35-7.2"), Kind::Plain);
    assert!(why.contains("UEFI") && why.contains("edk2-ovmf"), "{why}");
}

#[test]
fn patterns_are_those_of_machine_types() {
    assert!(
        glob("pc-q35-*", "pc-q35-7.2") && glob("virt-*", "virt-") && glob("*", "") && glob("a?c*", "abcd")
    );
    assert!(!glob("pc-q35-*", "pc-i440fx-7.2") && !glob("", "x") && !glob("a?", "a"));
}
