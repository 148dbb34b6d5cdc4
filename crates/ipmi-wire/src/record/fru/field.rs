//! Type/length fields: the texts of an area, each with its encoding (FRU 1.0 §13).

use alloc::string::String;
use alloc::vec::Vec;

use crate::{DecodeError, Reader, Writer};

/// The longest field: its length has six bits.
pub const FIELD_BYTES_MAX: usize = 63;
/// Stands where a field would begin and says that there is none: also what a text of one byte would look like.
const END: u8 = 0xc1;
/// The language code of English; 0 means the same.
const ENGLISH: u8 = 25;

/// How the bytes of a field are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// No text at all, or one whose encoding the maker knows.
    Binary = 0,
    /// Two characters per byte out of digits, space, dash and dot.
    BcdPlus = 1,
    /// Four characters per three bytes, `20h` to `5Fh` of ASCII.
    SixBit = 2,
    /// ASCII and Latin 1 where the language is English, else UTF-16 with the low byte first.
    Text = 3,
}

/// One field. What was read is written again byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl Default for Field {
    fn default() -> Self {
        Self { encoding: Encoding::Text, bytes: Vec::new() }
    }
}

impl Field {
    /// A field of English text, at most [`FIELD_BYTES_MAX`] characters of it. What Latin 1 does not have becomes a question mark; a single
    /// character gets a space behind it, since alone it would read as the end of the fields.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let latin = |c: char| u8::try_from(u32::from(c)).ok().filter(|_| !c.is_control()).unwrap_or(b'?');
        let mut bytes: Vec<u8> = text.chars().take(FIELD_BYTES_MAX).map(latin).collect();
        if bytes.len() == 1 {
            bytes.push(b' ');
        }
        Self { encoding: Encoding::Text, bytes }
    }

    /// A field of raw bytes.
    ///
    /// # Errors
    /// [`DecodeError::Length`] for more than [`FIELD_BYTES_MAX`] of them, or for a text of one byte, which cannot be told.
    pub fn raw(encoding: Encoding, bytes: &[u8]) -> Result<Self, DecodeError> {
        let is_end = encoding == Encoding::Text && bytes.len() == 1;
        if bytes.len() > FIELD_BYTES_MAX || is_end {
            return Err(DecodeError::Length);
        }
        Ok(Self { encoding, bytes: bytes.to_vec() })
    }

    /// How its bytes are to be read.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says, in an area of this language, without spaces and zero bytes at the end. Control characters become question marks, binary
    /// fields hexadecimal digits.
    #[must_use]
    pub fn to_text(&self, language: u8) -> String {
        let text: String = match self.encoding {
            Encoding::Binary => {
                self.bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).map(hex).collect()
            }
            Encoding::BcdPlus => {
                self.bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).map(bcd).collect()
            }
            Encoding::SixBit => self.bytes.chunks(3).flat_map(six_bit).collect(),
            Encoding::Text if matches!(language, 0 | ENGLISH) => {
                self.bytes.iter().copied().map(char::from).collect()
            }
            Encoding::Text => {
                let units = self.bytes.chunks_exact(2).map(|pair| match pair {
                    [low, high] => u16::from_le_bytes([*low, *high]),
                    _ => 0,
                });
                char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
        };
        let text = text.trim_end_matches(['\0', ' ']);
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }

    /// Reads the next field; `None` at the end mark.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let head = r.u8()?;
        if head == END {
            return Ok(None);
        }
        let encoding = match head >> 6 {
            0 => Encoding::Binary,
            1 => Encoding::BcdPlus,
            2 => Encoding::SixBit,
            _ => Encoding::Text,
        };
        Ok(Some(Self { encoding, bytes: r.bytes(usize::from(head & 0x3f))?.to_vec() }))
    }

    pub(super) fn write(&self, w: &mut Writer) {
        // The length is at most 63: every way to make a field says so.
        let len = u8::try_from(self.bytes.len()).unwrap_or(0) & 0x3f;
        w.u8((self.encoding as u8) << 6 | len).bytes(&self.bytes);
    }
}

/// Appends fields and the mark behind the last one.
pub(super) fn write_all<'a>(w: &mut Writer, fields: impl IntoIterator<Item = &'a Field>) {
    for field in fields {
        field.write(w);
    }
    w.u8(END);
}

fn hex(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('?')
}

fn bcd(nibble: u8) -> char {
    match nibble {
        0..=9 => hex(nibble),
        0x0a => ' ',
        0x0b => '-',
        0x0c => '.',
        _ => '?',
    }
}

/// The characters of up to three packed bytes.
fn six_bit(packed: &[u8]) -> impl Iterator<Item = char> {
    let byte = |at: usize| packed.get(at).copied().map_or(0, u32::from);
    let bits = byte(0) | byte(1) << 8 | byte(2) << 16;
    // Eight bits hold one character, sixteen two, all twenty-four four.
    let count = if packed.len() >= 3 { 4 } else { packed.len() };
    (0..count).map(move |at| {
        let shifted = bits.checked_shr(u32::try_from(at).unwrap_or(0).saturating_mul(6)).unwrap_or(0);
        char::from(u8::try_from(shifted & 0x3f).unwrap_or(0).saturating_add(0x20))
    })
}
