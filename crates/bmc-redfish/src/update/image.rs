//! What an image says of itself.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use bmc_core::settings::firmware::VERSION_MAX_BYTES;

/// Largest manifest in bytes.
const MANIFEST_MAX_BYTES: usize = 4096;
/// Digits of a content's digest that tell it from others.
const DIGEST_DIGITS: usize = 8;

/// What has firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    /// The system's firmware.
    Bios,
    /// The BMC itself.
    Bmc,
}

impl Component {
    pub(crate) const ALL: [Self; 2] = [Self::Bios, Self::Bmc];

    /// As the inventory and manifests name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "BIOS",
            Self::Bmc => "BMC",
        }
    }
}

/// An image that came in whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its file name; empty when it has none.
    pub(crate) name: String,
    /// What it is for, where it says so.
    pub(crate) component: Option<Component>,
    version: Option<String>,
    /// SHA-256 of its content.
    digest: String,
}

impl Image {
    /// Its version; `installed` is that of what it replaces.
    pub(crate) fn version(&self, installed: &str) -> String {
        self.version.clone().unwrap_or_else(|| {
            let number = installed.split('+').next().unwrap_or_default();
            let digest: String = self.digest.chars().take(DIGEST_DIGITS).collect();
            format!("{number}+{digest}")
        })
    }
}

/// An image on its way: nothing of it is kept but this.
#[derive(Debug)]
pub(super) struct Reading {
    hash: Sha256,
    size: u64,
    max: u64,
    head: Vec<u8>,
}

impl Reading {
    pub(super) fn new(max: u64) -> Self {
        Self { hash: Sha256::new(), size: 0, max, head: Vec::new() }
    }

    /// Takes some of it; an error when it is larger than allowed.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.max {
            return Err(format!("the image is larger than {} bytes", self.max));
        }
        self.hash.update(bytes);
        let room = (MANIFEST_MAX_BYTES + 1).saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// All of it has come; an error when that is nothing, or when its manifest says what cannot be.
    pub(super) fn end(self, name: &str) -> Result<Image, String> {
        if self.size == 0 {
            return Err("the image is empty".to_owned());
        }
        let mut image = Image {
            name: name.to_owned(),
            component: component_of(name),
            version: version_of(name),
            digest: hex::encode(self.hash.finalize()),
        };
        if self.head.len() <= MANIFEST_MAX_BYTES
            && let Ok(Value::Object(manifest)) = serde_json::from_slice(&self.head)
        {
            let text = |name: &str| manifest.get(name).and_then(Value::as_str);
            let version = text("Version").filter(|version| is_version(version));
            image.version = Some(version.ok_or("the manifest has no good `Version`")?.to_owned());
            if let Some(named) = text("Component") {
                let known = Component::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(named));
                let known = known.ok_or("the manifest's `Component` is neither `BIOS` nor `BMC`")?;
                image.component = Some(known);
            }
        }
        Ok(image)
    }
}

fn is_version(text: &str) -> bool {
    let fits = (1..=VERSION_MAX_BYTES).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte))
}

fn component_of(name: &str) -> Option<Component> {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["bmc", "manager"]) {
        Some(Component::Bmc)
    } else {
        has(&["bios", "uefi"]).then_some(Component::Bios)
    }
}

/// The version in a file name: from a digit at the beginning of a word to the end of numbers and points, with what is joined to it by `-` or
/// `+`.
fn version_of(name: &str) -> Option<String> {
    let mut stem = name;
    while let Some((rest, extension)) = stem.rsplit_once('.') {
        let is_extension = extension.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !is_extension || !extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            break;
        }
        stem = rest;
    }
    let words = stem.split(['_', ' ', '-']);
    let mut at = 0;
    for word in words {
        let bare = word.strip_prefix(['v', 'V']).unwrap_or(word);
        let numbers = bare.split('.').collect::<Vec<_>>();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if numbers.len() > 1
            && numbers.first().is_some_and(is_number)
            && numbers.get(1).is_some_and(is_number)
        {
            let rest = stem.get(at + (word.len() - bare.len())..)?;
            let version = rest.split(['_', ' ']).next()?;
            return is_version(version).then(|| version.to_owned());
        }
        at += word.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &[u8]) -> Result<Image, String> {
        let mut reading = Reading::new(1 << 20);
        reading.take(content)?;
        reading.end(name)
    }

    #[test]
    fn names_tell_component_and_version() {
        for (name, component, version) in [
            ("bios-2.4.1.bin", Some(Component::Bios), Some("2.4.1")),
            ("BMC_v1.10_signed.tar.gz", Some(Component::Bmc), Some("1.10")),
            ("firmware-3.0.0-rc1+b7.img", None, Some("3.0.0-rc1+b7")),
            ("uefi x64 1.2.img", Some(Component::Bios), Some("1.2")),
            ("firmware.bin", None, None),
            ("x64-firmware.bin", None, None),
            ("", None, None),
        ] {
            let image = read(name, b"content").unwrap();
            assert_eq!((image.component, image.version.as_deref()), (component, version), "{name}");
        }
    }

    #[test]
    fn a_manifest_wins_and_content_tells_apart_what_has_no_version() {
        let image = read("bios-1.0.bin", br#"{"Component": "bmc", "Version": "9.9"}"#).unwrap();
        assert_eq!((image.component, image.version("1")), (Some(Component::Bmc), "9.9".to_owned()));
        assert!(read("x", br#"{"Component": "Fan", "Version": "1"}"#).is_err());
        assert!(read("x", br#"{"Version": "a b"}"#).is_err());
        assert!(read("x", b"").is_err());
        let version = read("x", b"content").unwrap().version("1.2.3+old");
        assert_eq!(version, "1.2.3+ed7002b4");
        assert_ne!(version, read("x", b"other").unwrap().version("1.2.3"));
        assert!(Reading::new(3).take(b"four").is_err());
    }
}
