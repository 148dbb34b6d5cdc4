//! FRU inventory: the image of a replaceable unit's identity, as a controller's EEPROM holds it (Platform Management FRU
//! Information Storage Definition 1.0, revision 1.3).
//!
//! ```text
//!  common header (8 bytes: where each area begins, in units of 8 bytes)
//!  ├─ internal use area     (no format)
//!  ├─ chassis info area     ┐ version, length / 8, fixed fields, type/length fields, C1h,
//!  ├─ board info area       │ zeros up to a unit, checksum
//!  ├─ product info area     ┘
//!  └─ multirecord area      (records with a header of 5 bytes each)
//! ```
//!
//! [`Inventory::decode`] reads an image and says whether it checks out; [`Inventory::encode`] makes one with the areas in this order;
//! [`replace_product`] changes one area of an image and leaves every other byte as it is.

use alloc::vec::Vec;

use crate::message::checksum;
use crate::{DecodeError, Reader, Writer};

mod area;
mod field;
#[cfg(test)]
mod tests;

pub use area::{Board, Chassis, Product};
pub use field::{Encoding, FIELD_BYTES_MAX, Field};

/// Everything in an image is placed in units of this many bytes.
pub const UNIT_BYTES: usize = 8;
/// The longest area in bytes: its length is one byte of units.
pub const AREA_BYTES_MAX: usize = 255 * UNIT_BYTES;
/// Bytes of the common header.
const HEADER_BYTES: usize = 8;
/// Bytes of the header of a record in the multirecord area.
const RECORD_HEADER_BYTES: usize = 5;
/// Version of the header and of the areas.
const VERSION: u8 = 1;
/// Version of the records in the multirecord area.
const RECORD_VERSION: u8 = 2;
/// Set in the format of the last record.
const LAST_RECORD: u8 = 0x80;

/// The common header: where the areas begin, in bytes; 0 for those that are not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommonHeader {
    /// Internal use area.
    pub internal: usize,
    /// Chassis info area.
    pub chassis: usize,
    /// Board info area.
    pub board: usize,
    /// Product info area.
    pub product: usize,
    /// Multirecord area.
    pub multirecord: usize,
}

impl CommonHeader {
    /// Reads the header at the front of an image.
    ///
    /// # Errors
    /// Fewer than 8 bytes, another version, or a wrong checksum.
    pub fn decode(image: &[u8]) -> Result<Self, DecodeError> {
        let bytes = image.get(..HEADER_BYTES).ok_or(DecodeError::Truncated)?;
        check_sum(bytes)?;
        let mut r = Reader::new(bytes);
        check_version(r.u8()?)?;
        let mut place = || r.u8().map(|units| usize::from(units).saturating_mul(UNIT_BYTES));
        Ok(Self {
            internal: place()?,
            chassis: place()?,
            board: place()?,
            product: place()?,
            multirecord: place()?,
        })
    }

    fn encode(&self) -> [u8; HEADER_BYTES] {
        // Every place is a multiple of the unit and at most 255 of them; what is not was never made here.
        let units = |place: usize| u8::try_from(place / UNIT_BYTES).unwrap_or(0);
        let [i, c, b, p, m] =
            [self.internal, self.chassis, self.board, self.product, self.multirecord].map(units);
        let sum = checksum(&[VERSION, i, c, b, p, m, 0]);
        [VERSION, i, c, b, p, m, 0, sum]
    }

    /// The places that are taken.
    fn places(&self) -> impl Iterator<Item = usize> {
        [self.internal, self.chassis, self.board, self.product, self.multirecord]
            .into_iter()
            .filter(|place| *place != 0)
    }

    /// The place where the first area behind `place` begins.
    fn next_after(&self, place: usize) -> Option<usize> {
        self.places().filter(|other| *other > place).min()
    }
}

/// What an image says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The chassis.
    pub chassis: Option<Chassis>,
    /// The board.
    pub board: Option<Board>,
    /// The product.
    pub product: Option<Product>,
    /// The records of the multirecord area; none where that does not check out. ipmitool's `fru edit` gives a header without such an area
    /// a place for one where none is.
    pub records: Vec<Record>,
}

/// A record of the multirecord area (§16.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: u8,
    /// Its data, at most 255 bytes.
    pub data: Vec<u8>,
}

impl Record {
    /// Management access (§18.4).
    pub const MANAGEMENT_ACCESS: u8 = 0x03;
    /// In the first byte of a management access record: the rest is the system's name.
    const SYSTEM_NAME: u8 = 0x02;

    /// A management access record with the system's name, cut off where it is too long.
    #[must_use]
    pub fn system_name(name: &str) -> Self {
        let mut data = Vec::from([Self::SYSTEM_NAME]);
        data.extend(name.bytes().take(usize::from(u8::MAX).saturating_sub(1)));
        Self { kind: Self::MANAGEMENT_ACCESS, data }
    }
}

impl Inventory {
    /// Reads an image. The internal use area is skipped.
    ///
    /// # Errors
    /// A header or area that is cut short, has another version, a wrong checksum, or overlaps the common header.
    pub fn decode(image: &[u8]) -> Result<Self, DecodeError> {
        let header = CommonHeader::decode(image)?;
        let area = |place: usize| match place {
            0 => Ok(None),
            place => area_bytes(image, place).map(Some),
        };
        let records = match header.multirecord {
            0 => Vec::new(),
            place => multirecord(image, place).map(|(records, _)| records).unwrap_or_default(),
        };
        Ok(Self {
            records,
            chassis: area(header.chassis)?.map(Chassis::decode).transpose()?,
            board: area(header.board)?.map(Board::decode).transpose()?,
            product: area(header.product)?.map(Product::decode).transpose()?,
        })
    }

    /// Makes an image of exactly `size` bytes: the header, the areas that there are, and zeros.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when an area is too long, or when they do not fit.
    pub fn encode(&self, size: usize) -> Result<Vec<u8>, DecodeError> {
        let mut header = CommonHeader::default();
        let mut image = Vec::from([0; HEADER_BYTES]);
        let mut add = |place: &mut usize, area: Option<Vec<u8>>| {
            if let Some(area) = area {
                *place = image.len();
                image.extend(area);
            }
        };
        add(&mut header.chassis, self.chassis.as_ref().map(Chassis::encode).transpose()?);
        add(&mut header.board, self.board.as_ref().map(Board::encode).transpose()?);
        add(&mut header.product, self.product.as_ref().map(Product::encode).transpose()?);
        add(&mut header.multirecord, Some(encode_records(&self.records)?).filter(|area| !area.is_empty()));
        if image.len() > size || header.places().any(|place| place > AREA_BYTES_MAX) {
            return Err(DecodeError::Length);
        }
        image.resize(size, 0);
        put(&mut image, 0, &header.encode());
        Ok(image)
    }
}

/// Changes the product area of an image that checks out. Where the new area needs no more room than the old one it takes its place, and the
/// room is kept; else what lies behind it moves back. All other bytes stay as they are.
///
/// # Errors
/// What [`Inventory::decode`] refuses; [`DecodeError::Length`] when the area finds no room, and [`DecodeError::Truncated`] when there is no
/// product area.
pub fn replace_product(image: &mut [u8], product: &Product) -> Result<(), DecodeError> {
    Inventory::decode(image)?;
    let header = CommonHeader::decode(image)?;
    if header.product == 0 {
        return Err(DecodeError::Truncated);
    }
    let room = area_bytes(image, header.product)?.len();
    let area = product.encode()?;
    if area.len() > room {
        make_room(image, header, room, area.len())?;
        put(image, header.product, &area);
    } else {
        put(image, header.product, &area::grown(area, room)?);
    }
    Ok(())
}

/// Moves what lies behind the product area back, so that the area may grow from `room` to `wanted` bytes.
fn make_room(image: &mut [u8], header: CommonHeader, room: usize, wanted: usize) -> Result<(), DecodeError> {
    let end = header.product.saturating_add(room);
    let limit = header.next_after(header.product).unwrap_or(image.len());
    if header.product.saturating_add(wanted) <= limit {
        return Ok(());
    }
    let more = wanted.saturating_sub(room);
    let used = used_end(image, &header)?;
    if used.saturating_add(more) > image.len() {
        return Err(DecodeError::Length);
    }
    let moved = |place: usize| if place > header.product { place.saturating_add(more) } else { place };
    let moved = CommonHeader {
        internal: moved(header.internal),
        chassis: moved(header.chassis),
        board: moved(header.board),
        product: header.product,
        multirecord: moved(header.multirecord),
    };
    if moved.places().any(|place| place > AREA_BYTES_MAX) {
        return Err(DecodeError::Length);
    }
    let behind = image.get(end..used.max(end)).unwrap_or_default().to_vec();
    put(image, end.saturating_add(more), &behind);
    put(image, 0, &moved.encode());
    Ok(())
}

/// The first byte behind the last area. An internal use area at the end has no length: it takes the rest of the image.
fn used_end(image: &[u8], header: &CommonHeader) -> Result<usize, DecodeError> {
    let mut end = HEADER_BYTES;
    for place in [header.chassis, header.board, header.product].into_iter().filter(|place| *place != 0) {
        end = end.max(place.saturating_add(area_bytes(image, place)?.len()));
    }
    if header.multirecord != 0 {
        end = multirecord(image, header.multirecord).map_or(end, |(_, behind)| end.max(behind));
    }
    Ok(if header.internal >= end { image.len() } else { end })
}

/// The bytes of the chassis, board or product area at `place`, with version and checksum in order.
fn area_bytes(image: &[u8], place: usize) -> Result<&[u8], DecodeError> {
    let from = image.get(place.max(HEADER_BYTES)..).ok_or(DecodeError::Truncated)?;
    let mut r = Reader::new(from);
    check_version(r.u8()?)?;
    let len = usize::from(r.u8()?).saturating_mul(UNIT_BYTES);
    let area = from.get(..len).filter(|area| !area.is_empty()).ok_or(DecodeError::Truncated)?;
    check_sum(area)?;
    Ok(area)
}

/// The records that begin at `place`, and the first byte behind them.
fn multirecord(image: &[u8], place: usize) -> Result<(Vec<Record>, usize), DecodeError> {
    let mut records = Vec::new();
    let mut at = place.max(HEADER_BYTES);
    loop {
        let header = image.get(at..at.saturating_add(RECORD_HEADER_BYTES)).ok_or(DecodeError::Truncated)?;
        check_sum(header)?;
        let [kind, format, len, sum, _] = Reader::new(header).array()?;
        if format & 0x0f != RECORD_VERSION {
            return Err(DecodeError::value("FRU record version", format));
        }
        let from = at.saturating_add(RECORD_HEADER_BYTES);
        at = from.saturating_add(len.into());
        let data = image.get(from..at).ok_or(DecodeError::Truncated)?;
        if checksum(data) != sum {
            return Err(DecodeError::Checksum);
        }
        records.push(Record { kind, data: data.to_vec() });
        if format & LAST_RECORD != 0 {
            return Ok((records, at));
        }
    }
}

fn encode_records(records: &[Record]) -> Result<Vec<u8>, DecodeError> {
    let mut w = Writer::new();
    let mut left = records.len();
    for Record { kind, data } in records {
        left = left.saturating_sub(1);
        let format = RECORD_VERSION | if left == 0 { LAST_RECORD } else { 0 };
        let len = u8::try_from(data.len()).map_err(|_| DecodeError::Length)?;
        let front = [*kind, format, len, checksum(data)];
        w.bytes(&front).u8(checksum(&front)).bytes(data);
    }
    Ok(w.into_vec())
}

fn check_version(version: u8) -> Result<(), DecodeError> {
    if version & 0x0f == VERSION { Ok(()) } else { Err(DecodeError::value("FRU format version", version)) }
}

fn check_sum(bytes: &[u8]) -> Result<(), DecodeError> {
    if checksum(bytes) == 0 { Ok(()) } else { Err(DecodeError::Checksum) }
}

/// Writes `bytes` over those at `place`; nothing where they do not fit, which callers have ruled out.
fn put(image: &mut [u8], place: usize, bytes: &[u8]) {
    if let Some(room) = image.get_mut(place..place.saturating_add(bytes.len())) {
        room.copy_from_slice(bytes);
    }
}

/// Appends the front of an area, whose length is not known yet.
fn begin(w: &mut Writer) {
    w.u8(VERSION).u8(0);
}
