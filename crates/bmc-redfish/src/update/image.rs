//! What an image says of itself; what is no image is known by saying nothing.
//!
//! | it says | by |
//! |---|---|
//! | component and version | a manifest, which is the whole image then: `{"Component": "BIOS", "Version": "2.4.1"}`; `Component` is `BIOS` or `BMC` |
//! | that it is for the BIOS | its content: a UEFI firmware volume or a UEFI capsule |
//! | the component | its file name: `bios` or `uefi`, `bmc` or `manager` in it |
//! | the version | its file name: `bmc-2.4.1.bin` |
//!
//! What comes first wins. An image that is for no component is one all the same where it tells a version and the client the component.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use bmc_core::settings::firmware::VERSION_MAX_BYTES;

/// Largest manifest in bytes.
const MANIFEST_MAX_BYTES: usize = 4096;
/// As much of an image as is looked at.
pub(super) const HEAD_BYTES: usize = MANIFEST_MAX_BYTES + 1;
/// Digits of a content's digest that tell it from others.
const DIGEST_DIGITS: usize = 8;
/// Where a UEFI firmware volume has its signature, and which (Platform Initialization 1.8 volume 3, `EFI_FIRMWARE_VOLUME_HEADER`).
const VOLUME_SIGNATURE: (usize, &[u8]) = (40, b"_FVH");
/// How a UEFI capsule begins: `EFI_FIRMWARE_MANAGEMENT_CAPSULE_ID_GUID` (UEFI 2.10, 23.3), and that of capsules before there was that one.
const CAPSULES: [[u8; 16]; 2] = [
    0x6dcb_d5ed_e82d_4c44_bda1_7194_199a_d92a_u128.to_be_bytes(),
    0x3b66_86bd_0d76_4030_b70e_b551_9e2f_c5a0_u128.to_be_bytes(),
];

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
    name: String,
    /// What it is for, where it says so.
    component: Option<Component>,
    version: Option<String>,
    /// SHA-256 of its content.
    digest: String,
}

/// Why an image is not for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is for another one.
    For(Component),
    /// Nothing about it says that it is an image at all.
    Unknown,
}

impl Image {
    /// What comes in whole: its name, its first bytes ([`HEAD_BYTES`]; fewer are all of it), and its SHA-256.
    ///
    /// # Errors
    /// It is empty, or its manifest says what cannot be.
    pub(super) fn read(name: &str, head: &[u8], digest: String) -> Result<Self, String> {
        if head.is_empty() {
            return Err("the image is empty".to_owned());
        }
        let component = component_in(head).or_else(|| component_of(name));
        let mut image = Self { name: name.to_owned(), component, version: version_of(name), digest };
        if head.len() <= MANIFEST_MAX_BYTES
            && let Ok(Value::Object(manifest)) = serde_json::from_slice(head)
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

    /// What messages call it.
    pub(crate) fn called(&self) -> &str {
        if self.name.is_empty() { "image" } else { &self.name }
    }

    /// What it is for; `wanted` is what the client says that it is for.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(crate) fn fit(&self, wanted: Option<Component>) -> Result<Component, Unfit> {
        match (self.component, wanted) {
            (Some(of), Some(wanted)) if of != wanted => Err(Unfit::For(of)),
            (Some(of), _) => Ok(of),
            (None, Some(wanted)) if self.version.is_some() => Ok(wanted),
            (None, _) => Err(Unfit::Unknown),
        }
    }

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
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
        Ok(())
    }

    /// All of it has come; an error when that is nothing, or when its manifest says what cannot be.
    pub(super) fn end(self, name: &str) -> Result<Image, String> {
        Image::read(name, &self.head, hex::encode(self.hash.finalize()))
    }
}

fn is_version(text: &str) -> bool {
    let fits = (1..=VERSION_MAX_BYTES).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte))
}

/// What its content says that it is for.
fn component_in(head: &[u8]) -> Option<Component> {
    let (at, signature) = VOLUME_SIGNATURE;
    let is_volume = head.get(at..).is_some_and(|rest| rest.starts_with(signature));
    // The first three fields of a GUID lie there with their lowest byte first.
    let is_capsule = CAPSULES.into_iter().any(|guid| head.starts_with(&Uuid::from_bytes(guid).to_bytes_le()));
    (is_volume || is_capsule).then_some(Component::Bios)
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

    #[test]
    fn an_image_is_known_by_what_it_says() {
        let (bios, bmc) = (Component::Bios, Component::Bmc);
        let mut volume = vec![0; 64];
        volume[40..44].copy_from_slice(b"_FVH");
        let capsule = [
            &[0xed, 0xd5, 0xcb, 0x6d, 0x2d, 0xe8, 0x44, 0x4c][..],
            &[0xbd, 0xa1, 0x71, 0x94, 0x19, 0x9a, 0xd9, 0x2a],
            b"rest",
        ]
        .concat();
        for (name, content, wanted, expected) in [
            ("", &volume[..], None, Ok(bios)),
            ("bmc.bin", &volume, None, Ok(bios)),
            ("", &volume, Some(bmc), Err(Unfit::For(bios))),
            ("", &capsule, None, Ok(bios)),
            ("bmc-1.0.bin", b"x", None, Ok(bmc)),
            ("bmc-1.0.bin", b"x", Some(bios), Err(Unfit::For(bmc))),
            ("1.0.bin", b"x", Some(bmc), Ok(bmc)),
            ("1.0.bin", b"x", None, Err(Unfit::Unknown)),
            ("", br#"{"Version": "1"}"#, None, Err(Unfit::Unknown)),
            ("", br#"{"Version": "1"}"#, Some(bios), Ok(bios)),
            ("", b"holiday photograph", None, Err(Unfit::Unknown)),
            ("", b"holiday photograph", Some(bios), Err(Unfit::Unknown)),
            ("firmware.bin", b"x", Some(bios), Err(Unfit::Unknown)),
        ] {
            assert_eq!(read(name, content).unwrap().fit(wanted), expected, "{name} {wanted:?}");
        }
    }
}
