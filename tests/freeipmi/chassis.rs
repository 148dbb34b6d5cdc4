//! The whole of `ipmi-chassis` and `ipmi-chassis-config`: the panel, the hours, the interval, what a checkout says and a commit changes.

use polybmc_tests::lab::Lab;

use super::{field, freeipmi};

#[test]
fn ipmi_chassis_reads_panel_hours_and_cause() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let chassis = |arg: &str| freeipmi("ipmi-chassis", &node, "17").arg(arg).ok();
    assert_eq!(chassis("--get-power-on-hours-counter").trim_end(), "Power on hours : 0 Hours 0 Minutes");
    assert_eq!(chassis("--get-system-restart-cause").trim_end(), "Restart cause : unknown");
    let status = chassis("--get-chassis-status");
    for button in ["Power off", "Reset", "Diagnostic Interrupt", "Standby"] {
        assert_eq!(field(&status, &format!("{button} button")), "enabled", "{status}");
    }
    assert_eq!(field(&status, "Standby button disable"), "allowed", "{status}");
    assert_eq!(field(&status, "Last Power Event"), "unknown", "{status}");
    assert_eq!(field(&status, "Drive Fault"), "false", "{status}");

    chassis("--chassis-control=POWER-UP");
    node.await_power("on");
    assert_eq!(field(&chassis("--get-chassis-status"), "Last Power Event"), "power on via ipmi command");
    node.ipmitool().args(["mc", "watchdog", "set", "timeout=1", "use=sms", "action=reset"]).ok();
    let mark = lab.last_event();
    node.ipmitool().args(["mc", "watchdog", "reset"]).ok();
    lab.await_event(mark, "node-0", "reset");
    assert!(chassis("--get-system-restart-cause").to_lowercase().contains("watchdog"));
}

#[test]
fn ipmi_chassis_config_commits_what_it_reads() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let config = |args: &[&str]| freeipmi("ipmi-chassis-config", &node, "17").args(args).run();
    let buttons = [
        "Enable_Standby_Button_For_Entering_Standby",
        "Enable_Diagnostic_Interrupt_Button",
        "Enable_Reset_Button",
        "Enable_Power_Off_Button_For_Power_Off_Only",
    ];
    for (n, button) in buttons.into_iter().enumerate() {
        let pair = format!("--key-pair=Chassis_Front_Panel_Buttons:{button}=No");
        let committed = config(&["--commit", &pair]);
        assert!(committed.success(), "{committed}");
        let diff = config(&["--diff", &pair]);
        assert!(diff.success() && diff.stdout.is_empty(), "{diff}");
        let all = config(&["--checkout", "--section=Chassis_Front_Panel_Buttons"]);
        assert!(all.success(), "{all}");
        assert_eq!(all.stdout.matches(" No\n").count(), n + 1, "one changes no other: {all}");
    }
    for policy in ["Restore_State_AC_Apply", "On_State_AC_Apply", "Off_State_AC_Apply"] {
        let pair = format!("--key-pair=Chassis_Power_Conf:Power_Restore_Policy={policy}");
        assert!(config(&["--commit", &pair]).success(), "{policy}");
        let diff = config(&["--diff", &pair]);
        assert!(diff.success() && diff.stdout.is_empty(), "{diff}");
    }
    // There is no command that reads the interval; the next cycle shows it.
    let committed = config(&["--commit", "--key-pair=Chassis_Power_Conf:Power_Cycle_Interval=1"]);
    assert!(committed.success(), "{committed}");

    // A checkout of everything can be committed, and then nothing differs.
    let all = config(&["--checkout", "--verbose"]);
    assert!(all.success(), "{all}");
    let file = lab.daemon.dir().join("all.conf");
    std::fs::write(&file, &all.stdout).unwrap();
    let name = file.to_str().unwrap();
    let committed = config(&["--commit", "--verbose", "--filename", name]);
    assert!(committed.success() && committed.stderr.is_empty(), "{committed}");
    let diff = config(&["--diff", "--filename", name]);
    assert!(diff.success() && diff.stdout.is_empty(), "{diff}");
}
