//! LAN configuration: printed, set, verified and kept.

use super::*;

#[test]
fn lan_print_shows_what_is_real() {
    let lab = Lab::builder(2).start();
    let node = lab.node(0);
    let text = ok(&node, "lan print 1");
    let ip = node.ipmi.ip().to_string();
    for (name, value) in [
        ("Set in Progress", "Set Complete"),
        ("IP Address Source", "Static Address"),
        ("IP Address", ip.as_str()),
        ("Subnet Mask", "255.0.0.0"),
        ("SNMP Community String", "public"),
        ("RMCP+ Cipher Suites", "3,17"),
        ("Cipher Suite Priv Max", "XXXaXXXXXXXXXXX"),
        ("802.1q VLAN ID", "Disabled"),
        ("Bad Password Threshold", "0"),
    ] {
        assert_eq!(field(&text, name), value, "{text}");
    }
    let mac = |node: &Node<'_>| {
        let text = ok(node, "lan print 1");
        let line = text.lines().find(|line| line.starts_with("MAC Address")).expect("a MAC address");
        line.split_once(": ").expect("a value").1.to_owned()
    };
    assert_eq!(mac(&node), mac(&node));
    assert_ne!(mac(&node), mac(&lab.node(1)));
    assert_eq!(ok(&node, "lan alert print 1").matches("PET Trap").count(), 5);
    let six = run(&node, "lan6 print 1");
    assert!(!six.timed_out && six.took < Duration::from_secs(5), "{six}");
}

#[test]
fn lan_set_is_verified_and_moves_nothing() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let rows = [
        ("ipsrc dhcp", "IP Address Source", "DHCP Address"),
        ("ipsrc static", "IP Address Source", "Static Address"),
        ("ipaddr 192.0.2.10", "IP Address", "192.0.2.10"),
        ("netmask 255.255.255.0", "Subnet Mask", "255.255.255.0"),
        ("macaddr 52:54:00:01:02:03", "MAC Address", "52:54:00:01:02:03"),
        ("defgw ipaddr 192.0.2.1", "Default Gateway IP", "192.0.2.1"),
        ("defgw macaddr 52:54:00:01:02:04", "Default Gateway MAC", "52:54:00:01:02:04"),
        ("bakgw ipaddr 192.0.2.2", "Backup Gateway IP", "192.0.2.2"),
        ("snmp traps-only", "SNMP Community String", "traps-only"),
        ("vlan id 100", "802.1q VLAN ID", "100"),
        ("vlan priority 3", "802.1q VLAN Priority", "3"),
        ("vlan id off", "802.1q VLAN ID", "Disabled"),
        ("arp respond on", "BMC ARP Control", "ARP Responses Enabled, Gratuitous ARP Disabled"),
        ("cipher_privs XXXoXXXXXXXXXXX", "Cipher Suite Priv Max", "XXXoXXXXXXXXXXX"),
        ("bad_pass_thresh 3 1 30 60", "Bad Password Threshold", "3"),
    ];
    for (set, name, value) in rows {
        ok(&node, &format!("lan set 1 {set}"));
        let text = ok(&node, "lan print 1");
        let shown = text.lines().find_map(|line| {
            let (key, shown) = line.split_once(" : ").or_else(|| line.split_once(": "))?;
            (key.trim() == name).then_some(shown.trim())
        });
        assert_eq!(shown, Some(value), "{set}:\n{text}");
    }
    for set in ["ipaddr 10.0.0.9", "type pet", "retry 3", "time 5"] {
        ok(&node, &format!("lan alert set 1 1 {set}"));
    }
    let alert = ok(&node, "lan alert print 1 1");
    assert_eq!(field(&alert, "Alert IP Address"), "10.0.0.9", "{alert}");
    assert_eq!(field(&alert, "Number of Retries"), "3", "{alert}");
    for read_only in ["0x01 0x00", "0x11 0x04", "0x16 0x02"] {
        refused(&node, &format!("raw 0x0c 0x01 0x01 {read_only}"), "rsp=0x82");
    }
    refused(&node, "raw 0x0c 0x02 0x01 0x33 0x00 0x00", "rsp=0x80");
}

#[test]
fn lan_stats_count() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    ok(&node, "lan stats get 1");
    ok(&node, "lan stats clear 1");
    let stats = ok(&node, "lan stats get 1");
    assert_ne!(field(&stats, "RMCP Rx Valid"), "0", "{stats}");
    assert_eq!(field(&stats, "IP Rx Header Errors"), "0", "{stats}");
}
