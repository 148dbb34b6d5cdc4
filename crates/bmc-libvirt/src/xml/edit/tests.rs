//! Odd domains, and what an edit leaves of them.

use super::*;
use crate::xml::read;

/// Several CD-ROMs, secrets, a foreign namespace, comments, both quotes, an empty tag that can boot.
const ODD: &str = r#"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <!-- kept -->
  <name>odd &amp; even</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <metadata>
    <app:thing xmlns:app="urn:app" app:a="1"><app:deep/></app:thing>
  </metadata>
  <memory unit='GiB'>2</memory>
  <vcpu placement='static' current='2'>4</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='network'/>
    <boot dev='hd'/>
    <bootmenu enable='no'/>
  </os>
  <devices>
    <disk type='network' device='disk'>
      <auth username='u'><secret type='ceph' uuid='99999999-2222-3333-4444-555555555555'/></auth>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'><target dev='vdb' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><source file='/seed.iso'/><target dev='sda' bus='sata'/></disk>
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>
    <redirdev bus='usb' type='tcp'/>
    <interface type='network'><mac address='52:54:00:AA:00:01'/></interface>
    <interface type='network'><mac address='52:54:00:aa:00:02'/></interface>
    <graphics type='vnc' passwd="s3cret'quoted"/>
  </devices>
  <qemu:commandline><qemu:arg value='-foo'/></qemu:commandline>
</domain>
"#;

fn boot(target: BootTarget) -> OverrideBoot {
    OverrideBoot { target, efi: false, http_uri: None, device: None, once: true, generation: 42 }
}

/// The boot order of a domain as names of devices: target, MAC, or the element's own name.
fn order(xml: &str) -> Vec<String> {
    let document = parse(xml).unwrap();
    let devices = child(document.root_element(), "devices").unwrap();
    let mut found: Vec<(u32, String)> = devices
        .children()
        .filter_map(|device| {
            let place = child(device, "boot")?.attribute("order")?.parse().unwrap();
            Some((place, name_of(device).unwrap_or(device.tag_name().name()).to_owned()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

/// The text without everything that an override adds or takes away.
fn rest(xml: &str) -> String {
    let mut text = xml.to_owned();
    for (from, to) in [("<polybmc:boot", "/>"), ("<boot ", "/>")] {
        while let Some(start) = text.find(from) {
            let end = start + text[start..].find(to).unwrap() + to.len();
            text.replace_range(start..end, "");
        }
    }
    text.replace("<redirdev bus='usb' type='tcp'></redirdev>", "<redirdev bus='usb' type='tcp'/>")
}

#[test]
fn the_target_comes_first_and_the_own_order_behind_it() {
    let rows: &[(BootTarget, &[&str])] = &[
        (BootTarget::Cdrom, &["sda", "52:54:00:AA:00:01", "vda"]),
        (BootTarget::RemoteCdrom, &["sda", "52:54:00:AA:00:01", "vda"]),
        (BootTarget::Disk, &["vda", "52:54:00:AA:00:01"]),
        (BootTarget::DiskSafeMode, &["vda", "52:54:00:AA:00:01"]),
        (BootTarget::Diagnostics, &["vda", "52:54:00:AA:00:01"]),
        (BootTarget::Pxe, &["52:54:00:AA:00:01", "vda"]),
    ];
    for (target, expected) in rows {
        let copy = override_copy(ODD, &boot(*target)).unwrap();
        assert_eq!(order(&copy), *expected, "{target:?}");
        assert!(!copy.contains("<boot dev"), "libvirt allows only one of both forms");
        assert_eq!(rest(&copy), rest(ODD), "everything else is as it was");
        assert_eq!(read::boot_generation(&copy), Some(42));
    }
    assert_eq!(read::boot_generation(ODD), None);
}

#[test]
fn a_named_device_is_the_one_that_boots() {
    let named = |target, device: &str| {
        override_copy(ODD, &OverrideBoot { device: Some(device.to_owned()), ..boot(target) })
    };
    assert_eq!(order(&named(BootTarget::Cdrom, "sdb").unwrap())[0], "sdb");
    assert_eq!(order(&named(BootTarget::Pxe, "52:54:00:AA:00:02").unwrap())[0], "52:54:00:aa:00:02");
    let error = named(BootTarget::Cdrom, "vda").unwrap_err();
    assert_eq!((error.kind, error.message.contains("vda")), (BackendErrorKind::Unsupported, true));
}

#[test]
fn a_per_device_order_is_kept_behind_the_target() {
    let xml = ODD
        .replace("<boot dev='network'/>", "")
        .replace("<boot dev='hd'/>", "")
        .replace(
            "<target dev='vdb' bus='virtio'/>",
            "<target dev='vdb' bus='virtio'/><boot order='1' loadparm='2'/>",
        )
        .replace(
            "<redirdev bus='usb' type='tcp'/>",
            "<redirdev bus='usb' type='tcp'><boot order='7'/></redirdev>",
        );
    let copy = override_copy(&xml, &boot(BootTarget::Cdrom)).unwrap();
    assert_eq!(order(&copy), ["sda", "vdb", "redirdev"]);
    assert!(copy.contains("<boot order='2' loadparm='2'/>"), "other attributes stay");
    let copy = override_copy(&xml, &boot(BootTarget::Disk)).unwrap();
    assert_eq!(
        order(&copy),
        ["vdb", "redirdev"],
        "the first disk is the one that the domain itself boots first"
    );
}

#[test]
fn a_target_without_a_device_is_refused_with_what_there_is() {
    let none = "<domain type='qemu'><name>n</name><uuid>11111111-2222-3333-4444-555555555555</uuid>\
                <os><type>hvm</type></os><devices/></domain>";
    use BootTarget::{Cdrom, None as NoTarget, RemoteCdrom};
    for target in
        BootTarget::ALL.into_iter().filter(|target| !matches!(target, NoTarget | Cdrom | RemoteCdrom))
    {
        let error = override_copy(none, &boot(target)).unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unsupported, "{target:?}");
    }
    // The BMC's own drive is there without a disc too: then the machine boots as it would by itself.
    let with_place = ODD.replace("<devices>", "<devices><controller type='sata' index='0'/>");
    let floppies =
        with_place.replace("device='cdrom'", "device='floppy'").replace("' bus='sata'", "' bus='fdc'");
    let copy = override_copy(&floppies, &boot(Cdrom)).unwrap();
    assert_eq!(order(&copy), ["52:54:00:AA:00:01", "vda"]);
    let error = override_copy(ODD, &boot(BootTarget::Usb)).unwrap_err();
    assert!(error.message.contains("pxe") && error.message.contains("cdrom"), "{error}");
    assert_eq!(
        override_copy("<domain", &boot(BootTarget::Pxe)).unwrap_err().kind,
        BackendErrorKind::Internal
    );
}

#[test]
fn a_kernel_given_by_hand_does_not_win_over_the_override() {
    let xml =
        ODD.replace("<bootmenu enable='no'/>", "<kernel>/k</kernel><initrd>/i</initrd><cmdline>c</cmdline>");
    let copy = override_copy(&xml, &boot(BootTarget::Pxe)).unwrap();
    assert!(!copy.contains("/k") && !copy.contains("/i<") && !copy.contains("cmdline>c"), "{copy}");
}

#[test]
fn setup_waits_for_a_key_and_keeps_the_order() {
    let none = override_copy(ODD, &boot(BootTarget::BiosSetup)).unwrap_err();
    assert_eq!(none.kind, BackendErrorKind::Unsupported, "SeaBIOS has none");
    let uefi = ODD.replace("<os>", "<os firmware='efi'>");
    let copy = override_copy(&uefi, &boot(BootTarget::BiosSetup)).unwrap();
    assert!(
        copy.contains("<bootmenu enable='yes' timeout='65535'/>") && !copy.contains("enable='no'"),
        "{copy}"
    );
    assert!(copy.contains("<boot dev='network'/>"));
}

#[test]
fn http_needs_uefi_and_a_card_that_it_drives() {
    assert_eq!(override_copy(ODD, &boot(BootTarget::Http)).unwrap_err().kind, BackendErrorKind::Unsupported);
    let uefi = ODD.replace("<os>", "<os firmware='efi'>");
    assert_eq!(
        override_copy(&uefi, &boot(BootTarget::Http)).unwrap_err().kind,
        BackendErrorKind::Unsupported
    );
    let uefi = uefi.replace(
        "<mac address='52:54:00:aa:00:02'/>",
        "<mac address='52:54:00:aa:00:02'/><model type='virtio'/>",
    );
    let copy = override_copy(&uefi, &boot(BootTarget::Http)).unwrap();
    assert_eq!(order(&copy)[0], "52:54:00:aa:00:02", "the first card that OVMF drives by itself");
    assert_eq!(copy.matches("<rom enabled='no'/>").count(), 1);
    assert!(
        copy.contains("<sysinfo type='fwcfg'><entry name='opt/org.tianocore/IPv4PXESupport'>n</entry>"),
        "{copy}"
    );
    let own =
        uefi.replace("<devices>", "<sysinfo type='fwcfg'><entry name='opt/own'>x</entry></sysinfo><devices>");
    let copy = override_copy(&own, &boot(BootTarget::Http)).unwrap();
    assert_eq!(copy.matches("<sysinfo").count(), 1, "libvirt allows one of a type");
}

#[test]
fn a_copy_that_runs_gets_its_own_order_for_the_next_reset() {
    let alias = |xml: String, at: &str, name: &str| xml.replace(at, &format!("<alias name='{name}'/>{at}"));
    let mut live = override_copy(ODD, &boot(BootTarget::Cdrom)).unwrap();
    for (at, name) in [
        ("<target dev='vda'", "virtio-disk0"),
        ("<target dev='sda'", "sata0-0-0"),
        ("<mac address='52:54:00:AA:00:01'", "net0"),
        ("<mac address='52:54:00:aa:00:02'", "net1\"x"),
    ] {
        live = alias(live, at, name);
    }
    let indexes = own_indexes(ODD, &live).unwrap();
    let indexes: Vec<(&str, i64)> = indexes.iter().map(|(alias, place)| (&**alias, *place)).collect();
    let none = [("virtio-disk0", -1), ("sata0-0-0", -1), ("net0", -1)];
    assert_eq!(indexes, [&none[..], &[("net0", 1), ("virtio-disk0", 2)]].concat());
}

#[test]
fn a_mark_is_replaced_not_added() {
    let once = override_copy(ODD, &boot(BootTarget::Cdrom)).unwrap();
    let twice = override_copy(&once, &OverrideBoot { generation: 43, ..boot(BootTarget::Pxe) }).unwrap();
    assert_eq!(read::boot_generation(&twice), Some(43));
    assert_eq!(twice.matches("<polybmc:boot").count(), 1);
}

#[test]
fn a_boot_order_is_written_at_the_devices_and_reads_back() {
    let info = machine_info(ODD).unwrap();
    assert_eq!(info.boot_order, ["52:54:00:aa:00:01", "vda"]);
    let names: Vec<&str> = info.boot_devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["vda", "vdb", "sda", "sdb", "52:54:00:aa:00:01", "52:54:00:aa:00:02"]);
    let mut xml = ODD.to_owned();
    for wanted in
        [vec!["sdb", "52:54:00:aa:00:02", "vda"], vec!["vda"], vec!["52:54:00:aa:00:01", "sda", "vdb"]]
    {
        let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        xml = with_boot_order(&xml, &wanted).unwrap();
        assert_eq!(machine_info(&xml).unwrap().boot_order, wanted);
        assert!(!xml.contains("<boot dev"), "libvirt allows only one of both forms");
        assert_eq!(rest(&xml), rest(ODD), "everything else is as it was");
    }
    let copy = override_copy(&xml, &boot(BootTarget::Disk)).unwrap();
    assert_eq!(order(&copy)[..2], ["vdb", "52:54:00:AA:00:01"], "an override goes on top");
    assert!(with_boot_order(ODD, &["redirdev".to_owned()]).is_err());
}

#[test]
fn a_domain_is_read_as_frontends_show_it() {
    let info = machine_info(ODD).unwrap();
    assert_eq!(info.name, "odd & even");
    assert_eq!(info.uuid.to_string(), "11111111-2222-3333-4444-555555555555");
    assert_eq!((info.processors, info.memory_bytes), (2, 2 << 30));
    let macs: Vec<&str> = info.nics.iter().map(|nic| nic.mac.as_str()).collect();
    assert_eq!(macs, ["52:54:00:aa:00:01", "52:54:00:aa:00:02"]);
    assert!(info.firmware_switchable && !info.mains_return);
    use BootTarget::{Cdrom, Diagnostics, Disk, DiskSafeMode, Pxe, RemoteCdrom};
    assert_eq!(info.boot_targets, [Pxe, Disk, DiskSafeMode, Diagnostics, Cdrom, RemoteCdrom]);
    for (unit, bytes) in
        [("b", 3_u64), ("KB", 3000), ("k", 3072), ("MiB", 3 << 20), ("GB", 3_000_000_000), ("TiB", 3 << 40)]
    {
        let xml = ODD.replace("<memory unit='GiB'>2<", &format!("<memory unit='{unit}'>3<"));
        assert_eq!(machine_info(&xml).unwrap().memory_bytes, bytes, "{unit}");
    }
}
