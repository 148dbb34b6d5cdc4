//! Why bytes were refused.

use core::fmt;

use crate::CompletionCode;

/// Why a decoder refused its input.
///
/// One small type for the whole crate: a caller either drops the datagram or answers with
/// [`DecodeError::completion`], and in both cases the reason is only for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The input ended before the fields did.
    Truncated,
    /// Bytes were left over after the last field.
    Trailing,
    /// A checksum did not match the bytes it covers.
    Checksum,
    /// A length field contradicts the bytes that are there, or a named limit.
    Length,
    /// A field holds a value that its definition does not have.
    Value {
        /// The field's name, for the log.
        field: &'static str,
        /// What stood there, widened.
        value: u32,
    },
}

impl DecodeError {
    /// The completion code that tells a requester so: `C7h` for wrong lengths, `CCh` for wrong values
    /// (IPMI 2.0 table 5-2).
    #[must_use]
    pub const fn completion(self) -> CompletionCode {
        match self {
            Self::Truncated | Self::Trailing | Self::Length => CompletionCode::REQUEST_LENGTH_INVALID,
            Self::Checksum | Self::Value { .. } => CompletionCode::INVALID_DATA_FIELD,
        }
    }

    /// A [`DecodeError::Value`] for the byte `value` in `field`.
    #[must_use]
    pub const fn value(field: &'static str, value: u8) -> Self {
        // Lossless; `u32::from` is not const.
        Self::Value { field, value: value as u32 }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the input is too short"),
            Self::Trailing => f.write_str("there are bytes after the last field"),
            Self::Checksum => f.write_str("a checksum is wrong"),
            Self::Length => f.write_str("a length field is wrong"),
            Self::Value { field, value } => write!(f, "the field {field} has the invalid value {value:#x}"),
        }
    }
}

impl core::error::Error for DecodeError {}
