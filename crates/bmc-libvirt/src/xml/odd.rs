//! Every odd definition with every edit: refused in words, or well-formed and otherwise as it was, and undone to the last byte.

use std::path::PathBuf;

use bmc_core::boot::{BootTarget, FirmwareMode, OverrideBoot};
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::media::{MediaImage, MediaSlot};
use bmc_core::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};

use super::firmware::Kind;
use super::system_interface::Reconnect;
use super::{disk, edit, firmware, inventory, media, place, read, serial, system_interface};
use crate::firmware::catalogue::by_word;

const UUID: &str = "<uuid>11111111-2222-3333-4444-555555555555</uuid>";
const PC: &str = "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>";
const BUSES: &str = "<controller type='sata' index='0'/><controller type='usb' index='0' model='qemu-xhci'/>";
const DISK: &str =
    "<disk type='file' device='disk'><source file='/d'/><target dev='vda' bus='virtio'/></disk>";
const NIC: &str =
    "<interface type='user'><mac address='52:54:00:aa:00:01'/><model type='virtio'/></interface>";
const NVRAM: &str = "/var/nvram/odd_VARS.fd";
/// A long definition: libvirt sends up to 4 MiB in one string.
const LONG: usize = 1 << 20;

fn domain(kind: &str, head: &str, os: &str, devices: &str, tail: &str) -> String {
    format!(
        "<domain type='{kind}'>\n  <name>odd</name>\n  {UUID}\n  {head}<memory unit='KiB'>1048576</memory>\n  <vcpu>2</vcpu>\n  {os}\n  \
         <devices>{devices}</devices>{tail}\n</domain>\n"
    )
}

fn pc(head: &str, devices: &str, tail: &str) -> String {
    domain("kvm", head, PC, &format!("{BUSES}{devices}"), tail)
}

/// What there is under the sun.
fn oddities() -> Vec<(&'static str, String)> {
    let cdrom = |target: &str, inner: &str| {
        format!(
            "<disk type='file' device='cdrom'>{inner}<target dev='{target}' bus='sata'/><readonly/></disk>"
        )
    };
    let os = |kind: &str, inner: &str| format!("<os>{kind}{inner}</os>");
    let x86 = "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type>";
    let qemu_line = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
        <qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/a,string=&lt;&amp;&apos;'/><qemu:env name='A' value='b'/></qemu:commandline>";
    let strange_prefix = "<_x.y-1:commandline xmlns:_x.y-1='http://libvirt.org/schemas/domain/qemu/1.0'><_x.y-1:arg value='-S'/></_x.y-1:commandline>";
    let own_prefix =
        "<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'><arg value='-S'/></commandline>";
    let kernel = "<kernel>/boot/vmlinuz</kernel><initrd>/boot/initrd</initrd><cmdline>a &amp; b</cmdline>";
    let many: String = (0..40)
        .map(|number| {
            format!("<disk type='file' device='disk'><target dev='vd{number}' bus='virtio'/><boot order='{}'/></disk>", 40 - number)
        })
        .collect();
    let taken: String = (0..6).map(|unit| cdrom(&format!("sd{unit}"), "")).collect();
    let lxc = os("<type arch='x86_64'>exe</type>", "<init>/bin/sh</init>");
    let rootfs = "<filesystem type='mount'><source dir='/'/><target dir='/'/></filesystem>";
    let fake_tags = "<metadata><a:n xmlns:a='urn:a'><![CDATA[</devices><boot order='1'/>]]><!-- </metadata> <os/> --></a:n></metadata>\n  ";
    vec![
        ("several CD-ROMs", pc("", &format!("{DISK}{}{}{}{NIC}", cdrom("sda", "<source file='/a.iso'/>"), cdrom("sdb", ""), cdrom("sdc", "")), "")),
        ("CD-ROMs everywhere", pc("", &format!("{taken}{NIC}"), "")),
        ("no disk", pc("", NIC, "")),
        ("no device that boots", pc("", "", "")),
        ("empty devices", domain("kvm", "", PC, "", "").replace("<devices></devices>", "<devices/>")),
        ("no devices at all", domain("kvm", "", PC, "", "").replace("<devices></devices>", "")),
        ("direct kernel boot", domain("kvm", "", &os(x86, kernel), &format!("{BUSES}{DISK}{NIC}"), "")),
        ("direct kernel boot with UEFI", domain("kvm", "", &os(x86, kernel).replace("<os>", "<os firmware='efi'>"), &format!("{BUSES}{DISK}{NIC}"), "")),
        ("QEMU's command line", pc("", &format!("{DISK}{NIC}"), qemu_line)),
        ("another prefix", pc("", &format!("{DISK}{NIC}"), strange_prefix)),
        ("no prefix", pc("", &format!("{DISK}{NIC}"), own_prefix)),
        ("a remark in the command line", pc("", DISK, "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><!-- mine --></q:commandline>")),
        ("an odd number of arguments", pc("", DISK, "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-device'/></q:commandline>")),
        ("an order at each device", domain("kvm", "", &os(x86, ""), &format!("{BUSES}{many}{}", NIC.replace("<model", "<boot order='99'/><model")), "")),
        ("orders that are none", domain("kvm", "", &os(x86, ""), &format!("{BUSES}{}{NIC}", DISK.replace("<target", "<boot order='first'/><target")), "")),
        ("a boot element without an order", domain("kvm", "", &os(x86, ""), &format!("{BUSES}{}{NIC}", DISK.replace("<target", "<boot loadparm='2'/><target")), "")),
        ("both kinds of order", pc("", &format!("{}{NIC}", DISK.replace("<target", "<boot order='2'/><target")), "")),
        ("double quotes", pc("", &format!("{DISK}{NIC}"), "").replace('\'', "\"")),
        ("greater-than in attributes", pc("", &format!("{}{NIC}", DISK.replace("file='/d'", "file='/a>b/>'")), "")),
        ("two interfaces without an address", pc("", &format!("{DISK}<interface type='user'/><interface type='bridge'><source bridge='br0'/></interface>"), "")),
        ("two interfaces with one address", pc("", &format!("{DISK}{NIC}{NIC}"), "")),
        ("host devices", pc("", "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source><boot order='1'/></hostdev><redirdev bus='usb' type='tcp'/>", "")),
        ("UEFI by hand", domain("kvm", "", &os(x86, "<loader readonly='yes' type='pflash'>/fw/OVMF_CODE.fd</loader><nvram template='/fw/V.fd'>/v/&lt;odd&gt;.fd</nvram>"), &format!("{BUSES}{DISK}{NIC}"), "")),
        ("UEFI by libvirt", domain("kvm", "", &PC.replace("<os>", "<os firmware='efi'>"), &format!("{BUSES}{DISK}{NIC}"), "")),
        ("UEFI, attribute laid out", domain("kvm", "", &PC.replace("<os>", "<os\n    firmware = \"efi\"  >"), &format!("{BUSES}{DISK}{NIC}"), "")),
        ("a remark in the os", domain("kvm", "", &PC.replace("<boot dev='hd'/>", "<!-- <boot dev='cdrom'/> --><boot dev='hd'/><bootmenu enable='no'/>"), &format!("{BUSES}{DISK}{NIC}"), "")),
        ("settings for the firmware", pc("", &format!("{DISK}{NIC}"), "<sysinfo type='fwcfg'><entry name='opt/mine'>x</entry></sysinfo>").replace("<os>", "<os firmware='efi'>")),
        ("markup in CDATA and remarks", pc(fake_tags, &format!("{DISK}{NIC}"), "")),
        ("empty metadata", pc("<metadata/>", &format!("{DISK}{NIC}"), "")),
        ("a remark as metadata", pc("<metadata><!-- mine --></metadata>", &format!("{DISK}{NIC}"), "")),
        ("elements of others in between", pc("<x:os xmlns:x='urn:x'><x:type arch='mips'/><x:boot/></x:os><x:devices xmlns:x='urn:x'><x:disk/></x:devices><x:metadata xmlns:x='urn:x'/>", &format!("{DISK}{NIC}"), "")),
        ("a processing instruction", format!("<?xml version='1.0' encoding='UTF-8'?>\n<!-- WARNING: generated -->\n{}", pc("<?mine devices?>", DISK, ""))),
        ("a name that is not ASCII", pc("<title>日本 &#x1F600; \u{202e}</title>", &format!("{DISK}{NIC}"), "").replace("<name>odd", "<name>größe-日本-&#x1F600;&amp;co")),
        ("a name in CDATA", pc("", DISK, "").replace("<name>odd</name>", "<name><![CDATA[a<b]]></name>")),
        ("carriage returns", pc("", &format!("{DISK}{NIC}"), "").replace('\n', "\r\n")),
        ("deep metadata", pc(&format!("<metadata><a:n xmlns:a='urn:a'>{}{}</a:n></metadata>", "<a>".repeat(2000), "</a>".repeat(2000)), DISK, "")),
        ("figures beyond all", pc("", &format!("{DISK}{NIC}"), "").replace("1048576", "18446744073709551615").replace("<vcpu>2", "<cpu><topology sockets='4294967295' cores='4294967295' threads='4294967295'/></cpu><vcpu>512")),
        ("figures that are none", pc("", &format!("{DISK}{NIC}"), "").replace("1048576", "much").replace("<vcpu>2", "<vcpu>-1")),
        ("aarch64", domain("kvm", "", "<os firmware='efi'><type arch='aarch64' machine='virt-7.2'>hvm</type><boot dev='hd'/></os>", &format!("<controller type='usb' index='0' model='qemu-xhci'/>{DISK}{NIC}"), "")),
        ("s390x", domain("kvm", "", "<os><type arch='s390x' machine='s390-ccw-virtio-7.2'>hvm</type></os>", &format!("{}{NIC}", DISK.replace("<target", "<boot order='1' loadparm='2'/><target")), "")),
        ("ppc64", domain("qemu", "", "<os><type arch='ppc64' machine='pseries-7.2'>hvm</type><boot dev='network'/></os>", &format!("<controller type='usb' index='0'/>{DISK}{NIC}"), "")),
        ("a microvm", domain("kvm", "", &os("<type arch='x86_64' machine='microvm'>hvm</type>", kernel), &format!("<controller type='usb' index='0' model='none'/>{DISK}{NIC}"), "")),
        ("no os", domain("kvm", "", "", &format!("{BUSES}{DISK}{NIC}"), "")),
        ("an empty os", domain("kvm", "", "<os/>", &format!("{BUSES}{DISK}{NIC}"), "")),
        ("a container", domain("lxc", "", &lxc, &format!("{rootfs}{NIC}<console type='pty'/>"), "<lxc:namespace xmlns:lxc='http://libvirt.org/schemas/domain/lxc/1.0'><lxc:sharenet type='netns' value='red'/></lxc:namespace>")),
        ("Xen's", domain("xen", "", "<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>/k</kernel></os>", &format!("{}{NIC}", DISK.replace("vda' bus='virtio", "xvda' bus='xen")), "")),
        ("VMware's", domain("vmware", "", "<os><type arch='x86_64'>hvm</type></os>", &format!("<controller type='scsi' index='0' model='vmpvscsi'/>{DISK}{NIC}"), "<vmware:datacenterpath xmlns:vmware='http://libvirt.org/schemas/domain/vmware/1.0'>dc</vmware:datacenterpath>")),
        ("a disk without a target", pc("", "<disk type='file' device='disk'><source file='/d'/></disk><disk/>", "")),
    ]
}

type Edited = Result<String, BackendError>;
type Undo = Box<dyn Fn(&str) -> Edited>;

/// An edit: its name, what it may add to a domain or take from it, the edit, and what takes it back.
struct Edit {
    name: String,
    may: &'static [&'static str],
    change: Box<dyn Fn(&str) -> Edited>,
    undo: Option<Undo>,
}

fn image(slot: MediaSlot) -> MediaImage {
    MediaImage {
        slot,
        file: "/spool/it's<1>&\"2\".iso".into(),
        name: "live.iso".to_owned(),
        write_protected: true,
    }
}

fn kind_of(xml: &str) -> Result<Kind, BackendError> {
    Ok(match read::machine_info(xml)?.firmware {
        FirmwareMode::Legacy => Kind::Legacy,
        FirmwareMode::Uefi => by_word(&firmware::facts(xml)?),
    })
}

fn edits() -> Vec<Edit> {
    let mut edits = Vec::new();
    for target in BootTarget::ALL.into_iter().filter(|target| *target != BootTarget::None) {
        let boot =
            OverrideBoot { target, efi: false, http_uri: None, device: None, once: true, generation: 42 };
        edits.push(Edit {
            name: format!("boot {}", target.as_str()),
            may: match target {
                BootTarget::BiosSetup => &["polybmc:boot", "bootmenu"],
                BootTarget::Http => {
                    &["polybmc:boot", "boot", "kernel", "initrd", "cmdline", "rom", "sysinfo", "entry"]
                }
                _ => &["polybmc:boot", "boot", "kernel", "initrd", "cmdline"],
            },
            change: Box::new(move |xml| edit::override_copy(xml, &boot)),
            undo: None,
        });
    }
    edits.push(Edit {
        name: "boot order, backwards".to_owned(),
        may: &["boot"],
        change: Box::new(|xml| {
            let mut names: Vec<String> =
                read::machine_info(xml)?.boot_devices.into_iter().map(|device| device.name).collect();
            names.reverse();
            let changed = edit::with_boot_order(xml, &names)?;
            assert_eq!(read::machine_info(&changed)?.boot_order, names, "it is what was asked for");
            assert_eq!(edit::with_boot_order(&changed, &names)?, changed, "again is the same");
            Ok(changed)
        }),
        undo: None,
    });
    for slot in MediaSlot::ALL {
        edits.push(Edit {
            name: format!("insert into {}", slot.as_str()),
            may: &["disk"],
            change: Box::new(move |xml| {
                let changed = media::with_medium(xml, &image(slot))?;
                assert_eq!(media::media(&changed)?, [(slot, image(slot).file)]);
                Ok(changed)
            }),
            undo: Some(Box::new(move |xml| media::without_medium(xml, slot))),
        });
    }
    edits.push(Edit {
        name: "tray".to_owned(),
        may: &["disk"],
        change: Box::new(media::with_tray),
        undo: Some(Box::new(|xml| media::without_medium(xml, MediaSlot::Cd))),
    });
    for kind in [SystemInterfaceKind::Kcs, SystemInterfaceKind::Bt] {
        let device = SystemInterfaceDevice { kind, socket: PathBuf::from("/run/a,b'<c>.sock") };
        edits.push(Edit {
            name: format!("system interface {kind:?}"),
            may: &["qemu:commandline", "qemu:arg", "_x.y-1:arg", "q:commandline", "q:arg"],
            change: Box::new(move |xml| {
                let changed = system_interface::with_device(xml, Some(&device), Reconnect::Seconds)?;
                assert_eq!(read::machine_info(&changed)?.system_interface.as_ref(), Some(&device));
                Ok(changed)
            }),
            undo: Some(Box::new(|xml| system_interface::with_device(xml, None, Reconnect::Seconds))),
        });
    }
    edits.push(Edit {
        name: "a volume".to_owned(),
        may: &["disk"],
        change: Box::new(|xml| {
            let bus = disk::best_bus(xml)?;
            let name = disk::free_name(&[xml], bus)?;
            let new = disk::NewDisk { name: &name, bus, serial: "S'<1>", path: "/p'<1>", block: false };
            let changed = disk::with_device(xml, &new.to_xml())?;
            assert!(disk::has(&changed, "S'<1>")?);
            Ok(changed)
        }),
        undo: Some(Box::new(|xml| Ok(disk::without(xml, "S'<1>")?.unwrap_or_default()))),
    });
    for wanted in [Kind::Legacy, Kind::Plain, Kind::Secure { enrolled: true }] {
        edits.push(Edit {
            name: format!("firmware {wanted:?}"),
            may: &["firmware", "loader", "nvram", "polybmc:firmware"],
            change: Box::new(move |xml| {
                let changed = firmware::with_firmware(xml, (kind_of(xml)?, wanted), by_word, Some(NVRAM))?;
                assert!(kind_of(&changed)?.is_like(wanted));
                let again = firmware::with_firmware(&changed, (wanted, kind_of(xml)?), by_word, Some(NVRAM))?;
                let may = &["firmware", "loader", "nvram", "polybmc:firmware"];
                assert!(without(&again, may) == without(xml, may), "there and back:\n{xml}\n{again}");
                assert_eq!(firmware::facts(&again)?, firmware::facts(xml)?);
                assert_eq!(kind_of(&again)?, kind_of(xml)?);
                Ok(changed)
            }),
            undo: None,
        });
    }
    edits
}

/// A definition without these elements and without the attribute of `<os>` that selects firmware. What is within metadata counts unless it is
/// ours; `<metadata>` itself, `<devices>` and empty tags are nothing.
fn without(xml: &str, names: &[&str]) -> String {
    let mut left = String::new();
    let mut rest = xml;
    let (mut in_metadata, mut hidden): (bool, Option<(&str, usize)>) = (false, None);
    while let Some(start) = rest.find('<') {
        if hidden.is_none() {
            left.push_str(&rest[..start]);
        }
        rest = &rest[start..];
        let end = end_of_tag(rest);
        let tag = &rest[..end];
        rest = &rest[end..];
        let name_of = |tag: &'_ str| -> usize {
            tag[1..].find(|c: char| c.is_whitespace() || "/>".contains(c)).map_or(tag.len(), |at| at + 1)
        };
        let closing = tag.starts_with("</");
        let name = if closing { tag[2..tag.len() - 1].trim_end() } else { &tag[1..name_of(tag)] };
        let empty = tag.ends_with("/>");
        if let Some((hidden_name, depth)) = hidden {
            if name == hidden_name && !empty && !tag.starts_with("<!") {
                let depth = if closing { depth - 1 } else { depth + 1 };
                hidden = (depth > 0).then_some((hidden_name, depth));
            }
            continue;
        }
        if tag.starts_with("<!") || tag.starts_with("<?") {
            left.push_str(tag);
            continue;
        }
        if name == "metadata" {
            in_metadata = !closing && !empty;
            continue;
        }
        if name == "devices" && !in_metadata {
            continue;
        }
        if names.contains(&name) && (!in_metadata || name.starts_with("polybmc:")) {
            if !empty && !closing {
                hidden = Some((name, 1));
            }
            continue;
        }
        if name == "os" && !closing && names.contains(&"firmware") {
            left.push_str("<os>");
            left.push_str(if empty { "</os>" } else { "" });
        } else if empty {
            left.push_str(tag[..tag.len() - 2].trim_end());
            left.push_str(&format!("></{name}>"));
        } else {
            left.push_str(tag);
        }
    }
    if hidden.is_none() {
        left.push_str(rest);
    }
    left
}

/// Where a tag, a remark, CDATA or an instruction at the start of a text ends.
fn end_of_tag(text: &str) -> usize {
    for (opens, closes) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        if text.starts_with(opens) {
            return text.find(closes).unwrap() + closes.len();
        }
    }
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if open == letter => quote = None,
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            None if letter == '>' => return at + 1,
            _ => {}
        }
    }
    panic!("a tag without an end")
}

/// Nothing of the world's makes the reading fail, and what comes out holds together.
#[test]
fn every_odd_definition_is_read() {
    for (name, xml) in oddities() {
        let info = read::machine_info(&xml).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!info.name.is_empty() && info.processors > 0, "{name}");
        assert!(info.memory_modules.len() <= 128, "{name}: {}", info.memory_modules.len());
        let names: Vec<&str> = info.boot_devices.iter().map(|device| device.name.as_str()).collect();
        for (at, device) in names.iter().enumerate() {
            assert!(!names[..at].contains(device), "{name}: {device} is there twice");
        }
        for device in &info.boot_order {
            assert!(names.contains(&device.as_str()), "{name}: {device} is no boot device");
        }
        let _ = info.cpu.sockets(info.processors);
        read::has_screen(&xml).unwrap();
        let _ = serial::serial_line(&xml).unwrap();
        place::device_paths(&xml).unwrap();
        let _ = place::variable_store(&xml);
        assert_eq!(read::boot_generation(&xml), None, "{name}");
        assert_eq!(inventory::vnc(&xml), None, "{name}");
        assert_eq!(media::media(&xml).unwrap(), []);
        edit::own_indexes(&xml, &xml).unwrap();
    }
}

/// What is no definition is refused in words.
#[test]
fn what_is_no_definition_is_refused() {
    for text in [
        "",
        "no XML",
        "<domain",
        "<domain type='kvm'>",
        "<domain/>",
        "<domain><name>n</name><uuid>x</uuid></domain>",
        "<!DOCTYPE d [<!ENTITY a 'b'>]><domain><name>&a;</name></domain>",
        "<domain><name>\u{0}</name></domain>",
        "<domain xmlns:a='b' a:c='1' a:c='2'/>",
    ] {
        let error = read::machine_info(text).unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Internal);
        assert!(error.message.contains("the domain's XML"), "{text}: {error}");
        for edit in edits() {
            assert!(
                (edit.change)(text).is_err() || text == "<domain/>" || text.starts_with("<domain><name>n"),
                "{}: {text}",
                edit.name
            );
        }
    }
}

#[test]
fn every_edit_of_every_odd_definition_is_refused_or_changes_nothing_else() {
    let mut done = 0;
    for (name, xml) in oddities() {
        for Edit { name: edit, may, change, undo } in edits() {
            let changed = match change(&xml) {
                Ok(changed) => changed,
                Err(error) => {
                    let clear = [BackendErrorKind::Unsupported, BackendErrorKind::InvalidState];
                    assert!(clear.contains(&error.kind), "{edit} of {name}: {error:?}");
                    continue;
                }
            };
            done += 1;
            read::parse(&changed).unwrap_or_else(|error| panic!("{edit} of {name}: {error}\n{changed}"));
            assert!(
                without(&changed, may) == without(&xml, may),
                "{edit} of {name} changed more:\n{xml}\n{changed}"
            );
            if let Some(undo) = undo {
                let undone = undo(&changed).unwrap();
                // libvirt always writes the element.
                let no_devices = |xml: &str| xml.replace("<devices/>", "").replace("<devices></devices>", "");
                assert!(
                    undone == xml || no_devices(&undone) == no_devices(&xml),
                    "{edit} of {name}, undone:\n{xml}\n{undone}"
                );
            }
        }
    }
    assert!(done > 300, "{done} edits were made");
}

/// Metadata that fill libvirt's message cost time and nothing else.
#[test]
fn a_long_definition_is_edited_as_a_short_one() {
    const HERE: &str = "@HERE@";
    let short =
        pc(&format!("<metadata><a:n xmlns:a='urn:a'>{HERE}</a:n></metadata>"), &format!("{DISK}{NIC}"), "");
    let pxe = format!("boot {}", BootTarget::Pxe.as_str());
    for (filler, edits_of) in [("é".repeat(LONG / 2), None), ("<a/>".repeat(LONG / 4), Some(pxe.as_str()))] {
        let long = short.replace(HERE, &filler);
        let count = |xml: &str| read::machine_info(xml).unwrap().boot_devices.len();
        assert_eq!(count(&long), count(&short));
        for Edit { name, change, .. } in edits() {
            if edits_of.is_some_and(|only| only != name) {
                continue;
            }
            match (change(&long), change(&short)) {
                (Ok(long), Ok(short)) => assert!(long == short.replace(HERE, &filler), "{name}"),
                (long, short) => {
                    assert_eq!(long.map_err(|error| error.kind), short.map_err(|error| error.kind), "{name}")
                }
            }
        }
    }
}

/// Who has nothing to boot from but its host's kernel is offered nothing, and told so.
#[test]
fn a_container_is_offered_no_boot() {
    let (_, container) = oddities().into_iter().find(|(name, _)| *name == "a container").unwrap();
    let info = read::machine_info(&container).unwrap();
    assert_eq!((info.boot_targets, info.boot_devices, info.boot_order), (vec![], vec![], vec![]));
    assert!(!info.firmware_switchable && info.nics.len() == 1);
    for Edit { name, change, .. } in edits().into_iter().filter(|edit| edit.name != "tray") {
        let error = change(&container).map(drop);
        assert!(
            name == "firmware Legacy"
                || error.as_ref().is_err_and(|error| error.kind == BackendErrorKind::Unsupported),
            "{name}: {error:?}"
        );
    }
}

/// What can be inserted is what can be booted from.
#[test]
fn a_drive_is_offered_where_there_is_a_place_for_it() {
    for (name, xml) in oddities() {
        let offered = read::machine_info(&xml).unwrap().boot_targets.contains(&BootTarget::Cdrom);
        let inserted = media::with_medium(&xml, &image(MediaSlot::Cd));
        let has_own = xml.contains("device='cdrom'");
        assert_eq!(offered, inserted.is_ok() || has_own, "{name}: {inserted:?}");
        if let Ok(inserted) = inserted {
            let boot = OverrideBoot {
                target: BootTarget::Cdrom,
                efi: false,
                http_uri: None,
                device: None,
                once: true,
                generation: 1,
            };
            assert!(edit::override_copy(&inserted, &boot).is_ok(), "{name}");
        }
    }
}
