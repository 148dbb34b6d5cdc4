//! The firmware of a domain: which it is, and a copy of the definition with another.
//!
//! ```text
//!   legacy ◄──────► uefi ◄──────► uefi-secure
//!      ▲                              ▲
//!      └──────────────────────────────┘
//! ```
//!
//! Each has elements of its own in `<os>`, and the two UEFIs have variables of their own: those of one mean nothing to the other. The elements
//! of those that are left are kept in the definition's metadata, where a switch back finds them. What a switch would make again by
//! itself is not kept.

use bmc_core::boot::FirmwareMode;
use bmc_core::error::BackendError;
use roxmltree::Node;

use super::disk::escape;
use super::edit::set_metadata;
use super::read::{machine_info, parse};
use super::splice::Splices;
use super::{FIRMWARE_NS, child, children};

/// Elements of `<os>` that belong to a firmware.
const ELEMENTS: [&str; 3] = ["loader", "nvram", "firmware"];
/// What the files of variables end in that we name ourselves.
const PLAIN_SUFFIX: &str = "-plain.fd";
const SECURE_SUFFIX: &str = "-secure.fd";

/// A firmware as far as a BMC tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// PC BIOS.
    Legacy,
    /// UEFI that cannot enforce signatures.
    Plain,
    /// UEFI with Secure Boot; `enrolled`: its variables come with keys, so that it enforces.
    Secure { enrolled: bool },
}

impl Kind {
    /// How it boots.
    pub(crate) fn mode(self) -> FirmwareMode {
        if self == Self::Legacy { FirmwareMode::Legacy } else { FirmwareMode::Uefi }
    }

    /// Whether both have the same variables.
    pub(crate) fn is_like(self, other: Self) -> bool {
        self.name() == other.name()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Plain => "uefi",
            Self::Secure { .. } => "uefi-secure",
        }
    }
}

/// What a domain's XML says of its firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its architecture.
    pub(crate) architecture: String,
    /// Its machine type.
    pub(crate) machine: String,
    /// System management mode, where the definition says.
    pub(crate) smm: Option<bool>,
    /// `<os firmware>`: libvirt selects.
    pub(crate) automatic: Option<String>,
    /// What the selected one has to have and not to have.
    pub(crate) features: Vec<(String, bool)>,
    /// The image.
    pub(crate) loader: Option<String>,
    /// Whether only code in system management mode may write its variables.
    pub(crate) loader_secure: Option<bool>,
    /// What its variables are made from at first.
    pub(crate) template: Option<String>,
    /// The file of its variables.
    pub(crate) nvram: Option<String>,
}

impl Facts {
    /// A feature that selection asks for.
    pub(crate) fn feature(&self, name: &str) -> Option<bool> {
        self.features.iter().find(|(feature, _)| feature == name).map(|(_, enabled)| *enabled)
    }
}

/// Reads what a definition says of its firmware.
///
/// # Errors
/// `Internal` when it is no XML.
pub(crate) fn facts(xml: &str) -> Result<Facts, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    let Some(os) = child(domain, "os") else { return Ok(Facts::default()) };
    let automatic = os.attribute("firmware").map(str::to_owned);
    Ok(facts_of(domain, os, automatic))
}

fn facts_of(domain: Node<'_, '_>, elements: Node<'_, '_>, automatic: Option<String>) -> Facts {
    let kind = child(domain, "os").and_then(|os| child(os, "type"));
    let text = |node: Option<Node<'_, '_>>| {
        node.and_then(|node| node.text()).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (loader, nvram) = (child(elements, "loader"), child(elements, "nvram"));
    let smm = child(domain, "features").and_then(|features| child(features, "smm"));
    let feature = |feature: Node<'_, '_>| {
        Some((feature.attribute("name")?.to_owned(), feature.attribute("enabled") == Some("yes")))
    };
    let features = child(elements, "firmware").into_iter().flat_map(|firmware| children(firmware, "feature"));
    Facts {
        architecture: kind.and_then(|kind| kind.attribute("arch")).unwrap_or("x86_64").to_owned(),
        machine: kind.and_then(|kind| kind.attribute("machine")).unwrap_or_default().to_owned(),
        smm: smm.map(|smm| smm.attribute("state") != Some("off")),
        automatic,
        features: features.filter_map(feature).collect(),
        loader: text(loader),
        loader_secure: loader.and_then(|loader| loader.attribute("secure")).map(|secure| secure == "yes"),
        template: nvram.and_then(|nvram| nvram.attribute("template")).map(str::to_owned),
        nvram: text(nvram),
    }
}

/// The firmware that was left last of those that are kept, if `wanted` says so of its facts.
pub(crate) fn last_kept(
    xml: &str,
    wanted: impl Fn(&Facts) -> Option<Kind>,
) -> Result<Option<Kind>, BackendError> {
    let document = parse(xml)?;
    let domain = document.root_element();
    let kept = kept(domain);
    Ok(kept.iter().rev().find_map(|kept| {
        if kept.attribute("mode") == Some(Kind::Legacy.name()) {
            return None;
        }
        wanted(&facts_of(domain, *kept, kept.attribute("automatic").map(str::to_owned)))
    }))
}

/// The firmwares in the metadata, the one left last at the end. What earlier versions kept is one element without any around it.
fn kept<'a, 'i>(domain: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    let Some(metadata) = child(domain, "metadata") else { return Vec::new() };
    let Some(root) = metadata.children().find(|node| node.has_tag_name((FIRMWARE_NS, "firmware"))) else {
        return Vec::new();
    };
    if root.attribute("mode").is_some() {
        return vec![root];
    }
    root.children().filter(|node| node.has_tag_name((FIRMWARE_NS, "kept"))).collect()
}

/// A copy of a domain's definition with another firmware. `now` is the present one; `kind_of` tells what kept elements are; `nvram` is where
/// libvirt keeps the variables of this domain by itself. Nothing but the firmware's own elements is touched.
///
/// # Errors
/// `Unsupported` for a domain whose firmware is fixed.
pub(crate) fn with_firmware(
    xml: &str,
    (now, wanted): (Kind, Kind),
    kind_of: impl Fn(&Facts) -> Kind,
    nvram: Option<&str>,
) -> Result<String, BackendError> {
    let info = machine_info(xml)?;
    if now == wanted {
        return Ok(xml.to_owned());
    }
    let document = parse(xml)?;
    let domain = document.root_element();
    let os = child(domain, "os").filter(|_| info.firmware_switchable).ok_or_else(|| {
        BackendError::unsupported(format!(
            "the firmware of a {} machine cannot be switched",
            info.architecture
        ))
    })?;
    let mut splices = Splices::new(xml);
    let own: Vec<Node<'_, '_>> =
        os.children().filter(|node| ELEMENTS.contains(&node.tag_name().name())).collect();
    let own_text: String = own.iter().map(|element| &xml[element.range()]).collect();
    own.iter().for_each(|element| splices.remove(*element));
    let automatic = os.attribute_node("firmware");
    if let Some(attribute) = automatic {
        splices.replace(attribute.range(), "");
    }
    let automatic = automatic.map(|attribute| attribute.value());

    let mut others = Vec::new();
    let mut back = None;
    for entry in kept(domain) {
        let of = if entry.attribute("mode") == Some(Kind::Legacy.name()) {
            Kind::Legacy
        } else {
            kind_of(&facts_of(domain, entry, entry.attribute("automatic").map(str::to_owned)))
        };
        if of.is_like(wanted) {
            // Other keys are asked for: what is kept has the wrong ones.
            back = Some(entry).filter(|_| of == wanted);
        } else if !of.is_like(now) {
            others.push((of, entry.attribute("automatic"), inner(xml, entry)));
        }
    }
    let (attribute, elements) = match back {
        Some(entry) => (entry.attribute("automatic"), inner(xml, entry)),
        None => {
            let same_variables = now.is_like(wanted);
            let own_nvram = children(os, "nvram").find_map(|nvram| nvram.text()).map(str::trim);
            let by_default = |text: Option<&str>| text.is_none() || text == nvram;
            let taken = match wanted {
                _ if same_variables => false,
                // Variables of the other kind may lie where libvirt would look.
                Kind::Plain => {
                    matches!(now, Kind::Secure { .. }) && by_default(own_nvram)
                        || others.iter().any(|(of, _, text)| {
                            matches!(of, Kind::Secure { .. })
                                && nvram.is_none_or(|nvram| !text.contains("<nvram") || text.contains(nvram))
                        })
                }
                Kind::Secure { .. } => true,
                Kind::Legacy => false,
            };
            let file = if same_variables {
                own_nvram.map(str::to_owned)
            } else {
                nvram.filter(|_| taken).map(|nvram| {
                    let suffix = if wanted == Kind::Plain { PLAIN_SUFFIX } else { SECURE_SUFFIX };
                    format!("{}{suffix}", nvram.strip_suffix(".fd").unwrap_or(nvram))
                })
            };
            (default_attribute(wanted), default_elements(wanted, file.as_deref()))
        }
    };
    if let Some(value) = attribute {
        splices.add_attribute(os, &format!("firmware='{value}'"));
    }
    splices.append_child(os, &elements);

    // A switch to Secure Boot always names a file: one without was not made by it.
    let names_file = !matches!(now, Kind::Secure { .. }) || child(os, "nvram").is_some();
    // Nor is one that leaves all to libvirt.
    let names_features = now == Kind::Legacy || child(os, "firmware").is_some();
    let is_default = automatic == default_attribute(now)
        && names_file
        && names_features
        && own.iter().all(|element| is_default_element(*element, now));
    let secure_is_kept = others.iter().any(|(of, ..)| matches!(of, Kind::Secure { .. }));
    let made_again = is_default
        && match now {
            Kind::Legacy => true,
            // What UEFI the machine comes back to is the one that it left last.
            Kind::Plain => !(secure_is_kept && wanted == Kind::Legacy),
            Kind::Secure { .. } => wanted != Kind::Legacy,
        };
    if !now.is_like(wanted) && !made_again {
        others.push((now, automatic, own_text));
    }
    let entries: String = others
        .iter()
        .map(|(of, automatic, elements)| {
            let automatic = automatic.map(|value| format!(" automatic='{value}'")).unwrap_or_default();
            format!("<polybmc:kept mode='{}'{automatic}>{elements}</polybmc:kept>", of.name())
        })
        .collect();
    let mark = (!entries.is_empty())
        .then(|| format!("<polybmc:firmware xmlns:polybmc='{FIRMWARE_NS}'>{entries}</polybmc:firmware>"));
    set_metadata(domain, (FIRMWARE_NS, "firmware"), mark.as_deref(), &mut splices);
    Ok(splices.apply())
}

/// The elements in an element, as they stand.
fn inner(xml: &str, node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_element).map(|node| &xml[node.range()]).collect()
}

/// How `<os firmware>` asks libvirt to select a firmware of this kind. SeaBIOS is what it takes unasked; asking for it needs a
/// descriptor file that distributions do not install.
fn default_attribute(kind: Kind) -> Option<&'static str> {
    (kind != Kind::Legacy).then_some("efi")
}

/// What else `<os>` says after a first switch. Left to itself, libvirt takes a UEFI with Secure Boot in force where there is one, and what
/// booted by BIOS is hardly ever signed: who asks for another mode does not ask for that.
fn default_elements(kind: Kind, nvram: Option<&str>) -> String {
    let feature = |name: &str, on: bool| {
        format!("<feature enabled='{}' name='{name}'/>", if on { "yes" } else { "no" })
    };
    let features = match kind {
        Kind::Legacy => return String::new(),
        Kind::Plain => feature("secure-boot", false),
        Kind::Secure { enrolled } => feature("enrolled-keys", enrolled) + &feature("secure-boot", true),
    };
    let nvram = nvram.map(|file| format!("<nvram>{}</nvram>", escape(file))).unwrap_or_default();
    format!("<firmware>{features}</firmware>{nvram}")
}

/// Whether an element of `<os>` is one of [`default_elements`], however libvirt has laid it out. Variables without keys are not: they have to
/// be found again.
fn is_default_element(element: Node<'_, '_>, kind: Kind) -> bool {
    let wanted: &[(&str, &str)] = match kind {
        Kind::Plain => &[("secure-boot", "no")],
        Kind::Secure { enrolled: true } => &[("enrolled-keys", "yes"), ("secure-boot", "yes")],
        Kind::Legacy | Kind::Secure { enrolled: false } => return false,
    };
    if element.has_tag_name("nvram") {
        let file = element.text().unwrap_or_default().trim();
        return element.attributes().len() == 0
            && (file.ends_with(PLAIN_SUFFIX) || file.ends_with(SECURE_SUFFIX));
    }
    let features = || element.children().filter(Node::is_element);
    let has = |(name, enabled): &(&str, &str)| {
        features().any(|feature| {
            feature.attribute("name") == Some(name) && feature.attribute("enabled") == Some(enabled)
        })
    };
    element.has_tag_name("firmware") && features().count() == wanted.len() && wanted.iter().all(has)
}

#[cfg(test)]
mod tests;
