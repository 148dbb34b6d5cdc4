//! Domain XML: [`read`](mod@read) takes out what the core wants to know, with [`inventory`] for the parts, [`serial`] finds the console,
//! [`edit`], [`firmware`] and [`disk`] make changed copies, [`media`] puts the BMC's own drives in, [`mod@system_interface`] the guest's
//! way to its BMC, [`place`] says where devices are.
//!
//! Edits are splices into libvirt's own text, at byte ranges that the parser gives. What is not spliced stays byte for byte
//! as it was, whatever it is: unknown elements, prefixes, secrets, comments of a management tool in `<metadata>`.

pub(crate) mod disk;
pub(crate) mod edit;
pub(crate) mod firmware;
pub(crate) mod inventory;
pub(crate) mod media;
#[cfg(test)]
mod odd;
pub(crate) mod place;
pub(crate) mod read;
pub(crate) mod serial;
mod splice;
pub(crate) mod system_interface;

use roxmltree::Node;

/// Marks a running instance as started for a boot override; it is in the copy only, never in a definition.
pub(crate) const BOOT_NS: &str = "urn:polybmc:boot:1";
/// Keeps, in the definition, the firmware elements of the mode that is switched off, so that switching back restores them.
pub(crate) const FIRMWARE_NS: &str = "urn:polybmc:firmware:1";

/// The first child element with this name and no namespace.
fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// The child elements with this name and no namespace.
fn children<'a, 'i, 'n>(
    node: Node<'a, 'i>,
    name: &'n str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i, 'n> {
    // `has_tag_name` with a name alone takes any namespace.
    node.children().filter(move |child| child.has_tag_name(name) && child.tag_name().namespace().is_none())
}

/// The text of a child element, trimmed.
fn child_text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name).and_then(|child| child.text()).map(str::trim)
}
