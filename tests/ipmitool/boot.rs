//! Boot devices and boot options: written, read back, and used up.

use polybmc_tests::lab::Lab;

use super::{field, ok, refused};

/// ipmitool's name of a device, how it reads it back, and what the command line calls it.
const BOOT_DEVICES: [(&str, &str, &str); 8] = [
    ("none", "No override", "none"),
    ("pxe", "Force PXE", "pxe"),
    ("disk", "Force Boot from default Hard-Drive", "disk"),
    ("safe", "Force Boot from default Hard-Drive, request Safe-Mode", "disk-safe-mode"),
    ("diag", "Force Boot from Diagnostic Partition", "diagnostics"),
    ("cdrom", "Force Boot from CD/DVD", "cdrom"),
    ("bios", "Force Boot into BIOS Setup", "bios"),
    ("floppy", "Force Boot from Floppy/primary removable media", "usb"),
];

#[test]
fn boot_devices_once_and_persistent_by_bios_and_by_efi() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for (device, text, name) in BOOT_DEVICES {
        for (options, persistent, efi) in [
            ("", false, false),
            ("persistent", true, false),
            ("efiboot", false, true),
            ("persistent,efiboot", true, true),
        ] {
            let mut tool = node.ipmitool().args(["chassis", "bootdev", device]);
            if !options.is_empty() {
                tool = tool.arg(format!("options={options}"));
            }
            assert_eq!(tool.ok(), format!("Set Boot Device to {device}\n"), "{options}");
            let shown = node.boot();
            assert_eq!(shown["target"], name, "{device} {options}: {shown}");
            assert_eq!(shown["uefi"], efi, "{device} {options}: {shown}");

            let read = ok(&node, "chassis bootparam get 5");
            // Bare flags override nothing. With a word of how long or how to boot they stand: FreeIPMI says that before the device.
            let overrides = device != "none" || !options.is_empty();
            let valid = if overrides { "Boot Flag Valid" } else { "Boot Flag Invalid" };
            assert!(read.contains(&format!("   - {valid}\n")), "{device} {options}\n{read}");
            let how_long = if persistent && overrides { "all future boots" } else { "only next boot" };
            assert!(
                read.contains(&format!("   - Options apply to {how_long}\n")),
                "{device} {options}\n{read}"
            );
            let firmware = if efi { "BIOS EFI boot" } else { "BIOS PC Compatible (legacy) boot" };
            assert!(read.contains(&format!("   - {firmware}")), "{device} {options}\n{read}");
            assert_eq!(field(&read, "Boot Device Selector"), text, "{device} {options}\n{read}");
        }
    }
}

/// The whole text, as Ironic's driver parses it.
#[test]
fn bootparam_5_reads_as_clients_parse_it() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    ok(&node, "chassis bootdev pxe");
    let once = "\
Boot parameter version: 1
Boot parameter 5 is valid/unlocked
Boot parameter data: 8004000000
 Boot Flags :
   - Boot Flag Valid
   - Options apply to only next boot
   - BIOS PC Compatible (legacy) boot\x20
   - Boot Device Selector : Force PXE
   - BIOS verbosity : System Default
   - Console Redirection control : Console redirection occurs per BIOS configuration setting (default)
   - BIOS Mux Control Override : BIOS uses recommended setting of the mux at the end of POST
";
    assert_eq!(ok(&node, "chassis bootparam get 5"), once);
    ok(&node, "chassis bootdev cdrom options=persistent,efiboot");
    let persistent = once
        .replace("8004000000", "e014000000")
        .replace("only next boot", "all future boots")
        .replace("PC Compatible (legacy) boot", "EFI boot")
        .replace("Force PXE", "Force Boot from CD/DVD");
    assert_eq!(ok(&node, "chassis bootparam get 5"), persistent);
}

#[test]
fn every_boot_option_is_kept() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    // ipmitool's option, and the flags (data 1 to 5) that it sets besides valid and PXE.
    let options = [
        ("valid", [0x00, 0x00, 0x00, 0x00, 0x00]),
        ("persistent", [0x40, 0x00, 0x00, 0x00, 0x00]),
        ("efiboot", [0x20, 0x00, 0x00, 0x00, 0x00]),
        ("clear-cmos", [0x00, 0x80, 0x00, 0x00, 0x00]),
        ("lockkbd", [0x00, 0x40, 0x00, 0x00, 0x00]),
        ("screenblank", [0x00, 0x02, 0x00, 0x00, 0x00]),
        ("lockoutreset", [0x00, 0x01, 0x00, 0x00, 0x00]),
        ("lockout_power", [0x00, 0x00, 0x80, 0x00, 0x00]),
        ("verbose=no", [0x00, 0x00, 0x20, 0x00, 0x00]),
        ("verbose=yes", [0x00, 0x00, 0x40, 0x00, 0x00]),
        ("force_pet", [0x00, 0x00, 0x10, 0x00, 0x00]),
        ("upw_bypass", [0x00, 0x00, 0x08, 0x00, 0x00]),
        ("lockout_sleep", [0x00, 0x00, 0x04, 0x00, 0x00]),
        ("cons_redirect=skip", [0x00, 0x00, 0x01, 0x00, 0x00]),
        ("cons_redirect=enable", [0x00, 0x00, 0x02, 0x00, 0x00]),
    ];
    for (option, set) in options {
        ok(&node, &format!("chassis bootdev pxe options={option}"));
        let read = ok(&node, "raw 0x00 0x09 0x05 0x00 0x00");
        let flags: Vec<String> = set
            .iter()
            .zip([0x80, 0x04, 0, 0, 0])
            .map(|(byte, base)| format!("{:02x}", byte | base))
            .collect();
        assert_eq!(read.trim(), format!("01 05 {}", flags.join(" ")), "{option}");
    }
    ok(&node, "chassis bootdev bios clear-cmos=yes");
    assert_eq!(ok(&node, "raw 0x00 0x09 0x05 0x00 0x00").trim(), "01 05 80 98 00 00 00");
    ok(&node, "chassis bootdev bios clear-cmos=no");
    assert_eq!(ok(&node, "raw 0x00 0x09 0x05 0x00 0x00").trim(), "01 05 80 18 00 00 00");
}

#[test]
fn a_once_override_is_used_up_by_the_boot_it_decides() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let booted_after = |verb: &str| {
        let mark = lab.last_event();
        ok(&node, &format!("chassis power {verb}"));
        let from = lab.await_event(mark, "node-0", "booted")["from"].clone();
        node.await_power("on");
        from
    };
    let own = booted_after("on");
    ok(&node, "chassis bootdev pxe");
    let forced = booted_after("cycle");
    assert_ne!(forced, own);
    assert!(ok(&node, "chassis bootparam get 5").contains("   - Boot Flag Invalid\n"));
    assert_eq!(booted_after("reset"), own);

    ok(&node, "chassis bootdev pxe options=persistent");
    for _ in 0..2 {
        ok(&node, "chassis power off");
        node.await_power("off");
        assert_eq!(booted_after("on"), forced);
    }
    assert!(ok(&node, "chassis bootparam get 5").contains("   - Options apply to all future boots\n"));
    ok(&node, "chassis bootdev none");
    ok(&node, "chassis power off");
    node.await_power("off");
    assert_eq!(booted_after("on"), own);
}

#[test]
fn boot_parameters_0_to_7() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let lead = |number: u8| ok(&node, &format!("chassis bootparam get {number}"));
    for number in 0..8 {
        let text = lead(number);
        assert!(text.starts_with("Boot parameter version: 1\n"), "{text}");
        assert!(text.contains(&format!("Boot parameter {number} is valid/unlocked\n")), "{text}");
    }
    assert_eq!(field(&lead(0), "Set In Progress"), "set complete");
    // One option after the other, as ipmitool's own sub-command writes them.
    ok(&node, "raw 0x00 0x08 0x03 0x1f");
    assert_eq!(ok(&node, "raw 0x00 0x09 0x03 0x00 0x00").trim(), "01 03 1f");
    ok(&node, "raw 0x00 0x08 0x04 0x01 0x01");
    assert_eq!(ok(&node, "raw 0x00 0x09 0x04 0x00 0x00").split_whitespace().next_back(), Some("01"));
    ok(&node, "raw 0x00 0x08 0x07 0x00 0xa1 0xa2 0xa3");
    assert!(ok(&node, "raw 0x00 0x09 0x07 0x00 0x00").trim().starts_with("01 07 00 a1 a2 a3 00"));
    refused(&node, "raw 0x00 0x09 0x08 0x00 0x00", "rsp=0x80");
    refused(&node, "raw 0x00 0x08 0x60 0x00", "rsp=0x80");

    ok(&node, "chassis bootparam set bootflag force_cdrom");
    assert_eq!(field(&lead(5), "Boot Device Selector"), "Force Boot from CD/DVD");
    assert_eq!(node.boot()["target"], "cdrom");
}
