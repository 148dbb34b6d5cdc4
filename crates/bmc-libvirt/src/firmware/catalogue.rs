//! The firmware that a host offers, out of the descriptors that come with the images (QEMU's `docs/interop/firmware.json`): libvirt selects by
//! them, and so they tell beforehand what it will find.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::xml::firmware::{Facts, Kind};

/// Where descriptors lie; a file of a later folder takes the place of one of the same name of an earlier, and an empty one hides it.
pub const FIRMWARE_FOLDERS: [&str; 2] = ["/usr/share/qemu/firmware", "/etc/qemu/firmware"];
/// Longest descriptor that is read, in bytes.
const DESCRIPTOR_MAX_BYTES: u64 = 64 << 10;
/// Most descriptors that are read.
const DESCRIPTORS_MAX: usize = 256;

const SECURE_BOOT: &str = "secure-boot";
const ENROLLED_KEYS: &str = "enrolled-keys";
const REQUIRES_SMM: &str = "requires-smm";

/// An image of UEFI firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The descriptor's file name.
    pub name: String,
    /// The file of the code.
    pub code: PathBuf,
    /// What variables are made from.
    pub template: PathBuf,
    features: Vec<String>,
    targets: Vec<(String, Vec<String>)>,
}

impl Image {
    /// Whether it has a feature, by the descriptor's name for it.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    /// Whether it enforces signatures as it comes.
    pub fn enforces(&self) -> bool {
        self.has(SECURE_BOOT) && self.has(ENROLLED_KEYS)
    }

    fn read(name: String, text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mapping = &value["mapping"];
        let is_uefi = strings(&value["interface-types"]).iter().any(|kind| kind == "uefi");
        if !is_uefi || mapping["device"] != "flash" {
            return None;
        }
        let target = |target: &Value| {
            Some((target["architecture"].as_str()?.to_owned(), strings(&target["machines"])))
        };
        Some(Self {
            name,
            code: mapping["executable"]["filename"].as_str()?.into(),
            // One without is not for variables that last.
            template: mapping["nvram-template"]["filename"].as_str()?.into(),
            features: strings(&value["features"]),
            targets: value["targets"].as_array()?.iter().filter_map(target).collect(),
        })
    }

    fn is_for(&self, facts: &Facts) -> bool {
        self.targets.iter().any(|(architecture, machines)| {
            *architecture == facts.architecture
                && machines.iter().any(|pattern| glob(pattern, &facts.machine))
        })
    }

    fn is_for_architecture(&self, facts: &Facts) -> bool {
        self.targets.iter().any(|(architecture, _)| *architecture == facts.architecture)
    }

    /// Whether both files are there.
    pub fn is_there(&self) -> bool {
        self.code.exists() && self.template.exists()
    }

    /// Whether libvirt would take it for a domain that lets it select.
    fn fits(&self, facts: &Facts) -> bool {
        let features = facts.features.iter().all(|(feature, wanted)| self.has(feature) == *wanted);
        let smm = facts.loader_secure.is_none_or(|secure| secure == self.has(REQUIRES_SMM))
            && (facts.smm != Some(false) || !self.has(REQUIRES_SMM));
        self.is_for(facts) && features && smm
    }

    fn kind(&self) -> Kind {
        if self.has(SECURE_BOOT) { Kind::Secure { enrolled: self.has(ENROLLED_KEYS) } } else { Kind::Plain }
    }
}

/// What a host offers, in the order in which libvirt looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    images: Vec<Image>,
    folders: Vec<PathBuf>,
}

impl Catalogue {
    /// Reads descriptors. What cannot be read is not there; libvirt sees it the same way.
    pub fn read(folders: &[PathBuf]) -> Self {
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        for folder in folders {
            for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if name.ends_with(".json") && !name.starts_with('.') {
                    files.insert(name, file.path());
                }
            }
        }
        let text = |path: &Path| {
            let small = std::fs::metadata(path).is_ok_and(|found| found.len() <= DESCRIPTOR_MAX_BYTES);
            small.then(|| std::fs::read_to_string(path).ok()).flatten()
        };
        let images = files
            .into_iter()
            .take(DESCRIPTORS_MAX)
            .filter_map(|(name, path)| Image::read(name, &text(&path)?))
            .collect();
        Self { images, folders: folders.to_vec() }
    }

    /// The images, in the order in which libvirt looks at them.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// What a domain's firmware is. One that nothing describes is taken for what its definition says.
    pub(crate) fn kind(&self, facts: &Facts) -> Kind {
        self.image(facts).map_or_else(|| by_word(facts), Image::kind)
    }

    /// The image that a domain's definition comes to, if a descriptor tells of it.
    pub(crate) fn image(&self, facts: &Facts) -> Option<&Image> {
        let by_file = |image: &&Image| {
            facts.loader.as_deref().is_some_and(|loader| image.code == Path::new(loader))
                && facts.template.as_deref().is_none_or(|template| image.template == Path::new(template))
        };
        let selected = || self.images.iter().find(|image| image.fits(facts));
        match (&facts.loader, &facts.automatic) {
            (Some(_), _) => self.images.iter().find(by_file),
            (None, Some(_)) => selected(),
            (None, None) => None,
        }
    }

    /// The image with keys that a domain's own image stands beside: itself, where it comes with keys.
    pub(crate) fn enrolled(&self, facts: &Facts) -> Option<&Image> {
        let own = self.image(facts).filter(|image| image.enforces());
        own.or_else(|| self.images.iter().find(|image| image.enforces() && image.is_for(facts)))
    }

    /// Why a machine cannot have this kind of UEFI, and what helps; `None` when it can.
    pub(crate) fn missing(&self, facts: &Facts, kind: Kind) -> Option<String> {
        let (what, fits): (&str, fn(&Image) -> bool) = match kind {
            Kind::Legacy => return None,
            Kind::Plain => ("UEFI firmware without Secure Boot", |image| !image.has(SECURE_BOOT)),
            Kind::Secure { enrolled: true } => (
                "UEFI firmware with Secure Boot and its keys (features secure-boot and enrolled-keys)",
                Image::enforces,
            ),
            Kind::Secure { enrolled: false } => (
                "UEFI firmware with Secure Boot and no keys (feature secure-boot without enrolled-keys)",
                |image| image.has(SECURE_BOOT) && !image.has(ENROLLED_KEYS),
            ),
        };
        let Facts { architecture, machine, .. } = facts;
        let described: Vec<&Image> =
            self.images.iter().filter(|image| fits(image) && image.is_for_architecture(facts)).collect();
        if described.is_empty() {
            let folders: Vec<String> =
                self.folders.iter().map(|folder| folder.display().to_string()).collect();
            let package = match architecture.as_str() {
                "aarch64" => "qemu-efi-aarch64 (Debian, Ubuntu), edk2-aarch64 (Fedora)",
                _ => "ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch)",
            };
            return Some(format!(
                "this host has no {what} for {architecture}: no descriptor in {} offers it; install {package}",
                folders.join(" or ")
            ));
        }
        let Some(image) = described.iter().find(|image| image.is_for(facts)) else {
            let machines: Vec<&str> = described
                .iter()
                .flat_map(|image| &image.targets)
                .filter(|(of, _)| of == architecture)
                .flat_map(|(_, machines)| machines)
                .map(String::as_str)
                .collect();
            return Some(format!(
                "{what} is for machine types {} and this machine is {machine}; change <type machine> in its definition (`virsh edit`)",
                machines.join(", ")
            ));
        };
        if image.has(REQUIRES_SMM) && facts.smm == Some(false) {
            return Some(format!(
                "{what} needs system management mode, which this machine's definition turns off; remove <smm state='off'/> (`virsh edit`)"
            ));
        }
        if !image.is_there() {
            return Some(format!(
                "the descriptor {} names {} and {}, which are not both there; install the package again",
                image.name,
                image.code.display(),
                image.template.display()
            ));
        }
        None
    }
}

/// What a definition alone says. Who demands a secured flash by hand has enrolled keys in it.
pub(crate) fn by_word(facts: &Facts) -> Kind {
    let secure = facts.feature(SECURE_BOOT).or(facts.loader_secure).unwrap_or(false);
    if secure {
        let enrolled = facts.feature(ENROLLED_KEYS).unwrap_or(facts.automatic.is_none());
        Kind::Secure { enrolled }
    } else {
        Kind::Plain
    }
}

/// Shell patterns as far as descriptors use them: `*` and `?`.
fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.as_bytes().first(), text.as_bytes().first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && glob(&pattern[1..], &text[at..]))
        }
        (Some(b'?'), Some(_)) => {
            text.chars().next().is_some_and(|c| glob(&pattern[1..], &text[c.len_utf8()..]))
        }
        (Some(a), Some(b)) if a == b && a.is_ascii() => glob(&pattern[1..], &text[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
