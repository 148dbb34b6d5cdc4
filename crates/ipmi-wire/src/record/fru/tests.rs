//! Images byte by byte, and hostile ones.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;

use super::*;

const SIZE: usize = 2_048;

fn sample() -> Inventory {
    Inventory {
        chassis: Some(Chassis { kind: 0x11, serial: Field::text("C-7"), ..Default::default() }),
        board: Some(Board {
            manufactured: 0x01_02_03,
            manufacturer: Field::text("Maker"),
            name: Field::text("Board"),
            ..Default::default()
        }),
        product: Some(Product {
            manufacturer: Field::text("Maker"),
            name: Field::text("Machine"),
            asset_tag: Field::text("A1"),
            custom: vec![Field::text("more")],
            ..Default::default()
        }),
        records: vec![Record { kind: 0xc0, data: vec![7, 8] }, Record::system_name("vm")],
    }
}

/// Written out by hand from the definition.
const GOLDEN: &str = "01 00 01 03 06 0a 00 eb \
    01 02 11 c0 c3 43 2d 37 c1 00 00 00 00 00 00 c1 \
    01 03 00 03 02 01 c5 4d 61 6b 65 72 c5 42 6f 61 72 64 c0 c0 c0 c1 00 00 \
    01 04 00 c5 4d 61 6b 65 72 c7 4d 61 63 68 69 6e 65 c0 c0 c0 c2 41 31 c0 c4 6d 6f 72 65 c1 00 00 \
    c0 02 02 f1 4b 07 08 03 82 03 1b 5d 02 76 6d";

/// The golden bytes with every checksum made right.
fn golden() -> Vec<u8> {
    let mut image = hex::decode(GOLDEN.replace(' ', "")).unwrap();
    for (from, to) in [(0, 8), (8, 24), (24, 48), (48, 80)] {
        let last = to - 1;
        image.resize(image.len().max(to), 0);
        image[last] = 0;
        image[last] = checksum(&image[from..to]);
    }
    image
}

#[test]
fn an_image_is_written_and_read() {
    let golden = golden();
    let image = sample().encode(SIZE).unwrap();
    assert_eq!(hex::encode(&image[..golden.len()]), hex::encode(&golden));
    assert!(image.len() == SIZE && image[golden.len()..].iter().all(|byte| *byte == 0));
    assert_eq!(Inventory::decode(&image), Ok(sample()));
    assert_eq!(Inventory::decode(&golden), Ok(sample()), "space behind the areas is none of them");
    assert_eq!(sample().encode(golden.len()), Ok(golden.clone()));
    assert_eq!(sample().encode(golden.len() - 1), Err(DecodeError::Length));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let golden = golden();
    for at in 0..golden.len() {
        let mut damaged = golden.clone();
        damaged[at] = damaged[at].wrapping_add(1);
        assert_ne!(Inventory::decode(&damaged), Ok(sample()), "byte {at}");
        assert!(at >= 80 || Inventory::decode(&damaged).is_err(), "byte {at}");
    }
    for len in 0..golden.len() {
        assert_ne!(Inventory::decode(&golden[..len]), Ok(sample()), "{len} bytes");
    }
    assert!(Inventory::decode(&[0; SIZE]).is_err());
    assert!(Inventory::decode(&[0xff; SIZE]).is_err());
}

#[test]
fn fields_are_read_in_every_encoding() {
    let rows: [(Encoding, &[u8], u8, &str); 11] = [
        (Encoding::Text, b"plain text", 0, "plain text"),
        (Encoding::Text, b"padded  \0\0", 25, "padded"),
        (Encoding::Text, &[0xe9, b'h'], 25, "éh"),
        (Encoding::Text, &[0x41, 0x00, 0x16, 0x04], 30, "AЖ"),
        (Encoding::Text, b"a\x07b", 0, "a?b"),
        (Encoding::Binary, &[0x01, 0xab], 0, "01ab"),
        (Encoding::BcdPlus, &[0x12, 0xab, 0xc9, 0xd0], 0, "12 -.9?0"),
        // The definition's own example: IPMI packed into three bytes.
        (Encoding::SixBit, &[0x29, 0xdc, 0xa6], 0, "IPMI"),
        (Encoding::SixBit, &[0x29, 0xdc, 0xa6, 0x21], 0, "IPMIA"),
        (Encoding::SixBit, &[0x29, 0x0c], 0, "IP"),
        (Encoding::Text, b"", 0, ""),
    ];
    for (encoding, bytes, language, text) in rows {
        assert_eq!(Field::raw(encoding, bytes).unwrap().to_text(language), text, "{encoding:?} {bytes:02x?}");
    }
    assert!(Field::raw(Encoding::Text, b"x").is_err(), "that is the end mark");
    assert!(Field::raw(Encoding::Binary, &[0; 64]).is_err());
}

#[test]
fn texts_fit_into_fields() {
    let rows = [("", ""), ("x", "x"), ("é", "é"), ("Ж-1", "?-1"), ("a\nb", "a?b"), ("trailing ", "trailing")];
    for (text, read) in rows {
        assert_eq!(Field::text(text).to_text(0), read, "{text:?}");
    }
    assert_eq!(Field::text(&"é".repeat(70)).to_text(0), "é".repeat(63));
}

#[test]
fn areas_may_end_early_and_have_none_behind_them() {
    let area = area::grown(vec![1, 0, 0, 0xc4, b'N', b'a', b'm', b'e', 0xc1, 0], 16).unwrap();
    let product = Product::decode(&area).unwrap();
    assert_eq!(product.manufacturer.to_text(0), "Name");
    assert_eq!(product.asset_tag, Field::default());
    assert_eq!(Inventory::decode(&[1, 0, 0, 0, 0, 0, 0, 0xff]), Ok(Inventory::default()));
}

/// An image with the product area in front of the board area and a record at the end.
fn crowded() -> Vec<u8> {
    let inventory = sample();
    let (board, product) =
        (inventory.board.unwrap().encode().unwrap(), inventory.product.unwrap().encode().unwrap());
    let mut image = vec![0; 8];
    let header = CommonHeader {
        product: 8,
        board: 8 + product.len(),
        multirecord: 8 + product.len() + board.len(),
        ..Default::default()
    };
    image.extend(product);
    image.extend(board);
    image.extend(encode_records(&inventory.records).unwrap());
    image[..8].copy_from_slice(&header.encode());
    image.resize(256, 0);
    image
}

#[test]
fn a_product_is_replaced_in_place_or_with_what_lies_behind_it_moved() {
    let product = |tag: &str| Product { asset_tag: Field::text(tag), ..sample().product.unwrap() };
    for tag in ["A2", "", "longer than before, by some units of eight"] {
        let mut image = sample().encode(SIZE).unwrap();
        let before = image.clone();
        replace_product(&mut image, &product(tag)).unwrap();
        assert_eq!(image[8..48], before[8..48], "{tag:?}");
        let read = Inventory::decode(&image).unwrap();
        assert_eq!(read, Inventory { product: Some(product(tag)), ..sample() });

        let mut image = crowded();
        replace_product(&mut image, &product(tag)).unwrap();
        let read = Inventory::decode(&image).unwrap();
        assert_eq!((&read.product, &read.board), (&Some(product(tag)), &sample().board));
        assert_eq!(read.records, sample().records);
    }
    let mut small = crowded();
    small.truncate(96);
    let before = small.clone();
    assert_eq!(replace_product(&mut small, &product(&"x".repeat(60))), Err(DecodeError::Length));
    assert_eq!(small, before, "nothing is changed by halves");
    assert!(replace_product(&mut [1, 0, 0, 0, 0, 0, 0, 0xff], &product("x")).is_err(), "there is no area");
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        "[ -~]{0,63}".prop_map(|text| Field::text(&text)),
        prop::collection::vec(any::<u8>(), 0..64)
            .prop_map(|bytes| Field::raw(Encoding::Binary, &bytes).unwrap()),
        prop::collection::vec(any::<u8>(), 0..64)
            .prop_map(|bytes| Field::raw(Encoding::SixBit, &bytes).unwrap()),
    ]
}

fn product() -> impl Strategy<Value = Product> {
    (any::<u8>(), prop::array::uniform7(field()), prop::collection::vec(field(), 0..4)).prop_map(
        |(language, [manufacturer, name, part_number, version, serial, asset_tag, file_id], custom)| {
            Product { language, manufacturer, name, part_number, version, serial, asset_tag, file_id, custom }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(product in product(), other in product(), kind: u8, serial in field()) {
        let chassis = Chassis { kind, serial, ..Default::default() };
        let inventory = Inventory { chassis: Some(chassis), product: Some(product), ..Default::default() };
        let mut image = inventory.encode(SIZE).unwrap();
        prop_assert_eq!(&Inventory::decode(&image).unwrap(), &inventory);
        replace_product(&mut image, &other).unwrap();
        prop_assert_eq!(Inventory::decode(&image).unwrap(), Inventory { product: Some(other), ..inventory });
    }

    #[test]
    fn texts_come_back(text in "[!-~]{2,63}") {
        prop_assert_eq!(Field::text(&text).to_text(0), text);
    }

    /// Hostile images: right checksums on any content.
    #[test]
    fn decoding_never_panics(mut image in prop::collection::vec(any::<u8>(), 8..300), places in prop::array::uniform5(0_u8..40), other in product()) {
        let header = [1, places[0], places[1], places[2], places[3], places[4], 0];
        image[..7].copy_from_slice(&header);
        image[7] = checksum(&header);
        for place in places.map(|units| usize::from(units) * 8) {
            if place >= 8 && let Some(area) = image.get_mut(place..) && area.len() > 8 {
                area[0] = 1;
                let len = (usize::from(area[1]) * 8).min(area.len());
                if len > 0 {
                    area[len - 1] = 0;
                    area[len - 1] = checksum(&area[..len]);
                }
            }
        }
        if let Ok(inventory) = Inventory::decode(&image) {
            for field in inventory.product.iter().flat_map(|product| [&product.name, &product.serial]) {
                let _: String = field.to_text(0).to_owned();
            }
            let _ = replace_product(&mut image, &other);
        }
        let _ = replace_product(&mut image, &other);
    }
}
