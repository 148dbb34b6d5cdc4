//! The IPMI device by which a guest reaches its BMC. libvirt has no element for it, so it stands in QEMU's own command line, which libvirt
//! hands through: a socket, QEMU's end of the protocol, and the device that the guest sees.
//!
//! ```text
//!   -chardev socket,id=polybmc-ipmi,path=SOCKET,reconnect=1
//!   -device ipmi-bmc-extern,id=polybmc-bmc,chardev=polybmc-ipmi
//!   -device isa-ipmi-kcs,id=polybmc-interface,bmc=polybmc-bmc
//! ```
//!
//! What of the command line is ours is known by these ids; all else in it stays as it is.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};
use roxmltree::Node;

use super::read::{is_qemu, parse};
use super::splice::Splices;
use super::{child, child_text};

const QEMU_NS: &str = "http://libvirt.org/schemas/domain/qemu/1.0";
const CHARDEV_ID: &str = "polybmc-ipmi";
const BMC_ID: &str = "polybmc-bmc";
const INTERFACE_ID: &str = "polybmc-interface";
/// Architectures whose machines have an ISA bus, on which the devices sit.
const ISA_ARCHITECTURES: [&str; 2] = ["x86_64", "i686"];
/// Names of QEMU's devices of this kind begin so, or contain it.
const IPMI_DEVICES: [&str; 2] = ["ipmi-bmc-", "-ipmi-"];

/// How QEMU is told to connect again after a second when the daemon has been away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reconnect {
    /// Until QEMU 9.2.
    Seconds,
    /// From then on, where the other is deprecated.
    Milliseconds,
}

impl Reconnect {
    /// What an emulator of this version understands, as libvirt counts versions: a million for the first number, a thousand for the second.
    pub(crate) fn of_version(version: u32) -> Self {
        const WITH_MILLISECONDS: u32 = 9_002_000;
        if version < WITH_MILLISECONDS { Self::Seconds } else { Self::Milliseconds }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Seconds => "reconnect=1",
            Self::Milliseconds => "reconnect-ms=1000",
        }
    }
}

/// An option of QEMU's command line with its value: the two elements that say it.
struct Argument<'a, 'i> {
    elements: [Node<'a, 'i>; 2],
    value: &'a str,
}

impl Argument<'_, '_> {
    /// The value of a key, with doubled commas undone.
    fn get(&self, key: &str) -> Option<String> {
        properties(self.value).into_iter().find_map(|property| {
            property.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned)
        })
    }

    fn is_ours(&self) -> bool {
        self.get("id").is_some_and(|id| [CHARDEV_ID, BMC_ID, INTERFACE_ID].contains(&id.as_str()))
    }

    /// Whether it is an IPMI device or a part of one.
    fn is_ipmi(&self) -> bool {
        let driver = properties(self.value).into_iter().next().unwrap_or_default();
        IPMI_DEVICES.iter().any(|name| driver.contains(name))
    }
}

/// The parts of an option's value. A comma within one is written as two.
fn properties(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        let doubled = character == ',' && characters.next_if_eq(&',').is_some();
        match parts.last_mut() {
            Some(part) if character != ',' || doubled => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
}

fn command_line<'a, 'i>(domain: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    domain.children().find(|element| element.has_tag_name((QEMU_NS, "commandline")))
}

/// The options of devices and of their other ends, in order.
fn arguments<'a, 'i>(command_line: Node<'a, 'i>) -> Vec<Argument<'a, 'i>> {
    let elements: Vec<Node<'a, 'i>> =
        command_line.children().filter(|element| element.has_tag_name((QEMU_NS, "arg"))).collect();
    let pairs = elements.windows(2).filter_map(|pair| {
        let &[option, value] = pair else { return None };
        let is_option = ["-chardev", "-device"].contains(&option.attribute("value")?);
        is_option.then(|| Some(Argument { elements: [option, value], value: value.attribute("value")? }))?
    });
    pairs.collect()
}

/// The device that was put into a domain, if it is whole.
pub(super) fn device(domain: Node<'_, '_>) -> Option<SystemInterfaceDevice> {
    let arguments = arguments(command_line(domain)?);
    let ours = |id: &str| arguments.iter().find(|argument| argument.get("id").as_deref() == Some(id));
    let socket = PathBuf::from(ours(CHARDEV_ID)?.get("path")?);
    ours(BMC_ID)?;
    let driver = properties(ours(INTERFACE_ID)?.value).into_iter().next()?;
    let kind = match driver.as_str() {
        "isa-ipmi-kcs" => SystemInterfaceKind::Kcs,
        "isa-ipmi-bt" => SystemInterfaceKind::Bt,
        _ => return None,
    };
    Some(SystemInterfaceDevice { kind, socket })
}

/// A copy of a domain's definition with this device and no other of ours, or with none.
///
/// # Errors
/// `Unsupported` for a domain that cannot have one; `InvalidState` where somebody else has put one in.
pub(crate) fn with_device(
    xml: &str,
    wanted: Option<&SystemInterfaceDevice>,
    reconnect: Reconnect,
) -> Result<String, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    if device(domain).as_ref() == wanted && wanted.is_some() {
        return Ok(xml.to_owned());
    }
    let command_line = command_line(domain);
    let present = command_line.map(arguments).unwrap_or_default();
    let mut splices = Splices::new(xml);
    let ours: Vec<_> = present.iter().filter(|argument| argument.is_ours()).collect();
    let added = match wanted {
        None => String::new(),
        Some(wanted) => {
            check(domain, &present)?;
            // A command line that is made declares what it needs.
            let prefix = command_line.map_or(Some("qemu"), |line| line.lookup_prefix(QEMU_NS));
            options(wanted, reconnect)?
                .iter()
                .map(|option| match prefix {
                    Some(prefix) => format!("<{prefix}:arg value=\'{}\'/>", escaped(option)),
                    None => format!("<qemu:arg xmlns:qemu=\'{QEMU_NS}\' value=\'{}\'/>", escaped(option)),
                })
                .collect()
        }
    };
    match command_line {
        Some(line) => {
            let elements = line.children().filter(|node| !node.is_text()).count();
            if added.is_empty() && elements == ours.len() * 2 && elements > 0 {
                // Nothing else was said there.
                splices.remove(line);
            } else {
                for element in ours.iter().flat_map(|argument| argument.elements) {
                    splices.remove(element);
                }
                if !added.is_empty() {
                    splices.append_child(line, &added);
                }
            }
        }
        None if added.is_empty() => {}
        None => {
            let line = format!("<qemu:commandline xmlns:qemu='{QEMU_NS}'>{added}</qemu:commandline>");
            splices.append_child(domain, &line);
        }
    }
    Ok(splices.apply())
}

/// Whether a domain can have the device.
fn check(domain: Node<'_, '_>, present: &[Argument<'_, '_>]) -> Result<(), BackendError> {
    if !is_qemu(domain) {
        return Err(BackendError::unsupported("only QEMU's machines can have an IPMI device"));
    }
    let architecture =
        child(domain, "os").and_then(|os| child(os, "type")).and_then(|kind| kind.attribute("arch"));
    let architecture = architecture.unwrap_or("x86_64");
    if !ISA_ARCHITECTURES.contains(&architecture) {
        return Err(BackendError::unsupported(format!(
            "the IPMI device needs an ISA bus, which a machine of {architecture} has not"
        )));
    }
    match present.iter().find(|argument| argument.is_ipmi() && !argument.is_ours()) {
        None => Ok(()),
        Some(other) => {
            let name = child_text(domain, "name").unwrap_or_default();
            Err(BackendError::new(
                BackendErrorKind::InvalidState,
                format!(
                    "{name} has an IPMI device that polybmc has not put in ({}); take it out first, with `virsh edit`",
                    other.value
                ),
            ))
        }
    }
}

/// QEMU's options for the device.
fn options(device: &SystemInterfaceDevice, reconnect: Reconnect) -> Result<[String; 6], BackendError> {
    let path = str::from_utf8(device.socket.as_os_str().as_bytes()).map_err(|_| {
        BackendError::unsupported("a socket whose path is no UTF-8 cannot be written into a definition")
    })?;
    let driver = match device.kind {
        SystemInterfaceKind::Kcs => "isa-ipmi-kcs",
        SystemInterfaceKind::Bt => "isa-ipmi-bt",
    };
    Ok([
        "-chardev".to_owned(),
        format!("socket,id={CHARDEV_ID},path={},{}", path.replace(',', ",,"), reconnect.option()),
        "-device".to_owned(),
        format!("ipmi-bmc-extern,id={BMC_ID},chardev={CHARDEV_ID}"),
        "-device".to_owned(),
        format!("{driver},id={INTERFACE_ID},bmc={BMC_ID}"),
    ])
}

/// Text as the value of an attribute in single quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "<domain type='kvm'>
  <name>vm</name>
  <os><type arch='x86_64'>hvm</type></os>
  <devices/>
</domain>
";
    const WITH_ARGUMENTS: &str = "<domain type='qemu' xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>vm</name>
  <q:commandline>
    <q:arg value='-chardev'/>
    <q:arg value='null,id=mine'/>
    <!-- kept -->
    <q:env name='A' value='1'/>
  </q:commandline>
  <q:capabilities><q:del capability='x'/></q:capabilities>
</domain>
";

    fn device_at(socket: &str, kind: SystemInterfaceKind) -> SystemInterfaceDevice {
        SystemInterfaceDevice { kind, socket: socket.into() }
    }

    fn read(xml: &str) -> Option<SystemInterfaceDevice> {
        device(parse(xml).unwrap().root_element())
    }

    #[test]
    fn what_is_put_in_is_found_and_taken_out_without_a_trace() {
        for xml in [PLAIN, WITH_ARGUMENTS] {
            for wanted in [
                device_at("/run/polybmc/vm.sock", SystemInterfaceKind::Kcs),
                device_at("/run/it's <a, b> & c/vm.sock", SystemInterfaceKind::Bt),
            ] {
                assert_eq!(read(xml), None);
                let with = with_device(xml, Some(&wanted), Reconnect::Seconds).unwrap();
                assert_eq!(read(&with).as_ref(), Some(&wanted), "{with}");
                let again = with_device(&with, Some(&wanted), Reconnect::Seconds).unwrap();
                assert_eq!(again, with, "it is there already");
                assert_eq!(with_device(&with, None, Reconnect::Seconds).unwrap(), xml);
            }
        }
        assert_eq!(with_device(PLAIN, None, Reconnect::Seconds).unwrap(), PLAIN);
    }

    #[test]
    fn another_kind_takes_the_place_of_the_present_one() {
        let kcs = device_at("/a", SystemInterfaceKind::Kcs);
        let bt = device_at("/b", SystemInterfaceKind::Bt);
        let with = with_device(WITH_ARGUMENTS, Some(&kcs), Reconnect::Seconds).unwrap();
        let changed = with_device(&with, Some(&bt), Reconnect::Milliseconds).unwrap();
        assert_eq!(read(&changed), Some(bt));
        assert!(!changed.contains("kcs") && changed.contains("path=/b,reconnect-ms=1000"), "{changed}");
        assert_eq!(with_device(&changed, None, Reconnect::Seconds).unwrap(), WITH_ARGUMENTS);
    }

    #[test]
    fn the_words_are_those_of_qemu() {
        let kcs = device_at("/run/vm.sock", SystemInterfaceKind::Kcs);
        let with = with_device(PLAIN, Some(&kcs), Reconnect::of_version(7_002_022)).unwrap();
        let expected = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
            <qemu:arg value='-chardev'/>";
        assert!(with.contains(expected), "{with}");
        for option in [
            "socket,id=polybmc-ipmi,path=/run/vm.sock,reconnect=1",
            "ipmi-bmc-extern,id=polybmc-bmc,chardev=polybmc-ipmi",
            "isa-ipmi-kcs,id=polybmc-interface,bmc=polybmc-bmc",
        ] {
            assert!(with.contains(option), "{option} in {with}");
        }
        assert_eq!(Reconnect::of_version(9_002_000), Reconnect::Milliseconds);
    }

    #[test]
    fn who_cannot_have_one_is_refused() {
        let kcs = device_at("/a", SystemInterfaceKind::Kcs);
        let refused = |xml: &str| with_device(xml, Some(&kcs), Reconnect::Seconds).unwrap_err().kind;
        assert_eq!(refused(&PLAIN.replace("kvm", "lxc")), BackendErrorKind::Unsupported);
        assert_eq!(refused(&PLAIN.replace("x86_64", "aarch64")), BackendErrorKind::Unsupported);
        let others = WITH_ARGUMENTS
            .replace("-chardev", "-device")
            .replace("null,id=mine", "ipmi-bmc-sim,id=polybmc-bmc-of-mine");
        assert_eq!(refused(&others), BackendErrorKind::InvalidState);
        // One of somebody else's is no device of ours, and stays.
        assert_eq!(read(&others), None);
        assert_eq!(with_device(&others, None, Reconnect::Seconds).unwrap(), others);
    }
}
