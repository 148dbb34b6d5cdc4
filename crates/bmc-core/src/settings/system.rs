//! What the BMC keeps for the system it manages: system info parameters (IPMI 2.0 §22.14a) and global enables (§22.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes of text in the first block of a system info parameter, behind its encoding and length.
pub const SYSTEM_TEXT_FIRST_BLOCK_BYTES: usize = 14;
/// Bytes of text in each later block.
pub const SYSTEM_TEXT_BLOCK_BYTES: usize = 16;
/// Longest text of a system info parameter in bytes: what its length byte can say.
pub const SYSTEM_TEXT_MAX_BYTES: usize = 255;

/// Settings about the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemSettings {
    /// Whether event messages go to the SEL (IPMI 2.0 §22.1, "system event logging").
    pub event_logging: bool,
    /// The texts of system info parameters, by number; one that is missing was never set.
    pub texts: BTreeMap<u8, SystemText>,
}

impl Default for SystemSettings {
    fn default() -> Self {
        Self { event_logging: true, texts: BTreeMap::new() }
    }
}

/// The number of the system info parameter that has the controller's URL.
const BMC_URL_PARAMETER: u8 = 6;

/// The number of the system info parameter that has the system's name, that is its host name.
const SYSTEM_NAME_PARAMETER: u8 = 2;

impl SystemSettings {
    /// The host's name, as its operating system or a client has set it; `None` where nobody has.
    pub fn host_name(&self) -> Option<String> {
        self.texts.get(&SYSTEM_NAME_PARAMETER).map(SystemText::text).filter(|name| !name.is_empty())
    }

    /// Sets it, or has it unknown again.
    pub fn set_host_name(&mut self, name: Option<&str>) {
        match name {
            Some(name) => self.texts.insert(SYSTEM_NAME_PARAMETER, SystemText::new(name)),
            None => self.texts.remove(&SYSTEM_NAME_PARAMETER),
        };
    }

    /// What a reset of the controller to its defaults leaves: the texts that tell of the system, its firmware's version among them.
    pub(crate) fn after_defaults(mut self) -> Self {
        self.texts.remove(&BMC_URL_PARAMETER);
        Self { texts: self.texts, ..Self::default() }
    }
}

/// A text as system info parameters have it (IPMI 2.0 table 22-16c).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemText {
    /// 0 ASCII and Latin 1, 1 UTF-8, 2 UTF-16.
    pub encoding: u8,
    /// The text, as long as was announced; what has not been written of it is zeros.
    pub bytes: Vec<u8>,
}

impl SystemText {
    /// A text, cut to [`SYSTEM_TEXT_MAX_BYTES`].
    pub fn new(text: &str) -> Self {
        let encoding = u8::from(!text.is_ascii());
        Self { encoding, bytes: text.bytes().take(SYSTEM_TEXT_MAX_BYTES).collect() }
    }

    /// The text, without the zeros that fill it up.
    pub fn text(&self) -> String {
        let text = if self.encoding == 2 {
            let units = self.bytes.chunks(2).map(|pair| match *pair {
                [low, high] => u16::from_le_bytes([low, high]),
                _ => 0,
            });
            char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        } else {
            String::from_utf8_lossy(&self.bytes).into_owned()
        };
        text.trim_matches('\0').trim().to_owned()
    }

    /// How many blocks it takes: at least the first.
    pub fn blocks(&self) -> usize {
        let behind_first = self.bytes.len().saturating_sub(SYSTEM_TEXT_FIRST_BLOCK_BYTES);
        1 + behind_first.div_ceil(SYSTEM_TEXT_BLOCK_BYTES)
    }

    /// Begins a text of `length` bytes, of which these are the first.
    pub fn begin(encoding: u8, length: u8, first: [u8; SYSTEM_TEXT_FIRST_BLOCK_BYTES]) -> Self {
        let mut bytes = first.to_vec();
        bytes.resize(usize::from(length), 0);
        Self { encoding, bytes }
    }

    /// Writes the later block with this number, from 1; `false` when the text ends before it.
    pub fn write_block(&mut self, block: u8, data: [u8; SYSTEM_TEXT_BLOCK_BYTES]) -> bool {
        let Some(at) = Self::offset(block) else { return false };
        let Some(to) = self.bytes.get_mut(at..).filter(|to| !to.is_empty()) else { return false };
        to.iter_mut().zip(data).for_each(|(to, from)| *to = from);
        true
    }

    /// The text of a block, padded with zeros; `None` behind its end. The first has [`SYSTEM_TEXT_FIRST_BLOCK_BYTES`].
    pub fn block(&self, block: u8) -> Option<Vec<u8>> {
        if usize::from(block) >= self.blocks() {
            return None;
        }
        let (at, length) = match Self::offset(block) {
            None => (0, SYSTEM_TEXT_FIRST_BLOCK_BYTES),
            Some(at) => (at, SYSTEM_TEXT_BLOCK_BYTES),
        };
        let mut text: Vec<u8> = self.bytes.iter().skip(at).take(length).copied().collect();
        text.resize(length, 0);
        Some(text)
    }

    /// Where a later block begins; `None` for the first.
    fn offset(block: u8) -> Option<usize> {
        let before = usize::from(block).checked_sub(1)?;
        Some(SYSTEM_TEXT_FIRST_BLOCK_BYTES + before * SYSTEM_TEXT_BLOCK_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_and_read_by_blocks() {
        let mut text = SystemText::begin(0, 33, *b"0123456789abcd");
        assert_eq!(text.blocks(), 3);
        assert!(text.write_block(1, *b"efghijklmnopqrst"));
        assert!(text.write_block(2, *b"uvwxyz..........",));
        assert!(!text.write_block(3, [b'x'; 16]), "behind the end");
        assert_eq!(text.bytes, b"0123456789abcdefghijklmnopqrstuvw", "no longer than announced");
        assert_eq!(text.block(0).unwrap(), b"0123456789abcd");
        assert_eq!(text.block(2).unwrap(), b"uvw\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(text.block(3), None);
    }

    #[test]
    fn lengths_at_the_edges_have_their_blocks() {
        for (length, blocks) in [(0, 1), (1, 1), (14, 1), (15, 2), (30, 2), (31, 3), (255, 17)] {
            let text = SystemText { encoding: 0, bytes: vec![b'a'; length] };
            assert_eq!(text.blocks(), blocks, "{length}");
            let last = u8::try_from(blocks).unwrap() - 1;
            assert!(text.block(last).is_some() && text.block(last + 1).is_none());
        }
    }
}
