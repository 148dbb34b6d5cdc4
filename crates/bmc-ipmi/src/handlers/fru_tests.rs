//! The inventory device over IPMI.

use bmc_core::request::Change;
use bmc_core::request::Request;
use ipmi_wire::PrivilegeLevel;
use ipmi_wire::record::fru::{Field, Inventory, Product, replace_product};

use super::*;
use crate::Caller;
use crate::handlers::testing::{Bench, bad_lengths};

/// The whole device, read in pieces of `chunk`.
async fn read(bench: &Bench, chunk: u8) -> Vec<u8> {
    let mut image = Vec::new();
    while image.len() < FRU_BYTES {
        let request = ReadFruData { device: 0, offset: image.len() as u16, count: chunk };
        let data = bench.ask(request).await.data;
        assert!(!data.is_empty() && data.len() <= chunk.into());
        image.extend(data);
    }
    image
}

async fn write(bench: &Bench, image: &[u8], chunk: usize) {
    for (at, data) in image.chunks(chunk).enumerate() {
        let request = WriteFruData { device: 0, offset: (at * chunk) as u16, data: data.to_vec() };
        assert_eq!(usize::from(bench.ask(request).await.count), data.len());
    }
}

fn product(image: &[u8]) -> Product {
    Inventory::decode(image).unwrap().product.unwrap()
}

#[tokio::test]
async fn area_info() {
    let bench = Bench::new().await;
    assert_eq!(bench.raw(0x0a, 0x10, &[0]).await, (0, vec![0x00, 0x08, 0x00]));
    for device in [1, 0x7f, 0xfe, 0xff] {
        assert_eq!(bench.raw(0x0a, 0x10, &[device]).await.0, 0xcb, "device {device}");
    }
    bad_lengths(&bench, 0x0a, 0x10, &[0], &[1]).await;
}

#[tokio::test]
async fn reads_the_identity_in_pieces_of_any_size() {
    let bench = Bench::new().await;
    let image = read(&bench, 255).await;
    for chunk in [1, 20, 16, 224] {
        assert_eq!(read(&bench, chunk).await, image, "{chunk}");
    }
    let inventory = Inventory::decode(&image).unwrap();
    let identity = bench.machine.snapshot().identity.clone();
    let product = inventory.product.unwrap();
    assert_eq!(product.manufacturer.to_text(0), identity.manufacturer);
    assert_eq!(product.name.to_text(0), identity.model);
    assert_eq!(product.serial.to_text(0), identity.serial);
    assert_eq!(inventory.board.unwrap().custom[0].to_text(0), "1 x x86_64");
}

#[tokio::test]
async fn reads_refuse_bad_data() {
    let bench = Bench::new().await;
    // Device, offset, count; what is answered.
    let rows: [([u8; 4], u8); 7] = [
        ([0, 0xff, 0x07, 1], 0x00),
        ([0, 0xff, 0x07, 255], 0x00),
        ([0, 0x00, 0x08, 1], 0xc9),
        ([0, 0xff, 0xff, 255], 0xc9),
        ([0, 0, 0, 0], 0xcc),
        ([1, 0, 0, 1], 0xcb),
        ([0xff, 0, 0, 1], 0xcb),
    ];
    for (data, code) in rows {
        assert_eq!(bench.raw(0x0a, 0x11, &data).await.0, code, "{data:02x?}");
    }
    assert_eq!(bench.raw(0x0a, 0x11, &[0, 0xff, 0x07, 255]).await.1, [1, 0], "what is left");
    bad_lengths(&bench, 0x0a, 0x11, &[0, 0, 0, 8], &[4]).await;
}

#[tokio::test]
async fn writes_become_the_identity_once_they_check_out() {
    let bench = Bench::new().await;
    let mut image = read(&bench, 255).await;
    let wanted = Product {
        serial: Field::text("NEW-SERIAL-NUMBER"),
        asset_tag: Field::text("shelf 4"),
        part_number: Field::text("PN-1"),
        ..product(&image)
    };
    replace_product(&mut image, &wanted).unwrap();
    write(&bench, &image, 16).await;
    assert_eq!(read(&bench, 255).await, image);
    let identity = bench.machine.snapshot().identity.clone();
    assert_eq!(
        (identity.serial.as_str(), identity.asset_tag.as_str(), identity.part_number.as_str()),
        ("NEW-SERIAL-NUMBER", "shelf 4", "PN-1")
    );

    // And back: another door's tag changes the kept image.
    let change = Change { asset_tag: Some("by another door".to_owned()), ..Default::default() };
    bench.machine.request(Request::Change(Box::new(change))).await.unwrap();
    let after = read(&bench, 255).await;
    assert_eq!(product(&after), Product { asset_tag: Field::text("by another door"), ..wanted });
}

#[tokio::test]
async fn writes_that_do_not_check_out_are_kept_and_believed_in_nothing() {
    let bench = Bench::new().await;
    let before = bench.machine.snapshot().identity.clone();
    write(&bench, &[0xff; FRU_BYTES], 200).await;
    assert_eq!(read(&bench, 255).await, [0xff; FRU_BYTES]);
    assert_eq!(bench.machine.snapshot().identity, before);
}

#[tokio::test]
async fn writes_refuse_bad_data() {
    let mut bench = Bench::new().await;
    let before = read(&bench, 255).await;
    let rows: [(&[u8], u8); 7] = [
        (&[0, 0x00, 0x08, 1], 0xc9),
        (&[0, 0xff, 0x07, 1, 2], 0xc9),
        (&[0, 0xff, 0xff, 1], 0xc9),
        (&[1, 0, 0, 1], 0xcb),
        (&[0xff, 0, 0, 1], 0xcb),
        (&[0, 0, 0], 0xc7),
        (&[], 0xc7),
    ];
    for (data, code) in rows {
        assert_eq!(bench.raw(0x0a, 0x12, data).await.0, code, "{data:02x?}");
    }
    let long = [0; 3 + 256];
    assert_eq!(bench.raw(0x0a, 0x12, &long).await.0, 0xc8, "the answer has one byte for the count");
    bench.break_store();
    assert_eq!(bench.raw(0x0a, 0x12, &[0, 0, 0, 7]).await.0, 0xff);
    assert_eq!(read(&bench, 255).await, before, "what was not stored did not happen");
    bench.caller(Caller::Session { id: 1, privilege: PrivilegeLevel::User });
    assert_eq!(bench.raw(0x0a, 0x12, &[0, 0, 0, 7]).await.0, 0xd4);
}
