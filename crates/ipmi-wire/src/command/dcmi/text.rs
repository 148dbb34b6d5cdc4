//! Texts that travel in pieces of up to 16 bytes: the asset tag (DCMI 1.5 §6.4.2 and §6.4.3) and the controller's identifier (§6.4.6).

use alloc::vec::Vec;

use crate::command::Payload;
use crate::{DecodeError, Reader, Writer};

/// The most that one command carries.
pub const PIECE_BYTES_MAX: u8 = 16;
/// The longest asset tag.
pub const ASSET_TAG_BYTES_MAX: u8 = 63;
/// The longest identifier, with the zero byte at its end.
pub const CONTROLLER_ID_BYTES_MAX: u8 = 64;

/// Which piece to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPiece {
    /// Where it begins.
    pub offset: u8,
    /// How long it is; 0 to learn only how long the whole is.
    pub count: u8,
}

impl Payload for ReadPiece {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { offset: r.u8()?, count: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.offset).u8(self.count);
    }
}

/// A piece to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritePiece {
    /// Where it begins.
    pub offset: u8,
    /// What to write; at most 255 bytes, more are cut off.
    pub data: Vec<u8>,
}

impl Payload for WritePiece {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (offset, count) = (r.u8()?, r.u8()?);
        let data = r.rest();
        if data.len() == usize::from(count) {
            Ok(Self { offset, data: data.to_vec() })
        } else {
            Err(DecodeError::Length)
        }
    }

    fn write(&self, w: &mut Writer) {
        let count = u8::try_from(self.data.len()).unwrap_or(u8::MAX);
        w.u8(self.offset).u8(count).bytes(self.data.get(..count.into()).unwrap_or_default());
    }
}

/// A piece that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// How long the whole is.
    pub total: u8,
    /// The piece.
    pub data: Vec<u8>,
}

impl Payload for Piece {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { total: r.u8()?, data: super::rest(r) })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.total).bytes(&self.data);
    }
}

/// How long the whole is after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// In bytes.
    pub total: u8,
}

impl Payload for Written {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { total: r.u8()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.total);
    }
}

macro_rules! about {
    ($($(#[$doc:meta])* $name:ident($piece:ident);)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name(pub $piece);

            impl Payload for $name {
                fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                    $piece::read(r).map(Self)
                }

                fn write(&self, w: &mut Writer) {
                    self.0.write(w);
                }
            }
        )*
    };
}

about! {
    /// Get Asset Tag (§6.4.2).
    GetAssetTag(ReadPiece);
    /// Set Asset Tag (§6.4.3).
    SetAssetTag(WritePiece);
    /// Get Management Controller Identifier String (§6.4.6.1).
    GetControllerId(ReadPiece);
    /// Set Management Controller Identifier String (§6.4.6.2). A zero byte ends the text.
    SetControllerId(WritePiece);
}
