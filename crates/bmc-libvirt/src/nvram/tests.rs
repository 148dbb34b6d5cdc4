//! Boot options out of a store, and a URI that comes and goes.

use super::store::tests::{FRESH, read};
use super::*;

fn device(name: &str, kind: BootDeviceKind) -> BootDevice {
    BootDevice { name: name.to_owned(), kind }
}

#[test]
fn the_store_is_where_libvirt_keeps_it() {
    let plain = "<domain><os firmware='efi'/></domain>";
    let named = "<domain><os><nvram>/x/vars</nvram></os></domain>";
    let at = |uri: &str, definition: &str, live: Option<&str>| place(uri, "web", definition, live);
    assert_eq!(at("qemu:///system", plain, None), Ok(Path::new(SYSTEM_FOLDER).join("web_VARS.fd")));
    assert_eq!(at("qemu:///system", named, None), Ok("/x/vars".into()));
    assert_eq!(at("qemu:///session", plain, Some(named)), Ok("/x/vars".into()));
    assert!(at("qemu:///session", plain, None).unwrap_err().contains("while it runs"));
    assert!(at("qemu+ssh://hv-3/system", named, None).unwrap_err().contains("hv-3"));
    assert!(at("test:///default", named, None).is_err());
}

#[test]
fn a_uri_comes_first_and_goes_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web_VARS.fd");
    let fresh = MachineInfo { firmware: FirmwareMode::Uefi, ..MachineInfo::default() };
    let look = || {
        let mut info = MachineInfo {
            boot_devices: vec![
                device("52:54:00:00:00:01", BootDeviceKind::Network),
                device("vda", BootDeviceKind::Disk),
            ],
            ..fresh.clone()
        };
        complete(&mut info, &Ok(file.clone()), "<domain/>");
        info
    };
    assert!(
        look().load_options_unread.is_some_and(|why| why.contains("first start")),
        "there is no file yet"
    );
    assert!(is_missing(&file));
    fs::write(&file, read(FRESH[0])).unwrap();
    let nic = || ("52:54:00:00:00:01".to_owned(), DevicePath::of([Node::pci_root(0), Node::pci(2, 0)]));
    for uri in ["http://one/x.efi", "http://[::1]/y.efi"] {
        enter_uri(&file, &nic(), uri).unwrap();
        let info = look();
        assert!(has_uri(&info));
        let [option] = &*info.load_options.unwrap() else { panic!("one at a time") };
        assert!(option.path.ends_with(&format!("/Uri({uri})")), "{}", option.path);
        assert_eq!((option.device.as_deref(), option.http), (Some("52:54:00:00:00:01"), true));
    }
    clear_uri(&file).unwrap();
    let info = look();
    assert!(!has_uri(&info) && info.load_options == Some(Vec::new()));
    assert!(enter_uri(&file, &("no".to_owned(), DevicePath::default()), "http://x/").is_err());
}

#[test]
fn a_store_that_cannot_be_read_says_why() {
    let mut info = MachineInfo { firmware: FirmwareMode::Uefi, ..MachineInfo::default() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qcow2");
    fs::write(&file, b"QFI\xfb...").unwrap();
    complete(&mut info, &Ok(file), "<domain/>");
    assert_eq!(info.load_options, None);
    assert!(info.load_options_unread.as_ref().is_some_and(|why| why.contains("qcow2")));
    assert_eq!(info.http_uri_refused, info.load_options_unread);
    let mut bios = MachineInfo::default();
    complete(&mut bios, &Err("no".to_owned()), "<domain/>");
    assert_eq!(bios, MachineInfo::default(), "a PC BIOS has none");
}
