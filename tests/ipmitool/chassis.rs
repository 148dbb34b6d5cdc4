//! The rest of the chassis: its panel, its hours, how it restarts, its boot mailbox, and the watchdog timer.

use std::time::{Duration, Instant};

use polybmc_tests::lab::{Lab, Node};

use super::{field, ok, refused, run};

/// Data bytes of a raw answer.
fn raw(node: &Node<'_>, request: &str) -> Vec<u8> {
    let text = ok(node, &format!("raw {request}"));
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn poh_reads_as_hours_and_minutes() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let said = ok(&node, "chassis poh");
    assert_eq!(said, "POH Counter  : 0 days, 0 hours, 0 minutes\n");
    assert_eq!(raw(&node, "0x00 0x0f"), [1, 0, 0, 0, 0]);
}

#[test]
fn front_panel_buttons_are_shown_as_they_were_set() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let names = ["Power", "Reset", "Diag", "Sleep"];
    for disabled in [0x00_u8, 0x01, 0x03, 0x04, 0x08, 0x0f] {
        ok(&node, &format!("raw 0x00 0x0a {disabled:#04x}"));
        let status = ok(&node, "chassis status");
        for (bit, name) in names.iter().enumerate() {
            let is = (disabled >> bit & 1 == 1).to_string();
            assert_eq!(field(&status, &format!("{name} Button Disable")), "allowed");
            assert_eq!(field(&status, &format!("{name} Button Disabled")), is, "{disabled:02x}: {status}");
        }
        let locked = if disabled & 3 == 3 { "active" } else { "inactive" };
        assert_eq!(field(&status, "Front-Panel Lockout"), locked);
    }
    // They are for people at a front panel; who has logged in may do as before.
    node.bring_up();
    ok(&node, "power off");
    node.await_power("off");
}

#[test]
fn chassis_capabilities_are_kept() {
    let mut lab = Lab::builder(1).start();
    ok(&lab.node(0), "raw 0x00 0x05 0x03 0x20 0x22 0x20 0x20 0x20");
    lab.daemon.kill();
    lab.daemon.restart();
    assert_eq!(raw(&lab.node(0), "0x00 0x00"), [0x07, 0x20, 0x22, 0x20, 0x20, 0x20]);
}

#[test]
fn a_power_cycle_waits_for_its_interval_and_its_client_does_not() {
    // So long that a busy host has room for the commands in between.
    const INTERVAL: Duration = Duration::from_secs(8);
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    ok(&node, &format!("raw 0x00 0x0b {:#04x}", INTERVAL.as_secs()));
    let mark = lab.last_event();
    let asked = Instant::now();
    let ran = node.ipmitool().args(["-N", "1", "-R", "1", "power", "cycle"]).run();
    assert!(ran.success() && ran.took < INTERVAL, "{ran}");
    assert_eq!(ok(&node, "power status"), "Chassis Power is off\n");
    lab.await_event(mark, "node-0", "powered-on");
    assert!(asked.elapsed() >= INTERVAL);
    assert_eq!(lab.power_changes_since(mark, "node-0"), ["powered-off", "powered-on"]);

    // Within two seconds a cycle would join the one before; a machine that was switched off has none behind it.
    ok(&node, "power off");
    node.bring_up();
    let mark = lab.last_event();
    ok(&node, "power cycle");
    lab.await_event(mark, "node-0", "powered-off");
    ok(&node, "power off");
    ok(&node, "raw 0x00 0x0b 0x00");
    assert_eq!(node.power(), "off");
    ok(&node, "power on");
    node.await_power("on");
    assert_eq!(
        lab.power_changes_since(mark, "node-0"),
        ["powered-off", "powered-on"],
        "the cycle was called off"
    );
}

#[test]
fn a_machine_whose_power_goes_with_the_daemon_has_lost_mains_power() {
    let mut lab = Lab::builder(1).start();
    lab.node(0).bring_up();
    ok(&lab.node(0), "chassis policy previous");
    lab.daemon.kill();
    lab.daemon.restart();
    let node = lab.node(0);
    node.await_power("on");
    let status = ok(&node, "chassis status");
    assert_eq!(field(&status, "Last Power Event"), "ac-failed");
    let cause = ok(&node, "chassis restart_cause");
    assert_eq!(cause.trim_end(), "System restart cause: power-up due to restore-previous power policy");
    let log = ok(&node, "sel elist");
    assert!(log.contains("AC lost | Asserted"), "{log}");
}

#[test]
fn the_watchdog_is_set_started_and_read() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    refused(&node, "mc watchdog reset", "uninitialized watchdog");
    ok(&node, "mc watchdog set timeout=600 pretimeout=10 int=nmi use=osload action=cycle nolog");
    let shown = ok(&node, "mc watchdog get");
    for (name, value) in [
        ("Watchdog Timer Use", "OS Load (0x83)"),
        ("Watchdog Timer Is", "Stopped"),
        ("Watchdog Timer Logging", "Off"),
        ("Watchdog Timer Action", "Power Cycle (0x23)"),
        ("Pre-timeout interrupt", "NMI/Diagnostic"),
        ("Pre-timeout interval", "10 seconds"),
        ("Timer Expiration Flags", "None (0x00)"),
        ("Initial Countdown", "600.0 sec"),
        ("Present Countdown", "600.0 sec"),
    ] {
        assert_eq!(field(&shown, name), value, "{shown}");
    }
    ok(&node, "mc watchdog reset");
    let shown = ok(&node, "mc watchdog get");
    assert_eq!(field(&shown, "Watchdog Timer Is"), "Started/Running");
    ok(&node, "mc watchdog off");
    assert_eq!(field(&ok(&node, "mc watchdog get"), "Watchdog Timer Is"), "Stopped");
    // ipmitool tells of this refusal, and ends with status 0.
    let ran = run(&node, "mc watchdog set timeout=1 pretimeout=10 int=nmi use=sms action=none");
    assert!(ran.all_output().contains("Invalid data field"), "{ran}");
    refused(&node, "raw 0x06 0x24 0x00 0x00 0x00 0x00 0x01 0x00", "rsp=0xcc");
    refused(&node, "raw 0x06 0x24 0x04 0x00 0x00 0x00 0x01", "rsp=0xc7");
}

#[test]
fn the_watchdog_acts_on_the_machine() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    for (action, kinds) in [
        ("reset", &["watchdog-expired", "reset", "booted"][..]),
        ("cycle", &["watchdog-expired", "powered-off", "booted", "powered-on"]),
        ("poweroff", &["watchdog-expired", "powered-off"]),
    ] {
        if node.power() == "off" {
            node.bring_up();
        }
        let mark = lab.last_event();
        ok(&node, &format!("mc watchdog set timeout=1 use=sms clear=sms action={action}"));
        ok(&node, "mc watchdog reset");
        lab.await_event(mark, "node-0", kinds.last().unwrap());
        // The machine may have booted just before the timer was set.
        let seen = lab.kinds_since(mark, "node-0");
        assert!(seen.ends_with(&kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>()), "{seen:?}");
        let shown = ok(&node, "mc watchdog get");
        assert_eq!(field(&shown, "Watchdog Timer Is"), "Stopped");
        assert_eq!(field(&shown, "Timer Expiration Flags"), "(0x10)", "{shown}");
        let cause = ok(&node, "chassis restart_cause");
        assert_eq!(cause.trim_end(), "System restart cause: watchdog expired");
    }
    // A warning is an interrupt of its own, and changes nothing else.
    node.bring_up();
    let mark = lab.last_event();
    ok(&node, "mc watchdog set timeout=2 pretimeout=1 int=nmi use=post clear=sms action=none");
    ok(&node, "mc watchdog reset");
    lab.await_event(mark, "node-0", "watchdog-expired");
    lab.await_event(mark, "node-0", "nmi");
    lab.await_event(mark, "node-0", "watchdog-pre-timeout");
    assert_eq!(node.power(), "on");
}

#[test]
fn the_boot_mailbox_holds_what_is_written() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let text = "a text that is longer than the first block of the mailbox";
    node.ipmitool().args(["chassis", "bootmbox", "set", "text", "7154", text]).ok();
    let read = ok(&node, "chassis bootmbox get text");
    let joined: String =
        read.lines().filter_map(|line| line.split_once("Data : '")?.1.strip_suffix('\'')).collect();
    assert_eq!(joined, text, "{read}");
    assert!(field(&read, "IANA PEN").starts_with("7154"), "{read}");
    ok(&node, "chassis bootmbox set block 3 7154 1 2 3 255");
    let read = ok(&node, "chassis bootmbox get block 3");
    assert!(read.contains("010203ff000000000000000000000000"), "{read}");
    // Nobody is in the middle of a group of writes afterwards.
    assert_eq!(raw(&node, "0x00 0x09 0x00 0x00 0x00"), [1, 0, 0]);
}

#[test]
fn bootparam_set_writes_which_restarts_clear_the_valid_bit() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    // ipmitool 1.8.19 refuses its own `no-` forms.
    for (options, bits) in [
        ("PEF", 0x0f_u8),
        ("timeout", 0x17),
        ("reset,power", 0x1c),
        ("PEF,timeout,watchdog,reset,power", 0x00),
    ] {
        ok(&node, "raw 0x00 0x08 0x03 0x1f");
        ok(&node, &format!("chassis bootparam set bootflag force_pxe options={options}"));
        assert_eq!(raw(&node, "0x00 0x09 0x03 0x00 0x00"), [1, 3, bits], "{options}");
        assert_eq!(node.boot()["target"], "pxe");
    }
    // A machine that hung in the installer boots its own disk.
    ok(&node, "raw 0x00 0x08 0x03 0x1f");
    ok(&node, "chassis bootparam set bootflag force_pxe options=watchdog");
    ok(&node, "chassis bootdev pxe options=persistent");
    ok(&node, "raw 0x00 0x08 0x03 0x1b");
    node.bring_up();
    let mark = lab.last_event();
    ok(&node, "mc watchdog set timeout=1 use=osload action=reset");
    ok(&node, "mc watchdog reset");
    lab.await_event(mark, "node-0", "watchdog-expired");
    let from = lab.await_event(mark, "node-0", "booted")["from"].clone();
    assert!(ok(&node, "chassis bootparam get 5").contains("   - Boot Flag Invalid\n"));
    assert_eq!(node.boot()["enabled"], "disabled");
    assert!(from.as_str().unwrap().contains("disk"), "{from}");
}
