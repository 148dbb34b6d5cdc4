//! Other people's Redfish clients against the daemon, and what came of it read back over IPMI: DMTF's command-line tools and library,
//! redfishtool, Ansible.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

#[path = "redfish_clients/ansible.rs"]
mod ansible;
#[path = "redfish_clients/library.rs"]
mod library;
#[path = "redfish_clients/redfishtool.rs"]
mod redfishtool;
#[path = "redfish_clients/toolbox.rs"]
mod toolbox;
#[path = "redfish_clients/utilities.rs"]
mod utilities;

use polybmc_tests::lab::{Node, SOON};
use testkit::wait;

/// The whole of what ipmitool says to a command.
#[track_caller]
fn ipmi(node: &Node<'_>, command: &str) -> String {
    node.ipmitool().args(command.split(' ')).ok()
}

/// The value in a `Name : value` line of what ipmitool says.
#[track_caller]
fn ipmi_field(node: &Node<'_>, command: &str, name: &str) -> String {
    let text = ipmi(node, command);
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found.unwrap_or_else(|| panic!("no {name} in what {command} says:\n{text}"))
}

/// Waits until IPMI says that the machine's power is this.
#[track_caller]
fn await_ipmi_power(node: &Node<'_>, wanted: &str) {
    let wanted = format!("Chassis Power is {wanted}\n");
    wait::eventually("IPMI shows the power", SOON, || ipmi(node, "chassis power status") == wanted);
}

/// The boot device that IPMI's boot flags name, as ipmitool words it.
#[track_caller]
fn ipmi_boot(node: &Node<'_>) -> String {
    let text = ipmi(node, "chassis bootparam get 5");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("- Boot Device Selector : "));
    line.unwrap_or_else(|| panic!("no selector in {text}")).to_owned()
}

/// Whether a login over IPMI is let in.
#[track_caller]
fn ipmi_lets_in(node: &Node<'_>, user: &str, password: &str) -> bool {
    let tool = polybmc_tests::lab::ipmitool_as(node.ipmi, user, password);
    tool.args(["-L", "USER", "mc", "info"]).run().success()
}
