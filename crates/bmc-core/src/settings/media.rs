//! The BMC's drives: what is in them, and how their images are fetched.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::media::{MediaImage, MediaSlot, TransferMethod};

/// Certificates that one drive keeps; one more is refused.
pub const MEDIA_CERTIFICATES_MAX: usize = 8;

/// Every drive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaSettings {
    /// The CD or DVD drive.
    pub cd: Drive,
    /// The removable USB disk.
    pub usb: Drive,
}

impl MediaSettings {
    /// What a reset of the controller to its defaults leaves: what is in the drives. No number of a certificate is used again.
    pub(crate) fn after_defaults(self) -> Self {
        let drive = |drive: Drive| Drive {
            medium: drive.medium,
            next_certificate: drive.next_certificate,
            ..Drive::default()
        };
        Self { cd: drive(self.cd), usb: drive(self.usb) }
    }

    /// A drive.
    pub fn drive(&self, slot: MediaSlot) -> &Drive {
        match slot {
            MediaSlot::Cd => &self.cd,
            MediaSlot::Usb => &self.usb,
        }
    }

    /// A drive, to change.
    pub fn drive_mut(&mut self, slot: MediaSlot) -> &mut Drive {
        match slot {
            MediaSlot::Cd => &mut self.cd,
            MediaSlot::Usb => &mut self.usb,
        }
    }
}

/// One drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drive {
    /// What is in it. Only the machine's owner changes this.
    pub medium: Option<Medium>,
    /// Whether the certificate of a server has to be good before an image is taken from it.
    pub verify_certificate: bool,
    /// Certificates that are trusted for this drive's images, beside those that the system trusts; at most [`MEDIA_CERTIFICATES_MAX`].
    pub certificates: Vec<MediaCertificate>,
    /// The number that the next certificate gets; none is used twice.
    pub next_certificate: u32,
}

impl Default for Drive {
    fn default() -> Self {
        Self { medium: None, verify_certificate: true, certificates: Vec::new(), next_certificate: 1 }
    }
}

/// A certificate that is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaCertificate {
    /// Its number.
    pub id: u32,
    /// The certificate, as PEM.
    pub pem: String,
}

/// What is in a drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// From where it was fetched, without credentials.
    pub image: String,
    /// Who asked there.
    pub username: Option<String>,
    /// Whether the machine may not write to it.
    pub write_protected: bool,
    /// How the client wanted it transferred.
    pub method: TransferMethod,
    /// The copy on this host.
    pub file: PathBuf,
    /// What the copy is held by.
    pub lease: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of what was fetched, in lower-case hexadecimal.
    pub sha256: String,
}

impl Medium {
    /// The image's own name, for people.
    pub fn name(&self) -> &str {
        crate::media::image_name(&self.image)
    }

    /// As a backend takes it.
    pub(crate) fn image_in(&self, slot: MediaSlot) -> MediaImage {
        MediaImage {
            slot,
            file: self.file.clone(),
            name: self.name().to_owned(),
            write_protected: self.write_protected,
        }
    }
}
