//! The FRU inventory of the machine: one truth with its [`Identity`].
//!
//! Until a client writes to it, the image is made anew from the identity and the machine's make-up for whoever reads it. The first write
//! keeps it, and from then on the two are made to agree:
//!
//! ```text
//!  Identity ──────── image ───────► what is read, while nothing was written
//!     ▲  │
//!     │  └─ follow ─► kept image    another door changed the identity: the fields in the image are rewritten, no other byte is
//!     └──── learn ──┘               a client wrote to the image and its areas check out
//! ```
//!
//! A client edits in pieces, and in between the image does not check out: then it is kept as it is, and nothing is learnt from it.

use std::fmt;

use ipmi_wire::record::fru::{self, Board, Chassis, Field, Inventory, Product, Record};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::backend::MachineInfo;
use crate::error::RequestError;
use crate::settings::Editable;
use crate::snapshot::Identity;

/// Size of the inventory device in bytes: several times what its areas take, so that edits find room.
pub const FRU_BYTES: usize = 2_048;
/// Network interfaces that the image names at most.
pub const FRU_NICS_MAX: usize = 8;
/// SMBIOS' number for a main server chassis.
const MAIN_SERVER_CHASSIS: u8 = 0x11;
/// The language code that is written; it means English.
const LANGUAGE: u8 = 0;

/// What a client wrote to the inventory device.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FruSettings {
    /// The image without the zeros at its end; `None` while nothing was written.
    image: Option<Vec<u8>>,
}

/// The whole inventory device, [`FRU_BYTES`] long: what was written, or an image made from who and what the machine is.
pub fn image(settings: &FruSettings, identity: &Identity, info: Option<&MachineInfo>) -> Vec<u8> {
    let mut image = match &settings.image {
        Some(image) => image.clone(),
        // What is made here has bounds that fit; without them the device would be blank.
        None => inventory(identity, info).encode(FRU_BYTES).unwrap_or_default(),
    };
    image.resize(FRU_BYTES, 0);
    image
}

/// Writes to the inventory device, and learns from it who the machine is if it then checks out.
///
/// # Errors
/// [`RequestError::Invalid`] when the bytes lie beyond the device.
pub fn write(
    editable: &mut Editable<'_>,
    info: Option<&MachineInfo>,
    offset: usize,
    bytes: &[u8],
) -> Result<(), RequestError> {
    let mut image = image(&editable.settings.fru, editable.identity, info);
    let room = image.get_mut(offset..offset.saturating_add(bytes.len()));
    let beyond = || RequestError::Invalid {
        field: "offset",
        reason: format!("the inventory device has {FRU_BYTES} bytes"),
    };
    room.ok_or_else(beyond)?.copy_from_slice(bytes);
    if let Ok(Inventory { product: Some(product), .. }) = Inventory::decode(&image) {
        learn(&product, editable.identity);
    }
    editable.settings.fru.keep(image);
    Ok(())
}

impl FruSettings {
    /// Whether a client wrote to the device.
    pub fn is_written(&self) -> bool {
        self.image.is_some()
    }

    /// Makes the kept image say what the identity says. One that does not check out stays as it is: somebody is about to complete it.
    ///
    /// # Errors
    /// [`RequestError::Invalid`] when the image has no room for it.
    pub(crate) fn follow(&mut self, identity: &Identity) -> Result<(), RequestError> {
        let Some(kept) = &self.image else { return Ok(()) };
        let mut image = kept.clone();
        image.resize(FRU_BYTES, 0);
        let Ok(Inventory { product: Some(mut product), .. }) = Inventory::decode(&image) else {
            return Ok(());
        };
        let language = product.language;
        for (field, text) in pairs(&mut product, identity) {
            if field.to_text(language) != shown(text) {
                *field = Field::text(text);
            }
        }
        fru::replace_product(&mut image, &product).map_err(|_| RequestError::Invalid {
            field: "asset_tag",
            reason: "the FRU image that a client wrote has no room for it; write a shorter one".to_owned(),
        })?;
        self.keep(image);
        Ok(())
    }

    fn keep(&mut self, mut image: Vec<u8>) {
        let used = image.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        image.truncate(used);
        self.image = Some(image);
    }
}

/// The fields of a product area and of an identity that mean the same.
fn pairs<'a>(product: &'a mut Product, identity: &'a Identity) -> [(&'a mut Field, &'a str); 5] {
    [
        (&mut product.manufacturer, &identity.manufacturer),
        (&mut product.name, &identity.model),
        (&mut product.part_number, &identity.part_number),
        (&mut product.serial, &identity.serial),
        (&mut product.asset_tag, &identity.asset_tag),
    ]
}

/// How a text reads once it stands in a field: that is what is compared, for a field cannot hold everything.
fn shown(text: &str) -> String {
    Field::text(text).to_text(LANGUAGE)
}

/// Takes what a product area says into the identity, where it says something else.
fn learn(product: &Product, identity: &mut Identity) {
    let pairs = [
        (&product.manufacturer, &mut identity.manufacturer),
        (&product.name, &mut identity.model),
        (&product.part_number, &mut identity.part_number),
        (&product.serial, &mut identity.serial),
        (&product.asset_tag, &mut identity.asset_tag),
    ];
    for (field, text) in pairs {
        let said = field.to_text(product.language);
        if said != shown(text) {
            *text = said;
        }
    }
}

/// Who and what the machine is, as an inventory.
fn inventory(identity: &Identity, info: Option<&MachineInfo>) -> Inventory {
    let serial = Field::text(&identity.serial);
    let mut product = Product { language: LANGUAGE, ..Default::default() };
    for (field, text) in pairs(&mut product, identity) {
        *field = Field::text(text);
    }
    Inventory {
        chassis: Some(Chassis { kind: MAIN_SERVER_CHASSIS, serial: serial.clone(), ..Default::default() }),
        board: Some(Board {
            language: LANGUAGE,
            manufacturer: product.manufacturer.clone(),
            name: product.name.clone(),
            serial,
            custom: info.map(board_details).unwrap_or_default(),
            ..Default::default()
        }),
        product: Some(product),
        records: info.map(|info| Record::system_name(&info.name)).into_iter().collect(),
    }
}

/// What is on the board: processors, memory, network interfaces.
fn board_details(info: &MachineInfo) -> Vec<Field> {
    let nics = info.nics.iter().take(FRU_NICS_MAX).map(|nic| format!("MAC {}", nic.mac));
    let details = [
        format!("{} x {}", info.processors, info.architecture),
        format!("{} MiB", info.memory_bytes / (1 << 20)),
    ];
    details.into_iter().chain(nics).map(|text| Field::text(&text)).collect()
}

impl fmt::Debug for FruSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.image.as_ref().map(Vec::len);
        f.debug_struct("FruSettings").field("bytes", &bytes).finish()
    }
}

/// Kept as hexadecimal digits: a list of numbers would be twice as long.
impl Serialize for FruSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.image.as_ref().map(|image| {
            let nibbles = image.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
            nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect::<String>()
        });
        digits.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FruSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(digits) = Option::<String>::deserialize(deserializer)? else { return Ok(Self::default()) };
        let nibbles: Option<Vec<u8>> =
            digits.chars().map(|c| c.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok())).collect();
        let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0 && nibbles.len() <= 2 * FRU_BYTES);
        let nibbles =
            nibbles.ok_or_else(|| de::Error::custom("a FRU image is kept in hexadecimal digits"))?;
        let bytes =
            nibbles.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble));
        Ok(Self { image: Some(bytes.collect()) })
    }
}

#[cfg(test)]
mod tests {
    use crate::account::{Accounts, Secret};
    use crate::inventory::Nic;
    use crate::settings::Settings;

    use super::*;

    struct Machine {
        accounts: Accounts,
        settings: Settings,
        identity: Identity,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                accounts: Accounts::with_administrator("admin", Secret::new("password")).unwrap(),
                settings: Settings::default(),
                identity: Identity {
                    manufacturer: "Maker".to_owned(),
                    model: "Model".to_owned(),
                    serial: "S-1".to_owned(),
                    asset_tag: String::new(),
                    part_number: String::new(),
                },
            }
        }

        fn image(&self) -> Vec<u8> {
            image(&self.settings.fru, &self.identity, None)
        }

        fn product(&self) -> Product {
            Inventory::decode(&self.image()).unwrap().product.unwrap()
        }

        fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), RequestError> {
            let Self { accounts, settings, identity } = self;
            write(&mut Editable { accounts, settings, identity }, None, offset, bytes)
        }
    }

    #[test]
    fn an_image_is_made_from_what_the_machine_is() {
        let machine = Machine::new();
        let info = MachineInfo {
            processors: 2,
            architecture: "x86_64".to_owned(),
            memory_bytes: 4 << 30,
            nics: vec![Nic { mac: "52:54:00:00:00:01".to_owned(), ..Nic::default() }; 20],
            ..Default::default()
        };
        let image = image(&machine.settings.fru, &machine.identity, Some(&info));
        assert_eq!(image.len(), FRU_BYTES);
        let inventory = Inventory::decode(&image).unwrap();
        assert_eq!(inventory.product.unwrap().manufacturer.to_text(0), "Maker");
        let board = inventory.board.unwrap();
        let details: Vec<String> = board.custom.iter().map(|field| field.to_text(0)).collect();
        assert_eq!(details[..3], ["2 x x86_64", "4096 MiB", "MAC 52:54:00:00:00:01"]);
        assert_eq!(details.len(), 2 + FRU_NICS_MAX);
        // The longest texts there can be still make an image.
        let long = |character: &str| character.repeat(200);
        let identity = Identity {
            manufacturer: long("m"),
            model: long("n"),
            serial: long("s"),
            asset_tag: long("t"),
            part_number: long("p"),
        };
        let image = super::image(&FruSettings::default(), &identity, Some(&info));
        assert!(Inventory::decode(&image).unwrap().product.is_some());
    }

    #[test]
    fn what_is_written_is_learnt_once_it_checks_out() {
        let mut machine = Machine::new();
        let before = machine.image();
        let mut wanted = before.clone();
        let product =
            Product { serial: Field::text("S-2"), asset_tag: Field::text("shelf"), ..machine.product() };
        fru::replace_product(&mut wanted, &product).unwrap();
        for (at, chunk) in wanted.chunks(5).enumerate() {
            machine.write(at * 5, chunk).unwrap();
            let known = (machine.identity.serial.as_str(), machine.identity.asset_tag.as_str());
            assert!(known == ("S-1", "") || known == ("S-2", "shelf"), "{known:?}");
        }
        assert_eq!((machine.identity.serial.as_str(), machine.identity.model.as_str()), ("S-2", "Model"));
        assert_eq!(machine.image(), wanted);
        let kept = serde_json::to_string(&machine.settings.fru).unwrap();
        assert_eq!(serde_json::from_str::<FruSettings>(&kept).unwrap(), machine.settings.fru);
        assert!(kept.len() < 1_000, "only what is not zero is kept");
    }

    #[test]
    fn the_kept_image_follows_the_identity() {
        let mut machine = Machine::new();
        machine.identity.asset_tag = "first".to_owned();
        assert!(machine.settings.fru.follow(&machine.identity).is_ok() && !machine.settings.fru.is_written());
        // A byte behind everything, which no area has.
        machine.write(2_000, b"mark").unwrap();
        for tag in ["second", "", "x", "Ж", "a tag that is longer than all of those before it, up to 63 ..."]
        {
            machine.identity.asset_tag = tag.to_owned();
            machine.settings.fru.follow(&machine.identity).unwrap();
            assert_eq!(machine.product().asset_tag, Field::text(tag), "{tag:?}");
            // Reading back what a field cannot hold must not take it from the identity.
            machine.write(2_010, b"!").unwrap();
            assert_eq!(machine.identity.asset_tag, tag);
            assert_eq!(&machine.image()[2_000..2_004], b"mark");
        }
    }

    #[test]
    fn a_damaged_image_is_kept_and_no_tag_is_lost() {
        let mut machine = Machine::new();
        machine.write(0, &[0xff]).unwrap();
        let damaged = machine.image();
        machine.identity.asset_tag = "new".to_owned();
        machine.settings.fru.follow(&machine.identity).unwrap();
        assert_eq!(machine.image(), damaged);
        assert_eq!(machine.identity.asset_tag, "new");
    }

    #[test]
    fn a_write_beyond_the_device_changes_nothing() {
        let mut machine = Machine::new();
        for (offset, len) in [(FRU_BYTES, 1), (FRU_BYTES - 1, 2), (usize::MAX, 1)] {
            assert!(machine.write(offset, &vec![1; len]).is_err(), "{len} at {offset}");
        }
        assert!(!machine.settings.fru.is_written());
        machine.write(FRU_BYTES - 1, &[1]).unwrap();
    }

    #[test]
    fn an_image_without_room_refuses_a_longer_tag() {
        let mut machine = Machine::new();
        // One product area that fills the device, but for less than a tag.
        let custom = vec![Field::text(&"f".repeat(63)); 30];
        let inventory =
            Inventory { product: Some(Product { custom, ..machine.product() }), ..Default::default() };
        let mut image = inventory.encode(FRU_BYTES).unwrap();
        let end = image.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // An internal use area behind it takes the rest.
        let place = end.div_ceil(8);
        image[1] = place as u8;
        image[7] = image[7].wrapping_sub(place as u8);
        machine.write(0, &image).unwrap();
        machine.identity.asset_tag = "t".repeat(63);
        let followed = machine.settings.fru.follow(&machine.identity);
        assert!(
            matches!(followed, Err(RequestError::Invalid { .. })),
            "{place} {followed:?} {:?}",
            fru::CommonHeader::decode(&image)
        );
        assert_eq!(machine.image(), image);
    }

    #[test]
    fn nonsense_in_the_store_is_refused() {
        for kept in ["\"0\"", "\"xy\"", "7", "\"é\""] {
            assert!(serde_json::from_str::<FruSettings>(kept).is_err(), "{kept}");
        }
        assert_eq!(serde_json::from_str::<FruSettings>("null").unwrap(), FruSettings::default());
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }
}
