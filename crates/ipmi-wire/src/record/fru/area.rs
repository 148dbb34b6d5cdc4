//! The three areas with a format: chassis, board and product (FRU 1.0 §10 to §12).

use alloc::vec::Vec;

use super::{AREA_BYTES_MAX, Field, UNIT_BYTES, begin, field};
use crate::message::checksum;
use crate::{DecodeError, Reader, Writer};

/// The chassis (§10).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chassis {
    /// What it is, as SMBIOS numbers it: 1 other, 2 unknown, 11h main server chassis.
    pub kind: u8,
    /// Part number.
    pub part_number: Field,
    /// Serial number.
    pub serial: Field,
    /// Further fields.
    pub custom: Vec<Field>,
}

/// The board (§11).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Board {
    /// Language of its texts; 0 and 25 are English.
    pub language: u8,
    /// When it was made, in minutes since the beginning of 1996, 24 bits; 0 when that is not told.
    pub manufactured: u32,
    /// Maker.
    pub manufacturer: Field,
    /// Product name.
    pub name: Field,
    /// Serial number.
    pub serial: Field,
    /// Part number.
    pub part_number: Field,
    /// The file that the area was made from.
    pub file_id: Field,
    /// Further fields.
    pub custom: Vec<Field>,
}

/// The product (§12).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product {
    /// Language of its texts; 0 and 25 are English.
    pub language: u8,
    /// Maker.
    pub manufacturer: Field,
    /// Product name.
    pub name: Field,
    /// Part or model number.
    pub part_number: Field,
    /// Version.
    pub version: Field,
    /// Serial number.
    pub serial: Field,
    /// Asset tag.
    pub asset_tag: Field,
    /// The file that the area was made from.
    pub file_id: Field,
    /// Further fields.
    pub custom: Vec<Field>,
}

impl Chassis {
    /// Reads an area, checksum included, whose front was checked.
    pub(super) fn decode(area: &[u8]) -> Result<Self, DecodeError> {
        let mut r = inside(area)?;
        let kind = r.u8()?;
        let mut fields = Fields::new(r);
        Ok(Self { kind, part_number: fields.next()?, serial: fields.next()?, custom: fields.rest()? })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let mut w = Writer::new();
        begin(&mut w);
        w.u8(self.kind);
        field::write_all(&mut w, [&self.part_number, &self.serial].into_iter().chain(&self.custom));
        finished(w)
    }
}

impl Board {
    pub(super) fn decode(area: &[u8]) -> Result<Self, DecodeError> {
        let mut r = inside(area)?;
        let (language, manufactured) = (r.u8()?, r.u24_le()?);
        let mut fields = Fields::new(r);
        Ok(Self {
            language,
            manufactured,
            manufacturer: fields.next()?,
            name: fields.next()?,
            serial: fields.next()?,
            part_number: fields.next()?,
            file_id: fields.next()?,
            custom: fields.rest()?,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let mut w = Writer::new();
        begin(&mut w);
        w.u8(self.language).u24_le(self.manufactured);
        let fixed = [&self.manufacturer, &self.name, &self.serial, &self.part_number, &self.file_id];
        field::write_all(&mut w, fixed.into_iter().chain(&self.custom));
        finished(w)
    }
}

impl Product {
    pub(super) fn decode(area: &[u8]) -> Result<Self, DecodeError> {
        let mut r = inside(area)?;
        let language = r.u8()?;
        let mut fields = Fields::new(r);
        Ok(Self {
            language,
            manufacturer: fields.next()?,
            name: fields.next()?,
            part_number: fields.next()?,
            version: fields.next()?,
            serial: fields.next()?,
            asset_tag: fields.next()?,
            file_id: fields.next()?,
            custom: fields.rest()?,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let mut w = Writer::new();
        begin(&mut w);
        w.u8(self.language);
        let fixed = [
            &self.manufacturer,
            &self.name,
            &self.part_number,
            &self.version,
            &self.serial,
            &self.asset_tag,
            &self.file_id,
        ];
        field::write_all(&mut w, fixed.into_iter().chain(&self.custom));
        finished(w)
    }
}

/// The fields of an area up to the end mark. An area that ends before its fixed fields do has those as empty ones.
struct Fields<'a> {
    left: Option<Reader<'a>>,
}

impl<'a> Fields<'a> {
    fn new(r: Reader<'a>) -> Self {
        Self { left: Some(r) }
    }

    fn read(&mut self) -> Result<Option<Field>, DecodeError> {
        let Some(r) = &mut self.left else { return Ok(None) };
        let field = Field::read(r)?;
        if field.is_none() {
            self.left = None;
        }
        Ok(field)
    }

    fn next(&mut self) -> Result<Field, DecodeError> {
        Ok(self.read()?.unwrap_or_default())
    }

    fn rest(mut self) -> Result<Vec<Field>, DecodeError> {
        let mut fields = Vec::new();
        while let Some(field) = self.read()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

/// What stands between an area's length and its checksum.
fn inside(area: &[u8]) -> Result<Reader<'_>, DecodeError> {
    let inner = area.len().checked_sub(1).and_then(|end| area.get(2..end));
    inner.map(Reader::new).ok_or(DecodeError::Truncated)
}

/// Ends an area in as few units as it needs.
fn finished(w: Writer) -> Result<Vec<u8>, DecodeError> {
    let mut area = w.into_vec();
    // One byte more for the checksum.
    let len = area.len().saturating_add(1).div_ceil(UNIT_BYTES).saturating_mul(UNIT_BYTES);
    area.push(0);
    grown(area, len)
}

/// Gives a finished area this length, which is a whole number of units and no less than it has.
pub(super) fn grown(mut area: Vec<u8>, len: usize) -> Result<Vec<u8>, DecodeError> {
    if len > AREA_BYTES_MAX {
        return Err(DecodeError::Length);
    }
    // The old checksum becomes part of the padding.
    if let Some(last) = area.last_mut() {
        *last = 0;
    }
    area.resize(len, 0);
    if let Some(units) = area.get_mut(1) {
        *units = u8::try_from(len / UNIT_BYTES).map_err(|_| DecodeError::Length)?;
    }
    let sum = checksum(&area);
    if let Some(last) = area.last_mut() {
        *last = sum;
    }
    Ok(area)
}
