//! Which device of a running domain is its serial console.

use roxmltree::Node;

use super::read::parse;
use super::{child, children};
use bmc_core::error::BackendError;

/// A device that libvirt can connect us to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SerialLine {
    /// libvirt's name for the device, such as `serial0`. QEMU's own is this after `char`.
    pub(crate) alias: String,
}

/// The serial port of a running domain that libvirt can connect us to, from its live XML: the first serial port of type `pty`, else the
/// first console of that type. `Err` says what the user can do, where there is none.
///
/// # Errors
/// `Internal` when it is no XML.
pub(crate) fn serial_line(live_xml: &str) -> Result<Result<SerialLine, String>, BackendError> {
    let document = parse(live_xml)?;
    let Some(devices) = child(document.root_element(), "devices") else { return Ok(Err(advice(None))) };
    let lines = || children(devices, "serial").chain(children(devices, "console"));
    let shared = |line: &Node<'_, '_>| line.attribute("type") == Some("pty");
    let alias = |line| child(line, "alias").and_then(|alias| alias.attribute("name"));
    let found = lines().filter(shared).find_map(alias);
    Ok(found.map(|alias| SerialLine { alias: alias.to_owned() }).ok_or_else(|| {
        let other = lines().find_map(|line| line.attribute("type"));
        advice(other.filter(|kind| *kind != "pty"))
    }))
}

fn advice(other: Option<&str>) -> String {
    let has = other.map_or_else(
        || "the domain has no serial port".to_owned(),
        |kind| {
            format!("the domain's serial port is of type `{kind}`, which libvirt cannot connect others to")
        },
    );
    format!(
        "{has}; put `<serial type='pty'/>` among its devices with `virsh edit`, then switch it off and on"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(devices: &str) -> Result<String, String> {
        serial_line(&format!("<domain><devices>{devices}</devices></domain>")).unwrap().map(|line| line.alias)
    }

    #[test]
    fn the_first_pseudo_terminal_is_the_console() {
        let pty = "<serial type='pty'><source path='/dev/pts/1'/><target port='0'/><alias name='serial0'/></serial>\
                   <console type='pty' tty='/dev/pts/1'><target type='serial' port='0'/><alias name='serial0'/></console>";
        assert_eq!(line(pty).unwrap(), "serial0");
        let second = "<serial type='file'><alias name='serial0'/></serial><serial type='pty'><alias name='serial1'/></serial>";
        assert_eq!(line(second).unwrap(), "serial1");
        let paravirtual =
            "<console type='pty'><target type='virtio' port='0'/><alias name='console0'/></console>";
        assert_eq!(line(paravirtual).unwrap(), "console0");
        assert_eq!(
            line(&format!("{paravirtual}{pty}")).unwrap(),
            "serial0",
            "IPMI's console is a serial port"
        );
    }

    #[test]
    fn without_one_the_user_learns_what_to_add() {
        for (devices, says) in [
            ("", "no serial port"),
            ("<serial type='file'><alias name='serial0'/></serial>", "type `file`"),
            ("<serial type='tcp'/><console type='tcp'/>", "type `tcp`"),
            // A running domain always has aliases.
            ("<serial type='pty'/>", "no serial port"),
        ] {
            let advice = line(devices).unwrap_err();
            assert!(advice.contains(says) && advice.contains("<serial type='pty'/>"), "{advice}");
        }
        assert!(serial_line("<domain/>").unwrap().is_err());
        assert!(serial_line("no XML").is_err());
    }
}
